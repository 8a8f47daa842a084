// Package translatortest runs the conformance kit for translators in a test.
package translatortest

import (
	"testing"

	"github.com/eiffelbridge/eiffelbridge/conformance/translator"
)

// Run tests a translator; each law is a subtest.
func Run(t *testing.T, newTranslator translator.Constructor, o translator.Options) {
	t.Helper()
	report, err := translator.Test(t.Context(), newTranslator, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, law := range translator.Laws() {
		t.Run(law.Name, func(t *testing.T) {
			for _, f := range report.Findings {
				if f.Law == law.Name {
					t.Errorf("%s\n%s", f, f.Input)
				}
			}
			checked, skipped := 0, 0
			for _, typ := range report.Types {
				checked, skipped = checked+typ.Laws[law.Name].Checked, skipped+typ.Laws[law.Name].Skipped
			}
			t.Logf("%d events checked, %d skipped", checked, skipped)
			if checked == 0 && skipped > 0 {
				t.Skip("the law was applied to no event")
			}
		})
	}
	for _, s := range report.Skipped {
		t.Logf("%s: %d events skipped: %s", s.Law, s.Events, s.Reason)
	}
	for name, reason := range report.Stale {
		t.Errorf("%s: holds, but is listed as a known failure (%s): take it off the list", name, reason)
	}
}
