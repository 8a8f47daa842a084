// Command oracle-run translates a corpus and writes what came of every event, one line of JSON each, and at the end of a
// stream what was learned. The comparison builds and runs it in two trees.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/testkit/oracle/run"
	"github.com/eiffelbridge/eiffelbridge/internal/testkit/oracle/stream"
)

func main() {
	if err := translateCorpus(); err != nil {
		fmt.Fprintln(os.Stderr, "oracle-run:", err)
		os.Exit(1)
	}
}

func translateCorpus() error {
	var o run.Options
	corpus := flag.String("corpus", "", "the file with the corpus")
	flag.IntVar(&o.Every, "every", 0, "take only every n-th stream")
	flag.IntVar(&o.Offset, "offset", 0, "with -every: which of them")
	only := flag.String("only", "", "take only the blocks with these numbers, separated by commas")
	flag.StringVar(&o.Name, "stream", "", "take only streams with this in their name")
	flag.BoolVar(&o.Texts, "texts", false, "write the events that went in as well")
	flag.BoolVar(&o.Each, "each", false, "write the learned state after each event")
	freeze := flag.String("freeze", "", "write a corpus to this file in which the outputs that go in again are texts of their own")
	flag.Parse()
	if *only != "" {
		o.Only = map[string]bool{}
		for _, id := range strings.Split(*only, ",") {
			o.Only[id] = true
		}
	}
	debug.SetGCPercent(400)
	f, err := os.Open(*corpus)
	if err != nil {
		return err
	}
	defer f.Close()
	var out io.Writer = os.Stdout
	if *freeze != "" {
		frozen, err := os.Create(*freeze)
		if err != nil {
			return err
		}
		defer frozen.Close()
		o.Freeze, out = stream.NewWriter(frozen), io.Discard
	}
	return run.New(out, o).Corpus(f)
}
