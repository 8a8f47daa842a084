package jsondoc_test

import (
	"math/big"
	"strconv"
	"strings"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
)

// TestIntegers has every way of writing a number: whether it is an integer, and which one if it is of 64 bits. Package schema
// holds the first to a validator of JSON Schema.
func TestIntegers(t *testing.T) {
	const none, large = "none", "large"
	for text, want := range map[string]string{
		"0": "0", "-0": "0", "12": "12", "-7": "-7", "1.0": "1", "-1.0": "-1", "1.5e1": "15", "100e-2": "1", "1e3": "1000", "1E+2": "100", "0.00": "0", "-0.0e5": "0",
		"0.00000000000000000001e20": "1", "10e-1": "1", "12.50e1": "125", "1e18": "1000000000000000000",
		"9223372036854775807": "9223372036854775807", "-9223372036854775808": "-9223372036854775808", "-9223372036854775808.0": "-9223372036854775808",
		"9223372036854775.807e3": "9223372036854775807",

		"9223372036854775808": large, "-9223372036854775809": large, "1e19": large, "1e99": large, "123456789012345678901234567890": large, "1e1000000": large, "10e1000000": large,

		"1.5": none, "1e-1": none, "12e-1": none, "-0.5": none, "0.001e2": none, "1e-1000000": none,
		// Too long to be written out.
		"1e1000001": none, "1e2000000": none, "-1e2000000": none, "1e999999999999999999999": none, "1e-999999999999999999999": none, "10e-1000001": none,
		"0e2000000": "0", "0.0e-2000000": "0",
		// Nothing that is a number.
		"true": none, `"1"`: none, "null": none, "[]": none, "{}": none,
	} {
		d, err := jsondoc.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		i, ok := d.Root().Int()
		got := none
		switch {
		case ok:
			got = strconv.FormatInt(i, 10)
		case d.Root().IsIntegral():
			got = large
		}
		if got != want {
			t.Errorf("%s is %s, want %s", text, got, want)
		}
		if ok && !d.Root().IsIntegral() {
			t.Errorf("%s is %d and no integer", text, i)
		}
	}
}

func TestSameNumber(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"1", "1.0", true}, {"100", "1e2", true}, {"1E+2", "100.00", true}, {"0.001", "1e-3", true}, {"0", "-0.0", true}, {"0e5", "0", true}, {"-1", "-10e-1", true},
		{"1", "-1", false}, {"1", "10", false}, {"12345678901234567890", "12345678901234567891", false}, {"1e400", "1e401", false}, {"1e400", "10e399", true},
		{"1e2000000", "10e1999999", true}, {"1e2000000", "1e2000001", false}, {"0e99", "0e-99", true},
		{"1e99999999999999999999", "1e99999999999999999999", true}, {"1e99999999999999999999", "10e99999999999999999998", false},
		{"1.5e-9223372036854775808", "15e9223372036854775807", false},
	} {
		if jsondoc.SameNumber(c.a, c.b) != c.same || jsondoc.SameNumber(c.b, c.a) != c.same {
			t.Errorf("%s and %s: want %t", c.a, c.b, c.same)
		}
	}
}

// FuzzNumbers compares with exact arithmetic.
func FuzzNumbers(f *testing.F) {
	for _, s := range []string{"0", "-0.0e1", "1e2", "12.5", "9223372036854775807", "100e-2", "1e19"} {
		f.Add(s, "1e1")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		x, ok1 := exact(a)
		y, ok2 := exact(b)
		if !ok1 || !ok2 {
			return
		}
		if same := x.Cmp(y) == 0; jsondoc.SameNumber(a, b) != same {
			t.Errorf("%s and %s are the same: %v", a, b, same)
		}
		d, err := jsondoc.Parse([]byte(a))
		if err != nil {
			t.Fatal(err)
		}
		if d.Root().IsIntegral() != x.IsInt() {
			t.Errorf("%s is an integer: %v", a, x.IsInt())
		}
		i, ok := d.Root().Int()
		if want := x.IsInt() && x.Num().IsInt64(); ok != want || ok && i != x.Num().Int64() {
			t.Errorf("%s: %d, %v", a, i, ok)
		}
	})
}

// exact reads a JSON number of a moderate size.
func exact(s string) (*big.Rat, bool) {
	d, err := jsondoc.Parse([]byte(s))
	if err != nil || d.Root().Kind() != jsondoc.Number || string(d.Bytes()) != s {
		return nil, false
	}
	if e := strings.IndexAny(s, "eE"); e >= 0 && len(s)-e > 5 {
		return nil, false
	}
	return new(big.Rat).SetString(s)
}
