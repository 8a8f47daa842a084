package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/eiffelbridge/eiffelbridge/internal/schema"
)

// dictionary are all names that members have in the schemas of either protocol. A [schema.Schema] says whether it has a
// member but does not list them, so that they are found by asking for each of these.
type dictionary []string

var memberName = regexp.MustCompile(`([A-Za-z][A-Za-z0-9]*)!?:`)

func readDictionary(root string) (dictionary, error) {
	var names []string
	for _, table := range []string{"cdevents.tab", "eiffel.tab"} {
		text, err := os.ReadFile(filepath.Join(root, "internal", "schema", table))
		if err != nil {
			return nil, err
		}
		for _, m := range memberName.FindAllSubmatch(text, -1) {
			names = append(names, string(m[1]))
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// nobody is the name of no member: what has it leaves its members open.
const nobody = "~"

// members are the members of a schema below a JSON pointer, outermost first and each before its own: those of an object, but not
// what an array or an object of any form may hold. They are sorted by name at each level.
func (d dictionary) members(s *schema.Schema, pointer string) []string {
	if !s.Has(pointer) || s.Has(pointer+"/"+nobody) || s.Has(pointer+"/0") {
		return nil
	}
	var out []string
	for _, name := range d {
		if p := pointer + "/" + name; s.Has(p) {
			if below := d.members(s, p); below != nil {
				out = append(out, below...)
			} else {
				out = append(out, p)
			}
		}
	}
	return out
}
