package generate_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/internal/schema/generate"
)

var modes = []generate.Mode{generate.Minimal, generate.Full, generate.Random}

func seeded(n uint64) *rand.Rand { return rand.New(rand.NewPCG(n, 7)) }

// stream holds events to what the package says of them, one after the other.
type stream struct {
	types map[string]string // full type by id
	ids   map[string]bool
}

func newStream() *stream { return &stream{map[string]string{}, map[string]bool{}} }

// check holds one event against its schema and link rules; the types of the events before it are known.
func (s *stream) check(t interface {
	Fatalf(format string, args ...any)
}, sch *schema.Schema, text []byte) *jsondoc.Document {
	d, err := jsondoc.Parse(text)
	if err != nil {
		t.Fatalf("%s %s: %v in %s", sch.Type(), sch.Version(), err, text)
	}
	if !bytes.Equal(d.Bytes(), text) {
		t.Fatalf("%s %s is not compact: %s", sch.Type(), sch.Version(), text)
	}
	for _, f := range sch.Validate(d) {
		t.Fatalf("%s %s: %s in %s", sch.Type(), sch.Version(), f, text)
	}
	typeOf := func(id string) (string, bool) {
		typ, known := s.types[id]
		return typ, known
	}
	for _, f := range sch.ValidateLinks(d, typeOf) {
		t.Fatalf("%s %s: %s in %s", sch.Type(), sch.Version(), f, text)
	}
	id := d.Root().At("meta", "id").Str() + d.Root().At("context", "id").Str()
	for l := range d.Root().Get("links").Children() {
		if l.Get("target").Str() == id {
			t.Fatalf("%s %s links to itself: %s", sch.Type(), sch.Version(), text)
		}
	}
	if id == "" || s.ids[id] {
		t.Fatalf("%s %s: the id %q is empty or taken: %s", sch.Type(), sch.Version(), id, text)
	}
	s.ids[id], s.types[id] = true, sch.Type()
	return d
}

func TestEveryTypeAndVersion(t *testing.T) {
	schemas := generate.Schemas()
	if len(schemas) < 300 {
		t.Fatalf("there are only %d schemas", len(schemas))
	}
	for _, mode := range modes {
		for seed := range uint64(4) {
			// Each alone, with nothing to link to, and all of them in one stream.
			w, all := generate.NewWriter(seeded(seed)), newStream()
			for _, s := range schemas {
				newStream().check(t, s, generate.NewWriter(seeded(seed)).Event(s, mode))
				all.check(t, s, w.Event(s, mode))
			}
		}
	}
}

// TestDrawnStreams draws streams of any types with links to what went before.
func TestDrawnStreams(t *testing.T) {
	schemas := generate.Schemas()
	rapid.Check(t, func(rt *rapid.T) {
		w, all := generate.NewWriter(chooser{rt}), newStream()
		for range rapid.IntRange(1, 5).Draw(rt, "events") {
			s := rapid.SampledFrom(schemas).Draw(rt, "schema")
			all.check(rt, s, w.Event(s, rapid.SampledFrom(modes).Draw(rt, "mode")))
		}
	})
}

// chooser lets rapid choose.
type chooser struct{ rt *rapid.T }

func (c chooser) IntN(n int) int { return rapid.IntRange(0, n-1).Draw(c.rt, "choice") }

// zeros always makes the simplest choice, and last the other one.
type zeros struct{}

func (zeros) IntN(int) int { return 0 }

type last struct{}

func (last) IntN(n int) int { return n - 1 }

func TestEndsOfTheChoices(t *testing.T) {
	for _, choose := range []generate.Chooser{zeros{}, last{}} {
		for _, mode := range modes {
			w, all := generate.NewWriter(choose), newStream()
			for _, s := range generate.Schemas() {
				all.check(t, s, w.Event(s, mode))
			}
		}
	}
}

// members collects the names of all members along the way that the schema has names for.
func members(x schema.Shape, v jsondoc.Value, at string, there map[string]bool) {
	switch x.Form() {
	case schema.ObjectForm:
		for _, m := range x.Members() {
			if c := v.Get(m.Name); c.Exists() {
				there[at+"/"+m.Name] = true
				members(m.Shape, c, at+"/"+m.Name, there)
			}
		}
	case schema.ArrayForm:
		for c := range v.Children() {
			members(x.Item(), c, at+"/-", there)
		}
	case schema.ChoiceForm:
		for _, a := range x.Alternatives() {
			members(a, v, at, there)
		}
	}
}

// named are the names of all members that a schema has, or only of those that are required all the way.
func named(x schema.Shape, at string, required bool, out map[string]bool) {
	switch x.Form() {
	case schema.ObjectForm:
		for _, m := range x.Members() {
			if m.Required || !required || at+m.Name == "meta" {
				out[at+"/"+m.Name] = true
				named(m.Shape, at+"/"+m.Name, required, out)
			}
		}
	case schema.ArrayForm:
		if !required {
			named(x.Item(), at+"/-", required, out)
		}
	case schema.ChoiceForm:
		for _, a := range x.Alternatives() {
			named(a, at, required, out)
		}
	}
}

func names(set map[string]bool, but string) string {
	var out []string
	for name := range set {
		if but == "" || !strings.HasPrefix(name, but) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// TestModes: a full event has every member that its schema names, and a minimal one none that it may lack.
func TestModes(t *testing.T) {
	for _, s := range generate.Schemas() {
		for mode, required := range map[generate.Mode]bool{generate.Full: false, generate.Minimal: true} {
			text := generate.NewWriter(seeded(1)).Event(s, mode)
			got, want := map[string]bool{}, map[string]bool{}
			members(s.Shape(), newStream().check(t, s, text).Root(), "", got)
			named(s.Shape(), "", required, want)
			but := ""
			if required {
				but = "/links/" // what is required is a matter of the link rules
			}
			if names(got, but) != names(want, but) {
				t.Errorf("%s %s, %s:\n got %s\nwant %s", s.Type(), s.Version(), mode, names(got, but), names(want, but))
			}
		}
	}
}

// TestVariety: what the package says is in its events, is in them.
func TestVariety(t *testing.T) {
	wanted := map[string]bool{
		`"linkType":"END"`: false, `"linkType":"PATH"`: false, `"linkType":"RELATION"`: false, `"chainId"`: false, `"domainId"`: false,
		`\u`: false, "日本語": false, "1e400": false, "12345678901234567890.10": false, ":60.": false, "+01:30": false, "\"urn:uuid:": false,
		`"customDataContentType":"text/plain"`: false, "-00:00": false, `pkg:no purl`: false, "%zz": false, `"contextId":"evt-`: false,
	}
	id := map[bool]int{}
	repeated := 0
	for seed := range uint64(6) {
		w := generate.NewWriter(seeded(seed))
		for _, s := range generate.Schemas() {
			text := string(w.Event(s, generate.Random))
			for what := range wanted {
				wanted[what] = wanted[what] || strings.Contains(text, what)
			}
			d, err := jsondoc.Parse([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			if c := d.Root().Get("context"); c.Exists() {
				id[schema.IsEiffelID(c.Get("id").Str())]++
			}
			keys := map[string]bool{}
			for entry := range d.Root().At("data", "customData").Children() {
				if key := entry.Get("key").Str(); keys[key] {
					repeated++
				} else {
					keys[key] = true
				}
			}
		}
	}
	for what, seen := range wanted {
		if !seen {
			t.Errorf("no event has %s", what)
		}
	}
	if id[true] == 0 || id[false] == 0 || repeated == 0 {
		t.Errorf("%d ids that Eiffel accepts, %d that it refuses, %d repeated keys", id[true], id[false], repeated)
	}
}

func TestDeterminism(t *testing.T) {
	for _, s := range generate.Schemas() {
		a, b := generate.NewWriter(seeded(3)), generate.NewWriter(seeded(3))
		for range 2 {
			if x, y := a.Event(s, generate.Random), b.Event(s, generate.Random); !bytes.Equal(x, y) {
				t.Fatalf("the same choices give\n%s\nand\n%s", x, y)
			}
		}
	}
}

// TestLinksToKnownEvents: what was made known is linked to, by legal links only.
func TestLinksToKnownEvents(t *testing.T) {
	s, err := schema.ForEiffel("EiffelArtifactPublishedEvent", "3.3.0")
	if err != nil {
		t.Fatal(err)
	}
	const artifact, environment = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"
	hits := 0
	for seed := range uint64(20) {
		w := generate.NewWriter(seeded(seed))
		w.Know(artifact, "EiffelArtifactCreatedEvent")
		w.Know(environment, "EiffelEnvironmentDefinedEvent")
		d := newStream().check(t, s, w.Event(s, generate.Full))
		for l := range d.Root().Get("links").Children() {
			switch l.Get("target").Str() {
			case artifact:
				hits++
			case environment:
				if l.Get("type").Str() != "CAUSE" {
					t.Errorf("an illegal link in %s", d.Bytes())
				}
			}
		}
	}
	if hits < 20 {
		t.Errorf("only %d links lead to the known artifact", hits)
	}
}
