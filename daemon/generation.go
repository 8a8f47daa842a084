package daemon

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

// generation is what runs by one configuration: relays over one sequencer. A reload puts another in its place, over the same
// ledger; what outlives it (sources, sinks, plugins that did not change) is the daemon's.
type generation struct {
	s       *sequencer
	relays  []*relay
	outlets map[string]*outlet

	stopResuming context.CancelFunc
	resuming     sync.WaitGroup
}

func newGeneration(settings *Settings, m *metrics) *generation {
	g := &generation{
		s:            newSequencer(settings.Ledger, settings.Letters, settings.Clock, settings.Logger, m, settings.MaxParked),
		outlets:      map[string]*outlet{},
		stopResuming: func() {},
	}
	g.s.tracing = newTracing(settings.Tracer)
	for _, r := range settings.Relays {
		o := g.outlets[r.To]
		if o == nil {
			o = newOutlet(r.To, settings.Sinks[r.To])
			g.outlets[r.To] = o
		}
		g.relays = append(g.relays, newRelay(r, o, g.s))
	}
	return g
}

// start takes up what was parked. The relays take deliveries from then on.
func (g *generation) start(ctx context.Context) error {
	g.s.start()
	for _, o := range g.outlets {
		if o.ordered {
			g.s.running.Add(1)
			go g.s.sendLoop(o)
		}
	}
	resuming, stop := context.WithCancel(context.Background())
	g.stopResuming = stop
	byName := map[string]*relay{}
	for _, r := range g.relays {
		if r.consulting != nil {
			g.s.running.Add(1)
			go r.consultLoop()
		}
		byName[r.settings.Name] = r
		g.resuming.Add(1)
		go func() {
			defer g.resuming.Done()
			g.s.resumeLoop(resuming, r)
		}()
	}
	return g.s.loadParked(ctx, byName)
}

// close keeps the relays from taking anything more, and waits for what is being taken.
func (g *generation) close() {
	for _, r := range g.relays {
		close(r.closing)
		r.taking.Lock()
		r.taking.Unlock() //nolint:staticcheck // Only whoever was taking a delivery is waited for.
	}
	g.stopResuming()
	g.resuming.Wait()
}

// relayOf gives the relay that a source feeds, nil if none does.
func (g *generation) relayOf(source string) *relay {
	for _, r := range g.relays {
		if r.settings.From == source {
			return r
		}
	}
	return nil
}

// retire ends the work after close, but not the sinks that are to go on. It gives back, by the source that made
// them and in their order, the deliveries that were not settled. ctx bounds the waiting for what the sinks have.
func (g *generation) retire(ctx context.Context, keep map[string]transport.Sink) (left map[string][]transport.Delivery, err error) {
	g.s.keepLeft()
	g.s.stop()
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(g.outlets)) {
		if o := g.outlets[name]; keep[name] != o.sink {
			errs = append(errs, o.close(ctx))
		}
	}
	g.s.awaitAnswers(ctx)
	g.s.halt()
	return g.s.leftBySource(), errors.Join(errs...)
}
