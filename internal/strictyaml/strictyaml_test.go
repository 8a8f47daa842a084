package strictyaml

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/eiffelbridge/eiffelbridge/internal/secret"
)

type sample struct {
	Name    string            `yaml:"name"`
	Port    int               `yaml:"port"`
	On      bool              `yaml:"on"`
	For     time.Duration     `yaml:"for"`
	Token   secret.Secret     `yaml:"token"`
	List    []string          `yaml:"list"`
	Numbers []int             `yaml:"numbers"`
	Map     map[string]string `yaml:"map"`
	Inner   struct {
		X float64 `yaml:"x"`
	} `yaml:"inner"`
	Skip string `yaml:"-"`
}

func lookup(name string) (string, bool) {
	v, ok := map[string]string{"PORT": "8080", "EMPTY": "", "DIR": "/tmp", "Q": `a": b`, "NL": "x\ny: 1"}[name]
	return v, ok
}

func TestDecode(t *testing.T) {
	d := Parse([]byte(`
name: "${DIR}/${EMPTY:-fallback}$$${EMPTY}$x$"
port: ${PORT}
on: true
for: 1m30s
token: ${NL}
list: [a, "${Q}", '${PORT}', "007"]
map: {a: 1, b: "x"}
inner:
  x: 1.5
`), lookup)
	s := sample{Skip: "kept"}
	d.Into(&s)
	if p := d.Problems(); len(p) > 0 {
		t.Fatal(p)
	}
	if s.Name != "/tmp/fallback$$x$" || s.Port != 8080 || !s.On || s.For != 90*time.Second || string(s.Token) != "x\ny: 1" ||
		strings.Join(s.List, ";") != `a;a": b;8080;007` || s.Map["a"] != "1" || s.Inner.X != 1.5 || s.Skip != "kept" {
		t.Errorf("decoded %+v, token %q", s, string(s.Token))
	}
	text, _ := json.Marshal(s)
	if all := fmt.Sprintf("%v %+v %#v %s %s", s, s, s, s.Token, text); strings.Contains(all, "y: 1") {
		t.Errorf("secret printed: %s", all)
	}
}

func TestProblems(t *testing.T) {
	for text, want := range map[string]string{
		"name: ${NOPE}":             "line 1: name: the environment variable NOPE is not set",
		"name: ${NOPE":              "line 1: name: has ${ without its }",
		"name: ${1X}":               `"1X" is not the name`,
		"\nport: many":              `line 2: port: "many" is not a whole number`,
		"on: yes":                   `"yes" is neither true nor false`,
		"for: 30":                   `"30" is not a duration`,
		"numbers: 7":                "numbers: is not a list",
		"list: [a, [b]]":            "list[1]: is not a single value",
		"map: [a]":                  "map: is not a mapping",
		"inner: 3":                  "inner: is not a mapping",
		"inner: {y: 1}":             "line 1: inner.y: is not a known key",
		"naem: x":                   "did you mean name?",
		"- a":                       "is not a mapping",
		"name: a\n---\nname: b":     "more than one document",
		"name: {a: b":               "not YAML",
		"${PORT}: x":                "is not a known key",
		"name: !!str x":             "tags are not supported",
		"name: &a x\nport: *a":      "anchors, aliases and tags are not supported",
		"token: ${NOPE}-geheimnis1": "NOPE",
	} {
		d := Parse([]byte(text), lookup)
		var s sample
		d.Into(&s)
		got := fmt.Sprint(d.Problems())
		if !strings.Contains(got, want) {
			t.Errorf("%q: %s; want %s", text, got, want)
		}
		if strings.Contains(got, "geheimnis1") {
			t.Errorf("%q: a value is shown: %s", text, got)
		}
	}
}

func TestVerbatim(t *testing.T) {
	var s struct {
		Plain  Text     `yaml:"plain"`
		Quoted Text     `yaml:"quoted"`
		Block  Text     `yaml:"block"`
		Folded Text     `yaml:"folded"`
		One    []string `yaml:"one"`
		Two    []string `yaml:"two"`
		Any    any      `yaml:"any"`
		None   any      `yaml:"none"`
	}
	d := ParseVerbatim([]byte(`# a remark
plain: event.x + '${HOME}'
quoted: 'it''s'
block: |
  first

  third
folded: >-
  one
  two
one: $a$$
two: [b, c]
any: {a: [1, -2, 2.5, true, "4", null]}
none: null
`))
	d.Into(&s)
	if p := d.Problems(); len(p) > 0 {
		t.Fatal(p)
	}
	for _, c := range []struct{ got, want Text }{
		{s.Plain, Text{"event.x + '${HOME}'", 2, 8, false}},
		{s.Quoted, Text{"it's", 3, 10, false}},
		{s.Block, Text{"first\n\nthird\n", 5, 0, true}},
		{s.Folded, Text{"one two", 8, 0, false}},
	} {
		if c.got != c.want {
			t.Errorf("got %+v, want %+v", c.got, c.want)
		}
	}
	if got := fmt.Sprint(s.One, s.Two, s.Any, s.None); got != "[$a$$] [b c] map[a:[1 -2 2.5 true 4 <nil>]] <nil>" {
		t.Errorf("got %s", got)
	}
	if line, column := d.Place("any.a"); line != 13 || column != 7 {
		t.Errorf("any.a stands at %d:%d", line, column)
	}
	for text, want := range map[string]string{
		"any: .inf":    "any: is no finite number",
		"any: &x 1":    "any: anchors, aliases and tags are not supported",
		"plain: [a]":   "plain: is not a single value",
		"one: {a: b}":  "one: is not a single value",
		"any: {a: *x}": "any.a: anchors",
	} {
		d := ParseVerbatim([]byte(text))
		d.Into(&s)
		if got := fmt.Sprint(d.Problems()); !strings.Contains(got, want) {
			t.Errorf("%q: %s; want %s", text, got, want)
		}
	}
}

type server struct {
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

type client struct {
	Cert string `yaml:"cert"`
	Name string `yaml:"name"`
}

func (c *client) SetDefaults() { c.Name = "default" }

// What two structs have under one key they share key by key; a pointer stays nil unless its key is written.
func TestShared(t *testing.T) {
	type in struct {
		TLS  *server         `yaml:"tls"`
		Keys []secret.Secret `yaml:"keys"`
	}
	type out struct {
		TLS  *client         `yaml:"tls"`
		Keys []secret.Secret `yaml:"keys"`
	}
	read := func(text string) (a in, b out, problems []Problem) {
		var whole struct {
			Both *Section `yaml:"both"`
		}
		d := Parse([]byte(text), lookup)
		d.Into(&whole)
		whole.Both.Into(&a, &b)
		return a, b, d.Problems()
	}
	a, b, problems := read("both: {tls: {cert: c, key: k}, keys: one}")
	if len(problems) > 0 || *a.TLS != (server{"c", "k"}) || *b.TLS != (client{"c", "default"}) || len(a.Keys) != 1 || string(b.Keys[0]) != "one" {
		t.Errorf("%+v %+v %v", a, b, problems)
	}
	a, b, problems = read("both: {tls: {name: n}, keys: [one, '${EMPTY}']}")
	if len(problems) > 0 || *a.TLS != (server{}) || b.TLS.Name != "n" || len(a.Keys) != 2 || string(a.Keys[0]) != "one" || a.Keys[1] != "" {
		t.Errorf("%+v %+v %v", a, b, problems)
	}
	if text := fmt.Sprintf("%v %+v %#v", a, a, a); strings.Contains(text, "one") {
		t.Errorf("a secret is printed: %s", text)
	}
	a, b, problems = read("both: {tls: , keys: }")
	if len(problems) > 0 || a.TLS != nil || b.TLS != nil || a.Keys != nil {
		t.Errorf("%+v %+v %v", a, b, problems)
	}
	_, _, problems = read("both: {tls: {nam: n}}")
	if len(problems) != 1 || problems[0].Key != "both.tls.nam" || !strings.Contains(problems[0].Message, "did you mean name?") {
		t.Error(problems)
	}
	_, _, problems = read("both: {tls: text}")
	if len(problems) != 1 || problems[0].Key != "both.tls" {
		t.Error(problems)
	}
}
