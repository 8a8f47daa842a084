package translate_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/mappings"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// The flow in Eiffel: six products, each with release after release: issue, source changes, pipeline, tasks, build,
// composition, artifact, deployments into three environments, tests, confidence levels, announcements.

// tool is who writes Eiffel events: its meta.source, and the source that its CDEvents have for that (mapping.md, "Sources").
type tool struct {
	meta   map[string]any
	source string
}

var (
	gerrit     = tool{map[string]any{"uri": "https://gerrit.example.com", "name": "gerrit"}, "https://gerrit.example.com"}
	jenkins    = tool{map[string]any{"uri": "https://jenkins.example.com/", "domainId": "example.build", "serializer": "pkg:maven/com.example/plugin@1.0"}, "https://jenkins.example.com/"}
	registry   = tool{map[string]any{"domainId": "example.registry/eu", "host": "registry-1"}, "urn:eiffel:domain:example.registry%2Feu"}
	laboratory = tool{map[string]any{"host": "test lab 3", "name": "testrunner"}, "urn:eiffel:host:test%20lab%203"}
	reporter   = tool{map[string]any{"uri": "https://reports.example.com"}, "https://reports.example.com"}
	deployer   = tool{map[string]any{"uri": "https://deploy.example.com"}, "https://deploy.example.com"}
	operator   = tool{map[string]any{"name": "night shift"}, "urn:eiffel"}
	tracker    = tool{map[string]any{"uri": "https://tickets.example.com/a b", "name": "maria"}, "https://tickets.example.com/a%20b"}
	planner    = tool{map[string]any{"uri": "https://plan.example.com"}, "https://plan.example.com"}
	stageOps   = tool{map[string]any{"uri": "https://k8s.example.com/stage"}, "https://k8s.example.com/stage"}
	europeOps  = tool{map[string]any{"uri": "https://k8s.example.com/eu"}, "https://k8s.example.com/eu"}
	americaOps = tool{map[string]any{"uri": "https://k8s.example.com/us"}, "https://k8s.example.com/us"}
)

// who is the subject of a CDEvent, or a reference to one.
type who struct{ id, source string }

func (w who) reference() map[string]any { return map[string]any{"id": w.id, "source": w.source} }

// unknown is what stands for something that only that Eiffel event would know.
func unknown(e *eiffelEvent) map[string]any { return map[string]any{"id": "urn:uuid:" + e.id} }

// eiffelEvent is an event of the flow, and the CDEvent that it becomes.
type eiffelEvent struct {
	id, typ string
	by      tool
	at      int64
	data    map[string]any
	links   []flowLink
	chain   string
	text    string

	name      string // subject.predicate; "" if it becomes none
	subject   who
	content   map[string]any
	content03 map[string]any // in CDEvents 0.3, where it differs
}

// flowLink is a link of an Eiffel event.
type flowLink struct{ kind, to, domain string }

// to links to an event; the link is left out if there is none.
func to(kind string, e *eiffelEvent) flowLink {
	if e == nil {
		return flowLink{}
	}
	return flowLink{kind: kind, to: e.id}
}

// becomes says which CDEvent the event is.
func (e *eiffelEvent) becomes(name string, subject who, content map[string]any) *eiffelEvent {
	e.name, e.subject, e.content = name, subject, content
	return e
}

// custom says that the event is a custom CDEvent: its content is the data.
func (e *eiffelEvent) custom(name string) *eiffelEvent {
	return e.becomes("eiffel-"+name, who{e.id, e.by.source}, e.data)
}

// place is an environment.
type place struct {
	who
	by   tool
	last *eiffelEvent // its last definition
}

// product is something that is released again and again. Its releases are numbered, and newer ones have higher numbers.
type product struct {
	name    string
	purl    string // of a release; %d is its number
	service string // the id that its deployments have as a service
	named   bool   // the deployments' custom data say so
	svn     bool
}

var products = []*product{
	{name: "webshop", purl: "pkg:oci/webshop@2.%d.0?repository_url=registry.example.com%%2Fshop", service: "pkg:oci/webshop?repository_url=registry.example.com%2Fshop"},
	{name: "cart", purl: "pkg:maven/com.example/cart@1.%d", service: "pkg:maven/com.example/cart"},
	// Nothing but the order in which they came tells digests apart.
	{name: "pay", purl: "pkg:oci/pay@sha256:%016x0b31b1c02ff458ad9b7b81cbdf8f028bd54699fa151f221d", service: "pkg:oci/pay"},
	{name: "agent", purl: "pkg:deb/debian/agent@1.%d-1?arch=amd64", service: "pkg:deb/debian/agent", svn: true},
	{name: "checkout", purl: "pkg:npm/%%40example/checkout@3.%d.0", service: "checkout", named: true},
	{name: "ledger", purl: "pkg:golang/example.com/ledger@v1.%d.0#cmd/ledger", service: "pkg:golang/example.com/ledger"},
}

func (p *product) release(n int) string { return fmt.Sprintf(p.purl, n) }

// running is what the model knows of a product in an environment.
type running struct {
	service who
	release int
	config  string
}

// eiffelFlow is the flow and what the model remembers of it.
type eiffelFlow struct {
	t      *testing.T
	chance *rand.Rand
	now    int64
	events []*eiffelEvent
	known  map[string]*eiffelEvent

	stage, europe, america *place
	runs                   map[*place]map[*product]*running
	artifacts              map[string]*eiffelEvent // by purl
	track                  *eiffelEvent            // the flow context
	tickets                map[string]bool
}

// tellEiffelFlow tells the whole flow.
func tellEiffelFlow(t *testing.T, seed int64, releases int) *eiffelFlow {
	t.Helper()
	f := &eiffelFlow{t: t, chance: rand.New(rand.NewSource(seed)), now: 1772355600000, known: map[string]*eiffelEvent{},
		runs: map[*place]map[*product]*running{}, artifacts: map[string]*eiffelEvent{}, tickets: map[string]bool{}}
	first := &teller{f, func() {}}
	f.track = first.say(planner, "FlowContextDefined", map[string]any{"product": "shop", "track": "main", "version": "2026"}).custom("flowcontext.defined")
	// Two environments have one name and are told apart by who speaks of them.
	f.stage, f.europe, f.america = first.environment("stage", stageOps), first.environment("production", europeOps), first.environment("production", americaOps)
	stories := []func(func()){func(turn func()) { (&teller{f, turn}).operate(4 * releases) }}
	for _, p := range products {
		stories = append(stories, func(turn func()) {
			story := &productStory{teller: &teller{f, turn}, product: p}
			for n := 1; n <= releases; n++ {
				story.release(n)
			}
		})
	}
	together(f.chance, stories...)
	return f
}

// teller tells one of the stories of a flow.
type teller struct {
	*eiffelFlow
	turn func() // waits for the story's turn
}

func (s *teller) sometimes(of int) bool { return s.chance.Intn(of) == 0 }

// id gives an id of any of the versions that Eiffel accepts.
func (f *eiffelFlow) id() string {
	return fmt.Sprintf("%08x-%04x-%d%03x-a%03x-%012x", f.chance.Uint32(), f.chance.Intn(1<<16), 1+f.chance.Intn(5), f.chance.Intn(1<<12), f.chance.Intn(1<<12), len(f.events))
}

// say writes the next event.
func (s *teller) say(by tool, what string, data map[string]any, links ...flowLink) *eiffelEvent {
	s.turn()
	f := s.eiffelFlow
	f.now += 1 + f.chance.Int63n(5000)
	e := &eiffelEvent{id: f.id(), typ: "Eiffel" + what + "Event", by: by, at: f.now, data: data}
	for _, l := range links {
		if l.to == "" {
			continue
		}
		if f.chance.Intn(20) == 0 {
			l.domain = "example.elsewhere"
		}
		e.links = append(e.links, l)
	}
	e.chain = f.chainOf(e)
	f.write(e)
	f.events = append(f.events, e)
	f.known[e.id] = e
	return e
}

// chainOf is the chain of the event's line of CONTEXT, else of its first CAUSE, else of what was triggered; a root begins its own
// (mapping.md, "Chains").
func (f *eiffelFlow) chainOf(e *eiffelEvent) string {
	for _, kind := range []string{"CONTEXT", "CAUSE", "ACTIVITY_EXECUTION", "TEST_CASE_EXECUTION", "TEST_SUITE_EXECUTION"} {
		for _, l := range e.links {
			if l.kind == kind {
				if parent := f.known[l.to]; parent != nil {
					return parent.chain
				}
				return l.to
			}
		}
	}
	return e.id
}

// write writes the event in a version of its type that can hold it, from Agen's on: tools of all ages share a bus.
func (f *eiffelFlow) write(e *eiffelEvent) {
	f.t.Helper()
	versions := schema.EiffelVersions(e.typ)
	if first, ok := schema.EditionVersion("Agen", e.typ); ok {
		versions = versions[slices.Index(versions, first):]
	}
	f.chance.Shuffle(len(versions), func(i, j int) { versions[i], versions[j] = versions[j], versions[i] })
	for _, version := range append(versions, orizaba(e.typ)) {
		meta := map[string]any{"id": e.id, "type": e.typ, "version": version, "time": e.at, "source": e.by.meta}
		if f.chance.Intn(10) == 0 {
			meta["tags"] = []any{"a", "b"}
		}
		links := []map[string]any{}
		for _, l := range e.links {
			link := map[string]any{"type": l.kind, "target": l.to}
			if l.domain != "" {
				link["domainId"] = l.domain
			}
			links = append(links, link)
		}
		event := map[string]any{"meta": meta, "data": e.data, "links": links}
		text, err := json.MarshalIndent(event, "", strings.Repeat(" ", f.chance.Intn(3)))
		if err != nil {
			f.t.Fatal(err)
		}
		e.text = string(text)
		if f.legal(e, version) {
			return
		}
	}
	f.t.Fatalf("no version of the type can hold the event\n%s", e.text)
}

func (f *eiffelFlow) legal(e *eiffelEvent, version string) bool {
	s, err := schema.ForEiffel(e.typ, version)
	if err != nil {
		f.t.Fatal(err)
	}
	doc, err := jsondoc.Parse([]byte(e.text))
	if err != nil {
		f.t.Fatal(err)
	}
	return len(s.Validate(doc)) == 0 && len(s.ValidateLinks(doc, func(id string) (string, bool) {
		target := f.known[id]
		if target == nil {
			return "", false
		}
		return target.typ, true
	})) == 0
}

// environment defines an environment that was not there before.
func (s *teller) environment(name string, by tool) *place {
	p := &place{who: who{name, by.source}, by: by}
	p.last = s.say(by, "EnvironmentDefined", map[string]any{"name": name, "uri": "https://" + name + ".example.com/"}).
		becomes("environment.created", p.who, map[string]any{"name": name, "uri": "https://" + name + ".example.com/"})
	s.runs[p] = map[*product]*running{}
	return p
}

// operate redefines environments.
func (s *teller) operate(times int) {
	for i := range times {
		p := []*place{s.stage, s.europe, s.america}[i%3]
		name := fmt.Sprintf("%s, node pool %d", p.id, i)
		switch i % 4 {
		case 0: // no version before is named, but the name is known
			p.last = s.say(p.by, "EnvironmentDefined", map[string]any{"name": p.id, "version": fmt.Sprint(i)}).
				becomes("environment.modified", p.who, map[string]any{"name": p.id})
		case 1: // the name is free text; the subject stays
			p.last = s.say(p.by, "EnvironmentDefined", map[string]any{"name": name, "image": "pkg:oci/node@1"}, to("PREVIOUS_VERSION", p.last)).
				becomes("environment.modified", p.who, map[string]any{"name": name})
		case 2: // not a URI, and it need not be one
			p.last = s.say(p.by, "EnvironmentDefined", map[string]any{"name": p.id, "uri": "rack " + fmt.Sprint(i)}, to("PREVIOUS_VERSION", p.last), to("CAUSE", p.last)).
				becomes("environment.modified", p.who, map[string]any{"name": p.id})
		case 3: // somebody else defines it anew
			p.last = s.say(operator, "EnvironmentDefined", map[string]any{"name": name, "uri": "https://e.example.com"}, to("PREVIOUS_VERSION", p.last)).
				becomes("environment.modified", p.who, map[string]any{"name": name, "uri": "https://e.example.com"})
		}
	}
}

// productStory is the story of a product, and what it comes back to.
type productStory struct {
	*teller
	product *product

	n        int          // the release
	variant  int          // which of the ways of doing things it takes
	issue    *eiffelEvent // may be nil
	change   who
	created  *eiffelEvent // the last SourceChangeCreated; nil if the change was pushed
	merged   *eiffelEvent
	formerly *eiffelEvent // the SourceChangeSubmitted of the release before
	build    *run
	pipeline *run
	parts    *eiffelEvent // the composition
	artifact *eiffelEvent
	former   *eiffelEvent // the artifact of the release before
	verified *eiffelEvent // a TestCaseFinished
}

// release tells a release from the issue to production.
func (s *productStory) release(n int) {
	s.n, s.variant, s.issue, s.created, s.former = n, n+slices.Index(products, s.product), nil, nil, s.artifact
	s.defineIssue()
	s.changeSource()
	s.startPipeline()
	s.buildArtifact()
	s.qualify()
	stage := s.deploy(deployer, s.stage, n, s.artifact, nil, to("CONTEXT", s.deployment()))
	s.test(stage)
	for _, p := range []*place{s.europe, s.america} {
		deployed := s.deploy(deployer, p, n, s.artifact, nil, to("CONTEXT", s.pipeline.triggered), to("CAUSE", stage))
		s.publish(deployed, p)
		s.configure(p)
	}
	if n%3 == 2 {
		s.rollBack()
	}
	s.pipeline.finish(s.teller, jenkins)
}

// defineIssue defines an issue, and, for the next release, the same one again.
func (s *productStory) defineIssue() {
	if s.variant%4 == 0 {
		return
	}
	kind := []string{"BUG", "IMPROVEMENT", "FEATURE", "WORK_ITEM", "REQUIREMENT", "OTHER"}[s.chance.Intn(6)]
	id := fmt.Sprintf("%s-%d", strings.ToUpper(s.product.name), (s.n+1)/2)
	data := map[string]any{"type": kind, "tracker": "https://tickets.example.com/" + s.product.name, "id": id, "uri": "https://tickets.example.com/" + id}
	summary := id
	if s.sometimes(2) {
		summary = "Faster " + s.product.name
		data["title"] = summary
	}
	by, creator := tracker, "maria"
	if s.sometimes(3) {
		by, creator = gerrit, "gerrit"
	}
	s.issue = s.say(by, "IssueDefined", data, to("FLOW_CONTEXT", s.track))
	content := map[string]any{"summary": summary, "creator": creator, "uri": data["uri"]}
	if word := map[string]string{"BUG": "bug", "IMPROVEMENT": "enhancement", "FEATURE": "enhancement", "WORK_ITEM": "task", "REQUIREMENT": "task"}[kind]; word != "" {
		content["ticketType"] = word
	}
	name := "ticket.created"
	if s.tickets[id] {
		name = "ticket.updated"
	}
	s.tickets[id] = true
	s.issue.becomes(name, who{id, data["tracker"].(string)}, content)
}

// changeSource tells of the change that the release brings, from its first version to its submission.
func (s *productStory) changeSource() {
	s.formerly = s.merged
	repository := map[string]any{"id": "shop/" + s.product.name}
	identifier := func(data map[string]any, version int) string {
		commit := fmt.Sprintf("%040x", s.chance.Uint64())
		if s.product.svn {
			revision := 100*s.n + version
			data["svnIdentifier"] = map[string]any{"revision": revision, "directory": "trunk", "repoUri": "svn://svn.example.com/agent"}
			repository["id"] = "svn://svn.example.com/agent"
			return fmt.Sprint(revision)
		}
		data["gitIdentifier"] = map[string]any{"commitId": commit, "branch": "main", "repoName": "shop/" + s.product.name, "repoUri": "https://git.example.com/shop"}
		return commit
	}
	if s.variant%5 != 0 { // some are pushed without review
		s.change = who{fmt.Sprintf("I%d", s.chance.Uint32()), gerrit.source}
		numbered := s.sometimes(2) // else the commit names the change
		for version := range 1 + s.chance.Intn(3) {
			data := map[string]any{"author": map[string]any{"name": "Anna Berg", "email": "anna@example.com"}}
			name := identifier(data, version)
			if numbered {
				data["change"] = map[string]any{"id": s.change.id, "tracker": "gerrit", "insertions": 12, "deletions": 3}
			} else {
				s.change.id = name
			}
			subject, predicate := s.change, "change.created"
			if version > 0 {
				predicate = "change.updated"
			}
			var cause *eiffelEvent
			if version > 0 || s.sometimes(2) {
				cause = s.issue
			}
			s.created = s.say(gerrit, "SourceChangeCreated", data, to("PREVIOUS_VERSION", s.created), to("BASE", s.formerly), to("RESOLVED_ISSUE", s.issue),
				to("CAUSE", cause), to("FLOW_CONTEXT", s.track)).becomes(predicate, subject, map[string]any{"repository": repository})
		}
		if s.sometimes(3) {
			s.say(gerrit, "ConfidenceLevelModified", map[string]any{"name": "changeReviewed", "value": "FAILURE", "issuer": map[string]any{"name": "Ben"}}, to("SUBJECT", s.created)).
				custom("confidencelevel.modified")
		}
		s.say(gerrit, "ConfidenceLevelModified", map[string]any{"name": "changeReviewed", "value": "SUCCESS"}, to("SUBJECT", s.created), to("CAUSE", s.created)).
			becomes("change.reviewed", s.change, map[string]any{})
	}
	data := map[string]any{"submitter": map[string]any{"name": "Ben"}}
	name := identifier(data, 99)
	by := gerrit
	if s.created == nil {
		s.change = who{name, gerrit.source}
	} else if s.sometimes(2) {
		by = jenkins // the change stays gerrit's
	}
	s.merged = s.say(by, "SourceChangeSubmitted", data, to("CHANGE", s.created), to("PREVIOUS_VERSION", s.formerly), to("CAUSE", s.issue), to("FLOW_CONTEXT", s.track)).
		becomes("change.merged", s.change, map[string]any{"repository": repository})
}

// startPipeline triggers and starts the pipeline; some are canceled before, and triggered again.
func (s *productStory) startPipeline() {
	if s.variant%4 == 1 {
		canceled := s.trigger(jenkins, "pipelinerun", "release "+s.product.name, nil, to("CAUSE", s.merged))
		canceled.cancel(s.teller, "superseded")
	}
	categories := []any{}
	if s.sometimes(2) {
		categories = append(categories, "release", "pipelineRun")
	}
	s.pipeline = s.trigger(jenkins, "pipelinerun", "release "+s.product.name, categories, to("CAUSE", s.merged), to("FLOW_CONTEXT", s.track))
	s.pipeline.start(s.teller, []string{fmt.Sprintf("https://jenkins.example.com/job/%d", s.n), "job 7", ""}[s.variant%3])
	for range 1 + s.chance.Intn(2) {
		task := s.trigger(jenkins, "taskrun", "lint", nil, to("CONTEXT", s.pipeline.triggered))
		task.start(s.teller, []string{"https://jenkins.example.com/lint", "no uri", ""}[s.chance.Intn(3)])
		task.finish(s.teller, []tool{jenkins, reporter}[s.chance.Intn(2)])
	}
	if s.sometimes(3) {
		task := s.trigger(jenkins, "taskrun", "docs", []any{"TaskRun"}, to("CONTEXT", s.pipeline.triggered))
		task.cancel(s.teller, "not today")
	}
}

// run is an activity that is a pipeline run, a build, a task run or a test suite run.
type run struct {
	kind, name  string
	triggered   *eiffelEvent
	pipeline    *run           // that a task run is part of
	environment map[string]any // of a test suite run, nil if unknown
}

// trigger triggers an activity. A task has the pipeline around it; CDEvents has no event for a queued task.
func (s *productStory) trigger(by tool, kind, name string, categories []any, links ...flowLink) *run {
	a := &run{kind: kind, name: name}
	data := map[string]any{"name": name, "executionType": "AUTOMATED"}
	if categories != nil {
		data["categories"] = categories
	}
	a.triggered = s.say(by, "ActivityTriggered", data, links...)
	switch kind {
	case "pipelinerun":
		a.triggered.becomes("pipelinerun.queued", a.who(), map[string]any{"pipelineName": name})
	case "build":
		a.triggered.becomes("build.queued", a.who(), map[string]any{})
	case "taskrun":
		a.pipeline = s.pipeline
	}
	return a
}

func (a *run) who() who { return who{a.triggered.id, a.triggered.by.source} }

// content has what each CDEvent about the run says of it.
func (a *run) content() map[string]any {
	c := map[string]any{}
	switch a.kind {
	case "pipelinerun":
		c["pipelineName"] = a.name
	case "taskrun":
		c["taskName"] = a.name
		if a.pipeline != nil {
			c["pipelineRun"] = a.pipeline.who().reference()
		}
	case "testsuiterun":
		c["environment"] = a.environment
		if a.environment == nil {
			c["environment"] = unknown(a.triggered)
		}
	}
	return c
}

// context is a link to what the run is part of: some tools write it again and again, some do not.
func (a *run) context(s *teller) flowLink {
	if s.sometimes(2) {
		for _, l := range a.triggered.links {
			if l.kind == "CONTEXT" {
				return flowLink{kind: "CONTEXT", to: l.to}
			}
		}
	}
	return flowLink{}
}

func (a *run) start(s *teller, uri string) {
	data := map[string]any{}
	if uri != "" {
		data["executionUri"] = uri
	}
	e := s.say(a.triggered.by, "ActivityStarted", data, to("ACTIVITY_EXECUTION", a.triggered), a.context(s))
	content := a.content()
	isURI := strings.HasPrefix(uri, "https:")
	switch {
	case a.kind == "pipelinerun" && !isURI:
		content["uri"] = "urn:uuid:" + e.id
	case isURI && (a.kind == "pipelinerun" || a.kind == "taskrun"):
		content["uri"] = uri
	}
	e.becomes(a.kind+".started", a.who(), content)
}

func (a *run) finish(s *teller, by tool) {
	o := activityOutcomes[s.chance.Intn(len(activityOutcomes))]
	outcome := map[string]any{"conclusion": o.conclusion}
	if o.description != "" {
		outcome["description"] = o.description
	}
	e := s.say(by, "ActivityFinished", map[string]any{"outcome": outcome, "persistentLogs": []any{map[string]any{"name": "log", "uri": "https://l.example.com"}}},
		to("ACTIVITY_EXECUTION", a.triggered), a.context(s))
	e.becomes(a.kind+".finished", a.who(), a.ended(o.outcome, o.errors))
}

// ended adds how the run ended to its content. A build has no word for that.
func (a *run) ended(outcome, errors string) map[string]any {
	content := a.content()
	if a.kind == "build" {
		return content
	}
	content["outcome"] = outcome
	if errors != "" {
		content[map[string]string{"pipelinerun": "errors", "taskrun": "errors", "testsuiterun": "reason"}[a.kind]] = errors
	}
	return content
}

func (a *run) cancel(s *teller, reason string) {
	s.say(a.triggered.by, "ActivityCanceled", map[string]any{"reason": reason}, to("ACTIVITY_EXECUTION", a.triggered), a.context(s)).
		becomes(a.kind+".finished", a.who(), a.ended("cancel", reason))
}

// activityOutcomes are conclusions and what they are in CDEvents (mapping.md, "Outcomes").
var activityOutcomes = []struct{ conclusion, description, outcome, errors string }{
	{"SUCCESSFUL", "", "success", ""},
	{"SUCCESSFUL", "two warnings", "success", "two warnings"},
	{"UNSUCCESSFUL", "does not compile", "failure", "does not compile"},
	{"FAILED", "no space left", "error", "no space left"},
	{"ABORTED", "", "cancel", ""},
	{"TIMED_OUT", "", "error", "TIMED_OUT"},
	{"TIMED_OUT", "after 2 h", "error", "TIMED_OUT: after 2 h"},
	{"INCONCLUSIVE", "who knows", "error", "INCONCLUSIVE: who knows"},
}

// buildArtifact tells of a build in the pipeline, which makes the release's artifact.
func (s *productStory) buildArtifact() {
	s.build = s.trigger(jenkins, "build", "build "+s.product.name, []any{"nightly", []string{"build", "BUILD"}[s.variant%2]}, to("CONTEXT", s.pipeline.triggered))
	s.build.start(s.teller, "https://jenkins.example.com/build")
	inBuild := to("CONTEXT", s.build.triggered)

	// A build of a neighbour is part of some compositions.
	var part *eiffelEvent
	for _, other := range products {
		if e := s.artifacts[other.release(1)]; e != nil && other != s.product {
			part = e
		}
	}
	compose := func(links ...flowLink) *eiffelEvent {
		data := map[string]any{"name": s.product.name, "version": fmt.Sprint(s.n)}
		return s.say(jenkins, "CompositionDefined", data, append(links, inBuild)...).custom("composition.defined")
	}
	data := map[string]any{"identity": s.product.release(s.n), "fileInformation": []any{map[string]any{"name": "app.bin"}},
		"customData": []any{map[string]any{"key": "size", "value": json.Number("12345678901234567890.10")}, map[string]any{"key": "size", "value": nil}}}
	create := func(links ...flowLink) {
		s.artifact = s.say(jenkins, "ArtifactCreated", data, append(links, inBuild)...)
	}
	change := map[string]any{"change": s.change.reference()}
	switch s.variant % 6 {
	case 0: // the change is near, by its CAUSE
		s.parts = compose(to("ELEMENT", part), to("ELEMENT", s.merged))
		create(to("COMPOSITION", s.parts), to("CAUSE", s.merged))
	case 1: // in the composition
		s.parts = compose(to("ELEMENT", part), to("ELEMENT", s.merged), to("PREVIOUS_VERSION", s.parts))
		create(to("COMPOSITION", s.parts))
	case 2: // by what caused the pipeline
		create(to("CAUSE", s.pipeline.triggered))
	case 3: // by what caused the pipeline in which it was built
		create()
	case 4: // what was created goes before what was submitted: that was the release before
		before := s.formerly
		if s.created == nil {
			before = s.merged
		}
		s.parts = compose(to("ELEMENT", before), to("ELEMENT", s.created))
		create(to("COMPOSITION", s.parts))
	case 5: // in a composition that is part of the composition
		inner := compose(to("ELEMENT", s.merged))
		s.parts = compose(to("ELEMENT", inner), to("ELEMENT", part))
		create(to("COMPOSITION", s.parts), to("CAUSE", s.build.triggered))
		// Nearer than the composition's change is what the build's cause leads to: the pipeline's, which is the same.
	}
	s.artifact.becomes("artifact.packaged", who{s.product.release(s.n), jenkins.source}, change)
	s.artifacts[s.product.release(s.n)] = s.artifact

	s.say(registry, "ArtifactPublished", map[string]any{"locations": []any{map[string]any{"type": "OTHER", "uri": "https://registry.example.com"}}}, to("ARTIFACT", s.artifact), inBuild).
		becomes("artifact.published", who{s.product.release(s.n), registry.source}, map[string]any{})
	if s.parts != nil && s.former != nil && s.sometimes(2) {
		s.say(jenkins, "ArtifactReused", map[string]any{}, to("COMPOSITION", s.parts), to("REUSED_ARTIFACT", s.former), to("CAUSE", s.artifact)).custom("artifact.reused")
	}
	compile := s.trigger(jenkins, "taskrun", "compile", nil, inBuild)
	compile.pipeline = nil // it is part of the build, and CDEvents has no word for that
	compile.start(s.teller, "")
	compile.finish(s.teller, jenkins)
	s.build.finish(s.teller, jenkins)
}

// qualify tells of confidence in the artifact.
func (s *productStory) qualify() {
	signature := map[string]any{"name": "artifactSigned", "value": "SUCCESS", "customData": []any{map[string]any{"key": "signature", "value": "MEUC" + fmt.Sprint(s.n)}}}
	s.say(registry, "ConfidenceLevelModified", signature, to("SUBJECT", s.parts), to("SUBJECT", s.artifact)).
		becomes("artifact.signed", who{s.product.release(s.n), registry.source}, map[string]any{"signature": "MEUC" + fmt.Sprint(s.n)})
	unsigned := map[string]any{"name": "artifactSigned", "value": "SUCCESS"}
	part := s.say(registry, "ConfidenceLevelModified", unsigned, to("SUBJECT", s.artifact)).custom("confidencelevel.modified")
	s.say(jenkins, "ConfidenceLevelModified", map[string]any{"name": "stable", "value": "INCONCLUSIVE"}, to("SUBJECT", s.artifact), to("SUB_CONFIDENCE_LEVEL", part),
		to("CONTEXT", s.pipeline.triggered)).custom("confidencelevel.modified")
}

// deployment triggers an activity that deploys; a category that CDEvents has no run for makes it no less a task.
func (s *productStory) deployment() *eiffelEvent {
	return s.trigger(jenkins, "taskrun", "deploy", []any{"deployment"}, to("CONTEXT", s.pipeline.triggered)).triggered
}

// deploy deploys a release, and judges by what ran there what that is (mapping.md, "The predicate").
func (s *productStory) deploy(by tool, in *place, release int, artifact, config *eiffelEvent, links ...flowLink) *eiffelEvent {
	data := map[string]any{}
	if s.product.named && by.source != operator.source {
		data["customData"] = []any{map[string]any{"key": "serviceId", "value": s.product.service}}
	}
	e := s.say(by, "ArtifactDeployed", data, append([]flowLink{to("CONFIGURATION", config), to("ENVIRONMENT", in.last), to("ARTIFACT", artifact)}, links...)...)
	configuration := ""
	if config != nil {
		configuration = config.id
	}
	r, predicate := s.runs[in][s.product], "deployed"
	switch {
	case r == nil:
		r = &running{service: who{s.product.service, by.source}}
		s.runs[in][s.product] = r
	case release > r.release, release == r.release && configuration != r.config:
		predicate = "upgraded"
	case release < r.release:
		predicate = "rolledback"
	}
	r.release, r.config = release, configuration
	return e.becomes("service."+predicate, r.service, map[string]any{"environment": in.reference(), "artifactId": s.product.release(release)})
}

// publish says that a deployment can be used.
func (s *productStory) publish(deployed *eiffelEvent, in *place) {
	s.say(deployer, "ConfidenceLevelModified", map[string]any{"name": "servicePublished", "value": "SUCCESS"}, to("SUBJECT", s.artifact), to("SUBJECT", deployed), to("CAUSE", deployed)).
		becomes("service.published", s.runs[in][s.product].service, map[string]any{"environment": in.reference()})
	if s.sometimes(3) {
		s.say(deployer, "ConfidenceLevelModified", map[string]any{"name": "servicePublished", "value": "FAILURE"}, to("SUBJECT", deployed)).custom("confidencelevel.modified")
		s.say(deployer, "ConfidenceLevelModified", map[string]any{"name": "fast", "value": "SUCCESS"}, to("SUBJECT", deployed)).custom("confidencelevel.modified")
	}
}

// configure deploys the release once more, and then with a configuration.
func (s *productStory) configure(in *place) {
	if !s.sometimes(3) {
		return
	}
	s.deploy(jenkins, in, s.n, s.artifact, nil) // by another tool, and yet it is the same service
	purl := fmt.Sprintf("pkg:generic/%s-settings@%d.%d", s.product.name, s.n, len(s.events))
	config := s.say(jenkins, "ArtifactCreated", map[string]any{"identity": purl}, to("CAUSE", s.issue))
	config.becomes("artifact.packaged", who{purl, jenkins.source}, map[string]any{"change": unknown(config)})
	if s.issue != nil {
		config.content03 = map[string]any{"change": unknown(s.issue)} // nobody knows the issue in a version without tickets
	}
	s.deploy(deployer, in, s.n, s.artifact, config, to("CAUSE", config))
}

// rollBack tells of an incident, which ends with the release before.
func (s *productStory) rollBack() {
	if s.former == nil {
		return
	}
	announced := s.say(operator, "AnnouncementPublished", map[string]any{"heading": s.product.name + " is down", "body": "in Europe", "severity": "CRITICAL", "uri": "https://status.example.com"},
		to("CAUSE", s.artifact)).custom("announcement.published")
	back := s.deploy(operator, s.europe, s.n-1, s.former, nil, to("CAUSE", announced))
	s.say(operator, "AnnouncementPublished", map[string]any{"heading": s.product.name + " is back", "body": "with the release before", "severity": "CLOSED"},
		to("MODIFIED_ANNOUNCEMENT", announced), to("CAUSE", back)).custom("announcement.published")
}

// test tells of tests of a deployment: three suites of different kinds, each with test cases.
func (s *productStory) test(deployed *eiffelEvent) {
	recipes := s.say(laboratory, "TestExecutionRecipeCollectionCreated", map[string]any{"selectionStrategy": map[string]any{"id": "smoke"}, "batchesUri": "https://t.example.com/batches"},
		to("CAUSE", deployed)).custom("testexecutionrecipecollection.created")
	s.testSuiteInActivity(deployed, recipes)
	s.testSuiteOfDeployment(deployed)
	s.testSuiteOfArtifact()
	if s.issue != nil {
		s.say(laboratory, "IssueVerified", map[string]any{}, to("IUT", deployed), to("SUCCESSFUL_ISSUE", s.issue), to("VERIFICATION_BASIS", s.verified), to("ENVIRONMENT", s.stage.last)).
			custom("issue.verified")
	}
}

// testSuiteInActivity has an activity around the suite: both are one test suite run, that of the activity.
func (s *productStory) testSuiteInActivity(deployed, recipes *eiffelEvent) {
	stage := s.stage.reference()
	data := map[string]any{"name": "smoke", "categories": []any{"testSuiteRun"}}
	trigger := s.chance.Intn(len(triggers))
	data["triggers"] = []any{map[string]any{"type": triggers[trigger].eiffel}, map[string]any{"type": "OTHER"}}
	suite := &run{kind: "testsuiterun", name: "smoke", environment: stage}
	suite.triggered = s.say(jenkins, "ActivityTriggered", data, to("CAUSE", deployed), to("CONTEXT", s.pipeline.triggered))
	suite.triggered.becomes("testsuiterun.queued", suite.who(), map[string]any{"environment": stage, "testSuite": map[string]any{"id": "smoke", "name": "smoke"},
		"trigger": map[string]any{"type": triggers[trigger].cdevents}})
	if s.sometimes(2) {
		suite.start(s.teller, "https://t.example.com")
	}
	started := s.say(laboratory, "TestSuiteStarted", map[string]any{"name": "Smoke tests", "types": []any{"FUNCTIONAL"}}, to("CONTEXT", suite.triggered), to("TERC", recipes)).
		becomes("testsuiterun.started", suite.who(), map[string]any{"environment": stage, "testSuite": map[string]any{"id": "Smoke tests", "name": "Smoke tests"}})
	for range 2 {
		// The deployment that is tested says where.
		s.testCase(deployed, stage, started, suite.who(), nil)
	}
	s.finishSuite(started, suite.who(), stage)
	if s.sometimes(2) {
		suite.finish(s.teller, jenkins)
	}
}

// testSuiteOfDeployment is a suite of its own that a deployment caused.
func (s *productStory) testSuiteOfDeployment(deployed *eiffelEvent) {
	stage := s.stage.reference()
	started := s.say(laboratory, "TestSuiteStarted", map[string]any{"name": "Load tests"}, to("CAUSE", deployed), to("FLOW_CONTEXT", s.track))
	suite := who{started.id, laboratory.source}
	started.becomes("testsuiterun.started", suite, map[string]any{"environment": stage, "testSuite": map[string]any{"id": "Load tests", "name": "Load tests"}})
	s.testCase(deployed, stage, started, suite, s.stage.last)
	s.finishSuite(started, suite, stage)
}

// testSuiteOfArtifact is a suite in the pipeline, of an artifact or its composition: only test cases that have started say
// where.
func (s *productStory) testSuiteOfArtifact() {
	started := s.say(laboratory, "TestSuiteStarted", map[string]any{"name": "Component tests"}, to("CONTEXT", s.pipeline.triggered))
	suite := who{started.id, laboratory.source}
	started.becomes("testsuiterun.started", suite, map[string]any{"environment": unknown(started), "testSuite": map[string]any{"id": "Component tests", "name": "Component tests"}})
	s.testCase(s.artifact, nil, started, suite, s.stage.last)
	if s.parts != nil {
		s.testCase(s.parts, nil, started, suite, nil)
	}
	s.testCase(s.merged, nil, nil, who{}, s.stage.last)
	s.finishSuite(started, suite, unknown(started))
}

// triggers are the kinds of trigger in both protocols.
var triggers = []struct{ eiffel, cdevents string }{
	{"MANUAL", "manual"}, {"TIMER", "schedule"}, {"EIFFEL_EVENT", "event"}, {"SOURCE_CHANGE", "event"}, {"OTHER", "other"},
}

// testCase tells of a test case from queued to finished. environment is where what is tested runs, if that is a deployment;
// place is what the start of the test says about it.
func (s *productStory) testCase(tested *eiffelEvent, environment map[string]any, suite *eiffelEvent, suiteRun who, place *eiffelEvent) {
	trigger := triggers[s.chance.Intn(len(triggers))]
	testCase := map[string]any{"id": "buy", "version": "2"}
	if s.sometimes(2) {
		testCase["uri"] = "https://t.example.com/cases/buy"
	}
	in := map[string]any{"tracker": "https://t.example.com", "id": "buy", "version": "2", "uri": testCase["uri"]}
	if in["uri"] == nil {
		in["uri"] = "see the wiki"
	}
	triggered := s.say(laboratory, "TestCaseTriggered", map[string]any{"testCase": in, "triggers": []any{map[string]any{"type": trigger.eiffel, "description": "because"}}},
		to("IUT", tested), to("CONTEXT", suite))
	subject := who{triggered.id, laboratory.source}
	// becomes says what else the test case run has: where it ran, or whom to ask for that, and in which suite.
	becomes := func(e *eiffelEvent, name string, content map[string]any, ask *eiffelEvent) *eiffelEvent {
		content["environment"] = environment
		if environment == nil {
			content["environment"] = unknown(ask)
		}
		if suite != nil {
			content["testSuiteRun"] = suiteRun.reference()
		}
		e.becomes(name, subject, content)
		if environment == nil && tested.typ == "EiffelCompositionDefinedEvent" {
			e.content03 = maps.Clone(content) // without custom events nobody knows the composition, nor that it leads nowhere
			e.content03["environment"] = unknown(tested)
		}
		return e
	}
	becomes(triggered, "testcaserun.queued", map[string]any{"testCase": testCase, "trigger": map[string]any{"type": trigger.cdevents}}, triggered)
	if s.sometimes(5) {
		canceled := s.say(laboratory, "TestCaseCanceled", map[string]any{"reason": "no time"}, to("TEST_CASE_EXECUTION", triggered), to("CONTEXT", suite))
		becomes(canceled, "testcaserun.finished", map[string]any{"outcome": "cancel", "reason": "no time"}, triggered)
		return
	}
	started := s.say(laboratory, "TestCaseStarted", map[string]any{"executor": "node 3"}, to("TEST_CASE_EXECUTION", triggered), to("ENVIRONMENT", place))
	if place != nil {
		environment = s.stage.reference()
	}
	becomes(started, "testcaserun.started", map[string]any{}, started)

	o := testOutcomes[s.chance.Intn(len(testOutcomes))]
	outcome := map[string]any{"verdict": o.verdict, "conclusion": o.conclusion}
	if o.description != "" {
		outcome["description"] = o.description
	}
	says := map[string]any{"outcome": o.outcome}
	if o.reason != "" {
		says["reason"] = o.reason
	}
	outcome["metrics"] = []any{map[string]any{"name": "time", "value": json.Number("1.50")}}
	s.verified = s.say([]tool{laboratory, reporter}[s.chance.Intn(2)], "TestCaseFinished", map[string]any{"outcome": outcome}, to("TEST_CASE_EXECUTION", triggered), to("CAUSE", started))
	becomes(s.verified, "testcaserun.finished", says, triggered)
}

// testOutcomes are verdicts and conclusions and what they are in CDEvents: the verdict decides first.
var testOutcomes = []struct{ verdict, conclusion, description, outcome, reason string }{
	{"PASSED", "SUCCESSFUL", "", "success", ""},
	{"PASSED", "SUCCESSFUL", "14 of 14", "success", "14 of 14"},
	{"PASSED", "TIMED_OUT", "", "success", ""},
	{"FAILED", "SUCCESSFUL", "no button", "failure", "no button"},
	{"FAILED", "ABORTED", "", "failure", ""},
	{"INCONCLUSIVE", "SUCCESSFUL", "", "error", ""},
	{"INCONCLUSIVE", "FAILED", "no browser", "error", "no browser"},
	{"INCONCLUSIVE", "TIMED_OUT", "after 2 h", "error", "TIMED_OUT: after 2 h"},
	{"INCONCLUSIVE", "INCONCLUSIVE", "", "error", "INCONCLUSIVE"},
	{"INCONCLUSIVE", "ABORTED", "stopped", "cancel", "stopped"},
}

// finishSuite ends a suite. Eiffel's suites need not say how.
func (s *productStory) finishSuite(started *eiffelEvent, suite who, environment map[string]any) {
	data, content := map[string]any{}, map[string]any{"environment": environment, "outcome": "error"}
	switch s.chance.Intn(4) {
	case 0:
	case 1:
		data["outcome"], content["outcome"] = map[string]any{"verdict": "PASSED"}, "success"
	case 2:
		data["outcome"], content["outcome"] = map[string]any{"conclusion": "ABORTED", "description": "stopped"}, "cancel"
		content["reason"] = "stopped"
	case 3:
		o := testOutcomes[s.chance.Intn(len(testOutcomes))]
		data["outcome"], content["outcome"] = map[string]any{"verdict": o.verdict, "conclusion": o.conclusion, "description": o.description}, o.outcome
		if o.reason != "" {
			content["reason"] = o.reason
		}
	}
	s.say(laboratory, "TestSuiteFinished", data, to("TEST_SUITE_EXECUTION", started)).becomes("testsuiterun.finished", suite, content)
}

// in gives the flow with what it must become in a version of CDEvents.
func (f *eiffelFlow) in(spec string) []told {
	f.t.Helper()
	var out []told
	for _, e := range f.events {
		out = append(out, f.wanted(e, spec))
	}
	return out
}

func (f *eiffelFlow) wanted(e *eiffelEvent, spec string) told {
	if e.name == "" {
		return told{text: e.text}
	}
	full := typeInSpec(spec, e.name)
	switch {
	case full == "":
		return told{text: e.text, fail: translate.CodeNotInSpec}
	case strings.HasPrefix(e.name, "eiffel-"):
		full += ".0.1.0"
	}
	context := map[string]any{"specversion": "0.5.1", "id": e.id, "source": e.by.source, "type": full, "timestamp": timestamp(e.at), "chainId": e.chain}
	var links []any
	for _, l := range e.links {
		kind := l.kind
		if kind == "CAUSE" {
			kind = "TRIGGER"
		}
		link := map[string]any{"linkType": "RELATION", "linkKind": kind, "target": map[string]any{"contextId": l.to}}
		if l.domain != "" {
			link["tags"] = map[string]any{"domainId": l.domain}
		}
		links = append(links, link)
	}
	if links != nil {
		context["links"] = links
	}
	content := e.content
	if spec == "0.3" && e.content03 != nil {
		content = e.content03
	}
	event := marshal(f.t, map[string]any{
		"context":               context,
		"subject":               map[string]any{"id": e.subject.id, "source": e.subject.source, "content": content},
		"customData":            map[string]any{"eiffel": map[string]any{"event": json.RawMessage(e.text), "rules": 2}},
		"customDataContentType": "application/json",
	})
	return told{text: e.text, want: []string{marshal(f.t, inWordsOf(spec, value(f.t, []byte(event)).(map[string]any)))}}
}

// TestFlowOfEiffel: an Eiffel flow of more than a thousand events to CDEvents, with subjects, outcomes, environments, links
// and chains right to the last member, and back to the byte.
func TestFlowOfEiffel(t *testing.T) {
	f := tellEiffelFlow(t, 1, 3)
	types, names := tally{}, tally{}
	for _, e := range f.events {
		types[e.typ]++
		names[e.name]++
	}
	t.Logf("%v", types)
	t.Logf("%v", names)
	if len(f.events) < 1000 {
		t.Errorf("only %d events", len(f.events))
	}
	for _, typ := range schema.EiffelTypes() {
		if types[typ] == 0 {
			t.Errorf("no %s", typ)
		}
	}
	catalogue, err := mappings.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range catalogue.ToCDEvents {
		for _, name := range row.CDEvent {
			// A test case that is skipped begins in CDEvents.
			if names[name] == 0 && name != "testcaserun.skipped" {
				t.Errorf("nothing becomes %s", name)
			}
		}
	}
	for _, spec := range []string{"0.5", "0.4", "0.3"} {
		t.Run("CDEvents "+spec, func(t *testing.T) {
			f.t = t
			flow := f.in(spec)
			settings := translate.Settings{Spec: spec}
			engine := newEngine(t, settings)
			s := fresh(engine)
			out := play(t, s, flow)
			checkBack(t, engine, flow, out)
			if spec == "0.5" {
				checkRedelivery(t, s, flow, out)
				checkRelay(t, settings, flow, out)
				checkShuffled(t, engine, f.chance, flow)
			}
		})
	}
}
