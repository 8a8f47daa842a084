// Package stdio carries events as lines of JSON over a process's standard streams, or any other reader and writer: for pipes and
// the first minute. What a pipe has given cannot be had again, and what it has taken may still be lost with its reader: use a broker where
// events matter.
package stdio

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/eiffelbridge/eiffelbridge/daemon/transports/internal/jsonlines"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

var (
	_ transport.Source = (*Source)(nil)
	_ transport.Sink   = (*Sink)(nil)
)

// SourceSettings are the settings of a [Source]. [DefaultSourceSettings] gives them with their defaults.
type SourceSettings struct {
	// MaxInFlight is the number of lines that may be read and not yet settled.
	MaxInFlight int `yaml:"max_in_flight"`
}

// DefaultSourceSettings suits most.
func DefaultSourceSettings() SourceSettings { return SourceSettings{MaxInFlight: 256} }

// Validate names every key whose value cannot work.
func (s SourceSettings) Validate() error {
	if s.MaxInFlight < 1 {
		return fmt.Errorf("max_in_flight: %d is less than 1", s.MaxInFlight)
	}
	return nil
}

// Source delivers one event per line, in the order of the lines; see [jsonlines.Source] for what a line may be. Receive returns at
// the reader's end once everything is settled.
type Source struct{ *jsonlines.Source }

// NewSource reads from r, which it does not close. If r cannot be interrupted (it has no SetReadDeadline that works, as files have not),
// a Read under way outlives Receive until r gives something.
func NewSource(r io.Reader, settings SourceSettings, log *slog.Logger) (*Source, error) {
	if err := settings.Validate(); err != nil {
		return nil, err
	}
	return &Source{jsonlines.NewSource("standard input", r, nil, settings.MaxInFlight, log)}, nil
}

// Sink writes one line of compact JSON per message, in the order of the Publish calls. A message is done when the writer has taken
// it; see [jsonlines.Sink] for the errors.
type Sink struct{ *jsonlines.Sink }

// NewSink writes to w, which it does not close. w is used by one goroutine, until Close has returned.
func NewSink(w io.Writer, log *slog.Logger) *Sink {
	return &Sink{jsonlines.NewSink("standard output", &stream{w: w}, log)}
}

// stream stores lines in a writer that cannot take anything back.
type stream struct {
	w    io.Writer
	torn bool // the last byte that was taken is not the end of a line
}

func (s *stream) Append(lines []byte) (int, error) {
	if s.torn {
		if _, err := s.w.Write([]byte("\n")); err != nil {
			return 0, err
		}
		s.torn = false
	}
	n, err := s.w.Write(lines)
	if err == nil && n < len(lines) {
		err = io.ErrShortWrite
	}
	if n > 0 {
		s.torn = lines[n-1] != '\n'
	}
	return n, err
}

func (s *stream) Close() error { return nil }
