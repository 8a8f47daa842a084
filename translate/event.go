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
	Source   string // context.source, or for Eiffel the source that section 2 derives from meta.source
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
	context, meta := root.Get("context"), root.Get("meta")
	switch {
	case context.Exists() == meta.Exists():
		what := "neither"
		if meta.Exists() {
			what = "both"
		}
		return e, &EventError{Code: CodeNotEvent,
			Message: fmt.Sprintf("a CDEvent has a member \"context\" and an Eiffel event a member \"meta\"; this has %s", what)}
	case context.Exists():
		e.Protocol = CDEvents
		e.ID = context.Get("id").Str()
		e.Source = context.Get("source").Str()
		e.Type = context.Get("type").Str()
		e.Schema = context.Get("schemaUri").Str()
		e.Subject = root.At("subject", "id").Str()
		if e.Type == "" {
			return e, e.fail(CodeNotEvent, "/context/type", "a CDEvent needs a type, such as dev.cdevents.service.deployed.0.3.0")
		}
		e.Version = versionOf(e.Type)
		if timestamp := context.Get("timestamp"); timestamp.Kind() == jsondoc.String {
			ms, err := millisFromTimestamp(timestamp.Str())
			if err != nil {
				code := CodeTime
				if errors.Is(err, errTimestamp) {
					code = CodeInvalid
				}
				return e, e.fail(code, "/context/timestamp", err.Error())
			}
			e.Time = ms
		}
	default:
		e.Protocol = Eiffel
		e.ID = meta.Get("id").Str()
		e.Type = meta.Get("type").Str()
		e.Version = meta.Get("version").Str()
		e.Source = sourceFromMeta(meta)
		e.Schema = meta.Get("schemaUri").Str()
		e.DomainID = meta.At("source", "domainId").Str()
		for tag := range meta.Get("tags").Children() {
			e.Tag = tag.Str()
			break
		}
		if e.Type == "" {
			return e, e.fail(CodeNotEvent, "/meta/type", "an Eiffel event needs a type, such as EiffelArtifactDeployedEvent")
		}
		if time := meta.Get("time"); time.Kind() == jsondoc.Number {
			ms, ok := time.Int()
			if !ok && time.IsIntegral() {
				return e, e.fail(CodeTime, "/meta/time", "milliseconds beyond the year 9999 cannot be written as a timestamp")
			}
			if ok {
				if _, err := timestampFromMillis(ms); err != nil {
					return e, e.fail(CodeTime, "/meta/time", err.Error())
				}
			}
			e.Time = ms
		}
	}
	return e, nil
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
