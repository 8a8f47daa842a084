package translate

import "strings"

// heading is what an announcement says of a CDEvent that Eiffel has no event for.
func (t *toEiffel) heading(at *place) value {
	id := t.in.doc.Root().At("subject", "id")
	if !t.isUsed(id) {
		t.move(id, at.at, "judgement heading", OneWay)
	}
	if other, ok := strings.CutPrefix(t.name, foreign); ok {
		return textValue(other + ": " + t.in.Subject)
	}
	subject, predicate, _ := strings.Cut(t.name, ".")
	return textValue(subject + " " + predicate + ": " + t.in.Subject)
}
