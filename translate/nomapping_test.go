package translate_test

import (
	"errors"
	"testing"

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
		if r := alone(t, translate.Settings{NoMapping: translate.NoMappingDrop}, text); len(r.Events) != 0 || len(r.Learned) != 0 {
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
