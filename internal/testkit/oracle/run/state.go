package run

import (
	"context"
	"encoding/json"
	"fmt"
	"sort"

	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// fact is a record that a ledger has learned, decoded: the value is JSON.
type fact struct{ kind, key, value string }

// state lists what a ledger has learned in a normal form, sorted by kind and key. Lines are put together by lineFacts.
func state(store ledger.Ledger) ([]fact, error) {
	lines, kinds, err := lineFacts(store)
	if err != nil {
		return nil, err
	}
	out := lines
	for _, kind := range ledger.FactKinds() {
		if kinds[kind] {
			continue
		}
		err := store.Scan(context.Background(), kind, func(key string, record []byte) error {
			value, err := decoded(kind, record)
			if err != nil {
				return fmt.Errorf("%s %s: %w", kind, key, err)
			}
			text, err := json.Marshal(value)
			out = append(out, fact{kind.String(), key, string(text)})
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	sort.Slice(out, func(i, j int) bool {
		if out[i].kind != out[j].kind {
			return out[i].kind < out[j].kind
		}
		return out[i].key < out[j].key
	})
	return out, nil
}

// decoded reads a record of any kind but lines.
func decoded(kind ledger.FactKind, record []byte) (any, error) {
	switch kind {
	case ledger.SubjectFact:
		return ledger.DecodeSubject(record)
	case ledger.EventFact:
		return ledger.DecodeEiffelEvent(record)
	case ledger.ContextFact:
		return ledger.DecodeContexts(record)
	case ledger.DecisionFact:
		return ledger.DecodeDecision(record)
	case ledger.NameFact, ledger.AliasFact, ledger.PackageFact, ledger.ServiceFact, ledger.RunsFact:
		return ledger.DecodeSet(record)
	}
	return fmt.Sprintf("unknown kind: %x", record), nil
}
