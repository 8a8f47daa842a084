package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/eiffelbridge/eiffelbridge/daemon/ledger"
	"github.com/eiffelbridge/eiffelbridge/translate"
	records "github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

func (c *command) ledgerVerb() *cobra.Command {
	return group(&cobra.Command{
		Use:   "ledger",
		Short: "Export, import, check and backfill ledgers",
		Long: `Work on the ledger, the folder in which translations remember subjects, events and what runs where.
A ledger that a running relay holds cannot be opened: stop the relay first.`,
		Example: `  eiffelbridge ledger check --ledger ledger
  eiffelbridge ledger backfill --ledger ledger past-events.jsonl`,
	}, c.ledgerExport(), c.ledgerImport(), c.ledgerCheck(), c.ledgerBackfill())
}

func addLedger(cmd *cobra.Command) *string {
	path := cmd.Flags().String("ledger", "ledger", "`PATH` of the ledger, a folder")
	_ = cmd.MarkFlagDirname("ledger")
	return path
}

func (c *command) ledgerExport() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export [FILE]",
		Short: "Write a ledger as JSON lines",
		Long: `Write everything that a ledger knows as JSON lines, to FILE or to standard output: a dump that
another version of this program, or another kind of ledger, can import. Equal ledgers give equal
dumps.`,
		Example: `  eiffelbridge ledger export --ledger ledger | gzip > ledger.jsonl.gz
  eiffelbridge ledger export --ledger ledger ledger.jsonl`,
		Args: cobra.MaximumNArgs(1),
	}
	path := addLedger(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		ctx, stop := c.watch(cmd.Context())
		defer stop()
		store, err := openLedger(*path, ledger.Options{ReadOnly: true})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, store.Close()) }()
		out := c.out
		if len(args) == 1 && args[0] != "-" {
			// Not over a file that is there: it may be the only copy.
			file, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
			if err != nil {
				return &configError{fmt.Errorf("cannot write the dump: %w", err)}
			}
			defer func() { err = errors.Join(err, file.Close()) }()
			out = file
		}
		return ledger.Export(ctx, store, out)
	}
	return cmd
}

func (c *command) ledgerImport() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import [FILE]",
		Short: "Read JSON lines into a ledger",
		Long: `Read what export wrote, from FILE or from standard input, into a new ledger. With --merge the
ledger may have records, with which those of the dump are united; importing the same dump twice is
the same as once.`,
		Example: `  eiffelbridge ledger import --ledger new-ledger ledger.jsonl
  gunzip -c ledger.jsonl.gz | eiffelbridge ledger import --ledger new-ledger`,
		Args: cobra.MaximumNArgs(1),
	}
	path := addLedger(cmd)
	var settings ledger.ImportSettings
	cmd.Flags().BoolVar(&settings.Merge, "merge", false, "unite the dump with what the ledger has")
	completeFiles(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		ctx, stop := c.watch(cmd.Context())
		defer stop()
		var in io.Reader = &interruptible{ctx: ctx, in: c.env.Stdin}
		if len(args) == 1 && args[0] != "-" {
			file, err := os.Open(args[0])
			if err != nil {
				return &configError{fmt.Errorf("cannot read the dump: %w", err)}
			}
			defer file.Close()
			in = &interruptible{ctx: ctx, in: file}
		}
		return c.importLedger(ctx, *path, in, settings)
	}
	return cmd
}

// maxHeader is more than the first line of a dump has.
const maxHeader = 64 << 10

func (c *command) importLedger(ctx context.Context, path string, in io.Reader, settings ledger.ImportSettings) (err error) {
	// What is no dump shall not leave a ledger behind. A dump that ends after its header is one.
	dump := bufio.NewReaderSize(in, maxHeader)
	header, err := dump.ReadSlice('\n')
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
		return fmt.Errorf("read the dump: %w", err)
	}
	header = bytes.Clone(header)
	if err := ledger.Import(ctx, ledger.NewMemory(), bytes.NewReader(header), settings); err != nil {
		return &configError{err}
	}
	entries, err := os.ReadDir(path)
	absent, empty := errors.Is(err, fs.ErrNotExist), err == nil && len(entries) == 0
	store, err := openLedger(path, ledger.Options{})
	if err != nil {
		return err
	}
	counted := &commitCounter{Store: store}
	defer func() {
		err = errors.Join(err, store.Close())
		if err != nil && (absent || empty) && counted.commits == 0 {
			err = errors.Join(err, removeMade(path, absent))
		}
	}()
	if err := ledger.Import(ctx, counted, io.MultiReader(bytes.NewReader(header), dump), settings); err != nil {
		if errors.Is(err, ledger.ErrNotEmpty) {
			return &configError{fmt.Errorf("import ledger: the ledger %s is not empty; --merge unites the dump with it", path)}
		}
		return err
	}
	return c.ledgerSummary(ctx, store, path)
}

// commitCounter tells whether anything was written.
type commitCounter struct {
	ledger.Store
	commits int
}

// Commit implements [ledger.Store].
func (s *commitCounter) Commit(ctx context.Context, b ledger.Batch) error {
	s.commits++ // one that fails may be there in part after a crash
	return s.Store.Commit(ctx, b)
}

// removeMade removes a ledger that was made in vain: the folder, or what is in it if the folder was there before.
func removeMade(path string, folder bool) error {
	if folder {
		return os.RemoveAll(path)
	}
	entries, err := os.ReadDir(path)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(path, e.Name())))
	}
	return err
}

// ledgerSummary says what a ledger holds.
func (c *command) ledgerSummary(ctx context.Context, store ledger.Store, path string) error {
	stats, err := store.Stats(ctx)
	if err != nil {
		return err
	}
	total := 0
	for _, n := range stats.Records {
		total += n.Number
	}
	fmt.Fprintf(c.err, "%s: %s: %s, %s, %s in an environment; %s waiting\n", path, count(total, "record"),
		count(stats.Records[records.SubjectFact].Number, "subject"), count(stats.Records[records.EventFact].Number, "Eiffel event"),
		count(stats.Records[records.LineFact].Number, "service"), count(stats.Parked.Number, "event"))
	return nil
}

func (c *command) ledgerCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check that a ledger agrees with itself",
		Long: `Read the whole ledger and compare its records with each other. Nothing is changed. Every finding is
a line on standard output; the exit code is 1 if there is any.`,
		Example: `  eiffelbridge ledger check --ledger ledger`,
		Args:    cobra.NoArgs,
	}
	path := addLedger(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		ctx, stop := c.watch(cmd.Context())
		defer stop()
		store, err := openLedger(*path, ledger.Options{ReadOnly: true})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, store.Close()) }()
		findings, err := ledger.Check(ctx, store)
		for _, f := range findings {
			if _, err := fmt.Fprintln(c.out, oneLine(f.String())); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
		if len(findings) > 0 {
			fmt.Fprintf(c.err, "%s: %s; an export from before and `ledger import` give a sound ledger\n", *path, count(len(findings), "finding"))
			return errFailed
		}
		return c.ledgerSummary(ctx, store, *path)
	}
	return cmd
}

func (c *command) ledgerBackfill() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backfill [FILE...]",
		Short: "Teach a ledger past events, without emitting anything",
		Long: `Feed past events of either protocol, in the order in which they come, to a ledger, so that a relay
that starts with it knows what ran before. Nothing is emitted, and nothing is made up: a later
event that needs an Eiffel event which never was still has it synthesized then. Events that the
ledger knows already change nothing. A relay with mappings of your own wants a ledger that was
taught with them: give the same --mappings.

` + inputHelp,
		Example: `  eiffelbridge ledger backfill --ledger ledger archive-2025.jsonl archive-2026.jsonl
  gunzip -c archive.jsonl.gz | eiffelbridge ledger backfill --ledger ledger`,
		Args: cobra.ArbitraryArgs,
	}
	path := addLedger(cmd)
	var overlays []string
	addMappings(cmd, &overlays)
	completeFiles(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx, stop := c.watch(cmd.Context())
		defer stop()
		return c.backfill(ctx, *path, overlays, args)
	}
	return cmd
}

func (c *command) backfill(ctx context.Context, path string, overlays, files []string) (err error) {
	if err := c.existing(files); err != nil {
		return err
	}
	catalogue, err := c.catalogue(overlays)
	if err != nil {
		return err
	}
	// An anchor that is made up now would count as emitted, and links to it would lead nowhere.
	engine, err := translate.New(translate.Settings{Version: c.serializerVersion(), Synthesize: translate.SynthesizeNever, Catalogue: catalogue})
	if err != nil {
		return &configError{err}
	}
	store, err := openLedger(path, ledger.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	facts, err := collect(ctx, store)
	if err != nil {
		return err
	}
	session := translate.NewSession(engine, facts)
	var cdevents, eiffel, failed, unread int
	progress := c.progress()
	err = c.eachEvent(ctx, files, func(in *input) error {
		problem := in.Err
		if problem == nil {
			_, problem = session.TranslateEvent(ctx, in.Event)
		}
		var e *translate.EventError
		switch {
		case problem != nil && !errors.As(problem, &e):
			return fmt.Errorf("%s: %w", in.where(), problem)
		case in.isFile():
			unread++
			progress.clear()
			c.reportError(in, problem)
			return nil
		case problem != nil:
			failed++
			progress.clear()
			c.reportError(in, problem)
		case in.Event.Protocol == translate.Eiffel:
			eiffel++
		default:
			cdevents++
		}
		progress.show(cdevents + eiffel + failed)
		return nil
	})
	progress.clear()
	err = errors.Join(err, facts.Close())
	fmt.Fprintf(c.err, "%s: %s fed: %d CDEvents, %d Eiffel events; %d failed\n", path, count(cdevents+eiffel+failed, "event"), cdevents, eiffel, failed)
	if err != nil {
		return err
	}
	if failed > 0 || unread > 0 {
		return errFailed
	}
	return nil
}

// progress counts on a terminal.
type progress struct {
	w     io.Writer // nil: nobody sees it
	last  time.Time
	begun time.Time
	shown bool
}

func (c *command) progress() *progress {
	if !isTerminal(c.err) {
		return &progress{}
	}
	return &progress{w: c.err, begun: time.Now()}
}

func (p *progress) show(n int) {
	if p.w == nil || time.Since(p.last) < 250*time.Millisecond {
		return
	}
	p.last, p.shown = time.Now(), true
	fmt.Fprintf(p.w, "\r\x1b[K%d events, %.0f per second", n, float64(n)/max(time.Since(p.begun).Seconds(), 0.001))
}

func (p *progress) clear() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.shown = false
	}
}
