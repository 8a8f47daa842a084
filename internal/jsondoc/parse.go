package jsondoc

import (
	"bytes"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// Parse reads exactly one value. The document does not retain text. Errors are of type *[SyntaxError].
//
// The scanner is the project's own, since it takes two thirds of the time of jsontext, from whose tokens the same document
// could be made; docs/decisions/0001-json-scanner.md has the figures. Fuzz tests hold it to jsontext.
func Parse(text []byte) (*Document, error) {
	p := parser{text: text, buf: bytes.Clone(text), nodes: make([]node, 0, capacity(text)), open: -1, last: -1}
	if err := p.document(); err != nil {
		return nil, err
	}
	p.copy(len(text))
	end := len(text) - p.gone
	return &Document{buf: p.buf[:end:end], nodes: p.nodes, depth: p.depth}, nil
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
	depth int

	gone int // bytes of white space before the run
	run  int // where the run begins: text[run:] stands, or will stand, at buf[run-gone:]

	open int32           // the innermost open container, -1 for none
	last int32           // the value before within it, -1 for none
	deep int             // open containers
	many map[int32]names // the names of objects with many members, by the object

	escapes bool // a name has an escape

	// For errors: whether a member, from its name on, or an element is being read, and that name as it is written.
	inside bool
	name   []byte
}

// names are the member names of one object, for those that have too many to compare one by one.
type names map[string]struct{}

const manyMembers = 24

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
	container := Value{&Document{buf: p.buf, nodes: p.nodes}, p.open}
	pointer := container.Pointer()
	switch {
	case !p.inside:
		return pointer
	case container.Kind() == Object:
		return pointer + "/" + EscapePointer(unquote(p.name))
	}
	n := 0
	for range container.Children() {
		n++
	}
	return pointer + "/" + strconv.Itoa(n)
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

// document reads the value, without recursion, and what follows it.
func (p *parser) document() error {
	at := p.space(0)
	var key node // has the name of the next value
	for {
		n := node{keyStart: key.keyStart, keyEnd: key.keyEnd, start: int32(at - p.gone), parent: p.open, escapes: key.escapes}
		var err error
		switch c := p.at(at); c {
		case '{', '[':
			if p.deep++; p.deep > Limit {
				return p.fail(at, "nested deeper than %d levels", MaxDepth)
			}
			p.depth = max(p.depth, p.deep)
			n.kind = Object
			if c == '[' {
				n.kind = Array
			}
			at++
		case '"':
			n.kind = String
			var escaped bool
			if at, escaped, err = p.str(at); escaped {
				n.escapes |= inText
			}
		case 't':
			n.kind = Bool
			at, err = p.literal(at, "true")
		case 'f':
			n.kind = Bool
			at, err = p.literal(at, "false")
		case 'n':
			n.kind = Null
			at, err = p.literal(at, "null")
		case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
			n.kind = Number
			at, err = p.number(at)
		default:
			err = p.unexpected(at)
		}
		if err != nil {
			return err
		}
		n.end = int32(at - p.gone)
		index := int32(len(p.nodes))
		if p.last >= 0 {
			p.nodes[p.last].next = index
		}
		p.nodes = append(p.nodes, n)
		p.last, p.inside = index, false
		if n.kind >= Array {
			p.open, p.last = index, -1
		}
		if at, err = p.ends(at); err != nil {
			return err
		}
		if p.open < 0 {
			if at < len(p.text) {
				return p.fail(at, "more text after the value")
			}
			return nil
		}
		switch key = (node{}); {
		case p.nodes[p.open].kind == Object:
			if at, key, err = p.member(at); err != nil {
				return err
			}
		case p.last >= 0:
			number := p.nodes[p.last].keyStart + 1
			key.keyStart, key.keyEnd = number, number
		}
		p.inside = true
	}
}

// ends reads the ends of containers, and the comma before one more value.
func (p *parser) ends(at int) (int, error) {
	for {
		at = p.space(at)
		if p.open < 0 {
			return at, nil
		}
		container := &p.nodes[p.open]
		closing := byte(']')
		if container.kind == Object {
			closing = '}'
		}
		c := p.at(at)
		if c == closing {
			at++
			container.end = int32(at - p.gone)
			if p.many != nil {
				delete(p.many, p.open)
			}
			p.last, p.open = p.open, container.parent
			p.deep--
			continue
		}
		if p.last >= 0 {
			if c != ',' {
				return 0, p.unexpected(at)
			}
			at = p.space(at + 1)
			c = p.at(at)
		}
		if c == ']' || at >= len(p.text) {
			return 0, p.unexpected(at)
		}
		return at, nil
	}
}

// member reads a name and its colon. Of the result, only the name counts.
func (p *parser) member(start int) (at int, n node, err error) {
	if p.at(start) != '"' {
		return 0, n, p.unexpected(start)
	}
	at, escaped, err := p.str(start)
	if err != nil {
		return 0, n, err
	}
	n.keyStart, n.keyEnd = int32(start-p.gone), int32(at-p.gone)
	if escaped {
		n.escapes = inName
	}
	p.copy(at) // unique reads the names before
	p.inside, p.name, p.escapes = true, p.text[start:at], p.escapes || escaped
	if !p.unique(p.name, escaped) {
		return 0, n, p.fail(start, "duplicate member name %s", p.name)
	}
	if at = p.space(at); p.at(at) != ':' {
		return 0, n, p.unexpected(at)
	}
	return p.space(at + 1), n, nil
}

// unique tells whether the innermost object has no member of a name yet.
func (p *parser) unique(name []byte, escaped bool) bool {
	if p.last < 0 {
		return true
	}
	if seen := p.many[p.open]; seen != nil {
		text := unquote(name)
		_, twice := seen[text]
		seen[text] = struct{}{}
		return !twice
	}
	count := 0
	for i := p.open + 1; i != 0; i = p.nodes[i].next {
		m := &p.nodes[i]
		if int(m.keyEnd-m.keyStart) == len(name) && string(p.buf[m.keyStart:m.keyEnd]) == string(name) {
			return false
		}
		if p.escapes { // the same name may be written in several ways
			other := p.buf[m.keyStart:m.keyEnd]
			if (escaped || bytes.IndexByte(other, '\\') >= 0) && unquote(other) == unquote(name) {
				return false
			}
		}
		count++
	}
	if count < manyMembers {
		return true
	}
	seen := names{unquote(name): {}}
	for i := p.open + 1; i != 0; i = p.nodes[i].next {
		seen[unquote(p.buf[p.nodes[i].keyStart:p.nodes[i].keyEnd])] = struct{}{}
	}
	if p.many == nil {
		p.many = map[int32]names{}
	}
	p.many[p.open] = seen
	return true
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

// str finds the end of the string that starts there, and tells whether it has escapes.
func (p *parser) str(start int) (end int, escaped bool, err error) {
	text, ascii := p.text, true
	for i := start + 1; i < len(text); {
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
