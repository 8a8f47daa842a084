package translate

import (
	"context"
	"strings"
	"sync"

	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// Steps is [Ask] of an engine, with the steps that the translation took and those that it may take. All the memory that it works in
// is new.
func Steps(ctx context.Context, g *Engine, ledger ledger.Ledger, in Event) (result Result, steps, most int, err error) {
	g.rooms = sync.Pool{}
	var spent budget
	result, err = g.translate(in, source{ctx: ctx, store: ledger, spent: &spent})
	return result, spent.steps, spent.most, err
}

// OverwriteRooms has an engine overwrite the memory of every translation once it has ended.
func OverwriteRooms(g *Engine) {
	g.leaving = func(r *room) {
		texts := r.recall.texts.Room(0)
		for i := range texts[:cap(texts)] {
			texts[:cap(texts)][i] = 'x'
		}
		r.writer.Start(0, 0)
		r.writer.String(strings.Repeat("x", 1<<14))
	}
}
