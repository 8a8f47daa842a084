package translate

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"sync"
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

// Facts are the answers a caller has for the queries that a translation may ask. The zero value is ready for use. It is
// not safe for concurrent use.
type Facts struct {
	answers []Fact
}

// Add notes the answer to a query; a nil record says that the ledger has nothing. The record is retained.
func (f *Facts) Add(q Query, record []byte) { f.answers = append(f.answers, Fact{q, record}) }

// Reset forgets all answers and keeps the memory.
func (f *Facts) Reset() { f.answers = f.answers[:0] }

// Get gives the answer to a query, and whether there is one. There are seldom more than twenty answers, so a scan
// from the newest beats a map.
func (f *Facts) Get(q Query) ([]byte, bool) {
	for i := len(f.answers) - 1; i >= 0; i-- {
		if f.answers[i].Query == q {
			return f.answers[i].Record, true
		}
	}
	return nil, false
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

// MemoryLedger is a [Ledger] in memory: for one run, for tests, and for programs that keep no history. It forgets nothing,
// so that it grows with every event.
type MemoryLedger struct {
	mu      sync.RWMutex
	records map[Query][]byte
}

var _ Ledger = (*MemoryLedger)(nil)

// NewMemoryLedger returns an empty ledger.
func NewMemoryLedger() *MemoryLedger {
	return &MemoryLedger{records: map[Query][]byte{}}
}

// Read implements [Ledger].
func (l *MemoryLedger) Read(ctx context.Context, queries []Query) ([][]byte, error) {
	out := make([][]byte, len(queries))
	l.mu.RLock()
	defer l.mu.RUnlock()
	for i, q := range queries {
		out[i] = l.records[q]
	}
	return out, nil
}

// Apply implements [Ledger].
func (l *MemoryLedger) Apply(ctx context.Context, facts []Fact) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	merged := make(map[Query][]byte, len(facts))
	for _, f := range facts {
		old, ok := merged[f.Query]
		if !ok {
			old = l.records[f.Query]
		}
		record, err := Merge(f.Query.Kind, old, f.Record)
		if err != nil {
			return fmt.Errorf("apply %s %s: %w", f.Query.Kind, f.Query.Key, err)
		}
		merged[f.Query] = record
	}
	for q, record := range merged {
		l.records[q] = record
	}
	return nil
}

// Scan implements [Ledger].
func (l *MemoryLedger) Scan(ctx context.Context, kind FactKind, f func(key string, record []byte) error) error {
	l.mu.RLock()
	var keys []string
	for q := range l.records {
		if q.Kind == kind {
			keys = append(keys, q.Key)
		}
	}
	sort.Strings(keys)
	records := make([][]byte, len(keys))
	for i, k := range keys {
		records[i] = l.records[Query{kind, k}]
	}
	l.mu.RUnlock()
	for i, k := range keys {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f(k, records[i]); err != nil {
			return err
		}
	}
	return nil
}

// errRecord is what a damaged record gives.
var errRecord = errors.New("damaged record")
