package amqp091

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eiffelbridge/eiffelbridge/internal/rabbittest"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

// TestFailures ill-treats a broker of its own, one part after the other.
func TestFailures(t *testing.T) {
	if testing.Short() {
		t.Skip("restarts a broker")
	}
	server := rabbittest.ForTest(t)
	noGoroutines(t)
	// A quorum queue that is younger than a second or two does not survive a SIGKILL of its only node: RabbitMQ 3.10 has not yet
	// synced who its members are, and it never elects a leader again. So the part that comes last declares first.
	for _, s := range killedSettings(t, server) {
		declare(t, server, s)
	}
	for _, part := range []struct {
		name string
		run  func(*testing.T, *rabbittest.Server)
	}{
		{"Oversized", testOversized},
		{"ConnectionsClosed", testConnectionsClosed},
		{"HeldTooLong", testHeldTooLong},
		{"GivenUp", testGivenUp},
		{"Alarm", testAlarm},
		{"Paused", testPaused},
		{"Killed", testKilled},
	} {
		t.Run(part.name, func(t *testing.T) { part.run(t, server) })
	}
}

// testOversized has a message cost the channel, and only that message fail for good.
func testOversized(t *testing.T, server *rabbittest.Server) {
	ctl(t, server, "eval", "application:set_env(rabbit, max_message_size, 5000).")
	defer ctl(t, server, "eval", "application:set_env(rabbit, max_message_size, 134217728).")
	s := testSettings(t, server)
	declare(t, server, s)
	sink := startSink(t, s)
	big := eiffelMessage
	big.Data = []byte(`"` + strings.Repeat("x", 5999) + `"`)
	messages := append(numbered(0, 20), big)
	messages = append(messages, numbered(20, 40)...)
	for _, limitIsKnown := range []bool{false, true} {
		for i, err := range publish(t, sink, messages...) {
			switch {
			case i == 20:
				if !transport.IsPermanent(err) || !strings.Contains(err.Error(), "6001 bytes are more than the broker's max_message_size of 5000") {
					t.Errorf("the oversized one: %v", err)
				}
			case limitIsKnown && err != nil:
				t.Errorf("message %d: %v", i, err)
			case transport.IsPermanent(err):
				t.Errorf("message %d: %v", i, err)
			}
		}
	}
}

// retryingSender is the relay's part: it publishes again what fails in a way that is worth it, in steps of a window.
func retryingSender(tb testing.TB, sink *Sink, messages []transport.Message, failures func(error)) {
	for len(messages) > 0 {
		var again []transport.Message
		for start := 0; start < len(messages); start += 100 {
			part := messages[start:min(start+100, len(messages))]
			if len(again) > 0 {
				time.Sleep(10 * time.Millisecond)
			}
			for i, err := range publish(tb, sink, part...) {
				if transport.IsPermanent(err) {
					tb.Errorf("%v", err)
				} else if err != nil {
					failures(err)
					again = append(again, part[i])
				}
			}
		}
		if messages = again; len(again) > 0 {
			time.Sleep(50 * time.Millisecond)
		}
	}
}

func testConnectionsClosed(t *testing.T, server *rabbittest.Server) {
	s := testSettings(t, server)
	var mu sync.Mutex
	got := map[int]int{}
	source := startSource(t, s, func(_ context.Context, d transport.Delivery) error {
		mu.Lock()
		defer mu.Unlock()
		got[number(t, d.Message)]++
		d.Settle(transport.Settlement{Outcome: transport.Accepted})
		return nil
	})
	eventually(t, "consuming", func() bool { return source.Health() == nil })
	sink := startSink(t, s)
	var sender sync.WaitGroup
	stop := make(chan struct{})
	sent, failed := 0, 0
	sender.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				retryingSender(t, sink, numbered(sent, sent+100), func(err error) {
					if failed++; strings.Contains(err.Error(), "lost") && !strings.Contains(err.Error(), "320 CONNECTION_FORCED") {
						t.Errorf("the reason is missing: %v", err)
					}
				})
				sent += 100
			}
		}
	})
	ctl(t, server, "close_all_connections", "test")
	time.Sleep(200 * time.Millisecond)
	close(stop)
	sender.Wait()
	eventually(t, "everything", func() bool { mu.Lock(); defer mu.Unlock(); return len(got) == sent })
	t.Logf("%d sent, %d failed on the way", sent, failed)
	if source.Health() != nil || sink.Health() != nil {
		t.Errorf("health: %v, %v", source.Health(), sink.Health())
	}
}

// testHeldTooLong has the broker close the channel of a consumer that keeps a delivery for longer than consumer_timeout.
func testHeldTooLong(t *testing.T, server *rabbittest.Server) {
	ctl(t, server, "eval", "application:set_env(rabbit, consumer_timeout, 500), application:set_env(rabbit, channel_tick_interval, 200).")
	defer ctl(t, server, "eval", "application:set_env(rabbit, consumer_timeout, 1800000), application:set_env(rabbit, channel_tick_interval, 60000).")
	s := testSettings(t, server)
	ch := declare(t, server, s)
	mustPublish(t, startSink(t, s), numbered(0, 20)...)
	log := &lockedLog{}
	source, err := NewSource(s, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	box := newInbox()
	ctx, stop := context.WithCancel(t.Context())
	received := make(chan error, 1)
	go func() { received <- source.Receive(ctx, box.handle) }()
	kept := box.next(t)
	for n := 1; n < 20; n++ {
		box.next(t).Settle(transport.Settlement{Outcome: transport.Accepted})
	}
	// The others were not acknowledged yet: the first stands before them.
	for n := range 20 {
		again := box.next(t)
		kept.Settle(transport.Settlement{Outcome: transport.Accepted}) // of another channel
		if number(t, again.Message) != n || !again.Redelivered {
			t.Errorf("%s came in place of %d, redelivered %v", again.Message.Data, n, again.Redelivered)
		}
		again.Settle(transport.Settlement{Outcome: transport.Accepted})
	}
	if !strings.Contains(log.String(), "consumer lost") || !strings.Contains(log.String(), "timeout") {
		t.Errorf("the log: %s", log)
	}
	stop()
	if err := <-received; err != nil {
		t.Error(err)
	}
	if d, ok, err := ch.Get(s.Queue, true); ok || err != nil {
		t.Errorf("acknowledged, and still in the queue: %s, %v", d.Body, err)
	}
}

// testGivenUp has the broker give up a message that costs every consumer its connection. There is no queue for it at first, and it must
// not be lost for that.
func testGivenUp(t *testing.T, server *rabbittest.Server) {
	ctl(t, server, "eval", "application:set_env(rabbit, dead_letter_worker_publisher_confirm_timeout, 300).")
	p, err := newProxy(server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer p.end()
	s := testSettings(t, server)
	s.DeadLetterExchange, s.DeliveryLimit = t.Name()+"-dead", 2
	own := s
	own.URL = "amqp://guest:guest@" + p.Addr().String() + "/"
	var mu sync.Mutex
	deliveries := map[int]int{}
	source := startSource(t, own, func(_ context.Context, d transport.Delivery) error {
		mu.Lock()
		defer mu.Unlock()
		n := number(t, d.Message)
		if deliveries[n]++; n == 0 {
			return p.Break()
		}
		d.Settle(transport.Settlement{Outcome: transport.Accepted})
		return nil
	})
	eventually(t, "consuming", func() bool { return source.Health() == nil })
	sink := startSink(t, s)
	mustPublish(t, sink, numbered(0, 1)...)
	eventually(t, "the broker to give it up", func() bool { mu.Lock(); defer mu.Unlock(); return deliveries[0] > s.DeliveryLimit })
	// Not before: each connection that it costs counts as a delivery of the others that are open on it.
	mustPublish(t, sink, numbered(1, 2)...)
	eventually(t, "the other message", func() bool { mu.Lock(); defer mu.Unlock(); return deliveries[1] > 0 })

	ch := foreign(t, server)
	time.Sleep(500 * time.Millisecond) // the broker tries in vain
	if _, err := ch.QueueDeclare(t.Name()+"-dead", true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	if err := ch.QueueBind(t.Name()+"-dead", "#", s.DeadLetterExchange, false, nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the one that was given up", func() bool {
		d, ok, err := ch.Get(t.Name()+"-dead", true)
		if err != nil {
			t.Fatal(err)
		}
		if ok && (number(t, transport.Message{Data: d.Body}) != 0 || !strings.Contains(fmt.Sprint(d.Headers), "delivery_limit")) {
			t.Errorf("%s with %v", d.Body, d.Headers)
		}
		return ok
	})
	mu.Lock()
	defer mu.Unlock()
	if deliveries[0] != 3 {
		t.Errorf("delivered %d times with delivery_limit 2", deliveries[0])
	}
}

func testAlarm(t *testing.T, server *rabbittest.Server) {
	s := testSettings(t, server)
	s.PublishTimeout = time.Second
	declare(t, server, s)
	sink := startSink(t, s)
	mustPublish(t, sink, numbered(0, 10)...)
	ctl(t, server, "set_vm_memory_high_watermark", "absolute", "1")
	relieved := false
	relieve := func() {
		if !relieved {
			relieved = true
			ctl(t, server, "set_vm_memory_high_watermark", "0.6")
		}
	}
	defer relieve()
	time.Sleep(500 * time.Millisecond) // until every connection knows
	// The first ones meet the alarm; they wait for their timeout, for it might have been short.
	for _, err := range publish(t, sink, numbered(10, 15)...) {
		if err == nil || transport.IsPermanent(err) || !strings.Contains(err.Error(), "the broker takes no messages: low on memory") {
			t.Fatalf("%v", err)
		}
	}
	if err := sink.Health(); err == nil || !strings.Contains(err.Error(), "memory") {
		t.Errorf("health: %v", err)
	}
	session := func() *publishing {
		sink.mu.Lock()
		defer sink.mu.Unlock()
		return sink.session
	}
	blocked := session()
	began := time.Now()
	for _, err := range publish(t, sink, numbered(15, 15+3*s.ConfirmWindow)...) {
		if err == nil {
			t.Fatal("published under an alarm")
		}
	}
	if d := time.Since(began); d > s.PublishTimeout/2 {
		t.Errorf("a sink without hope took %v to fail", d)
	}
	time.Sleep(2 * s.PublishTimeout)
	if session() != blocked {
		t.Error("an alarm is no reason to connect anew")
	}
	relieve()
	eventually(t, "health", func() bool { return sink.Health() == nil })
	mustPublish(t, sink, numbered(10, 10+2*s.ConfirmWindow)...)
}

// testPaused stops the broker's process, which leaves its connections open.
func testPaused(t *testing.T, server *rabbittest.Server) {
	s := testSettings(t, server)
	s.PublishTimeout, s.Heartbeat, s.ConfirmWindow = time.Second, 2*time.Second, 4
	box := newInbox()
	source := startSource(t, s, box.handle)
	eventually(t, "consuming", func() bool { return source.Health() == nil })
	sink := startSink(t, s)
	mustPublish(t, sink, numbered(0, 1)...)
	d := box.next(t)
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	defer server.Resume()
	d.Settle(transport.Settlement{Outcome: transport.Accepted})

	// Four find a place in the window and wait; the others give up with ctx.
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	big := numbered(1, 7)
	for i := range big { // more than the sockets' buffers hold, so that a write gets stuck
		big[i].Data = fmt.Appendf(nil, `"%s"`, strings.Repeat("x", 8<<20))
	}
	began := time.Now()
	for i, err := range publishContext(t, ctx, sink, big...) {
		// On a busy machine the heartbeat may find out before the watchdog does.
		if i < 4 && (err == nil || !strings.Contains(err.Error(), "no confirm within 1s") && !strings.Contains(err.Error(), "connection lost before the confirm")) {
			t.Errorf("message %d: %v", i, err)
		}
		if i >= 4 && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("message %d: %v", i, err)
		}
	}
	if d := time.Since(began); d > patience/4 {
		t.Errorf("a hung broker was found after %v", d)
	}
	if sink.Health() == nil {
		t.Error("healthy without a broker")
	}
	eventually(t, "the source to find out by the heartbeat", func() bool { return source.Health() != nil })
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "health", func() bool { return sink.Health() == nil && source.Health() == nil })
	retryingSender(t, sink, numbered(10, 12), func(error) {})
	seen := map[int]bool{}
	eventually(t, "both", func() bool {
		select {
		case d := <-box.got:
			if len(d.Message.Data) < 100 {
				seen[number(t, d.Message)] = true
			}
			d.Settle(transport.Settlement{Outcome: transport.Accepted})
		default:
		}
		return seen[10] && seen[11]
	})
	// With everything settled, nothing is left to wait for.
	source.stop()
	if err := source.wait(t); err != nil {
		t.Error(err)
	}
}

func killedSettings(tb testing.TB, server *rabbittest.Server) [2]Settings {
	s := testSettings(tb, server)
	s.Heartbeat = 2 * time.Second
	s.Exchange, s.Queue = "killed", "killed"
	consumed := s
	consumed.Queue = "killed-consumed"
	return [2]Settings{s, consumed}
}

// testKilled kills the broker in the middle of 5,000 messages, with a consumer at work as well.
func testKilled(t *testing.T, server *rabbittest.Server) {
	both := killedSettings(t, server)
	s, consumed := both[0], both[1]
	const total = 5000
	var mu sync.Mutex
	got := map[int]int{}
	var old []transport.Delivery // not settled before the broker died
	hoard := true
	source := startSource(t, consumed, func(_ context.Context, d transport.Delivery) error {
		mu.Lock()
		defer mu.Unlock()
		n := number(t, d.Message)
		if n%10 == 0 && hoard {
			old = append(old, d)
			return nil
		}
		got[n]++
		d.Settle(transport.Settlement{Outcome: transport.Accepted})
		return nil
	})
	eventually(t, "consuming", func() bool { return source.Health() == nil })
	sink := startSink(t, s)

	failed := map[string]int{}
	var sender sync.WaitGroup
	sender.Go(func() {
		retryingSender(t, sink, numbered(0, total), func(err error) { failed[err.Error()]++ })
	})
	eventually(t, "some deliveries", func() bool { mu.Lock(); defer mu.Unlock(); return len(got) > 500 })
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the loss to be seen", func() bool { return sink.Health() != nil && source.Health() != nil })
	mu.Lock()
	hoard = false
	mu.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	if err := server.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	eventually(t, "consuming again", func() bool { return source.Health() == nil })
	// The tags of these mean other deliveries by now. Settling them must have no effect.
	mu.Lock()
	for _, d := range old {
		d.Settle(transport.Settlement{Outcome: transport.Accepted})
	}
	late := len(old)
	mu.Unlock()
	sender.Wait()
	eventually(t, "everything to be consumed", func() bool { mu.Lock(); defer mu.Unlock(); return len(got) == total })
	t.Logf("%d late settlements, %d kinds of failures", late, len(failed))
	for text, n := range failed {
		t.Logf("%d: %s", n, text)
	}
	if late == 0 || len(failed) == 0 {
		t.Error("the broker died too early or too late to tell anything")
	}

	// The other queue has had no consumer: every id must be in it.
	ch := declare(t, server, s)
	ids := map[string]int{}
	for {
		d, ok, err := ch.Get(s.Queue, true)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		ids[d.MessageId]++
	}
	double := 0
	for i := range total {
		if n := ids[strconv.Itoa(i)]; n == 0 {
			t.Errorf("message %d is lost", i)
		} else {
			double += n - 1
		}
	}
	t.Logf("%d duplicates", double)
}
