package main

import (
	"slices"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/mappingtext"
	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/mappings"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// indexView is the page that leads to all others, with what they share.
type indexView struct {
	CDEvents, Eiffel             matrixView
	RowsToEiffel, RowsToCDEvents int
	JudgementCount               int
	Judgements                   []judgementsView
	Activities                   []mappings.Activity
	Vocabularies                 []mappings.Vocabulary
	Catalogue                    string
	EveryEvent, LinkRules        []mappings.Rule
	Notes                        mappings.Notes
}

// matrixView is the coverage of a protocol.
type matrixView struct {
	Versions                       []string
	Rows                           []matrixRow
	All, Native, Announced, Custom int // counts of types, each by the best counterpart that it may get
}

type matrixRow struct {
	Name, File   string
	Custom       bool // the page of custom events
	Columns      []column
	Counterparts []counterpart
	Becomes      []typeView
	Since        string // the first version that can be written for the type; empty: none
}

// judgementsView are the judgements that the catalogue names in a place.
type judgementsView struct {
	Place string
	List  []judgementView
}

type judgementView struct{ Name, Says string }

func (b *book) index() (string, error) {
	v, err := b.indexView()
	if err != nil {
		return "", err
	}
	return render("index.md.tmpl", v)
}

func (b *book) indexView() (indexView, error) {
	catalogue, err := mappingtext.Markdown(b.catalogue)
	return indexView{
		CDEvents:       b.matrixView(translate.CDEvents, schema.OutputSpecs()),
		Eiffel:         b.matrixView(translate.Eiffel, schema.Editions()),
		RowsToEiffel:   len(b.catalogue.ToEiffel),
		RowsToCDEvents: len(b.catalogue.ToCDEvents),
		JudgementCount: len(mappingtext.Judgements(b.catalogue)),
		Judgements:     b.judgementsViews(),
		Activities:     b.catalogue.Activities,
		Vocabularies:   b.catalogue.Vocabularies,
		Catalogue:      catalogue,
		EveryEvent:     b.catalogue.EveryEvent,
		LinkRules:      b.catalogue.LinkRules,
		Notes:          b.catalogue.Notes,
	}, err
}

func (b *book) matrixView(protocol translate.Protocol, versions []string) matrixView {
	v := matrixView{Versions: versions}
	for _, t := range b.types {
		if t.protocol != protocol {
			continue
		}
		v.All++
		counterparts := t.counterparts()
		row := matrixRow{Name: t.name, File: t.file(), Custom: t.name == custom, Columns: t.columns(versions), Counterparts: counterparts, Becomes: b.becomes(t)}
		for _, version := range t.outputVersions() {
			if out := t.outputs[version]; out != nil && out.problem == nil {
				row.Since = version
				break
			}
		}
		v.Rows = append(v.Rows, row)
		switch {
		case slices.Contains(counterparts, native):
			v.Native++
		case slices.Contains(counterparts, announcement):
			v.Announced++
		default:
			v.Custom++
		}
	}
	return v
}

// becomes are the types that a type may become, as the index leads to them.
func (b *book) becomes(t *eventType) []typeView {
	var out []typeView
	for _, name := range t.targets() {
		if other := b.find(t.protocol.Other(), name); other != nil {
			out = append(out, typeView{Name: other.name, File: other.file()})
		} else {
			out = append(out, typeView{Name: strings.TrimPrefix(name, "eiffel-")})
		}
	}
	return out
}

func (b *book) judgementsViews() []judgementsView {
	var out []judgementsView
	for _, place := range []string{mappingtext.If, mappingtext.Data, mappingtext.Choose, mappingtext.Subject, mappingtext.Environment, mappingtext.Content} {
		v := judgementsView{Place: place}
		for _, j := range mappingtext.Judgements(b.catalogue) {
			if j.Place == place {
				// The explanations have links for the pages, which lie a folder deeper.
				v.List = append(v.List, judgementView{j.Name, strings.ReplaceAll(mappingtext.Explain(b.catalogue, j.Place, j.Name), "](../", "](")})
			}
		}
		if v.List != nil {
			out = append(out, v)
		}
	}
	return out
}
