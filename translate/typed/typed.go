// Package typed translates between the types of the two protocols' own Go SDKs: github.com/cdevents/sdk-go/pkg/api and
// github.com/eiffel-community/eiffelevents-sdk-go. It is a thin edge around a [translate.Session], which works on bytes:
//
//	t, err := typed.New(session).BeginToEiffel(ctx, deployed)
//	if err != nil {
//		return err // a *translate.EventError or an *UnsupportedError: never; any other: later
//	}
//	defer t.Rollback() // of no effect after Commit
//	for _, out := range t.Outputs {
//		if err := publish(out.Event.JSON); err != nil { // out.Struct is the same event as a struct
//			return err // nothing is learned, so that the event can come again
//		}
//	}
//	return t.Commit(ctx) // learned only now
//
// [Translator.ToEiffel] and [Translator.ToCDEvents] are shorter: the ledger has learned when they return, before the caller has
// published anything. They are for programs that can translate an event again if they lose what it became.
//
// This is the only package of the module that imports the SDKs. The CDEvents SDK compiles all its schemas when it is
// imported, which costs a process 130 ms or more and 20 to 30 MB; a program that has events as bytes does better with
// package translate alone.
//
// # What the SDKs cannot hold
//
// The bridge knows more versions than the SDKs have structs for (Eiffel's ArtifactDeployed 0.2.0, for one), and a struct
// drops what it has no field for. Nothing is dropped silently here: an event of a version that its SDK does not know
// has an *[UnsupportedError] instead of a struct, and an event that its struct would not give back a *[LossError] with the
// place. Either way the event itself is there to be used instead ([Output]).
//
// Three differences are none: a timestamp of the same instant that is written in another way; a link's tags that are
// empty instead of absent; and an optional array or object that was empty and is left out, unless the Eiffel event is
// signed, since that would break its signature. The CDEvents SDK writes the tags of a link that has none as null, which
// its own validation refuses; structs that come from here have empty tags there, and null ones are left out of what
// goes in.
//
// Numbers in free-form parts (custom data, tags, the content of custom events) are float64, as the SDKs decode them.
// Those that a float64 would change are a [encoding/json.Number] in a CDEvent and a [encoding/json.RawMessage] in an
// Eiffel event, so that both SDKs write them again with all their digits.
package typed

import (
	"context"
	"fmt"
	"strings"

	cdevents "github.com/cdevents/sdk-go/pkg/api"
	eiffelevents "github.com/eiffel-community/eiffelevents-sdk-go"

	"github.com/eiffelbridge/eiffelbridge/translate"
)

// Translator translates the SDKs' structs with a session. It is safe for concurrent use, as the session is; what it is
// given must not change while it works, and is not retained.
type Translator struct {
	session *translate.Session
}

// New wraps a session, which may be used with bytes at the same time: both teach the same ledger.
func New(session *translate.Session) *Translator { return &Translator{session} }

// Output is an event that a translation gives: as it is, and as the SDK's struct, a pointer to be told apart by a type switch.
type Output[Struct any] struct {
	Event  translate.Event
	Struct Struct // nil with an Err
	Err    error  // why there is no struct: an *[UnsupportedError] or a *[LossError]; Event is whole all the same
}

// Transaction is a [translate.Transaction] with structs: publish Outputs, in their order, and then Commit. End every one, best with a
// deferred Rollback. It is not safe for concurrent use.
type Transaction[Struct any] struct {
	*translate.Transaction

	// Outputs are the events of the result, in publishing order.
	Outputs []Output[Struct]
}

// BeginToEiffel translates a CDEvent as [Translator.ToEiffel] does, and learns nothing before [translate.Transaction.Commit]. What it
// waits for is said at [translate.Session.Begin].
func (t *Translator) BeginToEiffel(ctx context.Context, event cdevents.CDEventReader) (*Transaction[eiffelevents.MetaTeller], error) {
	in, err := FromCDEvent(event)
	if err != nil {
		return nil, err
	}
	return begin(ctx, t.session, in, AsEiffel)
}

// BeginToCDEvents translates an Eiffel event as [Translator.ToCDEvents] does, and learns nothing before
// [translate.Transaction.Commit]. What it waits for is said at [translate.Session.Begin].
func (t *Translator) BeginToCDEvents(ctx context.Context, event eiffelevents.MetaTeller) (*Transaction[cdevents.CDEvent], error) {
	in, err := FromEiffel(event)
	if err != nil {
		return nil, err
	}
	return begin(ctx, t.session, in, AsCDEvent)
}

func begin[S any](ctx context.Context, session *translate.Session, in translate.Event, as func(translate.Event) (S, error)) (*Transaction[S], error) {
	t, err := session.BeginEvent(ctx, in)
	if err != nil {
		return nil, err
	}
	return &Transaction[S]{t, outputs(t.Events, as)}, nil
}

// ToEiffel translates a CDEvent and teaches the ledger before it returns, so before the caller publishes: who loses the outputs must
// translate the event again. [Translator.BeginToEiffel] teaches when the caller says so.
//
// It takes an event of CDEvents 0.3 to 0.5 or a custom one and gives Eiffel events in publishing order, with structs such as
// *eiffelevents.ArtifactDeployedV0_1_0. There are none for an event that came from Eiffel and only taught the ledger something; a
// CDEvent that carries its Eiffel original gives that original. The result has what else there is to say, such as losses.
//
// With an error nothing is learned and there are no outputs: the error is an *[UnsupportedError] about the event itself, a
// *[translate.EventError], ctx's or the ledger's. That an output has no struct is no error of the translation; publish the Event of
// such an [Output].
func (t *Translator) ToEiffel(ctx context.Context, event cdevents.CDEventReader) ([]Output[eiffelevents.MetaTeller], translate.Result, error) {
	in, err := FromCDEvent(event)
	if err != nil {
		return nil, translate.Result{}, err
	}
	return run(ctx, t.session, in, AsEiffel)
}

// ToCDEvents translates an Eiffel event and teaches the ledger before it returns, so before the caller publishes: who loses the
// outputs must translate the event again. [Translator.BeginToCDEvents] teaches when the caller says so.
//
// It takes a struct of the SDK, a pointer to one or an [eiffelevents.Any] and gives CDEvents, with structs such as
// *cdevents.ServiceDeployedEventV0_3_0. What has no counterpart becomes a custom event, whose type stands in its Context.Type: the
// SDK's GetType does not know it. There are none for an event that came from CDEvents and was synthesized, or only taught the
// ledger something; an Eiffel event that carries its CDEvents original gives that original.
//
// Errors are as with [Translator.ToEiffel].
func (t *Translator) ToCDEvents(ctx context.Context, event eiffelevents.MetaTeller) ([]Output[cdevents.CDEvent], translate.Result, error) {
	in, err := FromEiffel(event)
	if err != nil {
		return nil, translate.Result{}, err
	}
	return run(ctx, t.session, in, AsCDEvent)
}

func run[S any](ctx context.Context, session *translate.Session, in translate.Event, as func(translate.Event) (S, error)) ([]Output[S], translate.Result, error) {
	result, err := session.TranslateEvent(ctx, in)
	if err != nil {
		return nil, translate.Result{}, err
	}
	return outputs(result.Events, as), result, nil
}

func outputs[S any](events []translate.Event, as func(translate.Event) (S, error)) []Output[S] {
	out := make([]Output[S], len(events))
	for i, e := range events {
		o := &out[i]
		o.Event = e
		if o.Struct, o.Err = as(e); o.Err != nil {
			var none S
			o.Struct = none
		}
	}
	return out
}

// The SDKs, as errors name them.
const (
	cdeventsSDK = "github.com/cdevents/sdk-go"
	eiffelSDK   = "github.com/eiffel-community/eiffelevents-sdk-go"
)

// UnsupportedError says that an SDK has no struct for an event's type and version, so that a struct at hand may lack part
// of the event. A retry cannot help; the event's bytes can be translated.
type UnsupportedError struct {
	SDK     string // module path
	ID      string
	Type    string // meta.type, or context.type with its version
	Version string
}

// Error names the event, the SDK and the remedy.
func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("%s: %s has no struct for %s; use the event's bytes instead (translate.Session.Translate, translate.Event.JSON)",
		eventName(e.ID), e.SDK, typeName(e.Type, e.Version))
}

// LossError says that an SDK's struct does not hold all of an event. A retry cannot help; the event's bytes are whole.
type LossError struct {
	SDK     string // module path
	ID      string
	Type    string // meta.type, or context.type with its version
	Version string
	Pointer string // JSON pointer to the first value that the struct would lose, change or add; empty if unknown
	Err     error  // the SDK's own error, if it could not read the event at all
}

// Error names the event, the place, the SDK and the remedy.
func (e *LossError) Error() string {
	text := fmt.Sprintf("%s: the struct that %s has for %s does not hold", eventName(e.ID), e.SDK, typeName(e.Type, e.Version))
	if e.Pointer != "" {
		text += " " + e.Pointer
	} else {
		text += " it"
	}
	text += "; use the event's bytes instead (translate.Event.JSON)"
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap gives the SDK's own error.
func (e *LossError) Unwrap() error { return e.Err }

func eventName(id string) string {
	if id == "" {
		return "event"
	}
	return "event " + id
}

// typeName is a type with its version, which that of a CDEvent has already.
func typeName(eventType, version string) string {
	switch {
	case eventType == "":
		return "an event without a type"
	case version == "" || strings.HasSuffix(eventType, "."+version):
		return eventType
	}
	return eventType + " " + version
}

func unsupported(sdk string, e *translate.Event) *UnsupportedError {
	return &UnsupportedError{SDK: sdk, ID: e.ID, Type: e.Type, Version: e.Version}
}

func lossy(sdk string, e *translate.Event, pointer string, err error) *LossError {
	return &LossError{SDK: sdk, ID: e.ID, Type: e.Type, Version: e.Version, Pointer: pointer, Err: err}
}

// expect checks that an event is of the protocol that a function takes.
func expect(e *translate.Event, p translate.Protocol) error {
	if e.Protocol == p {
		return nil
	}
	return &translate.EventError{Code: translate.CodeNotEvent, ID: e.ID, Type: e.Type,
		Message: fmt.Sprintf("this is an event of the protocol %s, not %s", e.Protocol, p)}
}

func noEvent(what string) error {
	return &translate.EventError{Code: translate.CodeNotEvent, Message: fmt.Sprintf("there is no event: the %s is nil", what)}
}
