// Package ledger is what translations remember: the keys, one type of record a kind with its encoding and how it unites with
// what is known, how long it is kept, and a ledger in memory. The records' format is written down in record.proto.
package ledger

import (
	"context"
	"errors"
	"fmt"
)

// ErrConflict says that a decision was made by records that another writer has changed since: what was to be learned is not
// learned. Who made the decision makes it again.
var ErrConflict = errors.New("another writer changed in the ledger what was read")

// FactKind says what a fact is about. The kinds are one printable byte each, since stores use them as key prefixes.
type FactKind byte

// The kinds of facts, with the parts of their keys.
const (
	// SubjectFact: what is known of a CDEvents subject (kind, source, id); a [Subject].
	SubjectFact FactKind = 's'
	// NameFact: the sources under which an id is known (kind, id); a [Set] of sources.
	NameFact FactKind = 'n'
	// AliasFact: which source a reference to an unknown key was taken to mean (kind, source, id); a [Set] of one.
	AliasFact FactKind = 'a'
	// EventFact: what is known of an Eiffel event (meta.id); an [EiffelEvent].
	EventFact FactKind = 'e'
	// ContextFact: which Eiffel events a context id became (context.id); a [Contexts].
	ContextFact FactKind = 'c'
	// DecisionFact: the choices made for an event (direction, source, id, type); a [Decision].
	DecisionFact FactKind = 'd'
	// LineFact: how far the history of a service in an environment has come (service source, id, environment source,
	// id); a [Head].
	LineFact FactKind = 'l'
	// EntryFact: a deployment or a removal in a history (the parts of its line, [Stamp.Text]); an [Entry].
	EntryFact FactKind = 'h'
	// FirstRunFact: when an artifact first ran in a history (the parts of its line, the artifact's key); a [Stamp].
	FirstRunFact FactKind = 'f'
	// PackageFact: the services that run a package in an environment (environment source, id, package); a [Set] of
	// service keys.
	PackageFact FactKind = 'p'
	// ServiceFact: the sources under which a service id is known in an environment (environment source, id, service
	// id); a [Set] of sources.
	ServiceFact FactKind = 'i'
	// RunsFact: the services that have a line in an environment (environment source, id); a [Set] of service keys.
	RunsFact FactKind = 'r'
)

// FactKinds lists every kind, in a fixed order.
func FactKinds() []FactKind {
	return []FactKind{SubjectFact, NameFact, AliasFact, EventFact, ContextFact, DecisionFact, LineFact, EntryFact, FirstRunFact, PackageFact, ServiceFact, RunsFact}
}

// String is the kind's name, as a portable dump of a ledger has it.
func (k FactKind) String() string {
	switch k {
	case SubjectFact:
		return "subject"
	case NameFact:
		return "name"
	case AliasFact:
		return "alias"
	case EventFact:
		return "event"
	case ContextFact:
		return "context"
	case DecisionFact:
		return "decision"
	case LineFact:
		return "line"
	case EntryFact:
		return "entry"
	case FirstRunFact:
		return "firstrun"
	case PackageFact:
		return "package"
	case ServiceFact:
		return "service"
	case RunsFact:
		return "runs"
	}
	return fmt.Sprintf("kind %q", byte(k))
}

// Ranged tells whether a kind's records are asked for by ranges: those whose keys differ in their last part belong together.
func (k FactKind) Ranged() bool { return k == EntryFact || k == FirstRunFact }

// Query asks the ledger for one record or, with a range, for several. It is comparable, so it serves as a map key.
type Query struct {
	Kind FactKind
	// Key is a compact JSON array of strings. With a range it lacks the last part, and every record is meant whose key
	// begins with these parts and has one more.
	Key   string
	Range Range
}

// Range makes a query one for the last records, in the order of their keys, of a kind that is [FactKind.Ranged]; of another
// kind there are none. Its zero value leaves the query one for a single record.
type Range struct {
	Before string // only records whose last part is less; empty: from the end
	Limit  int    // how many at most; [All] for all of them
}

// All is the limit of a [Range] that has none.
const All = 1<<31 - 1

// IsRange tells whether a query has a range.
func (q Query) IsRange() bool { return q.Range != Range{} }

// Fact is something learned: a record to be merged into what the ledger has under that query ([Merge]), or, if it forgets, that
// the ledger shall have nothing there any more. Forgetting has no record; forgetting what is not there is no error.
type Fact struct {
	Query  Query
	Record []byte
	Forget bool
}

// Record is what a ledger answers: the record under a key, or the framed records of a range ([Records]).
type Record struct {
	Bytes []byte // nil: there is nothing
	// Revision changes whenever Bytes do, and no other Bytes have the same one as long as the ledger exists, so that two
	// answers to one query with one revision are equal. It is 0 where there is nothing. It may change though Bytes do not.
	Revision uint64
}

// Ledger remembers what translations learned. An implementation only stores records, merges them with [Merge] and forgets
// what it is told to; what they mean is decided here. It is safe for concurrent use.
type Ledger interface {
	// Read answers queries, in their order. The records must not be changed and may be retained. The list of queries is the
	// caller's, for the time of the call.
	Read(ctx context.Context, queries []Query) ([]Record, error)

	// Apply merges or forgets all facts, in their order, or, on an error, none. When it returns nil they survive a
	// crash, as far as the store is durable at all. It does not retain the facts.
	Apply(ctx context.Context, facts []Fact) error

	// Scan calls f for every record of one kind, in the order of their keys, until f returns an error. It sees at
	// least what was applied before it began. The record must not be retained.
	Scan(ctx context.Context, kind FactKind, f func(key string, record []byte) error) error
}
