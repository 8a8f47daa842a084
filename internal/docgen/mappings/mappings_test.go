package main

import (
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/examples/events"
	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/internal/mappingtext"
	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/mappings"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

const (
	root   = "../../.."
	folder = root + "/docs/mappings"
)

// documentOnce makes the pages for the tests that only read them.
var documentOnce = sync.OnceValues(document)

// TestPagesAreCurrent makes every page anew: the examples are executed, and a page of a type that is gone is found.
func TestPagesAreCurrent(t *testing.T) {
	pages, err := documentOnce()
	if err != nil {
		t.Fatal(err)
	}
	there, err := existing(folder)
	if err != nil {
		t.Fatal(err)
	}
	const remedy = "go generate ./internal/docgen/mappings"
	for _, name := range slices.Sorted(maps.Keys(pages)) {
		text, ok := there[name]
		switch {
		case !ok:
			t.Errorf("docs/mappings/%s is not there: %s", name, remedy)
		case text != pages[name]:
			t.Errorf("docs/mappings/%s is stale: %s\n%s", name, remedy, firstDifference(pages[name], text))
		}
	}
	for name := range there {
		if _, ok := pages[name]; !ok {
			t.Errorf("docs/mappings/%s is made no longer: %s", name, remedy)
		}
	}
	again, err := document()
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(pages, again) {
		t.Error("the pages are not the same when they are made twice")
	}
}

// TestRunRemovesStrays also writes to a folder that is not there yet.
func TestRunRemovesStrays(t *testing.T) {
	out := filepath.Join(t.TempDir(), "mappings")
	for range 2 {
		if err := run(out); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(out, "cdevents", "stray.removed.md"), []byte("old"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := run(out); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(out, "cdevents", "stray.removed.md")); !os.IsNotExist(err) {
		t.Errorf("the stray page is still there: %v", err)
	}
}

// TestEveryTypeHasAPage of the schemas, whatever the catalogue says of it.
func TestEveryTypeHasAPage(t *testing.T) {
	b, err := readBook()
	if err != nil {
		t.Fatal(err)
	}
	for _, full := range schema.CDEventTypes() {
		s, err := schema.ForCDEvent(full, "")
		if err != nil {
			t.Fatal(err)
		}
		if b.find(translate.CDEvents, s.Subject()+"."+s.Predicate()) == nil {
			t.Errorf("%s has no page", full)
		}
	}
	for _, full := range schema.EiffelTypes() {
		if b.find(translate.Eiffel, full) == nil {
			t.Errorf("%s has no page", full)
		}
	}
	for _, e := range b.types {
		if e.told == nil {
			t.Errorf("the page of %s has no example", e.name)
		}
	}
}

// TestRowsSayWhatTheTranslationDoes compares what an example becomes with what its page says that it may become.
func TestRowsSayWhatTheTranslationDoes(t *testing.T) {
	b, err := readBook()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range b.types {
		if e.told == nil || e.told.main() == nil {
			continue
		}
		got := e.told.main().Type
		may := e.targets()
		if e.protocol == translate.Eiffel {
			got = subjectAndPredicate(got)
			for i := range may {
				may[i] = subjectAndPredicate(may[i])
			}
		}
		if !slices.Contains(may, got) && !(slices.Contains(may, "") && mappingtext.IsCustom(got)) {
			t.Errorf("%s becomes %s; its rows say %q", e.name, got, may)
		}
	}
}

// subjectAndPredicate is what a row may name a CDEvent by, of that or of a full type.
func subjectAndPredicate(eventType string) string {
	name := strings.TrimPrefix(strings.TrimPrefix(eventType, "dev.cdevents."), "dev.cdeventsx.")
	return strings.Join(strings.SplitN(name, ".", 3)[:min(2, strings.Count(name, ".")+1)], ".")
}

// TestJudgementsAreExplained wants an explanation for every judgement that the catalogue names, and none for others.
func TestJudgementsAreExplained(t *testing.T) {
	catalogue, err := mappings.Load()
	if err != nil {
		t.Fatal(err)
	}
	explained := mappingtext.Explanations(catalogue)
	for _, j := range mappingtext.Judgements(catalogue) {
		if explained[j] == "" {
			t.Errorf("mappings/catalogue, judgements: %s: %s has no explanation", j.Place, j.Name)
		}
		delete(explained, j)
	}
	for j := range explained {
		t.Errorf("mappings/catalogue, judgements: %s: %s is named by no row of the catalogue", j.Place, j.Name)
	}
}

// alternatives are the members that an example leaves out, since others that it has say the same in another way.
var alternatives = []string{
	"/data/svnIdentifier", "/data/hgIdentifier", "/data/ccCompositeIdentifier", // git is what the company has
	"/data/batchesUri", // the batches are in the event
}

// TestExamplesAreFull wants every example to have all that events of its type and version may have, so that the pages show what
// becomes of it.
func TestExamplesAreFull(t *testing.T) {
	first, err := events.CDEvents()
	if err != nil {
		t.Fatal(err)
	}
	second, err := events.Eiffel()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range append(first, second...) {
		if strings.Contains(e.Name, "-") {
			continue // a second event of its type
		}
		event, err := translate.Decode(e.JSON)
		if err != nil {
			t.Fatal(err)
		}
		var s *schema.Schema
		base := "/data"
		if event.Protocol == translate.CDEvents {
			s, err = schema.ForCDEvent(event.Type, "")
			base = "/subject/content"
		} else {
			s, err = schema.ForEiffel(event.Type, event.Version)
		}
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsondoc.Parse(e.JSON)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range members(s, base) {
			left := slices.ContainsFunc(alternatives, func(a string) bool { return within(m, a) })
			if !left && m != "/data/customData" && !doc.Root().Pointed(m).Exists() {
				t.Errorf("%s has no %s", e.File, m)
			}
		}
	}
}

// TestLinksLeadSomewhere follows every relative link of the pages, to its section too.
func TestLinksLeadSomewhere(t *testing.T) {
	pages, err := documentOnce()
	if err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for name, text := range pages {
		for _, m := range link.FindAllStringSubmatch(withoutCode(text), -1) {
			target, section, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			to := name
			if target != "" {
				to = path.Join(path.Dir(name), target)
			}
			there, ok := pages[to]
			if !ok {
				text, err := os.ReadFile(filepath.Join(folder, filepath.FromSlash(to)))
				if err != nil {
					t.Errorf("%s: %s leads nowhere", name, m[1])
					continue
				}
				there = string(text)
			}
			if section != "" && !slices.Contains(sections(there), section) {
				t.Errorf("%s: %s has no section %s", name, to, section)
			}
		}
	}
}

func withoutCode(text string) string {
	return regexp.MustCompile("(?s)```.*?```").ReplaceAllString(text, "")
}

// sections are the anchors that GitHub gives to the headings of a page.
func sections(text string) []string {
	var out []string
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(withoutCode(text), -1) {
		var b strings.Builder
		for _, c := range strings.ToLower(m[1]) {
			switch {
			case c == ' ':
				b.WriteByte('-')
			case c == '-' || c == '_' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
				b.WriteRune(c)
			}
		}
		out = append(out, b.String())
	}
	return out
}

// TestTablesAreWhole wants every line of a table to have as many cells as its head, which a stray pipe would break.
func TestTablesAreWhole(t *testing.T) {
	pages, err := documentOnce()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range pages {
		cells := 0
		for i, line := range strings.Split(withoutCode(text), "\n") {
			if !strings.HasPrefix(line, "|") {
				cells = 0
				continue
			}
			n := strings.Count(strings.ReplaceAll(line, `\|`, ""), "|")
			if cells != 0 && n != cells {
				t.Errorf("%s, line %d has %d cells, the table %d: %s", name, i+1, n-1, cells-1, line)
			}
			cells = n
		}
	}
}

// everything is a catalogue that uses every member.
const everything = `version: 1
activities:
  - {kind: build, categories: [build, compile], names: ["*-build"]}
vocabularies:
  - name: outcome
    words:
      - {cdevents: [success, pass], eiffel: [SUCCESSFUL]}
      - {cdevents: [failure], eiffel: [UNSUCCESSFUL, FAILED]}
    otherwise: {eiffel: INCONCLUSIVE}
to_eiffel:
  - {cdevent: testcaserun.finished, if: canceled, eiffel: EiffelTestCaseCanceledEvent, id: event, learns: milestone, about: It never began.}
  - cdevent: testcaserun.finished
    eiffel: EiffelTestCaseFinishedEvent
    id: event
    links:
      - {type: TEST_CASE_EXECUTION, target: anchor, anchor: EiffelTestCaseTriggeredEvent, or: EiffelTestSuiteStartedEvent, subject: testcaserun, reference: /subject, required: true}
      - {type: IUT, target: tested, required: true}
      - {type: CAUSE, target: running, reference: /subject/content/service}
      - {type: PREVIOUS_VERSION, target: previous}
    data:
      - {to: /outcome/verdict, from: [/subject/content/outcome], vocabulary: outcome}
      - {to: /outcome/description, from: [/subject/content/reason], by: described, const: "none | any"}
    custom:
      - {to: /severity, from: [/subject/content/severity]}
    learns: closure
    about: What the test found.
  - {cdevent: "*", eiffel: EiffelAnnouncementPublishedEvent, id: event, learns: event}
to_cdevents:
  - eiffel: EiffelTestCaseFinishedEvent
    cdevent: [testcaserun.finished]
    content:
      - {to: /environment/id, by: environment, fill: ENVIRONMENT}
      - {to: /testCase/uri, was: /testCase/url, from: [/data/x], format: uri}
      - {to: /reason, from: [/data/outcome/description], fill: self}
    learns: event
  - {eiffel: "*", cdevent: [], learns: event}
`

// TestEveryMemberOfARowIsTold renders a catalogue that has all of them; nothing of it is in the project's own.
func TestEveryMemberOfARowIsTold(t *testing.T) {
	catalogue, err := mappings.Parse([]byte(everything))
	if err != nil {
		t.Fatal(err)
	}
	b := &book{catalogue: catalogue}
	there, err := schema.ForCDEvent("dev.cdevents.testcaserun.finished.0.3.0", "")
	if err != nil {
		t.Fatal(err)
	}
	back, err := schema.ForEiffel("EiffelTestCaseFinishedEvent", "3.3.0")
	if err != nil {
		t.Fatal(err)
	}
	b.types = []*eventType{
		{protocol: translate.CDEvents, name: "testcaserun.finished", row: "testcaserun.finished", schema: there, toEiffel: b.rowsOfCDEvent("testcaserun.finished")},
		{protocol: translate.Eiffel, name: "TestCaseFinished", row: "EiffelTestCaseFinishedEvent", schema: back, toCDEvents: b.rowsOfEiffel("EiffelTestCaseFinishedEvent")},
	}
	for i, wants := range [][]string{
		{
			"1. If judgement `canceled`: `EiffelTestCaseCanceledEvent`. It never began.",
			"2. Otherwise: [`EiffelTestCaseFinishedEvent`](../eiffel/TestCaseFinished.md). What the test found.",
			"The other way, [`TestCaseFinished`](../eiffel/TestCaseFinished.md) may become it.",
			"### As EiffelTestCaseCanceledEvent, if `canceled`",
			"that the subject has got this far",
			"| `TEST_CASE_EXECUTION` | the `EiffelTestSuiteStartedEvent` of the event's own testcaserun, else its `EiffelTestCaseTriggeredEvent` | it is synthesized |",
			"| `IUT` | the [item under test](../README.md#the-item-under-test) | a synthesized composition stands in, with a diagnostic |",
			"| `CAUSE` | the deployment that runs the service in the environment | no link |",
			"| `PREVIOUS_VERSION` | the last version of the same subject's event | no link |",
			"| `outcome.verdict` | `subject.content.outcome`, in the words of [`outcome`](#vocabulary-outcome). |",
			"| `success`, `pass` | `SUCCESSFUL` |",
			"Any other CDEvents word, and none, becomes `INCONCLUSIVE`. Any other Eiffel word, and none, leaves the member out.",
			"else: judgement `described`, else `\"none \\| any\"`",
			"| `data.customData`, entry `severity` | `subject.content.severity`. |",
			"| `outcome` | `data.outcome.verdict` |",
			"| `testCase.name` | carried only |",
			"`testcaserun.finished`, read and written | 0.1.0 | 0.2.0 | 0.3.0 |",
		},
		{
			"[`testcaserun.finished`](../cdevents/testcaserun.finished.md).",
			"`testCase.uri` (`testCase.url` in CDEvents 0.4 and 0.3) | `data.x`, where that is a URI.",
			"Where it is required and missing: `urn:uuid:` and the target of the link ENVIRONMENT, else the event's own id.",
			"Where it is required and missing: `urn:uuid:` and the event's own id.",
			"Editions before Agen are read and not written.",
		},
	} {
		text, err := b.page(b.types[i])
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("the page of %s does not say %q:\n%s", b.types[i].name, want, text)
			}
		}
	}
	index, err := b.index()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| `build` | `build`, `compile` | `*-build` |", "### Vocabulary `outcome`", "| [`testcaserun.finished`](cdevents/testcaserun.finished.md) | 0.1.0 | 0.2.0 | 0.3.0 | native |",
		"uses 3 judgements and 1 vocabulary",
	} {
		if !strings.Contains(index, want) {
			t.Errorf("the index does not say %q", want)
		}
	}
}

// firstDifference shows the first line in which two texts differ.
func firstDifference(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return "want: " + a[i] + "\ngot:  " + b[i]
		}
	}
	return "one of them is longer"
}
