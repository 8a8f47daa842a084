package daemon

import (
	"context"
	"slices"
	"time"

	"github.com/eiffelbridge/eiffelbridge/daemon/ledger"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// lastCommit bounds the commit of what was delivered when the relay was told to stop at once.
const lastCommit = 5 * time.Second

// commitLoop makes what was learned durable, all that is ready at once (group commit), and then settles. There is one
// per ledger, so batches become durable in the order of the sequence wherever it matters.
func (s *sequencer) commitLoop() {
	defer s.running.Done()
	for {
		select {
		case <-s.commit:
		case <-s.work.Done():
			// What is at the sink already shall not have to go there again.
			ctx, cancel := context.WithTimeout(context.Background(), lastCommit)
			s.commitReady(ctx)
			cancel()
			return
		}
		s.commitReady(s.work)
	}
}

// commitReady commits until nothing is ready.
func (s *sequencer) commitReady(ctx context.Context) {
	for {
		s.mu.Lock()
		list := s.ready
		s.ready = nil
		s.mu.Unlock()
		if len(list) == 0 {
			return
		}
		var b ledger.Batch
		for _, t := range list {
			b.Facts = append(b.Facts, t.learned...)
			if t.unpark {
				b.Unpark = append(b.Unpark, t.parked.key)
			}
			if t.park != nil {
				b.Park = append(b.Park, *t.park)
			}
		}
		if !s.write(ctx, b, list[0].relay.settings.Retry) {
			s.mu.Lock()
			// Nothing was settled: halt gives it back.
			s.ready = append(list, s.ready...)
			s.mu.Unlock()
			return
		}
		s.mu.Lock()
		for _, t := range list {
			s.committed(t)
		}
		s.unlock()
	}
}

// write commits one batch, however often it takes; false if the work ends before.
func (s *sequencer) write(ctx context.Context, b ledger.Batch, retry Retry) bool {
	if len(b.Facts) == 0 && len(b.Park) == 0 && len(b.Unpark) == 0 {
		return true
	}
	for try := 1; ; try++ {
		began := s.clock.Now()
		err := s.store.Commit(ctx, b)
		if err == nil {
			s.metrics.committed(s.clock.Now().Sub(began), len(b.Facts))
			if s.ledgerErr.Swap(nil) != nil {
				s.log.Info("the ledger can be written again")
			}
			return true
		}
		s.metrics.commitFailures.Inc()
		if s.ledgerErr.Swap(&err) == nil {
			s.log.Error("the ledger cannot be written", "error", err)
		}
		if !s.sleep(s.work, retry.pause(try)) {
			return false
		}
	}
}

// committed ends a transaction whose facts are durable, and rouses whom they concern.
func (s *sequencer) committed(t *transaction) {
	answer := transport.Settlement{Outcome: transport.Accepted}
	if t.letter != nil {
		answer = transport.Settlement{Outcome: transport.Rejected, Err: t.err}
	} else {
		t.decide()
	}
	s.endParking(t)
	// A transaction of its own may rouse a parked event that it was itself; that one is gone by now.
	var concerned []*parkedEvent
	for _, f := range t.learned {
		for p := range s.awaited[f.Query] {
			concerned = append(concerned, p)
		}
	}
	slices.SortFunc(concerned, (*parkedEvent).compare)
	for _, p := range concerned {
		s.rouse(p)
	}
	s.finish(t, answer)
}

// decide says what became of a transaction that was committed.
func (t *transaction) decide() {
	switch {
	case t.waits:
		t.outcome = outcomeParked
	case t.returns == translate.ReturningDrop:
		t.outcome = outcomeDropped
	case t.returns != translate.ReturningRestore && len(t.outputs) == 0:
		t.outcome = outcomeLearned
	default:
		t.outcome = outcomeDelivered
	}
}

// ended counts the end of a transaction and of the deliveries that wait for it, before they are answered: who was answered finds
// itself counted.
func (s *sequencer) ended(t *transaction, answer transport.Outcome) {
	now, a := s.clock.Now(), t.relay.account
	if answer == transport.Accepted {
		for _, d := range t.settles {
			a.delivery.Observe(now.Sub(d.at).Seconds())
		}
	}
	if answer != transport.Retried {
		if t.outcome == outcomeDelivered && t.event.Time > 0 {
			a.delay.Observe(max(0, now.Sub(time.UnixMilli(t.event.Time)).Seconds()))
		}
		if t.resumed && t.outcome != outcomeParked {
			a.waited.Observe(now.Sub(t.received).Seconds())
		}
	}
	a.end(t, t.outcome)
	if t.trace == nil {
		return
	}
	var failed error
	code, others := "", outcomeJoined
	switch {
	case t.outcome == outcomeRetried:
		failed, others = errStopped, outcomeRetried
	case t.letter != nil:
		code = t.letter.Code
	}
	t.commit.done(failed, now)
	t.trace.end(t.outcome, code, now)
	for _, d := range t.settles {
		if d.trace != t.trace {
			d.trace.end(others, "", now)
		}
	}
}

// ledgerHealth is why the ledger does not work at the moment: what it answered last, or what a commit under way waits for.
func (s *sequencer) ledgerHealth() error {
	if err := pointed(s.ledgerErr.Load()); err != nil {
		return err
	}
	if store, ok := s.store.(interface{ Health() error }); ok {
		return store.Health()
	}
	return nil
}
