package cloudeventshttp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	cloudeventshttp "github.com/eiffelbridge/eiffelbridge/daemon/transports/cloudevents_http"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

func newSink(t testing.TB, target string, change func(*cloudeventshttp.SinkSettings)) *cloudeventshttp.Sink {
	t.Helper()
	settings := cloudeventshttp.DefaultSinkSettings(target)
	if change != nil {
		change(&settings)
	}
	sink, err := cloudeventshttp.NewSink(settings, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sink.Close(context.Background()) })
	return sink
}

func publish(t testing.TB, sink *cloudeventshttp.Sink, m transport.Message) error {
	t.Helper()
	result := make(chan error, 1)
	sink.Publish(t.Context(), []transport.Message{m}, func(_ int, err error) { result <- err })
	return <-result
}

var event = transport.Message{Protocol: transport.Eiffel, ID: `a "b" 100% €`, Source: "urn:eiffel", Type: "EiffelArtifactDeployedEvent",
	Time: "2024-05-06T07:08:09.120Z", Schema: "urn:schema", Extensions: map[string]string{"traceparent": "00", "Bad": "x"}, Data: []byte(`{"a": 1.0}`)}

func TestSinkRequest(t *testing.T) {
	var header http.Header
	var body []byte
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		header = r.Header.Clone()
		body, _ = io.ReadAll(r.Body)
	}))
	defer server.Close()
	target := strings.Replace(server.URL, "http://", "http://user:secret@", 1) + "/path?q=1"
	if err := publish(t, newSink(t, target, nil), event); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"Ce-Specversion": "1.0", "Ce-Id": "a%20%22b%22%20100%25%20%E2%82%AC", "Ce-Source": "urn:eiffel", "Ce-Type": "io.github.eiffel-community.EiffelArtifactDeployedEvent",
		"Ce-Time": "2024-05-06T07:08:09.120Z", "Ce-Dataschema": "urn:schema", "Ce-Traceparent": "00", "Ce-Bad": "", "Ce-Subject": "",
		"Content-Type": "application/json", "Authorization": "Basic dXNlcjpzZWNyZXQ=", "Idempotency-Key": "",
	} {
		if got := header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if string(body) != string(event.Data) {
		t.Errorf("body is %s", body)
	}
	structured := newSink(t, server.URL, func(s *cloudeventshttp.SinkSettings) {
		s.Mode, s.Headers = cloudeventshttp.Structured, cloudeventshttp.Headers{"authorization": "Bearer token"}
	})
	if err := publish(t, structured, event); err != nil {
		t.Fatal(err)
	}
	if header.Get("Authorization") != "Bearer token" || header.Get("Content-Type") != "application/cloudevents+json; charset=utf-8" || header.Get("Ce-Id") != "" ||
		!strings.HasSuffix(string(body), `"data":{"a": 1.0}}`) {
		t.Errorf("%v %s", header, body)
	}
	if err := publish(t, structured, transport.Message{ID: "x", Data: []byte("{}")}); !transport.IsPermanent(err) || structured.Health() != nil {
		t.Errorf("an event without a type: %v, health %v", err, structured.Health())
	}
}

func TestSinkAnswers(t *testing.T) {
	date := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC) // not now: the far side's clock counts
	for name, c := range map[string]struct {
		status     int
		header     []string
		permanent  bool
		retryAfter time.Duration
		healthy    bool
	}{
		"200":             {status: 200, healthy: true},
		"204":             {status: 204, healthy: true},
		"redirect":        {status: 307, header: []string{"Location", "/elsewhere"}},
		"bad request":     {status: 400, permanent: true, healthy: true},
		"unauthorized":    {status: 401},
		"unsupported":     {status: 415, permanent: true, healthy: true},
		"too large":       {status: 413, permanent: true, healthy: true},
		"request timeout": {status: 408},
		"too early":       {status: 425},
		"too many":        {status: 429, header: []string{"Retry-After", "7"}, retryAfter: 7 * time.Second},
		"date":            {status: 503, header: []string{"Retry-After", date.Add(90 * time.Second).Format(http.TimeFormat), "Date", date.Format(http.TimeFormat)}, retryAfter: 90 * time.Second},
		"past date":       {status: 503, header: []string{"Retry-After", date.Format(http.TimeFormat)}},
		"far too late":    {status: 503, header: []string{"Retry-After", "99999999999999999999"}, retryAfter: time.Hour},
		"nonsense":        {status: 500, header: []string{"Retry-After", "soon"}},
		"not found":       {status: 404, header: []string{"Retry-After", "7"}, retryAfter: 7 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			requests := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests++
				for i := 0; i < len(c.header); i += 2 {
					w.Header().Set(c.header[i], c.header[i+1])
				}
				w.WriteHeader(c.status)
				if c.status != 204 {
					io.WriteString(w, "\x1b[31mreason "+strings.Repeat("y", 1000))
				}
			}))
			defer server.Close()
			sink := newSink(t, server.URL, nil)
			err := publish(t, sink, event)
			if (err == nil) != (c.status < 300) || requests != 1 {
				t.Fatalf("%d requests, %v", requests, err)
			}
			if transport.IsPermanent(err) != c.permanent || transport.RetryAfter(err) != c.retryAfter || (sink.Health() == nil) != c.healthy {
				t.Errorf("permanent %v, after %v, health %v", transport.IsPermanent(err), transport.RetryAfter(err), sink.Health())
			}
			if err != nil && (!strings.Contains(err.Error(), fmt.Sprint(c.status)) || !strings.Contains(err.Error(), "reason yyy") || len(err.Error()) > 500 || strings.Contains(err.Error(), "\x1b")) {
				t.Errorf("the error is %q", err)
			}
		})
	}
}

func TestSinkFailures(t *testing.T) {
	var fail atomic.Bool
	fail.Store(true)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if fail.Load() {
			<-r.Context().Done()
		}
	}))
	defer server.Close()
	sink := newSink(t, strings.Replace(server.URL, "http://", "http://u:secret@", 1), func(s *cloudeventshttp.SinkSettings) { s.RequestTimeout = 50 * time.Millisecond })
	err := publish(t, sink, event)
	if !errors.Is(err, context.DeadlineExceeded) || transport.IsPermanent(err) || sink.Health() == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("timeout: %v, health %v", err, sink.Health())
	}
	fail.Store(false)
	if err := publish(t, sink, event); err != nil || sink.Health() != nil {
		t.Errorf("recovered: %v, health %v", err, sink.Health())
	}
	server.Close()
	if err := publish(t, sink, event); err == nil || transport.IsPermanent(err) || sink.Health() == nil {
		t.Errorf("refused connection: %v, health %v", err, sink.Health())
	}
}

func TestSinkWindow(t *testing.T) {
	var now, most atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		n := now.Add(1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		time.Sleep(5 * time.Millisecond)
		now.Add(-1)
	}))
	defer server.Close()
	sink := newSink(t, server.URL, func(s *cloudeventshttp.SinkSettings) { s.MaxInFlight = 4 })
	messages := make([]transport.Message, 40)
	for i := range messages {
		messages[i] = event
	}
	var waiting sync.WaitGroup
	waiting.Add(len(messages))
	sink.Publish(t.Context(), messages, func(_ int, err error) {
		if err != nil {
			t.Error(err)
		}
		waiting.Done()
	})
	waiting.Wait()
	if most.Load() != 4 {
		t.Errorf("%d requests at once, want 4", most.Load())
	}
}

func TestSinkSettings(t *testing.T) {
	settings := cloudeventshttp.DefaultSinkSettings("http://user:topsecret@host/")
	settings.Headers = cloudeventshttp.Headers{"Authorization": "topsecret"}
	var logged bytes.Buffer
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "settings", settings, "headers", settings.Headers)
	asJSON, _ := json.Marshal(settings.Headers)
	text := fmt.Sprintf("%v %+v %#v %s %v %+v %#v %s %s", settings, settings, settings, settings, settings.Headers, settings.Headers, settings.Headers, logged.String(), asJSON)
	if strings.Contains(text, "topsecret") {
		t.Errorf("a secret is printed: %s", text)
	}
	for key, change := range map[string]func(*cloudeventshttp.SinkSettings){
		"target:":                 func(s *cloudeventshttp.SinkSettings) { s.Target = "" },
		"target: is not":          func(s *cloudeventshttp.SinkSettings) { s.Target = "http://u:topsecret@%zz" },
		"target: \"ftp":           func(s *cloudeventshttp.SinkSettings) { s.Target = "ftp://u:topsecret@x" },
		"target: \"http:///x\"":   func(s *cloudeventshttp.SinkSettings) { s.Target = "http:///x" },
		"mode:":                   func(s *cloudeventshttp.SinkSettings) { s.Mode = "batched" },
		"max_in_flight:":          func(s *cloudeventshttp.SinkSettings) { s.MaxInFlight = 0 },
		"request_timeout:":        func(s *cloudeventshttp.SinkSettings) { s.RequestTimeout = 0 },
		"headers: Ce-Id is":       func(s *cloudeventshttp.SinkSettings) { s.Headers = cloudeventshttp.Headers{"ce-id": "topsecret"} },
		"headers: \"a b\"":        func(s *cloudeventshttp.SinkSettings) { s.Headers = cloudeventshttp.Headers{"a b": "topsecret"} },
		"headers: the value of A": func(s *cloudeventshttp.SinkSettings) { s.Headers = cloudeventshttp.Headers{"a": "topsecret\r\n"} },
	} {
		bad := settings
		change(&bad)
		if _, err := cloudeventshttp.NewSink(bad, quiet); err == nil || !strings.Contains(err.Error(), key) || strings.Contains(err.Error(), "topsecret") {
			t.Errorf("%s: %v", key, err)
		}
	}
}

func BenchmarkSink(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusAccepted)
	}))
	defer server.Close()
	sink := newSink(b, server.URL, nil)
	m := []transport.Message{event}
	m[0].Data = []byte(`{"context":"` + strings.Repeat("x", 1000) + `"}`)
	b.ReportAllocs()
	var waiting sync.WaitGroup
	for b.Loop() {
		waiting.Add(1)
		sink.Publish(b.Context(), m, func(_ int, err error) {
			if err != nil {
				b.Error(err)
			}
			waiting.Done()
		})
	}
	waiting.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
