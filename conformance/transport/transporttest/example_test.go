package transporttest_test

import (
	"context"
	"errors"
	"testing"

	transportconformance "github.com/eiffelbridge/eiffelbridge/conformance/transport"
	"github.com/eiffelbridge/eiffelbridge/conformance/transport/transporttest"
)

// newHarness makes a source and the far side that it receives from; see the example of [transportconformance.TestSource].
func newHarness(context.Context) (transportconformance.SourceHarness, error) {
	return nil, errors.New("yours stands here")
}

// newSinkHarness makes a sink and its far side.
func newSinkHarness(context.Context) (transportconformance.SinkHarness, error) {
	return nil, errors.New("yours stands here")
}

func ExampleRunSource() {
	var t *testing.T // as in func TestSource(t *testing.T)

	transporttest.RunSource(t, newHarness, transportconformance.Options{})
}

func ExampleRunSink() {
	var t *testing.T // as in func TestSink(t *testing.T)

	transporttest.RunSink(t, newSinkHarness, transportconformance.Options{
		KnownFailures: map[string]string{"close_waits_for_what_is_in_flight": "the client library drops what it has"},
	})
}
