package daemon

import (
	"sync"
	"time"
)

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

// steadyClock is a clock that is never set back: what waits for a time then does not wait for longer. The machine's own is
// steady by itself; an injected one need not be.
type steadyClock struct {
	Clock

	mu    sync.Mutex
	last  time.Time
	ahead time.Duration // of the clock
}

// Now implements [Clock].
func (c *steadyClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.Clock.Now().Add(c.ahead)
	if now.Before(c.last) {
		c.ahead += c.last.Sub(now)
		now = c.last
	}
	c.last = now
	return now
}

// wall is what the clock itself calls a time, for what others read or the next process does.
func (c *steadyClock) wall(t time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return t.Add(-c.ahead)
}
