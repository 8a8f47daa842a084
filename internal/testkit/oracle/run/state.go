package run

import (
	"context"
	"encoding/json"
	"fmt"
	"sort"

	"github.com/eiffelbridge/eiffelbridge/translate"
)

// fact is a record that a ledger has learned, decoded: the value is JSON.
type fact struct{ kind, key, value string }

// state lists what a ledger has learned in a normal form, sorted by kind and key. Lines are put together by lineFacts.
func state(ledger translate.Ledger) ([]fact, error) {
	lines, kinds, err := lineFacts(ledger)
	if err != nil {
		return nil, err
	}
	out := lines
	for _, kind := range translate.FactKinds() {
		if kinds[kind] {
			continue
		}
		err := ledger.Scan(context.Background(), kind, func(key string, record []byte) error {
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
func decoded(kind translate.FactKind, record []byte) (any, error) {
	switch kind {
	case translate.SubjectFact:
		return translate.DecodeSubject(record)
	case translate.EventFact:
		return translate.DecodeEiffelEvent(record)
	case translate.ContextFact:
		return translate.DecodeContexts(record)
	case translate.DecisionFact:
		return translate.DecodeDecision(record)
	case translate.NameFact, translate.AliasFact, translate.PackageFact, translate.ServiceFact, translate.RunsFact:
		return translate.DecodeSet(record)
	}
	return fmt.Sprintf("unknown kind: %x", record), nil
}
