package version_test

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/translate/version"
)

// The vectors are those of OSV, the Open Source Vulnerabilities database: for most ecosystems the native tool has
// sorted every version that the database names. They are taken from the Go module proxy when the test runs; go.sum of
// a module made for it holds the checksum.
const (
	vectorModule  = "github.com/google/osv-scalibr"
	vectorVersion = "v0.5.3"
	vectorSum     = "h1:LcXnN8MLhrQF9O4jrFP2mv3Ae1afO516t+3QdPpbhqM="
	vectorModSum  = "h1:zwpKksQMgyYI0lwFZ5ImtfPnHSt4BUXw6O+AHgrGC+s="
)

// vectors says how many pairs a file of the module holds, and how many of them each type refuses to order. Where both
// versions are accepted, the order must be that of the file, but for the facts of the file of exceptions.
var vectors = []struct {
	file       string
	pairs      int
	refused    map[string]int
	exceptions string
}{
	{"debian-versions.txt", 30, map[string]int{"deb": 0}, ""},
	{"debian-versions-generated.txt", 14442, map[string]int{"deb": 0}, ""},
	// Epochs that are no numbers, separators with nothing between them, letters beyond ASCII.
	{"redhat-versions.txt", 165, map[string]int{"rpm": 42}, ""},
	{"maven-versions.txt", 102, map[string]int{"maven": 0}, "maven-vectors"},
	{"maven-versions-generated.txt", 14752, map[string]int{"maven": 0}, "maven-vectors"},
	// Versions from before PEP 440.
	{"pypi-versions.txt", 37, map[string]int{"pypi": 11}, ""},
	{"pypi-versions-generated.txt", 12375, map[string]int{"pypi": 69}, ""},
	// "1beta", which Gem::Version.correct? refuses.
	{"rubygems-versions.txt", 25, map[string]int{"gem": 2}, ""},
	{"rubygems-versions-generated.txt", 4098, map[string]int{"gem": 0}, ""},
	{"nuget-versions.txt", 35, map[string]int{"nuget": 0}, ""},
	// One number and five numbers; for cargo the leading "v"; for a tag the build metadata.
	{"semver-versions.txt", 86, map[string]int{"npm": 2, "golang": 2, "helm": 2, "cargo": 31, "generic": 2, "unheard-of": 2, "oci": 7, "docker": 7}, ""},
	// What apk itself calls invalid.
	{"alpine-versions.txt", 778, map[string]int{"apk": 37}, ""},
	{"alpine-versions-generated.txt", 13979, map[string]int{"apk": 58}, ""},
	// Branches, and words that Composer does not know.
	{"packagist-versions.txt", 95, map[string]int{"composer": 27}, "composer-vectors"},
	{"packagist-versions-generated.txt", 10630, map[string]int{"composer": 18}, "composer-vectors"},
	// The leading "v", which pub_semver does not take, one number and five numbers.
	{"pub-versions.txt", 100, map[string]int{"pub": 31}, ""},
	// These have no scheme here: what is ordered is what is a semantic version too.
	{"cran-versions.txt", 21, map[string]int{"cran": 19}, ""},
	{"cran-versions-generated.txt", 57, map[string]int{"cran": 21}, ""},
	{"hackage-versions.txt", 11, map[string]int{"hackage": 11}, ""},
}

// vectorFolder downloads the module of the vectors, which the module cache keeps.
func vectorFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module vectors\n\ngo 1.26\n",
		"go.sum": vectorModule + " " + vectorVersion + " " + vectorSum + "\n" +
			vectorModule + " " + vectorVersion + "/go.mod " + vectorModSum + "\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", "mod", "download", "-json", vectorModule+"@"+vectorVersion)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var module struct{ Sum, Dir, Error string }
	if json.Unmarshal(out, &module) != nil || err != nil || module.Error != "" || module.Dir == "" {
		t.Fatalf("the vectors are not at hand: %v %s%s\nWhere a Go module proxy can be reached, this brings them into the module cache: go mod download %s@%s",
			err, module.Error, stderr.String(), vectorModule, vectorVersion)
	}
	if module.Sum != vectorSum {
		t.Fatalf("%s %s has the checksum %s, want %s", vectorModule, vectorVersion, module.Sum, vectorSum)
	}
	return filepath.Join(module.Dir, "semantic", "testdata")
}

type vector struct {
	where, a, b string
	order       int
}

func readVectors(t *testing.T, file string) []vector {
	t.Helper()
	text, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	var out []vector
	lines := bufio.NewScanner(text)
	for lines.Scan() {
		line := lines.Text()
		if line == "" || strings.HasPrefix(line, "# ") || strings.HasPrefix(line, "// ") {
			continue
		}
		words := strings.Split(line, " ")
		order, known := map[string]int{"<": -1, "=": 0, ">": 1}[words[min(1, len(words)-1)]]
		if len(words) != 3 || !known {
			t.Fatalf("%s: not a pair: %s", file, line)
		}
		out = append(out, vector{line, words[0], words[2], order})
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestVectors(t *testing.T) {
	folder := vectorFolder(t)
	type pair struct{ a, b string }
	used := map[string]map[pair]bool{} // by file of exceptions
	total := 0
	for _, file := range vectors {
		// An exception is a fact "a < b" or "a = b" that the file tells otherwise.
		exceptions := map[pair]int{}
		if file.exceptions != "" {
			for _, f := range readFacts(t, file.exceptions) {
				if len(f.versions) != 2 {
					t.Fatalf("%s: an exception is a pair", f.where)
				}
				order := map[string]int{"<": -1, "=": 0}[f.between[0]]
				exceptions[pair{f.versions[0], f.versions[1]}] = order
				exceptions[pair{f.versions[1], f.versions[0]}] = -order
			}
			if used[file.exceptions] == nil {
				used[file.exceptions] = map[pair]bool{}
			}
		}
		all := readVectors(t, filepath.Join(folder, file.file))
		if len(all) != file.pairs {
			t.Errorf("%s holds %d pairs, want %d", file.file, len(all), file.pairs)
		}
		for typ, wantRefused := range file.refused {
			refused, shown := 0, 0
			for _, v := range all {
				order, ok := version.Compare(typ, v.a, v.b)
				if !ok {
					refused++
					continue
				}
				total++
				if order == v.order {
					continue
				}
				if exception, found := exceptions[pair{v.a, v.b}]; found && exception == order {
					used[file.exceptions][pair{v.a, v.b}] = true
					used[file.exceptions][pair{v.b, v.a}] = true
					continue
				}
				if shown++; shown <= 20 {
					t.Errorf("%s: %s: %s has it as %d", file.file, v.where, typ, order)
				}
			}
			if refused != wantRefused {
				t.Errorf("%s: %s refuses %d of %d pairs, want %d", file.file, typ, refused, len(all), wantRefused)
			}
		}
	}
	for name, pairs := range used {
		for _, f := range readFacts(t, name) {
			if !pairs[pair{f.versions[0], f.versions[1]}] {
				t.Errorf("%s: %s and %s are no exception", f.where, f.versions[0], f.versions[1])
			}
		}
	}
	t.Logf("%d pairs compared", total)
}
