package daemon

import (
	"strings"
	"testing"
)

func TestDriverReadsItsSectionAsJSON(t *testing.T) {
	for _, c := range []struct{ kind, config, wrong string }{
		{"amqp091", `{"type":"amqp091","url":"amqp://u:p\u0026@h/a%22\\","exchange":"e","queue":"q","bindings":["a.#","b"],"prefetch":7}`, ""},
		{"amqp091", `{"exchange":"e"}`, "queue is missing"},
		{"amqp091", `{"queue":"q","host":"h","port":1,"vhost":"v","auth":"external","tls":{"ca_file":"a","cert_file":"c","key_file":"k","server_name":"n"}}`, ""},
		{"amqp091", `{"queue":"q","host":"h","username":"u","password_file":"p","url":"amqp://h/"}`, "url: excludes host, username, password_file"},
		{"amqp091", `{"queue":"q","url_file":"u","tls":null}`, "tls: has no value"},
		{"amqp091", `{"exchange":"e","queue":"q","preftech":7}`, "preftech: is not a known key"},
		{"amqp091", `{"exchange":"e","queue":"q","prefetch":-7}`, "prefetch: "},
		{"amqp091", `{"type":"file"}`, "type: "},
		{"cloudevents_http", `{"listen":"127.0.0.1:0","busy_timeout":"3s"}`, ""},
		{"cloudevents_http", ``, "listen is missing"},
		{"file", `{"path":"/dev/null"}`, ""},
		{"file", `[]`, "is not a mapping"},
	} {
		d, err := NewDriver(c.kind)
		if err != nil {
			t.Fatal(err)
		}
		_, err = d.read([]byte(c.config), true, false)
		switch {
		case c.wrong == "" && err != nil:
			t.Errorf("%s %s: %v", c.kind, c.config, err)
		case c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong) || strings.Contains(err.Error(), "transports.")):
			t.Errorf("%s %s gives %v, want %q", c.kind, c.config, err, c.wrong)
		}
	}
	d, _ := NewDriver("amqp091")
	made, err := d.read([]byte(`{"queue":"a\u0026\u003c\"\\ é\u00e9","bindings":["a.#","b"]}`), true, false)
	if err != nil {
		t.Fatal(err)
	}
	if s := made.(*amqpTransport).settings; s.Queue != `a&<"\ éé` || len(s.Bindings) != 2 || s.Bindings[0] != "a.#" {
		t.Errorf("read queue %q and bindings %q", s.Queue, s.Bindings)
	}
	if made, err = d.read([]byte(`{"queue":"q","host":"h","auth":"external","tls":{"cert_file":"c","key_file":"k"}}`), true, false); err != nil {
		t.Fatal(err)
	}
	if s := made.(*amqpTransport).settings; s.URL != "" || s.Host != "h" || s.TLS == nil || s.TLS.CertFile != "c" {
		t.Errorf("read %#v with %+v", s, s.TLS)
	}
	if _, err := NewDriver("kafka"); err == nil {
		t.Error("kafka is a driver")
	}
}

func TestDriverSaysWhetherItKeepsOrder(t *testing.T) {
	for kind, config := range map[string]string{
		"amqp091": `{"url":"amqp://127.0.0.1:1/"}`, "cloudevents_http": `{"target":"http://127.0.0.1:1/"}`,
		"file": `{"path":"/dev/null"}`, "stdio": "",
	} {
		d, err := NewDriver(kind)
		if err != nil {
			t.Fatal(err)
		}
		sink, err := d.Sink([]byte(config), BuildOptions{})
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if sink.Ordered() != d.Ordered() {
			t.Errorf("%s: the sink says %v, the driver %v", kind, sink.Ordered(), d.Ordered())
		}
		if err := sink.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
