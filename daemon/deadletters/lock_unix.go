//go:build unix

package deadletters

import (
	"os"
	"syscall"
)

// lockFile waits until no other holder writes. The system lets go of the lock when the process ends, however it ends.
func lockFile(f *os.File) (unlock func(), err error) {
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if err != syscall.EINTR {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	return func() { _ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }, nil
}
