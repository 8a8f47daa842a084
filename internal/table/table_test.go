package table_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/internal/table"
)

// TestTable holds a table against a map while records come, change and go, so often that it grows and is tidied.
func TestTable(t *testing.T) {
	chance := rand.New(rand.NewPCG(1, 1))
	type place struct {
		kind byte
		key  string
	}
	tb, want := table.New(), map[place]string{}
	for n := range 200_000 {
		p := place{byte(1 + chance.IntN(3)), fmt.Sprint(chance.IntN(500))}
		hash := tb.Hash(p.kind, p.key)
		at := tb.Find(hash, p.kind, p.key)
		old, there := want[p]
		if there != (at >= 0) {
			t.Fatalf("step %d: %v is at %d, and should be there: %t", n, p, at, there)
		}
		if there {
			if record, _ := tb.Record(at); string(record) != old || string(tb.Key(at)) != p.key {
				t.Fatalf("step %d: %v is %q under %q, want %q", n, p, record, tb.Key(at), old)
			}
		}
		record := fmt.Sprint(n, "-", string(make([]byte, chance.IntN(200))))
		switch {
		case !there:
			tb.Add(hash, 1, p.kind, p.key, []byte(record))
			want[p] = record
		case chance.IntN(3) == 0:
			tb.Remove(at)
			delete(want, p)
		default:
			tb.Set(at, 2, []byte(record))
			want[p] = record
		}
	}
	for kind := byte(1); kind < 4; kind++ {
		count := 0
		tb.Entries(kind, func(at int32) {
			count++
			if record, _ := tb.Record(at); want[place{kind, string(tb.Key(at))}] != string(record) {
				t.Errorf("%d %q is %q", kind, tb.Key(at), record)
			}
		})
		for p := range want {
			if p.kind == kind {
				count--
			}
		}
		if count != 0 {
			t.Errorf("kind %d has %d entries too many", kind, count)
		}
	}
}
