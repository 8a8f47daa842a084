package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Reason says why a path cannot be opened as a ledger.
type Reason string

// Why a path cannot be opened.
const (
	Damaged Reason = "damaged" // a ledger that cannot be read as it is
	Foreign Reason = "foreign" // something else; it was not touched
	Newer   Reason = "newer"   // written by a later version of this program
	Busy    Reason = "busy"    // open elsewhere, in another process or in this one
)

// OpenError says why a path cannot be opened as a ledger, and what to do. Only Busy can pass by itself.
type OpenError struct {
	Path   string
	Reason Reason
	Detail string // what was found
	Err    error  // the cause, nil if there is no other than Detail
}

// Error implements error.
func (e *OpenError) Error() string {
	var advice string
	switch e.Reason {
	case Damaged:
		advice = "restore it from a copy or an export, or move it away to begin with an empty one"
	case Foreign:
		advice = "it was left alone; choose another path for the ledger"
	case Newer:
		advice = "use the version of this program that wrote it, or a later one"
	case Busy:
		advice = "ask the relay that holds it, or stop that first"
	}
	text := fmt.Sprintf("open ledger %s: %s: %s", e.Path, e.Reason, e.Detail)
	if e.Err != nil {
		text += ": " + strings.Join(strings.Fields(e.Err.Error()), " ")
	}
	return text + " (" + advice + ")"
}

// Unwrap gives the cause.
func (e *OpenError) Unwrap() error { return e.Err }

// Is makes a damaged ledger match [ErrDamaged].
func (e *OpenError) Is(target error) bool { return target == ErrDamaged && e.Reason == Damaged }

// What is in the folder of a ledger.
const (
	markerName = "LEDGER" // says that the folder is ours, and in which format
	lockName   = "LOCK"   // locked while the ledger is open; holds the process id of who writes
	engineName = "engine" // the engine's own folder
	tempSuffix = ".tmp"
)

// formatVersion counts up when an earlier version of this program could not read what this one writes. Since version 2 a history
// is a record for each entry, and every record has a revision; see convert.
const formatVersion = 2

const markerMagic = "eiffelbridge ledger"

// state tells how far the making of a ledger came.
type state int

const (
	absent  state = iota // there is nothing, or an empty folder
	partial              // begun and never finished, so nothing was ever stored in it
	older                // of format 1
	ready
)

func markerText(s state) []byte { return markerOf(s, formatVersion) }

func markerOf(s state, version int) []byte {
	word := "partial"
	if s == ready {
		word = "ready"
	}
	return fmt.Appendf(nil, "%s\nformat %d\n%s\n", markerMagic, version, word)
}

// inspect finds out what is at a path and touches nothing.
func inspect(path string) (state, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return absent, nil
	}
	if err != nil {
		return 0, fmt.Errorf("open ledger: %w", err)
	}
	if !info.IsDir() {
		return 0, &OpenError{Path: path, Reason: Foreign, Detail: "is a file, and a ledger is a folder"}
	}
	marker := filepath.Join(path, markerName)
	info, err = os.Lstat(marker)
	if errors.Is(err, fs.ErrNotExist) {
		return inspectUnmarked(path)
	}
	if err != nil {
		return 0, fmt.Errorf("open ledger: %w", err)
	}
	if !info.Mode().IsRegular() {
		return 0, &OpenError{Path: path, Reason: Foreign, Detail: markerName + " is no file"}
	}
	if info.Size() > 4096 {
		return 0, &OpenError{Path: path, Reason: Foreign, Detail: "has a file " + markerName + " that is not ours"}
	}
	text, err := os.ReadFile(marker)
	if err != nil {
		return 0, fmt.Errorf("open ledger: %w", err)
	}
	return parseMarker(path, text)
}

func parseMarker(path string, text []byte) (state, error) {
	lines := strings.Split(string(text), "\n")
	if lines[0] != markerMagic {
		if hasEngine(path) || len(bytes.Trim(text, "\x00")) == 0 {
			return 0, &OpenError{Path: path, Reason: Damaged, Detail: "its file " + markerName + " is not readable"}
		}
		return 0, &OpenError{Path: path, Reason: Foreign, Detail: "has a file " + markerName + " that is not ours"}
	}
	if len(lines) > 1 {
		if digits, ok := strings.CutPrefix(lines[1], "format "); ok {
			version, err := strconv.Atoi(digits)
			// A later format may go on differently, so the rest is not looked at.
			if err == nil && version > formatVersion && len(lines) > 2 {
				return 0, &OpenError{Path: path, Reason: Newer, Detail: fmt.Sprintf("has format %d, and this program knows up to %d", version, formatVersion)}
			}
		}
	}
	switch {
	case bytes.Equal(text, markerText(ready)):
		return ready, nil
	case bytes.Equal(text, markerText(partial)), bytes.Equal(text, markerOf(partial, 1)):
		return partial, nil
	case bytes.Equal(text, markerOf(ready, 1)):
		return older, nil
	}
	return 0, &OpenError{Path: path, Reason: Damaged, Detail: "its file " + markerName + " is not readable"}
}

func hasEngine(path string) bool {
	for _, name := range []string{engineName, oldEngineName} {
		if _, err := os.Lstat(filepath.Join(path, name)); err == nil {
			return true
		}
	}
	return false
}

// inspectUnmarked judges a folder without a marker.
func inspectUnmarked(path string) (state, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return 0, fmt.Errorf("open ledger: %w", err)
	}
	var lock bool
	var engine string
	for _, e := range entries {
		switch e.Name() {
		case lockName:
			lock = true
		case engineName, oldEngineName:
			engine = e.Name()
		case markerName + tempSuffix:
		default:
			return 0, &OpenError{Path: path, Reason: Foreign, Detail: fmt.Sprintf("is a folder of something else (it has %q)", e.Name())}
		}
	}
	switch {
	case engine != "" && lock:
		return 0, &OpenError{Path: path, Reason: Damaged, Detail: "its file " + markerName + " is missing"}
	case engine != "":
		return 0, &OpenError{Path: path, Reason: Foreign, Detail: fmt.Sprintf("is a folder of something else (it has %q)", engine)}
	}
	return absent, nil
}

// writeMarker replaces the marker so that after a crash there is the old or the new one.
func writeMarker(path string, s state) error {
	temp := filepath.Join(path, markerName+tempSuffix)
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	_, err = f.Write(markerText(s))
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp, filepath.Join(path, markerName)); err != nil {
		return err
	}
	return syncFolder(path)
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL) {
		err = nil // some file systems cannot, and need not
	}
	return errors.Join(err, d.Close())
}

// makeFolder creates a folder with its parents, durably.
func makeFolder(path string) error {
	path = filepath.Clean(path)
	err := os.Mkdir(path, 0o750)
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil
	case errors.Is(err, fs.ErrNotExist) && filepath.Dir(path) != path:
		if err := makeFolder(filepath.Dir(path)); err != nil {
			return err
		}
		err = os.Mkdir(path, 0o750)
	}
	if err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// Open opens the ledger in the folder path, and creates it with its parents unless the options forbid that. What keeps
// a path from being opened as a ledger is an *[OpenError]; any other error is the file system's. One process at a time
// has a ledger open for writing; any number may have it open read-only meanwhile nobody writes.
func Open(path string, opts Options) (*File, error) { return open(path, opts, vfs.Default) }

func open(path string, opts Options, disk vfs.FS) (*File, error) {
	opts = opts.withDefaults()
	if path == "" {
		return nil, errors.New("open ledger: the path is empty")
	}
	// Whatever is foreign must be found out before the first change, so also before the lock.
	found, err := inspect(path)
	if err != nil {
		return nil, err
	}
	if found < older && opts.MustExist {
		return nil, fmt.Errorf("open ledger %s: %w", path, fs.ErrNotExist)
	}
	if found == absent {
		if err := makeFolder(path); err != nil {
			return nil, fmt.Errorf("create ledger: %w", err)
		}
	}
	l, err := acquire(filepath.Join(path, lockName), opts.ReadOnly)
	if err != nil {
		var held *heldError
		if errors.As(err, &held) {
			return nil, &OpenError{Path: path, Reason: Busy, Detail: held.Error()}
		}
		return nil, fmt.Errorf("open ledger %s: %w", path, err)
	}
	f, err := openLocked(path, opts, disk)
	if err != nil {
		_ = l.Close()
		return nil, err
	}
	f.lock = l
	f.start()
	return f, nil
}

func openLocked(path string, opts Options, disk vfs.FS) (*File, error) {
	// Somebody else may have made it between the look and the lock.
	found, err := inspect(path)
	if err != nil {
		return nil, err
	}
	if found == older {
		return openConverted(path, opts, disk)
	}
	if found != ready {
		if opts.MustExist {
			return nil, fmt.Errorf("open ledger %s: %w", path, fs.ErrNotExist)
		}
		if err := writeMarker(path, partial); err != nil {
			return nil, fmt.Errorf("create ledger: %w", err)
		}
		// What a creation left behind that never came to its end holds nothing that anyone was promised.
		for _, name := range []string{engineName, oldEngineName} {
			if err := os.RemoveAll(filepath.Join(path, name)); err != nil {
				return nil, fmt.Errorf("create ledger: %w", err)
			}
		}
	}
	if found == ready {
		return openReady(path, opts, disk)
	}
	f := newFile(path, opts, disk)
	if err := f.openEngine(fresh); err != nil {
		return nil, openFailure(path, err)
	}
	if err := writeMarker(path, ready); err != nil {
		_ = f.db.Close()
		return nil, fmt.Errorf("create ledger: %w", err)
	}
	return f, nil
}

// openReady opens a ledger that is all there.
func openReady(path string, opts Options, disk vfs.FS) (*File, error) {
	if err := checkGuard(path, engineName); err != nil {
		return nil, err
	}
	f := newFile(path, opts, disk)
	if err := f.openEngine(existing); err != nil {
		return nil, openFailure(path, err)
	}
	f.readRevisions()
	if !opts.ReadOnly {
		f.removeOld() // of a conversion, now or before a crash
	}
	return f, nil
}

// openFailure sorts out why the engine did not open.
func openFailure(path string, err error) error {
	if strings.Contains(err.Error(), "unknown format major version") {
		return &OpenError{Path: path, Reason: Newer, Detail: "its engine wrote a later format", Err: err}
	}
	var number syscall.Errno
	if !pebble.IsCorruptionError(err) && errors.As(err, &number) {
		switch number {
		case syscall.ENOENT, syscall.ENOTDIR, syscall.EISDIR, syscall.EINVAL, syscall.ERANGE:
			// A file that is missing or is something else.
		default:
			return fmt.Errorf("open ledger %s: %w", path, err)
		}
	}
	return &OpenError{Path: path, Reason: Damaged, Detail: "the engine cannot read it", Err: err}
}

// heldError says that a lock is held elsewhere.
type heldError struct{ pid int }

func (e *heldError) Error() string {
	switch e.pid {
	case 0:
		return "is open in another process"
	case os.Getpid():
		return "is open in this process already"
	}
	return fmt.Sprintf("is open in process %d", e.pid)
}
