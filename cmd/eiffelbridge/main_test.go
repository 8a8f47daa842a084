package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/eiffelbridge/eiffelbridge/internal/rabbittest"
)

// binary is the built command.
var binary string

func TestMain(m *testing.M) { os.Exit(build(m)) }

func build(m *testing.M) int {
	dir, err := os.MkdirTemp("", "eiffelbridge-cmd-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "eiffelbridge")
	command := exec.Command("go", "build", "-ldflags", "-X main.version=v9.8.7", "-o", binary, ".")
	if out, err := command.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the command: %v\n%s", err, out)
		return 1
	}
	return rabbittest.Main(m)
}

func exitCode(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	return -1
}

const event = `{"context":{"specversion":"0.5.1","id":"%s","source":"/ci","type":"dev.cdevents.environment.created.0.3.0","timestamp":"2026-03-01T08:00:00Z"},"subject":{"id":"%s","content":{"name":"x"}}}` + "\n"

func TestExitCodes(t *testing.T) {
	good, bad := fmt.Sprintf(event, "1", "prod"), "{}\n"
	for _, c := range []struct {
		name, stdin string
		args        []string
		code        int
		stdout      string // a part of it
		stderr      string
	}{
		{"done", good, []string{"translate"}, 0, "EiffelEnvironmentDefinedEvent", ""},
		{"nothing to do", "", []string{"translate"}, 0, "", ""},
		{"some failed", bad + good, []string{"translate"}, 1, "EiffelEnvironmentDefinedEvent", "-:1: event 0"},
		{"invalid", bad, []string{"validate"}, 1, "-:1: event 0:", "1 event, 0 valid"},
		{"usage", "", []string{"translate", "--to", "x"}, 2, "", "it is one of"},
		{"unknown verb", "", []string{"vrsion"}, 2, "", "did you mean version?"},
		{"help", "", []string{"translate", "--help"}, 0, "Examples:", ""},
		{"no verb", "", nil, 0, "Available Commands:", ""},
		{"environment", "", []string{"run"}, 2, "", "environment: AMQP_URL: not an AMQP URI"},
		{"version", "", []string{"version"}, 0, "eiffelbridge v9.8.7", ""},
		{"version as a flag", "", []string{"--version"}, 0, "eiffelbridge v9.8.7", ""},
		{"report to standard output", "", []string{"translate", "--report", "-"}, 2, "", "name a file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			command := exec.Command(binary, c.args...)
			command.Stdin, command.Stdout, command.Stderr = strings.NewReader(c.stdin), &stdout, &stderr
			command.Env = append(os.Environ(), "AMQP_URL=http://broker/")
			if got := exitCode(command.Run()); got != c.code {
				t.Errorf("exit code %d, want %d\n%s", got, c.code, stderr.String())
			}
			if !strings.Contains(stdout.String(), c.stdout) || !strings.Contains(stderr.String(), c.stderr) {
				t.Errorf("stdout %q, stderr %q", stdout.String(), stderr.String())
			}
		})
	}
}

func TestBrokenPipeEndsQuietly(t *testing.T) {
	var stderr bytes.Buffer
	command := exec.Command(binary, "translate")
	command.Stderr = &stderr
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	fed := make(chan error, 1)
	go func() {
		var err error
		for i := 0; err == nil; i++ {
			_, err = fmt.Fprintf(in, event, fmt.Sprint(i), fmt.Sprint(i))
		}
		in.Close()
		fed <- err
	}()
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	out.Close()
	<-fed
	if err := command.Wait(); exitCode(err) != 0 || stderr.Len() > 0 {
		t.Errorf("%v, stderr %q", err, stderr.String())
	}
}

// A stream that is much larger than memory should be is translated as it comes.
func TestBigInput(t *testing.T) {
	const total = 256 << 20
	pad := strings.Repeat("x", 1<<20)
	command := exec.Command(binary, "validate")
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	command.Stdout, command.Stderr = &out, &errs
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	events := 0
	w := bufio.NewWriterSize(in, 1<<20)
	fmt.Fprint(w, "[")
	for written := 0; written < total; written += len(pad) {
		if events > 0 {
			fmt.Fprint(w, ",")
		}
		fmt.Fprint(w, strings.Replace(fmt.Sprintf(event, fmt.Sprint(events), "prod"), `"name":"x"`, `"name":"`+pad+`"`, 1))
		events++
	}
	fmt.Fprint(w, "]")
	if err := errors.Join(w.Flush(), in.Close()); err != nil {
		t.Fatal(err)
	}
	if err := command.Wait(); err != nil || !strings.Contains(errs.String(), fmt.Sprintf("%d events, %d valid", events, events)) {
		t.Errorf("%v: %s%s", err, out.String(), errs.String())
	}
	usage, ok := command.ProcessState.SysUsage().(*syscall.Rusage)
	if runtime.GOOS == "linux" && ok && usage.Maxrss > 100<<10 {
		t.Errorf("%d MiB of input took %d MiB of memory", total>>20, usage.Maxrss>>10)
	}
}

// Every event is written when it is translated, not when the input ends.
func TestOutputComesAtOnce(t *testing.T) {
	command := exec.Command(binary, "translate")
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	for i := range 3 {
		fmt.Fprintf(in, event, fmt.Sprint(i), fmt.Sprint(i))
		line, err := lines.ReadString('\n')
		if err != nil || !json.Valid([]byte(line)) {
			t.Fatalf("event %d: %v %q", i, err, line)
		}
	}
	in.Close()
	if err := command.Wait(); err != nil {
		t.Error(err)
	}
}

// relay is a running `eiffelbridge run` on free ports.
type relay struct {
	t      *testing.T
	cmd    *exec.Cmd
	dir    string
	stdout bytes.Buffer
	web    string
	admin  string
	log    *bytes.Buffer
	logged chan struct{}
}

var listens = regexp.MustCompile(`(listens on|metrics are on) (http://[^ ]+/)`)

func startRelay(t *testing.T, args ...string) *relay {
	t.Helper()
	return startRelayTo(t, "{type: stdio}", args...)
}

// startRelayTo starts a relay with another sink.
func startRelayTo(t *testing.T, sink string, args ...string) *relay {
	t.Helper()
	r := &relay{t: t, dir: t.TempDir(), log: &bytes.Buffer{}, logged: make(chan struct{})}
	config := `version: 1
admin: {listen: "127.0.0.1:0"}
transports:
  web: {type: cloudevents_http, listen: "127.0.0.1:0"}
  out: ` + sink + `
relays:
  - {name: to_eiffel, from: web, to: out, translate: eiffel}
`
	if err := os.WriteFile(filepath.Join(r.dir, "c.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	r.start(append([]string{"run", "--config", "c.yaml"}, args...)...)
	return r
}

// start starts the command and waits until it listens.
func (r *relay) start(args ...string) {
	r.t.Helper()
	r.cmd = exec.Command(binary, args...)
	r.cmd.Dir = r.dir
	r.cmd.Stdout = &r.stdout
	stderr, err := r.cmd.StderrPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	process := r.cmd.Process
	r.t.Cleanup(func() { _ = process.Kill() })
	lines := bufio.NewReader(stderr)
	for r.web == "" || r.admin == "" {
		line, err := lines.ReadString('\n')
		r.log.WriteString(line)
		if err != nil {
			r.t.Fatalf("the relay ended: %v\n%s", err, r.log)
		}
		if m := listens.FindStringSubmatch(line); m != nil {
			if m[1] == "listens on" {
				r.web = m[2]
			} else {
				r.admin = m[2]
			}
		}
	}
	go func() {
		_, _ = io.Copy(r.log, lines)
		close(r.logged)
	}()
}

func (r *relay) post(id string) (int, error) {
	request, err := http.NewRequest(http.MethodPost, r.web, strings.NewReader(fmt.Sprintf(event, id, id)))
	if err != nil {
		return 0, err
	}
	request.Header = http.Header{"Content-Type": {"application/json"}, "Ce-Specversion": {"1.0"}, "Ce-Id": {id}, "Ce-Source": {"/ci"},
		"Ce-Type": {"dev.cdevents.environment.created.0.3.0"}}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, err
}

func (r *relay) wait() error {
	r.t.Helper()
	<-r.logged
	return r.cmd.Wait()
}

// SIGTERM in the middle of the work: what was accepted is written, and nothing is written in part.
func TestTerminateUnderLoad(t *testing.T) {
	r := startRelay(t)
	var accepted atomic.Int64
	var senders sync.WaitGroup
	stop := make(chan struct{})
	for s := range 8 {
		senders.Add(1)
		go func() {
			defer senders.Done()
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				status, err := r.post(fmt.Sprintf("s%d-%d", s, i))
				if err != nil {
					return // the relay has gone
				}
				if status == http.StatusAccepted {
					accepted.Add(1)
				}
			}
		}()
	}
	for accepted.Load() < 200 {
		time.Sleep(time.Millisecond)
	}
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	err := r.wait()
	close(stop)
	senders.Wait()
	if err != nil {
		t.Fatalf("the relay ended with %v\n%s", err, r.log)
	}
	lines := strings.Split(strings.TrimSuffix(r.stdout.String(), "\n"), "\n")
	for _, line := range lines {
		if !json.Valid([]byte(line)) {
			t.Fatalf("a line was torn: %q", line)
		}
	}
	if int64(len(lines)) < accepted.Load() {
		t.Errorf("%d events were accepted and %d written", accepted.Load(), len(lines))
	}
}

// The ledger of a running relay is said to be in use, and the relay can be asked instead.
func TestServicesOfARunningRelay(t *testing.T) {
	r := startRelay(t, "--log-level", "warn")
	addresses := strings.NewReplacer("WEB", strings.Trim(r.web, "htp:/"), "ADMIN", strings.Trim(r.admin, "htp:/"))
	for name, parts := range map[string][3]string{
		"other-admin.yaml":  {"ledger", ":9191", "127.0.0.1:0"},
		"web-in-use.yaml":   {"free", "off", "WEB"},
		"admin-in-use.yaml": {"free", "ADMIN", "127.0.0.1:0"},
		"foreign.yaml":      {".", "off", "127.0.0.1:0"},
	} {
		text := addresses.Replace(fmt.Sprintf(`version: 1
ledger: {type: file, path: %q}
admin: {listen: %q, token: secret}
transports: {web: {type: cloudevents_http, listen: %q}, out: {type: stdio}}
relays: [{name: to_eiffel, from: web, to: out, translate: eiffel}]
`, parts[0], parts[1], parts[2]))
		if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"services"}, 2, "--url http://127.0.0.1:9090 (the default"},
		{[]string{"services", "--url", r.admin}, 0, "No service was ever deployed"},
		{[]string{"services", "--url", r.web}, 1, "ask the relay"},
		{[]string{"ledger", "export"}, 2, "stop that first\n"},
		{[]string{"run", "--config", "c.yaml"}, 2, "--url http://127.0.0.1:9090 (the default"},
		{[]string{"run", "--config", "other-admin.yaml"}, 2, "--url http://localhost:9191\n"},
		{[]string{"run", "--config", "web-in-use.yaml"}, 2, "address already in use; stop what listens there"},
		{[]string{"run", "--config", "admin-in-use.yaml"}, 2, "address already in use; stop what listens there"},
		{[]string{"run", "--config", "foreign.yaml"}, 2, "choose another path"},
	} {
		command := exec.Command(binary, c.args...)
		command.Dir = r.dir
		out, err := command.CombinedOutput()
		if exitCode(err) != c.code || !strings.Contains(string(out), c.want) {
			t.Errorf("%v: %v: %s", c.args, err, out)
		}
	}
	if err := r.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := r.wait(); err != nil {
		t.Errorf("the relay ended with %v\n%s", err, r.log)
	}
}

// A second signal ends a relay at once that waits for an event in flight.
func TestSecondSignal(t *testing.T) {
	arrived, release := make(chan struct{}, 1), make(chan struct{})
	stuck := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-release
	}))
	defer stuck.Close()
	defer close(release)
	r := startRelayTo(t, "{type: cloudevents_http, target: \""+stuck.URL+"\"}", "--drain-timeout", "10m")
	go func() { _, _ = r.post("stuck") }()
	<-arrived
	for range 2 {
		if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		// Signals of one kind that come together may arrive as one.
		time.Sleep(300 * time.Millisecond)
	}
	if code := exitCode(r.wait()); code != 1 || !strings.Contains(r.log.String(), "second signal") {
		t.Errorf("exit code %d\n%s", code, r.log)
	}
}

// A letter that the relay takes is marked as replayed.
func TestReplayDeadLetter(t *testing.T) {
	r := startRelay(t, "--log-level", "error")
	letter, err := json.Marshal(map[string]any{"id": "feedfeedfeedfeed", "time": "2026-03-01T08:00:00Z", "relay": "to_eiffel", "direction": "eiffel",
		"code": "not_in_edition", "message": "an old edition", "attempts": 0, "event": strings.TrimSpace(fmt.Sprintf(event, "again", "again"))})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "letters.jsonl")
	if err := os.WriteFile(file, append(letter, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(binary, "deadletters", "replay", "--all", "--file", file, "--url", r.web).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "1 letter replayed, 0 failed") {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := exec.Command(binary, "deadletters", "list", "--file", file).CombinedOutput(); err != nil || !strings.Contains(string(out), "No dead letters") {
		t.Errorf("%v: %s", err, out)
	}
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := r.wait(); err != nil || !strings.Contains(r.stdout.String(), "EiffelEnvironmentDefinedEvent") {
		t.Errorf("%v: %s\n%s", err, r.stdout.String(), r.log)
	}
}
