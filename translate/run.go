package translate

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/internal/smallmap"
	"github.com/eiffelbridge/eiffelbridge/mappings"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// run is the state that the translation of one event has in either direction.
type run struct {
	g    *Engine
	room *room
	*recall
	account

	event   Event
	events  []Event // what the event becomes
	missing []Missing
	learned []ledger.Fact

	what string // what {event} in a text stands for: subject.predicate, or a type

	parsed *artifact // the artifact that was read last
	isPurl bool      // its text is a purl

	// replaying: the ledger knows the choices made for this event, and they are repeated.
	replaying bool
	decided   smallmap.Map[string, string]
	choices   ledger.Decision
	choice    [4]ledger.Choice // room for choices

	believed bool   // the event's envelope or mark is believed
	markAt   int    // index of its value in the event
	markID   string // the id of the event that it came from, if a mark says so
	stripped []byte // the event as it is carried, where that is not as it came
	failure  error  // why the event cannot be translated, where that was found on the way
}

// prepare begins the translation of an event.
func (r *run) prepare(g *Engine, room *room, in Event, from source) {
	r.event = in
	room.recall.begin(from, newBudget(&r.event), &r.account)
	r.prepareWithin(g, room)
}

// prepareWithin begins the translation of an event that may be one that another carries: they share what they know.
func (r *run) prepareWithin(g *Engine, room *room) {
	r.g, r.room, r.recall = g, room, &room.recall
	r.choices = r.choice[:0]
	r.account.start(&r.event, &g.settings, &room.recall.kept)
}

// recallChoices finds out whether the event came before, and what was chosen then.
func (r *run) recallChoices() {
	in := r.in
	if len(r.contextsOf(in.ID)) == 0 {
		return // whatever is decided about an event is learned together with its context id
	}
	if record := r.record(aboutDecision(in)); record != nil {
		d, err := ledger.DecodeDecision(record) // with memory of its own: a result may tell what was chosen
		if err != nil {
			r.diagnose(DiagnosticLedger, "the record of the event's own choices is damaged and was ignored")
			return
		}
		r.replaying = true
		for _, c := range slices.Backward(d) { // of two of a name the first counts
			r.decided.Put(c.Name, c.Value)
		}
	}
}

// result is what the translation came to: questions, if there are any, before anything else, since all that was decided
// without their answers is void.
func (r *run) result(row *rowText, returning Returning, err error) (Result, error) {
	if r.spent != nil {
		*r.spent = r.budget
	}
	switch {
	case r.recall.err != nil:
		return Result{}, r.recall.err
	case r.budget.exceeded():
		return Result{}, r.budget.tooCostly(r.in)
	case len(r.need) > 0:
		return Result{Need: r.need}, nil
	case err != nil:
		return Result{}, err
	}
	result := Result{
		Events: r.events, Missing: r.missing, Learned: r.learned, Losses: r.losses, Diagnostics: r.diagnostics, Moves: r.moves,
		Returning: returning,
	}
	if row != nil {
		result.Row, result.About = row.name, row.about
	}
	return result, nil
}

// choose makes a choice that depends on the ledger, or repeats the one that was made when the event came before. The
// standard is how the choice falls with an empty ledger; such a choice is not stored. decide must not ask the ledger for
// anything that replaying needs.
func (r *run) choose(name, standard string, decide func() string) string {
	return r.chooseAt(name, -1, standard, decide)
}

// chooseAt is choose for one of several choices of a name, which their number tells apart.
func (r *run) chooseAt(name string, number int, standard string, decide func() string) string {
	if r.replaying {
		if chosen, ok := r.chosen(choiceName(name, number)); ok {
			return chosen
		}
		return standard
	}
	value := decide()
	if value != standard {
		r.choices = append(r.choices, ledger.Choice{Name: choiceName(name, number), Value: value})
	}
	return value
}

func choiceName(name string, number int) string {
	if number < 0 {
		return name
	}
	return name + "/" + strconv.Itoa(number)
}

func (r *run) chosen(name string) (string, bool) {
	return r.decided.Get(name)
}

// chooseSubject is choose for a subject of a kind, which its key stands for.
func (r *run) chooseSubject(name string, standard ledger.SubjectKey, decide func() ledger.SubjectKey) ledger.SubjectKey {
	if r.replaying {
		if chosen, ok := r.chosen(name); ok {
			if k, ok := ledger.ParseSubjectKey(standard.Kind, chosen); ok {
				return k
			}
		}
		return standard
	}
	k := decide()
	if k != standard {
		r.choices = append(r.choices, ledger.Choice{Name: name, Value: k.Key()})
	}
	return k
}

// chooseKind is chooseSubject where the kind is part of the choice.
func (r *run) chooseKind(name string, standard ledger.SubjectKey, decide func() ledger.SubjectKey) ledger.SubjectKey {
	if r.replaying {
		if chosen, ok := r.chosen(name); ok {
			kind, key, _ := strings.Cut(chosen, " ")
			if k, ok := ledger.ParseSubjectKey(kind, key); ok {
				return k
			}
		}
		return standard
	}
	k := decide()
	if k != standard {
		r.choices = append(r.choices, ledger.Choice{Name: name, Value: k.Kind + " " + k.Key()})
	}
	return k
}

// learn notes what the ledger must remember: a record that was written into recordRoom.
func (r *run) learn(q ledger.Question, record []byte) {
	if r.learned == nil {
		r.learned = make([]ledger.Fact, 0, 6)
	}
	record = r.kept.KeepBytes(record)
	r.learned = append(r.learned, ledger.Fact{Query: r.query(q), Record: record})
}

func (r *run) recordRoom() []byte { return r.kept.Room(usualRecord) }

func (r *run) learnSubject(k ledger.SubjectKey, s *ledger.Subject) {
	r.learn(ledger.AboutSubject(k), s.AppendTo(r.recordRoom()))
}

func (r *run) learnEvent(id string, e *ledger.EiffelEvent) {
	r.learn(ledger.AboutEvent(id), e.AppendTo(r.recordRoom()))
}

// learnMember adds a member to a set.
func (r *run) learnMember(q ledger.Question, member string) {
	r.learn(q, ledger.Set{member}.AppendTo(r.recordRoom()))
}

// learnChoices remembers what was chosen for the event, should it come again.
func (r *run) learnChoices() {
	r.learn(aboutDecision(r.in), r.choices.AppendTo(r.recordRoom()))
}

// usualRecord holds most records, and usualText most texts that are made.
const (
	usualRecord = 256
	usualText   = 256
)

// refuse notes why the event cannot be translated; the first reason counts.
func (r *run) refuse(err error) {
	if r.failure == nil {
		r.failure = err
	}
}

func (r *run) miss(q ledger.Question, want, format string, args ...any) {
	if r.replaying {
		return // the placeholder was chosen; a redelivery does not wait again
	}
	query := r.query(q)
	for _, m := range r.missing {
		if m.Query == query && m.Want == want {
			return
		}
	}
	r.missing = append(r.missing, Missing{Query: query, Want: want, Name: fmt.Sprintf(format, args...)})
}

// deliver adds the main event of the translation, after what was synthesized for it: the moves lead there.
func (r *run) deliver(e Event) {
	r.events = append(r.events, e)
	for i := range r.moves {
		if r.moves[i].Out == mainOutput {
			r.moves[i].Out = len(r.events) - 1
		}
	}
}

// unmapped handles an event of a type that has no counterpart of its own, as [Settings.NoMapping] says; true if that was
// all.
func (r *run) unmapped() (bool, error) {
	switch r.g.settings.NoMapping {
	case NoMappingRefuse:
		return true, r.in.fail(CodeNoMapping, "", "this type has no counterpart in the other protocol, and on_no_mapping refuses it")
	case NoMappingDrop:
		r.events, r.missing, r.learned, r.losses, r.diagnostics, r.moves = nil, nil, nil, nil, nil, nil
		r.diagnose(DiagnosticNoMapping, "%s has no counterpart in the other protocol and was dropped, as on_no_mapping says", r.in.Type)
		return true, nil
	}
	return false, nil
}

// ownEvent gives what the ledger knows of the Eiffel event that bears the event's own id. An event is learned together
// with its context id, but for those whose ids the bridge made: for all others there is nothing to ask for where that
// one is unknown, which it mostly is.
func (r *run) ownEvent() *ledger.EiffelEvent {
	if len(r.contextsOf(r.in.ID)) == 0 && !madeID(r.in.ID) {
		return nil
	}
	return r.eiffelEvent(r.in.ID)
}

// The choices of the source that a reference means.
const (
	sourceOfEnvironment = "source/" + ledger.KindEnvironment
	sourceOfService     = "source/" + ledger.KindService
)

// resolve finds the subject that a reference means (mapping.md, "Subjects"): the key itself; or, where nobody knows that key and
// one subject of that kind has the id under another source, that one, from then on.
func (r *run) resolve(choice string, k ledger.SubjectKey) ledger.SubjectKey {
	source := r.choose(choice, k.Source, func() string {
		if alias := r.set(ledger.AboutAlias(k)); len(alias) > 0 {
			return alias[0]
		}
		if known := r.record(ledger.AboutSubject(k)); known != nil {
			return k.Source
		}
		if names := r.set(ledger.AboutName(k.Kind, k.ID)); len(names) == 1 && names[0] != k.Source {
			r.learnMember(ledger.AboutAlias(k), names[0])
			return names[0]
		}
		return k.Source
	})
	if source != k.Source {
		r.diagnose(DiagnosticAlias, "%s %q of source %q was taken to be that of source %q, the only one known", k.Kind, k.ID, k.Source, source)
		k.Source = source
	}
	return k
}

// readArtifact reads an artifact's identity and says so if it is no purl.
func (r *run) readArtifact(text string) *artifact {
	if len(text) > maxID {
		text = text[:maxID] // the event is refused
	}
	a := r.parse(text)
	if !r.isPurl {
		r.diagnose(DiagnosticNotPurl, "the artifact id %q is no purl and was written as %s", shorten(text, 80), shorten(a.purl, 120))
	}
	return a
}

// parse is [parseArtifact]; the last artifact is remembered, which is mostly the only one.
func (r *run) parse(text string) *artifact {
	if r.parsed == nil || r.parsed.from != text {
		a := r.artifacts.next()
		*a, r.isPurl = parseArtifact(text, r.g.settings.AllQualifiers)
		a.from = text
		r.parsed = a
		r.checkSubject(a.subject())
	}
	return r.parsed
}

// holds evaluates a row's condition; a row without one always counts.
func (r *run) holds(when mappings.Expression, subject ledger.SubjectKey) (bool, error) {
	if when == nil {
		return true, nil
	}
	holds, err := when.Holds(r.input(subject))
	if err != nil {
		return false, r.in.fail(CodeMapping, "", err.Error())
	}
	return holds, nil
}

// evaluate computes what an overlay's expression says, for a place in the output; nil for null.
func (r *run) evaluate(e mappings.Expression, subject ledger.SubjectKey, to, rule string) ([]byte, error) {
	raw, err := e.JSON(r.input(subject))
	if err != nil {
		return nil, r.in.fail(CodeMapping, "", err.Error())
	}
	if raw != nil {
		r.move(jsondoc.Value{}, to, rule, OneWay)
		for _, p := range e.Reads() {
			r.moveAny(r.in.doc.Root().Pointed(p), to, rule, OneWay)
		}
	}
	return raw, nil
}

// evaluateText is evaluate for text; "" for null and for what is no string.
func (r *run) evaluateText(e mappings.Expression, subject ledger.SubjectKey, to, rule string) (string, error) {
	raw, err := r.evaluate(e, subject, to, rule)
	if err != nil || raw == nil {
		return "", err
	}
	doc, err := jsondoc.Parse(raw)
	if err != nil {
		return "", r.in.fail(CodeMapping, "", fmt.Sprintf("%s: %v", e, err))
	}
	return doc.Root().Str(), nil
}

func (r *run) input(subject ledger.SubjectKey) mappings.Input {
	return mappings.Input{Event: r.in.doc.Root(), Subject: mappings.Subject(subject)}
}
