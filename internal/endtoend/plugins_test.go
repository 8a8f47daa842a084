package endtoend

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/eiffelbridge/eiffelbridge/internal/rabbittest"
)

// children are the processes of the relay's plugins that serve a transport, by what /proc says.
func (b *bridge) children(serves string) []int {
	var out []int
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(stat), ") ")
		if fields := strings.Fields(rest); len(fields) < 2 || fields[1] != strconv.Itoa(b.command.Process.Pid) {
			continue
		}
		line, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
		if strings.Contains(string(line), "serve\x00"+serves) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			out = append(out, pid)
		}
	}
	return out
}

// load sends whole lives from 16 senders, each one event after the other, until a channel is closed; what is not answered with
// 202 is sent again. It gives the ids that were taken, how often something had to be sent again, and how long the slowest took.
func (b *bridge) load(until <-chan struct{}) (sent map[string]bool, again int, slowest time.Duration) {
	t := b.t
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var lock sync.Mutex
	sent = map[string]bool{}
	send := func(e *testEvent) {
		began := time.Now()
		for {
			status, answer := b.post(ctx, "application/json", binaryHeader(e), e.JSON)
			if status == http.StatusAccepted {
				break
			}
			if status == http.StatusBadRequest {
				t.Errorf("%s: %s", e.ID, answer)
				return
			}
			if time.Since(began) > time.Minute {
				t.Errorf("%s is not taken: %d %s", e.ID, status, answer)
				return
			}
			lock.Lock()
			again++
			lock.Unlock()
			time.Sleep(5 * time.Millisecond)
		}
		lock.Lock()
		defer lock.Unlock()
		sent[e.ID] = true
		slowest = max(slowest, time.Since(began))
	}
	work := make(chan []*testEvent)
	var senders sync.WaitGroup
	for range 16 {
		senders.Go(func() {
			for life := range work {
				for _, e := range life {
					send(e)
				}
			}
		})
	}
	for round, going := 0, true; going; round++ {
		for _, life := range lives(fmt.Sprintf("k%d", round), 400) {
			work <- life
			select {
			case <-until:
				going = false
			default:
			}
		}
	}
	close(work)
	senders.Wait()
	if t.Failed() {
		t.Fatalf("%s", b.log)
	}
	return sent, again, slowest
}

// arrived reads from a watcher until all that was sent has come: with one id however often it comes, valid, and after what it links
// to. It gives how many came more than once.
func arrived(t *testing.T, b *bridge, w *watcher, sent map[string]bool) (duplicates int) {
	t.Helper()
	seen, ids := map[string]bool{}, map[string]string{}
	for len(ids) < len(sent) {
		e, err := w.next(20 * time.Second)
		if err != nil {
			t.Fatalf("%v after %d of %d\n%s", err, len(ids), len(sent), b.log)
		}
		checkEiffel(t, e, seen)
		if seen[e.Meta.ID] {
			duplicates++
		}
		seen[e.Meta.ID] = true
		if original := e.original(); original != "" {
			if id, ok := ids[original]; ok && id != e.Meta.ID {
				t.Errorf("%s came as %s and as %s", original, id, e.Meta.ID)
			}
			ids[original] = e.Meta.ID
		}
	}
	for id := range sent {
		if ids[id] == "" {
			t.Errorf("%s did not arrive", id)
		}
	}
	return duplicates
}

// TestKilledTransportPlugins kills the plugins of both transports by turns, 50 times under load. A sender that obeys (it sends
// again what was not answered with 202) loses nothing: each event arrives, with one id however often it comes, valid, and after what it
// links to.
func TestKilledTransportPlugins(t *testing.T) {
	server := rabbittest.Shared(t)
	const exchange, kills = "killed.plugins", 50
	w := watch(t, server.URL(), exchange)
	b := newPluginBridge(t, server.URL(), exchange, "", "")
	b.start()

	killed := make(chan struct{})
	go func() {
		defer close(killed)
		for n := 0; n < kills; {
			time.Sleep(400 * time.Millisecond)
			for _, pid := range b.children([]string{"amqp091", "cloudevents_http"}[n%2]) {
				if syscall.Kill(pid, syscall.SIGKILL) == nil {
					n++
				}
			}
		}
	}()
	sent, _, slowest := b.load(killed)
	duplicates := arrived(t, b, w, sent)
	t.Logf("%d events over %d kills; the slowest took %v with its retries; %d came more than once", len(sent), kills, slowest.Round(time.Millisecond), duplicates)
	b.stop()
	if left := append(b.children("amqp091"), b.children("cloudevents_http")...); len(left) > 0 {
		t.Errorf("plugins are left: %v", left)
	}
}
