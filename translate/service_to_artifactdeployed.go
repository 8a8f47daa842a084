package translate

import (
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
	text := append(make([]byte, 0, 256), "service "...)
	text = append(append(text, t.subject.ID...), ' ')
	text = append(append(text, verb...), " in environment "...)
	text = append(append(text, content.At("environment", "id").Str()...), ": "...)
	if before != "" {
		text = append(append(append(text, "from "...), before...), " to "...)
	}
	text = append(text, artifactID...)
	t.move(t.in.doc.Root().At("subject", "id"), at.at, "judgement deployment", OneWay)
	return jsondoc.AppendString(nil, string(text))
}
