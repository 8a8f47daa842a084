package translate_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eiffelbridge/eiffelbridge/translate"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// deployment is a service.deployed of a service in an environment.
func deployment(id, service, environment, version string, minute int) string {
	return fmt.Sprintf(`{"context":{"specversion":"0.5.1","id":"%s","source":"https://ci.example.com","type":"dev.cdevents.service.deployed.0.3.0","timestamp":"2026-03-20T08:%02d:00Z"},`+
		`"subject":{"id":"%s","content":{"environment":{"id":"%s"},"artifactId":"pkg:oci/%[3]s@%[5]s"}}}`, id, minute, service, environment, version)
}

// scripted is a translator that reads and learns what a test says of an event, by its id.
type scripted struct {
	reads  map[string][]ledger.Query
	learns func(id string, facts *ledger.Facts) []ledger.Fact
	before func(id string) // called when everything is read
}

func (s *scripted) Translate(in translate.Event, facts *ledger.Facts) (translate.Result, error) {
	var result translate.Result
	for _, q := range s.reads[in.ID] {
		if _, known := facts.Get(q); !known {
			result.Need = append(result.Need, q)
		}
	}
	if len(result.Need) > 0 {
		return result, nil
	}
	if s.before != nil {
		s.before(in.ID)
	}
	result.Events = []translate.Event{in}
	result.Learned = s.learns(in.ID, facts)
	return result, nil
}

// scriptedEvent is an event with that id.
func scriptedEvent(id string) []byte {
	return fmt.Appendf(nil, `{"context":{"id":%q,"source":"s","type":"dev.cdevents.change.created.0.3.0","timestamp":"2026-03-20T08:40:00Z"},"subject":{"id":"c","content":{}}}`, id)
}

// member is what the ledger learns of a member of a set.
func member(q ledger.Query, m string) ledger.Fact {
	return ledger.Fact{Query: q, Record: ledger.Set{m}.Encode()}
}

func begin(t testing.TB, s *translate.Session, text string) *translate.Transaction {
	t.Helper()
	tx, err := s.Begin(context.Background(), []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

// later begins a transaction of its own. What it gives is there once done tells so.
type later struct {
	tx   *translate.Transaction
	err  error
	ends bool
}

func beginLater(ctx context.Context, s *translate.Session, text string) *later {
	l := &later{}
	go func() {
		l.tx, l.err = s.Begin(ctx, []byte(text))
		l.ends = true
	}()
	synctest.Wait()
	return l
}

// TestTransaction: what Begin gives is what Translate gives, and nothing is learned before Commit, and never after Rollback.
func TestTransaction(t *testing.T) {
	ctx := context.Background()
	engine := newEngine(t, translate.Settings{})
	one, two := fresh(engine), fresh(engine)
	for _, text := range life(t) {
		want := outcome(one.Translate(ctx, []byte(text)))
		before := learned(t, two.Ledger())
		undone := begin(t, two, text)
		undone.Rollback()
		undone.Rollback()
		if err := undone.Commit(ctx); err == nil || !strings.Contains(err.Error(), "rolled back") {
			t.Errorf("Commit after Rollback gives %v", err)
		}
		tx := begin(t, two, text)
		if got := outcome(tx.Result, nil); got != want {
			t.Fatalf("Begin gives\n%s\nand Translate\n%s", got, want)
		}
		if now := learned(t, two.Ledger()); now != before {
			t.Fatalf("before Commit the ledger has\n%s\nwant\n%s", now, before)
		}
		for range 2 {
			if err := tx.Commit(ctx); err != nil {
				t.Fatal(err)
			}
		}
		tx.Rollback()
		if now, want := learned(t, two.Ledger()), learned(t, one.Ledger()); now != want {
			t.Fatalf("after Commit the ledger has\n%s\nwant\n%s", now, want)
		}
	}
}

// TestTransactionWaits: what depends on an open transaction waits for its end and finds what it has left; what does not goes on.
func TestTransactionWaits(t *testing.T) {
	engine := newEngine(t, translate.Settings{})
	first := deployment("11111111-1111-4111-8111-111111111111", "shop", "prod", "1.0.0", 1)
	second := deployment("22222222-2222-4222-8222-222222222222", "shop", "prod", "1.1.0", 2)
	other := deployment("33333333-3333-4333-8333-333333333333", "bank", "test", "1.0.0", 3)
	for _, commits := range []bool{true, false} {
		alone := fresh(engine)
		if commits {
			through(t, alone, first)
		}
		want := outcome(alone.Translate(context.Background(), []byte(second)))
		synctest.Test(t, func(t *testing.T) {
			s := fresh(engine)
			tx := begin(t, s, first)
			waits := beginLater(t.Context(), s, second)
			if waits.ends {
				t.Fatalf("it does not wait: %v", waits.err)
			}
			goesOn := beginLater(t.Context(), s, other)
			if !goesOn.ends || goesOn.err != nil {
				t.Fatalf("what depends on nothing waits: %v", goesOn.err)
			}
			if commits {
				if err := tx.Commit(t.Context()); err != nil {
					t.Fatal(err)
				}
			} else {
				tx.Rollback()
			}
			synctest.Wait()
			if !waits.ends || waits.err != nil {
				t.Fatalf("it still waits: %v", waits.err)
			}
			if got := outcome(waits.tx.Result, nil); got != want {
				t.Errorf("after an end (commit %t) there is\n%s\nwant\n%s", commits, got, want)
			}
			for _, l := range []*later{goesOn, waits} {
				if err := l.tx.Commit(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestTransactionOrder: those that wait for the same get on in the order in which they began.
func TestTransactionOrder(t *testing.T) {
	engine := newEngine(t, translate.Settings{})
	synctest.Test(t, func(t *testing.T) {
		s := fresh(engine)
		open := begin(t, s, deployment(uuid(1), "shop", "prod", "1.0.0", 1))
		var queue []*later
		for n := 2; n < 6; n++ {
			queue = append(queue, beginLater(t.Context(), s, deployment(uuid(n), "shop", "prod", fmt.Sprintf("1.%d.0", n), n)))
		}
		for i, l := range queue {
			for _, behind := range queue[i:] {
				if behind.ends {
					t.Fatalf("while number %d is open another goes on: %v", i, behind.err)
				}
			}
			if i%2 == 0 {
				if err := open.Commit(t.Context()); err != nil {
					t.Fatal(err)
				}
			} else {
				open.Rollback()
			}
			synctest.Wait()
			if !l.ends || l.err != nil {
				t.Fatalf("number %d does not get on: %v", i+1, l.err)
			}
			open = l.tx
		}
		if err := open.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

// TestTransactionGivesUp: who waits waits as long as its context lets it, and is in nobody's way afterwards.
func TestTransactionGivesUp(t *testing.T) {
	engine := newEngine(t, translate.Settings{})
	synctest.Test(t, func(t *testing.T) {
		s := fresh(engine)
		tx := begin(t, s, deployment(uuid(1), "shop", "prod", "1.0.0", 1))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		// In one goroutine, too: the open transaction is its own.
		_, err := s.Begin(ctx, []byte(deployment(uuid(2), "shop", "prod", "1.1.0", 2)))
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Minute || !strings.Contains(err.Error(), uuid(2)) {
			t.Fatalf("after %v: %v", time.Since(start), err)
		}
		behind := beginLater(t.Context(), s, deployment(uuid(3), "shop", "prod", "1.2.0", 3))
		tx.Rollback()
		synctest.Wait()
		if !behind.ends || behind.err != nil {
			t.Fatalf("%v", behind.err)
		}
		behind.tx.Rollback()
	})
}

// TestTransactionConflict: Commit notices what another writer has changed, whatever the ledger, and teaches nothing.
func TestTransactionConflict(t *testing.T) {
	ctx := context.Background()
	engine := newEngine(t, translate.Settings{})
	for name, store := range map[string]ledger.Ledger{"in memory": ledger.NewMemory(), "elsewhere": &far{Ledger: ledger.NewMemory()}} {
		here, there := translate.NewSession(engine, store), translate.NewSession(engine, store)
		first, second := deployment(uuid(1), "shop", "prod", "1.0.0", 1), deployment(uuid(2), "shop", "prod", "1.1.0", 2)
		tx := begin(t, here, second)
		through(t, there, deployment(uuid(3), "bank", "test", "1.0.0", 3)) // nothing to tx
		through(t, there, first)
		before := learned(t, store)
		err := tx.Commit(ctx)
		if !errors.Is(err, ledger.ErrConflict) || !strings.Contains(err.Error(), uuid(2)) {
			t.Fatalf("%s: Commit gives %v", name, err)
		}
		if after := learned(t, store); after != before {
			t.Errorf("%s: Commit taught\n%s", name, after)
		}
		tx.Rollback()
		if again := begin(t, here, second); outcome(again.Result, nil) == outcome(tx.Result, nil) {
			t.Errorf("%s: the first deployment makes no difference", name)
		} else if err := again.Commit(ctx); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		tx = begin(t, here, deployment(uuid(4), "shop", "prod", "1.2.0", 4))
		through(t, there, deployment(uuid(5), "bank", "test", "1.1.0", 5))
		if err := tx.Commit(ctx); err != nil {
			t.Errorf("%s: what nobody has read is a conflict: %v", name, err)
		}
	}
}

// TestTransactionOwnChanges: what a session changes itself after Begin is no conflict: the transaction stands before the other.
func TestTransactionOwnChanges(t *testing.T) {
	ctx := context.Background()
	a, b := ledger.NameQuery("service", "a"), ledger.NameQuery("service", "b")
	translator := &scripted{
		reads: map[string][]ledger.Query{"reads a": {a}, "writes a": {b}},
		learns: func(id string, _ *ledger.Facts) []ledger.Fact {
			return []ledger.Fact{member(map[string]ledger.Query{"writes a": a, "reads a": ledger.NameQuery("service", "c")}[id], id)}
		},
	}
	for _, foreign := range []bool{false, true} {
		store := ledger.NewMemory()
		s := translate.NewSession(translator, store)
		reads := begin(t, s, string(scriptedEvent("reads a")))
		if foreign {
			if err := store.Apply(ctx, []ledger.Fact{member(a, "foreign")}); err != nil {
				t.Fatal(err)
			}
		} else if err := begin(t, s, string(scriptedEvent("writes a"))).Commit(ctx); err != nil {
			t.Fatal(err)
		}
		if err := reads.Commit(ctx); errors.Is(err, ledger.ErrConflict) != foreign {
			t.Errorf("foreign %t: %v", foreign, err)
		}
	}
}

// TestTransactionOvertaken: an event whose translation is slow, while another changes what it has read, is translated again.
func TestTransactionOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := ledger.NameQuery("service", "a")
		slow, rounds := make(chan struct{}), 0
		translator := &scripted{
			reads: map[string][]ledger.Query{"slow": {a}, "fast": {a}},
			learns: func(id string, facts *ledger.Facts) []ledger.Fact {
				record, _ := facts.Get(a)
				known, _ := ledger.DecodeSet(record)
				return []ledger.Fact{member(a, fmt.Sprintf("%s after %d", id, len(known)))}
			},
			before: func(id string) {
				if id == "slow" {
					rounds++
					<-slow
				}
			},
		}
		s := translate.NewSession(translator, ledger.NewMemory())
		l := beginLater(t.Context(), s, string(scriptedEvent("slow")))
		if err := begin(t, s, string(scriptedEvent("fast"))).Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		close(slow)
		synctest.Wait()
		if !l.ends || l.err != nil || rounds != 2 {
			t.Fatalf("after %d rounds: %v", rounds, l.err)
		}
		if err := l.tx.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		records, _ := s.Ledger().Read(t.Context(), []ledger.Query{a})
		if got, _ := ledger.DecodeSet(records[0].Bytes); strings.Join(got, ", ") != "fast after 0, slow after 1" {
			t.Errorf("the ledger has %q", got)
		}
	})
}

// TestTransactionRanges: a record that falls into a range which another event has read holds it up, one beside it does not.
func TestTransactionRanges(t *testing.T) {
	service, environment := ledger.SubjectKey{Kind: "service", Source: "s", ID: "shop"}, ledger.SubjectKey{Kind: "environment", Source: "s", ID: "prod"}
	elsewhere := ledger.SubjectKey{Kind: "environment", Source: "s", ID: "prod,\"x\""}
	at := func(ms int64) ledger.Stamp { return ledger.Stamp{Time: ms, ID: uuid(1)} }
	entry := &ledger.Entry{Artifact: "pkg:oci/shop@1.0.0"}
	run := at(5)
	for _, c := range []struct {
		name  string
		read  ledger.Query
		write ledger.Fact
		waits bool
	}{
		{"the last entry", ledger.EntriesQuery(service, environment, "", 1), ledger.Fact{Query: ledger.EntryQuery(service, environment, at(5)), Record: entry.Encode()}, true},
		{"an entry before", ledger.EntriesQuery(service, environment, at(9).Text(), 1), ledger.Fact{Query: ledger.EntryQuery(service, environment, at(5)), Record: entry.Encode()}, true},
		{"an entry behind", ledger.EntriesQuery(service, environment, at(3).Text(), 1), ledger.Fact{Query: ledger.EntryQuery(service, environment, at(5)), Record: entry.Encode()}, false},
		{"another history's", ledger.EntriesQuery(service, environment, "", 1), ledger.Fact{Query: ledger.EntryQuery(service, elsewhere, at(5)), Record: entry.Encode()}, false},
		{"a first run", ledger.FirstRunsQuery(service, environment), ledger.Fact{Query: ledger.FirstRunQuery(service, environment, "pkg:oci/shop"), Record: run.Encode()}, true},
		{"another kind", ledger.FirstRunsQuery(service, environment), ledger.Fact{Query: ledger.EntryQuery(service, environment, at(5)), Record: entry.Encode()}, false},
		{"one entry", ledger.EntryQuery(service, environment, at(5)), ledger.Fact{Query: ledger.EntryQuery(service, environment, at(5)), Record: entry.Encode()}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := translate.NewSession(&scripted{
					reads: map[string][]ledger.Query{"reads": {c.read}},
					learns: func(id string, _ *ledger.Facts) []ledger.Fact {
						if id == "writes" {
							return []ledger.Fact{c.write}
						}
						return nil
					},
				}, ledger.NewMemory())
				tx := begin(t, s, string(scriptedEvent("writes")))
				l := beginLater(t.Context(), s, string(scriptedEvent("reads")))
				if l.ends == c.waits {
					t.Errorf("waits: %t, want %t", !l.ends, c.waits)
				}
				tx.Rollback()
				synctest.Wait()
				if l.err != nil {
					t.Fatal(l.err)
				}
				l.tx.Rollback()
			})
		})
	}
}

// TestTransactionFailure: when the ledger fails, the transaction stays open and holds its place, and can be committed again.
func TestTransactionFailure(t *testing.T) {
	engine := newEngine(t, translate.Settings{})
	synctest.Test(t, func(t *testing.T) {
		store := &far{Ledger: ledger.NewMemory(), fail: errors.New("disk full")}
		s := translate.NewSession(engine, store)
		tx := begin(t, s, deployment(uuid(1), "shop", "prod", "1.0.0", 1))
		if err := tx.Commit(t.Context()); !errors.Is(err, store.fail) {
			t.Fatalf("Commit gives %v", err)
		}
		l := beginLater(t.Context(), s, deployment(uuid(2), "shop", "prod", "1.1.0", 2))
		if l.ends {
			t.Fatalf("it does not wait: %v", l.err)
		}
		store.fail = nil
		if err := tx.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if !l.ends || l.err != nil {
			t.Fatalf("it still waits: %v", l.err)
		}
		l.tx.Rollback()
	})
}

// meddled is a ledger where others write to a record right after it was read, for some times.
type meddled struct {
	ledger.Ledger
	query ledger.Query
	times int
}

func (m *meddled) Read(ctx context.Context, queries []ledger.Query) ([]ledger.Record, error) {
	records, err := m.Ledger.Read(ctx, queries)
	if err == nil && m.times > 0 && queries[0] == m.query {
		m.times--
		err = m.Ledger.Apply(ctx, []ledger.Fact{member(m.query, fmt.Sprint(m.times))})
	}
	return records, err
}

// TestTranslateAgain: Translate and TranslateBatch begin again by themselves when others write, but not for ever.
func TestTranslateAgain(t *testing.T) {
	ctx := context.Background()
	a, b := ledger.RunsQuery(ledger.SubjectKey{ID: "a"}), ledger.RunsQuery(ledger.SubjectKey{ID: "b"})
	translator := &scripted{reads: map[string][]ledger.Query{"e": {a}}, learns: func(string, *ledger.Facts) []ledger.Fact { return []ledger.Fact{member(b, "x")} }}
	for _, times := range []int{0, 1, 3, 1000} {
		calls := map[string]func(s *translate.Session) error{
			"Translate": func(s *translate.Session) error { _, err := s.Translate(ctx, scriptedEvent("e")); return err },
			"TranslateBatch": func(s *translate.Session) error {
				_, err := s.TranslateBatch(ctx, [][]byte{scriptedEvent("e")})
				return err
			},
		}
		for name, call := range calls {
			store := &meddled{Ledger: ledger.NewMemory(), query: a, times: times}
			err := call(translate.NewSession(translator, store))
			if times < 1000 && err != nil || times == 1000 && !errors.Is(err, ledger.ErrConflict) {
				t.Errorf("%s, after %d changes by others: %v", name, times, err)
			}
			store.times = 0
			records, err := store.Read(ctx, []ledger.Query{b})
			if err != nil || (records[0].Bytes != nil) != (times < 1000) {
				t.Errorf("%s, after %d changes by others: the ledger has %q, %v", name, times, records[0].Bytes, err)
			}
		}
	}
}

// TestTransactionsTogether: many goroutines count in one record, some of them in vain. Each number is taken once.
func TestTransactionsTogether(t *testing.T) {
	ctx := context.Background()
	counter, events := ledger.RunsQuery(ledger.SubjectKey{ID: "counter"}), 96
	translator := &scripted{reads: map[string][]ledger.Query{}, learns: func(id string, facts *ledger.Facts) []ledger.Fact {
		if strings.HasPrefix(id, "other") {
			return []ledger.Fact{member(ledger.RunsQuery(ledger.SubjectKey{ID: id}), "x")}
		}
		record, _ := facts.Get(counter)
		known, _ := ledger.DecodeSet(record)
		return []ledger.Fact{member(counter, fmt.Sprint(len(known)))}
	}}
	for n := range events {
		translator.reads[fmt.Sprint(n)] = []ledger.Query{counter}
	}
	for _, store := range []ledger.Ledger{ledger.NewMemory(), &far{Ledger: ledger.NewMemory()}} {
		s := translate.NewSession(translator, store)
		var group sync.WaitGroup
		for worker := range 8 {
			group.Go(func() {
				for n := worker; n < events; n += 8 {
					if n%3 == 0 {
						if _, err := s.Translate(ctx, scriptedEvent(fmt.Sprint(n))); err != nil {
							t.Error(err)
						}
						continue
					}
					for _, inVain := range []bool{true, false} {
						tx, err := s.Begin(ctx, scriptedEvent(fmt.Sprint(n)))
						if err != nil {
							t.Error(err)
							return
						}
						if inVain {
							tx.Rollback()
						} else if err := tx.Commit(ctx); err != nil {
							t.Error(err)
						}
					}
					if _, err := s.Translate(ctx, scriptedEvent(fmt.Sprintf("other %d", n))); err != nil {
						t.Error(err)
					}
				}
			})
		}
		group.Wait()
		records, err := store.Read(ctx, []ledger.Query{counter})
		if err != nil {
			t.Fatal(err)
		}
		got, err := ledger.DecodeSet(records[0].Bytes)
		if err != nil || len(got) != events {
			t.Fatalf("%d of %d: %v", len(got), events, err)
		}
		for i := range got {
			if got[i] != fmt.Sprint(i) {
				t.Fatalf("number %d is %s", i, got[i])
			}
		}
	}
}

// TestBatchWaits: a batch is a transaction among the others.
func TestBatchWaits(t *testing.T) {
	engine := newEngine(t, translate.Settings{})
	first, second := deployment(uuid(1), "shop", "prod", "1.0.0", 1), deployment(uuid(2), "shop", "prod", "1.1.0", 2)
	alone := fresh(engine)
	through(t, alone, first)
	want := outcome(alone.Translate(context.Background(), []byte(second)))
	for _, store := range []func() ledger.Ledger{func() ledger.Ledger { return ledger.NewMemory() }, func() ledger.Ledger { return &far{Ledger: ledger.NewMemory()} }} {
		synctest.Test(t, func(t *testing.T) {
			s := translate.NewSession(engine, store())
			tx := begin(t, s, first)
			var out []translate.Outcome
			var err error
			go func() { out, err = s.TranslateBatch(t.Context(), [][]byte{[]byte("{}"), []byte(second)}) }()
			synctest.Wait()
			if out != nil || err != nil {
				t.Fatalf("the batch does not wait: %v", err)
			}
			if err := tx.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if err != nil || len(out) != 2 || out[0].Err == nil || outcome(out[1].Result, out[1].Err) != want {
				t.Fatalf("%d outcomes, %v", len(out), err)
			}
		})
	}
}

// refusing fails for events whose record is not there.
type refusing struct{ query ledger.Query }

func (r refusing) Translate(in translate.Event, facts *ledger.Facts) (translate.Result, error) {
	if in.ID == "teaches" {
		return translate.Result{Learned: []ledger.Fact{member(r.query, "x")}}, nil
	}
	switch record, known := facts.Get(r.query); {
	case !known:
		return translate.Result{Need: []ledger.Query{r.query}}, nil
	case record == nil:
		return translate.Result{}, &translate.EventError{Code: translate.CodeUnresolved, ID: in.ID, Message: "it is unknown"}
	}
	return translate.Result{}, nil
}

// TestTransactionRefusal: that an event has no translation is said by what is known once the open transactions have ended.
func TestTransactionRefusal(t *testing.T) {
	for _, commits := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			s := translate.NewSession(refusing{ledger.NameQuery("service", "a")}, ledger.NewMemory())
			tx := begin(t, s, string(scriptedEvent("teaches")))
			l := beginLater(t.Context(), s, string(scriptedEvent("e")))
			if l.ends {
				t.Fatalf("it does not wait: %v", l.err)
			}
			if commits {
				if err := tx.Commit(t.Context()); err != nil {
					t.Fatal(err)
				}
			} else {
				tx.Rollback()
			}
			synctest.Wait()
			var refused *translate.EventError
			if !l.ends || errors.As(l.err, &refused) == commits {
				t.Errorf("commit %t: %v", commits, l.err)
			}
		})
	}
}

// TestTranslateAll: an event at fault is told and the next follows; the ledger's error ends it.
func TestTranslateAll(t *testing.T) {
	ctx := context.Background()
	engine := newEngine(t, translate.Settings{})
	texts := [][]byte{[]byte(deployment(uuid(1), "shop", "prod", "1.0.0", 1)), []byte("{}"), []byte(deployment(uuid(2), "shop", "prod", "1.1.0", 2)), []byte(deployment(uuid(3), "shop", "prod", "1.2.0", 3))}
	seq := func(yield func([]byte) bool) {
		for _, text := range texts {
			if !yield(text) {
				return
			}
		}
	}
	one := fresh(engine)
	store := &far{Ledger: ledger.NewMemory()}
	n := 0
	full := errors.New("disk full")
	for result, err := range translate.NewSession(engine, store).TranslateAll(ctx, seq) {
		if n == 3 {
			if !errors.Is(err, full) || len(result.Events) > 0 {
				t.Fatalf("event %d: %v", n, err)
			}
		} else if got, want := outcome(result, err), outcome(one.Translate(ctx, texts[n])); got != want {
			t.Fatalf("event %d became\n%s\nwant\n%s", n, got, want)
		}
		if n++; n == 3 {
			store.fail = full
		}
	}
	if n != 4 {
		t.Errorf("there are %d results", n)
	}
	texts = append(texts, texts[0]) // the first two have taught all they can by now
	n = 0
	for range translate.NewSession(engine, store).TranslateAll(ctx, seq) {
		n++
	}
	if n != 4 {
		t.Errorf("with a ledger that fails there are %d results", n)
	}
	store.fail = nil
	for range translate.NewSession(engine, store).TranslateAll(ctx, seq) {
		break
	}
}

// TestTransactionsSerial: what many goroutines translate together is what one translates alone, in the order in which they committed.
func TestTransactionsSerial(t *testing.T) {
	ctx := context.Background()
	engine := newEngine(t, translate.Settings{})
	for _, store := range []ledger.Ledger{ledger.NewMemory(), &far{Ledger: ledger.NewMemory()}} {
		s := translate.NewSession(engine, store)
		type done struct{ text, became string }
		var mu sync.Mutex
		var order []done
		var group sync.WaitGroup
		for worker := range 8 {
			group.Go(func() {
				for n := range 12 {
					text := deployment(uuid(100*worker+n), []string{"shop", "bank", "mail"}[(worker+n)%3], "prod", fmt.Sprintf("1.%d.%d", n, worker), 4*n)
					tx, err := s.Begin(ctx, []byte(text))
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					if err := tx.Commit(ctx); err != nil {
						t.Error(err)
					}
					order = append(order, done{text, outcome(tx.Result, nil)})
					mu.Unlock()
				}
			})
		}
		group.Wait()
		alone := fresh(engine)
		for i, d := range order {
			if want := outcome(alone.Translate(ctx, []byte(d.text))); d.became != want {
				t.Fatalf("event %d of %d became\n%s\nand alone\n%s", i, len(order), d.became, want)
			}
		}
		if got, want := learned(t, store), learned(t, alone.Ledger()); got != want {
			t.Errorf("the ledger has\n%s\nwant\n%s", got, want)
		}
	}
}
