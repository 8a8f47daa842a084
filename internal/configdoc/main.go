// Command configdoc writes docs/configuration.md from the code that reads configurations: the keys, their types and what they mean
// from the structs with yaml tags, the defaults from their constructors. Only what the code has in no such form stands here, in
// facts.go, and the tests hold it to what [daemon.Check] says.
package main

//go:generate go run . -o ../../docs/configuration.md

import (
	_ "embed"
	"flag"
	"fmt"
	"os"
)

// example is the annotated configuration of the document. It has every key.
//
//go:embed example.yaml
var example string

func main() {
	out := flag.String("o", "", "write to this `file` in place of the standard output")
	root := flag.String("root", "../..", "`folder` of the module")
	flag.Parse()
	if err := run(*root, *out); err != nil {
		fmt.Fprintf(os.Stderr, "configdoc: %v\n", err)
		os.Exit(1)
	}
}

func run(root, out string) error {
	text, err := document(root)
	if err != nil {
		return err
	}
	if out == "" {
		_, err = os.Stdout.WriteString(text)
		return err
	}
	return os.WriteFile(out, []byte(text), 0o644)
}
