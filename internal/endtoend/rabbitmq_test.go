package endtoend

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/eiffelbridge/eiffelbridge/examples/events"
	"github.com/eiffelbridge/eiffelbridge/internal/rabbittest"
)

// newRabbitBridge has the example of docs/operations.md, with names of its own and the format of a test.
func newRabbitBridge(t *testing.T, amqpURL, name, format string) *bridge {
	t.Helper()
	document, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(document), "\n## CDEvents over RabbitMQ\n")
	_, example, _ := strings.Cut(section, "```yaml\n")
	example, _, _ = strings.Cut(example, "```\n")
	b := &bridge{t: t, dir: t.TempDir(), admin: freeAddress(t), log: &lockedBuffer{}}
	b.config = filepath.Join(b.dir, "eiffelbridge.yaml")
	for _, change := range [][2]string{
		{"path: ledger", fmt.Sprintf("path: %q", b.ledger())},
		{"path: dead-letters.jsonl", fmt.Sprintf("path: %q", b.deadLetters())},
		{"exchange: cdevents", "exchange: " + name + ".cdevents"},
		{"exchange: eiffel", "exchange: " + name + ".eiffel"},
		{"queue: eiffelbridge.cdevents", "queue: " + name + ".cdevents.in"},
		{"queue: eiffelbridge.eiffel", "queue: " + name + ".eiffel.in"},
		{"format: cloudevents_structured", "format: " + format},
	} {
		if strings.Count(example, change[0]) != 1 {
			t.Fatalf("the example of docs/operations.md lacks %q:\n%s", change[0], example)
		}
		example = strings.Replace(example, change[0], change[1], 1)
	}
	t.Setenv("AMQP_URL", amqpURL)
	if err := os.WriteFile(b.config, []byte(example+fmt.Sprintf("admin: {listen: %q}\n", b.admin)), 0o600); err != nil {
		t.Fatal(err)
	}
	return b
}

// translated is what the command makes of a story, event by event: the very bytes that a relay must write.
func translated(t *testing.T, to, ledger string, story []events.Example) [][]string {
	t.Helper()
	dir := t.TempDir()
	var in []byte
	for _, e := range story {
		in = append(append(in, bytes.TrimSpace(e.JSON)...), '\n')
	}
	file, report := filepath.Join(dir, "in.json"), filepath.Join(dir, "report.jsonl")
	if err := os.WriteFile(file, in, 0o600); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(output(t, "translate", "--to", to, "--ledger", ledger, "--report", report, file)), "\n")
	text, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	var out [][]string
	for decoder := json.NewDecoder(bytes.NewReader(text)); decoder.More(); {
		var one struct {
			Outputs []struct{ ID string }
			Error   any
		}
		if err := decoder.Decode(&one); err != nil || one.Error != nil || len(one.Outputs) > len(lines) {
			t.Fatalf("%v: %s", err, text)
		}
		out = append(out, lines[:len(one.Outputs)])
		lines = lines[len(one.Outputs):]
	}
	if len(out) != len(story) || len(lines) != 0 {
		t.Fatalf("%d reports on %d events, %d lines left", len(out), len(story), len(lines))
	}
	return out
}

// head are the attributes of a CloudEvent with a CDEvent in it.
func head(t *testing.T, event []byte) *testEvent {
	t.Helper()
	var e struct {
		Context struct {
			ID, Source, Type, Timestamp string
		}
		Subject struct{ ID string }
	}
	if err := json.Unmarshal(event, &e); err != nil {
		t.Fatal(err)
	}
	return &testEvent{ID: e.Context.ID, Source: e.Context.Source, Type: e.Context.Type, Subject: e.Subject.ID, Time: e.Context.Timestamp, JSON: event}
}

// TestWrongPassword has a relay say why it is not ready, without the password, and go on when the file has the right one; also from within
// a plugin.
func TestWrongPassword(t *testing.T) {
	for name, bus := range map[string]string{
		"built in":  "{type: amqp091, host: %s, port: %s, username: guest, password_file: %q, exchange: wrong.password}",
		"as plugin": "{type: plugin, plugin: amqp, config: {host: %s, port: %s, username: guest, password_file: %q, exchange: wrong.password}}",
	} {
		t.Run(name, func(t *testing.T) { testWrongPassword(t, bus) })
	}
}

func testWrongPassword(t *testing.T, bus string) {
	server := rabbittest.Shared(t)
	host, port, err := net.SplitHostPort(server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	b := &bridge{t: t, dir: t.TempDir(), web: freeAddress(t), admin: freeAddress(t), log: &lockedBuffer{}}
	b.config = filepath.Join(b.dir, "eiffelbridge.yaml")
	secret := filepath.Join(b.dir, "password")
	for name, text := range map[string]string{
		secret: "not-the-one\n",
		b.config: fmt.Sprintf(`version: 1
ledger: {type: memory}
admin: {listen: %q}
transports:
  web: {type: cloudevents_http, listen: %q}
  bus: `+bus+`
relays: [{name: to_eiffel, from: web, to: bus, translate: eiffel}]
plugins:
  amqp: {path: %q, args: [plugins, serve, amqp091], dev: true}
dead_letters: {type: file, path: %q}
`, b.admin, b.web, host, port, secret, binary, b.deadLetters()),
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b.launch()
	const reason = `does not let the relay in as \"guest\" (PLAIN)`
	ready := ""
	for end := time.Now().Add(30 * time.Second); !strings.Contains(ready, reason); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("/readyz says %s\n%s", ready, b.log)
		}
		if response, err := http.Get("http://" + b.admin + "/readyz"); err == nil {
			body, err := io.ReadAll(response.Body)
			_ = response.Body.Close()
			if ready = string(body); err != nil || response.StatusCode != http.StatusServiceUnavailable {
				t.Fatalf("%d %s, %v", response.StatusCode, ready, err)
			}
		}
	}
	if !strings.Contains(b.log.String(), "does not let the relay in") || strings.Contains(ready+b.log.String(), "not-the-one") {
		t.Errorf("/readyz: %s\nthe log: %s", ready, b.log)
	}
	if err := os.WriteFile(secret, []byte("guest\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.waitReady()
	b.stop()
}

// enveloped is a CDEvent in the envelope of a CloudEvent, byte for byte.
func enveloped(t *testing.T, e *testEvent) []byte {
	t.Helper()
	envelope, err := json.Marshal(map[string]string{
		"specversion": "1.0", "id": e.ID, "source": e.Source, "type": e.Type, "subject": e.Subject, "time": e.Time, "datacontenttype": "application/json",
	})
	if err != nil {
		t.Fatal(err)
	}
	return append(append(append(envelope[:len(envelope)-1], `,"data":`...), e.JSON...), '}')
}

// unpacked is the CDEvent in a message, whose envelope must be a CloudEvent that says the same as the event.
func unpacked(t *testing.T, m amqp.Delivery, format string) string {
	t.Helper()
	e := cloudevents.NewEvent()
	switch format {
	case "cloudevents_structured":
		if m.ContentType != cloudevents.ApplicationCloudEventsJSON || len(m.Headers) != 0 {
			t.Errorf("structured: %s, %v", m.ContentType, m.Headers)
		}
		if err := json.Unmarshal(m.Body, &e); err != nil {
			t.Fatal(err)
		}
	case "cloudevents_binary":
		text := func(name string) string { s, _ := m.Headers["ce-"+name].(string); return s }
		at, err := time.Parse(time.RFC3339Nano, text("time"))
		if err != nil {
			t.Error(err)
		}
		e.SetSpecVersion(text("specversion"))
		e.SetID(text("id"))
		e.SetSource(text("source"))
		e.SetType(text("type"))
		e.SetSubject(text("subject"))
		e.SetTime(at)
		if err := e.SetData(m.ContentType, m.Body); err != nil {
			t.Error(err)
		}
	}
	if err := e.Validate(); err != nil {
		t.Error(err)
	}
	want := head(t, e.Data())
	if at, err := time.Parse(time.RFC3339Nano, want.Time); err != nil || !at.Equal(e.Time()) || e.ID() != want.ID || e.Source() != want.Source ||
		e.Type() != want.Type || e.Subject() != want.Subject || e.DataContentType() != "application/json" || m.RoutingKey != want.Type || m.MessageId != want.ID {
		t.Errorf("the envelope is not that of its event: %s, key %s, id %s", e, m.RoutingKey, m.MessageId)
	}
	return string(e.Data())
}

// TestCDEventsOverRabbitMQ relays the whole stories of either protocol between two exchanges, one event after the other, and compares every
// byte with the translation by itself. CDEvents come in in both modes of CloudEvents, and go out in one.
func TestCDEventsOverRabbitMQ(t *testing.T) {
	cdevents, err := events.CDEvents()
	if err != nil {
		t.Fatal(err)
	}
	eiffel, err := events.Eiffel()
	if err != nil {
		t.Fatal(err)
	}
	server := rabbittest.Shared(t)
	for _, format := range []string{"cloudevents_structured", "cloudevents_binary"} {
		t.Run(format, func(t *testing.T) {
			ledger := filepath.Join(t.TempDir(), "ledger")
			wantEiffel := translated(t, "eiffel", ledger, cdevents)
			wantCDEvents := translated(t, "cdevents", ledger, eiffel)
			if len(cdevents) < 40 || len(eiffel) < 20 {
				t.Fatalf("%d CDEvents, %d Eiffel events", len(cdevents), len(eiffel))
			}
			b := newRabbitBridge(t, server.URL(), format, format)
			b.start()
			eiffelSide, cdeventsSide := watch(t, server.URL(), format+".eiffel"), watch(t, server.URL(), format+".cdevents")
			channel, err := cdeventsSide.conn.Channel()
			if err != nil {
				t.Fatal(err)
			}
			if err := channel.Confirm(false); err != nil {
				t.Fatal(err)
			}
			send := func(exchange, key string, p amqp.Publishing) {
				t.Helper()
				p.DeliveryMode = amqp.Persistent
				confirm, err := channel.PublishWithDeferredConfirmWithContext(context.Background(), exchange, key, true, false, p)
				if err != nil || !confirm.Wait() {
					t.Fatal(err)
				}
			}
			next := func(w *watcher, after string) amqp.Delivery {
				t.Helper()
				select {
				case m := <-w.messages:
					return m
				case <-time.After(30 * time.Second):
					t.Fatalf("nothing comes of %s\n%s", after, b.log)
					panic("unreachable")
				}
			}

			for i, example := range cdevents {
				e := head(t, example.JSON)
				if i%2 == 0 {
					send(format+".cdevents", e.Type, amqp.Publishing{ContentType: cloudevents.ApplicationCloudEventsJSON, Body: enveloped(t, e)})
				} else {
					headers := amqp.Table{}
					for name, value := range binaryHeader(e) {
						headers[name] = value
					}
					send(format+".cdevents", e.Type, amqp.Publishing{ContentType: "application/json", Headers: headers, Body: e.JSON})
				}
				next(cdeventsSide, example.Name) // the watcher gets it too
				for _, want := range wantEiffel[i] {
					if m := next(eiffelSide, example.Name); string(m.Body) != want || m.ContentType != "application/json" {
						t.Errorf("%s became\n%s\nwant\n%s", example.Name, m.Body, want)
					}
				}
			}
			for i, example := range eiffel {
				send(format+".eiffel", "eiffel.example.X._._", amqp.Publishing{ContentType: "application/json", Body: example.JSON})
				next(eiffelSide, example.Name)
				for _, want := range wantCDEvents[i] {
					if got := unpacked(t, next(cdeventsSide, example.Name), format); got != want {
						t.Errorf("%s became\n%s\nwant\n%s", example.Name, got, want)
					}
				}
			}
			b.stop()
			for name, w := range map[string]*watcher{"Eiffel": eiffelSide, "CDEvents": cdeventsSide} {
				select {
				case m := <-w.messages:
					t.Errorf("an event too many on the exchange of %s: %s", name, m.Body)
				default:
				}
			}
			if letters, err := os.ReadFile(b.deadLetters()); err == nil && len(letters) > 0 {
				t.Errorf("dead letters: %s", letters)
			}
		})
	}
}
