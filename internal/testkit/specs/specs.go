// Package specs finds the specifications of both protocols for tests.
//
// The specifications themselves are not in the repository. Where they are at hand, the tests take their schemas, link
// rules and examples. Elsewhere they take the schemas that the protocols' Go SDKs bring into the module cache, and the
// examples of this repository. A test that asks for them gets some or fails.
package specs

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	cdeventsapi "github.com/cdevents/sdk-go/pkg/api"

	"github.com/eiffelbridge/eiffelbridge/examples/events"
)

// CDEvents are the versions of the CDEvents specification that the product knows.
var CDEvents = []string{"0.3.0", "0.4.1", "0.5.1"}

// Folder is where the specifications are: EIFFELBRIDGE_SPECS, or ../shared/specs beside the repository; "" if they are
// not at hand.
func Folder(t testing.TB) string {
	t.Helper()
	folder := os.Getenv("EIFFELBRIDGE_SPECS")
	if folder != "" {
		if !holdsSpecs(folder) {
			t.Fatalf("EIFFELBRIDGE_SPECS is %s, where the specifications are not", folder)
		}
		return folder
	}
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
			t.Fatal("the test does not run in the repository")
		}
		dir = parent
	}
	if folder = filepath.Join(dir, "..", "shared", "specs"); !holdsSpecs(folder) {
		return ""
	}
	return folder
}

func holdsSpecs(folder string) bool {
	_, err := os.Stat(filepath.Join(folder, "eiffel", "links.json"))
	return err == nil
}

// An Example is an event of a specification or of this repository.
type Example struct {
	Name string
	JSON []byte
}

// Examples are those of both specifications where they are at hand, and those of this repository, an event of every
// type. There is at least one of each protocol.
func Examples(t testing.TB) []Example {
	t.Helper()
	var out []Example
	var of string
	if folder := Folder(t); folder != "" {
		of = "both specifications"
		patterns := []string{"eiffel/examples/events/*/*.json"}
		for _, spec := range CDEvents[1:] { // the first has none
			patterns = append(patterns, "cdevents/v"+spec+"/conformance/*.json")
		}
		for _, pattern := range patterns {
			files := map[string][]byte{}
			readAll(t, files, folder, pattern, "")
			for _, name := range slices.Sorted(maps.Keys(files)) {
				out = append(out, Example{name, files[name]})
			}
		}
	} else {
		of = "this repository: the specifications are not at hand"
		for _, story := range []func() ([]events.Example, error){events.CDEvents, events.Eiffel} {
			examples, err := story()
			if err != nil || len(examples) == 0 {
				t.Fatalf("no examples: %v", err)
			}
			for _, e := range examples {
				out = append(out, Example{e.File, e.JSON})
			}
		}
	}
	t.Logf("%d examples, of %s", len(out), of)
	return out
}

// Modules makes a folder of the schemas that the SDKs bring, laid out as the specifications are: all schemas of CDEvents,
// of Eiffel those of the editions. It has neither link rules nor the manifest of the editions.
func Modules(t testing.TB) string {
	t.Helper()
	folder := t.TempDir()
	for name, text := range fromModules(t) {
		file := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, text, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// Schemas are the texts of all schemas by their file's name in the folder of the specifications ("eiffel/schemas/TYPE/1.0.0.json",
// "cdevents/v0.5.1/schemas/NAME.json"), and eiffel/links.json. Where the specifications are not at hand, they are those of
// [Modules].
func Schemas(t testing.TB) map[string][]byte {
	t.Helper()
	folder := Folder(t)
	if folder == "" {
		return fromModules(t)
	}
	out := map[string][]byte{}
	patterns := []string{"eiffel/links.json", "eiffel/schemas/*/*.json"}
	for _, spec := range CDEvents {
		patterns = append(patterns, "cdevents/v"+spec+"/schemas/*.json")
		if spec != CDEvents[0] {
			patterns = append(patterns, "cdevents/v"+spec+"/schemas/links/*.json")
		}
	}
	for _, pattern := range patterns {
		readAll(t, out, folder, pattern, "")
	}
	return out
}

// readAll reads the files of a pattern below a folder, of which there must be some.
func readAll(t testing.TB, into map[string][]byte, folder, pattern, prefix string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, filepath.FromSlash(pattern)))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files %s in %s: %v", pattern, folder, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name, err := filepath.Rel(folder, file)
		if err != nil {
			t.Fatal(err)
		}
		into[prefix+filepath.ToSlash(name)] = text
	}
}

func fromModules(t testing.TB) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for _, spec := range CDEvents {
		before := len(out)
		for id, text := range cdeventsapi.SchemasById {
			if name, ok := strings.CutPrefix(id, "https://cdevents.dev/"+spec+"/schema/"); ok {
				out["cdevents/v"+spec+"/schemas/"+name+".json"] = []byte(text)
			}
		}
		if len(out) == before {
			t.Fatalf("the SDK has no schemas of CDEvents %s", spec)
		}
	}
	const module = "github.com/eiffel-community/eiffelevents-sdk-go"
	var stderr strings.Builder
	cmd := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module)
	cmd.Stderr = &stderr
	dir, err := cmd.Output()
	if err != nil || len(bytes.TrimSpace(dir)) == 0 {
		t.Fatalf("%s is not in the module cache (go mod download brings it): %v %s", module, err, stderr.String())
	}
	readAll(t, out, filepath.Join(string(bytes.TrimSpace(dir)), "validator"), "schemas/*/*.json", "eiffel/")
	return out
}
