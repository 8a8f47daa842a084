//go:build !unix

package speed

import "time"

// cpuTime is the time since the process began, where nothing better is to be had.
func cpuTime() time.Duration { return time.Since(processStart) }

var processStart = time.Now()
