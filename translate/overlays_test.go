package translate_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/mappings/overlay"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// withOverlay is a player whose engine has an overlay.
func withOverlay(t testing.TB, text string, settings translate.Settings) *player {
	t.Helper()
	catalogue, err := overlay.Parse(nil, "overlay.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	settings.Catalogue = catalogue
	return newPlayer(t, settings)
}

const customCDEvent = `{"context":{"specversion":"0.5.1","id":"e-1","source":"https://x.example.com","type":"dev.cdeventsx.acme-release.shipped.1.0.0","timestamp":"2026-03-01T09:30:00Z"},"subject":{"id":"ID","content":{"n":1.50}}}`

// TestConditionalRows has a type with nothing but conditional rows: where none holds, the row for any type counts.
func TestConditionalRows(t *testing.T) {
	p := withOverlay(t, `version: 1
to_eiffel:
  - cdevent: acme-release.shipped
    when: event.subject.id == "one"
    eiffel: EiffelCompositionDefinedEvent
    id: event
    data:
      - {to: /name, value: event.subject.id}
      - {to: /version, value: string(event.subject.content.n)}
to_cdevents:
  - eiffel: EiffelCompositionDefinedEvent
    when: event.data.name == "one"
    cdevent: dev.cdeventsx.acme-release.shipped.1.0.0
    subject_id: event.data.name
    content:
      - {to: /n, value: "double(event.data.version)"}
`, translate.Settings{Explain: true})
	r := through(t, p.s, strings.Replace(customCDEvent, "ID", "one", 1))
	made := only(t, r)
	if made.Type != "EiffelCompositionDefinedEvent" || string(field(t, made, "/data/version").Raw()) != `"1.5"` {
		t.Errorf("became %s", made.JSON)
	}
	for _, l := range r.Losses {
		if l.Pointer == "/subject/content/n" {
			t.Error("what an expression reads is said to be lost")
		}
	}
	other := only(t, through(t, p.s, strings.NewReplacer("ID", "two", "e-1", "e-2").Replace(customCDEvent)))
	if other.Type != "EiffelAnnouncementPublishedEvent" {
		t.Errorf("without a row that holds, it became %s", other.JSON)
	}
	back := only(t, p.play(`CompositionDefined A {"name":"one","version":"2"}`))
	if back.Type != "dev.cdeventsx.acme-release.shipped.1.0.0" || back.Subject != "one" || string(field(t, back, "/subject/content/n").Raw()) != "2" {
		t.Errorf("became %s", back.JSON)
	}
	if back := only(t, p.play(`CompositionDefined B {"name":"two"}`)); back.Type != "dev.cdeventsx.eiffel-composition.defined.0.1.0" {
		t.Errorf("became %s", back.JSON)
	}
}

// TestServiceIDOfOverlay names services by an expression, which is not asked where it is unknown what is deployed.
func TestServiceIDOfOverlay(t *testing.T) {
	p := withOverlay(t, `version: 1
service_id: "'svc-' + purl(subject.id).name"
`, translate.Settings{})
	p.play(`EnvironmentDefined E {"name":"prod"}`)
	p.play(`ArtifactCreated P {"identity":"pkg:oci/shop@1"}`)
	if got := only(t, p.play(`ArtifactDeployed D {} ARTIFACT P ENVIRONMENT E`)); got.Subject != "svc-shop" {
		t.Errorf("the service is %s", got.Subject)
	}
	if got := only(t, p.play(`ArtifactDeployed F {} ARTIFACT X ENVIRONMENT E`)); got.Subject != "urn:uuid:"+p.n.ids["X"] {
		t.Errorf("the service of an unknown artifact is %s", got.Subject)
	}
}

// TestActivitiesOfOverlay says by names and by a condition what kind of run an activity is.
func TestActivitiesOfOverlay(t *testing.T) {
	p := withOverlay(t, `version: 1
activities:
  - {kind: build, names: ["compile-*", "*-nightly-*"]}
  - {kind: taskrun, when: "has(event.data.executionType) && event.data.executionType == 'MANUAL'"}
`, translate.Settings{})
	for line, want := range map[string]string{
		`ActivityTriggered A {"name":"compile-shop"}`:                           "build.queued",
		`ActivityTriggered B {"name":"x-nightly-y"}`:                            "build.queued",
		`ActivityTriggered C {"name":"recompile-shop"}`:                         "pipelinerun.queued",
		`ActivityTriggered D {"name":"x","executionType":"MANUAL"}`:             "",
		`ActivityTriggered F {"name":"compile-","categories":["TESTSUITERUN"]}`: "build.queued",
	} {
		got := ""
		if r := p.play(line); len(r.Events) > 0 {
			got = nameOf(r.Events[0].Type)
		}
		if got != want {
			t.Errorf("%s became %q, want %q", line, got, want)
		}
	}
}

// TestExtendedRow adds a link and a member to a row of ours, and takes its levels from the overlay.
func TestExtendedRow(t *testing.T) {
	p := withOverlay(t, `version: 1
published_levels: [released]
to_eiffel:
  - cdevent: build.finished
    extend: true
    data:
      - {to: /outcome/description, value: "'by ' + event.context.source"}
    links:
      - {type: CAUSE, target: value, value: "event.?customData.?parent.orValue(null)"}
  - {cdevent: ticket.created, disable: true}
`, translate.Settings{})
	r := p.play(`build.finished p {}`)
	if got := field(t, last(t, r), "/data/outcome/description").Str(); got != "by https://ci.example.com" {
		t.Errorf("the description is %q", got)
	}
	parent := p.n.make("Parent")
	text := strings.Replace(p.event(`build.finished q {}`), `{"context"`, `{"customData":{"parent":"`+parent+`"},"context"`, 1)
	if got := target(t, last(t, through(t, p.s, text)), "CAUSE"); got != parent {
		t.Errorf("CAUSE leads to %q", got)
	}
	if got := only(t, p.play(`ticket.created t {"summary":"s","creator":"c","uri":"u"}`)); got.Type != "EiffelAnnouncementPublishedEvent" {
		t.Errorf("disabled, it became %s", got.Type)
	}
	p.play(`EnvironmentDefined E {"name":"prod"}`)
	p.play(`ArtifactCreated P {"identity":"pkg:oci/shop@1"}`)
	p.play(`ArtifactDeployed D {} ARTIFACT P ENVIRONMENT E`)
	if got := only(t, p.play(`ConfidenceLevelModified L {"name":"released","value":"SUCCESS"} SUBJECT D`)); nameOf(got.Type) != "service.published" {
		t.Errorf("became %s", got.Type)
	}
	if got := only(t, p.play(`ConfidenceLevelModified M {"name":"servicePublished","value":"SUCCESS"} SUBJECT D`)); nameOf(got.Type) == "service.published" {
		t.Error("a level that is not published any more still counts")
	}
}

// TestExtendedRowOfSeveral: of a type with several rows, those are extended whose event has the member, or the one that is named.
func TestExtendedRowOfSeveral(t *testing.T) {
	const test = `{"environment":{"id":"lab"},"testCase":{"id":"c"}}`
	const suite = `{"environment":{"id":"lab"},"testSuite":{"id":"s"}}`
	for _, c := range []struct{ name, content, to string }{
		{"build.queued", `{}`, "/executionType"},
		{"pipelinerun.queued", `{}`, "/executionType"},
		{"testcaserun.queued", test, "/executionType"},
		{"testsuiterun.queued", suite, "/executionType"},
		{"testsuiterun.started", suite, "/name"},
		{"pipelinerun.finished", `{"outcome":"success"}`, "/outcome/description"},
		{"taskrun.finished", `{"outcome":"success"}`, "/outcome/description"},
		{"incident.detected", `{"environment":{"id":"lab"}}`, "/heading"},
	} {
		p := withOverlay(t, "version: 1\nto_eiffel:\n  - {cdevent: "+c.name+", extend: true, data: [{to: "+c.to+", const: AUTOMATED}]}\n", translate.Settings{})
		if got := textAt(t, last(t, p.play(c.name+" a "+c.content)), "/data"+c.to); got != "AUTOMATED" {
			t.Errorf("%s: %s is %q", c.name, c.to, got)
		}
	}
	for _, row := range []string{"if: anchor_exists", "eiffel: EiffelAnnouncementPublishedEvent"} {
		p := withOverlay(t, "version: 1\nto_eiffel:\n  - {cdevent: build.queued, "+row+", extend: true, data: [{to: /severity, const: MAJOR}]}\n", translate.Settings{})
		p.play("build.queued a {}")
		if got := textAt(t, last(t, p.play("build.queued a {}")), "/data/severity"); got != "MAJOR" {
			t.Errorf("%s: the severity is %q", row, got)
		}
	}
	for overlaid, says := range map[string]string{
		"{cdevent: build.queued, if: canceled_before_start, extend: true, data: [{to: /severity, const: MAJOR}]}": "no row for \"build.queued\" is meant by that",
		"{cdevent: build.queued, if: anchor_exists, extend: true, data: [{to: /executionType, const: OTHER}]}":    "no version of EiffelAnnouncementPublishedEvent has /data/executionType",
		"{cdevent: build.queued, extend: true, data: [{to: /executed, const: OTHER}]}":                            "no version of EiffelActivityTriggeredEvent has /data/executed",
	} {
		_, err := overlay.Parse(nil, "overlay.yaml", []byte("version: 1\nto_eiffel:\n  - "+overlaid+"\n"))
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", overlaid, err)
		}
	}
}

func textAt(t testing.TB, e translate.Event, pointer string) string {
	return field(t, e, pointer).Str()
}

// TestNameOfSynthesizedAnchor: an anchor that is made up for the subject of an event bears the name that the row of the real one
// would write.
func TestNameOfSynthesizedAnchor(t *testing.T) {
	const suite = `{"environment":{"id":"lab"},"testSuite":{"id":"s","name":"Smoke"}}`
	const ended = `{"outcome":"success","environment":{"id":"lab"},"testSuite":{"id":"s","name":"Smoke"}}`
	started := func(fields string) string {
		return "{cdevent: testsuiterun.started, extend: true, data: [" + fields + "]}"
	}
	for _, c := range []struct{ row, real, needs, to, name string }{
		{started(`{to: /name, from: /subject/id}`), "testsuiterun.started run " + suite, "testsuiterun.finished run " + ended, "/data/name", "run"},
		{started(`{to: /name, const: Fixed}`), "testsuiterun.started run " + suite, "testsuiterun.finished run " + ended, "/data/name", "Fixed"},
		{started(`{to: /name, from: source}`), "testsuiterun.started run " + suite, "testsuiterun.finished run " + ended, "/data/name", "https://ci.example.com"},
		{started(`{to: /name, needs: /subject/content/testSuite, const: Has}, {to: /name, from: /subject/id}`), "testsuiterun.started run " + suite, "testsuiterun.finished run " + ended, "/data/name", "Has"},
		{started(`{to: /name, text: "T {event}"}`), "testsuiterun.started run " + suite, "testsuiterun.finished run " + ended, "/data/name", "T testsuiterun started"},
		{`{cdevent: testcaserun.queued, extend: true, data: [{to: /testCase/id, value: "'case ' + event.subject.id"}]}`,
			`testcaserun.queued run {"environment":{"id":"lab"},"testCase":{"id":"c"}}`, `testcaserun.finished run {"outcome":"success","environment":{"id":"lab"},"testCase":{"id":"c"}}`, "/data/testCase/id", "case run"},
		{`{cdevent: pipelinerun.queued, extend: true, data: [{to: /name, text: "run {/subject/id}"}]}`,
			`pipelinerun.queued run {"pipelineName":"p"}`, `pipelinerun.started run {"pipelineName":"p","uri":"https://ci.example.com/1"}`, "/data/name", "run run"},
		{`{cdevent: environment.created, extend: true, data: [{to: /name, text: "C {/subject/id}"}]}` + "\n  - {cdevent: environment.deleted, extend: true, links: [{type: CAUSE, target: anchor, anchor: EiffelEnvironmentDefinedEvent, reference: /subject, required: true}]}",
			`environment.created prod {"name":"Production"}`, `environment.deleted prod {"name":"Production"}`, "/data/name", "C prod"},
		{"{cdevent: build.queued, extend: true, about: as it is}]\nactivities: [{kind: build, categories: [compile]}", `build.queued run {}`, `build.started run {}`, "/data/categories/0", "compile"},
	} {
		own := "version: 1\nto_eiffel:\n  - " + c.row + "\n"
		if strings.Contains(c.row, "activities") {
			own = "version: 1\nto_eiffel: [" + c.row + "]\n"
		}
		real := last(t, withOverlay(t, own, translate.Settings{}).play(c.real))
		p := withOverlay(t, own, translate.Settings{})
		made := p.play(c.needs).Events
		var anchor *translate.Event
		for i := range made {
			if made[i].Type == real.Type {
				anchor = &made[i]
			}
		}
		if anchor == nil || !anchor.Synthesized {
			t.Fatalf("%s: no %s was made up", c.needs, real.Type)
		}
		if a, b := textAt(t, real, c.to), textAt(t, *anchor, c.to); a != c.name || b != c.name {
			t.Errorf("%s: the real one has %q, the synthesized one %q; want %q", c.row, a, b, c.name)
		}
		if back := through(t, p.s, string(anchor.JSON)); len(back.Events) != 0 {
			t.Errorf("%s: the synthesized one came back as %s", c.needs, texts(back.Events))
		}
	}
}

// TestAnchorOfOverlay adds a type of anchor: it is made up where a link needs it, and comes to nothing when it comes back.
func TestAnchorOfOverlay(t *testing.T) {
	p := withOverlay(t, `version: 1
anchors:
  - eiffel: EiffelFlowContextDefinedEvent
    subjects: acme-release
    data:
      - {to: /product, is: name}
      - {to: /program, is: source}
to_eiffel:
  - cdevent: acme-release.planned
    eiffel: EiffelFlowContextDefinedEvent
    id: anchor
    data:
      - {to: /product, text: "release {/subject/id}"}
  - cdevent: acme-release.shipped
    eiffel: EiffelAnnouncementPublishedEvent
    links:
      - {type: FLOW_CONTEXT, target: anchor, anchor: EiffelFlowContextDefinedEvent, reference: /subject, required: true}
    data:
      - {include: announcement}
      - {to: /severity, const: MINOR}
`, translate.Settings{})
	r := through(t, p.s, strings.Replace(customCDEvent, "ID", "4", 1))
	if len(r.Events) != 2 {
		t.Fatalf("it became %s", texts(r.Events))
	}
	anchor, announced := r.Events[0], r.Events[1]
	if textAt(t, anchor, "/data/product") != "release 4" || textAt(t, anchor, "/data/program") != "https://x.example.com" || target(t, announced, "FLOW_CONTEXT") != anchor.ID {
		t.Errorf("it became %s", texts(r.Events))
	}
	if heading := textAt(t, announced, "/data/heading"); heading != "acme-release shipped: 4" {
		t.Errorf("the heading is %q", heading)
	}
	if back := through(t, p.s, string(anchor.JSON)); len(back.Events) != 0 {
		t.Errorf("the anchor came back as %s", texts(back.Events))
	}
	planned := strings.NewReplacer("ID", "4", "e-1", "e-2", "shipped", "planned").Replace(customCDEvent)
	if real := last(t, through(t, p.s, planned)); real.Type != anchor.Type || textAt(t, real, "/data/product") != "release 4" || target(t, real, "PREVIOUS_VERSION") != "" || real.ID == anchor.ID {
		t.Errorf("the real one is %s", real.JSON)
	}
	_, err := overlay.Parse(nil, "overlay.yaml", []byte("version: 1\nanchors: [{eiffel: EiffelFlowContextDefinedEvent, subjects: x, data: [{to: /produkt, is: id}, {to: /name, is: title}]}]\n"))
	if err == nil || !strings.Contains(err.Error(), "no version of EiffelFlowContextDefinedEvent has /data/produkt") || !strings.Contains(err.Error(), "anchors[0].data[1].is") {
		t.Error(err)
	}
}

// TestLevelOfOverlay: a level that a row of an overlay writes is read back by that name, with its subject and signature.
func TestLevelOfOverlay(t *testing.T) {
	const own = `version: 1
published_levels: [live]
to_eiffel:
  - {cdevent: artifact.signed, extend: true, data: [{to: /name, const: imageSigned}]}
  - {cdevent: change.reviewed, extend: true, data: [{to: /name, const: approved}, {to: /value, const: INCONCLUSIVE}]}
`
	for _, text := range []string{
		`artifact.signed pkg:oci/shop@sha256:aa {"signature":"MEUC"}`,
		`change.reviewed 4711 {}`,
		`service.published shop {"environment":{"id":"prod"}}`,
	} {
		p := withOverlay(t, own, translate.Settings{Carry: translate.CarryNone})
		there := last(t, p.play(text))
		fresh := withOverlay(t, own, translate.Settings{Carry: translate.CarryNone})
		back := only(t, through(t, fresh.s, string(there.JSON)))
		want, id, _ := strings.Cut(text, " ")
		id, _, _ = strings.Cut(id, " ")
		if nameOf(back.Type) != want || back.Subject != id {
			t.Errorf("%s became %s and came back as %s", text, there.JSON, back.JSON)
		}
		if want == "artifact.signed" && textAt(t, back, "/subject/content/signature") != "MEUC" {
			t.Errorf("the signature is gone: %s", back.JSON)
		}
	}
}

// TestLevelsOfOneName: levels of one name are told apart by the type of what they are about, and with a mark by the event's id.
func TestLevelsOfOneName(t *testing.T) {
	const own = `version: 1
to_eiffel:
  - {cdevent: change.reviewed, extend: true, data: [{to: /name, const: approved}]}
  - cdevent: artifact.published
    eiffel: EiffelConfidenceLevelModifiedEvent
    links: [{type: SUBJECT, target: anchor, anchor: EiffelArtifactCreatedEvent, reference: /subject, required: true}]
    data: [{to: /name, const: approved}, {to: /value, const: SUCCESS}]
`
	for _, text := range []string{`change.reviewed 4711 {}`, `artifact.published pkg:oci/shop@sha256:aa {}`} {
		p := withOverlay(t, own, translate.Settings{Carry: translate.CarryNone})
		there := last(t, p.play(text))
		back := only(t, through(t, withOverlay(t, own, translate.Settings{Carry: translate.CarryNone}).s, string(there.JSON)))
		if want, _, _ := strings.Cut(text, " "); nameOf(back.Type) != want {
			t.Errorf("%s became %s and came back as %s", text, there.JSON, back.JSON)
		}
	}
	p := withOverlay(t, own, translate.Settings{})
	p.play(`SourceChangeCreated C {"change":{"id":"4711","tracker":"t"}}`)
	p.play(`ArtifactCreated P {"identity":"pkg:oci/shop@1"}`)
	for subject, want := range map[string]string{"C": "change.reviewed", "P": "artifact.published"} {
		text := p.event(`ConfidenceLevelModified L` + subject + ` {"name":"approved","value":"SUCCESS"} SUBJECT ` + subject)
		for range 2 { // the second is a redelivery
			if got := only(t, through(t, p.s, text)); nameOf(got.Type) != want {
				t.Errorf("a level on %s became %s", subject, got.Type)
			}
		}
	}
	_, err := overlay.Parse(nil, "overlay.yaml", []byte("version: 1\nto_eiffel: [{cdevent: artifact.published, eiffel: EiffelConfidenceLevelModifiedEvent, links: [{type: SUBJECT, target: anchor, anchor: EiffelArtifactCreatedEvent, reference: /subject, required: true}], data: [{to: /name, const: artifactSigned}, {to: /value, const: SUCCESS}]}]\n"))
	if err == nil || !strings.Contains(err.Error(), "artifactSigned is that of both") {
		t.Errorf("a level of two CDEvents: %v", err)
	}
}

// TestTwoRowsOfASubject: of a type with conditional rows, what the row found that does not count is forgotten, and a redelivery goes by
// the row that counted.
func TestTwoRowsOfASubject(t *testing.T) {
	p := withOverlay(t, `version: 1
to_cdevents:
  - eiffel: EiffelTestCaseStartedEvent
    when: "subject.kind == 'nothing'"
    cdevent: testcaserun.started
    subject_from: {link: CONTEXT, kind: pipelinerun, wanted: /subject/id}
    environment: test
    content: [{to: /environment, by: testEnvironment, fill: self}]
`, translate.Settings{Unresolved: translate.UnresolvedFail})
	p.play(`EnvironmentDefined E {"name":"lab"}`)
	p.play(`CompositionDefined X {"name":"x"}`)
	p.play(`TestCaseTriggered T {"testCase":{"tracker":"t","id":"c"}} IUT X`)
	p.play(`ActivityTriggered A {"name":"a"}`)
	known := p.event(`TestCaseStarted S {} TEST_CASE_EXECUTION T ENVIRONMENT E CONTEXT A`)
	for range 2 {
		if got := only(t, through(t, p.s, known)); got.Subject != p.n.ids["T"] {
			t.Errorf("it is about %s, not %s", got.Subject, p.n.ids["T"])
		}
	}
	p.play(`TestCaseStarted R {} TEST_CASE_EXECUTION T ENVIRONMENT E CONTEXT U`) // U is unknown, and wanted by the other row
}

// TestTestedEnvironmentIsAccounted: what decides about the item under test has a place, and is not lost.
func TestTestedEnvironmentIsAccounted(t *testing.T) {
	const queued = `testcaserun.queued run {"environment":{"id":"lab","source":"/k8s"},"testCase":{"id":"c"}}`
	for name, before := range map[string][]string{
		"nothing runs":   nil,
		"a service runs": {`service.deployed shop {"environment":{"id":"lab","source":"/k8s"},"artifactId":"pkg:oci/shop@sha256:aa"}`},
	} {
		p := newPlayer(t, translate.Settings{Explain: true, Carry: translate.CarryNone})
		for _, line := range before {
			p.play(line)
		}
		text := p.event(queued)
		for _, round := range []string{"first", "again"} {
			r := through(t, p.s, text)
			moved := map[string]bool{}
			for _, m := range r.Moves {
				moved[m.From] = true
			}
			if !moved["/subject/content/environment/id"] || !moved["/subject/content/environment/source"] {
				t.Errorf("%s, %s: the environment has no place", name, round)
			}
			for _, l := range r.Losses {
				if strings.HasPrefix(l.Pointer, "/subject/content/environment") {
					t.Errorf("%s, %s: %s is lost: %s", name, round, l.Pointer, l.Reason)
				}
			}
		}
	}
}

// TestFailingExpressions name the place in the overlay, as an error of the event.
func TestFailingExpressions(t *testing.T) {
	for name, c := range map[string]struct{ overlay, line string }{
		"value":      {"to_eiffel:\n  - {cdevent: change.created, extend: true, data: [{to: /change/details, value: event.customData.none}]}", `change.created c {}`},
		"when":       {"to_eiffel:\n  - {cdevent: change.created, when: event.customData.none == 1, eiffel: EiffelAnnouncementPublishedEvent, id: event, data: [{to: /heading, const: h}, {to: /body, const: b}, {to: /severity, const: MINOR}]}", `change.created c {}`},
		"service_id": {"service_id: event[\"none\"]", `ArtifactDeployed D {} ARTIFACT P ENVIRONMENT E`},
		"activity":   {"activities: [{kind: build, when: event.data.executionType == 'MANUAL'}]", `ActivityTriggered A {"name":"x"}`},
	} {
		p := withOverlay(t, "version: 1\n"+c.overlay+"\n", translate.Settings{})
		p.play(`EnvironmentDefined E {"name":"prod"}`)
		p.play(`ArtifactCreated P {"identity":"pkg:oci/shop@1"}`)
		_, err := p.s.Translate(t.Context(), []byte(p.event(c.line)))
		var e *translate.EventError
		if !errors.As(err, &e) || e.Code != translate.CodeMapping || !strings.Contains(e.Message, "overlay.yaml:") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestOverlayTypeInOldSpec cannot be written: 0.3 has no types but its own.
func TestOverlayTypeInOldSpec(t *testing.T) {
	p := withOverlay(t, `version: 1
to_cdevents:
  - {eiffel: EiffelIssueVerifiedEvent, cdevent: dev.cdevents.issue.verified.0.1.0}
`, translate.Settings{Spec: "0.3"})
	_, err := p.s.Translate(t.Context(), []byte(p.event(`IssueVerified V {} IUT P`)))
	var e *translate.EventError
	if !errors.As(err, &e) || e.Code != translate.CodeNotInSpec || !strings.Contains(e.Message, "overlay") {
		t.Errorf("%v", err)
	}
}
