package ledger_test

import (
	"context"
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
