package translate

import "github.com/eiffelbridge/eiffelbridge/translate/ledger"

// environmentSubject finds the environment that a definition defines: the one the ledger has for the event, else the
// one of the version before, else one named by the event (mapping.md, "Subjects of Eiffel events").
func (t *toCDEvents) environmentSubject() {
	name := t.in.doc.Root().At("data", "name")
	t.identifies(name)
	k := ledger.SubjectKey{Kind: ledger.KindEnvironment, Source: t.in.Source, ID: name.Str()}
	if k.ID == "" {
		k.ID = urnUUID + t.in.ID
	}
	own := t.marked(k)
	previous := target(t.links, linkPrevious)
	t.subject = t.chooseSubject("subject", own, func() ledger.SubjectKey {
		known := t.ownEvent()
		if (known == nil || known.Subject.Kind != ledger.KindEnvironment) && previous != "" {
			known = t.eiffelEvent(previous)
		}
		if known == nil && previous != "" {
			t.miss(ledger.AboutEvent(previous), "/subject/id", "the version %s before the environment's", previous)
		}
		if known == nil || known.Subject.Kind != ledger.KindEnvironment {
			return own
		}
		return known.Subject
	})
}

// environmentName chooses between created and modified.
func (t *toCDEvents) environmentName() string {
	if target(t.links, linkPrevious) != "" {
		return "environment.modified"
	}
	return t.choose("name", "environment.created", func() string {
		s := t.subjectRecord(t.subject)
		anchor := s.Anchor(typeED)
		if anchor == nil || anchor.First == t.in.ID && !anchor.Synthesized || s.Closed() {
			return "environment.created"
		}
		return "environment.modified"
	})
}
