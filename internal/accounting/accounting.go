// Package accounting checks that the counters of a relay add up. It reads what /metrics answers, so that it serves for a relay in
// any process.
package accounting

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Counts are the numbers of one relay in one scrape. docs/metrics.md says what each counts.
type Counts struct {
	Received    int64
	Refused     int64
	Settled     map[string]int64 // by outcome, as are Late and Unparked
	Late        map[string]int64
	Unparked    map[string]int64
	DeadLetters map[string]int64 // by code
	InFlight    int64
	PlacesUsed  int64
	ParkedTotal int64
	ParkedFound int64
	Parked      int64
	Outputs     int64
	Synthesized int64
	Restored    int64
	Published   int64
	Retries     int64
}

// Accepted is how many deliveries are the relay's by now: it answered them, and will not get them again.
func (c Counts) Accepted() int64 { return sum(c.Settled) - c.Settled["retried"] }

// Check reads what /metrics answers and tells which equations do not hold, for each relay, and whether one of them is not idle. It
// is for a relay at rest: nothing is delivered to it or resumed. Whoever was just answered may have to ask again, since the place of an
// event that had been handed back is given back later.
func Check(metrics io.Reader) error {
	return check(metrics, Counts.check)
}

// CheckBusy is Check with the equations that hold at every moment, so for a relay at work.
func CheckBusy(metrics io.Reader) error {
	return check(metrics, Counts.checkBusy)
}

func check(metrics io.Reader, one func(Counts) error) error {
	relays, err := Read(metrics)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(relays)) {
		if err := one(relays[name]); err != nil {
			errs = append(errs, fmt.Errorf("relay %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

func (c Counts) check() error {
	errs := []error{
		c.checkBusy(),
		equal("in_flight", c.InFlight, "0, since the relay is idle", 0),
		equal("places_used", c.PlacesUsed, "0, since the relay is idle", 0),
		equal("parked_total + parked_found_total", c.ParkedTotal+c.ParkedFound, "unparked_total + parked", sum(c.Unparked)+c.Parked),
	}
	return errors.Join(errs...)
}

func (c Counts) checkBusy() error {
	const dead = "dead_lettered"
	errs := []error{
		equal("received_total", c.Received, "settled_total + in_flight", sum(c.Settled)+c.InFlight),
		equal("parked_total", c.ParkedTotal, "settled_total{parked} + late_total{parked}", c.Settled["parked"]+c.Late["parked"]),
		equal("dead_letters_total", sum(c.DeadLetters), "settled_total{dead_lettered} + late_total{dead_lettered} + unparked_total{dead_lettered}",
			c.Settled[dead]+c.Late[dead]+c.Unparked[dead]),
	}
	if c.Synthesized > c.Outputs {
		errs = append(errs, fmt.Errorf("synthesized_total is %d, which is more than outputs_total, %d", c.Synthesized, c.Outputs))
	}
	if c.Outputs > c.Published {
		errs = append(errs, fmt.Errorf("outputs_total is %d, which is more than published_total, %d", c.Outputs, c.Published))
	}
	return errors.Join(errs...)
}

func equal(name string, got int64, others string, want int64) error {
	if got == want {
		return nil
	}
	return fmt.Errorf("%s is %d, and %s is %d", name, got, others, want)
}

func sum(of map[string]int64) (n int64) {
	for _, v := range of {
		n += v
	}
	return n
}

// Read gives the counts of every relay. It is an error if there is no relay, or one lacks a number: relays show all of them
// from the start.
func Read(metrics io.Reader) (map[string]Counts, error) {
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(metrics)
	if err != nil {
		return nil, fmt.Errorf("read the metrics: %w", err)
	}
	r := reader{families: families, relays: map[string]*Counts{}}
	r.plain("received_total", func(c *Counts) *int64 { return &c.Received })
	if len(r.relays) == 0 {
		return nil, errors.New("the metrics have no relay: eiffelbridge_received_total is missing")
	}
	r.plain("refused_total", func(c *Counts) *int64 { return &c.Refused })
	r.labelled("settled_total", "outcome", func(c *Counts) *map[string]int64 { return &c.Settled })
	r.labelled("late_total", "outcome", func(c *Counts) *map[string]int64 { return &c.Late })
	r.labelled("unparked_total", "outcome", func(c *Counts) *map[string]int64 { return &c.Unparked })
	r.labelled("dead_letters_total", "code", func(c *Counts) *map[string]int64 { return &c.DeadLetters })
	r.plain("in_flight", func(c *Counts) *int64 { return &c.InFlight })
	r.plain("places_used", func(c *Counts) *int64 { return &c.PlacesUsed })
	r.plain("parked_total", func(c *Counts) *int64 { return &c.ParkedTotal })
	r.plain("parked_found_total", func(c *Counts) *int64 { return &c.ParkedFound })
	r.plain("parked", func(c *Counts) *int64 { return &c.Parked })
	r.plain("outputs_total", func(c *Counts) *int64 { return &c.Outputs })
	r.plain("synthesized_total", func(c *Counts) *int64 { return &c.Synthesized })
	r.plain("restored_total", func(c *Counts) *int64 { return &c.Restored })
	r.plain("published_total", func(c *Counts) *int64 { return &c.Published })
	r.plain("retries_total", func(c *Counts) *int64 { return &c.Retries })
	out := map[string]Counts{}
	for name, c := range r.relays {
		out[name] = *c
	}
	return out, errors.Join(r.errs...)
}

type reader struct {
	families map[string]*dto.MetricFamily
	relays   map[string]*Counts
	errs     []error
}

// each calls f for each sample of a metric, and notes which relays have none.
func (r *reader) each(name string, f func(c *Counts, labels map[string]string, v int64)) {
	name = "eiffelbridge_" + name
	seen := map[string]bool{}
	for _, m := range r.families[name].GetMetric() {
		labels := map[string]string{}
		for _, l := range m.GetLabel() {
			labels[l.GetName()] = l.GetValue()
		}
		relay := labels["relay"]
		seen[relay] = true
		if r.relays[relay] == nil {
			r.relays[relay] = &Counts{}
		}
		value := m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetUntyped().GetValue()
		if value != math.Trunc(value) {
			r.errs = append(r.errs, fmt.Errorf("%s of relay %s is %v, which is not a number of something", name, relay, value))
		}
		f(r.relays[relay], labels, int64(value))
	}
	for _, relay := range slices.Sorted(maps.Keys(r.relays)) {
		if !seen[relay] {
			r.errs = append(r.errs, fmt.Errorf("relay %s has no %s", relay, name))
		}
	}
}

func (r *reader) plain(name string, at func(*Counts) *int64) {
	r.each(name, func(c *Counts, _ map[string]string, v int64) { *at(c) = v })
}

func (r *reader) labelled(name, label string, at func(*Counts) *map[string]int64) {
	r.each(name, func(c *Counts, labels map[string]string, v int64) {
		if *at(c) == nil {
			*at(c) = map[string]int64{}
		}
		(*at(c))[labels[label]] += v
	})
}
