package board

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/translate"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

func entry(ms int64, id, artifact string) ledger.Entry {
	return ledger.Entry{Stamp: ledger.Stamp{Time: ms, ID: id}, Artifact: artifact, Removed: artifact == ""}
}

// TestBoard plays lines through; testdata/board.json says what people see.
func TestBoard(t *testing.T) {
	l := translate.NewMemoryLedger()
	lines := map[string]*ledger.Line{
		`["/s","shop","/e","prod"]`: {Entries: []ledger.Entry{entry(1000, "a", "pkg:oci/shop@1.0.0"), entry(2000, "b", "pkg:oci/shop@1.1.0")}},
		`["/s","cart","/e","prod"]`: {Entries: []ledger.Entry{entry(1000, "c", "pkg:oci/cart@1.0.0"), entry(3000, "d", "")}},
		// Its environment was deleted and made again.
		`["/s","shop","/e","test <\"1\">"]`: {Entries: []ledger.Entry{
			entry(1000, "e", "pkg:oci/shop@1.0.0"), entry(6000, "f", "pkg:oci/shop@2.0.0")}},
		`["/s","cart","/e","test <\"1\">"]`: {Entries: []ledger.Entry{
			entry(1000, "g", "pkg:oci/cart@1.0.0"), entry(1500, "h", "")}},
		`["/s","sofa","/e","test <\"1\">"]`: {Entries: []ledger.Entry{entry(1000, "i", "not a purl")}},
	}
	environment := ledger.Subject{Closures: []ledger.Stamp{{Time: 5000, ID: "z"}}}
	facts := []ledger.Fact{{
		Query: ledger.Query{Kind: ledger.SubjectFact, Key: `["environment","/e","test <\"1\">"]`}, Record: environment.Encode(),
	}}
	for key, line := range lines {
		facts = append(facts, line.Facts(key)...)
	}
	if err := l.Apply(t.Context(), facts); err != nil {
		t.Fatal(err)
	}
	services, err := Board(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	got, _ := json.MarshalIndent(services, "", "  ")
	path := filepath.Join("testdata", "board.json")
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(path, append(got, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got)+"\n" != string(want) {
		t.Errorf("got %s", got)
	}
}

func TestDamagedLedger(t *testing.T) {
	for _, f := range []ledger.Fact{
		{Query: ledger.Query{Kind: ledger.EntryFact, Key: `["a"]`}},
		{Query: ledger.Query{Kind: ledger.EntryFact, Key: `["a","b","c","d","e"]`}},
		{Query: ledger.Query{Kind: ledger.EntryFact, Key: `["a","b","c","d","8000000000000000e"]`}, Record: []byte{0xff}},
	} {
		l := translate.NewMemoryLedger()
		if err := l.Apply(t.Context(), []ledger.Fact{f}); err != nil {
			t.Fatal(err)
		}
		if _, err := Board(t.Context(), l); err == nil {
			t.Errorf("no error for %+v", f)
		}
	}
}
