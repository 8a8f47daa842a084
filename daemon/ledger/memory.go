package ledger

import (
	"bytes"
	"context"
	"sort"
	"sync"

	records "github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// Memory is a [Store] that forgets everything when the process ends.
type Memory struct {
	opts Options

	mu      sync.RWMutex
	records map[records.Query]dated
	index   records.Index
	parked  map[string][]byte
	swept   uint32 // the day of the last sweep
	closed  bool

	revision uint64                      // of the last commit
	forgot   map[records.FactKind]uint64 // when something of a kind was last forgotten
}

// dated is a record, the day on which it was last written, and the number of the commit that changed it last.
type dated struct {
	record   []byte
	day      uint32
	revision uint64
}

var _ Store = (*Memory)(nil)

// NewMemory returns an empty store with default options.
func NewMemory() *Memory { return NewMemoryWith(Options{}) }

// NewMemoryWith returns an empty store. Of the options it heeds Retention, Expired, Now and Logger.
func NewMemoryWith(opts Options) *Memory {
	opts = opts.withDefaults()
	return &Memory{
		opts:    opts,
		records: map[records.Query]dated{},
		parked:  map[string][]byte{},
		forgot:  map[records.FactKind]uint64{},
		swept:   day(opts.Now()),
	}
}

// Read implements [ledger.Ledger].
func (m *Memory) Read(ctx context.Context, queries []records.Query) ([]records.Record, error) {
	out := make([]records.Record, len(queries))
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return nil, ErrClosed
	}
	for i, q := range queries {
		if !q.IsRange() {
			d := m.records[q]
			out[i] = records.Record{Bytes: d.record, Revision: d.revision}
			continue
		}
		r := &out[i]
		for key := range m.index.Keys(q) {
			d := m.records[records.Query{Kind: q.Kind, Key: key}]
			r.Bytes = records.AppendRecord(r.Bytes, q.Name(key), d.record)
			r.Revision = max(r.Revision, d.revision, m.forgot[q.Kind])
		}
	}
	return out, nil
}

// Apply implements [ledger.Ledger].
func (m *Memory) Apply(ctx context.Context, facts []records.Fact) error {
	return m.Commit(ctx, Batch{Facts: facts})
}

// Commit implements [Store].
func (m *Memory) Commit(ctx context.Context, b Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := b.check(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return ErrClosed
	}
	today := day(m.opts.Now())
	merged := make(map[records.Query]dated, len(b.Facts))
	var replaced []records.Query
	for _, f := range b.Facts {
		if f.Forget {
			merged[f.Query] = dated{}
			continue
		}
		old, ok := merged[f.Query]
		if !ok {
			old = m.records[f.Query]
		}
		record, err := merge(f, old.record, &replaced)
		if err != nil {
			return err
		}
		merged[f.Query] = dated{record: record, day: today}
	}
	m.revision++
	for q, d := range merged {
		old, known := m.records[q]
		switch {
		case d.record == nil && known:
			m.remove(q)
			m.forgot[q.Kind] = m.revision
		case d.record == nil:
		default:
			if d.revision = m.revision; known && bytes.Equal(old.record, d.record) {
				d.revision = old.revision
			}
			m.records[q] = d
			m.index.Add(q)
		}
	}
	m.opts.tellReplaced(replaced)
	for _, key := range b.Unpark {
		delete(m.parked, key)
	}
	for _, p := range b.Park {
		m.parked[p.Key] = append([]byte{}, p.Record...)
	}
	if m.swept != today {
		// A pass a day costs less than a goroutine that someone must end. It fails only when the context ends, and
		// then it is for the next day.
		_, _ = m.sweep(ctx)
	}
	return nil
}

// Scan implements [ledger.Ledger].
func (m *Memory) Scan(ctx context.Context, kind records.FactKind, f func(key string, record []byte) error) error {
	m.mu.RLock()
	closed := m.closed
	var found []records.Fact
	for q, d := range m.records {
		if q.Kind == kind {
			found = append(found, records.Fact{Query: q, Record: d.record})
		}
	}
	m.mu.RUnlock()
	if closed {
		return ErrClosed
	}
	sort.Slice(found, func(i, j int) bool { return found[i].Query.Key < found[j].Query.Key })
	for _, fact := range found {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f(fact.Query.Key, fact.Record); err != nil {
			return err
		}
	}
	return nil
}

// ScanParked implements [Store].
func (m *Memory) ScanParked(ctx context.Context, f func(Parked) error) error {
	m.mu.RLock()
	closed := m.closed
	found := make([]Parked, 0, len(m.parked))
	for key, record := range m.parked {
		found = append(found, Parked{key, record})
	}
	m.mu.RUnlock()
	if closed {
		return ErrClosed
	}
	sort.Slice(found, func(i, j int) bool { return found[i].Key < found[j].Key })
	for _, p := range found {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f(p); err != nil {
			return err
		}
	}
	return nil
}

// Sweep implements [Store].
func (m *Memory) Sweep(ctx context.Context) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return 0, ErrClosed
	}
	return m.sweep(ctx)
}

func (m *Memory) sweep(ctx context.Context) (int, error) {
	m.swept = day(m.opts.Now())
	oldest := m.opts.oldest()
	get := func(q records.Query) ([]byte, error) { return m.records[q].record, nil }
	// Everything is judged before anything goes, since a verdict may rest on another old record.
	var gone []records.Query
	for q, d := range m.records {
		if !records.Ages(q.Kind) || d.day >= oldest {
			continue
		}
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		old, err := m.opts.Expired(q.Kind, q.Key, d.record, get)
		if err != nil {
			m.opts.Logger.Warn("a record of the ledger cannot be judged by its age, so it stays", "kind", q.Kind, "key", q.Key, "error", err)
		} else if old {
			gone = append(gone, q)
		}
	}
	for _, q := range gone {
		m.remove(q)
	}
	return len(gone), nil
}

func (m *Memory) remove(q records.Query) {
	delete(m.records, q)
	m.index.Remove(q)
}

// Stats implements [Store].
func (m *Memory) Stats(ctx context.Context) (Stats, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return Stats{}, ErrClosed
	}
	s := Stats{Records: map[records.FactKind]Count{}}
	for q, d := range m.records {
		s.add(q.Kind, len(q.Key)+len(d.record))
	}
	for key, record := range m.parked {
		s.Parked.Number++
		s.Parked.Bytes += int64(len(key) + len(record))
	}
	return s, nil
}

func (s *Stats) add(kind records.FactKind, bytes int) {
	c := s.Records[kind]
	c.Number++
	c.Bytes += int64(bytes)
	s.Records[kind] = c
}

// Close implements [Store].
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed, m.records, m.parked = true, nil, nil
	return nil
}
