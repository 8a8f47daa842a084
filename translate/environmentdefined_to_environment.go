package translate

// environmentSubject finds the environment that a definition defines: the one the ledger has for the event, else the
// one of the version before, else one named by the event (section 2).
func (t *toCDEvents) environmentSubject() {
	name := t.in.doc.Root().At("data", "name")
	t.use(name)
	t.subject = SubjectKey{Kind: "environment", Source: t.in.Source, ID: name.Str()}
	if t.believed {
		for entry := range t.in.doc.Root().At("data", "customData").Children() {
			if id := entry.Get("value"); entry.Get("key").Str() == environmentIDKey && id.Str() != "" {
				t.subject.ID = id.Str()
			}
		}
	}
	if t.subject.ID == "" {
		t.subject.ID = urnUUID + t.in.ID
	}
	own := string(appendKey(nil, t.subject.Source, t.subject.ID))
	previous := target(linksOf(t.in), linkPrevious)
	choice := t.choose("subject", own, func() string {
		known := t.ownEvent()
		if (known == nil || known.Subject.Kind != "environment") && previous != "" {
			known = t.eiffelEvent(previous)
		}
		if known == nil || known.Subject.Kind != "environment" {
			return own
		}
		return string(appendKey(nil, known.Subject.Source, known.Subject.ID))
	})
	if parts, ok := ParseKey(choice); ok && len(parts) == 2 {
		t.subject.Source, t.subject.ID = parts[0], parts[1]
	}
}

// environmentName chooses between created and modified.
func (t *toCDEvents) environmentName() string {
	if target(linksOf(t.in), linkPrevious) != "" {
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
