// Package steady writes events of every type as a bridge gets them day after day: about services, environments and artifacts
// that the ledger knows, each with an id and a time of its own. Benchmarks and tests of what an event costs take them.
package steady

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/eiffelbridge/eiffelbridge/examples/events"
	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/mappings"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// Type is an event of a type, of which as many are written as are needed: all alike but for their ids, times and a number.
type Type struct {
	Name  string
	Past  [][]byte // what the ledger has learned from before: what the event speaks of
	Write func(n int) []byte
	Main  bool // it is one of the two by which the speed is judged
}

// id is the n-th of a series of ids that Eiffel accepts.
func id(n int) string { return fmt.Sprintf("5eed0000-0000-4000-8000-%012x", n) }

// start is the time of the first event.
var start = time.Date(2026, 3, 20, 8, 40, 0, 0, time.UTC)

func timestamp(n int) string {
	return start.Add(time.Duration(n) * time.Millisecond).Format("2006-01-02T15:04:05.000Z")
}

func millis(n int) int64 { return start.UnixMilli() + int64(n) }

// The two events that are judged are those of the benchmarks in package translate: deployments of a thousand services.
const (
	serviceDeployed  = `{"context":{"specversion":"0.5.1","id":"%s","chainId":"4c8cb7dd-3448-41de-8768-eec704e2829b","source":"https://ci.example.com/job/deploy","type":"dev.cdevents.service.deployed.0.3.0","timestamp":"%s","links":[{"linkType":"RELATION","linkKind":"TRIGGER","target":{"contextId":"5328c37f-bb7e-4bb7-84ea-9f5f85e4a7ce"},"tags":{"pr":"42"}}]},"subject":{"id":"shop/checkout-%d","source":"https://ci.example.com/job/deploy","content":{"environment":{"id":"prod-eu-1","source":"https://k8s.example.com/clusters/eu-1"},"artifactId":"pkg:oci/checkout@sha256%%3A0b31b1c02ff458ad9b7b81cbdf8f028bd54699fa151f221d1e8de6817db93427"}},"customData":{"team":"payments","pipelineRun":"4711"},"customDataContentType":"application/json"}`
	artifactCreated  = `{"meta":{"type":"EiffelArtifactCreatedEvent","version":"3.3.0","time":1710944825000,"id":"aaaaaaaa-bbbb-5ccc-8ddd-eeeeeeeeeee0","source":{"domainId":"example.com","uri":"https://ci.example.com/job/build"}},"data":{"identity":"pkg:oci/checkout@sha256%3A0b31b1c02ff458ad9b7b81cbdf8f028bd54699fa151f221d1e8de6817db93427"},"links":[]}`
	environment      = `{"meta":{"type":"EiffelEnvironmentDefinedEvent","version":"3.3.0","time":1710944825001,"id":"aaaaaaaa-bbbb-5ccc-8ddd-eeeeeeeeeee3","source":{"domainId":"example.com","uri":"https://k8s.example.com/clusters/eu-1"}},"data":{"name":"prod-eu-1"},"links":[]}`
	artifactDeployed = `{"meta":{"type":"EiffelArtifactDeployedEvent","version":"0.1.0","time":%d,"id":"%s","source":{"domainId":"example.com","uri":"https://ci.example.com/job/deploy","name":"deployer"},"tags":["fast-track"]},"data":{"description":"shop/checkout deployed to prod-eu-1","uri":"https://deployments.example.com/123456","customData":[{"key":"serviceId","value":"checkout-%d"},{"key":"team","value":"payments"},{"key":"pipelineRun","value":"4711"}]},"links":[{"type":"ARTIFACT","target":"aaaaaaaa-bbbb-5ccc-8ddd-eeeeeeeeeee0"},{"type":"CAUSE","target":"5328c37f-bb7e-4bb7-84ea-9f5f85e4a7ce"},{"type":"ENVIRONMENT","target":"aaaaaaaa-bbbb-5ccc-8ddd-eeeeeeeeeee3"}]}`
)

// Services is how many services the events that are judged speak of, by turns.
const Services = 1000

// ServiceDeployed is the CDEvent that is judged.
func ServiceDeployed() Type {
	t := Type{Name: "service.deployed", Main: true, Write: func(n int) []byte {
		return fmt.Appendf(nil, serviceDeployed, id(n), timestamp(n), n%Services)
	}}
	t.Past = firsts(t.Write)
	return t
}

// ArtifactDeployed is the Eiffel event that is judged.
func ArtifactDeployed() Type {
	t := Type{Name: "EiffelArtifactDeployedEvent", Main: true, Write: func(n int) []byte {
		return fmt.Appendf(nil, artifactDeployed, millis(n), id(n), n%Services)
	}}
	t.Past = append([][]byte{[]byte(artifactCreated), []byte(environment)}, firsts(t.Write)...)
	return t
}

// firsts are the first deployments of all services, so that those that are measured find their services.
func firsts(write func(n int) []byte) (out [][]byte) {
	for n := range Services {
		out = append(out, write(n))
	}
	return out
}

// Types are an event of every type, of CDEvents and then of Eiffel; those that are judged stand before all others.
func Types() ([]Type, error) {
	out := []Type{ServiceDeployed(), ArtifactDeployed()}
	have := map[string]bool{}
	for i := range out {
		have[out[i].Name] = true
	}
	catalogue, err := mappings.Load()
	if err != nil {
		return nil, err
	}
	for _, story := range []func() ([]events.Example, error){events.CDEvents, events.Eiffel} {
		examples, err := story()
		if err != nil {
			return nil, err
		}
		var past [][]byte
		for _, e := range examples {
			past = append(past, e.JSON)
			t, err := typeOf(e, past[:len(past):len(past)], catalogue)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", e.File, err)
			}
			if !have[t.Name] {
				have[t.Name] = true
				out = append(out, t)
			}
		}
	}
	return out, nil
}

// typeOf makes a type of an example: the story up to it is the past, so that what it speaks of is known. A run, a change or
// the like is queued or created once: each such event gets a subject of its own. One that begins or ends does so once: such
// events speak of many, one after the other.
func typeOf(e events.Example, past [][]byte, catalogue *mappings.Catalogue) (Type, error) {
	doc, err := jsondoc.Parse(e.JSON)
	if err != nil {
		return Type{}, err
	}
	root := doc.Root()
	t := Type{Past: past}
	var places []place
	add := func(member string, v jsondoc.Value, write func(n int) string) {
		p, failed := placeOf(doc.Bytes(), member, v, write)
		if failed != nil && err == nil {
			err = failed
		}
		places = append(places, p)
	}
	if meta := root.Get("meta"); meta.Exists() {
		t.Name = meta.Get("type").Str()
		add("id", meta.Get("id"), func(n int) string { return `"` + id(n) + `"` })
		add("time", meta.Get("time"), func(n int) string { return fmt.Sprint(millis(n)) })
	} else {
		context := root.Get("context")
		t.Name = nameOf(context.Get("type").Str())
		add("id", context.Get("id"), func(n int) string { return `"` + id(n) + `"` })
		add("timestamp", context.Get("timestamp"), func(n int) string { return `"` + timestamp(n) + `"` })
		if madeOnce(t.Name, catalogue) {
			subject := root.At("subject", "id")
			add("id", subject, func(n int) string { return fmt.Sprintf(`"%s-%d"`, subject.Str(), n) })
		}
	}
	slices.SortFunc(places, func(a, b place) int { return a.from - b.from })
	t.Write = func(n int) []byte { return replace(doc.Bytes(), places, n) }
	if run := runOf(root, t.Name, catalogue); run != "" && err == nil {
		t.Past, err = runs(t.Past, run)
		once := t.Write
		t.Write = func(n int) []byte { return ofRun(once(n), run, n%Runs) }
	}
	return t, err
}

// Runs is how many runs the events speak of, by turns, that say that a run has begun or ended: each does so once.
const Runs = 1000

// runOf is the id of the run that the event says so of: a subject, or what an Eiffel event links to. It is empty for others.
func runOf(root jsondoc.Value, name string, catalogue *mappings.Catalogue) string {
	for l := range root.Get("links").Children() {
		switch l.Get("type").Str() {
		case "ACTIVITY_EXECUTION", "TEST_CASE_EXECUTION", "TEST_SUITE_EXECUTION":
			return l.Get("target").Str()
		}
	}
	kind, _, _ := strings.Cut(name, ".")
	if kind == "environment" {
		return ""
	}
	for i := range catalogue.ToEiffel {
		row := &catalogue.ToEiffel[i]
		run := strings.HasSuffix(kind, "run") || kind == "build"
		if row.CDEvent == name && (row.Learns == mappings.LearnClosure || run && row.Learns == mappings.LearnMilestone) {
			return root.At("subject", "id").Str()
		}
	}
	return ""
}

// runs adds to a past what it says of the run, once more for each of the runs.
func runs(past [][]byte, run string) ([][]byte, error) {
	out := slices.Clone(past)
	for i, text := range past[:len(past)-1] {
		if !bytes.Contains(text, []byte(`"`+run+`"`)) {
			continue
		}
		doc, err := jsondoc.Parse(text)
		if err != nil {
			return nil, err
		}
		own := doc.Root().At("meta", "id").Str() + doc.Root().At("context", "id").Str()
		for k := range Runs {
			again := ofRun(doc.Bytes(), run, k)
			if own != run {
				again = bytes.ReplaceAll(again, []byte(own), []byte(id(1<<32+i*Runs+k)))
			}
			out = append(out, again)
		}
	}
	return out, nil
}

// ofRun writes an event of a run as one of another run.
func ofRun(text []byte, run string, k int) []byte {
	other := fmt.Sprintf("%s-%d", run, k)
	if schema.IsEiffelID(run) {
		other = id(1<<40 + k)
	}
	return bytes.ReplaceAll(text, []byte(`"`+run+`"`), []byte(`"`+other+`"`))
}

// nameOf is subject.predicate of a CDEvent, or what stands there of a custom one.
func nameOf(eventType string) string {
	parts := strings.Split(eventType, ".")
	if len(parts) < 4 {
		return eventType
	}
	return parts[2] + "." + parts[3]
}

// madeOnce tells whether the event makes the anchor of a subject that has only one: no environment and no artifact.
func madeOnce(name string, catalogue *mappings.Catalogue) bool {
	kind, _, _ := strings.Cut(name, ".")
	if kind == "environment" || kind == "artifact" {
		return false
	}
	for i := range catalogue.ToEiffel {
		if row := &catalogue.ToEiffel[i]; row.CDEvent == name && row.ID == mappings.IDAnchor {
			return true
		}
	}
	return false
}

// place is where a value of an event stands that is another in each.
type place struct {
	from, to int
	write    func(n int) string
}

// placeOf finds the value of a member by its text, which must stand in the document once.
func placeOf(text []byte, member string, v jsondoc.Value, write func(n int) string) (place, error) {
	member = `"` + member + `":`
	whole := append([]byte(member), v.Raw()...)
	at := bytes.Index(text, whole)
	if !v.Exists() || at < 0 || bytes.Contains(text[at+1:], whole) {
		return place{}, fmt.Errorf("%s does not stand in the event once", whole)
	}
	return place{at + len(member), at + len(whole), write}, nil
}

// replace writes a document with the values of some places replaced, which stand in the order of the document.
func replace(text []byte, places []place, n int) []byte {
	out := make([]byte, 0, len(text)+32)
	at := 0
	for _, p := range places {
		out = append(append(out, text[at:p.from]...), p.write(n)...)
		at = p.to
	}
	return append(out, text[at:]...)
}

// Stream translates events of a type through a session whose ledger knows all that they speak of. It is not safe for
// concurrent use.
type Stream struct {
	Session *translate.Session

	texts [][]byte
	at    int
	write func(n int) []byte
	n     int // of the next event
	err   error
}

// warmUp is how many events are translated at the beginning, so that all that follow are alike.
const warmUp = 200

// New begins a stream and writes events ahead.
func New(engine *translate.Engine, t Type, ahead int) (*Stream, error) {
	s := &Stream{Session: translate.NewSession(engine, translate.NewMemoryLedger()), write: t.Write, n: Services}
	for _, text := range t.Past {
		if _, err := s.Session.Translate(context.Background(), text); err != nil {
			return nil, fmt.Errorf("%s: what it speaks of: %w", t.Name, err)
		}
	}
	s.prepare(warmUp)
	for range warmUp {
		s.Next()
	}
	if s.err != nil {
		return nil, fmt.Errorf("%s: %w", t.Name, s.err)
	}
	s.prepare(ahead)
	return s, nil
}

// prepare writes events ahead.
func (s *Stream) prepare(count int) {
	s.texts, s.at = s.texts[:0], 0
	for range count {
		s.texts = append(s.texts, s.write(s.n))
		s.n++
	}
}

// Next translates the next event. When none is left, it writes as many as before, which takes its time.
func (s *Stream) Next() {
	r, err := s.Session.Translate(context.Background(), s.Text())
	s.check(r, err)
}

// NextBatch translates as many events at once.
func (s *Stream) NextBatch(count int) {
	texts := make([][]byte, count)
	for i := range texts {
		texts[i] = s.Text()
	}
	out, err := s.Session.TranslateBatch(context.Background(), texts)
	if err != nil {
		s.check(translate.Result{}, err)
	}
	for _, o := range out {
		s.check(o.Result, o.Err)
	}
}

// check notes the first error, and the first event that became nothing.
func (s *Stream) check(r translate.Result, err error) {
	if err == nil && len(r.Events) == 0 && r.Row == "" {
		err = fmt.Errorf("the event became nothing: %s", bytes.TrimSpace(s.texts[s.at-1]))
	}
	if s.err == nil {
		s.err = err
	}
}

// Text is the event that Next translates next, and passes it over.
func (s *Stream) Text() []byte {
	if s.at == len(s.texts) {
		s.prepare(len(s.texts))
	}
	s.at++
	return s.texts[s.at-1]
}

// Err is the first error of Next.
func (s *Stream) Err() error { return s.err }
