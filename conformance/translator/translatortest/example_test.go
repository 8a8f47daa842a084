package translatortest_test

import (
	"testing"

	"github.com/eiffelbridge/eiffelbridge/conformance/translator"
	"github.com/eiffelbridge/eiffelbridge/conformance/translator/translatortest"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// newTranslator makes the translator under test. Yours stands here.
func newTranslator(settings translate.Settings) (translate.Translator, error) {
	return translate.New(settings)
}

// Holds a translator to all laws but one, which it is known to break for one event type.
func ExampleRun() {
	var t *testing.T // as in func TestConformance(t *testing.T)

	translatortest.Run(t, newTranslator, translator.Options{
		KnownFailures: map[string]string{"round_trip service.deployed": "the replicas are lost"},
	})
}
