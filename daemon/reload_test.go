package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/eiffelbridge/eiffelbridge/plugins/host"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

// next gives settings that follow those of a rig, with its source and its stores.
func (g *rig) next(sink *fakeSink, change func(*RelaySettings)) Settings {
	s, _ := g.d.present()
	r := DefaultRelay()
	r.Name, r.From, r.To, r.Translate, r.Translator = "r", "in", "out", s.Relays[0].Translate, g.tr
	if change != nil {
		change(&r)
	}
	s.Relays = []RelaySettings{r}
	s.Sinks = map[string]transport.Sink{"out": sink}
	return s
}

func (g *rig) reload(s Settings) {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := g.d.Reload(ctx, s); err != nil {
		g.t.Fatal(err)
	}
}

// Events that a sink does not take when the configuration is reloaded go to the sink of the new one, in their order, and those
// that come meanwhile come after them. The source hears of nothing but the end.
func TestReloadTakesOverWhatIsInFlight(t *testing.T) {
	for _, ordered := range []bool{true, false} {
		t.Run(fmt.Sprintf("ordered=%v", ordered), func(t *testing.T) {
			g := newRig(t, ordered, nil)
			g.sink.setFate(func(transport.Message) error { return errors.New("away") })
			var open []chan transport.Settlement
			for i := range 20 {
				open = append(open, g.source.deliver(event(fmt.Sprintf("e%02d", i), fmt.Sprintf("s%d", i%3))))
			}
			eventually(t, "publishing was tried", func() bool { return len(g.sink.ids()) > 0 })
			good := &fakeSink{ordered: ordered}
			g.reload(g.next(good, func(r *RelaySettings) { r.MaxInFlight = 4; r.Name = "renamed" }))
			open = append(open, g.source.deliver(event("e20", "s2")))
			for _, c := range open {
				want(t, c, transport.Accepted)
			}
			for i := range 3 {
				var got, all []string
				for n := range 21 {
					if n%3 == i {
						all = append(all, fmt.Sprintf("e%02d", n))
					}
				}
				for _, id := range good.ids() {
					if slices.Contains(all, id) {
						got = append(got, id)
					}
				}
				equal(t, got, all)
			}
			if !g.sink.closed {
				t.Error("the old sink is still open")
			}
		})
	}
}

// A sink that stays goes on with what it has, and nothing that it has is sent beside it.
func TestReloadWaitsForTheAnswersOfASinkThatStays(t *testing.T) {
	g := newRig(t, false, nil)
	g.sink.holdOn()
	first, second := g.source.deliver(event("a", "s")), g.source.deliver(event("b", "s"))
	eventually(t, "it is at the sink", func() bool { return len(g.sink.ids()) == 1 })
	done := make(chan error, 1)
	go func() { done <- g.d.Reload(context.Background(), g.next(g.sink, nil)) }()
	late := make(chan chan transport.Settlement, 1)
	go func() { late <- g.source.deliver(event("c", "s")) }()
	select {
	case err := <-done:
		t.Fatalf("reloaded (%v) while the sink had an event", err)
	case <-time.After(10 * g.d.quiet):
	}
	wantOpen(t, first)
	g.sink.release()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	want(t, first, transport.Accepted)
	want(t, second, transport.Accepted)
	want(t, <-late, transport.Accepted)
	equal(t, g.sink.ids(), []string{"a", "b", "c"})
}

// What is parked stays parked, with its deadline, and goes on when what it waits for comes.
func TestReloadKeepsWhatIsParked(t *testing.T) {
	g := newRig(t, true, nil)
	want(t, g.source.deliver(event("a|needs=other", "s")), transport.Accepted)
	g.reload(g.next(&fakeSink{ordered: true}, nil))
	sink := &fakeSink{ordered: true}
	g.reload(g.next(sink, nil))
	want(t, g.source.deliver(event("o", "other")), transport.Accepted)
	eventually(t, "the parked event goes on", func() bool { return len(sink.ids()) == 2 })
	equal(t, sink.ids(), []string{"o", "a"})
}

// A source that is taken out of the configuration gets back what was not delivered.
func TestReloadWithoutASource(t *testing.T) {
	g := newRig(t, true, nil)
	g.sink.setFate(func(transport.Message) error { return errors.New("away") })
	open := g.source.deliver(event("a", "s"))
	other := newFakeSource()
	s := g.next(g.sink, func(r *RelaySettings) { r.From = "other" })
	s.Sources = map[string]transport.Source{"other": other}
	g.reload(s)
	want(t, open, transport.Retried)
	g.sink.setFate(nil)
	want(t, other.deliver(event("b", "s")), transport.Accepted)
	if _, err := g.source.try(context.Background(), event("c", "s")); err == nil {
		t.Error("a source that is gone delivered")
	}
}

// A reload that cannot be leaves everything as it is, and closes what was opened for it.
func TestReloadRefused(t *testing.T) {
	g := newRig(t, true, nil)
	fresh := &fakeSink{ordered: true}
	s := g.next(fresh, nil)
	s.Ledger = newFakeStore()
	if err := g.d.Reload(context.Background(), s); !errors.Is(err, ErrNotReloadable) || !strings.Contains(err.Error(), "ledger") {
		t.Errorf("a reload with another ledger: %v", err)
	}
	if !fresh.closed {
		t.Error("the sink of a refused reload is open")
	}
	s = g.next(g.sink, func(r *RelaySettings) { r.MaxInFlight = -1 })
	if err := g.d.Reload(context.Background(), s); err == nil {
		t.Error("a relay without room was accepted")
	}
	want(t, g.source.deliver(event("a", "s")), transport.Accepted)
	equal(t, g.sink.ids(), []string{"a"})
	g.stop()
	if err := g.d.Reload(context.Background(), g.next(g.sink, nil)); err == nil {
		t.Error("a daemon that is shut down was reloaded")
	}
}

// A shutdown does not wait for a reload that waits for a sink.
func TestShutdownDuringAReload(t *testing.T) {
	g := newRig(t, false, nil)
	g.sink.holdOn()
	open := g.source.deliver(event("a", "s"))
	eventually(t, "it is at the sink", func() bool { return len(g.sink.ids()) == 1 })
	done := make(chan error, 1)
	go func() { done <- g.d.Reload(context.Background(), g.next(g.sink, nil)) }()
	time.Sleep(20 * time.Millisecond)
	g.stop()
	<-done
	want(t, open, transport.Retried)
}

// Under load, with reloads in rapid succession, every event comes out once and each subject's in order.
func TestReloadUnderLoad(t *testing.T) {
	g := newRig(t, true, nil)
	sinks := []*fakeSink{g.sink}
	var failing atomic.Int64
	fate := func(transport.Message) error {
		if failing.Add(1)%17 == 0 {
			return errors.New("away for a moment")
		}
		return nil
	}
	g.sink.setFate(fate)
	stopClock := make(chan struct{})
	go func() { // pauses before retries are by the relay's clock
		for {
			select {
			case <-stopClock:
				return
			case <-time.After(time.Millisecond):
				g.clock.advance(100 * time.Millisecond)
			}
		}
	}()
	defer close(stopClock)
	const subjects, each = 8, 150
	var load sync.WaitGroup
	for s := range subjects {
		load.Go(func() {
			var open []chan transport.Settlement
			for n := range each {
				open = append(open, g.source.deliver(event(fmt.Sprintf("%d-%04d", s, n), fmt.Sprint("s", s))))
			}
			for _, c := range open {
				if s := <-c; s.Outcome != transport.Accepted {
					t.Errorf("settled %d (%v)", s.Outcome, s.Err)
				}
			}
		})
	}
	for i := range 15 {
		sink := &fakeSink{ordered: i%2 == 0, fate: fate}
		sinks = append(sinks, sink)
		g.reload(g.next(sink, func(r *RelaySettings) { r.MaxInFlight = 8 + i*16 }))
		time.Sleep(3 * time.Millisecond)
	}
	load.Wait()
	var good []string
	for _, s := range sinks {
		for _, m := range s.good {
			good = append(good, m.ID)
		}
	}
	for s := range subjects {
		var got, all []string
		for _, id := range good {
			if strings.HasPrefix(id, fmt.Sprint(s, "-")) && !slices.Contains(got, id) {
				got = append(got, id)
			}
		}
		for n := range each {
			all = append(all, fmt.Sprintf("%d-%04d", s, n))
		}
		equal(t, got, all)
	}
}

// reloadable is a running daemon whose configuration a test writes anew.
type reloadable struct {
	t        *testing.T
	d        *Daemon
	config   *Config
	settings Settings
	options  BuildOptions
}

func (r *reloadable) run(text string, log io.Writer) {
	t := r.t
	t.Helper()
	r.config, r.options.Logger = ReadConfig([]byte(text), nil), slog.New(slog.NewTextHandler(log, nil))
	var err error
	if r.settings, err = r.config.Settings(r.options); err != nil {
		t.Fatal(err)
	}
	if r.d, err = New(r.settings); err != nil {
		t.Fatal(err)
	}
	if err := r.d.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := r.d.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
}

func (r *reloadable) reload(text string) error {
	next := ReadConfig([]byte(text), nil)
	settings, err := next.Successor(r.options, r.config, r.settings)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := r.d.Reload(ctx, settings); err != nil {
		return err
	}
	r.config, r.settings = next, settings
	return nil
}

// envelope is a CloudEvent with a custom event in it.
func envelope(id string) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"s","type":"dev.cdeventsx.tool-thing.happened.0.1.0","datacontenttype":"application/json","data":%s}`,
		id, strings.TrimSpace(customEvent(id, id)))
}

// copyOf makes a binary of its own, with another checksum if there is a tail.
func copyOf(t *testing.T, binary, name, tail string) (path, sum string) {
	t.Helper()
	text, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, append(text, tail...), 0o700); err != nil {
		t.Fatal(err)
	}
	if sum, err = host.Checksum(path); err != nil {
		t.Fatal(err)
	}
	return path, sum
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// A mapping plugin is upgraded under load: senders hear nothing but 202, and each event comes out once. An upgrade that cannot be
// leaves the old plugin at work.
func TestReloadUpgradesAPlugin(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	oldBinary, oldSum := copyOf(t, self, "old", "")
	newBinary, newSum := copyOf(t, self, "new", "v2")
	dir := t.TempDir()
	config := func(binary, sum string) string {
		return fmt.Sprintf(`
version: 1
ledger: {type: memory}
admin: {listen: "off"}
dead_letters: {type: file, path: %[1]s/dead.jsonl}
transports:
  in: {type: cloudevents_http, listen: "127.0.0.1:0"}
  out: {type: file, path: %[1]s/out.jsonl}
relays:
  - {name: r, from: in, to: out, translate: eiffel, plugins: [{name: p, mode: fallback}]}
plugins:
  p: {path: %[2]s, args: [custom], sha256: %[3]s}
`, dir, binary, sum)
	}
	var log lockedBuffer
	r := &reloadable{t: t}
	r.run(config(oldBinary, oldSum), &log)
	url := "http://" + r.d.Addresses()["in"].String() + "/"
	stop := make(chan struct{})
	var load sync.WaitGroup
	var sent atomic.Int64
	for s := range 4 {
		load.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				id := fmt.Sprintf("%d-%d", s, n)
				answer, err := http.Post(url, "application/cloudevents+json", strings.NewReader(envelope(id)))
				if err != nil {
					t.Error(err)
					return
				}
				answer.Body.Close()
				if answer.StatusCode != http.StatusAccepted {
					t.Errorf("event %s: %s", id, answer.Status)
				}
				sent.Add(1)
			}
		})
	}
	under := func(n int64) {
		t.Helper()
		eventually(t, "the load runs", func() bool { return sent.Load() >= n })
	}
	under(100)
	before := r.d.settings.Plugins["p"]
	if err := r.reload(config(newBinary, oldSum)); err == nil || !strings.Contains(err.Error(), oldSum) || !strings.Contains(err.Error(), newSum) {
		t.Errorf("an upgrade with the old checksum: %v", err)
	}
	if s, _ := r.d.present(); s.Plugins["p"] != before || !before.Stats().Running {
		t.Error("the old plugin does not go on after an upgrade that was refused")
	}
	under(300)
	if err := r.reload(config(oldBinary, oldSum)); err != nil {
		t.Fatal(err)
	}
	if s, _ := r.d.present(); s.Plugins["p"] != before {
		t.Error("a plugin that did not change was started anew")
	}
	under(500)
	if err := r.reload(config(newBinary, newSum)); err != nil {
		t.Fatal(err)
	}
	s, _ := r.d.present()
	if s.Plugins["p"] == before || !s.Plugins["p"].Stats().Running || before.Stats().Running {
		t.Error("the plugin was not replaced")
	}
	under(sent.Load() + 100)
	close(stop)
	load.Wait()
	text, err := os.ReadFile(filepath.Join(dir, "out.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), "EiffelCompositionDefinedEvent"); int64(n) != sent.Load() {
		t.Errorf("%d of %d events came out", n, sent.Load())
	}
	if text, _ := os.ReadFile(filepath.Join(dir, "dead.jsonl")); len(text) > 0 {
		t.Errorf("dead letters: %s", text)
	}
}

// A listener whose settings change is replaced on its own socket: no connection is refused. What waited at the old one must be sent
// again at most.
func TestReloadOfAListener(t *testing.T) {
	dir := t.TempDir()
	address := "127.0.0.1:0"
	config := func(more string) string {
		return fmt.Sprintf(`
version: 1
ledger: {type: memory}
admin: {listen: "off"}
dead_letters: {type: file, path: %[1]s/dead.jsonl}
transports:
  in: {type: cloudevents_http, listen: %[2]q%[3]s}
  out: {type: file, path: %[1]s/out.jsonl}
relays:
  - {name: r, from: in, to: out, translate: eiffel}
`, dir, address, more)
	}
	free, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	address = free.Addr().String()
	free.Close()
	r := &reloadable{t: t}
	r.run(config(""), io.Discard)
	stop := make(chan struct{})
	var load sync.WaitGroup
	var sent atomic.Int64
	for s := range 4 {
		load.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				id := fmt.Sprintf("%d-%d", s, n)
				answer, err := http.Post("http://"+address+"/", "application/cloudevents+json", strings.NewReader(envelope(id)))
				if errors.Is(err, syscall.ECONNREFUSED) {
					t.Errorf("event %s: %v", id, err)
				}
				if err != nil {
					n-- // it is sent again
					continue
				}
				answer.Body.Close()
				switch answer.StatusCode {
				case http.StatusAccepted:
					sent.Add(1)
				case http.StatusServiceUnavailable, http.StatusTooManyRequests: // it waited at the listener that was replaced
					n--
				default:
					t.Errorf("event %s: %s", id, answer.Status)
				}
			}
		})
	}
	for i := range 10 {
		before := sent.Load()
		eventually(t, "the load runs", func() bool { return sent.Load() > before+20 })
		if err := r.reload(config(fmt.Sprintf(", max_body: %d", 100000+i))); err != nil {
			t.Fatal(err)
		}
		// Refused, after the listener was duplicated.
		if err := r.reload(config(", max_body: 5") + "  - {name: s, from: in, to: out, translate: eiffel}\n"); err == nil {
			t.Error("a source that feeds two relays was accepted")
		}
	}
	close(stop)
	load.Wait()
	text, err := os.ReadFile(filepath.Join(dir, "out.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, "EiffelAnnouncementPublishedEvent") {
			got[line] = true
		}
	}
	if int64(len(got)) < sent.Load() {
		t.Errorf("%d events were accepted, %d came out", sent.Load(), len(got))
	}
}

// What a reload cannot change is named, and the relay goes on.
func TestReloadOfWhatNeedsARestart(t *testing.T) {
	dir := t.TempDir()
	config := func(retention, admin, letters, source string) string {
		return fmt.Sprintf(`
version: 1
ledger: {type: memory, retention: %s}
admin: {listen: %q}
dead_letters: {type: file, path: %s/%s}
transports:
  in: %s
  out: {type: file, path: %[3]s/out.jsonl}
relays:
  - {name: r, from: in, to: out, translate: eiffel}
`, retention, admin, dir, letters, source)
	}
	plain := config("1h", "off", "dead.jsonl", "{type: stdio}")
	in, feed := io.Pipe()
	var log lockedBuffer
	r := &reloadable{t: t, options: BuildOptions{Stdin: in}}
	r.run(plain, &log)
	for want, text := range map[string]string{
		"ledger: needs a restart":        config("2h", "off", "dead.jsonl", "{type: stdio}"),
		"admin: needs a restart":         config("1h", "127.0.0.1:0", "dead.jsonl", "{type: stdio}"),
		"dead_letters: needs a restart":  config("1h", "off", "other.jsonl", "{type: stdio}"),
		"transports.in: needs a restart": config("1h", "off", "dead.jsonl", "{type: stdio, max_in_flight: 5}"),
		"line 3: ledger.type: ":          strings.Replace(plain, "type: memory", "type: memori", 1),
	} {
		if err := r.reload(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if err := r.reload(strings.Replace(plain, "translate: eiffel", "translate: eiffel, max_in_flight: 3", 1)); err != nil {
		t.Error(err)
	}
	fmt.Fprint(feed, customEvent("a", "b"))
	feed.Close()
	if err := r.d.Wait(); err != nil {
		t.Error(err)
	}
	if err := r.reload(plain); err == nil {
		t.Error("a relay whose input has ended was reloaded")
	}
	if text, _ := os.ReadFile(filepath.Join(dir, "out.jsonl")); !strings.Contains(string(text), `"type":"Eiffel`) {
		t.Errorf("nothing was relayed after the reloads: %s", text)
	}
}
