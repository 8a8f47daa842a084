package ledger

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/eiffelbridge/eiffelbridge/internal/table"
)

// Memory is a [Ledger] in memory: for one run, for tests, and for programs that keep no history. It forgets nothing but what
// it is told to, so that it grows with every event.
type Memory struct {
	mu       sync.RWMutex
	table    table.Table
	lines    map[lineKey]*line   // of the kinds that are asked for by ranges
	revision uint64              // of the last Apply
	forgot   map[FactKind]uint64 // when a kind's records were last forgotten
	changes  []change            // room for those of an Apply
}

var _ Ledger = (*Memory)(nil)

// NewMemory returns an empty ledger.
func NewMemory() *Memory {
	return &Memory{table: table.New(), lines: map[lineKey]*line{}, forgot: map[FactKind]uint64{}}
}

// lineKey is what the records of a range have in common: key is that of each without its last part.
type lineKey struct {
	kind FactKind
	key  string
}

// line is the entries of the table that ranges may be of, in the order of their keys.
type line struct{ at []int32 }

// Read implements [Ledger].
func (l *Memory) Read(ctx context.Context, queries []Query) ([]Record, error) {
	out := make([]Record, len(queries))
	l.mu.RLock()
	defer l.mu.RUnlock()
	for i := range queries {
		q := &queries[i]
		if q.IsRange() {
			out[i] = l.readRange(q)
		} else if at := l.table.Find(l.table.Hash(byte(q.Kind), q.Key), byte(q.Kind), q.Key); at >= 0 {
			out[i] = l.record(at)
		}
	}
	return out, nil
}

func (l *Memory) record(at int32) Record {
	record, revision := l.table.Record(at)
	return Record{record, revision}
}

func (l *Memory) readRange(q *Query) (r Record) {
	line := l.lines[lineKey{q.Kind, q.Key[:max(0, len(q.Key)-1)]}]
	if line == nil {
		return r
	}
	_, to := q.Bounds()
	at, _ := l.search(line, to)
	for n := 0; at > 0 && n < q.Range.Limit; n++ {
		at--
		record := l.record(line.at[at])
		r.Bytes = AppendRecord(r.Bytes, q.Name(string(l.table.Key(line.at[at]))), record.Bytes)
		r.Revision = max(r.Revision, record.Revision, l.forgot[q.Kind])
	}
	return r
}

// search finds the place of a key in a line, which mostly is its end.
func (l *Memory) search(line *line, key string) (at int, found bool) {
	if n := len(line.at); n > 0 && string(l.table.Key(line.at[n-1])) < key {
		return n, false
	}
	return slices.BinarySearchFunc(line.at, key, func(at int32, key string) int { return strings.Compare(string(l.table.Key(at)), key) })
}

// Apply implements [Ledger].
func (l *Memory) Apply(ctx context.Context, facts []Fact) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changes = l.changes[:0]
	var index map[Query]int // of changes, where there are many
	if len(facts) > fewChanges {
		index = make(map[Query]int, len(facts))
	}
	for i := range facts {
		if err := l.change(&facts[i], index); err != nil {
			return err
		}
	}
	l.revision++
	for i := range l.changes {
		l.put(&l.changes[i])
	}
	clear(l.changes)
	return nil
}

// fewChanges is how many changes are searched one by one.
const fewChanges = 24

// Applied counts the calls of Apply that changed or could have changed a record: as long as it stays, so do all records.
func (l *Memory) Applied() uint64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.revision
}

// change is what Apply makes of one key.
type change struct {
	query  *Query
	hash   uint64
	at     int32  // the entry, -1 for none
	record []byte // nil: forgotten
}

// change notes what a fact makes of its key.
func (l *Memory) change(f *Fact, index map[Query]int) error {
	if f.Query.IsRange() {
		return fmt.Errorf("apply %s %s: the query has a range", f.Query.Kind, f.Query.Key)
	}
	c := l.changeOf(&f.Query, index)
	switch {
	case f.Forget:
		c.record = nil
	case c.record == nil:
		if c.record = f.Record; f.Record == nil {
			c.record = []byte{} // a record without fields, not none
		}
	default:
		record, err := merge(f.Query.Kind, c.record, f.Record)
		if err != nil {
			return fmt.Errorf("apply %s %s: %w", f.Query.Kind, f.Query.Key, err)
		}
		c.record = record
	}
	return nil
}

// changeOf is the change of a key, which may be new.
func (l *Memory) changeOf(q *Query, index map[Query]int) *change {
	hash := l.table.Hash(byte(q.Kind), q.Key)
	if index == nil {
		for i := range l.changes {
			if c := &l.changes[i]; c.hash == hash && c.query.Kind == q.Kind && c.query.Key == q.Key {
				return c
			}
		}
	} else if i, ok := index[*q]; ok {
		return &l.changes[i]
	} else {
		index[*q] = len(l.changes)
	}
	c := change{q, hash, l.table.Find(hash, byte(q.Kind), q.Key), nil}
	if c.at >= 0 {
		c.record = l.record(c.at).Bytes
	}
	l.changes = append(l.changes, c)
	return &l.changes[len(l.changes)-1]
}

func (l *Memory) put(c *change) {
	switch {
	case c.at < 0 && c.record == nil:
	case c.at < 0:
		at := l.table.Add(c.hash, l.revision, byte(c.query.Kind), c.query.Key, c.record)
		if key, ranged := lineOf(c.query); ranged {
			l.addToLine(key, at, c.query.Key)
		}
	case c.record == nil:
		if key, ranged := lineOf(c.query); ranged {
			l.removeFromLine(key, c.query.Key)
		}
		l.table.Remove(c.at)
		l.forgot[c.query.Kind] = l.revision
	case string(l.record(c.at).Bytes) != string(c.record):
		l.table.Set(c.at, l.revision, c.record)
	}
}

// lineOf is the line that a record is in, if its kind has lines.
func lineOf(q *Query) (lineKey, bool) {
	if !q.Kind.Ranged() {
		return lineKey{}, false
	}
	key, ok := parent(q.Key)
	return lineKey{q.Kind, key}, ok
}

func (l *Memory) addToLine(k lineKey, entry int32, key string) {
	of := l.lines[k]
	if of == nil {
		of = &line{}
		k.key = strings.Clone(k.key)
		l.lines[k] = of
	}
	at, _ := l.search(of, key)
	of.at = slices.Insert(of.at, at, entry)
}

func (l *Memory) removeFromLine(k lineKey, key string) {
	of := l.lines[k]
	at, _ := l.search(of, key)
	if of.at = slices.Delete(of.at, at, at+1); len(of.at) == 0 {
		delete(l.lines, k)
	}
}

// Scan implements [Ledger].
func (l *Memory) Scan(ctx context.Context, kind FactKind, f func(key string, record []byte) error) error {
	type member struct {
		key    string
		record []byte
	}
	var all []member
	l.mu.RLock()
	l.table.Entries(byte(kind), func(at int32) {
		all = append(all, member{string(l.table.Key(at)), l.record(at).Bytes})
	})
	l.mu.RUnlock()
	slices.SortFunc(all, func(a, b member) int { return strings.Compare(a.key, b.key) })
	for _, m := range all {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f(m.key, m.record); err != nil {
			return err
		}
	}
	return nil
}
