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
	return key == ours && (nests(v) || r.believed && v.Index() == r.markAt)
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
			e.at = entry.Get("value").Index()
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

// isSynthesized tells whether an Eiffel event is one that the bridge makes up for the CDEvent of that id.
func (g *Engine) isSynthesized(in *Event, contextID string) bool {
	if in.Type == typeCD {
		return isComposition(in, contextID)
	}
	k, ok := g.subjectOfAnchor(in)
	return ok && in.ID == anchorID(in.Type, k)
}

// subjectOfAnchor is the subject for which a synthesized anchor stands: it says little but that.
func (g *Engine) subjectOfAnchor(in *Event) (SubjectKey, bool) {
	root := in.doc.Root()
	data := root.Get("data")
	k := SubjectKey{Source: root.At("meta", "source", "uri").Str(), ID: data.Get("name").Str()}
	switch in.Type {
	case typeED:
		k.Kind = kindEnvironment
	case typeArtC:
		a, _ := parseArtifact(data.Get("identity").Str(), g.settings.AllQualifiers)
		k = a.subject()
	case typeActT:
		k.Kind, _, _ = g.activityKind(in)
	case typeTSS:
		k.Kind = kindTestSuiteRun
	case typeTCT:
		k.Kind, k.ID = kindTestCaseRun, data.At("testCase", "id").Str()
	case typeSCC:
		k.Kind, k.ID = kindChange, data.At("change", "id").Str()
	default:
		return SubjectKey{}, false
	}
	for entry := range data.Get("customData").Children() {
		if entry.Get("key").Str() == subjectKey { // it has a name of its own
			k.ID = entry.At("value", "id").Str()
			break
		}
	}
	return k, true
}

// isComposition tells whether a composition is one that the bridge makes up. The type of the event that needed it is not
// written anywhere, but few types need one: their versions are tried, those to come as well.
func isComposition(in *Event, contextID string) bool {
	uri := in.doc.Root().At("meta", "source", "uri").Str()
	for _, need := range []struct{ role, name string }{
		{linkSubject, "service.published"},
		{linkIUT, "testcaserun.queued"}, {linkIUT, "testcaserun.started"}, {linkIUT, "testcaserun.finished"}, {linkIUT, "testcaserun.skipped"},
	} {
		for minor := range 20 {
			for patch := range 10 {
				t := fmt.Sprintf("dev.cdevents.%s.0.%d.%d", need.name, minor, patch)
				if in.ID == synthesizedID(need.role, uri, contextID, t) {
					return true
				}
			}
		}
	}
	return false
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
func (g *Engine) subjectOf(e *Event) SubjectKey {
	kind := kindOf(nameOfType(e.Type))
	if kind == kindArtifact {
		a, _ := parseArtifact(e.Subject, g.settings.AllQualifiers)
		return a.subject()
	}
	k := SubjectKey{Kind: kind, Source: e.Source, ID: e.Subject}
	if source := e.doc.Root().At("subject", "source"); source.Str() != "" {
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
		known := t.contexts(t.in.ID).Find(t.in.Source, t.in.Type)
		mine = known != nil && known.Emitted
	}
	action := t.returningAction(&e, mine, wrote)
	t.believe(&e)
	if action == NotReturning {
		return false
	}
	t.readSubject(s)
	t.id = t.in.ID
	t.row = t.returningRow(e.original.Type)
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

// returningRow is the row by which the event became, or came from, the Eiffel event of its id and that type; the last of
// its type's rows if none says so.
func (t *toEiffel) returningRow(eiffelType string) *rowToEiffel {
	rows := t.g.rowsOfCDEvent(t.name)
	if row := rowTo(rows, eiffelType, t.id, t.subject); row != nil {
		return row
	}
	return rows[len(rows)-1]
}

// believe notes what a believed envelope says about where the event came from.
func (r *run) believe(e *envelope) {
	r.believed, r.markAt = e.mark != noMark, e.at
	if e.mark == markID {
		r.markID = e.id
	}
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
