package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/examples/events"
	"github.com/eiffelbridge/eiffelbridge/internal/mappingtext"
	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/mappings"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// custom is the name of the page of custom CDEvents, which have no types of their own.
const custom = "custom"

// book is all that the pages are made from.
type book struct {
	catalogue *mappings.Catalogue
	types     []*eventType // CDEvents first, sorted by name
}

// eventType is an event type of a page.
type eventType struct {
	protocol translate.Protocol
	name     string // "service.deployed", "ArtifactDeployed", "custom"
	row      string // the name under which the catalogue would have it: "service.deployed", "EiffelArtifactDeployedEvent"
	schema   *schema.Schema
	// The rows that the type is translated by, in the order in which they are tried.
	toEiffel   []*mappings.ToEiffel
	toCDEvents []*mappings.ToCDEvents

	told    *told            // the example, with the defaults
	bare    *told            // the same with carry: none
	outputs map[string]*told // the same by edition, or by version of CDEvents
}

// file is the page's name below docs/mappings.
func (t *eventType) file() string { return t.protocol.String() + "/" + t.name + ".md" }

// document gives the pages by their names below docs/mappings.
func document() (map[string]string, error) {
	b, err := readBook()
	if err != nil {
		return nil, err
	}
	pages := map[string]string{}
	for _, t := range b.types {
		if pages[t.file()], err = b.page(t); err != nil {
			return nil, fmt.Errorf("the page of %s: %w", t.name, err)
		}
	}
	pages["README.md"], err = b.index()
	return pages, err
}

func readBook() (*book, error) {
	catalogue, err := mappings.Load()
	if err != nil {
		return nil, err
	}
	b := &book{catalogue: catalogue}
	if err := b.addCDEvents(); err != nil {
		return nil, err
	}
	if err := b.addEiffel(); err != nil {
		return nil, err
	}
	return b, nil
}

func (b *book) addCDEvents() error {
	story, err := events.CDEvents()
	if err != nil {
		return err
	}
	newest := map[string]*schema.Schema{}
	for _, full := range schema.CDEventTypes() {
		s, err := schema.ForCDEvent(full, "")
		if err != nil {
			return err
		}
		newest[s.Subject()+"."+s.Predicate()] = s // the types of an event are sorted, oldest first
	}
	var list []*eventType
	for name := range newest {
		list = append(list, &eventType{protocol: translate.CDEvents, name: name, row: name, schema: newest[name]})
	}
	for _, e := range story {
		if e.Name == custom {
			event, err := translate.Decode(e.JSON)
			if err != nil {
				return err
			}
			s, err := schema.ForCDEvent(event.Type, "")
			if err != nil {
				return err
			}
			list = append(list, &eventType{protocol: translate.CDEvents, name: custom, row: s.Subject() + "." + s.Predicate(), schema: s})
		}
	}
	slices.SortFunc(list, func(a, b *eventType) int { return strings.Compare(a.name, b.name) })
	for _, t := range list {
		t.toEiffel = b.rowsOfCDEvent(t.row)
	}
	b.types = append(b.types, list...)
	return b.tellAll(list, story, schema.OutputEditions(), func(edition string) translate.Settings { return translate.Settings{Edition: edition} })
}

func (b *book) addEiffel() error {
	story, err := events.Eiffel()
	if err != nil {
		return err
	}
	var list []*eventType
	for _, full := range schema.EiffelTypes() {
		versions := schema.EiffelVersions(full)
		s, err := schema.ForEiffel(full, versions[len(versions)-1])
		if err != nil {
			return err
		}
		list = append(list, &eventType{
			protocol: translate.Eiffel, name: mappingtext.ShortEiffel(full), row: full, schema: s, toCDEvents: b.rowsOfEiffel(full),
		})
	}
	b.types = append(b.types, list...)
	return b.tellAll(list, story, schema.OutputSpecs(), func(spec string) translate.Settings { return translate.Settings{Spec: spec} })
}

// tellAll translates a story with the settings that the pages speak of, and notes what became of each type's example.
func (b *book) tellAll(list []*eventType, story []events.Example, versions []string, settings func(version string) translate.Settings) error {
	note := func(s translate.Settings, keep func(t *eventType, what *told)) error {
		all, err := tell(story, s)
		if err != nil {
			return err
		}
		for _, t := range list {
			for i := range all {
				if all[i].example.Name == t.name {
					keep(t, &all[i])
				}
			}
		}
		return nil
	}
	if err := note(translate.Settings{Explain: true}, func(t *eventType, what *told) { t.told = what }); err != nil {
		return err
	}
	if err := note(translate.Settings{Explain: true, Carry: translate.CarryNone}, func(t *eventType, what *told) { t.bare = what }); err != nil {
		return err
	}
	for _, t := range list {
		t.outputs = map[string]*told{}
	}
	for _, v := range versions {
		if err := note(settings(v), func(t *eventType, what *told) { t.outputs[v] = what }); err != nil {
			return err
		}
	}
	return nil
}

// rowsOfCDEvent are the rows that a CDEvent is translated by: its own, and where all of those have conditions, those for
// every type.
func (b *book) rowsOfCDEvent(name string) []*mappings.ToEiffel {
	var out []*mappings.ToEiffel
	for _, n := range []string{name, mappings.Any} {
		for i := range b.catalogue.ToEiffel {
			r := &b.catalogue.ToEiffel[i]
			if r.CDEvent != n {
				continue
			}
			out = append(out, r)
			if r.If == "" && r.When == nil {
				return out
			}
		}
	}
	return out
}

// rowsOfEiffel are the same for an Eiffel event.
func (b *book) rowsOfEiffel(full string) []*mappings.ToCDEvents {
	var out []*mappings.ToCDEvents
	for _, n := range []string{full, mappings.Any} {
		for i := range b.catalogue.ToCDEvents {
			r := &b.catalogue.ToCDEvents[i]
			if r.Eiffel != n {
				continue
			}
			out = append(out, r)
			if r.When == nil {
				return out
			}
		}
	}
	return out
}

// find is the type of a page, nil if there is none.
func (b *book) find(protocol translate.Protocol, name string) *eventType {
	for _, t := range b.types {
		if t.protocol == protocol && (t.name == name || t.row == name) {
			return t
		}
	}
	return nil
}

// counterpart is what a type has on the other side.
type counterpart string

// The counterparts of the coverage matrix.
const (
	native       counterpart = "native"
	announcement counterpart = "announcement"
	customEvent  counterpart = "custom event"
)

// announced is the Eiffel event for what Eiffel has no event for.
const announced = "EiffelAnnouncementPublishedEvent"

// counterparts are those that a type may get, native ones first, each once.
func (t *eventType) counterparts() []counterpart {
	var out []counterpart
	add := func(c counterpart) {
		if !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	for _, r := range t.toEiffel {
		if r.Eiffel == announced {
			add(announcement)
		} else {
			add(native)
		}
	}
	for _, r := range t.toCDEvents {
		if len(r.CDEvent) == 0 {
			add(customEvent)
		}
		for _, name := range r.CDEvent {
			if mappingtext.IsCustom(name) {
				add(customEvent)
			} else {
				add(native)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b counterpart) int { return cmp.Compare(rank(a == native), rank(b == native)) })
	return out
}

// rank sorts what is true before what is not.
func rank(first bool) int {
	if first {
		return 0
	}
	return 1
}

// targets are the event types that a type may become, in the order of its rows but announcements last, each once: full Eiffel types,
// or CDEvents as subject.predicate. A row that names none gives "".
func (t *eventType) targets() []string {
	var out []string
	add := func(name string) {
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	for _, r := range t.toEiffel {
		add(r.Eiffel)
	}
	for _, r := range t.toCDEvents {
		if len(r.CDEvent) == 0 {
			add("")
		}
		for _, name := range r.CDEvent {
			add(name)
		}
	}
	slices.SortStableFunc(out, func(a, b string) int { return cmp.Compare(rank(a != announced), rank(b != announced)) })
	return out
}

// sources are the types of the other side that may become a type by a row of their own, in the order of the pages.
func (b *book) sources(t *eventType) []*eventType {
	var out []*eventType
	for _, other := range b.types {
		if other.protocol == t.protocol || other.name == custom {
			continue
		}
		own := false
		for _, r := range other.toEiffel {
			own = own || r.CDEvent == other.row && r.Eiffel == t.row
		}
		for _, r := range other.toCDEvents {
			own = own || r.Eiffel == other.row && slices.Contains(r.CDEvent, t.row)
		}
		if own {
			out = append(out, other)
		}
	}
	return out
}
