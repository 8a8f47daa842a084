package endtoend

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/eiffelbridge/eiffelbridge/internal/accounting"
	"github.com/eiffelbridge/eiffelbridge/internal/rabbittest"
)

// binary is the built command; TestMain makes it.
var binary string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "eiffelbridge-endtoend-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "eiffelbridge")
	build := exec.Command("go", "build", "-o", binary, "github.com/eiffelbridge/eiffelbridge/cmd/eiffelbridge")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build the command:", err)
		return 1
	}
	return rabbittest.Main(m)
}

// bridge is a running `eiffelbridge run` with a configuration of its own.
type bridge struct {
	t       *testing.T
	dir     string
	config  string
	web     string // http://host:port/
	admin   string
	command *exec.Cmd
	log     *lockedBuffer
	ended   chan error
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// newBridge writes a configuration: CDEvents come in over HTTP and go to the exchange; what Eiffel publishes under
// bindings goes to target. extra is added to both relays.
func newBridge(t *testing.T, amqpURL, exchange, target, extra string) *bridge {
	t.Helper()
	b := &bridge{t: t, dir: t.TempDir(), web: freeAddress(t), admin: freeAddress(t), log: &lockedBuffer{}}
	b.config = filepath.Join(b.dir, "eiffelbridge.yaml")
	if target == "" {
		target = "http://127.0.0.1:9/" // discard: nothing is sent there
	}
	b.write(target, amqpURL, exchange, extra, `  web:
    type: cloudevents_http
    listen: %q
    target: %q
  bus:
    type: amqp091
    url: %q
    exchange: %s
    queue: %s.in
    bindings: ["eiffel.#"]
`, "")
	return b
}

// newPluginBridge is newBridge with every transport in a process of its own.
func newPluginBridge(t *testing.T, amqpURL, exchange, target, extra string) *bridge {
	t.Helper()
	b := newBridge(t, amqpURL, exchange, target, extra)
	if target == "" {
		target = "http://127.0.0.1:9/"
	}
	b.write(target, amqpURL, exchange, extra, `  web:
    type: plugin
    plugin: http
    config: {listen: %q, target: %q}
  bus:
    type: plugin
    plugin: amqp
    config: {url: %q, exchange: %s, queue: %s.in, bindings: ["eiffel.#"]}
`, fmt.Sprintf(`plugins:
  http: {path: %q, args: [plugins, serve, cloudevents_http], dev: true}
  amqp: {path: %q, args: [plugins, serve, amqp091], dev: true}
`, binary, binary))
	return b
}

func (b *bridge) write(target, amqpURL, exchange, extra, transports, plugins string) {
	b.t.Helper()
	text := fmt.Sprintf(`version: 1
ledger: {type: file, path: %q}
admin: {listen: %q}
transports:
`+transports+`relays:
  - {name: to_eiffel, from: web, to: bus, translate: eiffel%s}
  - {name: to_cdevents, from: bus, to: web, translate: cdevents%s}
dead_letters: {type: file, path: %q}
`, b.ledger(), b.admin, b.web, target, amqpURL, exchange, exchange, extra, extra, b.deadLetters()) + plugins
	if err := os.WriteFile(b.config, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bridge) ledger() string      { return filepath.Join(b.dir, "ledger") }
func (b *bridge) deadLetters() string { return filepath.Join(b.dir, "dead-letters.jsonl") }

func (b *bridge) start() {
	b.t.Helper()
	b.launch()
	b.waitReady()
}

// launch is start without waiting.
func (b *bridge) launch() {
	b.t.Helper()
	b.command = exec.Command(binary, "run", "--config", b.config)
	b.command.Stdout, b.command.Stderr = b.log, b.log
	b.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := b.command.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.ended = make(chan error, 1)
	command, ended := b.command, b.ended
	go func() { ended <- command.Wait() }()
	b.t.Cleanup(func() { _ = command.Process.Kill() })
}

func (b *bridge) waitReady() {
	b.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for time.Now().Before(deadline) {
		select {
		case err := <-b.ended:
			b.t.Fatalf("the relay ended: %v\n%s", err, b.log)
		default:
		}
		response, err := http.Get("http://" + b.admin + "/readyz")
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	b.t.Fatalf("the relay is not ready after 30 s\n%s", b.log)
}

// kill ends the relay without a warning.
func (b *bridge) kill() {
	b.t.Helper()
	if err := b.command.Process.Kill(); err != nil {
		b.t.Fatal(err)
	}
	<-b.ended
}

// idle waits until the relay is at rest, with counters that add up.
func (b *bridge) idle() {
	b.t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		err := accounting.Check(strings.NewReader(b.get("/metrics")))
		if err == nil {
			return
		}
		if time.Now().After(end) {
			b.t.Fatalf("the counters: %v", err)
		}
	}
}

// stop waits until the relay is at rest, and checks that it ends well.
func (b *bridge) stop() {
	b.t.Helper()
	b.idle()
	if err := b.command.Process.Signal(syscall.SIGTERM); err != nil {
		b.t.Fatal(err)
	}
	select {
	case err := <-b.ended:
		if err != nil {
			b.t.Fatalf("the relay ended with %v\n%s", err, b.log)
		}
	case <-time.After(40 * time.Second):
		b.t.Fatalf("the relay did not drain within 40 s\n%s", b.log)
	}
}

// output runs the command with other arguments and gives what it prints.
func output(t *testing.T, args ...string) string {
	t.Helper()
	var stderr bytes.Buffer
	command := exec.Command(binary, args...)
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("eiffelbridge %v: %v\n%s", args, err, stderr.String())
	}
	return string(out)
}

func (b *bridge) get(path string) string {
	b.t.Helper()
	response, err := http.Get("http://" + b.admin + path)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return string(body)
}

// post sends a body and gives the answer's status; 0 if there was none.
func (b *bridge) post(ctx context.Context, contentType string, header map[string]string, body []byte) (int, string) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+b.web+"/", bytes.NewReader(body))
	if err != nil {
		b.t.Error(err)
		return 0, ""
	}
	request.Header.Set("Content-Type", contentType)
	for k, v := range header {
		request.Header.Set(k, v)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(answer)
}

// structured wraps a CDEvent into a CloudEvent.
func structured(e *testEvent) []byte {
	text, err := json.Marshal(map[string]any{
		"specversion": "1.0", "id": e.ID, "source": e.Source, "type": e.Type, "subject": e.Subject, "time": e.Time,
		"datacontenttype": "application/json", "data": json.RawMessage(e.JSON),
	})
	if err != nil {
		panic(err)
	}
	return text
}

// binaryHeader are the headers of a CDEvent in binary mode.
func binaryHeader(e *testEvent) map[string]string {
	return map[string]string{"ce-specversion": "1.0", "ce-id": e.ID, "ce-source": e.Source, "ce-type": e.Type, "ce-time": e.Time}
}

// testEvent is an event that a test sends.
type testEvent struct {
	ID, Source, Type, Subject, Time string
	JSON                            []byte
}

const source = "https://ci.example.com/job/deploy"

func cdevent(id, name, subject, at string, content map[string]any) *testEvent {
	e := &testEvent{ID: id, Source: source, Type: "dev.cdevents." + name + ".0.3.0", Subject: subject, Time: at}
	text, err := json.Marshal(map[string]any{
		"context": map[string]any{"specversion": "0.5.1", "id": id, "source": source, "type": e.Type, "timestamp": at},
		"subject": map[string]any{"id": subject, "source": source, "content": content},
	})
	if err != nil {
		panic(err)
	}
	e.JSON = text
	return e
}

// watcher is a plain AMQP consumer of everything on an exchange.
type watcher struct {
	conn     *amqp.Connection
	messages <-chan amqp.Delivery
}

// watch binds a durable queue to an exchange, which it declares, and consumes it.
func watch(t *testing.T, url, exchange string) *watcher {
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
	if err := channel.ExchangeDeclare(exchange, "topic", true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	queue, err := channel.QueueDeclare(exchange+".watch", true, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := channel.QueueBind(queue.Name, "#", exchange, false, nil); err != nil {
		t.Fatal(err)
	}
	messages, err := channel.Consume(queue.Name, "", true, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &watcher{conn, messages}
}

// eiffelEvent is what the tests look at in an Eiffel event.
type eiffelEvent struct {
	Meta struct {
		ID, Type, Version string
		Time              int64
	}
	Data struct {
		Name, Identity string
		CustomData     []struct {
			Key   string
			Value struct {
				Event          json.RawMessage
				SynthesizedFor string
			}
		}
	}
	Links []struct{ Type, Target string }
	Key   string `json:"-"` // routing key
	JSON  []byte `json:"-"`
}

// original is the context id of the carried CDEvent, "" if there is none.
func (e *eiffelEvent) original() string {
	for _, c := range e.Data.CustomData {
		if c.Key == "cdevents" && c.Value.Event != nil {
			var o struct{ Context struct{ ID string } }
			if json.Unmarshal(c.Value.Event, &o) == nil {
				return o.Context.ID
			}
		}
	}
	return ""
}

// next gives the next Eiffel event, an error if none comes within d.
func (w *watcher) next(d time.Duration) (*eiffelEvent, error) {
	select {
	case m, ok := <-w.messages:
		if !ok {
			return nil, errors.New("the watcher's connection is gone")
		}
		e := &eiffelEvent{Key: m.RoutingKey, JSON: m.Body}
		if err := json.Unmarshal(m.Body, e); err != nil {
			return nil, fmt.Errorf("%s: %w", m.Body, err)
		}
		return e, nil
	case <-time.After(d):
		return nil, fmt.Errorf("nothing came for %v", d)
	}
}
