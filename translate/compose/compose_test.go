package compose_test

import (
	"errors"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/translate"
	"github.com/eiffelbridge/eiffelbridge/translate/compose"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// fixed gives the same for every event.
type fixed struct {
	result translate.Result
	err    error
}

func (f fixed) Translate(translate.Event, *ledger.Facts) (translate.Result, error) {
	return f.result, f.err
}

func rowed(row string) fixed { return fixed{result: translate.Result{Row: row}} }

var refusesAll = fixed{err: &translate.EventError{Code: translate.CodeNoMapping, Message: "not mine"}}

func TestCompose(t *testing.T) {
	broken := fixed{err: &translate.EventError{Code: translate.CodeInvalid, Message: "broken"}}
	asks := fixed{result: translate.Result{Need: []ledger.Query{{Kind: ledger.EventFact, Key: `["x"]`}}}}
	round := fixed{result: translate.Result{Row: "round", Returning: translate.ReturningDrop}}
	edit := func(_ translate.Event, made translate.Result, _ *ledger.Facts) (translate.Result, error) {
		made.Row += ", edited"
		return made, nil
	}
	for name, c := range map[string]struct {
		t    translate.Translator
		want string // the row, the code of the error, or "asks"
	}{
		"fallback, the first has it":                       {compose.Fallback(rowed("a"), rowed("b")), "a"},
		"fallback, the first has not":                      {compose.Fallback(refusesAll, rowed("b")), "b"},
		"fallback, the first fails":                        {compose.Fallback(broken, rowed("b")), translate.CodeInvalid},
		"fallback, none has it":                            {compose.Fallback(refusesAll, refusesAll), translate.CodeNoMapping},
		"fallback, the first asks":                         {compose.Fallback(asks, rowed("b")), "asks"},
		"override, it has it":                              {compose.Override(rowed("a"), rowed("b")), "b"},
		"override, it has not":                             {compose.Override(rowed("a"), refusesAll), "a"},
		"override, it fails":                               {compose.Override(rowed("a"), broken), translate.CodeInvalid},
		"override, the base fails":                         {compose.Override(broken, rowed("b")), "b"},
		"override, the base fails and it has not":          {compose.Override(broken, refusesAll), translate.CodeInvalid},
		"override, the base asks":                          {compose.Override(asks, rowed("b")), "asks"},
		"override, an event that came round is the base's": {compose.Override(round, rowed("b")), "round"},
		"decorate":                               {compose.Decorate(rowed("a"), edit), "a, edited"},
		"decorate, the base fails":               {compose.Decorate(broken, edit), translate.CodeInvalid},
		"decorate, the base asks":                {compose.Decorate(asks, edit), "asks"},
		"decorate, not an event that came round": {compose.Decorate(round, edit), "round"},
	} {
		r, err := c.t.Translate(translate.Event{}, &ledger.Facts{})
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
