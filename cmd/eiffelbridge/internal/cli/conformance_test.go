package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/conformance/translator"
)

// Every type is certified by every law, and the exit code says whether all hold.
func TestConformanceOfAllTypes(t *testing.T) {
	var stdout, stderr bytes.Buffer
	code := Main(context.Background(), Environment{Args: []string{"conformance", "--cases", "0", "--format", "json"}, Stdin: strings.NewReader(""),
		Stdout: &stdout, Stderr: &stderr, LookupEnv: os.LookupEnv, Version: "v1.2.3"})
	var report translator.Report
	if err := json.Unmarshal(stdout.Bytes(), &report); err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	want := Done
	if len(report.Findings) > 0 {
		want = Failed
	}
	if code != want {
		t.Errorf("exit code %d with %d findings: %s", code, len(report.Findings), stderr.String())
	}
	if len(report.Types) != len(translator.TypeNames()) {
		t.Errorf("%d types, want %d", len(report.Types), len(translator.TypeNames()))
	}
	for _, typ := range report.Types {
		for _, law := range translator.Laws() {
			if n := typ.Laws[law.Name]; n.Checked+n.Skipped != typ.Events || typ.Events < 2 {
				t.Errorf("%s, %s: %+v of %d events", typ.Type, law.Name, n, typ.Events)
			}
		}
	}
}

func TestConformanceCompletesTypes(t *testing.T) {
	var stdout bytes.Buffer
	Main(context.Background(), Environment{Args: []string{"__complete", "conformance", "--type", ""}, Stdin: strings.NewReader(""),
		Stdout: &stdout, Stderr: &bytes.Buffer{}, LookupEnv: os.LookupEnv})
	for _, name := range translator.TypeNames() {
		if !strings.Contains(stdout.String(), name+"\n") {
			t.Errorf("%s is not proposed", name)
		}
	}
}

// Whoever has seen enough may go.
func TestConformanceIsInterrupted(t *testing.T) {
	interrupts := make(chan os.Signal, 1)
	interrupts <- os.Interrupt
	var stderr bytes.Buffer
	code := Main(context.Background(), Environment{Args: []string{"conformance", "--cases", "30"}, Stdin: strings.NewReader(""),
		Stdout: &bytes.Buffer{}, Stderr: &stderr, LookupEnv: os.LookupEnv, Interrupts: interrupts})
	if code != Failed || !strings.Contains(stderr.String(), "interrupted") {
		t.Errorf("exit code %d: %s", code, stderr.String())
	}
}
