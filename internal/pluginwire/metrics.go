package pluginwire

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/eiffelbridge/eiffelbridge/plugins/pluginv1"
)

// MaxSeries is how many series the metrics of a plugin may have.
const MaxSeries = 500

const (
	maxMetricName  = 100 // bytes
	maxMetricHelp  = 300 // bytes
	maxMetricValue = 128 // bytes of a label
	maxLabels      = 8
)

// CheckMetric says what is wrong with a metric, its series aside.
func CheckMetric(f *pluginv1.MetricFamily) error {
	if err := checkMetricName(f.GetName()); err != nil {
		return fmt.Errorf("the metric %.120q %w", f.GetName(), err)
	}
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("the metric %s %s", f.GetName(), fmt.Sprintf(format, args...))
	}
	total := strings.HasSuffix(f.GetName(), "_total")
	switch {
	case f.GetKind() != pluginv1.MetricKind_METRIC_KIND_COUNTER && f.GetKind() != pluginv1.MetricKind_METRIC_KIND_GAUGE:
		return wrong("is neither a counter nor a gauge")
	case f.GetKind() == pluginv1.MetricKind_METRIC_KIND_COUNTER && !total:
		return wrong("is a counter, whose name must end in _total")
	case f.GetKind() == pluginv1.MetricKind_METRIC_KIND_GAUGE && total:
		return wrong("is a gauge, and ends in _total as counters do")
	case len(f.GetHelp()) > maxMetricHelp || !utf8.ValidString(f.GetHelp()):
		return wrong("has a help text that is no UTF-8 or longer than %d bytes", maxMetricHelp)
	case len(f.GetLabels()) > maxLabels:
		return wrong("has %d labels, more than %d", len(f.GetLabels()), maxLabels)
	}
	for i, label := range f.GetLabels() {
		switch err := checkMetricName(label); {
		case err != nil:
			return wrong("has the label %.120q, which %v", label, err)
		case label == "plugin" || label == "le" || label == "quantile":
			return wrong("has the label %s, which is not free", label)
		case slices.Contains(f.GetLabels()[:i], label):
			return wrong("has the label %s twice", label)
		}
	}
	return nil
}

// checkMetricName holds a name of a metric or a label to what Prometheus takes from everybody, without the colons of its rules.
func checkMetricName(name string) error {
	if len(name) > maxMetricName {
		return fmt.Errorf("has a name of %d bytes, more than %d", len(name), maxMetricName)
	}
	for i, c := range []byte(name) {
		if letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'; !letter && (i == 0 || c != '_' && (c < '0' || c > '9')) {
			return errors.New("is no name: letters, digits and underscores, a letter first")
		}
	}
	if name == "" {
		return errors.New("has no name")
	}
	return nil
}

// CheckSeries says what is wrong with a series of a metric.
func CheckSeries(f *pluginv1.MetricFamily, s *pluginv1.MetricSeries) error {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("the metric %s has a series with %s", f.GetName(), fmt.Sprintf(format, args...))
	}
	if len(s.GetValues()) != len(f.GetLabels()) {
		return wrong("%d values for %d labels", len(s.GetValues()), len(f.GetLabels()))
	}
	for i, v := range s.GetValues() {
		if len(v) > maxMetricValue || !utf8.ValidString(v) {
			return wrong("a value of the label %s that is no UTF-8 or longer than %d bytes", f.GetLabels()[i], maxMetricValue)
		}
	}
	switch v := s.GetValue(); {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return wrong("the value %v", v)
	case v < 0 && f.GetKind() == pluginv1.MetricKind_METRIC_KIND_COUNTER:
		return wrong("the value %v, which no counter has", v)
	}
	return nil
}

// SoundMetrics gives what can be shown of the metrics of one plugin. Wrong says why the rest cannot, as far as a few errors do;
// what it gives is complete if there are none.
func SoundMetrics(families []*pluginv1.MetricFamily) (sound []*pluginv1.MetricFamily, wrong []error) {
	refuse := func(err error) {
		if len(wrong) < 10 {
			wrong = append(wrong, err)
		}
	}
	names := map[string]bool{}
	total := 0
	for _, f := range families {
		if err := CheckMetric(f); err != nil {
			refuse(err)
			continue
		}
		// Of a counter x_total, OpenMetrics knows the name x.
		name := strings.TrimSuffix(f.GetName(), "_total")
		if names[name] {
			refuse(fmt.Errorf("there is more than one metric %s (x and x_total are one)", f.GetName()))
			continue
		}
		names[name] = true
		kept := &pluginv1.MetricFamily{Name: f.GetName(), Help: f.GetHelp(), Kind: f.GetKind(), Labels: f.GetLabels()}
		seen := map[string]bool{}
		for _, s := range f.GetSeries() {
			key := SeriesKey(s.GetValues())
			switch err := CheckSeries(f, s); {
			case err != nil:
				refuse(err)
			case seen[key]:
				refuse(fmt.Errorf("the metric %s has the series %.200q twice", f.GetName(), s.GetValues()))
			case total == MaxSeries:
				refuse(fmt.Errorf("there are more than %d series", MaxSeries))
				return append(sound, kept), wrong
			default:
				seen[key] = true
				total++
				kept.Series = append(kept.Series, s)
			}
		}
		sound = append(sound, kept)
	}
	return sound, wrong
}

// SeriesKey tells the series of one metric apart by their label values.
func SeriesKey(values []string) string {
	var b strings.Builder
	for _, v := range values {
		fmt.Fprintf(&b, "%d:%s", len(v), v)
	}
	return b.String()
}

// LabelValue makes of any text one that is allowed as the value of a label.
func LabelValue(v string) string {
	v = strings.ToValidUTF8(v, "\uFFFD")
	if len(v) > maxMetricValue {
		v = strings.ToValidUTF8(v[:maxMetricValue], "")
	}
	return v
}
