package schema

import (
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
)

// checker walks the values of a document along a schema. Names and strings are compared as they are written, so a valid event
// costs no allocation. What a schema leaves open is one step, however much is in it.
type checker struct {
	s      *Schema
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

// value checks a value. While only the verdict matters, it stops at the first violation.
func (c *checker) value(n *node, v jsondoc.Value) bool {
	switch n.op {
	case opAny:
		return true
	case opInteger:
		if !v.IsIntegral() {
			return c.wrongType(v, "an integer")
		}
		return true
	case opString, opType, opVersion:
		text, ok := v.PlainStr()
		if !ok {
			if v.Kind() != jsondoc.String {
				return c.wrongType(v, "a string")
			}
			text = v.Str()
		}
		return c.s.fits(n, text) || c.misfit(n, text)
	case opObject:
		if v.Kind() != jsondoc.Object {
			return n.untyped || c.wrongType(v, "an object")
		}
		return c.object(n, v)
	case opArray:
		if v.Kind() != jsondoc.Array {
			return c.wrongType(v, "an array")
		}
		return c.array(n, v)
	default:
		return c.alternatives(n, v)
	}
}

// wrongType is always false.
func (c *checker) wrongType(v jsondoc.Value, want string) bool {
	c.fail("type", func() string { return shorten(string(v.Raw())) + " is not " + want })
	return false
}

func (c *checker) object(n *node, v jsondoc.Value) bool {
	if c.report != nil {
		return c.reportObject(n, v)
	}
	var seen uint64
	likely := 0 // where the next member is found if they stand in the order of the schema
	for m := v.FirstChild(); m.Exists(); m = m.NextSibling() {
		at := likely
		if at >= len(n.props) || !m.IsNamed(n.props[at].name) {
			at = n.prop(m.Key())
		}
		if at < 0 {
			if n.closed && !c.s.lenient {
				return false
			}
			continue
		}
		if !c.value(n.props[at].node, m) {
			return false
		}
		seen |= 1 << at
		likely = at + 1
	}
	return seen&n.required == n.required
}

// reportObject is object for when the findings matter. What is missing belongs to the object and stands before what is
// wrong within it.
func (c *checker) reportObject(n *node, v jsondoc.Value) bool {
	ok := c.missing(n, v)
	for m := v.FirstChild(); m.Exists(); m = m.NextSibling() {
		at := n.prop(m.Key())
		if at < 0 {
			if n.closed && !c.s.lenient {
				ok = false
				name := m.Key()
				c.within(step{name, -1}, func() {
					c.fail("additionalProperties", func() string { return n.unknownMember(name) })
				})
			}
			continue
		}
		c.within(step{n.props[at].name, -1}, func() {
			ok = c.value(n.props[at].node, m) && ok
		})
	}
	return ok
}

// missing reports the required members that an object lacks, and tells whether it has them all.
func (c *checker) missing(n *node, v jsondoc.Value) bool {
	var seen uint64
	for m := v.FirstChild(); m.Exists(); m = m.NextSibling() {
		if at := n.prop(m.Key()); at >= 0 {
			seen |= 1 << at
		}
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

func (c *checker) array(n *node, v jsondoc.Value) bool {
	if c.report != nil {
		return c.reportArray(n, v)
	}
	found := n.contains == nil
	for e := v.FirstChild(); e.Exists(); e = e.NextSibling() {
		found = found || c.value(n.contains, e)
		if !c.value(n.item, e) {
			return false
		}
	}
	return found
}

// reportArray is array for when the findings matter. That no element is what the array must contain is a fault of the array
// as a whole, and so stands before those of its elements.
func (c *checker) reportArray(n *node, v jsondoc.Value) bool {
	ok := n.contains == nil || c.contains(n, v)
	at := 0
	for e := v.FirstChild(); e.Exists(); e = e.NextSibling() {
		c.within(step{"", at}, func() {
			ok = c.value(n.item, e) && ok
		})
		at++
	}
	return ok
}

func (c *checker) contains(n *node, v jsondoc.Value) bool {
	quiet := checker{s: c.s}
	for e := v.FirstChild(); e.Exists(); e = e.NextSibling() {
		if quiet.value(n.contains, e) {
			return true
		}
	}
	c.fail("contains", func() string { return "no element is " + n.contains.describe() })
	return false
}

func (c *checker) alternatives(n *node, v jsondoc.Value) bool {
	if n.apart != "" {
		return c.toldApart(n, v)
	}
	quiet := checker{s: c.s}
	matched := 0
	for _, a := range n.alts {
		if quiet.value(a, v) {
			matched++
			if n.op == opAnyOf {
				break
			}
		}
	}
	if matched == 1 {
		return true
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
			return shorten(string(v.Raw())) + " is more than one of: " + strings.Join(allowed, "; ")
		}
		return shorten(string(v.Raw())) + " is none of: " + strings.Join(allowed, "; ")
	})
	return false
}

// toldApart checks a value by the alternative that one of its members names, so that the findings are those of what was meant.
func (c *checker) toldApart(n *node, v jsondoc.Value) bool {
	if v.Kind() != jsondoc.Object {
		return c.wrongType(v, "an object")
	}
	m := v.Get(n.apart)
	if m.Kind() == jsondoc.String {
		word := m.Str()
		for _, a := range n.alts {
			if a.props[a.prop(n.apart)].node.enum[0] == word {
				return c.value(a, v)
			}
		}
	}
	if c.report == nil {
		return false
	}
	if !m.Exists() {
		c.fail("required", func() string { return "member " + strconv.Quote(n.apart) + " is missing" })
		return false
	}
	words := &node{op: opString}
	for _, a := range n.alts {
		words.enum = append(words.enum, a.props[a.prop(n.apart)].node.enum[0])
	}
	c.within(step{n.apart, -1}, func() { c.value(words, m) })
	return false
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

// fits tells whether a string is what the event must have at a place.
func (s *Schema) fits(n *node, text string) bool {
	switch n.op {
	case opString:
		return n.allows(text)
	case opType:
		return s.lenient || text == s.typ
	}
	return s.lenient || text == s.version
}

// allows tells whether a string is one that its schema allows.
func (n *node) allows(text string) bool {
	switch {
	case n.min > 0 && n.short(text):
		return false
	case n.is != nil:
		return n.is(text)
	}
	return n.enum == nil || slices.Contains(n.enum, text)
}

// short tells whether a string has too few characters.
func (n *node) short(text string) bool {
	return len(text) < n.min*utf8.UTFMax && utf8.RuneCountInString(text) < n.min
}

// misfit says why a string does not fit. It is always false.
func (c *checker) misfit(n *node, text string) bool {
	rule, what := "enum", func() string { return quote(text) + " is not one of " + strings.Join(n.enum, ", ") }
	switch {
	case n.op == opType:
		what = func() string { return quote(text) + " is not " + c.s.typ }
	case n.op == opVersion:
		what = func() string { return quote(text) + " is not " + c.s.version }
	case n.min > 0 && text == "":
		rule, what = "minLength", func() string { return "the string is empty" }
	case n.short(text):
		rule, what = "minLength", func() string { return shorten(text) + " is shorter than " + strconv.Itoa(n.min) + " characters" }
	case n.is != nil:
		k := &stringKinds[n.check]
		rule, what = k.rule, func() string { return quote(text) + " is not " + k.what }
	}
	c.fail(rule, what)
	return false
}

// maxShown is how many characters of a value a message shows.
const maxShown = 80

func shorten(text string) string {
	if utf8.RuneCountInString(text) <= maxShown {
		return text
	}
	return string([]rune(text[:min(len(text), maxShown*utf8.UTFMax)])[:maxShown]) + "…"
}

func quote(s string) string { return strconv.Quote(shorten(s)) }
