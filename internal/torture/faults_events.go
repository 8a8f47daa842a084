//go:build unix

package torture

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/eiffelbridge/eiffelbridge/mappings/overlay"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// eventCells are events that are wrong or too early, and a configuration that changes under them.
func eventCells() []*cell {
	return []*cell{
		{name: "poison, 1 in 100", prepare: addPoison, fault: repeatPoison, small: true},
		{name: "deadline of parked events passes across a restart", prepare: addWaiting, fault: killOverDeadline, small: true,
			configure: func(c *configuration) { c.relay += fmt.Sprintf(", unresolved: {timeout: %v}", waitTimeout) }},
		{name: "configuration reloaded repeatedly", fault: reload, small: true,
			prepare: func(r *run) error {
				path := filepath.Join(r.dir, "overlay.yaml")
				if err := os.WriteFile(path, []byte(reloadedOverlay), 0o600); err != nil {
					return err
				}
				catalogue, err := overlay.Load(nil, path)
				r.alternative = translate.Settings{Catalogue: catalogue}
				return err
			}},
	}
}

// addPoison puts an event that can never be translated among each hundred others.
func addPoison(r *run) error {
	count := 0
	for i, u := range r.workload.units {
		var with unit
		for _, in := range u {
			if count%100 == 50 {
				with = append(with, poison(r.direction, count/100, in))
				r.workload.total++
			}
			with = append(with, in)
			count++
		}
		r.workload.units[i] = with
	}
	return nil
}

// poison is made of an event that is right.
func poison(d Direction, number int, of *input) *input {
	id := uuid(fmt.Sprintf("poison/%d", number))
	in := &input{poison: true, event: translate.Event{ID: id, Source: of.event.Source, Type: of.event.Type}}
	in.body = []byte(strings.ReplaceAll(string(of.body), of.event.ID, id))
	text := string(in.body)
	switch number % 4 {
	case 0: // broken off
		in.body = in.body[:len(in.body)*2/3]
	case 1: // a member that must be there
		if d == ToEiffel {
			in.body = []byte(strings.Replace(text, `"timestamp"`, `"timestomp"`, 1))
		} else {
			in.body = []byte(strings.Replace(text, `"time"`, `"tome"`, 1))
		}
	case 2: // JSON, and no event
		in.body = fmt.Appendf(nil, `{"hello":%q}`, id)
	case 3: // twice the same name
		in.body = []byte(strings.Replace(text, `{`, `{"data":1,"data":2,`, 1))
	}
	return in
}

// repeatPoison sends some of the poison again: that must not multiply its dead letters.
func repeatPoison(ctx context.Context, r *run) error {
	again := 0
	for _, u := range r.workload.units {
		for _, in := range u {
			if _, sent := r.load.tally().sent(in); !sent || !in.poison {
				continue
			}
			if err := r.load.feed(ctx, freePacer(), []unit{{in}}); err != nil {
				return err
			}
			if again++; again == 20 {
				break
			}
		}
	}
	if again == 0 {
		return fmt.Errorf("%w: no poison was sent yet", errFault)
	}
	r.again = again
	n := 0
	for _, u := range r.workload.units {
		n += len(slices.DeleteFunc(slices.Clone(u), func(in *input) bool { return !in.poison }))
	}
	r.saw("%d events of %d are poison, of four kinds; %d of them were sent twice", n, r.workload.total, again)
	return nil
}

const (
	waitTimeout = 6 * time.Second
	waiters     = 200
)

// addWaiting adds events that refer to what never comes.
func addWaiting(r *run) error {
	for i := range waiters {
		name := fmt.Sprintf("waiting-%d", i)
		text := cdevent(uuid(name), "service.published.0.3.0", name, 90, map[string]any{"environment": map[string]any{"id": "env-0"}})
		if r.direction == ToCDEvents {
			text = eiffelEvent(name, "ArtifactDeployed", "0.1.0", 90, map[string]any{}, "ARTIFACT", "never/"+name, "ENVIRONMENT", "env-0")
		}
		var u unit
		u, err := u.add(text)
		if err != nil {
			return err
		}
		// Within the load, and before the fault.
		at := r.random.IntN(len(r.workload.units) / 4)
		r.workload.units = slices.Insert(r.workload.units, at, u)
		r.workload.total++
	}
	return nil
}

// killOverDeadline kills the relay while events are parked, and starts it again when their deadline is over.
func killOverDeadline(ctx context.Context, r *run) error {
	parked := func() int {
		text, err := r.relay.get(ctx, "/metrics")
		if err != nil {
			return 0
		}
		n, _ := metric(text, "eiffelbridge_parked")
		r.parked = max(r.parked, int(n))
		return int(n)
	}
	if err := r.waitFor(ctx, "events to be parked", func() bool { return parked() > waiters/2 }); err != nil {
		return err
	}
	n := parked()
	if err := r.relay.kill(); err != nil {
		return err
	}
	killed := time.Now()
	if err := sleep(ctx, waitTimeout+time.Second); err != nil {
		return err
	}
	if err := r.relay.start(ctx); err != nil {
		return err
	}
	r.over()
	if n == 0 {
		return fmt.Errorf("%w: nothing was parked when the relay was killed", errFault)
	}
	r.saw("%d events were parked at the kill; the relay was down for %.1f s, their timeout is %v; %d attempts of senders failed",
		n, time.Since(killed).Seconds(), waitTimeout, r.failuresSince())
	return nil
}

// reloadedOverlay changes what some events become.
const reloadedOverlay = `version: 1
to_eiffel:
  - cdevent: artifact.packaged
    extend: true
    custom:
      - {to: /torture, const: reloaded}
to_cdevents:
  - eiffel: EiffelActivityTriggeredEvent
    extend: true
    subject_id: event.meta.id
`

// reload changes the configuration and has the relay read it, again and again under load.
func reload(ctx context.Context, r *run) error {
	times := r.repeats()
	base := r.config.relay
	from := r.progress()
	r.pacer.allow(r.workload.total)
	step := (r.workload.total - from) * 9 / 10 / times
	pid := r.relay.pid()
	working := 0
	for k := range times {
		if err := r.waitFor(ctx, "progress", func() bool { return r.progress() >= from+k*step+1+r.random.IntN(max(1, step/2)) }); err != nil {
			return err
		}
		r.config.relay = base + fmt.Sprintf(", max_in_flight: %d", 32+32*(k%4))
		if k%2 == 1 {
			r.config.relay += ", mappings: [overlay.yaml]"
		}
		if err := r.writeConfig(); err != nil {
			return err
		}
		if r.progress() < r.workload.total {
			working++
		}
		before := r.relay.log.count("configuration reloaded")
		if err := r.relay.signal(syscall.SIGHUP); err != nil {
			return err
		}
		short, cancel := context.WithTimeoutCause(ctx, 20*time.Second, fmt.Errorf("reload %d did not come to its end", k+1))
		err := r.waitFor(short, "the relay to say that it has reloaded", func() bool { return r.relay.log.count("configuration reloaded") > before })
		cancel()
		if err != nil {
			return err
		}
		r.over()
	}
	if working < times*3/4 {
		return fmt.Errorf("%w: only %d of %d reloads hit a relay at work", errFault, working, times)
	}
	if r.relay.pid() != pid {
		return fmt.Errorf("%w: it is another process", errFault)
	}
	r.saw("%d reloads with other mappings and another max_in_flight, %d of them with events to come, one process; %d attempts of senders failed",
		times, working, r.failuresSince())
	return nil
}
