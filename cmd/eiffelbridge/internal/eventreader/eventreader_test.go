package eventreader

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

// describe writes what a reader gives, one line per item.
func describe(t *testing.T, r *Reader) string {
	t.Helper()
	var b strings.Builder
	for {
		item, err := r.Next()
		if err == io.EOF {
			return b.String()
		}
		if err != nil {
			fmt.Fprintf(&b, "stream: %v\n", err)
			return b.String()
		}
		if item.Err != nil {
			fmt.Fprintf(&b, "%d line %d error: %v\n", item.Index, item.Line, item.Err)
			continue
		}
		text := strings.Join(strings.Fields(string(item.Text)), " ")
		fmt.Fprintf(&b, "%d line %d: %s\n", item.Index, item.Line, text)
	}
}

// The files of testdata: NAME.input is a stream, NAME.items what it holds.
func TestFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/*.input")
	if err != nil || len(files) == 0 {
		t.Fatalf("no test data: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			input, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			golden := strings.TrimSuffix(file, ".input") + ".items"
			got := describe(t, New(strings.NewReader(string(input))))
			if os.Getenv("UPDATE_GOLDEN") != "" {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got:\n%swant:\n%s", got, want)
			}
			// The same, whatever pieces the stream comes in.
			if got := describe(t, New(iotest.OneByteReader(strings.NewReader(string(input))))); got != string(want) {
				t.Errorf("byte by byte:\n%swant:\n%s", got, want)
			}
		})
	}
}

func TestLimit(t *testing.T) {
	const limit = 1000
	big := `{"a":"` + strings.Repeat("x", 300_000) + `"}`
	for _, c := range []struct{ name, input, want string }{
		{"lines", "{}\n" + big + "\n{\"b\":1}\n", "0 line 1: {}\n1 line 2 error: LARGE\n2 line 3: {\"b\":1}\n"},
		{"array", "[{}," + big + ",{\"b\":1}]", "0 line 1: {}\n1 line 1 error: LARGE\n2 line 1: {\"b\":1}\n"},
		{"cut off", big[:200_000] + "\n{\"b\":1}", "0 line 1 error: not valid JSON: a string is not closed at the end of its line\n1 line 2: {\"b\":1}\n"},
		{"little over", `{"a":"` + strings.Repeat("x", limit) + `"} {}`, "0 line 1 error: LARGE\n1 line 1: {}\n"},
		{"text", strings.Repeat("x", 300_000) + "\n{}", "0 line 1 error: LARGE\n1 line 2: {}\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newReader(strings.NewReader(c.input), limit)
			want := strings.ReplaceAll(c.want, "LARGE", "the event is larger than 0 MiB, the most that is read")
			if got := describe(t, r); got != want {
				t.Errorf("got:\n%swant:\n%s", got, want)
			}
			if cap(r.buf) > 256<<10 {
				t.Errorf("the buffer grew to %d bytes for a limit of %d", cap(r.buf), limit)
			}
		})
	}
}

// TestOtherEncodings says what is wrong with a stream that is no UTF-8, and looks no further.
func TestOtherEncodings(t *testing.T) {
	const events = "{\"a\":1}\n{\"b\":2}\n"
	wide := func(zeros int, little bool) string {
		var b strings.Builder
		for _, c := range []byte(events) {
			if little {
				b.WriteByte(c)
			}
			b.WriteString(strings.Repeat("\x00", zeros))
			if !little {
				b.WriteByte(c)
			}
		}
		return b.String()
	}
	for name, c := range map[string]struct{ input, want string }{
		"UTF-8 with a mark":            {"\xEF\xBB\xBF" + events, ""},
		"a mark alone":                 {"\xEF\xBB\xBF", ""},
		"two marks":                    {"\xEF\xBB\xBF\xEF\xBB\xBF{}", "0 line 1: \ufeff\n1 line 1: {}\n"},
		"UTF-16, little end first":     {"\xFF\xFE" + wide(1, true), "UTF-16"},
		"UTF-16, big end first":        {"\xFE\xFF" + wide(1, false), "UTF-16"},
		"UTF-16 without a mark":        {wide(1, true), "UTF-16"},
		"the same, big end first":      {wide(1, false), "UTF-16"},
		"UTF-16, an array":             {"[\x00]\x00", "UTF-16"},
		"a mark of UTF-16 alone":       {"\xFF\xFE", "UTF-16"},
		"UTF-32, little end first":     {"\xFF\xFE\x00\x00" + wide(3, true), "UTF-32"},
		"UTF-32, big end first":        {"\x00\x00\xFE\xFF" + wide(3, false), "UTF-32"},
		"compressed":                   {"\x1F\x8B\x08\x00\n{}\n", "compressed"},
		"a zero byte before the event": {"\x00\n{}\n", "0 line 1: \x00\n1 line 2: {}\n"},
	} {
		got := describe(t, New(strings.NewReader(c.input)))
		if bytewise := describe(t, New(iotest.OneByteReader(strings.NewReader(c.input)))); bytewise != got {
			t.Errorf("%s: byte by byte:\n%sat once:\n%s", name, bytewise, got)
		}
		switch {
		case strings.Contains(c.want, "\n"):
			if got != c.want {
				t.Errorf("%s: %q, want %q", name, got, c.want)
			}
		case c.want != "":
			if !strings.HasPrefix(got, "0 line 1 error: the input is "+c.want) || strings.Count(got, "\n") != 1 {
				t.Errorf("%s: %q", name, got)
			}
		case strings.Contains(got, "error"):
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := describe(t, New(strings.NewReader("\xEF\xBB\xBF"+events))); got != "0 line 1: {\"a\":1}\n1 line 2: {\"b\":2}\n" {
		t.Errorf("behind a mark: %q", got)
	}
}

func TestReadError(t *testing.T) {
	r := New(io.MultiReader(strings.NewReader("{}\n{"), iotest.ErrReader(io.ErrClosedPipe)))
	if got, want := describe(t, r), "0 line 1: {}\nstream: io: read/write on closed pipe\n"; got != want {
		t.Errorf("got:\n%swant:\n%s", got, want)
	}
}

func TestDeep(t *testing.T) {
	r := New(strings.NewReader(strings.Repeat("[", 1<<20) + "\n{\"a\":1}\n"))
	if got := describe(t, r); !strings.Contains(got, "nested deeper") || !strings.HasSuffix(got, "{\"a\":1}\n") {
		t.Errorf("got %.300s", got)
	}
}

func FuzzReader(f *testing.F) {
	f.Add("[{\"a\":\n1},{\"b\":2}]\n{\"c\":\"\\\"\"}")
	f.Add("{\"a\": {\n{\"b\": 1}\n]")
	f.Fuzz(func(t *testing.T, input string) {
		whole := describe(t, New(strings.NewReader(input)))
		pieces := describe(t, New(iotest.HalfReader(iotest.OneByteReader(strings.NewReader(input)))))
		if whole != pieces {
			t.Errorf("the pieces in which the stream comes matter:\n%s\n%s", whole, pieces)
		}
	})
}
