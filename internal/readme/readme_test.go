// Package readme holds the README to what the program does.
package readme

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

const (
	readme = "../../README.md"
	begin  = "<!-- example:begin -->\n"
	end    = "<!-- example:end -->"
)

// event is the CDEvent of the worked example.
const event = `{"context":{"specversion":"0.5.1","id":"6a1f0a3e-7d1c-4a52-9a43-0d4a6f0e1b02","source":"https://ci.example.com/deploy",
"type":"dev.cdevents.service.upgraded.0.3.0","timestamp":"2026-03-02T09:00:00Z"},"subject":{"id":"shop","content":{"environment":
{"id":"production","source":"https://k8s.example.com/eu-1"},"artifactId":"pkg:oci/shop@1.1.0?repository_url=ghcr.io/acme"}}}`

// TestExample makes the worked example with the program and compares it with the one in the README; UPDATE_GOLDEN=1 writes it.
func TestExample(t *testing.T) {
	engine, err := translate.New(translate.Settings{Version: "0.1.0"})
	if err != nil {
		t.Fatal(err)
	}
	there, err := translate.NewSession(engine, translate.NewMemoryLedger()).Translate(context.Background(), []byte(event))
	if err != nil {
		t.Fatal(err)
	}
	back := translate.NewSession(engine, translate.NewMemoryLedger())
	var b strings.Builder
	b.WriteString("```json\n" + members(t, []byte(event)) + "```\n\n")
	b.WriteString("Eiffel needs an artifact and an environment to say that. Nobody has spoken of either yet, so that they are synthesized; their ids follow from what\n" +
		"they stand for, and are the same wherever they are made:\n\n```json\n")
	for _, e := range there.Events {
		text := strings.ReplaceAll(string(e.JSON), `{"event":`+compact(t, event)+`}`, `{"event":"(the CDEvent as it came)"}`)
		b.WriteString(members(t, []byte(text)))
		again, err := back.Translate(context.Background(), e.JSON)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case e.Synthesized && len(again.Events) != 0:
			t.Errorf("what was synthesized came back as %s", again.Events[0].JSON)
		case !e.Synthesized && (len(again.Events) != 1 || string(again.Events[0].JSON) != compact(t, event)):
			t.Error("the CDEvent did not come back")
		}
	}
	b.WriteString("```\n\nTranslating these three back gives the one CDEvent again, byte for byte.\n")
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	got, after, ended := strings.Cut(rest, end)
	if !ok || !ended {
		t.Fatalf("the README has no section between %q and %q", begin, end)
	}
	if got == b.String() {
		return
	}
	if os.Getenv("UPDATE_GOLDEN") == "" {
		t.Fatalf("the worked example in the README is stale; UPDATE_GOLDEN=1 go test ./internal/readme makes it anew; it is\n%s", b.String())
	}
	if err := os.WriteFile(readme, []byte(before+begin+b.String()+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

func compact(t *testing.T, text string) string {
	t.Helper()
	d, err := jsondoc.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return string(d.Bytes())
}

// members writes an object with a line for each of its members.
func members(t *testing.T, text []byte) string {
	t.Helper()
	d, err := jsondoc.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for v := range d.Root().Children() {
		lines = append(lines, "  \""+v.Key()+"\": "+spaced(string(v.Raw())))
	}
	out := "{\n" + strings.Join(lines, ",\n") + "\n}\n"
	if !json.Valid([]byte(out)) {
		t.Fatalf("no JSON: %s", out)
	}
	return out
}

// spaced puts a space behind the commas and colons between tokens.
func spaced(text string) string {
	var b strings.Builder
	inString := false
	for i := 0; i < len(text); i++ {
		c := text[i]
		b.WriteByte(c)
		switch {
		case c == '\\':
			i++
			b.WriteByte(text[i])
		case c == '"':
			inString = !inString
		case !inString && (c == ',' || c == ':'):
			b.WriteByte(' ')
		}
	}
	return b.String()
}
