package daemon

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

// logged is a log that a test reads.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// lines are the lines with a message.
func (l *logged) lines(t *testing.T, message string) (out []map[string]any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, text := range strings.Split(strings.TrimSpace(l.b.String()), "\n") {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		if line["msg"] == message {
			out = append(out, line)
		}
	}
	return out
}

// TestLogsTellOfChanges lets many events fail in every way, and wants a line for each change, with the names of what it is about and
// nothing of what the events hold.
func TestLogsTellOfChanges(t *testing.T) {
	log := &logged{}
	g := &rig{t: t, sink: &fakeSink{ordered: true}, letters: &fakeLetters{}, store: newFakeStore(), clock: newFakeClock(), tr: &fakeTranslator{}}
	g.log = slog.New(slog.NewJSONHandler(log, nil))
	g.start(nil)
	defer g.stop()
	const content = "what-only-the-event-says"

	g.sink.setFate(func(transport.Message) error { return errors.New("not now") })
	var open []chan transport.Settlement
	for i := range 5 {
		open = append(open, g.source.deliver(event(fmt.Sprintf("e%d", i), fmt.Sprintf("%s-%d", content, i))))
	}
	eventually(t, "all of them failed", func() bool { return len(g.sink.ids()) == 5 })
	g.clock.advance(DefaultRetry().Max)
	eventually(t, "all of them failed again", func() bool { return len(g.sink.ids()) == 10 })
	g.sink.setFate(nil)
	g.clock.advance(DefaultRetry().Max)
	for _, c := range open {
		want(t, c, transport.Accepted)
	}
	for i := range 5 {
		want(t, g.source.deliver(event(fmt.Sprintf("p%d|panic", i), content)), transport.Rejected)
	}
	g.clock.advance(hushFor)
	want(t, g.source.deliver(event("p9|panic", content)), transport.Rejected)
	want(t, g.source.deliver(event("i|invalid", content)), transport.Rejected)

	for message, each := range map[string][]map[string]any{
		"sink does not take events": {{"level": "WARN", "transport": "out", "relay": "r", "event": "e0"}},
		"sink takes events again":   {{"level": "INFO", "transport": "out"}},
		"translator panicked":       {{"level": "ERROR", "relay": "r", "event": "p0|panic", "unsaid": 0.0}, {"event": "p9|panic", "unsaid": 4.0}},
		"event put into the dead letters": {
			{"level": "WARN", "relay": "r", "code": "panic", "event": "p0|panic"}, {"code": "panic", "event": "p9|panic", "unsaid": 4.0},
			{"code": "invalid", "event": "i|invalid", "unsaid": 0.0}},
	} {
		lines := log.lines(t, message)
		if len(lines) != len(each) {
			t.Errorf("%d lines say %q: %v", len(lines), message, lines)
			continue
		}
		for i, of := range each {
			for key, value := range of {
				if lines[i][key] != value {
					t.Errorf("%q: %s is %v, want %v", message, key, lines[i][key], value)
				}
			}
		}
	}
	log.mu.Lock()
	defer log.mu.Unlock()
	if strings.Contains(log.b.String(), content) {
		t.Errorf("the log holds what events say:\n%s", log.b.String())
	}
}
