package translate

import (
	"fmt"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/mappings"
)

// The keys of the custom data under which an original travels (section 3).
const (
	carriedCDEvent = "cdevents" // in an Eiffel event: data.customData entry
	carriedEiffel  = "eiffel"   // in a CDEvent: customData member
)

// environmentIDKey is the key under which an environment's id stands where the original is not carried: data.name may be
// another.
const environmentIDKey = "environmentId"

// mark is what a believed envelope says.
type mark byte

const (
	noMark mark = iota
	markOriginal
	markID
	markSynthesized
)

// envelope is what an event carries of the one that it came from.
type envelope struct {
	mark     mark
	original Event  // for markOriginal
	id       string // the original's id, for markOriginal and markID
}

// isEnvelope tells whether a value has the form of what the bridge writes under its key. What has not is custom data of
// a user that happens to bear our key.
func isEnvelope(v jsondoc.Value) bool {
	if v.Kind() != jsondoc.Object {
		return false
	}
	n := 0
	for range v.Children() {
		n++
	}
	return n == 1 && (v.Get("event").Kind() == jsondoc.Object ||
		v.Get("id").Kind() == jsondoc.String || v.Get("synthesizedFor").Kind() == jsondoc.String)
}

// carriedValue tells whether a value is an event carried in another: a member "event" of an envelope of ours.
func carriedValue(v jsondoc.Value) bool {
	if v.Key() != "event" {
		return false
	}
	holder := v.Parent()
	switch holder.Key() {
	case carriedEiffel:
		return holder.Parent().Key() == "customData"
	case "value":
		return holder.Parent().Get("key").Str() == carriedCDEvent
	}
	return false
}

// nests tells whether a value is an envelope with an event in it, believed or not: what is never carried on.
func nests(v jsondoc.Value) bool { return isEnvelope(v) && v.Get("event").Exists() }

// carries tells whether an event has an envelope with an event in it, believed or not.
func carries(e *Event) bool {
	if e.Protocol == CDEvents {
		return nests(e.doc.Root().At("customData", carriedEiffel))
	}
	for entry := range e.doc.Root().At("data", "customData").Children() {
		if entry.Get("key").Str() == carriedCDEvent && nests(entry.Get("value")) {
			return true
		}
	}
	return false
}

// own tells whether a value of custom data is ours and not a user's: a believed mark, or an envelope with an event in it.
func (r *run) own(key string, v jsondoc.Value) bool {
	ours := carriedEiffel
	if r.in.Protocol == Eiffel {
		ours = carriedCDEvent
	}
	return key == ours && (nests(v) || r.believed && isEnvelope(v))
}

func (r *run) ownEntry(entry jsondoc.Value) bool {
	return r.own(entry.Get("key").Str(), entry.Get("value"))
}

// appendCarried writes the event as it is carried: compacted and otherwise untouched, without our own key, so that
// envelopes never nest.
func (r *run) appendCarried(b []byte) []byte {
	root := r.in.doc.Root()
	drop := func(v jsondoc.Value) {
		r.result.Losses = append(r.result.Losses, Loss{Pointer: v.Pointer(), Reason: "envelope"})
		r.use(v)
	}
	if r.in.Protocol == CDEvents {
		own := root.At("customData", carriedEiffel)
		if !own.Exists() || !r.own(carriedEiffel, own) {
			return append(b, r.in.JSON...)
		}
		drop(own)
		return jsondoc.AppendReplaced(b, r.in.doc, own, nil)
	}
	custom := root.At("data", "customData")
	any := false
	for entry := range custom.Children() {
		if r.ownEntry(entry) {
			any = true
			drop(entry)
		}
	}
	if !any {
		return append(b, r.in.JSON...)
	}
	return jsondoc.AppendReplaced(b, r.in.doc, custom, jsondoc.AppendWithout([]byte{}, custom, r.ownEntry))
}

// readOriginal decodes and validates a carried event; the reason says why it is not believed.
func readOriginal(v jsondoc.Value, want Protocol) (Event, string) {
	doc, err := jsondoc.Parse(v.Raw())
	if err != nil {
		return Event{}, "its original is not readable"
	}
	original, err := decode(doc)
	if err != nil || original.Protocol != want {
		return Event{}, "its original is no event of the other protocol"
	}
	if _, findings := check(&original); len(findings) > 0 {
		return Event{}, "its original is not valid: " + findings[0].Message
	}
	if carries(&original) {
		return Event{}, "its original carries an envelope itself"
	}
	return original, ""
}

// envelopeOfCDEvent reads customData.eiffel. It is believed only if everything about the event is what section 2
// derives from the original; the reason says what is not.
func (g *Engine) envelopeOfCDEvent(in *Event) (envelope, string) {
	v := in.doc.Root().At("customData", carriedEiffel)
	if !v.Exists() {
		return envelope{}, ""
	}
	if !isEnvelope(v) {
		return envelope{}, "it has not the form of an envelope"
	}
	if id := v.Get("id"); id.Exists() {
		if id.Str() != in.ID || !schema.IsEiffelID(in.ID) {
			return envelope{}, "its id is not the event's"
		}
		return envelope{mark: markID, id: in.ID}, ""
	}
	if !v.Get("event").Exists() {
		return envelope{}, "CDEvents are never synthesized"
	}
	original, reason := readOriginal(v.Get("event"), Eiffel)
	switch {
	case reason != "":
		return envelope{}, reason
	case original.ID != in.ID:
		return envelope{}, "the event's id is not its original's"
	case original.Time != in.Time:
		return envelope{}, "the event's time is not its original's"
	case original.Source != in.Source:
		return envelope{}, "the event's source is not its original's"
	}
	for _, name := range g.cdeventsOf(original.Type) {
		if nameOfType(in.Type) == name {
			return envelope{mark: markOriginal, original: original, id: original.ID}, ""
		}
	}
	return envelope{}, "the event's type is not what its original becomes"
}

// envelopeOfEiffel reads the entry of data.customData. It is believed only if the serializer is this module, whatever
// its version, and everything about the event is what section 2 derives from the original.
func (g *Engine) envelopeOfEiffel(in *Event) (envelope, string) {
	reason := ""
	for entry := range in.doc.Root().At("data", "customData").Children() {
		if entry.Get("key").Str() != carriedCDEvent {
			continue
		}
		e, why := g.envelopeOfEntry(in, entry.Get("value"))
		if why == "" {
			return e, ""
		}
		reason = why
	}
	return envelope{}, reason
}

func (g *Engine) envelopeOfEntry(in *Event, v jsondoc.Value) (envelope, string) {
	if !isEnvelope(v) {
		return envelope{}, "it has not the form of an envelope"
	}
	if !strings.HasPrefix(in.doc.Root().At("meta", "source", "serializer").Str(), serializerPrefix) {
		return envelope{}, "the event's serializer is not this module"
	}
	if id := v.Get("id"); id.Exists() {
		// What else the id was made of is not written anywhere; a UUIDv5 is all that can be asked for.
		if in.ID != id.Str() && !madeID(in.ID) {
			return envelope{}, "the event's id does not follow from its original's"
		}
		return envelope{mark: markID, id: id.Str()}, ""
	}
	if id := v.Get("synthesizedFor"); id.Exists() {
		if !g.isSynthesized(in, id.Str()) {
			return envelope{}, "the event's id is not that of a synthesized one"
		}
		return envelope{mark: markSynthesized, id: id.Str()}, ""
	}
	original, reason := readOriginal(v.Get("event"), CDEvents)
	if reason != "" {
		return envelope{}, reason
	}
	if original.Time != in.Time {
		return envelope{}, "the event's time is not its original's"
	}
	row := g.rowOfCDEvent(nameOfType(original.Type))
	if row.Eiffel != in.Type {
		return envelope{}, "the event's type is not what its original becomes"
	}
	derived := in.ID == original.ID || in.ID == eventID(&original)
	if row.ID == mappings.IDAnchor {
		k := g.subjectOf(&original)
		derived = in.ID == anchorID(row.Eiffel, k) || in.ID == versionID(row.Eiffel, k, &original)
	}
	if !derived {
		return envelope{}, "the event's id does not follow from its original"
	}
	return envelope{mark: markOriginal, original: original, id: original.ID}, ""
}

// isSynthesized tells whether an Eiffel event is one that the bridge makes up for the CDEvent of that id.
func (g *Engine) isSynthesized(in *Event, contextID string) bool {
	root := in.doc.Root()
	uri := root.At("meta", "source", "uri").Str()
	switch in.Type {
	case typeED:
		return in.ID == anchorID(typeED, SubjectKey{"environment", uri, root.At("data", "name").Str()})
	case typeArtC:
		a, _ := parseArtifact(root.At("data", "identity").Str(), g.settings.AllQualifiers)
		return in.ID == anchorID(typeArtC, a.subject())
	case typeCD:
		// The type of the event that needed it is not written anywhere, but only one type needs a composition: its
		// versions are tried, those to come as well.
		for minor := range 20 {
			for patch := range 10 {
				t := fmt.Sprintf("dev.cdevents.service.published.0.%d.%d", minor, patch)
				if in.ID == synthesizedID(linkSubject, uri, contextID, t) {
					return true
				}
			}
		}
	}
	return false
}

func (g *Engine) rowOfCDEvent(name string) *mappings.ToEiffel {
	if row := g.toEiffel[name]; row != nil {
		return row
	}
	return g.toEiffel[mappings.Any]
}

func (g *Engine) rowOfEiffel(eiffelType string) *mappings.ToCDEvents {
	if row := g.toCDEvents[eiffelType]; row != nil {
		return row
	}
	return g.toCDEvents[mappings.Any]
}

// cdeventsOf are the CDEvents (subject.predicate) that an Eiffel event type may become.
func (g *Engine) cdeventsOf(eiffelType string) []string {
	if names := g.rowOfEiffel(eiffelType).CDEvent; len(names) > 0 {
		return names
	}
	return []string{customName(eiffelType)}
}

// subjectOf is the subject key of a CDEvent.
func (g *Engine) subjectOf(e *Event) SubjectKey {
	kind, _, _ := strings.Cut(nameOfType(e.Type), ".")
	if kind == "artifact" {
		a, _ := parseArtifact(e.Subject, g.settings.AllQualifiers)
		return a.subject()
	}
	k := SubjectKey{Kind: kind, Source: e.Source, ID: e.Subject}
	if source := e.doc.Root().At("subject", "source"); source.Exists() {
		k.Source = source.Str()
	}
	return k
}

// giveBack handles a CDEvent that came from the other side, as [Settings.Returning] says; true if that was all.
func (t *toEiffel) giveBack(s *schema.Schema) bool {
	e, reason := t.g.envelopeOfCDEvent(t.in)
	if reason != "" {
		t.diagnose("envelope_not_believed", "customData.%s is ordinary custom data: %s", carriedEiffel, reason)
	}
	wrote := func(id string) bool {
		known := t.eiffelEvent(id)
		return known != nil && known.Emitted
	}
	mine := false
	if t.g.settings.Returning != ReturningGiveBack {
		known := t.contexts(t.in.ID).find(t.in.Source, t.in.Type)
		mine = known != nil && known.Emitted
	}
	action := t.returningAction(&e, mine, wrote)
	t.believed = e.mark != noMark
	if action == NotReturning {
		return false
	}
	t.readSubject(s)
	t.row = t.g.rowOfCDEvent(t.name)
	t.id = t.in.ID
	t.readReferences()
	if e.mark != noMark {
		pair := pairOf(t.in, &e)
		pair.again = t.learned(e.id)
		pair.emitted = action == Restored && t.g.settings.Returning == ReturningRestore
		t.learnPair(pair)
	}
	t.finishReturning(action, &e)
	return true
}

// returningAction decides what to do with an event that may have come from the other side. mine says that this ledger's
// bridge wrote the event itself; wrote tells it of the original.
func (r *run) returningAction(e *envelope, mine bool, wrote func(id string) bool) Return {
	if r.g.settings.Returning == ReturningGiveBack {
		switch e.mark {
		case markOriginal:
			return Restored
		case markSynthesized:
			return Dropped
		}
		return NotReturning
	}
	if e.mark == noMark && !mine {
		return NotReturning
	}
	round := e.mark != noMark && e.mark != markSynthesized && wrote(e.id)
	switch r.g.settings.Returning {
	case ReturningRestore:
		if e.mark == markOriginal && !mine && !round {
			return Restored
		}
		return Dropped
	case ReturningTranslate:
		if round || mine {
			return Dropped
		}
		return NotReturning
	}
	return Dropped
}

// finishReturning completes the result of an event that came round.
func (r *run) finishReturning(action Return, e *envelope) {
	if len(r.result.Need) > 0 {
		r.result = Result{Need: r.result.Need}
		return
	}
	r.result.Returning = action
	if action == Restored {
		r.result.Events = append(r.result.Events, e.original)
	}
}
