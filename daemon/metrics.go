package daemon

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what Prometheus may ask for, in a registry of their own.
type metrics struct {
	registry    *prometheus.Registry
	events      *prometheus.CounterVec
	joined      *prometheus.CounterVec
	published   *prometheus.CounterVec
	deadLetters *prometheus.CounterVec
	returning   *prometheus.CounterVec
	retries     *prometheus.CounterVec
	parked      *prometheus.GaugeVec
	inFlight    *prometheus.GaugeVec
	delivery    *prometheus.HistogramVec
	commit      prometheus.Histogram
	commitFacts prometheus.Counter
	reloads     *prometheus.CounterVec
	reloadGood  prometheus.Gauge
	reloadTime  prometheus.Gauge
}

func newMetrics() *metrics {
	m := &metrics{registry: prometheus.NewRegistry()}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		m.registry.MustRegister(c)
		return c
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
		m.registry.MustRegister(g)
		return g
	}
	m.events = counter("eiffelbridge_events_total",
		"Events by what became of them: translated, learned, dropped, parked, dead_letter or retried.", "relay", "outcome")
	m.joined = counter("eiffelbridge_redeliveries_joined_total",
		"Deliveries of an event that was in flight or parked already.", "relay")
	m.published = counter("eiffelbridge_published_total", "Events that a sink made durable, repetitions included.", "relay")
	m.deadLetters = counter("eiffelbridge_dead_letters_total", "Events put into the dead letters.", "relay", "code")
	m.returning = counter("eiffelbridge_returning_total",
		"Events that came round: dropped, or restored as their original.", "relay", "action")
	m.retries = counter("eiffelbridge_retries_total", "Publish attempts that failed and are repeated.", "relay")
	m.parked = gauge("eiffelbridge_parked", "Events that wait for something they refer to.", "relay")
	m.inFlight = gauge("eiffelbridge_in_flight", "Events that were taken and are not settled.", "relay")
	m.delivery = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "eiffelbridge_delivery_seconds", Help: "From taking a delivery to accepting it.",
		Buckets: prometheus.ExponentialBuckets(0.0005, 2, 17),
	}, []string{"relay"})
	m.commit = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "eiffelbridge_ledger_commit_seconds", Help: "How long a commit of the ledger took.",
		Buckets: prometheus.ExponentialBuckets(0.0001, 2, 16),
	})
	m.commitFacts = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "eiffelbridge_ledger_facts_total", Help: "Facts committed to the ledger."})
	m.reloads = counter("eiffelbridge_config_reloads_total", "Reloads of the configuration: applied or refused.", "result")
	m.reloadGood = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "eiffelbridge_config_last_reload_successful", Help: "1 if the last reload of the configuration was applied, or there was none."})
	m.reloadTime = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "eiffelbridge_config_last_reload_success_timestamp_seconds", Help: "When the configuration was last reloaded; 0 if never."})
	m.reloadGood.Set(1)
	m.registry.MustRegister(m.delivery, m.commit, m.commitFacts, m.reloadGood, m.reloadTime)
	return m
}

func (m *metrics) event(r *relay, outcome string) {
	m.events.WithLabelValues(r.settings.Name, outcome).Inc()
}

func (m *metrics) dead(r *relay, code string) {
	m.deadLetters.WithLabelValues(r.settings.Name, code).Inc()
}

func (m *metrics) took(r *relay, d time.Duration) {
	m.delivery.WithLabelValues(r.settings.Name).Observe(d.Seconds())
}

func (m *metrics) committed(d time.Duration, facts int) {
	m.commit.Observe(d.Seconds())
	m.commitFacts.Add(float64(facts))
}

// reloaded counts a reload of the configuration.
func (m *metrics) reloaded(applied bool, now time.Time) {
	if !applied {
		m.reloads.WithLabelValues("refused").Inc()
		m.reloadGood.Set(0)
		return
	}
	m.reloads.WithLabelValues("applied").Inc()
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
