package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/eclipse/paho.golang/paho"

	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

var _ transport.Sink = (*sink)(nil)

var errClosed = errors.New("the sink is closed")

// sink publishes with QoS 1: a message is durable when the broker has acknowledged it. Messages go out side by side, since the client
// has no other way to have more than one in flight and to learn what became of each; so the sink is not ordered.
type sink struct {
	settings settings
	slots    chan struct{}
	open     sync.WaitGroup

	life    context.Context // ends when Close gives up, or has waited
	end     context.CancelFunc
	closing chan struct{}
	close   sync.Once
	stopped chan struct{}

	lock    sync.Mutex
	client  *paho.Client  // nil while there is none
	down    error         // why, after an attempt
	changed chan struct{} // closed when either changes
	closed  bool
}

func newSink(config []byte) (transport.Sink, error) {
	settings, err := readSettings(config)
	if err != nil {
		return nil, err
	}
	s := &sink{
		settings: settings, slots: make(chan struct{}, settings.Window),
		closing: make(chan struct{}), stopped: make(chan struct{}), changed: make(chan struct{}),
	}
	s.life, s.end = context.WithCancel(context.Background())
	go s.run()
	return s, nil
}

// run keeps a connection up.
func (s *sink) run() {
	defer close(s.stopped)
	pause := reconnectMin
	for s.life.Err() == nil {
		client, _, err := dial(s.life, s.settings, paho.ClientConfig{}, &paho.Connect{CleanStart: true})
		if err == nil {
			slog.Info("connected", "broker", s.settings.Broker)
			s.set(client, nil)
			pause = reconnectMin
			select {
			case <-client.Done():
				err = nil // the first attempt to get another one is worth waiting for
			case <-s.life.Done():
				_ = client.Disconnect(&paho.Disconnect{})
				<-client.Done()
			}
		}
		s.set(nil, err)
		sleep(s.life, pause)
		pause = min(2*pause, reconnectMax)
	}
}

func (s *sink) set(client *paho.Client, down error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.client, s.down = client, down
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *sink) current(ctx context.Context) (*paho.Client, error) {
	for {
		s.lock.Lock()
		client, down, changed := s.client, s.down, s.changed
		s.lock.Unlock()
		if client != nil || down != nil {
			return client, down
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-s.life.Done():
			return nil, errClosed
		}
	}
}

// Publish implements [transport.Sink].
func (s *sink) Publish(ctx context.Context, messages []transport.Message, done func(i int, err error)) {
	for i, m := range messages {
		if err := s.reserve(ctx); err != nil {
			done(i, err)
			continue
		}
		go func() {
			defer s.open.Done()
			defer func() { <-s.slots }()
			done(i, s.publish(ctx, m))
		}()
	}
}

// reserve finds room for a message, and counts it.
func (s *sink) reserve(ctx context.Context) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closing:
		return errClosed
	}
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.closed {
		<-s.slots
		return errClosed
	}
	s.open.Add(1)
	return nil
}

func (s *sink) publish(ctx context.Context, m transport.Message) error {
	client, err := s.current(ctx)
	if err != nil {
		return err
	}
	// What is under way is not taken back when the caller gives up, only when the sink does.
	answer, err := client.Publish(s.life, encode(m, s.settings.Topic))
	switch {
	case answer != nil && answer.ReasonCode >= 0x80:
		err := fmt.Errorf("the broker refuses the message, reason code 0x%02x", answer.ReasonCode)
		switch answer.ReasonCode {
		case 0x90, 0x95, 0x99: // topic name invalid, packet too large, payload format invalid (MQTT 5, 2.4)
			return &transport.PermanentError{Err: err}
		}
		return err
	case errors.Is(err, paho.ErrInvalidArguments):
		return &transport.PermanentError{Err: err}
	case err != nil:
		return fmt.Errorf("publish to %s: %w", s.settings.Topic, err)
	case answer.ReasonCode == 0x10:
		return fmt.Errorf("nobody subscribes to %s", s.settings.Topic)
	}
	return nil
}

// Ordered implements [transport.Sink].
func (s *sink) Ordered() bool { return false }

// Health implements [transport.Sink].
func (s *sink) Health() error {
	s.lock.Lock()
	defer s.lock.Unlock()
	switch {
	case s.closed:
		return errClosed
	case s.down != nil:
		return s.down
	case s.client == nil:
		return errors.New("connecting to " + s.settings.Broker)
	}
	return nil
}

// Close implements [transport.Sink].
func (s *sink) Close(ctx context.Context) error {
	s.lock.Lock()
	s.closed = true
	s.lock.Unlock()
	s.close.Do(func() { close(s.closing) })
	over := make(chan struct{})
	go func() {
		defer close(over)
		s.open.Wait()
	}()
	var err error
	select {
	case <-over:
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.end()
	<-s.stopped
	<-over
	return err
}
