package endtoend

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/eiffelbridge/eiffelbridge/internal/otlptest"
	"github.com/eiffelbridge/eiffelbridge/internal/rabbittest"
)

// TestTracesGoThroughTheRelay follows one trace from an HTTP client through the relay to the bus, and from there through the relay back
// to where it finds its own event; and another from an Eiffel producer to an HTTP receiver.
func TestTracesGoThroughTheRelay(t *testing.T) {
	server := rabbittest.Shared(t)
	collector := otlptest.New(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	t.Setenv("OTEL_SERVICE_NAME", "bridge-under-test")
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
	const exchange = "traces"
	arrived := make(chan http.Header, 10)
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		arrived <- r.Header
		w.WriteHeader(http.StatusAccepted)
	}))
	defer target.Close()
	b := newBridge(t, server.URL(), exchange, target.URL, "")
	b.start()
	bus, messages := listen(t, server.URL(), exchange)

	// From HTTP to the bus, and round.
	const trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	e := cdevent("env-1", "environment.created", "env-1", "2026-03-01T08:00:00.000Z", map[string]any{"name": "env-1"})
	header := binaryHeader(e)
	header["ce-traceparent"], header["ce-tracestate"] = "00-"+trace+"-"+parent+"-01", "vendor=1"
	if status, body := b.post(t.Context(), "application/json", header, e.JSON); status != http.StatusAccepted {
		t.Fatalf("%d %s", status, body)
	}
	of := func(relay, trace string) func(otlptest.Span) bool {
		return func(s otlptest.Span) bool {
			return s.TraceID() == trace && s.Attribute("eiffelbridge.relay") == relay
		}
	}
	there := collector.Wait(t, "through to_eiffel", of("to_eiffel", trace))
	if there.ParentID() != parent || there.Attribute("cloudevents.event_id") != "env-1" || there.Attribute("eiffelbridge.outcome") != "delivered" ||
		there.Resource["service.name"] != "bridge-under-test" {
		t.Errorf("%v", there)
	}
	d := <-messages
	if d.Headers["traceparent"] != there.Traceparent() || d.Headers["tracestate"] != "vendor=1" {
		t.Errorf("headers on the bus: %v, want %s", d.Headers, there.Traceparent())
	}
	back := collector.Wait(t, "back through to_cdevents", of("to_cdevents", trace))
	if back.ParentID() != there.SpanID() || back.Attribute("eiffelbridge.outcome") != "dropped" {
		t.Errorf("%v", back)
	}
	for _, step := range []string{"translate", "publish bus", "commit"} {
		collector.Wait(t, step, func(s otlptest.Span) bool { return s.GetName() == step && s.ParentID() == there.SpanID() })
	}

	// From the bus to HTTP.
	const other = "0af7651916cd43dd8448eb211c80319c"
	confirm, err := bus.PublishWithDeferredConfirmWithContext(context.Background(), exchange, "eiffel.artifact.X._._", true, false, amqp.Publishing{
		ContentType: "application/json", Headers: amqp.Table{"traceparent": "00-" + other + "-" + parent + "-01"},
		Body: eiffel("traced", "EnvironmentDefined", "3.3.0", 1_772_000_000_000, map[string]any{"name": "staging"}),
	})
	if err != nil || !confirm.Wait() {
		t.Fatal(err)
	}
	out := collector.Wait(t, "through to_cdevents", of("to_cdevents", other))
	if h := <-arrived; h.Get("ce-traceparent") != out.Traceparent() || out.ParentID() != parent || out.Attribute("eiffelbridge.outcome") != "delivered" {
		t.Errorf("%v\n%v", h, out)
	}
	b.stop()
}

// listen gives a channel in confirm mode, and everything that is published to an exchange from now on.
func listen(t *testing.T, url, exchange string) (*amqp.Channel, <-chan amqp.Delivery) {
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
	queue, err := channel.QueueDeclare("", false, true, true, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := channel.QueueBind(queue.Name, "#", exchange, false, nil); err != nil {
		t.Fatal(err)
	}
	messages, err := channel.Consume(queue.Name, "", true, true, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	return channel, messages
}
