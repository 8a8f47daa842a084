package ledger

import (
	"google.golang.org/protobuf/encoding/protowire"
)

// Choice is one thing that depended on the ledger when an event was translated.
type Choice struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Decision holds the choices made for an event, for its redelivery. A choice that fell as it would have with an empty
// ledger is not stored.
type Decision []Choice

// Encode writes the record.
func (d Decision) Encode() []byte {
	b := []byte{}
	var m []byte
	for _, c := range d {
		m = appendText(m[:0], 1, c.Name)
		m = appendID(m, 2, c.Value)
		b = appendMessage(b, 1, m)
	}
	return b
}

// DecodeDecision reads a record.
func DecodeDecision(record []byte) (d Decision, err error) {
	err = fields(record, func(field protowire.Number, n uint64, v []byte) (err error) {
		if field != 1 {
			return nil
		}
		var c Choice
		err = fields(v, func(field protowire.Number, n uint64, v []byte) (err error) {
			switch field {
			case 1:
				c.Name = string(v)
			case 2:
				c.Value, err = decodeID(v)
			}
			return err
		})
		d = append(d, c)
		return err
	})
	return d, err
}
