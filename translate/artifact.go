package translate

import (
	"slices"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
	"github.com/package-url/packageurl-go"
)

// artifact is an artifact's identity, taken apart (mapping.md, "Artifacts").
type artifact struct {
	from    string // what was read
	text    string // as it was written; canonical where that was no purl
	purl    string // canonical, all qualifiers
	key     string // canonical, without the qualifiers that do not count
	pkg     string // the package: no version, no subpath; the registry where it is part of the name
	typ     string // purl type
	name    string // namespace and name
	version string // empty if none
	tag     string // qualifier tag; empty if none
	digest  bool   // the version is a digest
}

// registryType tells whether a purl type's names say little without their registry.
func registryType(typ string) bool { return typ == "oci" || typ == "docker" || typ == "generic" }

// parseArtifact reads an artifact's identity. Text that is no purl becomes a generic one, and the second result is false.
func parseArtifact(text string, allQualifiers bool) (artifact, bool) {
	if a, ok := plainArtifact(text, allQualifiers); ok {
		return a, true
	}
	return anyArtifact(text, allQualifiers)
}

// plainTypes are purl types whose plain purls are canonical as they stand: they demand nothing of them, and change nothing
// about lower-case letters, digits, dots and hyphens.
var plainTypes = []string{"oci", "docker", "generic", "maven", "npm", "golang", "deb", "rpm", "pypi", "gem", "cargo", "nuget", "helm", "github", "apk"}

// plainArtifact takes apart what most purls are, pkg:type/namespace/name@version?key=value of plain characters, without the
// general parser, which costs as much as a whole translation. A test holds it to that one.
func plainArtifact(text string, allQualifiers bool) (a artifact, ok bool) {
	base, query, qualified := strings.Cut(text, "?")
	rest, ok := strings.CutPrefix(base, "pkg:")
	if !ok {
		return a, false
	}
	typ, rest, ok := strings.Cut(rest, "/")
	if !ok || !slices.Contains(plainTypes, typ) {
		return a, false
	}
	purl := text
	if before, after, escaped := strings.Cut(base, "%3A"); escaped {
		purl = before + ":" + text[len(before)+len("%3A"):] // what separates a digest from its algorithm needs no escape
		base = purl[:len(before)+1+len(after)]
		rest = base[len("pkg:")+len(typ)+1:]
	}
	path, version, versioned := strings.Cut(rest, "@")
	algorithm, digest, isHash := strings.Cut(version, ":")
	switch {
	case versioned && version == "", !plainPath(path), !plainText(algorithm), !plainText(digest), isHash && (algorithm == "" || digest == ""):
		return a, false
	}
	a = artifact{text: text, purl: purl, key: purl, typ: typ, version: version, digest: isHash && isDigest(version)}
	a.pkg = base[:len("pkg:")+len(typ)+1+len(path)]
	if a.name = path; strings.IndexByte(path, '/') < 0 {
		a.name = base[len("pkg:")+len(typ) : len(a.pkg)] // with the slash before it
	}
	if qualified {
		return a, a.addPlainQualifiers(base, query, allQualifiers)
	}
	return a, true
}

// addPlainQualifiers adds qualifiers of plain characters and escaped slashes, in the order that they have in a canonical purl;
// false if they are others.
func (a *artifact) addPlainQualifiers(base, query string, allQualifiers bool) bool {
	counting := base
	last, all := "", true
	for q := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(q, "=")
		if key <= last || value == "" || !plainQualifier(key, value) {
			return false
		}
		last = key
		switch key {
		case "repository_url":
			if registryType(a.typ) {
				a.pkg += "?" + q
			}
		case "tag":
			if strings.IndexByte(value, '%') >= 0 {
				return false
			}
			a.tag = value
		}
		if !allQualifiers && !counts(key, a.digest) {
			all = false
			continue
		}
		separator := "&"
		if len(counting) == len(base) {
			separator = "?"
		}
		counting += separator + q
	}
	if !all {
		a.key = counting
	}
	return true
}

// counts tells whether a qualifier is part of what an artifact is: not where it may be had, and of one that a digest tells from
// all others not what it is called (mapping.md, "Artifacts").
func counts(key string, digest bool) bool {
	switch key {
	case "download_url", "vcs_url", "file_name", "checksum":
		return false
	case "repository_url", "tag":
		return !digest
	}
	return true
}

// plainQualifier tells whether a qualifier stands as in a canonical purl, with no escapes but those of slashes.
func plainQualifier(key, value string) bool {
	for i := range len(key) {
		if c := key[i]; (c < 'a' || c > 'z') && c != '_' {
			return false
		}
	}
	for segment := range strings.SplitSeq(value, "%2F") {
		for i := range len(segment) {
			if c := segment[i]; (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}

// plainPath tells whether a text is segments of plain characters, of which none is empty or consists of dots.
func plainPath(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		if strings.Trim(segment, ".") == "" || !plainText(segment) {
			return false
		}
	}
	return true
}

func plainText(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '-' {
			return false
		}
	}
	return true
}

// anyArtifact is parseArtifact for any text.
func anyArtifact(text string, allQualifiers bool) (artifact, bool) {
	p, err := packageurl.FromString(text)
	ok := err == nil && p.Name != "" && p.Type != ""
	if !ok {
		p = packageurl.PackageURL{Type: "generic", Name: text}
	}
	a := artifact{purl: p.ToString(), typ: p.Type, version: p.Version, digest: isDigest(p.Version)}
	a.text = text
	if !ok || !strings.HasPrefix(text, "pkg:") { // the scheme of a purl has no case, that of an Eiffel identity has
		a.text = a.purl
	}
	a.name = p.Namespace + "/" + p.Name
	var counting, registry packageurl.Qualifiers
	for _, q := range p.Qualifiers {
		switch q.Key {
		case "repository_url":
			if registryType(p.Type) {
				registry = append(registry, q)
			}
		case "tag":
			a.tag = q.Value
		}
		if allQualifiers || counts(q.Key, a.digest) {
			counting = append(counting, q)
		}
	}
	k := p
	k.Qualifiers = counting
	a.key = k.ToString()
	k.Qualifiers, k.Version, k.Subpath = registry, "", ""
	a.pkg = k.ToString()
	return a, ok
}

// isDigest tells whether a version is an algorithm and a hex digest, such as sha256:0b31....
func isDigest(version string) bool {
	algorithm, hex, found := strings.Cut(version, ":")
	if !found || algorithm == "" || len(hex) < 32 {
		return false
	}
	for i := 0; i < len(hex); i++ {
		if c := hex[i] | 0x20; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func (a *artifact) subject() ledger.SubjectKey { return ledger.SubjectKey{Kind: "artifact", ID: a.key} }
