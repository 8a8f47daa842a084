package transportconformance_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"

	transportconformance "github.com/eiffelbridge/eiffelbridge/conformance/transport"
	"github.com/eiffelbridge/eiffelbridge/daemon/transports/stdio"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

// paper is the harness of a sink that writes lines: it is what the sink writes to.
type paper struct {
	sink transport.Sink

	lock    sync.Mutex
	written bytes.Buffer
}

func newPaper(context.Context) (transportconformance.SinkHarness, error) {
	p := &paper{}
	p.sink = stdio.NewSink(p, slog.New(slog.DiscardHandler))
	return p, nil
}

func (p *paper) Write(text []byte) (int, error) {
	p.lock.Lock()
	defer p.lock.Unlock()
	return p.written.Write(text)
}

func (p *paper) Sink() transport.Sink { return p.sink }

func (p *paper) Collect(context.Context) ([]transport.Message, error) {
	p.lock.Lock()
	defer p.lock.Unlock()
	var out []transport.Message
	for line := range bytes.Lines(bytes.Clone(p.written.Bytes())) {
		out = append(out, transport.Message{Data: bytes.TrimSuffix(line, []byte("\n"))})
	}
	return out, nil
}

func (p *paper) Close() error { return p.sink.Close(context.Background()) }

func ExampleTestSink() {
	err := transportconformance.TestSink(context.Background(), newPaper, transportconformance.Options{})
	fmt.Println(err)
	// Output: <nil>
}

// pipe is the harness of a source that reads lines: it writes them.
type pipe struct {
	source  transport.Source
	r, w    *os.File
	writing sync.WaitGroup
}

func newPipe(context.Context) (transportconformance.SourceHarness, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	source, err := stdio.NewSource(r, stdio.DefaultSourceSettings(), slog.New(slog.DiscardHandler))
	return &pipe{source: source, r: r, w: w}, err
}

func (p *pipe) Source() transport.Source { return p.source }

func (p *pipe) Send(_ context.Context, messages []transport.Message) error {
	p.writing.Go(func() {
		for _, m := range messages {
			if _, err := p.w.Write(append(bytes.Clone(m.Data), '\n')); err != nil {
				return // the source was closed
			}
		}
	})
	return nil
}

func (p *pipe) Traits() transportconformance.SourceTraits { return transportconformance.SourceTraits{} }

func (p *pipe) Close() error {
	_ = p.source.Close()
	_ = p.r.Close()
	p.writing.Wait()
	return p.w.Close()
}

func ExampleTestSource() {
	err := transportconformance.TestSource(context.Background(), newPipe, transportconformance.Options{
		Checks: []string{"retried_is_delivered_again"},
	})
	fmt.Println(err)
	// Output: <nil>
}
