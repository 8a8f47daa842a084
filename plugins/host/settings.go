package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// MaxMessage is the size of the largest gRPC message, either way.
const MaxMessage = 64 << 20

// Handshake is how a plugin and its host find out that they are meant for each other, before the first call.
type Handshake struct {
	Cookie, Value string // the environment variable that says who starts the plugin, and its value
	Versions      []int  // of the protocol that are spoken here

	// Foreign says that the plugin does not serve PluginService: nothing is called when it starts, and it has no lease.
	// What it logs that is less than a warning is logged at level debug, since it does not know that payloads belong there.
	Foreign bool
}

// CookieName and CookieValue stand in the environment of each plugin of ours.
const (
	CookieName  = "EIFFELBRIDGE_PLUGIN"
	CookieValue = "a-plugin-of-eiffelbridge"
)

// OwnHandshake is that of the protocol in package pluginv1.
func OwnHandshake() Handshake {
	return Handshake{Cookie: CookieName, Value: CookieValue, Versions: []int{1}}
}

// Settings are those of one plugin process.
type Settings struct {
	Name string   // under which the user has configured it; it stands in every log line and error
	Path string   // of the binary; a name without a slash is looked up in PATH
	Args []string // after the binary's name

	SHA256 string            // of the binary, in hexadecimal; needed unless Dev
	Files  map[string]string // more files that are pinned, such as the program of an interpreter: path to SHA-256
	Dev    bool              // nothing is pinned: for whoever is writing the plugin

	Env    map[string]string // the whole environment of the plugin, besides what the handshake needs
	Dir    string            // its working directory; empty: the host's
	Config json.RawMessage   // handed to the plugin; empty: none

	AsSource, AsSink bool // a transport plugin: what it is used as

	// MaxMemory bounds the resident memory in bytes: a plugin that takes more is killed and started anew. It is looked at
	// twice a second, and on Linux only. Negative: no bound.
	MaxMemory int64

	Handshake   Handshake // empty: [OwnHandshake]
	HostVersion string    // of the program, for the plugin's messages

	StartTimeout time.Duration // until the plugin has been configured
	StopTimeout  time.Duration // from the end of its lease until it is killed

	// A plugin that dies is started anew: at once if it had done any work, else after a pause that doubles from
	// MinBackoff to MaxBackoff. After MaxFailures starts in a row that did no work, and at once when no
	// start can succeed (a checksum, a version), the breaker opens: callers get the reason without waiting, and one
	// start is tried each time that BreakerPause has gone by.
	MinBackoff, MaxBackoff time.Duration
	MaxFailures            int
	BreakerPause           time.Duration

	Logger *slog.Logger // of the host; what the plugin logs goes there too. Nil: nowhere.
}

// DefaultSettings are those of a plugin of ours, without name, path and checksum.
func DefaultSettings() Settings {
	return Settings{
		Handshake:    OwnHandshake(),
		MaxMemory:    1 << 30,
		StartTimeout: 10 * time.Second,
		StopTimeout:  5 * time.Second,
		MinBackoff:   50 * time.Millisecond,
		MaxBackoff:   5 * time.Second,
		MaxFailures:  8,
		BreakerPause: 15 * time.Second,
		Logger:       slog.New(slog.DiscardHandler),
	}
}

// Validate says what is wrong, by the key that a user writes.
func (s Settings) Validate() error {
	switch {
	case s.Name == "":
		return errors.New("a plugin needs a name")
	case s.Path == "":
		return fmt.Errorf("plugin %s: path is missing", s.Name)
	case s.SHA256 == "" && !s.Dev:
		return fmt.Errorf("plugin %s: sha256 is missing: `eiffelbridge plugins checksum %s` prints it; dev: true does without while you write the plugin", s.Name, s.Path)
	case s.SHA256 != "" && s.Dev:
		return fmt.Errorf("plugin %s: sha256 and dev: true exclude each other", s.Name)
	case len(s.Config) > 0 && !json.Valid(s.Config):
		return fmt.Errorf("plugin %s: config is no JSON", s.Name)
	}
	if err := checkSum(s.SHA256); err != nil {
		return fmt.Errorf("plugin %s: sha256: %w", s.Name, err)
	}
	for file, sum := range s.Files {
		if sum == "" {
			return fmt.Errorf("plugin %s: files: %s has no checksum", s.Name, file)
		}
		if err := checkSum(sum); err != nil {
			return fmt.Errorf("plugin %s: files: %s: %w", s.Name, file, err)
		}
	}
	return nil
}

func (s *Settings) complete() error {
	d := DefaultSettings()
	if s.Handshake.Cookie == "" {
		s.Handshake = d.Handshake
	}
	if s.Logger == nil {
		s.Logger = d.Logger
	}
	if s.MaxMemory == 0 {
		s.MaxMemory = d.MaxMemory
	}
	for _, v := range []struct{ value, standard *time.Duration }{
		{&s.StartTimeout, &d.StartTimeout}, {&s.StopTimeout, &d.StopTimeout}, {&s.MinBackoff, &d.MinBackoff},
		{&s.MaxBackoff, &d.MaxBackoff}, {&s.BreakerPause, &d.BreakerPause},
	} {
		if *v.value <= 0 {
			*v.value = *v.standard
		}
	}
	if s.MaxFailures <= 0 {
		s.MaxFailures = d.MaxFailures
	}
	return s.Validate()
}
