package translate

import (
	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// room is the memory that one translation works in and that a later one works in again. Nothing of it is part of a result: what a
// result has is allocated, or stands in [recall.kept].
type room struct {
	recall recall
	forth  toEiffel
	back   toCDEvents
	writer jsondoc.Writer

	// What most events have no more of.
	links     [4]ledger.EiffelLink
	relations [4]relation
	members   [12]member
}

// mostReused is how large the event may be whose room is used again, in bytes: all that a room has grows with it.
const mostReused = 64 << 10

// enter gives a room to translate in, to leave when the translation has ended.
func (g *Engine) enter() *room {
	if r, ok := g.rooms.Get().(*room); ok {
		return r
	}
	return &room{}
}

func (g *Engine) leave(r *room, in *Event) {
	if len(in.JSON) > mostReused {
		return
	}
	r.recall.end()
	if r.forth.g != nil {
		r.forth = toEiffel{}
	}
	if r.back.g != nil {
		r.back = toCDEvents{}
	}
	r.links, r.relations, r.members = [4]ledger.EiffelLink{}, [4]relation{}, [12]member{}
	if g.leaving != nil {
		g.leaving(r)
	}
	g.rooms.Put(r)
}

// slab gives values one by one, and the same again after a reset, as they were left: who takes one sets all of it.
type slab[T any] struct {
	values []*T
	used   int
}

func (s *slab[T]) next() *T {
	if s.used == len(s.values) {
		s.values = append(s.values, new(T))
	}
	s.used++
	return s.values[s.used-1]
}

func (s *slab[T]) reset() { s.used = 0 }
