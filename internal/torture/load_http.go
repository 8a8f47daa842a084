//go:build unix

package torture

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eiffelbridge/eiffelbridge/translate"
)

// pacer bounds the rate of a load, and holds it at a number of events until more may pass.
type pacer struct {
	mu      sync.Mutex
	changed *sync.Cond
	every   time.Duration
	next    time.Time
	begun   int
	limit   int
	ended   bool
}

func newPacer(rate int) *pacer {
	p := &pacer{every: time.Second / time.Duration(rate)}
	p.changed = sync.NewCond(&p.mu)
	return p
}

// freePacer holds nothing up.
func freePacer() *pacer {
	p := newPacer(1_000_000)
	p.allow(math.MaxInt)
	return p
}

// allow lets the load go on until n events are begun.
func (p *pacer) allow(n int) {
	p.mu.Lock()
	p.limit = n
	p.mu.Unlock()
	p.changed.Broadcast()
}

// end frees whoever waits.
func (p *pacer) end() {
	p.mu.Lock()
	p.ended = true
	p.mu.Unlock()
	p.changed.Broadcast()
}

// take waits for the turn of n events; false at the end.
func (p *pacer) take(ctx context.Context, n int) bool {
	p.mu.Lock()
	for p.begun >= p.limit && !p.ended {
		p.changed.Wait()
	}
	if p.ended || ctx.Err() != nil {
		p.mu.Unlock()
		return false
	}
	p.begun += n
	now := time.Now()
	// What was missed during a fault is not made up for.
	p.next = later(p.next, now).Add(time.Duration(n) * p.every)
	wait := p.next.Sub(now)
	p.mu.Unlock()
	select {
	case <-time.After(wait):
		return true
	case <-ctx.Done():
		return false
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// tally is what the senders of a load met with.
type tally struct {
	accepted, rejected           atomic.Int64 // events; rejected are in the dead letters
	refused                      atomic.Int64 // answers that said try again: 503, 429; for AMQP: returned, negative confirms
	broken                       atomic.Int64 // attempts without an answer
	mu                           sync.Mutex
	inputs                       map[*input]time.Time // when they were accepted
	begun                        map[*input]time.Time // when they were sent first
	refusals                     []string             // inputs that were rejected and should not have been
	lastRefusal, lastBrokenError string
}

func (t *tally) accept(in *input) {
	t.accepted.Add(1)
	t.mu.Lock()
	t.inputs[in] = time.Now()
	t.mu.Unlock()
}

// begin notes that events are sent, if it is the first time.
func (t *tally) begin(events ...*input) {
	now := time.Now()
	t.mu.Lock()
	for _, in := range events {
		if t.begun[in].IsZero() {
			t.begun[in] = now
		}
	}
	t.mu.Unlock()
}

// sent is when an event was sent first.
func (t *tally) sent(in *input) (time.Time, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at, ok := t.begun[in]
	return at, ok
}

// distinct is how many events were accepted, or are in the dead letters of a queue's relay, without those sent once more.
func (t *tally) distinct() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.inputs)
}

func newTally() *tally { return &tally{inputs: map[*input]time.Time{}, begun: map[*input]time.Time{}} }

func (t *tally) at(in *input) (time.Time, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at, ok := t.inputs[in]
	return at, ok
}

func (t *tally) noteRefused(text string) {
	t.refused.Add(1)
	t.mu.Lock()
	t.lastRefusal = text
	t.mu.Unlock()
}

func (t *tally) noteBroken(err error) {
	t.broken.Add(1)
	t.mu.Lock()
	t.lastBrokenError = err.Error()
	t.mu.Unlock()
}

// last is what the last failed attempt met with.
func (t *tally) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lastRefusal != "" {
		return t.lastRefusal
	}
	return t.lastBrokenError
}

// failures is how many attempts did not end with an acceptance so far.
func (t *tally) failures() int64 { return t.refused.Load() + t.broken.Load() }

// load sends a workload. feed returns when every event is accepted or rejected, or ctx ends.
type load interface {
	// feed sends units, each in its order, as the pacer lets it.
	feed(ctx context.Context, p *pacer, units []unit) error
	tally() *tally
	close()
}

// httpLoad posts CDEvents: in binary, structured and batched mode by turns of units. It sends again whatever is not answered
// with a 2xx, and waits as long as Retry-After says.
type httpLoad struct {
	url     string
	client  *http.Client
	counts  *tally
	senders int
}

func newHTTPLoad(address string, senders int) *httpLoad {
	return &httpLoad{
		url: "http://" + address + "/", senders: senders, counts: newTally(),
		client: &http.Client{Timeout: 40 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: senders, MaxConnsPerHost: senders}},
	}
}

func (l *httpLoad) tally() *tally { return l.counts }
func (l *httpLoad) close()        { l.client.CloseIdleConnections() }

// batch is how many events a post in batched mode has.
const batch = 6

func (l *httpLoad) feed(ctx context.Context, p *pacer, units []unit) error {
	return sideBySide(ctx, l.senders, units, func(ctx context.Context, number int, u unit) error {
		for len(u) > 0 {
			n := 1
			if number%3 == 2 {
				for n < min(batch, len(u)) && !u[n].poison && !u[0].poison && u[n].after == 0 {
					n++
				}
			}
			if !p.take(ctx, n) {
				return ctx.Err()
			}
			if u[0].after > 0 {
				if err := sleep(ctx, u[0].after); err != nil {
					return err
				}
			}
			if err := l.send(ctx, number%3, u[:n]); err != nil {
				return err
			}
			u = u[n:]
		}
		return nil
	})
}

// sideBySide works on all units, some at a time.
func sideBySide(ctx context.Context, workers int, units []unit, work func(ctx context.Context, number int, u unit) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(units) {
					return
				}
				if err := work(ctx, i, units[i]); err != nil {
					cancel(err)
				}
			}
		})
	}
	group.Wait()
	return context.Cause(ctx)
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// send posts events until they are accepted or rejected.
func (l *httpLoad) send(ctx context.Context, mode int, events []*input) error {
	l.counts.begin(events...)
	for {
		status, after, answer, err := l.post(ctx, mode, events)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			l.counts.noteBroken(err)
			after = 50 * time.Millisecond
		case status >= 200 && status < 300:
			for _, in := range events {
				l.counts.accept(in)
			}
			return nil
		case status == http.StatusTooManyRequests || status >= 500:
			l.counts.noteRefused(fmt.Sprintf("%d %s", status, answer))
			after = max(after, 20*time.Millisecond)
		default:
			for _, in := range events {
				l.counts.rejected.Add(1)
				if !in.poison {
					l.counts.mu.Lock()
					l.counts.refusals = append(l.counts.refusals, fmt.Sprintf("%s: %d %s", in.event.ID, status, answer))
					l.counts.mu.Unlock()
				}
			}
			return nil
		}
		if err := sleep(ctx, after); err != nil {
			return err
		}
	}
}

func (l *httpLoad) post(ctx context.Context, mode int, events []*input) (status int, after time.Duration, answer string, err error) {
	body, header := events[0].body, http.Header{}
	e := &events[0].event
	switch {
	case events[0].poison || mode == 0: // binary; poison has attributes that are right
		header.Set("Content-Type", "application/json")
		header.Set("ce-specversion", "1.0")
		header.Set("ce-id", e.ID)
		header.Set("ce-source", e.Source)
		header.Set("ce-type", e.Type)
	case mode == 1:
		header.Set("Content-Type", "application/cloudevents+json")
		body = structured(e)
	default:
		header.Set("Content-Type", "application/cloudevents-batch+json")
		var list [][]byte
		for _, in := range events {
			list = append(list, structured(&in.event))
		}
		body = append(append([]byte{'['}, bytes.Join(list, []byte{','})...), ']')
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, l.url, bytes.NewReader(body))
	if err != nil {
		return 0, 0, "", err
	}
	request.Header = header
	response, err := l.client.Do(request)
	if err != nil {
		return 0, 0, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 4<<10))
	if err != nil {
		return 0, 0, "", err
	}
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil {
		after = time.Duration(seconds) * time.Second
	}
	return response.StatusCode, after, string(bytes.TrimSpace(text)), nil
}

// structured is a CDEvent as a CloudEvent in structured mode.
func structured(e *translate.Event) []byte {
	return marshal(map[string]any{
		"specversion": "1.0", "id": e.ID, "source": e.Source, "type": e.Type, "datacontenttype": "application/json", "data": json.RawMessage(e.JSON),
	})
}
