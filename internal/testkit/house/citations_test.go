package house

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	// A citation may be broken over two lines of a comment.
	brokenLine = regexp.MustCompile(`\s*\n\s*(//|#)?\s*`)
	cited      = regexp.MustCompile(`mapping\.md, "([^"]+)"`)
	heading    = regexp.MustCompile(`(?m)^##+ (.+)$`)
)

// citing reads the files of the repository that may cite the mapping.
func citing(t testing.TB) map[string]string {
	t.Helper()
	top := root(t)
	out := map[string]string{}
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if path != top && (strings.HasPrefix(name, ".") || name == "node_modules" || name == "bin") {
				return filepath.SkipDir
			}
			return nil
		}
		if !slices.Contains([]string{".go", ".md", ".proto", ".yaml"}, filepath.Ext(name)) {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(top, path)
		out[filepath.ToSlash(rel)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestCitations: what cites the mapping names a heading that docs/mapping.md has.
func TestCitations(t *testing.T) {
	files := citing(t)
	var headings []string
	for _, h := range heading.FindAllStringSubmatch(files["docs/mapping.md"], -1) {
		if slices.Contains(headings, h[1]) {
			t.Errorf("docs/mapping.md has two headings %q: nobody can cite them", h[1])
		}
		headings = append(headings, h[1])
	}
	n := 0
	for name, text := range files {
		for _, c := range cited.FindAllStringSubmatch(brokenLine.ReplaceAllString(text, " "), -1) {
			n++
			if !slices.Contains(headings, c[1]) {
				t.Errorf("%s cites %q, a heading that docs/mapping.md does not have", name, c[1])
			}
		}
	}
	if len(headings) == 0 || n == 0 {
		t.Fatalf("%d headings, %d citations", len(headings), n)
	}
	t.Logf("%d headings, %d citations", len(headings), n)
}

var (
	section = regexp.MustCompile(`(?i)\bsections? ([0-9.]*[0-9])\b`)
	// What stands before a section of a specification.
	specified = regexp.MustCompile(`(?i)(RFC [0-9]+|AMQP 0-9-1|binding|format|Event Delivery|Validation|Semantic Versioning 2\.0\.0|semver\.org),? $`)
)

// TestNoSections: a comment that cites a section by its number names the specification that it is one of, right before it. The
// mapping has headings.
func TestNoSections(t *testing.T) {
	top := root(t)
	n := 0
	for name := range citing(t) {
		if filepath.Ext(name) != ".go" {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(top, filepath.FromSlash(name)), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			continue // testdata need not be Go
		}
		for _, group := range file.Comments {
			text := strings.Join(strings.Fields(group.Text()), " ")
			for _, at := range section.FindAllStringSubmatchIndex(text, -1) {
				n++
				number := text[at[2]:at[3]]
				// The mapping never had more than nine sections, nor sections of sections.
				if len(number) == 1 && !specified.MatchString(text[:at[0]]) {
					t.Errorf("%s cites section %s of what? The mapping is cited by its headings: (mapping.md, \"Ids\")", name, number)
				}
			}
		}
	}
	if n == 0 {
		t.Fatal("no comment cites any section")
	}
}
