package ledger

import (
	"context"
	"fmt"
	"sort"
	"sync"
)

// Memory is a [Ledger] in memory: for one run, for tests, and for programs that keep no history. It forgets nothing,
// so that it grows with every event.
type Memory struct {
	mu      sync.RWMutex
	records map[Query][]byte
}

var _ Ledger = (*Memory)(nil)

// NewMemory returns an empty ledger.
func NewMemory() *Memory {
	return &Memory{records: map[Query][]byte{}}
}

// Read implements [Ledger].
func (l *Memory) Read(ctx context.Context, queries []Query) ([][]byte, error) {
	out := make([][]byte, len(queries))
	l.mu.RLock()
	defer l.mu.RUnlock()
	for i, q := range queries {
		out[i] = l.records[q]
	}
	return out, nil
}

// Apply implements [Ledger].
func (l *Memory) Apply(ctx context.Context, facts []Fact) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	merged := make(map[Query][]byte, len(facts))
	for _, f := range facts {
		old, ok := merged[f.Query]
		if !ok {
			old = l.records[f.Query]
		}
		record, err := Merge(f.Query.Kind, old, f.Record)
		if err != nil {
			return fmt.Errorf("apply %s %s: %w", f.Query.Kind, f.Query.Key, err)
		}
		merged[f.Query] = record
	}
	for q, record := range merged {
		l.records[q] = record
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
		records[i] = l.records[Query{kind, k}]
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
