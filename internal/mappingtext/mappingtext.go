// Package mappingtext says in words what the rows of the catalogue (package mappings) say as data. The command's `mappings`, the
// README and the mapping documentation are made with it, so that they use the same words.
package mappingtext

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/mappings"
)

// The places in which the catalogue names a judgement; the same name may mean different things in different places.
const (
	If          = "if"          // ToEiffel.If
	Data        = "data"        // Field.By of ToEiffel.Data and ToEiffel.Custom
	Choose      = "choose"      // ToCDEvents.Choose
	Subject     = "subject"     // ToCDEvents.Subject
	Environment = "environment" // ToCDEvents.Environment
	Content     = "content"     // Field.By of ToCDEvents.Content
)

// Judgement names a judgement.
type Judgement struct {
	Place string // one of the constants
	Name  string
}

// Explanations are what all judgements of a catalogue decide, in Markdown; links in it begin at docs/mappings/<protocol>.
func Explanations(c *mappings.Catalogue) map[Judgement]string {
	out := map[Judgement]string{}
	for place, texts := range map[string]map[string]string{
		If: c.Judgements.If, Data: c.Judgements.Data, Choose: c.Judgements.Choose, Subject: c.Judgements.Subject,
		Environment: c.Judgements.Environment, Content: c.Judgements.Content,
	} {
		for name, text := range texts {
			out[Judgement{place, name}] = text
		}
	}
	return out
}

// Explain says what a judgement decides; without an explanation it gives the name alone.
func Explain(c *mappings.Catalogue, place, name string) string {
	if text := Explanations(c)[Judgement{place, name}]; text != "" {
		return text
	}
	return "Judgement `" + name + "`."
}

// Judgements are those that a catalogue names, in its order, each once.
func Judgements(c *mappings.Catalogue) []Judgement {
	var out []Judgement
	seen := map[Judgement]bool{}
	add := func(place, name string) {
		if j := (Judgement{place, name}); name != "" && !seen[j] {
			seen[j] = true
			out = append(out, j)
		}
	}
	for i := range c.ToEiffel {
		r := &c.ToEiffel[i]
		add(If, r.If)
		for _, list := range [][]mappings.Field{r.Data, r.Custom} {
			for _, f := range list {
				add(Data, f.By)
			}
		}
	}
	for i := range c.ToCDEvents {
		r := &c.ToCDEvents[i]
		add(Choose, r.Choose)
		add(Subject, r.Subject)
		add(Environment, r.Environment)
		for _, f := range r.Content {
			add(Content, f.By)
		}
	}
	return out
}

// ShortEiffel leaves out what all Eiffel event types share: EiffelArtifactDeployedEvent is ArtifactDeployed.
func ShortEiffel(eventType string) string {
	if !strings.HasPrefix(eventType, "Eiffel") {
		return eventType // a CDEvent, or words
	}
	return strings.TrimSuffix(strings.TrimPrefix(eventType, "Eiffel"), "Event")
}

// Dotted writes a JSON pointer as people do: /subject/content/name is subject.content.name.
func Dotted(pointer string) string {
	return strings.ReplaceAll(strings.TrimPrefix(pointer, "/"), "/", ".")
}

// Row is a row of the catalogue as people read it.
type Row struct {
	ToEiffel  bool
	From      string // event type, or "every other CDEvent" and the like
	Condition string // empty: none
	To        string // event types, or "a custom event"
	Fields    []string
	About     string
}

// Rows are the rows of a catalogue, in its order: those to Eiffel first.
func Rows(c *mappings.Catalogue) []Row {
	var rows []Row
	for i := range c.ToEiffel {
		r := &c.ToEiffel[i]
		row := Row{ToEiffel: true, From: anyName(r.CDEvent, "every other CDEvent"), Condition: condition(r.If, r.When), To: r.Eiffel, About: r.About}
		for _, l := range r.Links {
			row.Fields = append(row.Fields, Link(l))
		}
		for _, f := range r.Data {
			row.Fields = append(row.Fields, Field(f, "/data", "/subject/content"))
		}
		for _, f := range r.Custom {
			row.Fields = append(row.Fields, "customData."+Field(f, "", "/subject/content"))
		}
		rows = append(rows, row)
	}
	for i := range c.ToCDEvents {
		r := &c.ToCDEvents[i]
		row := Row{From: anyName(r.Eiffel, "every other Eiffel event"), Condition: condition("", r.When), To: strings.Join(r.CDEvent, ", "), About: r.About}
		if row.To == "" {
			row.To = "a custom event"
		}
		if r.SubjectID != nil {
			row.Fields = append(row.Fields, "subject.id = "+r.SubjectID.String())
		}
		for _, l := range r.Links {
			row.Fields = append(row.Fields, "RELATION "+l.Kind+" to "+l.Value.String())
		}
		for _, f := range r.Content {
			row.Fields = append(row.Fields, Field(f, "/subject/content", "/data"))
		}
		if len(r.CDEvent) == 1 && IsCustom(r.CDEvent[0]) && len(r.Content) == 0 {
			row.Fields = append(row.Fields, "content is data")
		}
		rows = append(rows, row)
	}
	return rows
}

// IsCustom tells whether a CDEvent of a row is a custom event of the bridge's own, eiffel-<subject>.<predicate>.
func IsCustom(name string) bool { return strings.HasPrefix(name, "eiffel-") }

func anyName(name, every string) string {
	if name == mappings.Any {
		return every
	}
	return name
}

// condition says when a row counts; judgements are written name(), as in the fields.
func condition(judgement string, when mappings.Expression) string {
	var parts []string
	if judgement != "" {
		parts = append(parts, judgement+"()")
	}
	if when != nil {
		parts = append(parts, when.String())
	}
	return strings.Join(parts, " and ")
}

// Link says what a row's link leads to.
func Link(l mappings.Link) string {
	text := l.Type + " to "
	switch l.Target {
	case mappings.TargetPrevious:
		text += "the last version"
	case mappings.TargetRunning:
		text += "what runs"
	case mappings.TargetTested:
		text += "the item under test"
	case mappings.TargetValue:
		text += l.Value.String()
	default:
		text += "the " + l.Subject + "'s "
		if l.Or != "" {
			text += ShortEiffel(l.Or) + " or "
		}
		text += ShortEiffel(l.Anchor)
	}
	if l.Required {
		text += ", made up if unknown"
	}
	var with []string
	for _, w := range l.With {
		with = append(with, Link(w))
	}
	if len(with) > 0 {
		text += " with " + strings.Join(with, " and ")
	}
	return text
}

// Field writes to = the first of from that is there, else what a judgement says, else a constant. Pointers lose the prefix that
// nearly all on their side share.
func Field(f mappings.Field, to, from string) string {
	var sources []string
	for _, p := range f.From {
		if p == mappings.FromSubjectSource {
			p = "/subject/source or source"
		}
		if key, custom := strings.CutPrefix(p, mappings.FromCustom); custom {
			p = "/customData." + key
		}
		sources = append(sources, Dotted(trimBase(p, from)))
	}
	if f.By != "" {
		sources = append(sources, f.By+"()")
	}
	if f.NameOf != "" {
		sources = append(sources, "the name of the target of "+f.NameOf)
	}
	if f.Within != nil {
		sources = append(sources, "the "+f.Within.Kind+" of its "+f.Within.Link)
	}
	if f.Text != "" {
		sources = append(sources, Template(f.Text))
	}
	if f.Value != nil {
		sources = append(sources, f.Value.String())
	}
	if f.Const != nil {
		sources = append(sources, Constant(f.Const))
	}
	text := Dotted(trimBase(f.To, to)) + " = " + strings.Join(sources, " or ")
	if f.Vocabulary != "" {
		text += " in the words of " + f.Vocabulary
	}
	if f.Needs != "" {
		text += " if there is " + Dotted(trimBase(f.Needs, from))
	}
	if f.Fill != "" {
		text += " or the id of " + fillName(f.Fill)
	}
	return text
}

// Template writes the text of a field as people do: <subject> <predicate>: <subject.id>.
func Template(text string) string {
	return braces.ReplaceAllStringFunc(text, func(part string) string {
		if part == "{event}" {
			return "<subject> <predicate>"
		}
		return "<" + Dotted(part[1:len(part)-1]) + ">"
	})
}

var braces = regexp.MustCompile(`\{[^}]*\}`)

func trimBase(pointer, base string) string {
	if rest, ok := strings.CutPrefix(pointer, base+"/"); ok {
		return "/" + rest
	}
	return pointer
}

func fillName(fill string) string {
	if fill == mappings.FillSelf {
		return "the event itself"
	}
	return "the target of " + fill
}

// Constant writes a fixed value as JSON.
func Constant(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}
