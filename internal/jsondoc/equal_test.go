package jsondoc_test

import (
	"testing"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
)

func TestEqual(t *testing.T) {
	root := func(text string) jsondoc.Value {
		if text == "" {
			return jsondoc.Value{}
		}
		d, err := jsondoc.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return d.Root()
	}
	byValue := func(a, b jsondoc.Value) bool { return jsondoc.SameNumber(string(a.Raw()), string(b.Raw())) }
	const no, yes, numbers = "no", "yes", "but for numbers"
	for _, c := range []struct{ a, b, want string }{
		{``, ``, yes}, {``, `null`, no}, {`null`, `null`, yes}, {`null`, `false`, no}, {`true`, `false`, no},
		{`"é\n"`, `"\u00e9\u000a"`, yes}, {`"a"`, `"b"`, no}, {`"1"`, `1`, no},
		{`1`, `1`, yes}, {`1`, `1.0`, numbers}, {`1`, `2`, no}, {`1e400`, `10e399`, numbers},
		{`[1,2]`, `[1, 2]`, yes}, {`[1,2]`, `[2,1]`, no}, {`[1]`, `[1,2]`, no}, {`[1,2]`, `[1]`, no}, {`[]`, `{}`, no}, {`[]`, `[null]`, no},
		{`{"a":1,"b":[{}]}`, `{"b":[{ }],"\u0061":1}`, yes}, {`{"a":1}`, `{}`, no}, {`{}`, `{"a":1}`, no}, {`{"a":1}`, `{"b":1}`, no}, {`{"a":null}`, `{}`, no},
		{`{"a":[{"b":1.50}]}`, `{"a":[{"b":1.5}]}`, numbers}, {`{"a":[{"b":1.50,"c":1}]}`, `{"a":[{"b":1.5}]}`, no},
	} {
		a, b := root(c.a), root(c.b)
		if jsondoc.Equal(a, b) != (c.want == yes) || jsondoc.Equal(b, a) != (c.want == yes) {
			t.Errorf("%s and %s: want %s", c.a, c.b, c.want)
		}
		if jsondoc.EqualBy(a, b, byValue) != (c.want != no) || jsondoc.EqualBy(b, a, byValue) != (c.want != no) {
			t.Errorf("%s and %s, with numbers by value: want %s", c.a, c.b, c.want)
		}
	}
}
