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
	"time"
)

// Daemon runs relays. Its methods are safe for concurrent use.
type Daemon struct {
	log     *slog.Logger
	clock   Clock
	metrics *metrics
	admin   *admin

	receiving     context.Context // ends when sources shall stop
	stopReceiving context.CancelFunc
	ended         chan struct{} // closed when every source has ended

	reloading sync.Mutex    // held by a reload, and by the start and the end
	quiet     time.Duration // how long a reload waits for what is in flight; see quietDrain

	mu       sync.Mutex // of what follows
	settings Settings
	gen      *generation
	inlets   map[string]*inlet
	open     int // inlets that have not ended, and one more while they are being exchanged
	started  bool
	fatal    error

	shutdown sync.Once
	down     chan struct{} // closed when Shutdown is done
	downErr  error
}

// New prepares a daemon. It starts nothing but takes over what the settings hold.
func New(settings Settings) (*Daemon, error) {
	settings.complete()
	if err := settings.validate(); err != nil {
		return nil, errors.Join(err, settings.close(nil))
	}
	d := &Daemon{
		settings: settings, log: settings.Logger, clock: settings.Clock, metrics: newMetrics(settings.Clock),
		inlets: map[string]*inlet{}, ended: make(chan struct{}), down: make(chan struct{}), quiet: quietDrain,
	}
	d.receiving, d.stopReceiving = context.WithCancel(context.Background())
	d.gen = newGeneration(&settings, d.metrics)
	for _, r := range settings.Relays {
		d.inlets[r.From] = newInlet(r.From, settings.Sources[r.From])
	}
	plugins := func() map[string]Plugin { s, _ := d.present(); return s.Plugins }
	d.metrics.registry.MustRegister(newPluginMetrics(plugins), &customMetrics{plugins},
		newReadyGauge(func() map[string]error { h, _ := d.health(); return h }))
	if sized, ok := settings.Letters.(interface{ Size() (int64, int) }); ok {
		d.metrics.watch(sized.Size)
	}
	return d, nil
}

// present is the configuration that is in force, and what runs by it.
func (d *Daemon) present() (Settings, *generation) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.settings, d.gen
}

// close releases what the settings hold, for a daemon that never started with them; but nothing that others, which may be nil,
// hold too.
func (s *Settings) close(others *Settings) error {
	if others == nil {
		others = &Settings{}
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(s.Sources)) {
		if source := s.Sources[name]; source != nil && source != others.Sources[name] {
			errs = append(errs, source.Close())
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Sinks)) {
		if sink := s.Sinks[name]; sink != nil && sink != others.Sinks[name] {
			// Nothing is in flight: there is nothing to wait for.
			errs = append(errs, sink.Close(context.Background()))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Plugins)) {
		if plugin := s.Plugins[name]; plugin != others.Plugins[name] {
			errs = append(errs, plugin.Close())
		}
	}
	if others.Ledger != nil {
		return errors.Join(errs...)
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
	if err := d.start(ctx); err != nil {
		return err
	}
	settings, _ := d.present()
	logPlugins(d.log, settings.Plugins)
	for _, r := range settings.Relays {
		d.log.Info("relay started", "relay", r.Name, "from", r.From, "to", r.To, "translate", r.Translate.String())
	}
	return nil
}

func (d *Daemon) start(ctx context.Context) (err error) {
	d.reloading.Lock()
	d.mu.Lock()
	select {
	case <-d.down:
		err = errors.New("the daemon is shut down")
	default:
		if d.started {
			err = errors.New("the daemon was started before")
		}
	}
	if err != nil {
		d.mu.Unlock()
		d.reloading.Unlock()
		return err
	}
	d.started = true
	d.open = 1
	settings, gen := d.settings, d.gen
	d.mu.Unlock()
	err = gen.start(ctx)
	if err == nil && settings.Admin.Listen != "" {
		var a *admin
		a, err = startAdmin(d, settings)
		d.mu.Lock()
		d.admin = a
		d.mu.Unlock()
	}
	if err == nil {
		for _, in := range d.inlets {
			d.receive(in)
			in.resume(gen.relayOf(in.name), nil)
		}
	}
	d.sourceEnded()
	d.reloading.Unlock()
	if err != nil {
		return errors.Join(fmt.Errorf("start: %w", err), d.Shutdown(ctx))
	}
	return nil
}

// receive lets a source deliver into its inlet.
func (d *Daemon) receive(in *inlet) {
	ctx, stop := context.WithCancel(d.receiving)
	in.stop = stop
	d.mu.Lock()
	d.open++
	d.mu.Unlock()
	go func() {
		defer d.sourceEnded()
		defer close(in.ended)
		defer stop()
		err := func() (err error) {
			defer func() {
				if p := recover(); p != nil {
					err = &panicError{value: p}
				}
			}()
			return in.source.Receive(ctx, in.handle)
		}()
		if err == nil || ctx.Err() != nil {
			d.log.Info("source ended", "transport", in.name)
			return
		}
		err = fmt.Errorf("transport %s cannot receive: %w", in.name, err)
		d.log.Error("source failed", "transport", in.name, "error", err)
		// One way that can never work must not look like a running relay: Wait returns.
		d.fail(err)
	}()
}

// fail has Wait return an error.
func (d *Daemon) fail(err error) {
	d.mu.Lock()
	if d.fatal == nil {
		d.fatal = err
	}
	d.mu.Unlock()
	d.stopReceiving()
}

// sourceEnded counts the sources that have come to their end.
func (d *Daemon) sourceEnded() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open--; d.open == 0 {
		close(d.ended)
	}
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
		_, gen := d.present()
		_ = gen.s.drain(ctx)
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
	d.stopReceiving() // which ends a reload, too
	d.reloading.Lock()
	defer d.reloading.Unlock()
	d.mu.Lock()
	started := d.started
	d.started = true // it cannot start any more
	settings, gen := d.settings, d.gen
	d.mu.Unlock()
	for _, in := range d.inlets {
		in.close()
	}
	gen.close()
	if !started {
		return settings.close(nil)
	}
	for _, in := range d.inlets {
		in.settled()
		in.giveBack(nil)
	}
	if err := gen.s.drain(ctx); err != nil {
		d.log.Warn("shutdown: some events are still in flight and go back to their sources")
	}
	gen.s.stop()
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(gen.outlets)) {
		errs = append(errs, gen.outlets[name].close(ctx))
	}
	if left := gen.s.halt(); left > 0 {
		d.log.Warn("shutdown: events were handed back", "events", left)
	}
	for _, name := range slices.Sorted(maps.Keys(settings.Plugins)) {
		if err := settings.Plugins[name].Close(); err != nil {
			errs = append(errs, fmt.Errorf("close plugin %s: %w", name, err))
		}
	}
	// Every delivery is settled now, so that Receive returns by itself; a source that does not must be ended.
	select {
	case <-d.ended:
	case <-ctx.Done():
	}
	for _, name := range slices.Sorted(maps.Keys(settings.Sources)) {
		if err := settings.Sources[name].Close(); err != nil {
			errs = append(errs, fmt.Errorf("close transport %s: %w", name, err))
		}
	}
	<-d.ended
	for _, name := range slices.Sorted(maps.Keys(settings.Sinks)) {
		if gen.outlets[name] == nil {
			errs = append(errs, settings.Sinks[name].Close(ctx))
		}
	}
	if d.admin != nil {
		errs = append(errs, d.admin.close(ctx))
	}
	if closer, ok := settings.Letters.(interface{ Close() error }); ok {
		if err := closer.Close(); err != nil {
			errs = append(errs, fmt.Errorf("close the dead letters: %w", err))
		}
	}
	if err := settings.Ledger.Close(); err != nil {
		errs = append(errs, fmt.Errorf("close the ledger: %w", err))
	}
	d.log.Info("relay stopped")
	return errors.Join(errs...)
}

// Addresses are the addresses that were bound, by the name of the transport; the admin listener's is "admin".
func (d *Daemon) Addresses() map[string]net.Addr {
	out := map[string]net.Addr{}
	settings, _ := d.present()
	for name, source := range settings.Sources {
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
	settings, gen := d.present()
	for name, source := range settings.Sources {
		out["source "+name] = source.Health()
	}
	for name, sink := range settings.Sinks {
		out["sink "+name] = sink.Health()
	}
	for name, plugin := range settings.Plugins {
		out["plugin "+name] = plugin.Health()
	}
	out["ledger"] = gen.s.ledgerHealth()
	out["dead_letters"] = pointed(gen.s.lettersErr.Load())
	if letters, ok := settings.Letters.(interface{ Health() error }); ok && out["dead_letters"] == nil {
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
