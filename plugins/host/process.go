package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os/exec"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/eiffelbridge/eiffelbridge/plugins/pluginv1"
)

// Process is one plugin: a process that is started anew whenever it dies, until Close. It is safe for concurrent use.
type Process struct {
	current  atomic.Pointer[Settings]
	launched atomic.Pointer[string] // the checksum of the binary that was started last, if it is not pinned
	logger   *slog.Logger
	ctx      context.Context
	cancel   context.CancelFunc
	done     chan struct{} // closed when the supervisor has ended
	hurry    chan struct{} // the supervisor is to try at once

	mu      sync.Mutex
	changed chan struct{} // closed and replaced at every change of what follows
	present *Incarnation  // nil while there is none
	number  int           // of incarnations so far
	deaths  int
	failure error // why there is none at present
	open    bool  // the breaker
	closed  bool

	described atomic.Pointer[pluginv1.DescribeResponse] // by the last incarnation that said
}

// description is what the plugin last said of itself; nil if it never did.
func (p *Process) description() *pluginv1.DescribeResponse { return p.described.Load() }

// Incarnation is one run of the plugin's process.
type Incarnation struct {
	Number      int                        // 1 for the first
	Conn        *grpc.ClientConn           // to the plugin; calls on it fail once the incarnation is over
	Version     int                        // of the protocol, as the handshake found it
	Description *pluginv1.DescribeResponse // nil for a foreign handshake
	PID         int
	Started     time.Duration // what the start took, until the plugin had been configured

	over      chan struct{} // closed when it must not be used any more
	gone      chan struct{} // closed when the process is gone too
	ending    sync.Once
	reason    atomic.Pointer[error] // why it is over
	unready   atomic.Pointer[string]
	worked    atomic.Bool
	scrape    scrape
	child     *child
	stopLease context.CancelFunc
	maxMemory int64
}

// Done is closed when the incarnation is over: the process died, or was found useless.
func (i *Incarnation) Done() <-chan struct{} { return i.over }

// Err says why the incarnation is over; nil while it is not.
func (i *Incarnation) Err() error {
	if e := i.reason.Load(); e != nil {
		return *e
	}
	return nil
}

// Worked notes that the plugin did something useful: a plugin that dies after that is started anew at once, and its
// death does not count for the breaker.
func (i *Incarnation) Worked() { i.worked.Store(true) }

// Fail ends the incarnation, because the plugin hangs or breaks the protocol; the next one is started.
func (i *Incarnation) Fail(err error) { i.end(err) }

// Unready is what the plugin says on its lease stands in its way; empty if nothing does.
func (i *Incarnation) Unready() string {
	if s := i.unready.Load(); s != nil {
		return *s
	}
	return ""
}

// Noise counts the lines that the plugin wrote to its standard output after the handshake; there should be none.
func (i *Incarnation) Noise() int { return int(i.child.noise.Load()) }

// killedFromOutside tells whether somebody else killed the process, which says little about what it was doing.
func (i *Incarnation) killedFromOutside() bool {
	select {
	case <-i.child.done:
		return !i.child.killed.Load() && i.child.state != nil && i.child.state.String() == "signal: killed"
	default:
		return false
	}
}

// Killed tells whether the process had to be killed.
func (i *Incarnation) Killed() bool { return i.child.killed.Load() }

func (i *Incarnation) end(err error) {
	i.ending.Do(func() {
		i.reason.Store(&err)
		close(i.over)
	})
}

// folderPrefix begins the names of folders in the folder for temporary files.
const folderPrefix = "eiffelbridge-plugin-"

// errClosed is why a closed process has no incarnation.
var errClosed = errors.New("the plugin is closed")

// UnavailableError says that there is no running plugin, and that waiting for one does not help now: the breaker is open,
// or the plugin is closed.
type UnavailableError struct {
	Plugin string
	Err    error
	Unfit  bool // no start can succeed as things are: a checksum, a version, the configuration
}

// Error names the plugin and the reason.
func (e *UnavailableError) Error() string {
	return fmt.Sprintf("plugin %s does not run: %v", e.Plugin, e.Err)
}

// Unwrap gives the reason.
func (e *UnavailableError) Unwrap() error { return e.Err }

func (p *Process) unavailable(failure error) *UnavailableError {
	var unfit unfitError
	return &UnavailableError{Plugin: p.Name(), Err: failure, Unfit: errors.As(failure, &unfit)}
}

// unfitError wraps what another start of the same files cannot change.
type unfitError struct{ error }

func (e unfitError) Unwrap() error { return e.error }

// Start begins to run a plugin and returns at once; [Process.Wait] waits until it runs. The error is one of the settings.
func Start(settings Settings) (*Process, error) {
	if err := settings.complete(); err != nil {
		return nil, err
	}
	p := &Process{
		logger:  settings.Logger.With("plugin", settings.Name),
		done:    make(chan struct{}),
		changed: make(chan struct{}),
		failure: errors.New("it is being started"),
		hurry:   make(chan struct{}, 1),
	}
	p.current.Store(&settings)
	p.ctx, p.cancel = context.WithCancel(context.Background())
	go p.supervise()
	return p, nil
}

// Name is the plugin's name in the configuration.
func (p *Process) Name() string { return p.current.Load().Name }

// Settings are those in force, defaults filled in.
func (p *Process) Settings() Settings { return *p.current.Load() }

// Wait gives the present incarnation, or waits for the next. An error of type *[UnavailableError] says that there will be
// none soon and why; the error of ctx comes with the reason why there is none.
func (p *Process) Wait(ctx context.Context) (*Incarnation, error) {
	for {
		p.mu.Lock()
		present, failure, open, closed, changed := p.present, p.failure, p.open, p.closed, p.changed
		p.mu.Unlock()
		switch {
		case closed:
			return nil, &UnavailableError{Plugin: p.Name(), Err: errClosed}
		case present != nil && present.Err() == nil:
			return present, nil
		case present == nil && open:
			return nil, p.unavailable(failure)
		}
		select {
		case <-changed: // also when one that is over is replaced
		case <-ctx.Done():
			if failure == nil {
				failure = errors.New("it is being restarted")
			}
			return nil, fmt.Errorf("plugin %s does not run yet (%w): %w", p.Name(), failure, ctx.Err())
		}
	}
}

// Health is nil while the plugin runs and is ready, else what stands in the way. It does not block.
func (p *Process) Health() error {
	p.mu.Lock()
	present, failure, open, closed := p.present, p.failure, p.open, p.closed
	p.mu.Unlock()
	switch {
	case closed:
		return &UnavailableError{Plugin: p.Name(), Err: errClosed}
	case present == nil && open:
		return p.unavailable(failure)
	case present == nil:
		return fmt.Errorf("plugin %s is not running: %w", p.Name(), failure)
	}
	if err := present.Err(); err != nil {
		return fmt.Errorf("plugin %s is being restarted: %w", p.Name(), err)
	}
	if reason := present.Unready(); reason != "" {
		return fmt.Errorf("plugin %s is not ready: %s", p.Name(), reason)
	}
	return nil
}

// Stats are figures about a process, for metrics.
type Stats struct {
	Running     bool
	BreakerOpen bool
	Starts      int // that succeeded
	Deaths      int // without being asked to end, starts that failed included
	PID         int
	Memory      int64 // resident, in bytes; 0 where it cannot be told
}

// Stats gives the present figures.
func (p *Process) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Stats{BreakerOpen: p.open, Starts: p.number, Deaths: p.deaths}
	if p.present != nil && p.present.Err() == nil {
		s.Running, s.PID = true, p.present.PID
		s.Memory = residentMemory(s.PID)
	}
	return s
}

// Close ends the plugin: its lease ends, and it is killed if it does not exit in time. It returns when the process is
// gone. It is idempotent.
func (p *Process) Close() error {
	p.mu.Lock()
	p.closed = true
	p.signal()
	p.mu.Unlock()
	p.cancel()
	<-p.done
	return nil
}

// errReplaced is why an incarnation is over that another one, by other settings, replaces.
var errReplaced = errors.New("it is replaced")

// Replace goes on by other settings of the same name. What they pin is looked at first, and if it is not as pinned, the plugin
// runs on as it is. Else the present incarnation is asked to end, and the next one starts; what is asked of the plugin meanwhile
// waits. Replace does not wait for that, nor does it go back if the plugin does not start.
func (p *Process) Replace(settings Settings) error {
	if err := settings.complete(); err != nil {
		return err
	}
	if settings.Name != p.Name() {
		return fmt.Errorf("plugin %s cannot go on as plugin %s", p.Name(), settings.Name)
	}
	if err := settings.Verify(); err != nil {
		return err
	}
	p.mu.Lock()
	present, closed := p.present, p.closed
	p.mu.Unlock()
	if closed {
		return &UnavailableError{Plugin: p.Name(), Err: errClosed}
	}
	p.current.Store(&settings)
	if present != nil {
		present.end(errReplaced)
	}
	select {
	case p.hurry <- struct{}{}:
	default:
	}
	return nil
}

// Differs tells whether other settings would start something else than what runs: they say something else, or they pin nothing
// and the binary is another than at the last start. The loggers are not compared.
func (p *Process) Differs(settings Settings) bool {
	now := p.Settings()
	if settings.complete() != nil {
		return true
	}
	settings.Logger, now.Logger = nil, nil
	if !reflect.DeepEqual(settings, now) {
		return true
	}
	if !settings.Dev {
		return false
	}
	binary, err := Find(settings.Path)
	if err != nil {
		return true
	}
	sum, err := Checksum(binary)
	launched := p.launched.Load()
	return err != nil || launched == nil || *launched != sum
}

// signal tells waiters that something changed; the lock is held.
func (p *Process) signal() {
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *Process) set(f func()) {
	p.mu.Lock()
	f()
	p.signal()
	p.mu.Unlock()
}

func (p *Process) supervise() {
	defer close(p.done)
	var sweeping sync.WaitGroup
	sweeping.Go(func() { sweep(p.logger) })
	defer sweeping.Wait()
	failures := 0 // in a row
	for p.ctx.Err() == nil {
		incarnation, err := p.launch(p.ctx)
		if err == nil {
			p.set(func() {
				p.number++
				incarnation.Number = p.number
				p.present, p.failure = incarnation, nil
				if p.open {
					p.logger.Info("the plugin runs again")
				}
				p.open = false
			})
			p.logger.Info("the plugin runs", "pid", incarnation.PID, "version", incarnation.Description.GetVersion(), "start", incarnation.Started.Round(100*time.Microsecond).String())
			err = p.watch(incarnation)
		}
		if p.ctx.Err() != nil {
			break
		}
		if errors.Is(err, errReplaced) {
			p.logger.Info("the plugin is started anew, by other settings")
			failures = 0
			select { // there is no pause to cut short
			case <-p.hurry:
			default:
			}
			continue
		}
		if incarnation != nil && incarnation.worked.Load() {
			failures = 0
		}
		failures++
		var unfit unfitError
		open := failures >= p.current.Load().MaxFailures || errors.As(err, &unfit)
		wasOpen := false
		p.set(func() {
			wasOpen = p.open
			p.present, p.failure, p.open = nil, err, open
			p.deaths++
		})
		pause := time.Duration(0)
		switch {
		case open:
			pause = p.current.Load().BreakerPause
			message := "the plugin does not run; it is tried again from time to time"
			if wasOpen {
				p.logger.Debug(message, "error", err, "next", pause.String())
			} else {
				p.logger.Error(message, "error", err, "next", pause.String(), "failures", failures)
			}
		case failures > 1:
			pause = min(p.current.Load().MinBackoff<<min(failures-2, 20), p.current.Load().MaxBackoff)
			pause = pause/2 + rand.N(pause/2+1)
			fallthrough
		default:
			p.logger.Warn("the plugin is started anew", "error", err, "after", pause.String())
		}
		select {
		case <-time.After(pause):
		case <-p.hurry:
			failures = 0
		case <-p.ctx.Done():
		}
	}
	p.set(func() { p.present, p.failure, p.closed = nil, errClosed, true })
}

// watch waits for the end of an incarnation, ends its process, and says why it is over.
func (p *Process) watch(i *Incarnation) error {
	memory := time.NewTicker(500 * time.Millisecond)
	defer memory.Stop()
	for {
		select {
		case <-memory.C:
			if used := residentMemory(i.PID); i.maxMemory > 0 && used > i.maxMemory {
				i.end(fmt.Errorf("it uses %d MiB of memory, more than the %d MiB it may have (max_memory)", used>>20, i.maxMemory>>20))
			}
			continue
		case <-p.ctx.Done():
			i.end(errClosed)
		case <-i.over:
		}
		break
	}
	<-i.gone
	if i.child.killed.Load() {
		return i.Err()
	}
	if err := i.Err(); !errors.Is(err, errDied) {
		return err
	}
	return fmt.Errorf("it %s", i.child.epitaph())
}

// errDied is why an incarnation is over whose process ended by itself.
var errDied = errors.New("the process ended")

// launch starts one process and gives it when it has been configured.
func (p *Process) launch(ctx context.Context) (*Incarnation, error) {
	began := time.Now()
	settings := p.current.Load()
	binary, err := settings.verify()
	if err != nil {
		return nil, unfitError{err}
	}
	if settings.Dev {
		sum, err := Checksum(binary)
		if err != nil {
			return nil, err
		}
		p.launched.Store(&sum)
	}
	dir, err := newFolder()
	if err != nil {
		return nil, err
	}
	logs := &logForwarder{logger: p.logger, quiet: settings.Handshake.Foreign}
	var runs atomic.Pointer[child]
	config := &goplugin.ClientConfig{
		HandshakeConfig:  goplugin.HandshakeConfig{MagicCookieKey: settings.Handshake.Cookie, MagicCookieValue: settings.Handshake.Value},
		VersionedPlugins: map[int]goplugin.PluginSet{},
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		AutoMTLS:         true,
		SkipHostEnv:      true,
		StartTimeout:     settings.StartTimeout,
		UnixSocketConfig: &goplugin.UnixSocketConfig{TempDir: dir.path},
		SyncStdout:       &lineWriter{logs: logs}, // of plugins that go-plugin serves: it takes os.Stdout and os.Stderr from them
		SyncStderr:       &lineWriter{logs: logs},
		Logger:           hclog.NewNullLogger(), // what there is to say is said here
		GRPCDialOptions: []grpc.DialOption{
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(MaxMessage), grpc.MaxCallSendMsgSize(MaxMessage)),
			grpc.WithDisableServiceConfig(), grpc.WithDisableRetry(),
		},
		RunnerFunc: func(_ hclog.Logger, cmd *exec.Cmd, _ string) (runner.Runner, error) {
			// Everything that go-plugin made of the command but its environment is ours.
			own := exec.Command(binary, settings.Args...)
			own.Dir = settings.Dir
			own.Env = cmd.Env
			for name, value := range settings.Env {
				own.Env = append(own.Env, name+"="+value)
			}
			kid := newChild(own, settings.Name, logs)
			runs.Store(kid)
			return kid, nil
		},
	}
	for _, v := range settings.Handshake.Versions {
		config.VersionedPlugins[v] = goplugin.PluginSet{}
	}
	client := goplugin.NewClient(config)

	// go-plugin's own waiting cannot be cancelled, but ends with the process.
	ctx, cancel := context.WithTimeout(ctx, settings.StartTimeout)
	defer cancel()
	type connected struct {
		rpc goplugin.ClientProtocol
		err error
	}
	connecting := make(chan connected, 1)
	launched := make(chan struct{})
	go func() {
		_, err := client.Start()
		close(launched)
		if err != nil {
			connecting <- connected{nil, err}
			return
		}
		rpc, err := client.Client()
		connecting <- connected{rpc, err}
	}()
	stop := func() {
		<-launched
		if kid := runs.Load(); kid != nil {
			_ = kid.Kill(context.Background())
			if kid.err == nil {
				<-kid.done
			}
		}
		client.Kill()
		dir.remove()
	}
	var got connected
	select {
	case got = <-connecting:
	case <-ctx.Done():
		// The process may not even run yet, so that there is something to kill only after a moment.
		for got.rpc == nil && got.err == nil {
			if kid := runs.Load(); kid != nil {
				_ = kid.Kill(context.Background())
			}
			select {
			case got = <-connecting:
			case <-time.After(10 * time.Millisecond):
			}
		}
		stop()
		if p.ctx.Err() != nil {
			return nil, errClosed
		}
		return nil, fmt.Errorf("%s did not finish its handshake within %s%s", binary, settings.StartTimeout, said(runs.Load()))
	}
	kid := runs.Load()
	if got.err != nil {
		stop()
		return nil, p.explain(binary, kid, got.err)
	}
	rpc, ok := got.rpc.(*goplugin.GRPCClient)
	if !ok {
		stop()
		return nil, unfitError{fmt.Errorf("%s does not speak gRPC", binary)}
	}
	i := &Incarnation{Conn: rpc.Conn, Version: client.NegotiatedVersion(), PID: kid.cmd.Process.Pid, child: kid, maxMemory: settings.MaxMemory,
		over: make(chan struct{}), gone: make(chan struct{}), stopLease: func() {}}
	if !settings.Handshake.Foreign {
		if err := p.introduce(ctx, i, settings); err != nil {
			i.stopLease()
			if unfit := (unfitError{}); !errors.As(err, &unfit) {
				select { // why a call failed is told best by a process that ended
				case <-kid.done:
					err = fmt.Errorf("it %s (%w)", kid.epitaph(), err)
				case <-time.After(50 * time.Millisecond):
				}
			}
			stop()
			if p.ctx.Err() != nil {
				return nil, errClosed
			}
			return nil, err
		}
	}
	i.Started = time.Since(began)
	go func() {
		defer close(i.gone)
		select {
		case <-i.over:
		case <-kid.done:
			i.end(errDied)
		}
		i.stopLease()
		grace := time.AfterFunc(settings.StopTimeout, func() { _ = kid.Kill(context.Background()) })
		if err := i.Err(); !errors.Is(err, errClosed) && !errors.Is(err, errReplaced) && !errors.Is(err, errDied) {
			_ = kid.Kill(context.Background()) // it is of no use
		}
		client.Kill() // asks by GRPCController.Shutdown, waits two seconds, and kills
		<-kid.done
		grace.Stop()
		dir.remove()
	}()
	return i, nil
}

// introduce asks the plugin what it is, configures it, and takes its lease.
func (p *Process) introduce(ctx context.Context, i *Incarnation, settings *Settings) error {
	service := pluginv1.NewPluginServiceClient(i.Conn)
	description, err := service.Describe(ctx, &pluginv1.DescribeRequest{HostVersion: settings.HostVersion})
	if err != nil {
		return fmt.Errorf("ask the plugin what it is: %w", plain(err))
	}
	i.Description = description
	p.described.Store(description)
	leaseCtx, stopLease := context.WithCancel(context.Background())
	i.stopLease = stopLease
	lease, err := service.Lease(leaseCtx, &pluginv1.LeaseRequest{})
	if err != nil {
		return fmt.Errorf("take the plugin's lease: %w", plain(err))
	}
	_, err = service.Configure(ctx, &pluginv1.ConfigureRequest{Config: settings.Config, Name: settings.Name, AsSource: settings.AsSource, AsSink: settings.AsSink})
	if status.Code(err) == codes.InvalidArgument {
		return unfitError{fmt.Errorf("it refuses its config: %s", status.Convert(err).Message())}
	}
	if err != nil {
		return fmt.Errorf("configure the plugin: %w", plain(err))
	}
	first := make(chan error, 1)
	go func() {
		told := false
		for {
			response, err := lease.Recv()
			if err != nil {
				if !told {
					first <- err
				}
				if leaseCtx.Err() == nil {
					select { // a process that ends explains itself
					case <-i.child.done:
					case <-time.After(200 * time.Millisecond):
						i.end(fmt.Errorf("it ended its lease (%w)", plain(err)))
					}
				}
				return
			}
			unready := ""
			if !response.GetReady() {
				unready = response.GetReason()
				if unready == "" {
					unready = "it gives no reason"
				}
			}
			before := i.unready.Swap(&unready)
			if told && *before != unready {
				p.logger.Info("the plugin's readiness changed", "ready", response.GetReady(), "reason", unready)
			}
			if !told {
				told = true
				first <- nil
			}
		}
	}()
	select {
	case err := <-first:
		if err != nil {
			return fmt.Errorf("take the plugin's lease: %w", plain(err))
		}
	case <-ctx.Done():
		return fmt.Errorf("the plugin does not say on its lease whether it is ready, within %s", settings.StartTimeout)
	}
	return nil
}

// explain makes of go-plugin's errors some that name versions and remedies.
func (p *Process) explain(binary string, c *child, err error) error {
	if c == nil {
		return err
	}
	if c.err != nil {
		return unfitError{fmt.Errorf("%w: is it built for this system and executable?", c.err)}
	}
	line := c.first.Load()
	if line == nil {
		<-c.done
		return fmt.Errorf("%s %s, before it wrote its handshake; if it runs under another program only, it is not a plugin of this one (the cookie is %s)",
			binary, c.epitaph(), p.current.Load().Handshake.Cookie)
	}
	var ours []string
	for _, v := range slices.Sorted(slices.Values(p.current.Load().Handshake.Versions)) {
		ours = append(ours, strconv.Itoa(v))
	}
	parts := strings.Split(*line, "|")
	switch {
	case len(parts) < 5:
		return unfitError{fmt.Errorf("%s wrote %q to standard output where its handshake belongs; a plugin writes nothing else there: let it log to standard error", binary, clip(*line))}
	case parts[0] != "1":
		return unfitError{fmt.Errorf("%s speaks version %q of go-plugin's core protocol, this program version 1: build it with a go-plugin of version 1", binary, clip(parts[0]))}
	case !slices.Contains(ours, parts[1]):
		remedy := "a newer eiffelbridge may know it, or take a build of the plugin for an older one"
		if theirs, err := strconv.Atoi(parts[1]); err == nil && theirs < slices.Min(p.current.Load().Handshake.Versions) {
			remedy = "build the plugin with a newer SDK"
		}
		return unfitError{fmt.Errorf("%s speaks version %s of the plugin protocol, this program version %s: %s", binary, clip(parts[1]), strings.Join(ours, " and "), remedy)}
	case parts[4] != string(goplugin.ProtocolGRPC):
		return unfitError{fmt.Errorf("%s speaks %q, not gRPC: serve it with GRPCServer", binary, clip(parts[4]))}
	}
	return fmt.Errorf("connect to %s: %w%s", binary, err, said(c))
}

func clip(s string) string {
	if len(s) > 120 {
		return strings.ToValidUTF8(s[:120], "") + "…"
	}
	return s
}

func said(c *child) string {
	if c == nil {
		return ""
	}
	if words := c.logs.lastWords(); words != "" {
		return "; its last words: " + words
	}
	return ""
}

// plain is the error of a call without gRPC's dress.
func plain(err error) error {
	s, ok := status.FromError(err)
	if !ok {
		return err
	}
	var opError *net.OpError
	if errors.As(err, &opError) {
		return opError
	}
	switch s.Code() {
	case codes.Unimplemented:
		return fmt.Errorf("it does not serve that call (%s): build it with the SDK, or serve every call of its kind", s.Message())
	case codes.DeadlineExceeded:
		return context.DeadlineExceeded
	}
	return fmt.Errorf("%s (%s)", s.Message(), s.Code())
}
