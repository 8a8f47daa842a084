package daemon

import (
	"context"
	"fmt"

	"github.com/eiffelbridge/eiffelbridge/translate"
	records "github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// overlay lies over the ledger: what transactions in flight have read and learned, by key, in their order. The key that ranges are
// asked of, which no record has, is read with each of them and written with each record beneath it. It is guarded by its
// sequencer's lock.
type overlay map[records.Query][]access

// access is what one transaction did with one key. A transaction has one access per key at most.
type access struct {
	by    *transaction
	write *write // nil if it only read
}

// write is what a transaction learned about a key.
type write struct {
	number  uint64 // no other write of this process has it
	deltas  []records.Fact
	base    []byte // what the transaction saw before it wrote, if based
	based   bool
	full    []byte // base with the deltas merged, if merged
	merged  bool
	beneath []records.Query // of the key of ranges: the records that were written
}

// pending marks the revision of what is not in the store yet: the number of the write that it comes of. As soon as the store has it
// its revision is the store's.
const pending = 1 << 63

func (w *write) revision(record []byte) uint64 {
	if record == nil {
		return 0
	}
	return pending | w.number
}

// before gives the last write to a key by a transaction that comes before t.
func (o overlay) before(q records.Query, t *transaction) *access {
	list := o[q]
	for i := len(list) - 1; i >= 0; i-- {
		if a := &list[i]; a.by.seq < t.seq && a.write != nil {
			return a
		}
	}
	return nil
}

// note adds an access of t at its place in the order, or turns the one it has into a write.
func (o overlay) note(q records.Query, t *transaction, w *write) {
	list := o[q]
	at := len(list)
	for at > 0 && list[at-1].by.seq >= t.seq {
		at--
	}
	if at < len(list) && list[at].by == t {
		if w != nil {
			list[at].write = w
		}
		return
	}
	list = append(list, access{})
	copy(list[at+1:], list[at:])
	list[at] = access{t, w}
	o[q] = list
	t.keys = append(t.keys, q)
}

// orderQuery stands for a CDEvents subject itself, among the queries of the ledger, of which none has its kind.
func orderQuery(relay string, e translate.Event) records.Query {
	return records.Query{Key: fmt.Sprintf("%q %q %q", relay, e.Source, e.Subject)}
}

// lineUp has t count as a writer of the subjects that it tells of, so that all events of one subject keep their order: some
// touch nothing in the ledger that others of the subject write.
func (o overlay) lineUp(t *transaction, made []translate.Event) {
	if t.event.Protocol == translate.CDEvents {
		made = []translate.Event{t.event}
	}
	for _, e := range made {
		if e.Protocol == translate.CDEvents && e.Subject != "" {
			o.note(orderQuery(t.relay.settings.Name, e), t, &write{})
		}
	}
}

// forget takes all that t did out of the overlay.
func (o overlay) forget(t *transaction) {
	for _, q := range t.keys {
		list := o[q]
		for i := range list {
			if list[i].by != t {
				continue
			}
			copy(list[i:], list[i+1:])
			list[len(list)-1] = access{}
			list = list[:len(list)-1]
			break
		}
		if len(list) == 0 {
			delete(o, q)
		} else {
			o[q] = list
		}
	}
	t.keys = t.keys[:0]
}

// view is the ledger as one transaction sees it: the store, and over it what its predecessors learned. It notes what
// was read.
type view struct {
	s    *sequencer
	t    *transaction
	seen map[records.Query][]byte
	err  error // the store's
}

// Read implements the reader that [translate.Ask] wants.
func (v *view) Read(ctx context.Context, queries []records.Query) ([]records.Record, error) {
	out, err := v.read(ctx, queries)
	if err != nil {
		v.err = err
		return nil, err
	}
	for i, q := range queries {
		if q.IsRange() {
			v.s.overlay.note(rangeKey(q), v.t, nil)
			continue
		}
		v.s.overlay.note(q, v.t, nil)
		v.seen[q] = out[i].Bytes
	}
	return out, nil
}

// rangeKey is what the overlay has for the ranges of a key.
func rangeKey(q records.Query) records.Query { return records.Query{Kind: q.Kind, Key: q.Key} }

func (v *view) read(ctx context.Context, queries []records.Query) ([]records.Record, error) {
	out := make([]records.Record, len(queries))
	var ask []records.Query
	var at []int
	for i, q := range queries {
		if q.IsRange() {
			changes, _ := v.changes(q)
			ask, at = append(ask, q.Beneath(changes)), append(at, i)
			continue
		}
		if a := v.s.overlay.before(q, v.t); a != nil && (a.write.merged || a.write.based) {
			record, err := a.write.record(q)
			if err != nil {
				return nil, err
			}
			out[i] = records.Record{Bytes: record, Revision: a.write.revision(record)}
			continue
		}
		ask, at = append(ask, q), append(at, i)
	}
	if len(ask) == 0 {
		return out, nil
	}
	answers, err := v.s.store.Read(ctx, ask)
	if err != nil {
		return nil, err
	}
	for n, q := range ask {
		if q.IsRange() {
			q = queries[at[n]]
			r := answers[n]
			if changes, last := v.changes(q); last != nil {
				if r.Bytes, err = records.Over(q, r.Bytes, changes); err != nil {
					return nil, &damagedError{q, err}
				}
				r.Revision = last.revision(r.Bytes)
			}
			out[at[n]] = r
			continue
		}
		record, revision := answers[n].Bytes, answers[n].Revision
		// A delta that was committed meanwhile is merged twice here, which is the same as once (ledger.Merge).
		for _, a := range v.s.overlay[q] {
			if a.by.seq >= v.t.seq {
				break
			}
			if a.write == nil {
				continue
			}
			if !a.write.based {
				a.write.base, a.write.based = record, true
			}
			if record, err = a.write.record(q); err != nil {
				return nil, err
			}
			revision = a.write.revision(record)
		}
		out[at[n]] = records.Record{Bytes: record, Revision: revision}
	}
	return out, nil
}

// changes are what the predecessors of the transaction learned of the records that a range may have, and the write of the last
// of them; nil if none did.
func (v *view) changes(q records.Query) (facts []records.Fact, last *write) {
	for _, a := range v.s.overlay[rangeKey(q)] {
		if a.by.seq >= v.t.seq {
			break
		}
		if a.write == nil {
			continue
		}
		last = a.write
		for _, key := range a.write.beneath {
			if w := v.s.overlay.writeOf(key, a.by); w != nil {
				facts = append(facts, w.deltas...)
			}
		}
	}
	return facts, last
}

// writeOf is the write of a key by a transaction; nil if there is none.
func (o overlay) writeOf(q records.Query, t *transaction) *write {
	for _, a := range o[q] {
		if a.by == t {
			return a.write
		}
	}
	return nil
}

// record is what the key holds after the write.
func (w *write) record(q records.Query) ([]byte, error) {
	if w.merged {
		return w.full, nil
	}
	full := w.base
	for _, delta := range w.deltas {
		if delta.Forget {
			full = nil
			continue
		}
		var err error
		if full, err = records.Merge(q.Kind, full, delta.Record); err != nil {
			return nil, &damagedError{q, err}
		}
	}
	w.full, w.merged = full, true
	return full, nil
}
