// Package plugins has the test of the README beside it.
package plugins

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/eiffelbridge/eiffelbridge/plugins/host"
	"github.com/eiffelbridge/eiffelbridge/plugins/pluginv1"
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
	if files != 3 {
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
	if !strings.Contains(string(out), "ok  \tacme.example/deploytool") {
		t.Errorf("the commands print\n%s", out)
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
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	running, err := p.Wait(ctx)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := pluginv1.NewMappingServiceClient(running.Conn).Translate(ctx)
	if err != nil {
		t.Fatal(err)
	}
	event := `{"context":{"specversion":"0.5.1","id":"1","source":"/deploy","type":"dev.cdeventsx.acme-deploy.finished.1.0.0","timestamp":"2026-03-02T08:00:00Z"},` +
		`"subject":{"id":"run-7","content":{"app":"shop","version":"1.4.0","cluster":"prod"}}}`
	// The answers of a ledger that knows nothing, until there are no questions.
	item := &pluginv1.TranslateItem{Event: []byte(event)}
	for range 10 {
		if err := stream.Send(&pluginv1.TranslateRequest{Items: []*pluginv1.TranslateItem{item}}); err != nil {
			t.Fatal(err)
		}
		response, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		result := response.GetResults()[0]
		for _, q := range result.GetNeed() {
			item.Facts = append(item.Facts, &pluginv1.Fact{Query: q, Absent: true})
		}
		if len(result.GetNeed()) > 0 {
			continue
		}
		events := result.GetEvents()
		if result.GetError() != nil || len(events) != 3 {
			t.Fatal(result)
		}
		last, err := translate.Decode(events[2].GetJson())
		if err != nil || last.Type != "EiffelArtifactDeployedEvent" {
			t.Error(last, err)
		}
		return
	}
	t.Error("the plugin still asks")
}
