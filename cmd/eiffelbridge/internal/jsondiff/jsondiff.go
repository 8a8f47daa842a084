// Package jsondiff compares JSON values: by pointer, for those who want to know what changed, and line by line, for those
// who want to see it.
package jsondiff

import (
	"bytes"
	"encoding/json"
	"strconv"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
)

// Change is a member or an element that differs.
type Change struct {
	Pointer string          `json:"pointer"`       // RFC 6901; of an element that was removed, where it was
	Old     json.RawMessage `json:"old,omitempty"` // compact; nil: it was not there
	New     json.RawMessage `json:"new,omitempty"` // nil: it is there no more
}

// Compare gives what differs between two values, in the order of the old one, what was added last. The order of members is no
// difference, nor is how a string is escaped; the order of elements is.
func Compare(before, after jsondoc.Value) []Change { return compare(nil, "", before, after) }

func compare(out []Change, pointer string, before, after jsondoc.Value) []Change {
	switch {
	case jsondoc.Equal(before, after):
		return out
	case before.Kind() == jsondoc.Object && after.Kind() == jsondoc.Object:
		for b := range before.Children() {
			out = compare(out, pointer+"/"+jsondoc.EscapePointer(b.Key()), b, after.Get(b.Key()))
		}
		for a := range after.Children() {
			if !before.Get(a.Key()).Exists() {
				out = append(out, Change{pointer + "/" + jsondoc.EscapePointer(a.Key()), nil, a.Raw()})
			}
		}
		return out
	case before.Kind() == jsondoc.Array && after.Kind() == jsondoc.Array:
		return compareElements(out, pointer, elements(before), elements(after))
	}
	return append(out, Change{pointer, before.Raw(), after.Raw()})
}

// compareElements leaves out what both begin and end with, so that one element more or less is one change.
func compareElements(out []Change, pointer string, before, after []jsondoc.Value) []Change {
	start := 0
	for start < len(before) && start < len(after) && jsondoc.Equal(before[start], after[start]) {
		start++
	}
	b, a := len(before), len(after)
	for b > start && a > start && jsondoc.Equal(before[b-1], after[a-1]) {
		b, a = b-1, a-1
	}
	for i := start; i < max(b, a); i++ {
		at := pointer + "/" + strconv.Itoa(i)
		switch {
		case i >= b:
			out = append(out, Change{at, nil, after[i].Raw()})
		case i >= a:
			out = append(out, Change{at, before[i].Raw(), nil})
		default:
			out = compare(out, at, before[i], after[i])
		}
	}
	return out
}

func elements(v jsondoc.Value) []jsondoc.Value {
	var out []jsondoc.Value
	for c := range v.Children() {
		out = append(out, c)
	}
	return out
}

// Unified is the unified diff of two texts, empty if they are the same.
func Unified(oldName string, before []byte, newName string, after []byte) string {
	text := string(diff.Diff(oldName, before, newName, after))
	// The first line names a command that nobody has run.
	if _, rest, ok := bytes.Cut([]byte(text), []byte("\n")); ok && len(text) > 5 && text[:5] == "diff " {
		return string(rest)
	}
	return text
}

// Indent is JSON as people read it, with the members in their order.
func Indent(text []byte) []byte {
	var b bytes.Buffer
	if json.Indent(&b, text, "", "  ") != nil {
		return text // not JSON: shown as it is
	}
	b.WriteByte('\n')
	return b.Bytes()
}
