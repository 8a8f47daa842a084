package transportconformance

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

// SinkHarness makes one sink and plays its far side. Each check has a harness of its own.
type SinkHarness interface {
	// Sink is the sink under test, always the same.
	Sink() transport.Sink

	// Collect gives what is durable at the far side now, in the order in which it became visible, since the beginning.
	Collect(ctx context.Context) ([]transport.Message, error)

	// Close ends the far side and releases everything. The kit has closed the sink, or lets the harness do it.
	Close() error
}

// Staller is implemented by a sink's harness that can keep the far side from answering: after Stall nothing becomes durable
// until the returned function is called.
type Staller interface{ Stall() (resume func()) }

// SinkChecks are the names of the checks of a sink, in the order in which they run.
func SinkChecks() []string { return names(sinkChecks) }

// TestSink runs the checks and joins what failed, an error for each check.
func TestSink(ctx context.Context, newHarness func(context.Context) (SinkHarness, error), o Options) error {
	return all(ctx, sinkChecks, newHarness, o)
}

var sinkChecks = []check[SinkHarness]{
	{"publishes_each_message_byte_equal", sinkPublishes},
	{"durable_when_done", sinkDurable},
	{"order_of_publish_calls", sinkOrder},
	{"concurrent_publishers", sinkConcurrent},
	{"more_messages_than_the_window", sinkLarge},
	{"ended_context", sinkEndedContext},
	{"close_waits_for_what_is_in_flight", sinkCloseWaits},
	{"close_gives_up_when_its_context_ends", sinkCloseGivesUp},
	{"close_before_publish_and_publish_after_close", sinkCloseFirst},
	{"broken_connection", sinkBroken},
}

// outcomes counts the calls of done.
type outcomes struct {
	lock   sync.Mutex
	counts []int
	errs   []error
	open   int
	all    chan struct{}
}

func newOutcomes(n int) *outcomes {
	o := &outcomes{counts: make([]int, n), errs: make([]error, n), open: n, all: make(chan struct{})}
	if n == 0 {
		close(o.all)
	}
	return o
}

func (o *outcomes) done(i int, err error) {
	o.lock.Lock()
	defer o.lock.Unlock()
	if i < 0 || i >= len(o.counts) {
		o.counts = append(o.counts, -1) // reported by wait
		return
	}
	o.counts[i]++
	o.errs[i] = err
	if o.counts[i] == 1 {
		if o.open--; o.open == 0 {
			close(o.all)
		}
	}
}

// wait expects done exactly once per index.
func (o *outcomes) wait(ctx context.Context, opt Options) error {
	select {
	case <-o.all:
	case <-time.After(opt.Patience):
	case <-ctx.Done():
	}
	time.Sleep(opt.Quiet / 4) // for calls too many
	o.lock.Lock()
	defer o.lock.Unlock()
	for i, n := range o.counts {
		switch {
		case n < 0:
			return errors.New("done was called with an index that does not exist")
		case n != 1:
			return fmt.Errorf("done was called %d times for message %d", n, i)
		}
	}
	return nil
}

// succeed expects wait, and no error from any message.
func (o *outcomes) succeed(ctx context.Context, opt Options) error {
	if err := o.wait(ctx, opt); err != nil {
		return err
	}
	for i, err := range o.results() {
		if err != nil {
			return fmt.Errorf("message %d: %w", i, err)
		}
	}
	return nil
}

// results is a copy: a faulty sink may call done at any time.
func (o *outcomes) results() []error {
	o.lock.Lock()
	defer o.lock.Unlock()
	return append([]error(nil), o.errs...)
}

func (o *outcomes) failures() int {
	n := 0
	for _, err := range o.results() {
		if err != nil {
			n++
		}
	}
	return n
}

// collected compares the far side with what was published.
func collected(ctx context.Context, h SinkHarness, want []transport.Message, ordered bool) error {
	got, err := h.Collect(ctx)
	if err != nil {
		return fmt.Errorf("collect: %w", err)
	}
	if len(got) != len(want) {
		return fmt.Errorf("%d messages arrived, %d were published", len(got), len(want))
	}
	if ordered {
		for i := range want {
			if err := compare(got[i], want[i]); err != nil {
				return fmt.Errorf("message %d: %w", i, err)
			}
		}
		return nil
	}
	byData := map[string]transport.Message{}
	for _, m := range want {
		byData[string(m.Data)] = m
	}
	for i, m := range got {
		w, ok := byData[string(m.Data)]
		if !ok {
			return fmt.Errorf("message %d was not published, or arrived before: %.300s", i, m.Data)
		}
		delete(byData, string(m.Data))
		if err := compare(m, w); err != nil {
			return fmt.Errorf("message %d: %w", i, err)
		}
	}
	return nil
}

func closeSink(ctx context.Context, h SinkHarness) error {
	if err := h.Sink().Close(ctx); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	return nil
}

func sinkPublishes(ctx context.Context, h SinkHarness, o Options) error {
	messages := Messages(50)
	out := newOutcomes(len(messages))
	h.Sink().Publish(ctx, messages, out.done)
	h.Sink().Publish(ctx, nil, func(int, error) { out.done(-1, nil) })
	if err := out.succeed(ctx, o); err != nil {
		return err
	}
	if err := h.Sink().Health(); err != nil {
		return fmt.Errorf("not healthy after a success: %w", err)
	}
	return errors.Join(collected(ctx, h, messages, h.Sink().Ordered()), closeSink(ctx, h))
}

// sinkDurable looks at the far side at the moment of each done.
func sinkDurable(ctx context.Context, h SinkHarness, o Options) error {
	for i, m := range Messages(5) {
		out := newOutcomes(1)
		h.Sink().Publish(ctx, []transport.Message{m}, out.done)
		if err := out.succeed(ctx, o); err != nil {
			return err
		}
		got, err := h.Collect(ctx)
		if err != nil {
			return err
		}
		if len(got) != i+1 {
			return fmt.Errorf("after done for message %d there are %d messages at the far side", i, len(got))
		}
	}
	return closeSink(ctx, h)
}

// sinkOrder makes many calls without waiting. A sink that is not ordered only has to deliver them all.
func sinkOrder(ctx context.Context, h SinkHarness, o Options) error {
	messages := Messages(300)
	out := newOutcomes(len(messages))
	for at := 0; at < len(messages); {
		n := min(1+at%3, len(messages)-at)
		base := at
		h.Sink().Publish(ctx, messages[at:at+n], func(i int, err error) { out.done(base+i, err) })
		at += n
	}
	return errors.Join(out.succeed(ctx, o), collected(ctx, h, messages, h.Sink().Ordered()), closeSink(ctx, h))
}

func sinkConcurrent(ctx context.Context, h SinkHarness, o Options) error {
	const publishers, each = 8, 25
	messages := Messages(publishers * each)
	out := newOutcomes(len(messages))
	var publishing sync.WaitGroup
	for p := range publishers {
		publishing.Go(func() {
			for i := p * each; i < (p+1)*each; i++ {
				h.Sink().Publish(ctx, messages[i:i+1], func(_ int, err error) { out.done(i, err) })
			}
		})
	}
	publishing.Wait()
	return errors.Join(out.succeed(ctx, o), collected(ctx, h, messages, false), closeSink(ctx, h))
}

func sinkLarge(ctx context.Context, h SinkHarness, o Options) error {
	messages := make([]transport.Message, 3000)
	for i := range messages {
		messages[i] = Messages(1)[0]
		messages[i].Data = fmt.Appendf(nil, `{"n":%d}`, i)
		messages[i].ID = fmt.Sprint(i)
	}
	out := newOutcomes(len(messages))
	h.Sink().Publish(ctx, messages, out.done)
	return errors.Join(out.succeed(ctx, o), collected(ctx, h, messages, h.Sink().Ordered()), closeSink(ctx, h))
}

// sinkEndedContext: whether a message goes out all the same is the sink's affair, but it must be told.
func sinkEndedContext(ctx context.Context, h SinkHarness, o Options) error {
	ended, cancel := context.WithCancel(ctx)
	cancel()
	messages := Messages(20)
	out := newOutcomes(len(messages))
	h.Sink().Publish(ended, messages, out.done)
	if err := out.wait(ctx, o); err != nil {
		return err
	}
	got, err := h.Collect(ctx)
	if err != nil {
		return err
	}
	if durable := len(messages) - out.failures(); len(got) < durable {
		return fmt.Errorf("%d messages are done without an error, %d arrived", durable, len(got))
	}
	again := newOutcomes(1)
	h.Sink().Publish(ctx, messages[:1], again.done)
	if err := again.succeed(ctx, o); err != nil {
		return fmt.Errorf("the sink is of no use after a publish whose ctx had ended: %w", err)
	}
	return closeSink(ctx, h)
}

func sinkCloseWaits(ctx context.Context, h SinkHarness, o Options) error {
	messages := Messages(fewMessages)
	resume := func() {}
	if s, ok := h.(Staller); ok {
		resume = s.Stall()
	}
	out := newOutcomes(len(messages))
	h.Sink().Publish(ctx, messages, out.done)
	closed := make(chan error, 1)
	go func() { closed <- h.Sink().Close(ctx) }()
	time.Sleep(o.Quiet / 4)
	if _, ok := h.(Staller); ok {
		select {
		case err := <-closed:
			resume()
			return fmt.Errorf("close returned (%v) while messages were in flight", err)
		default:
		}
	}
	resume()
	select {
	case err := <-closed:
		if err != nil {
			return fmt.Errorf("close: %w", err)
		}
	case <-time.After(o.Patience):
		return errors.New("close does not return")
	}
	out.lock.Lock()
	open := out.open
	out.lock.Unlock()
	if open > 0 {
		return fmt.Errorf("close returned before done was called for %d messages", open)
	}
	return errors.Join(out.succeed(ctx, o), collected(ctx, h, messages, h.Sink().Ordered()))
}

func sinkCloseGivesUp(ctx context.Context, h SinkHarness, o Options) error {
	s, ok := h.(Staller)
	if !ok {
		return nil
	}
	resume := s.Stall()
	defer resume()
	out := newOutcomes(3)
	h.Sink().Publish(ctx, Messages(3), out.done)
	short, cancel := context.WithTimeout(ctx, o.Quiet)
	defer cancel()
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		h.Sink().Close(short)
	}()
	select {
	case <-returned:
	case <-time.After(o.Patience):
		return errors.New("close waits beyond its context")
	}
	if err := out.wait(ctx, o); err != nil {
		return err
	}
	if out.failures() != 3 {
		return fmt.Errorf("%d of 3 messages that were given up have an error", out.failures())
	}
	return nil
}

func sinkCloseFirst(ctx context.Context, h SinkHarness, o Options) error {
	var failed atomic.Int32
	var closing sync.WaitGroup
	for range 3 {
		closing.Go(func() {
			if h.Sink().Close(ctx) != nil {
				failed.Add(1)
			}
		})
	}
	closing.Wait()
	if failed.Load() > 0 {
		return errors.New("close before the first publish gives an error")
	}
	out := newOutcomes(5)
	h.Sink().Publish(ctx, Messages(5), out.done)
	if err := out.wait(ctx, o); err != nil {
		return fmt.Errorf("publish after close: %w", err)
	}
	if out.failures() != 5 {
		return errors.New("publish after close gives no error")
	}
	return closeSink(ctx, h)
}

// sinkBroken cuts the connection under load: done tells the truth about each message, and the sink recovers.
func sinkBroken(ctx context.Context, h SinkHarness, o Options) error {
	breaker, ok := h.(Breaker)
	if !ok {
		return nil
	}
	messages := Messages(100)
	out := newOutcomes(len(messages))
	for i := range messages {
		if i == len(messages)/2 {
			if err := breaker.Break(); err != nil {
				return fmt.Errorf("break the connection: %w", err)
			}
		}
		h.Sink().Publish(ctx, messages[i:i+1], func(_ int, err error) { out.done(i, err) })
	}
	if err := out.wait(ctx, o); err != nil {
		return err
	}
	if err := await(ctx, o.Patience, "recover after the connection broke", func() error {
		again := newOutcomes(1)
		h.Sink().Publish(ctx, messages[:1], again.done)
		return again.succeed(ctx, o)
	}); err != nil {
		return err
	}
	if err := h.Sink().Health(); err != nil {
		return fmt.Errorf("not healthy after it has recovered: %w", err)
	}
	got, err := h.Collect(ctx)
	if err != nil {
		return err
	}
	arrived := map[string]bool{}
	for _, m := range got {
		arrived[string(m.Data)] = true
	}
	results := out.results()
	for i, m := range messages {
		if results[i] == nil && !arrived[string(m.Data)] {
			return fmt.Errorf("message %d is done without an error but did not arrive", i)
		}
		if results[i] != nil && transport.IsPermanent(results[i]) {
			return fmt.Errorf("message %d: a broken connection is no permanent error: %w", i, results[i])
		}
	}
	return closeSink(ctx, h)
}
