package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// A transcript is a file of commands with what they print: lines that begin with "$ " are commands, with "# " remarks. The output
// follows the command: standard output as it is, lines of standard error behind "! ", and the exit code if it is not 0.
// Beside eiffelbridge there are `cat FILE`, `same FILE FILE` (the same bytes) and `same-events FILE FILE` (equal as
// JSON). UPDATE_GOLDEN=1 writes the transcripts anew.
func TestTranscripts(t *testing.T) {
	transcripts, err := filepath.Glob("testdata/*/transcript")
	if err != nil || len(transcripts) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, path := range transcripts {
		t.Run(filepath.Base(filepath.Dir(path)), func(t *testing.T) {
			golden, err := filepath.Abs(path)
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(filepath.Dir(golden))); err != nil {
				t.Fatal(err)
			}
			t.Chdir(dir)
			installPlugins(t, dir)
			got := replayTranscript(t, string(want))
			if os.Getenv("UPDATE_GOLDEN") != "" {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(want) {
				t.Errorf("the transcript differs (UPDATE_GOLDEN=1 writes it anew):\n%s", difference(string(want), got))
			}
		})
	}
}

func replayTranscript(t *testing.T, transcript string) string {
	t.Helper()
	var out strings.Builder
	for _, line := range strings.Split(transcript, "\n") {
		switch {
		case strings.HasPrefix(line, "# "):
			fmt.Fprintln(&out, line)
		case strings.HasPrefix(line, "$ "):
			fmt.Fprintln(&out, line)
			words := strings.Fields(line)[1:]
			switch words[0] {
			case "eiffelbridge":
				out.WriteString(runLine(t, words[1:]))
			case "cat":
				out.Write(read(t, words[1]))
			case "same":
				if !bytes.Equal(read(t, words[1]), read(t, words[2])) {
					fmt.Fprintf(&out, "%s and %s differ\n", words[1], words[2])
				}
			case "same-events":
				a, b := events(t, read(t, words[1])), events(t, read(t, words[2]))
				if !reflect.DeepEqual(a, b) {
					fmt.Fprintf(&out, "%s and %s differ\n", words[1], words[2])
				}
			default:
				t.Fatalf("the transcript has an unknown command: %s", line)
			}
		}
	}
	return out.String()
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func events(t *testing.T, lines []byte) (out []any) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(lines))
	dec.UseNumber()
	for dec.More() {
		var v any
		if err := dec.Decode(&v); err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	return out
}

// changing is what differs from one build, run or system to the next.
var changing = regexp.MustCompile(`go1\.[0-9.a-z-]+|[a-z]+/(amd64|arm64)|process [0-9]+|[0-9a-f]{12}, go|connect: .*|started in [0-9.µm]+s|its SHA-256 is [0-9a-f]+`)

func runLine(t *testing.T, words []string) string {
	t.Helper()
	var stdin, stdout, stderr bytes.Buffer
	var args []string
	target := ""
	for i := 0; i < len(words); i++ {
		switch words[i] {
		case "<":
			i++
			stdin.Write(read(t, words[i]))
		case ">":
			i++
			target = words[i]
		default:
			args = append(args, words[i])
		}
	}
	code := Main(context.Background(), Environment{
		Args: args, Stdin: &stdin, Stdout: &stdout, Stderr: &stderr,
		LookupEnv: func(string) (string, bool) { return "", false }, Version: "v1.2.3",
	})
	var out strings.Builder
	if target != "" {
		if err := os.WriteFile(target, stdout.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	} else {
		out.Write(stdout.Bytes())
	}
	if stdout.Len() > 0 && target == "" && !bytes.HasSuffix(stdout.Bytes(), []byte("\n")) {
		out.WriteString("\n")
	}
	for _, line := range strings.Split(strings.TrimSuffix(stderr.String(), "\n"), "\n") {
		if line != "" {
			out.WriteString("! " + line + "\n")
		}
	}
	if code != 0 {
		fmt.Fprintf(&out, "exit %d\n", code)
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return changing.ReplaceAllString(strings.ReplaceAll(out.String(), dir, "DIR"), "...")
}

// difference shows the first lines in which two texts differ.
func difference(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(a), len(b)) {
		line := func(s []string) string {
			if i < len(s) {
				return s[i]
			}
			return "(end)"
		}
		if line(a) != line(b) {
			return fmt.Sprintf("line %d\nwant: %s\ngot:  %s", i+1, line(a), line(b))
		}
	}
	return ""
}
