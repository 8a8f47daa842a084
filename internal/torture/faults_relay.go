//go:build unix

package torture

import (
	"context"
	"fmt"
	"time"
)

// relayCells are faults of the relay itself.
func relayCells() []*cell {
	return []*cell{
		{
			name: "none",
			fault: func(ctx context.Context, r *run) error {
				r.saw("no fault")
				return nil
			},
			verify: func(_ context.Context, r *run) error {
				if n := r.result.Duplicates; n > 0 {
					return fmt.Errorf("%d duplicates without a fault", n)
				}
				return nil
			},
			small: true,
		},
		{name: "relay killed repeatedly", fault: killRelay, small: true},
	}
}

// repeats is how often a fault that comes again and again comes: in the short form the events would be through before the twentieth.
func (r *run) repeats() int {
	if r.options.Short {
		return 5
	}
	return 20
}

// killRelay kills the relay at random moments while events come in, and starts it again at once.
func killRelay(ctx context.Context, r *run) error {
	kills := r.repeats()
	from, total := r.progress(), r.workload.total
	r.pacer.allow(total)
	step := (total - from) * 9 / 10 / kills
	r.hit = "eiffelbridge"
	working := 0
	for k := range kills {
		// Once some events of this life are through: a relay that is killed before it can do anything proves little.
		target := from + k*step + 1 + r.random.IntN(max(1, step-1))
		if err := r.waitFor(ctx, fmt.Sprintf("progress after %d kills", k), func() bool { return r.progress() >= target }); err != nil {
			return err
		}
		if err := sleep(ctx, time.Duration(r.random.IntN(40))*time.Millisecond); err != nil {
			return err
		}
		if r.progress() < total {
			working++
		}
		r.hit += fmt.Sprintf(" %d", r.relay.pid())
		if err := r.relay.kill(); err != nil {
			return err
		}
		r.over()
		if err := r.relay.start(ctx); err != nil {
			return fmt.Errorf("after kill %d: %w", k+1, err)
		}
	}
	if working < kills*9/10 {
		return fmt.Errorf("%w: only %d of %d kills hit a relay at work", errFault, working, kills)
	}
	r.saw("%d kills, %d of them with events to come; %d attempts of senders failed", kills, working, r.failuresSince())
	return nil
}
