package daemon

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/eiffelbridge/eiffelbridge/plugins/host"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// outcome is what became of a delivery, or of an event that nobody waited for any more.
type outcome byte

const (
	undecided outcome = iota
	outcomeDelivered
	outcomeLearned
	outcomeDropped
	outcomeParked
	outcomeDeadLettered
	outcomeJoined
	outcomeRetried
	outcomeKept
	outcomes
)

func (o outcome) String() string {
	return [...]string{"undecided", "delivered", "learned", "dropped", "parked", "dead_lettered", "joined", "retried", "kept"}[o]
}

// The outcomes that each counter knows. Those of unparked are ends of events that were parked.
var (
	settledOutcomes  = []outcome{outcomeDelivered, outcomeLearned, outcomeDropped, outcomeParked, outcomeDeadLettered, outcomeJoined, outcomeRetried}
	lateOutcomes     = []outcome{outcomeDelivered, outcomeLearned, outcomeDropped, outcomeParked, outcomeDeadLettered}
	unparkedOutcomes = []outcome{outcomeDelivered, outcomeLearned, outcomeDropped, outcomeDeadLettered, outcomeKept}
)

// letterCodes are the codes of dead letters that show as 0 before the first. A source may have others.
var letterCodes = []string{
	translate.CodeNotJSON, translate.CodeNotEvent, translate.CodeUnknownType, translate.CodeUnknownVersion, translate.CodeInvalid, translate.CodeTime,
	translate.CodeNotInSpec, translate.CodeNotInEdition, translate.CodeNoMapping, translate.CodeMapping, translate.CodeUnresolved,
	translate.CodeInvalidOutput, translate.CodeIDTooLong, translate.CodeTooCostly, transport.CodeTooLarge, CodeUndeliverable, CodePanic, CodeTranslator, CodeDamaged, CodeWrongProtocol,
	host.CodePluginFailed, host.CodePluginUnavailable,
}

// account is what one relay counts. It lives as long as the daemon. All numbers change under one lock and are read under it, so that
// what one scrape shows belongs together. It is safe for concurrent use.
type account struct {
	mu       sync.Mutex
	received uint64
	refused  uint64
	settled  [outcomes]uint64
	late     [outcomes]uint64
	unparked [outcomes]uint64
	letters  map[string]uint64

	parkedNew, parkedFound uint64
	parkedNow              int64

	outputs, synthesized, restored uint64
	published, retries             uint64

	first, last *taken // deliveries that are not settled, in the order in which they came
	open        int64
	used, size  int64 // places

	delivery, publish, delay, waited prometheus.Observer
}

// taken is a delivery that a relay took, until it is settled.
type taken struct {
	transport.Delivery
	at         time.Time
	prev, next *taken
	trace      *eventTrace
}

// take counts a delivery that was taken at a time.
func (a *account) take(d transport.Delivery, at time.Time) *taken {
	t := &taken{Delivery: d, at: at}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.received++
	a.open++
	a.used++
	if t.prev = a.last; t.prev == nil {
		a.first = t
	} else {
		t.prev.next = t
	}
	a.last = t
	return t
}

// refuse counts a delivery that was not taken.
func (a *account) refuse() {
	a.mu.Lock()
	a.refused++
	a.mu.Unlock()
}

// place counts places in the relay that are used or given back.
func (a *account) place(by int) {
	a.mu.Lock()
	a.used += int64(by)
	a.mu.Unlock()
}

// settle counts deliveries that are about to be answered: the first with the outcome, the others as joined to it; all of them as
// handed back if that is the outcome.
func (a *account) settle(list []*taken, o outcome) {
	a.mu.Lock()
	a.settleLocked(list, o)
	a.mu.Unlock()
}

func (a *account) settleLocked(list []*taken, o outcome) {
	for i, t := range list {
		if i > 0 && o != outcomeRetried {
			a.settled[outcomeJoined]++
		} else {
			a.settled[o]++
		}
		a.open--
		if t.prev == nil {
			a.first = t.next
		} else {
			t.prev.next = t.next
		}
		if t.next == nil {
			a.last = t.prev
		} else {
			t.next.prev = t.prev
		}
		t.prev, t.next = nil, nil
	}
}

// end counts the end of an event, and of the deliveries that waited for it. An event that comes to nothing, since its source has
// it again, counts as undecided.
func (a *account) end(t *transaction, o outcome) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case o == outcomeRetried || o == undecided:
		a.settleLocked(t.settles, outcomeRetried)
		return
	case t.resumed:
		a.settleLocked(t.settles, outcomeJoined)
		if o == outcomeParked {
			return // it waits on
		}
		a.unparked[o]++
	case len(t.settles) > 0:
		a.settleLocked(t.settles, o)
	default:
		a.late[o]++
	}
	switch o {
	case outcomeParked:
		a.parkedNew++
	case outcomeDeadLettered:
		a.letter(t.letter.Code)
	default:
		a.outputs += uint64(len(t.outputs))
		a.synthesized += uint64(t.synthesized)
		if t.returns == translate.ReturningRestore {
			a.restored++
		}
	}
}

// lateLetter counts an event whose letter was written after its deliveries had been handed back.
func (a *account) lateLetter(code string) {
	a.mu.Lock()
	a.late[outcomeDeadLettered]++
	a.letter(code)
	a.mu.Unlock()
}

// maxCodes bounds the codes that are counted apart: those of a source that is a plugin are the plugin's choice.
const maxCodes = 100

func (a *account) letter(code string) {
	if _, known := a.letters[code]; !known && len(a.letters) >= maxCodes {
		code = "other"
	}
	a.letters[code]++
}

// park follows what the ledger has parked.
func (a *account) park(by int) {
	a.mu.Lock()
	a.parkedNow += int64(by)
	a.mu.Unlock()
}

// found counts a parked event that the ledger had.
func (a *account) found() {
	a.mu.Lock()
	a.parkedFound++
	a.parkedNow++
	a.mu.Unlock()
}

// keep counts a parked event that the relay leaves in the ledger.
func (a *account) keep() {
	a.mu.Lock()
	a.unparked[outcomeKept]++
	a.parkedNow--
	a.mu.Unlock()
}

// sent counts what became of one message at the sink.
func (a *account) sent() {
	a.mu.Lock()
	a.published++
	a.mu.Unlock()
}

// retry counts an attempt to publish that failed and is repeated.
func (a *account) retry() {
	a.mu.Lock()
	a.retries++
	a.mu.Unlock()
}

// series is one metric of accounts.
type series struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(a *account, now time.Time, give func(v float64, label string))
}

// accountSeries are the metrics that each relay has.
func accountSeries() []series {
	var list []series
	add := func(kind prometheus.ValueType, name, help, label string, value func(*account, time.Time, func(float64, string))) {
		labels := []string{"relay"}
		if label != "" {
			labels = append(labels, label)
		}
		list = append(list, series{prometheus.NewDesc("eiffelbridge_"+name, help, labels, nil), kind, value})
	}
	counter := func(name, help string, value func(a *account) uint64) {
		add(prometheus.CounterValue, name, help, "", func(a *account, _ time.Time, give func(float64, string)) { give(float64(value(a)), "") })
	}
	gauge := func(name, help string, value func(a *account) int64) {
		add(prometheus.GaugeValue, name, help, "", func(a *account, _ time.Time, give func(float64, string)) { give(float64(value(a)), "") })
	}
	byOutcome := func(name, help string, of []outcome, counts func(a *account) *[outcomes]uint64) {
		add(prometheus.CounterValue, name, help, "outcome", func(a *account, _ time.Time, give func(float64, string)) {
			for _, o := range of {
				give(float64(counts(a)[o]), o.String())
			}
		})
	}
	counter("received_total", "Deliveries that were taken.", func(a *account) uint64 { return a.received })
	counter("refused_total", "Deliveries that were not taken, for want of room or since the relay was stopping; the sender has them.",
		func(a *account) uint64 { return a.refused })
	byOutcome("settled_total", "Deliveries that were answered, by what became of their event: delivered, learned (nothing to publish), "+
		"dropped (it came from the other side), parked (it waits, durably), dead_lettered; joined to an event that was in flight or parked already; "+
		"retried (handed back).", settledOutcomes, func(a *account) *[outcomes]uint64 { return &a.settled })
	byOutcome("late_total", "Events that came to an end after their deliveries had been handed back.", lateOutcomes,
		func(a *account) *[outcomes]uint64 { return &a.late })
	gauge("in_flight", "Deliveries that were taken and not answered.", func(a *account) int64 { return a.open })
	add(prometheus.GaugeValue, "oldest_in_flight_seconds", "For how long the oldest delivery in flight has been there; 0 if there is none.", "",
		func(a *account, now time.Time, give func(float64, string)) {
			age := 0.0
			if a.first != nil {
				age = max(0, now.Sub(a.first.at).Seconds())
			}
			give(age, "")
		})
	gauge("places", "How many events the relay has room for (max_in_flight).", func(a *account) int64 { return a.size })
	gauge("places_used", "Places that are taken: by deliveries, by parked events that go on, and by events at the sink whose deliveries were handed back.",
		func(a *account) int64 { return a.used })
	counter("parked_total", "Events that were parked, durably, to wait for what they refer to.", func(a *account) uint64 { return a.parkedNew })
	counter("parked_found_total", "Parked events that the relay found in the ledger when it started.", func(a *account) uint64 { return a.parkedFound })
	byOutcome("unparked_total", "Parked events that came to an end, by how they ended; kept: they stay in the ledger, since the relay stopped.",
		unparkedOutcomes, func(a *account) *[outcomes]uint64 { return &a.unparked })
	gauge("parked", "Events that are parked.", func(a *account) int64 { return a.parkedNow })
	add(prometheus.CounterValue, "dead_letters_total", "Events that ended in the dead letters, by the code of the reason; beyond a hundred codes, other.", "code",
		func(a *account, _ time.Time, give func(float64, string)) {
			for code, n := range a.letters {
				give(float64(n), code)
			}
		})
	counter("outputs_total", "Events that inputs became; repetitions of an attempt are not counted.", func(a *account) uint64 { return a.outputs })
	counter("synthesized_total", "Those outputs that the input has no counterpart of, such as anchors.", func(a *account) uint64 { return a.synthesized })
	counter("restored_total", "Events that came round and were given out as their original.", func(a *account) uint64 { return a.restored })
	counter("published_total", "Events that the sink made durable, repetitions included.", func(a *account) uint64 { return a.published })
	counter("retries_total", "Attempts to publish that failed and are repeated.", func(a *account) uint64 { return a.retries })
	return list
}

// accounts are the accounts of all relays, for Prometheus.
type accounts struct {
	clock  Clock
	series []series

	mu   sync.Mutex
	list map[string]*account
}

// Describe implements [prometheus.Collector].
func (l *accounts) Describe(ch chan<- *prometheus.Desc) {
	for _, s := range l.series {
		ch <- s.desc
	}
}

// Collect implements [prometheus.Collector].
func (l *accounts) Collect(ch chan<- prometheus.Metric) {
	now := l.clock.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, a := range l.list {
		for _, m := range a.collect(l.series, name, now) {
			ch <- m
		}
	}
}

func (a *account) collect(list []series, relay string, now time.Time) []prometheus.Metric {
	out := make([]prometheus.Metric, 0, 64)
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range list {
		s.value(a, now, func(v float64, label string) {
			labels := []string{relay}
			if label != "" {
				labels = append(labels, label)
			}
			out = append(out, prometheus.MustNewConstMetric(s.desc, s.kind, v, labels...))
		})
	}
	return out
}
