package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/eiffelbridge/eiffelbridge/daemon/deadletters"
	"github.com/eiffelbridge/eiffelbridge/daemon/ledger"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

// TestLetterMemory keeps what went out in a ledger, over a restart, and in a dump of it.
func TestLetterMemory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	open := func() ledger.Store {
		store, err := ledger.Open(path, ledger.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { store.Close() })
		return store
	}
	known := func(store ledger.Store, want bool, keys ...deadletters.MemoryKey) {
		t.Helper()
		if got, err := (letterMemory{store}).Known(t.Context(), keys...); err != nil || got != want {
			t.Errorf("%v: %v, %v", keys, got, err)
		}
	}
	a := deadletters.MemoryKey{ID: "a", Version: "1", Day: 20000}
	yesterday, other := a, a
	yesterday.Day--
	other.Version = "2"
	store := open()
	known(store, false, a, yesterday)
	if err := (letterMemory{store}).Remember(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	known(store, true, yesterday, a)
	known(store, false, yesterday, other)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	store = open()
	known(store, true, a)
	findings, err := ledger.Check(t.Context(), store)
	if err != nil || len(findings) > 0 {
		t.Errorf("the ledger has findings: %v, %v", findings, err)
	}
	var dump bytes.Buffer
	if err := ledger.Export(t.Context(), store, &dump); err != nil {
		t.Fatal(err)
	}
	memory := ledger.NewMemoryWith(ledger.Options{})
	if err := ledger.Import(t.Context(), memory, &dump, ledger.ImportSettings{}); err != nil {
		t.Fatal(err)
	}
	known(memory, true, a)
	known(memory, false, other)
}

// TestReplaysAreWrittenDown follows the mark of a replay to the letter of an event that is refused once more.
func TestReplaysAreWrittenDown(t *testing.T) {
	replayed := func(g *rig) (out []bool) {
		for _, l := range g.letters.all() {
			out = append(out, l.Replayed)
		}
		return out
	}
	want1 := func(t *testing.T, g *rig) {
		t.Helper()
		eventually(t, "the letter", func() bool { return len(g.letters.all()) == 1 })
		if got := replayed(g); !got[0] {
			t.Error("the letter does not know that it is of a replay")
		}
	}
	for name, text := range map[string]string{"unreadable": "not json", "invalid": event("a|invalid", "shop")} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t, true, nil)
			want(t, g.source.replay(text), transport.Rejected)
			want1(t, g)
			want(t, g.source.deliver(text), transport.Rejected)
			if got := replayed(g); len(got) != 2 || got[1] {
				t.Errorf("%v", got)
			}
		})
	}
	t.Run("undeliverable", func(t *testing.T) {
		g := newRig(t, true, nil)
		g.sink.setFate(func(transport.Message) error { return &transport.PermanentError{Err: errors.New("no")} })
		want(t, g.source.replay(event("a", "shop")), transport.Rejected)
		want1(t, g)
	})
	t.Run("parked, and over a restart", func(t *testing.T) {
		g := newRig(t, true, waits)
		want(t, g.source.replay(event("a|needs=cart", "shop")), transport.Accepted)
		g.stop()
		g.sink.setFate(func(transport.Message) error { return &transport.PermanentError{Err: errors.New("no")} })
		g.start(waits)
		g.clock.advance(31 * time.Second)
		want1(t, g)
	})
	t.Run("beside what is parked and in flight", func(t *testing.T) {
		g := newRig(t, true, waits)
		text := event("a|needs=cart", "shop")
		want(t, g.source.deliver(text), transport.Accepted)
		want(t, g.source.replay(text), transport.Accepted)
		if n := parkedIn(t, g.store); n != 2 {
			t.Errorf("%d events are parked", n)
		}
		g.sink.mu.Lock()
		g.sink.hold = true
		g.sink.mu.Unlock()
		one := event("b", "lamp")
		first := g.source.deliver(one)
		eventually(t, "b is on its way", func() bool { return len(g.sink.ids()) == 1 })
		again := g.source.replay(one)
		eventually(t, "its replay is on its way", func() bool { return len(g.sink.ids()) == 2 })
		g.sink.release()
		want(t, first, transport.Accepted)
		want(t, again, transport.Accepted)
	})
	t.Run("the mark is not passed on", func(t *testing.T) {
		g := newRig(t, true, nil)
		want(t, g.source.replay(event("a", "shop")), transport.Accepted)
		g.sink.mu.Lock()
		defer g.sink.mu.Unlock()
		for _, m := range g.sink.log {
			if _, ok := m.Extensions[transport.ReplayExtension]; ok {
				t.Errorf("%+v", m)
			}
		}
	})
}

const lettersConfig = `version: 1
ledger: {type: memory}
admin: {listen: "127.0.0.1:0"}
transports:
  web: {type: cloudevents_http, listen: "127.0.0.1:0"}
  bus: {type: amqp091, url: "amqp://user:geheim@127.0.0.1:1/", queue: q}
  out: {type: stdio}
relays:
  - {name: to_eiffel, from: web, to: out, translate: eiffel, retry: {give_up_after: 300ms}}
dead_letters: `

func TestDeadLettersConfig(t *testing.T) {
	for text, want := range map[string]string{
		`{type: amqp091, transport: bus, exchange: dead, queue: letters}`: "",
		`{type: amqp091, transport: bus, exchange: dead}`:                 "",
		`{type: postgres}`:                                                              `dead_letters.type: "postgres" is not one of file, amqp091`,
		`{type: amqp091, exchange: dead}`:                                               "dead_letters.transport: is missing",
		`{type: amqp091, transport: bus}`:                                               "dead_letters.exchange: is missing",
		`{type: amqp091, transport: web, exchange: dead}`:                               "dead_letters.transport: web is not of type amqp091",
		`{type: amqp091, transport: nobody, exchange: dead}`:                            `dead_letters.transport: "nobody": there is no transport`,
		`{type: amqp091, transport: bus, exchange: dead, queue: q}`:                     "dead_letters.queue: q is the queue that transport bus consumes from",
		`{type: amqp091, transport: bus, exchange: dead, path: x}`:                      "dead_letters.path: belongs to type file",
		`{type: file, queue: x}`:                                                        "dead_letters.queue: belongs to type amqp091",
		`{type: amqp091, transport: bus, exchange: "` + strings.Repeat("x", 256) + `"}`: "dead_letters.exchange: 256 bytes",
	} {
		got := strings.Join(problems(ReadConfig([]byte(lettersConfig+text+"\n"), env())), "\n")
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q", text, got)
		}
	}
	// The broker of the letters is checked though no relay uses its transport.
	text := strings.Replace(lettersConfig, "queue: q", "queue: q, heartbeat: 2h", 1) + "{type: amqp091, transport: bus, exchange: dead}\n"
	if got := strings.Join(problems(ReadConfig([]byte(text), env())), "\n"); !strings.Contains(got, "transports.bus.heartbeat: 2h0m0s is not between") {
		t.Errorf("%q", got)
	}
}

// TestLettersCannotBeWritten has the broker of the letters away: the sender must come again, and /readyz says why.
func TestLettersCannotBeWritten(t *testing.T) {
	c := ReadConfig([]byte(lettersConfig+"{type: amqp091, transport: bus, exchange: dead, queue: dead}\n"), env())
	s, err := c.Settings(BuildOptions{Stdout: io.Discard})
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
	post := func() int {
		r, err := http.Post("http://"+d.Addresses()["web"].String()+"/", "application/cloudevents+json",
			strings.NewReader(`{"specversion":"1.0","id":"1","source":"/s","type":"x","data":{}}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		return r.StatusCode
	}
	get := func(path string) (int, string) {
		a, err := http.Get("http://" + d.Addresses()["admin"].String() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		body, _ := io.ReadAll(a.Body)
		return a.StatusCode, string(body)
	}
	if status := post(); status != http.StatusServiceUnavailable {
		t.Errorf("answered with %d", status)
	}
	status, body := get("/readyz")
	at := strings.Index(body, `"dead_letters"`)
	if status != http.StatusServiceUnavailable || at < 0 || !strings.Contains(body[at:], `connect: `) || strings.Contains(body, "geheim") {
		t.Errorf("%d %s", status, body)
	}
	if status, body := get("/deadletters"); status != http.StatusOK || !strings.Contains(body, `exchange \"dead\" queue \"dead\"`) || strings.Contains(body, "geheim") {
		t.Errorf("%d %s", status, body)
	}
	if _, body := get("/metrics"); !strings.Contains(body, "eiffelbridge_dead_letters_waiting NaN") {
		t.Errorf("%s", body)
	}
}

func TestURLOfAListener(t *testing.T) {
	for listen, want := range map[string]string{
		"127.0.0.1:8080": "http://127.0.0.1:8080/", ":8080": "http://127.0.0.1:8080/", "0.0.0.0:80": "http://127.0.0.1:80/", "[::]:80": "http://127.0.0.1:80/",
		"[::1]:80": "http://[::1]:80/", "relay.example.com:80": "http://relay.example.com:80/", "127.0.0.1:0": "", "nonsense": "",
	} {
		if got, err := urlOf(listen); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", listen, got, err)
		}
	}
}

// TestReplayFindsNoWay says what to do.
func TestReplayFindsNoWay(t *testing.T) {
	text := strings.Replace(lettersConfig, "from: web", "from: out", 1) + "{type: file, path: x}\n"
	c := ReadConfig([]byte(text), env())
	if p := problems(c); len(p) > 0 {
		t.Fatal(p)
	}
	for _, through := range []string{"bus", "web", "nothing"} {
		if _, err := c.NewReplay(through, nil); err == nil || !strings.Contains(err.Error(), through) {
			t.Errorf("through %s: %v", through, err)
		}
	}
	replay, err := c.NewReplay("", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer replay.Close(t.Context())
	for relay, want := range map[string]string{"to_eiffel": "fed by transport out", "other": `no relay "other"`} {
		err := replay.Send(t.Context(), relay, transport.Message{})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "--url") {
			t.Errorf("%s: %v", relay, err)
		}
	}
}

// TestReplayToAListenerThatChecks sends to a listener that asks for a token and a signature, which the configuration has.
func TestReplayToAListenerThatChecks(t *testing.T) {
	dir := t.TempDir()
	tokens := filepath.Join(dir, "tokens")
	if err := os.WriteFile(tokens, []byte("first\nsecond\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	text := fmt.Sprintf(`version: 1
ledger: {type: memory}
admin: {listen: "off"}
transports:
  web: {type: cloudevents_http, listen: %q, bearer: {token_file: %q}, hmac: {secret: geheim}}
  out: {type: file, path: %q}
relays:
  - {name: to_eiffel, from: web, to: out, translate: eiffel}
dead_letters: {type: file, path: %q}
`, address, tokens, filepath.Join(dir, "out"), filepath.Join(dir, "dead"))
	r := &reloadable{t: t}
	r.run(text, io.Discard)
	replay, err := r.config.NewReplay("", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer replay.Close(t.Context())
	m := transport.Message{Protocol: transport.CDEvents, ID: "a", Source: "s", Type: "dev.cdeventsx.tool-thing.happened.0.1.0",
		Time: "2026-03-01T09:30:00Z", Data: []byte(customEvent("a", "b"))}
	if err := replay.Send(t.Context(), "to_eiffel", m); err != nil {
		t.Error(err)
	}
	unknown, err := r.config.NewReplay("", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer unknown.Close(t.Context())
	if err := os.WriteFile(tokens, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := unknown.Send(t.Context(), "to_eiffel", m); err == nil || !strings.Contains(err.Error(), "has no token") {
		t.Errorf("without a token: %v", err)
	}
	secure := strings.Replace(text, "bearer: {token_file", "tls: {cert_file: c, key_file: k}, bearer: {token_file", 1)
	if replay, err = ReadConfig([]byte(secure), nil).NewReplay("", nil); err != nil {
		t.Fatal(err)
	}
	if err := replay.Send(t.Context(), "to_eiffel", m); err == nil || !strings.Contains(err.Error(), "--to") {
		t.Errorf("to a listener with TLS: %v", err)
	}
}
