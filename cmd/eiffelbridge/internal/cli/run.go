package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/eiffelbridge/eiffelbridge/daemon"
	"github.com/eiffelbridge/eiffelbridge/daemon/ledger"
	"github.com/eiffelbridge/eiffelbridge/daemon/traces"
	"github.com/eiffelbridge/eiffelbridge/plugins/host"
)

// drainTimeout is how long a relay that is told to end lets what is in flight come to its end: as long as orchestrators
// wait before they kill.
const drainTimeout = 30 * time.Second

func (c *command) runVerb() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Relay events between transports",
		Long: `Run the relays of a configuration until the process is told to end.

Without --config it listens for CloudEvents on 127.0.0.1:8080, keeps its ledger in the folder
ledger and writes the translated events to standard output. With AMQP_URL set it relays both ways
over that broker; CDEvents then go to K_SINK if that is set, else to standard output.

An event is accepted only when everything that follows from it is durable. SIGINT or SIGTERM ends
the relay in order: it takes no more events and lets those in flight come to their end, for as long
as --drain-timeout; what is left goes back to its source, and nothing is lost. A second signal ends
it at once. SIGHUP reads the configuration, the mappings and the plugins anew and goes on by them,
without losing a delivery; if something is wrong with them, the log says what and the relay goes on
as before. Logs go to standard error and never hold an event's content. Traces go to the collector
that OTEL_EXPORTER_OTLP_ENDPOINT names, if it is set.`,
		Example: `  eiffelbridge run
  AMQP_URL=amqp://guest:guest@127.0.0.1:5672/ eiffelbridge run
  eiffelbridge run --config eiffelbridge.yaml --log-format json`,
		Args: cobra.NoArgs,
	}
	var path string
	var drain time.Duration
	cmd.Flags().StringVar(&path, "config", "", "`FILE` with the configuration, YAML")
	cmd.Flags().DurationVar(&drain, "drain-timeout", drainTimeout, "how long events in flight may take to come to their end")
	level := chosen(cmd, "log-level", "info", "what to log", "debug", "info", "warn", "error")
	format := chosen(cmd, "log-format", "text", "form of the log", "text", "json")
	_ = cmd.MarkFlagFilename("config", "yaml", "yml")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if drain < 0 {
			return usagef("--drain-timeout %v is less than 0s", drain)
		}
		return c.run(cmd.Context(), path, drain, c.logger(*level, *format), *format == "json")
	}
	return cmd
}

func (c *command) logger(level, format string) *slog.Logger {
	var l slog.Level
	// The flag has checked the text.
	_ = l.UnmarshalText([]byte(level))
	options := &slog.HandlerOptions{Level: l}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(c.err, options))
	}
	return slog.New(slog.NewTextHandler(c.err, options))
}

// readConfig reads a configuration, the default one if there is no path, and writes its problems to w.
func (c *command) readConfig(path string) (*daemon.Config, []string, error) {
	if path == "" {
		config := daemon.DefaultConfig(c.env.LookupEnv)
		return config, environmentProblems(daemon.Check(config)), nil
	}
	config, err := daemon.ReadConfigFile(path, c.env.LookupEnv)
	if err != nil {
		return nil, nil, &configError{fmt.Errorf("cannot read the configuration: %w", err)}
	}
	return config, problems(path, daemon.Check(config)), nil
}

// environmentProblems are the problems of the default configuration. Nobody wrote that, so that they name what it took from the
// environment.
func environmentProblems(list []daemon.Problem) []string {
	for i, p := range list {
		switch transport, _, _ := strings.Cut(strings.TrimPrefix(p.Key, "transports."), "."); transport {
		case "bus":
			list[i].Key = "AMQP_URL"
		case "sink":
			list[i].Key = "K_SINK"
		}
		list[i].Line = 0
	}
	return problems("environment", list)
}

// problems are the lines file:line: key: message.
func problems(file string, list []daemon.Problem) []string {
	var lines []string
	for _, p := range list {
		text := file
		if p.Line > 0 {
			text += fmt.Sprintf(":%d", p.Line)
		}
		text += ": "
		if p.Key != "" {
			text += p.Key + ": "
		}
		lines = append(lines, oneLine(text+p.Message))
	}
	return lines
}

func (c *command) run(ctx context.Context, path string, drain time.Duration, log *slog.Logger, machine bool) error {
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
	spans := traces.Start(ctx, traces.Options{LookupEnv: c.env.LookupEnv, Version: c.env.Version, Logger: log})
	atOnce := false
	defer func() {
		if !atOnce {
			c.flush(ctx, spans, log)
		}
	}()
	options := daemon.BuildOptions{
		Logger: log, Version: c.serializerVersion(), Stdin: c.env.Stdin, Stdout: c.out, Tracer: spans.Provider(),
	}
	var reloads <-chan os.Signal
	if c.env.Reloads != nil {
		reloads = c.env.Reloads()
	}
	settings, err := config.Settings(options)
	if err != nil {
		return startProblem(err, config)
	}
	relay, err := daemon.New(settings)
	if err != nil {
		return err
	}
	if err := relay.Start(ctx); err != nil {
		return startProblem(err, config)
	}
	c.announce(relay, settings, log, machine)

	ended := make(chan error, 1)
	go func() { ended <- relay.Wait() }()
	var failure error
	type reloaded struct {
		config   *daemon.Config
		settings daemon.Settings
	}
	applied := make(chan *reloaded, 1) // what came of a reload; nil: nothing
	due := reloads                     // nil while a reload is under way
	for running := true; running; {
		select {
		case failure = <-ended: // the sources came to their end, or one can never work
			running = false
		case sig := <-c.env.Interrupts:
			log.Info("ending: events in flight come to their end first", "signal", sig.String(), "drain_timeout", drain.String())
			running = false
		case <-due:
			due = nil
			go func() {
				// It takes as long as the sinks take to answer. The end does not wait for that.
				ctx, cancel := context.WithTimeout(ctx, drain)
				defer cancel()
				next, following, err := c.reload(ctx, relay, path, options, config, settings)
				if err != nil {
					applied <- nil
					return
				}
				applied <- &reloaded{next, following}
			}()
		case r := <-applied:
			due = reloads
			if r != nil {
				config, settings = r.config, r.settings
			}
		case <-ctx.Done():
			running = false
		}
	}
	draining, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	down := make(chan error, 1)
	go func() { down <- relay.Shutdown(draining) }()
	select {
	case err := <-down:
		return errors.Join(failure, err)
	case sig := <-c.env.Interrupts:
		// Not even the ledger is closed: it is made for a process that ends in the middle.
		atOnce = true
		return fmt.Errorf("ended at once by a second signal (%s); what was in flight goes back to its source", sig)
	}
}

// reload has a relay go on by the configuration as it is now. If that is not possible, the relay goes on as before, and has said why.
func (c *command) reload(ctx context.Context, relay *daemon.Daemon, path string, options daemon.BuildOptions, running *daemon.Config,
	settings daemon.Settings) (*daemon.Config, daemon.Settings, error) {
	next, wrong, err := c.readConfig(path)
	if err == nil && len(wrong) > 0 {
		err = errors.New(strings.Join(wrong, "; "))
	}
	var following daemon.Settings
	if err == nil {
		following, err = next.Successor(options, running, settings)
	}
	if err != nil {
		relay.RefuseReload(err)
		return nil, daemon.Settings{}, err
	}
	return next, following, relay.Reload(ctx, following)
}

// flushTimeout bounds how long the last traces may take to be sent.
const flushTimeout = 3 * time.Second

// flush sends the last traces.
func (c *command) flush(ctx context.Context, spans *traces.Traces, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	if err := spans.Shutdown(ctx); err != nil {
		log.Warn("traces are lost", "error", err)
	}
}

// startProblem sorts out what is for the user to put right before a relay can start: the ledger and the addresses of the
// configuration.
func startProblem(err error, config *daemon.Config) error {
	var refused *ledger.OpenError
	var network *net.OpError
	var unavailable *host.UnavailableError
	switch {
	case errors.As(err, &unavailable):
		return &configError{err}
	case errors.As(err, &refused) && refused.Reason == ledger.Busy:
		return askInstead(&busyError{refused}, config.Admin.Listen)
	case errors.As(err, &refused):
		return &configError{refused}
	case errors.Is(err, syscall.EADDRINUSE):
		return &configError{fmt.Errorf("%w; stop what listens there, which may be another relay, or configure another address (--config)", err)}
	case errors.As(err, &network) && network.Op == "listen":
		return &configError{fmt.Errorf("%w; configure another address (--config)", err)}
	}
	return err
}

// announce says where the relay can be reached.
func (c *command) announce(relay *daemon.Daemon, settings daemon.Settings, log *slog.Logger, machine bool) {
	addresses := relay.Addresses()
	for _, name := range slices.Sorted(maps.Keys(addresses)) {
		if machine {
			log.Info("listening", "part", name, "address", addresses[name].String())
			continue
		}
		what := "transport " + name + " listens on"
		if name == "admin" {
			what = "services, dead letters, health and metrics are on"
		}
		fmt.Fprintf(c.err, "eiffelbridge: %s http://%s/\n", what, hostPort(addresses[name]))
	}
	if machine {
		return
	}
	for _, r := range settings.Relays {
		fmt.Fprintf(c.err, "eiffelbridge: relay %s: from %s to %s, translating to %s\n", r.Name, r.From, r.To, r.Translate)
	}
}

// hostPort is an address that can be put into a browser: one that listens everywhere is reached on this host.
func hostPort(a net.Addr) string {
	if tcp, ok := a.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		return fmt.Sprintf("localhost:%d", tcp.Port)
	}
	return a.String()
}

func (c *command) checkVerb() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check --config FILE",
		Short: "Check a configuration",
		Long: `Check the configuration of a relay without starting anything. Every problem is a line:

  file:line: key: message

The exit code is 0 if there is none, else 2. Environment variables that the configuration names are
read.`,
		Example: `  eiffelbridge check --config eiffelbridge.yaml`,
		Args:    cobra.NoArgs,
	}
	var path string
	cmd.Flags().StringVar(&path, "config", "", "`FILE` with the configuration, YAML")
	_ = cmd.MarkFlagFilename("config", "yaml", "yml")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if path == "" {
			return usagef("check needs --config FILE")
		}
		config, wrong, err := c.readConfig(path)
		if err != nil {
			return err
		}
		for _, line := range wrong {
			if _, err := fmt.Fprintln(c.out, line); err != nil {
				return err
			}
		}
		if len(wrong) > 0 {
			return errUsage
		}
		_, err = fmt.Fprintf(c.out, "%s: no problems; %s, %s\n", path, count(len(config.Transports), "transport"), count(len(config.Relays), "relay"))
		return err
	}
	return cmd
}
