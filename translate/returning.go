package translate

import (
	"slices"

	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// giveBack handles a CDEvent that came from the other side, as [Settings.Returning] says; true if that was all.
func (t *toEiffel) giveBack() (returning Returning, done bool) {
	e, reason := t.g.envelopeOfCDEvent(t.in)
	if reason != "" {
		t.diagnose(DiagnosticEnvelope, "customData.%s is ordinary custom data: %s", carriedEiffel, reason)
	}
	wrote := func(id string) bool {
		known := t.eiffelEvent(id)
		return known != nil && known.Emitted
	}
	mine := false
	if t.g.settings.Returning != ReturningGiveBack {
		known := t.contextsOf(t.in.ID).Find(t.in.Source, t.in.Type)
		mine = known != nil && known.Emitted
	}
	action := t.returningAction(&e, mine, wrote)
	t.believe(&e)
	if action == "" {
		return "", false
	}
	t.readSubject()
	t.id = t.in.ID
	t.row = t.returningRow(e.original.Type)
	t.readReferences()
	if e.mark != noMark {
		pair := pairOf(t.in, &e)
		pair.again = t.knows(e.id)
		pair.emitted = action == ReturningRestore && t.g.settings.Returning == ReturningRestore
		t.learnPair(pair)
	}
	t.finishReturning(action, &e)
	return action, true
}

// returningRow is the row by which the event became, or came from, the Eiffel event of its id and that type; the last of
// its type's rows if none says so.
func (t *toEiffel) returningRow(eiffelType string) *rowToEiffel {
	rows := t.g.rowsOfCDEvent(t.name)
	if row := rowTo(rows, eiffelType, t.id, t.subject); row != nil {
		return row
	}
	return rows[len(rows)-1]
}

// believe notes what a believed envelope says about where the event came from.
func (r *run) believe(e *envelope) {
	r.believed, r.markAt = e.mark != noMark, e.at
	if e.mark == markID {
		r.markID = e.id
	}
}

// returningAction decides what to do with an event that may have come from the other side. mine says that this ledger's
// bridge wrote the event itself; wrote tells it of the original.
func (r *run) returningAction(e *envelope, mine bool, wrote func(id string) bool) Returning {
	if r.g.settings.Returning == ReturningGiveBack {
		switch e.mark {
		case markOriginal:
			return ReturningRestore
		case markSynthesized:
			return ReturningDrop
		}
		return ""
	}
	if e.mark == noMark && !mine {
		return ""
	}
	round := e.mark != noMark && e.mark != markSynthesized && wrote(e.id)
	switch r.g.settings.Returning {
	case ReturningRestore:
		if e.mark == markOriginal && !mine && !round {
			return ReturningRestore
		}
		return ReturningDrop
	case ReturningTranslate:
		if round || mine {
			return ReturningDrop
		}
		return ""
	}
	return ReturningDrop
}

// finishReturning gives the original of an event that came round, if that is what is done.
func (r *run) finishReturning(action Returning, e *envelope) {
	if action == ReturningRestore {
		r.events = append(r.events, e.original)
	}
}

// giveBack handles an Eiffel event that came from the other side, as [Settings.Returning] says; true if that was all.
func (t *toCDEvents) giveBack() (returning Returning, done bool) {
	e, reason := t.g.envelopeOfEiffel(t.in)
	if reason != "" {
		t.diagnose(DiagnosticEnvelope, "the custom data entry %q is ordinary custom data: %s", carriedCDEvent, reason)
	}
	mine := false
	if t.g.settings.Returning != ReturningGiveBack {
		known := t.ownEvent()
		mine = known != nil && known.Emitted
	}
	wrote := func(id string) bool {
		contexts := t.contextsOf(id)
		if e.mark == markOriginal {
			known := contexts.Find(e.original.Source, e.original.Type)
			return known != nil && known.Emitted
		}
		return slices.ContainsFunc(contexts, func(c ledger.Context) bool { return c.Emitted })
	}
	action := t.returningAction(&e, mine, wrote)
	t.believe(&e)
	if action == "" {
		return "", false
	}
	restored := action == ReturningRestore && t.g.settings.Returning == ReturningRestore
	switch e.mark {
	case markOriginal:
		t.learnOriginal(&e, restored)
	case markSynthesized:
		t.learnSynthesized()
	}
	t.finishReturning(action, &e)
	return action, true
}

// learnOriginal learns from an Eiffel event and the CDEvent that it carries what translating that one had taught.
func (t *toCDEvents) learnOriginal(e *envelope, restored bool) {
	s, _ := schemaOf(&e.original)
	forth := &toEiffel{name: nameOf(&e.original, s)}
	forth.event = e.original
	forth.prepareWithin(t.g, t.room)
	forth.recallChoices()
	forth.readSubject()
	forth.id = t.in.ID
	forth.row = forth.returningRow(t.in.Type)
	forth.readReferences()
	forth.learnPair(&pair{
		context: &e.original, eiffel: t.in.ID, eiffelType: t.in.Type, time: t.in.Time,
		chain: e.original.doc.Root().At("context", "chainId").Str(), links: t.links,
		cdevent: restored, emitted: restored, again: forth.knows(t.in.ID),
	})
	t.learned = append(t.learned, forth.learned...)
}

// learnSynthesized learns an anchor that another bridge made up.
func (t *toCDEvents) learnSynthesized() {
	record := ledger.EiffelEvent{Type: t.in.Type, Time: t.in.Time, Links: rememberedLinks(t.links), Synthesized: true}
	if k, ok := t.g.subjectOfAnchor(t.in); ok {
		if t.in.Type == typeActT && t.customEntry(subjectKey).Exists() {
			record.Name = t.in.doc.Root().At("data", "name").Str()
		}
		record.Subject = k
		s := ledger.Subject{Anchors: []ledger.Anchor{{Type: t.in.Type, First: t.in.ID, Last: t.in.ID, Synthesized: true}}}
		if k.Kind == ledger.KindArtifact {
			record.Artifact = t.in.doc.Root().At("data", "identity").Str()
			s.Text = record.Artifact
		} else if ledger.ReferredTo(k.Kind) {
			t.learnMember(ledger.AboutName(k.Kind, k.ID), k.Source)
		}
		t.learnSubject(k, &s)
	}
	t.learnEvent(t.in.ID, &record)
}
