package oracle

import (
	"bytes"
	"strings"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/internal/testkit/oracle/corpus"
	"github.com/eiffelbridge/eiffelbridge/internal/testkit/oracle/run"
	"github.com/eiffelbridge/eiffelbridge/internal/testkit/oracle/stream"
)

const head = `{"block":1,"stream":"cases/a","settings":"carry=none +back"}` + "\n"

// before is what a driver writes about two events and what was learned.
const before = head +
	`{"at":"0","input":"1","outputs":[{"n":0,"json":"{\"meta\":{\"type\":\"EiffelX\"},\"data\":{\"customData\":[{\"key\":\"cdevents\",\"value\":{\"synthesizedFor\":\"e\"}}]},\"links\":[{\"type\":\"A\"},{\"type\":\"B\"}]}","protocol":"eiffel","id":"i","source":"","type":"EiffelX","version":"1","subject":"","time":"1","schema":"","tag":"","domain":"","synthesized":"true"}],"losses":[{"n":0,"reason":"end_link","pointer":"/context/links/0","carried":"true"},{"n":1,"reason":"precision","pointer":"/context/timestamp","carried":"true"}],"diagnostics":[{"n":0,"code":"alias","message":"was \"taken\""}],"row":"a.b","about":"x","returning":"no"}` + "\n" +
	`{"at":"1","input":"2","error":{"n":0,"code":"invalid","id":"i","type":"t","pointer":"/a","message":"is wrong"},"row":"","about":"","returning":"no"}` + "\n" +
	`{"at":"end","state":"near","facts":{"n":0,"line [\"a\"]":{"entries":[{"time":1,"id":"x"}],"firstRuns":[]},"name [\"b\"]":["s"]}}` + "\n" +
	"end\n"

func compare(t *testing.T, rules, old, new string) *Report {
	t.Helper()
	e, err := ParseExpected([]byte("rules:\n" + rules))
	if err != nil {
		t.Fatal(err)
	}
	r := NewReport(e)
	r.Coverage = NewCoverage(nil)
	if err := r.Compare(strings.NewReader(old), strings.NewReader(new)); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestEqual(t *testing.T) {
	r := compare(t, "  []", before, before)
	if r.Unexplained() != 0 || r.DifferentEvents != 0 || r.Blocks != 1 || r.Events != 2 || r.Outputs != 1 || r.Errors != 1 || r.States != 1 {
		t.Errorf("found %+v", r)
	}
	for table, name := range map[string]string{"error": "invalid", "loss": "precision", "diagnostic": "alias", "row": "a.b"} {
		if n := r.Coverage.counts[table][name]; n != 1 {
			t.Errorf("%s %s was met %d times, not once", table, name, n)
		}
	}
}

// TestKinds has one difference of each kind, which must be found, be called by its name, and be explained by a rule of that
// name.
func TestKinds(t *testing.T) {
	for _, c := range []struct{ old, new, kind string }{
		{`{\"type\":\"A\"},{\"type\":\"B\"}`, `{\"type\":\"A\"}`, "output X /links/*"},
		{`{\"type\":\"A\"}`, `{\"type\":\"C\"}`, "output X /links/*/type"},
		{`{\"meta\":{\"type\":\"EiffelX\"}`, `{ \"meta\":{\"type\":\"EiffelX\"}`, "output X bytes"},
		{`\"meta\":{\"type\":\"EiffelX\"},\"data\":{`, `\"data\":{\"meta\":{\"type\":\"EiffelX\"},`, "output X /*"},
		{`"synthesized":"true"`, `"synthesized":"false"`, "output X head synthesized"},
		{`"type":"EiffelX"`, `"type":"EiffelY"`, "output X → Y"},
		{`"reason":"end_link"`, `"reason":"has_context"`, "loss end_link → has_context"},
		{`,{"n":1,"reason":"precision","pointer":"/context/timestamp","carried":"true"}`, ``, "loss - precision"},
		{`"code":"alias"`, `"code":"several"`, "diagnostic - alias"},
		{`was \"taken\"`, `is`, "diagnostic alias"},
		{`"row":"a.b"`, `"row":"a.c"`, "row"},
		{`"about":"x","returning":"no"`, `"about":"x","returning":"dropped"`, "returning"},
		{`"code":"invalid"`, `"code":"not_json"`, "error invalid → not_json"},
		{`"message":"is wrong"`, `"message":"is right"`, "error invalid message"},
		{`"id":"x"`, `"id":"y"`, "learned line /entries/*/id"},
		{`,"name [\"b\"]":["s"]`, ``, "learned - name"},
	} {
		new := strings.Replace(before, c.old, c.new, 1)
		if new == before {
			t.Errorf("%s: nothing was changed", c.kind)
			continue
		}
		r := compare(t, "  []", before, new)
		if c.kind == "output X /*" { // the members of several objects changed
			if r.Unexplained() == 0 {
				t.Errorf("%s was not found", c.kind)
			}
			continue
		}
		if r.groups[c.kind] == nil {
			t.Errorf("%s was not found, but %v", c.kind, r.groups)
		}
		rule := "  - {reason: so, kind: \"" + c.kind + "\", stream: \"cases/*\", settings: \"*carry=none*\"}\n"
		if strings.HasPrefix(c.kind, "diagnostic - ") {
			rule += "  - {reason: so, kind: \"diagnostic + *\"}\n"
		}
		if r := compare(t, rule, before, new); r.Unexplained() != 0 || r.Reason[0] != 1 {
			t.Errorf("%s was not explained: %v", c.kind, r.groups)
		}
		if r := compare(t, strings.ReplaceAll(rule, "cases/*", "other/*"), before, new); r.Unexplained() == 0 {
			t.Errorf("%s was explained by a rule for other streams", c.kind)
		}
	}
}

func TestOrderOfLosses(t *testing.T) {
	a, b := `{"n":0,"reason":"end_link","pointer":"/context/links/0","carried":"true"}`, `{"n":1,"reason":"precision","pointer":"/context/timestamp","carried":"true"}`
	r := compare(t, "  []", before, strings.Replace(before, a+","+b, b+","+a, 1))
	if r.groups["loss order"] == nil || r.Unexplained() != 1 {
		t.Errorf("found %v", r.groups)
	}
}

func TestNormalise(t *testing.T) {
	mark := `{\"synthesizedFor\":\"e\"}`
	new := strings.Replace(before, mark, `{\"synthesizedFor\":\"e\",\"role\":\"ARTIFACT\"}`, 1)
	new = strings.Replace(new, `"about":"x"`, `"about":"y"`, 1)
	rules := "  - {reason: more members, normalise: synthesized-mark}\n"
	if r := compare(t, "  []", before, new); r.Unexplained() != 2 {
		t.Errorf("without a rule: %v", r.groups)
	}
	if r := compare(t, rules, before, new); r.Unexplained() != 1 || r.groups["about"] == nil {
		t.Errorf("with one rule: %v", r.groups)
	}
	if r := compare(t, rules+"  - {reason: other words, normalise: about}\n", before, new); r.Unexplained() != 0 || r.Reason[0] != 1 {
		t.Errorf("with both rules: %v", r.groups)
	}
	if r := compare(t, rules, before, strings.Replace(before, mark, `{\"synthesizedFor\":\"f\",\"role\":\"ARTIFACT\"}`, 1)); r.Unexplained() != 1 {
		t.Errorf("another event is marked: %v", r.groups)
	}
}

// TestRest explains what follows in the same run of a stream, and nothing before it.
func TestRest(t *testing.T) {
	rule := "  - {reason: so, kind: row, rest: true}\n"
	later := strings.Replace(strings.Replace(before, `"row":"a.b"`, `"row":"a.c"`, 1), `"message":"is wrong"`, `"message":"is right"`, 1)
	if r := compare(t, rule, before, later); r.Unexplained() != 0 {
		t.Errorf("found %v", r.groups)
	}
	if r := compare(t, "  - {reason: so, kind: error*, rest: true}\n", before, later); r.Unexplained() != 1 {
		t.Errorf("found %v", r.groups)
	}
	if r := compare(t, rule, before+before, later+strings.Replace(before, "is wrong", "is right", 1)); r.Unexplained() != 1 {
		t.Errorf("in another run: found %v", r.groups)
	}
}

func TestMissingRecord(t *testing.T) {
	lines := strings.SplitAfter(before, "\n")
	short := strings.Join(append(append([]string{}, lines[:2]...), lines[3:]...), "")
	if r := compare(t, "  []", before, short); r.groups["record -"] == nil {
		t.Errorf("found %v", r.groups)
	}
	r := NewReport(&Expected{})
	for _, new := range []string{"", before[:len(before)-4], strings.Replace(before, "cases/a", "cases/b", 1)} {
		if err := r.Compare(strings.NewReader(before), strings.NewReader(new)); err == nil {
			t.Errorf("no error for a driver that wrote %q", shorten(new, 100))
		}
	}
}

func TestBadRules(t *testing.T) {
	for _, rules := range []string{
		"  - {kind: row}", "  - {reason: so}", "  - {reason: so, normalise: nothing}", "  - {reason: so, normalise: about, kind: row}", "  - {reason: so, king: row}",
	} {
		if _, err := ParseExpected([]byte("rules:\n" + rules)); err == nil {
			t.Errorf("%s was taken", rules)
		}
	}
	if _, err := ReadExpected("expected.yaml"); err != nil {
		t.Error(err)
	}
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"", "x", true}, {"x", "x", true}, {"x", "xy", false}, {"x*", "xy", true}, {"*y", "xy", true}, {"a*b*c", "a b c", true}, {"a*b*c", "a c", false}, {"ab*ba", "aba", false}, {"*", "", true},
	} {
		if got := match(c.pattern, c.text); got != c.want {
			t.Errorf("%q for %q: %t", c.pattern, c.text, got)
		}
	}
}

// TestGeneratedStreams writes streams twice from the same seeds and translates them twice: all bytes must be the same. A
// corpus whose outputs are frozen must come to the same as well.
func TestGeneratedStreams(t *testing.T) {
	write := func() []byte {
		overlays, err := corpus.OverlayTexts("../../..")
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		w := stream.NewWriter(&b)
		for _, o := range overlays {
			if err := w.Overlay(o); err != nil {
				t.Fatal(err)
			}
		}
		for seed := range uint64(6) {
			s := corpus.Generate(seed + 1)
			if err := w.Stream(&s); err != nil {
				t.Fatal(err)
			}
		}
		return b.Bytes()
	}
	text := write()
	if !bytes.Equal(text, write()) {
		t.Fatal("the same seeds gave other streams")
	}
	translate := func(corpus []byte, o run.Options) string {
		var out bytes.Buffer
		if err := run.New(&out, o).Corpus(bytes.NewReader(corpus)); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	var frozen bytes.Buffer
	first := translate(text, run.Options{Freeze: stream.NewWriter(&frozen)})
	r := compare(t, "  []", first, translate(text, run.Options{}))
	if r.DifferentBlocks != 0 || r.Blocks != 6 || r.Events < 300 || r.Outputs < 150 {
		t.Errorf("%d runs, %d of them different, %d events, %d outputs", r.Blocks, r.DifferentBlocks, r.Events, r.Outputs)
	}
	again := compare(t, "  []", translate(frozen.Bytes(), run.Options{}), translate(frozen.Bytes(), run.Options{}))
	if again.Events != r.Events || again.Outputs != r.Outputs || again.Errors != r.Errors {
		t.Errorf("frozen: %d events, %d outputs, %d errors; not %d, %d, %d", again.Events, again.Outputs, again.Errors, r.Events, r.Outputs, r.Errors)
	}
}
