package version_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/eiffelbridge/eiffelbridge/translate/version"
)

// types holds every type with a scheme of its own, and two without.
var types = []string{
	"deb", "rpm", "maven", "pypi", "gem", "nuget", "apk", "composer", "pub", "golang", "npm", "cargo",
	"helm", "oci", "docker", "generic", "unheard-of",
}

// pieces holds, for the types of each scheme, what generated versions are
// built of: the text every one starts with, then what may follow, chosen to
// bring out signs and words of special meaning next to each other.
var pieces = map[string]struct {
	start []string
	next  []string
}{
	"deb":      {[]string{"0", "1", "1:1", "01"}, []string{"0", "1", "01", "10", ".", "+", "-1", "~", "~~", "a", "A", "rc", "z"}},
	"rpm":      {[]string{"0", "1", "1:1", "a", "~1"}, []string{"0", "1", "01", "10", ".", "_", "+", "~", "^", "a", "aa", "Z", "^git", "~rc"}},
	"maven":    {[]string{"0", "1", "1.0", "1", "2.0.1", "10", "a", "-1", ".1"}, []string{".1", ".final", "-ga", "-2", "-2.1", "-rc", "rc2", "0", "1", "01", "10", ".", "-", ".0", "-0", "a", "b1", "m", "alpha", "rc", "cr", "snapshot", "SNAPSHOT", "ga", "final", "sp", "xyz", ".x.", "-sp", "-alpha"}},
	"pypi":     {[]string{"0", "1", "1.0", "1!1", "v1"}, []string{"0", "1", ".1", ".0", "a1", "b", "rc2", ".post1", "-1", ".dev1", ".dev", "+a", "+1", ".a", ".10"}},
	"gem":      {[]string{"0", "1", "1.0"}, []string{"0", "1", ".0", ".1", ".10", ".a", ".A", "-1", "-a", "a1", ".pre", ".b2"}},
	"apk":      {[]string{"0", "1", "1.0", "1.01", "01"}, []string{"0", "1", ".0", ".1", ".01", "a", "z", "_alpha", "_rc1", "_p", "_git2", "_rc", "~ab", "-r0", "-r1"}},
	"composer": {[]string{"0", "1", "1.0", "v1.0.0", "01.0.0.0"}, []string{"0", "1", ".0", ".1", "-alpha", "-a1", "beta", ".b.2", "-rc", "RC1", "-stable", "-p1", "-pl", "+x", "-2"}},
	"pub":      {[]string{"0.0.0", "1.0.0", "1.0.1"}, []string{"0", "1", "-a", "-1", ".b", ".10", ".2", "+x", "+1", "+2.a", "-"}},
	"nuget":    {[]string{"0", "1", "1.0", "1.0.0", "01.0.0.0"}, []string{"0", "1", ".0", ".1", "-a", "-1", "-A", ".b", ".01", "-", "+x"}},
	"":         {[]string{"0.0.0", "1.0.0", "v1.0.0", "1.0.1", "1.10.0"}, []string{"0", "1", "-a", "-1", "-A", ".b", ".10", ".2", "-", "+x", "-0.2"}},
}

// formsCircles reports whether Maven's own order has a circle that the version may stand in, as 1.x.2 < 1-alpha < 1 <
// 1.x.2: of maven, only a version of numbers and of qualifiers behind a hyphen or right behind a number, none of them
// null but at the very end, is known to stand in none.
func formsCircles(typ, v string) bool {
	if typ != "maven" {
		return false
	}
	v = strings.ToLower(v)
	if !plainMaven.MatchString(v) {
		return true
	}
	v = mavenEnd.ReplaceAllString(v, "")
	for _, word := range mavenWord.FindAllString(v, -1) {
		if word == "ga" || word == "final" || word == "release" {
			return true
		}
	}
	return false
}

var (
	plainMaven = regexp.MustCompile(`^[1-9][0-9]*(\.[0-9]+)*(-?[a-z]+(-?[1-9][0-9]*(\.[0-9]+)*)?|-[1-9][0-9]*(\.[0-9]+)*)*([.-][a-z]+)?$`)
	mavenEnd   = regexp.MustCompile(`[.-]?[a-z]+$`)
	mavenWord  = regexp.MustCompile(`[a-z]+`)
)

// TestMavenCircles says where Maven contradicts itself, as ComparableVersion of Maven 3.9 does.
func TestMavenCircles(t *testing.T) {
	for _, circle := range [][]string{
		{"1.x.2", "1-alpha", "1"},
		{"1-x", "1-0-alpha", "1"},
		{"1.0.alpha.1", "1", "1-x"},
		{"a", "0b1", "0"},
	} {
		circles := false
		for i, a := range circle {
			b := circle[(i+1)%len(circle)]
			if order, ok := version.Compare("maven", a, b); order != -1 || !ok {
				t.Errorf("Compare(maven, %q, %q) = %d, %t; want -1, true", a, b, order, ok)
			}
			circles = circles || formsCircles("maven", a)
		}
		if !circles {
			t.Errorf("%q is a circle of plain versions", circle)
		}
	}
}

func drawVersion(t *rapid.T, typ, label string) string {
	p, ok := pieces[typ]
	if !ok {
		p = pieces[""]
	}
	start := rapid.SampledFrom(p.start).Draw(t, label+" start")
	next := rapid.SliceOfN(rapid.SampledFrom(p.next), 0, 5).Draw(t, label+" next")
	return start + strings.Join(next, "")
}

func TestOrderIsTotalPreorder(t *testing.T) {
	for _, typ := range types {
		t.Run(typ, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				a, b, c := drawVersion(t, typ, "a"), drawVersion(t, typ, "b"), drawVersion(t, typ, "c")
				checkOrder(t, typ, a, b, c)
			})
		})
	}
}

// TestFactsFormOneOrder sorts all versions named in the facts of a type and
// looks at every pair of them; chance finds few of the triples that matter.
func TestFactsFormOneOrder(t *testing.T) {
	for _, typ := range types {
		t.Run(typ, func(t *testing.T) {
			var versions []string
			for name, holdsFor := range factFiles {
				if !slices.Contains(holdsFor, typ) {
					continue
				}
				for _, f := range readFacts(t, name) {
					for _, v := range f.versions {
						if version.IsVersion(typ, v) && !formsCircles(typ, v) {
							versions = append(versions, v)
						}
					}
				}
			}
			checkSorted(t, typ, versions)
		})
	}
}

// TestSmallVersionsFormOneOrder does the same for short versions built of the
// pieces of a scheme.
func TestSmallVersionsFormOneOrder(t *testing.T) {
	for typ, p := range pieces {
		if typ == "" {
			typ = "generic"
		}
		t.Run(typ, func(t *testing.T) {
			var versions []string
			for _, start := range p.start {
				for _, first := range append([]string{""}, p.next...) {
					for _, second := range append([]string{""}, p.next...) {
						if v := start + first + second; version.IsVersion(typ, v) && !formsCircles(typ, v) {
							versions = append(versions, v)
						}
					}
				}
			}
			// The check is quadratic: keep a spread of the longer lists.
			const enough = 400
			spread := versions[:0]
			for i := 0; i < len(versions); i += len(versions)/enough + 1 {
				spread = append(spread, versions[i])
			}
			checkSorted(t, typ, spread)
		})
	}
}

// checkSorted sorts the versions and checks that each two stand as sorted. An
// order that is not transitive contradicts every sequence somewhere.
func checkSorted(t *testing.T, typ string, versions []string) {
	t.Helper()
	if len(versions) < 20 {
		t.Fatalf("%d versions", len(versions))
	}
	slices.SortFunc(versions, func(a, b string) int {
		order, _ := version.Compare(typ, a, b)
		return order
	})
	// class[i] counts the steps up to versions[i], so that equal versions
	// share a class.
	class := make([]int, len(versions))
	for i := 1; i < len(versions); i++ {
		order, _ := version.Compare(typ, versions[i-1], versions[i])
		class[i] = class[i-1] - order
	}
	for i, a := range versions {
		for j, b := range versions {
			order, ok := version.Compare(typ, a, b)
			if want := sign(class[i] - class[j]); order != want || !ok {
				t.Fatalf("Compare(%q, %q, %q) = %d, %t; sorted with all others it is %d", typ, a, b, order, ok, want)
			}
		}
	}
}

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return +1
	}
	return 0
}

func TestArbitraryText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		typ := rapid.OneOf(rapid.SampledFrom(types), rapid.String()).Draw(t, "typ")
		text := rapid.OneOf(
			rapid.String(),
			rapid.StringMatching(`[v0-9a-cg.~^:!+_-]{0,12}`),
		)
		checkOrder(t, typ, text.Draw(t, "a"), text.Draw(t, "b"), text.Draw(t, "c"))
	})
}

type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// checkOrder checks what must hold of any three texts.
func checkOrder(t failer, typ, a, b, c string) {
	t.Helper()
	texts := []string{a, b, c}
	for _, x := range texts {
		if order, ok := version.Compare(typ, x, x); order != 0 || ok != version.IsVersion(typ, x) {
			t.Fatalf("Compare(%q, %q, %q) = %d, %t", typ, x, x, order, ok)
		}
		for _, y := range texts {
			xy, ok := version.Compare(typ, x, y)
			if ok != (version.IsVersion(typ, x) && version.IsVersion(typ, y)) {
				t.Fatalf("Compare(%q, %q, %q): ok is %t, unlike IsVersion of the two", typ, x, y, ok)
			}
			if xy < -1 || xy > +1 || !ok && xy != 0 {
				t.Fatalf("Compare(%q, %q, %q) = %d, %t", typ, x, y, xy, ok)
			}
			if yx, _ := version.Compare(typ, y, x); yx != -xy {
				t.Fatalf("Compare(%q, %q, %q) = %d, but %d the other way round", typ, x, y, xy, yx)
			}
			for _, z := range texts {
				yz, ok1 := version.Compare(typ, y, z)
				xz, ok2 := version.Compare(typ, x, z)
				circles := formsCircles(typ, x) || formsCircles(typ, y) || formsCircles(typ, z)
				if ok && ok1 && ok2 && !circles && xy <= 0 && yz <= 0 && (xz > 0 || xz == 0 && xy+yz != 0) {
					t.Fatalf("%s: not transitive: %q, %q, %q", typ, x, y, z)
				}
			}
		}
	}
}

func FuzzCompare(f *testing.F) {
	for name, holdsFor := range factFiles {
		for _, fact := range readFacts(f, name) {
			last := fact.versions[len(fact.versions)-1]
			f.Add(holdsFor[0], fact.versions[0], fact.versions[1], last)
		}
	}
	f.Fuzz(func(t *testing.T, typ, a, b, c string) {
		checkOrder(t, typ, a, b, c)
	})
}
