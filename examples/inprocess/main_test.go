package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", &out)
	// In this order, whatever else is printed.
	rest := out.String()
	for _, want := range []string{
		"\nArtC ", " identity pkg:oci/shop@1.0.0?repository_url=ghcr.io", "\nED ", " name prod", "\nArtD 6a1f0a3e-7d1c-4a52-9a43-0d4a6f0e1b01 artifact ",
		"dev.cdevents.environment.created.0.3.0 subject prod",
		"dev.cdevents.artifact.packaged.0.3.0 subject pkg:oci/shop@1.0.0", "dev.cdevents.artifact.packaged.0.3.0 subject pkg:oci/shop@1.1.0",
		"dev.cdevents.service.deployed.0.3.0 subject pkg:oci/shop?", " artifact pkg:oci/shop@1.0.0",
		"dev.cdevents.service.upgraded.0.3.0 subject pkg:oci/shop?", " artifact pkg:oci/shop@1.1.0",
		"dev.cdevents.service.rolledback.0.3.0 subject pkg:oci/shop?", " artifact pkg:oci/shop@1.0.0",
	} {
		_, after, found := strings.Cut(rest, want)
		if !found {
			t.Fatalf("no %q where it should be in:\n%s", want, &out)
		}
		rest = after
	}

	var again bytes.Buffer
	if err := run(t.Context(), &again); err != nil {
		t.Fatal(err)
	}
	if again.String() != out.String() {
		t.Errorf("not reproducible:\n%s", &again)
	}
}
