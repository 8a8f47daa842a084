package translate_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/internal/testkit/specs"
	"github.com/eiffelbridge/eiffelbridge/translate"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// seeds are the events of the cases, values that fit badly among them, and the examples of the specifications or of this
// repository.
func seeds(f *testing.F) []string {
	f.Helper()
	out := append(life(f), natives(f)...)
	for _, c := range readScenarios(f) {
		for i, st := range c.steps {
			if i < 4 {
				out = append(out, st.text)
			}
		}
	}
	for _, e := range specs.Examples(f) {
		out = append(out, string(e.JSON))
	}
	for _, c := range readFitting(f) {
		out = append(out, c.in...)
	}
	return out
}

// fuzzed translates whatever bytes with an empty ledger, in every way of carrying and synthesizing, and translates back
// what it became. Nothing may panic, what is written is valid, and what was carried comes back.
func fuzzed(f *testing.F, protocol translate.Protocol) {
	for _, text := range seeds(f) {
		f.Add([]byte(text))
	}
	carrying := newEngine(f, translate.Settings{Explain: true})
	others := map[string]*translate.Engine{
		"nothing carried":     newEngine(f, translate.Settings{Carry: translate.CarryNone}),
		"never synthesized":   newEngine(f, translate.Settings{Synthesize: translate.SynthesizeNever}),
		"in a relay":          newEngine(f, translate.Settings{Returning: translate.ReturningDrop, Synthesize: translate.SynthesizeAlways}),
		"in a restoring one":  newEngine(f, translate.Settings{Returning: translate.ReturningRestore, AllQualifiers: true}),
		"in older vocabulary": newEngine(f, translate.Settings{Returning: translate.ReturningTranslate, Spec: "0.4", Edition: "Paris"}),
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		before := bytes.Clone(text)
		in, err := translate.Decode(text)
		if !bytes.Equal(text, before) {
			t.Fatal("the input was altered")
		}
		if err != nil {
			checkEventError(t, err)
			return
		}
		if in.Protocol != protocol {
			return
		}
		for _, finding := range in.Validate() {
			checkEventError(t, finding)
		}
		r, err := fresh(carrying).TranslateEvent(context.Background(), in)
		if err != nil {
			checkEventError(t, err)
			return
		}
		for i, e := range r.Events {
			checkValid(t, e)
			back, err := fresh(carrying).Translate(context.Background(), e.JSON)
			if err != nil {
				t.Fatalf("back: %v\n%s", err, e.JSON)
			}
			switch {
			case r.Returning == translate.ReturningRestore: // what stands here is an original of this event
			case i < len(r.Events)-1:
				if len(back.Events) != 0 {
					t.Fatalf("what was made up translates back into\n%s", texts(back.Events))
				}
			case len(back.Events) != 1:
				t.Fatalf("given back\n%swant\n%s", texts(back.Events), in.JSON)
			default:
				// An envelope that was not believed is not carried on, and a loss says so: all else comes back.
				checkComesBack(t, back.Events[0].JSON, in.JSON, r)
			}
		}
		for how, engine := range others {
			r, err := fresh(engine).TranslateEvent(context.Background(), in)
			if err != nil {
				checkEventError(t, err)
				continue
			}
			for _, e := range r.Events {
				checkValid(t, e)
				if back, err := fresh(engine).Translate(context.Background(), e.JSON); err != nil {
					var ee *translate.EventError
					if errors.As(err, &ee) && (ee.Code == translate.CodeNotInSpec || ee.Code == translate.CodeNotInEdition) {
						continue
					}
					t.Fatalf("%s, back: %v\n%s", how, err, e.JSON)
				} else {
					for _, e := range back.Events {
						checkValid(t, e)
					}
				}
			}
		}
		if !bytes.Equal(text, before) {
			t.Fatal("the input was altered")
		}
	})
}

// checkComesBack holds what came back against the event that went: it is the same bytes but for the envelopes that the
// losses name.
func checkComesBack(t testing.TB, given, want []byte, r translate.Result) {
	t.Helper()
	var lost []string
	for _, l := range r.Losses {
		if l.Reason == "envelope" {
			if l.Carried {
				t.Fatalf("the envelope %s is lost and carried", l.Pointer)
			}
			lost = append(lost, l.Pointer)
		}
	}
	if len(lost) == 0 {
		if !bytes.Equal(given, want) {
			t.Fatalf("given back\n%s\nwant\n%s", given, want)
		}
		return
	}
	rest := value(t, want)
	slices.SortFunc(lost, func(a, b string) int { // a later entry of an array first
		return cmp.Or(cmp.Compare(len(b), len(a)), strings.Compare(b, a))
	})
	for _, pointer := range lost {
		var ok bool
		if rest, ok = without(rest, strings.Split(pointer, "/")[1:]); !ok {
			t.Fatalf("an envelope is lost at %s, where there is nothing\n%s", pointer, want)
		}
	}
	if !reflect.DeepEqual(value(t, given), rest) {
		t.Fatalf("given back\n%s\nwant, without %q,\n%s", given, lost, want)
	}
	// Cutting out one value leaves the bytes before and behind it.
	if len(lost) == 1 {
		before, behind := 0, 0
		for before < len(given) && given[before] == want[before] {
			before++
		}
		for behind < len(given) && given[len(given)-1-behind] == want[len(want)-1-behind] {
			behind++
		}
		if before+behind < len(given) {
			t.Fatalf("given back\n%s\nwant the bytes around %q of\n%s", given, lost, want)
		}
	}
}

// without is a JSON value without the member or element that a pointer, split, leads to.
func without(v any, path []string) (any, bool) {
	switch v := v.(type) {
	case map[string]any:
		name := strings.NewReplacer("~1", "/", "~0", "~").Replace(path[0])
		inner, ok := v[name]
		if ok && len(path) == 1 {
			delete(v, name)
		} else if ok {
			v[name], ok = without(inner, path[1:])
		}
		return v, ok
	case []any:
		at, err := strconv.Atoi(path[0])
		if err != nil || at >= len(v) {
			return v, false
		}
		if len(path) == 1 {
			return slices.Delete(v, at, at+1), true
		}
		var ok bool
		v[at], ok = without(v[at], path[1:])
		return v, ok
	}
	return v, false
}

// checkEventError holds an error against what callers rely on: it is typed, and never our own fault.
func checkEventError(t *testing.T, err error) {
	t.Helper()
	var e *translate.EventError
	if !errors.As(err, &e) || e.Code == "" || e.Message == "" {
		t.Fatalf("%v is no *EventError with a code and a message", err)
	}
	if e.Code == translate.CodeInvalidOutput {
		t.Fatal(err)
	}
}

func FuzzToEiffel(f *testing.F) { fuzzed(f, translate.CDEvents) }

func FuzzToCDEvents(f *testing.F) { fuzzed(f, translate.Eiffel) }

// records are codecs of every kind of record: bytes decoded, as a value and encoded anew.
var records = map[ledger.FactKind]func([]byte) (any, []byte, error){
	ledger.SubjectFact:  codec(ledger.DecodeSubject, (*ledger.Subject).Encode),
	ledger.NameFact:     codec(ledger.DecodeSet, ledger.Set.Encode),
	ledger.AliasFact:    codec(ledger.DecodeSet, ledger.Set.Encode),
	ledger.EventFact:    codec(ledger.DecodeEiffelEvent, (*ledger.EiffelEvent).Encode),
	ledger.ContextFact:  codec(ledger.DecodeContexts, ledger.Contexts.Encode),
	ledger.DecisionFact: codec(ledger.DecodeDecision, ledger.Decision.Encode),
	ledger.LineFact:     codec(ledger.DecodeHead, (*ledger.Head).Encode),
	ledger.EntryFact: codec(func(record []byte) (*ledger.Entry, error) { return ledger.DecodeEntry(ledger.Stamp{}, record) },
		(*ledger.Entry).Encode),
	ledger.FirstRunFact: codec(ledger.DecodeStamp, ledger.Stamp.Encode),
	ledger.PackageFact:  codec(ledger.DecodeSet, ledger.Set.Encode),
	ledger.ServiceFact:  codec(ledger.DecodeSet, ledger.Set.Encode),
	ledger.RunsFact:     codec(ledger.DecodeSet, ledger.Set.Encode),
}

func codec[T any](decode func([]byte) (T, error), encode func(T) []byte) func([]byte) (any, []byte, error) {
	return func(record []byte) (any, []byte, error) {
		v, err := decode(record)
		if err != nil {
			return nil, nil, err
		}
		return v, encode(v), nil
	}
}

// FuzzRecords reads and merges whatever bytes a damaged ledger may hold.
func FuzzRecords(f *testing.F) {
	kinds := ledger.FactKinds()
	for _, line := range life(f) {
		for _, fact := range alone(f, translate.Settings{}, line).Learned {
			for i, kind := range kinds {
				if kind == fact.Query.Kind {
					f.Add(uint8(i), fact.Record, fact.Record)
				}
			}
		}
	}
	for i := range kinds {
		f.Add(uint8(i), []byte{}, []byte{0x0a, 0x03, 'a', 'b', 'c'})
	}
	f.Fuzz(func(t *testing.T, number uint8, old, delta []byte) {
		kind := kinds[int(number)%len(kinds)]
		beforeOld, beforeDelta := bytes.Clone(old), bytes.Clone(delta)
		v, encoded, err := records[kind](delta)
		if err == nil {
			again, _, err := records[kind](encoded)
			if err != nil || !reflect.DeepEqual(v, again) {
				t.Fatalf("%s: %+v was written and read as %+v (%v)", kind, v, again, err)
			}
		}
		_, err = ledger.Merge(kind, old, delta)
		if !bytes.Equal(old, beforeOld) || !bytes.Equal(delta, beforeDelta) {
			t.Fatal("merging altered its arguments")
		}
		if err != nil {
			return
		}
		if _, _, err := records[kind](old); err != nil {
			return // what stays as it is need not be read
		}
		// A delta as translations learn them: written by us, and with nothing in it twice.
		delta, err = ledger.Merge(kind, []byte{}, encoded)
		if err != nil || len(delta) == 0 {
			return
		}
		once, err := ledger.Merge(kind, old, delta)
		if err != nil {
			t.Fatalf("%s: what could be merged cannot be merged as we write it: %v", kind, err)
		}
		twice, err := ledger.Merge(kind, once, delta)
		if err != nil {
			t.Fatalf("%s: merged once, it cannot be merged again: %v", kind, err)
		}
		first, _, err := records[kind](once)
		second, _, err2 := records[kind](twice)
		if err != nil || err2 != nil || !reflect.DeepEqual(first, second) {
			t.Fatalf("%s: merged twice it is\n%+v (%v)\nand once\n%+v (%v)", kind, second, err2, first, err)
		}
		if alone, err := ledger.Merge(kind, nil, delta); err == nil && !bytes.Equal(alone, delta) {
			t.Fatalf("%s: merged into nothing, %x became %x", kind, delta, alone)
		}
	})
}

// TestSeedsAreFound keeps the fuzz targets from running on nothing.
func TestSeedsAreFound(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "incarnations", "*.txt"))
	if err != nil || len(files) < 3 {
		t.Errorf("the cases that seed the fuzz targets are not there: %v, %v", files, err)
	}
	if len(records) != len(ledger.FactKinds()) {
		t.Errorf("%d of %d kinds of records are fuzzed", len(records), len(ledger.FactKinds()))
	}
}
