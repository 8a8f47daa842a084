package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/eiffelbridge/eiffelbridge/daemon/ledger"
	records "github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// Facts wait for their durable write until there are that many, or for that long: a disk takes about as long for one
// fact as for a thousand.
const (
	maxWaiting = 2048
	maxDelay   = 200 * time.Millisecond
)

// maxKnown is how many records are kept in memory.
const maxKnown = 100_000

// collector is a ledger before a ledger: what is learned is known at once and written in batches, while the next events are
// translated.
type collector struct {
	apply func(ctx context.Context, facts []records.Fact) error // nil: nothing is ever written

	mu      sync.Mutex
	ahead   *records.Ahead
	waiting int // facts that are not being written yet
	timer   *time.Timer
	writing chan error // the result of the write in the background; nil if there is none
	err     error      // of a write
}

var _ records.Ledger = (*collector)(nil)

func newCollector(under records.Source, apply func(context.Context, []records.Fact) error) *collector {
	return &collector{ahead: records.NewAhead(under), apply: apply}
}

// collect lies before a ledger and writes to it.
func collect(ctx context.Context, store records.Ledger) (*collector, error) {
	l := newCollector(store, store.Apply)
	found := errors.New("there is a record")
	for _, kind := range records.FactKinds() {
		switch err := store.Scan(ctx, kind, func(string, []byte) error { return found }); {
		case errors.Is(err, found):
			return l, nil
		case err != nil:
			return nil, err
		}
	}
	l.ahead.Nothing()
	return l, nil
}

// Read implements [ledger.Ledger].
func (l *collector) Read(ctx context.Context, queries []records.Query) ([]records.Record, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ahead.Read(ctx, queries)
}

// Apply implements [ledger.Ledger].
func (l *collector) Apply(ctx context.Context, facts []records.Fact) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	if err := l.ahead.Apply(ctx, facts); err != nil || l.apply == nil {
		return err
	}
	if l.waiting += len(facts); l.waiting >= maxWaiting {
		return l.write()
	}
	if l.timer == nil {
		l.timer = time.AfterFunc(maxDelay, func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			_ = l.write() // the next Apply tells
		})
	}
	return nil
}

// write begins to make what was learned durable, when the write before has ended. The caller holds the lock.
func (l *collector) write() error {
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
	l.wait()
	if l.waiting = 0; l.err != nil {
		return l.err
	}
	if l.ahead.Len() > maxKnown {
		// The ledger is asked again for what it has: all of that is written first.
		if l.err = l.durable(l.ahead.Take()); l.err == nil {
			l.ahead.Clear()
		}
		return l.err
	}
	if facts := l.ahead.Take(); len(facts) > 0 {
		l.writing = make(chan error, 1)
		go func() { l.writing <- l.durable(facts) }()
	}
	return nil
}

func (l *collector) durable(facts []records.Fact) error {
	if len(facts) == 0 {
		return nil
	}
	if err := l.apply(context.Background(), facts); err != nil {
		return fmt.Errorf("write the ledger: %w", err)
	}
	return nil
}

// wait waits for the write in the background. The caller holds the lock.
func (l *collector) wait() {
	if l.writing != nil {
		l.err = errors.Join(l.err, <-l.writing)
		l.writing = nil
	}
}

// Scan implements [ledger.Ledger]. Nothing here needs it.
func (l *collector) Scan(context.Context, records.FactKind, func(string, []byte) error) error {
	return errors.ErrUnsupported
}

// Close writes what is left.
func (l *collector) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.apply == nil {
		return nil
	}
	_ = l.write() // what it says is in err
	l.wait()
	return l.err
}

// openLedger opens the file ledger of a flag.
func openLedger(path string, options ledger.Options) (*ledger.File, error) {
	store, err := ledger.Open(path, options)
	var refused *ledger.OpenError
	switch {
	case err == nil:
		return store, nil
	case errors.As(err, &refused) && refused.Reason == ledger.Busy:
		return nil, &busyError{refused}
	case errors.Is(err, fs.ErrNotExist) && options.MustExist || errors.Is(err, fs.ErrNotExist) && options.ReadOnly:
		return nil, &configError{fmt.Errorf("there is no ledger at %s; `translate --ledger`, `ledger backfill` and `run` make one", path)}
	}
	return nil, &configError{err}
}

// busyError is a wrong command line: the ledger is open elsewhere.
type busyError struct{ cause *ledger.OpenError }

func (e *busyError) Error() string {
	return fmt.Sprintf("the ledger %s is in use: a relay or another command has it open (%s); stop that first", e.cause.Path,
		strings.TrimPrefix(e.cause.Detail, "is open in "))
}

func (e *busyError) Unwrap() error { return e.cause }

// askInstead says how to learn what a ledger in use knows. listen is the relay's admin.listen, empty if nobody knows it.
func askInstead(busy *busyError, listen string) error {
	address, remark := listen, ""
	host, port, err := net.SplitHostPort(listen)
	switch {
	case err != nil || port == "0":
		address, remark = defaultAdmin, " (the default; the relay says its own when it starts)"
	case host == "" || host == "0.0.0.0" || host == "::":
		address = net.JoinHostPort("localhost", port)
	}
	return &configError{fmt.Errorf("%w, or ask the relay: eiffelbridge services --url http://%s%s", busy, address, remark)}
}

// defaultAdmin is where the admin listener is if the configuration does not say.
const defaultAdmin = "127.0.0.1:9090"
