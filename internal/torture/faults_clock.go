//go:build unix

package torture

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/eiffelbridge/eiffelbridge/daemon"
)

// clockCells move the relay's clock.
func clockCells() []*cell {
	move := func(name string, by time.Duration) *cell {
		return &cell{
			name: name, process: "the clock of a relay in this process",
			prepare: func(r *run) error {
				r.clock = &movedClock{}
				return nil
			},
			fault: func(ctx context.Context, r *run) error { return moveClock(ctx, r, by) },
			small: by < 0,
		}
	}
	return []*cell{move("clock moved forward", 2*time.Hour), move("clock moved backward", -2*time.Hour)}
}

// movedClock is the machine's clock with its hands moved. As after a step of the machine's own clock, timers that run go on
// as they were.
type movedClock struct{ by atomic.Int64 }

var _ daemon.Clock = (*movedClock)(nil)

func (c *movedClock) move(by time.Duration) { c.by.Add(int64(by)) }

// Now has no monotonic reading: that would hide the move.
func (c *movedClock) Now() time.Time { return time.Now().Round(0).Add(time.Duration(c.by.Load())) }

func (c *movedClock) NewTimer(d time.Duration) daemon.Timer { return daemon.SystemClock().NewTimer(d) }

// moveClock moves the clock while events are retried, three times: what waits for a time then must not wait for hours.
func moveClock(ctx context.Context, r *run, by time.Duration) error {
	const times = 3
	r.hit = fmt.Sprintf("the relay in process %d", r.relay.pid())
	for range times {
		if err := r.breakSink(); err != nil {
			return err
		}
		if err := sleep(ctx, time.Second); err != nil {
			return err
		}
		if r.pending() == 0 {
			return fmt.Errorf("%w: nothing was under way", errFault)
		}
		r.clock.move(by)
		if err := sleep(ctx, 500*time.Millisecond); err != nil {
			return err
		}
		if err := r.mendSink(); err != nil {
			return err
		}
		r.over()
		from := r.recorder.count()
		short, cancel := context.WithTimeoutCause(ctx, 40*time.Second, fmt.Errorf("nothing came for 40 s after the clock was moved by %v", by))
		err := r.waitDelivered(short, from+r.workload.total/40)
		cancel()
		if err != nil {
			return err
		}
	}
	r.saw("moved by %v %d times, while the sink failed and events were being retried", by, times)
	return nil
}

// breakSink has every publish fail, so that events are retried; mendSink ends that.
func (r *run) breakSink() error {
	if r.direction == ToCDEvents {
		r.sink.behave(func(w http.ResponseWriter, _ *http.Request, _ func()) { w.WriteHeader(http.StatusServiceUnavailable) })
		return nil
	}
	return withChannel(r.server.URL(), func(c *amqp.Channel) error { return c.QueueUnbind(r.watcher.queue, "#", r.exchange, nil) })
}

func (r *run) mendSink() error {
	if r.direction == ToCDEvents {
		r.sink.behave(nil)
		return nil
	}
	return withChannel(r.server.URL(), func(c *amqp.Channel) error { return c.QueueBind(r.watcher.queue, "#", r.exchange, false, nil) })
}
