package schema

import (
	"bytes"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
)

// checker walks the compacted text of a document along a schema. It reads the text itself: the names of members are compared
// where they stand, so that a valid event costs no allocation. jsondoc has made sure that the text is JSON, that no member
// name comes twice and that white space is only within strings.
type checker struct {
	s      *Schema
	buf    []byte
	report *report // nil while only the verdict matters
}

// report collects findings and remembers the way to the value that is being checked.
type report struct {
	path     []step
	findings []Finding
}

type step struct {
	name  string
	index int // of an element; -1 for a member
}

func (r *report) pointer() string {
	var b strings.Builder
	for _, s := range r.path {
		b.WriteByte('/')
		if s.index >= 0 {
			b.WriteString(strconv.Itoa(s.index))
		} else {
			b.WriteString(jsondoc.EscapePointer(s.name))
		}
	}
	return b.String()
}

// fail notes a finding; message is only called for when there is someone to read it.
func (c *checker) fail(rule string, message func() string) {
	if c.report != nil && len(c.report.findings) < maxFindings {
		c.report.findings = append(c.report.findings, Finding{c.report.pointer(), rule, message()})
	}
}

// value checks the value that starts at offset i. It returns where the value ends; while only the verdict matters, the end
// means nothing once the verdict is false.
func (c *checker) value(n *node, i int) (end int, ok bool) {
	first := c.buf[i]
	switch n.op {
	case opAny:
		return c.skip(i), true
	case opInteger:
		end = c.skip(i)
		if !isInteger(c.buf[i:end]) {
			c.wrongType(i, end, "an integer")
			return end, false
		}
		return end, true
	case opString, opType, opVersion:
		if first != '"' {
			if c.report == nil {
				return 0, false
			}
			end = c.skip(i)
			c.wrongType(i, end, "a string")
			return end, false
		}
		end = c.stringEnd(i)
		return end, c.str(n, c.buf[i:end])
	case opObject:
		if first != '{' {
			if n.untyped {
				return c.skip(i), true
			}
			if c.report == nil {
				return 0, false
			}
			end = c.skip(i)
			c.wrongType(i, end, "an object")
			return end, false
		}
		return c.object(n, i)
	case opArray:
		if first != '[' {
			if c.report == nil {
				return 0, false
			}
			end = c.skip(i)
			c.wrongType(i, end, "an array")
			return end, false
		}
		return c.array(n, i)
	default:
		return c.alternatives(n, i)
	}
}

func (c *checker) wrongType(i, end int, want string) {
	c.fail("type", func() string { return shorten(c.buf[i:end]) + " is not " + want })
}

func (c *checker) object(n *node, i int) (end int, ok bool) {
	ok = true
	if c.report != nil {
		// What is missing belongs to the object and stands before what is wrong within it.
		ok = c.missing(n, i)
	}
	var seen uint64
	likely := 0
	i++ // {
	for c.buf[i] != '}' {
		if c.buf[i] == ',' {
			i++
		}
		keyEnd := c.stringEnd(i)
		key := c.buf[i+1 : keyEnd-1]
		at := n.match(key, likely)
		if at < 0 {
			if n.closed && !c.s.lenient {
				if c.report == nil {
					return 0, false
				}
				ok = false
				c.within(step{unescape(key), -1}, func() {
					c.fail("additionalProperties", func() string { return n.unknownMember(unescape(key)) })
				})
			}
			i = c.skip(keyEnd + 1)
			continue
		}
		seen |= 1 << at
		likely = at + 1
		if c.report == nil {
			if i, ok = c.value(n.props[at].node, keyEnd+1); !ok {
				return 0, false
			}
			continue
		}
		c.within(step{n.props[at].name, -1}, func() {
			var good bool
			i, good = c.value(n.props[at].node, keyEnd+1)
			ok = ok && good
		})
	}
	return i + 1, ok && seen&n.required == n.required
}

// missing reports the required members that an object lacks.
func (c *checker) missing(n *node, i int) bool {
	var seen uint64
	i++
	for c.buf[i] != '}' {
		if c.buf[i] == ',' {
			i++
		}
		keyEnd := c.stringEnd(i)
		if at := n.match(c.buf[i+1:keyEnd-1], 0); at >= 0 {
			seen |= 1 << at
		}
		i = c.skip(keyEnd + 1)
	}
	lacking := n.required &^ seen
	for rest := lacking; rest != 0; rest &= rest - 1 {
		name := n.props[bits.TrailingZeros64(rest)].name
		c.fail("required", func() string { return "member " + strconv.Quote(name) + " is missing" })
	}
	return lacking == 0
}

func (c *checker) within(s step, f func()) {
	c.report.path = append(c.report.path, s)
	f()
	c.report.path = c.report.path[:len(c.report.path)-1]
}

// match finds the property of a member name as it is written.
func (n *node) match(key []byte, likely int) int {
	if likely < len(n.props) && n.props[likely].name == string(key) {
		return likely
	}
	if bytes.IndexByte(key, '\\') >= 0 {
		return n.prop(unescape(key))
	}
	for i := range n.props {
		if n.props[i].name == string(key) {
			return i
		}
	}
	return -1
}

func (n *node) unknownMember(key string) string {
	if len(n.props) == 0 {
		return "unknown member " + quote(key) + "; there must be none"
	}
	var names []string
	for _, p := range n.props {
		names = append(names, p.name)
	}
	return "unknown member " + quote(key) + "; known are " + strings.Join(names, ", ")
}

func (c *checker) array(n *node, i int) (end int, ok bool) {
	ok = true
	start := i
	found := n.contains == nil
	if c.report != nil && !found {
		// Of the array as a whole, and so before its elements.
		found = c.contains(n, start)
		ok = found
	}
	i++ // [
	for at := 0; c.buf[i] != ']'; at++ {
		if c.buf[i] == ',' {
			i++
		}
		if !found && c.report == nil {
			_, found = c.value(n.contains, i)
		}
		if c.report == nil {
			if i, ok = c.value(n.item, i); !ok {
				return 0, false
			}
			continue
		}
		c.within(step{"", at}, func() {
			var good bool
			i, good = c.value(n.item, i)
			ok = ok && good
		})
	}
	return i + 1, ok && found
}

func (c *checker) contains(n *node, i int) bool {
	quiet := checker{s: c.s, buf: c.buf}
	for i++; c.buf[i] != ']'; i = c.skip(i) {
		if c.buf[i] == ',' {
			i++
		}
		if _, ok := quiet.value(n.contains, i); ok {
			return true
		}
	}
	c.fail("contains", func() string { return "no element is " + n.contains.describe() })
	return false
}

func (c *checker) alternatives(n *node, i int) (end int, ok bool) {
	quiet := checker{s: c.s, buf: c.buf}
	matched := 0
	for _, a := range n.alts {
		if _, ok := quiet.value(a, i); ok {
			matched++
			if n.op == opAnyOf {
				break
			}
		}
	}
	end = c.skip(i)
	if matched == 1 {
		return end, true
	}
	rule := "anyOf"
	if n.op == opOneOf {
		rule = "oneOf"
	}
	c.fail(rule, func() string {
		var allowed []string
		for _, a := range n.alts {
			allowed = append(allowed, a.describe())
		}
		if matched > 1 {
			return shorten(c.buf[i:end]) + " is more than one of: " + strings.Join(allowed, "; ")
		}
		return shorten(c.buf[i:end]) + " is none of: " + strings.Join(allowed, "; ")
	})
	return end, false
}

// describe says what a schema allows, roughly.
func (n *node) describe() string {
	switch n.op {
	case opInteger:
		return "an integer"
	case opString, opType, opVersion:
		what := stringKinds[n.check].what
		if n.enum != nil {
			what = "one of " + strings.Join(n.enum, ", ")
		} else if n.min > 0 {
			what += " that is not empty"
		}
		return what
	case opObject:
		var members []string
		for i, p := range n.props {
			if p.node.enum != nil {
				members = append(members, p.name+" "+strings.Join(p.node.enum, " or "))
			} else if n.required&(1<<i) != 0 {
				members = append(members, p.name)
			}
		}
		if members == nil {
			return "an object"
		}
		return "an object with " + strings.Join(members, ", ")
	case opArray:
		return "an array"
	}
	return "any value"
}

// str checks a string as it is written, with its quotes.
func (c *checker) str(n *node, raw []byte) bool {
	raw = raw[1 : len(raw)-1]
	if n.op == opString && n.check == anyString && n.enum == nil && n.min <= 1 {
		if len(raw) < n.min {
			c.fail("minLength", func() string { return "the string is empty" })
			return false
		}
		return true
	}
	if n.op != opString && c.s.lenient {
		return true
	}
	if bytes.IndexByte(raw, '\\') >= 0 {
		raw = []byte(unescape(raw))
	}
	if len(raw) < n.min || n.min > 1 && utf8.RuneCount(raw) < n.min {
		c.fail("minLength", func() string {
			if len(raw) == 0 {
				return "the string is empty"
			}
			return shorten(raw) + " is shorter than " + strconv.Itoa(n.min) + " characters"
		})
		return false
	}
	switch {
	case n.op == opType:
		if string(raw) != c.s.typ {
			c.fail("enum", func() string { return quote(string(raw)) + " is not " + c.s.typ })
			return false
		}
	case n.op == opVersion:
		if string(raw) != c.s.version {
			c.fail("enum", func() string { return quote(string(raw)) + " is not " + c.s.version })
			return false
		}
	case n.enum != nil:
		if !slices.ContainsFunc(n.enum, func(e string) bool { return e == string(raw) }) {
			c.fail("enum", func() string { return quote(string(raw)) + " is not one of " + strings.Join(n.enum, ", ") })
			return false
		}
	case n.check != anyString:
		if k := &stringKinds[n.check]; !k.is(raw) {
			c.fail(k.rule, func() string { return quote(string(raw)) + " is not " + k.what })
			return false
		}
	}
	return true
}

// stringEnd is the offset after the string that starts at i.
func (c *checker) stringEnd(i int) int {
	for at := i + 1; ; {
		q := at + bytes.IndexByte(c.buf[at:], '"')
		// An odd number of backslashes before it escapes the quote.
		b := q
		for c.buf[b-1] == '\\' {
			b--
		}
		if (q-b)%2 == 0 {
			return q + 1
		}
		at = q + 1
	}
}

// skip is the offset after the value that starts at i.
func (c *checker) skip(i int) int {
	switch c.buf[i] {
	case '"':
		return c.stringEnd(i)
	case '{', '[':
		for depth := 0; ; {
			switch c.buf[i] {
			case '"':
				i = c.stringEnd(i)
				continue
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
			i++
		}
	}
	for i < len(c.buf) && c.buf[i] != ',' && c.buf[i] != '}' && c.buf[i] != ']' {
		i++
	}
	return i
}

// maxShown is how many characters of a value a message shows.
const maxShown = 80

func shorten(text []byte) string {
	if utf8.RuneCount(text) <= maxShown {
		return string(text)
	}
	return string([]rune(string(text[:min(len(text), maxShown*utf8.UTFMax)]))[:maxShown]) + "…"
}

func quote(s string) string { return strconv.Quote(shorten([]byte(s))) }
