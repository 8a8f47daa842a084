// Package transporttest runs the conformance kit for transports in a test.
package transporttest

import (
	"context"
	"testing"

	transportconformance "github.com/eiffelbridge/eiffelbridge/conformance/transport"
)

// RunSource runs every check of a source as a subtest, and no others than o.Checks if it is set.
func RunSource(t *testing.T, newHarness func(context.Context) (transportconformance.SourceHarness, error), o transportconformance.Options) {
	t.Helper()
	run(t, transportconformance.SourceChecks(), o, func(ctx context.Context, o transportconformance.Options) error {
		return transportconformance.TestSource(ctx, newHarness, o)
	})
}

// RunSink runs every check of a sink as a subtest, and no others than o.Checks if it is set.
func RunSink(t *testing.T, newHarness func(context.Context) (transportconformance.SinkHarness, error), o transportconformance.Options) {
	t.Helper()
	run(t, transportconformance.SinkChecks(), o, func(ctx context.Context, o transportconformance.Options) error {
		return transportconformance.TestSink(ctx, newHarness, o)
	})
}

func run(t *testing.T, checks []string, o transportconformance.Options, test func(context.Context, transportconformance.Options) error) {
	t.Helper()
	if o.Checks != nil {
		checks = o.Checks
	}
	for _, name := range checks {
		t.Run(name, func(t *testing.T) {
			o := o
			o.Checks = []string{name}
			if err := test(t.Context(), o); err != nil {
				t.Error(err)
			}
		})
	}
}
