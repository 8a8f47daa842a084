package overlay_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/mappings"
	"github.com/eiffelbridge/eiffelbridge/mappings/overlay"
)

// own is a catalogue of the project.
func own(t testing.TB) *mappings.Catalogue {
	t.Helper()
	c, err := mappings.Load()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestWhatIsWrong reads the overlays of testdata/bad; beside each stands what is said about it, one problem per line.
// UPDATE_GOLDEN=1 writes that anew.
// TestHouseRowsAsOverlay: the project's own rows have the form of an overlay's, and pass its checks.
func TestHouseRowsAsOverlay(t *testing.T) {
	files, err := filepath.Glob("../catalogue/*.yaml")
	if err != nil || len(files) < 9 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, file := range files {
		switch filepath.Base(file) {
		case "catalogue.yaml", "codes.yaml", "golden.yaml":
			continue // what only the project's own catalogue has
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		rows, _, _ := strings.Cut(string(text), "\njudgements:")
		if _, err := overlay.Parse(nil, filepath.Base(file), []byte("version: 1\n"+rows)); err != nil {
			t.Error(err)
		}
	}
}

func TestWhatIsWrong(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, path := range files {
		name := filepath.Base(path)
		t.Run(strings.TrimSuffix(name, ".yaml"), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			_, err = overlay.Parse(own(t), name, text)
			var wrong *overlay.Error
			if !errors.As(err, &wrong) {
				t.Fatalf("got %v, want problems", err)
			}
			for _, p := range wrong.Problems {
				if p.Line == 0 && p.Key != "" {
					t.Errorf("without a line: %s", p)
				}
			}
			golden := strings.TrimSuffix(path, ".yaml") + ".problems"
			got := wrong.Error() + "\n"
			if os.Getenv("UPDATE_GOLDEN") != "" {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// TestExtendEveryRow extends each row of the project's catalogue with nothing but a remark: all of them hold to what an
// overlay is held to.
func TestExtendEveryRow(t *testing.T) {
	base := own(t)
	var b strings.Builder
	b.WriteString("version: 1\nto_eiffel:\n")
	seen := map[string]bool{}
	for _, r := range base.ToEiffel {
		if !seen[r.CDEvent] {
			fmt.Fprintf(&b, "  - {cdevent: %q, extend: true, about: a remark}\n", r.CDEvent)
		}
		seen[r.CDEvent] = true
	}
	b.WriteString("to_cdevents:\n")
	for _, r := range base.ToCDEvents {
		if !seen[r.Eiffel+" to"] {
			fmt.Fprintf(&b, "  - {eiffel: %q, extend: true, about: a remark}\n", r.Eiffel)
		}
		seen[r.Eiffel+" to"] = true
	}
	c, err := overlay.Parse(base, "o.yaml", []byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range c.ToEiffel {
		if r.About != "a remark" || !strings.HasPrefix(r.Origin, "the project's own, extended by o.yaml:") {
			t.Errorf("%s: about %q, origin %q", r.CDEvent, r.About, r.Origin)
		}
	}
}

// TestOver puts overlays over the catalogue and looks at what has become of it.
func TestOver(t *testing.T) {
	base := own(t)
	before := fmt.Sprintf("%+v", base)
	c, err := overlay.Parse(base, "one.yaml", []byte(`version: 1
published_levels: [live]
service_id: purl(subject.id).name
activities:
  - {kind: build, categories: compile, names: "make *", when: event.data.name == "x"}
vocabularies:
  - {name: colours, words: [{cdevents: red, eiffel: [RED, CRIMSON]}], otherwise: {eiffel: GREY}}
to_eiffel:
  - cdevent: environment.created
    when: event.subject.id == "x"
    eiffel: EiffelEnvironmentDefinedEvent
    id: anchor
    data:
      - {to: /name, from: /subject/id}
      - {to: /version, const: "1"}
    custom:
      - {to: /n, const: {a: [1, 2.5, true]}}
  - cdevent: service.removed
    eiffel: EiffelAnnouncementPublishedEvent
    data:
      - {to: /heading, value: '"gone: " + subject.id'}
      - {to: /body, by: heading}
      - {to: /severity, const: CLOSED}
  - {cdevent: service.upgraded, disable: true}
  - cdevent: service.deployed
    extend: true
    links:
      - {type: CAUSE, value: event.context.?chainId}
    data:
      - {to: /description, from: /subject/id, vocabulary: colours}
  - {cdevent: deployment.queued, eiffel: EiffelActivityTriggeredEvent, data: [{to: /name, const: x}]}
to_cdevents:
  - eiffel: EiffelArtifactReusedEvent
    cdevent: dev.cdeventsx.acme-artifact.reused.1.0.0
    subject_id: event.meta.id
    links:
      - {kind: SAME, value: 'event.links[0].target'}
    content: [{to: /deep/er, value: event.data}]
`))
	if err != nil {
		t.Fatal(err)
	}
	two, err := overlay.Parse(c, "two.yaml", []byte(`version: 1
vocabularies:
  - {name: colours, extend: true, words: [{cdevents: blue, eiffel: BLUE}], otherwise: {cdevents: grey}}
to_eiffel:
  - {cdevent: deployment.queued, disable: true}
  - cdevent: service.deployed
    extend: true
    links:
      - {type: CAUSE, remove: true}
    data:
      - {to: /description, remove: true}
to_cdevents:
  - {eiffel: EiffelArtifactReusedEvent, extend: true, subject_id: '"other"', links: [{kind: SAME, remove: true}]}
`))
	if err != nil {
		t.Fatal(err)
	}
	if after := fmt.Sprintf("%+v", base); after != before {
		t.Error("the base was changed")
	}
	for name, c := range map[string]struct{ got, want string }{
		"levels":           {fmt.Sprint(c.PublishedLevels), "[live]"},
		"service id":       {c.ServiceID.String(), "purl(subject.id).name"},
		"activity":         {fmt.Sprint(c.Activities[0]), `{build [compile] [make *] event.data.name == "x"}`},
		"vocabulary":       {fmt.Sprint(*c.Vocabulary("colours")), "{colours false [{[red] [RED CRIMSON]}] { GREY}}"},
		"conditional":      {rows(c, "environment.created"), "one.yaml:9 anchor /name /version | own /name /uri"},
		"replaced":         {rows(c, "service.removed"), "one.yaml:18 event /heading /body /severity"},
		"disabled":         {rows(c, "service.upgraded"), ""},
		"extended":         {rows(c, "service.deployed"), "the project's own, extended by one.yaml:25 event /description"},
		"added":            {rows(c, "deployment.queued"), "one.yaml:31 event /name"},
		"last":             {c.ToEiffel[len(c.ToEiffel)-1].CDEvent, "*"},
		"other vocabulary": {fmt.Sprint(*two.Vocabulary("colours")), "{colours false [{[red] [RED CRIMSON]} {[blue] [BLUE]}] {grey GREY}}"},
		"disabled again":   {rows(two, "deployment.queued"), ""},
		"extended again":   {rows(two, "service.deployed"), "the project's own, extended by one.yaml:25, extended by two.yaml:6 event"},
		"kept":             {rows(two, "service.removed"), "one.yaml:18 event /heading /body /severity"},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %s, want %s", name, c.got, c.want)
		}
	}
	for _, r := range two.ToCDEvents {
		if r.Eiffel == "EiffelArtifactReusedEvent" && (r.SubjectID.String() != `"other"` || len(r.Links) != 0 || len(r.Content) != 1) {
			t.Errorf("to_cdevents: %+v", r)
		}
	}
	if _, err := json.Marshal(two.ToEiffel); err != nil {
		t.Errorf("a catalogue with expressions cannot be printed: %v", err)
	}
}

// rows are those of a type, as text.
func rows(c *mappings.Catalogue, name string) string {
	var out []string
	for _, r := range c.ToEiffel {
		if r.CDEvent != name {
			continue
		}
		text := "own"
		if r.Origin != "" {
			text = r.Origin + " " + r.ID
		}
		for _, f := range r.Data {
			text += " " + f.To
		}
		out = append(out, text)
	}
	return strings.Join(out, " | ")
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := write("good.yaml", "version: 1\npublished_levels: [a]\n")
	later := write("later.yaml", "version: 1\npublished_levels: [b]\n")
	if c, err := overlay.Load(nil, good, later); err != nil || fmt.Sprint(c.PublishedLevels) != "[b]" {
		t.Errorf("%v, %v", c, err)
	}
	bad, worse := write("bad.yaml", "version: 1\npublished_levels: []\n"), write("worse.yaml", "")
	_, err := overlay.Load(nil, bad, good, worse)
	var wrong *overlay.Error
	if !errors.As(err, &wrong) || len(wrong.Problems) != 2 || wrong.Problems[0].File != filepath.ToSlash(bad) || wrong.Problems[1].File != filepath.ToSlash(worse) {
		t.Errorf("problems of two files: %v", err)
	}
	if _, err := overlay.Load(nil, write("long.yaml", strings.Repeat("#", 2<<20))); !errors.As(err, &wrong) {
		t.Errorf("a long file: %v", err)
	}
	if _, err := overlay.Load(nil, filepath.Join(dir, "none.yaml")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

// FuzzParse reads any text as an overlay: no panic, and an overlay without problems gives a valid catalogue.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/bad/*.yaml", "../../examples/overlays/*/*.yaml"} {
		files, _ := filepath.Glob(pattern)
		for _, path := range files {
			text, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	base := own(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := overlay.Parse(base, "o.yaml", text)
		if err == nil {
			if err := c.Validate(); err != nil {
				t.Fatal(err)
			}
			return
		}
		var wrong *overlay.Error
		if !errors.As(err, &wrong) || len(wrong.Problems) == 0 {
			t.Fatalf("no problems: %v", err)
		}
	})
}

// TestDocumentation reads the overlays that docs/overlays.md shows.
func TestDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../docs/overlays.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(text), "```yaml\n")
	read := 0
	for _, block := range blocks[1:] {
		block, _, _ = strings.Cut(block, "```")
		if strings.HasPrefix(block, "#") && strings.Contains(block, "\nvalue:") {
			continue // single keys
		}
		if !strings.Contains(block, "version: 1") {
			block = "version: 1\n" + block
		}
		if _, err := overlay.Parse(own(t), "overlays.md", []byte(block)); err != nil {
			t.Errorf("%v\n%s", err, block)
		}
		read++
	}
	if read < 3 {
		t.Errorf("%d overlays were found", read)
	}
	// The expressions that come up often.
	for _, expression := range []string{
		`event.data.?customData.orValue([]).filter(c, c.key == "team").map(c, c.value)[?0]`,
		`event.links.filter(l, l.type == "CAUSE").map(l, l.target)[?0]`,
		`purl(subject.id).name`,
		`regex.extract(event.data.?description.orValue(""), "([A-Z]+-[0-9]+)")`,
	} {
		if !strings.Contains(string(text), expression) {
			t.Errorf("docs/overlays.md does not show %s", expression)
		}
		if _, err := overlay.Parse(own(t), "o.yaml", []byte("version: 1\nto_cdevents:\n  - eiffel: \"*\"\n    extend: true\n    content:\n      - to: /x\n        value: |\n          "+expression+"\n")); err != nil {
			t.Error(err)
		}
	}
}
