package version

import (
	"cmp"
	"strings"
)

// A debVersion is [epoch:]upstream_version[-debian_revision] (Debian Policy
// 5.6.12). An absent epoch or revision is empty, which compares as zero.
type debVersion struct {
	epoch, upstream, revision string
}

func parseDeb(s string) (debVersion, bool) {
	var v debVersion
	epoch, rest, ok := cutEpoch(s)
	if !ok {
		return v, false
	}
	v.epoch = epoch
	v.upstream = rest
	if i := strings.LastIndexByte(rest, '-'); i >= 0 {
		v.upstream, v.revision = rest[:i], rest[i+1:]
		if !all(v.revision, func(c byte) bool { return isAlnum(c) || strings.IndexByte("+.~", c) >= 0 }) {
			return v, false
		}
	}
	// Policy only says the upstream version "should" start with a digit; it is
	// demanded here since dpkg warns otherwise and words are no versions.
	if v.upstream == "" || !isDigit(v.upstream[0]) {
		return v, false
	}
	return v, all(v.upstream, func(c byte) bool {
		return isAlnum(c) || strings.IndexByte(".+-~", c) >= 0 || c == ':' && v.epoch != ""
	})
}

func compareDeb(a, b debVersion) int {
	return cmp.Or(
		compareNumbers(a.epoch, b.epoch),
		compareDebPart(a.upstream, b.upstream),
		compareDebPart(a.revision, b.revision),
	)
}

// compareDebPart takes turns comparing a run of non-digits and a run of
// digits, as Policy 5.6.12 prescribes for both parts.
func compareDebPart(a, b string) int {
	notDigit := func(c byte) bool { return !isDigit(c) }
	for a != "" || b != "" {
		i, j := span(a, notDigit), span(b, notDigit)
		if order := compareDebText(a[:i], b[:j]); order != 0 {
			return order
		}
		a, b = a[i:], b[j:]
		i, j = span(a, isDigit), span(b, isDigit)
		if order := compareNumbers(a[:i], b[:j]); order != 0 {
			return order
		}
		a, b = a[i:], b[j:]
	}
	return 0
}

func compareDebText(a, b string) int {
	for i := range max(len(a), len(b)) {
		if order := cmp.Compare(debWeight(a, i), debWeight(b, i)); order != 0 {
			return order
		}
	}
	return 0
}

// debWeight is the place of s[i] in the order tilde, end of the part, letters,
// everything else (Policy 5.6.12).
func debWeight(s string, i int) int {
	switch {
	case i >= len(s):
		return 0
	case s[i] == '~':
		return -1
	case isLetter(s[i]):
		return int(s[i])
	default:
		return int(s[i]) + 256
	}
}
