// Package jsondoc is the lean document model that events are read through: the bytes, compacted once, and a flat table of
// the values in them. Nothing is converted until it is asked for, so numbers keep their digits and member names their order.
//
// The decoding rules hold at every edge of the bridge: a duplicate member name, invalid UTF-8, an unpaired surrogate,
// nesting beyond [Limit] levels and anything after the value are errors (RFC 8259, RFC 7493 section 2).
package jsondoc

import (
	"fmt"
	"iter"
	"strconv"
	"strings"
	"unsafe"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxDepth is the number of nested objects and arrays that an event may have.
const MaxDepth = 100

// Limit is the number that a document may have: an event of MaxDepth levels, within the levels that carrying it in
// another event's custom data adds. Who reads events holds what is not carried to MaxDepth; see [Document.Depth].
const Limit = MaxDepth + 6

// Kind says what a value is.
type Kind byte

// The kinds of JSON values. Missing is the kind of a value that is not there.
const (
	Missing Kind = iota
	Null
	Bool
	Number
	String
	Array
	Object
)

var kindNames = [...]string{"missing", "null", "boolean", "number", "string", "array", "object"}

// String is the kind's name as the JSON Schema specification spells it.
func (k Kind) String() string { return kindNames[k] }

// SyntaxError tells where a text is not the JSON that the bridge accepts, and by which rule.
type SyntaxError struct {
	Offset  int64  // in bytes from the start of the text
	Pointer string // the innermost value that was being read (RFC 6901): a member from the end of its name on
	Rule    string
}

// Error names the rule, the pointer and the offset.
func (e *SyntaxError) Error() string {
	if e.Pointer == "" {
		return fmt.Sprintf("not valid JSON at byte %d: %s", e.Offset, e.Rule)
	}
	return fmt.Sprintf("not valid JSON at byte %d (%s): %s", e.Offset, e.Pointer, e.Rule)
}

// node is one value; its members or elements are the nodes that follow it, each linked to the next by its index.
type node struct {
	key        int32 // where a member's name begins, with its quotes; it ends before the colon. Of an element, its number.
	start, end int32
	next       int32 // the following sibling; 0 for the last
	parent     int32
	kind       Kind
	marks      marks
}

// marks tell whether a value has a name, and what of it may have escapes to resolve.
type marks byte

const (
	named marks = 1 << iota
	nameEscapes
	textEscapes
)

// Document is a parsed value. It is immutable: any number of goroutines may read it at once.
type Document struct {
	text  string
	nodes []node
	depth int
}

// view is a text that is not changed any more, as a string.
func view(text []byte) string { return unsafe.String(unsafe.SliceData(text), len(text)) }

// Bytes is the compacted text: no white space between tokens, otherwise as it came. It must not be changed.
func (d *Document) Bytes() []byte { return unsafe.Slice(unsafe.StringData(d.text), len(d.text)) }

// Len is the number of values in the document; a [Value]'s Index is less than it.
func (d *Document) Len() int { return len(d.nodes) }

// Depth is the number of nested objects and arrays, 0 for a scalar. Of a document that a [Writer] made it may be more, but not
// more than MaxDepth then.
func (d *Document) Depth() int { return d.depth }

// DepthWithout is Depth for the document without some of its values.
func (d *Document) DepthWithout(skip func(Value) bool) int { return d.Root().depth(skip) }

// depth is the number of nested objects and arrays from v on, without those that skip tells; skip may be nil.
func (v Value) depth(skip func(Value) bool) int {
	if v.Kind() < Array || skip != nil && skip(v) {
		return 0
	}
	most := 0
	for c := v.first(); c.d != nil; c = c.nextSibling() {
		most = max(most, c.depth(skip))
	}
	return most + 1
}

// Document is the value, with all that is in it, as a document of its own. It shares the text with v's.
func (v Value) Document() *Document {
	n := &v.d.nodes[v.i]
	out := &Document{text: v.d.text[n.start:n.end], nodes: append([]node(nil), v.d.nodes[v.i:v.end()]...), depth: v.d.depth}
	if out.depth > MaxDepth {
		out.depth = v.depth(nil) // v may be less deep than its document
	}
	moved := nodesMoved{text: -n.start, index: -v.i}
	for i := range out.nodes {
		moved.apply(&out.nodes[i])
	}
	root := &out.nodes[0]
	root.key, root.next, root.parent = 0, 0, -1
	root.marks &= textEscapes
	return out
}

// nodesMoved is by how much values move with their text and in the table.
type nodesMoved struct{ text, index int32 }

func (m nodesMoved) apply(n *node) {
	if n.marks&named != 0 {
		n.key += m.text
	}
	n.start += m.text
	n.end += m.text
	if n.next != 0 {
		n.next += m.index
	}
	n.parent += m.index
}

// Root is the outermost value.
func (d *Document) Root() Value { return Value{d, 0} }

// Value is one value of a document, or none: the zero Value is Missing, and so is what is looked up in it.
type Value struct {
	d *Document
	i int32
}

// Exists tells whether there is a value.
func (v Value) Exists() bool { return v.d != nil }

// Index numbers the value within its document, in reading order from 0.
func (v Value) Index() int { return int(v.i) }

// Kind is what the value is.
func (v Value) Kind() Kind {
	if v.d == nil {
		return Missing
	}
	return v.d.nodes[v.i].kind
}

// Raw is the value's compacted text, nil if Missing. It must not be changed.
func (v Value) Raw() []byte {
	if v.d == nil {
		return nil
	}
	n := &v.d.nodes[v.i]
	return v.d.Bytes()[n.start:n.end:n.end]
}

// Key is the value's member name, "" if it is not a member of an object.
func (v Value) Key() string {
	if v.d == nil {
		return ""
	}
	n := &v.d.nodes[v.i]
	if n.marks&named == 0 {
		return ""
	}
	return n.name(v.d.text)
}

// Get is the member of that name, Missing if there is none or the value is no object.
func (v Value) Get(name string) Value {
	if v.Kind() != Object {
		return Value{}
	}
	d := v.d
	for i := v.first().i; i != 0; i = d.nodes[i].next {
		n := &d.nodes[i]
		if n.is(d.text, name) || n.marks&nameEscapes != 0 && n.name(d.text) == name {
			return Value{d, i}
		}
	}
	return Value{}
}

// At follows member names from value to value.
func (v Value) At(path ...string) Value {
	for _, p := range path {
		v = v.Get(p)
	}
	return v
}

// Pointed is the value at a JSON pointer (RFC 6901) below this one; "" is the value itself. Who looks up the same pointer
// in many events splits it once ([NewPath]).
func (v Value) Pointed(pointer string) Value {
	p, ok := NewPath(pointer)
	if !ok {
		return Value{}
	}
	return v.Follow(p)
}

func (v Value) first() Value {
	if v.d == nil || v.d.nodes[v.i].kind < Array {
		return Value{}
	}
	i := v.i + 1
	if int(i) >= len(v.d.nodes) || v.d.nodes[i].parent != v.i {
		return Value{}
	}
	return Value{v.d, i}
}

func (v Value) nextSibling() Value {
	n := v.d.nodes[v.i].next
	if n == 0 {
		return Value{}
	}
	return Value{v.d, n}
}

// Children are the members of an object or the elements of an array, in order; none for anything else.
func (v Value) Children() iter.Seq[Value] {
	return func(yield func(Value) bool) {
		for c := v.first(); c.d != nil; c = c.nextSibling() {
			if !yield(c) {
				return
			}
		}
	}
}

// Len is the number of members or elements.
func (v Value) Len() int {
	n := 0
	for c := v.first(); c.d != nil; c = c.nextSibling() {
		n++
	}
	return n
}

// ParentOf is the index of the object or array that holds the value of an index, -1 for the root.
func (d *Document) ParentOf(index int) int { return int(d.nodes[index].parent) }

// Empty tells whether an object or array has nothing in it; it is true for anything else.
func (v Value) Empty() bool { return v.first().d == nil }

// Parent is the object or array that holds the value, Missing for the root.
func (v Value) Parent() Value {
	if v.d == nil || v.d.nodes[v.i].parent < 0 {
		return Value{}
	}
	return Value{v.d, v.d.nodes[v.i].parent}
}

// Str is the text of a string with its escapes resolved, "" for anything else. It keeps the whole document in memory as
// long as it is held: clone what is kept.
func (v Value) Str() string {
	if s, ok := v.PlainStr(); ok || v.Kind() != String {
		return s
	}
	return unquote(string(v.Raw()))
}

// rawName is a member's name as it is written, with its quotes.
func (n *node) rawName(text string) string { return text[n.key : n.start-1] }

// is tells whether a value has a name that is written so, without escapes.
func (n *node) is(text, name string) bool {
	return n.marks&(named|nameEscapes) == named && text[n.key+1:n.start-2] == name
}

// name is a member's name.
func (n *node) name(text string) string {
	if n.marks&nameEscapes != 0 {
		return unquote(n.rawName(text))
	}
	return text[n.key+1 : n.start-2]
}

// Pointer is the value's JSON pointer (RFC 6901), "" for the root.
func (v Value) Pointer() string { return string(v.AppendPointer(nil)) }

// AppendPointer appends the value's JSON pointer.
func (v Value) AppendPointer(dst []byte) []byte {
	if v.d == nil || v.i == 0 {
		return dst
	}
	parent := Value{v.d, v.d.nodes[v.i].parent}
	dst = append(parent.AppendPointer(dst), '/')
	if parent.Kind() != Array {
		return append(dst, EscapePointer(v.Key())...)
	}
	return strconv.AppendInt(dst, int64(v.d.nodes[v.i].key), 10)
}

// EscapePointer writes a member name as a token of a JSON pointer.
func EscapePointer(name string) string {
	if strings.IndexByte(name, '~') < 0 && strings.IndexByte(name, '/') < 0 {
		return name
	}
	return strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
}

// unquote gives the text of a JSON string.
func unquote(raw string) string {
	if strings.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1]
	}
	out, err := jsontext.AppendUnquote(nil, raw)
	if err != nil {
		return "" // cannot be: Parse has read it
	}
	return string(out)
}

// AppendString appends a JSON string with only the escapes that JSON demands. Invalid UTF-8 becomes U+FFFD.
func AppendString(dst []byte, s string) []byte {
	if plainUpTo([]byte(s)) == len(s) {
		dst = append(dst, '"')
		dst = append(dst, s...)
		return append(dst, '"')
	}
	out, err := jsontext.AppendQuote(dst, s)
	if err != nil {
		// Only invalid UTF-8 is an error; the text is written all the same.
		return out
	}
	return out
}

// AppendWithout appends the object v without one of its members or, for an array, without those elements for which
// drop is true; it keeps the order of the rest.
func AppendWithout(dst []byte, v Value, drop func(Value) bool) []byte {
	opening, closing := byte('{'), byte('}')
	if v.Kind() == Array {
		opening, closing = '[', ']'
	}
	dst = append(dst, opening)
	any := false
	for c := range v.Children() {
		if drop(c) {
			continue
		}
		if any {
			dst = append(dst, ',')
		}
		any = true
		n := &v.d.nodes[c.i]
		if n.marks&named != 0 {
			dst = append(dst, v.d.text[n.key:n.start]...)
		}
		dst = append(dst, c.Raw()...)
	}
	return append(dst, closing)
}

// AppendReplaced appends the document's text with one value replaced. A nil replacement leaves a member or element
// out altogether, with its name.
func AppendReplaced(dst []byte, d *Document, v Value, replacement []byte) []byte {
	n := &d.nodes[v.i]
	if replacement != nil {
		dst = append(dst, d.text[:n.start]...)
		dst = append(dst, replacement...)
		return append(dst, d.text[n.end:]...)
	}
	parent := v.Parent()
	p := &d.nodes[parent.i]
	dst = append(dst, d.text[:p.start]...)
	dst = AppendWithout(dst, parent, func(c Value) bool { return c.i == v.i })
	return append(dst, d.text[p.end:]...)
}
