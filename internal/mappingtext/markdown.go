package mappingtext

import (
	"fmt"
	"slices"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/mappings"
)

// Markdown is the whole catalogue as two tables, a row each.
func Markdown(c *mappings.Catalogue) string {
	var b strings.Builder
	table := func(title string, toEiffel bool, from, to string) {
		fmt.Fprintf(&b, "**%s**\n\n| %s | %s | Links and fields | Notes |\n|---|---|---|---|\n", title, from, to)
		for _, r := range Rows(c) {
			if r.ToEiffel != toEiffel {
				continue
			}
			var fields []string
			for _, f := range r.Fields {
				fields = append(fields, Code(f))
			}
			name := names(r.From)
			if r.Condition != "" {
				name += "<br>if " + Code(r.Condition)
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", name, names(r.To), strings.Join(fields, "<br>"), Cell(r.About))
		}
	}
	table("CDEvents to Eiffel", true, "CDEvent", "Eiffel event")
	b.WriteString("\n")
	table("Eiffel to CDEvents", false, "Eiffel event", "CDEvent")
	b.WriteString("\n`name()` is a judgement: what it decides needs more than one field. The first that is there counts of what `or` joins; " +
		"of several rows of one type, the first whose condition holds.\n")
	return b.String()
}

// names marks event types, not words.
func names(text string) string {
	if strings.Contains(text, "every other") || strings.HasPrefix(text, "a ") {
		return text
	}
	parts := strings.Split(text, ", ")
	for i, p := range parts {
		parts[i] = Code(p)
	}
	return strings.Join(parts, ", ")
}

// Code marks text as code, for a cell of a table.
func Code(text string) string {
	fence := "`"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	if fence != "`" {
		text = " " + text + " "
	}
	return fence + Cell(text) + fence
}

// Cell is text for a cell of a table: on one line, and without what would end the cell.
func Cell(text string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "|", "\\|")
}

// family is a group of subjects that people think of together.
type family struct {
	name     string
	subjects []string // of CDEvents, and those of the bridge's custom events
}

// families are those of the summary, in its order. Subjects of none make a last one.
var families = []family{
	{"Source code", []string{"repository", "branch", "change"}},
	{"Pipelines, builds", []string{"pipelinerun", "taskrun", "build", "activity"}},
	{"Artifacts", []string{"artifact", "composition"}},
	{"Tests", []string{"testsuiterun", "testcaserun", "testoutput", "testcase", "testsuite", "testexecutionrecipecollection"}},
	{"Environments and services", []string{"environment", "service", "confidencelevel"}},
	{"Tickets and incidents", []string{"ticket", "incident", "issue"}},
}

// FamilyOf is the name of the family of a CDEvents subject, "" for one that is in none.
func FamilyOf(subject string) string {
	for _, f := range families {
		if slices.Contains(f.subjects, subject) {
			return f.name
		}
	}
	return ""
}

// Summary is the catalogue as a table of a few lines, by family: what becomes what, without fields and links.
func Summary(c *mappings.Catalogue) string {
	const others = "All others"
	there, back := map[string][]string{}, map[string][]string{}
	add := func(lines map[string][]string, family, line string) {
		if family == "" {
			family = others
		}
		if !slices.Contains(lines[family], line) {
			lines[family] = append(lines[family], line)
		}
	}
	// Rows of a subject that have one target stand together: service.deployed, service.upgraded.
	type pair struct{ family, to string }
	var order []pair
	grouped := map[pair][]string{}
	for i := range c.ToEiffel {
		r := &c.ToEiffel[i]
		subject, _, _ := strings.Cut(r.CDEvent, ".")
		p := pair{FamilyOf(subject), r.Eiffel}
		if r.CDEvent == mappings.Any {
			p.family = others
		}
		if grouped[p] == nil {
			order = append(order, p)
		}
		if name := anyName(r.CDEvent, "every other CDEvent"); !slices.Contains(grouped[p], name) {
			grouped[p] = append(grouped[p], name)
		}
	}
	for _, p := range order {
		add(there, p.family, bySubject(grouped[p])+" → "+names(ShortEiffel(p.to)))
	}
	for i := range c.ToCDEvents {
		r := &c.ToCDEvents[i]
		line := names(ShortEiffel(anyName(r.Eiffel, "every other Eiffel event"))) + " → a custom event"
		family := others
		if len(r.CDEvent) > 0 {
			subject, _, _ := strings.Cut(strings.TrimPrefix(r.CDEvent[0], "eiffel-"), ".")
			family = FamilyOf(subject)
			line = names(ShortEiffel(r.Eiffel)) + " → " + bySubject(r.CDEvent)
		}
		add(back, family, line)
	}
	var b strings.Builder
	b.WriteString("| | CDEvents to Eiffel | Eiffel to CDEvents |\n|---|---|---|\n")
	for _, name := range append(familyNames(), others) {
		if there[name] != nil || back[name] != nil {
			fmt.Fprintf(&b, "| **%s** | %s | %s |\n", name, strings.Join(there[name], "<br>"), strings.Join(back[name], "<br>"))
		}
	}
	return b.String()
}

func familyNames() []string {
	var out []string
	for _, f := range families {
		out = append(out, f.name)
	}
	return out
}

// bySubject writes CDEvents, those of one subject together: `service.deployed`, `.upgraded`.
func bySubject(list []string) string {
	var out []string
	last := ""
	for _, name := range list {
		subject, predicate, ok := strings.Cut(name, ".")
		switch {
		case !ok:
			out = append(out, name)
		case IsCustom(name):
			if !slices.Contains(out, "a custom event") {
				out = append(out, "a custom event")
			}
		case subject == last:
			out = append(out, "`."+predicate+"`")
		default:
			out = append(out, "`"+name+"`")
		}
		last = subject
	}
	return strings.Join(out, ", ")
}
