package translate

import (
	"errors"
	"fmt"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
)

// Event is one event: its bytes, and the head that was read from them. An Event is immutable and may be shared.
type Event struct {
	Protocol Protocol
	ID       string // context.id or meta.id
	Source   string // context.source, or for Eiffel the source that follows from meta.source (mapping.md, "Sources")
	Type     string // context.type ("dev.cdevents.service.deployed.0.3.0") or meta.type ("EiffelArtifactDeployedEvent")
	Version  string // the version of the type: the last part of context.type, or meta.version
	Subject  string // subject.id of a CDEvent; empty for Eiffel
	Time     int64  // milliseconds since 1970: meta.time, or context.timestamp rounded down
	Schema   string // context.schemaUri or meta.schemaUri; often empty
	Tag      string // the first of meta.tags; empty if none
	DomainID string // meta.source.domainId; empty if none

	// Synthesized marks an anchor that was made up for a required link. Only events that a translation gives have it.
	Synthesized bool

	// JSON is the event, compacted and otherwise untouched. It must not be changed.
	JSON []byte

	doc    *jsondoc.Document // nil for an event that was not decoded
	sealed bool              // a translation wrote JSON
}

// document is the event's, nil if it is no event at all. What a translation wrote is parsed when it is asked for.
func (e *Event) document() *jsondoc.Document {
	if e.doc == nil && e.sealed {
		e.doc, _ = jsondoc.Parse(e.JSON)
	}
	return e.doc
}

func (e *Event) root() jsondoc.Value { return e.document().Root() }

// Decode reads an event of either protocol far enough to know its head; [Translator.Translate] validates the rest. The
// event does not retain text. Errors are of type *[EventError].
func Decode(text []byte) (Event, error) {
	doc, err := jsondoc.Parse(text)
	if err != nil {
		var syntax *jsondoc.SyntaxError
		if errors.As(err, &syntax) {
			return Event{}, &EventError{Code: CodeNotJSON, Pointer: syntax.Pointer,
				Message: fmt.Sprintf("not valid JSON at byte %d: %s", syntax.Offset, syntax.Rule)}
		}
		return Event{}, &EventError{Code: CodeNotJSON, Message: err.Error()}
	}
	return decode(doc)
}

func decode(doc *jsondoc.Document) (Event, error) {
	e := Event{JSON: doc.Bytes(), doc: doc}
	root := doc.Root()
	if doc.Depth() > jsondoc.MaxDepth && doc.DepthWithout(carriedValue) > jsondoc.MaxDepth {
		return e, &EventError{Code: CodeNotJSON, Message: fmt.Sprintf("nested deeper than %d levels", jsondoc.MaxDepth)}
	}
	if root.Kind() != jsondoc.Object {
		return e, &EventError{Code: CodeNotEvent, Message: fmt.Sprintf("an event is a JSON object, not %s", article(root.Kind().String()))}
	}
	var context, meta, subject jsondoc.Value
	for m := root.FirstChild(); m.Exists(); m = m.NextSibling() {
		switch m.Key() {
		case "context":
			context = m
		case "meta":
			meta = m
		case "subject":
			subject = m
		}
	}
	var failure *EventError
	switch {
	case context.Exists() == meta.Exists():
		what := "neither"
		if meta.Exists() {
			what = "both"
		}
		failure = &EventError{Code: CodeNotEvent,
			Message: fmt.Sprintf("a CDEvent has a member \"context\" and an Eiffel event a member \"meta\"; this has %s", what)}
	case context.Exists():
		failure = e.readContext(context, subject)
	default:
		failure = e.readMeta(meta)
	}
	if failure != nil {
		return e, failure
	}
	return e, nil
}

// readContext reads the head of a CDEvent in one walk over its context.
func (e *Event) readContext(context, subject jsondoc.Value) *EventError {
	e.Protocol = CDEvents
	var timestamp jsondoc.Value
	for m := context.FirstChild(); m.Exists(); m = m.NextSibling() {
		switch m.Key() {
		case "id":
			e.ID = m.Str()
		case "source":
			e.Source = m.Str()
		case "type":
			e.Type = m.Str()
		case "schemaUri":
			e.Schema = m.Str()
		case "timestamp":
			timestamp = m
		}
	}
	e.Subject = subject.Get("id").Str()
	if e.Type == "" {
		return e.fail(CodeNotEvent, "/context/type", "a CDEvent needs a type, such as dev.cdevents.service.deployed.0.3.0")
	}
	e.Version = versionOf(e.Type)
	if timestamp.Kind() == jsondoc.String {
		ms, err := millisFromTimestamp(timestamp.Str())
		if err != nil {
			code := CodeTime
			if errors.Is(err, errTimestamp) {
				code = CodeInvalid
			}
			return e.fail(code, "/context/timestamp", err.Error())
		}
		e.Time = ms
	}
	return nil
}

// readMeta reads the head of an Eiffel event in one walk over its meta.
func (e *Event) readMeta(meta jsondoc.Value) *EventError {
	e.Protocol = Eiffel
	var source, time jsondoc.Value
	for m := meta.FirstChild(); m.Exists(); m = m.NextSibling() {
		switch m.Key() {
		case "id":
			e.ID = m.Str()
		case "type":
			e.Type = m.Str()
		case "version":
			e.Version = m.Str()
		case "schemaUri":
			e.Schema = m.Str()
		case "source":
			source = m
		case "tags":
			e.Tag = m.FirstChild().Str()
		case "time":
			time = m
		}
	}
	e.Source, e.DomainID = sourceFromMeta(source)
	if e.Type == "" {
		return e.fail(CodeNotEvent, "/meta/type", "an Eiffel event needs a type, such as EiffelArtifactDeployedEvent")
	}
	if time.Kind() == jsondoc.Number {
		ms, ok := time.Int()
		if !ok && time.IsIntegral() {
			return e.fail(CodeTime, "/meta/time", "milliseconds beyond the year 9999 cannot be written as a timestamp")
		}
		if ok {
			if err := checkMillis(ms); err != nil {
				return e.fail(CodeTime, "/meta/time", err.Error())
			}
		}
		e.Time = ms
	}
	return nil
}

func (e *Event) fail(code, pointer, message string) *EventError {
	return &EventError{Code: code, ID: e.ID, Type: e.Type, Pointer: pointer, Message: message}
}

func article(noun string) string {
	if noun == "null" {
		return noun
	}
	if noun != "" && strings.IndexByte("aeiouE", noun[0]) >= 0 {
		return "an " + noun
	}
	return "a " + noun
}

// versionOf gives the last three segments of a CDEvents type, as far as they begin with a digit.
func versionOf(eventType string) string {
	at := len(eventType)
	for range 3 {
		dot := strings.LastIndexByte(eventType[:at], '.')
		if dot < 0 {
			return ""
		}
		at = dot
	}
	return eventType[at+1:]
}
