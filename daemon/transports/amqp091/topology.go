package amqp091

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"
)

// A ConflictError says that an exchange or a queue exists and is not what the settings say, or that the broker does not take
// the settings. A retry cannot help: either the
// settings or the broker must be changed.
type ConflictError struct {
	Kind, Name string // "queue" or "exchange", and its name
	Detail     string // what differs, and what to do
	Err        error  // the broker's own words
}

// Error names the thing, the difference and the remedy.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("%s %q cannot be as it is configured: %s", e.Kind, e.Name, e.Detail)
}

// Unwrap gives the broker's own error.
func (e *ConflictError) Unwrap() error { return e.Err }

// declareExchange declares the topic exchange unless the settings say not to.
func (s *Settings) declareExchange(ch *amqp.Channel) error {
	if !s.DeclareExchange || s.Exchange == "" {
		return nil
	}
	err := ch.ExchangeDeclare(s.Exchange, amqp.ExchangeTopic, true, false, false, false, nil)
	return declared("exchange", s.Exchange, err)
}

// findExchange makes sure of an exchange that others declare: otherwise a sink would be healthy without it until its next message.
func (s *Settings) findExchange(ch *amqp.Channel) error {
	if s.DeclareExchange || s.Exchange == "" {
		return nil
	}
	// The type is not looked at.
	if err := ch.ExchangeDeclarePassive(s.Exchange, amqp.ExchangeTopic, true, false, false, false, nil); err != nil {
		return fmt.Errorf("looking for exchange %q: %w", s.Exchange, err)
	}
	return nil
}

// declareQueue declares the queue and its bindings unless the settings say not to.
func (s *Settings) declareQueue(ch *amqp.Channel) error {
	if !s.DeclareQueue {
		return nil
	}
	_, err := ch.QueueDeclare(s.Queue, true, false, false, false, s.queueArguments())
	if err := declared("queue", s.Queue, err); err != nil {
		return err
	}
	return s.bind(ch)
}

func (s *Settings) bind(ch *amqp.Channel) error {
	for _, key := range s.Bindings {
		if err := ch.QueueBind(s.Queue, key, s.Exchange, false, nil); err != nil {
			return fmt.Errorf("binding queue %q to exchange %q with %q: %w", s.Queue, s.Exchange, key, err)
		}
	}
	return nil
}

// bindAgain makes sure of the exchange and the bindings.
func (s *Settings) bindAgain(l *link) error {
	ch, err := l.conn.Channel()
	if err != nil {
		return fmt.Errorf("opening a channel: %w", err)
	}
	if err := s.declareExchange(ch); err != nil {
		return err
	}
	if err := s.bind(ch); err != nil {
		return err
	}
	return ch.Close()
}

func (s *Settings) queueArguments() amqp.Table {
	args := amqp.Table{amqp.QueueTypeArg: s.QueueType}
	if s.SingleActiveConsumer {
		args["x-single-active-consumer"] = true
	}
	if s.DeliveryLimit != 0 {
		args["x-delivery-limit"] = int64(s.DeliveryLimit)
	}
	if s.DeadLetterExchange != "" {
		args["x-dead-letter-exchange"] = s.DeadLetterExchange
		if s.QueueType == QueueQuorum {
			// Otherwise a message is dropped when its dead-letter queue is out of reach. The broker takes this strategy
			// together with this overflow behaviour only.
			args["x-dead-letter-strategy"] = "at-least-once"
			args["x-overflow"] = "reject-publish"
		}
	}
	return args
}

// declareDeadLetters makes the dead-letter exchange if there is none; one that exists may be of any type. It takes the link,
// since asking for an exchange that does not exist costs the channel.
func (s *Settings) declareDeadLetters(l *link) error {
	if s.DeadLetterExchange == "" || !s.DeclareQueue {
		return nil
	}
	for _, passive := range []bool{true, false} {
		ch, err := l.conn.Channel()
		if err != nil {
			return fmt.Errorf("opening a channel: %w", err)
		}
		declare := ch.ExchangeDeclare
		if passive {
			declare = ch.ExchangeDeclarePassive
		}
		err = declare(s.DeadLetterExchange, amqp.ExchangeTopic, true, false, false, false, nil)
		if err == nil {
			return ch.Close()
		}
		if e := (*amqp.Error)(nil); !passive || !errors.As(err, &e) || e.Code != amqp.NotFound {
			return declared("exchange", s.DeadLetterExchange, err)
		}
	}
	return nil
}

// declared wraps the broker's answer to a declaration.
func declared(kind, name string, err error) error {
	if err == nil {
		return nil
	}
	if e := (*amqp.Error)(nil); errors.As(err, &e) && e.Code == amqp.PreconditionFailed {
		return &ConflictError{Kind: kind, Name: name, Detail: conflict(kind, e.Reason), Err: err}
	}
	return fmt.Errorf("declaring %s %q: %w", kind, name, err)
}

// inequivalent takes apart what RabbitMQ says of a declaration that does not fit, such as
// "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': received 'quorum' but current is 'classic'".
var inequivalent = regexp.MustCompile(`inequivalent arg '([^']*)' for .*: received (.*) but current is (.*)$`)

// settingOf names the key that an argument of a declaration comes from.
var settingOf = map[string]string{
	amqp.QueueTypeArg:          "queue_type",
	"x-single-active-consumer": "single_active_consumer",
	"x-delivery-limit":         "delivery_limit",
	"x-dead-letter-exchange":   "dead_letter_exchange",
	"x-dead-letter-strategy":   "dead_letter_exchange",
	"x-overflow":               "dead_letter_exchange",
}

func conflict(kind, reason string) string {
	asItIs := "set declare_exchange: false to use it as it is"
	if kind == "queue" {
		asItIs = "set declare_queue: false to use it as it is, or delete it (its messages go with it)"
	}
	parts := inequivalent.FindStringSubmatch(reason)
	if parts == nil {
		return strings.TrimPrefix(reason, "PRECONDITION_FAILED - ") + "; " + asItIs
	}
	argument, wanted, current := parts[1], value(parts[2]), value(parts[3])
	remedy := asItIs
	if key := settingOf[argument]; key != "" {
		remedy = fmt.Sprintf("change %s, %s", key, asItIs)
	}
	return fmt.Sprintf("%s is %s at the broker and %s in the configuration; %s", argument, current, wanted, remedy)
}

// value shortens the broker's "the value 'quorum' of type 'longstr'".
func value(s string) string {
	if s, ok := strings.CutPrefix(s, "the value "); ok {
		s, _, _ := strings.Cut(s, " of type ")
		return s
	}
	return s
}
