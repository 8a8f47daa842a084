package overlay

import (
	"slices"

	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/mappings"
)

// Overlays name judgements that are data by now. They still may: what such a name meant is put in its place. The names are not
// proposed any more.

// formerFields are the fields that a judgement of a member was; To is what follows the member's place.
var formerFields = map[string]map[string][]mappings.Field{
	openData: {
		"heading":         {{Text: "{event}: {/subject/id}"}},
		"tracker":         {{From: []string{mappings.FromSubjectSource}}},
		"triggers":        {{To: "/0/type", Needs: "/subject/content/trigger", From: []string{"/subject/content/trigger/type"}, Vocabulary: "trigger"}},
		"buildConclusion": {{Needs: "/subject/content/artifactId", Const: "SUCCESSFUL"}, {Const: "INCONCLUSIVE"}},
	},
	openContent: {
		"trigger":      {{To: "/type", Needs: "/data/triggers/0", From: []string{"/data/triggers/0/type"}, Vocabulary: "trigger"}},
		"activityName": {{NameOf: "ACTIVITY_EXECUTION"}},
		"pipelineRun":  {{Within: &mappings.Within{Kind: "pipelinerun", Link: "CONTEXT", Via: "ACTIVITY_EXECUTION"}}},
		"testSuiteRun": {{Within: &mappings.Within{Kind: "testsuiterun", Link: "CONTEXT", Via: "TEST_CASE_EXECUTION"}}},
		"signature":    {{From: []string{mappings.FromCustom + "signature"}}},
		"creator":      {{From: []string{"/meta/source/name"}, OneWay: true}, {From: []string{mappings.FromSource}}},
		"repository": {{OneWay: true, From: []string{
			"/data/gitIdentifier/repoName", "/data/gitIdentifier/repoUri", "/data/svnIdentifier/repoName", "/data/svnIdentifier/repoUri",
			"/data/hgIdentifier/repoName", "/data/hgIdentifier/repoUri",
		}}},
	},
}

// former gives the fields that a field's judgement was; none if it is one still.
func former(f mappings.Field, base string) []mappings.Field {
	if base == "" {
		base = openData // of custom data
	}
	was, ok := formerFields[base][f.By]
	if !ok {
		return nil
	}
	was = slices.Clone(was)
	for i := range was {
		n := &was[i]
		n.To, n.Was, n.Fill, n.Format = f.To+n.To, f.Was, f.Fill, f.Format
		if n.Vocabulary == "" {
			n.Vocabulary = f.Vocabulary
		}
		if i == 0 {
			n.From = append(slices.Clone(f.From), n.From...)
		}
	}
	return was
}

// formerRow puts data in the place of what a row of to_cdevents names.
func formerRow(row *mappings.ToCDEvents, in *shape) {
	link := func(name, kind, wanted string) {
		row.Subject, row.SubjectFrom = "", &mappings.SubjectFrom{Link: name, Kind: kind, Wanted: wanted}
		if !slices.ContainsFunc(in.links(), func(r schema.LinkRule) bool { return r.Type == name && len(r.Targets) > 0 }) {
			row.SubjectFrom = &mappings.SubjectFrom{Kind: kind} // without such a link it was the event itself
		}
	}
	const triggered, caseTriggered, suiteStarted = "EiffelActivityTriggeredEvent", "EiffelTestCaseTriggeredEvent", "EiffelTestSuiteStartedEvent"
	if row.SubjectFrom == nil {
		was := row.Subject
		switch {
		case was == "confidenceLevel":
			row.Subject = mappings.ChooseLevel
		case was == "publishedArtifact":
			link("ARTIFACT", "artifact", "/subject/id")
		case was == "ticket":
			row.Subject, row.SubjectFrom = "", &mappings.SubjectFrom{Kind: "ticket", ID: []string{"/data/id"}, Source: []string{"/data/tracker"}}
		case was == "activity" && row.Eiffel != triggered:
			link("ACTIVITY_EXECUTION", "pipelinerun", "type")
		case was == "testCaseRun" && row.Eiffel == caseTriggered:
			row.Subject, row.SubjectFrom = "", &mappings.SubjectFrom{Kind: "testcaserun"}
		case was == "testCaseRun":
			link("TEST_CASE_EXECUTION", "testcaserun", "/subject/source")
		case was == "testSuiteRun" && row.Eiffel == suiteStarted:
			row.Subject, row.SubjectFrom = "", &mappings.SubjectFrom{Kind: "testsuiterun", Within: "CONTEXT"}
		case was == "testSuiteRun":
			link("TEST_SUITE_EXECUTION", "testsuiterun", "/subject/id")
		}
		if row.Environment == "" && slices.Contains([]string{"activity", "testCaseRun", "testSuiteRun"}, was) {
			row.Environment = "test" // these found it besides
		}
	}
	switch row.Choose {
	case "confidenceLevel":
		row.Choose = mappings.ChooseLevel
	case "change":
		const created, updated = "change.created", "change.updated"
		if slices.Contains(row.CDEvent, created) && slices.Contains(row.CDEvent, updated) { // it chose no others
			row.CDEvent, row.Choose, row.ChooseLink = []string{created, updated}, "", "PREVIOUS_VERSION"
		}
	}
}
