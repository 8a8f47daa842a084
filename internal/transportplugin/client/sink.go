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

var _ transport.Sink = (*Sink)(nil)

const (
	// sinkWindow is how many messages may be open at a plugin. The plugin's sink has its own window, most probably smaller.
	sinkWindow = 1024
	// sinkBytes bounds them for large events, and batchBytes one request: gRPC takes 64 MiB, and one event of 16 MiB fits
	// beside others.
	sinkBytes  = 64 << 20
	batchBytes = 4 << 20
	// sinkTimeout is how long a plugin may take for one message. The drivers have shorter ones of their own; this one
	// is for a plugin that hangs.
	sinkTimeout = 2 * time.Minute
)

var errSinkClosed = errors.New("the sink is closed")

// Sink is a transport plugin as a sink. It outlives the plugin's processes: when one ends, every message that is open with it gets
// an error that is worth a retry.
type Sink struct {
	name    string
	link    Link
	log     *slog.Logger
	ordered bool
	timeout time.Duration

	life    context.Context // of the streams; ends with Close
	stop    context.CancelFunc
	closing chan struct{}
	closed  sync.Once
	stopped chan struct{} // closed when run has returned

	lock     sync.Mutex
	session  *publishing   // nil while there is none
	down     error         // why there is none, and will not be in a moment
	obstacle error         // what the plugin says
	changed  chan struct{} // closed when session or down change
	open     int           // messages, of all sessions
	bytes    int
	room     chan struct{} // closed when there is room, or nothing open; nil if nobody waits
}

// NewSink makes the sink of a plugin with a name. log must not be nil.
func NewSink(name string, ordered bool, l Link, log *slog.Logger) *Sink {
	return newSink(name, ordered, l, log, sinkTimeout)
}

func newSink(name string, ordered bool, l Link, log *slog.Logger, timeout time.Duration) *Sink {
	life, stop := context.WithCancel(context.Background())
	s := &Sink{
		name: name, link: l, log: log.With("side", "sink"), ordered: ordered, timeout: timeout, life: life, stop: stop,
		closing: make(chan struct{}), stopped: make(chan struct{}), changed: make(chan struct{}),
	}
	go s.run()
	return s
}

func (s *Sink) failed(err error) error { return fmt.Errorf("plugin %s: %w", s.name, err) }

// Publish hands the messages to the plugin. It waits while the plugin is being started, and while the window is full.
func (s *Sink) Publish(ctx context.Context, messages []transport.Message, done func(i int, err error)) {
	for at := 0; at < len(messages); {
		batch, err := s.reserve(ctx, messages[at:])
		if err == nil {
			err = s.enqueue(ctx, messages[at:at+batch.n], at, batch, done)
		}
		switch {
		case err == nil:
			at += batch.n
		case transport.IsPermanent(err):
			done(at, s.failed(err)) // this message's alone
			at++
		default:
			for ; at < len(messages); at++ {
				done(at, s.failed(err))
			}
		}
	}
}

// reserved is a place in the window.
type reserved struct{ n, bytes int }

// reserve finds room for the first messages, at least for one.
func (s *Sink) reserve(ctx context.Context, messages []transport.Message) (reserved, error) {
	if size := len(messages[0].Data); size > wire.MaxEvent {
		return reserved{}, &transport.PermanentError{Err: fmt.Errorf("%d bytes are more than the %d that a plugin takes", size, wire.MaxEvent)}
	}
	for {
		if err := ctx.Err(); err != nil {
			return reserved{}, context.Cause(ctx)
		}
		s.lock.Lock()
		if s.isClosing() {
			s.lock.Unlock()
			return reserved{}, errSinkClosed
		}
		var r reserved
		for _, m := range messages {
			size := len(m.Data)
			full := s.open+r.n >= sinkWindow || (s.open+r.n > 0 && s.bytes+r.bytes+size > sinkBytes)
			if full || (r.n > 0 && r.bytes+size > batchBytes) || size > wire.MaxEvent {
				break
			}
			r.n++
			r.bytes += size
		}
		if r.n > 0 {
			s.open += r.n
			s.bytes += r.bytes
			s.lock.Unlock()
			return r, nil
		}
		room := s.roomLocked()
		s.lock.Unlock()
		select {
		case <-room:
		case <-s.closing:
		case <-ctx.Done():
		}
	}
}

func (s *Sink) roomLocked() <-chan struct{} {
	if s.room == nil {
		s.room = make(chan struct{})
	}
	return s.room
}

func (s *Sink) isClosing() bool {
	select {
	case <-s.closing:
		return true
	default:
		return false
	}
}

func (s *Sink) free(n, bytes int) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.open -= n
	s.bytes -= bytes
	if s.room != nil {
		close(s.room)
		s.room = nil
	}
}

// enqueue gives messages that have their place in the window to the present stream. On an error none of them is taken, and the place
// is free again.
func (s *Sink) enqueue(ctx context.Context, messages []transport.Message, first int, place reserved, done func(i int, err error)) error {
	for {
		session, err := s.current(ctx)
		if err != nil {
			s.free(place.n, place.bytes)
			return err
		}
		if session.enqueue(messages, first, done) {
			return nil
		}
		// It was lost just now.
	}
}

// current is the stream to publish on. It waits for one, unless there will be none in a moment.
func (s *Sink) current(ctx context.Context) (*publishing, error) {
	for {
		s.lock.Lock()
		session, down, changed := s.session, s.down, s.changed
		s.lock.Unlock()
		if s.isClosing() {
			return nil, errSinkClosed
		}
		if session != nil || down != nil {
			return session, down
		}
		select {
		case <-changed:
		case <-s.closing:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (s *Sink) set(session *publishing, down error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.session, s.down = session, down
	if session != nil {
		s.obstacle = errors.New("the plugin has not said yet whether messages can go out")
	}
	close(s.changed)
	s.changed = make(chan struct{})
}

// Ordered is what the plugin says that it is.
func (s *Sink) Ordered() bool { return s.ordered }

// Health is nil while the plugin runs and says that messages can go out.
func (s *Sink) Health() error {
	s.lock.Lock()
	session, down, obstacle := s.session, s.down, s.obstacle
	s.lock.Unlock()
	switch {
	case s.isClosing():
		return s.failed(errSinkClosed)
	case down != nil:
		return s.failed(down)
	case session == nil:
		if err := s.link.Health(); err != nil {
			return err
		}
		return s.failed(errors.New("waiting for the plugin"))
	case obstacle != nil:
		return s.failed(obstacle)
	}
	return s.link.Health()
}

// Close lets Publish fail from now on, waits for the outcomes of what is open until ctx ends, and gives the rest an error. Its
// error is that of ctx if there was a rest.
func (s *Sink) Close(ctx context.Context) error {
	first := false
	s.closed.Do(func() {
		close(s.closing)
		first = true
	})
	var err error
	for err == nil {
		s.lock.Lock()
		open := s.open
		room := s.roomLocked()
		s.lock.Unlock()
		if open == 0 {
			break
		}
		select {
		case <-room:
		case <-ctx.Done():
			err = s.failed(fmt.Errorf("gave up %d messages: %w", open, context.Cause(ctx)))
		}
	}
	s.stop()
	<-s.stopped
	if first {
		err = errors.Join(err, s.link.Release(ctx))
	}
	return err
}

// run keeps a stream open until the sink is closed.
func (s *Sink) run() {
	defer close(s.stopped)
	var b backoff
	said := "" // the log is to say once what goes on
	for {
		c, err := s.link.Connect(s.life)
		if err == nil {
			began := time.Now()
			err = s.serve(c)
			if time.Since(began) > streamSteady {
				b, said = backoff{}, ""
			}
		}
		if s.life.Err() != nil {
			s.set(nil, errSinkClosed)
			return
		}
		reason := lossReason(err)
		wait := b.failed(c.ClientConnInterface)
		if wait > 0 {
			s.set(nil, reason) // else the next attempt is worth waiting for
		}
		if reason.Error() != said {
			s.log.Warn("no way to publish; trying on", "error", reason)
			said = reason.Error()
		}
		if !pause(s.life, wait) {
			s.set(nil, errSinkClosed)
			return
		}
	}
}

// serve publishes on one stream until it is lost, and returns why. Everything that was open has got its outcome then.
func (s *Sink) serve(c Connection) error {
	ctx, cancel := context.WithCancel(s.life)
	defer cancel()
	stream, err := pluginv1.NewSinkServiceClient(c).Publish(ctx)
	if err != nil {
		return err
	}
	p := &publishing{sink: s, stream: stream, cancel: cancel, worked: c.Worked, open: map[uint64]*pending{}, out: make(chan struct{}, 1)}
	s.set(p, nil)
	var workers sync.WaitGroup
	workers.Go(p.write)
	workers.Go(func() { p.watch(ctx) })
	err = p.read()
	cancel()
	s.set(nil, nil)
	p.fail(err)
	workers.Wait()
	var v *violation
	if errors.As(err, &v) || errors.Is(err, errHangs) {
		c.Fail(err)
	}
	return err
}

var errHangs = errors.New("the plugin does not answer")

// pending is a message from Publish to done.
type pending struct {
	index int
	bytes int
	done  func(i int, err error)
	since time.Time
}

// publishing is one stream of messages. Tags mean something within it only.
type publishing struct {
	sink   *Sink
	stream grpc.BidiStreamingClient[pluginv1.PublishRequest, pluginv1.PublishResponse]
	cancel context.CancelFunc
	worked func()
	out    chan struct{} // queue is not empty

	lock  sync.Mutex
	queue []*pluginv1.PublishRequest // to be sent
	open  map[uint64]*pending
	order []uint64 // tags, oldest first; some are not open any more
	last  uint64   // tag
	lost  bool
	why   error // the reason for the loss, where it is ours
}

// enqueue takes the messages, unless the stream is lost.
func (p *publishing) enqueue(messages []transport.Message, first int, done func(i int, err error)) bool {
	request := &pluginv1.PublishRequest{Items: make([]*pluginv1.PublishItem, len(messages))}
	entries := make([]pending, len(messages))
	now := time.Now()
	for i := range messages {
		request.Items[i] = &pluginv1.PublishItem{Message: wire.FromMessage(&messages[i])}
		entries[i] = pending{index: first + i, bytes: len(messages[i].Data), done: done, since: now}
	}
	p.lock.Lock()
	if p.lost {
		p.lock.Unlock()
		return false
	}
	for i := range entries {
		p.last++
		request.Items[i].Tag = p.last
		p.open[p.last] = &entries[i]
		p.order = append(p.order, p.last)
	}
	p.queue = append(p.queue, request)
	p.lock.Unlock()
	signal(p.out)
	return true
}

// write sends what is queued, so that no caller waits for the plugin to read.
func (p *publishing) write() {
	for {
		p.lock.Lock()
		queue := p.queue
		p.queue = nil
		p.lock.Unlock()
		for _, request := range queue {
			if p.stream.Send(request) != nil {
				return // the reading tells why
			}
		}
		if len(queue) > 0 {
			continue
		}
		select {
		case <-p.out:
		case <-p.stream.Context().Done():
			return
		}
	}
}

// read takes outcomes until the stream is lost, and returns why.
func (p *publishing) read() error {
	for {
		m, err := p.stream.Recv()
		if err != nil {
			p.lock.Lock()
			defer p.lock.Unlock()
			switch {
			case p.why != nil:
				return p.why
			case errors.Is(err, io.EOF):
				return errors.New("the plugin has ended the stream")
			}
			return err
		}
		switch {
		case m.GetOutcome() != nil:
			tag := m.GetOutcome().GetTag()
			p.lock.Lock()
			entry := p.open[tag]
			delete(p.open, tag)
			p.lock.Unlock()
			if entry == nil {
				return violated("an outcome for tag %d, which is not open", tag)
			}
			p.worked()
			p.finish(entry, wire.ToError(m.GetOutcome()))
		case m.GetHealth() != nil:
			var obstacle error
			if reason := m.GetHealth().GetReason(); reason != "" {
				obstacle = errors.New(reason)
			}
			p.sink.lock.Lock()
			p.sink.obstacle = obstacle
			p.sink.lock.Unlock()
		}
	}
}

// finish calls done before it makes room, so that Close has nothing to wait for afterwards.
func (p *publishing) finish(entry *pending, err error) {
	if err != nil {
		err = p.sink.failed(err)
	}
	entry.done(entry.index, err)
	p.sink.free(1, entry.bytes)
}

// fail gives everything that is open an error that is worth a retry, whatever the reason.
func (p *publishing) fail(reason error) {
	p.lock.Lock()
	p.lost = true
	open, order := p.open, p.order
	p.open, p.order, p.queue = nil, nil, nil
	p.lock.Unlock()
	reason = fmt.Errorf("no outcome: %w", lossReason(reason))
	if p.sink.isClosing() {
		reason = errSinkClosed
	}
	for _, tag := range order {
		if entry := open[tag]; entry != nil {
			p.finish(entry, reason)
		}
	}
}

// watch ends a stream whose plugin does not answer.
func (p *publishing) watch(ctx context.Context) {
	ticker := time.NewTicker(min(time.Second, max(p.sink.timeout/16, 5*time.Millisecond)))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			if p.late(now.Add(-p.sink.timeout)) {
				p.cancel()
				return
			}
		}
	}
}

// late tells whether a message has been open since before a time, and drops from order what is not open any more.
func (p *publishing) late(before time.Time) bool {
	p.lock.Lock()
	defer p.lock.Unlock()
	kept := p.order[:0]
	for _, tag := range p.order {
		if p.open[tag] != nil {
			kept = append(kept, tag)
		}
	}
	p.order = kept
	if len(kept) == 0 || !p.open[kept[0]].since.Before(before) {
		return false
	}
	p.why = fmt.Errorf("%w: no outcome within %v", errHangs, p.sink.timeout)
	return true
}
