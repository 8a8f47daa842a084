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

// announced is the Eiffel event for what Eiffel has no event for.
const announced = "EiffelAnnouncementPublishedEvent"

// others is the last line of the summary.
const others = "All others"

// Summary is the catalogue as a table of a few lines, by family: what becomes what, without fields and links. Types of a family
// that become the same stand together.
func Summary(c *mappings.Catalogue) string {
	var there, back summary
	for i := range c.ToEiffel {
		r := &c.ToEiffel[i]
		if r.Eiffel == announced && (r.If != "" || r.When != nil) {
			continue // an exception, for what has no later version in Eiffel; the type's last row says what it becomes
		}
		subject, _, _ := strings.Cut(r.CDEvent, ".")
		there.add(FamilyOf(subject), anyName(r.CDEvent, "every other CDEvent"), names(ShortEiffel(r.Eiffel)))
	}
	for i := range c.ToCDEvents {
		r := &c.ToCDEvents[i]
		if len(r.CDEvent) == 0 {
			back.add("", anyName(r.Eiffel, "every other Eiffel event"), "a custom event")
			continue
		}
		subject, _, _ := strings.Cut(strings.TrimPrefix(r.CDEvent[0], "eiffel-"), ".")
		back.add(FamilyOf(subject), ShortEiffel(r.Eiffel), bySubject(r.CDEvent))
	}
	var b strings.Builder
	b.WriteString("| | CDEvents to Eiffel | Eiffel to CDEvents |\n|---|---|---|\n")
	for _, name := range append(familyNames(), others) {
		forth, home := there.lines(name), back.lines(name)
		if len(forth) > 0 || len(home) > 0 {
			fmt.Fprintf(&b, "| **%s** | %s | %s |\n", name, strings.Join(forth, "<br>"), strings.Join(home, "<br>"))
		}
	}
	return b.String()
}

// summary is one direction of the summary, in the catalogue's order.
type summary struct{ entries []summaryEntry }

type summaryEntry struct {
	family string
	from   []string // event types that become the same
	to     string
}

func (s *summary) add(family, from, to string) {
	if family == "" {
		family = others
	}
	for i := range s.entries {
		if e := &s.entries[i]; e.family == family && e.to == to {
			if !slices.Contains(e.from, from) {
				e.from = append(e.from, from)
			}
			return
		}
	}
	s.entries = append(s.entries, summaryEntry{family, []string{from}, to})
}

func (s *summary) lines(family string) []string {
	var out []string
	for _, e := range s.entries {
		if e.family == family {
			out = append(out, bySubject(e.from)+" → "+e.to)
		}
	}
	return out
}

func familyNames() []string {
	var out []string
	for _, f := range families {
		out = append(out, f.name)
	}
	return out
}

// bySubject writes event types; CDEvents of one subject stand together: `service.deployed`, `.upgraded`.
func bySubject(list []string) string {
	var out []string
	last := ""
	for _, name := range list {
		subject, predicate, isCDEvent := strings.Cut(name, ".")
		switch {
		case IsCustom(name):
			if !slices.Contains(out, "a custom event") {
				out = append(out, "a custom event")
			}
		case !isCDEvent:
			out = append(out, names(name))
		case subject == last:
			out = append(out, "`."+predicate+"`")
		default:
			out = append(out, "`"+name+"`")
		}
		last = subject
	}
	return strings.Join(out, ", ")
}
