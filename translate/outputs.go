package translate

import (
	"bytes"
	"fmt"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// CheckOutput says what is wrong with an event that a translator of others made of this one, nil if nothing is: it must be a valid
// event of the other protocol, and an envelope in it must be that of this event. An error has [CodeInvalidOutput] and
// names this event.
func (e Event) CheckOutput(out Event) *EventError {
	in := &e
	bad := func(pointer, message string) *EventError { return in.fail(CodeInvalidOutput, pointer, message) }
	if out.Protocol != in.Protocol.Other() {
		return bad("", fmt.Sprintf("the output %s is an event of %s itself", shorten(out.ID, 80), in.Protocol))
	}
	if findings := out.Validate(); len(findings) > 0 {
		f := findings[0]
		return bad("", fmt.Sprintf("the output %s (%s) at %s: %s", shorten(out.ID, 80), shorten(out.Type, 80), f.Pointer, f.Message))
	}
	check := func(v jsondoc.Value) *EventError {
		if !isEnvelope(v) {
			return nil
		}
		for _, name := range []string{"id", "synthesizedFor"} {
			if id := v.Get(name); id.Exists() && id.Str() != in.ID && id.Str() != out.ID {
				return bad("", fmt.Sprintf("the output %s claims to be made of another event than it is, %s", shorten(out.ID, 80), shorten(id.Str(), 80)))
			}
		}
		carried := v.Get("event")
		if !carried.Exists() {
			return nil
		}
		original, err := Decode(carried.Raw())
		if err != nil || original.ID != in.ID || original.Source != in.Source || original.Type != in.Type ||
			!hasOwnKey(in) && !bytes.Equal(original.JSON, in.JSON) {
			return bad("", fmt.Sprintf("the output %s carries an original that is not the event it was made of", shorten(out.ID, 80)))
		}
		return nil
	}
	if out.Protocol == CDEvents {
		return check(out.root().At("customData", carriedEiffel))
	}
	for entry := range out.root().At("data", "customData").Children() {
		if entry.Get("key").Str() == carriedCDEvent {
			if err := check(entry.Get("value")); err != nil {
				return err
			}
		}
	}
	return nil
}

// hasOwnKey tells whether an event has custom data under the key of its own envelopes, which is not carried on.
func hasOwnKey(e *Event) bool {
	if e.Protocol == CDEvents {
		return e.root().At("customData", carriedEiffel).Exists()
	}
	for entry := range e.root().At("data", "customData").Children() {
		if entry.Get("key").Str() == carriedCDEvent {
			return true
		}
	}
	return false
}

// Emitted are the facts by which the ledger knows what a translator of others made of this event as emitted by this bridge, so
// that it is not translated when it comes round.
func (e Event) Emitted(outputs []Event) []ledger.Fact {
	in := &e
	var facts []ledger.Fact
	for i := range outputs {
		out := &outputs[i]
		if out.Protocol == Eiffel {
			record := ledger.EiffelEvent{Type: out.Type, Time: out.Time, Links: rememberedLinks(linksOf(out)), Emitted: true, Synthesized: out.Synthesized}
			if in.ID != out.ID {
				record.ContextID = in.ID
			}
			facts = append(facts, ledger.Fact{Query: ledger.EventQuery(out.ID), Record: record.Encode()})
			continue
		}
		c := ledger.Context{Source: out.Source, Type: out.Type, Emitted: true}
		if in.ID != out.ID {
			c.Eiffel = in.ID
		}
		facts = append(facts, ledger.Fact{Query: ledger.ContextQuery(out.ID), Record: ledger.Contexts{c}.Encode()})
	}
	return facts
}

// DerivedID is an id for an event that a translator of others makes of this one: a UUID of version 5, the same for the same event and parts,
// which tell the outputs of one event apart.
func (e Event) DerivedID(parts ...string) string {
	return newID(append([]string{"derived", e.Source, e.ID, e.Type}, parts...)...)
}
