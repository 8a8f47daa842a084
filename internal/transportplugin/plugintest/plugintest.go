// Package plugintest puts the plugin protocol between a transport driver and its test: in process, over a connection in memory, so that
// the tests of a driver can show that it is the same driver as a plugin.
package plugintest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/eiffelbridge/eiffelbridge/internal/transportplugin/client"
	"github.com/eiffelbridge/eiffelbridge/internal/transportplugin/server"
	"github.com/eiffelbridge/eiffelbridge/internal/transportplugin/wire"
	"github.com/eiffelbridge/eiffelbridge/plugins/host"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

// Plugin is a transport plugin without a process. It can be restarted as one can be killed: what it holds is closed without any word to
// the host.
type Plugin struct {
	options server.Options
	source  bool
	sink    bool

	lock     sync.Mutex
	instance *instance
	closed   bool
	Failed   []error // why the host wanted another incarnation
}

// instance is what stands for a process.
type instance struct {
	server *grpc.Server
	driver *server.Server
	conn   *grpc.ClientConn
	ended  chan struct{}
}

// Source makes a source behind the protocol. The plugin ends when the source is closed.
func Source(make func() (transport.Source, error)) (transport.Source, *Plugin, error) {
	p := &Plugin{source: true, options: server.Options{Source: func([]byte) (transport.Source, error) { return make() }}}
	if err := p.start(); err != nil {
		return nil, nil, err
	}
	return client.NewSource("test", p, slog.New(slog.DiscardHandler)), p, nil
}

// Sink makes a sink behind the protocol. The plugin ends when the sink is closed.
func Sink(ordered bool, make func() (transport.Sink, error)) (transport.Sink, *Plugin, error) {
	p := &Plugin{sink: true, options: server.Options{Ordered: ordered, Sink: func([]byte) (transport.Sink, error) { return make() }}}
	if err := p.start(); err != nil {
		return nil, nil, err
	}
	return client.NewSink("test", ordered, p, slog.New(slog.DiscardHandler)), p, nil
}

func (p *Plugin) start() error {
	i := &instance{
		driver: server.New(p.options), ended: make(chan struct{}),
		server: grpc.NewServer(grpc.MaxRecvMsgSize(wire.MaxMessage), grpc.MaxSendMsgSize(wire.MaxMessage)),
	}
	if err := i.driver.Configure(nil, p.source, p.sink); err != nil {
		return err
	}
	i.driver.Register(i.server)
	listener := bufconn.Listen(1 << 20)
	go func() {
		defer close(i.ended)
		_ = i.server.Serve(listener)
	}()
	var err error
	i.conn, err = grpc.NewClient("passthrough:///test",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(wire.MaxMessage), grpc.MaxCallSendMsgSize(wire.MaxMessage)))
	if err != nil {
		i.server.Stop()
		return err
	}
	p.lock.Lock()
	defer p.lock.Unlock()
	p.instance = i
	return nil
}

// kill ends an instance. What its drivers hold goes with it, as with a process.
func (i *instance) kill() {
	i.server.Stop()
	<-i.ended
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	_ = i.driver.Shutdown(gone)
	_ = i.conn.Close()
}

// Kill ends the plugin's incarnation; the next one is there when it is asked for.
func (p *Plugin) Kill() error {
	p.lock.Lock()
	i := p.instance
	p.instance = nil
	p.lock.Unlock()
	if i != nil {
		i.kill()
	}
	return nil
}

// Connect implements [client.Link].
func (p *Plugin) Connect(ctx context.Context) (client.Connection, error) {
	for {
		p.lock.Lock()
		i, closed := p.instance, p.closed
		p.lock.Unlock()
		switch {
		case closed:
			return client.Connection{}, errors.New("the plugin has ended")
		case i != nil:
			return client.Connection{ClientConnInterface: i.conn, Worked: func() {}, Fail: func(reason error) {
				p.lock.Lock()
				p.Failed = append(p.Failed, reason)
				p.lock.Unlock()
				_ = p.Kill()
			}}, nil
		}
		if err := p.start(); err != nil {
			select {
			case <-ctx.Done():
				return client.Connection{}, ctx.Err()
			case <-time.After(5 * time.Millisecond): // what the last one held may not be free yet
			}
		}
	}
}

// Health implements [client.Link].
func (p *Plugin) Health() error {
	p.lock.Lock()
	defer p.lock.Unlock()
	if p.instance == nil {
		return errors.New("the plugin is not running")
	}
	return nil
}

// Release implements [client.Link].
func (p *Plugin) Release(ctx context.Context) error {
	p.lock.Lock()
	i := p.instance
	p.instance, p.closed = nil, true
	p.lock.Unlock()
	if i == nil {
		return nil
	}
	err := i.driver.Shutdown(ctx)
	i.kill()
	return err
}

// Config is a transport's section of a configuration.
type Config map[string]any

// Way is how a test reaches a driver.
type Way struct {
	Name   string
	Source func(config Config, make func() (transport.Source, error)) (transport.Source, error)
	Sink   func(config Config, ordered bool, make func() (transport.Sink, error)) (transport.Sink, error)
	// Kill ends the plugin that the last source or sink is in, as SIGKILL does; nil if there is none.
	Kill func() error
}

// Direct is without a plugin.
func Direct() *Way {
	return &Way{
		Name:   "direct",
		Source: func(_ Config, make func() (transport.Source, error)) (transport.Source, error) { return make() },
		Sink:   func(_ Config, _ bool, make func() (transport.Sink, error)) (transport.Sink, error) { return make() },
	}
}

// InMemory has the protocol between the test and the driver, and no process.
func InMemory() *Way {
	w := &Way{Name: "in_memory"}
	var plugin *Plugin
	w.Kill = func() error { return plugin.Kill() }
	w.Source = func(_ Config, make func() (transport.Source, error)) (source transport.Source, err error) {
		source, plugin, err = Source(make)
		return source, err
	}
	w.Sink = func(_ Config, ordered bool, make func() (transport.Sink, error)) (sink transport.Sink, err error) {
		sink, plugin, err = Sink(ordered, make)
		return sink, err
	}
	return w
}

// Process has the driver in a process of the command, as a user has it.
func Process(t *testing.T) *Way {
	binary := command(t)
	w := &Way{Name: "process"}
	var process *host.Process
	start := func(config Config, settings host.Settings) error {
		text, err := json.Marshal(config)
		if err != nil {
			return err
		}
		settings.Name, settings.Path, settings.Args = "test", binary, []string{"plugins", "serve", fmt.Sprint(config["type"])}
		settings.Dev, settings.Config = true, text
		settings.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
		process, err = host.Start(settings)
		return err
	}
	w.Kill = func() error {
		running, err := os.FindProcess(process.Stats().PID)
		if err != nil {
			return err
		}
		return running.Kill()
	}
	w.Source = func(config Config, _ func() (transport.Source, error)) (transport.Source, error) {
		if err := start(config, host.Settings{AsSource: true}); err != nil {
			return nil, err
		}
		return host.NewSource(process, process.Close), nil
	}
	w.Sink = func(config Config, _ bool, _ func() (transport.Sink, error)) (transport.Sink, error) {
		if err := start(config, host.Settings{AsSink: true}); err != nil {
			return nil, err
		}
		return host.NewSink(t.Context(), process, process.Close), nil
	}
	return w
}

// command builds the command, which the build cache makes fast.
func command(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "eiffelbridge")
	out, err := exec.Command("go", "build", "-o", path, "github.com/eiffelbridge/eiffelbridge/cmd/eiffelbridge").CombinedOutput()
	if err != nil {
		t.Fatalf("build the command: %v\n%s", err, out)
	}
	return path
}

// Plugins are all the ways that have a plugin in them.
func Plugins(t *testing.T) []*Way { return []*Way{InMemory(), Process(t)} }
