package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"github.com/eiffelbridge/eiffelbridge/cmd/eiffelbridge/internal/eventreader"
	"github.com/eiffelbridge/eiffelbridge/internal/cloudeventsjson"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// inputHelp is what the help of every verb says that reads events.
const inputHelp = `Input is one JSON event, a JSON array of events, concatenated events or JSON lines, from FILEs or
from standard input (without FILE, or -). A CloudEvents envelope around an event, as in batches, is
taken off. It is read as a stream: a few events at a time are in memory, and an event may have up to
16 MiB.

An event that breaks a rule (JSON, duplicate member names, UTF-8, the schema) fails, and the next
one is read. Where even its end cannot be found, because a bracket or a quote is missing, reading
goes on with the next line that can begin an event: with JSON lines that is always the next line.
Events are numbered per file, from 0. A file that cannot be read fails like an event, and the next
file is read; if none of them is there, nothing is done.`

// input is one event of the input, a place that should have been one, or a file that cannot be read.
type input struct {
	File  string // as the user named it; "-" for standard input
	Index int    // of a file: how many events of it were read
	Line  int    // 0 for a file
	Event translate.Event
	Err   error // nil if Event is there; a *translate.EventError
}

// isFile tells whether it is the file that cannot be read.
func (in *input) isFile() bool { return in.Line == 0 }

// where names the place as compilers do.
func (in *input) where() string {
	if in.isFile() {
		return in.File
	}
	return fmt.Sprintf("%s:%d: event %d", in.File, in.Line, in.Index)
}

// The codes of errors that are not the translation's.
const (
	codeTarget = "target_protocol" // the event is in the protocol already that --to asks for
	codeFile   = "unreadable_file"
)

// readAhead is how many events are read and decoded before their turn.
const readAhead = 16

// eachEvent reads the files and calls f for every event, and for every file that cannot be read, in their order. It returns f's
// error. The next events are read and decoded while f is at work.
func (c *command) eachEvent(ctx context.Context, files []string, f func(*input) error) error {
	if err := c.existing(files); err != nil {
		return err
	}
	if len(files) == 0 {
		files = []string{"-"}
	}
	if slices.Contains(files, "-") && isTerminal(c.env.Stdin) {
		fmt.Fprintln(c.err, "eiffelbridge: reading events from the terminal; end with Ctrl-D")
	}
	reading, stop := context.WithCancel(ctx)
	events := make(chan *input, readAhead)
	failed := make(chan error, 1)
	go func() {
		defer close(events)
		failed <- c.read(reading, files, events)
	}()
	var err error
	for in := range events {
		if err != nil {
			continue // what was read ahead
		}
		if err = f(in); err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			stop()
		}
	}
	stop()
	if readError := <-failed; err == nil {
		err = readError
	}
	return err
}

// read reads the files, one after the other.
func (c *command) read(ctx context.Context, files []string, events chan<- *input) error {
	give := func(in *input) error {
		select {
		case events <- in:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	for _, name := range files {
		if err := c.readFile(ctx, name, give); err != nil {
			return err
		}
	}
	return nil
}

// existing finds out before anything is done that none of the files can be read: that is a wrong command line. One among
// others fails when its turn comes.
func (c *command) existing(files []string) error {
	var first error
	for _, name := range files {
		if name == "-" {
			return nil
		}
		err := readable(name)
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	if first == nil {
		return nil // there is standard input
	}
	return &configError{fmt.Errorf("cannot read the events: %w", first)}
}

// readable says why a file cannot be read.
func readable(name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return fmt.Errorf("%s is a folder; name the files in it", name)
	}
	return nil
}

func (c *command) readFile(ctx context.Context, name string, give func(*input) error) error {
	// What is wrong with the file already has its name, which stands before it in all that is said.
	failed := func(index int, err error) error {
		message := strings.TrimPrefix(err.Error(), name+" ")
		var path *os.PathError
		if errors.As(err, &path) {
			message = "cannot be read: " + path.Err.Error()
		}
		return give(&input{File: name, Index: index, Err: &translate.EventError{Code: codeFile, Message: message}})
	}
	stream := c.env.Stdin
	if name != "-" {
		if err := readable(name); err != nil {
			return failed(0, err)
		}
		file, err := os.Open(name)
		if err != nil {
			return failed(0, err)
		}
		defer file.Close()
		stream = file
	}
	reader := eventreader.New(&interruptible{ctx: ctx, in: stream})
	for index := 0; ; index++ {
		item, err := reader.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, errInterrupted):
			return err
		case err != nil:
			return failed(index, err)
		}
		in := input{File: name, Index: item.Index, Line: item.Line, Err: item.Err}
		if in.Err == nil {
			in.Event, in.Err = decode(item.Text)
		} else {
			in.Err = &translate.EventError{Code: translate.CodeNotJSON, Message: in.Err.Error()}
		}
		if err := give(&in); err != nil {
			return err
		}
	}
}

// decode reads an event, out of its CloudEvents envelope if it has one.
func decode(text []byte) (translate.Event, error) {
	if !isEnvelope(text) {
		return translate.Decode(text)
	}
	m, err := cloudeventsjson.Decode(text)
	if err != nil {
		return translate.Event{}, &translate.EventError{Code: translate.CodeNotEvent, ID: m.ID, Message: err.Error()}
	}
	return translate.Decode(m.Data)
}

// isEnvelope tells whether a JSON text is a CloudEvent in structured mode: it has a specversion of its own and neither of
// the members that the events of the two protocols begin with.
func isEnvelope(text []byte) bool {
	if !bytes.Contains(text, []byte("specversion")) {
		return false
	}
	dec := jsontext.NewDecoder(bytes.NewReader(text), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if kind := dec.PeekKind(); kind != '{' {
		return false
	}
	if _, err := dec.ReadToken(); err != nil {
		return false
	}
	found := false
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			return found
		}
		switch name.String() {
		case "specversion":
			found = true
		case "context", "meta":
			return false
		}
		if dec.SkipValue() != nil {
			return found
		}
	}
	return found
}

// interruptible lets a read that waits for input be interrupted.
type interruptible struct {
	ctx     context.Context
	in      io.Reader
	pieces  chan piece
	wanted  chan struct{}
	buffer  []byte
	pending []byte
	err     error
}

type piece struct {
	n   int
	err error
}

// Read implements io.Reader.
func (r *interruptible) Read(p []byte) (int, error) {
	if err := context.Cause(r.ctx); err != nil {
		return 0, err
	}
	if len(r.pending) == 0 && r.err == nil {
		if r.pieces == nil {
			// The reader waits in a goroutine of its own, which a read that never returns keeps until the process ends.
			r.pieces, r.wanted, r.buffer = make(chan piece, 1), make(chan struct{}, 1), make([]byte, 64<<10)
			go func() {
				for range r.wanted {
					n, err := r.in.Read(r.buffer)
					r.pieces <- piece{n, err}
					if err != nil {
						return
					}
				}
			}()
		}
		r.wanted <- struct{}{}
		select {
		case got := <-r.pieces:
			r.pending, r.err = r.buffer[:got.n], got.err
		case <-r.ctx.Done():
			return 0, context.Cause(r.ctx)
		}
	}
	n := copy(p, r.pending)
	r.pending = r.pending[n:]
	if n == 0 {
		return 0, r.err
	}
	return n, nil
}

// reportError writes what is wrong with an event as one line.
func (c *command) reportError(in *input, err error) { fmt.Fprintln(c.err, problemLine(in, err)) }

// problemLine is the line about a problem with an event.
func problemLine(in *input, err error) string {
	var e *translate.EventError
	code := ""
	if errors.As(err, &e) {
		code = " [" + e.Code + "]"
		named := *e
		if named.ID == "" && named.Type == "" {
			named.ID, named.Type = in.Event.ID, in.Event.Type
		}
		err = &named
	}
	text := strings.TrimPrefix(strings.TrimPrefix(err.Error(), "event: "), "event ")
	return fmt.Sprintf("%s: %s%s", in.where(), oneLine(text), code)
}

// oneLine keeps text from events from breaking lines or steering a terminal.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '\uFFFD'
		}
		return r
	}, text)
}

// completeFiles lets the shell propose files of events.
func completeFiles(cmd *cobra.Command) {
	cmd.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return []string{"json", "jsonl", "ndjson"}, cobra.ShellCompDirectiveFilterFileExt
	}
}
