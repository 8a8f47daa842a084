package translate

import (
	"context"
	"fmt"
	"slices"

	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// Outcome is what one event of a batch came to.
type Outcome struct {
	Result
	Err error // why there is no result; of type *[EventError]
}

// TranslateBatch translates events that have come together: one after the other, each with what those before it have taught, as
// [Session.Translate] does one by one. A ledger that is not in memory is asked for each record once, and taught once, by all of them:
// nobody else may teach it meanwhile. With one in memory a batch costs little less than as many calls.
//
// There is an outcome for each event. An error is the ledger's; then there are outcomes only for the first events, whose facts the
// ledger has, and translating the others again gives the same ids.
func (s *Session) TranslateBatch(ctx context.Context, texts [][]byte) ([]Outcome, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, near := s.ledger.(*ledger.Memory); near {
		return s.translateBatch(ctx, texts, s.ledger)
	}
	ahead := ledger.NewAhead(s.ledger)
	out, err := s.translateBatch(ctx, texts, ahead)
	if err != nil {
		return nil, err
	}
	if facts := ahead.Take(); len(facts) > 0 {
		if err := s.ledger.Apply(ctx, facts); err != nil {
			return nil, fmt.Errorf("teach the ledger: %w", err)
		}
	}
	return out, nil
}

// few is how many events are decoded in a row: the processor does a thing faster when it has just done it.
const few = 8

func (s *Session) translateBatch(ctx context.Context, texts [][]byte, to learner) ([]Outcome, error) {
	out := make([]Outcome, 0, len(texts))
	for chunk := range slices.Chunk(texts, few) {
		var events [few]Event
		var errs [few]error
		for i, text := range chunk {
			events[i], errs[i] = Decode(text)
		}
		for i := range chunk {
			o := Outcome{Err: errs[i]}
			if o.Err == nil {
				if o.Result, o.Err = s.translate(ctx, events[i], to); o.Err != nil && !refused(o.Err) {
					return out, o.Err
				}
			}
			out = append(out, o)
		}
	}
	return out, nil
}

// learner is a ledger to one session at a time.
type learner interface {
	ledger.Source
	Apply(ctx context.Context, facts []ledger.Fact) error
}
