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

func letter(text string) Letter {
	return Letter{Relay: "r", Direction: "eiffel", Code: "invalid", Message: "no <good>", Event: []byte(text), Attempts: 2,
		Received: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Extensions: map[string]string{"traceparent": "x"}}
}

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
	list, err := List(path)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, l := range list {
		out = append(out, string(l.Event))
	}
	return out
}

func TestAppendListDropReplay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "dead.jsonl")
	f := open(t, path)
	for _, text := range []string{"a", "b", "a", "\xff\x00", "", "c"} {
		if err := f.Append(t.Context(), letter(text)); err != nil {
			t.Fatal(err)
		}
	}
	if got := texts(t, path); !slices.Equal(got, []string{"a", "b", "\xff\x00", "", "c"}) {
		t.Fatalf("listed %q", got)
	}
	l, err := f.Show(ID(letter("b")))
	if err != nil {
		t.Fatal(err)
	}
	want := letter("b")
	want.ID, want.Time = l.ID, l.Time
	if fmt.Sprint(l) != fmt.Sprint(want) || l.Time.IsZero() {
		t.Errorf("shown %+v", l)
	}
	if err := f.Drop(l.ID, "nothing"); !errors.Is(err, ErrUnknown) {
		t.Errorf("dropped an unknown id: %v", err)
	}
	if err := f.Drop(l.ID); err != nil {
		t.Fatal(err)
	}
	var sent []string
	a, c := ID(letter("a")), ID(letter("c"))
	err = f.Replay([]string{c, a, "nothing"}, func(l Letter) error {
		sent = append(sent, string(l.Event))
		if l.ID == c {
			return errors.New("down")
		}
		return nil
	})
	if !slices.Equal(sent, []string{"c", "a"}) || !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "down") {
		t.Errorf("sent %q, %v", sent, err)
	}
	if got := texts(t, path); !slices.Equal(got, []string{"\xff\x00", "", "c"}) {
		t.Errorf("listed %q", got)
	}
	// What was dropped may come again.
	if err := f.Append(t.Context(), letter("b")); err != nil {
		t.Fatal(err)
	}
	if got := texts(t, path); !slices.Contains(got, "b") {
		t.Errorf("listed %q", got)
	}
	if bytes, n := f.Size(); n != 4 || bytes == 0 {
		t.Errorf("size %d, %d", bytes, n)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if err := f.Append(t.Context(), letter("z")); !errors.Is(err, ErrClosed) {
		t.Errorf("appended to a closed file: %v", err)
	}
	text, _ := os.ReadFile(path)
	if !bytesContain(text, `"event":"a"`, `"event_base64":"/wA="`, "no <good>", `"received":"2026-01-02T03:04:05Z"`) {
		t.Errorf("file:\n%s", text)
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
				_ = command.Drop(ID(letter(fmt.Sprint(i / 4))))
			}
			if _, err := List(path); err != nil {
				t.Error(err)
			}
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
			list, err := f.List()
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range list {
				if strings.HasPrefix(string(l.Event), "drop") {
					if err := f.Drop(l.ID); err != nil {
						t.Fatal(err)
					}
				}
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

func TestListOfNoFile(t *testing.T) {
	list, err := List(filepath.Join(t.TempDir(), "none"))
	if err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
}

func FuzzList(f *testing.F) {
	f.Add([]byte("{\"id\":\"1\"}\n{\"ended\":\"1\"}\n{\"id\":"))
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "dead.jsonl")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := List(path); err != nil {
			t.Fatal(err)
		}
	})
}
