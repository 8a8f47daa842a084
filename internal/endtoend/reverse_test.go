package endtoend

import (
	"context"
	"crypto/sha1"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/eiffelbridge/eiffelbridge/internal/rabbittest"
)

// receiver is the far side of the HTTP sink: it keeps the CDEvents that it was sent, in order.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	events []received
	status int // what it answers; 0: 202
}

type received struct {
	ID, Type, Subject, Artifact string
	JSON                        string
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			return
		}
		var e struct {
			Context struct{ ID, Type string }
			Subject struct {
				ID      string
				Content struct{ ArtifactID string }
			}
		}
		if err := json.Unmarshal(body, &e); err != nil || request.Header.Get("ce-id") != e.Context.ID || request.Header.Get("ce-time") == "" {
			t.Errorf("no CloudEvent in binary mode: %v %v\n%s", err, request.Header, body)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.status != 0 {
			w.WriteHeader(r.status)
			return
		}
		r.events = append(r.events, received{e.Context.ID, e.Context.Type, e.Subject.ID, e.Subject.Content.ArtifactID, string(body)})
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(r.Close)
	return r
}

// wait gives the events once there are n different ids.
func (r *receiver) wait(t *testing.T, n int) []received {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for {
		r.mu.Lock()
		ids := map[string]bool{}
		for _, e := range r.events {
			ids[e.ID] = true
		}
		events := append([]received(nil), r.events...)
		r.mu.Unlock()
		if len(ids) >= n {
			return events
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d events came", len(ids), n)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func eiffelID(name string) string {
	s := sha1.Sum([]byte(name))
	s[6], s[8] = s[6]&0x0f|0x50, s[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", s[0:4], s[4:6], s[6:8], s[8:10], s[10:16])
}

// eiffel makes an Eiffel event; links are pairs of type and name of the target.
func eiffel(name, typ, version string, time int64, data map[string]any, links ...string) []byte {
	list := []map[string]string{}
	for i := 0; i < len(links); i += 2 {
		list = append(list, map[string]string{"type": links[i], "target": eiffelID(links[i+1])})
	}
	text, err := json.Marshal(map[string]any{
		"meta": map[string]any{"id": eiffelID(name), "type": "Eiffel" + typ + "Event", "version": version, "time": time,
			"source": map[string]any{"uri": "https://jenkins.example.com/job/ship"}},
		"data": data, "links": list,
	})
	if err != nil {
		panic(err)
	}
	return text
}

// publisher publishes with confirms, as any Eiffel producer would.
func publisher(t *testing.T, url, exchange string) func(...[]byte) {
	t.Helper()
	conn, err := amqp.Dial(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	channel, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	if err := channel.Confirm(false); err != nil {
		t.Fatal(err)
	}
	return func(events ...[]byte) {
		t.Helper()
		for _, e := range events {
			confirm, err := channel.PublishWithDeferredConfirmWithContext(context.Background(), exchange, "eiffel.artifact.X._._", true, false,
				amqp.Publishing{ContentType: "application/json", DeliveryMode: amqp.Persistent, Body: e})
			if err != nil {
				t.Fatal(err)
			}
			if !confirm.Wait() {
				t.Fatal("the broker refused a message")
			}
		}
	}
}

func names(events []received) string {
	var out []string
	for _, e := range events {
		parts := strings.Split(e.Type, ".")
		out = append(out, parts[2]+"."+parts[3])
	}
	return strings.Join(out, " ")
}

// TestEiffelDeploymentsBecomeCDEvents publishes Eiffel events, among them one whose artifact comes later than it does: it
// waits, and is judged when the artifact is there.
func TestEiffelDeploymentsBecomeCDEvents(t *testing.T) {
	server := rabbittest.Shared(t)
	const exchange = "reverse"
	r := newReceiver(t)
	b := newBridge(t, server.URL(), exchange, r.URL, "")
	b.start()
	publish := publisher(t, server.URL(), exchange)
	const hour = int64(3_600_000)
	start := int64(1_772_000_000_000)
	// One after the other: what has no subject in common is posted side by side.
	publish(eiffel("env", "EnvironmentDefined", "3.3.0", start, map[string]any{"name": "staging"}))
	r.wait(t, 1)
	publish(eiffel("a1", "ArtifactCreated", "3.2.0", start, map[string]any{"identity": "pkg:maven/com.example/billing@2.4.0"}))
	r.wait(t, 2)
	publish(eiffel("d1", "ArtifactDeployed", "0.1.0", start+hour, map[string]any{}, "ARTIFACT", "a1", "ENVIRONMENT", "env"))
	r.wait(t, 3)
	// The deployment of an artifact that nobody knows yet is parked; the artifact resolves it.
	publish(eiffel("d2", "ArtifactDeployed", "0.2.1", start+2*hour, map[string]any{}, "ARTIFACT", "a2", "ENVIRONMENT", "env"))
	deadline := time.Now().Add(10 * time.Second)
	for !strings.Contains(b.get("/metrics"), `eiffelbridge_parked{relay="to_cdevents"} 1`) {
		if time.Now().After(deadline) {
			t.Fatalf("nothing is parked:\n%s", b.get("/metrics"))
		}
		time.Sleep(20 * time.Millisecond)
	}
	b.stop()
	b.start() // parked is durable
	publish(
		eiffel("a2", "ArtifactCreated", "4.0.2", start, map[string]any{"identity": "pkg:maven/com.example/billing@2.5.0"}),
	)
	r.wait(t, 5)
	publish(eiffel("d3", "ArtifactDeployed", "0.1.0", start+3*hour, map[string]any{}, "ARTIFACT", "a1", "ENVIRONMENT", "env"))
	r.wait(t, 6)
	publish(eiffel("p1", "ConfidenceLevelModified", "3.3.0", start+4*hour, map[string]any{"name": "servicePublished", "value": "SUCCESS"}, "SUBJECT", "d3"))
	events := r.wait(t, 7)
	want := "environment.created artifact.packaged service.deployed artifact.packaged service.upgraded service.rolledback service.published"
	if got := names(events); got != want {
		t.Errorf("CDEvents:\n got %s\nwant %s", got, want)
	}
	if got := events[5].Subject; got != "pkg:maven/com.example/billing" {
		t.Errorf("service: %s", got)
	}
	board := output(t, "services", "--url", "http://"+b.admin)
	if !strings.Contains(board, "billing") || !strings.Contains(board, "staging") {
		t.Errorf("the board:\n%s", board)
	}
	b.stop()
}

// TestKilledInTheMiddleOfEiffelEvents kills the relay while Eiffel events go out: each arrives at least once, with the
// same bytes each time, and the predicates are those of an undisturbed run.
func TestKilledInTheMiddleOfEiffelEvents(t *testing.T) {
	server := rabbittest.Shared(t)
	const exchange, services, rounds = "killed.reverse", 20, 30
	r := newReceiver(t)
	b := newBridge(t, server.URL(), exchange, r.URL, "")
	b.start()
	publish := publisher(t, server.URL(), exchange)
	start := int64(1_772_000_000_000)
	publish(eiffel("kenv", "EnvironmentDefined", "3.3.0", start, map[string]any{"name": "staging"}))
	for v := range 3 {
		publish(eiffel(fmt.Sprintf("ka%d", v), "ArtifactCreated", "3.2.0", start, map[string]any{"identity": fmt.Sprintf("pkg:npm/billing@1.%d.0", v)}))
	}
	published := make(chan struct{})
	want := map[string]string{}
	for round := range rounds {
		for s := range services {
			predicate := "upgraded"
			if round == 0 {
				predicate = "deployed"
			} else if round%3 == 0 {
				predicate = "rolledback"
			}
			want[eiffelID(fmt.Sprintf("kd-%d-%d", s, round))] = predicate
		}
	}
	go func() {
		defer close(published)
		for round := range rounds {
			for s := range services {
				publish(eiffel(fmt.Sprintf("kd-%d-%d", s, round), "ArtifactDeployed", "0.1.0", start+int64(round+1)*1000,
					map[string]any{"customData": []any{map[string]any{"key": "serviceId", "value": fmt.Sprintf("billing-%d", s)}}},
					"ARTIFACT", fmt.Sprintf("ka%d", round%3), "ENVIRONMENT", "kenv"))
			}
		}
	}()
	for k := range 3 {
		r.wait(t, 4+(k+1)*services*rounds/4)
		b.kill()
		b.start()
	}
	<-published
	seen := map[string]string{}
	for _, e := range r.wait(t, 4+services*rounds) {
		if before := seen[e.ID]; before != "" && before != e.JSON {
			t.Errorf("%s came twice and differs:\n%s\n%s", e.ID, before, e.JSON)
		}
		seen[e.ID] = e.JSON
		if predicate := want[e.ID]; predicate != "" && !strings.HasPrefix(e.Type, "dev.cdevents.service."+predicate+".") {
			t.Errorf("%s is %s, want %s", e.ID, e.Type, predicate)
		}
	}
	b.stop()
	output(t, "ledger", "check", "--ledger", b.ledger())
}

// TestTheBrokerGoesAwayAndComesBack kills the broker under a running relay.
func TestTheBrokerGoesAwayAndComesBack(t *testing.T) {
	server := rabbittest.ForTest(t)
	const exchange = "restart"
	r := newReceiver(t)
	w := watch(t, server.URL(), exchange)
	b := newBridge(t, server.URL(), exchange, r.URL, "")
	b.start()
	first := cdevent("first", "environment.created", "prod", "2026-03-01T08:00:00Z", map[string]any{})
	if status, answer := b.post(t.Context(), "application/json", binaryHeader(first), first.JSON); status != http.StatusAccepted {
		t.Fatalf("%d %s", status, answer)
	}
	if _, err := w.next(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	if err := server.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	second := cdevent("second", "environment.modified", "prod", "2026-03-01T09:00:00Z", map[string]any{})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	status, _ := b.post(ctx, "application/json", binaryHeader(second), second.JSON)
	cancel()
	if status >= 200 && status < 300 {
		t.Errorf("answered with %d while there was no broker", status)
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(60 * time.Second)
	for {
		if status, answer := b.post(t.Context(), "application/json", binaryHeader(second), second.JSON); status == http.StatusAccepted {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("the relay did not recover: %d %s\n%s", status, answer, b.log)
		}
		time.Sleep(100 * time.Millisecond)
	}
	w = watch(t, server.URL(), exchange)
	for {
		e, err := w.next(20 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if e.original() == "second" {
			break
		}
	}
	// The other direction came back as well.
	publisher(t, server.URL(), exchange)(eiffel("renv", "EnvironmentDefined", "3.3.0", 1_772_000_000_000, map[string]any{"name": "staging"}))
	r.wait(t, 1)
	b.stop()
}
