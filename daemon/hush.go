package daemon

import (
	"sync"
	"time"
)

// hushFor is how long what was logged about one event is not logged about others of its kind.
const hushFor = 10 * time.Second

// hush keeps the log from filling with events that all have one fault. It is safe for concurrent use.
type hush struct {
	clock Clock

	mu   sync.Mutex
	said map[string]*said
}

type said struct {
	at    time.Time
	since int
}

// speak tells whether a line about a kind of event is to be logged, and how many were not logged since the last one.
func (h *hush) speak(kind string) (unsaid int, ok bool) {
	now := h.clock.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.said[kind]
	if s == nil {
		h.said[kind] = &said{at: now} // as many as there are relays and codes
		return 0, true
	}
	if now.Sub(s.at) < hushFor {
		s.since++
		return 0, false
	}
	unsaid, s.at, s.since = s.since, now, 0
	return unsaid, true
}
