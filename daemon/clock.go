package daemon

import "time"

// Clock is the one clock of a daemon. It is safe for concurrent use.
type Clock interface {
	Now() time.Time
	// NewTimer returns a timer that sends once on its channel, which is buffered, after d; at once if d is not
	// positive.
	NewTimer(d time.Duration) Timer
}

// Timer is what a [Clock] makes.
type Timer interface {
	C() <-chan time.Time
	Stop() bool
}

// SystemClock is the clock of the machine.
func SystemClock() Clock { return systemClock{} }

type systemClock struct{}

func (systemClock) Now() time.Time                 { return time.Now() }
func (systemClock) NewTimer(d time.Duration) Timer { return systemTimer{time.NewTimer(d)} }

type systemTimer struct{ t *time.Timer }

func (t systemTimer) C() <-chan time.Time { return t.t.C }
func (t systemTimer) Stop() bool          { return t.t.Stop() }
