package schema

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
)

// specsFolder is where the specifications are: EIFFELBRIDGE_SPECS, or ../shared/specs beside the repository; "" if they
// are not at hand.
func specsFolder(t testing.TB) string {
	t.Helper()
	folder := os.Getenv("EIFFELBRIDGE_SPECS")
	if folder == "" {
		dir, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		for {
			if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
				break
			}
			parent := filepath.Dir(dir)
			if parent == dir {
				return ""
			}
			dir = parent
		}
		folder = filepath.Join(dir, "..", "shared", "specs")
	}
	if _, err := os.Stat(filepath.Join(folder, "eiffel", "links.json")); err != nil {
		return ""
	}
	return folder
}

func needSpecs(t testing.TB) string {
	t.Helper()
	folder := specsFolder(t)
	if folder == "" {
		t.Skip("the specifications are not at hand: set EIFFELBRIDGE_SPECS to their folder")
	}
	return folder
}

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

func TestSpecificationExamplesAreValid(t *testing.T) {
	specs := needSpecs(t)
	for _, pattern := range []string{"cdevents/*/conformance/*.json", "eiffel/examples/events/*/*.json"} {
		files, err := filepath.Glob(filepath.Join(specs, filepath.FromSlash(pattern)))
		if err != nil || len(files) == 0 {
			t.Fatalf("no files %s: %v", pattern, err)
		}
		for _, file := range files {
			name := strings.TrimPrefix(file, specs)
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			d := mustParse(t, text)
			s, err := schemaOf(d)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if s.Lenient() {
				t.Errorf("%s: lenient", name)
			}
			for _, f := range s.Validate(d) {
				t.Errorf("%s: %s", name, f)
			}
			for _, f := range s.ValidateLinks(d, nil) {
				t.Errorf("%s: %s", name, f)
			}
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
