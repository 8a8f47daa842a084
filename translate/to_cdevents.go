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
	row     *rowToCDEvents
	name    string // subject.predicate of the CDEvent; empty if the event becomes none
	full    string // the CDEvent's full type, where an overlay names one
	subject SubjectKey
	text    string // subject.id, where it is not the key's id
	schema  *schema.Schema
	chain   string

	environment SubjectKey
	artifact    *artifact
	identity    string // the artifact's identity as the Eiffel event wrote it
	config      string
	title       string // data.name of an activity
	links       []EiffelLink
	unresolved  bool // ARTIFACT or ENVIRONMENT of a deployment is unknown
}

func (g *Engine) translateToCDEvents(in *Event, facts *Facts) (Result, error) {
	t := &toCDEvents{}
	t.start(g, in, facts)
	if t.giveBack() {
		return t.result, nil
	}
	if err := t.chooseRow(); err != nil {
		return t.undecided(err)
	}
	if err := t.chooseName(); err != nil {
		return t.undecided(err)
	}
	t.oneWay = t.comesBackOtherwise()
	if isCustom(t.name) && len(t.result.Need) == 0 {
		if done, err := t.unmapped(); err != nil {
			return Result{}, err
		} else if done {
			return t.learnOnly(), nil // others may link to it
		}
	}
	if t.name == "" {
		t.diagnose("only_learned", "CDEvents has no event for this %s of a %s; the ledger learns it", t.in.Type, t.subject.Kind)
		return t.learnOnly(), nil
	}
	if err := t.chooseSchema(); err != nil {
		return t.undecided(err)
	}
	links, err := t.makeLinks()
	if err != nil {
		return t.undecided(err)
	}
	t.chain = t.chainID()
	content, err := t.makeContent()
	if err != nil {
		return t.undecided(err)
	}
	if len(t.result.Need) > 0 {
		return Result{Need: t.result.Need}, nil
	}
	t.readHead()
	custom := t.customData()
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

// linksIn are the links of the event.
func (t *toCDEvents) linksIn() []EiffelLink {
	if t.links == nil {
		t.links = linksOf(t.in)
	}
	return t.links
}

// comesBackOtherwise tells whether the CDEvent becomes an event of another type on the way back, so that nothing of this
// one survives without the carried original; or if there is no mark to say that it came from Eiffel.
func (t *toCDEvents) comesBackOtherwise() bool {
	rows := t.g.rowsOfCDEvent(t.name)
	if isCustom(t.name) || rows[len(rows)-1].Eiffel != t.in.Type {
		return true
	}
	return t.g.settings.Carry == CarryNone && t.customEntry(carriedEiffel).Exists()
}

// learnOnly ends the translation of an event that becomes none, but whose facts others need.
func (t *toCDEvents) learnOnly() Result {
	t.chain = t.chainID()
	if len(t.result.Need) > 0 {
		return Result{Need: t.result.Need}
	}
	t.loseRest()
	if !t.replaying {
		t.learnAll(t.in)
		t.learn(decisionQuery(t.in), t.choices.Encode())
	}
	return t.result
}

// readHead says where the members went that every Eiffel event has.
func (t *toCDEvents) readHead() {
	meta := t.in.doc.Root().Get("meta")
	id := Exact
	if slices.ContainsFunc(t.linksIn(), func(l EiffelLink) bool { return l.Target == t.in.ID }) {
		id = OneWay // an event that links to itself gets another id on the way back
	}
	t.move(meta.Get("id"), "/context/id", "kept", id)
	kind := Translated
	if t.subject.Kind == kindTaskRun {
		kind = OneWay // no CDEvent tells of the activity that says so
	}
	t.move(meta.Get("type"), "/context/type", t.row.rule, kind)
	t.move(meta.Get("version"), "", bySchema, OneWay)
	t.move(meta.Get("time"), "/context/timestamp", "as RFC 3339, in UTC", Exact)
	source := meta.Get("source")
	for _, name := range []string{"uri", "domainId", "host"} {
		v := source.Get(name)
		if v.Str() == "" {
			continue
		}
		fidelity := Translated
		if name == "uri" && t.in.Source == v.Str() {
			fidelity = Exact
		}
		t.move(v, "/context/source", "the first of uri, domainId and host", fidelity)
		if name == "uri" && fidelity != Exact {
			t.diagnose("escaped_source", "meta.source.uri %q is no URI and was percent-encoded", shorten(v.Str(), 120))
		}
		break
	}
	if serializer := source.Get("serializer"); strings.HasPrefix(serializer.Str(), serializerPrefix) {
		t.move(serializer, "", "says that a bridge wrote the event", OneWay)
	}
	if security := meta.Get("security"); security.Exists() {
		t.lose(security, "signature")
	}
}

// subjectJudgements find what an Eiffel event is about.
var subjectJudgements = map[string]func(*toCDEvents){
	"environment":       (*toCDEvents).environmentSubject,
	"service":           (*toCDEvents).serviceSubject,
	"confidenceLevel":   (*toCDEvents).confidenceLevelSubject,
	"artifact":          (*toCDEvents).artifactSubject,
	"publishedArtifact": (*toCDEvents).publishedArtifactSubject,
	"activity":          (*toCDEvents).activitySubject,
	"change":            (*toCDEvents).changeSubject,
	"testCaseRun":       (*toCDEvents).testCaseRunSubject,
	"testSuiteRun":      (*toCDEvents).testSuiteRunSubject,
	"ticket":            (*toCDEvents).ticketSubject,
}

// choiceJudgements choose among the CDEvents of a row: they give subject.predicate, "" for none.
var choiceJudgements = map[string]func(*toCDEvents) string{
	"environment":     (*toCDEvents).environmentName,
	"incarnation":     (*toCDEvents).incarnationName,
	"confidenceLevel": (*toCDEvents).confidenceLevelName,
	"activity":        (*toCDEvents).activityPhase,
	"change":          (*toCDEvents).changeName,
	"canceled":        (*toCDEvents).canceledName,
	"ticket":          (*toCDEvents).ticketName,
}

// contentJudgements make a member of subject.content; nil leaves it out.
var contentJudgements = map[string]func(*toCDEvents) []byte{
	"environment":     (*toCDEvents).environmentReference,
	"artifact":        (*toCDEvents).artifactID,
	"change":          (*toCDEvents).changeReference,
	"signature":       (*toCDEvents).signature,
	"activityName":    (*toCDEvents).activityName,
	"pipelineRun":     (*toCDEvents).pipelineRunReference,
	"outcome":         (*toCDEvents).outcome,
	"errors":          (*toCDEvents).errors,
	"trigger":         (*toCDEvents).trigger,
	"repository":      (*toCDEvents).repositoryReference,
	"testEnvironment": (*toCDEvents).testEnvironment,
	"testSuiteRun":    (*toCDEvents).testSuiteRunReference,
	"creator":         (*toCDEvents).creator,
}

func (t *toCDEvents) chooseName() error {
	switch {
	case t.row.choose != nil:
		t.name = t.row.choose(t)
	case len(t.row.CDEvent) > 0:
		t.name = t.row.CDEvent[0]
	default:
		t.name = customName(t.in.Type)
	}
	if strings.HasPrefix(t.name, "dev.") {
		t.full, t.name = t.name, nameOfType(t.name)
	}
	if isCustom(t.name) {
		t.subject, t.text = SubjectKey{Kind: kindOf(t.name), Source: t.in.Source, ID: t.in.ID}, ""
	}
	if t.subject.Kind == "" {
		t.subject.Kind = kindOf(t.name)
	}
	if t.row.SubjectID == nil {
		return nil
	}
	id, err := t.evaluateText(t.row.SubjectID, t.subject, "/subject/id", t.row.rule)
	if err != nil {
		return err
	}
	if id != "" {
		t.subject.ID, t.text = id, ""
	}
	return nil
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
	switch {
	case t.full != "" && spec == "0.3":
		return t.in.fail(CodeNotInSpec, "/meta/type", fmt.Sprintf("%s becomes %s, a type of an overlay; version %s of CDEvents has no room for those", article(t.in.Type), t.full, spec))
	case t.full != "":
		full, ok = t.full, true
	case isCustom(t.name):
		full, ok = "dev.cdeventsx."+t.name+"."+customVersion, spec != "0.3"
	}
	if !ok {
		return t.in.fail(CodeNotInSpec, "/meta/type", fmt.Sprintf("%s becomes %s, which version %s of CDEvents does not have", article(t.in.Type), t.name, spec))
	}
	version, _ := schema.SpecVersion(spec)
	s, err := schema.ForCDEvent(full, version)
	if err != nil && t.full != "" {
		// An overlay's type that is not known here has no schema: its context is that of any event.
		s, err = schema.ForCDEvent("dev.cdeventsx.eiffel-event.published."+customVersion, version)
	}
	if err != nil {
		return t.in.fail(CodeNotInSpec, "/meta/type", err.Error())
	}
	t.schema = s
	return nil
}

func (t *toCDEvents) schemaHas(pointer string) bool { return t.schema.Has(pointer) }

func (t *toCDEvents) outType() string {
	switch {
	case t.full != "":
		return t.full
	case isCustom(t.name):
		return "dev.cdeventsx." + t.name + "." + customVersion
	}
	return t.schema.Type()
}

// makeContent writes subject.content.
func (t *toCDEvents) makeContent() ([]byte, error) {
	root := t.in.doc.Root()
	if isCustom(t.name) {
		data := root.Get("data")
		if t.tooDeep(data, 2) { // below the event and the subject
			return t.shallowContent(data), nil
		}
		t.move(data, "/subject/content", "custom event: content is data", OneWay)
		for entry := range data.Get("customData").Children() {
			if t.ownEntry(entry) {
				custom := data.Get("customData")
				stripped := jsondoc.AppendWithout(nil, custom, t.ownEntry)
				return replaceMember(data, "customData", stripped), nil
			}
		}
		return data.Raw(), nil
	}
	var members []member
	for i := range t.row.content {
		f := &t.row.content[i]
		to := f.To
		if !t.schemaHas("/subject/content" + to) {
			to = f.Was
			if to == "" || !t.schemaHas("/subject/content"+to) {
				continue
			}
		}
		raw, err := t.makeField(f, "/subject/content"+to)
		if err != nil {
			return nil, err
		}
		if raw == nil && f.Fill != "" {
			raw = t.fillIn("/subject/content"+to, f.Fill)
		}
		if raw != nil {
			members = append(members, member{to, raw})
		}
	}
	b := []byte{'{'}
	b = appendMembers(b, members)
	return append(b, '}'), nil
}

// shallowContent is the content of a custom event without the members of data, and without the entries of its custom data,
// that are nested too deeply to stand there.
func (t *toCDEvents) shallowContent(data jsondoc.Value) []byte {
	b := []byte{'{'}
	for v := range data.Children() {
		raw := v.Raw()
		switch {
		case v.Key() == "customData" && v.Kind() == jsondoc.Array: // each entry by itself
			raw = jsondoc.AppendWithout(nil, v, func(entry jsondoc.Value) bool {
				if t.ownEntry(entry) {
					return true
				}
				if t.tooDeep(entry, 4) {
					t.lose(entry, "too_deep")
					return true
				}
				t.move(entry, "/subject/content/customData", "custom event: content is data", OneWay)
				return false
			})
		case t.tooDeep(v, 3):
			t.lose(v, "too_deep")
			continue
		default:
			t.move(v, "/subject/content/"+jsondoc.EscapePointer(v.Key()), "custom event: content is data", OneWay)
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(append(jsondoc.AppendString(b, v.Key()), ':'), raw...)
	}
	return append(b, '}')
}

// makeField gives a member's value, nil for none.
func (t *toCDEvents) makeField(f *field[toCDEvents], at string) ([]byte, error) {
	if f.Value != nil {
		raw, err := t.evaluate(f.Value, t.subject, at, t.row.rule)
		if err != nil || raw != nil {
			return raw, err
		}
	}
	for _, p := range f.From {
		v := t.in.doc.Root().Pointed(p)
		switch {
		case v.Kind() != jsondoc.String, v.Str() == "":
			continue
		case f.Format == "uri" && !isURI(v.Str()), f.Format == "uri-reference" && !isURIReference(v.Str()):
			t.lose(v, "not_a_uri")
			continue
		case f.vocabulary == nil && !t.schema.Allows(at, v.Str()):
			continue
		case f.vocabulary != nil:
			word, known := f.vocabulary.cdevents(v.Str(), t.schema.Enum(at))
			if known {
				t.move(v, at, f.rule, Translated)
			}
			return textOrNone(word), nil
		}
		t.move(v, at, t.row.rule, Exact)
		return v.Raw(), nil
	}
	return f.rest(t, &t.run, at, t.row.rule, func(v *vocabulary) string { return v.Otherwise.CDEvents }), nil
}

// fillIn makes a placeholder for a required member that identifies something: the id of the event that would know, of the
// event itself or of the target of a link (section 6). Nil if the member is not required.
func (t *toCDEvents) fillIn(at, whose string) []byte {
	if !t.schema.Requires(at) {
		return nil
	}
	id := t.in.ID
	if whose != mappings.FillSelf {
		if linked := target(t.linksIn(), whose); linked != "" {
			id = linked
		}
	}
	return t.placeholder(at, id)
}

// placeholder is a true identifier in the place of one that is not known.
func (t *toCDEvents) placeholder(at, id string) []byte {
	t.move(jsondoc.Value{}, at, "the id of the event that would know", OneWay)
	t.diagnose("filled_in", "%s is required and unknown; it was filled with the id %s of the event that would know", strings.ReplaceAll(at[1:], "/", "."), id)
	text := jsondoc.AppendString(nil, urnUUID+id)
	if t.schemaHas(at + "/id") {
		return append(append([]byte(`{"id":`), text...), '}')
	}
	return text
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

// appendReference writes {id, source} of a subject, for a place in the CDEvent.
func (t *toCDEvents) appendReference(at string, k SubjectKey) []byte {
	b := append([]byte(nil), `{"id":`...)
	b = jsondoc.AppendString(b, k.ID)
	if k.Source != "" {
		b = append(b, `,"source":`...)
		b = jsondoc.AppendString(b, t.sourceAt(at+"/source", k.Source))
	}
	return append(b, '}')
}

// sourceAt is a subject's source as it can stand at a place in the CDEvent. The sources of tests and those in marks are free
// text: where the schema wants a URI reference and the source is none, it is percent-encoded.
func (t *toCDEvents) sourceAt(at, source string) string {
	if t.schema.Allows(at, source) {
		return source
	}
	return escapeURI(source)
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
			key := entry.Get("key").Str()
			if t.standsIn(entry, key, values) {
				t.move(entry, "", "custom data "+key, OneWay)
				continue
			}
			fidelity := Exact
			if t.repeats(users, key) {
				fidelity = Translated // its values become an array
			}
			t.move(entry, "/customData/"+jsondoc.EscapePointer(key), "custom data, one member per key", fidelity)
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

// standsIn tells whether an entry is one that the bridge wrote beside its mark, for what an Eiffel event does not say
// itself. These are the first of their keys; another of the same key is a user's.
func (t *toCDEvents) standsIn(entry jsondoc.Value, key string, users map[string][]jsondoc.Value) bool {
	if t.markID == "" || users[key] != nil || entry.Index() != t.customEntry(key).Index() {
		return false
	}
	return key == subjectKey || key == t.g.settings.ServiceIDKey && t.in.Type == typeArtD || key == signatureKey && t.name == "artifact.signed"
}

// repeats tells whether several entries of custom data have a key.
func (t *toCDEvents) repeats(entries jsondoc.Value, key string) bool {
	n := 0
	for entry := range entries.Children() {
		if entry.Get("key").Str() == key {
			n++
		}
	}
	return n > 1
}

// customEntry is the first entry of a key in the event's custom data.
func (t *toCDEvents) customEntry(key string) jsondoc.Value {
	for entry := range t.in.doc.Root().At("data", "customData").Children() {
		if entry.Get("key").Str() == key {
			return entry
		}
	}
	return jsondoc.Value{}
}

// marked gives the subject that the mark of a CDEvent says the event is about, else the one that the event names itself.
func (t *toCDEvents) marked(k SubjectKey) SubjectKey {
	if t.markID == "" {
		return k
	}
	subject := t.customEntry(subjectKey).Get("value")
	if id := subject.Get("id").Str(); id != "" {
		k.ID = id
		k.Source = t.in.Source
		if source := subject.Get("source").Str(); source != "" {
			k.Source = source
		}
	}
	return k
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
	if t.schemaHas("/context/chainId") && t.chain != "" {
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
		source = t.marked(SubjectKey{Source: t.in.Source}).Source
	}
	b = append(b, `,"source":`...)
	b = jsondoc.AppendString(b, t.sourceAt("/subject/source", source))
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
		links: t.linksIn(), subject: t.subject, environment: t.environment, artifact: t.artifact,
		identity: t.identity, config: t.config, learns: t.row.Learns, name: t.name, title: t.title, cdevent: out != t.in,
	}
	if isCustom(t.name) {
		p.learns = mappings.LearnEvent
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
	t.believe(&e)
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
	forth.id = t.in.ID
	forth.row = forth.returningRow(t.in.Type)
	forth.readReferences()
	forth.learnPair(&pair{
		context: &e.original, eiffel: t.in.ID, eiffelType: t.in.Type, time: t.in.Time,
		chain: e.original.doc.Root().At("context", "chainId").Str(), links: t.linksIn(),
		cdevent: restored, emitted: restored, again: forth.learned(t.in.ID),
	})
	for _, q := range forth.result.Need {
		t.get(q)
	}
	t.result.Learned = append(t.result.Learned, forth.result.Learned...)
}

// learnSynthesized learns an anchor that another bridge made up.
func (t *toCDEvents) learnSynthesized() {
	record := EiffelEvent{Type: t.in.Type, Time: t.in.Time, Links: t.linksIn(), Synthesized: true}
	if k, ok := t.g.subjectOfAnchor(t.in); ok {
		if t.in.Type == typeActT && t.customEntry(subjectKey).Exists() {
			record.Name = t.in.doc.Root().At("data", "name").Str()
		}
		record.Subject = k
		s := Subject{Anchors: []Anchor{{Type: t.in.Type, First: t.in.ID, Last: t.in.ID, Synthesized: true}}}
		if k.Kind == kindArtifact {
			record.Artifact = t.in.doc.Root().At("data", "identity").Str()
			s.Text = record.Artifact
		} else if ReferredTo(k.Kind) {
			t.learn(nameQuery(k.Kind, k.ID), Set{k.Source}.Encode())
		}
		t.learn(subjectQuery(k), s.Encode())
	}
	t.learn(eventQuery(t.in.ID), record.Encode())
}
