package cli

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/eiffelbridge/eiffelbridge/translate"
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
	q := translate.Query{Kind: translate.NameFact, Key: `["environment","prod"]`}
	for _, source := range []string{"/a", "/b"} {
		if err := c.Apply(ctx, []translate.Fact{{Query: q, Record: translate.Set{source}.Encode()}}); err != nil {
			t.Fatal(err)
		}
	}
	names := func(l factReader) string {
		records, err := l.Read(ctx, []translate.Query{q})
		if err != nil {
			t.Fatal(err)
		}
		set, err := translate.DecodeSet(records[0].Bytes)
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
