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
func (s Set) Encode() []byte { return s.AppendTo([]byte{}) }

// AppendTo appends the record.
func (s Set) AppendTo(b []byte) []byte {
	for _, e := range s {
		// An empty string is a member like any other, so it is written with its tag.
		b = protowire.AppendTag(b, 1, protowire.BytesType)
		b = protowire.AppendString(b, e)
	}
	return b
}

// DecodeSet reads a record; a nil one is empty.
func DecodeSet(record []byte) (Set, error) { return decoderOf(record).Set(record) }

// Set reads a record, as [DecodeSet] does.
func (d Decoder) Set(record []byte) (s Set, err error) {
	if len(record) == 0 {
		return nil, nil
	}
	r := d.read(record)
	for r.next() {
		if r.field == 1 {
			s = append(s, r.text())
		}
	}
	return s, r.err
}

// SetHas tells whether a member is in the set that a record is, and how many there are.
func SetHas(record []byte, member string) (has bool, size int, err error) {
	r := reader{rest: record}
	for r.next() {
		if r.field == 1 {
			size++
			has = has || string(r.bytes) == member
		}
	}
	return has, size, r.err
}

// mergeSets gives old with the members of delta that it lacks, as far as there is room: old itself if that is none.
func mergeSets(old, delta []byte, most int) ([]byte, error) {
	merged := old
	r := reader{rest: delta}
	for r.next() {
		if r.field != 1 {
			continue
		}
		has, size, err := SetHas(merged, string(r.bytes))
		if err != nil {
			return nil, err
		}
		if has || size >= most {
			continue
		}
		if len(merged) == len(old) {
			merged = append(make([]byte, 0, len(old)+len(delta)), old...)
		}
		merged = protowire.AppendTag(merged, 1, protowire.BytesType)
		merged = protowire.AppendBytes(merged, r.bytes)
	}
	return merged, r.err
}
