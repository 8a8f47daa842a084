package amqp091

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/eiffelbridge/eiffelbridge/internal/rabbittest"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

func TestMain(m *testing.M) { os.Exit(rabbittest.Main(m)) }

// patience bounds what a test waits for: many times what it takes on an idle machine.
const patience = 60 * time.Second

// testSettings are for names of the test's own.
func testSettings(tb testing.TB, server *rabbittest.Server) Settings {
	s := DefaultSettings()
	s.URL = server.URL()
	s.Exchange, s.Queue = tb.Name(), tb.Name()
	return s
}

func testLog(tb testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(tb.Output(), &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			a.Value = slog.StringValue(time.Now().Format("15:04:05.000"))
		}
		return a
	}}))
}

func startSink(tb testing.TB, s Settings) *Sink {
	tb.Helper()
	sink, err := NewSink(s, testLog(tb))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		sink.Close(ctx)
	})
	return sink
}

// inbox is a handler that keeps deliveries.
type inbox struct {
	mu  sync.Mutex
	all []transport.Delivery
	got chan transport.Delivery
}

func newInbox() *inbox { return &inbox{got: make(chan transport.Delivery, 100_000)} }

func (b *inbox) handle(_ context.Context, d transport.Delivery) error {
	b.mu.Lock()
	b.all = append(b.all, d)
	b.mu.Unlock()
	b.got <- d
	return nil
}

func (b *inbox) next(tb testing.TB) transport.Delivery {
	tb.Helper()
	select {
	case d := <-b.got:
		return d
	case <-time.After(patience):
		tb.Fatal("no delivery")
		panic("unreachable")
	}
}

func (b *inbox) none(tb testing.TB, d time.Duration) {
	tb.Helper()
	select {
	case d := <-b.got:
		tb.Fatalf("an unexpected delivery: %s", d.Message.Data)
	case <-time.After(d):
	}
}

type receiving struct {
	*Source
	stop     context.CancelFunc
	returned chan error
}

// startSource runs a source until the test ends or stop is called.
func startSource(tb testing.TB, s Settings, handle transport.Handler) *receiving {
	tb.Helper()
	source, err := NewSource(s, testLog(tb))
	if err != nil {
		tb.Fatal(err)
	}
	source.bindingsEvery = 100 * time.Millisecond
	ctx, stop := context.WithCancel(context.Background())
	r := &receiving{source, stop, make(chan error, 1)}
	go func() { r.returned <- source.Receive(ctx, handle) }()
	tb.Cleanup(func() {
		stop()
		source.Close()
	})
	return r
}

func (r *receiving) wait(tb testing.TB) error {
	tb.Helper()
	select {
	case err := <-r.returned:
		return err
	case <-time.After(patience):
		buf := make([]byte, 1<<20)
		tb.Fatalf("Receive does not return\n%s", buf[:runtime.Stack(buf, true)])
		panic("unreachable")
	}
}

// publish waits for all answers.
func publish(tb testing.TB, sink *Sink, messages ...transport.Message) []error {
	tb.Helper()
	return publishContext(tb, context.Background(), sink, messages...)
}

func publishContext(tb testing.TB, ctx context.Context, sink *Sink, messages ...transport.Message) []error {
	tb.Helper()
	errs := make([]error, len(messages))
	answered := make([]bool, len(messages))
	var mu sync.Mutex
	var wg sync.WaitGroup
	wg.Add(len(messages))
	sink.Publish(ctx, messages, func(i int, err error) {
		mu.Lock()
		defer mu.Unlock()
		if answered[i] {
			tb.Errorf("message %d is answered twice", i)
		}
		answered[i], errs[i] = true, err
		wg.Done()
	})
	all := make(chan struct{})
	go func() { wg.Wait(); close(all) }()
	select {
	case <-all:
	case <-time.After(patience):
		tb.Fatal("Publish does not answer")
	}
	return errs
}

func mustPublish(tb testing.TB, sink *Sink, messages ...transport.Message) {
	tb.Helper()
	for i, err := range publish(tb, sink, messages...) {
		if err != nil {
			tb.Fatalf("message %d: %v", i, err)
		}
	}
}

func numbered(from, to int) []transport.Message {
	var messages []transport.Message
	for i := from; i < to; i++ {
		m := eiffelMessage
		m.ID = strconv.Itoa(i)
		m.Data = fmt.Appendf(nil, `{"n":%d}`, i)
		messages = append(messages, m)
	}
	return messages
}

func number(tb testing.TB, m transport.Message) int {
	tb.Helper()
	n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(string(m.Data), `{"n":`), "}"))
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

func eventually(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// foreign is a plain client of the library.
func foreign(tb testing.TB, server *rabbittest.Server) *amqp.Channel {
	tb.Helper()
	conn, err := amqp.Dial(server.URL())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
	ch, err := conn.Channel()
	if err != nil {
		tb.Fatal(err)
	}
	return ch
}

// declare makes the topology before there is a source.
func declare(tb testing.TB, server *rabbittest.Server, s Settings) *amqp.Channel {
	tb.Helper()
	ch := foreign(tb, server)
	if err := errors.Join(s.declareExchange(ch), s.declareQueue(ch)); err != nil {
		tb.Fatal(err)
	}
	return ch
}

func ctl(tb testing.TB, server *rabbittest.Server, args ...string) string {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err := server.Ctl(ctx, args...)
	if err != nil {
		tb.Fatalf("rabbitmqctl %v: %v\n%s", args, err, out)
	}
	return out
}

// noGoroutines fails if anything of the package or of the client library is left running after the cleanups before it.
func noGoroutines(tb testing.TB) {
	tb.Cleanup(func() {
		var stacks string
		for range 200 {
			buf := make([]byte, 1<<20)
			stacks = string(buf[:runtime.Stack(buf, true)])
			left := slices.DeleteFunc(strings.Split(stacks, "\n\n"), func(stack string) bool {
				return !strings.Contains(stack, "amqp091.(*") || strings.Contains(stack, "testing.tRunner")
			})
			if len(left) == 0 {
				return
			}
			stacks = strings.Join(left, "\n\n")
			time.Sleep(10 * time.Millisecond)
		}
		tb.Errorf("left running:\n%s", stacks)
	})
}

func TestRoundTrip(t *testing.T) {
	server := rabbittest.Shared(t)
	noGoroutines(t)
	for _, format := range []string{FormatEiffel, FormatStructured, FormatBinary} {
		t.Run(format, func(t *testing.T) {
			s := testSettings(t, server)
			s.Format = format
			s.Bindings = []string{"#"}
			box := newInbox()
			source := startSource(t, s, box.handle)
			eventually(t, "consuming", func() bool { return source.Health() == nil })
			sink := startSink(t, s)
			mustPublish(t, sink, eiffelMessage, cdMessage)
			if err := sink.Health(); err != nil {
				t.Errorf("health of the sink: %v", err)
			}
			for _, want := range []transport.Message{eiffelMessage, cdMessage} {
				if format == FormatEiffel && want.Protocol == transport.Eiffel {
					want = transport.Message{Protocol: transport.Eiffel, Data: want.Data}
				}
				d := box.next(t)
				if !reflect.DeepEqual(d.Message, want) || d.Redelivered {
					t.Errorf("got %+v\nwant %+v", d.Message, want)
				}
				d.Settle(transport.Settlement{Outcome: transport.Accepted})
			}
			if err := sink.Close(t.Context()); err != nil {
				t.Error(err)
			}
			if err := sink.Close(t.Context()); err != nil {
				t.Error(err)
			}
			if errs := publish(t, sink, eiffelMessage); errs[0] == nil || transport.IsPermanent(errs[0]) || sink.Health() == nil {
				t.Errorf("after Close: %v", errs[0])
			}
			source.stop()
			if err := source.wait(t); err != nil {
				t.Error(err)
			}
			if err := errors.Join(source.Close(), source.Close()); err != nil {
				t.Error(err)
			}
			if err := source.Receive(t.Context(), box.handle); err == nil || source.Health() == nil {
				t.Error("a closed source receives")
			}
		})
	}
}

// TestWire looks at what arrives with a client that knows nothing of this package.
func TestWire(t *testing.T) {
	server := rabbittest.Shared(t)
	s := testSettings(t, server)
	ch := foreign(t, server)
	if err := ch.ExchangeDeclare(s.Exchange, "topic", true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	q, err := ch.QueueDeclare("", false, true, true, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"eiffel.artifact.*.*.#", "dev.#"} {
		if err := ch.QueueBind(q.Name, key, s.Exchange, false, nil); err != nil {
			t.Fatal(err)
		}
	}
	deliveries, err := ch.Consume(q.Name, "", true, true, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	next := func() amqp.Delivery {
		select {
		case d := <-deliveries:
			return d
		case <-time.After(patience):
			t.Fatal("nothing arrives")
			panic("unreachable")
		}
	}
	m := eiffelMessage
	m.Tag, m.DomainID = "v1.0", "example.org"
	mustPublish(t, startSink(t, s), m)
	d := next()
	if d.RoutingKey != "eiffel.artifact.EiffelArtifactDeployedEvent.v1_0.example.org" || d.DeliveryMode != amqp.Persistent ||
		d.ContentType != "application/json" || d.MessageId != m.ID || d.Type != m.Type || d.AppId != "eiffelbridge" ||
		d.Timestamp.Unix() != 1788264000 || len(d.Headers) != 1 || d.Headers["traceparent"] != m.Extensions["traceparent"] || string(d.Body) != string(m.Data) {
		t.Errorf("%+v", d)
	}
	s.Format = FormatBinary
	mustPublish(t, startSink(t, s), m, cdMessage)
	if d = next(); d.Headers["ce-type"] != "io.github.eiffel-community.EiffelArtifactDeployedEvent" || d.Headers["ce-specversion"] != "1.0" ||
		d.Headers["ce-id"] != m.ID || d.Headers["ce-source"] != m.Source || d.Headers["ce-traceparent"] == nil || string(d.Body) != string(m.Data) {
		t.Errorf("binary: %+v", d)
	}
	if d = next(); d.RoutingKey != cdMessage.Type || d.Headers["ce-type"] != cdMessage.Type || d.Headers["ce-subject"] != cdMessage.Subject {
		t.Errorf("binary CDEvent: %+v", d)
	}
	s.Format, s.RoutingKey = FormatStructured, "dev.fixed"
	mustPublish(t, startSink(t, s), cdMessage)
	if d = next(); d.RoutingKey != "dev.fixed" || d.ContentType != "application/cloudevents+json" ||
		!strings.Contains(string(d.Body), `"specversion":"1.0"`) {
		t.Errorf("structured: %+v %s", d, d.Body)
	}
}

// TestUnroutable has returns and confirms joined, whatever the order of ids and keys around them.
func TestUnroutable(t *testing.T) {
	server := rabbittest.Shared(t)
	s := testSettings(t, server)
	s.Bindings = []string{"eiffel.*.*.bound.#"}
	declare(t, server, s)
	messages := numbered(0, 600)
	for i := range messages {
		if messages[i].Tag = "bound"; i%3 == 0 {
			messages[i].Tag = "lost"
		}
		messages[i].ID = strconv.Itoa(i % 7) // ids need not be unique
	}
	sink := startSink(t, s)
	for i, err := range publish(t, sink, messages...) {
		if i%3 != 0 {
			if err != nil {
				t.Fatalf("message %d: %v", i, err)
			}
		} else if err == nil || transport.IsPermanent(err) ||
			!strings.Contains(err.Error(), `unroutable: no queue is bound for routing key "eiffel.artifact.EiffelArtifactDeployedEvent.lost._"`) {
			t.Fatalf("message %d: %v", i, err)
		}
	}
	s.Mandatory = false
	mustPublish(t, startSink(t, s), messages[0])
}

// TestOrder has several callers at once; each one's messages must keep their order.
func TestOrder(t *testing.T) {
	server := rabbittest.Shared(t)
	s := testSettings(t, server)
	ch := declare(t, server, s)
	s.ConfirmWindow = 32
	sink := startSink(t, s)
	const callers, each = 4, 500
	var wg sync.WaitGroup
	for caller := range callers {
		wg.Go(func() {
			messages := numbered(caller*each, (caller+1)*each)
			var answers sync.WaitGroup
			for len(messages) > 0 {
				n := min(7, len(messages))
				answers.Add(n)
				sink.Publish(t.Context(), messages[:n], func(_ int, err error) {
					if err != nil {
						t.Error(err)
					}
					answers.Done()
				})
				messages = messages[n:]
			}
			answers.Wait()
		})
	}
	wg.Wait()
	next := [callers]int{}
	for range callers * each {
		d, ok, err := ch.Get(s.Queue, true)
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		n := number(t, transport.Message{Data: d.Body})
		if caller := n / each; n%each != next[caller] {
			t.Fatalf("caller %d: %d comes where %d must", caller, n%each, next[caller])
		} else {
			next[caller]++
		}
	}
}

// TestAcknowledgesOnlyWhatIsSettled settles in a random order, closes in the middle, and sees what the broker makes again.
func TestAcknowledgesOnlyWhatIsSettled(t *testing.T) {
	server := rabbittest.Shared(t)
	noGoroutines(t)
	s := testSettings(t, server)
	declare(t, server, s)
	mustPublish(t, startSink(t, s), numbered(0, 200)...)

	box := newInbox()
	source := startSource(t, s, box.handle)
	deliveries := make([]transport.Delivery, 200)
	for range deliveries {
		d := box.next(t)
		deliveries[number(t, d.Message)] = d
	}
	for i, d := range deliveries {
		if number(t, box.all[i].Message) != i {
			t.Fatalf("delivery %d is out of order", i)
		}
		switch {
		case i < 40, i%5 == 1:
			d.Settle(transport.Settlement{Outcome: transport.Accepted})
			d.Settle(transport.Settlement{Outcome: transport.Accepted}) // which the interface forbids
		case i%5 == 2:
			d.Settle(transport.Settlement{Outcome: transport.Rejected, Err: errors.New("poison")})
		case i%5 == 3:
			d.Settle(transport.Settlement{Outcome: transport.Retried, RetryAfter: time.Hour})
		}
	}
	if err := source.Close(); err != nil {
		t.Fatal(err)
	}
	if err := source.wait(t); err != nil {
		t.Fatal(err)
	}
	deliveries[199].Settle(transport.Settlement{Outcome: transport.Accepted}) // too late

	// A broker may lose the last of many single acknowledgements as the channel closes (a quorum queue of RabbitMQ 3.10 does:
	// beyond 32 it sends them on in its own time), so those can come again, but none that was acknowledged with the prefix.
	again := newInbox()
	startSource(t, s, again.handle)
	twice := 0
	for want := 40; want < 200; {
		d := again.next(t)
		got := number(t, d.Message)
		for want%5 == 1 || want%5 == 2 {
			if want == got {
				twice++
				break
			}
			want++
		}
		if got != want || !d.Redelivered {
			t.Fatalf("got %d, redelivered %v; want %d", got, d.Redelivered, want)
		}
		want++
		d.Settle(transport.Settlement{Outcome: transport.Accepted})
	}
	again.none(t, 50*time.Millisecond)
	if twice > 64-32 {
		t.Errorf("%d of 64 single acknowledgements were lost", twice)
	}
}

// TestStopWaitsForSettlements ends ctx while deliveries are open.
func TestStopWaitsForSettlements(t *testing.T) {
	server := rabbittest.Shared(t)
	noGoroutines(t)
	s := testSettings(t, server)
	ch := declare(t, server, s)
	mustPublish(t, startSink(t, s), numbered(0, 10)...)
	box := newInbox()
	source := startSource(t, s, box.handle)
	var open []transport.Delivery
	for range 10 {
		open = append(open, box.next(t))
	}
	if err := source.Receive(t.Context(), box.handle); err == nil {
		t.Error("two Receives at once")
	}
	source.stop()
	select {
	case err := <-source.returned:
		t.Fatalf("Receive returns %v with deliveries open", err)
	case <-time.After(200 * time.Millisecond):
	}
	for _, d := range open[:9] {
		d.Settle(transport.Settlement{Outcome: transport.Accepted})
	}
	open[9].Settle(transport.Settlement{Outcome: transport.Retried})
	if err := source.wait(t); err != nil {
		t.Fatal(err)
	}
	if d, ok, err := ch.Get(s.Queue, true); err != nil || !ok || number(t, transport.Message{Data: d.Body}) != 9 {
		t.Errorf("the queue has %v %v %s; want the one that was retried", ok, err, d.Body)
	}
	if d, ok, err := ch.Get(s.Queue, true); ok || err != nil {
		t.Errorf("acknowledged, and still in the queue: %s, %v", d.Body, err)
	}
}

// TestRetries has deliveries come again from the source, not from the broker, and not in a hot loop.
func TestRetries(t *testing.T) {
	server := rabbittest.Shared(t)
	s := testSettings(t, server)
	s.Prefetch = 8 // retries must not keep the window shut
	declare(t, server, s)
	mustPublish(t, startSink(t, s), numbered(0, 40)...)
	var mu sync.Mutex
	seen := map[int][]time.Time{}
	allSettled := make(chan struct{})
	settled := 0
	startSource(t, s, func(_ context.Context, d transport.Delivery) error {
		mu.Lock()
		defer mu.Unlock()
		n := number(t, d.Message)
		seen[n] = append(seen[n], time.Now())
		attempt := len(seen[n])
		if d.Redelivered != (attempt > 1) {
			t.Errorf("%d, attempt %d: redelivered is %v", n, attempt, d.Redelivered)
		}
		switch {
		case n == 0 && attempt < 4:
			d.Settle(transport.Settlement{Outcome: transport.Retried, Err: errors.New("sink is down")})
		case n == 1 && attempt == 1:
			d.Settle(transport.Settlement{Outcome: transport.Retried, RetryAfter: 300 * time.Millisecond})
		default:
			d.Settle(transport.Settlement{Outcome: transport.Accepted})
			if settled++; settled == 40 {
				close(allSettled)
			}
		}
		return nil
	})
	select {
	case <-allSettled:
	case <-time.After(patience):
		t.Fatal("not all settled")
	}
	mu.Lock()
	defer mu.Unlock()
	if d := seen[1][1].Sub(seen[1][0]); d < 300*time.Millisecond {
		t.Errorf("retried after %v instead of 300ms", d)
	}
	if d := seen[0][3].Sub(seen[0][0]); len(seen[0]) != 4 || d < (50+100+200)*time.Millisecond {
		t.Errorf("%d attempts within %v", len(seen[0]), d)
	}
	if !seen[39][0].Before(seen[1][1]) {
		t.Error("the others waited for the one that is retried")
	}
}

// TestBusyHandler has a handler without room: the delivery is offered again, and nothing overtakes it.
func TestBusyHandler(t *testing.T) {
	server := rabbittest.Shared(t)
	s := testSettings(t, server)
	declare(t, server, s)
	mustPublish(t, startSink(t, s), numbered(0, 20)...)
	var order []int
	refused := 0
	finished := make(chan struct{})
	startSource(t, s, func(_ context.Context, d transport.Delivery) error {
		if n := number(t, d.Message); n%5 == 0 && refused <= n/5 {
			refused++
			return &transport.BusyError{RetryAfter: 20 * time.Millisecond}
		}
		if order = append(order, number(t, d.Message)); len(order) == 20 {
			close(finished)
		}
		d.Settle(transport.Settlement{Outcome: transport.Accepted})
		return nil
	})
	select {
	case <-finished:
	case <-time.After(patience):
		t.Fatal("not all taken")
	}
	if !slices.IsSorted(order) || refused == 0 {
		t.Errorf("%v, %d refused", order, refused)
	}
}

func TestQueueWithOtherArguments(t *testing.T) {
	server := rabbittest.Shared(t)
	noGoroutines(t)
	s := testSettings(t, server)
	s.QueueType = QueueClassic
	declare(t, server, s)
	s.QueueType = QueueQuorum
	source := startSource(t, s, newInbox().handle)
	err := source.wait(t)
	var conflict *ConflictError
	if !errors.As(err, &conflict) || conflict.Name != s.Queue || !strings.Contains(err.Error(), "x-queue-type") ||
		!strings.Contains(err.Error(), "'classic'") || !strings.Contains(err.Error(), "queue_type") || source.Health() == nil {
		t.Errorf("%v", err)
	}
	// As it is, it will do.
	s.DeclareQueue = false
	source = startSource(t, s, newInbox().handle)
	eventually(t, "consuming", func() bool { return source.Health() == nil })

	s = testSettings(t, server)
	s.Exchange += "-fanout"
	if err := foreign(t, server).ExchangeDeclare(s.Exchange, "fanout", true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	if err := startSource(t, s, newInbox().handle).wait(t); !errors.As(err, &conflict) || conflict.Kind != "exchange" {
		t.Errorf("%v", err)
	}
	sink := startSink(t, s)
	if errs := publish(t, sink, eiffelMessage); !errors.As(errs[0], &conflict) || sink.Health() == nil {
		t.Errorf("%v", errs[0])
	}
	s.DeclareExchange, s.Mandatory = false, false
	mustPublish(t, startSink(t, s), eiffelMessage)
}

// TestAllQueueArguments declares whatever can be declared, twice, since the second time the broker compares.
func TestAllQueueArguments(t *testing.T) {
	server := rabbittest.Shared(t)
	s := testSettings(t, server)
	s.DeadLetterExchange, s.DeliveryLimit, s.SingleActiveConsumer = t.Name()+"-dead", 5, true
	for range 2 {
		source := startSource(t, s, newInbox().handle)
		eventually(t, "consuming", func() bool { return source.Health() == nil })
	}
}

func TestQueueDeleted(t *testing.T) {
	server := rabbittest.Shared(t)
	s := testSettings(t, server)
	box := newInbox()
	source := startSource(t, s, box.handle)
	eventually(t, "consuming", func() bool { return source.Health() == nil })
	sink := startSink(t, s)
	mustPublish(t, sink, numbered(0, 1)...)
	old := box.next(t)
	if _, err := foreign(t, server).QueueDelete(s.Queue, false, false, false); err != nil {
		t.Fatal(err)
	}
	eventually(t, "publishing to the new queue", func() bool { return publish(t, sink, numbered(1, 2)...)[0] == nil })
	d := box.next(t)
	old.Settle(transport.Settlement{Outcome: transport.Accepted}) // must not settle the new one, whose tag is the same
	if number(t, d.Message) != 1 {
		t.Errorf("got %s", d.Message.Data)
	}
	source.Close()
	again := newInbox()
	startSource(t, s, again.handle)
	if d := again.next(t); number(t, d.Message) != 1 || !d.Redelivered {
		t.Errorf("got %s", d.Message.Data)
	}
}

// TestExchangeDeleted deletes the exchange under a sink and a source, and the bindings with it.
func TestExchangeDeleted(t *testing.T) {
	server := rabbittest.Shared(t)
	noGoroutines(t)
	s := testSettings(t, server)
	box := newInbox()
	source := startSource(t, s, box.handle)
	eventually(t, "consuming", func() bool { return source.Health() == nil })
	sink := startSink(t, s)
	reasons := map[string]bool{}
	for round := range 3 {
		if err := foreign(t, server).ExchangeDelete(s.Exchange, false, false); err != nil {
			t.Fatal(err)
		}
		retryingSender(t, sink, numbered(round*50, round*50+50), func(err error) {
			for _, known := range []string{"no exchange 'TestExchangeDeleted' in vhost '/'", "no queue is bound"} {
				if strings.Contains(err.Error(), known) {
					reasons[known] = true
				}
			}
		})
		seen := map[int]bool{}
		for len(seen) < 50 {
			d := box.next(t)
			seen[number(t, d.Message)] = true
			d.Settle(transport.Settlement{Outcome: transport.Accepted})
		}
	}
	t.Logf("reasons of failures: %v", reasons)
	if !reasons["no exchange 'TestExchangeDeleted' in vhost '/'"] {
		t.Error("the sink never met the missing exchange")
	}
	if source.Health() != nil || sink.Health() != nil {
		t.Errorf("health: %v, %v", source.Health(), sink.Health())
	}

	// One that comes back as another is nothing to go on with.
	eventually(t, "an exchange of another type", func() bool {
		ch := foreign(t, server)
		if err := ch.ExchangeDelete(s.Exchange, false, false); err != nil {
			t.Fatal(err)
		}
		return ch.ExchangeDeclare(s.Exchange, "fanout", true, false, false, false, nil) == nil // else the source was faster
	})
	var conflict *ConflictError
	if err := source.wait(t); !errors.As(err, &conflict) || conflict.Kind != "exchange" {
		t.Errorf("%v", err)
	}
	if err := foreign(t, server).ExchangeDelete(s.Exchange, false, false); err != nil {
		t.Error(err)
	}
}

// TestExchangeOfOthers has a sink that may not declare the exchange, and one that is missing at first.
func TestExchangeOfOthers(t *testing.T) {
	server := rabbittest.Shared(t)
	s := testSettings(t, server)
	s.DeclareExchange, s.Mandatory = false, false
	sink := startSink(t, s)
	if err := publish(t, sink, eiffelMessage)[0]; err == nil || transport.IsPermanent(err) || !strings.Contains(err.Error(), "NOT_FOUND") ||
		sink.Health() == nil {
		t.Errorf("%v, health %v", err, sink.Health())
	}
	if err := foreign(t, server).ExchangeDeclare(s.Exchange, "fanout", true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, "health", func() bool { return sink.Health() == nil })
	mustPublish(t, sink, eiffelMessage)
	if err := foreign(t, server).ExchangeDelete(s.Exchange, false, false); err != nil {
		t.Fatal(err)
	}
	if err := publish(t, sink, eiffelMessage)[0]; err == nil || transport.IsPermanent(err) {
		t.Errorf("published to nothing: %v", err)
	}
	eventually(t, "the loss to be seen", func() bool { return sink.Health() != nil && strings.Contains(sink.Health().Error(), "NOT_FOUND") })
}

// TestSingleActiveConsumer has two sources on one queue, which take turns when their connections break: nothing is lost, and nothing
// comes before what stands before it in the queue.
func TestSingleActiveConsumer(t *testing.T) {
	server := rabbittest.Shared(t)
	noGoroutines(t)
	s := testSettings(t, server)
	s.SingleActiveConsumer, s.Prefetch = true, 16
	declare(t, server, s)
	const total = 600
	mustPublish(t, startSink(t, s), numbered(0, total)...)

	var mu sync.Mutex
	next, repeats := 0, 0
	var proxies [2]*proxy
	served := [2]int{}
	takenOver := 0
	for i := range proxies {
		p, err := newProxy(server.Addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.end)
		proxies[i] = p
		own := s
		own.URL = "amqp://guest:guest@" + p.Addr().String() + "/"
		since := 0
		source := startSource(t, own, func(_ context.Context, d transport.Delivery) error {
			mu.Lock()
			defer mu.Unlock()
			n := number(t, d.Message)
			if n > next {
				t.Errorf("source %d: %d comes before %d", i, n, next)
			}
			if n < next {
				repeats++
			} else {
				next = n + 1
			}
			served[i]++
			since++
			if since%100 == 0 && takenOver < 5 {
				takenOver++
				return proxies[i].Break() // with this one and others not settled
			}
			d.Settle(transport.Settlement{Outcome: transport.Accepted})
			return nil
		})
		eventually(t, "consuming", func() bool { return source.Health() == nil })
	}
	eventually(t, "all of them", func() bool { mu.Lock(); defer mu.Unlock(); return next == total })
	mu.Lock()
	defer mu.Unlock()
	t.Logf("%v deliveries, %d of them repeated, %d losses of a connection", served, repeats, takenOver)
	if served[0] == 0 || served[1] == 0 || takenOver < 3 {
		t.Error("one did not take over from the other")
	}
}

// TestUnreachable needs no broker.
func TestUnreachable(t *testing.T) {
	noGoroutines(t)
	s := DefaultSettings()
	s.URL, s.Queue = "amqp://guest:guest@127.0.0.1:1/", "q"
	sink := startSink(t, s)
	for range 2 { // the first waits for the attempt, the second knows
		if errs := publish(t, sink, eiffelMessage); errs[0] == nil || transport.IsPermanent(errs[0]) ||
			!strings.Contains(errs[0].Error(), `exchange "eiffel": connecting to amqp://127.0.0.1:1/`) {
			t.Errorf("%v", errs[0])
		}
	}
	if sink.Health() == nil {
		t.Error("healthy without a broker")
	}
	source := startSource(t, s, newInbox().handle)
	eventually(t, "unhealthy", func() bool { return strings.Contains(source.Health().Error(), "127.0.0.1:1") })
	source.stop()
	if err := source.wait(t); err != nil {
		t.Error(err)
	}
	unused, err := NewSource(s, nil)
	if err != nil || unused.Health() == nil || unused.Close() != nil {
		t.Error("Close before Receive")
	}
}
