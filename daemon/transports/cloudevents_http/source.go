// Package cloudeventshttp carries events as CloudEvents over HTTP (CloudEvents HTTP protocol binding 1.0.2): a [Source] that
// listens for them in binary, structured and batched mode, with the handshake of the WebHook specification, and a [Sink] that posts them.
//
// It decodes and encodes the bindings itself: the CloudEvents SDK neither percent-encodes header values nor keeps the
// bytes of an event, and it acknowledges handshakes by a request to wherever the sender asks.
package cloudeventshttp

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eiffelbridge/eiffelbridge/internal/cloudeventsjson"
	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

var _ transport.Source = (*Source)(nil)

// Source listens for CloudEvents. An event is answered with 202 once its delivery is accepted, 400 once it is rejected, 503
// with Retry-After if it is to be retried, and 429 with Retry-After if there is no room: the sender retries, the source never
// does. The order of events is that of one connection or one batch; requests are handled in parallel.
//
// What no CloudEvent can be made of is handed over too, as a message without a type whose Data is the body, so that the relay
// can put it into its dead letters, and so is a body over MaxBody of up to 16 MiB, with a defect. Larger ones, and requests of
// another media type, are not. Nor is anything that came without the token or the signature that is asked for: it is answered with
// 401, and goes nowhere.
type Source struct {
	settings SourceSettings
	guard    *guard
	front    Front // nil: CloudEvents
	log      *slog.Logger
	listener net.Listener
	server   *http.Server
	slots    chan struct{} // one per request that is read or waits for its settlement
	large    chan struct{} // one per body over MaxBody that is read for the dead letters or waits for its settlement there

	closed context.Context // ends with Close: whatever is open is given up
	close  context.CancelFunc

	state    atomic.Int32
	handle   transport.Handler // set once, before the server starts
	draining context.Context   // ends when Receive's ctx does: nothing new is taken

	lock     sync.Mutex
	active   map[net.Conn]struct{} // connections with a request on them
	inactive chan struct{}         // closed when there are none, if not nil
	finished bool                  // no request may begin any more
	requests sync.WaitGroup        // calls of serve
}

// The states of a source.
const (
	listening int32 = iota
	starting
	receiving
	stopped
)

// Front is what a [Source] takes in place of CloudEvents, for transports that share all the rest: TLS, tokens and signatures, limits,
// answers, draining. It is safe for concurrent use.
type Front interface {
	// Check looks at a request whose body was not read yet; nil lets it in. The method is POST, and the token was good and is in the
	// header no more.
	Check(r *http.Request) *Refusal

	// Read makes a message of a request, within ctx. The message goes to the relay unless there is a refusal.
	Read(ctx context.Context, r *http.Request, body []byte) (transport.Message, *Refusal)

	// Health is nil while requests can be read, else what stands in the way. It does not block.
	Health() error
}

// Refusal is the answer to a request that no delivery is made of.
type Refusal struct {
	Status     int
	Reason     string
	RetryAfter time.Duration // asked for if it is not 0
}

func (r *Refusal) answer() answer {
	return answer{status: r.Status, err: r.Reason, retryAfter: r.RetryAfter}
}

// ListenFor is [Listen] for something other than CloudEvents. MaxBatch and AllowedOrigins have no meaning then, and a body over
// MaxBody is refused and goes nowhere: what is in it is not known to be an event. The source does not close the front.
func ListenFor(front Front, settings SourceSettings, log *slog.Logger) (*Source, error) {
	s, err := Listen(settings, log)
	if err == nil {
		s.front = front
	}
	return s, err
}

// Listen binds the address, so that a wrong one is known early, and reads the files that the settings name; connections wait until
// [Source.Receive] is called. The source must be closed even if it never receives.
func Listen(settings SourceSettings, log *slog.Logger) (*Source, error) {
	if err := settings.Validate(); err != nil {
		return nil, err
	}
	guard, err := newGuard(settings.Bearer, settings.HMAC, log)
	if err != nil {
		return nil, err
	}
	var config *tls.Config
	if settings.TLS != nil {
		if config, err = settings.TLS.config(log); err != nil {
			return nil, err
		}
	}
	if settings.ListenOn == nil {
		settings.ListenOn = net.Listen
	}
	listener, err := settings.ListenOn("tcp", settings.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	s := &Source{
		settings: settings,
		guard:    guard,
		log:      log,
		listener: bound(listener, settings.MaxConnections),
		slots:    make(chan struct{}, settings.MaxInFlight),
		large:    make(chan struct{}, largeAtOnce),
		active:   map[net.Conn]struct{}{},
	}
	s.closed, s.close = context.WithCancel(context.Background())
	s.server = &http.Server{
		Handler:           http.HandlerFunc(s.serve),
		TLSConfig:         config,
		Protocols:         new(http.Protocols),
		ReadHeaderTimeout: settings.HeaderTimeout,
		IdleTimeout:       settings.IdleTimeout,
		MaxHeaderBytes:    settings.MaxHeader,
		ConnState:         s.track,
		BaseContext:       func(net.Listener) context.Context { return s.closed },
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	// Not HTTP/2: there is one request at a time on a connection, which is what keeps its events in order and the limits simple.
	s.server.Protocols.SetHTTP1(true)
	return s, nil
}

// Addr is the bound address.
func (s *Source) Addr() net.Addr { return s.listener.Addr() }

// Receive serves until ctx ends. Requests whose delivery was taken by then are still answered as they are settled, without a
// limit in time; Close cuts that short. It can be called once.
func (s *Source) Receive(ctx context.Context, handle transport.Handler) error {
	if s.closed.Err() != nil {
		return nil
	}
	if !s.state.CompareAndSwap(listening, starting) {
		return errors.New("the source has received before")
	}
	s.handle, s.draining = handle, ctx
	s.state.Store(receiving)
	defer s.state.Store(stopped)
	served := make(chan error, 1)
	go func() {
		if s.server.TLSConfig != nil {
			served <- s.server.ServeTLS(s.listener, "", "")
			return
		}
		served <- s.server.Serve(s.listener)
	}()
	what := "CloudEvents"
	if s.front != nil {
		what = "requests"
	}
	s.log.Info("listening for "+what, "address", s.Addr().String())

	var err error
	select {
	case <-ctx.Done():
		s.drain()
		<-served
	case <-s.closed.Done():
		<-served
	case err = <-served:
		if s.closed.Err() == nil {
			err = fmt.Errorf("listen: %w", err)
		} else {
			err = nil
		}
	}
	_ = s.Close() // nothing is left that could fail
	s.lock.Lock()
	s.finished = true
	s.lock.Unlock()
	s.requests.Wait()
	return err
}

// drain stops accepting and waits until the requests under way are answered. It does the work of http.Server.Shutdown, which
// polls, and waits up to five seconds for connections that never sent anything.
func (s *Source) drain() {
	s.listener.Close()
	s.server.SetKeepAlivesEnabled(false)
	s.lock.Lock()
	done := make(chan struct{})
	s.inactive = done
	if len(s.active) == 0 {
		s.inactive = nil
		close(done)
	}
	s.lock.Unlock()
	select {
	case <-done:
	case <-s.closed.Done():
	}
}

// track counts the connections that have a request on them, until its answer is written.
func (s *Source) track(conn net.Conn, state http.ConnState) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if state == http.StateActive {
		s.active[conn] = struct{}{}
		return
	}
	delete(s.active, conn)
	if len(s.active) == 0 && s.inactive != nil {
		close(s.inactive)
		s.inactive = nil
	}
}

// Health is nil while the source is served and takes events.
func (s *Source) Health() error {
	switch {
	case s.closed.Err() != nil:
		return errors.New("closed")
	case s.state.Load() < receiving:
		return errors.New("not receiving yet")
	case s.state.Load() == stopped || s.draining.Err() != nil:
		return errors.New("stopped")
	case s.front != nil:
		return s.front.Health()
	}
	return nil
}

// Close stops listening and cuts every connection: what is in flight then is not answered, and its sender must send it again.
// It does not wait for Receive. It always returns nil.
func (s *Source) Close() error {
	s.close()
	s.listener.Close() // the server knows it only once it serves
	s.server.Close()
	return nil
}

// answer is the JSON body of a response to a single event, and one of the results of a batch.
type answer struct {
	status     int
	id, ceType string
	err        string
	retryAfter time.Duration
	challenge  string // of an answer with 401
}

func (s *Source) serve(w http.ResponseWriter, r *http.Request) {
	s.lock.Lock()
	finished := s.finished
	if !finished {
		s.requests.Add(1)
	}
	s.lock.Unlock()
	if finished {
		panic(http.ErrAbortHandler) // the connection is closed already
	}
	defer s.requests.Done()
	switch {
	case s.front != nil:
		s.serveFront(w, r)
	case r.URL.Path != "/":
		s.refuse(w, r, answer{status: http.StatusNotFound, err: "events are taken at /"})
	case r.Method == http.MethodPost:
		s.post(w, r)
	case r.Method == http.MethodOptions:
		s.handshake(w, r)
	default:
		w.Header()["Allow"] = []string{"POST, OPTIONS"}
		s.refuse(w, r, answer{status: http.StatusMethodNotAllowed, err: "events are sent with POST"})
	}
}

func (s *Source) serveFront(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header()["Allow"] = []string{"POST"}
		s.refuse(w, r, answer{status: http.StatusMethodNotAllowed, err: "requests are sent with POST"})
	} else if refusal := s.guard.checkHead(w.Header(), r); refusal != nil {
		s.refuse(w, r, *refusal)
	} else if refusal := s.front.Check(r); refusal != nil {
		s.refuse(w, r, refusal.answer())
	} else if r.ContentLength > s.settings.MaxBody {
		s.refuse(w, r, s.tooLarge())
	} else {
		s.admit(w, r, s.postFront)
	}
}

// postFront has a slot.
func (s *Source) postFront(_ context.Context, w http.ResponseWriter, r *http.Request, reading *reader) {
	body, err := s.readBody(r, reading)
	switch {
	case errors.Is(err, errTooLarge):
		s.refuse(w, r, s.tooLarge())
		return
	case err != nil:
		s.replyUnread(w, err)
		return
	}
	if refusal := s.guard.checkBody(r, body); refusal != nil {
		s.reply(w, *refusal)
		return
	}
	m, refusal := s.front.Read(r.Context(), r, body)
	if refusal != nil {
		s.reply(w, refusal.answer())
		return
	}
	// The time that the relay has begins when it is asked.
	ctx, cancel := context.WithTimeout(r.Context(), s.settings.BusyTimeout)
	defer cancel()
	defer context.AfterFunc(s.draining, cancel)()
	s.reply(w, s.deliver(ctx, r.Context(), m, nil, nil, nil))
}

// handshake answers the validation request of HTTP 1.1 Web Hooks for Event Delivery, section 4, which is about no authorization and needs
// none. The WebHook-Request-Callback is ignored on purpose: following it would let anybody make this process send requests to where they
// cannot. What a browser asks before it posts across origins (CORS) gets no permission either.
func (s *Source) handshake(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header["Allow"] = []string{"POST, OPTIONS"}
	origin := r.Header.Get("WebHook-Request-Origin")
	switch {
	case origin == "":
		w.WriteHeader(http.StatusNoContent)
		return
	case !slices.Contains(s.settings.AllowedOrigins, "*") && !slices.Contains(s.settings.AllowedOrigins, origin):
		s.reply(w, answer{status: http.StatusForbidden, err: fmt.Sprintf("origin %.100q is not allowed to send events", origin)})
		return
	}
	header.Set("WebHook-Allowed-Origin", origin)
	// No fixed rate: the answers 429 and 503 hold a sender back when it matters.
	header.Set("WebHook-Allowed-Rate", "*")
	w.WriteHeader(http.StatusOK)
}

// form is the content mode of a request.
type form byte

const (
	binaryForm form = iota
	structuredForm
	batchedForm
)

const whatToSend = "send " + cloudeventsjson.MediaType + ", " + cloudeventsjson.BatchMediaType + ", or " + cloudeventsjson.DataMediaType +
	" with the attributes in ce- headers"

// formOf tells the content mode (CloudEvents HTTP protocol binding, section 3), or why there is none.
func formOf(h http.Header) (form, string) {
	if encoding := h.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return 0, fmt.Sprintf("content encoding %.40q is not supported", encoding)
	}
	contentType := h.Get("Content-Type")
	mediaType, charset := contentType, ""
	if contentType != cloudeventsjson.DataMediaType && contentType != cloudeventsjson.MediaType && contentType != "" {
		var params map[string]string
		var err error
		if mediaType, params, err = mime.ParseMediaType(contentType); err != nil {
			return 0, fmt.Sprintf("content type %.80q cannot be read; %s", contentType, whatToSend)
		}
		charset = strings.ToLower(params["charset"])
	}
	if charset != "" && charset != "utf-8" && charset != "utf8" && charset != "us-ascii" {
		return 0, fmt.Sprintf("charset %.40q is not supported; JSON is UTF-8", charset)
	}
	switch {
	case mediaType == cloudeventsjson.MediaType:
		return structuredForm, ""
	case mediaType == cloudeventsjson.BatchMediaType:
		return batchedForm, ""
	case strings.HasPrefix(mediaType, "application/cloudevents"):
		return 0, fmt.Sprintf("event format %.80q is not supported; %s", mediaType, whatToSend)
	case !hasAttributes(h):
		if mediaType == "" {
			return 0, "there is no content type; " + whatToSend
		}
		return 0, fmt.Sprintf("content type %.80q without ce- headers is not a CloudEvent; %s", mediaType, whatToSend)
	case !cloudeventsjson.IsJSON(mediaType):
		return 0, fmt.Sprintf("events are JSON, not %.80q; %s", mediaType, whatToSend)
	}
	return binaryForm, ""
}

func (s *Source) post(w http.ResponseWriter, r *http.Request) {
	if refusal := s.guard.checkHead(w.Header(), r); refusal != nil {
		s.refuse(w, r, *refusal)
		return
	}
	form, problem := formOf(r.Header)
	if problem != "" {
		s.refuse(w, r, answer{status: http.StatusUnsupportedMediaType, err: problem})
		return
	}
	if r.ContentLength > max(s.settings.MaxBody, largestLetter) {
		s.refuse(w, r, s.tooLarge())
		return
	}
	s.admit(w, r, func(ctx context.Context, w http.ResponseWriter, r *http.Request, reading *reader) {
		s.postForm(ctx, w, r, form, reading)
	})
}

// admit waits for a slot and calls post with it. ctx ends when the relay must have taken what comes of the request.
func (s *Source) admit(w http.ResponseWriter, r *http.Request, post func(context.Context, http.ResponseWriter, *http.Request, *reader)) {
	// The deadline for room in the relay begins here: a request that waits for a slot waits for the relay.
	ctx, cancel := context.WithTimeout(r.Context(), s.settings.BusyTimeout)
	defer cancel()
	reading := reader{control: http.NewResponseController(w)}
	defer context.AfterFunc(s.draining, func() {
		cancel()
		reading.interrupt()
	})()
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		select {
		case s.slots <- struct{}{}:
			defer func() { <-s.slots }()
		case <-ctx.Done():
			s.refuse(w, r, s.notTaken(ctx.Err()))
			return
		}
	}
	post(ctx, w, r, &reading)
}

func (s *Source) postForm(ctx context.Context, w http.ResponseWriter, r *http.Request, form form, reading *reader) {
	body, err := s.readBody(r, reading)
	switch {
	case errors.Is(err, errTooLarge):
		s.postLarge(ctx, w, r, form, body, reading)
		return
	case err != nil:
		s.replyUnread(w, err)
		return
	}
	if refusal := s.guard.checkBody(r, body); refusal != nil {
		s.reply(w, *refusal)
		return
	}
	switch form {
	case binaryForm:
		m, err := decodeBinary(r.Header, body)
		s.reply(w, s.deliver(ctx, r.Context(), m, nil, err, nil))
	case structuredForm:
		m, err := cloudeventsjson.Decode(body)
		s.reply(w, s.deliver(ctx, r.Context(), m, nil, err, nil))
	case batchedForm:
		messages, err := cloudeventsjson.DecodeBatch(body)
		var bad *cloudeventsjson.BatchError
		switch {
		case err != nil && !errors.As(err, &bad):
			s.reply(w, s.deliver(ctx, r.Context(), transport.Message{Data: body}, nil, err, nil))
		case len(messages) > s.settings.MaxBatch:
			s.reply(w, answer{status: http.StatusRequestEntityTooLarge,
				err: fmt.Sprintf("the batch has %d events, at most %d are taken", len(messages), s.settings.MaxBatch)})
		default:
			s.replyBatch(w, s.deliverBatch(ctx, r.Context(), messages, bad))
		}
	}
}

var errTooLarge = errors.New("the body is too large")

const (
	// largestLetter bounds the bodies over MaxBody that still go to the dead letters, in bytes; of a larger one its
	// sender alone is told.
	largestLetter = 16 << 20
	// largeAtOnce bounds how many of them are in memory.
	largeAtOnce = 4
)

// postLarge reads the rest of a body that is too large, of which the beginning is here, and hands it over for the dead letters.
// Its slot is given back once nobody needs the body: after the settlement, even if the client does not stay for it.
func (s *Source) postLarge(ctx context.Context, w http.ResponseWriter, r *http.Request, form form, body []byte, reading *reader) {
	select {
	case s.large <- struct{}{}:
	case <-ctx.Done():
		s.refuse(w, r, s.notTaken(ctx.Err()))
		return
	}
	release := sync.OnceFunc(func() { <-s.large })
	reading.begin(time.Now().Add(s.settings.ReadTimeout))
	buf := bytes.NewBuffer(body)
	_, err := buf.ReadFrom(io.LimitReader(r.Body, largestLetter-int64(len(body))+1))
	reading.end(err == nil)
	body = buf.Bytes()
	switch {
	case err != nil:
		release()
		s.replyUnread(w, err)
		return
	case len(body) > largestLetter:
		release()
		s.refuse(w, r, s.tooLarge())
		return
	}
	if refusal := s.guard.checkBody(r, body); refusal != nil {
		release()
		s.reply(w, *refusal)
		return
	}
	m := transport.Message{Data: body}
	switch form {
	case binaryForm:
		m, err = decodeBinary(r.Header, body)
	case structuredForm:
		m, err = cloudeventsjson.Decode(body)
	}
	if err != nil {
		m = transport.Message{Data: body}
	}
	defect := &transport.Defect{Code: transport.CodeTooLarge, Message: s.tooLarge().err}
	s.reply(w, s.deliver(ctx, r.Context(), m, defect, nil, release))
}

// replyUnread answers a request whose body could not be read to its end.
func (s *Source) replyUnread(w http.ResponseWriter, err error) {
	switch {
	case s.draining.Err() != nil:
		s.reply(w, s.notTaken(err))
	case errors.Is(err, os.ErrDeadlineExceeded):
		w.Header()["Connection"] = []string{"close"}
		s.reply(w, answer{status: http.StatusRequestTimeout, err: fmt.Sprintf("the body did not arrive within %v", s.settings.ReadTimeout)})
	default:
		s.reply(w, answer{status: http.StatusBadRequest, err: "the body cannot be read: " + err.Error()})
	}
}

func (s *Source) tooLarge() answer {
	return answer{status: http.StatusRequestEntityTooLarge, err: fmt.Sprintf("the body is larger than %d bytes", s.settings.MaxBody)}
}

// reader holds the deadline of a body that is being read, so that the end of Receive can move it.
type reader struct {
	lock        sync.Mutex
	reading     bool
	interrupted bool // whatever is read from now on
	control     *http.ResponseController
}

func (r *reader) begin(deadline time.Time) {
	r.lock.Lock()
	defer r.lock.Unlock()
	r.reading = true
	if r.interrupted {
		deadline = longAgo
	}
	r.control.SetReadDeadline(deadline)
}

// end lifts the deadline of a body that was read to its end: the server watches the connection while the delivery waits for its
// settlement, and would take a deadline for a client that is gone. The deadline of any other body stays, since the server tries
// to read the rest of it after the answer.
func (r *reader) end(whole bool) {
	r.lock.Lock()
	defer r.lock.Unlock()
	r.reading = false
	if whole {
		r.control.SetReadDeadline(time.Time{})
	}
}

func (r *reader) interrupt() {
	r.lock.Lock()
	defer r.lock.Unlock()
	r.interrupted = true
	if r.reading {
		r.control.SetReadDeadline(longAgo)
	}
}

var longAgo = time.Unix(1, 0)

// readBody reads at most MaxBody bytes into memory that nobody else uses.
func (s *Source) readBody(r *http.Request, reading *reader) (body []byte, err error) {
	reading.begin(time.Now().Add(s.settings.ReadTimeout))
	defer func() { reading.end(err == nil) }()
	if n := r.ContentLength; n >= 0 && n <= min(64<<10, s.settings.MaxBody) {
		body = make([]byte, n)
		_, err = io.ReadFull(r.Body, body)
		return body, err
	}
	// Memory grows with what comes, not with what a header promises.
	var buf bytes.Buffer
	n, err := buf.ReadFrom(io.LimitReader(r.Body, s.settings.MaxBody+1))
	if err == nil && n > s.settings.MaxBody {
		err = errTooLarge
	}
	return buf.Bytes(), err
}

// refuse answers before the body was read. It reads the rest first, within limits: a sender that is still writing when
// the connection is closed would see a reset in place of the answer.
func (s *Source) refuse(w http.ResponseWriter, r *http.Request, a answer) {
	if !strings.EqualFold(r.Header.Get("Expect"), "100-continue") {
		control := http.NewResponseController(w)
		control.SetReadDeadline(time.Now().Add(min(s.settings.ReadTimeout, 5*time.Second)))
		const limit = 32 << 20 // costs no memory, only a loopback's or a network's time
		if _, err := io.CopyN(io.Discard, r.Body, limit); !errors.Is(err, io.EOF) {
			w.Header()["Connection"] = []string{"close"} // and the deadline stays
		} else {
			control.SetReadDeadline(time.Time{})
		}
	}
	s.reply(w, a)
}

// deliver hands one message over and waits for its settlement. The handler has until ctx ends to take it; the settlement may
// take as long as the client stays. release, if not nil, is called once the message is settled or was not taken, which may be
// after deliver has returned.
func (s *Source) deliver(ctx, request context.Context, m transport.Message, defect *transport.Defect, decodeErr error, release func()) answer {
	settled := make(chan transport.Settlement, 1)
	err := s.hand(ctx, m, defect, func(settlement transport.Settlement) {
		if release != nil {
			release()
		}
		settled <- settlement
	})
	if err != nil {
		if release != nil {
			release()
		}
		return s.notTaken(err)
	}
	select {
	case settlement := <-settled:
		a := s.answerTo(m, settlement, decodeErr)
		if defect != nil && settlement.Outcome == transport.Rejected {
			a = s.tooLarge() // the only defect that a source of this kind tells
			a.id = m.ID
		}
		return a
	case <-request.Done():
		return s.notTaken(request.Err()) // nobody will read it
	}
}

func (s *Source) hand(ctx context.Context, m transport.Message, defect *transport.Defect, settle func(transport.Settlement)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var once sync.Once
	return s.handle(ctx, transport.Delivery{Message: m, Defect: defect, Settle: func(settlement transport.Settlement) {
		once.Do(func() { settle(settlement) })
	}})
}

func (s *Source) deliverBatch(ctx, request context.Context, messages []transport.Message, bad *cloudeventsjson.BatchError) []answer {
	answers := make([]answer, len(messages))
	type indexed struct {
		i int
		transport.Settlement
	}
	settled := make(chan indexed, len(messages))
	open := 0
	decodeErr := func(i int) error {
		if bad == nil {
			return nil
		}
		return bad.Errors[i]
	}
	for i, m := range messages {
		if err := s.hand(ctx, m, nil, func(settlement transport.Settlement) { settled <- indexed{i, settlement} }); err != nil {
			answers[i] = s.notTaken(err)
			answers[i].id = m.ID
			continue
		}
		open++
	}
	for ; open > 0; open-- {
		select {
		case one := <-settled:
			answers[one.i] = s.answerTo(messages[one.i], one.Settlement, decodeErr(one.i))
		case <-request.Done():
			return answers // nobody will read them
		}
	}
	return answers
}

// notTaken is the answer to an event that the handler did not take.
func (s *Source) notTaken(err error) answer {
	a := answer{status: http.StatusServiceUnavailable, retryAfter: s.settings.RetryAfter}
	var busy *transport.BusyError
	switch {
	case errors.As(err, &busy):
		a.status, a.err = http.StatusTooManyRequests, busy.Error()
		if busy.RetryAfter > 0 {
			a.retryAfter = busy.RetryAfter
		}
	case s.draining.Err() != nil || s.closed.Err() != nil:
		a.err = "shutting down"
	case errors.Is(err, context.DeadlineExceeded):
		a.err = fmt.Sprintf("no room within %v", s.settings.BusyTimeout)
	default:
		a.err = err.Error()
	}
	return a
}

func (s *Source) answerTo(m transport.Message, settlement transport.Settlement, decodeErr error) answer {
	a := answer{status: http.StatusAccepted, id: m.ID}
	switch settlement.Outcome {
	case transport.Accepted:
		return a
	case transport.Rejected:
		a.status, a.err = http.StatusBadRequest, "the event can never be translated"
	default:
		a.status, a.err, a.retryAfter = http.StatusServiceUnavailable, "the event could not be delivered yet", settlement.RetryAfter
		if a.retryAfter <= 0 {
			a.retryAfter = s.settings.RetryAfter
		}
	}
	if m.Type != "" {
		a.ceType = m.CloudEventsType()
	}
	switch {
	case decodeErr != nil && a.status == http.StatusBadRequest:
		a.err = decodeErr.Error() // closer to the cause than what the relay makes of a message without a type
	case settlement.Err != nil:
		a.err = settlement.Err.Error()
	}
	return a
}

func (a answer) append(dst []byte) []byte {
	comma := false
	member := func(name, value string) {
		if value == "" {
			return
		}
		if comma {
			dst = append(dst, ',')
		}
		comma = true
		dst = append(append(append(dst, '"'), name...), `":`...)
		dst = jsondoc.AppendString(dst, value)
	}
	dst = append(dst, '{')
	member("error", a.err)
	member("id", a.id)
	member("type", a.ceType)
	return append(dst, '}')
}

func (s *Source) reply(w http.ResponseWriter, a answer) {
	var body []byte
	if a.err != "" {
		body = a.append(make([]byte, 0, 256))
	}
	if a.challenge != "" {
		w.Header().Set("WWW-Authenticate", a.challenge)
	}
	s.write(w, a.status, a.retryAfter, body)
}

// replyBatch: 202 if all are accepted; else 400 if any is rejected; else what the first one that must be sent again says. The body has
// one result per event unless all are accepted.
func (s *Source) replyBatch(w http.ResponseWriter, answers []answer) {
	status, retryAfter := http.StatusAccepted, time.Duration(0)
	for _, a := range answers {
		retryAfter = max(retryAfter, a.retryAfter)
		switch {
		case a.status == http.StatusBadRequest:
			status = http.StatusBadRequest
		case a.status != http.StatusAccepted && status == http.StatusAccepted:
			status = http.StatusServiceUnavailable
		}
	}
	if status == http.StatusAccepted {
		s.write(w, status, 0, nil)
		return
	}
	body := append(make([]byte, 0, 64*len(answers)), `{"results":[`...)
	for i, a := range answers {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, `{"index":`...)
		body = strconv.AppendInt(body, int64(i), 10)
		if a.id != "" {
			body = append(body, `,"id":`...)
			body = jsondoc.AppendString(body, a.id)
		}
		body = append(body, `,"status":`...)
		body = strconv.AppendInt(body, int64(a.status), 10)
		if a.err != "" {
			body = append(body, `,"error":`...)
			body = jsondoc.AppendString(body, a.err)
		}
		body = append(body, '}')
	}
	s.write(w, status, retryAfter, append(body, "]}"...))
}

func (s *Source) write(w http.ResponseWriter, status int, retryAfter time.Duration, body []byte) {
	header := w.Header()
	if retryAfter > 0 {
		header["Retry-After"] = []string{strconv.FormatInt(int64((retryAfter+time.Second-1)/time.Second), 10)}
	}
	if s.draining.Err() != nil {
		header["Connection"] = []string{"close"}
	}
	if len(body) > 0 {
		header["Content-Type"] = contentTypeJSON
	}
	header["Content-Length"] = []string{strconv.Itoa(len(body))}
	// Counted from here and not from the request, as http.Server.WriteTimeout would be: the settlement may take its time.
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.settings.WriteTimeout))
	w.WriteHeader(status)
	w.Write(body)
}
