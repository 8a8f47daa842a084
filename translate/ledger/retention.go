package ledger

import "errors"

// artifactDeployed is the type of the events whose subject is a line, not an anchor.
const artifactDeployed = "EiffelArtifactDeployedEvent"

// Ages tells whether records of a kind may ever be forgotten.
func Ages(kind FactKind) bool {
	switch kind {
	case SubjectFact, NameFact, EventFact, ContextFact, DecisionFact:
		return true
	}
	return false
}

// Expired tells whether a record that has not been written for the time of retention may be forgotten (mapping.md, "What the ledger keeps").
// Choices and context ids may; an Eiffel event may unless it anchors a subject that is still open or is a deployment
// that still runs; a subject may once it has come to its end, such as a run, a change or a ticket, and a name when no
// subject bears it any more; environments, services, artifacts and histories stay. get reads other records, as [Ledger.Read]
// does for one.
func Expired(kind FactKind, key string, record []byte, get func(Query) ([]byte, error)) (bool, error) {
	switch kind {
	case DecisionFact, ContextFact:
		return true, nil
	case SubjectFact:
		return subjectExpired(key, record)
	case NameFact:
		return nameExpired(key, record, get)
	case EventFact:
		return eventExpired(key, record, get)
	}
	return false, nil
}

func subjectExpired(key string, record []byte) (bool, error) {
	parts, ok := ParseKey(key)
	if !ok || len(parts) != 3 {
		return false, errRecord
	}
	switch parts[0] {
	case KindEnvironment, KindService, KindArtifact:
		return false, nil
	}
	s, err := DecodeSubject(record)
	return err == nil && s.Closed(), err
}

func nameExpired(key string, record []byte, get func(Query) ([]byte, error)) (bool, error) {
	parts, ok := ParseKey(key)
	if !ok || len(parts) != 2 {
		return false, errRecord
	}
	sources, err := DecodeSet(record)
	if err != nil {
		return false, err
	}
	for _, source := range sources {
		subject, err := get(SubjectQuery(SubjectKey{parts[0], source, parts[1]}))
		if err != nil || subject != nil {
			return false, err
		}
	}
	return true, nil
}

func eventExpired(key string, record []byte, get func(Query) ([]byte, error)) (bool, error) {
	parts, ok := ParseKey(key)
	if !ok || len(parts) != 1 {
		return false, errRecord
	}
	id := parts[0]
	event, err := DecodeEiffelEvent(record)
	if err != nil || event.Subject.Kind == "" {
		return err == nil, err
	}
	if event.Type == artifactDeployed {
		var failed error
		history, err := OpenHistory(func(q Query) []byte {
			record, err := get(q)
			failed = errors.Join(failed, err)
			return record
		}, event.Subject, event.Environment)
		if err := errors.Join(failed, err); err != nil {
			return false, err
		}
		environmentRecord, err := get(SubjectQuery(event.Environment))
		if err != nil {
			return false, err
		}
		environment, err := DecodeSubject(environmentRecord)
		if err != nil {
			return false, err
		}
		last, found := history.LastBefore(environment, EndOfTime)
		return !found || last.ID != id, failed
	}
	subjectRecord, err := get(SubjectQuery(event.Subject))
	if err != nil {
		return false, err
	}
	subject, err := DecodeSubject(subjectRecord)
	if err != nil {
		return false, err
	}
	anchor := subject.Anchor(event.Type)
	anchors := anchor != nil && (anchor.First == id || anchor.Last == id)
	return !anchors || subject.Closed(), nil
}
