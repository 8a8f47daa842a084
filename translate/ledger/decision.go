package ledger

// Choice is one thing that depended on the ledger when an event was translated.
type Choice struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Decision holds the choices made for an event, for its redelivery. A choice that fell as it would have with an empty
// ledger is not stored.
type Decision []Choice

// Encode writes the record.
func (d Decision) Encode() []byte { return d.AppendTo([]byte{}) }

// AppendTo appends the record.
func (d Decision) AppendTo(b []byte) []byte {
	var m int
	for _, c := range d {
		b, m = openMessage(b, 1)
		b = appendText(b, 1, c.Name)
		b = closeMessage(appendID(b, 2, c.Value), m)
	}
	return b
}

// DecodeDecision reads a record.
func DecodeDecision(record []byte) (Decision, error) { return decoderOf(record).Decision(record) }

// Decision reads a record, as [DecodeDecision] does.
func (d Decoder) Decision(record []byte) (choices Decision, err error) {
	r := d.read(record)
	for r.next() {
		if r.field == 1 {
			choices = append(choices, r.choiceWithin())
		}
	}
	return choices, r.err
}

func (r *reader) choiceWithin() (c Choice) {
	m := r.within()
	for m.next() {
		switch m.field {
		case 1:
			c.Name = m.text()
		case 2:
			c.Value = m.id()
		}
	}
	r.failed(m.err)
	return c
}
