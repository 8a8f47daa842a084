package oracle

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/testkit/oracle/jsontree"
)

// Difference is one thing that the two trees say differently.
type Difference struct {
	Block            int
	Stream, Settings string
	At               string // the step of the stream, and which of its outputs went where
	Kind             string // what differs, in general; what rules name and the report groups by
	Where            string // what differs, in particular
	Old, New         string
	Input            string // the event that went in, where the drivers say so
	OtherInput       bool   // the event that went in was an output that differs already
}

// differences lists what two records of the same event say differently.
func differences(old, new *record) []Difference {
	d := &differ{}
	switch {
	case old == nil:
		d.add("record +", "", "", "there")
		return d.out
	case new == nil:
		d.add("record -", "", "there", "")
		return d.out
	}
	d.otherInput = old.Input != new.Input
	if old.Nothing != new.Nothing {
		d.add("step", "there is an output to take", strconv.FormatBool(!old.Nothing), strconv.FormatBool(!new.Nothing))
		return d.out
	}
	if old.State != "" {
		d.states(old, new)
		return d.out
	}
	if d.errors(old.Error, new.Error) {
		return d.out // everything else follows from it
	}
	d.text("returning", old.Returning, new.Returning)
	d.text("row", old.Row, new.Row)
	d.text("about", old.About, new.About)
	d.text("need", old.Need, new.Need)
	d.outputs(old.Outputs, new.Outputs)
	list(d, "loss", old.Losses, new.Losses, func(l loss) (string, string) { return l.Reason, l.Pointer })
	list(d, "diagnostic", old.Diagnostics, new.Diagnostics, func(x diagnostic) (string, string) { return x.Code, x.Code })
	list(d, "missing", old.Missing, new.Missing, func(m missing) (string, string) { return m.Want, m.Want + m.Kind + m.Key })
	list(d, "move", old.Moves, new.Moves, func(m move) (string, string) { return m.Rule, m.From + " " + m.To })
	return d.out
}

type differ struct {
	out        []Difference
	otherInput bool
}

func (d *differ) add(kind, where, old, new string) {
	d.out = append(d.out, Difference{Kind: kind, Where: where, Old: old, New: new, OtherInput: d.otherInput})
}

func (d *differ) text(kind, old, new string) {
	if old != new {
		d.add(kind, "", old, new)
	}
}

// errors compares errors and tells whether only one side has one, or the codes differ.
func (d *differ) errors(old, new *failure) bool {
	code := func(f *failure) string {
		switch {
		case f == nil:
			return "none"
		case f.Code == "":
			return "other"
		}
		return f.Code
	}
	if code(old) != code(new) {
		say := func(f *failure) string {
			if f == nil {
				return "no error"
			}
			return strings.TrimSpace(f.Pointer + " " + f.Message + f.Other)
		}
		d.add("error "+code(old)+" → "+code(new), "", say(old), say(new))
		return true
	}
	if old != nil {
		for _, m := range []struct{ name, old, new string }{
			{"id", old.ID, new.ID}, {"type", old.Type, new.Type}, {"pointer", old.Pointer, new.Pointer}, {"message", old.Message, new.Message}, {"other", old.Other, new.Other},
		} {
			d.text("error "+code(old)+" "+m.name, m.old, m.new)
		}
	}
	return false
}

// outputs compares the events that came out: one by one where there are equally many, else by type and id.
func (d *differ) outputs(old, new []output) {
	if len(old) == len(new) {
		for i := range old {
			d.output(i, &old[i], &new[i])
		}
		return
	}
	rest := append([]output(nil), new...)
next:
	for i := range old {
		for j := range rest {
			if rest[j].Type == old[i].Type && rest[j].ID == old[i].ID {
				d.output(i, &old[i], &rest[j])
				rest = append(rest[:j], rest[j+1:]...)
				continue next
			}
		}
		d.add("output - "+shortType(old[i].Type), fmt.Sprintf("output %d", i), old[i].JSON, "")
	}
	for j := range rest {
		d.add("output + "+shortType(rest[j].Type), "", "", rest[j].JSON)
	}
}

func (d *differ) output(i int, old, new *output) {
	at := fmt.Sprintf("output %d", i)
	kind := "output " + shortType(old.Type)
	if old.Type != new.Type {
		d.add("output "+shortType(old.Type)+" → "+shortType(new.Type), at, old.JSON, new.JSON)
		return
	}
	if old.JSON != new.JSON {
		switch found := jsontree.Compare(old.tree, new.tree); {
		case old.tree == nil || new.tree == nil || len(found) == 0:
			d.add(kind+" bytes", at, old.JSON, new.JSON)
		default:
			for _, f := range found {
				d.add(kind+" "+general(f.Pointer), at+" "+f.Pointer, f.Old, f.New)
			}
		}
	}
	for _, m := range []struct{ name, old, new string }{
		{"protocol", old.Protocol, new.Protocol}, {"id", old.ID, new.ID}, {"source", old.Source, new.Source}, {"version", old.Version, new.Version},
		{"subject", old.Subject, new.Subject}, {"time", old.Time, new.Time}, {"schema", old.Schema, new.Schema}, {"tag", old.Tag, new.Tag},
		{"domain", old.Domain, new.Domain}, {"synthesized", old.Synthesized, new.Synthesized},
	} {
		if m.old != m.new {
			d.add(kind+" head "+m.name, at, m.old, m.new)
		}
	}
}

// list compares lists whose order does not matter much: what is on one side only, what changed about the same thing, and
// then the order. of gives what an item is called in general, and the thing that it is about.
func list[T comparable](d *differ, kind string, old, new []T, of func(T) (name, about string)) {
	added := append([]T(nil), new...)
	var removed []T
	for _, o := range old {
		if i := index(added, func(n T) bool { return n == o }); i >= 0 {
			added = append(added[:i], added[i+1:]...)
		} else {
			removed = append(removed, o)
		}
	}
	if len(removed) == 0 && len(added) == 0 {
		for i := range old {
			if old[i] != new[i] {
				d.add(kind+" order", "", fmt.Sprintf("%+v", old), fmt.Sprintf("%+v", new))
				return
			}
		}
		return
	}
	for _, o := range removed {
		name, about := of(o)
		i := index(added, func(n T) bool { _, other := of(n); return other == about })
		if i < 0 {
			d.add(kind+" - "+name, about, fmt.Sprintf("%+v", o), "")
			continue
		}
		n := added[i]
		added = append(added[:i], added[i+1:]...)
		what := kind + " " + name
		if other, _ := of(n); other != name {
			what += " → " + other
		}
		d.add(what, about, fmt.Sprintf("%+v", o), fmt.Sprintf("%+v", n))
	}
	for _, n := range added {
		name, about := of(n)
		d.add(kind+" + "+name, about, "", fmt.Sprintf("%+v", n))
	}
}

func index[T any](list []T, f func(T) bool) int {
	for i := range list {
		if f(list[i]) {
			return i
		}
	}
	return -1
}

// states compares what was learned, fact by fact.
func (d *differ) states(old, new *record) {
	facts := func(r *record) map[string]*jsontree.Node {
		out := map[string]*jsontree.Node{}
		for _, item := range r.facts.Items {
			out[item.Name] = item
		}
		return out
	}
	before, after := facts(old), facts(new)
	for _, item := range old.facts.Items {
		kind, _, _ := strings.Cut(item.Name, " ")
		now := after[item.Name]
		if now == nil {
			d.add("learned - "+kind, old.State+" "+item.Name, item.String(), "")
			continue
		}
		for _, f := range jsontree.Compare(item, now) {
			d.add("learned "+kind+" "+general(f.Pointer), old.State+" "+item.Name+" "+f.Pointer, f.Old, f.New)
		}
	}
	for _, item := range new.facts.Items {
		if before[item.Name] == nil {
			kind, _, _ := strings.Cut(item.Name, " ")
			d.add("learned + "+kind, old.State+" "+item.Name, "", item.String())
		}
	}
}

// general is a pointer with a star in place of every index.
func general(pointer string) string {
	parts := strings.Split(pointer, "/")
	for i, p := range parts {
		if _, err := strconv.Atoi(p); err == nil {
			parts[i] = "*"
		}
	}
	return strings.Join(parts, "/")
}

// shortType leaves out what all types of a protocol share, and the version.
func shortType(t string) string {
	if rest, ok := strings.CutPrefix(t, "Eiffel"); ok {
		return strings.TrimSuffix(rest, "Event")
	}
	if rest, ok := strings.CutPrefix(t, "dev."); ok {
		if parts := strings.Split(rest, "."); len(parts) > 2 {
			return parts[1] + "." + parts[2]
		}
	}
	return t
}
