package sdk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"google.golang.org/grpc"

	"github.com/eiffelbridge/eiffelbridge/internal/transportplugin/server"
	"github.com/eiffelbridge/eiffelbridge/plugins/pluginv1"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

// TransportOptions describe a transport plugin, which is a source, a sink or both.
type TransportOptions struct {
	Name, Version string // of the plugin, for people

	// Source makes a source from the section `config` of the plugin's configuration (as JSON; empty if there is none; see
	// [DecodeConfig]). An error is shown to the user. It is called again whenever the host starts to receive anew: each source
	// receives once, and is closed when the host has lost sight of its deliveries, so that it makes them again.
	// Nil: the plugin is no source.
	Source func(config []byte) (transport.Source, error)

	// Sink makes the sink, once. The sink is closed when the plugin ends. Nil: the plugin is no sink.
	Sink func(config []byte) (transport.Sink, error)

	// Ordered is what the sink's Ordered says. The host asks before there is a sink.
	Ordered bool

	Metrics *Metrics // the plugin's own; nil: none
}

// ServeTransport serves a transport plugin until its host is gone or has no more use for it.
func ServeTransport(o TransportOptions) error {
	if o.Source == nil && o.Sink == nil {
		return errors.New("a transport plugin needs a Source or a Sink")
	}
	// The logger is looked up late: serving replaces the default one.
	s := server.New(server.Options{Source: o.Source, Sink: o.Sink, Ordered: o.Ordered, Logger: slog.Default})
	return serve(served{
		description: &pluginv1.DescribeResponse{
			Name: o.Name, Version: o.Version, Kind: pluginv1.Kind_KIND_TRANSPORT,
			Source: o.Source != nil, Sink: o.Sink != nil, Ordered: o.Ordered,
		},
		configure: func(_ context.Context, in *pluginv1.ConfigureRequest) error {
			return s.Configure(in.GetConfig(), in.GetAsSource(), in.GetAsSink())
		},
		register: func(r *grpc.Server) { s.Register(r) },
		metrics:  o.Metrics,
		stop: func(ctx context.Context) {
			if err := s.Shutdown(ctx); err != nil {
				slog.Warn("the transport did not end in order", "error", err)
			}
		},
	})
}

// DecodeConfig reads a plugin's configuration into a pointer to a struct. A key that the struct does not have is an error, as in the
// rest of the configuration. What the configuration does not set keeps its value.
func DecodeConfig(config []byte, into any) error {
	if len(config) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(config))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("config: there is more than one JSON value")
	}
	return nil
}
