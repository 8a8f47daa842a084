package run

import (
	"context"
	"encoding/json"
	"fmt"
	"sort"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/testkit/oracle/stream"
	"github.com/eiffelbridge/eiffelbridge/translate"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// This file may differ between trees: it reads settings, a ledger's answers, and the
// history of services in environments. The comparison
// takes, for the base tree, the copy in testdata/base.

// words sets the settings that have words as values.
func words(to *translate.Settings, s stream.Settings) (err error) {
	word := func(name, value string, words ...string) int {
		for i, w := range words {
			if w == value {
				return i + 1
			}
		}
		if value != "" {
			err = fmt.Errorf("%s: %q is none of %s", name, value, strings.Join(words, ", "))
		}
		return 0
	}
	to.Carry = []translate.Carry{translate.CarryOriginal, translate.CarryNone}[word("carry", s.Carry, "none")]
	to.Synthesize = []translate.Synthesize{translate.SynthesizeMissing, translate.SynthesizeAlways, translate.SynthesizeNever}[word("synthesize", s.Synthesize, "always", "never")]
	to.Returning = []translate.Returning{
		translate.ReturningGiveBack, translate.ReturningDrop, translate.ReturningRestore, translate.ReturningTranslate,
	}[word("returning", s.Returning, "drop", "restore", "translate")]
	to.NoMapping = []translate.NoMapping{translate.NoMappingAnnounce, translate.NoMappingRefuse, translate.NoMappingDrop}[word("noMapping", s.NoMapping, "refuse", "drop")]
	return err
}

// failing is what a session does about an unknown reference where it is to fail.
const failing = translate.Fail

// returned says what was done with an event that came round.
var returned = [...]string{"no", "dropped", "restored"}

// lineFacts gives one fact of the kind "line" per service and environment: the key is that of the pair, a JSON array of
// service source, service id, environment source, environment id; the value has the entries, oldest first, and the first
// runs, by artifact. kinds are the kinds of records that this takes in.
func lineFacts(store ledger.Ledger) (facts []fact, kinds map[ledger.FactKind]bool, err error) {
	read := func(q ledger.Query) []byte {
		records, e := store.Read(context.Background(), []ledger.Query{q})
		if e != nil {
			err = e
			return nil
		}
		return records[0].Bytes
	}
	scanned := store.Scan(context.Background(), ledger.LineFact, func(key string, record []byte) error {
		h, err := ledger.OpenLine(read, key)
		if err != nil {
			return fmt.Errorf("line %s: %w", key, err)
		}
		l := h.Whole()
		f, err := lineFact(key, l.Entries, l.FirstRuns)
		facts = append(facts, f)
		return err
	})
	if err == nil {
		err = scanned
	}
	return facts, map[ledger.FactKind]bool{ledger.LineFact: true, ledger.EntryFact: true, ledger.FirstRunFact: true}, err
}

// lineFact is the normal form of one line.
func lineFact(key string, entries []ledger.Entry, first []ledger.FirstRun) (fact, error) {
	sort.Slice(first, func(i, j int) bool { return first[i].Artifact < first[j].Artifact })
	text, err := json.Marshal(map[string]any{"entries": entries, "firstRuns": first})
	return fact{"line", key, string(text)}, err
}

// Read implements [ledger.Ledger].
func (l hurtLedger) Read(ctx context.Context, queries []ledger.Query) ([]ledger.Record, error) {
	records, err := l.Memory.Read(ctx, queries)
	for i, q := range queries {
		if err == nil && len(records[i].Bytes) > 0 && l.hurts(q) {
			n := len(records[i].Bytes) - 1
			records[i].Bytes = records[i].Bytes[:n:n]
		}
	}
	return records, err
}
