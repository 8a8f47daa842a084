package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/daemon/deadletters"
	"github.com/eiffelbridge/eiffelbridge/daemon/ledger"
	"github.com/eiffelbridge/eiffelbridge/daemon/transports/amqp091"
	cloudeventshttp "github.com/eiffelbridge/eiffelbridge/daemon/transports/cloudevents_http"
	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
	records "github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// The types of dead letters.
const (
	lettersFile = "file"
	lettersAMQP = "amqp091"
)

func (c *Config) checkDeadLetters() {
	l := c.DeadLetters
	foreign := func(kind string, keys ...string) {
		for _, key := range keys {
			if c.doc.Has("dead_letters." + key) {
				c.doc.Report("dead_letters."+key, "belongs to type %s", kind)
			}
		}
	}
	switch l.Type {
	case lettersFile:
		foreign(lettersAMQP, "transport", "exchange", "queue")
		if l.Path == "" {
			c.doc.Report("dead_letters.path", "is missing")
		}
	case lettersAMQP:
		foreign(lettersFile, "path")
		if l.Exchange == "" {
			c.doc.Report("dead_letters.exchange", "is missing, the topic exchange to publish to")
		}
		if c.named("dead_letters.transport", l.Transport) {
			if t := c.transports[l.Transport]; t != nil {
				c.checkLetterTransport(t)
			}
		}
	default:
		c.doc.Report("dead_letters.type", "%q is not one of %s, %s", l.Type, lettersFile, lettersAMQP)
	}
}

func (c *Config) checkLetterTransport(t transportConfig) {
	l := c.DeadLetters
	broker, ok := t.(*amqpTransport)
	if !ok {
		c.doc.Report("dead_letters.transport", "%s is not of type %s", l.Transport, lettersAMQP)
		return
	}
	used := false
	for _, r := range c.Relays {
		used = used || r.From == l.Transport || r.To == l.Transport
	}
	if !used { // otherwise it is validated with its relay
		for _, err := range split(broker.settings.Validate()) {
			key, message, _ := strings.Cut(err.Error(), ": ")
			c.doc.Report("transports."+l.Transport+"."+key, "%s", message)
		}
	}
	names := amqp091.DefaultSettings()
	names.Exchange, names.Queue = l.Exchange, l.Queue
	for _, err := range split(names.Validate()) {
		key, message, _ := strings.Cut(err.Error(), ": ")
		c.doc.Report("dead_letters."+key, "%s", message)
	}
	if l.Queue != "" && l.Queue == broker.settings.Queue {
		c.doc.Report("dead_letters.queue", "%s is the queue that transport %s consumes from", l.Queue, l.Transport)
	}
}

// DeadLetterBroker are the settings of dead letters of type amqp091, for [deadletters.ReadExchange]; false if they are of another
// type. The configuration must have no problems.
func (c *Config) DeadLetterBroker() (amqp091.Settings, bool) {
	t, ok := c.transports[c.DeadLetters.Transport].(*amqpTransport)
	if !ok || c.DeadLetters.Type != lettersAMQP {
		return amqp091.Settings{}, false
	}
	s := t.settings
	s.Exchange, s.Queue = c.DeadLetters.Exchange, c.DeadLetters.Queue
	s.ConnectionName += " dead letters"
	return s, true
}

// openLetters opens the dead letters. Those of an exchange remember in the ledger what went out.
func (c *Config) openLetters(store ledger.Store, o BuildOptions) (Letters, error) {
	if broker, ok := c.DeadLetterBroker(); ok {
		letters, err := deadletters.OpenExchange(broker, deadletters.ExchangeOptions{
			Memory: letterMemory{store}, Now: o.Clock.Now, Logger: o.Logger.With("part", "dead_letters"),
		})
		if err != nil {
			return nil, err
		}
		return letters, nil
	}
	letters, err := deadletters.Open(c.DeadLetters.Path, deadletters.Options{Now: o.Clock.Now})
	if err != nil {
		return nil, err
	}
	return letters, nil
}

// letterMemory keeps what went out among the decisions of the ledger, which are what redeliveries of an event need to know.
type letterMemory struct{ store ledger.Store }

var _ deadletters.Memory = letterMemory{}

// Known implements [deadletters.Memory].
func (m letterMemory) Known(ctx context.Context, keys ...deadletters.MemoryKey) (bool, error) {
	queries := make([]records.Query, len(keys))
	for i, k := range keys {
		queries[i] = letterQuery(k)
	}
	records, err := m.store.Read(ctx, queries)
	for _, r := range records {
		if r.Bytes != nil {
			return true, err
		}
	}
	return false, err
}

// Remember implements [deadletters.Memory].
func (m letterMemory) Remember(ctx context.Context, key deadletters.MemoryKey) error {
	return m.store.Commit(ctx, ledger.Batch{Facts: []records.Fact{{Query: letterQuery(key), Record: records.Decision{}.Encode()}}})
}

// letterQuery has a first part that no decision of a translation has, whose is eiffel or cdevents.
func letterQuery(k deadletters.MemoryKey) records.Query {
	key := []byte{'['}
	for i, part := range []string{"dead_letter", k.ID, k.Version, strconv.FormatInt(k.Day, 10)} {
		if i > 0 {
			key = append(key, ',')
		}
		key = jsondoc.AppendString(key, part)
	}
	return records.Query{Kind: records.DecisionFact, Key: string(append(key, ']'))}
}

// Replay sends events of dead letters to the relays that refused them: to the listener of a relay that is fed over HTTP, and
// over the broker into the queue of one that is fed over AMQP. It is not safe for concurrent use.
type Replay struct {
	config  *Config
	through string // a transport that is used for all of them; empty: none
	log     *slog.Logger
	sinks   map[string]transport.Sink // by the relay
}

// NewReplay starts nothing yet. The configuration must have no problems. through names a transport of type cloudevents_http whose
// target is used for all relays, with its headers and whatever else it has; empty: each relay gets its events the way that it is
// fed. A nil logger is none.
func (c *Config) NewReplay(through string, log *slog.Logger) (*Replay, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if through != "" {
		t, ok := c.transports[through].(*httpTransport)
		if !ok || t.out.Target == "" {
			return nil, fmt.Errorf("%q is no transport of type cloudevents_http with a target", through)
		}
		if err := t.out.Validate(); err != nil { // no relay may use it
			return nil, fmt.Errorf("transports.%s: %w", through, err)
		}
	}
	return &Replay{config: c, through: through, log: log, sinks: map[string]transport.Sink{}}, nil
}

// Send sends a message to a relay and waits until its transport has taken it: over HTTP until the relay has accepted or rejected it,
// over AMQP until the broker has confirmed it.
func (p *Replay) Send(ctx context.Context, relay string, m transport.Message) error {
	sink := p.sinks[relay]
	if sink == nil {
		var err error
		if sink, err = p.open(relay); err != nil {
			return err
		}
		p.sinks[relay] = sink
	}
	return Deliver(ctx, sink, m)
}

// Deliver sends one message and waits for what becomes of it.
func Deliver(ctx context.Context, sink transport.Sink, m transport.Message) error {
	answer := make(chan error, 1)
	sink.Publish(ctx, []transport.Message{m}, func(_ int, err error) { answer <- err })
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (p *Replay) open(relay string) (transport.Sink, error) {
	if p.through != "" {
		return p.config.transports[p.through].sink(p.through, BuildOptions{Logger: p.log}.withDefaults())
	}
	for _, r := range p.config.Relays {
		if r.Name != relay {
			continue
		}
		switch t := p.config.transports[r.From].(type) {
		case *httpTransport:
			url, err := urlOf(t.in.Listen)
			if err != nil {
				return nil, fmt.Errorf("transport %s: %w", r.From, err)
			}
			settings, err := t.in.SinkFor(url)
			if err != nil {
				return nil, fmt.Errorf("transport %s: %w; name a transport that posts there with --to", r.From, err)
			}
			return cloudeventshttp.NewSink(structured(settings), p.log)
		case *amqpTransport:
			s := t.settings
			// The default exchange brings a message to the queue that has the name of its routing key.
			s.Exchange, s.RoutingKey, s.Bindings, s.Format, s.Mandatory = "", s.Queue, nil, amqp091.FormatBinary, true
			s.ConnectionName += " replay"
			return amqp091.NewSink(s, p.log)
		}
		return nil, fmt.Errorf("relay %s is fed by transport %s, to which nothing can be sent; name a CloudEvents listener of another relay "+
			"of the same direction with --to or --url, or take the event out with --stdout", relay, r.From)
	}
	return nil, fmt.Errorf("there is no relay %q in the configuration; name the CloudEvents listener of another with --to or --url, or take the event "+
		"out with --stdout", relay)
}

// structured posts in structured mode, which keeps an event and its attributes together whatever is in them.
func structured(s cloudeventshttp.SinkSettings) cloudeventshttp.SinkSettings {
	s.Mode = cloudeventshttp.Structured
	return s
}

// urlOf is where to reach what listens on an address, from this machine.
func urlOf(listen string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", err
	}
	if port == "0" {
		return "", fmt.Errorf("it listens on a port that is chosen when the relay starts; name its address with --url")
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port) + "/", nil
}

// Close releases what Send has opened.
func (p *Replay) Close(ctx context.Context) error {
	var first error
	for _, sink := range p.sinks {
		if err := sink.Close(ctx); err != nil && first == nil {
			first = err
		}
	}
	return first
}
