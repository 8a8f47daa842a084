package version

import (
	"strings"

	"golang.org/x/mod/semver"
)

// A semverVersion is a full Semantic Versioning 2.0.0 version with the leading
// "v" that golang.org/x/mod/semver asks for.
type semverVersion string

// parseStrictSemver accepts exactly the grammar of Semantic Versioning 2.0.0:
// three numbers without leading zeros, and well-formed identifiers.
func parseStrictSemver(s string) (semverVersion, bool) {
	v := "v" + s
	// The library also takes the shorthands v1 and v1.2, which the grammar
	// does not have; its canonical form spells them out and so gives them away.
	if !semver.IsValid(v) || semver.Canonical(v)+semver.Build(v) != v {
		return "", false
	}
	return semverVersion(v), true
}

// parseLooseSemver also takes the leading "v" that npm and Helm strip.
func parseLooseSemver(s string) (semverVersion, bool) {
	return parseStrictSemver(strings.TrimPrefix(s, "v"))
}

// compareSemver orders by Semantic Versioning 2.0.0 section 11; build metadata
// has no precedence (section 10).
func compareSemver(a, b semverVersion) int {
	return semver.Compare(string(a), string(b))
}
