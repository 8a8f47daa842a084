package translate

import "github.com/eiffelbridge/eiffelbridge/internal/jsondoc"

// artifactSubject is the artifact that was created; its id is its purl, as the event writes it.
func (t *toCDEvents) artifactSubject() {
	identity := t.in.doc.Root().At("data", "identity")
	t.move(identity, "/subject/id", "the artifact's purl")
	t.identity = identity.Str()
	t.artifact = t.readArtifact(t.identity)
	t.subject = t.artifact.subject()
	t.text = t.identity
}

// changeReference stands for the change that the artifact was made from: a true identifier where none is known.
func (t *toCDEvents) changeReference() []byte {
	t.diagnose("filled_in", "subject.content.change is required and unknown; it was filled with the event's own id")
	return append(jsondoc.AppendString([]byte(`{"id":`), urnUUID+t.in.ID), '}')
}
