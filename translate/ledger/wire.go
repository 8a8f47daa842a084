package ledger

import (
	"errors"

	"google.golang.org/protobuf/encoding/protowire"

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

func decodeID(b []byte) (string, error) {
	switch {
	case len(b) == 17 && b[0] == 'u':
		return uuid.Format(b[1:]), nil
	case len(b) > 1 && b[0] == 't':
		return string(b[1:]), nil
	}
	return "", errRecord
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

func appendMessage(b []byte, field protowire.Number, m []byte) []byte {
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return protowire.AppendBytes(b, m)
}

// fields calls f for each field of a record. Varints arrive in n, byte strings in v; unknown fields are for f to ignore.
func fields(record []byte, f func(field protowire.Number, n uint64, v []byte) error) error {
	for len(record) > 0 {
		field, typ, size := protowire.ConsumeTag(record)
		if size < 0 {
			return errRecord
		}
		record = record[size:]
		var n uint64
		var v []byte
		switch typ {
		case protowire.VarintType:
			n, size = protowire.ConsumeVarint(record)
		case protowire.BytesType:
			v, size = protowire.ConsumeBytes(record)
		default:
			size = protowire.ConsumeFieldValue(field, typ, record)
		}
		if size < 0 {
			return errRecord
		}
		record = record[size:]
		if err := f(field, n, v); err != nil {
			return err
		}
	}
	return nil
}

// shortType and longType leave out what all Eiffel event types share.
func shortType(t string) string {
	if len(t) > 11 && t[:6] == "Eiffel" && t[len(t)-5:] == "Event" {
		return t[6 : len(t)-5]
	}
	return "=" + t
}

func longType(t string) string {
	if t != "" && t[0] == '=' {
		return t[1:]
	}
	return "Eiffel" + t + "Event"
}

func fill(s *string, with string) {
	if *s == "" {
		*s = with
	}
}
