package translate_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/eiffelbridge/eiffelbridge/translate"
)

// player plays lines in the form of testdata/families.
type player struct {
	t  testing.TB
	s  *translate.Session
	n  *names
	at time.Time
}

func newPlayer(t testing.TB, settings translate.Settings) *player {
	return &player{t, newSession(t, settings), &names{map[string]string{}}, time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)}
}

func (p *player) play(line string) translate.Result {
	p.t.Helper()
	return through(p.t, p.s, p.event(line))
}

func (p *player) event(line string) string {
	p.t.Helper()
	p.at = p.at.Add(time.Second)
	words, data := splitLine(line)
	return inputEvent(p.t, line, p.n, p.at, words, data)
}

// TestManyServices has an environment in which more services run than a composition is made of.
func TestManyServices(t *testing.T) {
	p := newPlayer(t, translate.Settings{})
	for i := range 100 {
		p.play(fmt.Sprintf(`service.deployed s%d {"environment":{"id":"prod"},"artifactId":"pkg:oci/s%d@1"}`, i, i))
	}
	r := p.play(`testcaserun.queued t1 {"environment":{"id":"prod"}}`)
	if got := len(links(t, r.Events[0])); got != 100 || hasDiagnostic(r, "many_services") {
		t.Errorf("of 100 services, the composition has %d elements", got)
	}
	p.play(`service.deployed s100 {"environment":{"id":"prod"},"artifactId":"pkg:oci/s100@1"}`)
	r = p.play(`testcaserun.queued t2 {"environment":{"id":"prod"}}`)
	if got := len(links(t, r.Events[0])); got != 0 || !hasDiagnostic(r, "many_services") || !hasDiagnostic(r, "no_item_under_test") {
		t.Errorf("of 101 services, the composition has %d elements: %v", got, r.Diagnostics)
	}
}

// TestFollowingEnds follows links to a change that is so far away that it is hardly meant.
func TestFollowingEnds(t *testing.T) {
	for depth, want := range map[int]string{5: "abc", 6: "urn:uuid:"} {
		p := newPlayer(t, translate.Settings{})
		p.play(`SourceChangeSubmitted C0 {"gitIdentifier":{"commitId":"abc","repoUri":"r"}}`)
		for i := range depth {
			p.play(fmt.Sprintf(`CompositionDefined C%d {"name":"x"} ELEMENT C%d`, i+1, i))
		}
		made := only(t, p.play(fmt.Sprintf(`ArtifactCreated P {"identity":"pkg:oci/x@1"} COMPOSITION C%d`, depth)))
		if got := field(t, made, "/subject/content/change/id").Str(); !strings.HasPrefix(got, want) {
			t.Errorf("%d compositions away, the change is %q", depth, got)
		}
	}
}

// TestSeveralChanges names the first of several changes that an artifact was made from, and says so.
func TestSeveralChanges(t *testing.T) {
	p := newPlayer(t, translate.Settings{})
	p.play(`SourceChangeSubmitted A {"gitIdentifier":{"commitId":"a","repoUri":"r"}}`)
	p.play(`SourceChangeSubmitted B {"gitIdentifier":{"commitId":"b","repoUri":"r"}}`)
	p.play(`CompositionDefined C {"name":"x"} ELEMENT B ELEMENT A`)
	r := p.play(`ArtifactCreated P {"identity":"pkg:oci/x@1"} COMPOSITION C`)
	if got := field(t, only(t, r), "/subject/content/change/id").Str(); got != "b" || !hasDiagnostic(r, "several") {
		t.Errorf("the change is %q: %v", got, r.Diagnostics)
	}
}

// TestMissing names what a relay should wait for, and only that (mapping.md, "Unresolved references").
func TestMissing(t *testing.T) {
	for line, want := range map[string]string{
		`ActivityStarted S {} ACTIVITY_EXECUTION X`:                                                           "type",
		`ActivityTriggered T {"name":"x"} CONTEXT X`:                                                          "type",
		`ActivityTriggered T {"name":"x","categories":["build"]} CONTEXT X`:                                   "",
		`ArtifactCreated P {"identity":"pkg:oci/x@1"} CAUSE X`:                                                "/subject/content/change",
		`ArtifactPublished P {"locations":[]} ARTIFACT X`:                                                     "/subject/id",
		`SourceChangeSubmitted S {} CHANGE X`:                                                                 "/subject/id",
		`ConfidenceLevelModified L {"name":"changeReviewed","value":"SUCCESS"} SUBJECT X`:                     "type",
		`ConfidenceLevelModified L {"name":"stable","value":"SUCCESS"} SUBJECT X`:                             "",
		`TestCaseTriggered T {"testCase":{"id":"x"}} IUT X`:                                                   "/subject/content/environment",
		`TestSuiteStarted T {"name":"x"} CONTEXT X`:                                                           "/subject/id",
		`IssueDefined I {"type":"BUG","tracker":"t","id":"1","uri":"u"} CAUSE X`:                              "",
		`pipelinerun.started p {"pipelineName":"x","uri":"https://x.example.com"}`:                            "",
		`testcaserun.queued t {"environment":{"id":"e"},"testSuiteRun":{"id":"s"}}`:                           "",
		`artifact.packaged pkg:oci/x@1 {"change":{"id":"c"}}`:                                                 "",
		`incident.detected i {"environment":{"id":"e"},"service":{"id":"s"}}`:                                 "",
		`EnvironmentDefined E {"name":"x"} PREVIOUS_VERSION X`:                                                "/subject/id",
		`ActivityFinished F {"outcome":{"conclusion":"ABORTED"}} ACTIVITY_EXECUTION X CAUSE Y`:                "type",
		`TestCaseFinished F {"outcome":{"verdict":"PASSED","conclusion":"SUCCESSFUL"}} TEST_CASE_EXECUTION X`: "/subject/source",
	} {
		r := newPlayer(t, translate.Settings{}).play(line)
		got := ""
		if len(r.Missing) > 0 {
			got = r.Missing[0].Want
		}
		if got != want {
			t.Errorf("%s: missing for %q, want %q", line, got, want)
		}
	}
}

// TestNotInSpec asks for versions of CDEvents that lack the event.
func TestNotInSpec(t *testing.T) {
	p := newPlayer(t, translate.Settings{Spec: "0.3"})
	p.play(`testcaserun.skipped t {}`)
	for _, line := range []string{
		`IssueDefined I {"type":"BUG","tracker":"t","id":"1","uri":"u"}`,
		`AnnouncementPublished A {"heading":"h","body":"b","severity":"MINOR"}`,
		`TestCaseCanceled C {} TEST_CASE_EXECUTION T`,
	} {
		if strings.HasPrefix(line, "TestCase") {
			r := newPlayer(t, translate.Settings{}).play(`testcaserun.skipped t {}`)
			p.n.ids["T"] = r.Events[1].ID
		}
		_, err := p.s.Translate(t.Context(), []byte(p.event(line)))
		var e *translate.EventError
		if !errors.As(err, &e) || e.Code != translate.CodeNotInSpec {
			t.Errorf("%s: %v", line, err)
		}
	}
}

// TestDiagnostics has what a user should know of a translation that succeeded.
func TestDiagnostics(t *testing.T) {
	for _, c := range []struct {
		settings translate.Settings
		lines    []string
		code     string
	}{
		{translate.Settings{}, []string{`pipelinerun.queued p {}`, `pipelinerun.queued p {}`}, "anchor_exists"},
		{translate.Settings{}, []string{`testcaserun.started t {"environment":{"id":"e"}}`, `testcaserun.queued t {"environment":{"id":"e"}}`}, "anchor_exists"},
		{translate.Settings{}, []string{`TestSuiteFinished F {"outcome":{"conclusion":"SUCCESSFUL"}} TEST_SUITE_EXECUTION S`}, "filled_in"},
		{translate.Settings{}, []string{`ArtifactCreated X {"identity":"pkg:oci/x@1"}`, `taskrun.started urn:uuid:$X {}`}, "wrong_type"},
		{translate.Settings{Synthesize: translate.SynthesizeNever}, []string{`testcaserun.queued t {"environment":{"id":"e"}}`}, "placeholder"},
	} {
		p := newPlayer(t, c.settings)
		var r translate.Result
		for _, line := range c.lines {
			r = p.play(line)
		}
		if !hasDiagnostic(r, c.code) {
			t.Errorf("%v: no diagnostic %s: %v", c.lines, c.code, r.Diagnostics)
		}
	}
	p := newPlayer(t, translate.Settings{})
	p.play(`incident.detected i {"environment":{"id":"e"}}`)
	if r := p.play(`incident.resolved i {"environment":{"id":"e"}}`); hasDiagnostic(r, "anchor_exists") {
		t.Error("an incident that goes on is nothing to know of")
	}
}

// TestChangedRedelivery redelivers an event with another link in the place of one: what was chosen for that does not count.
func TestChangedRedelivery(t *testing.T) {
	p := newPlayer(t, translate.Settings{})
	p.play(`change.created c {} id C`)
	event := p.event(`build.finished b {} id E CAUSE $C`)
	through(t, p.s, event)
	r := through(t, p.s, strings.Replace(event, `"linkKind":"CAUSE"`, `"linkKind":"IUT"`, 1))
	if got := links(t, last(t, r)); len(got) != 1 || !strings.HasPrefix(got[0], "ACTIVITY_EXECUTION") {
		t.Errorf("the links are %v", got)
	}
}
