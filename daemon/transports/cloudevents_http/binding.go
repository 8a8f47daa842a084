package cloudeventshttp

import (
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/eiffelbridge/eiffelbridge/internal/cloudeventsjson"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

// The header names of binary mode, in the canonical form that net/http keeps them in.
const (
	headerID          = "Ce-Id"
	headerSource      = "Ce-Source"
	headerType        = "Ce-Type"
	headerSpecVersion = "Ce-Specversion"
	headerSubject     = "Ce-Subject"
	headerTime        = "Ce-Time"
	headerDataSchema  = "Ce-Dataschema"
	headerPrefix      = "Ce-"
)

// hasAttributes tells whether a request is in binary mode, if its media type does not tell otherwise (CloudEvents HTTP
// protocol binding, section 3).
func hasAttributes(h http.Header) bool {
	if _, ok := h[headerSpecVersion]; ok {
		return true
	}
	for name := range h {
		if strings.HasPrefix(name, headerPrefix) {
			return true
		}
	}
	return false
}

// decodeBinary reads a request in binary mode. Like cloudeventsjson.Decode it gives a message for the dead letters
// together with an error.
func decodeBinary(h http.Header, body []byte) (transport.Message, error) {
	var d headerDecoder
	m := transport.Message{
		ID:      d.get(h, headerID, "id"),
		Source:  d.get(h, headerSource, "source"),
		Subject: d.get(h, headerSubject, "subject"),
		Time:    cloudeventsjson.UTC(d.get(h, headerTime, "time")),
		Schema:  d.get(h, headerDataSchema, "dataschema"),
		Data:    body,
	}
	for _, name := range [...]string{"traceparent", "tracestate", transport.ReplayExtension} {
		// Not d.get: a broken trace is no reason to refuse an event.
		value, err := decodeHeader(h.Get(headerPrefix + name))
		if err == nil && value != "" {
			if m.Extensions == nil {
				m.Extensions = make(map[string]string, 2)
			}
			m.Extensions[name] = value
		}
	}
	ceType := d.get(h, headerType, "type")
	specVersion := d.get(h, headerSpecVersion, "specversion")
	if d.err != nil {
		return m, d.err
	}
	if err := cloudeventsjson.CheckRequired(specVersion, m.ID, m.Source, ceType); err != nil {
		return m, err
	}
	m.SetCloudEventsType(ceType)
	return m, nil
}

// headerDecoder keeps the first error, since all attributes that can be known are wanted even then.
type headerDecoder struct{ err error }

func (d *headerDecoder) get(h http.Header, header, attribute string) string {
	values := h[header]
	if len(values) == 0 {
		return ""
	}
	value, err := decodeHeader(values[0])
	if len(values) > 1 {
		err = fmt.Errorf("is given %d times", len(values))
	}
	if err != nil && d.err == nil {
		d.err = &cloudeventsjson.AttributeError{Attribute: attribute, Problem: err.Error()}
	}
	return value
}

// decodeHeader turns a header value into an attribute (CloudEvents HTTP protocol binding, section 3.1.3.2): a quoted string
// loses its quotes, and percent-encoded bytes are decoded once. A percent sign that begins no such byte stands for itself, as
// senders that do not encode at all mean it.
func decodeHeader(value string) (string, error) {
	if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
		value = unquoteHeader(value[1 : len(value)-1])
	}
	if strings.IndexByte(value, '%') >= 0 {
		out := make([]byte, 0, len(value))
		for i := 0; i < len(value); i++ {
			if value[i] == '%' && i+2 < len(value) {
				high, low := unhex(value[i+1]), unhex(value[i+2])
				if high >= 0 && low >= 0 {
					out = append(out, byte(high<<4|low))
					i += 2
					continue
				}
			}
			out = append(out, value[i])
		}
		value = string(out)
	}
	if !utf8.ValidString(value) {
		return strings.ToValidUTF8(value, "\uFFFD"), errUTF8
	}
	return value, nil
}

var errUTF8 = fmt.Errorf("is not valid UTF-8")

func unquoteHeader(value string) string {
	if strings.IndexByte(value, '\\') < 0 {
		return value
	}
	out := make([]byte, 0, len(value))
	for i := 0; i < len(value); i++ {
		if value[i] == '\\' && i+1 < len(value) {
			i++
		}
		out = append(out, value[i])
	}
	return string(out)
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// encodeHeader turns an attribute into a header value: a space, a double quote, a percent sign and all that is not
// printable ASCII are percent-encoded as UTF-8 (section 3.1.3.2).
func encodeHeader(attribute string) string {
	clean := true
	for i := 0; i < len(attribute); i++ {
		if mustEncode(attribute[i]) {
			clean = false
			break
		}
	}
	if clean {
		return attribute
	}
	const hex = "0123456789ABCDEF"
	attribute = strings.ToValidUTF8(attribute, "\uFFFD")
	out := make([]byte, 0, len(attribute)+16)
	for i := 0; i < len(attribute); i++ {
		if c := attribute[i]; mustEncode(c) {
			out = append(out, '%', hex[c>>4], hex[c&15])
		} else {
			out = append(out, c)
		}
	}
	return string(out)
}

func mustEncode(c byte) bool { return c <= ' ' || c >= 0x7f || c == '"' || c == '%' }

// encodeBinary sets the header of a request in binary mode. h must not be shared.
func encodeBinary(h http.Header, m transport.Message) {
	set := func(name, value string) {
		if value != "" {
			h[name] = []string{encodeHeader(value)}
		}
	}
	h["Content-Type"] = contentTypeJSON
	h[headerSpecVersion] = specVersion
	set(headerID, m.ID)
	set(headerSource, m.Source)
	set(headerType, m.CloudEventsType())
	set(headerSubject, m.Subject)
	set(headerTime, m.Time)
	set(headerDataSchema, m.Schema)
	for name, value := range m.Extensions {
		if cloudeventsjson.IsExtensionName(name) {
			set(http.CanonicalHeaderKey(headerPrefix+name), value)
		}
	}
}

// Shared by all requests; net/http only reads them.
var (
	contentTypeJSON       = []string{cloudeventsjson.DataMediaType}
	contentTypeStructured = []string{cloudeventsjson.MediaType + "; charset=utf-8"}
	specVersion           = []string{cloudeventsjson.SpecVersion}
)
