//go:build unix

package speed

import (
	"syscall"
	"time"
)

// cpuTime is the processor time that the process has taken, of all its threads: what other processes do does not count.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return time.Since(processStart)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

var processStart = time.Now()
