package amqp091

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/eiffelbridge/eiffelbridge/internal/secret"
)

// The formats of a sink. A source reads all of them, message by message.
const (
	// FormatEiffel carries an Eiffel event as it is (application/json). A CDEvent, which has no such form on a bus of
	// Eiffel events, is carried as FormatStructured.
	FormatEiffel = "eiffel"
	// FormatStructured carries the event in a CloudEvents envelope (application/cloudevents+json).
	FormatStructured = "cloudevents_structured"
	// FormatBinary carries the event as it is and the CloudEvents attributes in headers with the prefix "ce-".
	FormatBinary = "cloudevents_binary"
)

// The types of the queue that a source declares.
const (
	QueueQuorum  = "quorum"
	QueueClassic = "classic"
)

const (
	maxShortString = 255   // AMQP 0-9-1, section 4.2.5.3: names, routing keys and properties
	maxPrefetch    = 65535 // basic.qos has 16 bits
	maxWindow      = 65535
)

// Settings are what a source and a sink of one broker share; each looks at its own part of them. Start from
// [DefaultSettings]. The YAML keys are the configuration's.
type Settings struct {
	// URL is the broker: amqp://user:password@host:port/vhost, or amqps:// for an encrypted connection (with TLS, or with
	// cacertfile, certfile, keyfile and server_name_indication as query parameters). It may hold a password, so it is never
	// printed as it is. It excludes URLFile and the parts from Host to PasswordFile.
	URL string `yaml:"url"`

	// URLFile is a file with the URL in it, which is read for each connection; the end of its line is cut.
	URLFile string `yaml:"url_file"`

	// Host is the broker's name or address, where it is given in parts. The parts need Username and a password, unless Auth
	// is AuthExternal.
	Host string `yaml:"host"`

	// Port is the broker's. 0 is 5672, and with TLS 5671.
	Port int `yaml:"port"`

	// VHost is the virtual host. Empty is "/".
	VHost string `yaml:"vhost"`

	// Username is the user to log in as.
	Username string `yaml:"username"`

	// Password is the user's. It is never printed. PasswordFile may stand in its place.
	Password secret.Secret `yaml:"password"`

	// PasswordFile is a file with the password in it, which is read for each connection; the end of its line is cut. So a
	// password that is changed at the broker and in the file needs no restart.
	PasswordFile string `yaml:"password_file"`

	// Auth is AuthPlain, by user and password, or AuthExternal, by the certificate that TLS shows, from which the broker takes
	// the user (RabbitMQ's plugin rabbitmq_auth_mechanism_ssl).
	Auth string `yaml:"auth"`

	// TLS has the certificates. A broker that is given by Host is spoken to over TLS if this is there; one that is given by a
	// URL needs amqps:// as well.
	TLS *TLS `yaml:"tls"`

	// ConnectionName is shown by the broker's tools, with " source" or " sink" behind it.
	ConnectionName string `yaml:"connection_name"`

	// Heartbeat is asked of the broker, in whole seconds; a broker that says nothing for one and a half of it is taken for
	// lost. A heartbeat in the URL goes before it.
	Heartbeat time.Duration `yaml:"heartbeat"`

	// Exchange is the topic exchange: the sink publishes to it, the source binds its queue to it. Empty is the broker's
	// default exchange, which needs RoutingKey and takes no bindings.
	Exchange string `yaml:"exchange"`

	// DeclareExchange declares the exchange, durable and of type topic. Without it the exchange is used as it is.
	DeclareExchange bool `yaml:"declare_exchange"`

	// Queue is what the source consumes from. A sink needs none.
	Queue string `yaml:"queue"`

	// DeclareQueue declares the queue, durable, with the arguments that follow, and its bindings. Without it the queue is
	// consumed as it is.
	DeclareQueue bool `yaml:"declare_queue"`

	// Bindings are the keys that bind the queue to the exchange.
	Bindings []string `yaml:"bindings"`

	// QueueType is the type of the queue that is declared: QueueQuorum or QueueClassic.
	QueueType string `yaml:"queue_type"`

	// DeadLetterExchange takes what the broker itself gives up: messages that were delivered more often than
	// DeliveryLimit. It is declared as a durable topic exchange if it does not exist; bind a queue to it. A message that
	// the relay rejects does not come here: the relay has put it into its own dead letters, so it is acknowledged.
	DeadLetterExchange string `yaml:"dead_letter_exchange"`

	// DeliveryLimit is how often a quorum queue delivers a message before it gives it up. 0 leaves it to the broker: none
	// before RabbitMQ 4, 20 from then on; -1 is none at all (RabbitMQ 4 and later).
	DeliveryLimit int `yaml:"delivery_limit"`

	// SingleActiveConsumer lets the broker deliver to one consumer at a time, whichever replica it belongs to.
	SingleActiveConsumer bool `yaml:"single_active_consumer"`

	// Prefetch is how many deliveries may be open at once.
	Prefetch int `yaml:"prefetch"`

	// ConfirmWindow is how many messages may wait for the broker's confirm at once; beyond them publishing waits.
	ConfirmWindow int `yaml:"confirm_window"`

	// Format is what the sink writes: FormatEiffel, FormatStructured or FormatBinary.
	Format string `yaml:"format"`

	// RoutingKey is used for every message. Empty: each has the key of its event (see [RoutingKey]).
	RoutingKey string `yaml:"routing_key"`

	// Mandatory makes a message that no queue is bound for an error, which is worth a retry. Turn it off for an exchange
	// whose messages nobody need be listening to.
	Mandatory bool `yaml:"mandatory"`

	// PublishTimeout is how long a message may wait for its confirm before the connection is taken for lost.
	PublishTimeout time.Duration `yaml:"publish_timeout"`

	// AppID is the app-id property of what the sink publishes.
	AppID string `yaml:"app_id"`
}

// DefaultSettings are the settings for a RabbitMQ on this machine. A source needs a Queue on top of them. Another broker
// takes another URL; clear it to give a URLFile or the parts.
func DefaultSettings() Settings {
	return Settings{
		URL:             "amqp://guest:guest@127.0.0.1:5672/",
		Auth:            AuthPlain,
		ConnectionName:  "eiffelbridge",
		Heartbeat:       10 * time.Second,
		Exchange:        "eiffel",
		DeclareExchange: true,
		DeclareQueue:    true,
		Bindings:        []string{"eiffel.#"},
		QueueType:       QueueQuorum,
		Prefetch:        256, // 1,024 only added latency when it was measured
		ConfirmWindow:   256,
		Format:          FormatEiffel,
		Mandatory:       true,
		PublishTimeout:  30 * time.Second,
		AppID:           "eiffelbridge",
	}
}

// Validate tells every key that is wrong. It reaches no network and opens no file.
func (s Settings) Validate() error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %w", key, fmt.Errorf(format, args...)))
	}
	errs = append(errs, s.validateBroker())
	for _, name := range []struct{ key, value string }{
		{"exchange", s.Exchange}, {"queue", s.Queue}, {"dead_letter_exchange", s.DeadLetterExchange},
		{"routing_key", s.RoutingKey}, {"app_id", s.AppID},
	} {
		if err := shortString(name.value); err != nil {
			bad(name.key, "%w", err)
		}
	}
	for i, binding := range s.Bindings {
		if err := shortString(binding); err != nil {
			bad(fmt.Sprintf("bindings[%d]", i), "%w", err)
		}
	}
	if s.Heartbeat < time.Second || s.Heartbeat > time.Hour {
		bad("heartbeat", "%v is not between 1s and 1h", s.Heartbeat)
	}
	if !slices.Contains([]string{QueueQuorum, QueueClassic}, s.QueueType) {
		bad("queue_type", "%q is neither %s nor %s", s.QueueType, QueueQuorum, QueueClassic)
	}
	if s.DeliveryLimit < -1 {
		bad("delivery_limit", "%d is neither a number of deliveries nor 0 (the broker's) nor -1 (none)", s.DeliveryLimit)
	} else if s.DeliveryLimit != 0 && s.QueueType == QueueClassic {
		bad("delivery_limit", "only a quorum queue has one")
	}
	if s.Prefetch < 1 || s.Prefetch > maxPrefetch {
		bad("prefetch", "%d is not between 1 and %d", s.Prefetch, maxPrefetch)
	}
	if s.ConfirmWindow < 1 || s.ConfirmWindow > maxWindow {
		bad("confirm_window", "%d is not between 1 and %d", s.ConfirmWindow, maxWindow)
	}
	if !slices.Contains([]string{FormatEiffel, FormatStructured, FormatBinary}, s.Format) {
		bad("format", "%q is none of %s, %s and %s", s.Format, FormatEiffel, FormatStructured, FormatBinary)
	}
	if s.PublishTimeout < 100*time.Millisecond {
		bad("publish_timeout", "%v is less than 100ms", s.PublishTimeout)
	}
	return errors.Join(errs...)
}

// ValidateSource names the keys that do not suit a source; it looks at what only a source needs.
func (s Settings) ValidateSource() (err error) {
	if s.Queue == "" {
		err = errors.Join(err, errors.New("queue: is missing; a source needs one"))
	}
	if s.Exchange == "" && s.DeclareQueue && len(s.Bindings) > 0 {
		err = errors.Join(err, errors.New("bindings: the default exchange takes none; name an exchange, or leave them empty"))
	}
	return err
}

// ValidateSink names the keys that do not suit a sink; it looks at what only a sink needs.
func (s Settings) ValidateSink() (err error) {
	if s.Exchange == "" && s.RoutingKey == "" {
		err = errors.Join(err, errors.New("exchange: the default exchange needs a routing_key, the name of a queue"))
	}
	return err
}

func shortString(s string) error {
	if len(s) > maxShortString {
		return fmt.Errorf("%d bytes are more than the %d that AMQP allows", len(s), maxShortString)
	}
	if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
		return fmt.Errorf("%q is not text", s)
	}
	return nil
}

// String names the broker, the exchange and the queue, and no secret.
func (s Settings) String() string {
	return fmt.Sprintf("amqp091 %s exchange %q queue %q", s.endpoint(), s.Exchange, s.Queue)
}

// GoString is String, so that no verb of fmt prints the password.
func (s Settings) GoString() string { return s.String() }

// LogValue is String, so that no log shows the password.
func (s Settings) LogValue() slog.Value { return slog.StringValue(s.String()) }

var (
	_ slog.LogValuer = Settings{}
	_ fmt.Stringer   = Settings{}
	_ fmt.GoStringer = Settings{}
)
