package daemon

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/eiffelbridge/eiffelbridge/daemon/strictyaml"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// Problem is something wrong in a configuration, with its line, its key and what to do.
type Problem = strictyaml.Problem

// Secret is text that no log, error or dump shows.
type Secret = strictyaml.Secret

// Config is what a user writes (see the interface document). [ReadConfig] makes one.
type Config struct {
	Version     int               `yaml:"version"` // 1
	Ledger      LedgerConfig      `yaml:"ledger"`
	Admin       AdminConfig       `yaml:"admin"`
	Transports  Transports        `yaml:"transports"`
	Relays      []RelayConfig     `yaml:"relays"`
	DeadLetters DeadLettersConfig `yaml:"dead_letters"`
	MaxParked   int               `yaml:"max_parked"` // events that wait for a reference, in all relays together

	Plugins *strictyaml.Section `yaml:"plugins"` // not supported yet

	doc        *strictyaml.Document
	transports map[string]transportConfig
}

// Transports are the transports of a configuration by name, in the form of their drivers.
type Transports map[string]*strictyaml.Section

// LedgerConfig says where facts and parked events are kept.
type LedgerConfig struct {
	Type      string        `yaml:"type"`      // memory or file
	Path      string        `yaml:"path"`      // of a file ledger: a folder
	Retention time.Duration `yaml:"retention"` // of what only redeliveries need; 30 days
	URL       Secret        `yaml:"url"`       // of postgres
}

// AdminConfig is the admin listener.
type AdminConfig struct {
	Listen string `yaml:"listen"` // host:port, or off
	Token  Secret `yaml:"token"`  // bearer token
}

// DeadLettersConfig says where events go that cannot be translated or delivered.
type DeadLettersConfig struct {
	Type string `yaml:"type"` // file
	Path string `yaml:"path"`
}

// RelayConfig is one relay.
type RelayConfig struct {
	Name        string              `yaml:"name"`
	From        string              `yaml:"from"`
	To          string              `yaml:"to"`
	Translate   string              `yaml:"translate"` // eiffel or cdevents
	Mappings    *strictyaml.Section `yaml:"mappings"`  // not supported yet
	Plugins     *strictyaml.Section `yaml:"plugins"`   // not supported yet
	Edition     string              `yaml:"edition"`
	Spec        string              `yaml:"spec"`
	Carry       string              `yaml:"carry"`      // original or none
	Synthesize  string              `yaml:"synthesize"` // missing, always or never
	Unresolved  UnresolvedConfig    `yaml:"unresolved"`
	Returning   string              `yaml:"returning"`     // drop, restore or translate
	OnNoMapping string              `yaml:"on_no_mapping"` // announce
	MaxInFlight int                 `yaml:"max_in_flight"`
	Retry       RetryConfig         `yaml:"retry"`
}

// UnresolvedConfig says what to do about references to what is not known.
type UnresolvedConfig struct {
	Policy  string        `yaml:"policy"` // wait, placeholder or fail
	Timeout time.Duration `yaml:"timeout"`
}

// RetryConfig says how failed publishing is repeated.
type RetryConfig struct {
	Initial     time.Duration  `yaml:"initial"`
	Max         time.Duration  `yaml:"max"`
	Multiplier  float64        `yaml:"multiplier"`
	GiveUpAfter *time.Duration `yaml:"give_up_after"` // 0s: never
}

// ReadConfig reads a configuration. lookup finds environment variables, as os.LookupEnv does. What is wrong is told by
// [Check], and by [Config.Settings].
func ReadConfig(text []byte, lookup func(name string) (string, bool)) *Config {
	c := &Config{doc: strictyaml.Parse(text, lookup), transports: map[string]transportConfig{}}
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
// told without opening anything.
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

func (c *Config) notYet(key string) { c.doc.Report(key, "is not supported yet; take it out") }

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
	if c.DeadLetters.Type != "file" {
		c.doc.Report("dead_letters.type", "%q is not one of file", c.DeadLetters.Type)
	} else if c.DeadLetters.Path == "" {
		c.doc.Report("dead_letters.path", "is missing")
	}
	if c.Admin.Listen != "off" {
		if host, _, err := net.SplitHostPort(c.Admin.Listen); err != nil {
			c.doc.Report("admin.listen", "%q is neither host:port nor off", c.Admin.Listen)
		} else if !loopback(host) && c.Admin.Token == "" {
			c.doc.Report("admin.listen", "%q can be reached from outside this machine, which needs admin.token", c.Admin.Listen)
		}
	}
	if c.Plugins != nil {
		c.notYet("plugins")
	}
	if c.MaxParked < 0 {
		c.doc.Report("max_parked", "%d is less than 0", c.MaxParked)
	}
	c.readTransports()
	c.checkRelays()
}

// readTransports decodes every transport in the form of its driver.
func (c *Config) readTransports() {
	known := drivers()
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
		c.oneOf(at+".edition", r.Edition, translate.Editions()...)
		c.oneOf(at+".spec", r.Spec, translate.Specs()...)
		c.oneOf(at+".carry", r.Carry, "original", "none")
		c.oneOf(at+".synthesize", r.Synthesize, "missing", "always", "never")
		c.oneOf(at+".unresolved.policy", r.Unresolved.Policy, "wait", "placeholder", "fail")
		if c.doc.Has(at+".unresolved.timeout") && r.Unresolved.Timeout <= 0 {
			c.doc.Report(at+".unresolved.timeout", "%v is not more than 0s; policy placeholder does not wait", r.Unresolved.Timeout)
		}
		c.oneOf(at+".returning", r.Returning, "drop", "restore", "translate")
		c.oneOf(at+".on_no_mapping", r.OnNoMapping, "announce", "dead_letter", "drop")
		if r.OnNoMapping == "dead_letter" || r.OnNoMapping == "drop" {
			c.doc.Report(at+".on_no_mapping", "%s is not supported yet; use announce", r.OnNoMapping)
		}
		if r.Mappings != nil {
			c.notYet(at + ".mappings")
		}
		if r.Plugins != nil {
			c.notYet(at + ".plugins")
		}
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
