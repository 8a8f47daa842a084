package deadletters

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Options are the settings of a [File]. The zero value is a good default.
type Options struct {
	Now func() time.Time // nil is time.Now
}

// File is the dead letters in one file of JSON lines. It is safe for concurrent use, and so are several of them, in one
// process or several, over the same file.
//
// The file is only ever appended to: a letter is a line, and so are its repeats and its end. Letters and ends are written
// under a lock of the file and are on the disk before the call returns, so a relay and a command may work on one file at
// the same time. Reading takes no lock. A last line that a crash tore off is passed over, and the next writer ends it
// before it adds its own. Nothing is dropped because the file grows: watch its size.
//
// Repeats are counted in memory and written with the next letter, after ten seconds, or by Close, so that a client
// that sends the same event for ever costs a short line in ten seconds. A crash costs their number of that time, and never
// a letter.
type File struct {
	path string
	now  func() time.Time

	mu      sync.Mutex // guards what follows
	file    *os.File
	closed  bool
	known   index
	queue   *group             // what the next write takes along; nil if nothing waits
	repeats map[entryKey]*line // that are not written yet; of each the number since
	flush   *time.Timer        // writes them; nil if none is set
	waiting sync.WaitGroup     // for the flush

	// doubt is where lines stand that may not be on the disk, since a sync failed: a later one that succeeds says nothing
	// about them. Letters there are written again when they come again.
	doubt struct{ from, to int64 }

	writing sync.Mutex // held by who writes to the file

	sync func(*os.File) error // of the file; tests have one that fails
}

var _ Store = (*File)(nil)

// flushRepeats is how long repeats may wait to be written.
const flushRepeats = 10 * time.Second

// group is a set of letters that one write and one fsync make durable.
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
	f := &File{path: path, now: opts.Now, file: file, known: index{most: maxKnown}, repeats: map[entryKey]*line{}, sync: (*os.File).Sync}
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

// Where is the path of the file.
func (f *File) Where() string { return f.path }

// Append implements [Store]. Concurrent calls share one fsync. ctx only bounds the waiting for others, not a write under
// way.
func (f *File) Append(ctx context.Context, l Letter) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l = l.complete(f.now())
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
	g.err = f.write(func() []any { return f.linesOf(g.letters) })
	f.writing.Unlock()
	close(g.done)
	return g.err
}

// linesOf gives the lines of what is new among letters, and notes the rest as repeats. The lock is held, and all that
// is in the file is known.
func (f *File) linesOf(letters []Letter) (lines []any) {
	fresh := map[entryKey]bool{}
	repeats := map[entryKey]*line{} // of these
	for _, l := range letters {
		key := keyOf(l.ID, l.Version)
		e, there := f.known.open[key]
		switch {
		case fresh[key]:
			countRepeat(repeats, key, l)
			continue
		case there && !l.Replayed && !f.doubtful(e):
			f.noteRepeat(key, l)
			continue
		case there && l.Replayed:
			l.Round = int(e.round) + 1
		case there:
			l.Round = int(e.round)
		}
		fresh[key] = true
		lines = append(lines, lineOf(l))
	}
	for _, r := range repeats {
		lines = append(lines, *r) // behind its letter
	}
	return lines
}

func (f *File) doubtful(e entry) bool { return e.at >= f.doubt.from && e.at < f.doubt.to }

// countRepeat counts a repeat, whose reason is the latest.
func countRepeat(repeats map[entryKey]*line, key entryKey, l Letter) {
	r := repeats[key]
	if r == nil {
		r = &line{Repeated: l.ID, Version: l.Version}
		repeats[key] = r
	}
	r.Repeats++
	r.LastSeen = l.Time
	r.Code, r.Pointer, r.Message, r.Attempts = l.Code, l.Pointer, l.Message, l.Attempts
}

// noteRepeat counts a repeat, which is written later.
func (f *File) noteRepeat(key entryKey, l Letter) {
	countRepeat(f.repeats, key, l)
	if f.flush == nil {
		f.waiting.Add(1)
		f.flush = time.AfterFunc(flushRepeats, func() {
			defer f.waiting.Done()
			f.writing.Lock()
			defer f.writing.Unlock()
			f.mu.Lock()
			f.flush = nil
			f.mu.Unlock()
			// What failed is tried again with the next repeat or letter.
			_ = f.writeRepeats()
		})
	}
}

// stopFlush forgets the timer; the lock is held.
func (f *File) stopFlush() {
	if f.flush != nil && f.flush.Stop() {
		f.waiting.Done()
	}
	f.flush = nil
}

// writeRepeats writes what repeats there are; writing is held.
func (f *File) writeRepeats() error {
	return f.write(func() []any { return f.repeatLines() })
}

// repeatLines are the lines of the repeats; those of letters that have ended meanwhile are forgotten. The lock is held.
func (f *File) repeatLines() (lines []any) {
	for key, r := range f.repeats {
		e, there := f.known.open[key]
		if !there {
			delete(f.repeats, key)
			continue
		}
		total := *r
		total.Repeats += int(e.repeats)
		lines = append(lines, total)
	}
	return lines
}

// write adds the lines that make chooses, in view of what is in the file, under the file's lock; writing is held. Repeats
// that wait go along.
func (f *File) write(make func() []any) error {
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
	var along map[entryKey]*line
	if err == nil {
		lines = make()
	}
	if len(lines) > 0 {
		if _, repeats := lines[0].(line); !repeats {
			lines = append(lines, f.repeatLines()...)
		}
		along, f.repeats = f.repeats, map[entryKey]*line{}
		f.stopFlush()
	}
	f.mu.Unlock()
	if err != nil || len(lines) == 0 {
		return err
	}
	if err := f.writeLines(file, torn, lines); err != nil {
		f.mu.Lock()
		if info, err := file.Stat(); err == nil {
			if f.doubt.to == 0 {
				f.doubt.from = f.known.read
			}
			f.doubt.to = info.Size()
		}
		for key, r := range along {
			if newer := f.repeats[key]; newer != nil {
				newer.Repeats += r.Repeats
			} else {
				f.repeats[key] = r
			}
		}
		f.mu.Unlock()
		return fmt.Errorf("write the dead letters %s: %w", f.path, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.known.catchUp(file)
}

func (f *File) writeLines(file *os.File, torn bool, lines []any) error {
	var b bytes.Buffer
	if torn {
		b.WriteByte('\n')
	}
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	for _, l := range lines {
		if err := encoder.Encode(l); err != nil {
			return err
		}
	}
	if _, err := file.Write(b.Bytes()); err != nil {
		return err
	}
	return f.sync(file)
}

// Size is the size of the file in bytes, and how many letters wait in it, each version by itself.
func (f *File) Size() (bytes int64, letters int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		if info, err := f.file.Stat(); err == nil {
			bytes = info.Size()
		}
	}
	return bytes, len(f.known.open) + f.known.over
}

// Scan implements [Store]. It takes no lock of the file.
func (f *File) Scan(ctx context.Context, do func(Letter) error) error {
	f.mu.Lock()
	repeats := map[entryKey]line{}
	for key, r := range f.repeats {
		repeats[key] = *r
	}
	f.mu.Unlock()
	return scanFile(ctx, f.path, func(key entryKey, l Letter) error {
		if r, ok := repeats[key]; ok {
			total := l.Repeats + r.Repeats
			r.apply(&l)
			l.Repeats = total
		}
		return do(l)
	})
}

// Take implements [Store].
func (f *File) Take(ctx context.Context, how string, want func(Letter) bool, do func(Letter) error) error {
	// Ends are gathered, for one fsync, where nothing happens in between.
	var ends []any
	end := func() error {
		if len(ends) == 0 {
			return nil
		}
		f.writing.Lock()
		defer f.writing.Unlock()
		err := f.write(func() []any { return ends })
		ends = nil
		return err
	}
	err := f.Scan(ctx, func(l Letter) error {
		if !want(l) {
			return nil
		}
		if do != nil && do(l) != nil {
			return nil
		}
		ends = append(ends, tombstone{l.ID, l.Version, l.Round, how, f.now().UTC()})
		if do == nil && len(ends) < 1000 {
			return nil
		}
		return end()
	})
	return errors.Join(err, end())
}

// Close writes the repeats that wait and closes the file.
func (f *File) Close() error {
	f.writing.Lock()
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		f.writing.Unlock()
		return nil
	}
	f.stopFlush()
	some := len(f.repeats) > 0
	f.mu.Unlock()
	var err error
	if some {
		err = f.writeRepeats()
	}
	f.mu.Lock()
	f.closed = true
	f.stopFlush()
	err = errors.Join(err, f.file.Close())
	f.mu.Unlock()
	f.writing.Unlock()
	f.waiting.Wait()
	return err
}

// reader is the letters of a file that is only read.
type reader string

var _ Store = reader("")

// ReadFile gives the letters of a file to whoever only reads them. It writes nothing, takes no lock and need not be closed. A
// file that does not exist has none.
func ReadFile(path string) Store { return reader(path) }

var errOnlyRead = errors.New("the dead letters were opened for reading")

func (r reader) Append(context.Context, Letter) error { return errOnlyRead }

func (r reader) Scan(ctx context.Context, do func(Letter) error) error {
	return scanFile(ctx, string(r), func(_ entryKey, l Letter) error { return do(l) })
}

func (r reader) Take(ctx context.Context, _ string, want func(Letter) bool, _ func(Letter) error) error {
	return r.Scan(ctx, func(l Letter) error {
		if want(l) {
			return errOnlyRead
		}
		return nil
	})
}

func (r reader) Where() string { return string(r) }
func (r reader) Close() error  { return nil }

// scanFile finds what is open in a file, and then reads it letter by letter, so that memory does not grow with the events.
func scanFile(ctx context.Context, path string, do func(entryKey, Letter) error) error {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the dead letters: %w", err)
	}
	defer file.Close()
	var x index
	if err := x.catchUp(file); err != nil {
		return fmt.Errorf("read the dead letters in %s: %w", path, err)
	}
	keys := make([]entryKey, 0, len(x.open))
	for key := range x.open {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b entryKey) int { return int(min(max(x.open[a].first-x.open[b].first, -1), 1)) })
	lines := bufio.NewReaderSize(nil, 16<<10)
	for _, key := range keys {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		l, err := x.open[key].read(file, lines)
		var unreadable *json.UnmarshalTypeError
		switch {
		case errors.As(err, &unreadable):
			continue // it looks like a letter, and somebody else wrote it
		case err != nil:
			return fmt.Errorf("read the dead letters in %s: %w", path, err)
		}
		if err := do(key, l); err != nil {
			return err
		}
	}
	return nil
}

// line is what may stand in a line beside a letter: a letter's end, or its repeats, which have the last reason.
type line struct {
	Repeated string    `json:"repeated"`
	Version  string    `json:"version,omitempty"`
	Repeats  int       `json:"repeats"`
	LastSeen time.Time `json:"last_seen"`
	Code     string    `json:"code"`
	Pointer  string    `json:"pointer,omitempty"`
	Message  string    `json:"message"`
	Attempts int       `json:"attempts"`
}

func (r *line) apply(l *Letter) {
	l.Repeats, l.LastSeen = r.Repeats, r.LastSeen
	l.Code, l.Pointer, l.Message, l.Attempts = r.Code, r.Pointer, r.Message, r.Attempts
}

// tombstone ends a version of a letter, unless a later round of it was written before.
type tombstone struct {
	Ended   string    `json:"ended"`
	Version string    `json:"version,omitempty"`
	Round   int       `json:"round,omitempty"`
	How     string    `json:"how"` // "replayed" or "dropped"
	Time    time.Time `json:"at"`
}

// entryKey is a version of a letter, as a hash: ids in a file may be any text.
type entryKey [16]byte

func keyOf(id, version string) entryKey {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d:%s%s", len(id), id, version))
	return entryKey(sum[:16])
}

// entry is where a version of a letter stands in the file.
type entry struct {
	first   int64 // its first line
	at      int64 // its newest line
	repeat  int64 // the newest line of its repeats; 0: none, since no file begins with one
	repeats uint32
	round   uint32
}

// read gives the letter.
func (e entry) read(file io.ReaderAt, lines *bufio.Reader) (l Letter, err error) {
	if err := readLine(file, lines, e.first, &l); err != nil {
		return l, err
	}
	if e.at != e.first {
		first := l.Time
		l = Letter{}
		if err := readLine(file, lines, e.at, &l); err != nil {
			return l, err
		}
		l.Repeats, l.LastSeen = int(e.repeats), l.Time
		l.Time = first
	}
	if e.repeat > e.at {
		var r line
		if err := readLine(file, lines, e.repeat, &r); err != nil {
			return l, err
		}
		r.apply(&l)
	}
	return l, nil
}

func readLine(file io.ReaderAt, lines *bufio.Reader, at int64, into any) error {
	lines.Reset(io.NewSectionReader(file, at, math.MaxInt64-at))
	text, err := lines.ReadBytes('\n')
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// maxKnown bounds the letters that a relay knows by heart, at 140 bytes each. What is beyond is written again when it comes
// again, and counted as a repeat by whoever reads the file.
const maxKnown = 100_000

// index is what of a file was read so far.
type index struct {
	most int                // entries; 0: as many as there are
	read int64              // up to here
	torn bool               // the last line has no end
	open map[entryKey]entry // versions that were not ended
	over int                // versions beyond most
}

// catchUp reads what others have added.
func (x *index) catchUp(file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if x.open == nil || info.Size() < x.read {
		// Someone cut the file, which is theirs to do.
		x.read, x.over, x.open = 0, 0, map[entryKey]entry{}
	}
	if info.Size() == x.read {
		x.torn = false
		return nil
	}
	read, torn, err := scan(io.NewSectionReader(file, x.read, info.Size()-x.read), x.read, x.take)
	x.read, x.torn = read, torn
	return err
}

// take reads a line; what is no line of ours (torn off, or written by someone else) is passed over.
func (x *index) take(at int64, text []byte) {
	var head struct {
		ID       string `json:"id"`
		Ended    string `json:"ended"`
		Repeated string `json:"repeated"`
		Version  string `json:"version"`
		Round    uint32 `json:"round"`
		Repeats  uint32 `json:"repeats"`
	}
	if json.Unmarshal(text, &head) != nil {
		return
	}
	switch {
	case head.Ended != "":
		key := keyOf(head.Ended, head.Version)
		if e, there := x.open[key]; there && e.round <= head.Round {
			delete(x.open, key)
		} else if !there && x.over > 0 {
			x.over--
		}
	case head.Repeated != "":
		key := keyOf(head.Repeated, head.Version)
		if e, there := x.open[key]; there {
			e.repeat, e.repeats = at, max(e.repeats, head.Repeats)
			x.open[key] = e
		}
	case head.ID != "":
		key := keyOf(head.ID, head.Version)
		e, there := x.open[key]
		switch {
		case there:
			e.at, e.round, e.repeats = at, max(e.round, head.Round), e.repeats+1
		case x.most > 0 && len(x.open) >= x.most:
			x.over++
			return
		default:
			e = entry{first: at, at: at, round: head.Round, repeats: head.Repeats}
		}
		x.open[key] = e
	}
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
