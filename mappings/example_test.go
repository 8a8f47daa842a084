package mappings_test

import (
	"fmt"

	"github.com/eiffelbridge/eiffelbridge/mappings"
)

// Shows what Eiffel event a deployment becomes, and what it links to.
func ExampleLoad() {
	catalogue, err := mappings.Load()
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, row := range catalogue.ToEiffel {
		if row.CDEvent != "service.deployed" {
			continue
		}
		fmt.Println(row.Eiffel)
		for _, link := range row.Links {
			fmt.Println(" ", link.Type, link.Anchor, link.Reference)
		}
	}
	// Output:
	// EiffelArtifactDeployedEvent
	//   ARTIFACT EiffelArtifactCreatedEvent /subject/content/artifactId
	//   ENVIRONMENT EiffelEnvironmentDefinedEvent /subject/content/environment
}

// Says which CDEvents a catalogue knows for the verdict of an Eiffel test case.
func ExampleCatalogue_Vocabulary() {
	catalogue, err := mappings.Load()
	if err != nil {
		fmt.Println(err)
		return
	}
	verdict := catalogue.Vocabulary("verdict")
	for _, words := range verdict.Words {
		fmt.Println(words.Eiffel, "is read from", words.CDEvents)
	}
	fmt.Println("otherwise", verdict.Otherwise.Eiffel)
	fmt.Println(catalogue.Vocabulary("weather") == nil)
	// Output:
	// [PASSED] is read from [success pass passed succeeded]
	// [FAILED] is read from [failure fail failed]
	// [INCONCLUSIVE] is read from [error cancel canceled cancelled aborted]
	// otherwise INCONCLUSIVE
	// true
}

// Reads a catalogue of one's own. To change a few rows of the project's, use package overlay.
func ExampleParse() {
	catalogue, err := mappings.Parse([]byte(`
version: 1
to_eiffel:
  - {cdevent: "*", eiffel: EiffelAnnouncementPublishedEvent, id: event, learns: event}
to_cdevents:
  - {eiffel: "*", cdevent: [dev.cdeventsx.acme-announcement.published.1.0.0], learns: event}
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(catalogue.ToEiffel[0].Eiffel)
	fmt.Println(catalogue.ToCDEvents[0].CDEvent)
	// Output:
	// EiffelAnnouncementPublishedEvent
	// [dev.cdeventsx.acme-announcement.published.1.0.0]
}

// An error shows the line.
func ExampleParse_unknownKey() {
	_, err := mappings.Parse([]byte("version: 1\nto_eifel: []\n"))
	fmt.Println(err)
	// Output:
	// read the catalogue: line 2: to_eifel: is not a known key; did you mean to_eiffel?
}
