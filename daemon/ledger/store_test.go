package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/translate"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// stores has a constructor for each kind of store.
var stores = map[string]func(t *testing.T) Store{
	"memory": func(t *testing.T) Store { return NewMemory() },
	"file":   func(t *testing.T) Store { return mustOpen(t, filepath.Join(t.TempDir(), "ledger"), Options{}) },
}

func mustOpen(t testing.TB, path string, opts Options) *File {
	t.Helper()
	s, err := Open(path, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func eachStore(t *testing.T, f func(t *testing.T, s Store)) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			defer func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}()
			f(t, s)
		})
	}
}

func commit(t testing.TB, s Store, b Batch) {
	t.Helper()
	if err := s.Commit(context.Background(), b); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, s Store, q ledger.Query) []byte {
	t.Helper()
	records, err := s.Read(context.Background(), []ledger.Query{q})
	if err != nil {
		t.Fatal(err)
	}
	return records[0].Bytes
}

func setOf(t testing.TB, s Store, q ledger.Query) []string {
	t.Helper()
	set, err := ledger.DecodeSet(read(t, s, q))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func parkedKeys(t testing.TB, s Store) (keys []string) {
	t.Helper()
	err := s.ScanParked(context.Background(), func(p Parked) error {
		keys = append(keys, p.Key+"="+string(p.Record))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestStoreMerges(t *testing.T) {
	eachStore(t, func(t *testing.T, s Store) {
		names := query(ledger.NameFact, "service", "shop")
		decision := query(ledger.DecisionFact, "eiffel", "ci", "1", "t")
		event := query(ledger.EventFact, "e1")
		commit(t, s, Batch{Facts: []ledger.Fact{
			{Query: names, Record: ledger.Set{"a"}.Encode()},
			{Query: names, Record: ledger.Set{"b"}.Encode()},
			{Query: decision, Record: ledger.Decision{{Name: "predicate", Value: "deployed"}}.Encode()},
			{Query: event, Record: (&ledger.EiffelEvent{Type: "EiffelActivityTriggeredEvent"}).Encode()},
			{Query: event, Record: (&ledger.EiffelEvent{Emitted: true}).Encode()},
		}})
		commit(t, s, Batch{Facts: []ledger.Fact{
			{Query: names, Record: ledger.Set{"a", "c"}.Encode()},
			{Query: decision, Record: ledger.Decision{{Name: "predicate", Value: "upgraded"}}.Encode()},
			{Query: event, Record: (&ledger.EiffelEvent{Type: "EiffelActivityFinishedEvent", Time: 7}).Encode()},
		}})
		if got := setOf(t, s, names); !slices.Equal(got, []string{"a", "b", "c"}) {
			t.Errorf("names: %q", got)
		}
		d, err := ledger.DecodeDecision(read(t, s, decision))
		if err != nil || len(d) != 1 || d[0].Value != "deployed" {
			t.Errorf("what was decided changed: %v %v", d, err)
		}
		e, err := ledger.DecodeEiffelEvent(read(t, s, event))
		if err != nil || e.Type != "EiffelActivityTriggeredEvent" || !e.Emitted || e.Time != 7 {
			t.Errorf("event: %+v %v", e, err)
		}
		if got := read(t, s, query(ledger.EventFact, "none")); got != nil {
			t.Errorf("an unknown record is %q", got)
		}
	})
}

func TestStoreEmptyRecordIsThere(t *testing.T) {
	eachStore(t, func(t *testing.T, s Store) {
		q := query(ledger.SubjectFact, "service", "a", "b")
		commit(t, s, Batch{Facts: []ledger.Fact{{Query: q}}})
		if got := read(t, s, q); got == nil {
			t.Error("an empty record is taken for none")
		}
	})
}

func TestStoreParks(t *testing.T) {
	eachStore(t, func(t *testing.T, s Store) {
		record := []byte("one")
		commit(t, s, Batch{Park: []Parked{{"b", record}, {"a", []byte("two")}}})
		record[0] = 'X' // it is not retained
		commit(t, s, Batch{Park: []Parked{{"c", []byte("three")}, {"a", []byte("four")}}, Unpark: []string{"b", "c", "none"}})
		if got, want := parkedKeys(t, s), []string{"a=four", "c=three"}; !slices.Equal(got, want) {
			t.Errorf("parked: %q, want %q", got, want)
		}
		if err := s.Commit(context.Background(), Batch{Park: []Parked{{Key: ""}}}); err == nil {
			t.Error("an empty key was parked")
		}
	})
}

func TestStoreCommitsAllOrNothing(t *testing.T) {
	eachStore(t, func(t *testing.T, s Store) {
		names := query(ledger.NameFact, "service", "shop")
		commit(t, s, Batch{Facts: []ledger.Fact{{Query: names, Record: ledger.Set{"a"}.Encode()}}})
		damaged := []byte{0x0a, 0xff}
		err := s.Commit(context.Background(), Batch{
			Facts: []ledger.Fact{
				{Query: query(ledger.EventFact, "e1"), Record: []byte{}},
				{Query: query(ledger.AliasFact, "service", "x", "y"), Record: ledger.Set{"z"}.Encode()},
				{Query: names, Record: damaged},
			},
			Park: []Parked{{"p", nil}},
		})
		if err == nil {
			t.Fatal("a damaged delta was merged")
		}
		for _, q := range []ledger.Query{query(ledger.EventFact, "e1"), query(ledger.AliasFact, "service", "x", "y")} {
			if read(t, s, q) != nil {
				t.Errorf("half of a batch is there: %s %s", q.Kind, q.Key)
			}
		}
		if got := parkedKeys(t, s); len(got) != 0 {
			t.Errorf("half of a batch is there: %q", got)
		}
		if err := s.Apply(context.Background(), []ledger.Fact{{Query: ledger.Query{Kind: 'P', Key: "x"}}}); err == nil {
			t.Error("an unknown kind was applied")
		}
	})
}

// A damaged record must not keep the rest of a batch from being written.
func TestStoreReplacesDamagedRecords(t *testing.T) {
	var log bytes.Buffer
	opts := Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}
	for name, s := range map[string]Store{"memory": NewMemoryWith(opts), "file": mustOpen(t, filepath.Join(t.TempDir(), "ledger"), opts)} {
		t.Run(name, func(t *testing.T) {
			log.Reset()
			names, other := query(ledger.NameFact, "service", "shop"), query(ledger.NameFact, "service", "cart")
			commit(t, s, Batch{Facts: []ledger.Fact{{Query: names, Record: []byte{0x0a, 0xff}}}})
			for range 2 {
				commit(t, s, Batch{Facts: []ledger.Fact{
					{Query: names, Record: ledger.Set{"a"}.Encode()},
					{Query: names, Record: ledger.Set{"b"}.Encode()},
					{Query: other, Record: ledger.Set{"c"}.Encode()},
				}})
			}
			if got := setOf(t, s, names); !slices.Equal(got, []string{"a", "b"}) {
				t.Errorf("names: %q", got)
			}
			if got := setOf(t, s, other); !slices.Equal(got, []string{"c"}) {
				t.Errorf("beside it: %q", got)
			}
			if n := strings.Count(log.String(), "level=ERROR"); n != 1 || !strings.Contains(log.String(), "shop") {
				t.Errorf("%d errors logged, want 1 with the key: %s", n, log.String())
			}
		})
	}
}

func TestStoreScansInOrder(t *testing.T) {
	eachStore(t, func(t *testing.T, s Store) {
		var want []string
		for i := range 300 {
			q := query(ledger.EventFact, fmt.Sprintf("%03d", (i*7)%300))
			commit(t, s, Batch{Facts: []ledger.Fact{{Query: q, Record: []byte{}}, {Query: query(ledger.ContextFact, q.Key), Record: []byte{}}}})
			want = append(want, q.Key)
		}
		slices.Sort(want)
		var got []string
		err := s.Scan(context.Background(), ledger.EventFact, func(key string, record []byte) error {
			got = append(got, key)
			if len(got) == 10 { // a callback may use the store
				return s.Apply(context.Background(), []ledger.Fact{{Query: query(ledger.NameFact, "a", "b"), Record: ledger.Set{"c"}.Encode()}})
			}
			return nil
		})
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("scan: %d keys, %v", len(got), err)
		}
		stop := errors.New("stop")
		err = s.Scan(context.Background(), ledger.EventFact, func(string, []byte) error { return stop })
		if !errors.Is(err, stop) {
			t.Errorf("the callback's error became %v", err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := s.Scan(ctx, ledger.EventFact, func(string, []byte) error { return nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("an ended context gave %v", err)
		}
	})
}

func TestStoreClosed(t *testing.T) {
	eachStore(t, func(t *testing.T, s Store) {
		for range 2 {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		ctx := context.Background()
		_, readErr := s.Read(ctx, nil)
		_, sweepErr := s.Sweep(ctx)
		_, statsErr := s.Stats(ctx)
		for what, err := range map[string]error{
			"read": readErr, "sweep": sweepErr, "stats": statsErr, "commit": s.Commit(ctx, Batch{}), "apply": s.Apply(ctx, nil),
			"scan":   s.Scan(ctx, ledger.EventFact, func(string, []byte) error { return nil }),
			"parked": s.ScanParked(ctx, func(Parked) error { return nil }),
		} {
			if !errors.Is(err, ErrClosed) {
				t.Errorf("%s of a closed store gives %v", what, err)
			}
		}
	})
}

// TestStoresAgree gives both stores, and the ledger beside the core, the same random facts.
func TestStoresAgree(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	path := filepath.Join(t.TempDir(), "ledger")
	file, memory, model := mustOpen(t, path, Options{}), NewMemory(), translate.NewMemoryLedger()
	ctx := context.Background()
	for i := range 400 {
		var facts []ledger.Fact
		for range 1 + r.IntN(5) {
			facts = append(facts, learned(r, 5)...)
		}
		if i > 0 && i%50 == 0 {
			if err := file.Close(); err != nil {
				t.Fatal(err)
			}
			file = mustOpen(t, path, Options{})
		}
		if i%3 == 0 { // so that some are in the cache and some are not
			if _, err := file.Read(ctx, []ledger.Query{facts[2].Query}); err != nil {
				t.Fatal(err)
			}
		}
		facts = append(facts, ledger.Fact{Query: query(ledger.ContextFact, fmt.Sprint(r.IntN(5))),
			Record: ledger.Contexts{{Source: fmt.Sprint(r.IntN(4)), Type: "t", Emitted: r.IntN(2) == 0}}.Encode()})
		for _, l := range []ledger.Ledger{file, memory, model} {
			if err := l.Apply(ctx, facts); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, kind := range ledger.FactKinds() {
		want := contents(t, model, kind)
		for name, l := range map[string]ledger.Ledger{"file": file, "memory": memory} {
			if got := contents(t, l, kind); !slices.EqualFunc(got, want, func(a, b ledger.Fact) bool {
				return a.Query == b.Query && bytes.Equal(a.Record, b.Record)
			}) {
				t.Errorf("%s: the %s records differ from the model's", name, kind)
			}
		}
	}
}

func contents(t testing.TB, l ledger.Ledger, kind ledger.FactKind) (facts []ledger.Fact) {
	t.Helper()
	err := l.Scan(context.Background(), kind, func(key string, record []byte) error {
		facts = append(facts, ledger.Fact{Query: ledger.Query{Kind: kind, Key: key}, Record: bytes.Clone(record)})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return facts
}

// TestStoreConcurrent has many write the same record, while others read and scan it.
func TestStoreConcurrent(t *testing.T) {
	eachStore(t, func(t *testing.T, s Store) {
		ctx := context.Background()
		shared := query(ledger.RunsFact, "ci", "production")
		var writers, readers sync.WaitGroup
		done := make(chan struct{})
		for range 4 {
			readers.Go(func() {
				seen := 0
				for {
					select {
					case <-done:
						return
					default:
					}
					records, err := s.Read(ctx, []ledger.Query{shared})
					if err != nil {
						t.Error(err)
						return
					}
					set, err := ledger.DecodeSet(records[0].Bytes)
					if err != nil || len(set) < seen {
						t.Errorf("a set went back from %d to %d members: %v", seen, len(set), err)
						return
					}
					seen = len(set)
					if err := s.Scan(ctx, ledger.RunsFact, func(string, []byte) error { return nil }); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		for w := range 8 {
			writers.Go(func() {
				for i := range 12 {
					delta := ledger.Set{fmt.Sprintf(`["%d","%d"]`, w, i)}
					if err := s.Apply(ctx, []ledger.Fact{{Query: shared, Record: delta.Encode()}}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		writers.Wait()
		close(done)
		readers.Wait()
		if set := setOf(t, s, shared); len(set) != 96 {
			t.Errorf("%d members in place of 96", len(set))
		}
	})
}

func TestStats(t *testing.T) {
	eachStore(t, func(t *testing.T, s Store) {
		commit(t, s, Batch{
			Facts: []ledger.Fact{{Query: query(ledger.EventFact, "a"), Record: []byte{}}, {Query: query(ledger.NameFact, "a", "b"), Record: ledger.Set{"c"}.Encode()}},
			Park:  []Parked{{"key", []byte("record")}},
		})
		stats, err := s.Stats(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if got := stats.Records[ledger.EventFact]; got != (Count{1, int64(len(`["a"]`))}) {
			t.Errorf("events: %+v", got)
		}
		if stats.Parked != (Count{1, 9}) || stats.Records[ledger.NameFact].Number != 1 {
			t.Errorf("stats: %+v", stats)
		}
		if _, file := s.(*File); file != (stats.Disk > 0) {
			t.Errorf("on disk: %d", stats.Disk)
		}
	})
}
