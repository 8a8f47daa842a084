package cli

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/mappings/overlay"
)

const examplesFolder = root + "examples/overlays"

// TestExampleOverlays loads the worked overlays and runs their golden cases. UPDATE_GOLDEN=1 writes those anew.
func TestExampleOverlays(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(examplesFolder, "*", "*.yaml"))
	if err != nil || len(files) < 2 {
		t.Fatalf("%d overlays: %v", len(files), err)
	}
	for _, path := range files {
		if _, err := overlay.Load(nil, path); err != nil {
			t.Error(err)
		}
	}
	expected, err := filepath.Glob(filepath.Join(examplesFolder, "*", casesFolder, "*"+expectedSuffix))
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"mappings", "test", examplesFolder}
	switch {
	case os.Getenv("UPDATE_GOLDEN") != "":
		args = append(args, "--update")
	case len(expected) == 0:
		t.Log("nothing is expected of the examples yet")
		return
	}
	var stdout, stderr bytes.Buffer
	code := Main(context.Background(), Environment{Args: args, Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr,
		LookupEnv: func(string) (string, bool) { return "", false }})
	if code != Done {
		t.Errorf("exit code %d:\n%s%s", code, stdout.String(), stderr.String())
	}
}

// TestRowsOfOverlays prints a catalogue with an overlay over it.
func TestRowsOfOverlays(t *testing.T) {
	for _, form := range []string{"json", "markdown", "table"} {
		var stdout, stderr bytes.Buffer
		path := filepath.Join(t.TempDir(), "o.yaml")
		if err := os.WriteFile(path, []byte("version: 1\nto_eiffel:\n  - {cdevent: service.removed, extend: true, custom: [{to: /x, value: subject.kind}]}\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		code := Main(context.Background(), Environment{Args: []string{"mappings", "--mappings", path, "--format", form}, Stdin: strings.NewReader(""),
			Stdout: &stdout, Stderr: &stderr, LookupEnv: func(string) (string, bool) { return "", false }})
		if code != Done || !strings.Contains(stdout.String(), "subject.kind") {
			t.Errorf("%s: exit code %d, %s", form, code, stderr.String())
		}
	}
}
