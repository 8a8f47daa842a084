package cli

import "github.com/spf13/cobra"

func (c *command) pluginsVerb() *cobra.Command {
	return group(&cobra.Command{
		Use:   "plugins",
		Short: "Plugins: transports and mappings in processes of their own",
	}, c.pluginsServeVerb())
}
