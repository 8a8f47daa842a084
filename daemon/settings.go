package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/eiffelbridge/eiffelbridge/daemon/ledger"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// Settings are what a program passes to [New]. The daemon closes the sources, the sinks, the ledger and the dead
// letters, when it is shut down or if New or Start fails.
type Settings struct {
	Sources map[string]transport.Source // by the name of their transport
	Sinks   map[string]transport.Sink
	Relays  []RelaySettings
	Plugins map[string]Plugin // what runs as a process of its own, by name; closed last

	Ledger  ledger.Store
	Letters Letters // a deadletters.File, or anything of one's own; closed if it has a Close() error

	Admin AdminSettings

	// MaxParked bounds the events that wait for what they refer to, in all relays together; 0 is 10000. They are held in
	// memory beside the store. Beyond it, events wait in flight.
	MaxParked int

	Clock  Clock        // nil: SystemClock
	Logger *slog.Logger // nil: nothing is logged

	sockets *sockets // that sources listen on
	swaps   []func() // what a reload does while nothing is in flight, to go on by these settings
	// Tracer gets a span for each event; nil: there are no traces. The caller shuts it down after the daemon.
	Tracer trace.TracerProvider
}

// AdminSettings are those of the admin listener.
type AdminSettings struct {
	Listen string // host:port; empty: none
	Token  Secret // bearer token; needed on an address that is not loopback
}

// RelaySettings are those of one relay. [DefaultRelay] has the defaults.
type RelaySettings struct {
	Name string
	From string // a name in Settings.Sources; a source feeds one relay
	To   string // a name in Settings.Sinks; relays may share one

	Translate  translate.Protocol // what it translates to
	Translator translate.Translator

	Unresolved        Policy
	UnresolvedTimeout time.Duration // for Wait

	MaxInFlight int // deliveries that are taken and not settled
	Retry       Retry
}

// Policy is what a relay does about references to what is not known (mapping.md, "Unresolved references").
type Policy byte

// The policies.
const (
	Wait        Policy = iota // park the event until it is known or the timeout has passed, then Placeholder
	Placeholder               // take the placeholder at once
	Fail                      // put the event into the dead letters
)

// Retry says how failed publishing and commits are repeated: after Initial, then Multiplier times longer each, up to
// Max, each a quarter more or less by chance. What the far side asks for (Retry-After) is heeded if it is longer.
type Retry struct {
	Initial    time.Duration
	Max        time.Duration
	Multiplier float64

	// GiveUpAfter is how long a delivery is kept in flight before it is handed back to its source to be made again; 0 keeps
	// it. A source whose sender waits for an answer needs it.
	GiveUpAfter time.Duration
}

// DefaultRetry keeps deliveries in flight for as long as it takes.
func DefaultRetry() Retry {
	return Retry{Initial: 100 * time.Millisecond, Max: 30 * time.Second, Multiplier: 2}
}

// HTTPGiveUpAfter is the default limit for an HTTP source: shorter than the 30 seconds after which many clients stop waiting, so that
// they hear 503 rather than nothing.
const HTTPGiveUpAfter = 25 * time.Second

// DefaultUnresolvedTimeout is how long an event waits for what it refers to.
const DefaultUnresolvedTimeout = 30 * time.Second

// DefaultMaxInFlight is how many deliveries of a relay are in flight at most: as many as the confirm window of a broker.
const DefaultMaxInFlight = 256

const defaultMaxParked = 10000

// DefaultRelay has a relay's defaults; the name, the transports and the translator are to be set.
func DefaultRelay() RelaySettings {
	return RelaySettings{
		Unresolved: Wait, UnresolvedTimeout: DefaultUnresolvedTimeout, MaxInFlight: DefaultMaxInFlight, Retry: DefaultRetry(),
	}
}

// complete fills in what may be left out.
func (s *Settings) complete() {
	if s.Clock == nil {
		s.Clock = SystemClock()
	}
	if s.Logger == nil {
		s.Logger = slog.New(slog.DiscardHandler)
	}
	if s.MaxParked == 0 {
		s.MaxParked = defaultMaxParked
	}
}

// validate names every setting that cannot work.
func (s *Settings) validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if s.Ledger == nil {
		bad("ledger: is missing")
	}
	if s.Letters == nil {
		bad("dead letters: are missing")
	}
	if len(s.Relays) == 0 {
		bad("relays: there are none")
	}
	names, sources := map[string]bool{}, map[string]string{}
	for i, r := range s.Relays {
		if r.Name == "" {
			bad("relays[%d].name: is missing", i)
		}
		if names[r.Name] {
			bad("relay %s: there are two of this name", r.Name)
		}
		names[r.Name] = true
		if s.Sources[r.From] == nil {
			bad("relay %s: from: there is no source %q", r.Name, r.From)
		}
		if other, ok := sources[r.From]; ok {
			bad("relay %s: from: %s feeds relay %s already", r.Name, r.From, other)
		}
		sources[r.From] = r.Name
		if s.Sinks[r.To] == nil {
			bad("relay %s: to: there is no sink %q", r.Name, r.To)
		}
		if r.Translate != translate.CDEvents && r.Translate != translate.Eiffel {
			bad("relay %s: translate: is missing", r.Name)
		}
		if r.Translator == nil {
			bad("relay %s: the translator is missing", r.Name)
		}
		if r.MaxInFlight < 1 {
			bad("relay %s: max_in_flight: %d is less than 1", r.Name, r.MaxInFlight)
		}
		if r.Retry.Initial <= 0 || r.Retry.Max < r.Retry.Initial || r.Retry.Multiplier < 1 {
			bad("relay %s: retry: the pauses do not grow from more than 0", r.Name)
		}
		if r.Unresolved == Wait && r.UnresolvedTimeout <= 0 {
			bad("relay %s: unresolved.timeout: %v is not more than 0s", r.Name, r.UnresolvedTimeout)
		}
	}
	if err := s.Admin.validate(); err != nil {
		bad("admin: %w", err)
	}
	return errors.Join(errs...)
}
