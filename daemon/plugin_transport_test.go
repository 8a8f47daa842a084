package daemon

import (
	"fmt"
	"strings"
	"testing"
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
