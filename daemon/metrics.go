package daemon

import (
	"math"
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
	m.registry.MustRegister(m.delivery, m.commit, m.commitFacts)
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

// watch adds the size of the dead letters; less than 0 letters are an unknown number.
func (m *metrics) watch(size func() (bytes int64, letters int)) {
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "eiffelbridge_dead_letters_bytes", Help: "Size of the dead letter file; 0 where there is none."},
			func() float64 { b, _ := size(); return float64(b) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "eiffelbridge_dead_letters_waiting", Help: "Dead letters that were neither replayed nor dropped."},
			func() float64 {
				_, n := size()
				if n < 0 {
					return math.NaN()
				}
				return float64(n)
			}),
	)
}
