//go:build unix

// Command rabbitd runs a private RabbitMQ node for demonstrations and
// benchmarks. When the node is ready it prints one line, AMQP_URL=..., to its
// standard output. It stops the node and exits with status 0 on SIGTERM and
// SIGINT or, with -stdin, on SIGTERM and at the end of its standard input; it
// exits with status 1 if the node does not start or ends by itself.
//
// Scripts that run it with `go run` should use -stdin: go run passes no SIGTERM
// on to the program that it runs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/eiffelbridge/eiffelbridge/internal/rabbittest"
)

func main() {
	dir := flag.String("dir", "", "keep the node's data in this `folder` (default: a temporary one)")
	config := flag.String("config", "", "append this `file` to the node's rabbitmq.conf")
	stdin := flag.Bool("stdin", false, "stop at the end of the standard input, too")
	verbose := flag.Bool("v", false, "copy the node's log to the standard error")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "rabbitd: unexpected argument %q\n", flag.Arg(0))
		os.Exit(2)
	}
	if err := run(*dir, *config, *stdin, *verbose); err != nil {
		fmt.Fprintf(os.Stderr, "rabbitd: %v\n", err)
		os.Exit(1)
	}
}

func run(dir, config string, stdin, verbose bool) error {
	signals := []os.Signal{syscall.SIGTERM}
	if stdin {
		// Ctrl-C reaches every process of a terminal at once; who holds the standard input decides when to stop.
		signal.Ignore(syscall.SIGINT)
	} else {
		signals = append(signals, syscall.SIGINT)
	}
	// A second signal during a slow stop kills this process, and the node with it.
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	defer stop()
	opts := rabbittest.Options{Dir: dir}
	if config != "" {
		b, err := os.ReadFile(config)
		if err != nil {
			return err
		}
		opts.ConfigExtra = string(b)
	}
	if verbose {
		opts.Log = os.Stderr
	}
	if stdin {
		// Nobody waits for this goroutine: a read of a terminal or a pipe
		// cannot be interrupted, and the process ends soon after.
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			stop()
		}()
	}
	s, err := rabbittest.Start(ctx, opts)
	if err != nil {
		if errors.Is(err, context.Canceled) {
			return nil
		}
		return err
	}
	fmt.Printf("AMQP_URL=%s\n", s.URL())
	select {
	case <-ctx.Done():
		stop()
	case <-s.Exited():
		err = fmt.Errorf("rabbitmq ended by itself; the end of its log:\n%s", s.LogTail())
	}
	return errors.Join(err, s.Close())
}
