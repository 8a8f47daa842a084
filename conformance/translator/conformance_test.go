package translator_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/conformance/translator"
	"github.com/eiffelbridge/eiffelbridge/conformance/translator/translatortest"
	"github.com/eiffelbridge/eiffelbridge/internal/testkit/specs"
	"github.com/eiffelbridge/eiffelbridge/translate"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// ours makes the translator of this project.
func ours(s translate.Settings) (translate.Translator, error) { return translate.New(s) }

// once are events that broke a law once, whatever the seed.
func once() []translator.Case {
	var out []translator.Case
	for name, text := range map[string]string{
		"a task run of a pipeline run by its URN": `{"context":{"specversion":"0.5.1","id":"e","source":"/s","type":"dev.cdevents.taskrun.started.0.3.0",
			"timestamp":"2026-03-01T09:00:00Z"},"subject":{"id":"t","content":{"pipelineRun":{"id":"urn:uuid:1fff848e-d8bb-4d3a-8520-00022ce7bbd0"}}}}`,
		"a finished task run of a pipeline run by its URN": `{"context":{"specversion":"0.5.1","id":"e","source":"/s","type":"dev.cdevents.taskrun.finished.0.3.0",
			"timestamp":"2026-03-01T09:00:00Z"},"subject":{"id":"t","content":{"pipelineRun":{"id":"urn:uuid:1fff848e-d8bb-4d3a-8520-00022ce7bbd0"}}}}`,
		"a test suite without a name": `{"meta":{"id":"00000000-0000-4000-8000-000000000001","type":"EiffelTestSuiteStartedEvent","version":"3.4.0","time":1},
			"data":{"name":""},"links":[]}`,
		"an issue without data": `{"meta":{"id":"00000000-0000-4000-8000-000000000001","type":"EiffelIssueDefinedEvent","version":"3.2.0","time":1}}`,
	} {
		out = append(out, translator.Case{Name: name, Events: [][]byte{[]byte(text)}})
	}
	return out
}

func TestOurs(t *testing.T) {
	cases, err := translator.Generate(translator.Selection{Random: randomCases})
	if err != nil {
		t.Fatal(err)
	}
	cases = append(append(cases, once()...), examples(t)...)
	translatortest.Run(t, ours, translator.Options{Cases: cases})
}

// examples are those of the specifications, or those of this repository.
func examples(t testing.TB) []translator.Case {
	t.Helper()
	var out []translator.Case
	for _, e := range specs.Examples(t) {
		out = append(out, translator.Case{Name: e.Name, Events: [][]byte{e.JSON}})
	}
	return out
}

// bad is our translator with one fault.
type bad struct {
	translate.Translator
	settings translate.Settings
	number   int64 // of the instance
	calls    atomic.Int64

	back  bool // the fault is in what is given back
	after func(b *bad, in translate.Event, facts *ledger.Facts, r *translate.Result) error
}

func (b *bad) Translate(in translate.Event, facts *ledger.Facts) (translate.Result, error) {
	b.calls.Add(1)
	r, err := b.Translator.Translate(in, facts)
	if err != nil || len(r.Need) > 0 || b.back != (r.Returning != "") {
		return r, err
	}
	if b.after == nil {
		return r, nil
	}
	r.Events = slices.Clone(r.Events)
	err = b.after(b, in, facts, &r)
	return r, err
}

// carrying is true of the settings that most laws are tested with.
func (b *bad) carrying() bool {
	return b.settings.Carry != translate.CarryNone && !b.settings.Explain
}

// main is the event that the input became.
func main(r *translate.Result) *translate.Event {
	if len(r.Events) == 0 {
		return &translate.Event{}
	}
	return &r.Events[len(r.Events)-1]
}

// rewrite changes the text of an event, and its head with it, as far as it can still be read.
func rewrite(e *translate.Event, old, with string) {
	text := bytes.Replace(e.JSON, []byte(old), []byte(with), 1)
	read, err := translate.Decode(text)
	if err != nil {
		e.JSON = text
		return
	}
	read.JSON, read.Synthesized = text, e.Synthesized
	*e = read
}

// addLinks gives an Eiffel event links if it has none.
func addLinks(e *translate.Event, links string) {
	if rest, ok := bytes.CutSuffix(e.JSON, []byte(`,"links":[]}`)); ok {
		rewrite(e, string(e.JSON), string(rest)+`,"links":[`+links+`]}`)
	}
}

// deployment is a CDEvent that needs anchors.
func deployment(name, version string) []byte {
	return fmt.Appendf(nil, `{"context":{"specversion":"0.5.1","id":"evt-%[2]s","source":"/s","type":"dev.cdevents.service.deployed.0.3.0",`+
		`"timestamp":"2026-03-01T09:00:00Z"},"subject":{"id":%[1]q,"content":{"environment":{"id":%[1]q},"artifactId":"pkg:oci/%[1]s@%[2]s"}}}`, name, version)
}

// spurious is a made-up event that nobody needs.
func spurious(t testing.TB) translate.Event {
	t.Helper()
	engine, err := translate.New(translate.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := translate.NewSession(engine, translate.NewMemoryLedger()).Translate(t.Context(), deployment("spurious", "1"))
	if err != nil {
		t.Fatal(err)
	}
	return r.Events[0]
}

// fault is a way to break a law.
type fault struct {
	name  string
	law   string
	rule  string
	also  []string // laws that this fault breaks as well, by its nature
	back  bool     // it is in what is given back, not in what is translated
	after func(b *bad, in translate.Event, facts *ledger.Facts, r *translate.Result) error

	settings func(*translate.Settings) // nil: as the kit wants them
}

// The types that faults are about: nothing becomes a service.published here, so that it is only met on the way there.
const (
	deployed  = "EiffelArtifactDeployedEvent"
	published = "dev.cdevents.service.published.0.3.0"
)

func faults(t testing.TB) []fault {
	extra := spurious(t)
	swapped := func(e *translate.Event) {
		// The same members, in another order.
		rewrite(e, `"type":"`+e.Type+`","version":"`+e.Version+`"`, `"version":"`+e.Version+`","type":"`+e.Type+`"`)
	}
	return []fault{
		{name: "an unknown member", law: "output", rule: "schema", also: []string{"round_trip"}, after: func(b *bad, _ translate.Event, _ *ledger.Facts, r *translate.Result) error {
			if b.carrying() {
				rewrite(main(r), `"links":[`, `"extra":1,"links":[`)
			}
			return nil
		}},
		{name: "no JSON", law: "output", rule: "json", also: []string{"order", "round_trip"}, after: func(b *bad, _ translate.Event, _ *ledger.Facts, r *translate.Result) error {
			if b.carrying() && main(r).Type == deployed {
				main(r).JSON = main(r).JSON[1:]
			}
			return nil
		}},
		{name: "white space", law: "output", rule: "compact", after: func(b *bad, _ translate.Event, _ *ledger.Facts, r *translate.Result) error {
			if e := main(r); e.JSON != nil {
				e.JSON = append([]byte{' '}, e.JSON...)
			}
			return nil
		}},
		{name: "another head", law: "output", rule: "head", after: func(b *bad, _ translate.Event, _ *ledger.Facts, r *translate.Result) error {
			main(r).Time++
			return nil
		}},
		{name: "a version that nobody published", law: "output", rule: "version", also: nil, after: func(b *bad, _ translate.Event, _ *ledger.Facts, r *translate.Result) error {
			if e := main(r); e.Type == deployed && b.carrying() {
				rewrite(e, `"version":"0.1.0"`, `"version":"0.9.0"`)
			}
			return nil
		}},
		{name: "the same protocol", law: "output", rule: "protocol", after: func(b *bad, in translate.Event, _ *ledger.Facts, r *translate.Result) error {
			if b.carrying() && in.Type == published {
				r.Events = []translate.Event{in}
			}
			return nil
		}},
		{name: "a panic", law: "output", rule: "panic", after: func(_ *bad, in translate.Event, _ *ledger.Facts, r *translate.Result) error {
			if in.Type == published {
				panic("index out of range")
			}
			return nil
		}},
		{name: "a refusal", law: "output", rule: translate.CodeInvalid, after: func(_ *bad, in translate.Event, _ *ledger.Facts, _ *translate.Result) error {
			if in.Type == published {
				return &translate.EventError{Code: translate.CodeInvalid, Message: "no"}
			}
			return nil
		}},
		{name: "any other error", law: "output", rule: "error", after: func(_ *bad, in translate.Event, _ *ledger.Facts, _ *translate.Result) error {
			if in.Type == published {
				return errors.New("not today")
			}
			return nil
		}},
		{name: "silence", law: "output", rule: "silent", after: func(_ *bad, in translate.Event, _ *ledger.Facts, r *translate.Result) error {
			if in.Type == published {
				*r = translate.Result{}
			}
			return nil
		}},

		{name: "a link to the wrong type", law: "links", rule: "linkTarget", after: func(b *bad, _ translate.Event, _ *ledger.Facts, r *translate.Result) error {
			if e := main(r); b.carrying() && e.Type == deployed && len(r.Events) > 2 {
				artifact, environment := `{"type":"ARTIFACT","target":"`, `{"type":"ENVIRONMENT","target":"`
				rewrite(e, artifact, "@@")
				rewrite(e, environment, artifact)
				rewrite(e, "@@", environment)
			}
			return nil
		}},
		{name: "a link to itself", law: "links", rule: "itself", after: func(b *bad, _ translate.Event, _ *ledger.Facts, r *translate.Result) error {
			if e := main(r); b.carrying() && e.Protocol == translate.Eiffel {
				addLinks(e, `{"type":"CAUSE","target":"`+e.ID+`"}`)
			}
			return nil
		}},
		{name: "a CDEvent that links to itself", law: "links", rule: "itself", after: func(b *bad, in translate.Event, _ *ledger.Facts, r *translate.Result) error {
			if e := main(r); b.carrying() && in.Protocol == translate.Eiffel && e.Protocol == translate.CDEvents {
				rewrite(e, `"links":[{`, `"links":[{"linkType":"RELATION","linkKind":"TRIGGER","target":{"contextId":"`+e.ID+`"}},{`)
			}
			return nil
		}},
		{name: "a link twice", law: "links", rule: "duplicate", after: func(b *bad, _ translate.Event, _ *ledger.Facts, r *translate.Result) error {
			const link = `{"type":"CAUSE","target":"35d9d288-e001-578a-808e-3bc1e512cb78"}`
			if e := main(r); b.carrying() && e.Protocol == translate.Eiffel {
				addLinks(e, link+","+link)
			}
			return nil
		}},
		{name: "a required link missing", law: "links", rule: "linkRequired", also: []string{"output", "round_trip"}, after: func(b *bad, _ translate.Event, _ *ledger.Facts, r *translate.Result) error {
			if e := main(r); b.carrying() && e.Type == deployed {
				rewrite(e, `{"type":"ARTIFACT",`, `{"type":"CAUSE",`)
			}
			return nil
		}},

		{name: "the anchor last", law: "order", rule: "forward", after: func(b *bad, _ translate.Event, _ *ledger.Facts, r *translate.Result) error {
			if b.carrying() {
				slices.Reverse(r.Events)
			}
			return nil
		}},
		{name: "an anchor twice", law: "order", rule: "twice", after: func(b *bad, _ translate.Event, _ *ledger.Facts, r *translate.Result) error {
			if b.carrying() && len(r.Events) > 1 {
				r.Events = append([]translate.Event{r.Events[0]}, r.Events...)
			}
			return nil
		}},
		{name: "an anchor that nobody needs", law: "order", rule: "unneeded", after: func(b *bad, _ translate.Event, _ *ledger.Facts, r *translate.Result) error {
			if b.carrying() && main(r).Type == deployed {
				r.Events = append([]translate.Event{extra}, r.Events...)
			}
			return nil
		}},

		{name: "an anchor again for each event", law: "order", rule: "reused", settings: func(s *translate.Settings) { s.Synthesize = translate.SynthesizeAlways }},

		{name: "members in any order", law: "determinism", rule: "again", also: []string{"idempotence"}, after: func(b *bad, _ translate.Event, _ *ledger.Facts, r *translate.Result) error {
			if b.carrying() && b.calls.Load()%2 == 0 {
				swapped(main(r))
			}
			return nil
		}},
		{name: "an order of its own for each instance", law: "determinism", rule: "instance", after: func(b *bad, _ translate.Event, _ *ledger.Facts, r *translate.Result) error {
			if b.carrying() && b.number%2 == 0 {
				swapped(main(r))
			}
			return nil
		}},
		{name: "the order of the facts", law: "determinism", rule: "order_of_facts", after: func(b *bad, _ translate.Event, facts *ledger.Facts, r *translate.Result) error {
			if shown := fmt.Sprint(*facts); b.carrying() && strings.Index(shown, fmt.Sprintf("{%d ", ledger.ContextFact)) > strings.Index(shown, fmt.Sprintf("{%d ", ledger.SubjectFact)) {
				swapped(main(r))
			}
			return nil
		}},

		{name: "the event is changed", law: "input", rule: "event", after: func(_ *bad, in translate.Event, _ *ledger.Facts, r *translate.Result) error {
			in.JSON[0] = ' '
			return nil
		}},
		{name: "a fact is changed", law: "input", rule: "facts", after: func(b *bad, in translate.Event, facts *ledger.Facts, _ *translate.Result) error {
			asked, err := b.Translator.Translate(in, &ledger.Facts{})
			if err != nil {
				return err
			}
			for _, q := range asked.Need {
				if record, _ := facts.Get(q); len(record) > 0 {
					record[0] ^= 1
				}
			}
			return nil
		}},
		{name: "a fact is replaced", law: "input", rule: "facts", after: func(b *bad, in translate.Event, facts *ledger.Facts, _ *translate.Result) error {
			asked, err := b.Translator.Translate(in, &ledger.Facts{})
			if err != nil {
				return err
			}
			if b.carrying() && len(asked.Need) > 0 && in.Type == "dev.cdevents.environment.created.0.3.0" {
				facts.Add(asked.Need[0], []byte("mine"))
			}
			return nil
		}},

		{name: "a choice is forgotten", law: "idempotence", rule: "new_id", after: func(_ *bad, _ translate.Event, _ *ledger.Facts, r *translate.Result) error {
			r.Learned = slices.DeleteFunc(slices.Clone(r.Learned), func(f ledger.Fact) bool { return f.Query.Kind == ledger.ContextFact })
			return nil
		}},
		{name: "a redelivery differs", law: "idempotence", rule: "bytes", after: func(b *bad, in translate.Event, facts *ledger.Facts, r *translate.Result) error {
			if b.carrying() && len(r.Learned) == 0 {
				swapped(main(r))
			}
			return nil
		}},
		{name: "a redelivery is refused", law: "idempotence", rule: "error", after: func(b *bad, in translate.Event, facts *ledger.Facts, r *translate.Result) error {
			if b.carrying() && len(r.Learned) == 0 {
				return errors.New("it was here before")
			}
			return nil
		}},

		{name: "a carried field is dropped", law: "round_trip", rule: "original", after: func(b *bad, in translate.Event, _ *ledger.Facts, r *translate.Result) error {
			if e := main(r); b.carrying() && in.Protocol == translate.CDEvents {
				rewrite(e, `"customDataContentType":"application/json"`, `"customDataContentType":"text/plain"`)
			}
			return nil
		}},
		{name: "an original is not given back", law: "round_trip", rule: "original", back: true, after: func(_ *bad, _ translate.Event, _ *ledger.Facts, r *translate.Result) error {
			r.Events = nil
			return nil
		}},
		{name: "what was made up comes back", law: "round_trip", rule: "made_up", after: func(b *bad, _ translate.Event, _ *ledger.Facts, r *translate.Result) error {
			if b.carrying() && len(r.Events) > 1 && r.Events[0].Synthesized {
				rewrite(&r.Events[0], `"synthesizedFor"`, `"madeUpFor"`)
			}
			return nil
		}},

		{name: "an exactly moved value is changed", law: "semantics", rule: "exact", after: func(b *bad, in translate.Event, _ *ledger.Facts, r *translate.Result) error {
			if e := main(r); b.settings.Carry == translate.CarryNone && in.Protocol == translate.CDEvents && e.Type == "EiffelEnvironmentDefinedEvent" {
				rewrite(e, `"data":{"name":"`, `"data":{"name":"changed `)
			}
			return nil
		}},
		{name: "a link is lost", law: "semantics", rule: "exact", after: func(b *bad, in translate.Event, _ *ledger.Facts, r *translate.Result) error {
			if e := main(r); b.settings.Carry == translate.CarryNone && in.Protocol == translate.Eiffel && e.Protocol == translate.CDEvents {
				rewrite(e, `"linkKind":"TRIGGER"`, `"linkKind":"FLOW_CONTEXT"`)
			}
			return nil
		}},
		{name: "a translated word is another each time", law: "semantics", rule: "translated", after: func(b *bad, in translate.Event, _ *ledger.Facts, r *translate.Result) error {
			if e := main(r); b.settings.Carry == translate.CarryNone && in.Protocol == translate.CDEvents && e.Type == "EiffelEnvironmentDefinedEvent" {
				rewrite(e, `"data":{"name":"`, `"data":{"name":"again `)
				r.Moves = slices.Clone(r.Moves)
				for i := range r.Moves {
					if r.Moves[i].To == "/data/name" {
						r.Moves[i].Fidelity = translate.Translated
					}
				}
			}
			return nil
		}},
		{name: "nothing comes back", law: "semantics", rule: "back", after: func(b *bad, in translate.Event, _ *ledger.Facts, r *translate.Result) error {
			if b.settings.Explain && in.Protocol == translate.Eiffel && in.Type == "EiffelEnvironmentDefinedEvent" && b.settings.Spec != "" {
				r.Events = nil
			}
			return nil
		}},

		{name: "a loss is not told", law: "accounting", rule: "unaccounted", after: func(_ *bad, _ translate.Event, _ *ledger.Facts, r *translate.Result) error {
			r.Losses = slices.DeleteFunc(slices.Clone(r.Losses), func(l translate.Loss) bool { return l.Pointer == "/context/chainId" })
			return nil
		}},
		{name: "what is carried is not", law: "accounting", rule: "carried", after: func(b *bad, _ translate.Event, _ *ledger.Facts, r *translate.Result) error {
			r.Losses = slices.Clone(r.Losses)
			for i := range r.Losses {
				r.Losses[i].Carried = true
			}
			return nil
		}},
		{name: "a loss of nothing", law: "accounting", rule: "nowhere", after: func(b *bad, in translate.Event, _ *ledger.Facts, r *translate.Result) error {
			if b.settings.Explain {
				r.Losses = append(slices.Clone(r.Losses), translate.Loss{Pointer: "/context/links/99"})
			}
			return nil
		}},
		{name: "a move to nowhere", law: "accounting", rule: "to", after: func(b *bad, in translate.Event, _ *ledger.Facts, r *translate.Result) error {
			if b.settings.Explain {
				r.Moves = append(slices.Clone(r.Moves), translate.Move{To: "/data/nowhere", Rule: "made", Out: len(r.Events) - 1})
			}
			return nil
		}},
		{name: "a move to an event that is not there", law: "accounting", rule: "out", after: func(b *bad, in translate.Event, _ *ledger.Facts, r *translate.Result) error {
			if b.settings.Explain {
				r.Moves = append(slices.Clone(r.Moves), translate.Move{To: "/data", Rule: "made", Out: len(r.Events)})
			}
			return nil
		}},
	}
}

// cases are few, of types that our translator maps.
func cases(t testing.TB) []translator.Case {
	t.Helper()
	all, err := translator.Generate(translator.Selection{Random: 2, Types: []string{
		"dev.cdevents.environment.created.0.3.0", "dev.cdevents.environment.modified.0.3.0", "dev.cdevents.service.deployed.0.3.0", published,
		"EiffelEnvironmentDefinedEvent", "EiffelArtifactDeployedEvent",
	}})
	if err != nil {
		t.Fatal(err)
	}
	two := translator.Case{Name: "two deployments"}
	for _, version := range []string{"1.0.0", "1.1.0"} {
		two.Events = append(two.Events, deployment("shop", version))
	}
	// Of the versions of the Eiffel types, one is enough.
	return slices.DeleteFunc(append(all, two), func(c translator.Case) bool {
		return strings.HasPrefix(c.Name, "Eiffel") && !strings.HasPrefix(c.Name, deployed+" 0.1.0")
	})
}

// finding is one without its words.
type finding struct {
	law, rule, name string
	event           int
	pointer         string
}

// findings are what a run finds.
func findings(t testing.TB, newTranslator translator.Constructor, o translator.Options) map[finding]bool {
	t.Helper()
	o.MaxFindings = 1 << 20
	r, err := translator.Test(t.Context(), newTranslator, o)
	if err != nil {
		t.Fatal(err)
	}
	out := map[finding]bool{}
	for _, f := range r.Findings {
		out[finding{f.Law, f.Rule, f.Case, f.Event, f.Pointer}] = true
	}
	return out
}

// TestEachLawIsCaught: each fault is found by the law that it breaks, and by no other than those that it must break too. What the law
// finds of our own translator does not count.
func TestEachLawIsCaught(t *testing.T) {
	o := translator.Options{Cases: cases(t)}
	good := findings(t, ours, o)
	broken := map[string]bool{}
	for i, f := range faults(t) {
		broken[f.law] = true
		if i%everyNth != 0 {
			continue
		}
		t.Run(f.law+", "+f.rule+", "+f.name, func(t *testing.T) {
			var instances int64
			found := findings(t, func(s translate.Settings) (translate.Translator, error) {
				if f.settings != nil {
					f.settings(&s)
				}
				engine, err := translate.New(s)
				instances++
				return &bad{Translator: engine, settings: s, number: instances, back: f.back, after: f.after}, err
			}, o)
			rules, laws := map[string]int{}, map[string]int{}
			for one := range found {
				if !good[one] {
					rules[one.law+" "+one.rule]++
					laws[one.law]++
				}
			}
			if rules[f.law+" "+f.rule] == 0 {
				t.Errorf("not caught; there is only %v", rules)
			}
			want := append([]string{f.law}, f.also...)
			slices.Sort(want)
			if got := slices.Sorted(maps.Keys(laws)); !slices.Equal(got, want) {
				t.Errorf("it is caught by %v, not by %v: %v", got, want, rules)
			}
		})
	}
	for _, law := range translator.Laws() {
		if !broken[law.Name] {
			t.Errorf("no fault breaks the law %s", law.Name)
		}
	}
}

// few makes a small test of one type.
func few(t testing.TB, typ string) translator.Options {
	t.Helper()
	out, err := translator.Generate(translator.Selection{Random: 1, Types: []string{typ}})
	if err != nil {
		t.Fatal(err)
	}
	return translator.Options{Cases: out}
}

func test(t testing.TB, newTranslator translator.Constructor, o translator.Options) *translator.Report {
	t.Helper()
	r, err := translator.Test(t.Context(), newTranslator, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// some is a translator that maps only some types, as one that comes as a plugin.
type some struct {
	translate.Translator
	types string
}

func (s some) Translate(in translate.Event, facts *ledger.Facts) (translate.Result, error) {
	if !strings.Contains(in.Type, s.types) {
		return translate.Result{}, &translate.EventError{Code: translate.CodeNoMapping, ID: in.ID, Type: in.Type, Message: "not mine"}
	}
	return s.Translator.Translate(in, facts)
}

// TestNoMapping: what a translator does not map is skipped, and the report says so.
func TestNoMapping(t *testing.T) {
	o := few(t, "environment.created")
	o.Cases = append(o.Cases, few(t, "build.queued").Cases...)
	o.KnownFailures = map[string]string{"accounting": "", "semantics": ""}
	r := test(t, func(s translate.Settings) (translate.Translator, error) {
		engine, err := translate.New(s)
		return some{engine, "nvironment"}, err
	}, o)
	for _, typ := range r.Types {
		for law, n := range typ.Laws {
			if law == "determinism" || law == "input" {
				continue // a refusal must be the same each time, and harm nothing
			}
			if typ.Type == "build.queued" && (n.Checked != 0 || n.Skipped != typ.Events) {
				t.Errorf("%s, %s: %+v of %d events", typ.Type, law, n, typ.Events)
			}
			if typ.Type == "environment.created" && n.Checked != typ.Events {
				t.Errorf("%s, %s: %+v of %d events", typ.Type, law, n, typ.Events)
			}
		}
	}
	if !slices.ContainsFunc(r.Skipped, func(s translator.Skipped) bool {
		return s.Law == "output" && s.Reason == "not translated: no_mapping" && s.Events > 0
	}) {
		t.Errorf("skipped: %+v", r.Skipped)
	}
	for _, f := range r.Findings {
		if f.Type == "build.queued" {
			t.Error(f)
		}
	}
}

// TestRefusedSettings: laws that need settings which the constructor refuses are skipped, and the report says why.
func TestRefusedSettings(t *testing.T) {
	o := few(t, "environment.created")
	r := test(t, func(s translate.Settings) (translate.Translator, error) {
		if s.Carry == translate.CarryNone || s.Explain {
			return nil, errors.New("only the defaults")
		}
		return translate.New(s)
	}, o)
	if err := r.Err(); err != nil {
		t.Error(err)
	}
	for _, law := range []string{"accounting", "semantics"} {
		if n := r.Types[0].Laws[law]; n.Checked != 0 || n.Skipped != r.Events {
			t.Errorf("%s: %+v", law, n)
		}
		if !slices.ContainsFunc(r.Skipped, func(s translator.Skipped) bool {
			return s.Law == law && strings.HasSuffix(s.Reason, "only the defaults") && s.Events == r.Events
		}) {
			t.Errorf("skipped: %+v", r.Skipped)
		}
	}
	refuse := func(translate.Settings) (translate.Translator, error) { return nil, errors.New("closed today") }
	if _, err := translator.Test(t.Context(), refuse, o); err == nil || !strings.Contains(err.Error(), "closed today") {
		t.Errorf("without any translator: %v", err)
	}
}

func TestKnownFailures(t *testing.T) {
	panics := func(s translate.Settings) (translate.Translator, error) {
		engine, err := translate.New(s)
		return &bad{Translator: engine, settings: s, after: func(*bad, translate.Event, *ledger.Facts, *translate.Result) error { panic("out of range") }}, err
	}
	o := few(t, "environment.created")
	o.Laws = []string{"output", "determinism"}
	if r := test(t, panics, o); !r.Failed() || r.Err() == nil {
		t.Error("a panic is no finding")
	}
	for _, name := range []string{"output", "output environment.created"} {
		o.KnownFailures = map[string]string{name: "on purpose"}
		if r := test(t, panics, o); r.Failed() || r.Err() != nil || len(r.Known) == 0 {
			t.Errorf("%s: a known failure counts: %v", name, r.Err())
		}
	}
	for name, want := range map[string]string{
		"determinism": "take it off the list", "determinism environment.created": "take it off the list",
		"determinism build.queued": "", "links": "", // not tested at all
	} {
		o.KnownFailures = map[string]string{"output": "on purpose", name: "stale"}
		r := test(t, panics, o)
		if err := r.Err(); (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) || r.Failed() != (want != "") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestOptions: what is wrong with a test is an error and no finding.
func TestOptions(t *testing.T) {
	event := []byte(`{"context":{"specversion":"0.5.1","id":"e","source":"/s","type":"dev.cdevents.environment.deleted.0.3.0",
		"timestamp":"2026-03-01T09:00:00Z"},"subject":{"id":"prod","content":{}}}`)
	eiffel := []byte(`{"meta":{"id":"00000000-0000-4000-8000-000000000001","type":"EiffelFlowContextDefinedEvent","version":"3.2.0","time":1},"data":{},"links":[]}`)
	for _, c := range []struct {
		name string
		o    translator.Options
		want string
	}{
		{"an unknown law", translator.Options{Laws: []string{"gravity"}}, `there is no law "gravity"; there are output, links`},
		{"a known failure of an unknown law", translator.Options{KnownFailures: map[string]string{"gravity x": ""}}, `there is no law "gravity"`},
		{"no event", translator.Options{Cases: []translator.Case{{Name: "mine", Events: [][]byte{[]byte(`{}`)}}}}, "case mine, event 0: "},
		{"an invalid event", translator.Options{Cases: []translator.Case{{Name: "mine", Events: [][]byte{event, bytes.Replace(event, []byte(`"prod"`), []byte(`""`), 1)}}}},
			"case mine, event 1: event e"},
		{"both protocols", translator.Options{Cases: []translator.Case{{Name: "mine", Events: [][]byte{event, eiffel}}}}, "case mine, event 1: an event of eiffel in a case of cdevents"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := translator.Test(t.Context(), ours, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
	if _, err := translator.Generate(translator.Selection{Types: []string{"service.deployed", "service.vanished"}}); err == nil ||
		!strings.Contains(err.Error(), `"service.vanished"`) {
		t.Errorf("an unknown type: %v", err)
	}
	r := test(t, ours, translator.Options{Cases: []translator.Case{{Name: "mine", Events: [][]byte{event}}}, Laws: []string{"round_trip"}})
	if len(r.Types) != 1 || r.Types[0].Type != "environment.deleted" || r.Types[0].Laws["round_trip"].Checked != 1 || len(r.Types[0].Laws) != 1 || r.Failed() {
		t.Errorf("%+v", r)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := translator.Test(ended, ours, translator.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
}

// TestGenerate: every type is there in every version, alone and in flows, and the same seed gives the same.
func TestGenerate(t *testing.T) {
	a, err := translator.Generate(translator.Selection{Random: 1, Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	b, _ := translator.Generate(translator.Selection{Random: 1, Seed: 7})
	other, _ := translator.Generate(translator.Selection{Random: 1, Seed: 8})
	if !reflect.DeepEqual(a, b) {
		t.Error("the same seed gives other cases")
	}
	if reflect.DeepEqual(a, other) {
		t.Error("another seed gives the same cases")
	}
	none, _ := translator.Generate(translator.Selection{Random: -1})
	names, flows := map[string]bool{}, 0
	for _, c := range a {
		names[c.Name] = true
		if len(c.Events) > 1 {
			flows++
		}
	}
	if len(names) != len(a) || flows != 11 || len(a)-flows != len(none)/2*3 || len(none)/2 < 350 {
		t.Errorf("%d cases, %d names, %d flows; %d without random ones", len(a), len(names), flows, len(none))
	}
	if n := len(translator.TypeNames()); n < 70 {
		t.Errorf("%d types", n)
	}
}
