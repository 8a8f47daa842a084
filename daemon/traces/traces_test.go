package traces

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eiffelbridge/eiffelbridge/internal/otlptest"
)

// begin starts traces with an environment, and gives the log.
func begin(t *testing.T, variables map[string]string) (*Traces, *text) {
	t.Helper()
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "OTEL_") {
			t.Setenv(name, "") // the same as not set
		}
	}
	for name, value := range variables {
		t.Setenv(name, value)
	}
	log := &text{}
	traces := Start(t.Context(), Options{LookupEnv: os.LookupEnv, Version: "1.2.3", Logger: slog.New(slog.NewTextHandler(log, nil))})
	t.Cleanup(func() { _ = traces.Shutdown(context.Background()) })
	return traces, log
}

type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *text) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *text) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func span(traces *Traces, name string) {
	_, s := traces.Provider().Tracer("test").Start(context.Background(), name)
	s.End()
}

func TestTracesAreSent(t *testing.T) {
	r := otlptest.New(t)
	for name, c := range map[string]struct {
		set      map[string]string
		service  string
		password string
	}{
		"defaults": {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": r.URL + "/"}, "eiffelbridge", ""},
		"for traces alone": {map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": r.URL + "/v1/traces", "OTEL_EXPORTER_OTLP_ENDPOINT": "nonsense",
			"OTEL_EXPORTER_OTLP_HEADERS": "authorization=geheim", "OTEL_SERVICE_NAME": "bridge", "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"}, "bridge", "geheim"},
		"a resource": {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": r.URL, "OTEL_RESOURCE_ATTRIBUTES": "service.name=other,place=here"}, "other", ""},
	} {
		t.Run(name, func(t *testing.T) {
			traces, log := begin(t, c.set)
			span(traces, name)
			if err := traces.Shutdown(t.Context()); err != nil {
				t.Fatal(err)
			}
			s := r.Wait(t, name, func(s otlptest.Span) bool { return s.GetName() == name })
			if s.Resource["service.name"] != c.service || s.Resource["service.version"] != "1.2.3" || s.Resource["telemetry.sdk.language"] != "go" {
				t.Errorf("%v", s.Resource)
			}
			headers := r.Headers()
			if got := headers[len(headers)-1].Get("Authorization"); got != c.password {
				t.Errorf("authorization %q", got)
			}
			if c.password != "" && strings.Contains(log.String(), c.password) {
				t.Errorf("the log tells the password: %s", log)
			}
		})
	}
}

func TestSampler(t *testing.T) {
	r := otlptest.New(t)
	traces, _ := begin(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": r.URL, "OTEL_TRACES_SAMPLER": "always_off"})
	span(traces, "a")
	if err := traces.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(r.Spans()); n != 0 {
		t.Errorf("%d spans", n)
	}
}

// TestUnknownSampler is the libraries' to complain about, in the log of the relay.
func TestUnknownSampler(t *testing.T) {
	r := otlptest.New(t)
	traces, log := begin(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": r.URL, "OTEL_TRACES_SAMPLER": "sometimes"})
	if traces == nil || !strings.Contains(log.String(), "sometimes") {
		t.Errorf("the log says %q", log)
	}
}

func TestTracesAreOff(t *testing.T) {
	const endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT"
	for name, c := range map[string]struct {
		set  map[string]string
		want string // in the log; empty: nothing is logged
	}{
		"nothing is set":   {nil, ""},
		"disabled":         {map[string]string{endpoint: "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"}, ""},
		"no exporter":      {map[string]string{endpoint: "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"}, ""},
		"another exporter": {map[string]string{endpoint: "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER"},
		"another protocol": {map[string]string{endpoint: "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL"},
		"no URL":           {map[string]string{endpoint: "collector:4317"}, endpoint},
	} {
		t.Run(name, func(t *testing.T) {
			traces, log := begin(t, c.set)
			if traces != nil || traces.Provider() != nil || traces.Shutdown(t.Context()) != nil {
				t.Error("there are traces")
			}
			if got := log.String(); !strings.Contains(got, c.want) || c.want == "" && got != "" {
				t.Errorf("the log says %q", got)
			}
		})
	}
}

// TestCollectorIsAway has a collector that refuses, and then takes: the log has one line for each change, and ending a span never waits.
func TestCollectorIsAway(t *testing.T) {
	r := otlptest.New(t)
	r.Answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	traces, log := begin(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": r.URL, "OTEL_BSP_SCHEDULE_DELAY": "1"})
	waitFor := func(n int) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); len(r.Headers()) < n; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%d requests", len(r.Headers()))
			}
		}
	}
	for i := range 3 {
		span(traces, "lost")
		waitFor(i + 1)
	}
	r.Answer(nil)
	span(traces, "kept")
	r.Wait(t, "kept", func(s otlptest.Span) bool { return s.GetName() == "kept" })
	if err := traces.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := log.String(); strings.Count(got, "cannot be sent") != 1 || strings.Count(got, "sent again") != 1 {
		t.Error(got)
	}
}

// TestCollectorHangs has one that takes a connection and says nothing: far more spans than the queue holds end without waiting for it,
// and the shutdown ends with its context.
func TestCollectorHangs(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	traces, _ := begin(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + l.Addr().String()})
	for range 20_000 {
		span(traces, "x") // would take for ever
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	down := make(chan error, 1)
	go func() { down <- traces.Shutdown(ctx) }()
	select {
	case err := <-down:
		if err == nil {
			t.Error("nobody is told that spans were lost")
		}
	case <-time.After(8 * time.Second): // the exporter's own limit is 10 seconds for one request of many
		t.Error("the shutdown hangs")
	}
}
