package daemon

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/eiffelbridge/eiffelbridge/daemon/ledger"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
	"github.com/eiffelbridge/eiffelbridge/translate"
	records "github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// world is what outlives a process: a broker with a queue of events, a sink, a ledger, dead letters.
type world struct {
	store   ledger.Store
	letters *fakeLetters
	ordered bool

	mu       sync.Mutex
	events   []string
	subjects []string
	settled  []bool
	loose    map[int]bool        // delivered again while its successors were in flight, which no broker does in order
	good     []transport.Message // durable at the sink, in order
	chance   *rand.Rand
	failures float64
}

// process is one life of the relay.
type process struct {
	w      *world
	mu     sync.Mutex
	gone   bool
	source *fakeSource
	store  *fakeStore
	d      *Daemon
	next   int // the broker has delivered what comes before, as far as it is not settled
}

func (p *process) dead() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gone
}

// Publish implements the sink of a process: it fails at random and answers late, and says nothing true once the process is
// gone.
func (p *process) Publish(ctx context.Context, messages []transport.Message, done func(int, error)) {
	w := p.w
	for i, m := range messages {
		w.mu.Lock()
		err := error(nil)
		roll := w.chance.Float64()
		wait := time.Duration(w.chance.Intn(300)) * time.Microsecond
		switch {
		case p.dead():
			err = errors.New("the process is gone")
		case roll < w.failures:
			err = errors.New("failed before it was durable")
		default:
			w.good = append(w.good, m)
			if roll < 1.2*w.failures {
				err = errors.New("durable, but the confirm was lost")
			}
		}
		w.mu.Unlock()
		if w.ordered && wait > 150*time.Microsecond {
			done(i, err)
			continue
		}
		go func() {
			time.Sleep(wait)
			done(i, err)
		}()
	}
}

func (p *process) Ordered() bool               { return p.w.ordered }
func (p *process) Health() error               { return nil }
func (p *process) Close(context.Context) error { time.Sleep(2 * time.Millisecond); return nil }

func (w *world) begin(t *rapid.T) *process {
	p := &process{w: w, source: newFakeSource()}
	p.store = &fakeStore{Store: w.store, entered: make(chan struct{}, 1)}
	p.store.fail = func(int) error {
		w.mu.Lock()
		wait, bad := time.Duration(w.chance.Intn(800))*time.Microsecond, w.chance.Float64() < w.failures/4
		w.mu.Unlock()
		time.Sleep(wait)
		if bad {
			return errors.New("the disk is full")
		}
		return nil
	}
	r := DefaultRelay()
	r.Name, r.From, r.To, r.Translate, r.Translator = "r", "in", "out", translate.Eiffel, &fakeTranslator{}
	r.Unresolved = Placeholder
	r.Retry = Retry{Initial: 200 * time.Microsecond, Max: time.Millisecond, Multiplier: 2}
	r.MaxInFlight = 16
	d, err := New(Settings{
		Sources: map[string]transport.Source{"in": p.source}, Sinks: map[string]transport.Sink{"out": p},
		Relays: []RelaySettings{r}, Ledger: p.store, Letters: w.letters,
	})
	if err != nil {
		t.Fatal(err)
	}
	p.d = d
	if err := d.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	<-p.source.ready
	return p
}

// deliver makes a delivery; false if the relay has no room.
func (p *process) deliver(n int) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	p.source.open.Add(1)
	err := p.source.handler(ctx, transport.Delivery{
		Message: transport.Message{Data: []byte(p.w.events[n])},
		Settle: func(s transport.Settlement) {
			defer p.source.open.Done()
			p.mu.Lock()
			gone := p.gone
			p.mu.Unlock()
			if gone || s.Outcome == transport.Retried {
				return
			}
			p.w.mu.Lock()
			p.w.settled[n] = true
			p.w.mu.Unlock()
		},
	})
	if err != nil {
		p.source.open.Done()
	}
	return err == nil
}

// deliverAll makes every delivery that is due in this life, in order, as far as there is room.
func (p *process) deliverAll() {
	for ; p.next < len(p.w.events); p.next++ {
		p.w.mu.Lock()
		settled := p.w.settled[p.next]
		p.w.mu.Unlock()
		if !settled && !p.deliver(p.next) {
			return
		}
	}
}

// crash ends the process: from one moment on nothing that it does has an effect.
func (p *process) crash() {
	p.mu.Lock()
	p.gone = true
	p.store.lost.Store(true)
	p.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = p.d.Shutdown(ctx)
}

// TestNothingIsLost lets the sink fail and the process crash at random while a broker delivers, and delivers again what was not
// settled, in its order.
func TestNothingIsLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{
			store: ledger.NewMemory(), letters: &fakeLetters{},
			ordered:  rapid.Bool().Draw(t, "ordered"),
			chance:   rand.New(rand.NewSource(rapid.Int64().Draw(t, "seed"))),
			failures: rapid.SampledFrom([]float64{0, 0.1, 0.4}).Draw(t, "failures"),
		}
		w.loose = map[int]bool{}
		p := w.begin(t)
		drop := map[int]bool{}
		t.Repeat(map[string]func(*rapid.T){
			"event": func(t *rapid.T) {
				n := len(w.events)
				subject := rapid.SampledFrom([]string{"shop", "cart", "sofa"}).Draw(t, "subject")
				kind := rapid.SampledFrom([]string{"", "", "", "|anchor", "|many=3", "|drop", "|reads=shop", "|reads=sofa"}).Draw(t, "kind")
				w.mu.Lock()
				w.events = append(w.events, eventAt(fmt.Sprintf("e%03d%s", n, kind), subject, int64(1000+n)))
				w.subjects = append(w.subjects, subject)
				w.settled = append(w.settled, false)
				w.mu.Unlock()
				drop[n] = kind == "|drop"
			},
			"deliver": func(t *rapid.T) { p.deliverAll() },
			"redeliver": func(t *rapid.T) {
				if p.next > 0 {
					n := rapid.IntRange(max(0, p.next-4), p.next-1).Draw(t, "n")
					w.loose[n] = true
					p.deliver(n)
				}
			},
			"pause": func(t *rapid.T) { time.Sleep(time.Duration(rapid.IntRange(0, 800).Draw(t, "µs")) * time.Microsecond) },
			"crash": func(t *rapid.T) {
				p.crash()
				p = w.begin(t)
				p.deliverAll()
			},
			"": func(*rapid.T) {},
		})
		w.mu.Lock()
		w.failures /= 2
		w.mu.Unlock()
		for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
			p.deliverAll()
			w.mu.Lock()
			open := slices.Contains(w.settled, false)
			w.mu.Unlock()
			if !open {
				break
			}
			if time.Now().After(end) {
				t.Fatal("some events are never settled")
			}
		}
		if err := p.d.Shutdown(context.Background()); err != nil {
			t.Fatal(err)
		}
		w.verify(t, drop)
	})
}

func (w *world) verify(t *rapid.T, drop map[int]bool) {
	if len(w.letters.list) > 0 {
		t.Fatalf("dead letters: %+v", w.letters.list)
	}
	// A sequential run is the measure.
	measure := ledger.NewMemory()
	session := translate.NewSession(&fakeTranslator{}, measure)
	last := map[string]int{}
	text := map[string]string{}
	for i, m := range w.good {
		last[m.ID] = i
		text[m.ID] = string(m.Data)
	}
	before := map[string]int{}
	for n, e := range w.events {
		result, err := session.Translate(context.Background(), []byte(e))
		if err != nil {
			t.Fatal(err)
		}
		if len(result.Events) == 0 != drop[n] {
			t.Fatalf("event %d: %d outputs", n, len(result.Events))
		}
		for _, out := range result.Events {
			at, ok := last[out.ID]
			if !ok {
				t.Fatalf("%s is not at the sink", out.ID)
			}
			if text[out.ID] != string(out.JSON) {
				t.Fatalf("%s is %s, in a sequential run %s", out.ID, text[out.ID], out.JSON)
			}
			if out.Synthesized || w.loose[n] {
				continue // an anchor stands for itself; it may have arrived long ago
			}
			if prev, ok := before[w.subjects[n]]; ok && at < prev {
				t.Fatalf("%s stands before its predecessor at the sink", out.ID)
			}
			before[w.subjects[n]] = at
		}
	}
	if got, want := dump(t, w.store), dump(t, measure); !slices.Equal(got, want) {
		t.Fatalf("ledger:\n%q\nin a sequential run:\n%q", got, want)
	}
}

func dump(t *rapid.T, l records.Ledger) []string {
	var out []string
	for _, kind := range records.FactKinds() {
		err := l.Scan(context.Background(), kind, func(key string, record []byte) error {
			out = append(out, fmt.Sprintf("%s %s %x", kind, key, record))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}
