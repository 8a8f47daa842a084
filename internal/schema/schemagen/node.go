package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
)

// node is a schema reduced to what the tables can say. Its text is its identity: two schemas of equal text are one.
type node struct {
	text     string  // with every child written out
	children []*node // in the order of the holes in the form
	form     []string
	name     string // the property it was first seen under
}

// form and children alternate: form[0] child[0] form[1] child[1] ... form[n].
func newNode(name string, form []string, children ...*node) *node {
	n := &node{form: form, children: children, name: name}
	var b strings.Builder
	for i, f := range form {
		b.WriteString(f)
		if i < len(children) {
			b.WriteString(children[i].text)
		}
	}
	n.text = b.String()
	return n
}

func leaf(name, text string) *node { return newNode(name, []string{text}) }

// patterns are those that package schema has hand-written checks for.
var patterns = map[string]string{
	`^[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`: "eiffel-id",
	`^pkg:`:                    "purl",
	`^[0-9a-f]+$`:              "hex",
	`^[-A-Za-z0-9+/]*={0,3}$`:  "base64",
	`^[a-zA-Z0-9]+-[a-zA-Z]+$`: "custom-subject",
	`^dev\.cdeventsx\.[a-zA-Z0-9]+-[a-zA-Z]+\.[a-zA-Z]+\.[0-9]\.[0-9]\.[0-9]$`: "custom-type",
}

var formats = []string{"date-time", "uri", "uri-reference"}

// annotations assert nothing. contentEncoding and contentMediaType are annotations in 2020-12 and unknown before it;
// the misspelt additonalProperties of some Eiffel schemas is an unknown keyword, which restricts nothing.
var annotations = []string{
	"$schema", "$id", "description", "default", "example", "contentEncoding", "contentMediaType", "additonalProperties",
}

var plain = regexp.MustCompile(`^[A-Za-z0-9_./+-]+$`)

// reader turns one schema file into nodes.
type reader struct {
	refs     map[string]jsondoc.Value // the schemas that a $ref may name, by $id
	base     string                   // the $id that a $ref is relative to
	draft4   bool
	isType   func(path string, enum []string) bool // whether an enum is the event's own type
	isNumber func(path string, enum []string) bool // whether it is the event's own version
}

func (r *reader) read(v jsondoc.Value, path, name string) (*node, error) {
	if v.Kind() != jsondoc.Object {
		return nil, fmt.Errorf("%s: a schema of kind %s", path, v.Kind())
	}
	fail := func(format string, args ...any) (*node, error) {
		return nil, fmt.Errorf("%s: %s", path, fmt.Sprintf(format, args...))
	}
	known := func(extra ...string) error {
		for c := range v.Children() {
			if k := c.Key(); !slices.Contains(annotations, k) && !slices.Contains(extra, k) {
				return fmt.Errorf("%s: keyword %s is not expected here", path, k)
			}
		}
		return nil
	}
	if ref := v.Get("$ref"); ref.Exists() {
		if err := known("$ref", "type"); err != nil {
			return nil, err
		}
		id := r.base[:strings.LastIndexByte(r.base, '/')+1] + ref.Str()
		target, ok := r.refs[id]
		if !ok {
			return fail("$ref %s is not at hand", id)
		}
		if t := v.Get("type"); t.Exists() && t.Str() != target.Get("type").Str() {
			return fail("type beside $ref %s differs from the type there", id)
		}
		inner := *r
		inner.base = id
		return inner.read(target, path, name)
	}
	for _, keyword := range []string{"anyOf", "oneOf"} {
		if v.Get(keyword).Exists() {
			if err := known(keyword); err != nil {
				return nil, err
			}
			var alternatives []*node
			for c := range v.Get(keyword).Children() {
				a, err := r.read(c, path+"/"+keyword, name)
				if err != nil {
					return nil, err
				}
				alternatives = append(alternatives, a)
			}
			form := []string{keyword + "("}
			for i := range alternatives {
				sep := " "
				if i == len(alternatives)-1 {
					sep = ")"
				}
				form = append(form, sep)
			}
			return newNode(name, form, alternatives...), nil
		}
	}
	switch t := v.Get("type"); {
	case !t.Exists() && v.Get("enum").Exists():
		if err := known("enum"); err != nil {
			return nil, err
		}
		return r.enum(v, path, name)
	case !t.Exists() && v.Get("properties").Exists(), t.Str() == "object":
		if err := known("type", "properties", "required", "additionalProperties"); err != nil {
			return nil, err
		}
		return r.object(v, path, name)
	case !t.Exists():
		if err := known(); err != nil {
			return nil, err
		}
		return leaf(name, "any"), nil
	case t.Str() == "string" && v.Get("enum").Exists():
		if err := known("type", "enum", "minLength"); err != nil {
			return nil, err
		}
		return r.enum(v, path, name)
	case t.Str() == "string":
		if err := known("type", "pattern", "format", "minLength"); err != nil {
			return nil, err
		}
		word := "string"
		pattern, format := v.Get("pattern"), v.Get("format")
		if pattern.Exists() && format.Exists() {
			return fail("pattern and format together")
		}
		if pattern.Exists() {
			if word = patterns[pattern.Str()]; word == "" {
				return fail("pattern %s has no check", pattern.Str())
			}
		}
		if format.Exists() {
			if word = format.Str(); !slices.Contains(formats, word) {
				return fail("format %s has no check", word)
			}
		}
		if v.Get("minLength").Exists() {
			n, ok := v.Get("minLength").Int()
			if !ok || n < 1 || n > 1000 {
				return fail("minLength %s", v.Get("minLength").Raw())
			}
			word += "/" + strconv.FormatInt(n, 10)
		}
		return leaf(name, word), nil
	case t.Str() == "integer":
		if err := known("type"); err != nil {
			return nil, err
		}
		return leaf(name, "integer"), nil
	case t.Str() == "array":
		if err := known("type", "items", "contains"); err != nil {
			return nil, err
		}
		items := leaf(name, "any")
		if v.Get("items").Exists() {
			var err error
			if items, err = r.read(v.Get("items"), path+"/*", name); err != nil {
				return nil, err
			}
		}
		if !v.Get("contains").Exists() {
			return newNode(name, []string{"[", "]"}, items), nil
		}
		if r.draft4 {
			return fail("contains is no keyword of draft-04")
		}
		contains, err := r.read(v.Get("contains"), path+"/*", name)
		if err != nil {
			return nil, err
		}
		return newNode(name, []string{"[", "]~", ""}, items, contains), nil
	default:
		return fail("type %s has no check", t.Raw())
	}
}

func (r *reader) enum(v jsondoc.Value, path, name string) (*node, error) {
	least, _ := v.Get("minLength").Int()
	var values []string
	for c := range v.Get("enum").Children() {
		if c.Kind() != jsondoc.String || !plain.MatchString(c.Str()) {
			return nil, fmt.Errorf("%s: enum value %s cannot be written", path, c.Raw())
		}
		if len(c.Str()) < int(least) {
			return nil, fmt.Errorf("%s: enum value %s is shorter than minLength", path, c.Raw())
		}
		values = append(values, c.Str())
	}
	if r.isType(path, values) {
		return leaf(name, "@type"), nil
	}
	if r.isNumber(path, values) {
		return leaf(name, "@version"), nil
	}
	if len(values) == 0 {
		return nil, fmt.Errorf("%s: empty enum", path)
	}
	return leaf(name, "="+strings.Join(values, "|")), nil
}

func (r *reader) object(v jsondoc.Value, path, name string) (*node, error) {
	opening, closing := "{", "}"
	if !v.Get("type").Exists() {
		opening = "?{" // what is no object passes
	}
	switch a := v.Get("additionalProperties"); {
	case !a.Exists(), string(a.Raw()) == "true":
		closing = " *}"
	case string(a.Raw()) != "false":
		return nil, fmt.Errorf("%s: additionalProperties is a schema", path)
	}
	required := map[string]bool{}
	for c := range v.Get("required").Children() {
		required[c.Str()] = true
	}
	var form []string
	var children []*node
	next := opening
	for c := range v.Get("properties").Children() {
		key := c.Key()
		if !plain.MatchString(key) {
			return nil, fmt.Errorf("%s: property name %q cannot be written", path, key)
		}
		child, err := r.read(c, path+"/"+key, key)
		if err != nil {
			return nil, err
		}
		mark := ""
		if required[key] {
			mark = "!"
			delete(required, key)
		}
		form = append(form, next+key+mark+":")
		children = append(children, child)
		next = " "
	}
	for key := range required {
		return nil, fmt.Errorf("%s: %s is required and not among the properties", path, key)
	}
	if len(children) > 64 {
		return nil, fmt.Errorf("%s: more than 64 properties", path)
	}
	if len(children) == 0 {
		return leaf(name, opening+strings.TrimSpace(closing)), nil
	}
	return newNode(name, append(form, closing), children...), nil
}
