// Package translate is the pure translation between CDEvents and Eiffel events, in both directions: an event and facts
// go in; events, questions, learned facts and losses come out. It knows no clock, no randomness, no network and no
// files: the same event and the same facts give the same bytes, always.
//
// [New] compiles the catalogue (package mappings) into an [Engine], which implements [Translator] and may be shared by
// any number of goroutines. Most programs let a [Session] ask the ledger for them, which [Open] makes:
//
//	session, err := translate.Open(translate.Settings{})
//	result, err := session.Translate(ctx, event)
//
// A program that must not lose an event publishes before the ledger learns:
//
//	t, err := session.Begin(ctx, event)
//	defer t.Rollback()
//	// publish t.Events
//	err = t.Commit(ctx)
//
// Package ce has the same for CloudEvents, and package typed for the structs of the protocols' own SDKs.
//
// The contract is docs/mapping.md. Comments cite it by its headings: (mapping.md, "Ids").
package translate

//go:generate go run ./internal/codes

import (
	"fmt"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// Protocol is the vocabulary that an event is written in.
type Protocol byte

// The two protocols.
const (
	CDEvents Protocol = iota + 1
	Eiffel
)

// String is the protocol's name as the configuration has it.
func (p Protocol) String() string {
	switch p {
	case CDEvents:
		return "cdevents"
	case Eiffel:
		return "eiffel"
	}
	return "unknown"
}

// Other is the protocol on the far side of the bridge.
func (p Protocol) Other() Protocol {
	if p == CDEvents {
		return Eiffel
	}
	return CDEvents
}

// Translator maps one event. It is deterministic: equal arguments give equal results. It is safe for concurrent use,
// does not change its arguments and does not retain facts.
//
// An error is of type *[EventError]: the event can never be translated as it is, with these settings.
type Translator interface {
	Translate(in Event, facts *ledger.Facts) (Result, error)
}

// Result is what a translation gives.
type Result struct {
	// Events are what the event became, in publishing order: synthesized anchors stand before what needs them.
	// There are none for an event that came round ([Result.Returning]) or that only taught the ledger something.
	Events []Event

	// Need, if not empty, says that nothing is decided yet: answer these queries and call again. There are a few
	// rounds at most; everything else in the result is void.
	Need []ledger.Query

	// Missing are references that could not be resolved and for which Events has a placeholder, although what they
	// name could still come (mapping.md, "Unresolved references"). The caller decides whether to take the placeholder, to fail or to wait.
	Missing []Missing

	// Learned is what the ledger must remember once the events are durably delivered.
	Learned []ledger.Fact

	// Losses are the parts of the input that have no home of their own in the output.
	Losses []Loss

	Diagnostics []Diagnostic

	// Row names the row of the catalogue by which the event was translated, and About is what that says of itself, both for
	// people. They are empty if the event came round.
	Row, About string

	// Moves tell which rule sent which field where; only with [Settings.Explain].
	Moves []Move

	// Returning says that the event had come from the other side, and what was done about it: [ReturningDrop], so that there is
	// no output, or [ReturningRestore], so that the output is its original. It is empty for every other event.
	Returning Returning
}

// Main is the event that the translated one itself became, or its original if it came round. It is the only one of
// [Result.Events] that is not synthesized, and the last. There is none if the event came to nothing.
func (r Result) Main() (Event, bool) {
	for i := len(r.Events) - 1; i >= 0; i-- {
		if !r.Events[i].Synthesized {
			return r.Events[i], true
		}
	}
	return Event{}, false
}

// Missing is an unresolved reference.
type Missing struct {
	Query ledger.Query // the record whose coming would resolve it
	Want  string       // what it is wanted for: a link type, a field's JSON pointer, or "type" for the choice of the event type
	Name  string       // what is missing, for people: `EiffelArtifactCreatedEvent 4f2...`, `service "shop"`
}

// Loss is a part of the input that has no counterpart in the output.
type Loss struct {
	Pointer string `json:"pointer"` // in the input event (RFC 6901)
	Reason  string `json:"reason"`  // a Loss constant
	Carried bool   `json:"carried"` // it is in the carried original
}

// Diagnostic is something that a user should know about a translation that succeeded.
type Diagnostic struct {
	Code    string `json:"code"` // a Diagnostic constant
	Message string `json:"message"`
}

// Move tells where a value came from, where it went and by which rule. Moves and losses together account for every
// field of the input: each value is the From of a move, or within one, or lost.
type Move struct {
	From     string // JSON pointer in the input event; empty if it was made
	To       string // JSON pointer in the output event; empty if it went nowhere
	Out      int    // index of the output event in Result.Events
	Rule     string
	Fidelity Fidelity
}

// Fidelity says what of a moved value can be had back from the output without the carried original.
type Fidelity byte

// The fidelities of a move.
const (
	Exact      Fidelity = iota // the value itself
	Translated                 // a word of the same meaning: a vocabulary pairs several words with one
	OneWay                     // nothing: it was made part of a text, or the output becomes an event of another kind on the way back
)

// EventError says why an event cannot be translated or is not valid. It names the event, the place and the rule.
type EventError struct {
	Code    string // one of the Code constants
	ID      string // context.id or meta.id, if it could be read
	Type    string // context.type or meta.type, if it could be read
	Pointer string // JSON pointer to what is wrong; empty for the whole event
	Message string
}

// Error names the event, the pointer and the rule.
func (e *EventError) Error() string {
	var b strings.Builder
	b.WriteString("event")
	if e.ID != "" {
		fmt.Fprintf(&b, " %s", shorten(e.ID, 80))
	}
	if e.Type != "" {
		fmt.Fprintf(&b, " (%s)", shorten(e.Type, 80))
	}
	if e.Pointer != "" {
		fmt.Fprintf(&b, " at %s", shorten(e.Pointer, 120))
	}
	fmt.Fprintf(&b, ": %s", e.Message)
	return b.String()
}

func shorten(s string, most int) string {
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > 0 && s[cut]&0xC0 == 0x80 {
		cut--
	}
	return s[:cut] + "…"
}
