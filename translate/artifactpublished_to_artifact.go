package translate

import "github.com/eiffelbridge/eiffelbridge/translate/ledger"

// findArtifact finds the artifact that an event is about by its ArtifactCreated.
func (t *toCDEvents) findArtifact(id, want string) {
	identity := t.choose("identity", "", func() string {
		known := t.eiffelEvent(id)
		if known == nil || known.Artifact == "" {
			t.miss(ledger.AboutEvent(id), want, "%s %s", typeArtC, id)
			return ""
		}
		return known.Artifact
	})
	if identity == "" {
		k := t.marked(ledger.SubjectKey{ID: urnUUID + id})
		if _, unknown := uuidOfURN(k.ID); unknown {
			t.subject = ledger.SubjectKey{Kind: ledger.KindArtifact, ID: k.ID}
			t.diagnose(DiagnosticFilledIn, "the artifact of %s is unknown; its subject was filled with that id", id)
			return
		}
		identity = k.ID
	}
	t.artifact = t.readArtifact(identity)
	t.identity = t.artifact.text
	t.subject, t.text = t.artifact.subject(), t.marked(ledger.SubjectKey{ID: t.identity}).ID
}
