// Package ledger is what translations remember: the keys, one type of record a kind with its encoding and how it unites with
// what is known, how long it is kept, and a ledger in memory. The records' format is written down in record.proto.
package ledger

import (
	"context"
	"fmt"
)

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
	// LineFact: the history of a service in an environment (service source, id, environment source, id); a [Line].
	LineFact FactKind = 'l'
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
	return []FactKind{SubjectFact, NameFact, AliasFact, EventFact, ContextFact, DecisionFact, LineFact, PackageFact, ServiceFact, RunsFact}
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
	case PackageFact:
		return "package"
	case ServiceFact:
		return "service"
	case RunsFact:
		return "runs"
	}
	return fmt.Sprintf("kind %q", byte(k))
}

// Query asks the ledger for one record. It is comparable, so it serves as a map key.
type Query struct {
	Kind FactKind
	Key  string // a compact JSON array of strings
}

// Fact is something learned: a record to be merged into what the ledger has under that query ([Merge]).
type Fact struct {
	Query  Query
	Record []byte
}

// Ledger remembers what translations learned. An implementation only stores records and merges them with [Merge]; what
// they mean is decided here. It is safe for concurrent use.
type Ledger interface {
	// Read answers queries, in their order; a nil record means that there is nothing. The records must not be
	// changed and may be retained.
	Read(ctx context.Context, queries []Query) ([][]byte, error)

	// Apply merges all facts or, on an error, none. When it returns nil they survive a crash, as far as the store
	// is durable at all. It does not retain the facts.
	Apply(ctx context.Context, facts []Fact) error

	// Scan calls f for every record of one kind, in the order of their keys, until f returns an error. It sees at
	// least what was applied before it began. The record must not be retained.
	Scan(ctx context.Context, kind FactKind, f func(key string, record []byte) error) error
}
