package translate

import (
	"strings"
	"sync"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/mappings"

	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// synthesizeAnchor makes up an anchor from what the reference says: it depends on nothing else but its mark and the time
// of the event that needs it. The anchor of the event's own subject says what the event can say of it besides: its name,
// since a task run has no other event that could (mapping.md, "Required text"), and the links that the row gives it. Its id
// follows from the subject alone in any case.
func (t *toEiffel) synthesizeAnchor(l *rowLink, id string, k ledger.SubjectKey, art *artifact) {
	links := t.links
	t.links = nil
	for i := range l.with {
		// The targets of these are chosen here, where it is certain that the anchor is made.
		w := &l.with[i]
		var to rowTarget
		switch w.Target {
		case mappings.TargetTested:
			to = t.testedTarget(w.Type)
		case mappings.TargetAnchor:
			to = t.anchorTarget(w)
		}
		if to.id == "" || to.id == id {
			continue
		}
		for _, v := range to.from[:to.count] {
			if v.Exists() {
				t.move(v, t.linkPointer("/target"), to.rule, OneWay)
				t.moveOf(len(t.events))
			}
		}
		t.links = append(t.links, ledger.EiffelLink{Type: w.Type, Target: to.id})
	}
	own := t.links
	t.links = links
	if t.undecided() {
		return
	}
	data, name := t.makeAnchorData(l, k, art)
	subject := ""
	if name != "" {
		subject = k.ID
	}
	t.synthesize(l.Anchor, id, l.Type, k.Source, subject, data, own)
	if !t.replaying {
		record := ledger.EiffelEvent{Type: l.Anchor, Time: t.in.Time, Subject: k, Links: own, Emitted: true, Synthesized: true}
		anchor := ledger.Subject{Anchors: []ledger.Anchor{{Type: l.Anchor, First: id, Last: id, Synthesized: true, From: t.in.ID}}}
		if k.Kind == ledger.KindArtifact {
			record.Artifact, anchor.Text = art.purl, art.purl
		}
		if subject != "" && l.Anchor == typeActT {
			record.Name = name
		}
		t.learnSubject(k, &anchor)
		if ledger.ReferredTo(k.Kind) {
			t.learnMember(ledger.AboutName(k.Kind, k.ID), k.Source)
		}
		t.learnEvent(id, &record)
	}
	t.diagnose(DiagnosticSynthesized, "%s %s was synthesized for %s %q", l.Anchor, id, k.Kind, shorten(k.ID, 120))
}

// synthesize appends a made-up event to the output, which is needed for a link of the role. The subject is the id of what it
// stands for, where the data do not say.
func (t *toEiffel) synthesize(eiffelType, id, role, source, subject string, data []member, links []ledger.EiffelLink) {
	output := t.g.eiffel[eiffelType]
	if output.schema == nil || t.undecided() {
		return
	}
	e := Event{ID: id, Type: eiffelType, Version: output.version, Time: t.in.Time, Synthesized: true}
	w := t.beginEiffel(&e, source)
	if err := writeMembers(w, data); err != nil {
		t.refuse(t.invalidOutput("%v", err))
	}
	w.Name("customData")
	w.Array()
	beginEntry(w, carriedCDEvent)
	w.Object()
	w.Member("synthesizedFor", t.in.ID)
	w.Member("type", t.in.Type)
	w.Member("role", role)
	endMark(w)
	w.Close()
	if subject != "" {
		beginEntry(w, subjectKey)
		w.Object()
		w.Member("id", subject)
		w.Close()
		w.Close()
	}
	w.Close()
	t.events = append(t.events, t.endEiffel(w, &e, source, links))
}

// synthesizeComposition makes up a composition, which stands in for what a required link lacks, and learns it.
func (t *toEiffel) synthesizeComposition(id, role, name string, elements []string) {
	var links []ledger.EiffelLink
	for _, e := range elements {
		links = append(links, ledger.EiffelLink{Type: linkElement, Target: e})
	}
	t.synthesize(typeCD, id, role, t.in.Source, "", []member{textMember(name, "name")}, links)
	if !t.replaying {
		record := ledger.EiffelEvent{Type: typeCD, Time: t.in.Time, Links: links, Emitted: true, Synthesized: true}
		t.learnEvent(id, &record)
	}
}

// isSynthesized tells whether an Eiffel event is one that the bridge makes up for the event that its mark names.
func (g *Engine) isSynthesized(in *Event, mark jsondoc.Value) bool {
	if in.Type == typeCD {
		return isComposition(in, mark)
	}
	k, ok := g.subjectOfAnchor(in)
	return ok && in.ID == anchorID(in.Type, k)
}

// isComposition tells whether a composition is one that the bridge makes up.
func isComposition(in *Event, mark jsondoc.Value) bool {
	uri := in.doc.Root().At("meta", "source", "uri").Str()
	contextID := mark.Get("synthesizedFor").Str()
	if !madeID(in.ID) || len(uri) > maxMark {
		return false
	}
	if eventType := mark.Get("type"); eventType.Exists() {
		return in.ID == synthesizedID(mark.Get("role").Str(), uri, contextID, eventType.Str())
	}
	// A mark of the first version does not say for which type it was made: those that there were are tried.
	for _, c := range oldCompositions() {
		if in.ID == synthesizedID(c.role, uri, contextID, c.eventType) {
			return true
		}
	}
	return false
}

type oldComposition struct{ role, eventType string }

// oldCompositions are the links and types for which a mark without a type was written.
var oldCompositions = sync.OnceValue(func() (list []oldComposition) {
	for _, eventType := range schema.CDEventTypes() {
		switch name := nameOfType(eventType); {
		case name == "service.published":
			list = append(list, oldComposition{linkSubject, eventType})
		case strings.HasPrefix(name, "testcaserun."):
			list = append(list, oldComposition{linkIUT, eventType})
		}
	}
	return list
})
