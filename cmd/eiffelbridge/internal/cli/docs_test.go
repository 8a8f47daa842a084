package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/internal/mappingtext"
	"github.com/eiffelbridge/eiffelbridge/mappings"
)

// The documentation that is made from the program; UPDATE_GOLDEN=1 makes it anew.
const (
	root          = "../../../../"
	referenceFile = root + "docs/cli.md"
	readmeFile    = root + "README.md"
	mappingsBegin = "<!-- mappings:begin -->\n"
	mappingsEnd   = "<!-- mappings:end -->"
)

func TestReferenceIsCurrent(t *testing.T) {
	var want, stderr bytes.Buffer
	code := Main(context.Background(), Environment{Args: []string{"reference"}, Stdin: strings.NewReader(""), Stdout: &want, Stderr: &stderr,
		LookupEnv: func(string) (string, bool) { return "", false }})
	if code != Done {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(referenceFile, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(referenceFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Errorf("docs/cli.md is stale; make it anew: go run ./cmd/eiffelbridge reference > docs/cli.md\n%s", difference(want.String(), string(got)))
	}
}

// TestReadmeMappingsAreCurrent holds the README's summary to the catalogue.
func TestReadmeMappingsAreCurrent(t *testing.T) {
	catalogue, err := mappings.Load()
	if err != nil {
		t.Fatal(err)
	}
	want, err := mappingtext.Summary(catalogue)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(readmeFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), mappingsBegin)
	got, after, ended := strings.Cut(rest, mappingsEnd)
	if !ok || !ended {
		t.Fatalf("README.md has no section between %q and %q", mappingsBegin, mappingsEnd)
	}
	if got == want {
		return
	}
	if os.Getenv("UPDATE_GOLDEN") == "" {
		t.Fatalf("the summary of the mappings in README.md is stale; make it anew: UPDATE_GOLDEN=1 go test ./cmd/eiffelbridge/internal/cli -run Readme\n%s",
			difference(want, got))
	}
	if err := os.WriteFile(readmeFile, []byte(before+mappingsBegin+want+mappingsEnd+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestMappingsFormats wants every row in each form of `mappings`, and the Markdown form to be the one in the documentation.
func TestMappingsFormats(t *testing.T) {
	catalogue, err := mappings.Load()
	if err != nil {
		t.Fatal(err)
	}
	output := func(format string) string {
		var out, stderr bytes.Buffer
		if code := Main(context.Background(), Environment{Args: []string{"mappings", "--format", format}, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &stderr,
			LookupEnv: func(string) (string, bool) { return "", false }}); code != Done {
			t.Fatalf("exit code %d: %s", code, stderr.String())
		}
		return out.String()
	}
	table, markdown := output("table"), output("markdown")
	for _, r := range mappingtext.Rows(catalogue) {
		if !strings.Contains(table, mappingtext.ShortEiffel(r.From)) || !strings.Contains(table, mappingtext.ShortEiffel(r.To)) {
			t.Errorf("the table does not have the row from %s to %s", r.From, r.To)
		}
		if !strings.Contains(markdown, r.From) {
			t.Errorf("the Markdown does not have the row from %s", r.From)
		}
	}
	var all struct {
		ToEiffel   []mappings.ToEiffel   `json:"to_eiffel"`
		ToCDEvents []mappings.ToCDEvents `json:"to_cdevents"`
	}
	if err := json.Unmarshal([]byte(output("json")), &all); err != nil {
		t.Fatal(err)
	}
	if len(all.ToEiffel) != len(catalogue.ToEiffel) || len(all.ToCDEvents) != len(catalogue.ToCDEvents) {
		t.Errorf("the JSON has %d and %d rows, the catalogue %d and %d", len(all.ToEiffel), len(all.ToCDEvents), len(catalogue.ToEiffel), len(catalogue.ToCDEvents))
	}
	document, err := os.ReadFile(root + "docs/mappings/README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(document), markdown) {
		t.Error("docs/mappings/README.md does not have what mappings --format markdown prints: go generate ./internal/docgen/mappings")
	}
}
