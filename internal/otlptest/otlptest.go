// Package otlptest is a collector for tests: a server that takes traces over OTLP/HTTP and keeps them.
package otlptest

import (
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Receiver is a running collector. It is safe for concurrent use.
type Receiver struct {
	URL string // http://host:port, for OTEL_EXPORTER_OTLP_ENDPOINT

	mu      sync.Mutex
	answer  http.HandlerFunc
	spans   []Span
	headers []http.Header
}

// Span is a span as it was received.
type Span struct {
	*trace.Span
	Resource map[string]string
}

// TraceID is in hexadecimal digits, as traceparent has it; so are SpanID and ParentID.
func (s Span) TraceID() string { return hex.EncodeToString(s.GetTraceId()) }

// SpanID is the span's own.
func (s Span) SpanID() string { return hex.EncodeToString(s.GetSpanId()) }

// ParentID is empty for a root.
func (s Span) ParentID() string { return hex.EncodeToString(s.GetParentSpanId()) }

// Traceparent is the context of the span as messages carry it, sampled.
func (s Span) Traceparent() string { return "00-" + s.TraceID() + "-" + s.SpanID() + "-01" }

// Attribute is the text of an attribute; empty if the span does not have it as a text.
func (s Span) Attribute(key string) string {
	for _, a := range s.GetAttributes() {
		if a.GetKey() == key {
			return a.GetValue().GetStringValue()
		}
	}
	return ""
}

// New starts a collector that ends with the test.
func New(tb testing.TB) *Receiver {
	tb.Helper()
	r := &Receiver{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		r.mu.Lock()
		answer := r.answer
		r.headers = append(r.headers, request.Header)
		r.mu.Unlock()
		if answer != nil {
			answer(w, request)
			return
		}
		if err := r.take(request); err != nil {
			tb.Error(err)
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/x-protobuf") // of an ExportTraceServiceResponse without anything to say
	}))
	tb.Cleanup(server.Close)
	r.URL = server.URL
	return r
}

func (r *Receiver) take(request *http.Request) error {
	if request.URL.Path != "/v1/traces" || request.Header.Get("Content-Type") != "application/x-protobuf" {
		return fmt.Errorf("no traces over OTLP: %s %v", request.URL, request.Header)
	}
	body := io.Reader(request.Body)
	if request.Header.Get("Content-Encoding") == "gzip" {
		unpacked, err := gzip.NewReader(body)
		if err != nil {
			return err
		}
		body = unpacked
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	var message collector.ExportTraceServiceRequest
	if err := proto.Unmarshal(text, &message); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, of := range message.GetResourceSpans() {
		resource := map[string]string{}
		for _, a := range of.GetResource().GetAttributes() {
			resource[a.GetKey()] = a.GetValue().GetStringValue()
		}
		for _, scope := range of.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				r.spans = append(r.spans, Span{s, resource})
			}
		}
	}
	return nil
}

// Answer has all requests answered by f from now on; nil takes traces again.
func (r *Receiver) Answer(f http.HandlerFunc) {
	r.mu.Lock()
	r.answer = f
	r.mu.Unlock()
}

// Headers are those of all requests so far.
func (r *Receiver) Headers() []http.Header {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]http.Header(nil), r.headers...)
}

// Spans are those that came so far.
func (r *Receiver) Spans() []Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Span(nil), r.spans...)
}

// Wait waits for a span for which is says true.
func (r *Receiver) Wait(tb testing.TB, what string, is func(Span) bool) Span {
	tb.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		for _, s := range r.Spans() {
			if is(s) {
				return s
			}
		}
	}
	tb.Fatalf("no such span came: %s; these came: %v", what, r.Spans())
	return Span{}
}
