// Command eiffel-translator is a translator for the CDEvents webhook adapter: Eiffel events that are posted to the adapter's
// /translate/eiffel become CDEvents. The adapter starts it; see the README beside this file.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/eiffelbridge/eiffelbridge/daemon/ledger"
	"github.com/eiffelbridge/eiffelbridge/plugins/webhookv1"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

const usage = `eiffel-translator turns Eiffel events into CDEvents for the CDEvents webhook adapter, which starts it. Put the binary into
the adapter's plugin folder under the name that stands in translator-plugins.yaml. Events are posted to /translate/NAME.

The adapter gives a translator no arguments, so each setting is an environment variable of the adapter too:
`

// The limits of a message. An event may have 16 MiB; the adapter itself takes answers of 4 MiB.
const maxMessage = 64 << 20

func main() {
	os.Exit(run(os.Args[1:], os.LookupEnv, os.Stderr))
}

func run(args []string, lookup func(string) (string, bool), stderr io.Writer) int {
	o, err := read(args, lookup, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "eiffel-translator:", err)
		return 2
	}
	if cookie, _ := lookup(webhookv1.CookieKey); cookie != webhookv1.CookieValue {
		fmt.Fprintln(stderr, "eiffel-translator: started by hand; the CDEvents webhook adapter is to start it (eiffel-translator -h says more)")
		return 2
	}
	// The adapter writes what its translators say on standard error into its own log.
	logger := hclog.New(&hclog.LoggerOptions{Name: "eiffel-translator", Level: hclog.Warn, Output: stderr, JSONFormat: true})
	t, err := newTranslator(o, logger)
	if err != nil {
		fmt.Fprintln(stderr, "eiffel-translator:", err)
		return 1
	}
	// The protocol has no lease: a host that dies leaves its translators behind.
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		if orphaned(ctx) {
			_ = t.close()
			os.Exit(0)
		}
	}()
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: plugin.HandshakeConfig{
			ProtocolVersion: webhookv1.Version, MagicCookieKey: webhookv1.CookieKey, MagicCookieValue: webhookv1.CookieValue,
		},
		Plugins: plugin.PluginSet{webhookv1.PluginName: &served{translator: t}},
		GRPCServer: func(options []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(options, grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage))...)
		},
		Logger: logger,
	})
	if err := t.close(); err != nil {
		fmt.Fprintln(stderr, "eiffel-translator:", err)
		return 1
	}
	return 0
}

// options are what the environment and the arguments say.
type options struct {
	ledger string
	spec   string
	carry  translate.Carry
	wait   time.Duration
}

// read takes the environment, and over it the arguments.
func read(args []string, lookup func(string) (string, bool), stderr io.Writer) (options, error) {
	var o options
	set := flag.NewFlagSet("eiffel-translator", flag.ContinueOnError)
	set.SetOutput(stderr)
	set.Usage = func() {
		fmt.Fprint(stderr, usage)
		set.PrintDefaults()
	}
	env := func(name, otherwise string) string {
		if v, ok := lookup(name); ok && v != "" {
			return v
		}
		return otherwise
	}
	set.StringVar(&o.ledger, "ledger", env("EIFFEL_TRANSLATOR_LEDGER", ""),
		"the `folder` of a ledger in which events find what they refer to; empty: what this process has seen, which is one event\nunder the adapter (EIFFEL_TRANSLATOR_LEDGER)")
	set.StringVar(&o.spec, "spec", env("EIFFEL_TRANSLATOR_SPEC", "0.4"),
		"the CDEvents `version` to write; the adapter reads 0.4 only (EIFFEL_TRANSLATOR_SPEC)")
	carry := set.String("carry", env("EIFFEL_TRANSLATOR_CARRY", string(translate.CarryOriginal)),
		"`original`, to have the whole Eiffel event travel along in custom data, or none (EIFFEL_TRANSLATOR_CARRY)")
	set.DurationVar(&o.wait, "ledger-wait", 10*time.Second, "how long to wait for a ledger that another process has open")
	if err := set.Parse(args); err != nil {
		return o, err
	}
	if set.NArg() > 0 {
		return o, fmt.Errorf("there are no arguments, only flags: %q", set.Args())
	}
	if err := o.carry.UnmarshalText([]byte(*carry)); err != nil {
		return o, fmt.Errorf("carry: %w", err)
	}
	return o, nil
}

// openLedger waits for a ledger that is open elsewhere: the adapter runs one process for every request.
func openLedger(path string, wait time.Duration) (*ledger.File, error) {
	deadline := time.Now().Add(wait)
	for {
		store, err := ledger.Open(path, ledger.Options{})
		var failed *ledger.OpenError
		if err == nil || !errors.As(err, &failed) || failed.Reason != ledger.Busy || time.Now().After(deadline) {
			return store, err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// orphaned returns true when the process that started this one is gone, false when ctx ends first.
func orphaned(ctx context.Context) bool {
	parent := os.Getppid()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
			if os.Getppid() != parent {
				return true
			}
		}
	}
}

func newTranslator(o options, logger hclog.Logger) (*translator, error) {
	settings := translate.DefaultSettings()
	settings.Spec, settings.Carry = o.spec, o.carry
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		settings.Version = info.Main.Version
	}
	engine, err := translate.New(settings)
	if err != nil {
		return nil, err
	}
	if o.ledger == "" {
		return &translator{session: translate.NewSession(engine, translate.NewMemoryLedger()), log: logger, close: func() error { return nil }}, nil
	}
	store, err := openLedger(o.ledger, o.wait)
	if err != nil {
		return nil, err
	}
	return &translator{session: translate.NewSession(engine, store), log: logger, close: store.Close}, nil
}
