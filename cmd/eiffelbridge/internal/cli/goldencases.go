package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eiffelbridge/eiffelbridge/cmd/eiffelbridge/internal/eventreader"
	"github.com/eiffelbridge/eiffelbridge/cmd/eiffelbridge/internal/jsondiff"
	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/mappings/overlay"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// The layout of an overlay's golden cases.
const (
	casesFolder    = "cases"
	inputSuffix    = ".input.jsonl"
	expectedSuffix = ".expected.jsonl"
)

func (c *command) mappingsTestVerb() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "test [DIR...]",
		Short: "Run the golden cases of mappings of your own",
		Long: `Run the golden cases of the mappings in each DIR, the working directory without any.

  DIR/*.yaml                     mappings, put over each other in the order of their names
  DIR/cases/NAME.input.jsonl     events of either protocol, translated in order with one ledger
  DIR/cases/NAME.expected.jsonl  the events that come out, in order; for an event that fails,
                                 {"error": {"event": number, "code": ..., "message": ...}}

A DIR without mappings stands for the folders in it. What comes out is compared as JSON: the order
of members does not matter. It is written as by version 0.0.0 of this program, so that cases
outlive its releases.

A case that differs is shown event by event: what is missing (-), what came out beside (+) and what
changed (~), by JSON pointer, and as a diff. The exit code is 1 if any case differs. --update writes
the expected files anew instead, and says which.`,
		Example: `  eiffelbridge mappings test examples/overlays/acme-release
  eiffelbridge mappings test --update`,
		Args: cobra.ArbitraryArgs,
	}
	t := &translation{}
	t.addOutput(cmd)
	update := false
	cmd.Flags().BoolVar(&update, "update", false, "write the expected files anew")
	cmd.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return nil, cobra.ShellCompDirectiveFilterDirs
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx, stop := c.watch(cmd.Context())
		defer stop()
		if len(args) == 0 {
			args = []string{"."}
		}
		folders, err := overlayFolders(args)
		if err != nil {
			return err
		}
		run := caseRun{command: c, flags: t, update: update, p: &painter{w: c.out}}
		for _, f := range folders {
			if err := run.folder(ctx, f); err != nil {
				return err
			}
		}
		return run.finish()
	}
	return cmd
}

// overlayFolder is a folder with mappings and their cases.
type overlayFolder struct {
	path     string
	mappings []string
	cases    []string // names
}

// overlayFolders finds the mappings and the cases. A folder that lacks one of them is a wrong command line.
func overlayFolders(paths []string) ([]overlayFolder, error) {
	var out []overlayFolder
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, &configError{err}
		}
		if !info.IsDir() {
			return nil, &configError{fmt.Errorf("%s is a file; name the folder with mappings and their cases", path)}
		}
		one, err := overlayFolderAt(path)
		if err != nil {
			return nil, err
		}
		if len(one.mappings) > 0 {
			out = append(out, one)
			continue
		}
		entries, err := os.ReadDir(path)
		if err != nil {
			return nil, &configError{err}
		}
		found := 0
		for _, e := range entries {
			if !e.IsDir() {
				continue
			}
			inner, err := overlayFolderAt(filepath.Join(path, e.Name()))
			if err != nil {
				return nil, err
			}
			if len(inner.mappings) > 0 {
				out = append(out, inner)
				found++
			}
		}
		if found == 0 {
			return nil, &configError{fmt.Errorf("there are no mappings in %s: no *.yaml, nor a folder with any", path)}
		}
	}
	for _, f := range out {
		if len(f.cases) == 0 {
			return nil, &configError{fmt.Errorf("there are no cases in %s; write events into a file NAME%s there", filepath.Join(f.path, casesFolder), inputSuffix)}
		}
	}
	return out, nil
}

func overlayFolderAt(path string) (overlayFolder, error) {
	f := overlayFolder{path: path}
	entries, err := os.ReadDir(path)
	if err != nil {
		return f, &configError{err}
	}
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); !e.IsDir() && (ext == ".yaml" || ext == ".yml") {
			f.mappings = append(f.mappings, filepath.Join(path, e.Name()))
		}
	}
	entries, err = os.ReadDir(filepath.Join(path, casesFolder))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return f, &configError{err}
	}
	for _, e := range entries {
		for _, suffix := range []string{inputSuffix, expectedSuffix} {
			if name, ok := strings.CutSuffix(e.Name(), suffix); ok && !slices.Contains(f.cases, name) {
				f.cases = append(f.cases, name)
			}
		}
	}
	slices.Sort(f.cases)
	return f, nil
}

// caseRun runs golden cases.
type caseRun struct {
	*command
	flags  *translation
	update bool
	p      *painter

	ok, failed, updated int
}

// folder runs the cases of a folder.
func (r *caseRun) folder(ctx context.Context, f overlayFolder) error {
	s := r.flags.settings(r.command)
	s.Version = "" // the default, which no release changes
	if _, err := r.catalogue(f.mappings); err != nil {
		return err
	}
	// Read again under the names alone: they stand in what is expected of events that fail, wherever the test is run.
	for _, path := range f.mappings {
		text, err := os.ReadFile(path)
		if err != nil {
			return &configError{err}
		}
		if s.Catalogue, err = overlay.Parse(s.Catalogue, filepath.Base(path), text); err != nil {
			return err // cannot be: it was read before
		}
	}
	engine, err := translate.New(s)
	if err != nil {
		return &configError{fmt.Errorf("%s: %w", f.path, err)}
	}
	for _, name := range f.cases {
		if err := r.run(ctx, engine, filepath.Join(f.path, casesFolder, name)); err != nil {
			return err
		}
		if r.p.err != nil {
			return r.p.err
		}
	}
	return nil
}

// produced is an output with the event that gave it.
type produced struct {
	written
	text []byte
	from string // the event of the input, for people
}

// run runs one case; path is that of its files without their endings.
func (r *caseRun) run(ctx context.Context, engine *translate.Engine, path string) error {
	got, err := r.translateCase(ctx, engine, path+inputSuffix)
	if errors.Is(err, os.ErrNotExist) {
		r.failed++
		r.p.line(fmt.Sprintf("FAIL %s: there is no %s for the expected events", path, path+inputSuffix))
		return nil
	}
	if err != nil {
		return err
	}
	expected, err := os.ReadFile(path + expectedSuffix)
	switch {
	case errors.Is(err, os.ErrNotExist) && !r.update:
		r.failed++
		r.p.line(fmt.Sprintf("FAIL %s: nothing is expected yet; --update writes %s, with %s", path, path+expectedSuffix, count(len(got), "event")))
		return nil
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return err
	}
	want, problem := readExpected(expected)
	same := problem == nil && len(want) == len(got)
	for i := 0; same && i < len(got); i++ {
		same = jsondoc.Equal(want[i].root, got[i].root)
	}
	switch {
	case same && err == nil:
		r.ok++
		r.p.line(fmt.Sprintf("ok   %s: %s", path, count(len(got), "event")))
		return nil
	case r.update:
		var b bytes.Buffer
		for _, g := range got {
			b.Write(g.text)
			b.WriteByte('\n')
		}
		if err := os.WriteFile(path+expectedSuffix, b.Bytes(), 0o644); err != nil {
			return err
		}
		r.updated++
		r.p.line(fmt.Sprintf("wrote %s: %s", path+expectedSuffix, count(len(got), "event")))
		return nil
	}
	r.failed++
	r.p.line("FAIL " + path)
	if problem != nil {
		r.p.line(fmt.Sprintf("  %s: %v", path+expectedSuffix, problem))
		return nil
	}
	r.show(path, want, got)
	return nil
}

// translateCase translates the events of a case, as a session does.
func (r *caseRun) translateCase(ctx context.Context, engine *translate.Engine, path string) ([]produced, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	session := translate.NewSession(engine, translate.NewMemoryLedger())
	var out []produced
	err := r.eachEvent(ctx, []string{path}, func(in *input) error {
		if in.isFile() {
			return fmt.Errorf("%s: %w", in.where(), in.Err)
		}
		var result translate.Result
		problem := in.Err
		if problem == nil {
			result, problem = session.TranslateEvent(ctx, in.Event)
		}
		o, err := outcomeOf(&result, problem)
		if err != nil {
			return fmt.Errorf("%s: %w", in.where(), err)
		}
		from := fmt.Sprintf("event %d, %s (%s)", in.Index, in.Event.ID, in.Event.Type)
		if o.err != nil {
			text, err := json.Marshal(map[string]any{"error": map[string]any{"event": in.Index, "code": o.err.Code, "message": o.err.Message}})
			if err != nil {
				return err
			}
			w, err := readWritten(text)
			if err != nil {
				return err
			}
			out = append(out, produced{w, text, from})
		}
		for _, e := range o.events {
			out = append(out, produced{e, e.root.Raw(), from})
		}
		return nil
	})
	return out, err
}

// readExpected reads what a case expects. It may be written in any form that events are read in.
func readExpected(text []byte) ([]written, error) {
	var out []written
	reader := eventreader.New(bytes.NewReader(text))
	for {
		item, err := reader.Next()
		if err != nil {
			return out, nil // the end: a reader of bytes has no other error
		}
		if item.Err != nil {
			return nil, fmt.Errorf("line %d: %w", item.Line, item.Err)
		}
		w, err := readWritten(item.Text)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", item.Line, err)
		}
		out = append(out, w)
	}
}

// show shows how a case differs: by pointer, then as a diff.
func (r *caseRun) show(path string, want []written, got []produced) {
	events := make([]written, len(got))
	for i := range got {
		events[i] = got[i].written
	}
	changes := compareOutputs(want, events)
	if len(changes) == 0 {
		r.p.line("  the same events come out in another order")
	}
	for i := range changes {
		if at := slices.IndexFunc(got, func(g produced) bool {
			return changes[i].after != nil && g.id == changes[i].ID && g.eventType == changes[i].Type
		}); at >= 0 {
			r.p.line("  " + oneLine(got[at].from) + ":")
		}
		r.p.outputChange("    ", &changes[i])
	}
	var before, after bytes.Buffer
	for _, w := range want {
		before.Write(jsondiff.Indent(w.root.Raw()))
	}
	for _, g := range got {
		after.Write(jsondiff.Indent(g.text))
	}
	for line := range strings.Lines(jsondiff.Unified(path+expectedSuffix, before.Bytes(), "translated", after.Bytes())) {
		r.p.line("  " + oneLine(strings.TrimSuffix(line, "\n")))
	}
}

func (r *caseRun) finish() error {
	if r.p.err != nil && !isBrokenPipe(r.p.err) {
		return r.p.err
	}
	all := r.ok + r.failed + r.updated
	if r.update {
		fmt.Fprintf(r.err, "%s: %d written anew\n", count(all, "case"), r.updated)
	} else {
		fmt.Fprintf(r.err, "%s: %d ok, %d failed\n", count(all, "case"), r.ok, r.failed)
	}
	if r.failed > 0 {
		return errFailed
	}
	return nil
}
