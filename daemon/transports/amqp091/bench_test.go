//go:build unix

package amqp091

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/eiffelbridge/eiffelbridge/internal/rabbittest"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

// benchMessage is as large as an Eiffel event with a link or two.
func benchMessage() transport.Message {
	m := eiffelMessage
	m.Data = []byte(`"` + strings.Repeat("x", 1000) + `"`)
	return m
}

func benchPublish(b *testing.B, window, batch int, gather bool) {
	server := rabbittest.Shared(b)
	s := DefaultSettings()
	s.URL = server.URL()
	s.Exchange = strings.ReplaceAll(b.Name(), "/", "-")
	s.Queue, s.ConfirmWindow = s.Exchange, window
	ch := declare(b, server, s)
	sink := newSink(s, nil)
	sink.gather = gather
	sink.start()
	messages := make([]transport.Message, batch)
	for i := range messages {
		messages[i] = benchMessage()
	}
	for _, err := range publish(b, sink, messages[0]) { // connected
		if err != nil {
			b.Fatal(err)
		}
	}
	var open sync.WaitGroup
	used := processorTime(b)
	b.ResetTimer()
	for i := 0; i < b.N; i += batch {
		part := messages[:min(batch, b.N-i)]
		open.Add(len(part))
		sink.Publish(context.Background(), part, func(_ int, err error) {
			if err != nil {
				b.Error(err)
			}
			open.Done()
		})
	}
	open.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
	// The broker is the slower of the two, so what the sink saves shows here.
	b.ReportMetric(float64((processorTime(b)-used).Nanoseconds())/float64(b.N), "cpu-ns/op")
	if err := sink.Close(context.Background()); err != nil {
		b.Error(err)
	}
	ch.QueueDelete(s.Queue, false, false, false)
}

// processorTime is what this process has used, the broker not included.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkPublish publishes 1 kB messages to a quorum queue, one by one and some at a time, with the writes to the socket
// gathered and not.
func BenchmarkPublish(b *testing.B) {
	for _, window := range []int{1, 64, 256} {
		for _, batch := range []int{1, 16} {
			if window == 1 && batch > 1 {
				continue
			}
			for _, gather := range []bool{true, false} {
				b.Run(fmt.Sprintf("window=%d/batch=%d/gather=%v", window, batch, gather), func(b *testing.B) {
					benchPublish(b, window, batch, gather)
				})
			}
		}
	}
}

// BenchmarkConsume settles at once, which makes acknowledgements of one, and in groups, which fills the "multiple".
func BenchmarkConsume(b *testing.B) {
	for _, group := range []int{1, 8, 32, 128} {
		b.Run(fmt.Sprintf("group=%d", group), func(b *testing.B) {
			server := rabbittest.Shared(b)
			s := DefaultSettings()
			s.URL = server.URL()
			s.Exchange = strings.ReplaceAll(b.Name(), "/", "-")
			s.Queue = s.Exchange
			ch := declare(b, server, s)
			sink, err := NewSink(s, nil)
			if err != nil {
				b.Fatal(err)
			}
			messages := make([]transport.Message, b.N)
			for i := range messages {
				messages[i] = benchMessage()
			}
			publish(b, sink, messages...)
			sink.Close(context.Background())
			source, err := NewSource(s, nil)
			if err != nil {
				b.Fatal(err)
			}
			ctx, stop := context.WithCancel(context.Background())
			defer stop()
			var open []transport.Delivery
			n := 0
			b.ResetTimer()
			err = source.Receive(ctx, func(_ context.Context, d transport.Delivery) error {
				open = append(open, d)
				if n++; len(open) >= group || n == b.N {
					for _, d := range open {
						d.Settle(transport.Settlement{Outcome: transport.Accepted})
					}
					open = open[:0]
				}
				if n == b.N {
					stop()
				}
				return nil
			})
			b.StopTimer()
			if err != nil {
				b.Error(err)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
			source.Close()
			ch.QueueDelete(s.Queue, false, false, false)
		})
	}
}

// BenchmarkEncode is what the driver adds to a message before the client library has it.
func BenchmarkEncode(b *testing.B) {
	m := benchMessage()
	for _, format := range []string{FormatEiffel, FormatStructured, FormatBinary} {
		b.Run(format, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				encode(m, format, "eiffelbridge")
				RoutingKey(m)
			}
		})
	}
}
