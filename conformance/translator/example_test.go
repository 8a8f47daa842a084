package translator_test

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/eiffelbridge/eiffelbridge/conformance/translator"
	"github.com/eiffelbridge/eiffelbridge/translate"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// Tests the bridge's own translation of one event type, with an event of one's own besides.
func ExampleTest() {
	cases, err := translator.Generate(translator.Selection{Types: []string{"service.deployed"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	cases = append(cases, translator.Case{Name: "mine", Events: [][]byte{[]byte(`{
		"context": {"specversion": "0.5.1", "id": "4e0b", "source": "https://deploy.example.com", "type": "dev.cdevents.service.deployed.0.3.0", "timestamp": "2026-03-02T08:00:00Z"},
		"subject": {"id": "shop", "content": {"environment": {"id": "prod"}, "artifactId": "pkg:oci/shop@1.4.0"}}
	}`)}})
	newTranslator := func(s translate.Settings) (translate.Translator, error) { return translate.New(s) }
	report, err := translator.Test(context.Background(), newTranslator, translator.Options{Cases: cases})
	if err != nil {
		fmt.Println(err) // there was no test
		return
	}
	fmt.Println(report.Types[0].Type, "breaks a law:", report.Failed())
	// Output: service.deployed breaks a law: false
}

// spacious writes its output with indentation, where compact JSON is promised.
type spacious struct{ translate.Translator }

func (s spacious) Translate(in translate.Event, facts *ledger.Facts) (translate.Result, error) {
	result, err := s.Translator.Translate(in, facts)
	events := make([]translate.Event, len(result.Events))
	for i, e := range result.Events {
		e.JSON, _ = json.MarshalIndent(json.RawMessage(e.JSON), "", "  ")
		events[i] = e
	}
	result.Events = events
	return result, err
}

// Shows what a translator with a fault gets to read.
func ExampleReport() {
	newTranslator := func(s translate.Settings) (translate.Translator, error) {
		engine, err := translate.New(s)
		return spacious{engine}, err
	}
	report, err := translator.Test(context.Background(), newTranslator, translator.Options{
		Cases: []translator.Case{{Name: "mine", Events: [][]byte{[]byte(`{
			"context": {"specversion": "0.5.1", "id": "7a51", "source": "https://k8s.example.com", "type": "dev.cdevents.environment.created.0.3.0", "timestamp": "2026-03-02T08:00:00Z"},
			"subject": {"id": "prod", "content": {}}
		}`)}}},
		Laws:        []string{"output", "determinism"},
		MaxFindings: 1,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range report.Findings {
		fmt.Println(f.Law, f.Type, f.Case, f.Rule)
	}
	// Output: output environment.created mine compact
}

// Lists the laws.
func ExampleLaws() {
	for _, law := range translator.Laws() {
		fmt.Println(law.Name)
	}
	// Output:
	// output
	// links
	// order
	// determinism
	// input
	// idempotence
	// round_trip
	// semantics
	// accounting
}
