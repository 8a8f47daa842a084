package jsondoc

import (
	"strconv"
	"strings"
)

// Path is a JSON pointer (RFC 6901), split once so that looking it up costs no allocation.
type Path []step

// step is one token of a pointer; at is its number where it may be the index of an element, else -1.
type step struct {
	name string
	at   int
}

// NewPath splits a JSON pointer; "" is the value itself. The second result is false for a text that is no pointer.
func NewPath(pointer string) (Path, bool) {
	if pointer == "" {
		return nil, true
	}
	if pointer[0] != '/' {
		return nil, false
	}
	var p Path
	for token := range strings.SplitSeq(pointer[1:], "/") {
		if strings.IndexByte(token, '~') >= 0 {
			token = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
		}
		at, err := strconv.Atoi(token)
		if err != nil || at < 0 {
			at = -1
		}
		p = append(p, step{token, at})
	}
	return p, true
}

// Follow is the value at a path below this one, Missing if there is none.
func (v Value) Follow(p Path) Value {
	for _, s := range p {
		switch v.Kind() {
		case Object:
			v = v.Get(s.name)
		case Array:
			if s.at < 0 {
				return Value{}
			}
			c := v.first()
			for i := s.at; i > 0 && c.d != nil; i-- {
				c = c.nextSibling()
			}
			v = c
		default:
			return Value{}
		}
	}
	return v
}
