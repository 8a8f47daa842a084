package transportconformance_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	transportconformance "github.com/eiffelbridge/eiffelbridge/conformance/transport"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

// memorySource is a correct source of a few lines, with faults to switch on.
type memorySource struct {
	fault string

	lock    sync.Mutex
	queue   []transport.Message
	open    int
	started bool
	closed  chan struct{}
	once    sync.Once
}

func (s *memorySource) Source() transport.Source { return s }

func (s *memorySource) Traits() transportconformance.SourceTraits {
	return transportconformance.SourceTraits{}
}

func (s *memorySource) Send(_ context.Context, messages []transport.Message) error {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.queue = append(s.queue, messages...)
	return nil
}

func (s *memorySource) Receive(ctx context.Context, handle transport.Handler) error {
	s.lock.Lock()
	s.started = true
	s.lock.Unlock()
	n := 0
	for ctx.Err() == nil {
		select {
		case <-s.closed:
			if s.fault != "goes on after close" {
				return nil
			}
		default:
		}
		s.lock.Lock()
		if len(s.queue) == 0 {
			s.lock.Unlock()
			time.Sleep(time.Millisecond)
			continue
		}
		m := s.queue[0]
		s.queue = s.queue[1:]
		if s.fault == "swaps" && len(s.queue) > 0 {
			m, s.queue[0] = s.queue[0], m
		}
		s.open++
		s.lock.Unlock()
		n++
		if s.fault == "loses" && n == 5 {
			s.done(m, false)
			continue
		}
		if s.fault == "compacts digits" {
			m.Data = []byte(strings.Replace(string(m.Data), "1.10", "1.1", 1))
		}
		err := handle(ctx, transport.Delivery{Message: m, Settle: func(settlement transport.Settlement) {
			s.done(m, settlement.Outcome == transport.Retried && s.fault != "forgets retried")
		}})
		if err != nil {
			s.done(m, s.fault != "forgets busy")
		}
	}
	for s.fault != "does not wait" {
		s.lock.Lock()
		open := s.open
		s.lock.Unlock()
		if open == 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

func (s *memorySource) done(m transport.Message, again bool) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.open--
	if again {
		s.queue = append(s.queue, m)
	}
}

func (s *memorySource) Health() error {
	s.lock.Lock()
	defer s.lock.Unlock()
	select {
	case <-s.closed:
		return errors.New("closed")
	default:
	}
	if !s.started {
		return errors.New("not started")
	}
	return nil
}

func (s *memorySource) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

// impatient keeps the failing runs short.
var impatient = transportconformance.Options{Patience: 300 * time.Millisecond, Quiet: 20 * time.Millisecond}

func TestKitJudgesSources(t *testing.T) {
	for fault, check := range map[string]string{
		"":                    "",
		"loses":               "delivers_each_message_byte_equal_and_in_order",
		"swaps":               "delivers_each_message_byte_equal_and_in_order",
		"compacts digits":     "delivers_each_message_byte_equal_and_in_order",
		"forgets retried":     "retried_is_delivered_again",
		"forgets busy":        "busy_handler_gets_it_again",
		"does not wait":       "receive_waits_for_settlements",
		"goes on after close": "close_ends_receive",
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			newHarness := func(context.Context) (transportconformance.SourceHarness, error) {
				return &memorySource{fault: fault, closed: make(chan struct{})}, nil
			}
			judge(t, check, func(o transportconformance.Options) error {
				return transportconformance.TestSource(t.Context(), newHarness, o)
			})
		})
	}
}

// judge expects that the named check fails, and that listing it as a known failure is right then and wrong otherwise.
func judge(t *testing.T, check string, run func(transportconformance.Options) error) {
	t.Helper()
	err := run(impatient)
	if check == "" {
		if err != nil {
			t.Error(err)
		}
		o := impatient
		o.KnownFailures = map[string]string{"health": "none", "durable_when_done": "none"}
		if err := run(o); err == nil || !strings.Contains(err.Error(), "take it off the list") {
			t.Errorf("a stale known failure gives %v", err)
		}
		return
	}
	if err == nil || !strings.Contains(err.Error(), check+":") {
		t.Errorf("%s does not fail: %v", check, err)
	}
	o := impatient
	o.KnownFailures = map[string]string{check: "on purpose"}
	if err := run(o); err != nil && strings.Contains(err.Error(), check+":") {
		t.Errorf("a known failure counts: %v", err)
	}
}

// memorySink is a correct sink with faults to switch on.
type memorySink struct {
	fault string

	lock   sync.Mutex
	got    []transport.Message
	calls  int
	closed bool
	open   sync.WaitGroup
}

func (s *memorySink) Sink() transport.Sink { return s }

func (s *memorySink) Publish(ctx context.Context, messages []transport.Message, done func(int, error)) {
	for i, m := range messages {
		s.lock.Lock()
		s.calls++
		calls := s.calls
		var err error
		switch {
		case s.closed && s.fault != "publishes after close":
			err = errors.New("closed")
		case ctx.Err() != nil:
			err = ctx.Err()
		case s.fault == "loses" && calls == 3:
		case s.fault == "swaps" && len(s.got) > 0:
			s.got = append(s.got[:len(s.got)-1:len(s.got)-1], m, s.got[len(s.got)-1])
		default:
			s.got = append(s.got, m)
		}
		s.lock.Unlock()
		if s.fault == "forgets done" && calls == 4 {
			continue
		}
		if s.fault == "does not wait" {
			time.AfterFunc(50*time.Millisecond, func() { done(i, err) })
			continue
		}
		if s.fault == "done twice" {
			done(i, err)
			done(i, err)
			continue
		}
		s.open.Go(func() { done(i, err) })
	}
}

func (s *memorySink) Ordered() bool { return true }

func (s *memorySink) Health() error { return nil }

func (s *memorySink) Close(context.Context) error {
	s.lock.Lock()
	s.closed = true
	s.lock.Unlock()
	s.open.Wait()
	return nil
}

type memorySinkHarness struct{ *memorySink }

func (h memorySinkHarness) Close() error { return nil }

func (s *memorySink) Collect(context.Context) ([]transport.Message, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	return append([]transport.Message(nil), s.got...), nil
}

func TestKitJudgesSinks(t *testing.T) {
	for fault, check := range map[string]string{
		"":                      "",
		"loses":                 "publishes_each_message_byte_equal",
		"swaps":                 "order_of_publish_calls",
		"forgets done":          "publishes_each_message_byte_equal",
		"done twice":            "publishes_each_message_byte_equal",
		"does not wait":         "close_waits_for_what_is_in_flight",
		"publishes after close": "close_before_publish_and_publish_after_close",
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			newHarness := func(context.Context) (transportconformance.SinkHarness, error) {
				return memorySinkHarness{&memorySink{fault: fault}}, nil
			}
			judge(t, check, func(o transportconformance.Options) error {
				return transportconformance.TestSink(t.Context(), newHarness, o)
			})
		})
	}
}

func TestChecksAreChosenByName(t *testing.T) {
	newHarness := func(context.Context) (transportconformance.SinkHarness, error) {
		return memorySinkHarness{&memorySink{fault: "loses"}}, nil
	}
	for _, c := range []struct {
		checks []string
		fails  string
	}{
		{[]string{"close_before_publish_and_publish_after_close"}, ""},
		{[]string{}, ""},
		{[]string{"publishes_each_message_byte_equal"}, "publishes_each_message_byte_equal: "},
		{[]string{"gravity"}, `there is no check "gravity"; there are publishes_each_message_byte_equal, `},
	} {
		o := impatient
		o.Checks = c.checks
		err := transportconformance.TestSink(t.Context(), newHarness, o)
		if c.fails == "" && err != nil || c.fails != "" && (err == nil || !strings.HasPrefix(err.Error(), c.fails)) {
			t.Errorf("%q: %v, want %q", c.checks, err, c.fails)
		}
	}
	for _, checks := range [][]string{transportconformance.SourceChecks(), transportconformance.SinkChecks()} {
		if len(checks) < 10 {
			t.Errorf("only the checks %q", checks)
		}
	}
}
