package ledger

import (
	"errors"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/eiffelbridge/eiffelbridge/internal/arena"
	"github.com/eiffelbridge/eiffelbridge/internal/uuid"
)

// Records are written in the protocol buffers wire format, field by field: compact, readable by a later version that
// knows more fields, and no reflection. Every record of a kind is also a delta of that kind: [Merge] unites a record with
// one. Deltas are united one after the other, in the order in which they were learned: kinds that forget what is beyond
// their size do not allow for another order.

// errRecord is what a damaged record gives.
var errRecord = errors.New("damaged record")

func appendText(b []byte, field protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return protowire.AppendString(b, s)
}

// appendID writes a canonical UUID as its 16 bytes behind a 'u', any other text as it is behind a 't'.
func appendID(b []byte, field protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	b = protowire.AppendTag(b, field, protowire.BytesType)
	if raw, ok := uuid.Parse(s); ok {
		b = append(b, byte(len(raw)+1), 'u')
		return append(b, raw[:]...)
	}
	b = protowire.AppendVarint(b, uint64(len(s)+1))
	b = append(b, 't')
	return append(b, s...)
}

func appendBool(b []byte, field protowire.Number, v bool) []byte {
	if !v {
		return b
	}
	b = protowire.AppendTag(b, field, protowire.VarintType)
	return append(b, 1)
}

func appendInt(b []byte, field protowire.Number, v int64) []byte {
	if v == 0 {
		return b
	}
	b = protowire.AppendTag(b, field, protowire.VarintType)
	return protowire.AppendVarint(b, protowire.EncodeZigZag(v))
}

func appendNumber(b []byte, field protowire.Number, n uint64) []byte {
	if n == 0 {
		return b
	}
	b = protowire.AppendTag(b, field, protowire.VarintType)
	return protowire.AppendVarint(b, n)
}

// openMessage begins a message within a record; closeMessage, with what it gave, ends it.
func openMessage(b []byte, field protowire.Number) (opened []byte, start int) {
	b = protowire.AppendTag(b, field, protowire.BytesType)
	b = append(b, 0) // most messages are shorter than 128 bytes, and their length then takes one
	return b, len(b)
}

func closeMessage(b []byte, start int) []byte {
	n := len(b) - start
	if n < 0x80 {
		b[start-1] = byte(n)
		return b
	}
	more := protowire.SizeVarint(uint64(n)) - 1
	for range more {
		b = append(b, 0)
	}
	copy(b[start+more:], b[start:start+n])
	protowire.AppendVarint(b[:start-1], uint64(n))
	return b
}

// reader reads a record field by field.
type reader struct {
	rest  []byte
	texts Arena // where texts are made; those of a record share their memory

	field  protowire.Number
	number uint64 // of a varint
	bytes  []byte // of a byte string
	err    error
}

// Decoder reads records whose texts share their memory, as those do that one translation reads. It is not safe for concurrent
// use. The functions of the same names give each record memory of its own.
type Decoder struct {
	texts Arena
	facts Arena // of what a [History] learns
}

// Arena is memory that many texts share. What it has kept is valid as long as its owner says.
type Arena interface {
	Room(n int) []byte            // an empty slice with room for n bytes, to be appended to and then kept
	Keep(text []byte) string      // what was appended to the last room, as a text
	KeepBytes(data []byte) []byte // likewise, as it is
}

// NewDecoder makes a decoder with texts in one arena, and the facts that its histories learn in another.
func NewDecoder(texts, facts Arena) Decoder { return Decoder{texts, facts} }

func decoderOf(record []byte) Decoder { return decoderOfSize(2*len(record) + 32) }

func decoderOfSize(size int) Decoder {
	texts := &arena.Arena{Size: size}
	return Decoder{texts, texts}
}

func (d Decoder) read(record []byte) reader { return reader{rest: record, texts: d.texts} }

// within reads the message that the field is.
func (r *reader) within() reader { return reader{rest: r.bytes, texts: r.texts} }

// next goes on to the next field; false at the end, and if the record is damaged.
func (r *reader) next() bool {
	if r.err != nil || len(r.rest) == 0 {
		return false
	}
	field, typ, size := protowire.ConsumeTag(r.rest)
	if size < 0 {
		r.err = errRecord
		return false
	}
	r.rest = r.rest[size:]
	r.field, r.number, r.bytes = field, 0, nil
	switch typ {
	case protowire.VarintType:
		r.number, size = protowire.ConsumeVarint(r.rest)
	case protowire.BytesType:
		r.bytes, size = protowire.ConsumeBytes(r.rest)
	default:
		size = protowire.ConsumeFieldValue(field, typ, r.rest)
	}
	if size < 0 {
		r.err = errRecord
		return false
	}
	r.rest = r.rest[size:]
	return true
}

// failed notes what reading a message within came to.
func (r *reader) failed(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *reader) bool() bool { return r.number != 0 }

func (r *reader) int() int64 { return protowire.DecodeZigZag(r.number) }

func (r *reader) text() string {
	return r.texts.Keep(append(r.texts.Room(len(r.bytes)), r.bytes...))
}

// id is what [appendID] wrote.
func (r *reader) id() string {
	switch b := r.bytes; {
	case len(b) == 17 && b[0] == 'u':
		return r.texts.Keep(uuid.AppendText(r.texts.Room(36), b[1:]))
	case len(b) > 1 && b[0] == 't':
		return r.texts.Keep(append(r.texts.Room(len(b)-1), b[1:]...))
	}
	r.failed(errRecord)
	return ""
}

// eiffelType is what [shortType] left.
func (r *reader) eiffelType() string {
	if len(r.bytes) > 0 && r.bytes[0] == '=' {
		r.bytes = r.bytes[1:]
		return r.text()
	}
	t := append(r.texts.Room(len(r.bytes)+11), "Eiffel"...)
	return r.texts.Keep(append(append(t, r.bytes...), "Event"...))
}

// shortType leaves out what all Eiffel event types share.
func shortType(t string) string {
	if len(t) > 11 && t[:6] == "Eiffel" && t[len(t)-5:] == "Event" {
		return t[6 : len(t)-5]
	}
	return "=" + t
}

func fill(s *string, with string) {
	if *s == "" {
		*s = with
	}
}
