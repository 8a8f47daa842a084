package version

import (
	"cmp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A mavenVersion is the token sequence of the POM reference's "Version Order
// Specification", with trailing null tokens trimmed at the end and before
// every hyphen.
//
// Maven's own code departs from that text where a qualifier stands between
// dots (1.x.2) and where a zero is trimmed between hyphens (1-0-2). There it
// contradicts itself: it has 1.x.2 < 1-alpha < 1 < 1.x.2. The text is followed
// instead, which makes the order transitive.
type mavenVersion []mavenToken

type mavenToken struct {
	kind mavenKind
	text string // digits, or a qualifier in lower case with its alias resolved
}

// A mavenKind ranks tokens that are not alike: a qualifier comes before a
// number after a hyphen, and that before a number after a dot.
type mavenKind int

const (
	mavenQualifier mavenKind = iota
	mavenDashNumber
	mavenDotNumber
)

func (t mavenToken) isNull() bool {
	if t.kind == mavenQualifier {
		return t.text == ""
	}
	return isZero(t.text)
}

// parseMaven accepts every version Maven lets a project have: it forbids only
// a few characters. Refused beside those are spaces, control characters,
// digits beyond ASCII, and the words LATEST and RELEASE, by which Maven means
// whatever version is newest at the time.
func parseMaven(s string) (mavenVersion, bool) {
	if s == "LATEST" || s == "RELEASE" || !utf8.ValidString(s) {
		return nil, false
	}
	for _, r := range s {
		if !unicode.IsGraphic(r) || unicode.IsSpace(r) || strings.ContainsRune(`\/:"<>|?*[](){},`, r) ||
			r > unicode.MaxASCII && unicode.IsDigit(r) {
			return nil, false
		}
	}

	var v mavenVersion
	notLetter := func(c byte) bool { return c == '.' || c == '-' || isDigit(c) }
	rest, dash := strings.ToLower(s), false
	for {
		number := rest == "" || notLetter(rest[0])
		var n int
		if number {
			n = span(rest, isDigit)
		} else {
			n = span(rest, func(c byte) bool { return !notLetter(c) })
		}
		text := rest[:n]
		rest = rest[n:]

		switch {
		case !number:
			// A qualifier counts as hyphenated whatever stands before it.
			digitFollows := rest != "" && isDigit(rest[0])
			v = append(v.trim(), mavenToken{mavenQualifier, mavenAlias(text, digitFollows)})
		case dash:
			v = append(v.trim(), mavenToken{mavenDashNumber, text})
		default:
			// An empty token is a zero, as the empty run of digits is.
			v = append(v, mavenToken{mavenDotNumber, text})
		}

		if rest == "" {
			return v.trim(), true
		}
		// A change between digits and letters separates like a hyphen.
		dash = rest[0] != '.'
		if rest[0] == '.' || rest[0] == '-' {
			rest = rest[1:]
		}
	}
}

func (v mavenVersion) trim() mavenVersion {
	for len(v) > 0 && v[len(v)-1].isNull() {
		v = v[:len(v)-1]
	}
	return v
}

func mavenAlias(qualifier string, digitFollows bool) string {
	if digitFollows {
		switch qualifier {
		case "a":
			return "alpha"
		case "b":
			return "beta"
		case "m":
			return "milestone"
		}
	}
	switch qualifier {
	case "ga", "final", "release":
		return ""
	case "cr":
		return "rc"
	}
	return qualifier
}

// compareMaven pads the shorter version with the empty qualifier. It stands
// below every number, so zero must never be left to compare with it: that is
// what trimming ensures.
func compareMaven(a, b mavenVersion) int {
	for i := range max(len(a), len(b)) {
		var x, y mavenToken
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if order := compareMavenTokens(x, y); order != 0 {
			return order
		}
	}
	return 0
}

func compareMavenTokens(a, b mavenToken) int {
	if order := cmp.Compare(a.kind, b.kind); order != 0 {
		return order
	}
	if a.kind == mavenQualifier {
		return cmp.Or(
			cmp.Compare(mavenRank(a.text), mavenRank(b.text)),
			strings.Compare(a.text, b.text),
		)
	}
	return compareNumbers(a.text, b.text)
}

// mavenRank orders the qualifiers Maven knows; all others come after them.
func mavenRank(qualifier string) int {
	switch qualifier {
	case "alpha":
		return 0
	case "beta":
		return 1
	case "milestone":
		return 2
	case "rc":
		return 3
	case "snapshot":
		return 4
	case "":
		return 5
	case "sp":
		return 6
	}
	return 7
}
