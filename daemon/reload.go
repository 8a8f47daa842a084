package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

// quietDrain is how long a reload lets events in flight come to their end before it takes them over as they are. While
// everything works, far less is needed; while a sink is away, no time would be enough.
const quietDrain = 2 * time.Second

// ErrNotReloadable is the error of a reload that would have to change what a running daemon cannot: its ledger, dead
// letters or admin listener.
var ErrNotReloadable = errors.New("needs a restart")

// Reload goes on by other settings, and loses nothing: sources that both have go on delivering, and what they deliver
// meanwhile waits; events in flight come to their end, or where a sink does not answer are taken over in their order.
// Sources, sinks and plugins that only the old settings have are closed.
//
// The ledger, the dead letters, the clock, the logger and the admin listener must be the same, else the error is
// [ErrNotReloadable]. On an error nothing has changed, and what only the new settings hold is closed.
//
// It is safe for concurrent use; reloads wait for each other. ctx bounds the waiting for sinks that do not answer, after which their
// events are sent anew all the same.
func (d *Daemon) Reload(ctx context.Context, next Settings) error {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(d.receiving, cancel)() // a shutdown does not wait for long
	old, gen := d.present()
	err := d.reloadable(old, &next)
	d.mu.Lock()
	if err == nil && d.open == 0 {
		err = errors.New("reload: the daemon has come to its end")
	}
	if err == nil {
		d.open++ // the end of the last old source is not the end
	}
	d.mu.Unlock()
	if err != nil {
		d.RefuseReload(err)
		return errors.Join(err, next.close(&old))
	}

	for _, in := range d.inlets {
		in.pause()
	}
	gen.close()
	for _, in := range d.inlets {
		in.settled()
	}
	quiet, stop := context.WithTimeout(ctx, d.quiet)
	_ = gen.s.drain(quiet) // what is left is taken over
	stop()
	left, err := gen.retire(ctx, next.Sinks)
	if err != nil {
		d.log.Warn("reload: a sink was not closed in order", "error", err)
	}

	inlets, gone := d.exchangeInlets(&next, left)
	for _, name := range slices.Sorted(maps.Keys(old.Plugins)) {
		if next.Plugins[name] != old.Plugins[name] {
			if err := old.Plugins[name].Close(); err != nil {
				d.log.Warn("reload: a plugin was not closed in order", "plugin", name, "error", err)
			}
		}
	}
	for _, swap := range next.swaps {
		swap()
	}

	gen = newGeneration(&next, d.metrics)
	d.mu.Lock()
	d.settings, d.gen, d.inlets = next, gen, inlets
	d.mu.Unlock()
	// Not even a shutdown interrupts this; it follows at once.
	err = gen.start(context.WithoutCancel(ctx))
	for _, in := range inlets {
		if old.Sources[in.name] != in.source && err == nil {
			d.receive(in)
		}
		in.resume(gen.relayOf(in.name), left[in.name])
	}
	d.sourceEnded()
	if err != nil {
		// The ledger could be read a moment ago. Without what is parked the relay must not run.
		err = fmt.Errorf("reload: %w", err)
		d.log.Error("reload failed; the relay ends", "error", err)
		d.fail(err)
		return err
	}
	d.metrics.reloaded(true, d.clock.Now())
	logPlugins(d.log, next.Plugins)
	d.log.Info("configuration reloaded", "relays", len(next.Relays), "sources_closed", gone)
	return nil
}

// RefuseReload notes, in the log and the metrics, that a reload came to nothing before there were settings for it.
func (d *Daemon) RefuseReload(reason error) {
	d.metrics.reloaded(false, d.clock.Now())
	d.log.Error("configuration not reloaded; the relay goes on as before", "error", reason)
}

// reloadable tells why settings cannot follow others.
func (d *Daemon) reloadable(old Settings, next *Settings) error {
	if d.receiving.Err() != nil {
		return errors.New("reload: the daemon is ending")
	}
	next.Clock, next.Logger, next.Tracer = old.Clock, old.Logger, old.Tracer
	next.complete()
	if err := next.validate(); err != nil {
		return err
	}
	for _, part := range []struct {
		name string
		same bool
	}{
		{"ledger", next.Ledger == old.Ledger}, {"dead_letters", next.Letters == old.Letters}, {"admin", next.Admin == old.Admin},
	} {
		if !part.same {
			return fmt.Errorf("reload: %s: %w", part.name, ErrNotReloadable)
		}
	}
	return nil
}

// exchangeInlets closes the sources that do not go on, and gives the inlets of those that the new settings have.
func (d *Daemon) exchangeInlets(next *Settings, left map[string][]transport.Delivery) (inlets map[string]*inlet, gone []string) {
	inlets = map[string]*inlet{}
	for name, in := range d.inlets {
		if next.Sources[name] == in.source {
			inlets[name] = in
			continue
		}
		gone = append(gone, name)
		in.close()
		in.giveBack(left[name])
		delete(left, name)
		in.stop()
		<-in.ended
		if err := in.source.Close(); err != nil {
			d.log.Warn("reload: a source was not closed in order", "transport", name, "error", err)
		}
	}
	slices.Sort(gone)
	for _, r := range next.Relays {
		if inlets[r.From] == nil {
			inlets[r.From] = newInlet(r.From, next.Sources[r.From])
		}
	}
	return inlets, gone
}
