package typed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	cdevents "github.com/cdevents/sdk-go/pkg/api"
	v03 "github.com/cdevents/sdk-go/pkg/api/v03"
	v04 "github.com/cdevents/sdk-go/pkg/api/v04"
	v05 "github.com/cdevents/sdk-go/pkg/api/v05"
	eiffelevents "github.com/eiffel-community/eiffelevents-sdk-go"
	orizaba "github.com/eiffel-community/eiffelevents-sdk-go/editions/orizaba"
	"github.com/eiffel-community/eiffelevents-sdk-go/validator"

	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/internal/testkit/specs"
	"github.com/eiffelbridge/eiffelbridge/translate"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

func newSession(t testing.TB, settings translate.Settings) *translate.Session {
	t.Helper()
	engine, err := translate.New(settings)
	if err != nil {
		t.Fatal(err)
	}
	return translate.NewSession(engine, translate.NewMemoryLedger())
}

// eiffelValidator is the SDK's own, with the schemas that the SDK bundles.
var eiffelValidator = sync.OnceValue(func() *validator.SchemaValidator {
	return validator.NewSchemaValidator(validator.NewBundledSchemaLocator())
})

func checkEiffel(t testing.TB, events ...eiffelevents.MetaTeller) {
	t.Helper()
	for _, e := range events {
		text := marshal(t, e)
		if err := eiffelValidator().Validate(t.Context(), text); err != nil {
			t.Errorf("the SDK's validation: %v in %s", err, text)
		}
	}
}

func checkCDEvents(t testing.TB, events ...cdevents.CDEvent) {
	t.Helper()
	for _, e := range events {
		if err := cdevents.Validate(e); err != nil {
			t.Errorf("the SDK's validation: %v in %s", err, marshal(t, e))
		}
	}
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// checkSame compares two structs of the CDEvents or the Eiffel SDK as JSON.
func checkSame(t testing.TB, want, got any) {
	t.Helper()
	a, b := marshal(t, want), marshal(t, got)
	pointer, different, err := difference(a, b, sameInCDEvent)
	if err != nil || different {
		t.Errorf("differs at %q (%v):\nwant %s\n got %s", pointer, err, a, b)
	}
}

func decode(t testing.TB, text string) translate.Event {
	t.Helper()
	e, err := translate.Decode([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// life is what may happen to a service and its environment, in order.
var life = []string{
	"environment.created", "environment.modified", "service.deployed", "service.upgraded", "service.rolledback",
	"service.published", "service.removed", "environment.deleted",
}

// makeLife makes the events with the SDK's own constructors and setters.
func makeLife(t testing.TB, spec string, types []cdevents.CDEvent, create func(eventType, spec string) (cdevents.CDEvent, error)) []cdevents.CDEvent {
	t.Helper()
	var out []cdevents.CDEvent
	for i, name := range life {
		var fullType string
		for _, e := range types {
			if e.GetType().UnversionedString() == "dev.cdevents."+name {
				fullType = e.GetType().String()
			}
		}
		e, err := create(fullType, spec)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		e.SetId(fmt.Sprintf("6a1f0a3e-7d1c-4a52-9a43-0d4a6f0e1b%02d", i))
		e.SetSource("https://ci.example.com/deploy")
		e.SetTimestamp(time.Date(2026, 3, 1, 9, i, 0, 123456789, time.FixedZone("", 3600)))
		e.SetSubjectId("shop")
		if strings.HasPrefix(name, "environment") {
			e.SetSubjectId("prod")
		}
		if err := e.SetCustomData("application/json", map[string]any{"team": "payments", "weight": 0.5, "tags": nil}); err != nil {
			t.Fatal(err)
		}
		if e, ok := e.(interface{ SetSubjectArtifactId(string) }); ok {
			e.SetSubjectArtifactId(fmt.Sprintf("pkg:oci/shop@1.%d.0?repository_url=ghcr.io/acme", i%3))
		}
		if e, ok := e.(interface{ SetSubjectEnvironment(*cdevents.Reference) }); ok {
			e.SetSubjectEnvironment(&cdevents.Reference{Id: "prod", Source: "https://ci.example.com/deploy"})
		}
		if e, ok := e.(interface{ SetSubjectName(string) }); ok {
			e.SetSubjectName("Production")
		}
		if e, ok := e.(interface{ SetSubjectUri(string) }); ok {
			e.SetSubjectUri("https://prod.example.com/")
		}
		if e, ok := e.(interface{ SetSubjectUrl(string) }); ok {
			e.SetSubjectUrl("https://prod.example.com/")
		}
		if e, ok := e.(cdevents.CDEventWriterV04); ok && i > 0 {
			e.SetChainId("6a1f0a3e-7d1c-4a52-9a43-0d4a6f0e1b00")
			e.SetLinks(cdevents.EmbeddedLinksArray{relation("TRIGGER", out[i-1].GetId(), nil), path(out[0].GetId(), cdevents.Tags{"pr": "42"})})
		}
		out = append(out, e)
	}
	return out
}

func relation(kind, target string, tags cdevents.Tags) cdevents.EmbeddedLinkWithTags {
	l := cdevents.NewEmbeddedLinkRelation()
	l.SetLinkKind(kind)
	l.SetTarget(cdevents.EventReference{ContextId: target})
	l.SetTags(tags)
	return l
}

func path(from string, tags cdevents.Tags) cdevents.EmbeddedLinkWithTags {
	l := cdevents.NewEmbeddedLinkPath()
	l.SetFrom(cdevents.EventReference{ContextId: from})
	l.SetTags(tags)
	return l
}

func widen[E cdevents.CDEvent](in []E) []cdevents.CDEvent {
	var out []cdevents.CDEvent
	for _, e := range in {
		out = append(out, e)
	}
	return out
}

func lives(t testing.TB) map[string][]cdevents.CDEvent {
	return map[string][]cdevents.CDEvent{
		"0.3": makeLife(t, v03.SpecVersion, widen(v03.CDEventsTypes), v03.NewCDEvent),
		"0.4": makeLife(t, v04.SpecVersion, widen(v04.CDEventsTypes), v04.NewCDEvent),
		"0.5": makeLife(t, v05.SpecVersion, widen(v05.CDEventsTypes), v05.NewCDEvent),
	}
}

func TestServicesAndEnvironmentsGoThereAndBack(t *testing.T) {
	for spec, events := range lives(t) {
		for _, edition := range schema.OutputEditions() {
			t.Run(spec+" "+edition, func(t *testing.T) {
				there := New(newSession(t, translate.Settings{Edition: edition}))
				back := New(newSession(t, translate.Settings{Spec: spec}))
				for i, want := range events {
					eiffel, result, err := structs(there.ToEiffel(t.Context(), want))
					if _, deploys := schema.EditionVersion(edition, "EiffelArtifactDeployedEvent"); !deploys && i >= 2 && i <= 4 {
						var bad *translate.EventError
						if !errors.As(err, &bad) || bad.Code != translate.CodeNotInEdition {
							t.Fatalf("%s: %v", life[i], err)
						}
						continue
					}
					if err != nil {
						t.Fatalf("%s: %v", life[i], err)
					}
					if len(eiffel) == 0 || len(eiffel) != len(result.Events) {
						t.Fatalf("%s: %d structs, %d events", life[i], len(eiffel), len(result.Events))
					}
					checkEiffel(t, eiffel...)
					var got []cdevents.CDEvent
					for _, e := range eiffel {
						events, _, err := structs(back.ToCDEvents(t.Context(), e))
						if err != nil {
							t.Fatalf("%s: back: %v", life[i], err)
						}
						got = append(got, events...)
					}
					if len(got) != 1 {
						t.Fatalf("%s: came back as %d events", life[i], len(got))
					}
					checkCDEvents(t, got...)
					checkSame(t, want, got[0])
				}
			})
		}
	}
}

// An event without its original is translated from its own fields, into structs that the SDK finds valid.
func TestServicesWithoutCarriedOriginals(t *testing.T) {
	for spec, events := range lives(t) {
		t.Run(spec, func(t *testing.T) {
			settings := translate.Settings{Spec: spec, Carry: translate.CarryNone, Returning: translate.ReturningTranslate}
			there, back := New(newSession(t, settings)), New(newSession(t, settings))
			var got []string
			for _, want := range events[:5] { // the others are announcements and levels, and custom events on their way back
				eiffel, _, err := structs(there.ToEiffel(t.Context(), want))
				if err != nil {
					t.Fatal(err)
				}
				checkEiffel(t, eiffel...)
				for _, e := range eiffel {
					events, _, err := structs(back.ToCDEvents(t.Context(), e))
					if err != nil {
						t.Fatal(err)
					}
					checkCDEvents(t, events...)
					for _, e := range events {
						got = append(got, e.GetType().Subject+"."+e.GetType().Predicate)
					}
				}
			}
			for _, name := range life[:5] {
				if !strings.Contains(strings.Join(got, " "), name) {
					t.Errorf("no %s in %v", name, got)
				}
			}
		})
	}
}

const (
	idED   = "aaaaaaaa-0000-4000-8000-000000000001"
	idArtC = "aaaaaaaa-0000-4000-8000-000000000002"
	idArtD = "aaaaaaaa-0000-4000-8000-000000000003"
	idCLM  = "aaaaaaaa-0000-4000-8000-000000000004"
	idAnnP = "aaaaaaaa-0000-4000-8000-000000000005"
)

// makeEiffel makes one event of each type that services and environments need.
func makeEiffel(t testing.TB) []eiffelevents.MetaTeller {
	t.Helper()
	source := eiffelevents.WithSourceURI("https://jenkins.example.com/job/1")
	domain := eiffelevents.WithSourceDomainID("example.domain")
	custom := []eiffelevents.CustomDataV1{{Key: "team", Value: "payments"}, {Key: "team", Value: map[string]any{"n": 1.5}}, {Key: "none"}}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	const start = 1772355600000
	ed, err := orizaba.NewEnvironmentDefined(source, domain)
	must(err)
	ed.Meta.ID, ed.Meta.Time = idED, start
	ed.Data.Name, ed.Data.Version, ed.Data.CustomData = "prod", "7", custom

	artC, err := orizaba.NewArtifactCreated(source)
	must(err)
	artC.Meta.ID, artC.Meta.Time, artC.Meta.Tags = idArtC, start+1, []string{"main"}
	artC.Data.Identity = "pkg:oci/shop@1.0.0?repository_url=ghcr.io/acme"

	artD, err := orizaba.NewArtifactDeployed(source)
	must(err)
	artD.Meta.ID, artD.Meta.Time = idArtD, start+2
	artD.Data.Description, artD.Data.CustomData = "<shop> & more", custom
	artD.Links.AddByID("ARTIFACT", idArtC)
	artD.Links.AddByID("ENVIRONMENT", idED)

	clm, err := orizaba.NewConfidenceLevelModified(source)
	must(err)
	clm.Meta.ID, clm.Meta.Time = idCLM, start+3
	clm.Data.Name, clm.Data.Value = "servicePublished", eiffelevents.CLMV3DataValue_Success
	clm.Data.Issuer.Name = "somebody"
	clm.Links.Add("SUBJECT", artD)

	annP, err := orizaba.NewAnnouncementPublished(source)
	must(err)
	annP.Meta.ID, annP.Meta.Time = idAnnP, start+4
	annP.Data.Heading, annP.Data.Body, annP.Data.Severity = "Maintenance", "tonight", eiffelevents.AnnPV3DataSeverity_Minor
	annP.Links.Add("CAUSE", clm)

	return []eiffelevents.MetaTeller{ed, artC, artD, clm, annP}
}

func TestEiffelGoesThereAndBack(t *testing.T) {
	for spec, types := range map[string][]string{
		"0.5": {"dev.cdevents.environment.created.0.3.0", "dev.cdevents.artifact.packaged.0.3.0", "dev.cdevents.service.deployed.0.3.0",
			"dev.cdevents.service.published.0.3.0", "dev.cdeventsx.eiffel-announcement.published.0.1.0"},
		"0.4": {"dev.cdevents.environment.created.0.2.0", "dev.cdevents.artifact.packaged.0.2.0", "dev.cdevents.service.deployed.0.2.0",
			"dev.cdevents.service.published.0.2.0", "dev.cdeventsx.eiffel-announcement.published.0.1.0"},
		"0.3": {"dev.cdevents.environment.created.0.1.1", "dev.cdevents.artifact.packaged.0.1.1", "dev.cdevents.service.deployed.0.1.1",
			"dev.cdevents.service.published.0.1.1", ""}, // 0.3 has no custom events
	} {
		t.Run(spec, func(t *testing.T) {
			there := New(newSession(t, translate.Settings{Spec: spec}))
			back := New(newSession(t, translate.DefaultSettings()))
			for i, want := range makeEiffel(t) {
				checkEiffel(t, want)
				got, _, err := structs(there.ToCDEvents(t.Context(), want))
				if types[i] == "" {
					var bad *translate.EventError
					if !errors.As(err, &bad) || bad.Code != translate.CodeNotInSpec {
						t.Errorf("%s: %v", want.Type(), err)
					}
					continue
				}
				if err != nil {
					t.Fatalf("%s: %v", want.Type(), err)
				}
				if len(got) != 1 {
					t.Fatalf("%s: %d events", want.Type(), len(got))
				}
				checkCDEvents(t, got...)
				if typ := contextType(t, got[0]); typ != types[i] {
					t.Errorf("%s: became a %s, want %s", want.Type(), typ, types[i])
				}
				again, _, err := structs(back.ToEiffel(t.Context(), got[0]))
				if err != nil {
					t.Fatalf("%s: back: %v", want.Type(), err)
				}
				if len(again) != 1 {
					t.Fatalf("%s: came back as %d events", want.Type(), len(again))
				}
				checkEiffel(t, again...)
				checkSame(t, want, again[0])
			}
		})
	}
}

func contextType(t testing.TB, e cdevents.CDEvent) string {
	t.Helper()
	return decode(t, string(marshal(t, e))).Type
}

func TestCustomCDEvents(t *testing.T) {
	five, err := v05.NewCustomTypeEvent()
	if err != nil {
		t.Fatal(err)
	}
	four, err := v04.NewCustomTypeEvent()
	if err != nil {
		t.Fatal(err)
	}
	four.Subject.Type = "quota"
	for spec, e := range map[string]interface {
		cdevents.CDEvent
		cdevents.CustomCDEventWriter
	}{"0.5": five, "0.4": four} {
		t.Run(spec, func(t *testing.T) {
			e.SetEventType(cdevents.CDEventType{Custom: "gitlab", Subject: "quota", Predicate: "exceeded", Version: "1.2.3"})
			e.SetSource("https://gitlab.example.com/")
			e.SetSubjectId("q1")
			e.SetSubjectContent(map[string]any{"limit": 10.0, "tags": nil})
			e.SetLinks(cdevents.EmbeddedLinksArray{relation("QUOTA", "other", nil)})
			if err := cdevents.Validate(e); err == nil {
				t.Error("the SDK now finds null tags valid: the mending may go")
			}
			tr := New(newSession(t, translate.DefaultSettings()))
			eiffel, _, err := structs(tr.ToEiffel(t.Context(), e))
			if err != nil {
				t.Fatal(err)
			}
			checkEiffel(t, eiffel...)
			if _, ok := eiffel[0].(*eiffelevents.AnnouncementPublishedV3); !ok || len(eiffel) != 1 {
				t.Fatalf("became %T", eiffel[0])
			}
			back, _, err := structs(New(newSession(t, translate.DefaultSettings())).ToCDEvents(t.Context(), eiffel[0]))
			if err != nil {
				t.Fatal(err)
			}
			checkCDEvents(t, back...)
			checkSame(t, e, back[0])
			if fmt.Sprintf("%T", e) != fmt.Sprintf("%T", back[0]) {
				t.Errorf("%T came back as %T", e, back[0])
			}
		})
	}
}

const deployed = `{"context":{"specversion":"0.5.1","id":"e-1","source":"https://ci.example.com/","type":"dev.cdevents.service.deployed.0.3.0",
"timestamp":%q,"links":%s},"subject":{"id":"shop","content":{"environment":{"id":"prod"},"artifactId":"pkg:oci/shop@1.0.0"}},"customData":%s}`

func TestLinksWithoutTags(t *testing.T) {
	text := fmt.Sprintf(deployed, "2026-03-01T09:00:00Z", `[{"linkType":"PATH","from":{"contextId":"a"}},
		{"linkType":"RELATION","linkKind":"TRIGGER","target":{"contextId":"b"},"tags":{"pr":42,"big":12345678901234567890.10}},
		{"linkType":"END","from":{"contextId":"c"},"tags":{}}]`, `{"tags":{},"links":[{"tags":null}]}`)
	event, err := AsCDEvent(decode(t, text))
	if err != nil {
		t.Fatal(err)
	}
	checkCDEvents(t, event)
	written := string(marshal(t, event))
	if strings.Count(written, `"tags":{}`) != 3 || strings.Count(written, `"tags":null`) != 1 || !strings.Contains(written, "12345678901234567890.10") {
		t.Errorf("written as %s", written)
	}
	if pr := event.(cdevents.CDEventReaderV04).GetLinks()[1].GetTags()["pr"]; pr != 42.0 {
		t.Errorf("the tag pr is %T %v", pr, pr)
	}
	again, err := FromCDEvent(event)
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[string]string{
		"links without":  `{"linkType":"PATH","from":{"contextId":"a"}}`,
		"links emptied":  `{"linkType":"END","from":{"contextId":"c"}}`,
		"not a link's":   `"customData":{"links":[{"tags":null}],"tags":{}}`,
		"tags of a link": `"tags":{"big":12345678901234567890.10,"pr":42}`,
	} {
		if !strings.Contains(string(again.JSON), want) {
			t.Errorf("%s: no %s in %s", at, want, again.JSON)
		}
	}

	// As the SDK itself reads and writes it, the event is invalid; it must still go in.
	own, err := v05.NewFromJsonBytes([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(marshal(t, own)), `"tags":null`) {
		t.Error("the SDK no longer writes null tags: the mending may go")
	}
	eiffel, _, err := structs(New(newSession(t, translate.DefaultSettings())).ToEiffel(t.Context(), own))
	if err != nil {
		t.Fatal(err)
	}
	checkEiffel(t, eiffel...)
}

func TestTimestamps(t *testing.T) {
	for timestamp, ok := range map[string]bool{
		"2026-03-01T09:00:00.120Z":                    true,
		"2026-03-01T09:00:00+01:00":                   true,
		"2026-03-01T09:00:00-00:00":                   true,
		"2026-03-01T09:00:00.123456789Z":              true,
		"2026-03-01T09:00:00.12345678900Z":            true,
		"2026-03-01T09:00:00.1234567891Z":             false,
		"2016-12-31T23:59:60Z":                        false, // a leap second, which a time.Time cannot be
		"2026-03-01T09:00:00.0000000000000000000001Z": false,
	} {
		event, err := AsCDEvent(decode(t, fmt.Sprintf(deployed, timestamp, "[]", "{}")))
		var loss *LossError
		switch {
		case ok && err != nil:
			t.Errorf("%s: %v", timestamp, err)
		case ok:
			checkCDEvents(t, event)
		case !errors.As(err, &loss) || loss.Pointer != "/context/timestamp":
			t.Errorf("%s: %v", timestamp, err)
		}
	}
}

func TestNumbersKeepTheirDigits(t *testing.T) {
	const numbers = `{"small":1.50,"big":12345678901234567890.10,"huge":1e400,"list":[0,-0.0,9007199254740993]}`
	in := decode(t, fmt.Sprintf(deployed, "2026-03-01T09:00:00Z", "[]", numbers))
	event, err := AsCDEvent(in)
	if err != nil {
		t.Fatal(err)
	}
	data, err := event.GetCustomData()
	if err != nil {
		t.Fatal(err)
	}
	if m := data.(map[string]any); m["small"] != 1.5 || m["big"] != json.Number("12345678901234567890.10") || m["huge"] != json.Number("1e400") {
		t.Errorf("custom data: %#v", m)
	}
	// Not cdevents.Validate, which itself cannot read 1e400.
	eiffel, _, err := structs(New(newSession(t, translate.DefaultSettings())).ToEiffel(t.Context(), event))
	if err != nil {
		t.Fatal(err)
	}
	checkEiffel(t, eiffel...)
	back, _, err := structs(New(newSession(t, translate.DefaultSettings())).ToCDEvents(t.Context(), eiffel[len(eiffel)-1]))
	if err != nil {
		t.Fatal(err)
	}
	checkSame(t, json.RawMessage(in.JSON), back[0])
}

// Versions that the Eiffel SDK does not know: neither in nor out may they lose what its structs have no field for.
func TestUnsupportedEiffelVersions(t *testing.T) {
	for typ, version := range map[string]string{"EiffelArtifactDeployedEvent": "0.2.0", "EiffelConfidenceLevelModifiedEvent": "3.4.0", "EiffelEnvironmentDefinedEvent": "3.4.0"} {
		for _, e := range makeEiffel(t) {
			if e.Type() != typ {
				continue
			}
			if err := e.(eiffelevents.FieldSetter).SetField("meta.version", version); err != nil {
				t.Fatal(err)
			}
			result, err := newSession(t, translate.DefaultSettings()).Translate(t.Context(), marshal(t, e))
			if err != nil {
				t.Fatalf("%s %s as bytes: %v", typ, version, err)
			}
			tr := New(newSession(t, translate.DefaultSettings()))
			_, empty, err := structs(tr.ToCDEvents(t.Context(), e))
			checkUnsupported(t, err, eiffelSDK, typ, version)
			if len(empty.Events) != 0 {
				t.Errorf("%s: translated all the same", typ)
			}

			// The CDEvent that it becomes has its struct, and gives back what has none.
			event, err := AsCDEvent(result.Events[0])
			if err != nil {
				t.Fatal(err)
			}
			events, result, err := structs(tr.ToEiffel(t.Context(), event))
			checkUnsupported(t, err, eiffelSDK, typ, version)
			if events != nil || len(result.Events) != 1 {
				t.Fatalf("%s: %d structs, %d events", typ, len(events), len(result.Events))
			}
			checkSame(t, e, json.RawMessage(result.Events[0].JSON))
		}
	}
}

// structs are those of outputs; the first that has none is an error.
func structs[S any](outputs []Output[S], result translate.Result, err error) ([]S, translate.Result, error) {
	var out []S
	for _, o := range outputs {
		if o.Err != nil {
			return nil, result, o.Err
		}
		out = append(out, o.Struct)
	}
	return out, result, err
}

func checkUnsupported(t testing.TB, err error, sdk, typ, version string) {
	t.Helper()
	var u *UnsupportedError
	if !errors.As(err, &u) || u.SDK != sdk || u.Type != typ || u.Version != version {
		t.Fatalf("%s %s: %v", typ, version, err)
	}
	for _, part := range []string{sdk, typ, version, "bytes"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("no %q in %q", part, err)
		}
	}
}

func TestUnsupportedCDEventVersions(t *testing.T) {
	newer := strings.Replace(fmt.Sprintf(deployed, "2026-03-01T09:00:00Z", "[]", "{}"), "deployed.0.3.0", "deployed.0.9.0", 1)
	own, err := v05.NewFromJsonBytes([]byte(newer)) // the SDK takes it for 0.3.0
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = structs(New(newSession(t, translate.DefaultSettings())).ToEiffel(t.Context(), own))
	checkUnsupported(t, err, cdeventsSDK, "dev.cdevents.service.deployed.0.9.0", "0.9.0")
	_, err = AsCDEvent(decode(t, newer))
	checkUnsupported(t, err, cdeventsSDK, "dev.cdevents.service.deployed.0.9.0", "0.9.0")

	// A custom type that the specification allows and the SDK's pattern does not.
	_, err = AsCDEvent(decode(t, strings.Replace(newer, "dev.cdevents.service.deployed.0.9.0", "dev.cdeventsx.tool2-thing.done.1.0.0", 1)))
	checkUnsupported(t, err, cdeventsSDK, "dev.cdeventsx.tool2-thing.done.1.0.0", "1.0.0")
}

// The Eiffel SDK drops a member that has its zero value: that is a loss, and must be said.
func TestLossOfFields(t *testing.T) {
	const scc = `{"meta":{"id":"aaaaaaaa-0000-4000-8000-000000000006","type":"EiffelSourceChangeCreatedEvent","version":"4.2.0","time":1772355600000},
"data":{"change":{"insertions":0,"deletions":3},"gitIdentifier":{"commitId":"a1b2","repoUri":"https://git.example.com/shop"}},"links":[]}`
	result, err := newSession(t, translate.DefaultSettings()).Translate(t.Context(), []byte(scc))
	if err != nil {
		t.Fatal(err)
	}
	event, err := AsCDEvent(result.Events[0])
	if err != nil {
		t.Fatal(err)
	}
	checkCDEvents(t, event)
	outputs, result, err := New(newSession(t, translate.DefaultSettings())).ToEiffel(t.Context(), event)
	if err != nil || len(outputs) != 1 {
		t.Fatalf("%d outputs: %v", len(outputs), err)
	}
	var loss *LossError
	if !errors.As(outputs[0].Err, &loss) || loss.Pointer != "/data/change/insertions" || loss.Type != "EiffelSourceChangeCreatedEvent" || loss.Version != "4.2.0" {
		t.Fatalf("%v", outputs[0].Err)
	}
	if outputs[0].Struct != nil || outputs[0].Event.ID != result.Events[0].ID || len(outputs[0].Event.JSON) != len(decode(t, scc).JSON) {
		t.Errorf("the struct is %v, the bytes %s", outputs[0].Struct, outputs[0].Event.JSON)
	}

	for pointer, text := range map[string]string{
		"/subject/more":                     `{"id":"shop","more":1,"content":{"environment":{"id":"prod"},"artifactId":"pkg:oci/shop@1.0.0"}}`,
		"/subject/content/environment/name": `{"id":"shop","content":{"environment":{"id":"prod","name":"Production"},"artifactId":"pkg:oci/shop@1.0.0"}}`,
	} {
		head, _, _ := strings.Cut(fmt.Sprintf(deployed, "2026-03-01T09:00:00Z", "[]", "{}"), `"subject"`)
		in := decode(t, head+`"subject":`+text+"}")
		if len(in.Validate()) > 0 {
			continue // closed by the schema, so nothing is there to be lost
		}
		if _, err := AsCDEvent(in); !errors.As(err, &loss) || loss.Pointer != pointer {
			t.Errorf("%s: %v", pointer, err)
		}
	}

	const exponent = `{"meta":{"id":"aaaaaaaa-0000-4000-8000-000000000007","type":"EiffelFlowContextDefinedEvent","version":"3.0.0","time":1.7723556e12},"data":{},"links":[]}`
	if _, err := AsEiffel(decode(t, exponent)); !errors.As(err, &loss) || loss.Pointer != "/meta/time" || errors.Unwrap(loss) == nil {
		t.Errorf("%v", err)
	}
}

func TestEmptyMembersMayBeLeftOut(t *testing.T) {
	event, err := AsCDEvent(decode(t, fmt.Sprintf(deployed, "2026-03-01T09:00:00Z", "[]", "{}")))
	if err != nil {
		t.Fatal(err)
	}
	checkCDEvents(t, event)

	const artC = `{"meta":{"id":"aaaaaaaa-0000-4000-8000-000000000008","type":"EiffelArtifactCreatedEvent","version":"3.3.0","time":1,"tags":[]%s},
"data":{"identity":"pkg:oci/shop@1.0.0","customData":[],"fileInformation":[]},"links":[]}`
	eiffel, err := AsEiffel(decode(t, fmt.Sprintf(artC, "")))
	if err != nil {
		t.Fatal(err)
	}
	checkEiffel(t, eiffel)
	var loss *LossError
	_, err = AsEiffel(decode(t, fmt.Sprintf(artC, `,"security":{"authorIdentity":"CN=test","integrityProtection":{"signature":"c2ln","alg":"ES256"}}`)))
	if !errors.As(err, &loss) || loss.Pointer != "/data/customData" {
		t.Errorf("signed: %v", err)
	}
}

func TestWhatIsNoEvent(t *testing.T) {
	tr := New(newSession(t, translate.DefaultSettings()))
	var noService *cdevents.ServiceDeployedEventV0_3_0
	for _, e := range []cdevents.CDEventReader{nil, noService} {
		checkCode(t, translate.CodeNotEvent, func() error { _, _, err := structs(tr.ToEiffel(t.Context(), e)); return err })
	}
	var noArtD *eiffelevents.ArtifactDeployedV0_1_0
	var noAny *eiffelevents.Any
	for _, e := range []eiffelevents.MetaTeller{nil, noArtD, noAny, eiffelevents.Any{}, &eiffelevents.Any{}} {
		checkCode(t, translate.CodeNotEvent, func() error { _, _, err := structs(tr.ToCDEvents(t.Context(), e)); return err })
	}
	cdevent := decode(t, fmt.Sprintf(deployed, "2026-03-01T09:00:00Z", "[]", "{}"))
	eiffel := decode(t, string(marshal(t, makeEiffel(t)[0])))
	checkCode(t, translate.CodeNotEvent, func() error { _, err := AsCDEvent(eiffel); return err })
	checkCode(t, translate.CodeNotEvent, func() error { _, err := AsEiffel(cdevent); return err })
	checkCode(t, translate.CodeNotEvent, func() error { _, err := AsEiffel(translate.Event{}); return err })

	// Invalid events are refused, not handed to an SDK that would panic.
	checkCode(t, translate.CodeInvalid, func() error {
		_, err := AsCDEvent(decode(t, fmt.Sprintf(deployed, "2026-03-01T09:00:00Z", "[null]", "{}")))
		return err
	})
	checkCode(t, translate.CodeInvalid, func() error {
		_, err := AsEiffel(decode(t, strings.Replace(string(eiffel.JSON), `"data":{`, `"data":{"more":1,`, 1)))
		return err
	})
	unfinished, err := v05.NewServiceDeployedEvent()
	if err != nil {
		t.Fatal(err)
	}
	checkCode(t, translate.CodeInvalid, func() error { _, _, err := structs(tr.ToEiffel(t.Context(), unfinished)); return err })
	unfinished.CustomData = func() {}
	if _, _, err := structs(tr.ToEiffel(t.Context(), unfinished)); err == nil {
		t.Error("a function as custom data")
	}
}

func checkCode(t testing.TB, code string, f func() error) {
	t.Helper()
	err := f()
	var bad *translate.EventError
	if !errors.As(err, &bad) || bad.Code != code {
		t.Errorf("%v is not %s", err, code)
	}
}

// A struct, a pointer to it and the SDK's Any are the same event.
func TestFormsOfEiffelStructs(t *testing.T) {
	artD := makeEiffel(t)[2].(*eiffelevents.ArtifactDeployedV0_1_0)
	var boxed eiffelevents.Any
	if err := json.Unmarshal(marshal(t, artD), &boxed); err != nil {
		t.Fatal(err)
	}
	want := decode(t, string(marshal(t, artD))).JSON
	for _, form := range []eiffelevents.MetaTeller{artD, *artD, boxed, &boxed} {
		e, err := FromEiffel(form)
		if err != nil || string(e.JSON) != string(want) {
			t.Errorf("%T: %v, %s", form, err, e.JSON)
		}
	}
}

func TestOneTranslatorServesManyGoroutines(t *testing.T) {
	tr := New(newSession(t, translate.DefaultSettings()))
	events, eiffel := lives(t)["0.5"], makeEiffel(t)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for _, e := range events {
				if _, _, err := structs(tr.ToEiffel(context.Background(), e)); err != nil {
					t.Error(err)
				}
			}
			for _, e := range eiffel {
				if _, _, err := structs(tr.ToCDEvents(context.Background(), e)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
}

// TestTransactions: nothing is learned before Commit, and never after Rollback.
func TestTransactions(t *testing.T) {
	session := newSession(t, translate.DefaultSettings())
	known := func() (n int) {
		for _, kind := range ledger.FactKinds() {
			if err := session.Ledger().Scan(t.Context(), kind, func(string, []byte) error { n++; return nil }); err != nil {
				t.Fatal(err)
			}
		}
		return n
	}
	there, err := New(session).BeginToEiffel(t.Context(), lives(t)["0.5"][0])
	if err != nil || len(there.Outputs) == 0 || known() != 0 {
		t.Fatalf("%v; %d facts", err, known())
	}
	there.Rollback()
	if there.Commit(t.Context()) == nil || known() != 0 {
		t.Errorf("%d facts are known after Rollback", known())
	}
	back, err := New(session).BeginToCDEvents(t.Context(), makeEiffel(t)[0])
	if err != nil {
		t.Fatal(err)
	}
	defer back.Rollback()
	for i, out := range back.Outputs {
		if out.Err != nil || out.Struct == nil || out.Event.ID != back.Events[i].ID {
			t.Errorf("output %d: %+v", i, out)
		}
	}
	if err := back.Commit(t.Context()); err != nil || known() == 0 {
		t.Errorf("%v; %d facts", err, known())
	}
	if _, err := New(session).BeginToEiffel(t.Context(), nil); err == nil {
		t.Error("no CDEvent was translated")
	}
	if _, err := New(session).BeginToCDEvents(t.Context(), nil); err == nil {
		t.Error("no Eiffel event was translated")
	}
}

// TestErrorsNameTheEvent: each thing once, and nothing that is not there.
func TestErrorsNameTheEvent(t *testing.T) {
	custom, err := v05.NewCustomTypeEvent()
	if err != nil {
		t.Fatal(err)
	}
	custom.SetId("c-1")
	_, untyped := FromCDEvent(custom)
	for _, c := range []struct {
		err  error
		want string
	}{
		{untyped, "event c-1 at /context/type: the custom event's type is not set (SetEventType)"},
		{&UnsupportedError{SDK: "sdk", ID: "e-1", Type: "dev.cdevents.service.deployed.0.9.0", Version: "0.9.0"},
			"event e-1: sdk has no struct for dev.cdevents.service.deployed.0.9.0;"},
		{&UnsupportedError{SDK: "sdk", Type: "EiffelArtifactDeployedEvent", Version: "0.2.0"}, "event: sdk has no struct for EiffelArtifactDeployedEvent 0.2.0;"},
		{&UnsupportedError{SDK: "sdk"}, "event: sdk has no struct for an event without a type;"},
		{&LossError{SDK: "sdk", Type: "EiffelArtifactDeployedEvent", Version: "0.1.0", Pointer: "/data/x"},
			"event: the struct that sdk has for EiffelArtifactDeployedEvent 0.1.0 does not hold /data/x;"},
	} {
		if got := fmt.Sprint(c.err); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s\nwant %s", got, c.want)
		}
	}
}

func TestLedgerErrorsComeThrough(t *testing.T) {
	engine, err := translate.New(translate.DefaultSettings())
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	tr := New(translate.NewSession(engine, brokenLedger{translate.NewMemoryLedger(), broken}))
	if _, _, err := structs(tr.ToEiffel(t.Context(), lives(t)["0.5"][0])); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

type brokenLedger struct {
	ledger.Ledger
	err error
}

func (l brokenLedger) Read(context.Context, []ledger.Query) ([]ledger.Record, error) {
	return nil, l.err
}

// The table of known versions says what the SDK's bundled schemas say.
func TestKnownEiffelVersions(t *testing.T) {
	known, all := 0, 0
	for _, typ := range schema.EiffelTypes() {
		for _, version := range schema.EiffelVersions(typ) {
			all++
			body, err := validator.NewBundledSchemaLocator().GetSchema(t.Context(), typ, version, "")
			if err != nil {
				t.Fatal(err)
			}
			if body != nil {
				known++
				body.Close()
			}
			if got := eiffelKnown(typ, version); got != (body != nil) {
				t.Errorf("%s %s: known %t, bundled %t", typ, version, got, body != nil)
			}
			if e, err := emptyEiffel(typ, version); body != nil && (err != nil || e.Type() != typ || e.Version() != version) {
				t.Errorf("%s %s: no struct: %v", typ, version, err)
			}
		}
	}
	t.Logf("the SDK knows %d of %d versions", known, all)
	for _, edition := range schema.OutputEditions() {
		for _, typ := range schema.EiffelTypes() {
			if version, ok := schema.EditionVersion(edition, typ); ok && !eiffelKnown(typ, version) {
				t.Logf("edition %s cannot be written with structs: %s %s", edition, typ, version)
				if edition == translate.DefaultSettings().Edition {
					t.Errorf("the default edition has %s %s, for which the SDK has no struct", typ, version)
				}
			}
		}
	}
}

func TestCDEventStructs(t *testing.T) {
	seen := map[string]string{}
	for _, e := range append(append(widen(v05.CDEventsTypes), widen(v04.CDEventsTypes)...), widen(v03.CDEventsTypes)...) {
		if e.GetType().Subject == "" {
			continue // the custom event
		}
		name, typ := fmt.Sprintf("%T", e), e.GetType().String()
		if other, ok := seen[typ]; ok && other != name {
			t.Errorf("%s is both %s and %s", typ, other, name)
		}
		seen[typ] = name
		found := cdeventStruct(&translate.Event{Type: typ})
		if found == nil || "*"+found.String() != name {
			t.Errorf("%s: %v, want %s", typ, found, name)
		}
	}
	for _, typ := range schema.CDEventTypes() {
		if seen[typ] == "" {
			t.Errorf("the SDK has no %s", typ)
		}
	}
}

// Every example of both specifications, or of this repository, has a struct that gives it back, or a typed error that says
// why not.
func TestExamples(t *testing.T) {
	given := map[translate.Protocol]int{}
	for _, example := range specs.Examples(t) {
		e := decode(t, string(example.JSON))
		var again translate.Event
		if e.Protocol == translate.CDEvents {
			event, err := AsCDEvent(e)
			if err != nil {
				t.Errorf("%s: %v", example.Name, err)
				continue
			}
			if again, err = FromCDEvent(event); err != nil {
				t.Errorf("%s: %v", example.Name, err)
			}
		} else {
			event, err := AsEiffel(e)
			if !eiffelKnown(e.Type, e.Version) {
				checkUnsupported(t, err, eiffelSDK, e.Type, e.Version)
				continue
			}
			if err != nil {
				t.Errorf("%s: %v", example.Name, err)
				continue
			}
			if again, err = FromEiffel(event); err != nil {
				t.Errorf("%s: %v", example.Name, err)
			}
		}
		given[e.Protocol]++
		if pointer, different, err := difference(e.JSON, again.JSON, sameInCDEvent); different {
			t.Errorf("%s: differs at %s: %v", example.Name, pointer, err)
		}
	}
	t.Logf("%d CDEvents and %d Eiffel events came back", given[translate.CDEvents], given[translate.Eiffel])
	if given[translate.CDEvents] == 0 || given[translate.Eiffel] == 0 {
		t.Error("nothing of a protocol came back")
	}
}

func TestDifference(t *testing.T) {
	for _, c := range []struct{ a, b, pointer string }{
		{`{"b":1,"a":{"c/d":[1,2]}}`, `{"a":{"c/d":[1,3]},"b":2}`, "/a/c~1d/1"},
		{`{"a":1}`, `{}`, "/a"},
		{`{}`, `{"a":null}`, "/a"},
		{`[1]`, `[1,2]`, "/1"},
		{`{"a":{}}`, `{"a":[]}`, "/a"},
		{`{"a":"1"}`, `{"a":1}`, "/a"},
		{`{"a":null}`, `{"a":{}}`, "/a"},
	} {
		pointer, different, err := difference([]byte(c.a), []byte(c.b), strict)
		if err != nil || !different || pointer != c.pointer {
			t.Errorf("%s %s: %q %t %v", c.a, c.b, pointer, different, err)
		}
	}
}
