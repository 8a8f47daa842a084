package cloudeventshttp_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	cloudeventshttp "github.com/eiffelbridge/eiffelbridge/daemon/transports/cloudevents_http"
	"github.com/eiffelbridge/eiffelbridge/daemon/transports/internal/certtest"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

// hostile is a client that breaks HTTP or takes its time over it. It is given a connection and gives it up when it fails, or when it has done
// its worst. An error is about an answer that it should not have got.
type hostile struct {
	name  string
	plain bool // below TLS
	act   func(net.Conn) error
}

func eventWith(id string) string {
	return `{"specversion":"1.0","id":"` + id + `","source":"/s","type":"dev.cdevents.x","data":{}}`
}

func requestWith(version, id string) string {
	body := eventWith(id)
	return fmt.Sprintf("POST / HTTP/%s\r\nHost: x\r\nContent-Type: application/cloudevents+json\r\nContent-Length: %d\r\n\r\n%s", version, len(body), body)
}

// trickle writes a byte at a time until the other side has had enough.
func trickle(conn net.Conn, text func(i int) string) {
	for i := 0; ; i++ {
		if _, err := io.WriteString(conn, text(i)); err != nil {
			return
		}
		// What the server says, if anything, ends it too.
		conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		var timeout net.Error
		if _, err := conn.Read(make([]byte, 1024)); err == nil || !asTimeout(err, &timeout) {
			return
		}
	}
}

// flood writes the same over and over until the other side has had enough.
func flood(conn net.Conn, text string) error {
	text = strings.Repeat(text, (16<<10)/len(text))
	for {
		conn.SetWriteDeadline(time.Now().Add(time.Second)) // a reset can get lost if there is no room for it
		if _, err := io.WriteString(conn, text); err != nil {
			return nil
		}
		time.Sleep(time.Millisecond)
	}
}

func asTimeout(err error, target *net.Error) bool {
	e, ok := err.(net.Error)
	*target = e
	return ok && e.Timeout()
}

// answered reads an answer, and wants one of the statuses, or the end of the connection if 0 is among them.
func answered(conn net.Conn, statuses ...int) error {
	conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	got := 0
	if err == nil {
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
		got = response.StatusCode
	}
	for _, status := range statuses {
		if status == got {
			return nil
		}
	}
	if got == 0 {
		return fmt.Errorf("%w: %w; want %v", errNoAnswer, err, statuses)
	}
	return fmt.Errorf("answered %d; want %v", got, statuses)
}

// errNoAnswer is about a connection that ended without one.
var errNoAnswer = errors.New("no answer")

func says(text string, statuses ...int) func(net.Conn) error {
	return func(conn net.Conn) error {
		io.WriteString(conn, text)
		return answered(conn, statuses...)
	}
}

const chunkedHead = "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/cloudevents+json\r\nTransfer-Encoding: chunked\r\n\r\n"

var (
	smallHeaders = "POST / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("a:\r\n", 15000) + "\r\n"
	longURL      = "POST /" + strings.Repeat("x", 1<<20) + " HTTP/1.1\r\nHost: x\r\n\r\n"
)

var hostiles = []hostile{
	{name: "silent", act: func(conn net.Conn) error { return answered(conn, 0) }},
	{name: "silent below TLS", plain: true, act: func(conn net.Conn) error { return answered(conn, 0, 400) }},
	{name: "half a handshake", plain: true, act: func(conn net.Conn) error {
		io.WriteString(conn, "\x16\x03\x01\x02\x00\x01\x00")
		return answered(conn, 0, 400)
	}},
	{name: "slow header", act: func(conn net.Conn) error {
		io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\n")
		trickle(conn, func(i int) string { return "X-A: b\r\n"[i%8 : i%8+1] })
		return nil
	}},
	{name: "slow body", act: func(conn net.Conn) error {
		io.WriteString(conn, rawHead+"100000\r\n\r\n")
		trickle(conn, func(int) string { return "x" })
		return nil
	}},
	{name: "slow chunks", act: func(conn net.Conn) error {
		io.WriteString(conn, chunkedHead)
		trickle(conn, func(int) string { return "1\r\nx\r\n" })
		return nil
	}},
	{name: "header without end", act: func(conn net.Conn) error {
		io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\n")
		return flood(conn, "X-A: "+strings.Repeat("x", 100)+"\r\n")
	}},
	{name: "many small headers", act: func(conn net.Conn) error {
		io.WriteString(conn, smallHeaders)
		return answered(conn, 0, 415, 431)
	}},
	{name: "one long header", act: func(conn net.Conn) error {
		io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nX: ")
		return flood(conn, "x")
	}},
	{name: "long URL", act: func(conn net.Conn) error {
		io.WriteString(conn, longURL)
		return answered(conn, 0, 400, 431)
	}},
	{name: "no chunk", act: says(chunkedHead+"zz\r\n{}\r\n0\r\n\r\n", 400)},
	{name: "negative chunk", act: says(chunkedHead+"-1\r\n{}\r\n0\r\n\r\n", 400)},
	{name: "huge chunk", act: func(conn net.Conn) error {
		io.WriteString(conn, chunkedHead+"7fffffffffffffff\r\n")
		trickle(conn, func(int) string { return "x" })
		return nil
	}},
	{name: "overflowing chunk", act: says(chunkedHead+"fffffffffffffffff\r\nx\r\n0\r\n\r\n", 400)},
	{name: "extensions of chunks", act: func(conn net.Conn) error {
		io.WriteString(conn, chunkedHead)
		return flood(conn, "1;"+strings.Repeat("e", 4000)+"\r\nx\r\n")
	}},
	{name: "chunk without its end", act: says(chunkedHead+"2\r\n{}xx0\r\n\r\n", 400)},
	{name: "cut body", act: func(conn net.Conn) error {
		io.WriteString(conn, rawHead+"500\r\n\r\n{\"spec")
		return nil
	}},
	{name: "cut body, half closed", act: func(conn net.Conn) error {
		io.WriteString(conn, rawHead+"500\r\n\r\n{\"spec")
		closeWrite(conn)
		return answered(conn, 400)
	}},
	{name: "reset", act: func(conn net.Conn) error {
		io.WriteString(conn, rawHead+"500\r\n\r\n{\"spec")
		tcpOf(conn).SetLinger(0)
		return nil
	}},
	{name: "two lengths", act: says("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400)},
	{name: "negative length", act: says("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n{}", 400)},
	{name: "space before the colon", act: says("POST / HTTP/1.1\r\nHost: x\r\nContent-Length : 2\r\n\r\n{}", 400)},
	{name: "NUL in a header", act: says("POST / HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n", 400)},
	{name: "no host", act: says("POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", 400)},
	{name: "another coding", act: says("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n{}", 501)},
	{name: "another version", act: says("POST / HTTP/9.9\r\nHost: x\r\n\r\n", 505)},
	{name: "HTTP/0.9", act: says("GET /\r\n\r\n", 400)},
	{name: "HTTP/2 by guess", act: says("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0, 400, 405, 404, 505)},
	{name: "no HTTP", act: says("EHLO client.example\r\nMAIL FROM: <a@b>\r\n\r\n", 400)},
	{name: "zeros", act: says(strings.Repeat("\x00", 1000)+"\r\n\r\n", 400)},
	{name: "announces much", act: says("POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/cloudevents+json\r\nExpect: 100-continue\r\nContent-Length: 999999999999\r\n\r\n", 413)},
	{name: "HTTP/1.0", act: func(conn net.Conn) error {
		io.WriteString(conn, requestWith("1.0", "old"))
		if err := answered(conn, 202); err != nil {
			return err
		}
		if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
			return fmt.Errorf("the connection stays open: %d, %w", n, err)
		}
		return nil
	}},
	{name: "pipelining", act: func(conn net.Conn) error {
		const n = 20
		io.WriteString(conn, strings.Repeat(requestWith("1.1", "pipelined"), n))
		conn.SetReadDeadline(time.Now().Add(30 * time.Second))
		answers := bufio.NewReader(conn)
		for i := range n {
			response, err := http.ReadResponse(answers, nil)
			if err != nil {
				return fmt.Errorf("%w %d: %w", errNoAnswer, i, err)
			}
			if response.StatusCode != 202 {
				return fmt.Errorf("answer %d is %d", i, response.StatusCode)
			}
		}
		return nil
	}},
	{name: "never reads", act: func(conn net.Conn) error {
		// As little as the system allows, so that it is soon the server that has to wait.
		tcpOf(conn).SetReadBuffer(1)
		return flood(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
	}},
	{name: "half closed", act: func(conn net.Conn) error {
		io.WriteString(conn, requestWith("1.1", "half"))
		closeWrite(conn)
		return answered(conn, 202, 503) // the server cannot tell it from one that is gone
	}},
	{name: "leaves", act: func(conn net.Conn) error {
		io.WriteString(conn, requestWith("1.1", "left"))
		return nil
	}},
}

func tcpOf(conn net.Conn) *net.TCPConn {
	if over, ok := conn.(*tls.Conn); ok {
		conn = over.NetConn()
	}
	return conn.(*net.TCPConn)
}

func closeWrite(conn net.Conn) { conn.(interface{ CloseWrite() error }).CloseWrite() }

// Each kind of client by itself gets the answer that it deserves, or none, and no event is made of what it sends unless it is one.
func TestHostileClient(t *testing.T) {
	for _, h := range hostiles {
		t.Run(h.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, func(s *cloudeventshttp.SourceSettings) {
				s.HeaderTimeout, s.ReadTimeout, s.WriteTimeout, s.IdleTimeout = time.Second, time.Second, time.Second, 5*time.Second
			}, settleAsEvents)
			conn := raw(t, s, "")
			if err := h.act(conn); err != nil {
				t.Error(err)
			}
			for _, m := range s.taken() {
				if m.Type != "" && !valid[m.ID] {
					t.Errorf("an event was made of what is none: %+v", m)
				}
			}
		})
	}
}

// valid are the ids of events that some of them send.
var valid = map[string]bool{"old": true, "pipelined": true, "half": true, "left": true}

// 64 connections of slow and malformed clients change nothing for good ones, and leave nothing behind.
func TestHostileClients(t *testing.T) {
	for _, name := range []string{"plain", "tls"} {
		t.Run(name, func(t *testing.T) { testHostile(t, name == "tls") })
	}
}

func testHostile(t *testing.T, secure bool) {
	folder, ca := t.TempDir(), certtest.New(t, "ca")
	cert, key := certtest.Pair(t, folder, ca, "server")
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	goroutines := runtime.NumGoroutine()

	source, err := listen(func(s *cloudeventshttp.SourceSettings) {
		s.HeaderTimeout, s.ReadTimeout, s.WriteTimeout, s.IdleTimeout = 2*time.Second, time.Second, time.Second, 10*time.Second
		if secure {
			s.TLS = &cloudeventshttp.ServerTLS{CertFile: cert, KeyFile: key}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	address := source.Addr().String()
	var lock sync.Mutex
	delivered := map[string]int{}
	ctx, cancel := context.WithCancel(context.Background())
	received := make(chan error, 1)
	go func() {
		received <- source.Receive(ctx, func(_ context.Context, d transport.Delivery) error {
			lock.Lock()
			if d.Message.Type != "" {
				delivered[d.Message.ID]++
			}
			lock.Unlock()
			go settleAsEvents(ctx, d)
			return nil
		})
	}()

	dial := func(plain bool) (net.Conn, error) {
		conn, err := net.Dial("tcp", address)
		if err != nil || !secure || plain {
			return conn, err
		}
		over := tls.Client(conn, &tls.Config{RootCAs: ca.Pool(), ServerName: "server"})
		if err := over.Handshake(); err != nil {
			conn.Close()
			return nil, err
		}
		return over, nil
	}
	// Each connection is used by one kind of client after the other, so that all kinds are there at once.
	const connections = 64
	pause := 20 * time.Millisecond
	if secure {
		pause *= 10
	}
	var done [100]atomic.Int32
	var attack, sending sync.WaitGroup
	stop := make(chan struct{})
	for i := range connections {
		attack.Go(func() {
			failures := 0
			for n := i; ; n++ {
				select {
				case <-stop:
					if n >= i+1 { // one at least
						return
					}
				default:
				}
				h := hostiles[n%len(hostiles)]
				conn, err := dial(h.plain)
				if err != nil { // no turn in time for the handshake
					if failures++; failures == 100 {
						t.Errorf("%s: %v", h.name, err)
						return
					}
					n--
					continue
				}
				// Who gets no turn in time is cut off, and may be here.
				if err := h.act(conn); err != nil && !errors.Is(err, errNoAnswer) {
					t.Errorf("%s: %v", h.name, err)
				}
				tcpOf(conn).Close() // TLS would wait five seconds to say farewell to a server that does not read
				done[n%len(hostiles)].Add(1)
				// All of it is one process: what is tested is the source, not whose turn it is on the processors, or how fast handshakes are.
				time.Sleep(pause)
			}
		})
	}
	var most uint64
	sampled := make(chan struct{})
	go func() {
		defer close(sampled)
		for {
			var now runtime.MemStats
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapInuse+now.StackInuse)
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()

	url := "http://" + address
	if secure {
		url = "https://" + address
	}
	var sent atomic.Int32
	until := time.Now().Add(2 * time.Second)
	for c := range 4 {
		sending.Go(func() {
			good := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool(), ServerName: "server"}}
			defer good.CloseIdleConnections()
			for i := 0; time.Now().Before(until); i++ {
				id := fmt.Sprintf("good-%d-%d", c, i)
				r, _ := http.NewRequest("POST", url, strings.NewReader(eventWith(id)))
				r.Header.Set("Content-Type", "application/cloudevents+json")
				response, err := good.RoundTrip(r)
				if err != nil {
					t.Errorf("a good client: %v", err)
					return
				}
				io.Copy(io.Discard, response.Body)
				response.Body.Close()
				if response.StatusCode != 202 {
					t.Errorf("a good client is answered with %d", response.StatusCode)
				}
				sent.Add(1)
				time.Sleep(time.Millisecond)
			}
		})
	}
	sending.Wait()
	close(stop)
	attack.Wait()
	<-sampled
	cancel()
	if err := <-received; err != nil {
		t.Error(err)
	}
	source.Close()

	lock.Lock()
	good := 0
	for id, n := range delivered {
		switch {
		case strings.HasPrefix(id, "good-"):
			good++
			if n != 1 {
				t.Errorf("%s was delivered %d times", id, n)
			}
		case !valid[id]:
			t.Errorf("an event was made of what is none: %s", id)
		}
	}
	lock.Unlock()
	if good != int(sent.Load()) || good == 0 {
		t.Errorf("%d good events were sent, and %d delivered", sent.Load(), good)
	}
	acts := int32(0)
	for i, h := range hostiles {
		acts += done[i].Load()
		if done[i].Load() == 0 {
			t.Errorf("no client of the kind %q came to its end", h.name)
		}
	}
	grown := (int64(most) - int64(before.HeapInuse+before.StackInuse)) >> 20
	t.Logf("%d good events among %d hostile connections; %d MiB more memory at most", good, acts, grown)
	if grown > 100 {
		t.Errorf("the memory grew by %d MiB", grown)
	}
	eventually(t, fmt.Sprintf("goroutines do not end; there were %d", goroutines), func() bool { return runtime.NumGoroutine() <= goroutines })
}
