package ledger

import (
	"context"
	"fmt"
	"sort"
	"sync"
)

// Memory is a [Ledger] in memory: for one run, for tests, and for programs that keep no history. It forgets nothing but what
// it is told to, so that it grows with every event.
type Memory struct {
	mu       sync.RWMutex
	records  map[Query]Record
	index    Index
	revision uint64              // of the last Apply
	forgot   map[FactKind]uint64 // when a kind's records were last forgotten
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
	merged := make(map[Query][]byte, len(facts))
	for _, f := range facts {
		if f.Query.IsRange() {
			return fmt.Errorf("apply %s %s: the query has a range", f.Query.Kind, f.Query.Key)
		}
		if f.Forget {
			merged[f.Query] = nil
			continue
		}
		old, ok := merged[f.Query]
		if !ok {
			old = l.records[f.Query].Bytes
		}
		record, err := Merge(f.Query.Kind, old, f.Record)
		if err != nil {
			return fmt.Errorf("apply %s %s: %w", f.Query.Kind, f.Query.Key, err)
		}
		merged[f.Query] = record
	}
	l.revision++
	for q, record := range merged {
		old, known := l.records[q]
		switch {
		case record == nil && known:
			delete(l.records, q)
			l.index.Remove(q)
			l.forgot[q.Kind] = l.revision
		case record == nil, known && string(old.Bytes) == string(record):
		default:
			l.records[q] = Record{record, l.revision}
			l.index.Add(q)
		}
	}
	return nil
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
