// Package schema holds the CDEvents and Eiffel schemas and link rules as compact tables, and checks events against them.
//
// The tables are derived from the specifications by the command schemagen, one row per event type and version; the checks
// reach the same verdict on every event as a JSON Schema validator with format assertion does with the schemas themselves.
// contentEncoding and contentMediaType are annotations and assert nothing (JSON Schema 2020-12, Validation, section 8.2).
//
// Everything here is safe for concurrent use. A row is parsed when it is first asked for and kept; importing the package
// costs nothing.
package schema

//go:generate go run ./schemagen -specs ../../../shared/specs -out .

import (
	"fmt"
	"slices"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
)

// Schema is what an event of one type and version must look like. It is immutable.
type Schema struct {
	typ      string // what the event's own type member must be
	version  string
	subject  string
	verb     string // the predicate
	name     string // subject.predicate
	specs    []string
	rules    []LinkRule
	root     *node
	lenient  bool
	editions []string
}

// Type is the full event type: "dev.cdevents.service.deployed.0.3.0", "EiffelArtifactCreatedEvent". A lenient schema has
// the type of the newest version known, a custom event its own.
func (s *Schema) Type() string { return s.typ }

// Version is the version that the schema describes; of a lenient schema, that is older than the event's own.
func (s *Schema) Version() string { return s.version }

// Subject is the subject in a CDEvents type ("service", in lower case throughout, unlike the member subject.type), "" for
// an Eiffel event. For a custom event it is the tool and the subject ("tool-x"), as the specification has it.
func (s *Schema) Subject() string { return s.subject }

// Predicate is the predicate in a CDEvents type ("deployed"), "" for an Eiffel event.
func (s *Schema) Predicate() string { return s.verb }

// Name is the subject and the predicate as a CDEvents type has them, "service.deployed"; "" for an Eiffel event.
func (s *Schema) Name() string { return s.name }

// SpecVersions are the versions of the CDEvents specification that hold this type and version ("0.5.1"); nil for an
// Eiffel event. It must not be changed.
func (s *Schema) SpecVersions() []string { return s.specs }

// Editions are the Eiffel editions that hold this type and version, oldest first; nil if none does, and for CDEvents.
// It must not be changed.
func (s *Schema) Editions() []string { return s.editions }

// Lenient tells whether the event is of a newer minor or patch version than is known. Its schema is then that of the
// newest version known, but for members that are not in it, and the event's type and version, which are not checked.
func (s *Schema) Lenient() bool { return s.lenient }

// UnknownTypeError says that no version of an event type is known.
type UnknownTypeError struct{ Type string }

// Error names the type.
func (e *UnknownTypeError) Error() string { return fmt.Sprintf("unknown event type %q", e.Type) }

// UnknownVersionError says that an event type is known, but not in this version, nor in an older one of the same major.
type UnknownVersionError struct {
	Type    string
	Version string
	Known   []string // oldest first
}

// Error names the versions that are known.
func (e *UnknownVersionError) Error() string {
	return fmt.Sprintf("unknown version %q of event type %s; known are %s", e.Version, e.Type, strings.Join(e.Known, ", "))
}

const (
	eventPrefix  = "dev.cdevents."
	customPrefix = "dev.cdeventsx."
	customType   = "dev.cdeventsx" // how the table names the row of custom events
)

// ForCDEvent returns the schema of a full CDEvents type, "dev.cdevents.service.deployed.0.3.0" or, for a custom event,
// "dev.cdeventsx.tool-x.y.0.1.0" (CDEvents specification, "Extending the vocabulary"). The text of context.specversion or
// context.version tells the custom events of 0.4 and 0.5 apart, which have them, and is not looked at otherwise; "" stands
// for the newest. Errors are of type *[UnknownTypeError] or *[UnknownVersionError].
func ForCDEvent(eventType, specVersion string) (*Schema, error) {
	ix := cdevents.get()
	if r := ix.byType[eventType]; r != nil && eventType != customType {
		return r[0].schema(false)
	}
	if IsCustom(eventType) {
		return forCustom(ix, eventType, specVersion)
	}
	rest, ok := strings.CutPrefix(eventType, eventPrefix)
	if !ok {
		return nil, &UnknownTypeError{Type: eventType}
	}
	subject, verb, version := splitType(rest)
	rows := ix.byVerb[subject+"."+verb]
	if rows == nil || version == "" {
		return nil, &UnknownTypeError{Type: eventType}
	}
	return newest(rows, eventPrefix+subject+"."+verb, version)
}

// IsCustom tells whether a full CDEvents type is that of a custom event.
func IsCustom(eventType string) bool { return strings.HasPrefix(eventType, customPrefix) }

// splitType parts "service.deployed.0.3.0".
func splitType(s string) (subject, verb, version string) {
	subject, s, _ = strings.Cut(s, ".")
	verb, version, _ = strings.Cut(s, ".")
	return subject, verb, version
}

func forCustom(ix *index, eventType, specVersion string) (*Schema, error) {
	rows := ix.byType[customType]
	r := rows[len(rows)-1]
	lenient := false
	if specVersion != "" {
		r = nil
		wanted, ok := parseVersion(specVersion)
		if ok && wanted[2] == 0 && wanted[1] > 0 && strings.HasPrefix(specVersion, fmt.Sprintf("%d.%d.0-", wanted[0], wanted[1])) {
			// A draft of 0.5.0 is written to what there was before it, as the specification's own example of 0.4.1 is.
			wanted[1]--
		}
		for _, c := range rows {
			// Before 1.0, the minor version is what a major one is after it.
			if known, _ := parseVersion(c.spec); ok && known[0] == wanted[0] && known[1] == wanted[1] {
				r = c
			}
		}
		if last := rows[len(rows)-1]; r == nil && ok && newer(specVersion, last.spec) {
			r, lenient = last, true
		}
		if r == nil {
			err := &UnknownVersionError{Type: eventType, Version: specVersion}
			for _, c := range rows {
				err.Known = append(err.Known, c.spec)
			}
			return nil, err
		}
	}
	base, err := r.schema(lenient)
	if err != nil {
		return nil, err
	}
	s := *base
	s.typ = eventType
	s.subject, s.verb, s.version = splitType(eventType[len(customPrefix):])
	s.name = s.subject + "." + s.verb
	return &s, nil
}

// ForEiffel returns the schema of an Eiffel event type such as "EiffelArtifactCreatedEvent" in a version of its own,
// meta.version. Errors are of type *[UnknownTypeError] or *[UnknownVersionError].
func ForEiffel(eventType, version string) (*Schema, error) {
	rows := eiffel.get().byType[eventType]
	if rows == nil {
		return nil, &UnknownTypeError{Type: eventType}
	}
	for _, r := range rows {
		if r.version == version {
			return r.schema(false)
		}
	}
	return newest(rows, eventType, version)
}

// newest finds the lenient schema for a version that has none of its own.
func newest(rows []*row, eventType, version string) (*Schema, error) {
	if wanted, ok := parseVersion(version); ok {
		for _, r := range slices.Backward(rows) {
			if known, _ := parseVersion(r.version); known[0] == wanted[0] {
				if newer(version, r.version) {
					return r.schema(true)
				}
				break
			}
		}
	}
	err := &UnknownVersionError{Type: eventType, Version: version}
	for _, r := range rows {
		err.Known = append(err.Known, r.version)
	}
	return nil, err
}

// Editions are the names of the Eiffel editions, oldest first.
func Editions() []string { return slices.Clone(eiffel.get().head) }

// Specs are the full versions of the CDEvents specifications, "0.3.0", oldest first.
func Specs() []string { return slices.Clone(cdevents.get().head) }

// OutputEditions are the Eiffel editions that the bridge writes, oldest first: from Agen on (mapping.md, "Output").
func OutputEditions() []string {
	all := Editions()
	return all[slices.Index(all, "Agen"):]
}

// OutputSpecs are the CDEvents versions that the bridge writes, "0.3" to "0.5", oldest first.
func OutputSpecs() []string { return []string{"0.3", "0.4", "0.5"} }

// EditionVersion is the version that an Eiffel edition has of an event type; false if the edition or the type in it does
// not exist.
func EditionVersion(edition, eventType string) (version string, ok bool) {
	for _, r := range eiffel.get().byType[eventType] {
		if slices.Contains(r.editions, edition) {
			return r.version, true
		}
	}
	return "", false
}

// SpecVersion is the full version of a CDEvents specification, "0.5.1" for "0.5"; false if it is not known.
func SpecVersion(short string) (full string, ok bool) {
	for _, s := range cdevents.get().head {
		if s[:strings.LastIndexByte(s, '.')] == short {
			return s, true
		}
	}
	return "", false
}

// CDEventType is the full type that a CDEvents specification ("0.3", "0.4", "0.5") has for a subject and a predicate as the
// type spells them ("pipelinerun", "queued"); false if it has none.
func CDEventType(specVersion, subject, predicate string) (fullType string, ok bool) {
	full, ok := SpecVersion(specVersion)
	if !ok {
		return "", false
	}
	for _, r := range cdevents.get().byVerb[subject+"."+predicate] {
		if r.spec == full {
			return r.typ, true
		}
	}
	return "", false
}

// KnowsCDEvent tells whether any version of CDEvents has an event of that subject and predicate.
func KnowsCDEvent(subject, predicate string) bool {
	return len(cdevents.get().byVerb[subject+"."+predicate]) > 0
}

// EiffelTypes are the Eiffel event types, sorted.
func EiffelTypes() []string { return slices.Clone(eiffel.get().types) }

// EiffelVersions are the versions known of an Eiffel event type, oldest first; nil if there are none.
func EiffelVersions(eventType string) []string {
	var out []string
	for _, r := range eiffel.get().byType[eventType] {
		out = append(out, r.version)
	}
	return out
}

// CDEventTypes are the full types of all CDEvents, sorted; custom events are not among them.
func CDEventTypes() []string {
	return slices.DeleteFunc(slices.Clone(cdevents.get().types), func(t string) bool { return t == customType })
}

// Has tells whether the schema names a member at a JSON pointer (RFC 6901), "/meta/source/serializer" or
// "/links/0/domainId", or leaves what is there altogether open, as in "/data/customData/0/value/anything". What an open
// object would tolerate beside the members that its schema names does not count. A lenient schema answers for the version
// that it describes. The names of events and members in the specifications have no escapes, so none are resolved.
func (s *Schema) Has(pointer string) bool { return find(s.root, pointer) != nil }

// Members are the names of the members that the schema has in the object at a JSON pointer, and which of them are required;
// nil if there is no object or its members are left open. They are in the order of the schema.
func (s *Schema) Members(pointer string) (names, required []string) {
	n := find(s.root, pointer)
	if n == nil {
		return nil, nil
	}
	alternatives := n.alts
	if n.op != opAnyOf && n.op != opOneOf {
		alternatives = []*node{n}
	}
	for _, a := range alternatives {
		for i, p := range a.props {
			if !slices.Contains(names, p.name) {
				names = append(names, p.name)
			}
			if n.op == opObject && a.required&(1<<i) != 0 {
				required = append(required, p.name)
			}
		}
	}
	return names, required
}

// Requires tells whether the object that holds the member at a JSON pointer must have it, if that object is there.
func (s *Schema) Requires(pointer string) bool {
	at := strings.LastIndexByte(pointer, '/')
	if at < 0 {
		return false
	}
	n := find(s.root, pointer[:at])
	if n == nil || n.op != opObject {
		return false
	}
	i := n.prop(pointer[at+1:])
	return i >= 0 && n.required&(1<<i) != 0
}

// IsText tells whether the schema names a member at a JSON pointer that is a string.
func (s *Schema) IsText(pointer string) bool {
	n := find(s.root, pointer)
	return n != nil && (n.op == opString || n.op == opType || n.op == opVersion)
}

// Allows tells whether the string at a JSON pointer may be text: by its length, the words that are allowed, its pattern and
// its format. It is true for what is no string, and for what the schema does not name.
func (s *Schema) Allows(pointer, text string) bool { return s.Place(pointer).Allows(text) }

// Enum is what the schema allows at a JSON pointer if that is a closed list of words ("/data/outcome/conclusion"), nil if
// not. It must not be changed.
func (s *Schema) Enum(pointer string) []string { return s.enum(find(s.root, pointer)) }

func (s *Schema) enum(n *node) []string {
	switch {
	case n == nil:
		return nil
	case n.op == opType:
		return []string{s.typ}
	case n.op == opVersion:
		return []string{s.version}
	}
	return n.enum
}

func find(n *node, pointer string) *node {
	for pointer != "" {
		if pointer[0] != '/' {
			return nil
		}
		token := pointer[1:]
		if i := strings.IndexByte(token, '/'); i >= 0 {
			token, pointer = token[:i], token[i:]
		} else {
			pointer = ""
		}
		switch n.op {
		case opAny:
			return n
		case opObject:
			if !n.closed && len(n.props) == 0 {
				return &anything
			}
			i := n.prop(token)
			if i < 0 {
				return nil
			}
			n = n.props[i].node
		case opArray:
			if token != "-" && strings.Trim(token, "0123456789") != "" || token == "" {
				return nil
			}
			n = n.item
		case opAnyOf, opOneOf:
			for _, a := range n.alts {
				if found := find(a, "/"+token+pointer); found != nil {
					return found
				}
			}
			return nil
		default:
			return nil
		}
	}
	return n
}

// Finding is one violation of a schema or a link rule.
type Finding struct {
	Pointer string // the value at fault (RFC 6901)
	// Rule is the keyword of the schema (required, additionalProperties, type, enum, pattern, format, minLength, contains,
	// oneOf, anyOf) or, for link rules, linkType, linkRequired, linkSingle or linkTarget.
	Rule    string
	Message string // for people: the value at fault, shortened to 80 characters, and what is allowed
}

// String is the finding on one line.
func (f Finding) String() string {
	at := f.Pointer
	if at == "" {
		at = "the event"
	}
	return at + ": " + f.Message
}

// maxFindings is where Validate stops: who needs more has an event of another kind.
const maxFindings = 20

// Validate returns where the document violates the schema, in document order, at most 20 findings; none if it is valid.
func (s *Schema) Validate(d *jsondoc.Document) []Finding {
	c := checker{s: s}
	if c.value(s.root, d.Root()) {
		return nil
	}
	// The first pass only judges, which is cheaper; the second tells why.
	c.report = &report{}
	c.value(s.root, d.Root())
	return c.report.findings
}

// IsEiffelID tells whether a text is an id as Eiffel has it: a lower-case UUID of version 1 to 5 (RFC 4122).
func IsEiffelID(s string) bool { return isEiffelID(s) }

// IsURI tells whether a text is an absolute URI, and IsURIReference whether it is a URI reference, as the formats uri and
// uri-reference of the schemas judge (RFC 3986). Both take some characters that no URI has, such as a space in a path.
func IsURI(s string) bool { return isURI(s) }

// IsURIReference is described at [IsURI].
func IsURIReference(s string) bool { return isURIReference(s) }

// IsPlainReference tells whether a text is a URI reference of the kind that most are, with letters, digits and a few other
// characters that mean the same wherever they stand. It is cheaper than IsURIReference, which takes more.
func IsPlainReference(s string) bool {
	_, plain := plainURL(s)
	return plain
}
