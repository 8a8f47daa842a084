package daemon

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/internal/secret"
	"github.com/eiffelbridge/eiffelbridge/internal/strictyaml"
	"github.com/eiffelbridge/eiffelbridge/mappings"
)

// Problem is something wrong in a configuration, with its line, its key and what to do.
type Problem = strictyaml.Problem

// Secret is text that no log, error or dump shows.
type Secret = secret.Secret

// Config is what a user writes (see the interface document). [ReadConfig] makes one. The comments on its fields and on those
// of its parts stand in docs/configuration.md as well, which is generated.
type Config struct {
	// Version is the version of the configuration's form. There is one.
	Version int `yaml:"version"`

	Ledger     LedgerConfig `yaml:"ledger"`
	Admin      AdminConfig  `yaml:"admin"`
	Transports Transports   `yaml:"transports"`

	// Relays are the ways that events take. A source feeds one relay; relays may share a sink.
	Relays []RelayConfig `yaml:"relays"`

	DeadLetters DeadLettersConfig `yaml:"dead_letters"`

	// MaxParked bounds the events that wait for what they refer to, in all relays together. They are held in memory beside
	// the ledger. Beyond it, events wait in flight, and so their sources wait. 0 is the default.
	MaxParked int `yaml:"max_parked"`

	// Plugins are programs that translate, or edit translations, by name. A relay names those that it uses.
	Plugins map[string]PluginConfig `yaml:"plugins"`

	doc        *strictyaml.Document
	folder     string // of the configuration; empty: the working directory
	transports map[string]transportConfig
}

// Transports are the transports of a configuration by name, in the form of their drivers.
type Transports map[string]*strictyaml.Section

// LedgerConfig says where facts and parked events are kept.
type LedgerConfig struct {
	// Type is memory, which forgets everything with the process, or file. One that several relays share (postgres) is not
	// supported yet.
	Type string `yaml:"type"`

	// Path is the folder of a file ledger. It is made if it is missing. One process at a time has it open.
	Path string `yaml:"path"`

	// Retention is how long the ledger keeps what only redeliveries and late links need, after it was last written: choices,
	// context ids, and events that no open subject and no running deployment needs. It is kept to the day, so that a record
	// lives up to a day longer. 0s is the default; less than 0s keeps everything.
	Retention time.Duration `yaml:"retention"`

	// URL is not supported yet; it is for postgres.
	URL Secret `yaml:"url"`
}

// AdminConfig is the admin listener.
type AdminConfig struct {
	// Listen is the address to listen on, as host:port, or off. An address that is not loopback needs a Token.
	Listen string `yaml:"listen"`

	// Token is the bearer token that every request to the admin listener must have. Empty: none is needed.
	Token Secret `yaml:"token"`
}

// DeadLettersConfig says where events go that cannot be translated or delivered.
type DeadLettersConfig struct {
	// Type is file, or amqp091 for an exchange of a broker.
	Type string `yaml:"type"`

	// Path is the file of type file, to which lines of JSON are appended. It is made with its folder if it is missing.
	Path string `yaml:"path"`

	// Transport is the name of the transport of type amqp091 whose broker and credentials are used. No relay need use it.
	Transport string `yaml:"transport"`

	// Exchange is the topic exchange of type amqp091. It is declared, durable, unless the Transport has declare_exchange:
	// false. The routing key of a letter is RELAY.CODE.
	Exchange string `yaml:"exchange"`

	// Queue is a queue that is declared, of type quorum, and bound to all letters. The verbs of deadletters read it. Without
	// it somebody else must bind one: a letter that no queue takes holds its event up.
	Queue string `yaml:"queue"`
}

// RelayConfig is one relay.
type RelayConfig struct {
	// Name stands in logs, metrics, dead letters and parked events. Each relay has its own; an event that is parked when
	// the relay is renamed stays parked.
	Name string `yaml:"name"`

	// From is the name of the transport to receive from. A transport feeds one relay.
	From string `yaml:"from"`

	// To is the name of the transport to publish to.
	To string `yaml:"to"`

	// Translate is the protocol to translate to. An event that is written in it already goes to the dead letters.
	Translate string `yaml:"translate"`

	// Mappings are files with mappings of your own, which are put over the bridge's; docs/overlays.md says what is in them.
	// Later ones count before earlier ones. A relative path is relative to the configuration's folder.
	Mappings []string `yaml:"mappings"`

	// Plugins join in, each over all before it. While one of them is restarted, events wait for it; once it is given up,
	// the events that it would be asked about go to the dead letters, with the code plugin_unavailable.
	Plugins []RelayPluginConfig `yaml:"plugins"`

	// Edition is the Eiffel edition to write.
	Edition string `yaml:"edition"`

	// Spec is the CDEvents version to write.
	Spec string `yaml:"spec"`

	// Carry is original, to have the whole event travel along in custom data, so that translating back gives the same event;
	// or none, which leaves only a mark by which the event is recognized when it comes round.
	Carry string `yaml:"carry"`

	// Synthesize says when an Eiffel event that a required link needs is made up: when it is missing, so once; always, so
	// again for every event that needs it until a real one is known; or never, which leaves the reference to Unresolved.
	Synthesize string `yaml:"synthesize"`

	Unresolved UnresolvedConfig `yaml:"unresolved"`

	// Returning says what becomes of an event that came from the other side: drop it, and learn from it; restore the original
	// that it carries, once, unless the original came through this relay's own ledger; or translate it as any other, with the
	// same exception.
	Returning string `yaml:"returning"`

	// OnNoMapping says what becomes of an event of a type that has no counterpart of its own: announce it, as an
	// announcement or a custom event that carries it, put it into the dead letters, or drop it.
	OnNoMapping string `yaml:"on_no_mapping"`

	// MaxInFlight is how many deliveries may be taken and not settled.
	MaxInFlight int `yaml:"max_in_flight"`

	Retry RetryConfig `yaml:"retry"`

	catalogue *mappings.Catalogue // with Mappings over it; nil: the bridge's own
}

// UnresolvedConfig says what to do about references to what is not known.
type UnresolvedConfig struct {
	// Policy is wait, to park the event until what it refers to is known or the Timeout has passed, and then to take a
	// placeholder; placeholder, to take it at once; or fail, to put the event into the dead letters.
	Policy string `yaml:"policy"`

	// Timeout is how long an event waits at most.
	Timeout time.Duration `yaml:"timeout"`
}

// RetryConfig says how failed publishing is repeated. What the far side asks for (Retry-After) is heeded if it is longer.
type RetryConfig struct {
	// Initial is the first pause. Each pause is up to a quarter longer or shorter, by chance.
	Initial time.Duration `yaml:"initial"`

	// Max is the longest pause.
	Max time.Duration `yaml:"max"`

	// Multiplier is how much longer than the one before each pause is.
	Multiplier float64 `yaml:"multiplier"`

	// GiveUpAfter is how long a delivery is kept in flight before it is handed back to its source to be made again; an HTTP
	// source answers 503 then. 0s keeps it for as long as it takes.
	GiveUpAfter *time.Duration `yaml:"give_up_after"`
}

// ReadConfig reads a configuration, and the mappings that it names. lookup finds environment variables, as os.LookupEnv does.
// What is wrong is told by [Check], and by [Config.Settings]. The paths of mappings are relative to the working directory.
func ReadConfig(text []byte, lookup func(name string) (string, bool)) *Config {
	return readConfig(text, "", lookup)
}

// ReadConfigFile is ReadConfig for a file: paths of mappings are relative to its folder. The error tells that the file cannot
// be read.
func ReadConfigFile(path string, lookup func(name string) (string, bool)) (*Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return readConfig(text, filepath.Dir(path), lookup), nil
}

func readConfig(text []byte, folder string, lookup func(name string) (string, bool)) *Config {
	c := &Config{doc: strictyaml.Parse(text, lookup), folder: folder, transports: map[string]transportConfig{}}
	c.Ledger = LedgerConfig{Type: "file", Path: "ledger"}
	c.DeadLetters = DeadLettersConfig{Type: "file", Path: "dead-letters.jsonl"}
	c.Admin = AdminConfig{Listen: "127.0.0.1:9090"}
	c.doc.Into(c)
	if len(c.doc.Problems()) > 0 && len(c.Transports) == 0 && len(c.Relays) == 0 {
		return c // not even YAML; what follows would only repeat that
	}
	c.check()
	return c
}

// Check tells every problem of a configuration, by line; none means that the daemon can be built, as far as that can be
// told without opening more than the mappings.
func Check(c *Config) []Problem { return c.doc.Problems() }

// DefaultConfig is the configuration for a relay that was given none: CloudEvents come in on 127.0.0.1:8080 and go out to
// standard output; with AMQP_URL both ways over that broker, and CDEvents go to K_SINK if that is set, else to standard
// output.
func DefaultConfig(lookup func(name string) (string, bool)) *Config {
	set := func(name string) bool {
		v, ok := lookup(name)
		return ok && v != ""
	}
	var b strings.Builder
	b.WriteString("version: 1\nledger: {type: file, path: ledger}\ndead_letters: {type: file, path: dead-letters.jsonl}\n" +
		"transports:\n  web: {type: cloudevents_http, listen: \"127.0.0.1:8080\"}\n")
	out := "out"
	if set("AMQP_URL") && set("K_SINK") {
		out = "sink"
		b.WriteString("  sink: {type: cloudevents_http, target: \"${K_SINK}\"}\n")
	} else {
		b.WriteString("  out: {type: stdio}\n")
	}
	if set("AMQP_URL") {
		b.WriteString("  bus: {type: amqp091, url: \"${AMQP_URL}\", exchange: eiffel, queue: eiffelbridge, bindings: [\"eiffel.#\"]}\n" +
			"relays:\n  - {name: to_eiffel, from: web, to: bus, translate: eiffel}\n" +
			"  - {name: to_cdevents, from: bus, to: " + out + ", translate: cdevents}\n")
	} else {
		b.WriteString("relays:\n  - {name: to_eiffel, from: web, to: out, translate: eiffel}\n")
	}
	return ReadConfig([]byte(b.String()), lookup)
}

// oneOf reports a value that is not among the allowed ones; an empty one stands for the default.
func (c *Config) oneOf(key, value string, allowed ...string) {
	if value != "" && !slices.Contains(allowed, value) {
		c.doc.Report(key, "%q is not one of %s", value, strings.Join(allowed, ", "))
	}
}

func (c *Config) check() {
	switch {
	case !c.doc.Has("version"):
		c.doc.Report("version", "is missing; write version: 1")
	case c.Version != 1:
		c.doc.Report("version", "%d is not known; write version: 1", c.Version)
	}
	switch c.Ledger.Type {
	case "memory":
	case "file":
		if c.Ledger.Path == "" {
			c.doc.Report("ledger.path", "is missing")
		}
	case "postgres":
		c.doc.Report("ledger.type", "postgres is not supported yet; use file")
	default:
		c.doc.Report("ledger.type", "%q is not one of memory, file, postgres", c.Ledger.Type)
	}
	if c.Admin.Listen != "off" {
		if host, _, err := net.SplitHostPort(c.Admin.Listen); err != nil {
			c.doc.Report("admin.listen", "%q is neither host:port nor off", c.Admin.Listen)
		} else if !loopback(host) && c.Admin.Token == "" {
			c.doc.Report("admin.listen", "%q can be reached from outside this machine, which needs admin.token", c.Admin.Listen)
		}
	}
	if c.MaxParked < 0 {
		c.doc.Report("max_parked", "%d is less than 0", c.MaxParked)
	}
	c.readTransports()
	c.checkDeadLetters()
	c.checkRelays()
	c.checkPlugins()
}

// readTransports decodes every transport in the form of its driver.
func (c *Config) readTransports() {
	known := c.transportTypes()
	for _, name := range slices.Sorted(maps.Keys(c.Transports)) {
		section := c.Transports[name]
		if section == nil {
			c.doc.Report("transports."+name, "is empty; it needs a type: %s", strings.Join(slices.Sorted(maps.Keys(known)), ", "))
			continue
		}
		kind := section.String("type")
		make, ok := known[kind]
		if !ok {
			what := fmt.Sprintf("%q is not one of", kind)
			if kind == "" {
				what = "is missing; these are known:"
			}
			c.doc.Report(section.Key()+".type", "%s %s", what, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
			continue
		}
		t := make()
		t.read(section)
		if hooks, ok := t.(*webhookTransport); ok {
			hooks.folder = c.folder
		}
		c.transports[name] = t
	}
}

func (c *Config) checkRelays() {
	if len(c.Relays) == 0 {
		c.doc.Report("relays", "there are none; a relay is {name, from, to, translate}")
	}
	names, from := map[string]int{}, map[string]string{}
	sources, sinks := map[string]bool{}, map[string]bool{}
	for i, r := range c.Relays {
		at := fmt.Sprintf("relays[%d]", i)
		if r.Name == "" {
			c.doc.Report(at+".name", "is missing")
		} else if first, ok := names[r.Name]; ok {
			c.doc.Report(at+".name", "%s is the name of relays[%d] already", r.Name, first)
		} else {
			names[r.Name] = i
		}
		if c.named(at+".from", r.From) {
			if other, ok := from[r.From]; ok {
				c.doc.Report(at+".from", "%s feeds relay %s already; a source feeds one relay", r.From, other)
			}
			from[r.From] = r.Name
			if t := c.transports[r.From]; t != nil {
				sources[r.From] = true
				if lacks := t.lacksForSource(c.doc, "transports."+r.From); lacks != "" {
					c.doc.Report(at+".from", "transport %s is no source: %s", r.From, lacks)
					delete(sources, r.From)
				}
			}
		}
		if c.named(at+".to", r.To) {
			if t := c.transports[r.To]; t != nil {
				sinks[r.To] = true
				if lacks := t.lacksForSink(c.doc, "transports."+r.To); lacks != "" {
					c.doc.Report(at+".to", "transport %s is no sink: %s", r.To, lacks)
					delete(sinks, r.To)
				}
			}
		}
		if r.Translate == "" {
			c.doc.Report(at+".translate", "is missing; it is eiffel or cdevents")
		}
		c.oneOf(at+".translate", r.Translate, "eiffel", "cdevents")
		c.oneOf(at+".edition", r.Edition, schema.OutputEditions()...)
		c.oneOf(at+".spec", r.Spec, schema.OutputSpecs()...)
		c.oneOf(at+".carry", r.Carry, "original", "none")
		c.oneOf(at+".synthesize", r.Synthesize, "missing", "always", "never")
		c.oneOf(at+".unresolved.policy", r.Unresolved.Policy, "wait", "placeholder", "fail")
		if c.doc.Has(at+".unresolved.timeout") && r.Unresolved.Timeout <= 0 {
			c.doc.Report(at+".unresolved.timeout", "%v is not more than 0s; policy placeholder does not wait", r.Unresolved.Timeout)
		}
		c.oneOf(at+".returning", r.Returning, "drop", "restore", "translate")
		c.oneOf(at+".on_no_mapping", r.OnNoMapping, "announce", "dead_letter", "drop")
		c.loadMappings(at+".mappings", &c.Relays[i])
		if c.doc.Has(at+".max_in_flight") && r.MaxInFlight < 1 {
			c.doc.Report(at+".max_in_flight", "%d is less than 1", r.MaxInFlight)
		}
		c.checkRetry(at+".retry", r.Retry)
	}
	for _, name := range slices.Sorted(maps.Keys(c.transports)) {
		key := "transports." + name
		if !sources[name] && !sinks[name] {
			continue
		}
		for _, err := range split(c.transports[name].validate(sources[name], sinks[name])) {
			part, message, ok := strings.Cut(err.Error(), ": ")
			if !ok {
				c.doc.Report(key, "%s", err.Error())
				continue
			}
			c.doc.Report(key+"."+part, "%s", message)
		}
	}
}

// split takes joined errors apart.
func split(err error) []error {
	if err == nil {
		return nil
	}
	var out []error
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			out = append(out, split(e)...)
		}
		return out
	}
	return []error{err}
}

// named tells whether a key names a transport.
func (c *Config) named(key, name string) bool {
	if name == "" {
		c.doc.Report(key, "is missing")
		return false
	}
	if _, ok := c.Transports[name]; !ok {
		message := "there is no transport"
		if len(c.Transports) > 0 {
			message += "; these are there: " + strings.Join(slices.Sorted(maps.Keys(c.Transports)), ", ")
		}
		c.doc.Report(key, "%q: %s", name, message)
		return false
	}
	return true
}

func (c *Config) checkRetry(key string, r RetryConfig) {
	d := r.settings(0)
	if c.doc.Has(key+".initial") && r.Initial <= 0 {
		c.doc.Report(key+".initial", "%v is not more than 0s", r.Initial)
	}
	if d.Max < d.Initial {
		c.doc.Report(key+".max", "%v is less than initial, %v", d.Max, d.Initial)
	}
	if c.doc.Has(key+".multiplier") && r.Multiplier < 1 {
		c.doc.Report(key+".multiplier", "%v is less than 1", r.Multiplier)
	}
	if r.GiveUpAfter != nil && *r.GiveUpAfter < 0 {
		c.doc.Report(key+".give_up_after", "%v is less than 0s", *r.GiveUpAfter)
	}
}

// settings fills in the defaults; giveUp is the one of the source's transport.
func (r RetryConfig) settings(giveUp time.Duration) Retry {
	out := DefaultRetry()
	out.GiveUpAfter = giveUp
	if r.Initial != 0 {
		out.Initial = r.Initial
	}
	if r.Max != 0 {
		out.Max = r.Max
	}
	if r.Multiplier != 0 {
		out.Multiplier = r.Multiplier
	}
	if r.GiveUpAfter != nil {
		out.GiveUpAfter = *r.GiveUpAfter
	}
	return out
}

// ConfigError is a configuration with problems.
type ConfigError struct{ Problems []Problem }

// Error names every problem, one per line.
func (e *ConfigError) Error() string {
	lines := []string{"the configuration has problems"}
	for _, p := range e.Problems {
		lines = append(lines, p.String())
	}
	return strings.Join(lines, "\n  ")
}

var _ error = (*ConfigError)(nil)

// err is the configuration's problems as an error.
func (c *Config) err() error {
	if list := c.doc.Problems(); len(list) > 0 {
		return &ConfigError{list}
	}
	if c.doc == nil {
		return errors.New("the configuration was not read")
	}
	return nil
}
