package cli

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eiffelbridge/eiffelbridge/mappings"
)

func (c *command) mappingsVerb() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "mappings",
		Short: "Print what maps to what, both ways",
		Long: `Print the whole catalogue of mappings: what each CDEvent becomes in Eiffel and what each Eiffel
event becomes in CDEvents, with the fields and links of each row. The markdown form is what the
documentation has; the json form has every field of every row. With --mappings it is the catalogue
as it is with mappings of your own over it.`,
		Example: `  eiffelbridge mappings
  eiffelbridge mappings --format markdown
  eiffelbridge mappings --mappings ours.yaml
  eiffelbridge mappings --format json | jq '.to_eiffel[] | select(.cdevent == "service.deployed")'`,
		Args: cobra.NoArgs,
	}
	format := chosen(cmd, "format", "table", "form of the output", "table", "markdown", "json")
	var files []string
	addMappings(cmd, &files)
	cmd.AddCommand(c.mappingsTestVerb())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		catalogue, err := c.catalogue(files)
		if catalogue == nil && err == nil {
			catalogue, err = mappings.Load()
		}
		if err != nil {
			return err
		}
		p := &painter{w: c.out}
		switch *format {
		case "json":
			return writeIndented(c.out, struct {
				ToEiffel   []mappings.ToEiffel   `json:"to_eiffel"`
				ToCDEvents []mappings.ToCDEvents `json:"to_cdevents"`
			}{catalogue.ToEiffel, catalogue.ToCDEvents})
		case "markdown":
			_, err := fmt.Fprint(c.out, MappingsMarkdown(catalogue))
			return err
		}
		var there, back [][]cell
		for _, r := range catalogueRows(catalogue) {
			row := []cell{{shortEiffel(r.from), bold}, {"->", dim}, {shortEiffel(r.to), plain}, {strings.Join(r.fields, "; "), plain}}
			if r.toEiffel {
				there = append(there, row)
			} else {
				back = append(back, row)
			}
		}
		p.line("CDEvents to Eiffel")
		p.table("  ", 36, there)
		p.line("")
		p.line("Eiffel to CDEvents")
		p.table("  ", 36, back)
		return p.err
	}
	return cmd
}

// catalogueRow is a row of the catalogue as people read it.
type catalogueRow struct {
	toEiffel bool
	from, to string
	fields   []string // links and members
	about    string
}

func catalogueRows(c *mappings.Catalogue) []catalogueRow {
	var rows []catalogueRow
	for _, r := range c.ToEiffel {
		row := catalogueRow{toEiffel: true, from: anyName(r.CDEvent, "every other CDEvent"), to: r.Eiffel, about: r.About}
		row.condition(r.When)
		for _, l := range r.Links {
			row.fields = append(row.fields, linkText(l))
		}
		for _, f := range r.Data {
			row.fields = append(row.fields, fieldText(f, "/data", "/subject/content"))
		}
		for _, f := range r.Custom {
			row.fields = append(row.fields, "customData."+fieldText(f, "/data", "/subject/content"))
		}
		rows = append(rows, row)
	}
	for _, r := range c.ToCDEvents {
		row := catalogueRow{from: anyName(r.Eiffel, "every other Eiffel event"), to: strings.Join(r.CDEvent, ", "), about: r.About}
		if row.to == "" {
			row.to = "a custom event"
		}
		row.condition(r.When)
		if r.SubjectID != nil {
			row.fields = append(row.fields, "subject.id = "+oneLine(r.SubjectID.String()))
		}
		for _, l := range r.Links {
			row.fields = append(row.fields, "link "+l.Kind+" = "+oneLine(l.Value.String()))
		}
		for _, f := range r.Content {
			row.fields = append(row.fields, fieldText(f, "/subject/content", "/data"))
		}
		if len(r.CDEvent) == 1 && strings.HasPrefix(r.CDEvent[0], "eiffel-") {
			row.fields = append(row.fields, "content is data")
		}
		rows = append(rows, row)
	}
	return rows
}

// condition adds the condition of an overlay's row.
func (r *catalogueRow) condition(when mappings.Expression) {
	if when != nil {
		r.fields = append(r.fields, "if "+oneLine(when.String()))
	}
}

func anyName(name, every string) string {
	if name == mappings.Any {
		return every
	}
	return name
}

// shortEiffel leaves out what all Eiffel event types share.
func shortEiffel(eventType string) string {
	if !strings.HasPrefix(eventType, "Eiffel") {
		return eventType // a CDEvent, or words
	}
	return strings.TrimSuffix(strings.TrimPrefix(eventType, "Eiffel"), "Event")
}

func linkText(l mappings.Link) string {
	text := l.Type + " to "
	switch l.Target {
	case mappings.TargetPrevious:
		text += "the last version"
	case mappings.TargetRunning:
		text += "what runs"
	case mappings.TargetValue:
		return l.Type + " = " + oneLine(l.Value.String())
	default:
		text += "the " + l.Subject + "'s " + shortEiffel(l.Anchor)
	}
	if l.Required {
		text += ", made up if unknown"
	}
	return text
}

// fieldText writes to = first of from. Pointers lose the prefix that nearly all on their side share.
func fieldText(f mappings.Field, to, from string) string {
	name := func(pointer, base string) string {
		return strings.ReplaceAll(strings.TrimPrefix(strings.TrimPrefix(pointer, base), "/"), "/", ".")
	}
	var sources []string
	for _, p := range f.From {
		sources = append(sources, name(p, from))
	}
	if f.By != "" {
		sources = append(sources, f.By+"()")
	}
	if f.Const != nil {
		text, err := json.Marshal(f.Const)
		if err != nil {
			text = []byte("?") // cannot be: it came from YAML
		}
		sources = append(sources, string(text))
	}
	if f.Value != nil {
		sources = append(sources, strings.TrimSpace(oneLine(strings.ReplaceAll(f.Value.String(), "\n", " "))))
	}
	return name(f.To, to) + " = " + strings.Join(sources, " or ")
}

// MappingsMarkdown is the catalogue as the documentation has it.
func MappingsMarkdown(c *mappings.Catalogue) string {
	var b strings.Builder
	table := func(title string, toEiffel bool, from, to string) {
		fmt.Fprintf(&b, "**%s**\n\n| %s | %s | Links and fields | Notes |\n|---|---|---|---|\n", title, from, to)
		for _, r := range catalogueRows(c) {
			if r.toEiffel != toEiffel {
				continue
			}
			var fields []string
			for _, f := range r.fields {
				fields = append(fields, "`"+f+"`")
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", code(r.from), code(r.to), strings.Join(fields, "<br>"), escapePipes(r.about))
		}
	}
	table("CDEvents to Eiffel", true, "CDEvent", "Eiffel event")
	b.WriteString("\n")
	table("Eiffel to CDEvents", false, "Eiffel event", "CDEvent")
	b.WriteString("\n`name()` is a judgement: what it decides needs more than one field. The first that is there counts of what `or` joins.\n")
	return b.String()
}

// code marks names, not words.
func code(text string) string {
	if strings.Contains(text, "every other") || strings.HasPrefix(text, "a ") {
		return text
	}
	parts := strings.Split(text, ", ")
	for i, p := range parts {
		parts[i] = "`" + p + "`"
	}
	return strings.Join(parts, ", ")
}

func escapePipes(text string) string { return strings.ReplaceAll(text, "|", "\\|") }

// writeIndented writes a value as JSON for people and programs.
func writeIndented(w interface{ Write([]byte) (int, error) }, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}
