package translate

import (
	"fmt"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// The cost of an event is bounded by its size, whatever is in it (mapping.md, "Limits"). A step is about what
// answering one question to the ledger costs; an ordinary event takes about one for every 100 bytes.

// maxID is how long a text may be that identifies something, in bytes.
const maxID = 1024

// stepsAlways and stepsPerByte make the budget of an event: thirty times what an ordinary one takes.
const (
	stepsAlways  = 2000
	stepsPerByte = 0.3
)

// budget counts what a translation costs.
type budget struct {
	steps, most int
}

func newBudget(in *Event) budget {
	return budget{most: stepsAlways + int(stepsPerByte*float64(len(in.JSON)))}
}

// spend counts steps; false if there are none left.
func (b *budget) spend(steps int) bool {
	b.steps += steps
	return b.steps <= b.most
}

func (b *budget) exceeded() bool { return b.steps > b.most }

// tooCostly is the error of an event whose budget is spent.
func (b *budget) tooCostly(in *Event) error {
	return in.fail(CodeTooCostly, "", fmt.Sprintf("translating the event takes more than %d steps, which is as much as an event of %d bytes may take", b.most, len(in.JSON)))
}

// identifies notes a value that identifies something: one that is too long is refused.
func (r *run) identifies(values ...jsondoc.Value) {
	for _, v := range values {
		if n := len(v.Str()); n > maxID {
			r.refuse(r.in.tooLong(v.Pointer(), n))
		}
	}
}

func (e *Event) tooLong(pointer string, size int) *EventError {
	return e.fail(CodeIDTooLong, pointer, fmt.Sprintf("what identifies something may have %d bytes, and this has %d", maxID, size))
}

// checkLengths refuses an event whose own identity is too long.
func checkLengths(in *Event) error {
	if len(in.JSON) > maxID { // else there is no such text in it
		root := in.doc.Root()
		for _, pointer := range identities[in.Protocol] {
			if v := root.Follow(pointer); len(v.Str()) > maxID {
				return in.tooLong(v.Pointer(), len(v.Str()))
			}
		}
	}
	if len(in.Source) > maxID { // percent-encoding has made it longer
		return in.tooLong("/meta/source", len(in.Source))
	}
	return nil
}

// checkSubject refuses a subject whose key is too long, be it that writing it as a purl or a URI has made it so.
func (r *run) checkSubject(k ledger.SubjectKey) {
	if n := max(len(k.ID), len(k.Source)); n > maxID {
		r.refuse(r.in.tooLong("", n))
	}
}

// identities are what identifies the events of a protocol and those who send them.
var identities = map[Protocol][]jsondoc.Path{
	CDEvents: paths("/context/id", "/context/source", "/context/type", "/context/chainId", "/subject/id", "/subject/source"),
	Eiffel:   paths("/meta/type", "/meta/source/uri", "/meta/source/domainId", "/meta/source/host"),
}

func paths(pointers ...string) (out []jsondoc.Path) {
	for _, p := range pointers {
		path, ok := jsondoc.NewPath(p)
		if !ok {
			panic("not a JSON pointer: " + p)
		}
		out = append(out, path)
	}
	return out
}
