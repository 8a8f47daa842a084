package translate

import (
	"errors"
	"fmt"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/internal/schema"
)

// Validate checks the event against the schema and, for Eiffel, the link rules of its own type and version. It returns
// every finding, at most 20; none for a valid event.
func (e Event) Validate() []*EventError {
	e.document()
	_, findings := check(&e)
	return findings
}

func validate(in *Event) (*schema.Schema, error) {
	s, findings := check(in)
	if len(findings) > 0 {
		return nil, findings[0]
	}
	return s, nil
}

// check gives the event's schema and where the event breaks it. A type of which no version is known has no schema: the
// members that all events of its protocol share are checked then, so that nothing is refused for its type.
func check(in *Event) (*schema.Schema, []*EventError) {
	s, err := schemaOf(in)
	if err == nil {
		return s, checkAgainst(in, s)
	}
	var unknownType *schema.UnknownTypeError
	switch {
	case errors.As(err, &unknownType):
		return nil, checkHead(in)
	case in.Protocol == CDEvents:
		return nil, []*EventError{in.fail(CodeUnknownVersion, "/context/type", err.Error())}
	}
	return nil, []*EventError{in.fail(CodeUnknownVersion, "/meta/version", err.Error())}
}

// schemaOf is the schema of the event's own type and version.
func schemaOf(in *Event) (*schema.Schema, error) {
	if in.Protocol == Eiffel {
		return schema.ForEiffel(in.Type, in.Version)
	}
	if !schema.IsCustom(in.Type) {
		return schema.ForCDEvent(in.Type, "")
	}
	context := in.doc.Root().Get("context")
	version := context.Get("specversion")
	if !version.Exists() {
		version = context.Get("version")
	}
	return schema.ForCDEvent(in.Type, version.Str())
}

func checkAgainst(in *Event, s *schema.Schema) []*EventError {
	findings := s.Validate(in.doc)
	if len(findings) == 0 && in.Protocol == Eiffel {
		findings = s.ValidateLinks(in.doc, nil)
	}
	var out []*EventError
	for _, f := range findings {
		out = append(out, in.fail(CodeInvalid, f.Pointer, fmt.Sprintf("%s (%s)", f.Message, f.Rule)))
	}
	return out
}

// checkHead checks what every event of a protocol has, for types that have no schema here.
func checkHead(in *Event) []*EventError {
	var out []*EventError
	need := func(pointer string, kind jsondoc.Kind) jsondoc.Value {
		v := in.doc.Root().Pointed(pointer)
		switch {
		case !v.Exists():
			out = append(out, in.fail(CodeInvalid, pointer, "is missing (required)"))
		case v.Kind() != kind:
			out = append(out, in.fail(CodeInvalid, pointer, fmt.Sprintf("is %s, not %s (type)", article(v.Kind().String()), article(kind.String()))))
		}
		return v
	}
	if in.Protocol == CDEvents {
		for _, p := range []string{"/context/id", "/context/source", "/context/timestamp", "/subject/id"} {
			if v := need(p, jsondoc.String); v.Kind() == jsondoc.String && v.Str() == "" {
				out = append(out, in.fail(CodeInvalid, p, "is empty (minLength)"))
			}
		}
		need("/subject/content", jsondoc.Object)
		return out
	}
	if id := need("/meta/id", jsondoc.String); id.Kind() == jsondoc.String && !schema.IsEiffelID(id.Str()) {
		out = append(out, in.fail(CodeInvalid, "/meta/id", "is not a lower-case UUID of version 1 to 5 (pattern)"))
	}
	if time := need("/meta/time", jsondoc.Number); time.Kind() == jsondoc.Number && !time.IsIntegral() {
		out = append(out, in.fail(CodeInvalid, "/meta/time", "is no integer (type)"))
	}
	need("/data", jsondoc.Object)
	for l := range need("/links", jsondoc.Array).Children() {
		if l.Get("type").Kind() != jsondoc.String || l.Get("type").Str() == "" || !schema.IsEiffelID(l.Get("target").Str()) {
			out = append(out, in.fail(CodeInvalid, l.Pointer(), "is no link: it needs a type and, as target, a lower-case UUID of version 1 to 5"))
		}
	}
	return out
}
