package speed

import (
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/eiffelbridge/eiffelbridge/internal/testkit/steady"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// The goals: the ratio of translating an event to only finding that it is JSON, and the allocations of the two types that
// are judged.
const (
	goalRatio       = 3
	goalRatioOthers = 5
	goalAllocs      = 40
)

// TypeOptions say what to measure of the types.
type TypeOptions struct {
	Rounds   int
	Round    time.Duration // for each variant
	Only     *regexp.Regexp
	Progress io.Writer // may be nil
}

// settings are those of a relay.
var settings = translate.Settings{Returning: translate.ReturningDrop}

// MeasureTypes measures every type: the table of the types, and that of batches and cores.
func MeasureTypes(o TypeOptions) ([]*Table, error) {
	types, err := steady.Types()
	if err != nil {
		return nil, err
	}
	engine, err := translate.New(settings)
	if err != nil {
		return nil, err
	}
	table := &Table{Title: "Translation by type, bytes to bytes: µs for an event", Columns: []Column{
		{Name: "type"}, {Name: "bytes", Right: true}, {Name: "valid", Right: true}, {Name: "translate", Right: true}, {Name: "min..max", Right: true},
		{Name: "ratio", Right: true}, {Name: "allocs", Right: true}, {Name: "sdk dec", Right: true}, {Name: "valid", Right: true}, {Name: "marsh", Right: true}, {Name: ""},
	}}
	table.Note = fmt.Sprintf(`valid: encoding/json.Valid of the same bytes. translate: Decode, validation, translation with the
original carried, and what was learned applied to a ledger in memory that knows what the event
speaks of. ratio: translate to valid, round by round, the median. sdk: the protocol's own Go SDK
decodes, validates, marshals the same event; - where it refuses it. Goals: ratio %d and %d
allocations for the first two, ratio %d for all others; > marks what is beyond. Medians of %d rounds.`,
		goalRatio, goalAllocs, goalRatioOthers, o.Rounds)
	more := &Table{Title: "Batches and cores", Columns: []Column{{Name: "what"}, {Name: "median", Right: true}, {Name: "min..max", Right: true}}}
	beyond := 0
	for _, t := range types {
		if o.Only != nil && !o.Only.MatchString(t.Name) {
			continue
		}
		if o.Progress != nil {
			fmt.Fprintf(o.Progress, "%s\n", t.Name)
		}
		row, over, err := measureType(engine, t, o)
		if err != nil {
			return nil, err
		}
		table.Rows = append(table.Rows, row)
		if over {
			beyond++
		}
		if t.Main {
			rows, err := measureCores(engine, t, o)
			if err != nil {
				return nil, err
			}
			more.Rows = append(more.Rows, rows...)
		}
	}
	table.Note += fmt.Sprintf("\n%d of %d types are beyond their goals.", beyond, len(table.Rows))
	more.Note = `Batches: Session.TranslateBatch, beside Session.Translate in the same rounds. Cores: two goroutines,
each with a Session and a ledger of its own on one Engine, against one with as many events.`
	return []*Table{table, more}, nil
}

// translating is the variant that translates events one by one, each prepared before the time starts.
func translating(engine *translate.Engine, t steady.Type) *variant {
	v := &variant{name: "translate"}
	v.prepare = func(n int) (func(), error) {
		s, err := steady.New(engine, t, n)
		if err != nil {
			return nil, err
		}
		return func() {
			for range n {
				s.Next()
			}
			v.failed = s.Err()
		}, nil
	}
	return v
}

func measureType(engine *translate.Engine, t steady.Type, o TypeOptions) (row []string, over bool, err error) {
	text := t.Write(2 * steady.Services)
	valid := &variant{name: "valid", share: 0.25, prepare: func(n int) (func(), error) {
		var texts [][]byte
		for i := range min(n, 1000) {
			texts = append(texts, t.Write(i))
		}
		return func() {
			for i := range n {
				if !json.Valid(texts[i%len(texts)]) {
					panic("the event is no JSON")
				}
			}
		}, nil
	}}
	work := translating(engine, t)
	variants := []*variant{valid, work}
	others := sdk(t.Name, text)
	rounds(append(variants, others...), o.Rounds, o.Round)
	for _, v := range variants {
		if v.failed != nil {
			return nil, false, fmt.Errorf("%s: %s: %w", t.Name, v.name, v.failed)
		}
	}
	ratio, allocs := ratios(work.nanos, valid.nanos), spreadOf(work.allocs)
	goal := float64(goalRatioOthers)
	if t.Main {
		goal = goalRatio
	}
	over = ratio.Median > goal || t.Main && allocs.Median > goalAllocs+0.5
	took := spreadOf(work.nanos)
	row = []string{
		strings.TrimSuffix(strings.TrimPrefix(t.Name, "Eiffel"), "Event"), fmt.Sprint(len(text)), micros(spreadOf(valid.nanos).Median), micros(took.Median),
		micros(took.Min) + ".." + micros(took.Max), number(ratio.Median), fmt.Sprintf("%.0f", allocs.Median),
	}
	for _, v := range others {
		cell := "-"
		if v.failed == nil {
			cell = micros(spreadOf(v.nanos).Median)
		}
		row = append(row, cell)
	}
	mark := ""
	if over {
		mark = ">"
	}
	return append(row, mark), over, nil
}

func micros(nanos float64) string { return number(nanos / 1000) }

// batch is how many events a batch has.
const batch = 64

// measureCores measures batches, and two goroutines against one.
func measureCores(engine *translate.Engine, t steady.Type, o TypeOptions) ([][]string, error) {
	at := func(goroutines int) *variant {
		return &variant{name: fmt.Sprint(goroutines), prepare: func(n int) (func(), error) {
			var works []func()
			for range goroutines {
				work, err := translating(engine, t).prepare(n)
				if err != nil {
					return nil, err
				}
				works = append(works, work)
			}
			return func() { together(works) }, nil
		}}
	}
	batched := &variant{name: "batch"}
	batched.prepare = func(n int) (func(), error) {
		s, err := steady.New(engine, t, n*batch)
		if err != nil {
			return nil, err
		}
		return func() {
			for range n {
				s.NextBatch(batch)
			}
			batched.failed = s.Err()
		}, nil
	}
	one, two := at(1), at(2)
	rounds([]*variant{one, two, batched}, o.Rounds, o.Round)
	for _, v := range []*variant{one, two, batched} {
		if v.failed != nil {
			return nil, fmt.Errorf("%s: %w", t.Name, v.failed)
		}
	}
	// Two goroutines do twice the work.
	speedup := ratios(one.nanos, two.nanos)
	single, took := spreadOf(one.nanos), spreadOf(batched.nanos)
	return [][]string{
		{t.Name + ", one by one, µs for an event", micros(single.Median), micros(single.Min) + ".." + micros(single.Max)},
		{t.Name + ", a batch of 64, µs for an event", micros(took.Median / batch), micros(took.Min/batch) + ".." + micros(took.Max/batch)},
		{t.Name + ", two goroutines, times one", number(2 * speedup.Median), number(2*speedup.Min) + ".." + number(2*speedup.Max)},
	}, nil
}
