package version

import (
	"cmp"
	"strings"
)

// An rpmVersion is [epoch:]version[-release] (rpm-version(7)). An absent epoch
// is zero; an absent release comes before every release.
type rpmVersion struct {
	epoch, version, release string
	hasRelease              bool
}

func parseRPM(s string) (rpmVersion, bool) {
	var v rpmVersion
	epoch, rest, ok := cutEpoch(s)
	if !ok {
		return v, false
	}
	v.epoch = epoch
	// Neither part may hold a hyphen, so there is at most one.
	v.version, v.release, v.hasRelease = strings.Cut(rest, "-")
	return v, isRPMPart(v.version) && (!v.hasRelease || isRPMPart(v.release))
}

// isRPMPart checks the characters rpm allows, and that there is something in
// them to compare: separators alone are all equal to each other.
func isRPMPart(s string) bool {
	return all(s, func(c byte) bool { return isAlnum(c) || strings.IndexByte("._+~^", c) >= 0 }) &&
		span(s, func(c byte) bool { return !isAlnum(c) }) < len(s)
}

func compareRPM(a, b rpmVersion) int {
	if order := cmp.Or(compareNumbers(a.epoch, b.epoch), compareRPMPart(a.version, b.version)); order != 0 {
		return order
	}
	switch {
	case a.hasRelease && b.hasRelease:
		return compareRPMPart(a.release, b.release)
	case a.hasRelease:
		return +1
	case b.hasRelease:
		return -1
	}
	return 0
}

// The kinds of rpm segments, in ascending order: a tilde sorts before the end
// of the part, a caret right after it, and a number after any word.
const (
	rpmTilde = iota
	rpmEnd
	rpmCaret
	rpmWord
	rpmNumber
)

func compareRPMPart(a, b string) int {
	for {
		var kindA, kindB int
		var textA, textB string
		kindA, textA, a = nextRPMSegment(a)
		kindB, textB, b = nextRPMSegment(b)
		order := cmp.Compare(kindA, kindB)
		switch {
		case order != 0:
			return order
		case kindA == rpmEnd:
			return 0
		case kindA == rpmNumber:
			order = compareNumbers(textA, textB)
		case kindA == rpmWord:
			order = strings.Compare(textA, textB)
		}
		if order != 0 {
			return order
		}
	}
}

// nextRPMSegment takes the first segment off s. Separators only end a segment;
// which ones, and how many, makes no difference.
func nextRPMSegment(s string) (kind int, text, rest string) {
	s = s[span(s, func(c byte) bool { return !isAlnum(c) && c != '~' && c != '^' }):]
	switch {
	case s == "":
		return rpmEnd, "", ""
	case s[0] == '~':
		return rpmTilde, s[:1], s[1:]
	case s[0] == '^':
		return rpmCaret, s[:1], s[1:]
	case isDigit(s[0]):
		n := span(s, isDigit)
		return rpmNumber, s[:n], s[n:]
	default:
		n := span(s, isLetter)
		return rpmWord, s[:n], s[n:]
	}
}
