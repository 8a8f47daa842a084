package translate_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/translate"
)

// fixed gives the same for every event.
type fixed struct {
	result translate.Result
	err    error
}

func (f fixed) Translate(translate.Event, *translate.Facts) (translate.Result, error) {
	return f.result, f.err
}

func rowed(row string) fixed { return fixed{result: translate.Result{Row: row}} }

var refusesAll = fixed{err: &translate.EventError{Code: translate.CodeNoMapping, Message: "not mine"}}

func TestCompose(t *testing.T) {
	broken := fixed{err: &translate.EventError{Code: translate.CodeInvalid, Message: "broken"}}
	asks := fixed{result: translate.Result{Need: []translate.Query{{Kind: translate.EventFact, Key: `["x"]`}}}}
	round := fixed{result: translate.Result{Row: "round", Returning: translate.Dropped}}
	edit := func(_ translate.Event, made translate.Result, _ *translate.Facts) (translate.Result, error) {
		made.Row += ", edited"
		return made, nil
	}
	for name, c := range map[string]struct {
		t    translate.Translator
		want string // the row, the code of the error, or "asks"
	}{
		"fallback, the first has it":                       {translate.Fallback(rowed("a"), rowed("b")), "a"},
		"fallback, the first has not":                      {translate.Fallback(refusesAll, rowed("b")), "b"},
		"fallback, the first fails":                        {translate.Fallback(broken, rowed("b")), translate.CodeInvalid},
		"fallback, none has it":                            {translate.Fallback(refusesAll, refusesAll), translate.CodeNoMapping},
		"fallback, the first asks":                         {translate.Fallback(asks, rowed("b")), "asks"},
		"override, it has it":                              {translate.Override(rowed("a"), rowed("b")), "b"},
		"override, it has not":                             {translate.Override(rowed("a"), refusesAll), "a"},
		"override, it fails":                               {translate.Override(rowed("a"), broken), translate.CodeInvalid},
		"override, the base fails":                         {translate.Override(broken, rowed("b")), "b"},
		"override, the base fails and it has not":          {translate.Override(broken, refusesAll), translate.CodeInvalid},
		"override, the base asks":                          {translate.Override(asks, rowed("b")), "asks"},
		"override, an event that came round is the base's": {translate.Override(round, rowed("b")), "round"},
		"decorate":                               {translate.Decorate(rowed("a"), edit), "a, edited"},
		"decorate, the base fails":               {translate.Decorate(broken, edit), translate.CodeInvalid},
		"decorate, the base asks":                {translate.Decorate(asks, edit), "asks"},
		"decorate, not an event that came round": {translate.Decorate(round, edit), "round"},
	} {
		r, err := c.t.Translate(translate.Event{}, &translate.Facts{})
		got := r.Row
		var e *translate.EventError
		switch {
		case errors.As(err, &e):
			got = e.Code
		case len(r.Need) > 0:
			got = "asks"
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// TestCheckOutput takes what the bridge itself makes, and nothing that claims what is not so.
func TestCheckOutput(t *testing.T) {
	const text = `{"context":{"specversion":"0.5.1","id":"e","source":"s","type":"dev.cdevents.environment.created.0.3.0","timestamp":"2026-03-01T09:30:00Z"},"subject":{"id":"x","content":{}}}`
	in, err := translate.Decode([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, carry := range []translate.Carry{translate.CarryOriginal, translate.CarryNone} {
		r := alone(t, translate.Settings{Carry: carry}, text)
		for _, e := range r.Events {
			if err := translate.CheckOutput(in, e); err != nil {
				t.Error(err)
			}
		}
	}
	id := translate.DerivedID(in)
	if again := translate.DerivedID(in); again != id || translate.DerivedID(in, "part") == id {
		t.Error("derived ids")
	}
	for entry, want := range map[string]string{
		``: "",
		`,"customData":[{"key":"cdevents","value":"a user's"}]`:                                                                                 "",
		`,"customData":[{"key":"cdevents","value":{"id":"e"}}]`:                                                                                 "",
		`,"customData":[{"key":"cdevents","value":{"id":"other"}}]`:                                                                             "claims to be made of another event",
		`,"customData":[{"key":"cdevents","value":{"synthesizedFor":"other"}}]`:                                                                 "claims to be made of another event",
		`,"customData":[{"key":"cdevents","value":{"event":` + text + `}}]`:                                                                     "",
		`,"customData":[{"key":"cdevents","value":{"event":` + strings.Replace(text, `"x"`, `"y"`, 1) + `}}]`:                                   "carries an original that is not",
		`,"customData":[{"key":"cdevents","value":{"event":{}}}]`:                                                                               "carries an original that is not",
		`,"customData":[{"key":"cdevents","value":{"id":"e"}},{"key":"cdevents","value":{"event":` + strings.Replace(text, "e", "f", 1) + `}}]`: "carries an original that is not",
		`,"unknown":1`: "unknown",
	} {
		out, err := translate.Decode(fmt.Appendf(nil, `{"meta":{"id":%q,"type":"EiffelCompositionDefinedEvent","version":"3.3.0","time":5},"data":{"name":"x"%s},"links":[]}`, id, entry))
		if err != nil {
			t.Fatal(err)
		}
		problem := translate.CheckOutput(in, out)
		if (problem == nil) != (want == "") || problem != nil && (problem.Code != translate.CodeInvalidOutput || problem.ID != "e" || !strings.Contains(problem.Message, want)) {
			t.Errorf("%s: %v", entry, problem)
		}
	}
	if err := translate.CheckOutput(in, in); err == nil || !strings.Contains(err.Message, "an event of cdevents itself") {
		t.Error(err)
	}
}

// TestCheckFact: of what a translator of others learned, only what a ledger can take is taken.
func TestCheckFact(t *testing.T) {
	entry := translate.Query{Kind: translate.EntryFact, Key: `["a","b","c","d","8000000000000000e"]`}
	ranged := entry
	ranged.Range.Limit = 1
	name := translate.Query{Kind: translate.NameFact, Key: `["a","b"]`}
	set := translate.Set{"c"}.Encode()
	line := translate.Line{Entries: []translate.Entry{{Stamp: translate.Stamp{Time: 1, ID: "e"}, Removed: true}}}
	for what, c := range map[string]struct {
		fact translate.Fact
		want string
	}{
		"a set":               {translate.Fact{Query: name, Record: set}, ""},
		"an entry":            {translate.Fact{Query: entry, Record: []byte{}}, ""},
		"a forgotten entry":   {translate.Fact{Query: entry, Forget: true}, ""},
		"an old line":         {translate.Fact{Query: translate.Query{Kind: translate.LineFact, Key: `["a","b","c","d"]`}, Record: line.Encode()}, ""},
		"an unknown kind":     {translate.Fact{Query: translate.Query{Kind: 'P', Key: `["a"]`}}, "facts of kind 80"},
		"a key with a space":  {translate.Fact{Query: translate.Query{Kind: translate.NameFact, Key: `["a", "b"]`}, Record: set}, "no compact JSON array"},
		"a damaged record":    {translate.Fact{Query: name, Record: []byte{0x0a, 0xff}}, "damaged"},
		"a range":             {translate.Fact{Query: ranged, Record: []byte{}}, "range"},
		"a forgotten name":    {translate.Fact{Query: name, Forget: true}, "cannot be forgotten"},
		"forgetting a record": {translate.Fact{Query: entry, Record: set, Forget: true}, "a record besides"},
	} {
		err := translate.CheckFact(c.fact)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", what, err, c.want)
		}
	}
}
