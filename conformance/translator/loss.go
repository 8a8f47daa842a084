package translator

import (
	"cmp"
	"slices"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/translate"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// checkRoundTrip translates all output back, with a ledger that learns along and with an empty one.
func checkRoundTrip(t *trial) {
	tr := t.translators[variant{}]
	along := translate.NewMemoryLedger()
	for at := range t.base {
		s := &t.base[at]
		if !t.done(at, s) {
			continue
		}
		main := s.main()
		for i, e := range s.result.Events {
			for _, way := range []struct {
				name   string
				ledger ledger.Ledger
			}{{"with a ledger", along}, {"with an empty ledger", translate.NewMemoryLedger()}} {
				back := ask(tr, way.ledger, e.JSON)
				if code(back.err) == translate.CodeNoMapping {
					t.skip(at, "not translated back: %s", translate.CodeNoMapping)
					continue
				}
				t.check(at)
				t.checkBack(at, &back, i == main, e.Type, way.name)
			}
		}
	}
}

func (t *trial) checkBack(at int, back *step, main bool, eventType, way string) {
	list := back.result.Events
	switch {
	case back.err != nil:
		t.find(at, "", "error", "the %s that it became cannot be translated back %s: %v", eventType, way, back.err)
	case !main && len(list) > 0:
		t.find(at, "", "made_up", "the %s that was made up for it gives %d events %s", eventType, len(list), way)
	case main && len(list) != 1:
		t.find(at, "", "original", "the %s that it became gives %d events %s, not the original", eventType, len(list), way)
	case main && !jsondoc.Equal(parse(list[0].JSON), t.input(at)):
		t.find(at, "", "original", "the %s that it became does not give the original %s: %s", eventType, way, difference(string(list[0].JSON), string(t.events.Events[at])))
	}
}

// own gives the variant that writes an event's own version; strict tells that it is that very version, otherwise it is the
// newest, which may lack members. A version that no edition has cannot be written.
func own(e *translate.Event) (v variant, strict bool) {
	v = variant{carry: translate.CarryNone, explain: true}
	if e.Protocol == translate.CDEvents {
		root := parse(e.JSON)
		version := root.At("context", "specversion").Str() + root.At("context", "version").Str()
		if s, err := schema.ForCDEvent(e.Type, version); err == nil && !s.Lenient() {
			for _, spec := range schema.OutputSpecs() {
				if full, _ := schema.SpecVersion(spec); slices.Contains(s.SpecVersions(), full) {
					v.spec = spec
				}
			}
		}
		return v, v.spec != ""
	}
	for _, edition := range slices.Backward(schema.OutputEditions()) {
		if version, ok := schema.EditionVersion(edition, e.Type); ok && version == e.Version {
			v.edition = edition
			return v, true
		}
	}
	return v, false
}

// checkSemantics translates there, back and there again without carrying, and compares what the moves promise.
func checkSemantics(t *trial) {
	v := variant{carry: translate.CarryNone, explain: true}
	there, err := t.translator(v)
	if err != nil {
		for at := range t.heads {
			t.skip(at, "no translator that carries nothing and explains: %v", err)
		}
		return
	}
	// The three translations share nothing.
	first, second, third := translate.NewMemoryLedger(), translate.NewMemoryLedger(), translate.NewMemoryLedger()
	changed := map[string]bool{} // ids of events that do not come back as themselves: links to them need not come back either
	for at, text := range t.events.Events {
		s := ask(there, first, text)
		if !t.done(at, &s) {
			continue
		}
		version, strict := own(&s.in)
		returning, err := t.translator(version)
		if err != nil {
			t.skip(at, "no translator that writes %s: %v", version.spec+version.edition, err)
			continue
		}
		main := s.main()
		var back, again step
		for i := range s.result.Events {
			b := ask(returning, second, s.result.Events[i].JSON)
			for j := range b.result.Events {
				a := ask(there, third, b.result.Events[j].JSON)
				if i == main && j == b.main() {
					again = a
				}
			}
			if i == main {
				back = b
			}
		}
		if !t.returns(at, &s.in, &back) {
			changed[s.in.ID] = true
		}
		t.checkMoves(at, &s, &back, &again, strict, changed)
	}
}

// returns tells whether an event comes back as itself: of its type and with its id. What links to it comes back otherwise if not.
func (t *trial) returns(at int, in *translate.Event, back *step) bool {
	main, ok := back.result.Main()
	return ok && typeName(main.Type) == t.heads[at].name && main.ID == in.ID
}

func (t *trial) checkMoves(at int, s, back, again *step, strict bool, changed map[string]bool) {
	main := s.main()
	links := targets(t.input(at))
	exempt := func(from string) bool {
		return slices.ContainsFunc(links, func(l linkTo) bool {
			return changed[l.id] && (from == l.pointer || strings.HasPrefix(from, l.pointer+"/"))
		})
	}
	var exact, translated []string
	for _, m := range s.result.Moves {
		switch {
		case m.From == "" || m.To != "" && m.Out != main: // made, or in what was made up
		case exempt(m.From):
		case m.Fidelity == translate.Exact:
			exact = append(exact, m.From)
		case m.Fidelity == translate.Translated && m.To != "":
			translated = append(translated, m.To)
		}
	}
	switch {
	case exact == nil && translated == nil:
		t.skip(at, "one way")
		return
	case code(back.err) == translate.CodeNotInSpec, code(back.err) == translate.CodeNotInEdition, code(back.err) == translate.CodeNoMapping:
		t.skip(at, "not translated back: %s", code(back.err))
		return
	}
	t.check(at)
	came, ok := back.result.Main()
	if back.err != nil || !ok {
		t.find(at, "", "back", "the %s that it became, without the original, gives nothing back, though moves say otherwise: %v",
			s.result.Events[main].Type, back.err)
		return
	}
	original, returned := t.input(at), parse(came.JSON)
	written, err := schema.ForEiffel(came.Type, came.Version)
	for _, g := range grouped(exact) {
		if !strict && err == nil && !written.Has(g.at) {
			continue // the version that was written has no such member
		}
		if p, lost := g.missing(original, returned); lost {
			t.find(at, p, "exact", "%s was moved exactly, and %s in the %s that comes back", shown(original.Pointed(p)), g.found(returned, p), came.Type)
		}
	}
	there, ok := again.result.Main()
	if again.err != nil || !ok {
		if translated != nil {
			t.find(at, "", "again", "the %s that came back gives nothing when it is translated again: %v", came.Type, again.err)
		}
		return
	}
	before, after := parse(s.result.Events[main].JSON), parse(there.JSON)
	for _, g := range grouped(translated) {
		if p, lost := g.missing(before, after); lost {
			t.find(at, p, "translated", "%s was translated to, and %s after going there, back and there again", shown(before.Pointed(p)), g.found(after, p))
		}
	}
}

// checkAccounting looks for every value of the input in the moves and losses, with the original carried and without it.
func checkAccounting(t *trial) {
	for _, carry := range []translate.Carry{translate.CarryOriginal, translate.CarryNone} {
		t.with = variant{carry: carry, explain: true}
		tr, err := t.translator(t.with)
		if err != nil {
			for at := range t.heads {
				t.skip(at, "no translator that explains (%s): %v", cmp.Or(t.with.String(), "carry original"), err)
			}
			continue
		}
		for at, s := range t.pass(tr) {
			if t.done(at, &s) {
				t.check(at)
				t.checkAccount(at, &s)
			}
		}
	}
}

func (t *trial) checkAccount(at int, s *step) {
	doc, err := jsondoc.Parse(t.events.Events[at])
	if err != nil {
		return
	}
	root := doc.Root()
	outputs := make([]jsondoc.Value, len(s.result.Events))
	for i := range outputs {
		outputs[i] = parse(s.result.Events[i].JSON)
	}
	accounted := make([]bool, doc.Len())
	note := func(pointer, what string) {
		if v := root.Pointed(pointer); v.Exists() {
			accounted[v.Index()] = true
		} else {
			t.find(at, pointer, "nowhere", "a %s speaks of %s, which the input does not have", what, pointer)
		}
	}
	for _, m := range s.result.Moves {
		if m.From != "" {
			note(m.From, "move")
		}
		switch {
		case m.To == "":
		case m.Out < 0 || m.Out >= len(outputs):
			t.find(at, m.From, "out", "a move leads to event %d of %d", m.Out, len(outputs))
		case !outputs[m.Out].Pointed(m.To).Exists():
			t.find(at, m.From, "to", "a move (%s) leads to %s, which event %d of the output, %s, does not have", m.Rule, m.To, m.Out, s.result.Events[m.Out].Type)
		}
	}
	carried := carriedOriginal(outputs[s.main()])
	for _, l := range s.result.Losses {
		note(l.Pointer, "loss")
		if l.Carried && !carries(root, carried, l.Pointer) {
			t.find(at, l.Pointer, "carried", "a loss (%s) is said to be carried, and is not in the carried original", l.Reason)
		}
	}
	var walk func(v jsondoc.Value)
	walk = func(v jsondoc.Value) {
		if accounted[v.Index()] {
			return
		}
		for c := range v.Children() {
			walk(c)
		}
		if v.Kind() < jsondoc.Array {
			t.find(at, v.Pointer(), "unaccounted", "%s is in no move and no loss", shown(v))
		}
	}
	walk(root)
}

// carriedOriginal is the event that an event carries, missing if there is none.
func carriedOriginal(root jsondoc.Value) jsondoc.Value {
	for entry := range root.At("data", "customData").Children() {
		if original := entry.At("value", "event"); entry.Get("key").Str() == "cdevents" && original.Exists() {
			return original
		}
	}
	return root.At("customData", "eiffel", "event")
}

// carries tells whether a value is in the carried original as well; the place of an element of a set may differ.
func carries(event, original jsondoc.Value, pointer string) bool {
	if !original.Exists() {
		return false
	}
	for _, g := range grouped([]string{pointer}) {
		if _, lost := g.missing(event, original); lost {
			return false
		}
	}
	return true
}
