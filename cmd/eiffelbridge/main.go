// Command eiffelbridge translates and relays events between CDEvents and Eiffel.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/eiffelbridge/eiffelbridge/cmd/eiffelbridge/internal/cli"
)

// version is set by the linker (-ldflags "-X main.version=v1.2.3"); empty: what the build information says.
var version string

func main() {
	// A pipe that nobody reads any more shall be an error of the write, so that a ledger is still closed in order.
	signal.Ignore(syscall.SIGPIPE)
	interrupts := make(chan os.Signal, 2)
	signal.Notify(interrupts, os.Interrupt, syscall.SIGTERM)
	os.Exit(cli.Main(context.Background(), cli.Environment{
		Args:       os.Args[1:],
		Stdin:      os.Stdin,
		Stdout:     os.Stdout,
		Stderr:     os.Stderr,
		LookupEnv:  os.LookupEnv,
		Interrupts: interrupts,
		Reloads: func() <-chan os.Signal {
			reloads := make(chan os.Signal, 1) // those that come during a reload are one
			signal.Notify(reloads, syscall.SIGHUP)
			return reloads
		},
		Version: version,
	}))
}
