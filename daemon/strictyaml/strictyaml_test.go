package strictyaml

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

type sample struct {
	Name  string            `yaml:"name"`
	Port  int               `yaml:"port"`
	On    bool              `yaml:"on"`
	For   time.Duration     `yaml:"for"`
	Token Secret            `yaml:"token"`
	List  []string          `yaml:"list"`
	Map   map[string]string `yaml:"map"`
	Inner struct {
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
		"list: a":                   "list: is not a list",
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
