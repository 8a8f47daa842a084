package translate

import (
	"context"
	"errors"
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
// the batch is one transaction. With one in memory a batch costs little less than as many calls, and is as many transactions.
//
// There is an outcome for each event. An error is ctx's or the ledger's; then there are outcomes only for the first events, whose
// facts the ledger has, and translating the others again gives the same ids.
func (s *Session) TranslateBatch(ctx context.Context, texts [][]byte) ([]Outcome, error) {
	if _, near := s.ledger.(*ledger.Memory); near {
		return outcomes(texts, func(event Event) (Result, error) { return s.TranslateEvent(ctx, event) })
	}
	a := s.borrow()
	defer s.giveBack(a)
	for conflicts := 0; ; conflicts++ {
		out, err := s.beginBatch(ctx, a, texts)
		if err != nil {
			return nil, err
		}
		if err = s.commit(ctx, a); err == nil {
			return out, nil
		}
		if a.state == open {
			s.end(a, rolledBack)
		}
		if conflicts == maxConflicts || !errors.Is(err, ledger.ErrConflict) {
			return nil, fmt.Errorf("batch of %d events: %w", len(texts), err)
		}
		a.reset()
	}
}

// beginBatch translates a batch until it is open.
func (s *Session) beginBatch(ctx context.Context, a *attempt, texts [][]byte) ([]Outcome, error) {
	defer s.abandon(a)
	for s.enter(a); ; {
		ahead := ledger.NewAhead(a)
		out, err := outcomes(texts, func(event Event) (Result, error) {
			result, err := s.ask(ctx, ahead, event)
			if err == nil && len(result.Learned) > 0 {
				err = ahead.Apply(ctx, result.Learned)
			}
			return result, err
		})
		if done, err := s.admit(ctx, a, "", ahead.Take(), err); err != nil {
			return nil, err
		} else if done {
			return out, nil
		}
	}
}

// few is how many events are decoded in a row: the processor does a thing faster when it has just done it.
const few = 8

// outcomes translates a batch. It ends with an error that is about no event.
func outcomes(texts [][]byte, translate func(Event) (Result, error)) ([]Outcome, error) {
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
				if o.Result, o.Err = translate(events[i]); o.Err != nil && !refused(o.Err) {
					return out, o.Err
				}
			}
			out = append(out, o)
		}
	}
	return out, nil
}
