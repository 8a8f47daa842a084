package ledger

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	records "github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// A ledger of format 1 had its engine in another folder, values without a revision, and a whole history in one record. It is
// copied record by record into a new folder, and the marker turns over to it when all is there. Whatever ends the copying
// before leaves the old ledger as it was, and the next open begins anew.

// oldEngineName is the engine's folder in a ledger of format 1.
const oldEngineName = "db"

// What paces the conversion.
const (
	convertBatch    = 1 << 20         // bytes that are written at once
	convertProgress = 5 * time.Second // between two words about it
)

// convert copies a ledger of format 1 on a disk into the folder of the store's engine.
func (s *File) convert(disk vfs.FS) error {
	began := time.Now()
	s.opts.Logger.Info("converting the ledger, which an earlier version wrote; this is done once", "path", s.path)
	old, err := s.openOld(disk)
	if err != nil {
		return openFailure(s.path, err)
	}
	if err := s.openEngine(making); err != nil {
		return fmt.Errorf("convert ledger %s: %w", s.path, errors.Join(err, old.Close()))
	}
	n := 0
	done := make(chan error, 1)
	s.log.closing.Store(true) // nobody was promised what it holds, so it need not end the program where it gives up
	go func() {
		var err error
		n, err = s.copyFrom(old, began)
		if err == nil {
			err = s.flush() // to tables, synced
		}
		done <- errors.Join(err, s.closeConverted(), old.Close())
	}()
	select {
	case err = <-done:
	case <-s.log.fatal:
		// The engine may never answer, and leaves what it holds open.
		err = ErrBroken
	}
	if errors.Is(err, ErrDamaged) {
		return &OpenError{Path: s.path, Reason: Damaged, Detail: "it is of an earlier format and cannot be read to the end", Err: err}
	}
	if err != nil {
		return fmt.Errorf("convert ledger %s: %w", s.path, err)
	}
	s.opts.Logger.Info("the ledger is converted", "path", s.path, "records", n, "took", time.Since(began).Round(time.Millisecond))
	return nil
}

// openOld opens the engine of a ledger of format 1, read-only.
func (s *File) openOld(disk vfs.FS) (db *pebble.DB, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	o := engineOptions(&patientFS{FS: disk, log: s.opts.Logger}, s.log, true)
	o.ErrorIfNotExists = true
	o.Merger = &pebble.Merger{Name: "eiffelbridge.translate.1", Merge: newOldUnion}
	return pebble.Open(filepath.Join(s.path, oldEngineName), o)
}

// copyFrom copies all records and tells how many those were.
func (s *File) copyFrom(old *pebble.DB, began time.Time) (n int, err error) {
	const revision = 1
	batch := s.db.NewBatch()
	defer func() { err = errors.Join(err, batch.Close()) }()
	write := func() error {
		if err := s.applyConverted(batch); err != nil {
			return err
		}
		batch.Reset()
		return nil
	}
	var room []byte
	put := func(key []byte, d dated) error {
		d.revision = revision
		room = appendValue(room[:0], d)
		return batch.Set(key, room, nil)
	}
	iter, err := old.NewIter(nil)
	if err != nil {
		return 0, s.failure(err)
	}
	defer func() { err = errors.Join(err, iter.Close()) }()
	said := began
	for ok := iter.First(); ok; ok = iter.Next() {
		value, err := iter.ValueAndErr()
		if err != nil {
			return n, s.failure(err)
		}
		d, err := splitOldValue(value)
		if err != nil {
			return n, s.failure(fmt.Errorf("%q: %w", iter.Key(), err))
		}
		if err := s.copyRecord(iter.Key(), d, put); err != nil {
			return n, err
		}
		if n++; batch.Len() > convertBatch {
			if err := write(); err != nil {
				return n, err
			}
		}
		if time.Since(said) > convertProgress {
			said = time.Now()
			s.opts.Logger.Info("still converting the ledger", "path", s.path, "records", n)
		}
	}
	if err := iter.Error(); err != nil {
		return n, s.failure(err)
	}
	if _, err := s.reserve(batch, revision, nil); err != nil {
		return n, err
	}
	return n, write()
}

// copyRecord puts what becomes of one record.
func (s *File) copyRecord(key []byte, d dated, put func(key []byte, d dated) error) error {
	if records.FactKind(key[0]) != records.LineFact || !records.IsLine(d.record) {
		return put(key, d)
	}
	line, err := records.DecodeLine(d.record)
	if err != nil {
		s.opts.Logger.Warn("a damaged record of the ledger was left as it is", "kind", records.LineFact.String(), "key", string(key[1:]), "error", err)
		return put(key, d)
	}
	for _, f := range line.Facts(string(key[1:])) {
		if err := put(appendKey(nil, f.Query), dated{record: f.Record, day: d.day}); err != nil {
			return err
		}
	}
	return nil
}

// applyConverted applies what becomes durable later. The engine tries for ever to move it to tables, so the first failure to do so
// is taken for the answer.
func (s *File) applyConverted(batch *pebble.Batch) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	select {
	case err := <-s.log.trouble:
		return err
	default:
		return s.db.Apply(batch, pebble.NoSync)
	}
}

func (s *File) closeConverted() (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	return s.db.Close()
}

// openConverted opens a ledger of format 1, and converts it first. Where nothing may be written it does so in memory, for as
// long as the ledger is open.
func openConverted(path string, opts Options, disk vfs.FS) (*File, error) {
	if err := checkGuard(path, oldEngineName); err != nil {
		return nil, err
	}
	if opts.ReadOnly {
		memory := vfs.NewMem()
		if err := newFile(path, opts, memory).convert(disk); err != nil {
			return nil, err
		}
		return openReady(path, opts, memory)
	}
	if err := disk.RemoveAll(filepath.Join(path, engineName)); err != nil {
		return nil, fmt.Errorf("convert ledger: %w", err)
	}
	if err := newFile(path, opts, disk).convert(disk); err != nil {
		return nil, err
	}
	if err := writeMarker(path, ready); err != nil {
		return nil, fmt.Errorf("convert ledger: %w", err)
	}
	return openReady(path, opts, disk)
}

// removeOld removes what a conversion leaves behind. It holds nothing that is of use, so a failure can wait for the next open.
func (s *File) removeOld() {
	if err := os.RemoveAll(filepath.Join(s.path, oldEngineName)); err != nil {
		s.opts.Logger.Warn("what is left of the ledger before its conversion could not be removed", "path", s.path, "error", err)
	}
}

// splitOldValue is splitValue of format 1.
func splitOldValue(value []byte) (dated, error) {
	if len(value) < dayBytes {
		return dated{}, errShort
	}
	return dated{record: value[dayBytes:], day: uint32(binary.LittleEndian.Uint16(value))}, nil
}

// oldUnion is union of format 1.
type oldUnion struct {
	kind  records.FactKind
	value []byte
}

func newOldUnion(key, value []byte) (pebble.ValueMerger, error) {
	u := &oldUnion{value: bytes.Clone(value)}
	if len(key) > 0 {
		u.kind = records.FactKind(key[0])
	}
	return u, nil
}

func (u *oldUnion) MergeNewer(value []byte) error { u.merge(u.value, value); return nil }
func (u *oldUnion) MergeOlder(value []byte) error { u.merge(value, u.value); return nil }

func (u *oldUnion) merge(older, newer []byte) {
	u.value = bytes.Clone(older)
	old, err := splitOldValue(older)
	if err != nil {
		u.value = bytes.Clone(newer)
		return
	}
	if delta, err := splitOldValue(newer); err == nil {
		if record, err := records.Merge(u.kind, old.record, delta.record); err == nil {
			value := binary.LittleEndian.AppendUint16(nil, uint16(max(old.day, delta.day)))
			u.value = append(value, record...)
		}
	}
}

func (u *oldUnion) Finish(includesBase bool) ([]byte, io.Closer, error) { return u.value, nil, nil }
