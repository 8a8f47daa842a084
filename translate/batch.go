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
	learner := s.direct
	if _, near := s.ledger.(*ledger.Memory); !near {
		learner = &overlay{ledger: s.ledger, records: map[Query][]byte{}}
	}
	out := make([]Outcome, 0, len(texts))
	for event, err := range decodeAhead(texts) {
		var o Outcome
		if err == nil {
			if o.Result, err = s.translate(ctx, event, learner); err != nil && !refused(err) {
				return learner.kept(out), err
			}
		}
		o.Err = err
		out = append(out, o)
	}
	if err := learner.finish(ctx); err != nil {
		return learner.kept(out), err
	}
	return out, nil
}

// learner is a ledger to one session at a time.
type learner interface {
	reader
	learn(ctx context.Context, facts []Fact) error
	finish(ctx context.Context) error
	kept(out []Outcome) []Outcome // those whose facts the ledger has before finish
}

// direct is the ledger itself.
type direct struct{ Ledger }

func (d direct) learn(ctx context.Context, facts []Fact) error { return d.Apply(ctx, facts) }

func (direct) finish(context.Context) error { return nil }

func (direct) kept(out []Outcome) []Outcome { return out }

// overlay lies over a ledger and has what a batch has taught, until finish.
type overlay struct {
	ledger  Ledger
	records map[Query][]byte // of single queries, as they are by now
	learned []Fact
}

// Read implements [Ledger].
func (o *overlay) Read(ctx context.Context, queries []Query) ([]Record, error) {
	out := make([]Record, len(queries))
	var ask []Query
	var at []int // where the answers to ask belong
	for i, q := range queries {
		if record, known := o.records[q]; known {
			out[i].Bytes = record
			continue
		}
		if q.IsRange() {
			q = q.Beneath(o.learned)
		}
		ask, at = append(ask, q), append(at, i)
	}
	if len(ask) == 0 {
		return out, nil
	}
	records, err := o.ledger.Read(ctx, ask)
	if err != nil {
		return nil, err
	}
	for i, record := range records {
		q := queries[at[i]]
		out[at[i]].Bytes = record.Bytes
		if !q.IsRange() {
			o.records[q] = record.Bytes
			continue
		}
		if out[at[i]].Bytes, err = ledger.Over(q, record.Bytes, o.learned); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (o *overlay) learn(ctx context.Context, facts []Fact) error {
	queries := make([]Query, len(facts))
	for i := range facts {
		queries[i] = facts[i].Query
	}
	if _, err := o.Read(ctx, queries); err != nil {
		return err
	}
	merged := make(map[Query][]byte, len(facts))
	for _, f := range facts {
		old, again := merged[f.Query]
		if !again {
			old = o.records[f.Query]
		}
		var record []byte
		if !f.Forget {
			var err error
			if record, err = ledger.Merge(f.Query.Kind, old, f.Record); err != nil {
				return err
			}
		}
		merged[f.Query] = record
	}
	for q, record := range merged {
		o.records[q] = record
	}
	o.learned = append(o.learned, facts...)
	return nil
}

func (o *overlay) finish(ctx context.Context) error {
	if err := o.ledger.Apply(ctx, o.learned); err != nil {
		return fmt.Errorf("teach the ledger: %w", err)
	}
	return nil
}

func (o *overlay) kept([]Outcome) []Outcome { return nil }

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
