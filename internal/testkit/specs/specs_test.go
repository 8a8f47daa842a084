package specs_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/internal/testkit/specs"
)

// schemas reads those below a folder: of Eiffel by type and version, of CDEvents by $id, since the SDK does not name files.
func schemas(t *testing.T, folder string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for _, pattern := range []string{"eiffel/schemas/*/*.json", "cdevents/*/schemas/*.json", "cdevents/*/schemas/links/*.json"} {
		files, err := filepath.Glob(filepath.Join(folder, filepath.FromSlash(pattern)))
		if err != nil || len(files) == 0 {
			t.Fatalf("no files %s: %v", pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var schema struct {
				ID string `json:"$id"`
			}
			if err := json.Unmarshal(text, &schema); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			if schema.ID == "" {
				if schema.ID, err = filepath.Rel(folder, file); err != nil {
					t.Fatal(err)
				}
			}
			out[schema.ID] = bytes.TrimSpace(text)
		}
	}
	return out
}

// TestModulesAgreeWithTheSpecifications counts what stands in for the specifications, and holds it to them where they are
// at hand.
func TestModulesAgreeWithTheSpecifications(t *testing.T) {
	modules := schemas(t, specs.Modules(t))
	if len(modules) != 163+131+16 {
		t.Errorf("%d schemas, want 163 of Eiffel, 131 of CDEvents and 16 of its links", len(modules))
	}
	t.Logf("%d schemas", len(modules))
	folder := specs.Folder(t)
	if folder == "" {
		return
	}
	all := schemas(t, folder)
	for id, text := range modules {
		if !bytes.Equal(text, all[id]) {
			t.Errorf("%s is not as the specifications have it", id)
		}
	}
}

func TestExamples(t *testing.T) {
	seen := map[string]bool{}
	for _, e := range specs.Examples(t) {
		if seen[e.Name] || len(e.JSON) == 0 {
			t.Errorf("%s is there twice or empty", e.Name)
		}
		seen[e.Name] = true
	}
	if len(seen) == 0 {
		t.Error("no examples")
	}
}
