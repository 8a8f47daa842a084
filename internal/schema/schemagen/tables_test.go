package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/internal/testkit/specs"
)

// TestTablesAreNotStale holds each row to the schema that the protocols' SDKs bring, and, where the specifications are at
// hand, makes the tables of them again, with the editions, the link rules and what the SDKs lack.
func TestTablesAreNotStale(t *testing.T) {
	if !slices.Equal(cdeventsSpecs, specs.CDEvents) {
		t.Errorf("the tables are made of CDEvents %s, the tests know %s", cdeventsSpecs, specs.CDEvents)
	}
	checkRows(t, specs.Modules(t))
	folder := specs.Folder(t)
	if folder == "" {
		t.Log("the specifications are not at hand: neither the editions nor the link rules of the table were checked")
		return
	}
	tables, err := Tables(folder)
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
	if len(tables) != 2 {
		t.Errorf("%d tables", len(tables))
	}
}

// checkRows reads the schemas of the SDKs: all of CDEvents, of Eiffel those of the editions. Each has its row in the tables,
// which says what the schema says.
func checkRows(t *testing.T, folder string) {
	t.Helper()
	for _, c := range []struct {
		name string
		rows func(string) ([]row, error)
		want int // schemas
		all  bool
	}{
		{"cdevents", cdeventsRows, 131, true},
		{"eiffel", eiffelRows, 163, false},
	} {
		text, err := os.ReadFile(filepath.Join("..", c.name+".tab"))
		if err != nil {
			t.Fatal(err)
		}
		written := readRows(t, string(text))
		rows, err := c.rows(filepath.Join(folder, c.name))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			name := strings.Join(r.before, " ")
			if got := written[name]; got != r.schema.text {
				t.Errorf("%s is stale: %s: %s\nwant %s", c.name+".tab", name, got, r.schema.text)
			}
		}
		t.Logf("%s: %d of %d rows compared", c.name, len(rows), len(written))
		if len(rows) != c.want || c.all && len(written) != len(rows) {
			t.Errorf("%s: %d schemas and %d rows, want %d", c.name, len(rows), len(written), c.want)
		}
	}
}

// readRows reads a table: the first two columns of each row to its schema, every fragment written out.
func readRows(t *testing.T, table string) map[string]string {
	t.Helper()
	fragment := regexp.MustCompile(`\$[A-Za-z]+\.[0-9a-f]{4}`)
	fragments, rows := map[string]string{}, map[string]string{}
	for line := range strings.Lines(table) {
		columns := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		whole := func(s string) string {
			return fragment.ReplaceAllStringFunc(s, func(name string) string {
				text, ok := fragments[name] // which stands below those it refers to
				if !ok {
					t.Fatalf("no fragment %s above %s", name, line)
				}
				return text
			})
		}
		switch {
		case strings.HasPrefix(line, "#"), columns[0] == "specs", columns[0] == "editions":
		case strings.HasPrefix(line, "$"):
			fragments[columns[0]] = whole(columns[1])
		default:
			// The rows of Eiffel have the editions between the version and the schema.
			schema := 2
			if len(columns) > 3 {
				schema = 3
			}
			rows[columns[0]+" "+columns[1]] = whole(columns[schema])
		}
	}
	if len(rows) == 0 {
		t.Fatal("a table without rows")
	}
	return rows
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
