package deadletters

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/eiffelbridge/eiffelbridge/internal/rabbittest"
)

func TestMain(m *testing.M) { os.Exit(rabbittest.Main(m)) }

// channel is a client that knows nothing of the bridge.
func channel(t *testing.T) *amqp.Channel {
	t.Helper()
	conn, err := amqp.Dial(rabbittest.Shared(t).URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

// TestNoQueue has nobody bind a queue: that is a failure, and the letter goes out once there is one.
func TestNoQueue(t *testing.T) {
	s := brokerSettings(t)
	s.Queue = ""
	x := openExchange(t, s, ExchangeOptions{})
	l := letter("a")
	l.Relay = "to.eiffel"
	if err := x.Append(t.Context(), l); err == nil || !strings.Contains(err.Error(), "unroutable") {
		t.Fatalf("without a queue: %v", err)
	}
	ch := channel(t)
	q, err := ch.QueueDeclare("", false, true, true, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := ch.QueueBind(q.Name, "to_eiffel.invalid", s.Exchange, false, nil); err != nil {
		t.Fatal(err)
	}
	add(t, x, l)
	if d, ok, err := ch.Get(q.Name, true); err != nil || !ok || string(d.Body) != "a" {
		t.Errorf("%+v %v %v", d, ok, err)
	}
	if err := x.Scan(t.Context(), func(Letter) error { return nil }); err == nil {
		t.Error("it was read without a queue")
	}
	if _, n := x.Size(); n != -1 {
		t.Errorf("%d letters", n)
	}
}

// TestMessage looks at a letter as somebody does who knows nothing of the bridge.
func TestMessage(t *testing.T) {
	s := brokerSettings(t)
	x := openExchange(t, s, ExchangeOptions{Now: func() time.Time { return time.Date(2026, 3, 1, 8, 0, 0, 5e6, time.UTC) }})
	l := named("1", `{"a": 1}`)
	l.Relay, l.Message = "to.eiffel", strings.Repeat("é", maxHeader)
	add(t, x, l, letter("no JSON"))
	ch := channel(t)
	d, ok, err := ch.Get(s.Queue, true)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if d.MessageId != ID(l) || d.RoutingKey != "to_eiffel.invalid" || d.DeliveryMode != amqp.Persistent || d.ContentType != "application/json" ||
		d.AppId != "eiffelbridge" || string(d.Body) != `{"a": 1}` || d.Timestamp.Unix() != 1772352000 {
		t.Errorf("%+v", d)
	}
	want := amqp.Table{
		"letter-id": ID(l), "letter-version": Version(l), "letter-relay": "to.eiffel", "letter-direction": "eiffel", "letter-code": "invalid",
		"letter-pointer": "/subject", "letter-event-id": "1", "letter-event-type": "dev.cdevents.x", "letter-source": "/ci",
		"letter-time": "2026-03-01T08:00:00.005Z", "letter-received": "2026-01-02T03:04:05Z", "letter-attempts": int64(2), "letter-ext-traceparent": "x",
		"letter-message": strings.Repeat("é", maxHeader/2),
	}
	for name, value := range want {
		if d.Headers[name] != value {
			t.Errorf("%s: %v", name, d.Headers[name])
		}
	}
	delete(d.Headers, "x-delivery-count") // the queue's own
	if len(d.Headers) != len(want) {
		t.Errorf("headers %v", d.Headers)
	}
	if d, ok, err := ch.Get(s.Queue, true); err != nil || !ok || d.ContentType != "application/octet-stream" {
		t.Errorf("%+v %v %v", d, ok, err)
	}
	if queue, err := ch.QueueDeclare(s.Queue, true, false, false, false, amqp.Table{"x-queue-type": "quorum"}); err != nil {
		t.Errorf("the queue is not a quorum queue: %+v %v", queue, err)
	}
}

// TestQueueIsDeletedUnderUs loses what was in it, but no further letter.
func TestQueueIsDeletedUnderUs(t *testing.T) {
	s := brokerSettings(t)
	x := openExchange(t, s, ExchangeOptions{})
	add(t, x, letter("a"))
	if _, err := channel(t).QueueDelete(s.Queue, false, false, false); err != nil {
		t.Fatal(err)
	}
	// The first attempt finds out; whoever made it tries again.
	for err := errors.New("not yet"); err != nil; time.Sleep(5 * time.Millisecond) {
		if err = x.Append(t.Context(), letter("b")); err != nil && t.Context().Err() != nil {
			t.Fatal(err)
		}
	}
	if got := textsOf(t, x); !slices.Equal(got, []string{"b"}) {
		t.Errorf("%q", got)
	}
}

// TestSomethingElseInTheQueue is left alone.
func TestSomethingElseInTheQueue(t *testing.T) {
	s := brokerSettings(t)
	x := openExchange(t, s, ExchangeOptions{})
	add(t, x, letter("a"))
	if err := channel(t).PublishWithContext(t.Context(), s.Exchange, "other", false, false, amqp.Publishing{Body: []byte("other")}); err != nil {
		t.Fatal(err)
	}
	ch := channel(t)
	for n := 0; n < 2; time.Sleep(time.Millisecond) {
		q, err := ch.QueueDeclarePassive(s.Queue, true, false, false, false, nil)
		if err != nil {
			t.Fatal(err)
		}
		n = q.Messages
	}
	if got := textsOf(t, x); !slices.Equal(got, []string{"a"}) {
		t.Errorf("%q", got)
	}
	if err := x.Take(t.Context(), Dropped, func(Letter) bool { return true }, nil); err != nil {
		t.Error(err)
	}
	if d, ok, err := ch.Get(s.Queue, true); err != nil || !ok || string(d.Body) != "other" {
		t.Errorf("%+v %v %v", d, ok, err)
	}
}

// TestWindow has a client repeat an event for days: it goes out again on the third, under the same id.
func TestWindow(t *testing.T) {
	now := time.Date(2026, 3, 1, 23, 0, 0, 0, time.UTC)
	s, memory := brokerSettings(t), &rememberAll{}
	options := ExchangeOptions{Memory: memory, Now: func() time.Time { return now }}
	x := openExchange(t, s, options)
	for day, messages := range []int{1, 1, 2, 2, 3} {
		add(t, x, named("1", "a"))
		if got := textsOf(t, x); len(got) != messages {
			t.Errorf("day %d: %q", day, got)
		}
		add(t, openExchange(t, s, options), named("1", "a")) // which knows by the memory alone
		if got := textsOf(t, x); len(got) != messages {
			t.Errorf("day %d, from memory: %q", day, got)
		}
		now = now.Add(24 * time.Hour)
	}
	groups, _, err := Gather(t.Context(), x, 0, nil)
	if err != nil || len(groups) != 1 || groups[0].Repeats != 2 || len(groups[0].Versions) != 1 || groups[0].LastSeen.Sub(groups[0].First()) != 96*time.Hour {
		t.Fatalf("%+v, %v", groups, err)
	}
	var sent int
	err = x.Take(t.Context(), Replayed, func(Letter) bool { return true }, func(Letter) error { sent++; return nil })
	if err != nil || sent != 1 || len(textsOf(t, x)) != 0 {
		t.Errorf("sent %d times, %v", sent, err)
	}
}

// TestMemoryFails: the letter is out, and it is not settled, and it does not go out again when it is tried again.
func TestMemoryFails(t *testing.T) {
	s, memory := brokerSettings(t), &rememberAll{}
	x := openExchange(t, s, ExchangeOptions{Memory: memory})
	full := errors.New("disk full")
	memory.fail = full
	if err := x.Append(t.Context(), letter("a")); !errors.Is(err, full) {
		t.Fatalf("%v", err)
	}
	memory.mu.Lock()
	memory.fail = nil
	memory.mu.Unlock()
	add(t, x, letter("a"), letter("a"))
	if n := len(textsOf(t, x)); n != 1 {
		t.Errorf("%d letters", n)
	}
}

func TestSizeOfAnExchange(t *testing.T) {
	s := brokerSettings(t)
	at := time.Now()
	x := openExchange(t, s, ExchangeOptions{Now: func() time.Time { return at }})
	if _, n := x.Size(); n != -1 {
		t.Errorf("%d letters before anybody asked", n)
	}
	add(t, x, letter("a"), letter("b"))
	want := func(n int) {
		t.Helper()
		for {
			x.mu.Lock()
			at = at.Add(sizeAge)
			x.mu.Unlock()
			if _, got := x.Size(); got == n {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	want(2)
	if err := x.Take(t.Context(), Dropped, func(l Letter) bool { return string(l.Event) == "a" }, nil); err != nil {
		t.Error(err)
	}
	want(1)
}

// TestBrokerIsAway has Append wait for nobody longer than its context.
func TestBrokerIsAway(t *testing.T) {
	s := brokerSettings(t)
	s.URL = "amqp://guest:secret@127.0.0.1:1/"
	x := openExchange(t, s, ExchangeOptions{})
	if err := x.Append(t.Context(), letter("a")); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
	if err := x.Health(); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("health: %v", err)
	}
	if err := ReadExchange(s).Scan(context.Background(), func(Letter) error { return nil }); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
}

// TestManyLetters are more than are in memory at once.
func TestManyLetters(t *testing.T) {
	x := openExchange(t, brokerSettings(t), ExchangeOptions{})
	const many = 1300
	var writers sync.WaitGroup
	for w := range 50 {
		writers.Go(func() {
			for i := w; i < many; i += 50 {
				add(t, x, named(fmt.Sprint(i), fmt.Sprint(i)))
			}
		})
	}
	writers.Wait()
	for range 2 { // what was read is back
		groups, more, err := Gather(t.Context(), x, 1000, nil)
		if err != nil || len(groups) != 1000 || more != many-1000 {
			t.Fatalf("%d letters and %d more, %v", len(groups), more, err)
		}
	}
	sent := 0
	err := x.Take(t.Context(), Replayed, func(l Letter) bool { return strings.HasSuffix(l.EventID, "7") }, func(Letter) error { sent++; return nil })
	if err != nil || sent != many/10 {
		t.Errorf("%d sent, %v", sent, err)
	}
	if n := len(textsOf(t, x)); n != many-sent {
		t.Errorf("%d are left", n)
	}
}

// TestReplayThatIsRefusedAgain: the letter of an event that is refused once more, while others are still replayed, stays.
func TestReplayThatIsRefusedAgain(t *testing.T) {
	x := openExchange(t, brokerSettings(t), ExchangeOptions{})
	for range 20 {
		for _, name := range []string{"a", "b", "c", "d"} {
			l := letter(name)
			l.Replayed = true
			add(t, x, l)
		}
		err := x.Take(t.Context(), Replayed, func(Letter) bool { return true }, func(l Letter) error {
			if string(l.Event) == "a" {
				l.Replayed = true
				add(t, x, l)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if left := textsOf(t, x); len(left) != 1 || left[0] != "a" {
			t.Fatalf("what is left: %q", left)
		}
		if err := x.Take(t.Context(), Dropped, func(Letter) bool { return true }, nil); err != nil {
			t.Fatal(err)
		}
	}
}
