package translate

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/internal/schema"
)

// value is a value on its way into the output: one of the input, a text, a reference, or JSON that was made. The zero value is
// none.
type value struct {
	kind   valueKind
	doc    jsondoc.Value
	raw    []byte
	text   string // the id of a reference
	source string // of a reference
}

type valueKind byte

const (
	noValue valueKind = iota
	ofInput
	ofText
	ofReference
	ofJSON
)

// none is a member that is left out.
var none value

func (v value) exists() bool { return v.kind != noValue }

// inputValue is a value of the input; none for a missing one.
func inputValue(v jsondoc.Value) value {
	if !v.Exists() {
		return none
	}
	return value{kind: ofInput, doc: v}
}

// textValue is a string.
func textValue(s string) value { return value{kind: ofText, text: s} }

// textOrNone is a string, and none for the empty one.
func textOrNone(s string) value {
	if s == "" {
		return none
	}
	return textValue(s)
}

// jsonValue is JSON; none for nil.
func jsonValue(raw []byte) value {
	if raw == nil {
		return none
	}
	return value{kind: ofJSON, raw: raw}
}

// str is the text of a string; "" for other values.
func (v value) str() string {
	switch v.kind {
	case ofInput:
		return v.doc.Str()
	case ofText:
		return v.text
	case ofJSON:
		if doc, err := jsondoc.Parse(v.raw); err == nil {
			return doc.Root().Str()
		}
	}
	return ""
}

func (v value) write(w *jsondoc.Writer) error {
	switch v.kind {
	case ofInput:
		w.Splice(v.doc)
	case ofText:
		w.String(v.text)
	case ofReference:
		w.Object()
		w.Member("id", v.text)
		if v.source != "" {
			w.Member("source", v.source)
		}
		w.Close()
	case ofJSON:
		return w.JSON(v.raw)
	}
	return nil
}

// member is a value on its way into an object, below the names of its path.
type member struct {
	path []string
	value
}

func textMember(s string, path ...string) member {
	return member{path, textValue(s)}
}

// writeMembers writes members into the open object, in their order; those that share their first name stand together in an
// object of that name, where the first of them stands, or in an array if the next name is an index.
func writeMembers(w *jsondoc.Writer, members []member) error {
	return writeWithin(w, members, true)
}

// writeWithin writes members into what is open, an object or else an array.
func writeWithin(w *jsondoc.Writer, members []member, object bool) error {
	for i, m := range members {
		name := m.path[0]
		if begunBefore(members[:i], name) {
			if len(m.path) == 1 {
				return fmt.Errorf("two members are named %q", name)
			}
			continue
		}
		if object {
			w.Name(name)
		}
		if len(m.path) == 1 {
			if err := m.write(w); err != nil {
				return err
			}
			continue
		}
		var inner []member
		for _, other := range members[i:] {
			if other.path[0] == name && len(other.path) > 1 {
				inner = append(inner, member{other.path[1:], other.value})
			}
		}
		elements := strings.Trim(inner[0].path[0], "0123456789") == "" // no schema names a member so
		if elements {
			w.Array()
		} else {
			w.Object()
		}
		if err := writeWithin(w, inner, !elements); err != nil {
			return err
		}
		w.Close()
	}
	return nil
}

func begunBefore(members []member, name string) bool {
	for i := range members {
		if members[i].path[0] == name {
			return true
		}
	}
	return false
}

// endMark ends the mark that is open.
func endMark(w *jsondoc.Writer) {
	w.Name("rules")
	w.Int(rules)
	w.Close()
}

// newWriter begins an event of the output, which may be larger than the input by so much as a bridge adds. It must be sealed before
// the next one.
func (r *run) newWriter() *jsondoc.Writer {
	w := &r.room.writer
	w.Start(len(r.in.JSON)+1024, r.in.doc.Len()+64)
	return w
}

// seal makes an event of what was written, and holds it against its schema: what the bridge sends is never invalid. The values
// that were written are let go of: who wants those of an output parses it.
func (r *run) seal(w *jsondoc.Writer, e *Event, s *schema.Schema) error {
	e.doc = w.Document()
	defer func() { e.JSON, e.doc, e.sealed = bytes.Clone(e.doc.Bytes()), nil, true }()
	e.ID, e.Source, e.Subject = r.keepText(e.ID), r.keepText(e.Source), r.keepText(e.Subject)
	if e.doc.Depth() > jsondoc.MaxDepth && e.doc.DepthWithout(carriedValue) > jsondoc.MaxDepth {
		return r.invalidOutput("nested deeper than %d levels", jsondoc.MaxDepth)
	}
	var findings []*EventError
	if s == nil {
		_, findings = check(e)
	} else {
		findings = checkAgainst(e, s)
	}
	if len(findings) > 0 {
		return r.invalidOutput("%v", findings[0])
	}
	return nil
}

func (r *run) invalidOutput(format string, args ...any) *EventError {
	return r.in.fail(CodeInvalidOutput, "", "the event that it became is not valid: "+fmt.Sprintf(format, args...))
}
