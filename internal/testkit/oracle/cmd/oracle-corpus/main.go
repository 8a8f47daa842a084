// Command oracle-corpus writes the oracle's corpus. The comparison builds and runs it in the base tree.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"

	"github.com/eiffelbridge/eiffelbridge/internal/testkit/oracle/corpus"
	"github.com/eiffelbridge/eiffelbridge/internal/testkit/oracle/stream"
)

func main() {
	if err := write(); err != nil {
		fmt.Fprintln(os.Stderr, "oracle-corpus:", err)
		os.Exit(1)
	}
}

func write() error {
	root := flag.String("root", ".", "the folder of the tree")
	shared := flag.String("shared", "", "the folder with the specifications and the collected cases")
	out := flag.String("out", "", "the file to write")
	events := flag.Int("events", 100000, "how many events to generate")
	seed := flag.Uint64("seed", 1, "the seed of the first generated stream")
	full := flag.Bool("full", false, "run the examples with the full product of all settings")
	examples := flag.Bool("examples", true, "write the examples and cases as well")
	flag.Parse()
	f, err := os.Create(*out)
	if err != nil {
		return err
	}
	defer f.Close()
	b := bufio.NewWriterSize(f, 1<<20)
	w := stream.NewWriter(b)
	overlays, err := corpus.OverlayTexts(*root)
	if err != nil {
		return err
	}
	for _, o := range overlays {
		if err := w.Overlay(o); err != nil {
			return err
		}
	}
	static, err := corpus.Static(*root, *shared, *full)
	if err != nil {
		return err
	}
	for i := range static {
		if !*examples {
			break
		}
		if err := w.Stream(&static[i]); err != nil {
			return err
		}
	}
	for n := *seed; *events > 0; n++ {
		s := corpus.Generate(n)
		*events -= len(s.Steps)
		if err := w.Stream(&s); err != nil {
			return err
		}
	}
	if err := b.Flush(); err != nil {
		return err
	}
	return f.Close()
}
