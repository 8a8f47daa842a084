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
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	cloudeventshttp "github.com/eiffelbridge/eiffelbridge/daemon/transports/cloudevents_http"
	"github.com/eiffelbridge/eiffelbridge/daemon/transports/internal/certtest"
	"github.com/eiffelbridge/eiffelbridge/internal/secret"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

// tokenServer is a token endpoint, and knows which tokens are good.
type tokenServer struct {
	*httptest.Server
	inBody bool // it takes the secret in the body only

	lock    sync.Mutex
	life    time.Duration // as expires_in, in seconds; 0: it says none
	broken  http.HandlerFunc
	secret  string
	issued  int
	good    map[string]time.Time // until when
	refused int
}

func newTokenServer(t *testing.T) *tokenServer {
	s := &tokenServer{secret: "s%cr t", good: map[string]time.Time{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func newTokenServerTLS(t *testing.T, ca *certtest.Authority, name string) *tokenServer {
	s := &tokenServer{secret: "s%cr t", good: map[string]time.Time{}}
	s.Server = httptest.NewUnstartedServer(s)
	s.TLS = serverTLS(t, ca, name)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func serverTLS(t *testing.T, ca *certtest.Authority, name string) *tls.Config {
	t.Helper()
	own, err := tls.X509KeyPair(ca.Issue(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{own}}
}

func (s *tokenServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.lock.Lock()
	broken := s.broken
	s.lock.Unlock()
	if broken != nil {
		broken(w, r)
		return
	}
	s.lock.Lock()
	defer s.lock.Unlock()
	// RFC 6749, section 2.3.1: both are form-encoded before they become basic authentication.
	id, secret, basic := r.BasicAuth()
	want := "s%25cr+t"
	if s.inBody {
		basic, id, secret, want = !basic, r.PostFormValue("client_id"), r.PostFormValue("client_secret"), s.secret
	} else if s.secret != "s%cr t" {
		want = s.secret
	}
	w.Header().Set("Content-Type", "application/json")
	if r.Method != http.MethodPost || !basic || id != "bridge" || secret != want || r.PostFormValue("grant_type") != "client_credentials" ||
		r.PostFormValue("scope") != "a b" || r.PostFormValue("audience") != "sink" {
		s.refused++
		w.WriteHeader(http.StatusUnauthorized)
		io.WriteString(w, `{"error":"invalid_client","error_description":"who `+strings.Repeat("y", 5000)+`"}`)
		return
	}
	s.issued++
	token := fmt.Sprintf("token-%d", s.issued)
	until, expires := time.Now().Add(time.Hour), ""
	if s.life > 0 {
		until, expires = time.Now().Add(s.life), fmt.Sprintf(`,"expires_in":%d`, int(s.life/time.Second))
	}
	s.good[token] = until
	fmt.Fprintf(w, `{"access_token":%q,"token_type":"bearer"%s}`, token, expires)
}

func (s *tokenServer) set(change func()) {
	s.lock.Lock()
	defer s.lock.Unlock()
	change()
}

func (s *tokenServer) count() int {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.issued
}

// target takes events that have a good token.
func (s *tokenServer) target(t *testing.T) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.lock.Lock()
		defer s.lock.Unlock()
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if until, known := s.good[token]; !ok || !known || time.Now().After(until) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func (s *tokenServer) sink(t *testing.T, change func(*cloudeventshttp.SinkSettings)) *cloudeventshttp.Sink {
	return newSink(t, s.target(t), func(c *cloudeventshttp.SinkSettings) {
		c.OAuth2 = &cloudeventshttp.OAuth2{TokenURL: s.URL, ClientID: "bridge", ClientSecret: "s%cr t", Scopes: []string{"a", "b"}, Audience: "sink"}
		if change != nil {
			change(c)
		}
	})
}

func publishAll(t *testing.T, sink *cloudeventshttp.Sink, n int) (failed []error) {
	t.Helper()
	messages := make([]transport.Message, n)
	for i := range messages {
		messages[i] = event
	}
	results := make(chan error, n)
	sink.Publish(t.Context(), messages, func(_ int, err error) { results <- err })
	for range n {
		if err := <-results; err != nil {
			failed = append(failed, err)
		}
	}
	return failed
}

func TestOAuth2(t *testing.T) {
	for name, inBody := range map[string]bool{"basic": false, "in the body": true} {
		t.Run(name, func(t *testing.T) {
			s := newTokenServer(t)
			s.inBody = inBody
			sink := s.sink(t, nil)
			if failed := publishAll(t, sink, 200); len(failed) > 0 {
				t.Errorf("%d failed: %v", len(failed), failed[0])
			}
			if n := s.count(); n != 1 {
				t.Errorf("%d tokens were fetched", n)
			}
			// Revoked: one answer with 401 for each event that is under way, and one new token for all of them.
			s.set(func() { clear(s.good) })
			failed := publishAll(t, sink, 50)
			for _, err := range failed {
				if transport.IsPermanent(err) || !strings.Contains(err.Error(), "answered 401") {
					t.Errorf("an event is lost: %v", err)
				}
			}
			if err := publish(t, sink, event); len(failed) == 0 || err != nil || sink.Health() != nil {
				t.Errorf("%d failed, then %v", len(failed), err)
			}
			if n := s.count(); n != 2 {
				t.Errorf("%d tokens were fetched", n)
			}
		})
	}
}

// No event sees a token that has expired, however short its life.
func TestOAuth2Expiry(t *testing.T) {
	t.Parallel()
	s := newTokenServer(t)
	s.life = time.Second
	sink := s.sink(t, nil)
	for deadline := time.Now().Add(2500 * time.Millisecond); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if err := publish(t, sink, event); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.count(); n < 3 || n > 10 {
		t.Errorf("%d tokens were fetched", n)
	}
}

func TestOAuth2Failures(t *testing.T) {
	t.Parallel()
	s := newTokenServer(t)
	sink := s.sink(t, func(c *cloudeventshttp.SinkSettings) { c.RequestTimeout = 300 * time.Millisecond })
	elsewhere := make(chan struct{}, 100)
	trap := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere <- struct{}{} }))
	defer trap.Close()
	for name, c := range map[string]struct {
		broken     http.HandlerFunc
		says       string
		retryAfter time.Duration
	}{
		"500": {broken: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, says: "answered 500 Internal"},
		"503": {broken: func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Retry-After", "7"); w.WriteHeader(503) }, says: "answered 503",
			retryAfter: 7 * time.Second},
		"no JSON":  {broken: func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") }, says: "cannot parse"},
		"no token": {broken: func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "{}") }, says: "missing access_token"},
		"bad token": {broken: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, `{"access_token":"a\nb"}`)
		}, says: "characters that no header"},
		"endless": {broken: func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		}, says: "cannot parse"},
		"hangs": {broken: func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body); <-r.Context().Done() }, says: "deadline exceeded"},
		"redirect": {broken: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, trap.URL, http.StatusTemporaryRedirect)
		}, says: "answered 307"},
		"refused": {broken: nil, says: `answered 401 Unauthorized: "invalid_client" "who`},
	} {
		t.Run(name, func(t *testing.T) {
			s.set(func() {
				s.broken = c.broken
				if c.broken == nil {
					s.secret = "another"
				}
			})
			failed := publishAll(t, sink, 5)
			if len(failed) != 5 {
				t.Errorf("%d failed", len(failed))
			}
			for _, err := range failed {
				if transport.IsPermanent(err) || transport.RetryAfter(err) != c.retryAfter || !strings.Contains(err.Error(), c.says) || len(err.Error()) > 700 ||
					strings.Contains(err.Error(), "s%cr t") {
					t.Errorf("the error is %v, after %v", err, transport.RetryAfter(err))
				}
			}
			if sink.Health() == nil {
				t.Error("the sink is well")
			}
			s.set(func() { s.broken, s.secret = nil, "s%cr t" })
			if err := publish(t, sink, event); err != nil || sink.Health() != nil {
				t.Errorf("when it works again: %v", err)
			}
			s.set(func() { clear(s.good) }) // so that the next case needs another
			publishAll(t, sink, 1)
		})
	}
	select {
	case <-elsewhere:
		t.Error("the secret went where nobody configured it to go")
	default:
	}
	// Nobody there at all.
	s.Close()
	if err := publish(t, sink, event); err == nil || transport.IsPermanent(err) || strings.Count(err.Error(), s.URL) != 1 {
		t.Errorf("without an endpoint: %v", err)
	}
}

func TestOAuth2SecretFile(t *testing.T) {
	t.Parallel()
	folder, s := t.TempDir(), newTokenServer(t)
	path := certtest.File(t, folder, "secret", []byte("old\n"))
	s.secret = "old"
	sink := s.sink(t, func(c *cloudeventshttp.SinkSettings) { c.OAuth2.ClientSecret, c.OAuth2.ClientSecretFile = "", path })
	if err := publish(t, sink, event); err != nil {
		t.Fatal(err)
	}
	s.set(func() { s.secret = "new"; clear(s.good) })
	if err := publish(t, sink, event); err == nil {
		t.Fatal("a revoked token is taken")
	}
	if err := publish(t, sink, event); err == nil {
		t.Fatal("the old secret is taken")
	}
	certtest.File(t, folder, "secret", []byte("new\n"))
	eventually(t, "the new secret is not used", func() bool { return publish(t, sink, event) == nil })
}

// A sink that is closed while a token is fetched gives up with it.
func TestOAuth2Close(t *testing.T) {
	s := newTokenServer(t)
	asked := make(chan struct{}, 10)
	s.broken = func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		asked <- struct{}{}
		<-r.Context().Done()
	}
	sink := s.sink(t, nil)
	results := make(chan error, 2)
	sink.Publish(t.Context(), []transport.Message{event, event}, func(_ int, err error) { results <- err })
	<-asked
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := sink.Close(ctx); err == nil {
		t.Error("nothing was given up")
	}
	for range 2 {
		if err := <-results; err == nil || !strings.Contains(err.Error(), "closed") {
			t.Error(err)
		}
	}
}

func TestHeaderFiles(t *testing.T) {
	t.Parallel()
	headers := make(chan http.Header, 100)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { headers <- r.Header.Clone() }))
	defer server.Close()
	folder := t.TempDir()
	path := certtest.File(t, folder, "authorization", []byte("Bearer one\n"))
	sink := newSink(t, server.URL, func(s *cloudeventshttp.SinkSettings) {
		s.HeaderFiles, s.Headers = map[string]string{"authorization": path}, cloudeventshttp.Headers{"X-Other": "o"}
	})
	sent := func() string {
		if err := publish(t, sink, event); err != nil {
			t.Fatal(err)
		}
		h := <-headers
		return h.Get("Authorization") + ", " + h.Get("X-Other")
	}
	if got := sent(); got != "Bearer one, o" {
		t.Errorf("sent: %s", got)
	}
	certtest.File(t, folder, "authorization", []byte("Bearer two"))
	eventually(t, "the new value is not sent", func() bool { return sent() == "Bearer two, o" })
}

// A sink reaches a server that wants its certificate; both follow their files.
func TestSinkTLS(t *testing.T) {
	t.Parallel()
	folder, ca, clients := t.TempDir(), certtest.New(t, "ca"), certtest.New(t, "clients")
	serial := make(chan string, 100)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		serial <- r.TLS.PeerCertificates[0].SerialNumber.String()
	}))
	server.TLS = serverTLS(t, ca, "sink.example")
	server.TLS.ClientCAs, server.TLS.ClientAuth = clients.Pool(), tls.RequireAndVerifyClientCert
	server.StartTLS()
	defer server.Close()
	cert, key := certtest.Pair(t, folder, clients, "client")
	good := cloudeventshttp.ClientTLS{CAFile: certtest.File(t, folder, "ca.crt", ca.PEM), CertFile: cert, KeyFile: key}
	for name, c := range map[string]struct {
		change func(*cloudeventshttp.ClientTLS)
		says   string
	}{
		"another authority": {func(c *cloudeventshttp.ClientTLS) { c.CAFile = certtest.File(t, folder, "other.crt", clients.PEM) }, "certificate signed by unknown authority"},
		"another name":      {func(c *cloudeventshttp.ClientTLS) { c.ServerName = "other.example" }, "other.example"},
		"no certificate":    {func(c *cloudeventshttp.ClientTLS) { c.CertFile, c.KeyFile = "", "" }, "certificate required"},
	} {
		bad := good
		c.change(&bad)
		err := publish(t, newSink(t, server.URL, func(s *cloudeventshttp.SinkSettings) { s.TLS = &bad }), event)
		if err == nil || transport.IsPermanent(err) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	good.ServerName = "sink.example"
	sink := newSink(t, server.URL, func(s *cloudeventshttp.SinkSettings) { s.TLS = &good })
	if err := publish(t, sink, event); err != nil {
		t.Fatal(err)
	}
	first := <-serial
	// The token endpoint has the same authority and another name.
	tokens := newTokenServerTLS(t, ca, "login.example")
	withToken := newSink(t, server.URL, func(s *cloudeventshttp.SinkSettings) {
		s.TLS = &good
		s.OAuth2 = &cloudeventshttp.OAuth2{TokenURL: tokens.URL, ClientID: "bridge", ClientSecret: "s%cr t", Scopes: []string{"a", "b"}, Audience: "sink"}
	})
	if err := publish(t, withToken, event); err != nil || tokens.count() != 1 || <-serial != first {
		t.Errorf("with a token: %v", err)
	}
	certtest.Pair(t, folder, clients, "client")
	eventually(t, "the new certificate is not shown", func() bool {
		if err := publish(t, sink, event); err != nil {
			t.Fatal(err)
		}
		return <-serial != first
	})
}

// Two bridges that check each other: TLS both ways, a token, a signature, in every form of an event.
func TestSinkToSource(t *testing.T) {
	folder, ca, clients := t.TempDir(), certtest.New(t, "ca"), certtest.New(t, "clients")
	cert, key := certtest.Pair(t, folder, ca, "server")
	ownCert, ownKey := certtest.Pair(t, folder, clients, "client")
	s := serve(t, func(s *cloudeventshttp.SourceSettings) {
		s.TLS = &cloudeventshttp.ServerTLS{CertFile: cert, KeyFile: key, ClientCAFile: certtest.File(t, folder, "clients.crt", clients.PEM)}
		s.Bearer = &cloudeventshttp.Bearer{Token: []secret.Secret{"token"}, Header: "Authorization"}
		s.HMAC = &cloudeventshttp.HMAC{Secret: []secret.Secret{"old", "new"}, Header: "X-Signature", Prefix: "v1="}
	}, accepted)
	for _, mode := range []cloudeventshttp.Mode{cloudeventshttp.Binary, cloudeventshttp.Structured} {
		settings := func(s *cloudeventshttp.SinkSettings) {
			s.Mode = mode
			s.TLS = &cloudeventshttp.ClientTLS{CAFile: certtest.File(t, folder, "ca.crt", ca.PEM), CertFile: ownCert, KeyFile: ownKey}
			s.Headers = cloudeventshttp.Headers{"Authorization": "Bearer token"}
			s.HMAC = &cloudeventshttp.HMAC{Secret: []secret.Secret{"new", "other"}, Header: "x-signature", Prefix: "v1="}
		}
		target := "https://" + s.source.Addr().String() + "/"
		if err := publish(t, newSink(t, target, settings), event); err != nil {
			t.Errorf("%s: %v", mode, err)
		}
		empty := event
		empty.Data = nil
		if mode == cloudeventshttp.Binary {
			if err := publish(t, newSink(t, target, settings), empty); err != nil {
				t.Errorf("an event without data: %v", err)
			}
		}
		for name, change := range map[string]func(*cloudeventshttp.SinkSettings){
			"token":     func(s *cloudeventshttp.SinkSettings) { s.Headers = nil },
			"signature": func(s *cloudeventshttp.SinkSettings) { s.HMAC.Secret = []secret.Secret{"other", "new"} },
		} {
			bad := newSink(t, target, func(s *cloudeventshttp.SinkSettings) { settings(s); change(s) })
			if err := publish(t, bad, event); err == nil || transport.IsPermanent(err) || !strings.Contains(err.Error(), "answered 401") || !strings.Contains(err.Error(), name) {
				t.Errorf("%s, without the %s: %v", mode, name, err)
			}
		}
	}
	taken := s.taken()
	if len(taken) != 3 {
		t.Fatalf("%d were delivered", len(taken))
	}
	for _, m := range taken {
		if m.ID != event.ID || m.Type != event.Type {
			t.Errorf("delivered: %+v", m)
		}
	}
}

// rawServer answers each request on a new connection with bytes of its own.
func rawServer(t *testing.T, answer func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	t.Cleanup(func() {
		listener.Close()
		open.Wait()
	})
	open.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			open.Go(func() {
				defer conn.Close()
				r, err := http.ReadRequest(bufio.NewReader(conn))
				if err != nil {
					return
				}
				io.Copy(io.Discard, r.Body)
				conn.SetDeadline(time.Now().Add(10 * time.Second))
				answer(conn)
			})
		}
	})
	return "http://" + listener.Addr().String()
}

// Servers that break HTTP: every failure is worth a retry, and what was answered with 2xx is delivered.
func TestSinkBrokenServers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer    func(net.Conn)
		delivered bool
	}{
		"closed before the answer": {answer: func(net.Conn) {}},
		"closed in the status":     {answer: func(c net.Conn) { io.WriteString(c, "HTTP/1.1 20") }},
		"closed in the header":     {answer: func(c net.Conn) { io.WriteString(c, "HTTP/1.1 202 Accepted\r\nContent-Le") }},
		"closed in the body": {answer: func(c net.Conn) { io.WriteString(c, "HTTP/1.1 202 Accepted\r\nContent-Length: 100\r\n\r\nhalf") },
			delivered: true},
		"closed in a chunk": {answer: func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf")
		}, delivered: true},
		"closed in the body of an error": {answer: func(c net.Conn) { io.WriteString(c, "HTTP/1.1 500 Oh\r\nContent-Length: 100\r\n\r\nhalf") }},
		"garbage":                        {answer: func(c net.Conn) { io.WriteString(c, "220 smtp.example ESMTP\r\n") }},
		"header without end": {answer: func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 202 Accepted\r\n")
			for _, err := io.WriteString(c, "A: b\r\n"); err == nil; _, err = io.WriteString(c, "A: "+strings.Repeat("b", 1000)+"\r\n") {
			}
		}},
		"body without end": {answer: func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n")
			for _, err := io.WriteString(c, "1\r\nx\r\n"); err == nil; _, err = io.WriteString(c, "400\r\n"+strings.Repeat("x", 1024)+"\r\n") {
			}
		}, delivered: true},
		"body without end, of an error": {answer: func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 503 Later\r\nRetry-After: 3\r\nTransfer-Encoding: chunked\r\n\r\n")
			for _, err := io.WriteString(c, "1\r\nx\r\n"); err == nil; _, err = io.WriteString(c, "400\r\n"+strings.Repeat("x", 1024)+"\r\n") {
			}
		}},
		"says nothing": {answer: func(c net.Conn) { c.Read(make([]byte, 1)) }},
		"body that does not come": {answer: func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 202 Accepted\r\nContent-Length: 100\r\n\r\nhalf")
			c.Read(make([]byte, 1))
		}, delivered: true},
	} {
		t.Run(name, func(t *testing.T) {
			sink := newSink(t, rawServer(t, c.answer), func(s *cloudeventshttp.SinkSettings) { s.RequestTimeout = 400 * time.Millisecond })
			err := publish(t, sink, event)
			if (err == nil) != c.delivered || transport.IsPermanent(err) || err != nil && len(err.Error()) > 700 {
				t.Errorf("delivered: %v", err)
			}
			if name == "body without end, of an error" && transport.RetryAfter(err) != 3*time.Second {
				t.Errorf("after %v", transport.RetryAfter(err))
			}
			if name == "header without end" && !strings.Contains(err.Error(), "headers exceeded") {
				t.Error(err)
			}
			if name == "says nothing" && !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		})
	}
}

func TestSinkSecuritySettings(t *testing.T) {
	folder := t.TempDir()
	empty, two := certtest.File(t, folder, "empty", nil), certtest.File(t, folder, "two", []byte("topsecret\ntopsecret\n"))
	oauth := func(change func(*cloudeventshttp.OAuth2)) func(*cloudeventshttp.SinkSettings) {
		return func(s *cloudeventshttp.SinkSettings) {
			s.OAuth2 = &cloudeventshttp.OAuth2{TokenURL: "https://a.example/", ClientID: "a", ClientSecret: "topsecret"}
			change(s.OAuth2)
		}
	}
	for key, change := range map[string]func(*cloudeventshttp.SinkSettings){
		"oauth2.token_url: is missing":      oauth(func(o *cloudeventshttp.OAuth2) { o.TokenURL = "" }),
		"oauth2.token_url: \"ftp":           oauth(func(o *cloudeventshttp.OAuth2) { o.TokenURL = "ftp://a:topsecret@b/" }),
		"oauth2.token_url: there is":        oauth(func(o *cloudeventshttp.OAuth2) { o.TokenURL = "https://a:topsecret@b/" }),
		"oauth2.client_id:":                 oauth(func(o *cloudeventshttp.OAuth2) { o.ClientID = "" }),
		"oauth2.client_secret: write":       oauth(func(o *cloudeventshttp.OAuth2) { o.ClientSecret = "" }),
		"oauth2.client_secret: write ":      oauth(func(o *cloudeventshttp.OAuth2) { o.ClientSecretFile = empty }),
		"oauth2.client_secret: begins":      oauth(func(o *cloudeventshttp.OAuth2) { o.ClientSecret = " topsecret" }),
		"oauth2.client_secret_file: " + two: oauth(func(o *cloudeventshttp.OAuth2) { o.ClientSecret, o.ClientSecretFile = "", two }),
		"oauth2.client_secret_file: open":   oauth(func(o *cloudeventshttp.OAuth2) { o.ClientSecret, o.ClientSecretFile = "", folder+"/none" }),
		"oauth2: the target has": func(s *cloudeventshttp.SinkSettings) {
			oauth(func(*cloudeventshttp.OAuth2) {})(s)
			s.Target = "http://a:topsecret@a.example/"
		},
		"headers: Authorization is set by oauth2": func(s *cloudeventshttp.SinkSettings) {
			oauth(func(*cloudeventshttp.OAuth2) {})(s)
			s.Headers = cloudeventshttp.Headers{"authorization": "topsecret"}
		},
		"headers: X-Signature is set by hmac": func(s *cloudeventshttp.SinkSettings) {
			s.HMAC = &cloudeventshttp.HMAC{Secret: []secret.Secret{"topsecret"}, Header: "x-signature"}
			s.Headers = cloudeventshttp.Headers{"X-Signature": "topsecret"}
		},
		"header_files: X-A is set by headers": func(s *cloudeventshttp.SinkSettings) {
			s.Headers, s.HeaderFiles = cloudeventshttp.Headers{"x-a": "topsecret"}, map[string]string{"X-A": two}
		},
		"header_files: Ce-Id is":          func(s *cloudeventshttp.SinkSettings) { s.HeaderFiles = map[string]string{"ce-id": two} },
		"header_files: A has no file":     func(s *cloudeventshttp.SinkSettings) { s.HeaderFiles = map[string]string{"a": ""} },
		"header_files.a: open":            func(s *cloudeventshttp.SinkSettings) { s.HeaderFiles = map[string]string{"a": folder + "/none"} },
		"header_files.a: " + two + " has": func(s *cloudeventshttp.SinkSettings) { s.HeaderFiles = map[string]string{"a": two} },
		"tls.key_file: is missing":        func(s *cloudeventshttp.SinkSettings) { s.TLS = &cloudeventshttp.ClientTLS{CertFile: two} },
		"tls.cert_file: is missing":       func(s *cloudeventshttp.SinkSettings) { s.TLS = &cloudeventshttp.ClientTLS{KeyFile: two} },
		"tls.ca_file: there is no":        func(s *cloudeventshttp.SinkSettings) { s.TLS = &cloudeventshttp.ClientTLS{CAFile: empty} },
		"hmac.secret: is missing":         func(s *cloudeventshttp.SinkSettings) { s.HMAC = &cloudeventshttp.HMAC{Header: "A"} },
	} {
		settings := cloudeventshttp.DefaultSinkSettings("http://a.example/")
		change(&settings)
		if _, err := cloudeventshttp.NewSink(settings, quiet); err == nil || !strings.HasPrefix(err.Error(), key) || strings.Contains(err.Error(), "topsecret") {
			t.Errorf("%s: %v", key, err)
		}
		if text := fmt.Sprintf("%v %+v %#v", settings, settings, settings); strings.Contains(text, "topsecret") {
			t.Errorf("a secret is printed: %s", text)
		}
	}
}
