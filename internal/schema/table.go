package schema

import (
	_ "embed" // for the tables
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// The tables are text, with tab-separated columns:
//
//	editions <names>                                        the Eiffel editions, oldest first
//	specs <versions>                                        the CDEvents specifications, oldest first
//	$<name> <schema>                                        a fragment that several places share
//	<type> <version> <editions that hold it> <schema> <link rules>   an Eiffel event; rows of a type are oldest first
//	<full type> <specification> <schema>                    a CDEvent; "dev.cdeventsx" for custom events
//
// A schema is written as
//
//	{a!:X b:Y}     an object with a member a, required, and an optional b, and no others; with " *" before the brace,
//	               others are allowed; with "?" before it, what is no object passes
//	[X]            an array of X; with "~Y" after it, at least one element must be a Y (contains)
//	anyOf(X Y)     and oneOf(X Y)
//	=A|B           one of these strings; @type and @version are the row's own
//	any integer string date-time uri uri-reference eiffel-id purl hex base64 custom-type custom-subject
//	               a kind of value or of string; "/1" after it is minLength
//	$name          a fragment
//
// and link rules as TYPE!*=Target|Target: "!" if required, "*" if an event may have several, no targets if any are legal.

//go:embed eiffel.tab
var eiffelText string

//go:embed cdevents.tab
var cdeventsText string

var (
	eiffel   = table{text: eiffelText}
	cdevents = table{text: cdeventsText}
)

// table is the text of all rows and, once asked for, where each row is in it.
type table struct {
	text string
	once sync.Once
	ix   *index
}

type index struct {
	head      []string // editions or specifications
	types     []string // sorted
	byType    map[string][]*row
	byVerb    map[string][]*row // CDEvents by "subject.predicate"
	fragments map[string]*fragment
}

// fragment is a part of schemas, parsed when first needed.
type fragment struct {
	text string
	once sync.Once
	node *node
	err  error
}

// row is one event type and version.
type row struct {
	ix       *index
	typ      string
	version  string
	spec     string
	editions []string
	text     string
	links    string

	once            sync.Once
	strict, lenient Schema
	err             error
}

func (t *table) get() *index {
	t.once.Do(func() { t.ix = readIndex(t.text) })
	return t.ix
}

// readIndex does not complain: a test reads every row that the generator wrote.
func readIndex(text string) *index {
	ix := &index{byType: map[string][]*row{}, byVerb: map[string][]*row{}, fragments: map[string]*fragment{}}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "#") {
			continue
		}
		first, rest, _ := strings.Cut(line, "\t")
		if first == "editions" || first == "specs" {
			ix.head = strings.Fields(rest)
			continue
		}
		if strings.HasPrefix(first, "$") {
			ix.fragments[first[1:]] = &fragment{text: rest}
			continue
		}
		r := &row{ix: ix, typ: first}
		columns := strings.Split(rest, "\t")
		if len(columns) == 4 {
			r.version, r.editions, r.text, r.links = columns[0], strings.Fields(columns[1]), columns[2], columns[3]
		} else {
			r.spec, r.text = columns[0], columns[1]
			if event, ok := strings.CutPrefix(first, eventPrefix); ok {
				subject, verb, version := splitType(event)
				r.version = version
				ix.byVerb[subject+"."+verb] = append(ix.byVerb[subject+"."+verb], r)
			}
		}
		if ix.byType[r.typ] == nil {
			ix.types = append(ix.types, r.typ)
		}
		ix.byType[r.typ] = append(ix.byType[r.typ], r)
	}
	slices.Sort(ix.types)
	return ix
}

func (r *row) schema(lenient bool) (*Schema, error) {
	r.once.Do(r.parse)
	if r.err != nil {
		return nil, r.err
	}
	if lenient {
		return &r.lenient, nil
	}
	return &r.strict, nil
}

func (r *row) parse() {
	p := parser{text: r.text, ix: r.ix}
	root, err := p.all()
	if err != nil {
		r.err = fmt.Errorf("table row %s %s%s: %w", r.typ, r.version, r.spec, err)
		return
	}
	r.strict = Schema{typ: r.typ, version: r.version, root: root, editions: r.editions, rules: parseRules(r.links)}
	if r.spec != "" {
		r.strict.specs = []string{r.spec}
		if event, ok := strings.CutPrefix(r.typ, eventPrefix); ok {
			r.strict.subject, r.strict.verb, _ = splitType(event)
			r.strict.name = r.strict.subject + "." + r.strict.verb
		}
	}
	r.lenient = r.strict
	r.lenient.lenient = true
}

func parseRules(text string) []LinkRule {
	var rules []LinkRule
	for _, word := range strings.Fields(text) {
		name, targets, some := strings.Cut(word, "=")
		var rule LinkRule
		if some {
			rule.Targets = strings.Split(targets, "|")
		}
		name, rule.Multiple = strings.CutSuffix(name, "*")
		rule.Type, rule.Required = strings.CutSuffix(name, "!")
		rules = append(rules, rule)
	}
	slices.SortFunc(rules, func(a, b LinkRule) int { return strings.Compare(a.Type, b.Type) })
	return rules
}

type op byte

const (
	opAny op = iota
	opInteger
	opString
	opType    // a string, the row's own event type
	opVersion // a string, the row's own version
	opObject
	opArray
	opAnyOf
	opOneOf
)

// node is a schema in the form that is checked.
type node struct {
	op       op
	untyped  bool // of an object: what is no object passes
	closed   bool
	check    stringCheck
	is       func(string) bool // of the check; nil if any string passes
	min      int               // in code points
	enum     []string
	props    []prop
	required uint64 // a bit per property
	item     *node
	contains *node
	alts     []*node
	apart    string // of alternatives: the member that tells them apart; "" if none does
}

type prop struct {
	name string
	node *node
}

var anything = node{op: opAny}

// prop finds a property by name; -1 if there is none.
func (n *node) prop(name string) int {
	for i := range n.props {
		if n.props[i].name == name {
			return i
		}
	}
	return -1
}

// parser reads the text of a schema, which the generator wrote; a mistake in it is an error that no input can cause.
type parser struct {
	text string
	ix   *index
}

func (p *parser) all() (*node, error) {
	n, err := p.value()
	if err == nil && p.text != "" {
		err = fmt.Errorf("%q is left over", p.text)
	}
	return n, err
}

func (p *parser) skip(prefix string) bool {
	rest, ok := strings.CutPrefix(p.text, prefix)
	p.text = rest
	return ok
}

// word takes what is before the next delimiter.
func (p *parser) word() string {
	i := strings.IndexAny(p.text, " :!{}[]()~")
	if i < 0 {
		i = len(p.text)
	}
	w := p.text[:i]
	p.text = p.text[i:]
	return w
}

func (p *parser) value() (*node, error) {
	switch {
	case p.skip("$"):
		name := p.word()
		f := p.ix.fragments[name]
		if f == nil {
			return nil, fmt.Errorf("no fragment %q", name)
		}
		f.once.Do(func() {
			inner := parser{text: f.text, ix: p.ix}
			if f.node, f.err = inner.all(); f.err != nil {
				f.err = fmt.Errorf("fragment %s: %w", name, f.err)
			}
		})
		return f.node, f.err
	case p.skip("="):
		return &node{op: opString, enum: strings.Split(p.word(), "|")}, nil
	case p.skip("@type"):
		return &node{op: opType}, nil
	case p.skip("@version"):
		return &node{op: opVersion}, nil
	case p.skip("?{"):
		return p.object(true)
	case p.skip("{"):
		return p.object(false)
	case p.skip("["):
		n := &node{op: opArray}
		var err error
		if n.item, err = p.value(); err != nil {
			return nil, err
		}
		if !p.skip("]") {
			return nil, fmt.Errorf("no ] before %q", p.text)
		}
		if p.skip("~") {
			n.contains, err = p.value()
		}
		return n, err
	case p.skip("anyOf("):
		return p.alternatives(opAnyOf)
	case p.skip("oneOf("):
		return p.alternatives(opOneOf)
	}
	switch w := p.word(); w {
	case "any":
		return &anything, nil
	case "integer":
		return &node{op: opInteger}, nil
	default:
		n := &node{op: opString}
		name, least, _ := strings.Cut(w, "/")
		n.min, _ = strconv.Atoi(least)
		for c, k := range stringKinds {
			if k.name == name {
				if n.check = stringCheck(c); n.check != anyString {
					n.is = k.is
				}
				return n, nil
			}
		}
		return nil, fmt.Errorf("unknown word %q", w)
	}
}

func (p *parser) object(untyped bool) (*node, error) {
	n := &node{op: opObject, untyped: untyped, closed: true}
	for {
		switch {
		case p.skip("*}"):
			n.closed = false
			return n, nil
		case p.skip("}"):
			return n, nil
		case p.skip(" "):
			continue
		}
		name := p.word()
		if p.skip("!") {
			n.required |= 1 << len(n.props)
		}
		if name == "" || !p.skip(":") {
			return nil, fmt.Errorf("no member at %q", p.text)
		}
		child, err := p.value()
		if err != nil {
			return nil, err
		}
		n.props = append(n.props, prop{name, child})
	}
}

func (p *parser) alternatives(o op) (*node, error) {
	n := &node{op: o}
	for {
		a, err := p.value()
		if err != nil {
			return nil, err
		}
		n.alts = append(n.alts, a)
		if p.skip(")") {
			n.apart = apart(n.alts)
			return n, nil
		}
		if !p.skip(" ") {
			return nil, fmt.Errorf("no ) before %q", p.text)
		}
	}
}

// apart is the member that tells alternatives apart: all are objects that must have it, and each has a word of its own for it.
// At most one of the alternatives fits any value then.
func apart(alts []*node) string {
	for _, p := range alts[0].props {
		words := map[string]bool{}
		for _, a := range alts {
			i := a.prop(p.name)
			if a.op != opObject || a.untyped || i < 0 || a.required&(1<<i) == 0 || len(a.props[i].node.enum) != 1 {
				break
			}
			words[a.props[i].node.enum[0]] = true
		}
		if len(words) == len(alts) {
			return p.name
		}
	}
	return ""
}
