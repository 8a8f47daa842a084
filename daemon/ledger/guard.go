package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// The engine takes a manifest that ends too early for one that a crash cut off, forgets the tables that the rest named, and
// deletes them. So a file beside it says how long the manifest was when it was synced last: a crash never makes it shorter.
const (
	guardName      = "GUARD" // in the engine's folder
	manifestPrefix = "MANIFEST-"
)

// guardedFile is a manifest that is being written.
type guardedFile struct {
	vfs.File
	fs   *patientFS
	path string
	size int64
}

// Write implements vfs.File.
func (f *guardedFile) Write(b []byte) (int, error) {
	n, err := f.File.Write(b)
	f.size += int64(n)
	return n, err
}

// Sync implements vfs.File. A guard that cannot be written leaves the one before it, which asks for less.
func (f *guardedFile) Sync() error {
	if err := f.File.Sync(); err != nil {
		return err
	}
	if err := f.guard(); err != nil {
		f.fs.log.Warn("the guard of the ledger's manifest could not be written", "error", err)
	}
	return nil
}

func (f *guardedFile) guard() error {
	folder := filepath.Dir(f.path)
	name := filepath.Join(folder, guardName)
	file, err := f.fs.Create(name+tempSuffix, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(file, "%s %d\n", filepath.Base(f.path), f.size)
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	return f.fs.Rename(name+tempSuffix, name)
}

// checkGuard says whether the manifest of the engine in that folder is as long as it was. It touches nothing.
func checkGuard(path, engine string) error {
	folder := filepath.Join(path, engine)
	text, err := os.ReadFile(filepath.Join(folder, guardName))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil // written by a version before the guard, or never changed; or the engine has no folder, and says so
	}
	if err != nil && !errors.Is(err, syscall.EISDIR) {
		return fmt.Errorf("open ledger: %w", err)
	}
	var name string
	var size int64
	if n, err := fmt.Sscanf(string(text), "%s %d\n", &name, &size); n != 2 || err != nil || !strings.HasPrefix(name, manifestPrefix) || filepath.Base(name) != name {
		return &OpenError{Path: path, Reason: Damaged, Detail: "its file " + filepath.Join(engine, guardName) + " is not readable"}
	}
	info, err := os.Stat(filepath.Join(folder, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the engine had begun another; it misses its own
	}
	if err != nil {
		return fmt.Errorf("open ledger: %w", err)
	}
	if info.Size() < size {
		return &OpenError{Path: path, Reason: Damaged, Detail: fmt.Sprintf("its file %s is cut off: it has %d bytes of %d", filepath.Join(engine, name), info.Size(), size)}
	}
	return nil
}
