package ledger

import (
	"fmt"
)

// Merge unites a record with a delta of the same kind and gives the new record; either may be nil. It does not retain the
// delta; where that says nothing new the result is old itself. Merging the same delta twice is the same as once.
func Merge(kind FactKind, old, delta []byte) ([]byte, error) {
	record := delta // of what is new, whatever the kind
	if old != nil {
		var err error
		if record, err = merge(kind, old, delta); err != nil {
			return nil, err
		}
	}
	if len(record) == 0 || len(delta) > 0 && &record[0] == &delta[0] {
		record = append([]byte{}, record...)
	}
	return record, nil
}

// merge is Merge for what is copied afterwards: the result may be the delta itself.
func merge(kind FactKind, old, delta []byte) ([]byte, error) {
	switch kind {
	case AliasFact, DecisionFact, EntryFact:
		// What was decided stays, and so does what happened.
		return old, nil
	case NameFact, PackageFact, ServiceFact, RunsFact:
		return mergeSets(old, delta, SetSize(kind))
	case LineFact:
		if supersedes(delta, old) {
			return delta, nil
		}
	case FirstRunFact:
		earlier, later := reader{rest: old}, reader{rest: delta}
		before, ok1 := earlier.time()
		after, ok2 := later.time()
		if ok1 && ok2 && before < after {
			return old, nil
		}
	}
	return mergeDecoded(kind, old, delta)
}

// mergeDecoded merges what must be decoded for that.
func mergeDecoded(kind FactKind, old, delta []byte) ([]byte, error) {
	dec := decoderOfSize(2*(len(old)+len(delta)) + 32)
	room := func() []byte { return make([]byte, 0, len(old)+len(delta)) }
	switch kind {
	case SubjectFact:
		s, err := dec.Subject(old)
		if err != nil {
			return nil, err
		}
		d, err := dec.Subject(delta)
		if err != nil {
			return nil, err
		}
		s.merge(d)
		return s.AppendTo(room()), nil
	case EventFact:
		e, err := dec.EiffelEvent(old)
		if err != nil {
			return nil, err
		}
		d, err := dec.EiffelEvent(delta)
		if err != nil {
			return nil, err
		}
		e.merge(d)
		return e.AppendTo(room()), nil
	case ContextFact:
		c, err := dec.Contexts(old)
		if err != nil {
			return nil, err
		}
		d, err := dec.Contexts(delta)
		if err != nil {
			return nil, err
		}
		return c.merge(d).AppendTo(room()), nil
	case LineFact:
		h, err := dec.Head(old)
		if err != nil {
			return nil, err
		}
		d, err := dec.Head(delta)
		if err != nil {
			return nil, err
		}
		h.merge(&d)
		return h.AppendTo(room()), nil
	case FirstRunFact:
		s, err := dec.Stamp(old)
		if err != nil {
			return nil, err
		}
		d, err := dec.Stamp(delta)
		if err != nil {
			return nil, err
		}
		if !d.Before(s) {
			return old, nil
		}
		return delta, nil
	}
	return nil, fmt.Errorf("unknown %s", kind)
}
