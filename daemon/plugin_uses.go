package daemon

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/plugins/host"
	"github.com/eiffelbridge/eiffelbridge/plugins/pluginv1"
)

// PluginUse is a use of a plugin in a configuration: by a relay, or as what a transport is.
type PluginUse struct {
	Plugin string

	Relay string // the relay that asks it; empty: it is a transport
	Mode  host.Mode

	Transport        string
	AsSource, AsSink bool            // what relays use the transport as
	Config           json.RawMessage // what the transport hands to the plugin in place of the plugin's own; nil: nothing
}

// String is the use for people: "to_eiffel (override)", "bus (source, sink)".
func (u PluginUse) String() string {
	if u.Relay != "" {
		return fmt.Sprintf("relay %s (%s)", u.Relay, u.Mode)
	}
	var as []string
	if u.AsSource {
		as = append(as, "source")
	}
	if u.AsSink {
		as = append(as, "sink")
	}
	if as == nil {
		return "transport " + u.Transport
	}
	return fmt.Sprintf("transport %s (%s)", u.Transport, strings.Join(as, ", "))
}

// Fits says why a plugin that describes itself so cannot be used so.
func (u PluginUse) Fits(d *pluginv1.DescribeResponse) error {
	if u.Relay != "" {
		return host.Fits(u.Plugin, u.Mode == host.ModeDecorate, d)
	}
	return fitsTransport(u.Plugin, d, u.AsSource, u.AsSink)
}

// PluginUses are the uses of the plugins of a configuration that has no problems: those of relays in their order, then those of
// transports by name.
func (c *Config) PluginUses() []PluginUse {
	var out []PluginUse
	for _, r := range c.Relays {
		for _, p := range r.Plugins {
			out = append(out, PluginUse{Plugin: p.Name, Relay: r.Name, Mode: host.Mode(p.Mode)})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.transports)) {
		t, ok := c.transports[name].(*pluginTransport)
		if !ok {
			continue
		}
		use := PluginUse{Plugin: t.Plugin, Transport: name, AsSource: t.asSource, AsSink: t.asSink}
		if t.Config != nil {
			use.Config, _ = json.Marshal(t.Config) // validate has tried
		}
		out = append(out, use)
	}
	return out
}
