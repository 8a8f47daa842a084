package translate

import (
	"context"

	"github.com/eiffelbridge/eiffelbridge/internal/arena"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// reader is the part of a [Ledger] that a translation asks.
type reader interface {
	Read(ctx context.Context, queries []Query) ([]Record, error)
}

// source is where a translation knows the ledger from: facts that the caller has, or the store itself.
type source struct {
	ctx   context.Context
	store reader // nil: only facts are known
	facts *Facts
	spent *budget // where the cost is told, for tests
}

// recall is what one translation knows of the ledger. Each record is read once and decoded once.
//
// With a ledger, a translation that lacks a record reads it and goes on. Without one it notes the question and goes on as
// if the ledger had nothing, to find out what else it will ask; all that it decides from then on is void.
type recall struct {
	source
	read  Facts // from the store
	need  []Query
	asked lookup[Query, struct{}] // what is in need
	err   error                   // what reading the ledger came to

	texts    arena.Arena // keys, what was read, and what is made
	decoder  ledger.Decoder
	events   lookup[string, *EiffelEvent]
	subjects lookup[SubjectKey, *Subject]
	contexts lookup[string, Contexts]
	lines    []knownLine
	line1    [1]knownLine // room for lines
	batch    [batchSize + 1]Query
	expected int // how many of batch will be asked
	budget   budget
	account  *account // where damaged records are told of
}

type knownLine struct {
	service, environment SubjectKey
	line                 *ledger.History
}

// undecided tells whether something was asked for that is not known yet, so that the result is void.
func (r *recall) undecided() bool { return len(r.need) > 0 || r.err != nil || r.budget.exceeded() }

// question makes a question of a key that was written into the room for keys.
func (r *recall) question(kind FactKind, key []byte) Query {
	return Query{Kind: kind, Key: r.texts.Keep(key)}
}

// batchSize is how many questions are asked at once at most. What an event says of dozens of others is asked one by one.
const batchSize = 24

// usualKey holds most keys.
const usualKey = 192

// get gives a record, nil for none.
func (r *recall) get(q Query) []byte {
	if record, ok := r.facts.Get(q); ok {
		return record
	}
	if r.store == nil {
		for _, asked := range r.need {
			if asked == q {
				return nil
			}
		}
		r.need = append(r.need, q)
		return nil
	}
	if r.err != nil || !r.budget.spend(1) {
		return nil
	}
	r.batch[r.expected] = q // behind what is expected, which is fetched later
	records, err := r.store.Read(r.ctx, r.batch[r.expected:r.expected+1])
	if err != nil {
		r.err = err
		return nil
	}
	r.facts.Add(q, records[0].Bytes)
	return records[0].Bytes
}

// expect notes a question that the translation will ask, for the next fetch. Without a ledger there is nothing to gain.
func (r *recall) expect(q Query) {
	if r.store == nil || r.expected == batchSize {
		return
	}
	if _, known := r.facts.Get(q); !known {
		r.batch[r.expected] = q
		r.expected++
	}
}

// fetch reads what is expected to be asked, in one go.
func (r *recall) fetch() {
	n := r.expected
	r.expected = 0
	if n == 0 || r.err != nil || !r.budget.spend(n) {
		return
	}
	records, err := r.store.Read(r.ctx, r.batch[:n])
	if err != nil {
		r.err = err
		return
	}
	for i, q := range r.batch[:n] {
		r.facts.Add(q, records[i].Bytes)
	}
}

func (r *recall) subjectRecord(k SubjectKey) *Subject {
	if s, ok := r.subjects.get(k); ok {
		return s
	}
	s, err := r.decoder.Subject(r.get(r.subjectQuery(k)))
	if err != nil {
		r.account.diagnose("ledger", "the record of %s %q is damaged and was ignored", k.Kind, k.ID)
		s = &Subject{}
	}
	r.subjects.put(k, s)
	return s
}

// eiffelEvent gives what the ledger knows of an Eiffel event, nil if nothing.
func (r *recall) eiffelEvent(id string) *EiffelEvent {
	if e, ok := r.events.get(id); ok {
		return e
	}
	var e *EiffelEvent
	if record := r.get(r.eventQuery(id)); record != nil {
		var err error
		if e, err = r.decoder.EiffelEvent(record); err != nil {
			r.account.diagnose("ledger", "the record of the Eiffel event %s is damaged and was ignored", id)
			e = nil
		}
	}
	r.events.put(id, e)
	return e
}

// contextsOf gives the events that bear a context id.
func (r *recall) contextsOf(id string) Contexts {
	if c, ok := r.contexts.get(id); ok {
		return c
	}
	c, err := r.decoder.Contexts(r.get(r.contextQuery(id)))
	if err != nil {
		r.account.diagnose("ledger", "the record of the context id %q is damaged and was ignored", id)
		c = nil
	}
	r.contexts.put(id, c)
	return c
}

func (r *recall) set(q Query) Set {
	s, err := r.decoder.Set(r.get(q))
	if err != nil {
		r.account.diagnose("ledger", "a %s record is damaged and was ignored", q.Kind)
		return nil
	}
	return s
}

func (r *recall) line(service, environment SubjectKey) *ledger.History {
	for i := range r.lines {
		if l := &r.lines[i]; l.service == service && l.environment == environment {
			return l.line
		}
	}
	l, err := r.decoder.OpenLine(r.get, r.lineQuery(service, environment).Key)
	if err != nil {
		r.account.diagnose("ledger", "the line of service %q in environment %q is damaged and was ignored", service.ID, environment.ID)
	}
	r.lines = append(r.lines, knownLine{service, environment, l})
	return l
}

func (r *recall) subjectQuery(k SubjectKey) Query {
	return r.question(SubjectFact, ledger.AppendSubjectKey(r.texts.Room(usualKey), k))
}

func (r *recall) nameQuery(kind, id string) Query {
	return r.question(NameFact, ledger.AppendNameKey(r.texts.Room(usualKey), kind, id))
}

func (r *recall) aliasQuery(k SubjectKey) Query {
	return r.question(AliasFact, ledger.AppendAliasKey(r.texts.Room(usualKey), k))
}

func (r *recall) eventQuery(id string) Query {
	return r.question(EventFact, ledger.AppendEventKey(r.texts.Room(usualKey), id))
}

func (r *recall) contextQuery(id string) Query {
	return r.question(ContextFact, ledger.AppendContextKey(r.texts.Room(usualKey), id))
}

func (r *recall) lineQuery(service, environment SubjectKey) Query {
	return r.question(LineFact, ledger.AppendLineKey(r.texts.Room(usualKey), service, environment))
}

func (r *recall) packageQuery(environment SubjectKey, pkg string) Query {
	return r.question(PackageFact, ledger.AppendPackageKey(r.texts.Room(usualKey), environment, pkg))
}

func (r *recall) serviceQuery(environment SubjectKey, id string) Query {
	return r.question(ServiceFact, ledger.AppendServiceKey(r.texts.Room(usualKey), environment, id))
}

func (r *recall) runsQuery(environment SubjectKey) Query {
	return r.question(RunsFact, ledger.AppendRunsKey(r.texts.Room(usualKey), environment))
}

func (r *recall) decisionQuery(e *Event) Query {
	return r.question(DecisionFact, ledger.AppendDecisionKey(r.texts.Room(usualKey), e.Protocol.Other().String(), e.Source, e.ID, e.Type))
}
