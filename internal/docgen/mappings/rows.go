package main

import (
	"slices"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/mappingtext"
	"github.com/eiffelbridge/eiffelbridge/mappings"
)

// toEiffelView is a row of a CDEvent.
type toEiffelView struct {
	rowView
	Becomes     typeView
	ID          string
	Synthesized []synthesizedView
	Links       []linkView
}

// toCDEventsView is a row of an Eiffel event.
type toCDEventsView struct {
	rowView
	Becomes         []typeView
	Choose, Subject string // what the judgement says
	ChooseLink      string
	SubjectFrom     *subjectFromView
	SubjectID       string // an expression
	Environment     string // what the judgement says
	Whole           bool   // the content is the data
	CustomToo       bool   // one of the CDEvents is custom
}

// rowView is what rows of both ways have.
type rowView struct {
	Number int // 0: the only row of its type
	conditionView
	About        string
	Learns       string
	Fields       []fieldView
	Vocabularies []*mappings.Vocabulary
}

// conditionView says when a row counts. It is empty for the only one.
type conditionView struct {
	Judgement, JudgementSays string
	When                     string // an expression
	Otherwise                bool
}

// typeView is an event type of the other side. A custom event that is named after its origin has no name.
type typeView struct {
	Name, File string // File is empty for a type without a page
	Custom     bool
	Begins     bool // it begins a sentence
}

// synthesizedView is an event that a link may have made up: the anchor of a subject, or else a composition.
type synthesizedView struct{ Anchor, Subject, Link string }

type linkView struct {
	Type, Target        string
	Anchor, Or, Subject string
	Reference           string // empty: the event's own subject
	Value               string // an expression
	Required            bool
	With                []linkView
}

type fieldView struct {
	Place, Was         string
	Again              bool // the field before it has the same place
	Needs              string
	From               []originView
	Vocabulary, Format string
	Judgement          string // what it says
	NameOf             string
	Within             *mappings.Within
	Text               string
	Value, Const, Fill string
}

// originView is a member, an entry of custom data, or else the event's source.
type originView struct{ Member, Entry string }

// subjectFromView says where the subject of an Eiffel event stands.
type subjectFromView struct {
	Kind         string
	Link, Within string
	ID, Source   []string
}

func (b *book) toEiffelViews(t *eventType) []toEiffelView {
	var out []toEiffelView
	for i, r := range t.toEiffel {
		v := toEiffelView{Becomes: b.typeView(t, r.Eiffel), ID: r.ID, Synthesized: synthesizedViews(r.Links), Links: linkViews(r.Links)}
		if len(t.toEiffel) > 1 {
			v.Number, v.conditionView = i+1, b.condition(r.If, r.When, i)
		}
		v.About, v.Learns = r.About, r.Learns
		v.Fields = append(b.fieldViews("", r.Data, mappingtext.Data), b.fieldViews("data.customData`, entry `", r.Custom, mappingtext.Data)...)
		v.Vocabularies = b.vocabularies(append(slices.Clone(r.Data), r.Custom...))
		out = append(out, v)
	}
	return out
}

func (b *book) toCDEventsViews(t *eventType) []toCDEventsView {
	var out []toCDEventsView
	for i, r := range t.toCDEvents {
		v := toCDEventsView{SubjectID: text(r.SubjectID), Whole: r.Content == nil, CustomToo: slices.ContainsFunc(r.CDEvent, mappingtext.IsCustom)}
		for _, name := range r.CDEvent {
			v.Becomes = append(v.Becomes, b.typeView(t, name))
		}
		if v.Becomes == nil {
			v.Becomes = []typeView{b.typeView(t, "")}
		}
		if len(t.toCDEvents) > 1 {
			v.Number, v.conditionView = i+1, b.condition("", r.When, i)
		} else {
			v.Becomes[0].Begins = true
		}
		v.Choose, v.ChooseLink = b.explain(mappingtext.Choose, r.Choose), r.ChooseLink
		v.Subject, v.Environment = b.explain(mappingtext.Subject, r.Subject), b.explain(mappingtext.Environment, r.Environment)
		if f := r.SubjectFrom; f != nil {
			v.SubjectFrom = &subjectFromView{Kind: f.Kind, Link: f.Link, Within: f.Within, ID: dotted(f.ID), Source: dotted(f.Source)}
		}
		v.About, v.Learns = r.About, r.Learns
		v.Fields, v.Vocabularies = b.fieldViews("", r.Content, mappingtext.Content), b.vocabularies(r.Content)
		out = append(out, v)
	}
	return out
}

// text writes an expression that a row may have.
func text(e mappings.Expression) string {
	if e == nil {
		return ""
	}
	return e.String()
}

func (b *book) condition(judgement string, when mappings.Expression, index int) conditionView {
	return conditionView{
		Judgement: judgement, JudgementSays: strings.TrimSuffix(b.explain(mappingtext.If, judgement), "."), When: text(when), Otherwise: index > 0,
	}
}

// explain says what a judgement decides; empty if there is none.
func (b *book) explain(place, judgement string) string {
	if judgement == "" {
		return ""
	}
	return mappingtext.Explain(b.catalogue, place, judgement)
}

func dotted(pointers []string) []string {
	var out []string
	for _, p := range pointers {
		out = append(out, mappingtext.Dotted(p))
	}
	return out
}

// typeView leads to the page of a type of the other side, if it has one.
func (b *book) typeView(t *eventType, name string) typeView {
	v := typeView{Name: name, Custom: mappingtext.IsCustom(name)}
	if other := b.find(t.protocol.Other(), name); other != nil {
		v.File = "../" + other.file()
	}
	return v
}

func synthesizedViews(links []mappings.Link) []synthesizedView {
	var out []synthesizedView
	for _, l := range links {
		if !l.Required {
			continue
		}
		var made []synthesizedView
		switch l.Target {
		case mappings.TargetAnchor:
			made = append(made, synthesizedView{Anchor: l.Anchor, Subject: l.Subject})
		case mappings.TargetRunning, mappings.TargetTested:
			made = append(made, synthesizedView{Link: l.Type})
		}
		for _, m := range append(made, synthesizedViews(l.With)...) {
			if !slices.Contains(out, m) {
				out = append(out, m)
			}
		}
	}
	return out
}

func linkViews(links []mappings.Link) []linkView {
	var out []linkView
	for _, l := range links {
		v := linkView{Type: l.Type, Target: l.Target, Anchor: l.Anchor, Or: l.Or, Subject: l.Subject, Value: text(l.Value), Required: l.Required, With: linkViews(l.With)}
		if l.Reference != "/subject" {
			v.Reference = mappingtext.Dotted(l.Reference)
		}
		out = append(out, v)
	}
	return out
}

// fieldViews are fields of a row; base stands before the places they go to.
func (b *book) fieldViews(base string, list []mappings.Field, place string) []fieldView {
	var out []fieldView
	for i, f := range list {
		v := fieldView{
			NameOf: f.NameOf, Within: f.Within,
			Again: i > 0 && list[i-1].To == f.To,
			Place: base + mappingtext.Dotted(f.To), Was: mappingtext.Dotted(f.Was), Needs: mappingtext.Dotted(f.Needs), Vocabulary: f.Vocabulary, Format: f.Format,
			Text: mappingtext.Template(f.Text), Value: text(f.Value), Fill: f.Fill, Judgement: strings.TrimSuffix(b.explain(place, f.By), "."),
		}
		for _, from := range f.From {
			o := originView{}
			key, custom := strings.CutPrefix(from, mappings.FromCustom)
			switch {
			case custom:
				o.Entry = key
			case from == mappings.FromSubjectSource:
				v.From = append(v.From, originView{Member: "subject.source"})
			case from != mappings.FromSource:
				o.Member = mappingtext.Dotted(from)
			}
			v.From = append(v.From, o)
		}
		if f.Const != nil {
			v.Const = mappingtext.Constant(f.Const)
		}
		out = append(out, v)
	}
	return out
}

// vocabularies are those in whose words fields are written, each once.
func (b *book) vocabularies(list []mappings.Field) []*mappings.Vocabulary {
	var out []*mappings.Vocabulary
	for _, f := range list {
		if v := b.catalogue.Vocabulary(f.Vocabulary); v != nil && !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}
