// Package cloudeventsjson reads and writes CloudEvents in structured mode (CloudEvents JSON event format 1.0.2), single
// and batched, for every transport that can carry them.
//
// It keeps the event in an envelope byte for byte, which is why it reads the envelope itself and not through a document
// that compacts. The decoding rules of [jsondoc] hold: duplicate member names, invalid UTF-8, unpaired surrogates and an
// event nested beyond [jsondoc.MaxDepth] levels are errors. All functions are safe for concurrent use.
package cloudeventsjson

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

// The media types of the JSON event format (CloudEvents JSON event format, sections 3 and 4), and of the events in it.
const (
	MediaType      = "application/cloudevents+json"
	BatchMediaType = "application/cloudevents-batch+json"
	DataMediaType  = "application/json"
)

// SpecVersion is the CloudEvents version that is read and written.
const SpecVersion = "1.0"

// AttributeError says that a JSON text is not a CloudEvent, and which attribute is at fault. Attribute is empty if it is
// none in particular.
type AttributeError struct {
	Attribute string
	Problem   string
}

// Error names the attribute and what is wrong with it.
func (e *AttributeError) Error() string {
	if e.Attribute == "" {
		return "not a CloudEvent: " + e.Problem
	}
	return "not a CloudEvent: " + e.Attribute + " " + e.Problem
}

// BatchError says which elements of a batch are not CloudEvents. The messages beside it are complete and usable.
type BatchError struct {
	Errors map[int]error // by index
}

// Error names the first element at fault and counts the others.
func (e *BatchError) Error() string {
	first := -1
	for i := range e.Errors {
		if first < 0 || i < first {
			first = i
		}
	}
	if len(e.Errors) == 1 {
		return fmt.Sprintf("element %d of the batch: %v", first, e.Errors[first])
	}
	return fmt.Sprintf("element %d of the batch and %d more: %v", first, len(e.Errors)-1, e.Errors[first])
}

// IsPassedOn tells whether an extension attribute of a CloudEvent is passed on in [transport.Message.Extensions]: those
// of distributed tracing are, and the mark of a replay.
func IsPassedOn(extension string) bool {
	return extension == "traceparent" || extension == "tracestate" || extension == transport.ReplayExtension
}

// IsJSON tells whether a media type (with or without parameters) promises JSON. The empty one does: it is the default
// of the JSON event format (section 3.1).
func IsJSON(mediaType string) bool {
	mediaType, _, _ = strings.Cut(mediaType, ";")
	mediaType = strings.ToLower(strings.TrimSpace(mediaType))
	return mediaType == "" || mediaType == DataMediaType || mediaType == "text/json" || strings.HasSuffix(mediaType, "+json")
}

// UTC brings a time attribute to UTC with its digits kept, as [transport.Message.Time] wants it; the empty string if it is not a
// time of RFC 3339.
func UTC(attribute string) string {
	t, err := time.Parse(time.RFC3339Nano, attribute)
	if err != nil {
		return ""
	}
	if strings.HasSuffix(attribute, "Z") {
		return attribute
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// CheckRequired says which of the attributes that every CloudEvent must have is missing or wrong (CloudEvents 1.0.2,
// section "Required Attributes"), for bindings that carry attributes outside of JSON; nil if none is. The error is of type
// *[AttributeError].
func CheckRequired(specVersion, id, source, ceType string) error {
	switch {
	case specVersion == "":
		return &AttributeError{"specversion", "is missing"}
	case specVersion != SpecVersion:
		return &AttributeError{"specversion", fmt.Sprintf("is %.20q, only %q is supported", specVersion, SpecVersion)}
	case id == "":
		return &AttributeError{"id", "is missing"}
	case source == "":
		return &AttributeError{"source", "is missing"}
	case ceType == "":
		return &AttributeError{"type", "is missing"}
	}
	return nil
}

// Decode reads one CloudEvent. The message's Data is the event in it: the exact bytes of the data member, or the decoded
// data_base64. Data shares memory with body, which the caller must not change any more.
//
// If body is not a CloudEvent, Decode returns an error (*[jsondoc.SyntaxError] or *[AttributeError]) together with a message
// that is fit for the dead letters: its Data is body, its Type and Protocol are empty, and the other fields are filled in
// as far as they could be read.
func Decode(body []byte) (transport.Message, error) {
	e := envelope{body: body}
	err := e.read()
	if err == nil {
		err = e.finish()
	}
	if err != nil {
		e.m.Type, e.m.Protocol, e.m.Data = "", "", body
	}
	return e.m, err
}

// DecodeBatch reads a JSON array of CloudEvents; an empty one is a batch of none. The messages are as [Decode] gives them, and share
// memory with body. Elements that are not CloudEvents do not spoil the others: the error is a *[BatchError] then. Any other error
// means that body is no JSON array, and there are no messages.
func DecodeBatch(body []byte) ([]transport.Message, error) {
	// Splitting is lenient, so that a duplicate name or a bad byte is the fault of one element only; Decode is strict.
	dec := jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if kind := dec.PeekKind(); kind != '[' && kind != 0 {
		return nil, &AttributeError{"", "a batch must be a JSON array"}
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, syntaxError(dec, err)
	}
	var messages []transport.Message
	var bad *BatchError
	for dec.PeekKind() != ']' {
		raw, err := dec.ReadValue()
		if err != nil {
			return nil, syntaxError(dec, err)
		}
		end := int(dec.InputOffset())
		m, err := Decode(body[end-len(raw) : end : end])
		if err != nil {
			if bad == nil {
				bad = &BatchError{Errors: map[int]error{}}
			}
			bad.Errors[len(messages)] = err
		}
		messages = append(messages, m)
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, syntaxError(dec, err)
	}
	if err := readEnd(dec); err != nil {
		return nil, err
	}
	if bad != nil {
		return messages, bad
	}
	return messages, nil
}

// envelope is a CloudEvent while it is read.
type envelope struct {
	body []byte
	m    transport.Message

	specVersion string
	contentType string
	data        []byte // nil if there is no data member, or if it is null
	base64      string
	wrong       error // the first attribute of a wrong type; reading goes on, to know as much as possible
}

// member is what to do with a member of the envelope.
type member byte

const (
	ignored member = iota
	id
	source
	ceType
	subject
	timestamp
	dataSchema
	dataContentType
	specVersion
	dataBase64
	data
	traceParent
	traceState
	replay
)

var attributeNames = [...]string{
	id: "id", source: "source", ceType: "type", subject: "subject", timestamp: "time", dataSchema: "dataschema",
	dataContentType: "datacontenttype", specVersion: "specversion", dataBase64: "data_base64",
}

func memberOf(name []byte) member {
	if bytes.IndexByte(name, '\\') >= 0 {
		name = jsondoc.AppendString(nil, unquote(name))
	}
	switch string(name) {
	case `"id"`:
		return id
	case `"source"`:
		return source
	case `"type"`:
		return ceType
	case `"subject"`:
		return subject
	case `"time"`:
		return timestamp
	case `"dataschema"`:
		return dataSchema
	case `"datacontenttype"`:
		return dataContentType
	case `"specversion"`:
		return specVersion
	case `"data_base64"`:
		return dataBase64
	case `"data"`:
		return data
	case `"traceparent"`:
		return traceParent
	case `"tracestate"`:
		return traceState
	case `"` + transport.ReplayExtension + `"`:
		return replay
	}
	return ignored
}

func (e *envelope) read() error {
	dec := jsontext.NewDecoder(bytes.NewBuffer(e.body))
	if kind := dec.PeekKind(); kind != '{' && kind != 0 {
		return &AttributeError{"", "it must be a JSON object"}
	}
	if _, err := dec.ReadToken(); err != nil {
		return syntaxError(dec, err)
	}
	for dec.PeekKind() != '}' {
		name, err := dec.ReadValue()
		if err != nil {
			return syntaxError(dec, err)
		}
		which := memberOf(name)
		raw, err := dec.ReadValue()
		if err != nil {
			return syntaxError(dec, err)
		}
		switch kind := raw.Kind(); {
		case which == ignored || kind == 'n': // a null attribute is an unset one (JSON event format, section 2.2)
		case which == data:
			end := int(dec.InputOffset())
			e.data = e.body[end-len(raw) : end : end]
		case kind == '"':
			e.set(which, unquote(raw))
		case which < data && e.wrong == nil:
			e.wrong = &AttributeError{attributeNames[which], "must be a string"}
		}
	}
	if _, err := dec.ReadToken(); err != nil {
		return syntaxError(dec, err)
	}
	return readEnd(dec)
}

func (e *envelope) set(which member, value string) {
	switch which {
	case id:
		e.m.ID = value
	case source:
		e.m.Source = value
	case ceType:
		e.m.Type = value
	case subject:
		e.m.Subject = value
	case timestamp:
		e.m.Time = UTC(value)
	case dataSchema:
		e.m.Schema = value
	case dataContentType:
		e.contentType = value
	case specVersion:
		e.specVersion = value
	case dataBase64:
		e.base64 = value
	case traceParent:
		e.extend("traceparent", value)
	case traceState:
		e.extend("tracestate", value)
	case replay:
		e.extend(transport.ReplayExtension, value)
	}
}

func (e *envelope) extend(name, value string) {
	if value == "" {
		return // attributes are not empty (CloudEvents 1.0.2, "Extension Context Attributes"); Append writes none that are
	}
	if e.m.Extensions == nil {
		e.m.Extensions = make(map[string]string, 2)
	}
	e.m.Extensions[name] = value
}

// finish checks what was read and finds the event in it.
func (e *envelope) finish() error {
	// A JSON text without specversion is most likely a bare event: that says more than the type of one member.
	if e.wrong != nil && e.specVersion != "" {
		return e.wrong
	}
	if err := CheckRequired(e.specVersion, e.m.ID, e.m.Source, e.m.Type); err != nil {
		return err
	}
	switch {
	case e.data != nil && e.base64 != "":
		return &AttributeError{"data", "and data_base64 exclude each other"}
	case e.base64 != "":
		decoded, err := base64.StdEncoding.DecodeString(e.base64)
		if err != nil {
			return &AttributeError{"data_base64", "is not base64"}
		}
		e.m.Data = decoded
	case e.data == nil:
		return &AttributeError{"data", "is missing: there is no event in it"}
	case e.data[0] == '"' && !IsJSON(e.contentType):
		// Text of another media type stands in the envelope as a JSON string (JSON event format, section 3.1).
		e.m.Data = []byte(unquote(e.data))
	default:
		if deeperThan(e.data, jsondoc.Limit) {
			return &AttributeError{"data", fmt.Sprintf("is nested deeper than %d levels", jsondoc.MaxDepth)}
		}
		e.m.Data = e.data
	}
	e.m.SetCloudEventsType(e.m.Type)
	return nil
}

// deeperThan expects valid JSON.
func deeperThan(text []byte, limit int) bool {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '{', '[':
			if depth++; depth > limit {
				return true
			}
		case '}', ']':
			depth--
		case '"':
			for i++; text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		}
	}
	return false
}

func unquote(raw []byte) string {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1])
	}
	out, err := jsontext.AppendUnquote(nil, raw)
	if err != nil {
		return "" // cannot be: the decoder has read it
	}
	return string(out)
}

func readEnd(dec *jsontext.Decoder) error {
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		if err == nil {
			err = errors.New("more text after the value")
		}
		return syntaxError(dec, err)
	}
	return nil
}

func syntaxError(dec *jsontext.Decoder, err error) error {
	out := &jsondoc.SyntaxError{Offset: dec.InputOffset(), Pointer: string(dec.StackPointer())}
	var se *jsontext.SyntacticError
	if errors.As(err, &se) {
		out.Offset, out.Pointer, err = se.ByteOffset, string(se.JSONPointer), se.Err
	}
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		out.Rule = "the text ends within a value"
	case errors.Is(err, io.EOF):
		out.Rule = "no value: the text is empty"
	default:
		out.Rule = err.Error()
	}
	return out
}

// Append appends a message as one CloudEvent, without white space of its own. Empty attributes are left out; extensions
// follow the attributes in the order of their names, and those whose names are not lower-case letters and digits or collide with an
// attribute are left out. Data that is not valid JSON goes into data_base64, so that the envelope is always valid JSON.
func Append(dst []byte, m transport.Message) []byte {
	dst = append(dst, `{"specversion":"`+SpecVersion+`","id":`...)
	dst = jsondoc.AppendString(dst, m.ID)
	dst = append(dst, `,"source":`...)
	dst = jsondoc.AppendString(dst, m.Source)
	dst = append(dst, `,"type":`...)
	dst = jsondoc.AppendString(dst, m.CloudEventsType())
	dst = appendAttribute(dst, "subject", m.Subject)
	dst = appendAttribute(dst, "time", m.Time)
	dst = appendAttribute(dst, "dataschema", m.Schema)
	dst = appendAttribute(dst, "datacontenttype", DataMediaType)
	switch len(m.Extensions) {
	case 0:
	case 1:
		for name, value := range m.Extensions {
			dst = appendExtension(dst, name, value)
		}
	default:
		names := make([]string, 0, len(m.Extensions))
		for name := range m.Extensions {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			dst = appendExtension(dst, name, m.Extensions[name])
		}
	}
	switch {
	case len(m.Data) == 0:
	case jsontext.Value(m.Data).IsValid():
		dst = append(dst, `,"data":`...)
		dst = append(dst, m.Data...)
	default:
		dst = append(dst, `,"data_base64":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, m.Data)
		dst = append(dst, '"')
	}
	return append(dst, '}')
}

func appendAttribute(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	dst = append(append(append(dst, `,"`...), name...), `":`...)
	return jsondoc.AppendString(dst, value)
}

func appendExtension(dst []byte, name, value string) []byte {
	if !IsExtensionName(name) {
		return dst
	}
	return appendAttribute(dst, name, value)
}

// IsExtensionName tells whether an extension attribute may have that name: lower-case letters and digits (CloudEvents 1.0.2,
// "Naming Conventions"), and none that the specification gives another meaning.
func IsExtensionName(name string) bool {
	switch name {
	case "", "id", "source", "type", "subject", "time", "dataschema", "datacontenttype", "specversion", "data":
		return false
	}
	for i := 0; i < len(name); i++ {
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}
