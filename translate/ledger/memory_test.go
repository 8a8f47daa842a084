package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// TestEmptyRecord: a decision without choices is a record all the same, also where its bytes come as nil, as from a plugin.
func TestEmptyRecord(t *testing.T) {
	l := ledger.NewMemory()
	q := ledger.DecisionQuery("eiffel", "s", "i", "t")
	for range 2 {
		if err := l.Apply(context.Background(), []ledger.Fact{{Query: q}}); err != nil {
			t.Fatal(err)
		}
		records, err := l.Read(context.Background(), []ledger.Query{q})
		if err != nil || records[0].Bytes == nil {
			t.Fatalf("the record is %v: %v", records[0], err)
		}
	}
}

// model is a ledger as simple as can be.
type model map[ledger.Query][]byte

func (m model) apply(facts []ledger.Fact) (model, error) {
	after := maps.Clone(m)
	for _, f := range facts {
		switch {
		case f.Query.IsRange():
			return m, errors.New("a range")
		case f.Forget:
			delete(after, f.Query)
		default:
			record, err := ledger.Merge(f.Query.Kind, after[f.Query], f.Record)
			if err != nil {
				return m, err
			}
			after[f.Query] = record
		}
	}
	return after, nil
}

func (m model) read(q ledger.Query) []byte {
	if !q.IsRange() {
		return m[q]
	}
	from, to := q.Bounds()
	var keys []string
	for other := range m {
		if other.Kind == q.Kind && other.Key >= from && other.Key < to {
			keys = append(keys, other.Key)
		}
	}
	slices.Sort(keys)
	slices.Reverse(keys)
	var answer []byte
	for _, key := range keys[:min(len(keys), q.Range.Limit)] {
		answer = ledger.AppendRecord(answer, q.Name(key), m[ledger.Query{Kind: q.Kind, Key: key}])
	}
	return answer
}

// draw draws facts and questions about few subjects.
type draw struct{ *rand.Rand }

func (d draw) subject() ledger.SubjectKey {
	return ledger.SubjectKey{Kind: "service", Source: "s", ID: strings.Repeat("x", d.IntN(3)) + fmt.Sprint(d.IntN(6))}
}

func (d draw) stamp() ledger.Stamp {
	return ledger.Stamp{Time: d.Int64N(40) - 20, ID: fmt.Sprint(d.IntN(3))}
}

// fact is one in a hundred times one that cannot be applied.
func (d draw) fact() (f ledger.Fact) {
	switch k, s := d.subject(), d.stamp(); d.IntN(9) {
	case 0:
		f.Query, f.Record = ledger.SubjectQuery(k), (&ledger.Subject{Anchors: []ledger.Anchor{{Type: "EiffelXEvent", First: s.ID, Last: s.ID}}, Opened: s}).Encode()
	case 1:
		f.Query, f.Record = ledger.LineQuery(k, k), (&ledger.Head{Entries: uint64(1 + d.IntN(100)), Last: ledger.Entry{Stamp: s, Config: "c"}}).Encode()
	case 2:
		f.Query, f.Record = ledger.FirstRunQuery(k, k, s.ID), s.Encode()
	case 3:
		f.Query, f.Forget = ledger.EntryQuery(k, k, s), true
	case 4:
		f.Query, f.Record = ledger.RunsQuery(k), ledger.Set{s.ID}.Encode()
	case 5:
		f.Query, f.Record = ledger.EventQuery(s.ID), []byte{} // nothing is known of it
		if d.IntN(8) == 0 {
			f.Record = []byte{0xff} // damaged
		}
	case 6:
		f.Query = ledger.EntriesQuery(k, k, "", 3)
		if d.IntN(20) > 0 {
			f.Query, f.Forget = ledger.FirstRunQuery(k, k, s.ID), true
		}
	default:
		f.Query, f.Record = ledger.EntryQuery(k, k, s), (&ledger.Entry{Artifact: strings.Repeat("a", d.IntN(300))}).Encode()
	}
	return f
}

// facts are a few, and now and then more than are searched one by one.
func (d draw) facts() []ledger.Fact {
	facts := make([]ledger.Fact, 1+d.IntN(4))
	if d.IntN(20) == 0 {
		facts = make([]ledger.Fact, 60)
	}
	for i := range facts {
		facts[i] = d.fact()
	}
	return facts
}

func (d draw) queries() []ledger.Query {
	k := d.subject()
	return []ledger.Query{
		d.fact().Query, ledger.EntriesQuery(k, k, "", ledger.All), ledger.EntriesQuery(k, k, d.stamp().Text(), 2), ledger.FirstRunsQuery(k, k), ledger.SubjectQuery(k),
		{Kind: ledger.EntryFact, Range: ledger.Range{Limit: 1}},
	}
}

// TestMemory holds the ledger in memory against a simpler one: what it reads after any facts, that records which were read stay what
// they were, and that equal revisions mean equal records.
func TestMemory(t *testing.T) {
	ctx := context.Background()
	for seed := range uint64(40) {
		chance := draw{rand.New(rand.NewPCG(seed, 1))}
		l, m := ledger.NewMemory(), model{}
		type reading struct {
			query  ledger.Query
			record ledger.Record
			copy   string
		}
		var readings []reading
		for range 300 {
			facts := chance.facts()
			after, failed := m.apply(facts)
			if err := l.Apply(ctx, facts); (err != nil) != (failed != nil) {
				t.Fatalf("seed %d: the error is %v, want %v", seed, err, failed)
			}
			m = after
			queries := chance.queries()
			records, err := l.Read(ctx, queries)
			if err != nil {
				t.Fatal(err)
			}
			for i, r := range records {
				if want := m.read(queries[i]); string(r.Bytes) != string(want) || (r.Bytes == nil) != (want == nil) || (r.Revision == 0) != (r.Bytes == nil) {
					t.Fatalf("seed %d: %+v is %x of revision %d, want %x", seed, queries[i], r.Bytes, r.Revision, want)
				}
				readings = append(readings, reading{queries[i], r, string(r.Bytes)})
			}
		}
		revisions := map[ledger.Query]map[uint64]string{}
		for _, r := range readings {
			if string(r.record.Bytes) != r.copy {
				t.Fatalf("seed %d: a record that was read has changed", seed)
			}
			if revisions[r.query] == nil {
				revisions[r.query] = map[uint64]string{}
			}
			if before, ok := revisions[r.query][r.record.Revision]; ok && before != r.copy {
				t.Fatalf("seed %d: two records of %+v have the revision %d", seed, r.query, r.record.Revision)
			}
			revisions[r.query][r.record.Revision] = r.copy
		}
		for _, kind := range ledger.FactKinds() {
			var keys []string
			err := l.Scan(ctx, kind, func(key string, record []byte) error {
				if q := (ledger.Query{Kind: kind, Key: key}); string(m[q]) != string(record) || m[q] == nil {
					t.Fatalf("seed %d: %s %s is %x, want %x", seed, kind, key, record, m[q])
				}
				keys = append(keys, key)
				return nil
			})
			count := 0
			for q := range m {
				if q.Kind == kind {
					count++
				}
			}
			if err != nil || len(keys) != count || !slices.IsSorted(keys) {
				t.Fatalf("seed %d: %d records of kind %s, want %d in order: %v", seed, len(keys), kind, count, err)
			}
		}
	}
}

// TestChurn: a record that is written again and again takes the memory of one, or not much more.
func TestChurn(t *testing.T) {
	ctx := context.Background()
	l := ledger.NewMemory()
	k := ledger.SubjectKey{Kind: "service", ID: "shop"}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for n := range uint64(100_000) {
		head := ledger.Head{Entries: n + 1, Last: ledger.Entry{Stamp: ledger.Stamp{Time: int64(n + 1), ID: "i"}, Artifact: "pkg:oci/shop@1"}}
		entry := ledger.Fact{Query: ledger.EntryQuery(k, k, head.Last.Stamp), Record: head.Last.Encode()}
		facts := []ledger.Fact{{Query: ledger.LineQuery(k, k), Record: head.Encode()}, entry}
		if n >= 100 {
			old := ledger.Stamp{Time: int64(n - 99), ID: "i"}
			facts = append(facts, ledger.Fact{Query: ledger.EntryQuery(k, k, old), Forget: true})
		}
		if err := l.Apply(ctx, facts); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 4<<20 {
		t.Errorf("the ledger has grown by %d bytes", grown)
	}
	records, err := l.Read(ctx, []ledger.Query{ledger.EntriesQuery(k, k, "", ledger.All)})
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for range ledger.Records(records[0].Bytes) {
		count++
	}
	if count != 100 {
		t.Errorf("%d entries are left, want 100", count)
	}
}

// BenchmarkMemory teaches and asks what one deployment of many services does.
func BenchmarkMemory(b *testing.B) {
	ctx := context.Background()
	var l *ledger.Memory
	facts := func(n int) []ledger.Fact {
		k := ledger.SubjectKey{Kind: "service", Source: "https://ci.example.com/job/deploy", ID: fmt.Sprint("shop-", n%1000)}
		s := ledger.Stamp{Time: int64(n), ID: fmt.Sprintf("5eed0000-0000-4000-8000-%012x", n)}
		e := ledger.Entry{Stamp: s, Artifact: "pkg:oci/checkout@sha256:0b31b1c02ff458ad9b7b81cbdf8f028bd54699fa151f221d1e8de6817db93427"}
		return []ledger.Fact{
			{Query: ledger.ContextQuery(s.ID), Record: ledger.Contexts{{Source: k.Source, Type: "dev.cdevents.service.deployed.0.3.0"}}.Encode()},
			{Query: ledger.EventQuery(s.ID), Record: (&ledger.EiffelEvent{Type: "EiffelArtifactDeployedEvent", Subject: k, Environment: k, Emitted: true}).Encode()},
			{Query: ledger.EntryQuery(k, k, s), Record: e.Encode()},
			{Query: ledger.LineQuery(k, k), Record: (&ledger.Head{Entries: uint64(n), Last: e}).Encode()},
			{Query: ledger.FirstRunQuery(k, k, e.Artifact), Record: s.Encode()},
			{Query: ledger.DecisionQuery("eiffel", k.Source, s.ID, "dev.cdevents.service.deployed.0.3.0")},
		}
	}
	b.Run("apply", func(b *testing.B) {
		l = ledger.NewMemory()
		events := make([][]ledger.Fact, b.N)
		for n := range events {
			events[n] = facts(n)
		}
		b.ReportAllocs()
		b.ResetTimer()
		for _, facts := range events {
			if err := l.Apply(ctx, facts); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("read", func(b *testing.B) {
		var queries []ledger.Query
		for _, f := range facts(500) {
			queries = append(queries, f.Query)
		}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := l.Read(ctx, queries); err != nil {
				b.Fatal(err)
			}
		}
	})
}
