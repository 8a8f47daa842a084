package translate_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// drawn lets what is written for tests fail a property instead, so that it shrinks.
type drawn struct {
	testing.TB
	rt *rapid.T
}

func (d drawn) Helper()                           {}
func (d drawn) Errorf(format string, args ...any) { d.rt.Fatalf(format, args...) }
func (d drawn) Fatalf(format string, args ...any) { d.rt.Fatalf(format, args...) }
func (d drawn) Error(args ...any)                 { d.rt.Fatal(args...) }
func (d drawn) Fatal(args ...any)                 { d.rt.Fatal(args...) }

// law checks a property of drawn streams.
func law(t *testing.T, property func(t testing.TB, rt *rapid.T)) {
	t.Helper()
	rapid.Check(t, func(rt *rapid.T) { property(drawn{t, rt}, rt) })
}

// writer draws valid events that speak of few subjects, so that they meet.
type writer struct {
	rt  *rapid.T
	ids []string // the ids that later events may point to
	n   int
}

func (w *writer) pick(label string, from ...string) string {
	return rapid.SampledFrom(from).Draw(w.rt, label)
}

func (w *writer) chance(label string) bool { return rapid.Bool().Draw(w.rt, label) }

// seldom is true about one time in four.
func (w *writer) seldom(label string) bool { return rapid.IntRange(0, 3).Draw(w.rt, label) == 0 }

func (w *writer) time() int64 {
	return 1772355600000 + rapid.Int64Range(-50, 50).Draw(w.rt, "minutes")*60000 + rapid.Int64Range(0, 999).Draw(w.rt, "milliseconds")
}

func (w *writer) timestamp() string {
	at := time.UnixMilli(w.time()).UTC()
	switch w.pick("precision", "seconds", "nanoseconds", "zone") {
	case "seconds":
		return at.Format(time.RFC3339)
	case "zone":
		return at.In(time.FixedZone("", 5400)).Format(time.RFC3339Nano)
	}
	return at.Add(123456 * time.Nanosecond).Format(time.RFC3339Nano)
}

// contextID draws an id of an event: what Eiffel accepts and what it refuses.
func (w *writer) contextID() string {
	w.n++
	id := uuid(w.n)
	switch w.pick("form of id", "uuid", "uuid", "text", "version 7", "odd") {
	case "text":
		id = fmt.Sprintf("evt-%d", w.n)
	case "version 7":
		id = fmt.Sprintf("0190a0b0-0000-7000-8000-%012d", w.n)
	case "odd":
		id = fmt.Sprintf("%s %d", rapid.StringN(0, 6, -1).Draw(w.rt, "odd id"), w.n)
	}
	return id
}

// target draws what a link points to: an event before, or one that nobody knows.
func (w *writer) target() string {
	if len(w.ids) > 0 && !w.seldom("unknown target") {
		return rapid.SampledFrom(w.ids).Draw(w.rt, "target")
	}
	return w.pick("unknown", uuid(999999), "nobody", "0190a0b0-0000-7000-8000-000000999999")
}

var (
	lawSources   = []string{"https://ci.example.com/a", "https://ci.example.com/b", "/relative", "urn:x:y"}
	lawArtifacts = []string{"pkg:oci/shop@1.0.0", "pkg:oci/shop@1.1.0?repository_url=ghcr.io/acme", "pkg:npm/%40acme/shop@2.0.0-rc.1", "pkg:deb/debian/curl@7.50.3-1?arch=i386",
		"pkg:oci/shop@sha256%3A0b31b1c02ff458ad9b7b81cbdf8f028bd54699fa151f221d1e8de6817db93427?tag=1.2.0", "pkg:generic/shop@%7E1", "pkg:maven/org.acme/shop@1.0-SNAPSHOT"}
	lawLinkTypes = []string{"TRIGGER", "CONTEXT", "FLOW_CONTEXT", "ENVIRONMENT", "ARTIFACT", "SUBJECT", "CONFIGURATION", "PREVIOUS_VERSION", "MADE_UP", "CAUSE"}
)

// custom draws a JSON value for custom data.
func (w *writer) custom() any {
	switch w.pick("custom", "text", "number", "object", "array", "null", "bool") {
	case "text":
		return rapid.String().Draw(w.rt, "custom text")
	case "number":
		return json.Number(w.pick("number", "0", "-1.50", "12345678901234567890.10", "1e400", "-0"))
	case "object":
		return map[string]any{"a": 1, w.pick("name", "event", "id", "b"): w.pick("value", "x", "")}
	case "array":
		return []any{1, "x", nil}
	case "null":
		return nil
	}
	return true
}

// reference draws a reference to an environment.
func (w *writer) reference() map[string]any {
	e := map[string]any{"id": w.pick("environment", "prod", "stage", "prod")}
	if w.seldom("by urn") {
		e["id"] = "urn:uuid:" + uuid(888888)
	}
	if w.chance("with source") {
		e["source"] = w.pick("source of environment", lawSources...)
	}
	return e
}

// cdevent draws a CDEvent of any row that has one of its own, and of some that have not.
func (w *writer) cdevent() string {
	names := []string{"environment.created", "environment.modified", "environment.deleted", "service.deployed", "service.upgraded",
		"service.rolledback", "service.published", "service.removed", "change.merged", "artifact.packaged", "service.deployed"}
	name := w.pick("name", names...)
	spec := w.pick("spec", "0.5", "0.5", "0.4", "0.3")
	subject, predicate := name[:indexByte(name, '.')], name[indexByte(name, '.')+1:]
	eventType, ok := schema.CDEventType(spec, subject, predicate)
	if !ok {
		w.rt.Fatalf("CDEvents %s has no %s", spec, name)
	}
	full, _ := schema.SpecVersion(spec)
	id := w.contextID()
	source := w.pick("source", lawSources...)
	c := map[string]any{"id": id, "source": source, "type": eventType, "timestamp": w.timestamp()}
	s := map[string]any{"id": w.pick("service", "shop", "cart")}
	content := map[string]any{}
	uri := "uri"
	if spec != "0.5" {
		uri = "url"
		c["version"] = full
		s["type"] = subject
	} else {
		c["specversion"] = full
	}
	if w.chance("subject source") {
		s["source"] = w.pick("source of subject", lawSources...)
	}
	switch subject {
	case "environment":
		s["id"] = w.pick("environment", "prod", "stage")
		if w.chance("with name") {
			content["name"] = w.pick("name of environment", "Production", "prod", "")
		}
		if predicate != "deleted" && w.chance("with uri") {
			content[uri] = "https://prod.example.com/"
		}
	case "service":
		if predicate == "deployed" || predicate == "upgraded" || predicate == "rolledback" || w.chance("with environment") {
			content["environment"] = w.reference()
		}
		if predicate != "published" && predicate != "removed" {
			content["artifactId"] = w.pick("artifact", lawArtifacts...)
		}
	case "artifact":
		s["id"] = w.pick("artifact", lawArtifacts...)
		content["change"] = map[string]any{"id": "c-1"}
	case "change":
		if spec == "0.4" || spec == "0.3" {
			s["type"] = "change"
		}
	}
	s["content"] = content
	if spec != "0.3" {
		if w.chance("with chain") {
			c["chainId"] = uuid(777777)
		}
		var links []any
		for range rapid.IntRange(0, 4).Draw(w.rt, "links") {
			switch w.pick("link", "RELATION", "RELATION", "PATH", "END") {
			case "RELATION":
				l := map[string]any{"linkType": "RELATION", "linkKind": w.pick("kind", lawLinkTypes...), "target": map[string]any{"contextId": w.target()}}
				if w.seldom("with domain") {
					l["tags"] = map[string]any{"domainId": "example.ci", "pr": "42"}
				}
				links = append(links, l)
			case "PATH":
				links = append(links, map[string]any{"linkType": "PATH", "from": map[string]any{"contextId": w.target()}})
			case "END":
				links = append(links, map[string]any{"linkType": "END", "from": map[string]any{"contextId": w.target()}})
			}
		}
		if links != nil {
			c["links"] = links
		}
	}
	event := map[string]any{"context": c, "subject": s}
	switch w.pick("custom data", "none", "none", "object", "base64") {
	case "object":
		custom := map[string]any{}
		for range rapid.IntRange(0, 3).Draw(w.rt, "members") {
			custom[w.pick("key", "team", "serviceId", "subject", "cdevents", "a b", "")] = w.custom()
		}
		event["customData"], event["customDataContentType"] = custom, "application/json"
	case "base64":
		event["customData"] = base64.StdEncoding.EncodeToString([]byte(rapid.String().Draw(w.rt, "bytes")))
		event["customDataContentType"] = "application/x-thing"
	}
	w.ids = append(w.ids, id)
	return w.text(event)
}

func indexByte(s string, c byte) int {
	for i := range len(s) {
		if s[i] == c {
			return i
		}
	}
	return -1
}

func (w *writer) text(event map[string]any) string {
	out, err := json.Marshal(event)
	if err != nil {
		w.rt.Fatal(err)
	}
	return string(out)
}

// eiffelWriter draws Eiffel events.
type eiffelWriter struct {
	writer
	known map[string][]string // ids by event type
}

func (w *eiffelWriter) link(linkType, targetType string) map[string]any {
	id := uuid(999000 + len(w.known[targetType]))
	if len(w.known[targetType]) > 0 && !w.seldom("unknown "+linkType) {
		id = rapid.SampledFrom(w.known[targetType]).Draw(w.rt, linkType)
	}
	return map[string]any{"type": linkType, "target": id}
}

func (w *eiffelWriter) event() string {
	types := []string{"EiffelEnvironmentDefinedEvent", "EiffelArtifactCreatedEvent", "EiffelArtifactDeployedEvent", "EiffelArtifactDeployedEvent",
		"EiffelConfidenceLevelModifiedEvent", "EiffelAnnouncementPublishedEvent", "EiffelCompositionDefinedEvent", "EiffelFlowContextDefinedEvent"}
	eventType := w.pick("type", types...)
	version, ok := schema.EditionVersion("Orizaba", eventType)
	if !ok {
		w.rt.Fatalf("Orizaba has no %s", eventType)
	}
	w.n++
	id := uuid(w.n)
	meta := map[string]any{"id": id, "type": eventType, "version": version, "time": w.time()}
	switch w.pick("source", "uri", "uri", "domain", "host", "free text", "none") {
	case "uri":
		meta["source"] = map[string]any{"uri": w.pick("uri", lawSources...)}
	case "domain":
		meta["source"] = map[string]any{"domainId": w.pick("domain", "example.ci", "a b/ü"), "host": "h"}
	case "host":
		meta["source"] = map[string]any{"host": w.pick("host", "h-1", "h 1"), "name": "n"}
	case "free text":
		meta["source"] = map[string]any{"uri": rapid.String().Draw(w.rt, "free uri")}
	}
	if w.seldom("tags") {
		meta["tags"] = []any{"t"}
	}
	data := map[string]any{}
	links := []any{}
	switch eventType {
	case "EiffelEnvironmentDefinedEvent":
		data["name"] = w.pick("name", "prod", "stage", "")
		switch w.pick("what of it", "uri", "host", "image") {
		case "uri":
			data["uri"] = w.pick("uri of it", "https://prod.example.com/", "no uri at all: %%", "/relative")
		case "host":
			data["host"] = map[string]any{"name": "h", "user": "u"}
		case "image":
			data["image"] = "i"
		}
		if len(w.known[eventType]) > 0 && w.seldom("previous") {
			links = append(links, w.link("PREVIOUS_VERSION", eventType))
		}
	case "EiffelArtifactCreatedEvent":
		data["identity"] = w.pick("identity", lawArtifacts...)
	case "EiffelArtifactDeployedEvent":
		links = append(links, w.link("ARTIFACT", "EiffelArtifactCreatedEvent"), w.link("ENVIRONMENT", "EiffelEnvironmentDefinedEvent"))
		if w.seldom("configuration") {
			links = append(links, w.link("CONFIGURATION", "EiffelArtifactCreatedEvent"))
		}
	case "EiffelConfidenceLevelModifiedEvent":
		data["name"], data["value"] = w.pick("level", "servicePublished", "stable"), w.pick("value", "SUCCESS", "FAILURE", "INCONCLUSIVE")
		links = append(links, w.link("SUBJECT", w.pick("subject", "EiffelArtifactDeployedEvent", "EiffelArtifactCreatedEvent")))
		if w.seldom("two subjects") {
			links = append(links, w.link("SUBJECT", "EiffelArtifactDeployedEvent"))
		}
	case "EiffelAnnouncementPublishedEvent":
		data["heading"], data["body"], data["severity"] = "h", rapid.String().Draw(w.rt, "body"), "MINOR"
	default:
		data["name"] = "n"
	}
	for range rapid.IntRange(0, 2).Draw(w.rt, "causes") {
		l := w.link("CAUSE", w.pick("cause", types...))
		if w.seldom("domain of link") {
			l["domainId"] = "example.ci"
		}
		links = append(links, l)
	}
	if eventType == "EiffelFlowContextDefinedEvent" {
		data, links = map[string]any{"product": "p"}, []any{}
	}
	if w.chance("custom data") {
		var entries []any
		for range rapid.IntRange(0, 4).Draw(w.rt, "entries") {
			entries = append(entries, map[string]any{"key": w.pick("key", "team", "serviceId", "eiffel", "team", "cdevents", ""), "value": w.custom()})
		}
		if entries != nil {
			data["customData"] = entries
		}
	}
	w.known[eventType] = append(w.known[eventType], id)
	w.ids = append(w.ids, id)
	return w.text(map[string]any{"meta": meta, "data": data, "links": links})
}

// drawStream draws a stream of one protocol.
func drawStream(rt *rapid.T, protocol translate.Protocol) []string {
	var out []string
	n := rapid.IntRange(1, 10).Draw(rt, "events")
	if protocol == translate.CDEvents {
		w := &writer{rt: rt}
		for range n {
			out = append(out, w.cdevent())
		}
		return out
	}
	w := &eiffelWriter{writer: writer{rt: rt}, known: map[string][]string{}}
	for range n {
		out = append(out, w.event())
	}
	return out
}

var bothProtocols = []translate.Protocol{translate.CDEvents, translate.Eiffel}

// TestLawRoundTrip: what was carried comes back as it is, byte for byte, and what was made up gives nothing.
func TestLawRoundTrip(t *testing.T) {
	engine := newEngine(t, translate.Settings{})
	for _, protocol := range bothProtocols {
		t.Run(protocol.String(), func(t *testing.T) {
			law(t, func(t testing.TB, rt *rapid.T) {
				s, back := fresh(engine), fresh(engine)
				for _, text := range drawStream(rt, protocol) {
					r := through(t, s, text)
					for i, e := range r.Events {
						for how, b := range map[string]*translate.Session{"with a ledger": back, "with none": fresh(engine)} {
							given := texts(through(t, b, string(e.JSON)).Events)
							want := ""
							if i == len(r.Events)-1 {
								want = compact(t, text) + "\n"
							}
							if given != want {
								t.Fatalf("%s given back\n%swant\n%s", how, given, want)
							}
						}
					}
				}
			})
		})
	}
}

// TestLawWithoutCarrying: with only a mark, what is written is valid in both directions, with any settings.
func TestLawWithoutCarrying(t *testing.T) {
	var engines []*translate.Engine
	for _, synthesize := range []translate.Synthesize{translate.SynthesizeMissing, translate.SynthesizeAlways, translate.SynthesizeNever} {
		engines = append(engines, newEngine(t, translate.Settings{Carry: translate.CarryNone, Synthesize: synthesize, AllQualifiers: synthesize == translate.SynthesizeAlways}))
	}
	for _, protocol := range bothProtocols {
		t.Run(protocol.String(), func(t *testing.T) {
			law(t, func(t testing.TB, rt *rapid.T) {
				engine := rapid.SampledFrom(engines).Draw(rt, "settings")
				s, back := fresh(engine), fresh(engine)
				for _, text := range drawStream(rt, protocol) {
					for _, e := range through(t, s, text).Events {
						through(t, back, string(e.JSON))
					}
				}
			})
		})
	}
}

// TestLawRedelivery: the same stream gives the same, and any event that comes again, in whatever order, gives what it
// gave and has nothing missing any more.
func TestLawRedelivery(t *testing.T) {
	for name, settings := range map[string]translate.Settings{
		"defaults":   {},
		"carry none": {Carry: translate.CarryNone, Synthesize: translate.SynthesizeNever},
		"relay":      {Returning: translate.ReturningDrop, Synthesize: translate.SynthesizeAlways},
	} {
		engine := newEngine(t, settings)
		for _, protocol := range bothProtocols {
			t.Run(name+", "+protocol.String(), func(t *testing.T) {
				law(t, func(t testing.TB, rt *rapid.T) {
					stream := drawStream(rt, protocol)
					s, twin := fresh(engine), fresh(engine)
					first := make([]string, len(stream))
					for i, text := range stream {
						r := through(t, s, text)
						first[i] = texts(r.Events)
						if again := outcome(twin.Translate(context.Background(), []byte(text))); again != outcome(r, nil) {
							t.Fatalf("the same stream gave\n%s\nand\n%s", outcome(r, nil), again)
						}
					}
					for _, i := range rapid.SliceOfN(rapid.IntRange(0, len(stream)-1), 1, 12).Draw(rt, "redelivered") {
						r := through(t, s, stream[i])
						if got := texts(r.Events); got != first[i] {
							t.Fatalf("event %d came again and gave\n%s\nand before\n%s", i, got, first[i])
						}
						if len(r.Missing) > 0 {
							t.Fatalf("event %d came again and misses %+v", i, r.Missing)
						}
						if len(r.Learned) > 0 {
							t.Fatalf("event %d came again and taught %+v", i, r.Learned)
						}
					}
				})
			})
		}
	}
}

// TestLawLinks: in a stream of output every id is used once, and every link is legal for what it points to and leads to
// an event before, but for placeholders: ids that the input itself names and nobody knows.
func TestLawLinks(t *testing.T) {
	placeholders := map[string]bool{uuid(999999): true, uuid(888888): true}
	engine := newEngine(t, translate.Settings{})
	law(t, func(t testing.TB, rt *rapid.T) {
		s := fresh(engine)
		var stream []translate.Event
		seen := map[string]bool{}
		for _, text := range drawStream(rt, translate.CDEvents) {
			for _, e := range through(t, s, text).Events {
				if seen[e.ID] {
					t.Fatalf("two events have the id %s", e.ID)
				}
				seen[e.ID] = true
				if slices.Contains(linkTargets(t, e), e.ID) {
					t.Fatalf("a link to itself in %s", e.JSON)
				}
				stream = append(stream, e)
			}
		}
		checkStream(t, stream, placeholders)
	})
}

func linkTargets(t testing.TB, e translate.Event) []string {
	t.Helper()
	var out []string
	for l := range field(t, e, "/links").Children() {
		out = append(out, l.Get("target").Str())
	}
	return out
}

// recordOf draws a record of a kind, as its bytes.
func recordOf(rt *rapid.T, kind translate.FactKind) []byte {
	id := func(label string) string {
		return rapid.SampledFrom([]string{uuid(1), uuid(2), uuid(3), "text", "-------------------------------------", "00000000-0000-4000-8000-00000000000G"}).Draw(rt, label)
	}
	text := func(label string) string { return rapid.SampledFrom([]string{"a", "b", "c", "", "é"}).Draw(rt, label) }
	some := func(label string) string { return rapid.SampledFrom([]string{"a", "b", "c", "é"}).Draw(rt, label) }
	flag := func(label string) bool { return rapid.Bool().Draw(rt, label) }
	count := func(label string) int { return rapid.IntRange(0, 3).Draw(rt, label) }
	stamp := func() translate.Stamp {
		return translate.Stamp{Time: rapid.Int64Range(-2, 6).Draw(rt, "time"), ID: id("id of stamp")}
	}
	key := func() translate.SubjectKey {
		return translate.SubjectKey{Kind: some("kind"), Source: text("source"), ID: some("subject")}
	}
	switch kind {
	case translate.SubjectFact:
		s := &translate.Subject{Text: text("text")}
		for range count("anchors") {
			typ := rapid.SampledFrom([]string{"EiffelEnvironmentDefinedEvent", "EiffelArtifactCreatedEvent", "x"}).Draw(rt, "anchor")
			if s.Anchor(typ) == nil {
				s.Anchors = append(s.Anchors, translate.Anchor{Type: typ, First: id("first"), Last: id("last"), Synthesized: flag("synthesized"), From: text("from")})
			}
		}
		if flag("opened") {
			s.Opened = stamp()
		}
		for range rapid.IntRange(0, 1).Draw(rt, "closures") {
			s.Closures = append(s.Closures, stamp())
		}
		for range rapid.IntRange(0, 1).Draw(rt, "environments") {
			s.Environments = append(s.Environments, key())
		}
		return s.Encode()
	case translate.EventFact:
		e := &translate.EiffelEvent{
			Type: some("type"), Time: int64(count("time")), Artifact: text("artifact"), Chain: text("chain"), ContextID: text("context"),
			Emitted: flag("emitted"), Synthesized: flag("synthesized"),
		}
		if flag("subject") {
			e.Subject, e.Environment = key(), key()
		}
		for range count("links") {
			e.Links = append(e.Links, translate.EiffelLink{Type: some("link"), Target: id("target"), DomainID: text("domain")})
		}
		return e.Encode()
	case translate.ContextFact:
		return translate.Contexts{{Source: text("source"), Type: some("type"), Eiffel: id("eiffel"), Emitted: flag("emitted")}}.Encode()
	case translate.DecisionFact:
		d := translate.Decision{}
		for range count("choices") {
			d = append(d, translate.Choice{Name: some("name"), Value: text("value")})
		}
		return d.Encode()
	case translate.LineFact:
		h := &translate.Head{Entries: uint64(1 + count("entries")), Epoch: uint64(count("epoch")), Last: translate.Entry{Stamp: stamp(), Artifact: some("artifact")}}
		return h.Encode()
	case translate.EntryFact:
		e := &translate.Entry{Removed: flag("removed")}
		if !e.Removed {
			e.Artifact, e.Key, e.Config = some("artifact"), text("key"), text("config")
		}
		return e.Encode()
	case translate.FirstRunFact:
		return stamp().Encode()
	}
	return translate.Set{text("member")}.Encode()
}

// TestLawMerge: for each kind of record a delta merged twice says the same as merged once, however much was merged
// before; and what is written reads the same.
func TestLawMerge(t *testing.T) {
	for _, kind := range translate.FactKinds() {
		t.Run(kind.String(), func(t *testing.T) {
			law(t, func(t testing.TB, rt *rapid.T) {
				var record []byte
				merge := func(old, delta []byte) []byte {
					out, err := translate.Merge(kind, old, delta)
					if err != nil {
						t.Fatal(err)
					}
					return out
				}
				// Enough deltas to fill what forgets, but only a few drawn ones.
				for range rapid.SampledFrom([]int{0, 1, 3, 110}).Draw(rt, "before") {
					record = merge(record, fillerOf(rt, kind))
				}
				deltas := rapid.IntRange(1, 4).Draw(rt, "deltas")
				for range deltas {
					delta := recordOf(rt, kind)
					once := merge(record, delta)
					v, canonical, err := records[kind](once)
					if err != nil {
						t.Fatal(err)
					}
					if twice, _, err := records[kind](merge(once, delta)); err != nil || !reflect.DeepEqual(v, twice) {
						t.Fatalf("merged twice it is\n%+v (%v)\nand once\n%+v", twice, err, v)
					}
					if again, _, err := records[kind](canonical); err != nil || !reflect.DeepEqual(v, again) {
						t.Fatalf("%+v was written anew and is %+v (%v)", v, again, err)
					}
					record = once
				}
			})
		})
	}
}

// fillerOf is a delta that adds something new each time: what lines, closures and sets forget beyond their size.
func fillerOf(rt *rapid.T, kind translate.FactKind) []byte {
	n := rapid.IntRange(0, 1000).Draw(rt, "filler")
	stamp := translate.Stamp{Time: int64(n % 8), ID: uuid(n)}
	switch kind {
	case translate.SubjectFact:
		s := &translate.Subject{Closures: []translate.Stamp{stamp}}
		return s.Encode()
	case translate.EventFact:
		e := &translate.EiffelEvent{Type: "x", Time: int64(n)}
		return e.Encode()
	case translate.ContextFact:
		return translate.Contexts{{Source: fmt.Sprint(n), Type: "t"}}.Encode()
	case translate.DecisionFact:
		return translate.Decision{{Name: fmt.Sprint(n), Value: "v"}}.Encode()
	case translate.LineFact:
		h := &translate.Head{Entries: uint64(n), Last: translate.Entry{Stamp: stamp}}
		return h.Encode()
	case translate.EntryFact:
		e := &translate.Entry{Artifact: fmt.Sprint("pkg:generic/x@", n)}
		return e.Encode()
	case translate.FirstRunFact:
		return stamp.Encode()
	}
	return translate.Set{fmt.Sprint(n)}.Encode()
}

// linkCase is one of section 4's rules: links of a deployment, and what becomes of them.
type linkCase struct {
	name   string
	links  []map[string]any
	want   []string          // Eiffel links behind the row's own ARTIFACT and ENVIRONMENT
	losses map[string]string // pointer to reason
	warns  bool              // an unknown target is a diagnostic
}

func relation(kind, id string) map[string]any {
	return map[string]any{"linkType": "RELATION", "linkKind": kind, "target": map[string]any{"contextId": id}}
}

func path(id string) map[string]any {
	return map[string]any{"linkType": "PATH", "from": map[string]any{"contextId": id}}
}

// TestLinkRules holds the merging of links against section 4, rule by rule.
func TestLinkRules(t *testing.T) {
	const own, artD = "00000000-0000-4000-8000-000000000010", "00000000-0000-4000-8000-000000000011"
	engine := newEngine(t, translate.Settings{})
	content := map[string]any{"environment": map[string]any{"id": "prod"}, "artifactId": "pkg:oci/shop@1.0.0"}
	source := "https://ci.example.com/a"
	before := []string{
		goldenCDEvent(t, "env", source, createdType, "prod", source, map[string]any{}),
		goldenCDEvent(t, artD, source, deployedType, "shop", source, content),
		goldenCDEvent(t, "text id", source, "dev.cdevents.change.merged.0.3.0", "c", source, map[string]any{}),
	}
	s := fresh(engine)
	ids := map[string]string{}
	for _, text := range before {
		in, err := translate.Decode([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		r := through(t, s, text)
		ids[in.ID] = last(t, r).ID
		for _, e := range r.Events[:len(r.Events)-1] {
			ids[e.Type] = e.ID
		}
	}
	artC, env, text := ids["EiffelArtifactCreatedEvent"], ids["env"], ids["text id"]
	const at0 = "/context/links/0"
	for _, c := range []linkCase{
		{name: "TRIGGER is CAUSE", links: []map[string]any{relation("TRIGGER", artD)}, want: []string{"CAUSE " + artD}},
		{name: "CAUSE by its own name", links: []map[string]any{relation("CAUSE", artD)}, want: []string{"CAUSE " + artD}},
		{name: "any other kind is the type", links: []map[string]any{relation("FLOW_CONTEXT", uuid(77))}, want: []string{"FLOW_CONTEXT " + uuid(77)}, warns: true},
		{name: "the ledger knows what a text became", links: []map[string]any{relation("TRIGGER", "text id")}, want: []string{"CAUSE " + text}},
		{name: "and which anchor", links: []map[string]any{relation("TRIGGER", "env")}, want: []string{"CAUSE " + env}},
		{name: "an unknown id that Eiffel accepts", links: []map[string]any{relation("TRIGGER", uuid(77))}, want: []string{"CAUSE " + uuid(77)}, warns: true},
		{name: "an unknown id that Eiffel refuses", links: []map[string]any{relation("TRIGGER", "nobody")}, losses: map[string]string{at0: "unknown_target"}, warns: true},
		{name: "an unknown id of version 7", links: []map[string]any{path("0190a0b0-0000-7000-8000-000000000003")}, losses: map[string]string{at0: "unknown_target"}, warns: true},
		{name: "an illegal type", links: []map[string]any{relation("SUBJECT", artD)}, losses: map[string]string{at0: "illegal_link_type"}},
		{name: "a type that no one knows", links: []map[string]any{relation("trigger", artD)}, losses: map[string]string{at0: "illegal_link_type"}},
		{name: "a target of an illegal type", links: []map[string]any{relation("CONFIGURATION", env)}, losses: map[string]string{at0: "illegal_link_target"}},
		{name: "a target of a legal type", links: []map[string]any{relation("CONFIGURATION", artC)}, want: []string{"CONFIGURATION " + artC}},
		{name: "a single type that the row has", links: []map[string]any{relation("ENVIRONMENT", uuid(77))}, losses: map[string]string{at0: "single_link"}},
		{name: "a duplicate of the row's", links: []map[string]any{relation("ARTIFACT", artC)}, losses: map[string]string{at0: "duplicate_link"}},
		{name: "a single type twice", links: []map[string]any{relation("CONTEXT", uuid(77)), relation("CONTEXT", uuid(78))}, want: []string{"CONTEXT " + uuid(77)}, losses: map[string]string{"/context/links/1": "single_link"}, warns: true},
		{name: "a type that may be several", links: []map[string]any{relation("TRIGGER", artD), relation("TRIGGER", "env")}, want: []string{"CAUSE " + artD, "CAUSE " + env}},
		{name: "a duplicate", links: []map[string]any{relation("TRIGGER", artD), relation("TRIGGER", artD)}, want: []string{"CAUSE " + artD}, losses: map[string]string{"/context/links/1": "duplicate_link"}},
		{name: "a duplicate by another name", links: []map[string]any{relation("TRIGGER", "env"), relation("CAUSE", "env")}, want: []string{"CAUSE " + env}, losses: map[string]string{"/context/links/1": "duplicate_link"}},
		{name: "itself", links: []map[string]any{relation("TRIGGER", own)}, losses: map[string]string{at0: "link_to_itself"}},
		{name: "itself by PATH", links: []map[string]any{path(own)}, losses: map[string]string{at0: "link_to_itself"}},
		{name: "PATH is CAUSE", links: []map[string]any{path(artD)}, want: []string{"CAUSE " + artD}},
		{name: "RELATION before PATH, whatever their order", links: []map[string]any{path("env"), relation("TRIGGER", artD)}, want: []string{"CAUSE " + artD}, losses: map[string]string{at0: "duplicate_link"}},
		{name: "PATH to what a RELATION links", links: []map[string]any{path("text id"), relation("FLOW_CONTEXT", "text id")}, want: []string{"CAUSE " + text}, losses: map[string]string{"/context/links/1": "illegal_link_target"}},
		{name: "PATH to what a link of the row leads to", links: []map[string]any{path("env")}, losses: map[string]string{at0: "duplicate_link"}},
		{name: "PATH beside a CONTEXT", links: []map[string]any{path(artD), relation("CONTEXT", uuid(77))}, want: []string{"CONTEXT " + uuid(77)}, losses: map[string]string{at0: "has_context"}, warns: true},
		{name: "PATH beside a CAUSE", links: []map[string]any{path("text id"), relation("TRIGGER", artD)}, want: []string{"CAUSE " + artD, "CAUSE " + text}},
		{name: "END is only carried", links: []map[string]any{{"linkType": "END", "from": map[string]any{"contextId": artD}}}, losses: map[string]string{at0: "end_link"}},
		{name: "a domain", links: []map[string]any{{"linkType": "RELATION", "linkKind": "TRIGGER", "target": map[string]any{"contextId": artD}, "tags": map[string]any{"domainId": "example.ci"}}}, want: []string{"CAUSE " + artD + " example.ci"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			event := edit(t, goldenCDEvent(t, own, source, deployedType, "shop", source, content), func(event map[string]any) {
				object(event, "context")["links"] = c.links
			})
			in, err := translate.Decode([]byte(event))
			if err != nil {
				t.Fatal(err)
			}
			// Nothing is taught, so that each case finds the same ledger.
			r, err := translate.Ask(context.Background(), engine, ledgerOf(t, engine, before), in)
			if err != nil {
				t.Fatal(err)
			}
			e := only(t, r)
			checkValid(t, e)
			var got []string
			for l := range field(t, e, "/links").Children() {
				line := l.Get("type").Str() + " " + l.Get("target").Str()
				if d := l.Get("domainId").Str(); d != "" {
					line += " " + d
				}
				got = append(got, line)
			}
			if want := append([]string{"ARTIFACT " + artC, "ENVIRONMENT " + env}, c.want...); !slices.Equal(got, want) {
				t.Errorf("the links are\n%q, want\n%q", got, want)
			}
			for _, l := range r.Losses {
				if want := c.losses[l.Pointer]; want == l.Reason {
					delete(c.losses, l.Pointer)
				}
			}
			if len(c.losses) != 0 {
				t.Errorf("no loss says %v; there are %+v", c.losses, r.Losses)
			}
			if c.warns && !hasDiagnostic(r, "unknown_target") {
				t.Errorf("no diagnostic tells of the unknown target: %+v", r.Diagnostics)
			}
			if len(r.Missing) != 0 {
				t.Errorf("an optional link is waited for: %+v", r.Missing)
			}
		})
	}
}

// ledgerOf is a ledger that was taught by these events.
func ledgerOf(t testing.TB, engine *translate.Engine, events []string) translate.Ledger {
	t.Helper()
	ledger := translate.NewMemoryLedger()
	s := translate.NewSession(engine, ledger)
	for _, text := range events {
		through(t, s, text)
	}
	return ledger
}

// TestLinkDomainsByEdition: domainId is a member of links from Lyon on.
func TestLinkDomainsByEdition(t *testing.T) {
	event := edit(t, life(t)[0], func(event map[string]any) {
		object(event, "context")["links"] = []any{map[string]any{"linkType": "RELATION", "linkKind": "TRIGGER",
			"target": map[string]any{"contextId": uuid(7)}, "tags": map[string]any{"domainId": "example.ci"}}}
	})
	from := slices.Index(translate.Editions(), "Lyon")
	for i, edition := range translate.Editions() {
		e := only(t, alone(t, translate.Settings{Edition: edition}, event))
		if got := field(t, e, "/links/0/domainId").Str(); (got == "example.ci") != (i >= from) {
			t.Errorf("%s: domainId %q in %s", edition, got, e.JSON)
		}
		if got := links(t, e); !slices.Equal(got, []string{"CAUSE " + uuid(7)}) {
			t.Errorf("%s: links %v", edition, got)
		}
	}
}

// TestChains: the chain of the event's line of CONTEXT, else of its first CAUSE; a root begins its own.
func TestChains(t *testing.T) {
	s := newSession(t, translate.Settings{})
	var w scribe
	w.t = t
	event := func(n int, l ...eiffelLink) string {
		return w.eiffel("EiffelAnnouncementPublishedEvent", "3.2.0", uuid(n), 1772355600000+int64(n), "https://a.example.com",
			map[string]any{"heading": "h", "body": "b", "severity": "MINOR"}, l...)
	}
	chain := func(text, want string) {
		t.Helper()
		if got := field(t, last(t, through(t, s, text)), "/context/chainId").Str(); got != want {
			t.Errorf("chain %s, want %s of %s", got, want, text)
		}
	}
	cause := func(n int) eiffelLink { return eiffelLink{"CAUSE", uuid(n)} }
	inContext := func(n int) eiffelLink { return eiffelLink{"CONTEXT", uuid(n)} }
	chain(event(1), uuid(1))
	chain(event(2, cause(1)), uuid(1))
	chain(event(3, cause(2)), uuid(1))
	chain(event(4, cause(90)), uuid(90)) // unknown: the parent's id
	chain(event(5, cause(90), inContext(3)), uuid(1))
	chain(event(6, inContext(91), cause(1)), uuid(91))
	chain(event(7, cause(4), cause(1)), uuid(90))
	chain(event(8, eiffelLink{"FLOW_CONTEXT", uuid(1)}), uuid(8))

	// A parent that came from a CDEvent has its chain, or, where it names none, its context id.
	through(t, s, goldenCDEvent(t, "root", "https://ci.example.com", createdType, "prod", "https://ci.example.com", map[string]any{}))
	r := through(t, s, edit(t, goldenCDEvent(t, "child", "https://ci.example.com", modifiedType, "prod", "https://ci.example.com", map[string]any{}), func(event map[string]any) {
		object(event, "context")["chainId"] = uuid(500)
	}))
	child := only(t, r)
	root := target(t, child, "PREVIOUS_VERSION")
	chain(event(9, eiffelLink{"CAUSE", child.ID}), uuid(500))
	chain(event(10, eiffelLink{"CAUSE", root}), "root")
}

// TestCustomDataWithoutCarrying: keys that repeat become an array of their values, and a base64 string is one entry.
func TestCustomDataWithoutCarrying(t *testing.T) {
	none := translate.Settings{Carry: translate.CarryNone}
	var w scribe
	w.t = t
	text := w.eiffel("EiffelEnvironmentDefinedEvent", "4.0.1", uuid(1), 1772355600000, envSource, map[string]any{"name": "prod", "customData": []any{
		map[string]any{"key": "a", "value": json.Number("1.50")},
		map[string]any{"key": "b", "value": []any{1, 2}},
		map[string]any{"key": "a", "value": map[string]any{"x": nil}},
		map[string]any{"key": "", "value": "empty"},
		map[string]any{"key": "a", "value": nil},
	}})
	e := only(t, alone(t, none, text))
	if got, want := string(field(t, e, "/customData").Raw()), `{"eiffel":{"id":"`+uuid(1)+`"},"a":[1.50,{"x":null},null],"b":[1,2],"":"empty"}`; got != want {
		t.Errorf("the custom data is\n%s, want\n%s", got, want)
	}

	cd := edit(t, life(t)[0], func(event map[string]any) {
		event["customData"], event["customDataContentType"] = "aGVsbG8=", "text/plain"
	})
	e = only(t, alone(t, none, cd))
	found := false
	for entry := range field(t, e, "/data/customData").Children() {
		if entry.Get("key").Str() == "customData" {
			found = true
			if got, want := string(entry.Get("value").Raw()), `{"customData":"aGVsbG8=","customDataContentType":"text/plain"}`; got != want {
				t.Errorf("the base64 text is %s, want %s", got, want)
			}
		}
	}
	if !found {
		t.Errorf("no entry customData in %s", e.JSON)
	}
}

// TestValuesThatDoNotFit: free text where CDEvents wants a URI or an id.
func TestValuesThatDoNotFit(t *testing.T) {
	var w scribe
	w.t = t
	text := w.eiffel("EiffelEnvironmentDefinedEvent", "4.0.1", uuid(1), -1, "no uri \\ %zz ü", map[string]any{"name": "", "uri": "http://[broken"})
	for _, carry := range []translate.Carry{translate.CarryOriginal, translate.CarryNone} {
		r := alone(t, translate.Settings{Carry: carry}, text)
		e := only(t, r)
		for pointer, want := range map[string]string{
			"/subject/id":          "urn:uuid:" + uuid(1),
			"/context/timestamp":   "1969-12-31T23:59:59.999Z",
			"/subject/content/uri": "",
		} {
			if got := field(t, e, pointer).Str(); got != want {
				t.Errorf("%s is %q, want %q", pointer, got, want)
			}
		}
		if got := field(t, e, "/context/source").Str(); got == "" || indexByte(got, ' ') >= 0 {
			t.Errorf("the source is %q", got)
		}
		lost := false
		for _, l := range r.Losses {
			lost = lost || l.Pointer == "/data/uri" && l.Carried == (carry == translate.CarryOriginal)
		}
		if !lost {
			t.Errorf("the uri is left out without a word: %+v", r.Losses)
		}
	}
}
