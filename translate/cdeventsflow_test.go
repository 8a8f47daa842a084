package translate_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// The flow in CDEvents: four pipelines that take turns, each from ticket and commit through build, artifact, tests and
// services to incidents, with events of every type there is.

// cdevent is an event of the flow, and the Eiffel events that it becomes.
type cdevent struct {
	flow             *cdeventsFlow
	name             string // subject.predicate
	id, source, typ  string
	about            who
	at               int64
	content          map[string]any
	links            []cdlink
	text             string
	eiffel, asEiffel string           // the id and the type of the event that it becomes
	want             []map[string]any // what is made up for it, then that one
	says             []string
	fail             string
}

// cdlink is a link of a CDEvent: PATH, END, or the kind of a RELATION.
type cdlink struct {
	kind   string
	target *cdevent
	nobody string // the context id of an event that nobody knows
	domain string
}

func link(kind string, target *cdevent) cdlink { return cdlink{kind: kind, target: target} }

// elink is an Eiffel link.
type elink struct{ kind, target, domain string }

// cdeventsFlow is the flow and what the model remembers of it: for every subject the Eiffel event that stands for it.
type cdeventsFlow struct {
	t             *testing.T
	chance        *rand.Rand
	now           int64
	spec, edition string
	events        []*cdevent
	last          map[string]string // the last Eiffel event of a type that stands for a subject
	production    *environment
	services      []*service
}

// environment is an environment; it is gone between its deletion and its next creation.
type environment struct {
	who
	gone bool
}

// service is a service, with what runs of it where.
type service struct {
	who
	runs map[*environment]incarnation
}

// incarnation is a deployment and what it deployed.
type incarnation struct {
	deployment string
	artifact   parcel
}

// parcel is an artifact: how events write it, how that is written canonically, what counts of it, and where it lies.
type parcel struct{ text, purl, key, location string }

func (p parcel) who() who { return who{id: p.key} }

// goods is what a pipeline makes.
type goods struct {
	name   string
	parcel func(n int) parcel
}

var allGoods = []goods{
	{"webshop", func(n int) parcel {
		digest := fmt.Sprintf("%016x0b31b1c02ff458ad9b7b81cbdf8f028bd54699fa151f221d", n)
		qualifiers := fmt.Sprintf("?repository_url=registry.example.com%%2Fshop&tag=2.%d.0", n)
		return parcel{"pkg:oci/webshop@sha256%3A" + digest + qualifiers, "pkg:oci/webshop@sha256:" + digest + qualifiers, "pkg:oci/webshop@sha256:" + digest, "registry.example.com/shop"}
	}},
	{"cart", func(n int) parcel {
		purl := fmt.Sprintf("pkg:maven/com.example/cart@1.%d.0", n)
		return parcel{purl, purl, purl, ""}
	}},
	{"agent", func(n int) parcel {
		purl := fmt.Sprintf("pkg:generic/agent@1.%d", n)
		return parcel{purl + "?download_url=https://dl.example.com/agent", purl + "?download_url=https:%2F%2Fdl.example.com%2Fagent", purl, "https://dl.example.com/agent"}
	}},
	{"scripts", func(n int) parcel { // no purl at all
		purl := fmt.Sprintf("pkg:generic/scripts%%20%d", n)
		return parcel{fmt.Sprintf("scripts %d", n), purl, purl, ""}
	}},
}

// The sources of the flow.
const (
	fromGit        = "https://git.example.com"
	fromCI         = "https://ci.example.com/"
	fromRegistry   = "https://registry.example.com"
	fromCluster    = "https://k8s.example.com/eu-1"
	fromDeployer   = "urn:example:deployer"
	fromTests      = "https://tests.example.com"
	fromMonitoring = "/monitoring"
	fromTickets    = "https://tickets.example.com"
)

// tellCDEventsFlow tells the whole flow in a version of CDEvents, and what it is in an edition of Eiffel.
func tellCDEventsFlow(t *testing.T, seed int64, releases int, spec, edition string) *cdeventsFlow {
	t.Helper()
	f := &cdeventsFlow{t: t, chance: rand.New(rand.NewSource(seed)), now: 1772355600000, spec: spec, edition: edition, last: map[string]string{}}
	first := &voice{cdeventsFlow: f, turn: func() {}, chain: "the beginning"}
	f.production = first.createEnvironment("production")
	stories := []func(func()){func(turn func()) {
		s := &voice{cdeventsFlow: f, turn: turn, chain: "platform"}
		for range 3 * releases {
			s.modifyEnvironment(f.production)
		}
	}}
	for i, g := range allGoods {
		stories = append(stories, func(turn func()) {
			(&goodsStory{voice: &voice{cdeventsFlow: f, turn: turn}, goods: g, index: i}).tell(releases)
		})
	}
	together(f.chance, stories...)
	first.deleteEnvironment(f.production)
	return f
}

// voice tells one of the stories of the flow.
type voice struct {
	*cdeventsFlow
	turn  func() // waits for the story's turn
	chain string
	sayAt int64 // when the next event happened, if it is late
}

func (s *voice) sometimes(of int) bool { return s.chance.Intn(of) == 0 }

// say writes the next event. It gives nil if the version of CDEvents has no such event: then nothing happens.
func (s *voice) say(name string, about who, by string, content map[string]any, links ...cdlink) *cdevent {
	s.turn()
	f := s.cdeventsFlow
	full := typeInSpec(f.spec, name)
	if full == "" {
		return nil
	}
	if strings.Contains(name, "-") {
		full += ".1.0.0"
	}
	f.now += 1 + f.chance.Int63n(5000)
	e := &cdevent{flow: f, name: name, id: s.contextID(), source: by, typ: full, about: about, at: f.now, content: content}
	if s.sayAt != 0 {
		e.at, s.sayAt = s.sayAt, 0
	}
	for _, l := range links {
		if f.spec != "0.3" && (l.nobody != "" || l.target != nil && l.target.fail == "") {
			e.links = append(e.links, l)
		}
	}
	e.write(s.chain)
	f.events = append(f.events, e)
	return e
}

// contextID is an id as one tool or another makes it. Eiffel accepts the first only.
func (s *voice) contextID() string {
	n := len(s.events)
	switch s.chance.Intn(4) {
	case 0, 1:
		return fmt.Sprintf("%08x-%04x-4%03x-b%03x-%012x", s.chance.Uint32(), s.chance.Intn(1<<16), s.chance.Intn(1<<12), s.chance.Intn(1<<12), n)
	case 2:
		return fmt.Sprintf("0190a0b0-0000-7000-8000-%012x", n)
	}
	return fmt.Sprintf("event #%d", n)
}

// when writes the event's time with a precision and a zone that chance chooses; Eiffel's is the millisecond in which it is.
func (e *cdevent) when() string {
	at := time.UnixMilli(e.at).UTC()
	switch e.flow.chance.Intn(3) {
	case 0:
		return at.Add(987654 * time.Nanosecond).Format(time.RFC3339Nano)
	case 1:
		return at.In(time.FixedZone("", 5*3600+1800)).Format("2006-01-02T15:04:05.000Z07:00")
	}
	return timestamp(e.at)
}

// write writes the event in the words of the flow's version of CDEvents.
func (e *cdevent) write(chain string) {
	f := e.flow
	context := map[string]any{"specversion": "0.5.1", "id": e.id, "source": e.source, "type": e.typ, "timestamp": e.when()}
	if chain != "" {
		context["chainId"] = chain
	}
	var links []any
	for _, l := range e.links {
		id := l.nobody
		if l.target != nil {
			id = l.target.id
		}
		switch l.kind {
		case "PATH", "END":
			links = append(links, map[string]any{"linkType": l.kind, "from": map[string]any{"contextId": id}})
		default:
			out := map[string]any{"linkType": "RELATION", "linkKind": l.kind, "target": map[string]any{"contextId": id}}
			if l.domain != "" {
				out["tags"] = map[string]any{"domainId": l.domain, "note": "from elsewhere"}
			}
			links = append(links, out)
		}
	}
	if links != nil {
		context["links"] = links
	}
	subject := map[string]any{"id": e.about.id, "content": e.content}
	if e.about.source != "" && (e.about.source != e.source || f.chance.Intn(2) == 0) {
		subject["source"] = e.about.source
	}
	event := map[string]any{"context": context, "subject": subject}
	switch f.chance.Intn(6) {
	case 0:
		event["customData"], event["customDataContentType"] = map[string]any{"runner": 7, "cdevents": "of a user"}, "application/json"
	case 1:
		event["customData"], event["customDataContentType"] = "aGVsbG8=", "text/plain"
	}
	if f.spec == "0.3" {
		for _, later := range []string{"sbom", "user", "description"} {
			if !strings.HasPrefix(e.name, "incident.") {
				delete(e.content, later)
			}
		}
	}
	event = inWordsOf(f.spec, value(f.t, []byte(marshal(f.t, event))).(map[string]any))
	text, err := json.MarshalIndent(event, "", strings.Repeat(" ", f.chance.Intn(3)))
	if err != nil {
		f.t.Fatal(err)
	}
	e.text = string(text)
}

// own is the id that the event has in Eiffel if it stands for no subject: its own where Eiffel accepts that (mapping.md, "Ids").
func (e *cdevent) own() string {
	if schema.IsEiffelID(e.id) {
		return e.id
	}
	return idOfParts([]string{"event", e.source, e.id, e.typ})
}

func standsFor(eiffelType, kind string, of who) string {
	return strings.Join([]string{eiffelType, kind, of.source, of.id}, " ")
}

// lastOf is the last event of a type that stands for a subject, "" if none does yet.
func (f *cdeventsFlow) lastOf(eiffelType, kind string, of who) string {
	return f.last[standsFor(eiffelType, kind, of)]
}

// define gives the id of an event that stands for a subject from now on, and the one that did before.
func (e *cdevent) define(eiffelType, kind string, of who) (id, before string) {
	if e == nil {
		return "", ""
	}
	before = e.flow.lastOf(eiffelType, kind, of)
	id = idOfParts([]string{"anchor", eiffelType, kind, of.source, of.id})
	if before != "" {
		id = idOfParts([]string{"version", eiffelType, kind, of.source, of.id, e.source, e.id})
	}
	e.flow.last[standsFor(eiffelType, kind, of)] = id
	return id, before
}

// need gives the last event that stands for a subject; if there is none, one is made up before this event.
func (e *cdevent) need(eiffelType, kind string, of who, data map[string]any, links ...elink) string {
	if e == nil {
		return ""
	}
	if id := e.flow.lastOf(eiffelType, kind, of); id != "" {
		return id
	}
	id, _ := e.define(eiffelType, kind, of)
	if own, name := e.calls(eiffelType); own != "" && of == e.about {
		// What stands for the event's own subject is called what the event calls it, and says beside whose it is.
		data = maps.Clone(data)
		if eiffelType == "EiffelTestCaseTriggeredEvent" {
			data["testCase"] = map[string]any{"id": own}
		} else {
			data[name] = own
		}
		data["customData"] = []any{map[string]any{"key": "subject", "value": map[string]any{"id": of.id}}}
	}
	e.makeUp(eiffelType, id, of.source, data, links...)
	return id
}

// calls is the name that the event has for its own subject, where an Eiffel event of that type has one too
// (mapping.md, "Required text").
func (e *cdevent) calls(eiffelType string) (text, member string) {
	in := func(path ...string) string {
		var v any = e.content
		for _, p := range path {
			m, _ := v.(map[string]any)
			v = m[p]
		}
		s, _ := v.(string)
		return s
	}
	first := func(names ...string) string {
		for _, n := range names {
			if n != "" {
				return n
			}
		}
		return ""
	}
	switch eiffelType {
	case "EiffelActivityTriggeredEvent":
		return first(in("pipelineName"), in("taskName")), "name"
	case "EiffelTestSuiteStartedEvent":
		return first(in("testSuite", "name"), in("testSuite", "id")), "name"
	case "EiffelTestCaseTriggeredEvent":
		return in("testCase", "id"), "testCase"
	}
	return "", ""
}

func (e *cdevent) makeUp(eiffelType, id, source string, data map[string]any, links ...elink) {
	more, _ := data["customData"].([]any)
	data["customData"] = append([]any{map[string]any{"key": "cdevents", "value": map[string]any{"synthesizedFor": e.id, "type": e.typ, "rules": 2}}}, more...)
	e.add(eiffelType, id, source, data, links)
}

// becomes says what the event is in Eiffel. Its own links follow those that its type brings.
func (e *cdevent) becomes(eiffelType, id string, data map[string]any, links ...elink) {
	if e == nil {
		return
	}
	e.eiffel, e.asEiffel = id, eiffelType
	custom := []any{map[string]any{"key": "cdevents", "value": map[string]any{"event": json.RawMessage(e.text), "rules": 2}}}
	more, _ := data["customData"].([]any)
	data = maps.Clone(data)
	data["customData"] = append(custom, more...)
	e.add(eiffelType, id, e.source, data, e.merge(eiffelType, id, links))
}

func (e *cdevent) add(eiffelType, id, source string, data map[string]any, links []elink) {
	version, ok := schema.EditionVersion(e.flow.edition, eiffelType)
	if !ok {
		e.flow.t.Fatalf("%s has no %s, for\n%s", e.flow.edition, eiffelType, e.text)
	}
	from := map[string]any{"serializer": "pkg:golang/github.com/eiffelbridge/eiffelbridge@0.0.0"}
	if source != "" {
		from["uri"] = source
	}
	out := []any{}
	for _, l := range links {
		if l.target == "" {
			continue
		}
		e.madeUpFor(l)
		link := map[string]any{"type": l.kind, "target": l.target}
		if l.domain != "" {
			link["domainId"] = l.domain
		}
		out = append(out, link)
	}
	e.want = append(e.want, map[string]any{
		"meta": map[string]any{"id": id, "type": eiffelType, "version": version, "time": e.at, "source": from}, "data": data, "links": out,
	})
}

// madeUpFor says in the mark of what was made up which link it was made up for.
func (e *cdevent) madeUpFor(l elink) {
	for _, made := range e.want {
		if made["meta"].(map[string]any)["id"] != l.target {
			continue
		}
		first := made["data"].(map[string]any)["customData"].([]any)[0].(map[string]any)
		if mark := first["value"].(map[string]any); mark["synthesizedFor"] != nil && mark["role"] == nil {
			mark["role"] = l.kind
		}
	}
}

// rule is how an event type may use a link type in the flow's edition, nil if not at all.
func (f *cdeventsFlow) rule(eiffelType, linkType string) *schema.LinkRule {
	version, _ := schema.EditionVersion(f.edition, eiffelType)
	rules := schema.LinkRules(eiffelType, version)
	for i := range rules {
		if rules[i].Type == linkType {
			return &rules[i]
		}
	}
	return nil
}

func (f *cdeventsFlow) legal(eiffelType, linkType, target string) bool {
	rule := f.rule(eiffelType, linkType)
	return rule != nil && (rule.Targets == nil || slices.Contains(rule.Targets, target))
}

// merge adds the event's own links to the ones that its type brings: RELATIONs, then PATHs (mapping.md, "Merging into Eiffel").
func (e *cdevent) merge(eiffelType, id string, links []elink) []elink {
	links = slices.DeleteFunc(slices.Clone(links), func(l elink) bool { return l.target == "" })
	has := func(kind, target string) bool {
		return slices.ContainsFunc(links, func(l elink) bool { return (kind == "" || l.kind == kind) && (target == "" || l.target == target) })
	}
	lyon := slices.Index(schema.Editions(), "Lyon")
	for _, l := range e.links {
		if l.kind == "PATH" || l.kind == "END" || l.target == nil {
			continue
		}
		kind := l.kind
		if kind == "TRIGGER" {
			kind = "CAUSE"
		}
		target := l.target.eiffel
		if target == id || !e.flow.legal(eiffelType, kind, l.target.asEiffel) || has(kind, target) || has(kind, "") && !e.flow.rule(eiffelType, kind).Multiple {
			continue
		}
		domain := l.domain
		if slices.Index(schema.Editions(), e.flow.edition) < lyon {
			domain = ""
		}
		links = append(links, elink{kind, target, domain})
	}
	for _, l := range e.links {
		if l.kind != "PATH" || l.target == nil || has("CONTEXT", "") || l.target.eiffel == id || has("", l.target.eiffel) {
			continue
		}
		links = append(links, elink{kind: "CAUSE", target: l.target.eiffel})
	}
	return links
}

// announce says that the event is an announcement.
func (e *cdevent) announce(severity, uri string, links ...elink) {
	if e != nil {
		e.becomes("EiffelAnnouncementPublishedEvent", e.own(), e.announcement(severity, uri), links...)
	}
}

func (e *cdevent) announcement(severity, uri string) map[string]any {
	subject, predicate, _ := strings.Cut(e.name, ".")
	heading := subject + " " + predicate + ": " + e.about.id
	data := map[string]any{"heading": heading, "body": heading, "severity": severity}
	for _, member := range []string{"errors", "reason", "description"} {
		if text, _ := e.content[member].(string); text != "" {
			data["body"] = text
		}
	}
	if uri != "" {
		data["uri"] = uri
	}
	return data
}

// Environments and services

func (s *voice) createEnvironment(name string) *environment {
	env := &environment{who: who{name, fromCluster}}
	s.defineEnvironment(env)
	return env
}

// defineEnvironment creates an environment, which may be known already: somebody has referred to it, or it is created anew.
func (s *voice) defineEnvironment(env *environment) {
	uri := "https://" + env.id + ".example.com/"
	e := s.say("environment.created", env.who, fromCluster, map[string]any{"uri": uri})
	id, before := e.define("EiffelEnvironmentDefinedEvent", "environment", env.who)
	if env.gone {
		before = ""
	}
	env.gone = false
	e.becomes("EiffelEnvironmentDefinedEvent", id, map[string]any{"name": env.id, "uri": uri}, elink{kind: "PREVIOUS_VERSION", target: before})
}

func (s *voice) modifyEnvironment(env *environment) {
	e := s.say("environment.modified", env.who, fromCI, map[string]any{"name": "Production, eu-1"})
	id, before := e.define("EiffelEnvironmentDefinedEvent", "environment", env.who)
	e.becomes("EiffelEnvironmentDefinedEvent", id, map[string]any{"name": "Production, eu-1"}, elink{kind: "PREVIOUS_VERSION", target: before})
}

// deleteEnvironment deletes an environment, and with it whatever runs there.
func (s *voice) deleteEnvironment(env *environment) {
	e := s.say("environment.deleted", env.who, fromCluster, map[string]any{"name": "bye"})
	e.announce("MINOR", "", elink{kind: "CAUSE", target: s.lastOf("EiffelEnvironmentDefinedEvent", "environment", env.who)})
	env.gone = true
	for _, svc := range s.services {
		delete(svc.runs, env)
	}
}

// environmentEvent is the definition that a deployment into an environment links to.
func (e *cdevent) environmentEvent(env *environment) string {
	return e.need("EiffelEnvironmentDefinedEvent", "environment", env.who, map[string]any{"name": env.id})
}

func (e *cdevent) artifactEvent(p parcel) string {
	return e.need("EiffelArtifactCreatedEvent", "artifact", p.who(), map[string]any{"identity": p.purl})
}

// deploy says that a service is deployed, upgraded or rolled back. Eiffel has no deployments before edition Orizaba.
func (s *goodsStory) deploy(predicate string, env *environment, p parcel, links ...cdlink) *cdevent {
	e := s.say("service."+predicate, s.service.who, fromDeployer, map[string]any{"environment": s.reference(env), "artifactId": p.text}, links...)
	if _, ok := schema.EditionVersion(s.edition, "EiffelArtifactDeployedEvent"); !ok {
		e.fail = translate.CodeNotInEdition
		return e
	}
	e.says = []string{s.service.id, env.id, p.purl}
	if before, ok := s.service.runs[env]; ok && predicate != "deployed" {
		e.says = append(e.says, before.artifact.purl)
	}
	artifact, environment := e.artifactEvent(p), e.environmentEvent(env)
	e.becomes("EiffelArtifactDeployedEvent", e.own(), map[string]any{}, elink{kind: "ARTIFACT", target: artifact}, elink{kind: "ENVIRONMENT", target: environment})
	s.service.runs[env] = incarnation{e.eiffel, p}
	return e
}

// reference refers to an environment. Its source may be left out: only one environment has the name.
func (s *voice) reference(env *environment) map[string]any {
	r := env.reference()
	if s.lastOf("EiffelEnvironmentDefinedEvent", "environment", env.who) != "" && s.sometimes(2) {
		delete(r, "source")
	}
	return r
}

// publish says that a service can be used. An event that names no environment means the only one in which the service runs.
func (s *goodsStory) publish(env *environment, links ...cdlink) *cdevent {
	content, running := map[string]any{}, ""
	if env != nil {
		content["environment"] = s.reference(env)
	}
	e := s.say("service.published", s.service.who, fromDeployer, content, links...)
	if env != nil {
		running = s.service.runs[env].deployment
	} else if len(s.service.runs) == 1 {
		for _, only := range s.service.runs {
			running = only.deployment
		}
	}
	if running == "" {
		running = idOfParts([]string{"synthesized", "SUBJECT", e.source, e.id, e.typ})
		e.makeUp("EiffelCompositionDefinedEvent", running, e.source, map[string]any{"name": s.service.id})
	}
	e.becomes("EiffelConfidenceLevelModifiedEvent", e.own(), map[string]any{"name": "servicePublished", "value": "SUCCESS"}, elink{kind: "SUBJECT", target: running})
	return e
}

func (s *goodsStory) remove(env *environment, links ...cdlink) {
	e := s.say("service.removed", s.service.who, fromDeployer, map[string]any{"environment": s.reference(env)}, links...)
	e.announce("MINOR", "", elink{kind: "CAUSE", target: s.service.runs[env].deployment})
	delete(s.service.runs, env)
}

// goodsStory is the pipeline of one product, and what it comes back to.
type goodsStory struct {
	*voice
	goods
	index      int
	repository who
	service    *service
	test       *environment // its own; production belongs to all

	n           int // the release
	variant     int // which of the ways of doing things it takes
	artifact    parcel
	former      parcel
	ticket      *cdevent
	created     *cdevent // the last version of the change
	reviewed    *cdevent
	merged      *cdevent
	packaged    *cdevent
	pipelineRun who
	suite       who
	suiteEvent  *cdevent // the last that was said of the suite
}

func (s *goodsStory) tell(releases int) {
	s.repository = who{"shop/" + s.name, fromGit}
	s.service = &service{who{s.name, fromDeployer}, map[*environment]incarnation{}}
	s.services = append(s.services, s.service)
	s.test = &environment{who: who{"test-" + s.name, fromCluster}}
	repository := map[string]any{"name": s.name, "uri": "https://git.example.com/shop/" + s.name, "owner": "shop"}
	s.say("repository.created", s.repository, fromGit, repository).announce("MINOR", repository["uri"].(string))
	s.say("repository.modified", s.repository, fromGit, maps.Clone(repository)).announce("MINOR", repository["uri"].(string))
	if s.index%2 == 0 { // else somebody deploys into it before it is created
		s.defineEnvironment(s.test)
	}
	for n := 1; n <= releases; n++ {
		s.release(n)
	}
	s.end()
	s.say("repository.deleted", s.repository, fromGit, map[string]any{"name": s.name}).announce("MINOR", "")
}

// release tells a release from the ticket to the incident.
func (s *goodsStory) release(n int) {
	s.n, s.variant, s.former, s.artifact = n, n+s.index, s.artifact, s.parcel(n)
	s.chain = fmt.Sprintf("chain of %s %d", s.name, n)
	s.openTicket()
	s.changeSource()
	queued := s.startPipelineRun()
	built := s.build(queued)
	s.makeArtifact(built)
	predicate := "upgraded"
	if n == 1 {
		predicate = "deployed"
	}
	ran := s.service.runs[s.test].deployment
	tested := s.deploy(predicate, s.test, s.artifact, link("PATH", s.packaged))
	s.testLate(ran, tested)
	if n == 1 && s.index%2 == 1 {
		s.defineEnvironment(s.test)
	}
	s.publish(nil, link("PATH", tested))
	s.testIn(s.test, tested)
	live := s.deploy(predicate, s.production, s.artifact, link("TRIGGER", tested), link("CONFIGURATION", s.packaged), link("SUBJECT", s.packaged))
	s.publish(s.production, link("PATH", live))
	s.publish(nil) // it runs in two environments
	s.say("artifact.downloaded", who{s.artifact.text, fromRegistry}, fromRegistry, map[string]any{"user": "node-7"}, link("PATH", live)).
		announce("MINOR", "", elink{kind: "CAUSE", target: s.lastOf("EiffelArtifactCreatedEvent", "artifact", s.artifact.who())})
	s.testIn(s.production, live)
	s.say("switchboard-featureflag.changed", who{s.name, "https://switchboard.example.com"}, "https://switchboard.example.com",
		map[string]any{"description": "on for all", "share": json.Number("0.250")}, link("TRIGGER", live)).announce("MINOR", "")
	s.haveIncident(live)
	o := outcomes[s.chance.Intn(len(outcomes))]
	content := map[string]any{"pipelineName": "release " + s.name, "uri": "https://ci.example.com/p", "outcome": o.cdevents}
	s.finishRun(s.say("pipelinerun.finished", s.pipelineRun, fromCI, content, link("PATH", live), link("END", queued)), o, "")
	s.closeTicket()
}

// end takes everything away.
func (s *goodsStory) end() {
	s.chain = ""
	s.remove(s.production)
	s.incident("reported", fmt.Sprintf("late-%s", s.name), s.production) // nothing runs there any more
	s.remove(s.production)
	s.deleteEnvironment(s.test)
	s.publish(s.test)
	s.testIn(s.test, nil)
	s.defineEnvironment(s.test)
	s.say("artifact.deleted", who{s.artifact.text, fromRegistry}, fromRegistry, map[string]any{"user": "ben"}).
		announce("MINOR", "", elink{kind: "CAUSE", target: s.lastOf("EiffelArtifactCreatedEvent", "artifact", s.artifact.who())})
	s.say("artifact.deleted", who{"pkg:generic/never@" + s.name, fromRegistry}, fromRegistry, map[string]any{}, cdlink{kind: "PATH", nobody: "nobody knows"}).announce("MINOR", "")
}

// Tickets

var ticketTypes = []struct{ cdevents, eiffel string }{{"bug", "BUG"}, {"enhancement", "IMPROVEMENT"}, {"task", "WORK_ITEM"}, {"incident", "OTHER"}, {"", "OTHER"}}

func (s *goodsStory) openTicket() {
	about := who{fmt.Sprintf("%s-%d", strings.ToUpper(s.name), s.n), fromTickets}
	uri := "https://tickets.example.com/" + about.id
	say := func(name, summary string, links ...cdlink) *cdevent {
		kind := ticketTypes[s.chance.Intn(len(ticketTypes))]
		content := map[string]any{"summary": summary, "creator": "maria", "uri": uri, "labels": []any{"a", "b"}}
		if kind.cdevents != "" {
			content["ticketType"] = kind.cdevents
		}
		e := s.say(name, about, fromTickets, content, links...)
		id, before := e.define("EiffelIssueDefinedEvent", "ticket", about)
		e.becomes("EiffelIssueDefinedEvent", id, map[string]any{"type": kind.eiffel, "tracker": fromTickets, "id": about.id, "uri": uri, "title": summary},
			elink{kind: "CAUSE", target: before})
		return e
	}
	if s.variant%3 != 0 { // else an update is the first that is said of it
		s.ticket = say("ticket.created", "faster")
	}
	s.ticket = say("ticket.updated", "much faster", link("TRIGGER", s.ticket))
}

func (s *goodsStory) closeTicket() {
	about := who{fmt.Sprintf("%s-%d", strings.ToUpper(s.name), s.n), fromTickets}
	s.say("ticket.closed", about, fromTickets, map[string]any{"uri": "https://tickets.example.com/x", "resolution": "completed"}, link("PATH", s.ticket)).
		announce("MINOR", "https://tickets.example.com/x", elink{kind: "CAUSE", target: s.lastOf("EiffelIssueDefinedEvent", "ticket", about)})
}

// Source changes

func (s *goodsStory) changeSource() {
	branch := who{"faster", fromGit}
	repository := func() map[string]any { return map[string]any{"repository": s.repository.reference()} }
	created := s.say("branch.created", branch, fromGit, repository(), link("TRIGGER", s.ticket))
	created.announce("MINOR", "")

	change := who{fmt.Sprintf("shop/%s!%d", s.name, s.n), fromGit}
	const scc = "EiffelSourceChangeCreatedEvent"
	version := func(name string, links ...cdlink) *cdevent {
		e := s.say(name, change, fromGit, repository(), links...)
		id, before := e.define(scc, "change", change)
		e.becomes(scc, id, map[string]any{"change": map[string]any{"id": change.id, "tracker": fromGit}}, elink{kind: "PREVIOUS_VERSION", target: before})
		return e
	}
	lastVersion := func() string { return s.lastOf(scc, "change", change) }
	var e *cdevent
	if s.variant%4 == 0 { // a review is the first that is said of it
		e = s.review(change)
	}
	if s.variant%4 != 1 { // an update is
		e = version("change.created", link("PATH", created), link("RESOLVED_ISSUE", s.ticket), link("BASE", s.merged))
	}
	for range 1 + s.chance.Intn(2) {
		e = version("change.updated", link("PATH", e), link("PREVIOUS_VERSION", e), link("TRIGGER", s.ticket))
	}
	s.created, s.reviewed = e, s.review(change, link("PATH", e))
	s.merged = s.say("change.merged", change, fromGit, repository(), link("PATH", s.reviewed), cdlink{kind: "TRIGGER", target: s.ticket, domain: "example.tickets"})
	s.merged.becomes("EiffelSourceChangeSubmittedEvent", s.merged.own(), map[string]any{}, elink{kind: "CHANGE", target: lastVersion()})
	s.last[standsFor("EiffelSourceChangeSubmittedEvent", "change", change)] = s.merged.eiffel
	s.say("branch.deleted", branch, fromGit, repository(), link("TRIGGER", s.merged)).announce("MINOR", "")

	change = who{change.id + "b", fromGit}
	if s.sometimes(2) {
		version("change.created")
	}
	s.say("change.abandoned", change, fromGit, repository(), link("PATH", s.merged)).announce("MINOR", "", elink{kind: "CAUSE", target: lastVersion()})
	pushed := who{change.id + "c", fromGit} // nobody knows it before it is merged
	e = s.say("change.merged", pushed, fromGit, repository())
	e.becomes("EiffelSourceChangeSubmittedEvent", e.own(), map[string]any{})
}

func (s *goodsStory) review(change who, links ...cdlink) *cdevent {
	e := s.say("change.reviewed", change, fromGit, map[string]any{}, links...)
	created := e.need("EiffelSourceChangeCreatedEvent", "change", change, map[string]any{"change": map[string]any{"id": change.id, "tracker": change.source}})
	e.becomes("EiffelConfidenceLevelModifiedEvent", e.own(), map[string]any{"name": "changeReviewed", "value": "SUCCESS"}, elink{kind: "SUBJECT", target: created})
	return e
}

// Runs

// ending is an outcome in CDEvents and what it is of an activity and of a test in Eiffel (mapping.md, "Outcomes").
type ending struct{ cdevents, conclusion, verdict, testConclusion string }

var outcomes = []ending{
	{"success", "SUCCESSFUL", "PASSED", "SUCCESSFUL"},
	{"failure", "UNSUCCESSFUL", "FAILED", "SUCCESSFUL"},
	{"error", "FAILED", "INCONCLUSIVE", "FAILED"},
	{"cancel", "ABORTED", "INCONCLUSIVE", "ABORTED"},
}

// freeOutcomes are words of task runs, which may be any.
var freeOutcomes = append([]ending{{cdevents: "Succeeded", conclusion: "SUCCESSFUL"}, {cdevents: "CANCELLED", conclusion: "ABORTED"}, {cdevents: "flaky", conclusion: "INCONCLUSIVE"}, {cdevents: "", conclusion: "INCONCLUSIVE"}}, outcomes...)

const (
	actT = "EiffelActivityTriggeredEvent"
	actS = "EiffelActivityStartedEvent"
	actF = "EiffelActivityFinishedEvent"
)

// activity is the event that stands for a run; one is made up for what was never queued.
func (e *cdevent) activity(kind, category string, links ...elink) string {
	return e.need(actT, kind, e.about, map[string]any{"name": e.about.id, "categories": []any{category}}, links...)
}

// queue says that a run is queued. Said of a run that is known already, it is an announcement.
func (s *goodsStory) queue(e *cdevent, kind, category, name string, triggers []any) *cdevent {
	if known := s.lastOf(actT, kind, e.about); known != "" {
		e.announce("MINOR", "", elink{kind: "CAUSE", target: known})
		return e
	}
	data := map[string]any{"name": name, "categories": []any{category}}
	if triggers != nil {
		data["triggers"] = triggers
	}
	id, _ := e.define(actT, kind, e.about)
	e.becomes(actT, id, data)
	return e
}

func (s *goodsStory) startRun(e *cdevent, triggered string) *cdevent {
	data := map[string]any{}
	if uri := e.content["uri"]; uri != nil {
		data["executionUri"] = uri
	}
	e.becomes(actS, e.own(), data, elink{kind: "ACTIVITY_EXECUTION", target: triggered})
	return e
}

// finishRun says how a run ended; triggered is the event that stands for it, "" for that of the pipeline run.
func (s *goodsStory) finishRun(e *cdevent, o ending, triggered string) *cdevent {
	if triggered == "" {
		triggered = e.activity("pipelinerun", "pipelineRun")
	}
	out := map[string]any{"conclusion": o.conclusion}
	errors, _ := e.content["errors"].(string)
	switch {
	case o.cdevents == "flaky" && errors != "":
		out["description"] = "flaky: " + errors
	case o.cdevents == "flaky":
		out["description"] = "flaky"
	case errors != "":
		out["description"] = errors
	}
	e.becomes(actF, e.own(), map[string]any{"outcome": out}, elink{kind: "ACTIVITY_EXECUTION", target: triggered})
	return e
}

// startPipelineRun queues and starts the pipeline run. It gives the event that queued it.
func (s *goodsStory) startPipelineRun() *cdevent {
	name := "release " + s.name
	if s.variant%3 == 0 { // one is canceled before it starts
		canceled := who{fmt.Sprintf("%s/%d/canceled", s.name, s.n), fromCI}
		queued := s.queue(s.say("pipelinerun.queued", canceled, fromCI, map[string]any{}, link("TRIGGER", s.merged)), "pipelinerun", "pipelineRun", canceled.id, nil)
		e := s.say("pipelinerun.finished", canceled, fromCI, map[string]any{"outcome": "cancel", "errors": "superseded"}, link("PATH", queued))
		e.becomes("EiffelActivityCanceledEvent", e.own(), map[string]any{"reason": "superseded"}, elink{kind: "ACTIVITY_EXECUTION", target: queued.eiffel})
	}
	s.pipelineRun = who{fmt.Sprintf("%s/%d", s.name, s.n), fromCI}
	queue := func() *cdevent {
		return s.queue(s.say("pipelinerun.queued", s.pipelineRun, fromCI, map[string]any{"pipelineName": name, "uri": "https://ci.example.com/p"},
			link("PATH", s.merged), link("TRIGGER", s.merged), link("TRIGGER", s.ticket)), "pipelinerun", "pipelineRun", name, nil)
	}
	var queued *cdevent
	if s.variant%4 != 2 {
		queued = queue()
	}
	e := s.say("pipelinerun.started", s.pipelineRun, fromCI, map[string]any{"pipelineName": name, "uri": "https://ci.example.com/p"}, link("PATH", queued))
	s.startRun(e, e.activity("pipelinerun", "pipelineRun"))
	if queued == nil { // late
		queued = queue()
	}
	return queued
}

// build tells of tasks and a build in the pipeline run. It gives the event that ends the build.
func (s *goodsStory) build(queued *cdevent) *cdevent {
	for i := range 2 {
		task := who{fmt.Sprintf("%s/task %d", s.pipelineRun.id, i), fromCI}
		content := func() map[string]any {
			return map[string]any{"taskName": "compile", "pipelineRun": map[string]any{"id": s.pipelineRun.id}}
		}
		inPipelineRun := elink{kind: "CONTEXT", target: s.lastOf(actT, "pipelinerun", s.pipelineRun)}
		previous := queued
		if i == 0 {
			started := content()
			started["uri"] = "https://ci.example.com/task"
			previous = s.say("taskrun.started", task, fromCI, started, link("PATH", queued))
			s.startRun(previous, previous.activity("taskrun", "taskRun", inPipelineRun))
		}
		o := freeOutcomes[s.chance.Intn(len(freeOutcomes))]
		finished := content()
		if o.cdevents != "" {
			finished["outcome"] = o.cdevents
		}
		if s.sometimes(2) {
			finished["errors"] = "2 warnings"
		}
		e := s.say("taskrun.finished", task, fromCI, finished, link("PATH", previous))
		s.finishRun(e, o, e.activity("taskrun", "taskRun", inPipelineRun))
	}
	build := who{fmt.Sprintf("%s/build", s.pipelineRun.id), fromCI}
	var e *cdevent
	if s.variant%3 != 1 {
		e = s.queue(s.say("build.queued", build, fromCI, map[string]any{}, link("CONTEXT", queued), link("PATH", queued)), "build", "build", build.id, nil)
	}
	if s.variant%5 != 1 {
		e = s.say("build.started", build, fromCI, map[string]any{}, link("PATH", e))
		s.startRun(e, e.activity("build", "build"))
	}
	content, o := map[string]any{}, ending{conclusion: "INCONCLUSIVE"}
	if s.variant%2 == 0 {
		content["artifactId"], o.conclusion = s.artifact.text, "SUCCESSFUL"
	}
	finished := s.say("build.finished", build, fromCI, content, link("PATH", e))
	return s.finishRun(finished, o, finished.activity("build", "build"))
}

// Artifacts

func (s *goodsStory) makeArtifact(built *cdevent) {
	about := func(by string) who { return who{s.artifact.text, by} }
	sign := func() {
		e := s.say("artifact.signed", about(fromRegistry), fromRegistry, map[string]any{"signature": "MEUC"}, link("PATH", built))
		created := e.artifactEvent(s.artifact)
		e.becomes("EiffelConfidenceLevelModifiedEvent", e.own(),
			map[string]any{"name": "artifactSigned", "value": "SUCCESS", "customData": []any{map[string]any{"key": "signature", "value": "MEUC"}}}, elink{kind: "SUBJECT", target: created})
	}
	if s.variant%4 == 3 { // before anybody said that it exists
		sign()
	}
	for range 1 + s.variant%2 {
		change := who{fmt.Sprintf("shop/%s!%d", s.name, s.n), fromGit}
		reference := change.reference()
		if s.sometimes(2) {
			delete(reference, "source")
		}
		s.packaged = s.say("artifact.packaged", about(fromCI), fromCI, map[string]any{"change": reference, "sbom": map[string]any{"uri": "https://ci.example.com/sbom"}},
			link("PATH", built), link("PATH", s.merged), cdlink{kind: "TRIGGER", nobody: "lost"})
		id, before := s.packaged.define("EiffelArtifactCreatedEvent", "artifact", s.artifact.who())
		identity := s.artifact.text
		if !strings.HasPrefix(identity, "pkg:") {
			identity = s.artifact.purl
		}
		s.packaged.becomes("EiffelArtifactCreatedEvent", id, map[string]any{"identity": identity}, elink{kind: "PREVIOUS_VERSION", target: before},
			elink{kind: "CAUSE", target: s.lastOf("EiffelSourceChangeSubmittedEvent", "change", change)})
	}
	sign()
	locations := []any{}
	if s.artifact.location != "" {
		locations = append(locations, map[string]any{"type": "OTHER", "uri": s.artifact.location})
	}
	e := s.say("artifact.published", about(fromRegistry), fromRegistry, map[string]any{"user": "ci"}, link("PATH", s.packaged), link("TRIGGER", s.packaged))
	e.becomes("EiffelArtifactPublishedEvent", e.own(), map[string]any{"locations": locations}, elink{kind: "ARTIFACT", target: e.artifactEvent(s.artifact)})
}

// Tests

const (
	tct = "EiffelTestCaseTriggeredEvent"
	tss = "EiffelTestSuiteStartedEvent"
)

var triggerWords = []struct{ cdevents, eiffel string }{{"manual", "MANUAL"}, {"pipeline", "OTHER"}, {"event", "EIFFEL_EVENT"}, {"schedule", "TIMER"}, {"other", "OTHER"}}

func (s *goodsStory) testIn(env *environment, cause *cdevent) {
	s.suite = who{fmt.Sprintf("%s/%d/%d", env.id, s.n, len(s.events)), fromTests}
	suite := map[string]any{"id": "smoke", "uri": "https://tests.example.com/smoke"}
	name := "smoke"
	if s.sometimes(2) {
		suite["name"], name = "Smoke tests", "Smoke tests"
	}
	content := func() map[string]any {
		return map[string]any{"environment": s.reference(env), "testSuite": maps.Clone(suite)}
	}
	s.suiteEvent = cause
	if s.variant%3 != 2 {
		trigger := triggerWords[s.chance.Intn(len(triggerWords))]
		queued := content()
		queued["trigger"] = map[string]any{"type": trigger.cdevents}
		s.suiteEvent = s.queue(s.say("testsuiterun.queued", s.suite, fromTests, queued, link("PATH", cause)), "testsuiterun", "testSuiteRun", name,
			[]any{map[string]any{"type": trigger.eiffel}})
	}
	for range 1 + s.variant%2 { // the second time it is an announcement
		e := s.say("testsuiterun.started", s.suite, fromTests, content(), link("PATH", s.suiteEvent))
		if known := s.lastOf(tss, "testsuiterun", s.suite); known != "" {
			e.announce("MINOR", "", elink{kind: "CAUSE", target: known})
			break
		}
		id, _ := e.define(tss, "testsuiterun", s.suite)
		e.becomes(tss, id, map[string]any{"name": name}, elink{kind: "CONTEXT", target: s.lastOf(actT, "testsuiterun", s.suite)})
		s.suiteEvent = e
	}
	s.testCase(env, 0, nil)
	s.testCase(env, 1, []*cdevent{s.packaged, s.merged, s.created, s.reviewed}[s.chance.Intn(4)])
	s.skip(env)
	o := outcomes[s.chance.Intn(len(outcomes))]
	finished := content()
	finished["outcome"], finished["reason"] = o.cdevents, "11 of 12"
	e := s.say("testsuiterun.finished", s.suite, fromTests, finished, link("PATH", s.suiteEvent), link("END", s.suiteEvent))
	started := e.need(tss, "testsuiterun", s.suite, map[string]any{"name": s.suite.id})
	e.becomes("EiffelTestSuiteFinishedEvent", e.own(), map[string]any{"outcome": map[string]any{"verdict": o.verdict, "conclusion": o.testConclusion, "description": "11 of 12"}},
		elink{kind: "TEST_SUITE_EXECUTION", target: started})
}

// tested gives the item under test: what the event's links name, else what runs in the environment, else a composition that
// stands for it (mapping.md, "Item under test").
func (s *goodsStory) tested(e *cdevent, env *environment, name string) string {
	composition := func(elements []string) string {
		id := idOfParts([]string{"synthesized", "IUT", e.source, e.id, e.typ})
		var links []elink
		for _, element := range elements {
			links = append(links, elink{kind: "ELEMENT", target: element})
		}
		e.makeUp("EiffelCompositionDefinedEvent", id, e.source, map[string]any{"name": name}, links...)
		return id
	}
	for _, l := range e.links {
		if l.target == nil || l.kind == "END" {
			continue
		}
		switch of := l.target.asEiffel; of {
		case "EiffelArtifactCreatedEvent", "EiffelCompositionDefinedEvent", "EiffelSourceChangeCreatedEvent", "EiffelSourceChangeSubmittedEvent":
			if s.legal(tct, "IUT", of) {
				return l.target.eiffel
			}
			if s.legal("EiffelCompositionDefinedEvent", "ELEMENT", of) {
				return composition([]string{l.target.eiffel})
			}
		}
	}
	var deployments, artifacts []string
	for _, svc := range s.services {
		if r, ok := svc.runs[env]; ok {
			deployments = append(deployments, r.deployment)
			artifacts = append(artifacts, s.lastOf("EiffelArtifactCreatedEvent", "artifact", r.artifact.who()))
		}
	}
	if len(deployments) == 1 {
		return deployments[0]
	}
	slices.Sort(artifacts)
	return composition(slices.Compact(artifacts))
}

// execution is the event that stands for a test case run; one is made up for what was never queued, with the item under test.
func (s *goodsStory) execution(e *cdevent, env *environment, name string) string {
	if known := s.lastOf(tct, "testcaserun", e.about); known != "" {
		return known
	}
	tested := s.tested(e, env, name)
	return e.need(tct, "testcaserun", e.about, map[string]any{"testCase": map[string]any{"id": e.about.id}}, elink{kind: "IUT", target: tested})
}

// testCase tells of a test case of the suite, of what runs in the environment or of what an event has made.
func (s *goodsStory) testCase(env *environment, i int, of *cdevent) {
	about := who{fmt.Sprintf("%s/case %d", s.suite.id, i), fromTests}
	inSuite := map[string]any{"id": s.suite.id}
	testCase := map[string]any{"id": "buy", "version": "2", "name": "A customer buys", "uri": "https://tests.example.com/buy"}
	content := func() map[string]any {
		return map[string]any{"environment": s.reference(env), "testSuiteRun": inSuite, "testCase": maps.Clone(testCase)}
	}
	kind := []string{"IUT", "TRIGGER", "PATH"}[s.chance.Intn(3)]
	previous := s.suiteEvent
	queue := func() {
		trigger := triggerWords[s.chance.Intn(len(triggerWords))]
		queued := content()
		queued["trigger"] = map[string]any{"type": trigger.cdevents, "uri": "https://tests.example.com/why"}
		e := s.say("testcaserun.queued", about, fromTests, queued, link("PATH", s.suiteEvent), link(kind, of))
		if known := s.lastOf(tct, "testcaserun", about); known != "" {
			e.announce("MINOR", "", elink{kind: "CAUSE", target: known})
			return
		}
		tested := s.tested(e, env, env.id)
		id, _ := e.define(tct, "testcaserun", about)
		e.becomes(tct, id, map[string]any{"testCase": map[string]any{"id": "buy", "version": "2", "uri": "https://tests.example.com/buy"}, "triggers": []any{map[string]any{"type": trigger.eiffel}}},
			elink{kind: "IUT", target: tested}, elink{kind: "CONTEXT", target: s.lastOf(tss, "testsuiterun", s.suite)})
		previous = e
	}
	late := s.sometimes(4)
	if !late {
		queue()
	}
	e := s.say("testcaserun.started", about, fromTests, content(), link("PATH", previous))
	execution := s.execution(e, env, env.id)
	e.becomes("EiffelTestCaseStartedEvent", e.own(), map[string]any{}, elink{kind: "TEST_CASE_EXECUTION", target: execution},
		elink{kind: "ENVIRONMENT", target: s.lastOf("EiffelEnvironmentDefinedEvent", "environment", env.who)})
	if late {
		queue()
	}
	o := outcomes[s.chance.Intn(len(outcomes))]
	finished := content()
	finished["outcome"] = o.cdevents
	out := map[string]any{"verdict": o.verdict, "conclusion": o.testConclusion}
	if s.sometimes(2) {
		finished["reason"], out["description"] = "no button", "no button"
	}
	e = s.say("testcaserun.finished", about, fromTests, finished, link("PATH", e))
	e.becomes("EiffelTestCaseFinishedEvent", e.own(), map[string]any{"outcome": out}, elink{kind: "TEST_CASE_EXECUTION", target: s.execution(e, env, env.id)})
	s.say("testoutput.published", who{about.id + "/log", fromTests}, fromTests, map[string]any{"outputType": "log", "format": "text/plain", "uri": "https://tests.example.com/log",
		"testCaseRun": about.reference()}, link("PATH", e)).announce("MINOR", "https://tests.example.com/log", elink{kind: "CAUSE", target: s.lastOf(tct, "testcaserun", about)})
}

// testLate tells of a test that was queued before a deployment, by a clock that all share, but is heard of after it: what
// ran then was tested.
func (s *goodsStory) testLate(ran string, deployed *cdevent) {
	if ran == "" {
		return
	}
	about := who{"late " + deployed.id, fromTests}
	s.sayAt = deployed.at - 1
	e := s.say("testcaserun.queued", about, fromTests, map[string]any{"environment": s.reference(s.test)})
	id, _ := e.define(tct, "testcaserun", about)
	e.becomes(tct, id, map[string]any{"testCase": map[string]any{"id": about.id}}, elink{kind: "IUT", target: ran})
}

// skip tells of a test case that never runs. It need not name an environment, nor anything else.
func (s *goodsStory) skip(env *environment) {
	about := who{fmt.Sprintf("%s/skipped", s.suite.id), fromTests}
	content, name := map[string]any{"reason": "no time"}, about.id
	how := s.chance.Intn(5)
	if how > 0 {
		content["testCase"], name = map[string]any{"id": "sell"}, "sell"
	}
	if how > 1 {
		content["testSuiteRun"], name = map[string]any{"id": s.suite.id}, s.suite.id
	}
	if how > 2 {
		content["environment"], name = env.reference(), env.id
	} else {
		env = nil
	}
	e := s.say("testcaserun.skipped", about, fromTests, content, link("PATH", s.suiteEvent))
	if e != nil {
		e.becomes("EiffelTestCaseCanceledEvent", e.own(), map[string]any{"reason": "no time"}, elink{kind: "TEST_CASE_EXECUTION", target: s.execution(e, env, name)})
	}
}

// Incidents

// haveIncident tells of an incident of what went live, which a rollback ends.
func (s *goodsStory) haveIncident(live *cdevent) {
	if s.variant%2 == 1 {
		return
	}
	id := fmt.Sprintf("alert-%s-%d", s.name, s.n)
	detected := s.incident("detected", id, s.production, link("PATH", live))
	reported := s.incident("reported", id, s.production, link("PATH", detected))
	back := reported
	if s.n > 1 {
		back = s.deploy("rolledback", s.production, s.former, link("TRIGGER", reported), link("PATH", live))
		s.deploy("upgraded", s.production, s.artifact)
	}
	s.incident("resolved", id, s.production, link("PATH", back))
	s.incident("reported", id+"-of-nobody", nil)
}

// incident says something of an incident. The first that is said stands for it, and the rest modifies that; the deployment
// that runs the service there is the cause.
func (s *goodsStory) incident(predicate, id string, env *environment, links ...cdlink) *cdevent {
	about := who{id, fromMonitoring}
	content := map[string]any{"environment": map[string]any{"id": "somewhere"}, "description": "1 of 5 payments fails"}
	if s.sometimes(3) {
		delete(content, "description")
	}
	if env != nil {
		content["environment"], content["service"] = s.reference(env), map[string]any{"id": s.name} // of whom is clear
	}
	severity, uri := "MAJOR", ""
	switch predicate {
	case "reported":
		uri = "https://tickets.example.com/" + id
		content["ticketURI"] = uri
	case "resolved":
		severity = "CLOSED"
	}
	e := s.say("incident."+predicate, about, fromMonitoring, content, links...)
	running := elink{kind: "CAUSE"}
	if env != nil {
		running.target = s.service.runs[env].deployment
	}
	const annP = "EiffelAnnouncementPublishedEvent"
	if first := s.lastOf(annP, "incident", about); first != "" {
		e.announce(severity, uri, elink{kind: "MODIFIED_ANNOUNCEMENT", target: first}, running)
		return e
	}
	anchor, _ := e.define(annP, "incident", about)
	e.becomes(annP, anchor, e.announcement(severity, uri), running)
	return e
}

// all gives the flow with what it must become.
func (f *cdeventsFlow) all() []told {
	var out []told
	for _, e := range f.events {
		step := told{text: e.text, says: e.says, fail: e.fail}
		if e.fail == "" && len(e.want) == 0 {
			f.t.Fatalf("the story does not say what becomes of\n%s", e.text)
		}
		for _, want := range e.want {
			step.want = append(step.want, canonical(f.t, marshal(f.t, want)))
		}
		out = append(out, step)
	}
	return out
}

// checkLinks holds all that came out together against the link rules of each event's type and version: every link is of a
// legal type, leads to an event that came out before, of a type that it may lead to, is single where it must be, and is
// there where it is required.
func checkLinks(t *testing.T, out [][]translate.Event) {
	t.Helper()
	types := map[string]string{}
	for _, events := range out {
		for _, e := range events {
			rules := map[string]schema.LinkRule{}
			for _, r := range schema.LinkRules(e.Type, e.Version) {
				rules[r.Type] = r
			}
			count := map[string]int{}
			for _, l := range links(t, e) {
				kind, target, _ := strings.Cut(l, " ")
				count[kind]++
				rule, ok := rules[kind]
				switch {
				case !ok:
					t.Errorf("a %s %s has no link %s:\n%s", e.Type, e.Version, kind, e.JSON)
				case types[target] == "":
					t.Errorf("the target of %s comes later or never:\n%s", l, e.JSON)
				case rule.Targets != nil && !slices.Contains(rule.Targets, types[target]):
					t.Errorf("%s leads to an %s:\n%s", l, types[target], e.JSON)
				case count[kind] > 1 && !rule.Multiple:
					t.Errorf("more than one link %s:\n%s", kind, e.JSON)
				}
			}
			for kind, rule := range rules {
				if rule.Required && count[kind] == 0 {
					t.Errorf("no link %s:\n%s", kind, e.JSON)
				}
			}
			if types[e.ID] != "" {
				t.Errorf("another event has the id already:\n%s", e.JSON)
			}
			types[e.ID] = e.Type
		}
	}
}

// playCDEvents plays the flow and checks what holds in every version and edition.
func playCDEvents(t *testing.T, f *cdeventsFlow) (*translate.Engine, *translate.Session, []told, [][]translate.Event) {
	t.Helper()
	f.t = t
	flow := f.all()
	engine := newEngine(t, translate.Settings{Edition: f.edition})
	s := fresh(engine)
	out := play(t, s, flow)
	checkLinks(t, out)
	checkBack(t, engine, flow, out)
	names, types := tally{}, tally{}
	for i, e := range f.events {
		names[e.name]++
		for _, event := range out[i] {
			types[event.Type]++
			if event.Synthesized {
				types["synthesized"]++
			}
		}
	}
	full, _ := schema.SpecVersion(f.spec)
	for _, typ := range schema.CDEventTypes() {
		if s, err := schema.ForCDEvent(typ, ""); err == nil && slices.Contains(s.SpecVersions(), full) && names[nameOf(typ)] == 0 {
			t.Errorf("no %s", typ)
		}
	}
	t.Logf("%v", names)
	t.Logf("%v", types)
	return engine, s, flow, out
}

// TestFlowOfCDEvents: pipelines from commit to incident, with events of every type of CDEvents, to Eiffel: all of the links
// that there ought to be, each legal and resolved; and back to the byte.
func TestFlowOfCDEvents(t *testing.T) {
	f := tellCDEventsFlow(t, 1, 3, "0.5", "Orizaba")
	engine, s, flow, out := playCDEvents(t, f)
	checkRedelivery(t, s, flow, out)
	checkRelay(t, translate.Settings{}, flow, out)
	checkShuffled(t, engine, f.chance, flow)
}

// TestFlowOfCDEventsInEveryEdition tells the same in the older editions of Eiffel, which know no deployments.
func TestFlowOfCDEventsInEveryEdition(t *testing.T) {
	for _, edition := range schema.OutputEditions() {
		if edition != "Orizaba" {
			t.Run(edition, func(t *testing.T) { playCDEvents(t, tellCDEventsFlow(t, 2, 2, "0.5", edition)) })
		}
	}
}

// TestFlowOfOlderCDEvents tells the same in the words of older versions of CDEvents.
func TestFlowOfOlderCDEvents(t *testing.T) {
	for _, c := range []struct{ spec, edition string }{{"0.4", "Orizaba"}, {"0.4", "Agen"}, {"0.3", "Orizaba"}} {
		t.Run(c.spec+" in "+c.edition, func(t *testing.T) { playCDEvents(t, tellCDEventsFlow(t, 3, 2, c.spec, c.edition)) })
	}
}

// TestFlowOfTestsAfterDeployments: a test that a PATH or RELATION puts after a deployment is of what runs in the environment
// that it names. Links name an item under test where they lead to an artifact, a composition or a change (mapping.md, "Item under
// test"); a deployment says where something went, which need not be where the test runs, nor all that runs there.
func TestFlowOfTestsAfterDeployments(t *testing.T) {
	for _, c := range []struct{ name, environment, linkType string }{
		{"a PATH from a deployment into another environment", "prod", "PATH"},
		{"a TRIGGER from a deployment into another environment", "prod", "RELATION"},
		{"a PATH from one of two deployments into the environment", "stage", "PATH"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSession(t, translate.Settings{})
			ran := map[string][]string{}
			deploy := func(n int, service, environment string) {
				content := map[string]any{"environment": map[string]any{"id": environment}, "artifactId": "pkg:oci/" + service + "@1.0.0"}
				e := last(t, through(t, s, goldenCDEvent(t, uuid(n), fromDeployer, deployedType, service, fromDeployer, content)))
				ran[environment] = append(ran[environment], e.ID, target(t, e, "ARTIFACT"))
			}
			deploy(1, "shop", "stage")
			deploy(2, "cart", "stage")
			deploy(3, "shop", "prod")
			event := edit(t, goldenCDEvent(t, uuid(4), fromDeployer, "dev.cdevents.testcaserun.queued.0.3.0", "case", fromDeployer,
				map[string]any{"environment": map[string]any{"id": c.environment}}), func(event map[string]any) {
				l := path(uuid(1))
				if c.linkType == "RELATION" {
					l = relation("TRIGGER", uuid(1))
				}
				object(event, "context")["links"] = []any{l}
			})
			r := through(t, s, event)
			tested := target(t, last(t, r), "IUT")
			if c.environment == "prod" {
				if tested != ran["prod"][0] {
					t.Errorf("the item under test is %s, want the deployment in prod, %s: %s", tested, ran["prod"][0], last(t, r).JSON)
				}
				return
			}
			composition := r.Events[0]
			want := []string{"ELEMENT " + ran["stage"][1], "ELEMENT " + ran["stage"][3]}
			slices.Sort(want)
			if tested != composition.ID || !slices.Equal(links(t, composition), want) {
				t.Errorf("the item under test is %s, want a composition of all that runs in stage:\n%s", tested, texts(r.Events))
			}
		})
	}
}
