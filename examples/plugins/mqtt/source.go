package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/eclipse/paho.golang/paho"

	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

var _ transport.Source = (*source)(nil)

// source subscribes with QoS 1 in a session that the broker keeps. A message is acknowledged when it is accepted or rejected; MQTT
// knows no "again", so that one that is to be retried is held here and handed over again. When the connection is lost, the broker
// sends everything that was not acknowledged again.
type source struct {
	settings settings

	life context.Context // ends with Close
	end  context.CancelFunc

	lock     sync.Mutex
	running  chan struct{} // closed when Receive returns; nil if it does not run
	obstacle error
}

func newSource(config []byte) (transport.Source, error) {
	s, err := readSettings(config)
	if err == nil && s.ClientID == "" {
		err = errors.New("client_id is missing, by which the broker knows the source again")
	}
	if err != nil {
		return nil, err
	}
	life, end := context.WithCancel(context.Background())
	return &source{settings: s, life: life, end: end, obstacle: errors.New("not receiving yet")}, nil
}

// Receive implements [transport.Source].
func (s *source) Receive(ctx context.Context, handle transport.Handler) error {
	running := make(chan struct{})
	s.lock.Lock()
	if s.life.Err() != nil || s.running != nil {
		s.lock.Unlock()
		return nil
	}
	s.running = running
	s.lock.Unlock()
	defer close(running)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.life, cancel)()
	pause := reconnectMin
	for {
		c, err := s.open(ctx)
		if err == nil {
			slog.Info("subscribed", "broker", s.settings.Broker, "topic", s.settings.Topic)
			s.set(nil)
			c.run(ctx, handle)
			err = errors.New("the connection to the broker was lost")
			pause = reconnectMin
		}
		if ctx.Err() != nil {
			s.set(errors.New("stopped"))
			return nil
		}
		slog.Warn("no subscription; trying on", "error", err)
		s.set(err)
		if !sleep(ctx, pause) {
			s.set(errors.New("stopped"))
			return nil
		}
		pause = min(2*pause, reconnectMax)
	}
}

func (s *source) set(obstacle error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.obstacle = obstacle
}

// Health implements [transport.Source].
func (s *source) Health() error {
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.life.Err() != nil {
		return errors.New("closed")
	}
	return s.obstacle
}

// Close implements [transport.Source].
func (s *source) Close() error {
	s.end()
	s.lock.Lock()
	running := s.running
	s.lock.Unlock()
	if running != nil {
		<-running
	}
	return nil
}

// connection is one connection to the broker. Packets can be acknowledged on their own connection only.
type connection struct {
	source *source
	client *paho.Client
	came   chan *paho.Publish // from the broker, which sends no more than the window
	again  chan *paho.Publish // due to be handed over again

	lock     sync.Mutex
	open     int           // with the handler or to be settled
	draining bool          // nothing is handed over any more
	idle     chan struct{} // closed when nothing is open while draining
}

func (s *source) open(ctx context.Context) (*connection, error) {
	c := &connection{
		source: s, idle: make(chan struct{}),
		came: make(chan *paho.Publish, s.settings.Window), again: make(chan *paho.Publish, s.settings.Window),
	}
	var err error
	var answer *paho.Connack
	c.client, answer, err = dial(ctx, s.settings, paho.ClientConfig{
		EnableManualAcknowledgment: true, SendAcksInterval: acksInterval,
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(p paho.PublishReceived) (bool, error) {
			select {
			case c.came <- p.Packet:
			case <-p.Client.Done():
			}
			return true, nil
		}},
	}, &paho.Connect{
		ClientID:   s.settings.ClientID, // and no clean start
		Properties: &paho.ConnectProperties{ReceiveMaximum: &s.settings.Window, SessionExpiryInterval: &s.settings.SessionExpiry},
	})
	if err != nil {
		return nil, err
	}
	if answer.SessionPresent {
		return c, nil // the subscription is part of the session; for another topic, take another client_id
	}
	_, err = c.client.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: s.settings.Topic, QoS: 1}}})
	if err != nil {
		_ = c.client.Disconnect(&paho.Disconnect{})
		return nil, fmt.Errorf("subscribe to %s: %w", s.settings.Topic, err)
	}
	return c, nil
}

// run hands over until ctx ends, and then waits for the settlements, or until the connection is lost.
func (c *connection) run(ctx context.Context, handle transport.Handler) {
	lost, forget := context.WithCancel(ctx) // of the handler: it need not wait for room for what is void
	defer forget()
	go func() {
		select {
		case <-c.client.Done():
			forget()
		case <-lost.Done():
		}
	}()
	for lost.Err() == nil {
		select {
		case p := <-c.again:
			c.offer(lost, handle, p, true)
		case p := <-c.came:
			c.offer(lost, handle, p, p.Packet().Duplicate)
		case <-lost.Done():
		}
	}
	if ctx.Err() != nil {
		c.lock.Lock()
		c.draining = true
		if c.open == 0 {
			close(c.idle)
		}
		c.lock.Unlock()
		select {
		case <-c.idle:
			time.Sleep(3 * acksInterval) // the client sends acknowledgements now and then, and cannot be asked to
		case <-c.client.Done():
		case <-c.source.life.Done():
		}
	}
	_ = c.client.Disconnect(&paho.Disconnect{}) // the session stays
	<-c.client.Done()
}

// offer hands over one message until it is taken. None passes it meanwhile, for the sake of the order.
func (c *connection) offer(ctx context.Context, handle transport.Handler, p *paho.Publish, redelivered bool) {
	for ctx.Err() == nil {
		c.count(1)
		var once sync.Once
		settle := func(f func()) {
			once.Do(func() {
				f()
				c.count(-1)
			})
		}
		err := handle(ctx, transport.Delivery{
			Message: decode(p), Redelivered: redelivered,
			Settle: func(answer transport.Settlement) { settle(func() { c.settle(p, answer) }) },
		})
		if err == nil {
			return
		}
		settle(func() {})
		pause := busyPause
		if busy := (*transport.BusyError)(nil); errors.As(err, &busy) && busy.RetryAfter > 0 {
			pause = busy.RetryAfter
		}
		sleep(ctx, pause)
	}
}

func (c *connection) count(n int) {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.open += n
	if c.draining && c.open == 0 {
		close(c.idle) // nothing is handed over any more, so that this comes once
	}
}

func (c *connection) settle(p *paho.Publish, answer transport.Settlement) {
	if answer.Outcome != transport.Retried {
		_ = c.client.Ack(p) // without effect if the connection is lost
		return
	}
	pause := answer.RetryAfter
	if pause <= 0 {
		pause = retryPause
	}
	time.AfterFunc(pause, func() {
		select {
		case c.again <- p: // there is room for the whole window
		case <-c.client.Done():
		}
	})
}
