package translate_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/mappings"
	"github.com/eiffelbridge/eiffelbridge/mappings/overlay"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// TestMadeUpCompositionsComeToNothing: what was made up for any version of a type, or for the row of an overlay, translates
// back into nothing.
func TestMadeUpCompositionsComeToNothing(t *testing.T) {
	catalogue, err := overlay.Parse(nil, "overlay.yaml", []byte(`version: 1
to_eiffel:
  - cdevent: acme-smoke.queued
    eiffel: EiffelTestCaseTriggeredEvent
    id: event
    links:
      - {type: IUT, target: tested, required: true}
    data:
      - {to: /testCase/tracker, const: t}
      - {to: /testCase/id, value: event.subject.id}
`))
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"version 0.20.0": compositionComesBack(t, nil, "0.20.0"),
		"version 0.3.10": compositionComesBack(t, nil, "0.3.10"),
		"an overlay":     compositionComesBack(t, catalogue, ""),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// compositionComesBack has an event that needs a composition, which is made up, and translates that back.
func compositionComesBack(t *testing.T, catalogue *mappings.Catalogue, version string) error {
	t.Helper()
	text := `{"context":{"specversion":"0.5.1","id":"e","source":"/s","type":"dev.cdevents.testcaserun.queued.` + version + `","timestamp":"2026-03-01T09:00:00Z"},` +
		`"subject":{"id":"t","content":{"environment":{"id":"lab"}}}}`
	if catalogue != nil {
		text = strings.NewReplacer("dev.cdevents.testcaserun.queued.", "dev.cdeventsx.acme-smoke.queued.0.1.0").Replace(text)
	}
	made, back := madeUp(t, newEngine(t, translate.Settings{Catalogue: catalogue}), text)
	compositions := 0
	for i, e := range made {
		if e.Type != "EiffelCompositionDefinedEvent" {
			continue
		}
		compositions++
		if len(back[i]) != 0 {
			return fmt.Errorf("%s\ntranslates back into\n%s", e.JSON, texts(back[i]))
		}
	}
	if compositions == 0 {
		t.Fatal("no composition was made up")
	}
	return nil
}
