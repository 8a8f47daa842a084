package schema

import (
	"net/netip"
	"net/url"
	"strings"
)

// stringCheck names a check of a string: a pattern or a format that the schemas use.
type stringCheck byte

const (
	anyString stringCheck = iota
	dateTime
	absoluteURI
	uriReference
	eiffelID
	purl
	hexDigits
	base64Text
	customTypeName
	customSubject
)

// stringKinds are in the order of the constants.
var stringKinds = [...]struct {
	name string // in the tables
	rule string
	what string
	is   func(string) bool
}{
	{"string", "type", "a string", func(string) bool { return true }},
	{"date-time", "format", "a date and time (RFC 3339)", isDateTime},
	{"uri", "format", "an absolute URI", isURI},
	{"uri-reference", "format", "a URI reference", isURIReference},
	{"eiffel-id", "pattern", "a lower-case UUID of version 1 to 5", isEiffelID},
	{"purl", "pattern", "a package URL (pkg:...)", func(s string) bool { return strings.HasPrefix(s, "pkg:") }},
	{"hex", "pattern", "lower-case hexadecimal", isHex},
	{"base64", "pattern", "base64", isBase64},
	{"custom-type", "pattern", "a custom event type (dev.cdeventsx.<tool>-<subject>.<predicate>.<version>)", isCustomType},
	{"custom-subject", "pattern", "a custom subject (<tool>-<subject>)", isCustomSubject},
}

func isLowerHex(c byte) bool { return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' }
func isDigit(c byte) bool    { return c >= '0' && c <= '9' }
func isLetter(c byte) bool   { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func isEiffelID(s string) bool {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' || s[14] < '1' || s[14] > '5' {
		return false
	}
	if c := s[19]; c != '8' && c != '9' && c != 'a' && c != 'b' {
		return false
	}
	return isHex(s[:8]) && isHex(s[9:13]) && isHex(s[14:18]) && isHex(s[19:23]) && isHex(s[24:])
}

func isHex(s string) bool {
	for _, c := range []byte(s) {
		if !isLowerHex(c) {
			return false
		}
	}
	return len(s) > 0
}

// isBase64 is the pattern of the Eiffel schemas, which takes "-" for a digit and does not count digits.
func isBase64(s string) bool {
	for i := 0; i < 3 && len(s) > 0 && s[len(s)-1] == '='; i++ {
		s = s[:len(s)-1]
	}
	for _, c := range []byte(s) {
		if !isLetter(c) && !isDigit(c) && c != '+' && c != '/' && c != '-' {
			return false
		}
	}
	return true
}

// isCustomSubject: letters and digits, a hyphen, letters.
func isCustomSubject(s string) bool {
	i := 0
	for i < len(s) && (isLetter(s[i]) || isDigit(s[i])) {
		i++
	}
	if i == 0 || i == len(s) || s[i] != '-' {
		return false
	}
	return isLetters(s[i+1:])
}

func isLetters(s string) bool {
	for _, c := range []byte(s) {
		if !isLetter(c) {
			return false
		}
	}
	return len(s) > 0
}

// isCustomType: dev.cdeventsx.<tool>-<subject>.<predicate>.<digit>.<digit>.<digit>; the specification's pattern allows
// one digit each.
func isCustomType(s string) bool {
	if len(s) < len(customPrefix)+6 || !IsCustom(s) {
		return false
	}
	v := s[len(s)-6:]
	for i, c := range []byte(v) {
		if i%2 == 0 && c != '.' || i%2 == 1 && !isDigit(c) {
			return false
		}
	}
	s = s[len(customPrefix) : len(s)-6]
	for i, c := range []byte(s) {
		if c == '.' {
			return isCustomSubject(s[:i]) && isLetters(s[i+1:])
		}
	}
	return false
}

// isDateTime is RFC 3339, section 5.6, leap seconds included; a part of the time may also be written with a sign ("+1"),
// as validators that read it as a number have it.
func isDateTime(s string) bool {
	// The least is yyyy-mm-ddThh:mm:ssZ.
	if len(s) < 20 || s[10]|0x20 != 't' || s[4] != '-' || s[7] != '-' {
		return false
	}
	for _, i := range [...]int{0, 1, 2, 3, 5, 6, 8, 9} {
		if !isDigit(s[i]) {
			return false
		}
	}
	number := func(i int) int { return int(s[i]-'0')*10 + int(s[i+1]-'0') }
	year, month, day := number(0)*100+number(2), number(5), number(8)
	if month < 1 || month > 12 || day < 1 || day > daysIn(year, month) {
		return false
	}
	h, ok1 := twoDigits(s[11], s[12])
	m, ok2 := twoDigits(s[14], s[15])
	sec, ok3 := twoDigits(s[17], s[18])
	if !ok1 || !ok2 || !ok3 || s[13] != ':' || s[16] != ':' || h > 23 || m > 59 || sec > 60 {
		return false
	}
	s = s[19:]
	if s[0] == '.' {
		i := 1
		for i < len(s) && isDigit(s[i]) {
			i++
		}
		if i == 1 {
			return false
		}
		s = s[i:]
	}
	if len(s) != 1 || s[0]|0x20 != 'z' {
		if len(s) != 6 || s[0] != '+' && s[0] != '-' || s[3] != ':' {
			return false
		}
		zh, ok1 := twoDigits(s[1], s[2])
		zm, ok2 := twoDigits(s[4], s[5])
		if !ok1 || !ok2 || zh > 23 || zm > 59 {
			return false
		}
		offset := zh*60 + zm
		if s[0] == '+' {
			offset = -offset
		}
		minutes := h*60 + m + offset
		if minutes < 0 {
			minutes += 24 * 60
		}
		h, m = minutes/60, minutes%60
	}
	// A leap second is at the end of a day in UTC.
	return sec < 60 || h == 23 && m == 59
}

func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

func twoDigits(a, b byte) (int, bool) {
	switch {
	case !isDigit(b):
		return 0, false
	case isDigit(a):
		return int(a-'0')*10 + int(b-'0'), true
	case a == '+':
		return int(b - '0'), true
	case a == '-' && b == '0':
		return 0, true
	}
	return 0, false
}

// plainURL tells whether s is of the kind that most are: an optional http(s)://host[:port] and characters that mean the
// same wherever they are. Anything else is for the general rules.
func plainURL(s string) (absolute, plain bool) {
	rest := s
	if len(rest) > 8 && rest[:4] == "http" {
		switch {
		case rest[4:7] == "://":
			rest, absolute = rest[7:], true
		case rest[4:8] == "s://":
			rest, absolute = rest[8:], true
		}
	}
	if absolute {
		i := 0
		for i < len(rest) && (isLetter(rest[i]) || isDigit(rest[i]) || rest[i] == '.' || rest[i] == '-') {
			i++
		}
		if i == 0 {
			return true, false
		}
		if i < len(rest) && rest[i] == ':' {
			for i++; i < len(rest) && isDigit(rest[i]); i++ {
			}
		}
		if i < len(rest) && rest[i] != '/' {
			return true, false
		}
		rest = rest[i:]
	} else if len(rest) > 1 && rest[0] == '/' && rest[1] == '/' {
		return false, false
	}
	for i := range len(rest) {
		c := rest[i]
		if !isLetter(c) && !isDigit(c) && c != '/' && c != '-' && c != '.' && c != '_' && c != '~' {
			return absolute, false
		}
	}
	return absolute, true
}

func isURI(s string) bool {
	if absolute, plain := plainURL(s); plain {
		return absolute
	}
	u, ok := parseURL(s)
	return ok && u.IsAbs()
}

func isURIReference(s string) bool {
	if _, plain := plainURL(s); plain {
		return true
	}
	if strings.Contains(s, `\`) {
		return false
	}
	_, ok := parseURL(s)
	return ok
}

// parseURL adds to net/url what it leaves open: an IPv6 address stands in brackets, is one, and has no zone.
func parseURL(s string) (*url.URL, bool) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, false
	}
	if host := u.Hostname(); strings.Contains(host, ":") {
		if !strings.Contains(u.Host, "[") || !strings.Contains(u.Host, "]") {
			return nil, false
		}
		if a, err := netip.ParseAddr(host); err != nil || a.Zone() != "" {
			return nil, false
		}
	}
	return u, true
}
