package translate

import (
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
)

// heading is what an announcement says of a CDEvent that Eiffel has no event for.
func (t *toEiffel) heading(at *place) []byte {
	id := t.in.doc.Root().At("subject", "id")
	if !t.isUsed(id) {
		t.move(id, at.at, "judgement heading", OneWay)
	}
	if other, ok := strings.CutPrefix(t.name, foreign); ok {
		return jsondoc.AppendString(nil, other+": "+t.in.Subject)
	}
	subject, predicate, _ := strings.Cut(t.name, ".")
	return jsondoc.AppendString(nil, subject+" "+predicate+": "+t.in.Subject)
}
