package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/eiffelbridge/eiffelbridge/internal/strictyaml"
	"github.com/eiffelbridge/eiffelbridge/plugins/host"
	"github.com/eiffelbridge/eiffelbridge/plugins/pluginv1"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

// PluginTransportConfig is a transport of type plugin. Each such transport has a process of its own, so that several may use one
// plugin.
type PluginTransportConfig struct {
	// Plugin is the name of a plugin under plugins.
	Plugin string `yaml:"plugin"`

	// Config is handed to the plugin in place of the plugin's own Config.
	Config any `yaml:"config"`
}

// transportTypes are the types of transports: the built-in drivers, and plugins.
func (c *Config) transportTypes() map[string]func() transportConfig {
	types := drivers()
	types["plugin"] = func() transportConfig { return &pluginTransport{config: c} }
	return types
}

type pluginTransport struct {
	head
	PluginTransportConfig
	config *Config

	asSource, asSink bool // what relays use it as; validate is told

	lock    sync.Mutex
	process *host.Process
	uses    int // sources and sinks that are not closed
}

func (t *pluginTransport) read(s *strictyaml.Section) { s.Into(&t.head, &t.PluginTransportConfig) }

// What a plugin can be it says when it runs.
func (t *pluginTransport) lacksForSource(*strictyaml.Document, string) string { return "" }
func (t *pluginTransport) lacksForSink(*strictyaml.Document, string) string   { return "" }

func (t *pluginTransport) validate(asSource, asSink bool) error {
	t.asSource, t.asSink = asSource, asSink
	if _, err := json.Marshal(t.Config); err != nil {
		return fmt.Errorf("config: cannot be written as JSON: %w", err)
	}
	if t.Plugin == "" {
		return errors.New("plugin: is missing, the name of a plugin under plugins")
	}
	if _, ok := t.config.Plugins[t.Plugin]; !ok {
		message := fmt.Sprintf("plugin: %q: there is no plugin", t.Plugin)
		if len(t.config.Plugins) > 0 {
			message += "; these are there: " + strings.Join(slices.Sorted(maps.Keys(t.config.Plugins)), ", ")
		}
		return errors.New(message)
	}
	return nil
}

// settings are those of the process.
func (t *pluginTransport) settings(name string, o BuildOptions) host.Settings {
	s := t.config.pluginSettings(t.Plugin, o)
	s.Logger = o.logger(name)
	s.AsSource, s.AsSink = t.asSource, t.asSink
	if t.Config != nil {
		s.Config, _ = json.Marshal(t.Config) // validate has tried
	}
	return s
}

// becomes has a transport that runs go on as another, used for the same; its process is replaced if it has to be another one. The
// files of that are looked at now, so that a reload which cannot succeed is refused.
func (t *pluginTransport) becomes(after *pluginTransport, name string, s *Settings, o BuildOptions) bool {
	t.lock.Lock()
	defer t.lock.Unlock()
	if t.uses == 0 || t.asSource != after.asSource || t.asSink != after.asSink || t.Plugin != after.Plugin {
		return false
	}
	settings := after.settings(name, o)
	differs := t.process.Differs(settings)
	if differs && settings.Verify() != nil {
		return false // it is opened beside this one, which says what is wrong
	}
	s.swaps = append(s.swaps, func() {
		t.lock.Lock()
		defer t.lock.Unlock()
		t.PluginTransportConfig, t.config = after.PluginTransportConfig, after.config
		if !differs {
			return
		}
		if err := t.process.Replace(settings); err != nil {
			o.logger(name).Error("the plugin was changed a moment ago, and runs on as it was", "plugin", t.Plugin, "error", err)
		}
	})
	return true
}

// open starts the process, for the first use of it. A plugin that can never run as it is, or is none of transports, is an error; one that
// does not run yet is shown by the health of what uses it.
func (t *pluginTransport) open(name string, o BuildOptions, fits func(*pluginv1.DescribeResponse) error) (p *host.Process, release func() error, err error) {
	t.lock.Lock()
	defer t.lock.Unlock()
	if t.uses == 0 {
		if t.process, err = host.Start(t.settings(name, o)); err != nil {
			return nil, nil, err
		}
	}
	t.uses++
	var once sync.Once
	release = func() (err error) {
		once.Do(func() {
			t.lock.Lock()
			defer t.lock.Unlock()
			if t.uses--; t.uses == 0 {
				err = t.process.Close()
			}
		})
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), t.process.Settings().StartTimeout)
	defer cancel()
	i, err := t.process.Wait(ctx)
	unavailable := new(host.UnavailableError)
	switch {
	case err == nil:
		err = fits(i.Description)
	case !errors.As(err, &unavailable) || !unavailable.Unfit:
		err = nil
	}
	if err != nil {
		t.uses--
		if t.uses == 0 {
			err = errors.Join(err, t.process.Close())
		}
		return nil, nil, err
	}
	return t.process, release, nil
}

// fitsTransport says why a plugin that describes itself so cannot be what a transport is used as.
func fitsTransport(plugin string, d *pluginv1.DescribeResponse, asSource, asSink bool) error {
	switch {
	case d.GetKind() != pluginv1.Kind_KIND_TRANSPORT:
		return fmt.Errorf("plugin %s is no transport", plugin)
	case asSource && !d.GetSource():
		return fmt.Errorf("plugin %s is no source: a relay can only publish to it", plugin)
	case asSink && !d.GetSink():
		return fmt.Errorf("plugin %s is no sink: a relay can only receive from it", plugin)
	}
	return nil
}

func (t *pluginTransport) source(name string, o BuildOptions) (transport.Source, error) {
	p, release, err := t.open(name, o, func(d *pluginv1.DescribeResponse) error { return fitsTransport(t.Plugin, d, true, false) })
	if err != nil {
		return nil, err
	}
	return host.NewSource(p, release), nil
}

func (t *pluginTransport) sink(name string, o BuildOptions) (transport.Sink, error) {
	p, release, err := t.open(name, o, func(d *pluginv1.DescribeResponse) error { return fitsTransport(t.Plugin, d, false, true) })
	if err != nil {
		return nil, err
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel() // open has waited
	return host.NewSink(ended, p, release), nil
}

func (t *pluginTransport) giveUpAfter() time.Duration { return 0 }

// transportProcess is the process of a transport plugin, to be shown. The transport closes it.
type transportProcess struct{ *host.Process }

var _ Plugin = transportProcess{}

// Close implements [Plugin].
func (transportProcess) Close() error { return nil }

// transportProcesses are those of the transports that are open, by the name of the transport and the plugin's behind it.
func (c *Config) transportProcesses() map[string]Plugin {
	out := map[string]Plugin{}
	for name, t := range c.transports {
		if t, ok := t.(*pluginTransport); ok && t.process != nil {
			out[name+"."+t.Plugin] = transportProcess{t.process}
		}
	}
	return out
}
