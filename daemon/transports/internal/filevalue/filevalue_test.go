package filevalue

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// get asks as if the last check were long ago.
func get[T any](v *Value[T]) T {
	v.lock.Lock()
	v.checked = time.Time{}
	v.lock.Unlock()
	return v.Get()
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestValue(t *testing.T) {
	folder := t.TempDir()
	one, two := filepath.Join(folder, "one"), filepath.Join(folder, "two")
	files := []File{{"a.one", one}, {"a.two", two}}
	var log bytes.Buffer
	made := 0
	join := func(contents [][]byte) (string, error) {
		made++
		if bytes.Contains(contents[1], []byte("bad")) {
			return "", errors.New("a.two: is bad")
		}
		return string(bytes.Join(contents, []byte("+"))), nil
	}
	write(t, one, "1")
	if _, err := New(files, slog.New(slog.NewTextHandler(&log, nil)), join); err == nil || !strings.HasPrefix(err.Error(), "a.two: ") {
		t.Fatalf("a missing file: %v", err)
	}
	write(t, two, "2")
	v, err := New(files, slog.New(slog.NewTextHandler(&log, nil)), join)
	if err != nil || v.Get() != "1+2" || get(v) != "1+2" || made != 1 {
		t.Fatalf("%q, made %d times, %v", v.Get(), made, err)
	}
	write(t, one, "11")
	if v.Get() != "1+2" {
		t.Error("the file system was asked at once")
	}
	if got := get(v); got != "11+2" {
		t.Errorf("after a change: %q", got)
	}
	write(t, two, "bad")
	for range 3 {
		if got := get(v); got != "11+2" {
			t.Errorf("what cannot be used counts: %q", got)
		}
	}
	if n := strings.Count(log.String(), "a.two: is bad"); n != 1 {
		t.Errorf("told %d times: %s", n, &log)
	}
	os.Remove(two)
	if got := get(v); got != "11+2" || !strings.Contains(log.String(), "a.two: open ") {
		t.Errorf("a file that is gone: %q, %s", got, &log)
	}
	// As Kubernetes does it: another file under the same name.
	write(t, filepath.Join(folder, "new"), "3")
	if err := os.Rename(filepath.Join(folder, "new"), two); err != nil {
		t.Fatal(err)
	}
	if got := get(v); got != "11+3" {
		t.Errorf("after a replacement: %q", got)
	}
	before := made
	if get(v); made != before {
		t.Error("made anew without a change")
	}
	write(t, two, strings.Repeat("x", maxSize+1))
	if got := get(v); got != "11+3" || !strings.Contains(log.String(), "larger than") {
		t.Errorf("a file that is too large: %d bytes", len(got))
	}
}

func TestWithoutFiles(t *testing.T) {
	v, err := New(nil, nil, func([][]byte) (int, error) { return 7, nil })
	if err != nil || get(v) != 7 {
		t.Error(v, err)
	}
}

func TestLines(t *testing.T) {
	if got := strings.Join(Lines([]byte("a\r\n\n b \nc")), "|"); got != "a| b |c" {
		t.Errorf("%q", got)
	}
	if got, err := Line([]byte("a b\n")); got != "a b" || err != nil {
		t.Error(got, err)
	}
	for _, text := range []string{"", "\n", "a\nb"} {
		if _, err := Line([]byte(text)); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
