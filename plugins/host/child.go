package host

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-plugin/runner"
)

// child is one running process. It is the runner that go-plugin starts plugins with, in place of its own: that one
// gives the plugin the host's standard input, reads its standard error with a parser that panics on some JSON, and stops
// to read its standard output after a long line, so that the plugin blocks.
type child struct {
	cmd     *exec.Cmd
	name    string // for messages
	logs    *logForwarder
	started chan struct{} // closed once the process runs, or could not be started
	err     error         // why it could not
	done    chan struct{} // closed when the process is gone and its output read
	state   *os.ProcessState

	input          *os.File // our end of its standard input
	handshakeR     *io.PipeReader
	handshakeW     *io.PipeWriter
	stdout, stderr *os.File
	first          atomic.Pointer[string] // the first line on standard output
	noise          atomic.Int64           // lines on standard output after it
	killed         atomic.Bool
	mu             sync.Mutex // of kill against reaping
	reaped         bool
	outputDone     sync.WaitGroup
}

var _ runner.Runner = (*child)(nil)

func newChild(cmd *exec.Cmd, name string, logs *logForwarder) *child {
	c := &child{cmd: cmd, name: name, logs: logs, started: make(chan struct{}), done: make(chan struct{})}
	c.handshakeR, c.handshakeW = io.Pipe()
	return c
}

// Start implements [runner.Runner].
func (c *child) Start(context.Context) error {
	go c.live()
	<-c.started
	return c.err
}

// live starts the process and waits for its end on one thread: on Linux the kernel kills the process when the thread that
// started it ends, and a thread that a goroutine has locked lives as long as that is locked.
func (c *child) live() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(c.done)

	var ends []*os.File // those of the process
	fail := func(err error) {
		c.err = err
		for _, f := range append(ends, c.input, c.stdout, c.stderr) {
			if f != nil {
				_ = f.Close()
			}
		}
		_ = c.handshakeW.Close()
		close(c.started)
	}
	inR, inW, err := os.Pipe()
	if err != nil {
		fail(err)
		return
	}
	c.input, ends = inW, append(ends, inR)
	outR, outW, err := os.Pipe()
	if err != nil {
		fail(err)
		return
	}
	c.stdout, ends = outR, append(ends, outW)
	errR, errW, err := os.Pipe()
	if err != nil {
		fail(err)
		return
	}
	c.stderr, ends = errR, append(ends, errW)

	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = inR, outW, errW
	isolate(c.cmd)
	if err := c.cmd.Start(); err != nil {
		fail(fmt.Errorf("start %s: %w", c.cmd.Path, err))
		return
	}
	for _, f := range ends {
		_ = f.Close()
	}
	preferForOOM(c.cmd.Process.Pid)
	c.outputDone.Go(c.readStdout)
	c.outputDone.Go(func() { c.logs.read(c.stderr) })
	close(c.started)

	if awaitExit(c.cmd.Process) {
		c.mu.Lock()
		killGroup(c.cmd.Process.Pid) // what it may have started, before its number is free for others
		c.state, _ = c.cmd.Process.Wait()
	} else {
		c.state, _ = c.cmd.Process.Wait()
		c.mu.Lock()
		killGroup(c.cmd.Process.Pid)
	}
	c.reaped = true
	c.mu.Unlock()
	_ = c.input.Close()

	// What it started may still hold its output open, if it left the group; that is not waited for.
	read := make(chan struct{})
	go func() { c.outputDone.Wait(); close(read) }()
	select {
	case <-read:
	case <-time.After(time.Second):
	}
	_ = c.stdout.Close()
	_ = c.stderr.Close()
	<-read
	_ = c.handshakeW.Close()
}

// readStdout gives the first line to go-plugin. Nothing may follow; what does is read all the same, so that the
// plugin does not block, and is logged.
func (c *child) readStdout() {
	r := bufio.NewReaderSize(c.stdout, 64<<10)
	line, err := r.ReadSlice('\n')
	if len(line) > 0 {
		text := strings.TrimRight(string(line), "\r\n")
		c.first.Store(&text)
		_, _ = c.handshakeW.Write([]byte(text + "\n"))
	}
	if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
		_ = c.handshakeW.Close()
		return
	}
	for {
		line, err := r.ReadSlice('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			if c.noise.Add(1) == 1 {
				c.logs.warn("the plugin writes to standard output, which belongs to the handshake; it should log to standard error", string(line))
			} else {
				c.logs.text(string(line))
			}
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}

// Wait implements [runner.Runner].
func (c *child) Wait(context.Context) error {
	<-c.done
	return nil
}

// Kill implements [runner.Runner]. It kills the process and what it started in its group; Wait tells when they are gone.
func (c *child) Kill(context.Context) error {
	<-c.started
	if c.err != nil {
		return nil
	}
	c.killed.Store(true)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.reaped {
		killGroup(c.cmd.Process.Pid)
		_ = c.cmd.Process.Kill()
	}
	return nil
}

// Stdout implements [runner.Runner]: it has the handshake line only.
func (c *child) Stdout() io.ReadCloser { return c.handshakeR }

// Stderr implements [runner.Runner]: go-plugin gets none of it.
func (c *child) Stderr() io.ReadCloser { return io.NopCloser(strings.NewReader("")) }

// Name implements [runner.Runner].
func (c *child) Name() string { return c.name }

// ID implements [runner.Runner].
func (c *child) ID() string {
	if c.cmd.Process == nil {
		return ""
	}
	return strconv.Itoa(c.cmd.Process.Pid)
}

// Diagnose implements [runner.Runner].
func (c *child) Diagnose(context.Context) string { return "" }

// PluginToHost implements [runner.Runner].
func (c *child) PluginToHost(network, address string) (string, string, error) {
	return network, address, nil
}

// HostToPlugin implements [runner.Runner].
func (c *child) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}

// epitaph says how the process ended, for people; call it once done is closed.
func (c *child) epitaph() string {
	if c.state == nil {
		return "ended"
	}
	text := "ended with " + c.state.String()
	if words := c.logs.lastWords(); words != "" {
		text += "; its last words: " + words
	}
	return text
}
