package daemon

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eiffelbridge/eiffelbridge/daemon/deadletters"
	"github.com/eiffelbridge/eiffelbridge/daemon/ledger"
	"github.com/eiffelbridge/eiffelbridge/plugins/host"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
	"github.com/eiffelbridge/eiffelbridge/translate"
	records "github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// sequencer is the heart of the relay; there is one for each ledger, shared by all relays over it.
//
// Every event in flight is a transaction with a place in one sequence. It is translated at its place, with the ledger
// as its predecessors will leave it, and goes stale -> translated -> publishing -> delivered -> committing ->
// finished. Two transactions are tied if they touched the same key of the ledger and one of them wrote it, or if they tell of
// the same subject; the later one then needs the earlier one:
//
//   - it is published after the earlier one is delivered, or behind it where the sink keeps the order and does not fail;
//   - it commits with or after the earlier one;
//   - if the earlier one fails, it becomes stale too, and both are translated anew, in their order.
//
// Ties only point backwards in the sequence, so that nothing waits in a circle.
type sequencer struct {
	store   ledger.Store
	letters Letters
	clock   *steadyClock
	log     *slog.Logger
	metrics *metrics
	tracing *tracing // nil: no traces
	alarms  *alarms
	hush    hush

	maxParked int

	work     context.Context // of everything that runs; ends at the hard stop
	stopWork context.CancelFunc
	running  sync.WaitGroup

	ledgerErr  atomic.Pointer[error] // why the ledger does not work at the moment
	lettersErr atomic.Pointer[error]

	mu       sync.Mutex
	after    []func() // what to do once the lock is free
	next     uint64
	overlay  overlay
	writes   uint64 // how many transactions made so far
	inFlight map[eventKey]*transaction
	all      map[*transaction]struct{} // everything that is not finished
	idle     chan struct{}             // closed while there is nothing

	entering int           // deliveries whose plugins are being asked, which are on their way into the sequence
	stopped  bool          // hard stop: nothing is published or retried any more
	answered chan struct{} // closed and replaced by each answer of a sink after the stop

	keeps bool // what is not settled at the end is kept in left
	left  []leftover

	stale      map[*transaction]struct{}
	blind      []*transaction // in their order
	blindTries int
	blindUntil time.Time

	ready  []*transaction // for the committer
	commit chan struct{}

	parked  map[string]*parkedEvent
	awaited map[records.Query]map[*parkedEvent]struct{}
}

// Letters is where the relay puts what cannot be translated or delivered. Append returns nil once the letter is
// durable, or was so before; the relay calls it again after an error. It is safe for concurrent use. A Health() error is asked for
// /readyz, a Size() (bytes int64, letters int) for the metrics, and a [deadletters.Store] for /deadletters.
type Letters interface {
	Append(ctx context.Context, l deadletters.Letter) error
}

// The codes of dead letters beside those of translate.EventError.
const (
	CodeUndeliverable = "undeliverable"  // the sink can never take what the event became
	CodePanic         = "panic"          // a translator panicked
	CodeTranslator    = "translator"     // a translator broke its contract
	CodeDamaged       = "damaged_record" // a ledger record that the event needs cannot be read
	CodeWrongProtocol = "wrong_protocol" // the event is written in the relay's target protocol already
)

// damagedError says that a ledger record cannot be read.
type damagedError struct {
	query records.Query
	err   error
}

func (e *damagedError) Error() string {
	return fmt.Sprintf("the ledger's %s %s: %v", e.query.Kind, e.query.Key, e.err)
}
func (e *damagedError) Unwrap() error { return e.err }

// panicError is a translator's panic.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("the translator panicked: %v", e.value) }

func newSequencer(store ledger.Store, letters Letters, clock Clock, log *slog.Logger, m *metrics, maxParked int) *sequencer {
	s := &sequencer{
		store: store, letters: letters, clock: &steadyClock{Clock: clock}, log: log, metrics: m, maxParked: maxParked,
		hush:     hush{clock: clock, said: map[string]*said{}},
		overlay:  overlay{},
		inFlight: map[eventKey]*transaction{},
		all:      map[*transaction]struct{}{},
		idle:     make(chan struct{}),
		answered: make(chan struct{}),
		stale:    map[*transaction]struct{}{},
		commit:   make(chan struct{}, 1),
		parked:   map[string]*parkedEvent{},
		awaited:  map[records.Query]map[*parkedEvent]struct{}{},
	}
	close(s.idle)
	s.work, s.stopWork = context.WithCancel(context.Background())
	return s
}

// start begins to commit and to keep time. The sequencer ends what it starts in halt.
func (s *sequencer) start() {
	s.alarms = newAlarms(s.clock)
	s.running.Add(1)
	go s.commitLoop()
}

// unlock lets go of the lock and then does what must not be done under it: settling, which may call back.
func (s *sequencer) unlock() {
	after := s.after
	s.after = nil
	s.mu.Unlock()
	for _, f := range after {
		f()
	}
}

// submit takes a delivery whose event was read into the sequence. It holds a place in the relay, which is given back when the
// transaction ends.
func (s *sequencer) submit(r *relay, d *taken, event translate.Event) {
	s.submitConsulted(r, d, event, nil)
}

// submitConsulted is submit for an event about which plugins were asked.
func (s *sequencer) submitConsulted(r *relay, d *taken, event translate.Event, answers *host.Consultation) {
	s.mu.Lock()
	defer s.unlock()
	key := keyOf(r, event)
	again := isReplay(d.Message)
	// Equal ids with other bytes are another event, whatever the protocols demand; it takes its own way. So does the replay
	// of a dead letter: what becomes of it must not be lost in what becomes of an event that was there before.
	if t := s.inFlight[key]; t != nil && !again && bytes.Equal(t.event.JSON, event.JSON) {
		if len(t.settles) == 0 {
			// Otherwise the deadline of the first that waits holds; each redelivery would put it off.
			s.limit(t)
		}
		t.settles = append(t.settles, d)
		t.slots++
		d.trace.join(t.trace)
		return
	}
	if len(s.parked) > 0 && !again {
		if p := s.parked[parkedKey(r, event)]; p != nil && p.state != arriving {
			r.release(1)
			r.account.delivery.Observe(s.clock.Now().Sub(d.at).Seconds())
			r.account.settle([]*taken{d}, outcomeJoined)
			d.trace.end(outcomeJoined, "", s.clock.Now())
			s.after = append(s.after, func() { d.Settle(transport.Settlement{Outcome: transport.Accepted}) })
			return
		}
	}
	t := &transaction{
		relay: r, event: event, original: d.Message.Data, passed: d.trace.passOn(d.Message.Extensions), trace: d.trace,
		received: d.at, settles: []*taken{d}, slots: 1, answers: answers, again: again,
	}
	s.limit(t)
	s.admit(t)
}

// admit gives a transaction its place in the sequence and begins.
func (s *sequencer) admit(t *transaction) {
	if s.stopped {
		s.enter(t)
		s.finish(t, transport.Settlement{Outcome: transport.Retried, Err: errStopped})
		return
	}
	s.enter(t)
	if key := keyOf(t.relay, t.event); s.inFlight[key] == nil {
		s.inFlight[key] = t
	}
	if len(s.blind) > 0 {
		s.goBlind(t)
		return
	}
	s.translate(t)
	s.advance(t)
}

func (s *sequencer) enter(t *transaction) {
	s.next++
	t.seq = s.next
	s.all[t] = struct{}{}
	s.idleChanged()
}

var errStopped = errors.New("the relay is stopping")

// limit sets how long a delivery may stay open, and sees to it.
func (s *sequencer) limit(t *transaction) {
	after := t.relay.settings.Retry.GiveUpAfter
	if after <= 0 {
		return
	}
	t.settleBy = s.clock.Now().Add(after)
	s.alarms.cancel(t.limit)
	t.limit = s.alarms.at(t.settleBy, func() {
		s.mu.Lock()
		defer s.unlock()
		s.giveUp(t)
	})
}

// giveUp hands a transaction that takes too long back to its source. What is at the sink already cannot be called back:
// such a transaction goes on, and the delivery that the source makes again meets it or its traces.
func (s *sequencer) giveUp(t *transaction) {
	if t.state == finished || len(t.settles) == 0 || t.settleBy.IsZero() || s.clock.Now().Before(t.settleBy) {
		return
	}
	err := fmt.Errorf("relay %s: not delivered within %v", t.relay.settings.Name, t.relay.settings.Retry.GiveUpAfter)
	if t.err != nil {
		err = fmt.Errorf("%w: %w", err, t.err)
	}
	back := []*transaction{t}
	if t.recallable() {
		// Those behind it go back with it. Alone they would now be judged and published without it, and it would come after them.
		for _, f := range t.followers()[1:] {
			if f.relay == t.relay && len(f.settles) > 0 && f.recallable() {
				back = append(back, f)
			}
		}
	}
	for _, b := range back {
		b.relay.account.settle(b.settles, outcomeRetried)
		for _, d := range b.settles {
			d.trace.end(outcomeRetried, "", s.clock.Now())
		}
		s.settle(b, transport.Settlement{Outcome: transport.Retried, Err: err, RetryAfter: time.Second})
	}
	if t.state == condemned && t.abandoned() {
		// The source has it again. Kept, it would pile up beside its redeliveries until the letters can be written.
		s.finish(t, transport.Settlement{Outcome: transport.Retried})
		return
	}
	if t.recallable() {
		s.markStale(t.followers())
		s.retry()
	}
}

// recallable tells whether nothing of a transaction is at the sink.
func (t *transaction) recallable() bool {
	return t.state == stale || t.state == translated || t.state == publishing && !t.sending.handed
}

// settle answers the deliveries of a transaction, which the account has counted.
func (s *sequencer) settle(t *transaction, answer transport.Settlement) {
	for _, d := range t.settles {
		s.after = append(s.after, func() { d.Settle(answer) })
	}
	t.settles = nil
}

// abandoned tells whether nobody waits for a transaction any more.
func (t *transaction) abandoned() bool { return len(t.settles) == 0 && t.parked == nil }

// finish ends a transaction.
func (s *sequencer) finish(t *transaction, answer transport.Settlement) {
	if t.sending != nil {
		t.sending.void = true
	}
	t.state = finished
	s.alarms.cancel(t.limit)
	if t.drop != nil {
		t.drop()
	}
	s.overlay.forget(t)
	t.unlink()
	delete(s.stale, t)
	if key := keyOf(t.relay, t.event); s.inFlight[key] == t {
		delete(s.inFlight, key)
	}
	if answer.Outcome == transport.Retried {
		t.outcome = outcomeRetried
	}
	s.ended(t, answer.Outcome)
	if s.keeps && len(t.settles) > 0 && errors.Is(answer.Err, errStopped) {
		joined := t.settles
		d := joined[0].Delivery
		d.Settle = func(answer transport.Settlement) {
			for _, j := range joined {
				j.Settle(answer)
			}
		}
		s.left = append(s.left, leftover{t.seq, t.relay, d})
		t.settles = nil
	}
	s.settle(t, answer)
	t.relay.release(t.slots)
	t.slots = 0
	delete(s.all, t)
	s.idleChanged()
}

// idleChanged keeps idle after something came or went.
func (s *sequencer) idleChanged() {
	nothing := len(s.all)+s.entering == 0
	select {
	case <-s.idle:
		if !nothing {
			s.idle = make(chan struct{})
		}
	default:
		if nothing {
			close(s.idle)
		}
	}
}

// translate decides what becomes of a transaction, at its place in the sequence. Its earlier traces are gone already.
func (s *sequencer) translate(t *transaction) {
	delete(s.stale, t)
	t.state, t.blind = translated, false
	t.outputs, t.learned, t.park, t.unpark, t.waits = nil, nil, nil, false, false
	t.returns, t.letter, t.outcome, t.synthesized = "", nil, undecided, 0
	s.beginParking(t)

	v := &view{s: s, t: t, seen: map[records.Query][]byte{}}
	step := t.trace.step("translate", s.now(t))
	result, err := s.ask(t, v)
	step.done(err, s.now(t))
	if err == nil && len(result.Missing) > 0 {
		result, err = s.unresolved(t, result)
	}
	switch {
	case t.state == stale:
		// There is no room for one more parked event. What it read must not hold up what it waits for.
		s.overlay.forget(t)
		return
	case err == nil:
		t.learned = result.Learned
		t.returns = result.Returning
		t.outputs = messages(result.Events, t.passed)
		t.synthesized = synthesized(result.Events)
		t.unpark = t.parked != nil && !t.waits
		s.noteLearned(t, v)
		if len(result.Events) > 0 {
			s.overlay.lineUp(t, result.Events)
		}
	case errors.Is(err, host.ErrUnasked):
		s.overlay.forget(t)
		s.goBlind(t)
		s.awaitAnswer(t)
		return
	case v.err != nil && !isDamaged(v.err):
		s.overlay.forget(t)
		s.goBlind(t)
		s.ledgerFailed(v.err)
		return
	default:
		s.refuse(t, err)
	}
	s.tie(t)
}

// now is the time for the spans of a transaction, which only traced ones need.
func (s *sequencer) now(t *transaction) (now time.Time) {
	if t.trace != nil {
		now = s.clock.Now()
	}
	return now
}

func isDamaged(err error) bool {
	var damaged *damagedError
	return errors.As(err, &damaged)
}

// noteLearned lays what a transaction learned over the ledger.
func (s *sequencer) noteLearned(t *transaction, v *view) {
	for _, f := range t.learned {
		w := s.writeOf(t, f.Query)
		if record, ok := v.seen[f.Query]; ok && !w.based {
			w.base, w.based = record, true
		}
		if p, ok := f.Query.Parent(); ok && len(w.deltas) == 0 {
			above := s.writeOf(t, p)
			above.beneath = append(above.beneath, f.Query)
		}
		w.deltas = append(w.deltas, f)
	}
}

// writeOf is the transaction's write of a key, made if it is the first.
func (s *sequencer) writeOf(t *transaction, q records.Query) *write {
	if w := s.overlay.writeOf(q, t); w != nil {
		return w
	}
	s.writes++
	w := &write{number: s.writes}
	s.overlay.note(q, t, w)
	return w
}

// ask runs the translator; a panic becomes an error.
func (s *sequencer) ask(t *transaction, v *view) (result translate.Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{p, debug.Stack()}
		}
	}()
	translator := t.relay.translator
	if t.relay.consulting != nil {
		if t.answers == nil {
			t.answers = t.relay.consulting.Consult()
		}
		translator = t.answers.Recall()
	}
	return translate.Ask(s.work, translator, v, t.event)
}

// tie finds whom a transaction needs, and who must be translated anew because of it.
func (s *sequencer) tie(t *transaction) {
	var outdated []*transaction
	for _, q := range t.keys {
		list := s.overlay[q]
		at := slices.IndexFunc(list, func(a access) bool { return a.by == t })
		wrote := list[at].write != nil
		for i := at - 1; i >= 0; i-- {
			if list[i].write != nil {
				t.need(list[i].by)
				break // that one is tied to those before it
			}
			if wrote {
				t.need(list[i].by)
			}
		}
		for _, later := range list[at+1:] {
			switch {
			case later.by.state >= committing:
			case wrote && q.Kind == 0:
				later.by.need(t) // its place behind t is all that it takes from it
			case wrote:
				later.by.need(t)
				outdated = append(outdated, later.by)
			case later.write != nil:
				later.by.need(t)
			}
		}
	}
	for _, o := range outdated {
		s.markStale(o.followers())
	}
}

// advance moves a transaction on as far as it goes, and those that waited for it.
func (s *sequencer) advance(t *transaction) {
	if s.stopped && t.state < delivered {
		return
	}
	if t.state == translated {
		if s.clock.Now().Before(t.notBefore) {
			return
		}
		for d := range t.needs {
			// Not behind one that may fail, as it did before: the sink could take this one by then, and that one after it.
			o := t.relay.outlet
			behind := d.state == publishing && d.relay.outlet == o && o.ordered && !o.failing && d.attempts == 0
			if d.state != delivered && !behind {
				return
			}
		}
		if t.confirmed < len(t.outputs) {
			s.publish(t)
		} else {
			t.state = delivered
		}
		s.advanceFollowers(t)
	}
	if t.state == delivered && len(t.needs) == 0 {
		if t.letter != nil {
			s.condemn(t)
			return
		}
		t.state = committing
		s.toCommit(t)
		feeds := followersOf(t)
		clear(t.feeds)
		for _, f := range feeds {
			delete(f.needs, t)
		}
		for _, f := range feeds {
			s.advance(f)
		}
	}
}

func (s *sequencer) advanceFollowers(t *transaction) {
	for _, f := range followersOf(t) {
		if f.state == translated || f.state == delivered {
			s.advance(f)
		}
	}
}

// followersOf are those that wait for t itself, in their order.
func followersOf(t *transaction) []*transaction {
	if len(t.feeds) == 0 {
		return nil
	}
	out := make([]*transaction, 0, len(t.feeds))
	for f := range t.feeds {
		out = append(out, f)
	}
	inOrder(out)
	return out
}

func (s *sequencer) toCommit(t *transaction) {
	t.commit = t.trace.step("commit", s.now(t))
	s.ready = append(s.ready, t)
	select {
	case s.commit <- struct{}{}:
	default:
	}
}

// markStale takes transactions back. They keep their place, and what they learned stays in view for those who come, until
// they are translated anew.
func (s *sequencer) markStale(list []*transaction) {
	for _, t := range list {
		if t.state >= committing || t.state == stale {
			continue
		}
		if t.sending != nil {
			t.sending.void = true
			if !t.sending.handed {
				t.sending = nil
			}
		}
		t.state = stale
		s.stale[t] = struct{}{}
	}
}

// retry translates anew what may be: whose time has come, whose predecessors stand, and of which nothing is on its way.
func (s *sequencer) retry() {
	for !s.stopped && (s.retryStale() || s.retryBlind()) {
	}
}

func (s *sequencer) retryStale() (some bool) {
	list := make([]*transaction, 0, len(s.stale))
	for t := range s.stale {
		list = append(list, t)
	}
	inOrder(list)
next:
	for _, t := range list {
		if t.state != stale || t.blind {
			continue
		}
		if !t.abandoned() {
			if s.clock.Now().Before(t.notBefore) {
				continue
			}
			for d := range t.needs {
				if d.state == stale {
					continue next
				}
			}
		}
		set := t.followers()
		for _, m := range set {
			if m.sending != nil && m.sending.handed && m.sending.open > 0 {
				// An old message must not reach the sink after a new one.
				continue next
			}
		}
		s.redo(set)
		some = true
	}
	return some
}

// redo translates a set of transactions anew, in their order.
func (s *sequencer) redo(set []*transaction) {
	first := set[0]
	s.markStale(set[1:])
	for _, t := range set {
		s.overlay.forget(t)
		t.unlink()
		t.sending = nil
	}
	sighted := true
	for _, t := range set {
		if t.abandoned() {
			s.finish(t, transport.Settlement{Outcome: transport.Retried})
			continue
		}
		before, confirmed := t.outputs, t.confirmed
		t.confirmed = 0
		if !sighted {
			s.goBlind(t)
			continue
		}
		s.translate(t)
		if t.blind {
			sighted = false
			continue
		}
		if t == first {
			// What had arrived before the failure need not be sent again, if nothing was sent again before it.
			for t.confirmed < min(confirmed, len(t.outputs)) &&
				bytes.Equal(before[t.confirmed].Data, t.outputs[t.confirmed].Data) {
				t.confirmed++
			}
		}
	}
	for _, t := range set {
		s.advance(t)
	}
}

// goBlind notes a transaction that cannot be translated since the ledger cannot be read. Nobody knows what it will touch, so
// all that come later wait behind it.
func (s *sequencer) goBlind(t *transaction) {
	t.state, t.blind = stale, true
	s.stale[t] = struct{}{}
	at, _ := slices.BinarySearchFunc(s.blind, t.seq, func(b *transaction, seq uint64) int {
		if b.seq < seq {
			return -1
		}
		return 1
	})
	s.blind = slices.Insert(s.blind, at, t)
}

// ledgerFailed sets when the ledger is read again.
func (s *sequencer) ledgerFailed(err error) {
	if s.ledgerErr.Swap(&err) == nil {
		s.log.Error("the ledger cannot be read", "error", err)
	}
	s.blindTries++
	wait := s.blind[0].relay.settings.Retry.pause(s.blindTries)
	s.blindUntil = s.clock.Now().Add(wait)
	for _, t := range s.blind {
		t.err = err
	}
	s.alarms.at(s.blindUntil, func() {
		s.mu.Lock()
		defer s.unlock()
		s.retry()
	})
}

// retryBlind translates what waits for the ledger, in its order.
func (s *sequencer) retryBlind() (some bool) {
	s.blind = slices.DeleteFunc(s.blind, func(t *transaction) bool {
		if t.abandoned() {
			s.finish(t, transport.Settlement{Outcome: transport.Retried})
			return true
		}
		return false
	})
	for len(s.blind) > 0 && !s.clock.Now().Before(s.blindUntil) {
		t := s.blind[0]
		if t.asking {
			return some
		}
		s.blind = s.blind[1:]
		s.translate(t)
		if t.blind {
			return some
		}
		some = true
		s.blindTries = 0
		if s.ledgerErr.Swap(nil) != nil {
			s.log.Info("the ledger can be read again")
		}
		s.advance(t)
	}
	return some
}

// failed takes back a transaction that could not be published, to try again later.
func (s *sequencer) failed(t *transaction, err error) {
	t.err = err
	t.attempts++
	t.relay.account.retry()
	wait := max(t.relay.settings.Retry.pause(t.attempts), transport.RetryAfter(err))
	t.notBefore = s.clock.Now().Add(wait)
	s.markStale(t.followers())
	s.alarms.at(t.notBefore, func() {
		s.mu.Lock()
		defer s.unlock()
		if t.state == stale {
			s.retry()
		} else {
			s.advance(t)
		}
	})
	if t.abandoned() {
		s.retry()
	}
}

// pause is how long to wait after so many failures.
func (r Retry) pause(failures int) time.Duration {
	d := float64(r.Initial) * math.Pow(r.Multiplier, float64(failures-1))
	d = min(d, float64(r.Max))
	// Relays that lost one broker at one moment shall not come back at one moment.
	return time.Duration(d * (0.75 + 0.5*rand.Float64()))
}

// refuse makes a transaction one that goes to the dead letters, once it is certain that what it was judged by stands.
func (s *sequencer) refuse(t *transaction, err error) {
	l := s.letterFor(t)
	var event *translate.EventError
	var panicked *panicError
	var damaged *damagedError
	switch {
	case errors.As(err, &event):
		l.Code, l.Pointer, l.Message = event.Code, event.Pointer, event.Message
	case errors.As(err, &panicked):
		l.Code, l.Message = CodePanic, err.Error()
		if unsaid, ok := s.hush.speak("panic " + t.relay.settings.Name); ok {
			s.log.Error("translator panicked", "relay", t.relay.settings.Name, "event", t.event.ID, "panic", fmt.Sprint(panicked.value),
				"stack", string(panicked.stack), "unsaid", unsaid)
		}
	case errors.As(err, &damaged):
		l.Code, l.Message = CodeDamaged, err.Error()
	default:
		l.Code, l.Message = CodeTranslator, err.Error()
	}
	t.letter, t.err = l, err
}

func (s *sequencer) letterFor(t *transaction) *deadletters.Letter {
	return &deadletters.Letter{
		Received: s.clock.wall(t.received).UTC(), Relay: t.relay.settings.Name, Direction: t.relay.settings.Translate.String(),
		EventID: t.event.ID, EventType: t.event.Type, Source: t.event.Source, Attempts: t.attempts, Extensions: t.passed, Event: t.original,
		Replayed: t.again,
	}
}

// condemn takes a transaction out of the sequence and into the dead letters. Those that rested on what it learned are
// translated anew.
func (s *sequencer) condemn(t *transaction) {
	rest := t.followers()[1:]
	if len(t.learned) > 0 {
		s.markStale(rest)
	}
	s.overlay.forget(t)
	t.state = condemned
	feeds := followersOf(t)
	clear(t.feeds)
	for _, f := range feeds {
		delete(f.needs, t)
	}
	t.outputs, t.learned = nil, nil
	s.bury(t)
	s.retry()
	for _, f := range feeds {
		s.advance(f)
	}
}

// bury writes the dead letter of a condemned transaction, however often it takes, and then ends the transaction. It lets go
// of one that is given up meanwhile.
func (s *sequencer) bury(t *transaction) {
	letter := *t.letter
	wanted, drop := context.WithCancel(s.work)
	t.drop = drop
	s.running.Add(1)
	go func() {
		defer s.running.Done()
		defer drop()
		for try := 1; ; try++ {
			err := s.letters.Append(s.work, letter)
			if err == nil {
				break
			}
			if s.work.Err() == nil && s.lettersErr.Swap(&err) == nil {
				s.log.Error("dead letters cannot be written", "relay", letter.Relay, "event", letter.EventID, "error", err)
			}
			if !s.sleep(wanted, t.relay.settings.Retry.pause(try)) {
				s.mu.Lock()
				defer s.unlock()
				if t.state != finished {
					s.finish(t, transport.Settlement{Outcome: transport.Retried, Err: errStopped})
				}
				return
			}
		}
		if s.lettersErr.Swap(nil) != nil {
			s.log.Info("dead letters can be written again")
		}
		if unsaid, ok := s.hush.speak("letter " + letter.Code + " " + letter.Relay); ok {
			s.log.Warn("event put into the dead letters", "relay", letter.Relay, "code", letter.Code, "pointer", letter.Pointer,
				"event", letter.EventID, "type", letter.EventType, "unsaid", unsaid)
		}
		s.mu.Lock()
		defer s.unlock()
		if t.state == finished {
			t.relay.account.lateLetter(letter.Code) // given up while its letter was being written
			return
		}
		t.outcome = outcomeDeadLettered
		if t.parked != nil {
			t.unpark, t.park = true, nil
			t.state = committing
			s.toCommit(t)
			return
		}
		s.finish(t, transport.Settlement{Outcome: transport.Rejected, Err: t.err})
	}()
}

// poison takes a delivery whose event cannot even be read.
func (s *sequencer) poison(r *relay, d *taken, event translate.Event, err error) {
	s.mu.Lock()
	defer s.unlock()
	t := &transaction{
		relay: r, event: event, original: d.Message.Data, passed: d.trace.passOn(d.Message.Extensions), trace: d.trace,
		received: d.at, settles: []*taken{d}, slots: 1, state: condemned, again: isReplay(d.Message),
	}
	s.enter(t)
	if s.stopped {
		s.finish(t, transport.Settlement{Outcome: transport.Retried, Err: errStopped})
		return
	}
	s.limit(t)
	s.refuse(t, err)
	if t.letter.EventID == "" {
		t.letter.EventID, t.letter.EventType, t.letter.Source = d.Message.ID, d.Message.Type, d.Message.Source
	}
	s.bury(t)
}

// sleep waits by the clock; false if ctx ends before.
func (s *sequencer) sleep(ctx context.Context, d time.Duration) bool {
	timer := s.clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
		return true
	case <-ctx.Done():
		return false
	}
}

// drain waits until nothing is in flight, or ctx ends.
func (s *sequencer) drain(ctx context.Context) error {
	for {
		s.mu.Lock()
		idle, live := s.idle, len(s.all)+s.entering
		s.mu.Unlock()
		if live == 0 {
			return nil
		}
		select {
		case <-idle:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// stop keeps anything from being published or retried from now on.
func (s *sequencer) stop() {
	s.mu.Lock()
	s.stopped = true
	s.mu.Unlock()
}

// halt ends the work after stop: what was not delivered goes back to its source. Sinks must be closed before, so that
// all they had is answered. It returns how many transactions were left open.
func (s *sequencer) halt() int {
	s.stop()
	s.stopWork()
	s.running.Wait()
	if s.alarms != nil {
		s.alarms.close()
	}
	s.mu.Lock()
	defer s.unlock()
	open := slices.Collect(maps.Keys(s.all))
	inOrder(open)
	for _, t := range open {
		s.finish(t, transport.Settlement{Outcome: transport.Retried, Err: errStopped})
	}
	for _, p := range s.parked {
		if p.state != arriving {
			p.relay.account.keep()
		}
	}
	clear(s.parked) // a second halt has nothing to keep
	return len(open)
}

// leftover is a delivery that is not settled when a sequencer ends, with its place in the sequence.
type leftover struct {
	seq      uint64
	relay    *relay
	delivery transport.Delivery
}

// keepLeft has what is not settled at the end kept for another sequencer, rather than go back to its source.
func (s *sequencer) keepLeft() {
	s.mu.Lock()
	s.keeps = true
	s.mu.Unlock()
}

// leftBySource gives, after halt, what was kept, by the source that made it and in its order.
func (s *sequencer) leftBySource() map[string][]transport.Delivery {
	slices.SortStableFunc(s.left, func(a, b leftover) int { return cmp.Compare(a.seq, b.seq) })
	out := map[string][]transport.Delivery{}
	for _, l := range s.left {
		from := l.relay.settings.From
		out[from] = append(out[from], l.delivery)
	}
	return out
}
