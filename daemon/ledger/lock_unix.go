//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package ledger

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// acquire locks a file for this process alone, or shared with other readers, without waiting. The lock ends with the
// process, however it ends. It belongs to the open file and not to the process, so it also keeps this process from
// opening a ledger twice.
func acquire(path string, shared bool) (io.Closer, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o640)
	if shared && (errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)) {
		f, err = os.Open(path)
	}
	if err != nil {
		return nil, err
	}
	how := syscall.LOCK_EX
	if shared {
		how = syscall.LOCK_SH
	}
	err = retryInterrupted(func() error { return syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB) })
	if errors.Is(err, syscall.EWOULDBLOCK) {
		held := &heldError{}
		var text [32]byte
		if n, err := f.ReadAt(text[:], 0); err == nil || errors.Is(err, io.EOF) {
			held.pid, _ = strconv.Atoi(strings.TrimSpace(string(text[:n])))
		}
		_ = f.Close()
		return nil, held
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if !shared {
		// Only for the message that another one gives, so it may fail and needs no sync.
		if err := f.Truncate(0); err == nil {
			_, _ = f.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
		}
	}
	return f, nil
}

func retryInterrupted(f func() error) error {
	for {
		if err := f(); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
