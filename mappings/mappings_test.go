package mappings_test

import (
	"strings"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/mappings"
)

const smallest = `version: 1
to_eiffel:
  - {cdevent: "*", eiffel: EiffelAnnouncementPublishedEvent, id: event, learns: event}
to_cdevents:
  - {eiffel: "*", cdevent: [], learns: event}
`

func TestLoad(t *testing.T) {
	c, err := mappings.Load()
	if err != nil {
		t.Fatal(err)
	}
	if len(c.ToEiffel) == 0 || len(c.ToCDEvents) == 0 || len(c.Golden) == 0 {
		t.Errorf("the catalogue has %d, %d rows and %d golden vectors", len(c.ToEiffel), len(c.ToCDEvents), len(c.Golden))
	}
	other, err := mappings.Load()
	if err != nil {
		t.Fatal(err)
	}
	other.ToEiffel[0].Eiffel = "changed"
	if c.ToEiffel[0].Eiffel == "changed" {
		t.Error("two catalogues share their rows")
	}
	if _, err := mappings.Parse([]byte(smallest)); err != nil {
		t.Errorf("the smallest catalogue: %v", err)
	}
}

func TestParseNamesWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct{ old, new, says string }{
		"no YAML":           {"version: 1", "version: [", "line 1: not YAML"},
		"unknown key":       {"learns: event}\nto_cdevents", "learn: event}\nto_cdevents", "line 3: to_eiffel[0].learn: is not a known key; did you mean learns?"},
		"other version":     {"version: 1", "version: 2", "version 2 is not known"},
		"no row for others": {`cdevent: "*"`, `cdevent: a.b`, `to_eiffel has no row "*"`},
		"not a name":        {`cdevent: "*"`, `cdevent: a`, "subject.predicate"},
		"twice":             {"to_cdevents:", "to_cdevents:\n  - {eiffel: \"*\", cdevent: [], learns: event}", `row "*" never counts`},
		"id":                {"id: event", "id: other", `id is "other"; allowed are anchor, event`},
		"learns":            {"learns: event}\nto_cdevents", "learns: all}\nto_cdevents", `learns is "all"`},
		"nothing to choose": {"cdevent: []", "cdevent: [a.b, c.d]", "choose is missing"},
		"link":              {"id: event,", "id: event, links: [{type: CAUSE, target: anchor}],", "needs anchor, subject and reference"},
		"target":            {"id: event,", "id: event, links: [{type: CAUSE, target: it}],", `target of the link CAUSE is "it"`},
		"pointer":           {"id: event,", "id: event, data: [{to: name, by: x}],", `"name" is no JSON pointer`},
		"field of nothing":  {"id: event,", "id: event, data: [{to: /name}],", "none of from, by, name_of, within, text, const and value"},
		"format":            {"cdevent: []", "cdevent: [], content: [{to: /a, from: [/b], format: date}]", `format "date" is not known`},
		"vocabulary":        {"id: event,", "id: event, data: [{to: /name, from: [/a], vocabulary: x}],", `no vocabulary "x"`},
		"activity":          {"version: 1", "version: 1\nactivities: [{kind: Build}]", `kind "Build"`},
	} {
		text := strings.Replace(smallest, c.old, c.new, 1)
		if text == smallest {
			t.Fatalf("%s: nothing to replace", name)
		}
		if _, err := mappings.Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: the error does not say %q: %v", name, c.says, err)
		}
	}
}
