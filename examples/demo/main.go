// Command demo is what `make run` shows: it runs the relay in both directions on a RabbitMQ, posts the CDEvents of a
// service's life to it, prints each Eiffel event as it arrives from the broker, publishes Eiffel deployments the other
// way, prints the CDEvents that they become and the board of what runs where, and leaves the relay running until Ctrl-C.
//
//	demo -bridge bin/eiffelbridge -amqp amqp://guest:guest@127.0.0.1:5672/
package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// life is a service's life as CDEvents, deployments are Eiffel events of another service; one event per line.
//
//go:embed life.jsonl
var life []byte

//go:embed deployments.jsonl
var deployments []byte

const (
	exchange = "eiffelbridge.demo"
	queue    = "eiffelbridge.demo"
	patience = 20 * time.Second // for one event to come through; it takes milliseconds
)

func main() { os.Exit(show()) }

func show() int {
	bridge := flag.String("bridge", "bin/eiffelbridge", "the `binary` of the bridge")
	amqpURL := flag.String("amqp", "amqp://guest:guest@127.0.0.1:5672/", "the broker's `URL`")
	once := flag.Bool("once", false, "stop after the show")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *bridge, *amqpURL, *once); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintf(os.Stderr, "demo: %v\n", err)
		return 1
	}
	return 0
}

// demo holds what is open while the show goes on.
type demo struct {
	dir       string
	listener  string // where the relay takes CloudEvents
	admin     string
	cdevents  chan []byte // what the relay posts
	eiffel    <-chan amqp.Delivery
	publisher *amqp.Channel
}

func run(ctx context.Context, bridge, amqpURL string, once bool) (err error) {
	d := &demo{cdevents: make(chan []byte, 64)}
	if d.dir, err = os.MkdirTemp("", "eiffelbridge-demo-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(d.dir)) }()

	conn, err := amqp.Dial(amqpURL)
	if err != nil {
		return fmt.Errorf("connect to the broker: %w", err)
	}
	defer func() { _ = conn.Close() }()
	if err := d.openBroker(conn); err != nil {
		return err
	}
	receiver, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: http.HandlerFunc(d.receive), ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(receiver) }()
	defer func() { _ = server.Close(); <-served }()

	d.listener, d.admin = address("8080"), address("9090")
	config, err := d.writeConfig("http://" + receiver.Addr().String() + "/")
	if err != nil {
		return err
	}
	relay := exec.Command(bridge, "run", "--config", config)
	relay.Stdout, relay.Stderr = os.Stdout, os.Stderr
	// A group of its own, so that Ctrl-C reaches the relay through us, after the last word.
	relay.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	say("starting the relay: %s run --config %s", bridge, config)
	if err := relay.Start(); err != nil {
		return fmt.Errorf("start the relay: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- relay.Wait() }()
	defer func() {
		say("stopping the relay")
		_ = relay.Process.Signal(syscall.SIGTERM)
		err = errors.Join(err, <-ended, d.cleanBroker(conn))
	}()
	if err := d.waitReady(ctx, ended); err != nil {
		return err
	}
	if err := d.showLife(ctx); err != nil {
		return err
	}
	if err := d.showDeployments(ctx); err != nil {
		return err
	}
	say("what runs where now, and how it came about (%s services --history --url http://%s)", bridge, d.admin)
	board := exec.CommandContext(ctx, bridge, "services", "--history", "--url", "http://"+d.admin)
	board.Stdout, board.Stderr = os.Stdout, os.Stderr
	if err := board.Run(); err != nil {
		return fmt.Errorf("the board: %w", err)
	}
	if once {
		return nil
	}
	say("the relay goes on running")
	fmt.Printf("  post CDEvents (CloudEvents over HTTP) to  http://%s/\n", d.listener)
	fmt.Printf("  metrics, health and the board at          http://%s/metrics  /readyz  /services\n", d.admin)
	fmt.Printf("  Eiffel events are on the topic exchange   %s\n", exchange)
	fmt.Println("  Ctrl-C stops everything that was started")
	for {
		select {
		case <-ctx.Done():
			fmt.Println()
			return nil
		case err := <-ended:
			ended <- nil
			return fmt.Errorf("the relay ended: %w", err)
		case m := <-d.eiffel:
			showEiffel(m)
		case e := <-d.cdevents:
			showCDEvent(e)
		}
	}
}

func say(format string, args ...any) { fmt.Printf("\n== "+format+"\n", args...) }

// address is the port that the documentation names, or a free one where that is taken.
func address(port string) string {
	for _, p := range []string{port, "0"} {
		l, err := net.Listen("tcp", "127.0.0.1:"+p)
		if err != nil {
			continue
		}
		defer l.Close()
		return l.Addr().String()
	}
	return "127.0.0.1:" + port
}

// openBroker declares the exchange and a queue of our own that sees all of it.
func (d *demo) openBroker(conn *amqp.Connection) error {
	channel, err := conn.Channel()
	if err != nil {
		return err
	}
	if err := channel.ExchangeDeclare(exchange, "topic", true, false, false, false, nil); err != nil {
		return fmt.Errorf("declare exchange %s: %w", exchange, err)
	}
	q, err := channel.QueueDeclare("", false, true, true, false, nil)
	if err != nil {
		return err
	}
	if err := channel.QueueBind(q.Name, "#", exchange, false, nil); err != nil {
		return err
	}
	if d.eiffel, err = channel.Consume(q.Name, "", true, true, false, false, nil); err != nil {
		return err
	}
	d.publisher, err = conn.Channel()
	return err
}

// cleanBroker takes away what the demo declared.
func (d *demo) cleanBroker(conn *amqp.Connection) error {
	channel, err := conn.Channel()
	if err != nil {
		return err
	}
	if _, err := channel.QueueDelete(queue, false, false, false); err != nil {
		return err
	}
	return channel.ExchangeDelete(exchange, false, false)
}

func (d *demo) writeConfig(target string) (string, error) {
	path := filepath.Join(d.dir, "eiffelbridge.yaml")
	text := fmt.Sprintf(`version: 1
ledger: {type: file, path: %q}
admin: {listen: %q}
transports:
  web:
    type: cloudevents_http
    listen: %q
    target: %q
  bus:
    type: amqp091
    url: "${AMQP_URL}"
    exchange: %s
    queue: %s
    bindings: ["eiffel.#"]
relays:
  - {name: to_eiffel, from: web, to: bus, translate: eiffel}
  - {name: to_cdevents, from: bus, to: web, translate: cdevents}
dead_letters: {type: file, path: %q}
`, filepath.Join(d.dir, "ledger"), d.admin, d.listener, target, exchange, queue, filepath.Join(d.dir, "dead-letters.jsonl"))
	return path, os.WriteFile(path, []byte(text), 0o600)
}

// receive is the far side of the relay's HTTP sink.
func (d *demo) receive(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 4<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	select {
	case d.cdevents <- body:
		w.WriteHeader(http.StatusAccepted)
	case <-r.Context().Done():
	}
}

func (d *demo) waitReady(ctx context.Context, ended chan error) error {
	deadline := time.After(patience)
	for {
		response, err := http.Get("http://" + d.admin + "/readyz")
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-ended:
			ended <- nil
			return fmt.Errorf("the relay ended before it was ready: %w", err)
		case <-deadline:
			return fmt.Errorf("the relay is not ready after %v; see http://%s/readyz", patience, d.admin)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// showLife posts the CDEvents and prints the Eiffel events that arrive from the broker.
func (d *demo) showLife(ctx context.Context) error {
	say("CDEvents in over HTTP, Eiffel events out through RabbitMQ: a service's life")
	for _, line := range lines(life) {
		showCDEvent(line)
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+d.listener+"/", bytes.NewReader(line))
		if err != nil {
			return err
		}
		var event cdevent
		if err := json.Unmarshal(line, &event); err != nil {
			return err
		}
		for name, value := range map[string]string{
			"Content-Type": "application/json", "ce-specversion": "1.0", "ce-id": event.Context.ID,
			"ce-source": event.Context.Source, "ce-type": event.Context.Type, "ce-time": event.Context.Timestamp,
		} {
			request.Header.Set(name, value)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		answer, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if response.StatusCode != http.StatusAccepted {
			return fmt.Errorf("the relay answered %s: %s", response.Status, answer)
		}
		// The answer came after the broker had confirmed, so the events are on their way to us.
		for last := false; !last; {
			select {
			case m := <-d.eiffel:
				last = showEiffel(m) == event.Context.ID
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(patience):
				return fmt.Errorf("no Eiffel event came for %s", event.Context.ID)
			}
		}
	}
	return nil
}

// showDeployments publishes Eiffel events and prints the CDEvents that the relay posts.
func (d *demo) showDeployments(ctx context.Context) error {
	say("Eiffel events in through RabbitMQ, CDEvents out over HTTP: deployments of another service")
	for _, line := range lines(deployments) {
		var event eiffelEvent
		if err := json.Unmarshal(line, &event); err != nil {
			return err
		}
		family := map[string]string{"EiffelArtifactCreatedEvent": "artifact", "EiffelArtifactDeployedEvent": "artifact",
			"EiffelEnvironmentDefinedEvent": "cm"}[event.Meta.Type]
		key := "eiffel." + family + "." + event.Meta.Type + "._._"
		if err := d.publisher.PublishWithContext(ctx, exchange, key, true, false, amqp.Publishing{
			ContentType: "application/json", DeliveryMode: amqp.Persistent, MessageId: event.Meta.ID, Body: line,
		}); err != nil {
			return fmt.Errorf("publish %s: %w", event.Meta.ID, err)
		}
		for seen := 0; seen < 2; seen++ {
			select {
			case m := <-d.eiffel:
				showEiffel(m)
			case e := <-d.cdevents:
				showCDEvent(e)
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(patience):
				return fmt.Errorf("no CDEvent came for %s", event.Meta.ID)
			}
		}
	}
	return nil
}

func lines(text []byte) [][]byte { return bytes.Split(bytes.TrimSpace(text), []byte("\n")) }

type cdevent struct {
	Context struct{ ID, Source, Type, Timestamp string }
	Subject struct {
		ID      string
		Content struct {
			ArtifactID  string
			Environment struct{ ID string }
		}
	}
}

type eiffelEvent struct {
	Meta struct{ ID, Type string }
	Data struct {
		Name, Identity, Description, Heading string
		CustomData                           []struct {
			Key   string
			Value struct {
				Event *cdevent
			}
		}
	}
	Links []struct{ Type, Target string }
}

func showCDEvent(text []byte) {
	var e cdevent
	if err := json.Unmarshal(text, &e); err != nil {
		fmt.Printf("  ?        %s\n", text)
		return
	}
	name := strings.TrimPrefix(strings.TrimPrefix(e.Context.Type, "dev.cdevents."), "dev.cdeventsx.")
	detail := e.Subject.ID
	if e.Subject.Content.ArtifactID != "" {
		detail += " <- " + e.Subject.Content.ArtifactID
	}
	if e.Subject.Content.Environment.ID != "" {
		detail += " in " + e.Subject.Content.Environment.ID
	}
	fmt.Printf("  CDEvent  %-28s %s\n", name, detail)
}

// showEiffel prints an Eiffel event and gives the id of the CDEvent that it carries.
func showEiffel(m amqp.Delivery) (contextID string) {
	var e eiffelEvent
	if err := json.Unmarshal(m.Body, &e); err != nil {
		// Custom data of other shapes is nobody's fault; the rest was read.
		var wrongType *json.UnmarshalTypeError
		if !errors.As(err, &wrongType) {
			fmt.Printf("  ?        %s\n", m.Body)
			return ""
		}
	}
	detail := strings.TrimSpace(e.Data.Name + e.Data.Identity + e.Data.Description + e.Data.Heading)
	fmt.Printf("  Eiffel   %s\n           %s\n", m.RoutingKey, detail)
	for _, l := range e.Links {
		fmt.Printf("           %s -> %s\n", l.Type, l.Target)
	}
	for _, c := range e.Data.CustomData {
		if c.Value.Event != nil {
			contextID = c.Value.Event.Context.ID
		}
	}
	return contextID
}
