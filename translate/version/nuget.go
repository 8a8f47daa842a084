package version

import "strings"

// A nugetVersion is one to four numbers and the labels of a pre-release, in
// lower case. Build metadata is dropped: it has no precedence.
type nugetVersion struct {
	release []string
	labels  []string
}

// parseNuGet accepts the versions of NuGet's "Package versioning", including
// "Normalized version numbers": leading zeros are ignored, and missing parts
// are zero, so 1.0 equals 1.0.0 and 1.0.0.0.
func parseNuGet(s string) (nugetVersion, bool) {
	var v nugetVersion
	s, metadata, hasMetadata := strings.Cut(s, "+")
	release, labels, hasLabels := strings.Cut(s, "-")

	v.release = strings.Split(release, ".")
	if len(v.release) > 4 {
		return v, false
	}
	for _, number := range v.release {
		if !isDigits(number) {
			return v, false
		}
	}

	label := func(c byte) bool { return isAlnum(c) || c == '-' }
	if hasLabels {
		v.labels = strings.Split(strings.ToLower(labels), ".")
		for _, l := range v.labels {
			if !all(l, label) {
				return v, false
			}
		}
	}
	if hasMetadata {
		for l := range strings.SplitSeq(metadata, ".") {
			if !all(l, label) {
				return v, false
			}
		}
	}
	return v, true
}

// compareNuGet orders the labels by Semantic Versioning 2.0.0 section 11, but
// without regard to case.
func compareNuGet(a, b nugetVersion) int {
	if order := compareReleases(a.release, b.release); order != 0 {
		return order
	}
	if order := compareBools(len(a.labels) == 0, len(b.labels) == 0); order != 0 {
		return order
	}
	return compareIdentifiers(a.labels, b.labels)
}
