// Package plugintest runs the conformance kit for plugins in a test.
package plugintest

import (
	"testing"

	"github.com/eiffelbridge/eiffelbridge/conformance/plugin"
)

// Run tests a plugin; each check is a subtest.
func Run(t *testing.T, o plugin.Options) {
	t.Helper()
	report, err := plugin.Test(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report.Results {
		if r.Skipped != "" {
			t.Logf("%s: not made: %s", r.Check, r.Skipped)
			continue
		}
		t.Run(r.Check, func(t *testing.T) {
			if r.Err != nil {
				t.Error(r.Err)
			}
		})
	}
}
