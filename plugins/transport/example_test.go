package transport_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

// list is a source of messages that are there already. What is not settled for good comes again.
type list struct {
	mu       sync.Mutex
	messages []transport.Message
	closed   bool
}

func (l *list) Receive(ctx context.Context, handle transport.Handler) error {
	for ctx.Err() == nil {
		l.mu.Lock()
		if l.closed || len(l.messages) == 0 {
			l.mu.Unlock()
			return nil
		}
		m := l.messages[0]
		l.mu.Unlock()
		settled := make(chan transport.Settlement, 1)
		if err := handle(ctx, transport.Delivery{Message: m, Settle: func(s transport.Settlement) { settled <- s }}); err != nil {
			continue // not taken
		}
		// One at a time, which is simple. A source that is to be fast has many deliveries open.
		if s := <-settled; s.Outcome == transport.Retried {
			time.Sleep(s.RetryAfter)
			continue
		}
		l.mu.Lock()
		l.messages = l.messages[1:]
		l.mu.Unlock()
	}
	return nil
}

func (l *list) Health() error { return nil }

func (l *list) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	return nil
}

// Takes the deliveries of a source and settles them.
func ExampleSource() {
	var source transport.Source = &list{messages: []transport.Message{
		{ID: "1", Type: "EiffelArtifactCreatedEvent"}, {ID: "2", Type: "EiffelArtifactPublishedEvent"},
	}}
	seen := map[string]bool{}
	err := source.Receive(context.Background(), func(_ context.Context, d transport.Delivery) error {
		if id := d.Message.ID; !seen[id] {
			seen[id] = true
			fmt.Println("not yet:", id)
			d.Settle(transport.Settlement{Outcome: transport.Retried, Err: errors.New("the broker is down")})
			return nil
		}
		fmt.Println("done:", d.Message.ID)
		d.Settle(transport.Settlement{Outcome: transport.Accepted})
		return nil
	})
	fmt.Println(err, source.Close())
	// Output:
	// not yet: 1
	// done: 1
	// not yet: 2
	// done: 2
	// <nil> <nil>
}

// shelf is a sink that keeps messages in memory. It has no room for long ones.
type shelf struct {
	mu       sync.Mutex
	messages []transport.Message
}

func (s *shelf) Publish(_ context.Context, messages []transport.Message, done func(i int, err error)) {
	for i, m := range messages {
		if len(m.Data) > 10 {
			done(i, &transport.PermanentError{Err: fmt.Errorf("%d bytes are too many", len(m.Data))})
			continue
		}
		s.mu.Lock()
		s.messages = append(s.messages, m)
		s.mu.Unlock()
		done(i, nil)
	}
}

func (s *shelf) Ordered() bool { return true }

func (s *shelf) Health() error { return nil }

func (s *shelf) Close(context.Context) error { return nil }

// Publishes messages and hears of each.
func ExampleSink() {
	var sink transport.Sink = &shelf{}
	ctx := context.Background()
	messages := []transport.Message{{ID: "1", Data: []byte(`{}`)}, {ID: "2", Data: []byte(`{"text":"too long"}`)}}
	sink.Publish(ctx, messages, func(i int, err error) {
		fmt.Println(messages[i].ID, err)
	})
	fmt.Println(sink.Close(ctx))
	// Output:
	// 1 <nil>
	// 2 19 bytes are too many
	// <nil>
}

func ExampleIsPermanent() {
	refused := &transport.PermanentError{Err: errors.New("413 Request Entity Too Large")}
	fmt.Println(transport.IsPermanent(fmt.Errorf("publish: %w", refused)))
	fmt.Println(transport.IsPermanent(errors.New("connection refused")))
	// Output:
	// true
	// false
}

func ExampleRetryAfter() {
	busy := &transport.RetryAfterError{Err: errors.New("503 Service Unavailable"), After: 30 * time.Second}
	fmt.Println(transport.RetryAfter(fmt.Errorf("publish: %w", busy)))
	fmt.Println(transport.RetryAfter(errors.New("connection refused")))
	// Output:
	// 30s
	// 0s
}
