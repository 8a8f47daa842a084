//go:build unix

package torture

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// brokerCells are faults of the broker, and of what is declared there.
func brokerCells() []*cell {
	return []*cell{
		{name: "broker killed and restarted", ownBroker: true, process: "rabbitmq", fault: restartBroker},
		{name: "broker stopped for 30 s", ownBroker: true, process: "rabbitmq", fault: stopBroker},
		{name: "broker memory alarm", ownBroker: true, process: "rabbitmq", load: alarmedLoad, fault: raiseAlarm},
		{name: "queue deleted", process: "the queue", fault: deleteQueue, small: true,
			configure: func(c *configuration) { c.relay += ", unresolved: {timeout: 3s}" }},
		{name: "consumer cancelled", directions: []Direction{ToCDEvents}, none: "the relay consumes nothing here", process: "the consumer",
			fault: cancelConsumer, rate: 400},
		{name: "exchange missing", process: "the exchange", fault: deleteExchange},
		{name: "unroutable", directions: []Direction{ToEiffel}, none: "the relay publishes nothing here", process: "the binding",
			fault: unbind, small: true},
	}
}

func restartBroker(ctx context.Context, r *run) error {
	if err := r.server.Sync(ctx); err != nil {
		return err
	}
	r.pacer.allow(r.workload.total)
	if r.pending() == 0 {
		return fmt.Errorf("%w: nothing was under way", errFault)
	}
	if err := r.server.Kill(); err != nil {
		return err
	}
	killed := time.Now()
	if err := r.server.Restart(ctx); err != nil {
		return err
	}
	r.over()
	return r.sawOutage("the broker was gone for %.1f s", killed)
}

func stopBroker(ctx context.Context, r *run) error {
	r.pacer.allow(r.workload.total)
	if r.pending() == 0 {
		return fmt.Errorf("%w: nothing was under way", errFault)
	}
	if err := r.server.Stop(); err != nil {
		return err
	}
	stopped := time.Now()
	if err := sleep(ctx, 30*time.Second); err != nil {
		return err
	}
	if err := r.server.Restart(ctx); err != nil {
		return err
	}
	r.over()
	return r.sawOutage("the broker was gone for %.1f s", stopped)
}

// pending is how many events of the workload have not come out yet, roughly: some become several, some none.
func (r *run) pending() int { return max(0, r.workload.total-r.recorder.count()) }

// sawOutage notes an outage, in which nothing can have come, and that the senders or the relay noticed it.
func (r *run) sawOutage(format string, since time.Time) error {
	gone := time.Since(since)
	if n := r.recorder.between(since.Add(500*time.Millisecond), time.Now().Add(-100*time.Millisecond)); n > 0 && gone > time.Second {
		return fmt.Errorf("%w: %d events came meanwhile", errFault, n)
	}
	warnings := r.relay.log.count("level=WARN")
	if warnings == 0 {
		return fmt.Errorf("%w: the relay's log says nothing of it", errFault)
	}
	r.saw(format+"; %d attempts of senders failed; the relay warned %d times", gone.Seconds(), r.failuresSince(), warnings)
	return nil
}

// alarms counts what the sender's broker told it of alarms; it is the load's, to_cdevents only.
func alarmedLoad(r *run) load {
	if r.direction == ToEiffel {
		return newHTTPLoad(r.relay.listen, 48)
	}
	l := newAMQPLoad(r.server.URL(), r.exchange, 32)
	l.blocked = func(b amqp.Blocking) {
		if b.Active {
			r.alarmed.Add(1)
		}
	}
	return l
}

func raiseAlarm(ctx context.Context, r *run) error {
	r.pacer.allow(r.workload.total)
	if _, err := r.server.Ctl(ctx, "set_vm_memory_high_watermark", "absolute", "1"); err != nil {
		return err
	}
	raised := time.Now()
	told := "the sender was told of the alarm"
	var err error
	if r.direction == ToEiffel {
		told = "/readyz told of the alarm"
		err = r.waitFor(ctx, "/readyz to tell of the alarm", func() bool {
			text, err := r.relay.get(ctx, "/readyz")
			return err != nil && strings.Contains(string(text), "low on memory")
		})
	} else {
		err = r.waitFor(ctx, "the broker to tell the sender of the alarm", func() bool { return r.alarmed.Load() > 0 })
	}
	if err == nil {
		err = sleep(ctx, 8*time.Second)
	}
	// Nothing more is published; what is in the queue is still consumed.
	n := r.recorder.between(time.Now().Add(-3*time.Second), time.Now())
	if _, lower := r.server.Ctl(context.WithoutCancel(ctx), "set_vm_memory_high_watermark", "0.4"); lower != nil {
		return errors.Join(err, lower)
	}
	r.over()
	if err != nil {
		return err
	}
	if n > 0 {
		return fmt.Errorf("%w: %d events came under the alarm", errFault, n)
	}
	r.saw("%s, %.1f s; %d attempts of senders failed", told, time.Since(raised).Seconds(), r.failuresSince())
	return nil
}

// deleteQueue deletes the queue that the relay consumes, or the one that it publishes into, with messages in it.
func deleteQueue(ctx context.Context, r *run) error {
	var thrown int
	remove := func(queue string) error {
		return withChannel(r.server.URL(), func(channel *amqp.Channel) (err error) {
			thrown, err = channel.QueueDelete(queue, false, false, false)
			return err
		})
	}
	if r.direction == ToEiffel {
		// Nobody consumes for a moment, so that there is something to throw away.
		r.watcher.hold()
		r.watcher.disconnect()
		from := r.settled()
		if err := r.waitAccepted(ctx, from+r.workload.total/20); err != nil {
			return err
		}
		if err := remove(r.watcher.queue); err != nil {
			return err
		}
		r.queueDeleted = time.Now()
		if err := sleep(ctx, 3*time.Second); err != nil {
			return err
		}
		r.watcher.release()
		r.over()
	} else {
		// A slow sink lets a backlog grow in the queue.
		r.sink.behave(func(w http.ResponseWriter, _ *http.Request, note func()) {
			time.Sleep(200 * time.Millisecond)
			note()
			w.WriteHeader(http.StatusAccepted)
		})
		from := r.settled()
		if err := r.waitAccepted(ctx, from+r.workload.total/5); err != nil {
			return err
		}
		if err := remove(r.queue()); err != nil {
			return err
		}
		r.queueDeleted = time.Now()
		r.sink.behave(nil)
		r.over()
		if err := r.waitFor(ctx, "the relay to notice", func() bool { return r.relay.log.count("consumer lost") > 0 }); err != nil {
			return err
		}
	}
	r.thrown = thrown
	r.saw("deleted with %d messages in it, says the broker; %d attempts of senders failed, last %q", thrown, r.failuresSince(), r.load.tally().last())
	if r.direction == ToEiffel && r.relay.log.count("sink does not take events") == 0 {
		return fmt.Errorf("%w: the relay's log says nothing of it", errFault)
	}
	return nil
}

// cancelConsumer has the broker's channel tell the relay that its consumer is cancelled, as it does when the node of a queue
// goes away, which takes a cluster.
func cancelConsumer(ctx context.Context, r *run) error {
	const most = 5
	r.pacer.allow(r.workload.total)
	times := 0
	for ; times < most && (times == 0 || r.settled() < r.workload.total*3/4); times++ {
		before, consuming := r.relay.log.count("the broker cancelled the consumer"), r.relay.log.count("msg=consuming")
		out, err := r.server.Ctl(ctx, "eval", fmt.Sprintf(`
			Q = rabbit_misc:r(<<"/">>, queue, <<%q>>),
			All = [{proplists:get_value(channel_pid, C), proplists:get_value(consumer_tag, C)} ||
				C <- rabbit_amqqueue:consumers_all(<<"/">>), proplists:get_value(queue_name, C) =:= Q],
			[rabbit_writer:send_command(element(6, element(2, element(4, sys:get_state(P)))), {'basic.cancel', T, true}) || {P, T} <- All],
			length(All).`, r.queue()))
		if err != nil {
			return err
		}
		if strings.TrimSpace(out) != "1" {
			return fmt.Errorf("%w: %s consumers", errFault, strings.TrimSpace(out))
		}
		r.over()
		if err := r.waitFor(ctx, "the relay to be told", func() bool {
			return r.relay.log.count("the broker cancelled the consumer") > before && r.relay.log.count("msg=consuming") > consuming
		}); err != nil {
			return err
		}
		if err := r.waitDelivered(ctx, r.recorder.count()+r.workload.total/40); err != nil {
			return err
		}
	}
	r.saw("cancelled %d times, and the relay's log says so", times)
	return nil
}

// deleteExchange deletes the exchange, and all bindings with it. A sink declares it anew; whoever else consumes from it must bind
// their queue again. A source declares and binds what is its own.
func deleteExchange(ctx context.Context, r *run) error {
	r.pacer.allow(r.workload.total)
	change := func(do func(*amqp.Channel) error) error { return withChannel(r.server.URL(), do) }
	if err := change(func(c *amqp.Channel) error { return c.ExchangeDelete(r.exchange, false, false) }); err != nil {
		return err
	}
	deleted := time.Now()
	if r.direction == ToCDEvents {
		if err := r.waitFor(ctx, "the senders to notice", func() bool { return r.failuresSince() > 0 }); err != nil {
			return err
		}
		from := r.settled()
		if err := r.waitAccepted(ctx, from+r.workload.total/40); err != nil {
			return err
		}
		r.over()
		r.saw("%d attempts of senders failed; the relay declared and bound it anew within %.1f s", r.failuresSince(), time.Since(deleted).Seconds())
		return nil
	}
	if err := sleep(ctx, 3*time.Second); err != nil {
		return err
	}
	if r.relay.log.count("sink does not take events") == 0 {
		return fmt.Errorf("%w: the relay's log says nothing of it", errFault)
	}
	if n := r.recorder.between(time.Now().Add(-time.Second), time.Now()); n > 0 {
		return fmt.Errorf("%w: %d events came without the exchange", errFault, n)
	}
	if err := change(func(c *amqp.Channel) error {
		return c.ExchangeDeclarePassive(r.exchange, "topic", true, false, false, false, nil)
	}); err != nil {
		return fmt.Errorf("the relay did not declare the exchange anew: %w", err)
	}
	if err := change(func(c *amqp.Channel) error { return c.QueueBind(r.watcher.queue, "#", r.exchange, false, nil) }); err != nil {
		return err
	}
	r.over()
	r.saw("nothing came for %.1f s; the relay declared it anew, and the owner of the queue bound that", time.Since(deleted).Seconds())
	return nil
}

func unbind(ctx context.Context, r *run) error {
	change := func(do func(*amqp.Channel) error) error { return withChannel(r.server.URL(), do) }
	if err := change(func(c *amqp.Channel) error { return c.QueueUnbind(r.watcher.queue, "#", r.exchange, nil) }); err != nil {
		return err
	}
	if err := sleep(ctx, 4*time.Second); err != nil {
		return err
	}
	n := r.recorder.between(time.Now().Add(-2*time.Second), time.Now())
	if err := change(func(c *amqp.Channel) error { return c.QueueBind(r.watcher.queue, "#", r.exchange, false, nil) }); err != nil {
		return err
	}
	r.over()
	if n > 0 {
		return fmt.Errorf("%w: %d events came without a binding", errFault, n)
	}
	if r.relay.log.count("sink does not take events") == 0 {
		return fmt.Errorf("%w: the relay's log says nothing of it", errFault)
	}
	r.saw("no queue was bound for 4 s; %d attempts of senders failed", r.failuresSince())
	return nil
}
