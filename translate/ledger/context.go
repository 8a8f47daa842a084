package ledger

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
func (c Contexts) Encode() []byte { return c.AppendTo([]byte{}) }

// AppendTo appends the record.
func (c Contexts) AppendTo(b []byte) []byte {
	for _, e := range c {
		b = e.appendTo(b)
	}
	return b
}

func (e *Context) appendTo(b []byte) []byte {
	b, m := openMessage(b, 1)
	b = appendText(b, 1, e.Source)
	b = appendText(b, 2, e.Type)
	b = appendID(b, 3, e.Eiffel)
	return closeMessage(appendBool(b, 4, e.Emitted), m)
}

// DecodeContexts reads a record; a nil one is empty.
func DecodeContexts(record []byte) (Contexts, error) { return decoderOf(record).Contexts(record) }

// Contexts reads a record, as [DecodeContexts] does.
func (d Decoder) Contexts(record []byte) (c Contexts, err error) {
	if len(record) == 0 {
		return nil, nil
	}
	r := d.read(record)
	for r.next() {
		if r.field == 1 {
			c = append(c, r.contextWithin())
		}
	}
	return c, r.err
}

func (r *reader) contextWithin() (e Context) {
	m := r.within()
	for m.next() {
		switch m.field {
		case 1:
			e.Source = m.text()
		case 2:
			e.Type = m.text()
		case 3:
			e.Eiffel = m.id()
		case 4:
			e.Emitted = m.bool()
		}
	}
	r.failed(m.err)
	return e
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
