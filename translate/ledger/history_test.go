package ledger_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sort"
	"testing"

	"pgregory.net/rapid"

	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

var (
	shop       = ledger.SubjectKey{Kind: "service", Source: "https://ci.example.com", ID: `sh"op`}
	production = ledger.SubjectKey{Kind: "environment", Source: "", ID: "production"}
)

// oldLine is the rule by which a line was kept when it was one record: what a history must be the same as.
type oldLine struct{ ledger.Line }

func (l *oldLine) add(e ledger.Entry) {
	at := sort.Search(len(l.Entries), func(i int) bool { return !l.Entries[i].Before(e.Stamp) })
	if at == len(l.Entries) || l.Entries[at].Stamp != e.Stamp {
		l.Entries = slices.Insert(l.Entries, at, e)
	}
	if !e.Removed {
		known := slices.IndexFunc(l.FirstRuns, func(r ledger.FirstRun) bool { return r.Artifact == e.ArtifactKey() })
		switch {
		case known < 0:
			l.FirstRuns = append(l.FirstRuns, ledger.FirstRun{Artifact: e.ArtifactKey(), Stamp: e.Stamp})
		case e.Before(l.FirstRuns[known].Stamp):
			l.FirstRuns[known].Stamp = e.Stamp
		}
	}
	if len(l.Entries) > 150 {
		l.Entries = l.Entries[len(l.Entries)-100:]
		l.FirstRuns = slices.DeleteFunc(l.FirstRuns, func(r ledger.FirstRun) bool {
			return !slices.ContainsFunc(l.Entries, func(e ledger.Entry) bool { return !e.Removed && e.ArtifactKey() == r.Artifact })
		})
	}
}

func (l *oldLine) lastBefore(environment *ledger.Subject, s ledger.Stamp) (last ledger.Entry, found bool) {
	for _, e := range l.Entries {
		if e.Before(s) {
			last, found = e, true
		}
	}
	for _, c := range environment.Closures {
		if c.Before(s) && (!found || last.Before(c)) {
			last, found = ledger.Entry{Stamp: c, Removed: true}, true
		}
	}
	return last, found
}

func (l *oldLine) firstRuns() map[string]ledger.Stamp {
	out := map[string]ledger.Stamp{}
	for _, r := range l.FirstRuns {
		out[r.Artifact] = r.Stamp
	}
	return out
}

// fataler is what tests and properties have in common.
type fataler interface{ Fatal(args ...any) }

// reader reads a ledger and counts how much was asked of it.
func reader(t fataler, l ledger.Ledger, points, ranges *int) ledger.Reader {
	return func(q ledger.Query) []byte {
		if q.IsRange() {
			*ranges++
		} else {
			*points++
		}
		records, err := l.Read(context.Background(), []ledger.Query{q})
		if err != nil {
			t.Fatal(err)
		}
		return records[0].Bytes
	}
}

func history(t fataler, l ledger.Ledger) *ledger.History {
	var n int
	h, err := ledger.OpenHistory(reader(t, l, &n, &n), shop, production)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// sameAs compares a history with the line that it must be the same as.
func sameAs(t *rapid.T, l ledger.Ledger, want *oldLine) {
	h := history(t, l)
	whole := h.Whole()
	if !slices.Equal(whole.Entries, want.Entries) {
		t.Fatalf("the entries are\n%+v, want\n%+v", whole.Entries, want.Entries)
	}
	got := (&oldLine{*whole}).firstRuns()
	if !maps.Equal(got, want.firstRuns()) {
		t.Fatalf("the first runs are\n%+v, want\n%+v", got, want.firstRuns())
	}
	if h.Empty() != (len(want.Entries) == 0) {
		t.Fatalf("empty is %t with %d entries", h.Empty(), len(want.Entries))
	}
	if facts := h.Recount(nil); len(facts) != 0 {
		t.Fatalf("its head is not right: %+v", facts)
	}
}

// TestHistoryIsAsItWas holds histories to the line of one record, however entries come: in order, late, twice, with the same
// stamp and other artifacts, and again after they were forgotten.
func TestHistoryIsAsItWas(t *testing.T) {
	cuts := 0
	rapid.Check(t, func(rt *rapid.T) {
		l := ledger.NewMemory()
		want := &oldLine{}
		var stream []ledger.Entry
		entry := func(ms int64) ledger.Entry {
			e := ledger.Entry{Stamp: ledger.Stamp{Time: ms, ID: fmt.Sprint("e", rapid.IntRange(0, 1).Draw(rt, "id"))}}
			if e.Removed = rapid.IntRange(0, 9).Draw(rt, "removed") == 0; !e.Removed {
				n := rapid.IntRange(0, 30).Draw(rt, "artifact")
				e.Artifact = fmt.Sprintf("pkg:oci/shop@%d?x=\"", n)
				if n%2 == 0 {
					e.Key = fmt.Sprint("pkg:oci/shop@", n)
				}
			}
			return e
		}
		apply := func(facts []ledger.Fact) {
			if err := l.Apply(context.Background(), facts); err != nil {
				rt.Fatal(err)
			}
		}
		add := func(e ledger.Entry) []ledger.Fact {
			want.add(e)
			facts := history(rt, l).Append(nil, e)
			apply(facts)
			return facts
		}
		now := int64(-60)
		before := rapid.SampledFrom([]int{0, 3, 140, 149, 150, 300}).Draw(rt, "before")
		for range before {
			e := entry(now)
			now++
			stream = append(stream, e)
			add(e)
		}
		sameAs(rt, l, want)
		var last []ledger.Fact
		for range rapid.IntRange(1, 40).Draw(rt, "more") {
			var e ledger.Entry
			switch rapid.IntRange(0, 3).Draw(rt, "kind") {
			case 0:
				e = entry(rapid.Int64Range(-80, now+2).Draw(rt, "late"))
			case 1:
				if len(stream) > 0 {
					e = rapid.SampledFrom(stream).Draw(rt, "again")
					break
				}
				fallthrough
			default:
				e = entry(now)
				now++
			}
			stream = append(stream, e)
			epoch := func() uint64 {
				records, _ := l.Read(context.Background(), []ledger.Query{ledger.LineQuery(shop, production)})
				h, err := ledger.DecodeHead(records[0].Bytes)
				if err != nil {
					rt.Fatal(err)
				}
				return h.Epoch
			}
			was := epoch()
			facts := add(e)
			if epoch() != was {
				cuts++
			}
			sameAs(rt, l, want)
			// Facts that are applied again, alone or after those before them, change nothing.
			apply(facts)
			sameAs(rt, l, want)
			apply(append(slices.Clone(last), facts...))
			sameAs(rt, l, want)
			last = facts
		}
		environment := &ledger.Subject{}
		for range rapid.IntRange(0, 3).Draw(rt, "closures") {
			environment.Closures = append(environment.Closures, ledger.Stamp{Time: rapid.Int64Range(-90, now+2).Draw(rt, "closed"), ID: "c"})
		}
		slices.SortFunc(environment.Closures, func(a, b ledger.Stamp) int { return int(a.Time - b.Time) })
		h := history(rt, l)
		for _, s := range append([]ledger.Stamp{ledger.EndOfTime, {}}, environment.Closures...) {
			for _, s := range []ledger.Stamp{s, {Time: s.Time, ID: "e1"}, {Time: rapid.Int64Range(-90, now+2).Draw(rt, "asked"), ID: "e1"}} {
				e, found := h.LastBefore(environment, s)
				if old, was := want.lastBefore(environment, s); e != old || found != was {
					rt.Fatalf("before %+v there is %+v, %t, want %+v, %t", s, e, found, old, was)
				}
				old, was := want.lastBefore(environment, s)
				if !was {
					old, was = want.lastBefore(environment, ledger.EndOfTime)
				}
				if e, runs := h.RunningAt(environment, s); e != old || runs != (was && !old.Removed) {
					rt.Fatalf("at %+v there runs %+v, %t, want %+v", s, e, runs, old)
				}
				for _, r := range want.FirstRuns {
					if first, ran := h.FirstRun(r.Artifact, s); first != r.Stamp || ran != r.Before(s) {
						rt.Fatalf("%s ran first at %+v, %t, want %+v before %+v", r.Artifact, first, ran, r, s)
					}
				}
			}
		}
		if first, ran := h.FirstRun("none", ledger.EndOfTime); ran {
			rt.Fatalf("what never ran did at %+v", first)
		}
	})
	if cuts == 0 {
		t.Error("no history was cut back")
	}
}

// TestHistoryReadsLittle: what comes after all that is known is judged and learned by the head alone.
func TestHistoryReadsLittle(t *testing.T) {
	l := ledger.NewMemory()
	at := func(n int) ledger.Stamp { return ledger.Stamp{Time: int64(n), ID: "e"} }
	most, ranged := 0, 0
	for n := range 1000 {
		points, ranges := 0, 0
		h, err := ledger.OpenHistory(reader(t, l, &points, &ranges), shop, production)
		if err != nil {
			t.Fatal(err)
		}
		last, found := h.LastBefore(&ledger.Subject{}, at(n))
		if found != (n > 0) || found && last.Stamp != at(n-1) {
			t.Fatalf("before entry %d there is %+v, %t", n, last, found)
		}
		facts := h.Append(nil, ledger.Entry{Stamp: at(n), Artifact: fmt.Sprint("pkg:oci/shop@", n)})
		if err := l.Apply(t.Context(), facts); err != nil {
			t.Fatal(err)
		}
		if points != 1 {
			t.Fatalf("entry %d read %d records", n, points)
		}
		if ranges > 0 {
			ranged++
		}
		count := 0
		if err := l.Scan(t.Context(), ledger.EntryFact, func(string, []byte) error { count++; return nil }); err != nil {
			t.Fatal(err)
		}
		most = max(most, count)
		if n >= 150 && count < ledger.LineLength {
			t.Fatalf("%d entries are left", count)
		}
	}
	if most != ledger.LineMost || ranged != 17 {
		t.Errorf("there were up to %d entries, and %d of 1000 read them", most, ranged)
	}
	runs := 0
	if err := l.Scan(t.Context(), ledger.FirstRunFact, func(string, []byte) error { runs++; return nil }); err != nil || runs > ledger.LineMost {
		t.Errorf("%d first runs are kept, %v", runs, err)
	}
}

// TestHistoryMendsItsCount: entries that were added side by side are counted once, until the next count.
func TestHistoryMendsItsCount(t *testing.T) {
	l := ledger.NewMemory()
	want := &oldLine{}
	for n := range 140 {
		var facts []ledger.Fact
		h := history(t, l)
		for _, id := range []string{"a", "b"} {
			e := ledger.Entry{Stamp: ledger.Stamp{Time: int64(n), ID: id}, Removed: true}
			facts = h.Append(facts, e) // both by one reading
			want.add(e)
		}
		if err := l.Apply(t.Context(), facts); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(history(t, l).Whole().Entries); got != 280 {
		t.Fatalf("there are %d entries", got)
	}
	if err := l.Apply(t.Context(), history(t, l).Recount(nil)); err != nil {
		t.Fatal(err)
	}
	got := history(t, l).Whole().Entries
	if len(got) != ledger.LineLength || !slices.Equal(got, want.Entries[len(want.Entries)-len(got):]) {
		t.Errorf("counted anew, there are %d entries: %+v", len(got), got)
	}
	if facts := history(t, l).Recount(nil); len(facts) != 0 {
		t.Errorf("counted twice, it learns %+v", facts)
	}
}

// TestDamagedHistory: one damaged record spoils neither the others nor the translation.
func TestDamagedHistory(t *testing.T) {
	l := ledger.NewMemory()
	at := func(n int) ledger.Stamp { return ledger.Stamp{Time: int64(n), ID: "e"} }
	damaged := []byte{0xff}
	facts := []ledger.Fact{{Query: ledger.EntryQuery(shop, production, at(2)), Record: damaged}, {Query: ledger.FirstRunQuery(shop, production, "x"), Record: damaged}}
	facts = append(facts, (&ledger.Line{Entries: []ledger.Entry{{Stamp: at(1), Artifact: "a"}, {Stamp: at(3), Artifact: "b"}}}).Facts(ledger.LineQuery(shop, production).Key)...)
	if err := l.Apply(t.Context(), facts); err != nil {
		t.Fatal(err)
	}
	h := history(t, l)
	for n, want := range map[int]ledger.Entry{1: {}, 2: {Stamp: at(1), Artifact: "a"}, 3: {Removed: true}, 4: {Stamp: at(3), Artifact: "b"}} {
		if got, found := h.LastBefore(&ledger.Subject{}, at(n)); got != want || found != (n > 1) {
			t.Errorf("before %d there is %+v, %t", n, got, found)
		}
	}
	if first, ran := h.FirstRun("x", at(9)); ran {
		t.Errorf("a damaged first run is %+v", first)
	}
	// It is counted, and goes with the others.
	for n := 4; n < 200; n++ {
		if err := l.Apply(t.Context(), history(t, l).Append(nil, ledger.Entry{Stamp: at(n), Removed: true})); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Scan(t.Context(), ledger.EntryFact, func(key string, record []byte) error {
		if string(record) == string(damaged) {
			t.Errorf("%s is still there", key)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	q := ledger.LineQuery(production, shop)
	if err := l.Apply(t.Context(), []ledger.Fact{{Query: q, Record: damaged}}); err != nil {
		t.Fatal(err)
	}
	var n int
	h, err := ledger.OpenHistory(reader(t, l, &n, &n), production, shop)
	if err == nil || !h.Empty() {
		t.Errorf("a damaged head is %v, %v", h, err)
	}
}

// TestLineFacts: a line of one record becomes a history that says the same.
func TestLineFacts(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		want := &oldLine{}
		for n := range rapid.SampledFrom([]int{1, 5, 120, 150}).Draw(rt, "entries") {
			want.add(ledger.Entry{Stamp: ledger.Stamp{Time: int64(n), ID: "e"}, Artifact: fmt.Sprint("pkg:oci/shop@", n%7), Config: "c"})
		}
		key := ledger.LineQuery(shop, production).Key
		record := want.Encode()
		if !ledger.IsLine(record) {
			rt.Fatal("a line is not known as one")
		}
		if _, err := ledger.DecodeHead(record); err == nil {
			rt.Fatal("a line is taken for a head")
		}
		l := ledger.NewMemory()
		facts := want.Facts(key)
		for range 2 {
			if err := l.Apply(context.Background(), facts); err != nil {
				rt.Fatal(err)
			}
			sameAs(rt, l, want)
		}
		if head := facts[len(facts)-1]; ledger.IsLine(head.Record) || head.Query.Key != key {
			rt.Fatal("a head is taken for a line")
		}
	})
}
