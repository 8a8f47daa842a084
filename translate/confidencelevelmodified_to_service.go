package translate

import "slices"

// custom is the choice that a confidence level is no published service.
const custom = ""

// publishedSubject finds the service that a confidence level publishes: the one of the first deployment among its
// subjects.
func (t *toCDEvents) publishedSubject() {
	data := t.in.doc.Root().Get("data")
	name, value := data.Get("name"), data.Get("value")
	if value.Str() != "SUCCESS" || !slices.Contains(t.g.settings.PublishedLevels, name.Str()) {
		return
	}
	choice := t.choose("deployment", custom, func() string {
		unknown := ""
		for _, l := range linksOf(t.in) {
			if l.Type != linkSubject {
				continue
			}
			known := t.eiffelEvent(l.Target)
			switch {
			case known == nil && unknown == "":
				unknown = l.Target
			case known != nil && known.Type == typeArtD:
				return l.Target
			}
		}
		if unknown != "" {
			t.miss(eventQuery(unknown), "type", "the subject %s of the confidence level", unknown)
		}
		return custom
	})
	if choice == custom {
		return
	}
	t.deployment = t.eiffelEvent(choice)
	if t.deployment == nil {
		// The ledger has forgotten the deployment since the event first came.
		t.deployment = &EiffelEvent{Subject: SubjectKey{Kind: "service", Source: t.in.Source, ID: urnUUID + choice}}
	}
	t.use(name)
	t.use(value)
	t.subject, t.environment = t.deployment.Subject, t.deployment.Environment
	if t.subject.ID == "" {
		t.subject = SubjectKey{Kind: "service", Source: t.in.Source, ID: urnUUID + choice}
	}
}

// publishedName is service.published if a deployment was found, else the custom event.
func (t *toCDEvents) publishedName() string {
	if t.deployment != nil {
		return t.row.CDEvent[0]
	}
	return t.row.CDEvent[1]
}
