package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/eiffelbridge/eiffelbridge/daemon/deadletters"
	cloudeventshttp "github.com/eiffelbridge/eiffelbridge/daemon/transports/cloudevents_http"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

func (c *command) deadlettersVerb() *cobra.Command {
	return group(&cobra.Command{
		Use:   "deadletters",
		Short: "Look at events that could not be relayed, and send them again",
		Long: `Work on the dead letters: events that a relay could not translate or deliver, with the reason and
their original bytes. It is safe while the relay runs.`,
		Example: `  eiffelbridge deadletters list
  eiffelbridge deadletters show 0f3a9c1d2b4e5f60
  eiffelbridge deadletters replay --all`,
	}, c.deadlettersList(), c.deadlettersShow(), c.deadlettersReplay(), c.deadlettersDrop())
}

func addLetters(cmd *cobra.Command) *string {
	file := cmd.Flags().String("file", "dead-letters.jsonl", "`FILE` of the dead letters")
	_ = cmd.MarkFlagFilename("file", "jsonl")
	return file
}

// completeLetters lets the shell propose the ids of letters.
func completeLetters(cmd *cobra.Command, file *string) {
	cmd.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		letters, err := deadletters.List(*file)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		var ids []string
		for _, l := range letters {
			ids = append(ids, cobra.CompletionWithDesc(l.ID, l.Code+" "+l.EventType))
		}
		return ids, cobra.ShellCompDirectiveNoFileComp
	}
}

// listLetters reads the letters. No letter was ever written to a default file that is not there; one that was named and is not
// there is misspelt.
func listLetters(cmd *cobra.Command, file string) ([]deadletters.Letter, error) {
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) && cmd.Flags().Changed("file") {
		return nil, &configError{fmt.Errorf("there is no file %s; name the dead_letters.path of the relay's configuration", file)}
	}
	letters, err := deadletters.List(file)
	if err != nil {
		return nil, &configError{err}
	}
	return letters, nil
}

func (c *command) deadlettersList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the letters that were neither replayed nor dropped",
		Long: `List the letters that were neither replayed nor dropped, in the order in which they came: below
each the id and the type of its event, and where and what is wrong with it. What is long is
shortened; show and the json form have it in full.`,
		Example: `  eiffelbridge deadletters list
  eiffelbridge deadletters list --format json | jq -r '.[] | select(.code == "unresolved") | .id'`,
		Args: cobra.NoArgs,
	}
	file := addLetters(cmd)
	format := chosen(cmd, "format", "table", "form of the output", "table", "json")
	colour := addColour(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		letters, err := listLetters(cmd, *file)
		if err != nil {
			return err
		}
		if *format == "json" {
			return writeIndented(c.out, append([]deadletters.Letter{}, letters...))
		}
		p := c.painter(*colour)
		if len(letters) == 0 {
			p.line("No dead letters in " + *file + ".")
			return p.err
		}
		rows := [][]cell{{{"ID", dim}, {"TIME", dim}, {"CODE", dim}, {"RELAY", dim}}}
		for _, l := range letters {
			rows = append(rows, []cell{{l.ID, bold}, {l.Time.UTC().Format(boardTime), plain}, {oneLine(l.Code), yellow},
				{clip(oneLine(l.Relay), width/3), plain}})
			event := strings.TrimSpace(oneLine(l.EventID) + " " + oneLine(l.EventType))
			if event != "" {
				rows = append(rows, []cell{{event, plain}})
			}
			reason := oneLine(l.Message)
			if l.Pointer != "" {
				reason = oneLine(l.Pointer) + ": " + reason
			}
			rows = append(rows, []cell{{clip(reason, 3*width), plain}})
		}
		p.fitted("", rows)
		return p.err
	}
	return cmd
}

func (c *command) deadlettersShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show ID...",
		Short: "Show letters with their events",
		Long:  "Show letters with everything that is known about them, and their events.",
		Example: `  eiffelbridge deadletters show 0f3a9c1d2b4e5f60
  eiffelbridge deadletters show --format json 0f3a9c1d2b4e5f60 | jq -r .event`,
		Args: cobra.MinimumNArgs(1),
	}
	file := addLetters(cmd)
	format := chosen(cmd, "format", "text", "form of the output", "text", "json")
	colour := addColour(cmd)
	completeLetters(cmd, file)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		all, err := listLetters(cmd, *file)
		if err != nil {
			return err
		}
		letters, err := pick(all, args, *file)
		if err != nil {
			return err
		}
		p := c.painter(*colour)
		for i, l := range letters {
			if *format == "json" {
				if err := writeIndented(c.out, l); err != nil {
					return err
				}
				continue
			}
			if i > 0 {
				p.line("")
			}
			showLetter(p, l)
		}
		return p.err
	}
	return cmd
}

func showLetter(p *painter, l deadletters.Letter) {
	p.line(p.paint(bold, l.ID))
	rows := [][]cell{}
	add := func(name, value string) {
		if value != "" {
			rows = append(rows, []cell{{name, dim}, {oneLine(value), plain}})
		}
	}
	add("reason", l.Message)
	add("code", l.Code)
	add("pointer", l.Pointer)
	add("relay", l.Relay+", to "+l.Direction)
	if !l.Received.IsZero() {
		add("received", l.Received.UTC().Format(time.RFC3339Nano))
	}
	add("time", l.Time.UTC().Format(time.RFC3339Nano))
	add("attempts", fmt.Sprint(l.Attempts))
	add("event id", l.EventID)
	add("type", l.EventType)
	for _, name := range []string{"traceparent", "tracestate"} {
		add(name, l.Extensions[name])
	}
	p.table("  ", 40, rows)
	var indented bytes.Buffer
	switch {
	case json.Indent(&indented, l.Event, "  ", "  ") == nil:
		p.line("  " + indented.String())
	case utf8.Valid(l.Event):
		p.line("  " + oneLine(string(l.Event)))
	default:
		p.line(fmt.Sprintf("  %q", l.Event))
	}
}

// pick finds letters by their ids.
func pick(all []deadletters.Letter, ids []string, file string) ([]deadletters.Letter, error) {
	byID := map[string]deadletters.Letter{}
	for _, l := range all {
		byID[l.ID] = l
	}
	var out []deadletters.Letter
	for _, id := range ids {
		l, ok := byID[id]
		if !ok {
			return nil, &configError{fmt.Errorf("there is no dead letter %q in %s; `eiffelbridge deadletters list` shows which there are", id, file)}
		}
		out = append(out, l)
	}
	return out, nil
}

// chooseLetters gives the ids that a command line means: those named, or all.
func chooseLetters(cmd *cobra.Command, file string, ids []string, all bool) ([]string, error) {
	switch {
	case all && len(ids) > 0:
		return nil, usagef("name letters or say --all, not both")
	case !all && len(ids) == 0:
		return nil, usagef("name the letters, or say --all")
	}
	letters, err := listLetters(cmd, file)
	if err != nil {
		return nil, err
	}
	if !all {
		if _, err := pick(letters, ids, file); err != nil {
			return nil, err
		}
		return ids, nil
	}
	for _, l := range letters {
		ids = append(ids, l.ID)
	}
	return ids, nil
}

// openLetters opens the file for a change; nobody wants one that is not there to be made.
func openLetters(file string) (*deadletters.File, error) {
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return nil, &configError{fmt.Errorf("there are no dead letters at %s", file)}
	}
	letters, err := deadletters.Open(file, deadletters.Options{})
	if err != nil {
		return nil, &configError{err}
	}
	return letters, nil
}

func (c *command) deadlettersReplay() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "replay [ID...]",
		Short: "Send letters again",
		Long: `Send the events of letters again, as CloudEvents in structured mode to the listener of a relay, and
mark those as replayed that it accepts. What fails stays. The listener must belong to a relay of
the right direction: CDEvents to one that translates to eiffel, Eiffel events to one that
translates to cdevents.

With --stdout the events are written to standard output instead, byte for byte and one after the
other, and marked as replayed. That is the way for events that cannot be sent as CloudEvents
because they are broken: mend them, and send them yourself.`,
		Example: `  eiffelbridge deadletters replay 0f3a9c1d2b4e5f60
  eiffelbridge deadletters replay --all --url http://127.0.0.1:8080/
  eiffelbridge deadletters replay --stdout 0f3a9c1d2b4e5f60 > event.json`,
		Args: cobra.ArbitraryArgs,
	}
	file := addLetters(cmd)
	var target string
	var all, stdout bool
	cmd.Flags().BoolVar(&all, "all", false, "all letters")
	cmd.Flags().StringVar(&target, "url", "http://127.0.0.1:8080/", "`URL` of the relay's CloudEvents listener")
	cmd.Flags().BoolVar(&stdout, "stdout", false, "write the events to standard output instead")
	completeLetters(cmd, file)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx, stop := c.watch(cmd.Context())
		defer stop()
		if stdout && cmd.Flags().Changed("url") {
			return usagef("--stdout and --url exclude each other")
		}
		ids, err := chooseLetters(cmd, *file, args, all)
		if err != nil {
			return err
		}
		return c.replay(ctx, *file, ids, target, stdout)
	}
	return cmd
}

func (c *command) replay(ctx context.Context, file string, ids []string, target string, stdout bool) (err error) {
	if len(ids) == 0 {
		fmt.Fprintf(c.err, "no dead letters in %s\n", file)
		return nil
	}
	send := func(l deadletters.Letter) error {
		_, err := c.out.Write(append(bytes.TrimRight(l.Event, "\n"), '\n'))
		return err
	}
	if !stdout {
		settings := cloudeventshttp.DefaultSinkSettings(target)
		settings.Mode = cloudeventshttp.Structured
		sink, err := cloudeventshttp.NewSink(settings, slog.New(slog.DiscardHandler))
		if err != nil {
			return usagef("--url: %w", err)
		}
		defer func() { err = errors.Join(err, sink.Close(ctx)) }()
		send = func(l deadletters.Letter) error {
			if l.Code == transport.CodeTooLarge {
				// The listener would refuse it as before, and write it down once more.
				return errors.New("it is larger than the listener takes; raise max_body of that transport and send it yourself: " +
					"take it out with --stdout")
			}
			return sendLetter(ctx, sink, l)
		}
	}
	letters, err := openLetters(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, letters.Close()) }()
	failed := 0
	// One by one, so that each failure is told when it happens.
	for _, id := range ids {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := letters.Replay([]string{id}, send); err != nil {
			if isBrokenPipe(err) {
				return nil
			}
			failed++
			fmt.Fprintf(c.err, "eiffelbridge: %s\n", oneLine(err.Error()))
		}
	}
	fmt.Fprintf(c.err, "%s replayed, %d failed\n", count(len(ids)-failed, "letter"), failed)
	if failed > 0 {
		return errFailed
	}
	return nil
}

// sendLetter sends one event and waits for the answer.
func sendLetter(ctx context.Context, sink transport.Sink, l deadletters.Letter) error {
	m, err := message(l)
	if err != nil {
		return err
	}
	answer := make(chan error, 1)
	sink.Publish(ctx, []transport.Message{m}, func(_ int, err error) { answer <- err })
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// message is the CloudEvent of a letter.
func message(l deadletters.Letter) (transport.Message, error) {
	e, err := decode(l.Event)
	if err != nil {
		return transport.Message{}, fmt.Errorf("it cannot be sent as a CloudEvent: %w; take it out with --stdout and mend it", err)
	}
	if e.ID == "" || e.Source == "" {
		return transport.Message{}, errors.New("it cannot be sent as a CloudEvent, since it has no id or no source; take it out with --stdout and mend it")
	}
	m := transport.Message{
		Protocol: transport.Protocol(e.Protocol.String()), ID: e.ID, Source: e.Source, Type: e.Type, Subject: e.Subject,
		Schema: e.Schema, Tag: e.Tag, DomainID: e.DomainID, Extensions: l.Extensions, Data: l.Event,
	}
	if e.Time != 0 {
		m.Time = time.UnixMilli(e.Time).UTC().Format("2006-01-02T15:04:05.000Z")
	}
	if isEnvelope(l.Event) {
		m.Data = e.JSON // what goes out has an envelope of its own
	}
	return m, nil
}

func (c *command) deadlettersDrop() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "drop [ID...]",
		Short: "End letters without doing anything about their events",
		Long: `End letters without doing anything about their events. They stay in the file, and are listed no
more.`,
		Example: `  eiffelbridge deadletters drop 0f3a9c1d2b4e5f60
  eiffelbridge deadletters drop --all`,
		Args: cobra.ArbitraryArgs,
	}
	file := addLetters(cmd)
	var all bool
	cmd.Flags().BoolVar(&all, "all", false, "all letters")
	completeLetters(cmd, file)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		ids, err := chooseLetters(cmd, *file, args, all)
		if err != nil {
			return err
		}
		if len(ids) > 0 {
			letters, err := openLetters(*file)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, letters.Close()) }()
			if err := letters.Drop(ids...); err != nil {
				return err
			}
		}
		fmt.Fprintf(c.err, "%s dropped\n", count(len(ids), "letter"))
		return nil
	}
	return cmd
}
