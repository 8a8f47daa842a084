package translate

import "github.com/eiffelbridge/eiffelbridge/internal/jsondoc"

// triggers is the trigger of a test, as a list.
func (t *toEiffel) triggers(at *place) value {
	v := t.in.doc.Root().At("subject", "content", "trigger")
	if !v.Exists() {
		return none
	}
	word, known := t.g.vocabularies["trigger"].eiffel(v.Get("type").Str())
	if known {
		t.move(v.Get("type"), at.at+"/0/type", "vocabulary trigger", Translated)
	}
	return jsonValue(append(jsondoc.AppendString([]byte(`[{"type":`), word), `}]`...))
}
