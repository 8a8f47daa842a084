package main

import (
	"slices"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/internal/mappingtext"
	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// pageView is the page of a type. What is made from its example is nil where it has none.
type pageView struct {
	Title      string
	Sources    []typeView // the types of the other side that may become it
	ToEiffel   []toEiffelView
	ToCDEvents []toCDEventsView
	Members    membersView
	Uncarried  *uncarriedView
	Versions   versionsView
	Outputs    *outputsView
	Example    *exampleView
}

// uncarriedView tells what of the example is lost where no original is carried: nothing, what is gone and what is another, or
// one of the others.
type uncarriedView struct {
	Refused     string // why
	NoEvent     bool
	NothingBack bool
	OneWay      string // the type of what comes back
	Gone, Other []differenceView
}

// differenceView is a value that did not come back as it was; an element of an array by its name, if it has one.
type differenceView struct{ Member, Element string }

// versionsView tells which versions of the type are read and written.
type versionsView struct {
	Custom      bool // custom events, whose versions are their own
	Name        string
	Written     bool
	Columns     []column
	More        []string // what is read besides
	WrittenFrom string   // editions before it are only read; empty: there are none
}

// column is a version of a protocol, and the version that a type has in it; empty: it has none.
type column struct{ Head, Version string }

// outputsView tells what the example becomes in every version of the other protocol.
type outputsView struct {
	By                      string // the setting
	NoEvent                 bool
	Type                    string // what it becomes, where that does not depend on the version
	Columns                 []outputColumn
	NotInEdition, NotInSpec string // the code of the problem, where it occurs
}

// outputColumn is what the example becomes in a version: a problem, an event of this version, one of this type, or none.
type outputColumn struct{ Head, Problem, Version, Type string }

// exampleView shows the example and what it becomes.
type exampleView struct {
	File, About, JSON string
	Refused           string // why
	Outputs           []exampleOutput
	Losses            []lossView
	Diagnostics       []translate.Diagnostic
}

type exampleOutput struct {
	Synthesized bool
	JSON        string
}

type lossView struct{ Member, Reason string }

// page is the page of a type.
func (b *book) page(t *eventType) (string, error) {
	v, err := b.pageView(t)
	if err != nil {
		return "", err
	}
	return render("page.md.tmpl", v)
}

func (b *book) pageView(t *eventType) (v pageView, err error) {
	v = pageView{Title: t.row, ToEiffel: b.toEiffelViews(t), ToCDEvents: b.toCDEventsViews(t), Members: b.membersView(t)}
	if t.name == custom {
		v.Title = "Custom CDEvents"
	}
	for _, s := range b.sources(t) {
		v.Sources = append(v.Sources, typeView{Name: s.name, File: "../" + s.file()})
	}
	v.Versions = t.versionsView(len(v.Sources) > 0)
	if t.told == nil {
		return v, nil
	}
	v.Outputs = t.outputsView()
	if v.Uncarried, err = t.bare.uncarriedView(); err != nil {
		return v, err
	}
	v.Example, err = t.told.exampleView()
	return v, err
}

func (t *told) uncarriedView() (*uncarriedView, error) {
	switch {
	case t.problem != nil:
		return &uncarriedView{Refused: t.problem.Message}, nil
	case len(t.result.Events) == 0:
		return &uncarriedView{NoEvent: true}, nil
	case len(t.returned) == 0:
		return &uncarriedView{NothingBack: true}, nil
	}
	back := t.returned[len(t.returned)-1]
	if back.Type != t.event.Type {
		return &uncarriedView{OneWay: back.Type}, nil
	}
	before, err := jsondoc.Parse(t.event.JSON)
	if err != nil {
		return nil, err
	}
	after, err := jsondoc.Parse(back.JSON)
	if err != nil {
		return nil, err
	}
	v := &uncarriedView{}
	for _, d := range differences(before.Root(), after.Root()) {
		if d.gone {
			v.Gone = append(v.Gone, d.view())
		} else {
			v.Other = append(v.Other, d.view())
		}
	}
	return v, nil
}

func (d difference) view() differenceView {
	if parent := d.value.Parent(); parent.Kind() == jsondoc.Array && nameOf(d.value) != "" {
		return differenceView{mappingtext.Dotted(parent.Pointer()), nameOf(d.value)}
	}
	return differenceView{Member: mappingtext.Dotted(d.value.Pointer())}
}

func (t *eventType) versionsView(written bool) versionsView {
	v := versionsView{Custom: t.name == custom, Name: t.name, Written: written}
	if t.protocol == translate.CDEvents {
		v.Columns = t.columns(schema.OutputSpecs())
		for i := range v.Columns {
			v.Columns[i].Head = "CDEvents " + v.Columns[i].Head
		}
		return v
	}
	v.Columns = t.columns(schema.Editions())
	for _, version := range schema.EiffelVersions(t.row) {
		if !slices.ContainsFunc(v.Columns, func(c column) bool { return c.Version == version }) {
			v.More = append(v.More, version)
		}
	}
	if written {
		v.WrittenFrom = schema.OutputEditions()[0]
	}
	return v
}

// columns are versions of the type's protocol, each with the version of the type.
func (t *eventType) columns(versions []string) []column {
	var out []column
	subject, predicate, _ := strings.Cut(t.name, ".")
	for _, v := range versions {
		c := column{Head: v}
		switch {
		case t.protocol == translate.Eiffel:
			c.Version, _ = schema.EditionVersion(v, t.row)
		case t.name == custom && v != "0.3":
			c.Version = "own"
		default:
			full, _ := schema.CDEventType(v, subject, predicate)
			c.Version = strings.TrimPrefix(full, "dev.cdevents."+t.name+".")
		}
		out = append(out, c)
	}
	return out
}

// outputVersions are the versions of the other protocol that can be written.
func (t *eventType) outputVersions() []string {
	if t.protocol == translate.CDEvents {
		return schema.OutputEditions()
	}
	return schema.OutputSpecs()
}

func (t *eventType) outputsView() *outputsView {
	v := &outputsView{By: "spec"}
	main := t.told.main()
	v.NoEvent = main == nil
	if t.protocol == translate.CDEvents {
		v.By = "edition"
		if main != nil {
			v.Type = mappingtext.ShortEiffel(main.Type)
		}
	}
	for _, version := range t.outputVersions() {
		c := outputColumn{Head: version}
		switch out := t.outputs[version]; {
		case out.problem != nil:
			c.Problem = out.problem.Code
		case out.main() == nil:
		case t.protocol == translate.CDEvents:
			c.Version = out.main().Version
		default:
			c.Type = strings.TrimPrefix(strings.TrimPrefix(out.main().Type, "dev.cdevents."), "dev.cdeventsx.")
		}
		switch c.Problem {
		case translate.CodeNotInEdition:
			v.NotInEdition = c.Problem
		case translate.CodeNotInSpec:
			v.NotInSpec = c.Problem
		}
		v.Columns = append(v.Columns, c)
	}
	return v
}

func (t *told) exampleView() (*exampleView, error) {
	v := &exampleView{File: t.example.File, About: t.example.About, JSON: strings.TrimSpace(string(t.example.JSON))}
	if t.problem != nil {
		v.Refused = t.problem.Message
		return v, nil
	}
	for _, out := range t.result.Events {
		text, err := shown(out.JSON)
		if err != nil {
			return nil, err
		}
		v.Outputs = append(v.Outputs, exampleOutput{out.Synthesized, text})
	}
	for _, l := range t.result.Losses {
		v.Losses = append(v.Losses, lossView{mappingtext.Dotted(l.Pointer), l.Reason})
	}
	v.Diagnostics = t.result.Diagnostics
	return v, nil
}
