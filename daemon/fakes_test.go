package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/eiffelbridge/eiffelbridge/daemon/deadletters"
	"github.com/eiffelbridge/eiffelbridge/daemon/ledger"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
	"github.com/eiffelbridge/eiffelbridge/translate"
	records "github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// fakeClock stands still until it is moved.
type fakeClock struct {
	mu     sync.Mutex
	now    time.Time
	timers []*fakeTimer
}

type fakeTimer struct {
	clock *fakeClock
	at    time.Time
	c     chan time.Time
}

func newFakeClock() *fakeClock {
	return &fakeClock{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
}

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) NewTimer(d time.Duration) Timer {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &fakeTimer{c, c.now.Add(d), make(chan time.Time, 1)}
	if d <= 0 {
		t.c <- c.now
	} else {
		c.timers = append(c.timers, t)
	}
	return t
}

func (c *fakeClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	c.timers = slices.DeleteFunc(c.timers, func(t *fakeTimer) bool {
		if t.at.After(c.now) {
			return false
		}
		t.c <- c.now
		return true
	})
}

// setBack moves the hands back; timers go on as they were.
func (c *fakeClock) setBack(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(-d)
	for _, t := range c.timers {
		t.at = t.at.Add(-d)
	}
}

func (t *fakeTimer) C() <-chan time.Time { return t.c }

func (t *fakeTimer) Stop() bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	n := len(t.clock.timers)
	t.clock.timers = slices.DeleteFunc(t.clock.timers, func(o *fakeTimer) bool { return o == t })
	return len(t.clock.timers) < n
}

// fakeSource delivers what a test hands it.
type fakeSource struct {
	ready   chan struct{}
	handler transport.Handler
	open    sync.WaitGroup
	fail    error // Receive returns it at once
}

func newFakeSource() *fakeSource { return &fakeSource{ready: make(chan struct{})} }

func (f *fakeSource) Receive(ctx context.Context, handle transport.Handler) error {
	if f.fail != nil {
		return f.fail
	}
	f.handler = handle
	close(f.ready)
	<-ctx.Done()
	f.open.Wait()
	return nil
}

func (f *fakeSource) Health() error { return nil }
func (f *fakeSource) Close() error  { return nil }

// deliver hands an event over; the settlement comes on the channel.
func (f *fakeSource) deliver(text string) chan transport.Settlement {
	out, err := f.try(context.Background(), text)
	if err != nil {
		panic(err)
	}
	return out
}

// replay is deliver for an event that comes from the dead letters.
func (f *fakeSource) replay(text string) chan transport.Settlement {
	out, err := f.tryWith(context.Background(), text, map[string]string{transport.ReplayExtension: "letter"})
	if err != nil {
		panic(err)
	}
	return out
}

func (f *fakeSource) try(ctx context.Context, text string) (chan transport.Settlement, error) {
	return f.tryWith(ctx, text, map[string]string{"traceparent": "trace", "other": "x"})
}

func (f *fakeSource) tryWith(ctx context.Context, text string, extensions map[string]string) (chan transport.Settlement, error) {
	<-f.ready
	out := make(chan transport.Settlement, 2)
	f.open.Add(1)
	err := f.handler(ctx, transport.Delivery{
		Message: transport.Message{Data: []byte(text), Extensions: extensions},
		Settle: func(s transport.Settlement) {
			out <- s
			f.open.Done()
		},
	})
	if err != nil {
		f.open.Done()
	}
	return out, err
}

// fakeSink notes what is published; fate decides what becomes of each message. A held sink answers when the test says.
type fakeSink struct {
	ordered bool

	mu     sync.Mutex
	fate   func(m transport.Message) error
	hold   bool
	held   []func()
	log    []transport.Message // every message, in the order in which it arrived
	good   []transport.Message // those that became durable
	closed bool
}

func (f *fakeSink) Publish(ctx context.Context, messages []transport.Message, done func(int, error)) {
	for i, m := range messages {
		f.mu.Lock()
		f.log = append(f.log, m)
		answer := func() {
			f.mu.Lock()
			var err error
			if f.closed {
				err = errors.New("closed")
			} else if f.fate != nil {
				err = f.fate(m)
			}
			if err == nil {
				f.good = append(f.good, m)
			}
			f.mu.Unlock()
			done(i, err)
		}
		if f.hold {
			f.held = append(f.held, answer)
			f.mu.Unlock()
			continue
		}
		f.mu.Unlock()
		answer()
	}
}

func (f *fakeSink) Ordered() bool { return f.ordered }
func (f *fakeSink) Health() error { return nil }

func (f *fakeSink) Close(ctx context.Context) error {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.release()
	return nil
}

// holdOn keeps the answers back until release.
func (f *fakeSink) holdOn() {
	f.mu.Lock()
	f.hold = true
	f.mu.Unlock()
}

// release answers what is held and holds nothing any more.
func (f *fakeSink) release() {
	f.mu.Lock()
	held := f.held
	f.held, f.hold = nil, false
	f.mu.Unlock()
	for _, answer := range held {
		answer()
	}
}

func (f *fakeSink) ids() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []string
	for _, m := range f.log {
		out = append(out, m.ID)
	}
	return out
}

func (f *fakeSink) texts() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []string
	for _, m := range f.log {
		out = append(out, string(m.Data))
	}
	return out
}

func (f *fakeSink) setFate(fate func(transport.Message) error) {
	f.mu.Lock()
	f.fate = fate
	f.mu.Unlock()
}

// fakeLetters keeps letters in memory.
type fakeLetters struct {
	mu   sync.Mutex
	list []deadletters.Letter
	fail error
	gate chan struct{} // Append waits until it is closed
}

func (f *fakeLetters) Append(ctx context.Context, l deadletters.Letter) error {
	f.mu.Lock()
	gate := f.gate
	f.mu.Unlock()
	if gate != nil {
		<-gate
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return f.fail
	}
	f.list = append(f.list, l)
	return nil
}

func (f *fakeLetters) all() []deadletters.Letter {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.list)
}

// fakeStore is a ledger that can be held, broken and cut off.
type fakeStore struct {
	ledger.Store
	mu       sync.Mutex
	batches  []ledger.Batch
	gate     chan struct{} // Commit waits until it is closed
	entered  chan struct{} // gets one for each Commit
	readErr  error
	fail     func(n int) error // of the n-th commit
	lost     atomic.Bool
	commitNo int
}

func newFakeStore() *fakeStore {
	return &fakeStore{Store: ledger.NewMemory(), entered: make(chan struct{}, 1000)}
}

func (f *fakeStore) Read(ctx context.Context, q []records.Query) ([]records.Record, error) {
	f.mu.Lock()
	err := f.readErr
	f.mu.Unlock()
	if f.lost.Load() {
		err = errors.New("the process is gone")
	}
	if err != nil {
		return nil, err
	}
	return f.Store.Read(ctx, q)
}

func (f *fakeStore) Commit(ctx context.Context, b ledger.Batch) error {
	select {
	case f.entered <- struct{}{}:
	default:
	}
	f.mu.Lock()
	gate := f.gate
	f.commitNo++
	n, fail := f.commitNo, f.fail
	f.mu.Unlock()
	if gate != nil {
		<-gate
	}
	if fail != nil {
		if err := fail(n); err != nil {
			return err
		}
	}
	if f.lost.Load() {
		return errors.New("the process is gone")
	}
	if err := f.Store.Commit(ctx, b); err != nil {
		return err
	}
	f.mu.Lock()
	f.batches = append(f.batches, b)
	f.mu.Unlock()
	return nil
}

func (f *fakeStore) Close() error { return nil }

func (f *fakeStore) setReadErr(err error) {
	f.mu.Lock()
	f.readErr = err
	f.mu.Unlock()
}

// fakeTranslator appends every event to the line of its subject, and says in its output behind which entry it stands.
// The event's id may carry commands behind a bar: "a|panic", "a|invalid", "a|drop", "a|learn", "a|anchor", "a|needs=other" (the
// line of another subject must not be empty), "a|reads=other" (it looks at that line), "a|many=3".
type fakeTranslator struct{ calls atomic.Int64 }

func lineQuery(subject string) records.Query {
	return records.Query{Kind: records.LineFact, Key: fmt.Sprintf(`["","%s","","env"]`, subject)}
}

// historyOf is the history of a subject as the facts know it; what they lack is noted in need.
func historyOf(facts *records.Facts, subject string, need *[]records.Query) *records.History {
	h, err := records.OpenLine(func(q records.Query) []byte {
		record, ok := facts.Get(q)
		if !ok {
			*need = append(*need, q)
		}
		return record
	}, lineQuery(subject).Key)
	if err != nil {
		panic(err)
	}
	return h
}

func (f *fakeTranslator) Translate(in translate.Event, facts *records.Facts) (translate.Result, error) {
	f.calls.Add(1)
	id, commands, _ := strings.Cut(in.ID, "|")
	var needs, reads string
	many := 1
	for _, c := range strings.Split(commands, "|") {
		name, value, _ := strings.Cut(c, "=")
		switch name {
		case "panic":
			panic("told to")
		case "invalid":
			return translate.Result{}, &translate.EventError{Code: translate.CodeInvalid, ID: in.ID, Type: in.Type, Pointer: "/x", Message: "told to"}
		case "needs":
			needs = value
		case "reads":
			reads = value
		case "many":
			fmt.Sscan(value, &many)
		}
	}
	if strings.Contains(commands, "bare") { // it neither reads nor learns
		return translate.Result{Events: []translate.Event{{Protocol: translate.Eiffel, ID: id, Subject: in.Subject, Time: in.Time, JSON: fmt.Appendf(nil, `{"id":%q}`, id)}}}, nil
	}
	own := records.Stamp{Time: in.Time, ID: id}
	var need []records.Query
	lines := map[string]*records.History{}
	var after [3]string // the entries behind which it stands
	for i, subject := range []string{in.Subject, needs, reads} {
		if i > 0 && subject == "" {
			continue
		}
		lines[subject] = historyOf(facts, subject, &need)
		last, _ := lines[subject].LastBefore(&records.Subject{}, own)
		after[i] = last.ID
	}
	entry := records.Entry{Stamp: own, Artifact: "pkg:generic/" + id + "@1"}
	result := translate.Result{Learned: lines[in.Subject].Append(nil, entry)}
	if len(need) > 0 {
		return translate.Result{Need: need}, nil
	}
	if strings.Contains(commands, "drop") {
		result.Returning = translate.ReturningDrop
		return result, nil
	}
	if strings.Contains(commands, "learn") {
		return result, nil
	}
	text := fmt.Sprintf(`{"id":%q,"behind":%q`, id, after[0])
	if reads != "" {
		text += fmt.Sprintf(`,"saw":%q`, after[2])
	}
	if needs != "" {
		if lines[needs].Empty() {
			result.Missing = []translate.Missing{{Query: lineQuery(needs), Want: "CAUSE", Name: needs}}
		}
		text += fmt.Sprintf(`,"needed":%q`, after[1])
	}
	if strings.Contains(commands, "anchor") {
		result.Events = append(result.Events, translate.Event{Protocol: translate.Eiffel, ID: "anchor-" + id, Synthesized: true, JSON: []byte(`{"anchor":true}`)})
	}
	for i := range many {
		out := id
		if i > 0 {
			out = fmt.Sprintf("%s.%d", id, i)
		}
		result.Events = append(result.Events, translate.Event{Protocol: translate.Eiffel, ID: out, Subject: in.Subject, Time: in.Time, JSON: []byte(text + "}")})
	}
	return result, nil
}

var eventTime atomic.Int64

// event makes a CDEvent; a later call makes a later event.
func event(id, subject string) string { return eventAt(id, subject, eventTime.Add(1)) }

func eventAt(id, subject string, ms int64) string {
	return fmt.Sprintf(`{"context":{"id":%q,"source":"/s","type":"dev.cdevents.service.deployed.0.3.0","timestamp":%q},"subject":{"id":%q}}`,
		id, time.UnixMilli(ms).UTC().Format(time.RFC3339Nano), subject)
}

// rig is a daemon with one relay over fakes.
type rig struct {
	t       *testing.T
	source  *fakeSource
	sink    *fakeSink
	letters *fakeLetters
	store   *fakeStore
	clock   *fakeClock
	tr      *fakeTranslator
	log     *slog.Logger // nil: what RELAY_TEST_LOG says
	tracer  trace.TracerProvider
	d       *Daemon
}

func newRig(t *testing.T, ordered bool, change func(*RelaySettings)) *rig {
	t.Helper()
	g := &rig{t: t, sink: &fakeSink{ordered: ordered}, letters: &fakeLetters{}, store: newFakeStore(), clock: newFakeClock(), tr: &fakeTranslator{}}
	g.start(change)
	t.Cleanup(func() { g.stop() })
	return g
}

func (g *rig) start(change func(*RelaySettings)) {
	g.t.Helper()
	g.source = newFakeSource()
	g.sink.mu.Lock()
	g.sink.closed = false
	g.sink.mu.Unlock()
	r := DefaultRelay()
	r.Name, r.From, r.To, r.Translate, r.Translator = "r", "in", "out", translate.Eiffel, g.tr
	if change != nil {
		change(&r)
	}
	log := slog.New(slog.DiscardHandler)
	if os.Getenv("RELAY_TEST_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	if g.log != nil {
		log = g.log
	}
	d, err := New(Settings{
		Sources: map[string]transport.Source{"in": g.source}, Sinks: map[string]transport.Sink{"out": g.sink},
		Relays: []RelaySettings{r}, Ledger: g.store, Letters: g.letters, Clock: g.clock, Logger: log,
		Tracer: g.tracer,
	})
	if err != nil {
		g.t.Fatal(err)
	}
	g.d = d
	d.quiet = 20 * time.Millisecond
	if err := d.Start(context.Background()); err != nil {
		g.t.Fatal(err)
	}
}

func (g *rig) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	_ = g.d.Shutdown(ctx)
}

// patience is how long a test waits for what must come.
const patience = 10 * time.Second

func want(t *testing.T, c chan transport.Settlement, outcome transport.Outcome) transport.Settlement {
	t.Helper()
	select {
	case s := <-c:
		if s.Outcome != outcome {
			t.Fatalf("settled %d (%v), want %d", s.Outcome, s.Err, outcome)
		}
		return s
	case <-time.After(patience):
		t.Fatalf("not settled, want %d", outcome)
	}
	return transport.Settlement{}
}

// wantOpen gives what must not happen a moment to happen.
func wantOpen(t *testing.T, c chan transport.Settlement) {
	t.Helper()
	select {
	case s := <-c:
		t.Fatalf("settled %d (%v) too early", s.Outcome, s.Err)
	case <-time.After(20 * time.Millisecond):
	}
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if f() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}

func equal(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("got  %q\nwant %q", got, want)
	}
}
