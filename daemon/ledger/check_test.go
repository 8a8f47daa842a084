package ledger

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/examples/events"
	"github.com/eiffelbridge/eiffelbridge/translate"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

func TestCheckFinds(t *testing.T) {
	stamp := func(n int64) ledger.Stamp { return ledger.Stamp{Time: n, ID: "e"} }
	removal := ledger.Entry{Stamp: stamp(2), Removed: true}
	fullLine := lineOf(fullBatch())
	for _, c := range []struct {
		fact ledger.Fact // put into a sound ledger, or in place of a record there
		want string
	}{
		{ledger.Fact{Query: ledger.Query{Kind: ledger.EventFact, Key: "plain"}, Record: []byte{}}, "no compact JSON array"},
		{ledger.Fact{Query: ledger.Query{Kind: ledger.EventFact, Key: `["a", "b"]`}, Record: []byte{}}, "no compact JSON array"},
		{ledger.Fact{Query: query(ledger.EventFact, "a", "b"), Record: []byte{}}, "2 parts in place of 1"},
		{ledger.Fact{Query: query(ledger.EventFact, "a"), Record: []byte{0x0a, 0x7f}}, "damaged record"},
		{ledger.Fact{Query: query(ledger.SubjectFact, "ticket", "s", "a"), Record: (&ledger.Subject{Anchors: []ledger.Anchor{{Type: "EiffelIssueDefinedEvent"}}}).Encode()}, "no type or no id"},
		{ledger.Fact{Query: query(ledger.SubjectFact, "ticket", "s", "a"), Record: (&ledger.Subject{Closures: []ledger.Stamp{stamp(2), stamp(1)}}).Encode()}, "closure 1 is out of order"},
		{ledger.Fact{Query: query(ledger.SubjectFact, "change", "s", "a"), Record: (&ledger.Subject{Opened: stamp(1), Anchors: []ledger.Anchor{{Type: "EiffelSourceChangeCreatedEvent", First: "x", Last: "x"}}}).Encode()}, `name ["change","a"] does not name "s"`},
		{ledger.Fact{Query: query(ledger.SubjectFact, "artifact", "", "a"), Record: (&ledger.Subject{Anchors: []ledger.Anchor{{Type: "EiffelArtifactCreatedEvent", First: "0a6b8ab0-4b6c-4b8e-9a51-4d86c3a4d0c1"}}}).Encode()}, "is an EiffelEnvironmentDefinedEvent and not"},
		{ledger.Fact{Query: query(ledger.SubjectFact, "service", "s", "a"), Record: (&ledger.Subject{Environments: []ledger.SubjectKey{{Source: "s", ID: "none"}}}).Encode()}, `line ["s","a","s","none"] is missing`},
		{ledger.Fact{Query: query(ledger.NameFact, "ticket", "a"), Record: ledger.Set{"s"}.Encode()}, `subject ["ticket","s","a"] is missing`},
		{ledger.Fact{Query: query(ledger.NameFact, "ticket", "a"), Record: ledger.Set{}.Encode()}, "0 members"},
		{ledger.Fact{Query: query(ledger.NameFact, "ticket", "a"), Record: ledger.Set{"s", "s"}.Encode()}, "twice"},
		{ledger.Fact{Query: query(ledger.AliasFact, "ticket", "x", "a"), Record: ledger.Set{"s"}.Encode()}, `subject ["ticket","s","a"] is missing`},
		{ledger.Fact{Query: query(ledger.LineFact, "s", "a", "s", "e"), Record: (&ledger.Head{}).Encode()}, "0 entries"},
		{ledger.Fact{Query: query(ledger.LineFact, "s", "a", "s", "e"), Record: (&ledger.Head{Entries: 151, Last: removal}).Encode()}, "151 entries"},
		{ledger.Fact{Query: query(ledger.LineFact, "s", "a", "s", "e"), Record: (&ledger.Head{Entries: 1, Last: ledger.Entry{Stamp: stamp(2)}}).Encode()}, "without an artifact"},
		{ledger.Fact{Query: query(ledger.LineFact, "s", "a", "s", "e"), Record: (&ledger.Head{Entries: 1, Last: ledger.Entry{Removed: true}}).Encode()}, "no id"},
		{ledger.Fact{Query: query(ledger.LineFact, "s", "a", "s", "e"), Record: (&ledger.Line{Entries: []ledger.Entry{removal}}).Encode()}, "damaged"},
		{ledger.Fact{Query: query(ledger.LineFact, "s", "a", "s", "e"), Record: (&ledger.Head{Entries: 1, Last: removal}).Encode()}, "does not name the environment"},
		{ledger.Fact{Query: query(ledger.LineFact, "s", "a", "s", "e"), Record: (&ledger.Head{Entries: 1, Last: removal}).Encode()}, "there are 1 entries, and there are 0"},
		{ledger.Fact{Query: fullLine, Record: (&ledger.Head{Entries: 3, Epoch: 1, Last: removal}).Encode()}, "there are 3 entries, and there are 2"},
		{ledger.Fact{Query: fullLine, Record: (&ledger.Head{Entries: 2, Last: ledger.Entry{Stamp: stamp(3), Removed: true}}).Encode()}, "not the last one"},
		{ledger.Fact{Query: query(ledger.EntryFact, "s", "a", "s", "e", "0"), Record: []byte{}}, "no time and id"},
		{ledger.Fact{Query: query(ledger.EntryFact, "s", "a", "s", "e", stamp(2).Text()), Record: []byte{}}, "without an artifact"},
		{ledger.Fact{Query: query(ledger.EntryFact, "s", "a", "s", "e", stamp(2).Text()), Record: []byte{0x12, 0x7f}}, "damaged"},
		{ledger.Fact{Query: query(ledger.EntryFact, "s", "a", "s", "e", stamp(2).Text()), Record: removal.Encode()}, `line ["s","a","s","e"] is missing`},
		{ledger.Fact{Query: query(ledger.FirstRunFact, "s", "a", "s", "e", "pkg"), Record: stamp(2).Encode()}, `line ["s","a","s","e"] is missing`},
		{ledger.Fact{Query: query(ledger.PackageFact, "s", "e", "pkg"), Record: ledger.Set{"x"}.Encode()}, "no key of a service"},
		{ledger.Fact{Query: query(ledger.PackageFact, "s", "e", "pkg"), Record: ledger.Set{`["s","a"]`}.Encode()}, `line ["s","a","s","e"] is missing`},
		{ledger.Fact{Query: query(ledger.ServiceFact, "s", "e", "a"), Record: ledger.Set{"s"}.Encode()}, `line ["s","a","s","e"] is missing`},
	} {
		s := NewMemory()
		commit(t, s, fullBatch())
		if findings, err := Check(context.Background(), s); err != nil || len(findings) > 0 {
			t.Fatalf("a sound ledger: %v %v", findings, err)
		}
		commit(t, s, Batch{Facts: []ledger.Fact{c.fact}})
		findings, err := Check(context.Background(), s)
		if err != nil {
			t.Fatal(err)
		}
		if text := fmt.Sprint(findings); !strings.Contains(text, c.want) || !strings.Contains(text, c.fact.Query.Kind.String()+" "+c.fact.Query.Key) {
			t.Errorf("%s %s: findings %v, want %q", c.fact.Query.Kind, c.fact.Query.Key, findings, c.want)
		}
	}
}

// lineOf is the line that a batch has.
func lineOf(b Batch) ledger.Query {
	return b.Facts[slices.IndexFunc(b.Facts, func(f ledger.Fact) bool { return f.Query.Kind == ledger.LineFact })].Query
}

// TestCheckTakesWhatTranslationsWrite feeds an event of every type, of either protocol, and checks the ledger after each.
func TestCheckTakesWhatTranslationsWrite(t *testing.T) {
	for name, story := range map[string]func() ([]events.Example, error){"cdevents": events.CDEvents, "eiffel": events.Eiffel} {
		list, err := story()
		if err != nil {
			t.Fatal(err)
		}
		// As told, and backwards, so that everything comes before what it refers to.
		for _, backwards := range []bool{false, true} {
			if backwards {
				slices.Reverse(list)
			}
			engine, err := translate.New(translate.Settings{Returning: translate.ReturningDrop})
			if err != nil {
				t.Fatal(err)
			}
			store := NewMemory()
			session := translate.NewSession(engine, store)
			for _, e := range list {
				if _, err := session.Translate(t.Context(), e.JSON); err != nil {
					t.Fatalf("%s: %v", e.File, err)
				}
				if findings, err := Check(t.Context(), store); err != nil || len(findings) > 0 {
					t.Fatalf("%s, backwards %v, after %s: %v %v", name, backwards, e.File, findings, err)
				}
			}
		}
	}
}

func TestCheckIsBounded(t *testing.T) {
	s := NewMemory()
	var facts []ledger.Fact
	for i := range maxFindings + 50 {
		facts = append(facts, ledger.Fact{Query: query(ledger.NameFact, "a", fmt.Sprint(i)), Record: ledger.Set{"x"}.Encode()})
	}
	commit(t, s, Batch{Facts: facts})
	findings, err := Check(context.Background(), s)
	if err != nil || len(findings) != maxFindings {
		t.Errorf("%d findings, %v", len(findings), err)
	}
}
