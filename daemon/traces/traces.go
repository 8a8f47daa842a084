// Package traces sends the spans of a relay to an OpenTelemetry collector, as the OTEL_* variables of the environment say. It is
// apart from the relay, which wants no more than a trace.TracerProvider.
package traces

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	api "go.opentelemetry.io/otel/trace"
)

// Options are what a program adds to the environment.
type Options struct {
	LookupEnv func(string) (string, bool) // the process's environment, which the libraries read as well
	Version   string                      // service.version
	Logger    *slog.Logger
}

// Traces are the traces of a process. A nil *Traces has none. It is safe for concurrent use.
type Traces struct {
	provider *trace.TracerProvider
	exporter *watched
}

// DefaultService is the name of the service unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES has another.
const DefaultService = "eiffelbridge"

// maxAttribute bounds the values of attributes, in characters: an event may have an id as large as itself, and thousands of spans
// wait to be sent. OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT changes it.
const maxAttribute = 1024

// The endpoints. The first is for traces alone and wins.
var endpoints = [...]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"}

// Start begins to trace if OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is set, and gives nil otherwise. What is
// wrong with the variables is logged and turns traces off: a relay does not stop over them. Nothing here waits for the collector;
// while it is away, spans are dropped.
func Start(ctx context.Context, o Options) *Traces {
	get := func(name string) string {
		v, _ := o.LookupEnv(name)
		return strings.TrimSpace(v)
	}
	endpoint := ""
	for _, name := range endpoints {
		if v := get(name); v != "" && endpoint == "" {
			endpoint = name
		}
	}
	if endpoint == "" || strings.EqualFold(get("OTEL_SDK_DISABLED"), "true") || get("OTEL_TRACES_EXPORTER") == "none" {
		return nil
	}
	t, err := start(ctx, o, get, endpoint)
	if err != nil {
		o.Logger.Warn("there are no traces", "error", err)
		return nil
	}
	o.Logger.Info("traces are sent", "endpoint", endpoint)
	return t
}

func start(ctx context.Context, o Options, get func(string) string, endpoint string) (*Traces, error) {
	// The value is not told: it may hold a password.
	if u, err := url.Parse(get(endpoint)); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("%s is not a URL with http or https", endpoint)
	}
	if v := get("OTEL_TRACES_EXPORTER"); v != "" && v != "otlp" {
		return nil, fmt.Errorf("OTEL_TRACES_EXPORTER: %q is not otlp or none", v)
	}
	protocol := "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"
	if get(protocol) == "" {
		protocol = "OTEL_EXPORTER_OTLP_PROTOCOL"
	}
	if v := get(protocol); v != "" && v != "http/protobuf" {
		return nil, fmt.Errorf("%s: %q is not http/protobuf, the only protocol that the relay has", protocol, v)
	}
	// The libraries have one hook for what they cannot return, such as a sampler that they do not know. It is the process's.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { o.Logger.Warn("traces", "error", err) }))
	of, err := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithAttributes(semconv.ServiceName(DefaultService), semconv.ServiceVersion(o.Version)),
		resource.WithFromEnv(), // the last wins
	)
	if err != nil && !errors.Is(err, resource.ErrPartialResource) {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	client, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("exporter: %w", err)
	}
	limits := trace.NewSpanLimits()
	if limits.AttributeValueLengthLimit < 0 {
		limits.AttributeValueLengthLimit = maxAttribute
	}
	exporter := &watched{SpanExporter: client, log: o.Logger}
	return &Traces{
		// The batcher never blocks: it drops what does not fit into its queue.
		provider: trace.NewTracerProvider(trace.WithBatcher(exporter), trace.WithResource(of), trace.WithRawSpanLimits(limits)),
		exporter: exporter,
	}, nil
}

// Provider is what a relay wants for its spans; nil if there are no traces.
func (t *Traces) Provider() api.TracerProvider {
	if t == nil {
		return nil
	}
	return t.provider
}

// abandon is how long an export may take to notice that it is given up.
const abandon = time.Second

// Shutdown sends the spans that are left, until ctx ends; then it drops them. It is idempotent.
func (t *Traces) Shutdown(ctx context.Context) error {
	if t == nil {
		return nil
	}
	err := t.provider.Shutdown(ctx)
	if ctx.Err() != nil {
		// The batcher is still at it; this ends its request.
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), abandon)
		defer cancel()
		err = errors.Join(err, t.exporter.Shutdown(ending))
	}
	if err != nil {
		return fmt.Errorf("the last traces: %w", err)
	}
	return nil
}

// watched logs when the collector goes away and comes back, instead of each batch that it does not take.
type watched struct {
	trace.SpanExporter
	log     *slog.Logger
	failing atomic.Bool
}

// ExportSpans implements [trace.SpanExporter].
func (w *watched) ExportSpans(ctx context.Context, spans []trace.ReadOnlySpan) error {
	err := w.SpanExporter.ExportSpans(ctx, spans)
	switch {
	case err != nil && !w.failing.Swap(true):
		w.log.Warn("traces cannot be sent; they are dropped until they can", "error", err)
	case err == nil && w.failing.Swap(false):
		w.log.Info("traces are sent again")
	}
	return nil
}
