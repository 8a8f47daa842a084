package amqp091

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	transportconformance "github.com/eiffelbridge/eiffelbridge/conformance/transport"
	"github.com/eiffelbridge/eiffelbridge/conformance/transport/transporttest"
	"github.com/eiffelbridge/eiffelbridge/internal/rabbittest"
	"github.com/eiffelbridge/eiffelbridge/internal/transportplugin/plugintest"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

// proxy stands between a driver and the broker. It can cut the connections, and hold back what the driver writes.
type proxy struct {
	net.Listener
	broker string
	gate   sync.RWMutex
	mu     sync.Mutex
	conns  []net.Conn
	copies sync.WaitGroup
}

func newProxy(broker string) (*proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{Listener: l, broker: broker}
	p.copies.Go(p.accept)
	return p, nil
}

func (p *proxy) accept() {
	for {
		near, err := p.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", p.broker)
		if err != nil {
			near.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, near, far)
		p.mu.Unlock()
		p.copies.Go(func() { p.copy(far, near, true) })
		p.copies.Go(func() { p.copy(near, far, false) })
	}
}

func (p *proxy) copy(to, from net.Conn, gated bool) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if gated {
			p.gate.RLock()
			p.gate.RUnlock()
		}
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *proxy) Break() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
	return nil
}

func (p *proxy) end() {
	p.Listener.Close()
	p.Break()
	p.copies.Wait()
}

// farSide is what the harnesses have in common: a queue of their own, and a plain client.
type farSide struct {
	*proxy
	kill     func() error // breaks in place of the proxy; nil: it does not
	settings Settings
	conn     *amqp.Connection
	ch       *amqp.Channel
}

var harnesses atomic.Int64

func newFarSide(server *rabbittest.Server, format string) (*farSide, error) {
	p, err := newProxy(server.Addr())
	if err != nil {
		return nil, err
	}
	f := &farSide{proxy: p, settings: DefaultSettings()}
	name := "conformance-" + strconv.FormatInt(harnesses.Add(1), 10)
	f.settings.Exchange, f.settings.Queue, f.settings.Bindings, f.settings.Format = name, name, []string{"#"}, format
	f.conn, err = amqp.Dial(server.URL())
	if err == nil {
		f.ch, err = f.conn.Channel()
	}
	if err == nil {
		err = errors.Join(f.settings.declareExchange(f.ch), f.settings.declareQueue(f.ch))
	}
	if err != nil {
		p.end()
		return nil, err
	}
	u, err := url.Parse(server.URL())
	if err != nil {
		return nil, err
	}
	u.Host = p.Addr().String()
	f.settings.URL = u.String()
	return f, nil
}

// config is what a plugin with these settings gets.
func (f *farSide) config() plugintest.Config {
	return plugintest.Config{
		"type": "amqp091", "url": f.settings.URL, "exchange": f.settings.Exchange, "queue": f.settings.Queue,
		"bindings": f.settings.Bindings, "format": f.settings.Format,
	}
}

func (f *farSide) Break() error {
	if f.kill != nil {
		return f.kill()
	}
	return f.proxy.Break()
}

func (f *farSide) Close() error {
	f.proxy.end()
	_, err := f.ch.QueueDelete(f.settings.Queue, false, false, false)
	return errors.Join(err, f.conn.Close())
}

type sinkHarness struct {
	*farSide
	sink transport.Sink
	got  []transport.Message
}

func (h *sinkHarness) Sink() transport.Sink { return h.sink }

func (h *sinkHarness) Collect(context.Context) ([]transport.Message, error) {
	for {
		d, ok, err := h.ch.Get(h.settings.Queue, true)
		if err != nil || !ok {
			return h.got, err
		}
		h.got = append(h.got, decode(&d))
	}
}

func (h *sinkHarness) Stall() func() {
	for h.sink.Health() != nil {
		time.Sleep(time.Millisecond) // the handshake is not what is to be stalled
	}
	h.gate.Lock()
	return sync.OnceFunc(h.gate.Unlock)
}

type sourceHarness struct {
	*farSide
	source transport.Source
}

func (h *sourceHarness) Source() transport.Source { return h.source }

func (h *sourceHarness) Traits() transportconformance.SourceTraits {
	return transportconformance.SourceTraits{}
}

func (h *sourceHarness) Send(ctx context.Context, messages []transport.Message) error {
	for _, m := range messages {
		if err := h.ch.PublishWithContext(ctx, h.settings.Exchange, RoutingKey(m), true, false, encode(m, h.settings.Format, "")); err != nil {
			return err
		}
	}
	return nil
}

func TestConformance(t *testing.T) {
	testConformance(t, plugintest.Direct(), []string{FormatEiffel, FormatStructured, FormatBinary}, nil)
}

// TestConformanceAsPlugin has the plugin protocol between the kit and the driver. What breaks is the connection to the broker, or
// the plugin.
func TestConformanceAsPlugin(t *testing.T) {
	for _, way := range plugintest.Plugins(t) {
		t.Run(way.Name, func(t *testing.T) {
			t.Run("broker", func(t *testing.T) { testConformance(t, way, []string{FormatEiffel}, nil) })
			t.Run("killed", func(t *testing.T) { testConformance(t, way, []string{FormatStructured}, way.Kill) })
		})
	}
}

func testConformance(t *testing.T, way *plugintest.Way, formats []string, kill func() error) {
	server := rabbittest.Shared(t)
	noGoroutines(t)
	options := transportconformance.Options{Patience: patience}
	for _, format := range formats {
		t.Run("sink/"+format, func(t *testing.T) {
			transporttest.RunSink(t, func(context.Context) (transportconformance.SinkHarness, error) {
				f, err := newFarSide(server, format)
				if err != nil {
					return nil, err
				}
				f.kill = kill
				sink, err := way.Sink(f.config(), true, func() (transport.Sink, error) { return NewSink(f.settings, nil) })
				return &sinkHarness{farSide: f, sink: sink}, err
			}, options)
		})
		t.Run("source/"+format, func(t *testing.T) {
			transporttest.RunSource(t, func(context.Context) (transportconformance.SourceHarness, error) {
				f, err := newFarSide(server, format)
				if err != nil {
					return nil, err
				}
				f.kill = kill
				source, err := way.Source(f.config(), func() (transport.Source, error) { return NewSource(f.settings, nil) })
				return &sourceHarness{farSide: f, source: source}, err
			}, options)
		})
	}
}
