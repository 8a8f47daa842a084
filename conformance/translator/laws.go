package translator

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/translate"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// checkOutput: a valid event is translated, or is of a type that the translator does not map; what it becomes is valid. It is
// translated with the default settings, without carrying, and into each other version of the output's protocol, which need not
// have it.
func checkOutput(t *trial) {
	d := translate.DefaultSettings()
	t.checkOutputs(t.base, variant{spec: d.Spec, edition: d.Edition})
	others := []variant{{carry: translate.CarryNone}}
	if t.heads[0].protocol == translate.CDEvents {
		for _, edition := range schema.OutputEditions() {
			others = append(others, variant{edition: edition})
		}
	} else {
		for _, spec := range schema.OutputSpecs() {
			others = append(others, variant{spec: spec})
		}
	}
	for _, v := range others {
		if v.edition == d.Edition || v.spec == d.Spec {
			continue
		}
		if tr, err := t.translator(v); err == nil {
			t.with = v
			v.spec, v.edition = cmp.Or(v.spec, d.Spec), cmp.Or(v.edition, d.Edition)
			t.checkOutputs(t.pass(tr), v)
		}
	}
}

// checkOutputs checks the outputs of a case; v tells which versions were asked for.
func (t *trial) checkOutputs(steps []step, v variant) {
	for at := range steps {
		s := &steps[at]
		var panicked *panicError
		switch {
		case code(s.err) == translate.CodeNoMapping:
			t.skip(at, "not translated: %s", translate.CodeNoMapping)
			continue
		case v.edition != translate.DefaultSettings().Edition && code(s.err) == translate.CodeNotInEdition,
			v.spec != translate.DefaultSettings().Spec && code(s.err) == translate.CodeNotInSpec:
			continue
		case code(s.err) != "":
			t.find(at, "", code(s.err), "a valid event is refused: %v", s.err)
			continue
		case asPanic(s.err, &panicked):
			t.find(at, "", "panic", "%v", panicked)
			continue
		case s.err != nil:
			t.find(at, "", "error", "the error is no *translate.EventError: %v", s.err)
			continue
		}
		t.check(at)
		if len(s.result.Events) == 0 && s.result.Returning == "" && len(s.result.Diagnostics) == 0 {
			t.find(at, "", "silent", "there is no output, and no diagnostic tells why")
		}
		for i := range s.result.Events {
			t.checkEvent(at, s, &s.result.Events[i], v)
		}
	}
}

// checkEvent holds one event of the output against its schema as any reader would: from its bytes.
func (t *trial) checkEvent(at int, s *step, e *translate.Event, v variant) {
	read, err := translate.Decode(e.JSON)
	if err != nil {
		t.find(at, "", "json", "the output cannot be read: %v: %s", err, cut(string(e.JSON), 0))
		return
	}
	if !bytes.Equal(read.JSON, e.JSON) {
		t.find(at, "", "compact", "the output is not compact: %s", cut(string(e.JSON), 0))
	}
	for _, f := range read.Validate() {
		t.find(at, f.Pointer, "schema", "the output is not valid: %v", f)
	}
	if got, want := headOf(e), headOf(&read); got != want {
		t.find(at, "", "head", "the head %+v is not that of the event's bytes, %+v", got, want)
	}
	if s.result.Returning != "" {
		return // the original, as its own author wrote it
	}
	if read.Protocol != s.in.Protocol.Other() {
		t.find(at, "", "protocol", "the output is an event of %s, as the input is", read.Protocol)
		return
	}
	// Newer versions are read leniently, so that a version that nobody published would look valid.
	if read.Protocol == translate.Eiffel {
		if want, ok := schema.EditionVersion(v.edition, read.Type); !ok || want != read.Version {
			t.find(at, "/meta/version", "version", "the output is an %s %s; edition %s has %s", read.Type, read.Version, v.edition, orNone(want))
		}
		return
	}
	want, _ := schema.SpecVersion(v.spec)
	context := parse(e.JSON).Get("context")
	if got := context.Get("specversion").Str() + context.Get("version").Str(); got != want {
		t.find(at, "/context", "version", "the output is of CDEvents %s, not %s", orNone(got), want)
	}
	if sch, err := schema.ForCDEvent(read.Type, want); err != nil || sch.Lenient() || !slices.Contains(sch.SpecVersions(), want) {
		t.find(at, "/context/type", "version", "CDEvents %s has no %s", want, read.Type)
	}
}

// heading is what an Event says of its bytes.
type heading struct {
	protocol                         translate.Protocol
	id, source, typ, version, schema string
	subject, tag, domain             string
	time                             int64
}

func headOf(e *translate.Event) heading {
	return heading{e.Protocol, e.ID, e.Source, e.Type, e.Version, e.Schema, e.Subject, e.Tag, e.DomainID, e.Time}
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func asPanic(err error, p **panicError) bool {
	e, ok := err.(*panicError) //nolint:errorlint // call made it, and nobody wraps it
	*p = e
	return ok
}

// checkLinks holds the links of the output against the link rules, with the types of all that was written so far known.
func checkLinks(t *trial) {
	types := map[string]string{} // by id
	for at := range t.base {
		s := &t.base[at]
		if !t.done(at, s) {
			continue
		}
		t.check(at)
		for i := range s.result.Events {
			e := &s.result.Events[i]
			types[e.ID] = e.Type
		}
		// One of Eiffel's own examples links to itself; whose input does, cannot do better.
		itself := slices.ContainsFunc(targets(t.input(at)), func(l linkTo) bool { return l.id == s.in.ID })
		for i := range s.result.Events {
			t.checkLinksOf(at, &s.result.Events[i], types, itself)
		}
	}
}

func (t *trial) checkLinksOf(at int, e *translate.Event, types map[string]string, itself bool) {
	for _, l := range targets(parse(e.JSON)) {
		if l.id == e.ID && !itself {
			t.find(at, l.pointer, "itself", "%s links to itself", e.Type)
		}
	}
	if e.Protocol == translate.CDEvents {
		return
	}
	seen := map[string]bool{}
	for l := range parse(e.JSON).Get("links").Children() {
		link := l.Get("type").Str() + " " + l.Get("target").Str()
		if seen[link] {
			t.find(at, l.Pointer(), "duplicate", "%s has the link %s twice", e.Type, link)
		}
		seen[link] = true
	}
	sch, err := schema.ForEiffel(e.Type, e.Version)
	doc, parseErr := jsondoc.Parse(e.JSON)
	if err != nil || parseErr != nil {
		return // the law of the output says so
	}
	typeOf := func(id string) (string, bool) {
		typ, known := types[id]
		return typ, known
	}
	for _, f := range sch.ValidateLinks(doc, typeOf) {
		t.find(at, f.Pointer, f.Rule, "%s", f.Message)
	}
}

// checkOrder: consumers may read a stream of output once, from its beginning, and take what bears a known id for a duplicate.
func checkOrder(t *trial) {
	first := map[string]int{} // by id, the event of the case that gave it
	for at := range t.base {
		s := &t.base[at]
		if !t.done(at, s) {
			continue
		}
		t.check(at)
		events := s.result.Events
		place := map[string]int{}
		for i := range events {
			if before, twice := place[events[i].ID]; twice {
				t.find(at, "", "twice", "events %d and %d of the output have the same id %s", before, i, events[i].ID)
			}
			place[events[i].ID] = i
			if before, taken := first[events[i].ID]; !taken {
				first[events[i].ID] = at
			} else if before != at {
				t.find(at, "", "reused", "event %d of the output, %s, has the id %s, as one that event %d gave", i, events[i].Type, events[i].ID, before)
			}
		}
		needed := make([]bool, len(events))
		for i := range events {
			for _, l := range targets(parse(events[i].JSON)) {
				to, here := place[l.id]
				switch {
				case here && to > i:
					t.find(at, l.pointer, "forward", "event %d of the output, %s, links to event %d, %s, which follows", i, events[i].Type, to, events[to].Type)
				case here && to < i:
					needed[to] = true
				}
			}
		}
		for i := range events {
			if events[i].Synthesized && !needed[i] {
				t.find(at, "", "unneeded", "event %d of the output, %s, was made up, and nothing that follows links to it", i, events[i].Type)
			}
		}
	}
}

type linkTo struct{ id, pointer string }

// targets are the ids that an event links to.
func targets(root jsondoc.Value) []linkTo {
	var out []linkTo
	for l := range root.Get("links").Children() {
		out = append(out, linkTo{l.Get("target").Str(), l.Pointer()})
	}
	for l := range root.At("context", "links").Children() {
		for _, end := range []string{"target", "from"} {
			out = append(out, linkTo{l.At(end, "contextId").Str(), l.Pointer()})
		}
	}
	return out
}

// checkDeterminism translates each event again with the facts that it was translated with.
func checkDeterminism(t *trial) {
	tr := t.translators[variant{}]
	twin, err := t.translator(variant{twin: true})
	for at := range t.base {
		if err != nil {
			t.skip(at, "no second translator: %v", err)
			continue
		}
		s := &t.base[at]
		t.check(at)
		want := outcome(s.result, s.err)
		reversed := slices.Clone(s.facts)
		slices.Reverse(reversed)
		for _, c := range []struct {
			rule  string
			tr    translate.Translator
			facts []ledger.Fact
			want  string
		}{
			{"again", tr, s.facts, want},
			{"first_round", tr, nil, s.first},
			{"instance", twin, s.facts, want},
			{"instance", twin, nil, s.first},
			{"order_of_facts", tr, reversed, want},
		} {
			for range 2 { // what is left to chance may fall the same once
				in, err := translate.Decode(t.events.Events[at])
				if err != nil {
					continue
				}
				if got := outcome(call(c.tr, in, answers(c.facts))); got != c.want {
					t.find(at, "", c.rule, "the same event and facts give something else: %s", difference(got, c.want))
					break
				}
			}
		}
	}
}

// answers gives facts that may be harmed.
func answers(facts []ledger.Fact) *ledger.Facts {
	out := &ledger.Facts{}
	for _, f := range facts {
		out.Add(f.Query, bytes.Clone(f.Record))
	}
	return out
}

// checkInput compares the arguments before and after.
func checkInput(t *trial) {
	tr := t.translators[variant{}]
	for at := range t.base {
		s := &t.base[at]
		in, err := translate.Decode(t.events.Events[at])
		if err != nil {
			continue
		}
		t.check(at)
		before := bytes.Clone(in.JSON)
		facts, records := &ledger.Facts{}, make([][]byte, len(s.facts))
		for i, f := range s.facts {
			records[i] = bytes.Clone(f.Record)
			facts.Add(f.Query, records[i])
		}
		call(tr, in, facts)
		if !bytes.Equal(before, in.JSON) {
			t.find(at, "", "event", "the event was changed: %s", difference(string(in.JSON), string(before)))
		}
		for i, f := range s.facts {
			if got, ok := facts.Get(f.Query); !ok || !bytes.Equal(got, f.Record) || !bytes.Equal(records[i], f.Record) {
				t.find(at, "", "facts", "the fact %s %s was changed", f.Query.Kind, f.Query.Key)
			}
		}
	}
}

// checkIdempotence translates each event a second time at once, and a third time after all others.
func checkIdempotence(t *trial) {
	tr := t.translators[variant{}]
	ledger := translate.NewMemoryLedger()
	var steps []step
	for _, text := range t.events.Events {
		first := ask(tr, ledger, text)
		steps = append(steps, first)
		if first.err == nil {
			t.checkAgain(len(steps)-1, &first, ask(tr, ledger, text), "at once")
		}
	}
	for at := range steps {
		if !t.done(at, &steps[at]) {
			continue
		}
		t.check(at)
		t.checkAgain(at, &steps[at], ask(tr, ledger, t.events.Events[at]), "after "+strconv.Itoa(len(steps))+" events")
	}
}

func (t *trial) checkAgain(at int, first *step, again step, when string) {
	if again.err != nil {
		t.find(at, "", "error", "the event came again %s and is refused: %v", when, again.err)
		return
	}
	known := map[string]bool{}
	for _, e := range first.result.Events {
		known[e.ID] = true
	}
	for _, e := range again.result.Events {
		if !known[e.ID] {
			t.find(at, "", "new_id", "the event came again %s and gives another %s, %s", when, e.Type, e.ID)
			return
		}
	}
	got, want := events(again.result.Events), events(first.result.Events)
	if got != want {
		t.find(at, "", "bytes", "the event came again %s and gives something else: %s", when, difference(got, want))
	}
}

// events are the texts of events, a line each.
func events(list []translate.Event) string {
	var b bytes.Buffer
	for _, e := range list {
		b.Write(e.JSON)
		b.WriteByte('\n')
	}
	return b.String()
}
