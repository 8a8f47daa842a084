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

// TestSyntaxErrors has every rule, and where in the text and in the values it was broken.
func TestSyntaxErrors(t *testing.T) {
	deep := strings.Repeat("[", jsondoc.Limit) + `{"a":[]}`
	for _, c := range []struct {
		text    string
		offset  int64
		pointer string
		rule    string
	}{
		// The second member of a name is at fault, from its name on.
		{`{"a":{"x":1,"x":2}}`, 12, "/a/x", `duplicate member name "x"`},
		{`{"a":[0,{"b":1 , "b" : 2}]}`, 17, "/a/1/b", `duplicate member name "b"`},
		{`{"x/":1,"\u0078/":2}`, 8, "/x~1", `duplicate member name "\u0078/"`},
		{`{` + manyMembers(60) + `,"m59":{}}`, 521, "/m59", `duplicate member name "m59"`},

		// Within a name, it is the object.
		{`{"a":{"b":1,"\x":2}}`, 13, "/a", "unknown escape in a string"},
		{`{"a":{"\u12":2}}`, 7, "/a", `\u takes four hexadecimal digits`},
		{`{"a":{"\ud800":1}}`, 7, "/a", "an unpaired surrogate stands in a string"},
		{"{\"a\":{\"b\x01\":1}}", 8, "/a", "a control character stands in a string without an escape"},
		{"{\"a\":{\"b\xff\":1}}", 8, "/a", "invalid UTF-8"},
		{`{"a":{"b":1,c:2}}`, 12, "/a", `unexpected character "c"`},
		{`{"a":{"b":1,"c`, 14, "/a", "the text ends within a value"},
		{`{"a":{"b\`, 9, "/a", "the text ends within a value"},

		// Within a value, it is the value.
		{`{"a":"\x"}`, 6, "/a", "unknown escape in a string"},
		{`{"a":["\u00e"]}`, 7, "/a/0", `\u takes four hexadecimal digits`},
		{`{"a":[1,"\udc00"]}`, 9, "/a/1", "an unpaired surrogate stands in a string"},
		{"{\"a\":[\"b\x01\"]}", 8, "/a/0", "a control character stands in a string without an escape"},
		{"{\"a\":{\"b\":\"\xff\"}}", 11, "/a/b", "invalid UTF-8"},
		{"{\"a\":[\xff]}", 6, "/a/0", "invalid UTF-8"},
		{`{"a":{"b":x}}`, 10, "/a/b", `unexpected character "x"`},
		{`{"a":[1,é]}`, 8, "/a/1", `unexpected character "é"`},
		{`{"a":tru}`, 8, "/a", `unexpected character "}"`},
		{`{"a":[1.]}`, 8, "/a/0", `unexpected character "]"`},
		{`{"a":{"b":"c`, 12, "/a/b", "the text ends within a value"},
		{`{"a":[1,"x`, 10, "/a/1", "the text ends within a value"},
		{deep, int64(jsondoc.Limit), strings.Repeat("/0", jsondoc.Limit), "nested deeper than 100 levels"},

		// Between a name and its value, it is the member.
		{`{"a":{"b" 1}}`, 10, "/a/b", `unexpected character "1"`},
		{`{"a":{"b"`, 9, "/a/b", "the text ends within a value"},
		{`{"a":{"b":`, 10, "/a/b", "the text ends within a value"},
		{`{"a":{"b":}}`, 10, "/a/b", `unexpected character "}"`},

		// Before and after a value, it is what the value stands in.
		{`{"a":[1 2]}`, 8, "/a", `unexpected character "2"`},
		{`{"a":{"b":1 "c":2}}`, 12, "/a", `unexpected character "\""`},
		{`{"a":[1,]}`, 8, "/a", `unexpected character "]"`},
		{`{"a":{"b":1,}}`, 12, "/a", `unexpected character "}"`},
		{`{"a":{"b":[]]}`, 12, "/a", `unexpected character "]"`},
		{`{"a":[{}}`, 8, "/a", `unexpected character "}"`},
		{`{"a":01}`, 6, "", `unexpected character "1"`},
		{`{"a":{`, 6, "/a", "the text ends within a value"},
		{`{"a":{"b":1`, 11, "/a", "the text ends within a value"},
		{`{"a":{"b":1,`, 12, "/a", "the text ends within a value"},
		{`{"a":[`, 6, "/a", "the text ends within a value"},
		{`{"a":[1`, 7, "/a", "the text ends within a value"},
		{`{"a":[1,`, 8, "/a", "the text ends within a value"},

		// Outside of everything, it is the whole.
		{``, 0, "", "there is no value"},
		{" \n", 2, "", "there is no value"},
		{`x`, 0, "", `unexpected character "x"`},
		{`"a`, 2, "", "the text ends within a value"},
		{`{} {}`, 3, "", "more text after the value"},
		{`[1]]`, 3, "", "more text after the value"},
	} {
		_, err := jsondoc.Parse([]byte(c.text))
		var e *jsondoc.SyntaxError
		if !errors.As(err, &e) {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		if want := (jsondoc.SyntaxError{Offset: c.offset, Pointer: c.pointer, Rule: c.rule}); *e != want {
			t.Errorf("%q:\n got %+v\nwant %+v", c.text, *e, want)
		}
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
		seen = append(seen, fmt.Sprintf("%s=%s", v.Key(), v.Raw()))
		for c := v.FirstChild(); c.Exists(); c = c.NextSibling() {
			walk(c)
		}
	}
	walk(d.Root())
	want := []string{
		"=" + string(d.Bytes()), `a={"\u0062":[1,{},[2]]}`, `b=[1,{},[2]]`, "=1", "={}", "=[2]", "=2", `c="x"`, "=null",
	}
	if !slices.Equal(seen, want) {
		t.Errorf("got %q, want %q", seen, want)
	}
	for pointer, want := range map[string]int{"": 4, "/a": 3, "/a/b": 2, "/a/b/1": 1, "/c": 0, "/nothing": 0} {
		if got := d.Root().Pointed(pointer).Depth(); got != want {
			t.Errorf("%q is %d deep, want %d", pointer, got, want)
		}
	}
	var none jsondoc.Value
	if none.FirstChild().Exists() || none.NextSibling().Exists() || none.IsNamed("") || d.Root().IsNamed("") {
		t.Error("what is not there has neighbours or a name")
	}
}

// TestPlain has what is written without escapes, and what only looks so.
func TestPlain(t *testing.T) {
	d, err := jsondoc.Parse([]byte(`{"a":"x","\u0062":"\u0078","":"","c":["é"],"n":1}`))
	if err != nil {
		t.Fatal(err)
	}
	for pointer, want := range map[string]struct {
		name  string // "-" if there is none, or it has escapes
		text  string
		plain bool
	}{
		"": {"-", "", false}, "/a": {"a", "x", true}, "/b": {"-", "", false}, "/": {"", "", true},
		"/c": {"c", "", false}, "/c/0": {"-", "é", true}, "/n": {"n", "", false}, "/none": {"-", "", false},
	} {
		v := d.Root().Pointed(pointer)
		if text, plain := v.PlainStr(); text != want.text || plain != want.plain {
			t.Errorf("%q is %q and plain: %v", pointer, text, plain)
		}
		for _, name := range []string{"", "a", "b", "c", "n", "0", `\u0062`} {
			if got := v.IsNamed(name); got != (name == want.name) {
				t.Errorf("%q is named %q: %v", pointer, name, got)
			}
		}
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

// comparePointers holds the pointer of a syntax error to that of jsontext, but where a bracket, a comma or a colon stands in the
// place of something else: that one takes it for one that is between values.
func comparePointers(t *testing.T, text []byte, err error) {
	t.Helper()
	var ours *jsondoc.SyntaxError
	if !errors.As(err, &ours) {
		t.Fatalf("%v is a %T", err, err)
	}
	d := jsontext.NewDecoder(bytes.NewReader(text))
	var theirs *jsontext.SyntacticError
	for err = nil; err == nil; _, err = d.ReadToken() {
	}
	if !errors.As(err, &theirs) || strings.Contains(ours.Rule, "nested deeper") || ours.Rule == "more text after the value" {
		return
	}
	delimiter := strings.HasPrefix(ours.Rule, "unexpected character") && strings.ContainsAny(ours.Rule, "]},:")
	if !delimiter && ours.Pointer != string(theirs.JSONPointer) {
		t.Fatalf("%q: %v, but jsontext says %v", text, ours, theirs)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`{"a":[1,"b",{"c":null}]}`, `[]`, `"x"`, `1e5`, "{\"a\":\"\xff\"}", `{"a":1,"a":2}`, `{"a":{"b":[1,x]}}`, `{"a":{"b":1 "c":2}}`} {
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
			comparePointers(t, text, err)
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

// FuzzMemberNames holds the search for duplicate names to a map. The input is the names, one a line; those whose bit is set in
// escaped are written with an escape.
func FuzzMemberNames(f *testing.F) {
	f.Add("a\nb\na", uint64(0))
	f.Add("a\nb\na", uint64(1))
	f.Add("aXb\naYb\nba\nab\n\n", uint64(2))
	f.Add("id\ntype\nsource\ntime\nlinkType\nlinkKind\nlinkKind", uint64(0))
	f.Add(strings.Repeat("a\n", 40), uint64(0))
	f.Add("0\n1\n2\n3\n4\n5\n6\n7\n8\n9\na\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\nm\nn\no\np\nq\nr\ns\nt\nu\nv\nw\nx\ny\nz\nd", uint64(1)<<13)
	f.Fuzz(func(t *testing.T, names string, escaped uint64) {
		var text strings.Builder
		seen := map[string]bool{}
		duplicate := ""
		for i, name := range strings.Split(names, "\n") {
			if len(name) > 20 || strings.Trim(name, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") != "" {
				t.Skip()
			}
			quoted := `"` + name + `"`
			if name != "" && escaped>>(i%64)&1 != 0 {
				quoted = fmt.Sprintf(`"\u%04x%s"`, name[0], name[1:])
			}
			if seen[name] && duplicate == "" {
				duplicate = quoted
			}
			seen[name] = true
			fmt.Fprintf(&text, ", %s :%d", quoted, i)
		}
		d, err := jsondoc.Parse([]byte("{" + text.String()[1:] + "}"))
		switch {
		case duplicate != "" && (err == nil || !strings.HasSuffix(err.Error(), "duplicate member name "+duplicate)):
			t.Errorf("%s: %v, but %s is twice in it", text.String(), err, duplicate)
		case duplicate == "" && err != nil:
			t.Errorf("%s: %v", text.String(), err)
		case duplicate == "" && d.Root().Len() != len(seen):
			t.Errorf("%s has %d members, want %d", text.String(), d.Root().Len(), len(seen))
		}
	})
}
