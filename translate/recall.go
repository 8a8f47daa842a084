package translate

import (
	"context"

	"github.com/eiffelbridge/eiffelbridge/internal/arena"
	"github.com/eiffelbridge/eiffelbridge/internal/smallmap"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// source is where a translation knows the ledger from: facts that the caller has, or the store itself.
type source struct {
	ctx   context.Context
	store ledger.Source // nil: only facts are known
	facts *ledger.Facts // nil: only the store is
	spent *budget       // where the cost is told, for tests
}

// recall is what one translation knows of the ledger. Each record is read once and decoded once.
//
// With a ledger, a translation that lacks a record reads it and goes on. Without one it notes the question and goes on as
// if the ledger had nothing, to find out what else it will ask; all that it decides from then on is void.
type recall struct {
	source
	answers  answers
	ranges   smallmap.Map[ledger.Query, []byte] // of histories: what is no [ledger.Question]
	expected int                                // how many answers are not read yet
	batch    []ledger.Query                     // room for what is read in one go
	need     []ledger.Query
	err      error // what reading the ledger came to
	budget   budget
	account  *account // where damaged records are told of

	texts     arena.Arena // what was read, and what is made on the way
	kept      arena.Arena // what the ledger and the result have: keys, records, and texts
	decoder   ledger.Decoder
	reader    ledger.Reader // get, for histories
	subjects  slab[ledger.Subject]
	events    slab[ledger.EiffelEvent]
	lines     slab[ledger.History]
	artifacts slab[artifact]
}

// begin forgets what the translation before has known.
func (r *recall) begin(from source, most budget, account *account) {
	r.source, r.budget, r.account = from, most, account
	r.expected, r.need, r.err = 0, nil, nil
	r.texts.Size, r.kept = textRoom, arena.Arena{Size: keptRoom}
	if r.reader == nil {
		r.decoder, r.reader = ledger.NewDecoder(&r.texts, &r.kept), r.get
	}
	if r.store == nil && r.facts == nil {
		r.facts = &ledger.Facts{}
	}
}

// end lets go of what the translation has read.
func (r *recall) end() {
	r.source, r.account, r.need, r.err = source{}, nil, nil, nil
	r.kept = arena.Arena{}
	r.answers.reset()
	r.ranges.Reset()
	r.subjects.reset()
	r.events.reset()
	r.lines.reset()
	r.artifacts.reset()
	clear(r.batch)
	r.texts.Reset()
}

// textRoom holds what most translations read and make on their way, keptRoom what stays of most.
const (
	textRoom = 2048
	keptRoom = 2304
)

// undecided tells whether something was asked for that is not known yet, so that the result is void.
func (r *recall) undecided() bool { return len(r.need) > 0 || r.err != nil || r.budget.exceeded() }

// batchSize is how many questions are asked at once at most. What an event says of dozens of others is asked one by one.
const batchSize = 24

// usualKey holds most keys.
const usualKey = 192

// answer gives what is known about a question, which it asks if nobody has.
func (r *recall) answer(q ledger.Question) *answer {
	a := r.answers.find(&q)
	if a == nil {
		a = r.answers.add(q, r.key(&q))
	}
	if !a.read {
		a.record, a.read = r.ask(ledger.Query{Kind: q.Kind, Key: a.key}), true
	}
	return a
}

// key writes the key of a question. Ledgers and results may keep it.
func (r *recall) key(q *ledger.Question) string {
	return r.kept.Keep(q.AppendKey(r.kept.Room(usualKey)))
}

// query is the query of a question, whether it is asked or not.
func (r *recall) query(q ledger.Question) ledger.Query {
	if a := r.answers.find(&q); a != nil {
		return ledger.Query{Kind: q.Kind, Key: a.key}
	}
	return ledger.Query{Kind: q.Kind, Key: r.key(&q)}
}

// ask asks one query that was not asked before: nil for nothing.
func (r *recall) ask(q ledger.Query) []byte {
	if r.store == nil {
		record, known := r.facts.Get(q)
		if !known {
			r.need = append(r.need, q)
		}
		return record
	}
	if r.err != nil || !r.budget.spend(1) {
		return nil
	}
	r.batch = append(r.batch[:0], q)
	records, err := r.store.Read(r.ctx, r.batch)
	if err != nil {
		r.err = err
		return nil
	}
	return records[0].Bytes
}

// get answers any query, as a [ledger.Reader].
func (r *recall) get(q ledger.Query) []byte {
	record, known := r.ranges.Get(q)
	if !known {
		record = r.ask(q)
		r.ranges.Put(q, record)
	}
	return record
}

// expect notes a question that the translation will ask, for the next fetch. Without a ledger there is nothing to gain.
func (r *recall) expect(q ledger.Question) {
	if r.store == nil || r.expected == batchSize || r.answers.find(&q) != nil {
		return
	}
	r.answers.add(q, r.key(&q))
	r.expected++
}

// fetch reads what is expected to be asked, in one go.
func (r *recall) fetch() {
	n := r.expected
	r.expected = 0
	if n == 0 || r.err != nil || !r.budget.spend(n) {
		return
	}
	asked := r.answers.last(n)
	r.batch = r.batch[:0]
	for i := range asked {
		r.batch = append(r.batch, ledger.Query{Kind: asked[i].Kind, Key: asked[i].key})
	}
	records, err := r.store.Read(r.ctx, r.batch)
	if err != nil {
		r.err = err
		return
	}
	for i := range asked {
		asked[i].record, asked[i].read = records[i].Bytes, true
	}
}

// record gives the record that answers a question, nil for none.
func (r *recall) record(q ledger.Question) []byte { return r.answer(q).record }

func (r *recall) subjectRecord(k ledger.SubjectKey) *ledger.Subject {
	a := r.answer(ledger.AboutSubject(k))
	if a.subject == nil {
		a.subject = r.subjects.next()
		if err := r.decoder.ReadSubject(a.subject, a.record); err != nil {
			r.account.diagnose(DiagnosticLedger, "the record of %s %q is damaged and was ignored", k.Kind, k.ID)
			*a.subject = ledger.Subject{}
		}
	}
	return a.subject
}

// eiffelEvent gives what the ledger knows of an Eiffel event, nil if nothing.
func (r *recall) eiffelEvent(id string) *ledger.EiffelEvent {
	a := r.answer(ledger.AboutEvent(id))
	if a.event == nil && a.record != nil {
		a.event = r.events.next()
		if err := r.decoder.ReadEiffelEvent(a.event, a.record); err != nil {
			r.account.diagnose(DiagnosticLedger, "the record of the Eiffel event %s is damaged and was ignored", id)
			a.event, a.record = nil, nil
		}
	}
	return a.event
}

// contextsOf gives the events that bear a context id.
func (r *recall) contextsOf(id string) ledger.Contexts {
	a := r.answer(ledger.AboutContext(id))
	if a.contexts == nil && a.record != nil {
		var err error
		if a.contexts, err = r.decoder.Contexts(a.record); err != nil {
			r.account.diagnose(DiagnosticLedger, "the record of the context id %q is damaged and was ignored", id)
			a.contexts, a.record = nil, nil
		}
	}
	return a.contexts
}

func (r *recall) set(q ledger.Question) ledger.Set {
	s, err := r.decoder.Set(r.record(q))
	if err != nil {
		r.account.diagnose(DiagnosticLedger, "a %s record is damaged and was ignored", q.Kind)
		return nil
	}
	return s
}

func (r *recall) line(service, environment ledger.SubjectKey) *ledger.History {
	a := r.answer(ledger.AboutLine(service, environment))
	if a.line == nil {
		a.line = r.lines.next()
		if err := r.decoder.OpenLine(a.line, r.reader, a.key, a.record); err != nil {
			r.account.diagnose(DiagnosticLedger, "the line of service %q in environment %q is damaged and was ignored", service.ID, environment.ID)
		}
	}
	return a.line
}

// keepText is a text as the result may have it.
func (r *recall) keepText(s string) string {
	return r.kept.Keep(append(r.kept.Room(len(s)), s...))
}

// aboutDecision asks for the choices that were made for the event before.
func aboutDecision(e *Event) ledger.Question {
	return ledger.AboutDecision(e.Protocol.Other().String(), e.Source, e.ID, e.Type)
}
