package host_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/plugins/host"
	"github.com/eiffelbridge/eiffelbridge/translate"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

func benchChain(b *testing.B) *host.Chain {
	b.Helper()
	s := host.DefaultSettings()
	s.Name, s.Args, s.Dev = "tool", []string{"mapping"}, true
	s.Path, _ = os.Executable()
	p, err := host.Start(s)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = p.Close() })
	if _, err := p.Wait(b.Context()); err != nil {
		b.Fatal(err)
	}
	m := host.NewMapping(p, false, host.MappingSettings{})
	b.Cleanup(m.Close)
	nothing := refusal{}
	return host.NewChain(nothing, nothing, []host.Link{{Plugin: m, Mode: host.ModeFallback}})
}

// refusal leaves everything to the plugin.
type refusal struct{}

func (refusal) Translate(in translate.Event, _ *ledger.Facts) (translate.Result, error) {
	return translate.Result{}, &translate.EventError{Code: translate.CodeNoMapping}
}

func benchEvent(b *testing.B) translate.Event {
	b.Helper()
	e, err := translate.Decode(fmt.Appendf(nil, `{"context":{"specversion":"0.5.1","id":"1","source":"s","type":"dev.cdeventsx.tool-thing.happened.0.1.0","timestamp":"2026-03-01T09:30:00Z"},"subject":{"id":"x","content":{}}}`))
	if err != nil {
		b.Fatal(err)
	}
	return e
}

// BenchmarkHop is one event to a plugin and back, checked, in what a relay has in flight and one after the other.
func BenchmarkHop(b *testing.B) {
	for name, inFlight := range map[string]int{"alone": 1, "in_flight_256": 256} {
		b.Run(name, func(b *testing.B) {
			c := benchChain(b)
			in := benchEvent(b)
			b.ResetTimer()
			if inFlight == 1 {
				for b.Loop() {
					if _, err := c.Translate(in, &ledger.Facts{}); err != nil {
						b.Fatal(err)
					}
				}
			} else {
				room := make(chan struct{}, inFlight)
				for b.Loop() {
					room <- struct{}{}
					go func() {
						if _, err := c.Translate(in, &ledger.Facts{}); err != nil {
							b.Error(err)
						}
						<-room
					}()
				}
				for range inFlight {
					room <- struct{}{}
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// BenchmarkStart is a plugin from nothing to configured, and its end.
func BenchmarkStart(b *testing.B) {
	s := host.DefaultSettings()
	s.Name, s.Args, s.Dev = "tool", []string{"mapping"}, true
	s.Path, _ = os.Executable()
	var total float64
	for b.Loop() {
		p, err := host.Start(s)
		if err != nil {
			b.Fatal(err)
		}
		i, err := p.Wait(context.Background())
		if err != nil {
			b.Fatal(err)
		}
		total += i.Started.Seconds()
		_ = p.Close()
	}
	b.ReportMetric(total/float64(b.N)*1000, "ms/start")
}
