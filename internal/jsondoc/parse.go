package jsondoc

import (
	"bytes"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// Parse reads exactly one value. The document does not retain text. Errors are of type *[SyntaxError].
//
// The scanner is the project's own: every event passes through it twice, and it takes a third of the time of a general
// tokenizer. A fuzz test holds it to the verdicts and the compact form of jsontext.
func Parse(text []byte) (*Document, error) {
	p := parser{text: text, d: &Document{
		buf:   make([]byte, 0, len(text)),
		nodes: make([]node, 0, len(text)/16+4),
	}}
	if err := p.document(); err != nil {
		return nil, err
	}
	return p.d, nil
}

type parser struct {
	text []byte
	at   int
	d    *Document
	open int32           // the innermost open container, -1 for none
	last int32           // the value before within it, -1 for none
	name node            // has the name of the member that is being read
	deep int             // open containers
	many map[int32]names // the names of objects with many members, by the object

	inside bool // a member, from its name on, or an element is being read
}

// names are the member names of one object, for those that have too many to compare one by one.
type names map[string]struct{}

const manyMembers = 24

func (p *parser) fail(at int, format string, args ...any) error {
	return &SyntaxError{Offset: int64(at), Pointer: p.pointer(), Rule: fmt.Sprintf(format, args...)}
}

// pointer leads to the innermost value that is being read: a member from its name on, an element from its beginning on, and
// between them what they stand in.
func (p *parser) pointer() string {
	if p.open < 0 {
		return ""
	}
	container := Value{p.d, p.open}
	at := container.Pointer()
	switch {
	case !p.inside:
		return at
	case container.Kind() == Object:
		return at + "/" + EscapePointer(unquote(p.d.buf[p.name.keyStart:p.name.keyEnd]))
	}
	n := 0
	for range container.Children() {
		n++
	}
	return at + "/" + strconv.Itoa(n)
}

func (p *parser) unexpected() error {
	if p.at >= len(p.text) {
		if len(bytes.TrimLeft(p.text, " \t\n\r")) == 0 {
			return p.fail(p.at, "there is no value")
		}
		return p.fail(p.at, "the text ends within a value")
	}
	c := p.text[p.at]
	if c < utf8.RuneSelf {
		return p.fail(p.at, "unexpected character %q", string(rune(c)))
	}
	r, size := utf8.DecodeRune(p.text[p.at:])
	if r == utf8.RuneError && size == 1 {
		return p.fail(p.at, "invalid UTF-8")
	}
	return p.fail(p.at, "unexpected character %q", string(r))
}

func (p *parser) space() {
	for p.at < len(p.text) {
		switch p.text[p.at] {
		case ' ', '\t', '\n', '\r':
			p.at++
		default:
			return
		}
	}
}

// next skips white space and gives the character there, 0 at the end.
func (p *parser) next() byte {
	p.space()
	if p.at >= len(p.text) {
		return 0
	}
	return p.text[p.at]
}

func (p *parser) document() error {
	p.open, p.last = -1, -1
	if err := p.value(node{parent: -1}); err != nil {
		return err
	}
	for p.open >= 0 {
		if err := p.step(); err != nil {
			return err
		}
	}
	if p.space(); p.at < len(p.text) {
		return p.fail(p.at, "more text after the value")
	}
	return nil
}

// step reads the end of the innermost container, or one more value in it with its comma and its name.
func (p *parser) step() error {
	container := &p.d.nodes[p.open]
	object := container.kind == Object
	p.inside = false
	closing := byte(']')
	if object {
		closing = '}'
	}
	c := p.next()
	if c == closing {
		p.at++
		p.d.buf = append(p.d.buf, closing)
		container.end = int32(len(p.d.buf))
		delete(p.many, p.open)
		p.last, p.open = p.open, container.parent
		p.deep--
		return nil
	}
	if p.last >= 0 {
		if c != ',' {
			return p.unexpected()
		}
		p.at++
		p.d.buf = append(p.d.buf, ',')
		c = p.next()
	}
	n := node{parent: p.open}
	if object {
		if c != '"' {
			return p.unexpected()
		}
		n.keyStart = int32(len(p.d.buf))
		start := p.at
		if err := p.str(); err != nil {
			return err
		}
		n.keyEnd = int32(len(p.d.buf))
		p.inside, p.name = true, n
		if err := p.unique(n, start); err != nil {
			return err
		}
		if p.next() != ':' {
			return p.unexpected()
		}
		p.at++
		p.d.buf = append(p.d.buf, ':')
	} else if c == ']' || p.at >= len(p.text) {
		return p.unexpected()
	}
	p.inside = true
	return p.value(n)
}

// unique refuses a member name that its object has already; it starts in the text where start says.
func (p *parser) unique(n node, start int) error {
	raw := p.d.buf[n.keyStart:n.keyEnd]
	escaped := bytes.IndexByte(raw, '\\') >= 0
	refuse := func() error {
		return p.fail(start, "duplicate member name %s", raw)
	}
	if seen := p.many[p.open]; seen != nil {
		name := unquote(raw)
		if _, twice := seen[name]; twice {
			return refuse()
		}
		seen[name] = struct{}{}
		return nil
	}
	count := 0
	for v := (Value{p.d, p.open}).first(); v.d != nil; v = v.nextSibling() {
		m := &p.d.nodes[v.i]
		other := p.d.buf[m.keyStart:m.keyEnd]
		if bytes.Equal(other, raw) || (escaped || bytes.IndexByte(other, '\\') >= 0) && unquote(other) == unquote(raw) {
			return refuse()
		}
		count++
	}
	if count < manyMembers {
		return nil
	}
	seen := names{unquote(raw): {}}
	for v := (Value{p.d, p.open}).first(); v.d != nil; v = v.nextSibling() {
		seen[v.Key()] = struct{}{}
	}
	if p.many == nil {
		p.many = map[int32]names{}
	}
	p.many[p.open] = seen
	return nil
}

// value reads a scalar, or the beginning of a container, as the node n.
func (p *parser) value(n node) error {
	c := p.next()
	index := int32(len(p.d.nodes))
	n.start = int32(len(p.d.buf))
	var err error
	switch {
	case c == '{' || c == '[':
		if p.deep++; p.deep > Limit {
			return p.fail(p.at, "nested deeper than %d levels", MaxDepth)
		}
		p.d.depth = max(p.d.depth, p.deep)
		n.kind = Object
		if c == '[' {
			n.kind = Array
		}
		p.at++
		p.d.buf = append(p.d.buf, c)
	case c == '"':
		n.kind = String
		err = p.str()
	case c == 't':
		n.kind = Bool
		err = p.literal("true")
	case c == 'f':
		n.kind = Bool
		err = p.literal("false")
	case c == 'n':
		n.kind = Null
		err = p.literal("null")
	case c == '-' || c >= '0' && c <= '9':
		n.kind = Number
		err = p.number()
	default:
		err = p.unexpected()
	}
	if err != nil {
		return err
	}
	n.end = int32(len(p.d.buf))
	if p.last >= 0 {
		p.d.nodes[p.last].next = index
	}
	p.d.nodes = append(p.d.nodes, n)
	if n.kind >= Array {
		p.open, p.last = index, -1
	} else {
		p.last = index
	}
	return nil
}

func (p *parser) literal(word string) error {
	for i := 0; i < len(word); i++ {
		if p.at >= len(p.text) || p.text[p.at] != word[i] {
			return p.unexpected()
		}
		p.at++
	}
	p.d.buf = append(p.d.buf, word...)
	return nil
}

func (p *parser) digits() bool {
	start := p.at
	for p.at < len(p.text) && p.text[p.at] >= '0' && p.text[p.at] <= '9' {
		p.at++
	}
	return p.at > start
}

func (p *parser) is(c byte) bool {
	if p.at < len(p.text) && p.text[p.at] == c {
		p.at++
		return true
	}
	return false
}

// number reads a number by the grammar of RFC 8259 section 6.
func (p *parser) number() error {
	start := p.at
	p.is('-')
	if !p.is('0') && !p.digits() {
		return p.unexpected()
	}
	if p.is('.') && !p.digits() {
		return p.unexpected()
	}
	if p.is('e') || p.is('E') {
		if !p.is('+') {
			p.is('-')
		}
		if !p.digits() {
			return p.unexpected()
		}
	}
	p.d.buf = append(p.d.buf, p.text[start:p.at]...)
	return nil
}

// str reads a string as it is written, escapes and all.
func (p *parser) str() error {
	start := p.at
	p.at++
	ascii := true
	for p.at < len(p.text) {
		switch c := p.text[p.at]; {
		case c == '"':
			p.at++
			raw := p.text[start:p.at]
			if !ascii && !utf8.Valid(raw) {
				for i := 0; i < len(raw); {
					r, size := utf8.DecodeRune(raw[i:])
					if r == utf8.RuneError && size == 1 {
						return p.fail(start+i, "invalid UTF-8")
					}
					i += size
				}
			}
			p.d.buf = append(p.d.buf, raw...)
			return nil
		case c == '\\':
			if err := p.escape(); err != nil {
				return err
			}
		case c < ' ':
			return p.fail(p.at, "a control character stands in a string without an escape")
		default:
			if c >= utf8.RuneSelf {
				ascii = false
			}
			p.at++
		}
	}
	return p.unexpected()
}

func (p *parser) escape() error {
	if p.at+1 >= len(p.text) {
		p.at = len(p.text)
		return p.unexpected()
	}
	switch p.text[p.at+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		p.at += 2
		return nil
	case 'u':
		unit, ok := p.unit(p.at)
		if !ok {
			return p.fail(p.at, "\\u takes four hexadecimal digits")
		}
		switch {
		case unit >= 0xDC00 && unit < 0xE000:
			return p.fail(p.at, "an unpaired surrogate stands in a string")
		case unit >= 0xD800 && unit < 0xDC00:
			low, ok := p.unit(p.at + 6)
			if !ok || low < 0xDC00 || low >= 0xE000 {
				return p.fail(p.at, "an unpaired surrogate stands in a string")
			}
			p.at += 6
		}
		p.at += 6
		return nil
	}
	return p.fail(p.at, "unknown escape in a string")
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
