package ledger_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// TestAhead holds what lies before a ledger against one that is taught at once: it answers the same, whatever was written meanwhile,
// and in the end the two ledgers are the same.
func TestAhead(t *testing.T) {
	ctx := context.Background()
	for seed := range uint64(40) {
		chance := draw{rand.New(rand.NewPCG(seed, 2))}
		one, under := ledger.NewMemory(), ledger.NewMemory()
		a := ledger.NewAhead(under)
		if chance.IntN(2) == 0 {
			a.Nothing()
		}
		write := func() {
			if err := under.Apply(ctx, a.Take()); err != nil {
				t.Fatal(err)
			}
		}
		for range 300 {
			facts := chance.facts()
			want := one.Apply(ctx, facts)
			if err := a.Apply(ctx, facts); (err != nil) != (want != nil) {
				t.Fatalf("seed %d: the error is %v, want %v", seed, err, want)
			}
			switch chance.IntN(20) {
			case 0:
				write()
			case 1:
				write()
				a.Clear()
			}
			queries := chance.queries()
			got, err := a.Read(ctx, queries)
			if err != nil {
				t.Fatal(err)
			}
			records, err := one.Read(ctx, queries)
			if err != nil {
				t.Fatal(err)
			}
			for i, r := range records {
				if string(got[i].Bytes) != string(r.Bytes) || (got[i].Bytes == nil) != (r.Bytes == nil) || (got[i].Revision == 0) != (r.Revision == 0) {
					t.Fatalf("seed %d: %+v is %x of revision %d, want %x", seed, queries[i], got[i].Bytes, got[i].Revision, r.Bytes)
				}
			}
		}
		write()
		for _, kind := range ledger.FactKinds() {
			var want, got []string
			for l, out := range map[*ledger.Memory]*[]string{one: &want, under: &got} {
				err := l.Scan(ctx, kind, func(key string, record []byte) error {
					*out = append(*out, fmt.Sprintf("%s %x", key, record))
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			if !slices.Equal(got, want) {
				t.Fatalf("seed %d: the ledger has\n%s\nwant\n%s", seed, got, want)
			}
		}
	}
}
