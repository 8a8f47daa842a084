package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// fullBatch has a record of every kind with everything that it can hold, and two parked events. It is sound.
func fullBatch() Batch {
	service := ledger.SubjectKey{Kind: "service", Source: "https://ci", ID: "shop \"é\"\u2028<&>"}
	environment := ledger.SubjectKey{Kind: "environment", Source: "https://ci", ID: "production"}
	first, last := "0a6b8ab0-4b6c-4b8e-9a51-4d86c3a4d0c1", "0a6b8ab0-4b6c-4b8e-9a51-4d86c3a4d0c2"
	stamp := func(n int64) ledger.Stamp { return ledger.Stamp{Time: n, ID: fmt.Sprint("e", n)} }
	q := func(kind ledger.FactKind, parts ...string) ledger.Query {
		return ledger.Query{Kind: kind, Key: joinKey(parts...)}
	}
	anchored := &ledger.Subject{
		Anchors: []ledger.Anchor{{Type: "EiffelEnvironmentDefinedEvent", First: first, Last: last, Synthesized: true, From: "ctx"}},
		Opened:  stamp(5), Closures: []ledger.Stamp{stamp(-3), stamp(9)}, Text: "pkg:a/b@1",
	}
	running := &ledger.Subject{Environments: []ledger.SubjectKey{environment}}
	line := &ledger.Line{
		Entries: []ledger.Entry{
			{Stamp: stamp(1), Artifact: "pkg:a/b@1?x=y", Key: "pkg:a/b@1", Config: first},
			{Stamp: stamp(2), Removed: true},
		},
		FirstRuns: []ledger.FirstRun{{Artifact: "pkg:a/b@1", Stamp: stamp(1)}},
	}
	event := &ledger.EiffelEvent{Type: "EiffelEnvironmentDefinedEvent", Time: 1700000000123, Subject: environment,
		Environment: environment, Artifact: "pkg:a/b@1", Chain: last, ContextID: "ctx", Emitted: true, Synthesized: true,
		Links: []ledger.EiffelLink{{Type: "CAUSE", Target: last, DomainID: "d"}}}
	set := func(members ...string) []byte { return ledger.Set(members).Encode() }
	history := line.Facts(joinKey(service.Source, service.ID, environment.Source, environment.ID))
	return Batch{
		Facts: append(history, []ledger.Fact{
			{Query: q(ledger.SubjectFact, "environment", environment.Source, environment.ID), Record: anchored.Encode()},
			{Query: q(ledger.SubjectFact, "service", service.Source, service.ID), Record: running.Encode()},
			{Query: q(ledger.NameFact, "environment", environment.ID), Record: set(environment.Source)},
			{Query: q(ledger.NameFact, "service", service.ID), Record: set(service.Source)},
			{Query: q(ledger.AliasFact, "service", "other", service.ID), Record: set(service.Source)},
			{Query: q(ledger.EventFact, first), Record: event.Encode()},
			{Query: q(ledger.ContextFact, "ctx"), Record: ledger.Contexts{{Source: "s", Type: "t", Eiffel: first, Emitted: true}}.Encode()},
			{Query: q(ledger.DecisionFact, "eiffel", "s", "ctx", "t"), Record: ledger.Decision{{Name: "id", Value: first}, {Name: "p", Value: ""}}.Encode()},
			{Query: q(ledger.PackageFact, environment.Source, environment.ID, "pkg:a/b"), Record: set(joinKey(service.Source, service.ID))},
			{Query: q(ledger.ServiceFact, environment.Source, environment.ID, service.ID), Record: set(service.Source)},
			{Query: q(ledger.RunsFact, environment.Source, environment.ID), Record: set(joinKey(service.Source, service.ID))},
		}...),
		Park: []Parked{{"p/1", []byte{0, 1, 255}}, {"p\"2", nil}},
	}
}

func export(t testing.TB, s Store) string {
	t.Helper()
	var out bytes.Buffer
	if err := Export(context.Background(), s, &out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestExportImport(t *testing.T) {
	ctx := context.Background()
	from := NewMemory()
	commit(t, from, fullBatch())
	dump := export(t, from)
	if !strings.HasPrefix(dump, "{\"format\":\"eiffelbridge-ledger\",\"version\":2}\n{\"kind\":\"subject\",\"key\":[\"environment\",") ||
		strings.Count(dump, "\n") != 18 {
		t.Errorf("dump:\n%s", dump)
	}
	eachStore(t, func(t *testing.T, s Store) {
		if err := Import(ctx, s, strings.NewReader(dump), ImportSettings{}); err != nil {
			t.Fatal(err)
		}
		if got := export(t, s); got != dump {
			t.Errorf("the dump became\n%s\nfrom\n%s", got, dump)
		}
		for _, kind := range ledger.FactKinds() {
			want, got := contents(t, from, kind), contents(t, s, kind)
			for i := range want {
				if len(got) <= i || got[i].Query != want[i].Query || !bytes.Equal(got[i].Record, want[i].Record) {
					t.Errorf("the records of kind %s differ", kind)
				}
			}
		}
		if findings, err := Check(ctx, s); err != nil || len(findings) > 0 {
			t.Errorf("check: %v %v", findings, err)
		}
		if err := Import(ctx, s, strings.NewReader(dump), ImportSettings{}); !errors.Is(err, ErrNotEmpty) {
			t.Errorf("import into a ledger that is not empty: %v", err)
		}
		if err := Import(ctx, s, strings.NewReader(dump), ImportSettings{Merge: true}); err != nil || export(t, s) != dump {
			t.Errorf("the second import changed something: %v", err)
		}
	})
}

func TestExportEmpty(t *testing.T) {
	eachStore(t, func(t *testing.T, s Store) {
		dump := export(t, s)
		if dump != "{\"format\":\"eiffelbridge-ledger\",\"version\":2}\n" {
			t.Errorf("dump: %q", dump)
		}
		if err := Import(context.Background(), s, strings.NewReader(dump), ImportSettings{}); err != nil {
			t.Error(err)
		}
	})
}

func TestImportRefuses(t *testing.T) {
	header := `{"format":"eiffelbridge-ledger","version":1}` + "\n"
	good := `{"kind":"name","key":["a","b"],"value":["c"]}` + "\n"
	for _, c := range []struct{ dump, want string }{
		{"", "line 1: "},
		{"{}\n", "line 1: "},
		{good, "line 1: "},
		{`{"format":"eiffelbridge-ledger","version":3,"more":1}`, "version 3"},
		{header + good + "\n{", "line 4: "},
		{header + good + `{"kind":"name","key":["a","b"],"value":["c"],"more":1}`, "line 3: "},
		{header + `{"kind":"name","kind":"name","key":["a","b"],"value":["c"]}`, "line 2: "},
		{header + `{"kind":"none","key":["a","b"],"value":["c"]}`, "unknown kind"},
		{header + `{"kind":"name","key":["a"],"value":["c"]}`, "1 parts in place of 2"},
		{header + `{"kind":"name","key":"a","value":["c"]}`, "key: "},
		{header + `{"kind":"name","key":["a","b"]}`, "value: "},
		{header + `{"kind":"name","key":["a","b"],"value":null}`, "value: "},
		{header + `{"kind":"subject","key":["a","b","c"],"value":{"anchors":[{"typ":"x"}]}}`, "value: "},
		{header + `{"kind":"name","key":["a","b"],"value":["c"],"record":"AA=="}`, "no record"},
		{header + `{"kind":"line","key":["a","b","c","d"],"value":{"entries":[{"time":2,"id":"x","removed":true},{"time":1,"id":"x","removed":true}]}}`, "out of order"},
		{header + `{"kind":"parked","key":"","record":"AA=="}`, "key"},
		{header + `{"kind":"parked","key":"a","record":"A"}`, "line 2: "},
		{header + `{"kind":"parked","key":"a","value":{}}`, "line 2: "},
		{header + "{\"kind\":\"name\",\"key\":[\"a\",\"\xff\"],\"value\":[\"c\"]}", "line 2: "},
	} {
		s := NewMemory()
		err := Import(context.Background(), s, strings.NewReader(c.dump), ImportSettings{})
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "import ledger: ") {
			t.Errorf("%q gives %v, want %q", c.dump, err, c.want)
		}
	}
}

func TestImportLarge(t *testing.T) {
	var dump strings.Builder
	dump.WriteString(`{"format":"eiffelbridge-ledger","version":2}` + "\n")
	const lines = 3*importBatch + 7
	for i := range lines {
		fmt.Fprintf(&dump, `{"kind":"name","key":["a","%06d"],"value":["c"]}`+"\n", i)
	}
	s := mustOpen(t, filepath.Join(t.TempDir(), "ledger"), Options{})
	if err := Import(context.Background(), s, strings.NewReader(dump.String()), ImportSettings{}); err != nil {
		t.Fatal(err)
	}
	if got := export(t, s); got != dump.String() {
		t.Errorf("%d bytes became %d", dump.Len(), len(got))
	}
}

// FuzzImport: whatever is imported can be exported, and the dump of that is the same again.
func FuzzImport(f *testing.F) {
	s := NewMemory()
	if err := s.Commit(context.Background(), fullBatch()); err != nil {
		f.Fatal(err)
	}
	var whole bytes.Buffer
	if err := Export(context.Background(), s, &whole); err != nil {
		f.Fatal(err)
	}
	header, rest, _ := strings.Cut(whole.String(), "\n")
	f.Add(whole.String())
	for line := range strings.Lines(rest) {
		f.Add(header + "\n" + line)
	}
	f.Fuzz(func(t *testing.T, dump string) {
		ctx := context.Background()
		s := NewMemory()
		if err := Import(ctx, s, strings.NewReader(dump), ImportSettings{}); err != nil {
			return
		}
		if _, err := Check(ctx, s); err != nil {
			t.Fatal(err)
		}
		first := export(t, s)
		again := NewMemory()
		if err := Import(ctx, again, strings.NewReader(first), ImportSettings{}); err != nil {
			t.Fatalf("%v\n%s", err, first)
		}
		if second := export(t, again); second != first {
			t.Fatalf("%s became %s", first, second)
		}
	})
}
