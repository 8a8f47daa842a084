// Package generate writes events of every type and version that the schema tables know: valid ones, by schema and link
// rules, that look like those of the field and have in them what programs stumble over.
//
// All choices come from a [Chooser], so that the same events can be drawn by a property test, which shrinks them, and by a
// command with a seed. The same choices give the same bytes.
package generate

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/internal/schema"
)

// Chooser makes the choices: IntN gives a number from 0 up to but not including n, which is at least 1. Lower numbers stand
// for simpler events. A *rand.Rand of math/rand/v2 is one.
type Chooser interface{ IntN(n int) int }

// Mode says which of the members that may be there are.
type Mode byte

// The modes.
const (
	Minimal Mode = iota // none, and every text is a plain one
	Full                // all of them
	Random              // as the choices fall
)

// String is the mode's name.
func (m Mode) String() string { return [...]string{"minimal", "full", "random"}[m] }

// CustomType is the type of the custom CDEvents among [Schemas]: of a tool that is not this bridge.
const CustomType = "dev.cdeventsx.tool-thing.happened.0.1.0"

// Schemas are the schemas of every event type in every version that the tables know, CDEvents first, each type's oldest
// first. Custom events are there once for each specification that has them.
func Schemas() []*schema.Schema {
	var out []*schema.Schema
	add := func(s *schema.Schema, err error) {
		if err == nil { // what fails is a row that cannot be read, which the tests of package schema find
			out = append(out, s)
		}
	}
	for _, eventType := range schema.CDEventTypes() {
		add(schema.ForCDEvent(eventType, ""))
	}
	for _, spec := range schema.Specs() {
		add(schema.ForCDEvent(CustomType, spec)) // an error: the specification has none
	}
	for _, eventType := range schema.EiffelTypes() {
		for _, version := range schema.EiffelVersions(eventType) {
			add(schema.ForEiffel(eventType, version))
		}
	}
	return out
}

// Writer writes events that may point to one another: a later one links to earlier ones, wherever that is legal, and the
// subjects of all of them meet. It is not safe for concurrent use.
type Writer struct {
	choose Chooser
	known  []target
	uuids  int // made so far; each bears its number, so that no two are the same whatever is chosen
}

// target is an event that links may lead to.
type target struct{ id, eventType string }

// NewWriter returns a writer that knows no event yet.
func NewWriter(choose Chooser) *Writer { return &Writer{choose: choose} }

// Know adds an event that the writer did not write itself to those that links may lead to. The type is the full one.
func (w *Writer) Know(id, eventType string) { w.known = append(w.known, target{id, eventType}) }

// Event writes one event as compact JSON and knows it from then on. Its id is one that the writer has not used before. The
// event is valid by s, which must not be lenient, and by the link rules of its type.
func (w *Writer) Event(s *schema.Schema, mode Mode) []byte {
	e := &event{Writer: w, s: s, mode: mode}
	out := e.value(nil, s.Shape(), nil)
	w.Know(e.id, s.Type())
	return out
}

// event is an event that is being written.
type event struct {
	*Writer
	s    *schema.Schema
	mode Mode
	id   string

	base64 bool // its custom data is text
}

func (e *event) isCDEvent() bool { return e.s.SpecVersions() != nil }

// odd is true about one time in n, and never in a minimal event.
func (e *event) odd(n int) bool { return e.mode != Minimal && e.choose.IntN(n) == n-1 }

// has decides about a member that may be there.
func (e *event) has() bool {
	return e.mode == Full || e.mode == Random && e.choose.IntN(2) == 1
}

// count decides about the number of elements: of a full event, there is at least one.
func (e *event) count(most int) int {
	switch e.mode {
	case Full:
		return 1 + e.choose.IntN(most)
	case Random:
		return e.choose.IntN(most + 1)
	}
	return 0
}

func (w *Writer) pick(from ...string) string { return from[w.choose.IntN(len(from))] }

// value appends a value of a shape. path is the way to it, of member names; the elements of an array have none.
func (e *event) value(b []byte, x schema.Shape, path []string) []byte {
	switch x.Form() {
	case schema.IntegerForm:
		return append(b, e.integer(path)...)
	case schema.TextForm:
		return e.appendText(b, e.text(x, path), x.Words() == nil)
	case schema.ObjectForm:
		return e.object(b, x, path, nil)
	case schema.ArrayForm:
		return e.array(b, x, path)
	case schema.ChoiceForm:
		alternatives := x.Alternatives()
		at := 0
		if e.mode != Minimal {
			at = e.choose.IntN(len(alternatives))
		}
		if is(path, "customData") {
			e.base64 = alternatives[at].Form() == schema.TextForm
		}
		return e.value(b, alternatives[at], path)
	}
	return e.any(b, 3)
}

// is tells whether a path is that of these names.
func is(path []string, names ...string) bool { return slices.Equal(path, names) }

// object appends an object; the members of given stand for what would be chosen.
func (e *event) object(b []byte, x schema.Shape, path []string, given map[string]string) []byte {
	b = append(b, '{')
	first := true
	name := func(s string) {
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(jsondoc.AppendString(b, s), ':')
	}
	used := map[string]bool{}
	for _, m := range x.Members() {
		used[m.Name] = true
		if text, ok := given[m.Name]; ok {
			name(m.Name)
			b = jsondoc.AppendString(b, text)
			continue
		}
		// The schema of EiffelIssueDefinedEvent requires nothing at all, but without meta it is no event.
		if !m.Required && !(path == nil && m.Name == "meta") && !e.has() {
			continue
		}
		name(m.Name)
		b = e.value(b, m.Shape, append(path[:len(path):len(path)], m.Name))
	}
	if !x.Open() {
		return append(b, '}')
	}
	for range e.count(2) {
		extra := e.extraName(path)
		if used[extra] {
			continue
		}
		used[extra] = true
		name(extra)
		if extra == "domainId" {
			b = e.appendText(b, e.pick("example.ci", "a/b"), true)
			continue
		}
		b = e.any(b, 3)
	}
	return append(b, '}')
}

// extraName names a member that the schema does not know.
func (e *event) extraName(path []string) string {
	switch {
	case is(path, "customData"):
		return e.pick("team", "serviceId", "subject", "signature", "a/b~c", "é", "", "cdevents", "eiffel")
	case len(path) > 0 && path[len(path)-1] == "tags":
		return e.pick("domainId", "pr", "group/name")
	}
	return e.pick("extra", "name", "a/b~c", "x y", "é😀", "")
}

func (e *event) array(b []byte, x schema.Shape, path []string) []byte {
	if is(path, "links") {
		return e.eiffelLinks(b, x.Item())
	}
	b = append(b, '[')
	item := x.Item()
	if is(path, "context", "links") {
		return append(e.cdeventLinks(b, item, path), ']')
	}
	most := 2
	if path[len(path)-1] == "customData" {
		most = 4
	}
	for i := range e.count(most) {
		if i > 0 {
			b = append(b, ',')
		}
		b = e.value(b, item, path)
	}
	return append(b, ']')
}

// cdeventLinks appends the elements of context.links: of a full event, one of each kind and maybe more.
func (e *event) cdeventLinks(b []byte, item schema.Shape, path []string) []byte {
	kinds := item.Alternatives()
	var chosen []schema.Shape
	if e.mode == Full {
		chosen = kinds
	}
	for range e.count(3) {
		chosen = append(chosen, kinds[e.choose.IntN(len(kinds))])
	}
	for i, kind := range chosen {
		if i > 0 {
			b = append(b, ',')
		}
		b = e.value(b, kind, path)
	}
	return b
}

// undocumented are the link types of the events whose documentation has no link rules.
var undocumented = []schema.LinkRule{
	{Type: "CAUSE", Multiple: true}, {Type: "CONTEXT", Targets: []string{"EiffelActivityTriggeredEvent"}},
}

// eiffelLinks appends the links of an Eiffel event: what its link rules require, and of what they allow, what is chosen.
func (e *event) eiffelLinks(b []byte, item schema.Shape) []byte {
	rules := e.s.LinkRules()
	if rules == nil {
		rules = undocumented
	}
	b = append(b, '[')
	first := true
	for _, rule := range rules {
		n := 0
		if rule.Required || e.has() {
			n = 1
			if rule.Multiple && e.mode != Minimal {
				n += e.choose.IntN(2)
			}
		}
		before := ""
		for range n {
			id := e.linkTarget(rule.Targets)
			if id == before {
				continue // twice the same link says nothing
			}
			if !first {
				b = append(b, ',')
			}
			first, before = false, id
			b = e.object(b, item, []string{"links"}, map[string]string{"type": rule.Type, "target": id})
		}
	}
	return append(b, ']')
}

// linkTarget is the id of a known event of one of these types, of any type if there are none; or one that nobody knows.
func (e *event) linkTarget(types []string) string {
	var legal []string
	for _, k := range e.known {
		if schema.IsEiffelID(k.id) && (types == nil || slices.Contains(types, k.eventType)) {
			legal = append(legal, k.id)
		}
	}
	if len(legal) == 0 || e.odd(4) {
		return e.uuid("45123")
	}
	return e.pick(legal...)
}

// contextID is the id of a known event, or one that nobody knows.
func (e *event) contextID() string {
	if len(e.known) == 0 || e.odd(4) {
		return e.pick(e.uuid("4"), "nobody", e.uuid("7"))
	}
	return e.known[e.choose.IntN(len(e.known))].id
}

// uuid makes a UUID of one of these versions, which the writer has not made before: not among 65536.
func (w *Writer) uuid(versions string) string {
	const bits = 1 << 30
	w.uuids++
	return fmt.Sprintf("%08x-%04x-%c%03x-%c%03x-%04x%08x", w.choose.IntN(bits), w.choose.IntN(1<<16), versions[w.choose.IntN(len(versions))],
		w.choose.IntN(1<<12), "89ab"[w.choose.IntN(4)], w.choose.IntN(1<<12), w.uuids&0xffff, w.choose.IntN(bits))
}

// eventID makes the event's own id.
func (e *event) eventID() string {
	if !e.isCDEvent() {
		return e.uuid("45123")
	}
	id := e.uuid("4512367")
	switch e.choose.IntN(6) {
	case 3:
		id = fmt.Sprintf("evt-%d-%s", e.uuids, id[:8])
	case 4:
		id = strings.ToUpper(id)
	case 5:
		id = e.pick("a b", "é\"\\", "😀/%7E", "line\nbreak", "\u2028<&>") + " " + id[:8] + strconv.Itoa(e.uuids)
	}
	return id
}

// integer is a number without a fraction, as it is written.
func (e *event) integer(path []string) string {
	if is(path, "meta", "time") {
		at := strconv.Itoa(1772355600000 + e.choose.IntN(1<<30))
		if !e.odd(4) {
			return at
		}
		return e.pick("0", "-1", "-62135596800000", "1700000000", "253402300799999", at+".0", "1772355600e3", "17723556e5")
	}
	if !e.odd(3) {
		return strconv.Itoa(e.choose.IntN(1000))
	}
	return e.pick("0", "-0", "-7", "12345678901234567890123", "1e3", "20.00", "9007199254740993")
}

// any appends any JSON value, no deeper than levels.
func (e *event) any(b []byte, levels int) []byte {
	kinds := 7
	if levels == 0 {
		kinds = 5
	}
	if e.mode == Minimal {
		kinds = 1
	}
	switch e.choose.IntN(kinds) {
	case 0:
		return e.appendText(b, e.phrase(), true)
	case 1:
		return append(b, e.pick("1", "0", "-0", "1.50", "12345678901234567890.10", "1e400", "-2.5E-3")...)
	case 2:
		return append(b, "true"...)
	case 3:
		return append(b, "null"...)
	case 4:
		return append(b, e.pick("false", "{}", "[]")...)
	case 5:
		b = append(b, '[')
		for i := range e.choose.IntN(4) {
			if i > 0 {
				b = append(b, ',')
			}
			b = e.any(b, levels-1)
		}
		return append(b, ']')
	}
	b = append(b, '{')
	names := []string{"id", "name", "key", "a/b~c", "é", ""}
	for i := range e.choose.IntN(4) {
		if i > 0 {
			b = append(b, ',')
		}
		at := e.choose.IntN(len(names))
		b = append(jsondoc.AppendString(b, names[at]), ':')
		names = slices.Delete(names, at, at+1)
		b = e.any(b, levels-1)
	}
	return append(b, '}')
}

// appendText writes a string: mostly with the escapes that JSON demands, now and then with others of the same meaning.
func (e *event) appendText(b []byte, text string, free bool) []byte {
	if text == "" || !free || !e.odd(12) {
		return jsondoc.AppendString(b, text)
	}
	b = append(b, '"')
	for _, r := range text {
		switch {
		case r == '/':
			b = append(b, `\/`...)
		case r > 0xffff:
			r -= 0x10000
			b = fmt.Appendf(b, `\u%04x\u%04X`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			b = fmt.Appendf(b, `\u%04x`, r)
		}
	}
	return append(b, '"')
}

func encode64(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
