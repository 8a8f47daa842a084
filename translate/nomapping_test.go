package translate_test

import (
	"errors"
	"testing"
	"time"

	"github.com/eiffelbridge/eiffelbridge/translate"
)

// TestNoMapping has an event of each protocol that has no counterpart of its own: announced, refused or dropped.
func TestNoMapping(t *testing.T) {
	for name, text := range map[string]string{
		"CDEvent": `{"context":{"specversion":"0.5.1","id":"e","source":"s","type":"dev.cdeventsx.tool-thing.happened.0.1.0","timestamp":"2026-03-01T09:30:00Z"},"subject":{"id":"x","content":{}}}`,
		"Eiffel":  `{"meta":{"id":"00000000-0000-4000-8000-000000000901","type":"EiffelCompositionDefinedEvent","version":"3.3.0","time":5},"data":{"name":"x"},"links":[]}`,
	} {
		if r := alone(t, translate.Settings{}, text); len(r.Events) != 1 {
			t.Errorf("%s: announced as %d events", name, len(r.Events))
		}
		if r := alone(t, translate.Settings{NoMapping: translate.NoMappingDrop}, text); len(r.Events) != 0 || !hasDiagnostic(r, "no_mapping") {
			t.Errorf("%s: not dropped: %s", name, texts(r.Events))
		}
		refuse := newSession(t, translate.Settings{NoMapping: translate.NoMappingRefuse})
		_, err := refuse.Translate(t.Context(), []byte(text))
		var e *translate.EventError
		if !errors.As(err, &e) || e.Code != translate.CodeNoMapping {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDroppedLinksResolve drops a composition, which has no counterpart, and still follows it to the change that an
// artifact was made from.
func TestDroppedLinksResolve(t *testing.T) {
	s := newSession(t, translate.Settings{NoMapping: translate.NoMappingDrop})
	n := &names{map[string]string{}}
	at := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	for _, line := range []string{
		`SourceChangeSubmitted S {"gitIdentifier":{"commitId":"abc","repoUri":"r"}}`,
		`CompositionDefined C {"name":"x"} ELEMENT S`,
	} {
		words, data := splitLine(line)
		through(t, s, inputEvent(t, line, n, at, words, data))
	}
	words, data := splitLine(`ArtifactCreated P {"identity":"pkg:oci/x@1"} COMPOSITION C`)
	made := only(t, through(t, s, inputEvent(t, "artifact", n, at, words, data)))
	if got := field(t, made, "/subject/content/change/id").Str(); got != "abc" {
		t.Errorf("the change is %q: %s", got, made.JSON)
	}
}
