package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/eiffelbridge/eiffelbridge/internal/transportplugin/wire"
	"github.com/eiffelbridge/eiffelbridge/plugins/pluginv1"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

var _ transport.Source = (*Source)(nil)

const (
	// sourceWindow is how many deliveries a plugin may have made that the handler has not taken yet. It has to cover what
	// is on the way between the processes, and no more: what waits here waits for its settlement too.
	sourceWindow = 64
	// sourceBytes is how much of them may wait here; beyond it, and so for large events only, gRPC holds the plugin back.
	sourceBytes = 32 << 20
	// drainPatience is how long a plugin may take to end its stream after Drain when everything is settled.
	drainPatience = 10 * time.Second
)

var (
	errSourceClosed = errors.New("the source is closed")
	errStopped      = errors.New("stopped")
)

// Source is a transport plugin as a source. It outlives the plugin's processes: when one ends, what was not settled is delivered
// again by the next one, and settlements that come after that have no effect.
//
// Receive hands over from one goroutine, in the order of the plugin's deliveries. A delivery that the handler does not take is settled
// as retried. Receive may be called once at a time; the other methods may be called concurrently.
type Source struct {
	name string
	link Link
	log  *slog.Logger

	life context.Context // ends with Close
	end  context.CancelFunc

	lock     sync.Mutex
	running  chan struct{} // closed when the Receive under way returns; nil if there is none
	obstacle error         // why no deliveries come in
	released bool
}

// NewSource makes the source of a plugin with a name. log must not be nil.
func NewSource(name string, l Link, log *slog.Logger) *Source {
	life, end := context.WithCancel(context.Background())
	return &Source{name: name, link: l, log: log.With("side", "source"), life: life, end: end, obstacle: errors.New("not receiving yet")}
}

func (s *Source) failed(err error) error { return fmt.Errorf("plugin %s: %w", s.name, err) }

// Receive takes deliveries until ctx ends or the source is closed, or comes to its end, and returns nil then. An error is the
// plugin's word that it can never work.
func (s *Source) Receive(ctx context.Context, handle transport.Handler) error {
	s.lock.Lock()
	switch {
	case s.life.Err() != nil:
		s.lock.Unlock()
		return nil
	case s.running != nil:
		s.lock.Unlock()
		return s.failed(errors.New("there is a Receive under way"))
	}
	running := make(chan struct{})
	s.running = running
	s.obstacle = errors.New("waiting for the plugin")
	s.lock.Unlock()

	err := s.receive(ctx, handle)

	s.lock.Lock()
	s.running = nil
	switch {
	case err != nil:
		s.obstacle = err
	case s.life.Err() == nil && ctx.Err() == nil:
		s.obstacle = errors.New("at its end")
	default:
		s.obstacle = errStopped
	}
	s.lock.Unlock()
	close(running)
	if err != nil {
		return s.failed(err)
	}
	return nil
}

// receive keeps a stream open until ctx ends, the source is closed or at its end.
func (s *Source) receive(ctx context.Context, handle transport.Handler) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.life, cancel)()
	var b backoff
	said := "" // the log is to say once what goes on
	for {
		c, err := s.link.Connect(ctx)
		if err == nil {
			var finished bool
			began := time.Now()
			finished, err = s.serve(ctx, c, handle)
			if time.Since(began) > streamSteady {
				b, said = backoff{}, ""
			}
			if finished {
				return nil
			}
			if ctx.Err() == nil && hopeless(err) {
				return lossReason(err)
			}
		}
		if ctx.Err() != nil {
			return nil
		}
		reason := lossReason(err)
		s.setObstacle(reason)
		if reason.Error() != said {
			s.log.Warn("no deliveries; trying on", "error", reason)
			said = reason.Error()
		}
		if !pause(ctx, b.failed(c.ClientConnInterface)) {
			return nil
		}
	}
}

func (s *Source) setObstacle(err error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.obstacle = err
}

// Health is nil while the plugin runs and says that deliveries can come in.
func (s *Source) Health() error {
	s.lock.Lock()
	obstacle := s.obstacle
	s.lock.Unlock()
	if s.life.Err() != nil {
		return s.failed(errSourceClosed)
	}
	if obstacle != nil {
		return s.failed(obstacle)
	}
	return s.link.Health()
}

// Close ends a Receive under way, without waiting for settlements, and waits until it has returned. It must not be called from the
// handler.
func (s *Source) Close() error {
	s.end()
	s.lock.Lock()
	running := s.running
	release := !s.released
	s.released = true
	s.lock.Unlock()
	if running != nil {
		<-running
	}
	if !release {
		return nil
	}
	return s.link.Release(context.Background())
}

// serve receives on one stream, and tells whether the source has come to its end.
func (s *Source) serve(ctx context.Context, c Connection, handle transport.Handler) (finished bool, err error) {
	// ctx asks for a drain; only Close ends the stream at once.
	streamCtx, cancel := context.WithCancel(s.life)
	defer cancel()
	stream, err := pluginv1.NewSourceServiceClient(c).Receive(streamCtx)
	if err != nil {
		return false, err
	}
	r := &receiving{
		source: s, stream: stream, cancel: cancel, worked: c.Worked,
		open: map[uint64]*pluginv1.Delivery{}, out: make(chan struct{}, 1), arrived: make(chan struct{}, 1), room: make(chan struct{}, 1),
		lost: make(chan struct{}), idle: make(chan struct{}),
	}
	r.grant(sourceWindow)
	var workers sync.WaitGroup
	workers.Go(r.read)
	workers.Go(r.write)
	r.handOver(ctx, handle)
	if ctx.Err() != nil {
		r.drain(s.life)
	}
	cancel()
	workers.Wait()
	var v *violation
	if errors.As(r.err, &v) && ctx.Err() == nil {
		c.Fail(v)
	}
	return r.finished, r.err
}

// receiving is one stream of deliveries. Tags mean something within it only.
type receiving struct {
	source *Source
	stream grpc.BidiStreamingClient[pluginv1.ReceiveRequest, pluginv1.ReceiveResponse]
	cancel context.CancelFunc
	worked func()

	arrived chan struct{} // queue is not empty
	room    chan struct{} // there is less in the queue
	out     chan struct{} // there is something to send
	lost    chan struct{} // closed when the stream has ended; err and finished are set before
	idle    chan struct{} // closed when nothing is open after draining has begun

	err      error
	finished bool

	lock     sync.Mutex
	queue    []*pluginv1.Delivery
	queued   int                           // bytes in it
	credit   int                           // deliveries that the plugin may still make
	open     map[uint64]*pluginv1.Delivery // by tag: not settled
	draining bool

	// To be sent.
	owed        uint32
	settlements []*pluginv1.Settlement
	saidDrain   bool
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// grant gives credit.
func (r *receiving) grant(n uint32) {
	r.lock.Lock()
	r.owed += n
	enough := r.owed >= sourceWindow/4
	r.lock.Unlock()
	if enough {
		signal(r.out)
	}
}

// read takes what the plugin says until the stream ends.
func (r *receiving) read() {
	err := r.readAll()
	r.cancel()
	r.lock.Lock()
	r.err = err
	r.queue = nil
	clear(r.open)
	r.lock.Unlock()
	close(r.lost)
}

func (r *receiving) readAll() error {
	finished := false
	for {
		m, err := r.stream.Recv()
		switch {
		case errors.Is(err, io.EOF) && finished:
			r.lock.Lock()
			defer r.lock.Unlock()
			if len(r.open) > 0 {
				return violated("the source is at its end with %d deliveries that are not settled", len(r.open))
			}
			r.finished = true
			return nil
		case errors.Is(err, io.EOF):
			return errors.New("the plugin has ended the stream")
		case err != nil:
			return err
		case finished:
			return violated("something comes after the source's end")
		}
		switch {
		case m.GetDelivery() != nil:
			if err := r.take(m.GetDelivery()); err != nil {
				return err
			}
		case m.GetHealth() != nil:
			var obstacle error
			if reason := m.GetHealth().GetReason(); reason != "" {
				obstacle = errors.New(reason)
			}
			r.source.setObstacle(obstacle)
		case m.GetFinished() != nil:
			finished = true
		}
	}
}

// take puts a delivery into the queue for the handler.
func (r *receiving) take(d *pluginv1.Delivery) error {
	size := len(d.GetMessage().GetData())
	r.lock.Lock()
	defer r.lock.Unlock()
	switch {
	case d.GetMessage() == nil:
		return violated("delivery %d has no message", d.GetTag())
	case r.credit == 0:
		return violated("delivery %d is one more than there was credit for", d.GetTag())
	case r.open[d.GetTag()] != nil:
		return violated("two deliveries have tag %d", d.GetTag())
	}
	r.credit--
	r.open[d.GetTag()] = d
	for r.queued > 0 && r.queued+size > sourceBytes && !r.draining {
		r.lock.Unlock()
		select {
		case <-r.room:
		case <-r.stream.Context().Done():
			r.lock.Lock()
			return r.stream.Context().Err()
		}
		r.lock.Lock()
	}
	if r.draining {
		r.settleLocked(d, transport.Settlement{Outcome: transport.Retried, Err: errStopped})
		return nil
	}
	r.queue = append(r.queue, d)
	r.queued += size
	signal(r.arrived)
	return nil
}

// next gives the delivery that is to be handed over, nil if none is there.
func (r *receiving) next() *pluginv1.Delivery {
	r.lock.Lock()
	defer r.lock.Unlock()
	if len(r.queue) == 0 {
		return nil
	}
	d := r.queue[0]
	r.queue[0] = nil
	r.queue = r.queue[1:]
	r.queued -= len(d.GetMessage().GetData())
	signal(r.room)
	return d
}

// handOver calls the handler until ctx ends or the stream is lost.
func (r *receiving) handOver(ctx context.Context, handle transport.Handler) {
	// A handler that has no room need not wait for it once the delivery is void.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.stream.Context(), cancel)()
	for ctx.Err() == nil {
		d := r.next()
		if d == nil {
			select {
			case <-r.arrived:
			case <-r.lost:
				return
			case <-ctx.Done():
			}
			continue
		}
		r.offer(ctx, handle, d)
		r.grant(1)
	}
	<-ctx.Done()
}

func (r *receiving) offer(ctx context.Context, handle transport.Handler, d *pluginv1.Delivery) {
	delivery := transport.Delivery{
		Message: wire.ToMessage(d.GetMessage()), Redelivered: d.GetRedelivered(),
		Settle: func(settlement transport.Settlement) { r.settle(d, settlement) },
	}
	switch {
	case d.GetDefect() != nil:
		delivery.Defect = &transport.Defect{Code: d.GetDefect().GetCode(), Message: d.GetDefect().GetMessage()}
		if delivery.Defect.Code == "" {
			delivery.Defect.Code = "defect"
		}
	case len(delivery.Message.Data) > wire.MaxEvent:
		delivery.Defect = &transport.Defect{Code: transport.CodeTooLarge,
			Message: fmt.Sprintf("%d bytes are more than the %d that an event may have", len(delivery.Message.Data), wire.MaxEvent)}
	}
	r.worked()
	err := handle(ctx, delivery)
	if err == nil {
		return
	}
	settlement := transport.Settlement{Outcome: transport.Retried, Err: err}
	if busy := (*transport.BusyError)(nil); errors.As(err, &busy) {
		settlement.RetryAfter = busy.RetryAfter
	}
	r.settle(d, settlement)
}

// settle answers a delivery, the first time, and while the stream is there.
func (r *receiving) settle(d *pluginv1.Delivery, settlement transport.Settlement) {
	r.lock.Lock()
	defer r.lock.Unlock()
	r.settleLocked(d, settlement)
}

func (r *receiving) settleLocked(d *pluginv1.Delivery, settlement transport.Settlement) {
	if r.open[d.GetTag()] != d {
		return
	}
	delete(r.open, d.GetTag())
	r.settlements = append(r.settlements, wire.FromSettlement(d.GetTag(), settlement))
	r.idleLocked()
	signal(r.out)
}

func (r *receiving) idleLocked() {
	if !r.draining || len(r.open) > 0 {
		return
	}
	select {
	case <-r.idle:
	default:
		close(r.idle)
	}
}

// drain gives back what nobody will take, and waits until the plugin ends the stream, which it does when everything is settled.
func (r *receiving) drain(life context.Context) {
	r.lock.Lock()
	r.draining = true
	queue := r.queue
	r.queue, r.queued = nil, 0
	for _, d := range queue {
		r.settleLocked(d, transport.Settlement{Outcome: transport.Retried, Err: errStopped})
	}
	r.idleLocked()
	r.lock.Unlock()
	signal(r.room)
	signal(r.out)
	select {
	case <-r.idle:
	case <-r.lost:
		return
	case <-life.Done():
		return
	}
	patience := time.NewTimer(drainPatience)
	defer patience.Stop()
	select {
	case <-r.lost:
	case <-life.Done():
	case <-patience.C:
		r.source.log.Warn("the plugin does not end its stream although everything is settled; cutting it off")
	}
}

// write sends what has gathered, so that no settlement waits for the plugin.
func (r *receiving) write() {
	for {
		select {
		case <-r.out:
		case <-r.stream.Context().Done():
			return
		}
		r.lock.Lock()
		settlements, owed := r.settlements, r.owed
		r.settlements, r.owed = nil, 0
		r.credit += int(owed) // before the plugin knows
		drain := r.draining && !r.saidDrain
		r.saidDrain = r.draining
		r.lock.Unlock()
		// Drain comes first: a source that retries by itself must not do so with what is given back because of it.
		if drain && r.stream.Send(&pluginv1.ReceiveRequest{Kind: &pluginv1.ReceiveRequest_Drain{Drain: &pluginv1.Drain{}}}) != nil {
			return // the reading tells why
		}
		for _, settlement := range settlements {
			if r.stream.Send(&pluginv1.ReceiveRequest{Kind: &pluginv1.ReceiveRequest_Settlement{Settlement: settlement}}) != nil {
				return
			}
		}
		if owed > 0 {
			if r.stream.Send(&pluginv1.ReceiveRequest{Kind: &pluginv1.ReceiveRequest_Credit{Credit: &pluginv1.Credit{Deliveries: owed}}}) != nil {
				return
			}
		}
	}
}
