package jsondoc

import (
	"slices"
	"strconv"
	"time"
)

// Writer makes a document: the text and its values in one go, so that what was written can be read and checked without
// being parsed. Calls must nest as JSON does; a Writer that is used otherwise gives a document that is none. It is not safe
// for concurrent use. Its zero value is ready for [Writer.Start].
type Writer struct {
	buf   []byte
	nodes []node
	depth int
	made  Document

	open  int32 // the innermost open container, -1 for none
	last  int32 // the value before within it, -1 for none
	level int
	key   int32 // where the pending member name begins
	marks marks // of that name; 0 if none is pending
}

// Start begins a document of about size bytes and so many values, in the memory of the one before, which must not be used any
// more.
func (w *Writer) Start(size, values int) {
	*w = Writer{buf: slices.Grow(w.buf[:0], size), nodes: slices.Grow(w.nodes[:0], values), open: -1, last: -1}
}

// Document is what was written, until the next Start.
func (w *Writer) Document() *Document {
	w.made = Document{text: view(w.buf), nodes: w.nodes, depth: w.depth}
	return &w.made
}

// comma separates a value, or a member's name, from the one before.
func (w *Writer) comma() {
	if w.last >= 0 {
		w.buf = append(w.buf, ',')
	}
}

// begin starts a value: its node is the next.
func (w *Writer) begin(kind Kind) *node {
	if w.marks == 0 && w.last >= 0 {
		w.comma()
		w.key = w.nodes[w.last].key + 1
	}
	index := int32(len(w.nodes))
	w.nodes = append(w.nodes, node{})
	n := &w.nodes[index]
	n.key, n.start, n.parent, n.kind, n.marks = w.key, int32(len(w.buf)), w.open, kind, w.marks
	if w.last >= 0 {
		w.nodes[w.last].next = index
	}
	w.last, w.key, w.marks = index, 0, 0
	return n
}

// Name writes the name of the member whose value comes next.
func (w *Writer) Name(name string) {
	w.comma()
	w.key, w.marks = int32(len(w.buf)), named
	w.buf = AppendString(w.buf, name)
	if len(w.buf)-int(w.key) != len(name)+2 {
		w.marks |= nameEscapes
	}
	w.buf = append(w.buf, ':')
}

func (w *Writer) container(kind Kind, opening byte) {
	w.begin(kind)
	w.buf = append(w.buf, opening)
	w.open, w.last = w.last, -1
	w.level++
	w.depth = max(w.depth, w.level)
}

// Object opens an object.
func (w *Writer) Object() { w.container(Object, '{') }

// Array opens an array.
func (w *Writer) Array() { w.container(Array, '[') }

// Close closes the innermost container.
func (w *Writer) Close() {
	n := &w.nodes[w.open]
	closing := byte('}')
	if n.kind == Array {
		closing = ']'
	}
	w.buf = append(w.buf, closing)
	n.end = int32(len(w.buf))
	w.last, w.open = w.open, n.parent
	w.level--
}

// String writes a string. Invalid UTF-8 becomes U+FFFD.
func (w *Writer) String(s string) {
	n := w.begin(String)
	w.buf = AppendString(w.buf, s)
	n.end = int32(len(w.buf))
	if n.end-n.start != int32(len(s)+2) {
		n.marks |= textEscapes
	}
}

// Member writes a member that is a string.
func (w *Writer) Member(name, s string) {
	w.Name(name)
	w.String(s)
}

// Int writes a number.
func (w *Writer) Int(i int64) {
	n := w.begin(Number)
	w.buf = strconv.AppendInt(w.buf, i, 10)
	n.end = int32(len(w.buf))
}

// Splice writes a value of another document as it stands there, with all that is in it.
func (w *Writer) Splice(v Value) {
	from := &v.d.nodes[v.i]
	text := v.d.text[from.start:from.end]
	root := w.begin(from.kind)
	moved := nodesMoved{text: root.start - from.start, index: w.last - v.i}
	w.buf = append(w.buf, text...)
	root.end = int32(len(w.buf))
	root.marks |= from.marks & textEscapes
	if from.kind < Array {
		return
	}
	inner := len(w.nodes)
	w.nodes = append(w.nodes, v.d.nodes[v.i+1:v.end()]...)
	for i := range w.nodes[inner:] {
		moved.apply(&w.nodes[inner+i])
	}
	deep := v.d.depth
	if w.level+deep > MaxDepth {
		deep = v.depth(nil) // v may be less deep than its document
	}
	w.depth = max(w.depth, w.level+deep)
}

// JSON writes a value from its text. An error is of type *[SyntaxError]; nothing was written then.
func (w *Writer) JSON(raw []byte) error {
	if last := len(raw) - 1; last >= 1 && raw[0] == '"' && raw[last] == '"' && plainUpTo(raw[1:last]) == last-1 {
		n := w.begin(String)
		w.buf = append(w.buf, raw...)
		n.end = int32(len(w.buf))
		return nil
	}
	d, err := Parse(raw)
	if err != nil {
		return err
	}
	w.Splice(d.Root())
	return nil
}

// end is the index after the last value within v.
func (v Value) end() int32 {
	for i := v.i; i >= 0; i = v.d.nodes[i].parent {
		if next := v.d.nodes[i].next; next != 0 {
			return next
		}
	}
	return int32(len(v.d.nodes))
}

// Timestamp writes milliseconds since 1970, in the years 0000 to 9999, as a string; see [AppendTimestamp].
func (w *Writer) Timestamp(ms int64) {
	n := w.begin(String)
	w.buf = append(w.buf, '"')
	w.buf = AppendTimestamp(w.buf, ms)
	w.buf = append(w.buf, '"')
	n.end = int32(len(w.buf))
}

// AppendTimestamp appends milliseconds since 1970, in the years 0000 to 9999, as a timestamp of RFC 3339: in UTC, with three
// digits. It does what [time.Time.AppendFormat] does with a layout, and is cheaper.
func AppendTimestamp(dst []byte, ms int64) []byte {
	t := time.UnixMilli(ms).UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	milli := t.Nanosecond() / 1e6
	text := [...]byte{
		digit(year / 1000), digit(year / 100), digit(year / 10), digit(year), '-',
		digit(int(month) / 10), digit(int(month)), '-', digit(day / 10), digit(day), 'T',
		digit(hour / 10), digit(hour), ':', digit(minute / 10), digit(minute), ':', digit(second / 10), digit(second), '.',
		digit(milli / 100), digit(milli / 10), digit(milli), 'Z',
	}
	return append(dst, text[:]...)
}

// digit is the last decimal digit of a number.
func digit(n int) byte { return byte('0' + n%10) }
