package translate

import (
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
)

// member is a value on its way into an object, at a JSON pointer below it.
type member struct {
	pointer string // "/name", or "/change/id" for a member of a member
	raw     []byte
}

func stringMember(pointer, s string) member {
	return member{pointer, jsondoc.AppendString(nil, s)}
}

// appendMembers writes members as the inside of an object, in their order; those that share their first name stand
// together in an object of that name, where the first of them stands.
func appendMembers(dst []byte, members []member) []byte {
	for i, m := range members {
		name, rest, nested := strings.Cut(m.pointer[1:], "/")
		if nested && writtenBefore(members[:i], name) {
			continue
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = jsondoc.AppendString(dst, name)
		dst = append(dst, ':')
		if !nested {
			dst = append(dst, m.raw...)
			continue
		}
		inner := []member{{"/" + rest, m.raw}}
		for _, later := range members[i+1:] {
			if tail, ok := strings.CutPrefix(later.pointer, "/"+name+"/"); ok {
				inner = append(inner, member{"/" + tail, later.raw})
			}
		}
		dst = append(dst, '{')
		dst = appendMembers(dst, inner)
		dst = append(dst, '}')
	}
	return dst
}

func writtenBefore(members []member, name string) bool {
	for _, m := range members {
		if strings.HasPrefix(m.pointer, "/"+name+"/") {
			return true
		}
	}
	return false
}
