package translator

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
)

// alike compares JSON values: members in any order, numbers by their digits, but for integers, which may be written
// otherwise: 1e3 is 1000.
func alike(a, b jsondoc.Value) bool {
	return jsondoc.EqualBy(a, b, func(a, b jsondoc.Value) bool {
		x, ok1 := a.Int()
		y, ok2 := b.Int()
		return ok1 && ok2 && x == y
	})
}

// parse reads what is known to be JSON.
func parse(text []byte) jsondoc.Value {
	d, err := jsondoc.Parse(text)
	if err != nil {
		return jsondoc.Value{}
	}
	return d.Root()
}

// sets are the arrays whose elements have no order and no place of their own.
var sets = []string{"/context/links/", "/links/", "/data/customData/"}

// element parts a pointer into a set: the array, the element in it, and the rest.
func element(pointer string) (array, index, rest string, ok bool) {
	for _, set := range sets {
		if tail, in := strings.CutPrefix(pointer, set); in {
			index, rest, more := strings.Cut(tail, "/")
			if more {
				rest = "/" + rest
			}
			return set[:len(set)-1], index, rest, true
		}
	}
	return "", "", "", false
}

// group are pointers that must be found together: one, or all that lie within one element of a set.
type group struct {
	array string   // "" if it is no element of a set
	at    string   // the pointer to the value or the element
	rest  []string // pointers below it
}

// grouped sorts pointers into groups, in order.
func grouped(pointers []string) []group {
	var out []group
	place := map[string]int{}
	for _, p := range pointers {
		array, index, rest, ok := element(p)
		if !ok {
			out = append(out, group{"", p, []string{""}})
			continue
		}
		at := array + "/" + index
		if _, known := place[at]; !known {
			place[at] = len(out)
			out = append(out, group{array: array, at: at})
		}
		g := &out[place[at]]
		g.rest = append(g.rest, rest)
	}
	return out
}

// missing tells which value of a group the other event does not have; an element of a set may be anywhere in it.
func (g *group) missing(event, other jsondoc.Value) (pointer string, lost bool) {
	here := event.Pointed(g.at)
	within := func(there jsondoc.Value) (string, bool) {
		for _, rest := range g.rest {
			if !alike(here.Pointed(rest), there.Pointed(rest)) {
				return g.at + rest, true
			}
		}
		return "", false
	}
	if g.array == "" {
		return within(other.Pointed(g.at))
	}
	for there := range other.Pointed(g.array).Children() {
		if _, lost := within(there); !lost {
			return "", false
		}
	}
	pointer = g.at
	if len(g.rest) == 1 {
		pointer += g.rest[0]
	}
	return pointer, true
}

// found says what the other event has in the place of a value that it lacks.
func (g *group) found(other jsondoc.Value, pointer string) string {
	if g.array == "" {
		return "is " + shown(other.Pointed(pointer))
	}
	return "is in no element of " + g.array
}

// shown is a value for people.
func shown(v jsondoc.Value) string {
	if !v.Exists() {
		return "missing"
	}
	const most = 80
	text := string(v.Raw())
	if utf8.RuneCountInString(text) > most {
		text = string([]rune(text)[:most]) + "…"
	}
	return text
}

// difference is the first line in which two texts differ.
func difference(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range max(len(x), len(y)) {
		var left, right string
		if i < len(x) {
			left = x[i]
		}
		if i < len(y) {
			right = y[i]
		}
		if left != right {
			from := 0
			for from < min(len(left), len(right)) && left[from] == right[from] {
				from++
			}
			from = max(0, from-30)
			return fmt.Sprintf("%q is %q", cut(left, from), cut(right, from))
		}
	}
	return "nothing"
}

func cut(s string, from int) string {
	s = s[min(from, len(s)):]
	if len(s) > 120 {
		s = s[:120] + "…"
	}
	return strings.ToValidUTF8(s, "…")
}
