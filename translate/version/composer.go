package version

import (
	"cmp"
	"strings"
)

// A composerVersion is a version as composer/semver normalizes it: one to four numbers, and the stability with its
// numbers. Branches ("dev-main") and "1.x-dev" name no version.
type composerVersion struct {
	release   []string
	stability int
	numbers   []string // those of the stability: beta.2.1 has two
}

// composerStabilities holds the words in ascending order of stability; of two where one starts with the other, the
// longer stands first.
var composerStabilities = []struct {
	word string
	rank int
}{
	{"alpha", 0}, {"a", 0}, {"beta", 1}, {"b", 1}, {"rc", 2}, {"stable", composerStable}, {"patch", 4}, {"pl", 4}, {"p", 4},
}

const composerStable = 3

// parseComposer accepts what composer/semver calls a classical version, without the suffix "dev", which says that the
// version still moves. Case does not matter, and build metadata has no precedence.
func parseComposer(s string) (composerVersion, bool) {
	v := composerVersion{stability: composerStable}
	s, metadata, hasMetadata := strings.Cut(strings.ToLower(s), "+")
	if hasMetadata && !all(metadata, func(c byte) bool { return isAlnum(c) || c == '.' || c == '-' }) {
		return v, false
	}
	s = strings.TrimPrefix(s, "v")
	digits := func() string {
		n := span(s, isDigit)
		number := s[:n]
		s = s[n:]
		return number
	}
	for {
		number := digits()
		if number == "" {
			return v, false
		}
		v.release = append(v.release, number)
		if len(s) < 2 || s[0] != '.' || !isDigit(s[1]) {
			break
		}
		s = s[1:]
	}
	if len(v.release) > 4 {
		return v, false
	}
	if s == "" {
		return v, true
	}
	s = strings.TrimLeft(s[:1], "._-") + s[1:]
	for _, stability := range composerStabilities {
		rest, ok := strings.CutPrefix(s, stability.word)
		if !ok {
			continue
		}
		v.stability, s = stability.rank, rest
		for s != "" {
			if len(s) > 1 && (s[0] == '.' || s[0] == '-') {
				s = s[1:]
			}
			number := digits()
			if number == "" {
				return v, false
			}
			v.numbers = append(v.numbers, number)
		}
		if v.stability == composerStable {
			v.numbers = nil
		}
		return v, true
	}
	return v, false
}

func compareComposer(a, b composerVersion) int {
	if order := cmp.Or(compareReleases(a.release, b.release), cmp.Compare(a.stability, b.stability)); order != 0 {
		return order
	}
	for i := range min(len(a.numbers), len(b.numbers)) {
		if order := compareNumbers(a.numbers[i], b.numbers[i]); order != 0 {
			return order
		}
	}
	return cmp.Compare(len(a.numbers), len(b.numbers))
}
