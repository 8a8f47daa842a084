package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/eiffelbridge/eiffelbridge/daemon"
	"github.com/eiffelbridge/eiffelbridge/plugins/host"
	"github.com/eiffelbridge/eiffelbridge/plugins/pluginv1"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// addPlugins adds the flag --plugin.
func addPlugins(cmd *cobra.Command, files *[]string) {
	cmd.Flags().StringArrayVar(files, "plugin", nil, "`FILE` of a plugin that joins in: a mapping overrides, a decorator decorates; FILE:fallback asks it where the program has no mapping; may be given several times, in their order")
	_ = cmd.MarkFlagFilename("plugin")
}

// pluginFlag takes FILE:MODE apart.
func pluginFlag(text string) (file string, mode host.Mode) {
	for _, m := range host.Modes() {
		if file, ok := strings.CutSuffix(text, ":"+string(m)); ok {
			return file, m
		}
	}
	return text, ""
}

// kindName is a kind of plugin for people.
func kindName(k pluginv1.Kind) string {
	return strings.ToLower(strings.TrimPrefix(k.String(), "KIND_"))
}

// tryPlugin starts a plugin that the user names on the command line: who runs it vouches for it.
func (c *command) tryPlugin(ctx context.Context, file string) (*host.Process, *host.Incarnation, error) {
	s := host.DefaultSettings()
	s.Name, s.Path, s.Dev, s.HostVersion = strings.TrimSuffix(filepath.Base(file), ".exe"), file, true, c.env.Version
	if !strings.ContainsAny(file, `/\`) {
		s.Path = "." + string(filepath.Separator) + file // a FILE like any other; names in PATH are for configurations
	}
	s.MaxFailures = 1 // a person waits
	s.Logger = slog.New(slog.NewTextHandler(c.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	p, err := host.Start(s)
	if err != nil {
		return nil, nil, &configError{err}
	}
	i, err := p.Wait(ctx)
	if err != nil {
		return nil, nil, errors.Join(&configError{err}, p.Close())
	}
	return p, i, nil
}

// withPlugins joins plugins to an engine; refusing is what makes the same engine refuse events without a mapping. close ends
// the plugins.
func (t *translation) withPlugins(ctx context.Context, c *command, engine *translate.Engine) (_ translate.Translator, close func(), err error) {
	close = func() {}
	if len(t.plugins) == 0 {
		return engine, close, nil
	}
	s := engine.Settings()
	s.NoMapping = translate.NoMappingRefuse
	refusing, err := translate.New(s)
	if err != nil {
		return nil, close, &configError{err}
	}
	var links []host.Link
	var processes []*host.Process
	close = func() {
		for i, link := range links {
			link.Plugin.Close()
			_ = processes[i].Close()
		}
	}
	for _, flag := range t.plugins {
		file, mode := pluginFlag(flag)
		p, i, err := c.tryPlugin(ctx, file)
		if err != nil {
			close()
			return nil, func() {}, err
		}
		kind := i.Description.GetKind()
		if mode == "" {
			mode = host.ModeOverride
			if kind == pluginv1.Kind_KIND_DECORATOR {
				mode = host.ModeDecorate
			}
		}
		m := host.NewMapping(p, mode == host.ModeDecorate, host.MappingSettings{})
		links, processes = append(links, host.Link{Plugin: m, Mode: mode}), append(processes, p)
		if err := m.Fits(i.Description); err != nil {
			close()
			return nil, func() {}, usagef("--plugin %s: %w", flag, err)
		}
	}
	return host.NewChain(engine, refusing, links), close, nil
}

func (c *command) pluginsVerb() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plugins",
		Short: "List, pin and try plugins",
		Long: `A plugin is a program that the bridge starts and that translates, edits translations, or is a
transport. docs/plugins.md says how to use and how to write one.`,
		Example: `  eiffelbridge plugins checksum ./deploytool      # to be pinned in the configuration
  eiffelbridge plugins test ./deploytool event.json
  eiffelbridge plugins list --config eiffelbridge.yaml`,
	}
	return group(cmd, c.pluginsListVerb(), c.pluginsChecksumVerb(), c.pluginsTestVerb(), c.pluginsServeVerb())
}

func (c *command) pluginsChecksumVerb() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "checksum FILE...",
		Short: "Print what pins a plugin",
		Long: `Print the SHA-256 of each file, for sha256 and files in the configuration. A name without a slash is
looked up in PATH, as the path of a configured plugin is.`,
		Example: `  eiffelbridge plugins checksum ./deploytool
  eiffelbridge plugins checksum node ./plugin.js  # the interpreter, and the program for files`,
		Args: cobra.MinimumNArgs(1),
	}
	completeFiles(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		for _, file := range args {
			sum, err := host.Checksum(file)
			if err != nil && !strings.ContainsAny(file, `/\`) {
				if found, findErr := host.Find(file); findErr == nil {
					sum, err = host.Checksum(found)
				}
			}
			if err != nil {
				return &configError{err}
			}
			if _, err := fmt.Fprintf(c.out, "%s  %s\n", sum, file); err != nil {
				return err
			}
		}
		return nil
	}
	return cmd
}

func (c *command) pluginsTestVerb() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "test PLUGIN [FILE...]",
		Short: "Start a plugin and try it with events",
		Long: `Start a plugin as the relay would, say what it is and how long its start took, have it translate the
events of the files, if there are any, and end it. What comes out is one event per line; what the
plugin has no mapping for is translated by the program. To certify a plugin there is
eiffelbridge conformance.`,
		Example: `  eiffelbridge plugins test ./deploytool
  eiffelbridge plugins test ./deploytool rollout.json`,
		Args: cobra.MinimumNArgs(1),
	}
	completeFiles(cmd)
	flags := &translation{}
	flags.to = new(string)
	flags.addOutput(cmd)
	flags.unresolved = new(string)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx, stop := c.watch(cmd.Context())
		defer stop()
		file, _ := pluginFlag(args[0])
		p, i, err := c.tryPlugin(ctx, file)
		if err != nil {
			return err
		}
		d := i.Description
		types := "all types"
		if len(d.GetTypes()) > 0 {
			types = strings.Join(d.GetTypes(), ", ")
		}
		fmt.Fprintf(c.err, "%s: %s %s, a %s plugin, protocol version %d, started in %s; %s\n", file, oneLine(d.GetName()), oneLine(d.GetVersion()), kindName(d.GetKind()),
			i.Version, i.Started.Round(100*time.Microsecond), oneLine(types))
		if err := p.Close(); err != nil {
			return err
		}
		if len(args) == 1 {
			return nil
		}
		flags.plugins = []string{args[0]}
		return c.translate(ctx, flags, "", args[1:])
	}
	return cmd
}

func (c *command) pluginsListVerb() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list --config FILE",
		Short: "Show the plugins of a configuration",
		Long: `Start each plugin of a configuration for a moment, and show what it is and which relays use it. The
exit code is 1 if one cannot be started.`,
		Example: `  eiffelbridge plugins list --config eiffelbridge.yaml`,
		Args:    cobra.NoArgs,
	}
	var path string
	cmd.Flags().StringVar(&path, "config", "", "`FILE` with the configuration, YAML")
	_ = cmd.MarkFlagFilename("config", "yaml", "yml")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if path == "" {
			return usagef("plugins list needs --config FILE")
		}
		config, wrong, err := c.readConfig(path)
		if err != nil {
			return err
		}
		if len(wrong) > 0 {
			for _, line := range wrong {
				fmt.Fprintln(c.err, line)
			}
			return errUsage
		}
		ctx, stop := c.watch(cmd.Context())
		defer stop()
		return c.listPlugins(ctx, config)
	}
	return cmd
}

func (c *command) listPlugins(ctx context.Context, config *daemon.Config) error {
	settings := config.PluginSettings(daemon.BuildOptions{Logger: slog.New(slog.DiscardHandler), Version: c.env.Version})
	rows := [][]cell{{{"name", bold}, {"what", bold}, {"kind", bold}, {"relays", bold}, {"state", bold}}}
	failed := false
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		var relays []string
		for _, r := range config.Relays {
			for _, p := range r.Plugins {
				if p.Name == name {
					relays = append(relays, r.Name)
				}
			}
		}
		s := settings[name]
		s.MaxFailures = 1
		what, kind, state := "", "", "starts"
		p, err := host.Start(s)
		if err == nil {
			var i *host.Incarnation
			if i, err = p.Wait(ctx); err == nil {
				what, kind = i.Description.GetName()+" "+i.Description.GetVersion(), kindName(i.Description.GetKind())
				state = "starts in " + i.Started.Round(100*time.Microsecond).String()
			}
			_ = p.Close()
		}
		if err != nil {
			failed = true
			state = err.Error()
		}
		rows = append(rows, []cell{{name, plain}, {oneLine(what), plain}, {kind, plain}, {strings.Join(relays, ", "), plain}, {oneLine(state), plain}})
	}
	p := &painter{w: c.out}
	p.table("", 36, rows)
	if p.err == nil && failed {
		return errFailed
	}
	return p.err
}
