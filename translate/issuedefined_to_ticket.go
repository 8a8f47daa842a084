package translate

import "github.com/eiffelbridge/eiffelbridge/translate/ledger"

// ticketSubject finds the ticket: its id in its tracker, which is the source.
func (t *toCDEvents) ticketSubject() {
	data := t.in.doc.Root().Get("data")
	id, tracker := data.Get("id"), data.Get("tracker")
	t.identifies(id, tracker)
	t.subject = ledger.SubjectKey{Kind: ledger.KindTicket, Source: t.in.Source, ID: urnUUID + t.in.ID}
	if id.Str() != "" {
		t.subject.ID = id.Str()
		t.moveSubject(id, Exact)
	}
	if tracker.Str() != "" {
		t.subject.Source = escapeURI(tracker.Str())
		fidelity := Exact
		if t.subject.Source != tracker.Str() {
			fidelity = Translated
		}
		t.move(tracker, "/subject/source", "judgement ticket", fidelity)
	}
	t.subject = t.marked(t.subject)
}

// ticketName is updated where the ledger knows the ticket by another event than this one.
func (t *toCDEvents) ticketName() string {
	const created, updated = "ticket.created", "ticket.updated"
	return t.choose("ticket", created, func() string {
		if known := t.subjectRecord(t.subject).Anchor(t.in.Type); known != nil && known.First != t.in.ID {
			return updated
		}
		return created
	})
}

// creator is who defined the issue, as far as Eiffel says: the name of the event's source.
func (t *toCDEvents) creator(at *place) value {
	name := t.in.doc.Root().At("meta", "source", "name")
	if name.Str() == "" || !at.Allows(name.Str()) {
		return textValue(t.in.Source)
	}
	t.move(name, at.at, "judgement creator", OneWay)
	return inputValue(name)
}
