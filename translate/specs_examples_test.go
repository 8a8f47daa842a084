package translate_test

import (
	"testing"

	"github.com/eiffelbridge/eiffelbridge/internal/testkit/specs"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// TestExamples translates every example of both specifications, or those of this repository, forth and back.
func TestExamples(t *testing.T) {
	carrying := newEngine(t, translate.Settings{})
	none := newEngine(t, translate.Settings{Carry: translate.CarryNone})
	shared := fresh(carrying) // all of the examples, with what one teaches about the next
	for _, example := range specs.Examples(t) {
		text := string(example.JSON)
		t.Run(example.Name, func(t *testing.T) {
			want := compact(t, text) + "\n"
			for how, s := range map[string]*translate.Session{"alone": fresh(carrying), "after others": shared} {
				r := through(t, s, text)
				if got := texts(backOf(t, carrying, last(t, r))); got != want {
					t.Errorf("%s: given back\n%swant\n%s", how, got, want)
				}
				for _, made := range r.Events[:len(r.Events)-1] {
					if back := backOf(t, carrying, made); len(back) != 0 {
						t.Errorf("%s: what was made up, %s, translates back into %s", how, made.JSON, texts(back))
					}
				}
			}

			// Without carrying, the way back gives an event of its own, valid as any output (through checks it).
			r := through(t, fresh(none), text)
			back := fresh(none)
			for i, e := range r.Events {
				given := through(t, back, string(e.JSON))
				if i < len(r.Events)-1 {
					if len(given.Events) != 0 {
						t.Errorf("without carrying: what was made up, %s, translates back into %s", e.JSON, texts(given.Events))
					}
					continue
				}
				if len(given.Events) == 0 {
					t.Errorf("without carrying: nothing comes back of %s", e.JSON)
				}
			}
		})
	}
}

// backOf translates one event of an output back, with an empty ledger.
func backOf(t testing.TB, engine *translate.Engine, e translate.Event) []translate.Event {
	t.Helper()
	return through(t, fresh(engine), string(e.JSON)).Events
}
