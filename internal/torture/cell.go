//go:build unix

package torture

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/eiffelbridge/eiffelbridge/internal/rabbittest"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// cell is a fault of the matrix.
type cell struct {
	name string
	// directions in which the fault means something; none: both.
	directions []Direction
	none       string // why the fault means nothing in the other
	process    string // what is hit, if that is not the relay

	ownBroker        bool // the fault is one of the broker: it gets one of its own
	brokerLink       bool // the relay reaches the broker through a proxy
	sinkLink         bool // the relay reaches the HTTP sink, or the sender the relay, through a proxy
	transportPlugins bool // the transports are in processes of their own

	prepare   func(*run) error     // after the workload is made and before anything is started
	configure func(*configuration) // changes the relay's configuration
	load      func(*run) load      // in place of the ordinary senders
	fault     func(context.Context, *run) error
	verify    func(context.Context, *run) error // what else must be true in the end

	rate  int  // events per second, in place of the default
	small bool // part of the short form
}

// meansSomething tells whether the fault exists in a direction.
func (c *cell) meansSomething(d Direction) bool {
	return len(c.directions) == 0 || slices.Contains(c.directions, d)
}

// configuration is the relay's, as the cell changes it.
type configuration struct {
	web, bus, http string // members of the transports, each in a line
	relay          string // more members of the relay, each with a comma in front
	ledger         string // the folder
	letters        string
}

// run is a cell under way.
type run struct {
	*cell
	direction Direction
	options   *Options
	random    *rand.Rand
	dir       string
	binary    string
	plugins   string // the folder of built plugins
	workload  *workload
	server    *rabbittest.Server
	exchange  string
	broker    *link // nil: direct
	far       *link // between relay and sink, or sender and relay; nil: direct
	relay     *relay
	sink      *sink    // to_cdevents
	watcher   *watcher // to_eiffel
	recorder  *recorder
	load      load
	pacer     *pacer
	model     *model
	config    configuration

	began, faulted, healed      time.Time
	episodes                    []time.Time // when each fault was over
	evidence                    []string
	hit                         string
	failuresBefore              int64
	goroutines, goroutinesAfter int             // 0: not known
	torn                        map[*input]bool // of units that lost an event before the relay saw it: only their ids are compared
	queueDeleted                time.Time
	thrown                      int          // messages that were in it, as the broker said
	alarmed                     atomic.Int64 // how often the sender was told of an alarm
	parked                      int          // how many were seen parked
	result                      *Result
	clock                       *movedClock        // nil: the machine's, and the relay is a process of its own
	alternative                 translate.Settings // with which events may be translated as well, if it has a catalogue
	again                       int                // events that were sent once more
	atEnd                       []func()           // the last of all
}

// saw adds to the evidence that the fault happened.
func (r *run) saw(format string, args ...any) {
	r.evidence = append(r.evidence, fmt.Sprintf(format, args...))
}

// over notes the end of a fault: recovery is counted from here.
func (r *run) over() { r.episodes = append(r.episodes, time.Now()) }

// execute runs the cell and fills the result.
func (r *run) execute(ctx context.Context) (err error) {
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		return err
	}
	defer func() {
		if err != nil && r.relay != nil {
			r.relay.dump()
			_ = os.WriteFile(filepath.Join(r.dir, "harness.stacks"), stacks(), 0o644)
		}
	}()
	total := r.options.Events
	if r.workload, err = newWorkload(r.direction, total, r.random); err != nil {
		return err
	}
	if r.prepare != nil {
		if err := r.prepare(r); err != nil {
			return err
		}
	}
	closeAll, err := r.setUp()
	defer closeAll()
	if err != nil {
		return err
	}
	if err := r.underLoad(ctx); err != nil {
		return err
	}
	return r.judge(ctx)
}

func stacks() []byte {
	buffer := make([]byte, 4<<20)
	return buffer[:runtime.Stack(buffer, true)]
}

// setUp makes all that stands around the relay, and its configuration.
func (r *run) setUp() (closeAll func(), err error) {
	closers := r.atEnd
	closeAll = func() {
		for _, c := range slices.Backward(closers) {
			c()
		}
	}
	r.recorder = newRecorder()
	if r.relay, err = newRelay(r.binary, r.dir); err != nil {
		return closeAll, err
	}
	if r.clock != nil {
		r.relay.clock = r.clock
	}
	closers = append(closers, r.relay.close)
	if r.brokerLink {
		if r.broker, err = newLink("broker", r.server.Addr()); err != nil {
			return closeAll, err
		}
		closers = append(closers, r.broker.close)
	}
	target := "127.0.0.1:9" // discard: nothing is sent there
	front := r.relay.listen
	switch r.direction {
	case ToEiffel:
		if r.watcher, err = newWatcher(r.server.URL(), r.exchange, r.recorder); err != nil {
			return closeAll, err
		}
		closers = append(closers, r.watcher.close)
		if r.sinkLink {
			if r.far, err = newLink("relay", r.relay.listen); err != nil {
				return closeAll, err
			}
			front = r.far.address()
		}
	case ToCDEvents:
		if r.sink, err = newSink(r.recorder); err != nil {
			return closeAll, err
		}
		closers = append(closers, r.sink.close)
		target = r.sink.address
		if r.sinkLink {
			if r.far, err = newLink("sink", r.sink.address); err != nil {
				return closeAll, err
			}
			target = r.far.address()
		}
	}
	if r.far != nil {
		closers = append(closers, r.far.close)
	}
	r.config = configuration{
		ledger: filepath.Join(r.dir, "ledger"), letters: r.relay.deadLetters(),
		web: fmt.Sprintf("    listen: %q\n", r.relay.listen), http: fmt.Sprintf("    target: %q\n", "http://"+target+"/"),
		// Without single_active_consumer a new connection gets what follows on what the broker has not taken back from the old
		// one yet: the order of the queue is lost when either end of the connection dies.
		bus: fmt.Sprintf("    url: %q\n    exchange: %s\n    queue: %s\n    single_active_consumer: true\n", r.brokerURL(), r.exchange, r.queue()),
	}
	if r.configure != nil {
		r.configure(&r.config)
	}
	if err := r.writeConfig(); err != nil {
		return closeAll, err
	}
	switch {
	case r.cell.load != nil:
		r.load = r.cell.load(r)
	case r.direction == ToEiffel:
		r.load = newHTTPLoad(front, 48)
	default:
		r.load = newAMQPLoad(r.server.URL(), r.exchange, 32)
	}
	closers = append(closers, r.load.close)
	return closeAll, nil
}

// queue is what the relay consumes.
func (r *run) queue() string { return r.exchange + ".in" }

// brokerURL is the broker as the relay reaches it.
func (r *run) brokerURL() string {
	if r.broker == nil {
		return r.server.URL()
	}
	u, err := url.Parse(r.server.URL())
	if err != nil {
		panic(err) // the broker's own
	}
	u.Host = r.broker.address()
	return u.String()
}

func (r *run) writeConfig() error {
	c := &r.config
	kind := func(plugin, driver, members string) string {
		if !r.transportPlugins {
			return "    type: " + driver + "\n" + members
		}
		return "    type: plugin\n    plugin: " + plugin + "\n    config:\n" + strings.ReplaceAll("\n"+strings.TrimSuffix(members, "\n"), "\n", "\n  ")[1:] + "\n"
	}
	from, to, transports := "web", "bus", "  web:\n"+kind("http", "cloudevents_http", c.web)+"  bus:\n"+kind("amqp", "amqp091", c.bus)
	if r.direction == ToCDEvents {
		from, to, transports = "bus", "http", "  bus:\n"+kind("amqp", "amqp091", c.bus)+"  http:\n"+kind("http", "cloudevents_http", c.http)
	}
	text := fmt.Sprintf(`version: 1
ledger: {type: file, path: %q}
admin: {listen: %q}
dead_letters: {type: file, path: %q}
transports:
%srelays:
  - {name: %s, from: %s, to: %s, translate: %s%s}
%s`, c.ledger, r.relay.admin, c.letters, transports, r.direction, from, to, strings.TrimPrefix(string(r.direction), "to_"), c.relay, r.pluginSections())
	return os.WriteFile(r.relay.config(), []byte(text), 0o600)
}

// underLoad is the ordinary course of a cell: the first third of the load, the fault within the second, and the rest.
func (r *run) underLoad(ctx context.Context) error {
	if err := r.relay.start(ctx); err != nil {
		return err
	}
	rate := r.options.Rate
	if r.rate > 0 {
		rate = r.rate
	}
	r.pacer = newPacer(rate)
	stop := context.AfterFunc(ctx, r.pacer.end)
	defer stop()
	if err := r.warmUp(ctx); err != nil {
		return err
	}
	total := r.workload.total
	r.pacer.allow(2 * total / 3)
	r.began = time.Now()
	r.hit = fmt.Sprintf("eiffelbridge %d", r.relay.pid())
	switch {
	case r.ownBroker:
		r.hit = fmt.Sprintf("%s %s, beside %s", r.process, r.brokerPID(), r.hit)
	case r.process != "":
		r.hit = r.process + " of " + r.hit
	}
	fed := make(chan error, 1)
	go func() { fed <- r.load.feed(ctx, r.pacer, r.workload.units) }()
	if err := r.waitAccepted(ctx, total/3); err != nil {
		r.pacer.end()
		<-fed
		return err
	}
	r.faulted = time.Now()
	before := r.recorder.count()
	r.failuresBefore = r.load.tally().failures()
	var err error
	if r.fault != nil {
		err = r.fault(ctx, r)
	}
	r.healed = time.Now()
	if len(r.episodes) == 0 {
		r.over()
	}
	r.pacer.allow(total)
	if err != nil {
		r.pacer.end()
	}
	if feeding := <-fed; err == nil {
		err = feeding
	}
	if err != nil {
		return fmt.Errorf("%w; %s", err, r.situation())
	}
	// An idle cell proves nothing.
	if before == 0 || before >= r.workload.total {
		return fmt.Errorf("the fault did not hit a relay at work: %d delivered before it", before)
	}
	return nil
}

// brokerPID is the number of the broker's process, as it wrote it down.
func (r *run) brokerPID() string {
	text, err := os.ReadFile(filepath.Join(r.server.Dir(), "node.pid"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// warmUp sends what all else rests on, and counts the goroutines of a relay that has worked and is idle again.
func (r *run) warmUp(ctx context.Context) error {
	r.pacer.allow(len(r.workload.first))
	if err := r.load.feed(ctx, r.pacer, []unit{r.workload.first}); err != nil {
		return err
	}
	r.goroutines = r.settledGoroutines(ctx, 0)
	return nil
}

// settledGoroutines waits until the relay has no more goroutines than allowed, or their number does not fall any more. With
// none allowed it gives the number of an idle relay, which goes up and down a little: the most of the last second.
func (r *run) settledGoroutines(ctx context.Context, allowed int) int {
	r.load.close()
	patience := 2 * time.Second
	if allowed > 0 {
		patience = 20 * time.Second
	}
	var seen []int // ten a second
	least, at := 0, time.Now()
	for {
		n, known := r.relay.goroutines(ctx)
		if !known {
			return least
		}
		seen = append(seen, n)
		if least == 0 || n < least {
			least, at = n, time.Now()
		}
		if least <= allowed {
			return least
		}
		if time.Since(at) > patience || ctx.Err() != nil {
			if allowed > 0 {
				return least
			}
			return slices.Max(seen[max(0, len(seen)-10):])
		}
		_ = sleep(ctx, 100*time.Millisecond)
	}
}

// situation is where everybody stands, for whoever reads of a failure.
func (r *run) situation() string {
	t := r.load.tally()
	t.mu.Lock()
	refusal, broken := t.lastRefusal, t.lastBrokenError
	t.mu.Unlock()
	return fmt.Sprintf("accepted %d, rejected %d, delivered %d; last refusal %q, last broken attempt %q",
		t.accepted.Load(), t.rejected.Load(), r.recorder.count(), refusal, broken)
}

// settled is how many events their senders are done with.
func (r *run) settled() int {
	return int(r.load.tally().accepted.Load() + r.load.tally().rejected.Load())
}

// progress is how many events are through, roughly: senders over HTTP know, those to a queue do not.
func (r *run) progress() int {
	if r.direction == ToEiffel {
		return r.settled()
	}
	return r.recorder.count()
}

func (r *run) waitAccepted(ctx context.Context, n int) error {
	return r.waitFor(ctx, fmt.Sprintf("%d events to be accepted", n), func() bool { return r.settled() >= n })
}

func (r *run) waitDelivered(ctx context.Context, n int) error {
	return r.waitFor(ctx, fmt.Sprintf("%d deliveries", n), func() bool { return r.recorder.count() >= n })
}

func (r *run) waitFor(ctx context.Context, what string, is func() bool) error {
	for !is() {
		if ctx.Err() != nil {
			return fmt.Errorf("waiting for %s: %w; %s", what, context.Cause(ctx), r.situation())
		}
		_ = sleep(ctx, 5*time.Millisecond)
	}
	return nil
}

// failuresSince is how many attempts of the senders failed since the fault began.
func (r *run) failuresSince() int64 { return r.load.tally().failures() - r.failuresBefore }

var errFault = errors.New("the fault did not happen")
