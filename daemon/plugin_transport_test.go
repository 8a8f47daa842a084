package daemon

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/plugins/sdk"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

// pluginConfig is a relay between two transports of type plugin.
func pluginConfig(t *testing.T, from, to, plugins string) *Config {
	dir := t.TempDir()
	return ReadConfig(fmt.Appendf(nil, `version: 1
ledger: {type: memory}
admin: {listen: "off"}
transports:
  in: %s
  out: %s
relays:
  - {name: a, from: in, to: out, translate: eiffel}
dead_letters: {type: file, path: %q}
plugins: %s
`, from, to, dir+"/dead-letters.jsonl", plugins), nil)
}

func TestPluginTransportProblems(t *testing.T) {
	c := pluginConfig(t, `{type: plugin}`, `{type: plugin, plugin: mqtt, confg: {}}`, `{amqp: {path: /bin/true, dev: true}}`)
	var got strings.Builder
	for _, p := range Check(c) {
		fmt.Fprintln(&got, p)
	}
	for _, want := range []string{
		"line 5: transports.in.plugin: is missing, the name of a plugin under plugins",
		`line 6: transports.out.plugin: "mqtt": there is no plugin; these are there: amqp`,
		"line 6: transports.out.confg: is not a known key; did you mean config?",
	} {
		if !strings.Contains(got.String(), want) {
			t.Errorf("missing: %s\n%s", want, got.String())
		}
	}
	c = pluginConfig(t, `{type: plugin, plugin: x, config: {a: [1, {b: c}]}}`, `{type: plugin, plugin: x}`, `{x: {path: /bin/true, dev: true}}`)
	if problems := Check(c); len(problems) > 0 {
		t.Error(problems)
	}
}

// A plugin that can never be started is a mistake in the configuration, and named by its transport.
func TestPluginTransportThatCannotStart(t *testing.T) {
	c := pluginConfig(t, `{type: stdio}`, `{type: plugin, plugin: x}`,
		`{x: {path: /bin/true, sha256: `+strings.Repeat("0", 64)+`}}`)
	_, err := c.Settings(BuildOptions{})
	if err == nil || !strings.Contains(err.Error(), "transports.out") || !strings.Contains(err.Error(), strings.Repeat("0", 64)) {
		t.Errorf("opened with %v", err)
	}
}

// serveWeb serves the built-in transport cloudevents_http, and counts how often it is opened.
func serveWeb() error {
	driver, err := NewDriver("cloudevents_http")
	if err != nil {
		return err
	}
	metrics := sdk.NewMetrics()
	opened := metrics.Counter("opened_total", "Sources that were opened.")
	return sdk.ServeTransport(sdk.TransportOptions{Name: "web", Metrics: metrics, Source: func(config []byte) (transport.Source, error) {
		opened.Inc()
		return driver.Source(config, BuildOptions{Logger: slog.Default()})
	}})
}

// TestPluginTransportIsShown: the process behind a transport is in the metrics with its own ones, and in the health; its log lines name
// the transport once.
func TestPluginTransportIsShown(t *testing.T) {
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := pluginConfig(t, `{type: plugin, plugin: web, config: {listen: "127.0.0.1:0"}}`, `{type: stdio}`, `{web: {path: `+binary+`, args: [web], dev: true}}`)
	var logs sharedText
	settings, err := c.Settings(BuildOptions{Logger: slog.New(slog.NewTextHandler(&logs, nil)), Stdout: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	d, err := New(settings)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	var text string
	eventually(t, "the source is opened", func() bool {
		families, err := d.metrics.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		text = fmt.Sprint(families)
		return strings.Contains(text, `name:"eiffelbridge_plugin_custom_opened_total"`)
	})
	for _, want := range []string{`label:{name:"plugin" value:"in.web"} counter:{value:1}`, `label:{name:"plugin" value:"in.web"} gauge:{value:1}`} {
		if !strings.Contains(strings.ReplaceAll(text, "  ", " "), want) {
			t.Errorf("/metrics lacks %s:\n%s", want, text)
		}
	}
	if err, ok := d.Health()["plugin in.web"]; !ok || err != nil {
		t.Errorf("health: %v", err)
	}
	eventually(t, "the driver's line in the log", func() bool { return strings.Contains(logs.String(), "listening for") })
	if err := d.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	for line := range strings.Lines(logs.String()) {
		if strings.Contains(line, "listening for") && (strings.Count(line, "transport=") != 1 || !strings.Contains(line, "transport=in ")) {
			t.Error(line)
		}
	}
}
