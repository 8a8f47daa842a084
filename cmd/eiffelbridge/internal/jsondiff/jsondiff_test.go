package jsondiff_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/cmd/eiffelbridge/internal/jsondiff"
	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
)

func value(t *testing.T, text string) jsondoc.Value {
	t.Helper()
	doc, err := jsondoc.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return doc.Root()
}

func TestCompare(t *testing.T) {
	for _, c := range []struct{ before, after, want string }{
		{`{"a":1,"b":"é"}`, `{"b":"\u00e9","a":1}`, ``},
		{`{"a":1}`, `{"a":2}`, `/a 1 2`},
		{`{"a":1}`, `{"a":1.0}`, `/a 1 1.0`},
		{`{"a":1,"x/y":2}`, `{"a":1}`, `/x~1y 2 -`},
		{`{}`, `{"a":{"b":[]}}`, `/a - {"b":[]}`},
		{`[1,2,3]`, `[1,3]`, `/1 2 -`},
		{`[1,3]`, `[1,2,3]`, `/1 - 2`},
		{`[{"t":"A","i":1},{"t":"B"}]`, `[{"t":"A","i":2},{"t":"B"}]`, `/0/i 1 2`},
		{`[1,2]`, `[2,1]`, `/0 1 2|/1 2 1`},
		{`{"a":[1]}`, `{"a":{"b":1}}`, `/a [1] {"b":1}`},
		{`null`, `false`, ` null false`},
		{`[[1],[2]]`, `[[1],[2,3],[4]]`, `/1/1 - 3|/2 - [4]`},
	} {
		var got []string
		for _, d := range jsondiff.Compare(value(t, c.before), value(t, c.after)) {
			show := func(text []byte) string {
				if text == nil {
					return "-"
				}
				return string(text)
			}
			got = append(got, fmt.Sprintf("%s %s %s", d.Pointer, show(d.Old), show(d.New)))
		}
		if strings.Join(got, "|") != c.want {
			t.Errorf("%s to %s: %q, want %q", c.before, c.after, got, c.want)
		}
	}
}

func TestUnified(t *testing.T) {
	got := jsondiff.Unified("a", jsondiff.Indent([]byte(`{"x":1,"y":2}`)), "b", jsondiff.Indent([]byte(`{"x":1,"y":3}`)))
	if want := "--- a\n+++ b\n@@ -1,4 +1,4 @@\n {\n   \"x\": 1,\n-  \"y\": 2\n+  \"y\": 3\n }\n"; got != want {
		t.Errorf("got\n%s", got)
	}
	if got := jsondiff.Unified("a", []byte("x\n"), "b", []byte("x\n")); got != "" {
		t.Errorf("of the same: %s", got)
	}
}
