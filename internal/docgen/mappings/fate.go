package main

import (
	"slices"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/internal/mappingtext"
	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// membersView tells what becomes of each member that the newest version of a type has.
type membersView struct {
	Of      string // the object whose members they are
	Version string
	Free    bool // it may have any
	Whole   bool // the object goes as it is
	List    []fateView
}

// fateView tells where a member goes.
type fateView struct {
	Name    string
	Places  []placeView
	Carried bool   // it has no place but the carried original
	Reason  string // why, where there is more to say
}

// placeView is a place in the output.
type placeView struct {
	Ledger             bool   // in none: it is what the ledger knows
	Link               string // a link of this type
	To, Entry          string // a member, and the entry of custom data in it
	AsItIs             bool
	Translated, OneWay bool // what of the value can be had back without the carried original, where that is not all
}

func (b *book) membersView(t *eventType) membersView {
	list, base := t.members()
	v := membersView{Of: mappingtext.Dotted(base), Version: t.schema.Version(), Free: t.name == custom, Whole: slices.Equal(t.counterparts(), []counterpart{customEvent})}
	for _, m := range list {
		f := t.fateView(m)
		f.Name = strings.TrimPrefix(mappingtext.Dotted(m), v.Of+".")
		v.List = append(v.List, f)
	}
	return v
}

// members are those that only events of this type have.
func (t *eventType) members() (list []string, base string) {
	base = "/data"
	if t.protocol == translate.CDEvents {
		base = "/subject/content"
	}
	for _, m := range members(t.schema, base) {
		if m != "/data/customData" {
			list = append(list, m)
		}
	}
	return list, base
}

// members are the members of a schema below a JSON pointer, those of objects in the place of the objects, sorted by name at each
// level.
func members(s *schema.Schema, pointer string) []string {
	names, _ := s.Members(pointer)
	slices.Sort(names)
	var out []string
	for _, name := range names {
		if below := members(s, pointer+"/"+name); below != nil {
			out = append(out, below...)
		} else {
			out = append(out, pointer+"/"+name)
		}
	}
	return out
}

// fateView tells where a member goes: by the rows, else as the translation of the example tells.
func (t *eventType) fateView(member string) fateView {
	var v fateView
	add := func(p placeView) {
		if !slices.Contains(v.Places, p) {
			v.Places = append(v.Places, p)
		}
	}
	ofRow := func(from []string, p placeView) {
		if slices.ContainsFunc(from, func(f string) bool { return within(member, f) || within(f, member) }) {
			add(t.withFidelity(p, member))
		}
	}
	for _, r := range t.toEiffel {
		for _, l := range r.Links {
			ofRow(l.Reads(), placeView{Link: l.Type})
		}
		for _, f := range r.Data {
			ofRow(f.From, placeView{To: "data." + mappingtext.Dotted(f.To)})
		}
		for _, f := range r.Custom {
			ofRow(f.From, placeView{To: "data.customData", Entry: mappingtext.Dotted(f.To)})
		}
	}
	for _, r := range t.toCDEvents {
		for _, f := range r.Content {
			ofRow(f.From, placeView{To: "subject.content." + mappingtext.Dotted(f.To)})
		}
	}
	if t.told != nil && t.told.problem == nil {
		for _, m := range t.told.result.Moves {
			switch {
			case m.From == "" || !within(member, m.From) && !within(m.From, member):
			case m.To == "/subject/content" && t.protocol == translate.Eiffel:
				add(placeView{To: "subject.content", AsItIs: true})
			case len(v.Places) == 0:
				add(t.withFidelity(t.told.placeView(m), member))
			}
		}
	}
	if len(v.Places) == 0 {
		v.Carried, v.Reason = t.carried(member)
	}
	return v
}

// carried tells whether a member that goes nowhere is carried only, and why, where there is more to say than that it has no
// counterpart.
func (t *eventType) carried(member string) (only bool, reason string) {
	if t.told == nil || t.told.problem != nil {
		return true, ""
	}
	doc, err := jsondoc.Parse(t.told.event.JSON)
	if err != nil || !doc.Root().Pointed(member).Exists() {
		return true, ""
	}
	for _, l := range t.told.result.Losses {
		if within(member, l.Pointer) || within(l.Pointer, member) {
			return true, strings.TrimPrefix(l.Reason, translate.LossNoCounterpart)
		}
	}
	return false, ""
}

// withFidelity is a place with what of a member's value it keeps.
func (t *eventType) withFidelity(p placeView, member string) placeView {
	if t.told == nil {
		return p
	}
	for _, m := range t.told.result.Moves {
		if m.From == member && m.Fidelity != translate.Exact {
			p.Translated, p.OneWay = m.Fidelity == translate.Translated, m.Fidelity == translate.OneWay
			break
		}
	}
	return p
}

// placeView is the place in the output that a value went to; a link by its type.
func (t *told) placeView(m translate.Move) placeView {
	if m.To == "" {
		return placeView{Ledger: true}
	}
	rest, isLink := strings.CutPrefix(m.To, "/links/")
	if !isLink || m.Out >= len(t.result.Events) {
		return placeView{To: mappingtext.Dotted(m.To)}
	}
	place, _, _ := strings.Cut(rest, "/")
	if out, err := jsondoc.Parse(t.result.Events[m.Out].JSON); err == nil {
		if l := out.Root().At("links").Pointed("/" + place); l.Exists() {
			place = l.Get("type").Str()
		}
	}
	return placeView{Link: place}
}

// within tells whether a JSON pointer is another or leads into it.
func within(pointer, outer string) bool {
	return outer != "" && (pointer == outer || strings.HasPrefix(pointer, outer+"/"))
}
