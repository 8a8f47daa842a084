package translate

import "strings"

// deploymentDescription says which service, artifact and environment a deployment is about, and from what to what.
func (t *toEiffel) deploymentDescription(at *place) value {
	predicate := t.name[strings.IndexByte(t.name, '.')+1:]
	verb := predicate
	if predicate == rolledback {
		verb = "rolled back"
	}
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
	text := append(t.texts.Room(usualText), "service "...)
	text = append(append(text, t.subject.ID...), ' ')
	text = append(append(text, verb...), " in environment "...)
	text = append(append(text, content.At("environment", "id").Str()...), ": "...)
	if before != "" {
		text = append(append(append(text, "from "...), before...), " to "...)
	}
	text = append(text, artifactID...)
	t.move(t.in.doc.Root().At("subject", "id"), at.at, at.rule, OneWay)
	return textValue(t.texts.Keep(text))
}
