package ledger

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/translate"
	records "github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// historyFacts are changes to two histories and to records that are merged in each of the ways that a store has.
func historyFacts(r *rand.Rand) (facts []records.Fact) {
	for range 1 + r.IntN(6) {
		line := []string{"ci", fmt.Sprint("shop", r.IntN(2)), "ci", "production"}
		stamp := records.Stamp{Time: int64(r.IntN(12) - 3), ID: "e"}
		f := records.Fact{Forget: r.IntN(4) == 0}
		switch r.IntN(5) {
		case 0, 1:
			f.Query = query(records.EntryFact, append(line, stamp.Text())...)
			f.Record = (&records.Entry{Artifact: fmt.Sprint("pkg:oci/shop@", r.IntN(3))}).Encode()
		case 2:
			f.Query, f.Record = query(records.FirstRunFact, append(line, fmt.Sprint("pkg:oci/shop@", r.IntN(3)))...), stamp.Encode()
		case 3:
			f.Query = query(records.ContextFact, fmt.Sprint(r.IntN(3)))
			f.Record = records.Contexts{{Source: fmt.Sprint(r.IntN(3)), Type: "t"}}.Encode()
		case 4:
			f.Query, f.Record = query(records.NameFact, "service", fmt.Sprint(r.IntN(3))), records.Set{fmt.Sprint(r.IntN(4))}.Encode()
		}
		if f.Forget {
			f.Record = nil
		}
		facts = append(facts, f)
	}
	return facts
}

// everyQuery asks for all that historyFacts change.
func everyQuery(r *rand.Rand) (queries []records.Query) {
	for i := range 3 {
		queries = append(queries, query(records.ContextFact, fmt.Sprint(i)), query(records.NameFact, "service", fmt.Sprint(i)))
	}
	for i := range 2 {
		line := []string{"ci", fmt.Sprint("shop", i), "ci", "production"}
		q := query(records.EntryFact, line...)
		q.Range = records.Range{Before: records.Stamp{Time: int64(r.IntN(12) - 3), ID: "e"}.Text(), Limit: 1 + r.IntN(3)}
		queries = append(queries, q)
		for _, kind := range []records.FactKind{records.EntryFact, records.FirstRunFact, records.NameFact} {
			q := query(kind, line...)
			q.Range = records.Range{Limit: records.All}
			queries = append(queries, q)
		}
		queries = append(queries, query(records.EntryFact, append(line, records.Stamp{Time: 2, ID: "e"}.Text())...),
			query(records.FirstRunFact, append(line, "pkg:oci/shop@1")...))
	}
	return queries
}

// TestRangesAndRevisions: every store answers as the ledger beside the core does, and no revision stands for two answers, be the
// store closed and opened between them.
func TestRangesAndRevisions(t *testing.T) {
	eachStore(t, func(t *testing.T, s Store) {
		path := ""
		if file, ok := s.(*File); ok {
			path = file.Path()
		}
		defer func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}()
		r := rand.New(rand.NewPCG(11, 12))
		model := translate.NewMemoryLedger()
		type seen struct {
			query    records.Query
			revision uint64
		}
		answers := map[seen][]byte{}
		ctx := context.Background()
		changed, same := 0, 0
		for i := range 700 {
			facts := historyFacts(r)
			for _, l := range []records.Ledger{s, model} {
				if err := l.Apply(ctx, facts); err != nil {
					t.Fatal(err)
				}
			}
			if path != "" && i%40 == 39 {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				var err error
				if s, err = Open(path, Options{}); err != nil {
					t.Fatal(err)
				}
			}
			queries := everyQuery(r)
			got, err := s.Read(ctx, queries)
			if err != nil {
				t.Fatal(err)
			}
			want, err := model.Read(ctx, queries)
			if err != nil {
				t.Fatal(err)
			}
			for n, q := range queries {
				a := got[n]
				if !bytes.Equal(a.Bytes, want[n].Bytes) || (a.Bytes == nil) != (want[n].Bytes == nil) {
					t.Fatalf("%d: %+v gives %q, want %q", i, q, a.Bytes, want[n].Bytes)
				}
				if (a.Bytes == nil) != (a.Revision == 0) {
					t.Fatalf("%d: %+v gives %q with revision %d", i, q, a.Bytes, a.Revision)
				}
				key := seen{q, a.Revision}
				before, ok := answers[key]
				switch {
				case !ok:
					changed++
				case !bytes.Equal(before, a.Bytes):
					t.Fatalf("%d: %+v gives %q and gave %q with revision %d", i, q, a.Bytes, before, a.Revision)
				default:
					same++
				}
				answers[key] = a.Bytes
			}
		}
		if changed < 500 || same < 500 {
			t.Errorf("%d answers had a new revision and %d one that was there", changed, same)
		}
	})
}

// TestRevisionsAreNotReused: not even what a crash took away has its revision given to something else.
func TestRevisionsAreNotReused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	q := query(records.NameFact, "a", "b")
	last := uint64(0)
	for i := range 5 {
		s := mustOpen(t, path, Options{})
		for range 3 {
			commit(t, s, Batch{Facts: []records.Fact{{Query: q, Forget: true}, {Query: q, Record: records.Set{fmt.Sprint(i)}.Encode()}}})
			answers, err := s.Read(t.Context(), []records.Query{q})
			if err != nil || answers[0].Revision <= last {
				t.Fatalf("after revision %d comes %+v, %v", last, answers, err)
			}
			last = answers[0].Revision
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestStoresRefuseRanges: a fact is of one record.
func TestStoresRefuseRanges(t *testing.T) {
	eachStore(t, func(t *testing.T, s Store) {
		q := query(records.EntryFact, "a")
		q.Range.Limit = 1
		if err := s.Apply(t.Context(), []records.Fact{{Query: q}}); err == nil {
			t.Error("a range was written")
		}
	})
	q := query(records.EntryFact, "a")
	q.Range.Limit = 1
	if err := translate.NewMemoryLedger().Apply(t.Context(), []records.Fact{{Query: q}}); err == nil {
		t.Error("a range was written")
	}
}

// TestHistoriesSideBySide has readers of a history while entries come to it: what they see is a history at some time.
func TestHistoriesSideBySide(t *testing.T) {
	eachStore(t, func(t *testing.T, s Store) {
		ctx := context.Background()
		line := query(records.LineFact, "ci", "shop", "ci", "production").Key
		read := func(queries ...records.Query) []records.Record {
			answers, err := s.Read(ctx, queries)
			if err != nil {
				t.Error(err)
				return make([]records.Record, len(queries))
			}
			return answers
		}
		done := make(chan struct{})
		var readers sync.WaitGroup
		for range 3 {
			readers.Go(func() {
				head := records.Query{Kind: records.LineFact, Key: line}
				entries := records.Query{Kind: records.EntryFact, Key: line, Range: records.Range{Limit: records.All}}
				for {
					select {
					case <-done:
						return
					default:
					}
					answers := read(head, entries)
					h, err := records.DecodeHead(answers[0].Bytes)
					n := 0
					for name := range records.Records(answers[1].Bytes) {
						if n++; n == 1 && h.Last.Text() != string(name) {
							t.Errorf("the last entry is %s and the head has %+v", name, h.Last)
						}
					}
					if err != nil || uint64(n) != h.Entries {
						t.Errorf("the head counts %d entries, and there are %d (%v)", h.Entries, n, err)
						return
					}
				}
			})
		}
		for i := range 200 {
			h, err := records.OpenLine(func(q records.Query) []byte { return read(q)[0].Bytes }, line)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Apply(ctx, h.Append(nil, records.Entry{Stamp: records.Stamp{Time: int64(i), ID: "e"}, Artifact: fmt.Sprint("a", i)})); err != nil {
				t.Fatal(err)
			}
		}
		close(done)
		readers.Wait()
	})
}
