package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/eiffelbridge/eiffelbridge/daemon/ledger"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
	"github.com/eiffelbridge/eiffelbridge/translate"
	records "github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

var bothSinks = map[string]bool{"ordered": true, "unordered": false}

func each(t *testing.T, f func(t *testing.T, ordered bool)) {
	for name, ordered := range bothSinks {
		t.Run(name, func(t *testing.T) { f(t, ordered) })
	}
}

func TestNothingIsAcceptedBeforeConfirmAndCommit(t *testing.T) {
	each(t, func(t *testing.T, ordered bool) {
		g := newRig(t, ordered, nil)
		g.sink.hold = true
		g.store.gate = make(chan struct{})
		a := g.source.deliver(event("a", "shop"))
		eventually(t, "published", func() bool { return len(g.sink.ids()) == 1 })
		wantOpen(t, a)
		select {
		case <-g.store.entered:
			t.Fatal("facts were committed before the sink confirmed")
		default:
		}
		g.sink.release()
		<-g.store.entered
		wantOpen(t, a) // confirmed, not committed
		close(g.store.gate)
		want(t, a, transport.Accepted)
		m := g.sink.log[0]
		if len(m.Extensions) != 1 || m.Extensions["traceparent"] != "trace" {
			t.Errorf("extensions passed on: %v", m.Extensions)
		}
	})
}

func TestDeliveryWithoutOutputsCommitsBeforeItIsAccepted(t *testing.T) {
	g := newRig(t, true, nil)
	g.store.gate = make(chan struct{})
	a := g.source.deliver(event("a|drop", "shop"))
	<-g.store.entered
	wantOpen(t, a)
	close(g.store.gate)
	want(t, a, transport.Accepted)
	if n := len(g.sink.ids()); n != 0 {
		t.Errorf("%d messages published", n)
	}
}

func TestSuccessorsSeeFactsThatAreNotDurableYet(t *testing.T) {
	g := newRig(t, true, nil)
	g.sink.hold = true
	a, b := g.source.deliver(event("a", "shop")), g.source.deliver(event("b", "shop"))
	eventually(t, "both are pipelined", func() bool { return len(g.sink.ids()) == 2 })
	equal(t, g.sink.texts(), []string{`{"id":"a","behind":""}`, `{"id":"b","behind":"a"}`})
	g.sink.release()
	want(t, a, transport.Accepted)
	want(t, b, transport.Accepted)
}

func TestUnorderedSinkWaitsForPredecessorsOnly(t *testing.T) {
	// Events of one subject keep their order whatever they touch in the ledger, be it nothing.
	for _, commands := range []string{"", "|bare"} {
		g := newRig(t, false, nil)
		g.sink.hold = true
		g.source.deliver(event("a"+commands, "shop"))
		g.source.deliver(event("b"+commands, "shop"))
		g.source.deliver(event("c"+commands, "cart"))
		eventually(t, "c", func() bool { return len(g.sink.ids()) == 2 })
		time.Sleep(10 * time.Millisecond)
		ids := g.sink.ids()
		slices.Sort(ids)
		equal(t, ids, []string{"a", "c"})
		g.sink.release()
		eventually(t, "b", func() bool { return len(g.sink.ids()) == 3 })
		if last := g.sink.ids()[2]; last != "b" {
			t.Errorf("last is %s", last)
		}
	}
}

func TestAnchorsGoFirst(t *testing.T) {
	each(t, func(t *testing.T, ordered bool) {
		g := newRig(t, ordered, nil)
		g.sink.setFate(func(m transport.Message) error {
			if m.ID == "anchor-a" && len(g.sink.good) == 0 && len(g.sink.log) < 3 {
				return errors.New("down")
			}
			return nil
		})
		a := g.source.deliver(event("a|anchor", "shop"))
		eventually(t, "failed", func() bool { return len(g.sink.ids()) >= 1 })
		if !ordered {
			time.Sleep(10 * time.Millisecond)
			equal(t, g.sink.ids(), []string{"anchor-a"}) // what follows is not sent while the anchor is not there
		}
		g.settleBy(a)
		ids := g.sink.ids()
		equal(t, ids[len(ids)-2:], []string{"anchor-a", "a"})
	})
}

// settleBy moves the clock until a delivery is accepted.
func (g *rig) settleBy(c chan transport.Settlement) {
	g.t.Helper()
	for range 2000 {
		select {
		case s := <-c:
			if s.Outcome != transport.Accepted {
				g.t.Fatalf("settled %d: %v", s.Outcome, s.Err)
			}
			return
		case <-time.After(time.Millisecond):
			g.clock.advance(50 * time.Millisecond)
		}
	}
	g.t.Fatal("never settled")
}

func TestWhatArrivedIsNotSentAgain(t *testing.T) {
	each(t, func(t *testing.T, ordered bool) {
		g := newRig(t, ordered, nil)
		failures := 0
		g.sink.setFate(func(m transport.Message) error {
			if m.ID == "a" && failures < 3 {
				failures++
				return errors.New("down")
			}
			return nil
		})
		g.settleBy(g.source.deliver(event("a|anchor", "shop")))
		equal(t, g.sink.ids(), []string{"anchor-a", "a", "a", "a", "a"})
	})
}

func TestTemporaryFailureKeepsTheOrder(t *testing.T) {
	g := newRig(t, true, nil)
	g.sink.hold = true
	failed := false
	g.sink.setFate(func(m transport.Message) error {
		if m.ID == "a" && !failed {
			failed = true
			return errors.New("connection lost")
		}
		return nil
	})
	a, b, c := g.source.deliver(event("a", "shop")), g.source.deliver(event("b", "shop")), g.source.deliver(event("c", "cart"))
	eventually(t, "published", func() bool { return len(g.sink.ids()) == 3 })
	calls := g.tr.calls.Load()
	g.sink.release()
	want(t, c, transport.Accepted)
	wantOpen(t, b) // delivered, but what it rests on is not
	late := g.source.deliver(event("d", "shop"))
	time.Sleep(10 * time.Millisecond)
	equal(t, g.sink.ids(), []string{"a", "b", "c"})
	g.settleBy(a)
	want(t, b, transport.Accepted)
	want(t, late, transport.Accepted)
	equal(t, g.sink.ids(), []string{"a", "b", "c", "a", "b", "d"})
	if got := g.tr.calls.Load() - calls; got < 2*3 {
		t.Errorf("%d translations after the failure; a, b and d are translated anew", got)
	}
}

func TestPermanentFailure(t *testing.T) {
	each(t, func(t *testing.T, ordered bool) {
		g := newRig(t, ordered, nil)
		g.sink.hold = true
		g.sink.setFate(func(m transport.Message) error {
			if m.ID == "a" {
				return &transport.PermanentError{Err: errors.New("too large")}
			}
			return nil
		})
		a, b := g.source.deliver(event("a", "shop")), g.source.deliver(event("b", "shop"))
		eventually(t, "published", func() bool { return len(g.sink.ids()) >= 1 })
		if ordered {
			eventually(t, "published", func() bool { return len(g.sink.ids()) == 2 })
		}
		g.sink.release()
		want(t, a, transport.Rejected)
		want(t, b, transport.Accepted)
		texts := g.sink.texts()
		if last := texts[len(texts)-1]; last != `{"id":"b","behind":""}` {
			t.Errorf("b was not translated anew: %s", last)
		}
		letters := g.letters.all()
		if len(letters) != 1 || letters[0].Code != CodeUndeliverable || letters[0].EventID != "a" || letters[0].Attempts != 1 {
			t.Errorf("dead letters: %+v", letters)
		}
		read, _ := g.store.Store.Read(t.Context(), []records.Query{lineQuery("shop")})
		if head, _ := records.DecodeHead(read[0].Bytes); head.Entries != 1 || head.Last.ID != "b" {
			t.Errorf("the ledger learned %+v", head)
		}
	})
}

func TestWritersWaitForEarlierReaders(t *testing.T) {
	g := newRig(t, false, nil)
	g.sink.hold = true
	a := g.source.deliver(event("a|reads=cart", "shop"))
	b := g.source.deliver(event("b", "cart"))
	eventually(t, "a", func() bool { return len(g.sink.ids()) == 1 })
	time.Sleep(10 * time.Millisecond)
	equal(t, g.sink.ids(), []string{"a"})
	g.sink.release()
	want(t, a, transport.Accepted)
	want(t, b, transport.Accepted)
}

func TestPoison(t *testing.T) {
	for name, c := range map[string]struct{ text, code string }{
		"broken":      {`{"context":`, translate.CodeNotJSON},
		"no event":    {`{}`, translate.CodeNotEvent},
		"invalid":     {event("a|invalid", "shop"), translate.CodeInvalid},
		"panic":       {event("a|panic", "shop"), CodePanic},
		"wrong way":   {`{"meta":{"id":"1","type":"EiffelActivityStartedEvent"}}`, CodeWrongProtocol},
		"not UTF-8":   {"{\"a\":\"\xff\"}", translate.CodeNotJSON},
		"empty bytes": {"", translate.CodeNotJSON},
	} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t, true, nil)
			g.letters.fail = errors.New("disk full")
			a := g.source.deliver(c.text)
			wantOpen(t, a) // not before the letter is durable
			g.letters.mu.Lock()
			g.letters.fail = nil
			g.letters.mu.Unlock()
			eventually(t, "letter", func() bool { g.clock.advance(time.Second); return len(g.letters.all()) == 1 })
			s := want(t, a, transport.Rejected)
			if s.Err == nil {
				t.Error("no reason")
			}
			l := g.letters.all()[0]
			if l.Code != c.code || string(l.Event) != c.text || l.Relay != "r" || l.Direction != "eiffel" || l.Received.IsZero() {
				t.Errorf("letter: %+v", l)
			}
			want(t, g.source.deliver(event("good", "shop")), transport.Accepted) // the relay goes on
		})
	}
}

func waits(r *RelaySettings) { r.Unresolved, r.UnresolvedTimeout = Wait, 30*time.Second }

func parkedIn(t *testing.T, s ledger.Store) (n int) {
	t.Helper()
	if err := s.ScanParked(t.Context(), func(ledger.Parked) error { n++; return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestParkedThenResolved(t *testing.T) {
	g := newRig(t, true, waits)
	a := g.source.deliver(event("a|needs=cart", "shop"))
	want(t, a, transport.Accepted)
	if len(g.sink.ids()) != 0 || parkedIn(t, g.store) != 1 {
		t.Fatalf("published %v, parked %d", g.sink.ids(), parkedIn(t, g.store))
	}
	want(t, g.source.deliver(event("b", "other")), transport.Accepted)
	equal(t, g.sink.ids(), []string{"b"})
	b := g.source.deliver(eventAt("c", "cart", 0))
	want(t, b, transport.Accepted)
	eventually(t, "resolved", func() bool { return len(g.sink.ids()) == 3 })
	if last := g.sink.texts()[2]; last != `{"id":"a","behind":"","needed":"c"}` {
		t.Errorf("published %s", last)
	}
	eventually(t, "unparked", func() bool { return parkedIn(t, g.store) == 0 })
	g.store.mu.Lock()
	defer g.store.mu.Unlock()
	for _, b := range g.store.batches {
		if len(b.Unpark) > 0 && len(b.Facts) == 0 {
			t.Error("unparked without its facts")
		}
	}
}

func TestParkedThenDeadline(t *testing.T) {
	g := newRig(t, true, waits)
	text := event("a|needs=cart", "shop")
	want(t, g.source.deliver(text), transport.Accepted)
	g.clock.advance(29 * time.Second)
	want(t, g.source.deliver(text), transport.Accepted) // a redelivery changes nothing
	if len(g.sink.ids()) != 0 {
		t.Fatal("published before the deadline")
	}
	g.clock.advance(2 * time.Second)
	eventually(t, "placeholder", func() bool { return len(g.sink.ids()) == 1 })
	equal(t, g.sink.texts(), []string{`{"id":"a","behind":"","needed":""}`})
	eventually(t, "unparked", func() bool { return parkedIn(t, g.store) == 0 })
}

func TestParkedSurvivesARestart(t *testing.T) {
	g := newRig(t, true, waits)
	want(t, g.source.deliver(event("a|needs=cart", "shop")), transport.Accepted)
	want(t, g.source.deliver(event("b|needs=sofa", "shop")), transport.Accepted)
	g.stop()
	if parkedIn(t, g.store) != 2 {
		t.Fatal("not parked any more")
	}
	// What a waits for becomes known while nobody looks.
	g.clock.advance(10 * time.Second)
	line := records.Line{Entries: []records.Entry{{Stamp: records.Stamp{Time: 0, ID: "c"}}}}
	if err := g.store.Store.Apply(t.Context(), line.Facts(lineQuery("cart").Key)); err != nil {
		t.Fatal(err)
	}
	g.start(waits)
	eventually(t, "resolved", func() bool { return slices.Equal(g.sink.ids(), []string{"a"}) })
	eventually(t, "unparked", func() bool { return parkedIn(t, g.store) == 1 })
	g.clock.advance(19 * time.Second)
	time.Sleep(10 * time.Millisecond)
	equal(t, g.sink.ids(), []string{"a"})
	g.clock.advance(2 * time.Second) // the first deadline holds
	eventually(t, "deadline", func() bool { return slices.Equal(g.sink.ids(), []string{"a", "b"}) })
	eventually(t, "unparked", func() bool { return parkedIn(t, g.store) == 0 })
	if m := g.sink.log[1]; m.Extensions["traceparent"] != "trace" {
		t.Errorf("extensions after a restart: %v", m.Extensions)
	}
}

func TestRousedAndStillMissingKeepsItsDeadline(t *testing.T) {
	g := newRig(t, true, waits)
	want(t, g.source.deliver(event("a|needs=cart", "shop")), transport.Accepted)
	g.d.gen.s.mu.Lock()
	for _, p := range g.d.gen.s.parked {
		g.d.gen.s.rouse(p)
	}
	g.d.gen.s.mu.Unlock()
	eventually(t, "waiting again", func() bool {
		g.d.gen.s.mu.Lock()
		defer g.d.gen.s.mu.Unlock()
		for _, p := range g.d.gen.s.parked {
			return p.state == waiting && g.tr.calls.Load() >= 4
		}
		return false
	})
	g.clock.advance(31 * time.Second)
	eventually(t, "placeholder", func() bool { return len(g.sink.ids()) == 1 })
}

// What is parked for one reason comes back in the order in which it came, whatever brings it back.
func TestParkedComeBackInTheirOrder(t *testing.T) {
	const many = 12
	for name, bring := range map[string]func(g *rig){
		"resolved": func(g *rig) {
			want(g.t, g.source.deliver(eventAt("c", "cart", 0)), transport.Accepted)
		},
		"deadline": func(g *rig) { g.clock.advance(31 * time.Second) },
		"restart": func(g *rig) {
			g.stop()
			g.clock.advance(31 * time.Second)
			g.start(waits)
		},
		"deadline after a restart": func(g *rig) {
			g.stop()
			g.start(waits)
			eventually(g.t, "waiting again", func() bool {
				g.d.gen.s.mu.Lock()
				defer g.d.gen.s.mu.Unlock()
				return len(g.d.gen.s.all) == 0 && len(g.d.gen.relays[0].roused) == 0 &&
					!slices.ContainsFunc(slices.Collect(maps.Values(g.d.gen.s.parked)), func(p *parkedEvent) bool { return p.state != waiting })
			})
			want(g.t, g.source.deliver(event("last|needs=cart", "shop")), transport.Accepted)
			g.clock.advance(31 * time.Second)
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t, true, waits)
			var ids []string
			for i := range many {
				ids = append(ids, fmt.Sprintf("p%d", i))
				want(t, g.source.deliver(event(ids[i]+"|needs=cart", "shop")), transport.Accepted)
			}
			bring(g)
			eventually(t, "all came back", func() bool { return parkedIn(t, g.store) == 0 })
			got := slices.DeleteFunc(g.sink.ids(), func(id string) bool { return id == "c" })
			if name == "deadline after a restart" {
				ids = append(ids, "last")
			}
			equal(t, got, ids)
		})
	}
}

func TestParkedAndUndeliverable(t *testing.T) {
	g := newRig(t, true, waits)
	g.sink.setFate(func(transport.Message) error { return &transport.PermanentError{Err: errors.New("no")} })
	want(t, g.source.deliver(event("a|needs=cart", "shop")), transport.Accepted)
	g.clock.advance(31 * time.Second)
	eventually(t, "dead letter", func() bool { return len(g.letters.all()) == 1 })
	eventually(t, "unparked", func() bool { return parkedIn(t, g.store) == 0 })
}

func TestUnresolvedPolicies(t *testing.T) {
	g := newRig(t, true, func(r *RelaySettings) { r.Unresolved = Fail })
	want(t, g.source.deliver(event("a|needs=cart", "shop")), transport.Rejected)
	if l := g.letters.all(); len(l) != 1 || l[0].Code != translate.CodeUnresolved {
		t.Errorf("dead letters: %+v", l)
	}
	g = newRig(t, true, func(r *RelaySettings) { r.Unresolved = Placeholder })
	want(t, g.source.deliver(event("a|needs=cart", "shop")), transport.Accepted)
	equal(t, g.sink.ids(), []string{"a"})
}

func TestTooManyParkedWaitInFlight(t *testing.T) {
	g := newRig(t, true, waits)
	g.d.gen.s.mu.Lock()
	g.d.gen.s.maxParked = 1
	g.d.gen.s.mu.Unlock()
	want(t, g.source.deliver(event("a|needs=cart", "shop")), transport.Accepted)
	b := g.source.deliver(event("b|needs=cart", "sofa"))
	wantOpen(t, b)
	want(t, g.source.deliver(eventAt("c", "cart", 0)), transport.Accepted)
	g.settleBy(b)
}

func TestBusy(t *testing.T) {
	g := newRig(t, true, func(r *RelaySettings) { r.MaxInFlight = 2 })
	g.sink.hold = true
	a := g.source.deliver(event("a", "shop"))
	g.source.deliver(event("b", "shop"))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	var busy *transport.BusyError
	if _, err := g.source.try(ctx, event("c", "shop")); !errors.As(err, &busy) || busy.RetryAfter <= 0 {
		t.Fatalf("no room, but %v", err)
	}
	got := make(chan chan transport.Settlement)
	go func() { got <- g.source.deliver(event("d", "shop")) }()
	g.sink.release()
	want(t, a, transport.Accepted)
	want(t, <-got, transport.Accepted)
}

func TestRedeliveryInFlightIsJoined(t *testing.T) {
	g := newRig(t, true, nil)
	g.sink.hold = true
	text := event("a", "shop")
	a := g.source.deliver(text)
	again := g.source.deliver(text)
	other := g.source.deliver(strings.Replace(text, `"shop"`, `"cart"`, 1)) // equal ids, another event
	eventually(t, "published", func() bool { return len(g.sink.ids()) == 2 })
	g.sink.release()
	for _, c := range []chan transport.Settlement{a, again, other} {
		want(t, c, transport.Accepted)
	}
	if len(g.sink.ids()) != 2 {
		t.Errorf("published %v", g.sink.ids())
	}
	eventually(t, "every place is free again", func() bool { return len(g.d.gen.relays[0].room) == 0 })
}

func TestGroupCommit(t *testing.T) {
	g := newRig(t, true, nil)
	g.store.gate = make(chan struct{})
	first := g.source.deliver(event("first", "shop"))
	<-g.store.entered
	var rest []chan transport.Settlement
	for i := range 50 {
		rest = append(rest, g.source.deliver(event(fmt.Sprint("e", i), fmt.Sprint("s", i%7))))
	}
	eventually(t, "all are ready", func() bool {
		g.d.gen.s.mu.Lock()
		defer g.d.gen.s.mu.Unlock()
		return len(g.d.gen.s.ready) == 50
	})
	close(g.store.gate)
	want(t, first, transport.Accepted)
	for _, c := range rest {
		want(t, c, transport.Accepted)
	}
	g.store.mu.Lock()
	defer g.store.mu.Unlock()
	if n := len(g.store.batches); n != 2 {
		t.Errorf("%d commits for 51 events, want 2", n)
	}
}

func TestCommitFailureIsRepeated(t *testing.T) {
	g := newRig(t, true, nil)
	g.store.fail = func(n int) error {
		if n < 4 {
			return errors.New("disk full")
		}
		return nil
	}
	a := g.source.deliver(event("a", "shop"))
	<-g.store.entered
	eventually(t, "health", func() bool { return g.d.Health()["ledger"] != nil })
	wantOpen(t, a)
	g.settleBy(a)
	equal(t, g.sink.ids(), []string{"a"})
	if err := g.d.Health()["ledger"]; err != nil {
		t.Errorf("the ledger is well, but %v", err)
	}
}

func TestUnreadableLedgerKeepsTheOrder(t *testing.T) {
	g := newRig(t, false, nil)
	g.store.setReadErr(errors.New("connection refused"))
	var all []chan transport.Settlement
	for i := range 5 {
		all = append(all, g.source.deliver(event(fmt.Sprint("e", i), "shop")))
	}
	for range 5 {
		g.clock.advance(time.Second)
		time.Sleep(2 * time.Millisecond)
	}
	g.store.setReadErr(nil)
	all = append(all, g.source.deliver(event("e5", "shop")))
	g.settleBy(all[0])
	for _, c := range all[1:] {
		want(t, c, transport.Accepted)
	}
	equal(t, g.sink.ids(), []string{"e0", "e1", "e2", "e3", "e4", "e5"})
}

func TestGivingUp(t *testing.T) {
	each(t, func(t *testing.T, ordered bool) {
		g := newRig(t, ordered, func(r *RelaySettings) { r.Retry.GiveUpAfter = 25 * time.Second })
		g.sink.setFate(func(m transport.Message) error { return errors.New("down") })
		a, b := g.source.deliver(event("a", "shop")), g.source.deliver(event("b", "shop"))
		for range 26 {
			g.clock.advance(time.Second)
			time.Sleep(time.Millisecond)
		}
		if s := want(t, a, transport.Retried); s.RetryAfter <= 0 || s.Err == nil || !strings.Contains(s.Err.Error(), "down") {
			t.Errorf("settled %+v", s)
		}
		want(t, b, transport.Retried)
		eventually(t, "nothing is in flight", func() bool {
			g.clock.advance(time.Second)
			g.d.gen.s.mu.Lock()
			defer g.d.gen.s.mu.Unlock()
			return len(g.d.gen.s.all) == 0 && len(g.d.gen.s.overlay) == 0
		})
		g.sink.setFate(nil)
		c := g.source.deliver(event("c", "shop"))
		want(t, c, transport.Accepted)
		texts := g.sink.texts()
		if last := texts[len(texts)-1]; last != `{"id":"c","behind":""}` {
			t.Errorf("c rests on what was given up: %s", last)
		}
	})
}

func TestGivingUpTakesFollowersAlong(t *testing.T) {
	each(t, func(t *testing.T, ordered bool) {
		g := newRig(t, ordered, func(r *RelaySettings) {
			r.Retry.GiveUpAfter = 25 * time.Second
			r.Retry.Initial, r.Retry.Max = time.Hour, time.Hour // no second attempt in between
		})
		g.sink.setFate(func(m transport.Message) error { return errors.New("down") })
		a := g.source.deliver(event("a", "shop"))
		eventually(t, "a has failed", func() bool {
			g.d.gen.s.mu.Lock()
			defer g.d.gen.s.mu.Unlock()
			return len(g.d.gen.s.stale) == 1
		})
		g.clock.advance(20 * time.Second)
		b := g.source.deliver(event("b", "shop")) // its own time is not over when a's is
		g.sink.setFate(nil)
		g.clock.advance(6 * time.Second)
		want(t, a, transport.Retried)
		want(t, b, transport.Retried)
		if ids := g.sink.ids(); slices.Contains(ids, "b") {
			t.Errorf("b was published without a: %v", ids)
		}
	})
}

func TestGivenUpButStillAtTheSink(t *testing.T) {
	g := newRig(t, false, func(r *RelaySettings) { r.Retry.GiveUpAfter = 25 * time.Second })
	g.sink.hold = true
	text := event("a", "shop")
	a := g.source.deliver(text)
	eventually(t, "published", func() bool { return len(g.sink.ids()) == 1 })
	g.clock.advance(26 * time.Second)
	want(t, a, transport.Retried)
	again := g.source.deliver(text) // meets the first
	wantOpen(t, again)
	g.sink.release()
	want(t, again, transport.Accepted)
	equal(t, g.sink.ids(), []string{"a"})
}

func TestGivenUpBeforeItsLetterCouldBeWritten(t *testing.T) {
	for name, text := range map[string]string{"unreadable": "not json", "invalid": event("a|invalid", "shop")} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t, true, func(r *RelaySettings) { r.Retry.GiveUpAfter = 25 * time.Second })
			g.letters.fail = errors.New("disk full")
			for range 3 {
				a := g.source.deliver(text)
				wantOpen(t, a)
				g.clock.advance(26 * time.Second)
				want(t, a, transport.Retried)
				eventually(t, "nothing is kept", func() bool {
					g.d.gen.s.mu.Lock()
					defer g.d.gen.s.mu.Unlock()
					return len(g.d.gen.s.all) == 0 && len(g.d.gen.relays[0].room) == 0
				})
			}
			g.letters.mu.Lock()
			g.letters.fail = nil
			g.letters.mu.Unlock()
			want(t, g.source.deliver(text), transport.Rejected)
			if n := len(g.letters.all()); n == 0 {
				t.Error("no dead letter")
			}
		})
	}
}

func TestRedeliveryDoesNotPutOffGivingUp(t *testing.T) {
	g := newRig(t, false, func(r *RelaySettings) { r.Retry.GiveUpAfter = 25 * time.Second })
	g.sink.hold = true
	text := event("a", "shop")
	a := g.source.deliver(text)
	eventually(t, "published", func() bool { return len(g.sink.ids()) == 1 })
	g.clock.advance(20 * time.Second)
	again := g.source.deliver(text)
	eventually(t, "the redelivery has joined", func() bool {
		g.d.gen.s.mu.Lock()
		defer g.d.gen.s.mu.Unlock()
		for tx := range g.d.gen.s.all {
			if len(tx.settles) == 2 {
				return true
			}
		}
		return false
	})
	g.clock.advance(6 * time.Second)
	want(t, a, transport.Retried)
	want(t, again, transport.Retried)
	third := g.source.deliver(text) // has the whole time again
	eventually(t, "the third delivery is taken", func() bool {
		g.d.gen.s.mu.Lock()
		defer g.d.gen.s.mu.Unlock()
		return len(g.d.gen.s.all) == 1
	})
	g.clock.advance(20 * time.Second)
	wantOpen(t, third)
	g.clock.advance(6 * time.Second)
	want(t, third, transport.Retried)
}

func TestRetryAfterIsHeeded(t *testing.T) {
	g := newRig(t, false, nil)
	n := 0
	g.sink.setFate(func(m transport.Message) error {
		if n++; n == 1 {
			return &transport.RetryAfterError{Err: errors.New("busy"), After: time.Minute}
		}
		return nil
	})
	a := g.source.deliver(event("a", "shop"))
	eventually(t, "failed", func() bool { return len(g.sink.ids()) == 1 })
	for range 59 {
		g.clock.advance(time.Second)
	}
	wantOpen(t, a)
	equal(t, g.sink.ids(), []string{"a"})
	g.settleBy(a)
}

func TestDrain(t *testing.T) {
	g := newRig(t, true, nil)
	g.sink.hold = true
	a := g.source.deliver(event("a", "shop"))
	eventually(t, "published", func() bool { return len(g.sink.ids()) == 1 })
	done := make(chan error)
	go func() { done <- g.d.Shutdown(context.Background()) }()
	wantOpen(t, a)
	if _, err := g.source.try(t.Context(), event("b", "shop")); err == nil {
		t.Error("a delivery was taken while stopping")
	}
	g.sink.release()
	want(t, a, transport.Accepted)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := g.d.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestShutdownHandsBackWhatDoesNotEnd(t *testing.T) {
	each(t, func(t *testing.T, ordered bool) {
		g := newRig(t, ordered, nil)
		g.sink.setFate(func(m transport.Message) error {
			if m.ID == "b" {
				return errors.New("down")
			}
			return nil
		})
		want(t, g.source.deliver(event("a", "shop")), transport.Accepted)
		b, c := g.source.deliver(event("b", "shop")), g.source.deliver(event("c", "shop"))
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if err := g.d.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		want(t, b, transport.Retried)
		want(t, c, transport.Retried)
	})
}

func TestShutdownBeforeStart(t *testing.T) {
	g := newRig(t, true, nil)
	d, err := New(g.d.settings)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := d.Start(t.Context()); err == nil {
		t.Error("started after the shutdown")
	}
	if err := d.Wait(); err != nil {
		t.Error(err)
	}
}

func TestFatalSource(t *testing.T) {
	g := newRig(t, true, nil)
	s := g.d.settings
	source := newFakeSource()
	source.fail = errors.New("no such queue")
	s.Sources = map[string]transport.Source{"in": source}
	d, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	err = d.Wait()
	if err == nil || !strings.Contains(err.Error(), "transport in") || !strings.Contains(err.Error(), "no such queue") {
		t.Errorf("waited: %v", err)
	}
	if err := d.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// blockingSink has a window of one message.
type blockingSink struct {
	*fakeSink
	window chan struct{}
}

func (b *blockingSink) Publish(ctx context.Context, messages []transport.Message, done func(int, error)) {
	for i := range messages {
		select {
		case b.window <- struct{}{}:
		case <-ctx.Done():
			done(i, ctx.Err())
			continue
		}
		b.fakeSink.Publish(ctx, messages[i:i+1], func(_ int, err error) { done(i, err) })
	}
}

// TestTakenBackFromTheQueue fails a predecessor while its successor waits for the sink's window.
func TestTakenBackFromTheQueue(t *testing.T) {
	g := newRig(t, true, nil)
	sink := &blockingSink{&fakeSink{ordered: true}, make(chan struct{}, 2)}
	s := g.d.settings
	g.source = newFakeSource()
	s.Sources = map[string]transport.Source{"in": g.source}
	s.Sinks = map[string]transport.Sink{"out": sink}
	d, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		_ = d.Shutdown(ctx)
	}()
	sink.hold = true
	failed := false
	sink.setFate(func(m transport.Message) error {
		if m.ID == "a" && !failed {
			failed = true
			return errors.New("connection lost")
		}
		return nil
	})
	a := g.source.deliver(event("a", "shop"))
	x := g.source.deliver(event("x", "cart"))
	eventually(t, "the window is full", func() bool { return len(sink.ids()) == 2 })
	y := g.source.deliver(event("y", "cart")) // blocks the queue
	b := g.source.deliver(event("b", "shop"))
	sink.release() // a fails; x is done
	want(t, x, transport.Accepted)
	g.clock.advance(time.Second)
	eventually(t, "a stands behind b's old place", func() bool {
		d.gen.s.mu.Lock()
		defer d.gen.s.mu.Unlock()
		return len(d.gen.outlets["out"].queue) == 2 // b waits until a, which failed before, is done
	})
	for range 4 {
		<-sink.window
	}
	want(t, y, transport.Accepted)
	want(t, a, transport.Accepted)
	want(t, b, transport.Accepted)
	equal(t, sink.ids(), []string{"a", "x", "y", "a", "b"})
}

func TestAlarms(t *testing.T) {
	clock := newFakeClock()
	a := newAlarms(clock)
	defer a.close()
	rung := make(chan int, 10)
	var list []*alarm
	for _, s := range []int{5, 1, 3, 2, 4} {
		list = append(list, a.at(clock.Now().Add(time.Duration(s)*time.Second), func() { rung <- s }))
	}
	a.cancel(list[2])
	a.cancel(list[2])
	a.cancel(nil)
	clock.advance(4 * time.Second)
	for _, want := range []int{1, 2, 4} {
		if got := <-rung; got != want {
			t.Errorf("%d rang, want %d", got, want)
		}
	}
	for i := range 9 {
		a.at(clock.Now().Add(2*time.Second), func() { rung <- i })
	}
	clock.advance(2 * time.Second)
	if got := <-rung; got != 5 {
		t.Errorf("%d rang, want 5", got)
	}
	for want := range 9 {
		if got := <-rung; got != want {
			t.Errorf("%d rang, want %d: they were set for one time", got, want)
		}
	}
	a.cancel(list[1])
	a.close()
	clock.advance(time.Hour)
	if len(rung) > 0 {
		t.Error("an alarm rang after close")
	}
}

// translatorFunc is a translator for one test; read looks a subject's line up, or says that it must be asked for first.
type translatorFunc func(id string, read func(subject string) bool) (writes string)

func (f translatorFunc) Translate(in translate.Event, facts *records.Facts) (translate.Result, error) {
	var need []records.Query
	var saw []string
	writes := f(in.ID, func(subject string) bool {
		record, ok := facts.Get(lineQuery(subject))
		if !ok {
			need = append(need, lineQuery(subject))
		}
		if len(record) > 0 {
			saw = append(saw, subject)
		}
		return len(record) > 0
	})
	if len(need) > 0 {
		return translate.Result{Need: need}, nil
	}
	result := translate.Result{Events: []translate.Event{{ID: in.ID, JSON: []byte(fmt.Sprintf("%q", saw))}}}
	if writes != "" {
		delta := records.Head{Entries: 1, Last: records.Entry{Stamp: records.Stamp{ID: in.ID}}}
		result.Learned = []records.Fact{{Query: lineQuery(writes), Record: delta.Encode()}}
	}
	return result, nil
}

// TestNewFactsReachThoseWhoLookedBefore has b learn something only after a has failed, which c has looked for in vain
// meanwhile.
func TestNewFactsReachThoseWhoLookedBefore(t *testing.T) {
	g := newRig(t, true, func(r *RelaySettings) {
		r.Translator = translatorFunc(func(id string, read func(string) bool) string {
			switch id {
			case "a":
				return "one"
			case "b":
				if !read("one") {
					return "two"
				}
			case "c":
				read("two")
			}
			return ""
		})
	})
	g.sink.hold = true
	g.sink.setFate(func(m transport.Message) error {
		if m.ID == "a" {
			return &transport.PermanentError{Err: errors.New("no")}
		}
		return nil
	})
	a, b, c := g.source.deliver(event("a", "")), g.source.deliver(event("b", "")), g.source.deliver(event("c", ""))
	eventually(t, "published", func() bool { return len(g.sink.ids()) == 3 })
	// The sink answers a first, so that c is still open when b learns.
	g.sink.mu.Lock()
	first := g.sink.held[0]
	g.sink.held = g.sink.held[1:]
	g.sink.mu.Unlock()
	first()
	want(t, a, transport.Rejected)
	g.sink.release()
	want(t, b, transport.Accepted)
	want(t, c, transport.Accepted)
	texts := g.sink.texts()
	equal(t, texts[len(texts)-2:], []string{`[]`, `["two"]`})
}

// BenchmarkRelay has sinks and sources that cost nothing: what remains is the relay itself, without traces and with them.
func BenchmarkRelay(b *testing.B) {
	for _, c := range []struct {
		name    string
		ordered bool
		tracer  trace.TracerProvider
	}{
		{"ordered", true, nil},
		{"unordered", false, nil},
		{"traced", true, sdktrace.NewTracerProvider(sdktrace.WithBatcher(tracetest.NewNoopExporter()))},
	} {
		b.Run(c.name, func(b *testing.B) {
			r := DefaultRelay()
			r.Name, r.From, r.To, r.Translate, r.Translator = "r", "in", "out", translate.Eiffel, translatorFunc(
				func(id string, read func(string) bool) string { read(id); return id })
			source, sink := newFakeSource(), &fakeSink{ordered: c.ordered}
			d, err := New(Settings{
				Sources: map[string]transport.Source{"in": source}, Sinks: map[string]transport.Sink{"out": sink},
				Relays: []RelaySettings{r}, Ledger: ledger.NewMemory(), Letters: &fakeLetters{},
				Tracer: c.tracer,
			})
			if err != nil {
				b.Fatal(err)
			}
			if err := d.Start(b.Context()); err != nil {
				b.Fatal(err)
			}
			<-source.ready
			n := 0
			for b.Loop() {
				n++
				source.open.Add(1)
				err := source.handler(b.Context(), transport.Delivery{
					Message: transport.Message{Data: []byte(eventAt(fmt.Sprint(n), "s", int64(n)))},
					Settle:  func(transport.Settlement) { source.open.Done() },
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			if err := d.Shutdown(context.Background()); err != nil {
				b.Fatal(err)
			}
		})
	}
}

func TestClockSetBack(t *testing.T) {
	each(t, func(t *testing.T, ordered bool) {
		g := newRig(t, ordered, func(r *RelaySettings) { r.Retry.Initial, r.Retry.Max = time.Second, time.Second })
		g.sink.setFate(func(m transport.Message) error { return errors.New("down") })
		a := g.source.deliver(event("a", "shop"))
		eventually(t, "a has failed", func() bool {
			g.d.gen.s.mu.Lock()
			defer g.d.gen.s.mu.Unlock()
			return len(g.d.gen.s.stale) == 1
		})
		g.sink.setFate(nil)
		g.clock.setBack(2 * time.Hour)
		g.settleBy(a) // within seconds
	})
}
