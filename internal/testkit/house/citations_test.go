package house

import (
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
