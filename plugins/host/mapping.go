package host

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/eiffelbridge/eiffelbridge/plugins/pluginv1"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// The codes of a [translate.EventError] that a plugin causes, beside those that it gives itself and [translate.CodeInvalidOutput].
const (
	CodePluginFailed      = "plugin_failed"      // the plugin died of the event, hung over it, or broke the protocol, each time it was asked
	CodePluginUnavailable = "plugin_unavailable" // the plugin does not run, and its breaker is open
)

const (
	maxBatch      = 64      // events
	maxBatchBytes = 4 << 20 // of events, where there are several
	window        = 8       // batches that are not answered yet
	fastBatch     = 20 * time.Millisecond
	slowBatch     = 100 * time.Millisecond
)

// MappingSettings are those of a mapping or decorator plugin, beside its process's.
type MappingSettings struct {
	// Timeout is how long the plugin may go without an answer while there are questions; then it is taken to hang, and
	// is started anew. Default: 5 seconds.
	Timeout time.Duration

	// Attempts is how often one event is put to the plugin alone after it was among those under way when the plugin
	// failed; if the plugin fails each time, the event has an error of code [CodePluginFailed]. Default: 3.
	Attempts int
}

// Mapping is a mapping plugin or a decorator plugin. It survives the restarts of its process: what was under way is asked
// again. It is safe for concurrent use; what is asked at the same time goes to the plugin in batches, several of which
// are under way at once.
type Mapping struct {
	process  *Process
	decorate bool
	settings MappingSettings
	ctx      context.Context
	cancel   context.CancelFunc
	done     chan struct{}
	wake     chan struct{}
	trouble  atomic.Pointer[error] // why the last attempt failed, until one succeeds

	answered, failed atomic.Int64

	mu       sync.Mutex
	queue    []*call
	suspects []*call // one of them may be what the plugin failed of: they are asked one by one
}

// call is one question to the plugin.
type call struct {
	ctx    context.Context
	item   *pluginv1.DecorateItem
	size   int
	deaths int // how often the plugin failed while it had nothing else to do
	blame  int // of these, ten for each that may be the event's doing, and one for each time that somebody killed the plugin
	done   chan struct{}
	result *pluginv1.TranslateResult
	err    error
}

func (c *call) finish(result *pluginv1.TranslateResult, err error) {
	c.result, c.err = result, err
	close(c.done)
}

// NewMapping talks to the plugin of a process: a decorator, or else a mapping. Close the mapping before the process.
func NewMapping(p *Process, decorator bool, settings MappingSettings) *Mapping {
	if settings.Timeout <= 0 {
		settings.Timeout = 5 * time.Second
	}
	if settings.Attempts <= 0 {
		settings.Attempts = 3
	}
	m := &Mapping{process: p, decorate: decorator, settings: settings, done: make(chan struct{}), wake: make(chan struct{}, 1)}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	go m.pump()
	return m
}

// Process is the plugin's.
func (m *Mapping) Process() *Process { return m.process }

// Health is nil while the plugin answers, else what stands in the way.
func (m *Mapping) Health() error {
	if err := m.process.Health(); err != nil {
		return err
	}
	if err := m.trouble.Load(); err != nil {
		return fmt.Errorf("plugin %s: %w", m.process.Name(), *err)
	}
	return nil
}

// Answered and Failed count events.
func (m *Mapping) Answered() int64 { return m.answered.Load() }

// Failed counts the events for which the plugin gave nothing that could be used.
func (m *Mapping) Failed() int64 { return m.failed.Load() }

// Close ends what is under way with errors. It does not close the process.
func (m *Mapping) Close() {
	m.cancel()
	<-m.done
}

// ask puts one question to the plugin and waits for the answer. An error of type *[translate.EventError] says that there is
// none for this event; any other is that of ctx, or that the mapping is closed.
func (m *Mapping) ask(ctx context.Context, item *pluginv1.DecorateItem) (*pluginv1.TranslateResult, error) {
	c := &call{ctx: ctx, item: item, size: proto.Size(item), done: make(chan struct{})}
	m.mu.Lock()
	if m.ctx.Err() != nil {
		m.mu.Unlock()
		return nil, errClosed
	}
	m.queue = append(m.queue, c)
	m.mu.Unlock()
	m.rouse()
	select {
	case <-c.done:
		return c.result, c.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (m *Mapping) rouse() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

func (m *Mapping) pump() {
	defer close(m.done)
	defer func() { m.finishAll(func() error { return errClosed }) }()
	for m.ctx.Err() == nil {
		m.mu.Lock()
		idle := len(m.queue)+len(m.suspects) == 0
		m.mu.Unlock()
		if idle {
			select {
			case <-m.wake:
			case <-m.ctx.Done():
			}
			continue
		}
		incarnation, err := m.process.Wait(m.ctx)
		if err == nil {
			err = m.Fits(incarnation.Description)
			if err == nil {
				m.converse(incarnation)
				continue
			}
		}
		if m.ctx.Err() == nil {
			m.finishAll(func() error {
				m.failed.Add(1)
				return &translate.EventError{Code: CodePluginUnavailable, Message: err.Error()}
			})
		}
	}
}

// Fits says why a plugin that describes itself so cannot be used as what it is configured to be.
func (m *Mapping) Fits(d *pluginv1.DescribeResponse) error {
	return Fits(m.process.Name(), m.decorate, d)
}

// Fits says why a plugin that describes itself so cannot be a decorator, or else a mapping.
func Fits(name string, decorator bool, d *pluginv1.DescribeResponse) error {
	want, mode := pluginv1.Kind_KIND_MAPPING, "override or fallback"
	if decorator {
		want, mode = pluginv1.Kind_KIND_DECORATOR, "decorate"
	}
	if d.GetKind() == want {
		return nil
	}
	kinds := map[pluginv1.Kind]string{pluginv1.Kind_KIND_MAPPING: "mapping", pluginv1.Kind_KIND_DECORATOR: "decorator", pluginv1.Kind_KIND_TRANSPORT: "transport"}
	return fmt.Errorf("plugin %s is a %s plugin, which mode %s is not for: mappings take override or fallback, decorators decorate, transports stand under transports",
		name, kinds[d.GetKind()], mode)
}

func (m *Mapping) finishAll(err func() error) {
	m.mu.Lock()
	calls := slices.Concat(m.suspects, m.queue)
	m.suspects, m.queue = nil, nil
	m.mu.Unlock()
	for _, c := range calls {
		c.finish(nil, err())
	}
}

// take gives the next batch; alone says that nothing else may be under way beside it.
func (m *Mapping) take(most int, idle bool) (batch []*call, alone bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.suspects) > 0 {
		if !idle {
			return nil, true
		}
		c := m.suspects[0]
		m.suspects = m.suspects[1:]
		if c.ctx.Err() == nil {
			return []*call{c}, true
		}
		c.finish(nil, c.ctx.Err())
	}
	size := 0
	for len(m.queue) > 0 && len(batch) < most {
		c := m.queue[0]
		if len(batch) > 0 && size+c.size > maxBatchBytes {
			break
		}
		m.queue = m.queue[1:]
		if c.ctx.Err() != nil {
			c.finish(nil, c.ctx.Err())
			continue
		}
		batch, size = append(batch, c), size+c.size
	}
	return batch, false
}

// converse asks one incarnation until it is over, or there is nothing more to ask.
func (m *Mapping) converse(i *Incarnation) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s, err := m.open(ctx, i.Conn)
	if err != nil {
		i.Fail(fmt.Errorf("it cannot be asked: %w", plain(err)))
		m.trouble.Store(&err)
		return
	}
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	send := make(chan []*call, window)
	defer close(send)
	answers := make(chan []*pluginv1.TranslateResult, window)
	broken := make(chan error, 2)
	running.Go(func() {
		for batch := range send {
			if err := s.send(batch); err != nil {
				return // the receiver hears why
			}
		}
	})
	running.Go(func() {
		for {
			results, err := s.receive()
			if err != nil {
				broken <- err
				return
			}
			select {
			case answers <- results:
			case <-ctx.Done():
				return
			}
		}
	})

	var underway [][]*call
	most, last := 1, time.Now()
	patience := time.NewTimer(m.settings.Timeout)
	defer patience.Stop()
	fail := func(err error) {
		i.Fail(err)
		if e := i.Err(); e != nil && !errors.Is(e, errClosed) {
			err = e // the first reason is the best
		}
		m.trouble.Store(&err)
		blame := 10
		switch {
		case i.killedFromOutside():
			blame = 1
		case errors.Is(err, errReplaced):
			blame = 0
		}
		m.suspect(underway, blame, err)
	}
	for {
		for len(underway) < window {
			batch, alone := m.take(most, len(underway) == 0)
			if len(batch) == 0 {
				break
			}
			if len(underway) == 0 {
				last = time.Now()
				patience.Reset(m.settings.Timeout)
			}
			underway = append(underway, batch)
			send <- batch
			if alone {
				break
			}
		}
		var timeout <-chan time.Time
		if len(underway) > 0 {
			timeout = patience.C
		}
		select {
		case <-m.wake:
		case results := <-answers:
			if len(underway) == 0 || len(results) != len(underway[0]) {
				n := 0
				if len(underway) > 0 {
					n = len(underway[0])
				}
				fail(fmt.Errorf("it breaks the protocol: %d results for %d events", len(results), n))
				return
			}
			i.Worked()
			m.trouble.Store(nil)
			batch := underway[0]
			underway = underway[1:]
			for n, c := range batch {
				m.answered.Add(1)
				c.finish(results[n], nil)
			}
			now := time.Now()
			switch took := now.Sub(last); {
			case took > slowBatch:
				most = max(1, most/2)
			case took < fastBatch && len(batch) == most:
				most = min(maxBatch, most*2)
			}
			last = now
			patience.Reset(m.settings.Timeout)
		case err := <-broken:
			// Of a process that ended, the end says more than the broken stream.
			select {
			case <-i.Done():
			case <-time.After(100 * time.Millisecond):
			}
			fail(fmt.Errorf("its stream broke: %w", plain(err)))
			return
		case <-i.Done():
			fail(i.Err())
			return
		case <-timeout:
			fail(fmt.Errorf("it has not answered for %s", m.settings.Timeout))
			return
		case <-m.ctx.Done():
			for _, batch := range underway {
				for _, c := range batch {
					c.finish(nil, errClosed)
				}
			}
			return
		}
	}
}

// suspect takes back what was under way when the plugin failed. It is asked again, one by one; what was alone when
// the plugin failed, and that time after time, is what it fails of.
func (m *Mapping) suspect(underway [][]*call, blame int, err error) {
	var calls []*call
	for _, batch := range underway {
		calls = append(calls, batch...)
	}
	if len(calls) == 1 {
		calls[0].deaths++
		if calls[0].blame += blame; calls[0].blame >= 10*m.settings.Attempts {
			m.failed.Add(1)
			calls[0].finish(nil, &translate.EventError{Code: CodePluginFailed,
				Message: fmt.Sprintf("plugin %s failed each of the %d times that it was asked about this event alone: %v", m.process.Name(), calls[0].deaths, err)})
			return
		}
	}
	m.mu.Lock()
	m.suspects = append(m.suspects, calls...)
	m.mu.Unlock()
}

// conversation is the stream of either kind of plugin.
type conversation struct {
	send    func([]*call) error
	receive func() ([]*pluginv1.TranslateResult, error)
}

func (m *Mapping) open(ctx context.Context, conn *grpc.ClientConn) (conversation, error) {
	if m.decorate {
		s, err := pluginv1.NewDecoratorServiceClient(conn).Decorate(ctx)
		if err != nil {
			return conversation{}, err
		}
		return conversation{
			send: func(batch []*call) error {
				request := &pluginv1.DecorateRequest{}
				for _, c := range batch {
					request.Items = append(request.Items, c.item)
				}
				return s.Send(request)
			},
			receive: func() ([]*pluginv1.TranslateResult, error) {
				response, err := s.Recv()
				return response.GetResults(), err
			},
		}, nil
	}
	s, err := pluginv1.NewMappingServiceClient(conn).Translate(ctx)
	if err != nil {
		return conversation{}, err
	}
	return conversation{
		send: func(batch []*call) error {
			request := &pluginv1.TranslateRequest{}
			for _, c := range batch {
				request.Items = append(request.Items, c.item.GetItem())
			}
			return s.Send(request)
		},
		receive: func() ([]*pluginv1.TranslateResult, error) {
			response, err := s.Recv()
			return response.GetResults(), err
		},
	}, nil
}

// concerns tells whether a plugin that describes itself so translates the event's type.
func concerns(d *pluginv1.DescribeResponse, in *translate.Event) bool {
	if len(d.GetTypes()) == 0 {
		return true
	}
	for _, t := range d.GetTypes() {
		if t == in.Type {
			return true
		}
		if in.Protocol == translate.CDEvents {
			if !strings.HasPrefix(t, "dev.") {
				t = "dev.cdevents." + t
			}
			if in.Type == t || strings.HasPrefix(in.Type, t+".") && isDigit(in.Type[len(t)+1:]) {
				return true
			}
		}
	}
	return false
}

func isDigit(s string) bool { return s != "" && s[0] >= '0' && s[0] <= '9' }
