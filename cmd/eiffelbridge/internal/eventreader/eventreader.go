// Package eventreader splits a stream of JSON into events: one event, an array of them, concatenated values or JSON lines, in
// any mixture. It holds one event in memory at a time.
//
// It looks no further than where an event begins and ends, so that what is wrong within an event (a duplicate member, a
// bad byte, a missing value) is the fault of that event only; whoever decodes the event finds it. Where the end itself
// cannot be found, because a bracket or a quote is missing, it goes on with the next line that can begin an event.
package eventreader

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// MaxEvent is the size in bytes that an event may have, 16 MiB: it bounds the memory of a reader.
const MaxEvent = 16 << 20

// maxDepth bounds the memory of the splitting itself; what events may have is far less.
const maxDepth = 1 << 16

// Item is one event of the stream, or a place in it that is none.
type Item struct {
	Index int    // of the item in the stream, from 0
	Line  int    // in which it begins, from 1
	Text  []byte // the event; valid until the next call of Next
	Err   error  // why there is no event here; Text is nil then
}

// Reader splits a stream. It is not safe for concurrent use.
type Reader struct {
	in    io.Reader
	limit int
	buf   []byte
	pos   int   // what was read so far
	err   error // of in, io.EOF included

	line      int    // of pos, from 1
	indent    []byte // white space before pos in its line, if there is nothing else
	lineStart bool   // there is nothing else
	index     int
	inArray   bool
	elements  int  // of the array so far
	comma     bool // since the last element
	torn      bool // an element had no end: commas and the closing bracket are no longer asked for
	begun     bool
	ended     bool // the rest cannot be read
}

// New returns a reader of events of at most [MaxEvent] bytes.
func New(in io.Reader) *Reader { return newReader(in, MaxEvent) }

func newReader(in io.Reader, limit int) *Reader {
	return &Reader{in: in, limit: limit, buf: make([]byte, 0, 64<<10), line: 1, lineStart: true}
}

// The reasons why there is no event in an item.
var (
	errArrayOpen = errors.New("the input ends within an array; a ] is missing")
	errNoElement = errors.New("the array has a comma without an element; remove the comma")
	errNoComma   = errors.New("a comma is missing before this element of the array")
	errComma     = errors.New("a comma stands between events that are in no array; put [ ] around them or each on a line of its own")
	errUTF16     = errors.New("the input is UTF-16, and JSON is UTF-8; convert it first, as with iconv -f UTF-16 -t UTF-8")
	errUTF32     = errors.New("the input is UTF-32, and JSON is UTF-8; convert it first, as with iconv -f UTF-32 -t UTF-8")
	errGzip      = errors.New("the input is compressed; decompress it first, as with gzip -dc")
)

// cutError says that an event has no end.
type cutError struct{ what string }

func (e *cutError) Error() string { return "not valid JSON: " + e.what }

// Next gives the next item; io.EOF at the end, any other error if the stream cannot be read.
func (r *Reader) Next() (Item, error) {
	if !r.begun {
		r.begun = true
		if err := r.begin(); err != nil {
			// Nothing in it can be told apart.
			r.ended = true
			return r.item(1, nil, err), nil
		}
	}
	if r.ended {
		return Item{}, io.EOF
	}
	for {
		c, ok := r.peek()
		if !ok {
			if !errors.Is(r.err, io.EOF) {
				return Item{}, r.err
			}
			if r.inArray && !r.torn {
				r.inArray = false
				return r.item(r.line, nil, errArrayOpen), nil
			}
			return Item{}, io.EOF
		}
		switch c {
		case ' ', '\t', '\r', '\n':
			r.space(c)
			continue
		case '[':
			if !r.inArray || r.torn && r.lineStart && len(r.indent) == 0 {
				r.advance()
				r.inArray, r.elements, r.comma, r.torn = true, 0, false, false
				continue
			}
		case ',':
			if r.inArray {
				r.advance()
				if !r.torn && (r.comma || r.elements == 0) {
					return r.item(r.line, nil, errNoElement), nil
				}
				r.comma = true
				continue
			}
			r.advance()
			return r.item(r.line, nil, errComma), nil
		case ']':
			if r.inArray {
				r.advance()
				r.inArray = false
				if r.comma && !r.torn {
					return r.item(r.line, nil, errNoElement), nil
				}
				continue
			}
		}
		return r.value()
	}
}

func (r *Reader) item(line int, text []byte, err error) Item {
	item := Item{Index: r.index, Line: line, Text: text, Err: err}
	if err != nil {
		item.Text = nil
	}
	r.index++
	return item
}

// begin looks at the first bytes. A byte order mark of UTF-8 is taken off; what is no UTF-8 at all is an error.
func (r *Reader) begin() error {
	for len(r.buf)-r.pos < 4 && r.fill(r.pos) {
	}
	is := func(head string) bool { return bytes.HasPrefix(r.buf, []byte(head)) }
	switch {
	case is("\xEF\xBB\xBF"):
		r.pos = 3
	case is("\xFF\xFE\x00\x00"), is("\x00\x00\xFE\xFF"):
		return errUTF32
	// Without a mark, the first bracket gives it away.
	case is("\xFF\xFE"), is("\xFE\xFF"), is("{\x00"), is("[\x00"), is("\x00{"), is("\x00["):
		return errUTF16
	case is("\x1F\x8B"):
		return errGzip
	}
	return nil
}

// fill reads more, keeping what stands at or behind keep; false at the end of the stream.
func (r *Reader) fill(keep int) bool {
	if r.err != nil {
		return false
	}
	if len(r.buf) == cap(r.buf) {
		n := copy(r.buf, r.buf[keep:])
		r.buf = r.buf[:n]
		r.pos -= keep
		if n > cap(r.buf)/2 {
			grown := make([]byte, n, 2*cap(r.buf))
			copy(grown, r.buf)
			r.buf = grown
		}
	} else if keep == r.pos && keep == len(r.buf) {
		r.buf, r.pos = r.buf[:0], 0
	}
	for range 100 {
		n, err := r.in.Read(r.buf[len(r.buf):cap(r.buf)])
		r.buf = r.buf[:len(r.buf)+n]
		if err != nil {
			r.err = err
		}
		if n > 0 {
			return true
		}
		if err != nil {
			return false
		}
	}
	r.err = io.ErrNoProgress
	return false
}

func (r *Reader) peek() (byte, bool) {
	if r.pos == len(r.buf) && !r.fill(r.pos) {
		return 0, false
	}
	return r.buf[r.pos], true
}

func (r *Reader) advance() {
	r.pos++
	r.lineStart = false
}

func (r *Reader) space(c byte) {
	r.pos++
	switch {
	case c == '\n':
		r.newLine()
	case r.lineStart && c != '\r':
		r.indent = append(r.indent, c)
	}
}

func (r *Reader) newLine() {
	r.line++
	r.indent = r.indent[:0]
	r.lineStart = true
}

// value reads one value.
func (r *Reader) value() (Item, error) {
	line, comma := r.line, r.comma || r.elements == 0
	if r.inArray {
		r.elements++
		r.comma = false
	}
	indent := []byte{}
	if r.lineStart {
		indent = append(indent, r.indent...)
	}
	s := scan{r: r, indent: indent}
	text, err := s.value()
	if r.err != nil && !errors.Is(r.err, io.EOF) && r.pos == len(r.buf) {
		return Item{}, r.err
	}
	if err == nil && r.inArray && !comma && !r.torn {
		err = errNoComma
	}
	return r.item(line, text, err), nil
}

// scan is the search for the end of one value.
type scan struct {
	r      *Reader
	indent []byte
	start  int    // in the buffer; -1 once the value is too large to keep
	stack  []byte // open brackets
	last   byte   // the last byte that is neither white space nor in a string
}

// next gives a byte and moves on.
func (s *scan) next() (byte, bool) {
	r := s.r
	if r.pos == len(r.buf) {
		if s.start >= 0 && r.pos-s.start > r.limit {
			s.start = -1
		}
		keep := s.start
		if keep < 0 {
			keep = r.pos
		}
		before := r.pos
		if !r.fill(keep) {
			return 0, false
		}
		if s.start >= 0 {
			s.start -= before - r.pos
		}
	}
	c := r.buf[r.pos]
	r.pos++
	return c, true
}

// value finds the end of the value that begins at the reader's position.
func (s *scan) value() ([]byte, error) {
	r := s.r
	s.start = r.pos
	first := r.buf[r.pos]
	if first != '{' && first != '[' {
		return s.scalar()
	}
	r.lineStart = false
	for {
		c, ok := s.next()
		if !ok {
			return nil, s.cut("the input ends within a value")
		}
		switch c {
		case ' ', '\t', '\r':
			continue
		case '\n':
			r.newLine()
			if what := s.cutOff(); what != "" {
				return nil, s.cut(what)
			}
			continue
		case '"':
			if what := s.str(); what != "" {
				return nil, s.cut(what)
			}
		case '{', '[':
			if len(s.stack) == maxDepth {
				return nil, s.cut(fmt.Sprintf("nested deeper than %d levels", maxDepth))
			}
			s.stack = append(s.stack, c)
		case '}', ']':
			open := s.stack[len(s.stack)-1]
			if open+2 != c { // '{' and '}', '[' and ']' are two apart
				return nil, s.cut(fmt.Sprintf("%q closes what %q opened", c, open))
			}
			s.stack = s.stack[:len(s.stack)-1]
			if len(s.stack) == 0 {
				return s.done()
			}
		}
		r.lineStart = false
		s.last = c
	}
}

func (s *scan) done() ([]byte, error) {
	r := s.r
	r.lineStart = false
	if s.start < 0 || r.pos-s.start > r.limit {
		return nil, fmt.Errorf("the event is larger than %d MiB, the most that is read", r.limit>>20)
	}
	return r.buf[s.start:r.pos], nil
}

// str reads to the end of a string.
func (s *scan) str() (wrong string) {
	for {
		c, ok := s.next()
		switch {
		case !ok:
			return "the input ends within a string"
		case c == '"':
			return ""
		case c == '\\':
			if escaped, ok := s.next(); !ok || escaped != '\n' {
				continue
			}
			fallthrough
		case c == '\n':
			s.r.pos--
			return "a string is not closed at the end of its line"
		}
	}
}

// cutOff tells, at the start of a line, whether another event begins there: a bracket with the indentation of this
// event, where no value can stand.
func (s *scan) cutOff() string {
	if s.last == ':' || s.last == '[' || s.last == ',' && s.stack[len(s.stack)-1] == '[' {
		return ""
	}
	for i := 0; ; i++ {
		c, ok := s.next()
		if !ok {
			return ""
		}
		s.r.pos--
		if i == len(s.indent) {
			if c == '{' {
				return "the event is cut off at the end of the line before"
			}
			return ""
		}
		if c != s.indent[i] {
			return ""
		}
		s.r.pos++
		s.r.indent = append(s.r.indent, c)
	}
}

// scalar reads a value that is no object and no array, for the decoder to refuse, or whatever else stands there up to the next bracket or
// the end of the line.
func (s *scan) scalar() ([]byte, error) {
	r := s.r
	stop := []byte("\n{[")
	if r.inArray {
		stop = []byte(",]\n")
	}
	quoted := r.buf[r.pos] == '"'
	if quoted {
		s.next()
		if what := s.str(); what != "" {
			return nil, s.cut(what)
		}
		return s.done()
	}
	for {
		c, ok := s.next()
		if !ok {
			break
		}
		if bytes.IndexByte(stop, c) >= 0 {
			r.pos--
			break
		}
	}
	if r.pos == s.start {
		r.pos++ // a bracket that closes nothing
	}
	return s.done()
}

// cut gives up the value and moves to the next line that can begin an event.
func (s *scan) cut(what string) error {
	r := s.r
	err := &cutError{what}
	r.torn = true
	if s.start >= 0 {
		// Lines of the value itself count too: it is its first line that is broken.
		kept := r.buf[s.start:r.pos]
		if n := bytes.IndexByte(kept, '\n'); n >= 0 {
			// Back to the end of the first line; what follows is looked at again.
			r.line -= bytes.Count(kept[n:], []byte("\n"))
			r.pos = s.start + n
		}
	}
	for {
		c, ok := r.peek()
		if !ok {
			r.inArray = false
			return err
		}
		r.pos++
		if c != '\n' {
			continue
		}
		r.newLine()
		if s.canBegin() {
			return err
		}
	}
}

// canBegin tells whether an event can begin in the line that begins here.
func (s *scan) canBegin() bool {
	r := s.r
	for {
		c, ok := r.peek()
		switch {
		case !ok:
			return false
		case c == ' ' || c == '\t':
			r.space(c)
		case c == '{' && bytes.Equal(r.indent, s.indent):
			return true
		case (c == '{' || c == '[') && len(r.indent) == 0:
			r.inArray = false
			return true
		case c == ']' && r.inArray && len(r.indent) < len(s.indent):
			return true
		default:
			return false
		}
	}
}
