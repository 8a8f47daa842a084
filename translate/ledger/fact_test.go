package ledger_test

import (
	"strings"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// TestCheckFact: of what a translator of others learned, only what a ledger can take is taken.
func TestCheckFact(t *testing.T) {
	entry := ledger.Query{Kind: ledger.EntryFact, Key: `["a","b","c","d","8000000000000000e"]`}
	ranged := entry
	ranged.Range.Limit = 1
	name := ledger.Query{Kind: ledger.NameFact, Key: `["a","b"]`}
	set := ledger.Set{"c"}.Encode()
	line := ledger.Line{Entries: []ledger.Entry{{Stamp: ledger.Stamp{Time: 1, ID: "e"}, Removed: true}}}
	for what, c := range map[string]struct {
		fact ledger.Fact
		want string
	}{
		"a set":               {ledger.Fact{Query: name, Record: set}, ""},
		"an entry":            {ledger.Fact{Query: entry, Record: []byte{}}, ""},
		"a forgotten entry":   {ledger.Fact{Query: entry, Forget: true}, ""},
		"an old line":         {ledger.Fact{Query: ledger.Query{Kind: ledger.LineFact, Key: `["a","b","c","d"]`}, Record: line.Encode()}, ""},
		"an unknown kind":     {ledger.Fact{Query: ledger.Query{Kind: 'P', Key: `["a"]`}}, "facts of kind 80"},
		"a key with a space":  {ledger.Fact{Query: ledger.Query{Kind: ledger.NameFact, Key: `["a", "b"]`}, Record: set}, "no compact JSON array"},
		"a damaged record":    {ledger.Fact{Query: name, Record: []byte{0x0a, 0xff}}, "damaged"},
		"a range":             {ledger.Fact{Query: ranged, Record: []byte{}}, "range"},
		"a forgotten name":    {ledger.Fact{Query: name, Forget: true}, "cannot be forgotten"},
		"forgetting a record": {ledger.Fact{Query: entry, Record: set, Forget: true}, "a record besides"},
	} {
		err := c.fact.Check()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", what, err, c.want)
		}
	}
}
