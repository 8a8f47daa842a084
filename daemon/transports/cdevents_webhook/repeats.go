package cdeventswebhook

import (
	"container/list"
	"crypto/sha256"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// The bounds of what is remembered, in requests and in bytes of CDEvents.
const (
	mostRepeats     = 4096
	mostRepeatBytes = 64 << 20
)

// passing are the headers in which a request differs from its repetition: those of connections and of what the request
// came through.
var passing = []string{
	"Accept-Encoding", "Connection", "Content-Length", "Date", "Expect", "Forwarded", "Keep-Alive", "Traceparent", "Tracestate", "User-Agent", "Via",
	"X-Amzn-Trace-Id", "X-Correlation-Id", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Proto", "X-Real-Ip", "X-Request-Id",
}

type requestKey [sha256.Size]byte

// keyOf tells requests apart: by the translator, the body and every header that its sender chose.
func keyOf(name string, header http.Header, body []byte) requestKey {
	h := sha256.New()
	part := func(b []byte) {
		h.Write(strconv.AppendInt(nil, int64(len(b)), 10))
		h.Write([]byte{':'})
		h.Write(b)
	}
	part([]byte(name))
	part(body)
	for _, key := range sortedKeys(header) {
		if slices.Contains(passing, key) {
			continue
		}
		part([]byte(key))
		for _, value := range header[key] {
			part([]byte(value))
		}
		h.Write([]byte{';'})
	}
	return requestKey(h.Sum(nil))
}

// repeats remembers the CDEvents of the newest requests. It is safe for concurrent use.
type repeats struct {
	keep time.Duration

	lock  sync.Mutex
	bytes int
	order list.List // of *remembered, the oldest first
	byKey map[requestKey]*list.Element
}

type remembered struct {
	key   requestKey
	event string
	until time.Time
}

func newRepeats(keep time.Duration) *repeats {
	return &repeats{keep: keep, byKey: map[requestKey]*list.Element{}}
}

// get gives the CDEvent that was made of a request before.
func (r *repeats) get(key requestKey, now time.Time) (string, bool) {
	r.lock.Lock()
	defer r.lock.Unlock()
	e, ok := r.byKey[key]
	if !ok || now.After(e.Value.(*remembered).until) {
		return "", false
	}
	return e.Value.(*remembered).event, true
}

// put remembers the CDEvent of a request, and gives the one that counts: another, if the request came twice at once.
func (r *repeats) put(key requestKey, event string, now time.Time) string {
	if r.keep == 0 {
		return event
	}
	r.lock.Lock()
	defer r.lock.Unlock()
	if e, ok := r.byKey[key]; ok {
		if !now.After(e.Value.(*remembered).until) {
			return e.Value.(*remembered).event
		}
		r.forget(e)
	}
	r.byKey[key] = r.order.PushBack(&remembered{key, event, now.Add(r.keep)})
	r.bytes += len(event)
	for first := r.order.Front(); first != nil; first = r.order.Front() {
		if r.order.Len() <= mostRepeats && r.bytes <= mostRepeatBytes && !now.After(first.Value.(*remembered).until) {
			break
		}
		r.forget(first)
	}
	return event
}

func (r *repeats) forget(e *list.Element) {
	one := r.order.Remove(e).(*remembered)
	delete(r.byKey, one.key)
	r.bytes -= len(one.event)
}
