package translate

import (
	"fmt"
	"strings"
)

// deploymentDescription says which service, artifact and environment a deployment is about, and from what to what.
func (t *toEiffel) deploymentDescription() string {
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
			e, _ := t.line(t.subject, t.environment).runningAt(t.subjectRecord(t.environment), t.stamp())
			return e.Artifact
		})
	}
	text := fmt.Sprintf("service %s %s in environment %s", t.subject.ID, verb, content.At("environment", "id").Str())
	if before != "" {
		return fmt.Sprintf("%s: from %s to %s", text, before, artifactID)
	}
	return fmt.Sprintf("%s: %s", text, artifactID)
}
