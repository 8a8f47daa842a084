package amqp091

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

var _ transport.Sink = (*Sink)(nil)

var errSinkClosed = errors.New("the sink is closed")

// Sink publishes messages to an exchange. It has one connection with one channel, so messages become visible in the order
// of the Publish calls. Its methods may be called concurrently.
//
// The sink repeats no message; the caller does, with the same id, when an error is not permanent. These are worth a
// retry: no connection, or the connection lost before the confirm (the message may have arrived); no confirm within
// PublishTimeout; a broker that takes no messages because of a memory or disk alarm; a message that no queue is bound for;
// one that the broker refuses (nack), as a full queue does. Permanent is a message that is larger than the broker allows.
//
// After a loss, messages that are published anew overtake those that the caller has yet to repeat.
type Sink struct {
	settings Settings
	log      *slog.Logger
	slots    chan struct{} // one per message that is open: the window
	maxSize  atomic.Int64  // the broker's limit on a body, once it has told; 0 before

	closing   chan struct{} // closed by the first Close
	closeOnce sync.Once
	stop      context.CancelFunc // ends run
	stopped   chan struct{}      // closed when run has ended

	mu      sync.Mutex
	session *publishing
	down    error         // why there is no session; nil while the first attempt to get one is under way
	changed chan struct{} // closed and replaced when session or down change

	gather bool // cork the socket; only the benchmarks turn it off
}

// NewSink starts a sink, which connects by itself. The caller owes it a Close. The logger gets a record per change of
// state; nil is none. The error names the keys that are wrong.
func NewSink(settings Settings, log *slog.Logger) (*Sink, error) {
	if err := errors.Join(settings.Validate(), settings.ValidateSink()); err != nil {
		return nil, fmt.Errorf("amqp091 sink: %w", err)
	}
	s := newSink(settings, log)
	s.start()
	return s, nil
}

func newSink(settings Settings, log *slog.Logger) *Sink {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Sink{
		settings: settings,
		log:      log.With("side", "sink", "exchange", settings.Exchange),
		slots:    make(chan struct{}, settings.ConfirmWindow),
		closing:  make(chan struct{}),
		stopped:  make(chan struct{}),
		changed:  make(chan struct{}),
		gather:   true,
	}
}

func (s *Sink) start() {
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	go s.run(ctx)
}

// Ordered is true.
func (s *Sink) Ordered() bool { return true }

// Publish hands the messages to the broker and returns when the last of them has a place in the window, which is not
// when it is written. It waits for an attempt to connect that is under way, unless the one before it failed. Once one of
// the messages has failed for a reason that is worth a retry, those behind it fail with it: they are not to overtake it.
//
// done is called from the goroutine that takes the broker's confirms, so it must not block, nor call Publish. An error
// names the exchange, and the routing key where that is at fault.
func (s *Sink) Publish(ctx context.Context, messages []transport.Message, done func(i int, err error)) {
	session, err := s.current(ctx)
	for i := range messages {
		if err == nil {
			var p *pending
			if p, err = s.prepare(&messages[i]); err != nil {
				done(i, s.failed(err))
				err = nil // permanent, and this message's alone
				continue
			}
			p.index, p.done = i, done
			if err = session.reserve(ctx); err == nil {
				err = session.enqueue(p)
			}
		}
		if err != nil {
			done(i, s.failed(err))
		}
	}
}

func (s *Sink) failed(err error) error {
	return fmt.Errorf("amqp091 exchange %q: %w", s.settings.Exchange, err)
}

// prepare makes what is published. Its errors are permanent.
func (s *Sink) prepare(m *transport.Message) (*pending, error) {
	p := &pending{sink: s, key: s.settings.RoutingKey, message: encode(*m, s.settings.Format, s.settings.AppID)}
	if p.key == "" {
		p.key = RoutingKey(*m)
	}
	if limit := s.maxSize.Load(); limit > 0 && int64(len(p.message.Body)) > limit {
		return nil, tooLarge(len(p.message.Body), limit)
	}
	return p, nil
}

func tooLarge(size int, limit int64) error {
	return &transport.PermanentError{Err: fmt.Errorf("%d bytes are more than the broker's max_message_size of %d", size, limit)}
}

// current is the session to publish with. It waits for the attempt to get one, unless the last one failed.
func (s *Sink) current(ctx context.Context) (*publishing, error) {
	for {
		s.mu.Lock()
		session, down, changed := s.session, s.down, s.changed
		s.mu.Unlock()
		select {
		case <-s.closing:
			return nil, errSinkClosed
		default:
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
	s.mu.Lock()
	defer s.mu.Unlock()
	s.session, s.down = session, down
	close(s.changed)
	s.changed = make(chan struct{})
}

// Health is nil while messages can go out.
func (s *Sink) Health() error {
	s.mu.Lock()
	session, down := s.session, s.down
	s.mu.Unlock()
	select {
	case <-s.closing:
		return s.failed(errSinkClosed)
	default:
	}
	switch {
	case down != nil:
		return s.failed(down)
	case session == nil:
		return s.failed(fmt.Errorf("connecting to %s", s.settings.endpoint()))
	}
	if err := session.obstacle(); err != nil {
		return s.failed(err)
	}
	return nil
}

// Close lets Publish fail from now on, waits for the confirms of what is open until ctx ends, and gives the rest an error.
// Every call waits for the end. Its error is that of ctx if there was a rest.
func (s *Sink) Close(ctx context.Context) error {
	s.closeOnce.Do(func() { close(s.closing) })
	var err error
	for err == nil && len(s.slots) > 0 {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	s.stop()
	if err != nil {
		s.mu.Lock()
		if s.session != nil {
			s.session.lose(errSinkClosed) // says no goodbye, for which there is no time
		}
		s.mu.Unlock()
	}
	<-s.stopped
	return err
}

// run keeps a session up until ctx ends.
func (s *Sink) run(ctx context.Context) {
	defer close(s.stopped)
	var pause backoff
	reported := false // the log is to say once that the broker is out of reach
	for {
		session, err := s.open(ctx)
		if err == nil {
			reported = false
			s.log.Info("connected", "broker", session.link.broker.endpoint)
			s.set(session, nil)
			began := time.Now()
			err = session.run(ctx)
			if time.Since(began) >= steadyAfter {
				pause = backoff{}
			}
			down := err
			if pause.failures == 0 {
				down = nil // the first attempt to get another session is worth waiting for
			}
			s.set(nil, down)
			session.failAll(err)
			if ctx.Err() == nil {
				s.log.Warn("connection lost", "error", err)
			}
		} else if ctx.Err() == nil {
			if !reported {
				s.log.Warn("no connection; trying on", "error", err)
				reported = true
			}
			s.set(nil, err)
		}
		if !sleep(ctx, pause.next()) {
			s.set(nil, errSinkClosed)
			return
		}
	}
}

// open connects and declares what there is to declare.
func (s *Sink) open(ctx context.Context) (*publishing, error) {
	p := &publishing{
		sink:    s,
		kick:    make(chan struct{}, 1),
		sent:    make(chan *pending, s.settings.ConfirmWindow),
		gone:    make(chan struct{}),
		blocked: make(chan struct{}),
		closed:  make(chan *amqp.Error, 1),
		returns: make(chan amqp.Return, s.settings.ConfirmWindow),
	}
	var err error
	p.link, err = s.settings.setUp(ctx, "sink", func(l *link) error {
		ch, err := l.conn.Channel()
		if err != nil {
			return fmt.Errorf("opening a channel: %w", err)
		}
		if err := s.settings.declareExchange(ch); err != nil {
			return err
		}
		if err := s.settings.findExchange(ch); err != nil {
			return err
		}
		if err := ch.Confirm(false); err != nil {
			return fmt.Errorf("asking for publisher confirms: %w", err)
		}
		p.ch = ch
		ch.NotifyClose(p.closed)
		ch.NotifyReturn(p.returns)
		return nil
	})
	return p, err
}

// pending is a message from Publish to done.
type pending struct {
	sink    *Sink
	message amqp.Publishing
	key     string
	index   int
	done    func(i int, err error)
	since   time.Time
	confirm *amqp.DeferredConfirmation // set before the entry goes into sent
	over    atomic.Bool
}

// finish frees the message's place in the window and calls done, the first time.
func (p *pending) finish(err error) {
	if p.over.Swap(true) {
		return
	}
	<-p.sink.slots
	if err != nil {
		err = p.sink.failed(err)
	}
	p.done(p.index, err)
}

// publishing is a sink's session: one connection, from its making to its loss. Everything that is open belongs to one
// session and fails with it, so a confirm can never be taken for that of another channel's message.
type publishing struct {
	sink *Sink
	link *link
	ch   *amqp.Channel

	closed  chan *amqp.Error
	returns chan amqp.Return

	kick chan struct{} // queue is not empty
	sent chan *pending // written, in order
	gone chan struct{} // closed by lose

	returned []amqp.Return // not joined yet; belongs to confirm, and after it to failAll

	mu      sync.Mutex
	queue   []*pending    // to be written
	open    []*pending    // not known to be over, oldest first
	lost    error         // why the session ended; set before gone is closed
	alarm   string        // why the broker takes no messages; empty while it does
	blocked chan struct{} // closed while there is an alarm
}

// obstacle is why nothing can be published now, nil if something can.
func (p *publishing) obstacle() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.obstacleLocked()
}

func (p *publishing) obstacleLocked() error {
	if p.lost != nil {
		return p.lost
	}
	if p.alarm != "" {
		return fmt.Errorf("the broker takes no messages: %s", p.alarm)
	}
	return nil
}

// reserve waits for a place in the window.
func (p *publishing) reserve(ctx context.Context) error {
	p.mu.Lock()
	blocked := p.blocked
	p.mu.Unlock()
	select {
	case p.sink.slots <- struct{}{}:
		return nil
	default:
	}
	select {
	case p.sink.slots <- struct{}{}:
		return nil
	case <-blocked:
		if err := p.obstacle(); err != nil {
			return err
		}
		return errors.New("the broker took no messages for a moment")
	case <-p.gone:
		return p.obstacle()
	case <-p.sink.closing:
		return errSinkClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// enqueue takes a message that has its place in the window. On an error it has not, and the place is free again.
func (p *publishing) enqueue(m *pending) error {
	p.mu.Lock()
	err := p.obstacleLocked()
	select {
	case <-p.sink.closing:
		err = errSinkClosed
	default:
	}
	if err != nil {
		p.mu.Unlock()
		<-p.sink.slots
		return err
	}
	m.since = time.Now()
	for len(p.open) > 0 && p.open[0].over.Load() {
		p.open[0] = nil
		p.open = p.open[1:]
	}
	p.open = append(p.open, m)
	p.queue = append(p.queue, m)
	p.mu.Unlock()
	select {
	case p.kick <- struct{}{}:
	default:
	}
	return nil
}

// lose ends the session, the first time.
func (p *publishing) lose(reason error) {
	p.mu.Lock()
	first := p.lost == nil
	if first {
		p.lost = reason
		close(p.gone)
	}
	p.mu.Unlock()
	if first {
		p.link.kill()
	}
}

// run serves the session until it is lost or ctx ends, and returns why. Nothing of it is left running.
func (p *publishing) run(ctx context.Context) error {
	var workers sync.WaitGroup
	workers.Go(p.write)
	workers.Go(p.confirm)
	workers.Go(p.watch)
	workers.Go(p.notice)
	select {
	case <-p.gone:
	case <-ctx.Done():
		p.link.close()
		p.lose(errSinkClosed)
	}
	workers.Wait()
	return p.lost
}

// failAll gives everything that is still open the reason of the loss, but for what was confirmed in the last moment.
func (p *publishing) failAll(reason error) {
	p.mu.Lock()
	open := p.open
	p.open, p.queue = nil, nil
	p.mu.Unlock()
	p.drainReturns()
	size, limit := refusedSize(reason)
	for _, m := range open {
		switch {
		case m.confirm != nil && m.confirm.Acked():
			p.settle(m)
		case size > 0 && len(m.message.Body) == size:
			m.finish(tooLarge(size, limit))
		default:
			m.finish(fmt.Errorf("connection lost before the confirm: %w", reason))
		}
	}
	// With any other loss the broker may come back with another limit.
	p.sink.maxSize.Store(limit)
}

// tooLargeReason is what RabbitMQ says as it closes the channel of an oversized message.
var tooLargeReason = regexp.MustCompile(`message size (\d+) is larger than (?:configured )?max size (\d+)`)

// refusedSize is the size of the message that cost the channel, and the broker's limit; 0 if it was something else.
func refusedSize(reason error) (size int, limit int64) {
	parts := tooLargeReason.FindStringSubmatch(reason.Error())
	if parts == nil {
		return 0, 0
	}
	size, _ = strconv.Atoi(parts[1])
	limit, _ = strconv.ParseInt(parts[2], 10, 64)
	return size, limit
}

// write publishes what is queued, all that there is at a time in few writes to the socket. The library's publish takes no
// context and blocks for as long as the broker does not read, which is why no caller of Publish waits for it: watch ends
// it by closing the socket.
func (p *publishing) write() {
	var batch []*pending
	for {
		p.mu.Lock()
		batch, p.queue = p.queue, batch[:0]
		p.mu.Unlock()
		if len(batch) == 0 {
			select {
			case <-p.kick:
				continue
			case <-p.gone:
				return
			}
		}
		gather := p.sink.gather && len(batch) > 1
		if gather {
			p.link.sock.cork()
		}
		err := p.writeAll(batch)
		if gather {
			err = errors.Join(err, p.link.sock.uncork())
		}
		clear(batch)
		if err != nil {
			// What the broker said as it closed the channel is the better reason; notice has it in a moment, if there is one.
			select {
			case <-p.gone:
			case <-time.After(100 * time.Millisecond):
				p.lose(err)
			}
			return
		}
	}
}

func (p *publishing) writeAll(batch []*pending) error {
	settings := &p.sink.settings
	for _, m := range batch {
		if m.over.Load() {
			continue // it has waited for too long
		}
		confirm, err := p.ch.PublishWithDeferredConfirm(settings.Exchange, m.key, settings.Mandatory, false, m.message)
		if err != nil {
			return fmt.Errorf("publishing: %w", err)
		}
		m.confirm = confirm
		select {
		case p.sent <- m:
		case <-p.gone:
			return nil
		}
	}
	return nil
}

// confirm joins each message with its confirm and its return. The broker returns a message that it cannot route, and then
// confirms it; the library hands on both in that order, from one goroutine. So once the confirm is there, the return is
// in the channel.
func (p *publishing) confirm() {
	returns := p.returns
	take := func(r amqp.Return, ok bool) {
		if ok {
			p.returned = append(p.returned, r)
		} else {
			returns = nil
		}
	}
	for {
		var m *pending
		select {
		case m = <-p.sent:
		case r, ok := <-returns:
			take(r, ok)
			continue
		case <-p.gone:
			return
		}
		for waiting := true; waiting; {
			select {
			case <-m.confirm.Done():
				waiting = false
			case r, ok := <-returns:
				take(r, ok)
			case <-p.gone:
				return
			}
		}
		p.drainReturns()
		p.settle(m)
	}
}

// drainReturns takes the returns that are there.
func (p *publishing) drainReturns() {
	for {
		select {
		case r, ok := <-p.returns:
			if !ok {
				return
			}
			p.returned = append(p.returned, r)
		default:
			return
		}
	}
}

// settle finishes a message whose confirm is there.
func (p *publishing) settle(m *pending) {
	for i := range p.returned {
		// Returns come in the order of publishing, so the first that looks like this message is this message's, or is that of
		// another attempt at it, which was then delivered.
		if r := &p.returned[i]; r.MessageId == m.message.MessageId && r.RoutingKey == m.key {
			p.returned = append(p.returned[:i], p.returned[i+1:]...)
			m.finish(fmt.Errorf("unroutable: no queue is bound for routing key %q", m.key))
			return
		}
	}
	switch {
	case m.confirm.Acked():
		m.finish(nil)
	case p.ch.IsClosed():
		// The library marks what is open as refused when it closes the channel. failAll knows the reason.
	default:
		m.finish(errors.New("the broker refused the message (nack)"))
	}
}

// watch ends what takes longer than PublishTimeout: the session, or under an alarm, where the broker is alive and a new
// connection would not help, only the wait.
func (p *publishing) watch() {
	timeout := p.sink.settings.PublishTimeout
	ticker := time.NewTicker(max(timeout/8, 10*time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-p.gone:
			return
		case now := <-ticker.C:
			late, alarm := p.late(now.Add(-timeout))
			if len(late) > 0 && alarm == nil {
				p.lose(fmt.Errorf("no confirm within %v", timeout))
				return
			}
			for _, m := range late {
				m.finish(alarm)
			}
		}
	}
}

// late gives the messages that have been open since before a time, and the alarm if there is one.
func (p *publishing) late(before time.Time) (late []*pending, alarm error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.open {
		if !m.since.Before(before) {
			break
		}
		if !m.over.Load() {
			late = append(late, m)
		}
	}
	return late, p.obstacleLocked()
}

// notice takes what the library notifies of, until the connection is gone: the library blocks if nobody does.
func (p *publishing) notice() {
	blocks, channel, connection := p.link.blocks, p.closed, p.link.closed
	for blocks != nil {
		select {
		case e := <-channel:
			channel = nil
			p.lose(lossReason(e))
		case e := <-connection:
			connection = nil
			p.lose(lossReason(e))
		case b, ok := <-blocks:
			if !ok {
				blocks = nil
				continue
			}
			p.setAlarm(b)
		}
	}
	p.lose(lossReason(nil))
}

func (p *publishing) setAlarm(b amqp.Blocking) {
	p.mu.Lock()
	was := p.alarm != ""
	switch {
	case b.Active:
		p.alarm = b.Reason
		if p.alarm == "" {
			p.alarm = "alarm"
		}
		if !was {
			close(p.blocked)
		}
	case was:
		p.alarm = ""
		p.blocked = make(chan struct{})
	}
	p.mu.Unlock()
	if b.Active != was {
		if b.Active {
			p.sink.log.Warn("the broker takes no messages", "reason", b.Reason)
		} else {
			p.sink.log.Info("the broker takes messages again")
		}
	}
}
