package daemon

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"

	"github.com/eiffelbridge/eiffelbridge/plugins/host"
)

// fakePlugin has metrics.
type fakePlugin struct{}

func (fakePlugin) Health() error          { return nil }
func (fakePlugin) Close() error           { return nil }
func (fakePlugin) Stats() host.Stats      { return host.Stats{} }
func (fakePlugin) events() (int64, int64) { return 0, 0 }

// everyMetric is a registry with every metric that a relay before its first event shows.
func everyMetric() *prometheus.Registry {
	m := newMetrics(SystemClock())
	m.account("r", 1)
	m.watch(func() (int64, int) { return 0, 0 })
	m.registry.MustRegister(newPluginMetrics(func() map[string]Plugin { return map[string]Plugin{"p": fakePlugin{}} }), newReadyGauge(func() map[string]error { return map[string]error{"ledger": nil} }))
	return m.registry
}

func TestMetricsFollowTheRulesOfPrometheus(t *testing.T) {
	problems, err := testutil.GatherAndLint(everyMetric())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

const metricsFile = "../docs/metrics.md"

// TestMetricsReferenceIsCurrent holds docs/metrics.md to the metrics; UPDATE_GOLDEN=1 makes it anew.
func TestMetricsReferenceIsCurrent(t *testing.T) {
	families, err := everyMetric().Gather()
	if err != nil {
		t.Fatal(err)
	}
	want := metricsReference(families)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(metricsFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(metricsFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("docs/metrics.md is stale; make it anew: UPDATE_GOLDEN=1 go test ./daemon -run Reference; it should be\n%s", want)
	}
}

func metricsReference(families []*dto.MetricFamily) []byte {
	var b bytes.Buffer
	b.WriteString(`# Metrics

<!-- Made from the program; UPDATE_GOLDEN=1 go test ./daemon -run Reference makes it anew. -->

What ` + "`/metrics`" + ` of the admin listener shows. Everything is there from the start, at 0. [operations.md](operations.md#counters-that-add-up)
says how the counters add up, and on what to alarm.
`)
	for _, section := range []struct {
		title string
		has   func(name string, labels []string) bool
	}{
		{"Of each relay", func(_ string, labels []string) bool { return slices.Contains(labels, "relay") }},
		{"Of each plugin", func(_ string, labels []string) bool { return slices.Contains(labels, "plugin") }},
		{"Of each part", func(_ string, labels []string) bool { return slices.Contains(labels, "part") }},
		{"Of the ledger and the dead letters", func(name string, labels []string) bool {
			return strings.HasPrefix(name, "eiffelbridge_") && len(labels) == 0
		}},
	} {
		fmt.Fprintf(&b, "\n## %s\n\n| Metric | Type | Labels | |\n|---|---|---|---|\n", section.title)
		for _, f := range families {
			labels, values := labelsOf(f)
			if !section.has(f.GetName(), labels) {
				continue
			}
			fmt.Fprintf(&b, "| `%s` | %s | ", f.GetName(), strings.ToLower(f.GetType().String()))
			for i, l := range labels {
				if i > 0 {
					b.WriteString("; ")
				}
				b.WriteString("`" + l + "`")
				if len(values[l]) > 1 {
					b.WriteString(": " + strings.Join(values[l], ", "))
				}
			}
			fmt.Fprintf(&b, " | %s |\n", f.GetHelp())
		}
	}
	b.WriteString("\n## Of the process\n\nThe collectors of the Prometheus library: `go_*` (`go_goroutines`, `go_memstats_*`, `go_gc_*`) and `process_*`\n" +
		"(`process_resident_memory_bytes`, `process_cpu_seconds_total`, `process_open_fds`).\n")
	return b.Bytes()
}

// labelsOf gives the labels of a metric in their order, and the values of each.
func labelsOf(f *dto.MetricFamily) (labels []string, values map[string][]string) {
	values = map[string][]string{}
	for _, m := range f.GetMetric() {
		for _, l := range m.GetLabel() {
			if !slices.Contains(labels, l.GetName()) {
				labels = append(labels, l.GetName())
			}
			if !slices.Contains(values[l.GetName()], l.GetValue()) {
				values[l.GetName()] = append(values[l.GetName()], l.GetValue())
			}
		}
	}
	slices.SortFunc(labels, func(a, b string) int { // of a relay or a plugin first
		return len(values[a]) - len(values[b])
	})
	return labels, values
}
