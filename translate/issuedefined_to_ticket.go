package translate

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
