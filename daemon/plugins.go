package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/eiffelbridge/eiffelbridge/plugins/host"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
	"github.com/eiffelbridge/eiffelbridge/translate"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// PluginConfig is a plugin: a program that the relay starts.
type PluginConfig struct {
	// Path is the plugin's binary. A name without a slash is looked up in PATH; a relative path is relative to the
	// configuration's folder. It is executed itself, never by a shell.
	Path string `yaml:"path"`

	// Args are its arguments.
	Args []string `yaml:"args"`

	// SHA256 pins the binary: one that has another checksum is not started. eiffelbridge plugins checksum prints it. It is
	// needed unless Dev is true.
	SHA256 string `yaml:"sha256"`

	// Files pins more files, path by checksum, such as the program of an interpreter.
	Files map[string]string `yaml:"files"`

	// Env is the whole environment of the plugin. It sees nothing of the relay's own but what is named here, as in
	// TOKEN: "${TOKEN}".
	Env map[string]Secret `yaml:"env"`

	// Config is handed to the plugin. What may stand in it, the plugin says.
	Config any `yaml:"config"`

	// Dev starts the plugin without a checksum. It is for whoever is writing the plugin.
	Dev bool `yaml:"dev"`

	// MaxMemory is how many MiB of memory the plugin may use. One that uses more is killed and started anew. 0 is 1024.
	MaxMemory int `yaml:"max_memory"`

	// Timeout is how long the plugin may go without an answer while there are questions. Then it is killed and started
	// anew. 0s is 5s.
	Timeout time.Duration `yaml:"timeout"`
}

// RelayPluginConfig is the use of a plugin by a relay.
type RelayPluginConfig struct {
	// Name is the plugin's under Plugins.
	Name string `yaml:"name"`

	// Mode is override, for a mapping that is asked first, and the bridge where it has no mapping; fallback, for one that is
	// asked where the bridge has none; or decorate, for a decorator, which edits what the bridge and the plugins before it made.
	Mode string `yaml:"mode"`
}

func (c *Config) checkPlugins() {
	for _, name := range slices.Sorted(maps.Keys(c.Plugins)) {
		p := c.Plugins[name]
		if p.MaxMemory < 0 {
			c.doc.Report("plugins."+name+".max_memory", "%d is less than 0", p.MaxMemory)
		}
		if p.Timeout < 0 {
			c.doc.Report("plugins."+name+".timeout", "%v is less than 0s", p.Timeout)
		}
		if _, err := json.Marshal(p.Config); err != nil {
			c.doc.Report("plugins."+name+".config", "cannot be written as JSON: %v", err)
			continue
		}
		if err := c.pluginSettings(name, BuildOptions{}).Validate(); err != nil {
			message := strings.TrimPrefix(err.Error(), "plugin "+name+": ")
			key := "plugins." + name
			for _, at := range []string{"sha256", "files", "path"} {
				if rest, ok := strings.CutPrefix(message, at+": "); ok {
					key, message = key+"."+at, rest
				} else if rest, ok := strings.CutPrefix(message, at+" "); ok {
					key, message = key+"."+at, rest
				}
			}
			c.doc.Report(key, "%s", message)
		}
	}
	for i, r := range c.Relays {
		seen := map[string]bool{}
		for n, p := range r.Plugins {
			at := fmt.Sprintf("relays[%d].plugins[%d]", i, n)
			switch _, ok := c.Plugins[p.Name]; {
			case p.Name == "":
				c.doc.Report(at+".name", "is missing")
			case !ok:
				message := "there is no plugin"
				if len(c.Plugins) > 0 {
					message += "; these are there: " + strings.Join(slices.Sorted(maps.Keys(c.Plugins)), ", ")
				}
				c.doc.Report(at+".name", "%q: %s", p.Name, message)
			case seen[p.Name]:
				c.doc.Report(at+".name", "%s stands in this relay already", p.Name)
			}
			seen[p.Name] = true
			if p.Mode == "" {
				c.doc.Report(at+".mode", "is missing; it is override, fallback or decorate")
			}
			c.oneOf(at+".mode", p.Mode, "override", "fallback", "decorate")
		}
	}
}

// PluginSettings are the plugins of a configuration, by name. They are not started.
func (c *Config) PluginSettings(o BuildOptions) map[string]host.Settings {
	out := map[string]host.Settings{}
	for name := range c.Plugins {
		out[name] = c.pluginSettings(name, o)
	}
	return out
}

func (c *Config) pluginSettings(name string, o BuildOptions) host.Settings {
	p := c.Plugins[name]
	s := host.DefaultSettings()
	s.Name, s.Path, s.Args, s.SHA256, s.Dev, s.HostVersion = name, p.Path, p.Args, p.SHA256, p.Dev, o.Version
	if o.Logger != nil {
		s.Logger = o.Logger
	}
	s.Path = binaryIn(c.folder, p.Path)
	for file, sum := range p.Files {
		if s.Files == nil {
			s.Files = map[string]string{}
		}
		s.Files[fileIn(c.folder, file)] = sum
	}
	for key, value := range p.Env {
		if s.Env == nil {
			s.Env = map[string]string{}
		}
		s.Env[key] = string(value)
	}
	if p.Config != nil {
		s.Config, _ = json.Marshal(p.Config) // checkPlugins has tried
	}
	if p.MaxMemory > 0 {
		s.MaxMemory = int64(p.MaxMemory) << 20
	}
	return s
}

// fileIn is a path that may be relative to a folder.
func fileIn(folder, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(folder, path)
}

// binaryIn is fileIn for a binary: a name without a slash is left to be looked up in PATH.
func binaryIn(folder, path string) string {
	if !strings.ContainsAny(path, `/\`) {
		return path
	}
	path = fileIn(folder, path)
	if !strings.ContainsAny(path, `/\`) {
		path = "." + string(filepath.Separator) + path
	}
	return path
}

// plugins are the plugins that relays ask, and what is asked of each.
type plugins struct {
	parts    map[string]Plugin
	mappings map[mappingUse]*host.Mapping
}

type mappingUse struct {
	name     string
	decorate bool
}

// startPlugins starts the plugins that relays use and that do not run yet, and waits until each has started once or failed
// to. What no start can change is an error; a plugin that only dies is shown by its health.
func (c *Config) startPlugins(o BuildOptions, before *predecessor) (p *plugins, err error) {
	p = &plugins{parts: map[string]Plugin{}, mappings: map[mappingUse]*host.Mapping{}}
	started := Settings{Plugins: p.parts}
	defer func() {
		if err != nil {
			err = errors.Join(err, started.close(before.running()))
		}
	}()
	wanted := map[string][]mappingUse{}
	for _, r := range c.Relays {
		for _, use := range r.Plugins {
			u := mappingUse{use.Name, use.Mode == string(host.ModeDecorate)}
			if !slices.Contains(wanted[use.Name], u) {
				wanted[use.Name] = append(wanted[use.Name], u)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		settings := c.pluginSettings(name, o)
		part := before.plugin(name, settings, c.Plugins[name].Timeout, wanted[name])
		if part == nil {
			process, err := host.Start(settings)
			if err != nil {
				return nil, err
			}
			part = &pluginPart{Process: process, mappings: map[mappingUse]*host.Mapping{}, timeout: c.Plugins[name].Timeout}
			for _, use := range wanted[name] {
				part.mappings[use] = host.NewMapping(process, use.decorate, host.MappingSettings{Timeout: part.timeout})
			}
		}
		p.parts[name] = part
		maps.Copy(p.mappings, part.mappings)
	}
	for key, m := range p.mappings {
		ctx, cancel := context.WithTimeout(context.Background(), m.Process().Settings().StartTimeout)
		i, err := m.Process().Wait(ctx)
		cancel()
		if err == nil {
			err = m.Fits(i.Description)
		} else if unavailable := new(host.UnavailableError); !errors.As(err, &unavailable) || !unavailable.Unfit {
			err = nil
		}
		if err != nil {
			return nil, fmt.Errorf("plugins.%s: %w", key.name, err)
		}
	}
	return p, nil
}

// plugin gives the running plugin of a name if it is the very one that is wanted, else nil.
func (b *predecessor) plugin(name string, settings host.Settings, timeout time.Duration, wanted []mappingUse) *pluginPart {
	if b == nil {
		return nil
	}
	part, ok := b.settings.Plugins[name].(*pluginPart)
	if !ok || part.timeout != timeout || part.Differs(settings) {
		return nil
	}
	for _, use := range wanted {
		if part.mappings[use] == nil {
			return nil
		}
	}
	return part
}

// join puts a relay's plugins over its engine.
func (p *plugins) join(engine *translate.Engine, uses []RelayPluginConfig) (translate.Translator, error) {
	if len(uses) == 0 {
		return engine, nil
	}
	s := engine.Settings()
	s.NoMapping = translate.NoMappingRefuse
	refusing, err := translate.New(s)
	if err != nil {
		return nil, err
	}
	var links []host.Link
	for _, use := range uses {
		links = append(links, host.Link{Plugin: p.mappings[mappingUse{use.Name, use.Mode == string(host.ModeDecorate)}], Mode: host.Mode(use.Mode)})
	}
	return host.NewChain(engine, refusing, links), nil
}

// Plugin is what the daemon must know of a plugin to show it and to end it.
type Plugin interface {
	Health() error
	Close() error
	Stats() host.Stats
}

// pluginPart is a plugin with what is asked of it.
type pluginPart struct {
	*host.Process
	mappings map[mappingUse]*host.Mapping
	timeout  time.Duration // of the mappings
}

// Health implements [Plugin].
func (p *pluginPart) Health() error {
	for _, m := range p.mappings {
		if err := m.Health(); err != nil {
			return err
		}
	}
	return p.Process.Health()
}

// Close implements [Plugin].
func (p *pluginPart) Close() error {
	for _, m := range p.mappings {
		m.Close()
	}
	return p.Process.Close()
}

func (p *pluginPart) events() (answered, failed int64) {
	for _, m := range p.mappings {
		answered, failed = answered+m.Answered(), failed+m.Failed()
	}
	return answered, failed
}

// pluginMetrics is what Prometheus may ask of the plugins.
type pluginMetrics struct {
	plugins                                              func() map[string]Plugin // those of the present configuration
	up, broken, starts, deaths, memory, answered, failed *prometheus.Desc
}

func newPluginMetrics(plugins func() map[string]Plugin) *pluginMetrics {
	d := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("eiffelbridge_plugin_"+name, help, []string{"plugin"}, nil)
	}
	return &pluginMetrics{
		plugins: plugins,
		up:      d("up", "1 while the plugin runs."), broken: d("breaker_open", "1 while the plugin is not started any more but from time to time."),
		starts: d("starts_total", "Starts of the plugin that succeeded."), deaths: d("deaths_total", "Ends of the plugin that nobody asked for, failed starts included."),
		memory:   d("resident_memory_bytes", "Memory of the plugin, where it can be told."),
		answered: d("answers_total", "Answers of the plugin about one event."), failed: d("failures_total", "Events for which the plugin gave nothing that could be used."),
	}
}

// Describe implements [prometheus.Collector].
func (m *pluginMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.up, m.broken, m.starts, m.deaths, m.memory, m.answered, m.failed} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (m *pluginMetrics) Collect(ch chan<- prometheus.Metric) {
	flag := func(b bool) float64 {
		if b {
			return 1
		}
		return 0
	}
	for name, p := range m.plugins() {
		s := p.Stats()
		gauge := func(d *prometheus.Desc, v float64) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, name)
		}
		counter := func(d *prometheus.Desc, v float64) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, name)
		}
		gauge(m.up, flag(s.Running))
		gauge(m.broken, flag(s.BreakerOpen))
		counter(m.starts, float64(s.Starts))
		counter(m.deaths, float64(s.Deaths))
		gauge(m.memory, float64(s.Memory))
		if part, ok := p.(interface{ events() (int64, int64) }); ok {
			answered, failed := part.events()
			counter(m.answered, float64(answered))
			counter(m.failed, float64(failed))
		}
	}
}

// consulting is a translator that has plugins to ask, which takes time.
type consulting interface{ Consult() *host.Consultation }

// consultation is a delivery whose plugins are being asked. The relay's deliveries enter the sequence in the order in
// which they came, each when its own answers are there.
type consultation struct {
	delivery *taken
	event    translate.Event
	answers  *host.Consultation
	done     chan struct{}
	err      error
}

// consult asks the plugins about an event before it has its place in the sequence, where nothing may wait. They are asked with
// the ledger as it is now; in its place the event is translated with the answers, and asks again only what turns out
// to be another question there.
func (r *relay) consult(d *taken, event translate.Event) {
	c := &consultation{delivery: d, event: event, answers: r.consulting.Consult(), done: make(chan struct{})}
	r.s.mu.Lock()
	if r.s.stopped {
		r.s.mu.Unlock()
		r.release(1)
		r.account.settle([]*taken{d}, outcomeRetried)
		d.trace.end(outcomeRetried, "", r.s.clock.Now())
		d.Settle(transport.Settlement{Outcome: transport.Retried, Err: errStopped})
		return
	}
	r.entering++
	r.s.entering++
	r.s.idleChanged()
	r.s.running.Add(1)
	r.s.mu.Unlock()
	r.consulted <- c // it has room for as many as the relay may have in flight
	go func() {
		defer r.s.running.Done()
		defer close(c.done)
		defer func() {
			if p := recover(); p != nil {
				c.err = nil // it will panic again in its place, where that is dealt with
				r.s.log.Debug("panic while plugins were asked", "relay", r.settings.Name, "panic", fmt.Sprint(p))
			}
		}()
		ctx := r.s.work
		if after := r.settings.Retry.GiveUpAfter; after > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, after)
			defer cancel()
		}
		step := d.trace.step("ask plugins", r.s.clock.Now())
		_, err := translate.Ask(ctx, c.answers.Ask(ctx), peek{r.s}, event)
		step.done(err, r.s.clock.Now())
		if ctx.Err() != nil {
			c.err = fmt.Errorf("relay %s: a plugin did not answer in time: %w", r.settings.Name, err)
		}
		// Any other error comes again in its place.
	}()
}

// consultLoop takes what was consulted into the sequence, in its order.
func (r *relay) consultLoop() {
	defer r.s.running.Done()
	for {
		select {
		case c := <-r.consulted:
			r.enter(c)
		case <-r.s.work.Done():
			for {
				r.s.mu.Lock()
				left := r.entering
				r.s.mu.Unlock()
				if left == 0 {
					return // and nothing comes any more
				}
				r.enter(<-r.consulted)
			}
		}
	}
}

func (r *relay) enter(c *consultation) {
	<-c.done
	defer func() {
		r.s.mu.Lock()
		r.entering--
		r.s.entering--
		r.s.idleChanged()
		r.s.mu.Unlock()
	}()
	err := c.err
	if r.s.work.Err() != nil {
		err = errStopped
	}
	if err != nil {
		r.release(1)
		r.account.settle([]*taken{c.delivery}, outcomeRetried)
		c.delivery.trace.end(outcomeRetried, "", r.s.clock.Now())
		r.s.mu.Lock()
		keeps := r.s.keeps && errors.Is(err, errStopped)
		if keeps {
			r.s.left = append(r.s.left, leftover{math.MaxUint64, r, c.delivery.Delivery}) // it came after all that have a place
		}
		r.s.mu.Unlock()
		if !keeps {
			c.delivery.Settle(transport.Settlement{Outcome: transport.Retried, Err: err, RetryAfter: time.Second})
		}
		return
	}
	r.s.submitConsulted(r, c.delivery, c.event, c.answers)
}

// peek is the ledger as it is at the moment, with what is in flight.
type peek struct{ s *sequencer }

// Read implements the reader that [translate.Ask] wants.
func (p peek) Read(ctx context.Context, queries []ledger.Query) ([]ledger.Record, error) {
	p.s.mu.Lock()
	defer p.s.unlock()
	v := &view{s: p.s, t: &transaction{seq: p.s.next + 1}, seen: map[ledger.Query][]byte{}}
	return v.read(ctx, queries)
}

// awaitAnswer asks what a transaction came to in its place and has no answer for. Those behind it wait, since nobody knows
// what it will touch.
func (s *sequencer) awaitAnswer(t *transaction) {
	t.asking = true
	answers := t.answers
	s.running.Add(1)
	go func() {
		defer s.running.Done()
		err := answers.AskOpen(s.work)
		s.mu.Lock()
		defer s.unlock()
		t.asking = false
		if err == nil && t.state != finished {
			s.retry()
		}
	}()
}

// logPlugins says what runs.
func logPlugins(log *slog.Logger, plugins map[string]Plugin) {
	for _, name := range slices.Sorted(maps.Keys(plugins)) {
		if err := plugins[name].Health(); err != nil {
			log.Error("plugin does not work", "plugin", name, "error", err)
		}
	}
}
