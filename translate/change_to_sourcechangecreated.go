package translate

// tracker is where the change or the ticket is kept: the subject's source.
func (t *toEiffel) tracker(at *place) value {
	if source := t.in.doc.Root().At("subject", "source"); source.Str() != "" {
		t.move(source, at.at, "judgement tracker", Exact)
	}
	return textValue(t.subject.Source)
}
