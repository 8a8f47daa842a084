//go:build unix

package torture

import (
	"bytes"
	"crypto/sha1"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"time"

	"github.com/eiffelbridge/eiffelbridge/examples/events"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// Direction is a way through the relay.
type Direction string

const (
	// ToEiffel takes CDEvents over HTTP and publishes Eiffel events to an exchange.
	ToEiffel Direction = "to_eiffel"
	// ToCDEvents consumes Eiffel events from a queue and posts CDEvents to an HTTP sink.
	ToCDEvents Direction = "to_cdevents"
)

// input is an event that is fed to the relay.
type input struct {
	event  translate.Event // the zero Event if it is poison that cannot be read
	body   []byte
	poison bool
	after  time.Duration // how long the sender waits before it
}

// unit is a list of events that refer to each other and to what came before all units, and to nothing else. They are sent in
// their order, units side by side: so what each becomes does not depend on how units interleave.
type unit []*input

// workload is what a cell feeds.
type workload struct {
	first unit   // to be accepted before all others
	units []unit // in random order
	total int
}

// newWorkload makes about n events: a third are stories with an event of every type, the rest are lives of services
// in a few environments.
func newWorkload(d Direction, n int, random *rand.Rand) (*workload, error) {
	stories, life := events.CDEvents, cdeventsLife
	first := cdeventsEnvironments
	if d == ToCDEvents {
		stories, life, first = events.Eiffel, eiffelLife, eiffelEnvironments
	}
	story, err := stories()
	if err != nil {
		return nil, err
	}
	w := &workload{}
	for _, text := range first() {
		if w.first, err = w.first.add(text); err != nil {
			return nil, err
		}
	}
	w.total = len(w.first)
	for number := 0; w.total < n; number++ {
		var u unit
		if number%5 == 0 {
			for _, e := range story {
				if u, err = u.add(renamed(e.JSON, number)); err != nil {
					return nil, fmt.Errorf("%s: %w", e.File, err)
				}
			}
		} else {
			for _, text := range life(number) {
				if u, err = u.add(text); err != nil {
					return nil, err
				}
			}
		}
		w.total += len(u)
		w.units = append(w.units, u)
	}
	random.Shuffle(len(w.units), func(i, j int) { w.units[i], w.units[j] = w.units[j], w.units[i] })
	return w, nil
}

func (u unit) add(text []byte) (unit, error) {
	event, err := translate.Decode(text)
	if err != nil {
		return u, err
	}
	return append(u, &input{event: event, body: event.JSON}), nil
}

var uuids = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// renamed is an event of a story as if it had happened to another company: with ids, sources and names of its own.
func renamed(text []byte, number int) []byte {
	out := uuids.ReplaceAllFunc(text, func(id []byte) []byte { return []byte(uuid(fmt.Sprintf("%s/%d", id, number))) })
	pairs := []string{"shop.example.com", fmt.Sprintf("shop.u%d.example.com", number)}
	for _, word := range []string{
		"example.com", "webshop", "481/compile", "SHOP-101", "alert-88127", "smoke-2026", "pay-by-invoice", "refund-invoice", "01JNDVQ6Y4M8T2Z5R7W9C3K1XB",
		`"production"`, `"61"`, "SHOP-123",
	} {
		if bare := strings.Trim(word, `"`); bare != word {
			pairs = append(pairs, word, fmt.Sprintf(`"%s-%d"`, bare, number))
		} else {
			pairs = append(pairs, word, fmt.Sprintf("u%d.%s", number, word))
		}
	}
	return []byte(strings.NewReplacer(pairs...).Replace(string(out)))
}

// uuid is a UUID of version 5, the same for the same name.
func uuid(name string) string {
	s := sha1.Sum([]byte("torture " + name))
	s[6], s[8] = s[6]&0x0f|0x50, s[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", s[0:4], s[4:6], s[6:8], s[8:10], s[10:16])
}

// environments is how many environments the services live in: the ledger lists no more than a hundred services for one.
const environments = 12

var epoch = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

func marshal(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // maps of texts and numbers
	}
	return b.Bytes()
}

func cdevent(id, typ, subject string, second int, content map[string]any) []byte {
	const source = "https://ci.example.com/job/deploy"
	return marshal(map[string]any{
		"context": map[string]any{"specversion": "0.5.1", "id": id, "source": source, "type": "dev.cdevents." + typ,
			"timestamp": epoch.Add(time.Duration(second) * time.Second).Format(time.RFC3339)},
		"subject": map[string]any{"id": subject, "source": source, "content": content},
	})
}

func cdeventsEnvironments() (out [][]byte) {
	for i := range environments {
		name := fmt.Sprintf("env-%d", i)
		out = append(out, cdevent(uuid("cdevents "+name), "environment.created.0.3.0", name, 0, map[string]any{"name": name}))
	}
	return out
}

// cdeventsLife is the life of a service: packaged, deployed, upgraded, rolled back, published, removed and deployed anew,
// with a pipeline run beside it.
func cdeventsLife(number int) (out [][]byte) {
	name := fmt.Sprintf("shop-%d", number)
	run := fmt.Sprintf("run-%d", number)
	environment := map[string]any{"id": fmt.Sprintf("env-%d", number%environments)}
	purl := func(version int) string { return fmt.Sprintf("pkg:oci/%s@1.%d.0", name, version) }
	add := func(typ, subject string, content map[string]any) {
		i := len(out)
		out = append(out, cdevent(uuid(fmt.Sprintf("%s/%d", name, i)), typ, subject, 60+i, content))
	}
	service := func(predicate string, version int) {
		content := map[string]any{"environment": environment}
		if version >= 0 {
			content["artifactId"] = purl(version)
		}
		add("service."+predicate+".0.3.0", name, content)
	}
	add("pipelinerun.queued.0.3.0", run, map[string]any{"pipelineName": name})
	add("pipelinerun.started.0.3.0", run, map[string]any{"pipelineName": name, "uri": "https://ci.example.com/" + run})
	add("artifact.packaged.0.3.0", purl(0), map[string]any{"change": map[string]any{"id": "change-" + name}})
	service("deployed", 0)
	service("published", -1)
	service("upgraded", 1) // of its artifact no event tells
	service("upgraded", 2)
	service("rolledback", 1)
	add("ticket.closed.0.2.0", "ticket-"+name, map[string]any{"uri": "https://tickets.example.com/1", "summary": "done", "creator": "me", "resolution": "fixed"})
	service("published", -1)
	service("upgraded", 3)
	service("removed", -1)
	add("artifact.packaged.0.3.0", purl(4), map[string]any{"change": map[string]any{"id": "change-" + name}})
	service("deployed", 4)
	service("rolledback", 3)
	service("upgraded", 5)
	service("published", -1)
	add("pipelinerun.finished.0.3.0", run, map[string]any{"pipelineName": name, "outcome": "success"})
	return out
}

// eiffelEvent makes an Eiffel event; links are pairs of type and name of the target.
func eiffelEvent(name, typ, version string, second int, data map[string]any, links ...string) []byte {
	list := []map[string]string{}
	for i := 0; i < len(links); i += 2 {
		list = append(list, map[string]string{"type": links[i], "target": uuid(links[i+1])})
	}
	return marshal(map[string]any{
		"meta": map[string]any{"id": uuid(name), "type": "Eiffel" + typ + "Event", "version": version,
			"time":   epoch.Add(time.Duration(second) * time.Second).UnixMilli(),
			"source": map[string]any{"uri": "https://jenkins.example.com/job/ship"}},
		"data": data, "links": list,
	})
}

func eiffelEnvironments() (out [][]byte) {
	for i := range environments {
		name := fmt.Sprintf("env-%d", i)
		out = append(out, eiffelEvent(name, "EnvironmentDefined", "3.3.0", 0, map[string]any{"name": name}))
	}
	return out
}

// eiffelLife is the life of a service as Eiffel tells it, with the activity that builds it.
func eiffelLife(number int) (out [][]byte) {
	name := fmt.Sprintf("billing-%d", number)
	environment := fmt.Sprintf("env-%d", number%environments)
	artifact := func(version int) string { return fmt.Sprintf("%s/artifact/%d", name, version) }
	add := func(id, typ, version string, data map[string]any, links ...string) {
		out = append(out, eiffelEvent(id, typ, version, 60+len(out), data, links...))
	}
	created := func(version int) {
		add(artifact(version), "ArtifactCreated", "3.2.0", map[string]any{"identity": fmt.Sprintf("pkg:npm/%s@1.%d.0", name, version)}, "CONTEXT", name+"/activity")
	}
	last := ""
	deployed := func(version int) {
		last = fmt.Sprintf("%s/deployed/%d", name, len(out))
		add(last, "ArtifactDeployed", "0.1.0", map[string]any{"customData": []any{map[string]any{"key": "serviceId", "value": name}}},
			"ARTIFACT", artifact(version), "ENVIRONMENT", environment)
	}
	published := func() {
		add(last+"/published", "ConfidenceLevelModified", "3.3.0", map[string]any{"name": "servicePublished", "value": "SUCCESS"}, "SUBJECT", last)
	}
	add(name+"/activity", "ActivityTriggered", "4.3.0", map[string]any{"name": name, "categories": []string{"build"}, "triggers": []any{}})
	add(name+"/started", "ActivityStarted", "4.3.0", map[string]any{}, "ACTIVITY_EXECUTION", name+"/activity")
	created(0)
	add(name+"/located", "ArtifactPublished", "3.3.0", map[string]any{"locations": []any{map[string]any{"type": "OTHER", "uri": "https://registry.example.com/" + name}}}, "ARTIFACT", artifact(0))
	deployed(0)
	published()
	created(1)
	deployed(1)
	deployed(0)
	created(2)
	deployed(2)
	published()
	deployed(1)
	created(3)
	deployed(3)
	deployed(3)
	published()
	add(name+"/finished", "ActivityFinished", "3.3.0", map[string]any{"outcome": map[string]any{"conclusion": "SUCCESSFUL"}}, "ACTIVITY_EXECUTION", name+"/activity")
	return out
}
