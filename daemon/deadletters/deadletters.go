// Package deadletters keeps events that cannot be translated or delivered, with the reason and their original bytes, in
// a file of JSON lines that people and scripts can read.
//
// The file is only ever appended to: a letter is a line, and so is its end (a tombstone, after a replay or a drop).
// Every line is written under a lock of the file and is on the disk before the call returns, so a relay and a command
// may work on one file at the same time. Reading takes no lock. A last line that a crash tore off is passed over, and the
// next writer ends it before it adds its own. Nothing is dropped because the file grows: watch its size.
package deadletters

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
	"unicode/utf8"
)

// Letter is one event in the dead letters.
type Letter struct {
	ID        string    `json:"id"` // made by Append if empty; see [ID]
	Time      time.Time `json:"time"`
	Received  time.Time `json:"received,omitzero"` // when the relay got the event
	Relay     string    `json:"relay"`
	Direction string    `json:"direction"`         // to "eiffel" or to "cdevents"
	Code      string    `json:"code"`              // a code of translate.EventError, or one of the relay's
	Pointer   string    `json:"pointer,omitempty"` // JSON pointer to what is wrong
	Message   string    `json:"message"`
	EventID   string    `json:"event_id,omitempty"` // if it could be read
	EventType string    `json:"event_type,omitempty"`
	Source    string    `json:"source,omitempty"` // of the event or, if that cannot be read, of the CloudEvent
	Attempts  int       `json:"attempts"`         // how often the relay tried to deliver it

	// Extensions are the CloudEvents extensions that would have been passed on.
	Extensions map[string]string `json:"extensions,omitempty"`

	// Event is the original, byte for byte. In the file it is a string if it is UTF-8 ("event"), else base64
	// ("event_base64").
	Event []byte `json:"-"`
}

// ID is the id of a letter: equal for the same bytes under the same CloudEvents attributes, in the same relay and for the
// same reason, so that an event that is delivered again is not written again.
func ID(l Letter) string {
	h := sha256.New()
	for _, part := range []string{l.Relay, l.Code, l.Pointer, l.Message, l.Source, l.EventID, l.EventType} {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	h.Write(l.Event)
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// MarshalJSON writes the letter as it stands in the file.
func (l Letter) MarshalJSON() ([]byte, error) { return json.Marshal(lineOf(l)) }

// UnmarshalJSON reads what MarshalJSON wrote.
func (l *Letter) UnmarshalJSON(text []byte) error {
	type bare Letter // without its methods
	var in struct {
		*bare
		Text  *string `json:"event"`
		Bytes []byte  `json:"event_base64"`
	}
	in.bare = (*bare)(l)
	if err := json.Unmarshal(text, &in); err != nil {
		return err
	}
	l.Event = in.Bytes
	if in.Text != nil {
		l.Event = []byte(*in.Text)
	}
	return nil
}

func lineOf(l Letter) any {
	type bare Letter
	out := struct {
		bare
		Text  *string `json:"event,omitempty"`
		Bytes []byte  `json:"event_base64,omitempty"`
	}{bare: bare(l)}
	if utf8.Valid(l.Event) {
		text := string(l.Event)
		out.Text = &text
	} else {
		out.Bytes = l.Event
	}
	return out
}

type tombstone struct {
	Ended string    `json:"ended"`
	How   string    `json:"how"` // "replayed" or "dropped"
	Time  time.Time `json:"at"`
}

// ErrUnknown says that no letter has an id.
var ErrUnknown = errors.New("no such dead letter")

// ErrClosed is what a file that was closed answers.
var ErrClosed = errors.New("the dead letters are closed")

// Options are the settings of a [File]. The zero value is a good default.
type Options struct {
	Now func() time.Time // nil is time.Now
}

// File is the dead letters in one file. It is safe for concurrent use, and so are several of them, in one process or
// several, over the same file.
type File struct {
	path string
	now  func() time.Time

	mu     sync.Mutex // guards what follows
	file   *os.File
	closed bool
	known  index
	queue  *group // what the next write takes along; nil if nothing waits

	writing sync.Mutex // held by who writes to the file
}

// group is a set of lines that one write and one fsync make durable.
type group struct {
	letters []Letter
	done    chan struct{}
	err     error
}

// Open opens the file for writing, and makes it and its folder where they are missing.
func Open(path string, opts Options) (*File, error) {
	if path == "" {
		return nil, errors.New("open the dead letters: the path is empty")
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, fmt.Errorf("open the dead letters: %w", err)
	}
	// Events may hold what is nobody else's business.
	file, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return nil, fmt.Errorf("open the dead letters: %w", err)
	}
	f := &File{path: path, now: opts.Now, file: file}
	if err := f.known.catchUp(file); err != nil {
		file.Close()
		return nil, fmt.Errorf("read the dead letters in %s: %w", path, err)
	}
	if err := syncFolder(filepath.Dir(path)); err != nil {
		file.Close()
		return nil, fmt.Errorf("open the dead letters: %w", err)
	}
	return f, nil
}

// syncFolder makes a new file's name durable.
func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// Path is where the file is.
func (f *File) Path() string { return f.path }

// Append makes a letter durable. A letter whose id is there already, and was not ended, is not written again. Concurrent
// calls share one fsync. On an error nothing may be assumed; call again. The letter must not be changed until Append
// returns; ctx only bounds the waiting for others, not a write under way.
func (f *File) Append(ctx context.Context, l Letter) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if l.ID == "" {
		l.ID = ID(l)
	}
	if l.Time.IsZero() {
		l.Time = f.now().UTC()
	}
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return ErrClosed
	}
	g := f.queue
	first := g == nil
	if first {
		g = &group{done: make(chan struct{})}
		f.queue = g
	}
	g.letters = append(g.letters, l)
	f.mu.Unlock()
	if !first {
		select {
		case <-g.done:
			return g.err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	// The first of a group writes for all who come while the group before is being written.
	f.writing.Lock()
	f.mu.Lock()
	f.queue = nil
	f.mu.Unlock()
	g.err = f.write(func(known *index) ([]any, error) {
		var lines []any
		seen := map[string]bool{}
		for _, l := range g.letters {
			if _, there := known.open[l.ID]; there || seen[l.ID] {
				continue
			}
			seen[l.ID] = true
			lines = append(lines, lineOf(l))
		}
		return lines, nil
	})
	f.writing.Unlock()
	close(g.done)
	return g.err
}

// write adds the lines that make chooses, in view of what is in the file, under the file's lock.
func (f *File) write(make func(known *index) ([]any, error)) error {
	f.mu.Lock()
	file, closed := f.file, f.closed
	f.mu.Unlock()
	if closed {
		return ErrClosed
	}
	unlock, err := lockFile(file)
	if err != nil {
		return fmt.Errorf("lock the dead letters %s: %w", f.path, err)
	}
	defer unlock()
	f.mu.Lock()
	err = f.known.catchUp(file)
	torn := f.known.torn
	var lines []any
	if err == nil {
		lines, err = make(&f.known)
	}
	f.mu.Unlock()
	if err != nil || len(lines) == 0 {
		return err
	}
	var b bytes.Buffer
	if torn {
		b.WriteByte('\n')
	}
	for _, l := range lines {
		encoder := json.NewEncoder(&b)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(l); err != nil {
			return fmt.Errorf("encode a dead letter: %w", err)
		}
	}
	if _, err := file.Write(b.Bytes()); err != nil {
		return fmt.Errorf("write the dead letters %s: %w", f.path, err)
	}
	if err := file.Sync(); err != nil {
		return fmt.Errorf("write the dead letters %s: %w", f.path, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.known.catchUp(file)
}

// Size is the size of the file in bytes, and how many letters wait in it.
func (f *File) Size() (bytes int64, letters int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		if info, err := f.file.Stat(); err == nil {
			bytes = info.Size()
		}
	}
	return bytes, len(f.known.open)
}

// List gives the letters that were neither replayed nor dropped, in the order in which they came.
func (f *File) List() ([]Letter, error) { return List(f.path) }

// Show gives one letter; [ErrUnknown] if there is none.
func (f *File) Show(id string) (Letter, error) { return Show(f.path, id) }

// List reads the letters of a file that were neither replayed nor dropped, in the order in which they came. It takes no
// lock and writes nothing. A file that does not exist has none.
func List(path string) ([]Letter, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the dead letters: %w", err)
	}
	defer file.Close()
	var order []string
	letters := map[string]Letter{}
	_, _, err = scan(file, 0, func(at int64, text []byte) {
		l, ended, ok := parse(text)
		switch {
		case !ok:
		case ended != "":
			delete(letters, ended)
		default:
			if _, there := letters[l.ID]; !there {
				order = append(order, l.ID)
			}
			letters[l.ID] = l
		}
	})
	if err != nil {
		return nil, fmt.Errorf("read the dead letters in %s: %w", path, err)
	}
	var out []Letter
	for _, id := range order {
		if l, ok := letters[id]; ok {
			out = append(out, l)
			delete(letters, id) // it may stand in the order twice
		}
	}
	return out, nil
}

// Show reads one letter of a file; [ErrUnknown] if there is none.
func Show(path, id string) (Letter, error) {
	letters, err := List(path)
	if err != nil {
		return Letter{}, err
	}
	for _, l := range letters {
		if l.ID == id {
			return l, nil
		}
	}
	return Letter{}, fmt.Errorf("dead letter %s: %w", id, ErrUnknown)
}

// Drop ends letters without doing anything about their events. With an unknown id none is dropped.
func (f *File) Drop(ids ...string) error { return f.end("dropped", ids) }

func (f *File) end(how string, ids []string) error {
	f.writing.Lock()
	defer f.writing.Unlock()
	return f.write(func(known *index) ([]any, error) {
		var lines []any
		for _, id := range ids {
			if _, ok := known.open[id]; !ok {
				return nil, fmt.Errorf("dead letter %s: %w", id, ErrUnknown)
			}
			lines = append(lines, tombstone{id, how, f.now().UTC()})
		}
		return lines, nil
	})
}

// Replay sends letters again, in the given order, and ends each that send took. It goes on after a failure and joins the
// errors; a letter that failed stays. A crash between the sending and the tombstone leaves a letter that was sent: the
// relay recognizes the event by its id.
func (f *File) Replay(ids []string, send func(Letter) error) error {
	letters, err := f.List()
	if err != nil {
		return err
	}
	byID := map[string]Letter{}
	for _, l := range letters {
		byID[l.ID] = l
	}
	var errs []error
	for _, id := range ids {
		l, ok := byID[id]
		if !ok {
			errs = append(errs, fmt.Errorf("dead letter %s: %w", id, ErrUnknown))
			continue
		}
		if err := send(l); err != nil {
			errs = append(errs, fmt.Errorf("replay dead letter %s: %w", id, err))
			continue
		}
		// Another process may have ended it meanwhile; that is as good.
		if err := f.end("replayed", []string{id}); err != nil && !errors.Is(err, ErrUnknown) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Close waits for a write under way and closes the file. A second call does nothing.
func (f *File) Close() error {
	f.writing.Lock()
	defer f.writing.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil
	}
	f.closed = true
	return f.file.Close()
}

// index is what of a file was read so far.
type index struct {
	read int64               // up to here
	torn bool                // the last line has no end
	open map[string]struct{} // ids of letters that were not ended
}

// catchUp reads what others have added.
func (x *index) catchUp(file *os.File) error {
	if x.open == nil {
		x.open = map[string]struct{}{}
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if info.Size() < x.read {
		// Someone cut the file, which is theirs to do.
		x.read, x.open = 0, map[string]struct{}{}
	}
	read, torn, err := scan(io.NewSectionReader(file, x.read, info.Size()-x.read), x.read, func(at int64, text []byte) {
		l, ended, ok := parse(text)
		switch {
		case !ok:
		case ended != "":
			delete(x.open, ended)
		default:
			x.open[l.ID] = struct{}{}
		}
	})
	x.read, x.torn = read, torn
	return err
}

// scan calls f for each whole line and returns where the last of them ends, and whether more follows.
func scan(r io.Reader, from int64, f func(at int64, text []byte)) (end int64, torn bool, err error) {
	b := bufio.NewReaderSize(r, 64<<10)
	end = from
	for {
		text, err := b.ReadBytes('\n')
		if err == io.EOF {
			return end, len(text) > 0, nil
		}
		if err != nil {
			return end, false, err
		}
		f(end, text)
		end += int64(len(text))
	}
}

// parse reads a line; what is no line of ours (torn off, or written by someone else) is not ok.
func parse(text []byte) (l Letter, ended string, ok bool) {
	var t tombstone
	if json.Unmarshal(text, &t) != nil {
		return l, "", false
	}
	if t.Ended != "" {
		return l, t.Ended, true
	}
	if json.Unmarshal(text, &l) != nil || l.ID == "" {
		return l, "", false
	}
	return l, "", true
}
