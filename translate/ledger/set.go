package ledger

import (
	"google.golang.org/protobuf/encoding/protowire"
)

// setSize bounds a [Set]: what matters is whether there is one, or which few there are.
const setSize = 8

// runsSize bounds the Set of a [RunsFact]: a composition of more is of no use to who reads it, and every new service
// rewrites the record. A set of that size says that there are too many.
const runsSize = 101

// SetSize is how many members a [Set] of that kind keeps.
func SetSize(kind FactKind) int {
	if kind == RunsFact {
		return runsSize
	}
	return setSize
}

// Set is a few strings in the order in which they came; the first eight are kept, of a [RunsFact] the first 101.
type Set []string

// Encode writes the record.
func (s Set) Encode() []byte {
	var b []byte
	for _, e := range s {
		// An empty string is a member like any other, so it is written with its tag.
		b = protowire.AppendTag(b, 1, protowire.BytesType)
		b = protowire.AppendString(b, e)
	}
	return b
}

// DecodeSet reads a record; a nil one is empty.
func DecodeSet(record []byte) (s Set, err error) {
	err = fields(record, func(field protowire.Number, n uint64, v []byte) error {
		if field == 1 {
			s = append(s, string(v))
		}
		return nil
	})
	return s, err
}

func (s Set) merge(d Set, most int) Set {
next:
	for _, e := range d {
		for _, known := range s {
			if known == e {
				continue next
			}
		}
		if len(s) < most {
			s = append(s, e)
		}
	}
	return s
}
