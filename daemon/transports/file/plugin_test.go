package file

import (
	"context"
	"fmt"
	"testing"

	transportconformance "github.com/eiffelbridge/eiffelbridge/conformance/transport"
	"github.com/eiffelbridge/eiffelbridge/conformance/transport/transporttest"
	"github.com/eiffelbridge/eiffelbridge/internal/transportplugin/plugintest"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

// overSource is the harness with the plugin protocol between the kit and the source.
type overSource struct {
	*sourceHarness
	outer transport.Source
	kill  func() error
}

func (h *overSource) Source() transport.Source { return h.outer }
func (h *overSource) Close() error             { return h.outer.Close() }

// Break kills the plugin: the file is read again from its beginning.
func (h *overSource) Break() error { return h.kill() }

type overSink struct {
	*sinkHarness
	outer transport.Sink
	kill  func() error
}

func (h *overSink) Sink() transport.Sink { return h.outer }
func (h *overSink) Close() error         { return h.outer.Close(context.Background()) }
func (h *overSink) Break() error         { return h.kill() }

func TestConformanceAsPlugin(t *testing.T) {
	for _, way := range plugintest.Plugins(t) {
		for _, follow := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/source/follow_%v", way.Name, follow), func(t *testing.T) {
				newHarness := newSourceHarness(t, follow)
				transporttest.RunSource(t, func(ctx context.Context) (transportconformance.SourceHarness, error) {
					h, err := newHarness(ctx)
					if err != nil {
						return nil, err
					}
					over := &overSource{sourceHarness: h.(*sourceHarness), kill: way.Kill}
					over.source.Close()
					over.outer, err = way.Source(plugintest.Config{"type": "file", "path": over.path, "follow": follow}, func() (transport.Source, error) {
						settings := DefaultSourceSettings(over.path)
						settings.Follow = follow
						return Open(settings, quiet)
					})
					return over, err
				}, transportconformance.Options{})
			})
		}
		t.Run(way.Name+"/sink", func(t *testing.T) {
			newHarness := newSinkHarness(t)
			transporttest.RunSink(t, func(ctx context.Context) (transportconformance.SinkHarness, error) {
				h, err := newHarness(ctx)
				if err != nil {
					return nil, err
				}
				over := &overSink{sinkHarness: h.(*sinkHarness), kill: way.Kill}
				if err := over.sink.Close(ctx); err != nil {
					return nil, err
				}
				over.outer, err = way.Sink(plugintest.Config{"type": "file", "path": over.path}, true, func() (transport.Sink, error) {
					return Create(DefaultSinkSettings(over.path), quiet)
				})
				return over, err
			}, transportconformance.Options{})
		})
	}
}
