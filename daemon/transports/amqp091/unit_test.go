package amqp091

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

func TestRoutingKey(t *testing.T) {
	long := strings.Repeat("domain.", 60)
	for _, test := range []struct {
		name string
		m    transport.Message
		want string
	}{
		{"all words", transport.Message{Protocol: transport.Eiffel, Type: "EiffelArtifactDeployedEvent", Tag: "red", DomainID: "example.org"},
			"eiffel.artifact.EiffelArtifactDeployedEvent.red.example.org"},
		{"no tag, no domain", transport.Message{Protocol: transport.Eiffel, Type: "EiffelEnvironmentDefinedEvent"},
			"eiffel.cm.EiffelEnvironmentDefinedEvent._._"},
		{"a tag with periods", transport.Message{Protocol: transport.Eiffel, Type: "EiffelTestCaseStartedEvent", Tag: "v1.2", DomainID: "d"},
			"eiffel.test.EiffelTestCaseStartedEvent.v1_2.d"},
		{"a type that nobody knows", transport.Message{Protocol: transport.Eiffel, Type: "EiffelTeaServedEvent"},
			"eiffel._.EiffelTeaServedEvent._._"},
		{"nothing known", transport.Message{}, "eiffel._._._._"},
		{"a long domain is cut at its end", transport.Message{Type: "EiffelArtifactCreatedEvent", DomainID: long},
			("eiffel.artifact.EiffelArtifactCreatedEvent._." + long)[:254]}, // and not after a period
		{"a CDEvent", transport.Message{Protocol: transport.CDEvents, Type: "dev.cdevents.service.deployed.0.2.0"},
			"dev.cdevents.service.deployed.0.2.0"},
		{"a CDEvent by its type", transport.Message{Type: "dev.cdevents.service.removed.0.2.0"}, "dev.cdevents.service.removed.0.2.0"},
	} {
		if got := RoutingKey(test.m); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func FuzzRoutingKey(f *testing.F) {
	f.Add("eiffel", "EiffelArtifactCreatedEvent", "a.b", "c.d")
	f.Add("", strings.Repeat("ö", 200), strings.Repeat("€.", 200), strings.Repeat(".", 300))
	f.Add("cdevents", strings.Repeat("\xff", 300), "", "")
	f.Fuzz(func(t *testing.T, protocol, eventType, tag, domain string) {
		m := transport.Message{Protocol: transport.Protocol(protocol), Type: eventType, Tag: tag, DomainID: domain}
		key := RoutingKey(m)
		if key == "" || len(key) > 255 || !utf8.ValidString(key) {
			t.Fatalf("%q has %d bytes", key, len(key))
		}
		if !isCDEvent(m) {
			words := strings.SplitN(key, ".", 5)
			if len(words) != 5 || words[0] != "eiffel" {
				t.Fatalf("%q has not five words", key)
			}
			for _, w := range words {
				if w == "" {
					t.Fatalf("%q has an empty word", key)
				}
			}
		}
	})
}

func TestSettings(t *testing.T) {
	if err := DefaultSettings().Validate(); err != nil {
		t.Errorf("the defaults are not valid: %v", err)
	}
	for key, spoil := range map[string]func(*Settings){
		"url":             func(s *Settings) { s.URL = "http://localhost" },
		"heartbeat":       func(s *Settings) { s.Heartbeat = 0 },
		"exchange":        func(s *Settings) { s.Exchange = strings.Repeat("x", 256) },
		"queue":           func(s *Settings) { s.Queue = "\xff" },
		"bindings[1]":     func(s *Settings) { s.Bindings = []string{"#", strings.Repeat("x", 256)} },
		"queue_type":      func(s *Settings) { s.QueueType = "stream" },
		"delivery_limit":  func(s *Settings) { s.DeliveryLimit, s.QueueType = 3, QueueClassic },
		"prefetch":        func(s *Settings) { s.Prefetch = 0 },
		"confirm_window":  func(s *Settings) { s.ConfirmWindow = 1 << 20 },
		"format":          func(s *Settings) { s.Format = "xml" },
		"routing_key":     func(s *Settings) { s.RoutingKey = strings.Repeat("x", 256) },
		"publish_timeout": func(s *Settings) { s.PublishTimeout = -1 },
	} {
		s := DefaultSettings()
		spoil(&s)
		if err := s.Validate(); err == nil || !strings.HasPrefix(err.Error(), key+": ") {
			t.Errorf("%s: %v", key, err)
		}
	}
	if _, err := NewSource(DefaultSettings(), nil); err == nil || !strings.Contains(err.Error(), "queue: ") {
		t.Errorf("a source without a queue: %v", err)
	}
	s := DefaultSettings()
	s.Exchange = ""
	if _, err := NewSink(s, nil); err == nil || !strings.Contains(err.Error(), "routing_key") {
		t.Errorf("a sink on the default exchange without a key: %v", err)
	}
}

// TestBrokerKeys has the ways to name a broker, and what is said of those that do not work.
func TestBrokerKeys(t *testing.T) {
	parts := func(change func(*Settings)) Settings {
		s := DefaultSettings()
		s.URL, s.Host, s.Username, s.Password = "", "broker", "relay", "geheim"
		if change != nil {
			change(&s)
		}
		return s
	}
	whole := func(url string, change func(*Settings)) Settings {
		s := DefaultSettings()
		s.URL = url
		if change != nil {
			change(&s)
		}
		return s
	}
	certificate := TLS{CertFile: "c", KeyFile: "k"}
	for _, test := range []struct {
		s    Settings
		want string // the endpoint, or the beginning of an error
	}{
		{parts(nil), "amqp://broker:5672/"},
		{parts(func(s *Settings) { s.TLS = &TLS{} }), "amqps://broker:5671/"},
		{parts(func(s *Settings) { s.Host, s.Port, s.VHost = "::1", 1, "a/b" }), "amqp://[::1]:1/a/b"},
		{parts(func(s *Settings) { s.Username, s.Password, s.Auth, s.TLS = "", "", AuthExternal, &certificate }), "amqps://broker:5671/"},
		{whole("amqps://h/v", func(s *Settings) { s.TLS = &TLS{CAFile: "x"} }), "amqps://h:5671/v"},
		{whole("amqps://h/?certfile=c&keyfile=k", func(s *Settings) { s.Auth = AuthExternal }), "amqps://h:5671/"},
		{whole("", func(s *Settings) { s.URLFile = "f" }), "the broker of f"},

		{whole("", nil), "url: is missing"},
		{whole("amqp://h/", func(s *Settings) { s.URLFile = "f" }), "url: excludes url_file"},
		{whole("amqp://h/", func(s *Settings) { s.Host, s.Password = "h", "p" }), "url: excludes host, password;"},
		{whole("", func(s *Settings) { s.URLFile, s.VHost = "f", "v" }), "url_file: excludes vhost;"},
		{whole("", func(s *Settings) { s.URLFile, s.TLS = "f", &TLS{KeyFile: "k"} }), "tls: cert_file and key_file"},
		{whole("amqp://h/", func(s *Settings) { s.TLS = &TLS{} }), "tls: the url says amqp://"},
		{whole("amqps://h/?cacertfile=x", func(s *Settings) { s.TLS = &TLS{} }), "tls: the url has parameters for TLS too"},
		{whole("amqps://h/?certfile=x", nil), "tls: cert_file and key_file"},
		{whole("amqp://h/?auth_mechanism=magic", nil), `url: auth_mechanism "magic" is none of`},
		{whole("amqps://h/", func(s *Settings) { s.Auth = AuthExternal }), "auth: external needs tls.cert_file"},
		{whole("amqp://h/", func(s *Settings) { s.Auth = "magic" }), `auth: "magic" is neither`},
		{parts(func(s *Settings) { s.Host = "" }), "host: is missing; username, password go with it"},
		{parts(func(s *Settings) { s.Host = "broker:5672" }), `host: "broker:5672" is neither a name nor an address`},
		{parts(func(s *Settings) { s.Host = "amqp://broker" }), "host: "},
		{parts(func(s *Settings) { s.Port = 65536 }), "port: 65536 is not"},
		{parts(func(s *Settings) { s.VHost = "\xff" }), "vhost: "},
		{parts(func(s *Settings) { s.Username = "" }), "username: is missing"},
		{parts(func(s *Settings) { s.Password = "" }), "password: is missing"},
		{parts(func(s *Settings) { s.PasswordFile = "f" }), "password: excludes password_file"},
		{parts(func(s *Settings) { s.Auth, s.TLS, s.Password = AuthExternal, &certificate, "" }), "username: is of no use with auth: external"},
		{parts(func(s *Settings) { s.Auth, s.Username, s.Password, s.Port = AuthExternal, "", "", 1 }), "auth: external needs tls.cert_file"},
	} {
		err := test.s.Validate()
		if got := fmt.Sprint(err); err != nil && (!strings.HasPrefix(got, test.want) || strings.Contains(got, "geheim")) {
			t.Errorf("%s: %s", test.want, got)
		}
		if err == nil && test.s.endpoint() != test.want {
			t.Errorf("%s: %s", test.want, test.s.endpoint())
		}
	}
}

// TestFilesOfTheBroker needs none: it looks at what is said of files that will not do.
func TestFilesOfTheBroker(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Settings){
		"url_file: open nowhere":            func(s *Settings) { s.URL, s.URLFile = "", "nowhere" },
		"url_file: " + empty + " is empty":  func(s *Settings) { s.URL, s.URLFile = "", empty },
		"tls: authorities: open nowhere":    func(s *Settings) { s.TLS = &TLS{CAFile: "nowhere"} },
		"has no certificate in PEM":         func(s *Settings) { s.TLS = &TLS{CAFile: empty} },
		"tls: certificate nowhere with key": func(s *Settings) { s.TLS = &TLS{CertFile: "nowhere", KeyFile: empty} },
	} {
		s := DefaultSettings()
		s.URL = "amqps://127.0.0.1:1/"
		change(&s)
		_, err := s.dial(t.Context(), "test")
		if err == nil || !strings.HasPrefix(err.Error(), "connecting to ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	// What is wrong with a URL that comes from a file is known late, and must not show the URL.
	for _, text := range []string{"amqp://u:hunter2@h:port/", "amqps://u:hunter2@h/?auth_mechanism=magic"} {
		s := DefaultSettings()
		s.URL, s.URLFile = "", filepath.Join(t.TempDir(), "url")
		if err := os.WriteFile(s.URLFile, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.dial(t.Context(), "test"); err == nil || !strings.Contains(err.Error(), "url_file: ") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestPasswordIsNeverPrinted(t *testing.T) {
	const secret = "hunter2"
	for _, url := range []string{
		"amqp://user:" + secret + "@127.0.0.1:1/vhost", "amqp://user:" + secret + "@127.0.0.1:port/", "amqp://user:x/" + secret + "@h/",
		"amqp://user:%zz" + secret + "@h/", "http://user:" + secret + "@h", "amqp://u:" + secret + " @h/", "amqps://" + secret + ":" + secret + "@h",
	} {
		s := DefaultSettings()
		s.URL, s.Queue, s.Password = url, "q", secret
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("settings", "settings", s)
		text := fmt.Sprintf("%v %+v %#v %s %v", s, s, s, s, []Settings{s}) + log.String()
		if err := s.Validate(); err != nil {
			text += err.Error()
		}
		if _, err := s.setUp(t.Context(), "test", nil); err != nil {
			text += err.Error()
		}
		if strings.Contains(text, secret) {
			t.Errorf("the password of %s is in %s", url, text)
		}
	}
}

var eiffelMessage = transport.Message{
	Protocol: transport.Eiffel, ID: "5f3a2f4e-1b5b-4b8a-9a43-4fd7cfb1d5e1", Source: "/eiffel/test", Type: "EiffelArtifactDeployedEvent",
	Time: "2026-09-01T12:00:00.25Z", Schema: "https://example.org/schema.json",
	Extensions: map[string]string{"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
	Data:       []byte(`{"meta":{"id":"5f3a2f4e-1b5b-4b8a-9a43-4fd7cfb1d5e1","type":"EiffelArtifactDeployedEvent"}}`),
}

var cdMessage = transport.Message{
	Protocol: transport.CDEvents, ID: "271069a8-fc18-44f1-b38f-9d70a1695819", Source: "/event/source/123",
	Type: "dev.cdevents.service.deployed.0.2.0", Subject: "mySubject123", Time: "2026-09-01T12:00:00Z",
	Data: []byte(`{"context":{"id":"271069a8-fc18-44f1-b38f-9d70a1695819"}}`),
}

// deliver makes of what a sink publishes what a source gets.
func deliver(p amqp.Publishing) *amqp.Delivery {
	return &amqp.Delivery{Headers: p.Headers, ContentType: p.ContentType, MessageId: p.MessageId, Type: p.Type, Body: p.Body}
}

func TestCodecRoundTrip(t *testing.T) {
	for _, format := range []string{FormatStructured, FormatBinary} {
		for _, m := range []transport.Message{eiffelMessage, cdMessage} {
			if got := decode(deliver(encode(m, format, "app"))); !reflect.DeepEqual(got, m) {
				t.Errorf("%s, %s:\n got %+v\nwant %+v", format, m.Protocol, got, m)
			}
		}
	}
	// Plain, the relay looks into the event.
	got := decode(deliver(encode(eiffelMessage, FormatEiffel, "app")))
	if want := (transport.Message{Protocol: transport.Eiffel, Extensions: eiffelMessage.Extensions, Data: eiffelMessage.Data}); !reflect.DeepEqual(got, want) {
		t.Errorf("plain: got %+v", got)
	}
	if got := decode(deliver(encode(cdMessage, FormatEiffel, "app"))); !reflect.DeepEqual(got, cdMessage) {
		t.Errorf("a CDEvent in format eiffel: got %+v", got)
	}
}

func TestEncodeProperties(t *testing.T) {
	p := encode(eiffelMessage, FormatEiffel, "app")
	if p.MessageId != eiffelMessage.ID || p.Type != eiffelMessage.Type || p.ContentType != "application/json" || p.AppId != "app" ||
		p.DeliveryMode != amqp.Persistent || p.Timestamp.Unix() != 1788264000 {
		t.Errorf("%+v", p)
	}
	m := eiffelMessage
	m.Extensions = map[string]string{"traceparent": "00-a", "tracestate": "k=v", "other": "x"}
	if p := encode(m, FormatEiffel, ""); len(p.Headers) != 2 || p.Headers["traceparent"] != "00-a" || p.Headers["tracestate"] != "k=v" {
		t.Errorf("the trace context of a plain event: %v", p.Headers)
	}
	m = cdMessage
	m.ID, m.Time = strings.Repeat("x", 300), "yesterday"
	if p := encode(m, FormatBinary, ""); p.MessageId != "" || !p.Timestamp.IsZero() || p.Headers["ce-id"] != m.ID {
		t.Errorf("an id over 255 bytes would close the connection: %+v", p)
	}
}

func TestDecodeForeign(t *testing.T) {
	data := []byte(`{"a":1}`)
	headers := func(prefix string) amqp.Table {
		return amqp.Table{prefix + "specversion": "1.0", prefix + "id": "1", prefix + "source": "/s", prefix + "type": "dev.cdevents.x.y.0.1.0",
			prefix + "time": time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC), prefix + "tracestate": []byte("k=v"), prefix + "number": int32(7), "other": true}
	}
	want := transport.Message{Protocol: transport.CDEvents, ID: "1", Source: "/s", Type: "dev.cdevents.x.y.0.1.0", Time: "2026-09-01T12:00:00Z",
		Extensions: map[string]string{"tracestate": "k=v"}, Data: data}
	for _, prefix := range []string{"ce-", "cloudEvents:", "cloudEvents_"} {
		got := decode(&amqp.Delivery{Headers: headers(prefix), ContentType: "application/json; charset=utf-8", Body: data})
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v", prefix, got)
		}
	}
	without := headers("ce-")
	delete(without, "ce-id")
	for name, d := range map[string]*amqp.Delivery{
		"no id":          {Headers: without, ContentType: "application/json", Body: data},
		"no JSON":        {Headers: headers("ce-"), ContentType: "text/plain", Body: data},
		"bad envelope":   {ContentType: "application/cloudevents+json", Body: data},
		"bad type":       {ContentType: "appli cation", Body: data},
		"plain":          {ContentType: "application/json", Body: data},
		"no type at all": {Body: data},
	} {
		if m := decode(d); m.Protocol != "" || m.Type != "" || !bytes.Equal(m.Data, data) {
			t.Errorf("%s: %+v", name, m)
		}
	}
	if m := decode(&amqp.Delivery{Type: "EiffelActivityStartedEvent", Body: data}); m.Protocol != transport.Eiffel {
		t.Errorf("by its type property: %+v", m)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("application/cloudevents+json", "ce-", "1.0", []byte(`{"specversion":"1.0"}`))
	f.Add("application/json", "cloudEvents:", "", []byte(`{`))
	f.Fuzz(func(t *testing.T, contentType, prefix, value string, body []byte) {
		d := &amqp.Delivery{ContentType: contentType, Type: value, Body: body, Headers: amqp.Table{
			prefix + "specversion": value, prefix + "id": []byte(value), prefix + "source": value, prefix + "type": value}}
		decode(d)
	})
}

// TestTracker plays the relay and the broker: what the tracker acknowledges must have been settled, once, and by the end
// all of it must be acknowledged.
func TestTracker(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 0))
		tr := tracker{first: 1}
		type status struct{ settled, acked, back bool }
		all := []*status{nil} // tags start with 1
		open := map[uint64]bool{}
		ack := func(tag uint64) {
			if s := all[tag]; !s.settled || s.acked || s.back {
				t.Fatalf("seed %d: tag %d is acknowledged while it is %+v", seed, tag, *s)
			}
			all[tag].acked = true
		}
		take := func(crowd int) {
			prefix, single := tr.take(crowd)
			if prefix > 0 && (all[prefix].acked || all[prefix].back) {
				t.Fatalf("seed %d: prefix %d is not open at the broker", seed, prefix)
			}
			for tag := uint64(1); tag <= prefix; tag++ {
				if !all[tag].acked && !all[tag].back {
					ack(tag)
				}
			}
			for _, tag := range single {
				ack(tag)
			}
		}
		for range 500 {
			switch random.IntN(6) {
			case 0, 1:
				tag := uint64(len(all))
				all = append(all, &status{})
				if !tr.add(tag) || tr.add(tag) {
					t.Fatal("add")
				}
				tr.move(tag, handed)
				open[tag] = true
			case 2, 3:
				for tag := range open {
					switch random.IntN(4) {
					case 0:
						tr.move(tag, held)
						tr.move(tag, waiting)
						tr.move(tag, handed)
						continue
					case 1:
						tr.move(tag, done)
						all[tag].back = true
					default:
						tr.move(tag, settled)
						all[tag].settled = true
					}
					delete(open, tag)
					break
				}
			case 4:
				take(50)
			case 5:
				for tag := range open { // a held one lets those behind it pass
					tr.move(tag, held)
					take(50)
					tr.move(tag, waiting)
					tr.move(tag, handed)
					break
				}
			}
		}
		take(0)
		for tag, s := range all[1:] {
			if s.settled != s.acked {
				t.Fatalf("seed %d: tag %d of %d is %+v", seed, tag+1, len(all)-1, *s)
			}
		}
		if tr.ready != 0 || tr.handed != len(open) {
			t.Fatalf("seed %d: %d ready, %d handed, %d open", seed, tr.ready, tr.handed, len(open))
		}
	}
}

func TestConflict(t *testing.T) {
	for reason, want := range map[string]string{
		"PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': received the value 'quorum' of type 'longstr' but current is the value 'classic' of type 'longstr'": "x-queue-type is 'classic' at the broker and 'quorum' in the configuration; change queue_type, set declare_queue: false",
		"PRECONDITION_FAILED - inequivalent arg 'x-delivery-limit' for queue 'q' in vhost '/': received none but current is the value '5' of type 'signedint'":                                 "x-delivery-limit is '5' at the broker and none in the configuration; change delivery_limit",
		"PRECONDITION_FAILED - something else": "something else; set declare_queue: false",
	} {
		err := declared("queue", "q", &amqp.Error{Code: amqp.PreconditionFailed, Reason: reason})
		var conflict *ConflictError
		if !errors.As(err, &conflict) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\n got %v\nwant %s", reason, err, want)
		}
	}
	if err := declared("queue", "q", &amqp.Error{Code: amqp.AccessRefused, Reason: "no"}); errors.As(err, new(*ConflictError)) {
		t.Errorf("a refusal may be mended while we run: %v", err)
	}
}

func TestSocketGathers(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	s := &socket{Conn: near}
	s.cork()
	for _, part := range []string{"a", "b", "c"} { // a pipe would block until it is read
		if _, err := s.Write([]byte(part)); err != nil {
			t.Fatal(err)
		}
	}
	got := make(chan string)
	go func() {
		buf := make([]byte, 10)
		n, _ := far.Read(buf)
		got <- string(buf[:n])
	}()
	if err := s.uncork(); err != nil {
		t.Fatal(err)
	}
	if text := <-got; text != "abc" {
		t.Errorf("one read gave %q", text)
	}
	far.Close()
	if _, err := s.Read(make([]byte, 1)); err == nil {
		t.Error("reading from a closed pipe went well")
	}
	if _, err := s.Write([]byte("d")); err == nil {
		t.Error("a failed read leaves the socket open")
	}
}

func TestBackoff(t *testing.T) {
	var b backoff
	for range 100 {
		if pause := b.next(); pause < backoffFirst/2 || pause > backoffMax {
			t.Errorf("a pause of %v", pause)
		}
	}
}
