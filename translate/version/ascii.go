package version

import (
	"cmp"
	"strings"
)

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

func isAlnum(c byte) bool { return isDigit(c) || isLetter(c) }

// all reports whether s is not empty and every byte of it satisfies f.
func all(s string, f func(byte) bool) bool {
	for i := range len(s) {
		if !f(s[i]) {
			return false
		}
	}
	return s != ""
}

func isDigits(s string) bool { return all(s, isDigit) }

func isHex(s string) bool {
	return all(s, func(c byte) bool {
		return isDigit(c) || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
	})
}

// span returns the length of the longest prefix of s whose bytes satisfy f.
func span(s string, f func(byte) bool) int {
	for i := range len(s) {
		if !f(s[i]) {
			return i
		}
	}
	return len(s)
}

// compareNumbers orders two runs of decimal digits by value. The empty run is
// zero. Values are compared as text because dates and build counters glued
// together overflow every machine integer.
func compareNumbers(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}

func isZero(digits string) bool { return strings.Trim(digits, "0") == "" }

// compareReleases orders two dotted runs of numbers, the shorter one padded
// with zeros, so that 1.0 equals 1.0.0.
func compareReleases(a, b []string) int {
	for i := range max(len(a), len(b)) {
		var x, y string
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if order := compareNumbers(x, y); order != 0 {
			return order
		}
	}
	return 0
}

// cutEpoch splits off the epoch before a colon, which deb and rpm have alike: empty if there is none, false if it is no
// number.
func cutEpoch(s string) (epoch, rest string, ok bool) {
	epoch, rest, found := strings.Cut(s, ":")
	if !found {
		return "", s, true
	}
	return epoch, rest, isDigits(epoch)
}
