// Package jsontree reads JSON into a tree that keeps the order of members, duplicates and the text of numbers, so that
// the oracle can change one place of an event and compare two events place by place. It shares no code with the product.
package jsontree

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Kind is what a node is.
type Kind byte

// The kinds.
const (
	Scalar Kind = iota // null, true, false or a number, as its text has it
	Text
	Array
	Object
)

// Node is one value. Name is the member's name if it stands in an object.
type Node struct {
	Kind  Kind
	Name  string
	Text  string // of a string, without escapes; of a scalar, as written
	Items []*Node
}

// Parse reads one JSON value.
func Parse(text []byte) (*Node, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	n, err := read(d)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is something after the value")
	}
	return n, nil
}

func read(d *json.Decoder) (*Node, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch v := token.(type) {
	case json.Delim:
		n := &Node{Kind: Array}
		if v == '{' {
			n.Kind = Object
		}
		for d.More() {
			name := ""
			if n.Kind == Object {
				token, err := d.Token()
				if err != nil {
					return nil, err
				}
				name = token.(string)
			}
			item, err := read(d)
			if err != nil {
				return nil, err
			}
			item.Name = name
			n.Items = append(n.Items, item)
		}
		_, err := d.Token()
		return n, err
	case string:
		return &Node{Kind: Text, Text: v}, nil
	case json.Number:
		return &Node{Text: v.String()}, nil
	case bool:
		return &Node{Text: strconv.FormatBool(v)}, nil
	}
	return &Node{Text: "null"}, nil
}

// String makes a node of a string.
func String(name, text string) *Node { return &Node{Kind: Text, Name: name, Text: text} }

// Raw makes a node of a scalar's text.
func Raw(name, text string) *Node { return &Node{Name: name, Text: text} }

// Make makes an object or an array.
func Make(kind Kind, name string, items ...*Node) *Node {
	return &Node{Kind: kind, Name: name, Items: items}
}

// Copy is a deep copy.
func (n *Node) Copy() *Node {
	if n == nil {
		return nil
	}
	out := *n
	out.Items = make([]*Node, len(n.Items))
	for i, item := range n.Items {
		out.Items[i] = item.Copy()
	}
	return &out
}

// At goes down by member names; numbers count in arrays. It gives nil if the way ends early.
func (n *Node) At(names ...string) *Node {
	for _, name := range names {
		n = n.member(name)
	}
	return n
}

func (n *Node) member(name string) *Node {
	if n == nil {
		return nil
	}
	switch n.Kind {
	case Object:
		for _, item := range n.Items {
			if item.Name == name {
				return item
			}
		}
	case Array:
		if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < len(n.Items) {
			return n.Items[i]
		}
	}
	return nil
}

// Str is a string's text, "" for anything else and for nil.
func (n *Node) Str() string {
	if n == nil || n.Kind != Text {
		return ""
	}
	return n.Text
}

// Set replaces the first member of that name, or adds it.
func (n *Node) Set(item *Node) {
	if n == nil || n.Kind != Object {
		return
	}
	for i := range n.Items {
		if n.Items[i].Name == item.Name {
			n.Items[i] = item
			return
		}
	}
	n.Items = append(n.Items, item)
}

// Remove takes all members of a name away.
func (n *Node) Remove(name string) {
	if n == nil {
		return
	}
	kept := n.Items[:0:0]
	for _, item := range n.Items {
		if item.Name != name {
			kept = append(kept, item)
		}
	}
	n.Items = kept
}

// Walk calls f for the node and everything in it, with the pointer to each.
func (n *Node) Walk(f func(pointer string, n *Node)) { n.walk("", f) }

func (n *Node) walk(pointer string, f func(string, *Node)) {
	f(pointer, n)
	for i, item := range n.Items {
		item.walk(pointer+"/"+n.token(i), f)
	}
}

func (n *Node) token(i int) string {
	if n.Kind == Object {
		return strings.NewReplacer("~", "~0", "/", "~1").Replace(n.Items[i].Name)
	}
	return strconv.Itoa(i)
}

// Sort orders the members of all objects by name.
func (n *Node) Sort() {
	if n.Kind == Object {
		sort.SliceStable(n.Items, func(i, j int) bool { return n.Items[i].Name < n.Items[j].Name })
	}
	for _, item := range n.Items {
		item.Sort()
	}
}

// Append writes the node compactly.
func (n *Node) Append(b []byte) []byte {
	switch n.Kind {
	case Text:
		return AppendText(b, n.Text)
	case Array, Object:
		open, end := byte('['), byte(']')
		if n.Kind == Object {
			open, end = '{', '}'
		}
		b = append(b, open)
		for i, item := range n.Items {
			if i > 0 {
				b = append(b, ',')
			}
			if n.Kind == Object {
				b = append(AppendText(b, item.Name), ':')
			}
			b = item.Append(b)
		}
		return append(b, end)
	}
	return append(b, n.Text...)
}

// String is the node as compact JSON.
func (n *Node) String() string {
	if n == nil {
		return "nothing"
	}
	return string(n.Append(nil))
}

// AppendText writes a JSON string with few escapes. A byte that is no UTF-8 becomes U+FFFD and its hex digits, so that
// different bytes stay different.
func AppendText(b []byte, text string) []byte {
	b = append(b, '"')
	from := 0
	for i := 0; i < len(text); {
		c := text[i]
		if c >= 0x20 && c != '"' && c != '\\' && c < 0x80 {
			i++
			continue
		}
		if c >= 0x80 {
			if r, size := utf8.DecodeRuneInString(text[i:]); r != utf8.RuneError || size > 1 {
				i += size
				continue
			}
		}
		b = append(b, text[from:i]...)
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, '\\', 'n')
		case c < 0x20:
			b = fmt.Appendf(b, `\u%04x`, c)
		default:
			b = fmt.Appendf(b, "\ufffd%02x", c)
		}
		i++
		from = i
	}
	return append(append(b, text[from:]...), '"')
}

// Difference is a place in which two trees differ; an empty Old or New says that there is nothing.
type Difference struct{ Pointer, Old, New string }

// Compare lists where two trees differ, in order. Objects that have the same members in another order differ in the
// pointer of the object, once.
func Compare(old, new *Node) []Difference {
	var out []Difference
	compare("", old, new, &out)
	return out
}

func compare(pointer string, old, new *Node, out *[]Difference) {
	differ := func(pointer string, old, new *Node) {
		d := Difference{Pointer: pointer}
		if old != nil {
			d.Old = old.String()
		}
		if new != nil {
			d.New = new.String()
		}
		*out = append(*out, d)
	}
	if old == nil || new == nil || old.Kind != new.Kind {
		if old != nil || new != nil {
			differ(pointer, old, new)
		}
		return
	}
	switch old.Kind {
	case Object:
		before := len(*out)
		seen := map[string]bool{}
		for i, item := range old.Items {
			if !seen[item.Name] {
				seen[item.Name] = true
				compare(pointer+"/"+old.token(i), item, new.member(item.Name), out)
			}
		}
		for i, item := range new.Items {
			if !seen[item.Name] {
				seen[item.Name] = true
				differ(pointer+"/"+new.token(i), nil, item)
			}
		}
		if len(*out) == before && old.String() != new.String() {
			differ(pointer, old, new)
		}
	case Array:
		for i := 0; i < len(old.Items) || i < len(new.Items); i++ {
			at := pointer + "/" + strconv.Itoa(i)
			switch {
			case i >= len(new.Items):
				differ(at, old.Items[i], nil)
			case i >= len(old.Items):
				differ(at, nil, new.Items[i])
			default:
				compare(at, old.Items[i], new.Items[i], out)
			}
		}
	default:
		if old.Text != new.Text {
			differ(pointer, old, new)
		}
	}
}
