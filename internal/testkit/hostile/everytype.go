package hostile

import (
	"strconv"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/internal/schema/generate"
	"github.com/eiffelbridge/eiffelbridge/internal/testkit/oracle/jsontree"
)

// everyType are the plain events of every type, with as much as fits of what every event may have: links and custom data.
func everyType() []Shape {
	newest := map[string]*schema.Schema{}
	var order []string
	for _, s := range generate.Schemas() {
		name := s.Type()
		if s.SpecVersions() != nil {
			name = s.Name()
		}
		if newest[name] == nil {
			order = append(order, name)
		}
		newest[name] = s
	}
	var out []Shape
	for i, name := range order {
		s := newest[name]
		plain := generate.NewWriter(seeded(uint64(i))).Event(s, generate.Minimal)
		data, item := withCustomData(plain, s)
		code := ""
		if mustParse(plain).At("data") == nil && s.SpecVersions() == nil {
			code = CodeAny // a version of an event that needs no data, but then needs all of it
		}
		out = append(out, Shape{Name: name + " with much custom data", Code: code, Event: data.filled(item)})
		links, item := withLinks(plain, s)
		out = append(out, Shape{Name: name + " with many links", Event: links.filled(item)})
	}
	return out
}

// gap is an event with a place where more of it goes.
type gap struct{ before, behind string }

const here = `"much goes here"`

func gapOf(root *jsontree.Node) gap {
	before, behind, ok := strings.Cut(string(root.Append(nil)), here)
	if !ok {
		panic("there is no gap in " + before)
	}
	return gap{before, behind}
}

func (g gap) filled(item func(i int) string) func(size int) []byte {
	return func(size int) []byte {
		return []byte(g.before + fill(room(size, len(g.before)+len(g.behind)), item) + g.behind)
	}
}

func mustParse(text []byte) *jsontree.Node {
	root, err := jsontree.Parse(text)
	if err != nil {
		panic(err)
	}
	return root
}

// withCustomData makes room for custom data.
func withCustomData(plain []byte, s *schema.Schema) (gap, func(i int) string) {
	root := mustParse(plain)
	if s.SpecVersions() == nil {
		if root.At("data") == nil {
			root.Set(jsontree.Make(jsontree.Object, "data"))
		}
		root.At("data").Set(jsontree.Make(jsontree.Array, "customData", jsontree.Raw("", here)))
		return gapOf(root), func(i int) string { return customEntry("k"+strconv.Itoa(i), strconv.Itoa(i)) }
	}
	root.Set(jsontree.Raw("customData", "{"+here+"}"))
	root.Set(jsontree.String("customDataContentType", "application/json"))
	return gapOf(root), func(i int) string { return `"k` + strconv.Itoa(i) + `":` + strconv.Itoa(i) }
}

// withLinks makes room for links of every kind that the type may have more than once.
func withLinks(plain []byte, s *schema.Schema) (gap, func(i int) string) {
	root := mustParse(plain)
	if s.SpecVersions() != nil {
		kinds := []func(string) string{path, end, func(to string) string { return relation("TRIGGER", to) }, func(to string) string { return relation("CONTEXT", to) }}
		root.At("context").Set(jsontree.Make(jsontree.Array, "links", jsontree.Raw("", here)))
		return gapOf(root), func(i int) string { return kinds[i%len(kinds)](id(others + i)) }
	}
	kinds := []string{"CAUSE"}
	for _, r := range s.LinkRules() {
		if r.Multiple && r.Type != "CAUSE" {
			kinds = append(kinds, r.Type)
		}
	}
	links := jsontree.Make(jsontree.Array, "links")
	if have := root.At("links"); have != nil {
		links.Items = have.Items
	}
	links.Items = append(links.Items, jsontree.Raw("", here))
	root.Set(links)
	return gapOf(root), func(i int) string { return link(kinds[i%len(kinds)], id(others+i)) }
}

// carried are some of the shapes on their way back: what the bridge made of them, which carries them.
func carried(all []Shape) []Shape {
	var out []Shape
	for i := range all {
		// Most shapes differ only in what is carried; every third is enough, and those that are refused have no way back.
		if s := all[i]; s.Then == Once && (s.Code == "" || s.Code == CodeAny) && !s.Needs && i%3 == 0 {
			s.Name += ", back"
			s.Then = Back
			s.Code = CodeAny
			out = append(out, s)
		}
	}
	return out
}
