package ledger

import (
	"google.golang.org/protobuf/encoding/protowire"
)

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
func (e *EiffelEvent) Encode() []byte {
	var b, m []byte
	if e.Type != "" {
		b = appendText(b, 1, shortType(e.Type))
	}
	b = appendInt(b, 2, e.Time)
	if e.Subject != (SubjectKey{}) {
		m = e.Subject.appendTo(m[:0])
		b = appendMessage(b, 3, m)
	}
	if e.Environment != (SubjectKey{}) {
		m = e.Environment.appendTo(m[:0])
		b = appendMessage(b, 4, m)
	}
	b = appendText(b, 5, e.Artifact)
	b = appendID(b, 6, e.Chain)
	b = appendID(b, 7, e.ContextID)
	for _, l := range e.Links {
		m = appendText(m[:0], 1, l.Type)
		m = appendID(m, 2, l.Target)
		m = appendText(m, 3, l.DomainID)
		b = appendMessage(b, 8, m)
	}
	b = appendBool(b, 9, e.Emitted)
	b = appendBool(b, 10, e.Synthesized)
	return appendText(b, 11, e.Name)
}

// DecodeEiffelEvent reads a record; a nil one is the zero EiffelEvent.
func DecodeEiffelEvent(record []byte) (*EiffelEvent, error) {
	e := &EiffelEvent{}
	err := fields(record, func(field protowire.Number, n uint64, v []byte) (err error) {
		switch field {
		case 1:
			e.Type = longType(string(v))
		case 2:
			e.Time = protowire.DecodeZigZag(n)
		case 3:
			e.Subject, err = decodeSubjectKey(v)
		case 4:
			e.Environment, err = decodeSubjectKey(v)
		case 5:
			e.Artifact = string(v)
		case 6:
			e.Chain, err = decodeID(v)
		case 7:
			e.ContextID, err = decodeID(v)
		case 8:
			var l EiffelLink
			err = fields(v, func(field protowire.Number, n uint64, v []byte) (err error) {
				switch field {
				case 1:
					l.Type = string(v)
				case 2:
					l.Target, err = decodeID(v)
				case 3:
					l.DomainID = string(v)
				}
				return err
			})
			e.Links = append(e.Links, l)
		case 9:
			e.Emitted = n != 0
		case 10:
			e.Synthesized = n != 0
		case 11:
			e.Name = string(v)
		}
		return err
	})
	return e, err
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
