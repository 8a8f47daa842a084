package host_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eiffelbridge/eiffelbridge/plugins/host"
	"github.com/eiffelbridge/eiffelbridge/translate"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func settingsOf(t *testing.T, what string, change ...func(*host.Settings)) (host.Settings, *logBuffer) {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	logs := &logBuffer{}
	s := host.DefaultSettings()
	s.Name, s.Path, s.Args, s.Dev = "tool", path, []string{what}, true
	s.Logger = slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s.MinBackoff, s.MaxBackoff, s.BreakerPause = time.Millisecond, 10*time.Millisecond, time.Hour
	for _, c := range change {
		c(&s)
	}
	return s, logs
}

func start(t *testing.T, what string, change ...func(*host.Settings)) (*host.Process, *logBuffer) {
	t.Helper()
	s, logs := settingsOf(t, what, change...)
	p, err := host.Start(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.Close()
		if t.Failed() {
			t.Log(logs)
		}
	})
	return p, logs
}

func wait(t *testing.T, p *host.Process) *host.Incarnation {
	t.Helper()
	i, err := p.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func chain(t *testing.T, p *host.Process, mode host.Mode, settings host.MappingSettings) *host.Chain {
	t.Helper()
	m := host.NewMapping(p, mode == host.ModeDecorate, settings)
	t.Cleanup(m.Close)
	base, err := translate.New(translate.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	refusing, err := translate.New(translate.Settings{NoMapping: translate.NoMappingRefuse})
	if err != nil {
		t.Fatal(err)
	}
	return host.NewChain(base, refusing, []host.Link{{Plugin: m, Mode: mode}})
}

func event(t *testing.T, id, subject string) translate.Event {
	t.Helper()
	e, err := translate.Decode(fmt.Appendf(nil, `{"context":{"specversion":"0.5.1","id":%q,"source":"s","type":"dev.cdeventsx.tool-thing.happened.0.1.0","timestamp":"2026-03-01T09:30:00Z"},"subject":{"id":%q,"content":{}}}`, id, subject))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func ask(tr translate.Translator, in translate.Event) (translate.Result, error) {
	return translate.Ask(context.Background(), tr, translate.NewMemoryLedger(), in)
}

func TestStart(t *testing.T) {
	p, _ := start(t, "mapping")
	i := wait(t, p)
	if i.Description.GetName() != "test" || i.Description.GetVersion() != "1.2.3" || i.Version != 1 || p.Health() != nil {
		t.Errorf("%+v, health %v", i.Description, p.Health())
	}
	t.Logf("started in %v", i.Started)
	pid := i.PID
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if alive(pid) {
		t.Error("the process is still there after Close")
	}
	var gone *host.UnavailableError
	if _, err := p.Wait(t.Context()); !errors.As(err, &gone) {
		t.Errorf("after Close: %v", err)
	}
}

func alive(pid int) bool {
	_, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
	return err == nil
}

// TestRefused has starts that cannot succeed: each names the plugin, what is wrong and the remedy.
func TestRefused(t *testing.T) {
	script := filepath.Join(t.TempDir(), "changed")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	sum, err := host.Checksum(script)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(script, []byte("#!/bin/sh\nexit 0\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	changed, _ := host.Checksum(script)
	for _, c := range []struct {
		name, what string
		change     func(*host.Settings)
		want       []string
		unfit      bool
	}{
		{"checksum", "mapping", func(s *host.Settings) { s.Path, s.Dev, s.SHA256 = script, false, sum }, []string{"plugin tool", sum, changed, "pin the new one"}, true},
		{"file", "mapping", func(s *host.Settings) { s.Files = map[string]string{script: sum} }, []string{"plugin tool", sum, changed}, true},
		{"missing", "mapping", func(s *host.Settings) { s.Path = script + "x" }, []string{"plugin tool", "no such file"}, true},
		{"version", "version", nil, []string{"plugin tool", "speaks version 7", "this program version 1", "newer eiffelbridge"}, true},
		{"noise", "noise", nil, []string{"plugin tool", "hello, I am a plugin", "standard error"}, true},
		{"config", "configured", func(s *host.Settings) { s.Config = json.RawMessage(`{"a":2}`) }, []string{"plugin tool", "refuses its config: a must be 1"}, true},
		{"exits", "exits", nil, []string{"plugin tool", "exit status 3", "I have no licence"}, false},
		{"silent", "silent", func(s *host.Settings) { s.StartTimeout, s.MaxFailures = 200*time.Millisecond, 1 }, []string{"plugin tool", "did not finish its handshake within 200ms"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			change := c.change
			if change == nil {
				change = func(*host.Settings) {}
			}
			p, _ := start(t, c.what, change)
			_, err := p.Wait(t.Context())
			var gone *host.UnavailableError
			if !errors.As(err, &gone) || gone.Unfit != c.unfit {
				t.Fatalf("%v", err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
			if p.Health() == nil {
				t.Error("it is healthy")
			}
		})
	}
}

func TestConfigured(t *testing.T) {
	p, _ := start(t, "configured", func(s *host.Settings) { s.Config = json.RawMessage(`{"a":1}`) })
	wait(t, p)
}

// TestEnvironment lets the plugin see what is allowed and nothing of the host.
func TestEnvironment(t *testing.T) {
	t.Setenv("AMQP_URL", "amqp://user:secret@host/")
	p, _ := start(t, "mapping", func(s *host.Settings) { s.Env = map[string]string{"ALLOWED": "yes"} })
	r, err := ask(chain(t, p, host.ModeOverride, host.MappingSettings{}), event(t, "1", "env"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(r.Events[0].JSON)
	if strings.Contains(text, "secret") || strings.Contains(text, "HOME=") || strings.Contains(text, "PATH=") || !strings.Contains(text, "ALLOWED=yes") {
		t.Error(text)
	}
}

func TestModes(t *testing.T) {
	mapping, _ := start(t, "mapping")
	decorator, _ := start(t, "decorator")
	custom := event(t, "1", "x")
	deployed, err := translate.Decode([]byte(`{"context":{"specversion":"0.5.1","id":"2","source":"s","type":"dev.cdevents.environment.created.0.3.0","timestamp":"2026-03-01T09:30:00Z"},"subject":{"id":"x","content":{}}}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		mode       host.Mode
		p          *host.Process
		in         translate.Event
		want, text string
	}{
		{host.ModeOverride, mapping, custom, "EiffelCompositionDefinedEvent", ""},
		{host.ModeOverride, mapping, deployed, "EiffelEnvironmentDefinedEvent", ""},
		{host.ModeFallback, mapping, custom, "EiffelCompositionDefinedEvent", ""},
		{host.ModeFallback, mapping, deployed, "EiffelEnvironmentDefinedEvent", ""},
		{host.ModeDecorate, decorator, deployed, "EiffelEnvironmentDefinedEvent", `"tags":["decorated"]`},
		{host.ModeDecorate, decorator, custom, "EiffelAnnouncementPublishedEvent", `"tags":["decorated"]`},
	} {
		r, err := ask(chain(t, c.p, c.mode, host.MappingSettings{}), c.in)
		if err != nil || len(r.Events) != 1 || r.Events[0].Type != c.want || !strings.Contains(string(r.Events[0].JSON), c.text) {
			t.Errorf("%s of %s: %v, %+v", c.mode, c.in.Type, err, r.Events)
		}
	}
}

// TestReturning: what a plugin made is known as ours when it comes round.
func TestReturning(t *testing.T) {
	p, _ := start(t, "mapping")
	m := host.NewMapping(p, false, host.MappingSettings{})
	defer m.Close()
	engine, err := translate.New(translate.Settings{Returning: translate.ReturningDrop})
	if err != nil {
		t.Fatal(err)
	}
	s := translate.NewSession(host.NewChain(engine, engine, []host.Link{{Plugin: m, Mode: host.ModeOverride}}), translate.NewMemoryLedger())
	r, err := s.TranslateEvent(t.Context(), event(t, "1", "x"))
	if err != nil {
		t.Fatal(err)
	}
	back, err := s.TranslateEvent(t.Context(), r.Events[0])
	if err != nil || back.Returning != translate.ReturningDrop || len(back.Events) != 0 {
		t.Errorf("%+v, %v", back, err)
	}
}

// TestMoves has a plugin tell its moves when they are asked for, and at no other time.
func TestMoves(t *testing.T) {
	p, _ := start(t, "explainer")
	c := chain(t, p, host.ModeOverride, host.MappingSettings{})
	direct, err := translate.New(translate.Settings{Explain: true})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../translate/testdata/life.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	want, got, bare := translate.NewSession(direct, translate.NewMemoryLedger()), translate.NewSession(c.Explaining(), translate.NewMemoryLedger()), translate.NewSession(c, translate.NewMemoryLedger())
	moves := 0
	for line := range bytes.Lines(text) {
		a, err := want.Translate(t.Context(), line)
		if err != nil {
			t.Fatal(err)
		}
		b, err := got.Translate(t.Context(), line)
		if err != nil {
			t.Fatal(err)
		}
		without, err := bare.Translate(t.Context(), line)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(a.Moves, b.Moves) || without.Moves != nil {
			t.Errorf("%s: %d moves by the plugin when asked, %d when not; %d without it", line, len(b.Moves), len(without.Moves), len(a.Moves))
		}
		if len(a.Events) != len(b.Events) || len(a.Events) != len(without.Events) {
			t.Errorf("%s: %d, %d and %d events", line, len(a.Events), len(b.Events), len(without.Events))
		}
		moves += len(a.Moves)
	}
	if moves == 0 {
		t.Error("there are no moves to compare")
	}

	lying, _ := start(t, "mapping")
	c = chain(t, lying, host.ModeOverride, host.MappingSettings{})
	if _, err := ask(c, event(t, "1", "moves")); err != nil {
		t.Errorf("moves that nobody asked for: %v", err)
	}
	var e *translate.EventError
	if _, err := ask(c.Explaining(), event(t, "1", "moves")); !errors.As(err, &e) || e.Code != translate.CodeInvalidOutput || !strings.Contains(e.Message, "move 0 leads to event 7 of 1") {
		t.Errorf("%v", err)
	}
}

// TestNeed answers the plugin's questions, and bounds them.
func TestNeed(t *testing.T) {
	p, _ := start(t, "mapping")
	c := chain(t, p, host.ModeOverride, host.MappingSettings{})
	l := translate.NewMemoryLedger()
	record := ledger.Subject{Text: "known"}
	if err := l.Apply(t.Context(), []ledger.Fact{{Query: ledger.Query{Kind: ledger.SubjectFact, Key: `["service","s","x"]`}, Record: record.Encode()}}); err != nil {
		t.Fatal(err)
	}
	r, err := translate.Ask(t.Context(), c, l, event(t, "1", "need"))
	if err != nil || !strings.Contains(string(r.Events[0].JSON), fmt.Sprintf("%x", record.Encode())) {
		t.Errorf("%v %v", r, err)
	}
	var e *translate.EventError
	if _, err = ask(c, event(t, "1", "need_always")); !errors.As(err, &e) || e.Code != translate.CodeInvalidOutput || !strings.Contains(e.Message, "asks again") {
		t.Errorf("%v", err)
	}
}

// TestLies has answers that are not believed, and errors that are the event's.
func TestLies(t *testing.T) {
	p, logs := start(t, "mapping")
	c := chain(t, p, host.ModeOverride, host.MappingSettings{})
	for subject, want := range map[string]struct{ code, text string }{
		"invalid":        {translate.CodeInvalidOutput, "plugin tool: the output no uuid"},
		"forged":         {translate.CodeInvalidOutput, "carries an original that is not the event it was made of"},
		"wrong_protocol": {translate.CodeInvalidOutput, "is an event of cdevents itself"},
		"panic":          {translate.CodeMapping, "the plugin panicked: on purpose"},
		"error":          {"my_code", "plugin tool: I refuse"},
	} {
		_, err := ask(c, event(t, "7", subject))
		var e *translate.EventError
		if !errors.As(err, &e) || e.Code != want.code || !strings.Contains(e.Message, want.text) || e.ID != "7" {
			t.Errorf("%s: %v", subject, err)
		}
	}
	if _, err := ask(c, event(t, "8", "print")); err != nil {
		t.Error(err)
	}
	if s := p.Stats(); s.Deaths != 0 {
		t.Errorf("%+v", s)
	}
	_ = p.Close()
	for _, want := range []string{"on standard output", "level=WARN msg=logged plugin=tool event=8", "message=42", "panic in the plugin"} {
		if !strings.Contains(logs.String(), want) {
			t.Errorf("%q is not in the log:\n%s", want, logs)
		}
	}
}

// TestPoison has events of which the plugin dies or hangs, among others that are not hurt.
func TestPoison(t *testing.T) {
	for _, subject := range []string{"crash", "hang"} {
		t.Run(subject, func(t *testing.T) {
			p, _ := start(t, "mapping")
			c := chain(t, p, host.ModeOverride, host.MappingSettings{Timeout: time.Second})
			var all sync.WaitGroup
			for n := range 100 {
				all.Go(func() {
					if n == 50 {
						_, err := ask(c, event(t, "50", subject))
						var e *translate.EventError
						if !errors.As(err, &e) || e.Code != host.CodePluginFailed || !strings.Contains(e.Message, "3 times") {
							t.Errorf("the poison: %v", err)
						}
						return
					}
					if _, err := ask(c, event(t, fmt.Sprint(n), "x")); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			if _, err := ask(c, event(t, "after", "x")); err != nil {
				t.Error(err)
			}
			if err := p.Health(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestSlow is slow but answers: it is not taken to hang.
func TestSlow(t *testing.T) {
	p, _ := start(t, "mapping")
	c := chain(t, p, host.ModeOverride, host.MappingSettings{Timeout: 2 * time.Second})
	var all sync.WaitGroup
	for n := range 200 {
		all.Go(func() {
			if _, err := ask(c, event(t, fmt.Sprint(n), "slow")); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if s := p.Stats(); s.Deaths != 0 {
		t.Errorf("%+v", s)
	}
}

// TestHungry bounds the plugin's memory.
func TestHungry(t *testing.T) {
	p, logs := start(t, "hungry", func(s *host.Settings) { s.MaxMemory = 200 << 20; s.MaxFailures = 1 })
	i := wait(t, p)
	<-i.Done()
	if !strings.Contains(i.Err().Error(), "max_memory") {
		t.Errorf("%v\n%s", i.Err(), logs)
	}
}

// TestUnavailable fails events at once while the breaker is open.
func TestUnavailable(t *testing.T) {
	p, _ := start(t, "exits")
	c := chain(t, p, host.ModeOverride, host.MappingSettings{})
	_, err := ask(c, event(t, "1", "x"))
	var e *translate.EventError
	if !errors.As(err, &e) || e.Code != host.CodePluginUnavailable || !strings.Contains(e.Message, "I have no licence") {
		t.Errorf("%v", err)
	}
}

// TestLargeEvents are of 16 MiB.
func TestLargeEvents(t *testing.T) {
	p, _ := start(t, "mapping")
	c := chain(t, p, host.ModeOverride, host.MappingSettings{Timeout: 30 * time.Second})
	big := event(t, "1", strings.Repeat("x", 16<<20-500))
	r, err := ask(c, big)
	if err != nil || len(r.Events) != 1 || len(r.Events[0].JSON) < 15<<20 {
		t.Fatalf("%v", err)
	}
}

// TestKilled kills the plugin under load: nothing is lost, ids stay, and the first answer after a kill comes soon.
func TestKilled(t *testing.T) {
	p, _ := start(t, "mapping")
	c := chain(t, p, host.ModeOverride, host.MappingSettings{})
	wait(t, p)
	stop := make(chan struct{})
	var load sync.WaitGroup
	var mu sync.Mutex
	answered := 0
	for w := range 16 {
		load.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				in := event(t, fmt.Sprintf("%d-%d", w, n), "x")
				r, err := ask(c, in)
				if err != nil || len(r.Events) != 1 || r.Events[0].ID != in.DerivedID() {
					t.Errorf("%s: %v %v", in.ID, err, r.Events)
					return
				}
				mu.Lock()
				answered++
				mu.Unlock()
			}
		})
	}
	var longest time.Duration
	for range 50 {
		i := wait(t, p)
		process, err := os.FindProcess(i.PID)
		if err != nil {
			t.Fatal(err)
		}
		killed := time.Now()
		if err := process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-i.Done()
		if _, err := ask(c, event(t, "first", "x")); err != nil {
			t.Fatal(err)
		}
		longest = max(longest, time.Since(killed))
	}
	close(stop)
	load.Wait()
	t.Logf("%d events answered; the first after a kill waited %v at most", answered, longest)
	if s := p.Stats(); s.Deaths != 50 || s.BreakerOpen {
		t.Errorf("%+v", s)
	}
}
