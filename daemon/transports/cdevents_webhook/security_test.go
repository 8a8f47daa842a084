package cdeventswebhook_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	cdeventswebhook "github.com/eiffelbridge/eiffelbridge/daemon/transports/cdevents_webhook"
	cloudeventshttp "github.com/eiffelbridge/eiffelbridge/daemon/transports/cloudevents_http"
	"github.com/eiffelbridge/eiffelbridge/daemon/transports/internal/certtest"
	"github.com/eiffelbridge/eiffelbridge/internal/secret"
)

// What may not send reaches no translator; translators see no token, and a new token makes no new event.
func TestSecurity(t *testing.T) {
	folder, ca := t.TempDir(), certtest.New(t, "ca")
	cert, key := certtest.Pair(t, folder, ca, "hooks")
	s := serve(t, func(s *cdeventswebhook.Settings) {
		s.MaxHeader, s.MaxConnections = 2048, 2
		s.TLS = &cloudeventshttp.ServerTLS{CertFile: cert, KeyFile: key}
		s.Bearer = &cloudeventshttp.Bearer{Token: []secret.Secret{"old", "new"}, Header: "Authorization"}
		s.HMAC = &cloudeventshttp.HMAC{Secret: []secret.Secret{"secret"}}
		s.HMAC.SetDefaults()
	}, accepted)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: ca.Client(t, nil), DisableKeepAlives: true}, Timeout: 20 * time.Second}
	post := func(path, body string, header ...string) (int, string) {
		t.Helper()
		r, err := http.NewRequest(http.MethodPost, "https"+strings.TrimPrefix(s.url, "http")+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, _ := io.ReadAll(response.Body)
		return response.StatusCode, string(text)
	}
	mac := hmac.New(sha256.New, []byte("secret"))
	mac.Write([]byte("{}"))
	signature := "sha256=" + hex.EncodeToString(mac.Sum(nil))
	const token, signed = "Authorization", "X-Hub-Signature-256"
	for name, c := range map[string]struct {
		path, body string
		header     []string
		status     int
	}{
		"neither":            {body: "{}", status: 401},
		"no signature":       {body: "{}", header: []string{token, "Bearer new"}, status: 401},
		"no token":           {body: "{}", header: []string{signed, signature}, status: 401},
		"another body":       {body: "{ }", header: []string{token, "Bearer new", signed, signature}, status: 401},
		"nothing to find":    {path: "x", body: "{}", status: 401},
		"another path":       {path: "x", body: "{}", header: []string{token, "Bearer new", signed, signature}, status: 404},
		"a web page":         {body: "{}", header: []string{token, "Bearer new", signed, signature, "Origin", "https://evil.example"}, status: 403},
		"too large a header": {body: "{}", header: []string{token, "Bearer new", signed, signature, "X", strings.Repeat("x", 10000)}, status: 431},
	} {
		if status, text := post(c.path, c.body, append(c.header, "X-Do", "crash")...); status != c.status || status == 401 && strings.Contains(text, "/translate/") {
			t.Errorf("%s: %d %s", name, status, text)
		}
	}
	if starts := s.source.Translators()["test"].Stats().Starts; len(s.taken()) != 0 || starts != 1 {
		t.Errorf("delivered: %+v; the translator was started %d times", s.taken(), starts)
	}
	if status, text := post("", "{}", token, "Bearer new", signed, signature, "X-Do", "headers"); status != 202 {
		t.Fatal(status, text)
	}
	var seen map[string][]string
	if err := json.Unmarshal(s.last(t).Data, &seen); err != nil || seen[token] != nil || len(seen[signed]) != 1 {
		t.Errorf("the translator sees %v, %v", seen, err)
	}
	var ids []string
	for _, one := range []string{"old", "new"} {
		if status, text := post("", "{}", token, "Bearer "+one, signed, signature, "X-Do", "call"); status != 202 {
			t.Error(status, text)
		}
		ids = append(ids, s.last(t).ID)
	}
	if ids[0] != ids[1] || ids[0] == "" {
		t.Errorf("a repetition with another token is another event: %v", ids)
	}
	if _, err := listen(func(s *cdeventswebhook.Settings) { s.HMAC = &cloudeventshttp.HMAC{Header: "A"} }); err == nil || !strings.HasPrefix(err.Error(), "hmac.secret: ") {
		t.Error(err)
	}
}
