package corpus

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/internal/testkit/oracle/jsontree"
	"github.com/eiffelbridge/eiffelbridge/internal/testkit/oracle/stream"
)

// given are values that an event must have, by pointer; "" leaves a member out.
type given map[string]string

// text is a JSON string.
func text(s string) string { return string(jsontree.AppendText(nil, s)) }

// link is a link of an Eiffel event.
type link struct{ kind, target string }

// writer writes one event as its schema has it; what it says comes from the world.
type writer struct {
	*world
	s     *schema.Schema
	given given
	links []link
	often int // of a hundred: how often a member that may be there is
	id    string

	base64 bool
}

func (e *writer) cd() bool { return e.s.SpecVersions() != nil }

// cdevent writes a CDEvent of a name, subject.predicate, and adds it to the stream.
func (w *world) cdevent(name string, g given, to string) {
	spec := w.spec
	if w.chance(15) {
		spec = w.pick("0.5", "0.4", "0.3")
	}
	subject, predicate, _ := strings.Cut(name, ".")
	full, ok := schema.CDEventType(spec, subject, predicate)
	if !ok {
		spec = "0.5"
		if full, ok = schema.CDEventType(spec, subject, predicate); !ok {
			panic("CDEvents has no " + name)
		}
	}
	version, _ := schema.SpecVersion(spec)
	s, err := schema.ForCDEvent(full, version)
	if err != nil {
		panic(err)
	}
	w.write(s, g, nil, to)
}

// custom writes a custom CDEvent.
func (w *world) custom(eventType string, g given, to string) {
	version, _ := schema.SpecVersion(w.pick("0.5", "0.5", "0.4"))
	s, err := schema.ForCDEvent(eventType, version)
	if err != nil {
		panic(err)
	}
	w.write(s, g, nil, to)
}

// eiffel writes an Eiffel event, in the version of edition Orizaba or another, and adds it to the stream. Links are added to
// what its rules require.
func (w *world) eiffel(eiffelType string, g given, links []link, to string) {
	version, ok := schema.EditionVersion("Orizaba", eiffelType)
	if versions := schema.EiffelVersions(eiffelType); !ok || w.chance(25) {
		version = w.pick(versions...)
	}
	s, err := schema.ForEiffel(eiffelType, version)
	if err != nil {
		panic(err)
	}
	w.write(s, g, links, to)
}

func (w *world) write(s *schema.Schema, g given, links []link, to string) string {
	e := &writer{world: w, s: s, given: g, links: links, often: []int{15, 40, 70, 95}[w.IntN(4)]}
	out := e.value(nil, s.Shape(), nil)
	if w.chance(6) {
		out = loosen(w.Rand, out)
	}
	at := len(w.steps)
	w.put(out, to)
	w.ids = append(w.ids, e.id)
	if !e.cd() {
		w.targets[s.Type()] = append(w.targets[s.Type()], target{id: e.id})
		return e.id
	}
	if to == "" {
		name := s.Subject() + "." + s.Predicate()
		for i, t := range becomes[name] {
			n := i
			if i == len(becomes[name])-1 {
				n = -1
			}
			w.targets[t] = append(w.targets[t], target{out: &stream.Output{Step: at, Number: n}})
		}
	}
	return e.id
}

func (e *writer) value(b []byte, x schema.Shape, path []string) []byte {
	if raw, ok := e.given["/"+strings.Join(path, "/")]; ok {
		if path[len(path)-1] == "id" && len(path) == 2 && path[0] != "subject" {
			e.id = strings.Trim(raw, `"`)
		}
		return append(b, raw...)
	}
	switch x.Form() {
	case schema.IntegerForm:
		if is(path, "meta", "time") {
			return append(b, e.millis()...)
		}
		if e.odd(10) {
			return append(b, e.pick("0", "-0", "-7", "12345678901234567890123", "1e3", "20.00")...)
		}
		return append(b, fmt.Sprint(e.IntN(1000))...)
	case schema.TextForm:
		return jsontree.AppendText(b, e.text(x, path))
	case schema.ObjectForm:
		return e.object(b, x, path)
	case schema.ArrayForm:
		return e.array(b, x, path)
	case schema.ChoiceForm:
		alternatives := x.Alternatives()
		at := 0
		if !is(path, "customData") || e.chance(15) {
			at = e.IntN(len(alternatives))
		}
		if is(path, "customData") {
			e.base64 = alternatives[at].Form() == schema.TextForm
		}
		return e.value(b, alternatives[at], path)
	}
	return e.any(b, 2)
}

func is(path []string, names ...string) bool { return slices.Equal(path, names) }

// wanted tells whether a value is given at a pointer or below.
func (e *writer) wanted(pointer string) (wanted, left bool) {
	if raw, ok := e.given[pointer]; ok {
		return raw != "", raw == ""
	}
	for p := range e.given {
		if strings.HasPrefix(p, pointer+"/") {
			return true, false
		}
	}
	return false, false
}

func (e *writer) object(b []byte, x schema.Shape, path []string) []byte {
	b = append(b, '{')
	first := true
	name := func(s string) {
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(jsontree.AppendText(b, s), ':')
	}
	used := map[string]bool{}
	for _, m := range x.Members() {
		used[m.Name] = true
		at := append(path[:len(path):len(path)], m.Name)
		pointer := "/" + strings.Join(at, "/")
		wanted, left := e.wanted(pointer)
		if left || !m.Required && !wanted && !(path == nil && m.Name == "meta") && !e.chance(e.usual(at)) {
			continue
		}
		name(m.Name)
		b = e.value(b, m.Shape, at)
	}
	if !x.Open() || !e.chance(e.often/2) {
		return append(b, '}')
	}
	for range 1 + e.IntN(2) {
		extra := e.extra(path)
		if extra == "" || used[extra] {
			continue
		}
		used[extra] = true
		name(extra)
		if extra == "domainId" {
			b = jsontree.AppendText(b, e.pick("example.ci", "a/b"))
			continue
		}
		b = e.any(b, 2)
	}
	return append(b, '}')
}

// usual is how often a member is there, of a hundred.
func (e *writer) usual(path []string) int {
	switch path[len(path)-1] {
	case "environment", "service", "pipelineRun", "testSuiteRun", "outcome", "artifactId", "change", "name", "identity":
		return 75
	case "customData":
		return 20 + e.often/4
	case "security", "schemaUri":
		return e.often / 4
	}
	if len(path) > 1 && path[0] == "subject" && path[len(path)-1] == "source" {
		return 50
	}
	return e.often
}

// extra names a member that the schema does not know.
func (e *writer) extra(path []string) string {
	switch {
	case is(path, "customData"):
		return e.pick("team", "serviceId", "subject", "signature", "a/b~c", "é", "cdevents", "eiffel")
	case len(path) > 0 && path[len(path)-1] == "tags":
		return e.pick("domainId", "domainId", "pr", "group/name")
	}
	if !e.odd(50) {
		return ""
	}
	return e.pick("extra", "name", "a/b~c", "x y", "é😀")
}

func (e *writer) array(b []byte, x schema.Shape, path []string) []byte {
	item := x.Item()
	if is(path, "links") {
		return e.eiffelLinks(b, item)
	}
	b = append(b, '[')
	most := 2
	if is(path, "data", "customData") {
		most = 4
	}
	n := e.IntN(most + 1)
	if is(path, "context", "links") {
		n = 1 + e.IntN(3)
	}
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		if kinds := item.Alternatives(); is(path, "context", "links") && len(kinds) > 0 {
			b = e.value(b, kinds[e.IntN(len(kinds))], path)
			continue
		}
		b = e.value(b, item, path)
	}
	return append(b, ']')
}

// eiffelLinks appends links: those that are given, what the rules still require, and of what they allow, what is chosen.
func (e *writer) eiffelLinks(b []byte, item schema.Shape) []byte {
	rules := e.s.LinkRules()
	links := e.links
	has := func(kind string) bool {
		return slices.ContainsFunc(links, func(l link) bool { return l.kind == kind })
	}
	for _, r := range rules {
		if has(r.Type) && !r.Multiple {
			continue
		}
		n := 0
		if r.Required && !has(r.Type) || e.chance(e.often/3) {
			n = 1
			if r.Multiple && e.chance(25) {
				n = 2
			}
		}
		for range n {
			links = append(links, link{r.Type, e.target(r.Targets)})
		}
	}
	if rules == nil {
		for range e.IntN(3) {
			links = append(links, link{e.pick("CAUSE", "CONTEXT", "FLOW_CONTEXT"), e.target(nil)})
		}
	}
	b = append(b, '[')
	first := true
	var done []link
	for _, l := range links {
		if slices.Contains(done, l) || l.target == "" {
			continue
		}
		legal := rules == nil || slices.ContainsFunc(rules, func(r schema.LinkRule) bool { return r.Type == l.kind })
		if !legal {
			continue
		}
		done = append(done, l)
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(b, '{')
		for i, m := range item.Members() {
			value := map[string]string{"type": l.kind, "target": l.target, "domainId": e.pick("example.ci", "a b/ü")}[m.Name]
			if m.Name == "domainId" && !e.chance(15) {
				continue
			}
			if i > 0 && b[len(b)-1] != '{' {
				b = append(b, ',')
			}
			b = append(jsontree.AppendText(b, m.Name), ':')
			b = jsontree.AppendText(b, value)
		}
		b = append(b, '}')
	}
	return append(b, ']')
}

func (e *writer) text(x schema.Shape, path []string) string {
	if words := x.Words(); words != nil {
		return e.pick(words...)
	}
	if is(path, "context", "id") || is(path, "meta", "id") {
		e.id = e.eventID()
		if !e.cd() {
			e.id = e.uuid("44451235"[e.IntN(8)])
		}
		return e.id
	}
	switch x.Format() {
	case "date-time":
		return e.timestamp()
	case "eiffel-id":
		return e.target(nil)
	case "hex":
		return e.pick("0b31b1c02ff458ad9b7b81cbdf8f028b", "0", "deadbeef")
	case "base64":
		return e.pick("QUJD", "a+b/cw==", "a-b=", "===")
	case "custom-subject":
		return e.s.Subject()
	}
	out := e.named(path)
	switch x.Format() {
	case "uri":
		if !strings.Contains(out, ":") || strings.ContainsAny(out, " %ü\\") {
			out = e.uri()
		}
	case "uri-reference":
		if is(path, "context", "source") || path[len(path)-1] == "source" {
			out = e.source()
		}
	case "purl":
		if !strings.HasPrefix(out, "pkg:") {
			out = "pkg:generic/other@1"
		}
	}
	if out == "" && x.MinLength() > 0 {
		out = "x"
	}
	return out
}

func (e *writer) uri() string {
	return e.pick("https://example.com/a", "https://example.com/b", "https://example.com:8443/a%20b/?c=d&e=%2F#f", "urn:isbn:0451450523", "mailto:ann@example.com")
}

// named is what the world says under that name.
func (e *writer) named(path []string) string {
	name, holder := path[len(path)-1], ""
	if len(path) > 1 {
		holder = path[len(path)-2]
	}
	switch name {
	case "version", "specversion":
		if holder == "context" {
			return e.s.SpecVersions()[e.IntN(len(e.s.SpecVersions()))]
		}
		return e.pick("1.0.0", "2")
	case "contextId":
		return e.contextID()
	case "linkKind":
		return e.pick("TRIGGER", "TRIGGER", "CONTEXT", "FLOW_CONTEXT", "CAUSE", "ARTIFACT", "ENVIRONMENT", "SUBJECT", "PREVIOUS_VERSION", "CONFIGURATION", "IUT", "ELEMENT", "MADE_UP")
	case "chainId":
		if len(e.chains) == 0 || e.chance(20) {
			e.chains = append(e.chains, e.pick(e.uuid('4'), fmt.Sprint("chain-", e.uuids)))
		}
		return e.pick(e.chains...)
	case "artifactId":
		return e.artifact()
	case "identity":
		return e.artifact()
	case "id":
		switch {
		case is(path, "subject", "id"):
			return e.subject(e.s.Subject())
		case e.cd():
			return e.subject(strings.ToLower(holder))
		case holder == "change":
			return e.subject("change")
		case holder == "testCase":
			return e.pick("tc-1", "tc-2")
		case is(path, "data", "id"):
			return e.subject("ticket")
		}
		return e.pick("thing-1", "T-42", "")
	case "source":
		return e.source()
	case "tracker":
		return e.pick(e.sources[0], e.sources[0], "https://tickets.example.com/a b", "GitHub")
	case "uri", "url", "viewUrl", "executionUri", "batchesUri", "repoUri", "schemaUri", "ticketURI", "details", "files":
		if e.odd(20) || e.chance(5) {
			return e.pick("/relative?x=1", "no uri at all: %zz \\ ü", "")
		}
		if holder == "source" {
			return e.pick(append(e.sources, "https://jenkins.example.com/a b")...)
		}
		return e.uri()
	case "serializer":
		return e.pick("pkg:maven/com.example/plugin@1.0", "pkg:golang/github.com/eiffelbridge/eiffelbridge@0.0.0", "pkg:generic/x")
	case "customData":
		return base64.StdEncoding.EncodeToString([]byte(e.phrase()))
	case "customDataContentType":
		if e.base64 {
			return e.pick("text/plain", "application/json")
		}
		return e.pick("application/json", "application/json", "application/json; charset=utf-8")
	case "key":
		return e.pick("team", "build", "team", "serviceId", "service", "subject", "signature", "customData", "eiffel", "cdevents", "release")
	case "outcome":
		return e.pick("success", "success", "failure", "error", "cancel", "pass", "fail", "Succeeded", "ABORTED", e.phrase())
	case "domainId":
		return e.pick("example.ci", "a b/ü")
	case "host":
		return e.pick("build-7", "h 1", "")
	case "commitId":
		return e.pick("fd090b60a4aedc5161da9c035a49b14a319829b4", "a94a8fe5ccb19ba61c4c0873d391e987982fbbd3")
	case "value":
		return e.pick("1.5", "yes", e.phrase())
	case "categories":
		return e.pick("pipelineRun", "build", "BUILD", "taskRun", "testSuiteRun", "nightly", "deployment", "rebuild")
	case "name":
		switch {
		case e.s.Type() == "EiffelEnvironmentDefinedEvent":
			return e.pick("prod", "prod", "stage", "")
		case e.s.Type() == "EiffelConfidenceLevelModifiedEvent" && holder == "data":
			return e.pick("servicePublished", "servicePublished", "changeReviewed", "artifactSigned", "released", "live", "stable")
		case e.s.Type() == "EiffelActivityTriggeredEvent" && holder == "data":
			return e.pick("release", "nightly", "deploy shop", "tests")
		case e.s.Type() == "EiffelCompositionDefinedEvent":
			return e.pick("thing-1", "thing-2", "all of it")
		}
	case "pipelineName", "taskName":
		return e.pick("release", "compile", "")
	}
	return e.phrase()
}

var phrases = []string{
	"release", "nightly build", "it works", "Größe – naïve", "日本語のテキスト", "👩‍🚀 to the 🌍", "", " ", "tab\tand\nline\r\n", "\"quoted\" \\ back/slash", "<script>alert('&')</script>",
	"\u0000\u0001\u001f\u007f", "e\u0301 is not \u00e9", "\u2028\u2029\ufeff\u200b", "%s %d %%", "null", strings.Repeat("long ", 200), "\U0010ffff\ufffd",
}

func (w *world) phrase() string {
	if w.odd(30) {
		return w.pick(phrases...)
	}
	return w.pick(phrases[:3]...)
}

// any appends any JSON value, no deeper than levels.
func (w *world) any(b []byte, levels int) []byte {
	kinds := 7
	if levels == 0 {
		kinds = 5
	}
	switch w.IntN(kinds) {
	case 0:
		return jsontree.AppendText(b, w.pick(w.phrase(), "shop", "cart"))
	case 1:
		return append(b, w.pick("1", "0", "-0", "1.50", "12345678901234567890.10", "1e400", "-2.5E-3")...)
	case 2:
		return append(b, "true"...)
	case 3:
		return append(b, w.pick("null", "false")...)
	case 4:
		return append(b, w.pick("false", "{}", "[]")...)
	case 5:
		b = append(b, '[')
		for i := range w.IntN(3) {
			if i > 0 {
				b = append(b, ',')
			}
			b = w.any(b, levels-1)
		}
		return append(b, ']')
	}
	b = append(b, '{')
	names := []string{"id", "source", "name", "key", "a/b~c", "é", "event", "synthesizedFor"}
	for i := range 1 + w.IntN(2) {
		if i > 0 {
			b = append(b, ',')
		}
		at := w.IntN(len(names))
		b = append(jsontree.AppendText(b, names[at]), ':')
		names = slices.Delete(names, at, at+1)
		b = w.any(b, levels-1)
	}
	return append(b, '}')
}
