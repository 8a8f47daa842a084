// Package nodemapping has the test of the mapping plugin in JavaScript that lies beside it.
package nodemapping

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/eiffelbridge/eiffelbridge/plugins/host"
	"github.com/eiffelbridge/eiffelbridge/plugins/pluginv1"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// install lays the plugin out in a folder of its own, as its README says, and gives what the configuration needs of it. It is not
// done in place, so that what somebody has installed there counts for nothing.
var install = sync.OnceValues(func() (host.Settings, error) {
	s := host.DefaultSettings()
	folder, err := os.MkdirTemp("", "node-mapping")
	if err != nil {
		return s, err
	}
	node, err := exec.LookPath("node")
	if err != nil {
		return s, err
	}
	s.Name, s.Path, s.Args, s.Dir, s.Files = "signoff", node, []string{"plugin.js"}, folder, map[string]string{}
	if s.SHA256, err = host.Checksum(node); err != nil {
		return s, err
	}
	for _, file := range []string{"plugin.js", "signoff.js", "serve.js", "certificate.js", "package.json", "package-lock.json", "../../../plugins/pluginv1/plugin.proto"} {
		text, err := os.ReadFile(file)
		if err != nil {
			return s, err
		}
		target := filepath.Join(folder, filepath.Base(file))
		if err := os.WriteFile(target, text, 0o600); err != nil {
			return s, err
		}
		if s.Files[target], err = host.Checksum(target); err != nil {
			return s, err
		}
	}
	npm := exec.Command("npm", "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
	npm.Dir = folder
	if out, err := npm.CombinedOutput(); err != nil {
		return s, fmt.Errorf("npm ci: %w\n%s", err, out)
	}
	return s, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if s, _ := install(); s.Dir != "" {
		os.RemoveAll(s.Dir)
	}
	os.Exit(code)
}

// settings are those of the plugin. Without Node or its packages there is no test, unless EIFFELBRIDGE_REQUIRE_NODE is set.
func settings(t *testing.T) host.Settings {
	t.Helper()
	s, err := install()
	if err != nil {
		if os.Getenv("EIFFELBRIDGE_REQUIRE_NODE") == "1" {
			t.Fatal(err)
		}
		t.Skipf("Node 20 or its packages are missing: %v", err)
	}
	s.Logger = slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	return s
}

// testWriter shows what the plugin logs beside the test.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Helper()
	w.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

func start(t *testing.T, s host.Settings) (*host.Process, *host.Incarnation) {
	t.Helper()
	p, err := host.Start(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p, wait(t, p)
}

func wait(t *testing.T, p *host.Process) *host.Incarnation {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	i, err := p.Wait(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// ask sends batches before it reads the first answer.
func ask(t *testing.T, i *host.Incarnation, batches ...[]string) [][]*pluginv1.TranslateResult {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	stream, err := pluginv1.NewMappingServiceClient(i.Conn).Translate(ctx)
	if err != nil {
		t.Fatal(err)
	}
	sent := make(chan error, 1)
	go func() {
		for _, batch := range batches {
			request := &pluginv1.TranslateRequest{}
			for _, event := range batch {
				request.Items = append(request.Items, &pluginv1.TranslateItem{Event: []byte(event)})
			}
			if err := stream.Send(request); err != nil {
				sent <- err
				return
			}
		}
		sent <- stream.CloseSend()
	}()
	var out [][]*pluginv1.TranslateResult
	for range batches {
		response, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, response.GetResults())
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	return out
}

const artifact = "8ec826ca-6311-43ad-a522-e094be52845c"

// signoff is one of Acme's events.
func signoff(id, content, more string) string {
	return `{"context":{"specversion":"0.5.1","id":"` + id + `","source":"/signoff","type":"dev.cdeventsx.acme-signoff.given.1.0.0",` +
		`"timestamp":"2026-03-05T12:00:00.5Z"},"subject":{"id":"s-1","source":"/signoff","content":` + content + `}` + more + `}`
}

const granted = `{"artifact":"` + artifact + `","approved":true,"by":{"name":"Åsa","email":"asa@acme.example"},"comment":"good $& to \"go\"","score":1.10,"limit":[1e400,12345678901234567890]}`

func TestMapping(t *testing.T) {
	_, i := start(t, settings(t))
	if d := i.Description; d.GetKind() != pluginv1.Kind_KIND_MAPPING || d.GetName() != "acme-signoff" || fmt.Sprint(d.GetTypes()) != "[dev.cdeventsx.acme-signoff.given EiffelConfidenceLevelModifiedEvent]" {
		t.Errorf("%v", d)
	}
	in := signoff("fc3a0611-66b1-46a6-ac1c-51f6f144ac87", granted, `,"customData":{"n":0.10}`)
	result := ask(t, i, []string{in})[0][0]
	if result.GetError() != nil || len(result.GetEvents()) != 1 {
		t.Fatal(result)
	}
	want := `{"meta":{"id":"fc3a0611-66b1-46a6-ac1c-51f6f144ac87","type":"EiffelConfidenceLevelModifiedEvent","version":"3.3.0","time":1772712000500,` +
		`"source":{"serializer":"pkg:npm/acme-signoff@1.0.0","uri":"/signoff"}},` +
		`"data":{"name":"acmeSignoff","value":"SUCCESS","issuer":{"name":"Åsa","email":"asa@acme.example"},` +
		`"customData":[{"key":"acme-signoff","value":{"original":` + quoted(in) + `}},{"key":"comment","value":"good $& to \"go\""}]},` +
		`"links":[{"type":"SUBJECT","target":"` + artifact + `"}]}`
	out := result.GetEvents()[0].GetJson()
	if string(out) != want {
		t.Errorf("\n got %s\nwant %s", out, want)
	}
	var lost []string
	for _, l := range result.GetLosses() {
		if !l.GetCarried() {
			t.Errorf("%s is not carried", l.GetPointer())
		}
		lost = append(lost, l.GetPointer())
	}
	if got := fmt.Sprint(lost); got != "[/context/specversion /subject/id /subject/source /subject/content/score /subject/content/limit/0 /subject/content/limit/1 /customData/n]" {
		t.Error(got)
	}

	// The bridge finds the Eiffel event valid.
	engine, err := translate.New(translate.DefaultSettings())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := translate.NewSession(engine, translate.NewMemoryLedger()).Translate(t.Context(), out); err != nil {
		t.Error(err)
	}
}

// What comes round gives nothing, or the original to the last digit. What only looks as if it came round is somebody else's.
func TestReturning(t *testing.T) {
	s := settings(t)
	_, dropping := start(t, s)
	s.Config = []byte(`{"returning":"restore"}`)
	_, restoring := start(t, s)
	in := signoff("fc3a0611-66b1-46a6-ac1c-51f6f144ac87", granted, `,"customData":{"n":0.10}`)
	out := string(ask(t, dropping, []string{in})[0][0].GetEvents()[0].GetJson())

	if r := ask(t, dropping, []string{out})[0][0]; r.GetReturning() != pluginv1.Returning_RETURNING_DROPPED || len(r.GetEvents()) > 0 {
		t.Error(r)
	}
	if r := ask(t, restoring, []string{out})[0][0]; r.GetReturning() != pluginv1.Returning_RETURNING_RESTORED || len(r.GetEvents()) != 1 || string(r.GetEvents()[0].GetJson()) != in {
		t.Error(r)
	}
	for _, other := range []string{
		strings.Replace(out, "SUCCESS", "FAILURE", 1),
		strings.Replace(out, "acme-signoff@", "acme-other@", 1),
		strings.Replace(out, `{"original":`, `{"copy":`, 1),
		strings.Replace(out, quoted(in), quoted(`{"context":{}}`), 1),
		strings.Replace(out, quoted(in), `7`, 1),
	} {
		if r := ask(t, restoring, []string{other})[0][0]; r.GetError().GetCode() != "no_mapping" || other == out {
			t.Errorf("%s: %v", other, r)
		}
	}
}

// quoted is a text as a JSON string.
func quoted(text string) string {
	b := new(bytes.Buffer)
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	_ = e.Encode(text) // never an error for a string
	return strings.TrimSpace(b.String())
}

func TestWhatIsWrongWithAnEvent(t *testing.T) {
	_, i := start(t, settings(t))
	sound := signoff("1", granted, "")
	results := ask(t, i, []string{
		sound,
		signoff("2", `{"artifact":"none","approved":true}`, ""),
		signoff("3", `{"artifact":"`+artifact+`","approved":"yes"}`, ""),
		signoff("4", granted, `,"customData":{"eiffel":{"id":"x"}}`),
		`{"context":`,
		`{}`,
		strings.Replace(sound, "2026-03-05T12:00:00.5Z", "today", 1),
		sound,
	})[0]
	if len(results) != 8 {
		t.Fatal(results)
	}
	for n, want := range map[int]string{
		1: "invalid /subject/content/artifact", 2: "invalid /subject/content/approved", 3: "no_mapping ", 4: "mapping ",
		5: "invalid /subject/content/artifact", 6: "invalid /context/timestamp",
	} {
		e := results[n].GetError()
		if got := e.GetCode() + " " + e.GetPointer(); got != want || e.GetMessage() == "" {
			t.Errorf("event %d: %v", n, e)
		}
	}
	first, last := results[0].GetEvents(), results[7].GetEvents()
	if len(first) != 1 || len(last) != 1 || !bytes.Equal(first[0].GetJson(), last[0].GetJson()) {
		t.Errorf("the same event gave\n%v\n%v", first, last)
	}
}

// Batches are answered in their order, however many are under way, and a large event is an event.
func TestStream(t *testing.T) {
	_, i := start(t, settings(t))
	var batches [][]string
	for b := range 200 {
		var batch []string
		for n := range 16 {
			batch = append(batch, signoff(fmt.Sprintf("%d-%d", b, n), granted, ""))
		}
		batches = append(batches, batch)
	}
	batches = append(batches, []string{signoff("large", strings.Replace(granted, "good", strings.Repeat("x", 15<<20), 1), "")})
	ids := map[string]bool{}
	for b, results := range ask(t, i, batches...) {
		for n, result := range results {
			events := result.GetEvents()
			if len(events) != 1 || !bytes.Contains(events[0].GetJson(), []byte(quoted(batches[b][n]))) {
				t.Fatalf("batch %d, event %d: %.300v", b, n, result)
			}
			e, err := translate.Decode(events[0].GetJson())
			if err != nil || ids[e.ID] {
				t.Fatal(e.ID, err)
			}
			ids[e.ID] = true
		}
	}
}

func TestConfig(t *testing.T) {
	s := settings(t)
	s.Config = []byte(`{"level":"signedOff"}`)
	_, i := start(t, s)
	if got := ask(t, i, []string{signoff("1", granted, "")})[0][0].GetEvents(); len(got) != 1 || !bytes.Contains(got[0].GetJson(), []byte(`"name":"signedOff"`)) {
		t.Error(got)
	}
	s.Config = []byte(`{"level":"not a name"}`)
	p, err := host.Start(s)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var unavailable *host.UnavailableError
	if _, err := p.Wait(ctx); !errors.As(err, &unavailable) || !strings.Contains(err.Error(), `level: "not a name" is not the name of a confidence level`) {
		t.Error(err)
	}
}

// A plugin that is killed is started anew; one that is closed goes by itself, and well within the time after which it is killed.
func TestLife(t *testing.T) {
	p, first := start(t, settings(t))
	if err := syscall.Kill(first.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-first.Done()
	second := wait(t, p)
	if results := ask(t, second, []string{signoff("1", granted, "")}); second.PID == first.PID || len(results[0][0].GetEvents()) != 1 {
		t.Error(second.PID, results)
	}
	if second.Noise() > 0 {
		t.Errorf("%d lines on standard output", second.Noise())
	}
	began := time.Now()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(second.PID, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d: %v", second.PID, err)
	}
	t.Logf("start %v, end %v", second.Started, time.Since(began))
}

func TestStartedByHand(t *testing.T) {
	s := settings(t)
	cmd := exec.Command(s.Path, s.Args...)
	cmd.Dir = s.Dir
	out, err := cmd.CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("is a plugin of Eiffel Bridge")) {
		t.Errorf("%v: %s", err, out)
	}
}
