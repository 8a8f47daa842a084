package translate_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// The files in testdata/families are cases of streams and what becomes of them; README.txt there describes their form.

// exchange is one input event of a case and the outputs that it must have.
type exchange struct {
	where  string
	input  func(t testing.TB, n *names) string // the input's JSON, once the names before it are bound
	wants  []wanted
	silent bool // the case does not say what becomes of it
}

// wanted is an output event.
type wanted struct {
	where       string
	typ         string // subject.predicate, or Eiffel type without prefix and suffix
	name        string // what stands for the event's id, or for the subject's
	data        string // JSON; "" if the case does not say
	links       []string
	bare        bool // the case says nothing but the type
	synthesized bool
	chain       string
	source      string // of the subject
}

type family struct {
	name     string
	settings translate.Settings
	steps    []exchange
}

// names are what stands for ids in a case. Those of inputs are made; those of outputs are bound when they first appear.
type names struct{ ids map[string]string }

func (n *names) make(name string) string {
	if n.ids[name] == "" {
		n.ids[name] = uuid(1000 + len(n.ids))
	}
	return n.ids[name]
}

// substitute writes the ids that stand behind $name in a text.
func (n *names) substitute(text string) string {
	for {
		at := strings.IndexByte(text, '$')
		if at < 0 {
			return text
		}
		end := at + 1
		for end < len(text) && (text[end] >= 'a' && text[end] <= 'z' || text[end] >= 'A' && text[end] <= 'Z' || text[end] >= '0' && text[end] <= '9') {
			end++
		}
		text = text[:at] + n.make(text[at+1:end]) + text[end:]
	}
}

func readFamilies(t testing.TB) []family {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "families", "*.txt"))
	if err != nil || len(files) < 2 {
		t.Fatalf("no case files: %v", err)
	}
	var out []family
	for _, file := range files {
		if filepath.Base(file) != "README.txt" {
			out = append(out, parseFamilies(t, file)...)
		}
	}
	return out
}

func parseFamilies(t testing.TB, file string) []family {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []family
	clock := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	lines := bufio.NewScanner(f)
	for number := 1; lines.Scan(); number++ {
		line := strings.TrimSpace(lines.Text())
		where := fmt.Sprintf("%s:%d", filepath.Base(file), number)
		kind, rest, _ := strings.Cut(line, " ")
		var last *family
		if len(out) > 0 {
			last = &out[len(out)-1]
		}
		switch kind {
		case "", "#":
		case "case":
			out = append(out, family{name: rest})
		case "with":
			setSettings(t, where, &last.settings, rest)
		case ">":
			clock = clock.Add(time.Minute)
			at := clock
			last.steps = append(last.steps, exchange{where: where, silent: true, input: func(t testing.TB, n *names) string {
				words, data := splitLine(rest)
				return inputEvent(t, where, n, at, words, data)
			}})
		case "<":
			step := &last.steps[len(last.steps)-1]
			step.silent = false
			if rest == "nothing" {
				break
			}
			step.wants = append(step.wants, parseWanted(t, where, rest))
		default:
			t.Fatalf("%s: %q begins no line of a case", where, kind)
		}
	}
	return out
}

// splitLine takes the JSON out of a line.
func splitLine(line string) (words []string, data string) {
	if at := strings.Index(line, "{"); at >= 0 {
		depth := 0
		for i := at; i < len(line); i++ {
			switch line[i] {
			case '{':
				depth++
			case '}':
				depth--
			}
			if depth == 0 {
				data, line = line[at:i+1], line[:at]+line[i+1:]
				break
			}
		}
	}
	return strings.Fields(line), data
}

func setSettings(t testing.TB, where string, s *translate.Settings, text string) {
	t.Helper()
	for _, word := range strings.Fields(text) {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "edition":
			s.Edition = value
		case "spec":
			s.Spec = value
		case "carry":
			s.Carry = translate.CarryNone
		case "synthesize":
			s.Synthesize = translate.SynthesizeNever
		default:
			t.Fatalf("%s: unknown setting %q", where, word)
		}
	}
}

// inputEvent writes the event of a line that begins with ">".
func inputEvent(t testing.TB, where string, n *names, at time.Time, words []string, data string) string {
	t.Helper()
	if data == "" {
		data = "{}"
	}
	data = n.substitute(data)
	if words[0][0] >= 'A' && words[0][0] <= 'Z' {
		return inputEiffel(t, where, n, at, words, data)
	}
	// subject.predicate[.MAJOR.MINOR.PATCH] subject [id NAME] [source S] [subjectSource S] [KIND name]...
	name, subject := words[0], n.substitute(words[1])
	id, source, subjectSource := fmt.Sprintf("evt-%d", at.Unix()), "https://ci.example.com", ""
	var links []map[string]any
	for i := 2; i+1 < len(words); i += 2 {
		value := words[i+1]
		switch words[i] {
		case "id":
			id = n.make(value)
		case "source":
			source = value
		case "subjectSource":
			subjectSource = value
		case "PATH":
			links = append(links, map[string]any{"linkType": "PATH", "from": map[string]any{"contextId": n.substitute(value)}})
		default:
			links = append(links, map[string]any{"linkType": "RELATION", "linkKind": words[i], "target": map[string]any{"contextId": n.substitute(value)}})
		}
	}
	s, predicate, _ := strings.Cut(name, ".")
	predicate, version, versioned := strings.Cut(predicate, ".")
	full, ok := schema.CDEventType("0.5", s, predicate)
	if versioned {
		full, ok = "dev.cdevents."+s+"."+predicate+"."+version, true
	}
	if !ok {
		t.Fatalf("%s: there is no CDEvent %s", where, name)
	}
	context := map[string]any{"specversion": "0.5.1", "id": id, "source": source, "type": full, "timestamp": at.Format(time.RFC3339)}
	if links != nil {
		context["links"] = links
	}
	about := map[string]any{"id": subject, "content": json.RawMessage(data)}
	if subjectSource != "" {
		about["source"] = subjectSource
	}
	return marshal(t, map[string]any{"context": context, "subject": about})
}

// inputEiffel writes an Eiffel event: Type NAME [version V] [source S] [LINK name]...
func inputEiffel(t testing.TB, where string, n *names, at time.Time, words []string, data string) string {
	t.Helper()
	eiffelType := "Eiffel" + words[0] + "Event"
	version, source := orizaba(eiffelType), "https://jenkins.example.com"
	links := []map[string]any{}
	for i := 2; i+1 < len(words); i += 2 {
		switch words[i] {
		case "version":
			version = words[i+1]
		case "source":
			source = words[i+1]
		default:
			links = append(links, map[string]any{"type": words[i], "target": n.make(words[i+1])})
		}
	}
	if version == "" {
		t.Fatalf("%s: there is no %s", where, eiffelType)
	}
	return marshal(t, map[string]any{
		"meta":  map[string]any{"id": n.make(words[1]), "type": eiffelType, "version": version, "time": at.UnixMilli(), "source": map[string]any{"uri": source}},
		"data":  json.RawMessage(data),
		"links": links,
	})
}

// orizaba is the version of an Eiffel event type in edition Orizaba.
func orizaba(eiffelType string) string {
	version, _ := schema.EditionVersion("Orizaba", eiffelType)
	return version
}

func marshal(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func parseWanted(t testing.TB, where, text string) wanted {
	t.Helper()
	words, data := splitLine(text)
	w := wanted{where: where, typ: words[0], name: words[1], data: data}
	w.bare = data == "" && len(words) == 2 || words[len(words)-1] == "synthesized" && len(words) == 3 && data == ""
	for i := 2; i < len(words); i++ {
		switch words[i] {
		case "-":
			continue
		case "synthesized":
			w.synthesized = true
			continue
		case "chain":
			w.chain = words[i+1]
		case "source":
			w.source = words[i+1]
		default:
			w.links = append(w.links, words[i]+" "+words[i+1])
		}
		i++
	}
	return w
}

// check compares an output with what is wanted.
func (w *wanted) check(t *testing.T, n *names, e translate.Event) {
	t.Helper()
	typ := strings.TrimSuffix(strings.TrimPrefix(e.Type, "Eiffel"), "Event")
	base, id := "/data", e.ID
	if e.Protocol == translate.CDEvents {
		typ, base, id = nameOf(e.Type), "/subject/content", field(t, e, "/subject/id").Str()
	}
	if typ != w.typ || e.Synthesized != w.synthesized {
		t.Errorf("%s: became %s (synthesized: %t), want %s (%t)\n%s", w.where, typ, e.Synthesized, w.typ, w.synthesized, e.JSON)
		return
	}
	w.checkName(t, n, id)
	if w.bare {
		return
	}
	if w.data != "" {
		var got, want map[string]any
		if json.Unmarshal(field(t, e, base).Raw(), &got) != nil || json.Unmarshal([]byte(n.substitute(w.data)), &want) != nil {
			t.Fatalf("%s: cannot compare %s", w.where, e.JSON)
		}
		if got["customData"] != nil && want["customData"] == nil {
			delete(got, "customData")
		}
		if !reflect.DeepEqual(got, want) {
			g, _ := json.Marshal(got)
			t.Errorf("%s: has\n%s, want\n%s", w.where, g, n.substitute(w.data))
		}
	}
	var got []string
	if e.Protocol == translate.Eiffel {
		got = links(t, e)
	} else {
		for l := range field(t, e, "/context/links").Children() {
			got = append(got, l.Get("linkKind").Str()+" "+l.At("target", "contextId").Str())
		}
	}
	var want []string
	for _, l := range w.links {
		kind, target, _ := strings.Cut(l, " ")
		if target == "-" && len(got) > len(want) { // any
			want = append(want, got[len(want)])
			continue
		}
		if n.ids[target] == "" && len(got) > len(want) { // a name that first stands here
			_, n.ids[target], _ = strings.Cut(got[len(want)], " ")
		}
		want = append(want, kind+" "+n.ids[target])
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: has the links\n%v, want\n%v (%v)", w.where, got, want, w.links)
	}
	if chain := field(t, e, "/context/chainId").Str(); w.chain != "" && chain != n.make(w.chain) {
		t.Errorf("%s: has the chain %s, want that of %s, %s", w.where, chain, w.chain, n.make(w.chain))
	}
	if source := field(t, e, "/subject/source").Str(); w.source != "" && source != w.source {
		t.Errorf("%s: has the source %s, want %s", w.where, source, w.source)
	}
}

// checkName compares an id with the one that a name stands for, or lets the name stand for it from now on; "-" stands for
// any.
func (w *wanted) checkName(t *testing.T, n *names, id string) {
	t.Helper()
	switch {
	case w.name == "-":
	case strings.HasPrefix(w.name, "'"):
		if want := n.substitute(strings.Trim(w.name, "'")); id != want {
			t.Errorf("%s: is about %q, want %q", w.where, id, want)
		}
	case n.ids[w.name] == "":
		n.ids[w.name] = id
	case n.ids[w.name] != id:
		t.Errorf("%s: is %s, want %s, %s", w.where, id, w.name, n.ids[w.name])
	}
}

func TestFamilies(t *testing.T) {
	for _, c := range readFamilies(t) {
		t.Run(c.name, func(t *testing.T) { checkFamily(t, c) })
	}
}

// checkFamily plays a case. Whatever it is about, each output must be valid, must translate back into the very same event,
// and must stay the same when the stream is redelivered.
func checkFamily(t *testing.T, c family) {
	engine := newEngine(t, c.settings)
	s := fresh(engine)
	ids := map[string]bool{}
	n := &names{map[string]string{}}
	var inputs, outputs []string
	for _, step := range c.steps {
		text := step.input(t, n)
		r := through(t, s, text)
		inputs = append(inputs, text)
		outputs = append(outputs, texts(r.Events))
		if !step.silent && len(r.Events) != len(step.wants) {
			t.Fatalf("%s: became %d events, want %d:\n%s", step.where, len(r.Events), len(step.wants), texts(r.Events))
		}
		for i := range step.wants {
			step.wants[i].check(t, n, r.Events[i])
		}
		for _, e := range r.Events {
			if ids[e.ID] {
				t.Errorf("%s: another event has the id %s already", step.where, e.ID)
			}
			ids[e.ID] = true
		}
		if c.settings.Carry != translate.CarryNone && len(r.Events) > 0 {
			if back := texts(backOf(t, engine, last(t, r))); back != compact(t, text)+"\n" {
				t.Errorf("%s: came back as\n%swas\n%s", step.where, back, text)
			}
		}
	}
	for i, step := range c.steps {
		again, err := s.Translate(context.Background(), []byte(inputs[i]))
		if err != nil {
			t.Fatal(err)
		}
		if got := texts(again.Events); got != outputs[i] {
			t.Errorf("%s: redelivered, it became\n%swas\n%s", step.where, got, outputs[i])
		}
	}
}

// TestDroppedTeachesAsMuch gives a second bridge, with a ledger of its own, what the first one made of a case's events, to
// drop; the next event must become the same there as with the first. Whole cases of either protocol are played so.
func TestDroppedTeachesAsMuch(t *testing.T) {
	compared := 0
	for _, c := range readFamilies(t) {
		if c.settings.Carry == translate.CarryNone {
			continue // a mark says less than an original
		}
		t.Run(c.name, func(t *testing.T) {
			dropping := c.settings
			dropping.Returning = translate.ReturningDrop
			asked := newEngine(t, dropping)
			first, second := newSession(t, c.settings), fresh(asked)
			n := &names{map[string]string{}}
			for _, step := range c.steps {
				text := step.input(t, n)
				r := through(t, first, text)
				for i := range step.wants {
					if step.wants[i].name != "-" && r.Events[i].Protocol == translate.Eiffel {
						n.ids[step.wants[i].name] = r.Events[i].ID
					}
				}
				want := texts(r.Events)
				// Translated there as well, with what the second one knows from dropping, and without teaching it.
				event, err := translate.Decode([]byte(text))
				if err != nil {
					t.Fatal(err)
				}
				got, err := translate.Ask(context.Background(), asked, second.Ledger(), event)
				if err != nil {
					t.Fatal(err)
				}
				if texts(got.Events) != want {
					t.Errorf("%s: with what was dropped it becomes\n%swith what was translated\n%s", step.where, texts(got.Events), want)
				}
				compared++
				if len(r.Events) == 0 {
					through(t, second, text) // nothing tells of it but the event itself
				}
				for _, e := range r.Events {
					if back := through(t, second, string(e.JSON)); len(back.Events) != 0 {
						t.Errorf("%s: not dropped: %s", step.where, texts(back.Events))
					}
				}
			}
		})
	}
	if compared < 100 {
		t.Errorf("only %d events were compared", compared)
	}
}
