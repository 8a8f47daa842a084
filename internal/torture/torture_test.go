//go:build unix

package torture

import (
	"errors"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/internal/rabbittest"
)

// logWriter sends what is written to a test's log.
type logWriter struct{ t *testing.T }

func (w logWriter) Write(p []byte) (int, error) {
	w.t.Log(string(p))
	return len(p), nil
}

// TestShort is the short form of the matrix: fewer events and the faults that need no long time, some side by side.
// `make torture` runs the whole.
func TestShort(t *testing.T) {
	// Not TempDir: what a failed cell leaves behind is for whoever looks into it.
	folder, err := os.MkdirTemp("", "torture-test-")
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Short: true, Parallel: 6, Seed: rand.Uint64(), Folder: folder, Out: logWriter{t}}
	t.Logf("seed %d, folder %s", o.Seed, folder)
	report, err := Run(t.Context(), o)
	if errors.Is(err, rabbittest.ErrNotInstalled) && !rabbittest.Required() {
		t.Skipf("%v; with EIFFELBRIDGE_REQUIRE_RABBITMQ=1 this would be a failure", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report.Failed() {
		t.Errorf("%s, %s: %s", r.Cell, r.Direction, r.Failure)
	}
	if report.Ran() == 0 {
		t.Error("no cell was run")
	}
	if !t.Failed() {
		_ = os.RemoveAll(folder)
	}
}
