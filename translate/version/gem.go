package version

import "strings"

// A gemVersion is the segment list of Gem::Version: runs of digits and runs of
// letters, with the zeros dropped that end the numbers before the first word
// and those that end the list.
type gemVersion []string

// parseGem accepts what Gem::Version.correct? does, except the empty version:
// a number, dotted alphanumeric parts, and an optional pre-release after a
// hyphen, with white space around it all.
func parseGem(s string) (gemVersion, bool) {
	s = strings.Trim(s, " \t\n\v\f\r")
	main, pre, hasPre := strings.Cut(s, "-")
	for i, part := range strings.Split(main, ".") {
		if !all(part, isAlnum) || i == 0 && !isDigits(part) {
			return nil, false
		}
	}
	if hasPre {
		for part := range strings.SplitSeq(pre, ".") {
			if !all(part, func(c byte) bool { return isAlnum(c) || c == '-' }) {
				return nil, false
			}
		}
	}

	// RubyGems reads a hyphen as the word "pre".
	s = strings.ReplaceAll(s, "-", ".pre.")
	var v gemVersion
	words := false
	for s != "" {
		class := isDigit
		switch {
		case s[0] == '.':
			s = s[1:]
			continue
		case isLetter(s[0]):
			class = isLetter
			if !words {
				v, words = v.trim(), true
			}
		}
		n := span(s, class)
		v = append(v, s[:n])
		s = s[n:]
	}
	return v.trim(), true
}

func (v gemVersion) trim() gemVersion {
	for len(v) > 0 && isZero(v[len(v)-1]) {
		v = v[:len(v)-1]
	}
	return v
}

// compareGem pads the shorter version with zeros. A word comes before every
// number, so that a version with a word in it is a pre-release; words are
// ordered as Ruby orders strings, capitals first.
func compareGem(a, b gemVersion) int {
	for i := range max(len(a), len(b)) {
		x, y := "0", "0"
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		numericX, numericY := isDigits(x), isDigits(y)
		order := compareBools(numericX, numericY)
		switch {
		case order != 0:
		case numericX:
			order = compareNumbers(x, y)
		default:
			order = strings.Compare(x, y)
		}
		if order != 0 {
			return order
		}
	}
	return 0
}
