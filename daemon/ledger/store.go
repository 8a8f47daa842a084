package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// Store is what the relay remembers in: a [ledger.Ledger], and beside it the events that it has parked until what
// they refer to is known. It is safe for concurrent use. After Close every method but Close returns [ErrClosed].
type Store interface {
	ledger.Ledger

	// Commit applies a batch as a whole or, on an error, not at all. When it returns nil, every later Read and Scan
	// sees the batch, and it survives a crash as far as the store is durable. Concurrent calls share the cost of
	// making them durable, so a caller with much to write calls it from several goroutines or with large batches. It
	// does not retain the batch. A context that ends while the batch is being written does not stop it.
	Commit(ctx context.Context, b Batch) error

	// ScanParked calls f for every parked event, in the order of their keys, until f returns an error, which it
	// returns. It sees at least what was committed before it began. The record must not be retained or changed.
	// f may call the store.
	ScanParked(ctx context.Context, f func(Parked) error) error

	// Sweep removes what is older than the retention, and returns how many records that were. Stores also do so on
	// their own, about once a day.
	Sweep(ctx context.Context) (int, error)

	// Stats counts what is in the store. It reads the whole store.
	Stats(ctx context.Context) (Stats, error)

	// Close waits for what is under way and releases the store. A second call does nothing.
	Close() error
}

// Batch is what one Commit applies.
type Batch struct {
	Facts []ledger.Fact // merged (ledger.Merge) or forgotten in this order

	// Park and Unpark change the set of parked events. Unpark is applied first, so that a key in both is parked
	// afterwards; unparking a key that is not there is no error.
	Park   []Parked
	Unpark []string
}

// Parked is an event that waits, with whatever the relay wants to know about it. Keys are any text that is not empty, of
// at most 4096 bytes; parking a key again replaces its record.
type Parked struct {
	Key    string
	Record []byte
}

// Stats counts what is in a store.
type Stats struct {
	Records map[ledger.FactKind]Count
	Parked  Count
	Disk    int64 // bytes in files, log included; 0 for a store in memory
}

// Count is a number of records and the bytes of their keys and values, before any compression.
type Count struct {
	Number int
	Bytes  int64
}

// Expired is a function that tells whether a record that was not written for the whole retention may be removed. get reads other records;
// a nil answer says that there is nothing.
type Expired func(kind ledger.FactKind, key string, record []byte, get func(ledger.Query) ([]byte, error)) (bool, error)

// DefaultRetention is how long decisions, contexts and events are kept after they were last written.
const DefaultRetention = 30 * 24 * time.Hour

// Options are the settings of a store. The zero value is a good default.
type Options struct {
	MustExist bool // a missing ledger is an error ([fs.ErrNotExist]), not created
	ReadOnly  bool // implies MustExist; Commit, Apply and Sweep return [ErrReadOnly]

	// Retention is kept to the day, so that a record lives up to a day longer. Zero is DefaultRetention, a negative
	// one keeps everything.
	Retention time.Duration

	// Expired decides about what is older than the retention. Nil is [translate.Expired]. A record that it
	// cannot judge stays.
	Expired Expired

	Now    func() time.Time // the clock; nil is time.Now
	Logger *slog.Logger     // what goes on in the background; nil discards it
}

// What stores refuse.
var (
	ErrClosed   = errors.New("the ledger is closed")
	ErrReadOnly = errors.New("the ledger was opened read-only")
)

// withDefaults fills in what was left out.
func (o Options) withDefaults() Options {
	if o.Retention == 0 {
		o.Retention = DefaultRetention
	}
	if o.Expired == nil {
		o.Expired = ledger.Expired
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.ReadOnly {
		o.MustExist = true
	}
	return o
}

// day numbers the days since 1970.
func day(t time.Time) uint32 { return uint32(t.Unix() / 86400) }

// oldest is the first day whose records are still kept on the day of now; 0 if none are ever removed.
func (o *Options) oldest() uint32 {
	days := uint32((o.Retention + 24*time.Hour - 1) / (24 * time.Hour))
	today := day(o.Now())
	if o.Retention < 0 || days >= today {
		return 0
	}
	return today - days
}

func (b *Batch) check() error {
	for _, f := range b.Facts {
		if !known(f.Query.Kind) {
			return fmt.Errorf("unknown %s", f.Query.Kind)
		}
		if f.Query.IsRange() {
			return fmt.Errorf("a fact of kind %s has the query of a range", f.Query.Kind)
		}
	}
	for _, p := range b.Park {
		if p.Key == "" || len(p.Key) > maxParkedKey {
			return errors.New("the key of a parked event is empty or longer than 4096 bytes")
		}
	}
	return nil
}

const maxParkedKey = 4096

func known(kind ledger.FactKind) bool {
	switch kind {
	case ledger.SubjectFact, ledger.NameFact, ledger.AliasFact, ledger.EventFact, ledger.ContextFact,
		ledger.DecisionFact, ledger.LineFact, ledger.EntryFact, ledger.FirstRunFact, ledger.PackageFact,
		ledger.ServiceFact, ledger.RunsFact:
		return true
	}
	return false
}

// merge is ledger.Merge, whose result may be nil for an empty record; here nil says that there is none. An old record
// that is damaged gives way to the delta: it is of no use any more, and an error here would keep whoever repeats the batch
// from ever writing anything else. It is noted in replaced.
func merge(f ledger.Fact, old []byte, replaced *[]ledger.Query) ([]byte, error) {
	record, err := ledger.Merge(f.Query.Kind, old, f.Record)
	if err != nil {
		// With an empty record only the delta itself can be at fault.
		if _, alone := ledger.Merge(f.Query.Kind, []byte{}, f.Record); alone == nil {
			record, err = append([]byte{}, f.Record...), nil
			*replaced = append(*replaced, f.Query)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("merge %s %s: %w", f.Query.Kind, f.Query.Key, err)
	}
	if record == nil {
		record = []byte{}
	}
	return record, nil
}

// tellReplaced says what merge has replaced, once that is written.
func (o *Options) tellReplaced(replaced []ledger.Query) {
	for _, q := range replaced {
		o.Logger.Error("a damaged record of the ledger was replaced by what was just learned", "kind", q.Kind.String(), "key", q.Key)
	}
}
