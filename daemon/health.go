package daemon

import (
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// readiness is the answer of /readyz.
type readiness struct {
	Ready bool                  `json:"ready"`
	Parts map[string]partHealth `json:"parts"`
}

type partHealth struct {
	Ready bool       `json:"ready"`
	Error string     `json:"error,omitempty"`
	Since *time.Time `json:"since,omitempty"` // when a probe or a scrape first found it so; UTC
}

// text is the answer for people: a line for each part that does not work.
func (r readiness) text(w io.Writer) {
	if r.Ready {
		fmt.Fprintln(w, "ready")
		return
	}
	fmt.Fprintln(w, "not ready")
	for _, name := range slices.Sorted(maps.Keys(r.Parts)) {
		if p := r.Parts[name]; !p.Ready {
			fmt.Fprintf(w, "%s, since %s: %s\n", name, p.Since.Format(time.RFC3339), p.Error)
		}
	}
}

// wantsText tells whether a request asks for plain text rather than for JSON, which is the default.
func wantsText(r *http.Request) bool {
	for _, part := range strings.Split(strings.Join(r.Header.Values("Accept"), ","), ",") {
		switch media, _, _ := mime.ParseMediaType(part); media {
		case "text/plain":
			return true
		case "application/json":
			return false
		}
	}
	return false
}

// outages remembers since when parts do not work, as far as somebody asked. It is safe for concurrent use.
type outages struct {
	mu    sync.Mutex
	since map[string]time.Time
}

// note takes the health of every part, and gives since when those that do not work have been found so.
func (o *outages) note(health map[string]error, now time.Time) map[string]time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	since := map[string]time.Time{}
	for part, err := range health {
		if err == nil {
			continue
		}
		since[part] = now.UTC()
		if before, ok := o.since[part]; ok {
			since[part] = before
		}
	}
	o.since = since
	return maps.Clone(since)
}

// readyGauge shows the health of every part.
type readyGauge struct {
	desc   *prometheus.Desc
	health func() map[string]error
}

func newReadyGauge(health func() map[string]error) *readyGauge {
	return &readyGauge{prometheus.NewDesc("eiffelbridge_part_ready",
		"1 while the part works: a source, a sink, a plugin, the ledger, the dead letters; as /readyz has it.", []string{"part"}, nil), health}
}

// Describe implements [prometheus.Collector].
func (g *readyGauge) Describe(ch chan<- *prometheus.Desc) { ch <- g.desc }

// Collect implements [prometheus.Collector].
func (g *readyGauge) Collect(ch chan<- prometheus.Metric) {
	for part, err := range g.health() {
		v := 1.0
		if err != nil {
			v = 0
		}
		ch <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, v, part)
	}
}

// health is [Daemon.Health], and that of the daemon itself while it stops.
func (d *Daemon) health() (map[string]error, map[string]time.Time) {
	health := d.Health()
	if d.receiving.Err() != nil {
		health["daemon"] = errStopped
	}
	return health, d.metrics.outages.note(health, d.clock.Now())
}

func (d *Daemon) ready() (int, readiness) {
	answer, status := readiness{Ready: true, Parts: map[string]partHealth{}}, http.StatusOK
	health, since := d.health()
	for name, err := range health {
		part := partHealth{Ready: err == nil}
		if err != nil {
			at := since[name]
			part.Error, part.Since = err.Error(), &at
			answer.Ready, status = false, http.StatusServiceUnavailable
		}
		answer.Parts[name] = part
	}
	return status, answer
}
