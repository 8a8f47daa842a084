package schema

import (
	"testing"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/internal/testkit/specs"
)

func mustParse(t testing.TB, text []byte) *jsondoc.Document {
	t.Helper()
	d, err := jsondoc.Parse(text)
	if err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return d
}

// schemaOf looks up the schema that an event names.
func schemaOf(d *jsondoc.Document) (*Schema, error) {
	if m := d.Root().Get("meta"); m.Exists() {
		return ForEiffel(m.Get("type").Str(), m.Get("version").Str())
	}
	c := d.Root().Get("context")
	version := c.Get("specversion").Str()
	if version == "" {
		version = c.Get("version").Str()
	}
	return ForCDEvent(c.Get("type").Str(), version)
}

func TestExamplesAreValid(t *testing.T) {
	for _, e := range specs.Examples(t) {
		d := mustParse(t, e.JSON)
		s, err := schemaOf(d)
		if err != nil {
			t.Errorf("%s: %v", e.Name, err)
			continue
		}
		if s.Lenient() {
			t.Errorf("%s: lenient", e.Name)
		}
		for _, f := range s.Validate(d) {
			t.Errorf("%s: %s", e.Name, f)
		}
		for _, f := range s.ValidateLinks(d, nil) {
			t.Errorf("%s: %s", e.Name, f)
		}
	}
}

func TestEveryRowIsReadable(t *testing.T) {
	for _, table := range []*table{&eiffel, &cdevents} {
		for _, rows := range table.get().byType {
			for _, r := range rows {
				if _, err := r.schema(false); err != nil {
					t.Error(err)
				}
			}
		}
	}
}
