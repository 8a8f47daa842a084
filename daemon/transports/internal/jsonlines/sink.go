package jsonlines

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

// Store takes lines. It is called by one goroutine at a time.
type Store interface {
	// Append makes whole lines durable, and tells how many bytes of them are. A line that is not durable as a whole
	// may stay behind in part, but the next Append must not glue anything to it.
	Append(lines []byte) (durable int, err error)

	// Close is called once, after the last Append.
	Close() error
}

// The window of a [Sink]. A commit takes all that has gathered, so that it only has to be larger than what a relay has in flight.
const (
	maxMessages = 4096
	maxBytes    = 32 << 20
)

var _ transport.Sink = (*Sink)(nil)

// Sink writes each message's event as one line of compact JSON, in the order of the Publish calls. What is published while the
// store is busy makes up the next commit, so that many messages share the cost of one. A message whose data is not JSON is refused for good;
// all other errors are the store's and worth a retry.
type Sink struct {
	name  string
	store Store
	log   *slog.Logger

	lock     sync.Mutex
	pending  []job
	current  []job // in the commit under way
	messages int   // in both
	bytes    int
	room     chan struct{} // closed when there is room again, nil if nobody waits
	closed   bool
	failure  error // of the last commit
	wake     chan struct{}
	ended    chan struct{} // the writing goroutine has returned
	closeErr error         // of the store, once ended
}

type job struct {
	data []byte
	i    int
	done func(int, error)
}

// written is what became of a job in a commit. It stands apart from the job, which Close may read at any time.
type written struct {
	end int   // of its line
	err error // found before the commit
}

// NewSink starts the goroutine that writes; Close ends it. name is for errors and logs.
func NewSink(name string, store Store, log *slog.Logger) *Sink {
	s := &Sink{name: name, store: store, log: log, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	go s.write()
	return s
}

var errClosed = errors.New("the sink is closed")

// Publish queues the messages for the next commit. It blocks only while the window is full.
func (s *Sink) Publish(ctx context.Context, messages []transport.Message, done func(i int, err error)) {
	for i := range messages {
		if err := s.enqueue(ctx, job{data: messages[i].Data, i: i, done: done}); err != nil {
			done(i, fmt.Errorf("write %s: %w", s.name, err))
		}
	}
}

func (s *Sink) enqueue(ctx context.Context, j job) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.lock.Lock()
	for {
		if s.closed {
			s.lock.Unlock()
			return errClosed
		}
		// One message always has room, however large.
		if s.messages == 0 || (s.messages < maxMessages && s.bytes+len(j.data) <= maxBytes) {
			break
		}
		if s.room == nil {
			s.room = make(chan struct{})
		}
		room := s.room
		s.lock.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
		s.lock.Lock()
	}
	s.pending = append(s.pending, j)
	s.messages++
	s.bytes += len(j.data)
	s.lock.Unlock()
	s.signal()
	return nil
}

func (s *Sink) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// write commits until the sink is closed and nothing is pending.
func (s *Sink) write() {
	defer close(s.ended)
	var lines []byte
	var spare []job
	var results []written
	for {
		s.lock.Lock()
		batch := s.pending
		s.pending, s.current = spare[:0], batch
		closed := s.closed
		s.lock.Unlock()
		if len(batch) == 0 {
			if closed {
				if err := s.store.Close(); err != nil {
					s.closeErr = fmt.Errorf("close %s: %w", s.name, err)
				}
				return
			}
			spare = batch
			<-s.wake
			continue
		}
		lines, results = s.commit(batch, lines[:0], results[:0])
		clear(batch)
		spare = batch
		if cap(lines) > 8<<20 {
			lines = nil // one large batch should not hold its memory for ever
		}
	}
}

func (s *Sink) commit(batch []job, lines []byte, results []written) ([]byte, []written) {
	for _, j := range batch {
		start := len(lines)
		var bad, err error
		// An event without line ends is mostly compact already, but only this proves that it is JSON, and one value.
		if lines, err = appendCompact(lines, j.data); err != nil {
			lines = lines[:start]
			bad = &transport.PermanentError{Err: fmt.Errorf("the event is not JSON: %w", err)}
		} else {
			lines = append(lines, '\n')
		}
		results = append(results, written{len(lines), bad})
	}
	durable, err := 0, error(nil)
	if len(lines) > 0 {
		durable, err = s.store.Append(lines)
	}
	s.finish(results, durable, len(lines) > 0, err)
	return lines, results
}

func appendCompact(dst, src []byte) ([]byte, error) {
	if len(bytes.TrimSpace(src)) == 0 {
		return dst, errors.New("it is empty")
	}
	return jsontext.AppendFormat(dst, src, jsontext.PreserveRawStrings(true))
}

// finish settles the current batch, unless Close has given it up meanwhile.
func (s *Sink) finish(results []written, durable int, attempted bool, err error) {
	s.lock.Lock()
	batch := s.current
	s.current = nil
	s.release(batch)
	before := s.failure
	if attempted {
		s.failure = err
	}
	s.lock.Unlock()
	switch {
	case err != nil && before == nil:
		s.log.Warn("writing fails", "sink", s.name, "error", err)
	case err == nil && before != nil && attempted:
		s.log.Info("writing works again", "sink", s.name)
	}
	for i, j := range batch {
		switch {
		case results[i].err != nil:
			j.done(j.i, fmt.Errorf("write %s: %w", s.name, results[i].err))
		case err != nil && results[i].end > durable:
			j.done(j.i, fmt.Errorf("write %s: %w", s.name, err))
		default:
			j.done(j.i, nil)
		}
	}
}

// release makes room; the lock is held.
func (s *Sink) release(batch []job) {
	for _, j := range batch {
		s.messages--
		s.bytes -= len(j.data)
	}
	if s.room != nil {
		close(s.room)
		s.room = nil
	}
}

// Ordered is true: there is one line after the other.
func (s *Sink) Ordered() bool { return true }

// Health tells why the last commit failed.
func (s *Sink) Health() error {
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.closed {
		return errClosed
	}
	return s.failure
}

// Close writes what is pending and closes the store. If ctx ends before that, every open message gets an error, and a write
// that cannot be interrupted is left to itself.
func (s *Sink) Close(ctx context.Context) error {
	s.lock.Lock()
	s.closed = true
	if s.room != nil {
		close(s.room)
		s.room = nil
	}
	s.lock.Unlock()
	s.signal()
	select {
	case <-s.ended:
		return s.closeErr
	case <-ctx.Done():
	}
	s.lock.Lock()
	given := append(append([]job(nil), s.current...), s.pending...)
	s.current, s.pending = nil, nil
	s.release(given)
	s.lock.Unlock()
	for _, j := range given {
		j.done(j.i, fmt.Errorf("write %s: %w", s.name, errClosed))
	}
	return fmt.Errorf("write %s: gave up what was in flight: %w", s.name, ctx.Err())
}
