// Package servicesdoc holds docs/services.md to what the program does: the examples in it are executed.
package servicesdoc

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/eiffelbridge/eiffelbridge/translate"
)

// The examples are the blocks of the document that are marked as events. Each begins with empty ledgers; a line is an event and,
// behind the arrow, what comes out:
//
//	[B] HH:MM  <event>   → <output>, <output>
//
//	environment.created ENV             the CDEvents: modified, deleted
//	service.deployed ID PURL in ENV     upgraded, rolledback
//	service.published ID [in ENV]       removed
//	artifact.packaged PURL
//	ED ENV                              the Eiffel events
//	ArtC PURL
//	ArtD PURL in ENV [service ID] [config PURL]
//	CLM NAME VALUE                      on the last ArtD
//
// "B" is a process that has a ledger of its own. An output is a CDEvent with the id of its subject, or an Eiffel event's short
// name, with "*" where it is synthesized and, in parentheses, a link: its type and the time of the line that it leads to.

const document = "../../docs/services.md"

var block = regexp.MustCompile("(?ms)^```events\n(.*?)^```$")

func TestExamples(t *testing.T) {
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	blocks := block.FindAllSubmatchIndex(text, -1)
	if len(blocks) == 0 {
		t.Fatal("the document has no examples")
	}
	engine, err := translate.New(translate.DefaultSettings())
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range blocks {
		first := 1 + strings.Count(string(text[:at[2]]), "\n")
		e := &example{t: t, engine: engine, processes: map[string]*translate.Session{}, became: map[string]string{}, artifacts: map[string]string{}, environments: map[string]string{}}
		for i, line := range strings.Split(strings.TrimSpace(string(text[at[2]:at[3]])), "\n") {
			e.where = fmt.Sprintf("services.md:%d", first+i)
			e.line(line)
		}
	}
}

// example is a block while it is executed.
type example struct {
	t            *testing.T
	engine       *translate.Engine
	where        string
	processes    map[string]*translate.Session
	became       map[string]string // time of a line -> id of the Eiffel event that it is or became
	artifacts    map[string]string // purl -> id of its ArtC
	environments map[string]string // environment -> id of its last ED
	deployment   string            // id of the last ArtD
	n            int
}

func (e *example) fail(format string, args ...any) {
	e.t.Helper()
	e.t.Fatalf("%s: %s", e.where, fmt.Sprintf(format, args...))
}

func (e *example) line(line string) {
	e.t.Helper()
	event, want, ok := strings.Cut(line, "→")
	words := strings.Fields(event)
	if !ok || len(words) < 3 {
		e.fail("not understood: %s", line)
	}
	process := ""
	if words[0] == "B" {
		process, words = "B", words[1:]
	}
	clock, err := time.Parse("2006-01-02 15:04", "2026-03-01 "+words[0])
	if err != nil {
		e.fail("%v", err)
	}
	e.n++
	text, id := e.event(clock, words[1:])
	session := e.processes[process]
	if session == nil {
		session = translate.NewSession(e.engine, translate.NewMemoryLedger())
		e.processes[process] = session
	}
	result, err := session.Translate(context.Background(), text)
	if err != nil {
		e.fail("%v", err)
	}
	if main, ok := result.Main(); ok && main.Protocol == translate.Eiffel {
		id = main.ID
	}
	e.became[words[0]] = id
	outputs := strings.Split(want, ", ")
	if len(outputs) != len(result.Events) {
		e.fail("%d events come out, the document says %d: %+v", len(result.Events), len(outputs), result.Events)
	}
	for i, out := range outputs {
		if got := e.output(&result.Events[i], strings.TrimSpace(out)); got != strings.TrimSpace(out) {
			e.fail("%s comes out, the document says %s", got, strings.TrimSpace(out))
		}
	}
}

// output writes an event as the document does; a link only as far as the document says it.
func (e *example) output(out *translate.Event, want string) string {
	var v struct {
		Subject struct{ ID string }
		Links   []struct{ Type, Target string }
	}
	if err := json.Unmarshal(out.JSON, &v); err != nil {
		e.fail("%v", err)
	}
	if out.Protocol == translate.CDEvents {
		parts := strings.Split(strings.TrimPrefix(out.Type, "dev.cdevents."), ".")
		if strings.HasPrefix(out.Type, "dev.cdeventsx.") {
			return "a custom event"
		}
		return parts[0] + "." + parts[1] + " " + v.Subject.ID
	}
	name := out.Type
	for short, full := range eiffel {
		if full == out.Type {
			name = short
		}
	}
	if out.Synthesized {
		name += "*"
	}
	_, link, ok := strings.Cut(want, " (")
	if !ok {
		return name
	}
	linkType, at, _ := strings.Cut(strings.TrimSuffix(link, ")"), " ")
	for _, l := range v.Links {
		if l.Type == linkType && l.Target == e.became[at] {
			return name + " (" + linkType + " " + at + ")"
		}
	}
	return name + " (no such link)"
}

var eiffel = map[string]string{
	"ED": "EiffelEnvironmentDefinedEvent", "ArtC": "EiffelArtifactCreatedEvent", "ArtD": "EiffelArtifactDeployedEvent",
	"CLM": "EiffelConfidenceLevelModifiedEvent", "AnnP": "EiffelAnnouncementPublishedEvent", "CD": "EiffelCompositionDefinedEvent",
}

var versions = map[string]string{"ED": "3.3.0", "ArtC": "3.3.0", "ArtD": "0.1.0", "CLM": "3.3.0"}

// event writes the event of a line; id is its own if it is an Eiffel event.
func (e *example) event(clock time.Time, words []string) (text []byte, id string) {
	e.t.Helper()
	kind, words := words[0], words[1:]
	own := fmt.Sprintf("00000000-0000-4000-8000-%012d", e.n)
	option := map[string]string{} // "in ENV", "service ID", "config PURL"
	for i := len(words) - 2; i >= 0; i-- {
		switch words[i] {
		case "in", "service", "config":
			option[words[i]] = words[i+1]
			words = words[:i]
		}
	}
	if len(words) == 0 {
		e.fail("%s of what?", kind)
	}
	if strings.Contains(kind, ".") {
		content := map[string]any{}
		source := "https://deploy.example.com"
		if option["in"] != "" {
			content["environment"] = map[string]any{"id": option["in"], "source": "https://k8s.example.com"}
		}
		switch {
		case strings.HasPrefix(kind, "environment."):
			source = "https://k8s.example.com"
		case kind == "artifact.packaged":
			content["change"] = map[string]any{"id": "1"}
		case len(words) == 2:
			content["artifactId"] = words[1]
		}
		return e.marshal(map[string]any{
			"context": map[string]any{"specversion": "0.5.1", "id": own, "source": source, "type": "dev.cdevents." + kind + ".0.3.0", "timestamp": clock.Format(time.RFC3339)},
			"subject": map[string]any{"id": words[0], "source": source, "content": content},
		}), ""
	}
	data := map[string]any{}
	links := []map[string]any{}
	link := func(linkType, target string) {
		if target == "" {
			target = "ffffffff-ffff-4fff-8fff-ffffffffffff" // an event that never comes
		}
		links = append(links, map[string]any{"type": linkType, "target": target})
	}
	switch kind {
	case "ED":
		data["name"] = words[0]
		e.environments[words[0]] = own
	case "ArtC":
		data["identity"] = words[0]
		e.artifacts[words[0]] = own
	case "ArtD":
		link("ARTIFACT", e.artifacts[words[0]])
		link("ENVIRONMENT", e.environments[option["in"]])
		if option["config"] != "" {
			link("CONFIGURATION", e.artifacts[option["config"]])
		}
		if option["service"] != "" {
			data["customData"] = []map[string]any{{"key": "serviceId", "value": option["service"]}}
		}
		e.deployment = own
	case "CLM":
		data["name"], data["value"] = words[0], words[1]
		link("SUBJECT", e.deployment)
	default:
		e.fail("there is no event %s", kind)
	}
	return e.marshal(map[string]any{
		"meta": map[string]any{"id": own, "type": eiffel[kind], "version": versions[kind], "time": clock.UnixMilli(), "source": map[string]any{"uri": "https://deploy.example.com"}},
		"data": data, "links": links,
	}), own
}

func (e *example) marshal(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		e.fail("%v", err)
	}
	return text
}
