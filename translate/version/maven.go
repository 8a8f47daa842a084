package version

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// A mavenVersion is read as ComparableVersion of Maven 3.9 reads it, not as the POM reference's "Version Order
// Specification" has it: users run the tool, and where the two differ (1-ga-1 against 1-1, 3.5.0-CR-2 against
// 3.5.0.Beta-1) the tool decides what they get. Maven up to 3.8 and Maven 4 order a few versions otherwise; most of
// these have a qualifier after a dot.
//
// The tool nests: a hyphen, and each change between digits and letters, opens a list that is the last item of the list
// before it. So a version is a sequence of levels, and the item that follows the tokens of a level is the list of all
// levels after it. Null tokens (zeros and what means "release") are dropped from the end of each level.
//
// Maven's order is not transitive. Where a qualifier stands between dots, and where a level holds nothing but the next
// one, three versions can form a circle: 1.x.2 < 1-alpha < 1 < 1.x.2. Versions as projects have them form none.
type mavenVersion [][]mavenToken

type mavenToken struct {
	text   string // digits, or a qualifier in lower case with its alias resolved
	number bool
}

func (t mavenToken) isNull() bool {
	if t.number {
		return isZero(t.text)
	}
	return t.text == ""
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

	v := mavenVersion{nil}
	add := func(t mavenToken) { v[len(v)-1] = append(v[len(v)-1], t) }
	open := func() { v = append(v, nil) }
	for rest := strings.ToLower(s); rest != ""; {
		n := span(rest, isDigit)
		if n > 0 || rest[0] == '.' || rest[0] == '-' {
			// Nothing before a dot or a hyphen is a zero, as the empty run of digits is.
			add(mavenToken{rest[:n], true})
		} else {
			n = span(rest, func(c byte) bool { return c != '.' && c != '-' && !isDigit(c) })
			digitFollows := n < len(rest) && isDigit(rest[n])
			// A qualifier after a dot counts as hyphenated, unless a dot or a hyphen follows it too.
			if (digitFollows || n == len(rest)) && len(v[len(v)-1]) > 0 {
				open()
			}
			add(mavenToken{mavenAlias(rest[:n], digitFollows), false})
		}
		rest = rest[n:]
		switch {
		case rest == "":
		case rest[0] == '.':
			rest = rest[1:]
		case rest[0] == '-':
			rest = rest[1:]
			open()
		default: // from digits to letters, or back
			open()
		}
	}

	for i, level := range v {
		for len(level) > 0 && level[len(level)-1].isNull() {
			level = level[:len(level)-1]
		}
		v[i] = level
	}
	for len(v) > 1 && len(v[len(v)-1]) == 0 {
		v = v[:len(v)-1]
	}
	return v, true
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

// The kinds of items, in ascending order.
const (
	mavenQualifier = iota
	mavenList
	mavenNumber
)

// A mavenItem is a token, or the list of the levels after it.
type mavenItem struct {
	kind  int
	token mavenToken
	list  mavenVersion
}

// item returns the i-th item of the list, false if it is shorter.
func (v mavenVersion) item(i int) (mavenItem, bool) {
	switch {
	case i < len(v[0]) && v[0][i].number:
		return mavenItem{kind: mavenNumber, token: v[0][i]}, true
	case i < len(v[0]):
		return mavenItem{kind: mavenQualifier, token: v[0][i]}, true
	case i == len(v[0]) && len(v) > 1:
		return mavenItem{kind: mavenList, list: v[1:]}, true
	}
	return mavenItem{}, false
}

func compareMaven(a, b mavenVersion) int {
	for i := 0; ; i++ {
		x, inA := a.item(i)
		y, inB := b.item(i)
		var order int
		switch {
		case inA && inB:
			order = compareMavenItems(x, y)
		case inA:
			order = x.compareToNothing()
		case inB:
			order = -y.compareToNothing()
		default:
			return 0
		}
		if order != 0 {
			return order
		}
	}
}

func compareMavenItems(a, b mavenItem) int {
	if order := cmp.Compare(a.kind, b.kind); order != 0 {
		return order
	}
	switch a.kind {
	case mavenNumber:
		return compareNumbers(a.token.text, b.token.text)
	case mavenList:
		return compareMaven(a.list, b.list)
	}
	return cmp.Or(
		cmp.Compare(mavenRank(a.token.text), mavenRank(b.token.text)),
		compareUTF16(a.token.text, b.token.text),
	)
}

// compareToNothing orders an item against the end of a list.
func (i mavenItem) compareToNothing() int {
	switch i.kind {
	case mavenNumber:
		return compareNumbers(i.token.text, "")
	case mavenQualifier:
		return cmp.Compare(mavenRank(i.token.text), mavenRank(""))
	}
	for _, level := range i.list {
		for _, token := range level {
			item := mavenItem{kind: mavenQualifier, token: token}
			if token.number {
				item.kind = mavenNumber
			}
			if order := item.compareToNothing(); order != 0 {
				return order
			}
		}
	}
	return 0
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

// compareUTF16 orders texts as Java does, by UTF-16 code units.
func compareUTF16(a, b string) int {
	if isASCII(a) && isASCII(b) {
		return strings.Compare(a, b)
	}
	return slices.Compare(utf16.Encode([]rune(a)), utf16.Encode([]rune(b)))
}

func isASCII(s string) bool {
	return span(s, func(c byte) bool { return c <= unicode.MaxASCII }) == len(s)
}
