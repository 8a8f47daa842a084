package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	transportconformance "github.com/eiffelbridge/eiffelbridge/conformance/transport"
	"github.com/eiffelbridge/eiffelbridge/conformance/transport/transporttest"
	"github.com/eiffelbridge/eiffelbridge/daemon/transports/internal/jsonlines"
	"github.com/eiffelbridge/eiffelbridge/internal/cloudeventsjson"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

var quiet = slog.New(slog.DiscardHandler)

type sourceHarness struct {
	source *Source
	path   string
	follow bool
}

func newSourceHarness(t *testing.T, follow bool) func(context.Context) (transportconformance.SourceHarness, error) {
	return func(context.Context) (transportconformance.SourceHarness, error) {
		path := filepath.Join(t.TempDir(), fmt.Sprint(time.Now().UnixNano()))
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			return nil, err
		}
		settings := DefaultSourceSettings(path)
		settings.Follow = follow
		source, err := Open(settings, quiet)
		return &sourceHarness{source, path, follow}, err
	}
}

func (h *sourceHarness) Source() transport.Source { return h.source }

func (h *sourceHarness) Send(_ context.Context, messages []transport.Message) error {
	f, err := os.OpenFile(h.path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	for i, m := range messages {
		line := m.Data
		if i%2 == 0 {
			line = cloudeventsjson.Append(nil, m)
		}
		if _, err := fmt.Fprintf(f, "%s\n", line); err != nil {
			return err
		}
	}
	return nil
}

func (h *sourceHarness) Traits() transportconformance.SourceTraits {
	return transportconformance.SourceTraits{Finite: !h.follow}
}

func (h *sourceHarness) Close() error { return h.source.Close() }

func TestSourceConformance(t *testing.T) {
	transporttest.RunSource(t, newSourceHarness(t, false), transportconformance.Options{})
}

func TestFollowConformance(t *testing.T) {
	transporttest.RunSource(t, newSourceHarness(t, true), transportconformance.Options{})
}

type sinkHarness struct {
	sink *Sink
	path string
}

func newSinkHarness(t *testing.T) func(context.Context) (transportconformance.SinkHarness, error) {
	return func(context.Context) (transportconformance.SinkHarness, error) {
		path := filepath.Join(t.TempDir(), fmt.Sprint(time.Now().UnixNano()))
		sink, err := Create(DefaultSinkSettings(path), quiet)
		return &sinkHarness{sink, path}, err
	}
}

func (h *sinkHarness) Sink() transport.Sink { return h.sink }

func (h *sinkHarness) Collect(context.Context) ([]transport.Message, error) {
	text, err := os.ReadFile(h.path)
	return messages(text), err
}

func messages(text []byte) []transport.Message {
	var out []transport.Message
	for line := range bytes.Lines(text) {
		out = append(out, transport.Message{Data: bytes.TrimSuffix(line, []byte("\n"))})
	}
	return out
}

func (h *sinkHarness) Close() error { return h.sink.Close(context.Background()) }

func TestSinkConformance(t *testing.T) {
	transporttest.RunSink(t, newSinkHarness(t), transportconformance.Options{})
}

// faultyDisk is a real file on a disk that fills up and whose operations fail on demand.
type faultyDisk struct {
	*os.File
	lock                   sync.Mutex
	room                   int // bytes that may still be written; negative: any number
	failSync, failTruncate bool
	syncs                  atomic.Int32
	slow                   time.Duration
}

func (d *faultyDisk) Write(p []byte) (int, error) {
	d.lock.Lock()
	defer d.lock.Unlock()
	if d.room < 0 {
		return d.File.Write(p)
	}
	n := min(d.room, len(p))
	d.room -= n
	if n, err := d.File.Write(p[:n]); err != nil {
		return n, err
	}
	if n < len(p) {
		return n, syscall.ENOSPC
	}
	return n, nil
}

func (d *faultyDisk) Truncate(size int64) error {
	d.lock.Lock()
	defer d.lock.Unlock()
	if d.failTruncate {
		return syscall.EIO
	}
	return d.File.Truncate(size)
}

func (d *faultyDisk) Sync() error {
	d.lock.Lock()
	defer d.lock.Unlock()
	d.syncs.Add(1)
	time.Sleep(d.slow)
	if d.failSync {
		return syscall.EIO
	}
	return nil
}

func (d *faultyDisk) set(room int, failSync, failTruncate bool) {
	d.lock.Lock()
	defer d.lock.Unlock()
	d.room, d.failSync, d.failTruncate = room, failSync, failTruncate
}

func newFaulty(t *testing.T, content string) (*store, *faultyDisk) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "events")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	d := &faultyDisk{File: f, room: -1}
	s, err := newStore(d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, d
}

func wantContent(t *testing.T, d *faultyDisk, want string) {
	t.Helper()
	if got, _ := os.ReadFile(d.Name()); string(got) != want {
		t.Errorf("the file holds %q, want %q", got, want)
	}
}

func TestStoreFailures(t *testing.T) {
	s, d := newFaulty(t, "old\nhal") // a process died here
	appendOK := func(line string) {
		t.Helper()
		if n, err := s.Append([]byte(line)); n != len(line) || err != nil {
			t.Errorf("append %q: %d, %v", line, n, err)
		}
	}
	appendOK("1\n")
	wantContent(t, d, "old\nhal\n1\n")

	d.set(5, false, false)
	if n, err := s.Append([]byte("2\n33333\n")); n != 0 || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("on a full disk: %d, %v", n, err)
	}
	wantContent(t, d, "old\nhal\n1\n")

	d.set(-1, true, false)
	if n, err := s.Append([]byte("3\n")); n != 0 || !errors.Is(err, syscall.EIO) {
		t.Errorf("when sync fails: %d, %v", n, err)
	}
	wantContent(t, d, "old\nhal\n1\n")

	d.set(3, false, true) // it cannot even be cut back
	if n, err := s.Append([]byte("4\n55\n")); n != 0 || err == nil {
		t.Errorf("when truncate fails: %d, %v", n, err)
	}
	d.set(0, false, true)
	if _, err := s.Append([]byte("6\n")); err == nil {
		t.Error("the disk is full, but there is no error")
	}
	d.set(-1, false, false)
	appendOK("7\n")
	wantContent(t, d, "old\nhal\n1\n4\n5\n7\n")

	if err := d.File.Truncate(0); err != nil { // somebody rotates the file by copying and cutting it
		t.Fatal(err)
	}
	d.set(1, false, false)
	if _, err := s.Append([]byte("8\n")); err == nil {
		t.Error("the disk is full, but there is no error")
	}
	d.set(-1, false, false)
	appendOK("9\n")
	wantContent(t, d, "9\n")
}

func TestGroupCommit(t *testing.T) {
	const publishers = 200
	path := filepath.Join(t.TempDir(), "events")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	d := &faultyDisk{File: f, room: -1, slow: 5 * time.Millisecond}
	s, err := newStore(d)
	if err != nil {
		t.Fatal(err)
	}
	sink := &Sink{jsonlines.NewSink("test", s, quiet)}
	var waiting sync.WaitGroup
	waiting.Add(publishers)
	for i := range publishers {
		go sink.Publish(t.Context(), []transport.Message{{Data: fmt.Appendf(nil, "%d", i)}}, func(_ int, err error) {
			if err != nil {
				t.Error(err)
			}
			waiting.Done()
		})
	}
	waiting.Wait()
	if err := sink.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if syncs := d.syncs.Load(); syncs > publishers/4 {
		t.Errorf("%d publishers cost %d syncs", publishers, syncs)
	}
	text, _ := os.ReadFile(path)
	if lines := bytes.Count(text, []byte("\n")); lines != publishers {
		t.Errorf("%d lines", lines)
	}
}

// A disk that is really full, where the test may mount one.
func TestFullDisk(t *testing.T) {
	folder := t.TempDir()
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("needs the right to mount a small tmpfs: %v", err)
	}
	defer syscall.Unmount(folder, 0)
	path := filepath.Join(folder, "events")
	sink, err := Create(DefaultSinkSettings(path), quiet)
	if err != nil {
		t.Fatal(err)
	}
	publish := func(size int) error {
		result := make(chan error, 1)
		sink.Publish(t.Context(), []transport.Message{{Data: []byte(`"` + strings.Repeat("x", size) + `"`)}}, func(_ int, err error) { result <- err })
		return <-result
	}
	whole := 0
	for range 20 {
		if publish(5000) == nil {
			whole++
		}
	}
	if whole == 0 || whole == 20 || sink.Health() == nil {
		t.Errorf("%d of 20 fitted, health %v", whole, sink.Health())
	}
	if err := os.Truncate(path, 5003); err != nil {
		t.Fatal(err)
	}
	if err := publish(10); err != nil || sink.Health() != nil {
		t.Errorf("with room again: %v, %v", err, sink.Health())
	}
	text, _ := os.ReadFile(path)
	if got := len(messages(text)); got != 2 || len(text) != 5003+13 {
		t.Errorf("%d lines, %d bytes", got, len(text))
	}
	if err := sink.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestSettings(t *testing.T) {
	if _, err := Open(SourceSettings{}, quiet); err == nil || !strings.Contains(err.Error(), "path:") || !strings.Contains(err.Error(), "max_in_flight:") {
		t.Error(err)
	}
	if _, err := Open(DefaultSourceSettings(filepath.Join(t.TempDir(), "none")), quiet); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	for _, open := range []func() error{
		func() error { _, err := Open(DefaultSourceSettings(t.TempDir()), quiet); return err },
		func() error { _, err := Create(DefaultSinkSettings(t.TempDir()), quiet); return err },
		func() error { _, err := Create(SinkSettings{}, quiet); return err },
		func() error {
			_, err := Create(DefaultSinkSettings(filepath.Join(t.TempDir(), "no", "file")), quiet)
			return err
		},
	} {
		if err := open(); err == nil || !strings.HasPrefix(err.Error(), "path:") {
			t.Error(err)
		}
	}
	sink, err := Create(DefaultSinkSettings(os.DevNull), quiet) // no regular file: nothing to sync
	if err != nil {
		t.Fatal(err)
	}
	sink.Publish(t.Context(), []transport.Message{{Data: []byte("{}")}}, func(_ int, err error) {
		if err != nil {
			t.Error(err)
		}
	})
	if err := sink.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func BenchmarkSink(b *testing.B) {
	m := []transport.Message{{Data: []byte(`{"context":"` + strings.Repeat("x", 1000) + "\"}")}}
	b.SetBytes(int64(len(m[0].Data)))
	sink, err := Create(DefaultSinkSettings(filepath.Join(b.TempDir(), "events")), quiet)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		sink.Publish(b.Context(), m, func(int, error) {})
	}
	sink.Close(b.Context())
}
