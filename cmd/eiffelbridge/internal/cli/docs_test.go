package cli

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"

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

func TestReadmeMappingsAreCurrent(t *testing.T) {
	catalogue, err := mappings.Load()
	if err != nil {
		t.Fatal(err)
	}
	want := MappingsMarkdown(catalogue)
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
		t.Fatalf("the mappings in README.md are stale; UPDATE_GOLDEN=1 go test ./cmd/eiffelbridge/internal/cli -run Readme, or put the output of "+
			"`eiffelbridge mappings --format markdown` between the markers\n%s", difference(want, got))
	}
	if err := os.WriteFile(readmeFile, []byte(before+mappingsBegin+want+mappingsEnd+after), 0o644); err != nil {
		t.Fatal(err)
	}
}
