package cloudeventshttp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eiffelbridge/eiffelbridge/internal/cloudeventsjson"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

var _ transport.Sink = (*Sink)(nil)

// Sink posts each message as a CloudEvent, up to MaxInFlight at once. A message is durable when the target answers with 2xx.
// 400, 409, 413, 415 and 422 blame the message and are permanent. Everything else is worth a retry, which is left to the caller: a wrong
// target or an expired token (401, 403, 404) is mended in the configuration, and no event may be lost for it. Redirects are not
// followed, since an event must not wander to where nobody configured it to go.
type Sink struct {
	settings  SinkSettings
	log       *slog.Logger
	target    *url.URL
	header    http.Header // sent with every request
	transport *http.Transport
	slots     chan struct{}

	lifetime context.Context // ends when what is open is given up
	giveUp   context.CancelFunc

	lock   sync.Mutex
	closed bool
	open   sync.WaitGroup // requests under way; Add only under lock and before closed

	failure atomic.Pointer[error] // of the last attempt, nil if it succeeded
}

// NewSink connects to nothing yet.
func NewSink(settings SinkSettings, log *slog.Logger) (*Sink, error) {
	if err := settings.Validate(); err != nil {
		return nil, err
	}
	target, err := parseTarget(settings.Target)
	if err != nil {
		return nil, fmt.Errorf("target: %w", err)
	}
	s := &Sink{
		settings: settings,
		log:      log,
		target:   target,
		header:   http.Header{},
		slots:    make(chan struct{}, settings.MaxInFlight),
		transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			ForceAttemptHTTP2:     true,
			MaxIdleConns:          settings.MaxInFlight,
			MaxIdleConnsPerHost:   settings.MaxInFlight, // the default of 2 would open a connection for nearly every event
			MaxConnsPerHost:       settings.MaxInFlight,
			IdleConnTimeout:       90 * time.Second,
			TLSHandshakeTimeout:   10 * time.Second,
			ExpectContinueTimeout: time.Second,
			DisableCompression:    true, // answers are short, and quoted in errors
		},
	}
	s.header.Set("User-Agent", "eiffelbridge")
	if user := target.User; user != nil {
		password, _ := user.Password()
		auth := http.Request{Header: s.header}
		auth.SetBasicAuth(user.Username(), password)
		bare := *target
		bare.User = nil
		s.target = &bare
	}
	for name, value := range settings.Headers {
		s.header.Set(name, value)
	}
	// net/http repeats a request on a new connection if a kept-alive one turns out to be dead, but a POST only if it is
	// idempotent. An event is: its id tells the far side. The nil value says so without sending a header.
	if s.header.Get("Idempotency-Key") == "" {
		s.header["Idempotency-Key"] = nil
	}
	s.lifetime, s.giveUp = context.WithCancel(context.Background())
	return s, nil
}

var errClosed = errors.New("the sink is closed")

// Publish posts the messages side by side. It returns when all of them are under way; ctx bounds only the waiting for that.
func (s *Sink) Publish(ctx context.Context, messages []transport.Message, done func(i int, err error)) {
	for i := range messages {
		if err := s.begin(ctx); err != nil {
			done(i, err)
			continue
		}
		go func() {
			defer s.open.Done()
			err := s.post(messages[i])
			<-s.slots
			done(i, err)
		}()
	}
}

// begin takes a slot and counts the request as open.
func (s *Sink) begin(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.lifetime.Done():
		return errClosed
	}
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.closed {
		<-s.slots
		return errClosed
	}
	s.open.Add(1)
	return nil
}

// Ordered is false: requests overtake each other.
func (s *Sink) Ordered() bool { return false }

// Health tells why the last attempt failed. An answer that finds fault with one event (400, 409, 413, 422) is no failure of the
// target.
func (s *Sink) Health() error {
	if failure := s.failure.Load(); failure != nil {
		return *failure
	}
	return nil
}

// Close waits for the requests under way until ctx ends, and then breaks them off.
func (s *Sink) Close(ctx context.Context) error {
	s.lock.Lock()
	s.closed = true
	s.lock.Unlock()
	finished := make(chan struct{})
	go func() {
		s.open.Wait()
		close(finished)
	}()
	var err error
	select {
	case <-finished:
	case <-ctx.Done():
		err = fmt.Errorf("gave up what was in flight: %w", ctx.Err())
	}
	s.giveUp()
	<-finished
	s.transport.CloseIdleConnections()
	return err
}

// post sends one message and judges the answer.
func (s *Sink) post(m transport.Message) error {
	err, aboutEvent := s.attempt(m)
	if err != nil {
		err = fmt.Errorf("post event %.100q to %s: %w", m.ID, s.target.Redacted(), err)
	}
	switch {
	case err == nil || aboutEvent:
		if old := s.failure.Swap(nil); old != nil {
			s.log.Info("the target answers again", "target", s.target.Redacted())
		}
	default:
		if old := s.failure.Swap(&err); old == nil {
			s.log.Warn("the target fails", "target", s.target.Redacted(), "error", err)
		}
	}
	return err
}

// attempt is one request. aboutEvent is true if the error is the event's fault.
func (s *Sink) attempt(m transport.Message) (err error, aboutEvent bool) {
	if m.ID == "" || m.Source == "" || m.Type == "" {
		return &transport.PermanentError{Err: errors.New("a CloudEvent must have an id, a source and a type")}, true
	}
	ctx, cancel := context.WithTimeout(s.lifetime, s.settings.RequestTimeout)
	defer cancel()

	header := make(http.Header, len(s.header)+10)
	for name, values := range s.header {
		header[name] = values
	}
	body := m.Data
	if s.settings.Mode == Structured {
		header["Content-Type"] = contentTypeStructured
		body = cloudeventsjson.Append(make([]byte, 0, len(m.Data)+512), m)
	} else {
		encodeBinary(header, m)
	}
	request := (&http.Request{
		Method: http.MethodPost, URL: s.target, Host: s.target.Host, Header: header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
		GetBody: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil },
	}).WithContext(ctx)
	if len(body) == 0 {
		request.Body = http.NoBody
	}
	// Not through http.Client: it would follow redirects, and its errors repeat the URL.
	response, err := s.transport.RoundTrip(request) //nolint:bodyclose // drain closes it
	if err != nil {
		if s.lifetime.Err() != nil {
			return errClosed, false
		}
		return err, false
	}
	quote := drain(response.Body)
	status := response.StatusCode
	if status >= 200 && status < 300 {
		return nil, false
	}
	err = fmt.Errorf("answered %d %s", status, http.StatusText(status))
	if quote != "" {
		err = fmt.Errorf("%w: %q", err, quote)
	}
	if status >= 300 && status < 400 {
		err = fmt.Errorf("%w: redirects are not followed (to %.200q)", err, response.Header.Get("Location"))
	}
	switch status {
	case http.StatusBadRequest, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		return &transport.PermanentError{Err: err}, true
	}
	if after := retryAfter(response.Header, time.Now()); after > 0 {
		err = &transport.RetryAfterError{Err: err, After: after}
	}
	return err, false
}

// drain reads an answer to its end, so that its connection can be used again, unless it is a long one. It returns the beginning.
func drain(body io.ReadCloser) string {
	defer body.Close()
	var quote [200]byte
	n, err := io.ReadFull(body, quote[:])
	if err == nil {
		_, _ = io.CopyN(io.Discard, body, 64<<10)
	}
	return strings.TrimSpace(strings.ToValidUTF8(string(quote[:n]), "\uFFFD"))
}

// maxRetryAfter caps what a target may ask for: a slip in its configuration must not stop the relay for days.
const maxRetryAfter = time.Hour

// retryAfter reads Retry-After (RFC 9110, section 10.2.3): seconds, or a date by the target's own clock.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if value == "" {
		return 0
	}
	if seconds, err := strconv.ParseUint(value, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) { // out of range: the largest number
		return time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return max(0, min(at.Sub(now), maxRetryAfter))
}
