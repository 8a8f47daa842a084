package daemon

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestSecuredHTTP runs what a user configures: what may not send leaves no trace, and no event is lost when the token of the sink is
// revoked and the token endpoint is away.
func TestSecuredHTTP(t *testing.T) {
	var lock sync.Mutex
	var good string
	var issued, refused int
	away := false
	tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lock.Lock()
		defer lock.Unlock()
		if away {
			refused++
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		issued++
		good = fmt.Sprintf("token-%d", issued)
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"access_token":%q,"token_type":"Bearer","expires_in":3600}`, good)
	}))
	defer tokens.Close()
	got := map[string]bool{}
	sink := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lock.Lock()
		defer lock.Unlock()
		if good == "" || r.Header.Get("Authorization") != "Bearer "+good {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		got[r.Header.Get("Ce-Type")+" "+r.Header.Get("Ce-Id")] = true
	}))
	defer sink.Close()

	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	folder := t.TempDir()
	letters := filepath.ToSlash(filepath.Join(folder, "dead.jsonl"))
	text := fmt.Sprintf(`version: 1
ledger: {type: memory}
admin: {listen: off}
transports:
  in: {type: cloudevents_http, listen: %q, bearer: {token: "${TOKEN}"}, hmac: {secret: "${SECRET}"}}
  out: {type: cloudevents_http, target: %q, oauth2: {token_url: %q, client_id: a, client_secret: "${CLIENT}"}}
relays: [{name: r, from: in, to: out, translate: eiffel, retry: {initial: 10ms, max: 50ms, give_up_after: 0s}}]
dead_letters: {type: file, path: %q}
`, address, sink.URL, tokens.URL, letters)
	s, err := ReadConfig([]byte(text), env("TOKEN", "in-token", "SECRET", "in-secret", "CLIENT", "client-secret")).Settings(BuildOptions{Version: "1.0.0"})
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
	post := func(id, token, secret string) int {
		body := fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"/ci","type":"dev.cdevents.environment.created.0.3.0","data":{"context":{"specversion":"0.5.1",`+
			`"id":%q,"source":"/ci","type":"dev.cdevents.environment.created.0.3.0","timestamp":"2026-01-01T00:00:00Z"},`+
			`"subject":{"id":%q,"content":{"name":%q}}}}`, id, id, id, id)
		if id == "broken" {
			body = "{"
		}
		r, err := http.NewRequest(http.MethodPost, "http://"+address, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		mac := hmac.New(sha256.New, []byte(secret))
		io.WriteString(mac, body)
		r.Header.Set("Content-Type", "application/cloudevents+json")
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Error(err)
			return 0
		}
		defer response.Body.Close()
		_, _ = io.Copy(io.Discard, response.Body)
		return response.StatusCode
	}
	for _, id := range []string{"stranger", "broken"} {
		if token, signature := post(id, "wrong", "in-secret"), post(id, "in-token", "wrong"); token != 401 || signature != 401 {
			t.Errorf("%s: %d, %d", id, token, signature)
		}
	}
	if left, _ := os.ReadFile(letters); len(left) != 0 {
		t.Errorf("dead letters: %s", left)
	}
	const n = 10
	for i := range n {
		if status := post(fmt.Sprintf("first-%d", i), "in-token", "in-secret"); status != 202 {
			t.Fatal(status)
		}
	}
	lock.Lock()
	good, away = "", true
	lock.Unlock()
	var sending sync.WaitGroup
	for i := range n {
		sending.Go(func() {
			if status := post(fmt.Sprintf("second-%d", i), "in-token", "in-secret"); status != 202 {
				t.Errorf("answered %d", status)
			}
		})
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		lock.Lock()
		asked := refused
		lock.Unlock()
		if asked >= 3 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the token endpoint is not asked")
		}
	}
	if health := d.Health()["sink out"]; health == nil || !strings.Contains(health.Error(), tokens.URL) {
		t.Errorf("health: %v", d.Health())
	}
	lock.Lock()
	away = false
	lock.Unlock()
	sending.Wait()
	if status := post("broken", "in-token", "in-secret"); status != 400 {
		t.Errorf("what is no event, from who may send: %d", status)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := d.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	lock.Lock()
	defer lock.Unlock()
	if issued != 2 || len(got) != 2*n {
		t.Errorf("%d tokens were fetched, %d events came", issued, len(got))
	}
	if left, _ := os.ReadFile(letters); strings.Count(string(left), "\n") != 1 {
		t.Errorf("dead letters: %s", left)
	}
}

// TestOperationsDocument reads the configurations in the document about operations.
func TestOperationsDocument(t *testing.T) {
	text, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "## Securing the HTTP side\n")
	_, rest, _ = strings.Cut(rest, "```yaml\n")
	block, _, ok := strings.Cut(rest, "```\n")
	if !ok || !strings.Contains(block, "oauth2:") {
		t.Fatalf("there is no configuration in it: %s", block)
	}
	for _, p := range Check(ReadConfig([]byte(block), env("GITHUB_TRANSLATOR_SHA256", strings.Repeat("0", 64), "GITHUB_WEBHOOK_SECRET", "s",
		"AMQP_URL", "amqp://broker/"))) {
		t.Error(p)
	}
}
