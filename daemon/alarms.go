package daemon

import (
	"container/heap"
	"sync"
	"time"
)

// alarms calls functions at their time, one after the other, from one goroutine, and those of one time in the order in which
// they were set. A call may come late, never early.
type alarms struct {
	clock Clock
	stop  chan struct{}
	wake  chan struct{}
	ended sync.WaitGroup

	mu      sync.Mutex
	waiting alarmHeap
	next    uint64
	closed  bool
}

// alarm is one call to come.
type alarm struct {
	at    time.Time
	seq   uint64
	f     func()
	place int // in the heap; -1 when it is not there
}

// clockSlack is how late a call may come for what goes on beside it.
const clockSlack = 50 * time.Millisecond

func newAlarms(clock Clock) *alarms {
	a := &alarms{clock: clock, stop: make(chan struct{}), wake: make(chan struct{}, 1)}
	a.ended.Add(1)
	go a.run()
	return a
}

// at has f called once the clock says t. f must not call close.
func (a *alarms) at(t time.Time, f func()) *alarm {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.next++
	al := &alarm{at: t, seq: a.next, f: f, place: -1}
	if a.closed {
		return al
	}
	heap.Push(&a.waiting, al)
	if al.place == 0 {
		select {
		case a.wake <- struct{}{}:
		default:
		}
	}
	return al
}

// cancel forgets an alarm, which may be nil or over, and what it holds. Its call may be under way.
func (a *alarms) cancel(al *alarm) {
	if al == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if al.place >= 0 {
		heap.Remove(&a.waiting, al.place)
	}
}

// close ends the goroutine; what was not due yet is never called.
func (a *alarms) close() {
	a.mu.Lock()
	if !a.closed {
		a.closed = true
		close(a.stop)
	}
	a.mu.Unlock()
	a.ended.Wait()
}

func (a *alarms) run() {
	defer a.ended.Done()
	for {
		var due []func()
		pause := time.Duration(-1)
		now := a.clock.Now()
		a.mu.Lock()
		for len(a.waiting) > 0 && !a.waiting[0].at.After(now) {
			due = append(due, heap.Pop(&a.waiting).(*alarm).f)
		}
		if len(a.waiting) > 0 {
			pause = a.waiting[0].at.Sub(now)
		}
		a.mu.Unlock()
		for _, f := range due {
			f()
		}
		if len(due) > 0 {
			continue
		}
		var ring <-chan time.Time
		var timer Timer
		if pause >= 0 {
			timer = a.clock.NewTimer(pause)
			ring = timer.C()
			// A clock that was moved in between has the timer ring late.
			if moved := a.clock.Now().Sub(now); moved > clockSlack {
				timer.Stop()
				continue
			}
		}
		select {
		case <-a.stop:
		case <-a.wake:
		case <-ring:
		}
		if timer != nil {
			timer.Stop()
		}
		select {
		case <-a.stop:
			return
		default:
		}
	}
}

type alarmHeap []*alarm

func (h alarmHeap) Len() int { return len(h) }
func (h alarmHeap) Less(i, j int) bool {
	if c := h[i].at.Compare(h[j].at); c != 0 {
		return c < 0
	}
	return h[i].seq < h[j].seq
}
func (h alarmHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

func (h *alarmHeap) Push(x any) {
	al := x.(*alarm)
	al.place = len(*h)
	*h = append(*h, al)
}

func (h *alarmHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	last.place = -1
	return last
}
