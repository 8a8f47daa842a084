package daemon

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/daemon/board"
)

// TestFromFileToFile runs what a user configures, with the real translation and ledger, to the end of its input: twice, since the
// second run must repeat what the first decided.
func TestFromFileToFile(t *testing.T) {
	folder := t.TempDir()
	path := func(name string) string { return filepath.ToSlash(filepath.Join(folder, name)) }
	var in []string
	for i, predicate := range []string{"deployed", "upgraded"} {
		in = append(in, fmt.Sprintf(`{"context":{"specversion":"0.5.1","id":"e%d","source":"/ci","type":"dev.cdevents.service.%s.0.3.0",`+
			`"timestamp":"2026-01-01T00:00:0%dZ"},"subject":{"id":"shop","content":{"environment":{"id":"prod"},"artifactId":"pkg:oci/shop@1.%d.0"}}}`,
			i, predicate, i, i))
	}
	in = append(in, `{"context":{`)
	if err := os.WriteFile(path("in.jsonl"), []byte(strings.Join(in, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`version: 1
ledger: {type: file, path: %q}
admin: {listen: off}
transports:
  in: {type: file, path: %q}
  out: {type: file, path: %q}
relays: [{name: r, from: in, to: out, translate: eiffel}]
dead_letters: {type: file, path: %q}
`, path("ledger"), path("in.jsonl"), path("out.jsonl"), path("dead.jsonl"))
	run := func() (out string, services []board.Service) {
		s, err := ReadConfig([]byte(text), env()).Settings(BuildOptions{Version: "1.0.0"})
		if err != nil {
			t.Fatal(err)
		}
		d, err := New(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := d.Wait(); err != nil {
			t.Fatal(err)
		}
		if services, err = board.Board(t.Context(), s.Ledger); err != nil {
			t.Fatal(err)
		}
		if err := d.Shutdown(context.Background()); err != nil {
			t.Fatal(err)
		}
		written, err := os.ReadFile(path("out.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		return string(written), services
	}
	first, services := run()
	if n := strings.Count(first, `"EiffelArtifactDeployedEvent"`); n != 2 {
		t.Errorf("%d deployments written:\n%s", n, first)
	}
	if len(services) != 1 || services[0].Version != "1.1.0" || services[0].Status != board.Running || len(services[0].History) != 2 {
		t.Errorf("services: %+v", services)
	}
	letters, err := os.ReadFile(path("dead.jsonl"))
	if err != nil || strings.Count(string(letters), "\n") != 1 {
		t.Errorf("dead letters: %s, %v", letters, err)
	}
	both, again := run()
	if rest := strings.TrimPrefix(both, first); !strings.HasSuffix(first, rest[strings.LastIndex(strings.TrimSpace(rest), "\n")+1:]) {
		t.Errorf("the second run wrote\n%s", rest)
	}
	if fmt.Sprint(again) != fmt.Sprint(services) {
		t.Errorf("services after the second run: %+v", again)
	}
	if letters, _ := os.ReadFile(path("dead.jsonl")); strings.Count(string(letters), `"event":`) != 1 || !strings.Contains(string(letters), `"repeats":1,`) {
		t.Errorf("dead letters after the second run: %s", letters)
	}
}
