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
	SubjectID       string // an expression
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
	From               []string
	Vocabulary, Format string
	Judgement          string // what it says
	Value, Const, Fill string
}

func (b *book) toEiffelViews(t *eventType) []toEiffelView {
	var out []toEiffelView
	for i, r := range t.toEiffel {
		v := toEiffelView{Becomes: b.typeView(t, r.Eiffel), ID: r.ID, Synthesized: synthesizedViews(r.Links), Links: linkViews(r.Links)}
		if len(t.toEiffel) > 1 {
			v.Number, v.conditionView = i+1, condition(r.If, r.When, i)
		}
		v.About, v.Learns = r.About, r.Learns
		v.Fields = append(fieldViews("", r.Data, mappingtext.Data), fieldViews("data.customData, entry ", r.Custom, mappingtext.Data)...)
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
			v.Number, v.conditionView = i+1, condition("", r.When, i)
		} else {
			v.Becomes[0].Begins = true
		}
		if r.Choose != "" {
			v.Choose = mappingtext.Explain(mappingtext.Choose, r.Choose)
		}
		if r.Subject != "" {
			v.Subject = mappingtext.Explain(mappingtext.Subject, r.Subject)
		}
		v.About, v.Learns = r.About, r.Learns
		v.Fields, v.Vocabularies = fieldViews("", r.Content, mappingtext.Content), b.vocabularies(r.Content)
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

func condition(judgement string, when mappings.Expression, index int) conditionView {
	v := conditionView{Judgement: judgement, When: text(when), Otherwise: index > 0}
	if judgement != "" {
		v.JudgementSays = strings.TrimSuffix(mappingtext.Explain(mappingtext.If, judgement), ".")
	}
	return v
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
func fieldViews(base string, list []mappings.Field, place string) []fieldView {
	var out []fieldView
	for _, f := range list {
		v := fieldView{Place: base + mappingtext.Dotted(f.To), Was: mappingtext.Dotted(f.Was), Vocabulary: f.Vocabulary, Format: f.Format, Value: text(f.Value), Fill: f.Fill}
		for _, p := range f.From {
			v.From = append(v.From, mappingtext.Dotted(p))
		}
		if f.By != "" {
			v.Judgement = strings.TrimSuffix(mappingtext.Explain(place, f.By), ".")
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
