package cloudeventshttp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	transportconformance "github.com/eiffelbridge/eiffelbridge/conformance/transport"
	"github.com/eiffelbridge/eiffelbridge/conformance/transport/transporttest"
	cloudeventshttp "github.com/eiffelbridge/eiffelbridge/daemon/transports/cloudevents_http"
	"github.com/eiffelbridge/eiffelbridge/internal/cloudeventsjson"
	"github.com/eiffelbridge/eiffelbridge/internal/transportplugin/plugintest"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

var quiet = slog.New(slog.DiscardHandler)

func listen(change func(*cloudeventshttp.SourceSettings)) (*cloudeventshttp.Source, error) {
	settings := cloudeventshttp.DefaultSourceSettings()
	settings.Listen = "127.0.0.1:0"
	if change != nil {
		change(&settings)
	}
	return cloudeventshttp.Listen(settings, quiet)
}

// sourceHarness is a sender that obeys: it sends again what was not answered with 202 or 400.
type sourceHarness struct {
	source  transport.Source
	address string
	batched bool
	kill    func() error // breaks in place of the clients; nil: it does not
	ctx     context.Context
	cancel  context.CancelFunc
	sending sync.WaitGroup

	lock   sync.Mutex
	client *http.Client
}

func newSourceHarness(batched bool, way *plugintest.Way, kill func() error) func(context.Context) (transportconformance.SourceHarness, error) {
	return func(context.Context) (transportconformance.SourceHarness, error) {
		// A plugin that is started anew listens on the same address again.
		probe, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		h := &sourceHarness{address: probe.Addr().String(), batched: batched, client: newClient(), kill: kill}
		probe.Close()
		const maxBody = 16 << 20 // the kit's messages go in one batch, so that they are in flight together
		h.source, err = way.Source(plugintest.Config{"type": "cloudevents_http", "listen": h.address, "max_body": maxBody}, func() (transport.Source, error) {
			return listen(func(s *cloudeventshttp.SourceSettings) {
				s.Listen, s.MaxBody = h.address, maxBody
			})
		})
		if err != nil {
			return nil, err
		}
		h.ctx, h.cancel = context.WithCancel(context.Background())
		return h, nil
	}
}

func newClient() *http.Client {
	return &http.Client{Transport: &breakable{Transport: &http.Transport{MaxIdleConnsPerHost: 100}, broken: make(chan struct{})}}
}

// breakable aborts what is under way when it is broken.
type breakable struct {
	*http.Transport
	broken chan struct{}
}

func (b *breakable) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	go func() {
		select {
		case <-b.broken:
			cancel()
		case <-ctx.Done():
		}
	}()
	response, err := b.Transport.RoundTrip(r.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(response.Body) // before ctx ends
	response.Body.Close()
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, err
}

func (h *sourceHarness) Source() transport.Source { return h.source }

func (h *sourceHarness) Traits() transportconformance.SourceTraits {
	return transportconformance.SourceTraits{Unordered: !h.batched}
}

func (h *sourceHarness) Send(_ context.Context, messages []transport.Message) error {
	if h.batched {
		h.sending.Go(func() { h.sendBatch(messages) })
		return nil
	}
	for i, m := range messages {
		h.sending.Go(func() {
			for {
				request, _ := http.NewRequestWithContext(h.ctx, http.MethodPost, "http://"+h.address, nil)
				body := m.Data
				if i%2 == 0 {
					body = cloudeventsjson.Append(nil, m)
					request.Header.Set("Content-Type", "application/cloudevents+json")
				} else {
					setAttributes(request.Header, m)
				}
				request.Body, request.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
				status, _ := h.do(request)
				if h.ctx.Err() != nil || status == http.StatusAccepted || status == http.StatusBadRequest {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
	return nil
}

// setAttributes is written from the specification, apart from the driver's own encoder.
func setAttributes(h http.Header, m transport.Message) {
	encode := func(s string) string {
		out := ""
		for _, b := range []byte(s) {
			if b <= 0x20 || b >= 0x7f || b == '"' || b == '%' {
				out += "%" + string("0123456789abcdef"[b>>4]) + string("0123456789abcdef"[b&15])
				continue
			}
			out += string(rune(b))
		}
		return out
	}
	h.Set("Content-Type", "application/json; charset=UTF-8")
	h.Set("ce-specversion", "1.0")
	h.Set("ce-id", encode(m.ID))
	h.Set("ce-source", encode(m.Source))
	h.Set("ce-type", encode(m.CloudEventsType()))
	h.Set("ce-subject", encode(m.Subject))
	h.Set("ce-time", m.Time)
	for name, value := range m.Extensions {
		h.Set("ce-"+name, encode(value))
	}
}

func (h *sourceHarness) sendBatch(messages []transport.Message) {
	for len(messages) > 0 && h.ctx.Err() == nil {
		body := []byte("[")
		for i, m := range messages {
			if i > 0 {
				body = append(body, ',')
			}
			body = cloudeventsjson.Append(body, m)
		}
		request, _ := http.NewRequestWithContext(h.ctx, http.MethodPost, "http://"+h.address, bytes.NewReader(append(body, ']')))
		request.Header.Set("Content-Type", "application/cloudevents-batch+json")
		status, answer := h.do(request)
		if status == http.StatusAccepted {
			return
		}
		var results struct {
			Results []struct{ Index, Status int }
		}
		if json.Unmarshal(answer, &results) == nil && len(results.Results) > 0 {
			var again []transport.Message
			for _, r := range results.Results {
				if r.Status != http.StatusAccepted && r.Status != http.StatusBadRequest {
					again = append(again, messages[r.Index])
				}
			}
			messages = again
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (h *sourceHarness) do(request *http.Request) (int, []byte) {
	h.lock.Lock()
	client := h.client
	h.lock.Unlock()
	response, err := client.Do(request)
	if err != nil {
		return 0, nil
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	return response.StatusCode, body
}

// Break aborts every request under way; they are sent again.
func (h *sourceHarness) Break() error {
	if h.kill != nil {
		return h.kill()
	}
	h.lock.Lock()
	old := h.client
	h.client = newClient()
	h.lock.Unlock()
	close(old.Transport.(*breakable).broken)
	return nil
}

func (h *sourceHarness) Close() error {
	h.cancel()
	h.sending.Wait()
	h.client.CloseIdleConnections()
	return h.source.Close()
}

func TestSourceConformance(t *testing.T) {
	transporttest.RunSource(t, newSourceHarness(false, plugintest.Direct(), nil), transportconformance.Options{})
}

func TestBatchedSourceConformance(t *testing.T) {
	transporttest.RunSource(t, newSourceHarness(true, plugintest.Direct(), nil), transportconformance.Options{})
}

// sinkHarness is a receiver that only knows the standard library and the specification.
type sinkHarness struct {
	sink   transport.Sink
	kill   func() error // breaks in place of the server; nil: it does not
	server *httptest.Server

	lock     sync.Mutex
	messages []transport.Message
	stalled  sync.RWMutex
}

func newSinkHarness(mode cloudeventshttp.Mode, way *plugintest.Way, kill func() error) func(context.Context) (transportconformance.SinkHarness, error) {
	return func(context.Context) (transportconformance.SinkHarness, error) {
		h := &sinkHarness{kill: kill}
		h.server = httptest.NewServer(h)
		settings := cloudeventshttp.DefaultSinkSettings(h.server.URL)
		settings.Mode = mode
		var err error
		h.sink, err = way.Sink(plugintest.Config{"type": "cloudevents_http", "target": h.server.URL, "mode": string(mode)}, false, func() (transport.Sink, error) {
			return cloudeventshttp.NewSink(settings, quiet)
		})
		return h, err
	}
}

func (h *sinkHarness) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	h.stalled.RLock()
	defer h.stalled.RUnlock()
	m := transport.Message{Data: body, Time: r.Header.Get("Ce-Time")}
	if r.Header.Get("Content-Type") == "application/cloudevents+json; charset=utf-8" {
		var envelope struct {
			ID, Source, Type, Subject, Time string
			Data                            json.RawMessage
		}
		if err := json.Unmarshal(body, &envelope); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		m = transport.Message{ID: envelope.ID, Source: envelope.Source, Subject: envelope.Subject, Time: envelope.Time, Data: envelope.Data}
	}
	h.lock.Lock()
	h.messages = append(h.messages, m)
	h.lock.Unlock()
	w.WriteHeader(http.StatusAccepted)
}

func (h *sinkHarness) Sink() transport.Sink { return h.sink }

func (h *sinkHarness) Collect(context.Context) ([]transport.Message, error) {
	h.lock.Lock()
	defer h.lock.Unlock()
	return append([]transport.Message(nil), h.messages...), nil
}

func (h *sinkHarness) Stall() func() {
	h.stalled.Lock()
	return h.stalled.Unlock
}

func (h *sinkHarness) Break() error {
	if h.kill != nil {
		return h.kill()
	}
	h.server.CloseClientConnections()
	return nil
}

func (h *sinkHarness) Close() error {
	err := h.sink.Close(context.Background())
	h.server.Close()
	return err
}

func TestSinkConformance(t *testing.T) {
	for _, mode := range []cloudeventshttp.Mode{cloudeventshttp.Binary, cloudeventshttp.Structured} {
		t.Run(string(mode), func(t *testing.T) {
			transporttest.RunSink(t, newSinkHarness(mode, plugintest.Direct(), nil), transportconformance.Options{})
		})
	}
}

// TestConformanceAsPlugin has the plugin protocol between the kit and the driver. What breaks is the connection to the far side, or
// the plugin.
func TestConformanceAsPlugin(t *testing.T) {
	for _, way := range plugintest.Plugins(t) {
		t.Run(way.Name, func(t *testing.T) {
			t.Run("source", func(t *testing.T) {
				transporttest.RunSource(t, newSourceHarness(false, way, nil), transportconformance.Options{})
			})
			t.Run("source/batched", func(t *testing.T) {
				transporttest.RunSource(t, newSourceHarness(true, way, way.Kill), transportconformance.Options{})
			})
			t.Run("sink", func(t *testing.T) {
				transporttest.RunSink(t, newSinkHarness(cloudeventshttp.Binary, way, nil), transportconformance.Options{})
			})
			t.Run("sink/structured", func(t *testing.T) {
				transporttest.RunSink(t, newSinkHarness(cloudeventshttp.Structured, way, way.Kill), transportconformance.Options{})
			})
			if way.Name == "process" {
				t.Run("security", func(t *testing.T) { testSecurity(t, way) })
			}
		})
	}
}
