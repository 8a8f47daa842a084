package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/eiffelbridge/eiffelbridge/internal/rabbittest"
)

// overlay is what the relay lacks at first.
const overlay = `version: 1
to_eiffel:
  - cdevent: acme-release.shipped
    eiffel: EiffelAnnouncementPublishedEvent
    data:
      - {to: /heading, value: subject.id}
      - {to: /body, const: shipped}
      - {to: /severity, const: MINOR}
to_cdevents:
  - eiffel: EiffelFlowContextDefinedEvent
    when: event.data.product == "shop"
    cdevent: dev.cdeventsx.acme-flow.defined.1.0.0
    content:
      - {to: /product, from: /data/product}
`

// letters is a relay in both directions whose dead letters a user looks after.
type letters struct {
	*relay
	config string // with %s for what each relay has
	bus    string // name of the exchange and the queue
	ch     *amqp.Channel
}

// restart has the relay run with further keys for each relay.
func (l *letters) restart(keys string) {
	l.t.Helper()
	l.stop()
	if err := os.WriteFile(filepath.Join(l.dir, "c.yaml"), fmt.Appendf(nil, l.config, keys, keys), 0o600); err != nil {
		l.t.Fatal(err)
	}
	l.relay = &relay{t: l.t, dir: l.dir, log: &bytes.Buffer{}, logged: make(chan struct{})}
	l.start("run", "--config", "c.yaml")
}

func (l *letters) stop() {
	l.t.Helper()
	if l.relay.cmd == nil {
		return
	}
	if err := l.relay.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		l.t.Fatal(err)
	}
	if err := l.wait(); err != nil {
		l.t.Fatalf("the relay ended with %v\n%s", err, l.log)
	}
}

// do runs a verb of deadletters on the configuration.
func (l *letters) do(code int, args ...string) string {
	l.t.Helper()
	command := exec.Command(binary, append([]string{"deadletters", args[0], "--config", "c.yaml"}, args[1:]...)...)
	command.Dir = l.dir
	var out, errs bytes.Buffer
	command.Stdout, command.Stderr = &out, &errs
	if got := exitCode(command.Run()); got != code {
		l.t.Errorf("%v: exit code %d, want %d: %s%s", args, got, code, out.String(), errs.String())
	}
	if args[0] == "replay" {
		return errs.String()
	}
	return out.String()
}

type listed struct {
	ID      string   `json:"id"`
	Relay   string   `json:"relay"`
	Code    string   `json:"code"`
	EventID string   `json:"event_id"`
	Event   string   `json:"event"`
	Repeats int      `json:"repeats"`
	Earlier []listed `json:"earlier"`
}

// list waits until there are n letters, by the ids of their events.
func (l *letters) list(n int, filter ...string) map[string]listed {
	l.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		var list []listed
		text := l.do(0, append([]string{"list", "--format", "json"}, filter...)...)
		if err := json.Unmarshal([]byte(text), &list); err != nil {
			l.t.Fatalf("%v: %s", err, text)
		}
		byID := map[string]listed{}
		for _, one := range list {
			byID[one.EventID] = one
		}
		switch {
		case len(byID) != len(list):
			l.t.Fatalf("an event has several letters: %s", text)
		case len(list) == n:
			return byID
		case time.Now().After(deadline):
			l.t.Fatalf("%d letters, not %d: %s\n%s", len(list), n, text, l.log)
		}
	}
}

// shows waits until the admin listener knows of n letters.
func (l *letters) shows(n int) {
	l.t.Helper()
	get := func(path string) string {
		answer, err := http.Get(l.admin + path)
		if err != nil {
			l.t.Fatal(err)
		}
		defer answer.Body.Close()
		text, _ := io.ReadAll(answer.Body)
		return string(text)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		metric, list := get("metrics"), get("deadletters")
		if strings.Contains(metric, fmt.Sprintf("\neiffelbridge_dead_letters_waiting %d\n", n)) &&
			(strings.Count(list, `"code": "`) == n || strings.Contains(list, fmt.Sprintf(`"waiting": %d`, n))) {
			return
		}
		if time.Now().After(deadline) {
			l.t.Fatalf("not %d letters: %s", n, list)
		}
	}
}

func (l *letters) release(id, kind string) {
	l.t.Helper()
	body := fmt.Sprintf(`{"context":{"specversion":"0.5.1","id":%q,"source":"/ci","type":"dev.cdeventsx.acme-release.%s.1.0.0","timestamp":"2026-03-01T08:00:00Z"},`+
		`"subject":{"id":%q,"content":{}}}`, id, kind, "release-"+id)
	request, err := http.NewRequest(http.MethodPost, l.web, strings.NewReader(body))
	if err != nil {
		l.t.Fatal(err)
	}
	request.Header = http.Header{"Content-Type": {"application/json"}, "Ce-Specversion": {"1.0"}, "Ce-Id": {id}, "Ce-Source": {"/ci"},
		"Ce-Type": {"dev.cdeventsx.acme-release." + kind + ".1.0.0"}}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		l.t.Fatal(err)
	}
	text, _ := io.ReadAll(answer.Body)
	answer.Body.Close()
	if answer.StatusCode != http.StatusBadRequest || !bytes.Contains(text, []byte("no_mapping")) {
		l.t.Errorf("%s: %s %s", id, answer.Status, text)
	}
}

func flowID(n int) string { return fmt.Sprintf("5c9e4d10-6f8a-4b7e-9c11-3a000000000%d", n) }

func (l *letters) flow(n int, product string) {
	l.t.Helper()
	l.publish(fmt.Sprintf(`{"meta":{"id":%q,"type":"EiffelFlowContextDefinedEvent","version":"3.0.0","time":1772438400000,"source":{"uri":"/eiffel"}},`+
		`"data":{"product":%q},"links":[]}`, flowID(n), product))
}

func (l *letters) publish(body string) {
	l.t.Helper()
	err := l.ch.PublishWithContext(l.t.Context(), l.bus, "eiffel.flow", true, false, amqp.Publishing{Body: []byte(body), DeliveryMode: 2})
	if err != nil {
		l.t.Fatal(err)
	}
}

// delivered waits until an event of each given text has come out, and tells how many lines there are.
func (l *letters) delivered(file string, texts ...string) int {
	l.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		out, _ := os.ReadFile(filepath.Join(l.dir, file))
		missing := 0
		for _, text := range texts {
			if !bytes.Contains(out, []byte(text)) {
				missing++
			}
		}
		if missing == 0 {
			return bytes.Count(out, []byte("\n"))
		}
		if time.Now().After(deadline) {
			l.t.Fatalf("%s lacks some of %q:\n%s\n%s", file, texts, out, l.log)
		}
	}
}

// TestReplayAfterAMappingFix has events refused that a mapping lacks, mends the mapping and replays them, as a user does, with the
// letters in a file and in an exchange, and with relays that are fed over HTTP and over AMQP.
func TestReplayAfterAMappingFix(t *testing.T) {
	for kind, store := range map[string]string{
		"file":     `{type: file, path: dead.jsonl}`,
		"exchange": `{type: amqp091, transport: bus, exchange: dead, queue: dead letters}`,
	} {
		t.Run(kind, func(t *testing.T) { testReplayAfterAMappingFix(t, store) })
	}
}

func testReplayAfterAMappingFix(t *testing.T, store string) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close() // the replay must find the port in the configuration
	dir := t.TempDir()
	name := "events of " + free.Addr().String()
	l := &letters{relay: &relay{t: t, dir: dir}, bus: name, config: fmt.Sprintf(`version: 1
admin: {listen: "127.0.0.1:0"}
dead_letters: %s
transports:
  web: {type: cloudevents_http, listen: %q}
  bus: {type: amqp091, url: %q, exchange: %q, queue: %q}
  again: {type: cloudevents_http, target: "http://%s/"}
  eiffel: {type: file, path: eiffel.jsonl}
  cdevents: {type: file, path: cdevents.jsonl}
relays:
  - {name: to_eiffel, from: web, to: eiffel, translate: eiffel, on_no_mapping: dead_letter%%s}
  - {name: to_cdevents, from: bus, to: cdevents, translate: cdevents, on_no_mapping: dead_letter%%s}
`, store, free.Addr(), rabbittest.Shared(t).URL(), name, name, free.Addr())}
	if err := os.WriteFile(filepath.Join(dir, "overlay.yaml"), []byte(overlay), 0o600); err != nil {
		t.Fatal(err)
	}
	conn, err := amqp.Dial(rabbittest.Shared(t).URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if l.ch, err = conn.Channel(); err != nil {
		t.Fatal(err)
	}

	// Refused, and refused again, before and after a restart.
	l.restart("")
	flows := func() {
		for n := range 4 {
			l.flow(n, map[bool]string{true: "other", false: "shop"}[n == 3])
		}
		l.publish("no event")
	}
	for ready := false; !ready; time.Sleep(5 * time.Millisecond) {
		answer, err := http.Get(l.admin + "readyz")
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		ready = answer.StatusCode == http.StatusOK
	}
	for range 2 {
		for _, id := range []string{"r1", "r2", "r3"} {
			l.release(id, "shipped")
			l.release(id, "shipped")
		}
		l.release("lost", "forgotten")
		flows()
		l.list(9)
		l.shows(9)
		l.restart("")
	}
	all := l.list(9)
	l.list(4, "--relay", "to_cdevents", "--code", "no_mapping")
	l.list(1, "--type", "dev.cdeventsx.acme-release.forgotten.1.0.0")
	if out := l.do(0, "show", all["r1"].ID); !strings.Contains(out, `"id": "r1"`) || !strings.Contains(out, "no_mapping") {
		t.Errorf("shown: %s", out)
	}
	// Nothing was mended: what is replayed is refused, and stays one letter.
	if out := l.do(1, "replay", all["r1"].ID); !strings.Contains(out, "0 letters replayed, 1 failed") {
		t.Errorf("replayed without a mapping: %s", out)
	}
	l.list(9)

	l.restart(", mappings: [overlay.yaml]")
	if out := l.do(0, "replay", all["r1"].ID); !strings.Contains(out, "1 letter replayed, 0 failed") {
		t.Errorf("one: %s", out)
	}
	l.list(8)
	if n := l.delivered("eiffel.jsonl", "release-r1"); n != 1 {
		t.Errorf("%d events for one letter", n)
	}
	if out := l.do(0, "replay", all[flowID(0)].ID, all[flowID(1)].ID); !strings.Contains(out, "2 letters replayed, 0 failed") {
		t.Errorf("two: %s", out)
	}
	l.delivered("cdevents.jsonl", flowID(0), flowID(1))
	l.list(6)
	if out := l.do(0, "replay", "--to", "again", "--code", "no_mapping", "--type", "dev.cdeventsx.acme-release.shipped.1.0.0"); !strings.Contains(out, "2 letters replayed") {
		t.Errorf("some: %s", out)
	}
	l.delivered("eiffel.jsonl", "release-r1", "release-r2", "release-r3")
	l.list(4)
	// One of the rest is refused in the answer, one only after it was taken from its queue, and one cannot be sent at all.
	if out := l.do(1, "replay", "--all"); !strings.Contains(out, "2 letters replayed, 2 failed") {
		t.Errorf("all: %s", out)
	}
	l.delivered("cdevents.jsonl", flowID(0), flowID(1), flowID(2))
	left := l.list(3)
	if left["lost"].ID == "" || left[flowID(3)].ID != all[flowID(3)].ID {
		t.Errorf("what is left: %+v", left)
	}
	// The sender of one of them does not give up.
	l.release("lost", "forgotten")
	l.list(3)
	if out := l.do(0, "drop", "--code", "no_mapping", "--relay", "to_eiffel"); out != "" {
		t.Error(out)
	}
	if left := l.list(2); left[flowID(3)].ID == "" {
		t.Errorf("what is left: %+v", left)
	}
	l.do(0, "drop", "--all")
	l.list(0)
	l.stop()
	// What was refused is not given back to its queue.
	if q, err := l.ch.QueueDeclarePassive(name, true, false, false, false, nil); err != nil || q.Messages != 0 {
		t.Errorf("%d messages are in the relay's queue again, %v", q.Messages, err)
	}
}
