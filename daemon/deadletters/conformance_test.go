package deadletters

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eiffelbridge/eiffelbridge/daemon/transports/amqp091"
	"github.com/eiffelbridge/eiffelbridge/internal/rabbittest"
)

// letter is one whose event has no id, so that its bytes tell it.
func letter(text string) Letter {
	return Letter{Relay: "r", Direction: "eiffel", Code: "invalid", Message: "no <good>", Event: []byte(text), Attempts: 2,
		Received: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Extensions: map[string]string{"traceparent": "x"}}
}

// named is a letter of an event with an id.
func named(id, text string) Letter {
	l := letter(text)
	l.Source, l.EventID, l.EventType, l.Pointer = "/ci", id, "dev.cdevents.x", "/subject"
	return l
}

func textsOf(t testing.TB, s Store) []string {
	t.Helper()
	var out []string
	err := s.Scan(t.Context(), func(l Letter) error {
		out = append(out, string(l.Event))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// place is where stores of a kind are made: those of a relay, each as after a restart of it, and those of a command.
type place struct {
	relay, command func() Store
}

var kinds = map[string]func(t *testing.T) place{
	"file": func(t *testing.T) place {
		path := filepath.Join(t.TempDir(), "dead.jsonl")
		make := func() Store { return open(t, path) }
		return place{make, make}
	},
	"exchange": func(t *testing.T) place {
		settings := brokerSettings(t)
		memory := &rememberAll{}
		return place{
			relay: func() Store { return openExchange(t, settings, ExchangeOptions{Memory: memory}) },
			command: func() Store {
				x := ReadExchange(settings)
				t.Cleanup(func() { x.Close() })
				return x
			},
		}
	},
}

func brokerSettings(t *testing.T) amqp091.Settings {
	s := amqp091.DefaultSettings()
	s.URL = rabbittest.Shared(t).URL()
	name := fmt.Sprint(t.Name(), time.Now().UnixNano()) // a test may run twice on one node
	s.Exchange, s.Queue = name, name
	return s
}

func openExchange(t *testing.T, s amqp091.Settings, o ExchangeOptions) *Exchange {
	t.Helper()
	x, err := OpenExchange(s, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
	return x
}

// rememberAll is a memory that outlives the stores of a test.
type rememberAll struct {
	mu   sync.Mutex
	keys map[MemoryKey]bool
	fail error // of Remember
}

func (m *rememberAll) Known(_ context.Context, keys ...MemoryKey) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.ContainsFunc(keys, func(k MemoryKey) bool { return m.keys[k] }), nil
}

func (m *rememberAll) Remember(_ context.Context, key MemoryKey) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	if m.keys == nil {
		m.keys = map[MemoryKey]bool{}
	}
	m.keys[key] = true
	return nil
}

func add(t testing.TB, s Store, letters ...Letter) {
	t.Helper()
	for _, l := range letters {
		if err := s.Append(context.Background(), l); err != nil {
			t.Error(err)
		}
	}
}

// TestStores is what every kind of store must do.
func TestStores(t *testing.T) {
	for kind, make := range kinds {
		for name, test := range map[string]func(t *testing.T, p place){
			"letters": testLetters, "repeats": testRepeats, "versions": testVersions, "take": testTake, "refused again": testRefusedAgain,
			"concurrent": testConcurrent, "closed": testClosed, "durable": testDurable,
		} {
			t.Run(kind+"/"+name, func(t *testing.T) {
				test(t, make(t))
			})
		}
	}
}

func testLetters(t *testing.T, p place) {
	relay, command := p.relay(), p.command()
	want := []Letter{named("1", "a"), letter("b"), letter("\xff\x00"), letter(""), named("2", `{"c":1}`)}
	want[1].Extensions, want[1].Attempts, want[1].Message = nil, 0, strings.Repeat("é", 100)
	add(t, relay, want...)
	var got []Letter
	err := command.Scan(t.Context(), func(l Letter) error {
		if l.Time.IsZero() {
			t.Error("no time")
		}
		l.Time = time.Time{}
		got = append(got, l)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		want[i].ID, want[i].Version = ID(want[i]), Version(want[i])
	}
	if len(got) != len(want) {
		t.Fatalf("%d letters: %+v", len(got), got)
	}
	for i := range want {
		if len(got[i].Event) == 0 {
			got[i].Event = []byte{}
		}
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("letter %d\ngot  %+v\nwant %+v", i, got[i], want[i])
		}
	}
	failed := errors.New("enough")
	if err := command.Scan(t.Context(), func(Letter) error { return failed }); !errors.Is(err, failed) {
		t.Errorf("%v", err)
	}
	if n := len(textsOf(t, command)); n != len(want) {
		t.Errorf("%d letters after reading", n)
	}
}

// testRepeats sends an event again, for the same reason and for another, at the same time, and over a restart.
func testRepeats(t *testing.T, p place) {
	relay := p.relay()
	other := named("1", "a")
	other.Code, other.Message = "unresolved", "something else"
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			if i%2 == 0 {
				add(t, relay, named("1", "a"))
			} else {
				add(t, relay, other)
			}
		})
	}
	all.Wait()
	if err := relay.Close(); err != nil {
		t.Error(err)
	}
	again := p.relay()
	add(t, again, other, named("2", "a"))
	if err := again.Close(); err != nil {
		t.Error(err)
	}
	if got := textsOf(t, p.command()); !slices.Equal(got, []string{"a", "a"}) {
		t.Errorf("letters %q", got)
	}
	groups, _, err := Gather(t.Context(), p.command(), 0, nil)
	if err != nil || len(groups) != 2 {
		t.Fatalf("%+v, %v", groups, err)
	}
	if _, isFile := again.(*File); isFile && (groups[0].Repeats != 20 || groups[0].Latest().Code != "unresolved" || !groups[0].LastSeen.After(groups[0].First())) {
		t.Errorf("%+v", groups[0])
	}
}

// testVersions has a sender that uses an id twice: neither event may be lost.
func testVersions(t *testing.T, p place) {
	relay, command := p.relay(), p.command()
	add(t, relay, named("1", "first"), named("2", "x"), named("1", "second"), named("1", "first"), named("1", "second"))
	groups, more, err := Gather(t.Context(), command, 1, nil)
	if err != nil || len(groups) != 1 || more != 1 {
		t.Fatalf("%+v and %d more, %v", groups, more, err)
	}
	g := groups[0]
	if len(g.Versions) != 2 || string(g.Versions[0].Event) != "first" || string(g.Latest().Event) != "second" || g.Repeats == 0 {
		t.Errorf("%+v", g)
	}
	text, err := g.MarshalJSON()
	if err != nil || !strings.Contains(string(text), `"event":"second","earlier":[{`) || !strings.Contains(string(text), `"event":"first"}]}`) {
		t.Errorf("%s, %v", text, err)
	}
	// A replay sends both, in their order.
	var sent []string
	err = command.Take(t.Context(), Replayed, func(l Letter) bool { return l.EventID == "1" }, func(l Letter) error {
		sent = append(sent, string(l.Event))
		return nil
	})
	if err != nil || !slices.Equal(sent, []string{"first", "second"}) {
		t.Errorf("%q, %v", sent, err)
	}
	if got := textsOf(t, command); !slices.Equal(got, []string{"x"}) {
		t.Errorf("%q", got)
	}
}

func testTake(t *testing.T, p place) {
	relay, command := p.relay(), p.command()
	for i := range 6 {
		add(t, relay, named(fmt.Sprint(i), fmt.Sprint(i)))
	}
	even := func(l Letter) bool { return l.EventID[0]%2 == 0 }
	var sent []string
	err := command.Take(t.Context(), Replayed, even, func(l Letter) error {
		sent = append(sent, string(l.Event))
		if l.EventID == "2" {
			return errors.New("down")
		}
		return nil
	})
	if err != nil || !slices.Equal(sent, []string{"0", "2", "4"}) {
		t.Errorf("%q, %v", sent, err)
	}
	if got := textsOf(t, command); !slices.Equal(got, []string{"1", "2", "3", "5"}) {
		t.Errorf("what is left: %q", got)
	}
	if err := command.Take(t.Context(), Dropped, func(l Letter) bool { return l.EventID != "3" }, nil); err != nil {
		t.Error(err)
	}
	if got := textsOf(t, p.command()); !slices.Equal(got, []string{"3"}) {
		t.Errorf("what is left: %q", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := command.Take(ctx, Dropped, func(Letter) bool { return true }, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if got := textsOf(t, p.command()); !slices.Equal(got, []string{"3"}) {
		t.Errorf("what is left: %q", got)
	}
}

// testRefusedAgain replays letters that the relay refuses once more, before and after the old letter ends: neither may take the
// new one along, and there stays one.
func testRefusedAgain(t *testing.T, p place) {
	relay, command := p.relay(), p.command()
	add(t, relay, named("1", "a"), named("2", "b"))
	refused := named("1", "a")
	refused.Replayed, refused.Code = true, "again"
	all := func(Letter) bool { return true }
	one := func(when string, letters int) {
		t.Helper()
		groups, _, err := Gather(t.Context(), command, 0, nil)
		if err != nil || len(groups) != letters {
			t.Fatalf("%s: %d letters, %v", when, len(groups), err)
		}
		for _, g := range groups {
			if g.Latest().EventID == "1" && (g.Latest().Code != "again" || len(g.Versions) != 1) {
				t.Errorf("%s: %+v", when, g)
			}
		}
	}
	// The relay is faster than the command.
	err := command.Take(t.Context(), Replayed, all, func(l Letter) error {
		if l.EventID == "1" {
			add(t, relay, refused)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	one("refused before the end", 1)
	// The relay is slower.
	if err := command.Take(t.Context(), Replayed, all, func(Letter) error { return nil }); err != nil {
		t.Error(err)
	}
	one("replayed", 0)
	add(t, relay, refused)
	one("refused after the end", 1)
	// Answered with 400, so that the command does not end it.
	err = command.Take(t.Context(), Replayed, all, func(l Letter) error {
		add(t, relay, refused)
		return errors.New("400")
	})
	if err != nil {
		t.Error(err)
	}
	one("refused in the answer", 1)
	// Taken at last, and then not by halves.
	if err := command.Take(t.Context(), Replayed, all, func(Letter) error { return nil }); err != nil {
		t.Error(err)
	}
	one("replayed at last", 0)
}

// testConcurrent has several writers while letters are taken: what was written and not taken is there, once.
func testConcurrent(t *testing.T, p place) {
	relay, command := p.relay(), p.command()
	var writers sync.WaitGroup
	var taken sync.Map
	add(t, relay, named("0-0", "0-0"))
	var running atomic.Int32
	running.Store(4)
	for w := range 4 {
		writers.Go(func() {
			defer running.Add(-1)
			for i := range 30 {
				id := fmt.Sprint(i/2, "-", w/2) // each by two writers, twice
				add(t, relay, named(id, id))
			}
		})
	}
	odd := func(l Letter) bool { return strings.HasSuffix(l.EventID, "1") }
	for running.Load() > 0 {
		err := command.Take(t.Context(), Replayed, odd, func(l Letter) error {
			taken.Store(l.EventID, true)
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	writers.Wait()
	there := map[string]int{}
	for _, text := range textsOf(t, command) {
		there[text]++
	}
	for i := range 15 {
		if id := fmt.Sprint(i, "-", 0); there[id] != 1 {
			t.Errorf("%s is there %d times", id, there[id])
		}
		id := fmt.Sprint(i, "-", 1)
		if _, ok := taken.Load(id); !ok && there[id] == 0 || there[id] > 1 {
			t.Errorf("%s is there %d times and was taken: %v", id, there[id], ok)
		}
	}
}

func testClosed(t *testing.T, p place) {
	relay := p.relay()
	add(t, relay, letter("a"))
	for range 2 {
		if err := relay.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := relay.Append(t.Context(), letter("b")); !errors.Is(err, ErrClosed) {
		t.Errorf("appended to a closed store: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.relay().Append(ctx, letter("c")); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if where := relay.Where(); where == "" || strings.Contains(where, "guest:guest") {
		t.Errorf("where: %s", where)
	}
}

// testDurable looks at what was appended from elsewhere, while the relay's store is still open, as after a kill.
func testDurable(t *testing.T, p place) {
	relay := p.relay()
	for i := range 10 {
		add(t, relay, letter(fmt.Sprint(i)))
		if got := textsOf(t, p.command()); len(got) != i+1 {
			t.Fatalf("after %d letters: %q", i+1, got)
		}
	}
	// And what it knows outlives it.
	add(t, p.relay(), letter("3"))
	if got := textsOf(t, p.command()); len(got) != 10 {
		t.Errorf("%q", got)
	}
}
