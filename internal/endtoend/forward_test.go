package endtoend

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/eiffelbridge/eiffelbridge/internal/rabbittest"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// lives are n events of services in a few environments: each service lives through deployments, upgrades, rollbacks and
// publications, with an artifact packaged and an event of another kind in between. The lists are the services' lives, in
// order; the first list are the environments.
func lives(prefix string, n int) [][]*testEvent {
	const perService, environments = 20, 5
	start := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	at := func(i int) string {
		return start.Add(time.Duration(i) * time.Second).Format("2006-01-02T15:04:05.000Z")
	}
	var all [][]*testEvent
	var created []*testEvent
	for i := range environments {
		created = append(created, cdevent(fmt.Sprintf("%s-env-%d", prefix, i), "environment.created", fmt.Sprintf("env-%d", i), at(0),
			map[string]any{"name": fmt.Sprintf("env-%d", i)}))
	}
	all = append(all, created)
	left := n - len(created)
	for service := 0; left > 0; service++ {
		name := fmt.Sprintf("shop-%d", service)
		environment := map[string]any{"id": fmt.Sprintf("env-%d", service%environments)}
		var life []*testEvent
		for i := 0; i < perService && left > 0; i++ {
			id := fmt.Sprintf("%s-%d-%d", prefix, service, i)
			content := map[string]any{"environment": environment}
			switch i % 10 {
			case 0:
				life = append(life, cdevent(id, "artifact.packaged", fmt.Sprintf("pkg:oci/%s@1.%d.0", name, i), at(i), map[string]any{"change": map[string]any{"id": "c1"}}))
			case 8:
				life = append(life, cdevent(id, "service.published", name, at(i), content))
			case 9:
				life = append(life, cdevent(id, "service.removed", name, at(i), content))
			case 5:
				life = append(life, cdevent(id, "ticket.closed", id, at(i), map[string]any{"uri": "https://tickets.example.com/1", "summary": "done", "creator": "me", "resolution": "fixed"}))
			default:
				predicate := map[int]string{1: "deployed", 4: "rolledback"}[i%10]
				if predicate == "" {
					predicate = "upgraded"
				}
				content["artifactId"] = fmt.Sprintf("pkg:oci/%s@1.%d.0", name, i)
				life = append(life, cdevent(id, "service."+predicate, name, at(i), content))
			}
			left--
		}
		all = append(all, life)
	}
	return all
}

// TestTenThousandEvents posts 10,000 mixed events in binary, structured and batched mode: all arrive, translated, once per
// id, each valid and after what it links to.
func TestTenThousandEvents(t *testing.T) { testTenThousandEvents(t, "ten.thousand", newBridge) }

// TestTenThousandEventsWithEveryTransportAsPlugin is the same with HTTP and AMQP in processes of their own.
func TestTenThousandEventsWithEveryTransportAsPlugin(t *testing.T) {
	testTenThousandEvents(t, "ten.thousand.plugins", newPluginBridge)
}

func testTenThousandEvents(t *testing.T, exchange string, newBridge func(t *testing.T, amqpURL, exchange, target, extra string) *bridge) {
	server := rabbittest.Shared(t)
	const total = 10000
	w := watch(t, server.URL(), exchange)
	b := newBridge(t, server.URL(), exchange, "", "")
	b.start()
	all := lives("m", total)

	client, err := cloudevents.NewClientHTTP(cloudevents.WithTarget("http://" + b.web + "/"))
	if err != nil {
		t.Fatal(err)
	}
	send := func(mode int, events []*testEvent) error {
		ctx := context.Background()
		switch mode {
		case 0: // binary, with the CloudEvents SDK
			for _, e := range events {
				ce := cloudevents.NewEvent()
				ce.SetID(e.ID)
				ce.SetSource(e.Source)
				ce.SetType(e.Type)
				ce.SetSubject(e.Subject)
				if err := ce.SetData("application/json", json.RawMessage(e.JSON)); err != nil {
					return err
				}
				if result := client.Send(ctx, ce); cloudevents.IsUndelivered(result) || cloudevents.IsNACK(result) {
					return fmt.Errorf("%s: %w", e.ID, result)
				}
			}
		case 1:
			for _, e := range events {
				if status, answer := b.post(ctx, "application/cloudevents+json", nil, structured(e)); status != http.StatusAccepted {
					return fmt.Errorf("%s: %d %s", e.ID, status, answer)
				}
			}
		case 2:
			var batch [][]byte
			for _, e := range events {
				batch = append(batch, structured(e))
			}
			body := append(append([]byte{'['}, bytes.Join(batch, []byte{','})...), ']')
			if status, answer := b.post(ctx, "application/cloudevents-batch+json", nil, body); status != http.StatusAccepted {
				return fmt.Errorf("batch of %s: %d %s", events[0].ID, status, answer)
			}
		}
		return nil
	}
	if err := send(0, all[0]); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	work := make(chan int)
	var group sync.WaitGroup
	var failed atomic.Int64
	for range 32 {
		group.Go(func() {
			for i := range work {
				if err := send(i%3, all[i]); err != nil {
					failed.Add(1)
					t.Error(err)
				}
			}
		})
	}
	for i := 1; i < len(all); i++ {
		work <- i
	}
	close(work)
	group.Wait()
	if failed.Load() > 0 {
		t.Fatalf("%s", b.log)
	}
	t.Logf("%d events posted and confirmed in %v", total, time.Since(began).Round(time.Millisecond))

	seen, originals := map[string]bool{}, map[string]bool{}
	types := map[string]int{}
	for len(originals) < total {
		e, err := w.next(20 * time.Second)
		if err != nil {
			t.Fatalf("%v after %d of %d", err, len(originals), total)
		}
		checkEiffel(t, e, seen)
		if seen[e.Meta.ID] {
			t.Errorf("%s %s came twice", e.Meta.Type, e.Meta.ID)
		}
		seen[e.Meta.ID] = true
		types[e.Meta.Type]++
		if id := e.original(); id != "" {
			originals[id] = true
		}
	}
	if e, err := w.next(300 * time.Millisecond); err == nil {
		t.Errorf("one event too many: %s", e.JSON)
	}
	t.Logf("types: %v", types)
	for _, list := range all {
		for _, e := range list {
			if !originals[e.ID] {
				t.Errorf("%s did not arrive", e.ID)
			}
		}
	}
	b.stop()
	output(t, "ledger", "check", "--ledger", b.ledger())
}

// checkEiffel checks that an event is valid, stands under its Sepia routing key, and links only to what came before.
func checkEiffel(t *testing.T, e *eiffelEvent, seen map[string]bool) {
	t.Helper()
	event, err := translate.Decode(e.JSON)
	if err != nil {
		t.Errorf("%s: %v", e.JSON, err)
		return
	}
	for _, finding := range event.Validate() {
		t.Error(finding)
	}
	if parts := strings.Split(e.Key, "."); len(parts) != 5 || parts[0] != "eiffel" || parts[2] != e.Meta.Type {
		t.Errorf("%s stands under the routing key %s", e.Meta.Type, e.Key)
	}
	for _, l := range e.Links {
		if !seen[l.Target] {
			t.Errorf("%s %s: the target of %s, %s, did not come before it", e.Meta.Type, e.Meta.ID, l.Type, l.Target)
		}
	}
}

// TestNothingIsAcknowledgedBeforeItIsConfirmed stops the broker's process: no POST may be answered with a 2xx then.
func TestNothingIsAcknowledgedBeforeItIsConfirmed(t *testing.T) {
	server := rabbittest.ForTest(t)
	const exchange = "hung"
	w := watch(t, server.URL(), exchange)
	b := newBridge(t, server.URL(), exchange, "", "")
	b.start()
	warm := cdevent("before", "environment.created", "prod", "2026-03-01T08:00:00Z", map[string]any{})
	if status, answer := b.post(t.Context(), "application/json", binaryHeader(warm), warm.JSON); status != http.StatusAccepted {
		t.Fatalf("%d %s", status, answer)
	}
	if _, err := w.next(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	type answer struct {
		id     string
		status int
	}
	answers := make(chan answer, 20)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	for i := range 20 {
		go func() {
			e := cdevent(fmt.Sprintf("hung-%d", i), "service.deployed", fmt.Sprintf("s%d", i), "2026-03-01T09:00:00Z",
				map[string]any{"environment": map[string]any{"id": "prod"}, "artifactId": "pkg:oci/s@1.0.0"})
			status, _ := b.post(ctx, "application/json", binaryHeader(e), e.JSON)
			answers <- answer{e.ID, status}
		}()
	}
	for range 20 {
		if a := <-answers; a.status >= 200 && a.status < 300 {
			t.Errorf("%s was answered with %d while the broker could not confirm", a.id, a.status)
		}
	}
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	after := cdevent("after", "service.deployed", "s", "2026-03-01T10:00:00Z", map[string]any{"environment": map[string]any{"id": "prod"}, "artifactId": "pkg:oci/s@1.0.0"})
	deadline := time.Now().Add(60 * time.Second)
	for {
		status, text := b.post(t.Context(), "application/json", binaryHeader(after), after.JSON)
		if status == http.StatusAccepted {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the relay did not recover: %d %s\n%s", status, text, b.log)
		}
		time.Sleep(200 * time.Millisecond)
	}
	for {
		e, err := w.next(20 * time.Second)
		if err != nil {
			t.Fatalf("what was acknowledged did not arrive: %v", err)
		}
		if e.original() == "after" {
			break
		}
	}
	b.stop()
}

// TestKilledInTheMiddle kills the relay while events come in and starts it again: nothing is lost, and the ledger is right.
func TestKilledInTheMiddle(t *testing.T) {
	server := rabbittest.Shared(t)
	const exchange, total, kills = "killed", 3000, 3
	w := watch(t, server.URL(), exchange)
	b := newBridge(t, server.URL(), exchange, "", "")
	b.start()
	all := lives("k", total)
	post := func(e *testEvent) {
		deadline := time.Now().Add(60 * time.Second)
		for {
			status, answer := b.post(context.Background(), "application/json", binaryHeader(e), e.JSON)
			switch {
			case status == http.StatusAccepted:
				return
			case status == http.StatusBadRequest || time.Now().After(deadline):
				t.Errorf("%s: %d %s", e.ID, status, answer)
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	for _, e := range all[0] {
		post(e)
	}
	var posted atomic.Int64
	work := make(chan []*testEvent)
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			for life := range work {
				for _, e := range life {
					post(e)
					posted.Add(1)
				}
			}
		})
	}
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		for _, life := range all[1:] {
			work <- life
		}
		close(work)
	}()
	for k := range kills {
		for posted.Load() < int64((k+1)*total/(kills+1)) {
			time.Sleep(time.Millisecond)
		}
		b.kill()
		b.start()
	}
	<-fed
	group.Wait()

	seen := map[string]string{}
	originals := map[string]bool{}
	for len(originals) < total {
		e, err := w.next(20 * time.Second)
		if err != nil {
			t.Fatalf("%v after %d of %d", err, len(originals), total)
		}
		if before, twice := seen[e.Meta.ID]; twice && before != string(e.JSON) {
			t.Errorf("%s came twice and differs:\n%s\n%s", e.Meta.ID, before, e.JSON)
		}
		seen[e.Meta.ID] = string(e.JSON)
		for _, l := range e.Links {
			if seen[l.Target] == "" {
				t.Errorf("%s: the target of %s did not come before it", e.Meta.ID, l.Type)
			}
		}
		if id := e.original(); id != "" {
			originals[id] = true
		}
	}
	b.stop()
	output(t, "ledger", "check", "--ledger", b.ledger())
	var board struct {
		Services []struct {
			Service, Environment struct{ ID string }
			Version, Status      string
		}
	}
	if err := json.Unmarshal([]byte(output(t, "services", "--ledger", b.ledger(), "--format", "json")), &board); err != nil {
		t.Fatal(err)
	}
	if len(board.Services) != len(all)-1 {
		t.Errorf("the board has %d services, want %d", len(board.Services), len(all)-1)
	}
	// What each service's life says in the end.
	want := map[string][2]string{}
	for _, life := range all[1:] {
		for i, e := range life {
			name := strings.Split(e.Type, ".")[3]
			switch {
			case !strings.HasPrefix(e.Type, "dev.cdevents.service."):
			case name == "removed":
				want[e.Subject] = [2]string{want[e.Subject][0], "removed"}
			case name != "published":
				want[e.Subject] = [2]string{fmt.Sprintf("1.%d.0", i), "running"}
			}
		}
	}
	for _, s := range board.Services {
		if got := [2]string{s.Version, s.Status}; got != want[s.Service.ID] {
			t.Errorf("%s is %v, want %v", s.Service.ID, got, want[s.Service.ID])
		}
	}
}

// TestCurl talks to the listener as the README does.
func TestCurl(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("curl is not installed")
	}
	server := rabbittest.Shared(t)
	const exchange = "curl"
	w := watch(t, server.URL(), exchange)
	b := newBridge(t, server.URL(), exchange, "", "")
	b.start()
	e := cdevent("271069a8-fc18-44f1-b38f-9d70a1695819", "service.deployed", "shop", "2026-03-01T08:00:00Z",
		map[string]any{"environment": map[string]any{"id": "prod"}, "artifactId": "pkg:oci/shop@1.0.0"})
	out, err := exec.Command(curl, "-sS", "-i", "-X", "POST", "http://"+b.web+"/", "-H", "content-type: application/cloudevents+json",
		"--data-binary", string(structured(e))).CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte(" 202 ")) {
		t.Fatalf("%v\n%s", err, out)
	}
	var keys []string
	for range 3 {
		e, err := w.next(10 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, e.Key)
	}
	want := "eiffel.artifact.EiffelArtifactCreatedEvent._._ eiffel.cm.EiffelEnvironmentDefinedEvent._._ eiffel.artifact.EiffelArtifactDeployedEvent._._"
	if got := strings.Join(keys, " "); got != want {
		t.Errorf("routing keys:\n got %s\nwant %s", got, want)
	}
	out, err = exec.Command(curl, "-sS", "-i", "-X", "OPTIONS", "http://"+b.web+"/", "-H", "WebHook-Request-Origin: ci.example.com").CombinedOutput()
	if err != nil || !bytes.Contains(bytes.ToLower(out), []byte("webhook-allowed-origin: ci.example.com")) {
		t.Errorf("handshake: %v\n%s", err, out)
	}
	b.stop()
}
