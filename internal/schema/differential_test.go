package schema

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	cdeventsapi "github.com/cdevents/sdk-go/pkg/api"
	"github.com/eiffel-community/eiffelevents-sdk-go/validator"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/internal/testkit/specs"
)

// oracle judges events by the schemas themselves.
type oracle struct {
	name     string
	mu       sync.Mutex
	compiled map[string]*jsonschema.Schema
	load     func(s *Schema) (base string, resources map[string][]byte)
}

// schema is the real schema for one of ours, nil if the oracle does not have it.
func (o *oracle) schema(t testing.TB, s *Schema) *jsonschema.Schema {
	o.mu.Lock()
	defer o.mu.Unlock()
	key := s.Type() + " " + s.Version()
	if s.specs != nil {
		key += " " + s.specs[0]
	}
	if real, ok := o.compiled[key]; ok {
		return real
	}
	base, resources := o.load(s)
	o.compiled[key] = nil
	if resources[base] == nil {
		return nil
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	for id, text := range resources {
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.AddResource(id, v); err != nil {
			t.Fatal(err)
		}
	}
	real, err := c.Compile(base)
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	o.compiled[key] = real
	return real
}

// sdkOracle has the schemas that come with the protocols' SDKs: all of CDEvents, and of Eiffel the editions.
func sdkOracle() *oracle {
	return &oracle{name: "SDKs", compiled: map[string]*jsonschema.Schema{}, load: func(s *Schema) (string, map[string][]byte) {
		if s.specs == nil {
			body, err := validator.NewBundledSchemaLocator().GetSchema(context.Background(), s.Type(), s.Version(), "")
			if err != nil || body == nil {
				return "", nil
			}
			defer body.Close()
			text, err := io.ReadAll(body)
			if err != nil {
				return "", nil
			}
			return "eiffel:schema", map[string][]byte{"eiffel:schema": text}
		}
		base := "https://cdevents.dev/" + s.specs[0] + "/schema/"
		id, resources := base+"custom", map[string][]byte{}
		for other, text := range cdeventsapi.SchemasById {
			switch {
			case strings.HasPrefix(other, base+"links/"), other == id:
				resources[other] = []byte(text)
			case strings.HasPrefix(other, base) && strings.Contains(text, `"`+s.Type()+`"`):
				id = other // not all are spelt like the type
				resources[id] = []byte(text)
			}
		}
		return id, resources
	}}
}

// specsOracle has the schemas of the specifications.
func specsOracle(folder string) *oracle {
	return &oracle{name: "specifications", compiled: map[string]*jsonschema.Schema{}, load: func(s *Schema) (string, map[string][]byte) {
		if s.specs == nil {
			text, err := os.ReadFile(filepath.Join(folder, "eiffel", "schemas", s.Type(), s.Version()+".json"))
			if err != nil {
				return "", nil
			}
			return "eiffel:schema", map[string][]byte{"eiffel:schema": text}
		}
		resources, id := map[string][]byte{}, ""
		base := filepath.Join(folder, "cdevents", "v"+s.specs[0], "schemas")
		links, _ := filepath.Glob(filepath.Join(base, "links", "*.json"))
		file := s.Subject() + s.Predicate() + ".json"
		if strings.HasPrefix(s.Type(), customPrefix) {
			file = "custom.json"
		}
		for _, file := range append(links, filepath.Join(base, file)) {
			text, err := os.ReadFile(file)
			if err != nil {
				return "", nil
			}
			d, err := jsondoc.Parse(text)
			if err != nil {
				return "", nil
			}
			id = d.Root().Get("$id").Str() // the event's own is the last; not all are spelt like the type
			resources[id] = text
		}
		return id, resources
	}}
}

// tablesOracle writes our tables back as JSON Schema: what it judges otherwise than we do, we read otherwise than we wrote.
// It stands in for what the SDKs do not have.
func tablesOracle() *oracle {
	return &oracle{name: "tables", compiled: map[string]*jsonschema.Schema{}, load: func(s *Schema) (string, map[string][]byte) {
		text, err := json.Marshal(s.jsonSchema(s.root))
		if err != nil {
			return "", nil
		}
		return "tables:schema", map[string][]byte{"tables:schema": text}
	}}
}

func (s *Schema) jsonSchema(n *node) map[string]any {
	all := func(nodes []*node) (out []any) {
		for _, a := range nodes {
			out = append(out, s.jsonSchema(a))
		}
		return out
	}
	out := map[string]any{}
	switch n.op {
	case opInteger:
		out["type"] = "integer"
	case opType:
		out["enum"] = []string{s.typ}
	case opVersion:
		out["enum"] = []string{s.version}
	case opString:
		out["type"] = "string"
		if n.enum != nil {
			out["enum"] = n.enum
		}
		if n.min > 0 {
			out["minLength"] = n.min
		}
		switch k := stringKinds[n.check]; k.rule {
		case "format":
			out["format"] = k.name
		case "pattern":
			out["pattern"] = patternTexts[k.name]
		}
	case opObject:
		if !n.untyped {
			out["type"] = "object"
		}
		properties, required := map[string]any{}, []string{}
		for i, p := range n.props {
			properties[p.name] = s.jsonSchema(p.node)
			if n.required&(1<<i) != 0 {
				required = append(required, p.name)
			}
		}
		out["properties"], out["required"], out["additionalProperties"] = properties, required, !n.closed
	case opArray:
		out["type"], out["items"] = "array", s.jsonSchema(n.item)
		if n.contains != nil {
			out["contains"] = s.jsonSchema(n.contains)
		}
	case opAnyOf:
		out["anyOf"] = all(n.alts)
	case opOneOf:
		out["oneOf"] = all(n.alts)
	}
	return out
}

var patternTexts = map[string]string{
	"eiffel-id":      `^[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`,
	"purl":           `^pkg:`,
	"hex":            `^[0-9a-f]+$`,
	"base64":         `^[-A-Za-z0-9+/]*={0,3}$`,
	"custom-subject": `^[a-zA-Z0-9]+-[a-zA-Z]+$`,
	"custom-type":    `^dev\.cdeventsx\.[a-zA-Z0-9]+-[a-zA-Z]+\.[a-zA-Z]+\.[0-9]\.[0-9]\.[0-9]$`,
}

// allSchemas are the schemas of all rows, and one of a custom event for each specification that has them.
func allSchemas(t testing.TB) []*Schema {
	t.Helper()
	var out []*Schema
	add := func(s *Schema, err error) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	for _, typ := range CDEventTypes() {
		add(ForCDEvent(typ, ""))
	}
	for _, spec := range []string{"0.4.1", "0.5.1"} {
		add(ForCDEvent(sampleStrings[customTypeName], spec))
	}
	for _, typ := range EiffelTypes() {
		for _, version := range EiffelVersions(typ) {
			add(ForEiffel(typ, version))
		}
	}
	return out
}

// compare judges an event twice and tells of a difference, and whether the event is valid.
func compare(s *Schema, real *jsonschema.Schema, text []byte) (valid bool, err error) {
	d, err := jsondoc.Parse(text)
	if err != nil {
		return false, fmt.Errorf("%w in %s", err, text)
	}
	findings := s.Validate(d)
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return false, fmt.Errorf("%w in %s", err, text)
	}
	verdict := real.Validate(v)
	if (verdict == nil) != (len(findings) == 0) {
		return false, fmt.Errorf("%s %s: the schema says %v, the table %v of %s", s.Type(), s.Version(), verdict, findings, text)
	}
	if !slices.IsSortedFunc(findings, func(a, b Finding) int { return position(d, a.Pointer) - position(d, b.Pointer) }) {
		return false, fmt.Errorf("%s %s: findings %v out of order for %s", s.Type(), s.Version(), findings, text)
	}
	return verdict == nil, nil
}

func position(d *jsondoc.Document, pointer string) int { return d.Root().Pointed(pointer).Index() }

// oracles are those at hand, the best first.
func oracles(t testing.TB) []*oracle {
	t.Helper()
	if folder := specs.Folder(t); folder != "" {
		return []*oracle{specsOracle(folder), sdkOracle(), tablesOracle()}
	}
	t.Log("the specifications are not at hand; the SDKs' schemas are, and for what they lack, the tables themselves")
	return []*oracle{sdkOracle(), tablesOracle()}
}

// judge finds the best real schema for one of ours.
func judge(t testing.TB, oracles []*oracle, s *Schema) (name string, real *jsonschema.Schema) {
	t.Helper()
	for _, o := range oracles {
		if real := o.schema(t, s); real != nil {
			return o.name, real
		}
	}
	t.Fatalf("nobody has a schema for %s %s", s.Type(), s.Version())
	return "", nil
}

// TestVerdictsAreThoseOfTheSchemas holds the tables to the schemas on the least and the fullest event of each row.
// [TestVerdictsOnEveryExample] and [TestVerdictsOnGeneratedEvents] go on with events as the field has them.
func TestVerdictsAreThoseOfTheSchemas(t *testing.T) {
	oracles := oracles(t)
	judged := map[string]int{}
	cases := 0
	for i, s := range allSchemas(t) {
		full, least := s.instance(true), s.instance(false)
		for _, text := range [][]byte{full, least} {
			for _, f := range s.Validate(mustParse(t, text)) {
				t.Errorf("%s %s: %s in %s", s.Type(), s.Version(), f, text)
			}
		}
		name, real := judge(t, oracles, s)
		judged[name]++
		check := func(text []byte) {
			cases++
			if _, err := compare(s, real, text); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		check(full)
		check(least)
		if i%everyNth != 0 {
			continue
		}
		mutations(mustParse(t, least), i*5, 2, check)
	}
	t.Logf("%d cases; schemas judged by %v", cases, judged)
	// The SDKs have all schemas of CDEvents, and those of the Eiffel editions.
	if real := judged["specifications"] + judged["SDKs"]; real < 290 {
		t.Errorf("%d schemas were judged by themselves, want 290 at least", real)
	}
}

func FuzzValidate(f *testing.F) {
	schemas := allSchemas(f)
	for i := 0; i < len(schemas); i += 9 {
		f.Add(schemas[i].instance(true))
		f.Add(schemas[i].instance(false))
	}
	o, rest := sdkOracle(), tablesOracle()
	if folder := specs.Folder(f); folder != "" {
		o = specsOracle(folder)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := jsondoc.Parse(text)
		if err != nil {
			return
		}
		s, err := schemaOf(d)
		if err != nil || s.Lenient() {
			return
		}
		real := o.schema(t, s)
		if real == nil {
			real = rest.schema(t, s)
		}
		if _, err := compare(s, real, d.Bytes()); err != nil {
			t.Error(err)
		}
	})
}
