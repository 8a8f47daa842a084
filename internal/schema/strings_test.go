package schema

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// kindSchemas compiles a schema of one string, or number, for each check.
func kindSchemas(t testing.TB) map[stringCheck]*jsonschema.Schema {
	t.Helper()
	out := map[stringCheck]*jsonschema.Schema{}
	for i, k := range stringKinds {
		text := `{"type":"string"}`
		switch k.rule {
		case "format":
			text = fmt.Sprintf(`{"type":"string","format":%q}`, k.name)
		case "pattern":
			text = fmt.Sprintf(`{"type":"string","pattern":%q}`, patternTexts[k.name])
		}
		out[stringCheck(i)] = compile(t, text)
	}
	return out
}

func compile(t testing.TB, text string) *jsonschema.Schema {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("test:kind", v); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("test:kind")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var oddStrings = []string{
	"", " ", "\x00", "é", "a", "A", "0", "-", "=", "====", "a=", "a==", "a===", "a====", "a=b", "+/", "a-b", "a_b",
	"2024-02-29T00:00:00Z", "2023-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2000-02-29T00:00:00Z", "0000-02-29T00:00:00Z", "2024-04-31T00:00:00Z",
	"2024-00-01T00:00:00Z", "2024-13-01T00:00:00Z", "2024-01-00T00:00:00Z", "2024-01-32T00:00:00Z", "2024-1-01T00:00:00ZZ", "+024-01-01T00:00:00Z",
	"2024-01-01T24:00:00Z", "2024-01-01T23:60:00Z", "2024-01-01T23:59:61Z", "2024-01-01T23:59:60Z", "2024-01-01T22:59:60Z", "2024-01-01T00:59:60+01:00",
	"2024-01-01T23:59:60+24:00", "2024-01-01T22:29:60-01:30", "2024-01-01T00:00:00+00:60", "2024-01-01T00:00:00+0:000", "2024-01-01T00:00:00+00-00",
	"2024-01-01T00:00:00.Z", "2024-01-01T00:00:00.1Z", "2024-01-01T00:00:00.1", "2024-01-01T00:00:00.123456789012345z", "2024-01-01T00:00:00,1Z",
	"2024-01-01t00:00:00z", "2024-01-01 00:00:00Z", "2024-01-01T00:00:00ZZ", "2024-01-01T00:00:00", "2024-01-01T00:00:00+01", "2024-01-01T00:00:00 +01:00",
	"2024-01-01T+1:+2:+3Z", "2024-01-01T-0:-0:-0Z", "2024-01-01T-1:00:00Z", "2024-01-01T1:00:000Z", "2024-01-01T00:00:00++1:+1", "2024-01-01T00:00:00Z\n", "2024-01-01TT00:00:00Z",
	"2024-01-01T00:00:6\u0660Z", "２０２４-01-01T00:00:00Z", "2024-01-01T0\x00:00:00Z", "2024-01-0\x11T00:00:00Z", "2024-01-01\x5400:00:00\x1a", "2024-01-01\x7400:00:00Z",
	"http://h", "http://h/", "http://h:", "http://h:80", "http://h:8a", "http://h:80/a b", "http://h a/", "http://", "http:///", "http:", "http", "https://", "https://h", "httpx://h",
	"HTTP://H", "http://h?q", "http://h#f", "http://h/%", "http://h/%41", "http://h/%4", "http://h/#%", "http://h/?%", "http://h%41/", "http://h\\", "\\", "http://h/\\",
	"http://u@h", "http://u:p@h", "http://u:p@@h", "http://é/", "http://h/é", "http://[::1]", "http://[::1]:80/", "http://[::1", "http://::1]", "http://[::1%25a]/", "http://[fe80::1%en0]",
	"http://[v1.x]", "http://[1.2.3.4]", "http://a:b:c", "http://[::g]/", "http://h:-1", "http://-", "http://.", "http://..", "http://h:80:80/", "http://h\n", "http://h/\n", "http://h/\x7f",
	"//", "//h", "///", "//h:x", "/", "/a", "/:a", "a:b", "a/b:c", "1:b", ":", ":a", "a:", "?", "?a:b", "#", "#a:b", "#%", "%", "%41", "./a:b", "*", "urn:a:b", "urn:", "mailto:a@b", "a b", "é", "file:///c:/x",
	"1http://h", "ht_tp://h", "+a:b", "a+b:c", "pkg:npm/a@1?x#y", "pkg:", "pkg", "xpkg:", "PKG:", "data:,x", "javascript:alert(1)", "http://h/a|b", "http://h/<>", "http://h/{}", "http://h^", "http://h;a=b", "http://h,x",
	"aaaaaaaa-bbbb-1ccc-8ddd-eeeeeeeeeeee", "aaaaaaaa-bbbb-0ccc-8ddd-eeeeeeeeeeee", "aaaaaaaa-bbbb-6ccc-8ddd-eeeeeeeeeeee", "aaaaaaaa-bbbb-5ccc-cddd-eeeeeeeeeeee", "aaaaaaaabbbb-1ccc-8ddd-eeeeeeeeeeeee",
	"gaaaaaaa-bbbb-1ccc-8ddd-eeeeeeeeeeee", "aaaaaaaa-bbbb-1ccc-8ddd-eeeeeeeeeeee ", "{aaaaaaa-bbbb-1ccc-8ddd-eeeeeeeeeee}", "Aaaaaaaa-bbbb-1ccc-8ddd-eeeeeeeeeeee",
	"dev.cdeventsx.a-b.c.0.0.0", "dev.cdeventsx.a-b.c.0.0.0\n", "dev.cdeventsx.a-b.c.0.0.10", "dev.cdeventsx.a-b.c.d.0.0.0", "dev.cdeventsx.a-b..0.0.0", "dev.cdeventsx.-b.c.0.0.0", "dev.cdeventsx.a-.c.0.0.0",
	"dev.cdeventsx.a-b1.c.0.0.0", "dev.cdeventsx.1-b.c.0.0.0", "dev.cdeventsx.a-b.c1.0.0.0", "dev.cdeventsx.a-b-c.d.0.0.0", "dev.cdeventsx.a-b.c.0.0", "dev-cdeventsx.a-b.c.0.0.0", "dev.cdeventsx.0.0.0", "dev.cdeventsx..0.0.0",
	"a-b", "a-", "-b", "a", "a-b-c", "1-b", "a-1", "é-b", "a-b ",
}

func TestStringChecks(t *testing.T) {
	schemas := kindSchemas(t)
	for i, k := range stringKinds {
		for _, s := range append(oddStrings, sampleStrings[:]...) {
			want := schemas[stringCheck(i)].Validate(s) == nil
			if got := k.is(s); got != want {
				t.Errorf("%s %q: %v, want %v", k.name, s, got, want)
			}
		}
		if !k.is(sampleStrings[i]) {
			t.Errorf("the sample of %s does not pass", k.name)
		}
	}
}

// TestURIs holds the judges of URIs, which the translation asks too, to a validator.
func TestURIs(t *testing.T) {
	text, err := os.ReadFile("testdata/uris.txt")
	if err != nil {
		t.Fatal(err)
	}
	schemas := kindSchemas(t)
	n := 0
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		n++
		quoted := line[strings.IndexByte(line, '"'):]
		var s string
		if err := json.Unmarshal([]byte(quoted), &s); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		verdict := "none"
		switch {
		case IsURI(s):
			verdict = "uri"
		case IsURIReference(s):
			verdict = "reference"
		}
		if verdict != words[0] {
			t.Errorf("%q: %s, want %s", s, verdict, words[0])
		}
		uri, reference := schemas[absoluteURI].Validate(s) == nil, schemas[uriReference].Validate(s) == nil
		if uri != (verdict == "uri") || reference != (verdict != "none") {
			t.Errorf("%q: %s, but the validator says %v of a URI and %v of a reference", s, verdict, uri, reference)
		}
	}
	if n < 40 {
		t.Errorf("%d texts", n)
	}
}

func FuzzStringChecks(f *testing.F) {
	for _, s := range oddStrings {
		f.Add(s)
	}
	schemas := kindSchemas(f)
	f.Fuzz(func(t *testing.T, s string) {
		for i, k := range stringKinds {
			want := schemas[stringCheck(i)].Validate(s) == nil
			if got := k.is(s); got != want {
				t.Errorf("%s %q: %v, want %v", k.name, s, got, want)
			}
		}
		if IsPlainReference(s) && !IsURIReference(s) {
			t.Errorf("%q is a plain reference, but no reference", s)
		}
	})
}

func TestIntegers(t *testing.T) {
	real := compile(t, `{"type":"integer"}`)
	for _, s := range []string{
		"0", "-0", "1", "-1", "1.0", "1.5", "1.50", "10.0e-1", "15e-1", "150e-1", "1e2", "1E+2", "1e-2", "100e-2", "1e0", "0e5", "0.0e-5", "0.00", "-0.0",
		"1e2000000", "1e-2000000", "100e-2000000", "-1e1000000", "-1e1000001", "10e999999", "10e1000000", "1e1000000", "1e1000001", "1e-1000000", "1e-1000001", "0e1000001", "1.0e1000001", "1.00e1000001", "1e99999999999999999999", "0e99999999999999999999", "1e-99999999999999999999",
		"12345678901234567890123", "12345678901234567890123.0", "0.1e1", "0.1e0", "1.25e2", "1.25e1", "1200e-2", "1200e-3",
		"null", "true", "\"1\"", "[]", "{}", "[1]",
	} {
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(s))
		if err != nil {
			t.Fatal(s, err)
		}
		want := real.Validate(v) == nil
		d := mustParse(t, []byte(s))
		c := checker{s: &Schema{}}
		if got := c.value(&node{op: opInteger}, d.Root()); got != want {
			t.Errorf("%s: %v, want %v", s, got, want)
		}
		// The documents that are read say the same of their numbers.
		if i, ok := d.Root().Int(); d.Root().IsIntegral() != want || ok && !want {
			t.Errorf("%s is %d and integral: %v, want %v", s, i, d.Root().IsIntegral(), want)
		}
	}
}
