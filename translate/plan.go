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

// The plan is the catalogue, bound to the output edition and version when an engine is made: pointers are split, places of
// the output's schemas are looked up, and judgements are functions. It is immutable and shared by all translations.

// rowText is what a row says of itself, for people.
type rowText struct {
	name  string
	rule  string // as the rule of a [Move]
	about string
}

// rowToEiffel is a row of the catalogue, bound.
type rowToEiffel struct {
	*mappings.ToEiffel
	rowText
	condition    func(*toEiffel) bool // nil if the row depends on no judgement
	links        []rowLink
	data, custom []field[toEiffel]
	anchorType   string // the anchor that the type's unconditional row makes, "" if it makes none
	eiffelOutput
}

// eiffelOutput is an Eiffel event type in the output edition.
type eiffelOutput struct {
	version   string         // empty if the edition does not have the type
	schema    *schema.Schema // nil then
	domainIDs bool           // its links may have a domain
}

// rowLink is a link of a row, bound.
type rowLink struct {
	*mappings.Link
	own       bool         // the reference is the event's own subject
	reference jsondoc.Path // else where it stands
	anchor    *anchor      // of type Anchor; nil if the catalogue has no such anchors
	with      []rowLink
	// The names of the choices that are made for the link.
	choice, names, running, value, source string
}

// rowToCDEvents is a row of the catalogue, bound.
type rowToCDEvents struct {
	*mappings.ToCDEvents
	rowText
	subject     func(*toCDEvents)        // nil: the subject is the event itself
	environment func(*toCDEvents)        // nil: only the other judgements find one
	choose      func(*toCDEvents) string // nil: there is one CDEvent
	content     []field[toCDEvents]
	outputs     []*cdeventOutput // those that the catalogue names, and the custom event of the row's type
}

// cdeventOutput is a CDEvent that a row may become, in the output version.
type cdeventOutput struct {
	key    string // as the row names it
	name   string // subject.predicate
	full   string // the full type, where an overlay names one
	custom bool   // it is a custom event of ours
	schema *schema.Schema
	// refusal says why the version does not have the event; empty if it does. It begins with what becomes it.
	refusal string
	content []place // of the row's fields, in their order; not named where the event has none

	specversion, chainID, links, subjectType bool // members that not all versions have
	subjectSource                            schema.Place
}

// field is a member that a row writes, bound for a direction.
type field[T any] struct {
	*mappings.Field
	needs      jsondoc.Path // nil: the field counts always
	from       []origin
	by         func(*T, *place) value
	text       []textPart
	rule       string // for people: by which of these the member is made
	fixed      []byte // JSON
	vocabulary *vocabulary
	place      place // in an Eiffel event
	again      bool  // the field before it has the same place, and comes first
}

// origin is where a field's value comes from: a place in the event, an entry of its custom data, its source, that of its subject, or the
// category of the subject's kind.
type origin struct {
	path                            jsondoc.Path
	custom                          string
	source, subjectSource, category bool
}

// textPart is a part of a text: one that is fixed, a member of the event, or else what happened.
type textPart struct {
	fixed string
	path  jsondoc.Path
	event bool
}

// place is where a member stands in the output.
type place struct {
	schema.Place
	at   string   // its JSON pointer
	path []string // its names below data or content
	rule string   // by which it is made, where that is not the row's
}

func newPlace(s *schema.Schema, below, to string) place {
	p := place{at: below + to, path: strings.Split(to[1:], "/")}
	if s != nil {
		p.Place = s.Place(p.at)
	}
	return p
}

// What is done with every event stands in the catalogue, with what explain says of it. These are the cases that are told.
type rule int

const (
	ruleIDKept rule = iota
	ruleIDAccepted
	ruleIDAnchor
	ruleIDMade
	ruleIDSubject
	ruleSourceKept
	ruleSourceFirst
	ruleTimeMillis
	ruleTimeUTC
	ruleTypeSchema
	ruleTypeSubject
	ruleSerializer
)

var ruleNames = [...][2]string{
	ruleIDKept: {"id", "kept"}, ruleIDAccepted: {"id", "accepted"}, ruleIDAnchor: {"id", "anchor"}, ruleIDMade: {"id", "made"}, ruleIDSubject: {"id", "subject"},
	ruleSourceKept: {"source", "kept"}, ruleSourceFirst: {"source", "first"},
	ruleTimeMillis: {"time", "millis"}, ruleTimeUTC: {"time", "utc"},
	ruleTypeSchema: {"type", "schema"}, ruleTypeSubject: {"type", "subject"},
	ruleSerializer: {"serializer", "ours"},
}

// needed are the vocabularies that judgements look into.
var needed = []string{"conclusion", "verdict"}

// plan binds the catalogue.
func (g *Engine) plan(c *mappings.Catalogue) error {
	if err := g.planVocabularies(c); err != nil {
		return err
	}
	for i, r := range ruleNames {
		g.rules[i] = c.Explain(r[0], r[1])
	}
	g.levels = c.Levels()
	g.eiffel = map[string]*eiffelOutput{}
	for _, t := range schema.EiffelTypes() {
		g.eiffel[t] = g.newEiffelOutput(t)
	}
	if err := g.planAnchors(c); err != nil {
		return err
	}
	g.toEiffel = map[string][]*rowToEiffel{}
	for i := range c.ToEiffel {
		row := &rowToEiffel{ToEiffel: &c.ToEiffel[i]}
		row.rowText = newRowText(row.CDEvent, row.If, row.When, row.Origin, row.About)
		if err := g.planToEiffel(row); err != nil {
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
	for i := range c.ToEiffel {
		g.nameAnchors(c.ToEiffel[i].CDEvent)
	}
	for name, rows := range g.toEiffel {
		if last := rows[len(rows)-1]; name != mappings.Any && (last.If != "" || last.When != nil) {
			g.toEiffel[name] = append(rows, g.toEiffel[mappings.Any]...) // where none of the type's own holds
		}
	}
	g.toCDEvents = map[string][]*rowToCDEvents{}
	for i := range c.ToCDEvents {
		row := &rowToCDEvents{ToCDEvents: &c.ToCDEvents[i]}
		row.rowText = newRowText(row.Eiffel, "", row.When, row.Origin, row.About)
		if err := g.planToCDEvents(row); err != nil {
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

func (g *Engine) planVocabularies(c *mappings.Catalogue) error {
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
	return nil
}

// newRowText says which row it is among those of a type.
func newRowText(eventType, judgement string, when mappings.Expression, origin, about string) rowText {
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
	return rowText{name: name, rule: "row " + name, about: about}
}

func (g *Engine) newEiffelOutput(eiffelType string) *eiffelOutput {
	version, ok := schema.EditionVersion(g.settings.Edition, eiffelType)
	if !ok {
		return &eiffelOutput{}
	}
	s, err := schema.ForEiffel(eiffelType, version)
	if err != nil {
		return &eiffelOutput{}
	}
	return &eiffelOutput{version: version, schema: s, domainIDs: s.Has("/links/0/domainId")}
}

func (g *Engine) planToEiffel(row *rowToEiffel) (err error) {
	if row.If != "" {
		if row.condition = rowJudgements[row.If]; row.condition == nil {
			return fmt.Errorf("there is no judgement %q", row.If)
		}
	}
	if schema.EiffelVersions(row.Eiffel) == nil {
		return fmt.Errorf("there is no Eiffel event type %q", row.Eiffel)
	}
	row.eiffelOutput = *g.eiffel[row.Eiffel]
	if row.links, err = g.planLinks(row.Links); err != nil {
		return err
	}
	if row.data, err = planFields(g, row.Data, dataJudgements); err != nil {
		return err
	}
	for i := range row.data {
		row.data[i].place = newPlace(row.schema, "/data", row.data[i].To)
		row.data[i].place.rule = row.data[i].rule
	}
	row.custom, err = planFields(g, row.Custom, dataJudgements)
	return err
}

func (g *Engine) planLinks(links []mappings.Link) ([]rowLink, error) {
	var out []rowLink
	for i := range links {
		l, err := g.planLink(&links[i])
		if err != nil {
			return nil, fmt.Errorf("the link %s: %w", links[i].Type, err)
		}
		out = append(out, l)
	}
	return out, nil
}

func (g *Engine) planLink(l *mappings.Link) (bound rowLink, err error) {
	reference, ok := jsondoc.NewPath(l.Reference)
	if !ok {
		return bound, fmt.Errorf("%q is no JSON pointer", l.Reference)
	}
	bound = rowLink{
		Link: l, own: l.Reference == mappings.OwnSubject, reference: reference, anchor: g.anchors[l.Anchor],
		choice: "link/" + l.Type, names: "names/" + l.Type, running: "running/" + l.Type, value: "value/" + l.Type,
		source: "source/" + l.Subject,
	}
	if l.Required && l.Target == mappings.TargetAnchor {
		if err := bound.anchor.synthesizable(l); err != nil {
			return bound, err
		}
	}
	bound.with, err = g.planLinks(l.With)
	return bound, err
}

func (g *Engine) planToCDEvents(row *rowToCDEvents) (err error) {
	switch {
	case row.Subject != "":
		if row.subject = subjectJudgements[row.Subject]; row.subject == nil {
			return fmt.Errorf("there is no subject judgement %q", row.Subject)
		}
	case row.SubjectFrom != nil:
		if row.subject, err = planSubject(row.Eiffel, row.SubjectFrom, row.rule); err != nil {
			return fmt.Errorf("subject_from: %w", err)
		}
	}
	if row.Environment != "" {
		if row.environment = environmentJudgements[row.Environment]; row.environment == nil {
			return fmt.Errorf("there is no judgement %q of the environment", row.Environment)
		}
	}
	switch {
	case row.Choose != "":
		if row.choose = choiceJudgements[row.Choose]; row.choose == nil {
			return fmt.Errorf("there is no judgement %q to choose by", row.Choose)
		}
	case row.ChooseLink != "":
		row.choose = func(t *toCDEvents) string {
			if target(t.links, row.ChooseLink) != "" {
				return row.CDEvent[1]
			}
			return row.CDEvent[0]
		}
	}
	if row.content, err = planFields(g, row.Content, contentJudgements); err != nil {
		return err
	}
	for i := range row.content {
		if by := linkedMember(row.content[i].Field); by != nil {
			row.content[i].by, row.content[i].rule = by, row.rule
		}
	}
	names := row.CDEvent
	if row.Eiffel != mappings.Any {
		names = append(slices.Clone(names), customName(row.Eiffel))
	}
	for _, name := range names {
		row.outputs = append(row.outputs, g.newCDEventOutput(row, name))
	}
	return nil
}

// output is what the row becomes as the CDEvent that it names so.
func (g *Engine) output(row *rowToCDEvents, key string) *cdeventOutput {
	for _, o := range row.outputs {
		if o.key == key {
			return o
		}
	}
	return g.newCDEventOutput(row, key) // the custom event of a type that has no row
}

func (g *Engine) newCDEventOutput(row *rowToCDEvents, key string) *cdeventOutput {
	o := &cdeventOutput{key: key, name: key}
	if strings.HasPrefix(key, "dev.") {
		o.full, o.name = key, nameOfType(key)
	}
	o.custom = isCustom(o.name)
	g.findSchema(o)
	if o.refusal != "" {
		return o
	}
	for i := range row.content {
		f := &row.content[i]
		p := newPlace(o.schema, "/subject/content", f.To)
		if !p.Named() && f.Was != "" {
			p = newPlace(o.schema, "/subject/content", f.Was)
		}
		p.rule = f.rule
		o.content = append(o.content, p)
	}
	o.specversion, o.chainID = o.schema.Has("/context/specversion"), o.schema.Has("/context/chainId")
	o.subjectSource = o.schema.Place("/subject/source")
	o.links, o.subjectType = o.schema.Has("/context/links"), o.schema.Has("/subject/type")
	return o
}

// findSchema finds what the output version has for an event.
func (g *Engine) findSchema(o *cdeventOutput) {
	subject, predicate, _ := strings.Cut(o.name, ".")
	spec := g.settings.Spec
	full, ok := schema.CDEventType(spec, subject, predicate)
	switch {
	case o.full != "" && spec == "0.3":
		o.refusal = fmt.Sprintf("becomes %s, a type of an overlay; version %s of CDEvents has no room for those", o.full, spec)
		return
	case o.full != "":
		full, ok = o.full, true
	case o.custom:
		full, ok = "dev.cdeventsx."+o.name+"."+customVersion, spec != "0.3"
	}
	if !ok {
		o.refusal = fmt.Sprintf("becomes %s, which version %s of CDEvents does not have", o.name, spec)
		return
	}
	version, _ := schema.SpecVersion(spec)
	s, err := schema.ForCDEvent(full, version)
	if err != nil && o.full != "" {
		// An overlay's type that is not known here has no schema: its context is that of any event.
		s, err = schema.ForCDEvent("dev.cdeventsx.eiffel-event.published."+customVersion, version)
	}
	if err != nil {
		o.refusal = fmt.Sprintf("cannot be written as %s: %v", o.name, err)
		return
	}
	o.schema = s
}

// eventType is the full type of the event.
func (o *cdeventOutput) eventType() string {
	switch {
	case o.full != "":
		return o.full
	case o.custom:
		return "dev.cdeventsx." + o.name + "." + customVersion
	}
	return o.schema.Type()
}

func planFields[T any](g *Engine, list []mappings.Field, judgements map[string]func(*T, *place) value) ([]field[T], error) {
	var out []field[T]
	for i := range list {
		f, err := planField(g, &list[i], judgements)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", list[i].To, err)
		}
		f.again = i > 0 && list[i-1].To == f.To
		out = append(out, f)
	}
	return out, nil
}

func planField[T any](g *Engine, in *mappings.Field, judgements map[string]func(*T, *place) value) (f field[T], err error) {
	f = field[T]{Field: in, vocabulary: g.vocabularies[in.Vocabulary], rule: "vocabulary " + in.Vocabulary}
	if f.needs, err = newPath(in.Needs); err != nil {
		return f, err
	}
	for _, from := range in.From {
		o := origin{source: from == mappings.FromSource, subjectSource: from == mappings.FromSubjectSource, category: from == mappings.FromCategory}
		key, custom := strings.CutPrefix(from, mappings.FromCustom)
		switch {
		case o.source, o.subjectSource, o.category:
		case custom:
			o.custom = key
		default:
			if o.path, err = newPath(from); err != nil {
				return f, err
			}
		}
		f.from = append(f.from, o)
	}
	if f.text, err = planText(in.Text); err != nil {
		return f, err
	}
	if f.By != "" {
		f.rule = "judgement " + f.By
		if f.by = judgements[f.By]; f.by == nil {
			return f, fmt.Errorf("there is no judgement %q", f.By)
		}
	}
	if f.Const != nil {
		if f.fixed, err = json.Marshal(f.Const); err != nil {
			return f, fmt.Errorf("const: %w", err)
		}
	}
	return f, nil
}

func newPath(pointer string) (jsondoc.Path, error) {
	path, ok := jsondoc.NewPath(pointer)
	if !ok {
		return nil, fmt.Errorf("%q is no JSON pointer", pointer)
	}
	return path, nil
}

// planText splits a text where {event} or {JSON pointer} stands in it.
func planText(text string) (parts []textPart, err error) {
	for text != "" {
		before, rest, more := strings.Cut(text, "{")
		if before != "" {
			parts = append(parts, textPart{fixed: before})
		}
		if !more {
			break
		}
		inside, after, closed := strings.Cut(rest, "}")
		part := textPart{event: inside == "event"}
		if !part.event {
			if part.path, err = newPath(inside); err != nil || !closed || part.path == nil {
				return nil, fmt.Errorf("text: {%s} is neither {event} nor a JSON pointer in braces", inside)
			}
		}
		parts = append(parts, part)
		text = after
	}
	return parts, nil
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

// linkRules are the link rules of an Eiffel event type in the output edition, nil if the edition does not have it.
func (g *Engine) linkRules(eiffelType string) []schema.LinkRule {
	if s := g.eiffel[eiffelType].schema; s != nil {
		return s.LinkRules()
	}
	return nil
}

// readsCustom tells whether the row reads an entry of custom data of that key for the CDEvent that it becomes.
func (row *rowToCDEvents) readsCustom(out *cdeventOutput, key string) bool {
	for i := range row.content {
		for _, o := range row.content[i].from {
			if o.custom != "" && o.custom == key && out.content[i].Named() {
				return true
			}
		}
	}
	return false
}
