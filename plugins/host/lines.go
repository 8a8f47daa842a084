package host

import (
	"slices"

	"github.com/eiffelbridge/eiffelbridge/internal/pluginwire"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// A plugin that was built before histories were kept entry by entry asks for the whole history of a service in one record, and
// learns an entry as one that is to be merged into it. It gets and gives that here.

// knowledge reads facts, with what was learned over them, and notes what they lack.
type knowledge struct {
	facts   *ledger.Facts
	learned []ledger.Fact
	lacks   []ledger.Query
}

func (k *knowledge) read(q ledger.Query) []byte {
	under := q
	if q.IsRange() {
		under = q.Beneath(k.learned)
	}
	record, ok := k.facts.Get(under)
	if !ok {
		if !slices.Contains(k.lacks, under) {
			k.lacks = append(k.lacks, under)
		}
		return nil
	}
	if q.IsRange() {
		record, err := ledger.Over(q, record, k.learned)
		if err != nil {
			return nil
		}
		return record
	}
	for _, f := range k.learned {
		if f.Query != q {
			continue
		}
		if f.Forget {
			record = nil
		} else if merged, err := ledger.Merge(q.Kind, record, f.Record); err == nil {
			record = merged
		}
	}
	return record
}

// answerOf is the answer to a plugin's question, and what the ledger must be asked for before there is one.
func answerOf(q ledger.Query, facts *ledger.Facts) (record []byte, lacks []ledger.Query) {
	k := &knowledge{facts: facts}
	if q.Range.Limit != pluginwire.WholeLine {
		return k.read(q), k.lacks
	}
	history, err := ledger.OpenLine(k.read, q.Key)
	line := history.Whole()
	if err != nil || len(k.lacks) > 0 || len(line.Entries) == 0 {
		return nil, k.lacks
	}
	return line.Encode(), nil
}

// spreadLines gives what a plugin learned with each entry of a history as a fact of its own, and what the ledger must be asked
// for before that is possible.
func spreadLines(learned []ledger.Fact, facts *ledger.Facts) (out []ledger.Fact, lacks []ledger.Query) {
	k := &knowledge{facts: facts}
	for _, f := range learned {
		line, err := ledger.DecodeLine(f.Record)
		if f.Query.Kind != ledger.LineFact || !ledger.IsLine(f.Record) || err != nil {
			k.learned = append(k.learned, f)
			continue
		}
		for _, e := range line.Entries {
			history, _ := ledger.OpenLine(k.read, f.Query.Key) // a damaged one is begun anew
			k.learned = history.Append(k.learned, e)
		}
		for _, r := range line.FirstRuns {
			if !slices.ContainsFunc(line.Entries, func(e ledger.Entry) bool { return !e.Removed && e.ArtifactKey() == r.Artifact }) {
				k.learned = append(k.learned, ledger.FirstRunOf(f.Query.Key, r))
			}
		}
	}
	return k.learned, k.lacks
}

// forgotten are the facts that forget, and all others. A decorator is not told of them: one that was built before there were
// any would take them for records.
func forgotten(facts []ledger.Fact) (forget, others []ledger.Fact) {
	for _, f := range facts {
		if f.Forget {
			forget = append(forget, f)
		} else {
			others = append(others, f)
		}
	}
	return forget, others
}
