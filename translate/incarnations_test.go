package translate_test

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/eiffelbridge/eiffelbridge/translate"
)

// The files in testdata/incarnations are cases in a small language; README.txt there describes it.

// step is one event of a case and what it must become.
type step struct {
	where string // file:line, for messages
	text  string // the event's JSON
	id    string // its id
	cd    bool   // it is a CDEvent
	want  string // subject.predicate; "" if the case does not say
	wants map[string]string
}

// scenario is a case: a stream that begins with an empty ledger.
type scenario struct {
	name  string
	steps []step
}

// scribe reads cases. Names stand for events: an artifact's for its ArtC, an environment's for its last ED.
type scribe struct {
	t         testing.TB
	file      string
	line      int
	clock     time.Time
	artifacts map[string]string // name -> id of the ArtC
	purls     map[string]string // name -> purl
	eds       map[string]string // environment -> id of the last ED
	deployed  map[string]string // name -> id of the ArtD
	n         int
}

func readScenarios(t testing.TB) []scenario {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "incarnations", "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no case files: %v", err)
	}
	var out []scenario
	for _, file := range files {
		if filepath.Base(file) == "README.txt" {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, parseScenarios(t, filepath.Base(file), string(text))...)
	}
	return out
}

func parseScenarios(t testing.TB, file, text string) []scenario {
	t.Helper()
	var out []scenario
	var s *scribe
	for i, line := range strings.Split(text, "\n") {
		if at := strings.Index(line, "#"); at >= 0 {
			line = line[:at]
		}
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if words[0] == "case" {
			out = append(out, scenario{name: strings.Join(words[1:], " ")})
			s = &scribe{
				t: t, file: file, clock: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC),
				artifacts: map[string]string{}, purls: map[string]string{}, eds: map[string]string{}, deployed: map[string]string{},
			}
			continue
		}
		if s == nil {
			t.Fatalf("%s:%d: a case begins with \"case <name>\"", file, i+1)
		}
		s.line = i + 1
		c := &out[len(out)-1]
		c.steps = append(c.steps, s.read(words)...)
	}
	return out
}

func (s *scribe) fail(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("%s:%d: %s", s.file, s.line, fmt.Sprintf(format, args...))
}

// read makes the events of a line.
func (s *scribe) read(words []string) []step {
	s.t.Helper()
	var wanted []string
	for i, w := range words {
		if w == "=>" {
			words, wanted = words[:i], words[i+1:]
			break
		}
	}
	repeat := 1
	if n, ok := strings.CutSuffix(words[0], "x"); ok {
		if i, err := strconv.Atoi(n); err == nil {
			repeat, words = i, words[1:]
		}
	}
	var out []step
	for range repeat {
		out = append(out, s.event(words, wanted))
	}
	return out
}

// options takes the "word value" pairs behind a line's first words.
func (s *scribe) options(words []string, known ...string) map[string]string {
	s.t.Helper()
	o := map[string]string{}
	for ; len(words) >= 2; words = words[2:] {
		found := false
		for _, k := range known {
			found = found || k == words[0]
		}
		if !found {
			s.fail("%q is not understood here; known are %s", words[0], strings.Join(known, ", "))
		}
		o[words[0]] = words[1]
	}
	if len(words) != 0 {
		s.fail("%q has no value", words[0])
	}
	return o
}

func (s *scribe) time(o map[string]string) int64 {
	s.t.Helper()
	s.clock = s.clock.Add(time.Minute)
	text, ok := o["at"]
	if !ok {
		return s.clock.UnixMilli()
	}
	for _, layout := range []string{"15:04", "15:04:05", "15:04:05.000"} {
		if at, err := time.Parse(layout, text); err == nil {
			s.clock = time.Date(2026, 3, 1, at.Hour(), at.Minute(), at.Second(), at.Nanosecond(), time.UTC)
			return s.clock.UnixMilli()
		}
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		s.fail("%q is no time", text)
	}
	s.clock = at
	return at.UnixMilli()
}

func (s *scribe) newID(o map[string]string) string {
	s.t.Helper()
	if text, ok := o["id"]; ok {
		n, err := strconv.Atoi(text)
		if err != nil {
			s.fail("id %q is no number", text)
		}
		return uuid(n)
	}
	s.n++
	return uuid(1000 + s.n)
}

// idOfName is the id of an event that a case names and that never comes.
func idOfName(name string) string {
	sum := sha1.Sum([]byte(name))
	h := hex.EncodeToString(sum[:16])
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-8" + h[17:20] + "-" + h[20:32]
}

func idIn(m map[string]string, name string) string {
	if id, ok := m[name]; ok {
		return id
	}
	return idOfName(name)
}

type eiffelLink struct {
	Type   string `json:"type"`
	Target string `json:"target"`
}

// eiffel writes an Eiffel event of edition Orizaba.
func (s *scribe) eiffel(eventType, version, id string, at int64, source string, data map[string]any, l ...eiffelLink) string {
	if l == nil {
		l = []eiffelLink{}
	}
	event := map[string]any{
		"meta":  map[string]any{"id": id, "type": eventType, "version": version, "time": at, "source": map[string]any{"uri": source}},
		"data":  data,
		"links": l,
	}
	text, err := json.Marshal(event)
	if err != nil {
		s.fail("%v", err)
	}
	return string(text)
}

const (
	deploySource = "https://deploy.example.com"
	buildSource  = "https://build.example.com"
	envSource    = "https://k8s.example.com"
)

func (s *scribe) event(words, wanted []string) step {
	s.t.Helper()
	st := step{where: fmt.Sprintf("%s:%d", s.file, s.line), wants: map[string]string{}}
	need := func(n int) {
		if len(words) < n {
			s.fail("%s needs more words", words[0])
		}
	}
	switch words[0] {
	case "ED":
		need(2)
		name := words[1]
		o := s.options(words[2:], "at", "id", "source", "after", "name")
		st.id = s.newID(o)
		var l []eiffelLink
		if p, ok := o["after"]; ok {
			l = append(l, eiffelLink{"PREVIOUS_VERSION", idIn(s.eds, p)})
		}
		data := map[string]any{"name": name}
		if n, ok := o["name"]; ok {
			data["name"] = n
		}
		st.text = s.eiffel("EiffelEnvironmentDefinedEvent", "4.0.1", st.id, s.time(o), or(o["source"], envSource), data, l...)
		s.eds[name] = st.id
	case "ArtC":
		need(3)
		o := s.options(words[3:], "at", "id", "source")
		st.id = s.newID(o)
		st.text = s.eiffel("EiffelArtifactCreatedEvent", "4.0.1", st.id, s.time(o), or(o["source"], buildSource), map[string]any{"identity": words[2]})
		s.artifacts[words[1]], s.purls[words[1]] = st.id, words[2]
	case "ArtD":
		need(4)
		if words[2] != "in" {
			s.fail("ArtD <artifact> in <environment>")
		}
		o := s.options(words[4:], "at", "id", "source", "config", "service", "as")
		st.id = s.newID(o)
		l := []eiffelLink{{"ARTIFACT", idIn(s.artifacts, words[1])}, {"ENVIRONMENT", idIn(s.eds, words[3])}}
		if c, ok := o["config"]; ok {
			l = append(l, eiffelLink{"CONFIGURATION", idOfName("configuration " + c)})
		}
		data := map[string]any{}
		if name, ok := o["service"]; ok {
			data["customData"] = []any{map[string]any{"key": "serviceId", "value": name}}
		}
		st.text = s.eiffel("EiffelArtifactDeployedEvent", "0.2.1", st.id, s.time(o), or(o["source"], deploySource), data, l...)
		if name, ok := o["as"]; ok {
			s.deployed[name] = st.id
		}
		if purl, ok := s.purls[words[1]]; ok {
			st.wants["artifact"] = purl
		} else {
			st.wants["artifact"] = "urn:uuid:" + idOfName(words[1])
		}
		st.wants["environment"] = words[3]
		if _, ok := s.eds[words[3]]; !ok {
			st.wants["environment"] = "urn:uuid:" + idOfName(words[3])
		}
	case "CLM":
		need(5)
		if words[3] != "on" {
			s.fail("CLM <name> <value> on <deployment>,...")
		}
		o := s.options(words[5:], "at", "id", "source")
		st.id = s.newID(o)
		var l []eiffelLink
		for _, name := range strings.Split(words[4], ",") {
			id, ok := s.deployed[name]
			if !ok {
				id = idIn(s.artifacts, name)
			}
			l = append(l, eiffelLink{"SUBJECT", id})
		}
		st.text = s.eiffel("EiffelConfidenceLevelModifiedEvent", "4.0.1", st.id, s.time(o), or(o["source"], deploySource),
			map[string]any{"name": words[1], "value": words[2]}, l...)
	case "removed":
		// service.removed of the CDEvents side, which Eiffel cannot say.
		need(4)
		o := s.options(words[4:], "at", "id", "source")
		st.cd, st.id = true, s.newID(o)
		st.text = s.cdevent("service.removed", st.id, s.time(o), or(o["source"], deploySource), words[1],
			map[string]any{"environment": map[string]any{"id": words[3], "source": envSource}})
	case "environment":
		need(3)
		o := s.options(words[3:], "at", "id", "source")
		st.cd, st.id = true, s.newID(o)
		st.text = s.cdevent("environment."+words[2], st.id, s.time(o), or(o["source"], envSource), words[1], map[string]any{"name": words[1]})
	default:
		s.fail("%q is not understood", words[0])
	}
	if len(wanted) > 0 {
		st.want = wanted[0]
		wanted = wanted[1:]
		if !st.cd && len(wanted) > 0 {
			st.wants["subject"] = strings.Replace(wanted[0], "urn:uuid:?", "urn:uuid:"+idOfName(words[1]), 1)
			wanted = wanted[1:]
		}
		for k, v := range s.options(wanted, "environment", "artifact", "CAUSE") {
			if k == "CAUSE" {
				id, ok := s.deployed[v]
				if !ok {
					id = idIn(s.eds, v)
				}
				v = id
			}
			st.wants[k] = v
		}
	}
	return st
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

var cdVersions = map[string]string{
	"environment.created": "0.3.0", "environment.modified": "0.3.0", "environment.deleted": "0.3.0",
	"service.deployed": "0.3.0", "service.upgraded": "0.3.0", "service.rolledback": "0.3.0", "service.published": "0.3.0", "service.removed": "0.3.0",
}

func (s *scribe) cdevent(name, id string, at int64, source, subject string, content map[string]any) string {
	s.t.Helper()
	event := map[string]any{
		"context": map[string]any{
			"specversion": "0.5.1", "id": id, "source": source, "type": "dev.cdevents." + name + "." + cdVersions[name],
			"timestamp": time.UnixMilli(at).UTC().Format(time.RFC3339Nano),
		},
		"subject": map[string]any{"id": subject, "source": source, "content": content},
	}
	text, err := json.Marshal(event)
	if err != nil {
		s.fail("%v", err)
	}
	return string(text)
}

// nameOf is subject.predicate of a CDEvents type.
func nameOf(eventType string) string {
	parts := strings.Split(eventType, ".")
	if len(parts) < 4 {
		return eventType
	}
	return strings.Join(parts[2:4], ".")
}

// checkStep holds what an event became against what the case says.
func checkStep(t *testing.T, st step, r translate.Result) {
	t.Helper()
	got, ok := r.Main()
	if !ok {
		t.Errorf("%s: no output", st.where)
		return
	}
	if st.cd {
		if st.want != "" && got.Type != st.want {
			t.Errorf("%s: became %s, want %s", st.where, got.Type, st.want)
		}
		if cause, ok := st.wants["CAUSE"]; ok && target(t, got, "CAUSE") != cause {
			t.Errorf("%s: links %v, want CAUSE to %s", st.where, links(t, got), cause)
		}
		return
	}
	if len(r.Events) != 1 {
		t.Errorf("%s: %d events, want one", st.where, len(r.Events))
	}
	if st.want != "" && nameOf(got.Type) != st.want {
		t.Errorf("%s: became %s, want %s", st.where, nameOf(got.Type), st.want)
	}
	if got.ID != st.id {
		t.Errorf("%s: context.id %s, want %s", st.where, got.ID, st.id)
	}
	for pointer, want := range map[string]string{
		"/subject/id":                     st.wants["subject"],
		"/subject/content/environment/id": st.wants["environment"],
		"/subject/content/artifactId":     st.wants["artifact"],
	} {
		if have := field(t, got, pointer).Str(); want != "" && have != want {
			t.Errorf("%s: %s is %q, want %q", st.where, pointer, have, want)
		}
	}
}

// TestIncarnations runs every case: what becomes of each event, and then that nothing changes it any more.
func TestIncarnations(t *testing.T) {
	engine := newEngine(t, translate.Settings{})
	for _, c := range readScenarios(t) {
		t.Run(c.name, func(t *testing.T) {
			checkScenario(t, engine, c)
		})
	}
}

func checkScenario(t *testing.T, engine *translate.Engine, c scenario) {
	t.Helper()
	s := fresh(engine)
	outputs := make([]string, len(c.steps))
	for i, st := range c.steps {
		r := through(t, s, st.text)
		checkStep(t, st, r)
		outputs[i] = texts(r.Events)

		back := fresh(engine)
		given := ""
		for _, e := range r.Events {
			given += texts(through(t, back, string(e.JSON)).Events)
		}
		if want := compact(t, st.text) + "\n"; given != want {
			t.Errorf("%s: given back\n%swant\n%s", st.where, given, want)
		}
	}
	again := func(how string, s *translate.Session, i int) {
		t.Helper()
		if got := texts(through(t, s, c.steps[i].text).Events); got != outputs[i] {
			t.Errorf("%s: redelivered %s it became\n%sand before\n%s", c.steps[i].where, how, got, outputs[i])
		}
	}
	for i := range c.steps {
		again("with the whole stream", s, i)
	}
	for i := len(c.steps) - 1; i >= 0; i-- {
		again("in reversed order", s, i)
	}
	// Everything so far is redelivered after each new event; for long streams after some.
	every := 1 + len(c.steps)/20
	s = fresh(engine)
	for i := range c.steps {
		again("in a prefix, the first time", s, i)
		again("alone, right after itself", s, i)
		if i%every == 0 {
			for j := 0; j <= i; j++ {
				again("with a prefix of the stream", s, j)
			}
		}
	}
}

// schemes says for which purl types the facts of a file in version/testdata hold.
var schemes = map[string][]string{
	"deb":           {"deb"},
	"rpm":           {"rpm"},
	"maven":         {"maven"},
	"pypi":          {"pypi"},
	"gem":           {"gem"},
	"nuget":         {"nuget"},
	"apk":           {"apk"},
	"composer":      {"composer"},
	"pub":           {"pub"},
	"semver":        {"npm", "cargo", "pub", "helm", "golang", "generic", "oci", "docker", "unheard-of"},
	"semver-strict": {"npm", "cargo", "helm", "golang", "generic", "oci", "docker"},
	"semver-build":  {"npm", "cargo", "helm", "golang", "generic", "nuget"},
	"semver-v":      {"npm", "helm", "golang", "generic", "oci", "docker"},
	"cargo":         {"cargo"},
	"golang":        {"golang"},
	"generic":       {"generic", "oci", "docker", "unheard-of"},
	"generic-build": {"generic", "oci", "docker"},
	"oci":           {"oci", "docker"},

	"maven-vectors":    {"maven"},
	"composer-vectors": {"composer"},
}

// TestSchemesDecideThePredicate deploys every two versions that a scheme's published cases order, in both orders. Where
// the scheme does not tell which is newer, what ran first decides (mapping.md, "The predicate", rule 4).
func TestSchemesDecideThePredicate(t *testing.T) {
	engine := newEngine(t, translate.Settings{})
	files, err := filepath.Glob(filepath.Join("version", "testdata", "*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		if name == "README" {
			continue
		}
		if len(schemes[name]) == 0 {
			t.Errorf("no purl types are named for the facts in %s", file)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, typ := range schemes[name] {
			t.Run(name+" as "+typ, func(t *testing.T) {
				for i, line := range strings.Split(string(text), "\n") {
					checkChain(t, engine, fmt.Sprintf("%s:%d", name, i+1), typ, line)
				}
			})
		}
	}
}

// checkChain deploys every two neighbours of a chain a < b = c, and its two ends.
func checkChain(t *testing.T, engine *translate.Engine, where, typ, line string) {
	t.Helper()
	line, _, _ = strings.Cut(line, "#")
	var versions, between []string
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		word, rest, _ := strings.Cut(line, " ")
		if line[0] == '"' {
			end := strings.IndexByte(line[1:], '"') + 2
			quoted, err := strconv.Unquote(line[:end])
			if err != nil {
				t.Fatalf("%s: %v", where, err)
			}
			word, rest = quoted, line[end:]
		}
		line = rest
		if len(versions) == len(between) {
			versions = append(versions, word)
		} else {
			between = append(between, word)
		}
	}
	if len(versions) == 0 {
		return
	}
	for i, sign := range between {
		checkPair(t, engine, where, typ, versions[i], sign, versions[i+1])
	}
	if ends := strings.Join(between, ""); len(between) > 1 {
		sign := "="
		if strings.Contains(ends, "<") {
			sign = "<"
		}
		checkPair(t, engine, where, typ, versions[0], sign, versions[len(versions)-1])
	}
}

func checkPair(t *testing.T, engine *translate.Engine, where, typ, a, sign, b string) {
	t.Helper()
	up, down, again := "service.upgraded", "service.rolledback", ""
	if sign != "<" {
		// What never ran here before is newer; what did is older.
		down, again = "service.upgraded", "service.rolledback"
	}
	for _, c := range []struct{ first, second, want string }{{a, b, up}, {b, a, down}} {
		if c.first == "" || c.second == "" || strings.TrimSpace(c.first) == strings.TrimSpace(c.second) {
			continue // no version, or one that a purl does not tell from the other
		}
		purl := func(v string) string { return "pkg:" + typ + "/shop@" + percentEncode(v) }
		text := fmt.Sprintf("case %s\nED prod\nArtC a %s\nArtC b %s\nArtD a in prod => service.deployed\nArtD b in prod => %s\nArtD a in prod => %s\n",
			where, purl(c.first), purl(c.second), c.want, again)
		if again == "" {
			text = strings.TrimSuffix(text, "ArtD a in prod => \n")
		}
		s := fresh(engine)
		for _, st := range parseScenarios(t, fmt.Sprintf("%s %s: %q then %q", where, typ, c.first, c.second), text)[0].steps {
			// Only the predicate is new here, so the output is not held against the schemas again.
			r, err := s.Translate(context.Background(), []byte(st.text))
			if err != nil {
				t.Fatal(err)
			}
			if name := nameOf(last(t, r).Type); st.want != "" && name != st.want {
				t.Errorf("%s: became %s, want %s", st.where, name, st.want)
			}
		}
	}
}

// percentEncode leaves nothing of a version to be taken for a part of the purl.
func percentEncode(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
