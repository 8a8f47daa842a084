package translate

import (
	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// write makes the CDEvent.
func (t *toCDEvents) write(content content, links []relation, users *userData) (Event, error) {
	e := Event{Protocol: CDEvents, ID: t.in.ID, Source: t.in.Source, Type: t.out.eventType(), Time: t.in.Time}
	e.Version = versionOf(e.Type)
	w := t.newWriter()
	w.Object()
	w.Name("context")
	w.Object()
	version := "version"
	if t.out.specversion {
		version = "specversion"
	}
	w.Member(version, t.g.specVersion)
	w.Member("id", e.ID)
	w.Member("source", e.Source)
	w.Member("type", e.Type)
	w.Name("timestamp")
	w.Timestamp(e.Time)
	if t.out.chainID && t.chain != "" {
		w.Member("chainId", t.chain)
	}
	writeLinks(w, links)
	w.Close()
	if err := t.writeSubject(w, &e, content); err != nil {
		return Event{}, err
	}
	w.Name("customData")
	if err := t.writeCustomData(w, users); err != nil {
		return Event{}, err
	}
	w.Member("customDataContentType", "application/json")
	w.Close()
	s := t.out.schema
	if t.out.full != "" {
		s = nil // an overlay's type may have none
	}
	if err := t.seal(w, &e, s); err != nil {
		return Event{}, err
	}
	return e, t.failure
}

func (t *toCDEvents) writeSubject(w *jsondoc.Writer, e *Event, content content) error {
	e.Subject = t.subject.ID
	if t.text != "" {
		e.Subject = t.text
	}
	source := t.subject.Source
	if source == "" {
		source = t.marked(ledger.SubjectKey{Source: t.in.Source}).Source
	}
	w.Name("subject")
	w.Object()
	w.Member("id", e.Subject)
	w.Member("source", sourceAt(t.out.subjectSource, source))
	if t.out.subjectType {
		w.Member("type", t.subjectType())
	}
	w.Name("content")
	if content.custom.exists() {
		if err := content.custom.write(w); err != nil {
			return t.invalidOutput("%v", err)
		}
	} else {
		w.Object()
		if err := writeMembers(w, content.members); err != nil {
			return t.invalidOutput("%v", err)
		}
		w.Close()
	}
	w.Close()
	return nil
}

// subjectType is what 0.4 and 0.3 call the subject in subject.type: "testCaseRun" for testcaserun.
func (t *toCDEvents) subjectType() string {
	if words := t.out.schema.Enum("/subject/type"); len(words) > 0 {
		return words[0]
	}
	return t.subject.Kind
}
