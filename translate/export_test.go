package translate

import "context"

// Steps is [Ask] of an engine, with the steps that the translation took and those that it may take.
func Steps(ctx context.Context, g *Engine, ledger Ledger, in Event) (result Result, steps, most int, err error) {
	var facts Facts
	known := &recall{ctx: ctx, store: ledger, facts: &facts}
	result, err = g.translate(&in, known)
	return result, known.budget.steps, known.budget.most, err
}
