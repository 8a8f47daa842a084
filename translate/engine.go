package translate

import (
	"errors"
	"fmt"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// Engine carries out the catalogue, both ways. It is immutable and safe for concurrent use.
type Engine struct {
	settings     Settings
	serializer   string
	toEiffel     map[string][]*rowToEiffel   // by subject.predicate
	toCDEvents   map[string][]*rowToCDEvents // by Eiffel event type
	vocabularies map[string]*vocabulary
}

var _ Translator = (*Engine)(nil)

// New compiles the catalogue. An error names the setting or the row at fault.
func New(settings Settings) (*Engine, error) {
	if err := settings.complete(); err != nil {
		return nil, err
	}
	g := &Engine{settings: settings, serializer: serializerPrefix + settings.Version}
	if err := g.compile(settings.Catalogue); err != nil {
		return nil, fmt.Errorf("catalogue: %w", err)
	}
	return g, nil
}

// Settings are those that the engine was made with, defaults filled in.
func (g *Engine) Settings() Settings { return g.settings }

// Translate implements [Translator]: a CDEvent becomes Eiffel events and an Eiffel event a CDEvent.
func (g *Engine) Translate(in Event, facts *Facts) (Result, error) {
	if in.doc == nil {
		return Result{}, &EventError{Code: CodeNotEvent, Message: "the event was not decoded; use Decode"}
	}
	s, err := validate(&in)
	if err != nil {
		return Result{}, err
	}
	if in.Protocol == CDEvents {
		return g.translateToEiffel(&in, s, facts)
	}
	return g.translateToCDEvents(&in, facts)
}

// Validate checks an event against the schema and, for Eiffel, the link rules of its own type and version. It returns
// every finding, at most 20; none for a valid event.
func Validate(in Event) []*EventError {
	_, findings := check(&in)
	return findings
}

func validate(in *Event) (*schema.Schema, error) {
	s, findings := check(in)
	if len(findings) > 0 {
		return nil, findings[0]
	}
	return s, nil
}

// check gives the event's schema and where the event breaks it. A type of which no version is known has no schema: the
// members that all events of its protocol share are checked then, so that nothing is refused for its type.
func check(in *Event) (*schema.Schema, []*EventError) {
	var s *schema.Schema
	var err error
	if in.Protocol == CDEvents {
		context := in.doc.Root().Get("context")
		version := context.Get("specversion")
		if !version.Exists() {
			version = context.Get("version")
		}
		s, err = schema.ForCDEvent(in.Type, version.Str())
	} else {
		s, err = schema.ForEiffel(in.Type, in.Version)
	}
	var unknownType *schema.UnknownTypeError
	switch {
	case errors.As(err, &unknownType):
		return nil, checkHead(in)
	case err != nil && in.Protocol == CDEvents:
		return nil, []*EventError{in.fail(CodeUnknownVersion, "/context/type", err.Error())}
	case err != nil:
		return nil, []*EventError{in.fail(CodeUnknownVersion, "/meta/version", err.Error())}
	}
	findings := s.Validate(in.doc)
	if len(findings) == 0 && in.Protocol == Eiffel {
		findings = s.ValidateLinks(in.doc, nil)
	}
	var out []*EventError
	for _, f := range findings {
		out = append(out, in.fail(CodeInvalid, f.Pointer, fmt.Sprintf("%s (%s)", f.Message, f.Rule)))
	}
	return s, out
}

// checkHead checks what every event of a protocol has, for types that have no schema here.
func checkHead(in *Event) []*EventError {
	var out []*EventError
	need := func(pointer string, kind jsondoc.Kind) jsondoc.Value {
		v := in.doc.Root().Pointed(pointer)
		switch {
		case !v.Exists():
			out = append(out, in.fail(CodeInvalid, pointer, "is missing (required)"))
		case v.Kind() != kind:
			out = append(out, in.fail(CodeInvalid, pointer, fmt.Sprintf("is %s, not %s (type)", article(v.Kind().String()), article(kind.String()))))
		}
		return v
	}
	if in.Protocol == CDEvents {
		for _, p := range []string{"/context/id", "/context/source", "/context/timestamp", "/subject/id"} {
			if v := need(p, jsondoc.String); v.Kind() == jsondoc.String && v.Str() == "" {
				out = append(out, in.fail(CodeInvalid, p, "is empty (minLength)"))
			}
		}
		need("/subject/content", jsondoc.Object)
		return out
	}
	if id := need("/meta/id", jsondoc.String); id.Kind() == jsondoc.String && !schema.IsEiffelID(id.Str()) {
		out = append(out, in.fail(CodeInvalid, "/meta/id", "is not a lower-case UUID of version 1 to 5 (pattern)"))
	}
	if time := need("/meta/time", jsondoc.Number); time.Kind() == jsondoc.Number && !time.IsIntegral() {
		out = append(out, in.fail(CodeInvalid, "/meta/time", "is no integer (type)"))
	}
	need("/data", jsondoc.Object)
	for l := range need("/links", jsondoc.Array).Children() {
		if l.Get("type").Kind() != jsondoc.String || l.Get("type").Str() == "" || !schema.IsEiffelID(l.Get("target").Str()) {
			out = append(out, in.fail(CodeInvalid, l.Pointer(), "is no link: it needs a type and, as target, a lower-case UUID of version 1 to 5"))
		}
	}
	return out
}

// run is the state that the translation of one event has in either direction.
type run struct {
	g      *Engine
	in     *Event
	facts  *Facts
	result Result

	// replaying: the ledger knows the choices made for this event, and they are repeated.
	replaying bool
	decided   Decision
	choices   Decision

	believed bool   // the event's envelope or mark is believed
	markAt   int    // index of its value in the event
	markID   string // the id of the event that it came from, if a mark says so
	oneWay   bool   // what the row writes is not read back
	failure  error  // what an expression of an overlay came to that a judgement asked for
	used     []bool // per value of the input: it has a place of its own in the output
}

func (r *run) start(g *Engine, in *Event, facts *Facts) {
	r.g, r.in, r.facts = g, in, facts
	r.used = make([]bool, in.doc.Len())
	if len(r.contexts(in.ID)) == 0 {
		return // whatever is decided about an event is learned together with its context id
	}
	if record := r.get(decisionQuery(in)); record != nil {
		d, err := DecodeDecision(record)
		if err != nil {
			r.diagnose("ledger", "the record of the event's own choices is damaged and was ignored")
			return
		}
		r.replaying, r.decided = true, d
	}
}

// undecided is the result of a translation that failed: while there are questions, the failure may be one of a choice that
// will fall otherwise.
func (r *run) undecided(err error) (Result, error) {
	if len(r.result.Need) > 0 {
		return Result{Need: r.result.Need}, nil
	}
	return Result{}, err
}

// get asks for a record. Nil means that the ledger has nothing, or that its answer is not here yet: then the query is
// noted, and the translation goes on to find out what else it will ask.
func (r *run) get(q Query) []byte {
	record, ok := r.facts.Get(q)
	if ok {
		return record
	}
	for _, asked := range r.result.Need {
		if asked == q {
			return nil
		}
	}
	r.result.Need = append(r.result.Need, q)
	return nil
}

// choose makes a choice that depends on the ledger, or repeats the one that was made when the event came before. The
// standard is how the choice falls with an empty ledger; such a choice is not stored. decide must not ask the ledger for
// anything that replaying needs.
func (r *run) choose(name, standard string, decide func() string) string {
	if r.replaying {
		for _, c := range r.decided {
			if c.Name == name {
				return c.Value
			}
		}
		return standard
	}
	value := decide()
	if value != standard {
		r.choices = append(r.choices, Choice{Name: name, Value: value})
	}
	return value
}

func (r *run) learn(q Query, record []byte) {
	r.result.Learned = append(r.result.Learned, Fact{Query: q, Record: record})
}

func (r *run) diagnose(code, format string, args ...any) {
	if len(r.result.Need) > 0 {
		return // nothing is decided yet
	}
	message := fmt.Sprintf(format, args...)
	for _, d := range r.result.Diagnostics {
		if d.Code == code && d.Message == message {
			return
		}
	}
	r.result.Diagnostics = append(r.result.Diagnostics, Diagnostic{code, message})
}

func (r *run) miss(q Query, want, format string, args ...any) {
	if r.replaying {
		return // the placeholder was chosen; a redelivery does not wait again
	}
	for _, m := range r.result.Missing {
		if m.Query == q && m.Want == want {
			return
		}
	}
	r.result.Missing = append(r.result.Missing, Missing{Query: q, Want: want, Name: fmt.Sprintf(format, args...)})
}

func (r *run) lose(v jsondoc.Value, reason string) {
	r.use(v)
	r.result.Losses = append(r.result.Losses, Loss{Pointer: v.Pointer(), Reason: reason, Carried: r.g.settings.Carry == CarryOriginal})
}

// use notes that a value has found its place.
func (r *run) use(v jsondoc.Value) {
	if v.Exists() {
		r.used[v.Index()] = true
	}
}

// move notes that a value has found its place, and where; it may be Missing for what is made.
func (r *run) move(from jsondoc.Value, to, rule string, fidelity Fidelity) {
	r.use(from)
	if r.g.settings.Explain {
		pointer := ""
		if from.Exists() {
			pointer = from.Pointer()
		}
		if r.oneWay {
			fidelity = OneWay
		}
		r.result.Moves = append(r.result.Moves, Move{From: pointer, To: to, Out: mainOutput, Rule: rule, Fidelity: fidelity})
	}
}

// mainOutput stands for the index of the event that the input itself becomes, until that is known.
const mainOutput = -1

// moveOf says that the last move leads to another event of the output than the main one.
func (r *run) moveOf(index int) {
	if n := len(r.result.Moves); n > 0 {
		r.result.Moves[n-1].Out = index
	}
}

// moveAny is move for a member that may be missing.
func (r *run) moveAny(from jsondoc.Value, to, rule string, fidelity Fidelity) {
	if from.Exists() {
		r.move(from, to, rule, fidelity)
	}
}

// deliver adds the main event of the translation, after what was synthesized for it: the moves lead there.
func (r *run) deliver(e Event) {
	r.result.Events = append(r.result.Events, e)
	for i := range r.result.Moves {
		if r.result.Moves[i].Out == mainOutput {
			r.result.Moves[i].Out = len(r.result.Events) - 1
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
		need := r.result.Need
		r.result = Result{Need: need}
		r.diagnose("no_mapping", "%s has no counterpart in the other protocol and was dropped, as on_no_mapping says", r.in.Type)
		return true, nil
	}
	return false, nil
}

// loseRest reports what found no place: the outermost values in which nothing did.
func (r *run) loseRest() {
	root := r.in.doc.Root()
	covered := make([]bool, len(r.used)) // something within the value found its place
	var up func(v jsondoc.Value) bool
	up = func(v jsondoc.Value) bool {
		if r.used[v.Index()] {
			return true
		}
		any := false
		for c := range v.Children() {
			if up(c) {
				any = true
			}
		}
		covered[v.Index()] = any
		return any
	}
	up(root)
	var down func(v jsondoc.Value)
	down = func(v jsondoc.Value) {
		switch {
		case r.used[v.Index()]:
		case v.Kind() >= jsondoc.Array && v.Empty(): // there is nothing to lose
		case covered[v.Index()]:
			for c := range v.Children() {
				down(c)
			}
		default:
			r.lose(v, "no_counterpart")
		}
	}
	down(root)
}

func (r *run) subjectRecord(k SubjectKey) *Subject {
	s, err := DecodeSubject(r.get(subjectQuery(k)))
	if err != nil {
		r.diagnose("ledger", "the record of %s %q is damaged and was ignored", k.Kind, k.ID)
		return &Subject{}
	}
	return s
}

// eiffelEvent gives what the ledger knows of an Eiffel event, nil if nothing.
func (r *run) eiffelEvent(id string) *EiffelEvent {
	record := r.get(eventQuery(id))
	if record == nil {
		return nil
	}
	e, err := DecodeEiffelEvent(record)
	if err != nil {
		r.diagnose("ledger", "the record of the Eiffel event %s is damaged and was ignored", id)
		return nil
	}
	return e
}

// ownEvent gives what the ledger knows of the Eiffel event that bears the event's own id. An event is learned together
// with its context id, but for those whose ids the bridge made: for all others there is nothing to ask for where that
// one is unknown, which it mostly is.
func (r *run) ownEvent() *EiffelEvent {
	if len(r.contexts(r.in.ID)) == 0 && !madeID(r.in.ID) {
		return nil
	}
	return r.eiffelEvent(r.in.ID)
}

func (r *run) contexts(id string) Contexts {
	c, err := DecodeContexts(r.get(contextQuery(id)))
	if err != nil {
		r.diagnose("ledger", "the record of the context id %q is damaged and was ignored", id)
		return nil
	}
	return c
}

func (r *run) set(q Query) Set {
	s, err := DecodeSet(r.get(q))
	if err != nil {
		r.diagnose("ledger", "a %s record is damaged and was ignored", q.Kind)
		return nil
	}
	return s
}

func (r *run) line(service, environment SubjectKey) *ledger.History {
	l, err := ledger.OpenHistory(r.get, service, environment)
	if err != nil {
		r.diagnose("ledger", "the line of service %q in environment %q is damaged and was ignored", service.ID, environment.ID)
	}
	return l
}

// resolve finds the subject that a reference means (section 2): the key itself; or, where nobody knows that key and
// one subject of that kind has the id under another source, that one, from then on.
func (r *run) resolve(name string, k SubjectKey) SubjectKey {
	source := r.choose("source/"+name, k.Source, func() string {
		if alias := r.set(aliasQuery(k)); len(alias) > 0 {
			return alias[0]
		}
		if known := r.get(subjectQuery(k)); known != nil {
			return k.Source
		}
		if names := r.set(nameQuery(k.Kind, k.ID)); len(names) == 1 && names[0] != k.Source {
			r.learn(aliasQuery(k), Set{names[0]}.Encode())
			return names[0]
		}
		return k.Source
	})
	if source != k.Source {
		r.diagnose("alias", "%s %q of source %q was taken to be that of source %q, the only one known", k.Kind, k.ID, k.Source, source)
		k.Source = source
	}
	return k
}
