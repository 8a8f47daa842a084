package main

import (
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
)

// jsonWidth is how long a line of JSON may be before its value is written over several.
const jsonWidth = 110

// pretty writes a value as people do: small objects and arrays on a line, others with a line for each member.
func pretty(v jsondoc.Value) string {
	var b strings.Builder
	writePretty(&b, v, 0, 0, true)
	return b.String()
}

func writePretty(b *strings.Builder, v jsondoc.Value, indent, used int, outermost bool) {
	line := spaced(string(v.Raw()))
	if v.Kind() < jsondoc.Array || v.Empty() || !outermost && depth(v) <= 2 && indent+used+len(line) <= jsonWidth {
		b.WriteString(line)
		return
	}
	open, end := "[", "]"
	if v.Kind() == jsondoc.Object {
		open, end = "{", "}"
	}
	b.WriteString(open)
	first := true
	for c := range v.Children() {
		if !first {
			b.WriteByte(',')
		}
		first = false
		b.WriteString("\n" + strings.Repeat(" ", indent+2))
		key := ""
		if v.Kind() == jsondoc.Object {
			key = string(jsondoc.AppendString(nil, c.Key())) + ": "
		}
		b.WriteString(key)
		writePretty(b, c, indent+2, len(key), false)
	}
	b.WriteString("\n" + strings.Repeat(" ", indent) + end)
}

func depth(v jsondoc.Value) int {
	if v.Kind() < jsondoc.Array {
		return 0
	}
	deepest := 0
	for c := range v.Children() {
		deepest = max(deepest, depth(c))
	}
	return deepest + 1
}

// spaced puts a space behind the commas and colons between tokens.
func spaced(text string) string {
	var b strings.Builder
	inString := false
	for i := 0; i < len(text); i++ {
		c := text[i]
		b.WriteByte(c)
		switch {
		case c == '\\':
			i++
			b.WriteByte(text[i])
		case c == '"':
			inString = !inString
		case !inString && (c == ',' || c == ':'):
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// elided stands for a carried original, which the reader has just seen.
const elided = `"(the original, as it came)"`

// shown is an output for people: without the original that it carries.
func shown(text []byte) (string, error) {
	d, err := jsondoc.Parse(text)
	if err != nil {
		return "", err
	}
	original := d.Root().At("customData", "eiffel", "event")
	for entry := range d.Root().At("data", "customData").Children() {
		if v := entry.At("value", "event"); entry.Get("key").Str() == "cdevents" && v.Kind() == jsondoc.Object {
			original = v
		}
	}
	if original.Kind() == jsondoc.Object {
		if d, err = jsondoc.Parse(jsondoc.AppendReplaced(nil, d, original, []byte(elided))); err != nil {
			return "", err
		}
	}
	return pretty(d.Root()), nil
}
