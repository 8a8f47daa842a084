//go:build unix

package torture

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// amqpLoad publishes Eiffel events with confirms, persistent and mandatory, as a careful producer does: an event of a unit
// only after the one before it is confirmed. What is returned, refused or not answered is published again.
type amqpLoad struct {
	url, exchange string
	counts        *tally
	senders       int

	mu   sync.Mutex
	conn *amqp.Connection

	blocked func(amqp.Blocking) // told of the broker's alarms
}

func newAMQPLoad(url, exchange string, senders int) *amqpLoad {
	return &amqpLoad{url: url, exchange: exchange, senders: senders, counts: newTally()}
}

func (l *amqpLoad) tally() *tally { return l.counts }

func (l *amqpLoad) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil {
		_ = l.conn.Close()
	}
}

// dial connects with short timeouts.
func dial(url, name string) (*amqp.Connection, error) {
	properties := amqp.NewConnectionProperties()
	properties.SetClientConnectionName(name)
	return amqp.DialConfig(url, amqp.Config{Heartbeat: 5 * time.Second, Dial: amqp.DefaultDial(3 * time.Second), Properties: properties})
}

func (l *amqpLoad) connection() (*amqp.Connection, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil && !l.conn.IsClosed() {
		return l.conn, nil
	}
	conn, err := dial(l.url, "torture sender")
	if err != nil {
		return nil, err
	}
	blocks := conn.NotifyBlocked(make(chan amqp.Blocking, 16))
	go func() { // ends with the connection, which closes the channel
		for b := range blocks {
			if l.blocked != nil {
				l.blocked(b)
			}
		}
	}()
	l.conn = conn
	return conn, nil
}

// sender is a channel to publish through.
type sender struct {
	channel *amqp.Channel
	returns chan amqp.Return
	closed  chan *amqp.Error
}

func (l *amqpLoad) sender() (*sender, error) {
	conn, err := l.connection()
	if err != nil {
		return nil, err
	}
	channel, err := conn.Channel()
	if err != nil {
		return nil, err
	}
	if err := channel.Confirm(false); err != nil {
		return nil, err
	}
	return &sender{
		channel: channel, returns: channel.NotifyReturn(make(chan amqp.Return, 16)), closed: channel.NotifyClose(make(chan *amqp.Error, 1)),
	}, nil
}

func (l *amqpLoad) feed(ctx context.Context, p *pacer, units []unit) error {
	senders := make(chan *sender, l.senders)
	for range l.senders {
		senders <- nil
	}
	return sideBySide(ctx, l.senders, units, func(ctx context.Context, _ int, u unit) error {
		s := <-senders
		defer func() { senders <- s }()
		for _, in := range u {
			if !p.take(ctx, 1) {
				return ctx.Err()
			}
			if in.after > 0 {
				if err := sleep(ctx, in.after); err != nil {
					return err
				}
			}
			l.counts.begin(in)
			for {
				if s == nil {
					var err error
					if s, err = l.sender(); err != nil {
						l.counts.noteBroken(err)
						if err := sleep(ctx, 100*time.Millisecond); err != nil {
							return err
						}
						continue
					}
				}
				err := s.publish(ctx, l.exchange, in)
				if err == nil {
					l.counts.accept(in)
					break
				}
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				if errors.Is(err, errReturned) {
					l.counts.noteRefused(err.Error())
				} else {
					l.counts.noteBroken(err)
					_ = s.channel.Close()
					s = nil
				}
				if err := sleep(ctx, 50*time.Millisecond); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

var errReturned = errors.New("the message was not taken")

// publish returns nil when the broker has confirmed an event into a queue.
func (s *sender) publish(ctx context.Context, exchange string, in *input) error {
	// A channel that dies while it waits takes the confirmation with it.
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	confirm, err := s.channel.PublishWithDeferredConfirmWithContext(ctx, exchange, "eiffel.torture."+in.event.Type+"._._", true, false,
		amqp.Publishing{ContentType: "application/json", DeliveryMode: amqp.Persistent, MessageId: in.event.ID, Body: in.body})
	if err != nil {
		return err
	}
	select {
	case <-confirm.Done():
	case e := <-s.closed:
		if e == nil {
			return errors.New("the channel is gone")
		}
		return fmt.Errorf("the channel is gone: %w", e)
	case <-ctx.Done():
		return ctx.Err()
	}
	if !confirm.Acked() {
		return fmt.Errorf("%w: negative confirm", errReturned)
	}
	// The broker returns before it confirms, and the library hands both over from one goroutine.
	select {
	case r := <-s.returns:
		return fmt.Errorf("%w: %s", errReturned, r.ReplyText)
	default:
		return nil
	}
}

// watcher consumes what the relay publishes, with acknowledgements, and connects again when its broker was away.
type watcher struct {
	url, exchange, queue string
	recorder             *recorder

	end     context.CancelFunc
	running sync.WaitGroup
	mu      sync.Mutex
	conn    *amqp.Connection
	pause   bool // it does not connect again
}

func newWatcher(url, exchange string, recorder *recorder) (*watcher, error) {
	ctx, end := context.WithCancel(context.Background())
	w := &watcher{url: url, exchange: exchange, queue: exchange + ".out", recorder: recorder, end: end}
	deliveries, err := w.open()
	if err != nil {
		end()
		return nil, err
	}
	w.running.Go(func() {
		for ctx.Err() == nil {
			for d := range deliveries {
				w.recorder.add(d.MessageId, d.Body, d.Redelivered)
				_ = d.Ack(false) // a lost acknowledgement comes again, and is told from the relay's duplicates
			}
			if sleep(ctx, 50*time.Millisecond) != nil {
				return
			}
			w.mu.Lock()
			if w.pause {
				w.mu.Unlock()
				continue
			}
			w.mu.Unlock()
			if d, err := w.open(); err == nil {
				deliveries = d
			}
		}
	})
	return w, nil
}

// open connects, declares the exchange, the queue and the binding, and consumes.
func (w *watcher) open() (<-chan amqp.Delivery, error) {
	conn, err := dial(w.url, "torture watcher")
	if err != nil {
		return nil, err
	}
	deliveries, err := func() (<-chan amqp.Delivery, error) {
		channel, err := conn.Channel()
		if err != nil {
			return nil, err
		}
		if err := declare(channel, w.exchange, w.queue); err != nil {
			return nil, err
		}
		if err := channel.Qos(256, 0, false); err != nil {
			return nil, err
		}
		return channel.Consume(w.queue, "", false, false, false, false, nil)
	}()
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	w.mu.Lock()
	if w.conn != nil {
		_ = w.conn.Close()
	}
	w.conn = conn
	w.mu.Unlock()
	return deliveries, nil
}

// declare declares a durable topic exchange and a quorum queue that gets all of it.
func declare(channel *amqp.Channel, exchange, queue string) error {
	if err := channel.ExchangeDeclare(exchange, "topic", true, false, false, false, nil); err != nil {
		return err
	}
	if _, err := channel.QueueDeclare(queue, true, false, false, false, amqp.Table{"x-queue-type": "quorum"}); err != nil {
		return err
	}
	return channel.QueueBind(queue, "#", exchange, false, nil)
}

// hold keeps the watcher from declaring anything anew; release undoes it.
func (w *watcher) hold() {
	w.mu.Lock()
	w.pause = true
	w.mu.Unlock()
}

func (w *watcher) release() {
	w.mu.Lock()
	w.pause = false
	w.mu.Unlock()
}

// disconnect ends the connection.
func (w *watcher) disconnect() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn != nil {
		_ = w.conn.Close()
	}
}

func (w *watcher) close() {
	w.end()
	w.disconnect()
	w.running.Wait()
}

// withChannel does something at the broker over a connection of its own.
func withChannel(url string, do func(*amqp.Channel) error) error {
	conn, err := dial(url, "torture")
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	channel, err := conn.Channel()
	if err != nil {
		return err
	}
	return do(channel)
}

// depth is how many messages are ready in a queue.
func depth(url, queue string) (n int, err error) {
	err = withChannel(url, func(channel *amqp.Channel) error {
		q, err := channel.QueueDeclarePassive(queue, true, false, false, false, nil)
		n = q.Messages
		return err
	})
	return n, err
}

// deleteQueues takes away what a cell left at the broker that it shares with others.
func (r *run) deleteQueues(ctx context.Context) error {
	for _, queue := range []string{r.exchange + ".out", r.queue()} {
		err := withChannel(r.server.URL(), func(channel *amqp.Channel) error {
			_, err := channel.QueueDelete(queue, false, false, false)
			return err
		})
		if err != nil && ctx.Err() != nil {
			return err
		}
	}
	return withChannel(r.server.URL(), func(channel *amqp.Channel) error { return channel.ExchangeDelete(r.exchange, false, false) })
}
