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

// TestRowsOfOverlays reads the rows of an overlay as people read them.
func TestRowsOfOverlays(t *testing.T) {
	c, err := overlay.Parse(nil, "o.yaml", []byte(`version: 1
to_eiffel:
  - cdevent: acme-release.shipped
    when: event.subject.id != "x"
    eiffel: EiffelAnnouncementPublishedEvent
    links:
      - {type: CAUSE, value: event.context.?chainId}
    data:
      - to: /heading
        value: |
          "shipped: " +
            subject.id
      - {to: /body, from: /subject/id}
      - {to: /severity, const: MINOR}
    custom:
      - {to: /team, const: [a, 1]}
to_cdevents:
  - eiffel: EiffelArtifactReusedEvent
    cdevent: dev.cdeventsx.acme-artifact.reused.1.0.0
    subject_id: '"it"'
    links:
      - {kind: SAME, value: event.meta.id}
`))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, r := range catalogueRows(c) {
		got[r.from] = strings.Join(r.fields, "; ")
	}
	for from, want := range map[string]string{
		"acme-release.shipped": `if event.subject.id != "x"; CAUSE = event.context.?chainId; heading = "shipped: " +   subject.id; ` +
			`body = subject.id; severity = "MINOR"; customData.team = ["a",1]`,
		"EiffelArtifactReusedEvent": `subject.id = "it"; link SAME = event.meta.id`,
	} {
		if got[from] != want {
			t.Errorf("%s: got  %s\nwant %s", from, got[from], want)
		}
	}
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
