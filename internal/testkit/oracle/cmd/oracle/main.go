// Command oracle shows that the tree as it is translates as the tree of a base commit does: it builds the driver in both,
// runs both on one corpus, and lists what differs and is not explained by the file of expected differences.
//
//	go run ./internal/testkit/oracle/cmd/oracle            everything
//	go run ./internal/testkit/oracle/cmd/oracle -every 20  a twentieth of it
//	go run ./internal/testkit/oracle/cmd/oracle -block 17  one run of a stream, with what went in and all that differs
//
// It exits with 1 if something differs that no rule explains, and with 2 if it could not compare.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/eiffelbridge/eiffelbridge/internal/testkit/oracle"
)

const folder = "internal/testkit/oracle"

// defaultBase is the last commit before the catalogue drove both ways.
const defaultBase = "f72476b"

func main() {
	different, err := compare()
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "oracle:", err)
		os.Exit(2)
	case different:
		os.Exit(1)
	}
}

type options struct {
	base, shared, expected, corpus, cache string
	events                                int
	seed                                  uint64
	every, offset, keep                   int
	block, stream                         string
	full, coverage, each                  bool
	inputs                                string
}

func compare() (different bool, err error) {
	var o options
	flag.StringVar(&o.base, "base", defaultBase, "the commit to compare with")
	flag.StringVar(&o.shared, "shared", "../shared", "the folder with the specifications and the collected cases")
	flag.StringVar(&o.expected, "expected", folder+"/expected.yaml", "the file of expected differences")
	flag.StringVar(&o.corpus, "corpus", "", "a corpus that was written before, instead of a new one")
	flag.StringVar(&o.cache, "cache", "", "where the base's driver and the corpus are kept; the user's cache folder if empty")
	flag.IntVar(&o.events, "events", 100000, "how many events to generate")
	flag.Uint64Var(&o.seed, "seed", 1, "the seed of the first generated stream")
	flag.IntVar(&o.every, "every", 0, "take only every n-th stream")
	flag.IntVar(&o.offset, "offset", 0, "with -every: which of them")
	flag.IntVar(&o.keep, "show", 3, "how many examples of a kind of difference to show")
	flag.StringVar(&o.block, "block", "", "take only the runs with these numbers, separated by commas; shows every difference, the learned state after each event, and what went in")
	flag.StringVar(&o.stream, "stream", "", "take only streams with this in their name, such as cases/domain or generated/crowds")
	flag.BoolVar(&o.full, "full", false, "run the examples with the full product of all settings (long)")
	flag.BoolVar(&o.coverage, "coverage", false, "count what the events met in the base's engine")
	flag.BoolVar(&o.each, "each", false, "compare the learned state after each event")
	flag.StringVar(&o.inputs, "inputs", "own", "which outputs go in again: own, each engine's; base, those of the base's engine for both; or both, one after the other")
	flag.Parse()
	root, err := output("", "git", "rev-parse", "--show-toplevel")
	if err != nil {
		return false, err
	}
	if err := os.Chdir(root); err != nil {
		return false, err
	}
	expected, err := oracle.ReadExpected(o.expected)
	if err != nil {
		return false, err
	}
	began := time.Now()
	d, err := build(&o)
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(d.temp)
	fmt.Fprintf(os.Stderr, "built in %s\n", time.Since(began).Round(time.Second))
	reports := []string{}
	switch o.inputs {
	case "own", "base":
		reports = append(reports, o.inputs)
	case "both":
		reports = append(reports, "own", "base")
	default:
		return false, fmt.Errorf("-inputs: %q is none of own, base, both", o.inputs)
	}
	for _, inputs := range reports {
		began = time.Now()
		corpus := d.corpus
		if inputs == "base" {
			corpus = filepath.Join(d.temp, "frozen.jsonl")
			args := append(d.args(&o), "-corpus", d.corpus, "-freeze", corpus)
			if _, err := output("", d.old, args...); err != nil {
				return false, err
			}
		}
		report := oracle.NewReport(expected)
		report.Keep, report.Whole = o.keep, o.block != ""
		if o.block != "" {
			report.Keep = 1000
		}
		if o.coverage {
			report.Coverage = oracle.NewCoverage(oracle.Known())
		}
		args := []string{"-corpus", corpus}
		if inputs != "base" {
			args = append(args, d.args(&o)...)
		}
		if o.block != "" || o.each {
			args = append(args, "-each")
		}
		if o.block != "" {
			args = append(args, "-texts")
		}
		if err := run(report, d, args); err != nil {
			return false, err
		}
		if report.Events == 0 {
			return false, errors.New("no stream was chosen: nothing was compared")
		}
		if report.Coverage != nil {
			report.Coverage.Print(os.Stdout)
		}
		if len(reports) > 1 || inputs == "base" {
			fmt.Printf("outputs that go in again: %s\n", inputs)
		}
		report.Print(os.Stdout)
		fmt.Fprintf(os.Stderr, "compared in %s\n", time.Since(began).Round(time.Second))
		different = different || report.Unexplained() > 0
	}
	return different, nil
}

// drivers are what was built.
type drivers struct {
	old, new, corpus string
	temp             string
}

func (d *drivers) args(o *options) []string {
	var args []string
	if o.every > 0 {
		args = append(args, "-every", fmt.Sprint(o.every), "-offset", fmt.Sprint(o.offset))
	}
	if o.block != "" {
		args = append(args, "-only", o.block)
	}
	if o.stream != "" {
		args = append(args, "-stream", o.stream)
	}
	return args
}

// build builds the driver in both trees and writes the corpus. The base's part is kept between runs.
func build(o *options) (*drivers, error) {
	base, err := output("", "git", "rev-parse", "--verify", o.base+"^{commit}")
	if err != nil {
		return nil, err
	}
	if o.cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return nil, err
		}
		o.cache = filepath.Join(dir, "eiffelbridge-oracle")
	}
	source, err := hash(".", "jsontree", "stream", "run", "corpus", "cmd/oracle-run", "cmd/oracle-corpus", "testdata")
	if err != nil {
		return nil, err
	}
	kept := filepath.Join(o.cache, base[:12]+"-"+source)
	temp, err := os.MkdirTemp("", "oracle")
	if err != nil {
		return nil, err
	}
	d := &drivers{old: filepath.Join(kept, "oracle-run"), new: filepath.Join(temp, "oracle-run"), temp: temp}
	shared, err := filepath.Abs(o.shared)
	if err != nil {
		return nil, err
	}
	for _, part := range []string{"specs", "cases"} {
		if _, err := os.Stat(filepath.Join(shared, part)); err != nil && o.corpus == "" {
			fmt.Fprintf(os.Stderr, "%s is not at hand: its streams are left out (see -shared)\n", filepath.Join(o.shared, part))
		}
	}
	cases, err := hash(shared, "specs", "cases")
	if err != nil {
		return nil, err
	}
	d.corpus = o.corpus
	if d.corpus == "" {
		d.corpus = filepath.Join(kept, fmt.Sprintf("corpus-%d-%d-%t-%s.jsonl", o.events, o.seed, o.full, cases))
	}
	_, noDriver := os.Stat(d.old)
	_, noCorpus := os.Stat(d.corpus)
	if noDriver != nil || noCorpus != nil {
		if err := buildBase(o, base, kept, shared, d); err != nil {
			os.RemoveAll(temp)
			return nil, err
		}
	}
	_, err = output("", "go", "build", "-o", d.new, "./"+folder+"/cmd/oracle-run")
	return d, err
}

// buildBase builds the driver in a work tree of the base commit, over which the oracle's own folder is copied, and has the
// corpus written there.
func buildBase(o *options, base, kept, shared string, d *drivers) error {
	tree := filepath.Join(d.temp, "base")
	if _, err := output("", "git", "worktree", "add", "--detach", "--force", tree, base); err != nil {
		return err
	}
	defer output("", "git", "worktree", "remove", "--force", tree)
	target := filepath.Join(tree, filepath.FromSlash(folder))
	if err := os.RemoveAll(target); err != nil {
		return err
	}
	if err := os.CopyFS(target, os.DirFS(filepath.FromSlash(folder))); err != nil {
		return err
	}
	line, err := os.ReadFile(filepath.Join(target, "testdata", "base", "line.go"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(target, "run", "line.go"), line, 0o644); err != nil {
		return err
	}
	if err := os.MkdirAll(kept, 0o755); err != nil {
		return err
	}
	if _, err := output(tree, "go", "build", "-o", kept+string(filepath.Separator), "./"+folder+"/cmd/oracle-run", "./"+folder+"/cmd/oracle-corpus"); err != nil {
		return err
	}
	if o.corpus != "" {
		return nil
	}
	part := fmt.Sprintf("%s.%d.part", d.corpus, os.Getpid())
	args := []string{"-root", tree, "-shared", shared, "-out", part, "-events", fmt.Sprint(o.events), "-seed", fmt.Sprint(o.seed)}
	if o.full {
		args = append(args, "-full")
	}
	if _, err := output(tree, filepath.Join(kept, "oracle-corpus"), args...); err != nil {
		return err
	}
	return os.Rename(part, d.corpus)
}

// run runs both drivers and compares what they write as they write it.
func run(report *oracle.Report, d *drivers, args []string) error {
	var pipes [2]io.ReadCloser
	var commands [2]*exec.Cmd
	for i, program := range []string{d.old, d.new} {
		c := exec.Command(program, args...)
		c.Stderr = os.Stderr
		c.Env = append(os.Environ(), "GOMAXPROCS=2")
		pipe, err := c.StdoutPipe()
		if err != nil {
			return err
		}
		if err := c.Start(); err != nil {
			return err
		}
		pipes[i], commands[i] = pipe, c
	}
	err := report.Compare(pipes[0], pipes[1])
	for i, c := range commands {
		if err != nil {
			pipes[i].Close()
			c.Process.Kill()
		}
		if failed := c.Wait(); err == nil && failed != nil {
			err = fmt.Errorf("the driver %s: %w", []string{"of the base", "of this tree"}[i], failed)
		}
	}
	return err
}

// hash is a hash of the names and contents of all files below some folders.
func hash(root string, folders ...string) (string, error) {
	h := sha256.New()
	for _, f := range folders {
		path := filepath.Join(root, filepath.FromSlash(f))
		if root == "." {
			path = filepath.Join(filepath.FromSlash(folder), filepath.FromSlash(f))
		}
		if _, err := os.Stat(path); err != nil {
			continue
		}
		err := filepath.WalkDir(path, func(name string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() || root == "." && strings.HasSuffix(filepath.ToSlash(name), "run/line.go") {
				return err
			}
			text, err := os.ReadFile(name)
			fmt.Fprintf(h, "%s %d\n", strings.TrimPrefix(name, root), len(text))
			h.Write(text)
			return err
		})
		if err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:12], nil
}

// output runs a program and gives what it writes.
func output(in, name string, args ...string) (string, error) {
	c := exec.Command(name, args...)
	c.Dir = in
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", name, err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(string(out)), nil
}
