package ledger

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sort"
	"sync"

	"github.com/eiffelbridge/eiffelbridge/internal/arena"
)

// Memory is a [Ledger] in memory: for one run, for tests, and for programs that keep no history. It forgets nothing but what
// it is told to, so that it grows with every event.
type Memory struct {
	mu       sync.RWMutex
	records  map[Query]Record
	index    Index
	revision uint64              // of the last Apply
	forgot   map[FactKind]uint64 // when a kind's records were last forgotten
	changes  []change            // room for those of an Apply
}

var _ Ledger = (*Memory)(nil)

// NewMemory returns an empty ledger.
func NewMemory() *Memory {
	return &Memory{records: map[Query]Record{}, forgot: map[FactKind]uint64{}}
}

// Read implements [Ledger].
func (l *Memory) Read(ctx context.Context, queries []Query) ([]Record, error) {
	out := make([]Record, len(queries))
	l.mu.RLock()
	defer l.mu.RUnlock()
	for i, q := range queries {
		if !q.IsRange() {
			out[i] = l.records[q]
			continue
		}
		r := &out[i]
		for key := range l.index.Keys(q) {
			record := l.records[Query{Kind: q.Kind, Key: key}]
			r.Bytes = AppendRecord(r.Bytes, q.Name(key), record.Bytes)
			r.Revision = max(r.Revision, record.Revision, l.forgot[q.Kind])
		}
	}
	return out, nil
}

// Apply implements [Ledger].
func (l *Memory) Apply(ctx context.Context, facts []Fact) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changes = l.changes[:0]
	for i := range facts {
		if err := l.change(&facts[i]); err != nil {
			return err
		}
	}
	l.revision++
	for i := range l.changes {
		l.put(&l.changes[i])
	}
	return nil
}

// change is what Apply makes of one key.
type change struct {
	query  Query
	old    Record
	known  bool
	record []byte // nil: forgotten
	fresh  bool   // the record is the ledger's own, not a caller's
}

// change notes what a fact makes of its key.
func (l *Memory) change(f *Fact) error {
	if f.Query.IsRange() {
		return fmt.Errorf("apply %s %s: the query has a range", f.Query.Kind, f.Query.Key)
	}
	at := slices.IndexFunc(l.changes, func(c change) bool { return c.query == f.Query })
	if at < 0 {
		old, known := l.records[f.Query]
		at = len(l.changes)
		l.changes = append(l.changes, change{f.Query, old, known, old.Bytes, true})
	}
	c := &l.changes[at]
	if f.Forget {
		c.record = nil
		return nil
	}
	if c.record == nil {
		c.record, c.fresh = f.Record, false // whatever the kind; put copies it
		if f.Record == nil {
			c.record = []byte{} // a record without fields, not none
		}
		return nil
	}
	record, err := Merge(f.Query.Kind, c.record, f.Record)
	if err != nil {
		return fmt.Errorf("apply %s %s: %w", f.Query.Kind, f.Query.Key, err)
	}
	c.fresh = c.fresh || len(record) > 0 && &record[0] != &c.record[0]
	c.record = record
	return nil
}

func (l *Memory) put(c *change) {
	switch {
	case c.record == nil && c.known:
		delete(l.records, c.query)
		l.index.Remove(c.query)
		l.forgot[c.query.Kind] = l.revision
	case c.record == nil, c.known && string(c.old.Bytes) == string(c.record):
	case c.known && c.fresh:
		l.records[c.query] = Record{c.record, l.revision}
	case c.known:
		l.records[c.query] = Record{bytes.Clone(c.record), l.revision}
	default:
		// The caller's texts may share their memory with much else: the ledger has its own, for key and record one.
		own := arena.Arena{Size: len(c.query.Key) + len(c.record)}
		c.query.Key = own.Keep(append(own.Room(0), c.query.Key...))
		l.records[c.query] = Record{own.KeepBytes(append(own.Room(0), c.record...)), l.revision}
		l.index.Add(c.query)
	}
}

// Scan implements [Ledger].
func (l *Memory) Scan(ctx context.Context, kind FactKind, f func(key string, record []byte) error) error {
	l.mu.RLock()
	var keys []string
	for q := range l.records {
		if q.Kind == kind {
			keys = append(keys, q.Key)
		}
	}
	sort.Strings(keys)
	records := make([][]byte, len(keys))
	for i, k := range keys {
		records[i] = l.records[Query{Kind: kind, Key: k}].Bytes
	}
	l.mu.RUnlock()
	for i, k := range keys {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f(k, records[i]); err != nil {
			return err
		}
	}
	return nil
}
