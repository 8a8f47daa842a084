package host

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	maxLogLine       = 16 << 10 // bytes of one line; what is longer is cut
	maxLogAttributes = 32       // of one line
	maxLogsPerSecond = 500      // lines; what exceeds it is counted
	lastLines        = 8        // kept to say what a plugin said before it died
)

// logForwarder passes on what one incarnation of a plugin writes to its standard error. Lines of JSON as slog or hclog
// write them keep their level, message and attributes; anything else is text.
type logForwarder struct {
	logger *slog.Logger
	quiet  bool // what is less than a warning is logged at level debug

	mu      sync.Mutex
	last    []string
	second  time.Time
	lines   int
	dropped int
	panics  bool
}

func (l *logForwarder) read(r io.Reader) {
	buffered := bufio.NewReaderSize(r, maxLogLine)
	for {
		line, err := buffered.ReadSlice('\n')
		if len(line) > 0 {
			l.line(line)
		}
		for errors.Is(err, bufio.ErrBufferFull) { // the rest of a line that is too long
			_, err = buffered.ReadSlice('\n')
		}
		if err != nil {
			return
		}
	}
}

func (l *logForwarder) line(line []byte) {
	text := strings.ToValidUTF8(strings.TrimRight(string(line), "\r\n"), "\uFFFD")
	if strings.TrimSpace(text) == "" {
		return
	}
	if text[0] != '{' {
		l.text(text)
		return
	}
	var fields map[string]any
	if json.Unmarshal([]byte(text), &fields) != nil {
		l.text(text)
		return
	}
	take := func(names ...string) string {
		for _, name := range names {
			if v, ok := fields[name].(string); ok {
				delete(fields, name)
				return v
			}
		}
		return ""
	}
	message := take("msg", "@message", "message")
	level := levelOf(take("level", "@level", "severity"))
	take("time", "@timestamp", "timestamp") // the host's own is near enough
	if message == "" && len(fields) == 0 {
		message = text
	}
	attributes := make([]slog.Attr, 0, min(len(fields), maxLogAttributes))
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if len(attributes) == maxLogAttributes {
			break
		}
		attributes = append(attributes, slog.Any(strings.TrimPrefix(name, "@"), fields[name]))
	}
	l.remember(message)
	l.log(level, message, attributes...)
}

// text logs a line that has no form. A Go program's panic is an error until its output ends.
func (l *logForwarder) text(line string) {
	line = strings.TrimRight(strings.ToValidUTF8(line, "\uFFFD"), "\r\n")
	l.mu.Lock()
	l.panics = l.panics || strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ")
	level := slog.LevelInfo
	if l.panics {
		level = slog.LevelError
	}
	l.mu.Unlock()
	l.remember(line)
	l.log(level, line)
}

func (l *logForwarder) warn(message, line string) {
	l.log(slog.LevelWarn, message, slog.String("line", strings.TrimSpace(strings.ToValidUTF8(line, "\uFFFD"))))
}

func levelOf(name string) slog.Level {
	switch strings.ToUpper(name) {
	case "TRACE", "DEBUG":
		return slog.LevelDebug
	case "WARN", "WARNING":
		return slog.LevelWarn
	case "ERROR", "FATAL", "CRITICAL":
		return slog.LevelError
	}
	return slog.LevelInfo
}

func (l *logForwarder) remember(line string) {
	if line == "" {
		return
	}
	if len(line) > 300 {
		line = strings.ToValidUTF8(line[:300], "") + "…"
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.last) == lastLines {
		l.last = l.last[1:]
	}
	l.last = append(l.last, line)
}

func (l *logForwarder) log(level slog.Level, message string, attributes ...slog.Attr) {
	l.mu.Lock()
	dropped := 0
	now := time.Now()
	if now.Sub(l.second) >= time.Second {
		dropped, l.dropped = l.dropped, 0
		l.second, l.lines = now, 0
	}
	l.lines++
	over := l.lines > maxLogsPerSecond
	if over {
		l.dropped++
	}
	l.mu.Unlock()
	if dropped > 0 {
		l.logger.Warn(fmt.Sprintf("the plugin logs too much: %d lines were dropped", dropped))
	}
	if l.quiet && level < slog.LevelWarn {
		level = slog.LevelDebug
	}
	if !over {
		l.logger.LogAttrs(context.Background(), level, message, attributes...)
	}
}

// lastWords are the last lines that were logged.
func (l *logForwarder) lastWords() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.last, " / ")
}

// lineWriter logs what is written to it, by lines. It has one writer.
type lineWriter struct {
	logs *logForwarder
	rest []byte
}

// Write implements [io.Writer].
func (w *lineWriter) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		end := bytes.IndexByte(w.rest, '\n')
		if end < 0 && len(w.rest) > maxLogLine {
			end = maxLogLine
		}
		if end < 0 {
			return len(p), nil
		}
		w.logs.line(w.rest[:end])
		w.rest = w.rest[min(end+1, len(w.rest)):]
	}
}
