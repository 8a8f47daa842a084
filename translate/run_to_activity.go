package translate

// canceledBeforeStart tells whether the run was queued, as far as the ledger knows never started, and canceled.
func (t *toEiffel) canceledBeforeStart() bool {
	if t.markID != "" {
		return false // it came from Eiffel, mostly from an ActivityFinished
	}
	outcome := t.in.doc.Root().At("subject", "content", "outcome").Str()
	if word, _ := t.g.vocabularies["conclusion"].eiffel(outcome); word != "ABORTED" {
		return false
	}
	s := t.subjectRecord(t.subject)
	queued := s.Anchor(typeActT)
	return queued != nil && !queued.Synthesized && s.Anchor(typeActS) == nil
}

// outcomeDescription says what the outcome alone does not: the errors or the reason, and a word that no vocabulary has.
func (t *toEiffel) outcomeDescription(at *place) value {
	content := t.in.doc.Root().At("subject", "content")
	text := content.Get("errors")
	if text.Str() == "" {
		text = content.Get("reason")
	}
	outcome := content.Get("outcome")
	if _, known := t.g.vocabularies["conclusion"].eiffel(outcome.Str()); known || outcome.Str() == "" {
		if text.Str() == "" {
			return none
		}
		fidelity := Exact
		if !known {
			fidelity = OneWay // the inconclusive outcome comes back before it
		}
		t.move(text, at.at, at.rule, fidelity)
		return inputValue(text)
	}
	t.move(outcome, at.at, at.rule, OneWay)
	if text.Str() == "" {
		return inputValue(outcome)
	}
	t.move(text, at.at, at.rule, OneWay)
	return textValue(outcome.Str() + ": " + text.Str())
}
