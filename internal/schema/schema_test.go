package schema

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
)

func TestLookup(t *testing.T) {
	for _, c := range []struct {
		typ, version string // version "": a CDEvents type
		spec         string
		want         string // type, version, leniency; or what the error says
	}{
		{typ: "dev.cdevents.service.deployed.0.3.0", want: "dev.cdevents.service.deployed.0.3.0 0.3.0 false [0.5.1]"},
		{typ: "dev.cdevents.service.deployed.0.2.0", spec: "0.5.1", want: "dev.cdevents.service.deployed.0.2.0 0.2.0 false [0.4.1]"},
		{typ: "dev.cdevents.service.deployed.0.1.1", want: "dev.cdevents.service.deployed.0.1.1 0.1.1 false [0.3.0]"},
		{typ: "dev.cdevents.service.deployed.0.4.0", want: "dev.cdevents.service.deployed.0.3.0 0.3.0 true [0.5.1]"},
		{typ: "dev.cdevents.service.deployed.0.3.1", want: "dev.cdevents.service.deployed.0.3.0 0.3.0 true [0.5.1]"},
		{typ: "dev.cdevents.service.deployed.0.4.0-draft", want: "dev.cdevents.service.deployed.0.3.0 0.3.0 true [0.5.1]"},
		{typ: "dev.cdevents.service.deployed.0.3.0-draft", want: "unknown version \"0.3.0-draft\" of event type dev.cdevents.service.deployed; known are 0.1.1, 0.2.0, 0.3.0"},
		{typ: "dev.cdevents.service.deployed.0.1.0", want: "unknown version"},
		{typ: "dev.cdevents.service.deployed.0.1.2", want: "unknown version"},
		{typ: "dev.cdevents.service.deployed.1.0.0", want: "unknown version"},
		{typ: "dev.cdevents.service.deployed.x", want: "unknown version"},
		{typ: "dev.cdevents.service.deployed", want: "unknown event type"},
		{typ: "dev.cdevents.service.vanished.0.1.0", want: "unknown event type"},
		{typ: "dev.cdevents.", want: "unknown event type"},
		{typ: "dev.cdeventsx", want: "unknown event type"},
		{typ: "", want: "unknown event type"},
		{typ: "dev.cdeventsx.tool-x.y.0.1.0", spec: "0.5.1", want: "dev.cdeventsx.tool-x.y.0.1.0 0.1.0 false [0.5.1]"},
		{typ: "dev.cdeventsx.tool-x.y.0.1.0", spec: "0.5.0", want: "dev.cdeventsx.tool-x.y.0.1.0 0.1.0 false [0.5.1]"},
		{typ: "dev.cdeventsx.tool-x.y.0.1.0", spec: "0.5.0-draft", want: "dev.cdeventsx.tool-x.y.0.1.0 0.1.0 false [0.4.1]"},
		{typ: "dev.cdeventsx.tool-x.y.0.1.0", spec: "0.4.1", want: "dev.cdeventsx.tool-x.y.0.1.0 0.1.0 false [0.4.1]"},
		{typ: "dev.cdeventsx.tool-x.y.0.1.0", spec: "", want: "dev.cdeventsx.tool-x.y.0.1.0 0.1.0 false [0.5.1]"},
		{typ: "dev.cdeventsx.tool-x.y.0.1.0", spec: "0.6.0", want: "dev.cdeventsx.tool-x.y.0.1.0 0.1.0 true [0.5.1]"},
		{typ: "dev.cdeventsx.tool-x.y.0.1.0", spec: "0.3.0", want: "unknown version \"0.3.0\" of event type dev.cdeventsx.tool-x.y.0.1.0; known are 0.4.1, 0.5.1"},
		{typ: "dev.cdeventsx.", spec: "0.5.1", want: "dev.cdeventsx.  false [0.5.1]"},
		{typ: "EiffelArtifactCreatedEvent", version: "3.3.0", want: "EiffelArtifactCreatedEvent 3.3.0 false []"},
		{typ: "EiffelArtifactCreatedEvent", version: "3.3.1", want: "EiffelArtifactCreatedEvent 3.3.0 true []"},
		{typ: "EiffelArtifactCreatedEvent", version: "3.10.0", want: "EiffelArtifactCreatedEvent 3.3.0 true []"},
		{typ: "EiffelArtifactCreatedEvent", version: "4.0.9", want: "EiffelArtifactCreatedEvent 4.0.2 true []"},
		{typ: "EiffelArtifactDeployedEvent", version: "0.3.0", want: "EiffelArtifactDeployedEvent 0.2.1 true []"},
		{typ: "EiffelArtifactDeployedEvent", version: "0.0.1", want: "unknown version"},
		{typ: "EiffelArtifactCreatedEvent", version: "99.0.0", want: "unknown version"},
		{typ: "EiffelArtifactCreatedEvent", version: "3.2.9", want: "unknown version"},
		{typ: "EiffelArtifactCreatedEvent", version: "3.3", want: "unknown version"},
		{typ: "EiffelArtifactCreatedEvent", version: "3.3.0.0", want: "unknown version"},
		{typ: "EiffelArtifactCreatedEvent", version: "+3.4.0", want: "unknown version"},
		{typ: "EiffelNothingEvent", version: "1.0.0", want: "unknown event type"},
	} {
		s, err := ForCDEvent(c.typ, c.spec)
		if c.version != "" {
			s, err = ForEiffel(c.typ, c.version)
		}
		var got string
		var unknownType *UnknownTypeError
		var unknownVersion *UnknownVersionError
		switch {
		case err == nil:
			got = fmt.Sprint(s.Type(), " ", s.Version(), " ", s.Lenient(), " ", s.SpecVersions())
		case errors.As(err, &unknownType), errors.As(err, &unknownVersion):
			got = err.Error()
		}
		if !strings.HasPrefix(got, c.want) {
			t.Errorf("%s %s %s: %s, want %s", c.typ, c.version, c.spec, got, c.want)
		}
	}
	s, _ := ForCDEvent("dev.cdevents.pipelinerun.queued.0.2.0", "")
	if s.Subject() != "pipelinerun" || s.Predicate() != "queued" || !slices.Equal(s.Enum("/subject/type"), []string{"pipelineRun"}) {
		t.Errorf("%s %s %v", s.Subject(), s.Predicate(), s.Enum("/subject/type"))
	}
}

func TestEditionsAndSpecifications(t *testing.T) {
	if got := Editions(); !slices.Equal(got, []string{"Bordeaux", "Toulouse", "Agen", "Agen-1", "Paris", "Lyon", "Arica", "Orizaba"}) {
		t.Errorf("editions %v", got)
	}
	for _, c := range []struct{ edition, typ, want string }{
		{"Orizaba", "EiffelArtifactDeployedEvent", "0.1.0"},
		{"Arica", "EiffelArtifactDeployedEvent", ""},
		{"Bordeaux", "EiffelTestExecutionRecipeCollectionCreatedEvent", "1.0.0"},
		{"Toulouse", "EiffelTestExecutionRecipeCollectionCreatedEvent", "2.1.0"},
		{"Nowhere", "EiffelArtifactCreatedEvent", ""},
		{"Orizaba", "Nothing", ""},
	} {
		if got, ok := EditionVersion(c.edition, c.typ); got != c.want || ok != (c.want != "") {
			t.Errorf("%s %s: %q", c.edition, c.typ, got)
		}
	}
	for short, want := range map[string]string{"0.3": "0.3.0", "0.4": "0.4.1", "0.5": "0.5.1", "0.6": "", "": "", "0.5.1": ""} {
		if got, ok := SpecVersion(short); got != want || ok != (want != "") {
			t.Errorf("%s: %q", short, got)
		}
	}
	for _, c := range []struct{ spec, subject, predicate, want string }{
		{"0.5", "change", "created", "dev.cdevents.change.created.0.4.0"},
		{"0.4", "change", "created", "dev.cdevents.change.created.0.3.0"},
		{"0.3", "pipelinerun", "queued", "dev.cdevents.pipelinerun.queued.0.1.1"},
		{"0.3", "ticket", "created", ""},
		{"0.5", "pipelineRun", "queued", ""},
		{"0.9", "change", "created", ""},
	} {
		if got, ok := CDEventType(c.spec, c.subject, c.predicate); got != c.want || ok != (c.want != "") {
			t.Errorf("%v: %q", c, got)
		}
	}
	if n := len(CDEventTypes()); n != 129 || slices.Contains(CDEventTypes(), customType) {
		t.Errorf("%d CDEvents types", n)
	}
	if n := len(EiffelTypes()); n != 24 {
		t.Errorf("%d Eiffel types", n)
	}
	if v := EiffelVersions("EiffelArtifactDeployedEvent"); !slices.Equal(v, []string{"0.1.0", "0.2.0", "0.2.1"}) || EiffelVersions("x") != nil {
		t.Errorf("versions %v", v)
	}
}

func TestHas(t *testing.T) {
	for _, c := range []struct {
		typ, version, pointer string
		want                  bool
	}{
		{"EiffelArtifactCreatedEvent", "3.3.0", "", true},
		{"EiffelArtifactCreatedEvent", "3.3.0", "/meta/source/serializer", true},
		{"EiffelArtifactCreatedEvent", "3.3.0", "/meta/schemaUri", true},
		{"EiffelArtifactCreatedEvent", "3.0.0", "/meta/schemaUri", false},
		{"EiffelArtifactCreatedEvent", "3.3.0", "/links/0/domainId", true},
		{"EiffelArtifactCreatedEvent", "3.3.0", "/links/-/domainId", true},
		{"EiffelArtifactCreatedEvent", "3.3.0", "/links/x/domainId", false},
		{"EiffelArtifactCreatedEvent", "3.3.0", "/links//domainId", false},
		{"EiffelArtifactCreatedEvent", "3.0.0", "/links/0/domainId", false},
		{"EiffelArtifactCreatedEvent", "3.3.0", "/data/customData/3/value/any/thing", true},
		{"EiffelArtifactCreatedEvent", "3.3.0", "/data/identity/x", false},
		{"EiffelArtifactCreatedEvent", "3.3.0", "data", false},
		{"EiffelArtifactCreatedEvent", "3.3.0", "/", false},
		{"EiffelActivityCanceledEvent", "1.0.0", "/unknown", false}, // tolerated, but not named
		{"dev.cdevents.ticket.created.0.2.0", "", "/subject/content/ticketType", true},
		{"dev.cdevents.ticket.created.0.2.0", "", "/context/links/0/linkKind", true},
		{"dev.cdevents.ticket.created.0.2.0", "", "/context/links/0/nothing", false},
		{"dev.cdevents.ticket.created.0.2.0", "", "/customData/a/b", true},
		{"dev.cdevents.ticket.created.0.2.0", "", "/subject/type", false},
		{"dev.cdevents.service.deployed.0.1.1", "", "/context/links", false},
	} {
		s, err := ForCDEvent(c.typ, "")
		if c.version != "" {
			s, err = ForEiffel(c.typ, c.version)
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Has(c.pointer); got != c.want {
			t.Errorf("%s %s %s: %v", c.typ, c.version, c.pointer, got)
		}
	}
}

func TestAllows(t *testing.T) {
	s, err := ForCDEvent("dev.cdevents.pipelinerun.started.0.2.0", "")
	if err != nil {
		t.Fatal(err)
	}
	e, err := ForEiffel("EiffelArtifactCreatedEvent", "3.3.0")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		s             *Schema
		pointer, text string
		want          bool
	}{
		{s, "/context/source", "/ci", true},
		{s, "/context/source", "", false},
		{s, "/context/source", "%zz", false},
		{s, "/context/schemaUri", "/ci", false},
		{s, "/subject/type", "pipelineRun", true},
		{s, "/subject/type", "pipelinerun", false},
		{s, "/subject/nothing", "", true},
		{s, "/subject/content", "x", true},
		{e, "/data/identity", "pkg:npm/a", true},
		{e, "/data/identity", "PKG:npm/a", false},
		{e, "/data/implements/0", "npm/a", false},
		{e, "/links/0/target", "x", false},
	} {
		if got := c.s.Allows(c.pointer, c.text); got != c.want {
			t.Errorf("%s %s %q: %v", c.s.Type(), c.pointer, c.text, got)
		}
	}
}

func TestMembers(t *testing.T) {
	s, err := ForEiffel("EiffelActivityFinishedEvent", "3.4.0")
	if err != nil {
		t.Fatal(err)
	}
	for pointer, want := range map[string]string{
		"":                "[meta data links] [meta data links]",
		"/data":           "[outcome persistentLogs customData] [outcome]",
		"/data/outcome":   "[conclusion description] [conclusion]",
		"/links/0":        "[type target domainId] [type target]",
		"/data/nothing":   "[] []",
		"/meta/id":        "[] []",
		"/data/links/0/x": "[] []",
	} {
		names, required := s.Members(pointer)
		if got := fmt.Sprint(names, required); got != want {
			t.Errorf("%q: got %s, want %s", pointer, got, want)
		}
	}
	c, err := ForCDEvent("dev.cdevents.service.deployed.0.3.0", "")
	if err != nil {
		t.Fatal(err)
	}
	if names, required := c.Members("/subject/content"); fmt.Sprint(names, required) != "[environment artifactId] [environment artifactId]" {
		t.Errorf("content: %v %v", names, required)
	}
}

func TestFindings(t *testing.T) {
	event := `{"meta":{"id":"AAAA","type":"EiffelActivityFinishedEvent","version":"4.1.0","time":1.5,"more/~":0},
		"data":{"outcome":{"conclusion":"` + strings.Repeat("é", 100) + `"},"persistentLogs":[{"name":"a"},7]},
		"links":[{"type":"CAUSE","target":"aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"}],"x":1}`
	d := mustParse(t, []byte(event))
	s, err := ForEiffel("EiffelActivityFinishedEvent", "4.1.0")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range s.Validate(d) {
		got = append(got, f.Rule+" "+f.String())
	}
	want := []string{
		`pattern /meta/id: "AAAA" is not a lower-case UUID of version 1 to 5`,
		`type /meta/time: 1.5 is not an integer`,
		`additionalProperties /meta/more~1~0: unknown member "more/~"; known are id, type, version, time, tags, source, security, schemaUri`,
		`enum /data/outcome/conclusion: "` + strings.Repeat("é", 80) + `…" is not one of SUCCESSFUL, UNSUCCESSFUL, FAILED, ABORTED, TIMED_OUT, INCONCLUSIVE`,
		`required /data/persistentLogs/0: member "uri" is missing`,
		`type /data/persistentLogs/1: 7 is not an object`,
		`contains /links: no element is an object with type ACTIVITY_EXECUTION`,
		`additionalProperties /x: unknown member "x"; known are meta, data, links`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}

	many := mustParse(t, []byte(`{"meta":[],"links":[`+strings.Repeat(`{},`, 30)+`{}]}`))
	if n := len(s.Validate(many)); n != maxFindings {
		t.Errorf("%d findings", n)
	}
}

// TestFindingsOfAlternatives: where a member tells alternatives apart, what is wrong is said of the one that was meant.
func TestFindingsOfAlternatives(t *testing.T) {
	s, err := ForCDEvent("dev.cdevents.service.deployed.0.3.0", "")
	if err != nil {
		t.Fatal(err)
	}
	event := func(link string) string {
		return strings.Replace(string(s.instance(false)), `"context":{`, `"context":{"links":[`+link+`],`, 1)
	}
	for _, c := range []struct {
		event string
		want  []string
	}{
		{event(`{"linkType":"END"}`), nil},
		{event(`{"linkType":"END","tags":null}`), []string{"type /context/links/0/tags: null is not an object"}},
		{event(`{"linkType":"RELATION","linkKind":"","target":{"contextId":7}}`), []string{
			"minLength /context/links/0/linkKind: the string is empty", "type /context/links/0/target/contextId: 7 is not a string"}},
		{event(`{"linkType":"PATH","target":{"contextId":"x"}}`), []string{
			`required /context/links/0: member "from" is missing`, `additionalProperties /context/links/0/target: unknown member "target"; known are linkType, from, tags`}},
		{event(`{"tags":{},"link\u0054ype":"\u0045ND","from":{}}`), []string{`required /context/links/0/from: member "contextId" is missing`}},

		{event(`{"linkType":"BEGIN","tags":null}`), []string{`enum /context/links/0/linkType: "BEGIN" is not one of END, PATH, RELATION`}},
		{event(`{"linkType":null}`), []string{"type /context/links/0/linkType: null is not a string"}},
		{event(`{"linkKind":"CAUSE"}`), []string{`required /context/links/0: member "linkType" is missing`}},
		{event(`"END"`), []string{`type /context/links/0: "END" is not an object`}},

		{strings.Replace(event(`{"linkType":"END"}`), `"subject":{`, `"customData":3,"subject":{`, 1), []string{"oneOf /customData: 3 is none of: an object; a string"}},
	} {
		var got []string
		for _, f := range s.Validate(mustParse(t, []byte(c.event))) {
			got = append(got, f.Rule+" "+f.String())
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s:\n got %q\nwant %q", c.event, got, c.want)
		}
	}
}

// TestApart: what tells alternatives apart must do so for all of them.
func TestApart(t *testing.T) {
	for text, want := range map[string]string{
		"oneOf({a!:=X b:string} {a!:=Y})":                "a",
		"anyOf({b!:=X a!:=X *} {a!:=Y b!:=X} {a!:=Z *})": "a",
		"oneOf({a!:=X} {a:=Y})":                          "", // not required
		"oneOf({a!:=X} {a!:=X b:string})":                "", // the same word
		"oneOf({a!:=X} {a!:=Y|Z})":                       "", // several words
		"oneOf({a!:=X} {b!:=Y})":                         "",
		"oneOf({a!:=X} ?{a!:=Y})":                        "", // what is no object passes
		"oneOf({*} string)":                              "",
		"anyOf(=X string)":                               "",
	} {
		p := parser{text: text, ix: &index{}}
		n, err := p.all()
		if err != nil {
			t.Fatal(err)
		}
		if n.apart != want {
			t.Errorf("%s: told apart by %q, want %q", text, n.apart, want)
		}
	}
}

func TestLenient(t *testing.T) {
	s, err := ForEiffel("EiffelArtifactCreatedEvent", "3.9.0")
	if err != nil {
		t.Fatal(err)
	}
	event := string(s.instance(true))
	newer := strings.Replace(event, `"version":"3.3.0"`, `"version":"3.9.0","novelty":{}`, 1)
	if f := s.Validate(mustParse(t, []byte(newer))); f != nil {
		t.Errorf("%v", f)
	}
	broken := strings.Replace(newer, `"time":1700000000000`, `"time":"now"`, 1)
	if f := s.Validate(mustParse(t, []byte(broken))); len(f) != 1 || f[0].Pointer != "/meta/time" {
		t.Errorf("%v", f)
	}
	if f := s.Validate(mustParse(t, []byte(strings.Replace(newer, `"3.9.0"`, `3`, 1)))); len(f) != 1 || f[0].Rule != "type" {
		t.Errorf("%v", f)
	}
}

func TestConcurrentUse(t *testing.T) {
	fresh := []*table{{text: eiffelText}, {text: cdeventsText}}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for _, table := range fresh {
				ix := table.get()
				for _, typ := range ix.types {
					for _, r := range ix.byType[typ] {
						s, err := r.schema(false)
						if err != nil {
							t.Error(err)
							continue
						}
						d, err := jsondoc.Parse(s.instance(true))
						if err != nil {
							t.Error(err)
						} else if f := s.Validate(d); f != nil && typ != customType {
							t.Error(f)
						}
					}
				}
			}
		})
	}
	wg.Wait()
}

var benchmarkEvents = []struct{ name, text string }{
	{"eiffel", `{"meta":{"id":"aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee","type":"EiffelArtifactPublishedEvent","version":"3.3.0","time":1700000000000,"tags":["release","nightly"],"source":{"domainId":"com.example.build","host":"build-17.example.com","name":"publisher","serializer":"pkg:golang/example.com/publisher@1.4.2","uri":"https://build.example.com/job/publisher/17"}},"data":{"locations":[{"type":"ARTIFACTORY","name":"app.tar.gz","uri":"https://artifacts.example.com/releases/app-1.0.0.tar.gz"},{"type":"PLAIN","name":"app.sbom.json","uri":"https://artifacts.example.com/releases/app-1.0.0.sbom.json"}],"customData":[{"key":"build","value":{"number":17,"labels":["a","b"]}}]},"links":[{"type":"ARTIFACT","target":"aaaaaaaa-bbbb-4ccc-8ddd-000000000001"},{"type":"CAUSE","target":"aaaaaaaa-bbbb-4ccc-8ddd-000000000002"},{"type":"CONTEXT","target":"aaaaaaaa-bbbb-4ccc-8ddd-000000000003"},{"type":"FLOW_CONTEXT","target":"aaaaaaaa-bbbb-4ccc-8ddd-000000000004","domainId":"com.example"}]}`},
	{"cdevents", `{"context":{"specversion":"0.5.1","id":"271069a8-fc18-44f1-b38f-9d70a1695819","source":"/event/source/123","type":"dev.cdevents.service.deployed.0.3.0","timestamp":"2024-03-20T14:27:05.315384Z","schemaUri":"https://example.com/schemas/service-deployed.json","chainId":"4c8cb7dd-3448-41de-8768-eec704e2829b","links":[{"linkType":"RELATION","linkKind":"ARTIFACT","target":{"contextId":"5328c37f-bb7e-4bb7-84ea-9f5f85e4a7ce"}},{"linkType":"PATH","from":{"contextId":"6328c37f-bb7e-4bb7-84ea-9f5f85e4a7ce"},"tags":{"team":"payments"}}]},"subject":{"id":"service/payments","source":"/clusters/production","content":{"environment":{"id":"production","source":"https://clusters.example.com/production"},"artifactId":"pkg:oci/payments@sha256%3A0b31b1c02ff458ad9b7b81cbdf8f028bd54699fa151f221d1e8de6817db93427?repository_url=registry.example.com/payments"}},"customData":{"rollout":{"strategy":"blue-green","replicas":12,"zones":["a","b","c"]},"approvedBy":"someone@example.com"},"customDataContentType":"application/json"}`},
}

func TestValidEventsCostNoAllocation(t *testing.T) {
	for _, e := range benchmarkEvents {
		d := mustParse(t, []byte(e.text))
		s, err := schemaOf(d)
		if err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(10, func() {
			for _, f := range s.Validate(d) {
				t.Error(f)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", e.name, n)
		}
	}
}

func BenchmarkValidate(b *testing.B) {
	for _, e := range benchmarkEvents {
		b.Run(e.name, func(b *testing.B) {
			d := mustParse(b, []byte(e.text))
			s, err := schemaOf(d)
			if err != nil {
				b.Fatal(err)
			}
			if f := s.Validate(d); f != nil {
				b.Fatal(f)
			}
			b.SetBytes(int64(len(e.text)))
			b.ReportAllocs()
			for b.Loop() {
				if s.Validate(d) != nil {
					b.Fatal("not valid")
				}
			}
		})
	}
}

func BenchmarkValidateLinks(b *testing.B) {
	d := mustParse(b, []byte(benchmarkEvents[0].text))
	s, err := schemaOf(d)
	if err != nil {
		b.Fatal(err)
	}
	if f := s.ValidateLinks(d, nil); f != nil {
		b.Fatal(f)
	}
	b.ReportAllocs()
	for b.Loop() {
		s.ValidateLinks(d, nil)
	}
}

func BenchmarkLookup(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ForEiffel("EiffelArtifactCreatedEvent", "3.3.0"); err != nil {
			b.Fatal(err)
		}
		if _, err := ForCDEvent("dev.cdevents.service.deployed.0.3.0", "0.5.1"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFirstUse is what the first event of a process pays for: the index and one row.
func BenchmarkFirstUse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		t := table{text: eiffelText}
		if _, err := t.get().byType["EiffelArtifactCreatedEvent"][0].schema(false); err != nil {
			b.Fatal(err)
		}
	}
}
