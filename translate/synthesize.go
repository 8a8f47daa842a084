package translate

import (
	"fmt"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/mappings"
)

// synthesizeAnchor makes up an anchor from what the reference says: it depends on nothing else but its mark and the time
// of the event that needs it. The anchor of the event's own subject says what the event can say of it besides: its name,
// since a task run has no other event that could (section 6, Required text), and the links that the row gives it. Its id
// follows from the subject alone in any case.
func (t *toEiffel) synthesizeAnchor(l *rowLink, id string, k SubjectKey, art *artifact) {
	links := t.links
	t.links = nil
	for i := range l.with {
		// The targets of these are chosen here, where it is certain that the anchor is made.
		w := &l.with[i]
		switch w.Target {
		case mappings.TargetTested:
			if to := t.testedTarget(w.Type); to != "" {
				t.links = append(t.links, EiffelLink{Type: w.Type, Target: to})
			}
		case mappings.TargetAnchor:
			if to := t.anchorTarget(w); to.id != "" && to.id != id {
				for _, v := range to.from[:to.count] {
					t.moveAny(v, t.linkPointer("/target"), to.rule, OneWay)
					t.moveOf(len(t.events))
				}
				t.links = append(t.links, EiffelLink{Type: w.Type, Target: to.id})
			}
		}
	}
	own := t.links
	t.links = links
	if t.undecided() {
		return
	}
	name, subject := k.ID, ""
	if l.own {
		if v := t.anchorName(l.Anchor); v.Str() != "" {
			t.moveAny(v, "/data/"+strings.Join(anchorNameAt(l.Anchor), "/"), "name of the synthesized "+l.Anchor, OneWay)
			t.moveOf(len(t.events))
			name, subject = v.Str(), k.ID
		}
	}
	var data []member
	switch l.Anchor {
	case typeArtC:
		data = append(data, textMember(art.purl, "identity"))
	case typeActT:
		data = append(data, textMember(name, anchorNameAt(l.Anchor)...))
		if category := t.g.category(k.Kind); category != "" {
			data = append(data, member{[]string{"categories"}, value{raw: append(jsondoc.AppendString([]byte{'['}, category), ']')}})
		}
	case typeSCC:
		data = append(data, textMember(k.ID, "change", "id"), textMember(k.Source, "change", "tracker"))
	default:
		data = append(data, textMember(name, anchorNameAt(l.Anchor)...))
	}
	t.synthesize(l.Anchor, id, k.Source, subject, data, own)
	if !t.replaying {
		record := EiffelEvent{Type: l.Anchor, Time: t.in.Time, Subject: k, Links: own, Emitted: true, Synthesized: true}
		anchor := Subject{Anchors: []Anchor{{Type: l.Anchor, First: id, Last: id, Synthesized: true, From: t.in.ID}}}
		if k.Kind == kindArtifact {
			record.Artifact, anchor.Text = art.purl, art.purl
		}
		if subject != "" && l.Anchor == typeActT {
			record.Name = name
		}
		t.learn(t.subjectQuery(k), anchor.Encode())
		if ReferredTo(k.Kind) {
			t.learn(t.nameQuery(k.Kind, k.ID), Set{k.Source}.Encode())
		}
		t.learn(t.eventQuery(id), record.Encode())
	}
	t.diagnose("synthesized", "%s %s was synthesized for %s %q", l.Anchor, id, k.Kind, shorten(k.ID, 120))
}

// anchorName is what the event calls its own subject, in an anchor of that type.
func (t *toEiffel) anchorName(eiffelType string) jsondoc.Value {
	content := t.in.doc.Root().At("subject", "content")
	var names []jsondoc.Value
	switch eiffelType {
	case typeActT:
		names = []jsondoc.Value{content.Get("pipelineName"), content.Get("taskName")}
	case typeTSS:
		names = []jsondoc.Value{content.At("testSuite", "name"), content.At("testSuite", "id")}
	case typeTCT:
		names = []jsondoc.Value{content.At("testCase", "id")}
	}
	for _, v := range names {
		if v.Str() != "" {
			return v
		}
	}
	return jsondoc.Value{}
}

// anchorNameAt is where an anchor of that type has its name.
func anchorNameAt(eiffelType string) []string {
	if eiffelType == typeTCT {
		return []string{"testCase", "id"}
	}
	return []string{"name"}
}

// synthesize appends a made-up event to the output. The subject is the id of what it stands for, where the data do not say.
func (t *toEiffel) synthesize(eiffelType, id, source, subject string, data []member, links []EiffelLink) {
	output := t.g.eiffel[eiffelType]
	if output.schema == nil || t.undecided() {
		return
	}
	e := Event{ID: id, Type: eiffelType, Version: output.version, Time: t.in.Time, Synthesized: true}
	w := t.beginEiffel(&e, source, synthesizedRoom)
	t.failWriting(writeMembers(w, data))
	w.Name("customData")
	w.Array()
	beginEntry(w, carriedCDEvent)
	w.Object()
	w.Member("synthesizedFor", t.in.ID)
	w.Close()
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

// synthesizedRoom is about as many bytes as a synthesized event has.
const synthesizedRoom = 768

// synthesizeComposition makes up a composition, which stands in for what a required link lacks, and learns it.
func (t *toEiffel) synthesizeComposition(id, name string, elements []string) {
	var links []EiffelLink
	for _, e := range elements {
		links = append(links, EiffelLink{Type: linkElement, Target: e})
	}
	t.synthesize(typeCD, id, t.in.Source, "", []member{textMember(name, "name")}, links)
	if !t.replaying {
		record := EiffelEvent{Type: typeCD, Time: t.in.Time, Links: links, Emitted: true, Synthesized: true}
		t.learn(t.eventQuery(id), record.Encode())
	}
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
