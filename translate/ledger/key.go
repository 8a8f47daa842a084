package ledger

import (
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
func ParseKey(key string) ([]string, bool) {
	doc, err := jsondoc.Parse([]byte(key))
	if err != nil || doc.Root().Kind() != jsondoc.Array {
		return nil, false
	}
	var parts []string
	for v := range doc.Root().Children() {
		if v.Kind() != jsondoc.String {
			return nil, false
		}
		parts = append(parts, v.Str())
	}
	return parts, true
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
	parts, ok := ParseKey(key)
	if !ok || len(parts) != 2 {
		return SubjectKey{}, false
	}
	return SubjectKey{kind, parts[0], parts[1]}, true
}

// keyRoom is where a key is written before it becomes a string: one allocation each.
type keyRoom [256]byte

// For every kind of fact there is a constructor of its query, and a function that only appends the key to a buffer of the
// caller's, for who asks much and keeps what was answered.

// AppendSubjectKey appends the key of a [SubjectFact].
func AppendSubjectKey(b []byte, k SubjectKey) []byte { return AppendKey(b, k.Kind, k.Source, k.ID) }

// SubjectQuery asks what is known of a subject.
func SubjectQuery(k SubjectKey) Query {
	var room keyRoom
	return Query{Kind: SubjectFact, Key: string(AppendSubjectKey(room[:0], k))}
}

// AppendNameKey appends the key of a [NameFact].
func AppendNameKey(b []byte, kind, id string) []byte { return AppendKey(b, kind, id) }

// NameQuery asks for the sources under which subjects of a kind have that id.
func NameQuery(kind, id string) Query {
	var room keyRoom
	return Query{Kind: NameFact, Key: string(AppendNameKey(room[:0], kind, id))}
}

// AppendAliasKey appends the key of an [AliasFact].
func AppendAliasKey(b []byte, k SubjectKey) []byte { return AppendKey(b, k.Kind, k.Source, k.ID) }

// AliasQuery asks for the source that a reference to k was taken to mean.
func AliasQuery(k SubjectKey) Query {
	var room keyRoom
	return Query{Kind: AliasFact, Key: string(AppendAliasKey(room[:0], k))}
}

// AppendEventKey appends the key of an [EventFact].
func AppendEventKey(b []byte, id string) []byte { return AppendKey(b, id) }

// EventQuery asks what is known of the Eiffel event with that meta.id.
func EventQuery(id string) Query {
	var room keyRoom
	return Query{Kind: EventFact, Key: string(AppendEventKey(room[:0], id))}
}

// AppendContextKey appends the key of a [ContextFact].
func AppendContextKey(b []byte, id string) []byte { return AppendKey(b, id) }

// ContextQuery asks for the events that bear that context.id.
func ContextQuery(id string) Query {
	var room keyRoom
	return Query{Kind: ContextFact, Key: string(AppendContextKey(room[:0], id))}
}

// AppendDecisionKey appends the key of a [DecisionFact].
func AppendDecisionKey(b []byte, direction, source, id, eventType string) []byte {
	return AppendKey(b, direction, source, id, eventType)
}

// DecisionQuery asks for the choices that were made for an event. The direction is the protocol that it was translated to.
func DecisionQuery(direction, source, id, eventType string) Query {
	var room keyRoom
	return Query{Kind: DecisionFact, Key: string(AppendDecisionKey(room[:0], direction, source, id, eventType))}
}

// AppendLineKey appends the key of a [LineFact].
func AppendLineKey(b []byte, service, environment SubjectKey) []byte {
	return AppendKey(b, service.Source, service.ID, environment.Source, environment.ID)
}

// LineQuery asks how far the history has come of a service in an environment.
func LineQuery(service, environment SubjectKey) Query {
	var room keyRoom
	return Query{Kind: LineFact, Key: string(AppendLineKey(room[:0], service, environment))}
}

// AppendEntryKey appends the key of an [EntryFact].
func AppendEntryKey(b []byte, service, environment SubjectKey, s Stamp) []byte {
	return appendStampPart(appendChild(AppendLineKey(b, service, environment)), s)
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
	return Query{Kind: EntryFact, Key: string(AppendEntryKey(room[:0], service, environment, s))}
}

// EntriesQuery asks for the last entries of a history before a stamp, by its text; empty for the last of all.
func EntriesQuery(service, environment SubjectKey, before string, limit int) Query {
	var room keyRoom
	return Query{EntryFact, string(AppendLineKey(room[:0], service, environment)), Range{before, limit}}
}

// AppendFirstRunKey appends the key of a [FirstRunFact].
func AppendFirstRunKey(b []byte, service, environment SubjectKey, artifact string) []byte {
	return AppendKey(b, service.Source, service.ID, environment.Source, environment.ID, artifact)
}

// FirstRunQuery asks when the artifact with that key first ran.
func FirstRunQuery(service, environment SubjectKey, artifact string) Query {
	var room keyRoom
	return Query{Kind: FirstRunFact, Key: string(AppendFirstRunKey(room[:0], service, environment, artifact))}
}

// FirstRunsQuery asks for the first runs of all artifacts of a history.
func FirstRunsQuery(service, environment SubjectKey) Query {
	var room keyRoom
	return Query{FirstRunFact, string(AppendLineKey(room[:0], service, environment)), Range{Limit: All}}
}

// AppendPackageKey appends the key of a [PackageFact].
func AppendPackageKey(b []byte, environment SubjectKey, pkg string) []byte {
	return AppendKey(b, environment.Source, environment.ID, pkg)
}

// PackageQuery asks for the services that run a package in an environment.
func PackageQuery(environment SubjectKey, pkg string) Query {
	var room keyRoom
	return Query{Kind: PackageFact, Key: string(AppendPackageKey(room[:0], environment, pkg))}
}

// AppendServiceKey appends the key of a [ServiceFact].
func AppendServiceKey(b []byte, environment SubjectKey, id string) []byte {
	return AppendKey(b, environment.Source, environment.ID, id)
}

// ServiceQuery asks for the sources under which a service id is known in an environment.
func ServiceQuery(environment SubjectKey, id string) Query {
	var room keyRoom
	return Query{Kind: ServiceFact, Key: string(AppendServiceKey(room[:0], environment, id))}
}

// AppendRunsKey appends the key of a [RunsFact].
func AppendRunsKey(b []byte, environment SubjectKey) []byte {
	return AppendKey(b, environment.Source, environment.ID)
}

// RunsQuery asks for the services that have a line in an environment.
func RunsQuery(environment SubjectKey) Query {
	var room keyRoom
	return Query{Kind: RunsFact, Key: string(AppendRunsKey(room[:0], environment))}
}
