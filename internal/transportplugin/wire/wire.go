// Package wire turns what transports know into the messages of the plugin protocol and back. Both ends of the protocol use it, so that
// they cannot drift apart.
package wire

import (
	"errors"
	"time"

	"github.com/eiffelbridge/eiffelbridge/plugins/pluginv1"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

// MaxEvent is the size of the largest event that crosses the protocol, in bytes.
const MaxEvent = 16 << 20

// MaxMessage is the size of the largest message of the protocol, in bytes, which both sides must allow gRPC.
const MaxMessage = 64 << 20

// FromMessage shares the data and the extensions with m.
func FromMessage(m *transport.Message) *pluginv1.Message {
	out := &pluginv1.Message{
		Id: m.ID, Source: m.Source, Type: m.Type, Subject: m.Subject, Time: m.Time, Schema: m.Schema,
		Tag: m.Tag, DomainId: m.DomainID, Extensions: m.Extensions, Data: m.Data,
	}
	switch m.Protocol {
	case transport.CDEvents:
		out.Protocol = pluginv1.Protocol_PROTOCOL_CDEVENTS
	case transport.Eiffel:
		out.Protocol = pluginv1.Protocol_PROTOCOL_EIFFEL
	}
	return out
}

// ToMessage shares the data and the extensions with m. A protocol that is not known is none.
func ToMessage(m *pluginv1.Message) transport.Message {
	out := transport.Message{
		ID: m.GetId(), Source: m.GetSource(), Type: m.GetType(), Subject: m.GetSubject(), Time: m.GetTime(), Schema: m.GetSchema(),
		Tag: m.GetTag(), DomainID: m.GetDomainId(), Extensions: m.GetExtensions(), Data: m.GetData(),
	}
	switch m.GetProtocol() {
	case pluginv1.Protocol_PROTOCOL_CDEVENTS:
		out.Protocol = transport.CDEvents
	case pluginv1.Protocol_PROTOCOL_EIFFEL:
		out.Protocol = transport.Eiffel
	}
	return out
}

// FromSettlement makes the answer to the delivery with a tag.
func FromSettlement(tag uint64, s transport.Settlement) *pluginv1.Settlement {
	out := &pluginv1.Settlement{Tag: tag, RetryAfterMillis: millis(s.RetryAfter)}
	switch s.Outcome {
	case transport.Accepted:
		out.Outcome = pluginv1.Outcome_OUTCOME_ACCEPTED
	case transport.Rejected:
		out.Outcome = pluginv1.Outcome_OUTCOME_REJECTED
	default:
		out.Outcome = pluginv1.Outcome_OUTCOME_RETRIED
	}
	if s.Err != nil {
		out.Reason = s.Err.Error()
	}
	return out
}

// ToSettlement takes an outcome that is not known for one that loses nothing.
func ToSettlement(s *pluginv1.Settlement) transport.Settlement {
	out := transport.Settlement{Outcome: transport.Retried, RetryAfter: duration(s.GetRetryAfterMillis())}
	switch s.GetOutcome() {
	case pluginv1.Outcome_OUTCOME_ACCEPTED:
		out.Outcome = transport.Accepted
	case pluginv1.Outcome_OUTCOME_REJECTED:
		out.Outcome = transport.Rejected
	}
	if s.GetReason() != "" {
		out.Err = errors.New(s.GetReason())
	}
	return out
}

// FromError makes the outcome of the message with a tag.
func FromError(tag uint64, err error) *pluginv1.PublishOutcome {
	out := &pluginv1.PublishOutcome{Tag: tag}
	if err != nil {
		out.Reason, out.Permanent, out.RetryAfterMillis = Reason(err), transport.IsPermanent(err), millis(transport.RetryAfter(err))
	}
	return out
}

// ToError is nil for a message that is durable. What it returns otherwise has the types of package transport.
func ToError(o *pluginv1.PublishOutcome) error {
	if o.GetReason() == "" {
		return nil
	}
	err := errors.New(o.GetReason())
	if o.GetRetryAfterMillis() > 0 {
		err = &transport.RetryAfterError{Err: err, After: duration(o.GetRetryAfterMillis())}
	}
	if o.GetPermanent() {
		err = &transport.PermanentError{Err: err}
	}
	return err
}

// Reason is the text of an error, and empty only for nil.
func Reason(err error) string {
	if err == nil {
		return ""
	}
	if text := err.Error(); text != "" {
		return text
	}
	return "failed, without a reason"
}

// millis rounds up: a pause that was asked for is no shorter for having crossed the protocol.
func millis(d time.Duration) int64 {
	if d <= 0 {
		return 0
	}
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}

// duration guards against what would overflow.
func duration(millis int64) time.Duration {
	const longest = 24 * time.Hour
	return time.Duration(max(0, min(millis, int64(longest/time.Millisecond)))) * time.Millisecond
}
