package version

import (
	"cmp"
	"strings"

	"golang.org/x/mod/semver"
)

// comparePub orders as Dart's pub_semver does: by Semantic Versioning, and then, unlike it, by the build metadata, whose
// identifiers are ordered as those of a pre-release are. A version without any comes first.
func comparePub(a, b semverVersion) int {
	if order := compareSemver(a, b); order != 0 {
		return order
	}
	x, y := semver.Build(string(a)), semver.Build(string(b))
	if x == "" || y == "" {
		return cmp.Compare(len(x), len(y))
	}
	return compareIdentifiers(strings.Split(x[1:], "."), strings.Split(y[1:], "."))
}

// compareIdentifiers orders dotted identifiers as Semantic Versioning 2.0.0 section 11 orders those of a pre-release.
func compareIdentifiers(a, b []string) int {
	for i := range min(len(a), len(b)) {
		numericA, numericB := isDigits(a[i]), isDigits(b[i])
		order := compareBools(numericB, numericA) // numbers come first
		switch {
		case order != 0:
		case numericA:
			order = compareNumbers(a[i], b[i])
		default:
			order = strings.Compare(a[i], b[i])
		}
		if order != 0 {
			return order
		}
	}
	return cmp.Compare(len(a), len(b))
}
