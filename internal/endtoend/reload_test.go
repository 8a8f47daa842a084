package endtoend

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/eiffelbridge/eiffelbridge/internal/rabbittest"
)

// reload writes the configuration anew, changed by edits (old text, new text), and waits until the relay has read it.
func (b *bridge) reload(applied bool, edits ...string) {
	b.t.Helper()
	text, err := os.ReadFile(b.config)
	if err != nil {
		b.t.Fatal(err)
	}
	changed := strings.NewReplacer(edits...).Replace(string(text))
	if len(edits) > 0 && changed == string(text) {
		b.t.Fatalf("%q is not in the configuration\n%s", edits, text)
	}
	if err := os.WriteFile(b.config, []byte(changed), 0o600); err != nil {
		b.t.Fatal(err)
	}
	result := map[bool]string{true: "applied", false: "refused"}[applied]
	count := func() string {
		for line := range strings.Lines(b.get("/metrics")) {
			if rest, ok := strings.CutPrefix(line, fmt.Sprintf("eiffelbridge_config_reloads_total{result=%q} ", result)); ok {
				return rest
			}
		}
		return ""
	}
	before := count()
	if err := b.command.Process.Signal(syscall.SIGHUP); err != nil {
		b.t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); count() == before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.t.Fatalf("no reload was %s within 30 s\n%s", result, b.log)
		}
	}
	if !applied {
		if err := os.WriteFile(b.config, text, 0o600); err != nil {
			b.t.Fatal(err)
		}
	}
}

// TestReloadBySignal reloads a relay under load: with what changed and what did not, and with what is wrong. No sender has to
// send anything again, and everything arrives.
func TestReloadBySignal(t *testing.T) {
	server := rabbittest.Shared(t)
	const exchange = "reload.signal"
	w := watch(t, server.URL(), exchange)
	b := newBridge(t, server.URL(), exchange, "", "")
	b.start()
	pid := b.command.Process.Pid
	done := make(chan struct{})
	go func() {
		defer close(done)
		const pause = 150 * time.Millisecond
		time.Sleep(pause)
		for range 3 {
			b.reload(true)
			time.Sleep(pause)
			b.reload(true, "translate: eiffel}", "translate: eiffel, max_in_flight: 64}")
			time.Sleep(pause)
			b.reload(false, "max_in_flight: 64}", "max_in_flihgt: 64}")
			b.reload(false, "/ledger", "/another")
			b.reload(true, "max_in_flight: 64}", "carry: original, returning: drop}")
			time.Sleep(pause)
			b.reload(true, "queue: "+exchange+".in", "queue: "+exchange+".in\n    confirm_window: 100")
			time.Sleep(pause)
			b.reload(true, "\n    confirm_window: 100", "", ", carry: original, returning: drop}", "}")
			time.Sleep(pause)
		}
	}()
	sent, again, slowest := b.load(done)
	if again > 0 {
		t.Errorf("%d answers were not 202\n%s", again, b.log)
	}
	duplicates := arrived(t, b, w, sent)
	t.Logf("%d events over 18 reloads; the slowest took %v; %d came more than once", len(sent), slowest.Round(time.Millisecond), duplicates)
	if b.command.Process.Pid != pid || !strings.Contains(b.log.String(), "did you mean max_in_flight?") || !strings.Contains(b.log.String(), "ledger: needs a restart") {
		t.Errorf("the log does not name what was wrong\n%s", b.log)
	}
	b.stop()
}

// TestTransportPluginsAreUpgradedBySignal upgrades the plugins of both transports under load, by another binary and by another
// configuration. Each has one new process after it, and everything arrives.
func TestTransportPluginsAreUpgradedBySignal(t *testing.T) {
	server := rabbittest.Shared(t)
	const exchange = "reload.plugins"
	w := watch(t, server.URL(), exchange)
	b := newPluginBridge(t, server.URL(), exchange, "", "")
	upgraded := b.dir + "/upgraded"
	text, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(upgraded, append(text, "upgraded"...), 0o700); err != nil {
		t.Fatal(err)
	}
	b.start()
	done := make(chan struct{})
	go func() {
		defer close(done)
		time.Sleep(300 * time.Millisecond)
		for _, step := range []struct {
			serves string
			edits  []string
		}{
			{"cloudevents_http", []string{fmt.Sprintf("http: {path: %q", binary), fmt.Sprintf("http: {path: %q", upgraded)}},
			{"amqp091", []string{fmt.Sprintf("amqp: {path: %q", binary), fmt.Sprintf("amqp: {path: %q", upgraded)}},
			{"amqp091", []string{"config: {url:", "config: {prefetch: 100, url:"}},
		} {
			before := b.children(step.serves)
			b.reload(true, step.edits...)
			after := b.children(step.serves)
			for deadline := time.Now().Add(20 * time.Second); len(after) != 1 || len(before) != 1 || after[0] == before[0]; time.Sleep(20 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Errorf("the processes that serve %s were %v and are %v\n%s", step.serves, before, after, b.log)
					return
				}
				after = b.children(step.serves)
			}
			time.Sleep(300 * time.Millisecond)
		}
	}()
	sent, again, slowest := b.load(done)
	duplicates := arrived(t, b, w, sent)
	t.Logf("%d events over 3 upgrades, %d sent again; the slowest took %v; %d came more than once", len(sent), again, slowest.Round(time.Millisecond), duplicates)
	b.stop()
}
