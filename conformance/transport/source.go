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

// SourceHarness makes one source and plays its far side. Each check has a harness of its own.
type SourceHarness interface {
	// Source is the source under test, always the same.
	Source() transport.Source

	// Send hands messages to the far side, in their order, and returns without waiting for their settlement. The far side keeps
	// a message until it is accepted or rejected, and makes it come again as its protocol has it: by redelivery, or by the sender's
	// retry. Its own pauses should be short (10 ms or so).
	Send(ctx context.Context, messages []transport.Message) error

	// Traits tell what the transport is by nature.
	Traits() SourceTraits

	// Close ends the far side and releases everything. The kit has closed the source, or lets the harness do it.
	Close() error
}

// SourceTraits are what the contract leaves to the transport.
type SourceTraits struct {
	// Unordered: messages of one Send may be delivered in any order.
	Unordered bool
	// Finite: the source has an end, which is where Send left it when Receive is called; Receive returns nil there.
	Finite bool
}

// Breaker is implemented by a harness, of a source or a sink, that can cut the connection between driver and far side. The
// connection can be made anew at once.
type Breaker interface{ Break() error }

// SourceChecks are the names of the checks of a source, in the order in which they run.
func SourceChecks() []string { return names(sourceChecks) }

// TestSource runs the checks and joins what failed, an error for each check.
func TestSource(ctx context.Context, newHarness func(context.Context) (SourceHarness, error), o Options) error {
	return all(ctx, sourceChecks, newHarness, o)
}

var sourceChecks = []check[SourceHarness]{
	{"delivers_each_message_byte_equal_and_in_order", sourceDelivers},
	{"settled_from_other_goroutines", sourceSettledConcurrently},
	{"settled_late_and_out_of_order", sourceSettledOutOfOrder},
	{"retried_is_delivered_again", sourceRetried},
	{"rejected_is_not_delivered_again", sourceRejected},
	{"busy_handler_gets_it_again", sourceBusy},
	{"receive_waits_for_settlements", sourceReceiveWaits},
	{"blocked_handler_is_released", sourceBlockedHandler},
	{"health", sourceHealth},
	{"close_before_receive", sourceCloseBeforeReceive},
	{"close_ends_receive", sourceCloseEndsReceive},
	{"broken_connection", sourceBroken},
}

// receiver runs Receive and keeps its deliveries.
type receiver struct {
	h        SourceHarness
	o        Options
	cancel   context.CancelFunc
	returned chan error

	lock       sync.Mutex
	deliveries []transport.Delivery
	after      bool // Receive has returned
	late       int  // deliveries made after that
}

// receive sends the messages and starts Receive, in the order that the source wants. handle is called after the delivery is noted, with its
// number from 0; nil takes it and settles nothing.
func receive(ctx context.Context, h SourceHarness, o Options, messages []transport.Message, handle func(ctx context.Context, n int, d transport.Delivery) error) (*receiver, error) {
	receiveCtx, cancel := context.WithCancel(ctx)
	r := &receiver{h: h, o: o, cancel: cancel, returned: make(chan error, 1)}
	if h.Traits().Finite {
		if err := h.Send(ctx, messages); err != nil {
			cancel()
			return nil, fmt.Errorf("send: %w", err)
		}
	}
	go func() {
		err := h.Source().Receive(receiveCtx, func(ctx context.Context, d transport.Delivery) error {
			r.lock.Lock()
			n := len(r.deliveries)
			r.deliveries = append(r.deliveries, d)
			if r.after {
				r.late++
			}
			r.lock.Unlock()
			if handle == nil {
				return nil
			}
			return handle(ctx, n, d)
		})
		r.lock.Lock()
		r.after = true
		r.lock.Unlock()
		r.returned <- err
	}()
	if !h.Traits().Finite {
		if err := await(ctx, o.Patience, "become healthy", h.Source().Health); err != nil {
			cancel()
			return nil, err
		}
		if err := h.Send(ctx, messages); err != nil {
			cancel()
			return nil, fmt.Errorf("send: %w", err)
		}
	}
	return r, nil
}

func (r *receiver) list() []transport.Delivery {
	r.lock.Lock()
	defer r.lock.Unlock()
	return append([]transport.Delivery(nil), r.deliveries...)
}

func (r *receiver) awaitCount(ctx context.Context, n int) error {
	return await(ctx, r.o.Patience, "deliver", func() error {
		if got := len(r.list()); got < n {
			return fmt.Errorf("%d of %d deliveries were made", got, n)
		}
		return nil
	})
}

// stop ends Receive, unless the source comes to its end by itself, and expects nil from it.
func (r *receiver) stop(ctx context.Context) error {
	if !r.h.Traits().Finite {
		r.cancel()
	}
	err := r.wait(ctx)
	r.cancel()
	return err
}

func (r *receiver) wait(ctx context.Context) error {
	select {
	case err := <-r.returned:
		if err != nil {
			return fmt.Errorf("receive returned an error: %w", err)
		}
	case <-time.After(r.o.Patience):
		return fmt.Errorf("receive did not return within %v", r.o.Patience)
	case <-ctx.Done():
		return fmt.Errorf("receive did not return: %w", ctx.Err())
	}
	time.Sleep(r.o.Quiet / 4)
	r.lock.Lock()
	defer r.lock.Unlock()
	if r.late > 0 {
		return fmt.Errorf("%d deliveries were made after receive had returned", r.late)
	}
	return nil
}

// exactly compares deliveries with messages, in order if the source keeps it.
func (r *receiver) exactly(messages []transport.Message) error {
	deliveries := r.list()
	if len(deliveries) != len(messages) {
		return fmt.Errorf("%d deliveries were made of %d messages", len(deliveries), len(messages))
	}
	if !r.h.Traits().Unordered {
		for i := range messages {
			if err := compare(deliveries[i].Message, messages[i]); err != nil {
				return fmt.Errorf("delivery %d: %w", i, err)
			}
		}
		return nil
	}
	byData := map[string]transport.Message{}
	for _, m := range messages {
		byData[string(m.Data)] = m
	}
	for i, d := range deliveries {
		want, ok := byData[string(d.Message.Data)]
		if !ok {
			return fmt.Errorf("delivery %d was not sent, or was made before: %.300s", i, d.Message.Data)
		}
		delete(byData, string(d.Message.Data))
		if err := compare(d.Message, want); err != nil {
			return fmt.Errorf("delivery %d: %w", i, err)
		}
	}
	return nil
}

// quiet watches for deliveries that must not come.
func (r *receiver) quiet(n int) error {
	time.Sleep(r.o.Quiet)
	if got := len(r.list()); got > n {
		return fmt.Errorf("%d more deliveries were made after everything was settled", got-n)
	}
	return nil
}

func accept(_ context.Context, _ int, d transport.Delivery) error {
	d.Settle(transport.Settlement{Outcome: transport.Accepted})
	return nil
}

func sourceDelivers(ctx context.Context, h SourceHarness, o Options) error {
	messages := Messages(50)
	r, err := receive(ctx, h, o, messages, accept)
	if err != nil {
		return err
	}
	if err := r.awaitCount(ctx, len(messages)); err != nil {
		return err
	}
	if err := r.quiet(len(messages)); err != nil {
		return err
	}
	if err := r.stop(ctx); err != nil {
		return err
	}
	return r.exactly(messages)
}

func sourceSettledConcurrently(ctx context.Context, h SourceHarness, o Options) error {
	messages := Messages(200)
	var settled atomic.Int32
	r, err := receive(ctx, h, o, messages, func(_ context.Context, n int, d transport.Delivery) error {
		time.AfterFunc(time.Duration(n%7)*time.Millisecond, func() {
			d.Settle(transport.Settlement{Outcome: transport.Accepted})
			settled.Add(1)
		})
		return nil
	})
	if err != nil {
		return err
	}
	err = await(ctx, o.Patience, "settle", func() error {
		if n := int(settled.Load()); n < len(messages) {
			return fmt.Errorf("%d of %d deliveries were made and settled", n, len(messages))
		}
		return nil
	})
	if err == nil {
		err = r.quiet(len(messages))
	}
	return errors.Join(err, r.stop(ctx), r.exactly(messages))
}

// fewMessages fit into every driver's window, so that all can be in flight at once.
const fewMessages = 8

func sourceSettledOutOfOrder(ctx context.Context, h SourceHarness, o Options) error {
	messages := Messages(fewMessages)
	r, err := receive(ctx, h, o, messages, nil)
	if err != nil {
		return err
	}
	if err := r.awaitCount(ctx, len(messages)); err != nil {
		return err
	}
	if err := r.quiet(len(messages)); err != nil {
		return fmt.Errorf("while nothing was settled: %w", err)
	}
	deliveries := r.list()
	for i := len(deliveries) - 1; i >= 0; i-- {
		deliveries[i].Settle(transport.Settlement{Outcome: transport.Accepted})
	}
	return errors.Join(r.quiet(len(messages)), r.stop(ctx), r.exactly(messages))
}

// again settles each message's first delivery with first and the following ones with accepted, and expects two of each.
func again(ctx context.Context, h SourceHarness, o Options, messages []transport.Message, first func(d transport.Delivery) error) error {
	var lock sync.Mutex
	seen := map[string]int{}
	r, err := receive(ctx, h, o, messages, func(_ context.Context, _ int, d transport.Delivery) error {
		lock.Lock()
		seen[string(d.Message.Data)]++
		n := seen[string(d.Message.Data)]
		lock.Unlock()
		if n == 1 {
			return first(d)
		}
		d.Settle(transport.Settlement{Outcome: transport.Accepted})
		return nil
	})
	if err != nil {
		return err
	}
	if err := r.awaitCount(ctx, 2*len(messages)); err != nil {
		return err
	}
	if err := errors.Join(r.quiet(2*len(messages)), r.stop(ctx)); err != nil {
		return err
	}
	lock.Lock()
	defer lock.Unlock()
	for _, m := range messages {
		if n := seen[string(m.Data)]; n != 2 {
			return fmt.Errorf("message %q was delivered %d times, want 2", m.ID, n)
		}
	}
	return nil
}

func sourceRetried(ctx context.Context, h SourceHarness, o Options) error {
	return again(ctx, h, o, Messages(fewMessages), func(d transport.Delivery) error {
		d.Settle(transport.Settlement{Outcome: transport.Retried, Err: errors.New("not yet"), RetryAfter: 10 * time.Millisecond})
		return nil
	})
}

func sourceBusy(ctx context.Context, h SourceHarness, o Options) error {
	return again(ctx, h, o, Messages(fewMessages), func(transport.Delivery) error {
		return &transport.BusyError{RetryAfter: 10 * time.Millisecond}
	})
}

func sourceRejected(ctx context.Context, h SourceHarness, o Options) error {
	messages := Messages(fewMessages)
	r, err := receive(ctx, h, o, messages, func(_ context.Context, _ int, d transport.Delivery) error {
		d.Settle(transport.Settlement{Outcome: transport.Rejected, Err: errors.New("never")})
		return nil
	})
	if err != nil {
		return err
	}
	if err := r.awaitCount(ctx, len(messages)); err != nil {
		return err
	}
	return errors.Join(r.quiet(len(messages)), r.stop(ctx), r.exactly(messages))
}

func sourceReceiveWaits(ctx context.Context, h SourceHarness, o Options) error {
	messages := Messages(fewMessages)
	r, err := receive(ctx, h, o, messages, nil)
	if err != nil {
		return err
	}
	if err := r.awaitCount(ctx, len(messages)); err != nil {
		return err
	}
	r.cancel()
	select {
	case err := <-r.returned:
		return fmt.Errorf("receive returned (%v) while %d deliveries were not settled", err, len(messages))
	case <-time.After(o.Quiet):
	}
	var settling sync.WaitGroup
	for _, d := range r.list() {
		settling.Go(func() { d.Settle(transport.Settlement{Outcome: transport.Accepted}) })
	}
	settling.Wait()
	return errors.Join(r.wait(ctx), r.exactly(messages))
}

func sourceBlockedHandler(ctx context.Context, h SourceHarness, o Options) error {
	blocked := make(chan struct{}, fewMessages)
	r, err := receive(ctx, h, o, Messages(fewMessages), func(ctx context.Context, _ int, _ transport.Delivery) error {
		blocked <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	select {
	case <-blocked:
	case <-time.After(o.Patience):
		return errors.New("no delivery was made")
	}
	r.cancel()
	if err := r.wait(ctx); err != nil {
		return fmt.Errorf("with a handler that blocks until its ctx ends: %w", err)
	}
	return nil
}

func sourceHealth(ctx context.Context, h SourceHarness, o Options) error {
	release := make(chan struct{})
	r, err := receive(ctx, h, o, Messages(1), func(_ context.Context, _ int, d transport.Delivery) error {
		<-release
		d.Settle(transport.Settlement{Outcome: transport.Accepted})
		return nil
	})
	if err != nil {
		return err
	}
	defer sync.OnceFunc(func() { close(release) })()
	if err := r.awaitCount(ctx, 1); err != nil {
		return err
	}
	if err := h.Source().Health(); err != nil {
		return fmt.Errorf("not healthy while it delivers: %w", err)
	}
	release <- struct{}{}
	if err := r.stop(ctx); err != nil {
		return err
	}
	h.Source().Close()
	if h.Source().Health() == nil {
		return errors.New("healthy after close")
	}
	return nil
}

func sourceCloseBeforeReceive(ctx context.Context, h SourceHarness, o Options) error {
	for i := range 3 {
		if err := h.Source().Close(); err != nil {
			return fmt.Errorf("close number %d: %w", i+1, err)
		}
	}
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		h.Source().Receive(ctx, func(context.Context, transport.Delivery) error { return errors.New("closed") })
	}()
	select {
	case <-returned: // with an error or without one
		return nil
	case <-time.After(o.Patience):
		return errors.New("receive goes on after close")
	}
}

func sourceCloseEndsReceive(ctx context.Context, h SourceHarness, o Options) error {
	// One delivery stays open: close does not wait for it, and its settlement must do no harm afterwards.
	r, err := receive(ctx, h, o, Messages(1), nil)
	if err != nil {
		return err
	}
	if err := r.awaitCount(ctx, 1); err != nil {
		return err
	}
	var closing sync.WaitGroup
	for range 3 {
		closing.Go(func() { h.Source().Close() })
	}
	closing.Wait()
	if err := r.wait(ctx); err != nil {
		return err
	}
	for _, d := range r.list() {
		d.Settle(transport.Settlement{Outcome: transport.Accepted})
	}
	return h.Source().Close()
}

// sourceBroken cuts the connection while deliveries are open: those that were not settled come again, on a source that goes on.
func sourceBroken(ctx context.Context, h SourceHarness, o Options) error {
	breaker, ok := h.(Breaker)
	if !ok {
		return nil
	}
	messages := Messages(fewMessages)
	var lock sync.Mutex
	broken := false
	accepted := map[string]bool{}
	r, err := receive(ctx, h, o, messages, func(_ context.Context, _ int, d transport.Delivery) error {
		lock.Lock()
		defer lock.Unlock()
		if broken {
			accepted[string(d.Message.Data)] = true
			d.Settle(transport.Settlement{Outcome: transport.Accepted})
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := r.awaitCount(ctx, len(messages)); err != nil {
		return err
	}
	lock.Lock()
	broken = true
	lock.Unlock()
	stale := r.list()
	if err := breaker.Break(); err != nil {
		return fmt.Errorf("break the connection: %w", err)
	}
	if err := await(ctx, o.Patience, "deliver again after the connection broke", func() error {
		lock.Lock()
		defer lock.Unlock()
		if len(accepted) < len(messages) {
			return fmt.Errorf("%d of %d messages came again", len(accepted), len(messages))
		}
		return nil
	}); err != nil {
		return err
	}
	// Settlements that come after their connection was lost have no effect, on nothing.
	for _, d := range stale {
		d.Settle(transport.Settlement{Outcome: transport.Accepted})
	}
	return r.stop(ctx)
}
