//go:build unix

package torture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/eiffelbridge/eiffelbridge/internal/rabbittest"
)

// Options say what to run, and how.
type Options struct {
	Cells      *regexp.Regexp // of the cells' names; nil: all
	Directions []Direction    // none: both
	Short      bool           // the short form: the cells that are marked so
	Events     int            // per cell, at least; 0: 10,000, or 1,500 in the short form
	Rate       int            // events per second; 0: 1,000
	Parallel   int            // cells at a time; 0: one, as for measuring
	Seed       uint64         // of the order of events and the moments of faults
	Folder     string         // for what the cells leave behind: configuration, log, ledger; it must exist
	Relay      string         // a built command to torture, of version 1.0.0; empty: it is built
	Keep       bool           // keeps the folders of cells that passed as well
	Out        io.Writer      // a line per cell as it ends
}

// Report is what a run of the matrix gave.
type Report struct {
	Options Options
	Began   time.Time
	Took    time.Duration
	Broker  string // version of RabbitMQ
	Results []*Result
}

// Failed are the cells that did not pass.
func (r *Report) Failed() (failed []*Result) {
	for _, x := range r.Results {
		if x.Failure != "" {
			failed = append(failed, x)
		}
	}
	return failed
}

// Ran is how many cells were run; the others mean nothing in their direction.
func (r *Report) Ran() (n int) {
	for _, x := range r.Results {
		if x.None == "" {
			n++
		}
	}
	return n
}

// matrix are all cells, family by family.
func matrix() (all []*cell) {
	for _, family := range [][]*cell{relayCells(), brokerCells(), networkCells(), sinkCells(), ledgerCells(), clockCells(), eventCells(), pluginCells(), clientCells()} {
		all = append(all, family...)
	}
	return all
}

// Run builds the relay and runs the matrix, one cell after the other. The error is of the harness; a cell that fails is in
// the report.
func Run(ctx context.Context, o Options) (*Report, error) {
	zerolog.SetGlobalLevel(zerolog.Disabled) // toxiproxy logs by a logger of its own besides the one that it is given
	if len(o.Directions) == 0 {
		o.Directions = []Direction{ToEiffel, ToCDEvents}
	}
	if o.Events == 0 {
		o.Events = 10_000
		if o.Short {
			o.Events = 1_500
		}
	}
	if o.Rate == 0 {
		o.Rate = 1_000
	}
	report := &Report{Options: o, Began: time.Now()}
	binary, err := build(ctx, o.Folder)
	if err != nil {
		return nil, err
	}
	if o.Relay != "" {
		binary = o.Relay
	}
	shared, err := rabbittest.Start(ctx, rabbittest.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { _ = shared.Close() }()
	if out, err := shared.Ctl(ctx, "version"); err == nil {
		report.Broker = out
	}
	fmt.Fprintln(o.Out, lineHead())
	var jobs []func() (*Result, error)
	for _, c := range matrix() {
		if o.Cells != nil && !o.Cells.MatchString(c.name) || o.Short && !c.small {
			continue
		}
		for _, d := range o.Directions {
			if !c.meansSomething(d) {
				jobs = append(jobs, func() (*Result, error) { return &Result{Cell: c.name, Direction: d, None: c.none}, nil })
				continue
			}
			number := len(jobs) + 1
			jobs = append(jobs, func() (*Result, error) { return runCell(ctx, o, c, d, number, binary, shared) })
		}
	}
	report.Results = make([]*Result, len(jobs))
	var mu sync.Mutex // of the output, and of failed
	var failed error
	var next atomic.Int64
	var group sync.WaitGroup
	for range max(1, o.Parallel) {
		group.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(jobs) || ctx.Err() != nil {
					return
				}
				result, err := jobs[i]()
				mu.Lock()
				if report.Results[i] = result; result != nil && result.None == "" {
					fmt.Fprintln(o.Out, result.line())
				}
				failed = errors.Join(failed, err)
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	group.Wait()
	report.Results = slices.DeleteFunc(report.Results, func(r *Result) bool { return r == nil })
	if err := errors.Join(failed, context.Cause(ctx)); err != nil {
		return report, err
	}
	report.Took = time.Since(report.Began)
	return report, nil
}

// build makes the command and the plugins of the examples.
func build(ctx context.Context, folder string) (string, error) {
	binary := filepath.Join(folder, "eiffelbridge")
	cmd := exec.CommandContext(ctx, "go", "build", "-ldflags", "-X main.version="+version, "-o", folder+string(filepath.Separator),
		"github.com/eiffelbridge/eiffelbridge/cmd/eiffelbridge",
		"github.com/eiffelbridge/eiffelbridge/internal/torture/cmd/torture-plugin")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the relay: %w\n%s", err, out)
	}
	return binary, nil
}

// deadline is the most that a cell may take.
const deadline = 150 * time.Second

func runCell(ctx context.Context, o Options, c *cell, d Direction, number int, binary string, shared *rabbittest.Server) (*Result, error) {
	began := time.Now()
	result := &Result{Cell: c.name, Direction: d}
	r := &run{
		cell: c, direction: d, options: &o, result: result, binary: binary, plugins: o.Folder, server: shared,
		dir:      filepath.Join(o.Folder, fmt.Sprintf("%02d-%s-%s", number, d, regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(c.name, "-"))),
		exchange: fmt.Sprintf("torture.%d", number),
		random:   rand.New(rand.NewPCG(o.Seed, uint64(number))),
	}
	if c.ownBroker {
		server, err := rabbittest.Start(ctx, rabbittest.Options{})
		if err != nil {
			return nil, err
		}
		defer func() { _ = server.Close() }()
		r.server = server
	}
	ctx, cancel := context.WithTimeoutCause(ctx, deadline, fmt.Errorf("the cell did not end within %v", deadline))
	defer cancel()
	if err := r.execute(ctx); err != nil {
		result.Failure = err.Error()
		if r.relay != nil {
			r.writeDeliveries()
			_ = os.WriteFile(filepath.Join(r.dir, "failure"), []byte(err.Error()+"\n\n"+r.relay.log.tail(40)+"\n"), 0o644)
			result.Failure += fmt.Sprintf(" (more in %s)", r.dir)
		}
	} else if !o.Keep {
		_ = os.RemoveAll(r.dir)
	}
	if !c.ownBroker {
		cleaning, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		if err := r.deleteQueues(cleaning); err != nil {
			return nil, fmt.Errorf("after %s: %w", c.name, err)
		}
	}
	result.Took = time.Since(began)
	return result, nil
}
