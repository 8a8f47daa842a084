//go:build unix

package rabbittest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// ownerEnv makes the test binary the owner of a node in the folder it names,
// which waits to be killed.
const ownerEnv = "RABBITTEST_OWNER_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(ownerEnv); dir != "" {
		own(dir)
	}
	os.Exit(Main(m))
}

func own(dir string) {
	s, err := Start(context.Background(), Options{Dir: dir})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := s.Pause(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(s.node.pgid(), s.epmd.pgid())
	select {}
}

func TestKillAndRestart(t *testing.T) {
	t.Parallel()
	s := ForTest(t)
	ctx := t.Context()
	const body = "still here"
	publish(t, s, body)
	if err := s.Sync(ctx); err != nil {
		t.Fatal(err)
	}

	if err := s.Restart(ctx); err == nil {
		t.Error("Restart of a running node: no error")
	}
	first, epmd := s.node.pgid(), s.epmd.pgid()
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if groupAlive(first) {
		t.Errorf("process group %d lives after Kill", first)
	}
	select {
	case <-s.Exited():
	default:
		t.Error("Exited is open after Kill")
	}
	if err := s.Kill(); err != nil {
		t.Errorf("second Kill: %v", err)
	}
	if err := s.Pause(); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("Pause of a killed node: %v", err)
	}
	url := s.URL()
	if err := s.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	if s.URL() != url {
		t.Errorf("URL after Restart: %s, before: %s", s.URL(), url)
	}
	if got := get(t, s); got != body {
		t.Errorf("message after Restart: %q, want %q", got, body)
	}

	second := s.node.pgid()
	for range 2 {
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	for _, pgid := range []int{first, second, epmd} {
		if groupAlive(pgid) {
			t.Errorf("process group %d lives after Stop", pgid)
		}
	}
	noLeftovers(t, s.Dir())
	if _, err := s.Ctl(ctx, "status"); err == nil {
		t.Error("Ctl after Stop: no error")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.Dir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the temporary folder after Close: %v", err)
	}
	if err := s.Restart(ctx); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Restart after Close: %v", err)
	}
}

func TestPauseAndCtl(t *testing.T) {
	t.Parallel()
	s := Shared(t)
	ctx := t.Context()

	out, err := s.Ctl(ctx, "eval", "node().")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out, nodeName) {
		t.Errorf("node() is %q, want %s", out, nodeName)
	}
	if out, err := s.Ctl(ctx, "no_such_command"); err == nil {
		t.Errorf("unknown command of rabbitmqctl: no error but %q", out)
	}
	onlyLoopback(t, s)

	if err := s.Pause(); err != nil {
		t.Fatal(err)
	}
	if conn, err := amqp.DialConfig(s.URL(), amqp.Config{Dial: amqp.DefaultDial(300 * time.Millisecond)}); err == nil {
		conn.Close()
		t.Error("a paused node answered")
	}
	short, cancel := context.WithTimeout(ctx, 1500*time.Millisecond)
	defer cancel()
	if _, err := s.Ctl(short, "status"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Ctl of a paused node: %v", err)
	}
	if err := s.Resume(); err != nil {
		t.Fatal(err)
	}
	conn, err := amqp.Dial(s.URL())
	if err != nil {
		t.Fatalf("after Resume: %v", err)
	}
	conn.Close()
}

// TestOwnerKilled has the owner pause its node before it is killed: that is the
// hardest case for the watcher.
func TestOwnerKilled(t *testing.T) {
	t.Parallel()
	if _, err := findInstall(); err != nil {
		fail(t, err)
	}
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), ownerEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var node, epmd int
	_, scanErr := fmt.Fscan(bufio.NewReader(out), &node, &epmd)
	if scanErr == nil {
		// The leader is the VM, as Pause would find it.
		b, err := os.ReadFile(filepath.Join(dir, "node.pid"))
		if err != nil {
			t.Error(err)
		}
		if got := strings.TrimSpace(string(b)); got != strconv.Itoa(node) {
			t.Errorf("the VM is process %s, the leader of its group is %d", got, node)
		}
		if !groupAlive(node) || !groupAlive(epmd) {
			t.Error("the node or its port mapper does not run")
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	_, _ = io.Copy(io.Discard, out)
	_ = cmd.Wait() // killed, as intended
	if scanErr != nil {
		t.Fatal(scanErr)
	}
	end := time.Now().Add(5 * time.Second)
	for (groupAlive(node) || groupAlive(epmd)) && time.Now().Before(end) {
		time.Sleep(10 * time.Millisecond)
	}
	if groupAlive(node) || groupAlive(epmd) {
		t.Errorf("process groups %d and %d outlive their owner", node, epmd)
	}
	noLeftovers(t, dir)
}

func TestStartFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var log bytes.Buffer
	s, err := Start(t.Context(), Options{Dir: dir, Log: &log, ConfigExtra: "no_such_setting = 1"})
	if err == nil {
		s.Close()
		t.Fatal("start with a bad configuration: no error")
	}
	if errors.Is(err, ErrNotInstalled) {
		fail(t, err)
	}
	if !strings.Contains(err.Error(), "no_such_setting") {
		t.Errorf("the error does not have the tail of the log: %v", err)
	}
	if !strings.Contains(log.String(), "no_such_setting") {
		t.Errorf("Log did not get the log, but %q", log.String())
	}
	noLeftovers(t, dir)

	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	s, err = Start(ctx, Options{Dir: dir})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("start within 100 ms: %v", err)
	}
	if err == nil {
		s.Close()
	}
	noLeftovers(t, dir)
}

func TestNotInstalled(t *testing.T) {
	for _, c := range []struct {
		ci, require string
		skips       bool
	}{
		{"", "", true},
		{"false", "", true},
		{"true", "", false},
		{"", "1", false},
	} {
		t.Setenv("CI", c.ci)
		t.Setenv("EIFFELBRIDGE_REQUIRE_RABBITMQ", c.require)
		rec := &recorder{TB: t}
		fail(rec, fmt.Errorf("start: %w", ErrNotInstalled))
		if rec.skipped != c.skips {
			t.Errorf("CI=%q, REQUIRE=%q: skipped %v", c.ci, c.require, rec.skipped)
		}
		rec = &recorder{TB: t}
		fail(rec, io.ErrUnexpectedEOF)
		if rec.skipped || !rec.fatal {
			t.Errorf("another error: skipped %v, fatal %v", rec.skipped, rec.fatal)
		}
	}
}

// recorder notes how a test would end, without ending it.
type recorder struct {
	testing.TB
	skipped, fatal bool
}

func (r *recorder) Skipf(string, ...any) { r.skipped = true }
func (r *recorder) Fatal(...any)         { r.fatal = !r.skipped }

const queue = "rabbittest"

func publish(t *testing.T, s *Server, body string) {
	t.Helper()
	conn, err := amqp.Dial(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ch.QueueDeclare(queue, true, false, false, false, amqp.Table{"x-queue-type": "quorum"}); err != nil {
		t.Fatal(err)
	}
	if err := ch.Confirm(false); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	dc, err := ch.PublishWithDeferredConfirmWithContext(ctx, "", queue, true, false,
		amqp.Publishing{DeliveryMode: amqp.Persistent, Body: []byte(body)})
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := dc.WaitContext(ctx); err != nil || !ok {
		t.Fatalf("confirmed: %v, %v", ok, err)
	}
}

// get waits for a message for a moment: the queue has to elect a leader first.
func get(t *testing.T, s *Server) string {
	t.Helper()
	conn, err := amqp.Dial(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var last error
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		// An error closes the channel.
		ch, err := conn.Channel()
		if err != nil {
			t.Fatal(err)
		}
		d, ok, err := ch.Get(queue, false)
		if err == nil && ok {
			if err := d.Ack(false); err != nil {
				t.Fatal(err)
			}
			return string(d.Body)
		}
		last = err
		_ = ch.Close()
	}
	t.Fatalf("no message: %v", last)
	return ""
}

// noLeftovers looks for processes with the node's home in their environment:
// those that the VM started are in sessions, and so in groups, of their own.
func noLeftovers(t *testing.T, dir string) {
	t.Helper()
	if runtime.GOOS != "linux" {
		return
	}
	mark := []byte("\x00HOME=" + filepath.Join(dir, "home") + "\x00")
	var left []string
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		left = left[:0]
		names, err := filepath.Glob("/proc/[0-9]*/environ")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			b, err := os.ReadFile(name)
			if err != nil || !bytes.Contains(append([]byte{0}, b...), mark) {
				continue
			}
			cmdline, _ := os.ReadFile(filepath.Join(filepath.Dir(name), "cmdline"))
			left = append(left, name+" "+string(bytes.ReplaceAll(cmdline, []byte{0}, []byte(" "))))
		}
		if len(left) == 0 {
			return
		}
	}
	t.Errorf("processes left:\n%s", strings.Join(left, "\n"))
}

// onlyLoopback dials the node's ports at the machine's other addresses.
func onlyLoopback(t *testing.T, s *Server) {
	t.Helper()
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		ipnet, ok := a.(*net.IPNet)
		if !ok || ipnet.IP.IsLoopback() || ipnet.IP.IsLinkLocalUnicast() {
			continue
		}
		for _, port := range []int{s.ports.epmd, s.ports.amqp, s.ports.dist} {
			addr := net.JoinHostPort(ipnet.IP.String(), strconv.Itoa(port))
			if conn, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
				conn.Close()
				t.Errorf("something listens on %s", addr)
			}
		}
	}
}
