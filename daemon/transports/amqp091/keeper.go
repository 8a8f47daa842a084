package amqp091

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// Keeper publishes messages that are no events of a relay and keeps them in a queue, for whoever reads them later with
// [OpenQueue]. Its methods may be called concurrently.
type Keeper struct{ sink *Sink }

// NewKeeper starts a keeper, which connects by itself. It declares the exchange and, if Queue is set, a durable queue with the
// Bindings: one of type quorum and without a delivery limit, since every reading of a queue is a delivery. A queue that
// exists is used as it is. Messages are always mandatory. The caller owes it a Close.
func NewKeeper(settings Settings, log *slog.Logger) (*Keeper, error) {
	settings.Mandatory = true
	if err := errors.Join(settings.Validate(), settings.ValidateSink()); err != nil {
		return nil, fmt.Errorf("amqp091: %w", err)
	}
	s := newSink(settings, log)
	s.keeps = settings.Queue != ""
	s.start()
	return &Keeper{s}, nil
}

// Publish publishes one message and waits for its confirm. Its errors are those of a [Sink]; when ctx ends, the message may
// still arrive. A message that no queue takes makes the keeper connect anew, which declares a queue that was deleted.
func (k *Keeper) Publish(ctx context.Context, key string, message amqp.Publishing) error {
	s := k.sink
	session, err := s.current(ctx)
	if err != nil {
		return s.failed(err)
	}
	if limit := s.maxSize.Load(); limit > 0 && int64(len(message.Body)) > limit {
		return s.failed(tooLarge(len(message.Body), limit))
	}
	result := make(chan error, 1)
	p := &pending{sink: s, message: message, key: key, done: func(_ int, err error) {
		if errors.Is(err, errUnroutable) && s.keeps {
			session.lose(err)
		}
		result <- err
	}}
	if err = session.reserve(ctx); err == nil {
		err = session.enqueue(p)
	}
	if err != nil {
		return s.failed(err)
	}
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return s.failed(context.Cause(ctx))
	}
}

// Waiting asks the broker how many messages lie in the queue, but for those that somebody has taken and not settled. It may
// block for as long as the broker does, until Close.
func (k *Keeper) Waiting(ctx context.Context) (int, error) {
	session, err := k.sink.current(ctx)
	if err != nil {
		return 0, k.sink.failed(err)
	}
	n, err := depth(session.link, k.sink.settings.Queue)
	if err != nil {
		return 0, k.sink.failed(err)
	}
	return n, nil
}

// Health is nil while messages can go out.
func (k *Keeper) Health() error { return k.sink.Health() }

// Close is that of a [Sink].
func (k *Keeper) Close(ctx context.Context) error { return k.sink.Close(ctx) }

// depth asks on a channel of its own, since asking for a queue that is not there costs the channel.
func depth(l *link, queue string) (int, error) {
	ch, err := l.conn.Channel()
	if err != nil {
		return 0, fmt.Errorf("opening a channel: %w", err)
	}
	q, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
	if err != nil {
		return 0, fmt.Errorf("asking for queue %q: %w", queue, err)
	}
	return q.Messages, ch.Close()
}

// ensureQueue declares the queue of a keeper if there is none, and its bindings.
func (s *Settings) ensureQueue(l *link) error {
	_, err := depth(l, s.Queue)
	missing := false
	if e := (*amqp.Error)(nil); errors.As(err, &e) && e.Code == amqp.NotFound {
		missing, err = true, nil
	}
	if err != nil {
		return err
	}
	ch, err := l.conn.Channel()
	if err != nil {
		return fmt.Errorf("opening a channel: %w", err)
	}
	if missing {
		args := amqp.Table{amqp.QueueTypeArg: QueueQuorum}
		if limitsDeliveries(l.conn.Properties) {
			args["x-delivery-limit"] = int64(-1)
		}
		_, err := ch.QueueDeclare(s.Queue, true, false, false, false, args)
		if err := declared("queue", s.Queue, err); err != nil {
			return err
		}
	}
	for _, key := range s.Bindings {
		if err := ch.QueueBind(s.Queue, key, s.Exchange, false, nil); err != nil {
			return fmt.Errorf("binding queue %q to exchange %q with %q: %w", s.Queue, s.Exchange, key, err)
		}
	}
	return ch.Close()
}

// limitsDeliveries tells whether a broker has a delivery limit of its own for quorum queues: RabbitMQ 4 has.
func limitsDeliveries(server amqp.Table) bool {
	version, _ := server["version"].(string)
	major, _, _ := strings.Cut(version, ".")
	return len(major) == 1 && major >= "4"
}

// Queue reads a queue without emptying it: what was taken and not acknowledged goes back to its place by Close, and
// nobody else sees it meanwhile. It is not safe for concurrent use.
type Queue struct {
	name string
	link *link
	ch   *amqp.Channel
	held map[uint64]struct{} // tags of what was taken and not acknowledged

	parts int // consumers so far

	notices sync.WaitGroup
}

// OpenQueue connects to the broker of the settings and looks at their Queue. The caller owes it a Close. The end of ctx ends what is
// under way.
func OpenQueue(ctx context.Context, settings Settings) (*Queue, error) {
	if err := settings.Validate(); err != nil {
		return nil, fmt.Errorf("amqp091: %w", err)
	}
	q := &Queue{name: settings.Queue, held: map[uint64]struct{}{}}
	var err error
	q.link, err = settings.setUp(ctx, "reader", func(l *link) error {
		q.ch, err = l.conn.Channel()
		if err != nil {
			return fmt.Errorf("opening a channel: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, q.failed(err)
	}
	q.notices.Go(func() {
		for range q.link.blocks { // the library blocks if nobody takes these
		}
	})
	return q, nil
}

func (q *Queue) failed(err error) error { return fmt.Errorf("amqp091 queue %q: %w", q.name, err) }

// Len is how many messages there are to take.
func (q *Queue) Len(ctx context.Context) (n int, err error) {
	err = q.within(ctx, func() error {
		n, err = depth(q.link, q.name)
		return err
	})
	return n, err
}

const (
	// readAhead bounds the messages that are in memory while a queue is read.
	readAhead = 500
	// readPause is how long no message may come before it is looked whether there are any.
	readPause = time.Second
	// readPauses is how many such pauses there may be while there are messages.
	readPauses = 10
)

// Read takes n messages, fewer if others take some, and calls visit for each, until that returns an error, which it returns. With
// the n of [Queue.Len], it reads none that comes to the queue meanwhile.
func (q *Queue) Read(ctx context.Context, n int, visit func(amqp.Delivery) error) error {
	for n > 0 {
		// A quorum queue gives a consumer no more than its prefetch, so that one is made for each part. Asking for
		// message by message would take a hundred times as long.
		part := min(n, readAhead)
		got, err := q.readPart(ctx, part, n, visit)
		if err != nil || got < part {
			return err
		}
		n -= got
	}
	return nil
}

// readPart takes part of the most messages that are still to be visited, and more where acknowledging makes room for more.
func (q *Queue) readPart(ctx context.Context, part, most int, visit func(amqp.Delivery) error) (got int, err error) {
	// A quorum queue takes a consumer of the same tag for the one before, whose messages are still open.
	q.parts++
	tag := fmt.Sprintf("%s-%d", consumerTag, q.parts)
	var deliveries <-chan amqp.Delivery
	err = q.within(ctx, func() (err error) {
		if err = q.ch.Qos(part, 0, false); err == nil {
			deliveries, err = q.ch.Consume(q.name, tag, false, false, false, false, nil)
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	take := func(d amqp.Delivery) error {
		got++
		q.held[d.DeliveryTag] = struct{}{}
		return visit(d)
	}
	pause := time.NewTimer(readPause)
	defer pause.Stop()
	waited := 0
	for got < part {
		pause.Reset(readPause)
		select {
		case d, ok := <-deliveries:
			if !ok {
				return got, q.failed(errors.New("the broker ended the consumer"))
			}
			waited = 0
			if err := take(d); err != nil {
				return got, err
			}
			continue
		case <-pause.C:
			n, err := q.Len(ctx)
			if err != nil {
				return got, err
			}
			if waited++; n > 0 && waited > readPauses {
				return got, q.failed(fmt.Errorf("the broker delivers none of %d messages", n))
			}
			if n > 0 {
				continue
			}
		case <-ctx.Done():
			return got, context.Cause(ctx)
		}
		break
	}
	if err := q.within(ctx, func() error { return q.ch.Cancel(tag, false) }); err != nil {
		return got, err
	}
	// Each acknowledgement has made room for one more. What came after the reading began, perhaps of what visit did, is not read.
	for d := range deliveries {
		if got == most {
			q.held[d.DeliveryTag] = struct{}{}
			continue
		}
		if err := take(d); err != nil {
			return got, err
		}
	}
	return got, nil
}

// Ack removes a message that was taken. Close sees to it that the broker has heard of it.
func (q *Queue) Ack(ctx context.Context, d amqp.Delivery) error {
	delete(q.held, d.DeliveryTag)
	return q.within(ctx, func() error { return q.ch.Ack(d.DeliveryTag, false) })
}

// within calls the broker; what takes longer than any answer should, or than ctx, costs the connection.
func (q *Queue) within(ctx context.Context, call func() error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, setupTimeout, errors.New("the broker does not answer"))
	defer cancel()
	stop := context.AfterFunc(ctx, q.link.kill)
	err := call()
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		return q.failed(err)
	}
	return nil
}

// Close gives back what was not acknowledged. A quorum queue does that after it has answered, so that Close waits, for a moment, until
// it is there: whoever looks next is to see it.
func (q *Queue) Close() {
	if held := len(q.held); held > 0 {
		ctx, cancel := context.WithTimeout(context.Background(), goodbyeTimeout)
		defer cancel()
		err := q.within(ctx, func() error { return q.ch.Nack(0, true, true) }) // 0: all
		for n := 0; err == nil && n < held && sleep(ctx, time.Millisecond); {
			n, err = q.Len(ctx)
		}
	}
	q.link.close()
	q.notices.Wait()
}
