package ledger

// EiffelLink is an Eiffel event's link.
type EiffelLink struct {
	Type     string `json:"type"`
	Target   string `json:"target"`
	DomainID string `json:"domainId,omitempty"`
}

// EiffelEvent is what the ledger knows of an Eiffel event: what it is about, and how it was met.
type EiffelEvent struct {
	Type        string     `json:"type,omitempty"` // Eiffel event type
	Time        int64      `json:"time,omitempty"` // meta.time
	Subject     SubjectKey `json:"subject,omitzero"`
	Environment SubjectKey `json:"environment,omitzero"` // of an ArtD, or of a test
	Artifact    string     `json:"artifact,omitempty"`   // the purl of an ArtC or ArtD
	Chain       string     `json:"chain,omitempty"`      // its chain id, where it is not its own id
	Name        string     `json:"name,omitempty"`       // data.name of an activity
	// ContextID and Source are those of the CDEvent that it became or came from, where the id differs.
	ContextID   string       `json:"contextId,omitempty"`
	Links       []EiffelLink `json:"links,omitempty"`
	Emitted     bool         `json:"emitted,omitempty"`     // we wrote it, or gave it back
	Synthesized bool         `json:"synthesized,omitempty"` // we made it up for a required link
}

// Encode writes the record.
func (e *EiffelEvent) Encode() []byte { return e.AppendTo([]byte{}) }

// AppendTo appends the record.
func (e *EiffelEvent) AppendTo(b []byte) []byte {
	var m int
	if e.Type != "" {
		b = appendText(b, 1, shortType(e.Type))
	}
	b = appendInt(b, 2, e.Time)
	if e.Subject != (SubjectKey{}) {
		b, m = openMessage(b, 3)
		b = closeMessage(e.Subject.appendTo(b), m)
	}
	if e.Environment != (SubjectKey{}) {
		b, m = openMessage(b, 4)
		b = closeMessage(e.Environment.appendTo(b), m)
	}
	b = appendText(b, 5, e.Artifact)
	b = appendID(b, 6, e.Chain)
	b = appendID(b, 7, e.ContextID)
	for _, l := range e.Links {
		b, m = openMessage(b, 8)
		b = appendText(b, 1, l.Type)
		b = appendID(b, 2, l.Target)
		b = closeMessage(appendText(b, 3, l.DomainID), m)
	}
	b = appendBool(b, 9, e.Emitted)
	b = appendBool(b, 10, e.Synthesized)
	return appendText(b, 11, e.Name)
}

// DecodeEiffelEvent reads a record; a nil one is the zero EiffelEvent.
func DecodeEiffelEvent(record []byte) (*EiffelEvent, error) {
	return decoderOf(record).EiffelEvent(record)
}

// EiffelEvent reads a record, as [DecodeEiffelEvent] does.
func (d Decoder) EiffelEvent(record []byte) (*EiffelEvent, error) {
	e := &EiffelEvent{}
	err := d.ReadEiffelEvent(e, record)
	return e, err
}

// ReadEiffelEvent is EiffelEvent into what an earlier one has left: its list is used again.
func (d Decoder) ReadEiffelEvent(e *EiffelEvent, record []byte) error {
	*e = EiffelEvent{Links: e.Links[:0]}
	r := d.read(record)
	for r.next() {
		switch r.field {
		case 1:
			e.Type = r.eiffelType()
		case 2:
			e.Time = r.int()
		case 3:
			e.Subject = r.subjectKeyWithin()
		case 4:
			e.Environment = r.subjectKeyWithin()
		case 5:
			e.Artifact = r.text()
		case 6:
			e.Chain = r.id()
		case 7:
			e.ContextID = r.id()
		case 8:
			if e.Links == nil {
				e.Links = make([]EiffelLink, 0, 4)
			}
			e.Links = append(e.Links, r.linkWithin())
		case 9:
			e.Emitted = r.bool()
		case 10:
			e.Synthesized = r.bool()
		case 11:
			e.Name = r.text()
		}
	}
	return r.err
}

func (r *reader) linkWithin() (l EiffelLink) {
	m := r.within()
	for m.next() {
		switch m.field {
		case 1:
			l.Type = m.text()
		case 2:
			l.Target = m.id()
		case 3:
			l.DomainID = m.text()
		}
	}
	r.failed(m.err)
	return l
}

func (e *EiffelEvent) merge(d *EiffelEvent) {
	fill(&e.Type, d.Type)
	if e.Time == 0 {
		e.Time = d.Time
	}
	if e.Subject == (SubjectKey{}) {
		e.Subject = d.Subject
	}
	if e.Environment == (SubjectKey{}) {
		e.Environment = d.Environment
	}
	fill(&e.Artifact, d.Artifact)
	fill(&e.Chain, d.Chain)
	fill(&e.Name, d.Name)
	fill(&e.ContextID, d.ContextID)
	if e.Links == nil {
		e.Links = d.Links
	}
	e.Emitted = e.Emitted || d.Emitted
	e.Synthesized = e.Synthesized || d.Synthesized
}
