package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
)

func specsFolder(t *testing.T) string {
	folder := os.Getenv("EIFFELBRIDGE_SPECS")
	if folder == "" {
		dir, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		for dir != filepath.Dir(dir) {
			if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
				break
			}
			dir = filepath.Dir(dir)
		}
		folder = filepath.Join(dir, "..", "shared", "specs")
	}
	if _, err := os.Stat(filepath.Join(folder, "eiffel", "links.json")); err != nil {
		t.Log("the specifications are not at hand, so nothing says whether the tables are stale")
		t.Skip("set EIFFELBRIDGE_SPECS to the folder of the specifications")
	}
	return folder
}

func TestTablesAreNotStale(t *testing.T) {
	tables, err := Tables(specsFolder(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range tables {
		got, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%s is stale: run go generate in internal/schema", name)
		}
	}
}

func TestReaderRefusesWhatTheTablesCannotSay(t *testing.T) {
	never := func(string, []string) bool { return false }
	for _, c := range []struct{ schema, want string }{
		{`{"type":"string","maxLength":3}`, "keyword maxLength"},
		{`{"type":"string","pattern":"^a$"}`, "pattern ^a$ has no check"},
		{`{"type":"string","format":"email"}`, "format email has no check"},
		{`{"type":"boolean"}`, "type"},
		{`{"type":["string","null"]}`, "type"},
		{`{"type":"object","additionalProperties":{"type":"string"}}`, "additionalProperties is a schema"},
		{`{"type":"object","required":["a"]}`, "a is required"},
		{`{"type":"object","properties":{"a":{"not":{}}}}`, "/a: keyword not"},
		{`{"type":"array","items":{},"uniqueItems":true}`, "keyword uniqueItems"},
		{`{"type":"array","contains":{}}`, "draft-04"},
		{`{"enum":["a b"]}`, "cannot be written"},
		{`{"enum":[1]}`, "cannot be written"},
		{`{"type":"object","properties":{"a|b":{}}}`, "cannot be written"},
		{`{"anyOf":[{}],"type":"string"}`, "keyword type"},
		{`{"$ref":"other"}`, "not at hand"},
		{`{"type":"array","items":true}`, "kind boolean"},
	} {
		d, err := jsondoc.Parse([]byte(c.schema))
		if err != nil {
			t.Fatal(err)
		}
		r := reader{draft4: true, base: "test/base", isType: never, isNumber: never}
		if n, err := r.read(d.Root(), "", "event"); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v; want an error with %q", c.schema, n, err, c.want)
		}
	}
}
