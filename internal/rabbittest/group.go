//go:build unix

package rabbittest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// superviseScript runs a command as the leader of its process group, next to a
// watcher in the same group that kills the group when descriptor 3 ends. This
// process holds the other end of that descriptor, so that the group ends with
// it however it ends. Linux's parent death signal would not do: it follows the
// thread that forked, is lost on exec of some programs, and reaches one
// process only.
//
// The watcher's own descriptors are the null device because somebody waits for
// the end of the command's output.
const superviseScript = `
( trap '' HUP INT TERM; read -r _ <&3; kill -KILL 0 ) </dev/null >/dev/null 2>&1 &
exec 3<&-
exec "$@"
`

const (
	// outputGrace bounds the wait for output after a leader has exited: helpers
	// of the Erlang VM live in sessions of their own and inherit its stderr.
	outputGrace = 2 * time.Second
	// sweepGrace bounds the wait for the rest of a group after a SIGKILL.
	sweepGrace = 5 * time.Second
)

// group is a command in a process group of its own, that ends when this
// process ends. Its methods may be called concurrently.
type group struct {
	cmd  *exec.Cmd
	hold *os.File
	done chan struct{} // closed once the leader is reaped and the group is swept

	mu     sync.Mutex
	killed bool // SIGKILL was sent, or the watcher was told to send it
	err    error
}

// startGroup starts argv with the given environment and folder. Both of its
// outputs go to out. The group's goroutine ends with the group: whoever starts
// one must wait for done.
func startGroup(argv, env []string, dir string, out io.Writer) (*group, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("pipe for the watcher of %s: %w", argv[0], err)
	}
	cmd := exec.Command("/bin/sh", append([]string{"-c", superviseScript, "sh"}, argv...)...)
	cmd.Env = env
	cmd.Dir = dir
	cmd.Stdout = out
	cmd.Stderr = out
	cmd.ExtraFiles = []*os.File{r}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = outputGrace
	err = cmd.Start()
	r.Close()
	if err != nil {
		w.Close()
		return nil, fmt.Errorf("start %s: %w", argv[0], err)
	}
	g := &group{cmd: cmd, hold: w, done: make(chan struct{})}
	go g.wait()
	return g, nil
}

func (g *group) wait() {
	defer close(g.done)
	err := g.cmd.Wait()
	g.mu.Lock()
	g.err = err
	// The leader's number is free from here on, and the group's number is as
	// well once the watcher is gone: nothing may be sent to it any more.
	g.killed = true
	g.hold.Close()
	g.mu.Unlock()

	for end := time.Now().Add(sweepGrace); groupAlive(g.pgid()) && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
}

func (g *group) pgid() int { return g.cmd.Process.Pid }

// exited reports whether the group has ended.
func (g *group) exited() bool {
	select {
	case <-g.done:
		return true
	default:
		return false
	}
}

// exitErr is how the leader ended; nil before its end and after exit status 0.
func (g *group) exitErr() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

// kill sends SIGKILL to the group and waits for its end. It may be called any
// number of times.
func (g *group) kill() error {
	g.mu.Lock()
	var err error
	if !g.killed {
		// Neither the leader is reaped nor the watcher gone, so that the number
		// is certain to be ours.
		g.killed = true
		err = syscall.Kill(-g.pgid(), syscall.SIGKILL)
	}
	g.mu.Unlock()
	if err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("kill process group %d: %w", g.pgid(), err)
	}
	<-g.done
	return nil
}

// terminate asks the leader to end and waits for the group's end, at most for
// grace; then it kills the group.
func (g *group) terminate(grace time.Duration) error {
	if err := g.cmd.Process.Signal(syscall.SIGTERM); err == nil {
		t := time.NewTimer(grace)
		defer t.Stop()
		select {
		case <-g.done:
		case <-t.C:
		}
	}
	return g.kill()
}

// signalMember sends sig to one process, provided that it is in the group.
func (g *group) signalMember(pid int, sig syscall.Signal) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.killed {
		return os.ErrProcessDone
	}
	pgid, err := syscall.Getpgid(pid)
	if err != nil {
		return fmt.Errorf("process group of %d: %w", pid, err)
	}
	if pgid != g.pgid() {
		return fmt.Errorf("process %d is in group %d, not in ours (%d)", pid, pgid, g.pgid())
	}
	if err := syscall.Kill(pid, sig); err != nil {
		return fmt.Errorf("send %v to process %d: %w", sig, pid, err)
	}
	return nil
}

// groupAlive reports whether a process of the group runs. The dead whose parent
// has not waited for them do not count: in a container the first process may
// never do so.
func groupAlive(pgid int) bool {
	if err := syscall.Kill(-pgid, 0); err != nil {
		return false
	}
	if runtime.GOOS != "linux" {
		return true
	}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(stats) == 0 {
		return true
	}
	for _, name := range stats {
		b, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		// The second field is the program's name in parentheses, of which it
		// may contain some itself.
		s := string(b)
		f := strings.Fields(s[strings.LastIndexByte(s, ')')+1:])
		if len(f) < 3 || f[0] == "Z" || f[0] == "X" {
			continue
		}
		if n, err := strconv.Atoi(f[2]); err == nil && n == pgid {
			return true
		}
	}
	return false
}
