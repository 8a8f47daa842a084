package jsondoc

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"strconv"
	"unicode/utf8"
)

// Parse reads exactly one value. The document does not retain text. Errors are of type *[SyntaxError].
//
// The scanner is the project's own, since it takes half the time of jsontext, from whose tokens the same document could be
// made; docs/decisions/0001-json-scanner.md has the figures. Fuzz tests hold it to jsontext.
func Parse(text []byte) (*Document, error) {
	p := parser{text: text, buf: bytes.Clone(text), nodes: make([]node, 0, capacity(text)), open: -1}
	at, err := p.value(p.space(0), 0, 0)
	if err != nil {
		return nil, err
	}
	if at = p.space(at); at < len(text) {
		return nil, p.fail(at, "more text after the value")
	}
	p.copy(len(text))
	end := len(text) - p.gone
	return &Document{text: view(p.buf[:end]), nodes: p.nodes, depth: p.depth}, nil
}

// capacity is a number of nodes that is enough for most texts and not much too large for any: a value begins the text, or
// follows a comma or what opens a container. A text of little else gets more room on the way.
func capacity(text []byte) int {
	n := 1 + bytes.Count(text, []byte{','}) + bytes.Count(text, []byte{'{'}) + bytes.Count(text, []byte{'['})
	return min(n, 8+len(text)/8)
}

// parser reads a text and compacts it. buf begins as a copy of the text; from the first white space on, what follows is
// copied to where it stands without it, in runs from one white space to the next.
type parser struct {
	text  []byte
	buf   []byte
	nodes []node

	gone int // bytes of white space before the run
	run  int // where the run begins: text[run:] stands, or will stand, at buf[run-gone:]

	depth int // the most containers that were open at once
	deep  int // open containers

	// For errors: the innermost open container, -1 for none; whether a member, from its name on, or an element is being
	// read in it; and where that name is in the text, or the number of that element.
	open             int32
	inside           bool
	nameFrom, nameTo int
	element          int
}

func (p *parser) fail(at int, format string, args ...any) error {
	return &SyntaxError{Offset: int64(at), Pointer: p.pointer(at), Rule: fmt.Sprintf(format, args...)}
}

// pointer leads to the innermost value that is being read: a member from its name on, an element from its beginning on, and
// between them what they stand in.
func (p *parser) pointer(at int) string {
	if p.open < 0 {
		return ""
	}
	p.copy(max(at, p.run))
	container := Value{&Document{text: view(p.buf), nodes: p.nodes}, p.open}
	pointer := container.Pointer()
	switch {
	case !p.inside:
		return pointer
	case container.Kind() == Object:
		return pointer + "/" + EscapePointer(unquote(view(p.text[p.nameFrom:p.nameTo])))
	}
	return pointer + "/" + strconv.Itoa(p.element)
}

// unexpected is the error of a character that cannot stand where it does, or of the end of the text.
func (p *parser) unexpected(at int) error {
	if at >= len(p.text) {
		if len(bytes.TrimLeft(p.text, " \t\n\r")) == 0 {
			return p.fail(at, "there is no value")
		}
		return p.fail(len(p.text), "the text ends within a value")
	}
	r, size := utf8.DecodeRune(p.text[at:])
	if r == utf8.RuneError && size == 1 {
		return p.fail(at, "invalid UTF-8")
	}
	return p.fail(at, "unexpected character %q", string(r))
}

// copy ends the run before an offset of the text.
func (p *parser) copy(end int) {
	if p.gone > 0 {
		copy(p.buf[p.run-p.gone:], p.text[p.run:end])
	}
	p.run = end
}

// space skips white space.
func (p *parser) space(at int) int {
	if at < len(p.text) && p.text[at] > ' ' {
		return at
	}
	return p.skip(at)
}

func (p *parser) skip(at int) int {
	end := at
	for end < len(p.text) && (p.text[end] == ' ' || p.text[end] == '\n' || p.text[end] == '\r' || p.text[end] == '\t') {
		end++
	}
	if end > at {
		p.copy(at)
		p.run, p.gone = end, p.gone+end-at
	}
	return end
}

// at is the character at an offset, 0 at the end of the text.
func (p *parser) at(i int) byte {
	if i < len(p.text) {
		return p.text[i]
	}
	return 0
}

// value reads a value and gives the offset after it. The key is where its name begins, if it is named, or its number.
func (p *parser) value(at int, key int32, m marks) (end int, err error) {
	kind := Number
	switch c := p.at(at); c {
	case '"':
		kind = String
		var escaped bool
		if end, escaped, err = p.str(at); escaped {
			m |= textEscapes
		}
	case '{', '[':
		return p.container(at, key, m)
	case 't':
		kind = Bool
		end, err = p.literal(at, "true")
	case 'f':
		kind = Bool
		end, err = p.literal(at, "false")
	case 'n':
		kind = Null
		end, err = p.literal(at, "null")
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		end, err = p.number(at)
	default:
		err = p.unexpected(at)
	}
	if err != nil {
		return 0, err
	}
	n := p.add()
	n.key, n.start, n.end, n.parent, n.kind, n.marks = key, int32(at-p.gone), int32(end-p.gone), p.open, kind, m
	return end, nil
}

// add makes a node that its caller fills in. To write it in its place is cheaper than to copy it there.
func (p *parser) add() *node {
	p.nodes = append(p.nodes, node{})
	return &p.nodes[len(p.nodes)-1]
}

// container reads an object or an array.
func (p *parser) container(at int, key int32, m marks) (end int, err error) {
	if p.deep++; p.deep > Limit {
		return 0, p.fail(at, "nested deeper than %d levels", MaxDepth)
	}
	p.depth = max(p.depth, p.deep)
	index, outer := int32(len(p.nodes)), p.open
	n := p.add()
	n.key, n.start, n.parent, n.marks = key, int32(at-p.gone), outer, m
	p.open, p.inside = index, false
	if p.text[at] == '{' {
		n.kind = Object
		end, err = p.object(at + 1)
	} else {
		n.kind = Array
		end, err = p.array(at + 1)
	}
	if err != nil {
		return 0, err
	}
	p.nodes[index].end = int32(end - p.gone)
	p.open, p.inside = outer, false
	p.deep--
	return end, nil
}

// array reads elements and the bracket after them.
func (p *parser) array(at int) (int, error) {
	if at = p.space(at); p.at(at) == ']' {
		return at + 1, nil
	}
	var err error
	for i, last := 0, int32(-1); ; i++ {
		if at >= len(p.text) || p.text[at] == ']' {
			return 0, p.unexpected(at)
		}
		p.inside, p.element = true, i
		index := int32(len(p.nodes))
		if at, err = p.value(at, int32(i), 0); err != nil {
			return 0, err
		}
		if last >= 0 {
			p.nodes[last].next = index
		}
		last, p.inside = index, false
		switch at = p.space(at); p.at(at) {
		case ']':
			return at + 1, nil
		case ',':
			at = p.space(at + 1)
		default:
			return 0, p.unexpected(at)
		}
	}
}

// object reads members and the brace after them.
func (p *parser) object(at int) (int, error) {
	if at = p.space(at); p.at(at) == '}' {
		return at + 1, nil
	}
	var seen members
	for last := int32(-1); ; {
		if p.at(at) != '"' {
			return 0, p.unexpected(at)
		}
		end, escaped, err := p.str(at)
		if err != nil {
			return 0, err
		}
		key, m := int32(at-p.gone), named
		if escaped {
			m |= nameEscapes
		}
		p.inside, p.nameFrom, p.nameTo = true, at, end
		if seen.again(p, p.text[at:end], escaped) {
			return 0, p.fail(at, "duplicate member name %s", p.text[at:end])
		}
		if at = p.space(end); p.at(at) != ':' {
			return 0, p.unexpected(at)
		}
		index := int32(len(p.nodes))
		if at, err = p.value(p.space(at+1), key, m); err != nil {
			return 0, err
		}
		if last >= 0 {
			p.nodes[last].next = index
		}
		last, p.inside = index, false
		switch at = p.space(at); p.at(at) {
		case '}':
			return at + 1, nil
		case ',':
			at = p.space(at + 1)
		default:
			return 0, p.unexpected(at)
		}
	}
}

// members are the names of an object's members so far. Each name has a bit, which is most often its own; only a name whose bit
// is taken is compared with those before it.
type members struct {
	bits    uint64
	count   int
	escapes bool                // a name has an escape, so that the same name may be written in several ways
	many    map[string]struct{} // the names, once there are too many to compare one by one
}

const manyMembers = 24

// again notes the name of one more member of an object, with its quotes, and tells whether the object has it already.
func (m *members) again(p *parser, name []byte, escaped bool) bool {
	bit := uint64(1) << ((len(name)*8 + int(name[1]) + int(name[len(name)-2])*4) % 64)
	taken := m.bits&bit != 0
	m.bits |= bit
	m.count++
	m.escapes = m.escapes || escaped
	if m.count == 1 || !taken && !m.escapes && m.count < manyMembers {
		return false
	}
	return m.compare(p, view(name))
}

// compare compares a name with those of the members before it.
func (m *members) compare(p *parser, name string) bool {
	text := view(p.buf)
	if m.many == nil {
		p.copy(p.nameTo)
		for i := p.open + 1; i != 0; i = p.nodes[i].next {
			other := p.nodes[i].rawName(text)
			if other == name || m.escapes && unquote(other) == unquote(name) {
				return true
			}
		}
		if m.count < manyMembers {
			return false
		}
		m.many = map[string]struct{}{}
		for i := p.open + 1; i != 0; i = p.nodes[i].next {
			m.many[p.nodes[i].name(text)] = struct{}{}
		}
	}
	name = unquote(name)
	_, again := m.many[name]
	m.many[name] = struct{}{}
	return again
}

func (p *parser) literal(at int, word string) (int, error) {
	for i := range len(word) {
		if p.at(at) != word[i] {
			return 0, p.unexpected(at)
		}
		at++
	}
	return at, nil
}

// digits skips digits.
func (p *parser) digits(at int) int {
	for at < len(p.text) && p.text[at] >= '0' && p.text[at] <= '9' {
		at++
	}
	return at
}

// number reads a number by the grammar of RFC 8259 section 6.
func (p *parser) number(at int) (int, error) {
	if p.at(at) == '-' {
		at++
	}
	end := at
	if p.at(at) == '0' {
		end++
	} else if end = p.digits(at); end == at {
		return 0, p.unexpected(at)
	}
	if p.at(end) == '.' {
		at = end + 1
		if end = p.digits(at); end == at {
			return 0, p.unexpected(at)
		}
	}
	if p.at(end)|0x20 == 'e' {
		at = end + 1
		if c := p.at(at); c == '+' || c == '-' {
			at++
		}
		if end = p.digits(at); end == at {
			return 0, p.unexpected(at)
		}
	}
	return end, nil
}

// plain has the characters of a string that need no second look.
var plain = func() (t [256]bool) {
	for c := range utf8.RuneSelf {
		t[c] = c >= ' ' && c != '"' && c != '\\'
	}
	return t
}()

// notPlain has the highest bit of the first of eight characters that is not plain, and of none before it. A subtraction can
// borrow only from the characters after such a one.
func notPlain(c uint64) uint64 {
	const each = 0x0101010101010101
	control, quote, backslash := c-' '*each, (c^'"'*each)-each, (c^'\\'*each)-each
	return (c | control | quote | backslash) & (0x80 * each)
}

// plainUpTo is the number of plain characters that a text begins with.
func plainUpTo(text []byte) int {
	i := 0
	for ; i+8 <= len(text); i += 8 {
		if special := notPlain(binary.LittleEndian.Uint64(text[i:])); special != 0 {
			return i + bits.TrailingZeros64(special)/8
		}
	}
	for i < len(text) && plain[text[i]] {
		i++
	}
	return i
}

// str finds the end of the string that starts there, and tells whether it has escapes.
func (p *parser) str(start int) (end int, escaped bool, err error) {
	text, ascii := p.text, true
	i := start + 1
	for ; i+8 <= len(text); i += 8 { // as plainUpTo does, but that a call for every string costs a tenth of all
		if special := notPlain(binary.LittleEndian.Uint64(text[i:])); special != 0 {
			i += bits.TrailingZeros64(special) / 8
			break
		}
	}
	for i < len(text) {
		switch c := text[i]; {
		case plain[c]:
			i++
		case c == '"':
			i++
			if !ascii && !utf8.Valid(text[start:i]) {
				return 0, false, p.invalid(start, i)
			}
			return i, escaped, nil
		case c == '\\':
			escaped = true
			if i, err = p.escape(i); err != nil {
				return 0, false, err
			}
		case c < ' ':
			return 0, false, p.fail(i, "a control character stands in a string without an escape")
		default:
			ascii = false
			i++
		}
	}
	return 0, false, p.unexpected(len(text))
}

// invalid is the error of text that is no UTF-8.
func (p *parser) invalid(start, end int) error {
	for start < end {
		r, size := utf8.DecodeRune(p.text[start:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		start += size
	}
	return p.fail(start, "invalid UTF-8")
}

// escape finds the end of an escape, and of the second one of a pair of surrogates.
func (p *parser) escape(at int) (int, error) {
	if at+1 >= len(p.text) {
		return 0, p.unexpected(len(p.text))
	}
	switch p.text[at+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return at + 2, nil
	case 'u':
		unit, ok := p.unit(at)
		if !ok {
			return 0, p.fail(at, "\\u takes four hexadecimal digits")
		}
		switch {
		case unit >= 0xDC00 && unit < 0xE000:
			return 0, p.fail(at, "an unpaired surrogate stands in a string")
		case unit >= 0xD800 && unit < 0xDC00:
			low, ok := p.unit(at + 6)
			if !ok || low < 0xDC00 || low >= 0xE000 {
				return 0, p.fail(at, "an unpaired surrogate stands in a string")
			}
			return at + 12, nil
		}
		return at + 6, nil
	}
	return 0, p.fail(at, "unknown escape in a string")
}

// unit reads the \uXXXX at an offset.
func (p *parser) unit(at int) (uint64, bool) {
	if at+6 > len(p.text) || p.text[at] != '\\' || p.text[at+1] != 'u' {
		return 0, false
	}
	for _, c := range p.text[at+2 : at+6] {
		if !(c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f') {
			return 0, false
		}
	}
	n, err := strconv.ParseUint(string(p.text[at+2:at+6]), 16, 32)
	return n, err == nil
}
