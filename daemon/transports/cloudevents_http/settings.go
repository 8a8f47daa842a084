package cloudeventshttp

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// SourceSettings are the settings of a [Source]. [DefaultSourceSettings] gives them with their defaults.
type SourceSettings struct {
	// Listen is the address to listen on, as host:port. Port 0 takes a free one; see [Source.Addr].
	Listen string `yaml:"listen"`
	// MaxBody is the size of the largest request body that is taken, in bytes. A larger one is answered with 413; up to
	// 16 MiB it lies in the dead letters as well.
	MaxBody int64 `yaml:"max_body"`
	// MaxHeader is the size of the largest header of a request that is taken, in bytes. A larger one is answered with 431.
	MaxHeader int `yaml:"max_header"`
	// MaxBatch is the number of events that one request in batched mode may hold. More are answered with 413.
	MaxBatch int `yaml:"max_batch"`
	// MaxInFlight is the number of requests that are read or wait for their settlement at once. Those beyond it wait for
	// BusyTimeout at most. It bounds the memory for bodies at MaxInFlight times MaxBody, and four larger ones of up to 16 MiB
	// on their way to the dead letters.
	MaxInFlight int `yaml:"max_in_flight"`
	// MaxConnections is the number of connections that are open at once. Those beyond it are not accepted before another ends.
	MaxConnections int `yaml:"max_connections"`
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
	// AllowedOrigins are the origins that the WebHook handshake lets in (HTTP 1.1 Web Hooks for Event Delivery, section
	// 4.1), "*" for all. It only answers the question of polite senders; it keeps nobody out.
	AllowedOrigins []string `yaml:"allowed_origins"`
	// TLS makes it HTTPS. Nil: it is HTTP.
	TLS *ServerTLS `yaml:"tls"`
	// Bearer asks for a token. Nil: none is needed.
	Bearer *Bearer `yaml:"bearer"`
	// HMAC asks for a signature. Nil: none is needed.
	HMAC *HMAC `yaml:"hmac"`

	// ListenOn makes the listener in place of net.Listen. Nil: net.Listen.
	ListenOn func(network, address string) (net.Listener, error) `yaml:"-"`
}

// DefaultSourceSettings listens on the loopback interface only.
func DefaultSourceSettings() SourceSettings {
	return SourceSettings{
		Listen:         "127.0.0.1:8080",
		MaxBody:        1 << 20,
		MaxHeader:      64 << 10, // attributes are short; net/http's 1 MiB would let headers cost more memory than bodies
		MaxBatch:       1000,
		MaxInFlight:    512,
		MaxConnections: 1024,
		BusyTimeout:    5 * time.Second,
		RetryAfter:     time.Second,
		HeaderTimeout:  10 * time.Second,
		ReadTimeout:    30 * time.Second,
		WriteTimeout:   10 * time.Second,
		IdleTimeout:    2 * time.Minute,
		AllowedOrigins: []string{"*"},
	}
}

// Validate names every key whose value cannot work.
func (s SourceSettings) Validate() error {
	var errs []error
	if _, port, err := net.SplitHostPort(s.Listen); err != nil {
		errs = append(errs, fmt.Errorf("listen: %q is not host:port", s.Listen))
	} else if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		errs = append(errs, fmt.Errorf("listen: port %q is not a number from 0 to 65535", port))
	}
	// A body is held in memory as a whole; beyond this no event has any business over HTTP.
	if s.MaxBody < 1 || s.MaxBody > 1<<30 {
		errs = append(errs, fmt.Errorf("max_body: %d is not from 1 to %d bytes", s.MaxBody, 1<<30))
	}
	if s.MaxHeader < 1<<10 || s.MaxHeader > 1<<20 {
		errs = append(errs, fmt.Errorf("max_header: %d is not from %d to %d bytes", s.MaxHeader, 1<<10, 1<<20))
	}
	errs = append(errs, atLeastOne("max_batch", s.MaxBatch), atLeastOne("max_in_flight", s.MaxInFlight), atLeastOne("max_connections", s.MaxConnections),
		positive("busy_timeout", s.BusyTimeout), positive("retry_after", s.RetryAfter),
		positive("header_timeout", s.HeaderTimeout), positive("read_timeout", s.ReadTimeout),
		positive("write_timeout", s.WriteTimeout), positive("idle_timeout", s.IdleTimeout))
	for _, origin := range s.AllowedOrigins {
		if origin == "" || !isHeaderValue(origin) {
			errs = append(errs, fmt.Errorf("allowed_origins: %q is not an origin", origin))
		}
	}
	errs = append(errs, s.TLS.validate(), s.Bearer.validate(), s.HMAC.validate())
	if s.Bearer != nil && s.HMAC != nil && strings.EqualFold(s.Bearer.Header, s.HMAC.Header) {
		errs = append(errs, errors.New("hmac.header: the token stands there already"))
	}
	return errors.Join(errs...)
}

// Mode is how a sink puts an event into a request.
type Mode string

// The two modes (CloudEvents HTTP protocol binding, section 3).
const (
	Binary     Mode = "binary"
	Structured Mode = "structured"
)

// SinkSettings are the settings of a [Sink]. [DefaultSinkSettings] gives them with their defaults; Target has none.
type SinkSettings struct {
	// Target is the URL that events are sent to with POST. A user and a password in it become basic authentication, and are never
	// printed.
	Target string `yaml:"target"`
	// Mode is binary, with the attributes of the CloudEvent in headers, or structured, with an envelope around the event.
	Mode Mode `yaml:"mode"`
	// MaxInFlight is the number of requests under way at once, and of connections.
	MaxInFlight int `yaml:"max_in_flight"`
	// RequestTimeout bounds a request from the first byte sent to the last byte received.
	RequestTimeout time.Duration `yaml:"request_timeout"`
	// Headers are sent with every request, for instance Authorization.
	Headers Headers `yaml:"headers"`
	// HeaderFiles are headers whose values are the only line of a file, by their names. A file is read anew when it changes.
	HeaderFiles map[string]string `yaml:"header_files"`
	// TLS is used if the target is HTTPS. Nil: the system's authorities are trusted, and no certificate is shown.
	TLS *ClientTLS `yaml:"tls"`
	// OAuth2 fetches the token that is sent as Authorization. Nil: there is none but that of Headers.
	OAuth2 *OAuth2 `yaml:"oauth2"`
	// HMAC signs the body of every request. Nil: it is not signed.
	HMAC *HMAC `yaml:"hmac"`
}

// DefaultSinkSettings sends to the target in binary mode.
func DefaultSinkSettings(target string) SinkSettings {
	return SinkSettings{Target: target, Mode: Binary, MaxInFlight: 64, RequestTimeout: 30 * time.Second}
}

// Validate names every key whose value cannot work. It does not print secrets.
func (s SinkSettings) Validate() error {
	var errs []error
	if target, err := parseTarget(s.Target); err != nil {
		errs = append(errs, fmt.Errorf("target: %w", err))
	} else if target.User != nil && s.OAuth2 != nil {
		errs = append(errs, errors.New("oauth2: the target has a user, and there is one Authorization"))
	}
	if s.Mode != Binary && s.Mode != Structured {
		errs = append(errs, fmt.Errorf("mode: %q is neither binary nor structured", s.Mode))
	}
	errs = append(errs, atLeastOne("max_in_flight", s.MaxInFlight), positive("request_timeout", s.RequestTimeout))
	seen := map[string]string{}
	if s.OAuth2 != nil {
		seen[authorization] = "oauth2"
	}
	if s.HMAC != nil {
		seen[http.CanonicalHeaderKey(s.HMAC.Header)] = "hmac"
	}
	header := func(key, name string) {
		canonical := http.CanonicalHeaderKey(name)
		switch {
		case !isHeaderName(name):
			errs = append(errs, fmt.Errorf("%s: %q is not a header name", key, name))
		case isOwnHeader(name):
			errs = append(errs, fmt.Errorf("%s: %s is set by the transport itself", key, canonical))
		case seen[canonical] != "":
			errs = append(errs, fmt.Errorf("%s: %s is set by %s already", key, canonical, seen[canonical]))
		}
		seen[canonical] = key
	}
	for _, name := range slices.Sorted(maps.Keys(s.Headers)) {
		if !isHeaderValue(s.Headers[name]) {
			errs = append(errs, fmt.Errorf("headers: the value of %s has characters that no header may have", http.CanonicalHeaderKey(name)))
		}
		header("headers", name)
	}
	for _, name := range slices.Sorted(maps.Keys(s.HeaderFiles)) {
		if s.HeaderFiles[name] == "" {
			errs = append(errs, fmt.Errorf("header_files: %s has no file", http.CanonicalHeaderKey(name)))
		}
		header("header_files", name)
	}
	errs = append(errs, s.TLS.validate(), s.OAuth2.validate(), s.HMAC.validate())
	return errors.Join(errs...)
}

// isOwnHeader tells whether a header is one that says what a request is.
func isOwnHeader(name string) bool {
	switch name = http.CanonicalHeaderKey(name); name {
	case "Content-Type", "Content-Length", "Host", "Transfer-Encoding", "Connection":
		return true
	}
	return strings.HasPrefix(name, headerPrefix)
}

// parseTarget keeps the text of the URL out of its errors, since there may be a password in it.
func parseTarget(target string) (*url.URL, error) {
	u, err := url.Parse(target)
	switch {
	case target == "":
		return nil, errors.New("is missing")
	case err != nil:
		return nil, errors.New("is not a URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("%q does not begin with http:// or https://", u.Redacted())
	case u.Host == "":
		return nil, fmt.Errorf("%q names no host", u.Redacted())
	}
	return u, nil
}

// Headers are header fields by their names. However they are printed, the values are not: they are secrets.
type Headers map[string]string

// String tells how many there are.
func (h Headers) String() string { return fmt.Sprintf("%d headers, not shown", len(h)) }

// GoString is String, so that %#v shows no more.
func (h Headers) GoString() string { return h.String() }

// LogValue is String, so that a log shows no more.
func (h Headers) LogValue() slog.Value { return slog.StringValue(h.String()) }

// MarshalText is String, so that JSON and YAML show no more.
func (h Headers) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// String shows the settings without their secrets.
func (s SinkSettings) String() string {
	target := "an invalid target"
	if u, err := parseTarget(s.Target); err == nil {
		target = u.Redacted()
	}
	return fmt.Sprintf("%s, %s mode, %d in flight, %v", target, s.Mode, s.MaxInFlight, s.RequestTimeout)
}

// GoString is String, so that %#v shows no more.
func (s SinkSettings) GoString() string { return s.String() }

// LogValue is String, so that a log shows no more.
func (s SinkSettings) LogValue() slog.Value { return slog.StringValue(s.String()) }

func atLeastOne(key string, n int) error {
	if n < 1 {
		return fmt.Errorf("%s: %d is less than 1", key, n)
	}
	return nil
}

func positive(key string, d time.Duration) error {
	if d <= 0 {
		return fmt.Errorf("%s: %v is not more than 0s", key, d)
	}
	return nil
}

// isHeaderName checks for a token (RFC 9110, section 5.6.2).
func isHeaderName(name string) bool {
	for i := 0; i < len(name); i++ {
		c := name[i]
		letter := (c|0x20 >= 'a' && c|0x20 <= 'z') || (c >= '0' && c <= '9')
		if !letter && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return name != ""
}

// isHeaderValue keeps control characters out, above all the ends of lines (RFC 9110, section 5.5).
func isHeaderValue(value string) bool {
	for i := 0; i < len(value); i++ {
		if c := value[i]; (c < ' ' && c != '\t') || c == 0x7f {
			return false
		}
	}
	return true
}
