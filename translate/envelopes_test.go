package translate_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/examples/events"
	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/internal/schema/generate"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// natives are Eiffel events of every type: those of a deployment, and of all others the examples of this repository.
func natives(t testing.TB) []string {
	t.Helper()
	const text = `case natives
ED prod
ArtC A pkg:oci/shop@1.0.0
ArtD A in prod as a
CLM servicePublished SUCCESS on a
CLM stable SUCCESS on A
`
	var out []string
	for _, st := range parseScenarios(t, "natives", text)[0].steps {
		out = append(out, st.text)
	}
	seen := map[string]bool{}
	for _, text := range out {
		seen[object(value(t, []byte(text)).(map[string]any), "meta")["type"].(string)] = true
	}
	story, err := events.Eiffel()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range story {
		if eventType := object(value(t, e.JSON).(map[string]any), "meta")["type"].(string); !seen[eventType] {
			seen[eventType] = true
			out = append(out, compact(t, string(e.JSON)))
		}
	}
	if len(seen) != len(schema.EiffelTypes()) {
		t.Fatalf("natives of %d types, want %d", len(seen), len(schema.EiffelTypes()))
	}
	return out
}

// withEntry adds an entry to an Eiffel event's custom data, and our serializer if ours is true.
func withEntry(t testing.TB, text string, entry any, ours bool) string {
	t.Helper()
	return edit(t, text, func(event map[string]any) {
		data := object(event, "data")
		list, _ := data["customData"].([]any)
		data["customData"] = append(list, map[string]any{"key": "cdevents", "value": entry})
		if ours {
			setSerializer(event)
		}
	})
}

func setSerializer(event map[string]any) {
	meta := object(event, "meta")
	if meta["source"] == nil {
		meta["source"] = map[string]any{}
	}
	object(meta, "source")["serializer"] = "pkg:golang/github.com/eiffelbridge/eiffelbridge@1.2.3"
}

// bare is an output without what it carries.
func bare(t testing.TB, e translate.Event) string {
	t.Helper()
	return edit(t, string(e.JSON), func(event map[string]any) {
		if e.Protocol == translate.Eiffel {
			data := object(event, "data")
			delete(data, "customData")
			return
		}
		delete(event, "customData")
		// A custom event's content is data, and so is what is ordinary custom data there.
		delete(object(object(event, "subject"), "content"), "customData")
	})
}

// forgeries are values under our key that must not be believed, whatever event they stand in.
func forgeries(t testing.TB, original any) map[string]any {
	t.Helper()
	nested := map[string]any{"event": map[string]any{"customData": map[string]any{"eiffel": map[string]any{"event": original}}}}
	return map[string]any{
		"a string":            "x",
		"a number":            1,
		"null":                nil,
		"an array":            []any{map[string]any{"event": original}},
		"empty":               map[string]any{},
		"an event in text":    map[string]any{"event": "{}"},
		"an empty event":      map[string]any{"event": map[string]any{}},
		"a foreign event":     map[string]any{"event": map[string]any{"context": map[string]any{"id": "x"}}},
		"an unknown member":   map[string]any{"event": original, "more": true},
		"event and id":        map[string]any{"event": original, "id": "x"},
		"an id that is none":  map[string]any{"id": 7},
		"of another event":    map[string]any{"event": original},
		"nested":              nested,
		"synthesized for it":  map[string]any{"synthesizedFor": "x"},
		"synthesized for 'n'": map[string]any{"synthesizedFor": nil},
	}
}

// nests tells whether a carried value has the form of what the bridge writes, so that carrying it would nest.
func nests(v any) bool {
	o, ok := v.(map[string]any)
	if !ok || len(o) != 1 {
		return false
	}
	_, event := o["event"].(map[string]any)
	_, made := o["synthesizedFor"].(string)
	_, id := o["id"].(string)
	return event || made || id
}

// TestForgedEnvelopesInCDEvents puts values under our key into CDEvents: nothing changes but what is carried.
func TestForgedEnvelopesInCDEvents(t *testing.T) {
	engine := newEngine(t, translate.Settings{})
	foreign := value(t, []byte(natives(t)[0]))
	for i, line := range life(t) {
		plain := through(t, fresh(engine), line)
		for name, forged := range forgeries(t, foreign) {
			text := edit(t, line, func(event map[string]any) {
				custom := object(event, "customData")
				if custom == nil {
					custom = map[string]any{}
					event["customData"] = custom
					event["customDataContentType"] = "application/json"
				}
				custom["eiffel"] = forged
			})
			checkForged(t, engine, fmt.Sprintf("event %d, %s", i, name), text, plain, nests(forged), "/customData/eiffel")
		}
	}
}

// checkForged translates an event with a forged envelope: the output is that of the event without it, and translates
// back into the event, if not without the envelope where carrying it would nest.
func checkForged(t *testing.T, engine *translate.Engine, where, text string, plain translate.Result, nests bool, pointer string) {
	t.Helper()
	r, err := fresh(engine).Translate(context.Background(), []byte(text))
	if err != nil {
		t.Errorf("%s: %v\n%s", where, err, text)
		return
	}
	if !hasDiagnostic(r, "envelope_not_believed") {
		t.Errorf("%s: no diagnostic says that it was not believed\n%s", where, text)
	}
	if len(r.Events) != len(plain.Events) {
		t.Errorf("%s: %d events, want %d", where, len(r.Events), len(plain.Events))
		return
	}
	var given []translate.Event
	for i, e := range r.Events {
		checkValid(t, e)
		if got, want := bare(t, e), bare(t, plain.Events[i]); got != want {
			t.Errorf("%s: became\n%s\nwithout the envelope\n%s", where, got, want)
		}
		given = append(given, through(t, fresh(engine), string(e.JSON)).Events...)
	}
	if len(given) != 1 {
		t.Errorf("%s: given back\n%s\nwant\n%s", where, texts(given), text)
		return
	}
	var lost []string
	for _, l := range r.Losses {
		if l.Reason == "envelope" {
			lost = append(lost, l.Pointer)
		}
	}
	// Only what would nest may be lost, and only the envelope itself.
	if len(lost) > 1 || len(lost) == 1 && (!nests || lost[0] != pointer) {
		t.Errorf("%s: lost is %q", where, lost)
	}
	checkComesBack(t, given[0].JSON, []byte(compact(t, text)), r)
}

// TestForgedEnvelopesInEiffel does the same with Eiffel events, signed with our serializer and not.
func TestForgedEnvelopesInEiffel(t *testing.T) {
	engine := newEngine(t, translate.Settings{})
	foreign := value(t, []byte(life(t)[0]))
	for i, native := range natives(t) {
		for _, ours := range []bool{false, true} {
			plainText := native
			if ours {
				plainText = edit(t, native, setSerializer)
			}
			plain := through(t, fresh(engine), plainText)
			for name, forged := range forgeries(t, foreign) {
				text := withEntry(t, native, forged, ours)
				before, _ := object(value(t, []byte(native)).(map[string]any), "data")["customData"].([]any)
				pointer := fmt.Sprintf("/data/customData/%d", len(before))
				checkForged(t, engine, fmt.Sprintf("event %d, %s, our serializer %t", i, name, ours), text, plain, nests(forged), pointer)
			}
		}
	}
}

// TestTamperedEnvelopes changes one thing about what the bridge itself wrote, in either direction: it is believed no more.
func TestTamperedEnvelopes(t *testing.T) {
	engine := newEngine(t, translate.Settings{})
	original := func(event map[string]any) map[string]any {
		if custom, ok := event["customData"].(map[string]any); ok {
			return object(object(custom, "eiffel"), "event")
		}
		list := object(event, "data")["customData"].([]any)
		return object(list[0].(map[string]any)["value"].(map[string]any), "event")
	}
	tamper := map[translate.Protocol]map[string]func(map[string]any){
		translate.Eiffel: {
			"the id":   func(e map[string]any) { object(e, "meta")["id"] = uuid(1) },
			"the time": func(e map[string]any) { object(e, "meta")["time"] = 1 },
			"the serializer": func(e map[string]any) {
				object(object(e, "meta"), "source")["serializer"] = "pkg:golang/example.com/other@1.0.0"
			},
			"the serializer's name": func(e map[string]any) {
				object(object(e, "meta"), "source")["serializer"] = "pkg:golang/github.com/eiffelbridge/eiffelbridge-too@1.0.0"
			},
			"no serializer":           func(e map[string]any) { delete(object(object(e, "meta"), "source"), "serializer") },
			"the original's id":       func(e map[string]any) { object(original(e), "context")["id"] = "another" },
			"the original's time":     func(e map[string]any) { object(original(e), "context")["timestamp"] = "2020-01-01T00:00:00Z" },
			"the original's subject":  func(e map[string]any) { object(original(e), "subject")["id"] = "another" },
			"the original's type":     func(e map[string]any) { object(original(e), "context")["type"] = "dev.cdevents.change.merged.0.3.0" },
			"the original's validity": func(e map[string]any) { original(e)["more"] = 1 },
		},
		translate.CDEvents: {
			"the id":                  func(e map[string]any) { object(e, "context")["id"] = uuid(1) },
			"the time":                func(e map[string]any) { object(e, "context")["timestamp"] = "2020-01-01T00:00:00Z" },
			"the original's id":       func(e map[string]any) { object(original(e), "meta")["id"] = uuid(2) },
			"the original's time":     func(e map[string]any) { object(original(e), "meta")["time"] = 1 },
			"the original's validity": func(e map[string]any) { object(original(e), "meta")["tags"] = 7 },
			"the original's type": func(e map[string]any) {
				o := original(e)
				object(o, "meta")["type"], object(o, "meta")["version"] = "EiffelActivityTriggeredEvent", "4.0.0"
				o["data"], o["links"] = map[string]any{"name": "x"}, []any{}
			},
		},
	}
	for i, line := range append(life(t), natives(t)...) {
		wrote := last(t, through(t, fresh(engine), line))
		if r := through(t, fresh(engine), string(wrote.JSON)); string(only(t, r).JSON) != compact(t, line) {
			t.Errorf("event %d: not given back as it is", i)
		}
		for name, change := range tamper[wrote.Protocol] {
			if name == "the original's subject" && wrote.Type != "EiffelEnvironmentDefinedEvent" {
				continue // only an anchor's id follows from the subject
			}
			if name == "the original's id" && wrote.Type == "EiffelEnvironmentDefinedEvent" {
				continue // and a first anchor's from nothing else
			}
			text := edit(t, string(wrote.JSON), change)
			r, err := fresh(engine).Translate(context.Background(), []byte(text))
			if err != nil {
				t.Errorf("event %d, %s: %v", i, name, err)
				continue
			}
			if r.Returning != "" || !hasDiagnostic(r, "envelope_not_believed") {
				t.Errorf("event %d, %s: believed: %s", i, name, text)
			}
		}
	}
}

// reserialized is an event as some intermediary writes it again: other order of members, other white space, other escapes.
func reserialized(t testing.TB, text string) string {
	t.Helper()
	out, err := json.MarshalIndent(value(t, []byte(text)), "\t", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestReserializedEnvelopes lets an intermediary write what the bridge wrote anew, hop for hop: the original stays the
// same JSON value.
func TestReserializedEnvelopes(t *testing.T) {
	engine := newEngine(t, translate.Settings{})
	for i, line := range append(life(t), natives(t)...) {
		text := line
		for hop := range 6 {
			wrote := last(t, through(t, fresh(engine), text))
			text = string(last(t, through(t, fresh(engine), reserialized(t, string(wrote.JSON)))).JSON)
			if !jsonEqual(t, []byte(text), []byte(line)) {
				t.Fatalf("event %d, hop %d:\n%s\nwant\n%s", i, hop, text, line)
			}
		}
	}
}

// envelopeDepth is the greatest number of envelopes within one another.
func envelopeDepth(v jsondoc.Value) int {
	deepest := 0
	for c := range v.Children() {
		d := envelopeDepth(c)
		if c.Key() == "event" && v.Parent().Exists() && (v.Key() == "eiffel" || v.Key() == "value") {
			d++
		}
		deepest = max(deepest, d)
	}
	return deepest
}

// TestEnvelopesNeverNest sends events through many bridges that take what came round as any other event.
func TestEnvelopesNeverNest(t *testing.T) {
	for _, returning := range []translate.Returning{translate.ReturningTranslate, translate.ReturningGiveBack} {
		for _, again := range []func(testing.TB, string) string{func(_ testing.TB, s string) string { return s }, reserialized} {
			engine := newEngine(t, translate.Settings{Returning: returning})
			for i, line := range append(life(t), natives(t)...) {
				text, size := line, 0
				for hop := range 12 {
					r := through(t, fresh(engine), again(t, text))
					e := last(t, r)
					if d := envelopeDepth(field(t, e, "")); d > 1 {
						t.Fatalf("event %d, hop %d: %d envelopes deep: %s", i, hop, d, e.JSON)
					}
					if n := len(e.JSON); hop == 4 {
						size = n
					} else if hop > 4 && n > 2*size {
						t.Fatalf("event %d grows to %d bytes at hop %d: %s", i, n, hop, e.JSON)
					}
					text = string(e.JSON)
				}
			}
		}
	}
}

// TestUsersCustomDataUnderOurKeys carries and maps what a user had written there before us.
func TestUsersCustomDataUnderOurKeys(t *testing.T) {
	cd := edit(t, life(t)[0], func(event map[string]any) {
		event["customData"] = map[string]any{"eiffel": "mine", "cdevents": map[string]any{"mine": true}}
	})
	eiffel := edit(t, natives(t)[0], func(event map[string]any) {
		object(event, "data")["customData"] = []any{
			map[string]any{"key": "cdevents", "value": "mine"},
			map[string]any{"key": "eiffel", "value": map[string]any{"mine": true}},
			map[string]any{"key": "cdevents", "value": []any{1}},
		}
	})
	for _, text := range []string{cd, eiffel} {
		wrote := only(t, alone(t, translate.Settings{}, text))
		if back := only(t, alone(t, translate.Settings{}, string(wrote.JSON))); string(back.JSON) != compact(t, text) {
			t.Errorf("given back\n%s\nwant\n%s", back.JSON, text)
		}
	}

	none := translate.Settings{Carry: translate.CarryNone}
	wrote := only(t, alone(t, none, cd))
	entries := string(field(t, wrote, "/data/customData").Raw())
	for _, want := range []string{`{"key":"eiffel","value":"mine"}`, `{"key":"cdevents","value":{"mine":true}}`} {
		if !strings.Contains(entries, want) {
			t.Errorf("without carrying %s is missing in %s", want, entries)
		}
	}
	back := only(t, alone(t, none, string(wrote.JSON)))
	for pointer, want := range map[string]string{"/customData/eiffel": `"mine"`, "/customData/cdevents": `{"mine":true}`} {
		if got := string(field(t, back, pointer).Raw()); got != want {
			t.Errorf("without carrying %s came back as %s, want %s", pointer, got, want)
		}
	}

	wrote = only(t, alone(t, none, eiffel))
	for pointer, want := range map[string]string{"/customData/eiffel": `{"mine":true}`, "/customData/cdevents": `["mine",[1]]`} {
		if got := string(field(t, wrote, pointer).Raw()); got != want {
			t.Errorf("without carrying %s is %s, want %s", pointer, got, want)
		}
	}
}

// TestUsersCustomDataThatLooksLikeAMark has a user's member with a mark's name and form: it is theirs, so it comes back.
func TestUsersCustomDataThatLooksLikeAMark(t *testing.T) {
	cd := edit(t, life(t)[0], func(event map[string]any) {
		event["customData"] = map[string]any{"eiffel": map[string]any{"id": "the id of something of mine"}}
	})
	eiffel := edit(t, natives(t)[0], func(event map[string]any) {
		object(event, "data")["customData"] = []any{map[string]any{"key": "cdevents", "value": map[string]any{"id": "the id of something of mine"}}}
	})

	for _, text := range []string{cd, eiffel} {
		wrote := only(t, alone(t, translate.Settings{}, text))
		if back := only(t, alone(t, translate.Settings{}, string(wrote.JSON))); string(back.JSON) != compact(t, text) {
			t.Errorf("given back\n%s\nwant\n%s", back.JSON, text)
		}
	}
}

// madeUp translates an event and gives what was made up for it, each by what it translates back into.
func madeUp(t testing.TB, engine *translate.Engine, text string) (made []translate.Event, back [][]translate.Event) {
	t.Helper()
	r, err := fresh(engine).Translate(context.Background(), []byte(text))
	var refused *translate.EventError
	if errors.As(err, &refused) && refused.Code == translate.CodeNotInEdition {
		return nil, nil
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	for _, e := range r.Events {
		checkValid(t, e)
	}
	for _, e := range r.Events[:max(0, len(r.Events)-1)] {
		if !e.Synthesized {
			t.Errorf("an event before the last that is not synthesized: %s", e.JSON)
		}
		for _, again := range []string{string(e.JSON), reserialized(t, string(e.JSON))} {
			made = append(made, e)
			back = append(back, through(t, fresh(engine), again).Events)
		}
	}
	return made, back
}

// withVersion is a CDEvent with another version of its type.
func withVersion(t testing.TB, text, version string) string {
	t.Helper()
	return edit(t, text, func(event map[string]any) {
		c := object(event, "context")
		words := strings.Split(c["type"].(string), ".")
		c["type"] = strings.Join(words[:len(words)-3], ".") + "." + version
	})
}

// TestSynthesizedTranslatesIntoNothing translates back what was made up for events of every type in every version, and in
// versions that are not published yet, however it was made up.
func TestSynthesizedTranslatesIntoNothing(t *testing.T) {
	engines := map[string]*translate.Engine{}
	for name, settings := range map[string]translate.Settings{
		"missing":        {},
		"always":         {Synthesize: translate.SynthesizeAlways},
		"carry none":     {Synthesize: translate.SynthesizeAlways, Carry: translate.CarryNone},
		"all qualifiers": {Synthesize: translate.SynthesizeAlways, AllQualifiers: true},
		"Agen":           {Synthesize: translate.SynthesizeAlways, Edition: "Agen"},
	} {
		engines[name] = newEngine(t, settings)
	}
	of := map[string]int{} // what was made up, by type
	check := func(what, text string) {
		for name, engine := range engines {
			made, back := madeUp(t, engine, text)
			for i, e := range made {
				of[e.Type]++
				if len(back[i]) != 0 {
					t.Errorf("%s, %s: %s\ntranslates back into\n%s", what, name, e.JSON, texts(back[i]))
				}
			}
		}
	}
	for _, line := range life(t) {
		check("life", line)
	}
	types := 0
	for i, s := range generate.Schemas() {
		if s.SpecVersions() == nil {
			continue // CDEvents are never made up
		}
		types++
		for _, mode := range []generate.Mode{generate.Minimal, generate.Full, generate.Random, generate.Random} {
			w := generate.NewWriter(rand.New(rand.NewPCG(uint64(i), uint64(mode))))
			text := string(w.Event(s, mode))
			check(s.Type(), text)
			if mode != generate.Full || strings.HasPrefix(s.Type(), "dev.cdeventsx.") || !slices.Contains(s.SpecVersions(), "0.5.1") {
				continue // what comes later has the form of the newest one
			}
			for _, version := range []string{"0.9.0", "0.19.9"} {
				check(s.Type()+" as "+version, withVersion(t, text, version))
			}
		}
	}
	t.Logf("of %d types and versions was made up: %v", types, of)
	for _, eventType := range []string{
		"EiffelEnvironmentDefinedEvent", "EiffelArtifactCreatedEvent", "EiffelCompositionDefinedEvent", "EiffelActivityTriggeredEvent",
		"EiffelTestSuiteStartedEvent", "EiffelTestCaseTriggeredEvent", "EiffelSourceChangeCreatedEvent",
	} {
		if of[eventType] == 0 {
			t.Errorf("no %s was made up", eventType)
		}
	}
}
