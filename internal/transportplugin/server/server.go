// Package server serves the plugin protocol's SourceService and SinkService around drivers. It is the server's side of
// [sdk.ServeTransport], apart so that it can be tested without a process.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/eiffelbridge/eiffelbridge/internal/transportplugin/wire"
	"github.com/eiffelbridge/eiffelbridge/plugins/pluginv1"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

// Options are the drivers.
type Options struct {
	// Source makes a source from the plugin's configuration; nil: the plugin is none. It is called for every stream of deliveries,
	// since closing a source is what makes it give its open deliveries back.
	Source func(config []byte) (transport.Source, error)
	// Sink makes the sink, once; nil: the plugin is none.
	Sink func(config []byte) (transport.Sink, error)
	// Ordered is what the sink's Ordered says.
	Ordered bool
	Logger  func() *slog.Logger // nil: nothing is logged
}

// healthEvery is how often a driver is asked for its health, which has no notification. The first looks come sooner.
const healthEvery = 100 * time.Millisecond

// Server serves both services. It is used as a source, or as a sink, or both, as Configure says.
type Server struct {
	options Options
	config  []byte

	closing   chan struct{} // closed by Shutdown
	closeOnce sync.Once
	ended     chan struct{} // closed when the sink is closed
	streams   sync.WaitGroup

	lock   sync.Mutex
	source bool             // it is used as one
	first  transport.Source // made by Configure, for the first stream
	sink   transport.Sink
	refuse error // why there are no streams (any more)

	receiving chan struct{} // holds a token while a stream of deliveries is open
}

// New makes a server that must be configured.
func New(o Options) *Server {
	if o.Logger == nil {
		discard := slog.New(slog.DiscardHandler)
		o.Logger = func() *slog.Logger { return discard }
	}
	return &Server{
		options: o, closing: make(chan struct{}), ended: make(chan struct{}), receiving: make(chan struct{}, 1),
		refuse: errors.New("the plugin is not configured"),
	}
}

// Register adds the services that there are drivers for.
func (s *Server) Register(r grpc.ServiceRegistrar) {
	if s.options.Source != nil {
		pluginv1.RegisterSourceServiceServer(r, &sourceServer{Server: s})
	}
	if s.options.Sink != nil {
		pluginv1.RegisterSinkServiceServer(r, &sinkServer{Server: s})
	}
}

// Configure makes the drivers that are asked for, so that a wrong configuration is known now. It is called once.
func (s *Server) Configure(config []byte, asSource, asSink bool) (err error) {
	switch {
	case asSource && s.options.Source == nil:
		return errors.New("this plugin is no source")
	case asSink && s.options.Sink == nil:
		return errors.New("this plugin is no sink")
	}
	s.lock.Lock()
	defer s.lock.Unlock()
	s.config, s.source = config, asSource
	if asSource {
		if s.first, err = s.options.Source(config); err != nil {
			return err
		}
	}
	if asSink {
		s.sink, err = s.options.Sink(config)
		if err == nil && s.options.Ordered && !s.sink.Ordered() {
			err = errors.New("the plugin says that it keeps the order, and its sink says that it does not")
		}
		if err != nil {
			if s.first != nil {
				err = errors.Join(err, s.first.Close())
				s.first = nil
			}
			return err
		}
	}
	s.refuse = nil
	return nil
}

// Shutdown stops taking deliveries and waits for what is in flight, both ways, until ctx ends; what is open then fails. It ends all
// streams.
func (s *Server) Shutdown(ctx context.Context) error {
	var err error
	s.closeOnce.Do(func() {
		s.lock.Lock()
		s.refuse = errors.New("the plugin is shutting down")
		first, sink := s.first, s.sink
		s.first = nil
		s.lock.Unlock()
		close(s.closing)
		if first != nil {
			err = first.Close()
		}
		if sink != nil {
			err = errors.Join(err, sink.Close(ctx))
		}
		close(s.ended)
	})
	streams := make(chan struct{})
	go func() {
		defer close(streams)
		s.streams.Wait()
	}()
	select {
	case <-streams:
	case <-ctx.Done():
		err = errors.Join(err, ctx.Err())
	}
	return err
}

// begin counts a stream, unless there must be none. It is undone by s.streams.Done.
func (s *Server) begin() error {
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.refuse != nil {
		return status.Error(codes.Unavailable, s.refuse.Error())
	}
	s.streams.Add(1)
	return nil
}

// newSource gives the source for a stream of deliveries.
func (s *Server) newSource() (transport.Source, error) {
	s.lock.Lock()
	source := s.first
	s.first = nil
	s.lock.Unlock()
	if source != nil {
		return source, nil
	}
	return s.options.Source(s.config)
}

// teller tells the host about a driver's health: at the beginning, and when it has changed.
type teller struct {
	health func() error
	send   func(*pluginv1.Health) error

	lock sync.Mutex
	last string
	told bool
	sick atomic.Bool // as far as the host knows
}

func newTeller(health func() error, send func(*pluginv1.Health) error) *teller {
	t := &teller{health: health, send: send}
	t.sick.Store(true)
	return t
}

func (t *teller) tell() error {
	t.lock.Lock()
	defer t.lock.Unlock()
	reason := wire.Reason(t.health())
	if t.told && reason == t.last {
		return nil
	}
	if err := t.send(&pluginv1.Health{Reason: reason}); err != nil {
		return err
	}
	t.last, t.told = reason, true
	t.sick.Store(reason != "")
	return nil
}

// works is called when something has come through, before the host hears of that: it must not believe then that nothing can.
func (t *teller) works() {
	if t.sick.Load() {
		_ = t.tell() // an error of the stream shows elsewhere
	}
}

// watch looks until stop is closed.
func (t *teller) watch(stop <-chan struct{}) {
	pause := time.Millisecond
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-stop:
			return
		case <-timer.C:
		}
		if t.tell() != nil {
			return
		}
		pause = min(2*pause, healthEvery)
		timer.Reset(pause)
	}
}

var errStreamEnded = errors.New("the stream of deliveries has ended")

type sourceServer struct {
	pluginv1.UnimplementedSourceServiceServer
	*Server
}

// Receive implements the service: a source of its own for each stream.
func (s *sourceServer) Receive(stream grpc.BidiStreamingServer[pluginv1.ReceiveRequest, pluginv1.ReceiveResponse]) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.streams.Done()
	s.lock.Lock()
	configured := s.source
	s.lock.Unlock()
	if !configured {
		return status.Error(codes.FailedPrecondition, "the plugin is not configured as a source")
	}
	// An older stream may be on its way out.
	select {
	case s.receiving <- struct{}{}:
	case <-s.closing:
		return status.Error(codes.Unavailable, "the plugin is shutting down")
	case <-stream.Context().Done():
		return status.FromContextError(stream.Context().Err()).Err()
	}
	source, err := s.newSource()
	if err != nil {
		<-s.receiving
		return status.Error(codes.Unavailable, err.Error()) // as it was made once, it may be again
	}
	r := &receiving{stream: stream, open: map[uint64]func(transport.Settlement){}, void: make(chan struct{})}
	r.teller = newTeller(source.Health, func(h *pluginv1.Health) error {
		return r.send(&pluginv1.ReceiveResponse{Kind: &pluginv1.ReceiveResponse_Health{Health: h}})
	})
	ctx, drain := context.WithCancel(context.WithoutCancel(stream.Context()))
	defer drain()
	defer context.AfterFunc(stream.Context(), func() {
		r.end()
		drain()
	})()
	// The reading goes on until gRPC ends the stream, which it does when this function has returned.
	go func() {
		r.read(drain)
		r.end()
		if err := source.Close(); err != nil {
			s.options.Logger().Warn("closing the source", "error", err)
		}
		<-s.receiving
	}()
	stop := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() { r.teller.watch(stop) })
	watching.Go(func() {
		select {
		case <-s.closing:
			r.note(func() { r.shut = true })
			drain()
		case <-stop:
		}
	})
	err = source.Receive(ctx, r.handle)
	close(stop)
	watching.Wait()
	shut, drained, lost := r.state()
	switch {
	case lost:
		err = status.Error(codes.Canceled, errStreamEnded.Error())
	case err != nil:
		// The driver says that it can never work.
		err = status.Error(codes.FailedPrecondition, err.Error())
	case drained:
	case shut:
		err = status.Error(codes.Unavailable, "the plugin is shutting down")
	default:
		err = r.send(&pluginv1.ReceiveResponse{Kind: &pluginv1.ReceiveResponse_Finished{Finished: &pluginv1.Finished{}}})
	}
	r.end()
	return err
}

// receiving is one stream of deliveries.
type receiving struct {
	stream grpc.BidiStreamingServer[pluginv1.ReceiveRequest, pluginv1.ReceiveResponse]
	teller *teller
	void   chan struct{} // closed when the stream is of no use any more

	sending sync.Mutex // one Send at a time, none after the end

	lock          sync.Mutex
	credit        uint64
	more          chan struct{} // closed with new credit; nil if nobody waits
	open          map[uint64]func(transport.Settlement)
	last          uint64 // tag
	ended         bool
	shut, drained bool
}

func (r *receiving) note(f func()) {
	r.lock.Lock()
	defer r.lock.Unlock()
	f()
}

func (r *receiving) state() (shut, drained, lost bool) {
	r.lock.Lock()
	defer r.lock.Unlock()
	return r.shut, r.drained, r.ended
}

// end makes every tag void.
func (r *receiving) end() {
	r.lock.Lock()
	defer r.lock.Unlock()
	if !r.ended {
		r.ended = true
		clear(r.open)
		close(r.void)
	}
}

func (r *receiving) send(m *pluginv1.ReceiveResponse) error {
	r.sending.Lock()
	defer r.sending.Unlock()
	select {
	case <-r.void:
		return errStreamEnded
	default:
	}
	return r.stream.Send(m)
}

// read takes what the host says, until the stream ends.
func (r *receiving) read(drain func()) {
	for {
		m, err := r.stream.Recv()
		if err != nil {
			return
		}
		switch {
		case m.GetCredit() != nil:
			r.lock.Lock()
			r.credit += uint64(m.GetCredit().GetDeliveries())
			if r.more != nil {
				close(r.more)
				r.more = nil
			}
			r.lock.Unlock()
		case m.GetSettlement() != nil:
			tag := m.GetSettlement().GetTag()
			r.lock.Lock()
			settle := r.open[tag]
			delete(r.open, tag)
			r.lock.Unlock()
			if settle != nil {
				settle(wire.ToSettlement(m.GetSettlement()))
			}
		case m.GetDrain() != nil:
			r.note(func() { r.drained = true })
			drain()
		}
	}
}

// handle is the source's handler. It blocks while there is no credit.
func (r *receiving) handle(ctx context.Context, d transport.Delivery) error {
	for {
		r.lock.Lock()
		if r.ended {
			r.lock.Unlock()
			return errStreamEnded
		}
		if ctx.Err() != nil {
			r.lock.Unlock()
			return ctx.Err()
		}
		if r.credit > 0 {
			break
		}
		if r.more == nil {
			r.more = make(chan struct{})
		}
		more := r.more
		r.lock.Unlock()
		select {
		case <-more:
		case <-r.void:
		case <-ctx.Done():
		}
	}
	r.credit--
	r.last++
	tag := r.last
	r.open[tag] = d.Settle
	r.lock.Unlock()
	out := &pluginv1.Delivery{Tag: tag, Message: wire.FromMessage(&d.Message), Redelivered: d.Redelivered}
	if d.Defect != nil {
		out.Defect = &pluginv1.Defect{Code: d.Defect.Code, Message: d.Defect.Message}
	}
	if len(out.Message.Data) > wire.MaxEvent {
		// The host must see it, for the dead letters, but can only see so much of it.
		if out.Defect == nil {
			out.Defect = &pluginv1.Defect{Code: transport.CodeTooLarge, Message: fmt.Sprintf(
				"%d bytes are more than the %d that a plugin can hand over; this is their beginning", len(d.Message.Data), wire.MaxEvent)}
		}
		out.Message.Data = out.Message.Data[:wire.MaxEvent]
	}
	r.teller.works()
	if err := r.send(&pluginv1.ReceiveResponse{Kind: &pluginv1.ReceiveResponse_Delivery{Delivery: out}}); err != nil {
		r.note(func() { delete(r.open, tag) })
		return err
	}
	return nil
}

type sinkServer struct {
	pluginv1.UnimplementedSinkServiceServer
	*Server
}

// Publish implements the service: all streams share the sink.
func (s *sinkServer) Publish(stream grpc.BidiStreamingServer[pluginv1.PublishRequest, pluginv1.PublishResponse]) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.streams.Done()
	s.lock.Lock()
	sink := s.sink
	s.lock.Unlock()
	if sink == nil {
		return status.Error(codes.FailedPrecondition, "the plugin is not configured as a sink")
	}
	p := &publishing{stream: stream, idle: make(chan struct{})}
	p.teller = newTeller(sink.Health, func(h *pluginv1.Health) error {
		return p.send(&pluginv1.PublishResponse{Kind: &pluginv1.PublishResponse_Health{Health: h}})
	})
	read := make(chan error, 1)
	go func() { read <- p.read(stream.Context(), sink) }()
	stop := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() { p.teller.watch(stop) })
	err := func() error {
		select {
		case err := <-read:
			if err != nil {
				return err
			}
			// The host sends no more, and waits for the rest of the outcomes.
			select {
			case <-p.idle:
				return nil
			case <-stream.Context().Done():
				return status.FromContextError(stream.Context().Err()).Err()
			}
		case <-s.ended:
			return status.Error(codes.Unavailable, "the plugin is shutting down")
		}
	}()
	close(stop)
	watching.Wait()
	p.end()
	return err
}

// publishing is one stream of messages.
type publishing struct {
	stream grpc.BidiStreamingServer[pluginv1.PublishRequest, pluginv1.PublishResponse]
	teller *teller

	sending sync.Mutex // one Send at a time, none after the end
	ended   bool

	lock sync.Mutex
	open int
	last bool          // no more messages will come
	idle chan struct{} // closed when nothing is open after the last
}

func (p *publishing) end() {
	p.sending.Lock()
	defer p.sending.Unlock()
	p.ended = true
}

func (p *publishing) send(m *pluginv1.PublishResponse) error {
	p.sending.Lock()
	defer p.sending.Unlock()
	if p.ended {
		return errStreamEnded
	}
	return p.stream.Send(m)
}

// read hands over what the host sends; a sink that blocks stops the reading, and so, by way of gRPC, the host. It returns nil when the
// host has sent everything.
func (p *publishing) read(ctx context.Context, sink transport.Sink) error {
	for {
		m, err := p.stream.Recv()
		if err != nil {
			if ctx.Err() != nil {
				return status.FromContextError(ctx.Err()).Err()
			}
			p.count(0, true)
			return nil // io.EOF; anything else has ended ctx
		}
		items := m.GetItems()
		messages := make([]transport.Message, len(items))
		for i, item := range items {
			messages[i] = wire.ToMessage(item.GetMessage())
		}
		p.count(len(items), false)
		var once sync.Mutex
		done := make([]bool, len(items)) // a driver that answers twice must not confuse the host
		sink.Publish(ctx, messages, func(i int, err error) {
			once.Lock()
			again := done[i]
			done[i] = true
			once.Unlock()
			if again {
				return
			}
			if err == nil {
				p.teller.works()
			}
			// An error of the stream shows in the reading too.
			_ = p.send(&pluginv1.PublishResponse{Kind: &pluginv1.PublishResponse_Outcome{Outcome: wire.FromError(items[i].GetTag(), err)}})
			p.count(-1, false)
		})
	}
}

func (p *publishing) count(n int, last bool) {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.open += n
	p.last = p.last || last
	if p.last && p.open == 0 {
		select {
		case <-p.idle:
		default:
			close(p.idle)
		}
	}
}
