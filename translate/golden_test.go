package translate_test

import (
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/mappings"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// goldenCDEvent writes a CDEvent of version 0.5 with these parts of an identity.
func goldenCDEvent(t testing.TB, id, source, eventType, subject, subjectSource string, content map[string]any) string {
	t.Helper()
	text, err := json.Marshal(map[string]any{
		"context": map[string]any{"specversion": "0.5.1", "id": id, "source": source, "type": eventType, "timestamp": "2026-03-01T09:00:00Z"},
		"subject": map[string]any{"id": subject, "source": subjectSource, "content": content},
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// eventOfType is the one event of a type in a result.
func eventOfType(t testing.TB, r translate.Result, eiffelType string) translate.Event {
	t.Helper()
	var found []translate.Event
	for _, e := range r.Events {
		if e.Type == eiffelType {
			found = append(found, e)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d events of type %s, want one:\n%s", len(found), eiffelType, texts(r.Events))
	}
	return found[0]
}

// TestGoldenVectors crafts an event for every vector of the catalogue, so that the translation must come upon its id:
// ids are a promise to everyone who shares nothing with us but the mapping.
func TestGoldenVectors(t *testing.T) {
	catalogue, err := mappings.Load()
	if err != nil {
		t.Fatal(err)
	}
	if len(catalogue.Golden) == 0 {
		t.Fatal("the catalogue has no golden vectors")
	}
	kinds := map[string]bool{}
	for _, v := range catalogue.Golden {
		t.Run(v.For, func(t *testing.T) {
			kinds[v.Name[0]] = true
			if id := idOfParts(v.Name); id != v.ID {
				t.Errorf("by the letter of the contract %q gives %s, the catalogue says %s", v.Name, id, v.ID)
			}
			if v.For == "text with escapes" {
				return // its source is no URI, so that no valid event has it; TestIDsOfTextWithEscapes stands in
			}
			if id := goldenID(t, v.Name); id != v.ID {
				t.Errorf("%q gives %s, want %s", v.Name, id, v.ID)
			}
		})
	}
	for _, kind := range []string{"anchor", "version", "event", "synthesized"} {
		if !kinds[kind] {
			t.Errorf("the catalogue has no golden vector for %q", kind)
		}
	}
}

const (
	deployedType = "dev.cdevents.service.deployed.0.3.0"
	createdType  = "dev.cdevents.environment.created.0.3.0"
	modifiedType = "dev.cdevents.environment.modified.0.3.0"
)

// goldenID lets the translation derive an id from the parts of its name.
func goldenID(t *testing.T, name []string) string {
	t.Helper()
	var s = newSession(t, translate.Settings{})
	switch kind, eiffelType := name[0], name[1]; {
	case kind == "anchor" && eiffelType == "EiffelEnvironmentDefinedEvent":
		return only(t, through(t, s, goldenCDEvent(t, "e-1", "https://example.com/other", createdType, name[4], name[3], map[string]any{}))).ID
	case kind == "anchor" && eiffelType == "EiffelArtifactCreatedEvent":
		// The anchor of an artifact is synthesized for whoever deploys it; its source does not count.
		r := through(t, s, goldenCDEvent(t, "d-1", "https://example.com/any", deployedType, "shop", "https://example.com/any",
			map[string]any{"environment": map[string]any{"id": "prod"}, "artifactId": name[4]}))
		made := eventOfType(t, r, eiffelType)
		if real := last(t, through(t, newSession(t, translate.Settings{}), goldenCDEvent(t, "p-1", "https://example.com/any",
			"dev.cdevents.artifact.packaged.0.3.0", name[4], "https://example.com/another", map[string]any{"change": map[string]any{"id": "c"}}))); real.ID != made.ID {
			t.Errorf("the artifact's creation has the id %s, its stand-in %s", real.ID, made.ID)
		}
		return made.ID
	case kind == "version":
		through(t, s, goldenCDEvent(t, "e-1", "https://example.com/other", createdType, name[4], name[3], map[string]any{}))
		return only(t, through(t, s, goldenCDEvent(t, name[6], name[5], modifiedType, name[4], name[3], map[string]any{}))).ID
	case kind == "event":
		return last(t, through(t, s, goldenCDEvent(t, name[2], name[1], name[3], "shop", "https://example.com/any",
			map[string]any{"environment": map[string]any{"id": "prod"}, "artifactId": "pkg:oci/shop@1.0.0"}))).ID
	case kind == "synthesized" && strings.HasPrefix(name[4], "dev.cdevents.service.published."):
		r := through(t, s, goldenCDEvent(t, name[3], name[2], name[4], "shop", "https://example.com/any", map[string]any{}))
		return eventOfType(t, r, "EiffelCompositionDefinedEvent").ID
	}
	t.Fatalf("no event is known that needs an id of the form %q; add one", name)
	return ""
}

// idOfParts is the version 5 UUID of a name, written anew from the contract's words: a compact JSON array of strings with
// only the escapes that JSON demands, in the project's namespace.
func idOfParts(parts []string) string {
	namespace, err := hex.DecodeString("35d9d288e001578a808e3bc1e512cb78")
	if err != nil {
		panic(err)
	}
	text := "["
	for i, p := range parts {
		if i > 0 {
			text += ","
		}
		text += `"`
		for _, r := range p {
			if short, ok := map[rune]string{'"': `\"`, '\\': `\\`, '\b': `\b`, '\f': `\f`, '\n': `\n`, '\r': `\r`, '\t': `\t`}[r]; ok {
				text += short
			} else if r < 0x20 {
				text += fmt.Sprintf(`\u%04x`, r)
			} else {
				text += string(r)
			}
		}
		text += `"`
	}
	sum := sha1.Sum(append(namespace, text+"]"...))
	sum[6], sum[8] = sum[6]&0x0f|0x50, sum[8]&0x3f|0x80
	h := hex.EncodeToString(sum[:16])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// TestIDsOfTextWithEscapes derives ids from text that JSON and HTML escape in different ways.
func TestIDsOfTextWithEscapes(t *testing.T) {
	const odd = "é\"\\\u0001\b\f\n\r\t/<&>\u2028\u007f🚀"
	for _, name := range [][]string{
		{"event", "https://example.com/%C3%A9", odd, deployedType},
		{"anchor", "EiffelEnvironmentDefinedEvent", "environment", "https://example.com", odd},
		{"version", "EiffelEnvironmentDefinedEvent", "environment", "https://example.com", odd, "https://example.com/ci", odd},
		{"synthesized", "SUBJECT", "https://example.com", odd, "dev.cdevents.service.published.0.3.0"},
	} {
		if got, want := goldenID(t, name), idOfParts(name); got != want {
			t.Errorf("%q gives %s, want %s", name, got, want)
		}
	}
}
