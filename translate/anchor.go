package translate

import (
	"fmt"
	"slices"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/mappings"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// anchor is a type of the Eiffel events that stand for subjects, bound.
type anchor struct {
	*mappings.Anchor
	eiffelOutput
	fields []anchorField
	rows   map[string][]*rowToEiffel // those that make it of a kind of subject: of one type of CDEvents
}

// anchorField is a member of an anchor that is made up, bound.
type anchorField struct {
	*mappings.AnchorField
	place
	path jsondoc.Path // of the place in an event
	from []jsondoc.Path
}

func (g *Engine) planAnchors(c *mappings.Catalogue) error {
	g.anchors = map[string]*anchor{}
	for i := range c.Anchors {
		a := &anchor{Anchor: &c.Anchors[i], rows: map[string][]*rowToEiffel{}}
		if g.eiffel[a.Eiffel] == nil {
			return fmt.Errorf("anchors: there is no Eiffel event type %q", a.Eiffel)
		}
		if len(a.Subjects) > 1 && a.Eiffel != typeActT {
			return fmt.Errorf("anchors, %s: only what an %s stands for is told apart; name one kind of subject", a.Eiffel, typeActT)
		}
		a.eiffelOutput = *g.eiffel[a.Eiffel]
		for j := range a.Data {
			f := anchorField{AnchorField: &a.Data[j], place: newPlace(a.schema, "/data", a.Data[j].To)}
			var err error
			if f.path, err = newPath("/data" + f.To); err != nil {
				return fmt.Errorf("anchors, %s: %w", a.Eiffel, err)
			}
			if f.from, err = planPaths(f.From); err != nil {
				return fmt.Errorf("anchors, %s: %w", a.Eiffel, err)
			}
			a.fields = append(a.fields, f)
		}
		g.anchors[a.Eiffel] = a
	}
	return nil
}

// nameAnchors has anchors that are made up for the subjects of a type bear the name that the rows of the type write. Of several types that
// make an anchor the first counts.
func (g *Engine) nameAnchors(cdevent string) {
	for _, row := range g.toEiffel[cdevent] {
		a, kind := g.anchors[row.Eiffel], kindOf(cdevent)
		if a == nil || row.ID != mappings.IDAnchor || row.CDEvent != cdevent || len(a.rows[kind]) > 0 && a.rows[kind][0].CDEvent != cdevent || slices.Contains(a.rows[kind], row) {
			continue
		}
		a.rows[kind] = append(a.rows[kind], row)
	}
}

// synthesizable tells what is wrong with a required link whose target cannot be made up.
func (a *anchor) synthesizable(l *mappings.Link) error {
	if a == nil || a.Data == nil {
		return fmt.Errorf("it cannot be required: no %s can be synthesized from a reference", l.Anchor)
	}
	if a.schema == nil {
		return nil // the edition does not have it
	}
	for _, rule := range a.schema.LinkRules() {
		if rule.Required && !slices.ContainsFunc(l.With, func(w mappings.Link) bool { return w.Type == rule.Type }) {
			if a.Eiffel == typeTCT {
				return fmt.Errorf("a synthesized %s needs, in `with`, a link to what is tested", l.Anchor)
			}
			return fmt.Errorf("a synthesized %s needs, in `with`, a link of type %s", l.Anchor, rule.Type)
		}
	}
	_, required := a.schema.Members("/data")
	for _, name := range required {
		if !slices.ContainsFunc(a.fields, func(f anchorField) bool { return f.place.path[0] == name }) {
			return fmt.Errorf("it cannot be required: the catalogue does not say what the data.%s of a synthesized %s is", name, l.Anchor)
		}
	}
	return nil
}

// makeAnchorData makes the data of an anchor that is made up for a subject, and gives the name that it has besides its id; "" if it has
// none of its own.
func (t *toEiffel) makeAnchorData(l *rowLink, k ledger.SubjectKey, art *artifact) (data []member, name string) {
	for i := range l.anchor.fields {
		f := &l.anchor.fields[i]
		v := none
		switch f.Is {
		case mappings.IsID:
			v = textValue(k.ID)
		case mappings.IsSource:
			v = textValue(k.Source)
		case mappings.IsPurl:
			v = textValue(art.purl) // a link to an anchor that has a purl is one to an artifact
		case mappings.IsCategory:
			if category := t.g.category(k.Kind); category != "" {
				v = jsonValue(append(jsondoc.AppendString([]byte{'['}, category), ']'))
			}
		case mappings.IsName:
			v = textValue(k.ID)
			if l.own {
				if own, ok := t.anchorName(l.anchor, f, k.Kind); ok {
					name, v = own, textValue(own)
				}
			}
		}
		if v.exists() {
			data = append(data, member{f.place.path, v})
		}
	}
	return data, name
}

// anchorName is what the event calls its own subject, where the row that makes the subject's anchor would call it so; false if that is
// its id.
func (t *toEiffel) anchorName(a *anchor, f *anchorField, kind string) (string, bool) {
	rule := ""
	if t.explain {
		rule = "name of the synthesized " + a.Eiffel
	}
	for _, row := range a.rows[kind] {
		if holds, err := t.holds(row.When, t.subject); err != nil || !holds {
			continue // the condition is on the events that make the anchor
		}
		return t.nameByRow(row, f, rule)
	}
	for _, path := range f.from {
		if v := t.in.doc.Root().Follow(path); v.Str() != "" {
			t.move(v, f.at, rule, OneWay)
			t.moveOf(len(t.events))
			return v.Str(), true
		}
	}
	return "", false
}

// nameByRow is what a row would write of this event in the place of an anchor's name. It was written for the events that make the anchor;
// what it cannot make of another is not there.
func (t *toEiffel) nameByRow(row *rowToEiffel, f *anchorField, rule string) (string, bool) {
	what, moves := t.what, len(t.moves)
	t.what = row.CDEvent
	defer func() { t.what = what }()
	for i := range row.data {
		if row.data[i].To != f.To {
			continue
		}
		v, err := makeField(t, &t.run, &row.data[i], &row.data[i].place, t.subject, rule)
		name := v.str()
		if err != nil || name == "" {
			t.moves = t.moves[:moves]
			continue
		}
		if name == t.in.doc.Root().At("subject", "id").Str() && v.kind == ofInput && v.doc.Index() == t.in.doc.Root().At("subject", "id").Index() {
			t.moves = t.moves[:moves]
			return "", false
		}
		for i := range t.moves[moves:] {
			m := &t.moves[moves+i]
			m.Out, m.Rule, m.Fidelity = len(t.events), rule, OneWay
		}
		return name, v.kind == ofInput || name != t.subject.ID
	}
	return "", false
}

// subjectOfAnchor is the subject for which a synthesized anchor stands: it says little but that.
func (g *Engine) subjectOfAnchor(in *Event) (ledger.SubjectKey, bool) {
	a := g.anchors[in.Type]
	if a == nil || a.Data == nil {
		return ledger.SubjectKey{}, false
	}
	root := in.doc.Root()
	k := ledger.SubjectKey{Kind: a.Subjects[0], Source: root.At("meta", "source", "uri").Str()}
	if len(a.Subjects) > 1 {
		k.Kind, _, _ = g.activityKind(in)
	}
	for i := range a.fields {
		switch a.fields[i].Is {
		case mappings.IsID, mappings.IsName:
			k.ID = root.Follow(a.fields[i].path).Str()
		case mappings.IsPurl:
			identity := root.Follow(a.fields[i].path).Str()
			if len(identity) > maxID {
				return ledger.SubjectKey{}, false
			}
			artifact, _ := parseArtifact(identity, g.settings.AllQualifiers)
			k = artifact.subject()
		}
	}
	for entry := range root.At("data", "customData").Children() {
		if entry.Get("key").Str() == subjectKey { // it has a name of its own
			k.ID = entry.At("value", "id").Str()
			break
		}
	}
	return k, true
}
