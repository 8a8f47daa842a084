package translate

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// Decorator edits what a translator made of an event. Like a translator it is deterministic, is safe for concurrent use,
// and does not change its arguments. It may set [Result.Need] to ask the ledger; it is then called again, with the
// answers. An error is of type *[EventError].
type Decorator func(in Event, made Result, facts *Facts) (Result, error)

// Fallback joins two translators: the second is asked about an event for which the first says [CodeNoMapping].
func Fallback(first, second Translator) Translator { return fallback{first, second} }

// Override joins two translators: over translates what it has a mapping for, base the rest. Base is asked first all the same
// and has the word about events that came round, so that what over makes cannot go in a circle.
func Override(base, over Translator) Translator { return override{base, over} }

// Decorate joins a translator and an edit of its results. The edit is not asked while the translator has questions, and
// not about events that came round.
func Decorate(base Translator, edit Decorator) Translator { return decorated{base, edit} }

type fallback struct{ first, second Translator }

// Translate implements [Translator].
func (f fallback) Translate(in Event, facts *Facts) (Result, error) {
	result, err := f.first.Translate(in, facts)
	var e *EventError
	if errors.As(err, &e) && e.Code == CodeNoMapping {
		return f.second.Translate(in, facts)
	}
	return result, err
}

type override struct{ base, over Translator }

// Translate implements [Translator].
func (o override) Translate(in Event, facts *Facts) (Result, error) {
	made, failed := o.base.Translate(in, facts)
	if failed == nil && (len(made.Need) > 0 || made.Returning != NotReturning) {
		return made, nil
	}
	result, err := o.over.Translate(in, facts)
	var e *EventError
	if errors.As(err, &e) && e.Code == CodeNoMapping {
		return made, failed
	}
	return result, err
}

type decorated struct {
	base Translator
	edit Decorator
}

// Translate implements [Translator].
func (d decorated) Translate(in Event, facts *Facts) (Result, error) {
	made, err := d.base.Translate(in, facts)
	if err != nil || len(made.Need) > 0 || made.Returning != NotReturning {
		return made, err
	}
	return d.edit(in, made, facts)
}

// CheckOutput says what is wrong with an event that a translator of others made of in, nil if nothing is: it must be a valid
// event of the other protocol, and an envelope in it must be that of in. An error has [CodeInvalidOutput] and
// names in.
func CheckOutput(in, out Event) *EventError {
	bad := func(pointer, message string) *EventError { return in.fail(CodeInvalidOutput, pointer, message) }
	if out.Protocol != in.Protocol.Other() {
		return bad("", fmt.Sprintf("the output %s is an event of %s itself", shorten(out.ID, 80), in.Protocol))
	}
	if findings := Validate(out); len(findings) > 0 {
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
			!hasOwnKey(&in) && !bytes.Equal(original.JSON, in.JSON) {
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

// Emitted are the facts by which the ledger knows the outputs of a translator of others as emitted by this bridge, so that
// they are not translated when they come round.
func Emitted(in Event, outputs []Event) []Fact {
	var facts []Fact
	for i := range outputs {
		out := &outputs[i]
		if out.Protocol == Eiffel {
			e := EiffelEvent{Type: out.Type, Time: out.Time, Links: rememberedLinks(linksOf(out)), Emitted: true, Synthesized: out.Synthesized}
			if in.ID != out.ID {
				e.ContextID = in.ID
			}
			facts = append(facts, Fact{Query: ledger.EventQuery(out.ID), Record: e.Encode()})
			continue
		}
		c := Context{Source: out.Source, Type: out.Type, Emitted: true}
		if in.ID != out.ID {
			c.Eiffel = in.ID
		}
		facts = append(facts, Fact{Query: ledger.ContextQuery(out.ID), Record: Contexts{c}.Encode()})
	}
	return facts
}

// CheckFact says what is wrong with a fact that a translator of others learned.
func CheckFact(f Fact) error {
	known := false
	for _, k := range FactKinds() {
		known = known || k == f.Query.Kind
	}
	if !known {
		return fmt.Errorf("no ledger has facts of kind %d", f.Query.Kind)
	}
	doc, err := jsondoc.Parse([]byte(f.Query.Key))
	if err != nil || doc.Root().Kind() != jsondoc.Array || !bytes.Equal(doc.Bytes(), []byte(f.Query.Key)) {
		return fmt.Errorf("the key %q is no compact JSON array", shorten(f.Query.Key, 80))
	}
	switch {
	case f.Query.IsRange():
		return fmt.Errorf("the query of %s %s has a range", f.Query.Kind, shorten(f.Query.Key, 80))
	case f.Forget && (!f.Query.Kind.Ranged() || len(f.Record) > 0):
		return fmt.Errorf("%s %s cannot be forgotten, or has a record besides", f.Query.Kind, shorten(f.Query.Key, 80))
	case f.Forget, f.Query.Kind == LineFact && ledger.IsLine(f.Record):
		return nil
	}
	if _, err := Merge(f.Query.Kind, []byte{}, f.Record); err != nil {
		return fmt.Errorf("the record of %s %s: %w", f.Query.Kind, shorten(f.Query.Key, 80), err)
	}
	return nil
}

// DerivedID is an id for an event that a translator of others makes of in: a UUID of version 5, the same for the same event and parts,
// which tell the outputs of one event apart.
func DerivedID(in Event, parts ...string) string {
	return newID(append([]string{"derived", in.Source, in.ID, in.Type}, parts...)...)
}
