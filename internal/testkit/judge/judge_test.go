package judge_test

import (
	"strings"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/internal/testkit/judge"
	"github.com/eiffelbridge/eiffelbridge/internal/testkit/specs"
)

// TestExamplesAreValid, and none of them is once it has lost its subject or its data.
func TestExamplesAreValid(t *testing.T) {
	j := judge.Get(t)
	for _, e := range specs.Examples(t) {
		if strings.Contains(string(e.JSON), `"0.5.0-draft"`) {
			continue // a custom event to a draft, which has no schema
		}
		if findings, known := j.Findings(e.JSON); !known || len(findings) > 0 {
			t.Errorf("%s: %v, known %t", e.Name, findings, known)
		}
		broken := strings.NewReplacer(`"subject"`, `"other"`, `"data"`, `"other"`).Replace(string(e.JSON))
		if findings, _ := j.Findings([]byte(broken)); len(findings) == 0 && !strings.Contains(e.Name, "IssueDefined") { // whose schema requires nothing
			t.Errorf("%s is still valid as %s", e.Name, broken)
		}
	}
}

func TestLinkRules(t *testing.T) {
	if specs.Folder(t) == "" {
		t.Log("the specifications are not at hand: there are no link rules")
		return
	}
	j := judge.Get(t)
	event := func(links string) []byte {
		return []byte(`{"meta":{"id":"00000000-0000-4000-8000-000000000001","type":"EiffelActivityStartedEvent","version":"4.3.0","time":1},"data":{},"links":[` + links + `]}`)
	}
	const execution = `{"type":"ACTIVITY_EXECUTION","target":"00000000-0000-4000-8000-000000000002"}`
	for _, c := range []struct{ links, want string }{
		{execution, ""},
		{execution + `,` + strings.Replace(execution, "ACTIVITY_EXECUTION", "CAUSE", 1) + `,` + strings.Replace(execution, "ACTIVITY_EXECUTION", "CAUSE", 1), ""},
		{"", "0 links of type ACTIVITY_EXECUTION"},
		{execution + `,` + execution, "2 links of type ACTIVITY_EXECUTION"},
		{execution + `,` + strings.Replace(execution, "ACTIVITY_EXECUTION", "SUBJECT", 1), "a link of type SUBJECT"},
	} {
		if findings, known := j.Findings(event(c.links)); !known || strings.Join(findings, "; ") != c.want {
			t.Errorf("%s: %q, known %t; want %q", c.links, findings, known, c.want)
		}
	}
}

func TestUnknownVersions(t *testing.T) {
	for _, text := range []string{
		`{"meta":{"type":"EiffelActivityStartedEvent","version":"99.0.0"}}`,
		`{"context":{"type":"dev.cdevents.build.started.0.9.0"}}`,
		`{}`,
	} {
		if findings, known := judge.Get(t).Findings([]byte(text)); known || findings != nil {
			t.Errorf("%s: %v, known %t", text, findings, known)
		}
	}
}
