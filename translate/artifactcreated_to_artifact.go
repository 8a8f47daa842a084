package translate

import (
	"github.com/package-url/packageurl-go"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
)

// artifactSubject is the artifact that was created; its id is its purl, as the event writes it. Before version 2.0.0 the
// event has Maven coordinates instead, which are a purl of type maven.
func (t *toCDEvents) artifactSubject() {
	data := t.in.doc.Root().Get("data")
	if identity := data.Get("identity"); identity.Exists() {
		t.move(identity, "/subject/id", "the artifact's purl")
		t.identity = identity.Str()
	} else {
		gav := data.Get("gav")
		t.move(gav, "/subject/id", "Maven coordinates as a purl")
		t.identity = urnUUID + t.in.ID
		if name := gav.Get("artifactId").Str(); name != "" {
			t.identity = packageurl.NewPackageURL("maven", gav.Get("groupId").Str(), name, gav.Get("version").Str(), nil, "").ToString()
		}
	}
	t.artifact = t.readArtifact(t.identity)
	if _, made := uuidOfURN(t.identity); !made {
		t.identity = t.artifact.text
	}
	t.subject = t.artifact.subject()
	t.text = t.identity
}

// changeReference stands for the change that the artifact was made from: a true identifier where none is known.
func (t *toCDEvents) changeReference() []byte {
	t.diagnose("filled_in", "subject.content.change is required and unknown; it was filled with the event's own id")
	return append(jsondoc.AppendString([]byte(`{"id":`), urnUUID+t.in.ID), '}')
}
