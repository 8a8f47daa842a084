// Command mappings writes docs/mappings: a page for every event type of either protocol that says what it becomes in the
// other, and an index with what all of them share. It is made from the catalogue (package mappings), the schemas' tables and the
// translation itself, which is run on the stories of examples/events. What the pages say beside it
// stands in templates.
package main

//go:generate go run . -o ../../../docs/mappings

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

func main() {
	out := flag.String("o", "", "write to this `folder`, and remove pages from it that are made no longer")
	flag.Parse()
	if err := run(*out); err != nil {
		fmt.Fprintf(os.Stderr, "mappings: %v\n", err)
		os.Exit(1)
	}
}

func run(out string) error {
	if out == "" {
		return fmt.Errorf("-o must name the folder to write to")
	}
	pages, err := document()
	if err != nil {
		return err
	}
	there, err := existing(out)
	if err != nil {
		return err
	}
	for name := range there {
		if _, ok := pages[name]; !ok {
			if err := os.Remove(filepath.Join(out, filepath.FromSlash(name))); err != nil {
				return err
			}
		}
	}
	for name, text := range pages {
		path := filepath.Join(out, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// existing are the files in a folder of pages, by their names below it.
func existing(folder string) (map[string]string, error) {
	files := map[string]string{}
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(folder, path)
		files[filepath.ToSlash(name)] = string(text)
		return err
	})
	if os.IsNotExist(err) {
		return files, nil
	}
	return files, err
}
