// Package transport holds the driver interfaces through which the relay reaches the outside: a [Source] makes
// deliveries, a [Sink] takes messages. The built-in drivers implement them, and so do transport plugins.
//
// A transport carries messages and makes deliveries; it does not look into the events. What it must know of an event
// to address it (CloudEvents attributes, a Sepia routing key) stands beside the bytes in the [Message].
package transport

import (
	"context"
	"errors"
	"time"

	"github.com/eiffelbridge/eiffelbridge/internal/cloudevents"
)

// Protocol names the vocabulary that an event is written in.
type Protocol string

// The two vocabularies. A source that cannot tell leaves the protocol empty; the relay then looks at the event.
const (
	CDEvents Protocol = "cdevents"
	Eiffel   Protocol = "eiffel"
)

// Message is one event on its way. Its byte slices and maps must not be changed by whoever receives it, and may be
// retained.
type Message struct {
	Protocol Protocol
	ID       string // CloudEvents id: context.id or meta.id
	Source   string // CloudEvents source: context.source, or that of meta.source (mapping.md, "Sources")
	Type     string // the event's own type: context.type ("dev.cdevents...") or meta.type ("Eiffel...Event")
	Subject  string // CloudEvents subject: subject.id of a CDEvent; empty for Eiffel
	Time     string // RFC 3339, UTC
	Schema   string // CloudEvents dataschema: context.schemaUri or meta.schemaUri; often empty
	Tag      string // Eiffel: the first of meta.tags, for the Sepia routing key; empty if none
	DomainID string // Eiffel: meta.source.domainId, for the Sepia routing key; empty if none

	// Extensions are the CloudEvents extension attributes that matter to a relay: traceparent and tracestate, which are passed
	// on, and ReplayExtension.
	Extensions map[string]string

	Data []byte // the event as JSON
}

// CloudEventsType is the CloudEvents type of the message: the event's own, behind a prefix for Eiffel.
func (m *Message) CloudEventsType() string { return cloudevents.Type(m.Protocol, m.Type) }

// SetCloudEventsType sets Protocol and Type by a CloudEvents type. The protocol is empty, and the type as it is, if that belongs to
// neither vocabulary.
func (m *Message) SetCloudEventsType(ceType string) {
	m.Protocol, m.Type = cloudevents.SplitType[Protocol](ceType)
}

// ReplayExtension is the extension attribute of an event that is sent again from the dead letters: the id of its letter. If
// the event is refused once more, it is written down once more, since whoever replays ends the letter that he has.
const ReplayExtension = "eiffelbridgereplay"

// Outcome is what became of a delivery.
type Outcome byte

const (
	// Accepted says that everything that follows from the delivery is durable; the source may forget it.
	Accepted Outcome = iota + 1
	// Retried says that nothing follows from it yet; the source must make the delivery again, not before RetryAfter.
	Retried
	// Rejected says that it can never be translated and lies in the dead letters; the source may forget it, and tells its
	// sender so where it can (HTTP 400).
	Rejected
)

// Settlement is the relay's answer to a delivery.
type Settlement struct {
	Outcome    Outcome
	Err        error         // why, for Retried and Rejected
	RetryAfter time.Duration // for Retried; 0 leaves the delay to the source
}

// Delivery is one message that a source hands over, with the duty to settle it.
type Delivery struct {
	Message     Message
	Redelivered bool // the source knows that it made this delivery before

	// Defect says why the message cannot be what it should be, where the source knows: it is too large, or no
	// CloudEvent. The relay does not read such a message but puts it into the dead letters with this reason, and
	// rejects the delivery. Nil for a sound message.
	Defect *Defect

	// Settle answers the delivery. It must be called exactly once, from any goroutine; it does not block for long
	// and may be called before or after the handler has returned. A settlement that comes after the source's
	// connection was lost has no effect: the source makes the delivery again.
	Settle func(Settlement)
}

// Defect is the reason why a message is not read.
type Defect struct {
	Code    string // in the words of the dead letters: CodeTooLarge, or one of the source's own
	Message string
}

// CodeTooLarge is the code of a message that is larger than its source takes.
const CodeTooLarge = "too_large"

// Handler takes deliveries. It blocks while the relay has no room, until ctx ends: that is the back-pressure. An error
// means that the delivery was not taken and Settle will not be called; it is of type *[BusyError] when there was no room.
// A handler may be called from several goroutines at once; calls from one goroutine are handled in their order.
type Handler func(ctx context.Context, d Delivery) error

// BusyError says that there was no room for a delivery.
type BusyError struct{ RetryAfter time.Duration }

// Error tells that the relay is busy.
func (e *BusyError) Error() string { return "too many deliveries in flight" }

// Source makes deliveries. It reconnects by itself for as long as it runs; it keeps no queue of its own beyond what is
// in flight.
type Source interface {
	// Receive connects and calls handle for each delivery, in the order in which the outside made them, until ctx
	// ends (then it stops taking new ones and returns nil once every delivery that was taken is settled or its
	// connection is gone) or until the source can never work (an error). A source that has an end, such as a file,
	// returns nil at its end.
	Receive(ctx context.Context, handle Handler) error

	// Health is nil while deliveries can come in, else what stands in the way. It may be called at any time, from
	// any goroutine, and does not block.
	Health() error

	// Close releases what the source holds. It is idempotent, safe before Receive, and ends a Receive under way.
	Close() error
}

// Sink takes messages.
type Sink interface {
	// Publish hands over messages that belong together, in their order. It calls done exactly once for each index,
	// from any goroutine and possibly before Publish returns: with nil once the message is durable at the far side
	// (a publisher confirm for a message that was not returned, a 2xx), else with the reason; see [IsPermanent].
	// The sink does not retry a message; it does reconnect. Publish blocks while the sink's window is full, until
	// ctx ends. It may be called from several goroutines at once. It may retain the messages until done.
	Publish(ctx context.Context, messages []Message, done func(i int, err error))

	// Ordered tells whether messages become visible in the order of the Publish calls without waiting for done in
	// between. A sink that says false sends in parallel; the relay then waits for done before it publishes what
	// must come after.
	Ordered() bool

	// Health is nil while messages can go out, else what stands in the way. It may be called at any time, from any
	// goroutine, and does not block.
	Health() error

	// Close waits for what is in flight until ctx ends, then releases what the sink holds: every message that is
	// still open gets an error. It is idempotent and safe before the first Publish.
	Close(ctx context.Context) error
}

// PermanentError wraps the reason why a message can never be delivered as it is: an answer that blames the
// message itself (HTTP 400, 409, 413, 415 and 422), or a
// message over the far side's size limit. Every other error of a sink is worth a retry.
type PermanentError struct{ Err error }

// Error is the wrapped error's text.
func (e *PermanentError) Error() string { return e.Err.Error() }

// Unwrap gives the wrapped error.
func (e *PermanentError) Unwrap() error { return e.Err }

// RetryAfterError wraps a failure after which the far side asks for a pause (HTTP Retry-After).
type RetryAfterError struct {
	Err   error
	After time.Duration
}

// Error is the wrapped error's text.
func (e *RetryAfterError) Error() string { return e.Err.Error() }

// Unwrap gives the wrapped error.
func (e *RetryAfterError) Unwrap() error { return e.Err }

// IsPermanent tells whether a retry of the same message is useless.
func IsPermanent(err error) bool {
	var p *PermanentError
	return errors.As(err, &p)
}

// RetryAfter is the pause that the far side asked for, 0 if it did not.
func RetryAfter(err error) time.Duration {
	var r *RetryAfterError
	if errors.As(err, &r) {
		return r.After
	}
	return 0
}
