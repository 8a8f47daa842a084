// Package pluginwire writes the values of package translate as messages of the plugin protocol and reads them back. What it
// reads it has decoded; whether that may be believed is the reader's business.
package pluginwire

import (
	"errors"
	"fmt"

	"github.com/eiffelbridge/eiffelbridge/plugins/pluginv1"
	"github.com/eiffelbridge/eiffelbridge/translate"
	records "github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// FromFacts writes facts; a nil record says that the ledger has none.
func FromFacts(facts []records.Fact) []*pluginv1.Fact {
	var out []*pluginv1.Fact
	for _, f := range facts {
		out = append(out, &pluginv1.Fact{Query: fromQuery(f.Query), Record: f.Record, Absent: f.Record == nil})
	}
	return out
}

// ToFacts reads facts.
func ToFacts(facts []*pluginv1.Fact) *records.Facts {
	var out records.Facts
	for _, f := range facts {
		record := f.GetRecord()
		if f.GetAbsent() {
			record = nil
		} else if record == nil {
			record = []byte{}
		}
		out.Add(toQuery(f.GetQuery()), record)
	}
	return &out
}

// WholeLine is the limit of what a plugin asked for that knows no ranges: a whole history in one record (ledger.Line). No ledger
// knows that query; the host answers it.
const WholeLine = -1

func fromQuery(q records.Query) *pluginv1.Query {
	out := &pluginv1.Query{Kind: uint32(q.Kind), Key: q.Key}
	if q.Range.Limit != WholeLine && (q.IsRange() || q.Kind == records.LineFact) {
		out.Range = &pluginv1.Range{Before: q.Range.Before, Limit: uint32(q.Range.Limit)}
	}
	return out
}

func toQuery(q *pluginv1.Query) records.Query {
	out := records.Query{Kind: records.FactKind(q.GetKind()), Key: q.GetKey()}
	if r := q.GetRange(); r.GetLimit() > 0 {
		out.Range = records.Range{Before: r.GetBefore(), Limit: int(min(r.GetLimit(), records.All))}
	}
	return out
}

// toNeed is toQuery for a question.
func toNeed(q *pluginv1.Query) records.Query {
	out := toQuery(q)
	if out.Kind == records.LineFact && q.GetRange() == nil {
		out.Range.Limit = WholeLine
	}
	return out
}

// FromResult writes what a translation gave. An error that is no *[translate.EventError] gets the code "mapping".
func FromResult(r translate.Result, err error) *pluginv1.TranslateResult {
	if err != nil {
		var e *translate.EventError
		if !errors.As(err, &e) {
			e = &translate.EventError{Code: translate.CodeMapping, Message: err.Error()}
		}
		return &pluginv1.TranslateResult{Error: &pluginv1.EventError{Code: e.Code, Pointer: e.Pointer, Message: e.Message}}
	}
	out := &pluginv1.TranslateResult{}
	for _, q := range r.Need {
		out.Need = append(out.Need, fromQuery(q))
	}
	if len(out.Need) > 0 {
		return out
	}
	for _, e := range r.Events {
		out.Events = append(out.Events, &pluginv1.OutputEvent{Json: e.JSON, Synthesized: e.Synthesized})
	}
	for _, m := range r.Missing {
		out.Missing = append(out.Missing, &pluginv1.Missing{Query: fromQuery(m.Query), Want: m.Want, Name: m.Name})
	}
	for _, f := range r.Learned {
		// A record may be empty and is there all the same.
		out.Learned = append(out.Learned, &pluginv1.Fact{Query: fromQuery(f.Query), Record: f.Record, Forget: f.Forget})
	}
	for _, l := range r.Losses {
		out.Losses = append(out.Losses, &pluginv1.Loss{Pointer: l.Pointer, Reason: l.Reason, Carried: l.Carried})
	}
	for _, d := range r.Diagnostics {
		out.Diagnostics = append(out.Diagnostics, &pluginv1.Diagnostic{Code: d.Code, Message: d.Message})
	}
	for _, m := range r.Moves {
		out.Moves = append(out.Moves, &pluginv1.Move{From: m.From, To: m.To, Out: uint32(max(m.Out, 0)), Rule: m.Rule, Fidelity: pluginv1.Fidelity(m.Fidelity) + 1})
	}
	switch r.Returning {
	case translate.ReturningDrop:
		out.Returning = pluginv1.Returning_RETURNING_DROPPED
	case translate.ReturningRestore:
		out.Returning = pluginv1.Returning_RETURNING_RESTORED
	}
	return out
}

// ToResult reads what a translation of in gave. An error of type *[translate.EventError] was sent as one; any other
// says that the message cannot be read.
func ToResult(in translate.Event, r *pluginv1.TranslateResult) (translate.Result, error) {
	if e := r.GetError(); e != nil {
		return translate.Result{}, &translate.EventError{Code: e.GetCode(), ID: in.ID, Type: in.Type, Pointer: e.GetPointer(), Message: e.GetMessage()}
	}
	var out translate.Result
	for i, q := range r.GetNeed() {
		if q.GetKind() > 255 {
			return out, fmt.Errorf("need %d has kind %d, which no ledger has", i, q.GetKind())
		}
		out.Need = append(out.Need, toNeed(q))
	}
	for i, e := range r.GetEvents() {
		event, err := translate.Decode(e.GetJson())
		if err != nil {
			return out, fmt.Errorf("output event %d cannot be read: %w", i, err)
		}
		event.Synthesized = e.GetSynthesized()
		out.Events = append(out.Events, event)
	}
	for i, m := range r.GetMissing() {
		if m.GetQuery().GetKind() > 255 {
			return out, fmt.Errorf("missing reference %d has kind %d, which no ledger has", i, m.GetQuery().GetKind())
		}
		out.Missing = append(out.Missing, translate.Missing{Query: toQuery(m.GetQuery()), Want: m.GetWant(), Name: m.GetName()})
	}
	for i, f := range r.GetLearned() {
		if f.GetQuery().GetKind() > 255 || f.GetAbsent() {
			return out, fmt.Errorf("learned fact %d is none that a ledger can take", i)
		}
		out.Learned = append(out.Learned, records.Fact{Query: toQuery(f.GetQuery()), Record: f.GetRecord(), Forget: f.GetForget()})
	}
	for _, l := range r.GetLosses() {
		out.Losses = append(out.Losses, translate.Loss{Pointer: l.GetPointer(), Reason: l.GetReason(), Carried: l.GetCarried()})
	}
	for _, d := range r.GetDiagnostics() {
		out.Diagnostics = append(out.Diagnostics, translate.Diagnostic{Code: d.GetCode(), Message: d.GetMessage()})
	}
	for i, m := range r.GetMoves() {
		if m.GetTo() != "" && int(m.GetOut()) >= len(out.Events) {
			return out, fmt.Errorf("move %d leads to event %d of %d", i, m.GetOut(), len(out.Events))
		}
		fidelity := translate.OneWay
		switch m.GetFidelity() {
		case pluginv1.Fidelity_FIDELITY_EXACT:
			fidelity = translate.Exact
		case pluginv1.Fidelity_FIDELITY_TRANSLATED:
			fidelity = translate.Translated
		}
		out.Moves = append(out.Moves, translate.Move{From: m.GetFrom(), To: m.GetTo(), Out: int(m.GetOut()), Rule: m.GetRule(), Fidelity: fidelity})
	}
	switch r.GetReturning() {
	case pluginv1.Returning_RETURNING_DROPPED:
		out.Returning = translate.ReturningDrop
	case pluginv1.Returning_RETURNING_RESTORED:
		out.Returning = translate.ReturningRestore
	}
	return out, nil
}
