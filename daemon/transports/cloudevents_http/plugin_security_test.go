package cloudeventshttp_test

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/eiffelbridge/eiffelbridge/daemon/transports/internal/certtest"
	"github.com/eiffelbridge/eiffelbridge/internal/transportplugin/plugintest"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

// testSecurity configures what secures the driver where it runs in processes: one plugin sends to another.
func testSecurity(t *testing.T, way *plugintest.Way) {
	folder, ca, clients := t.TempDir(), certtest.New(t, "ca"), certtest.New(t, "clients")
	cert, key := certtest.Pair(t, folder, ca, "server")
	ownCert, ownKey := certtest.Pair(t, folder, clients, "client")
	probe, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := probe.Addr().String()
	probe.Close()

	source, err := way.Source(plugintest.Config{"type": "cloudevents_http", "listen": address, "max_connections": 10, "max_header": 4096,
		"tls":    map[string]any{"cert_file": cert, "key_file": key, "client_ca_file": certtest.File(t, folder, "clients.crt", clients.PEM)},
		"bearer": map[string]any{"token": "to$ken"},
		"hmac":   map[string]any{"secret": []string{"old", "s"}, "header": "X-Signature"},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	ctx, cancel := context.WithCancel(context.Background())
	received, taken := make(chan error, 1), make(chan transport.Message, 10)
	go func() {
		received <- source.Receive(ctx, func(_ context.Context, d transport.Delivery) error {
			taken <- d.Message
			go d.Settle(transport.Settlement{Outcome: transport.Accepted})
			return nil
		})
	}()
	eventually(t, "the source does not come up", func() bool { return source.Health() == nil })

	s := newTokenServer(t)
	s.set(func() { s.good["to$ken"] = time.Now().Add(time.Hour) })
	config := func(target string) plugintest.Config {
		return plugintest.Config{"type": "cloudevents_http", "target": target, "mode": "structured",
			"tls":  map[string]any{"ca_file": certtest.File(t, folder, "ca.crt", ca.PEM), "cert_file": ownCert, "key_file": ownKey},
			"hmac": map[string]any{"secret": "s", "header": "X-Signature"},
		}
	}
	sinkOf := func(config plugintest.Config) transport.Sink {
		sink, err := way.Sink(config, false, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { sink.Close(context.Background()) })
		return sink
	}
	send := func(sink transport.Sink) error {
		result := make(chan error, 1)
		sink.Publish(t.Context(), []transport.Message{event}, func(_ int, err error) { result <- err })
		return <-result
	}
	good := config("https://" + address)
	good["header_files"] = map[string]any{"Authorization": certtest.File(t, folder, "authorization", []byte("Bearer to$ken\n"))}
	if err := send(sinkOf(good)); err != nil {
		t.Fatal(err)
	}
	if m := <-taken; m.ID != event.ID || string(m.Data) != string(event.Data) {
		t.Errorf("delivered: %+v", m)
	}
	if err := send(sinkOf(config("https://" + address))); err == nil || transport.IsPermanent(err) {
		t.Errorf("without a token: %v", err)
	}
	// A token of an endpoint.
	fetching := config(s.target(t))
	delete(fetching, "tls")
	fetching["oauth2"] = map[string]any{"token_url": s.URL, "client_id": "bridge", "client_secret": "s%cr t", "scopes": []string{"a", "b"}, "audience": "sink"}
	sink := sinkOf(fetching)
	if err := send(sink); err != nil || s.count() != 1 {
		t.Errorf("with OAuth2: %v, %d tokens", err, s.count())
	}
	s.set(func() {
		s.broken = func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Retry-After", "9"); w.WriteHeader(503) }
		clear(s.good)
	})
	if err := send(sink); err == nil {
		t.Error("a revoked token is taken")
	}
	if err := send(sink); err == nil || transport.IsPermanent(err) || transport.RetryAfter(err) != 9*time.Second {
		t.Errorf("without an endpoint: %v, after %v", err, transport.RetryAfter(err))
	}
	cancel()
	if err := <-received; err != nil || len(taken) != 0 {
		t.Errorf("%v, and %d more were delivered", err, len(taken))
	}
}
