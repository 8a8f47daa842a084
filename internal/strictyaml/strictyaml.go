// Package strictyaml reads configurations: YAML into structs, with environment variables in scalar values, and every
// problem named by line and key instead of the first one only. Unknown keys are problems; anchors, aliases and tags are
// not taken. For a list of texts a single one may stand.
package strictyaml

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Problem is something wrong in a configuration.
type Problem struct {
	Line, Column int    // from 1; 0 if there is no place to point at
	Key          string // as relays[0].from; empty for the whole document
	Message      string
}

// String is one line for people.
func (p Problem) String() string {
	var b strings.Builder
	if p.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", p.Line)
	}
	if p.Key != "" {
		fmt.Fprintf(&b, "%s: ", p.Key)
	}
	b.WriteString(p.Message)
	return b.String()
}

// Text is a text of which it matters where it stands: one in a language of its own, whose errors have places too.
type Text struct {
	Value        string
	Line, Column int  // of its first character, from 1; 0 where that is not known
	Lines        bool // each line of the value is a line of the document (a literal block, |)
}

// defaulter is what a pointer to a struct may implement, so that the struct has defaults although it is nil unless its key is written.
type defaulter interface{ SetDefaults() }

// Document is a YAML text that was read. It is not safe for concurrent use.
type Document struct {
	root     ast.Node
	lookup   func(name string) (string, bool) // nil: there are no variables, and $ is a character as any other
	problems []Problem
	places   map[string][2]int
	keys     map[reflect.Type][]key
	texts    map[reflect.Type]func(key string, t Text) any
}

// TextsAs says what becomes of a text where the struct has the interface T.
func TextsAs[T any](d *Document, as func(key string, t Text) T) {
	if d.texts == nil {
		d.texts = map[reflect.Type]func(string, Text) any{}
	}
	d.texts[reflect.TypeFor[T]()] = func(key string, t Text) any { return as(key, t) }
}

// Section is a part of a document that is decoded later, when it is known into what.
type Section struct {
	doc  *Document
	node ast.Node
	key  string
}

// Parse reads a text. lookup finds environment variables; nil finds none.
func Parse(text []byte, lookup func(name string) (string, bool)) *Document {
	if lookup == nil {
		lookup = func(string) (string, bool) { return "", false }
	}
	return parse(text, lookup)
}

// ParseVerbatim reads a text without environment variables: $ is a character as any other.
func ParseVerbatim(text []byte) *Document { return parse(text, nil) }

func parse(text []byte, lookup func(name string) (string, bool)) *Document {
	d := &Document{lookup: lookup, places: map[string][2]int{}, keys: map[reflect.Type][]key{}}
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		p := Problem{Message: "not YAML: " + err.Error()}
		var syntax yaml.Error
		if errors.As(err, &syntax) {
			p.Message = "not YAML: " + syntax.GetMessage()
			if at := syntax.GetToken(); at != nil && at.Position != nil {
				p.Line, p.Column = at.Position.Line, at.Position.Column
			}
		}
		d.problems = append(d.problems, p)
		return d
	}
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if d.root != nil {
			d.report(doc.Body, "", "there is more than one document")
			break
		}
		d.root = doc.Body
	}
	return d
}

// Problems are all that were found so far, by line.
func (d *Document) Problems() []Problem {
	slices.SortStableFunc(d.problems, func(a, b Problem) int { return a.Line - b.Line })
	return d.problems
}

// Report adds a problem with a key; its place is that of the key, or of the nearest one around it.
func (d *Document) Report(key, format string, args ...any) {
	p := Problem{Key: key, Message: fmt.Sprintf(format, args...)}
	for at := key; ; {
		if place, ok := d.places[at]; ok {
			p.Line, p.Column = place[0], place[1]
			break
		}
		cut := strings.LastIndexAny(at, ".[")
		if cut < 0 {
			break
		}
		at = at[:cut]
	}
	d.problems = append(d.problems, p)
}

// Place is where a key stands, counted from 1; 0 if it does not.
func (d *Document) Place(key string) (line, column int) {
	at := d.places[key]
	return at[0], at[1]
}

// Has tells whether a key stands in the document.
func (d *Document) Has(key string) bool {
	_, ok := d.places[key]
	return ok
}

func (d *Document) report(n ast.Node, key, format string, args ...any) {
	p := Problem{Key: key, Message: fmt.Sprintf(format, args...)}
	if token := n.GetToken(); token != nil && token.Position != nil {
		p.Line, p.Column = token.Position.Line, token.Position.Column
	}
	d.problems = append(d.problems, p)
}

// Into decodes the document into a pointer to a struct whose fields have yaml tags.
func (d *Document) Into(target any) {
	if d.root == nil {
		if len(d.problems) == 0 {
			d.Report("", "the document is empty")
		}
		return
	}
	(&Section{d, d.root, ""}).Into(target)
}

// Key is where the section stands.
func (s *Section) Key() string { return s.key }

// Into decodes the section into pointers to structs; a key goes to each struct that has it. If its value is a struct in all of them,
// the keys in it do likewise.
func (s *Section) Into(targets ...any) {
	var values []reflect.Value
	for _, t := range targets {
		values = append(values, reflect.ValueOf(t).Elem())
	}
	s.doc.mapping(s.node, s.key, values)
}

// String is the text of one key of a section, without any problem if it is missing or no text.
func (s *Section) String(name string) string {
	for _, pair := range pairs(s.node) {
		if key, _ := scalar(pair.Key); key == name {
			if text, ok := scalar(pair.Value); ok {
				if out, err := s.doc.expand(text); err == nil {
					return out
				}
			}
		}
	}
	return ""
}

// Has tells whether a key stands in the section, with a value or without one.
func (s *Section) Has(name string) bool {
	return slices.ContainsFunc(pairs(s.node), func(pair *ast.MappingValueNode) bool {
		key, _ := scalar(pair.Key)
		return key == name
	})
}

func pairs(n ast.Node) []*ast.MappingValueNode {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}
	}
	return nil
}

func (d *Document) mapping(n ast.Node, key string, targets []reflect.Value) {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
	case *ast.NullNode:
		return
	default:
		d.report(n, key, "is not a mapping of keys to values")
		return
	}
	d.place(key, n)
	var seen []string
	for _, pair := range pairs(n) {
		name, ok := scalar(pair.Key)
		if !ok {
			d.report(pair.Key, key, "anchors, aliases, tags and merges are not supported")
			continue
		}
		at := join(key, name)
		d.place(at, pair.Key)
		if slices.Contains(seen, name) {
			d.report(pair.Key, at, "stands here twice")
			continue
		}
		seen = append(seen, name)
		var room [2]reflect.Value
		fields := room[:0]
		for _, t := range targets {
			for _, k := range d.keysOf(t.Type()) {
				if k.name == name {
					fields = append(fields, t.Field(k.field))
				}
			}
		}
		if len(fields) == 0 {
			var known []string
			for _, t := range targets {
				for _, k := range d.keysOf(t.Type()) {
					known = append(known, k.name)
				}
			}
			slices.Sort(known)
			d.report(pair.Key, at, "is not a known key%s", nearest(name, slices.Compact(known)))
		}
		d.shared(pair.Value, at, fields)
	}
	if len(d.problems) > 1 {
		d.problems = unique(d.problems)
	}
}

// key is a key that a struct has.
type key struct {
	name  string
	field int
}

func (d *Document) keysOf(t reflect.Type) []key {
	keys, ok := d.keys[t]
	if !ok {
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
			if name != "" && name != "-" {
				keys = append(keys, key{name, i})
			}
		}
		d.keys[t] = keys
	}
	return keys
}

// shared sets the fields that have the same key.
func (d *Document) shared(n ast.Node, key string, fields []reflect.Value) {
	if _, null := n.(*ast.NullNode); !null && len(fields) > 1 && !slices.ContainsFunc(fields, func(v reflect.Value) bool { return !isGroup(v.Type()) }) {
		for i, v := range fields {
			if v.Kind() == reflect.Pointer {
				fields[i] = target(v)
			}
		}
		d.mapping(n, key, fields)
		return
	}
	for _, v := range fields {
		// One set of problems is enough.
		before := len(d.problems)
		d.value(n, key, v)
		if len(d.problems) > before {
			return
		}
	}
}

// isGroup tells whether a type has keys of its own.
func isGroup(t reflect.Type) bool {
	if t == sectionType || t == textType {
		return false
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Kind() == reflect.Struct
}

// target is what a pointer points to, which is made if there is nothing yet.
func target(pointer reflect.Value) reflect.Value {
	if pointer.IsNil() {
		pointer.Set(reflect.New(pointer.Type().Elem()))
		if d, ok := pointer.Interface().(defaulter); ok {
			d.SetDefaults()
		}
	}
	return pointer.Elem()
}

func unique(list []Problem) []Problem {
	seen := map[Problem]bool{}
	return slices.DeleteFunc(list, func(p Problem) bool {
		was := seen[p]
		seen[p] = true
		return was
	})
}

func (d *Document) place(key string, n ast.Node) {
	if _, ok := d.places[key]; ok {
		return
	}
	if token := n.GetToken(); token != nil && token.Position != nil {
		d.places[key] = [2]int{token.Position.Line, token.Position.Column}
	}
}

func join(key, name string) string {
	if key == "" {
		return name
	}
	return key + "." + name
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	sectionType  = reflect.TypeFor[*Section]()
	textType     = reflect.TypeFor[Text]()
)

func (d *Document) value(n ast.Node, key string, v reflect.Value) {
	if _, null := n.(*ast.NullNode); null {
		return // a key without a value keeps the default
	}
	if v.Type() == sectionType {
		v.Set(reflect.ValueOf(&Section{d, n, key}))
		return
	}
	if v.Type() == textType {
		d.text(n, key, v)
		return
	}
	if _, list := n.(*ast.SequenceNode); v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.String && !list {
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		d.scalar(n, key, v.Index(0))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.mapping(n, key, []reflect.Value{v})
	case reflect.Interface:
		if d.texts[v.Type()] != nil {
			var t Text
			d.text(n, key, reflect.ValueOf(&t).Elem())
			if made := d.texts[v.Type()](key, t); made != nil {
				v.Set(reflect.ValueOf(made))
			}
			return
		}
		if value := d.any(n, key); value != nil {
			v.Set(reflect.ValueOf(value))
		}
	case reflect.Pointer:
		d.value(n, key, target(v))
	case reflect.Map:
		d.intoMap(n, key, v)
	case reflect.Slice:
		list, ok := n.(*ast.SequenceNode)
		if !ok {
			d.report(n, key, "is not a list")
			return
		}
		out := reflect.MakeSlice(v.Type(), len(list.Values), len(list.Values))
		for i, item := range list.Values {
			at := fmt.Sprintf("%s[%d]", key, i)
			d.place(at, item)
			d.value(item, at, out.Index(i))
		}
		v.Set(out)
	default:
		d.scalar(n, key, v)
	}
}

func (d *Document) intoMap(n ast.Node, key string, v reflect.Value) {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
	default:
		d.report(n, key, "is not a mapping of names to values")
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for _, pair := range pairs(n) {
		name, ok := scalar(pair.Key)
		if !ok {
			d.report(pair.Key, key, "anchors, aliases, tags and merges are not supported")
			continue
		}
		at := join(key, name)
		d.place(at, pair.Key)
		item := reflect.New(v.Type().Elem()).Elem()
		if v.MapIndex(reflect.ValueOf(name)).IsValid() {
			d.report(pair.Key, at, "stands here twice")
			continue
		}
		d.value(pair.Value, at, item)
		v.SetMapIndex(reflect.ValueOf(name), item)
	}
}

// scalar gives the text of a scalar as it was written, without quotes.
func scalar(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

// text sets a [Text].
func (d *Document) text(n ast.Node, key string, v reflect.Value) {
	var t Text
	d.scalar(n, key, reflect.ValueOf(&t.Value).Elem())
	if at := n.GetToken(); at != nil && at.Position != nil {
		t.Line, t.Column = at.Position.Line, at.Position.Column
	}
	switch n := n.(type) {
	case *ast.LiteralNode:
		// Its token is the | or > of the line before.
		if strings.HasPrefix(n.Start.Value, "|") {
			t.Line, t.Lines = t.Line+1, true
		}
		t.Column = 0
	case *ast.StringNode:
		if quoted := n.Token.Type; quoted == token.SingleQuoteType || quoted == token.DoubleQuoteType {
			t.Column++
		}
	}
	v.Set(reflect.ValueOf(t))
}

// any reads a value of whatever type: nil, bool, int64, uint64, float64, string, []any or map[string]any.
func (d *Document) any(n ast.Node, key string) any {
	switch n := n.(type) {
	case *ast.NullNode:
		return nil
	case *ast.SequenceNode:
		list := []any{}
		for i, item := range n.Values {
			list = append(list, d.any(item, fmt.Sprintf("%s[%d]", key, i)))
		}
		return list
	case *ast.MappingNode, *ast.MappingValueNode:
		v := reflect.New(reflect.TypeFor[map[string]any]()).Elem()
		d.intoMap(n, key, v)
		return v.Interface()
	case *ast.BoolNode:
		return n.Value
	case *ast.IntegerNode:
		return n.Value
	case *ast.FloatNode:
		return n.Value
	case *ast.InfinityNode, *ast.NanNode:
		d.report(n, key, "is no finite number")
		return nil
	}
	var text string
	d.scalar(n, key, reflect.ValueOf(&text).Elem())
	return text
}

func (d *Document) scalar(n ast.Node, key string, v reflect.Value) {
	text, ok := scalar(n)
	if !ok {
		switch n.(type) {
		case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode:
			d.report(n, key, "anchors, aliases and tags are not supported")
		default:
			d.report(n, key, "is not a single value")
		}
		return
	}
	text, err := d.expand(text)
	if err != nil {
		d.report(n, key, "%v", err)
		return
	}
	switch {
	case v.Type() == durationType:
		t, err := time.ParseDuration(text)
		if err != nil {
			d.report(n, key, "%q is not a duration; write it as 500ms, 30s or 5m", text)
			return
		}
		v.SetInt(int64(t))
	case v.Kind() == reflect.String:
		v.SetString(text)
	case v.Kind() == reflect.Bool:
		switch text {
		case "true":
			v.SetBool(true)
		case "false":
			v.SetBool(false)
		default:
			d.report(n, key, "%q is neither true nor false", text)
		}
	case v.CanInt():
		i, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if err != nil {
			d.report(n, key, "%q is not a whole number", text)
			return
		}
		v.SetInt(i)
	case v.CanFloat():
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			d.report(n, key, "%q is not a number", text)
			return
		}
		v.SetFloat(f)
	default:
		d.report(n, key, "cannot be set")
	}
}

// expand puts environment variables in: ${NAME}, and ${NAME:-default} where the variable is missing or empty. $$ is one $.
// Its errors do not show the text, which may hold a secret.
func (d *Document) expand(text string) (string, error) {
	if d.lookup == nil || !strings.Contains(text, "$") {
		return text, nil
	}
	var b strings.Builder
	for {
		at := strings.IndexByte(text, '$')
		if at < 0 || at == len(text)-1 {
			b.WriteString(text)
			return b.String(), nil
		}
		b.WriteString(text[:at])
		switch text[at+1] {
		case '$':
			b.WriteByte('$')
			text = text[at+2:]
		case '{':
			end := strings.IndexByte(text[at:], '}')
			if end < 0 {
				return "", errors.New("has ${ without its }; write $$ for a plain $")
			}
			name, fallback, hasFallback := strings.Cut(text[at+2:at+end], ":-")
			if !isName(name) {
				return "", fmt.Errorf("%q is not the name of an environment variable", name)
			}
			value, ok := d.lookup(name)
			switch {
			case hasFallback && value == "":
				value = fallback
			case !ok:
				return "", fmt.Errorf("the environment variable %s is not set; ${%s:-...} gives it a default", name, name)
			}
			b.WriteString(value)
			text = text[at+end+1:]
		default:
			b.WriteByte('$')
			text = text[at+1:]
		}
	}
}

func isName(s string) bool {
	for i, c := range s {
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// nearest proposes the known keys.
func nearest(name string, known []string) string {
	if len(known) == 0 {
		return ""
	}
	if best := Nearest(name, known); best != "" {
		return fmt.Sprintf("; did you mean %s?", best)
	}
	return "; known are " + strings.Join(known, ", ")
}

// Nearest is the known word that may have been meant, the first of those with the fewest edits, at most two and at most half
// of the word; empty if there is none.
func Nearest(word string, known []string) string {
	best, distance := "", min(2, len(word)/2)+1
	for _, k := range known {
		if n := edits(word, k); n < distance {
			best, distance = k, n
		}
	}
	return best
}

// edits is the Levenshtein distance.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			next := min(row[j+1]+1, row[j]+1)
			if a[i] == b[j] {
				next = min(next, last)
			} else {
				next = min(next, last+1)
			}
			last, row[j+1] = row[j+1], next
		}
	}
	return row[len(b)]
}
