// Package file carries events as lines of JSON in files: for tests, for replaying what was recorded, and for dead letters that people
// read.
package file

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/eiffelbridge/eiffelbridge/daemon/transports/internal/jsonlines"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

var (
	_ transport.Source = (*Source)(nil)
	_ transport.Sink   = (*Sink)(nil)
)

// SourceSettings are the settings of a [Source]. [DefaultSourceSettings] gives them with their defaults; Path has none.
type SourceSettings struct {
	// Path is the file to read from its beginning.
	Path string `yaml:"path"`
	// Follow waits at the end of the file for more lines, instead of ending there. A file that is replaced or cut is not
	// noticed.
	Follow bool `yaml:"follow"`
	// MaxInFlight is the number of lines that may be read and not yet settled.
	MaxInFlight int `yaml:"max_in_flight"`
}

// DefaultSourceSettings reads the file once.
func DefaultSourceSettings(path string) SourceSettings {
	return SourceSettings{Path: path, MaxInFlight: 256}
}

// Validate names every key whose value cannot work.
func (s SourceSettings) Validate() error {
	var errs []error
	if s.Path == "" {
		errs = append(errs, errors.New("path: is missing"))
	}
	if s.MaxInFlight < 1 {
		errs = append(errs, fmt.Errorf("max_in_flight: %d is less than 1", s.MaxInFlight))
	}
	return errors.Join(errs...)
}

// Source delivers one event per line, in the order of the lines; see [jsonlines.Source] for what a line may be. It keeps no position:
// every start reads from the beginning, and relies on the relay's idempotence.
type Source struct{ *jsonlines.Source }

// Open opens the file, so that a wrong path is known early. The source must be closed even if it never receives.
func Open(settings SourceSettings, log *slog.Logger) (*Source, error) {
	if err := settings.Validate(); err != nil {
		return nil, err
	}
	f, err := os.Open(settings.Path)
	if err != nil {
		return nil, fmt.Errorf("path: %w", err)
	}
	if info, err := f.Stat(); err == nil && info.IsDir() {
		f.Close()
		return nil, fmt.Errorf("path: %s is a directory", settings.Path)
	}
	if !settings.Follow {
		return &Source{jsonlines.NewSource(settings.Path, f, f, settings.MaxInFlight, log)}, nil
	}
	t := &tail{f: f, closed: make(chan struct{})}
	return &Source{jsonlines.NewSource(settings.Path, t, t, settings.MaxInFlight, log)}, nil
}

// tail is a file without an end, until it is closed.
type tail struct {
	f      *os.File
	closed chan struct{}
	once   sync.Once
}

// followPause is how long a new line waits at most to be noticed. No notification by the system is as portable as a look.
const followPause = 200 * time.Millisecond

func (t *tail) Read(p []byte) (int, error) {
	for {
		n, err := t.f.Read(p)
		if n > 0 || err != io.EOF {
			return n, err
		}
		select {
		case <-t.closed:
			return 0, io.EOF
		case <-time.After(followPause):
		}
	}
}

func (t *tail) Close() error {
	t.once.Do(func() { close(t.closed) })
	return t.f.Close()
}

// SinkSettings are the settings of a [Sink]. [DefaultSinkSettings] gives them with their defaults; Path has none.
type SinkSettings struct {
	// Path is the file to append to. It is created, readable by its owner and group, if there is none; its folder must exist.
	Path string `yaml:"path"`
}

// DefaultSinkSettings appends to a file.
func DefaultSinkSettings(path string) SinkSettings { return SinkSettings{Path: path} }

// Validate names every key whose value cannot work.
func (s SinkSettings) Validate() error {
	if s.Path == "" {
		return errors.New("path: is missing")
	}
	return nil
}

// Sink appends one line of compact JSON per message, in the order of the Publish calls. A message is done when it is synced to the
// disk; messages that are published side by side share a sync. Whatever fails, a full disk above all, the file holds whole lines only, so
// far as the disk lets it be cut back, and no line is ever glued to the rest of another. It must be the file's only writer.
type Sink struct{ *jsonlines.Sink }

// Create opens or creates the file, so that a wrong path is known early.
func Create(settings SinkSettings, log *slog.Logger) (*Sink, error) {
	if err := settings.Validate(); err != nil {
		return nil, err
	}
	_, err := os.Stat(settings.Path)
	isNew := errors.Is(err, fs.ErrNotExist)
	// Not only for writing: the last byte tells whether the last line is whole. Devices and pipes may refuse that.
	f, err := os.OpenFile(settings.Path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return nil, fmt.Errorf("path: %w", err)
	}
	store, err := newStore(f)
	if err == nil && isNew {
		err = syncFolder(settings.Path)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("path: %w", err)
	}
	return &Sink{jsonlines.NewSink(settings.Path, store, log)}, nil
}

// syncFolder makes a new file's name durable.
func syncFolder(path string) error {
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer folder.Close()
	if err := folder.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}

// disk is what the store needs of an *os.File.
type disk interface {
	io.ReaderAt
	io.WriteCloser
	Stat() (fs.FileInfo, error)
	Truncate(size int64) error
	Sync() error
}

type store struct {
	f       disk
	regular bool // can be synced and cut back
	torn    bool // the last byte is not the end of a line
}

func newStore(f disk) (*store, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%s is a directory", info.Name())
	}
	s := &store{f: f, regular: info.Mode().IsRegular()}
	if s.regular && info.Size() > 0 {
		// A process that died within a write leaves half a line.
		var last [1]byte
		if _, err := f.ReadAt(last[:], info.Size()-1); err != nil {
			return nil, err
		}
		s.torn = last[0] != '\n'
	}
	return s, nil
}

func (s *store) Append(lines []byte) (int, error) {
	// Asked anew each time: somebody may have cut the file to rotate it, and cutting it back to an older, larger size would fill it
	// with zeros.
	var size int64
	if s.regular {
		info, err := s.f.Stat()
		if err != nil {
			return 0, err
		}
		size = info.Size()
		if size == 0 {
			s.torn = false
		}
	}
	if s.torn {
		if _, err := s.f.Write([]byte("\n")); err != nil {
			return 0, err
		}
		s.torn = false
		size++
	}
	n, err := s.f.Write(lines)
	if !s.regular {
		if n > 0 {
			s.torn = lines[n-1] != '\n'
		}
		return n, err
	}
	if err == nil {
		// After a failed sync nobody knows what is on the disk: cut it off and have it written anew.
		if err = s.f.Sync(); err == nil {
			return n, nil
		}
	}
	if n > 0 {
		if cutErr := s.f.Truncate(size); cutErr != nil {
			s.torn = lines[n-1] != '\n'
			err = errors.Join(err, cutErr)
		}
	}
	return 0, err
}

func (s *store) Close() error { return s.f.Close() }
