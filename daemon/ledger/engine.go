package ledger

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// Keys are a byte that tells the kind, then the text of the key. Kinds of facts are lower-case letters.
const (
	parkedPrefix = 'P'
	metaPrefix   = 'M'
)

// What the ledger knows of itself, as values without a record.
const (
	sweptKey    = string(metaPrefix) + "swept"    // the day of the last complete sweep
	reservedKey = string(metaPrefix) + "reserved" // the revision up to which they are taken
	forgotKey   = string(metaPrefix) + "forgot"   // and a kind: the revision in which something of it was last forgotten
)

// dayBytes is how much of a value says on which day since 1970 it was last written. Two bytes reach to the year 2149.
// Behind them is a varint, the number of the commit that changed the record last, and then the record.
const dayBytes = 2

func appendValue(b []byte, d dated) []byte {
	b = binary.LittleEndian.AppendUint16(b, uint16(min(d.day, 1<<16-1)))
	b = binary.AppendUvarint(b, d.revision)
	return append(b, d.record...)
}

func splitValue(value []byte) (dated, error) {
	if len(value) < dayBytes {
		return dated{}, errShort
	}
	revision, size := binary.Uvarint(value[dayBytes:])
	if size <= 0 {
		return dated{}, errShort
	}
	return dated{value[dayBytes+size:], uint32(binary.LittleEndian.Uint16(value)), revision}, nil
}

var errShort = errors.New("a value is too short")

// The sizes below keep what the ledger takes within some tens of megabytes; larger ones gain little. Whatever stands in
// the log is read again when the ledger is opened, so the memtable also bounds that time. The engine takes the memtables
// out of the block cache: beside the one that fills and one that is flushed, half of it is left for blocks.
const (
	memtableSize = 8 << 20
	blockCache   = 32 << 20
	recordCache  = 16 << 20
	openFiles    = 256
)

// engineFormat is written out, so that an upgrade of the engine does not silently keep the program before from
// opening a ledger.
const engineFormat = pebble.FormatValueSeparation

func engineOptions(fs vfs.FS, log *engineLog, readOnly bool) *pebble.Options {
	o := &pebble.Options{
		FS:                          fs,
		Logger:                      log,
		FormatMajorVersion:          engineFormat,
		ReadOnly:                    readOnly,
		MemTableSize:                memtableSize,
		MemTableStopWritesThreshold: 4,
		CacheSize:                   blockCache,
		MaxOpenFiles:                openFiles,
		Merger:                      &pebble.Merger{Name: "eiffelbridge.translate.2", Merge: newUnion},
	}
	o.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionBalanced })
	for i := range o.Levels {
		// Most reads ask for what is not there: was this event met before?
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	listener := pebble.EventListener{
		BackgroundError: func(err error) {
			log.Errorf("background work failed and is tried again: %v", err)
			select {
			case log.trouble <- err:
			default:
			}
		},
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			log.Errorf("a file of the ledger is damaged: %s", info.Path)
		},
	}
	o.EventListener = &listener
	return o
}

// union merges deltas within the engine. A delta that cannot be merged is left out: failing here would stop the
// engine's compactions for good.
type union struct {
	kind  ledger.FactKind
	value []byte
}

func newUnion(key, value []byte) (pebble.ValueMerger, error) {
	u := &union{value: append([]byte(nil), value...)}
	if len(key) > 0 {
		u.kind = ledger.FactKind(key[0])
	}
	return u, nil
}

func (u *union) MergeNewer(value []byte) error { u.merge(u.value, value); return nil }
func (u *union) MergeOlder(value []byte) error { u.merge(value, u.value); return nil }

func (u *union) merge(older, newer []byte) {
	old, err := splitValue(older)
	if err != nil {
		u.value = append([]byte(nil), newer...)
		return
	}
	delta, err := splitValue(newer)
	if err == nil {
		var record []byte
		if record, err = ledger.Merge(u.kind, old.record, delta.record); err == nil {
			merged := dated{record, max(old.day, delta.day), delta.revision}
			if bytes.Equal(record, old.record) {
				merged.revision = old.revision
			}
			u.value = appendValue(make([]byte, 0, dayBytes+binary.MaxVarintLen64+len(record)), merged)
			return
		}
	}
	u.value = append([]byte(nil), older...)
}

func (u *union) Finish(includesBase bool) ([]byte, io.Closer, error) { return u.value, nil, nil }

// engineLog passes the engine's words on.
type engineLog struct {
	log     *slog.Logger
	closing atomic.Bool
	opened  atomic.Bool
	fatal   chan struct{} // closed when the engine gives up
	died    atomic.Bool
	trouble chan error // the last failure in the background that nobody took
}

func (l *engineLog) Infof(format string, args ...any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.log.Debug("ledger engine: " + fmt.Sprintf(format, args...))
	}
}

func (l *engineLog) Errorf(format string, args ...any) {
	l.log.Error("ledger engine: " + fmt.Sprintf(format, args...))
}

// Fatalf must not return: the engine cannot go on. Whoever opens or commits recovers from the panic. Behind them it
// ends the program, as the engine demands; what was committed is safe.
func (l *engineLog) Fatalf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if l.died.CompareAndSwap(false, true) {
		close(l.fatal)
	}
	if l.opened.Load() {
		l.log.Error("ledger engine: " + text)
	}
	if l.closing.Load() {
		runtime.Goexit() // the program is done with the ledger, so it may end in peace
	}
	panic(engineFatal(text))
}

type engineFatal string

// patientFS waits out a full disk: a failed write would otherwise end the engine, and with it the program. It is
// patient only between the opening and the closing of a ledger.
type patientFS struct {
	vfs.FS
	patient atomic.Bool
	waiting atomic.Int32 // writes that wait for room
	stop    chan struct{}
	log     *slog.Logger
	pause   time.Duration
}

// isFull tells whether an error says that there is no room.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// room tells whether the disk surely has room to tidy up.
func (p *patientFS) room(path string) bool {
	usage, err := p.GetDiskUsage(path)
	return err == nil && p.waiting.Load() == 0 && usage.AvailBytes > 4*memtableSize
}

// retry calls f until there is room for what it does.
func (p *patientFS) retry(f func() error) error {
	err := f()
	if !isFull(err) || !p.patient.Load() {
		return err
	}
	if p.waiting.Add(1) == 1 {
		p.log.Error("the disk of the ledger is full; waiting for room", "error", err)
	}
	defer func() {
		if p.waiting.Add(-1) == 0 {
			p.log.Info("the disk of the ledger has room again")
		}
	}()
	tick := time.NewTicker(p.pause)
	defer tick.Stop()
	for isFull(err) {
		select {
		case <-p.stop:
			return err
		case <-tick.C:
			err = f()
		}
	}
	return err
}

// Unwrap implements vfs.FS.
func (p *patientFS) Unwrap() vfs.FS { return p.FS }

// Lock implements vfs.FS. The ledger has a lock of its own around the engine's folder, which readers can share.
func (p *patientFS) Lock(name string) (io.Closer, error) { return io.NopCloser(nil), nil }

// Create implements vfs.FS.
func (p *patientFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := p.open(func() (vfs.File, error) { return p.FS.Create(name, category) })
	if err == nil && strings.HasPrefix(filepath.Base(name), manifestPrefix) {
		file = &guardedFile{File: file, fs: p, path: name}
	}
	return file, err
}

// OpenReadWrite implements vfs.FS.
func (p *patientFS) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return p.open(func() (vfs.File, error) { return p.FS.OpenReadWrite(name, category, opts...) })
}

// ReuseForWrite implements vfs.FS.
func (p *patientFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return p.open(func() (vfs.File, error) { return p.FS.ReuseForWrite(oldname, newname, category) })
}

// OpenDir implements vfs.FS.
func (p *patientFS) OpenDir(name string) (vfs.File, error) {
	return p.open(func() (vfs.File, error) { return p.FS.OpenDir(name) })
}

// Rename implements vfs.FS.
func (p *patientFS) Rename(oldname, newname string) error {
	return p.retry(func() error { return p.FS.Rename(oldname, newname) })
}

// Link implements vfs.FS.
func (p *patientFS) Link(oldname, newname string) error {
	return p.retry(func() error { return p.FS.Link(oldname, newname) })
}

func (p *patientFS) open(f func() (vfs.File, error)) (vfs.File, error) {
	var file vfs.File
	err := p.retry(func() (err error) {
		file, err = f()
		return err
	})
	if err != nil {
		return nil, err
	}
	return &patientFile{file, p}, nil
}

type patientFile struct {
	vfs.File
	fs *patientFS
}

// Write implements vfs.File.
func (f *patientFile) Write(b []byte) (int, error) {
	written := 0
	err := f.fs.retry(func() error {
		n, err := f.File.Write(b[written:])
		written += n
		return err
	})
	return written, err
}

// Preallocate implements vfs.File. It does nothing: a small ledger shall be small on disk, and the log's files are used
// again anyway.
func (f *patientFile) Preallocate(offset, length int64) error { return nil }

// Sync implements vfs.File.
func (f *patientFile) Sync() error { return f.fs.retry(f.File.Sync) }

// SyncData implements vfs.File.
func (f *patientFile) SyncData() error { return f.fs.retry(f.File.SyncData) }

// SyncTo implements vfs.File.
func (f *patientFile) SyncTo(length int64) (full bool, err error) {
	err = f.fs.retry(func() (err error) {
		full, err = f.File.SyncTo(length)
		return err
	})
	return full, err
}

// How the engine's folder is opened.
type engineUse int

const (
	existing engineUse = iota // it is there
	fresh                     // it is made
	making                    // it is made, and what a crash leaves of it is of no use, so it needs no log
)

// openEngine opens the engine's folder.
func (s *File) openEngine(use engineUse) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	o := engineOptions(s.fs, s.log, s.opts.ReadOnly && use == existing)
	o.ErrorIfNotExists, o.ErrorIfExists = use == existing, use != existing
	o.DisableWAL = use == making
	s.db, err = pebble.Open(filepath.Join(s.path, engineName), o)
	return err
}

// revisionBlock is how many revisions are taken at once: so many are lost at most when the ledger is opened anew.
const revisionBlock = 1 << 16

// readRevisions finds out which revisions were given already. Where a damaged table hides that, the ledger goes on with higher
// ones than it can have given so far: the time in microseconds.
func (s *File) readRevisions() {
	beyond := uint64(time.Now().UnixMicro())
	read := func(key string) uint64 {
		d, err := s.meta(key)
		if err != nil {
			s.opts.Logger.Error("the ledger cannot read which revisions it gave", "path", s.path, "error", err)
			return beyond
		}
		return d.revision
	}
	s.revision = read(reservedKey)
	for _, kind := range ledger.FactKinds() {
		s.forgot[kind] = read(forgotKey + string(byte(kind)))
		s.revision = max(s.revision, s.forgot[kind])
	}
	s.reserved = s.revision
}

// meta reads what the ledger knows of itself.
func (s *File) meta(key string) (dated, error) {
	value, closer, err := s.db.Get([]byte(key))
	if errors.Is(err, pebble.ErrNotFound) {
		return dated{}, nil
	}
	if err != nil {
		return dated{}, s.failure(err)
	}
	d, err := splitValue(value)
	d.record = nil
	return d, errors.Join(err, closer.Close())
}
