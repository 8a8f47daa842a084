package translate_test

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/internal/schema/generate"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// fitting is a case of testdata/fitting.txt, which says what its lines mean.
type fitting struct {
	name     string
	settings translate.Settings
	in       []string
	out      [][2]string
	losses   []translate.Loss
}

func readFitting(t testing.TB) []fitting {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "fitting.txt"))
	if err != nil {
		t.Fatal(err)
	}
	deep := regexp.MustCompile(`DEEP\d+`)
	var out []fitting
	for line := range strings.Lines(string(text)) {
		key, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		if key == "case" {
			name, carry := strings.CutSuffix(rest, ", carry none")
			c := fitting{name: name}
			if carry {
				c.settings.Carry = translate.CarryNone
			}
			out = append(out, c)
			continue
		}
		if line == "\n" || line[0] == '#' {
			continue
		}
		c := &out[len(out)-1]
		switch key {
		case "in":
			c.in = append(c.in, deep.ReplaceAllStringFunc(rest, func(word string) string {
				levels, _ := strconv.Atoi(word[len("DEEP"):])
				return nested(levels)
			}))
		case "out":
			pointer, want, _ := strings.Cut(rest, " =")
			c.out = append(c.out, [2]string{pointer, strings.TrimPrefix(want, " ")})
		case "loss":
			pointer, reason, _ := strings.Cut(rest, " ")
			c.losses = append(c.losses, translate.Loss{Pointer: pointer, Reason: reason})
		default:
			t.Fatalf("%s: what is %q?", c.name, key)
		}
	}
	return out
}

func nested(levels int) string { return strings.Repeat("[", levels) + strings.Repeat("]", levels) }

func TestValuesThatFitElsewhere(t *testing.T) {
	cases := readFitting(t)
	if len(cases) < 10 {
		t.Fatalf("%d cases", len(cases))
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := newSession(t, c.settings)
			var r translate.Result
			for _, in := range c.in {
				r = through(t, s, in)
			}
			for _, o := range c.out {
				got := field(t, last(t, r), o[0])
				if got.Str() != o[1] || o[1] == "" && got.Exists() {
					t.Errorf("%s is %s, want %q in %s", o[0], got.Raw(), o[1], last(t, r).JSON)
				}
			}
			for _, want := range c.losses {
				want.Carried = c.settings.Carry != translate.CarryNone
				if !slices.Contains(r.Losses, want) {
					t.Errorf("losses %+v, want %+v", r.Losses, want)
				}
			}
		})
	}
}

// TestOneJudgeOfURIs: what is written is what the table that the schemas' own judge is tested by says.
func TestOneJudgeOfURIs(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "internal", "schema", "testdata", "uris.txt"))
	if err != nil {
		t.Fatal(err)
	}
	engine := newEngine(t, translate.Settings{})
	n := 0
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		n++
		uri := strings.TrimSpace(line[strings.IndexByte(line, '"'):])
		var want string
		if err := json.Unmarshal([]byte(uri), &want); err != nil {
			t.Fatal(err)
		}
		r := through(t, fresh(engine), `{"meta":{"id":"`+uuid(1)+`","type":"EiffelEnvironmentDefinedEvent","version":"3.3.0","time":1700000000000,"source":{"uri":`+uri+`}},"data":{"name":"lab","uri":`+uri+`},"links":[]}`)
		e := only(t, r)
		if got := field(t, e, "/subject/content/uri"); got.Exists() != (words[1] == "uri") || got.Exists() && got.Str() != want {
			t.Errorf("%s, %s: the uri is %s", uri, words[1], got.Raw())
		}
		if got := field(t, e, "/context/source").Str(); (got == want) != (words[1] != "none") {
			t.Errorf("%s, %s: the source is %s", uri, words[1], got)
		}
	}
	if n < 40 {
		t.Errorf("%d texts", n)
	}
}

// misfits are strings that some place of some schema does not take.
var misfits = []string{
	"", "a b", "http://[fe80::1%25en0]/", "http://[::1]", "http://::1/", "http://h/a b", "%zz", "//", "://x", "a:b", "1:b", `a\b`, "é", "http:", "#%", "\x00",
	"PKG:npm/a@1", "pkg:", "pkg:npm/a@1", "pkg:npm/%zz@1", "urn:uuid:aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee", "urn:uuid:", "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee",
	"AAAAAAAA-BBBB-4CCC-8DDD-EEEEEEEEEEEE", "2024-06-30T22:59:60-01:00", "9999-12-31T23:59:59.9999Z", "TRIGGER", "IUT", "success", "eiffel", "cdevents", "subject", "signature",
	"artifactSigned", "changeReviewed", "build", "taskRun", "EiffelNothingEvent", "EiffelEvent", "dev.cdevents.a.b.0.1.0", "dev.cdeventsx.a-b.c.0.1.0", "3.99.0",
	"pkg:golang/github.com/eiffelbridge/eiffelbridge@1",
}

// misfitValues are other values of that kind, as JSON.
var misfitValues = []string{
	"1.0", "1e3", "1e2000000", "-0", "123456789012345678901234567890", "253402300799999", `{"id":""}`, `{"id":"x","source":"%zz"}`, `{"id":"x","source":""}`,
	nested(94), nested(97), `[{"key":"","value":` + nested(94) + `}]`,
}

// TestNoValidInputBecomesInvalidOutput puts misfits into the places of full events of every type and version, and into what
// they become where nothing is carried. What is still valid must not fail for an output that is not.
func TestNoValidInputBecomesInvalidOutput(t *testing.T) {
	engines := []*translate.Engine{
		newEngine(t, translate.Settings{}), newEngine(t, translate.Settings{Carry: translate.CarryNone}),
		newEngine(t, translate.Settings{Spec: "0.4", Edition: "Paris"}), newEngine(t, translate.Settings{Spec: "0.3", Edition: "Agen", Carry: translate.CarryNone}),
		newEngine(t, translate.Settings{Returning: translate.ReturningDrop, Synthesize: translate.SynthesizeNever}),
	}
	turn, translated := 0, 0
	try := func(text []byte) {
		in, err := translate.Decode(text)
		if err != nil || len(in.Validate()) > 0 {
			return
		}
		translated++
		_, err = fresh(engines[translated%len(engines)]).TranslateEvent(context.Background(), in)
		var e *translate.EventError
		if errors.As(err, &e) && e.Code == translate.CodeInvalidOutput {
			t.Errorf("%v\n%s", e, text)
		}
	}
	// Each value of an event gets one of the misfits, and the next value the next.
	mutate := func(text []byte) {
		d, err := jsondoc.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		var walk func(v jsondoc.Value)
		walk = func(v jsondoc.Value) {
			turn++
			if v.Kind() == jsondoc.String {
				try(jsondoc.AppendReplaced(nil, d, v, jsondoc.AppendString(nil, misfits[turn%len(misfits)])))
			} else if v.Parent().Exists() {
				try(jsondoc.AppendReplaced(nil, d, v, []byte(misfitValues[turn%len(misfitValues)])))
			}
			for c := range v.Children() {
				walk(c)
			}
		}
		walk(d.Root())
	}
	for i, s := range generate.Schemas() {
		text := generate.NewWriter(rand.New(rand.NewPCG(uint64(i), 1))).Event(s, generate.Full)
		mutate(text)
		if r, err := fresh(engines[1]).Translate(context.Background(), text); err == nil && len(r.Events) > 0 {
			mutate(last(t, r).JSON)
		}
	}
	if translated < 5000 {
		t.Errorf("%d events were translated", translated)
	}
}

// TestNoValidSequenceBecomesInvalidOutput does so with events that meet in a ledger: what one of them says of a subject is
// written where another refers to it.
func TestNoValidSequenceBecomesInvalidOutput(t *testing.T) {
	schemas := generate.Schemas()
	translated := 0
	for seed := range 120 {
		chance := rand.New(rand.NewPCG(uint64(seed), 7))
		settings := []translate.Settings{{}, {Carry: translate.CarryNone}, {Spec: "0.4", Edition: "Paris"}}[seed%3]
		s, w := newSession(t, settings), generate.NewWriter(chance)
		for range 40 {
			text := w.Event(schemas[chance.IntN(len(schemas))], generate.Random)
			for range 3 {
				text = misfitted(t, chance, text)
			}
			in, err := translate.Decode(text)
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			translated++
			r, err := s.TranslateEvent(context.Background(), in)
			var e *translate.EventError
			if errors.As(err, &e) && e.Code == translate.CodeInvalidOutput {
				t.Errorf("%v\n%s", e, text)
			}
			for _, e := range r.Events {
				w.Know(e.ID, e.Type)
			}
		}
	}
	if translated < 1000 {
		t.Errorf("%d events were translated", translated)
	}
}

// misfitted puts a misfit into an event, in the place of a string, mostly of a source; if it is not valid then, the event
// stays as it is.
func misfitted(t *testing.T, chance *rand.Rand, text []byte) []byte {
	t.Helper()
	d, err := jsondoc.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	var places []jsondoc.Value
	var walk func(v jsondoc.Value)
	walk = func(v jsondoc.Value) {
		if v.Kind() == jsondoc.String {
			places = append(places, v)
			if v.Key() == "source" {
				places = append(places, v, v, v, v)
			}
		}
		for c := range v.Children() {
			walk(c)
		}
	}
	walk(d.Root())
	misfit := misfits[chance.IntN(len(misfits))]
	if chance.IntN(2) == 0 {
		misfit = misfits[chance.IntN(8)]
	}
	changed := jsondoc.AppendReplaced(nil, d, places[chance.IntN(len(places))], jsondoc.AppendString(nil, misfit))
	if in, err := translate.Decode(changed); err != nil || len(in.Validate()) > 0 {
		return text
	}
	return changed
}
