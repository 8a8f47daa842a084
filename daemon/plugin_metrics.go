package daemon

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/eiffelbridge/eiffelbridge/plugins/pluginv1"
)

const (
	// customPrefix begins the names of the plugins' own metrics, and of no other.
	customPrefix = "eiffelbridge_plugin_custom_"
	// customPatience is how long the plugins may take, all at the same time, to tell their metrics.
	customPatience = 500 * time.Millisecond
)

// customMetrics are what the plugins count and measure themselves. They are asked when the metrics are read; one that does
// not answer is left out. Nothing that a plugin tells may keep the other metrics from being read.
type customMetrics struct{ plugins func() map[string]Plugin }

// Describe implements [prometheus.Collector]. What there will be is not known before.
func (m *customMetrics) Describe(chan<- *prometheus.Desc) {}

// Collect implements [prometheus.Collector].
func (m *customMetrics) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), customPatience)
	defer cancel()
	plugins := m.plugins()
	names := slices.Sorted(maps.Keys(plugins))
	told := make([][]*pluginv1.MetricFamily, len(names))
	var asking sync.WaitGroup
	for i, name := range names {
		if p, ok := plugins[name].(interface {
			Metrics(context.Context) ([]*pluginv1.MetricFamily, error)
		}); ok {
			asking.Go(func() { told[i], _ = p.Metrics(ctx) }) // the error is logged
		}
	}
	asking.Wait()
	// All of one name have one kind and one text. Of plugins that do not agree, the first by name decides.
	first := map[string]*pluginv1.MetricFamily{}
	for i, name := range names {
		for _, f := range told[i] {
			key := strings.TrimSuffix(f.GetName(), "_total")
			if first[key] == nil {
				first[key] = f
			}
			if first[key].GetKind() != f.GetKind() {
				continue
			}
			kind := prometheus.GaugeValue
			if f.GetKind() == pluginv1.MetricKind_METRIC_KIND_COUNTER {
				kind = prometheus.CounterValue
			}
			desc := prometheus.NewDesc(customPrefix+f.GetName(), first[key].GetHelp(), append([]string{"plugin"}, f.GetLabels()...), nil)
			for _, s := range f.GetSeries() {
				if metric, err := prometheus.NewConstMetric(desc, kind, s.GetValue(), append([]string{name}, s.GetValues()...)...); err == nil {
					ch <- metric
				}
			}
		}
	}
}
