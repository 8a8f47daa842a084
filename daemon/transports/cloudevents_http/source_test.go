package cloudeventshttp_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	cloudeventshttp "github.com/eiffelbridge/eiffelbridge/daemon/transports/cloudevents_http"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

// served is a source that receives, and what it has handed over.
type served struct {
	source *cloudeventshttp.Source
	url    string
	stop   func() error // ends Receive and gives what it returned

	lock     sync.Mutex
	messages []transport.Message
	defects  []*transport.Defect // of the messages, nil for sound ones
}

// serve runs a source whose deliveries handle takes, and keeps the messages.
func serve(t testing.TB, change func(*cloudeventshttp.SourceSettings), handle transport.Handler) *served {
	t.Helper()
	source, err := listen(change)
	if err != nil {
		t.Fatal(err)
	}
	s := &served{source: source, url: "http://" + source.Addr().String()}
	ctx, cancel := context.WithCancel(context.Background())
	returned := make(chan error, 1)
	go func() {
		returned <- source.Receive(ctx, func(ctx context.Context, d transport.Delivery) error {
			s.lock.Lock()
			s.messages = append(s.messages, d.Message)
			s.defects = append(s.defects, d.Defect)
			s.lock.Unlock()
			return handle(ctx, d)
		})
	}()
	s.stop = sync.OnceValue(func() error {
		cancel()
		return <-returned
	})
	t.Cleanup(func() {
		source.Close()
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
	for source.Health() != nil {
		time.Sleep(time.Millisecond)
	}
	return s
}

func (s *served) taken() []transport.Message {
	s.lock.Lock()
	defer s.lock.Unlock()
	return append([]transport.Message(nil), s.messages...)
}

func settleWith(settlement transport.Settlement) transport.Handler {
	return func(_ context.Context, d transport.Delivery) error {
		go d.Settle(settlement)
		return nil
	}
}

var accepted = settleWith(transport.Settlement{Outcome: transport.Accepted})

type answer struct {
	status int
	header http.Header
	body   string
}

func send(t testing.TB, method, url, body string, header ...string) answer {
	t.Helper()
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Add(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if len(text) > 0 && (!json.Valid(text) || response.Header.Get("Content-Type") != "application/json") {
		t.Errorf("the answer is not JSON: %s", text)
	}
	return answer{response.StatusCode, response.Header, string(text)}
}

// attributes makes the headers of binary mode.
func attributes(id string, more ...string) []string {
	return append([]string{"ce-specversion", "1.0", "ce-id", id, "ce-source", "/s", "ce-type", "dev.cdevents.service.deployed.0.2.0", "Content-Type", "application/json"}, more...)
}

const structuredEvent = `{"specversion":"1.0","id":"i","source":"/s","type":"io.github.eiffel-community.EiffelArtifactDeployedEvent","data": {"meta" : 1.0}}`

func TestRequests(t *testing.T) {
	const structured, batch = "application/cloudevents+json", "application/cloudevents-batch+json"
	type message = transport.Message
	for name, c := range map[string]struct {
		method, path, body string
		header             []string
		status             int
		answer             string // part of it
		want               *message
	}{
		"binary": {body: `{"a": 1}`, header: attributes("i%20%E2%82%AC", "ce-subject", `"q\"x"`, "ce-time", "2024-01-01T01:00:00+01:00", "ce-dataschema", "urn:s", "ce-traceparent", "00", "ce-other", "x"), status: 202,
			want: &message{Protocol: "cdevents", ID: "i €", Source: "/s", Type: "dev.cdevents.service.deployed.0.2.0", Subject: `q"x`, Time: "2024-01-01T00:00:00Z", Schema: "urn:s", Data: []byte(`{"a": 1}`), Extensions: map[string]string{"traceparent": "00"}}},
		"binary, not encoded": {body: `{}`, header: attributes("100% ü %4"), status: 202,
			want: &message{Protocol: "cdevents", ID: "100% ü %4", Source: "/s", Type: "dev.cdevents.service.deployed.0.2.0", Data: []byte(`{}`)}},
		"binary, no content type": {body: `{}`, header: attributes("i")[:8], status: 202,
			want: &message{Protocol: "cdevents", ID: "i", Source: "/s", Type: "dev.cdevents.service.deployed.0.2.0", Data: []byte(`{}`)}},
		"structured": {body: structuredEvent, header: []string{"Content-Type", structured + "; charset=UTF-8"}, status: 202,
			want: &message{Protocol: "eiffel", ID: "i", Source: "/s", Type: "EiffelArtifactDeployedEvent", Data: []byte(`{"meta" : 1.0}`)}},
		"structured wins over headers": {body: structuredEvent, header: append(attributes("other")[:8], "Content-Type", structured), status: 202,
			want: &message{Protocol: "eiffel", ID: "i", Source: "/s", Type: "EiffelArtifactDeployedEvent", Data: []byte(`{"meta" : 1.0}`)}},
		"binary without id": {body: `{}`, header: []string{"ce-specversion", "1.0", "ce-source", "/s", "ce-type", "t", "Content-Type", "application/json"}, status: 400,
			answer: `"error":"not a CloudEvent: id is missing"`, want: &message{Source: "/s", Data: []byte(`{}`)}},
		"binary with two ids": {body: `{}`, header: attributes("i", "ce-id", "j"), status: 400,
			answer: `id is given 2 times`, want: &message{ID: "i", Source: "/s", Data: []byte(`{}`)}},
		"binary, bad UTF-8": {body: `{}`, header: attributes("%ff"), status: 400, answer: `id is not valid UTF-8`, want: &message{ID: "\uFFFD", Source: "/s", Data: []byte(`{}`)}},
		"structured, broken": {body: `{"id":"i",`, header: []string{"Content-Type", structured}, status: 400,
			answer: `"id":"i"`, want: &message{ID: "i", Data: []byte(`{"id":"i",`)}},
		"batch, broken":      {body: `[{]`, header: []string{"Content-Type", batch}, status: 400, answer: `"error":"not valid JSON`, want: &message{Data: []byte(`[{]`)}},
		"batch, empty":       {body: `[]`, header: []string{"Content-Type", batch}, status: 202},
		"batch, too many":    {body: `[` + strings.Repeat("{},", 1000) + `{}]`, header: []string{"Content-Type", batch}, status: 413, answer: "at most 1000"},
		"plain JSON":         {body: `{}`, header: []string{"Content-Type", "application/json"}, status: 415, answer: "with the attributes in ce- headers"},
		"no type at all":     {body: `{}`, status: 415, answer: "there is no content type"},
		"binary, not JSON":   {body: `<x/>`, header: attributes("i", "X", "x")[:8], status: 415, answer: "events are JSON"},
		"other event format": {body: `x`, header: []string{"Content-Type", "application/cloudevents+avro"}, status: 415, answer: "not supported"},
		"other charset":      {body: `{}`, header: []string{"Content-Type", structured + "; charset=latin1"}, status: 415, answer: "charset"},
		"broken media type":  {body: `{}`, header: []string{"Content-Type", "a/b/c; ="}, status: 415, answer: "cannot be read"},
		"compressed":         {body: `x`, header: []string{"Content-Type", structured, "Content-Encoding", "gzip"}, status: 415, answer: "content encoding"},
		"GET":                {method: "GET", status: 405, answer: "POST"},
		"PUT":                {method: "PUT", body: structuredEvent, status: 405, answer: "POST"},
		"other path":         {path: "/events", body: structuredEvent, header: []string{"Content-Type", structured}, status: 404, answer: "events are taken at /"},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, nil, func(_ context.Context, d transport.Delivery) error {
				outcome := transport.Settlement{Outcome: transport.Accepted}
				if d.Message.Type == "" {
					outcome = transport.Settlement{Outcome: transport.Rejected, Err: errors.New("no event")}
				}
				d.Settle(outcome)
				return nil
			})
			if c.method == "" {
				c.method = http.MethodPost
			}
			header := c.header
			if name == "binary, not JSON" {
				header = append(header[:8:8], "Content-Type", "application/xml")
			}
			got := send(t, c.method, s.url+c.path, c.body, header...)
			if got.status != c.status || !strings.Contains(got.body, c.answer) {
				t.Errorf("answered %d %s", got.status, got.body)
			}
			if c.status == 405 && got.header.Get("Allow") != "POST, OPTIONS" {
				t.Errorf("Allow is %q", got.header.Get("Allow"))
			}
			taken := s.taken()
			if c.want == nil {
				if len(taken) > 0 {
					t.Errorf("%+v was delivered", taken)
				}
				return
			}
			if len(taken) != 1 || fmt.Sprintf("%+v", taken[0]) != fmt.Sprintf("%+v", *c.want) {
				t.Errorf("\n got %+v\nwant %+v", taken, *c.want)
			}
		})
	}
}

func TestSettlements(t *testing.T) {
	for name, c := range map[string]struct {
		handle     transport.Handler
		status     int
		retryAfter string
		answer     string
	}{
		"accepted": {accepted, 202, "", ""},
		"rejected": {settleWith(transport.Settlement{Outcome: transport.Rejected, Err: errors.New("no mapping")}), 400, "",
			`{"error":"no mapping","id":"i","type":"io.github.eiffel-community.EiffelArtifactDeployedEvent"}`},
		"retried":          {settleWith(transport.Settlement{Outcome: transport.Retried, Err: errors.New("sink down"), RetryAfter: 1500 * time.Millisecond}), 503, "2", `"error":"sink down"`},
		"retried, default": {settleWith(transport.Settlement{Outcome: transport.Retried}), 503, "1", `"error":`},
		"busy": {func(context.Context, transport.Delivery) error {
			return &transport.BusyError{RetryAfter: 7 * time.Second}
		}, 429, "7", "too many deliveries"},
		"busy, default": {func(context.Context, transport.Delivery) error { return &transport.BusyError{} }, 429, "1", "too many deliveries"},
		"no room":       {func(ctx context.Context, _ transport.Delivery) error { <-ctx.Done(); return ctx.Err() }, 503, "1", "no room within 50ms"},
		"failed":        {func(context.Context, transport.Delivery) error { return errors.New("odd") }, 503, "1", "odd"},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, func(s *cloudeventshttp.SourceSettings) { s.BusyTimeout = 50 * time.Millisecond }, c.handle)
			got := send(t, "POST", s.url, structuredEvent, "Content-Type", "application/cloudevents+json")
			if got.status != c.status || got.header.Get("Retry-After") != c.retryAfter || !strings.Contains(got.body, c.answer) {
				t.Errorf("answered %d, Retry-After %q, %s", got.status, got.header.Get("Retry-After"), got.body)
			}
		})
	}
}

func TestBatch(t *testing.T) {
	event := func(id string) string {
		return `{"specversion":"1.0","id":"` + id + `","source":"/s","type":"dev.cdevents.x","data":{}}`
	}
	s := serve(t, func(s *cloudeventshttp.SourceSettings) { s.BusyTimeout = 100 * time.Millisecond }, func(ctx context.Context, d transport.Delivery) error {
		switch {
		case d.Message.Type == "":
			d.Settle(transport.Settlement{Outcome: transport.Rejected, Err: errors.New("no event")})
		case d.Message.ID == "retry":
			go d.Settle(transport.Settlement{Outcome: transport.Retried, Err: errors.New("later"), RetryAfter: 3 * time.Second})
		case d.Message.ID == "block":
			<-ctx.Done()
			return ctx.Err()
		default:
			go d.Settle(transport.Settlement{Outcome: transport.Accepted})
		}
		return nil
	})
	for _, c := range []struct {
		body               string
		status             int
		retryAfter, answer string
	}{
		{"[" + event("a") + "," + event("b") + "]", 202, "", ""},
		{"[" + event("a") + `,{"id":"bad"},7]`, 400, "", `{"results":[{"index":0,"id":"a","status":202},{"index":1,"id":"bad","status":400,"error":"not a CloudEvent: specversion is missing"},{"index":2,"status":400,"error":"not a CloudEvent: it must be a JSON object"}]}`},
		{"[" + event("retry") + "," + event("b") + "]", 503, "3", `{"results":[{"index":0,"id":"retry","status":503,"error":"later"},{"index":1,"id":"b","status":202}]}`},
		{"[" + event("retry") + `,{}]`, 400, "3", `{"results":[{"index":0,"id":"retry","status":503,"error":"later"},{"index":1,"status":400,"error":"not a CloudEvent: specversion is missing"}]}`},
		{"[" + event("a") + "," + event("block") + "," + event("c") + "]", 503, "1", `{"results":[{"index":0,"id":"a","status":202},{"index":1,"id":"block","status":503,"error":"no room within 100ms"},{"index":2,"id":"c","status":503,"error":"no room within 100ms"}]}`},
	} {
		got := send(t, "POST", s.url, c.body, "Content-Type", "application/cloudevents-batch+json")
		if got.status != c.status || got.body != c.answer || got.header.Get("Retry-After") != c.retryAfter {
			t.Errorf("%s:\n got %d, %q, %s\nwant %d, %q, %s", c.body, got.status, got.header.Get("Retry-After"), got.body, c.status, c.retryAfter, c.answer)
		}
	}
}

func TestHandshake(t *testing.T) {
	called := make(chan struct{}, 1)
	trap := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called <- struct{}{} }))
	defer trap.Close()
	s := serve(t, func(s *cloudeventshttp.SourceSettings) { s.AllowedOrigins = []string{"good.example"} }, accepted)
	got := send(t, "OPTIONS", s.url, "", "WebHook-Request-Origin", "good.example", "WebHook-Request-Rate", "120", "WebHook-Request-Callback", trap.URL)
	if got.status != 200 || got.header.Get("WebHook-Allowed-Origin") != "good.example" || got.header.Get("WebHook-Allowed-Rate") != "*" || got.header.Get("Allow") != "POST, OPTIONS" {
		t.Errorf("%d %v", got.status, got.header)
	}
	got = send(t, "OPTIONS", s.url, "", "WebHook-Request-Origin", "evil.example")
	if got.status != 403 || got.header.Get("WebHook-Allowed-Origin") != "" {
		t.Errorf("%d %v", got.status, got.header)
	}
	got = send(t, "OPTIONS", s.url, "")
	if got.status != 204 || got.header.Get("Allow") != "POST, OPTIONS" {
		t.Errorf("%d %v", got.status, got.header)
	}
	select {
	case <-called:
		t.Error("the callback was called")
	case <-time.After(50 * time.Millisecond):
	}
}

// An event that is too large is handed over as such, for the dead letters, and refused with an answer that the sender gets to see,
// whether or not it says the size in advance and waits for permission.
func TestTooLarge(t *testing.T) {
	s := serve(t, nil, settleWith(transport.Settlement{Outcome: transport.Rejected}))
	large := bytes.Repeat([]byte("x"), 5<<20)
	for name, prepare := range map[string]func(*http.Request){
		"size known":    func(*http.Request) {},
		"chunked":       func(r *http.Request) { r.ContentLength = -1 },
		"asks first":    func(r *http.Request) { r.Header.Set("Expect", "100-continue") },
		"media type":    func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") },
		"just too much": func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(large[:1<<20+1])), -1 },
	} {
		for range 5 {
			request, _ := http.NewRequest("POST", s.url, io.NopCloser(bytes.NewReader(large)))
			request.ContentLength = int64(len(large))
			request.Header.Set("Content-Type", "application/cloudevents+json")
			prepare(request)
			client := http.Client{Transport: &http.Transport{ExpectContinueTimeout: time.Second}}
			response, err := client.Do(request)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			body, err := io.ReadAll(response.Body)
			response.Body.Close()
			client.CloseIdleConnections()
			want := http.StatusRequestEntityTooLarge
			if name == "media type" {
				want = http.StatusUnsupportedMediaType
			}
			if response.StatusCode != want || !json.Valid(body) || err != nil {
				t.Errorf("%s: %d %s %v", name, response.StatusCode, body, err)
			}
		}
	}
	for i, m := range s.taken() {
		if d := s.defects[i]; d == nil || d.Code != transport.CodeTooLarge || len(m.Data) <= 1<<20 {
			t.Errorf("delivered as sound, or not whole: %v, %d bytes", d, len(m.Data))
		}
	}
	if n := len(s.taken()); n != 4*5 {
		t.Errorf("%d were delivered", n)
	}
}

// raw sends bytes and returns the connection.
func raw(t *testing.T, s *served, text string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.source.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	return conn
}

func readStatus(t *testing.T, conn net.Conn) int {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Errorf("no answer: %v", err)
		return 0
	}
	io.Copy(io.Discard, response.Body)
	return response.StatusCode
}

const rawHead = "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/cloudevents+json\r\nContent-Length: "

// max_body holds for small bodies too, whose memory is otherwise made at once.
func TestSmallMaxBody(t *testing.T) {
	s := serve(t, func(s *cloudeventshttp.SourceSettings) { s.MaxBody = 10 }, settleWith(transport.Settlement{Outcome: transport.Rejected}))
	for name, c := range map[string]struct {
		request string
		status  int
	}{
		"as much as is taken":    {rawHead + "10\r\n\r\n0123456789", http.StatusBadRequest},
		"too much":               {rawHead + "11\r\n\r\n0123456789x", http.StatusRequestEntityTooLarge},
		"too much, size unknown": {strings.Replace(rawHead, "Content-Length: ", "Transfer-Encoding: chunked\r\n\r\nb\r\n0123456789x\r\n0\r\n\r\n", 1), http.StatusRequestEntityTooLarge},
	} {
		if status := readStatus(t, raw(t, s, c.request)); status != c.status {
			t.Errorf("%s: %d", name, status)
		}
	}
	for i, m := range s.taken() {
		if large := s.defects[i] != nil; large != (len(m.Data) > 10) {
			t.Errorf("%s is delivered with the defect %v", m.Data, s.defects[i])
		}
	}
	if n := len(s.taken()); n != 3 {
		t.Errorf("%d were delivered", n)
	}
}

// A body that is too large but does not arrive is refused for that: it is in no dead letter, so its sender must not give it up.
func TestTooLargeAndCut(t *testing.T) {
	for name, c := range map[string]struct {
		readTimeout time.Duration
		cut         func(*served, net.Conn)
		status      int
	}{
		"slow":  {50 * time.Millisecond, func(*served, net.Conn) {}, http.StatusRequestTimeout},
		"ended": {time.Minute, func(_ *served, conn net.Conn) { conn.(*net.TCPConn).CloseWrite() }, http.StatusBadRequest},
		"drain": {time.Minute, func(s *served, _ net.Conn) { go s.stop() }, http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, func(s *cloudeventshttp.SourceSettings) { s.MaxBody, s.ReadTimeout = 10, c.readTimeout },
				settleWith(transport.Settlement{Outcome: transport.Rejected}))
			conn := raw(t, s, rawHead+"100\r\n\r\n"+strings.Repeat("x", 50))
			time.Sleep(20 * time.Millisecond)
			c.cut(s, conn)
			if status := readStatus(t, conn); status != c.status {
				t.Errorf("answered with %d", status)
			}
			if taken := s.taken(); len(taken) > 0 {
				t.Errorf("%+v was delivered", taken)
			}
		})
	}
}

// Bodies that are too large count until they are settled, whether or not their senders wait for it.
func TestTooLargeAtOnce(t *testing.T) {
	release := make(chan struct{})
	// One in flight: the next request is read once the client before it is known to be gone.
	s := serve(t, func(s *cloudeventshttp.SourceSettings) {
		s.MaxBody, s.MaxInFlight, s.BusyTimeout = 10, 1, 500*time.Millisecond
	},
		func(_ context.Context, d transport.Delivery) error {
			go func() { <-release; d.Settle(transport.Settlement{Outcome: transport.Rejected}) }()
			return nil
		})
	const request = rawHead + "11\r\n\r\n0123456789x"
	for n := 1; n <= 4; n++ {
		conn := raw(t, s, request)
		for end := time.Now().Add(5 * time.Second); len(s.taken()) < n; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%d were delivered", len(s.taken()))
			}
		}
		conn.Close()
	}
	if status := readStatus(t, raw(t, s, request)); status != http.StatusServiceUnavailable {
		t.Errorf("one too many is answered with %d", status)
	}
	if n := len(s.taken()); n != 4 {
		t.Errorf("%d were delivered", n)
	}
	close(release)
	if status := readStatus(t, raw(t, s, request)); status != http.StatusRequestEntityTooLarge {
		t.Errorf("answered with %d after the settlements", status)
	}
}

func TestSlowClients(t *testing.T) {
	s := serve(t, func(s *cloudeventshttp.SourceSettings) {
		s.HeaderTimeout, s.ReadTimeout, s.IdleTimeout = 50*time.Millisecond, 50*time.Millisecond, 50*time.Millisecond
	}, func(_ context.Context, d transport.Delivery) error {
		// Far beyond the timeouts for reading: they must not end a delivery.
		time.AfterFunc(200*time.Millisecond, func() { d.Settle(transport.Settlement{Outcome: transport.Accepted}) })
		return nil
	})
	if status := readStatus(t, raw(t, s, rawHead+"100\r\n\r\n{")); status != http.StatusRequestTimeout {
		t.Errorf("a slow body is answered with %d", status)
	}
	conn := raw(t, s, "POST / HT")
	conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.ReadAll(conn); err != nil {
		t.Errorf("a slow header is kept: %v", err)
	}
	if status := readStatus(t, raw(t, s, rawHead+fmt.Sprint(len(structuredEvent))+"\r\n\r\n"+structuredEvent)); status != http.StatusAccepted {
		t.Errorf("a slow settlement is answered with %d", status)
	}
	if taken := s.taken(); len(taken) != 1 {
		t.Errorf("%d were delivered", len(taken))
	}
}

// At the end, what was taken is answered; a body that has not come yet, an idle connection and a new one do not hold it up.
func TestDrain(t *testing.T) {
	took := make(chan transport.Delivery, 1)
	s := serve(t, nil, func(_ context.Context, d transport.Delivery) error {
		took <- d
		return nil
	})
	open := raw(t, s, rawHead+fmt.Sprint(len(structuredEvent))+"\r\n\r\n"+structuredEvent)
	d := <-took
	half := raw(t, s, rawHead+"100\r\n\r\n{")
	silent := raw(t, s, "")
	time.Sleep(20 * time.Millisecond)
	stopped := make(chan error, 1)
	go func() { stopped <- s.stop() }()
	if status := readStatus(t, half); status != http.StatusServiceUnavailable {
		t.Errorf("half a body is answered with %d", status)
	}
	select {
	case err := <-stopped:
		t.Fatalf("receive returned %v before the settlement", err)
	case <-time.After(50 * time.Millisecond):
	}
	if _, err := net.Dial("tcp", s.source.Addr().String()); err == nil {
		t.Error("it still accepts connections")
	}
	d.Settle(transport.Settlement{Outcome: transport.Accepted})
	if status := readStatus(t, open); status != http.StatusAccepted {
		t.Errorf("the delivery is answered with %d", status)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	silent.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := silent.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("a connection is left open: %v", err)
	}
}

// A request beyond max_in_flight waits, and is told to come again if that takes too long.
func TestSlots(t *testing.T) {
	release := make(chan struct{})
	s := serve(t, func(s *cloudeventshttp.SourceSettings) { s.MaxInFlight, s.BusyTimeout = 1, 50*time.Millisecond },
		func(_ context.Context, d transport.Delivery) error {
			go func() { <-release; d.Settle(transport.Settlement{Outcome: transport.Accepted}) }()
			return nil
		})
	first := raw(t, s, rawHead+fmt.Sprint(len(structuredEvent))+"\r\n\r\n"+structuredEvent)
	for len(s.taken()) == 0 {
		time.Sleep(time.Millisecond)
	}
	got := send(t, "POST", s.url, structuredEvent, "Content-Type", "application/cloudevents+json")
	if got.status != 503 || got.header.Get("Retry-After") != "1" {
		t.Errorf("%d %s", got.status, got.body)
	}
	close(release)
	if status := readStatus(t, first); status != 202 {
		t.Errorf("the first is answered with %d", status)
	}
	if got := send(t, "POST", s.url, structuredEvent, "Content-Type", "application/cloudevents+json"); got.status != 202 {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestListenErrors(t *testing.T) {
	s := serve(t, nil, accepted)
	if _, err := listen(func(c *cloudeventshttp.SourceSettings) { c.Listen = s.source.Addr().String() }); err == nil || !strings.HasPrefix(err.Error(), "listen:") {
		t.Error(err)
	}
	bad := cloudeventshttp.SourceSettings{Listen: "x", AllowedOrigins: []string{""}}
	err := bad.Validate()
	for _, key := range []string{"listen", "max_body", "max_batch", "max_in_flight", "busy_timeout", "retry_after", "header_timeout", "read_timeout", "write_timeout", "idle_timeout", "allowed_origins"} {
		if err == nil || !strings.Contains(err.Error(), key+":") {
			t.Errorf("%s is not named: %v", key, err)
		}
	}
	if err := s.source.Receive(t.Context(), nil); err == nil {
		t.Error("received twice")
	}
}

func BenchmarkSource(b *testing.B) {
	for _, mode := range []string{"binary", "structured"} {
		b.Run(mode, func(b *testing.B) {
			s := serve(b, nil, func(_ context.Context, d transport.Delivery) error {
				d.Settle(transport.Settlement{Outcome: transport.Accepted})
				return nil
			})
			data := `{"context":"` + strings.Repeat("x", 1000) + `"}`
			request := "POST / HTTP/1.1\r\nHost: x\r\nce-specversion: 1.0\r\nce-id: i\r\nce-source: /s\r\nce-type: dev.cdevents.x\r\nContent-Type: application/json\r\nContent-Length: " + fmt.Sprint(len(data)) + "\r\n\r\n" + data
			if mode == "structured" {
				data = `{"specversion":"1.0","id":"i","source":"/s","type":"dev.cdevents.x","data":` + data + `}`
				request = rawHead + fmt.Sprint(len(data)) + "\r\n\r\n" + data
			}
			b.ReportAllocs()
			b.SetParallelism(16)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				// A client that costs next to nothing, since it shares the processors.
				conn, err := net.Dial("tcp", s.source.Addr().String())
				if err != nil {
					b.Error(err)
					return
				}
				defer conn.Close()
				buf := make([]byte, 4096)
				text := []byte(request)
				for pb.Next() {
					conn.Write(text)
					if n, err := conn.Read(buf); err != nil || !bytes.HasPrefix(buf[:n], []byte("HTTP/1.1 202")) {
						b.Errorf("%s %v", buf[:n], err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
