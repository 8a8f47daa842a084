// Package ce translates CloudEvents of the CloudEvents SDK (github.com/cloudevents/sdk-go/v2) that hold a CDEvent or an Eiffel event.
// It is a thin edge around a [translate.Session], which works on bytes:
//
//	t, err := ce.Begin(ctx, session, in)
//	if err != nil {
//		return cehttp.NewResult(ce.Status(err), "%w", err)
//	}
//	defer t.Rollback() // of no effect after Commit
//	for _, out := range t.Events {
//		if result := client.Send(ctx, out); !cloudevents.IsACK(result) {
//			return cehttp.NewResult(503, "%w", result) // nothing is learned, and the sender tries again
//		}
//	}
//	if err := t.Commit(ctx); err != nil { // learned only now
//		return cehttp.NewResult(ce.Status(err), "%w", err)
//	}
//	return nil
//
// Anything but an ACK loses the event if it is ignored: cloudevents.IsUndelivered is false for a sink that answers 500.
//
// # Errors and answers
//
// An *[translate.EventError] says that the event can never be translated: answer 400, or put it aside. Every other error is of
// the ledger, of ctx or of another writer, and the event can come again: answer 503, which senders that retry take as a reason to.
// [Status] tells the two apart. What the sink answers is not the sender's fault, so that it is 503 as well, a sink's 400 too. An
// error that a receiver of the SDK returns as it is becomes 500, which the SDK's own client does not take as a reason to retry.
//
// # Attributes
//
// An event that goes out has its attributes from itself: id, source, time in milliseconds, and dataschema if it names its schema by
// an absolute URI. The type of a CDEvent is its own, and its subject is subject.id; the type of an Eiffel event is meta.type behind
// [EiffelTypePrefix], and it has no subject. The source of an Eiffel event is meta.source.uri, or what the mapping derives where
// there is none. Extension attributes, such as traceparent, go from an event to all that it becomes.
//
// The data is the event byte for byte. The SDK sends it so in binary mode; in structured mode it writes &, < and > with escapes, which
// changes the bytes and not the event.
//
// An event that comes in is read from its data alone: its attributes may be any.
//
// All functions are safe for concurrent use. They do not change the CloudEvents that they are given, and do not retain them.
package ce

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/eiffelbridge/eiffelbridge/internal/cloudevents"
	"github.com/eiffelbridge/eiffelbridge/translate"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// EiffelTypePrefix stands before meta.type in the type of a CloudEvent that holds an Eiffel event.
const EiffelTypePrefix = cloudevents.EiffelTypePrefix

// Transaction is a [translate.Transaction] of CloudEvents: publish Events, in their order, and then Commit. End every one, best with a
// deferred Rollback. It is not safe for concurrent use.
type Transaction struct {
	*translate.Transaction

	// Events are those of the result, in publishing order, with the extension attributes of the event that came in.
	Events []event.Event
}

// Begin translates the event that a CloudEvent holds, and learns nothing yet. What it waits for, and its errors, are those of
// [translate.Session.Begin]: an *[translate.EventError] says that the event can never be translated.
func Begin(ctx context.Context, session *translate.Session, in event.Event) (*Transaction, error) {
	e, err := ToEvent(in)
	if err != nil {
		return nil, err
	}
	t, err := session.BeginEvent(ctx, e)
	if err != nil {
		return nil, err
	}
	out := &Transaction{Transaction: t}
	for _, made := range t.Result.Events {
		made, err := FromEvent(made)
		if err != nil {
			t.Rollback()
			return nil, err
		}
		for name, value := range in.Extensions() {
			made.SetExtension(name, value)
		}
		out.Events = append(out.Events, made)
	}
	return out, nil
}

// Translate is Begin and Commit in one, for programs that can translate an event again if they lose what it became. Where another
// writer changes the ledger meanwhile, it translates again a few times.
func Translate(ctx context.Context, session *translate.Session, in event.Event) ([]event.Event, error) {
	for conflicts := 0; ; conflicts++ {
		t, err := Begin(ctx, session, in)
		if err != nil {
			return nil, err
		}
		err = t.Commit(ctx)
		t.Rollback()
		if err == nil {
			return t.Events, nil
		}
		if conflicts == maxConflicts || !errors.Is(err, ledger.ErrConflict) {
			return nil, err
		}
	}
}

// maxConflicts is how often an event is translated again because of others.
const maxConflicts = 8

// ToEvent decodes the event that a CloudEvent holds. It does not validate; who translates it does. Errors are of type
// *[translate.EventError].
func ToEvent(in event.Event) (translate.Event, error) {
	if len(in.Data()) == 0 {
		return translate.Event{}, &translate.EventError{Code: translate.CodeNotEvent, ID: in.ID(), Type: in.Type(), Message: "the CloudEvent has no data"}
	}
	e, err := translate.Decode(in.Data())
	var failed *translate.EventError
	if errors.As(err, &failed) && failed.ID == "" { // what cannot be read has the name that the CloudEvent gives it
		failed.ID, failed.Type = in.ID(), in.Type()
	}
	return e, err
}

// Status is the HTTP status that tells a sender what became of its event: 202 without an error, 400 for an *[translate.EventError],
// since sending the event again cannot help, and 503 for any other error, since it can.
func Status(err error) int {
	var never *translate.EventError
	switch {
	case err == nil:
		return 202
	case errors.As(err, &never):
		return 400
	}
	return 503
}

// FromEvent makes a CloudEvent of an event. It retains the event's bytes, which must not be changed. An error says which attribute
// the event has none for, or none that CloudEvents allow; what a translation gives has them all. A schema whose name is no absolute
// URI, which Eiffel allows and CloudEvents do not, is left out: it is in the event itself.
func FromEvent(e translate.Event) (event.Event, error) {
	out := event.New(event.CloudEventsVersionV1)
	out.SetID(e.ID)
	out.SetSource(e.Source)
	out.SetType(cloudevents.Type(e.Protocol.String(), e.Type))
	if e.Subject != "" {
		out.SetSubject(e.Subject)
	}
	out.SetTime(time.UnixMilli(e.Time).UTC())
	if schema, err := url.Parse(e.Schema); err == nil && schema.IsAbs() {
		out.SetDataSchema(e.Schema)
	}
	if err := out.SetData(event.ApplicationJSON, []byte(e.JSON)); err != nil {
		return event.Event{}, fmt.Errorf("event %s: %w", e.ID, err)
	}
	out.DataBase64 = false // it is JSON and can stand in a structured event as it is
	if err := out.Validate(); err != nil {
		return event.Event{}, fmt.Errorf("event %s: %w", e.ID, err)
	}
	return out, nil
}
