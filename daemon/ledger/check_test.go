package ledger

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/examples/events"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

func TestCheckFinds(t *testing.T) {
	stamp := func(n int64) translate.Stamp { return translate.Stamp{Time: n, ID: "e"} }
	removal := translate.Entry{Stamp: stamp(2), Removed: true}
	fullLine := lineOf(fullBatch())
	for _, c := range []struct {
		fact translate.Fact // put into a sound ledger, or in place of a record there
		want string
	}{
		{translate.Fact{Query: translate.Query{Kind: translate.EventFact, Key: "plain"}, Record: []byte{}}, "no compact JSON array"},
		{translate.Fact{Query: translate.Query{Kind: translate.EventFact, Key: `["a", "b"]`}, Record: []byte{}}, "no compact JSON array"},
		{translate.Fact{Query: query(translate.EventFact, "a", "b"), Record: []byte{}}, "2 parts in place of 1"},
		{translate.Fact{Query: query(translate.EventFact, "a"), Record: []byte{0x0a, 0x7f}}, "damaged record"},
		{translate.Fact{Query: query(translate.SubjectFact, "ticket", "s", "a"), Record: (&translate.Subject{Anchors: []translate.Anchor{{Type: "EiffelIssueDefinedEvent"}}}).Encode()}, "no type or no id"},
		{translate.Fact{Query: query(translate.SubjectFact, "ticket", "s", "a"), Record: (&translate.Subject{Closures: []translate.Stamp{stamp(2), stamp(1)}}).Encode()}, "closure 1 is out of order"},
		{translate.Fact{Query: query(translate.SubjectFact, "change", "s", "a"), Record: (&translate.Subject{Opened: stamp(1), Anchors: []translate.Anchor{{Type: "EiffelSourceChangeCreatedEvent", First: "x", Last: "x"}}}).Encode()}, `name ["change","a"] does not name "s"`},
		{translate.Fact{Query: query(translate.SubjectFact, "artifact", "", "a"), Record: (&translate.Subject{Anchors: []translate.Anchor{{Type: "EiffelArtifactCreatedEvent", First: "0a6b8ab0-4b6c-4b8e-9a51-4d86c3a4d0c1"}}}).Encode()}, "is an EiffelEnvironmentDefinedEvent and not"},
		{translate.Fact{Query: query(translate.SubjectFact, "service", "s", "a"), Record: (&translate.Subject{Environments: []translate.SubjectKey{{Source: "s", ID: "none"}}}).Encode()}, `line ["s","a","s","none"] is missing`},
		{translate.Fact{Query: query(translate.NameFact, "ticket", "a"), Record: translate.Set{"s"}.Encode()}, `subject ["ticket","s","a"] is missing`},
		{translate.Fact{Query: query(translate.NameFact, "ticket", "a"), Record: translate.Set{}.Encode()}, "0 members"},
		{translate.Fact{Query: query(translate.NameFact, "ticket", "a"), Record: translate.Set{"s", "s"}.Encode()}, "twice"},
		{translate.Fact{Query: query(translate.AliasFact, "ticket", "x", "a"), Record: translate.Set{"s"}.Encode()}, `subject ["ticket","s","a"] is missing`},
		{translate.Fact{Query: query(translate.LineFact, "s", "a", "s", "e"), Record: (&translate.Head{}).Encode()}, "0 entries"},
		{translate.Fact{Query: query(translate.LineFact, "s", "a", "s", "e"), Record: (&translate.Head{Entries: 151, Last: removal}).Encode()}, "151 entries"},
		{translate.Fact{Query: query(translate.LineFact, "s", "a", "s", "e"), Record: (&translate.Head{Entries: 1, Last: translate.Entry{Stamp: stamp(2)}}).Encode()}, "without an artifact"},
		{translate.Fact{Query: query(translate.LineFact, "s", "a", "s", "e"), Record: (&translate.Head{Entries: 1, Last: translate.Entry{Removed: true}}).Encode()}, "no id"},
		{translate.Fact{Query: query(translate.LineFact, "s", "a", "s", "e"), Record: (&translate.Line{Entries: []translate.Entry{removal}}).Encode()}, "damaged"},
		{translate.Fact{Query: query(translate.LineFact, "s", "a", "s", "e"), Record: (&translate.Head{Entries: 1, Last: removal}).Encode()}, "does not name the environment"},
		{translate.Fact{Query: query(translate.LineFact, "s", "a", "s", "e"), Record: (&translate.Head{Entries: 1, Last: removal}).Encode()}, "there are 1 entries, and there are 0"},
		{translate.Fact{Query: fullLine, Record: (&translate.Head{Entries: 3, Epoch: 1, Last: removal}).Encode()}, "there are 3 entries, and there are 2"},
		{translate.Fact{Query: fullLine, Record: (&translate.Head{Entries: 2, Last: translate.Entry{Stamp: stamp(3), Removed: true}}).Encode()}, "not the last one"},
		{translate.Fact{Query: query(translate.EntryFact, "s", "a", "s", "e", "0"), Record: []byte{}}, "no time and id"},
		{translate.Fact{Query: query(translate.EntryFact, "s", "a", "s", "e", stamp(2).Text()), Record: []byte{}}, "without an artifact"},
		{translate.Fact{Query: query(translate.EntryFact, "s", "a", "s", "e", stamp(2).Text()), Record: []byte{0x12, 0x7f}}, "damaged"},
		{translate.Fact{Query: query(translate.EntryFact, "s", "a", "s", "e", stamp(2).Text()), Record: removal.Encode()}, `line ["s","a","s","e"] is missing`},
		{translate.Fact{Query: query(translate.FirstRunFact, "s", "a", "s", "e", "pkg"), Record: stamp(2).Encode()}, `line ["s","a","s","e"] is missing`},
		{translate.Fact{Query: query(translate.PackageFact, "s", "e", "pkg"), Record: translate.Set{"x"}.Encode()}, "no key of a service"},
		{translate.Fact{Query: query(translate.PackageFact, "s", "e", "pkg"), Record: translate.Set{`["s","a"]`}.Encode()}, `line ["s","a","s","e"] is missing`},
		{translate.Fact{Query: query(translate.ServiceFact, "s", "e", "a"), Record: translate.Set{"s"}.Encode()}, `line ["s","a","s","e"] is missing`},
	} {
		s := NewMemory()
		commit(t, s, fullBatch())
		if findings, err := Check(context.Background(), s); err != nil || len(findings) > 0 {
			t.Fatalf("a sound ledger: %v %v", findings, err)
		}
		commit(t, s, Batch{Facts: []translate.Fact{c.fact}})
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
func lineOf(b Batch) translate.Query {
	return b.Facts[slices.IndexFunc(b.Facts, func(f translate.Fact) bool { return f.Query.Kind == translate.LineFact })].Query
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
	var facts []translate.Fact
	for i := range maxFindings + 50 {
		facts = append(facts, translate.Fact{Query: query(translate.NameFact, "a", fmt.Sprint(i)), Record: translate.Set{"x"}.Encode()})
	}
	commit(t, s, Batch{Facts: facts})
	findings, err := Check(context.Background(), s)
	if err != nil || len(findings) != maxFindings {
		t.Errorf("%d findings, %v", len(findings), err)
	}
}
