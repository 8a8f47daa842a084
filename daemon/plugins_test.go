package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/eiffelbridge/eiffelbridge/internal/accounting"
	"github.com/eiffelbridge/eiffelbridge/plugins/host"
	"github.com/eiffelbridge/eiffelbridge/plugins/sdk"
	"github.com/eiffelbridge/eiffelbridge/translate"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// TestMain lets the test binary be the plugins of the tests.
func TestMain(m *testing.M) {
	if os.Getenv(host.CookieName) == "" {
		os.Exit(m.Run())
	}
	if err := testPlugin(os.Args[len(os.Args)-1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func testPlugin(what string) error {
	switch what {
	case "engine": // the bridge's own translator, which asks the ledger about most events
		engine, err := translate.New(translate.Settings{})
		if err != nil {
			return err
		}
		return sdk.ServeMapping(sdk.MappingOptions{Name: what, Translator: engine})
	case "decorator":
		return sdk.ServeDecorator(sdk.DecoratorOptions{Name: what, Decorate: func(_ translate.Event, made translate.Result, _ *ledger.Facts) (translate.Result, error) {
			for i, e := range made.Events {
				edited, err := translate.Decode([]byte(strings.Replace(string(e.JSON), `"meta":{`, `"meta":{"tags":["decorated"],`, 1)))
				if err != nil {
					return made, err
				}
				edited.Synthesized = e.Synthesized
				made.Events[i] = edited
			}
			return made, nil
		}})
	case "custom":
		return sdk.ServeMapping(sdk.MappingOptions{Name: what, Translator: customTranslator{}})
	case "web":
		return serveWeb()
	case "counting":
		return serveCounting()
	case "lying", "hanging", "huge", "none":
		return serveOdd(what)
	}
	return fmt.Errorf("no plugin %q", what)
}

// customTranslator makes a composition of a custom event, and misbehaves as its subject says.
type customTranslator struct{}

func (customTranslator) Translate(in translate.Event, _ *ledger.Facts) (translate.Result, error) {
	id := in.DerivedID()
	switch in.Subject {
	case "crash":
		os.Exit(4)
	case "hang":
		select {}
	case "lie":
		id = "no uuid"
	}
	out, err := translate.Decode(fmt.Appendf(nil, `{"meta":{"id":%q,"type":"EiffelCompositionDefinedEvent","version":"3.3.0","time":%d},"data":{"name":%q},"links":[]}`, id, in.Time, in.ID))
	return translate.Result{Events: []translate.Event{out}}, err
}

// relayed runs a file of events through a relay with plugins and gives what came out and the dead letters.
func relayed(t testing.TB, events, use, plugin string, during func(d *Daemon)) (lines []string, letters []string) {
	t.Helper()
	dir := t.TempDir()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	in := filepath.Join(dir, "in.jsonl")
	if err := os.WriteFile(in, []byte(events), 0o600); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`
version: 1
ledger: {type: memory}
admin: {listen: "off"}
dead_letters: {type: file, path: %[1]s/dead.jsonl}
transports:
  in: {type: file, path: %[1]s/in.jsonl}
  out: {type: file, path: %[1]s/out.jsonl}
relays:
  - {name: r, from: in, to: out, translate: eiffel, unresolved: {policy: placeholder}, plugins: [%[2]s]}
plugins:
  p: {path: %[3]s, args: [%[4]s], dev: true, timeout: 1s}
`, dir, use, binary, plugin)
	if use == "" {
		text = strings.Replace(text, ", plugins: []", "", 1)
	}
	config := ReadConfig([]byte(text), nil)
	settings, err := config.Settings(BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	d, err := New(settings)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := d.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	if during != nil {
		during(d)
	}
	if err := d.Wait(); err != nil {
		t.Error(err)
	}
	if err := accounting.Check(strings.NewReader(scrape(t, d))); err != nil {
		t.Error(err)
	}
	if b, ok := t.(*testing.B); ok {
		b.ReportMetric(float64(strings.Count(events, "\n"))/time.Since(began).Seconds(), "events/s")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := d.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	read := func(name string) []string {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if len(bytes.TrimSpace(text)) == 0 {
			return nil
		}
		return strings.Split(strings.TrimSpace(string(text)), "\n")
	}
	return read("out.jsonl"), read("dead.jsonl")
}

func customEvent(id, subject string) string {
	return fmt.Sprintf(`{"context":{"specversion":"0.5.1","id":%q,"source":"s","type":"dev.cdeventsx.tool-thing.happened.0.1.0","timestamp":"2026-03-01T09:30:00Z"},"subject":{"id":%q,"content":{}}}`+"\n", id, subject)
}

// life is the life of services, in which each event refers to those before.
func life(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../translate/testdata/life.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestPluginInTheRelay has the same come out of the relay by way of a plugin, with what it learned of earlier events, as
// without one.
func TestPluginInTheRelay(t *testing.T) {
	want, _ := relayed(t, life(t), "", "", nil)
	got, letters := relayed(t, life(t), "{name: p, mode: override}", "engine", nil)
	if len(letters) > 0 {
		t.Error(letters)
	}
	if len(want) == 0 || strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%d events by the plugin, %d without; they differ", len(got), len(want))
	}
	decorated, letters := relayed(t, life(t), "{name: p, mode: decorate}", "decorator", nil)
	if len(decorated) != len(want) || len(letters) > 0 || strings.Count(strings.Join(decorated, "\n"), `"tags":["decorated"]`) != len(want) {
		t.Errorf("%d events decorated, not %d; %v", len(decorated), len(want), letters)
	}
}

// TestPluginKilledInTheRelay kills the plugin under load: nothing is lost, the ids and the order stay.
func TestPluginKilledInTheRelay(t *testing.T) {
	const n = 5000
	var events strings.Builder
	for i := range n {
		events.WriteString(customEvent(fmt.Sprint(i), "x"))
	}
	kills := 0
	out, letters := relayed(t, events.String(), "{name: p, mode: override}", "custom", func(d *Daemon) {
		ended := make(chan struct{})
		go func() { _ = d.Wait(); close(ended) }()
		for kills < 50 {
			select {
			case <-ended:
				return
			case <-time.After(5 * time.Millisecond):
			}
			if s := d.settings.Plugins["p"].Stats(); s.Running {
				if process, err := os.FindProcess(s.PID); err == nil && process.Kill() == nil {
					kills++
				}
			}
		}
	})
	t.Logf("killed %d times", kills)
	if kills == 0 {
		t.Error("the plugin was not killed")
	}
	if len(letters) > 0 {
		t.Errorf("%d dead letters, the first: %s", len(letters), letters[0])
	}
	if len(out) != n {
		t.Fatalf("%d events came out, not %d", len(out), n)
	}
	for i, line := range out {
		if !strings.Contains(line, fmt.Sprintf(`"name":"%d"`, i)) {
			t.Fatalf("event %d is %s", i, line)
		}
	}
}

// TestPluginMisbehavesInTheRelay has each fault end in the dead letters, and everything else come through.
func TestPluginMisbehavesInTheRelay(t *testing.T) {
	var events strings.Builder
	for i := range 100 {
		subject := map[int]string{20: "crash", 40: "hang", 60: "lie"}[i]
		events.WriteString(customEvent(fmt.Sprint(i), subject+map[bool]string{true: "x"}[subject == ""]))
	}
	out, letters := relayed(t, events.String(), "{name: p, mode: fallback}", "custom", nil)
	if len(out) != 97 {
		t.Errorf("%d events came out", len(out))
	}
	got := map[string]string{}
	for _, line := range letters {
		var l struct {
			Code    string `json:"code"`
			EventID string `json:"event_id"`
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		if l.EventID == "" {
			t.Fatal(line)
		}
		got[l.EventID] = l.Code
	}
	want := map[string]string{"20": host.CodePluginFailed, "40": host.CodePluginFailed, "60": translate.CodeInvalidOutput}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("dead letters %v", got)
	}
}

// TestPluginDoesNotStart shows it, and what the plugin would be asked about goes to the dead letters.
func TestPluginDoesNotStart(t *testing.T) {
	out, letters := relayed(t, customEvent("1", "x"), "{name: p, mode: override}", "nothing", func(d *Daemon) {
		if err := d.Health()["plugin p"]; err == nil || !strings.Contains(err.Error(), `no plugin "nothing"`) {
			t.Errorf("health: %v", err)
		}
		eventually(t, "the breaker opens", func() bool { return d.settings.Plugins["p"].Stats().BreakerOpen })
		if status, answer := d.ready(); status != 503 || answer.Parts["plugin p"].Ready {
			t.Errorf("/readyz: %d %+v", status, answer)
		}
		families, err := d.metrics.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]float64{}
		for _, f := range families {
			if strings.HasPrefix(f.GetName(), "eiffelbridge_plugin_") {
				for _, m := range f.GetMetric() {
					got[strings.TrimPrefix(f.GetName(), "eiffelbridge_plugin_")] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
				}
			}
		}
		if got["up"] != 0 || got["breaker_open"] != 1 || got["starts_total"] != 0 || got["deaths_total"] < 8 {
			t.Errorf("/metrics: %v", got)
		}
	})
	if len(out) != 0 || len(letters) != 1 || !strings.Contains(letters[0], host.CodePluginUnavailable) {
		t.Errorf("out %v, letters %v", out, letters)
	}
}

// BenchmarkPlugins is the whole relay from file to file, alone, with a plugin that translates every event, with one that is asked
// about none, and with a decorator.
func BenchmarkPlugins(b *testing.B) {
	const n = 10000
	var custom, standard strings.Builder
	for i := range n {
		custom.WriteString(customEvent(fmt.Sprint(i), "x"))
		fmt.Fprintf(&standard, `{"context":{"specversion":"0.5.1","id":"%d","source":"s","type":"dev.cdevents.environment.modified.0.3.0","timestamp":"2026-03-01T09:30:00Z"},"subject":{"id":"%d","content":{}}}`+"\n", i, i)
	}
	for _, c := range []struct{ name, events, use, plugin string }{
		{"custom_alone", custom.String(), "", ""},
		{"custom_by_mapping", custom.String(), "{name: p, mode: override}", "custom"},
		{"standard_alone", standard.String(), "", ""},
		{"standard_decorated", standard.String(), "{name: p, mode: decorate}", "decorator"},
		{"standard_by_engine", standard.String(), "{name: p, mode: override}", "engine"},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				out, letters := relayed(b, c.events, c.use, c.plugin, nil)
				if len(out) < n || len(letters) > 0 {
					b.Fatalf("%d events, %d letters", len(out), len(letters))
				}
			}
		})
	}
}
