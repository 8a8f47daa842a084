package deadletters

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/eiffelbridge/eiffelbridge/daemon/transports/amqp091"
)

// Memory remembers which letters went out, so that they need not go out again. It is safe for concurrent use.
type Memory interface {
	// Known tells whether one of the keys was remembered.
	Known(ctx context.Context, keys ...MemoryKey) (bool, error)
	// Remember makes a key durable.
	Remember(ctx context.Context, key MemoryKey) error
}

// MemoryKey is a version of a letter that went out on a day.
type MemoryKey struct {
	ID, Version string
	Day         int64 // since 1970, UTC
}

// ExchangeOptions are the settings of an [Exchange] beside those of its broker. The zero value is a good default.
type ExchangeOptions struct {
	Memory Memory           // nil: what went out is forgotten with the process
	Now    func() time.Time // nil is time.Now
	Logger *slog.Logger     // nil: nothing is logged
}

// Exchange is the dead letters in an exchange of a broker, and in a queue that is bound to it, if one is configured. It
// is safe for concurrent use.
//
// A letter is a persistent, mandatory message whose body is the original event, byte for byte. Append returns nil once the
// broker has confirmed it; one that no queue takes is an error. Its message id is the letter's, its routing key
// RELAY.CODE, and everything else about it is in headers that begin with "letter-".
//
// A letter that went out today or yesterday does not go out again. Later, and where the memory was lost, a repeat is a
// further message with the same message id and the same letter-version.
type Exchange struct {
	settings amqp091.Settings
	memory   Memory
	now      func() time.Time
	keeper   *amqp091.Keeper

	mu     sync.Mutex // guards what follows
	closed bool
	open   map[entryKey]chan struct{}   // letters that are on their way, of which one at a time is
	recent [2]map[entryKey]recentLetter // the newest letters, twice maxRecent at most
	size   struct {
		letters int
		at      time.Time
	} // what the broker said last
	asking bool
	tasks  sync.WaitGroup
}

var _ Store = (*Exchange)(nil)

// recentLetter is one that went out.
type recentLetter struct {
	day        int64
	remembered bool // in the memory too
}

// maxRecent bounds what is known by heart, at 100 bytes each; the memory knows more.
const maxRecent = 5000

// everything binds a queue to all letters.
const everything = "#"

// OpenExchange starts to publish to the Exchange of the settings, which is declared, durable and of type topic, unless they
// say not to. If Queue is set, it is declared, of type quorum, and bound to everything. The broker may be away: Append
// waits for it. Of the other settings those of the connection count, the confirm window and the app id.
func OpenExchange(settings amqp091.Settings, opts ExchangeOptions) (*Exchange, error) {
	x := newExchange(settings, opts)
	if x.settings.Exchange == "" {
		return nil, errors.New("open the dead letters: exchange: is missing")
	}
	var err error
	if x.keeper, err = amqp091.NewKeeper(x.settings, opts.Logger); err != nil {
		return nil, fmt.Errorf("open the dead letters: %w", err)
	}
	return x, nil
}

// ReadExchange is OpenExchange for whoever only reads and ends letters: it connects when it is asked to, and Append is an error.
func ReadExchange(settings amqp091.Settings) *Exchange {
	return newExchange(settings, ExchangeOptions{})
}

func newExchange(settings amqp091.Settings, opts ExchangeOptions) *Exchange {
	settings.RoutingKey, settings.Bindings = "", []string{everything}
	x := &Exchange{settings: settings, memory: opts.Memory, now: opts.Now, open: map[entryKey]chan struct{}{}}
	if x.now == nil {
		x.now = time.Now
	}
	x.recent[0], x.recent[1] = map[entryKey]recentLetter{}, map[entryKey]recentLetter{}
	return x
}

// Where names the broker, the exchange and the queue.
func (x *Exchange) Where() string { return x.settings.String() }

// Append implements [Store].
func (x *Exchange) Append(ctx context.Context, l Letter) error {
	if x.keeper == nil {
		return errOnlyRead
	}
	l = l.complete(x.now())
	key := keyOf(l.ID, l.Version)
	done, err := x.begin(ctx, key)
	if err != nil {
		return err
	}
	defer done()
	today := x.now().Unix() / 86400
	known, remembered, err := x.known(ctx, l, key, today)
	if err != nil {
		return err
	}
	if !known {
		message, route := messageOf(l, x.settings.AppID)
		if err := x.keeper.Publish(ctx, route, message); err != nil {
			return fmt.Errorf("publish a dead letter: %w", err)
		}
		x.note(key, recentLetter{today, x.memory == nil})
	}
	if !remembered && x.memory != nil {
		if err := x.memory.Remember(ctx, MemoryKey{l.ID, l.Version, today}); err != nil {
			return fmt.Errorf("remember a dead letter: %w", err)
		}
		x.note(key, recentLetter{today, true})
	}
	return nil
}

// begin waits until no other call has the letter.
func (x *Exchange) begin(ctx context.Context, key entryKey) (done func(), err error) {
	for {
		x.mu.Lock()
		other := x.open[key]
		switch {
		case x.closed:
			x.mu.Unlock()
			return nil, ErrClosed
		case other == nil:
			mine := make(chan struct{})
			x.open[key] = mine
			x.mu.Unlock()
			return func() {
				x.mu.Lock()
				delete(x.open, key)
				x.mu.Unlock()
				close(mine)
			}, nil
		}
		x.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// known tells whether a letter is out, and whether the memory has it.
func (x *Exchange) known(ctx context.Context, l Letter, key entryKey, today int64) (known, remembered bool, err error) {
	x.mu.Lock()
	r, ok := x.recent[0][key]
	if !ok {
		r, ok = x.recent[1][key]
	}
	x.mu.Unlock()
	switch {
	case l.Replayed:
		return false, false, nil
	case ok && r.day >= today-1:
		return true, r.remembered, nil // if it is not, the call that published it failed after that
	case x.memory == nil:
		return false, false, nil
	}
	known, err = x.memory.Known(ctx, MemoryKey{l.ID, l.Version, today}, MemoryKey{l.ID, l.Version, today - 1})
	if err != nil {
		return false, false, fmt.Errorf("ask whether a dead letter is known: %w", err)
	}
	return known, known, nil
}

func (x *Exchange) note(key entryKey, r recentLetter) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.recent[0]) >= maxRecent {
		x.recent[1], x.recent[0] = x.recent[0], map[entryKey]recentLetter{}
	}
	x.recent[0][key] = r
}

// Health is nil while letters can go out.
func (x *Exchange) Health() error {
	if x.keeper == nil {
		return nil
	}
	return x.keeper.Health()
}

// sizeAge is how old the number of letters may be.
const sizeAge = 5 * time.Second

// Size is how many messages waited in the queue when the broker was asked last, which is some seconds ago; -1 if that is not
// known. It does not wait for the broker. There is no file, so there are no bytes.
func (x *Exchange) Size() (bytes int64, letters int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.keeper == nil || x.settings.Queue == "" {
		return 0, -1
	}
	if !x.closed && !x.asking && x.now().Sub(x.size.at) >= sizeAge {
		x.asking = true
		x.tasks.Go(x.askSize)
	}
	if x.size.at.IsZero() {
		return 0, -1
	}
	return 0, x.size.letters
}

func (x *Exchange) askSize() {
	ctx, cancel := context.WithTimeout(context.Background(), sizeAge)
	defer cancel()
	n, err := x.keeper.Waiting(ctx)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.asking = false
	x.size.letters, x.size.at = n, x.now()
	if err != nil {
		x.size.letters = -1
	}
}

// Scan implements [Store]. What it has looked at goes back to the queue when it ends; until then nobody else sees it.
func (x *Exchange) Scan(ctx context.Context, f func(Letter) error) error {
	return x.walk(ctx, func(l Letter) (bool, error) { return false, f(l) })
}

// Take implements [Store]. It ends a letter by acknowledging its message, copies included.
func (x *Exchange) Take(ctx context.Context, how string, want func(Letter) bool, do func(Letter) error) error {
	ended := map[entryKey]bool{} // and false for those that failed
	return x.walk(ctx, func(l Letter) (bool, error) {
		if !want(l) {
			return false, nil
		}
		key := keyOf(l.ID, l.Version)
		done, known := ended[key]
		if !known {
			done = do == nil || do(l) == nil
			ended[key] = done
		}
		return done, nil
	})
}

// walk takes every message that is in the queue as it begins. visit tells whether the letter has come to its end.
func (x *Exchange) walk(ctx context.Context, visit func(Letter) (bool, error)) error {
	if x.settings.Queue == "" {
		return errors.New("the dead letters go to an exchange without a queue of the bridge's; whoever bound a queue has them")
	}
	q, err := amqp091.OpenQueue(ctx, x.settings)
	if err != nil {
		return err
	}
	defer q.Close()
	n, err := q.Len(ctx)
	if err != nil {
		return err
	}
	return q.Read(ctx, n, func(d amqp.Delivery) error {
		l, ours := letterOf(d)
		if !ours {
			return nil
		}
		done, err := visit(l)
		if done {
			err = errors.Join(err, q.Ack(ctx, d))
		}
		return err
	})
}

// Close waits for what is on its way, for five seconds at most.
func (x *Exchange) Close() error {
	x.mu.Lock()
	closed := x.closed
	x.closed = true
	x.mu.Unlock()
	if closed || x.keeper == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := x.keeper.Close(ctx)
	x.tasks.Wait()
	return err
}

// The headers of a message.
const (
	headerPrefix    = "letter-"
	headerExtension = headerPrefix + "ext-"

	// maxHeader bounds a header's value in bytes, since all of them must fit into one frame. The whole event is in the body.
	maxHeader = 4096
)

// messageOf is a letter as a message, and its routing key.
func messageOf(l Letter, appID string) (amqp.Publishing, string) {
	h := amqp.Table{}
	set := func(name, value string) {
		if value != "" {
			h[headerPrefix+name] = cut(value, maxHeader)
		}
	}
	set("id", l.ID)
	set("version", l.Version)
	set("relay", l.Relay)
	set("direction", l.Direction)
	set("code", l.Code)
	set("pointer", l.Pointer)
	set("message", l.Message)
	set("event-id", l.EventID)
	set("event-type", l.EventType)
	set("source", l.Source)
	set("time", l.Time.UTC().Format(time.RFC3339Nano))
	if !l.Received.IsZero() {
		set("received", l.Received.UTC().Format(time.RFC3339Nano))
	}
	h[headerPrefix+"attempts"] = int64(l.Attempts)
	for name, value := range l.Extensions {
		if len(name) <= 200 {
			h[headerExtension+name] = cut(value, maxHeader)
		}
	}
	p := amqp.Publishing{
		Headers: h, DeliveryMode: amqp.Persistent, ContentType: "application/octet-stream", MessageId: l.ID, Timestamp: l.Time,
		AppId: appID, Body: l.Event,
	}
	if json.Valid(l.Event) {
		p.ContentType = "application/json"
	}
	return p, cut(word(l.Relay)+"."+word(l.Code), 255) // the longest routing key of AMQP 0-9-1
}

// letterOf reads what messageOf wrote; false if that is something else.
func letterOf(d amqp.Delivery) (Letter, bool) {
	text := func(name string) string { s, _ := d.Headers[headerPrefix+name].(string); return s }
	moment := func(name string) time.Time { t, _ := time.Parse(time.RFC3339Nano, text(name)); return t }
	l := Letter{
		ID: text("id"), Version: text("version"), Time: moment("time"), Received: moment("received"), Relay: text("relay"),
		Direction: text("direction"), Code: text("code"), Pointer: text("pointer"), Message: text("message"),
		EventID: text("event-id"), EventType: text("event-type"), Source: text("source"), Event: d.Body,
	}
	attempts, _ := d.Headers[headerPrefix+"attempts"].(int64)
	l.Attempts = int(attempts)
	for name, value := range d.Headers {
		if name, ok := strings.CutPrefix(name, headerExtension); ok {
			if l.Extensions == nil {
				l.Extensions = map[string]string{}
			}
			l.Extensions[name], _ = value.(string)
		}
	}
	return l, l.ID != ""
}

// word makes one word of a routing key.
func word(s string) string {
	if s = strings.ReplaceAll(strings.ToValidUTF8(s, "_"), ".", "_"); s == "" {
		return "_"
	}
	return s
}

// cut shortens s to at most limit bytes without cutting a character in two.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}
