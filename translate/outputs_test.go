package translate_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/translate"
)

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
			if err := in.CheckOutput(e); err != nil {
				t.Error(err)
			}
		}
	}
	id := in.DerivedID()
	if again := in.DerivedID(); again != id || in.DerivedID("part") == id {
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
		problem := in.CheckOutput(out)
		if (problem == nil) != (want == "") || problem != nil && (problem.Code != translate.CodeInvalidOutput || problem.ID != "e" || !strings.Contains(problem.Message, want)) {
			t.Errorf("%s: %v", entry, problem)
		}
	}
	if err := in.CheckOutput(in); err == nil || !strings.Contains(err.Message, "an event of cdevents itself") {
		t.Error(err)
	}
}
