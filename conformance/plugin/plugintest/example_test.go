package plugintest_test

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/conformance/plugin"
	"github.com/eiffelbridge/eiffelbridge/conformance/plugin/plugintest"
)

// event is one that the plugin translates.
var event = []byte(`{
	"context": {"specversion": "0.5.1", "id": "1", "source": "/deploy", "type": "dev.cdeventsx.acme-deploy.finished.1.0.0", "timestamp": "2026-03-02T08:00:00Z"},
	"subject": {"id": "run-7", "content": {"app": "shop", "version": "1.4.0", "cluster": "prod"}}
}`)

// Builds a plugin and tests it.
func ExampleRun() {
	var t *testing.T // as in func TestPlugin(t *testing.T)

	path := filepath.Join(t.TempDir(), "deploytool")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	plugintest.Run(t, plugin.Options{Path: path, Events: [][]byte{event}})
}
