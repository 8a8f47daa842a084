package endtoend

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/internal/rabbittest"
)

// TestDemo runs what `make run` runs, up to the point where it waits for Ctrl-C.
func TestDemo(t *testing.T) {
	server := rabbittest.Shared(t)
	demo := filepath.Join(t.TempDir(), "demo")
	if out, err := exec.Command("go", "build", "-o", demo, "github.com/eiffelbridge/eiffelbridge/examples/demo").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	command := exec.Command(demo, "-bridge", binary, "-amqp", server.URL(), "-once")
	command.Env = append(command.Environ(), "AMQP_URL="+server.URL())
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text := string(out)
	for _, want := range []string{
		"eiffel.cm.EiffelEnvironmentDefinedEvent._._",
		"service shop upgraded in environment production: from pkg:oci/shop@1.0.0",
		"service shop rolled back in environment production: from pkg:oci/shop@1.1.0",
		"eiffel.artifact.EiffelConfidenceLevelModifiedEvent._._",
		"service removed: shop",
		"CDEvent  service.deployed.0.3.0       pkg:maven/com.example/billing",
		"CDEvent  service.upgraded.0.3.0       pkg:maven/com.example/billing",
		"CDEvent  service.rolledback.0.3.0     pkg:maven/com.example/billing",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the demo does not show %q", want)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}
