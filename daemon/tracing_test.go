package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	api "go.opentelemetry.io/otel/trace"

	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// tracedRig is a relay whose spans a test reads.
func tracedRig(t *testing.T, ordered bool, change func(*RelaySettings), options ...trace.TracerProviderOption) (*rig, *tracetest.InMemoryExporter) {
	t.Helper()
	spans := tracetest.NewInMemoryExporter()
	provider := trace.NewTracerProvider(append(options, trace.WithSyncer(spans))...)
	g := &rig{t: t, sink: &fakeSink{ordered: ordered}, letters: &fakeLetters{}, store: newFakeStore(), clock: newFakeClock(), tr: &fakeTranslator{}}
	g.tracer = provider
	g.start(change)
	t.Cleanup(func() { g.stop() })
	return g, spans
}

// deliverTraced delivers an event that comes with a trace context.
func (g *rig) deliverTraced(text, traceparent string) chan transport.Settlement {
	<-g.source.ready
	out := make(chan transport.Settlement, 1)
	g.source.open.Add(1)
	err := g.source.handler(context.Background(), transport.Delivery{
		Message: transport.Message{ID: "envelope", Data: []byte(text), Extensions: map[string]string{"traceparent": traceparent, "tracestate": "vendor=1"}},
		Settle:  func(s transport.Settlement) { out <- s; g.source.open.Done() },
	})
	if err != nil {
		g.t.Fatal(err)
	}
	return out
}

// ended waits for spans of a name and gives them.
func ended(t *testing.T, spans *tracetest.InMemoryExporter, name string, n int) (out tracetest.SpanStubs) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d spans are named %q", n, name), func() bool {
		out = nil
		for _, s := range spans.GetSpans() {
			if s.Name == name {
				out = append(out, s)
			}
		}
		return len(out) == n
	})
	return out
}

func attributesOf(s tracetest.SpanStub) map[string]string {
	out := map[string]string{}
	for _, a := range s.Attributes {
		out[string(a.Key)] = a.Value.Emit()
	}
	return out
}

const (
	incomingTrace = "0af7651916cd43dd8448eb211c80319c"
	incomingSpan  = "b7ad6b7169203331"
	incoming      = "00-" + incomingTrace + "-" + incomingSpan + "-01"
)

// traceparent is the context of a span as messages carry it.
func traceparent(s tracetest.SpanStub) string {
	return fmt.Sprintf("00-%s-%s-%s", s.SpanContext.TraceID(), s.SpanContext.SpanID(), s.SpanContext.TraceFlags())
}

func TestTraceOfAnEvent(t *testing.T) {
	for _, ordered := range []bool{true, false} {
		g, spans := tracedRig(t, ordered, nil)
		failing := true
		g.sink.fate = func(transport.Message) error { // under the sink's lock
			if failing {
				failing = false
				return errors.New("not now")
			}
			return nil
		}
		c := g.deliverTraced(event("a|anchor", "secret-content"), incoming)
		ended(t, spans, "publish out", 1)
		g.clock.advance(time.Second)
		want(t, c, transport.Accepted)

		process := ended(t, spans, "process in", 1)[0]
		if process.SpanContext.TraceID().String() != incomingTrace || process.Parent.SpanID().String() != incomingSpan || !process.Parent.IsRemote() ||
			process.SpanKind != api.SpanKindConsumer || process.SpanContext.TraceState().Get("vendor") != "1" || process.Status.Code != codes.Unset {
			t.Errorf("%+v", process)
		}
		got := attributesOf(process)
		for key, value := range map[string]string{
			"messaging.operation.type": "process", "messaging.destination.name": "in", "messaging.message.id": "a|anchor",
			"cloudevents.event_id": "a|anchor", "cloudevents.event_source": "/s", "cloudevents.event_type": "dev.cdevents.service.deployed.0.3.0",
			"eiffelbridge.relay": "r", "eiffelbridge.translate": "eiffel", "eiffelbridge.outcome": "delivered",
		} {
			if got[key] != value {
				t.Errorf("%s is %q, want %q", key, got[key], value)
			}
		}
		for name, n := range map[string]int{"translate": 2, "publish out": 2, "commit": 1} {
			for i, s := range ended(t, spans, name, n) {
				if s.Parent.SpanID() != process.SpanContext.SpanID() || s.EndTime.Before(s.StartTime) {
					t.Errorf("%s: %+v", name, s)
				}
				if failed := name == "publish out" && i == 0; failed != (s.Status.Code == codes.Error) {
					t.Errorf("%s %d: %+v", name, i, s.Status)
				}
				if name == "publish out" && (s.SpanKind != api.SpanKindProducer || attributesOf(s)["eiffelbridge.output_ids"] != `["anchor-a","a"]`) {
					t.Errorf("%s: %+v", name, s)
				}
			}
		}
		if len(g.sink.good) < 2 { // an ordered sink had the second one already when the first failed
			t.Fatalf("%d messages", len(g.sink.good))
		}
		for _, m := range g.sink.good {
			if m.Extensions["traceparent"] != traceparent(process) || m.Extensions["tracestate"] != "vendor=1" {
				t.Errorf("%s: %v, want %s", m.ID, m.Extensions, traceparent(process))
			}
		}
		text, err := json.Marshal(spans.GetSpans())
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "secret-content") {
			t.Errorf("spans tell what the event holds: %s", text)
		}
	}
}

func TestTraceOfOtherEnds(t *testing.T) {
	g, spans := tracedRig(t, true, func(s *RelaySettings) { s.Retry.GiveUpAfter = 3 * time.Second })
	want(t, g.deliverTraced(event("i|invalid", "x"), incoming), transport.Rejected)
	want(t, g.deliverTraced(`{"neither":`, "nonsense"), transport.Rejected)
	invalid, unread := ended(t, spans, "process in", 2)[0], ended(t, spans, "process in", 2)[1]
	if a := attributesOf(invalid); a["eiffelbridge.outcome"] != "dead_lettered" || a["eiffelbridge.dead_letter.code"] != translate.CodeInvalid ||
		invalid.Status.Code != codes.Error {
		t.Errorf("%v %+v", a, invalid.Status)
	}
	if a := attributesOf(unread); a["messaging.message.id"] != "envelope" || unread.Parent.IsValid() || !unread.SpanContext.IsValid() {
		t.Errorf("%v %+v", a, unread.Parent)
	}
	if got := g.letters.all()[0].Extensions["traceparent"]; got != traceparent(invalid) {
		t.Errorf("a replay goes on from %s, want %s", got, traceparent(invalid))
	}

	// A redelivery has a span of its own, with a link to the event that it was joined to.
	spans.Reset()
	g.sink.mu.Lock()
	g.sink.hold = true
	g.sink.mu.Unlock()
	text := event("a", "x")
	first, second := g.deliverTraced(text, incoming), g.deliverTraced(text, incoming)
	g.sink.release()
	want(t, first, transport.Accepted)
	want(t, second, transport.Accepted)
	byOutcome := map[string]tracetest.SpanStub{}
	for _, s := range ended(t, spans, "process in", 2) {
		byOutcome[attributesOf(s)["eiffelbridge.outcome"]] = s
	}
	if links := byOutcome["joined"].Links; len(links) != 1 || links[0].SpanContext.SpanID() != byOutcome["delivered"].SpanContext.SpanID() {
		t.Errorf("%+v", byOutcome)
	}

	// What is handed back ends; what is still at the sink goes on in the same trace.
	spans.Reset()
	g.sink.mu.Lock()
	g.sink.hold = true
	g.sink.mu.Unlock()
	c := g.deliverTraced(event("late", "x"), incoming)
	eventually(t, "it is at the sink", func() bool { return len(g.sink.ids()) == 2 })
	g.clock.advance(4 * time.Second)
	want(t, c, transport.Retried)
	if got := attributesOf(ended(t, spans, "process in", 1)[0])["eiffelbridge.outcome"]; got != "retried" {
		t.Errorf("outcome %s", got)
	}
	g.sink.release()
	ended(t, spans, "commit", 1)
}

// TestParkedEventsKeepTheirTrace parks an event, restarts the relay, and wants what comes of it in the trace of its delivery: with
// traces on and, since they may be off by then, off.
func TestParkedEventsKeepTheirTrace(t *testing.T) {
	for _, traced := range []bool{true, false} {
		g, spans := tracedRig(t, true, nil)
		want(t, g.deliverTraced(event("a|needs=never", "x"), incoming), transport.Accepted)
		parked := ended(t, spans, "process in", 1)[0]
		if got := attributesOf(parked)["eiffelbridge.outcome"]; got != "parked" || parked.SpanContext.TraceID().String() != incomingTrace {
			t.Errorf("outcome %s, %+v", got, parked.SpanContext)
		}
		g.stop()
		spans.Reset()
		if !traced {
			g.tracer = nil
		}
		g.start(nil)
		g.clock.advance(DefaultUnresolvedTimeout)
		eventually(t, "it is delivered", func() bool {
			g.sink.mu.Lock()
			defer g.sink.mu.Unlock()
			return len(g.sink.good) == 1
		})
		want := traceparent(parked)
		if traced {
			var last tracetest.SpanStub
			eventually(t, "the event that was parked has ended", func() bool {
				for _, s := range spans.GetSpans() {
					if attributesOf(s)["eiffelbridge.outcome"] == "delivered" {
						last = s
						return true
					}
				}
				return false
			})
			if last.Parent.SpanID() != parked.SpanContext.SpanID() || last.SpanContext.TraceID() != parked.SpanContext.TraceID() ||
				attributesOf(last)["eiffelbridge.parked"] != "true" {
				t.Errorf("%+v", last)
			}
			want = traceparent(last)
		}
		if got := g.sink.good[0].Extensions["traceparent"]; got != want {
			t.Errorf("traced %v: %s came out, want %s", traced, got, want)
		}
	}
}

// TestUnsampledTraces passes the context on all the same.
func TestUnsampledTraces(t *testing.T) {
	g, spans := tracedRig(t, true, nil, trace.WithSampler(trace.ParentBased(trace.AlwaysSample())))
	want(t, g.deliverTraced(event("a", "x"), strings.TrimSuffix(incoming, "01")+"00"), transport.Accepted)
	got := g.sink.good[0].Extensions["traceparent"]
	if !strings.HasPrefix(got, "00-"+incomingTrace+"-") || !strings.HasSuffix(got, "-00") || strings.Contains(got, incomingSpan) {
		t.Errorf("%s came out", got)
	}
	if n := len(spans.GetSpans()); n != 0 {
		t.Errorf("%d spans", n)
	}
}

// TestTracesThatAreOffCostNothing counts what a relay without traces allocates for them.
func TestTracesThatAreOffCostNothing(t *testing.T) {
	var g *tracing
	r := &relay{settings: DefaultRelay()}
	m := &transport.Message{ID: "a"}
	messages := []transport.Message{*m}
	if n := testing.AllocsPerRun(100, func() {
		e := g.begin(r, translate.Event{}, m, m.Extensions, time.Time{}, false)
		_ = e.passOn(m.Extensions)
		e.join(e)
		e.step("translate", time.Time{}).done(nil, time.Time{})
		e.send("out", messages, time.Time{}).done(nil, time.Time{})
		e.end(outcomeDelivered, "", time.Time{})
	}); n != 0 {
		t.Errorf("%v allocations for an event", n)
	}
}
