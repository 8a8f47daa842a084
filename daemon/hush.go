package daemon

import (
	"sync"
	"time"
)

// hushFor is how long what was logged about one event is not logged about others of its kind.
const hushFor = 10 * time.Second

// maxSaid bounds the kinds that are kept: there are as many as relays times codes, and a plugin may make up codes.
const maxSaid = 1000

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
		if len(h.said) >= maxSaid {
			clear(h.said)
		}
		h.said[kind] = &said{at: now}
		return 0, true
	}
	if now.Sub(s.at) < hushFor {
		s.since++
		return 0, false
	}
	unsaid, s.at, s.since = s.since, now, 0
	return unsaid, true
}
