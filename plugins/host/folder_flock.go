//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package host

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// A host that is killed leaves the folders of its plugins behind. So a folder has a file that its host holds locked for as long as it
// lives, which the kernel sees to: whose lock can be had is nobody's.
const lockFile = "host.lock"

// abandoned is the age from which a folder without a lock is nobody's: it is needed until the plugin is connected.
const abandoned = time.Hour

// folder is a folder for the sockets of one start, which only this user may enter.
type folder struct {
	path string
	lock *os.File
}

func newFolder() (*folder, error) {
	path, err := os.MkdirTemp("", folderPrefix)
	if err != nil {
		return nil, err
	}
	f := &folder{path: path}
	// The file gets its name when the lock is held: nobody finds it without. Where there are no locks, the folder goes by its age.
	name := filepath.Join(path, lockFile)
	if f.lock, err = os.OpenFile(name+".new", os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600); err == nil {
		if syscall.Flock(int(f.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			err = os.Rename(f.lock.Name(), name)
		}
	}
	if err != nil {
		f.remove()
		return nil, err
	}
	return f, nil
}

func (f *folder) remove() {
	_ = os.RemoveAll(f.path)
	_ = f.lock.Close()
}

// sweep removes the folders of this user whose hosts are gone.
func sweep(log *slog.Logger) {
	entries, _ := os.ReadDir(os.TempDir())
	for _, entry := range entries {
		path := filepath.Join(os.TempDir(), entry.Name())
		if !strings.HasPrefix(entry.Name(), folderPrefix) || !stale(path) {
			continue
		}
		if err := os.RemoveAll(path); err != nil {
			log.Debug("the folder of a host that is gone cannot be removed", "path", path, "error", err)
			continue
		}
		log.Debug("removed the folder of a host that is gone", "path", path)
	}
}

// stale tells whether a folder was left by a host of this user that is gone.
func stale(path string) bool {
	info, err := os.Lstat(path) // a link is none of ours
	if err != nil || !info.IsDir() || info.Mode().Perm() != 0o700 {
		return false
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); !ok || int64(owner.Uid) != int64(os.Getuid()) {
		return false
	}
	lock, err := os.OpenFile(filepath.Join(path, lockFile), os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return time.Since(info.ModTime()) > abandoned
	}
	if err != nil {
		return false
	}
	defer func() { _ = lock.Close() }()
	return syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}
