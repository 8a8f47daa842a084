package daemon

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// metrics are what Prometheus may ask for, in a registry of their own. They live as long as the daemon, and are safe for
// concurrent use.
type metrics struct {
	registry *prometheus.Registry
	accounts *accounts
	outages  outages

	delivery, publish, delay, waited *prometheus.HistogramVec

	commit         prometheus.Histogram
	commitFacts    prometheus.Counter
	commitFailures prometheus.Counter

	reloads                *prometheus.CounterVec
	reloadGood, reloadTime prometheus.Gauge
}

func newMetrics(clock Clock) *metrics {
	m := &metrics{registry: prometheus.NewRegistry(), accounts: &accounts{clock: clock, series: accountSeries(), list: map[string]*account{}}}
	histogram := func(name, help string, buckets []float64) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, []string{"relay"})
		m.registry.MustRegister(h)
		return h
	}
	work := prometheus.ExponentialBuckets(0.0005, 2, 17) // to 33 s: beyond what a sender over HTTP waits
	m.delivery = histogram("eiffelbridge_delivery_seconds", "From taking a delivery to accepting it.", work)
	m.publish = histogram("eiffelbridge_publish_seconds",
		"From handing what an event became to the sink to its answer about all of it, failures included.", work)
	// From what is as good as at once to a week, for events that are told late.
	m.delay = histogram("eiffelbridge_event_delay_seconds",
		"From the time that an event bears to its end, with what it became at the sink. It needs clocks that agree; below 0 counts as 0.",
		[]float64{0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 6 * 3600, 24 * 3600, 7 * 24 * 3600})
	m.waited = histogram("eiffelbridge_parked_seconds", "From taking an event that was parked to its end.",
		[]float64{0.1, 0.5, 1, 2.5, 5, 10, 15, 30, 60, 120, 300, 900, 3600, 6 * 3600, 24 * 3600})
	m.commit = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "eiffelbridge_ledger_commit_seconds", Help: "How long a commit of the ledger took that succeeded.",
		Buckets: prometheus.ExponentialBuckets(0.0001, 2, 16),
	})
	m.commitFacts = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "eiffelbridge_ledger_facts_total", Help: "Facts committed to the ledger."})
	m.commitFailures = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "eiffelbridge_ledger_commit_failures_total", Help: "Commits of the ledger that failed and are repeated."})
	m.reloads = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "eiffelbridge_config_reloads_total", Help: "Reloads of the configuration: applied or refused."}, []string{"result"})
	for _, result := range []string{reloadApplied, reloadRefused} {
		m.reloads.WithLabelValues(result)
	}
	m.reloadGood = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "eiffelbridge_config_last_reload_successful", Help: "1 if the last reload of the configuration was applied, or there was none."})
	m.reloadGood.Set(1)
	m.reloadTime = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "eiffelbridge_config_last_reload_success_timestamp_seconds", Help: "When the configuration was last reloaded; 0 if never."})
	m.registry.MustRegister(m.accounts, m.commit, m.commitFacts, m.commitFailures, m.reloads, m.reloadGood, m.reloadTime,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// account is the account of a relay, made with all its numbers at 0 if there is none of this name yet.
func (m *metrics) account(relay string, places int) *account {
	m.accounts.mu.Lock()
	defer m.accounts.mu.Unlock()
	a := m.accounts.list[relay]
	if a == nil {
		a = &account{
			letters:  map[string]uint64{},
			delivery: m.delivery.WithLabelValues(relay), publish: m.publish.WithLabelValues(relay),
			delay: m.delay.WithLabelValues(relay), waited: m.waited.WithLabelValues(relay),
		}
		for _, code := range letterCodes {
			a.letters[code] = 0
		}
		m.accounts.list[relay] = a
	}
	a.mu.Lock()
	a.size = int64(places)
	a.mu.Unlock()
	return a
}

func (m *metrics) committed(d time.Duration, facts int) {
	m.commit.Observe(d.Seconds())
	m.commitFacts.Add(float64(facts))
}

// The results of a reload.
const (
	reloadApplied = "applied"
	reloadRefused = "refused"
)

// reloaded counts a reload of the configuration.
func (m *metrics) reloaded(applied bool, now time.Time) {
	if !applied {
		m.reloads.WithLabelValues(reloadRefused).Inc()
		m.reloadGood.Set(0)
		return
	}
	m.reloads.WithLabelValues(reloadApplied).Inc()
	m.reloadGood.Set(1)
	m.reloadTime.Set(float64(now.UnixMilli()) / 1000)
}

// watch adds the size of the dead letters.
func (m *metrics) watch(size func() (bytes int64, letters int)) {
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "eiffelbridge_dead_letters_bytes", Help: "Size of the dead letter file."},
			func() float64 { b, _ := size(); return float64(b) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "eiffelbridge_dead_letters_waiting", Help: "Dead letters that were neither replayed nor dropped."},
			func() float64 { _, n := size(); return float64(n) }),
	)
}
