package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/eiffelbridge/eiffelbridge/daemon"
)

const root = "../.."

func none(string) (string, bool) { return "", false }

// TestDocument says when docs/configuration.md must be made anew.
func TestDocument(t *testing.T) {
	want, err := document(root)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(root, "docs", "configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/configuration.md is stale; run: go generate ./internal/configdoc")
	}
}

// TestExample checks that the example is right and complete, and that it shows the defaults where it says so.
func TestExample(t *testing.T) {
	for _, p := range daemon.Check(daemon.ReadConfig([]byte(example), none)) {
		t.Error(p)
	}
	var text map[string]any
	if err := yaml.Unmarshal([]byte(example), &text); err != nil {
		t.Fatal(err)
	}
	shown := map[string][]any{}
	flatten(shown, "", text)
	// The example says so itself, or a variable stands there.
	other := []string{"cloudevents_http.listen", "cloudevents_http.target", "cloudevents_http.headers", "cloudevents_http.header_files", "amqp091.url", "amqp091.queue",
		"amqp091.url_file", "amqp091.host", "amqp091.username", "amqp091.password", "amqp091.password_file",
		"amqp091.tls.ca_file", "amqp091.tls.cert_file", "amqp091.tls.key_file", "amqp091.tls.server_name", "amqp091.vhost",
		"amqp091.dead_letter_exchange", "cdevents_webhook.listen", translatorPrefix + "args", translatorPrefix + "sha256", translatorPrefix + "files",
		translatorPrefix + "env", "file.path", "file.follow", "plugin.plugin", "plugin.config", "plugins.path", "plugins.config", "plugins.dev", "relays[].plugins[].name",
		"relays[].plugins[].mode", "admin.token", "relays[].retry.give_up_after"}
	for _, s := range sections() {
		keys, err := keysOf(root, s)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range keys {
			if k.nested != "" || strings.HasPrefix(k.text, "Not supported yet") {
				continue
			}
			values := shown[k.rule]
			if len(values) == 0 && k.rule != httpPrefix+"oauth2.client_secret" { // the file is there in its place
				t.Errorf("the example lacks %s", k.rule)
			}
			if strings.HasPrefix(k.rule, httpPrefix) && (k.value == "none" || k.value == "`[]`") || k.also.need || slices.Contains(other, k.rule) || k.rule == "cloudevents_http.max_in_flight" {
				continue
			}
			for _, v := range values {
				if d, ok := k.raw.Interface().(time.Duration); ok {
					if got, err := time.ParseDuration(fmt.Sprint(v)); err != nil || got != d && (d != 0 || k.rule != "ledger.retention") {
						t.Errorf("the example has %v for %s, whose default is %v", v, k.rule, d)
					}
				} else if fmt.Sprint(v) != fmt.Sprint(k.raw.Interface()) {
					t.Errorf("the example has %v for %s, whose default is %v", v, k.rule, k.raw.Interface())
				}
			}
		}
	}
}

// flatten gathers the values of an example by the names of rules.
func flatten(out map[string][]any, prefix string, from map[string]any) {
	for name, value := range from {
		switch value := value.(type) {
		case map[string]any:
			switch {
			case prefix == "" && name == "transports":
				for _, one := range value {
					transport := one.(map[string]any)
					flatten(out, transport["type"].(string)+".", transport)
				}
				continue
			case prefix == "cdevents_webhook." && name == "translators":
				for _, one := range value {
					flatten(out, translatorPrefix, one.(map[string]any))
				}
				continue
			case prefix == "" && name == "plugins":
				for _, one := range value {
					flatten(out, "plugins.", one.(map[string]any))
				}
				continue
			case prefix == "plugins." || prefix == "plugin." || prefix == translatorPrefix: // a mapping is a value
			case (prefix == "cloudevents_http." || prefix == "cdevents_webhook.") && slices.Contains([]string{"tls", "bearer", "hmac", "oauth2"}, name):
				flatten(out, httpPrefix+name+".", value)
				continue
			case name != "headers" && name != "header_files":
				flatten(out, prefix+name+".", value)
				continue
			}
		case []any:
			if name == "relays" {
				for _, one := range value {
					flatten(out, "relays[].", one.(map[string]any))
				}
				continue
			}
			if name == "plugins" {
				for _, one := range value {
					flatten(out, "relays[].plugins[].", one.(map[string]any))
				}
				continue
			}
		}
		out[prefix+name] = append(out[prefix+name], value)
	}
}

// TestRules holds what the document says about values to what the check of a configuration says.
func TestRules(t *testing.T) {
	if problems := check(t, "", ""); len(problems) > 0 {
		t.Fatalf("the configuration to begin with is wrong: %v", problems)
	}
	all := rules()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		for _, value := range all[name].good {
			for _, p := range check(t, name, value) {
				t.Errorf("%s: %s: %s", name, value, p)
			}
		}
		for _, value := range all[name].bad {
			last := name[strings.LastIndexByte(name, '.')+1:]
			if !slices.ContainsFunc(check(t, name, value), func(p daemon.Problem) bool { return strings.HasSuffix(p.Key, last) }) {
				t.Errorf("%s: %s is taken", name, value)
			}
		}
		if all[name].need && name != "file.path" && len(check(t, name, "")) == 0 {
			t.Errorf("%s need not be written", name)
		}
	}
}

// check is what is wrong with a small configuration in which one key is another, or missing.
func check(t *testing.T, name, value string) []daemon.Problem {
	t.Helper()
	parts := []struct{ prefix, head, indent string }{
		{"", "", ""}, {"ledger.", "ledger:", "  "}, {"admin.", "admin:", "  "}, {"dead_letters.", "dead_letters:", "  "},
		{"cloudevents_http.", "transports:\n  web:", "    "}, {httpPrefix + "tls.", "    tls:", "      "}, {httpPrefix + "bearer.", "    bearer:", "      "},
		{httpPrefix + "hmac.", "    hmac:", "      "}, {httpPrefix + "oauth2.", "    oauth2:", "      "}, {"cdevents_webhook.", "  hooks:", "    "},
		{translatorPrefix, "    translators:\n      github:", "        "}, {"amqp091.", "  bus:", "    "}, {"stdio.", "  pipe:", "    "},
		{"file.", "  recorded:", "    "},
		{"relays[].", "relays:\n  - {name: a, from: bus, to: web, translate: cdevents}\n  - {name: b, from: pipe, to: bus, translate: eiffel}\n" +
			"  - {name: c, from: recorded, to: bus, translate: eiffel}\n  - {name: e, from: hooks, to: bus, translate: eiffel}\n  -", "    "},
		{"relays[].unresolved.", "    unresolved:", "      "}, {"relays[].retry.", "    retry:", "      "},
	}
	keys := map[string]string{
		"version": "1", "ledger.type": "file", "admin.listen": "127.0.0.1:9090", "dead_letters.type": "file",
		"cloudevents_http.type": "cloudevents_http", "cloudevents_http.listen": "127.0.0.1:8080", "cloudevents_http.target": "http://127.0.0.1:1/",
		httpPrefix + "bearer.token": "a", httpPrefix + "hmac.secret": "a", httpPrefix + "oauth2.token_url": "https://login.example.com/",
		httpPrefix + "oauth2.client_id": "a", httpPrefix + "oauth2.client_secret": "a",
		"cdevents_webhook.type": "cdevents_webhook", "cdevents_webhook.listen": "127.0.0.1:8081",
		translatorPrefix + "path": "translator", translatorPrefix + "dev": "true",
		"amqp091.type": "amqp091", "amqp091.queue": "q", "stdio.type": "stdio", "file.type": "file", "file.path": "events.jsonl",
		"relays[].name": "d", "relays[].from": "web", "relays[].to": "bus", "relays[].translate": "eiffel",
		"relays[].unresolved.policy": "wait", "relays[].retry.initial": "100ms",
	}
	delete(keys, name)
	if value != "" {
		keys[name] = value
	}
	var b strings.Builder
	for _, part := range parts {
		if part.head != "" {
			b.WriteString(part.head + "\n")
		}
		for _, k := range slices.Sorted(maps.Keys(keys)) {
			if rest, ok := strings.CutPrefix(k, part.prefix); ok && !strings.ContainsAny(rest, ".[") {
				fmt.Fprintf(&b, "%s%s: %s\n", part.indent, rest, keys[k])
			}
		}
	}
	problems := daemon.Check(daemon.ReadConfig([]byte(b.String()), none))
	for _, p := range problems {
		if strings.HasPrefix(p.Message, "not YAML") {
			t.Fatalf("%s\n%s", p, b.String())
		}
	}
	return problems
}

// TestMaxParked compares the one default that no constructor has.
func TestMaxParked(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "daemon", "settings.go"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`const defaultMaxParked = (\d+)\n`).FindSubmatch(text)
	if found == nil || string(found[1]) != fmt.Sprint(maxParked) {
		t.Errorf("the default of max_parked is %s in the daemon and %d in the document", found, maxParked)
	}
}

// TestVariables holds the document's table to what is read.
func TestVariables(t *testing.T) {
	lookup := func(name string) (string, bool) {
		v, ok := map[string]string{"SET": "x: {y}", "EMPTY": ""}[name]
		return v, ok
	}
	for written, want := range map[string]string{
		"${SET}": "x: {y}", "${EMPTY}": "", "${EMPTY:-text}": "text", "${UNSET:-text}": "text", "$$": "$", "a$b$": "a$b$",
	} {
		c := daemon.ReadConfig([]byte("version: 1\nledger:\n  path: "+written+"\n"), lookup)
		if c.Ledger.Path != want {
			t.Errorf("%s becomes %q, want %q", written, c.Ledger.Path, want)
		}
	}
	c := daemon.ReadConfig([]byte("version: 1\nledger: {path: ${UNSET}}\n"), lookup)
	if len(daemon.Check(c)) == 0 {
		t.Error("a variable that is not set is no problem")
	}
}
