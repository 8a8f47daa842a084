package mappingtext_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/internal/mappingtext"
	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/mappings"
)

// catalogue uses every member of a row that a catalogue may have as data.
const catalogue = `version: 1
vocabularies:
  - {name: outcome, words: [{cdevents: [success], eiffel: [SUCCESSFUL]}]}
to_eiffel:
  - {cdevent: build.finished, if: canceled, eiffel: EiffelActivityCanceledEvent, id: event, learns: closure, about: "Was a | canceled."}
  - cdevent: build.finished
    eiffel: EiffelActivityFinishedEvent
    id: event
    links:
      - {type: ACTIVITY_EXECUTION, target: anchor, anchor: EiffelActivityTriggeredEvent, subject: build, reference: /subject, required: true, with: [{type: CONTEXT, target: previous}, {type: IUT, target: tested, required: true}]}
      - {type: CAUSE, target: anchor, anchor: EiffelSourceChangeCreatedEvent, or: EiffelSourceChangeSubmittedEvent, subject: change, reference: /subject/content/change}
      - {type: IUT, target: tested, required: true}
      - {type: SUBJECT, target: running, reference: /subject}
      - {type: PREVIOUS_VERSION, target: previous}
    data:
      - {to: /outcome/conclusion, from: [/subject/content/outcome], vocabulary: outcome}
      - {to: /outcome/description, from: [/subject/content/reason, /subject/id], by: described}
      - {to: /severity, const: MINOR}
    custom:
      - {to: /artifactId, from: [/subject/content/artifactId]}
    learns: milestone
  - {cdevent: build.started, eiffel: EiffelActivityStartedEvent, id: event, learns: milestone}
  - {cdevent: build.queued, if: exists, eiffel: EiffelAnnouncementPublishedEvent, id: event, learns: event}
  - {cdevent: build.queued, eiffel: EiffelActivityTriggeredEvent, id: anchor, learns: anchor}
  - {cdevent: "*", eiffel: EiffelAnnouncementPublishedEvent, id: event, learns: event}
to_cdevents:
  - eiffel: EiffelActivityFinishedEvent
    cdevent: [build.finished, pipelinerun.finished, eiffel-activity.finished]
    choose: kind
    subject: run
    content:
      - {to: /uri, was: /url, from: [/data/uri], format: uri, fill: ACTIVITY_EXECUTION}
      - {to: /pipelineName, by: name, fill: self}
    learns: closure
  - {eiffel: EiffelCompositionDefinedEvent, cdevent: [eiffel-composition.defined], learns: event}
  - {eiffel: EiffelArtifactReusedEvent, cdevent: [eiffel-artifact.reused], learns: event}
  - {eiffel: "*", cdevent: [], learns: event}
`

func parse(t *testing.T) *mappings.Catalogue {
	t.Helper()
	c, err := mappings.Parse([]byte(catalogue))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRows(t *testing.T) {
	rows := mappingtext.Rows(parse(t))
	if len(rows) != 10 {
		t.Fatalf("%d rows, want 10", len(rows))
	}
	if r := rows[0]; r.Condition != "canceled()" || r.From != "build.finished" {
		t.Errorf("the condition is lost: %+v", r)
	}
	for i, want := range map[int][]string{
		1: {
			"ACTIVITY_EXECUTION to the build's ActivityTriggered, made up if unknown with CONTEXT to the last version and IUT to the item under test, made up if unknown",
			"CAUSE to the change's SourceChangeSubmitted or SourceChangeCreated",
			"IUT to the item under test, made up if unknown",
			"SUBJECT to what runs",
			"PREVIOUS_VERSION to the last version",
			"outcome.conclusion = outcome in the words of outcome",
			"outcome.description = reason or subject.id or described()",
			`severity = "MINOR"`,
			"customData.artifactId = artifactId",
		},
		6: {"uri = uri or the id of the target of ACTIVITY_EXECUTION", "pipelineName = name() or the id of the event itself"},
		7: {"content is data"},
		9: nil,
	} {
		if !slices.Equal(rows[i].Fields, want) {
			t.Errorf("row %d: %q\nwant: %q", i, rows[i].Fields, want)
		}
	}
	if rows[9].From != "every other Eiffel event" || rows[9].To != "a custom event" {
		t.Errorf("the row for every other type: %+v", rows[9])
	}
}

func TestMarkdown(t *testing.T) {
	text, err := mappingtext.Markdown(parse(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| `build.finished`<br>if `canceled()` | `EiffelActivityCanceledEvent` |  | Was a \\| canceled. |",
		"| every other Eiffel event | a custom event |  |  |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q:\n%s", want, text)
		}
	}
}

func TestSummary(t *testing.T) {
	const want = "| | CDEvents to Eiffel | Eiffel to CDEvents |\n|---|---|---|\n" +
		"| **Pipelines, builds** | `build.finished` → `ActivityCanceled`<br>`build.finished` → `ActivityFinished`<br>`build.started` → `ActivityStarted`<br>" +
		"`build.queued` → `ActivityTriggered` | `ActivityFinished` → `build.finished`, `pipelinerun.finished`, a custom event |\n" +
		"| **Artifacts** |  | `CompositionDefined`, `ArtifactReused` → a custom event |\n" +
		"| **All others** | every other CDEvent → `AnnouncementPublished` | every other Eiffel event → a custom event |\n"
	if got, err := mappingtext.Summary(parse(t)); err != nil || got != want {
		t.Errorf("%v, got\n%s\nwant\n%s", err, got, want)
	}
}

func TestJudgements(t *testing.T) {
	want := []mappingtext.Judgement{
		{Place: mappingtext.If, Name: "canceled"}, {Place: mappingtext.Data, Name: "described"}, {Place: mappingtext.If, Name: "exists"}, {Place: mappingtext.Choose, Name: "kind"},
		{Place: mappingtext.Subject, Name: "run"}, {Place: mappingtext.Content, Name: "name"},
	}
	if got := mappingtext.Judgements(parse(t)); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if text := mappingtext.Explain(parse(t), mappingtext.Data, "described"); text != "Judgement `described`." {
		t.Errorf("a judgement without an explanation is explained as %q", text)
	}
}

// TestEverySubjectHasAFamily so that the summary does not hide one among all others.
func TestEverySubjectHasAFamily(t *testing.T) {
	for _, full := range schema.CDEventTypes() {
		s, err := schema.ForCDEvent(full, "")
		if err != nil {
			t.Fatal(err)
		}
		if mappingtext.FamilyOf(s.Subject()) == "" {
			t.Errorf("markdown.go: no family has the subject %q", s.Subject())
		}
	}
}
