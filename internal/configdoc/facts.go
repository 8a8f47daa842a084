package main

import (
	"time"

	"github.com/eiffelbridge/eiffelbridge/daemon"
	"github.com/eiffelbridge/eiffelbridge/daemon/transports/amqp091"
	cdeventswebhook "github.com/eiffelbridge/eiffelbridge/daemon/transports/cdevents_webhook"
	cloudeventshttp "github.com/eiffelbridge/eiffelbridge/daemon/transports/cloudevents_http"
	"github.com/eiffelbridge/eiffelbridge/daemon/transports/file"
	"github.com/eiffelbridge/eiffelbridge/daemon/transports/stdio"
	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// section is one heading of the document, and the structs whose keys stand under it.
type section struct {
	title   string
	prefix  string // of the keys, as a user writes them
	intro   string
	structs []source
}

// source is a struct of the code with its defaults.
type source struct {
	folder   string // of its package, from the root of the module
	defaults any
	role     string // of the keys of a transport: source, sink, or empty for both
}

// translatorPrefix is that of the keys of a translator, in place of two names.
const translatorPrefix = "transports.NAME.translators."

// httpPrefix is that of the keys that the transports over HTTP share, in place of a name.
const httpPrefix = "http."

// overHTTP tells whether a section is that of a transport that has them.
func (s section) overHTTP() bool {
	return s.title == "Transport cloudevents_http" || s.title == "Transport cdevents_webhook"
}

// withDefaults gives what stands behind a key that is written.
func withDefaults[T any, P interface {
	*T
	SetDefaults()
}](p P) T {
	p.SetDefaults()
	return *p
}

const driverFolder = "daemon/transports/"

// sections are those of the document, in their order.
func sections() []section {
	config := daemon.ReadConfig([]byte("version: 1"), nil)
	config.MaxParked = maxParked
	relay := relayDefaults()
	return []section{
		{"Top level", "", "", []source{{"daemon", *config, ""}}},
		{"Ledger", "ledger.", "Where facts and parked events are kept. See [operations.md](operations.md) for sizes and backups.",
			[]source{{"daemon", config.Ledger, ""}}},
		{"Admin listener", "admin.", "Health, metrics, the services and the dead letters over HTTP.",
			[]source{{"daemon", config.Admin, ""}}},
		{"Dead letters", "dead_letters.", "Where events go that cannot be translated or delivered. With type amqp091, `transport` and `exchange` " +
			"must be written. See [operations.md](operations.md#dead-letters) for what a letter is and for the form of its message.",
			[]source{{"daemon", config.DeadLetters, ""}}},
		{"Relays", "relays[].", "A relay is one way from a source through the translation to a sink. `relays` is a list.",
			[]source{{"daemon", relay, ""}}},
		{"References that are not known", "relays[].unresolved.", "What a relay does about an event that refers to what the ledger does not know.",
			[]source{{"daemon", relay.Unresolved, ""}}},
		{"Retries", "relays[].retry.", "How a relay repeats what failed. What the far side asks for (Retry-After) is heeded if it is longer.",
			[]source{{"daemon", relay.Retry, ""}}},
		{"Plugins of a relay", "relays[].plugins[].", "Which plugins join in, each over all before it; `plugins` is a list. While one is restarted, events " +
			"wait for it; once it is given up, the events that it would be asked about go to the dead letters, with the code `plugin_unavailable`.",
			[]source{{"daemon", daemon.RelayPluginConfig{}, ""}}},
		{"Plugins", "plugins.", "Programs that translate, or edit translations. `plugins` is a mapping of names of your own to plugins.",
			[]source{{"daemon", daemon.PluginConfig{MaxMemory: 1024, Timeout: 5 * time.Second}, ""}}},
		{"Transport cloudevents_http", "transports.NAME.", "CloudEvents over HTTP. As a source it listens for binary, structured and " +
			"batched mode, and needs `listen`; as a sink it posts, and needs `target`. One transport may be both. " +
			"The defaults of `listen` are not used: the key must be written.",
			[]source{
				{driverFolder + "cloudevents_http", cloudeventshttp.DefaultSourceSettings(), "source"},
				{driverFolder + "cloudevents_http", cloudeventshttp.DefaultSinkSettings(""), "sink"},
			}},
		{"TLS over HTTP", httpPrefix + "tls.", "`tls` of `cloudevents_http` and `cdevents_webhook`. Without it, a source listens without TLS, and a sink trusts the " +
			"authorities of the system. In a transport that is source and sink it counts for both.",
			[]source{
				{driverFolder + "cloudevents_http", cloudeventshttp.ServerTLS{}, "source"},
				{driverFolder + "cloudevents_http", cloudeventshttp.ClientTLS{}, "sink"},
			}},
		{"Tokens", httpPrefix + "bearer.", "`bearer` of `cloudevents_http` and `cdevents_webhook`: the token that requests must have (RFC 6750), or are answered with 401. Without it " +
			"none is needed. What a sink sends stands in `headers` or `header_files`, or comes by `oauth2`.",
			[]source{{driverFolder + "cloudevents_http", withDefaults(&cloudeventshttp.Bearer{}), "source"}}},
		{"Signatures", httpPrefix + "hmac.", "`hmac` of `cloudevents_http` and `cdevents_webhook`: HMAC with SHA-256 over the body of a request, in hexadecimal digits. A sink " +
			"signs, a source answers with 401 what is not signed. The headers are not signed, and so neither are the attributes of a CloudEvent in binary mode. " +
			"In a transport that is source and sink it counts for both.",
			[]source{{driverFolder + "cloudevents_http", withDefaults(&cloudeventshttp.HMAC{}), ""}}},
		{"OAuth2", httpPrefix + "oauth2.", "`oauth2` of `cloudevents_http`: where a sink gets its token from, by the grant of client credentials (RFC 6749, section 4.4). It is fetched " +
			"anew before it expires, and after an answer with 401.",
			[]source{{driverFolder + "cloudevents_http", cloudeventshttp.OAuth2{}, "sink"}}},
		{"Transport cdevents_webhook", "transports.NAME.", "Webhooks of GitHub, Gerrit and others, by way of the translators of the CDEvents webhook adapter, which run " +
			"unmodified. It is a source only, and needs `listen`, whose default is not used. See [webhooks.md](webhooks.md).",
			[]source{{driverFolder + "cdevents_webhook", cdeventswebhook.DefaultSettings(), ""}}},
		{"Translators of webhooks", translatorPrefix, "`translators` is a mapping of names, which stand in the paths of requests, to programs.",
			[]source{{driverFolder + "cdevents_webhook", cdeventswebhook.Translator{}, ""}}},
		{"Transport amqp091", "transports.NAME.", "RabbitMQ, over AMQP 0-9-1. As a source it consumes from a queue, and needs `queue`; as a sink it " +
			"publishes to an exchange with publisher confirms. One transport may be both.",
			[]source{{driverFolder + "amqp091", amqp091.DefaultSettings(), ""}}},
		{"TLS to RabbitMQ", "amqp091.tls.", "`tls` of a transport of type amqp091; `tls: {}` trusts the authorities of the system and shows no certificate. " +
			"See [operations.md](operations.md#tls-and-logins-of-the-broker).",
			[]source{{driverFolder + "amqp091", amqp091.TLS{}, ""}}},
		{"Transport stdio", "transports.NAME.", "Lines of JSON: standard input as a source, standard output as a sink. What a pipe has given " +
			"cannot be had again: use a broker where events matter.",
			[]source{{driverFolder + "stdio", stdio.DefaultSourceSettings(), "source"}}},
		{"Transport file", "transports.NAME.", "Lines of JSON in a file. A source keeps no position: every start reads from the beginning. " +
			"A sink syncs each line to the disk, and must be the only writer of the file. One transport is a source or a sink, not both.",
			[]source{
				{driverFolder + "file", file.DefaultSourceSettings(""), "source"},
				{driverFolder + "file", file.DefaultSinkSettings(""), "sink"},
			}},
		{"Transport plugin", "transports.NAME.", "A transport in a process of its own: a plugin under `plugins`, of your own or a built-in transport " +
			"(`eiffelbridge plugins serve`). Each such transport has its own process of the plugin. One transport may be both, if the plugin can.",
			[]source{{"daemon", daemon.PluginTransportConfig{}, ""}}},
	}
}

// maxParked is the default that the daemon has for 0; the test compares it.
const maxParked = 10000

// relayDefaults are the defaults of a relay in the form of its configuration.
func relayDefaults() daemon.RelayConfig {
	relay, text := daemon.DefaultRelay(), translate.DefaultSettings()
	return daemon.RelayConfig{
		Edition: text.Edition, Spec: text.Spec, Carry: "original", Synthesize: "missing", Returning: "drop", OnNoMapping: "announce",
		MaxInFlight: relay.MaxInFlight,
		Unresolved:  daemon.UnresolvedConfig{Policy: "wait", Timeout: relay.UnresolvedTimeout},
		Retry: daemon.RetryConfig{Initial: relay.Retry.Initial, Max: relay.Retry.Max, Multiplier: relay.Retry.Multiplier,
			GiveUpAfter: &relay.Retry.GiveUpAfter},
	}
}

// rule is what the code says about the values of a key in the form of checks only. good and bad are for the test: values that
// [daemon.Check] takes and refuses.
type rule struct {
	values    []string // all that are allowed
	text      string   // or what is, in words
	good, bad []string
	without   string // a default in words, in place of the constructor's
	need      bool   // must be written
	role      string // of a transport's key: source or sink
}

func oneOf(values ...string) rule {
	return rule{values: values, good: values, bad: []string{"nonsense"}}
}

func atLeast(least, below string) rule {
	return rule{text: "at least " + least, good: []string{least}, bad: []string{below}}
}

func between(low, high string, bad ...string) rule {
	return rule{text: low + " to " + high, good: []string{low, high}, bad: bad}
}

func positive() rule {
	return rule{text: "more than 0s", good: []string{"1ms"}, bad: []string{"0s", "-1s"}}
}

func (r rule) of(role string) rule { r.role = role; return r }

// must says that the key must be written.
func (r rule) must() rule { r.need = true; return r }

func (r rule) or(text string) rule { r.without = text; return r }

// rules are those by the keys of the document, with the type of the transport in place of its name.
func rules() map[string]rule {
	source, sink := rule{role: "source"}, rule{role: "sink"}
	return map[string]rule{
		"version": oneOf("1").must(), "max_parked": atLeast("0", "-1"),
		"ledger.type":      oneOf("memory", "file"),
		"ledger.path":      {bad: []string{`""`}},
		"ledger.retention": rule{good: []string{"1h", "-1s"}, bad: []string{"30"}}.or(days(30)),
		"admin.listen":     {text: "host:port, or off", good: []string{"off", "localhost:1"}, bad: []string{"nonsense", "0.0.0.0:9090"}},

		"dead_letters.type": {values: []string{"file", "amqp091"}, good: []string{"file"}, bad: []string{"nonsense"}},
		"dead_letters.path": {bad: []string{`""`}}, "dead_letters.transport": {text: "a name of `transports`, for type amqp091", bad: []string{"bus"}},
		"dead_letters.exchange": {text: "for type amqp091", bad: []string{"letters"}}, "dead_letters.queue": {text: "for type amqp091", bad: []string{"letters"}},

		"relays[].name": rule{bad: []string{`""`}}.must(),
		"relays[].from": rule{text: "a name of `transports`", bad: []string{`""`, "nobody"}}.must(),
		"relays[].to":   rule{text: "a name of `transports`", bad: []string{`""`, "nobody"}}.must(),

		"relays[].translate": oneOf("eiffel", "cdevents").must(),
		"relays[].edition":   oneOf(schema.OutputEditions()...), "relays[].spec": oneOf(schema.OutputSpecs()...),
		"relays[].carry": oneOf("original", "none"), "relays[].synthesize": oneOf("missing", "always", "never"),
		"relays[].returning": oneOf("drop", "restore", "translate"), "relays[].on_no_mapping": oneOf("announce", "dead_letter", "drop"),
		"relays[].max_in_flight": atLeast("1", "0"),

		"relays[].unresolved.policy": oneOf("wait", "placeholder", "fail"), "relays[].unresolved.timeout": positive(),

		"relays[].retry.initial":    positive(),
		"relays[].retry.max":        {text: "at least `initial`", good: []string{"100ms"}, bad: []string{"99ms"}},
		"relays[].retry.multiplier": atLeast("1", "0.9"),
		"relays[].retry.give_up_after": atLeast("0s", "-1s").or("`" + duration(daemon.HTTPGiveUpAfter) +
			"` from a source over HTTP, else `0s`"),

		"cloudevents_http.listen":          rule{text: "host:port", good: []string{"127.0.0.1:0"}, bad: []string{"8080"}}.or("none"),
		"cloudevents_http.max_body":        between("1", "1073741824", "0", "1073741825"),
		"cloudevents_http.max_batch":       atLeast("1", "0"),
		"cloudevents_http.max_in_flight":   atLeast("1", "0"),
		"cloudevents_http.max_header":      between("1024", "1048576", "1023", "1048577"),
		"cloudevents_http.max_connections": atLeast("1", "0"),
		"cloudevents_http.busy_timeout":    positive(),
		"cloudevents_http.retry_after":     positive(),
		"cloudevents_http.header_timeout":  positive(), "cloudevents_http.read_timeout": positive(),
		"cloudevents_http.write_timeout": positive(), "cloudevents_http.idle_timeout": positive(),
		"cloudevents_http.target": {text: "http:// or https://", good: []string{"https://sink.example.com/a"}, bad: []string{"ftp://a/", `""`}},
		"cloudevents_http.mode":   oneOf("binary", "structured"), "cloudevents_http.request_timeout": positive(),
		"cloudevents_http.headers":      {bad: []string{`{ce-id: "1"}`, `{Content-Type: text/plain}`}},
		"cloudevents_http.header_files": {good: []string{`{X-Tenant: /run/secrets/tenant}`}, bad: []string{`{ce-id: a}`, `{A: ""}`}},

		httpPrefix + "tls.cert_file": {text: "must be written for a source"}, httpPrefix + "tls.key_file": {text: "must be written for a source"},
		httpPrefix + "bearer.token":  {good: []string{"a", "[a, b]"}, bad: []string{`""`, `" a"`, `[a, ""]`}},
		httpPrefix + "bearer.header": {bad: []string{`"a b"`}},
		httpPrefix + "hmac.secret":   {good: []string{"a", "[a, b]"}, bad: []string{`""`, `" a"`, `[a, ""]`}},
		httpPrefix + "hmac.header":   {bad: []string{`"a b"`, "ce-id", "Authorization"}},
		httpPrefix + "hmac.prefix":   {good: []string{`""`}, bad: []string{`" a"`}},

		httpPrefix + "oauth2.token_url":     rule{text: "http:// or https://", bad: []string{"ftp://a/", "https://user@a/"}}.must(),
		httpPrefix + "oauth2.client_id":     rule{bad: []string{`""`}}.must(),
		httpPrefix + "oauth2.client_secret": {text: "either it or `client_secret_file`", bad: []string{`""`, `" a"`}},

		"cdevents_webhook.listen":            rule{text: "host:port", good: []string{"127.0.0.1:0"}, bad: []string{"8080"}}.or("none"),
		"cdevents_webhook.max_body":          between("1", "66060288", "0", "66060289"),
		"cdevents_webhook.max_in_flight":     atLeast("1", "0"),
		"cdevents_webhook.max_header":        between("1024", "1048576", "1023", "1048577"),
		"cdevents_webhook.max_connections":   atLeast("1", "0"),
		"cdevents_webhook.translate_timeout": positive(), "cdevents_webhook.repeats": atLeast("0s", "-1s"),
		"cdevents_webhook.busy_timeout": positive(), "cdevents_webhook.retry_after": positive(),
		"cdevents_webhook.header_timeout": positive(), "cdevents_webhook.read_timeout": positive(),
		"cdevents_webhook.write_timeout": positive(), "cdevents_webhook.idle_timeout": positive(),
		translatorPrefix + "path":   rule{}.must(),
		translatorPrefix + "sha256": {text: "64 hexadecimal digits"},

		"amqp091.url":                    {text: "amqp:// or amqps://", good: []string{"amqps://broker/"}, bad: []string{"http://broker/"}},
		"amqp091.url_file":               {good: []string{"broker-url"}},
		"amqp091.host":                   {bad: []string{"broker:5672"}},
		"amqp091.port":                   {text: "0 to 65535", bad: []string{"-1", "65536"}},
		"amqp091.vhost":                  rule{}.or("`/`"),
		"amqp091.username":               {},
		"amqp091.password":               {},
		"amqp091.password_file":          {},
		"amqp091.auth":                   {values: []string{amqp091.AuthPlain, amqp091.AuthExternal}, good: []string{amqp091.AuthPlain}, bad: []string{"nonsense", amqp091.AuthExternal}},
		"amqp091.tls":                    {},
		"amqp091.connection_name":        {},
		"amqp091.heartbeat":              between("1s", "1h", "900ms", "61m"),
		"amqp091.exchange":               {},
		"amqp091.declare_exchange":       {},
		"amqp091.queue":                  source,
		"amqp091.declare_queue":          source,
		"amqp091.bindings":               source,
		"amqp091.queue_type":             oneOf(amqp091.QueueQuorum, amqp091.QueueClassic).of("source"),
		"amqp091.delivery_limit":         atLeast("-1", "-2").of("source"),
		"amqp091.prefetch":               between("1", "65535", "0", "65536").of("source"),
		"amqp091.confirm_window":         between("1", "65535", "0", "65536").of("sink"),
		"amqp091.format":                 oneOf(amqp091.FormatEiffel, amqp091.FormatStructured, amqp091.FormatBinary).of("sink"),
		"amqp091.publish_timeout":        atLeast("100ms", "99ms").of("sink"),
		"amqp091.routing_key":            sink,
		"amqp091.mandatory":              sink,
		"amqp091.app_id":                 sink,
		"amqp091.single_active_consumer": source,
		"amqp091.dead_letter_exchange":   source,

		"stdio.max_in_flight": atLeast("1", "0"),
		"file.max_in_flight":  atLeast("1", "0"),
		"file.path":           rule{}.must(),
	}
}

func days(n int) string {
	return "`" + duration(time.Duration(n)*24*time.Hour) + "` (" + count(n) + " days)"
}
