package daemon

import (
	"container/heap"
	"sync"
	"time"
)

// alarms calls functions at their time, one after the other, from one goroutine. A call may come late, never early.
type alarms struct {
	clock Clock
	stop  chan struct{}
	wake  chan struct{}
	ended sync.WaitGroup

	mu      sync.Mutex
	waiting alarmHeap
	closed  bool
}

type alarm struct {
	at time.Time
	f  func()
}

func newAlarms(clock Clock) *alarms {
	a := &alarms{clock: clock, stop: make(chan struct{}), wake: make(chan struct{}, 1)}
	a.ended.Add(1)
	go a.run()
	return a
}

// at has f called once the clock says t. f must not call close.
func (a *alarms) at(t time.Time, f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return
	}
	heap.Push(&a.waiting, alarm{t, f})
	if a.waiting[0].at.Equal(t) {
		select {
		case a.wake <- struct{}{}:
		default:
		}
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
			due = append(due, heap.Pop(&a.waiting).(alarm).f)
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

type alarmHeap []alarm

func (h alarmHeap) Len() int           { return len(h) }
func (h alarmHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h alarmHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *alarmHeap) Push(x any)        { *h = append(*h, x.(alarm)) }
func (h *alarmHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = alarm{}
	*h = old[:len(old)-1]
	return last
}
