package translate

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// Transaction is an event that was translated and whose facts are not learned yet: publish its Events, in their order, and then
// Commit. It is made by [Session.Begin]. As long as it is open, other transactions of the session that read what it has to teach
// wait. So end every one, best with a deferred Rollback.
//
// A Transaction is not safe for concurrent use. Its Result may be kept after the end; Learned must not be changed before it.
type Transaction struct {
	Result

	id      string // the event's
	session *Session
	attempt *attempt
}

// Begin decodes and translates one event, and learns nothing yet. What it reads of the ledger may be what an open transaction of
// the session has yet to teach: then Begin waits until that one has ended, or ctx, and translates with what it finds. Of several
// that wait for the same, the one that began first goes first. Events that have nothing in common do not wait for one another, and
// several goroutines translate at the same time.
//
// A goroutine that begins a transaction while it holds another, which teaches what this one reads, waits until ctx ends: commit
// in between, or translate such events one by one.
//
// An *[EventError] says that the event can never be translated; any other error is ctx's or the ledger's, and translating the event
// again gives the same ids. There is no transaction then.
func (s *Session) Begin(ctx context.Context, text []byte) (*Transaction, error) {
	event, err := Decode(text)
	if err != nil {
		return nil, err
	}
	return s.BeginEvent(ctx, event)
}

// BeginEvent is Begin for an event that was decoded before.
func (s *Session) BeginEvent(ctx context.Context, event Event) (*Transaction, error) {
	t := &Transaction{id: event.ID, session: s, attempt: &attempt{}}
	var err error
	if t.Result, err = s.begin(ctx, t.attempt, event); err != nil {
		return nil, err
	}
	return t, nil
}

// Commit teaches the ledger what was learned, and ends the transaction. If another writer than this session has changed what was
// read since Begin, it ends the transaction with [ledger.ErrConflict] and teaches nothing: begin again, which may give other
// events under the same ids. Any other error is ctx's or the ledger's; the transaction stays open then, and Commit may be called
// again.
//
// What was read is compared by reading it again. That is optimistic: the comparison and the write are two steps, so that it
// finds nearly all conflicts and not one that another writer makes between the two. Programs that share a ledger which has
// conditional writes, and must never lose a fact, use those.
//
// Commit after Commit does nothing; after Rollback it is an error.
func (t *Transaction) Commit(ctx context.Context) error {
	switch t.attempt.state {
	case committed:
		return nil
	case rolledBack:
		return fmt.Errorf("event %s: the transaction was rolled back", shorten(t.id, 80))
	}
	return named(t.id, t.session.commit(ctx, t.attempt))
}

// Rollback ends the transaction and forgets what was to be learned. It does nothing if the transaction has ended.
func (t *Transaction) Rollback() {
	if t.attempt.state == open {
		t.session.end(t.attempt, rolledBack)
	}
}

// attempt is a transaction as the session sees it. What is not said to be otherwise belongs to the goroutine that translates.
type attempt struct {
	ledger ledger.Ledger
	memory *ledger.Memory // ledger, if it is in memory
	before uint64         // [ledger.Memory.Applied] before the first read
	reads  []read
	writes []ledger.Fact

	// The session's mutex guards these.
	ticket  uint64 // of those that conflict the lesser goes first
	state   state
	since   uint64        // how many commits the session had seen when reading began
	claims  bool          // it was held up, and what it will likely read and write are claimed and demands
	claimed []read        // what it read before it was held up
	demands []ledger.Fact // what it would have written
	changed chan struct{} // closed when it gets on; nil if nobody waits for that
}

type state byte

const (
	reading state = iota // it is being translated
	waiting              // for another attempt
	open                 // it is for the caller to end it
	committed
	rolledBack
)

// read is what was asked and found.
type read struct {
	query    ledger.Query
	revision uint64
	ours     bool // this session has changed it since; guarded by the session's mutex
}

// Read implements [ledger.Source] and notes what it reads.
func (a *attempt) Read(ctx context.Context, queries []ledger.Query) ([]ledger.Record, error) {
	records, err := a.ledger.Read(ctx, queries)
	if err != nil {
		return nil, err
	}
	for i := range records {
		a.reads = append(a.reads, read{query: queries[i], revision: records[i].Revision})
	}
	return records, nil
}

// wake lets those look again that wait for an attempt.
func (a *attempt) wake() {
	if a.changed != nil {
		close(a.changed)
		a.changed = nil
	}
}

// begin translates an event until it is open.
func (s *Session) begin(ctx context.Context, a *attempt, event Event) (Result, error) {
	defer s.abandon(a)
	for s.enter(a); ; {
		result, err := s.ask(ctx, a, event)
		if done, err := s.admit(ctx, a, event.ID, result.Learned, err); err != nil {
			return Result{}, err
		} else if done {
			return result, nil
		}
	}
}

// ask translates an event with what a ledger knows, as [Session.Unresolved] says.
func (s *Session) ask(ctx context.Context, store ledger.Source, event Event) (Result, error) {
	result, err := Ask(ctx, s.translator, store, event)
	if err == nil && s.Unresolved == UnresolvedFail && len(result.Missing) > 0 {
		m := result.Missing[0]
		return Result{}, event.fail(CodeUnresolved, "", fmt.Sprintf("%s is unknown, wanted for %s", m.Name, m.Want))
	}
	return result, err
}

// enter gives an attempt its place.
func (s *Session) enter(a *attempt) {
	a.ledger = s.ledger
	a.memory, _ = s.ledger.(*ledger.Memory)
	s.mu.Lock()
	s.tickets++
	a.ticket = s.tickets
	s.attempts = append(s.attempts, a)
	s.startReading(a)
	s.mu.Unlock()
	if a.memory != nil {
		a.before = a.memory.Applied()
	}
}

// abandon lets go of an attempt whose translator panics.
func (s *Session) abandon(a *attempt) {
	if a.state == reading {
		s.mu.Lock()
		s.stopReading(a)
		s.remove(a, rolledBack)
		s.mu.Unlock()
	}
}

// named says which event an error is about, if it is one.
func named(id string, err error) error {
	if err == nil || id == "" {
		return err
	}
	return fmt.Errorf("event %s: %w", shorten(id, 80), err)
}

// startReading notes from when on commits matter. The mutex is held.
func (s *Session) startReading(a *attempt) {
	a.state, a.since = reading, s.commits
	s.reading++
}

// stopReading forgets the commits that matter to nobody any more. The mutex is held.
func (s *Session) stopReading(a *attempt) {
	if s.reading--; len(s.recent) == 0 {
		return
	}
	oldest := s.commits
	if s.reading > 0 {
		for _, o := range s.attempts {
			if o != a && o.state == reading {
				oldest = min(oldest, o.since)
			}
		}
	}
	n := 0
	for n < len(s.recent) && s.recent[n].number <= oldest {
		n++
	}
	s.recent = slices.Delete(s.recent, 0, n)
}

// admit decides about an attempt that has been translated: it is open, or failed, or must be translated again, after having
// waited for another.
func (s *Session) admit(ctx context.Context, a *attempt, id string, writes []ledger.Fact, failed error) (done bool, err error) {
	s.mu.Lock()
	stale := s.stale(a)
	s.stopReading(a)
	if failed != nil && !refused(failed) {
		s.remove(a, rolledBack)
		s.mu.Unlock()
		return true, failed
	}
	a.writes = writes
	holder := s.holder(a)
	if holder == nil && !stale {
		if failed != nil {
			s.remove(a, rolledBack)
		} else {
			a.state, a.claims = open, false
			a.wake()
		}
		s.mu.Unlock()
		return true, failed
	}
	a.state, a.claims, a.demands = waiting, true, a.writes
	a.claimed, a.reads = a.reads, a.claimed[:0]
	a.wake()
	var changed chan struct{}
	if holder != nil {
		if holder.changed == nil {
			holder.changed = make(chan struct{})
		}
		changed = holder.changed
	}
	s.mu.Unlock()

	if changed != nil {
		select {
		case <-changed:
		case <-ctx.Done():
			s.end(a, rolledBack)
			return true, named(id, fmt.Errorf("wait for an open transaction: %w", context.Cause(ctx)))
		}
	}
	s.mu.Lock()
	s.startReading(a)
	s.mu.Unlock()
	if a.memory != nil {
		a.before = a.memory.Applied()
	}
	return false, nil
}

// holder is another attempt that this one has to wait for: an open one that writes what this one has read, or one that waits or
// has waited itself, began earlier and has anything to do with this one. The mutex is held.
func (s *Session) holder(a *attempt) *attempt {
	for _, o := range s.attempts {
		switch {
		case o == a:
		case o.state == open:
			if touch(o.writes, a.reads) {
				return o
			}
		case o.claims && o.ticket < a.ticket:
			if touch(o.demands, a.reads) || touch(a.writes, o.claimed) {
				return o
			}
		}
	}
	return nil
}

// stale tells whether this session has changed what an attempt has read, since it began to. The mutex is held.
func (s *Session) stale(a *attempt) bool {
	for i := range s.recent {
		if c := &s.recent[i]; c.number > a.since && touch(c.facts, a.reads) {
			return true
		}
	}
	return false
}

// commit teaches what an open attempt has learned.
func (s *Session) commit(ctx context.Context, a *attempt) error {
	if changed, err := s.changed(ctx, a); err != nil {
		return fmt.Errorf("read the ledger again: %w", err)
	} else if changed {
		s.end(a, rolledBack)
		return ledger.ErrConflict
	}
	if len(a.writes) > 0 {
		s.mu.Lock()
		for _, o := range s.attempts {
			if o != a && o.state == open {
				claim(o.reads, a.writes)
			}
		}
		s.mu.Unlock()
		if err := s.ledger.Apply(ctx, a.writes); err != nil {
			return fmt.Errorf("teach the ledger: %w", err)
		}
	}
	s.end(a, committed)
	return nil
}

// claim notes which reads this session is about to change. The mutex is held.
func claim(reads []read, writes []ledger.Fact) {
	for i := range reads {
		r := &reads[i]
		for j := range writes {
			r.ours = r.ours || touches(&writes[j].Query, &r.query)
		}
	}
}

// changed tells whether another writer has changed what was read.
func (s *Session) changed(ctx context.Context, a *attempt) (bool, error) {
	if len(a.reads) == 0 || a.memory != nil && a.memory.Applied() == a.before {
		return false, nil
	}
	queries := make([]ledger.Query, len(a.reads))
	for i := range a.reads {
		queries[i] = a.reads[i].query
	}
	records, err := s.ledger.Read(ctx, queries)
	if err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range records {
		if records[i].Revision != a.reads[i].revision && !a.reads[i].ours {
			return true, nil
		}
	}
	return false, nil
}

// end ends an attempt.
func (s *Session) end(a *attempt, how state) {
	s.mu.Lock()
	s.remove(a, how)
	s.mu.Unlock()
}

// remove takes an attempt that is not reading out of the session. The mutex is held.
func (s *Session) remove(a *attempt, how state) {
	a.state, a.claims = how, false
	if i := slices.Index(s.attempts, a); i >= 0 {
		s.attempts = slices.Delete(s.attempts, i, i+1)
	}
	if how == committed && len(a.writes) > 0 {
		s.commits++
		if s.reading > 0 { // somebody may have read what stood there before
			s.recent = append(s.recent, commit{s.commits, slices.Clone(a.writes)})
		}
	}
	a.wake()
}

// commit is one that attempts may have overlooked while they were reading.
type commit struct {
	number uint64
	facts  []ledger.Fact
}

// borrow gives an attempt for the time of one call.
func (s *Session) borrow() *attempt {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.spare)
	if n == 0 {
		return &attempt{}
	}
	a := s.spare[n-1]
	s.spare = s.spare[:n-1]
	return a
}

// Spare attempts are few and small.
const (
	fewSpares = 8
	fewReads  = 256
)

// reset readies an attempt that has ended for another translation.
func (a *attempt) reset() {
	clear(a.reads[:cap(a.reads)])
	clear(a.claimed[:cap(a.claimed)])
	*a = attempt{reads: a.reads[:0], claimed: a.claimed[:0]}
}

// giveBack takes an attempt that has ended.
func (s *Session) giveBack(a *attempt) {
	if cap(a.reads) > fewReads || cap(a.claimed) > fewReads {
		return
	}
	a.reset()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.spare) < fewSpares {
		s.spare = append(s.spare, a)
	}
}

// touch tells whether any of the facts changes the answer to any of the reads.
func touch(facts []ledger.Fact, reads []read) bool {
	for i := range facts {
		for j := range reads {
			if touches(&facts[i].Query, &reads[j].query) {
				return true
			}
		}
	}
	return false
}

// touches tells whether a fact may change the answer to a query: to one with a range if it falls into the range, however many
// records that is limited to.
func touches(fact, query *ledger.Query) bool {
	if fact.Kind != query.Kind {
		return false
	}
	if !query.IsRange() {
		return fact.Key == query.Key
	}
	open := len(query.Key) - 1 // the last bracket
	if open < 0 || len(fact.Key) <= open || fact.Key[open] != ',' || !strings.HasPrefix(fact.Key, query.Key[:open]) {
		return false
	}
	from, to := query.Bounds()
	return fact.Key >= from && fact.Key < to
}
