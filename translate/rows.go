package translate

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/mappings"
)

// rowToEiffel is a row of the catalogue, compiled.
type rowToEiffel struct {
	*mappings.ToEiffel
	condition    func(*toEiffel) bool // nil if the row depends on no judgement
	data, custom []field[toEiffel]
	anchorType   string // the anchor that the type's unconditional row makes, "" if it makes none
	name, rule   string // for people
}

// rowToCDEvents is a row of the catalogue, compiled.
type rowToCDEvents struct {
	*mappings.ToCDEvents
	subject    func(*toCDEvents)        // nil: the subject is the event itself
	choose     func(*toCDEvents) string // nil: there is one CDEvent
	content    []field[toCDEvents]
	name, rule string // for people
}

// field is a member that a row writes, compiled for a direction.
type field[T any] struct {
	*mappings.Field
	by         func(*T) []byte // gives JSON, nil for none
	at         string          // To in data of the event
	rule       string          // for people: by which of these the member is made
	fixed      []byte          // JSON
	vocabulary *vocabulary
}

// rest gives the value of a field that no member of the input gives: what its judgement says, its constant, or the word of
// its vocabulary that stands for all others; nil for none.
func (f *field[T]) rest(t *T, r *run, at, rule string, otherwise func(*vocabulary) string) []byte {
	switch {
	case f.by != nil:
		raw := f.by(t)
		if raw != nil {
			r.move(jsondoc.Value{}, at, f.rule, OneWay)
		}
		return raw
	case f.fixed != nil:
		r.move(jsondoc.Value{}, at, rule, OneWay)
		return f.fixed
	case f.vocabulary != nil:
		return textOrNone(otherwise(f.vocabulary))
	}
	return nil
}

// needed are the vocabularies that judgements look into.
var needed = []string{"conclusion", "verdict", "testConclusion", "trigger"}

func (g *Engine) compile(c *mappings.Catalogue) error {
	g.vocabularies = map[string]*vocabulary{}
	for i := range c.Vocabularies {
		v := &c.Vocabularies[i]
		for _, w := range v.Words {
			if len(w.CDEvents) == 0 || len(w.Eiffel) == 0 {
				return fmt.Errorf("vocabularies, %q: words without a counterpart", v.Name)
			}
		}
		g.vocabularies[v.Name] = &vocabulary{v}
	}
	for _, name := range needed {
		if g.vocabularies[name] == nil {
			return fmt.Errorf("vocabularies: there is no %q, which judgements look into", name)
		}
	}
	g.toEiffel = map[string][]*rowToEiffel{}
	for i := range c.ToEiffel {
		row := &rowToEiffel{ToEiffel: &c.ToEiffel[i]}
		row.name = rowName(row.CDEvent, row.If, row.When, row.Origin)
		row.rule = "row " + row.name
		if err := g.compileToEiffel(row); err != nil {
			return fmt.Errorf("to_eiffel, row %s: %w", row.name, err)
		}
		g.toEiffel[row.CDEvent] = append(g.toEiffel[row.CDEvent], row)
	}
	for _, rows := range g.toEiffel {
		if last := rows[len(rows)-1]; last.ID == mappings.IDAnchor {
			for _, row := range rows {
				row.anchorType = last.Eiffel
			}
		}
	}
	for name, rows := range g.toEiffel {
		if last := rows[len(rows)-1]; name != mappings.Any && (last.If != "" || last.When != nil) {
			g.toEiffel[name] = append(rows, g.toEiffel[mappings.Any]...) // where none of the type's own holds
		}
	}
	g.toCDEvents = map[string][]*rowToCDEvents{}
	for i := range c.ToCDEvents {
		row := &rowToCDEvents{ToCDEvents: &c.ToCDEvents[i]}
		row.name = rowName(row.Eiffel, "", row.When, row.Origin)
		row.rule = "row " + row.name
		if err := g.compileToCDEvents(row); err != nil {
			return fmt.Errorf("to_cdevents, row %s: %w", row.name, err)
		}
		g.toCDEvents[row.Eiffel] = append(g.toCDEvents[row.Eiffel], row)
	}
	for name, rows := range g.toCDEvents {
		if name != mappings.Any && rows[len(rows)-1].When != nil {
			g.toCDEvents[name] = append(rows, g.toCDEvents[mappings.Any]...)
		}
	}
	return nil
}

// rowName says which row it is among those of a type.
func rowName(eventType, judgement string, when mappings.Expression, origin string) string {
	name := eventType
	switch {
	case judgement != "":
		name += " if " + judgement
	case when != nil:
		name += " when " + when.String()
	}
	if origin != "" {
		name += " of " + origin
	}
	return name
}

func (g *Engine) compileToEiffel(row *rowToEiffel) (err error) {
	if row.If != "" {
		if row.condition = rowJudgements[row.If]; row.condition == nil {
			return fmt.Errorf("there is no judgement %q", row.If)
		}
	}
	if schema.EiffelVersions(row.Eiffel) == nil {
		return fmt.Errorf("there is no Eiffel event type %q", row.Eiffel)
	}
	for i := range row.Links {
		if err := synthesizable(&row.Links[i]); err != nil {
			return err
		}
	}
	if row.data, err = compileFields(g, row.Data, dataJudgements); err != nil {
		return err
	}
	row.custom, err = compileFields(g, row.Custom, dataJudgements)
	return err
}

// synthesizable tells what is wrong with a required link whose target cannot be made up.
func synthesizable(l *mappings.Link) error {
	if !l.Required || l.Target != mappings.TargetAnchor {
		return nil
	}
	switch l.Anchor {
	case typeActT, typeArtC, typeED, typeSCC, typeTSS:
		return nil
	case typeTCT:
		if slices.ContainsFunc(l.With, func(w mappings.Link) bool { return w.Target == mappings.TargetTested }) {
			return nil
		}
		return fmt.Errorf("the link %s: a synthesized %s needs, in `with`, a link to what is tested", l.Type, l.Anchor)
	}
	return fmt.Errorf("the link %s cannot be required: no %s can be synthesized from a reference", l.Type, l.Anchor)
}

func (g *Engine) compileToCDEvents(row *rowToCDEvents) (err error) {
	if row.Subject != "" {
		if row.subject = subjectJudgements[row.Subject]; row.subject == nil {
			return fmt.Errorf("there is no subject judgement %q", row.Subject)
		}
	}
	if row.Choose != "" {
		if row.choose = choiceJudgements[row.Choose]; row.choose == nil {
			return fmt.Errorf("there is no judgement %q to choose by", row.Choose)
		}
	}
	row.content, err = compileFields(g, row.Content, contentJudgements)
	return err
}

func compileFields[T any](g *Engine, list []mappings.Field, judgements map[string]func(*T) []byte) ([]field[T], error) {
	var out []field[T]
	for i := range list {
		f := field[T]{Field: &list[i], vocabulary: g.vocabularies[list[i].Vocabulary], at: "/data" + list[i].To, rule: "vocabulary " + list[i].Vocabulary}
		if f.By != "" {
			f.rule = "judgement " + f.By
			if f.by = judgements[f.By]; f.by == nil {
				return nil, fmt.Errorf("%s: there is no judgement %q", f.To, f.By)
			}
		}
		if f.Const != nil {
			fixed, err := json.Marshal(f.Const)
			if err != nil {
				return nil, fmt.Errorf("%s: const: %w", f.To, err)
			}
			f.fixed = fixed
		}
		out = append(out, f)
	}
	return out, nil
}

// rowsOfCDEvent are the rows of a CDEvents type, by subject.predicate.
func (g *Engine) rowsOfCDEvent(name string) []*rowToEiffel {
	if rows := g.toEiffel[name]; rows != nil {
		return rows
	}
	return g.toEiffel[mappings.Any]
}

// rowsOfEiffel are the rows of an Eiffel event type.
func (g *Engine) rowsOfEiffel(eiffelType string) []*rowToCDEvents {
	if rows := g.toCDEvents[eiffelType]; rows != nil {
		return rows
	}
	return g.toCDEvents[mappings.Any]
}

// rowAnchorExists is the judgement on which a row depends that says again what an anchor says already.
const rowAnchorExists = "anchor_exists"

// rowJudgements say whether a row of a CDEvents type counts, where that depends on what the ledger knows. With an empty
// ledger none of them holds.
var rowJudgements = map[string]func(*toEiffel) bool{
	rowAnchorExists:         (*toEiffel).anchorExists,
	"canceled_before_start": (*toEiffel).canceledBeforeStart,
}

// chooseRow takes the first row of the event's type whose condition holds.
func (t *toEiffel) chooseRow() error {
	rows := t.g.rowsOfCDEvent(t.name)
	if len(rows) == 1 && rows[0].When == nil {
		t.row = rows[0]
		return t.useRow()
	}
	holds := make([]bool, len(rows))
	for i, row := range rows {
		var err error
		if holds[i], err = t.holds(row.When, t.subject); err != nil {
			return err
		}
	}
	// Only the judgements depend on the ledger.
	judgement := t.choose("row", "", func() string {
		if row := t.rowOfTwin(rows); row != nil {
			return row.If
		}
		for i, row := range rows {
			if holds[i] && (row.condition == nil || row.condition(t)) {
				return row.If
			}
		}
		return ""
	})
	for i, row := range rows {
		if holds[i] && row.If == judgement {
			t.row = row
			return t.useRow()
		}
	}
	// The catalogue has changed since the choice was made.
	t.row = rows[len(rows)-1]
	return t.useRow()
}

// useRow looks up what the row's target is in the output edition.
func (t *toEiffel) useRow() error {
	t.oneWay = t.row.Eiffel == typeAnnP
	t.result.Row, t.result.About = t.row.name, t.row.About
	version, ok := schema.EditionVersion(t.g.settings.Edition, t.row.Eiffel)
	if !ok {
		return t.in.fail(CodeNotInEdition, "/context/type", fmt.Sprintf("%s becomes an %s, which edition %s of Eiffel does not have; Orizaba has it",
			article(t.name), t.row.Eiffel, t.g.settings.Edition))
	}
	s, err := schema.ForEiffel(t.row.Eiffel, version)
	if err != nil {
		return t.in.fail(CodeNotInEdition, "/context/type", err.Error())
	}
	t.version, t.schema = version, s
	return nil
}

// rowOfTwin is the row by which another bridge translated the very event, which came round; nil if there is none.
func (t *toEiffel) rowOfTwin(rows []*rowToEiffel) *rowToEiffel {
	same := t.contexts(t.in.ID).Find(t.in.Source, t.in.Type)
	if same == nil {
		return nil
	}
	id := sameID(same, t.in.ID)
	if twin := t.eiffelEvent(id); twin != nil {
		return rowTo(rows, twin.Type, id, t.subject)
	}
	return nil
}

// rowTo is the row by which a CDEvent of that subject becomes the Eiffel event of that type and id; nil if none does.
func rowTo(rows []*rowToEiffel, eiffelType, id string, subject SubjectKey) *rowToEiffel {
	var found *rowToEiffel
	for _, row := range rows {
		if row.Eiffel != eiffelType {
			continue
		}
		if row.ID == mappings.IDAnchor && id == anchorID(eiffelType, subject) {
			return row
		}
		if found == nil {
			found = row
		}
	}
	return found
}

// anchorExists tells whether the anchor that the event would make is there already, by another event than this one.
func (t *toEiffel) anchorExists() bool {
	anchor := t.subjectRecord(t.subject).Anchor(t.g.rowsOfCDEvent(t.name)[0].anchorType)
	return anchor != nil && !(t.markID != "" && (anchor.First == t.in.ID || anchor.Last == t.in.ID))
}

// chooseRow takes the first row of the event's type whose condition holds for the subject that its own judgement finds.
func (t *toCDEvents) chooseRow() error {
	rows := t.g.rowsOfEiffel(t.in.Type)
	for i, row := range rows {
		if i == 0 || row.Subject != t.row.Subject {
			clear(t.used) // what another row's judgement found does not count
			t.result.Moves = nil
			t.row = row
			t.findSubject()
		}
		t.row = row
		holds, err := t.holds(row.When, t.subject)
		if err != nil {
			return err
		}
		if holds {
			break
		}
	}
	t.result.Row, t.result.About = t.row.name, t.row.About
	return t.failure
}

// findSubject finds what the event is about, by the row's judgement.
func (t *toCDEvents) findSubject() {
	t.subject, t.text = SubjectKey{Source: t.in.Source, ID: t.in.ID}, ""
	if t.row.subject != nil {
		t.row.subject(t)
	}
}

// holds evaluates a row's condition; a row without one always counts.
func (r *run) holds(when mappings.Expression, subject SubjectKey) (bool, error) {
	if when == nil {
		return true, nil
	}
	holds, err := when.Holds(r.input(subject))
	if err != nil {
		return false, r.in.fail(CodeMapping, "", err.Error())
	}
	return holds, nil
}

// evaluate computes what an overlay's expression says, for a place in the output; nil for null.
func (r *run) evaluate(e mappings.Expression, subject SubjectKey, to, rule string) ([]byte, error) {
	raw, err := e.JSON(r.input(subject))
	if err != nil {
		return nil, r.in.fail(CodeMapping, "", err.Error())
	}
	if raw != nil {
		r.move(jsondoc.Value{}, to, rule, OneWay)
		for _, p := range e.Reads() {
			r.moveAny(r.in.doc.Root().Pointed(p), to, rule, OneWay)
		}
	}
	return raw, nil
}

// evaluateText is evaluate for text; "" for null and for what is no string.
func (r *run) evaluateText(e mappings.Expression, subject SubjectKey, to, rule string) (string, error) {
	raw, err := r.evaluate(e, subject, to, rule)
	if err != nil || raw == nil {
		return "", err
	}
	doc, err := jsondoc.Parse(raw)
	if err != nil {
		return "", r.in.fail(CodeMapping, "", fmt.Sprintf("%s: %v", e, err))
	}
	return doc.Root().Str(), nil
}

func (r *run) input(subject SubjectKey) mappings.Input {
	return mappings.Input{Event: r.in.doc.Root(), Subject: mappings.Subject(subject)}
}

// kindOf is the subject kind in subject.predicate.
func kindOf(name string) string {
	kind, _, _ := strings.Cut(name, ".")
	return kind
}
