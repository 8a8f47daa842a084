package stdio_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	transportconformance "github.com/eiffelbridge/eiffelbridge/conformance/transport"
	"github.com/eiffelbridge/eiffelbridge/conformance/transport/transporttest"
	"github.com/eiffelbridge/eiffelbridge/daemon/transports/stdio"
	"github.com/eiffelbridge/eiffelbridge/internal/cloudeventsjson"
	"github.com/eiffelbridge/eiffelbridge/internal/transportplugin/plugintest"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

// sourceHarness writes into a pipe of the system, as a shell does.
type sourceHarness struct {
	source  transport.Source
	r, w    *os.File
	writing sync.WaitGroup
}

func newSourceHarness(way *plugintest.Way) func(context.Context) (transportconformance.SourceHarness, error) {
	return func(context.Context) (transportconformance.SourceHarness, error) {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		source, err := way.Source(nil, func() (transport.Source, error) {
			return stdio.NewSource(r, stdio.DefaultSourceSettings(), slog.New(slog.DiscardHandler))
		})
		return &sourceHarness{source: source, r: r, w: w}, err
	}
}

func (h *sourceHarness) Source() transport.Source { return h.source }

func (h *sourceHarness) Send(_ context.Context, messages []transport.Message) error {
	h.writing.Go(func() {
		for i, m := range messages {
			line := m.Data
			if i%2 == 0 {
				line = cloudeventsjson.Append(nil, m)
			}
			if _, err := h.w.Write(append(line[:len(line):len(line)], '\n')); err != nil {
				return
			}
		}
	})
	return nil
}

func (h *sourceHarness) Traits() transportconformance.SourceTraits {
	return transportconformance.SourceTraits{}
}

func (h *sourceHarness) Close() error {
	h.source.Close()
	h.r.Close()
	h.writing.Wait()
	return h.w.Close()
}

func TestSourceConformance(t *testing.T) {
	transporttest.RunSource(t, newSourceHarness(plugintest.Direct()), transportconformance.Options{})
}

// sinkHarness collects what is written, and can hold writes up.
type sinkHarness struct {
	sink transport.Sink

	lock    sync.Mutex
	written bytes.Buffer
	stalled sync.Mutex
}

func newSinkHarness(way *plugintest.Way) func(context.Context) (transportconformance.SinkHarness, error) {
	return func(context.Context) (_ transportconformance.SinkHarness, err error) {
		h := &sinkHarness{}
		h.sink, err = way.Sink(nil, true, func() (transport.Sink, error) { return stdio.NewSink(h, slog.New(slog.DiscardHandler)), nil })
		return h, err
	}
}

func (h *sinkHarness) Write(p []byte) (int, error) {
	h.stalled.Lock()
	defer h.stalled.Unlock()
	h.lock.Lock()
	defer h.lock.Unlock()
	return h.written.Write(p)
}

func (h *sinkHarness) Stall() func() {
	h.stalled.Lock()
	return h.stalled.Unlock
}

func (h *sinkHarness) Sink() transport.Sink { return h.sink }

func (h *sinkHarness) Collect(context.Context) ([]transport.Message, error) {
	h.lock.Lock()
	defer h.lock.Unlock()
	return messages(h.written.String()), nil
}

func messages(text string) []transport.Message {
	var out []transport.Message
	for line := range strings.Lines(text) {
		out = append(out, transport.Message{Data: []byte(strings.TrimSuffix(line, "\n"))})
	}
	return out
}

func (h *sinkHarness) Close() error { return h.sink.Close(context.Background()) }

func TestSinkConformance(t *testing.T) {
	transporttest.RunSink(t, newSinkHarness(plugintest.Direct()), transportconformance.Options{})
}

// receive delivers all of r, accepting everything.
func receive(t *testing.T, r io.Reader) []transport.Message {
	t.Helper()
	source, err := stdio.NewSource(r, stdio.DefaultSourceSettings(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	var got []transport.Message
	if err := source.Receive(t.Context(), func(_ context.Context, d transport.Delivery) error {
		got = append(got, d.Message)
		d.Settle(transport.Settlement{Outcome: transport.Accepted})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestLines(t *testing.T) {
	long := `"` + strings.Repeat("x", 300_000) + `"`
	huge := strings.Repeat("y", 16<<20+5)
	text := "\xef\xbb\xbf{\"a\": 1}\r\n\n  \t\r\n{broken\n" +
		`{"specversion":"1.0","id":"i","source":"s","type":"io.github.eiffel-community.EiffelX","data":{"b": 2}}` + "\n" +
		huge + "\n" + long
	got := receive(t, strings.NewReader(text))
	want := []transport.Message{
		{Data: []byte(`{"a": 1}`)},
		{Data: []byte(`{broken`)},
		{Protocol: transport.Eiffel, ID: "i", Source: "s", Type: "EiffelX", Data: []byte(`{"b": 2}`)},
		{Data: []byte(huge[:16<<20])},
		{Data: []byte(long)},
	}
	if len(got) != len(want) {
		t.Fatalf("%d lines, want %d", len(got), len(want))
	}
	for i := range want {
		if !bytes.Equal(got[i].Data, want[i].Data) || got[i].Type != want[i].Type || got[i].Protocol != want[i].Protocol || got[i].ID != want[i].ID {
			t.Errorf("line %d: got %.100s (%d bytes)", i, got[i].Data, len(got[i].Data))
		}
	}
}

func TestReadError(t *testing.T) {
	broken := errors.New("broken disk")
	source, _ := stdio.NewSource(io.MultiReader(strings.NewReader("{}\n"), errorReader{broken}), stdio.DefaultSourceSettings(), slog.New(slog.DiscardHandler))
	n := 0
	err := source.Receive(t.Context(), func(_ context.Context, d transport.Delivery) error {
		n++
		time.AfterFunc(20*time.Millisecond, func() { d.Settle(transport.Settlement{Outcome: transport.Accepted}) })
		return nil
	})
	if !errors.Is(err, broken) || n != 1 {
		t.Errorf("%d deliveries, %v", n, err)
	}
	if source.Health() == nil {
		t.Error("healthy after a read error")
	}
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

// A reader that cannot be interrupted must not keep Receive.
func TestStuckReader(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	source, _ := stdio.NewSource(r, stdio.DefaultSourceSettings(), slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := source.Receive(ctx, nil); err != nil {
		t.Error(err)
	}
}

// A writer that fails within a line gets a new line next time, and whole lines before the failure are done.
func TestTornLine(t *testing.T) {
	w := &limitedWriter{limit: len("{\"n\":1}\n") + 3}
	sink := stdio.NewSink(w, slog.New(slog.DiscardHandler))
	publish := func(data ...string) []error {
		errs := make([]error, len(data))
		var messages []transport.Message
		for _, d := range data {
			messages = append(messages, transport.Message{Data: []byte(d)})
		}
		var waiting sync.WaitGroup
		waiting.Add(len(data))
		sink.Publish(t.Context(), messages, func(i int, err error) { errs[i] = err; waiting.Done() })
		waiting.Wait()
		return errs
	}
	// One commit or two, as it happens: the result is the same.
	errs := publish(`{"n":1}`, `{"n":2}`)
	if errs[0] != nil || errs[1] == nil || transport.IsPermanent(errs[1]) || sink.Health() == nil {
		t.Errorf("%v, health %v", errs, sink.Health())
	}
	w.lift()
	errs = publish("{\n\"n\" : 1.0\r\n}", `{"n":`, `{} {}`, ``, `{"n":4}`)
	if errs[0] != nil || errs[4] != nil || sink.Health() != nil {
		t.Errorf("%v, health %v", errs, sink.Health())
	}
	for _, err := range errs[1:4] {
		if !transport.IsPermanent(err) {
			t.Errorf("what is not JSON gives %v", err)
		}
	}
	if err := sink.Close(t.Context()); err != nil {
		t.Error(err)
	}
	const want = "{\"n\":1}\n{\"n\n{\"n\":1.0}\n{\"n\":4}\n"
	if got := w.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

type limitedWriter struct {
	lock  sync.Mutex
	limit int
	bytes.Buffer
}

func (w *limitedWriter) lift() {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.limit = 1 << 20
}

func (w *limitedWriter) Write(p []byte) (int, error) {
	w.lock.Lock()
	defer w.lock.Unlock()
	if room := w.limit - w.Len(); len(p) > room {
		w.Buffer.Write(p[:room])
		return room, errors.New("no space left")
	}
	return w.Buffer.Write(p)
}

func TestSettings(t *testing.T) {
	if _, err := stdio.NewSource(nil, stdio.SourceSettings{}, nil); err == nil || !strings.Contains(err.Error(), "max_in_flight:") {
		t.Error(err)
	}
}

func BenchmarkSource(b *testing.B) {
	line := []byte(`{"context":"` + strings.Repeat("x", 1000) + "\"}\n")
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	source, _ := stdio.NewSource(&repeated{line: line, times: b.N}, stdio.DefaultSourceSettings(), slog.New(slog.DiscardHandler))
	b.ResetTimer()
	source.Receive(b.Context(), func(_ context.Context, d transport.Delivery) error {
		d.Settle(transport.Settlement{Outcome: transport.Accepted})
		return nil
	})
}

type repeated struct {
	line  []byte
	times int
}

func (r *repeated) Read(p []byte) (int, error) {
	if r.times == 0 {
		return 0, io.EOF
	}
	r.times--
	return copy(p, r.line), nil
}

func BenchmarkSink(b *testing.B) {
	m := []transport.Message{{Data: []byte(`{"context":"` + strings.Repeat("x", 1000) + "\"}")}}
	b.SetBytes(int64(len(m[0].Data)))
	b.ReportAllocs()
	sink := stdio.NewSink(io.Discard, slog.New(slog.DiscardHandler))
	for b.Loop() {
		sink.Publish(b.Context(), m, func(int, error) {})
	}
	sink.Close(b.Context())
}

// TestConformanceAsPlugin has the plugin protocol between the kit and the driver; in memory only, since a plugin's standard streams are not
// its own.
func TestConformanceAsPlugin(t *testing.T) {
	t.Run("source", func(t *testing.T) {
		transporttest.RunSource(t, newSourceHarness(plugintest.InMemory()), transportconformance.Options{})
	})
	t.Run("sink", func(t *testing.T) {
		transporttest.RunSink(t, newSinkHarness(plugintest.InMemory()), transportconformance.Options{})
	})
}
