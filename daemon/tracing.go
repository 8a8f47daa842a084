package daemon

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// tracing makes the spans of relays. A nil *tracing makes none and costs nothing; the same holds for a nil *eventTrace and a
// nil *span. Spans tell which event they are about, and never what it holds.
type tracing struct{ tracer trace.Tracer }

// scopeName is the instrumentation scope of the spans.
const scopeName = "github.com/eiffelbridge/eiffelbridge/daemon"

func newTracing(provider trace.TracerProvider) *tracing {
	if provider == nil {
		return nil
	}
	return &tracing{provider.Tracer(scopeName)}
}

// eventTrace is the span of one event on its way through a relay, from the taking of a delivery, or of a parked event, to its end.
type eventTrace struct {
	tracing *tracing
	ctx     context.Context
	span    trace.Span
}

// span is a step on the way. It is ended once.
type span struct{ trace.Span }

// The attributes that semantic conventions have no name for.
const (
	attrRelay     = attribute.Key("eiffelbridge.relay")
	attrTranslate = attribute.Key("eiffelbridge.translate") // the protocol that the relay writes
	attrOutcome   = attribute.Key("eiffelbridge.outcome")   // as in eiffelbridge_settled_total
	attrCode      = attribute.Key("eiffelbridge.dead_letter.code")
	attrParked    = attribute.Key("eiffelbridge.parked") // true: the event was parked, and goes on
	attrOutputs   = attribute.Key("eiffelbridge.output_ids")
)

// maxOutputIDs bounds how many ids of outputs a span has.
const maxOutputIDs = 16

// begin starts the span of an event. Its parent is the one that the extensions name.
func (g *tracing) begin(r *relay, event translate.Event, m *transport.Message, parent map[string]string, at time.Time, parked bool) *eventTrace {
	if g == nil {
		return nil
	}
	id, kind, source := event.ID, event.Type, event.Source
	if id == "" {
		id, kind, source = m.ID, m.Type, m.Source // it could not be read
	}
	attributes := []attribute.KeyValue{
		semconv.MessagingOperationTypeProcess, semconv.MessagingOperationName("process"), semconv.MessagingDestinationName(r.settings.From),
		attrRelay.String(r.settings.Name), attrTranslate.String(r.settings.Translate.String()),
	}
	for _, a := range []attribute.KeyValue{semconv.MessagingMessageID(id), semconv.CloudEventsEventID(id), semconv.CloudEventsEventSource(source),
		semconv.CloudEventsEventType(kind)} {
		if a.Value.AsString() != "" {
			attributes = append(attributes, a)
		}
	}
	if parked {
		attributes = append(attributes, attrParked.Bool(true))
	}
	ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier(passedOn(parent)))
	e := &eventTrace{tracing: g}
	e.ctx, e.span = g.tracer.Start(ctx, "process "+r.settings.From, trace.WithSpanKind(trace.SpanKindConsumer), trace.WithTimestamp(at),
		trace.WithAttributes(attributes...))
	return e
}

// passOn gives the extensions of what an event becomes: the context of its span, or what it came with if it is not traced.
func (e *eventTrace) passOn(extensions map[string]string) map[string]string {
	if e == nil {
		return passedOn(extensions)
	}
	out := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(e.ctx, out)
	if len(out) == 0 {
		return passedOn(extensions)
	}
	return out
}

// join says that a delivery was joined to an event that is on its way already.
func (e *eventTrace) join(to *eventTrace) {
	if e == nil || to == nil {
		return
	}
	e.span.AddLink(trace.Link{SpanContext: to.span.SpanContext()})
}

// end ends the span of an event, once.
func (e *eventTrace) end(o outcome, code string, at time.Time) {
	if e == nil {
		return
	}
	e.span.SetAttributes(attrOutcome.String(o.String()))
	if code != "" {
		e.span.SetAttributes(attrCode.String(code))
		e.span.SetStatus(codes.Error, "put into the dead letters: "+code)
	}
	e.span.End(trace.WithTimestamp(at))
}

// step starts a step on the way of an event.
func (e *eventTrace) step(name string, at time.Time) *span {
	if e == nil {
		return nil
	}
	_, s := e.tracing.tracer.Start(e.ctx, name, trace.WithTimestamp(at))
	return &span{s}
}

// send starts the step that hands messages to a sink.
func (e *eventTrace) send(sink string, messages []transport.Message, at time.Time) *span {
	if e == nil {
		return nil
	}
	_, s := e.tracing.tracer.Start(e.ctx, "publish "+sink, trace.WithSpanKind(trace.SpanKindProducer), trace.WithTimestamp(at))
	if s.IsRecording() {
		ids := make([]string, 0, len(messages))
		for _, m := range messages[:min(len(messages), maxOutputIDs)] {
			ids = append(ids, m.ID)
		}
		s.SetAttributes(semconv.MessagingOperationTypeSend, semconv.MessagingOperationName("publish"), semconv.MessagingDestinationName(sink),
			semconv.MessagingBatchMessageCount(len(messages)), attrOutputs.StringSlice(ids))
	}
	return &span{s}
}

// done ends a step. The error's text is not told: a far side may have quoted the event in it.
func (s *span) done(err error, at time.Time) {
	if s == nil {
		return
	}
	if err != nil {
		kind := errorKind(err)
		s.SetAttributes(semconv.ErrorTypeKey.String(kind))
		s.SetStatus(codes.Error, kind)
	}
	s.End(trace.WithTimestamp(at))
}

// errorKind is one of few words for an error.
func errorKind(err error) string {
	var event *translate.EventError
	switch {
	case errors.As(err, &event):
		return event.Code
	case transport.IsPermanent(err):
		return CodeUndeliverable
	case isPanic(err):
		return CodePanic
	case isDamaged(err):
		return CodeDamaged
	}
	return "failed"
}

func isPanic(err error) bool {
	var panicked *panicError
	return errors.As(err, &panicked)
}
