package daemon

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"reflect"
	"slices"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/eiffelbridge/eiffelbridge/daemon/ledger"
	"github.com/eiffelbridge/eiffelbridge/daemon/transports/amqp091"
	cdeventswebhook "github.com/eiffelbridge/eiffelbridge/daemon/transports/cdevents_webhook"
	cloudeventshttp "github.com/eiffelbridge/eiffelbridge/daemon/transports/cloudevents_http"
	"github.com/eiffelbridge/eiffelbridge/daemon/transports/file"
	"github.com/eiffelbridge/eiffelbridge/daemon/transports/stdio"
	"github.com/eiffelbridge/eiffelbridge/internal/strictyaml"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// BuildOptions are what a program adds to a configuration.
type BuildOptions struct {
	Logger  *slog.Logger // nil: nothing is logged
	Clock   Clock        // nil: SystemClock
	Version string       // of the program, for the serializer of Eiffel events
	Stdin   io.Reader    // of transports of type stdio; nil: os.Stdin
	Stdout  io.Writer    // nil: os.Stdout

	Tracer trace.TracerProvider // nil: no traces

	sockets *sockets // of the daemon; nil outside of one
	unnamed bool     // whoever logs names the transport
}

// Settings opens what a configuration names: the ledger, the dead letters, the transports. An error of type *[ConfigError] lists
// the configuration's problems; any other names the part that could not be opened, and leaves nothing open.
func (c *Config) Settings(o BuildOptions) (Settings, error) { return c.build(o, nil) }

// Successor is Settings for [Daemon.Reload], where a daemon runs by the settings of another configuration, made with the same
// options. Transports and plugins that did not change go on as they are; what else there is is opened beside them. An error that
// wraps [ErrNotReloadable] names the key that only a restart can change.
func (c *Config) Successor(o BuildOptions, running *Config, settings Settings) (Settings, error) {
	if err := c.err(); err != nil {
		return Settings{}, err
	}
	before := &predecessor{config: running, settings: settings}
	if err := before.allows(c); err != nil {
		return Settings{}, err
	}
	return c.build(o, before)
}

func (c *Config) build(o BuildOptions, before *predecessor) (s Settings, err error) {
	if err := c.err(); err != nil {
		return Settings{}, err
	}
	o = o.withDefaults()
	s = Settings{
		Sources: map[string]transport.Source{}, Sinks: map[string]transport.Sink{},
		Admin:     AdminSettings{Listen: c.Admin.Listen, Token: c.Admin.Token},
		MaxParked: c.MaxParked, Clock: o.Clock, Logger: o.Logger, Tracer: o.Tracer,
	}
	if s.Admin.Listen == "off" {
		s.Admin.Listen = ""
	}
	if before == nil {
		s.sockets = newSockets()
	} else {
		s.sockets = before.settings.sockets
	}
	o.sockets = s.sockets
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close(before.running()))
			s = Settings{}
		}
	}()
	running, err := c.startPlugins(o, before)
	if err != nil {
		return s, err
	}
	s.Plugins = running.parts
	for i, r := range c.Relays {
		relay, err := r.settings(c.transports[r.From].giveUpAfter(), o.Version)
		if err != nil {
			return s, fmt.Errorf("relays[%d] %s: %w", i, r.Name, err)
		}
		// settings makes an engine.
		if relay.Translator, err = running.join(relay.Translator.(*translate.Engine), r.Plugins); err != nil {
			return s, fmt.Errorf("relays[%d] %s: %w", i, r.Name, err)
		}
		s.Relays = append(s.Relays, relay)
	}
	if err := c.openStores(&s, o, before); err != nil {
		return s, err
	}
	for _, r := range c.Relays {
		if s.Sinks[r.To] == nil {
			if s.Sinks[r.To] = before.sink(c, r.To, &s, o); s.Sinks[r.To] == nil {
				sink, err := c.transports[r.To].sink(r.To, o)
				if err != nil {
					return s, fmt.Errorf("transports.%s, as the sink of relay %s: %w", r.To, r.Name, err)
				}
				s.Sinks[r.To] = sink
			}
		}
		source := before.source(c, r.From, &s, o)
		if source == nil {
			if source, err = c.transports[r.From].source(r.From, o); err != nil {
				return s, fmt.Errorf("transports.%s, as the source of relay %s: %w", r.From, r.Name, err)
			}
		}
		s.Sources[r.From] = source
		if hooks, ok := source.(*cdeventswebhook.Source); ok {
			for name, process := range hooks.Translators() {
				s.Plugins[r.From+"."+name] = process
			}
		}
	}
	maps.Copy(s.Plugins, c.transportProcesses())
	return s, nil
}

// openStores opens the ledger and the dead letters.
func (c *Config) openStores(s *Settings, o BuildOptions, before *predecessor) (err error) {
	if before != nil {
		s.Ledger, s.Letters = before.settings.Ledger, before.settings.Letters
		return nil
	}
	if s.Ledger, err = c.Ledger.open(o); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	if s.Letters, err = c.openLetters(s.Ledger, o); err != nil {
		return fmt.Errorf("dead_letters: %w", err)
	}
	return nil
}

func (l LedgerConfig) open(o BuildOptions) (ledger.Store, error) {
	options := ledger.Options{Retention: l.Retention, Now: o.Clock.Now, Logger: o.Logger.With("part", "ledger")}
	if l.Type == "memory" {
		return ledger.NewMemoryWith(options), nil
	}
	// Not returned at once: a nil *ledger.File in a Store would not be nil.
	store, err := ledger.Open(l.Path, options)
	if err != nil {
		return nil, err
	}
	return store, nil
}

// settings are those of the relay with their defaults.
func (r RelayConfig) settings(giveUp time.Duration, version string) (RelaySettings, error) {
	s := DefaultRelay()
	s.Name, s.From, s.To = r.Name, r.From, r.To
	s.Retry = r.Retry.settings(giveUp)
	if r.MaxInFlight != 0 {
		s.MaxInFlight = r.MaxInFlight
	}
	if r.Unresolved.Timeout != 0 {
		s.UnresolvedTimeout = r.Unresolved.Timeout
	}
	switch r.Unresolved.Policy {
	case "placeholder":
		s.Unresolved = Placeholder
	case "fail":
		s.Unresolved = Fail
	}
	s.Translate = translate.Eiffel
	if r.Translate == "cdevents" {
		s.Translate = translate.CDEvents
	}
	t := translate.Settings{Edition: r.Edition, Spec: r.Spec, Carry: translate.Carry(r.Carry), Synthesize: translate.Synthesize(r.Synthesize),
		Returning: cmp.Or(translate.Returning(r.Returning), translate.ReturningDrop), NoMapping: translate.NoMapping(r.OnNoMapping),
		Version: version, Catalogue: r.catalogue}
	if r.OnNoMapping == "dead_letter" {
		t.NoMapping = translate.NoMappingRefuse
	}
	engine, err := translate.New(t)
	if err != nil {
		return s, err
	}
	s.Translator = engine
	return s, nil
}

// transportConfig is a transport in the form of its driver.
type transportConfig interface {
	read(section *strictyaml.Section)
	// lacksForSource and lacksForSink tell what is missing for the role; empty if nothing is.
	lacksForSource(doc *strictyaml.Document, key string) string
	lacksForSink(doc *strictyaml.Document, key string) string
	// validate joins errors that begin with a key of the transport, a colon and a space.
	validate(asSource, asSink bool) error
	source(name string, o BuildOptions) (transport.Source, error)
	sink(name string, o BuildOptions) (transport.Sink, error)
	// giveUpAfter is the default of retry.give_up_after for a relay from this source.
	giveUpAfter() time.Duration
}

// drivers are the built-in drivers by their type in the configuration.
func drivers() map[string]func() transportConfig {
	return map[string]func() transportConfig{
		"cloudevents_http": func() transportConfig {
			return &httpTransport{in: cloudeventshttp.DefaultSourceSettings(), out: cloudeventshttp.DefaultSinkSettings("")}
		},
		"cdevents_webhook": func() transportConfig { return &webhookTransport{in: cdeventswebhook.DefaultSettings()} },
		"amqp091":          func() transportConfig { return &amqpTransport{settings: amqp091.DefaultSettings()} },
		"stdio":            func() transportConfig { return &stdioTransport{in: stdio.DefaultSourceSettings()} },
		"file":             func() transportConfig { return &fileTransport{in: file.DefaultSourceSettings("")} },
	}
}

// head is the key that all transports have.
type head struct {
	Type string `yaml:"type"`
}

// listenOn is what makes the listeners of sources; nil where nothing is reloaded.
func (o BuildOptions) listenOn() func(network, address string) (net.Listener, error) {
	if o.sockets == nil {
		return nil
	}
	return o.sockets.listen
}

func (o BuildOptions) logger(name string) *slog.Logger {
	if o.unnamed {
		return o.Logger
	}
	return o.Logger.With("transport", name)
}

type httpTransport struct {
	head
	in  cloudeventshttp.SourceSettings
	out cloudeventshttp.SinkSettings
}

func (t *httpTransport) read(s *strictyaml.Section) { s.Into(&t.head, &t.in, &t.out) }

func (t *httpTransport) lacksForSource(doc *strictyaml.Document, key string) string {
	if !doc.Has(key + ".listen") {
		return "listen is missing, the address to listen on"
	}
	return ""
}

func (t *httpTransport) lacksForSink(doc *strictyaml.Document, key string) string {
	if !doc.Has(key + ".target") {
		return "target is missing, the URL to send to"
	}
	return ""
}

func (t *httpTransport) validate(asSource, asSink bool) error {
	var errs []error
	if asSource {
		errs = append(errs, t.in.Validate())
	}
	if asSink {
		errs = append(errs, t.out.Validate())
	}
	return errors.Join(errs...)
}

func (t *httpTransport) source(name string, o BuildOptions) (transport.Source, error) {
	in := t.in
	in.ListenOn = o.listenOn()
	return cloudeventshttp.Listen(in, o.logger(name))
}

func (t *httpTransport) sink(name string, o BuildOptions) (transport.Sink, error) {
	return cloudeventshttp.NewSink(t.out, o.logger(name))
}

func (t *httpTransport) giveUpAfter() time.Duration { return HTTPGiveUpAfter }

type webhookTransport struct {
	head
	in     cdeventswebhook.Settings
	folder string // of the configuration
}

func (t *webhookTransport) read(s *strictyaml.Section) { s.Into(&t.head, &t.in) }

func (t *webhookTransport) lacksForSource(doc *strictyaml.Document, key string) string {
	if !doc.Has(key + ".listen") {
		return "listen is missing, the address to listen on"
	}
	return ""
}

func (t *webhookTransport) lacksForSink(*strictyaml.Document, string) string {
	return "it only listens; a transport of type cloudevents_http sends"
}

func (t *webhookTransport) validate(bool, bool) error { return t.in.Validate() }

func (t *webhookTransport) source(name string, o BuildOptions) (transport.Source, error) {
	in := t.settings()
	in.ListenOn = o.listenOn()
	return cdeventswebhook.Listen(in, o.logger(name))
}

// becomes has a transport that runs go on as another, if they differ in their translators' binaries at most. Those are looked at
// now, so that a reload which cannot succeed is refused.
func (t *webhookTransport) becomes(after *webhookTransport, name string, running transport.Source, s *Settings, o BuildOptions) bool {
	source, ok := running.(*cdeventswebhook.Source)
	before, wanted := t.settings(), after.settings()
	if !ok || !slices.Equal(slices.Sorted(maps.Keys(before.Translators)), slices.Sorted(maps.Keys(wanted.Translators))) {
		return false
	}
	translators := wanted.Translators
	before.Translators, wanted.Translators = nil, nil
	if !reflect.DeepEqual(before, wanted) {
		return false
	}
	for key, process := range source.Translators() {
		settings := translators[key].Process(key, o.logger(name))
		if !process.Differs(settings) {
			continue
		}
		if settings.Verify() != nil {
			return false // it is opened beside this one, which says what is wrong
		}
		s.swaps = append(s.swaps, func() {
			if err := process.Replace(settings); err != nil {
				o.logger(name).Error("the translator was changed a moment ago, and runs on as it was", "translator", key, "error", err)
			}
		})
	}
	return true
}

// settings has the paths that the configuration gives relative to its folder.
func (t *webhookTransport) settings() cdeventswebhook.Settings {
	in := t.in
	in.Translators = map[string]cdeventswebhook.Translator{}
	for key, one := range t.in.Translators {
		files := map[string]string{}
		for file, sum := range one.Files {
			files[fileIn(t.folder, file)] = sum
		}
		one.Path, one.Files = binaryIn(t.folder, one.Path), files
		in.Translators[key] = one
	}
	return in
}

func (t *webhookTransport) sink(string, BuildOptions) (transport.Sink, error) {
	return nil, errors.New("it only listens")
}

func (t *webhookTransport) giveUpAfter() time.Duration { return HTTPGiveUpAfter }

type amqpTransport struct {
	head
	settings amqp091.Settings
	emptyTLS bool // tls stands there without a value
}

func (t *amqpTransport) read(s *strictyaml.Section) {
	s.Into(&t.head, &t.settings)
	if !s.Has("url") && slices.ContainsFunc(amqp091.OtherThanURL(), s.Has) {
		t.settings.URL = "" // the default one
	}
	t.emptyTLS = s.Has("tls") && t.settings.TLS == nil
}

func (t *amqpTransport) lacksForSource(doc *strictyaml.Document, key string) string {
	if t.settings.Queue == "" {
		return "queue is missing, the name of the queue to consume from"
	}
	return ""
}

func (t *amqpTransport) lacksForSink(doc *strictyaml.Document, key string) string { return "" }

func (t *amqpTransport) validate(asSource, asSink bool) error {
	err := t.settings.Validate()
	if t.emptyTLS {
		// As with any key, that would be the default, which is no encryption: hardly what is meant.
		err = errors.Join(err, errors.New("tls: has no value; write {} to trust the authorities of the system"))
	}
	if asSource {
		err = errors.Join(err, t.settings.ValidateSource())
	}
	if asSink {
		err = errors.Join(err, t.settings.ValidateSink())
	}
	return err
}

func (t *amqpTransport) source(name string, o BuildOptions) (transport.Source, error) {
	return amqp091.NewSource(t.settings, o.logger(name))
}

func (t *amqpTransport) sink(name string, o BuildOptions) (transport.Sink, error) {
	return amqp091.NewSink(t.settings, o.logger(name))
}

func (t *amqpTransport) giveUpAfter() time.Duration { return 0 }

type stdioTransport struct {
	head
	in stdio.SourceSettings
}

func (t *stdioTransport) read(s *strictyaml.Section) { s.Into(&t.head, &t.in) }

func (t *stdioTransport) lacksForSource(*strictyaml.Document, string) string { return "" }
func (t *stdioTransport) lacksForSink(*strictyaml.Document, string) string   { return "" }

func (t *stdioTransport) validate(asSource, asSink bool) error { return t.in.Validate() }

func (t *stdioTransport) source(name string, o BuildOptions) (transport.Source, error) {
	return stdio.NewSource(o.Stdin, t.in, o.logger(name))
}

func (t *stdioTransport) sink(name string, o BuildOptions) (transport.Sink, error) {
	return stdio.NewSink(o.Stdout, o.logger(name)), nil
}

func (t *stdioTransport) giveUpAfter() time.Duration { return 0 }

type fileTransport struct {
	head
	in  file.SourceSettings
	out file.SinkSettings
}

func (t *fileTransport) read(s *strictyaml.Section) { s.Into(&t.head, &t.in, &t.out) }

func (t *fileTransport) lacksForSource(*strictyaml.Document, string) string { return t.lacks() }
func (t *fileTransport) lacksForSink(*strictyaml.Document, string) string   { return t.lacks() }

func (t *fileTransport) lacks() string {
	if t.in.Path == "" {
		return "path is missing, the file with one event per line"
	}
	return ""
}

func (t *fileTransport) validate(asSource, asSink bool) error {
	if asSource && asSink {
		return errors.New("path: a file cannot be read and written by one daemon")
	}
	return errors.Join(t.in.Validate(), t.out.Validate())
}

func (t *fileTransport) source(name string, o BuildOptions) (transport.Source, error) {
	return file.Open(t.in, o.logger(name))
}

func (t *fileTransport) sink(name string, o BuildOptions) (transport.Sink, error) {
	return file.Create(t.out, o.logger(name))
}

func (t *fileTransport) giveUpAfter() time.Duration { return 0 }
