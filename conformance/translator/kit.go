package translator

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/translate"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// variant are the settings that the kit asks for.
type variant struct {
	carry         translate.Carry
	explain       bool
	spec, edition string
	twin          bool // another instance with the same settings
}

// String says how the settings differ from the defaults, "" if not at all.
func (v variant) String() string {
	var out []string
	if v.carry == translate.CarryNone {
		out = append(out, "carry none")
	}
	if v.spec != "" {
		out = append(out, "CDEvents "+v.spec)
	}
	if v.edition != "" {
		out = append(out, "edition "+v.edition)
	}
	return strings.Join(out, ", ")
}

// kit is one run.
type kit struct {
	make    Constructor
	options Options
	laws    []Law

	translators map[variant]translate.Translator
	refusals    map[variant]error

	types    map[string]*typeTally
	skipped  map[Skipped]int // by law and reason
	findings []Finding
	events   int
}

// typeTally is a TypeReport that is being made.
type typeTally struct {
	TypeReport
	protocol translate.Protocol
	versions map[string]bool
	kept     map[string]int // findings by law
}

func newKit(newTranslator Constructor, o Options, laws []Law) *kit {
	return &kit{
		make: newTranslator, options: o, laws: laws, translators: map[variant]translate.Translator{}, refusals: map[variant]error{},
		types: map[string]*typeTally{}, skipped: map[Skipped]int{},
	}
}

// translator makes the translator of a variant, once.
func (k *kit) translator(v variant) (translate.Translator, error) {
	if t, ok := k.translators[v]; ok {
		return t, k.refusals[v]
	}
	t, err := k.make(translate.Settings{Carry: v.carry, Explain: v.explain, Spec: v.spec, Edition: v.edition})
	k.translators[v], k.refusals[v] = t, err
	return t, err
}

// run tests all laws on one case.
func (k *kit) run(c *Case) error {
	heads, err := readCase(c)
	if err != nil {
		return err
	}
	for _, h := range heads {
		tally := k.types[h.name]
		if tally == nil {
			tally = &typeTally{protocol: h.protocol, versions: map[string]bool{}, kept: map[string]int{}}
			tally.Type, tally.Protocol, tally.Laws = h.name, h.protocol.String(), map[string]Tally{}
			k.types[h.name] = tally
		}
		tally.versions[h.version] = true
		tally.Events++
		k.events++
	}
	var base []step
	for i := range k.laws {
		t := &trial{kit: k, law: &k.laws[i], events: c, heads: heads, marks: make([]mark, len(heads))}
		if base == nil {
			base = t.pass(k.translators[variant{}])
		}
		t.base = base
		t.law.check(t)
		for i, m := range t.marks {
			tally := k.types[heads[i].name]
			n := tally.Laws[t.law.Name]
			switch m {
			case checked:
				n.Checked++
			case failed:
				n.Checked++
				n.Failed++
			case skipped:
				n.Skipped++
			}
			tally.Laws[t.law.Name] = n
		}
	}
	return nil
}

func (k *kit) report(cases int) *Report {
	r := &Report{Cases: cases, Events: k.events}
	names := slices.SortedFunc(maps.Keys(k.types), func(a, b string) int {
		return cmp.Or(cmp.Compare(k.types[a].protocol, k.types[b].protocol), cmp.Compare(a, b))
	})
	for _, name := range names {
		t := k.types[name]
		t.Versions = len(t.versions)
		r.Types = append(r.Types, t.TypeReport)
	}
	failing := map[string]bool{}
	for _, f := range k.findings {
		whole, one := f.Law, f.Law+" "+f.Type
		failing[whole], failing[one] = true, true
		if k.options.KnownFailures[whole] != "" || k.options.KnownFailures[one] != "" {
			r.Known = append(r.Known, f)
		} else {
			r.Findings = append(r.Findings, f)
		}
	}
	for name, reason := range k.options.KnownFailures {
		if !failing[name] && k.tested(name) {
			if r.Stale == nil {
				r.Stale = map[string]string{}
			}
			r.Stale[name] = reason
		}
	}
	for s, n := range k.skipped {
		s.Events = n
		r.Skipped = append(r.Skipped, s)
	}
	slices.SortFunc(r.Skipped, func(a, b Skipped) int { return cmp.Or(cmp.Compare(a.Law, b.Law), cmp.Compare(a.Reason, b.Reason)) })
	return r
}

// tested tells whether a known failure had a chance to fail.
func (k *kit) tested(name string) bool {
	law, typ, one := strings.Cut(name, " ")
	for _, t := range k.types {
		if t.Laws[law].Checked > 0 && (!one || t.Type == typ) {
			return true
		}
	}
	return false
}

// mark is what became of an event under a law.
type mark byte

const (
	unmarked mark = iota
	skipped
	checked
	failed
)

// trial is the test of one law on one case.
type trial struct {
	*kit
	law    *Law
	events *Case
	heads  []head
	marks  []mark
	with   variant // the settings that findings speak of
	base   []step  // the translation with the default settings and one ledger
}

// check notes that the law is applied to an event.
func (t *trial) check(at int) {
	if t.marks[at] < checked {
		t.marks[at] = checked
	}
}

// skip notes that the law is not applied to an event.
func (t *trial) skip(at int, format string, args ...any) {
	if t.marks[at] == unmarked {
		t.marks[at] = skipped
		t.skipped[Skipped{Law: t.law.Name, Reason: fmt.Sprintf(format, args...)}]++
	}
}

// find notes that the law does not hold for an event.
func (t *trial) find(at int, pointer, rule, format string, args ...any) {
	t.marks[at] = failed
	h := t.heads[at]
	kept := t.types[h.name].kept
	if kept[t.law.Name]++; kept[t.law.Name] > t.options.MaxFindings {
		return
	}
	message := fmt.Sprintf(format, args...)
	if with := t.with.String(); with != "" {
		message = "with " + with + ": " + message
	}
	t.findings = append(t.findings, Finding{
		Law: t.law.Name, Type: h.name, Version: h.version, Case: t.events.Name, Event: at,
		Pointer: pointer, Rule: rule, Message: message, Input: t.events.Events[at],
	})
}

// input is an event as it was handed in.
func (t *trial) input(at int) jsondoc.Value { return parse(t.events.Events[at]) }

// step is the translation of one event of a case.
type step struct {
	in     translate.Event
	facts  []ledger.Fact // what was asked and answered, in order
	first  string        // the outcome when nothing was answered yet
	result translate.Result
	err    error
}

// panicError is a panic of the translator.
type panicError struct{ value any }

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// main is the index of [translate.Result.Main], by which moves name it; -1 if there is none.
func (s *step) main() int {
	main, ok := s.result.Main()
	if !ok {
		return -1
	}
	return slices.IndexFunc(s.result.Events, func(e translate.Event) bool { return !e.Synthesized && e.ID == main.ID })
}

// call translates and turns a panic into an error.
func call(tr translate.Translator, in translate.Event, facts *ledger.Facts) (result translate.Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			result, err = translate.Result{}, &panicError{p}
		}
	}()
	return tr.Translate(in, facts)
}

// maxRounds is how often a translator may ask: as often as package translate lets it.
const maxRounds = 16

// ask translates an event with what the ledger knows and teaches the ledger what was learned. The event is read anew from
// its text, so that what a translator does to it meets no one else.
func ask(tr translate.Translator, store ledger.Ledger, text []byte) step {
	var s step
	if s.in, s.err = translate.Decode(text); s.err != nil {
		return s
	}
	ctx := context.Background() // the ledger is in memory
	var facts ledger.Facts
	for round := range maxRounds {
		s.result, s.err = call(tr, s.in, &facts)
		if round == 0 {
			s.first = outcome(s.result, s.err)
		}
		if s.err != nil {
			return s
		}
		if len(s.result.Need) == 0 {
			s.err = store.Apply(ctx, s.result.Learned)
			return s
		}
		records, err := store.Read(ctx, s.result.Need)
		if err != nil {
			s.err = err
			return s
		}
		for i, q := range s.result.Need {
			facts.Add(q, bytes.Clone(records[i].Bytes)) // what a translator does to it must not reach the ledger
			s.facts = append(s.facts, ledger.Fact{Query: q, Record: records[i].Bytes})
		}
	}
	s.err = fmt.Errorf("it still asks after %d rounds", maxRounds)
	return s
}

// pass translates the events of the case in order, with a ledger of its own.
func (t *trial) pass(tr translate.Translator) []step {
	ledger := translate.NewMemoryLedger()
	var out []step
	for _, text := range t.events.Events {
		out = append(out, ask(tr, ledger, text))
	}
	return out
}

// code is the code of an EventError, "" for any other error.
func code(err error) string {
	var e *translate.EventError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// done tells whether a step has output that a law can be applied to; if not, the event is skipped. That a translator fails is
// for the law of the output to tell.
func (t *trial) done(at int, s *step) bool {
	switch {
	case code(s.err) != "":
		t.skip(at, "not translated: %s", code(s.err))
	case s.err != nil:
		t.skip(at, "not translated")
	case s.result.Returning != "":
		t.skip(at, "the event came round")
	case s.main() < 0:
		t.skip(at, "no output")
	default:
		return true
	}
	return false
}

// outcome is all that a translation gives, as text.
func outcome(r translate.Result, err error) string {
	var b strings.Builder
	for _, e := range r.Events {
		fmt.Fprintf(&b, "event %s (synthesized: %t)\n", e.JSON, e.Synthesized)
	}
	for _, q := range r.Need {
		fmt.Fprintf(&b, "need %+v\n", q)
	}
	for _, m := range r.Missing {
		fmt.Fprintf(&b, "missing %+v\n", m)
	}
	for _, f := range r.Learned {
		fmt.Fprintf(&b, "learned %s %s %x\n", f.Query.Kind, f.Query.Key, f.Record)
	}
	for _, l := range r.Losses {
		fmt.Fprintf(&b, "loss %+v\n", l)
	}
	for _, d := range r.Diagnostics {
		fmt.Fprintf(&b, "diagnostic %+v\n", d)
	}
	for _, m := range r.Moves {
		fmt.Fprintf(&b, "move %+v\n", m)
	}
	fmt.Fprintf(&b, "returning %s\n", r.Returning)
	if err != nil {
		fmt.Fprintf(&b, "error %v\n", err)
	}
	return b.String()
}
