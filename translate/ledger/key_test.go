package ledger_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// TestKeys holds the key of every kind to its text, which stores and dumps have.
func TestKeys(t *testing.T) {
	s := ledger.SubjectKey{Kind: "service", Source: "https://a.example.com", ID: `sh"op`}
	e := ledger.SubjectKey{Kind: "environment", Source: "", ID: "pröd\n"}
	for _, c := range []struct {
		query ledger.Query
		kind  ledger.FactKind
		key   string
	}{
		{ledger.SubjectQuery(s), ledger.SubjectFact, `["service","https://a.example.com","sh\"op"]`},
		{ledger.NameQuery("service", "shop"), ledger.NameFact, `["service","shop"]`},
		{ledger.AliasQuery(e), ledger.AliasFact, `["environment","","pröd\n"]`},
		{ledger.EventQuery("i"), ledger.EventFact, `["i"]`},
		{ledger.ContextQuery("</>"), ledger.ContextFact, `["</>"]`},
		{ledger.DecisionQuery("eiffel", "s", "i", "t"), ledger.DecisionFact, `["eiffel","s","i","t"]`},
		{ledger.LineQuery(s, e), ledger.LineFact, `["https://a.example.com","sh\"op","","pröd\n"]`},
		{ledger.PackageQuery(e, "pkg:oci/shop"), ledger.PackageFact, `["","pröd\n","pkg:oci/shop"]`},
		{ledger.ServiceQuery(e, "shop"), ledger.ServiceFact, `["","pröd\n","shop"]`},
		{ledger.RunsQuery(e), ledger.RunsFact, `["","pröd\n"]`},
	} {
		if want := (ledger.Query{Kind: c.kind, Key: c.key}); c.query != want {
			t.Errorf("the query is %v, want %v", c.query, want)
		}
	}
	at := ledger.Stamp{Time: 255, ID: "0b31b1c0-2ff4-58ad-9b7b-81cbdf8f028b"}
	const line = `["https://a.example.com","sh\"op","","pröd\n"`
	for _, c := range []struct {
		query, want ledger.Query
	}{
		{ledger.EntryQuery(s, e, at), ledger.Query{Kind: ledger.EntryFact, Key: line + `,"80000000000000ff0b31b1c0-2ff4-58ad-9b7b-81cbdf8f028b"]`}},
		{ledger.EntryQuery(s, e, ledger.Stamp{ID: `"é`}),
			ledger.Query{Kind: ledger.EntryFact, Key: line + `,"8000000000000000\"é"]`}},
		{ledger.EntriesQuery(s, e, at.Text(), 7),
			ledger.Query{Kind: ledger.EntryFact, Key: line + `]`, Range: ledger.Range{Before: "80000000000000ff0b31b1c0-2ff4-58ad-9b7b-81cbdf8f028b", Limit: 7}}},
		{ledger.FirstRunQuery(s, e, "pkg:oci/shop"),
			ledger.Query{Kind: ledger.FirstRunFact, Key: line + `,"pkg:oci/shop"]`}},
		{ledger.FirstRunsQuery(s, e), ledger.Query{Kind: ledger.FirstRunFact, Key: line + `]`, Range: ledger.Range{Limit: ledger.All}}},
	} {
		if c.query != c.want {
			t.Errorf("the query is %+v, want %+v", c.query, c.want)
		}
	}
	for _, k := range []ledger.SubjectKey{s, e, {}} {
		if back, ok := ledger.ParseSubjectKey(k.Kind, k.Key()); !ok || back != k {
			t.Errorf("%+v came back as %+v, %t", k, back, ok)
		}
	}
	if parts, ok := ledger.ParseKey(`["a","","\u00e9"]`); !ok || !reflect.DeepEqual(parts, []string{"a", "", "é"}) {
		t.Errorf("the parts are %q, %t", parts, ok)
	}
	for _, key := range []string{``, `{}`, `["a",1]`, `["a"`, `"a"`, `["`, `["]`, `["a"b"]`, `["a","b]`, `["a""b"]`} {
		if parts, ok := ledger.ParseKey(key); ok {
			t.Errorf("%s is a key of %q", key, parts)
		}
	}
	for key, want := range map[string][]string{`[""]`: {""}, `["",""]`: {"", ""}, `["a, b","[c]"]`: {"a, b", "[c]"}, ` [ "a" ] `: {"a"}, `["a",","]`: {"a", ","}, `["a\"","b",","]`: {`a"`, "b", ","}, `[]`: nil} {
		if parts, ok := ledger.ParseKey(key); !ok || !reflect.DeepEqual(parts, want) {
			t.Errorf("the parts of %s are %q, %t", key, parts, ok)
		}
	}
	if _, ok := ledger.ParseSubjectKey("service", `["a"]`); ok {
		t.Error("a key of one part is a subject's")
	}
}

// TestKeyAllocations: a query costs its key's string, and an appended key nothing, however long.
func TestKeyAllocations(t *testing.T) {
	s := ledger.SubjectKey{Kind: "service", Source: "https://a.example.com/" + strings.Repeat("x", 30), ID: "shop"}
	at := ledger.Stamp{Time: 1, ID: "0b31b1c0-2ff4-58ad-9b7b-81cbdf8f028b"}
	room := make([]byte, 0, 1024)
	var q ledger.Query
	for name, c := range map[string]struct {
		f    func()
		want float64
	}{
		"query":  {func() { q = ledger.LineQuery(s, s) }, 1},
		"append": {func() { about := ledger.AboutLine(s, s); room = about.AppendKey(room[:0]) }, 0},
		"entry":  {func() { q = ledger.EntryQuery(s, s, at) }, 1},
		"key":    {func() { q.Key = s.Key() }, 1},
	} {
		if got := testing.AllocsPerRun(100, c.f); got != c.want {
			t.Errorf("%s: %v allocations, want %v", name, got, c.want)
		}
	}
}
