//go:build unix

package torture

import (
	"crypto/sha256"
	"sort"
	"sync"
	"time"
)

// arrival is the first delivery of an id.
type arrival struct {
	sum   [sha256.Size]byte
	place int
}

// recorder notes what is delivered at the far side. It is safe for concurrent use.
type recorder struct {
	mu         sync.Mutex
	ids        map[string]arrival
	times      []time.Time // of the first deliveries
	duplicates int
	differing  []string // ids that came again with other bytes
	all        []delivered
	change     chan struct{}
}

// delivered is a delivery, first or not.
type delivered struct {
	id string
	at time.Time
}

func newRecorder() *recorder {
	return &recorder{ids: map[string]arrival{}, change: make(chan struct{}, 1)}
}

// add notes a delivery. again says that the far side's own broker delivers it again, for which the relay is not to blame.
func (r *recorder) add(id string, body []byte, again bool) {
	sum := sha256.Sum256(body)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, delivered{id, time.Now()})
	first, seen := r.ids[id]
	switch {
	case !seen:
		r.ids[id] = arrival{sum, len(r.times)}
		r.times = append(r.times, time.Now())
	case first.sum != sum:
		r.differing = append(r.differing, id)
	}
	if seen && !again {
		r.duplicates++
	}
	select {
	case r.change <- struct{}{}:
	default:
	}
}

func (r *recorder) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.times)
}

func (r *recorder) has(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.ids[id]
	return ok
}

// firstAfter is how long after t the first new id came; false if none did.
func (r *recorder) firstAfter(t time.Time) (time.Duration, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := sort.Search(len(r.times), func(i int) bool { return r.times[i].After(t) })
	if i == len(r.times) {
		return 0, false
	}
	return r.times[i].Sub(t), true
}

// between is how many new ids came from one time to another.
func (r *recorder) between(from, to time.Time) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := func(t time.Time) int {
		return sort.Search(len(r.times), func(i int) bool { return !r.times[i].Before(t) })
	}
	return max(0, at(to)-at(from))
}
