package overlay_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/eiffelbridge/eiffelbridge/mappings"
	"github.com/eiffelbridge/eiffelbridge/mappings/overlay"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// shipped is a custom CDEvent, which the project's own catalogue has no row for.
const shipped = `{
	"context": {"specversion": "0.5.1", "id": "b1c7", "source": "https://release.example.com", "type": "dev.cdeventsx.acme-release.shipped.1.0.0", "timestamp": "2026-03-02T08:00:00Z"},
	"subject": {"id": "spring", "content": {"artifact": "pkg:npm/shop@1.4.0", "approvedBy": "kim"}}
}`

// show translates an event by a catalogue and lists what it becomes.
func show(catalogue *mappings.Catalogue, event string) {
	settings := translate.DefaultSettings()
	settings.Catalogue = catalogue
	engine, err := translate.New(settings)
	if err != nil {
		fmt.Println(err)
		return
	}
	result, err := translate.NewSession(engine, translate.NewMemoryLedger()).Translate(context.Background(), []byte(event))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range result.Events {
		fmt.Println(e.Type)
	}
}

// Maps a company's own event to a confidence level of the artifact that it names.
func ExampleParse() {
	catalogue, err := overlay.Parse(nil, "acme.yaml", []byte(`
version: 1
to_eiffel:
  - cdevent: acme-release.shipped
    eiffel: EiffelConfidenceLevelModifiedEvent
    links:
      - {type: SUBJECT, target: anchor, anchor: EiffelArtifactCreatedEvent, subject: artifact, reference: /subject/content/artifact, required: true}
    data:
      - {to: /name, value: '"released-" + subject.id'}
      - {to: /value, const: SUCCESS}
      - {to: /issuer/name, from: /subject/content/approvedBy}
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("Without the overlay:")
	show(nil, shipped)
	fmt.Println("With it:")
	show(catalogue, shipped)
	// Output:
	// Without the overlay:
	// EiffelAnnouncementPublishedEvent
	// With it:
	// EiffelArtifactCreatedEvent
	// EiffelConfidenceLevelModifiedEvent
}

// Reads two files. The row of the later one counts.
func ExampleLoad() {
	folder, err := os.MkdirTemp("", "overlays")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(folder)
	company, team := filepath.Join(folder, "company.yaml"), filepath.Join(folder, "team.yaml")
	for file, text := range map[string]string{
		company: `{version: 1, to_eiffel: [{cdevent: acme-release.shipped, eiffel: EiffelActivityTriggeredEvent, data: [{to: /name, value: subject.id}]}]}`,
		team:    `{version: 1, to_eiffel: [{cdevent: acme-release.shipped, eiffel: EiffelCompositionDefinedEvent, data: [{to: /name, value: subject.id}]}]}`,
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			fmt.Println(err)
			return
		}
	}
	for _, files := range [][]string{{company}, {company, team}} {
		catalogue, err := overlay.Load(nil, files...)
		if err != nil {
			fmt.Println(err)
			return
		}
		show(catalogue, shipped)
	}
	// Output:
	// EiffelActivityTriggeredEvent
	// EiffelCompositionDefinedEvent
}

// Lists everything that is wrong in an overlay.
func ExampleError() {
	_, err := overlay.Parse(nil, "acme.yaml", []byte(`
version: 1
to_eiffel:
  - cdevent: acme-release.shipped
    eiffel: EiffelReleaseEvent
  - cdevent: acme-release.withdrawn
    eiffel: EiffelActivityTriggeredEvent
    data:
      - {to: /name, value: subject.name}
`))
	var wrong *overlay.Error
	if errors.As(err, &wrong) {
		for _, p := range wrong.Problems {
			fmt.Printf("line %d, %s\n", p.Line, p.Key)
		}
	}
	// Output:
	// line 5, to_eiffel[0].eiffel
	// line 9, to_eiffel[1].data[0].value
}
