package amqp091

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/internal/rabbittest"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

// password has what a URL, a shell or a trim would spoil.
const password = ` p:a@s/s#w%25ord"? `

// authority makes one with files in a folder of its own.
func authority(tb testing.TB, name string) *rabbittest.Authority {
	tb.Helper()
	a, err := rabbittest.NewAuthority(tb.TempDir(), name)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

func issue(tb testing.TB, a *rabbittest.Authority, name string, hosts ...string) (certFile, keyFile string) {
	tb.Helper()
	certFile, keyFile, err := a.Issue(name, hosts...)
	if err != nil {
		tb.Fatal(err)
	}
	return certFile, keyFile
}

// secureBroker starts one whose certificate is for 127.0.0.1 and broker.test, with the user relay, and the virtual host "build lab/1" that
// only this user may enter.
func secureBroker(tb testing.TB, options rabbittest.Options, listener rabbittest.TLS, a *rabbittest.Authority) *rabbittest.Server {
	tb.Helper()
	listener.CAFile = a.CAFile
	listener.CertFile, listener.KeyFile = issue(tb, a, "broker", "127.0.0.1", "broker.test")
	options.TLS = &listener
	server := rabbittest.ForTestWith(tb, options)
	ctl(tb, server, "eval", fmt.Sprintf(`{ok, _} = {ok, rabbit_auth_backend_internal:add_user(<<"relay">>, <<%q>>, <<"test">>)}, `+
		`rabbit_vhost:add(<<"build lab/1">>, <<"test">>), `+
		`rabbit_auth_backend_internal:set_permissions(<<"relay">>, <<"build lab/1">>, <<".*">>, <<".*">>, <<".*">>, <<"test">>).`, password))
	return server
}

// secureSettings give the broker in parts.
func secureSettings(tb testing.TB, server *rabbittest.Server, a *rabbittest.Authority) Settings {
	tb.Helper()
	host, port, err := net.SplitHostPort(server.TLSAddr())
	if err != nil {
		tb.Fatal(err)
	}
	s := testSettings(tb, server)
	s.URL, s.Host, s.VHost, s.Username, s.Password = "", host, "build lab/1", "relay", password
	if s.Port, err = strconv.Atoi(port); err != nil {
		tb.Fatal(err)
	}
	s.TLS = &TLS{CAFile: a.CAFile}
	return s
}

func writeFile(tb testing.TB, path, text string) {
	tb.Helper()
	// As whoever rotates secrets does it: the file is never half there.
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		tb.Fatal(err)
	}
}

func copyFile(tb testing.TB, from, to string) {
	tb.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		tb.Fatal(err)
	}
	writeFile(tb, to, string(text))
}

// goesThrough sends a message through the broker and takes it back.
func goesThrough(t *testing.T, s Settings) (*Sink, *receiving) {
	t.Helper()
	box := newInbox()
	source := startSource(t, s, box.handle)
	eventually(t, "consuming", func() bool { return source.Health() == nil })
	sink := startSink(t, s)
	mustPublish(t, sink, eiffelMessage)
	d := box.next(t)
	if !bytes.Equal(d.Message.Data, eiffelMessage.Data) {
		t.Errorf("%s came", d.Message.Data)
	}
	d.Settle(transport.Settlement{Outcome: transport.Accepted})
	return sink, source
}

// lockedLog is a log that is read while it is written.
type lockedLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// refusal is what both ends say, in their answers, their health and the log, of a broker that does not let them in: all of wants, each
// of which may be several with | between them. None of it may show the password.
func refusal(t *testing.T, s Settings, wants ...string) {
	t.Helper()
	log := &lockedLog{}
	logger := slog.New(slog.NewTextHandler(log, nil))
	source, err := NewSource(s, logger)
	if err != nil {
		t.Fatal(err)
	}
	received := make(chan error, 1)
	go func() { received <- source.Receive(t.Context(), newInbox().handle) }()
	sink, err := NewSink(s, logger)
	if err != nil {
		t.Fatal(err)
	}
	answer := publish(t, sink, eiffelMessage)[0]
	if answer == nil || transport.IsPermanent(answer) || sink.Health() == nil {
		t.Errorf("%v, health %v", answer, sink.Health())
	}
	eventually(t, "a word of the source in the log", func() bool { return strings.Contains(log.String(), "no consumer") })
	says := []string{fmt.Sprint(answer), fmt.Sprint(sink.Health()), fmt.Sprint(source.Health()), log.String()}
	_ = sink.Close(t.Context())
	_ = source.Close()
	if err := <-received; err != nil {
		t.Error(err)
	}
	for i, text := range says {
		unquoted := strings.ReplaceAll(text, `\"`, `"`) // of the log
		for _, want := range wants {
			if !slices.ContainsFunc(strings.Split(want, "|"), func(one string) bool { return strings.Contains(unquoted, one) }) {
				t.Errorf("%d: %q does not say %q", i, text, want)
			}
		}
		if strings.Contains(text, "p:a@s") || strings.Contains(text, "wrong one") || strings.Contains(text, url.QueryEscape("p:a@s")) {
			t.Errorf("the password is shown: %s", text)
		}
	}
}

// TestTLS has a broker that encrypts and asks for a password.
func TestTLS(t *testing.T) {
	t.Parallel()
	ours, others := authority(t, "ours"), authority(t, "others")
	server := secureBroker(t, rabbittest.Options{}, rabbittest.TLS{}, ours)
	settings := func(t *testing.T) Settings { return secureSettings(t, server, ours) }

	t.Run("parts", func(t *testing.T) {
		goesThrough(t, settings(t))
		if out := ctl(t, server, "-q", "list_connections", "user", "vhost", "ssl"); !strings.Contains(out, "relay\tbuild lab/1\ttrue") {
			t.Errorf("connections: %s", out)
		}
	})
	t.Run("url", func(t *testing.T) {
		s := settings(t)
		whole := url.URL{Scheme: "amqps", User: url.UserPassword(s.Username, password), Host: server.TLSAddr(), Path: "/" + s.VHost}
		s.Host, s.Port, s.VHost, s.Username, s.Password = "", 0, "", "", ""
		s.URL = whole.String()
		goesThrough(t, s)
		whole.RawQuery = url.Values{"cacertfile": {ours.CAFile}}.Encode()
		s.Queue += "-file"
		s.TLS, s.URL, s.URLFile = nil, "", filepath.Join(t.TempDir(), "url")
		writeFile(t, s.URLFile, whole.String()+"\n")
		goesThrough(t, s)
	})
	t.Run("wrong authority", func(t *testing.T) {
		s := settings(t)
		s.TLS.CAFile = others.CAFile
		refusal(t, s, "connecting to amqps://127.0.0.1:", "certificate signed by unknown authority", "tls.ca_file")
	})
	t.Run("other name", func(t *testing.T) {
		s := settings(t)
		s.Host = "localhost"
		refusal(t, s, "certificate is valid for broker.test, not localhost", "tls.server_name")
		s.TLS.ServerName = "broker.test"
		goesThrough(t, s)
	})
	t.Run("wrong password", func(t *testing.T) {
		s := settings(t)
		s.Password = "wrong one"
		refusal(t, s, `the broker does not let the relay in as "relay" (PLAIN)`)
	})
	t.Run("wrong virtual host", func(t *testing.T) {
		s := settings(t)
		s.VHost = "/"
		refusal(t, s, "access to vhost '/' refused for user 'relay'")
	})
	t.Run("few permissions", func(t *testing.T) {
		s := settings(t)
		s.Exchange, s.Queue = "few", "few" // regular expressions
		goesThrough(t, s)
		// The exchange and the queue are there now.
		ctl(t, server, "set_permissions", "-p", s.VHost, "relay", "^$", "^few$", "^few$")
		defer ctl(t, server, "set_permissions", "-p", s.VHost, "relay", ".*", ".*", ".*")
		refusal(t, s, "access to", "'few' in vhost 'build lab/1' refused for user 'relay'")
		s.DeclareExchange, s.DeclareQueue = false, false
		goesThrough(t, s)
	})
	t.Run("rotated", func(t *testing.T) {
		s := settings(t)
		folder := t.TempDir()
		s.TLS.CAFile = filepath.Join(folder, "ca.pem")
		s.Password, s.PasswordFile = "", filepath.Join(folder, "password")
		refusal(t, s, "password_file: open "+s.PasswordFile)
		writeFile(t, s.PasswordFile, password+"\n")
		refusal(t, s, "tls: authorities: open "+s.TLS.CAFile)
		copyFile(t, ours.CAFile, s.TLS.CAFile)
		sink, source := goesThrough(t, s)

		// The broker gets another password and another certificate; the relay has neither yet.
		ctl(t, server, "change_password", "relay", "another one")
		ctl(t, server, "close_all_connections", "--global", "rotated")
		eventually(t, "the refusal", func() bool {
			return sink.Health() != nil && strings.Contains(sink.Health().Error(), "does not let the relay in")
		})
		writeFile(t, s.PasswordFile, "another one\r\n")
		eventually(t, "health", func() bool { return sink.Health() == nil && source.Health() == nil })

		issue(t, others, "broker", "127.0.0.1")
		copyFile(t, filepath.Join(filepath.Dir(others.CAFile), "broker.pem"), filepath.Join(filepath.Dir(ours.CAFile), "broker.pem"))
		copyFile(t, filepath.Join(filepath.Dir(others.CAFile), "broker.key"), filepath.Join(filepath.Dir(ours.CAFile), "broker.key"))
		ctl(t, server, "eval", "ssl:clear_pem_cache().")
		ctl(t, server, "close_all_connections", "--global", "rotated")
		eventually(t, "the refusal", func() bool {
			return sink.Health() != nil && strings.Contains(sink.Health().Error(), "unknown authority")
		})
		copyFile(t, others.CAFile, s.TLS.CAFile)
		eventually(t, "health", func() bool { return sink.Health() == nil && source.Health() == nil })
		mustPublish(t, sink, eiffelMessage)
	})
}

// TestMutualTLS has a broker that wants a certificate of everybody, and takes the user from it if asked to.
func TestMutualTLS(t *testing.T) {
	t.Parallel()
	ours, others := authority(t, "ours"), authority(t, "others")
	server := secureBroker(t, rabbittest.Options{
		Plugins:     []string{"rabbitmq_auth_mechanism_ssl"},
		ConfigExtra: "auth_mechanisms.1 = PLAIN\nauth_mechanisms.2 = EXTERNAL\nssl_cert_login_from = common_name\n",
	}, rabbittest.TLS{VerifyPeer: true, RequirePeer: true}, ours)
	relayCert, relayKey := issue(t, ours, "relay")
	settings := func(t *testing.T) Settings {
		s := secureSettings(t, server, ours)
		s.TLS.CertFile, s.TLS.KeyFile = relayCert, relayKey
		return s
	}
	external := func(s Settings) Settings {
		s.Username, s.Password, s.Auth = "", "", AuthExternal
		return s
	}

	t.Run("without a certificate", func(t *testing.T) {
		s := settings(t)
		s.TLS.CertFile, s.TLS.KeyFile = "", ""
		refusal(t, s, "connecting to amqps://127.0.0.1:", "tls: certificate required|when it does not accept the client's certificate, or wants one")
	})
	t.Run("certificate of another authority", func(t *testing.T) {
		s := settings(t)
		s.TLS.CertFile, s.TLS.KeyFile = issue(t, others, "relay")
		refusal(t, s, "connecting to amqps://127.0.0.1:", "tls: unknown certificate authority|when it does not accept the client's certificate, or wants one")
	})
	t.Run("password", func(t *testing.T) {
		goesThrough(t, settings(t))
	})
	t.Run("external", func(t *testing.T) {
		goesThrough(t, external(settings(t)))
		if out := ctl(t, server, "-q", "list_connections", "user", "auth_mechanism", "vhost"); !strings.Contains(out, "relay\tEXTERNAL\tbuild lab/1") {
			t.Errorf("connections: %s", out)
		}
	})
	t.Run("external in the url", func(t *testing.T) {
		s := settings(t)
		whole := url.URL{Scheme: "amqps", Host: server.TLSAddr(), Path: "/" + s.VHost, RawQuery: "auth_mechanism=external"}
		s.URL, s.Host, s.Port, s.VHost, s.Username, s.Password = whole.String(), "", 0, "", "", ""
		goesThrough(t, s)
	})
	t.Run("external as a stranger", func(t *testing.T) {
		s := external(settings(t))
		s.TLS.CertFile, s.TLS.KeyFile = issue(t, ours, "stranger")
		refusal(t, s, `the broker does not let the relay in by the certificate of "CN=stranger" (EXTERNAL)`)
	})
	t.Run("renewed", func(t *testing.T) {
		s := external(settings(t))
		s.TLS.CertFile, s.TLS.KeyFile = issue(t, ours, "renewed")
		source := startSource(t, s, newInbox().handle)
		eventually(t, "the refusal", func() bool { return strings.Contains(source.Health().Error(), `"CN=renewed"`) })
		copyFile(t, relayKey, s.TLS.KeyFile)
		copyFile(t, relayCert, s.TLS.CertFile)
		eventually(t, "health", func() bool { return source.Health() == nil })
	})
}
