package speed

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/eiffelbridge/eiffelbridge/examples/events"
	"github.com/eiffelbridge/eiffelbridge/internal/testkit/steady"
)

// CommandOptions say how to measure whole commands.
type CommandOptions struct {
	Rounds   int
	Events   int
	Command  string    // a built eiffelbridge; empty: it is built
	Progress io.Writer // may be nil
}

// command is one of the commands that are compared.
type command struct {
	name      string
	args      func(dir string) []string
	wall, cpu []float64 // seconds, by round
}

// MeasureCommands measures whole commands on a file of events.
func MeasureCommands(o CommandOptions) (*Table, error) {
	dir, err := os.MkdirTemp("", "speed-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if o.Command == "" {
		o.Command = filepath.Join(dir, "eiffelbridge")
		build := exec.Command("go", "build", "-trimpath", "-o", o.Command, "github.com/eiffelbridge/eiffelbridge/cmd/eiffelbridge")
		if out, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build the command: %w\n%s", err, out)
		}
	}
	file := filepath.Join(dir, "events.jsonl")
	size, err := writeEvents(file, o.Events)
	if err != nil {
		return nil, err
	}
	commands := []*command{
		{name: "jq -c .", args: func(string) []string { return []string{"jq", "-c", ".", file} }},
		{name: "eiffelbridge translate", args: func(string) []string { return []string{o.Command, "translate", file} }},
		{name: "eiffelbridge translate --ledger", args: func(dir string) []string { return []string{o.Command, "translate", "--ledger", dir, file} }},
	}
	missing := ""
	if _, err := exec.LookPath("jq"); err != nil {
		missing = "\njq is not installed (apt-get install jq): there is nothing to compare with."
		commands = commands[1:]
	}
	for round := range o.Rounds {
		for i, c := range commands {
			if o.Progress != nil {
				fmt.Fprintf(o.Progress, "round %d: %s\n", round+1, c.name)
			}
			if err := c.run(filepath.Join(dir, fmt.Sprintf("ledger-%d-%d", round, i))); err != nil {
				return nil, err
			}
		}
	}
	t := &Table{Title: fmt.Sprintf("Whole commands on a file of %d events of all types, %.1f MB", o.Events, float64(size)/1e6), Columns: []Column{
		{Name: "command"}, {Name: "wall s", Right: true}, {Name: "min..max", Right: true}, {Name: "CPU s", Right: true}, {Name: "min..max", Right: true},
		{Name: "wall/jq", Right: true}, {Name: "CPU/jq", Right: true}, {Name: "events/s", Right: true},
	}}
	for _, c := range commands {
		wall, cpu := spreadOf(c.wall), spreadOf(c.cpu)
		row := []string{c.name, number(wall.Median), number(wall.Min) + ".." + number(wall.Max), number(cpu.Median), number(cpu.Min) + ".." + number(cpu.Max), "-", "-",
			fmt.Sprintf("%.0f", float64(o.Events)/wall.Median)}
		if missing == "" {
			row[5], row[6] = number(ratios(c.wall, commands[0].wall).Median), number(ratios(c.cpu, commands[0].cpu).Median)
		}
		t.Rows = append(t.Rows, row)
	}
	t.Note = fmt.Sprintf("Medians of %d rounds, by turns; the output goes to %s. CPU is that of all threads.", o.Rounds, os.DevNull) + missing
	return t, nil
}

// run runs the command once. The folder is for a ledger, which is new each time.
func (c *command) run(ledger string) error {
	args := c.args(ledger)
	cmd := exec.Command(args[0], args[1:]...)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	start := time.Now()
	err := cmd.Run()
	wall := time.Since(start)
	if err != nil || complaints.Len() > 0 {
		return errors.Join(fmt.Errorf("%s: %w\n%.2000s", c.name, err, complaints.Bytes()), os.RemoveAll(ledger))
	}
	state := cmd.ProcessState
	c.wall = append(c.wall, wall.Seconds())
	c.cpu = append(c.cpu, (state.UserTime() + state.SystemTime()).Seconds())
	return os.RemoveAll(ledger)
}

// writeEvents writes a file of events, a line each: the stories of the examples, so that what others speak of is known, then
// the types by turns.
func writeEvents(name string, count int) (size int64, err error) {
	types, err := steady.Types()
	if err != nil {
		return 0, err
	}
	f, err := os.Create(name)
	if err != nil {
		return 0, err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	written := 0
	put := func(text []byte) error {
		var line bytes.Buffer
		if err := json.Compact(&line, text); err != nil {
			return err
		}
		line.WriteByte('\n')
		written++
		size += int64(line.Len())
		_, err := w.Write(line.Bytes())
		return err
	}
	for _, story := range []func() ([]events.Example, error){events.CDEvents, events.Eiffel} {
		examples, failed := story()
		err = errors.Join(err, failed)
		for _, e := range examples {
			if written < count && err == nil {
				err = put(e.JSON)
			}
		}
	}
	for i := 0; written < count && err == nil; i++ {
		err = put(types[i%len(types)].Write(i))
	}
	return size, errors.Join(err, w.Flush(), f.Close())
}
