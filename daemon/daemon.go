package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
)

// Daemon runs relays. Its methods are safe for concurrent use.
type Daemon struct {
	settings Settings
	log      *slog.Logger
	clock    Clock
	metrics  *metrics
	s        *sequencer
	relays   []*relay
	outlets  map[string]*outlet
	admin    *admin

	receiving     context.Context // ends when sources shall stop
	stopReceiving context.CancelFunc
	resuming      sync.WaitGroup
	sources       sync.WaitGroup
	ended         chan struct{} // closed when every source has ended

	mu      sync.Mutex
	started bool
	fatal   error

	shutdown sync.Once
	down     chan struct{} // closed when Shutdown is done
	downErr  error
}

// New prepares a daemon. It starts nothing but takes over what the settings hold.
func New(settings Settings) (*Daemon, error) {
	if settings.Clock == nil {
		settings.Clock = SystemClock()
	}
	if settings.Logger == nil {
		settings.Logger = slog.New(slog.DiscardHandler)
	}
	if settings.MaxParked == 0 {
		settings.MaxParked = defaultMaxParked
	}
	if err := settings.validate(); err != nil {
		return nil, errors.Join(err, settings.close())
	}
	d := &Daemon{
		settings: settings, log: settings.Logger, clock: settings.Clock, metrics: newMetrics(),
		outlets: map[string]*outlet{}, ended: make(chan struct{}), down: make(chan struct{}),
	}
	d.receiving, d.stopReceiving = context.WithCancel(context.Background())
	d.s = newSequencer(settings.Ledger, settings.Letters, d.clock, d.log, d.metrics, settings.MaxParked)
	d.metrics.registry.MustRegister(newPluginMetrics(settings.Plugins))
	if sized, ok := settings.Letters.(interface{ Size() (int64, int) }); ok {
		d.metrics.watch(sized.Size)
	}
	for _, r := range settings.Relays {
		o := d.outlets[r.To]
		if o == nil {
			o = newOutlet(r.To, settings.Sinks[r.To])
			d.outlets[r.To] = o
		}
		d.relays = append(d.relays, newRelay(r, o, d.s))
	}
	return d, nil
}

// close releases what the settings hold, for a daemon that never started.
func (s *Settings) close() error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(s.Sources)) {
		if source := s.Sources[name]; source != nil {
			errs = append(errs, source.Close())
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Sinks)) {
		if sink := s.Sinks[name]; sink != nil {
			// Nothing is in flight: there is nothing to wait for.
			errs = append(errs, sink.Close(context.Background()))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Plugins)) {
		errs = append(errs, s.Plugins[name].Close())
	}
	if closer, ok := s.Letters.(interface{ Close() error }); ok {
		errs = append(errs, closer.Close())
	}
	if s.Ledger != nil {
		errs = append(errs, s.Ledger.Close())
	}
	return errors.Join(errs...)
}

// Start takes up what was parked, opens the admin listener and lets the sources deliver. ctx bounds the starting only. If it
// fails, the daemon is shut down.
func (d *Daemon) Start(ctx context.Context) error {
	d.mu.Lock()
	if d.started {
		d.mu.Unlock()
		return errors.New("the daemon was started before")
	}
	select {
	case <-d.down:
		d.mu.Unlock()
		return errors.New("the daemon is shut down")
	default:
	}
	d.started = true
	d.s.start()
	for _, o := range d.outlets {
		if o.ordered {
			d.s.running.Add(1)
			go d.s.sendLoop(o)
		}
	}
	byName := map[string]*relay{}
	for _, r := range d.relays {
		if r.consulting != nil {
			d.s.running.Add(1)
			go r.consultLoop()
		}
		byName[r.settings.Name] = r
		d.resuming.Add(1)
		go func() {
			defer d.resuming.Done()
			d.s.resumeLoop(d.receiving, r)
		}()
	}
	err := d.s.loadParked(ctx, byName)
	if err == nil && d.settings.Admin.Listen != "" {
		d.admin, err = startAdmin(d)
	}
	if err == nil {
		for _, r := range d.relays {
			d.sources.Add(1)
			go d.receive(r)
		}
	}
	go func() {
		d.sources.Wait()
		close(d.ended)
	}()
	d.mu.Unlock()
	if err != nil {
		return errors.Join(fmt.Errorf("start: %w", err), d.Shutdown(ctx))
	}
	logPlugins(d.log, d.settings.Plugins)
	for _, r := range d.relays {
		d.log.Info("relay started", "relay", r.settings.Name, "from", r.settings.From, "to", r.settings.To,
			"translate", r.settings.Translate.String())
	}
	return nil
}

func (d *Daemon) receive(r *relay) {
	defer d.sources.Done()
	err := func() (err error) {
		defer func() {
			if p := recover(); p != nil {
				err = &panicError{value: p}
			}
		}()
		return d.settings.Sources[r.settings.From].Receive(d.receiving, r.handle)
	}()
	if err == nil || d.receiving.Err() != nil {
		d.log.Info("source ended", "transport", r.settings.From, "relay", r.settings.Name)
		return
	}
	err = fmt.Errorf("relay %s: transport %s cannot receive: %w", r.settings.Name, r.settings.From, err)
	d.log.Error("source failed", "transport", r.settings.From, "relay", r.settings.Name, "error", err)
	d.mu.Lock()
	if d.fatal == nil {
		d.fatal = err
	}
	d.mu.Unlock()
	// One way that can never work must not look like a running relay: Wait returns.
	d.stopReceiving()
}

// Wait returns when every source has come to its end and what it delivered is settled (nil), when a source can never
// work (an error), or when the daemon is shut down. Shutdown is still to be called.
func (d *Daemon) Wait() error {
	select {
	case <-d.ended:
		d.mu.Lock()
		err := d.fatal
		d.mu.Unlock()
		if err != nil {
			return err
		}
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		go func() {
			select {
			case <-d.down:
				cancel()
			case <-ctx.Done():
			}
		}()
		_ = d.s.drain(ctx)
		return nil
	case <-d.down:
		return nil
	}
}

// Shutdown stops the sources, lets what is in flight come to its end until ctx ends, hands the rest back, and closes the
// sinks, the dead letters and the ledger. Parked events stay parked. It is safe before Start; a second call waits for
// the first and returns the same.
func (d *Daemon) Shutdown(ctx context.Context) error {
	d.shutdown.Do(func() {
		d.downErr = d.close(ctx)
		close(d.down)
	})
	<-d.down
	return d.downErr
}

func (d *Daemon) close(ctx context.Context) error {
	d.stopReceiving()
	d.mu.Lock()
	started := d.started
	d.started = true // it cannot start any more
	d.mu.Unlock()
	if !started {
		for _, r := range d.relays {
			close(r.closing)
		}
		return d.settings.close()
	}
	for _, r := range d.relays {
		close(r.closing)
	}
	d.resuming.Wait()
	if err := d.s.drain(ctx); err != nil {
		d.log.Warn("shutdown: some events are still in flight and go back to their sources")
	}
	d.s.stop()
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(d.outlets)) {
		errs = append(errs, d.outlets[name].close(ctx))
	}
	if left := d.s.halt(); left > 0 {
		d.log.Warn("shutdown: events were handed back", "events", left)
	}
	for _, name := range slices.Sorted(maps.Keys(d.settings.Plugins)) {
		if err := d.settings.Plugins[name].Close(); err != nil {
			errs = append(errs, fmt.Errorf("close plugin %s: %w", name, err))
		}
	}
	// Every delivery is settled now, so that Receive returns by itself; a source that does not must be ended.
	select {
	case <-d.ended:
	case <-ctx.Done():
	}
	for _, name := range slices.Sorted(maps.Keys(d.settings.Sources)) {
		if err := d.settings.Sources[name].Close(); err != nil {
			errs = append(errs, fmt.Errorf("close transport %s: %w", name, err))
		}
	}
	<-d.ended
	for _, name := range slices.Sorted(maps.Keys(d.settings.Sinks)) {
		if d.outlets[name] == nil {
			errs = append(errs, d.settings.Sinks[name].Close(ctx))
		}
	}
	if d.admin != nil {
		errs = append(errs, d.admin.close(ctx))
	}
	if closer, ok := d.settings.Letters.(interface{ Close() error }); ok {
		if err := closer.Close(); err != nil {
			errs = append(errs, fmt.Errorf("close the dead letters: %w", err))
		}
	}
	if err := d.settings.Ledger.Close(); err != nil {
		errs = append(errs, fmt.Errorf("close the ledger: %w", err))
	}
	d.log.Info("relay stopped")
	return errors.Join(errs...)
}

// Addresses are the addresses that were bound, by the name of the transport; the admin listener's is "admin".
func (d *Daemon) Addresses() map[string]net.Addr {
	out := map[string]net.Addr{}
	for name, source := range d.settings.Sources {
		if bound, ok := source.(interface{ Addr() net.Addr }); ok && bound.Addr() != nil {
			out[name] = bound.Addr()
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.admin != nil {
		out["admin"] = d.admin.listener.Addr()
	}
	return out
}

// Health is what stands in the way of the daemon's work, by part: "source web", "sink bus", "plugin tool", "ledger",
// "dead_letters".
// A nil error says that the part works.
func (d *Daemon) Health() map[string]error {
	out := map[string]error{}
	for name, source := range d.settings.Sources {
		out["source "+name] = source.Health()
	}
	for name, sink := range d.settings.Sinks {
		out["sink "+name] = sink.Health()
	}
	for name, plugin := range d.settings.Plugins {
		out["plugin "+name] = plugin.Health()
	}
	out["ledger"] = pointed(d.s.ledgerErr.Load())
	out["dead_letters"] = pointed(d.s.lettersErr.Load())
	if letters, ok := d.settings.Letters.(interface{ Health() error }); ok && out["dead_letters"] == nil {
		out["dead_letters"] = letters.Health()
	}
	return out
}

func pointed(err *error) error {
	if err == nil {
		return nil
	}
	return *err
}
