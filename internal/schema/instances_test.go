package schema

import (
	"fmt"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
)

// sampleStrings are valid strings of each kind, in the order of the constants.
var sampleStrings = [...]string{
	"text", "2024-02-29T23:59:60.123Z", "https://example.com/a?b=c#d", "/relative/reference",
	"aaaaaaaa-bbbb-5ccc-8ddd-eeeeeeeeeeee", "pkg:golang/example.com/a@1.0.0", "0123456789abcdef", "QUJD+/-=",
	"dev.cdeventsx.tool-thing.happened.0.1.0", "tool-thing",
}

// instance writes an event that is valid by a schema: with every member that may be there, or only with those that must.
func (s *Schema) instance(full bool) []byte {
	return s.appendInstance(nil, s.root, nil, full)
}

func (s *Schema) appendInstance(dst []byte, n, also *node, full bool) []byte {
	if also != nil && also.enum != nil {
		n = also
	}
	switch n.op {
	case opAny:
		return append(dst, `{"any":[1,null,true]}`...)
	case opInteger:
		return append(dst, `1700000000000`...)
	case opType:
		return jsondoc.AppendString(dst, s.typ)
	case opVersion:
		return jsondoc.AppendString(dst, s.version)
	case opString:
		if n.check == customTypeName {
			return jsondoc.AppendString(dst, s.typ)
		}
		if n.enum != nil {
			return jsondoc.AppendString(dst, n.enum[0])
		}
		return jsondoc.AppendString(dst, sampleStrings[n.check])
	case opObject:
		dst = append(dst, '{')
		comma := ""
		for i, p := range n.props {
			if !full && n.required&(1<<i) == 0 {
				continue
			}
			dst = append(dst, comma...)
			dst = append(jsondoc.AppendString(dst, p.name), ':')
			comma = ","
			var extra *node
			if also != nil {
				if at := also.prop(p.name); at >= 0 {
					extra = also.props[at].node
				}
			}
			dst = s.appendInstance(dst, p.node, extra, full)
		}
		if full && !n.closed {
			dst = append(dst, comma...)
			dst = append(dst, `"open":1`...)
		}
		return append(dst, '}')
	case opArray:
		dst = append(dst, '[')
		switch {
		case full && n.item.op == opAnyOf:
			for i, a := range n.item.alts {
				if i > 0 {
					dst = append(dst, ',')
				}
				dst = s.appendInstance(dst, a, nil, full)
			}
		case full && n.contains != nil:
			dst = s.appendInstance(dst, n.item, nil, full)
			dst = append(dst, ',')
			fallthrough
		case full, n.contains != nil:
			dst = s.appendInstance(dst, n.item, n.contains, full)
		}
		return append(dst, ']')
	default:
		return s.appendInstance(dst, n.alts[0], nil, full)
	}
}

// replacements are values to put in the place of others.
var replacements = []string{
	`null`, `1`, `""`, `{}`, `[]`, `1.0`, `"x"`, `true`, `-1.5`, `1e2`, `10e-1`, `12e-1`, `0.0`, `-0`, `123456789012345678901234567890`,
	`1E400`, `[[]]`, `[{}]`, `[null]`, `["x"]`, `{"type":"x"}`, `"\u00e9"`, `"\u0000"`, `"\ud83d\ude00"`, `"a b"`, `"a\\b"`,
	`"%zz"`, `"://x"`, `"x:y"`, `"a b:c"`, `"http://[::1]/"`, `"http://[::1%25en0]/"`, `"http://::1/"`, `"http://a:b/"`, `"http://"`, `"http:"`, `"//host"`,
	`"2024-02-30T00:00:00Z"`, `"2024-01-01T00:00:00"`, `"2024-01-01t00:00:00.5+01:00"`, `"2024-01-01 00:00:00Z"`,
	`"2024-06-30T22:59:60-01:00"`, `"2024-06-30T22:59:60+01:00"`, `"2024-01-01T+1:00:00z"`, `"1\u00302\u0034-01-01T00:00:00Z"`,
	`"AAAAAAAA-BBBB-4CCC-8DDD-EEEEEEEEEEEE"`, `"aaaaaaaa-bbbb-6ccc-8ddd-eeeeeeeeeeee"`, `"aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee\n"`,
	`"\u0061aaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"`, `"pkg:"`, `"PKG:a"`, `"\u0070kg:a"`, `" pkg:a"`, `"0a"`, `"0A"`, `"0a\n"`,
	`"===="`, `"a==="`, `"a=a"`, `"-"`, `"dev.cdeventsx.a-b.c.0.1.0"`, `"dev.cdeventsx.a-b.c.0.10.0"`, `"dev.cdeventsx.ab.c.0.1.0"`, `"a-b"`, `"a-1"`, `"1-a"`,
	`"a-"`, `"-a"`, `"RELATION"`, `[{"linkType":"RELATION","linkKind":"k","target":{}}]`,
	`[{"linkType":"END"},{"linkType":"PATH"}]`, `[{"linkType":"PATH","from":{"contextId":"","x":1}}]`, `{"linkType":"END","from":{"contextId":"a"}}`,
	`[{"type":"CAUSE","target":"aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"}]`, `[{"target":"aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"}]`,
}

// wrongTypes has a value of each kind: all but one of them are of another kind than what they replace.
var wrongTypes = []string{`null`, `true`, `7`, `"x"`, `{}`, `[]`}

// mutations yields variants of an event, most of them invalid: each value missing, of each kind of JSON value and replaced
// by others; each object with unknown members and with members under other names, each array with more elements. Of the
// replacements, each value gets its share; from says where to begin, so that different events get different shares.
func mutations(d *jsondoc.Document, from, share int, yield func([]byte)) {
	var walk func(v jsondoc.Value)
	n, position := from, from
	all := yield
	yield = func(text []byte) {
		if text != nil {
			all(text)
		}
	}
	walk = func(v jsondoc.Value) {
		if v.Parent().Exists() {
			yield(jsondoc.AppendReplaced(nil, d, v, nil))
		}
		for _, r := range wrongTypes {
			yield(jsondoc.AppendReplaced(nil, d, v, []byte(r)))
		}
		for range share {
			yield(jsondoc.AppendReplaced(nil, d, v, []byte(replacements[n%len(replacements)])))
			n++
		}
		switch v.Kind() {
		case jsondoc.String:
			// The same text written otherwise, and one that differs in its case, its length or one character.
			if s := v.Str(); s != "" {
				yield(jsondoc.AppendReplaced(nil, d, v, escaped(s)))
				at := position % len(s)
				position++
				for _, c := range []string{"g", "-", "0", "["} {
					yield(jsondoc.AppendReplaced(nil, d, v, jsondoc.AppendString(nil, s[:at]+c+s[at+1:])))
				}
				yield(jsondoc.AppendReplaced(nil, d, v, jsondoc.AppendString(nil, strings.ToUpper(s))))
				yield(jsondoc.AppendReplaced(nil, d, v, jsondoc.AppendString(nil, s[:len(s)-1])))
				yield(jsondoc.AppendReplaced(nil, d, v, jsondoc.AppendString(nil, s+"!")))
			}
		case jsondoc.Number:
			for _, r := range []string{`1.0`, `1.5`, `1e3`, `"1"`} {
				yield(jsondoc.AppendReplaced(nil, d, v, []byte(r)))
			}
		case jsondoc.Object:
			rest := string(v.Raw()[1:])
			comma := ","
			if v.Empty() {
				comma = ""
			}
			yield(jsondoc.AppendReplaced(nil, d, v, []byte(`{"unknown":null`+comma+rest)))
			yield(jsondoc.AppendReplaced(nil, d, v, []byte(`{"\u0074ype\"\\":{"a":["]}\\\""]}`+comma+rest)))
			for c := range v.Children() {
				// A member's name with an escape in it is the same name; in another case it is not.
				key := c.Key()
				yield(renamed(d, c, escaped(key)))
				yield(renamed(d, c, jsondoc.AppendString(nil, strings.ToUpper(key))))
			}
		case jsondoc.Array:
			rest := string(v.Raw()[1:])
			comma := ","
			if v.Empty() {
				comma = ""
			}
			yield(jsondoc.AppendReplaced(nil, d, v, []byte(`[{}`+comma+rest)))
			yield(jsondoc.AppendReplaced(nil, d, v, []byte(`["x"`+comma+rest)))
		}
		for c := range v.Children() {
			walk(c)
		}
	}
	walk(d.Root())
}

// escaped writes a string whose first character is an escape, if there is a first one of seven bits.
func escaped(s string) []byte {
	text := jsondoc.AppendString(nil, s)
	if text[1] == '"' || text[1] == '\\' || text[1] >= 0x80 {
		return text
	}
	return fmt.Appendf(nil, `"\u%04x%s`, text[1], text[2:])
}

// renamed writes a document with another name, as it is written, for one member; nil if that name is there already.
func renamed(d *jsondoc.Document, member jsondoc.Value, name []byte) []byte {
	b := []byte{'{'}
	for c := range member.Parent().Children() {
		if len(b) > 1 {
			b = append(b, ',')
		}
		if c.Index() == member.Index() {
			b = append(b, name...)
		} else {
			b = jsondoc.AppendString(b, c.Key())
		}
		b = append(append(b, ':'), c.Raw()...)
	}
	out := jsondoc.AppendReplaced(nil, d, member.Parent(), append(b, '}'))
	if _, err := jsondoc.Parse(out); err != nil {
		return nil
	}
	return out
}
