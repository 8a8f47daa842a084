package sdk

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/eiffelbridge/eiffelbridge/internal/pluginwire"
	"github.com/eiffelbridge/eiffelbridge/plugins/pluginv1"
)

// Metrics are what a plugin counts and measures itself. The host shows them on its /metrics: a metric rollouts_total of a plugin
// that is configured as deploytool is eiffelbridge_plugin_custom_rollouts_total{plugin="deploytool"}. They are safe for
// concurrent use. A plugin that dies begins anew at 0, which Prometheus takes into account.
//
//	metrics := sdk.NewMetrics()
//	rollouts := metrics.Counter("rollouts_total", "Rollouts by what became of them.", "outcome")
//	// sdk.MappingOptions{..., Metrics: metrics}
//	rollouts.Inc("translated")
//
// All metrics of a plugin together may have 500 series, so that what a label can be must be a handful: an outcome, a region, no id.
type Metrics struct {
	mu     sync.Mutex
	all    []*metric
	series int
	errs   []error
	served bool
}

// NewMetrics gives metrics that are to be handed to a Serve function.
func NewMetrics() *Metrics { return &Metrics{} }

// metric is one of either kind.
type metric struct {
	in     *Metrics
	family *pluginv1.MetricFamily
	series map[string]*pluginv1.MetricSeries
	told   bool // false: there can be no such metric
	logged bool // that it was used wrongly
}

// Counter is a metric that only grows.
type Counter struct{ m *metric }

// Gauge is a metric that goes up and down.
type Gauge struct{ m *metric }

// Counter makes a counter. Its name ends in _total; help is one sentence. Each label is given a value with every Add. Of what is
// wrong with a name the Serve function has an error.
func (m *Metrics) Counter(name, help string, labels ...string) *Counter {
	return &Counter{m.add(pluginv1.MetricKind_METRIC_KIND_COUNTER, name, help, labels)}
}

// Gauge makes a gauge, as Counter makes a counter.
func (m *Metrics) Gauge(name, help string, labels ...string) *Gauge {
	return &Gauge{m.add(pluginv1.MetricKind_METRIC_KIND_GAUGE, name, help, labels)}
}

func (m *Metrics) add(kind pluginv1.MetricKind, name, help string, labels []string) *metric {
	one := &metric{in: m, family: &pluginv1.MetricFamily{Name: name, Help: help, Kind: kind, Labels: slices.Clone(labels)}, series: map[string]*pluginv1.MetricSeries{}}
	m.mu.Lock()
	defer m.mu.Unlock()
	err := pluginwire.CheckMetric(one.family)
	for _, other := range m.all {
		if err == nil && strings.TrimSuffix(other.family.GetName(), "_total") == strings.TrimSuffix(name, "_total") {
			err = fmt.Errorf("the metric %s is there already (x and x_total are one)", name)
		}
	}
	switch {
	case err == nil:
		one.told = true
		m.all = append(m.all, one)
		if len(labels) == 0 {
			one.at(nil) // it is 0 until something happens
		}
	case m.served:
		slog.Error("a metric cannot be told", "error", err)
	default:
		m.errs = append(m.errs, err)
	}
	return one
}

// Inc adds 1 to the series with these values of the labels, in the order of the labels.
func (c *Counter) Inc(values ...string) { c.Add(1, values...) }

// Add adds what is not less than 0.
func (c *Counter) Add(v float64, values ...string) {
	c.m.change(v, v >= 0, values, func(now float64) float64 { return now + v })
}

// Set sets the series with these values of the labels, in the order of the labels.
func (g *Gauge) Set(v float64, values ...string) {
	g.m.change(v, true, values, func(float64) float64 { return v })
}

// Add adds to the series; v may be negative.
func (g *Gauge) Add(v float64, values ...string) {
	g.m.change(v, true, values, func(now float64) float64 { return now + v })
}

// change sets a series to what next makes of its value, by v. A use that is wrong has no effect, since a plugin does not fail of
// what it counts; it is logged once.
func (m *metric) change(v float64, allowed bool, values []string, next func(float64) float64) {
	m.in.mu.Lock()
	defer m.in.mu.Unlock()
	wrong := ""
	switch {
	case !m.told:
		return
	case math.IsNaN(v) || math.IsInf(v, 0):
		wrong = fmt.Sprintf("%v is no number to count with", v)
	case !allowed:
		wrong = "a counter only grows"
	case len(values) != len(m.family.GetLabels()):
		wrong = fmt.Sprintf("%d values for %d labels", len(values), len(m.family.GetLabels()))
	default:
		s := m.at(values)
		if s == nil {
			wrong = fmt.Sprintf("the metrics have %d series already", pluginwire.MaxSeries)
		} else if sum := next(s.GetValue()); !math.IsInf(sum, 0) {
			s.Value = sum
		}
	}
	if wrong != "" && !m.logged {
		m.logged = true
		slog.Error("a metric was used wrongly, which has no effect", "metric", m.family.GetName(), "error", wrong)
	}
}

// at gives the series with as many values as there are labels; nil if there can be no more series. The lock is held.
func (m *metric) at(values []string) *pluginv1.MetricSeries {
	cut := make([]string, len(values))
	for i, v := range values {
		cut[i] = pluginwire.LabelValue(v)
	}
	key := pluginwire.SeriesKey(cut)
	s := m.series[key]
	if s == nil && m.in.series < pluginwire.MaxSeries {
		s = &pluginv1.MetricSeries{Values: cut}
		m.series[key] = s
		m.family.Series = append(m.family.Series, s)
		m.in.series++
	}
	return s
}

// begin is called when the plugin is served.
func (m *Metrics) begin() error {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.served = true
	return errors.Join(m.errs...)
}

// now copies the metrics as they are.
func (m *Metrics) now() *pluginv1.MetricsResponse {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := &pluginv1.MetricsResponse{}
	for _, one := range m.all {
		f := one.family
		family := &pluginv1.MetricFamily{Name: f.GetName(), Help: f.GetHelp(), Kind: f.GetKind(), Labels: f.GetLabels()}
		for _, s := range f.GetSeries() {
			family.Series = append(family.Series, &pluginv1.MetricSeries{Values: s.GetValues(), Value: s.GetValue()})
		}
		out.Families = append(out.Families, family)
	}
	return out
}
