package cloudeventshttp_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	cloudeventshttp "github.com/eiffelbridge/eiffelbridge/daemon/transports/cloudevents_http"
	"github.com/eiffelbridge/eiffelbridge/daemon/transports/internal/certtest"
	"github.com/eiffelbridge/eiffelbridge/internal/secret"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

// over posts an event with a client of one connection, and gives the status and the serial of the server's certificate.
func over(t testing.TB, s *served, config *tls.Config) (status int, serial string, err error) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true, ForceAttemptHTTP2: true}, Timeout: 10 * time.Second}
	response, err := client.Post("https://"+s.source.Addr().String(), "application/cloudevents+json", strings.NewReader(structuredEvent))
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	if response.ProtoMajor != 1 {
		t.Errorf("it speaks %s", response.Proto)
	}
	return response.StatusCode, response.TLS.PeerCertificates[0].SerialNumber.String(), nil
}

func TestTLS(t *testing.T) {
	t.Parallel()
	folder, ca := t.TempDir(), certtest.New(t, "ca")
	cert, key := certtest.Pair(t, folder, ca, "server")
	s := serve(t, func(s *cloudeventshttp.SourceSettings) {
		s.TLS = &cloudeventshttp.ServerTLS{CertFile: cert, KeyFile: key}
	}, accepted)
	status, first, err := over(t, s, ca.Client(t, nil))
	if status != 202 || err != nil {
		t.Fatal(status, err)
	}
	if _, _, err := over(t, s, certtest.New(t, "other").Client(t, nil)); err == nil {
		t.Error("a client trusts a certificate of another authority")
	}
	if _, err := tls.Dial("tcp", s.source.Addr().String(), &tls.Config{RootCAs: ca.Pool(), MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
	if status := readStatus(t, raw(t, s, rawHead+"2\r\n\r\n{}")); status != 400 {
		t.Errorf("plain HTTP is answered with %d", status)
	}
	// What is no certificate leaves the one before in use; so does a new certificate without its key.
	certtest.File(t, folder, "server.crt", []byte("no certificate"))
	time.Sleep(1100 * time.Millisecond)
	if status, serial, err := over(t, s, ca.Client(t, nil)); status != 202 || serial != first || err != nil {
		t.Errorf("with a broken file: %d, %v", status, err)
	}
	certtest.Pair(t, folder, ca, "server")
	eventually(t, "the new certificate is not used", func() bool {
		status, serial, err := over(t, s, ca.Client(t, nil))
		if status != 202 || err != nil {
			t.Errorf("during the change: %d, %v", status, err)
		}
		return serial != first
	})
	if n := len(s.taken()); n < 3 {
		t.Errorf("%d were delivered", n)
	}
}

func TestMutualTLS(t *testing.T) {
	t.Parallel()
	folder, ca, clients, others := t.TempDir(), certtest.New(t, "ca"), certtest.New(t, "clients"), certtest.New(t, "others")
	cert, key := certtest.Pair(t, folder, ca, "server")
	authorities := certtest.File(t, folder, "clients.crt", clients.PEM)
	s := serve(t, func(s *cloudeventshttp.SourceSettings) {
		s.TLS = &cloudeventshttp.ServerTLS{CertFile: cert, KeyFile: key, ClientCAFile: authorities}
	}, accepted)
	for name, c := range map[string]struct {
		of *certtest.Authority
		ok bool
	}{"none": {nil, false}, "another's": {others, false}, "a client's": {clients, true}} {
		if status, _, err := over(t, s, ca.Client(t, c.of)); (status == 202) != c.ok {
			t.Errorf("certificate %s: %d, %v", name, status, err)
		}
	}
	if n := len(s.taken()); n != 1 {
		t.Errorf("%d were delivered", n)
	}
	certtest.File(t, folder, "clients.crt", others.PEM)
	eventually(t, "the new authority is not trusted", func() bool {
		status, _, _ := over(t, s, ca.Client(t, others))
		return status == 202
	})
	if status, _, _ := over(t, s, ca.Client(t, clients)); status == 202 {
		t.Error("the old authority is trusted still")
	}
}

func TestBearer(t *testing.T) {
	path := certtest.File(t, t.TempDir(), "tokens", []byte("third\n\nfourth\r\n"))
	for name, c := range map[string]struct {
		change func(*cloudeventshttp.Bearer)
		query  string
		header []string
		status int
		error  string // in the challenge
	}{
		"first":            {header: []string{"Authorization", "Bearer first"}, status: 202},
		"second":           {header: []string{"Authorization", "Bearer second"}, status: 202},
		"of the file":      {header: []string{"Authorization", "Bearer third"}, status: 202},
		"of the last line": {header: []string{"Authorization", "Bearer fourth"}, status: 202},
		"case and spaces":  {header: []string{"Authorization", "bEARER   first"}, status: 202},
		"none":             {status: 401},
		"empty":            {header: []string{"Authorization", "Bearer "}, status: 401},
		"wrong":            {header: []string{"Authorization", "Bearer firs"}, status: 401, error: `error="invalid_token"`},
		"longer":           {header: []string{"Authorization", "Bearer first first"}, status: 401, error: `error="invalid_token"`},
		"another scheme":   {header: []string{"Authorization", "Basic first"}, status: 401},
		"no scheme":        {header: []string{"Authorization", "first"}, status: 401},
		"two":              {header: []string{"Authorization", "Bearer wrong", "Authorization", "Bearer first"}, status: 401},
		"in the URL":       {query: "?access_token=first", status: 401},
		"in the URL, allowed": {change: func(b *cloudeventshttp.Bearer) { b.InQuery = true }, query: "?a=b&access_token=first",
			status: 202},
		"wrong in the URL": {change: func(b *cloudeventshttp.Bearer) { b.InQuery = true }, query: "?access_token=x", status: 401, error: "invalid_token"},
		"twice in the URL": {change: func(b *cloudeventshttp.Bearer) { b.InQuery = true }, query: "?access_token=first&access_token=first", status: 401},
		"wrong in the header, good in the URL": {change: func(b *cloudeventshttp.Bearer) { b.InQuery = true }, query: "?access_token=first",
			header: []string{"Authorization", "Bearer wrong"}, status: 401, error: "invalid_token"},
		"another header":        {change: func(b *cloudeventshttp.Bearer) { b.Header = "x-gitlab-token" }, header: []string{"X-Gitlab-Token", "first"}, status: 202},
		"another header, wrong": {change: func(b *cloudeventshttp.Bearer) { b.Header = "x-gitlab-token" }, header: []string{"X-Gitlab-Token", "Bearer first"}, status: 401, error: "invalid_token"},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, func(s *cloudeventshttp.SourceSettings) {
				s.Bearer = &cloudeventshttp.Bearer{Token: []secret.Secret{"first", "second"}, TokenFile: path}
				s.Bearer.SetDefaults()
				if c.change != nil {
					c.change(s.Bearer)
				}
			}, accepted)
			got := send(t, "POST", s.url+"/"+c.query, structuredEvent, append(c.header, "Content-Type", "application/cloudevents+json")...)
			challenge := got.header.Get("WWW-Authenticate")
			if got.status != c.status || !strings.Contains(challenge, c.error) || (got.status == 401) != strings.HasPrefix(challenge, `Bearer realm="eiffelbridge"`) ||
				c.error == "" && strings.Contains(challenge, "error") || strings.Contains(got.body, "first") {
				t.Errorf("answered %d %q %s", got.status, challenge, got.body)
			}
			if taken := len(s.taken()); taken != 1 && got.status == 202 || taken != 0 && got.status != 202 {
				t.Errorf("%d were delivered", taken)
			}
			// Before the body, and before anything else about it is found out.
			if got := send(t, "POST", s.url, "x", "Content-Type", "text/plain"); got.status != 401 {
				t.Errorf("a media type that is not taken, without a token: %d", got.status)
			}
			// The handshake is about no authorization.
			if got := send(t, "OPTIONS", s.url, "", "WebHook-Request-Origin", "a.example"); got.status != 200 {
				t.Errorf("the handshake is answered with %d", got.status)
			}
		})
	}
}

func TestBearerRotation(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := certtest.File(t, folder, "tokens", []byte("old\n"))
	s := serve(t, func(s *cloudeventshttp.SourceSettings) {
		s.Bearer = &cloudeventshttp.Bearer{TokenFile: path}
		s.Bearer.SetDefaults()
	}, accepted)
	post := func(token string) int {
		return send(t, "POST", s.url, structuredEvent, "Content-Type", "application/cloudevents+json", "Authorization", "Bearer "+token).status
	}
	if old, other := post("old"), post("new"); old != 202 || other != 401 {
		t.Fatal(old, other)
	}
	certtest.File(t, folder, "tokens", []byte("new\nold\n"))
	eventually(t, "the new token is not taken", func() bool { return post("new") == 202 })
	if old := post("old"); old != 202 {
		t.Errorf("the old token: %d", old)
	}
	certtest.File(t, folder, "tokens", []byte("new\n"))
	eventually(t, "the old token is taken still", func() bool { return post("old") == 401 })
	// A file that went wrong shuts nobody out and lets nobody in.
	certtest.File(t, folder, "tokens", []byte("\n"))
	time.Sleep(1100 * time.Millisecond)
	if current, none := post("new"), post(""); current != 202 || none != 401 {
		t.Errorf("with an empty file: %d, without a token: %d", current, none)
	}
}

// signature is HMAC as RFC 2104 defines it, written from there and not from what the driver uses.
func signature(secret string, body []byte) string {
	key := []byte(secret)
	if len(key) > 64 {
		sum := sha256.Sum256(key)
		key = sum[:]
	}
	inner, outer := bytes.Repeat([]byte{0x36}, 64), bytes.Repeat([]byte{0x5c}, 64)
	for i, b := range key {
		inner[i] ^= b
		outer[i] ^= b
	}
	sum := sha256.Sum256(append(inner, body...))
	sum = sha256.Sum256(append(outer, sum[:]...))
	return hex.EncodeToString(sum[:])
}

func TestHMAC(t *testing.T) {
	// The example in GitHub's documentation for those who write receivers.
	const githubSecret, githubBody = "It's a Secret to Everybody", "Hello, World!"
	const githubSignature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
	if got := "sha256=" + signature(githubSecret, []byte(githubBody)); got != githubSignature {
		t.Fatalf("the test's own signature is %s", got)
	}
	const structured, batched = "application/cloudevents+json", "application/cloudevents-batch+json"
	large := `{"specversion":"1.0","id":"large","source":"/s","type":"dev.cdevents.x","data":"` + strings.Repeat("x", 5000) + `"}`
	for name, c := range map[string]struct {
		change    func(*cloudeventshttp.HMAC)
		mediaType string // empty: structured
		body      string // empty: structuredEvent
		header    string // empty: X-Hub-Signature-256
		signature string
		status    int
		defect    bool
	}{
		"github's example":      {body: githubBody, signature: githubSignature, status: 400},
		"github's, one bit off": {body: githubBody, signature: strings.Replace(githubSignature, "e17", "e16", 1), status: 401},
		"another body":          {body: githubBody + " ", signature: githubSignature, status: 401},
		"first secret":          {signature: "sha256=" + signature("first", []byte(structuredEvent)), status: 202},
		"of the file":           {signature: "sha256=" + signature(strings.Repeat("long", 20), []byte(structuredEvent)), status: 202},
		"upper case":            {signature: "sha256=" + strings.ToUpper(signature("first", []byte(structuredEvent))), status: 202},
		"batch":                 {mediaType: batched, body: "[" + structuredEvent + "]", signature: "sha256=" + signature("first", []byte("["+structuredEvent+"]")), status: 202},
		"batch, wrong":          {mediaType: batched, body: "[" + structuredEvent + "]", signature: "sha256=" + signature("first", []byte(structuredEvent)), status: 401},
		"none":                  {status: 401},
		"wrong secret":          {signature: "sha256=" + signature("wrong", []byte(structuredEvent)), status: 401},
		"no prefix":             {signature: signature("first", []byte(structuredEvent)), status: 401},
		"half of it":            {signature: "sha256=" + signature("first", []byte(structuredEvent))[:32], status: 401},
		"nothing after it":      {signature: "sha256=", status: 401},
		"not hexadecimal":       {signature: "sha256=" + strings.Repeat("x", 64), status: 401},
		"sha1":                  {signature: "sha1=" + signature("first", []byte(structuredEvent)), status: 401},
		"too large":             {body: large, signature: "sha256=" + signature("first", []byte(large)), status: 413, defect: true},
		"too large, wrong":      {body: large, signature: "sha256=" + signature("wrong", []byte(large)), status: 401},
		"broken, wrong":         {body: "{", signature: "sha256=" + signature("wrong", []byte("{")), status: 401},
		"another form": {change: func(h *cloudeventshttp.HMAC) { h.Header, h.Prefix = "webhook-hmac", "" }, header: "Webhook-Hmac",
			signature: signature("first", []byte(structuredEvent)), status: 202},
		"another form, wrong": {change: func(h *cloudeventshttp.HMAC) { h.Header, h.Prefix = "webhook-hmac", "" },
			signature: "sha256=" + signature("first", []byte(structuredEvent)), status: 401},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, func(s *cloudeventshttp.SourceSettings) {
				s.MaxBody = 4096
				s.HMAC = &cloudeventshttp.HMAC{Secret: []secret.Secret{"first", githubSecret},
					SecretFile: certtest.File(t, t.TempDir(), "secrets", []byte(strings.Repeat("long", 20)+"\n"))}
				s.HMAC.SetDefaults()
				if c.change != nil {
					c.change(s.HMAC)
				}
			}, settleAsEvents)
			header := []string{"Content-Type", structured}
			if c.mediaType != "" {
				header[1] = c.mediaType
			}
			if c.body == "" {
				c.body = structuredEvent
			}
			if c.signature != "" {
				if c.header == "" {
					c.header = "X-Hub-Signature-256"
				}
				header = append(header, c.header, c.signature)
			}
			got := send(t, "POST", s.url, c.body, header...)
			if got.status != c.status || (got.status == 401) != strings.HasPrefix(got.header.Get("WWW-Authenticate"), "HMAC-SHA256 header=") {
				t.Errorf("answered %d %q %s", got.status, got.header.Get("WWW-Authenticate"), got.body)
			}
			taken := s.taken()
			if c.status == 401 && len(taken) != 0 || c.status != 401 && (len(taken) != 1 || (s.defects[0] != nil) != c.defect) {
				t.Errorf("delivered: %+v", taken)
			}
			if got := send(t, "OPTIONS", s.url, "", "WebHook-Request-Origin", "a.example", "WebHook-Request-Rate", "10"); got.status != 200 ||
				got.header.Get("WebHook-Allowed-Rate") != "*" {
				t.Errorf("the handshake is answered with %d", got.status)
			}
		})
	}
}

// settleAsEvents accepts sound messages and rejects the others.
func settleAsEvents(_ context.Context, d transport.Delivery) error {
	settlement := transport.Settlement{Outcome: transport.Accepted}
	if d.Message.Type == "" || d.Defect != nil {
		settlement.Outcome = transport.Rejected
	}
	go d.Settle(settlement)
	return nil
}

// A browser gets no permission to post across origins, and what it posts without asking is not taken.
func TestBrowsers(t *testing.T) {
	s := serve(t, nil, accepted)
	got := send(t, "OPTIONS", s.url, "", "Origin", "https://evil.example", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "ce-id,content-type")
	for name := range got.header {
		if strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("the preflight gets %s: %s", name, got.header.Get(name))
		}
	}
	for _, header := range [][]string{{"Origin", "https://evil.example"}, {"Origin", "null"}, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}} {
		got := send(t, "POST", s.url, structuredEvent, append(header, "Content-Type", "application/cloudevents+json")...)
		if got.status != 403 {
			t.Errorf("%v: %d", header, got.status)
		}
		for name := range got.header {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%v: %s: %s", header, name, got.header.Get(name))
			}
		}
	}
	if n := len(s.taken()); n != 0 {
		t.Errorf("%d were delivered", n)
	}
}

func TestMaxHeader(t *testing.T) {
	s := serve(t, func(s *cloudeventshttp.SourceSettings) { s.MaxHeader = 8 << 10 }, accepted)
	for size, want := range map[int]int{7 << 10: 202, 16 << 10: 431} {
		response, err := http.DefaultTransport.RoundTrip(request(t, s.url, "X-Padding", strings.Repeat("x", size)))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("a header of %d bytes: %d", size, response.StatusCode)
		}
	}
}

func request(t testing.TB, url string, header ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequest("POST", url, strings.NewReader(structuredEvent))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/cloudevents+json")
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

// A connection beyond max_connections is not served before another ends.
func TestMaxConnections(t *testing.T) {
	t.Parallel()
	s := serve(t, func(s *cloudeventshttp.SourceSettings) { s.MaxConnections = 2 }, accepted)
	first, second := raw(t, s, "P"), raw(t, s, "P")
	third := raw(t, s, rawHead+fmt.Sprint(len(structuredEvent))+"\r\n\r\n"+structuredEvent)
	third.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if n, err := third.Read(make([]byte, 1)); n != 0 || !os.IsTimeout(err) {
		t.Fatalf("it is served: %d, %v", n, err)
	}
	first.Close()
	if status := readStatus(t, third); status != 202 {
		t.Errorf("answered with %d", status)
	}
	second.Close()
}

// A client that goes on sending sees the answer and the end of the connection before the reset that ends it.
func TestRefusedWithoutReset(t *testing.T) {
	s := serve(t, func(s *cloudeventshttp.SourceSettings) { s.ReadTimeout = 100 * time.Millisecond }, accepted)
	conn := raw(t, s, "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 1000000000\r\n\r\n")
	var sending sync.WaitGroup
	defer sending.Wait()
	defer conn.Close()
	sending.Go(func() {
		for _, err := conn.Write([]byte("x")); err == nil; _, err = conn.Write([]byte("x")) {
			time.Sleep(time.Millisecond)
		}
	})
	conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	text, err := io.ReadAll(conn)
	if !strings.HasPrefix(string(text), "HTTP/1.1 415 ") || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}

func TestSecuritySettings(t *testing.T) {
	folder := t.TempDir()
	cert, key := certtest.Pair(t, folder, certtest.New(t, "ca"), "server")
	empty, missing := certtest.File(t, folder, "empty", nil), folder+"/missing"
	withBearer := func(b cloudeventshttp.Bearer) func(*cloudeventshttp.SourceSettings) {
		return func(s *cloudeventshttp.SourceSettings) { s.Bearer = &b }
	}
	withHMAC := func(h cloudeventshttp.HMAC) func(*cloudeventshttp.SourceSettings) {
		return func(s *cloudeventshttp.SourceSettings) { s.HMAC = &h }
	}
	withTLS := func(x cloudeventshttp.ServerTLS) func(*cloudeventshttp.SourceSettings) {
		return func(s *cloudeventshttp.SourceSettings) { s.TLS = &x }
	}
	for name, c := range map[string]struct {
		change func(*cloudeventshttp.SourceSettings)
		key    string
	}{
		"no token":    {withBearer(cloudeventshttp.Bearer{Header: "Authorization"}), "bearer.token: is missing"},
		"empty token": {withBearer(cloudeventshttp.Bearer{Header: "Authorization", Token: []secret.Secret{"topsecret", ""}}), "bearer.token: is empty"},
		"spaces":      {withBearer(cloudeventshttp.Bearer{Header: "Authorization", Token: []secret.Secret{" topsecret"}}), "bearer.token: begins"},
		"no header":   {withBearer(cloudeventshttp.Bearer{Token: []secret.Secret{"topsecret"}}), "bearer.header:"},
		"meaning":     {withBearer(cloudeventshttp.Bearer{Token: []secret.Secret{"topsecret"}, Header: "ce-id"}), "bearer.header: Ce-Id"},
		"one header": {func(s *cloudeventshttp.SourceSettings) {
			s.Bearer = &cloudeventshttp.Bearer{Token: []secret.Secret{"topsecret"}, Header: "X-A"}
			s.HMAC = &cloudeventshttp.HMAC{Secret: []secret.Secret{"topsecret"}, Header: "x-a"}
		}, "hmac.header: the token"},
		"token file missing": {withBearer(cloudeventshttp.Bearer{Header: "Authorization", TokenFile: missing}), "bearer.token_file: open"},
		"token file empty":   {withBearer(cloudeventshttp.Bearer{Header: "Authorization", TokenFile: empty}), "bearer.token_file: " + empty + " has no line"},
		"no secret":          {withHMAC(cloudeventshttp.HMAC{Header: "A"}), "hmac.secret: is missing"},
		"bad header":         {withHMAC(cloudeventshttp.HMAC{Header: "ce-id", Secret: []secret.Secret{"topsecret"}}), "hmac.header: Ce-Id"},
		"bad prefix":         {withHMAC(cloudeventshttp.HMAC{Header: "A", Prefix: "a\n", Secret: []secret.Secret{"topsecret"}}), "hmac.prefix:"},
		"secret file empty":  {withHMAC(cloudeventshttp.HMAC{Header: "A", SecretFile: empty}), "hmac.secret_file:"},
		"no certificate":     {withTLS(cloudeventshttp.ServerTLS{KeyFile: key}), "tls.cert_file: is missing"},
		"no key":             {withTLS(cloudeventshttp.ServerTLS{CertFile: cert}), "tls.key_file: is missing"},
		"file missing":       {withTLS(cloudeventshttp.ServerTLS{CertFile: cert, KeyFile: missing}), "tls.key_file: open"},
		"not a pair":         {withTLS(cloudeventshttp.ServerTLS{CertFile: key, KeyFile: cert}), "tls.cert_file: with tls.key_file:"},
		"no authority":       {withTLS(cloudeventshttp.ServerTLS{CertFile: cert, KeyFile: key, ClientCAFile: empty}), "tls.client_ca_file: there is no"},
		"header limit":       {func(s *cloudeventshttp.SourceSettings) { s.MaxHeader = 100 }, "max_header:"},
		"connections":        {func(s *cloudeventshttp.SourceSettings) { s.MaxConnections = 0 }, "max_connections:"},
	} {
		t.Run(name, func(t *testing.T) {
			source, err := listen(c.change)
			if err == nil {
				source.Close()
			}
			if err == nil || !strings.HasPrefix(err.Error(), c.key) || strings.Contains(err.Error(), "topsecret") {
				t.Errorf("want %s, got %v", c.key, err)
			}
		})
	}
	settings := cloudeventshttp.DefaultSourceSettings()
	settings.Bearer = &cloudeventshttp.Bearer{Token: []secret.Secret{"topsecret"}}
	settings.HMAC = &cloudeventshttp.HMAC{Secret: []secret.Secret{"topsecret"}}
	var logged bytes.Buffer
	slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "settings", settings, "bearer", settings.Bearer, "hmac", *settings.HMAC)
	if text := fmt.Sprintf("%v %+v %v %+v %#v %s", settings, settings, settings.Bearer, *settings.HMAC, *settings.HMAC, logged.String()); strings.Contains(text, "topsecret") {
		t.Errorf("a secret is printed: %s", text)
	}
}

// eventually waits for what follows from a change of a file.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
	}
}
