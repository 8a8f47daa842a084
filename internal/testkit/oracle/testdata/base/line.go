package run

import (
	"context"
	"encoding/json"
	"fmt"
	"sort"

	"github.com/eiffelbridge/eiffelbridge/translate"
)

// This file may differ between trees: it reads a ledger's answers, and the
// history of services in environments. The comparison
// takes, for the base tree, the copy in testdata/base.

// lineFacts gives one fact of the kind "line" per service and environment: the key is that of the pair, a JSON array of
// service source, service id, environment source, environment id; the value has the entries, oldest first, and the first
// runs, by artifact. kinds are the kinds of records that this takes in.
func lineFacts(ledger translate.Ledger) (facts []fact, kinds map[translate.FactKind]bool, err error) {
	err = ledger.Scan(context.Background(), translate.LineFact, func(key string, record []byte) error {
		l, err := translate.DecodeLine(record)
		if err != nil {
			return fmt.Errorf("line %s: %w", key, err)
		}
		f, err := lineFact(key, l.Entries, l.FirstRuns)
		facts = append(facts, f)
		return err
	})
	return facts, map[translate.FactKind]bool{translate.LineFact: true}, err
}

// lineFact is the normal form of one line.
func lineFact(key string, entries []translate.Entry, first []translate.FirstRun) (fact, error) {
	sort.Slice(first, func(i, j int) bool { return first[i].Artifact < first[j].Artifact })
	text, err := json.Marshal(map[string]any{"entries": entries, "firstRuns": first})
	return fact{"line", key, string(text)}, err
}

// Read implements [translate.Ledger].
func (l hurtLedger) Read(ctx context.Context, queries []translate.Query) ([][]byte, error) {
	records, err := l.MemoryLedger.Read(ctx, queries)
	for i, q := range queries {
		if err == nil && len(records[i]) > 0 && l.hurts(q) {
			records[i] = records[i][: len(records[i])-1 : len(records[i])-1]
		}
	}
	return records, err
}
