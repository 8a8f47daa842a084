package translate

import (
	"fmt"

	"github.com/eiffelbridge/eiffelbridge/internal/arena"
	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/internal/smallmap"
)

// account tells what became of each value of the input: where it went, or that it has no home in the output.
type account struct {
	in      *Event
	carry   bool
	explain bool
	oneWay  bool // what the row writes is not read back

	used        []uint64 // a bit per value of the input: it has a place of its own in the output
	room, cover [4]uint64
	losses      []Loss
	diagnostics []Diagnostic
	said        smallmap.Map[Diagnostic, struct{}]
	moves       []Move
	pointers    *arena.Arena // of losses
}

func (a *account) start(in *Event, s *Settings, pointers *arena.Arena) {
	a.pointers = pointers
	a.in, a.carry, a.explain = in, s.Carry == CarryOriginal, s.Explain
	a.used = a.room[:]
	if n := (in.doc.Len() + 63) / 64; n > len(a.used) {
		a.used = make([]uint64, n)
	}
}

// use notes that a value has found its place.
func (a *account) use(v jsondoc.Value) {
	if v.Exists() {
		a.used[v.Index()/64] |= 1 << (v.Index() % 64)
	}
}

func (a *account) isUsed(v jsondoc.Value) bool {
	return a.used[v.Index()/64]&(1<<(v.Index()%64)) != 0
}

// forget takes back what was noted so far.
func (a *account) forget() {
	clear(a.used)
	a.moves = nil
}

// lose notes that a value has no home in the output.
func (a *account) lose(v jsondoc.Value, reason string) {
	a.use(v)
	if a.losses == nil {
		a.losses = make([]Loss, 0, 6)
	}
	a.losses = append(a.losses, Loss{Pointer: a.pointer(v), Reason: reason, Carried: a.carry})
}

// tooDeep tells whether a value is nested too deeply to stand within that many objects and arrays of the output.
func (a *account) tooDeep(v jsondoc.Value, levels int) bool {
	return a.in.doc.Depth()+levels > jsondoc.MaxDepth && v.Depth()+levels > jsondoc.MaxDepth
}

// pointer is the pointer of a value; it shares its memory with those of the other losses.
func (a *account) pointer(v jsondoc.Value) string {
	return a.pointers.Keep(v.AppendPointer(a.pointers.Room(usualPointer)))
}

// usualPointer holds most pointers.
const usualPointer = 64

// diagnose notes something that a user should know, once.
func (a *account) diagnose(code, format string, args ...any) {
	a.note(code, fmt.Sprintf(format, args...))
}

// note is diagnose for a message that is written already.
func (a *account) note(code, message string) {
	d := Diagnostic{code, message}
	if _, again := a.said.Get(d); !again {
		a.said.Put(d, struct{}{})
		a.diagnostics = append(a.diagnostics, d)
	}
}

// undiagnose takes back all but the first diagnostics.
func (a *account) undiagnose(keep int) {
	if len(a.diagnostics) == keep {
		return
	}
	a.diagnostics = a.diagnostics[:keep]
	a.said.Reset()
	for _, d := range a.diagnostics {
		a.said.Put(d, struct{}{})
	}
}

// mainOutput stands for the index of the event that the input itself becomes, until that is known.
const mainOutput = -1

// move notes that a value has found its place, and where; it may be Missing for what is made. The texts are those of
// [Move]; who would have to make one asks explain first.
func (a *account) move(from jsondoc.Value, to, rule string, fidelity Fidelity) {
	a.use(from)
	if a.explain {
		a.moved(from, to, rule, fidelity)
	}
}

func (a *account) moved(from jsondoc.Value, to, rule string, fidelity Fidelity) {
	if a.oneWay {
		fidelity = OneWay
	}
	a.moves = append(a.moves, Move{From: from.Pointer(), To: to, Out: mainOutput, Rule: rule, Fidelity: fidelity})
}

// moveAny is move for a member that may be missing.
func (a *account) moveAny(from jsondoc.Value, to, rule string, fidelity Fidelity) {
	if from.Exists() {
		a.move(from, to, rule, fidelity)
	}
}

// moveOf says that the last move leads to another event of the output than the main one.
func (a *account) moveOf(index int) {
	if n := len(a.moves); n > 0 {
		a.moves[n-1].Out = index
	}
}

// loseRest reports what found no place: the outermost values in which nothing did.
func (a *account) loseRest() {
	a.loseWithin(a.in.doc.Root(), a.covered())
}

// covered tells for each value whether it, or something within it, found its place: one pass, from the last value to the first,
// since what a value holds follows it.
func (a *account) covered() []uint64 {
	doc := a.in.doc
	covered := append(a.cover[:0], a.used...)
	for i := doc.Len() - 1; i > 0; i-- {
		if covered[i/64]&(1<<(i%64)) != 0 {
			p := doc.ParentOf(i)
			covered[p/64] |= 1 << (p % 64)
		}
	}
	return covered
}

func (a *account) loseWithin(v jsondoc.Value, covered []uint64) {
	i := v.Index()
	switch {
	case a.isUsed(v), v.Kind() >= jsondoc.Array && v.Empty(): // a home, or nothing to lose
	case covered[i/64]&(1<<(i%64)) != 0:
		for c := v.FirstChild(); c.Exists(); c = c.NextSibling() {
			a.loseWithin(c, covered)
		}
	default:
		a.lose(v, LossNoCounterpart)
	}
}
