package cloudeventshttp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/oauth2"

	"github.com/eiffelbridge/eiffelbridge/daemon/transports/internal/filevalue"
	"github.com/eiffelbridge/eiffelbridge/internal/cloudeventsjson"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

var _ transport.Sink = (*Sink)(nil)

// Sink posts each message as a CloudEvent, up to MaxInFlight at once. A message is durable when the target answers with 2xx.
// 400, 409, 413, 415 and 422 blame the message and are permanent. Everything else is worth a retry, which is left to the caller: a wrong
// target or an expired token (401, 403, 404) is mended in the configuration, and no event may be lost for it. Redirects are not
// followed, since an event must not wander to where nobody configured it to go. An answer with 401 drops the token that OAuth2 fetched.
type Sink struct {
	settings SinkSettings
	log      *slog.Logger
	target   *url.URL
	header   *filevalue.Value[http.Header] // sent with every request
	clients  *filevalue.Value[*clients]
	tokens   *tokens // nil: none are fetched
	signer   *signer // nil: nothing is signed
	slots    chan struct{}

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
	s := &Sink{settings: settings, log: log, target: target, slots: make(chan struct{}, settings.MaxInFlight)}
	if target.User != nil {
		bare := *target
		bare.User = nil
		s.target = &bare
	}
	if s.header, err = settings.header(target.User, log); err != nil {
		return nil, err
	}
	var last *clients
	s.clients, err = filevalue.New(settings.TLS.files(), log, func(contents [][]byte) (*clients, error) {
		made, err := newClients(settings, contents)
		if err != nil {
			return nil, err
		}
		if last != nil {
			last.closeIdle() // what is in use ends when it was idle for long enough
		}
		last = made
		return made, nil
	})
	if err != nil {
		return nil, err
	}
	if s.tokens, err = newTokens(settings.OAuth2, log); err != nil {
		return nil, err
	}
	if s.signer, err = newSigner(settings.HMAC, log); err != nil {
		return nil, err
	}
	s.lifetime, s.giveUp = context.WithCancel(context.Background())
	return s, nil
}

// header is what is sent with every request.
func (s SinkSettings) header(user *url.Userinfo, log *slog.Logger) (*filevalue.Value[http.Header], error) {
	names := slices.Sorted(maps.Keys(s.HeaderFiles))
	var files []filevalue.File
	for _, name := range names {
		files = append(files, filevalue.File{Key: "header_files." + name, Path: s.HeaderFiles[name]})
	}
	return filevalue.New(files, log, func(contents [][]byte) (http.Header, error) {
		header := http.Header{}
		header.Set("User-Agent", "eiffelbridge")
		if user != nil {
			password, _ := user.Password()
			auth := http.Request{Header: header}
			auth.SetBasicAuth(user.Username(), password)
		}
		for name, value := range s.Headers {
			header.Set(name, value)
		}
		for i, name := range names {
			value, err := filevalue.Line(contents[i])
			if err == nil && !isHeaderValue(value) {
				err = errors.New("has characters that no header may have")
			}
			if err != nil {
				return nil, fmt.Errorf("header_files.%s: %s %w", name, s.HeaderFiles[name], err)
			}
			header.Set(name, value)
		}
		// net/http repeats a request on a new connection if a kept-alive one turns out to be dead, but a POST only if it is
		// idempotent. An event is: its id tells the far side. The nil value says so without sending a header.
		if header.Get("Idempotency-Key") == "" {
			header["Idempotency-Key"] = nil
		}
		return header, nil
	})
}

// clients reach the target, and the token endpoint.
type clients struct {
	target *http.Transport
	tokens *http.Client
}

func newClients(settings SinkSettings, contents [][]byte) (*clients, error) {
	config, err := settings.TLS.config(contents)
	if err != nil {
		return nil, err
	}
	c := &clients{target: &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:        config,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           settings.MaxInFlight,
		MaxIdleConnsPerHost:    settings.MaxInFlight, // the default of 2 would open a connection for nearly every event
		MaxConnsPerHost:        settings.MaxInFlight,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    10 * time.Second,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true, // answers are short, and quoted in errors
	}}
	endpoint := c.target.Clone()
	endpoint.TLSClientConfig.ServerName = "" // that is the target's
	// Redirects are not followed there either: the secret must not wander.
	c.tokens = &http.Client{Transport: endpoint, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return c, nil
}

func (c *clients) closeIdle() {
	c.target.CloseIdleConnections()
	c.tokens.CloseIdleConnections()
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
	s.clients.Get().closeIdle()
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

	common, clients := s.header.Get(), s.clients.Get()
	header := make(http.Header, len(common)+12)
	for name, values := range common {
		header[name] = values
	}
	var token *oauth2.Token
	if s.tokens != nil {
		if token, err = s.tokens.get(ctx, clients.tokens); err != nil {
			return s.unlessClosed(err), false
		}
		header[authorization] = []string{token.Type() + " " + token.AccessToken}
	}
	body := m.Data
	if s.settings.Mode == Structured {
		header["Content-Type"] = contentTypeStructured
		body = cloudeventsjson.Append(make([]byte, 0, len(m.Data)+512), m)
	} else {
		encodeBinary(header, m)
	}
	if s.signer != nil {
		header[s.signer.header] = []string{s.signer.sign(body)}
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
	response, err := clients.target.RoundTrip(request) //nolint:bodyclose // drain closes it
	if err != nil {
		return s.unlessClosed(err), false
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
	case http.StatusUnauthorized:
		if token != nil {
			s.tokens.drop(token)
		}
	case http.StatusBadRequest, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		return &transport.PermanentError{Err: err}, true
	}
	if after := retryAfter(response.Header, time.Now()); after > 0 {
		err = &transport.RetryAfterError{Err: err, After: after}
	}
	return err, false
}

// unlessClosed is the error, unless the end of the sink explains it.
func (s *Sink) unlessClosed(err error) error {
	if s.lifetime.Err() != nil {
		return errClosed
	}
	return err
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
