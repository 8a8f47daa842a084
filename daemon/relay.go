package daemon

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// relay is one way from a source through a translator to a sink.
type relay struct {
	settings   RelaySettings
	translator translate.Translator
	outlet     *outlet
	s          *sequencer
	account    *account
	room       chan struct{} // a token for each delivery in flight
	closing    chan struct{} // closed when no delivery is taken any more
	taking     sync.RWMutex  // held by whoever takes a delivery

	consulting consulting         // the translator, if it has plugins to ask
	consulted  chan *consultation // in the order of their deliveries
	entering   int                // those of them that have not entered the sequence; guarded by its lock

	rouse  chan struct{}
	roused []*parkedEvent // guarded by the sequencer's lock
}

// busyPause is what a sender is asked to wait when there is no room; the time of a few publish windows.
const busyPause = time.Second

func newRelay(settings RelaySettings, o *outlet, s *sequencer) *relay {
	r := &relay{
		settings: settings, translator: settings.Translator, outlet: o, s: s,
		account: s.metrics.account(settings.Name, settings.MaxInFlight),
		room:    make(chan struct{}, settings.MaxInFlight),
		closing: make(chan struct{}),
		rouse:   make(chan struct{}, 1),
	}
	if c, ok := settings.Translator.(consulting); ok {
		r.consulting, r.consulted = c, make(chan *consultation, settings.MaxInFlight)
	}
	return r
}

// handle takes a delivery as a [transport.Handler] does; errReplaced says that it never will.
func (r *relay) handle(ctx context.Context, d transport.Delivery) error {
	r.taking.RLock()
	defer r.taking.RUnlock()
	select {
	case <-r.closing:
		return errReplaced
	default:
	}
	select {
	case r.room <- struct{}{}:
	default:
		select {
		case r.room <- struct{}{}:
		case <-ctx.Done():
			return r.refuse()
		case <-r.closing:
			return errReplaced
		}
	}
	t := r.account.take(d, r.s.clock.Now())
	if d.Defect != nil {
		t.trace = r.s.tracing.begin(r, translate.Event{}, &d.Message, d.Message.Extensions, t.at, false)
		r.s.poison(r, t, translate.Event{}, &translate.EventError{Code: d.Defect.Code, ID: d.Message.ID, Type: d.Message.Type, Message: d.Defect.Message})
		return nil
	}
	event, err := decode(d.Message.Data)
	t.trace = r.s.tracing.begin(r, event, &d.Message, d.Message.Extensions, t.at, false)
	if err == nil && event.Protocol == r.settings.Translate {
		err = &translate.EventError{Code: CodeWrongProtocol, ID: event.ID, Type: event.Type,
			Message: fmt.Sprintf("relay %s translates to %s, and this is one already", r.settings.Name, r.settings.Translate)}
	}
	if err != nil {
		r.s.poison(r, t, event, err)
		return nil
	}
	if r.consulting != nil {
		r.consult(t, event)
		return nil
	}
	r.s.submit(r, t, event)
	return nil
}

func (r *relay) refuse() error {
	r.account.refuse()
	return &transport.BusyError{RetryAfter: busyPause}
}

// decode reads an event; a panic over bytes from outside is an error like any other.
func decode(text []byte) (e translate.Event, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{value: p}
		}
	}()
	return translate.Decode(text)
}

func (r *relay) release(n int) {
	r.account.place(-n)
	for range n {
		<-r.room
	}
}

func synthesized(events []translate.Event) (n int) {
	for _, e := range events {
		if e.Synthesized {
			n++
		}
	}
	return n
}

// messages are events as a sink wants them.
func messages(events []translate.Event, passed map[string]string) []transport.Message {
	if len(events) == 0 {
		return nil
	}
	out := make([]transport.Message, len(events))
	for i, e := range events {
		out[i] = transport.Message{
			Protocol: transport.Protocol(e.Protocol.String()), ID: e.ID, Source: e.Source, Type: e.Type, Subject: e.Subject,
			Time:   time.UnixMilli(e.Time).UTC().Format("2006-01-02T15:04:05.000Z"),
			Schema: e.Schema, Tag: e.Tag, DomainID: e.DomainID, Extensions: passed, Data: e.JSON,
		}
	}
	return out
}

// maxTraceContext bounds the trace context that is passed on, in bytes. It has no part in the event, and what is longer breaks
// receivers: headers of AMQP must fit into one frame, and those of HTTP into a few KiB.
const maxTraceContext = 4096

// passedOn are the extensions that go from a message to what it becomes.
func passedOn(extensions map[string]string) map[string]string {
	var out map[string]string
	for _, name := range []string{"traceparent", "tracestate"} {
		if v, ok := extensions[name]; ok && len(v) <= maxTraceContext {
			if out == nil {
				out = map[string]string{}
			}
			out[name] = v
		}
	}
	return out
}
