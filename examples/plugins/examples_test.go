// Package plugins_test builds the example plugins as anybody would and certifies them.
package plugins_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/conformance/plugin"
	"github.com/eiffelbridge/eiffelbridge/conformance/plugin/plugintest"
	"github.com/eiffelbridge/eiffelbridge/plugins/host"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

func build(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if out, err := exec.Command("go", "build", "-o", path, "./"+name).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

func start(t *testing.T, path string) *host.Process {
	t.Helper()
	s := host.DefaultSettings()
	s.Name, s.Path = filepath.Base(path), path
	var err error
	if s.SHA256, err = host.Checksum(path); err != nil {
		t.Fatal(err)
	}
	p, err := host.Start(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	i, err := p.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %.1f MB, started in %v", s.Name, float64(info.Size())/1e6, i.Started)
	return p
}

func rollout(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile("deploytool/rollout.json")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestDeploytool(t *testing.T) {
	path := build(t, "deploytool")
	plugintest.Run(t, plugin.Options{Path: path, Events: [][]byte{rollout(t)}})
}

func TestDecorator(t *testing.T) {
	path := build(t, "decorator")
	plugintest.Run(t, plugin.Options{Path: path, Config: json.RawMessage(`{"tag":"x"}`)})
}

// TestDeploytoolMetrics reads what the plugin counts.
func TestDeploytoolMetrics(t *testing.T) {
	p := start(t, build(t, "deploytool"))
	m := host.NewMapping(p, false, host.MappingSettings{})
	defer m.Close()
	engine, err := translate.New(translate.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	session := translate.NewSession(host.NewChain(engine, engine, []host.Link{{Plugin: m, Mode: host.ModeOverride}}), translate.NewMemoryLedger())
	if _, err := session.Translate(t.Context(), rollout(t)); err != nil {
		t.Fatal(err)
	}
	bad := bytes.Replace(rollout(t), []byte(`"cluster"`), []byte(`"clutter"`), 1)
	if _, err := session.Translate(t.Context(), bad); err == nil {
		t.Fatal("a rollout without a cluster is translated")
	}
	families, err := p.Metrics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, s := range f.GetSeries() {
			got[f.GetName()+" "+strings.Join(s.GetValues(), " ")] = s.GetValue()
		}
	}
	if len(got) != 2 || got["rollouts_total translated"] != 1 || got["rollouts_total refused"] != 1 {
		t.Errorf("%v", got)
	}
}

// TestTogether has two rollouts become tagged ArtDs, the second with what the ledger knows of the first.
func TestTogether(t *testing.T) {
	deploytool, decorator := host.NewMapping(start(t, build(t, "deploytool")), false, host.MappingSettings{}), host.NewMapping(start(t, build(t, "decorator")), true, host.MappingSettings{})
	defer deploytool.Close()
	defer decorator.Close()
	engine, err := translate.New(translate.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	session := translate.NewSession(host.NewChain(engine, engine, []host.Link{{Plugin: deploytool, Mode: host.ModeOverride}, {Plugin: decorator, Mode: host.ModeDecorate}}), translate.NewMemoryLedger())
	first, err := session.Translate(t.Context(), rollout(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(first.Events) != 3 {
		t.Fatalf("%d events", len(first.Events))
	}
	next := bytes.ReplaceAll(bytes.ReplaceAll(rollout(t), []byte("6f0e1c01"), []byte("6f0e1c02")), []byte("09:00:00"), []byte("10:00:00"))
	second, err := session.Translate(t.Context(), bytes.ReplaceAll(next, []byte("1.4.0"), []byte("1.5.0")))
	if err != nil {
		t.Fatal(err)
	}
	last, _ := second.Main()
	text := string(last.JSON)
	if last.Type != "EiffelArtifactDeployedEvent" || !strings.Contains(text, `"tags":["bridged"]`) || !strings.Contains(text, first.Events[1].ID) || len(second.Events) != 2 {
		t.Errorf("the second deployment is not to the environment of the first: %s", text)
	}
}
