package translate

import (
	"strings"

	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// canceledName is finished, with the outcome cancel; skipped only for a test of which nothing was said before.
func (t *toCDEvents) canceledName() string {
	const finished, skipped = "testcaserun.finished", "testcaserun.skipped"
	if t.markID != "" {
		return skipped // nothing else becomes a TestCaseCanceled here
	}
	return t.choose("canceled", finished, func() string {
		if known := t.eiffelEvent(target(t.links, linkTestCase)); known != nil && known.Synthesized &&
			t.subjectRecord(known.Subject).Anchor(typeTCS) == nil {
			return skipped
		}
		return finished
	})
}

// testedBy are the events that lead from one of a test to the deployment which is tested: a test case has an item under
// test, and a test suite, or the activity that it stands in, the deployment that caused it.
func testedBy(eiffelType string, links []ledger.EiffelLink) []string {
	switch eiffelType {
	case typeTCT:
		return targets(links, linkIUT)
	case typeTSS, typeActT:
		return targets(links, linkCause, linkContext)
	}
	return targets(links, linkTestCase, linkTestSuite, linkActivity)
}

// findTestEnvironment finds the environment that a test ran in: that of the ENVIRONMENT link, else the one that the ledger
// knows for the run, else that of the deployment which is tested. An activity that is no test has none.
func (t *toCDEvents) findTestEnvironment() {
	if strings.HasPrefix(t.in.Type, "EiffelActivity") && t.subject.Kind != ledger.KindTestSuiteRun {
		return
	}
	links := t.links
	linked := target(links, linkEnvironment)
	choice := t.choose("environment", "", func() string {
		unknown := ""
		if linked != "" {
			known := t.eiffelEvent(linked)
			if known != nil && known.Subject.Kind == ledger.KindEnvironment {
				return known.Subject.Key()
			}
			unknown = linked
		}
		if environments := t.subjectRecord(t.subject).Environments; len(environments) > 0 {
			if len(environments) > 1 {
				t.diagnose(DiagnosticSeveral, "%s %q ran in several environments; the first is named", t.subject.Kind, t.subject.ID)
			}
			return environments[0].Key()
		}
		f := t.follow(testedBy(t.in.Type, links),
			func(e *ledger.EiffelEvent) bool { return e.Type == typeArtD && e.Environment.ID != "" },
			func(e *ledger.EiffelEvent) []string { return testedBy(e.Type, e.Links) })
		if len(f.ids) > 0 {
			if e := t.eiffelEvent(f.ids[0]); e != nil {
				return e.Environment.Key()
			}
		}
		fill(&unknown, f.unknown)
		if unknown != "" {
			t.miss(ledger.AboutEvent(unknown), "/subject/content/environment", "the event %s, which may know the environment", unknown)
		}
		return unknown
	})
	if k, ok := ledger.ParseSubjectKey(ledger.KindEnvironment, choice); ok {
		t.environment = k
	} else if choice != "" {
		t.environment = ledger.SubjectKey{Kind: ledger.KindEnvironment, ID: urnUUID + choice}
	}
}

// testEnvironment writes the environment that a test ran in.
func (t *toCDEvents) testEnvironment(at *place) value {
	id, unknown := uuidOfURN(t.environment.ID)
	switch {
	case t.environment.ID == "":
		return none
	case unknown && !at.Required():
		return none
	case unknown:
		return t.placeholder(at, id)
	}
	return t.referenceTo(at, t.environment)
}
