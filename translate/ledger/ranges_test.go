package ledger_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// TestStampTexts: texts have the order of their stamps, times before 1970 included.
func TestStampTexts(t *testing.T) {
	const u = "0b31b1c0-2ff4-58ad-9b7b-81cbdf8f028b"
	if got, want := (ledger.Stamp{Time: 1772355600000, ID: u}).Text(), "8000019ca8a03e80"+u; got != want {
		t.Errorf("the text is %s, want %s", got, want)
	}
	if got, want := (ledger.Stamp{Time: -1, ID: "x"}).Text(), "7fffffffffffffffx"; got != want {
		t.Errorf("the text is %s, want %s", got, want)
	}
	rapid.Check(t, func(t *rapid.T) {
		stamp := rapid.Custom(func(t *rapid.T) ledger.Stamp {
			return ledger.Stamp{Time: rapid.OneOf(rapid.Int64Range(-2, 2), rapid.Int64()).Draw(t, "time"), ID: rapid.StringMatching("[0-9a-f]{8}").Draw(t, "id")}
		})
		a, b := stamp.Draw(t, "a"), stamp.Draw(t, "b")
		if back, ok := ledger.ParseStamp(a.Text()); !ok || back != a {
			t.Fatalf("%+v came back as %+v, %t", a, back, ok)
		}
		if (a.Text() < b.Text()) != a.Before(b) {
			t.Fatalf("%s and %s are not in the order of %+v and %+v", a.Text(), b.Text(), a, b)
		}
		ka, kb := ledger.EntryQuery(shop, production, a).Key, ledger.EntryQuery(shop, production, b).Key
		if (ka < kb) != a.Before(b) {
			t.Fatalf("%s and %s are not in the order of %+v and %+v", ka, kb, a, b)
		}
	})
	for _, text := range []string{"", "8000019ca8a03e8", "8000019CA8A03E80" + u, "8000019ca8a03e8 " + u} {
		if s, ok := ledger.ParseStamp(text); ok {
			t.Errorf("%q is the text of %+v", text, s)
		}
	}
}

// odd are parts of keys that are easily taken for something else.
var odd = []string{"", "a", "ab", `a"`, `a",`, `a","b`, `a\`, "]", "a]", "é", " ", "!", "\x00", "a\n"}

func oddKey(t *rapid.T) string {
	part := rapid.SampledFrom(odd)
	return string(ledger.AppendKey(nil, part.Draw(t, "part"), part.Draw(t, "part")))
}

func oddQuery(t *rapid.T) ledger.Query {
	kind := rapid.SampledFrom([]ledger.FactKind{ledger.EntryFact, ledger.FirstRunFact, ledger.NameFact}).Draw(t, "kind")
	return ledger.Query{Kind: kind, Key: oddKey(t)}
}

func oddRange(t *rapid.T) ledger.Query {
	q := oddQuery(t)
	q.Key = string(ledger.AppendKey(nil, rapid.SampledFrom(odd).Draw(t, "part")))
	q.Range = ledger.Range{Before: rapid.SampledFrom(odd).Draw(t, "before"), Limit: rapid.SampledFrom([]int{1, 2, 3, ledger.All}).Draw(t, "limit")}
	return q
}

func oddFacts(t *rapid.T, most int) (facts []ledger.Fact) {
	for range rapid.IntRange(0, most).Draw(t, "facts") {
		f := ledger.Fact{Query: oddQuery(t), Forget: rapid.IntRange(0, 3).Draw(t, "forget") == 0}
		if !f.Forget {
			f.Record = ledger.Stamp{Time: rapid.Int64Range(-9, 9).Draw(t, "time"), ID: "e"}.Encode()
			if f.Query.Kind == ledger.NameFact {
				f.Record = ledger.Set{rapid.SampledFrom(odd).Draw(t, "member")}.Encode()
			}
		}
		facts = append(facts, f)
	}
	return facts
}

// plain is a ledger told a second time, with no thought of speed: the records by their keys.
type plain map[ledger.Query][]byte

func (p plain) apply(t *rapid.T, facts []ledger.Fact) {
	for _, f := range facts {
		if f.Forget {
			delete(p, f.Query)
			continue
		}
		record, err := ledger.Merge(f.Query.Kind, p[f.Query], f.Record)
		if err != nil {
			t.Fatal(err)
		}
		p[f.Query] = record
	}
}

func (p plain) read(q ledger.Query) []byte {
	if !q.IsRange() {
		return p[q]
	}
	type member struct {
		key, last string
		record    []byte
	}
	var members []member
	prefix, _ := ledger.ParseKey(q.Key)
	for known, record := range p {
		parts, _ := ledger.ParseKey(known.Key)
		if known.Kind != q.Kind || !q.Kind.Ranged() || len(parts) != len(prefix)+1 || !slices.Equal(parts[:len(prefix)], prefix) {
			continue
		}
		members = append(members, member{known.Key, parts[len(prefix)], record})
	}
	slices.SortFunc(members, func(a, b member) int { return cmp.Compare(b.key, a.key) })
	members = slices.DeleteFunc(members, func(m member) bool {
		// The order of keys is that of their texts.
		limit := string(ledger.AppendKey(nil, q.Range.Before))
		return q.Range.Before != "" && string(ledger.AppendKey(nil, m.last)) >= strings.TrimSuffix(limit, `"]`)
	})
	var out []byte
	for _, m := range members[:min(len(members), q.Range.Limit)] {
		quoted := string(ledger.AppendKey(nil, m.last))
		out = ledger.AppendRecord(out, quoted[2:len(quoted)-2], m.record)
	}
	return out
}

func readOne(t *rapid.T, l ledger.Ledger, q ledger.Query) ledger.Record {
	records, err := l.Read(context.Background(), []ledger.Query{q})
	if err != nil {
		t.Fatal(err)
	}
	return records[0]
}

// TestRanges compares range reads of the ledger in memory with the plain one, and with what changes over it give.
func TestRanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, model := ledger.NewMemory(), plain{}
		apply := func(facts []ledger.Fact) {
			if err := l.Apply(context.Background(), facts); err != nil {
				t.Fatal(err)
			}
			model.apply(t, facts)
		}
		for range rapid.IntRange(0, 3).Draw(t, "batches") {
			apply(oddFacts(t, 12))
		}
		changes := oddFacts(t, 6)
		queries := []ledger.Query{oddRange(t), oddRange(t), oddRange(t)}
		over := map[ledger.Query][]byte{}
		for _, q := range queries {
			if got, want := readOne(t, l, q).Bytes, model.read(q); !bytes.Equal(got, want) || got == nil != (want == nil) {
				t.Fatalf("%+v gives %q, want %q", q, got, want)
			}
			if !q.Kind.Ranged() {
				continue
			}
			answer, err := ledger.Over(q, readOne(t, l, q.Beneath(changes)).Bytes, changes)
			if err != nil {
				t.Fatal(err)
			}
			over[q] = answer
		}
		apply(changes)
		for q, got := range over {
			if want := model.read(q); !bytes.Equal(got, want) {
				t.Fatalf("%+v gives %q with changes over it, want %q", q, got, want)
			}
			// What the ledger has by now may lie over it again.
			again, err := ledger.Over(q, readOne(t, l, q.Beneath(changes)).Bytes, changes)
			if err != nil || !bytes.Equal(again, got) {
				t.Fatalf("%+v gives %q (%v) with the changes twice, want %q", q, again, err, got)
			}
		}
	})
}

// TestRevisions: an answer with a revision that was seen before is the answer that was seen then.
func TestRevisions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := ledger.NewMemory()
		type seen struct {
			q        ledger.Query
			revision uint64
		}
		answers := map[seen][]byte{}
		queries := []ledger.Query{oddRange(t), oddRange(t), oddQuery(t), oddQuery(t)}
		for range rapid.IntRange(1, 8).Draw(t, "batches") {
			if err := l.Apply(context.Background(), oddFacts(t, 6)); err != nil {
				t.Fatal(err)
			}
			for _, q := range queries {
				r := readOne(t, l, q)
				if (r.Bytes == nil) != (r.Revision == 0) {
					t.Fatalf("%+v gives %q with revision %d", q, r.Bytes, r.Revision)
				}
				key := seen{q, r.Revision}
				if before, ok := answers[key]; ok && !bytes.Equal(before, r.Bytes) {
					t.Fatalf("%+v gives %q and gave %q with revision %d", q, r.Bytes, before, r.Revision)
				}
				answers[key] = r.Bytes
			}
		}
	})
}

// TestParents: a key belongs to the ranges of the key that lacks its last part, and to no other.
func TestParents(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := oddQuery(t)
		p, ok := q.Parent()
		if ok != q.Kind.Ranged() {
			t.Fatalf("%+v has a parent: %t", q, ok)
		}
		if !ok {
			return
		}
		parts, _ := ledger.ParseKey(q.Key)
		above, valid := ledger.ParseKey(p.Key)
		if !valid || p.Kind != q.Kind || !reflect.DeepEqual(above, parts[:1]) {
			t.Fatalf("the parent of %+v is %+v", q, p)
		}
		p.Range.Limit = 1
		if from, to := p.Bounds(); q.Key < from || q.Key >= to || string(ledger.AppendKey(nil, parts[1])) != `["`+p.Name(q.Key)+`"]` {
			t.Fatalf("%s is not between %s and %s, or its name is %s", q.Key, from, to, p.Name(q.Key))
		}
	})
	if p, ok := (ledger.Query{Kind: ledger.EntryFact, Key: `["a"]`}).Parent(); ok {
		t.Errorf("a key of one part has the parent %+v", p)
	}
}

// FuzzRecords reads answers that are damaged.
func FuzzRecords(f *testing.F) {
	f.Add(ledger.AppendRecord(ledger.AppendRecord(nil, "a", []byte("b")), "", nil))
	f.Add([]byte{0xff})
	f.Fuzz(func(t *testing.T, answer []byte) {
		var again []byte
		for name, record := range ledger.Records(answer) {
			again = ledger.AppendRecord(again, name, record)
		}
		var twice []byte
		for name, record := range ledger.Records(again) {
			twice = ledger.AppendRecord(twice, name, record)
		}
		if !bytes.Equal(again, twice) {
			t.Errorf("%x was read as %x", again, twice)
		}
	})
}

// TestRangeAllocations: what is read costs nothing to go through.
func TestRangeAllocations(t *testing.T) {
	var answer []byte
	for n := range 100 {
		answer = ledger.AppendRecord(answer, fmt.Sprint(n), []byte("record"))
	}
	size := 0
	if n := testing.AllocsPerRun(100, func() {
		for name, record := range ledger.Records(answer) {
			size += len(name) + len(record)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
