package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/strictyaml"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

// Driver is a built-in driver by itself, for whoever runs it outside of a daemon, such as in a plugin. What it logs does not say which
// transport it is: its host knows by which name it is used.
type Driver struct{ kind string }

// DriverTypes are the types of the built-in drivers, as a configuration names them.
func DriverTypes() []string { return slices.Sorted(maps.Keys(drivers())) }

// NewDriver gives the driver of a type.
func NewDriver(kind string) (*Driver, error) {
	if _, ok := drivers()[kind]; !ok {
		return nil, fmt.Errorf("%q is not one of %s", kind, strings.Join(DriverTypes(), ", "))
	}
	return &Driver{kind}, nil
}

// Ordered tells whether the driver's sink keeps the order of what it takes.
func (d *Driver) Ordered() bool { return d.kind != "cloudevents_http" }

// Source makes a source from a section of a configuration, as JSON. Errors name the key at fault.
func (d *Driver) Source(config []byte, o BuildOptions) (transport.Source, error) {
	t, err := d.read(config, true, false)
	if err != nil {
		return nil, err
	}
	o.unnamed = true
	return t.source(d.kind, o.withDefaults())
}

// Sink makes a sink from a section of a configuration, as JSON. Errors name the key at fault.
func (d *Driver) Sink(config []byte, o BuildOptions) (transport.Sink, error) {
	t, err := d.read(config, false, true)
	if err != nil {
		return nil, err
	}
	o.unnamed = true
	return t.sink(d.kind, o.withDefaults())
}

// read decodes the section where it would stand in a whole configuration, since that is what the drivers read. The JSON is YAML too.
func (d *Driver) read(config []byte, asSource, asSink bool) (transportConfig, error) {
	const key = "transports.this"
	if len(config) == 0 {
		config = []byte("{}")
	}
	doc := strictyaml.ParseVerbatim(append([]byte("transports: {this: "), append(config, '}')...))
	var whole struct {
		Transports Transports `yaml:"transports"`
	}
	doc.Into(&whole)
	t := drivers()[d.kind]()
	if section := whole.Transports["this"]; section != nil {
		if kind := section.String("type"); kind != "" && kind != d.kind {
			doc.Report(key+".type", "%q is not %s, which is served here", kind, d.kind)
		}
		t.read(section)
	}
	if len(doc.Problems()) == 0 {
		for _, role := range []struct {
			on    bool
			lacks func(*strictyaml.Document, string) string
		}{{asSource, t.lacksForSource}, {asSink, t.lacksForSink}} {
			if role.on {
				if lacks := role.lacks(doc, key); lacks != "" {
					doc.Report(key, "%s", lacks)
				}
			}
		}
		for _, err := range split(t.validate(asSource, asSink)) {
			doc.Report(key, "%s", err)
		}
	}
	var errs []error
	for _, p := range doc.Problems() {
		where := strings.TrimPrefix(strings.TrimPrefix(p.Key, key), ".")
		if where != "" {
			where += ": "
		}
		errs = append(errs, errors.New(where+p.Message)) // lines mean nothing to whoever wrote YAML
	}
	return t, errors.Join(errs...)
}

func (o BuildOptions) withDefaults() BuildOptions {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = SystemClock()
	}
	if o.Stdin == nil {
		o.Stdin = os.Stdin
	}
	if o.Stdout == nil {
		o.Stdout = os.Stdout
	}
	return o
}
