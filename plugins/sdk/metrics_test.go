package sdk_test

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/internal/pluginwire"
	"github.com/eiffelbridge/eiffelbridge/plugins/sdk"
	"github.com/eiffelbridge/eiffelbridge/translate"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// told is what the host would show, as text.
func told(t *testing.T, m *sdk.Metrics) map[string]float64 {
	t.Helper()
	sound, wrong := pluginwire.SoundMetrics(sdk.MetricsNow(m).GetFamilies())
	if len(wrong) > 0 {
		t.Errorf("the SDK tells what the host refuses: %v", wrong)
	}
	out := map[string]float64{}
	for _, f := range sound {
		for _, s := range f.GetSeries() {
			out[fmt.Sprintf("%s%q", f.GetName(), s.GetValues())] = s.GetValue()
		}
	}
	return out
}

func TestMetrics(t *testing.T) {
	m := sdk.NewMetrics()
	done := m.Counter("done_total", "Done.", "outcome", "region")
	plain := m.Counter("plain_total", "No labels.")
	level := m.Gauge("level", "A level.", "tank")
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 100 {
				done.Inc("ok", "eu")
				level.Add(-0.5, "a")
				_ = sdk.MetricsNow(m)
			}
		})
	}
	wait.Wait()
	done.Add(2.5, "ok", "us")
	level.Set(3, "b\xff"+strings.Repeat("x", 200))
	// Wrong uses have no effect.
	done.Add(-1, "failed", "us")
	level.Set(math.NaN(), "c")
	level.Add(math.Inf(1), "a")
	done.Inc("ok")
	done.Inc("ok", "us", "more")
	plain.Inc("no label")
	got := told(t, m)
	want := map[string]float64{`done_total["ok" "eu"]`: 800, `done_total["ok" "us"]`: 2.5, `plain_total[]`: 0, `level["a"]`: -400}
	for name, v := range want {
		if got[name] != v {
			t.Errorf("%s is %v, not %v", name, got[name], v)
		}
	}
	if len(got) != len(want)+1 {
		t.Errorf("%v", got)
	}
}

// TestMetricsAreBounded has more series than there may be, in several metrics.
func TestMetricsAreBounded(t *testing.T) {
	m := sdk.NewMetrics()
	a, b := m.Counter("a_total", "", "id"), m.Gauge("b", "", "id")
	for i := range 400 {
		a.Inc(fmt.Sprint(i))
		b.Set(1, fmt.Sprint(i))
	}
	a.Inc("0") // what is there goes on
	got := told(t, m)
	if len(got) != pluginwire.MaxSeries || got[`a_total["0"]`] != 2 {
		t.Errorf("%d series, the first is %v", len(got), got[`a_total["0"]`])
	}
}

// idle is never asked.
type idle struct{}

func (idle) Translate(translate.Event, *ledger.Facts) (translate.Result, error) {
	return translate.Result{}, nil
}

// TestMetricsThatCannotBe are an error of the Serve functions, and harmless to use.
func TestMetricsThatCannotBe(t *testing.T) {
	for name, make := range map[string]func(*sdk.Metrics){
		"is no name":                 func(m *sdk.Metrics) { m.Gauge("a b", "").Set(1) },
		"must end in _total":         func(m *sdk.Metrics) { m.Counter("a", "").Inc() },
		"ends in _total as counters": func(m *sdk.Metrics) { m.Gauge("a_total", "").Set(1) },
		"is there already":           func(m *sdk.Metrics) { m.Counter("a_total", "").Inc(); m.Gauge("a", "").Set(1) },
		"which is not free":          func(m *sdk.Metrics) { m.Gauge("a", "", "plugin").Set(1, "x") },
		"the label b twice":          func(m *sdk.Metrics) { m.Gauge("a", "", "b", "b").Set(1, "x", "y") },
		"longer than 300 bytes":      func(m *sdk.Metrics) { m.Gauge("a", strings.Repeat("x", 301)).Set(1) },
	} {
		m := sdk.NewMetrics()
		make(m)
		t.Setenv("EIFFELBRIDGE_PLUGIN", "a-plugin-of-eiffelbridge") // or the Serve function says what the program is
		err := sdk.ServeMapping(sdk.MappingOptions{Name: "test", Translator: idle{}, Metrics: m})
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		told(t, m)
	}
}
