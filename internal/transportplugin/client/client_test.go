package client

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/eiffelbridge/eiffelbridge/internal/transportplugin/wire"
	"github.com/eiffelbridge/eiffelbridge/plugins/pluginv1"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

// badPlugin is a plugin whose streams are functions, numbered from 0.
type badPlugin struct {
	pluginv1.UnimplementedSourceServiceServer
	pluginv1.UnimplementedSinkServiceServer
	receive func(n int, stream grpc.BidiStreamingServer[pluginv1.ReceiveRequest, pluginv1.ReceiveResponse]) error
	publish func(n int, stream grpc.BidiStreamingServer[pluginv1.PublishRequest, pluginv1.PublishResponse]) error

	conn *grpc.ClientConn

	lock    sync.Mutex
	streams int
	failed  []error
}

func (p *badPlugin) number() int {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.streams++
	return p.streams - 1
}

func (p *badPlugin) failures() []error {
	p.lock.Lock()
	defer p.lock.Unlock()
	return slices.Clone(p.failed)
}

func (p *badPlugin) Receive(stream grpc.BidiStreamingServer[pluginv1.ReceiveRequest, pluginv1.ReceiveResponse]) error {
	return p.receive(p.number(), stream)
}

func (p *badPlugin) Publish(stream grpc.BidiStreamingServer[pluginv1.PublishRequest, pluginv1.PublishResponse]) error {
	return p.publish(p.number(), stream)
}

func (p *badPlugin) Connect(ctx context.Context) (Connection, error) {
	return Connection{ClientConnInterface: p.conn, Worked: func() {}, Fail: func(err error) {
		p.lock.Lock()
		defer p.lock.Unlock()
		p.failed = append(p.failed, err)
	}}, ctx.Err()
}

func (p *badPlugin) Health() error                 { return nil }
func (p *badPlugin) Release(context.Context) error { return nil }

func serveBad(t *testing.T, p *badPlugin) *badPlugin {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer(grpc.MaxRecvMsgSize(wire.MaxMessage), grpc.MaxSendMsgSize(wire.MaxMessage))
	pluginv1.RegisterSourceServiceServer(server, p)
	pluginv1.RegisterSinkServiceServer(server, p)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	var err error
	p.conn, err = grpc.NewClient("passthrough:///test",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(wire.MaxMessage), grpc.MaxCallSendMsgSize(wire.MaxMessage)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.conn.Close()
		server.Stop()
		serving.Wait()
		noGoroutines(t)
	})
	return p
}

// noGoroutines expects that nothing of this package runs any more.
func noGoroutines(t *testing.T) {
	t.Helper()
	var left []string
	for range 200 {
		buf := make([]byte, 1<<20)
		left = slices.DeleteFunc(strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n"), func(stack string) bool {
			return !strings.Contains(stack, "transportplugin/client.(*") || strings.Contains(stack, "testing.tRunner")
		})
		if len(left) == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("left running:\n%s", strings.Join(left, "\n\n"))
}

var silent = slog.New(slog.DiscardHandler)

func deliver(tag uint64, data string) *pluginv1.ReceiveResponse {
	return &pluginv1.ReceiveResponse{Kind: &pluginv1.ReceiveResponse_Delivery{Delivery: &pluginv1.Delivery{Tag: tag, Message: &pluginv1.Message{Data: []byte(data)}}}}
}

func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for range 5000 {
		if condition() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("%s: not within 5 s", what)
}

// Each fault ends its stream and the incarnation; the source goes on with the next stream, where nothing is wrong.
func TestSourceSurvivesPluginsThatBreakTheProtocol(t *testing.T) {
	for name, c := range map[string]struct {
		fault func(stream grpc.BidiStreamingServer[pluginv1.ReceiveRequest, pluginv1.ReceiveResponse])
		want  string // empty: no violation, only a lost stream
	}{
		"more than its credit": {func(s grpc.BidiStreamingServer[pluginv1.ReceiveRequest, pluginv1.ReceiveResponse]) {
			for i := range uint64(sourceWindow + 1) {
				s.Send(deliver(i+1, "bad"))
			}
		}, "more than there was credit for"},
		"the same tag": {func(s grpc.BidiStreamingServer[pluginv1.ReceiveRequest, pluginv1.ReceiveResponse]) {
			s.Send(deliver(7, "bad"))
			s.Send(deliver(7, "bad"))
		}, "two deliveries have tag 7"},
		"no message": {func(s grpc.BidiStreamingServer[pluginv1.ReceiveRequest, pluginv1.ReceiveResponse]) {
			s.Send(&pluginv1.ReceiveResponse{Kind: &pluginv1.ReceiveResponse_Delivery{Delivery: &pluginv1.Delivery{Tag: 1}}})
		}, "has no message"},
		"finished too early": {func(s grpc.BidiStreamingServer[pluginv1.ReceiveRequest, pluginv1.ReceiveResponse]) {
			s.Send(deliver(1, "bad"))
			s.Send(&pluginv1.ReceiveResponse{Kind: &pluginv1.ReceiveResponse_Finished{Finished: &pluginv1.Finished{}}})
		}, "not settled"},
		"something after the end": {func(s grpc.BidiStreamingServer[pluginv1.ReceiveRequest, pluginv1.ReceiveResponse]) {
			s.Send(&pluginv1.ReceiveResponse{Kind: &pluginv1.ReceiveResponse_Finished{Finished: &pluginv1.Finished{}}})
			s.Send(deliver(1, "bad"))
		}, "after the source's end"},
		"ends without a word": {func(s grpc.BidiStreamingServer[pluginv1.ReceiveRequest, pluginv1.ReceiveResponse]) {
			s.Send(deliver(1, "bad"))
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := serveBad(t, &badPlugin{receive: func(n int, s grpc.BidiStreamingServer[pluginv1.ReceiveRequest, pluginv1.ReceiveResponse]) error {
				if first, err := s.Recv(); err != nil || first.GetCredit().GetDeliveries() != sourceWindow {
					t.Errorf("the first request is %v, %v", first, err)
				}
				if n == 0 {
					c.fault(s)
					return nil
				}
				s.Send(&pluginv1.ReceiveResponse{Kind: &pluginv1.ReceiveResponse_Health{Health: &pluginv1.Health{}}})
				s.Send(deliver(1, "good"))
				for {
					m, err := s.Recv()
					if err != nil {
						return err
					}
					if m.GetDrain() != nil {
						return nil
					}
				}
			}})
			source := NewSource("bad", p, silent)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var lock sync.Mutex
			var stale []transport.Delivery
			good := 0
			returned := make(chan error, 1)
			go func() {
				returned <- source.Receive(ctx, func(ctx context.Context, d transport.Delivery) error {
					if name == "more than its credit" && string(d.Message.Data) == "bad" {
						<-ctx.Done() // what is taken is good for new credit
						return ctx.Err()
					}
					lock.Lock()
					defer lock.Unlock()
					if string(d.Message.Data) == "good" {
						good++
						d.Settle(transport.Settlement{Outcome: transport.Accepted})
						return nil
					}
					stale = append(stale, d)
					return nil
				})
			}()
			await(t, "go on", func() bool {
				lock.Lock()
				defer lock.Unlock()
				return good == 1
			})
			lock.Lock()
			for _, d := range stale {
				d.Settle(transport.Settlement{Outcome: transport.Accepted}) // of a stream that is gone: without effect
			}
			lock.Unlock()
			if err := source.Health(); err != nil {
				t.Errorf("not healthy: %v", err)
			}
			cancel()
			if err := <-returned; err != nil {
				t.Errorf("receive returned %v", err)
			}
			failed := p.failures()
			switch {
			case c.want == "" && len(failed) > 0:
				t.Errorf("failed with %v", failed)
			case c.want != "" && (len(failed) != 1 || !strings.Contains(failed[0].Error(), c.want)):
				t.Errorf("failed with %v, want %q", failed, c.want)
			}
			if err := source.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestSourceThatCanNeverWork(t *testing.T) {
	p := serveBad(t, &badPlugin{receive: func(int, grpc.BidiStreamingServer[pluginv1.ReceiveRequest, pluginv1.ReceiveResponse]) error {
		return status.Error(codes.FailedPrecondition, "the queue is another than the settings say")
	}})
	source := NewSource("bad", p, silent)
	defer source.Close()
	err := source.Receive(t.Context(), nil)
	if err == nil || !strings.Contains(err.Error(), "plugin bad") || !strings.Contains(err.Error(), "another than") {
		t.Errorf("receive returned %v", err)
	}
	if source.Health() == nil {
		t.Error("healthy")
	}
}

// A plugin that makes no end after a drain is cut off by Close, and events of 16 MiB come through.
func TestSourceLargeEventsAndAPluginThatDoesNotDrain(t *testing.T) {
	large := strings.Repeat("x", wire.MaxEvent)
	p := serveBad(t, &badPlugin{receive: func(_ int, s grpc.BidiStreamingServer[pluginv1.ReceiveRequest, pluginv1.ReceiveResponse]) error {
		for i := range uint64(5) {
			s.Send(deliver(i+1, large))
		}
		s.Send(deliver(6, large+"x"))
		<-s.Context().Done()
		return nil
	}})
	source := NewSource("bad", p, silent)
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan transport.Delivery, 10)
	returned := make(chan error, 1)
	go func() {
		returned <- source.Receive(ctx, func(_ context.Context, d transport.Delivery) error {
			got <- d
			return nil
		})
	}()
	for i := range 6 {
		d := <-got
		if defect := d.Defect != nil && d.Defect.Code == transport.CodeTooLarge; defect != (i == 5) {
			t.Errorf("delivery %d of %d bytes: defect %v", i, len(d.Message.Data), d.Defect)
		}
	}
	cancel()
	select {
	case err := <-returned:
		t.Errorf("receive returned (%v) while deliveries were open", err)
	case <-time.After(20 * time.Millisecond):
	}
	source.Close()
	if err := <-returned; err != nil {
		t.Error(err)
	}
}

func outcome(tag uint64) *pluginv1.PublishResponse {
	return &pluginv1.PublishResponse{Kind: &pluginv1.PublishResponse_Outcome{Outcome: &pluginv1.PublishOutcome{Tag: tag}}}
}

// Each fault fails what is open exactly once, in a way that is worth a retry, and the sink goes on with the next stream.
func TestSinkSurvivesPluginsThatBreakTheProtocol(t *testing.T) {
	for name, c := range map[string]struct {
		fault func(s grpc.BidiStreamingServer[pluginv1.PublishRequest, pluginv1.PublishResponse], tags []uint64) error
		fine  int    // messages of three that are delivered all the same
		want  string // of the failure of the incarnation; empty: none
	}{
		"an unknown tag": {func(s grpc.BidiStreamingServer[pluginv1.PublishRequest, pluginv1.PublishResponse], tags []uint64) error {
			return errors.Join(s.Send(outcome(tags[0])), s.Send(outcome(99)))
		}, 1, "tag 99"},
		"a tag twice": {func(s grpc.BidiStreamingServer[pluginv1.PublishRequest, pluginv1.PublishResponse], tags []uint64) error {
			return errors.Join(s.Send(outcome(tags[1])), s.Send(outcome(tags[1])))
		}, 1, "not open"},
		"the stream ends": {func(s grpc.BidiStreamingServer[pluginv1.PublishRequest, pluginv1.PublishResponse], tags []uint64) error {
			return s.Send(outcome(tags[2]))
		}, 1, ""},
		"a status": {func(grpc.BidiStreamingServer[pluginv1.PublishRequest, pluginv1.PublishResponse], []uint64) error {
			return status.Error(codes.Internal, "panic")
		}, 0, ""},
		"it hangs": {func(s grpc.BidiStreamingServer[pluginv1.PublishRequest, pluginv1.PublishResponse], tags []uint64) error {
			err := s.Send(outcome(tags[0]))
			<-s.Context().Done()
			return err
		}, 1, "does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			p := serveBad(t, &badPlugin{publish: func(n int, s grpc.BidiStreamingServer[pluginv1.PublishRequest, pluginv1.PublishResponse]) error {
				s.Send(&pluginv1.PublishResponse{Kind: &pluginv1.PublishResponse_Health{Health: &pluginv1.Health{}}})
				for {
					m, err := s.Recv()
					if err != nil {
						return err
					}
					var tags []uint64
					for _, item := range m.GetItems() {
						tags = append(tags, item.GetTag())
					}
					if n == 0 {
						return c.fault(s, tags)
					}
					for _, tag := range tags {
						s.Send(outcome(tag))
					}
				}
			}})
			sink := newSink("bad", true, p, silent, 100*time.Millisecond)
			publish := func() (fine, failed int) {
				var lock sync.Mutex
				var calls [3]int
				var all sync.WaitGroup
				all.Add(3)
				sink.Publish(t.Context(), make([]transport.Message, 3), func(i int, err error) {
					lock.Lock()
					defer lock.Unlock()
					calls[i]++
					if calls[i] > 1 {
						t.Errorf("done for message %d was called %d times", i, calls[i])
						return
					}
					defer all.Done()
					switch {
					case err == nil:
						fine++
					case transport.IsPermanent(err):
						t.Errorf("permanent: %v", err)
						fallthrough
					default:
						failed++
					}
				})
				all.Wait()
				return fine, failed
			}
			if fine, failed := publish(); fine != c.fine || failed != 3-c.fine {
				t.Errorf("%d fine and %d failed, want %d fine", fine, failed, c.fine)
			}
			await(t, "go on", func() bool {
				fine, _ := publish()
				return fine == 3
			})
			failed := p.failures()
			switch {
			case c.want == "" && len(failed) > 0:
				t.Errorf("failed with %v", failed)
			case c.want != "" && (len(failed) != 1 || !strings.Contains(failed[0].Error(), c.want)):
				t.Errorf("failed with %v, want %q", failed, c.want)
			}
			if err := sink.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestSinkOutcomesKeepTheirMeaning(t *testing.T) {
	p := serveBad(t, &badPlugin{publish: func(_ int, s grpc.BidiStreamingServer[pluginv1.PublishRequest, pluginv1.PublishResponse]) error {
		for {
			m, err := s.Recv()
			if err != nil {
				return err
			}
			for _, item := range m.GetItems() {
				out := &pluginv1.PublishOutcome{Tag: item.GetTag()}
				switch string(item.GetMessage().GetData()) {
				case "permanent":
					out.Reason, out.Permanent = "never", true
				case "later":
					out.Reason, out.RetryAfterMillis = "busy", 1500
				}
				s.Send(&pluginv1.PublishResponse{Kind: &pluginv1.PublishResponse_Outcome{Outcome: out}})
			}
		}
	}})
	sink := NewSink("bad", true, p, silent)
	defer sink.Close(t.Context())
	large := make([]byte, wire.MaxEvent)
	messages := []transport.Message{{Data: []byte("fine")}, {Data: []byte("permanent")}, {Data: large}, {Data: append(large[:len(large):len(large)], 'x')}, {Data: []byte("later")}}
	errs := make([]error, len(messages))
	var all sync.WaitGroup
	all.Add(len(messages))
	sink.Publish(t.Context(), messages, func(i int, err error) {
		errs[i] = err
		all.Done()
	})
	all.Wait()
	if errs[0] != nil || errs[2] != nil {
		t.Errorf("fine messages failed: %v, %v", errs[0], errs[2])
	}
	if !transport.IsPermanent(errs[1]) || !transport.IsPermanent(errs[3]) || transport.IsPermanent(errs[4]) {
		t.Errorf("permanence: %v, %v, %v", errs[1], errs[3], errs[4])
	}
	if transport.RetryAfter(errs[4]) != 1500*time.Millisecond {
		t.Errorf("retry after %v", transport.RetryAfter(errs[4]))
	}
}
