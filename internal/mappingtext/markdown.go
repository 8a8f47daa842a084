package mappingtext

import (
	"cmp"
	"embed"
	"slices"
	"strings"
	"sync"
	"text/template"

	"github.com/eiffelbridge/eiffelbridge/mappings"
)

//go:embed *.tmpl
var templateFiles embed.FS

// templates are parsed when they are first used, since most commands use none.
var templates = sync.OnceValues(func() (*template.Template, error) {
	return template.New("").Funcs(template.FuncMap{"cell": Cell, "code": Code, "names": names, "types": bySubject}).ParseFS(templateFiles, "*.tmpl")
})

func render(name string, view any) (string, error) {
	t, err := templates()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = t.ExecuteTemplate(&b, name, view)
	return b.String(), err
}

// Markdown is the whole catalogue as two tables, a row each.
func Markdown(c *mappings.Catalogue) (string, error) { return render("catalogue.md.tmpl", Rows(c)) }

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

// summaryView is a line of the summary: a family, and what becomes what in it.
type summaryView struct {
	Name                 string
	ToEiffel, ToCDEvents []summaryEntry
}

type summaryEntry struct {
	From []string // event types that become the same
	To   string   // in Markdown
}

// Summary is the catalogue as a table of a few lines, by family: what becomes what, without fields and links. Types of a family
// that become the same stand together.
func Summary(c *mappings.Catalogue) (string, error) {
	return render("summary.md.tmpl", summaryViews(c))
}

func summaryViews(c *mappings.Catalogue) []summaryView {
	there, back := map[string][]summaryEntry{}, map[string][]summaryEntry{}
	for i := range c.ToEiffel {
		r := &c.ToEiffel[i]
		if r.Eiffel == announced && (r.If != "" || r.When != nil) {
			continue // an exception, for what has no later version in Eiffel; the type's last row says what it becomes
		}
		subject, _, _ := strings.Cut(r.CDEvent, ".")
		add(there, subject, anyName(r.CDEvent, "every other CDEvent"), names(ShortEiffel(r.Eiffel)))
	}
	for i := range c.ToCDEvents {
		r := &c.ToCDEvents[i]
		subject, to := "", "a custom event"
		if len(r.CDEvent) > 0 {
			subject, _, _ = strings.Cut(strings.TrimPrefix(r.CDEvent[0], "eiffel-"), ".")
			to = bySubject(r.CDEvent)
		}
		add(back, subject, ShortEiffel(anyName(r.Eiffel, "every other Eiffel event")), to)
	}
	var out []summaryView
	for _, f := range append(slices.Clone(families), family{name: others}) {
		if v := (summaryView{f.name, there[f.name], back[f.name]}); v.ToEiffel != nil || v.ToCDEvents != nil {
			out = append(out, v)
		}
	}
	return out
}

// add notes what a type of a subject becomes, by family, in the catalogue's order.
func add(entries map[string][]summaryEntry, subject, from, to string) {
	name := cmp.Or(FamilyOf(subject), others)
	list := entries[name]
	i := slices.IndexFunc(list, func(e summaryEntry) bool { return e.To == to })
	switch {
	case i < 0:
		entries[name] = append(list, summaryEntry{[]string{from}, to})
	case !slices.Contains(list[i].From, from):
		list[i].From = append(list[i].From, from)
	}
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
