package hostile

import (
	"strconv"
	"strings"
)

// jsonShapes are texts that are dear to read, in the custom data of an event of either protocol, where anything may stand.
func jsonShapes() []Shape {
	n := strconv.Itoa
	deep := func(levels int, open, closing, inner string) string {
		return strings.Repeat(open, levels) + inner + strings.Repeat(closing, levels)
	}
	values := []struct {
		name, code string
		value      func(size int) string
	}{
		{"deep lists", "", func(size int) string {
			return `[` + fill(size, func(int) string { return deep(85, "[", "]", "1") }) + `]`
		}},
		{"deep objects", "", func(size int) string {
			return `[` + fill(size, func(int) string { return deep(85, `{"a":`, "}", "1") }) + `]`
		}},
		{"nesting beyond all limits", CodeAny, func(size int) string { return deep(size/2, "[", "]", "") }},
		{"deep objects with originals", CodeAny, func(size int) string {
			return `[` + fill(size, func(int) string {
				return `{"key":"cdevents","value":{"event":` + deep(97, `{"event":`, "}", "1") + `}}`
			}) + `]`
		}},
		{"a wide object", "", func(size int) string {
			return `{` + fill(size, func(i int) string { return `"k` + n(i) + `":` + n(i) }) + `}`
		}},
		{"a wide object with a late duplicate", CodeAny, func(size int) string {
			return `{` + fill(size, func(i int) string { return `"k` + n(i) + `":` + n(i) }) + `,"k0":1}`
		}},
		{"wide objects in wide objects", "", func(size int) string {
			return `{` + fill(size, func(i int) string {
				return `"k` + n(i) + `":{` + fill(1000, func(i int) string { return `"k` + n(i) + `":0` }) + `}`
			}) + `}`
		}},
		{"objects of long names", "", func(size int) string {
			return `[` + fill(size, func(int) string {
				return `{` + fill(20_000, func(i int) string { return `"` + long(850, "k") + n(100+i) + `":0` }) + `}`
			}) + `]`
		}},
		{"objects of long escaped names", "", func(size int) string {
			return `[` + fill(size, func(int) string {
				return `{` + fill(20_000, func(i int) string { return `"` + long(850, `\u006b`) + n(100+i) + `":0` }) + `}`
			}) + `]`
		}},
		{"an object of one long escaped name", "", func(size int) string { return `{"` + long(size, `\u006b\n`) + `":0}` }},
		{"many empty objects", "", func(size int) string { return `[` + fill(size, func(int) string { return `{}` }) + `]` }},
		{"many empty texts", "", func(size int) string { return `[` + fill(size, func(int) string { return `""` }) + `]` }},
		{"many numbers", "", func(size int) string { return `[` + fill(size, func(int) string { return `0` }) + `]` }},
		{"a long number", "", func(size int) string { return long(size, "1") }},
		{"a long fraction", "", func(size int) string { return "0." + long(size, "1") }},
		{"a long exponent", "", func(size int) string { return "1e" + long(size, "1") }},
		{"a long text", "", func(size int) string { return `"` + long(size, "text ") + `"` }},
		{"a long text of escapes", "", func(size int) string { return `"` + long(size, `\u00f6\n`) + `"` }},
		{"a long text of surrogates", "", func(size int) string { return `"` + long(size, `\ud83d\ude00`) + `"` }},
		{"a long text of many bytes a character", "", func(size int) string { return `"` + long(size, "ö€😀") + `"` }},
		{"a long text with a late fault", CodeAny, func(size int) string { return `"` + long(size, "ö€😀") + "\xff" + `"` }},
		{"much white space", "", func(size int) string { return `[` + long(size, " \n\t") + `]` }},
		{"text that never ends", CodeAny, func(size int) string { return `"` + long(size, "x") }},
		{"lists that never end", CodeAny, func(size int) string { return long(size, "[[{") }},
	}
	var out []Shape
	for _, v := range values {
		out = append(out,
			Shape{Name: "CDEvent with " + v.name, Code: v.code, Event: func(size int) []byte {
				return cd{custom: `"k":` + v.value(room(size, 500))}.text()
			}},
			Shape{Name: "Eiffel event with " + v.name, Code: v.code, Event: func(size int) []byte {
				return ei{typ: "ArtifactDeployed", custom: customEntry("k", v.value(room(size, 500)))}.text()
			}})
	}
	bare := func(name string, event func(size int) string) {
		out = append(out, Shape{Name: name, Code: CodeAny, Event: func(size int) []byte { return []byte(event(size)) }})
	}
	bare("nothing but a text", func(size int) string { return `"` + long(size, `\u00f6`) + `"` })
	bare("nothing but a list", func(size int) string {
		return `[` + fill(size, func(int) string { return `{"context":{},"meta":{}}` }) + `]`
	})
	bare("nothing but white space", func(size int) string { return long(size, " ") })
	bare("an object of neither protocol", func(size int) string {
		return `{` + fill(size, func(i int) string { return `"k` + n(i) + `":0` }) + `}`
	})
	bare("an object of both protocols", func(size int) string {
		return `{` + fill(size, func(i int) string { return `"k` + n(i) + `":0` }) + `,"context":{},"meta":{}}`
	})
	bare("a context of many members", func(size int) string {
		return `{"context":{` + fill(size, func(i int) string { return `"k` + n(i) + `":0` }) + `}}`
	})
	bare("a meta of many members", func(size int) string {
		return `{"meta":{` + fill(size, func(i int) string { return `"k` + n(i) + `":0` }) + `}}`
	})
	return out
}
