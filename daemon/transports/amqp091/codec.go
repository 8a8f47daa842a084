package amqp091

import (
	"mime"
	"strconv"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/eiffelbridge/eiffelbridge/internal/cloudeventsjson"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

// headerPrefix stands before the CloudEvents attributes that the sink writes. CloudEvents has no binding of its own for
// AMQP 0-9-1; "ce-" is what the RabbitMQ binding of Knative's eventing-rabbitmq says (section 3.1.3.1) and what others
// followed.
const headerPrefix = "ce-"

// inputPrefixes are the ones that a source reads, the first of them that a message has: what a bridge from AMQP 1.0 leaves
// behind is "cloudEvents_" or, before CloudEvents 1.0.2, "cloudEvents:" (AMQP protocol binding, section 3.1.3.1).
var inputPrefixes = [...]string{headerPrefix, "cloudEvents_", "cloudEvents:"}

// encode makes what is published of a message. The body may share memory with the message.
func encode(m transport.Message, format, appID string) amqp.Publishing {
	p := amqp.Publishing{
		DeliveryMode: amqp.Persistent,
		ContentType:  cloudeventsjson.DataMediaType,
		MessageId:    property(m.ID),
		Type:         property(m.Type),
		AppId:        appID,
		Body:         m.Data,
	}
	if t, err := time.Parse(time.RFC3339Nano, m.Time); err == nil && t.Unix() >= 0 {
		p.Timestamp = t // in whole seconds, as AMQP has it
	}
	if format == FormatEiffel && isCDEvent(m) {
		format = FormatStructured
	}
	switch format {
	case FormatStructured:
		p.ContentType = cloudeventsjson.MediaType
		p.Body = cloudeventsjson.Append(make([]byte, 0, len(m.Data)+512), m)
	case FormatBinary:
		p.Headers = headers(m)
	default:
		p.Headers = traceHeaders(m.Extensions)
	}
	return p
}

// traceNames are the headers that carry the trace context of a message that is no CloudEvent: those of W3C Trace Context, as the
// instrumentations of OpenTelemetry for AMQP 0-9-1 write and read them.
var traceNames = [...]string{"traceparent", "tracestate"}

func traceHeaders(extensions map[string]string) amqp.Table {
	var h amqp.Table
	for _, name := range traceNames {
		if value := extensions[name]; value != "" {
			if h == nil {
				h = make(amqp.Table, len(traceNames))
			}
			h[name] = value
		}
	}
	return h
}

func traceExtensions(h amqp.Table) map[string]string {
	var extensions map[string]string
	for _, name := range traceNames {
		if value := attributeText(h[name]); value != "" {
			if extensions == nil {
				extensions = make(map[string]string, len(traceNames))
			}
			extensions[name] = value
		}
	}
	return extensions
}

// property is a value that fits into a property, or none: half an id would be another id.
func property(s string) string {
	if shortString(s) != nil {
		return ""
	}
	return s
}

func headers(m transport.Message) amqp.Table {
	h := amqp.Table{headerPrefix + "specversion": cloudeventsjson.SpecVersion}
	set := func(name, value string) {
		if value != "" {
			h[headerPrefix+name] = value
		}
	}
	set("id", m.ID)
	set("source", m.Source)
	set("type", m.CloudEventsType())
	set("subject", m.Subject)
	set("time", m.Time)
	set("dataschema", m.Schema)
	for name, value := range m.Extensions {
		if cloudeventsjson.IsExtensionName(name) && len(name) <= maxShortString-len(headerPrefix) {
			set(name, value)
		}
	}
	return h
}

// decode makes a message of a delivery, whose body it shares. What is no CloudEvent though it says so is handed on as it
// is, without a protocol, for the relay's dead letters: it is not the source's to judge.
func decode(d *amqp.Delivery) transport.Message {
	media := mediaType(d.ContentType)
	if media == cloudeventsjson.MediaType {
		m, _ := cloudeventsjson.Decode(d.Body) // of a malformed one, Decode gives what the dead letters need
		return m
	}
	if prefix := attributePrefix(d.Headers); prefix != "" && !strings.HasPrefix(media, "application/cloudevents") {
		return decodeBinary(d, prefix)
	}
	m := transport.Message{Extensions: traceExtensions(d.Headers), Data: d.Body}
	if strings.HasPrefix(d.Type, "Eiffel") && cloudeventsjson.IsJSON(d.ContentType) {
		m.Protocol = transport.Eiffel
	}
	return m
}

func mediaType(contentType string) string {
	if media, _, err := mime.ParseMediaType(contentType); err == nil {
		return media
	}
	return contentType
}

// attributePrefix is the prefix of the CloudEvents attributes, empty if the message is no CloudEvent in binary mode.
func attributePrefix(h amqp.Table) string {
	for _, prefix := range inputPrefixes {
		if _, ok := h[prefix+"specversion"]; ok {
			return prefix
		}
	}
	return ""
}

func decodeBinary(d *amqp.Delivery, prefix string) transport.Message {
	attribute := func(name string) string { return attributeText(d.Headers[prefix+name]) }
	m := transport.Message{
		ID:      attribute("id"),
		Source:  attribute("source"),
		Subject: attribute("subject"),
		Time:    attribute("time"),
		Schema:  attribute("dataschema"),
		Data:    d.Body,
	}
	ceType := attribute("type")
	if cloudeventsjson.CheckRequired(attribute("specversion"), m.ID, m.Source, ceType) != nil ||
		!cloudeventsjson.IsJSON(d.ContentType) {
		return m // malformed: without a type, as the structured mode has it
	}
	m.SetCloudEventsType(ceType)
	for name, value := range d.Headers {
		if name, ok := strings.CutPrefix(name, prefix); ok && cloudeventsjson.IsPassedOn(name) {
			if m.Extensions == nil {
				m.Extensions = make(map[string]string, 2)
			}
			m.Extensions[name] = attributeText(value)
		}
	}
	return m
}

// attributeText is the canonical text of an attribute (CloudEvents 1.0.2, "Type System"), whose AMQP type is the sender's
// choice.
func attributeText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []byte:
		return string(v)
	case bool:
		return strconv.FormatBool(v)
	case time.Time:
		return v.UTC().Format(time.RFC3339)
	case int8:
		return strconv.FormatInt(int64(v), 10)
	case byte:
		return strconv.FormatInt(int64(v), 10)
	case int16:
		return strconv.FormatInt(int64(v), 10)
	case uint16:
		return strconv.FormatInt(int64(v), 10)
	case int32:
		return strconv.FormatInt(int64(v), 10)
	case uint32:
		return strconv.FormatInt(int64(v), 10)
	case int64:
		return strconv.FormatInt(v, 10)
	case int:
		return strconv.Itoa(v)
	}
	return ""
}
