package translate

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// Outcome is what one event of a batch came to.
type Outcome struct {
	Result
	Err error // why there is no result; of type *[EventError]
}

// TranslateBatch translates events that have come together: one after the other, each with what those before it have taught, as
// [Session.Translate] does one by one. It costs less than as many calls: events are decoded while others are translated, and a
// ledger that is not in memory is taught once, by all of them.
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

func (s *Session) translateBatch(ctx context.Context, texts [][]byte, to learner) ([]Outcome, error) {
	out := make([]Outcome, 0, len(texts))
	for event, err := range decodeAhead(texts) {
		var o Outcome
		if err == nil {
			if o.Result, err = s.translate(ctx, event, to); err != nil && !refused(err) {
				return out, err
			}
		}
		o.Err = err
		out = append(out, o)
	}
	return out, nil
}

// learner is a ledger to one session at a time.
type learner interface {
	ledger.Source
	Apply(ctx context.Context, facts []Fact) error
}

// decodeAhead decodes events while the first ones are worked on, a few at a time.
func decodeAhead(texts [][]byte) iter.Seq2[Event, error] {
	const few = 8
	type decoded struct {
		events [few]Event
		errs   [few]error
	}
	chunks := make(chan *decoded, (len(texts)+few-1)/few) // so that nobody waits for who has stopped
	go func() {
		for chunk := range slices.Chunk(texts, few) {
			d := &decoded{}
			for i, text := range chunk {
				d.events[i], d.errs[i] = Decode(text)
			}
			chunks <- d
		}
	}()
	return func(yield func(Event, error) bool) {
		for chunk := range slices.Chunk(texts, few) {
			d := <-chunks
			for i := range chunk {
				if !yield(d.events[i], d.errs[i]) {
					return
				}
			}
		}
	}
}
