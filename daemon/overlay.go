package daemon

import (
	"context"
	"fmt"

	"github.com/eiffelbridge/eiffelbridge/translate"
)

// overlay lies over the ledger: what transactions in flight have read and learned, by key, in their order. It is guarded
// by its sequencer's lock.
type overlay map[translate.Query][]access

// access is what one transaction did with one key. A transaction has one access per key at most.
type access struct {
	by    *transaction
	write *write // nil if it only read
}

// write is what a transaction learned about a key.
type write struct {
	deltas [][]byte
	base   []byte // what the transaction saw before it wrote, if based
	based  bool
	full   []byte // base with the deltas merged, if merged
	merged bool
}

// before gives the last write to a key by a transaction that comes before t.
func (o overlay) before(q translate.Query, t *transaction) *access {
	list := o[q]
	for i := len(list) - 1; i >= 0; i-- {
		if a := &list[i]; a.by.seq < t.seq && a.write != nil {
			return a
		}
	}
	return nil
}

// note adds an access of t at its place in the order, or turns the one it has into a write.
func (o overlay) note(q translate.Query, t *transaction, w *write) {
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
func orderQuery(relay string, e translate.Event) translate.Query {
	return translate.Query{Key: fmt.Sprintf("%q %q %q", relay, e.Source, e.Subject)}
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
	seen map[translate.Query][]byte
	err  error // the store's
}

// Read implements the reader that [translate.Ask] wants.
func (v *view) Read(ctx context.Context, queries []translate.Query) ([][]byte, error) {
	out, err := v.read(ctx, queries)
	if err != nil {
		v.err = err
		return nil, err
	}
	for i, q := range queries {
		v.s.overlay.note(q, v.t, nil)
		v.seen[q] = out[i]
	}
	return out, nil
}

func (v *view) read(ctx context.Context, queries []translate.Query) ([][]byte, error) {
	out := make([][]byte, len(queries))
	var ask []translate.Query
	var at []int
	for i, q := range queries {
		if a := v.s.overlay.before(q, v.t); a != nil && (a.write.merged || a.write.based) {
			record, err := a.write.record(q)
			if err != nil {
				return nil, err
			}
			out[i] = record
			continue
		}
		ask, at = append(ask, q), append(at, i)
	}
	if len(ask) == 0 {
		return out, nil
	}
	records, err := v.s.store.Read(ctx, ask)
	if err != nil {
		return nil, err
	}
	for n, q := range ask {
		record := records[n]
		// A delta that was committed meanwhile is merged twice here, which is the same as once (translate.Merge).
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
		}
		out[at[n]] = record
	}
	return out, nil
}

// record is what the key holds after the write.
func (w *write) record(q translate.Query) ([]byte, error) {
	if w.merged {
		return w.full, nil
	}
	full := w.base
	for _, delta := range w.deltas {
		var err error
		if full, err = translate.Merge(q.Kind, full, delta); err != nil {
			return nil, &damagedError{q, err}
		}
	}
	w.full, w.merged = full, true
	return full, nil
}
