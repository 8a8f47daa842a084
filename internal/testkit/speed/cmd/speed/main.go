// Command speed prints how fast the translation is: by event type, as a whole command, and for events of hostile shapes. It
// is the first part of make bench.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"time"

	"github.com/eiffelbridge/eiffelbridge/internal/testkit/speed"
)

func main() { os.Exit(run()) }

// pattern is a flag that is a regular expression.
type pattern struct{ *regexp.Regexp }

// String is the expression.
func (p *pattern) String() string {
	if p.Regexp == nil {
		return ""
	}
	return p.Regexp.String()
}

// Set parses the expression.
func (p *pattern) Set(text string) (err error) {
	p.Regexp, err = regexp.Compile(text)
	return err
}

func run() int {
	types := flag.Bool("types", false, "measure the event types (with no part chosen: the types and the commands)")
	commands := flag.Bool("commands", false, "measure whole commands")
	hostile := flag.Bool("hostile", false, "measure events of hostile shapes, some ten minutes")
	rounds := flag.Int("rounds", 5, "rounds of the types and of the commands")
	round := flag.Duration("round", 200*time.Millisecond, "how long each variant is measured in a round")
	events := flag.Int("events", 20_000, "events in the file that the commands read")
	command := flag.String("command", "", "a built eiffelbridge to measure (default: it is built)")
	markdown := flag.Bool("markdown", false, "print the tables as markdown")
	part := flag.String("part", "", "measure a `part` of the shapes, such as 2/8")
	all := flag.Bool("all", false, "print all hostile shapes, not only those that are marked")
	quiet := flag.Bool("quiet", false, "say nothing on the way")
	var only, ways pattern
	flag.Var(&only, "only", "measure the types and the shapes whose names fit this `pattern`")
	flag.Var(&ways, "ways", "measure the shapes in the ways whose names fit this `pattern`: original, none, relay")
	flag.Parse()
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, "speed:", err)
		return 1
	}
	if flag.NArg() > 0 {
		return fail(fmt.Errorf("unexpected argument %q", flag.Arg(0)))
	}
	if *rounds < 1 || *events < 1 {
		return fail(fmt.Errorf("-rounds and -events are at least 1"))
	}
	if !*types && !*commands && !*hostile {
		*types, *commands = true, true
	}
	progress := io.Writer(os.Stderr)
	if *quiet {
		progress = nil
	}
	show := func(t *speed.Table) {
		if *markdown {
			t.Markdown(os.Stdout)
		} else {
			t.Print(os.Stdout)
		}
	}
	if *types {
		tables, err := speed.MeasureTypes(speed.TypeOptions{Rounds: *rounds, Round: *round, Only: only.Regexp, Progress: progress})
		if err != nil {
			return fail(err)
		}
		for _, t := range tables {
			show(t)
		}
	}
	if *commands {
		t, err := speed.MeasureCommands(speed.CommandOptions{Rounds: *rounds, Events: *events, Command: *command, Progress: progress})
		if err != nil {
			return fail(err)
		}
		show(t)
	}
	if *hostile {
		o := speed.HostileOptions{Only: only.Regexp, Variants: ways.Regexp, Progress: progress}
		if *part != "" {
			if _, err := fmt.Sscanf(*part, "%d/%d", &o.Part, &o.Parts); err != nil || o.Part < 1 || o.Part > o.Parts {
				return fail(fmt.Errorf("-part: %q is no part such as 2/8", *part))
			}
		}
		costs, err := speed.Hostile(o)
		if err != nil {
			return fail(err)
		}
		show(speed.HostileTable(costs, *all))
	}
	return 0
}
