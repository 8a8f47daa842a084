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
// since a task run has no other event that could (section 6, Required text), and the links that the row gives it. Its id
// follows from the subject alone in any case.
func (t *toEiffel) synthesizeAnchor(l *rowLink, id string, k ledger.SubjectKey, art *artifact) {
	links := t.links
	t.links = nil
	for i := range l.with {
		// The targets of these are chosen here, where it is certain that the anchor is made.
		w := &l.with[i]
		switch w.Target {
		case mappings.TargetTested:
			if to := t.testedTarget(w.Type); to != "" {
				t.links = append(t.links, ledger.EiffelLink{Type: w.Type, Target: to})
			}
		case mappings.TargetAnchor:
			if to := t.anchorTarget(w); to.id != "" && to.id != id {
				for _, v := range to.from[:to.count] {
					t.moveAny(v, t.linkPointer("/target"), to.rule, OneWay)
					t.moveOf(len(t.events))
				}
				t.links = append(t.links, ledger.EiffelLink{Type: w.Type, Target: to.id})
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
			data = append(data, member{[]string{"categories"}, jsonValue(append(jsondoc.AppendString([]byte{'['}, category), ']'))})
		}
	case typeSCC:
		data = append(data, textMember(k.ID, "change", "id"), textMember(k.Source, "change", "tracker"))
	default:
		data = append(data, textMember(name, anchorNameAt(l.Anchor)...))
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

// subjectOfAnchor is the subject for which a synthesized anchor stands: it says little but that.
func (g *Engine) subjectOfAnchor(in *Event) (ledger.SubjectKey, bool) {
	root := in.doc.Root()
	data := root.Get("data")
	k := ledger.SubjectKey{Source: root.At("meta", "source", "uri").Str(), ID: data.Get("name").Str()}
	switch in.Type {
	case typeED:
		k.Kind = ledger.KindEnvironment
	case typeArtC:
		identity := data.Get("identity").Str()
		if len(identity) > maxID {
			return ledger.SubjectKey{}, false
		}
		a, _ := parseArtifact(identity, g.settings.AllQualifiers)
		k = a.subject()
	case typeActT:
		k.Kind, _, _ = g.activityKind(in)
	case typeTSS:
		k.Kind = ledger.KindTestSuiteRun
	case typeTCT:
		k.Kind, k.ID = ledger.KindTestCaseRun, data.At("testCase", "id").Str()
	case typeSCC:
		k.Kind, k.ID = ledger.KindChange, data.At("change", "id").Str()
	default:
		return ledger.SubjectKey{}, false
	}
	for entry := range data.Get("customData").Children() {
		if entry.Get("key").Str() == subjectKey { // it has a name of its own
			k.ID = entry.At("value", "id").Str()
			break
		}
	}
	return k, true
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
