package translate

import "github.com/eiffelbridge/eiffelbridge/internal/jsondoc"

// tracker is where the change or the ticket is kept: the subject's source.
func (t *toEiffel) tracker() []byte {
	if source := t.in.doc.Root().At("subject", "source"); source.Str() != "" {
		at := "/data/tracker"
		if t.row.Eiffel == typeSCC {
			at = "/data/change/tracker"
		}
		t.move(source, at, "judgement tracker", Exact)
	}
	return jsondoc.AppendString(nil, t.subject.Source)
}
