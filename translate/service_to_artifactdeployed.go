package translate

import (
	"fmt"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
)

// deploymentDescription says which service, artifact and environment a deployment is about, and from what to what.
func (t *toEiffel) deploymentDescription(at *place) []byte {
	predicate := t.name[strings.IndexByte(t.name, '.')+1:]
	verb := map[string]string{deployed: "deployed", upgraded: "upgraded", rolledback: "rolled back"}[predicate]
	content := t.in.doc.Root().At("subject", "content")
	artifactID := content.Get("artifactId").Str()
	if t.artifact != nil {
		artifactID = t.artifact.purl
	}
	before := ""
	if predicate != deployed {
		before = t.choose("before", "", func() string {
			e, _ := t.line(t.subject, t.environment).RunningAt(t.subjectRecord(t.environment), t.stamp())
			return e.Artifact
		})
	}
	text := fmt.Sprintf("service %s %s in environment %s", t.subject.ID, verb, content.At("environment", "id").Str())
	if before != "" {
		text = fmt.Sprintf("%s: from %s to %s", text, before, artifactID)
	} else {
		text = fmt.Sprintf("%s: %s", text, artifactID)
	}
	t.move(t.in.doc.Root().At("subject", "id"), at.at, "judgement deployment", OneWay)
	return jsondoc.AppendString(nil, text)
}
