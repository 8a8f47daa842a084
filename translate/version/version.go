// Package version orders artifact versions by the scheme of their package-URL type.
//
// Each package ecosystem publishes its own ordering; a version of one scheme
// means nothing in another. The package holds one file per scheme:
//
//	deb      Debian Policy 5.6.12
//	rpm      rpm's version comparison, with epoch, "~" and "^"
//	maven    ComparableVersion of Maven 3.9
//	pypi     PEP 440
//	gem      Gem::Version
//	nuget    NuGet "Package versioning"
//	apk      apk-package(5)
//	composer composer/semver
//	pub      pub_semver: Semantic Versioning, then the build metadata
//	golang   Go Modules Reference, "Versions" and "Pseudo-versions"
//	npm, cargo, helm   Semantic Versioning 2.0.0, section 11
//	oci, docker, generic and every other type   see generic.go
//
// A value that its scheme does not accept is not ordered at all: saying
// nothing is better than calling a commit hash newer than a release.
package version

import "strings"

// maxLength bounds the work done for one version, in bytes. Real versions are
// far shorter; OCI tags, the longest in use, end at 128.
const maxLength = 256

// Compare orders versions a and b of packages of the purl type typ, which is
// lower case as the package-URL specification demands (e.g. "maven"). A type
// without a scheme of its own is ordered like "generic".
//
// The order is -1, 0 or +1. Two different spellings of equal precedence give
// 0, true. ok is false, and order 0, when the scheme cannot order the two:
// either is empty, longer than 256 bytes, a content digest or full commit
// hash, or otherwise not a version of the scheme. Among the versions of one
// type the order is a total preorder; only Maven's own is not, for versions
// that have a qualifier between dots and the like (see maven.go).
//
// Compare never panics, reads no clock, keeps no state, and is safe for
// concurrent use.
func Compare(typ, a, b string) (order int, ok bool) {
	if !orderable(a) || !orderable(b) {
		return 0, false
	}
	switch typ {
	case "deb":
		return compareParsed(a, b, parseDeb, compareDeb)
	case "rpm":
		return compareParsed(a, b, parseRPM, compareRPM)
	case "maven":
		return compareParsed(a, b, parseMaven, compareMaven)
	case "pypi":
		return compareParsed(a, b, parsePyPI, comparePyPI)
	case "gem":
		return compareParsed(a, b, parseGem, compareGem)
	case "nuget":
		return compareParsed(a, b, parseNuGet, compareNuGet)
	case "apk":
		return compareParsed(a, b, parseAPK, compareAPK)
	case "composer":
		return compareParsed(a, b, parseComposer, compareComposer)
	case "pub":
		return compareParsed(a, b, parseStrictSemver, comparePub)
	case "golang":
		return compareParsed(a, b, parseGo, compareSemver)
	case "npm", "helm":
		return compareParsed(a, b, parseLooseSemver, compareSemver)
	case "cargo":
		return compareParsed(a, b, parseStrictSemver, compareSemver)
	case "oci", "docker":
		return compareParsed(a, b, parseTag, compareSemver)
	default:
		return compareParsed(a, b, parseGeneric, compareSemver)
	}
}

// IsVersion reports whether v is a version of packages of the purl type typ,
// that is whether Compare can order it against other versions of that type.
// It is safe for concurrent use.
func IsVersion(typ, v string) bool {
	_, ok := Compare(typ, v, v)
	return ok
}

func compareParsed[V any](a, b string, parse func(string) (V, bool), compare func(V, V) int) (int, bool) {
	va, ok := parse(a)
	if !ok {
		return 0, false
	}
	vb, ok := parse(b)
	if !ok {
		return 0, false
	}
	return compare(va, vb), true
}

// orderable holds the refusals that no scheme may overrule.
func orderable(v string) bool {
	return v != "" && len(v) <= maxLength && !isObjectName(v)
}

// isObjectName recognises content by its hash: "sha256:..." or a bare full
// SHA-1 or SHA-256 name. Maven and rpm would accept the bare form as an
// ordinary word, yet a hash says nothing about age. A run of decimal digits
// only is left alone; it is far likelier to be a number than a hash.
func isObjectName(v string) bool {
	if algorithm, hash, found := strings.Cut(v, ":"); found {
		return !isDigits(algorithm) && len(hash) >= 32 && isHex(hash)
	}
	return (len(v) == 40 || len(v) == 64) && isHex(v) && !isDigits(v)
}
