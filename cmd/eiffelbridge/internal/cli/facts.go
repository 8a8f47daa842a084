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
	"github.com/eiffelbridge/eiffelbridge/translate"
	records "github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// Facts wait for their durable write until there are that many, or for that long: a disk takes about as long for one
// fact as for a thousand.
const (
	maxWaiting = 2048
	maxDelay   = 200 * time.Millisecond
)

// factReader is what a translation needs to know of a ledger.
type factReader interface {
	Read(ctx context.Context, queries []translate.Query) ([]translate.Record, error)
}

// collector is a ledger before a ledger: what is learned is known at once and written in batches.
type collector struct {
	under factReader
	apply func(ctx context.Context, facts []translate.Fact) error // nil: nothing is ever written

	mu      sync.Mutex
	known   map[translate.Query]translate.Record // records as they will be
	index   records.Index                        // of those in known, forgotten ones included
	version uint64                               // of the last Apply
	forgot  uint64                               // the revision in which something was last forgotten
	learned []translate.Fact
	timer   *time.Timer
	err     error // of a write in the background
}

var _ translate.Ledger = (*collector)(nil)

func newCollector(under factReader, apply func(context.Context, []translate.Fact) error) *collector {
	return &collector{under: under, apply: apply, known: map[translate.Query]translate.Record{}}
}

// Read implements [translate.Ledger].
func (l *collector) Read(ctx context.Context, queries []translate.Query) ([]translate.Record, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.read(ctx, queries)
}

func (l *collector) read(ctx context.Context, queries []translate.Query) ([]translate.Record, error) {
	out := make([]translate.Record, len(queries))
	var ask []translate.Query
	var at []int
	for i, q := range queries {
		if q.IsRange() {
			changes, _ := l.changes(q)
			ask, at = append(ask, q.Beneath(changes)), append(at, i)
			continue
		}
		if r, ok := l.known[q]; ok {
			out[i] = r
			continue
		}
		ask, at = append(ask, q), append(at, i)
	}
	if len(ask) == 0 {
		return out, nil
	}
	answers, err := l.under.Read(ctx, ask)
	if err != nil {
		return nil, err
	}
	for i, r := range answers {
		if q := queries[at[i]]; q.IsRange() {
			if changes, revision := l.changes(q); len(changes) > 0 {
				if r.Bytes, err = records.Over(q, r.Bytes, changes); err != nil {
					return nil, fmt.Errorf("%s %s: %w", q.Kind, q.Key, err)
				}
				if r.Revision = revision; r.Bytes == nil {
					r.Revision = 0
				}
			}
		}
		out[at[i]] = r
	}
	return out, nil
}

// unwritten marks the revision of what is not in the store yet.
const unwritten = 1 << 63

// changes are the records of a range that are known here, each in the place of what the store has, and their last revision.
func (l *collector) changes(q translate.Query) (facts []translate.Fact, revision uint64) {
	for key := range l.index.Keys(translate.Query{Kind: q.Kind, Key: q.Key, Range: translate.Range{Limit: records.All}}) {
		child := translate.Query{Kind: q.Kind, Key: key}
		r := l.known[child]
		facts = append(facts, translate.Fact{Query: child, Forget: true})
		if r.Bytes != nil {
			facts = append(facts, translate.Fact{Query: child, Record: r.Bytes})
		}
		revision = max(revision, r.Revision, l.forgot)
	}
	return facts, revision
}

// Apply implements [translate.Ledger].
func (l *collector) Apply(ctx context.Context, facts []translate.Fact) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	queries := make([]translate.Query, len(facts))
	for i, f := range facts {
		queries[i] = f.Query
	}
	answers, err := l.read(ctx, queries)
	if err != nil {
		return err
	}
	merged := make(map[translate.Query][]byte, len(facts))
	for i, f := range facts {
		if f.Forget {
			merged[f.Query] = nil
			continue
		}
		old, ok := merged[f.Query]
		if !ok {
			old = answers[i].Bytes
		}
		record, err := translate.Merge(f.Query.Kind, old, f.Record)
		if err != nil {
			return fmt.Errorf("%s %s: %w", f.Query.Kind, f.Query.Key, err)
		}
		merged[f.Query] = record
	}
	l.version++
	for q, record := range merged {
		r := translate.Record{Bytes: record, Revision: unwritten | l.version}
		if record == nil {
			r.Revision, l.forgot = 0, unwritten|l.version
		}
		l.known[q] = r
		l.index.Add(q)
	}
	if l.apply == nil {
		return nil
	}
	l.learned = append(l.learned, facts...)
	if len(l.learned) >= maxWaiting {
		return l.write(ctx)
	}
	if l.timer == nil {
		l.timer = time.AfterFunc(maxDelay, func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			if l.timer != nil && l.err == nil {
				l.err = l.write(context.Background())
			}
		})
	}
	return nil
}

// write makes what was learned durable. The caller holds the lock.
func (l *collector) write(ctx context.Context) error {
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
	if len(l.learned) == 0 {
		return nil
	}
	if err := l.apply(ctx, l.learned); err != nil {
		return fmt.Errorf("write the ledger: %w", err)
	}
	l.learned = nil
	clear(l.known) // the store knows it now
	l.index = records.Index{}
	return nil
}

// Scan implements [translate.Ledger]. Nothing here needs it.
func (l *collector) Scan(context.Context, translate.FactKind, func(string, []byte) error) error {
	return errors.ErrUnsupported
}

// Close writes what is left.
func (l *collector) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	if l.apply == nil {
		return nil
	}
	l.err = l.write(context.Background())
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
