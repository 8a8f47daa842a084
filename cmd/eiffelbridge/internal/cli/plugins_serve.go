package cli

import (
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eiffelbridge/eiffelbridge/daemon"
	"github.com/eiffelbridge/eiffelbridge/plugins/sdk"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

func (c *command) pluginsServeVerb() *cobra.Command {
	return &cobra.Command{
		Use:   "serve TYPE",
		Short: "Be a transport plugin around a built-in transport",
		Long: `Serve a built-in transport as a plugin, in a process of its own: the relay is not hurt by what
befalls it. A host of plugins starts this, not a person. TYPE is one of
` + strings.Join(daemon.DriverTypes(), ", ") + `.
The plugin's config is what stands beside the type in the configuration of such a transport.

stdio has nothing to serve as a plugin, whose standard streams belong to its host: use file with a
named pipe.`,
		Example: `  plugins:
    bus:
      path: /usr/bin/eiffelbridge
      args: [plugins, serve, amqp091]
      config: {url: "${AMQP_URL}", exchange: eiffel, queue: eiffelbridge}`,
		Args:      cobra.ExactArgs(1),
		ValidArgs: daemon.DriverTypes(),
		RunE: func(_ *cobra.Command, args []string) error {
			driver, err := daemon.NewDriver(args[0])
			if err != nil {
				return &usageError{err}
			}
			if args[0] == "stdio" {
				return usagef("the standard streams of a plugin belong to its host; use file, with a named pipe if need be")
			}
			options := func() daemon.BuildOptions {
				return daemon.BuildOptions{Logger: slog.Default(), Version: c.env.Version, Stdin: strings.NewReader(""), Stdout: os.Stderr}
			}
			err = sdk.ServeTransport(sdk.TransportOptions{
				Name: "eiffelbridge-" + args[0], Version: c.env.Version, Ordered: driver.Ordered(),
				Source: func(config []byte) (transport.Source, error) { return driver.Source(config, options()) },
				Sink:   func(config []byte) (transport.Sink, error) { return driver.Sink(config, options()) },
			})
			if err != nil {
				return &configError{err}
			}
			return nil
		},
	}
}
