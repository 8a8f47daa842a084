package file

import (
	"context"
	"testing"

	transportconformance "github.com/eiffelbridge/eiffelbridge/conformance/transport"
	"github.com/eiffelbridge/eiffelbridge/internal/transportplugin/plugintest"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

// pluginSource is the harness with the plugin protocol between the kit and the source.
type pluginSource struct {
	*sourceHarness
	outer  transport.Source
	plugin *plugintest.Plugin
}

func (h *pluginSource) Source() transport.Source { return h.outer }
func (h *pluginSource) Close() error             { return h.outer.Close() }

// Break kills the plugin: the file is read again from its beginning.
func (h *pluginSource) Break() error { return h.plugin.Kill() }

type pluginSink struct {
	*sinkHarness
	outer  transport.Sink
	plugin *plugintest.Plugin
}

func (h *pluginSink) Sink() transport.Sink { return h.outer }
func (h *pluginSink) Close() error         { return h.outer.Close(context.Background()) }
func (h *pluginSink) Break() error         { return h.plugin.Kill() }

func TestSourceConformanceAsPlugin(t *testing.T) {
	for name, follow := range map[string]bool{"once": false, "follow": true} {
		t.Run(name, func(t *testing.T) {
			newHarness := newSourceHarness(t, follow)
			transportconformance.RunSource(t, func(ctx context.Context) (transportconformance.SourceHarness, error) {
				h, err := newHarness(ctx)
				if err != nil {
					return nil, err
				}
				inner := h.(*sourceHarness)
				inner.source.Close()
				p := &pluginSource{sourceHarness: inner}
				p.outer, p.plugin, err = plugintest.Source(func() (transport.Source, error) {
					settings := DefaultSourceSettings(inner.path)
					settings.Follow = follow
					return Open(settings, quiet)
				})
				return p, err
			}, transportconformance.Options{})
		})
	}
}

func TestSinkConformanceAsPlugin(t *testing.T) {
	newHarness := newSinkHarness(t)
	transportconformance.RunSink(t, func(ctx context.Context) (transportconformance.SinkHarness, error) {
		h, err := newHarness(ctx)
		if err != nil {
			return nil, err
		}
		inner := h.(*sinkHarness)
		if err := inner.sink.Close(ctx); err != nil {
			return nil, err
		}
		p := &pluginSink{sinkHarness: inner}
		p.outer, p.plugin, err = plugintest.Sink(true, func() (transport.Sink, error) {
			return Create(DefaultSinkSettings(inner.path), quiet)
		})
		return p, err
	}, transportconformance.Options{})
}
