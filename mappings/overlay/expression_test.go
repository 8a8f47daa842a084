package overlay_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/mappings"
	"github.com/eiffelbridge/eiffelbridge/mappings/overlay"
)

// input is the event of testdata/event.json.
func input(t testing.TB) mappings.Input {
	t.Helper()
	text, err := os.ReadFile("testdata/event.json")
	if err != nil {
		t.Fatal(err)
	}
	return inputOf(t, text)
}

func inputOf(t testing.TB, text []byte) mappings.Input {
	t.Helper()
	doc, err := jsondoc.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	root := doc.Root()
	return mappings.Input{Event: root, Subject: mappings.Subject{Kind: "service", Source: root.At("context", "source").Str(), ID: root.At("subject", "id").Str()}}
}

// compile compiles an expression as the value of a custom data entry of the type *, of which no members are known.
func compile(t testing.TB, expression string) (mappings.Expression, error) {
	t.Helper()
	quoted, err := json.Marshal(expression)
	if err != nil {
		t.Fatal(err)
	}
	c, err := overlay.Parse(own(t), "it.yaml", fmt.Appendf(nil, `version: 1
to_eiffel:
  - cdevent: "*"
    extend: true
    custom:
      - to: /it
        value: %s
`, quoted))
	if err != nil {
		return nil, err
	}
	for _, row := range c.ToEiffel {
		if row.CDEvent == mappings.Any {
			return row.Custom[len(row.Custom)-1].Value, nil
		}
	}
	t.Fatal("no row *")
	return nil, nil
}

func TestExpressions(t *testing.T) {
	const path = "testdata/expressions.txt"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	in := input(t)
	before := string(in.Event.Raw())
	var got strings.Builder
	for line := range strings.Lines(string(text)) {
		switch {
		case strings.HasPrefix(line, "> "):
			got.WriteString(line + answer(t, in, strings.TrimSpace(line[2:])) + "\n")
		case strings.HasPrefix(line, "#") || line == "\n":
			got.WriteString(line)
		}
	}
	if string(in.Event.Raw()) != before {
		t.Error("the event was changed")
	}
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got.String() != string(text) {
		t.Errorf("UPDATE_GOLDEN=1 writes it anew; got:\n%s", got.String())
	}
}

// answer is what an expression gives, as a line.
func answer(t *testing.T, in mappings.Input, expression string) string {
	t.Helper()
	e, err := compile(t, expression)
	if err != nil {
		return "! " + strings.ReplaceAll(err.Error(), "it.yaml:7: to_eiffel[0].custom[0].value: ", "at load: ")
	}
	if e.String() != expression {
		t.Errorf("%s: the text is %s", expression, e)
	}
	out, err := e.JSON(in)
	var failed *overlay.ExpressionError
	switch {
	case errors.As(err, &failed):
		if failed.Place != "it.yaml:7: to_eiffel[0].custom[0].value" {
			t.Errorf("%s: stands at %s", expression, failed.Place)
		}
		return "! " + failed.Message
	case err != nil:
		t.Errorf("%s: %T", expression, err)
	case out == nil:
		return "= nothing"
	}
	if _, err := jsondoc.Parse(out); err != nil {
		t.Errorf("%s: gives no JSON: %v", expression, err)
	}
	return "= " + string(out)
}

// TestBounds evaluates what is cheap to write and dear to carry out.
func TestBounds(t *testing.T) {
	large := `{"subject":{"id":"x"},"customData":{"a":"` + strings.Repeat("x", 900_000) + `","l":[` + strings.Repeat(`"",`, 99_999) + `""],"o":{` + members(50_000) + `}}}`
	in := inputOf(t, []byte(large))
	for expression, says := range map[string]string{
		`event.customData.a.replace("x", event.customData.a)`:                                                                              "longer than",
		`event.customData.l.join(event.customData.a)`:                                                                                      "longer than",
		`regex.replace(event.customData.a, "x", event.customData.a)`:                                                                       "longer than",
		`event.customData.l.map(x, event.customData.l.map(y, x))`:                                                                          "steps",
		`event.customData.l.exists(x, event.customData.l.exists(y, event.customData.a == y))`:                                              "",
		`event.customData.l.map(x, event.customData.o.m49999)`:                                                                             "", // one of the bounds
		`event.customData.l.map(x, size(event.customData.l))`:                                                                              "",
		`event.customData.l.map(x, event.customData.l[99999])`:                                                                             "",
		`event.customData.l.map(x, event.customData.?o.?none)`:                                                                             "",
		`event.customData.l.map(x, event.customData.a)`:                                                                                    "",
		`cel.bind(a, [event.customData.a, event.customData.a, event.customData.a, event.customData.a], cel.bind(b, [a, a, a, a], [b, b]))`: "longer than 16 MiB",
		`cel.bind(a, event.customData.a + event.customData.a, cel.bind(b, a + a, cel.bind(c, b + b, c + c)))`:                              "steps",
		`"%s%s%s".format([event.customData.a, event.customData.a, event.customData.a])`:                                                    "steps",
	} {
		e, err := compile(t, expression)
		if err != nil {
			t.Errorf("%s: %v", expression, err)
			continue
		}
		out, err := e.JSON(in)
		if err == nil {
			t.Errorf("%s: gives %d bytes", expression, len(out))
		} else if !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", expression, err)
		}
	}
}

func members(n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"m%d":%d`, i, i)
	}
	return b.String()
}

// TestReads looks at what expressions say of themselves.
func TestReads(t *testing.T) {
	for expression, want := range map[string]string{
		`subject.id`: "[]",
		`event.subject.content.environment.id + event.subject.id`:       "[/subject/content/environment/id /subject/id]",
		`event.customData.list[1] + event.customData.?text.orValue("")`: "[/customData/list/1 /customData/text]",
		`event.customData.list.map(x, x + event.customData.object.b)`:   "[/customData/list /customData/object/b]",
		`has(event.context.chainId) ? event.context : null`:             "[/context/chainId]",
	} {
		e, err := compile(t, expression)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(e.(interface{ Reads() []string }).Reads()); got != want {
			t.Errorf("%s reads %s, want %s", expression, got, want)
		}
	}
}

// TestConcurrentUse is for the race detector.
func TestConcurrentUse(t *testing.T) {
	e, err := compile(t, `event.customData.list.map(x, purl(event.subject.content.artifactId).name + x)`)
	if err != nil {
		t.Fatal(err)
	}
	in := input(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				if out, err := e.JSON(in); err != nil || string(out) != `["shopa","shopb","shopc"]` {
					t.Errorf("%s, %v", out, err)
				}
			}
		})
	}
	all.Wait()
}

// FuzzExpression evaluates any expression on any event: no panic, and what comes out is JSON.
func FuzzExpression(f *testing.F) {
	text, err := os.ReadFile("testdata/expressions.txt")
	if err != nil {
		f.Fatal(err)
	}
	event, err := os.ReadFile("testdata/event.json")
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if expression, ok := strings.CutPrefix(line, "> "); ok {
			f.Add(strings.TrimSpace(expression), event)
		}
	}
	f.Fuzz(func(t *testing.T, expression string, event []byte) {
		doc, err := jsondoc.Parse(event)
		if err != nil {
			return
		}
		e, err := compile(t, expression)
		if err != nil {
			return
		}
		in := mappings.Input{Event: doc.Root(), Subject: mappings.Subject{Kind: "k", Source: "s", ID: "i"}}
		out, err := e.JSON(in)
		again, errAgain := e.JSON(in)
		if string(out) != string(again) || fmt.Sprint(err) != fmt.Sprint(errAgain) {
			t.Fatalf("%s gives %s, %v and then %s, %v", expression, out, err, again, errAgain)
		}
		if err == nil && out != nil {
			if _, err := jsondoc.Parse(out); err != nil {
				t.Fatalf("%s gives %s, which is no JSON: %v", expression, out, err)
			}
		}
		if _, err := e.Holds(in); err != nil && err.Error() == "" {
			t.Fatal("an error without words")
		}
	})
}

// BenchmarkExpression shows what an evaluation costs.
func BenchmarkExpression(b *testing.B) {
	in := input(b)
	for _, expression := range []string{
		`event.subject.id`,
		`subject.kind == "deployment"`,
		`event.subject.?content.?nothing.orValue("")`,
		`event.customData.list.filter(x, x == "b")[0]`,
		`purl(event.subject.content.artifactId).name`,
		`event.customData`,
	} {
		e, err := compile(b, expression)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(expression, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := e.JSON(in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkParse shows what an overlay costs at start.
func BenchmarkParse(b *testing.B) {
	text, err := os.ReadFile("../../examples/overlays/deployment/overlay.yaml")
	if err != nil {
		b.Fatal(err)
	}
	base := own(b)
	for b.Loop() {
		if _, err := overlay.Parse(base, "overlay.yaml", text); err != nil {
			b.Fatal(err)
		}
	}
}
