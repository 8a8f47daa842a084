package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"

	transportconformance "github.com/eiffelbridge/eiffelbridge/conformance/transport"
	"github.com/eiffelbridge/eiffelbridge/conformance/transport/transporttest"
	"github.com/eiffelbridge/eiffelbridge/plugins/host"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

// broker is a real one, in the process of the test.
type broker struct {
	server *mochi.Server
	addr   string
}

func startBroker() (*broker, error) {
	probe, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &broker{addr: probe.Addr().String(), server: mochi.New(&mochi.Options{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})}
	probe.Close()
	if err := b.server.AddHook(new(auth.AllowHook), nil); err != nil {
		return nil, err
	}
	if err := b.server.AddListener(listeners.NewTCP(listeners.Config{ID: "tcp", Address: b.addr})); err != nil {
		return nil, err
	}
	return b, b.server.Serve()
}

// cut ends the connection of every client but one.
func (b *broker) cut(but string) {
	for id, client := range b.server.Clients.GetAll() {
		if id != but {
			client.Stop(fmt.Errorf("cut by the test"))
		}
	}
}

// way makes a source or a sink of the driver: by itself, or in the plugin.
type way struct {
	source func(config []byte) (transport.Source, error)
	sink   func(config []byte) (transport.Sink, error)
	kill   func() error // breaks in place of the broker; nil: it does not
}

const probeID = "probe"

// close closes the broker, and leaves it where it is after some seconds: mochi 2.7.9 stands still for ever if it is closed while it looks
// for what it has not delivered yet (Inflight.NextImmediate takes a read lock twice, and a writer may wait between).
func (b *broker) close() error {
	closed := make(chan error, 1)
	go func() { closed <- b.server.Close() }()
	select {
	case err := <-closed:
		return err
	case <-time.After(5 * time.Second):
		return nil
	}
}

type farSide struct {
	*broker
	way    way
	client *paho.Client
	config []byte
	lock   sync.Mutex
	got    []transport.Message
}

func newFarSide(ctx context.Context, w way) (*farSide, error) {
	b, err := startBroker()
	if err != nil {
		return nil, err
	}
	f := &farSide{broker: b, way: w}
	f.config, err = json.Marshal(map[string]any{"broker": b.addr, "topic": "events", "client_id": "bridge"})
	if err != nil {
		return nil, err
	}
	f.client, _, err = dial(ctx, settings{Broker: b.addr}, paho.ClientConfig{
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(p paho.PublishReceived) (bool, error) {
			f.lock.Lock()
			defer f.lock.Unlock()
			f.got = append(f.got, decode(p.Packet))
			return true, nil
		}},
	}, &paho.Connect{ClientID: probeID, CleanStart: true})
	return f, err
}

func (f *farSide) Break() error {
	if f.way.kill != nil {
		return f.way.kill()
	}
	f.cut(probeID)
	return nil
}

func (f *farSide) Close() error {
	_ = f.client.Disconnect(&paho.Disconnect{})
	return f.close()
}

type sourceHarness struct {
	*farSide
	source transport.Source
}

func (h *sourceHarness) Source() transport.Source { return h.source }

func (h *sourceHarness) Traits() transportconformance.SourceTraits {
	return transportconformance.SourceTraits{}
}

func (h *sourceHarness) Send(ctx context.Context, messages []transport.Message) error {
	for _, m := range messages {
		if _, err := h.client.Publish(ctx, encode(m, "events")); err != nil {
			return err
		}
	}
	return nil
}

func (h *sourceHarness) Close() error {
	h.source.Close()
	return h.farSide.Close()
}

type sinkHarness struct {
	*farSide
	sink transport.Sink
}

func (h *sinkHarness) Sink() transport.Sink { return h.sink }

// Collect waits for what is under way to the subscriber: the broker acknowledges what it has taken.
func (h *sinkHarness) Collect(context.Context) ([]transport.Message, error) {
	last := -1
	for {
		h.lock.Lock()
		n := len(h.got)
		h.lock.Unlock()
		if n == last {
			break
		}
		last = n
		time.Sleep(30 * time.Millisecond)
	}
	h.lock.Lock()
	defer h.lock.Unlock()
	return append([]transport.Message(nil), h.got...), nil
}

func (h *sinkHarness) Close() error {
	h.sink.Close(context.Background())
	return h.farSide.Close()
}

func conform(t *testing.T, w way) {
	t.Run("source", func(t *testing.T) {
		transporttest.RunSource(t, func(ctx context.Context) (transportconformance.SourceHarness, error) {
			f, err := newFarSide(ctx, w)
			if err != nil {
				return nil, err
			}
			source, err := w.source(f.config)
			return &sourceHarness{f, source}, err
		}, transportconformance.Options{})
	})
	t.Run("sink", func(t *testing.T) {
		transporttest.RunSink(t, func(ctx context.Context) (transportconformance.SinkHarness, error) {
			f, err := newFarSide(ctx, w)
			if err != nil {
				return nil, err
			}
			_, err = f.client.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: "events", QoS: 1}}})
			if err != nil {
				return nil, err
			}
			sink, err := w.sink(f.config)
			return &sinkHarness{f, sink}, err
		}, transportconformance.Options{})
	})
}

func TestDriver(t *testing.T) { conform(t, way{source: newSource, sink: newSink}) }

// TestPlugin builds the plugin and runs it as Eiffel Bridge does. What breaks is the connection to the broker, or the plugin.
func TestPlugin(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mqtt")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var process *host.Process
	start := func(config []byte, source bool) (err error) {
		process, err = host.Start(host.Settings{
			Name: "mqtt", Path: path, Dev: true, Config: config, AsSource: source, AsSink: !source,
			Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
		})
		return err
	}
	w := way{
		source: func(config []byte) (transport.Source, error) {
			if err := start(config, true); err != nil {
				return nil, err
			}
			return host.NewSource(process, process.Close), nil
		},
		sink: func(config []byte) (transport.Sink, error) {
			if err := start(config, false); err != nil {
				return nil, err
			}
			return host.NewSink(t.Context(), process, process.Close), nil
		},
	}
	t.Run("broker", func(t *testing.T) { conform(t, w) })
	w.kill = func() error { return syscall.Kill(process.Stats().PID, syscall.SIGKILL) }
	t.Run("killed", func(t *testing.T) { conform(t, w) })
}

func TestSettings(t *testing.T) {
	for config, ok := range map[string]bool{
		`{"topic":"a","client_id":"b"}`: true, `{"topic":"a"}`: false, `{"client_id":"b"}`: false, `{"topic":"a","client_id":"b","tpoic":"c"}`: false,
	} {
		source, err := newSource([]byte(config))
		if (err == nil) != ok {
			t.Errorf("%s: %v", config, err)
		}
		if err == nil {
			source.Close()
		}
	}
}
