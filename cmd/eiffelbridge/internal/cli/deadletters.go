package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/eiffelbridge/eiffelbridge/daemon"
	"github.com/eiffelbridge/eiffelbridge/daemon/deadletters"
	cloudeventshttp "github.com/eiffelbridge/eiffelbridge/daemon/transports/cloudevents_http"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

func (c *command) deadlettersVerb() *cobra.Command {
	return group(&cobra.Command{
		Use:   "deadletters",
		Short: "Look at events that could not be relayed, and send them again",
		Long: `Work on the dead letters: events that a relay could not translate or deliver, with the reason and
their original bytes. It is safe while the relay runs.

The letters are those of a configuration (--config), in a file or in the queue of a broker, or those
of a file (--file).`,
		Example: `  eiffelbridge deadletters list
  eiffelbridge deadletters show 0f3a9c1d2b4e5f60
  eiffelbridge deadletters replay --config eiffelbridge.yaml --all`,
	}, c.deadlettersList(), c.deadlettersShow(), c.deadlettersReplay(), c.deadlettersDrop())
}

// lettersAt says where the letters are that a verb works on, and which of them it means.
type lettersAt struct {
	c      *command
	cmd    *cobra.Command
	file   string
	config string

	relay, code, kind string
}

// defaultLetters is the file of a relay that was given no configuration.
const defaultLetters = "dead-letters.jsonl"

func (c *command) addLetters(cmd *cobra.Command) *lettersAt {
	at := &lettersAt{c: c, cmd: cmd}
	cmd.Flags().StringVar(&at.config, "config", "", "`FILE` with the relay's configuration, which says where the letters are")
	cmd.Flags().StringVar(&at.file, "file", defaultLetters, "`FILE` of the dead letters, without a configuration")
	_ = cmd.MarkFlagFilename("config", "yaml", "yml")
	_ = cmd.MarkFlagFilename("file", "jsonl")
	return at
}

func (at *lettersAt) addFilter() {
	at.cmd.Flags().StringVar(&at.relay, "relay", "", "only letters of the relay `NAME`")
	at.cmd.Flags().StringVar(&at.code, "code", "", "only letters with the reason `CODE`")
	at.cmd.Flags().StringVar(&at.kind, "type", "", "only letters whose event is of `TYPE`")
}

// filtered tells whether a filter was given.
func (at *lettersAt) filtered() bool { return at.relay != "" || at.code != "" || at.kind != "" }

// passes tells whether a letter passes the filter.
func (at *lettersAt) passes(l deadletters.Letter) bool {
	return (at.relay == "" || at.relay == l.Relay) && (at.code == "" || at.code == l.Code) && (at.kind == "" || at.kind == l.EventType)
}

// lettersOpen are the letters of a verb, opened.
type lettersOpen struct {
	deadletters.Store
	config *daemon.Config // nil: none was given
}

// open opens the letters, to end some or only to read. No letter was ever written to a default file that is not there; one that
// was named and is not there is misspelt.
func (at *lettersAt) open(end bool) (*lettersOpen, error) {
	out := &lettersOpen{}
	file, named := at.file, at.cmd.Flags().Changed("file")
	if at.config != "" {
		if named {
			return nil, usagef("--config and --file exclude each other")
		}
		config, wrong, err := at.c.readConfig(at.config)
		if err != nil {
			return nil, err
		}
		if len(wrong) > 0 {
			for _, line := range wrong {
				fmt.Fprintln(at.c.err, line)
			}
			return nil, errUsage
		}
		out.config = config
		if broker, ok := config.DeadLetterBroker(); ok {
			if broker.Queue == "" {
				return nil, &configError{fmt.Errorf("dead_letters in %s has no queue: the letters went to exchange %q, and are wherever somebody has bound a queue",
					at.config, broker.Exchange)}
			}
			out.Store = deadletters.ReadExchange(broker)
			return out, nil
		}
		file = config.DeadLetters.Path
	}
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		if named {
			return nil, &configError{fmt.Errorf("there is no file %s; name the dead_letters.path of the relay's configuration", file)}
		}
		end = false
	}
	if !end {
		out.Store = deadletters.ReadFile(file)
		return out, nil
	}
	letters, err := deadletters.Open(file, deadletters.Options{})
	if err != nil {
		return nil, &configError{err}
	}
	out.Store = letters
	return out, nil
}

// completeLetters lets the shell propose the ids of letters in a file. It asks no broker.
func (at *lettersAt) completeLetters() {
	at.cmd.ValidArgsFunction = func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		file := at.file
		if at.config != "" {
			config, _, err := at.c.readConfig(at.config)
			if err != nil || config.DeadLetters.Path == "" {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			file = config.DeadLetters.Path
		}
		groups, _, err := deadletters.Gather(cmd.Context(), deadletters.ReadFile(file), listLimit, nil)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		var ids []string
		for _, g := range groups {
			l := g.Latest()
			ids = append(ids, cobra.CompletionWithDesc(l.ID, l.Code+" "+l.EventType))
		}
		return ids, cobra.ShellCompDirectiveNoFileComp
	}
}

// listLimit is how many letters are listed unless more are asked for: a page that a person can read, and memory that a machine has.
const listLimit = 1000

func (c *command) deadlettersList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the letters that were neither replayed nor dropped",
		Long: `List the letters that were neither replayed nor dropped, in the order in which they came, with how
often the event was refused and when last; below each the id and the type of its event, and where
and what is wrong with it. What is long is shortened; show and the json form have it in full.

In the queue of a broker, letters that are being looked at are hidden from everybody else until
the verb ends.`,
		Example: `  eiffelbridge deadletters list
  eiffelbridge deadletters list --config eiffelbridge.yaml --code unresolved
  eiffelbridge deadletters list --format json | jq -r '.[] | select(.attempts > 0) | .id'`,
		Args: cobra.NoArgs,
	}
	at := c.addLetters(cmd)
	at.addFilter()
	limit := cmd.Flags().Int("limit", listLimit, "list the oldest `N` at most; 0 is all")
	format := chosen(cmd, "format", "table", "form of the output", "table", "json")
	colour := addColour(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		ctx, stop := c.watch(cmd.Context())
		defer stop()
		if *limit < 0 {
			return usagef("--limit %d is less than 0", *limit)
		}
		letters, err := at.open(false)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, letters.Close()) }()
		groups, more, err := deadletters.Gather(ctx, letters, *limit, at.passes)
		if err != nil {
			return err
		}
		if more > 0 {
			defer fmt.Fprintf(c.err, "%s not listed; raise --limit\n", count(more, "further letter"))
		}
		if *format == "json" {
			return writeIndented(c.out, append([]*deadletters.Group{}, groups...))
		}
		p := c.painter(*colour)
		if len(groups) == 0 {
			p.line("No dead letters in " + letters.Where() + ".")
			return p.err
		}
		rows := [][]cell{{{"ID", dim}, {"TIME", dim}, {"TIMES", dim}, {"LAST SEEN", dim}, {"CODE", dim}, {"RELAY", dim}}}
		for _, g := range groups {
			l := g.Latest()
			last := ""
			if g.Repeats > 0 {
				last = g.LastSeen.UTC().Format(boardTime)
			}
			rows = append(rows, []cell{{l.ID, bold}, {g.First().UTC().Format(boardTime), plain}, {fmt.Sprint(1 + g.Repeats), plain}, {last, plain},
				{oneLine(l.Code), yellow}, {clip(oneLine(l.Relay), width/5), plain}})
			event := strings.TrimSpace(oneLine(l.EventID) + " " + oneLine(l.EventType))
			if n := len(g.Versions); n > 1 {
				event = strings.TrimSpace(fmt.Sprintf("%s, in %d versions", event, n))
			}
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
		Long: `Show letters with everything that is known about them, and their events: each version, if an event
came with other bytes under the same source and id.`,
		Example: `  eiffelbridge deadletters show 0f3a9c1d2b4e5f60
  eiffelbridge deadletters show --format json 0f3a9c1d2b4e5f60 | jq -r .event`,
		Args: cobra.MinimumNArgs(1),
	}
	at := c.addLetters(cmd)
	format := chosen(cmd, "format", "text", "form of the output", "text", "json")
	colour := addColour(cmd)
	at.completeLetters()
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		ctx, stop := c.watch(cmd.Context())
		defer stop()
		letters, err := at.open(false)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, letters.Close()) }()
		groups, _, err := deadletters.Gather(ctx, letters, 0, func(l deadletters.Letter) bool { return slices.Contains(args, l.ID) })
		if err != nil {
			return err
		}
		byID := map[string]*deadletters.Group{}
		for _, g := range groups {
			byID[g.Latest().ID] = g
		}
		if err := allThere(args, letters.Where(), func(id string) bool { return byID[id] != nil }); err != nil {
			return err
		}
		p := c.painter(*colour)
		for i, id := range args {
			if *format == "json" {
				if err := writeIndented(c.out, byID[id]); err != nil {
					return err
				}
				continue
			}
			for j, l := range byID[id].Versions {
				if i+j > 0 {
					p.line("")
				}
				showLetter(p, l)
			}
		}
		return p.err
	}
	return cmd
}

// allThere is an error for ids of which there are no letters.
func allThere(ids []string, where string, there func(id string) bool) error {
	for _, id := range ids {
		if !there(id) {
			return &configError{fmt.Errorf("there is no dead letter %q in %s; `eiffelbridge deadletters list` shows which there are", id, where)}
		}
	}
	return nil
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
	if l.Repeats > 0 {
		add("repeats", fmt.Sprintf("%d, the last at %s", l.Repeats, l.LastSeen.UTC().Format(time.RFC3339Nano)))
	}
	add("attempts", fmt.Sprint(l.Attempts))
	add("event id", l.EventID)
	add("type", l.EventType)
	add("source", l.Source)
	add("version", l.Version)
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

// choice is which letters a command line means.
type letterChoice struct {
	at  *lettersAt
	ids []string // empty: all that pass the filter

	seen map[string]bool
}

// choose reads what letters a command line means: those named, or those that pass the filter, or all.
func (at *lettersAt) choose(ids []string, all bool) (*letterChoice, error) {
	switch {
	case len(ids) > 0 && (all || at.filtered()):
		return nil, usagef("name letters, or say --all or which by --relay, --code and --type, not both")
	case len(ids) == 0 && !all && !at.filtered():
		return nil, usagef("name the letters, or say --all, or which by --relay, --code and --type")
	}
	return &letterChoice{at: at, ids: ids, seen: map[string]bool{}}, nil
}

func (w *letterChoice) want(l deadletters.Letter) bool {
	if len(w.ids) > 0 && !slices.Contains(w.ids, l.ID) || len(w.ids) == 0 && !w.at.passes(l) {
		return false
	}
	w.seen[l.ID] = true
	return true
}

// check finds ids that are not there before anything is done.
func (w *letterChoice) check(ctx context.Context, letters *lettersOpen) error {
	if len(w.ids) == 0 {
		return nil
	}
	there := map[string]bool{}
	err := letters.Scan(ctx, func(l deadletters.Letter) error {
		there[l.ID] = true
		return nil
	})
	if err != nil {
		return err
	}
	return allThere(w.ids, letters.Where(), func(id string) bool { return there[id] })
}

func (c *command) deadlettersReplay() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "replay [ID...]",
		Short: "Send letters again",
		Long: `Send the events of letters again, to the relay that refused them, and end those that it takes. What
fails stays, and what is refused again is one letter as before. A letter in several versions is sent
in all of them, oldest first.

With --config the relay is found in the configuration. One that is fed over HTTP gets the event at
its listener, and a letter ends when the relay has accepted it. One that is fed over AMQP gets the
event in its queue, and a letter ends when the broker has confirmed it; should the relay refuse it
once more, it is written down once more. To a relay that is fed from a file, a pipe, a webhook or a
plugin nothing can be sent: say --to or --url.

With --to the events are sent through a transport of the configuration, with its TLS and
credentials: for a listener that wants some.

With --url the events are posted to a CloudEvents listener. It must belong to a relay of the right
direction: CDEvents to one that translates to eiffel, Eiffel events to one that translates to
cdevents. Without --config it is http://127.0.0.1:8080/.

With --stdout the events are written to standard output instead, byte for byte and one after the
other, and their letters end. That is the way for events that cannot be sent as CloudEvents because
they are broken: mend them, and send them yourself.`,
		Example: `  eiffelbridge deadletters replay --config eiffelbridge.yaml 0f3a9c1d2b4e5f60
  eiffelbridge deadletters replay --config eiffelbridge.yaml --code no_mapping
  eiffelbridge deadletters replay --all --url http://127.0.0.1:8080/
  eiffelbridge deadletters replay --stdout 0f3a9c1d2b4e5f60 > event.json`,
		Args: cobra.ArbitraryArgs,
	}
	at := c.addLetters(cmd)
	at.addFilter()
	var target, through string
	var all, stdout bool
	cmd.Flags().BoolVar(&all, "all", false, "all letters")
	cmd.Flags().StringVar(&through, "to", "", "`TRANSPORT` of the configuration, of type cloudevents_http, to send through")
	cmd.Flags().StringVar(&target, "url", "", "`URL` of a relay's CloudEvents listener")
	cmd.Flags().BoolVar(&stdout, "stdout", false, "write the events to standard output instead")
	at.completeLetters()
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx, stop := c.watch(cmd.Context())
		defer stop()
		switch {
		case stdout && target != "", through != "" && (stdout || target != ""):
			return usagef("--stdout, --url and --to exclude each other")
		case through != "" && at.config == "":
			return usagef("--to needs --config, which has the transport")
		}
		if at.config == "" && target == "" {
			target = "http://127.0.0.1:8080/"
		}
		which, err := at.choose(args, all)
		if err != nil {
			return err
		}
		return c.replay(ctx, at, which, target, through, stdout)
	}
	return cmd
}

func (c *command) replay(ctx context.Context, at *lettersAt, which *letterChoice, target, through string, stdout bool) (err error) {
	letters, err := at.open(true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, letters.Close()) }()
	if err := which.check(ctx, letters); err != nil {
		return err
	}
	send, done, err := c.sender(letters.config, target, through, stdout)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done(ctx)) }()

	var broken error // nobody reads the output any more
	failed := map[string]bool{}
	err = letters.Take(ctx, deadletters.Replayed, func(l deadletters.Letter) bool { return broken == nil && ctx.Err() == nil && which.want(l) },
		func(l deadletters.Letter) error {
			err := send(ctx, l)
			switch {
			case isBrokenPipe(err):
				broken = err
			case err != nil:
				failed[l.ID] = true
				// At once, so that each failure is told when it happens.
				fmt.Fprintf(c.err, "eiffelbridge: %s\n", oneLine(fmt.Sprintf("replay dead letter %s: %v", l.ID, err)))
			}
			return err
		})
	if broken != nil {
		return nil
	}
	switch {
	case len(which.seen) == 0 && err == nil:
		fmt.Fprintf(c.err, "no such dead letters in %s\n", letters.Where())
		return nil
	case err != nil:
		return fmt.Errorf("%w; %s replayed before that, %d failed, and what was not reached stays", err,
			count(len(which.seen)-len(failed), "letter"), len(failed))
	}
	fmt.Fprintf(c.err, "%s replayed, %d failed\n", count(len(which.seen)-len(failed), "letter"), len(failed))
	if len(failed) > 0 {
		return errFailed
	}
	return nil
}

// sender is how letters are sent again, and what ends it.
func (c *command) sender(config *daemon.Config, target, through string, stdout bool) (send func(context.Context, deadletters.Letter) error,
	done func(context.Context) error, err error) {
	if stdout {
		return func(_ context.Context, l deadletters.Letter) error {
			_, err := c.out.Write(append(bytes.TrimRight(l.Event, "\n"), '\n'))
			return err
		}, func(context.Context) error { return nil }, nil
	}
	var deliver func(ctx context.Context, relay string, m transport.Message) error
	if target != "" {
		settings := cloudeventshttp.DefaultSinkSettings(target)
		settings.Mode = cloudeventshttp.Structured
		sink, err := cloudeventshttp.NewSink(settings, slog.New(slog.DiscardHandler))
		if err != nil {
			return nil, nil, usagef("--url: %w", err)
		}
		deliver = func(ctx context.Context, _ string, m transport.Message) error { return daemon.Deliver(ctx, sink, m) }
		done = sink.Close
	} else {
		replay, err := config.NewReplay(through, nil)
		if err != nil {
			return nil, nil, usagef("--to: %w", err)
		}
		deliver, done = replay.Send, replay.Close
	}
	return func(ctx context.Context, l deadletters.Letter) error {
		if l.Code == transport.CodeTooLarge {
			// The listener would refuse it as before, and write it down once more.
			return errors.New("it is larger than the listener takes; raise max_body of that transport and send it yourself: " +
				"take it out with --stdout")
		}
		m, err := message(l)
		if err != nil {
			return err
		}
		return deliver(ctx, l.Relay, m)
	}, done, nil
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
		Schema: e.Schema, Tag: e.Tag, DomainID: e.DomainID, Extensions: map[string]string{transport.ReplayExtension: l.ID}, Data: l.Event,
	}
	maps.Copy(m.Extensions, l.Extensions)
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
		Long: `End letters without doing anything about their events. In a file they stay, and are listed no more;
from the queue of a broker they are removed.`,
		Example: `  eiffelbridge deadletters drop 0f3a9c1d2b4e5f60
  eiffelbridge deadletters drop --relay to_eiffel --code not_json
  eiffelbridge deadletters drop --all`,
		Args: cobra.ArbitraryArgs,
	}
	at := c.addLetters(cmd)
	at.addFilter()
	var all bool
	cmd.Flags().BoolVar(&all, "all", false, "all letters")
	at.completeLetters()
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		ctx, stop := c.watch(cmd.Context())
		defer stop()
		which, err := at.choose(args, all)
		if err != nil {
			return err
		}
		letters, err := at.open(true)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, letters.Close()) }()
		if err := which.check(ctx, letters); err != nil {
			return err
		}
		if err := letters.Take(ctx, deadletters.Dropped, which.want, nil); err != nil {
			return fmt.Errorf("%w; what was not reached stays", err)
		}
		fmt.Fprintf(c.err, "%s dropped\n", count(len(which.seen), "letter"))
		return nil
	}
	return cmd
}
