package translate

import "context"

// Steps is [Ask] of an engine, with the steps that the translation took and those that it may take.
func Steps(ctx context.Context, g *Engine, ledger Ledger, in Event) (result Result, steps, most int, err error) {
	var spent budget
	result, err = g.translate(in, source{ctx: ctx, store: ledger, spent: &spent})
	return result, spent.steps, spent.most, err
}
