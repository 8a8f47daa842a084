package translate

// Expired tells whether a record that has not been written for the time of retention may be forgotten (section 9).
// Choices and context ids may; an Eiffel event may unless it anchors a subject that is still open or is a deployment
// that still runs; subjects, lines and what leads to them stay. get reads other records, as [Ledger.Read] does for one.
func Expired(kind FactKind, key string, record []byte, get func(Query) ([]byte, error)) (bool, error) {
	switch kind {
	case DecisionFact, ContextFact:
		return true, nil
	case EventFact:
	default:
		return false, nil
	}
	parts, ok := ParseKey(key)
	if !ok || len(parts) != 1 {
		return false, errRecord
	}
	id := parts[0]
	event, err := DecodeEiffelEvent(record)
	if err != nil || event.Subject.Kind == "" {
		return err == nil, err
	}
	if event.Type == typeArtD {
		lineRecord, err := get(lineQuery(event.Subject, event.Environment))
		if err != nil {
			return false, err
		}
		line, err := viewLine(lineRecord)
		if err != nil {
			return false, err
		}
		environmentRecord, err := get(subjectQuery(event.Environment))
		if err != nil {
			return false, err
		}
		environment, err := DecodeSubject(environmentRecord)
		if err != nil {
			return false, err
		}
		last, found := line.lastBefore(environment, endOfTime)
		return !found || last.ID != id, nil
	}
	subjectRecord, err := get(subjectQuery(event.Subject))
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
