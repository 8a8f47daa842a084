package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
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

// pluginArg is a plugin that the command line names.
type pluginArg struct {
	text   string // as it stands there
	file   string
	mode   host.Mode // empty: by the plugin's kind
	config string    // the file with its configuration; empty: none
}

// parsePlugin takes FILE:MODE apart.
func parsePlugin(text string) pluginArg {
	for _, m := range host.Modes() {
		if file, ok := strings.CutSuffix(text, ":"+string(m)); ok {
			return pluginArg{text: text, file: file, mode: m}
		}
	}
	return pluginArg{text: text, file: text}
}

// addPlugins adds the flags --plugin and --plugin-config.
func addPlugins(cmd *cobra.Command, plugins *[]pluginArg) {
	cmd.Flags().Var(pluginValue(func(text string) error {
		*plugins = append(*plugins, parsePlugin(text))
		return nil
	}), "plugin", "`FILE` of a plugin that joins in: a mapping overrides, a decorator decorates; FILE:fallback asks it where the program has no mapping; may be given several times, in their order")
	cmd.Flags().Var(pluginValue(func(text string) error {
		n := len(*plugins)
		switch {
		case n == 0:
			return errors.New("it belongs behind the --plugin that it is for")
		case (*plugins)[n-1].config != "":
			return fmt.Errorf("--plugin %s has one already", (*plugins)[n-1].text)
		}
		(*plugins)[n-1].config = text
		return nil
	}), "plugin-config", "`FILE` with the configuration of the --plugin before it, JSON")
	_ = cmd.MarkFlagFilename("plugin")
	_ = cmd.MarkFlagFilename("plugin-config", "json")
}

// pluginValue is a flag whose values belong together in their order; it implements pflag.Value.
type pluginValue func(string) error

func (v pluginValue) Set(text string) error { return v(text) }
func (v pluginValue) String() string        { return "" }
func (v pluginValue) Type() string          { return "stringArray" }

// readPluginConfig reads the file of a --plugin-config; an empty name is none.
func readPluginConfig(file string) (json.RawMessage, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, &configError{err}
	}
	if !json.Valid(text) {
		return nil, usagef("--plugin-config %s: it is no JSON", file)
	}
	return text, nil
}

// kindName is a kind of plugin for people.
func kindName(k pluginv1.Kind) string {
	return strings.ToLower(strings.TrimPrefix(k.String(), "KIND_"))
}

// tryPlugin starts a plugin that the user names on the command line: who runs it vouches for it.
func (c *command) tryPlugin(ctx context.Context, arg pluginArg) (*host.Process, *host.Incarnation, error) {
	s := host.DefaultSettings()
	file := arg.file
	var err error
	if s.Config, err = readPluginConfig(arg.config); err != nil {
		return nil, nil, err
	}
	s.Name, s.Path, s.Dev, s.HostVersion = strings.TrimSuffix(filepath.Base(file), ".exe"), file, true, c.env.Version
	if !strings.ContainsAny(file, `/\`) {
		s.Path = "." + string(filepath.Separator) + file // a FILE like any other; names in PATH are for configurations
	}
	s.MaxFailures = 1 // a person waits
	level := new(slog.LevelVar)
	level.Set(slog.LevelError + 1) // why it does not start is the command's error
	s.Logger = slog.New(slog.NewTextHandler(c.err, &slog.HandlerOptions{Level: level}))
	p, err := host.Start(s)
	if err != nil {
		return nil, nil, &configError{err}
	}
	i, err := p.Wait(ctx)
	if err != nil {
		return nil, nil, errors.Join(&configError{err}, p.Close())
	}
	level.Set(slog.LevelWarn)
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
	for _, arg := range t.plugins {
		p, i, err := c.tryPlugin(ctx, arg)
		if err != nil {
			close()
			return nil, func() {}, err
		}
		mode := arg.mode
		if mode == "" {
			mode = host.ModeOverride
			if i.Description.GetKind() == pluginv1.Kind_KIND_DECORATOR {
				mode = host.ModeDecorate
			}
		}
		m := host.NewMapping(p, mode == host.ModeDecorate, host.MappingSettings{})
		links, processes = append(links, host.Link{Plugin: m, Mode: mode}), append(processes, p)
		if err := m.Fits(i.Description); err != nil {
			close()
			return nil, func() {}, usagef("--plugin %s: %w", arg.text, err)
		}
	}
	chain := host.NewChain(engine, refusing, links)
	if s.Explain {
		chain = chain.Explaining()
	}
	return chain, close, nil
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
	var config string
	cmd.Flags().StringVar(&config, "plugin-config", "", "`FILE` with the configuration of the plugin, JSON")
	_ = cmd.MarkFlagFilename("plugin-config", "json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx, stop := c.watch(cmd.Context())
		defer stop()
		arg := parsePlugin(args[0])
		arg.config = config
		p, i, err := c.tryPlugin(ctx, arg)
		if err != nil {
			return err
		}
		d := i.Description
		types := "all types"
		if len(d.GetTypes()) > 0 {
			types = strings.Join(d.GetTypes(), ", ")
		}
		fmt.Fprintf(c.err, "%s: %s %s, a %s plugin, protocol version %d, started in %s; %s\n", arg.file, oneLine(d.GetName()), oneLine(d.GetVersion()), kindName(d.GetKind()),
			i.Version, i.Started.Round(100*time.Microsecond), oneLine(types))
		if err := p.Close(); err != nil {
			return err
		}
		if len(args) == 1 {
			return nil
		}
		flags.plugins = []pluginArg{arg}
		return c.translate(ctx, flags, "", args[1:])
	}
	return cmd
}

func (c *command) pluginsListVerb() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list --config FILE",
		Short: "Show the plugins of a configuration",
		Long: `Start each plugin of a configuration for a moment, and show what it is, whether it starts, and which
relays and transports use it. Why one does not start, or is not what it is used as, is a line on
standard error, and the exit code is 1 then. A transport is neither opened nor connected, so that a
relay that runs is not disturbed.`,
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
		return c.listPlugins(ctx, path, config)
	}
	return cmd
}

// listed is what became of the start of a plugin.
type listed struct {
	what, kind, state string
	problems          []string
}

func (c *command) listPlugins(ctx context.Context, path string, config *daemon.Config) error {
	settings := config.PluginSettings(daemon.BuildOptions{Logger: slog.New(slog.DiscardHandler), Version: c.env.Version})
	if len(settings) == 0 {
		_, err := fmt.Fprintf(c.err, "%s: there are no plugins\n", path)
		return err
	}
	uses := map[string][]daemon.PluginUse{}
	for _, u := range config.PluginUses() {
		uses[u.Plugin] = append(uses[u.Plugin], u)
	}
	rows := [][]cell{{{"name", bold}, {"what", bold}, {"kind", bold}, {"state", bold}, {"used by", bold}}}
	var problems []string
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		l := tryListed(ctx, settings[name], uses[name])
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		state, used := cell{l.state, green}, cell{"nothing", dim}
		if len(l.problems) > 0 {
			state.style = red
		}
		if len(uses[name]) > 0 {
			used = cell{uses[name][0].String(), plain}
		}
		rows = append(rows, []cell{{name, plain}, {oneLine(l.what), plain}, {l.kind, plain}, state, used})
		for _, u := range uses[name][min(1, len(uses[name])):] {
			rows = append(rows, []cell{{}, {}, {}, {}, {u.String(), plain}})
		}
		for _, text := range l.problems {
			problems = append(problems, oneLine(text))
		}
	}
	p := c.painter("auto")
	p.table("", 36, rows)
	for _, text := range problems {
		fmt.Fprintln(c.err, text)
	}
	if p.err == nil && len(problems) > 0 {
		return errFailed
	}
	return p.err
}

// tryListed starts a plugin for a moment. A transport is not told that it is to be a source or a sink, so that it takes nothing from
// a relay that runs.
func tryListed(ctx context.Context, s host.Settings, uses []daemon.PluginUse) listed {
	s.MaxFailures = 1
	if len(s.Config) == 0 && len(uses) > 0 {
		s.Config = uses[0].Config
	}
	l := listed{state: "does not start"}
	p, err := host.Start(s)
	if err == nil {
		defer func() { _ = p.Close() }()
		var i *host.Incarnation
		if i, err = p.Wait(ctx); err == nil {
			d := i.Description
			l.what, l.kind = d.GetName()+" "+d.GetVersion(), kindName(d.GetKind())
			l.state = "starts"
			for _, u := range uses {
				if err := u.Fits(d); err != nil {
					l.state = "does not fit"
					l.problems = append(l.problems, fmt.Sprintf("%s: %v", u, err))
				}
			}
			return l
		}
	}
	l.problems = []string{err.Error()}
	return l
}
