package daemon

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

// inlet is a source with the relay that takes what it delivers. It outlives the relay: while the configuration is reloaded, what
// the source delivers waits for the next one.
type inlet struct {
	name   string
	source transport.Source
	ended  chan struct{} // closed when Receive has returned
	stop   context.CancelFunc

	feeding sync.WaitGroup

	mu      sync.Mutex
	relay   *relay        // nil while there is none
	account *account      // of the last relay
	changed chan struct{} // closed and replaced when relay or closed changes
	closed  bool
	backlog []transport.Delivery // taken by an earlier relay and not settled: they come first, in this order
}

func newInlet(name string, source transport.Source) *inlet {
	return &inlet{name: name, source: source, ended: make(chan struct{}), stop: func() {}, changed: make(chan struct{})}
}

// errReplaced says that a relay takes nothing any more.
var errReplaced = errors.New("the relay takes no deliveries any more")

// handle is the [transport.Handler] of the source.
func (in *inlet) handle(ctx context.Context, d transport.Delivery) error {
	for {
		in.mu.Lock()
		r, changed, closed := in.relay, in.changed, in.closed
		in.mu.Unlock()
		if closed {
			return in.refuse()
		}
		if r != nil {
			if err := r.handle(ctx, d); !errors.Is(err, errReplaced) {
				return err
			}
			// Before a relay closes it is taken from its inlet, so that this does not turn in a circle.
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return in.refuse()
		}
	}
}

// refuse does not take a delivery.
func (in *inlet) refuse() error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.account != nil {
		in.account.refuse()
	}
	return &transport.BusyError{RetryAfter: busyPause}
}

func (in *inlet) set(f func()) {
	in.mu.Lock()
	f()
	close(in.changed)
	in.changed = make(chan struct{})
	in.mu.Unlock()
}

// pause makes deliveries wait. Once the relay is closed, settled tells when nothing of the backlog is on its way into it.
func (in *inlet) pause() { in.set(func() { in.relay = nil }) }

func (in *inlet) settled() { in.feeding.Wait() }

// resume gives what comes to a relay: the backlog first, then what the source delivers.
func (in *inlet) resume(r *relay, left []transport.Delivery) {
	in.set(func() {
		in.account = r.account
		in.backlog = slices.Concat(left, in.backlog)
		if len(in.backlog) == 0 {
			in.relay = r
			return
		}
		in.feeding.Add(1)
		go in.feed(r)
	})
}

func (in *inlet) feed(r *relay) {
	defer in.feeding.Done()
	for {
		in.mu.Lock()
		if len(in.backlog) == 0 {
			in.mu.Unlock()
			in.set(func() {
				if !in.closed {
					in.relay = r
				}
			})
			return
		}
		d := in.backlog[0]
		in.mu.Unlock()
		if r.handle(context.Background(), d) != nil {
			return // it is being replaced; the next one takes up the backlog
		}
		in.mu.Lock()
		in.backlog = in.backlog[1:]
		in.mu.Unlock()
	}
}

// close takes nothing any more. What is in the backlog goes back to the source.
func (in *inlet) close() {
	in.set(func() { in.closed, in.relay = true, nil })
}

// giveBack hands the backlog back to the source, after close and settled.
func (in *inlet) giveBack(left []transport.Delivery) {
	in.mu.Lock()
	left = slices.Concat(left, in.backlog)
	in.backlog = nil
	in.mu.Unlock()
	for _, d := range left {
		d.Settle(transport.Settlement{Outcome: transport.Retried, Err: errStopped})
	}
}
