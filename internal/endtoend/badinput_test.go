package endtoend

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/eiffelbridge/eiffelbridge/internal/rabbittest"
)

// TestBadInput posts what can never be translated: each is answered with what is wrong and where, lies in the dead
// letters, and the relay goes on.
func TestBadInput(t *testing.T) {
	server := rabbittest.Shared(t)
	const exchange = "bad"
	w := watch(t, server.URL(), exchange)
	b := newBridge(t, server.URL(), exchange, "", "")
	b.start()
	good := func(id string) *testEvent {
		return cdevent(id, "service.deployed", "shop", "2026-03-01T08:00:00Z",
			map[string]any{"environment": map[string]any{"id": "prod"}, "artifactId": "pkg:oci/shop@1.0.0"})
	}
	change := func(id, old, new string) *testEvent {
		e := good(id)
		text := strings.Replace(string(e.JSON), old, new, 1)
		if text == string(e.JSON) {
			t.Fatalf("%s: nothing to replace", id)
		}
		e.JSON = []byte(text)
		return e
	}
	large := good("large")
	large.JSON = []byte(strings.Replace(string(large.JSON), `"artifactId":"`, `"artifactId":"`+strings.Repeat("x", 5<<20), 1))
	cases := []struct {
		event  *testEvent
		status int
		says   []string // in the answer
		letter string   // code of the dead letter, "" for none
	}{
		{&testEvent{ID: "broken", Source: source, Type: "dev.cdevents.service.deployed.0.3.0", JSON: []byte(`{"context":{"id":`)}, 400, []string{"JSON"}, "not_json"},
		{change("duplicate", `"subject":`, `"subject":{},"subject":`), 400, []string{"duplicate", "subject"}, "not_json"},
		{change("type", `"artifactId":"pkg:oci/shop@1.0.0"`, `"artifactId":7`), 400, []string{"/subject/content/artifactId", "type"}, "invalid"},
		{change("missing", `"artifactId":"pkg:oci/shop@1.0.0",`, ``), 400, []string{"/subject/content", "artifactId"}, "invalid"},
		{change("version", `deployed.0.3.0`, `deployed.7.3.0`), 400, []string{"/context/type", "7.3.0"}, "unknown_version"},
		{change("timestamp", `2026-03-01T08:00:00Z`, `yesterday`), 400, []string{"/context/timestamp"}, "invalid"},
		{large, 413, []string{"larger than 1048576 bytes"}, "too_large"},
		{&testEvent{ID: "other", Source: source, Type: "com.example.other", JSON: []byte(`{"hello":"world"}`)}, 400, []string{"context"}, "not_an_event"},
	}
	for _, c := range cases {
		header := binaryHeader(c.event)
		delete(header, "ce-time")
		status, answer := b.post(t.Context(), "application/json", header, c.event.JSON)
		if status != c.status {
			t.Errorf("%s: answered with %d, want %d: %s", c.event.ID, status, c.status, answer)
		}
		for _, s := range c.says {
			if !strings.Contains(answer, s) {
				t.Errorf("%s: the answer does not say %q: %s", c.event.ID, s, answer)
			}
		}
	}
	for i, id := range []string{"with space", "ünï\"code'", "0190A0B0-0000-7000-8000-000000000003", "0190a0b0-0000-7000-8000-000000000004", strings.Repeat("long", 200), "\u0000nul", "urn:uuid:x", "../../etc", "🙂"} {
		e := good(id)
		if status, answer := b.post(t.Context(), "application/cloudevents+json", nil, structured(e)); status != http.StatusAccepted {
			t.Errorf("id %d %q: %d %s", i, id, status, answer)
			continue
		}
		for {
			arrived, err := w.next(10 * time.Second)
			if err != nil {
				t.Fatalf("id %q: %v", id, err)
			}
			if arrived.original() == id {
				break
			}
		}
	}
	letters, err := os.ReadFile(b.deadLetters())
	if err != nil {
		t.Fatal(err)
	}
	codes := map[string]int{}
	for line := range strings.Lines(string(letters)) {
		var l struct{ Code string }
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		codes[l.Code]++
	}
	for _, c := range cases {
		if codes[c.letter] == 0 {
			t.Errorf("%s: no dead letter with the code %s: %v", c.event.ID, c.letter, codes)
		}
	}
	list := output(t, "deadletters", "list", "--file", b.deadLetters())
	if !strings.Contains(list, "unknown_version") {
		t.Errorf("the list:\n%s", list)
	}
	b.stop()
}
