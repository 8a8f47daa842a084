//go:build unix

// Package rabbittest runs private RabbitMQ nodes for tests, benchmarks and
// demonstrations. A node lives in a folder of its own, listens on free ports of
// the loopback only, knows nothing of a RabbitMQ that the system may run, and ends
// with the process that started it, even if that one is killed.
//
// It takes an installed rabbitmq-server (3.10 or later, as Debian or Homebrew
// install it), no rights and no network. A node is ready after about six
// seconds and takes about 150 MB of memory.
package rabbittest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	// nodeName is the same for all nodes: each has a port mapper of its own,
	// and data can be opened only by a node of the name that wrote it.
	nodeName = "rabbittest@127.0.0.1"

	startTimeout = 90 * time.Second
	stopGrace    = 15 * time.Second
	tailSize     = 4 << 10
)

// Options are the options of Start; the zero value is fine.
type Options struct {
	// Dir is the folder of the node's data, configuration and log; it is made
	// if need be and never removed. If it is empty, a temporary folder is used
	// that Close removes.
	Dir string

	// Log receives the node's log as it is written, in addition to the file
	// node.log in Dir. Calls to it are not concurrent. A writer that blocks
	// blocks the node.
	Log io.Writer

	// ConfigExtra is appended to the node's rabbitmq.conf, whose settings are
	// otherwise RabbitMQ's defaults.
	ConfigExtra string

	// Plugins are enabled, by their names as rabbitmq-plugins has them.
	Plugins []string

	// TLS has the node listen for TLS as well, on TLSAddr.
	TLS *TLS
}

// TLS are the options of a node's TLS listener. The files are PEM.
type TLS struct {
	CAFile, CertFile, KeyFile string

	// VerifyPeer has the node ask clients for a certificate and refuse one that
	// CAFile did not sign. RequirePeer has it refuse clients without one.
	VerifyPeer, RequirePeer bool
}

// config is what stands in rabbitmq.conf.
func (t *TLS) config(port int) string {
	verify := "verify_none"
	if t.VerifyPeer {
		verify = "verify_peer"
	}
	var b strings.Builder
	for _, line := range [][2]string{
		{"listeners.ssl.1", loopback(port)},
		{"ssl_options.cacertfile", t.CAFile},
		{"ssl_options.certfile", t.CertFile},
		{"ssl_options.keyfile", t.KeyFile},
		{"ssl_options.verify", verify},
		{"ssl_options.fail_if_no_peer_cert", strconv.FormatBool(t.RequirePeer)},
	} {
		fmt.Fprintf(&b, "%s = %s\n", line[0], line[1])
	}
	return b.String()
}

// Server is a private RabbitMQ node. Its methods may be called concurrently;
// those that start and stop the node wait for each other.
type Server struct {
	opts    Options
	in      *install
	dir     string
	tempDir bool
	ports   *ports
	env     []string

	mu     sync.Mutex
	node   *group
	epmd   *group
	log    *os.File // open while node runs
	paused bool
	closed bool
}

// Start runs a private node; the returned Server is ready for AMQP connections.
// ctx bounds the start only, which takes at most 90 seconds in any case. On an
// error nothing is left running; the error has the tail of the node's log. The
// error is ErrNotInstalled if there is no RabbitMQ.
//
// The caller must call Close.
func Start(ctx context.Context, opts Options) (*Server, error) {
	in, err := findInstall()
	if err != nil {
		return nil, fmt.Errorf("start a private rabbitmq: %w", err)
	}
	s := &Server{opts: opts, in: in, dir: opts.Dir}
	if s.ports, err = reservePorts(); err != nil {
		return nil, fmt.Errorf("start a private rabbitmq: %w", err)
	}
	if err := s.prepare(); err != nil {
		return nil, errors.Join(fmt.Errorf("start a private rabbitmq: %w", err), s.Close())
	}
	if err := s.Restart(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// prepare makes the node's folder and the files in it.
func (s *Server) prepare() error {
	var err error
	if s.dir == "" {
		if s.dir, err = os.MkdirTemp("", "rabbittest-"); err != nil {
			return err
		}
		s.tempDir = true
	}
	// The node runs in that folder, where another relative path would not do.
	if s.dir, err = filepath.Abs(s.dir); err != nil {
		return err
	}
	for _, d := range []string{"", "home", "data", "log", "conf.d", "tmp"} {
		if err := os.MkdirAll(filepath.Join(s.dir, d), 0o700); err != nil {
			return err
		}
	}
	config := s.opts.ConfigExtra + "\n"
	if s.opts.TLS != nil {
		config += s.opts.TLS.config(s.ports.tls)
	}
	for name, text := range map[string]string{
		// All of the files that a node and its tools would otherwise look for
		// in /etc, where the system's own node has its settings.
		"rabbitmq.conf":     config,
		"advanced.config":   "[].\n",
		"enabled_plugins":   "[" + strings.Join(s.opts.Plugins, ",") + "].\n",
		"rabbitmq-env.conf": "",
	} {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	cookie := filepath.Join(s.dir, "home", ".erlang.cookie")
	if _, err := os.Stat(cookie); errors.Is(err, os.ErrNotExist) {
		// Erlang refuses a cookie that others may read.
		if err := os.WriteFile(cookie, []byte(rand.Text()), 0o400); err != nil {
			return err
		}
	}
	s.env = s.environ()
	return nil
}

// environ is the whole environment of the node and its tools: variables of ours
// such as RABBITMQ_NODENAME or ERL_FLAGS would lead them elsewhere.
func (s *Server) environ() []string {
	in := func(name string) string { return filepath.Join(s.dir, name) }
	locale := "C.UTF-8"
	if runtime.GOOS == "darwin" {
		locale = "en_US.UTF-8"
	}
	return []string{
		"PATH=" + s.in.path,
		"HOME=" + in("home"),
		"TMPDIR=" + in("tmp"),
		"LC_ALL=" + locale,
		"ERL_EPMD_ADDRESS=127.0.0.1",
		"ERL_EPMD_PORT=" + strconv.Itoa(s.ports.epmd),
		// For each Erlang VM, also for those that the node itself starts: no
		// listening beyond the loopback, and no port mapper that would outlive
		// us.
		"ERL_AFLAGS=-start_epmd false -kernel inet_dist_use_interface {127,0,0,1}",
		// Lets the script become the VM instead of waiting for it.
		"detached=true",
		"RABBITMQ_NODENAME=" + nodeName,
		"RABBITMQ_USE_LONGNAME=true",
		"RABBITMQ_NODE_IP_ADDRESS=127.0.0.1",
		"RABBITMQ_NODE_PORT=" + strconv.Itoa(s.ports.amqp),
		"RABBITMQ_DIST_PORT=" + strconv.Itoa(s.ports.dist),
		"RABBITMQ_CTL_DIST_PORT_MIN=0",
		"RABBITMQ_CTL_DIST_PORT_MAX=0",
		"RABBITMQ_CONF_ENV_FILE=" + in("rabbitmq-env.conf"),
		"RABBITMQ_CONFIG_FILE=" + in("rabbitmq.conf"),
		"RABBITMQ_CONFIG_FILES=" + in("conf.d"),
		"RABBITMQ_ADVANCED_CONFIG_FILE=" + in("advanced.config"),
		"RABBITMQ_ENABLED_PLUGINS_FILE=" + in("enabled_plugins"),
		"RABBITMQ_MNESIA_BASE=" + in("data"),
		"RABBITMQ_LOG_BASE=" + in("log"),
		"RABBITMQ_LOGS=-",
		"RABBITMQ_PID_FILE=" + in("node.pid"),
	}
}

// URL is where the node listens: amqp://guest:guest@127.0.0.1:PORT/. It stays
// the same over restarts.
func (s *Server) URL() string {
	return "amqp://guest:guest@" + s.Addr() + "/"
}

// Addr is the host and port of URL, for proxies between a client and the node.
func (s *Server) Addr() string { return loopback(s.ports.amqp) }

// TLSAddr is the host and port of the node's TLS listener, which it has with
// Options.TLS only. It stays the same over restarts.
func (s *Server) TLSAddr() string { return loopback(s.ports.tls) }

// Dir is the folder of the node.
func (s *Server) Dir() string { return s.dir }

// Exited returns a channel that is closed when the present run of the node has
// ended, for whatever reason.
func (s *Server) Exited() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.node.done
}

// Restart starts the node again on the same ports and data after Kill, Stop or
// an end of its own, and returns when it is ready for AMQP connections; a
// quorum queue may take some moments more to elect its leader. It fails if the
// node runs, or after Close. The limits of time are those of Start. After an
// error the node is down.
func (s *Server) Restart(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("start rabbitmq in %s: %w", s.dir, os.ErrClosed)
	}
	if s.node != nil && !s.node.exited() {
		return fmt.Errorf("start rabbitmq in %s: it runs already", s.dir)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := s.startLocked(ctx); err != nil {
		err = fmt.Errorf("start rabbitmq in %s: %w", s.dir, err)
		return errors.Join(err, s.stopLocked(0))
	}
	return nil
}

func (s *Server) startLocked(ctx context.Context) error {
	if err := s.startEpmdLocked(ctx); err != nil {
		return err
	}
	if err := s.closeLogLocked(); err != nil {
		return err
	}
	log, err := os.OpenFile(s.logName(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	s.log = log
	// A stale one would send Pause to a stranger.
	if err := os.Remove(s.pidName()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	var out io.Writer = log
	if s.opts.Log != nil {
		out = io.MultiWriter(log, s.opts.Log)
	}
	s.paused = false
	if s.node, err = startGroup([]string{s.in.server}, s.env, s.dir, out); err != nil {
		return err
	}
	if err := s.awaitReady(ctx); err != nil {
		return fmt.Errorf("%w; the end of its log:\n%s", err, tail(s.logName()))
	}
	return nil
}

func (s *Server) startEpmdLocked(ctx context.Context) error {
	if s.epmd != nil && !s.epmd.exited() {
		return nil
	}
	name := filepath.Join(s.dir, "epmd.log")
	out, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	// The child has its own descriptor once it is started.
	defer out.Close()
	// No -daemon: it is to end with its group.
	argv := []string{s.in.epmd, "-address", "127.0.0.1", "-port", strconv.Itoa(s.ports.epmd)}
	if s.epmd, err = startGroup(argv, s.env, s.dir, out); err != nil {
		return err
	}
	for {
		conn, err := net.DialTimeout("tcp", loopback(s.ports.epmd), time.Second)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-s.epmd.done:
			return fmt.Errorf("epmd ended with %v: %s", s.epmd.exitErr(), tail(name))
		case <-ctx.Done():
			return fmt.Errorf("epmd is not ready: %w", context.Cause(ctx))
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// awaitReady returns when a client can log in. RabbitMQ opens its ports last,
// but an open port alone does not show that it gives service.
func (s *Server) awaitReady(ctx context.Context) error {
	last := errors.New("no attempt to connect yet")
	for {
		select {
		case <-s.node.done:
			return fmt.Errorf("the node ended before it was ready: %w", exitStatus(s.node.exitErr()))
		case <-ctx.Done():
			return fmt.Errorf("the node is not ready: %w (%w)", context.Cause(ctx), last)
		case <-time.After(50 * time.Millisecond):
		}
		conn, err := amqp.DialConfig(s.URL(), amqp.Config{Dial: amqp.DefaultDial(2 * time.Second)})
		if err != nil {
			last = err
			continue
		}
		// The login is what was asked for; a failing goodbye takes nothing from it.
		_ = conn.Close()
		return nil
	}
}

func exitStatus(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

// Kill ends the node as a crash would, with SIGKILL, and returns when it is
// gone. Data that was not written is lost; with RabbitMQ 3.10 that can be the
// registration of a quorum queue that was declared shortly before, and all of
// its confirmed messages with it: see Sync. It does nothing if the node is down.
func (s *Server) Kill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.node == nil {
		return nil
	}
	if err := s.node.kill(); err != nil {
		return fmt.Errorf("kill rabbitmq in %s: %w", s.dir, err)
	}
	return nil
}

// Stop ends the node and its port mapper: politely, and after 15 seconds with
// SIGKILL. Its data stays and Restart can start it again. It does nothing if
// the node is down.
func (s *Server) Stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.stopLocked(stopGrace); err != nil {
		return fmt.Errorf("stop rabbitmq in %s: %w", s.dir, err)
	}
	return nil
}

func (s *Server) stopLocked(grace time.Duration) error {
	var errs []error
	if s.node != nil {
		if grace > 0 && !s.node.exited() {
			if s.paused {
				// A stopped process does not see the polite signal.
				errs = append(errs, s.signalLocked(syscall.SIGCONT))
				s.paused = false
			}
			errs = append(errs, s.node.terminate(grace))
		} else {
			errs = append(errs, s.node.kill())
		}
	}
	errs = append(errs, s.closeLogLocked())
	if s.epmd != nil {
		// After the node, which would miss it; it has no state worth a goodbye.
		errs = append(errs, s.epmd.kill())
	}
	return errors.Join(errs...)
}

func (s *Server) closeLogLocked() error {
	if s.log == nil {
		return nil
	}
	err := s.log.Close()
	s.log = nil
	return err
}

// Close is Stop, and removes the folder if it is a temporary one. The Server
// cannot be started again. It may be called any number of times.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	err := s.stopLocked(stopGrace)
	s.ports.release()
	if s.tempDir {
		err = errors.Join(err, s.removeDir())
	}
	if err != nil {
		return fmt.Errorf("close rabbitmq in %s: %w", s.dir, err)
	}
	return nil
}

// removeDir tries for a moment: helpers of the VM, that end when they see it
// gone, may write their last.
func (s *Server) removeDir() error {
	var err error
	for range 20 {
		if err = os.RemoveAll(s.dir); err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return err
}

// Pause stops the node with SIGSTOP: its connections stay open, and nothing
// answers on them. The node still ends with this process, and on Kill, Stop and
// Close. Ctl does not return before its context ends while the node is paused.
func (s *Server) Pause() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.signalLocked(syscall.SIGSTOP); err != nil {
		return fmt.Errorf("pause rabbitmq in %s: %w", s.dir, err)
	}
	s.paused = true
	return nil
}

// Resume lets a paused node run again; it does nothing to one that runs.
func (s *Server) Resume() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.signalLocked(syscall.SIGCONT); err != nil {
		return fmt.Errorf("resume rabbitmq in %s: %w", s.dir, err)
	}
	s.paused = false
	return nil
}

// signalLocked signals the VM alone: its group has the watcher in it, which
// must go on to run.
func (s *Server) signalLocked(sig syscall.Signal) error {
	if s.node == nil || s.node.exited() {
		return os.ErrProcessDone
	}
	b, err := os.ReadFile(s.pidName())
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return fmt.Errorf("process number in %s: %w", s.pidName(), err)
	}
	return s.node.signalMember(pid, sig)
}

// Ctl runs rabbitmqctl against the node and returns what it wrote to both of
// its outputs, without the blank at the end. It takes about a second; it is
// killed when ctx ends. It fails after Stop and Close, when there is no port
// mapper to ask.
//
// Alarms, which block publishers, can be raised with
// "set_vm_memory_high_watermark absolute 1" and "set_disk_free_limit 900000GB".
func (s *Server) Ctl(ctx context.Context, args ...string) (string, error) {
	what := "rabbitmqctl " + strings.Join(args, " ")
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("%s: %w", what, context.Cause(ctx))
	}
	s.mu.Lock()
	up := s.epmd != nil && !s.epmd.exited()
	s.mu.Unlock()
	if !up {
		return "", fmt.Errorf("%s: rabbitmq in %s is stopped", what, s.dir)
	}
	var out bytes.Buffer
	g, err := startGroup(append([]string{s.in.ctl}, args...), s.env, s.dir, &out)
	if err != nil {
		return "", fmt.Errorf("%s: %w", what, err)
	}
	select {
	case <-g.done:
	case <-ctx.Done():
		err = errors.Join(context.Cause(ctx), g.kill())
	}
	if err == nil {
		err = g.exitErr()
	}
	text := strings.TrimSpace(out.String())
	if err != nil {
		return text, fmt.Errorf("%s: %w: %s", what, err, text)
	}
	return text, nil
}

// Sync has the node write what it writes late to its disk. RabbitMQ 3.10 keeps
// the directory of its quorum queues in a table that it writes some time after a
// queue is declared. If the node is killed in between, the queue comes back
// empty and never elects a leader. A test that kills the node for the sake of
// something else calls Sync after it has declared its queues. It is a call of
// Ctl, with its limits.
func (s *Server) Sync(ctx context.Context) error {
	out, err := s.Ctl(ctx, "-q", "eval", "lists:usort([dets:sync(T) || T <- dets:all()]).")
	if err != nil {
		return fmt.Errorf("write the tables of rabbitmq: %w", err)
	}
	if out != "[ok]" && out != "[]" {
		return fmt.Errorf("write the tables of rabbitmq: %s", out)
	}
	return nil
}

func (s *Server) logName() string { return filepath.Join(s.dir, "node.log") }
func (s *Server) pidName() string { return filepath.Join(s.dir, "node.pid") }

// LogTail is the end of the node's log, some kilobytes of it.
func (s *Server) LogTail() string { return tail(s.logName()) }

func tail(name string) string {
	f, err := os.Open(name)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	cut := false
	if fi, err := f.Stat(); err == nil && fi.Size() > tailSize {
		_, err := f.Seek(-tailSize, io.SeekEnd)
		cut = err == nil
	}
	b, err := io.ReadAll(f)
	if err != nil {
		return err.Error()
	}
	if i := bytes.IndexByte(b, '\n'); cut && i >= 0 {
		b = b[i+1:]
	}
	return strings.TrimSpace(string(b))
}
