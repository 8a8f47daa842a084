package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	records "github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// What happens to an open ledger. Errors of a [File] match these with errors.Is.
var (
	// ErrFull: there is no room on the disk. It passes when there is; what was committed before is safe.
	ErrFull = errors.New("the disk of the ledger is full")
	// ErrDamaged: a part of the ledger cannot be read. Other parts can, so an export may save most of it.
	ErrDamaged = errors.New("the ledger is damaged")
	// ErrBroken: a write failed for good. Reads go on; to write again, close the ledger and open it.
	ErrBroken = errors.New("the ledger cannot be written any more until it is opened again")
)

// File is the durable store in a folder. [Open] makes one.
type File struct {
	path string
	opts Options
	fs   *patientFS
	log  *engineLog
	db   *pebble.DB
	lock io.Closer

	cache *cache

	// order is held for writing while a batch is merged and applied to the engine's memory, and for reading while a
	// record is fetched, so that what goes into the cache is never older than what is in the engine. Nobody waits
	// for the disk with it.
	order  sync.RWMutex
	broken atomic.Pointer[error]

	// What a batch changes has a revision of its own, in the order of batches. All of it is guarded by order.
	revision uint64                      // of the last batch
	reserved uint64                      // up to which nobody else will give them, once the next batch is written
	forgot   map[records.FactKind]uint64 // the revision in which something of a kind was last forgotten

	// Batches are numbered as they are applied; the log keeps that order, so that when one is durable, all before are.
	applied uint64        // guarded by order
	durable atomic.Uint64 // the highest that is known to be durable

	sweeping sync.Mutex // one sweep at a time

	// users counts the calls under way; Close waits for them.
	usersMu sync.Mutex
	users   sync.WaitGroup
	closed  bool

	closing   context.Context // ends when Close begins
	beginEnd  context.CancelFunc
	closeOnce sync.Once
	closeErr  error
}

var _ Store = (*File)(nil)

func newFile(path string, opts Options, disk vfs.FS) *File {
	s := &File{path: path, opts: opts, cache: newCache(recordCache), forgot: map[records.FactKind]uint64{}}
	s.closing, s.beginEnd = context.WithCancel(context.Background())
	s.fs = &patientFS{FS: disk, stop: make(chan struct{}), log: opts.Logger, pause: 200 * time.Millisecond}
	s.log = &engineLog{log: opts.Logger, fatal: make(chan struct{}), trouble: make(chan error, 1)}
	return s
}

// start begins what goes on in the background of an open ledger.
func (s *File) start() {
	s.fs.patient.Store(true)
	s.log.opened.Store(true)
	if !s.opts.ReadOnly && s.opts.Retention > 0 {
		s.users.Add(1)
		go func() {
			defer s.users.Done()
			s.sweepDaily()
		}()
	}
}

// enter counts a call in; leave counts it out.
func (s *File) enter() error {
	s.usersMu.Lock()
	defer s.usersMu.Unlock()
	if s.closed {
		return ErrClosed
	}
	s.users.Add(1)
	return nil
}

func (s *File) leave() { s.users.Done() }

// Path is the folder of the ledger.
func (s *File) Path() string { return s.path }

// Close implements [Store]. A scan that is under way ends with [ErrClosed], and a callback of a scan must not call it.
func (s *File) Close() error {
	s.closeOnce.Do(func() {
		s.usersMu.Lock()
		s.closed = true
		s.usersMu.Unlock()
		s.log.closing.Store(true)
		s.beginEnd()
		close(s.fs.stop) // a full disk holds nobody up now
		s.users.Wait()
		s.closeErr = s.closeEngine()
	})
	return s.closeErr
}

func (s *File) closeEngine() error {
	done := make(chan error, 1)
	go func() {
		defer func() {
			if r := recover(); r != nil {
				done <- fmt.Errorf("%v", r)
			}
		}()
		var err error
		if s.applied > 0 && s.broken.Load() == nil && s.fs.room(s.path) {
			// A bit that turns over in the log looks like the end of what was written before a crash. In a table it
			// is found out, and the next open has nothing to replay. Without room the engine would not survive it.
			err = s.flush()
		}
		done <- errors.Join(err, s.db.Close())
	}()
	var err error
	select {
	case err = <-done:
	case <-s.log.fatal:
		// The engine gave up and may never answer. What was committed is in its log.
		err = ErrBroken
	}
	if err = errors.Join(err, s.lock.Close()); err != nil {
		return fmt.Errorf("close ledger %s: %w", s.path, err)
	}
	return nil
}

// flush moves what is in the log to tables. The engine tries for ever, so the first failure is taken for the answer;
// the log has everything.
func (s *File) flush() error {
	select {
	case <-s.log.trouble: // an old one
	default:
	}
	flushed, err := s.db.AsyncFlush()
	if err != nil {
		return err
	}
	select {
	case <-flushed:
		return nil
	case err := <-s.log.trouble:
		return err
	}
}

func appendKey(b []byte, q records.Query) []byte {
	b = append(b, byte(q.Kind))
	return append(b, q.Key...)
}

// failure names the ledger, and marks what says that it is damaged.
func (s *File) failure(err error) error {
	if pebble.IsCorruptionError(err) || errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read ledger %s: %w: %w", s.path, ErrDamaged, err)
	}
	return fmt.Errorf("read ledger %s: %w", s.path, err)
}

// fetch gives a record from the cache or the engine. The caller holds order.
func (s *File) fetch(q records.Query) (dated, error) {
	if d, ok := s.cache.get(q); ok {
		return d, nil
	}
	var room [256]byte
	d := dated{}
	value, closer, err := s.db.Get(appendKey(room[:0], q))
	switch {
	case errors.Is(err, pebble.ErrNotFound):
	case err != nil:
		return dated{}, s.failure(err)
	default:
		d, err = splitValue(bytes.Clone(value))
		if err := errors.Join(err, closer.Close()); err != nil {
			return dated{}, s.failure(fmt.Errorf("%s %s: %w", q.Kind, q.Key, err))
		}
	}
	s.cache.add(q, d)
	return d, nil
}

// fetchRange gives the last records of a range. The caller holds order.
func (s *File) fetchRange(ctx context.Context, q records.Query) (r records.Record, err error) {
	if !q.Kind.Ranged() {
		return records.Record{}, nil
	}
	var lowRoom, highRoom [256]byte
	from, to := q.Bounds()
	low := append(append(lowRoom[:0], byte(q.Kind)), from...)
	high := append(append(highRoom[:0], byte(q.Kind)), to...)
	iter, err := s.db.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: low, UpperBound: high})
	if err != nil {
		return records.Record{}, s.failure(err)
	}
	defer func() {
		if closed := iter.Close(); closed != nil && err == nil {
			r, err = records.Record{}, s.failure(closed)
		}
	}()
	n := 0
	for ok := iter.Last(); ok && n < q.Range.Limit; ok = iter.Prev() {
		value, err := iter.ValueAndErr()
		if err != nil {
			return records.Record{}, s.failure(err)
		}
		key := string(iter.Key()[1:])
		d, err := splitValue(value)
		if err != nil {
			return records.Record{}, s.failure(fmt.Errorf("%s %s: %w", q.Kind, key, err))
		}
		r.Bytes = records.AppendRecord(r.Bytes, q.Name(key), d.record)
		r.Revision = max(r.Revision, d.revision, s.forgot[q.Kind])
		n++
	}
	return r, nil
}

// Read implements [ledger.Ledger].
func (s *File) Read(ctx context.Context, queries []records.Query) ([]records.Record, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	out := make([]records.Record, len(queries))
	s.order.RLock()
	defer s.order.RUnlock()
	for i, q := range queries {
		if q.IsRange() {
			r, err := s.fetchRange(ctx, q)
			if err != nil {
				return nil, err
			}
			out[i] = r
			continue
		}
		d, err := s.fetch(q)
		if err != nil {
			return nil, err
		}
		out[i] = records.Record{Bytes: d.record, Revision: d.revision}
	}
	return out, nil
}

// Apply implements [ledger.Ledger].
func (s *File) Apply(ctx context.Context, facts []records.Fact) error {
	return s.Commit(ctx, Batch{Facts: facts})
}

// Health is nil, or [ErrFull] while a write waits for room on the disk. It may be called at any time.
func (s *File) Health() error {
	if s.fs.waiting.Load() > 0 {
		return fmt.Errorf("write ledger %s: %w", s.path, ErrFull)
	}
	return nil
}

// Commit implements [Store]. While the disk is full it returns [ErrFull] at once; calls that were under way when it
// became full wait for room or for Close. After [ErrBroken] it is open whether the batch survives, as after a crash.
func (s *File) Commit(ctx context.Context, b Batch) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.opts.ReadOnly {
		return fmt.Errorf("write ledger %s: %w", s.path, ErrReadOnly)
	}
	if err := b.check(); err != nil {
		return fmt.Errorf("write ledger %s: %w", s.path, err)
	}
	if s.fs.waiting.Load() > 0 {
		return fmt.Errorf("write ledger %s: %w", s.path, ErrFull)
	}
	if err := s.warm(b.Facts); err != nil {
		return err
	}
	batch := s.db.NewBatch()
	number, err := s.apply(batch, b)
	if err != nil {
		return fmt.Errorf("write ledger %s: %w", s.path, err)
	}
	if number <= s.durable.Load() {
		return nil // it changed nothing, and what it found is durable
	}
	if err := batch.SyncWait(); err != nil {
		return fmt.Errorf("write ledger %s: %w", s.path, s.breakDown(err))
	}
	for {
		known := s.durable.Load()
		if number <= known || s.durable.CompareAndSwap(known, number) {
			break
		}
	}
	// Not closed on the ways out above: an error leaves it open whether the engine still uses the batch.
	_ = batch.Close()
	return nil
}

func (s *File) breakDown(err error) error {
	err = fmt.Errorf("%w: %w", ErrBroken, err)
	if s.broken.CompareAndSwap(nil, &err) {
		s.opts.Logger.Error("the ledger cannot be written any more", "path", s.path, "error", err)
	}
	return err
}

// blind tells whether a record of a kind is written without looking at what is there. These are written once as a
// rule, so a look would be in vain; the engine merges what was written twice. Records of the other kinds grow all the
// time: they are merged here, or the engine would have ever more to merge at each read.
func blind(kind records.FactKind) bool {
	switch kind {
	case records.EventFact, records.ContextFact, records.DecisionFact, records.EntryFact:
		return true
	}
	return false
}

// warm brings what a batch changes into the cache, so that it need not be fetched while everyone else waits.
func (s *File) warm(facts []records.Fact) error {
	s.order.RLock()
	defer s.order.RUnlock()
	for _, f := range facts {
		if blind(f.Query.Kind) {
			continue
		}
		if _, err := s.fetch(f.Query); err != nil {
			return err
		}
	}
	return nil
}

// apply merges a batch into the engine's memory, where everyone sees it, and hands it to the log without waiting.
func (s *File) apply(batch *pebble.Batch, b Batch) (number uint64, err error) {
	s.order.Lock()
	defer s.order.Unlock()
	// Today is read within the order, so that a record's day never goes back for the reason that someone waited.
	today := day(s.opts.Now())
	if broken := s.broken.Load(); broken != nil {
		return 0, *broken
	}
	revision := s.revision + 1
	pending := make(map[records.Query]dated, len(b.Facts))
	forgot := map[records.FactKind]bool{}
	var room []byte
	var replaced []records.Query
	for _, f := range b.Facts {
		old, ok := pending[f.Query]
		if !ok {
			old, ok = s.cache.get(f.Query)
		}
		if f.Forget {
			if ok && old.record == nil {
				continue
			}
			pending[f.Query] = dated{}
			forgot[f.Query.Kind] = true
			if err := batch.Delete(appendKey(nil, f.Query), nil); err != nil {
				return 0, err
			}
			continue
		}
		if !ok && blind(f.Query.Kind) {
			room = appendValue(room[:0], dated{f.Record, today, revision})
			if err := batch.Merge(appendKey(nil, f.Query), room, nil); err != nil {
				return 0, err
			}
			continue
		}
		if !ok {
			if old, err = s.fetch(f.Query); err != nil {
				return 0, err
			}
		}
		record, err := merge(f, old.record, &replaced)
		if err != nil {
			return 0, err
		}
		merged := dated{record, today, revision}
		if old.record != nil && bytes.Equal(record, old.record) {
			if old.day == today || !records.Ages(f.Query.Kind) {
				continue
			}
			merged.revision = old.revision
		}
		pending[f.Query] = merged
		room = appendValue(room[:0], merged)
		if err := batch.Set(appendKey(nil, f.Query), room, nil); err != nil {
			return 0, err
		}
	}
	for _, key := range b.Unpark {
		if err := batch.Delete(append([]byte{parkedPrefix}, key...), nil); err != nil {
			return 0, err
		}
	}
	for _, p := range b.Park {
		room = appendValue(room[:0], dated{record: p.Record, day: today})
		if err := batch.Set(append([]byte{parkedPrefix}, p.Key...), room, nil); err != nil {
			return 0, err
		}
	}
	if batch.Empty() {
		if s.applied <= s.durable.Load() {
			return s.applied, nil
		}
		// What made this batch needless is not durable yet, so its caller must wait for it.
		if err := batch.LogData(nil, nil); err != nil {
			return 0, err
		}
	}
	reserved, err := s.reserve(batch, revision, forgot)
	if err != nil {
		return 0, err
	}
	if err := s.applyBatch(batch); err != nil {
		return 0, err
	}
	s.revision, s.reserved = revision, reserved
	for kind := range forgot {
		s.forgot[kind] = revision
	}
	for q, d := range pending {
		s.cache.add(q, d)
	}
	s.opts.tellReplaced(replaced)
	s.applied++
	return s.applied, nil
}

// reserve has the batch say what it takes of the revisions.
func (s *File) reserve(batch *pebble.Batch, revision uint64, forgot map[records.FactKind]bool) (reserved uint64, err error) {
	reserved = s.reserved
	if revision > reserved {
		reserved = revision + revisionBlock
		err = batch.Set([]byte(reservedKey), appendValue(nil, dated{revision: reserved}), nil)
	}
	for kind := range forgot {
		err = errors.Join(err, batch.Set([]byte(forgotKey+string(byte(kind))), appendValue(nil, dated{revision: revision}), nil))
	}
	return reserved, err
}

// applyBatch turns the engine's panics into errors; it panics when its log cannot be written.
func (s *File) applyBatch(batch *pebble.Batch) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = s.breakDown(fmt.Errorf("%v", r))
		}
	}()
	if err := s.db.ApplyNoSyncWait(batch, pebble.Sync); err != nil {
		return s.breakDown(err)
	}
	return nil
}

// each calls f for every value under a prefix, in the order of the keys.
func (s *File) each(ctx context.Context, prefix byte, f func(key string, d dated) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	iter, err := s.db.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: []byte{prefix}, UpperBound: []byte{prefix + 1}})
	if err != nil {
		return s.failure(err)
	}
	stop := func(err error) error { return errors.Join(err, iter.Close()) }
	for ok := iter.First(); ok; ok = iter.Next() {
		if err := ctx.Err(); err != nil {
			return stop(err)
		}
		if s.closing.Err() != nil {
			return stop(ErrClosed)
		}
		key := string(iter.Key()[1:])
		value, err := iter.ValueAndErr()
		if err != nil {
			return s.failure(stop(err))
		}
		d, err := splitValue(value)
		if err != nil {
			return stop(fmt.Errorf("read ledger %s: %w: %q: %w", s.path, ErrDamaged, key, err))
		}
		if err := f(key, d); err != nil {
			return stop(err)
		}
	}
	if err := iter.Close(); err != nil {
		return s.failure(err)
	}
	return nil
}

// Scan implements [ledger.Ledger]. It sees the ledger as it was when it began.
func (s *File) Scan(ctx context.Context, kind records.FactKind, f func(key string, record []byte) error) error {
	if !known(kind) {
		return fmt.Errorf("unknown %s", kind)
	}
	return s.each(ctx, byte(kind), func(key string, d dated) error { return f(key, d.record) })
}

// ScanParked implements [Store]. It sees the ledger as it was when it began.
func (s *File) ScanParked(ctx context.Context, f func(Parked) error) error {
	return s.each(ctx, parkedPrefix, func(key string, d dated) error { return f(Parked{key, d.record}) })
}

// Stats implements [Store].
func (s *File) Stats(ctx context.Context) (Stats, error) {
	stats := Stats{Records: map[records.FactKind]Count{}}
	for _, kind := range records.FactKinds() {
		err := s.each(ctx, byte(kind), func(key string, d dated) error {
			stats.add(kind, len(key)+len(d.record))
			return nil
		})
		if err != nil {
			return Stats{}, err
		}
	}
	err := s.each(ctx, parkedPrefix, func(key string, d dated) error {
		stats.Parked.Number++
		stats.Parked.Bytes += int64(len(key) + len(d.record))
		return nil
	})
	if err != nil {
		return Stats{}, err
	}
	err = filepath.WalkDir(s.path, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return ignoreGone(err)
		}
		info, err := e.Info()
		if err == nil {
			stats.Disk += info.Size()
		}
		return ignoreGone(err)
	})
	if err != nil {
		return Stats{}, s.failure(err)
	}
	return stats, nil
}

// ignoreGone lets the engine remove files while they are being counted.
func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
