package deadletters

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func open(t *testing.T, path string) *File {
	t.Helper()
	f, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func texts(t *testing.T, path string) []string {
	t.Helper()
	return textsOf(t, ReadFile(path))
}

// drop ends the letters with an event.
func drop(t *testing.T, s Store, text string) {
	t.Helper()
	err := s.Take(t.Context(), Dropped, func(l Letter) bool { return string(l.Event) == text }, nil)
	if err != nil {
		t.Error(err)
	}
}

func TestWhatStandsInTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "dead.jsonl")
	f := open(t, path)
	for _, text := range []string{"a", "\xff\x00", "a"} {
		if err := f.Append(t.Context(), letter(text)); err != nil {
			t.Fatal(err)
		}
	}
	if bytes, n := f.Size(); n != 2 || bytes == 0 {
		t.Errorf("size %d, %d", bytes, n)
	}
	if text, _ := os.ReadFile(path); bytes.Contains(text, []byte("repeated")) {
		t.Errorf("the repeat is written at once:\n%s", text)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	text, _ := os.ReadFile(path)
	if !bytesContain(text, `"event":"a"`, `"event_base64":"/wA="`, "no <good>", `"received":"2026-01-02T03:04:05Z"`, `{"repeated":"`, `"repeats":1,`) ||
		bytes.Count(text, []byte("\n")) != 3 {
		t.Errorf("file:\n%s", text)
	}
}

// TestRepeatsAreWritten has them written by the next letter and, without one, by the clock.
func TestRepeatsAreWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dead.jsonl")
	f := open(t, path)
	repeats := func() (n int) {
		err := ReadFile(path).Scan(t.Context(), func(l Letter) error {
			n += l.Repeats
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	add := func(text string) {
		if err := f.Append(t.Context(), letter(text)); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		add("a")
	}
	if n := repeats(); n != 0 {
		t.Errorf("%d repeats in the file already", n)
	}
	add("b")
	if n := repeats(); n != 4 {
		t.Errorf("%d repeats in the file, not 4", n)
	}
	add("a")
	f.mu.Lock()
	f.flush.Reset(0)
	f.mu.Unlock()
	for repeats() != 5 {
		time.Sleep(time.Millisecond)
	}
	// Repeats of what was ended by others are nobody's.
	add("a")
	drop(t, open(t, path), "a")
	f.mu.Lock()
	f.flush.Reset(0)
	f.mu.Unlock()
	for pending := 1; pending > 0; time.Sleep(time.Millisecond) {
		f.mu.Lock()
		pending = len(f.repeats)
		f.mu.Unlock()
	}
	add("a")
	if got, n := texts(t, path), repeats(); n != 0 || !slices.Equal(got, []string{"b", "a"}) {
		t.Errorf("%d repeats of %q", n, got)
	}
}

// TestSyncFails: what may not be on the disk is written again, and then not any more.
func TestSyncFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dead.jsonl")
	f := open(t, path)
	add(t, f, letter("a"))
	broken := errors.New("input/output error")
	sync := f.sync
	f.sync = func(*os.File) error { return broken }
	if err := f.Append(t.Context(), letter("b")); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	f.sync = sync
	for _, want := range []int{3, 3} {
		add(t, f, letter("a"), letter("b"))
		if text, _ := os.ReadFile(path); bytes.Count(text, []byte(`"event":`)) != want {
			t.Errorf("not %d lines of letters:\n%s", want, text)
		}
	}
	if got := texts(t, path); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("%q", got)
	}
}

// TestMoreThanAreKnown has a file that knows two letters by heart.
func TestMoreThanAreKnown(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dead.jsonl")
	f := open(t, path)
	f.known.most = 2
	for _, text := range []string{"a", "b", "c", "c", "a"} {
		if err := f.Append(t.Context(), letter(text)); err != nil {
			t.Fatal(err)
		}
	}
	groups, _, err := Gather(t.Context(), f, 0, nil)
	if err != nil || len(groups) != 3 || groups[0].Repeats != 1 || groups[2].Repeats != 1 || len(groups[2].Versions) != 1 {
		t.Errorf("%+v, %v", groups, err)
	}
}

// TestOlderLines reads a file whose letters and ends have no version.
func TestOlderLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dead.jsonl")
	old := `{"id":"1","event":"one"}` + "\n" + `{"id":"2","event":"two"}` + "\n" + `{"ended":"1","how":"dropped"}` + "\n"
	if err := os.WriteFile(path, []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := texts(t, path); !slices.Equal(got, []string{"two"}) {
		t.Errorf("%q", got)
	}
	drop(t, open(t, path), "two")
	if got := texts(t, path); len(got) != 0 {
		t.Errorf("%q", got)
	}
}

func bytesContain(text []byte, parts ...string) bool {
	for _, p := range parts {
		if !bytes.Contains(text, []byte(p)) {
			return false
		}
	}
	return true
}

func TestEveryPrefixOfTheFileIsReadable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dead.jsonl")
	f := open(t, path)
	for _, text := range []string{"a", "b"} {
		if err := f.Append(t.Context(), letter(text)); err != nil {
			t.Fatal(err)
		}
	}
	f.Close()
	whole, _ := os.ReadFile(path)
	first := bytes.IndexByte(whole, '\n') + 1
	for cut := range whole {
		torn := filepath.Join(t.TempDir(), "torn.jsonl")
		if err := os.WriteFile(torn, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		g, err := Open(torn, Options{})
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if err := g.Append(t.Context(), letter("c")); err != nil {
			t.Fatal(err)
		}
		g.Close()
		got := texts(t, torn)
		// A line that lacks but its end is whole once the next writer has ended it.
		want := []string{"c"}
		if cut >= first-1 {
			want = []string{"a", "c"}
		}
		if cut == len(whole)-1 {
			want = []string{"a", "b", "c"}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("cut at %d: %q, want %q", cut, got, want)
		}
	}
}

func TestTwoFilesOverOnePath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dead.jsonl")
	relay, command := open(t, path), open(t, path)
	var all sync.WaitGroup
	for i := range 40 {
		all.Add(1)
		go func() {
			defer all.Done()
			f := relay
			if i%2 == 0 {
				f = command
			}
			if err := f.Append(context.Background(), letter(fmt.Sprint(i/4))); err != nil {
				t.Error(err)
			}
			if i%8 == 7 {
				drop(t, command, fmt.Sprint(i/4))
			}
			texts(t, path)
		}()
	}
	all.Wait()
	got := texts(t, path)
	slices.Sort(got)
	if len(slices.Compact(slices.Clone(got))) != len(got) {
		t.Errorf("some letters stand there twice: %q", got)
	}
	for i := range 10 {
		if i%2 == 0 && !slices.Contains(got, fmt.Sprint(i)) {
			t.Errorf("%d is lost: %q", i, got)
		}
	}
	text, _ := os.ReadFile(path)
	for _, l := range bytes.Split(bytes.TrimSpace(text), []byte("\n")) {
		if !json.Valid(l) {
			t.Errorf("broken line %s", l)
		}
	}
}

// TestAnotherProcess drops letters while this one appends.
func TestAnotherProcess(t *testing.T) {
	if path := os.Getenv("DEAD_LETTERS"); path != "" {
		f := open(t, path)
		for i := range 50 {
			if err := f.Append(t.Context(), letter(fmt.Sprint("child", i))); err != nil {
				t.Fatal(err)
			}
			err := f.Take(t.Context(), Dropped, func(l Letter) bool { return strings.HasPrefix(string(l.Event), "drop") }, nil)
			if err != nil {
				t.Fatal(err)
			}
		}
		return
	}
	path := filepath.Join(t.TempDir(), "dead.jsonl")
	f := open(t, path)
	for i := range 5 {
		if err := f.Append(t.Context(), letter(fmt.Sprint("drop", i))); err != nil {
			t.Fatal(err)
		}
	}
	child := exec.Command(os.Args[0], "-test.run=^TestAnotherProcess$")
	child.Env = append(os.Environ(), "DEAD_LETTERS="+path)
	var out bytes.Buffer
	child.Stdout, child.Stderr = &out, &out
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		if err := f.Append(t.Context(), letter(fmt.Sprint("parent", i))); err != nil {
			t.Error(err)
		}
	}
	if err := child.Wait(); err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	if got := texts(t, path); len(got) != 100 || strings.Contains(strings.Join(got, " "), "drop") {
		t.Errorf("%d letters: %q", len(got), got)
	}
	// The parent learns of the child's letters and tombstones with its next write.
	if err := f.Append(t.Context(), letter("child1")); err != nil {
		t.Fatal(err)
	}
	if _, n := f.Size(); n != 100 {
		t.Errorf("%d letters known", n)
	}
}

func TestGroupCommit(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "dead.jsonl"))
	f.writing.Lock() // a write that takes long
	var all sync.WaitGroup
	for i := range 20 {
		all.Add(1)
		go func() {
			defer all.Done()
			if err := f.Append(context.Background(), letter(fmt.Sprint(i))); err != nil {
				t.Error(err)
			}
		}()
	}
	for {
		f.mu.Lock()
		n := 0
		if f.queue != nil {
			n = len(f.queue.letters)
		}
		f.mu.Unlock()
		if n == 20 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	f.writing.Unlock()
	all.Wait()
	if _, n := f.Size(); n != 20 {
		t.Errorf("%d letters", n)
	}
}

func TestNoFile(t *testing.T) {
	if got := texts(t, filepath.Join(t.TempDir(), "none")); len(got) != 0 {
		t.Errorf("%q", got)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("{\"id\":\"1\"}\n{\"ended\":\"1\"}\n{\"id\":"))
	f.Add([]byte("{\"id\":\"1\",\"version\":\"v\"}\n{\"repeated\":\"1\",\"version\":\"v\",\"repeats\":3}\n{\"id\":\"1\",\"version\":\"v\",\"round\":1}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "dead.jsonl")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Gather(t.Context(), ReadFile(path), 0, nil); err != nil {
			t.Fatal(err)
		}
	})
}

// TestRepeatsBesideTheirLetter has a letter and its repeats go into the file in one write, as concurrent calls may bring it about.
func TestRepeatsBesideTheirLetter(t *testing.T) {
	f, err := Open(filepath.Join(t.TempDir(), "letters"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	l := named("1", "a").complete(time.Now())
	f.writing.Lock()
	err = f.write(func() []any { return f.linesOf([]Letter{l, l, l}) })
	f.writing.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	add(t, f, l)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	groups, _, err := Gather(t.Context(), ReadFile(f.Where()), 0, nil)
	if err != nil || len(groups) != 1 || groups[0].Repeats != 3 {
		t.Errorf("%+v, %v", groups, err)
	}
}
