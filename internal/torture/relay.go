//go:build unix

package torture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/eiffelbridge/eiffelbridge/daemon"
)

// relay is `eiffelbridge run` in a process of its own. Its methods are for one goroutine at a time, but for pid, log and
// the samples.
type relay struct {
	binary string
	dir    string // of the cell
	listen string // of the source over HTTP
	admin  string

	// clock is that of a relay that runs in this process: the built command has no other than the machine's. nil: in its own.
	clock  daemon.Clock
	inner  *daemon.Daemon
	inHere atomic.Bool // it runs in this process

	log    *logFile
	mu     sync.Mutex
	cmd    *exec.Cmd
	ended  chan struct{}
	status error // after ended is closed

	sampling sync.WaitGroup
	stop     chan struct{}
	rss      int64 // the most RssAnon of any of its processes, in bytes; guarded by mu
}

// logFile keeps the relay's log, in a file and at hand.
type logFile struct {
	mu   sync.Mutex
	file *os.File
	text bytes.Buffer
}

func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(p)
	return l.file.Write(p)
}

func (l *logFile) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// count is how often a text stands in the log.
func (l *logFile) count(text string) int { return strings.Count(l.String(), text) }

// lastWith is the last line with a text.
func (l *logFile) lastWith(text string) (line string) {
	for candidate := range strings.Lines(l.String()) {
		if strings.Contains(candidate, text) {
			line = strings.TrimSpace(candidate)
		}
	}
	return line
}

// tail is the end of the log.
func (l *logFile) tail(lines int) string {
	all := strings.Split(strings.TrimSpace(l.String()), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

func newRelay(binary, dir string) (*relay, error) {
	file, err := os.Create(filepath.Join(dir, "relay.log"))
	if err != nil {
		return nil, err
	}
	r := &relay{binary: binary, dir: dir, log: &logFile{file: file}, stop: make(chan struct{})}
	for _, address := range []*string{&r.listen, &r.admin} {
		if *address, err = freeAddress(); err != nil {
			return nil, err
		}
	}
	r.sampling.Go(r.sample)
	return r, nil
}

// freeAddress is an address of the loopback that nobody listens on, below the ports that the system hands out for outgoing
// connections: the relay must find it free again whenever it is started anew.
func freeAddress() (string, error) {
	for range 100 {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(12000+rand.IntN(7000))))
		if err == nil {
			return l.Addr().String(), l.Close()
		}
	}
	return "", errors.New("no free port found on 127.0.0.1")
}

func (r *relay) config() string      { return filepath.Join(r.dir, "eiffelbridge.yaml") }
func (r *relay) deadLetters() string { return filepath.Join(r.dir, "dead-letters.jsonl") }

// launch starts the process and does not wait until it is ready.
func (r *relay) launch() error {
	if r.clock != nil {
		return r.launchHere()
	}
	cmd := exec.Command(r.binary, "run", "--config", r.config(), "--drain-timeout", "20s")
	cmd.Stdout, cmd.Stderr = r.log, r.log
	cmd.Dir = r.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	ended := make(chan struct{})
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the relay: %w", err)
	}
	r.cmd, r.ended = cmd, ended
	go func() {
		r.status = cmd.Wait()
		close(ended)
	}()
	return nil
}

// launchHere starts the relay in this process.
func (r *relay) launchHere() error {
	r.inHere.Store(true)
	config, err := daemon.ReadConfigFile(r.config(), os.LookupEnv)
	if err != nil {
		return err
	}
	settings, err := config.Settings(daemon.BuildOptions{Logger: slog.New(slog.NewTextHandler(r.log, nil)), Clock: r.clock, Version: version})
	if err != nil {
		return err
	}
	if r.inner, err = daemon.New(settings); err != nil {
		return err
	}
	r.ended = make(chan struct{})
	return r.inner.Start(context.Background())
}

// start launches the relay and waits until it says that it is ready.
func (r *relay) start(ctx context.Context) error {
	if err := r.launch(); err != nil {
		return err
	}
	return r.waitReady(ctx)
}

func (r *relay) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	for {
		if _, err := r.get(ctx, "/readyz"); err == nil {
			return nil
		} else if ctx.Err() != nil {
			return fmt.Errorf("the relay is not ready: %w", err)
		}
		select {
		case <-r.ended:
			return fmt.Errorf("the relay ended with %q", fmt.Sprint(r.status))
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

var adminClient = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// get asks the admin listener.
func (r *relay) get(ctx context.Context, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.admin+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := adminClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %d %s", path, response.StatusCode, bytes.TrimSpace(body))
	}
	return body, err
}

func (r *relay) pid() int {
	if r.inHere.Load() {
		return os.Getpid()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cmd == nil {
		return 0
	}
	return r.cmd.Process.Pid
}

// signal sends a signal to the process.
func (r *relay) signal(sig syscall.Signal) error {
	if err := syscall.Kill(r.pid(), sig); err != nil {
		return fmt.Errorf("signal %v to the relay: %w", sig, err)
	}
	return nil
}

// kill ends the process without a warning.
func (r *relay) kill() error {
	if err := r.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-r.ended
	return nil
}

// shutdown has the relay drain and end, and says what is wrong with how it ended.
func (r *relay) shutdown(ctx context.Context) error {
	if r.inner != nil {
		defer close(r.ended)
		ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		err := r.inner.Shutdown(ctx)
		r.inner = nil
		return err
	}
	if err := r.signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-r.ended:
		if r.status != nil {
			return fmt.Errorf("the relay ended with %w", r.status)
		}
		return nil
	case <-ctx.Done():
	case <-time.After(40 * time.Second):
	}
	r.dump()
	return errors.New("the relay did not end within 40 s of SIGTERM")
}

// dump ends the process with the stacks of its goroutines in the log.
func (r *relay) dump() {
	if r.ended == nil || r.clock != nil {
		return
	}
	select {
	case <-r.ended:
		return
	default:
	}
	_ = r.signal(syscall.SIGQUIT)
	select {
	case <-r.ended:
	case <-time.After(5 * time.Second):
		_ = r.kill()
	}
}

// close ends the process, if it runs, and the sampling.
func (r *relay) close() {
	if r.inner != nil {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = r.shutdown(ctx)
	}
	r.mu.Lock()
	cmd := r.cmd
	r.mu.Unlock()
	if cmd != nil {
		select {
		case <-r.ended:
		default:
			_ = r.kill()
		}
	}
	close(r.stop)
	r.sampling.Wait()
	_ = r.log.file.Close()
}

// sample watches the memory of the process.
func (r *relay) sample() {
	looks := 0 // processes of plugins are looked for at every fifth
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-r.stop:
			return
		case <-tick.C:
		}
		if r.inHere.Load() {
			continue // its memory is the harness's as well
		}
		if pid := r.pid(); pid != 0 {
			most := rssAnon(pid)
			if looks++; looks%5 == 0 {
				for _, child := range r.children("") {
					most = max(most, rssAnon(child))
				}
			}
			r.mu.Lock()
			r.rss = max(r.rss, most)
			r.mu.Unlock()
		}
	}
}

func (r *relay) maxRSS() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.rss
}

// rssAnon is the anonymous memory of a process in bytes; 0 if it cannot be told.
func rssAnon(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, ok := strings.Cut(string(text), "RssAnon:")
	if !ok {
		return 0
	}
	fields := strings.Fields(rest)
	n, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}

// goroutines is what the relay's metrics say of them; false if they do not.
func (r *relay) goroutines(ctx context.Context) (int, bool) {
	if r.inHere.Load() {
		return 0, false // they are the harness's as well
	}
	text, err := r.get(ctx, "/metrics")
	if err != nil {
		return 0, false
	}
	n, ok := metric(text, "go_goroutines")
	return int(n), ok
}

// metric is the sum of a metric over its labels.
func metric(text []byte, name string) (sum float64, found bool) {
	for line := range strings.Lines(string(text)) {
		rest, ok := strings.CutPrefix(line, name)
		if !ok || rest[0] != ' ' && rest[0] != '{' {
			continue
		}
		fields := strings.Fields(line)
		if v, err := strconv.ParseFloat(fields[len(fields)-1], 64); err == nil {
			sum += v
			found = true
		}
	}
	return sum, found
}

// command runs the built command with other arguments.
func (r *relay) command(ctx context.Context, args ...string) (string, error) {
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, r.binary, args...)
	cmd.Dir = r.dir
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("eiffelbridge %s: %w: %s%s", strings.Join(args, " "), err, out, stderr.Bytes())
	}
	return string(out), nil
}

// children are the processes of the relay whose command line has a text, by what /proc says.
func (r *relay) children(has string) (pids []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(stat), ") ")
		if fields := strings.Fields(rest); len(fields) < 2 || fields[1] != strconv.Itoa(r.pid()) {
			continue
		}
		line, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
		if strings.Contains(strings.ReplaceAll(string(line), "\x00", " "), has) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			pids = append(pids, pid)
		}
	}
	return pids
}
