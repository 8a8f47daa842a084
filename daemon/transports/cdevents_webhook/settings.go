package cdeventswebhook

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"regexp"
	"slices"
	"time"

	cloudeventshttp "github.com/eiffelbridge/eiffelbridge/daemon/transports/cloudevents_http"
	"github.com/eiffelbridge/eiffelbridge/internal/secret"
	"github.com/eiffelbridge/eiffelbridge/plugins/host"
)

// Settings are the settings of a [Source]. [DefaultSettings] gives them with their defaults; Translators has none.
type Settings struct {
	// Listen is the address to listen on, as host:port. Port 0 takes a free one; see [Source.Addr].
	Listen string `yaml:"listen"`
	// Translators are the programs that make CDEvents of requests, by the names in their paths: what is posted to
	// `/translate/NAME` goes to the translator NAME. Each is a binary as the CDEvents webhook adapter has them, such as
	// github-translator, and runs for as long as the relay does.
	Translators map[string]Translator `yaml:"translators"`
	// MaxBody is the size of the largest request body that is taken, in bytes. A larger one is answered with 413.
	MaxBody int64 `yaml:"max_body"`
	// MaxHeader is the size of the largest header of a request that is taken, in bytes. A larger one is answered with 431.
	MaxHeader int `yaml:"max_header"`
	// MaxInFlight is the number of requests that are read, translated, or wait for their settlement at once. Those beyond it wait
	// for BusyTimeout at most. It bounds the memory for bodies at MaxInFlight times MaxBody.
	MaxInFlight int `yaml:"max_in_flight"`
	// MaxConnections is the number of connections that are open at once. Those beyond it are not accepted before another ends.
	MaxConnections int `yaml:"max_connections"`
	// TranslateTimeout is how long a translator has for one request, a start of it included. After it the request is answered
	// with 503.
	TranslateTimeout time.Duration `yaml:"translate_timeout"`
	// Repeats is how long a request is remembered, so that a sender that repeats it gets the CDEvent that was made of it the first
	// time: translators choose new ids by chance. The newest 4096 requests are remembered, and only while the relay runs. 0s
	// remembers none.
	Repeats time.Duration `yaml:"repeats"`
	// BusyTimeout is how long a request waits for room before it is answered: with 503 if MaxInFlight requests are under way,
	// with 429 if the relay has no room.
	BusyTimeout time.Duration `yaml:"busy_timeout"`
	// RetryAfter is the pause that a sender is asked for where the relay names none. HTTP counts it in whole seconds, and so
	// it is rounded up.
	RetryAfter time.Duration `yaml:"retry_after"`
	// HeaderTimeout is how long the header of a request may take to arrive, and before it the handshake of TLS.
	HeaderTimeout time.Duration `yaml:"header_timeout"`
	// ReadTimeout is how long the body of a request may take to arrive. A later one is answered with 408.
	ReadTimeout time.Duration `yaml:"read_timeout"`
	// WriteTimeout is how long the writing of an answer may take.
	WriteTimeout time.Duration `yaml:"write_timeout"`
	// IdleTimeout is how long a connection may stay without a request.
	IdleTimeout time.Duration `yaml:"idle_timeout"`
	// TLS makes it HTTPS. Nil: it is HTTP.
	TLS *cloudeventshttp.ServerTLS `yaml:"tls"`
	// Bearer asks for a token, of which translators see nothing. Nil: none is needed.
	Bearer *cloudeventshttp.Bearer `yaml:"bearer"`
	// HMAC asks for a signature. Nil: none is needed.
	HMAC *cloudeventshttp.HMAC `yaml:"hmac"`

	// ListenOn makes the listener in place of net.Listen. Nil: net.Listen.
	ListenOn func(network, address string) (net.Listener, error) `yaml:"-"`
}

// Translator is a program that makes CDEvents of what one kind of sender posts.
type Translator struct {
	// Path is the binary. A name without a slash is looked up in PATH; a relative path is relative to the configuration's
	// folder.
	Path string `yaml:"path"`
	// Args are its arguments.
	Args []string `yaml:"args"`
	// SHA256 is the checksum of the binary, in hexadecimal; `eiffelbridge plugins checksum` prints it. It must be written unless
	// Dev is.
	SHA256 string `yaml:"sha256"`
	// Files are more files that are pinned, such as the program of an interpreter: paths and their checksums.
	Files map[string]string `yaml:"files"`
	// Dev runs the binary without a checksum, for whoever is writing it.
	Dev bool `yaml:"dev"`
	// Env is the whole environment of the translator: of the relay's own it gets nothing.
	Env map[string]secret.Secret `yaml:"env"`
}

// DefaultSettings listens on the loopback interface only.
func DefaultSettings() Settings {
	d := cloudeventshttp.DefaultSourceSettings()
	return Settings{
		Listen: "127.0.0.1:8081",
		// GitHub posts up to 25 MB, of which a push of thousands of commits has one.
		MaxBody:          8 << 20,
		MaxHeader:        d.MaxHeader,
		MaxInFlight:      128,
		MaxConnections:   d.MaxConnections,
		TranslateTimeout: 10 * time.Second,
		Repeats:          time.Hour,
		BusyTimeout:      d.BusyTimeout,
		RetryAfter:       d.RetryAfter,
		HeaderTimeout:    d.HeaderTimeout,
		ReadTimeout:      d.ReadTimeout,
		WriteTimeout:     d.WriteTimeout,
		IdleTimeout:      d.IdleTimeout,
	}
}

// http are the settings of the listener beneath.
func (s Settings) http() cloudeventshttp.SourceSettings {
	h := cloudeventshttp.DefaultSourceSettings()
	h.Listen, h.MaxBody, h.MaxInFlight, h.BusyTimeout, h.RetryAfter = s.Listen, s.MaxBody, s.MaxInFlight, s.BusyTimeout, s.RetryAfter
	h.ListenOn = s.ListenOn
	h.HeaderTimeout, h.ReadTimeout, h.WriteTimeout, h.IdleTimeout = s.HeaderTimeout, s.ReadTimeout, s.WriteTimeout, s.IdleTimeout
	h.MaxHeader, h.MaxConnections, h.TLS, h.Bearer, h.HMAC = s.MaxHeader, s.MaxConnections, s.TLS, s.Bearer, s.HMAC
	return h
}

// nameForm keeps names out that a path would have to escape.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// mostBody leaves room for the headers in the largest message that a translator is sent.
const mostBody = host.MaxMessage - 1<<20

// Validate names every key whose value cannot work.
func (s Settings) Validate() error {
	errs := []error{s.http().Validate()}
	if s.MaxBody > mostBody {
		errs = append(errs, fmt.Errorf("max_body: %d is more than a translator can be sent, which is %d bytes", s.MaxBody, mostBody))
	}
	if s.TranslateTimeout <= 0 {
		errs = append(errs, fmt.Errorf("translate_timeout: %v is not more than 0s", s.TranslateTimeout))
	}
	if s.Repeats < 0 {
		errs = append(errs, fmt.Errorf("repeats: %v is less than 0s", s.Repeats))
	}
	if len(s.Translators) == 0 {
		errs = append(errs, errors.New("translators: there are none; a translator is NAME: {path, sha256}"))
	}
	for _, name := range slices.Sorted(maps.Keys(s.Translators)) {
		if !nameForm.MatchString(name) {
			errs = append(errs, fmt.Errorf("translators: %q cannot stand in a path; a name has letters, digits, dots, hyphens and underscores", name))
			continue
		}
		if err := s.Translators[name].Process(name, nil).Validate(); err != nil {
			errs = append(errs, fmt.Errorf("translators.%s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}
