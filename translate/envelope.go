package translate

import (
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/mappings"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// The keys of the custom data under which an original travels (mapping.md, "Envelopes").
const (
	carriedCDEvent = "cdevents" // in an Eiffel event: data.customData entry
	carriedEiffel  = "eiffel"   // in a CDEvent: customData member
)

// subjectKey is the key under which the subject of a CDEvent stands beside the mark where the original is not carried: its
// value has an id and, where it is not that of the event, a source.
const subjectKey = "subject"

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
	at       int    // index of the value in the event
	original Event  // for markOriginal
	id       string // the original's id, for markOriginal and markID
}

// rules says by which rules a mark is read. It stands in every mark, for later versions; there is one set of rules.
const rules = 2

// maxMark is how long the texts of a mark may be, in bytes.
const maxMark = 1024

// isEnvelope tells whether a value has the form of what the bridge writes under its key. What has not is custom data of
// a user that happens to bear our key.
func isEnvelope(v jsondoc.Value) bool {
	if v.Kind() != jsondoc.Object {
		return false
	}
	says, made := 0, false
	for c := v.FirstChild(); c.Exists(); c = c.NextSibling() {
		ok := false
		switch c.Key() {
		case "event":
			says++
			ok = c.Kind() == jsondoc.Object
		case "id":
			says++
			ok = c.Kind() == jsondoc.String
		case "synthesizedFor":
			says++
			made = true
			ok = c.Kind() == jsondoc.String
		case "type", "role":
			ok = c.Kind() == jsondoc.String && v.Get("synthesizedFor").Exists()
		case "rules":
			ok = c.Kind() == jsondoc.Number
		}
		if !ok || len(c.Str()) > maxMark {
			return false
		}
	}
	return says == 1 && (!made || v.Get("type").Exists() == v.Get("role").Exists())
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
	return key == ours && (nests(v) || r.believed && v.Index() == r.markAt)
}

func (r *run) ownEntry(entry jsondoc.Value) bool {
	return r.own(entry.Get("key").Str(), entry.Get("value"))
}

// stripOriginal takes our own key out of what is carried, so that envelopes never nest; else the original is untouched.
func (r *run) stripOriginal() {
	root := r.in.doc.Root()
	drop := func(v jsondoc.Value) {
		r.losses = append(r.losses, Loss{Pointer: r.pointer(v), Reason: LossEnvelope})
		r.use(v)
	}
	if r.in.Protocol == CDEvents {
		if own := root.At("customData", carriedEiffel); own.Exists() && r.own(carriedEiffel, own) {
			drop(own)
			r.stripped = jsondoc.AppendReplaced(nil, r.in.doc, own, nil)
		}
		return
	}
	custom := root.At("data", "customData")
	any := false
	for entry := range custom.Children() {
		if r.ownEntry(entry) {
			any = true
			drop(entry)
		}
	}
	if any {
		r.stripped = jsondoc.AppendReplaced(nil, r.in.doc, custom, jsondoc.AppendWithout([]byte{}, custom, r.ownEntry))
	}
}

// writeOriginal writes the event as it is carried: compacted and otherwise untouched, but for what was stripped.
func (r *run) writeOriginal(w *jsondoc.Writer) error {
	if r.stripped == nil {
		w.Splice(r.in.doc.Root())
		return nil
	}
	if err := w.JSON(r.stripped); err != nil {
		return r.invalidOutput("%v", err)
	}
	return nil
}

// readOriginal decodes and validates a carried event; the reason says why it is not believed.
func readOriginal(v jsondoc.Value, want Protocol) (Event, string) {
	original, err := decode(v.Document())
	if err != nil || original.Protocol != want {
		return Event{}, "its original is no event of the other protocol"
	}
	if err := checkLengths(&original); err != nil {
		return Event{}, "its original is identified by too long a text"
	}
	if _, findings := check(&original); len(findings) > 0 {
		return Event{}, "its original is not valid: " + findings[0].Message
	}
	if carries(&original) {
		return Event{}, "its original carries an envelope itself"
	}
	return original, ""
}

// envelopeOfCDEvent reads customData.eiffel. It is believed only if everything about the event is what
// follows from the original (mapping.md, "Envelopes"); the reason says what is not.
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
		return envelope{mark: markID, at: v.Index(), id: in.ID}, ""
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
			return envelope{mark: markOriginal, at: v.Index(), original: original, id: original.ID}, ""
		}
	}
	return envelope{}, "the event's type is not what its original becomes"
}

// envelopeOfEiffel reads the first entry of our key in data.customData; any further one is custom data. It is believed only if
// the serializer is this module, whatever its version, and everything about the event is what follows from the original
// (mapping.md, "Envelopes").
func (g *Engine) envelopeOfEiffel(in *Event) (envelope, string) {
	entries := in.doc.Root().Get("data").Get("customData")
	for entry := entries.FirstChild(); entry.Exists(); entry = entry.NextSibling() {
		if entry.Get("key").Str() != carriedCDEvent {
			continue
		}
		v := entry.Get("value")
		e, reason := g.envelopeOfEntry(in, v)
		e.at = v.Index()
		return e, reason
	}
	return envelope{}, ""
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
		if !g.isSynthesized(in, v) {
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
	reason = "the event's type is not what its original becomes"
	for _, row := range g.rowsOfCDEvent(nameOfType(original.Type)) {
		if row.Eiffel != in.Type {
			continue
		}
		derived := in.ID == original.ID || in.ID == eventID(&original)
		if row.ID == mappings.IDAnchor {
			k := g.subjectOf(&original)
			derived = in.ID == anchorID(row.Eiffel, k) || in.ID == versionID(row.Eiffel, k, &original)
		}
		if derived {
			return envelope{mark: markOriginal, original: original, id: original.ID}, ""
		}
		reason = "the event's id does not follow from its original"
	}
	return envelope{}, reason
}

// cdeventsOf are the CDEvents (subject.predicate) that an Eiffel event type may become.
func (g *Engine) cdeventsOf(eiffelType string) []string {
	names := []string{customName(eiffelType)}
	for _, row := range g.rowsOfEiffel(eiffelType) {
		for _, name := range row.CDEvent {
			if strings.HasPrefix(name, "dev.") {
				name = nameOfType(name)
			}
			names = append(names, name)
		}
	}
	return names
}

// subjectOf is the subject key of a CDEvent.
func (g *Engine) subjectOf(e *Event) ledger.SubjectKey {
	kind := kindOf(nameOfType(e.Type))
	if kind == ledger.KindArtifact {
		a, _ := parseArtifact(e.Subject, g.settings.AllQualifiers)
		return a.subject()
	}
	k := ledger.SubjectKey{Kind: kind, Source: e.Source, ID: e.Subject}
	if source := e.doc.Root().At("subject", "source"); source.Str() != "" {
		k.Source = source.Str()
	}
	return k
}

// customEntry is the first entry of a key in the event's custom data.
func (r *run) customEntry(key string) jsondoc.Value {
	for entry := range r.in.doc.Root().At("data", "customData").Children() {
		if entry.Get("key").Str() == key {
			return entry
		}
	}
	return jsondoc.Value{}
}
