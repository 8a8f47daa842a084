package translate_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// life is a service's life: environment created; service deployed, upgraded, rolled back, published; environment
// modified; service removed; environment deleted.
func life(t testing.TB) []string {
	t.Helper()
	lines := readLines(t, "life.jsonl")
	if len(lines) != 8 {
		t.Fatalf("a life has eight events, not %d", len(lines))
	}
	return lines
}

// lifeTypes are the Eiffel event types that a life becomes, synthesized ones left out.
var lifeTypes = []string{
	"EiffelEnvironmentDefinedEvent", "EiffelArtifactDeployedEvent", "EiffelArtifactDeployedEvent", "EiffelArtifactDeployedEvent",
	"EiffelConfidenceLevelModifiedEvent", "EiffelEnvironmentDefinedEvent", "EiffelAnnouncementPublishedEvent", "EiffelAnnouncementPublishedEvent",
}

// edit changes an event as JSON.
func edit(t testing.TB, text string, change func(event map[string]any)) string {
	t.Helper()
	event := value(t, []byte(text)).(map[string]any)
	change(event)
	out, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func object(parent map[string]any, name string) map[string]any {
	o, _ := parent[name].(map[string]any)
	return o
}

// olderLife is the life in the words of an older version of CDEvents.
func olderLife(t testing.TB, spec string) []string {
	t.Helper()
	full, ok := schema.SpecVersion(spec)
	if !ok {
		t.Fatalf("there is no CDEvents %s", spec)
	}
	var out []string
	for _, line := range life(t) {
		out = append(out, edit(t, line, func(event map[string]any) {
			c, s := object(event, "context"), object(event, "subject")
			delete(c, "specversion")
			c["version"] = full
			subject, predicate, _ := strings.Cut(nameOf(c["type"].(string)), ".")
			eventType, ok := schema.CDEventType(spec, subject, predicate)
			if !ok {
				t.Fatalf("CDEvents %s has no %s.%s", spec, subject, predicate)
			}
			c["type"] = eventType
			s["type"] = subject
			if content := object(s, "content"); content["uri"] != nil {
				content["url"] = content["uri"]
				delete(content, "uri")
			}
			if spec == "0.3" {
				delete(c, "links")
				delete(c, "chainId")
			}
		}))
	}
	return out
}

// checkStream holds a stream of Eiffel events against the rules that only a whole stream can break: every link is legal
// for the types of both ends, and leads to an event earlier in the stream. dangling are targets that are let off.
func checkStream(t testing.TB, stream []translate.Event, dangling map[string]bool) {
	t.Helper()
	types := map[string]string{}
	for _, e := range stream {
		doc, err := jsondoc.Parse(e.JSON)
		if err != nil {
			t.Fatal(err)
		}
		s, err := schema.ForEiffel(e.Type, e.Version)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range s.ValidateLinks(doc, func(id string) (string, bool) { typ, ok := types[id]; return typ, ok }) {
			t.Errorf("%v in\n%s", f, e.JSON)
		}
		for _, l := range links(t, e) {
			if _, id, _ := strings.Cut(l, " "); types[id] == "" && !dangling[id] {
				t.Errorf("the target of %s comes later or never in\n%s", l, e.JSON)
			}
		}
		types[e.ID] = e.Type
	}
}

// TestLife translates a service's life forth and back.
func TestLife(t *testing.T) {
	for _, spec := range schema.OutputSpecs() {
		t.Run("CDEvents "+spec, func(t *testing.T) {
			lines := life(t)
			if spec != "0.5" {
				lines = olderLife(t, spec)
			}
			checkLife(t, newEngine(t, translate.Settings{}), lines)
		})
	}
}

func checkLife(t *testing.T, engine *translate.Engine, lines []string) []translate.Event {
	t.Helper()
	s := fresh(engine)
	var stream []translate.Event
	for i, line := range lines {
		r := through(t, s, line)
		e := last(t, r)
		if e.Type != lifeTypes[i] {
			t.Errorf("event %d became %s, want %s", i, e.Type, lifeTypes[i])
		}
		for _, made := range r.Events[:len(r.Events)-1] {
			if !made.Synthesized {
				t.Errorf("event %d: %s stands before what the event became and is not marked as synthesized", i, made.JSON)
			}
		}
		stream = append(stream, r.Events...)
	}
	checkStream(t, stream, nil)
	seen := map[string]bool{}
	for _, e := range stream {
		if seen[e.ID] {
			t.Errorf("two events have the id %s", e.ID)
		}
		seen[e.ID] = true
	}
	checkGivenBack(t, engine, stream, lines)
	return stream
}

// checkGivenBack translates a stream back: it must give the lines, and nothing else.
func checkGivenBack(t *testing.T, engine *translate.Engine, stream []translate.Event, lines []string) {
	t.Helper()
	for _, how := range []string{"with a ledger", "without a ledger"} {
		s := fresh(engine)
		given := ""
		for _, e := range stream {
			if how == "without a ledger" {
				s = fresh(engine)
			}
			given += texts(through(t, s, string(e.JSON)).Events)
		}
		want := ""
		for _, line := range lines {
			want += compact(t, line) + "\n"
		}
		if given != want {
			t.Errorf("back %s:\n%swant\n%s", how, given, want)
		}
	}
}

// TestLifeLinks spells out where the links of a life lead.
func TestLifeLinks(t *testing.T) {
	s := newSession(t, translate.Settings{})
	byLine := make([]translate.Result, 8)
	event := make([]translate.Event, 8)
	for i, line := range life(t) {
		byLine[i] = through(t, s, line)
		event[i] = last(t, byLine[i])
	}
	made := func(i int, eiffelType string) string {
		for _, e := range byLine[i].Events {
			if e.Synthesized && e.Type == eiffelType {
				return e.ID
			}
		}
		t.Fatalf("event %d synthesized no %s", i, eiffelType)
		return ""
	}
	for i, want := range [][]string{
		nil,
		{"ARTIFACT " + made(1, "EiffelArtifactCreatedEvent"), "ENVIRONMENT " + event[0].ID, "CAUSE " + event[0].ID},
		{"ARTIFACT " + made(2, "EiffelArtifactCreatedEvent"), "ENVIRONMENT " + event[0].ID},
		{"ARTIFACT " + made(1, "EiffelArtifactCreatedEvent"), "ENVIRONMENT " + event[0].ID},
		{"SUBJECT " + event[3].ID},
		{"PREVIOUS_VERSION " + event[0].ID},
		{"CAUSE " + event[3].ID},
		{"CAUSE " + event[5].ID},
	} {
		if got := links(t, event[i]); strings.Join(got, ", ") != strings.Join(want, ", ") {
			t.Errorf("event %d has the links %v, want %v", i, got, want)
		}
	}
	if n := len(byLine[3].Events); n != 1 {
		t.Errorf("the rollback to a known artifact gave %d events, want one", n)
	}
	for i, want := range map[int]string{
		1: "service shop deployed in environment prod: pkg:oci/shop@1.0.0",
		2: "from pkg:oci/shop@1.0.0?repository_url=ghcr.io%2Facme to pkg:oci/shop@1.1.0",
		3: "from pkg:oci/shop@1.1.0?repository_url=ghcr.io%2Facme to pkg:oci/shop@1.0.0",
	} {
		if got := field(t, event[i], "/data/description").Str(); !strings.Contains(got, want) {
			t.Errorf("event %d is described as %q, want %q in it", i, got, want)
		}
	}
}

// TestLifeWithoutLedger translates every event of a life with an empty ledger: what must be linked to is made up each
// time under the same id, so that the links still meet.
func TestLifeWithoutLedger(t *testing.T) {
	for _, spec := range schema.OutputSpecs() {
		lines := life(t)
		if spec != "0.5" {
			lines = olderLife(t, spec)
		}
		engine := newEngine(t, translate.Settings{})
		var stream []translate.Event
		for _, line := range lines {
			stream = append(stream, through(t, fresh(engine), line).Events...)
		}
		checkStream(t, stream, nil)
		checkGivenBack(t, engine, stream, lines)
		// What was made up under one id must say the same, whoever needed it, apart from the mark and the time.
		first := map[string]translate.Event{}
		for _, e := range stream {
			if !e.Synthesized {
				continue
			}
			before, ok := first[e.ID]
			if !ok {
				first[e.ID] = e
				continue
			}
			bare := func(e translate.Event) string {
				return edit(t, string(e.JSON), func(event map[string]any) {
					delete(object(event, "meta"), "time")
					delete(object(event, "data"), "customData")
				})
			}
			if bare(e) != bare(before) {
				t.Errorf("two events of one id differ:\n%s\n%s", before.JSON, e.JSON)
			}
		}
	}
}

// TestLifeInProcessesThatShareNothing translates each half of a life in a process of its own: links to anchors meet.
func TestLifeInProcessesThatShareNothing(t *testing.T) {
	engine := newEngine(t, translate.Settings{})
	environments, services := fresh(engine), fresh(engine)
	var stream []translate.Event
	for _, line := range life(t) {
		// Every reference names its source here: an alias is what processes can only share through a ledger.
		line = edit(t, line, func(event map[string]any) {
			if env := object(object(object(event, "subject"), "content"), "environment"); env != nil {
				env["source"] = "https://k8s.example.com/eu-1"
			}
		})
		s := services
		if strings.Contains(line, "cdevents.environment") {
			s = environments
		}
		stream = append(stream, through(t, s, line).Events...)
	}
	checkStream(t, stream, nil)
}

// odd are ids that some producer somewhere uses.
var odd = map[string]string{
	"spaces":                       " a b ",
	"unicode":                      "déploiement-№7-🚀-ダ",
	"combining":                    "e\u0301 vs \u00e9",
	"quotes and backslashes":       `"a\"b\\c'`,
	"escapes":                      "nul\x00 bell\a tab\t line\n del\x7f sep\u2028",
	"markup":                       "<a href='x'>&amp;</a>",
	"json":                         `{"id":["x"]}`,
	"a thousand bytes":             strings.Repeat("0123456789", 100),
	"version 7":                    "0190a0b0-0000-7000-8000-0000000000%02d",
	"upper case":                   "6A1F0A3E-7D1C-4A52-9A43-0D4A6F0E1B%02d",
	"nil":                          "00000000-0000-0000-0000-000000000000",
	"a urn":                        "urn:uuid:6a1f0a3e-7d1c-4a52-9a43-0d4a6f0e1b%02d",
	"braces":                       "{6a1f0a3e-7d1c-4a52-9a43-0d4a6f0e1b%02d}",
	"one":                          "1",
	"hyphens":                      "--------",
	"the form of a UUID":           "zzzzzzzz-zzzz-zzzz-zzzz-zzzzzzzzzzzz",
	"a UUID that ends in a hyphen": "6a1f0a3e-7d1c-4a52-9a43-0d4a6f0e1b0-",

	"a UUID with a hyphen too much, near the end": "6a1f0a3e-7d1c-4a52-9a43-0d4a6f0e1b-0",
	"a UUID with a hyphen at the front":           "-a1f0a3e-7d1c-4a52-9a43-0d4a6f0e1b00",
	"all the same for every event":                "the same",
}

// TestLifeWithOddIDs gives every event of a life an id, and every subject too, that is odd: CDEvents takes any text.
func TestLifeWithOddIDs(t *testing.T) {
	engine := newEngine(t, translate.Settings{})
	for name, id := range odd {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if p := recover(); p != nil {
					t.Errorf("the translation panics: %v", p)
				}
			}()
			var lines []string
			for i, line := range life(t) {
				lines = append(lines, edit(t, line, func(event map[string]any) {
					context := object(event, "context")
					switch {
					case strings.Contains(id, "%02d"):
						context["id"] = fmt.Sprintf(id, i)
					case name == "all the same for every event":
						context["id"] = id
					default:
						context["id"] = id + strings.Repeat(" ", i)
					}
					delete(object(event, "context"), "links")
					subject := object(event, "subject")
					subject["id"] = id
					if env := object(object(subject, "content"), "environment"); env != nil {
						env["id"] = id
					}
				}))
			}
			stream := checkLife(t, engine, lines)
			for _, e := range stream {
				if !schema.IsEiffelID(e.ID) {
					t.Errorf("Eiffel refuses the id %q", e.ID)
				}
			}
		})
	}
}

// TestLifeTakesOverIDs tells which ids stay what they are (mapping.md, "Ids").
func TestLifeTakesOverIDs(t *testing.T) {
	s := newSession(t, translate.Settings{})
	for i, line := range life(t) {
		in, err := translate.Decode([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		kept := last(t, through(t, s, line)).ID == in.ID
		anchor := lifeTypes[i] == "EiffelEnvironmentDefinedEvent"
		if want := schema.IsEiffelID(in.ID) && !anchor; kept != want {
			t.Errorf("event %d: the id %s is kept: %t, want %t", i, in.ID, kept, want)
		}
	}
}

// TestLifeWithoutCarrying translates a life forth and back with nothing carried: what the catalogue maps survives.
func TestLifeWithoutCarrying(t *testing.T) {
	engine := newEngine(t, translate.Settings{Carry: translate.CarryNone})
	s, back := fresh(engine), fresh(engine)
	for i, line := range life(t) {
		original := value(t, []byte(line)).(map[string]any)
		r := through(t, s, line)
		e := last(t, r)
		if strings.Contains(string(e.JSON), `"event":{`) {
			t.Errorf("event %d carries something: %s", i, e.JSON)
		}
		var given translate.Event
		for _, made := range r.Events {
			result := through(t, back, string(made.JSON))
			if made.Synthesized {
				if len(result.Events) != 0 {
					t.Errorf("event %d: the synthesized %s translates back into %s", i, made.JSON, texts(result.Events))
				}
				continue
			}
			given = only(t, result)
		}
		want := nameOf(object(original, "context")["type"].(string))
		if lifeTypes[i] == "EiffelAnnouncementPublishedEvent" {
			continue // one-way: Eiffel has no word for a removal
		}
		if got := nameOf(given.Type); got != want {
			t.Errorf("event %d came back as %s, want %s", i, got, want)
		}
		subject, content := object(original, "subject"), object(object(original, "subject"), "content")
		same := func(pointer string, want any) {
			t.Helper()
			if want == nil {
				return
			}
			if got := field(t, given, pointer).Str(); got != want {
				t.Errorf("event %d: %s came back as %q, want %q", i, pointer, got, want)
			}
		}
		same("/context/source", object(original, "context")["source"])

		same("/subject/id", subject["id"])
		if purl, ok := content["artifactId"].(string); ok {
			// The ArtC is synthesized in canonical form, which says the same.
			same("/subject/content/artifactId", strings.Replace(purl, "ghcr.io/acme", "ghcr.io%2Facme", 1))
		}
		same("/subject/content/name", content["name"])
		same("/subject/content/uri", content["uri"])
		if env := object(content, "environment"); env != nil {
			same("/subject/content/environment/id", env["id"])
		}
		in, err := translate.Decode([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		if given.Time != in.Time {
			t.Errorf("event %d: the time came back as %d, want %d", i, given.Time, in.Time)
		}
		if i == 1 {
			same("/customData/team", "payments")
			if got := string(field(t, given, "/customData/big").Raw()); got != "12345678901234567890.10" {
				t.Errorf("custom data: big came back as %s", got)
			}
			same("/context/links/2/linkKind", "TRIGGER")
			same("/context/links/2/tags/domainId", "example.ci")
		}
	}
}

// TestLifeInOlderEditions writes a life in every edition: environments can be said in all, deployments only from Orizaba.
func TestLifeInOlderEditions(t *testing.T) {
	editions := schema.OutputEditions()
	if editions[0] != "Agen" || editions[len(editions)-1] != "Orizaba" {
		t.Fatalf("the editions that can be written are %v", editions)
	}
	for _, edition := range editions {
		t.Run(edition, func(t *testing.T) {
			engine := newEngine(t, translate.Settings{Edition: edition})
			if edition == "Orizaba" {
				checkLife(t, engine, life(t))
				return
			}
			s := fresh(engine)
			var stream []translate.Event
			var lines []string
			for i, line := range life(t) {
				r, err := s.Translate(context.Background(), []byte(line))
				if lifeTypes[i] == "EiffelArtifactDeployedEvent" {
					var e *translate.EventError
					if !errors.As(err, &e) || e.Code != translate.CodeNotInEdition || !strings.Contains(e.Message, edition) {
						t.Errorf("event %d: %v, want an error with code %s that names %s", i, err, translate.CodeNotInEdition, edition)
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range r.Events {
					checkValid(t, e)
					if want, _ := schema.EditionVersion(edition, e.Type); e.Version != want {
						t.Errorf("%s is of version %s, in %s it is %s", e.Type, e.Version, edition, want)
					}
					stream = append(stream, e)
				}
				lines = append(lines, line)
			}
			checkStream(t, stream, nil)
			checkGivenBack(t, engine, stream, lines)
		})
	}
}

// TestLifeInOlderSpecs reads native Eiffel events and writes them in every version of CDEvents.
func TestLifeInOlderSpecs(t *testing.T) {
	const text = `case native
ED prod                                => environment.created prod
ArtC A pkg:oci/shop@1.0.0
ArtC B pkg:oci/shop@1.1.0
ArtD A in prod                         => service.deployed pkg:oci/shop
ArtD B in prod                         => service.upgraded pkg:oci/shop
ArtD A in prod as a                    => service.rolledback pkg:oci/shop
CLM servicePublished SUCCESS on a      => service.published pkg:oci/shop
ED prod after prod                     => environment.modified prod
`
	for _, spec := range schema.OutputSpecs() {
		t.Run(spec, func(t *testing.T) {

			engine := newEngine(t, translate.Settings{Spec: spec})
			s := fresh(engine)
			full, _ := schema.SpecVersion(spec)
			for _, st := range parseScenarios(t, spec, text)[0].steps {
				in := edit(t, st.text, func(event map[string]any) {
					if data := object(event, "data"); data["name"] == "prod" {
						data["uri"] = "https://prod.example.com/"
					}
				})
				r := through(t, s, in)
				checkStep(t, st, r)
				e := only(t, r)
				subject, predicate, _ := strings.Cut(nameOf(e.Type), ".")
				if want, _ := schema.CDEventType(spec, subject, predicate); e.Type != want {
					t.Errorf("the type is %s, in %s it is %s", e.Type, spec, want)
				}
				version, uri, subjectType := "/context/specversion", "/subject/content/uri", ""
				if spec != "0.5" {
					version, uri, subjectType = "/context/version", "/subject/content/url", subject
				}
				if got := field(t, e, version).Str(); got != full {
					t.Errorf("%s is %q, want %q", version, got, full)
				}
				if got := field(t, e, "/subject/type").Str(); got != subjectType {
					t.Errorf("/subject/type is %q, want %q", got, subjectType)
				}
				if subject == "environment" && field(t, e, uri).Str() != "https://prod.example.com/" {
					t.Errorf("no %s in %s", uri, e.JSON)
				}
				if has := field(t, e, "/context/chainId").Exists(); has != (spec != "0.3") {
					t.Errorf("a chain id: %t in %s", has, e.JSON)
				}
				if spec == "0.3" && strings.Contains(st.text, `"target"`) {
					lost := 0
					for _, l := range r.Losses {
						if strings.HasPrefix(l.Pointer, "/links") {
							lost++
						}
					}
					if lost == 0 {
						t.Errorf("links are lost without a word: %s", in)
					}
				}
				back := only(t, through(t, fresh(engine), string(e.JSON)))
				if string(back.JSON) != compact(t, in) {
					t.Errorf("given back\n%s\nwant\n%s", back.JSON, in)
				}
			}
			// What a version of CDEvents has no event for is an error there.
			clm := parseScenarios(t, spec, "case x\nCLM stable SUCCESS on ghost")[0].steps[0].text
			_, err := fresh(engine).Translate(context.Background(), []byte(clm))
			var e *translate.EventError
			if spec == "0.3" && (!errors.As(err, &e) || e.Code != translate.CodeNotInSpec) {
				t.Errorf("a custom event in 0.3: %v", err)
			}
			if spec != "0.3" && err != nil {
				t.Errorf("a custom event in %s: %v", spec, err)
			}
		})
	}
}

// TestTimes holds timestamps against the rules (mapping.md, "Time").
func TestTimes(t *testing.T) {
	engine := newEngine(t, translate.Settings{})
	line := life(t)[0]
	at := func(timestamp string) (translate.Result, error) {
		return fresh(engine).Translate(context.Background(), []byte(edit(t, line, func(event map[string]any) {
			object(event, "context")["timestamp"] = timestamp
		})))
	}
	for timestamp, want := range map[string]string{
		"2026-03-01T09:00:00Z":                "2026-03-01T09:00:00.000Z",
		"2026-03-01T09:00:00.1Z":              "2026-03-01T09:00:00.100Z",
		"2026-03-01T09:00:00.1239999999Z":     "2026-03-01T09:00:00.123Z",
		"2026-03-01t09:00:00z":                "2026-03-01T09:00:00.000Z",
		"2026-03-01T09:00:00+05:30":           "2026-03-01T03:30:00.000Z",
		"2026-03-01T09:00:00-00:00":           "2026-03-01T09:00:00.000Z",
		"2016-12-31T23:59:60Z":                "2016-12-31T23:59:59.999Z",
		"2016-12-31T23:59:60.5Z":              "2016-12-31T23:59:59.999Z",
		"2017-01-01T05:29:60+05:30":           "2016-12-31T23:59:59.999Z",
		"1969-12-31T23:59:59.9999Z":           "1969-12-31T23:59:59.999Z",
		"1969-12-31T23:59:59.0001Z":           "1969-12-31T23:59:59.000Z",
		"1969-12-31T23:59:59.99999999999999Z": "1969-12-31T23:59:59.999Z",
		"0000-01-01T00:00:00Z":                "0000-01-01T00:00:00.000Z",
		"9999-12-31T23:59:59.999999Z":         "9999-12-31T23:59:59.999Z",
	} {
		r, err := at(timestamp)
		if err != nil {
			t.Errorf("%s: %v", timestamp, err)
			continue
		}
		e := only(t, r)
		checkValid(t, e)
		wanted, err := time.Parse(time.RFC3339Nano, want)
		if err != nil {
			t.Fatal(err)
		}
		if ms, ok := field(t, e, "/meta/time").Int(); !ok || ms != wanted.UnixMilli() {
			t.Errorf("%s became %d, want %d", timestamp, ms, wanted.UnixMilli())
		}
	}
	for _, timestamp := range []string{"9999-12-31T23:59:59-01:00", "0000-01-01T00:00:00+01:00"} {
		_, err := at(timestamp)
		var e *translate.EventError
		if !errors.As(err, &e) || e.Code != translate.CodeTime {
			t.Errorf("%s: %v, want code %s", timestamp, err, translate.CodeTime)
		}
	}
	for _, ms := range []string{"253402300800000", "-62167219200001", "99999999999999999999", "1e300"} {
		text := strings.Replace(parseScenarios(t, "", "case x\nED prod at 1970-01-01T00:00:00.007Z")[0].steps[0].text, `"time":7`, `"time":`+ms, 1)
		_, err := fresh(engine).Translate(context.Background(), []byte(text))
		var e *translate.EventError
		if !errors.As(err, &e) || e.Code != translate.CodeTime {
			t.Errorf("meta.time %s: %v, want code %s", ms, err, translate.CodeTime)
		}
	}
}
