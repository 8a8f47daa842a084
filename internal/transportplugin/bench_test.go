package transportplugin_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/plugins/host"
	"github.com/eiffelbridge/eiffelbridge/plugins/sdk"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

// TestMain makes the test's binary a plugin when the host starts it as one.
func TestMain(m *testing.M) {
	if os.Getenv(host.CookieName) == "" {
		os.Exit(m.Run())
	}
	err := sdk.ServeTransport(sdk.TransportOptions{
		Name: "memory", Ordered: true,
		Source: func([]byte) (transport.Source, error) { return newEndless(), nil },
		Sink:   func([]byte) (transport.Sink, error) { return nothing{}, nil },
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// benchMessage has about the size of an event with its original carried along.
func benchMessage() transport.Message {
	return transport.Message{
		Protocol: transport.CDEvents, ID: "271069a8-fc18-44f1-b38f-9d70a1695819", Source: "/event/source/123", Type: "dev.cdevents.service.deployed.0.3.0",
		Subject: "pkg:generic/shop@1.0.0", Time: "2026-03-01T08:00:00.000Z", Data: []byte(`{"text":"` + strings.Repeat("x", 2000) + `"}`),
	}
}

// endless is a source with no outside: a window of deliveries, and another for each that is settled.
type endless struct {
	slots  chan struct{}
	closed chan struct{}
	once   sync.Once
}

func newEndless() *endless {
	return &endless{slots: make(chan struct{}, 256), closed: make(chan struct{})}
}

func (s *endless) Receive(ctx context.Context, handle transport.Handler) error {
	m := benchMessage()
	for {
		select {
		case s.slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		case <-s.closed:
			return nil
		}
		if handle(ctx, transport.Delivery{Message: m, Settle: func(transport.Settlement) { <-s.slots }}) != nil {
			<-s.slots
		}
	}
}

func (s *endless) Health() error { return nil }

func (s *endless) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

// nothing is a sink that takes everything.
type nothing struct{}

func (nothing) Publish(_ context.Context, messages []transport.Message, done func(int, error)) {
	for i := range messages {
		done(i, nil)
	}
}

func (nothing) Ordered() bool               { return true }
func (nothing) Health() error               { return nil }
func (nothing) Close(context.Context) error { return nil }

func start(b *testing.B, s host.Settings) *host.Process {
	b.Helper()
	s.Name, s.Path, s.Dev = "memory", os.Args[0], true
	p, err := host.Start(s)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := p.Wait(b.Context()); err != nil {
		b.Fatal(err)
	}
	return p
}

// BenchmarkDeliveries is what a source gives whose deliveries are accepted at once.
func BenchmarkDeliveries(b *testing.B) {
	run := func(b *testing.B, source transport.Source) {
		ctx, cancel := context.WithCancel(b.Context())
		defer cancel()
		var n atomic.Int64
		b.ResetTimer()
		err := source.Receive(ctx, func(_ context.Context, d transport.Delivery) error {
			d.Settle(transport.Settlement{Outcome: transport.Accepted})
			if n.Add(1) == int64(b.N) {
				b.StopTimer()
				cancel()
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "deliveries/s")
		if err := source.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("in_process", func(b *testing.B) { run(b, newEndless()) })
	b.Run("plugin", func(b *testing.B) {
		p := start(b, host.Settings{AsSource: true})
		run(b, host.NewSource(p, p.Close))
	})
}

// BenchmarkPublishes is what a sink takes, 1024 messages in flight, for calls of one message and of 16.
func BenchmarkPublishes(b *testing.B) {
	run := func(b *testing.B, batch int, sink transport.Sink) {
		messages := make([]transport.Message, batch)
		for i := range messages {
			messages[i] = benchMessage()
		}
		var open sync.WaitGroup
		b.ResetTimer()
		for range b.N {
			open.Add(batch)
			sink.Publish(b.Context(), messages, func(_ int, err error) {
				if err != nil {
					b.Error(err)
				}
				open.Done()
			})
		}
		open.Wait()
		b.StopTimer()
		b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "publishes/s")
		if err := sink.Close(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	for _, batch := range []int{1, 16} {
		b.Run(fmt.Sprintf("in_process/%d", batch), func(b *testing.B) { run(b, batch, nothing{}) })
		b.Run(fmt.Sprintf("plugin/%d", batch), func(b *testing.B) {
			p := start(b, host.Settings{AsSink: true})
			run(b, batch, host.NewSink(b.Context(), p, p.Close))
		})
	}
}
