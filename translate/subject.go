package translate

import (
	"fmt"
	"slices"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/mappings"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// planSubject binds where the subject of an Eiffel event stands.
func planSubject(eiffelType string, from *mappings.SubjectFrom, rule string) (func(*toCDEvents), error) {
	switch {
	case from.Link != "":
		targets, err := targetTypes(eiffelType, from.Link)
		if err != nil {
			return nil, err
		}
		anchor := targets[0]
		if from.Kind == ledger.KindArtifact {
			return func(t *toCDEvents) { t.findArtifact(target(t.links, from.Link), from.Wanted) }, nil
		}
		return func(t *toCDEvents) {
			to := target(t.links, from.Link)
			t.subject = t.subjectOfTarget(to, ledger.SubjectKey{Kind: from.Kind, Source: t.in.Source, ID: to}, from.Wanted, anchor)
		}, nil
	case from.Within != "":
		targets, err := targetTypes(eiffelType, from.Within)
		if err != nil {
			return nil, err
		}
		targets = slices.DeleteFunc(slices.Clone(targets), func(t string) bool { return t == eiffelType }) // one within another of its type is none of that
		return func(t *toCDEvents) { t.subjectWithin(from.Within, from.Kind, targets) }, nil
	}
	ids, err := planPaths(from.ID)
	if err != nil {
		return nil, err
	}
	sources, err := planPaths(from.Source)
	if err != nil {
		return nil, err
	}
	return func(t *toCDEvents) { t.subjectAt(from.Kind, ids, sources, rule) }, nil
}

func planPaths(pointers []string) (paths []jsondoc.Path, err error) {
	for _, p := range pointers {
		path, err := newPath(p)
		if err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// targetTypes are the types of the events to which an Eiffel event's links of a type lead.
func targetTypes(eiffelType, linkType string) ([]string, error) {
	versions := schema.EiffelVersions(eiffelType)
	if len(versions) == 0 {
		return nil, fmt.Errorf("there is no Eiffel event type %q", eiffelType)
	}
	s, err := schema.ForEiffel(eiffelType, versions[len(versions)-1])
	if err != nil {
		return nil, err
	}
	for _, rule := range s.LinkRules() {
		if rule.Type == linkType && len(rule.Targets) > 0 {
			return rule.Targets, nil
		}
	}
	return nil, fmt.Errorf("an %s has no link %s that leads to events of certain types", eiffelType, linkType)
}

// subjectAt takes the subject from the event itself; without a place for its id it is the event.
func (t *toCDEvents) subjectAt(kind string, ids, sources []jsondoc.Path, rule string) {
	k := ledger.SubjectKey{Kind: kind, Source: t.in.Source, ID: t.in.ID}
	if len(ids) > 0 {
		k.ID = urnUUID + t.in.ID
	}
	if v := t.first(ids); v.Str() != "" {
		k.ID = v.Str()
		t.move(v, "/subject/id", rule, Exact)
	}
	if v := t.first(sources); v.Str() != "" {
		k.Source = escapeURI(v.Str())
		fidelity := Exact
		if k.Source != v.Str() {
			fidelity = Translated
		}
		t.move(v, "/subject/source", rule, fidelity)
	}
	t.subject = t.marked(k)
}

// first is the first text at one of the places.
func (t *toCDEvents) first(paths []jsondoc.Path) jsondoc.Value {
	root := t.in.doc.Root()
	for _, p := range paths {
		v := root.Follow(p)
		t.identifies(v)
		if v.Str() != "" {
			return v
		}
	}
	return jsondoc.Value{}
}

// subjectOfTarget is the subject of an event that this one links to; what the ledger does not know of it is missing, and
// the subject that is given then stands in.
func (t *toCDEvents) subjectOfTarget(id string, otherwise ledger.SubjectKey, want, eiffelType string) ledger.SubjectKey {
	if id == "" { // the first version of an event without link rules
		otherwise.ID = t.in.ID
		return t.marked(otherwise)
	}
	otherwise = t.marked(otherwise)
	return t.chooseKind("subject", otherwise, func() ledger.SubjectKey {
		known := t.eiffelEvent(id)
		if known == nil {
			t.miss(ledger.AboutEvent(id), want, "%s %s", eiffelType, id)
		}
		if known == nil || known.Subject.Kind == "" {
			return otherwise
		}
		return known.Subject
	})
}

// subjectWithin is the event itself, unless a link leads to an event of one of the types that is about a subject of the same kind: both
// are one then.
func (t *toCDEvents) subjectWithin(linkType, kind string, types []string) {
	own := t.marked(ledger.SubjectKey{Kind: kind, Source: t.in.Source, ID: t.in.ID})
	outer := target(t.links, linkType)
	t.subject = t.chooseSubject("subject", own, func() ledger.SubjectKey {
		if outer == "" || t.markID != "" {
			return own
		}
		known := t.eiffelEvent(outer)
		if known == nil {
			t.miss(ledger.AboutEvent(outer), "/subject/id", "the %s %s of the event", linkType, outer)
		}
		if known == nil || known.Subject.Kind != kind || !slices.Contains(types, known.Type) {
			return own
		}
		return known.Subject
	})
}

// linkedMember makes a member of what a row says about the event's links; nil if it says nothing.
func linkedMember(f *mappings.Field) func(*toCDEvents, *place) value {
	switch {
	case f.NameOf != "":
		return func(t *toCDEvents, _ *place) value { return t.nameOf(f.NameOf) }
	case f.Within != nil:
		choice := f.To[1:]
		return func(t *toCDEvents, at *place) value { return t.within(at, choice, f.Within) }
	}
	return nil
}

// nameOf is the name that the event has to which a link leads, as far as the ledger knows it.
func (t *toCDEvents) nameOf(linkType string) value {
	id := target(t.links, linkType)
	return textOrNone(t.choose("name", "", func() string {
		if known := t.eiffelEvent(id); known != nil {
			return known.Name
		}
		return ""
	}))
}

// within refers to the subject of a kind in which the event stands, by its own links or those of the event to which via leads.
func (t *toCDEvents) within(at *place, choice string, w *mappings.Within) value {
	key := t.choose(choice, "", func() string {
		ids := targets(t.links, w.Link)
		if via := target(t.links, w.Via); via != "" {
			if known := t.eiffelEvent(via); known != nil {
				ids = append(ids, targets(known.Links, w.Link)...)
			}
		}
		for _, id := range ids {
			if known := t.eiffelEvent(id); known != nil && known.Subject.Kind == w.Kind {
				return known.Subject.Key()
			}
		}
		return ""
	})
	if key == "" {
		return none
	}
	k, ok := ledger.ParseSubjectKey("", key)
	if !ok {
		k.ID = key
	}
	return t.referenceTo(at, k)
}
