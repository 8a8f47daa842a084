package translate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/mappings"
)

// toCDEvents is the translation of one Eiffel event.
type toCDEvents struct {
	run
	row     *mappings.ToCDEvents
	name    string // subject.predicate of the CDEvent
	subject SubjectKey
	text    string // subject.id, where it is not the key's id
	schema  *schema.Schema
	chain   string

	environment SubjectKey
	artifact    *artifact
	identity    string // the artifact's identity as the Eiffel event wrote it
	config      string
	unresolved  bool // ARTIFACT or ENVIRONMENT of a deployment is unknown
	deployment  *EiffelEvent
}

func (g *Engine) translateToCDEvents(in *Event, facts *Facts) (Result, error) {
	t := &toCDEvents{}
	t.start(g, in, facts)
	if t.giveBack() {
		return t.result, nil
	}
	t.row = g.rowOfEiffel(in.Type)
	t.readHead()
	t.chooseName()
	if isCustom(t.name) && len(t.result.Need) == 0 {
		if done, err := t.unmapped(); done {
			return t.result, err
		}
	}
	if err := t.chooseSchema(); err != nil {
		if len(t.result.Need) > 0 {
			return Result{Need: t.result.Need}, nil // the choice may fall on another event
		}
		return Result{}, err
	}
	links := t.makeLinks()
	t.chain = t.chainID()
	if len(t.result.Need) > 0 {
		return Result{Need: t.result.Need}, nil
	}
	content := t.makeContent()
	custom := t.customData()
	if len(t.result.Need) > 0 {
		return Result{Need: t.result.Need}, nil
	}
	event, err := t.write(content, links, custom)
	if err != nil {
		return Result{}, err
	}
	t.deliver(event)
	t.loseRest()
	if !t.replaying {
		t.learnAll(&event)
		t.learn(decisionQuery(in), t.choices.Encode())
	}
	return t.result, nil
}

func (t *toCDEvents) readHead() {
	meta := t.in.doc.Root().Get("meta")
	for _, name := range []string{"id", "type", "version", "time"} {
		t.use(meta.Get(name))
	}
	source := meta.Get("source")
	for _, name := range []string{"uri", "domainId", "host"} {
		if v := source.Get(name); v.Str() != "" {
			t.use(v)
			if name == "uri" && t.in.Source != v.Str() {
				t.diagnose("escaped_source", "meta.source.uri %q is no URI and was percent-encoded", shorten(v.Str(), 120))
			}
			break
		}
	}
	t.use(source.Get("serializer"))
	if security := meta.Get("security"); security.Exists() {
		t.lose(security, "signature")
	}
}

// subjectJudgements find what an Eiffel event is about.
var subjectJudgements = map[string]func(*toCDEvents){
	"environment": (*toCDEvents).environmentSubject,
	"service":     (*toCDEvents).serviceSubject,
	"published":   (*toCDEvents).publishedSubject,
	"artifact":    (*toCDEvents).artifactSubject,
}

// choiceJudgements choose among the CDEvents of a row: they give subject.predicate.
var choiceJudgements = map[string]func(*toCDEvents) string{
	"environment": (*toCDEvents).environmentName,
	"incarnation": (*toCDEvents).incarnationName,
	"published":   (*toCDEvents).publishedName,
}

// contentJudgements make a member of subject.content; nil leaves it out.
var contentJudgements = map[string]func(*toCDEvents) []byte{
	"environment": (*toCDEvents).environmentReference,
	"artifact":    (*toCDEvents).artifactID,
	"change":      (*toCDEvents).changeReference,
}

func (t *toCDEvents) chooseName() {
	if t.row.Subject != "" {
		subjectJudgements[t.row.Subject](t)
	}
	switch {
	case t.row.Choose != "":
		t.name = choiceJudgements[t.row.Choose](t)
	case len(t.row.CDEvent) > 0:
		t.name = t.row.CDEvent[0]
	default:
		t.name = customName(t.in.Type)
	}
	if isCustom(t.name) {
		kind, _, _ := strings.Cut(t.name, ".")
		t.subject, t.text = SubjectKey{Kind: kind, Source: t.in.Source, ID: t.in.ID}, ""
	}
}

// isCustom tells whether a name is that of a custom event of ours, eiffel-<subject>.<predicate>.
func isCustom(name string) bool { return strings.HasPrefix(name, "eiffel-") }

// customVersion is the version of our custom CDEvents.
const customVersion = "0.1.0"

// customName names the custom event of an Eiffel type that has no row: EiffelActivityTriggeredEvent is
// eiffel-activity.triggered. The last word is the predicate.
func customName(eiffelType string) string {
	var letters strings.Builder
	for _, c := range strings.TrimSuffix(strings.TrimPrefix(eiffelType, "Eiffel"), "Event") {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
			letters.WriteRune(c)
		}
	}
	name := letters.String()
	at := strings.LastIndexFunc(name, func(r rune) bool { return r >= 'A' && r <= 'Z' })
	if at <= 0 {
		return "eiffel-event." + strings.ToLower(name+"published")
	}
	return "eiffel-" + strings.ToLower(name[:at]) + "." + strings.ToLower(name[at:])
}

func (t *toCDEvents) chooseSchema() error {
	subject, predicate, _ := strings.Cut(t.name, ".")
	spec := t.g.settings.Spec
	full, ok := schema.CDEventType(spec, subject, predicate)
	if isCustom(t.name) {
		full, ok = "dev.cdeventsx."+t.name+"."+customVersion, spec != "0.3"
	}
	if !ok {
		return t.in.fail(CodeNotInSpec, "/meta/type", fmt.Sprintf("%s becomes %s, which version %s of CDEvents does not have", article(t.in.Type), t.name, spec))
	}
	version, _ := schema.SpecVersion(spec)
	s, err := schema.ForCDEvent(full, version)
	if err != nil {
		return t.in.fail(CodeNotInSpec, "/meta/type", err.Error())
	}
	t.schema = s
	return nil
}

func (t *toCDEvents) schemaHas(pointer string) bool { return t.schema.Has(pointer) }

func (t *toCDEvents) outType() string {
	if isCustom(t.name) {
		return "dev.cdeventsx." + t.name + "." + customVersion
	}
	return t.schema.Type()
}

// makeContent writes subject.content.
func (t *toCDEvents) makeContent() []byte {
	root := t.in.doc.Root()
	if isCustom(t.name) {
		data := root.Get("data")
		t.move(data, "/subject/content", "custom event: content is data")
		for entry := range data.Get("customData").Children() {
			if t.ownEntry(entry) {
				custom := data.Get("customData")
				stripped := jsondoc.AppendWithout(nil, custom, t.ownEntry)
				return replaceMember(data, "customData", stripped)
			}
		}
		return data.Raw()
	}
	var members []member
	for i := range t.row.Content {
		f := &t.row.Content[i]
		to := f.To
		if !t.schemaHas("/subject/content" + to) {
			to = f.Was
			if to == "" || !t.schemaHas("/subject/content"+to) {
				continue
			}
		}
		if f.By != "" {
			if raw := contentJudgements[f.By](t); raw != nil {
				members = append(members, member{to, raw})
			}
			continue
		}
		for _, p := range f.From {
			v := root.Pointed(p)
			if v.Kind() != jsondoc.String {
				continue
			}
			if f.Format == "uri" && !isURI(v.Str()) {
				t.lose(v, "not_a_uri")
				continue
			}
			t.move(v, "/subject/content"+to, "row "+t.row.Eiffel)
			members = append(members, member{to, v.Raw()})
			break
		}
	}
	b := []byte{'{'}
	b = appendMembers(b, members)
	return append(b, '}')
}

// replaceMember writes an object with one member's value replaced.
func replaceMember(object jsondoc.Value, name string, value []byte) []byte {
	b := []byte{'{'}
	first := true
	for v := range object.Children() {
		if !first {
			b = append(b, ',')
		}
		first = false
		b = jsondoc.AppendString(b, v.Key())
		b = append(b, ':')
		if v.Key() == name {
			b = append(b, value...)
		} else {
			b = append(b, v.Raw()...)
		}
	}
	return append(b, '}')
}

// appendReference writes {id, source} of a subject.
func appendReference(k SubjectKey) []byte {
	b := append([]byte(nil), `{"id":`...)
	b = jsondoc.AppendString(b, k.ID)
	if k.Source != "" {
		b = append(b, `,"source":`...)
		b = jsondoc.AppendString(b, k.Source)
	}
	return append(b, '}')
}

// customData is the CDEvent's custom data: the carried original or the mark, and without carrying the user's own.
func (t *toCDEvents) customData() []byte {
	b := append([]byte(nil), `{"`+carriedEiffel+`":`...)
	if t.g.settings.Carry == CarryOriginal {
		b = append(b, `{"event":`...)
		b = t.appendCarried(b)
		return append(b, `}}`...)
	}
	users := t.in.doc.Root().At("data", "customData")
	var keys []string
	values := map[string][]jsondoc.Value{}
	if !isCustom(t.name) {
		for entry := range users.Children() {
			if t.ownEntry(entry) {
				t.lose(entry, "envelope")
				continue
			}
			t.move(entry, "/customData", "custom data, one member per key")
			key := entry.Get("key").Str()
			if t.believed && (key == t.g.settings.ServiceIDKey || key == environmentIDKey) {
				continue // it stood in for the original's subject.id
			}
			if values[key] == nil {
				keys = append(keys, key)
			}
			values[key] = append(values[key], entry.Get("value"))
		}
	}
	if slices.Contains(keys, carriedEiffel) {
		// A user's own custom data is never overwritten; the ledger still knows the event.
		t.diagnose("mark_omitted", "the event's own custom data has the key %q, so that no mark was written", carriedEiffel)
		b = []byte{'{'}
	} else {
		b = append(b, `{"id":"`...)
		b = append(b, t.in.ID...)
		b = append(b, `"}`...)
		if len(keys) > 0 {
			b = append(b, ',')
		}
	}
	for i, key := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		b = jsondoc.AppendString(b, key)
		b = append(b, ':')
		if len(values[key]) == 1 {
			b = append(b, values[key][0].Raw()...)
			continue
		}
		b = append(b, '[')
		for j, v := range values[key] {
			if j > 0 {
				b = append(b, ',')
			}
			b = append(b, v.Raw()...)
		}
		b = append(b, ']')
	}
	return append(b, '}')
}

// write makes the CDEvent and holds it against its schema.
func (t *toCDEvents) write(content, links, custom []byte) (Event, error) {
	timestamp, err := timestampFromMillis(t.in.Time)
	if err != nil {
		return Event{}, t.in.fail(CodeTime, "/meta/time", err.Error())
	}
	specVersion, _ := schema.SpecVersion(t.g.settings.Spec)
	b := make([]byte, 0, len(t.in.JSON)+768)
	b = append(b, `{"context":{"`...)
	if t.schemaHas("/context/specversion") {
		b = append(b, "spec"...)
	}
	b = append(b, `version":"`...)
	b = append(b, specVersion...)
	b = append(b, `","id":"`...)
	b = append(b, t.in.ID...)
	b = append(b, `","source":`...)
	b = jsondoc.AppendString(b, t.in.Source)
	b = append(b, `,"type":`...)
	b = jsondoc.AppendString(b, t.outType())
	b = append(b, `,"timestamp":"`...)
	b = append(b, timestamp...)
	b = append(b, '"')
	if t.schemaHas("/context/chainId") {
		b = append(b, `,"chainId":`...)
		b = jsondoc.AppendString(b, t.chain)
	}
	if links != nil {
		b = append(b, `,"links":`...)
		b = append(b, links...)
	}
	b = append(b, `},"subject":{"id":`...)
	id := t.subject.ID
	if t.text != "" {
		id = t.text
	}
	b = jsondoc.AppendString(b, id)
	source := t.subject.Source
	if source == "" {
		source = t.in.Source
	}
	b = append(b, `,"source":`...)
	b = jsondoc.AppendString(b, source)
	if t.schemaHas("/subject/type") {
		b = append(b, `,"type":`...)
		b = jsondoc.AppendString(b, t.subjectType())
	}
	b = append(b, `,"content":`...)
	b = append(b, content...)
	b = append(b, `},"customData":`...)
	b = append(b, custom...)
	b = append(b, `,"customDataContentType":"application/json"}`...)
	e := Event{Protocol: CDEvents, JSON: b}
	return e, finish(&e, t.in)
}

// subjectType is what 0.4 and 0.3 call the subject in subject.type: "testCaseRun" for testcaserun.
func (t *toCDEvents) subjectType() string {
	if words := t.schema.Enum("/subject/type"); len(words) > 0 {
		return words[0]
	}
	return t.subject.Kind
}

// learnAll teaches what the translation made.
func (t *toCDEvents) learnAll(out *Event) {
	p := &pair{
		context: out, eiffel: t.in.ID, eiffelType: t.in.Type, time: t.in.Time, chain: t.chain,
		links: linksOf(t.in), subject: t.subject, environment: t.environment, artifact: t.artifact,
		identity: t.identity, config: t.config, learns: t.row.Learns, name: t.name, cdevent: true,
	}
	known := t.ownEvent()
	p.again = known != nil && known.Subject.Kind != ""
	if t.unresolved {
		p.artifact, p.learns = nil, mappings.LearnEvent
	}
	t.learnFacts(p)
}

// giveBack handles an Eiffel event that came from the other side, as [Settings.Returning] says; true if that was all.
func (t *toCDEvents) giveBack() bool {
	e, reason := t.g.envelopeOfEiffel(t.in)
	if reason != "" {
		t.diagnose("envelope_not_believed", "the custom data entry %q is ordinary custom data: %s", carriedCDEvent, reason)
	}
	mine := false
	if t.g.settings.Returning != ReturningGiveBack {
		known := t.ownEvent()
		mine = known != nil && known.Emitted
	}
	wrote := func(id string) bool {
		contexts := t.contexts(id)
		if e.mark == markOriginal {
			known := contexts.find(e.original.Source, e.original.Type)
			return known != nil && known.Emitted
		}
		return slices.ContainsFunc(contexts, func(c Context) bool { return c.Emitted })
	}
	action := t.returningAction(&e, mine, wrote)
	t.believed = e.mark != noMark
	if action == NotReturning {
		return false
	}
	restored := action == Restored && t.g.settings.Returning == ReturningRestore
	switch e.mark {
	case markOriginal:
		t.learnOriginal(&e, restored)
	case markSynthesized:
		t.learnSynthesized()
	}
	t.finishReturning(action, &e)
	return true
}

// learnOriginal learns from an Eiffel event and the CDEvent that it carries what translating that one had taught.
func (t *toCDEvents) learnOriginal(e *envelope, restored bool) {
	forth := &toEiffel{}
	forth.start(t.g, &e.original, t.facts)
	s, _ := check(&e.original)
	forth.readSubject(s)
	forth.row = t.g.rowOfCDEvent(forth.name)
	forth.id = t.in.ID
	forth.readReferences()
	forth.learnPair(&pair{
		context: &e.original, eiffel: t.in.ID, eiffelType: t.in.Type, time: t.in.Time,
		chain: e.original.doc.Root().At("context", "chainId").Str(), links: linksOf(t.in),
		cdevent: restored, emitted: restored, again: forth.learned(t.in.ID),
	})
	for _, q := range forth.result.Need {
		t.get(q)
	}
	t.result.Learned = append(t.result.Learned, forth.result.Learned...)
}

// learnSynthesized learns an anchor that another bridge made up.
func (t *toCDEvents) learnSynthesized() {
	root := t.in.doc.Root()
	record := EiffelEvent{Type: t.in.Type, Time: t.in.Time, Synthesized: true}
	anchor := Anchor{Type: t.in.Type, First: t.in.ID, Last: t.in.ID, Synthesized: true}
	switch t.in.Type {
	case typeED:
		record.Subject = SubjectKey{"environment", root.At("meta", "source", "uri").Str(), root.At("data", "name").Str()}
		t.learn(nameQuery(record.Subject.Kind, record.Subject.ID), Set{record.Subject.Source}.Encode())
	case typeArtC:
		record.Artifact = root.At("data", "identity").Str()
		a, _ := parseArtifact(record.Artifact, t.g.settings.AllQualifiers)
		record.Subject = a.subject()
	}
	if record.Subject.Kind != "" {
		s := Subject{Anchors: []Anchor{anchor}, Text: record.Artifact}
		t.learn(subjectQuery(record.Subject), s.Encode())
	}
	t.learn(eventQuery(t.in.ID), record.Encode())
}
