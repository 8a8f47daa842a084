package ledger

import (
	"bytes"
	"fmt"
)

// Merge unites a record with a delta of the same kind and gives the new record; either may be nil. It does not retain the
// delta; where that says nothing new the result is old itself. Merging the same delta twice is the same as once.
func Merge(kind FactKind, old, delta []byte) ([]byte, error) {
	if old == nil {
		// A copy of a delta is the record, whatever the kind.
		return append([]byte{}, delta...), nil
	}
	dec := decoderOfSize(2*(len(old)+len(delta)) + 32)
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
		return s.Encode(), nil
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
		return e.Encode(), nil
	case ContextFact:
		c, err := dec.Contexts(old)
		if err != nil {
			return nil, err
		}
		d, err := dec.Contexts(delta)
		if err != nil {
			return nil, err
		}
		return c.merge(d).Encode(), nil
	case LineFact:
		if supersedes(delta, old) {
			return bytes.Clone(delta), nil
		}
		h, err := dec.Head(old)
		if err != nil {
			return nil, err
		}
		d, err := dec.Head(delta)
		if err != nil {
			return nil, err
		}
		h.merge(&d)
		return h.Encode(), nil
	case FirstRunFact:
		earlier, later := reader{rest: old}, reader{rest: delta}
		before, ok1 := earlier.time()
		after, ok2 := later.time()
		if ok1 && ok2 && before < after {
			return old, nil
		}
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
		return d.Encode(), nil
	case NameFact, PackageFact, ServiceFact, RunsFact:
		return mergeSets(old, delta, SetSize(kind))
	case AliasFact, DecisionFact, EntryFact:
		// What was decided stays, and so does what happened.
		return old, nil
	}
	return nil, fmt.Errorf("unknown %s", kind)
}
