package amqp091

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

var _ transport.Source = (*Source)(nil)

const (
	// ackEvery is how many settled deliveries make an acknowledgement go out at once, ackDelay how long fewer may wait.
	// The broker takes a "multiple" at the price of one; 32 is where the gain levels off.
	ackEvery = 32
	ackDelay = 5 * time.Millisecond

	// A delivery that is to be retried is handed over again after the pause that the relay asked for, or one that grows
	// from retryFirst to retryMax.
	retryFirst  = 100 * time.Millisecond
	retryMax    = 10 * time.Second
	retryLatest = 5 * time.Minute

	// holdMax is how long a delivery is retried from here before it goes back to the queue. RabbitMQ closes the channel of
	// a consumer that keeps a delivery for 30 minutes (consumer_timeout), and then all others have to be made again too.
	holdMax = 20 * time.Minute

	// bindingsEvery is how often a source makes sure of its bindings. An exchange that is deleted takes them with it, and the
	// broker tells no consumer: whoever declares it again would publish past the queue for ever.
	bindingsEvery = 10 * time.Second
)

var errSourceClosed = errors.New("the source is closed")

// Source consumes from a queue. Receive may be called once at a time; the other methods may be called concurrently.
//
// A delivery that is accepted or rejected is acknowledged; in groups, and never before all that it is grouped with. One that
// is retried stays with the source, which hands it over again, behind newer ones, until it has done so for 20
// minutes; then it goes back to the queue. All of it is within the prefetch window: a window full of retries stops
// the flow, which is the back-pressure. When the connection is lost, the broker makes all open deliveries again, and
// settlements of the old ones have no effect.
type Source struct {
	settings      Settings
	log           *slog.Logger
	bindingsEvery time.Duration

	life context.Context // ends with Close
	end  context.CancelFunc

	mu       sync.Mutex
	running  chan struct{} // closed when the Receive under way returns; nil if there is none
	obstacle error         // why no deliveries come in
}

// NewSource makes a source; Receive connects it. The logger gets a record per change of state; nil is none. The error names
// the keys that are wrong.
func NewSource(settings Settings, log *slog.Logger) (*Source, error) {
	if err := errors.Join(settings.Validate(), settings.ValidateSource()); err != nil {
		return nil, fmt.Errorf("amqp091 source: %w", err)
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	life, end := context.WithCancel(context.Background())
	return &Source{
		life:          life,
		end:           end,
		settings:      settings,
		log:           log.With("side", "source", "queue", settings.Queue),
		bindingsEvery: bindingsEvery,
		obstacle:      errors.New("not started"),
	}, nil
}

// Receive consumes until ctx ends or the source is closed, and returns nil then. It hands over from one goroutine, in the
// order of the queue, retries aside. The only error, apart from a second Receive at the same time and one after Close, is a
// [*ConflictError]: the exchange or the queue exists and is another than the settings say.
//
// A delivery that the handler does not take is offered to it again after a pause.
func (s *Source) Receive(ctx context.Context, handle transport.Handler) error {
	s.mu.Lock()
	switch {
	case s.life.Err() != nil:
		s.mu.Unlock()
		return s.failed(errSourceClosed)
	case s.running != nil:
		s.mu.Unlock()
		return s.failed(errors.New("there is a Receive under way"))
	}
	running := make(chan struct{})
	s.running = running
	s.mu.Unlock()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(s.life, cancel)
	defer stop()
	err := s.receive(ctx, handle)

	s.mu.Lock()
	s.running = nil
	s.mu.Unlock()
	close(running)
	if err != nil {
		return s.failed(err)
	}
	return nil
}

func (s *Source) failed(err error) error {
	return fmt.Errorf("amqp091 queue %q: %w", s.settings.Queue, err)
}

// Health is nil while the queue is being consumed.
func (s *Source) Health() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.obstacle != nil {
		return s.failed(s.obstacle)
	}
	return nil
}

func (s *Source) setObstacle(err error) {
	s.mu.Lock()
	s.obstacle = err
	s.mu.Unlock()
}

// Close ends a Receive under way and waits until it has returned: it sends the acknowledgements of what is settled, and
// does not wait for further settlements. It must not be called from the handler.
func (s *Source) Close() error {
	s.end()
	s.mu.Lock()
	running := s.running
	if running == nil {
		s.obstacle = errSourceClosed
	}
	s.mu.Unlock()
	if running != nil {
		<-running
		s.setObstacle(errSourceClosed)
	}
	return nil
}

// receive keeps a consumer up until ctx ends.
func (s *Source) receive(ctx context.Context, handle transport.Handler) error {
	var pause backoff
	reported := false // the log is to say once that the broker is out of reach
	s.setObstacle(fmt.Errorf("connecting to %s", s.settings.endpoint()))
	for {
		c, err := s.open(ctx)
		if err == nil {
			reported = false
			s.log.Info("consuming", "broker", c.link.broker.endpoint)
			s.setObstacle(nil)
			began := time.Now()
			err = c.run(ctx, handle)
			if time.Since(began) >= steadyAfter {
				pause = backoff{}
			}
			if ctx.Err() == nil {
				s.log.Warn("consumer lost", "error", err)
			}
		}
		if ctx.Err() != nil {
			s.setObstacle(errors.New("stopped"))
			return nil
		}
		s.setObstacle(err)
		if conflict := (*ConflictError)(nil); errors.As(err, &conflict) {
			return err
		}
		if c == nil && !reported {
			s.log.Warn("no consumer; trying on", "error", err)
			reported = true
		}
		if !sleep(ctx, pause.next()) {
			s.setObstacle(errors.New("stopped"))
			return nil
		}
	}
}

// consumerTag is ours to choose; the library's own would show the path of the command to the broker's users.
const consumerTag = "eiffelbridge"

// open connects, declares what there is to declare and starts the consumer.
func (s *Source) open(ctx context.Context) (*consuming, error) {
	c := &consuming{
		source:  s,
		closed:  make(chan *amqp.Error, 1),
		cancels: make(chan string, 1),
		kick:    make(chan struct{}, 1),
		wake:    make(chan struct{}, 1),
		last:    make(chan struct{}),
		idle:    make(chan struct{}),
		tracker: tracker{first: 1},
	}
	c.void, c.fail = context.WithCancel(context.Background())
	c.gone = c.void.Done()
	var err error
	c.link, err = s.settings.setUp(ctx, "source", func(l *link) error {
		if err := s.settings.declareDeadLetters(l); err != nil {
			return err
		}
		ch, err := l.conn.Channel()
		if err != nil {
			return fmt.Errorf("opening a channel: %w", err)
		}
		c.ch = ch
		ch.NotifyClose(c.closed)
		ch.NotifyCancel(c.cancels)
		if err := s.settings.declareExchange(ch); err != nil {
			return err
		}
		if err := s.settings.declareQueue(ch); err != nil {
			return err
		}
		if err := ch.Qos(s.settings.Prefetch, 0, false); err != nil {
			return fmt.Errorf("setting prefetch %d: %w", s.settings.Prefetch, err)
		}
		if s.settings.dropsSilently(l.conn.Properties) {
			s.log.Warn("this broker drops a message after 20 deliveries; set dead_letter_exchange, or delivery_limit: -1")
		}
		c.deliveries, err = ch.Consume(s.settings.Queue, consumerTag, false, false, false, false, nil)
		if err != nil {
			return fmt.Errorf("consuming from queue %q: %w", s.settings.Queue, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// dropsSilently tells whether the broker has a delivery limit of its own (RabbitMQ 4) and nowhere to put what exceeds it.
func (s *Settings) dropsSilently(server amqp.Table) bool {
	version, _ := server["version"].(string)
	major, _, _ := strings.Cut(version, ".")
	return len(major) == 1 && major >= "4" && s.DeclareQueue &&
		s.QueueType == QueueQuorum && s.DeliveryLimit == 0 && s.DeadLetterExchange == ""
}

// item is one delivery of the broker.
type item struct {
	tag         uint64
	message     transport.Message
	redelivered bool      // by the broker
	since       time.Time // the first offer to the handler
	offer       int       // a settlement must be of the present offer
	retries     int
	due         time.Time // while it is held
}

// heldItems is a heap, the one that is due next in front.
type heldItems []*item

func (h heldItems) Len() int           { return len(h) }
func (h heldItems) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h heldItems) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *heldItems) Push(x any)        { *h = append(*h, x.(*item)) }
func (h *heldItems) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return x
}

// consuming is a source's session: one connection, from its making to its loss. Delivery tags mean something within it
// only, and settlements go to the session that made the delivery, whatever has become of it.
type consuming struct {
	source     *Source
	link       *link
	ch         *amqp.Channel
	deliveries <-chan amqp.Delivery

	closed  chan *amqp.Error
	cancels chan string

	gone <-chan struct{} // closed by lose
	void context.Context // ends with gone
	fail func()          // ends void
	kick chan struct{}   // something was settled
	wake chan struct{}   // something is held that was not
	last chan struct{}   // closed to have acknowledge send the last ones and end
	idle chan struct{}   // closed when nothing is with the relay any more, after draining has begun

	mu       sync.Mutex
	tracker  tracker
	held     heldItems
	back     []uint64 // to be given back to the queue
	draining bool
	lost     error // why the session ended; set before gone is closed
}

// lose ends the session, the first time.
func (c *consuming) lose(reason error) {
	c.mu.Lock()
	first := c.lost == nil
	if first {
		c.lost = reason
		c.fail()
	}
	c.mu.Unlock()
	if first {
		c.link.kill()
	}
}

// run serves the session until it is lost or ctx ends, and returns why. Nothing of it is left running.
func (c *consuming) run(ctx context.Context, handle transport.Handler) error {
	var workers, acknowledging sync.WaitGroup
	workers.Go(c.notice)
	workers.Go(c.keepBound)
	acknowledging.Go(c.acknowledge)
	c.handOver(ctx, handle)
	if ctx.Err() != nil {
		c.drain()
	}
	close(c.last)
	acknowledging.Wait()
	c.link.close()
	c.lose(errors.New("stopped"))
	workers.Wait()
	return c.lost
}

// drain stops the consumer and waits for the settlements of what was taken.
func (c *consuming) drain() {
	c.mu.Lock()
	c.draining = true
	if c.tracker.handed == 0 {
		close(c.idle)
	}
	c.mu.Unlock()
	// With a single active consumer, another one can go on from here.
	guard := time.AfterFunc(goodbyeTimeout, c.link.kill)
	err := c.ch.Cancel(consumerTag, false)
	guard.Stop()
	if err != nil {
		return
	}
	select {
	case <-c.idle:
	case <-c.gone:
	case <-c.source.life.Done():
	}
}

// handOver offers what comes in, and what is due again, until ctx ends or the session is lost.
func (c *consuming) handOver(ctx context.Context, handle transport.Handler) {
	// A handler that has no room need not wait for it once the delivery is void.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.void, cancel)()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for ctx.Err() == nil {
		next, pause := c.nextHeld()
		if next != nil {
			c.offer(ctx, handle, next)
			continue
		}
		timer.Reset(pause)
		select {
		case d, ok := <-c.deliveries:
			if !ok {
				// The library says why in another channel.
				select {
				case <-c.gone:
				case <-ctx.Done():
				case <-time.After(time.Second):
					c.lose(errors.New("the consumer ended"))
				}
				return
			}
			c.mu.Lock()
			ok = c.tracker.add(d.DeliveryTag)
			c.mu.Unlock()
			if !ok {
				c.lose(fmt.Errorf("delivery tag %d is out of sequence", d.DeliveryTag))
				return
			}
			c.offer(ctx, handle, &item{tag: d.DeliveryTag, message: decode(&d), redelivered: d.Redelivered})
		case <-timer.C:
		case <-c.wake:
		case <-ctx.Done():
		}
	}
}

// nextHeld gives the delivery that is due again, or how long none will be.
func (c *consuming) nextHeld() (*item, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.held) == 0 {
		return nil, time.Hour
	}
	if pause := time.Until(c.held[0].due); pause > 0 {
		return nil, pause
	}
	next := heap.Pop(&c.held).(*item)
	c.tracker.move(next.tag, waiting)
	return next, 0
}

// offer hands over one delivery, again and again until it is taken, ctx ends or the session is lost. The order of the queue
// depends on its not letting others pass.
func (c *consuming) offer(ctx context.Context, handle transport.Handler, it *item) {
	for refused := 0; ctx.Err() == nil; refused++ {
		c.mu.Lock()
		it.offer++
		offer := it.offer
		if it.since.IsZero() {
			it.since = time.Now()
		}
		c.tracker.move(it.tag, handed) // before the handler knows it, which may settle at once
		redelivered := it.redelivered || it.retries > 0
		c.mu.Unlock()
		err := handle(ctx, transport.Delivery{
			Message:     it.message,
			Redelivered: redelivered,
			Settle:      func(answer transport.Settlement) { c.settle(it, offer, answer) },
		})
		if err == nil {
			return
		}
		c.mu.Lock()
		if it.offer == offer {
			it.offer++ // so that nothing can settle what was not taken
			c.tracker.move(it.tag, waiting)
		}
		c.mu.Unlock()
		pause := min(time.Second, 10*time.Millisecond<<min(refused, 10))
		if busy := (*transport.BusyError)(nil); errors.As(err, &busy) && busy.RetryAfter > 0 {
			pause = min(busy.RetryAfter, retryMax)
		}
		sleep(ctx, pause)
	}
}

// settle is the relay's answer to one offer.
func (c *consuming) settle(it *item, offer int, answer transport.Settlement) {
	now := time.Now()
	c.mu.Lock()
	if c.lost != nil || it.offer != offer {
		c.mu.Unlock()
		return
	}
	it.offer++ // the next answer to this offer is void
	wake := false
	switch {
	case answer.Outcome == transport.Accepted || answer.Outcome == transport.Rejected:
		c.tracker.move(it.tag, settled)
	case c.draining:
		c.tracker.move(it.tag, waiting) // for whoever consumes next
	case now.Sub(it.since) >= holdMax:
		c.tracker.move(it.tag, done)
		c.back = append(c.back, it.tag)
	default:
		pause := min(answer.RetryAfter, retryLatest)
		if pause <= 0 {
			pause = jitter(min(retryMax, retryFirst<<min(it.retries, 10)))
		}
		it.retries++
		it.due = now.Add(pause)
		c.tracker.move(it.tag, held)
		heap.Push(&c.held, it)
		wake = true
	}
	if c.draining && c.tracker.handed == 0 {
		select {
		case <-c.idle:
		default:
			close(c.idle)
		}
	}
	c.mu.Unlock()
	signal(c.kick)
	if wake {
		signal(c.wake)
	}
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// acknowledge sends the acknowledgements, so that no settlement has to wait for the socket.
func (c *consuming) acknowledge() {
	crowd := max(1, c.source.settings.Prefetch/2)
	enough := min(ackEvery, crowd)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	armed := false
	for {
		now := false
		select {
		case <-c.kick:
			c.mu.Lock()
			now = c.tracker.due(enough) || len(c.back) > 0
			later := c.tracker.ready > 0
			c.mu.Unlock()
			if !now && later && !armed {
				timer.Reset(ackDelay)
				armed = true
			}
		case <-timer.C:
			now, armed = true, false
		case <-c.last:
			if err := c.send(0); err != nil {
				c.lose(err)
			}
			return
		case <-c.gone:
			return
		}
		if !now {
			continue
		}
		if err := c.send(crowd); err != nil {
			c.lose(err)
			return
		}
	}
}

func (c *consuming) send(crowd int) error {
	c.mu.Lock()
	if c.lost != nil {
		c.mu.Unlock()
		return nil
	}
	back := c.back
	c.back = nil
	prefix, single := c.tracker.take(crowd)
	c.mu.Unlock()
	// First of all what goes back: the prefix may reach beyond it, and would acknowledge it.
	for _, tag := range back {
		if err := c.ch.Nack(tag, false, true); err != nil {
			return fmt.Errorf("giving back a delivery: %w", err)
		}
	}
	if prefix > 0 {
		if err := c.ch.Ack(prefix, true); err != nil {
			return fmt.Errorf("acknowledging: %w", err)
		}
	}
	for _, tag := range single {
		if err := c.ch.Ack(tag, false); err != nil {
			return fmt.Errorf("acknowledging: %w", err)
		}
	}
	return nil
}

// keepBound makes the exchange and the bindings again, should they be gone.
func (c *consuming) keepBound() {
	settings := &c.source.settings
	if !settings.DeclareQueue || len(settings.Bindings) == 0 {
		return
	}
	ticker := time.NewTicker(c.source.bindingsEvery)
	defer ticker.Stop()
	for {
		select {
		case <-c.gone:
			return
		case <-ticker.C:
		}
		// What the broker has against it is met again with the next session, which says so for as long as it lasts. Of a lost
		// connection, notice knows the reason.
		if err := settings.bindAgain(c.link); err != nil && !c.link.conn.IsClosed() {
			c.lose(err)
			return
		}
	}
}

// notice takes what the library notifies of, until the connection is gone: the library blocks if nobody does.
func (c *consuming) notice() {
	blocks, channel, connection, cancels := c.link.blocks, c.closed, c.link.closed, c.cancels
	for blocks != nil {
		select {
		case e := <-channel:
			channel = nil
			c.lose(lossReason(e))
		case e := <-connection:
			connection = nil
			c.lose(lossReason(e))
		case _, ok := <-cancels:
			if !ok {
				cancels = nil
				continue
			}
			c.lose(errors.New("the broker cancelled the consumer; the queue was deleted, or its node went down"))
		case _, ok := <-blocks:
			// An alarm stops publishers. A consumer goes on.
			if !ok {
				blocks = nil
			}
		}
	}
	c.lose(lossReason(nil))
}
