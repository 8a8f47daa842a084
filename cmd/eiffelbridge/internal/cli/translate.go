package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eiffelbridge/eiffelbridge/daemon/ledger"
	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/mappings"
	"github.com/eiffelbridge/eiffelbridge/mappings/overlay"
	"github.com/eiffelbridge/eiffelbridge/translate"
	records "github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// translation are the flags that say how to translate.
type translation struct {
	to, edition, spec, carry, synthesize, unresolved *string
	ledger                                           string
	mappings                                         []string
	plugins                                          []pluginArg
}

func addTranslation(cmd *cobra.Command) *translation {
	t := &translation{}
	t.to = chosen(cmd, "to", "", "protocol to translate to; an event that is in it already fails (default: of each event, the other one)", "eiffel", "cdevents")
	cmd.Flags().StringVar(&t.ledger, "ledger", "", "`PATH` of the ledger, a folder (default: in memory, for this run)")
	t.addOutput(cmd)
	t.unresolved = chosen(cmd, "unresolved", "placeholder", "what to do about a reference to what is unknown and could still come", "placeholder", "fail")
	addMappings(cmd, &t.mappings)
	addPlugins(cmd, &t.plugins)
	// A ledger is a folder.
	_ = cmd.MarkFlagDirname("ledger")
	return t
}

// addOutput adds the flags that say what to write.
func (t *translation) addOutput(cmd *cobra.Command) {
	t.edition = chosen(cmd, "edition", "Orizaba", "Eiffel edition to write", schema.OutputEditions()...)
	t.spec = chosen(cmd, "spec", "0.5", "CDEvents version to write", schema.OutputSpecs()...)
	t.carry = chosen(cmd, "carry", "original", "what of the original goes along in custom data; with none, what has no counterpart is lost", "original", "none")
	t.synthesize = chosen(cmd, "synthesize", "missing", "when to make up an Eiffel event that a required link needs", "missing", "always", "never")
}

// addMappings adds the flag --mappings.
func addMappings(cmd *cobra.Command, files *[]string) {
	cmd.Flags().StringArrayVar(files, "mappings", nil, "`FILE` with mappings of your own, over those of the program; may be given several times, later ones over earlier ones")
	_ = cmd.MarkFlagFilename("mappings", "yaml", "yml")
}

// catalogue puts overlays over the program's own mappings; nil if there are none. What is wrong with them is written to
// standard error, a line each.
func (c *command) catalogue(files []string) (*mappings.Catalogue, error) {
	if len(files) == 0 {
		return nil, nil
	}
	catalogue, err := overlay.Load(nil, files...)
	var wrong *overlay.Error
	switch {
	case errors.As(err, &wrong):
		for _, p := range wrong.Problems {
			fmt.Fprintln(c.err, oneLine(p.String()))
		}
		return nil, errUsage
	case err != nil:
		return nil, &configError{err}
	}
	return catalogue, nil
}

// engine compiles the mappings. files are the overlays, which are those of --mappings but for a comparison.
func (t *translation) engine(c *command, files []string, explain bool) (*translate.Engine, error) {
	s := t.settings(c)
	s.Explain = explain
	var err error
	if s.Catalogue, err = c.catalogue(files); err != nil {
		return nil, err
	}
	engine, err := translate.New(s)
	if err != nil {
		return nil, &configError{err}
	}
	return engine, nil
}

func (t *translation) settings(c *command) translate.Settings {
	return translate.Settings{Edition: *t.edition, Spec: *t.spec, Carry: translate.Carry(*t.carry), Synthesize: translate.Synthesize(*t.synthesize),
		Version: c.serializerVersion()}
}

// check refuses an event that is in the target protocol already.
func (t *translation) check(e *translate.Event) error {
	if e.Protocol.String() != *t.to {
		return nil
	}
	return &translate.EventError{Code: codeTarget, ID: e.ID, Type: e.Type,
		Message: fmt.Sprintf("it is %s already, which --to %s asks for; leave --to out to translate every event into the other protocol", protocolNoun(e.Protocol), *t.to)}
}

func protocolNoun(p translate.Protocol) string {
	if p == translate.Eiffel {
		return "an Eiffel event"
	}
	return "a CDEvent"
}

// session opens the ledger and joins it with the engine and the plugins. close writes what was learned.
func (t *translation) session(ctx context.Context, c *command) (s *translate.Session, close func() error, err error) {
	engine, err := t.engine(c, t.mappings, false)
	if err != nil {
		return nil, nil, err
	}
	translator, closePlugins, err := t.withPlugins(ctx, c, engine)
	if err != nil {
		return nil, nil, err
	}
	var facts records.Ledger = translate.NewMemoryLedger()
	close = func() error { closePlugins(); return nil }
	if t.ledger != "" {
		store, err := openLedger(t.ledger, ledger.Options{})
		if err != nil {
			closePlugins()
			return nil, nil, err
		}
		collector, err := collect(ctx, store)
		if err != nil {
			closePlugins()
			return nil, nil, errors.Join(err, store.Close())
		}
		facts = collector
		close = func() error { closePlugins(); return errors.Join(collector.Close(), store.Close()) }
	}
	s = translate.NewSession(translator, facts)
	s.Unresolved = translate.Unresolved(*t.unresolved)
	return s, close, nil
}

func (c *command) translateVerb() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "translate [FILE...]",
		Short: "Translate events into the other protocol",
		Long: `Translate CDEvents into Eiffel events and Eiffel events into CDEvents.

Output is one compact JSON event per line. Events that are synthesized because a required link
needs them stand before the event that needs them. An event that carries its original becomes that
original again.

` + inputHelp + `

Every failure is a line on standard error: file, line and number of the event, its id, its type,
the JSON pointer to what is wrong, what is wrong and the code of the rule. --report writes what
became of each event as JSON lines.

--mappings takes mappings of your own; docs/overlays.md says how to write them. With --compare the
events are not written: they are translated by those of --mappings and by those of --compare, each
with a memory of its own, and what comes out differently is shown, event by event and by JSON
pointer. The ledger, if one is given, is only read then. The last line, on standard error, is a
summary. The exit code is 0 if nothing differs, and 1 if something does or could not be read.`,
		Example: `  eiffelbridge translate events.jsonl
  curl -s https://example.com/events.json | eiffelbridge translate --to eiffel -
  eiffelbridge translate --ledger ledger monday.jsonl > monday-eiffel.jsonl
  eiffelbridge translate --ledger ledger tuesday.jsonl > tuesday-eiffel.jsonl  # knows of monday
  eiffelbridge translate --spec 0.4 --carry none --report report.jsonl eiffel.json
  eiffelbridge translate --mappings ours.yaml events.jsonl
  eiffelbridge translate --mappings ours.yaml --compare none recorded.jsonl  # what ours changes
  eiffelbridge translate --mappings new.yaml --compare old.yaml recorded.jsonl`,
		Args: cobra.ArbitraryArgs,
	}
	completeFiles(cmd)
	flags := addTranslation(cmd)
	var report string
	cmd.Flags().StringVar(&report, "report", "", "write what became of each event to `FILE`, as JSON lines")
	var compare []string
	cmd.Flags().StringArrayVar(&compare, "compare", nil, "`FILE` with the mappings to compare with, none for the program's own alone; may be given several times")
	_ = cmd.MarkFlagFilename("compare", "yaml", "yml")
	format := chosen(cmd, "compare-format", "text", "form of the comparison; jsonl is one JSON object per event that differs", "text", "jsonl")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		comparing := cmd.Flags().Changed("compare")
		switch {
		case comparing && report != "":
			return usagef("--report is not possible with --compare, which writes no events")
		case comparing && len(flags.plugins) > 0:
			return usagef("--plugin is not possible with --compare, which compares mappings")
		case !comparing && cmd.Flags().Changed("compare-format"):
			return usagef("--compare-format needs --compare")
		}
		if report == "-" {
			return usagef("--report - is not possible, since standard output has the events; name a file")
		}
		ctx, stop := c.watch(cmd.Context())
		defer stop()
		if comparing {
			return c.compare(ctx, flags, compare, *format == "jsonl", args)
		}
		return c.translate(ctx, flags, report, args)
	}
	return cmd
}

func (c *command) translate(ctx context.Context, flags *translation, reportPath string, files []string) (err error) {
	if err := c.existing(files); err != nil {
		return err
	}
	if err := mayBeReport(reportPath, files); err != nil {
		return &configError{err}
	}
	session, closeLedger, err := flags.session(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeLedger()) }()
	var report io.WriteCloser
	if reportPath != "" {
		if report, err = os.Create(reportPath); err != nil {
			return &configError{fmt.Errorf("cannot write the report: %w", err)}
		}
		defer func() { err = errors.Join(err, report.Close()) }()
	}
	failed, done := 0, 0
	err = c.eachEvent(ctx, files, func(in *input) error {
		var result translate.Result
		problem := in.Err
		if problem == nil {
			problem = flags.check(&in.Event)
		}
		if problem == nil {
			result, problem = session.TranslateEvent(ctx, in.Event)
		}
		if problem != nil {
			var e *translate.EventError
			if !errors.As(problem, &e) {
				return fmt.Errorf("%s: %w", in.where(), problem) // the ledger's: what follows would fail as well
			}
			failed++
			c.reportError(in, problem)
		}
		done++
		var lines []byte
		for i := range result.Events {
			lines = append(append(lines, result.Events[i].JSON...), '\n')
		}
		if len(lines) > 0 {
			if _, err := c.out.Write(lines); err != nil {
				return fmt.Errorf("write the events: %w", err)
			}
		}
		if report != nil {
			if _, err := report.Write(reportLine(in, &result, problem)); err != nil {
				return fmt.Errorf("write the report: %w", err)
			}
		}
		return nil
	})
	switch {
	case errors.Is(err, errInterrupted):
		return fmt.Errorf("interrupted after %d events", done)
	case err != nil && isBrokenPipe(err):
		if failed == 0 {
			return nil
		}
	case err != nil:
		return err
	}
	if failed > 0 {
		return errFailed
	}
	return nil
}

// reportStart is how a report begins.
const reportStart = `{"file":`

// mayBeReport refuses to write the report over a file of events: one that is read, as when the name was meant to be that
// of the input, or any other that is no report.
func mayBeReport(path string, files []string) error {
	if path == "" {
		return nil
	}
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return nil // whether it can be written, is found out when it is
	}
	for _, name := range files {
		if other, err := os.Stat(name); err == nil && os.SameFile(info, other) {
			return fmt.Errorf("the report would overwrite the events of %s; name another file with --report", name)
		}
	}
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("cannot write the report: %w", err)
	}
	defer file.Close()
	head := make([]byte, len(reportStart))
	if n, err := io.ReadFull(file, head); n > 0 && (err != nil || string(head) != reportStart) {
		return fmt.Errorf("%s is there and is no report; name another file with --report", path)
	}
	return nil
}

// reported is a line of the report.
type reported struct {
	File        string                 `json:"file"`
	Index       int                    `json:"index"`
	ID          string                 `json:"id"`
	Type        string                 `json:"type"`
	Outputs     []reportedOutput       `json:"outputs"`
	Losses      []translate.Loss       `json:"losses"`
	Diagnostics []translate.Diagnostic `json:"diagnostics"`
	Error       *string                `json:"error"`
}

type reportedOutput struct {
	ID   string `json:"id"`
	Type string `json:"type"`
}

func reportLine(in *input, result *translate.Result, problem error) []byte {
	line := reported{File: in.File, Index: in.Index, ID: in.Event.ID, Type: in.Event.Type,
		Outputs: []reportedOutput{}, Losses: []translate.Loss{}, Diagnostics: diagnostics(result)}
	for i := range result.Events {
		line.Outputs = append(line.Outputs, reportedOutput{result.Events[i].ID, result.Events[i].Type})
	}
	line.Losses = append(line.Losses, result.Losses...)
	if problem != nil {
		text := problem.Error()
		line.Error = &text
		var e *translate.EventError
		if errors.As(problem, &e) && line.ID == "" && line.Type == "" {
			line.ID, line.Type = e.ID, e.Type
		}
		if in.isFile() {
			text = strings.TrimPrefix(text, "event: ")
		}
	}
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	// Nothing in a line can fail to be encoded.
	_ = encoder.Encode(line)
	return []byte(b.String())
}

// diagnostics are those of a result, and what else a user should know about it.
func diagnostics(result *translate.Result) []translate.Diagnostic {
	all := append([]translate.Diagnostic{}, result.Diagnostics...)
	for _, m := range result.Missing {
		all = append(all, translate.Diagnostic{Code: translate.DiagnosticPlaceholder,
			Message: fmt.Sprintf("%s is unknown, wanted for %s; a placeholder stands in its place", m.Name, m.Want)})
	}
	switch result.Returning {
	case translate.ReturningDrop:
		all = append(all, translate.Diagnostic{Code: translate.DiagnosticReturning,
			Message: "the event was synthesized by a translation, so nothing stands for it on the other side"})
	case translate.ReturningRestore:
		all = append(all, translate.Diagnostic{Code: translate.DiagnosticReturning,
			Message: "the event is a translation and was turned back into the original that it carries"})
	}
	return all
}
