package ledger

import (
	"google.golang.org/protobuf/encoding/protowire"
)

// Context is one event that bears a context id.
type Context struct {
	Source  string `json:"source"`
	Type    string `json:"type"`              // the full CDEvents type
	Eiffel  string `json:"eiffel,omitempty"`  // the Eiffel event that it became or came from
	Emitted bool   `json:"emitted,omitempty"` // we wrote it, or gave it back
}

// Contexts are the events that bear one context id; ids are unique per source only. At most eight are kept.
type Contexts []Context

// Find gives the event of that source and type; nil if it is not there.
func (c Contexts) Find(source, eventType string) *Context {
	for i := range c {
		if c[i].Source == source && c[i].Type == eventType {
			return &c[i]
		}
	}
	return nil
}

// Encode writes the record.
func (c Contexts) Encode() []byte {
	var b, m []byte
	for _, e := range c {
		m = appendText(m[:0], 1, e.Source)
		m = appendText(m, 2, e.Type)
		m = appendID(m, 3, e.Eiffel)
		m = appendBool(m, 4, e.Emitted)
		b = appendMessage(b, 1, m)
	}
	return b
}

// DecodeContexts reads a record; a nil one is empty.
func DecodeContexts(record []byte) (c Contexts, err error) {
	err = fields(record, func(field protowire.Number, n uint64, v []byte) (err error) {
		if field != 1 {
			return nil
		}
		var e Context
		err = fields(v, func(field protowire.Number, n uint64, v []byte) (err error) {
			switch field {
			case 1:
				e.Source = string(v)
			case 2:
				e.Type = string(v)
			case 3:
				e.Eiffel, err = decodeID(v)
			case 4:
				e.Emitted = n != 0
			}
			return err
		})
		c = append(c, e)
		return err
	})
	return c, err
}

func (c Contexts) merge(d Contexts) Contexts {
next:
	for _, e := range d {
		for i := range c {
			if c[i].Source == e.Source && c[i].Type == e.Type {
				fill(&c[i].Eiffel, e.Eiffel)
				c[i].Emitted = c[i].Emitted || e.Emitted
				continue next
			}
		}
		if len(c) < setSize {
			c = append(c, e)
		}
	}
	return c
}
