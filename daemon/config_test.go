package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/eiffelbridge/eiffelbridge/daemon/ledger"
	"github.com/eiffelbridge/eiffelbridge/internal/accounting"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// minimal is the example of the interface document.
const minimal = `version: 1
ledger: {type: file, path: ledger}                   # memory | file | postgres
admin: {listen: "127.0.0.1:9090"}
transports:
  web:
    type: cloudevents_http
    listen: "127.0.0.1:8080"                          # as a source
    target: "http://127.0.0.1:8090/"                  # as a sink
  bus:
    type: amqp091
    url: "${AMQP_URL:-amqp://guest:guest@127.0.0.1:5672/}"
    exchange: eiffel
    queue: eiffelbridge                               # as a source
    bindings: ["eiffel.#"]
relays:
  - {name: to_eiffel, from: web, to: bus, translate: eiffel}
  - {name: to_cdevents, from: bus, to: web, translate: cdevents}
dead_letters: {type: file, path: dead-letters.jsonl}
`

func env(pairs ...string) func(string) (string, bool) {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return func(name string) (string, bool) { v, ok := m[name]; return v, ok }
}

func problems(c *Config) []string {
	var out []string
	for _, p := range Check(c) {
		out = append(out, p.String())
	}
	return out
}

func TestTheMinimalConfiguration(t *testing.T) {
	c := ReadConfig([]byte(minimal), env())
	if list := problems(c); len(list) > 0 {
		t.Fatalf("problems: %q", list)
	}
	if got := c.transports["bus"].(*amqpTransport).settings.URL; got != "amqp://guest:guest@127.0.0.1:5672/" {
		t.Errorf("url is %s", got)
	}
	r, err := c.Relays[0].settings(c.transports["web"].giveUpAfter(), "1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	if r.Unresolved != Wait || r.UnresolvedTimeout != 30*time.Second || r.MaxInFlight != 256 || r.Retry.GiveUpAfter != 25*time.Second ||
		r.Translate != translate.Eiffel {
		t.Errorf("defaults: %+v", r)
	}
	c = ReadConfig([]byte(minimal), env("AMQP_URL", "amqps://u:geheim@broker/"))
	if got := c.transports["bus"].(*amqpTransport).settings.URL; got != "amqps://u:geheim@broker/" {
		t.Errorf("url is %s", got)
	}
	if text := fmt.Sprintf("%v %+v %#v", c.transports["bus"].(*amqpTransport).settings, c.Admin, c.Admin); strings.Contains(text, "geheim") {
		t.Errorf("a secret is printed: %s", text)
	}
}

// TestBrokerInParts has the keys that only make sense together.
func TestBrokerInParts(t *testing.T) {
	read := func(bus string) (amqpTransport, string) {
		c := ReadConfig([]byte(fmt.Sprintf("version: 1\ntransports:\n  web: {type: cloudevents_http, listen: \"127.0.0.1:0\"}\n"+
			"  bus: {type: amqp091, %s}\nrelays: [{name: r, from: web, to: bus, translate: eiffel}]\n", bus)), env())
		return *c.transports["bus"].(*amqpTransport), strings.Join(problems(c), "\n")
	}
	for bus, want := range map[string]string{
		"host: b, username: u, password_file: p":                    "",
		"host: b, username: u, password: geheim":                    "",
		"host: b, auth: external, tls: {cert_file: c, key_file: k}": "",
		"url_file: u":              "",
		"url: amqps://b/, tls: {}": "",
		"host: b, username: u, password: geheim, url: amqp://b/": "line 4: transports.bus.url: excludes host, username, password;",
		"url: amqp://b/, url_file: u":                            "line 4: transports.bus.url: excludes url_file",
		`url: ""`:                                                "line 4: transports.bus.url: is missing",
		`host: ""`:                                               "transports.bus.url: is missing; url_file or host",
		"password_file: p":                                       "transports.bus.host: is missing; password_file go with it",
		"host: b, username: u, password_file: p, tls:":           "transports.bus.tls: has no value; write {}",
		"host: b, username: u, password_file: p, tls: {cafile: x}":   "transports.bus.tls.cafile: is not a known key; did you mean ca_file?",
		"host: b, username: u, password_file: p, tls: {key_file: x}": "transports.bus.tls: cert_file and key_file need each other",
	} {
		bus, got := read(bus)
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%q is said, want %q", got, want)
		}
		if text := fmt.Sprintf("%v %+v %#v", bus.settings, bus.settings, bus.settings) + got; strings.Contains(text, "geheim") {
			t.Errorf("a secret is printed: %s", text)
		}
	}
}

func TestEveryProblemIsNamed(t *testing.T) {
	c := ReadConfig([]byte(`version: 2
ledger: {type: postgress, path: ledger}
admin: {listen: "0.0.0.0:9090"}
transports:
  web: {type: cloudevents_http, target: "ftp://x/"}
  bus: {type: amqp091, url: "${BROKER}", prefetch: 0, exchagne: eiffel}
  odd: {type: carrier_pigeon}
  none: {listen: "x"}
relays:
  - {name: a, from: web, to: bus, translate: eifel}
  - {name: a, from: bus, to: nowhere, translate: cdevents, edition: Wien, mappings: [x.yaml]}
  - name: c
    from: bus
    to: web
    translate: cdevents
    unresolved: {policy: hope, timeout: 30}
    retry: {initial: 1m, max: 1s, multiplier: 0.5}
    max_in_flight: 0
    plugins: [{name: p, mode: override}]
    returning: keep
    on_no_mapping: never
plugins: {p: {path: x}}
dead_letters: {type: file, path: ""}
unknown: 1
`), env())
	got := strings.Join(problems(c), "\n")
	for _, want := range []string{
		"line 1: version: 2 is not known",
		`line 2: ledger.type: "postgress" is not one of memory, file, postgres`,
		`line 3: admin.listen: "0.0.0.0:9090" can be reached from outside this machine, which needs admin.token`,
		`line 5: transports.web.target: "ftp://x/" does not begin with http`,
		"line 6: transports.bus.url: the environment variable BROKER is not set",
		"line 6: transports.bus.prefetch: 0 is not between 1 and",
		"line 6: transports.bus.exchagne: is not a known key; did you mean exchange?",
		`line 7: transports.odd.type: "carrier_pigeon" is not one of amqp091, cdevents_webhook, cloudevents_http, file, plugin, stdio`,
		"line 8: transports.none.type: is missing",
		"line 10: relays[0].from: transport web is no source: listen is missing",
		`line 10: relays[0].translate: "eifel" is not one of eiffel, cdevents`,
		"line 11: relays[1].name: a is the name of relays[0] already",
		"line 11: relays[1].from: transport bus is no source: queue is missing",
		`line 11: relays[1].to: "nowhere": there is no transport; these are there: bus, none, odd, web`,
		`line 11: relays[1].edition: "Wien" is not one of Agen`,
		"line 11: relays[1].mappings: read the mappings: open x.yaml: ",
		"line 13: relays[2].from: bus feeds relay a already",
		`line 16: relays[2].unresolved.policy: "hope" is not one of wait, placeholder, fail`,
		`line 16: relays[2].unresolved.timeout: "30" is not a duration`,
		"line 17: relays[2].retry.max: 1s is less than initial",
		"line 17: relays[2].retry.multiplier: 0.5 is less than 1",
		"line 18: relays[2].max_in_flight: 0 is less than 1",
		`line 20: relays[2].returning: "keep" is not one of drop, restore, translate`,
		"line 21: relays[2].on_no_mapping: \"never\" is not one of announce, dead_letter, drop",
		"line 22: plugins.p.sha256: is missing",
		"line 23: dead_letters.path: is missing",
		"line 24: unknown: is not a known key",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("missing: %s", want)
		}
	}
	if t.Failed() {
		t.Log(got)
	}
	if _, err := c.Settings(BuildOptions{}); err == nil || !strings.Contains(err.Error(), "BROKER") {
		t.Errorf("built all the same: %v", err)
	}
}

func TestNotYAML(t *testing.T) {
	for _, text := range []string{"", "version: [", "a: b: c", "- x", "version: 1\nversion: 1\n", "version: &a 1\nx: *a\n", "\x00", "version: 1\n---\nversion: 1\n"} {
		c := ReadConfig([]byte(text), env())
		if len(Check(c)) == 0 {
			t.Errorf("%q has no problem", text)
		}
	}
}

func FuzzReadConfig(f *testing.F) {
	f.Add([]byte(minimal))
	f.Add([]byte("version: ${X:-1}\nrelays: [{name: $$, from: ${"))
	f.Fuzz(func(t *testing.T, text []byte) { Check(ReadConfig(text, env())) })
}

func TestDefaultConfigs(t *testing.T) {
	for name, c := range map[string]struct {
		env    []string
		relays string
	}{
		"nothing": {nil, "to_eiffel web>out"},
		"sink":    {[]string{"K_SINK", "http://x/"}, "to_eiffel web>out"},
		"broker":  {[]string{"AMQP_URL", "amqp://b/"}, "to_eiffel web>bus to_cdevents bus>out"},
		"both":    {[]string{"AMQP_URL", "amqp://b/", "K_SINK", "http://x/"}, "to_eiffel web>bus to_cdevents bus>sink"},
	} {
		t.Run(name, func(t *testing.T) {
			d := DefaultConfig(env(c.env...))
			if list := problems(d); len(list) > 0 {
				t.Fatalf("problems: %q", list)
			}
			var got []string
			for _, r := range d.Relays {
				got = append(got, r.Name+" "+r.From+">"+r.To)
			}
			if strings.Join(got, " ") != c.relays {
				t.Errorf("relays: %v", got)
			}
		})
	}
}

// TestFromConfigToDaemon builds what a user writes and asks the admin listener.
func TestFromConfigToDaemon(t *testing.T) {
	folder := t.TempDir()
	text := strings.ReplaceAll(`version: 1
ledger: {type: memory}
admin: {listen: "127.0.0.1:0", token: "${TOKEN}"}
transports:
  web: {type: cloudevents_http, listen: "127.0.0.1:0"}
  out: {type: stdio}
relays:
  - {name: to_eiffel, from: web, to: out, translate: eiffel}
dead_letters: {type: file, path: "FOLDER/dead.jsonl"}
`, "FOLDER", filepath.ToSlash(folder))
	c := ReadConfig([]byte(text), env("TOKEN", "geheim"))
	var out bytes.Buffer
	s, err := c.Settings(BuildOptions{Stdout: &out, Version: "1.0.0"})
	if err != nil {
		t.Fatal(err)
	}
	d, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer d.Shutdown(context.Background())
	bound := d.Addresses()
	post := func(body string) int {
		r, err := http.Post("http://"+bound["web"].String()+"/", "application/cloudevents+json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		return r.StatusCode
	}
	if got := post(`{"specversion":"1.0","id":"1","source":"/s","type":"x","data":{"context":{"id":"1","source":"/s","type":"dev.cdevents.nothing.known.0.1.0"}}}`); got != 400 {
		t.Errorf("an untranslatable event: %d", got)
	}
	accept := ""
	get := func(path, token string) (int, string) {
		r, _ := http.NewRequest("GET", "http://"+bound["admin"].String()+path, nil)
		if accept != "" && path == "/readyz" {
			r.Header.Set("Accept", accept)
		}
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		body, _ := io.ReadAll(a.Body)
		return a.StatusCode, string(body)
	}
	for _, token := range []string{"", "gehei", "geheim2"} {
		if status, _ := get("/healthz", token); status != 401 {
			t.Errorf("token %q: %d", token, status)
		}
	}
	for path, part := range map[string]string{
		"/healthz":     `"ok"`,
		"/readyz":      `"source web": {`,
		"/services":    `"services": []`,
		"/deadletters": `"dev.cdevents.nothing.known.0.1.0"`,
		"/metrics":     `eiffelbridge_dead_letters_total{code=`,
	} {
		if status, body := get(path, "geheim"); status != 200 || !strings.Contains(body, part) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	wrong := fmt.Errorf("disk full")
	d.gen.s.ledgerErr.Store(&wrong)
	status, body := get("/readyz", "geheim")
	var answer readiness
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != 503 || answer.Ready || !answer.Parts["source web"].Ready ||
		answer.Parts["ledger"].Error != "disk full" || answer.Parts["ledger"].Since == nil {
		t.Errorf("readyz: %v %d %s", err, status, body)
	}
	if _, again := get("/readyz", "geheim"); again != body {
		t.Errorf("readyz again: %s, before it was %s", again, body)
	}
	accept = "text/plain, */*;q=0.5"
	want := "not ready\nledger, since " + answer.Parts["ledger"].Since.Format(time.RFC3339) + ": disk full\n"
	if status, body := get("/readyz", "geheim"); status != 503 || body != want {
		t.Errorf("readyz: %d %q", status, body)
	}
	_, body = get("/metrics", "geheim")
	if !strings.Contains(body, `eiffelbridge_part_ready{part="ledger"} 0`) || !strings.Contains(body, `eiffelbridge_part_ready{part="source web"} 1`) ||
		!strings.Contains(body, "\ngo_goroutines ") || !strings.Contains(body, "\nprocess_resident_memory_bytes ") {
		t.Errorf("metrics: %s", body)
	}
	if err := accounting.Check(strings.NewReader(body)); err != nil {
		t.Error(err)
	}
	d.gen.s.ledgerErr.Store(nil)
	if status, body := get("/readyz", "geheim"); status != 200 || body != "ready\n" {
		t.Errorf("readyz: %d %q", status, body)
	}
	// What shows the inside of the process is not offered, whatever a library may register.
	if status, _ := get("/debug/pprof/", "geheim"); status != 404 {
		t.Errorf("/debug/pprof/: %d", status)
	}
}

func TestAdminNeedsATokenOutside(t *testing.T) {
	for listen, ok := range map[string]bool{
		"127.0.0.1:0": true, "localhost:0": true, "[::1]:0": true, ":0": false, "0.0.0.0:0": false, "[::]:0": false, "example.org:1": false,
	} {
		if err := (AdminSettings{Listen: listen}).validate(); (err == nil) != ok {
			t.Errorf("%s: %v", listen, err)
		}
		if err := (AdminSettings{Listen: listen, Token: "x"}).validate(); err != nil {
			t.Errorf("%s with a token: %v", listen, err)
		}
	}
}

// TestMappings reads overlays from the configuration's folder: what is wrong in them is told with both places.
func TestMappings(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"overlays/good.yaml": "version: 1\npublished_levels: [live]\n",
		"overlays/bad.yaml":  "version: 1\nto_eiffel:\n  - {cdevent: service.removed, disable: yes}\n  - {cdevent: service.upgraded, when: event.x +}\n",
		"overlays/odd.yaml":  "version: 1\nto_eiffel:\n  - {cdevent: service.removed, extend: true, links: [{type: CAUSE, target: anchor, anchor: EiffelIssueDefinedEvent, subject: ticket, reference: /subject, required: true}]}\n",
		"good.yaml":          strings.Replace(minimal, "translate: cdevents}", "translate: cdevents, mappings: [overlays/good.yaml]}", 1),
		"bad.yaml":           strings.Replace(minimal, "translate: cdevents}", "translate: cdevents, mappings: [overlays/good.yaml, overlays/bad.yaml]}", 1),
		"odd.yaml":           strings.Replace(minimal, "translate: cdevents}", "translate: cdevents, mappings: [overlays/odd.yaml]}", 1),
		"none.yaml":          strings.Replace(minimal, "translate: cdevents}", "translate: cdevents, mappings: [\"\"]}", 1),
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) *Config {
		c, err := ReadConfigFile(filepath.Join(dir, name), env())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := read("good.yaml")
	if list := problems(c); len(list) > 0 {
		t.Fatalf("problems: %q", list)
	}
	if got := c.Relays[1].catalogue.PublishedLevels; len(got) != 1 || got[0] != "live" || c.Relays[0].catalogue != nil {
		t.Errorf("the catalogues: %q, %v", got, c.Relays[0].catalogue)
	}
	bad := filepath.ToSlash(filepath.Join(dir, "overlays/bad.yaml"))
	got := strings.Join(problems(read("bad.yaml")), "\n")
	for _, want := range []string{
		"line 17: relays[1].mappings[1]: " + bad + `:3: to_eiffel[0].disable: "yes" is neither true nor false`,
		"line 17: relays[1].mappings[1]: " + bad + ":4: to_eiffel[1].when: column 10 of the expression: Syntax error",
		"line 17: relays[1].mappings[1]: " + bad + ":4: to_eiffel[1].eiffel: is missing",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("missing: %s\n%s", want, got)
		}
	}
	if got := strings.Join(problems(read("odd.yaml")), "\n"); !strings.Contains(got, `line 17: relays[1].mappings[0]: `) || !strings.Contains(got, "odd.yaml:3: to_eiffel[0].links[0].required: no EiffelIssueDefinedEvent can be synthesized") {
		t.Errorf("a link that cannot be required: %s", got)
	}
	if got := strings.Join(problems(read("none.yaml")), "\n"); !strings.Contains(got, `relays[1].mappings[0]: is empty`) {
		t.Errorf("no path: %s", got)
	}
	if _, err := ReadConfigFile(filepath.Join(dir, "nothing.yaml"), env()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a configuration that is not there: %v", err)
	}
}

// sickStore is a store that says that it waits.
type sickStore struct{ ledger.Store }

func (sickStore) Health() error { return ledger.ErrFull }

func TestLedgerThatWaitsIsNotReady(t *testing.T) {
	if err := (&sequencer{store: sickStore{}}).ledgerHealth(); !errors.Is(err, ledger.ErrFull) {
		t.Errorf("the ledger's health is %v", err)
	}
}
