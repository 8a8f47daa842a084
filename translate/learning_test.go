package translate_test

import (
	"strings"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/translate"
)

// TestConfigurationOfTheOtherSide has a CDEvent that says, by a link, with which configuration it deployed: the
// deployment that it became has that configuration, and so the next one is compared with it (mapping.md, "The predicate", rule 2).
func TestConfigurationOfTheOtherSide(t *testing.T) {
	engine := newEngine(t, translate.Settings{})
	steps := parseScenarios(t, "configuration", `case x
ED prod at 09:01
ArtC A pkg:oci/shop@1.0.0 at 09:02
ArtD A in prod at 10:00 config one => service.deployed
`)[0].steps
	cd := strings.Replace(`{"context":{"specversion":"0.5.1","id":"6a1f0a3e-7d1c-4a52-9a43-0d4a6f0e1b01","source":"https://deploy.example.com",
"type":"dev.cdevents.service.deployed.0.3.0","timestamp":"2026-03-01T09:30:00Z",
"links":[{"linkType":"RELATION","linkKind":"CONFIGURATION","target":{"contextId":"TARGET"}}]},
"subject":{"id":"pkg:oci/shop","content":{"environment":{"id":"prod","source":"https://k8s.example.com"},"artifactId":"pkg:oci/shop@1.0.0"}}}`,
		"TARGET", idOfName("configuration one"), 1)
	s := fresh(engine)
	through(t, s, steps[0].text)
	through(t, s, steps[1].text)
	if got := target(t, last(t, through(t, s, cd)), "CONFIGURATION"); got != idOfName("configuration one") {
		t.Errorf("CONFIGURATION to %q", got)
	}
	checkStep(t, steps[2], through(t, s, steps[2].text))
}

// TestWhatIsDroppedIsLearned drops what came round, and judges the next native deployment by it (mapping.md, "Loops").
func TestWhatIsDroppedIsLearned(t *testing.T) {
	steps := parseScenarios(t, "dropped", `case x
ED prod
ArtC A pkg:oci/shop@1.0.0
ArtC B pkg:oci/shop@1.1.0
ArtD A in prod
ArtD B in prod config one
ArtD B in prod config one => service.deployed
`)[0].steps
	there := newSession(t, translate.Settings{})
	here := newSession(t, translate.Settings{Returning: translate.ReturningDrop})
	for _, st := range steps[:5] {
		if r := through(t, here, string(only(t, through(t, there, st.text)).JSON)); len(r.Events) != 0 || r.Returning != translate.ReturningDrop {
			t.Errorf("not dropped: %s", texts(r.Events))
		}
	}

	checkStep(t, steps[5], through(t, here, steps[5].text))
}
