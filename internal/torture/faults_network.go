//go:build unix

package torture

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// networkCells are faults on the ways to the broker and to the far side over HTTP: the sink, or the relay as its senders see it.
func networkCells() (all []*cell) {
	for _, way := range []struct {
		name                 string
		brokerLink, sinkLink bool
		stall                time.Duration
		configure            func(*configuration)
		toCDEvents           string
	}{
		// A broker that says nothing is taken for lost after one and a half heartbeats of 10 s.
		{name: "broker", brokerLink: true, stall: 20 * time.Second},
		{name: "HTTP", sinkLink: true, stall: 8 * time.Second, configure: func(c *configuration) { c.http += "    request_timeout: 3s\n" }},
	} {
		suffering := func(what string, fault func(context.Context, *run, *link) error) *cell {
			c := &cell{
				name: way.name + " connection " + what, brokerLink: way.brokerLink, sinkLink: way.sinkLink, process: "the connection",
				configure: way.configure, small: what == "cut",
			}
			c.fault = func(ctx context.Context, r *run) error {
				l := r.broker
				if l == nil {
					l = r.far
				}
				return fault(ctx, r, l)
			}
			return c
		}
		all = append(all,
			suffering("cut", cutLink),
			suffering("stalled", func(ctx context.Context, r *run, l *link) error { return stallLink(ctx, r, l, way.stall) }),
			suffering("throttled", throttleLink))
	}
	return all
}

// cutLink closes every connection and refuses new ones, three times.
func cutLink(ctx context.Context, r *run, l *link) error {
	const times, long = 3, 1500 * time.Millisecond
	for range times {
		if r.pending() == 0 {
			return fmt.Errorf("%w: nothing was under way", errFault)
		}
		l.cut()
		cut := time.Now()
		if err := sleep(ctx, long); err != nil {
			return err
		}
		n := r.recorder.between(cut.Add(300*time.Millisecond), time.Now())
		if err := l.mend(); err != nil {
			return err
		}
		r.over()
		if n > 0 {
			return fmt.Errorf("%w: %d events came over a connection that was cut", errFault, n)
		}
		from := r.recorder.count()
		if err := r.waitDelivered(ctx, from+r.workload.total/40); err != nil {
			return err
		}
	}
	return r.noticed("cut %d times for %v", times, long)
}

// stallLink lets nothing through, in either direction, while the connections stay.
func stallLink(ctx context.Context, r *run, l *link, long time.Duration) error {
	if err := l.add("timeout", `{"timeout": 0}`); err != nil {
		return err
	}
	if err := sleep(ctx, long); err != nil {
		return err
	}
	n := r.recorder.between(time.Now().Add(500*time.Millisecond-long), time.Now())
	if err := l.remove(ctx, "timeout"); err != nil {
		return err
	}
	r.over()
	if n > 0 {
		return fmt.Errorf("%w: %d events came over a connection that was stalled", errFault, n)
	}
	return r.noticed("stalled for %v", long)
}

// throttleLink lets 100 kB a second through, each way.
func throttleLink(ctx context.Context, r *run, l *link) error {
	before := r.recorder.between(r.began, time.Now())
	rate := float64(before) / time.Since(r.began).Seconds()
	if err := l.add("bandwidth", `{"rate": 100}`); err != nil {
		return err
	}
	const long = 10 * time.Second
	if err := sleep(ctx, long); err != nil {
		return err
	}
	slow := float64(r.recorder.between(time.Now().Add(2*time.Second-long), time.Now())) / (long - 2*time.Second).Seconds()
	if r.pending() == 0 {
		return fmt.Errorf("%w: nothing was under way", errFault)
	}
	if err := l.remove(ctx, "bandwidth"); err != nil {
		return err
	}
	r.over()
	if slow == 0 || slow > rate/2 {
		return fmt.Errorf("%w: %.0f events a second came, %.0f before", errFault, slow, rate)
	}
	r.saw("100 kB/s for %v: %.0f events a second, %.0f before", long, slow, rate)
	return nil
}

// noticed notes what was done, and that the relay or the senders noticed it.
func (r *run) noticed(format string, args ...any) error {
	warnings, failures := r.relay.log.count("level=WARN"), r.failuresSince()
	if warnings == 0 && failures == 0 {
		return fmt.Errorf("%w: neither the relay nor a sender noticed", errFault)
	}
	r.saw("%s; %d attempts of senders failed; the relay warned %d times", fmt.Sprintf(format, args...), failures, warnings)
	if w := r.relay.log.lastWith("level=WARN"); w != "" {
		_, text, _ := strings.Cut(w, "msg=")
		r.saw("%.100s", text)
	}
	return nil
}
