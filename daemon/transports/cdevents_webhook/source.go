// Package cdeventswebhook lets webhooks come in that are no CDEvents yet: a [Source] posts what it is sent to translators of the
// CDEvents webhook adapter (cdevents/webhook-adapter), which run unmodified, and hands over the CDEvents that come back.
//
// The adapter starts a process for each request, through a shell; gives each header the values of the headers before it too; and
// answers when the event was sent, or 500. Here a translator is one process that is started anew when it dies, its binary is pinned
// by a checksum, it sees each header as it came, and a request is answered as by the transport cloudevents_http: with 202 once
// everything that follows from it is durable.
package cdeventswebhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	cloudeventshttp "github.com/eiffelbridge/eiffelbridge/daemon/transports/cloudevents_http"
	"github.com/eiffelbridge/eiffelbridge/plugins/host"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
	"github.com/eiffelbridge/eiffelbridge/plugins/webhookv1"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// prefix is that of the adapter's paths.
const prefix = "/translate/"

var _ transport.Source = (*Source)(nil)

// Source listens for requests to /translate/NAME. A request is answered with
//
//   - 202 once its CDEvent is accepted, and 400 once it is rejected: then it lies in the dead letters;
//   - 422 with the translator's reason if that makes no CDEvent of it; the request goes nowhere then, since many senders tell more
//     than their translator knows;
//   - 503 with Retry-After if the event is to be retried, or the translator does not run or does not answer in time;
//   - 429 with Retry-After if there is no room.
//
// The sender retries, the source never does. A repetition is recognized, so that it becomes the same CDEvent.
type Source struct {
	*cloudeventshttp.Source
	front *front

	closing  sync.Once
	closeErr error
}

// Listen binds the address, and starts the translators and waits until each runs or has failed to; connections wait until
// Receive is called. It is an error if no start of a translator can succeed as things are: its checksum is another, or it is none.
// Of one that only dies Health tells. The source must be closed even if it never receives.
func Listen(settings Settings, log *slog.Logger) (*Source, error) {
	if err := settings.Validate(); err != nil {
		return nil, err
	}
	f := &front{
		timeout: settings.TranslateTimeout, retryAfter: settings.RetryAfter,
		repeats: newRepeats(settings.Repeats), translators: map[string]*host.Process{},
	}
	source, err := cloudeventshttp.ListenFor(f, settings.http(), log)
	if err != nil {
		return nil, err
	}
	s := &Source{Source: source, front: f}
	for name, t := range settings.Translators {
		if f.translators[name], err = host.Start(t.Process(name, log)); err != nil {
			delete(f.translators, name)
			return nil, errors.Join(fmt.Errorf("translators.%s: %w", name, err), s.Close())
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), settings.TranslateTimeout)
	defer cancel()
	for _, name := range sortedKeys(f.translators) {
		_, err := f.translators[name].Wait(ctx)
		var unavailable *host.UnavailableError
		if errors.As(err, &unavailable) && unavailable.Unfit {
			return nil, errors.Join(fmt.Errorf("translators.%s: %w", name, err), s.Close())
		}
	}
	return s, nil
}

// Translators are the processes by the names of the translators. They end with the source.
func (s *Source) Translators() map[string]*host.Process { return maps.Clone(s.front.translators) }

// Process are the settings of the translator's process. log may be nil.
func (t Translator) Process(name string, log *slog.Logger) host.Settings {
	s := host.DefaultSettings()
	s.Name, s.Path, s.Args, s.SHA256, s.Files, s.Dev, s.Env = name, t.Path, t.Args, t.SHA256, t.Files, t.Dev, map[string]string{}
	for variable, value := range t.Env {
		s.Env[variable] = string(value)
	}
	s.Handshake = host.Handshake{
		Cookie: webhookv1.CookieKey, Value: webhookv1.CookieValue, Versions: []int{webhookv1.Version}, Foreign: true,
	}
	if log != nil {
		s.Logger = log
	}
	return s
}

// Addr is the bound address.
func (s *Source) Addr() net.Addr { return s.Source.Addr() }

// Close is that of the transport cloudevents_http, and ends the translators.
func (s *Source) Close() error {
	s.closing.Do(func() {
		s.closeErr = s.Source.Close()
		var ending sync.WaitGroup
		for _, p := range s.front.translators {
			ending.Go(func() { _ = p.Close() }) // never an error
		}
		ending.Wait()
	})
	return s.closeErr
}

// front makes CDEvents of requests.
type front struct {
	timeout, retryAfter time.Duration
	repeats             *repeats
	translators         map[string]*host.Process
}

var _ cloudeventshttp.Front = (*front)(nil)

// Check implements [cloudeventshttp.Front].
func (f *front) Check(r *http.Request) *cloudeventshttp.Refusal {
	name, ok := strings.CutPrefix(r.URL.Path, prefix)
	if ok && f.translators[name] != nil {
		return nil
	}
	return &cloudeventshttp.Refusal{Status: http.StatusNotFound,
		Reason: "requests are taken at " + prefix + strings.Join(slices.Sorted(maps.Keys(f.translators)), ", "+prefix)}
}

// Read implements [cloudeventshttp.Front].
func (f *front) Read(ctx context.Context, r *http.Request, body []byte) (transport.Message, *cloudeventshttp.Refusal) {
	name := strings.TrimPrefix(r.URL.Path, prefix)
	if !utf8.Valid(body) { // the protocol has text only
		return transport.Message{}, &cloudeventshttp.Refusal{Status: http.StatusBadRequest, Reason: "the body is not UTF-8"}
	}
	key := keyOf(name, r.Header, body)
	text, ok := f.repeats.get(key, time.Now())
	if !ok {
		ctx, cancel := context.WithTimeout(ctx, f.timeout)
		defer cancel()
		made, err := f.translate(ctx, f.translators[name], &webhookv1.TranslateEventRequest{Event: string(body), Headers: entries(r.Header)})
		var refused *refusedError
		switch {
		case errors.As(err, &refused):
			return transport.Message{}, &cloudeventshttp.Refusal{Status: http.StatusUnprocessableEntity,
				Reason: fmt.Sprintf("translator %s: %s", name, refused.reason)}
		case err != nil:
			return transport.Message{}, &cloudeventshttp.Refusal{Status: http.StatusServiceUnavailable,
				Reason: fmt.Sprintf("translator %s: %v", name, err), RetryAfter: f.retryAfter}
		}
		text = f.repeats.put(key, made, time.Now())
	}
	return message(text), nil
}

// message is what the relay gets. It reads the event itself; the head is for answers and dead letters.
func message(text string) transport.Message {
	m := transport.Message{Data: []byte(text)}
	if e, err := translate.Decode(m.Data); err == nil && e.Protocol == translate.CDEvents {
		m.Protocol, m.ID, m.Source, m.Type, m.Subject, m.Schema = transport.CDEvents, e.ID, e.Source, e.Type, e.Subject, e.Schema
	}
	return m
}

// Health names a translator that does not run.
func (f *front) Health() error {
	var errs []error
	for _, name := range sortedKeys(f.translators) {
		errs = append(errs, f.translators[name].Health())
	}
	return errors.Join(errs...)
}

// refusedError says that the translator runs, and makes no CDEvent of a request.
type refusedError struct{ reason string }

func (e *refusedError) Error() string { return e.reason }

// attempts is how often a request is translated whose translator dies over it: once more than one death needs, since the first may
// be one that was not noticed yet. More would let one request that kills its translator keep it from the others for longer.
const attempts = 3

func (f *front) translate(ctx context.Context, p *host.Process, request *webhookv1.TranslateEventRequest) (string, error) {
	for attempt := 1; ; attempt++ {
		incarnation, err := p.Wait(ctx)
		if err != nil {
			return "", err
		}
		response, err := webhookv1.NewEventTranslatorClient(incarnation.Conn).TranslateEvent(ctx, request)
		switch code := status.Code(err); {
		case err == nil && response.GetEvent() == "":
			incarnation.Worked()
			return "", &refusedError{"it made no CDEvent of the request"}
		case err == nil:
			incarnation.Worked()
			return response.GetEvent(), nil
		case code == codes.DeadlineExceeded:
			// Others may wait for it as well; there is no way to end one call of a translator that hangs but to end it.
			incarnation.Fail(fmt.Errorf("it did not answer within %v", f.timeout))
			return "", fmt.Errorf("no answer within %v", f.timeout)
		case ctx.Err() != nil:
			return "", ctx.Err() // the client is gone
		case code == codes.Unavailable || code == codes.Canceled || incarnation.Err() != nil: // gRPC calls a closed connection canceled
			select {
			case <-incarnation.Done():
			case <-time.After(time.Second): // its own Unavailable, or a connection that broke
				return "", errors.New(status.Convert(err).Message())
			}
			if attempt == attempts {
				return "", fmt.Errorf("it died over the request: %w", incarnation.Err())
			}
		case code == codes.Unimplemented:
			return "", errors.New("it is no translator of the CDEvents webhook adapter")
		case code == codes.ResourceExhausted:
			return "", errors.New(status.Convert(err).Message())
		default:
			incarnation.Worked()
			return "", &refusedError{status.Convert(err).Message()}
		}
	}
}

// entries are the headers as the protocol has them, each with its own values, in the order of their names.
func entries(h http.Header) []*webhookv1.HeaderEntry {
	out := make([]*webhookv1.HeaderEntry, 0, len(h))
	for _, key := range sortedKeys(h) {
		entry := &webhookv1.HeaderEntry{Key: headerText(key)}
		for _, value := range h[key] {
			entry.Values = append(entry.Values, &webhookv1.HeaderValue{Value: headerText(value)})
		}
		out = append(out, entry)
	}
	return out
}

// headerText is a header's, which is UTF-8 nowadays and was Latin-1 (RFC 9110, section 5.5); the protocol has nothing else than UTF-8.
func headerText(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	runes := make([]rune, len(s))
	for i := range len(s) {
		runes[i] = rune(s[i])
	}
	return string(runes)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
