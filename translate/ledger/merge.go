package ledger

import (
	"fmt"
)

// Merge unites a record with a delta of the same kind and gives the new record; either may be nil. It does not retain the
// delta; where that says nothing new the result is old itself. Merging the same delta twice is the same as once.
func Merge(kind FactKind, old, delta []byte) ([]byte, error) {
	if old == nil {
		// A copy of a delta is the record, whatever the kind.
		return append([]byte{}, delta...), nil
	}
	switch kind {
	case SubjectFact:
		s, err := DecodeSubject(old)
		if err != nil {
			return nil, err
		}
		d, err := DecodeSubject(delta)
		if err != nil {
			return nil, err
		}
		s.merge(d)
		return s.Encode(), nil
	case EventFact:
		e, err := DecodeEiffelEvent(old)
		if err != nil {
			return nil, err
		}
		d, err := DecodeEiffelEvent(delta)
		if err != nil {
			return nil, err
		}
		e.merge(d)
		return e.Encode(), nil
	case ContextFact:
		c, err := DecodeContexts(old)
		if err != nil {
			return nil, err
		}
		d, err := DecodeContexts(delta)
		if err != nil {
			return nil, err
		}
		return c.merge(d).Encode(), nil
	case LineFact:
		h, err := DecodeHead(old)
		if err != nil {
			return nil, err
		}
		d, err := DecodeHead(delta)
		if err != nil {
			return nil, err
		}
		h.merge(d)
		return h.Encode(), nil
	case FirstRunFact:
		s, err := DecodeStamp(old)
		if err != nil {
			return nil, err
		}
		d, err := DecodeStamp(delta)
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
