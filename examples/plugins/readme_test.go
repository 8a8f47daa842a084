// Package plugins has the test of the README beside it.
package plugins

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/eiffelbridge/eiffelbridge/plugins/host"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// fence is a block of code: its language, the file that it is, if any, and what is in it.
var fence = regexp.MustCompile("(?ms)^```([a-z]+)(?: ([^\n]+))?\n(.*?)^```$")

// TestNewcomer follows the README to the letter, in a fresh folder that a checkout of the bridge lies in: it writes the files and
// runs the commands, one shell for all of them. Then the host runs what came of it.
func TestNewcomer(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	folder, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(root, filepath.Join(folder, "eiffelbridge")); err != nil {
		t.Fatal(err)
	}
	script := "set -eu\n"
	files := 0
	for _, m := range fence.FindAllStringSubmatch(string(readme), -1) {
		switch language, file, text := m[1], m[2], m[3]; {
		case file != "":
			script += fmt.Sprintf("cat >%s <<'END OF FILE'\n%sEND OF FILE\n", file, text)
			files++
		case language == "sh":
			script += text
		}
	}
	if files != 4 {
		t.Fatalf("the README has %d files", files)
	}
	began := time.Now()
	shell := exec.Command("sh", "-c", script)
	shell.Dir = folder
	shell.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	out, err := shell.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"ok  \tacme.example/deploytool", `"EiffelArtifactDeployedEvent"`} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the commands print no %s:\n%s", want, out)
		}
	}
	t.Logf("the commands take %v", time.Since(began).Round(time.Millisecond))

	s := host.DefaultSettings()
	s.Name, s.Path = "deploytool", filepath.Join(folder, "deploytool", "deploytool")
	if s.SHA256, err = host.Checksum(s.Path); err != nil {
		t.Fatal(err)
	}
	p, err := host.Start(s)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	plugin := host.NewMapping(p, false, host.MappingSettings{})
	defer plugin.Close()
	ours, err := translate.New(translate.DefaultSettings())
	if err != nil {
		t.Fatal(err)
	}
	session := translate.NewSession(host.NewChain(ours, ours, []host.Link{{Plugin: plugin, Mode: host.ModeOverride}}), translate.NewMemoryLedger())
	for _, c := range []struct{ eventType, content, want string }{
		{"dev.cdeventsx.acme-deploy.finished.1.0.0", `{"app":"shop","version":"1.4.0","cluster":"prod"}`, "[EiffelArtifactCreatedEvent EiffelEnvironmentDefinedEvent EiffelArtifactDeployedEvent]"},
		{"dev.cdeventsx.acme-deploy.finished.1.0.0", `{"app":"shop","version":"1.5.0","cluster":"prod"}`, "[EiffelArtifactCreatedEvent EiffelArtifactDeployedEvent]"},
		// The bridge's own, which finds in the ledger what the plugin's deployments taught it.
		{"dev.cdevents.service.upgraded.0.3.0", `{"environment":{"id":"prod"},"artifactId":"pkg:oci/shop@1.6.0"}`, "[EiffelArtifactCreatedEvent EiffelArtifactDeployedEvent]"},
	} {
		result, err := session.Translate(t.Context(), fmt.Appendf(nil, `{"context":{"specversion":"0.5.1","id":%q,"source":"/deploy","type":%q,"timestamp":"2026-03-02T08:00:00Z"},`+
			`"subject":{"id":"shop","source":"/deploy","content":%s}}`, c.content, c.eventType, c.content))
		var types []string
		for _, e := range result.Events {
			types = append(types, e.Type)
		}
		if got := fmt.Sprint(types); err != nil || got != c.want {
			t.Errorf("%s %s gives %s, %v, want %s", c.eventType, c.content, got, err, c.want)
		}
	}
}
