package translate_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/translate"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// outcome is everything that a translation says, as text.
func outcome(r translate.Result, err error) string {
	if err != nil {
		return err.Error()
	}
	var b bytes.Buffer
	b.WriteString(texts(r.Events))
	fmt.Fprintf(&b, "need %+v\nmissing %+v\nlosses %+v\ndiagnostics %+v\nmoves %+v\nreturning %s\n", r.Need, r.Missing, r.Losses, r.Diagnostics, r.Moves, r.Returning)
	for _, f := range r.Learned {
		fmt.Fprintf(&b, "learned %+v %x %t\n", f.Query, f.Record, f.Forget)
	}
	return b.String()
}

// recorder is a translator that notes what it was asked, with the facts that it was given.
type recorder struct {
	translate.Translator
	calls []call
}

type call struct {
	in     translate.Event
	facts  ledger.Facts
	result string
}

func (r *recorder) Translate(in translate.Event, facts *ledger.Facts) (translate.Result, error) {
	result, err := r.Translator.Translate(in, facts)
	// The session adds answers to its facts only behind those that stand there, so that a copy stays what it is.
	r.calls = append(r.calls, call{in, *facts, outcome(result, err)})
	return result, err
}

// determined are settings that between them reach every way of writing an event.
var determined = map[string]translate.Settings{
	"the defaults":  {Explain: true},
	"no carrying":   {Carry: translate.CarryNone, Explain: true},
	"a relay":       {Returning: translate.ReturningDrop, Synthesize: translate.SynthesizeAlways},
	"never made up": {Synthesize: translate.SynthesizeNever, AllQualifiers: true},
}

// manyEvents are events of both protocols with a history, custom data and links; one lists several of everything.
func manyEvents(t testing.TB) []string {
	t.Helper()
	out := append(life(t), natives(t)...)
	for _, c := range readScenarios(t)[:6] {
		for i, st := range c.steps {
			if i < 6 {
				out = append(out, st.text)
			}
		}
	}
	keys := map[string]any{}
	var entries []any
	for i := range 24 {
		key := fmt.Sprintf("key %d", i*7%24)
		keys[key] = map[string]any{key: i, "more": []any{i, key}}
		entries = append(entries, map[string]any{"key": fmt.Sprintf("key %d", i%9), "value": i})
	}
	out = append(out,
		edit(t, life(t)[1], func(event map[string]any) {
			event["customData"] = keys
			object(event, "context")["id"] = "many keys"
		}),
		edit(t, natives(t)[2], func(event map[string]any) {
			object(event, "data")["customData"] = entries
			object(event, "meta")["id"] = uuid(7777)
		}))
	// What a stream became comes round as well.
	s := newSession(t, translate.Settings{})
	for _, text := range out[:13] {
		for _, e := range through(t, s, text).Events {
			out = append(out, string(e.JSON))
		}
	}
	return out
}

// record runs the events through a session and gives the calls that it made of its translator.
func record(t testing.TB, engine *translate.Engine, events []string) []call {
	t.Helper()
	r := &recorder{Translator: engine}
	s := translate.NewSession(r, translate.NewMemoryLedger())
	for _, text := range events {
		_, _ = s.Translate(context.Background(), []byte(text)) // what goes wrong is in the record
	}
	return r.calls
}

// TestDeterminism translates the same events with the same facts in many goroutines at once, through engines that are
// shared and engines of their own.
func TestDeterminism(t *testing.T) {
	events := manyEvents(t)
	for name, settings := range determined {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shared := newEngine(t, settings)
			calls := record(t, shared, events)
			if len(calls) < len(events) {
				t.Fatalf("%d events made %d calls", len(events), len(calls))
			}
			before := make([][]byte, len(calls))
			for i, c := range calls {
				before[i] = bytes.Clone(c.in.JSON)
			}
			var wg sync.WaitGroup
			for n := range 64 {
				wg.Go(func() {
					engine := shared
					if n%16 == 0 {
						var err error
						if engine, err = translate.New(settings); err != nil {
							t.Error(err)
							return
						}
					}
					// Each begins elsewhere, so that different events are under way at the same time. All of them together
					// take every call many times.
					for i := n; i < len(calls); i += 24 {
						c := calls[(i+n*5)%len(calls)]
						facts := c.facts
						if got := outcome(engine.Translate(c.in, &facts)); got != c.result {
							t.Errorf("became\n%s\nand before\n%s", got, c.result)
						}
					}
				})
			}
			wg.Wait()
			for i, c := range calls {
				if !bytes.Equal(c.in.JSON, before[i]) {
					t.Errorf("the event was altered:\n%s\nfrom\n%s", c.in.JSON, before[i])
				}
			}
		})
	}
}

// TestNoMapOrder runs a whole stream fifty times, decoded anew: whatever went through a map would show.
func TestNoMapOrder(t *testing.T) {
	events := manyEvents(t)
	for name, settings := range determined {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var want []call
			engine := newEngine(t, settings)
			for n := range 50 {
				got := record(t, engine, events)
				if n == 0 {
					want = got
					continue
				}
				if len(got) != len(want) {
					t.Fatalf("run %d asked %d times, the first %d times", n, len(got), len(want))
				}
				for i := range got {
					if got[i].result != want[i].result {
						t.Fatalf("run %d: became\n%s\nand before\n%s", n, got[i].result, want[i].result)
					}
				}
			}
		})
	}
}

// TestInputIsNotAltered compares the bytes that a caller handed in, and the records that a ledger gave out.
func TestInputIsNotAltered(t *testing.T) {
	for name, settings := range determined {
		ledger := &guardedLedger{t: t, Memory: translate.NewMemoryLedger()}
		s := translate.NewSession(newEngine(t, settings), ledger)
		for _, text := range manyEvents(t) {
			in := []byte(text)
			_, _ = s.Translate(context.Background(), in)
			if string(in) != text {
				t.Errorf("%s: the input was altered:\n%s\nfrom\n%s", name, in, text)
			}
			ledger.check()
		}
	}
}

// guardedLedger keeps copies of what it gave out.
type guardedLedger struct {
	*ledger.Memory
	t      testing.TB
	given  [][]byte
	copies [][]byte
}

func (l *guardedLedger) Read(ctx context.Context, queries []ledger.Query) ([]ledger.Record, error) {
	records, err := l.Memory.Read(ctx, queries)
	for _, r := range records {
		l.given = append(l.given, r.Bytes)
		l.copies = append(l.copies, bytes.Clone(r.Bytes))
	}
	return records, err
}

func (l *guardedLedger) check() {
	l.t.Helper()
	for i := range l.given {
		if !bytes.Equal(l.given[i], l.copies[i]) {
			l.t.Errorf("a record of the ledger was altered")
		}
	}
	l.given, l.copies = l.given[:0], l.copies[:0]
}
