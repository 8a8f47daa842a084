package daemon

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

// predecessor is what runs while another configuration is prepared. Its methods may be called on nil, where nothing runs.
type predecessor struct {
	config   *Config
	settings Settings
}

func (b *predecessor) running() *Settings {
	if b == nil {
		return nil
	}
	return &b.settings
}

// allows names the first key that no reload can change.
func (b *predecessor) allows(next *Config) error {
	for _, part := range []struct {
		key           string
		before, after any
	}{
		{"ledger", b.config.Ledger, next.Ledger}, {"dead_letters", b.config.DeadLetters, next.DeadLetters}, {"admin", b.config.Admin, next.Admin},
	} {
		if !reflect.DeepEqual(part.before, part.after) {
			return fmt.Errorf("%s: %w", part.key, ErrNotReloadable)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(next.transports)) {
		_, reads := b.settings.Sources[name]
		switch next.transports[name].(type) {
		case *stdioTransport, *fileTransport: // they have read more than they have delivered
			if reads && next.feeds(name) && !reflect.DeepEqual(b.config.transports[name], next.transports[name]) {
				return fmt.Errorf("transports.%s: %w", name, ErrNotReloadable)
			}
		}
	}
	return nil
}

// feeds tells whether a transport is the source of a relay.
func (c *Config) feeds(name string) bool {
	return slices.ContainsFunc(c.Relays, func(r RelayConfig) bool { return r.From == name })
}

// source gives the running source of a transport if it goes on, else nil.
func (b *predecessor) source(next *Config, name string, s *Settings, o BuildOptions) transport.Source {
	if b == nil || b.settings.Sources[name] == nil || !b.goesOn(next, name, s, o) {
		return nil
	}
	return b.settings.Sources[name]
}

// sink gives the running sink of a transport if it goes on, else nil.
func (b *predecessor) sink(next *Config, name string, s *Settings, o BuildOptions) transport.Sink {
	if b == nil || b.settings.Sinks[name] == nil || !b.goesOn(next, name, s, o) {
		return nil
	}
	return b.settings.Sinks[name]
}

// goesOn tells whether what runs of a transport can go on.
func (b *predecessor) goesOn(next *Config, name string, s *Settings, o BuildOptions) bool {
	switch before := b.config.transports[name].(type) {
	case *pluginTransport:
		after, ok := next.transports[name].(*pluginTransport)
		if after == before {
			return true // it was asked about in its other role
		}
		if !ok || !before.becomes(after, name, s, o) {
			return false
		}
		next.transports[name] = before
		return true
	case *webhookTransport:
		after, ok := next.transports[name].(*webhookTransport)
		return ok && before.becomes(after, name, b.settings.Sources[name], s, o)
	default:
		return reflect.DeepEqual(before, next.transports[name])
	}
}
