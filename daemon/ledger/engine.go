package ledger

import (
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

	"github.com/eiffelbridge/eiffelbridge/translate"
)

// Keys are a byte that tells the kind, then the text of the key. Kinds of facts are lower-case letters.
const (
	parkedPrefix = 'P'
	metaPrefix   = 'M'
)

// sweptKey holds the day of the last complete sweep, as a value of its own.
const sweptKey = string(metaPrefix) + "swept"

// dayBytes is how much of a value says on which day since 1970 it was last written; the record follows. Two bytes
// reach to the year 2149.
const dayBytes = 2

func appendValue(b []byte, day uint32, record []byte) []byte {
	b = binary.LittleEndian.AppendUint16(b, uint16(min(day, 1<<16-1)))
	return append(b, record...)
}

func splitValue(value []byte) (dated, error) {
	if len(value) < dayBytes {
		return dated{}, errors.New("a value is too short")
	}
	return dated{value[dayBytes:], uint32(binary.LittleEndian.Uint16(value))}, nil
}

// The sizes below keep the relay's load within about 60 MB; larger ones gain little at its rates. Whatever stands in
// the log is read again when the ledger is opened, so the memtable also bounds that time.
const (
	memtableSize = 8 << 20
	blockCache   = 16 << 20
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
		Merger:                      &pebble.Merger{Name: "eiffelbridge.translate.1", Merge: newUnion},
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
	kind  translate.FactKind
	value []byte
}

func newUnion(key, value []byte) (pebble.ValueMerger, error) {
	u := &union{value: append([]byte(nil), value...)}
	if len(key) > 0 {
		u.kind = translate.FactKind(key[0])
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
		if record, err = translate.Merge(u.kind, old.record, delta.record); err == nil {
			u.value = appendValue(make([]byte, 0, dayBytes+len(record)), max(old.day, delta.day), record)
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

// openEngine opens the engine's folder.
func (s *File) openEngine(create bool) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	o := engineOptions(s.fs, s.log, s.opts.ReadOnly)
	o.ErrorIfNotExists, o.ErrorIfExists = !create, create
	s.db, err = pebble.Open(filepath.Join(s.path, engineName), o)
	return err
}
