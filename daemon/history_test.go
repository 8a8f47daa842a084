package daemon

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/daemon/ledger"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
	"github.com/eiffelbridge/eiffelbridge/translate"
	records "github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// recordsOf are all records of a ledger.
func recordsOf(t *testing.T, l records.Ledger) (out []string) {
	t.Helper()
	for _, kind := range records.FactKinds() {
		err := l.Scan(t.Context(), kind, func(key string, record []byte) error {
			out = append(out, fmt.Sprintf("%s %s %x", kind, key, record))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// TestHistoryIsCutBackInFlight has a history reach its bound while nothing of what made it so is in the store yet, with entries
// that come late among them: it becomes what it would have become one event after the other.
func TestHistoryIsCutBackInFlight(t *testing.T) {
	for _, before := range []int{0, 90, 146, 149, 150} {
		t.Run(fmt.Sprint(before), func(t *testing.T) {
			r := rand.New(rand.NewPCG(uint64(before), 1))
			measure := ledger.NewMemory()
			session := translate.NewSession(&fakeTranslator{}, measure)
			g := newRig(t, true, nil)
			for i := range before {
				text := eventAt(fmt.Sprintf("p%03d", i), "shop", 1000+int64(i))
				for _, s := range []*translate.Session{session, translate.NewSession(&fakeTranslator{}, g.store.Store)} {
					if _, err := s.Translate(t.Context(), []byte(text)); err != nil {
						t.Fatal(err)
					}
				}
			}
			gate := make(chan struct{})
			g.store.mu.Lock()
			g.store.gate = gate
			g.store.mu.Unlock()
			var texts []string
			var open []chan transport.Settlement
			for i := range 70 {
				at := int64(2000 + i)
				if r.IntN(3) == 0 {
					at = 990 + r.Int64N(1200)
				}
				text := eventAt(fmt.Sprintf("q%03d", i), "shop", at)
				texts = append(texts, text)
				open = append(open, g.source.deliver(text))
			}
			// All are at the sink, and the ledger has none of them.
			eventually(t, "published", func() bool { return len(g.sink.ids()) == len(texts) })
			close(gate)
			for _, c := range open {
				want(t, c, transport.Accepted)
			}
			var made []string
			for _, text := range texts {
				result, err := session.Translate(t.Context(), []byte(text))
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range result.Events {
					made = append(made, string(e.JSON))
				}
			}
			equal(t, g.sink.texts(), made)
			if got, want := recordsOf(t, g.store.Store), recordsOf(t, measure); !slices.Equal(got, want) {
				t.Errorf("the ledger has\n%q\nand one event after the other\n%q", got, want)
			}
		})
	}
}

// TestOverlay: what a transaction sees is what the store would show if all before it were committed, and a revision stands for one
// answer only, whichever part of them is.
func TestOverlay(t *testing.T) {
	type key struct {
		query    records.Query
		revision uint64
	}
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 2))
		store, model := ledger.NewMemory(), ledger.NewMemory()
		s := &sequencer{store: store, overlay: overlay{}}
		line := records.LineQuery(records.SubjectKey{ID: "shop"}, records.SubjectKey{ID: "prod"}).Key
		entry := func(n int) records.Query {
			return records.EntryQuery(records.SubjectKey{ID: "shop"}, records.SubjectKey{ID: "prod"}, records.Stamp{Time: int64(n), ID: "e"})
		}
		queries := []records.Query{
			{Kind: records.EntryFact, Key: line, Range: records.Range{Limit: records.All}},
			{Kind: records.EntryFact, Key: line, Range: records.Range{Limit: 2}},
			{Kind: records.EntryFact, Key: line, Range: records.Range{Before: records.Stamp{Time: 4, ID: "e"}.Text(), Limit: 1}},
			entry(3), {Kind: records.LineFact, Key: line},
		}
		answers := map[key][]byte{}
		var inFlight []*transaction
		look := func() {
			t.Helper()
			var got []records.Record
			var err error
			v := &view{s: s, t: &transaction{seq: s.next + 1}, seen: map[records.Query][]byte{}}
			// Together, or one by one.
			if r.IntN(2) == 0 {
				got, err = v.read(t.Context(), queries)
			} else {
				for _, q := range queries {
					var one []records.Record
					if one, err = v.read(t.Context(), []records.Query{q}); err != nil {
						break
					}
					got = append(got, one...)
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			want, err := model.Read(t.Context(), queries)
			if err != nil {
				t.Fatal(err)
			}
			for i, q := range queries {
				if !bytes.Equal(got[i].Bytes, want[i].Bytes) || (got[i].Bytes == nil) != (got[i].Revision == 0) {
					t.Fatalf("seed %d: %+v gives %q with revision %d, want %q", seed, q, got[i].Bytes, got[i].Revision, want[i].Bytes)
				}
				k := key{q, got[i].Revision}
				if before, ok := answers[k]; ok && !bytes.Equal(before, got[i].Bytes) {
					t.Fatalf("seed %d: %+v gives %q and gave %q with revision %d", seed, q, got[i].Bytes, before, got[i].Revision)
				}
				answers[k] = got[i].Bytes
			}
		}
		for range 25 {
			switch {
			case r.IntN(3) > 0 || len(inFlight) == 0:
				var facts []records.Fact
				for range 1 + r.IntN(3) {
					f := records.Fact{Query: entry(r.IntN(6)), Forget: r.IntN(3) == 0}
					if !f.Forget {
						f.Record = (&records.Entry{Artifact: fmt.Sprint(r.IntN(5))}).Encode()
					}
					if r.IntN(4) == 0 {
						f = records.Fact{Query: queries[4], Record: (&records.Head{Entries: uint64(r.IntN(9)), Epoch: uint64(r.IntN(3))}).Encode()}
					}
					facts = append(facts, f)
				}
				s.next++
				tx := &transaction{seq: s.next, learned: facts}
				s.noteLearned(tx, &view{s: s, t: tx, seen: map[records.Query][]byte{}})
				inFlight = append(inFlight, tx)
				if err := model.Apply(t.Context(), facts); err != nil {
					t.Fatal(err)
				}
			default:
				// The first is committed, and leaves the overlay a moment later.
				first := inFlight[0]
				inFlight = inFlight[1:]
				if err := store.Apply(context.Background(), first.learned); err != nil {
					t.Fatal(err)
				}
				look()
				s.overlay.forget(first)
			}
			look()
		}
	}
}
