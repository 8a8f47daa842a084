package corpus

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/internal/schema/generate"
	"github.com/eiffelbridge/eiffelbridge/internal/testkit/oracle/jsontree"
	"github.com/eiffelbridge/eiffelbridge/internal/testkit/oracle/stream"
)

// tale adds the next event, or a few, to a stream.
type tale func(w *world, to string)

// The CDEvents by what they are about.
var (
	serviceNames = []string{
		"environment.created", "environment.modified", "environment.deleted", "service.deployed", "service.deployed", "service.upgraded", "service.upgraded",
		"service.rolledback", "service.published", "service.published", "service.removed", "artifact.packaged",
	}
	runNames = []string{
		"pipelinerun.queued", "pipelinerun.started", "pipelinerun.finished", "build.queued", "build.started", "build.finished", "taskrun.started", "taskrun.finished",
		"testcaserun.queued", "testcaserun.started", "testcaserun.finished", "testcaserun.skipped", "testsuiterun.queued", "testsuiterun.started", "testsuiterun.finished",
		"testoutput.published",
	}
	otherNames = []string{
		"artifact.packaged", "artifact.published", "artifact.signed", "artifact.downloaded", "artifact.deleted", "change.created", "change.updated", "change.reviewed",
		"change.merged", "change.abandoned", "repository.created", "repository.modified", "repository.deleted", "branch.created", "branch.deleted", "ticket.created",
		"ticket.updated", "ticket.closed", "incident.detected", "incident.reported", "incident.resolved",
	}
)

// plainCDEvent tells one of some CDEvents.
func plainCDEvent(names []string) tale {
	return func(w *world, to string) {
		name := names[w.IntN(len(names))]
		g := given{}
		switch {
		case strings.HasPrefix(name, "service.") && name != "service.published" && name != "service.removed" && w.chance(70):
			g["/subject/content/environment/id"] = text(w.pick("prod", "prod", "stage"))
		case strings.HasPrefix(name, "service.") && w.chance(50):
			g["/subject/content/environment"] = "" // then it is the only one in which the service runs
		case strings.HasSuffix(name, ".finished") && w.chance(20):
			g["/subject/content/outcome"] = text(w.pick("cancel", "cancel", "error", "failure"))
		}
		w.cdevent(name, g, to)
	}
}

// customCDEvent tells a CDEvent that has no row of its own, or one of an overlay.
func customCDEvent(w *world, to string) {
	kind := w.IntN(6)
	if kind < 3 {
		w.custom(w.pick(generate.CustomType, "dev.cdeventsx.acme-release.shipped.1.0.0", "dev.cdeventsx.acme-release.withdrawn.1.0.0",
			"dev.cdeventsx.eiffel-announcement.published.0.1.0", "dev.cdeventsx.tool-other.happened.2.0.0"), given{
			"/subject/id": text(w.pick("thing-1", "thing-2", w.subject("thing"))),
			"/subject/content": w.pick(`{}`, `{"artifacts":[`+text(w.artifact())+`,"notes"],"approvedBy":"Ann"}`, `{"artifacts":["pkg:oci/shop@1.0.0"]}`, `{"n":"1.50","description":"it happened"}`, `{"n":1}`,
				`{"uri":"https://example.com/a","reason":"so"}`, `{"url":"no uri","errors":["a"]}`)}, to)
		return
	}
	// Types that have no schema here.
	types := []string{"dev.cdevents.deployment.queued.0.1.0", "dev.cdevents.deployment.started.0.1.0", "dev.cdevents.deployment.finished.0.1.0", "dev.cdevents.thing.happened.0.1.0",
		"com.example.thing", "dev.cdevents.service.deployed.0.9.0", "dev.cdevents.service.deployed.1.0.0", "dev.cdevents.service.deployed", "dev.cdeventsx.acme-release.shipped"}
	id := w.eventID()
	content := `{"outcome":` + text(w.pick("success", "failure", "odd")) + `,"errors":"e","uri":"https://example.com/a","artifactId":` + text(w.artifact()) + `,"environment":{"id":"prod"},"service":{"id":"shop"}}`
	event := `{"context":{"specversion":"0.5.1","id":` + text(id) + `,"source":` + text(w.source()) + `,"type":` + text(w.pick(types...)) + `,"timestamp":` + text(w.timestamp()) +
		w.pick(``, `,"links":[{"linkType":"RELATION","linkKind":"TRIGGER","target":{"contextId":`+text(w.contextID())+`}}]`) + `},"subject":{"id":` + text(w.subject("deployment")) + `,"content":` + content + `}}`
	w.put([]byte(event), to)
	w.ids = append(w.ids, id)
}

// kinds of runs, as the categories of an activity have them.
var kinds = []struct{ category, subject string }{
	{"pipelineRun", "pipelinerun"}, {"build", "build"}, {"taskRun", "taskrun"}, {"testSuiteRun", "testsuiterun"},
}

// cdeventOfEiffel tells a CDEvent about a run that an Eiffel event began: its id is that event's.
func cdeventOfEiffel(w *world, to string) {
	source := w.sources[0]
	about := func(name, id string) {
		g := given{"/subject/id": text(id), "/context/source": text(source), "/subject/source": ""}
		if strings.HasSuffix(name, ".finished") && w.chance(60) {
			g["/subject/content/outcome"] = text(w.pick("cancel", "Canceled", "success"))
		}
		w.cdevent(name, g, to)
	}
	if w.chance(40) {
		k := kinds[w.IntN(len(kinds))]
		g := given{"/meta/source/uri": text(source), "/data/categories": `[` + text(k.category) + `]`}
		links := []link(nil)
		if w.chance(30) {
			links = append(links, link{"CONTEXT", w.target([]string{"EiffelActivityTriggeredEvent"})})
		}
		version, _ := schema.EditionVersion("Orizaba", "EiffelActivityTriggeredEvent")
		s, err := schema.ForEiffel("EiffelActivityTriggeredEvent", version)
		if err != nil {
			panic(err)
		}
		id := w.write(s, g, links, to)
		about(k.subject+"."+w.pick("finished", "finished", "started"), id)
		return
	}
	var all []target
	for _, t := range []string{"EiffelActivityTriggeredEvent", "EiffelTestCaseTriggeredEvent", "EiffelTestSuiteStartedEvent"} {
		for _, x := range w.targets[t] {
			if x.out == nil {
				all = append(all, x)
			}
		}
	}
	if len(all) == 0 {
		all = []target{{id: w.uuid('4')}}
	}
	about(w.pick(runNames[:len(runNames)-1]...), all[len(all)-1-w.IntN(min(4, len(all)))].id)
}

// crowd tells of so many of a kind that lists in the ledger come to their end: services in an environment, sources of an
// id, deletions of an environment, events with one context id, targets of links.
func crowd(w *world, to string) {
	n := 20 + w.IntN(130)
	kind := w.IntN(6)
	for i := range n {
		source := text(fmt.Sprintf("https://ci.example.com/%d", i))
		switch kind {
		case 0, 1:
			w.cdevent("service.deployed", given{"/subject/id": text(fmt.Sprintf("service-%d", i)), "/subject/source": "", "/context/source": text(w.sources[0]),
				"/subject/content/environment": `{"id":"prod"}`, "/subject/content/artifactId": text(fmt.Sprintf("pkg:oci/service-%d@1.%d.0", i%90, i))}, to)
		case 2:
			w.cdevent(w.pick("service.deployed", "environment.created", "pipelinerun.queued"), given{"/subject/id": text("shop"), "/subject/source": "", "/context/source": source,
				"/subject/content/environment": `{"id":"prod","source":` + text(w.sources[0]) + `}`}, to)
			if i > 20 {
				return
			}
		case 3:
			w.cdevent(w.pick("environment.deleted", "environment.deleted", "environment.created"), given{"/subject/id": text("prod"), "/subject/source": "", "/context/source": text(w.sources[0])}, to)
		case 4:
			w.cdevent(w.pick(allNames...), given{"/context/id": text("the same id"), "/context/source": source}, to)
			if i > 14 {
				return
			}
		case 5:
			w.eiffel("EiffelSourceChangeCreatedEvent", given{}, nil, to)
			if i == n-1 || i > 75 {
				w.madeOf(to)
				return
			}
		}
	}
	if kind < 2 {
		w.cdevent("testcaserun.queued", given{"/subject/content/environment": `{"id":"prod","source":` + text(w.sources[0]) + `}`}, to)
		w.cdevent("testcaserun.started", given{"/subject/content/environment": `{"id":"prod","source":` + text(w.sources[0]) + `}`}, to)
		w.cdevent("testcaserun.finished", given{"/subject/content/environment": `{"id":"prod"}`}, to)
	}
}

// madeOf tells an artifact that was made of changes, directly or by way of compositions and causes.
func (w *world) madeOf(to string) {
	changes := append(append([]target{}, w.targets["EiffelSourceChangeCreatedEvent"]...), w.targets["EiffelSourceChangeSubmittedEvent"]...)
	var links []link
	for _, c := range changes {
		links = append(links, link{"ELEMENT", w.idOf(c)})
	}
	if len(links) > 3 && w.chance(50) {
		links = links[:1+w.IntN(3)]
	}
	w.write(version("EiffelCompositionDefinedEvent", "4.0.0"), given{}, links, to)
	cause := links[:min(len(links), w.IntN(4))]
	last := w.targets["EiffelCompositionDefinedEvent"]
	for range w.IntN(9) { // a chain of causes
		id := w.write(version("EiffelActivityTriggeredEvent", "4.3.0"), given{}, []link{{"CAUSE", w.idOf(last[len(last)-1])}}, to)
		cause = []link{{"CAUSE", id}}
		last = []target{{id: id}}
	}
	var art []link
	if w.chance(60) {
		cds := w.targets["EiffelCompositionDefinedEvent"]
		art = append(art, link{"COMPOSITION", w.idOf(cds[len(cds)-1])})
	}
	for _, c := range cause {
		art = append(art, link{"CAUSE", c.target})
	}
	w.write(version("EiffelArtifactCreatedEvent", "3.3.0"), given{"/data/identity": text(w.purl())}, art, to)
}

func version(eiffelType, v string) *schema.Schema {
	s, err := schema.ForEiffel(eiffelType, v)
	if err != nil {
		panic(err)
	}
	return s
}

// madeOfChanges tells two or three changes and what was made of them.
func madeOfChanges(w *world, to string) {
	for range 1 + w.IntN(3) {
		w.eiffel(w.pick("EiffelSourceChangeCreatedEvent", "EiffelSourceChangeSubmittedEvent"), given{}, nil, to)
	}
	w.madeOf(to)
}

// ofOverlay tells an event for which the overlays have rows, in either protocol.
func ofOverlay(w *world, to string) {
	switch w.IntN(9) {
	case 0, 1:
		w.custom(w.pick("dev.cdeventsx.acme-release.shipped.1.0.0", "dev.cdeventsx.acme-release.withdrawn.1.0.0"), given{"/subject/id": text(w.subject("release")),
			"/subject/content": `{"artifacts":[` + text(w.artifact()) + `,"pkg:oci/shop-admin@1.4.1","release notes"],"approvedBy":"Wile E."}`}, to)
	case 2, 3:
		g := given{"/data/name": text("released"), "/data/value": text(w.pick("SUCCESS", "FAILURE", "INCONCLUSIVE"))}
		if w.chance(60) {
			g["/data/customData"] = `[{"key":"release","value":` + w.pick(`"shop-2026.3"`, `7`, `""`) + `}]`
		}
		w.eiffel("EiffelConfidenceLevelModifiedEvent", g, []link{{"SUBJECT", w.target([]string{"EiffelArtifactCreatedEvent"})}}, to)
	case 4:
		w.eiffel("EiffelActivityTriggeredEvent", given{"/data/name": text(w.pick("deploy shop", "Deploy", "deploy cart to prod", "build")), "/data/categories": w.pick(`["deployment"]`, `[]`, `["build"]`),
			"/data/customData": w.pick(`[{"key":"environment","value":"prod"}]`, `[]`, `[{"key":"environment","value":{"a":1}}]`)}, nil, to)
	case 5:
		t := w.pick("EiffelActivityStartedEvent", "EiffelActivityFinishedEvent", "EiffelActivityCanceledEvent")
		w.eiffel(t, given{}, []link{{"ACTIVITY_EXECUTION", w.target([]string{"EiffelActivityTriggeredEvent"})}}, to)
	case 6:
		w.custom(generate.CustomType, given{"/subject/id": text(w.pick("thing-1", "thing-2")), "/context/source": text(w.pick("https://ci.example.com/a", "https://ci.example.com/b")),
			"/subject/content": w.pick(`{"n":"1.50"}`, `{"n":1}`, `{}`, `{"n":null}`)}, to)
	case 7:
		w.eiffel("EiffelCompositionDefinedEvent", given{"/data/name": text(w.pick("thing-1", "all of it"))}, nil, to)
	default:
		id := w.eventID()
		content := `{"outcome":` + text(w.pick("success", "failure", "odd", "cancel")) + `,"errors":"e","uri":"https://example.com/a","artifactId":` + text(w.artifact()) +
			`,"environment":{"id":"prod"},"service":{"id":"shop"}}`
		w.put([]byte(`{"context":{"specversion":"0.5.1","id":`+text(id)+`,"source":`+text(w.source())+`,"type":"dev.cdevents.deployment.`+w.pick("queued", "started", "finished")+
			`.0.1.0","timestamp":`+text(w.timestamp())+`},"subject":{"id":`+text(w.subject("deployment"))+`,"content":`+w.pick(content, content, `{}`)+`}}`), to)
		w.ids = append(w.ids, id)
	}
}

// unknownEiffel tells an Eiffel event of a type or version that is not known.
func unknownEiffel(w *world, to string) {
	id := w.uuid('4')
	kind := w.pick("EiffelThingHappenedEvent", "EiffelThingHappenedEvent", "Thing", "EiffelArtifactCreatedEvent", "EiffelActivityTriggeredEvent")
	event := `{"meta":{"id":` + text(id) + `,"type":` + text(kind) + `,"version":` + text(w.pick("1.0.0", "9.0.0", "4.9.0", "x", "0.0.1")) + `,"time":` + w.millis() +
		w.pick(``, `,"source":{"uri":`+text(w.source())+`}`) + `},"data":` + w.pick(`{}`, `{"identity":"pkg:oci/shop@1.0.0"}`, `{"name":"x","customData":[{"key":"a","value":1}]}`) +
		`,"links":` + w.pick(`[]`, `[{"type":"CAUSE","target":`+text(w.target(nil))+`}]`, `[{"type":"CAUSE","target":`+text(id)+`}]`) + `}`
	w.put([]byte(event), to)
	w.ids = append(w.ids, id)
}

// The Eiffel events by what they are about.
var (
	runTypes = []string{
		"EiffelActivityTriggeredEvent", "EiffelActivityTriggeredEvent", "EiffelActivityStartedEvent", "EiffelActivityFinishedEvent", "EiffelActivityCanceledEvent", "EiffelTestCaseTriggeredEvent",
		"EiffelTestCaseStartedEvent", "EiffelTestCaseFinishedEvent", "EiffelTestCaseCanceledEvent", "EiffelTestSuiteStartedEvent", "EiffelTestSuiteFinishedEvent",
		"EiffelCompositionDefinedEvent", "EiffelEnvironmentDefinedEvent", "EiffelArtifactDeployedEvent",
	}
	sourceTypes = []string{
		"EiffelSourceChangeCreatedEvent", "EiffelSourceChangeSubmittedEvent", "EiffelArtifactCreatedEvent", "EiffelArtifactPublishedEvent", "EiffelArtifactReusedEvent",
		"EiffelCompositionDefinedEvent", "EiffelIssueDefinedEvent", "EiffelIssueVerifiedEvent", "EiffelConfidenceLevelModifiedEvent", "EiffelAnnouncementPublishedEvent",
		"EiffelFlowContextDefinedEvent", "EiffelTestExecutionRecipeCollectionCreatedEvent",
	}
)

// plainEiffel tells one of some Eiffel events.
func plainEiffel(types []string) tale {
	return func(w *world, to string) {
		t := types[w.IntN(len(types))]
		g, links := given{}, []link(nil)
		switch {
		case t == "EiffelActivityTriggeredEvent" && w.chance(70):
			g["/data/categories"] = w.pick(`["pipelineRun"]`, `["build"]`, `["taskRun"]`, `["testSuiteRun"]`, `[]`, `["deployment"]`, `["x","Build"]`)
			if w.chance(50) {
				links = append(links, link{"CONTEXT", w.target([]string{"EiffelActivityTriggeredEvent"})})
			}
		case t == "EiffelConfidenceLevelModifiedEvent":
			eiffelLevel(w, to)
			return
		}
		if w.chance(2) { // an event that links to itself
			id := w.uuid('4')
			g["/meta/id"] = text(id)
			links = append(links, link{"CAUSE", id})
		}
		w.eiffel(t, g, links, to)
	}
}

// eiffelService tells an Eiffel event of the life of a service.
func eiffelService(w *world, to string) {
	switch n := w.IntN(20); {
	case n < 3:
		g := given{"/data/name": text(w.pick("prod", "stage"))}
		var links []link
		if w.chance(40) {
			links = append(links, link{"PREVIOUS_VERSION", w.target([]string{"EiffelEnvironmentDefinedEvent"})})
		}
		w.eiffel("EiffelEnvironmentDefinedEvent", g, links, to)
	case n < 8:
		w.eiffel("EiffelArtifactCreatedEvent", given{"/data/identity": text(w.purl())}, nil, to)
	case n < 17:
		eiffelDeployment(w, to)
	default:
		eiffelLevel(w, to)
	}
}

// purl is an artifact's identity as an Eiffel event has it.
func (w *world) purl() string {
	if p := w.artifact(); strings.HasPrefix(p, "pkg:") && p != "pkg:" {
		return p
	}
	return "pkg:generic/other@1"
}

func eiffelDeployment(w *world, to string) {
	g := given{}
	switch w.IntN(5) {
	case 0:
		g["/data/customData"] = `[{"key":"serviceId","value":` + text(w.pick("shop", "cart", "")) + `},{"key":"service","value":"pay"}]`
	case 1:
		g["/data/customData"] = `[{"key":"serviceId","value":` + w.pick(`7`, `{"id":"shop"}`, `null`) + `}]`
	}
	links := []link{{"ARTIFACT", w.target([]string{"EiffelArtifactCreatedEvent"})}, {"ENVIRONMENT", w.target([]string{"EiffelEnvironmentDefinedEvent"})}}
	if w.chance(20) {
		links = append(links, link{"CONFIGURATION", w.target([]string{"EiffelArtifactCreatedEvent"})})
	}
	w.eiffel("EiffelArtifactDeployedEvent", g, links, to)
}

// eiffelLevel tells a confidence level, most often one that has a row in CDEvents.
func eiffelLevel(w *world, to string) {
	name, subject := "servicePublished", "EiffelArtifactDeployedEvent"
	g := given{"/data/value": text(w.pick("SUCCESS", "SUCCESS", "SUCCESS", "FAILURE", "INCONCLUSIVE"))}
	switch w.IntN(6) {
	case 0:
		name, subject = "changeReviewed", "EiffelSourceChangeCreatedEvent"
	case 1:
		name, subject = "artifactSigned", "EiffelArtifactCreatedEvent"
		g["/data/customData"] = w.pick(`[{"key":"signature","value":"MEUCIQ=="}]`, `[{"key":"signature","value":7}]`, `[]`, `[{"key":"a","value":1},{"key":"signature","value":"s"},{"key":"signature","value":"t"}]`)
	case 2:
		name = w.pick("live", "released", "releaseReady", "stable")
		if w.chance(50) {
			subject = "EiffelArtifactCreatedEvent"
		}
	}
	g["/data/name"] = text(name)
	links := []link{{"SUBJECT", w.target([]string{subject})}}
	if w.chance(20) {
		links = append(links, link{"SUBJECT", w.target([]string{"EiffelArtifactDeployedEvent", "EiffelCompositionDefinedEvent"})})
	}
	w.eiffel("EiffelConfidenceLevelModifiedEvent", g, links, to)
}

// longLine tells the next deployment of one service in one environment, in either protocol.
func longLine(eiffel bool) tale {
	return func(w *world, to string) {
		purl := w.purl()
		switch {
		case w.chance(2):
			w.cdevent(w.pick("service.removed", "environment.deleted", "environment.created", "service.published"), given{
				"/subject/id": text("prod"), "/subject/content/environment": `{"id":"prod"}`, "/subject/source": "", "/context/source": text(w.sources[0])}, to)
		case w.chance(2):
			w.cdevent(w.pick("service.removed", "service.published"), given{
				"/subject/id": text("shop"), "/subject/content/environment": `{"id":"prod"}`, "/subject/source": "", "/context/source": text(w.sources[0])}, to)
		case !eiffel:
			w.cdevent(w.pick("service.deployed", "service.upgraded", "service.rolledback"), given{"/subject/id": text("shop"), "/subject/source": "",
				"/context/source": text(w.sources[0]), "/subject/content/environment": `{"id":"prod"}`, "/subject/content/artifactId": text(purl)}, to)
		case len(w.targets["EiffelEnvironmentDefinedEvent"]) == 0:
			w.eiffel("EiffelEnvironmentDefinedEvent", given{"/data/name": text("prod"), "/meta/source/uri": text(w.sources[0])}, nil, to)
		case len(w.targets["EiffelArtifactCreatedEvent"]) == 0 || w.chance(15):
			w.eiffel("EiffelArtifactCreatedEvent", given{"/data/identity": text(purl)}, nil, to)
		default:
			arts := w.targets["EiffelArtifactCreatedEvent"]
			links := []link{
				{"ARTIFACT", w.idOf(arts[len(arts)-1-w.IntN(min(5, len(arts)))])},
				{"ENVIRONMENT", w.idOf(w.targets["EiffelEnvironmentDefinedEvent"][0])},
			}
			w.eiffel("EiffelArtifactDeployedEvent", given{"/meta/source/uri": text(w.sources[0]), "/data/customData": `[{"key":"serviceId","value":"shop"}]`}, links, to)
		}
	}
}

// anything tells an event of any type and version, as the schema tables have it.
func anything(w *world, to string) {
	g := generate.NewWriter(w)
	for _, t := range schema.EiffelTypes() {
		for _, x := range w.targets[t] {
			if x.out == nil {
				g.Know(x.id, t)
			}
		}
	}
	for _, id := range w.ids[max(0, len(w.ids)-20):] {
		g.Know(id, "dev.cdevents")
	}
	all := schemas()
	s := all[w.IntN(len(all))]
	out := g.Event(s, []generate.Mode{generate.Random, generate.Random, generate.Full, generate.Minimal}[w.IntN(4)])
	w.put(out, to)
	root, err := jsontree.Parse(out)
	if err != nil {
		return
	}
	if s.SpecVersions() == nil {
		id := root.At("meta", "id").Str()
		w.targets[s.Type()] = append(w.targets[s.Type()], target{id: id})
		w.ids = append(w.ids, id)
		return
	}
	w.ids = append(w.ids, root.At("context", "id").Str())
}

var allSchemas []*schema.Schema

func schemas() []*schema.Schema {
	if allSchemas == nil {
		allSchemas = generate.Schemas()
	}
	return allSchemas
}

// again tells a former event again: the same bytes, or almost.
func again(w *world, to string) {
	if len(w.texts) == 0 {
		anything(w, to)
		return
	}
	at := len(w.texts) - 1 - min(w.IntN(1+w.IntN(60)), len(w.texts)-1)
	step := w.texts[at].step
	switch w.IntN(10) {
	case 0, 1:
		step.Text = string(loosen(w.Rand, step.Bytes()))
	case 2:
		step.Text = string(stream.Forge(step.Bytes(), []string{w.pick("content", "links-none", "links-extra", "links-reversed", "subject")}))
	case 3:
		step.Text = string(stream.Forge(step.Bytes(), []string{"source"}))
	case 4:
		step.Text = string(stream.Forge(step.Bytes(), []string{w.pick("later", "type")}))
	}
	if step.Text != "" {
		step.Raw = nil
	}
	if w.chance(60) {
		step.To = to
	}
	w.steps = append(w.steps, step)
}

// around tells an output of a former step, as it was or forged: it comes round to the same bridge, or to another.
func around(w *world, to string) {
	if len(w.steps) == 0 {
		anything(w, to)
		return
	}
	at := len(w.steps) - 1 - min(w.IntN(1+w.IntN(25)), len(w.steps)-1)
	step := stream.Step{Take: &stream.Output{Step: at, Number: w.IntN(3) - 1}, To: to}
	forges := stream.Forges()
	for n := w.IntN(10); n > 3 && len(step.Forge) < 2; n -= 4 {
		step.Forge = append(step.Forge, forges[w.IntN(len(forges))])
	}
	switch w.IntN(10) {
	case 0, 1, 2:
		step.To = stream.Far
	case 3:
		step.To = stream.Empty
	}
	w.steps = append(w.steps, step)
}

// damaged tells an event that was damaged on its way, or that was never right.
func damaged(w *world, to string) {
	if len(w.texts) == 0 || w.chance(30) {
		anything(w, to)
	}
	out := damage(w, w.texts[len(w.texts)-1-min(w.IntN(10), len(w.texts)-1)].step.Bytes())
	step := stream.Of(out)
	step.To = to
	w.steps = append(w.steps, step)
}

// damage changes one place of an event, or its bytes.
func damage(w *world, event []byte) []byte {
	switch w.IntN(14) {
	case 0:
		return event[:w.IntN(len(event)+1)]
	case 1:
		out := bytes.Clone(event)
		if len(out) > 0 {
			out[w.IntN(len(out))] ^= 1 << w.IntN(8)
		}
		return out
	case 2:
		return append(event, w.pick("x", "{}", "\n\n", "\x00")...)
	case 3:
		return append([]byte(w.pick("\ufeff", " \r\n\t", "[", "\xff")), event...)
	}
	root, err := jsontree.Parse(event)
	if err != nil {
		return event
	}
	var all []*jsontree.Node
	root.Walk(func(_ string, n *jsontree.Node) { all = append(all, n) })
	n := all[w.IntN(len(all))]
	if w.chance(50) { // the head is what decides
		head := root.At("context")
		if head == nil {
			head = root.At("meta")
		}
		if head != nil && len(head.Items) > 0 {
			n = head.Items[w.IntN(len(head.Items))]
		}
	}
	name := n.Name
	switch w.IntN(10) {
	case 0:
		*n = jsontree.Node{Name: name, Text: w.pick("null", "true", "0", "1.5", "1e400", "99999999999999999999")}
	case 1:
		*n = jsontree.Node{Name: name, Kind: jsontree.Text, Text: w.pick("", " ", "x", "\u0000", strings.Repeat("y", 5000))}
	case 2:
		*n = jsontree.Node{Name: name, Kind: jsontree.Kind(2 + w.IntN(2))}
	case 3, 4:
		for _, holder := range all {
			for i, item := range holder.Items {
				if item == n {
					holder.Items = append(holder.Items[:i:i], holder.Items[i+1:]...)
					break
				}
			}
		}
	case 5:
		for _, holder := range all {
			for _, item := range holder.Items {
				if item == n {
					holder.Items = append(holder.Items, n) // twice
					break
				}
			}
		}
	case 6:
		deep := &jsontree.Node{Kind: jsontree.Array}
		for range w.pickInt(20, 100, 130, 600) {
			deep = jsontree.Make(jsontree.Array, "", deep)
		}
		deep.Name = name
		*n = *deep
	case 7:
		if n.Kind == jsontree.Text {
			n.Text += w.pick("x", ".9", "0", "\u2028", "Z")
		}
	case 8:
		if w.chance(50) {
			root.Set(jsontree.Make(jsontree.Object, "meta"))
			root.Set(jsontree.Make(jsontree.Object, "context"))
		} else {
			root = jsontree.Make(jsontree.Array, "", root)
		}
	case 9:
		if links := root.At("links"); links != nil {
			links.Items = append(links.Items, jsontree.Make(jsontree.Object, "", jsontree.String("type", w.pick("CAUSE", "MADE_UP", "")), jsontree.String("target", w.pick("x", w.uuid('7'), w.uuid('4')))))
		} else if context := root.At("context"); context != nil {
			context.Set(jsontree.Make(jsontree.Array, "links", jsontree.Make(jsontree.Object, "", jsontree.String("linkType", w.pick("RELATION", "PATH", "END", "START")))))
		}
	}
	return root.Append(nil)
}

func (w *world) pickInt(from ...int) int { return from[w.IntN(len(from))] }

// loosen writes white space between the values of an event; what is no JSON stays as it is.
func loosen(r *rand.Rand, event []byte) []byte {
	var out []byte
	quoted := false
	for i := 0; i < len(event); i++ {
		c := event[i]
		out = append(out, c)
		switch {
		case quoted && c == '\\' && i+1 < len(event):
			i++
			out = append(out, event[i])
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ',' || c == ':' || c == '{' || c == '['):
			if r.IntN(3) == 0 {
				out = append(out, []string{" ", "\n", "\t  ", "\r\n"}[r.IntN(4)]...)
			}
		}
	}
	return out
}

// describe is the name of a generated stream.
func describe(theme string, seed uint64) string { return fmt.Sprintf("generated/%s/%d", theme, seed) }
