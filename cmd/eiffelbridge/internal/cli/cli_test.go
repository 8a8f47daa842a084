package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/eiffelbridge/eiffelbridge/translate"
	records "github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

func TestEveryVerbIsDocumented(t *testing.T) {
	c := &command{out: io.Discard, err: io.Discard}
	var visit func(cmd *cobra.Command)
	visit = func(cmd *cobra.Command) {
		var help strings.Builder
		cmd.SetOut(&help)
		if err := cmd.Help(); err != nil {
			t.Error(err)
		}
		for _, line := range strings.Split(help.String(), "\n") {
			if utf8.RuneCountInString(line) > width {
				t.Errorf("%s: a line of the help has %d characters: %s", cmd.CommandPath(), len(line), line)
			}
		}
		for _, sub := range cmd.Commands() {
			if sub.Hidden {
				continue
			}
			if sub.Short == "" || sub.Long == "" || sub.Example == "" {
				t.Errorf("%s lacks a short text, a long one or an example", sub.CommandPath())
			}
			visit(sub)
		}
	}
	visit(c.root())
}

// A disk that is full is told also by what cobra writes.
func TestHelpThatCannotBeWritten(t *testing.T) {
	for _, arg := range []string{"--help", "--version", "version"} {
		var stderr strings.Builder
		code := Main(context.Background(), Environment{Args: []string{arg}, Stdin: strings.NewReader(""), Stdout: fullDisk{}, Stderr: &stderr,
			LookupEnv: os.LookupEnv})
		if code != Failed || !strings.Contains(stderr.String(), "no space left") {
			t.Errorf("%s: exit code %d: %s", arg, code, stderr.String())
		}
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func TestColour(t *testing.T) {
	environment := func(values map[string]string) func(string) (string, bool) {
		return func(name string) (string, bool) { v, ok := values[name]; return v, ok }
	}
	for _, c := range []struct {
		name, when string
		env        map[string]string
		want       bool
	}{
		{"no terminal", "auto", nil, false},
		{"always", "always", map[string]string{"NO_COLOR": "1"}, true},
		{"never", "never", nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := &command{env: Environment{LookupEnv: environment(c.env)}, out: io.Discard}
			if got := cmd.painter(c.when).colour; got != c.want {
				t.Errorf("colour is %v", got)
			}
		})
	}
}

func TestOneLine(t *testing.T) {
	if got, want := oneLine("a\nb\x1b[31mc\u0085d"), "a\uFFFDb\uFFFD[31mc\uFFFDd"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWrap(t *testing.T) {
	got := strings.Join(wrap("one two three 12345678901234567890 four", 10), "|")
	if want := "one two|three|12345678901234567890|four"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What a collector has not written yet is known to the next event, and written in the end.
func TestCollector(t *testing.T) {
	ctx := context.Background()
	ledger := translate.NewMemoryLedger()
	c := newCollector(ledger, ledger.Apply)
	q := records.Query{Kind: records.NameFact, Key: `["environment","prod"]`}
	for _, source := range []string{"/a", "/b"} {
		if err := c.Apply(ctx, []records.Fact{{Query: q, Record: records.Set{source}.Encode()}}); err != nil {
			t.Fatal(err)
		}
	}
	names := func(l records.Source) string {
		read, err := l.Read(ctx, []records.Query{q})
		if err != nil {
			t.Fatal(err)
		}
		set, err := records.DecodeSet(read[0].Bytes)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(set, " ")
	}
	if got := names(c); got != "/a /b" {
		t.Errorf("the collector knows %q", got)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if got := names(ledger); got != "/a /b" {
		t.Errorf("the ledger knows %q", got)
	}
}

// An interrupt ends a translation that waits for input, and the ledger is closed in order.
func TestInterruptWhileWaiting(t *testing.T) {
	event, err := os.ReadFile("testdata/returning/created.json")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ledger")
	in, feed := io.Pipe()
	out, written := io.Pipe()
	interrupts := make(chan os.Signal, 1)
	code := make(chan int, 1)
	var stderr strings.Builder
	go func() {
		code <- Main(context.Background(), Environment{Args: []string{"translate", "--ledger", path}, Stdin: in, Stdout: written, Stderr: &stderr,
			LookupEnv: os.LookupEnv, Interrupts: interrupts})
	}()
	go func() { _, _ = feed.Write(event) }()
	if _, err := out.Read(make([]byte, 1<<16)); err != nil {
		t.Fatal(err)
	}
	interrupts <- os.Interrupt
	if got := <-code; got != Failed || !strings.Contains(stderr.String(), "interrupted after 1 event") {
		t.Errorf("exit code %d: %s", got, stderr.String())
	}
	feed.Close()
	var list, errs strings.Builder
	if code := Main(context.Background(), Environment{Args: []string{"ledger", "export", "--ledger", path}, Stdin: strings.NewReader(""), Stdout: &list,
		Stderr: &errs, LookupEnv: os.LookupEnv}); code != Done || !strings.Contains(list.String(), `"prod"`) {
		t.Errorf("exit code %d: the ledger has not learned: %s%s", code, list.String(), errs.String())
	}
}

// TestEveryOrder gives files that can be read and files that cannot in every order: whatever stands before a file, what
// becomes of it is the same.
func TestEveryOrder(t *testing.T) {
	dir, err := filepath.Abs(filepath.Join("testdata", "unreadable"))
	if err != nil {
		t.Fatal(err)
	}
	files := []string{"bom-crlf.json", "utf16.json", "empty-arrays.json", "truncated.jsonl", "nowhere.json"}
	// By file: the ids that its report names, with ! where one failed.
	want := map[string]string{
		"bom-crlf.json": "bom", "utf16.json": "!", "empty-arrays.json": "", "truncated.jsonl": "t1 ! t3 !", "nowhere.json": "!",
	}
	orders := 0
	permute(files, func(order []string) {
		orders++
		report := filepath.Join(t.TempDir(), "report.jsonl")
		args := []string{"translate", "--report", report}
		for _, name := range order {
			args = append(args, filepath.Join(dir, name))
		}
		var stdout, stderr bytes.Buffer
		code := Main(context.Background(), Environment{Args: args, Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr,
			LookupEnv: func(string) (string, bool) { return "", false }})
		if code != Failed {
			t.Errorf("%v: exit %d\n%s", order, code, stderr.String())
		}
		if n := strings.Count(stdout.String(), "\n"); n != 3 {
			t.Errorf("%v: %d events, want 3", order, n)
		}
		if n := strings.Count(stderr.String(), "\n"); n != 4 {
			t.Errorf("%v: %d errors, want 4:\n%s", order, n, stderr.String())
		}
		text, err := os.ReadFile(report)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string][]string{}
		var met []string
		for line := range strings.Lines(string(text)) {
			var r struct {
				File, ID string
				Index    int
				Error    *string
			}
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatal(err)
			}
			name := filepath.Base(r.File)
			if r.Index != len(got[name]) {
				t.Errorf("%v: %s has the number %d twice or late", order, name, r.Index)
			}
			if len(met) == 0 || met[len(met)-1] != name {
				met = append(met, name)
			}
			if r.Error != nil {
				r.ID = "!"
			}
			got[name] = append(got[name], r.ID)
		}
		for name, ids := range want {
			if g := strings.Join(got[name], " "); g != ids {
				t.Errorf("%v: %s: %q, want %q", order, name, g, ids)
			}
		}
		if wantMet := slices.DeleteFunc(slices.Clone(order), func(name string) bool { return want[name] == "" }); !slices.Equal(met, wantMet) {
			t.Errorf("the report has the order %v, want %v", met, wantMet)
		}
	})
	if orders != 120 {
		t.Errorf("%d orders", orders)
	}
}

// permute calls f with every order of some names.
func permute(names []string, f func([]string)) {
	var rest func(k int)
	rest = func(k int) {
		if k == len(names) {
			f(slices.Clone(names))
			return
		}
		for i := k; i < len(names); i++ {
			names[k], names[i] = names[i], names[k]
			rest(k + 1)
			names[k], names[i] = names[i], names[k]
		}
	}
	rest(0)
}

// TestInputThatBreaks has a stream that can be read no further: what came is translated, and the next file too.
func TestInputThatBreaks(t *testing.T) {
	event := string(read(t, filepath.Join("testdata", "unreadable", "good.json")))
	for _, verb := range []string{"translate", "validate", "explain"} {
		var stdout, stderr bytes.Buffer
		code := Main(context.Background(), Environment{
			Args:   []string{verb, "-", filepath.Join("testdata", "unreadable", "bom-crlf.json")},
			Stdin:  io.MultiReader(strings.NewReader(event), iotest.ErrReader(errors.New("the line is dead"))),
			Stdout: &stdout, Stderr: &stderr, LookupEnv: func(string) (string, bool) { return "", false },
		})
		all := stdout.String() + stderr.String()
		if code != Failed || !strings.Contains(all, "the line is dead") {
			t.Errorf("%s: exit %d\n%s", verb, code, all)
		}
		if want := map[string]string{"translate": "bom", "validate": "2 events, 2 valid, 0 not; 1 finding", "explain": "bom"}[verb]; !strings.Contains(all, want) {
			t.Errorf("%s: no %q in\n%s", verb, want, all)
		}
	}
}
