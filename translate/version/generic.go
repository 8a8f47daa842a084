package version

import "strings"

// parseGeneric reads a version of a type that has no scheme of its own. Only a
// full semantic version, with or without "v", is taken as one: tags of such
// types are just as often dates, build numbers, branch names and commit
// hashes, none of which says that one artifact succeeds another.
func parseGeneric(s string) (semverVersion, bool) {
	v, ok := parseLooseSemver(s)
	if !ok {
		return "", false
	}
	// Output of "git describe" reads as a pre-release of the tag it in fact
	// comes after, so semantic versioning would order it backwards.
	core, _, _ := strings.Cut(s, "+")
	if isGitDescribe(s) || isGitDescribe(core) {
		return "", false
	}
	return v, true
}

// parseTag is parseGeneric without build metadata: an OCI tag has no "+"
// (OCI Distribution Specification, "Pulling manifests").
func parseTag(s string) (semverVersion, bool) {
	if strings.Contains(s, "+") {
		return "", false
	}
	return parseGeneric(s)
}

// isGitDescribe reports whether s ends in "-<n>-g<hex>", with or without the
// marks git adds for an unclean work tree.
func isGitDescribe(s string) bool {
	s = strings.TrimSuffix(strings.TrimSuffix(s, "-dirty"), "-broken")
	dash := strings.LastIndexByte(s, '-')
	if dash < 0 {
		return false
	}
	hash, ok := strings.CutPrefix(s[dash+1:], "g")
	if !ok || !isHex(hash) {
		return false
	}
	rest := s[:dash]
	dash = strings.LastIndexByte(rest, '-')
	return dash >= 0 && isDigits(rest[dash+1:])
}
