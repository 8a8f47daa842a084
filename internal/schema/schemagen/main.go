// Command schemagen derives the tables of package schema from the CDEvents and Eiffel specifications.
//
//	schemagen -specs <folder> -out <folder>
//
// The folder of specifications holds cdevents/v<version>/schemas, eiffel/schemas/<type>/<version>.json, eiffel/links.json
// and eiffel/event_manifest.yml. A keyword, a pattern or a format that the tables cannot express is an error: a table that
// silently checks less than its schema would be worse than none.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	specs := flag.String("specs", "", "folder of the specifications")
	out := flag.String("out", ".", "folder to write the tables to")
	flag.Parse()
	if err := run(*specs, *out); err != nil {
		fmt.Fprintln(os.Stderr, "schemagen:", err)
		os.Exit(1)
	}
}

func run(specs, out string) error {
	if specs == "" {
		return fmt.Errorf("-specs must name the folder of the specifications")
	}
	tables, err := Tables(specs)
	if err != nil {
		return err
	}
	for name, text := range tables {
		if err := os.WriteFile(filepath.Join(out, name), []byte(text), 0o666); err != nil {
			return err
		}
	}
	return nil
}
