package translate_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/translate"
)

// specsFolder is where the specifications are: EIFFELBRIDGE_SPECS, or ../shared/specs beside the repository; "" if they
// are not at hand.
func specsFolder(t testing.TB) string {
	t.Helper()
	folder := os.Getenv("EIFFELBRIDGE_SPECS")
	if folder == "" {
		folder = filepath.Join("..", "..", "shared", "specs")
	}
	if _, err := os.Stat(filepath.Join(folder, "eiffel", "links.json")); err != nil {
		return ""
	}
	return folder
}

// specExamples are the examples of both specifications, by file name.
func specExamples(t testing.TB) map[string]string {
	t.Helper()
	folder := specsFolder(t)
	if folder == "" {
		t.Skip("the specifications are not at hand: set EIFFELBRIDGE_SPECS to their folder")
	}
	out := map[string]string{}
	for _, pattern := range []string{"cdevents/*/conformance/*.json", "eiffel/examples/events/*/*.json"} {
		files, err := filepath.Glob(filepath.Join(folder, filepath.FromSlash(pattern)))
		if err != nil || len(files) == 0 {
			t.Fatalf("no files %s: %v", pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			out[strings.TrimPrefix(file, folder)] = string(text)
		}
	}
	return out
}

// TestSpecificationExamples translates every example of both specifications, forth and back.
func TestSpecificationExamples(t *testing.T) {
	carrying := newEngine(t, translate.Settings{})
	none := newEngine(t, translate.Settings{Carry: translate.CarryNone})
	shared := fresh(carrying) // all of the examples, with what one teaches about the next
	for name, text := range specExamples(t) {
		t.Run(name, func(t *testing.T) {
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
