// Package speed measures how fast the translation is, against the least that reading an event costs, against the protocols'
// own SDKs, and as a command against jq. What is compared is measured by turns, round by round, so that what else the
// machine does hits all alike: the ratios tell more than the times.
package speed

import (
	"cmp"
	"runtime"
	"slices"
	"sync"
	"time"
)

// Spread is the median of some measurements, the least and the most.
type Spread struct{ Median, Min, Max float64 }

func spreadOf(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	return Spread{sorted[len(sorted)/2], sorted[0], sorted[len(sorted)-1]}
}

// ratios divides round by round.
func ratios(over, under []float64) Spread {
	var out []float64
	for i := range over {
		if under[i] > 0 {
			out = append(out, over[i]/under[i])
		}
	}
	return spreadOf(out)
}

// variant is one of several things that are measured by turns.
type variant struct {
	name    string
	prepare func(n int) (func(), error) // what is timed does its work n times; preparing it is not timed
	share   float64                     // of the time of a round that it gets; 0: all of it

	each   float64   // seconds, as far as is known
	nanos  []float64 // for each time, by round
	allocs []float64 // likewise
	failed error
}

// rounds measures the variants by turns. One that fails is not measured again.
func rounds(variants []*variant, count int, length time.Duration) {
	for _, v := range variants {
		v.run(20, nil) // to know how often it goes into a round
	}
	for range count {
		for _, v := range variants {
			share := cmp.Or(v.share, 1)
			n := int(length.Seconds() * share / max(v.each, 1e-9))
			v.run(max(n, 1), func(nanos, allocs float64) {
				v.nanos = append(v.nanos, nanos)
				v.allocs = append(v.allocs, allocs)
			})
		}
	}
}

func (v *variant) run(n int, note func(nanos, allocs float64)) {
	if v.failed != nil {
		return
	}
	work, err := v.prepare(n)
	if err != nil {
		v.failed = err
		return
	}
	runtime.GC() // what preparing left behind is not its garbage
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	work()
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	v.each = took.Seconds() / float64(n)
	if note != nil {
		note(float64(took.Nanoseconds())/float64(n), float64(after.Mallocs-before.Mallocs)/float64(n))
	}
}

// together runs the works at once and waits for all.
func together(works []func()) {
	var all sync.WaitGroup
	for _, work := range works {
		all.Go(work)
	}
	all.Wait()
}
