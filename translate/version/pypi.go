package version

import (
	"cmp"
	"strings"
)

// A pypiVersion is a version of PEP 440 in normal form. The has... fields tell
// an absent segment from one numbered zero.
type pypiVersion struct {
	epoch           string
	release         []string
	pre             string // "a", "b" or "rc"; empty without a pre-release
	preNumber       string
	post, dev       string
	hasPost, hasDev bool
	local           []string
}

// parsePyPI accepts the scheme of PEP 440, "Version scheme", in every spelling
// its section "Normalization" allows.
func parsePyPI(s string) (pypiVersion, bool) {
	p := pypiParser{strings.ToLower(strings.Trim(s, " \t\n\v\f\r"))}
	var v pypiVersion

	p.take("v")
	first := p.digits()
	if p.take("!") {
		v.epoch, first = first, p.digits()
		if v.epoch == "" {
			return v, false
		}
	}
	if first == "" {
		return v, false
	}
	v.release = append(v.release, first)
	for len(p.rest) > 1 && p.rest[0] == '.' && isDigit(p.rest[1]) {
		p.rest = p.rest[1:]
		v.release = append(v.release, p.digits())
	}

	// The longer word of a pair comes first, or its prefix would be taken.
	switch word, number := p.suffix("alpha", "a", "beta", "b", "preview", "pre", "rc", "c"); word {
	case "":
	case "alpha", "a":
		v.pre, v.preNumber = "a", number
	case "beta", "b":
		v.pre, v.preNumber = "b", number
	default:
		v.pre, v.preNumber = "rc", number
	}

	if len(p.rest) > 1 && p.rest[0] == '-' && isDigit(p.rest[1]) {
		p.rest = p.rest[1:]
		v.post, v.hasPost = p.digits(), true
	} else if word, number := p.suffix("post", "rev", "r"); word != "" {
		v.post, v.hasPost = number, true
	}

	if word, number := p.suffix("dev"); word != "" {
		v.dev, v.hasDev = number, true
	}

	if p.take("+") {
		for {
			n := span(p.rest, isAlnum)
			if n == 0 {
				return v, false
			}
			v.local = append(v.local, p.rest[:n])
			p.rest = p.rest[n:]
			if !p.separator() {
				break
			}
		}
	}
	return v, p.rest == ""
}

type pypiParser struct{ rest string }

func (p *pypiParser) take(prefix string) bool {
	rest, ok := strings.CutPrefix(p.rest, prefix)
	p.rest = rest
	return ok
}

func (p *pypiParser) digits() string {
	n := span(p.rest, isDigit)
	digits := p.rest[:n]
	p.rest = p.rest[n:]
	return digits
}

func (p *pypiParser) separator() bool {
	if p.rest != "" && strings.IndexByte(".-_", p.rest[0]) >= 0 {
		p.rest = p.rest[1:]
		return true
	}
	return false
}

// suffix takes an optional separator, one of the words, an optional separator
// and an optional number; or nothing.
func (p *pypiParser) suffix(words ...string) (word, number string) {
	start := p.rest
	p.separator()
	for _, word := range words {
		if p.take(word) {
			p.separator()
			return word, p.digits()
		}
	}
	p.rest = start
	return "", ""
}

// comparePyPI follows PEP 440, "Summary of permitted suffixes and relative
// ordering", and "Local version identifiers" for the local part.
func comparePyPI(a, b pypiVersion) int {
	return cmp.Or(
		compareNumbers(a.epoch, b.epoch),
		compareReleases(a.release, b.release),
		cmp.Compare(a.phase(), b.phase()),
		compareNumbers(a.preNumber, b.preNumber),
		compareBools(a.hasPost, b.hasPost),
		compareNumbers(a.post, b.post),
		compareBools(b.hasDev, a.hasDev), // with dev comes before without
		compareNumbers(a.dev, b.dev),
		comparePyPILocal(a.local, b.local),
	)
}

// phase orders what may follow the release segment: a bare developmental
// release, the pre-releases, then the final release with its post-releases.
func (v pypiVersion) phase() int {
	switch {
	case v.pre == "a":
		return 1
	case v.pre == "b":
		return 2
	case v.pre == "rc":
		return 3
	case v.hasDev && !v.hasPost:
		return 0
	}
	return 4
}

func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return +1
}

func comparePyPILocal(a, b []string) int {
	for i := range min(len(a), len(b)) {
		numericA, numericB := isDigits(a[i]), isDigits(b[i])
		order := compareBools(numericA, numericB)
		switch {
		case order != 0:
		case numericA:
			order = compareNumbers(a[i], b[i])
		default:
			order = strings.Compare(a[i], b[i])
		}
		if order != 0 {
			return order
		}
	}
	return cmp.Compare(len(a), len(b))
}
