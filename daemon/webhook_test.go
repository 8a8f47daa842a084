package daemon

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestFromWebhookToFile runs what a user configures: a translator of the CDEvents webhook adapter, as a plugin of the relay.
func TestFromWebhookToFile(t *testing.T) {
	folder := t.TempDir()
	path := func(name string) string { return filepath.ToSlash(filepath.Join(folder, name)) }
	binary := path("translator")
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	if out, err := exec.Command("go", "build", "-o", binary, "./transports/cdevents_webhook/testtranslator").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	text := fmt.Sprintf(`version: 1
ledger: {type: memory}
admin: {listen: off}
transports:
  hooks:
    type: cdevents_webhook
    listen: %q
    translators:
      test: {path: %q, dev: true, env: {A: b}}
  out: {type: file, path: %q}
relays: [{name: r, from: hooks, to: out, translate: eiffel}]
dead_letters: {type: file, path: %q}
`, address, "./"+filepath.Base(binary), path("out.jsonl"), path("dead.jsonl"))
	if err := os.WriteFile(path("bridge.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	config, err := ReadConfigFile(path("bridge.yaml"), env())
	if err != nil {
		t.Fatal(err)
	}
	s, err := config.Settings(BuildOptions{Version: "1.0.0"})
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
	post := func(body, do string) (int, string) {
		request, err := http.NewRequest(http.MethodPost, "http://"+address+"/translate/test", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if do != "" {
			request.Header.Set("X-Do", do)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		answer, _ := io.ReadAll(response.Body)
		return response.StatusCode, string(answer)
	}
	read := func(name string) string {
		written, err := os.ReadFile(path(name))
		if err != nil {
			t.Fatal(err)
		}
		return string(written)
	}
	// Durable before the answer, and the same event for a repetition.
	if status, answer := post("{}", "call"); status != http.StatusAccepted {
		t.Fatal(status, answer)
	}
	first := read("out.jsonl")
	if !strings.Contains(first, `"/hooks"`) || !strings.Contains(first, `"Eiffel`) {
		t.Errorf("written: %s", first)
	}
	if status, answer := post("{}", "call"); status != http.StatusAccepted {
		t.Error(status, answer)
	}
	if again := read("out.jsonl"); strings.Repeat(first, 2) != again {
		t.Errorf("the repetition wrote\n%s", again)
	}
	// What a translator gives is checked like anything else from outside.
	status, answer := post(`{"context":{"specversion":"0.5.1","id":"i","source":"/s","type":"dev.cdevents.service.deployed.0.3.0"}}`, "")
	if status != http.StatusBadRequest || !strings.Contains(answer, `"id":"i"`) {
		t.Error(status, answer)
	}
	if letters := read("dead.jsonl"); strings.Count(letters, "\n") != 1 || !strings.Contains(letters, `"invalid"`) {
		t.Errorf("dead letters: %s", letters)
	}
	if status, answer := post("{}", "plain error"); status != http.StatusUnprocessableEntity || !strings.Contains(answer, "unsupported event") {
		t.Error(status, answer)
	}
	if letters := read("dead.jsonl"); strings.Count(letters, "\n") != 1 {
		t.Errorf("dead letters: %s", letters)
	}
	// A translator is a plugin like any other to whoever watches.
	if err, ok := d.Health()["plugin hooks.test"]; err != nil || !ok || d.settings.Plugins["hooks.test"].Stats().Starts != 1 {
		t.Errorf("health: %v", d.Health())
	}
	// And it is upgraded like any other, while its listener stays.
	before := d.settings.Plugins["hooks.test"].Stats()
	code, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(binary+".new", append(code, "v2"...), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(binary+".new", binary); err != nil {
		t.Fatal(err)
	}
	next, err := ReadConfigFile(path("bridge.yaml"), env())
	if err != nil {
		t.Fatal(err)
	}
	following, err := next.Successor(BuildOptions{Version: "1.0.0"}, config, s)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Reload(t.Context(), following); err != nil {
		t.Fatal(err)
	}
	if status, answer := post(`{"n":2}`, "call"); status != http.StatusAccepted {
		t.Error(status, answer)
	}
	if after := following.Plugins["hooks.test"].Stats(); after.Starts != 2 || after.PID == before.PID || after.Deaths != 0 ||
		following.Sources["hooks"] != s.Sources["hooks"] {
		t.Errorf("before the upgrade %+v, after it %+v", before, after)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := d.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

// TestWebhooksDocument reads the configuration in the document about webhooks.
func TestWebhooksDocument(t *testing.T) {
	text, err := os.ReadFile("../docs/webhooks.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```yaml\n")
	block, _, ok := strings.Cut(rest, "```\n")
	if !ok {
		t.Fatal("there is no configuration in it")
	}
	for _, p := range Check(ReadConfig([]byte(block), env("GITHUB_TRANSLATOR_SHA256", strings.Repeat("0", 64)))) {
		t.Error(p)
	}
}
