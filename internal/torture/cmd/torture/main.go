//go:build unix

// Command torture runs the fault matrix of the relay and prints its table. It exits with 1 if a cell fails.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"

	"github.com/eiffelbridge/eiffelbridge/internal/torture"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx)
	stop()
	os.Exit(code)
}

func run(ctx context.Context) int {
	var o torture.Options
	cells := flag.String("cell", "", "run only cells whose name matches this `pattern`")
	direction := flag.String("direction", "", "run only this direction: to_eiffel or to_cdevents")
	flag.IntVar(&o.Events, "events", 0, "events per cell (default 10000, with -short 1500)")
	flag.IntVar(&o.Rate, "rate", 0, "events per second, at most (default 1000)")
	flag.BoolVar(&o.Short, "short", false, "the short form: the cells of make test")
	flag.StringVar(&o.Relay, "relay", "", "a built `command` to torture, with the version 1.0.0 (default: it is built)")
	flag.BoolVar(&o.Keep, "keep", false, "keep the folders of all cells, not only of those that fail")
	flag.IntVar(&o.Parallel, "parallel", 1, "cells at a time; more than 1 is for a quick look")
	flag.Uint64Var(&o.Seed, "seed", 0, "of orders and moments (default: random, and printed)")
	markdown := flag.String("markdown", "", "write the table into this `file`, between its markers")
	flag.Parse()
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, "torture:", err)
		return 2
	}
	if flag.NArg() > 0 {
		return fail(fmt.Errorf("unexpected argument %q", flag.Arg(0)))
	}
	if *cells != "" {
		pattern, err := regexp.Compile(*cells)
		if err != nil {
			return fail(fmt.Errorf("-cell: %w", err))
		}
		o.Cells = pattern
	}
	switch d := torture.Direction(*direction); d {
	case "":
	case torture.ToEiffel, torture.ToCDEvents:
		o.Directions = []torture.Direction{d}
	default:
		return fail(fmt.Errorf("-direction: %q is neither to_eiffel nor to_cdevents", d))
	}
	if o.Seed == 0 {
		o.Seed = rand.Uint64()
	}
	folder, err := os.MkdirTemp("", "torture-")
	if err != nil {
		return fail(err)
	}
	o.Folder, o.Out = folder, os.Stdout
	fmt.Printf("seed %d, folder %s\n", o.Seed, folder)
	report, err := torture.Run(ctx, o)
	if err != nil {
		return fail(err)
	}
	failed := report.Failed()
	fmt.Printf("%d cells, %d failed, in %v\n", report.Ran(), len(failed), report.Took.Round(time.Second))
	if *markdown != "" {
		if err := torture.WriteTable(*markdown, report); err != nil {
			return fail(err)
		}
	}
	if len(failed) > 0 {
		return 1
	}
	if !o.Keep {
		_ = os.RemoveAll(folder)
	}
	return 0
}
