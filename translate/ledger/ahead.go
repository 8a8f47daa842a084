package ledger

import (
	"context"
	"fmt"
)

// Source is the part of a [Ledger] that answers.
type Source interface {
	Read(ctx context.Context, queries []Query) ([]Record, error)
}

// Ahead lies before a ledger and is ahead of it: it knows what was learned and is not written yet. It keeps what it has read, too,
// so that nothing is read twice. As long as it is used, nobody else may write to the ledger. It is not safe for concurrent use.
type Ahead struct {
	under   Source
	known   map[Query]Record // of single queries, as they are by now
	index   Index            // of those in known, forgotten ones included
	whole   map[Query]bool   // the ranges of which all records are in known
	nothing bool             // the ledger has nothing but what is in known
	learned []Fact
	applied uint64 // how often Apply was called
	forgot  uint64 // the revision in which something was last forgotten
}

// NewAhead lies before a ledger.
func NewAhead(under Source) *Ahead {
	a := &Ahead{under: under}
	a.Clear()
	return a
}

// Clear forgets what is known. What was learned must have been taken and written.
func (a *Ahead) Clear() {
	a.known, a.index, a.whole, a.nothing = map[Query]Record{}, Index{}, map[Query]bool{}, false
}

// Nothing says that there is nothing in the ledger yet, so that it need not be asked.
func (a *Ahead) Nothing() { a.nothing = true }

// Len is how many records are known.
func (a *Ahead) Len() int { return len(a.known) }

// Take gives what was learned since the last Take, to be written.
func (a *Ahead) Take() []Fact {
	facts := a.learned
	a.learned = nil
	return facts
}

// Read answers as [Ledger.Read] does.
func (a *Ahead) Read(ctx context.Context, queries []Query) ([]Record, error) {
	if err := a.fetch(ctx, queries); err != nil {
		return nil, err
	}
	out := make([]Record, len(queries))
	for i, q := range queries {
		if !q.IsRange() {
			out[i] = a.known[q]
			continue
		}
		r, left := &out[i], q.Range.Limit
		q.Range.Limit = All // forgotten ones do not count
		for key := range a.index.Keys(q) {
			record := a.known[Query{Kind: q.Kind, Key: key}]
			if record.Bytes == nil {
				continue
			}
			if left--; left < 0 {
				break
			}
			r.Bytes = AppendRecord(r.Bytes, q.Name(key), record.Bytes)
			r.Revision = max(r.Revision, record.Revision, a.forgot)
		}
	}
	return out, nil
}

// fetch reads what is not known yet, of ranges the whole.
func (a *Ahead) fetch(ctx context.Context, queries []Query) error {
	if a.nothing {
		return nil
	}
	var ask []Query
	for _, q := range queries {
		if q.IsRange() {
			if q.Range = (Range{Limit: All}); a.whole[q] {
				continue
			}
		} else if _, known := a.known[q]; known {
			continue
		}
		ask = append(ask, q)
	}
	if len(ask) == 0 {
		return nil
	}
	records, err := a.under.Read(ctx, ask)
	if err != nil {
		return err
	}
	for i, q := range ask {
		if !q.IsRange() {
			a.know(q, records[i])
			continue
		}
		a.whole[q] = true
		from, _ := q.Bounds()
		for name, record := range Records(records[i].Bytes) {
			child := Query{Kind: q.Kind, Key: from + string(name) + `"]`}
			if _, newer := a.known[child]; !newer {
				a.know(child, Record{record, records[i].Revision})
			}
		}
	}
	return nil
}

func (a *Ahead) know(q Query, r Record) {
	a.known[q] = r
	a.index.Add(q)
}

// unwritten marks the revision of what is not in the ledger yet.
const unwritten = 1 << 63

// Apply learns facts as [Ledger.Apply] does, and leaves writing them to the caller.
func (a *Ahead) Apply(ctx context.Context, facts []Fact) error {
	queries := make([]Query, len(facts))
	for i := range facts {
		queries[i] = facts[i].Query
		if queries[i].IsRange() {
			return fmt.Errorf("apply %s %s: the query has a range", queries[i].Kind, queries[i].Key)
		}
	}
	if err := a.fetch(ctx, queries); err != nil {
		return err
	}
	merged := make(map[Query][]byte, len(facts))
	for i := range facts {
		f := &facts[i]
		old, again := merged[f.Query]
		if !again {
			old = a.known[f.Query].Bytes
		}
		var record []byte
		if !f.Forget {
			var err error
			if record, err = Merge(f.Query.Kind, old, f.Record); err != nil {
				return fmt.Errorf("apply %s %s: %w", f.Query.Kind, f.Query.Key, err)
			}
		}
		merged[f.Query] = record
	}
	a.applied++
	revision := unwritten | a.applied
	for q, record := range merged {
		if record == nil {
			a.forgot = revision
			a.know(q, Record{})
		} else {
			a.know(q, Record{record, revision})
		}
	}
	a.learned = append(a.learned, facts...)
	return nil
}
