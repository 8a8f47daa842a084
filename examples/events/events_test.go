package events_test

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/examples/events"
	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// stories are both, the first told first.
func stories(t *testing.T) []events.Example {
	t.Helper()
	first, err := events.CDEvents()
	if err != nil {
		t.Fatal(err)
	}
	second, err := events.Eiffel()
	if err != nil {
		t.Fatal(err)
	}
	return append(first, second...)
}

func decode(t *testing.T, e events.Example) translate.Event {
	t.Helper()
	event, err := translate.Decode(e.JSON)
	if err != nil {
		t.Fatalf("%s: %v", e.File, err)
	}
	return event
}

// TestEveryTypeIsThere also holds the files' names to the types and the story to the files.
func TestEveryTypeIsThere(t *testing.T) {
	want := map[string]string{} // name -> full type, with the version for Eiffel
	for _, full := range schema.CDEventTypes() {
		s, err := schema.ForCDEvent(full, "")
		if err != nil {
			t.Fatal(err)
		}
		if newest, ok := schema.CDEventType("0.5", s.Subject(), s.Predicate()); ok && newest == full {
			want["cdevents/"+s.Subject()+"."+s.Predicate()+".json"] = full
		}
	}
	for _, full := range schema.EiffelTypes() {
		if version, ok := schema.EditionVersion("Orizaba", full); ok {
			want["eiffel/"+strings.TrimSuffix(strings.TrimPrefix(full, "Eiffel"), "Event")+".json"] = full + " " + version
		}
	}
	var told []string
	for _, e := range stories(t) {
		event := decode(t, e)
		got := event.Type
		if event.Protocol == translate.Eiffel {
			got += " " + event.Version
		}
		told = append(told, e.File)
		if path := filepath.Base(e.File); path != e.Name+".json" {
			t.Errorf("%s is called %s in the list", path, e.Name)
		}
		file := e.File
		if first, _, ok := strings.Cut(e.Name, "-"); ok {
			file = filepath.ToSlash(filepath.Join(filepath.Dir(e.File), first+".json")) // a second event of the type
		}
		switch {
		case e.Name == "custom" && strings.HasPrefix(event.Type, "dev.cdeventsx."):
		case want[file] != got:
			t.Errorf("%s is of type %s, want %s", e.File, got, want[file])
		}
	}
	for file, full := range want {
		if !slices.Contains(told, file) {
			t.Errorf("there is no example of %s: %s", full, file)
		}
	}
	if !slices.Contains(told, "cdevents/custom.json") {
		t.Error("there is no example of a custom event")
	}
	there, err := filepath.Glob("*/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range there {
		if !slices.Contains(told, filepath.ToSlash(file)) {
			t.Errorf("the README tells nothing of %s", file)
		}
	}
	if slices.Sort(told); len(slices.Compact(slices.Clone(told))) != len(told) {
		t.Error("the README tells an event twice")
	}
}

// TestValid holds the examples to the schemas and link rules, and their ids to being ids.
func TestValid(t *testing.T) {
	seen := map[string]string{}
	for _, e := range stories(t) {
		event := decode(t, e)
		for _, finding := range event.Validate() {
			t.Errorf("%s: %v", e.File, finding)
		}
		if other, ok := seen[event.ID]; ok {
			t.Errorf("%s and %s have the same id", e.File, other)
		}
		seen[event.ID] = e.File
	}
}

// TestReferencesResolve wants every link to lead to an event that was told before.
func TestReferencesResolve(t *testing.T) {
	typeOf := map[string]string{}
	for _, e := range stories(t) {
		event := decode(t, e)
		var v struct {
			Context struct {
				Links []struct {
					Target, From struct{ ContextID string }
				}
			}
			Links []struct{ Type, Target string }
		}
		if err := json.Unmarshal(e.JSON, &v); err != nil {
			t.Fatal(err)
		}
		for _, l := range v.Context.Links {
			if id := l.Target.ContextID + l.From.ContextID; typeOf[id] == "" {
				t.Errorf("%s: no event before it has the id %s", e.File, id)
			}
		}
		if event.Protocol == translate.Eiffel {
			rules := schema.LinkRules(event.Type, event.Version)
			for _, l := range v.Links {
				i := slices.IndexFunc(rules, func(r schema.LinkRule) bool { return r.Type == l.Type })
				if typeOf[l.Target] == "" {
					t.Errorf("%s: no event before it has the id %s", e.File, l.Target)
				} else if i < 0 || rules[i].Targets != nil && !slices.Contains(rules[i].Targets, typeOf[l.Target]) {
					t.Errorf("%s: a %s link may not lead to an %s", e.File, l.Type, typeOf[l.Target])
				}
			}
		}
		typeOf[event.ID] = event.Type
	}
}

// TestThereAndBack translates both stories through one session, in order, and what comes out back through another.
func TestThereAndBack(t *testing.T) {
	engine, err := translate.New(translate.DefaultSettings())
	if err != nil {
		t.Fatal(err)
	}
	there := translate.NewSession(engine, translate.NewMemoryLedger())
	back := translate.NewSession(engine, translate.NewMemoryLedger())
	for _, e := range stories(t) {
		result, err := there.Translate(context.Background(), e.JSON)
		if err != nil {
			t.Errorf("%s: %v", e.File, err)
			continue
		}
		if len(result.Missing) > 0 {
			t.Errorf("%s: nobody knows %s, wanted for %s", e.File, result.Missing[0].Name, result.Missing[0].Want)
		}
		var returned []translate.Event
		for _, out := range result.Events {
			for _, finding := range out.Validate() {
				t.Errorf("%s becomes an event that is not valid: %v", e.File, finding)
			}
			again, err := back.Translate(context.Background(), out.JSON)
			if err != nil {
				t.Errorf("%s becomes %s, which cannot be translated back: %v", e.File, out.Type, err)
			}
			returned = append(returned, again.Events...)
		}
		// An Eiffel event may only teach the ledger something; there is nothing to come back then.
		if len(result.Events) == 0 && decode(t, e).Protocol == translate.Eiffel {
			continue
		}
		if len(returned) != 1 || !reflect.DeepEqual(value(t, returned[0].JSON), value(t, e.JSON)) {
			t.Errorf("%s does not come back; %d events do: %+v", e.File, len(returned), returned)
		}
	}
}

func value(t *testing.T, text []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}
