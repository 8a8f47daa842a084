package schema

import (
	"strconv"
	"strings"
)

// parseVersion reads "1.2.3" of a semantic version, with whatever pre-release or build follows.
func parseVersion(s string) (v [3]int, ok bool) {
	if i := strings.IndexAny(s, "-+"); i >= 0 {
		s = s[:i]
	}
	for i := range v {
		part, rest, more := strings.Cut(s, ".")
		n, err := strconv.ParseUint(part, 10, 31)
		if err != nil || more == (i == 2) {
			return v, false
		}
		v[i], s = int(n), rest
	}
	return v, true
}

// newer tells whether version a comes after version b, which has no pre-release (semver.org, section 11): a pre-release
// comes before its own version.
func newer(a, b string) bool {
	x, ok := parseVersion(a)
	y, _ := parseVersion(b)
	if !ok {
		return false
	}
	for i := range x {
		if x[i] != y[i] {
			return x[i] > y[i]
		}
	}
	return false
}
