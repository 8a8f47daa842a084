package jsondoc

import (
	"strconv"
	"strings"
)

// decimal is the value of a number as JSON writes it: digits without zeros at either end, times a power of ten. Zero has
// neither digits nor a sign, so equal numbers are equal decimals.
type decimal struct {
	negative bool
	digits   string
	power    int64
}

// maxPower is how far the powers of ten may go in a number that counts as an integer: whoever writes out one that goes
// further has a memory problem. The validators of JSON Schema that the tests compare with have the same bound.
const maxPower = 1_000_000

// farPower is where readDecimal gives up: numbers beyond it have no use but as text.
const farPower = 1 << 40

// readDecimal reads a number that is well-formed. The second result is the power of ten of the last digit that is written.
// It is false in the third if the exponent is out of all bounds.
func readDecimal(s string) (d decimal, written int64, ok bool) {
	s, d.negative = strings.CutPrefix(s, "-")
	if e := strings.IndexAny(s, "eE"); e >= 0 {
		power, err := strconv.ParseInt(s[e+1:], 10, 64)
		if err != nil {
			return d, 0, false
		}
		s, written = s[:e], power
	}
	fraction := ""
	if whole, rest, found := strings.Cut(s, "."); found {
		s, fraction = whole+rest, rest
	}
	digits := strings.TrimRight(s, "0")
	if d.digits = strings.TrimLeft(digits, "0"); d.digits == "" {
		return decimal{}, 0, true
	}
	if written > farPower || written < -farPower {
		return d, 0, false
	}
	written -= int64(len(fraction))
	d.power = written + int64(len(s)-len(digits))
	return d, written, true
}

// readInteger is readDecimal for numbers without a fraction; false for all others.
func readInteger(s string) (decimal, bool) {
	d, written, ok := readDecimal(s)
	if !ok || d.power < 0 || written > maxPower || written < -maxPower {
		return d, false
	}
	return d, true
}

// IsIntegral tells whether a number has no fraction, so that it is an integer by JSON Schema: 1.0 and 1e2 are. One whose
// exponent is beyond a million is none.
func (v Value) IsIntegral() bool {
	if v.Kind() != Number {
		return false
	}
	raw := v.Raw()
	for i, c := range raw {
		if (c < '0' || c > '9') && (c != '-' || i > 0) {
			_, ok := readInteger(string(raw))
			return ok
		}
	}
	return true
}

// Int is the value of an integral number in the range of int64; the second result is false for anything else. See
// [Value.IsIntegral].
func (v Value) Int() (int64, bool) {
	if v.Kind() != Number {
		return 0, false
	}
	raw := v.Raw()
	if i, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
		return i, true
	}
	d, ok := readInteger(string(raw))
	if !ok || int64(len(d.digits))+d.power > 19 { // int64 has 19 digits
		return 0, false
	}
	sign := ""
	if d.negative {
		sign = "-"
	}
	i, err := strconv.ParseInt(sign+"0"+d.digits+strings.Repeat("0", int(d.power)), 10, 64)
	return i, err == nil
}

// SameNumber compares two numbers as JSON writes them by their value, whatever their size: 1.0 is 1e0.
func SameNumber(a, b string) bool {
	if a == b {
		return true
	}
	x, _, ok1 := readDecimal(a)
	y, _, ok2 := readDecimal(b)
	return ok1 && ok2 && x == y
}
