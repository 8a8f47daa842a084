// Package filevalue holds values that are made of files, such as certificates and tokens, and makes them anew when the files change: what
// is rotated must not need a restart.
package filevalue

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// recheck is how often the file system is asked, however many requests need a value.
	recheck = time.Second
	// maxSize bounds a file, in bytes. Bundles of certificates are the largest of what is read here.
	maxSize = 4 << 20
)

// File is one of the files of a value.
type File struct {
	Key  string // of the configuration, for errors
	Path string
}

// Value is a value and its files. It is safe for concurrent use.
type Value[T any] struct {
	files []File
	make  func(contents [][]byte) (T, error)
	log   *slog.Logger

	lock    sync.Mutex
	checked time.Time
	seen    []os.FileInfo // as the files were when they were last read
	current T
	failure string // why they could not be used then; empty: they were
}

// New reads the files and makes the value of their contents. Without files it is made once. An error names the key of the file that cannot be
// read; make names its own.
func New[T any](files []File, log *slog.Logger, make func(contents [][]byte) (T, error)) (*Value[T], error) {
	v := &Value[T]{files: files, make: make, log: log, checked: time.Now()}
	if err := v.read(); err != nil {
		return nil, err
	}
	return v, nil
}

// Get gives the value as the files are, up to a second late. Files that cannot be used leave it as it was, and are told to the log.
func (v *Value[T]) Get() T {
	v.lock.Lock()
	defer v.lock.Unlock()
	now := time.Now()
	if len(v.files) == 0 || now.Sub(v.checked) < recheck {
		return v.current
	}
	v.checked = now
	// What failed is tried again even if nothing seems to have changed: permissions leave no trace.
	if v.failure == "" && slices.EqualFunc(v.seen, v.stat(), same) {
		return v.current
	}
	err := v.read()
	switch {
	case err != nil && err.Error() != v.failure:
		v.failure = err.Error()
		v.log.Warn("a file has changed and cannot be used; what it held before still counts", "error", err)
	case err == nil:
		v.failure = ""
		v.log.Info("read anew", "files", v.names())
	}
	return v.current
}

func (v *Value[T]) read() error {
	seen := v.stat() // before the reading: a change in between is found the next time
	contents := make([][]byte, len(v.files))
	for i, f := range v.files {
		var err error
		if contents[i], err = read(f.Path); err != nil {
			return fmt.Errorf("%s: %w", f.Key, err)
		}
	}
	made, err := v.make(contents)
	if err != nil {
		return err
	}
	v.current, v.seen = made, seen
	return nil
}

func (v *Value[T]) stat() []os.FileInfo {
	out := make([]os.FileInfo, len(v.files))
	for i, f := range v.files {
		out[i], _ = os.Stat(f.Path) // follows the links by which Kubernetes replaces what it mounts
	}
	return out
}

func (v *Value[T]) names() string {
	var paths []string
	for _, f := range v.files {
		paths = append(paths, f.Path)
	}
	return strings.Join(paths, ", ")
}

func same(a, b os.FileInfo) bool {
	return a != nil && b != nil && os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

func read(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxSize+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxSize {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxSize)
	}
	return text, nil
}

// Line is the content of a file that holds one text: without the end of the line, which editors add.
func Line(content []byte) (string, error) {
	lines := Lines(content)
	if len(lines) != 1 {
		return "", fmt.Errorf("has %d lines with text, not one", len(lines))
	}
	return lines[0], nil
}

// Lines are the lines of a file that have text.
func Lines(content []byte) []string {
	var out []string
	for line := range bytes.Lines(content) {
		if line := strings.TrimRight(string(line), "\r\n"); line != "" {
			out = append(out, line)
		}
	}
	return out
}
