package ledger

import (
	"cmp"
	"encoding/binary"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
)

// The answer to a range read is one text: for each record, in the order of the answer, the length of its name, the name, its
// length and the record; lengths are varints. The name is the last part of the key, with the escapes that it has there.

// AppendRecord appends a record to the answer to a range read. Beside the name it has the rest of the key.
func AppendRecord[name string | []byte](answer []byte, n name, record []byte) []byte {
	answer = binary.AppendUvarint(answer, uint64(len(n)))
	answer = append(answer, n...)
	answer = binary.AppendUvarint(answer, uint64(len(record)))
	return append(answer, record...)
}

// Records are the records of an answer to a range read, by the last part of their keys, which has the escapes of JSON: the last
// one first. It ends where the answer is damaged.
func Records(answer []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, record []byte) bool) {
		next := func() ([]byte, bool) {
			n, size := binary.Uvarint(answer)
			if size <= 0 || n > uint64(len(answer)-size) {
				return nil, false
			}
			part := answer[size : size+int(n) : size+int(n)]
			answer = answer[size+int(n):]
			return part, true
		}
		for len(answer) > 0 {
			name, ok := next()
			if !ok {
				return
			}
			record, ok := next()
			if !ok || !yield(name, record) {
				return
			}
		}
	}
}

// unquote takes the escapes out of the last part of a key.
func unquote(name []byte) string {
	for _, c := range name {
		if c == '\\' {
			parts, _ := ParseKey(`["` + string(name) + `"]`)
			if len(parts) == 1 {
				return parts[0]
			}
			break
		}
	}
	return string(name)
}

// childKey is the key with one more part.
func childKey(key, part string) string {
	var room keyRoom
	return string(appendChildKey(room[:0], key, part))
}

func appendChildKey(b []byte, key, part string) []byte {
	b = appendChild(append(b, key...))
	b = jsondoc.AppendString(b, part)
	return append(b, ']')
}

// appendChild makes room for one more part behind the key that b ends with.
func appendChild(b []byte) []byte {
	if len(b) == 0 {
		return b
	}
	b[len(b)-1] = ','
	return b
}

// appendStampPart appends a stamp as a part of a key, and the key's end.
func appendStampPart(b []byte, s Stamp) []byte {
	for i := range len(s.ID) {
		if c := s.ID[i]; c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			b = jsondoc.AppendString(b, s.Text())
			return append(b, ']')
		}
	}
	b = append(b, '"')
	b = s.AppendText(b)
	return append(b, `"]`...)
}

// Bounds are the keys of a query with a range: those that are not less than from and less than to.
func (q Query) Bounds() (from, to string) {
	open := q.Key[:max(0, len(q.Key)-1)]
	from = open + `,"`
	if q.Range.Before == "" {
		return from, open + `,#` // what comes behind a quote
	}
	before := jsondoc.AppendString(nil, q.Range.Before)
	return from, open + `,` + string(before[:len(before)-1])
}

// Name is the last part of a key within the range, as [Records] gives it.
func (q Query) Name(key string) string { return key[len(q.Key)+1 : len(key)-2] }

// Parent is the query whose ranges the record belongs to, with no range; false if its kind has none.
func (q Query) Parent() (Query, bool) {
	open, ok := parent(q.Key)
	if !q.Kind.Ranged() || !ok {
		return Query{}, false
	}
	return Query{Kind: q.Kind, Key: open + "]"}, true
}

// parent is a key without its last part and without the bracket. What begins that part is the last comma before a quote:
// within a part a quote has a backslash before it.
func parent(key string) (string, bool) {
	for i := len(key) - len(`""]`); i > 0; i-- {
		if key[i] == '"' && key[i-1] == ',' {
			return key[:i-1], true
		}
	}
	return "", false
}

// Index has the keys of the ranged records of a store in memory, in order. Its zero value is ready for use.
type Index struct{ keys map[Query][]string } // by kind and key[:last comma]

// Add notes that there is a record.
func (x *Index) Add(q Query) {
	if keys, at, found, p := x.find(q); p.Kind != 0 && !found {
		if x.keys == nil {
			x.keys = map[Query][]string{}
		}
		x.keys[p] = slices.Insert(keys, at, q.Key)
	}
}

// Remove notes that there is none any more.
func (x *Index) Remove(q Query) {
	if keys, at, found, p := x.find(q); found {
		if len(keys) == 1 {
			delete(x.keys, p)
			return
		}
		x.keys[p] = slices.Delete(keys, at, at+1)
	}
}

func (x *Index) find(q Query) (keys []string, at int, found bool, p Query) {
	open, ok := parent(q.Key)
	if !q.Kind.Ranged() || !ok {
		return nil, 0, false, Query{}
	}
	p = Query{Kind: q.Kind, Key: open}
	keys = x.keys[p]
	if n := len(keys); n > 0 && keys[n-1] < q.Key { // most come last
		return keys, n, false, p
	}
	at, found = slices.BinarySearch(keys, q.Key)
	return keys, at, found, p
}

// Keys are the keys that a query with a range asks for, the last one first.
func (x *Index) Keys(q Query) iter.Seq[string] {
	return func(yield func(string) bool) {
		keys := x.keys[Query{Kind: q.Kind, Key: q.Key[:max(0, len(q.Key)-1)]}]
		_, to := q.Bounds()
		at, _ := slices.BinarySearch(keys, to)
		for n := 0; at > 0 && n < q.Range.Limit; n++ {
			at--
			if !yield(keys[at]) {
				return
			}
		}
	}
}

// Beneath is what a store must be asked for so that [Over] can answer q with those changes.
func (q Query) Beneath(changes []Fact) Query {
	if slices.ContainsFunc(changes, func(f Fact) bool { return f.Forget }) {
		q.Range.Limit = All // what is forgotten makes room for what is older
	}
	return q
}

// Over is the answer to a query with a range after changes that the store does not have yet, or has by now, in their order.
// Changes outside of the range do not matter. The answer is the store's to [Query.Beneath].
func Over(q Query, answer []byte, changes []Fact) ([]byte, error) {
	type member struct {
		key    string
		record []byte
	}
	from, to := q.Bounds()
	var members []member // last one first
	for name, record := range Records(answer) {
		members = append(members, member{from + string(name) + `"]`, record})
	}
	for _, f := range changes {
		key := f.Query.Key
		if f.Query.Kind != q.Kind || key < from || key >= to {
			continue
		}
		at, found := slices.BinarySearchFunc(members, key, func(m member, key string) int { return cmp.Compare(key, m.key) })
		switch {
		case f.Forget && found:
			members = slices.Delete(members, at, at+1)
		case f.Forget:
		default:
			var old []byte
			if found {
				old = members[at].record
			}
			record, err := Merge(q.Kind, old, f.Record)
			if err != nil {
				return nil, err
			}
			if found {
				members[at].record = record
			} else {
				members = slices.Insert(members, at, member{strings.Clone(key), record})
			}
		}
	}
	var out []byte
	for _, m := range members[:max(0, min(len(members), q.Range.Limit))] {
		out = AppendRecord(out, q.Name(m.key), m.record)
	}
	return out, nil
}
