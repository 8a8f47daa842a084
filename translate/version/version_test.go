package version_test

import (
	"bufio"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/translate/version"
)

// factFiles says for which types the facts of a file in testdata hold.
var factFiles = map[string][]string{
	"deb":           {"deb"},
	"rpm":           {"rpm"},
	"maven":         {"maven"},
	"maven-vectors": {"maven"},
	"pypi":          {"pypi"},
	"gem":           {"gem"},
	"nuget":         {"nuget"},
	"semver":        {"npm", "cargo", "pub", "helm", "golang", "generic", "oci", "docker", "unheard-of", ""},
	"semver-strict": {"npm", "cargo", "pub", "helm", "golang", "generic", "oci", "docker", "unheard-of", ""},
	"semver-build":  {"npm", "cargo", "helm", "golang", "generic", "unheard-of", "", "nuget"},
	"semver-v":      {"npm", "helm", "golang", "generic", "oci", "docker", "unheard-of", ""},
	"cargo":         {"cargo"},
	"apk":           {"apk"},
	"composer":      {"composer"},
	"pub":           {"pub"},
	"golang":        {"golang"},
	"generic":       {"generic", "oci", "docker", "unheard-of", ""},
	"generic-build": {"generic", "oci", "docker", "unheard-of", ""},
	"oci":           {"oci", "docker"},

	"composer-vectors": {"composer"},
}

// A fact is a chain of versions. between[i] is the sign between versions[i]
// and versions[i+1].
type fact struct {
	where    string
	versions []string
	between  []string
}

func readFacts(t testing.TB, name string) []fact {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()

	var facts []fact
	lines := bufio.NewScanner(file)
	for number := 1; lines.Scan(); number++ {
		f := fact{where: name + ".txt:" + strconv.Itoa(number)}
		for i, word := range splitWords(t, f.where, lines.Text()) {
			if i%2 == 0 {
				f.versions = append(f.versions, word)
			} else {
				f.between = append(f.between, word)
			}
		}
		if len(f.versions) == 0 {
			continue
		}
		if len(f.versions) != len(f.between)+1 || len(f.versions) < 2 {
			t.Fatalf("%s: not a chain: %s", f.where, lines.Text())
		}
		for _, sign := range f.between {
			if sign != "<" && sign != "=" && (sign != "?" || len(f.between) > 1) {
				t.Fatalf("%s: misplaced %q", f.where, sign)
			}
		}
		facts = append(facts, f)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return facts
}

func splitWords(t testing.TB, where, line string) []string {
	t.Helper()
	var words []string
	for {
		line = strings.TrimLeft(line, " \t")
		switch {
		case line == "" || line[0] == '#':
			return words
		case line[0] == '"':
			quoted, err := strconv.QuotedPrefix(line)
			if err != nil {
				t.Fatalf("%s: %v", where, err)
			}
			word, err := strconv.Unquote(quoted)
			if err != nil {
				t.Fatalf("%s: %v", where, err)
			}
			words, line = append(words, word), line[len(quoted):]
		default:
			word, _, _ := strings.Cut(line, " ")
			words, line = append(words, word), line[len(word):]
		}
	}
}

func TestFacts(t *testing.T) {
	for name, types := range factFiles {
		facts := readFacts(t, name)
		if len(facts) == 0 {
			t.Errorf("%s.txt holds no facts", name)
		}
		for _, typ := range types {
			t.Run(name+"/"+typ, func(t *testing.T) {
				for _, f := range facts {
					checkFact(t, typ, f)
				}
			})
		}
	}
}

func TestEveryFactFileIsUsed(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		if name != "README" && factFiles[name] == nil {
			t.Errorf("%s belongs to no type", file)
		}
	}
}

func checkFact(t *testing.T, typ string, f fact) {
	t.Helper()
	if f.between[0] == "?" {
		a, b := f.versions[0], f.versions[1]
		for _, pair := range [][2]string{{a, b}, {b, a}} {
			if order, ok := version.Compare(typ, pair[0], pair[1]); ok || order != 0 {
				t.Errorf("%s: Compare(%q, %q, %q) = %d, %t; want 0, false", f.where, typ, pair[0], pair[1], order, ok)
			}
		}
		return
	}
	for i, a := range f.versions {
		if !version.IsVersion(typ, a) {
			t.Errorf("%s: IsVersion(%q, %q) = false", f.where, typ, a)
		}
		want := 0
		for j := i + 1; j < len(f.versions); j++ {
			if f.between[j-1] == "<" {
				want = -1
			}
			b := f.versions[j]
			if order, ok := version.Compare(typ, a, b); order != want || !ok {
				t.Errorf("%s: Compare(%q, %q, %q) = %d, %t; want %d, true", f.where, typ, a, b, order, ok, want)
			}
			if order, ok := version.Compare(typ, b, a); order != -want || !ok {
				t.Errorf("%s: Compare(%q, %q, %q) = %d, %t; want %d, true", f.where, typ, b, a, order, ok, -want)
			}
		}
	}
}

func TestLengthIsBounded(t *testing.T) {
	for _, typ := range types {
		start, long := "1.0.", strings.Repeat("1", 252)
		if !version.IsVersion(typ, start+long) {
			t.Errorf("%s: a version of 256 bytes is refused", typ)
		}
		if version.IsVersion(typ, start+long+"1") {
			t.Errorf("%s: a version of 257 bytes is taken", typ)
		}
	}
}
