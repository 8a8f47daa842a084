package daemon

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/eiffelbridge/eiffelbridge/daemon/ledger"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
	"github.com/eiffelbridge/eiffelbridge/translate"
	records "github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// parkedEvent is an event that waits, durably, until what it refers to is known or its deadline passes. It is guarded by
// the sequencer's lock, but for what never changes.
type parkedEvent struct {
	key      string
	relay    *relay
	text     []byte
	passed   map[string]string
	received time.Time
	again    bool   // it is the replay of a dead letter
	number   uint64 // the place in the sequence at which it was parked
	deadline time.Time

	state   parkedState
	roused  bool // what it waits for came while it was not waiting
	missing []translate.Missing
	alarm   *alarm // at the deadline
}

// compare puts parked events into the order in which they came. What they become rests on those before them (whether a
// deployment is the first or an upgrade, say), so they must come back in that order, after a restart too.
func (p *parkedEvent) compare(o *parkedEvent) int {
	return cmp.Or(p.received.Compare(o.received), cmp.Compare(p.number, o.number), cmp.Compare(p.key, o.key))
}

type parkedState byte

const (
	arriving parkedState = iota // not durable yet
	waiting
	resuming // on its way through the sequence
)

// parkedRecord is a parked event as the store has it. Times are UTC.
type parkedRecord struct {
	Relay    string            `json:"relay"`
	Received time.Time         `json:"received"`
	Number   uint64            `json:"number,omitempty"` // tells apart what was received at one time
	Deadline time.Time         `json:"deadline"`
	Missing  []missingRecord   `json:"missing"`
	Passed   map[string]string `json:"extensions,omitempty"`
	Again    bool              `json:"replay,omitempty"` // of a dead letter
	Event    []byte            `json:"event"`            // base64, so that it is the original byte for byte
}

type missingRecord struct {
	Kind string `json:"kind"` // one letter, as ledger.FactKind
	Key  string `json:"key"`
	Want string `json:"want"`
	Name string `json:"name"`
}

// parkedKey is the same for the same event in the same relay, so that a redelivery meets what is parked.
func parkedKey(r *relay, e translate.Event) string {
	h := sha256.New()
	fmt.Fprintf(h, "%d:%s", len(r.settings.Name), r.settings.Name)
	h.Write(e.JSON)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// unresolved applies the relay's policy to a result with references that are not known.
func (s *sequencer) unresolved(t *transaction, result translate.Result) (translate.Result, error) {
	settings := &t.relay.settings
	switch settings.Unresolved {
	case Fail:
		m := result.Missing[0]
		return translate.Result{}, &translate.EventError{Code: translate.CodeUnresolved, ID: t.event.ID, Type: t.event.Type,
			Message: fmt.Sprintf("%s is unknown, wanted for %s", m.Name, m.Want)}
	case Placeholder:
		return result, nil
	}
	now := s.clock.Now()
	if t.parkBy.IsZero() {
		t.parkBy = now.Add(settings.UnresolvedTimeout)
		if t.parked != nil {
			t.parkBy = t.parked.deadline
		}
	}
	if !now.Before(t.parkBy) {
		return result, nil
	}
	p := t.parked
	if p == nil {
		if len(s.parked) >= s.maxParked {
			// Room comes with the deadlines; until then the event waits in flight, and so its source waits at last.
			t.state, t.err = stale, fmt.Errorf("relay %s: %d events are parked already", settings.Name, s.maxParked)
			t.attempts++
			t.notBefore = now.Add(settings.Retry.pause(t.attempts))
			s.stale[t] = struct{}{}
			s.alarms.at(t.notBefore, func() {
				s.mu.Lock()
				defer s.unlock()
				s.retry()
			})
			return translate.Result{}, nil
		}
		p = &parkedEvent{
			key: parkedKey(t.relay, t.event), relay: t.relay, text: t.original, passed: t.passed,
			received: t.received, again: t.again, number: t.seq, deadline: t.parkBy,
		}
		if s.parked[p.key] != nil {
			// Only an event that shares its id with another gets here twice.
			p.key = fmt.Sprintf("%s-%d", p.key, t.seq)
		}
		t.parked = p
		s.parked[p.key] = p
	}
	t.waits = true
	if !slices.Equal(p.missing, result.Missing) || p.state == arriving {
		s.await(p, result.Missing)
		t.park = &ledger.Parked{Key: p.key, Record: p.record()}
	}
	return translate.Result{}, nil
}

// beginParking prepares the parked event of a transaction that is about to be translated.
func (s *sequencer) beginParking(t *transaction) {
	p := t.parked
	if p == nil {
		return
	}
	if p.state == arriving {
		// It was never durable; whether it must wait is decided anew. Its deadline stays (parkBy).
		s.forgetParked(p)
		t.parked = nil
		return
	}
	p.roused = false
}

// endParking follows the commit of a transaction.
func (s *sequencer) endParking(t *transaction) {
	p := t.parked
	switch {
	case p == nil:
	case t.unpark:
		s.forgetParked(p)
	default:
		if p.state == arriving {
			p.relay.account.park(1)
			p.alarm = s.alarms.at(p.deadline, func() {
				s.mu.Lock()
				defer s.unlock()
				s.rouse(p)
			})
		}
		p.state = waiting
		if p.roused {
			s.rouse(p)
		}
	}
}

// rouse has a parked event translated again, before those that were roused but came later.
func (s *sequencer) rouse(p *parkedEvent) {
	switch {
	case s.parked[p.key] != p:
	case p.state == waiting:
		p.state = resuming
		at, _ := slices.BinarySearchFunc(p.relay.roused, p, (*parkedEvent).compare)
		p.relay.roused = slices.Insert(p.relay.roused, at, p)
		select {
		case p.relay.rouse <- struct{}{}:
		default:
		}
	default:
		p.roused = true
	}
}

// await notes what a parked event waits for.
func (s *sequencer) await(p *parkedEvent, missing []translate.Missing) {
	s.unawait(p)
	p.missing = missing
	for _, m := range missing {
		set := s.awaited[m.Query]
		if set == nil {
			set = map[*parkedEvent]struct{}{}
			s.awaited[m.Query] = set
		}
		set[p] = struct{}{}
	}
}

func (s *sequencer) unawait(p *parkedEvent) {
	for _, m := range p.missing {
		set := s.awaited[m.Query]
		delete(set, p)
		if len(set) == 0 {
			delete(s.awaited, m.Query)
		}
	}
}

func (s *sequencer) forgetParked(p *parkedEvent) {
	if s.parked[p.key] != p {
		return
	}
	s.alarms.cancel(p.alarm)
	s.unawait(p)
	delete(s.parked, p.key)
	if p.state != arriving {
		p.relay.account.park(-1)
	}
}

func (p *parkedEvent) record() []byte {
	clock := p.relay.s.clock
	r := parkedRecord{
		Relay: p.relay.settings.Name, Received: clock.wall(p.received).UTC(), Number: p.number, Deadline: clock.wall(p.deadline).UTC(), Passed: p.passed,
		Again: p.again, Event: p.text,
	}
	for _, m := range p.missing {
		r.Missing = append(r.Missing, missingRecord{string(rune(m.Query.Kind)), m.Query.Key, m.Want, m.Name})
	}
	text, err := json.Marshal(r)
	if err != nil {
		panic(err) // times of years beyond 9999 alone could do that
	}
	return text
}

// loadParked takes up what was parked when the process ended. All of it is translated once: what it waited for may have been
// learned just before the end.
func (s *sequencer) loadParked(ctx context.Context, relays map[string]*relay) error {
	var found []*parkedEvent
	err := s.store.ScanParked(ctx, func(stored ledger.Parked) error {
		var r parkedRecord
		if err := json.Unmarshal(stored.Record, &r); err != nil {
			return fmt.Errorf("parked event %s: %w", stored.Key, err)
		}
		relay := relays[r.Relay]
		if relay == nil {
			s.log.Warn("parked event stays parked: its relay is not in the configuration", "relay", r.Relay, "key", stored.Key)
			return nil
		}
		p := &parkedEvent{
			key: stored.Key, relay: relay, text: r.Event, passed: r.Passed, received: r.Received, again: r.Again, number: r.Number,
			deadline: r.Deadline, state: waiting,
		}
		for _, m := range r.Missing {
			if len(m.Kind) == 1 {
				q := records.Query{Kind: records.FactKind(m.Kind[0]), Key: m.Key}
				p.missing = append(p.missing, translate.Missing{Query: q, Want: m.Want, Name: m.Name})
			}
		}
		found = append(found, p)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the parked events: %w", err)
	}
	// The store has them by their keys, which are hashes.
	slices.SortFunc(found, (*parkedEvent).compare)
	s.mu.Lock()
	defer s.unlock()
	for _, p := range found {
		s.next = max(s.next, p.number) // whatever is parked from now on comes later
		s.parked[p.key] = p
		s.await(p, p.missing)
		p.relay.account.found()
		p.alarm = s.alarms.at(p.deadline, func() {
			s.mu.Lock()
			defer s.unlock()
			s.rouse(p)
		})
		s.rouse(p)
	}
	return nil
}

// resumeLoop puts roused events of one relay back into the sequence as there is room, until stop ends.
func (s *sequencer) resumeLoop(stop context.Context, r *relay) {
	for {
		select {
		case <-r.rouse:
		case <-stop.Done():
			return
		}
		for {
			s.mu.Lock()
			var p *parkedEvent
			if len(r.roused) > 0 {
				p = r.roused[0]
				r.roused[0] = nil
				r.roused = r.roused[1:]
			}
			s.mu.Unlock()
			if p == nil {
				break
			}
			select {
			case r.room <- struct{}{}:
				r.account.place(1)
			case <-stop.Done():
				return
			}
			event, err := translate.Decode(p.text)
			t := &transaction{
				relay: r, event: event, original: p.text, passed: p.passed, received: p.received, again: p.again, slots: 1, parked: p, resumed: true,
				parkBy: p.deadline,
			}
			t.trace = s.tracing.begin(r, event, &transport.Message{}, p.passed, s.clock.Now(), true)
			t.passed = t.trace.passOn(p.passed)
			s.mu.Lock()
			if err != nil {
				// It was read before it was parked, by an earlier version of the program perhaps.
				s.enter(t)
				s.refuse(t, err)
				t.state = condemned
				s.bury(t)
			} else {
				s.admit(t)
			}
			s.unlock()
		}
	}
}
