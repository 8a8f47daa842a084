package translate

import (
	"slices"
	"strconv"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/mappings"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// toCDEvents is the translation of one Eiffel event.
type toCDEvents struct {
	run
	row     *rowToCDEvents
	out     *cdeventOutput // what the event becomes; nil if nothing
	name    string         // subject.predicate of that
	subject ledger.SubjectKey
	text    string // subject.id, where it is not the key's id
	chain   string

	environment ledger.SubjectKey
	artifact    *artifact
	identity    string // the artifact's identity as the Eiffel event wrote it
	config      string
	title       string // data.name of an activity
	links       []ledger.EiffelLink
	unresolved  bool // ARTIFACT or ENVIRONMENT of a deployment is unknown
}

func (g *Engine) translateToCDEvents(in Event, from source) (Result, error) {
	room := g.enter()
	defer g.leave(room, &in)
	t := &room.back
	t.links = appendLinks(room.links[:0], &in)
	t.what = in.Type
	t.prepare(g, room, in, from)
	t.expectTargets()
	t.recallChoices()
	if returning, done := t.giveBack(); done {
		return t.result(nil, returning, t.failure)
	}
	row, err := t.translate()
	return t.result(row, "", err)
}

// translate carries out the row of an event that did not come round. It gives the row's text, nil if none was carried out.
func (t *toCDEvents) translate() (*rowText, error) {
	if err := t.chooseRow(); err != nil {
		return nil, err
	}
	if err := t.chooseName(); err != nil {
		return nil, err
	}
	t.oneWay = t.comesBackOtherwise()
	if isCustom(t.name) && !t.undecided() {
		if done, err := t.unmapped(); err != nil {
			return nil, err
		} else if done {
			t.learnOnly() // others may link to it
			return nil, nil
		}
	}
	if t.name == "" {
		t.diagnose(DiagnosticOnlyLearned, "CDEvents has no event for this %s of a %s; the ledger learns it", t.in.Type, t.subject.Kind)
		t.learnOnly()
		return &t.row.rowText, nil
	}
	if t.out.refusal != "" {
		return nil, t.in.fail(CodeNotInSpec, "/meta/type", article(t.in.Type)+" "+t.out.refusal)
	}
	links, err := t.makeLinks()
	if err != nil {
		return nil, err
	}
	t.chain = t.chainID()
	content, err := t.makeContent()
	if err != nil || t.undecided() {
		return nil, err
	}
	t.readHead()
	custom := t.customData()
	event, err := t.write(content, links, custom)
	if err != nil {
		return nil, err
	}
	t.deliver(event)
	t.loseRest()
	if !t.replaying {
		t.learnAll(&t.events[len(t.events)-1])
		t.learnChoices()
	}
	return &t.row.rowText, nil
}

// comesBackOtherwise tells whether the CDEvent becomes an event of another type on the way back, so that nothing of this
// one survives without the carried original; or if there is no mark to say that it came from Eiffel.
func (t *toCDEvents) comesBackOtherwise() bool {
	rows := t.g.rowsOfCDEvent(t.name)
	if isCustom(t.name) || rows[len(rows)-1].Eiffel != t.in.Type {
		return true
	}
	return !t.carry && t.customEntry(carriedEiffel).Exists()
}

// learnOnly ends the translation of an event that becomes none, but whose facts others need.
func (t *toCDEvents) learnOnly() {
	t.chain = t.chainID()
	t.loseRest()
	if !t.replaying && !t.undecided() {
		t.learnAll(t.in)
		t.learnChoices()
	}
}

// chooseRow takes the first row of the event's type whose condition holds for the subject that its own rule finds.
func (t *toCDEvents) chooseRow() error {
	rows := t.g.rowsOfEiffel(t.in.Type)
	if len(rows) == 1 && rows[0].When == nil {
		t.row = rows[0]
		t.findSubject()
		return t.failure
	}
	if chosen, ok := t.chosen("row"); ok {
		at, err := strconv.Atoi(chosen)
		if err == nil && at < len(rows) {
			t.row = rows[at]
			t.findSubject()
			return t.failure
		}
	}
	choices, missing, diagnostics := len(t.choices), len(t.missing), len(t.diagnostics)
	for i, row := range rows {
		// What another row's rule found does not count.
		t.forget()
		t.choices, t.missing = t.choices[:choices], t.missing[:missing]
		t.undiagnose(diagnostics)
		t.row, t.environment, t.artifact, t.identity, t.title, t.name, t.unresolved = row, ledger.SubjectKey{}, nil, "", "", "", false
		t.findSubject()
		if t.failure != nil {
			return t.failure
		}
		holds, err := t.holds(row.When, t.subject)
		if err != nil {
			return err
		}
		if holds {
			if !t.replaying {
				t.choices = append(t.choices, ledger.Choice{Name: "row", Value: strconv.Itoa(i)})
			}
			break
		}
	}
	return nil
}

// findSubject finds what the event is about, by the row's judgement.
func (t *toCDEvents) findSubject() {
	t.subject, t.text = ledger.SubjectKey{Source: t.in.Source, ID: t.in.ID}, ""
	if t.row.subject != nil {
		t.row.subject(t)
		t.checkSubject(t.subject)
	}
	if t.row.environment != nil {
		t.row.environment(t)
	}
}

// readHead says where the members went that every Eiffel event has.
func (t *toCDEvents) readHead() {
	meta := t.in.doc.Root().Get("meta")
	id := Exact
	if slices.ContainsFunc(t.links, func(l ledger.EiffelLink) bool { return l.Target == t.in.ID }) {
		id = OneWay // an event that links to itself gets another id on the way back
	}
	t.move(meta.Get("id"), "/context/id", t.g.rules[ruleIDKept], id)
	kind := Translated
	if t.subject.Kind == ledger.KindTaskRun {
		kind = OneWay // no CDEvent tells of the activity that says so
	}
	t.move(meta.Get("type"), "/context/type", t.row.rule, kind)
	t.move(meta.Get("version"), "", t.g.rules[ruleTypeSchema], OneWay)
	t.move(meta.Get("time"), "/context/timestamp", t.g.rules[ruleTimeUTC], Exact)
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
		t.move(v, "/context/source", t.g.rules[ruleSourceFirst], fidelity)
		if name == "uri" && fidelity != Exact {
			t.diagnose(DiagnosticEscapedSource, "meta.source.uri %q is no URI and was percent-encoded", shorten(v.Str(), 120))
		}
		break
	}
	if serializer := source.Get("serializer"); strings.HasPrefix(serializer.Str(), serializerPrefix) {
		t.move(serializer, "", t.g.rules[ruleSerializer], OneWay)
	}
	if security := meta.Get("security"); security.Exists() {
		t.lose(security, LossSignature)
	}
}

// subjectJudgements find what an Eiffel event is about.
var subjectJudgements = map[string]func(*toCDEvents){
	"environment": (*toCDEvents).environmentSubject,
	"service":     (*toCDEvents).serviceSubject,
	"level":       (*toCDEvents).levelSubject,
	"artifact":    (*toCDEvents).artifactSubject,
	"activity":    (*toCDEvents).activitySubject,
	"change":      (*toCDEvents).changeSubject,
}

// environmentJudgements find the environment that an event speaks of.
var environmentJudgements = map[string]func(*toCDEvents){
	"test": (*toCDEvents).findTestEnvironment,
}

// choiceJudgements choose among the CDEvents of a row: they give subject.predicate, "" for none.
var choiceJudgements = map[string]func(*toCDEvents) string{
	"environment":        (*toCDEvents).environmentName,
	"incarnation":        (*toCDEvents).incarnationName,
	mappings.ChooseLevel: (*toCDEvents).levelName,
	"activity":           (*toCDEvents).activityPhase,
	"canceled":           (*toCDEvents).canceledName,
	"ticket":             (*toCDEvents).ticketName,
}

// contentJudgements make a member of subject.content.
var contentJudgements = map[string]func(*toCDEvents, *place) value{
	"environment":     (*toCDEvents).environmentReference,
	"artifact":        (*toCDEvents).artifactID,
	"change":          (*toCDEvents).changeReference,
	"outcome":         (*toCDEvents).outcome,
	"errors":          (*toCDEvents).errors,
	"testEnvironment": (*toCDEvents).testEnvironment,
}

// chooseName chooses what the event becomes, and what that is about.
func (t *toCDEvents) chooseName() error {
	key := ""
	switch {
	case t.row.choose != nil:
		key = t.row.choose(t)
	case len(t.row.CDEvent) > 0:
		key = t.row.CDEvent[0]
	default:
		key = customName(t.in.Type)
	}
	t.name = ""
	if key != "" {
		t.out = t.g.output(t.row, key)
		t.name = t.out.name
	}
	if isCustom(t.name) {
		t.subject, t.text = ledger.SubjectKey{Kind: kindOf(t.name), Source: t.in.Source, ID: t.in.ID}, ""
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

// learnAll teaches what the translation made.
func (t *toCDEvents) learnAll(out *Event) {
	p := &pair{
		context: out, eiffel: t.in.ID, eiffelType: t.in.Type, time: t.in.Time, chain: t.chain,
		links: t.links, subject: t.subject, environment: t.environment, artifact: t.artifact,
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
