//go:build unix

package torture

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// sinkCells are answers of the HTTP sink.
func sinkCells() []*cell {
	const none = "the sink is the broker here, which gives no such answers"
	answering := func(name string, fault func(context.Context, *run) error) *cell {
		return &cell{name: "sink " + name, directions: []Direction{ToCDEvents}, none: none, process: "the sink", fault: fault, small: true}
	}
	timeout := answering("times out", hangSink)
	timeout.small = false
	timeout.configure = func(c *configuration) { c.http += "    request_timeout: 1s\n" }
	return []*cell{
		answering("answers 500", func(ctx context.Context, r *run) error {
			return misbehave(ctx, r, 5*time.Second, "500", func(w http.ResponseWriter, _ *http.Request, _ func()) {
				w.WriteHeader(http.StatusInternalServerError)
			})
		}),
		answering("answers 429 with Retry-After", askToWait),
		timeout,
		answering("closes mid-response", func(ctx context.Context, r *run) error {
			// The event was taken, and the relay never learns it.
			return misbehave(ctx, r, 4*time.Second, "half an answer", func(w http.ResponseWriter, _ *http.Request, note func()) {
				note()
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					panic(http.ErrAbortHandler)
				}
				_, _ = conn.Write([]byte("HTTP/1.1 202 Acce"))
				_ = conn.Close()
			})
		}),
	}
}

// misbehave has the sink answer otherwise for some time.
func misbehave(ctx context.Context, r *run, long time.Duration, what string, a answer) error {
	if r.pending() == 0 {
		return fmt.Errorf("%w: nothing was under way", errFault)
	}
	r.sink.answers.Store(0)
	r.sink.behave(a)
	if err := sleep(ctx, long); err != nil {
		return err
	}
	r.sink.behave(nil)
	r.over()
	n := r.sink.answers.Load()
	if n == 0 {
		return fmt.Errorf("%w: the sink was not asked", errFault)
	}
	r.saw("%d times %s in %v", n, what, long)
	return nil
}

// askToWait answers 429 and checks that no event comes again before its time.
func askToWait(ctx context.Context, r *run) error {
	const after = 2 * time.Second
	var mu sync.Mutex
	asked := map[string]time.Time{}
	early := 0
	check := func(id string) {
		mu.Lock()
		defer mu.Unlock()
		if at, ok := asked[id]; ok && time.Since(at) < after-50*time.Millisecond {
			early++
		}
	}
	err := misbehave(ctx, r, 5*time.Second, "429", func(w http.ResponseWriter, request *http.Request, _ func()) {
		id := request.Header.Get("ce-id")
		check(id)
		mu.Lock()
		asked[id] = time.Now()
		mu.Unlock()
		w.Header().Set("Retry-After", "2")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	// They are watched until they are through.
	r.sink.behave(func(w http.ResponseWriter, request *http.Request, note func()) {
		check(request.Header.Get("ce-id"))
		note()
		w.WriteHeader(http.StatusAccepted)
	})
	if err != nil {
		return err
	}
	if err := sleep(ctx, after+time.Second); err != nil {
		return err
	}
	r.sink.behave(nil)
	mu.Lock()
	defer mu.Unlock()
	if early > 0 {
		return fmt.Errorf("%d events came again before Retry-After", early)
	}
	r.saw("%d events were asked to wait 2 s, and none came earlier", len(asked))
	return nil
}

// hangSink takes events and answers none.
func hangSink(ctx context.Context, r *run) error {
	return misbehave(ctx, r, 6*time.Second, "no answer", func(_ http.ResponseWriter, request *http.Request, note func()) {
		note()
		<-request.Context().Done()
	})
}
