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
	typeArtC = "EiffelArtifactCreatedEvent"
	typeArtD = "EiffelArtifactDeployedEvent"
	typeCD   = "EiffelCompositionDefinedEvent"
	typeCLM  = "EiffelConfidenceLevelModifiedEvent"
	typeED   = "EiffelEnvironmentDefinedEvent"
)

// Eiffel link types that rows and judgements name.
const (
	linkArtifact      = "ARTIFACT"
	linkCause         = "CAUSE"
	linkConfiguration = "CONFIGURATION"
	linkContext       = "CONTEXT"
	linkEnvironment   = "ENVIRONMENT"
	linkPrevious      = "PREVIOUS_VERSION"
	linkSubject       = "SUBJECT"
)

// toEiffel is the translation of one CDEvent.
type toEiffel struct {
	run
	row     *mappings.ToEiffel
	name    string // subject.predicate
	subject SubjectKey
	version string         // of the Eiffel event type in the output edition
	schema  *schema.Schema // of the output
	id      string         // of the Eiffel event
	first   bool           // the event is the first of its anchor
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
	if err := t.chooseRow(); err != nil {
		return Result{}, err
	}
	if t.row.CDEvent == mappings.Any {
		if done, err := t.unmapped(); done {
			return t.result, err
		}
	}
	t.chooseID()
	t.makeRowLinks()
	t.mergeLinks()
	if t.row.Learns == mappings.LearnIncarnation && !t.replaying {
		t.line(t.subject, t.environment) // learning will look at it
	}
	if len(t.result.Need) > 0 {
		return Result{Need: t.result.Need}, nil
	}
	data := t.makeData()
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
	root := t.in.doc.Root()
	subject := root.Get("subject")
	kind, _, _ := strings.Cut(t.name, ".")
	t.subject = SubjectKey{Kind: kind, Source: t.in.Source, ID: t.in.Subject}
	if source := subject.Get("source"); source.Exists() {
		t.subject.Source = source.Str()
		if t.subject.Source == t.in.Source {
			t.use(source)
		}
	}
	if kind == "artifact" {
		t.artifact = t.readArtifact(t.in.Subject)
		t.subject = t.artifact.subject()
	}
	context := root.Get("context")
	for _, name := range []string{"id", "source", "type", "specversion", "version"} {
		t.use(context.Get(name))
	}
	t.use(subject.Get("type"))
	timestamp := context.Get("timestamp")
	t.use(timestamp)
	if exact, err := timestampFromMillis(t.in.Time); err == nil && exact != timestamp.Str() {
		if !wholeMillis(timestamp.Str()) {
			t.lose(timestamp, "precision")
		}
	}
}

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

func (t *toEiffel) chooseRow() error {
	t.row = t.g.toEiffel[t.name]
	if t.row == nil {
		t.row = t.g.toEiffel[mappings.Any]
	}
	version, ok := schema.EditionVersion(t.g.settings.Edition, t.row.Eiffel)
	if !ok {
		return t.in.fail(CodeNotInEdition, "/context/type", fmt.Sprintf("%s becomes an %s, which edition %s of Eiffel does not have; Orizaba has it",
			article(t.name), t.row.Eiffel, t.g.settings.Edition))
	}
	s, err := schema.ForEiffel(t.row.Eiffel, version)
	if err != nil {
		return t.in.fail(CodeNotInEdition, "/context/type", err.Error())
	}
	t.version, t.schema = version, s
	return nil
}

// chooseID gives the Eiffel event its id (section 2).
func (t *toEiffel) chooseID() {
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
	same := t.contexts(t.in.ID).find(t.in.Source, t.in.Type)
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

func (t *toEiffel) stamp() Stamp { return Stamp{t.in.Time, t.id} }

func (t *toEiffel) makeRowLinks() {
	for i := range t.row.Links {
		l := &t.row.Links[i]
		var target string
		switch l.Target {
		case mappings.TargetAnchor:
			target = t.anchorTarget(l)
		case mappings.TargetPrevious:
			target = t.previousTarget()
		case mappings.TargetRunning:
			target = t.runningTarget(l)
		}
		if target == "" || target == t.id {
			continue
		}
		t.links = append(t.links, EiffelLink{Type: l.Type, Target: target})
	}
}

// previousTarget is the last version of the event's own anchor; none for the first, and none if the environment was gone.
func (t *toEiffel) previousTarget() string {
	return t.choose("previous", "", func() string {
		if target, ok := t.twinTarget(linkPrevious); ok {
			return target
		}
		s := t.subjectRecord(t.subject)
		anchor := s.Anchor(t.row.Eiffel)
		if t.first || anchor == nil || s.Closed() {
			return ""
		}
		return anchor.Last
	})
}

// anchorTarget is the Eiffel event that stands for the subject that a row's link refers to. A required one that nobody
// knows is synthesized; the choice then begins with "+".
func (t *toEiffel) anchorTarget(l *mappings.Link) string {
	v := t.in.doc.Root().Pointed(l.Reference)
	var k SubjectKey
	switch {
	case l.Reference == "/subject":
		k = t.subject
	case !v.Exists():
		return ""
	case l.Subject == "artifact":
		t.move(v, "/links/"+l.Type, "link to the artifact's "+l.Anchor)
		if id, ok := uuidOfURN(v.Str()); ok {
			t.artifact = t.artifactOfEvent(id)
			return id
		}
		t.artifact = t.readArtifact(v.Str())
		k = t.artifact.subject()
	default:
		k = t.readReference(l.Subject, v, "/links/"+l.Type, "link to the "+l.Subject+"'s "+l.Anchor)
		if l.Subject == "environment" {
			t.environment = k
		}
		if id, ok := uuidOfURN(k.ID); ok {
			if known := t.eiffelEvent(id); known != nil && known.Subject.Kind == l.Subject {
				t.environment = known.Subject
			}
			return id
		}
		k = t.resolve(l.Subject, k)
		if l.Subject == "environment" {
			t.environment = k
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
		if a := t.subjectRecord(k).Anchor(l.Anchor); a != nil {
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
	id, synthesized := strings.CutPrefix(choice, "+")
	if synthesized {
		t.synthesizeAnchor(l.Anchor, id, k)
	}
	return id
}

// readReference reads {id, source} of another subject; the source is the event's subject's where it has none.
func (t *toEiffel) readReference(kind string, v jsondoc.Value, to, rule string) SubjectKey {
	k := SubjectKey{Kind: kind, Source: t.subject.Source, ID: v.Get("id").Str()}
	t.move(v.Get("id"), to, rule)
	if source := v.Get("source"); source.Exists() {
		k.Source = source.Str()
		t.move(source, to, rule)
	}
	return k
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
// of the event that needs it.
func (t *toEiffel) synthesizeAnchor(eiffelType, id string, k SubjectKey) {
	if len(t.result.Need) > 0 {
		return // nothing is decided yet
	}
	var data []member
	switch eiffelType {
	case typeArtC:
		data = append(data, stringMember("/identity", t.artifact.purl))
	default:
		data = append(data, stringMember("/name", k.ID))
	}
	t.synthesize(eiffelType, id, k.Source, data)
	if !t.replaying {
		record := EiffelEvent{Type: eiffelType, Time: t.in.Time, Subject: k, Emitted: true, Synthesized: true}
		anchor := Subject{Anchors: []Anchor{{Type: eiffelType, First: id, Last: id, Synthesized: true, From: t.in.ID}}}
		if k.Kind == "artifact" {
			record.Artifact, anchor.Text = t.artifact.purl, t.artifact.purl
		}
		t.learn(subjectQuery(k), anchor.Encode())
		if k.Kind != "artifact" {
			t.learn(nameQuery(k.Kind, k.ID), Set{k.Source}.Encode())
		}
		t.learn(eventQuery(id), record.Encode())
	}
	t.diagnose("synthesized", "%s %s was synthesized for %s %q", eiffelType, id, k.Kind, shorten(k.ID, 120))
}

// synthesize appends a made-up event to the output.
func (t *toEiffel) synthesize(eiffelType, id, source string, data []member) {
	version, ok := schema.EditionVersion(t.g.settings.Edition, eiffelType)
	if !ok {
		return
	}
	mark := append([]byte(`[{"key":"`+carriedCDEvent+`","value":{"synthesizedFor":`), jsondoc.AppendString(nil, t.in.ID)...)
	mark = append(mark, `}}]`...)
	data = append(data, member{"/customData", mark})
	e := Event{Protocol: Eiffel, ID: id, Type: eiffelType, Version: version, Time: t.in.Time, Synthesized: true}
	e.JSON = t.appendEiffel(nil, &e, source, data, nil)
	t.result.Events = append(t.result.Events, e)
}

// makeData writes the row's members of data, then the custom data.
func (t *toEiffel) makeData() []member {
	var data []member
	for i := range t.row.Data {
		f := &t.row.Data[i]
		if !t.schema.Has("/data" + f.To) {
			continue
		}
		if m, ok := t.makeField(f); ok {
			data = append(data, m)
		}
	}
	if custom := t.customData(); custom != nil {
		data = append(data, member{"/customData", custom})
	}
	return data
}

func (t *toEiffel) makeField(f *mappings.Field) (member, bool) {
	for _, p := range f.From {
		v := t.in.doc.Root().Pointed(p)
		if v.Kind() != jsondoc.String || v.Str() == "" {
			continue
		}
		t.move(v, "/data"+f.To, "row "+t.row.CDEvent)
		return member{f.To, v.Raw()}, true
	}
	if f.By == "" {
		return member{}, false
	}
	text := dataJudgements[f.By](t)
	t.move(jsondoc.Value{}, "/data"+f.To, "judgement "+f.By)
	return stringMember(f.To, text), true
}

// dataJudgements say what a member of data is where no field of the CDEvent gives it.
var dataJudgements = map[string]func(*toEiffel) string{
	"heading":          (*toEiffel).announcementHeading,
	"minor":            func(*toEiffel) string { return "MINOR" },
	"deployment":       (*toEiffel).deploymentDescription,
	"servicePublished": func(*toEiffel) string { return publishedLevel },
	"success":          func(*toEiffel) string { return "SUCCESS" },
	"purl":             func(t *toEiffel) string { return t.artifact.text },
}

// customData is the event's custom data: the carried original or the mark, and without carrying the user's own.
func (t *toEiffel) customData() []byte {
	root := t.in.doc.Root()
	custom := root.Get("customData")
	b := []byte{'['}
	if t.g.settings.Carry == CarryOriginal {
		b = append(b, `{"key":"`+carriedCDEvent+`","value":{"event":`...)
		b = t.appendCarried(b)
		return append(b, `}}]`...)
	}
	b = append(b, `{"key":"`+carriedCDEvent+`","value":{"id":`...)
	b = jsondoc.AppendString(b, t.in.ID)
	b = append(b, `}}`...)
	identify := func(key string) {
		// Where the original is not there to say it, an entry names the subject.
		t.move(root.At("subject", "id"), "/data/customData", "custom data "+key)
		b = append(b, `,{"key":`...)
		b = jsondoc.AppendString(b, key)
		b = append(b, `,"value":`...)
		b = jsondoc.AppendString(b, t.in.Subject)
		b = append(b, '}')
	}
	switch {
	case t.row.Learns == mappings.LearnIncarnation:
		identify(t.g.settings.ServiceIDKey)
	case t.row.Eiffel == typeED && root.At("subject", "content", "name").Str() != "":
		identify(environmentIDKey)
	}
	switch custom.Kind() {
	case jsondoc.Object:
		for v := range custom.Children() {
			if t.own(v.Key(), v) {
				t.lose(v, "envelope")
				continue
			}
			t.move(v, "/data/customData", "custom data, one entry per key")
			b = append(b, `,{"key":`...)
			b = jsondoc.AppendString(b, v.Key())
			b = append(b, `,"value":`...)
			b = append(b, v.Raw()...)
			b = append(b, '}')
		}
		if contentType := root.Get("customDataContentType"); contentType.Str() == "application/json" {
			t.use(contentType)
		}
	case jsondoc.String:
		// CDEvents' own mark needs an object, so that this does not come back as it was.
		t.lose(custom, "one_way")
		b = append(b, `,{"key":"customData","value":{"customData":`...)
		b = append(b, custom.Raw()...)
		if contentType := root.Get("customDataContentType"); contentType.Exists() {
			t.use(contentType)
			b = append(b, `,"customDataContentType":`...)
			b = append(b, contentType.Raw()...)
		}
		b = append(b, `}}`...)
	}
	return append(b, ']')
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
