package jsondoc_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
)

func TestParseCompactsAndKeepsTheRest(t *testing.T) {
	text := " { \"b\" : 1.50e+01 , \"a\\u0062\":[ ] , \"c\": [1 ,{ }, \"\\u00e9\" , null,true ] } \n"
	d, err := jsondoc.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"b":1.50e+01,"a\u0062":[],"c":[1,{},"\u00e9",null,true]}`
	if got := string(d.Bytes()); got != want {
		t.Errorf("Bytes:\n got %s\nwant %s", got, want)
	}
	root := d.Root()
	if got := string(root.Get("ab").Raw()); got != "[]" {
		t.Errorf("Get of an escaped name: %q", got)
	}
	if got := root.Pointed("/c/2").Str(); got != "é" {
		t.Errorf("Str: %q", got)
	}
	if got := root.Pointed("/c/4").Pointer(); got != "/c/4" {
		t.Errorf("Pointer: %q", got)
	}
	if root.Pointed("/c/9").Exists() || root.At("c", "x").Exists() {
		t.Error("what is not there exists")
	}
}

func TestParseRefuses(t *testing.T) {
	deep := strings.Repeat("[", jsondoc.Limit+1) + strings.Repeat("]", jsondoc.Limit+1)
	for name, text := range map[string]string{
		"empty":            "",
		"duplicate name":   `{"a":1,"a":2}`,
		"escaped twice":    `{"a":1,"\u0061":2}`,
		"invalid UTF-8":    "{\"a\":\"\xff\"}",
		"lone surrogate":   `{"a":"\ud800"}`,
		"too deep":         deep,
		"two values":       `{} {}`,
		"cut off":          `{"a":`,
		"a trailing comma": `{"a":1,}`,
		"a leading zero":   `{"a":01}`,
		"a comment":        `{/**/}`,
		"many duplicates":  `{` + manyMembers(60) + `,"m59":1}`,
	} {
		_, err := jsondoc.Parse([]byte(text))
		var syntax *jsondoc.SyntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("%s: got %v, want a SyntaxError", name, err)
		}
	}
	if _, err := jsondoc.Parse([]byte(deep[1 : len(deep)-1])); err != nil {
		t.Errorf("%d levels: %v", jsondoc.Limit, err)
	}
}

// manyMembers are n members of different names.
func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"m%d":%d`, i, i)
	}
	return b.String()
}

func TestManyMembers(t *testing.T) {
	d, err := jsondoc.Parse([]byte(`{` + manyMembers(1000) + `}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(d.Root().Get("m999").Raw()); got != "999" {
		t.Errorf("m999 is %s", got)
	}
}

func TestStr(t *testing.T) {
	for _, text := range []string{
		`"plain"`, `"\"\\\/\b\f\n\r\t"`, `"\u0041\u00e9\u20AC\uFFFD"`, `"\ud83d\uDE00x"`, `"x\ud83d\ude00"`, `"\u0000"`, `"é\u00e9"`, `"\\u0041"`, `""`,
	} {
		var want string
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatal(err)
		}
		d, err := jsondoc.Parse([]byte(`{` + text + `:` + text + `}`))
		if err != nil {
			t.Fatal(err)
		}
		v := d.Root().FirstChild()
		if v.Str() != want || v.Key() != want {
			t.Errorf("%s: string %q and name %q, want %q", text, v.Str(), v.Key(), want)
		}
	}
}

func TestWalk(t *testing.T) {
	d, err := jsondoc.Parse([]byte(`{"a":{"\u0062":[1,{},[2]]},"c":"x","":null}`))
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	var walk func(v jsondoc.Value)
	walk = func(v jsondoc.Value) {
		seen = append(seen, fmt.Sprintf("%s=%s", v.RawKey(), v.Raw()))
		for c := v.FirstChild(); c.Exists(); c = c.NextSibling() {
			walk(c)
		}
	}
	walk(d.Root())
	want := []string{
		"=" + string(d.Bytes()), `a={"\u0062":[1,{},[2]]}`, `\u0062=[1,{},[2]]`, "=1", "={}", "=[2]", "=2", `c="x"`, "=null",
	}
	if !slices.Equal(seen, want) {
		t.Errorf("got %q, want %q", seen, want)
	}
	if raw := d.Root().Get("").RawKey(); raw == nil || len(raw) != 0 {
		t.Errorf("an empty name: %v", raw)
	}
	for pointer, want := range map[string]int{"": 4, "/a": 3, "/a/b": 2, "/a/b/1": 1, "/c": 0, "/nothing": 0} {
		if got := d.Root().Pointed(pointer).Depth(); got != want {
			t.Errorf("%q is %d deep, want %d", pointer, got, want)
		}
	}
	var none jsondoc.Value
	if none.FirstChild().Exists() || none.NextSibling().Exists() || none.RawKey() != nil || d.Root().RawKey() != nil {
		t.Error("what is not there has neighbours or a name")
	}
}

func TestAppendReplaced(t *testing.T) {
	d, err := jsondoc.Parse([]byte(`{"a":{"x":1,"y":2,"z":3},"b":[1,2]}`))
	if err != nil {
		t.Fatal(err)
	}
	for pointer, want := range map[string]string{
		"/a/x": `{"a":{"y":2,"z":3},"b":[1,2]}`,
		"/a/z": `{"a":{"x":1,"y":2},"b":[1,2]}`,
		"/b/0": `{"a":{"x":1,"y":2,"z":3},"b":[2]}`,
	} {
		if got := string(jsondoc.AppendReplaced(nil, d, d.Root().Pointed(pointer), nil)); got != want {
			t.Errorf("without %s: got %s, want %s", pointer, got, want)
		}
	}
	if got := string(jsondoc.AppendReplaced(nil, d, d.Root().Get("b"), []byte("0"))); got != `{"a":{"x":1,"y":2,"z":3},"b":0}` {
		t.Errorf("replaced: %s", got)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`{"a":[1,"b",{"c":null}]}`, `[]`, `"x"`, `1e5`, "{\"a\":\"\xff\"}", `{"a":1,"a":2}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		before := bytes.Clone(text)
		d, err := jsondoc.Parse(text)
		if !bytes.Equal(text, before) {
			t.Fatal("the input was changed")
		}
		if err != nil {
			if jsontext.Value(text).IsValid() && !strings.Contains(err.Error(), "nested deeper") {
				t.Fatalf("jsontext accepts it: %v", err)
			}
			return
		}
		compact := jsontext.Value(bytes.Clone(text))
		if err := compact.Compact(); err != nil {
			t.Fatalf("jsontext refuses it: %v", err)
		}
		if !bytes.Equal(compact, d.Bytes()) {
			t.Fatalf("got %s, want %s", d.Bytes(), compact)
		}
		n := 0
		var walk func(v jsondoc.Value)
		walk = func(v jsondoc.Value) {
			n++
			if got := d.Root().Pointed(v.Pointer()); got != v {
				t.Fatalf("%s leads elsewhere", v.Pointer())
			}
			for c := range v.Children() {
				walk(c)
			}
		}
		if d.Len() < 200 {
			walk(d.Root())
			if n != d.Len() {
				t.Fatalf("%d values walked of %d", n, d.Len())
			}
		}
	})
}
