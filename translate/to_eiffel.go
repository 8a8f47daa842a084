package translate

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/mappings"
)

// Eiffel event types that rows and judgements name.
const (
	typeActC = "EiffelActivityCanceledEvent"
	typeActF = "EiffelActivityFinishedEvent"
	typeActS = "EiffelActivityStartedEvent"
	typeActT = "EiffelActivityTriggeredEvent"
	typeAnnP = "EiffelAnnouncementPublishedEvent"
	typeArtC = "EiffelArtifactCreatedEvent"
	typeArtD = "EiffelArtifactDeployedEvent"
	typeCD   = "EiffelCompositionDefinedEvent"
	typeCLM  = "EiffelConfidenceLevelModifiedEvent"
	typeED   = "EiffelEnvironmentDefinedEvent"
	typeSCC  = "EiffelSourceChangeCreatedEvent"
	typeSCS  = "EiffelSourceChangeSubmittedEvent"
	typeTCS  = "EiffelTestCaseStartedEvent"
	typeTCF  = "EiffelTestCaseFinishedEvent"
	typeTSF  = "EiffelTestSuiteFinishedEvent"
	typeTCT  = "EiffelTestCaseTriggeredEvent"
	typeTSS  = "EiffelTestSuiteStartedEvent"
)

// Eiffel link types that rows and judgements name.
const (
	linkActivity      = "ACTIVITY_EXECUTION"
	linkArtifact      = "ARTIFACT"
	linkCause         = "CAUSE"
	linkChange        = "CHANGE"
	linkComposition   = "COMPOSITION"
	linkConfiguration = "CONFIGURATION"
	linkContext       = "CONTEXT"
	linkElement       = "ELEMENT"
	linkEnvironment   = "ENVIRONMENT"
	linkIUT           = "IUT"
	linkPrevious      = "PREVIOUS_VERSION"
	linkSubject       = "SUBJECT"
	linkTestCase      = "TEST_CASE_EXECUTION"
	linkTestSuite     = "TEST_SUITE_EXECUTION"
)

// toEiffel is the translation of one CDEvent.
type toEiffel struct {
	run
	row     *rowToEiffel
	name    string // subject.predicate
	subject SubjectKey
	version string         // of the Eiffel event type in the output edition
	schema  *schema.Schema // of the output
	id      string         // of the Eiffel event
	first   bool           // the event is the first of its anchor
	linked  bool           // the event came from an Eiffel event, all of whose links it has
	twin    *EiffelEvent   // what the ledger knows of the very event, if another bridge made it before
	links   []EiffelLink

	environment SubjectKey // that the content names, if any
	artifact    *artifact  // that the event is about or deploys, if any
}

func (g *Engine) translateToEiffel(in *Event, s *schema.Schema, facts *Facts) (Result, error) {
	t := &toEiffel{}
	t.start(g, in, facts)
	if t.giveBack(s) {
		return t.result, nil
	}
	t.readSubject(s)
	t.linked = t.markID != "" && (s == nil || s.Has("/context/links"))
	if err := t.chooseRow(); err != nil {
		return t.undecided(err)
	}
	if t.row.CDEvent == mappings.Any {
		if done, err := t.unmapped(); done {
			return t.result, err
		}
	}
	t.chooseID()
	if err := t.makeLinks(); err != nil {
		return t.undecided(err)
	}
	if !t.replaying {
		t.readReferences() // learning will look at them
		if t.row.Learns == mappings.LearnIncarnation {
			t.readEntry(t.subject, t.environment, t.artifact)
		}
	}
	if len(t.result.Need) > 0 {
		return Result{Need: t.result.Need}, nil
	}
	if t.row.If == rowAnchorExists && t.row.anchorType != typeAnnP {
		t.diagnose("anchor_exists", "%s %q has an %s already, and those have no later versions; the event is announced", t.subject.Kind, shorten(t.subject.ID, 120), t.row.anchorType)
	}
	t.readHead()
	data, err := t.makeData()
	if err != nil {
		return Result{}, err
	}
	if len(t.result.Need) > 0 {
		return Result{Need: t.result.Need}, nil
	}
	event, err := t.write(data)
	if err != nil {
		return Result{}, err
	}
	t.deliver(event)
	t.loseRest()
	if !t.replaying {
		t.learnAll()
		t.learn(decisionQuery(in), t.choices.Encode())
	}
	return t.result, nil
}

// readSubject reads what the event is about.
func (t *toEiffel) readSubject(s *schema.Schema) {
	if s != nil {
		t.name = s.Subject() + "." + s.Predicate()
	} else {
		t.name = nameOfType(t.in.Type)
	}
	t.subject = SubjectKey{Kind: kindOf(t.name), Source: t.in.Source, ID: t.in.Subject}
	t.subject.Source = t.ownSource()
	if t.subject.Kind == kindArtifact {
		t.readOwnArtifact()
	}
}

// readOwnArtifact reads which artifact the event is about; an Eiffel id stands for the artifact of that event.
func (t *toEiffel) readOwnArtifact() {
	if id, ok := uuidOfURN(t.in.Subject); ok {
		if t.artifact = t.artifactOfEvent(id); t.artifact != nil {
			t.subject = t.artifact.subject()
			return
		}
	}
	if _, unknown := uuidOfURN(t.in.Subject); unknown {
		a, _ := parseArtifact(t.in.Subject, t.g.settings.AllQualifiers)
		t.artifact = &a // it is linked to, and written nowhere
	} else {
		t.artifact = t.readArtifact(t.in.Subject)
	}
	t.subject = t.artifact.subject()
}

// readHead says where the members went that every CDEvent has.
func (t *toEiffel) readHead() {
	root := t.in.doc.Root()
	context, subject := root.Get("context"), root.Get("subject")
	switch {
	case t.id == t.in.ID:
		t.move(context.Get("id"), "/meta/id", "kept, since Eiffel accepts it", Exact)
	case t.row.ID == mappings.IDAnchor:
		t.move(context.Get("id"), "/data/customData/0", "in the mark; meta.id is made from the subject, so that others find it", OneWay)
	default:
		t.move(context.Get("id"), "/data/customData/0", "in the mark; meta.id is made from source, id and type, since Eiffel does not accept the id or knows it as another event", OneWay)
	}
	t.move(context.Get("source"), "/meta/source/uri", "kept", Exact)
	kind := Translated
	if t.row.If != "" {
		kind = OneWay // the ledger of the other side may judge otherwise
	}
	t.move(context.Get("type"), "/meta/type", t.row.rule, kind)
	if t.row.Eiffel == typeActC {
		t.moveAny(root.At("subject", "content", "outcome"), "/meta/type", t.row.rule, OneWay)
	}
	t.moveAny(context.Get("specversion"), "", bySchema, OneWay)
	t.moveAny(context.Get("version"), "", bySchema, OneWay)
	t.moveAny(subject.Get("type"), "", "says what the type says", OneWay)
	if source := subject.Get("source"); source.Str() == t.in.Source {
		t.moveAny(source, "/meta/source/uri", "kept", Exact)
	}
	const rule = "in milliseconds, rounded down"
	timestamp := context.Get("timestamp")
	exact, err := timestampFromMillis(t.in.Time)
	switch {
	case err == nil && exact != timestamp.Str() && !wholeMillis(timestamp.Str()):
		t.move(timestamp, "/meta/time", rule, OneWay)
		t.lose(timestamp, "precision")
	case exact == timestamp.Str():
		t.move(timestamp, "/meta/time", rule, Exact)
	default:
		t.move(timestamp, "/meta/time", rule, Translated)
	}
}

// bySchema is the rule for a version.
const bySchema = "says by which schema the event is read"

// wholeMillis tells whether a timestamp says no more than its milliseconds: nothing but zeros follows the third digit.
func wholeMillis(timestamp string) bool {
	if len(timestamp) > 19 && timestamp[17:19] == "60" {
		return false // a leap second becomes the end of the one before
	}
	_, fraction, _ := strings.Cut(timestamp, ".")
	for i := 0; i < len(fraction) && fraction[i] >= '0' && fraction[i] <= '9'; i++ {
		if i >= 3 && fraction[i] != '0' {
			return false
		}
	}
	return true
}

// nameOfType gives subject.predicate of a CDEvents type.
func nameOfType(eventType string) string {
	name := strings.TrimSuffix(eventType, "."+versionOf(eventType))
	if rest, ok := strings.CutPrefix(name, "dev.cdevents."); ok {
		return rest
	}
	if rest, ok := strings.CutPrefix(name, "dev.cdeventsx."); ok && strings.Contains(rest, "-") {
		return rest
	}
	return foreign + eventType
}

// foreign begins the name of a type that is not of CDEvents' making, so that it is not taken for one of theirs.
const foreign = "="

// readArtifact reads an artifact's identity and says so if it is no purl.
func (r *run) readArtifact(text string) *artifact {
	a, ok := parseArtifact(text, r.g.settings.AllQualifiers)
	if !ok {
		r.diagnose("not_a_purl", "the artifact id %q is no purl and was written as %s", shorten(text, 80), shorten(a.purl, 120))
	}
	return &a
}

// chooseID gives the Eiffel event its id (section 2).
func (t *toEiffel) chooseID() {
	if t.markID != "" && !t.refersTo(t.in.ID) {
		// The event came from the Eiffel event of its own id.
		t.id = t.in.ID
		anchor := t.subjectRecord(t.subject).Anchor(t.row.Eiffel)
		t.first = anchor == nil || anchor.First == t.id
		return
	}
	if t.row.ID == mappings.IDAnchor {
		first := anchorID(t.row.Eiffel, t.subject)
		t.id = t.choose("id", first, func() string {
			if id := t.findTwin(); id != "" {
				return id
			}
			anchor := t.subjectRecord(t.subject).Anchor(t.row.Eiffel)
			if anchor == nil {
				return first
			}
			return versionID(t.row.Eiffel, t.subject, t.in)
		})
		t.first = t.id == first
		return
	}
	standard := eventID(t.in)
	if schema.IsEiffelID(t.in.ID) && !t.refersTo(t.in.ID) {
		standard = t.in.ID
	}
	t.id = t.choose("id", standard, func() string {
		if id := t.findTwin(); id != "" {
			return id
		}
		if standard == t.in.ID && t.ownEvent() != nil {
			return eventID(t.in)
		}
		return standard
	})
}

// refersTo tells whether a required link would lead to that Eiffel id: the event cannot bear it then.
func (t *toEiffel) refersTo(id string) bool {
	for i := range t.row.Links {
		v := t.in.doc.Root().Pointed(t.row.Links[i].Reference)
		if t.row.Links[i].Required && (v.Str() == urnUUID+id || v.Get("id").Str() == urnUUID+id) {
			return true
		}
	}
	return false
}

// findTwin looks for the Eiffel event that the CDEvent became elsewhere: another bridge's, which came round. The same
// event gets the same id and the same links of its row. It gives the id, "" if there is none.
func (t *toEiffel) findTwin() string {
	same := t.contexts(t.in.ID).Find(t.in.Source, t.in.Type)
	if same == nil {
		return ""
	}
	id := sameID(same, t.in.ID)
	t.twin = t.eiffelEvent(id)
	return id
}

// twinTarget is the target that the twin's link of a type has; false if there is no twin whose links are known.
func (t *toEiffel) twinTarget(linkType string) (string, bool) {
	if t.twin == nil || len(t.twin.Links) == 0 {
		return "", false
	}
	return target(t.twin.Links, linkType), true
}

// sameID is the Eiffel id of an event that the ledger has met before, by another way than translating it here.
func sameID(c *Context, id string) string {
	if c.Eiffel != "" {
		return c.Eiffel
	}
	return id
}

func (t *toEiffel) stamp() Stamp { return Stamp{Time: t.in.Time, ID: t.id} }

// makeLinks makes the row's own links, then those of the CDEvent. One that came from an Eiffel event says itself which
// links that one had, but for versions of CDEvents without links: only what Eiffel requires is made by the row then, if it is
// missing.
func (t *toEiffel) makeLinks() error {
	if t.linked {
		t.mergeLinks()
	}
	for i := range t.row.Links {
		l := &t.row.Links[i]
		if t.linked && (!l.Required || target(t.links, l.Type) != "") {
			continue
		}
		if err := t.makeRowLink(l); err != nil {
			return err
		}
	}
	if !t.linked {
		t.mergeLinks()
	}
	return nil
}

// makeRowLink makes one of the row's links, if its target is known.
func (t *toEiffel) makeRowLink(l *mappings.Link) error {
	var to rowTarget
	switch l.Target {
	case mappings.TargetAnchor:
		to = t.anchorTarget(l)
	case mappings.TargetPrevious:
		to.id = t.previousTarget(l.Type)
	case mappings.TargetRunning:
		to = t.runningTarget(l)
	case mappings.TargetTested:
		to.id = t.testedTarget(l.Type)
	case mappings.TargetValue:
		text, err := t.evaluateText(l.Value, t.subject, t.linkPointer("/target"), t.row.rule)
		if err != nil {
			return err
		}
		if text != "" {
			to.id, _ = t.linkTarget("value/"+l.Type, l.Type, text, false)
		}
	}
	if to.id == "" || to.id == t.id {
		return nil
	}
	pointer := t.linkPointer("/target")
	if len(to.from) == 0 {
		t.move(jsondoc.Value{}, pointer, "the "+l.Target+" of "+t.row.rule, OneWay)
	}
	for _, v := range to.from {
		if v.Str() == "" {
			continue // a source that is empty says nothing
		}
		fidelity := to.fidelity
		if v.Key() == "source" && to.aliased {
			fidelity = OneWay
		}
		t.moveAny(v, pointer, to.rule, fidelity)
	}
	t.links = append(t.links, EiffelLink{Type: l.Type, Target: to.id})
	return nil
}

// linkPointer points into the link that is made next; it is only needed for moves.
func (t *toEiffel) linkPointer(member string) string {
	if !t.g.settings.Explain {
		return ""
	}
	return "/links/" + strconv.Itoa(len(t.links)) + member
}

// rowTarget is the target of a row's link, and the values of the CDEvent that say so.
type rowTarget struct {
	id       string
	from     []jsondoc.Value
	rule     string
	fidelity Fidelity
	aliased  bool // the reference means a subject of another source than it says
}

// previousTarget is the last version of the event's own anchor; none for the first, and none if the environment was gone.
func (t *toEiffel) previousTarget(linkType string) string {
	return t.choose("previous", "", func() string {
		if target, ok := t.twinTarget(linkType); ok && linkType == linkPrevious { // a CAUSE may be another
			return target
		}
		s := t.subjectRecord(t.subject)
		anchor := s.Anchor(t.row.Eiffel)
		if t.first || anchor == nil || t.subject.Kind == kindEnvironment && s.Closed() {
			return ""
		}
		return anchor.Last
	})
}

// anchorTarget is the Eiffel event that stands for the subject that a row's link refers to. A required one that nobody
// knows is synthesized; the choice then begins with "+".
func (t *toEiffel) anchorTarget(l *mappings.Link) (to rowTarget) {
	v := t.in.doc.Root().Pointed(l.Reference)
	if !v.Exists() {
		return to
	}
	to.rule = "link to the " + l.Subject + "'s " + l.Anchor
	var k SubjectKey
	art := t.artifact // for an artifact that is to be synthesized
	id := ""          // of the Eiffel event that the reference names itself
	switch {
	case l.Reference == "/subject":
		k = t.subject
		to.from = []jsondoc.Value{v.Get("id"), v.Get("source")}
		id, _ = uuidOfURN(t.in.Subject)
	case l.Subject == kindArtifact:
		to.from = []jsondoc.Value{v}
		if id, _ = uuidOfURN(v.Str()); id != "" {
			t.artifact = t.artifactOfEvent(id)
			break
		}
		t.artifact = t.readArtifact(v.Str())
		if t.artifact.purl != v.Str() {
			to.fidelity = Translated
		}
		art, k = t.artifact, t.artifact.subject()
	default:
		k = t.readReference(l.Subject, v)
		to.from = []jsondoc.Value{v.Get("id"), v.Get("source")}
		if id, _ = uuidOfURN(k.ID); id != "" {
			to.fidelity, to.aliased = Translated, true
			known := t.eiffelEvent(id)
			if known == nil && !l.Required {
				to.fidelity = OneWay
			}
			if known != nil && known.Subject.Kind == l.Subject {
				k = known.Subject
			}
		} else {
			source := k.Source
			k = t.resolve(l.Subject, k)
			to.aliased = k.Source != source
		}
		if l.Subject == kindEnvironment {
			t.environment = k
		}
	}
	if id != "" {
		if t.namesEvent(l, id) {
			to.id = id
			return to
		}
		if !l.Required {
			return to
		}
		if l.Subject == kindArtifact {
			a := t.readArtifact(urnUUID + id)
			t.artifact, art, k = a, a, a.subject()
		}
	}
	first := anchorID(l.Anchor, k)
	standard := ""
	if l.Required {
		standard = "+" + first
		if t.g.settings.Synthesize == SynthesizeNever {
			standard = first
		}
	}
	choice := t.choose("link/"+l.Type, standard, func() string {
		if target, ok := t.twinTarget(l.Type); ok && target != "" {
			return target
		}
		s := t.subjectRecord(k)
		if a := s.Anchor(l.Or); a != nil {
			return a.Last
		}
		if a := s.Anchor(l.Anchor); a != nil {
			if l.Required && a.Synthesized && a.Last == a.First && t.g.settings.Synthesize == SynthesizeAlways {
				return "+" + a.First
			}
			return a.Last
		}
		if l.Required && t.g.settings.Synthesize == SynthesizeNever {
			t.miss(subjectQuery(k), l.Type, "%s %q", k.Kind, k.ID)
		}
		return standard
	})
	target, synthesized := strings.CutPrefix(choice, "+")
	if synthesized {
		t.synthesizeAnchor(l, target, k, art)
	}
	to.id = target
	return to
}

// namesEvent tells whether a reference that names an Eiffel event itself becomes a link to it: unless that is known to be
// of another type than the link may point to. A required link is then made as for any other reference.
func (t *toEiffel) namesEvent(l *mappings.Link, id string) bool {
	const yes, no = "1", ""
	names := t.choose("names/"+l.Type, yes, func() string {
		known := t.eiffelEvent(id)
		if known == nil || known.Type == "" || t.mayTarget(l.Type, known.Type) {
			return yes
		}
		return no
	}) == yes
	if !names {
		t.diagnose("wrong_type", "the reference %s%s names an event that a link of type %s may not lead to", urnUUID, id, l.Type)
	}
	return names
}

// readReference reads {id, source} of another subject; the source is the event's subject's where it has none.
func (t *toEiffel) readReference(kind string, v jsondoc.Value) SubjectKey {
	k := SubjectKey{Kind: kind, Source: t.subject.Source, ID: v.Get("id").Str()}
	if kindOf(t.name) == kindArtifact {
		k.Source = t.ownSource() // an artifact's key has none
	}
	if source := v.Get("source"); source.Str() != "" {
		k.Source = source.Str()
	}
	return k
}

// ownSource is the source of the event's subject as the event has it.
func (t *toEiffel) ownSource() string {
	if source := t.in.doc.Root().At("subject", "source"); source.Str() != "" {
		return source.Str()
	}
	return t.in.Source
}

// artifactOfEvent is the artifact of a known ArtC, nil if the ledger does not know it.
func (t *toEiffel) artifactOfEvent(id string) *artifact {
	if known := t.eiffelEvent(id); known != nil && known.Artifact != "" {
		a, _ := parseArtifact(known.Artifact, t.g.settings.AllQualifiers)
		return &a
	}
	return nil
}

// synthesizeAnchor makes up an anchor from what the reference says: it depends on nothing else but its mark and the time
// of the event that needs it. The anchor of the event's own subject says what the event can say of it besides: its name,
// since a task run has no other event that could (section 6, Required text), and the links that the row gives it. Its id
// follows from the subject alone in any case.
func (t *toEiffel) synthesizeAnchor(l *mappings.Link, id string, k SubjectKey, art *artifact) {
	links := t.links
	t.links = nil
	for i := range l.With {
		// The targets of these are chosen here, where it is certain that the anchor is made.
		w := &l.With[i]
		switch w.Target {
		case mappings.TargetTested:
			if to := t.testedTarget(w.Type); to != "" {
				t.links = append(t.links, EiffelLink{Type: w.Type, Target: to})
			}
		case mappings.TargetAnchor:
			if to := t.anchorTarget(w); to.id != "" && to.id != id {
				for _, v := range to.from {
					t.moveAny(v, t.linkPointer("/target"), to.rule, OneWay)
					t.moveOf(len(t.result.Events))
				}
				t.links = append(t.links, EiffelLink{Type: w.Type, Target: to.id})
			}
		}
	}
	own := t.links
	t.links = links
	if len(t.result.Need) > 0 {
		return // nothing is decided yet
	}
	name, subject := k.ID, ""
	if l.Reference == "/subject" {
		if v := t.anchorName(l.Anchor); v.Str() != "" {
			t.moveAny(v, "/data"+anchorNameAt(l.Anchor), "name of the synthesized "+l.Anchor, OneWay)
			t.moveOf(len(t.result.Events))
			name, subject = v.Str(), k.ID
		}
	}
	var data []member
	switch l.Anchor {
	case typeArtC:
		data = append(data, stringMember("/identity", art.purl))
	case typeActT:
		data = append(data, stringMember(anchorNameAt(l.Anchor), name))
		if category := t.g.category(k.Kind); category != "" {
			data = append(data, member{"/categories", append(jsondoc.AppendString([]byte{'['}, category), ']')})
		}
	case typeSCC:
		data = append(data, stringMember("/change/id", k.ID), stringMember("/change/tracker", k.Source))
	default:
		data = append(data, stringMember(anchorNameAt(l.Anchor), name))
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
		t.learn(subjectQuery(k), anchor.Encode())
		if ReferredTo(k.Kind) {
			t.learn(nameQuery(k.Kind, k.ID), Set{k.Source}.Encode())
		}
		t.learn(eventQuery(id), record.Encode())
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
func anchorNameAt(eiffelType string) string {
	if eiffelType == typeTCT {
		return "/testCase/id"
	}
	return "/name"
}

// synthesize appends a made-up event to the output. The subject is the id of what it stands for, where the data do not say.
func (t *toEiffel) synthesize(eiffelType, id, source, subject string, data []member, links []EiffelLink) {
	version, ok := schema.EditionVersion(t.g.settings.Edition, eiffelType)
	if !ok {
		return
	}
	mark := append([]byte(`[{"key":"`+carriedCDEvent+`","value":{"synthesizedFor":`), jsondoc.AppendString(nil, t.in.ID)...)
	mark = append(mark, `}}`...)
	if subject != "" {
		mark = append(mark, `,{"key":"`+subjectKey+`","value":{"id":`...)
		mark = jsondoc.AppendString(mark, subject)
		mark = append(mark, `}}`...)
	}
	data = append(data, member{"/customData", append(mark, ']')})
	e := Event{Protocol: Eiffel, ID: id, Type: eiffelType, Version: version, Time: t.in.Time, Synthesized: true}
	e.JSON = t.appendEiffel(nil, &e, source, data, links)
	t.result.Events = append(t.result.Events, e)
}

// makeData writes the row's members of data, then the custom data.
func (t *toEiffel) makeData() ([]member, error) {
	var data []member
	for i := range t.row.data {
		f := &t.row.data[i]
		if !t.schema.Has(f.at) {
			continue
		}
		raw, err := t.makeField(f, f.at)
		if err != nil {
			return nil, err
		}
		if raw != nil {
			data = append(data, member{f.To, raw})
		}
	}
	custom, err := t.customData()
	if err != nil {
		return nil, err
	}
	data = append(data, member{"/customData", custom})
	subject := t.in.doc.Root().Get("subject")
	for _, v := range []jsondoc.Value{subject.Get("id"), subject.Get("source")} {
		if t.row.ID == mappings.IDAnchor && v.Str() != "" && !t.used[v.Index()] {
			t.move(v, "/meta/id", "the anchor's id follows from the subject", OneWay)
		}
	}
	return data, nil
}

// makeField gives a member's value, nil for none.
func (t *toEiffel) makeField(f *field[toEiffel], at string) ([]byte, error) {
	if f.Value != nil {
		raw, err := t.evaluate(f.Value, t.subject, at, t.row.rule)
		if err != nil || raw != nil {
			return raw, err
		}
	}
	for _, p := range f.From {
		v := t.in.doc.Root().Pointed(p)
		if v.Kind() != jsondoc.String || v.Str() == "" {
			continue
		}
		if f.vocabulary != nil {
			word, known := f.vocabulary.eiffel(v.Str())
			if known {
				t.move(v, at, f.rule, Translated)
			}
			return textOrNone(word), nil
		}
		if !t.schema.Allows(at, v.Str()) {
			continue
		}
		fidelity := Exact
		if (v.Key() == "uri" || v.Key() == "url") && !isURI(v.Str()) {
			fidelity = OneWay // Eiffel's are free text; those of CDEvents are mostly not
		}
		t.move(v, at, t.row.rule, fidelity)
		return v.Raw(), nil
	}
	return f.rest(t, &t.run, at, t.row.rule, func(v *vocabulary) string { return v.Otherwise.Eiffel }), nil
}

// textOrNone writes a string as JSON; nil for none.
func textOrNone(s string) []byte {
	if s == "" {
		return nil
	}
	return jsondoc.AppendString(nil, s)
}

// dataJudgements say what a member of data is where no field of the CDEvent gives it, as JSON; nil leaves it out.
var dataJudgements = map[string]func(*toEiffel) []byte{
	"heading":            (*toEiffel).heading,
	"deployment":         (*toEiffel).deploymentDescription,
	"purl":               (*toEiffel).purl,
	"locations":          (*toEiffel).locations,
	"tracker":            (*toEiffel).tracker,
	"triggers":           (*toEiffel).triggers,
	"outcomeDescription": (*toEiffel).outcomeDescription,
	"buildConclusion":    (*toEiffel).buildConclusion,
}

// customData is the event's custom data: the carried original or the mark, the row's own entries, and without carrying
// the user's own.
func (t *toEiffel) customData() ([]byte, error) {
	root := t.in.doc.Root()
	custom := root.Get("customData")
	entries := 0
	b := []byte{'['}
	entry := func(key string, raw []byte) (pointer string) {
		if entries > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"key":`...)
		b = jsondoc.AppendString(b, key)
		b = append(b, `,"value":`...)
		b = append(b, raw...)
		b = append(b, '}')
		entries++
		return "/data/customData/" + strconv.Itoa(entries-1) + "/value"
	}
	carry := t.g.settings.Carry == CarryOriginal
	if carry {
		entry(carriedCDEvent, append(t.appendCarried([]byte(`{"event":`)), '}'))
	} else {
		entry(carriedCDEvent, append(jsondoc.AppendString([]byte(`{"id":`), t.in.ID), '}'))
		t.identify(entry)
	}
	for i := range t.row.custom {
		f := &t.row.custom[i]
		raw, err := t.makeField(f, "/data/customData/"+strconv.Itoa(entries)+"/value")
		if err != nil {
			return nil, err
		}
		if raw != nil {
			entry(f.To[1:], raw)
		}
	}
	if carry {
		return append(b, ']'), nil
	}
	switch custom.Kind() {
	case jsondoc.Object:
		for v := range custom.Children() {
			if t.own(v.Key(), v) {
				t.lose(v, "envelope")
				continue
			}
			t.move(v, entry(v.Key(), v.Raw()), "custom data, one entry per key", Exact)
		}
		if contentType := root.Get("customDataContentType"); contentType.Str() == "application/json" {
			t.move(contentType, "", "custom data is an object", Exact)
		}
	case jsondoc.String:
		// CDEvents' own mark needs an object, so that this does not come back as it was.
		t.lose(custom, "one_way")
		raw := append([]byte(`{"customData":`), custom.Raw()...)
		contentType := root.Get("customDataContentType")
		if contentType.Exists() {
			raw = append(raw, `,"customDataContentType":`...)
			raw = append(raw, contentType.Raw()...)
		}
		at := entry("customData", append(raw, '}'))
		if contentType.Exists() {
			t.move(contentType, at+"/customDataContentType", "custom data that is no object", OneWay)
		}
	}
	return append(b, ']'), nil
}

// identify writes what the event is about where the original is not there to say it: the subject, which the Eiffel event
// may not name, and of a deployment the service.
func (t *toEiffel) identify(entry func(key string, raw []byte) string) {
	subject := t.in.doc.Root().Get("subject")
	id, source := subject.Get("id"), subject.Get("source")
	raw := append([]byte(`{"id":`), id.Raw()...)
	foreign := source.Str() != "" && source.Str() != t.in.Source
	if foreign {
		raw = append(append(raw, `,"source":`...), source.Raw()...)
	}
	at := entry(subjectKey, append(raw, '}'))
	t.move(id, at+"/id", "custom data "+subjectKey, Exact)
	if foreign {
		t.move(source, at+"/source", "custom data "+subjectKey, Exact)
	}
	if t.row.Learns == mappings.LearnIncarnation {
		entry(t.g.settings.ServiceIDKey, id.Raw())
	}
}

// appendEiffel writes an Eiffel event. Members that the event's version does not have are left out.
func (t *toEiffel) appendEiffel(b []byte, e *Event, source string, data []member, links []EiffelLink) []byte {
	b = append(b, `{"meta":{"id":"`...)
	b = append(b, e.ID...)
	b = append(b, `","type":"`...)
	b = append(b, e.Type...)
	b = append(b, `","version":"`...)
	b = append(b, e.Version...)
	b = append(b, `","time":`...)
	b = strconv.AppendInt(b, e.Time, 10)
	b = append(b, `,"source":{"serializer":`...)
	b = jsondoc.AppendString(b, t.g.serializer)
	if source != "" {
		b = append(b, `,"uri":`...)
		b = jsondoc.AppendString(b, source)
	}
	b = append(b, `}},"data":{`...)
	b = appendMembers(b, data)
	b = append(b, `},"links":[`...)
	for i, l := range links {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"type":"`...)
		b = append(b, l.Type...)
		b = append(b, `","target":"`...)
		b = append(b, l.Target...)
		b = append(b, '"')
		if l.DomainID != "" {
			b = append(b, `,"domainId":`...)
			b = jsondoc.AppendString(b, l.DomainID)
		}
		b = append(b, '}')
	}
	return append(b, `]}`...)
}

// write makes the output event and holds all of the output against the schemas.
func (t *toEiffel) write(data []member) (Event, error) {
	e := Event{Protocol: Eiffel, ID: t.id, Source: t.in.Source, Type: t.row.Eiffel, Version: t.version, Time: t.in.Time}
	e.JSON = t.appendEiffel(make([]byte, 0, len(t.in.JSON)+512), &e, t.in.Source, data, t.links)
	for i := range t.result.Events {
		if err := finish(&t.result.Events[i], t.in); err != nil {
			return Event{}, err
		}
	}
	return e, finish(&e, t.in)
}

// finish reads a written event back and validates it: what the bridge sends is never invalid.
func finish(e *Event, in *Event) error {
	doc, err := jsondoc.Parse(e.JSON)
	if err != nil {
		return in.fail(CodeInvalidOutput, "", fmt.Sprintf("the %s that it became is no JSON: %v", e.Type, err))
	}
	synthesized := e.Synthesized
	*e, err = decode(doc)
	if err != nil {
		return in.fail(CodeInvalidOutput, "", fmt.Sprintf("the event that it became: %v", err))
	}
	e.Synthesized = synthesized
	if _, findings := check(e); len(findings) > 0 {
		return in.fail(CodeInvalidOutput, "", fmt.Sprintf("the event that it became is not valid: %v", findings[0]))
	}
	return nil
}
