package ledger

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// clock is a clock that a test moves.
type clock struct{ days atomic.Int64 }

func (c *clock) now() time.Time { return time.Unix(86400*(20000+c.days.Load()), 0) }

func sweepStores(t *testing.T, opts Options, f func(t *testing.T, s Store, c *clock)) {
	for _, name := range []string{"memory", "file"} {
		t.Run(name, func(t *testing.T) {
			c := &clock{}
			opts := opts
			opts.Now = c.now
			var s Store = NewMemoryWith(opts)
			if name == "file" {
				s = mustOpen(t, filepath.Join(t.TempDir(), "ledger"), opts)
			}
			defer s.Close()
			f(t, s, c)
		})
	}
}

func sweep(t *testing.T, s Store) int {
	t.Helper()
	n, err := s.Sweep(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestSweepRemovesWhatIsOld(t *testing.T) {
	opts := Options{Expired: func(kind ledger.FactKind, key string, record []byte, get func(ledger.Query) ([]byte, error)) (bool, error) {
		switch kind {
		case ledger.NameFact:
			return false, nil
		case ledger.EventFact:
		default:
			return true, nil
		}
		// An event stays while there is a name for it.
		other, err := get(query(ledger.NameFact, "event", key[2:len(key)-2]))
		return other == nil, err
	}}
	sweepStores(t, opts, func(t *testing.T, s Store, c *clock) {
		var facts []ledger.Fact
		for i := range 2 * sweepBatch {
			facts = append(facts, ledger.Fact{Query: query(ledger.EventFact, fmt.Sprintf("e%03d", i)), Record: []byte{}},
				ledger.Fact{Query: query(ledger.ContextFact, fmt.Sprintf("c%03d", i)), Record: []byte{}})
		}
		facts = append(facts, ledger.Fact{Query: query(ledger.DecisionFact, "a", "b", "c", "d"), Record: []byte{}},
			ledger.Fact{Query: query(ledger.NameFact, "event", "e007"), Record: ledger.Set{"x"}.Encode()})
		commit(t, s, Batch{Facts: facts, Park: []Parked{{"p", nil}}})
		c.days.Store(30)
		if n := sweep(t, s); n != 0 {
			t.Errorf("%d records went too early", n)
		}
		// Whatever is written again lives on, be it changed or not.
		commit(t, s, Batch{Facts: facts[:1]})
		commit(t, s, Batch{Facts: facts[2*sweepBatch : 2*sweepBatch+1]})
		c.days.Store(31)
		if n, want := sweep(t, s), len(facts)-2-2-1+1-1+1; n != want {
			t.Errorf("%d records went, want %d", n, want)
		}
		for _, q := range []ledger.Query{facts[0].Query, facts[2*sweepBatch].Query, query(ledger.EventFact, "e007"), query(ledger.NameFact, "event", "e007")} {
			if read(t, s, q) == nil {
				t.Errorf("%s %s is gone", q.Kind, q.Key)
			}
		}
		if read(t, s, query(ledger.EventFact, "e001")) != nil || read(t, s, query(ledger.DecisionFact, "a", "b", "c", "d")) != nil {
			t.Error("what was removed can be read")
		}
		if n := sweep(t, s); n != 0 {
			t.Errorf("the second sweep removed %d", n)
		}
		if len(parkedKeys(t, s)) != 1 {
			t.Error("what is parked went")
		}
	})
}

func TestSweepDefaults(t *testing.T) {
	sweepStores(t, Options{Retention: 24 * time.Hour}, func(t *testing.T, s Store, c *clock) {
		facts := []ledger.Fact{
			{Query: query(ledger.EventFact, "e"), Record: (&ledger.EiffelEvent{Type: "EiffelActivityTriggeredEvent", Subject: ledger.SubjectKey{Kind: "service", Source: "a", ID: "b"}}).Encode()},
			{Query: query(ledger.ContextFact, "c"), Record: []byte{}},
			{Query: query(ledger.SubjectFact, "service", "a", "b"), Record: (&ledger.Subject{Anchors: []ledger.Anchor{{Type: "EiffelActivityTriggeredEvent", First: "e", Last: "e"}}}).Encode()},
		}
		commit(t, s, Batch{Facts: facts})
		c.days.Store(2)
		if n := sweep(t, s); n != 1 {
			t.Errorf("%d records went", n)
		}
		if read(t, s, facts[0].Query) == nil || read(t, s, facts[2].Query) == nil {
			t.Error("anchors and subjects are not to go")
		}
	})
	sweepStores(t, Options{Retention: -1}, func(t *testing.T, s Store, c *clock) {
		commit(t, s, Batch{Facts: []ledger.Fact{{Query: query(ledger.ContextFact, "c"), Record: []byte{}}}})
		c.days.Store(10000)
		if n := sweep(t, s); n != 0 {
			t.Errorf("%d records went", n)
		}
	})
}

// TestSweepPassesOver keeps what cannot be judged, and only that.
func TestSweepPassesOver(t *testing.T) {
	damaged, sound := query(ledger.EventFact, "a"), query(ledger.EventFact, "b")
	sweepStores(t, Options{}, func(t *testing.T, s Store, c *clock) {
		commit(t, s, Batch{Facts: []ledger.Fact{{Query: damaged, Record: []byte{0xff}}, {Query: sound, Record: []byte{}}}})
		c.days.Store(100)
		if n := sweep(t, s); n != 1 || read(t, s, damaged) == nil {
			t.Errorf("%d records went", n)
		}
	})
}

// TestMemorySweepsItself needs no call of Sweep.
func TestMemorySweepsItself(t *testing.T) {
	c := &clock{}
	s := NewMemoryWith(Options{Now: c.now})
	q := query(ledger.ContextFact, "c")
	commit(t, s, Batch{Facts: []ledger.Fact{{Query: q, Record: []byte{}}}})
	c.days.Store(31)
	commit(t, s, Batch{Facts: []ledger.Fact{{Query: query(ledger.ContextFact, "d"), Record: []byte{}}}})
	if read(t, s, q) != nil {
		t.Error("it is still there")
	}
}
