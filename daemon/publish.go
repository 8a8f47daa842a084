package daemon

import (
	"context"
	"errors"
	"fmt"

	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

// outlet is a sink with what the relays over it share. Its fields are guarded by the sequencer's lock.
type outlet struct {
	name    string
	sink    transport.Sink
	ordered bool
	queue   []queued // of an ordered sink
	wake    chan struct{}
	failing bool
}

// queued is one attempt in the queue of an ordered sink.
type queued struct {
	t *transaction
	a *sending
}

func newOutlet(name string, sink transport.Sink) *outlet {
	return &outlet{name: name, sink: sink, ordered: sink.Ordered(), wake: make(chan struct{}, 1)}
}

// errNotSent is the fate of messages behind one that failed.
var errNotSent = errors.New("not sent, since a message before it failed")

// publish sends what a transaction became: to an ordered sink behind what was published before, to any other at once.
func (s *sequencer) publish(t *transaction) {
	messages := t.outputs[t.confirmed:]
	a := &sending{messages: messages, errs: make([]error, len(messages)), done: make([]bool, len(messages)), open: len(messages)}
	t.state, t.sending = publishing, a
	o := t.relay.outlet
	if o.ordered {
		o.queue = append(o.queue, queued{t, a})
		select {
		case o.wake <- struct{}{}:
		default:
		}
		return
	}
	a.handed, a.since = true, s.clock.Now()
	a.span = t.trace.send(o.name, messages, a.since)
	s.running.Add(1)
	go func() {
		defer s.running.Done()
		s.sendEach(t, a)
	}()
}

// sendLoop hands the transactions of an ordered sink over, one after the other.
func (s *sequencer) sendLoop(o *outlet) {
	defer s.running.Done()
	for {
		select {
		case <-o.wake:
		case <-s.work.Done():
			return
		}
		for {
			s.mu.Lock()
			var head queued
			for len(o.queue) > 0 && head.t == nil {
				// What was taken back while it stood in the queue stands there again, in its new place.
				if !o.queue[0].a.void {
					head = o.queue[0]
					head.a.handed, head.a.since = true, s.clock.Now()
					head.a.span = head.t.trace.send(o.name, head.a.messages, head.a.since)
				}
				o.queue[0] = queued{}
				o.queue = o.queue[1:]
			}
			s.mu.Unlock()
			if head.t == nil {
				break
			}
			o.sink.Publish(s.work, head.a.messages, func(i int, err error) { s.sent(head.t, head.a, i, err) })
		}
	}
}

// sendEach sends one message after the other, since a sink without order may send those of one call side by side.
func (s *sequencer) sendEach(t *transaction, a *sending) {
	for i := range a.messages {
		result := make(chan error, 1)
		t.relay.outlet.sink.Publish(s.work, a.messages[i:i+1], func(_ int, err error) {
			select {
			case result <- err:
			default: // a second answer
			}
		})
		var err error
		select {
		case err = <-result:
		case <-s.work.Done():
			// The sink goes on, though this relay does not; what it was not heard of is sent again by the next one.
			select {
			case err = <-result:
			default:
				return
			}
		}
		s.sent(t, a, i, err)
		if err != nil {
			for rest := i + 1; rest < len(a.messages); rest++ {
				s.sent(t, a, rest, errNotSent)
			}
			return
		}
	}
}

// awaitAnswers waits, after stop, until the sinks have answered for all that they have, or ctx ends.
func (s *sequencer) awaitAnswers(ctx context.Context) {
	for {
		s.mu.Lock()
		open := 0
		for t := range s.all {
			if t.sending != nil && t.sending.handed {
				open += t.sending.open
			}
		}
		answered := s.answered
		s.mu.Unlock()
		if open == 0 {
			return
		}
		select {
		case <-answered:
		case <-ctx.Done():
			return
		}
	}
}

// sent notes what became of one message; with the last of an attempt the transaction moves on.
func (s *sequencer) sent(t *transaction, a *sending, i int, err error) {
	s.mu.Lock()
	defer s.unlock()
	if i < 0 || i >= len(a.done) || a.done[i] {
		s.log.Error("sink answered twice or for no message", "transport", t.relay.outlet.name, "relay", t.relay.settings.Name,
			"event", t.event.ID, "index", i)
		return
	}
	a.done[i], a.errs[i] = true, err
	a.open--
	if err == nil {
		t.relay.account.sent()
	}
	if s.stopped {
		close(s.answered)
		s.answered = make(chan struct{})
	}
	if a.open > 0 || t.state == finished {
		return
	}
	now := s.clock.Now()
	t.relay.account.publish.Observe(now.Sub(a.since).Seconds())
	a.span.done(errors.Join(a.errs...), now)
	s.judge(t, a)
}

func (s *sequencer) judge(t *transaction, a *sending) {
	if a.void {
		if t.sending == a {
			t.sending = nil
		}
		s.retry()
		return
	}
	t.sending = nil
	var temporary, permanent error
	prefix := true
	for i, err := range a.errs {
		switch {
		case err == nil:
			if prefix {
				t.confirmed++
			}
			continue
		case errors.Is(err, errNotSent):
		case transport.IsPermanent(err):
			if permanent == nil {
				permanent = fmt.Errorf("transport %s: event %s: %w", t.relay.outlet.name, a.messages[i].ID, err)
			}
		default:
			if temporary == nil || transport.RetryAfter(err) > transport.RetryAfter(temporary) {
				temporary = fmt.Errorf("transport %s: event %s: %w", t.relay.outlet.name, a.messages[i].ID, err)
			}
		}
		prefix = false
	}
	o := t.relay.outlet
	switch {
	case permanent != nil:
		t.attempts++
		l := s.letterFor(t)
		l.Code, l.Message = CodeUndeliverable, permanent.Error()
		t.letter, t.err = l, permanent
		t.state = delivered
	case temporary != nil:
		if !o.failing && s.work.Err() == nil {
			o.failing = true
			s.log.Warn("sink does not take events", "transport", o.name, "relay", t.relay.settings.Name, "event", t.event.ID, "error", temporary)
		}
		s.failed(t, temporary)
		return
	default:
		if o.failing {
			o.failing = false
			s.log.Info("sink takes events again", "transport", o.name)
		}
		t.state = delivered
	}
	s.advanceFollowers(t)
	s.advance(t)
}

// closeSink closes the sink of an outlet.
func (o *outlet) close(ctx context.Context) error {
	if err := o.sink.Close(ctx); err != nil {
		return fmt.Errorf("close transport %s: %w", o.name, err)
	}
	return nil
}
