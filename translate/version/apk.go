package version

import (
	"cmp"
	"strings"
)

// An apkVersion is number{.number}{letter}{_suffix{number}}{~hash}{-r number} (apk-package(5), "pkgver"). The hash of
// the commit has no place in the order.
type apkVersion struct {
	numbers  []string
	letter   string
	suffixes []apkSuffix
	revision string // empty without one
}

type apkSuffix struct {
	rank   int // below zero for a pre-release, above for what comes after the release
	number string
}

var apkSuffixes = []struct {
	name string
	rank int
}{
	{"alpha", -4}, {"beta", -3}, {"pre", -2}, {"rc", -1},
	{"cvs", 1}, {"svn", 2}, {"git", 3}, {"hg", 4}, {"p", 5},
}

// parseAPK accepts that grammar and nothing else: apk itself compares what it calls invalid in a way that changed
// between its versions.
func parseAPK(s string) (apkVersion, bool) {
	var v apkVersion
	digits := func() string {
		n := span(s, isDigit)
		number := s[:n]
		s = s[n:]
		return number
	}
	for {
		number := digits()
		if number == "" {
			return v, false
		}
		v.numbers = append(v.numbers, number)
		if s == "" || s[0] != '.' {
			break
		}
		s = s[1:]
	}
	if s != "" && 'a' <= s[0] && s[0] <= 'z' {
		v.letter, s = s[:1], s[1:]
	}
suffixes:
	for strings.HasPrefix(s, "_") {
		for _, suffix := range apkSuffixes {
			if rest, ok := strings.CutPrefix(s[1:], suffix.name); ok {
				s = rest
				v.suffixes = append(v.suffixes, apkSuffix{suffix.rank, digits()})
				continue suffixes
			}
		}
		return v, false
	}
	if rest, ok := strings.CutPrefix(s, "~"); ok {
		n := span(rest, func(c byte) bool { return isDigit(c) || 'a' <= c && c <= 'f' })
		if n == 0 {
			return v, false
		}
		s = rest[n:]
	}
	if rest, ok := strings.CutPrefix(s, "-r"); ok {
		s = rest
		if v.revision = digits(); v.revision == "" {
			return v, false
		}
	}
	return v, s == ""
}

func compareAPK(a, b apkVersion) int {
	for i := range min(len(a.numbers), len(b.numbers)) {
		x, y := a.numbers[i], b.numbers[i]
		order := compareNumbers(x, y)
		// Behind the first dot, a number with a leading zero is read as the digits after a decimal point.
		if i > 0 && (x[0] == '0' || y[0] == '0') {
			order = strings.Compare(x, y)
		}
		if order != 0 {
			return order
		}
	}
	if order := cmp.Or(
		cmp.Compare(len(a.numbers), len(b.numbers)),
		strings.Compare(a.letter, b.letter),
	); order != 0 {
		return order
	}
	for i := range max(len(a.suffixes), len(b.suffixes)) {
		var x, y apkSuffix
		if i < len(a.suffixes) {
			x = a.suffixes[i]
		}
		if i < len(b.suffixes) {
			y = b.suffixes[i]
		}
		if order := cmp.Or(cmp.Compare(x.rank, y.rank), compareNumbers(x.number, y.number)); order != 0 {
			return order
		}
	}
	return cmp.Or(compareBools(a.revision != "", b.revision != ""), compareNumbers(a.revision, b.revision))
}
