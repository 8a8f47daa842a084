package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"pgregory.net/rapid"

	"github.com/eiffelbridge/eiffelbridge/internal/accounting"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

// scrape is what /metrics answers about the accounts of the relays.
func scrape(t interface{ Fatal(...any) }, d *Daemon) string {
	registry := prometheus.NewRegistry()
	registry.MustRegister(d.metrics.accounts)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&b, f); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// tally is what the far side of a relay saw in one life of it.
type tally struct {
	mu       sync.Mutex
	taken    int64
	refused  int64
	open     int64
	outcomes map[transport.Outcome]int64
}

func (l *tally) deliver(g *rig, text []byte) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	l.mu.Lock()
	l.taken++
	l.open++
	l.mu.Unlock()
	g.source.open.Add(1)
	err := g.source.handler(ctx, transport.Delivery{Message: transport.Message{ID: "x", Data: text}, Settle: func(s transport.Settlement) {
		l.mu.Lock()
		l.outcomes[s.Outcome]++
		l.open--
		l.mu.Unlock()
		g.source.open.Done()
	}})
	if err != nil {
		l.mu.Lock()
		l.taken--
		l.open--
		l.refused++
		l.mu.Unlock()
		g.source.open.Done()
	}
}

// compare checks the counts of the relay against what the far side saw.
func (l *tally) compare(t *rapid.T, d *Daemon) accounting.Counts {
	relays, err := accounting.Read(strings.NewReader(scrape(t, d)))
	if err != nil {
		t.Fatal(err)
	}
	c := relays["r"]
	l.mu.Lock()
	defer l.mu.Unlock()
	accepted, rejected, retried := l.outcomes[transport.Accepted], l.outcomes[transport.Rejected], l.outcomes[transport.Retried]
	if c.Received != l.taken || c.Refused != l.refused || c.Settled["retried"] != retried || c.Accepted() != accepted+rejected ||
		c.Settled["dead_lettered"] > rejected || c.Settled["dead_lettered"]+c.Settled["joined"] < rejected {
		t.Fatalf("the far side: %+v\nthe relay: %+v", l.outcomes, c)
	}
	return c
}

// TestCountersAddUp lets everything go wrong at random, and wants every equation of docs/operations.md to hold exactly whenever the
// relay is at rest, and what the far side saw to be what was counted.
func TestCountersAddUp(t *testing.T) {
	seen := map[string]int64{}
	rapid.Check(t, func(r *rapid.T) {
		chance := rand.New(rand.NewSource(rapid.Int64().Draw(r, "seed")))
		var lock sync.Mutex
		bad := 0.3
		roll := func(of float64) bool {
			lock.Lock()
			defer lock.Unlock()
			return chance.Float64() < of*bad
		}
		g := &rig{t: t, sink: &fakeSink{ordered: rapid.Bool().Draw(r, "ordered")}, letters: &fakeLetters{}, store: newFakeStore(), clock: newFakeClock(), tr: &fakeTranslator{}}
		g.sink.fate = func(m transport.Message) error {
			switch {
			case roll(0.4):
				return &transport.PermanentError{Err: errors.New("never")}
			case roll(1):
				return errors.New("not now")
			}
			return nil
		}
		g.store.fail = func(int) error {
			if roll(0.5) {
				return errors.New("the disk is full")
			}
			return nil
		}
		start := func() *tally {
			g.start(func(s *RelaySettings) {
				s.MaxInFlight, s.Retry.GiveUpAfter = 8, 3*time.Second
			})
			<-g.source.ready
			return &tally{outcomes: map[transport.Outcome]int64{}}
		}
		life := start()
		var past [][]byte
		known := func(c accounting.Counts) {
			for name, of := range map[string]map[string]int64{"settled": c.Settled, "late": c.Late, "unparked": c.Unparked} {
				for o, n := range of {
					seen[name+" "+o] += n
				}
			}
			seen["refused"] += c.Refused
			seen["found"] += c.ParkedFound
			seen["synthesized"] += c.Synthesized
			seen["retries"] += c.Retries
		}
		// rest lets everything come to its end, and then checks that all adds up.
		rest := func(r *rapid.T) {
			g.store.setReadErr(nil)
			lock.Lock()
			was := bad
			bad = 0
			lock.Unlock()
			g.letters.mu.Lock()
			g.letters.fail = nil
			g.letters.mu.Unlock()
			g.sink.release()
			for end := time.Now().Add(patience); ; {
				time.Sleep(200 * time.Microsecond)
				g.sink.release()
				g.clock.advance(500 * time.Millisecond)
				life.mu.Lock()
				open := life.open
				life.mu.Unlock()
				err := accounting.Check(strings.NewReader(scrape(r, g.d)))
				if open == 0 && err == nil {
					break
				}
				if time.Now().After(end) {
					r.Fatalf("%d deliveries are open: %v", open, err)
				}
			}
			life.compare(r, g.d)
			lock.Lock()
			bad = was
			lock.Unlock()
		}
		r.Repeat(map[string]func(*rapid.T){
			"event": func(r *rapid.T) {
				subject := rapid.SampledFrom([]string{"shop", "cart", "sofa"}).Draw(r, "subject")
				kind := rapid.SampledFrom([]string{"", "", "", "|anchor", "|many=3", "|drop", "|learn", "|reads=shop", "|needs=sofa", "|needs=never", "|invalid", "|panic"}).Draw(r, "kind")
				past = append(past, []byte(eventAt(fmt.Sprintf("e%03d%s", len(past), kind), subject, int64(1000+len(past)))))
				life.deliver(g, past[len(past)-1])
			},
			"poison": func(r *rapid.T) {
				life.deliver(g, []byte(rapid.SampledFrom([]string{`{"a":`, `{}`, `{"meta":{"type":"EiffelX"}}`}).Draw(r, "text")))
			},
			"again": func(r *rapid.T) {
				if len(past) > 0 {
					life.deliver(g, past[len(past)-1-rapid.IntRange(0, min(5, len(past)-1)).Draw(r, "back")])
				}
			},
			"pause": func(*rapid.T) { time.Sleep(200 * time.Microsecond) },
			"time": func(r *rapid.T) {
				g.clock.advance(time.Duration(rapid.IntRange(1, 8000).Draw(r, "ms")) * time.Millisecond)
			},
			"hold":       func(*rapid.T) { g.sink.holdOn() },
			"let go":     func(*rapid.T) { g.sink.release() },
			"unreadable": func(*rapid.T) { g.store.setReadErr(errors.New("unreadable")) },
			"readable":   func(*rapid.T) { g.store.setReadErr(nil) },
			"no letters": func(r *rapid.T) {
				g.letters.mu.Lock()
				g.letters.fail = nil
				if rapid.Bool().Draw(r, "fails") {
					g.letters.fail = errors.New("no letters")
				}
				g.letters.mu.Unlock()
			},
			"restart": func(r *rapid.T) {
				ctx, cancel := context.WithCancel(context.Background())
				cancel()
				_ = g.d.Shutdown(ctx)
				// Everything is handed back; what is parked is kept.
				if err := accounting.Check(strings.NewReader(scrape(r, g.d))); err != nil {
					r.Fatal(err)
				}
				known(life.compare(r, g.d))
				life = start()
			},
			"rest": rest,
			"": func(r *rapid.T) {
				if err := accounting.CheckBusy(strings.NewReader(scrape(r, g.d))); err != nil {
					r.Fatal(err)
				}
			},
		})
		rest(r)
		known(life.compare(r, g.d))
		g.stop()
	})
	if t.Failed() {
		return
	}
	// The test is worth nothing if what is not rare never happens.
	for _, name := range []string{"settled delivered", "settled learned", "settled dropped", "settled parked", "settled dead_lettered", "settled joined",
		"settled retried", "unparked kept", "refused", "found", "synthesized", "retries"} {
		if seen[name] == 0 {
			t.Errorf("it never happened: %s", name)
		}
	}
	t.Log(seen)
}

// TestRareEndsAreCounted brings about the ends that chance seldom does.
func TestRareEndsAreCounted(t *testing.T) {
	permanent := func(transport.Message) error { return &transport.PermanentError{Err: errors.New("never")} }
	cases := map[string]struct {
		run  func(g *rig, deliver func(id string) chan transport.Settlement)
		want func(c accounting.Counts) bool
	}{
		"refused by the sink after it was handed back": {
			func(g *rig, deliver func(string) chan transport.Settlement) {
				g.sink.hold, g.sink.fate = true, permanent
				c := deliver("a")
				eventually(g.t, "it is at the sink", func() bool { return len(g.sink.ids()) == 1 })
				g.clock.advance(4 * time.Second)
				want(g.t, c, transport.Retried)
				g.sink.release()
			},
			func(c accounting.Counts) bool {
				return c.Settled["retried"] == 1 && c.Late["dead_lettered"] == 1 && c.DeadLetters["undeliverable"] == 1
			},
		},
		"delivered after it was handed back": {
			func(g *rig, deliver func(string) chan transport.Settlement) {
				g.sink.hold = true
				c := deliver("a|anchor")
				eventually(g.t, "it is at the sink", func() bool { return len(g.sink.ids()) == 2 })
				g.clock.advance(4 * time.Second)
				want(g.t, c, transport.Retried)
				g.sink.release()
			},
			func(c accounting.Counts) bool {
				return c.Settled["retried"] == 1 && c.Late["delivered"] == 1 && c.Outputs == 2 && c.Synthesized == 1 && c.Published == 2
			},
		},
		"handed back while its letter was written": {
			func(g *rig, deliver func(string) chan transport.Settlement) {
				gate := make(chan struct{})
				g.letters.gate = gate
				c := deliver("a|panic")
				g.clock.advance(4 * time.Second)
				want(g.t, c, transport.Retried)
				close(gate)
			},
			func(c accounting.Counts) bool {
				return c.Settled["retried"] == 1 && c.Late["dead_lettered"] == 1 && c.DeadLetters["panic"] == 1
			},
		},
		"handed back while it was parked": {
			func(g *rig, deliver func(string) chan transport.Settlement) {
				gate := make(chan struct{})
				g.store.gate = gate
				c := deliver("a|needs=never")
				<-g.store.entered
				g.clock.advance(4 * time.Second)
				want(g.t, c, transport.Retried)
				close(gate)
			},
			func(c accounting.Counts) bool {
				return c.Settled["retried"] == 1 && c.Late["parked"] == 1 && c.ParkedTotal == 1 && c.Parked == 1
			},
		},
		"parked, and met by a redelivery": {
			func(g *rig, deliver func(string) chan transport.Settlement) {
				want(g.t, deliver("a|needs=never"), transport.Accepted)
				want(g.t, deliver("a|needs=never"), transport.Accepted)
			},
			func(c accounting.Counts) bool {
				return c.Settled["parked"] == 1 && c.Settled["joined"] == 1 && c.Parked == 1
			},
		},
		"parked, and delivered when its time is over": {
			func(g *rig, deliver func(string) chan transport.Settlement) {
				want(g.t, deliver("a|needs=never"), transport.Accepted)
				g.clock.advance(DefaultUnresolvedTimeout)
			},
			func(c accounting.Counts) bool {
				return c.Settled["parked"] == 1 && c.Unparked["delivered"] == 1 && c.Outputs == 1 && c.Parked == 0
			},
		},
		"parked, and refused by the sink at last": {
			func(g *rig, deliver func(string) chan transport.Settlement) {
				want(g.t, deliver("a|needs=never"), transport.Accepted)
				g.sink.setFate(permanent)
				g.clock.advance(DefaultUnresolvedTimeout)
				eventually(g.t, "there is a letter", func() bool { return len(g.letters.all()) == 1 })
			},
			func(c accounting.Counts) bool {
				return c.Settled["parked"] == 1 && c.Unparked["dead_lettered"] == 1 && c.DeadLetters["undeliverable"] == 1 && c.Parked == 0
			},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			g := newRig(t, true, func(s *RelaySettings) { s.Retry.GiveUpAfter = 3 * time.Second })
			texts := map[string]string{}
			c.run(g, func(id string) chan transport.Settlement {
				if texts[id] == "" {
					texts[id] = event(id, "shop")
				}
				return g.source.deliver(texts[id])
			})
			var err error
			for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
				text := scrape(t, g.d)
				if err = accounting.Check(strings.NewReader(text)); err != nil {
					continue
				}
				relays, _ := accounting.Read(strings.NewReader(text))
				if c.want(relays["r"]) {
					return
				}
				err = fmt.Errorf("%+v", relays["r"])
			}
			t.Fatal(err)
		})
	}
}
