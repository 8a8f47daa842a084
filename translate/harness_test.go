package translate_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/internal/testkit/judge"
	"github.com/eiffelbridge/eiffelbridge/internal/testkit/specs"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// newEngine makes an engine that leaves nothing of the memory in which it translated: what a result has of it would be damaged.
func newEngine(t testing.TB, settings translate.Settings) *translate.Engine {
	t.Helper()
	engine, err := translate.New(settings)
	if err != nil {
		t.Fatal(err)
	}
	translate.OverwriteRooms(engine)
	return engine
}

// newSession joins an engine with these settings and an empty ledger.
func newSession(t testing.TB, settings translate.Settings) *translate.Session {
	t.Helper()
	return fresh(newEngine(t, settings))
}

// fresh joins an engine with an empty ledger.
func fresh(engine *translate.Engine) *translate.Session {
	return translate.NewSession(engine, translate.NewMemoryLedger())
}

// alone translates one event with an empty ledger.
func alone(t testing.TB, settings translate.Settings, text string) translate.Result {
	t.Helper()
	return through(t, newSession(t, settings), text)
}

// through translates one event and holds the output against the schemas.
func through(t testing.TB, s *translate.Session, text string) translate.Result {
	t.Helper()
	result, err := s.Translate(context.Background(), []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	for _, e := range result.Events {
		checkValid(t, e)
	}
	return result
}

// checkValid holds an output event, as any reader would from its bytes, against the schemas and link rules themselves. It
// shares nothing with what the engine validates by.
func checkValid(t testing.TB, e translate.Event) {
	t.Helper()
	var compacted bytes.Buffer
	if err := json.Compact(&compacted, e.JSON); err != nil {
		t.Fatalf("the output cannot be read: %v\n%s", err, e.JSON)
	}
	if !bytes.Equal(compacted.Bytes(), e.JSON) {
		t.Errorf("the output is not compact:\n%s", e.JSON)
	}
	findings, known := judge.Get(t).Findings(e.JSON)
	for _, finding := range findings {
		t.Errorf("the output is not valid: %s\n%s", finding, e.JSON)
	}

	read, _ := value(t, e.JSON).(map[string]any)
	context, meta := object(read, "context"), object(read, "meta")
	if (context == nil) == (meta == nil) {
		t.Fatalf("the output is no event: %s", e.JSON)
	}
	text := func(o map[string]any, name string) string { s, _ := o[name].(string); return s }
	ours := false
	if context != nil {
		if text(context, "id") != e.ID || text(context, "type") != e.Type || text(context, "source") != e.Source || e.Protocol != translate.CDEvents {
			t.Errorf("the head is %+v\n%s", e, e.JSON)
		}
		if e.Version != "" && !strings.HasSuffix(e.Type, "."+e.Version) || known && e.Version == "" {
			t.Errorf("the head has the version %q\n%s", e.Version, e.JSON)
		}
		if at, err := time.Parse(time.RFC3339Nano, strings.ToUpper(text(context, "timestamp"))); err == nil && at.UnixMilli() != e.Time {
			t.Errorf("the head has the time %d\n%s", e.Time, e.JSON)
		}
		ours = object(object(read, "customData"), "eiffel") != nil
	} else {
		if text(meta, "id") != e.ID || text(meta, "type") != e.Type || text(meta, "version") != e.Version || e.Protocol != translate.Eiffel {
			t.Errorf("the head is %+v\n%s", e, e.JSON)
		}
		at, _ := meta["time"].(json.Number)
		if at, ok := new(big.Rat).SetString(at.String()); ok && at.Cmp(new(big.Rat).SetInt64(e.Time)) != 0 {
			t.Errorf("the head has the time %d\n%s", e.Time, e.JSON)
		}
		ours = strings.HasPrefix(text(object(meta, "source"), "serializer"), "pkg:golang/github.com/eiffelbridge/eiffelbridge@")
	}
	if known {
		return
	}
	// Of a version that is not published is only what is given back, which bears nothing of ours. The SDKs lack some versions
	// that are: where the specifications are not at hand, only the tables can judge those.
	doc, err := jsondoc.Parse(e.JSON)
	if err != nil {
		t.Fatal(err)
	}
	s, err := schemaOf(doc)
	switch {
	case err != nil || s.Lenient():
		if ours {
			t.Errorf("the output is of a version that is not published: %s", e.JSON)
		}
	case specs.Folder(t) != "" && !strings.HasPrefix(e.Type, "dev.cdeventsx."):
		t.Errorf("the specifications have no schema of %s %s", e.Type, e.Version)
	default:
		for _, finding := range s.Validate(doc) {
			t.Errorf("the output is not valid: %v\n%s", finding, e.JSON)
		}
	}
}

func schemaOf(d *jsondoc.Document) (*schema.Schema, error) {
	if m := d.Root().Get("meta"); m.Exists() {
		return schema.ForEiffel(m.Get("type").Str(), m.Get("version").Str())
	}
	c := d.Root().Get("context")
	version := c.Get("specversion").Str()
	if version == "" {
		version = c.Get("version").Str()
	}
	return schema.ForCDEvent(c.Get("type").Str(), version)
}

// only is the one event of a result.
func only(t testing.TB, r translate.Result) translate.Event {
	t.Helper()
	if len(r.Events) != 1 {
		t.Fatalf("%d events, want one: %s", len(r.Events), texts(r.Events))
	}
	return r.Events[0]
}

// last is the event that the input itself became, which comes last.
func last(t testing.TB, r translate.Result) translate.Event {
	t.Helper()
	if len(r.Events) == 0 {
		t.Fatal("no events")
	}
	main, ok := r.Main()
	if at := len(r.Events) - 1; !ok || r.Events[at].ID != main.ID {
		t.Fatalf("the last event is not what the input became: %s", r.Events[at].JSON)
	}
	return main
}

// texts are the bytes of events, a line each.
func texts(events []translate.Event) string {
	var b strings.Builder
	for _, e := range events {
		b.Write(e.JSON)
		b.WriteByte('\n')
	}
	return b.String()
}

func compact(t testing.TB, text string) string {
	t.Helper()
	d, err := jsondoc.Parse([]byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return string(d.Bytes())
}

// jsonEqual compares two texts as JSON values, numbers digit by digit.
func jsonEqual(t testing.TB, a, b []byte) bool {
	t.Helper()
	return reflect.DeepEqual(value(t, a), value(t, b))
}

func value(t testing.TB, text []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return v
}

// field is the value at a JSON pointer of an event.
func field(t testing.TB, e translate.Event, pointer string) jsondoc.Value {
	t.Helper()
	d, err := jsondoc.Parse(e.JSON)
	if err != nil {
		t.Fatal(err)
	}
	return d.Root().Pointed(pointer)
}

// links are an Eiffel event's links as "TYPE target".
func links(t testing.TB, e translate.Event) []string {
	t.Helper()
	var out []string
	for l := range field(t, e, "/links").Children() {
		out = append(out, l.Get("type").Str()+" "+l.Get("target").Str())
	}
	return out
}

// target is the target of an Eiffel event's only link of a type, "" if it has none.
func target(t testing.TB, e translate.Event, linkType string) string {
	t.Helper()
	found := ""
	for _, l := range links(t, e) {
		if typ, id, _ := strings.Cut(l, " "); typ == linkType {
			if found != "" {
				t.Fatalf("several links of type %s: %s", linkType, e.JSON)
			}
			found = id
		}
	}
	return found
}

func hasDiagnostic(r translate.Result, code string) bool {
	for _, d := range r.Diagnostics {
		if d.Code == code {
			return true
		}
	}
	return false
}

// readLines reads a file of testdata, a line an event.
func readLines(t testing.TB, name string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// uuid is the n-th of a series of ids that Eiffel accepts and that sort as their numbers do.
func uuid(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) }
