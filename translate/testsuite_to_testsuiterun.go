package translate

import "github.com/eiffelbridge/eiffelbridge/translate/ledger"

// testSuiteRunSubject finds the test suite run: its id is that of its TestSuiteStarted, or of the activity of kind
// testsuiterun in whose CONTEXT that stands: both are one subject then.
func (t *toCDEvents) testSuiteRunSubject() {
	links := t.links
	if t.in.Type != typeTSS {
		started := target(links, linkTestSuite)
		t.subject = t.subjectOfTarget(started, ledger.SubjectKey{Kind: ledger.KindTestSuiteRun, Source: t.in.Source, ID: started}, "/subject/id", typeTSS)
		t.findTestEnvironment()
		return
	}
	own := t.marked(ledger.SubjectKey{Kind: ledger.KindTestSuiteRun, Source: t.in.Source, ID: t.in.ID})
	context := target(links, linkContext)
	t.subject = t.chooseSubject("subject", own, func() ledger.SubjectKey {
		if context == "" || t.markID != "" {
			return own
		}
		known := t.eiffelEvent(context)
		if known == nil {
			t.miss(ledger.AboutEvent(context), "/subject/id", "the CONTEXT %s of the test suite", context)
		}
		if known == nil || known.Type != typeActT || known.Subject.Kind != ledger.KindTestSuiteRun {
			return own
		}
		return known.Subject
	})
	t.findTestEnvironment()
}
