package translate_test

import (
	"errors"
	"fmt"
	"iter"
	"math/rand"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// Whole flows: thousands of events of many deliveries at once, as they lie on a bus. eiffelflow_test.go tells one in Eiffel,
// cdeventsflow_test.go one in CDEvents. Each is told by a model that knows what every event must become: it tells the
// stories and, from them and from the contract alone, writes the events of the other protocol down to the last member.
// The tests compare those with what the translation gives. The engine has no part in the models.

// told is an event of a flow and what the model says about it.
type told struct {
	text string
	want []string // the events that it must become, in order, as JSON
	says []string // what the description of a deployment must speak of
	fail string   // the code of the error that it must give instead
}

// together lets stories take turns: each goes on to its next event, then chance says whose turn it is.
func together(chance *rand.Rand, stories ...func(turn func())) {
	var open []func() (struct{}, bool)
	for _, story := range stories {
		next, stop := iter.Pull(func(yield func(struct{}) bool) {
			story(func() { yield(struct{}{}) })
		})
		defer stop()
		open = append(open, next)
	}
	for len(open) > 0 {
		i := chance.Intn(len(open))
		if _, more := open[i](); !more {
			open = slices.Delete(open, i, i+1)
		}
	}
}

// play translates a flow and compares what each event becomes with what the model wants. It gives the outputs of each.
func play(t *testing.T, s *translate.Session, flow []told) [][]translate.Event {
	t.Helper()
	out := make([][]translate.Event, len(flow))
	wrong := 0
	for i, e := range flow {
		if wrong == 10 {
			t.Fatal("too much is wrong to go on")
		}
		r, err := s.Translate(t.Context(), []byte(e.text))
		if e.fail != "" {
			var failure *translate.EventError
			if !errors.As(err, &failure) || failure.Code != e.fail {
				t.Errorf("the error is %v, want one of code %s, of\n%s", err, e.fail, e.text)
				wrong++
			}
			continue
		}
		if err != nil {
			t.Errorf("%v, of\n%s", err, e.text)
			wrong++
			continue
		}
		for _, event := range r.Events {
			checkValid(t, event)
		}
		out[i] = r.Events
		var got []string
		for _, event := range r.Events {
			got = append(got, canonical(t, string(event.JSON)))
		}
		if !slices.Equal(got, e.want) {
			t.Errorf("event %d\n%s\nbecame\n%s\nwant\n%s", i, e.text, strings.Join(got, "\n"), strings.Join(e.want, "\n"))
			wrong++
		}
		for _, word := range e.says {
			if text := field(t, last(t, r), "/data/description").Str(); !strings.Contains(text, word) {
				t.Errorf("%q does not speak of %q", text, word)
				wrong++
			}
		}
	}
	return out
}

// canonical writes an event so that equal ones are equal texts: with sorted members, and without the description of a
// deployment, whose words are free.
func canonical(t *testing.T, event string) string {
	t.Helper()
	v := value(t, []byte(event)).(map[string]any)
	if object(v, "meta")["type"] == "EiffelArtifactDeployedEvent" {
		delete(object(v, "data"), "description")
	}
	return marshal(t, v)
}

// checkBack translates each output by itself, with an empty ledger: the last one that an event became gives that event
// again, the very bytes, and what was made up gives nothing.
func checkBack(t *testing.T, engine *translate.Engine, flow []told, out [][]translate.Event) {
	t.Helper()
	for i, events := range out {
		for j, e := range events {
			want := ""
			if j == len(events)-1 {
				want = compact(t, flow[i].text) + "\n"
			}
			if got := texts(backOf(t, engine, e)); got != want {
				t.Fatalf("%s\ncame back as\n%swant\n%s", e.JSON, got, want)
			}
		}
	}
}

// checkRedelivery plays the whole flow once more through the same session: every event becomes the same, to the byte.
func checkRedelivery(t *testing.T, s *translate.Session, flow []told, out [][]translate.Event) {
	t.Helper()
	for i, e := range flow {
		if e.fail != "" {
			continue
		}
		if got, want := texts(through(t, s, e.text).Events), texts(out[i]); got != want {
			t.Fatalf("redelivered, event %d\n%s\nbecame\n%swas\n%s", i, e.text, got, want)
		}
	}
}

// checkRelay plays the flow through a relay, which drops what comes round. Each output comes round at once, through the same
// ledger and by way of another relay, and nothing may come of it; and what the flow becomes is the same as without.
func checkRelay(t *testing.T, settings translate.Settings, flow []told, out [][]translate.Event) {
	t.Helper()
	settings.Returning = translate.ReturningDrop
	engine := newEngine(t, settings)
	relay, other := fresh(engine), fresh(engine)
	seen := map[string]bool{}
	for i, e := range flow {
		if e.fail != "" {
			continue
		}
		r := through(t, relay, e.text)
		if got, want := texts(r.Events), texts(out[i]); got != want {
			t.Fatalf("in a relay, event %d\n%s\nbecame\n%swant\n%s", i, e.text, got, want)
		}
		for _, event := range r.Events {
			if seen[event.ID] {
				t.Fatalf("came out twice: %s", event.JSON)
			}
			seen[event.ID] = true
			for name, s := range map[string]*translate.Session{"relay": relay, "other relay": other} {
				if back := through(t, s, string(event.JSON)); back.Returning != translate.ReturningDrop || len(back.Events) != 0 {
					t.Fatalf("through the %s, which ought to drop it,\n%s\ncame back as\n%s", name, event.JSON, texts(back.Events))
				}
			}
		}
	}
	for i, e := range flow {
		if e.fail != "" {
			continue
		}
		if got, want := texts(through(t, relay, e.text).Events), texts(out[i]); got != want {
			t.Fatalf("redelivered to the relay, event %d\n%s\nbecame\n%swas\n%s", i, e.text, got, want)
		}
	}
}

// checkShuffled plays the flow in an order that respects nothing, as of sources that are late: nothing fails, all that comes
// out is valid and has an id of its own, and a redelivery changes nothing.
func checkShuffled(t *testing.T, engine *translate.Engine, chance *rand.Rand, flow []told) {
	t.Helper()
	flow = slices.DeleteFunc(slices.Clone(flow), func(e told) bool { return e.fail != "" })
	chance.Shuffle(len(flow), func(i, j int) { flow[i], flow[j] = flow[j], flow[i] })
	s := fresh(engine)
	out := make([][]translate.Event, len(flow))
	ids := map[string]bool{}
	for i, e := range flow {
		out[i] = through(t, s, e.text).Events
		for _, event := range out[i] {
			if ids[event.ID] {
				t.Errorf("another event has the id already of\n%s", event.JSON)
			}
			ids[event.ID] = true
		}
	}
	checkRedelivery(t, s, flow, out)
}

// tally counts names, and writes them with their numbers.
type tally map[string]int

func (c tally) String() string {
	var names []string
	total := 0
	for name, n := range c {
		names = append(names, fmt.Sprintf("%s %d", name, n))
		total += n
	}
	sort.Strings(names)
	return fmt.Sprintf("%d: %s", total, strings.Join(names, ", "))
}

// typeInSpec is the full type that a version of CDEvents has for subject.predicate; "" if it has none. All but the first
// have custom events.
func typeInSpec(spec, name string) string {
	subject, predicate, _ := strings.Cut(name, ".")
	if strings.Contains(subject, "-") {
		if spec == "0.3" {
			return ""
		}
		return "dev.cdeventsx." + name
	}
	full, _ := schema.CDEventType(spec, subject, predicate)
	return full
}

// inWordsOf writes a CDEvent that is in the words of 0.5 in those of an older version (mapping.md, "Output"): context.version,
// subject.type, url for uri, pass and fail for tests; 0.3 has neither links nor chains.
func inWordsOf(spec string, event map[string]any) map[string]any {
	if spec == "0.5" {
		return event
	}
	context, subject := object(event, "context"), object(event, "subject")
	context["version"], _ = schema.SpecVersion(spec)
	delete(context, "specversion")
	if spec == "0.3" {
		delete(context, "links")
		delete(context, "chainId")
	}
	kind, predicate, _ := strings.Cut(nameOf(context["type"].(string)), ".")
	subject["type"] = kind
	for _, word := range []string{"pipelineRun", "taskRun", "testCaseRun", "testSuiteRun", "testOutput"} {
		if strings.EqualFold(kind, word) {
			subject["type"] = word
		}
	}
	content := object(subject, "content")
	rename := func(in map[string]any) {
		if uri, ok := in["uri"]; ok {
			delete(in, "uri")
			in["url"] = uri
		}
	}
	switch kind {
	case "environment", "repository", "pipelinerun", "taskrun":
		rename(content)
	case "testsuiterun", "testcaserun":
		if word := map[any]string{"success": "pass", "failure": "fail"}[content["outcome"]]; word != "" {
			content["outcome"] = word
		}
		if predicate == "queued" && content["testSuite"] != nil {
			rename(object(content, "testSuite"))
		}
	}
	return event
}

// timestamp writes milliseconds since 1970 as CDEvents do.
func timestamp(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z") }
