package translate

import "github.com/eiffelbridge/eiffelbridge/internal/jsondoc"

// tracker is where the change or the ticket is kept: the subject's source.
func (t *toEiffel) tracker(at *place) []byte {
	if source := t.in.doc.Root().At("subject", "source"); source.Str() != "" {
		t.move(source, at.at, "judgement tracker", Exact)
	}
	return jsondoc.AppendString(nil, t.subject.Source)
}
