// Package cli has the verbs of the command eiffelbridge. It knows no process: what a verb reads and writes is handed to it, and
// what the process shall exit with is returned.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// The exit codes.
const (
	Done   = 0 // everything was done
	Failed = 1 // some events failed, and the others were still handled; or something failed on the way
	Usage  = 2 // the command line or the configuration is wrong
)

// Environment is what a process gives to the command. LookupEnv must be set.
type Environment struct {
	Args      []string // without the program's name
	Stdin     io.Reader
	Stdout    io.Writer
	Stderr    io.Writer
	LookupEnv func(name string) (string, bool)

	// Interrupts brings the wish to end: the first one in order, the second at once. Nil: there are none.
	Interrupts <-chan os.Signal

	// Reloads begins to bring the wish of a relay's owner to read the configuration anew. It is called by the verb that
	// heeds it. Nil: there are none.
	Reloads func() <-chan os.Signal

	// Version is the program's version; empty: what the build information says.
	Version string
}

// usageError is a wrong command line or configuration.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// configError is a usage error about which the help of the command line has nothing to say.
type configError struct{ err error }

func (e *configError) Error() string { return e.err.Error() }
func (e *configError) Unwrap() error { return e.err }

// errFailed says that events failed, and that everything about it was said.
var errFailed = errors.New("some events failed")

// errUsage says that the configuration is wrong, and that everything about it was said.
var errUsage = errors.New("the configuration is wrong")

// errInterrupted ends a verb that was told to end.
var errInterrupted = errors.New("interrupted")

// command is what every verb works with.
type command struct {
	env Environment
	out io.Writer
	err io.Writer
}

// Main runs the command and returns its exit code.
func Main(ctx context.Context, env Environment) int {
	c := &command{env: env, out: env.Stdout, err: env.Stderr}
	if c.env.Version == "" {
		c.env.Version = buildVersion()
	}
	root := c.root()
	root.SetArgs(env.Args)
	root.SetIn(env.Stdin)
	// Help does not tell whether it could be written.
	out := &watchedWriter{w: env.Stdout}
	root.SetOut(out)
	root.SetErr(env.Stderr)
	called, err := root.ExecuteContextC(ctx)
	if err == nil && out.err != nil {
		err = fmt.Errorf("write: %w", out.err)
	}
	return c.exitCode(called, err)
}

func (c *command) exitCode(called *cobra.Command, err error) int {
	var usage *usageError
	var config *configError
	var busy *busyError
	switch {
	case err == nil || isBrokenPipe(err):
		return Done
	case errors.Is(err, errUsage):
		return Usage
	case errors.Is(err, errFailed):
		return Failed
	case errors.As(err, &config), errors.As(err, &busy):
		fmt.Fprintf(c.err, "eiffelbridge: %v\n", err)
		return Usage
	case errors.As(err, &usage):
		fmt.Fprintf(c.err, "eiffelbridge: %v\n", err)
		fmt.Fprintf(c.err, "Run '%s --help' for what it takes.\n", called.CommandPath())
		return Usage
	}
	fmt.Fprintf(c.err, "eiffelbridge: %v\n", err)
	return Failed
}

// watchedWriter keeps the first error.
type watchedWriter struct {
	w   io.Writer
	err error
}

// Write implements io.Writer.
func (w *watchedWriter) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	if w.err == nil {
		w.err = err
	}
	return n, err
}

// isBrokenPipe tells whether nobody reads the output any more.
func isBrokenPipe(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe)
}

const about = `eiffelbridge translates events between CDEvents and Eiffel, both ways, and relays them between
CloudEvents over HTTP and RabbitMQ.

CDEvents speak about subjects that live for a while, such as a service; Eiffel events are immutable
and point at earlier events. A ledger keeps the two straight: give the same --ledger to commands
that belong together.

Exit codes: 0 done; 1 some events failed, and the others were still handled; 2 wrong usage or
configuration.`

func (c *command) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "eiffelbridge",
		Short:         "Translate and relay events between CDEvents and Eiffel",
		Long:          about,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          unknownVerb,
		RunE:          func(cmd *cobra.Command, args []string) error { return cmd.Help() },
		Example: `  eiffelbridge translate events.jsonl              # to the other protocol, one event per line
  eiffelbridge explain deployed.json               # where each field went, and why
  eiffelbridge run                                 # relay CloudEvents from 127.0.0.1:8080 to stdout`,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.Version = c.env.Version
	root.SetVersionTemplate(c.versionText())
	root.Flags().Bool("version", false, "what the verb version prints")
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), "Flags.FlagUsages ", fmt.Sprintf("Flags.FlagUsagesWrapped %d ", width)))
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	root.SetHelpCommand(&cobra.Command{Hidden: true, Use: "help [VERB]", Short: "Help for a verb",
		RunE: func(cmd *cobra.Command, args []string) error {
			target, _, err := root.Find(args)
			if err != nil {
				return &usageError{err}
			}
			return target.Help()
		}})
	root.AddCommand(c.verbs()...)
	for _, verb := range root.Commands() {
		flat(verb)
	}
	return root
}

func (c *command) verbs() []*cobra.Command {
	return []*cobra.Command{
		c.translateVerb(), c.explainVerb(), c.validateVerb(), c.mappingsVerb(), c.conformanceVerb(), c.runVerb(), c.checkVerb(), c.servicesVerb(),
		c.ledgerVerb(), c.pluginsVerb(), c.deadlettersVerb(), c.versionVerb(), c.completionVerb(), c.referenceVerb(),
	}
}

// flat gives every verb the behaviour that cobra leaves to each.
func flat(cmd *cobra.Command) {
	cmd.Flags().SortFlags = false
	cmd.DisableFlagsInUseLine = true
	if args := cmd.Args; args != nil {
		cmd.Args = func(cmd *cobra.Command, given []string) error {
			if err := args(cmd, given); err != nil {
				var usage *usageError
				if errors.As(err, &usage) {
					return err
				}
				return &usageError{err}
			}
			return nil
		}
	}
	for _, sub := range cmd.Commands() {
		flat(sub)
	}
}

// unknownVerb refuses a verb that is not there and suggests what may have been meant.
func unknownVerb(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	text := fmt.Sprintf("unknown verb %q", args[0])
	if cmd.SuggestionsMinimumDistance <= 0 {
		cmd.SuggestionsMinimumDistance = 2
	}
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		text += "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return usagef("%s", text)
}

// group makes a verb that has verbs of its own.
func group(cmd *cobra.Command, verbs ...*cobra.Command) *cobra.Command {
	cmd.Args = unknownVerb
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var names []string
		for _, v := range cmd.Commands() {
			names = append(names, v.Name())
		}
		return usagef("%s needs a verb: %s", cmd.CommandPath(), strings.Join(names, ", "))
	}
	cmd.AddCommand(verbs...)
	return cmd
}

// choice is a flag with few values.
type choice struct {
	value   *string
	allowed []string
	kind    string
}

// String implements pflag.Value.
func (c *choice) String() string { return *c.value }

// Type implements pflag.Value: what stands for the value in the help.
func (c *choice) Type() string { return c.kind }

// Set implements pflag.Value.
func (c *choice) Set(text string) error {
	for _, a := range c.allowed {
		if strings.EqualFold(a, text) {
			*c.value = a
			return nil
		}
	}
	return fmt.Errorf("it is one of %s", strings.Join(c.allowed, ", "))
}

// chosen adds a flag with few values and their completion. standard is the default; empty: none.
func chosen(cmd *cobra.Command, name, standard, usage string, allowed ...string) *string {
	kind := strings.Join(allowed, "|")
	if len(kind) > 40 {
		kind = name
	}
	value := standard
	cmd.Flags().Var(&choice{&value, allowed, kind}, name, usage)
	complete(cmd, name, allowed...)
	return &value
}

// complete says what the shell may propose for a flag.
func complete(cmd *cobra.Command, name string, values ...string) {
	// The error would be a flag that is not there, or one that is completed twice: a fault of this package.
	if err := cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(slices.Clone(values), cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err)
	}
}

// isTerminal tells whether a person sees what is written there, or types what is read.
func isTerminal(stream any) bool {
	f, ok := stream.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(f.Fd()))
}

// watch gives a context that ends with the first interrupt. stop releases it.
func (c *command) watch(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	done := make(chan struct{})
	go func() {
		select {
		case <-c.env.Interrupts:
			cancel(errInterrupted)
		case <-ctx.Done():
		}
		close(done)
	}()
	return ctx, func() {
		cancel(nil)
		<-done
	}
}

// buildVersion is the version that the Go toolchain wrote into the program; 0.0.0 if it did not know one.
func buildVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "0.0.0"
}

// serializerVersion is the version as it goes into events: what is local to a build is no part of it.
func (c *command) serializerVersion() string {
	version, _, _ := strings.Cut(c.env.Version, "+")
	return version
}
