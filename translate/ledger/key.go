package ledger

import (
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
)

// AppendKey appends strings as a compact JSON array with only the escapes that JSON demands: the form of ledger keys.
func AppendKey(b []byte, parts ...string) []byte {
	b = append(b, '[')
	for i, p := range parts {
		if i > 0 {
			b = append(b, ',')
		}
		b = jsondoc.AppendString(b, p)
	}
	return append(b, ']')
}

// ParseKey splits a key into its parts; false if it is none.
func ParseKey(key string) ([]string, bool) { return appendParts(nil, key) }

func appendParts(parts []string, key string) ([]string, bool) {
	if inner, ok := plainParts(key); ok {
		for part := range strings.SplitSeq(inner, `","`) {
			if strings.IndexByte(part, '"') >= 0 {
				return nil, false
			}
			parts = append(parts, part)
		}
		return parts, true
	}
	doc, err := jsondoc.Parse([]byte(key))
	if err != nil || doc.Root().Kind() != jsondoc.Array {
		return nil, false
	}
	for v := range doc.Root().Children() {
		if v.Kind() != jsondoc.String {
			return nil, false
		}
		parts = append(parts, v.Str())
	}
	return parts, true
}

// plainParts is what stands between the outer quotes of a key of printable ASCII without escapes, which most are; false for others.
func plainParts(key string) (string, bool) {
	for i := range len(key) {
		if c := key[i]; c < ' ' || c > '~' || c == '\\' {
			return "", false
		}
	}
	inner, opened := strings.CutPrefix(key, `["`)
	inner, closed := strings.CutSuffix(inner, `"]`)
	return inner, opened && closed
}

// Key is the subject's source and id as sets and choices have them; the kind is known where it stands.
func (k SubjectKey) Key() string {
	var room keyRoom
	return string(k.AppendKey(room[:0]))
}

// AppendKey appends what [SubjectKey.Key] gives.
func (k SubjectKey) AppendKey(b []byte) []byte { return AppendKey(b, k.Source, k.ID) }

// ParseSubjectKey gives the subject of that kind whose [SubjectKey.Key] it is; false if it is none.
func ParseSubjectKey(kind, key string) (SubjectKey, bool) {
	var room [2]string
	parts, ok := appendParts(room[:0], key)
	if !ok || len(parts) != 2 {
		return SubjectKey{}, false
	}
	return SubjectKey{kind, parts[0], parts[1]}, true
}

// keyRoom is where a key is written before it becomes a string: one allocation each.
type keyRoom [256]byte

// Question is a query for one record by the parts of its key, before they are written as one text. It is comparable: who asks
// much finds out by it what was asked before. There is a constructor for every kind of fact but those that a [History] asks for.
type Question struct {
	Kind  FactKind
	parts [4]string
	count int8
}

// AppendKey appends the key that the parts make.
func (q *Question) AppendKey(b []byte) []byte { return AppendKey(b, q.parts[:q.count]...) }

// Query is the question as a ledger is asked.
func (q Question) Query() Query {
	var room keyRoom
	return Query{Kind: q.Kind, Key: string(q.AppendKey(room[:0]))}
}

// AboutSubject asks what is known of a subject.
func AboutSubject(k SubjectKey) Question {
	return Question{SubjectFact, [4]string{k.Kind, k.Source, k.ID}, 3}
}

// AboutName asks for the sources under which subjects of a kind have that id.
func AboutName(kind, id string) Question { return Question{NameFact, [4]string{kind, id}, 2} }

// AboutAlias asks for the source that a reference to k was taken to mean.
func AboutAlias(k SubjectKey) Question {
	return Question{AliasFact, [4]string{k.Kind, k.Source, k.ID}, 3}
}

// AboutEvent asks what is known of the Eiffel event with that meta.id.
func AboutEvent(id string) Question { return Question{EventFact, [4]string{id}, 1} }

// AboutContext asks for the events that bear that context.id.
func AboutContext(id string) Question { return Question{ContextFact, [4]string{id}, 1} }

// AboutDecision asks for the choices that were made for an event. The direction is the protocol that it was translated to.
func AboutDecision(direction, source, id, eventType string) Question {
	return Question{DecisionFact, [4]string{direction, source, id, eventType}, 4}
}

// AboutLine asks how far the history has come of a service in an environment.
func AboutLine(service, environment SubjectKey) Question {
	return Question{LineFact, [4]string{service.Source, service.ID, environment.Source, environment.ID}, 4}
}

// AboutPackage asks for the services that run a package in an environment.
func AboutPackage(environment SubjectKey, pkg string) Question {
	return Question{PackageFact, [4]string{environment.Source, environment.ID, pkg}, 3}
}

// AboutService asks for the sources under which a service id is known in an environment.
func AboutService(environment SubjectKey, id string) Question {
	return Question{ServiceFact, [4]string{environment.Source, environment.ID, id}, 3}
}

// AboutRuns asks for the services that have a line in an environment.
func AboutRuns(environment SubjectKey) Question {
	return Question{RunsFact, [4]string{environment.Source, environment.ID}, 2}
}

// The queries of these questions, for who asks little.

// SubjectQuery is the query of [AboutSubject].
func SubjectQuery(k SubjectKey) Query { return AboutSubject(k).Query() }

// NameQuery is the query of [AboutName].
func NameQuery(kind, id string) Query { return AboutName(kind, id).Query() }

// AliasQuery is the query of [AboutAlias].
func AliasQuery(k SubjectKey) Query { return AboutAlias(k).Query() }

// EventQuery is the query of [AboutEvent].
func EventQuery(id string) Query { return AboutEvent(id).Query() }

// ContextQuery is the query of [AboutContext].
func ContextQuery(id string) Query { return AboutContext(id).Query() }

// DecisionQuery is the query of [AboutDecision].
func DecisionQuery(direction, source, id, eventType string) Query {
	return AboutDecision(direction, source, id, eventType).Query()
}

// LineQuery is the query of [AboutLine].
func LineQuery(service, environment SubjectKey) Query {
	return AboutLine(service, environment).Query()
}

// PackageQuery is the query of [AboutPackage].
func PackageQuery(environment SubjectKey, pkg string) Query {
	return AboutPackage(environment, pkg).Query()
}

// ServiceQuery is the query of [AboutService].
func ServiceQuery(environment SubjectKey, id string) Query {
	return AboutService(environment, id).Query()
}

// RunsQuery is the query of [AboutRuns].
func RunsQuery(environment SubjectKey) Query { return AboutRuns(environment).Query() }

// The keys of a history's records have that of its line before them.

func appendLineKey(b []byte, service, environment SubjectKey) []byte {
	q := AboutLine(service, environment)
	return q.AppendKey(b)
}

// entryKey is the key of the entry of a line.
func entryKey(line string, s Stamp) string {
	var room keyRoom
	return string(appendEntryKey(room[:0], line, s))
}

func appendEntryKey(b []byte, line string, s Stamp) []byte {
	return appendStampPart(appendChild(append(b, line...)), s)
}

// EntryQuery asks what happened to a service in an environment at that stamp.
func EntryQuery(service, environment SubjectKey, s Stamp) Query {
	var room keyRoom
	return Query{Kind: EntryFact, Key: string(appendStampPart(appendChild(appendLineKey(room[:0], service, environment)), s))}
}

// EntriesQuery asks for the last entries of a history before a stamp, by its text; empty for the last of all.
func EntriesQuery(service, environment SubjectKey, before string, limit int) Query {
	var room keyRoom
	return Query{EntryFact, string(appendLineKey(room[:0], service, environment)), Range{before, limit}}
}

// FirstRunQuery asks when the artifact with that key first ran.
func FirstRunQuery(service, environment SubjectKey, artifact string) Query {
	var room keyRoom
	return Query{Kind: FirstRunFact, Key: string(AppendKey(room[:0], service.Source, service.ID, environment.Source, environment.ID, artifact))}
}

// FirstRunsQuery asks for the first runs of all artifacts of a history.
func FirstRunsQuery(service, environment SubjectKey) Query {
	var room keyRoom
	return Query{FirstRunFact, string(appendLineKey(room[:0], service, environment)), Range{Limit: All}}
}
