// Package jsonlines carries events as lines of JSON, for the transports stdio and file: a [Source] over a reader and a [Sink] over
// whatever stores lines.
package jsonlines

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/eiffelbridge/eiffelbridge/internal/cloudeventsjson"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

// MaxLine is the length of the longest line that is delivered whole, in bytes. What is longer is cut there, and so ends in the dead
// letters as far as it was kept.
const MaxLine = 16 << 20

// The pauses before a delivery is made again where the relay names none.
const (
	retryPause = time.Second
	busyPause  = 100 * time.Millisecond
)

var _ transport.Source = (*Source)(nil)

// Source delivers one event per line, in order. A CloudEvents envelope around an event is taken off; anything else, broken lines
// included, is delivered as it is, without a type. Empty lines are skipped. A delivery that is to be retried is made again by
// the source, after the lines that were read meanwhile.
//
// A reader cannot be asked for its lines again: what is open when Receive ends by Close is lost to this process.
type Source struct {
	name        string
	input       io.Reader
	closer      io.Closer // nil if the input is not ours to close
	maxInFlight int
	log         *slog.Logger

	closed    chan struct{}
	closeOnce sync.Once
	closeErr  error

	lock    sync.Mutex
	state   error // Health
	started bool
	open    int     // deliveries that are not settled
	retries []retry // deliveries to be made again
	wake    chan struct{}
}

type retry struct {
	message transport.Message
	due     time.Time
}

// NewSource reads from input, up to maxInFlight lines ahead of what is settled. name is for errors and logs. closer is called by
// Close, and must make a Read under way return; without one, and if the input has no deadlines either, a Read under way
// outlives Receive until the input gives something.
func NewSource(name string, input io.Reader, closer io.Closer, maxInFlight int, log *slog.Logger) *Source {
	return &Source{
		name: name, input: input, closer: closer, maxInFlight: maxInFlight, log: log,
		closed: make(chan struct{}), wake: make(chan struct{}, 1), state: errors.New("not receiving yet"),
	}
}

// Receive delivers lines until the input ends or ctx does, and then waits for their settlements. It can be called once.
func (s *Source) Receive(ctx context.Context, handle transport.Handler) error {
	s.lock.Lock()
	select {
	case <-s.closed:
		s.lock.Unlock()
		return nil
	default:
	}
	if s.started {
		s.lock.Unlock()
		return fmt.Errorf("%s: received before", s.name)
	}
	s.started, s.state = true, nil
	s.lock.Unlock()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var owned sync.WaitGroup
	owned.Go(func() {
		select {
		case <-s.closed:
			cancel()
		case <-ctx.Done():
		}
	})
	lines := make(chan line)
	readEnded := make(chan struct{})
	go func() {
		defer close(readEnded)
		s.read(ctx, lines)
	}()

	err := s.deliverAll(ctx, lines, handle)
	s.settleDown()
	cancel()
	owned.Wait()
	if s.interrupt() {
		<-readEnded
	}
	s.lock.Lock()
	s.state = errors.New("stopped")
	if err == nil && ctx.Err() == nil {
		s.state = errors.New("at its end")
	}
	if err != nil {
		s.state = err
	}
	s.lock.Unlock()
	return err
}

// interrupt makes a Read under way return, and tells whether it could.
func (s *Source) interrupt() bool {
	if d, ok := s.input.(interface{ SetReadDeadline(time.Time) error }); ok && d.SetReadDeadline(time.Unix(1, 0)) == nil {
		return true
	}
	if s.closer != nil {
		_ = s.Close() // the reading ends with what it ends with
		return true
	}
	return false
}

// deliverAll is the only caller of handle, so that the order of lines is the order of deliveries.
func (s *Source) deliverAll(ctx context.Context, lines <-chan line, handle transport.Handler) error {
	var readErr error
	ended := false
	for {
		again, wait, idle := s.next(time.Now())
		switch {
		case ctx.Err() != nil:
			return nil
		case again != nil:
			s.deliver(ctx, *again, true, handle)
			continue
		case ended && idle:
			return readErr
		}
		from := lines
		if ended || !s.hasRoom() {
			from = nil
		}
		var due <-chan time.Time
		if wait > 0 {
			due = time.After(wait)
		}
		select {
		case l := <-from:
			if l.err != nil {
				ended = true
				if !errors.Is(l.err, io.EOF) {
					readErr = fmt.Errorf("read %s: %w", s.name, l.err)
				}
				continue
			}
			m, err := cloudeventsjson.Decode(l.text)
			if err != nil {
				s.log.Debug("a line is delivered as it is", "source", s.name, "line", l.number, "reason", err)
			}
			s.deliver(ctx, m, false, handle)
		case <-due:
		case <-s.wake:
		case <-ctx.Done():
		}
	}
}

// next gives a delivery that is due again, else how long until one is (0: none is waiting). idle is true if nothing is open
// or waiting.
func (s *Source) next(now time.Time) (again *transport.Message, wait time.Duration, idle bool) {
	s.lock.Lock()
	defer s.lock.Unlock()
	first := -1
	for i := range s.retries {
		if first < 0 || s.retries[i].due.Before(s.retries[first].due) {
			first = i
		}
	}
	if first < 0 {
		return nil, 0, s.open == 0
	}
	if wait := s.retries[first].due.Sub(now); wait > 0 {
		return nil, wait, false
	}
	m := s.retries[first].message
	s.retries = append(s.retries[:first], s.retries[first+1:]...)
	return &m, 0, false
}

func (s *Source) hasRoom() bool {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.open+len(s.retries) < s.maxInFlight
}

// deliver does not return before the handler has taken the message or ctx has ended.
func (s *Source) deliver(ctx context.Context, m transport.Message, redelivered bool, handle transport.Handler) {
	for {
		s.lock.Lock()
		s.open++
		s.lock.Unlock()
		var once sync.Once
		err := handle(ctx, transport.Delivery{Message: m, Redelivered: redelivered, Settle: func(settlement transport.Settlement) {
			once.Do(func() { s.settle(m, settlement) })
		}})
		if err == nil {
			return
		}
		once.Do(func() { s.settle(m, transport.Settlement{Outcome: transport.Accepted}) }) // only to close it
		pause := busyPause
		var busy *transport.BusyError
		switch {
		case ctx.Err() != nil:
			return
		case !errors.As(err, &busy):
			s.log.Warn("a line was not taken and is delivered again", "source", s.name, "error", err)
			pause = retryPause
		case busy.RetryAfter > 0:
			pause = busy.RetryAfter
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

func (s *Source) settle(m transport.Message, settlement transport.Settlement) {
	s.lock.Lock()
	s.open--
	if settlement.Outcome == transport.Retried {
		pause := settlement.RetryAfter
		if pause <= 0 {
			pause = retryPause
		}
		s.retries = append(s.retries, retry{m, time.Now().Add(pause)})
	}
	s.lock.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// settleDown waits for the settlements of what was taken, or for Close.
func (s *Source) settleDown() {
	for {
		s.lock.Lock()
		open := s.open
		s.lock.Unlock()
		if open == 0 {
			return
		}
		select {
		case <-s.wake:
		case <-s.closed:
			return
		}
	}
}

// Health is nil while lines are read.
func (s *Source) Health() error {
	s.lock.Lock()
	defer s.lock.Unlock()
	select {
	case <-s.closed:
		return errors.New("closed")
	default:
		return s.state
	}
}

// Close ends a Receive under way without waiting for it, nor for settlements.
func (s *Source) Close() error {
	s.closeOnce.Do(func() {
		close(s.closed)
		if s.closer != nil {
			if err := s.closer.Close(); err != nil {
				s.closeErr = fmt.Errorf("close %s: %w", s.name, err)
			}
		}
	})
	return s.closeErr
}

type line struct {
	text   []byte // memory of its own
	number int    // from 1
	err    error  // io.EOF at the end
}

func (s *Source) read(ctx context.Context, lines chan<- line) {
	r := bufio.NewReaderSize(s.input, 64<<10)
	for number := 1; ; number++ {
		text, cut, err := readLine(r)
		if number == 1 {
			text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")) // some editors begin a file with it
		}
		if cut {
			s.log.Warn("a line is too long and was cut", "source", s.name, "line", number, "limit", MaxLine)
		}
		if len(bytes.TrimSpace(text)) > 0 {
			select {
			case lines <- line{text: text, number: number}:
			case <-ctx.Done():
				return
			}
		}
		if err != nil {
			select {
			case lines <- line{err: err}:
			case <-ctx.Done():
			}
			return
		}
	}
}

// readLine returns the next line without its end. There may be text beside an error: the last line needs no end.
func readLine(r *bufio.Reader) (text []byte, cut bool, err error) {
	for {
		var part []byte
		part, err = r.ReadSlice('\n')
		if room := MaxLine + 2 - len(text); len(part) > room { // 2 for the line's end
			part, cut = part[:room], true
		}
		text = append(text, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			break
		}
	}
	text = bytes.TrimSuffix(text, []byte("\n"))
	text = bytes.TrimSuffix(text, []byte("\r"))
	if len(text) > MaxLine {
		text, cut = text[:MaxLine], true
	}
	return text, cut, err
}
