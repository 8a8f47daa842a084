package cdeventswebhook_test

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
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	transportconformance "github.com/eiffelbridge/eiffelbridge/conformance/transport"
	"github.com/eiffelbridge/eiffelbridge/conformance/transport/transporttest"
	cdeventswebhook "github.com/eiffelbridge/eiffelbridge/daemon/transports/cdevents_webhook"
	"github.com/eiffelbridge/eiffelbridge/internal/secret"
	"github.com/eiffelbridge/eiffelbridge/plugins/host"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

// logger is another in TestLogs only.
var logger = slog.New(slog.DiscardHandler)

var binary, checksum string

// hostVariable makes the test's binary a host that is to be killed: its value is the translator's binary.
const hostVariable = "EIFFELBRIDGE_WEBHOOK_TEST_HOST"

// runHost listens until it is killed. It rejects every delivery, so that a sender gets to see the id of its event.
func runHost(translator string) {
	binary = translator
	source, err := listen(func(s *cdeventswebhook.Settings) {
		s.Translators = map[string]cdeventswebhook.Translator{"test": {Path: translator, Dev: true}}
	})
	if err == nil {
		fmt.Println(source.Addr())
		err = source.Receive(context.Background(), settleWith(transport.Settlement{Outcome: transport.Rejected}))
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func TestMain(m *testing.M) {
	if translator := os.Getenv(hostVariable); translator != "" {
		runHost(translator)
	}
	folder, err := os.MkdirTemp("", "cdevents-webhook")
	if err == nil {
		binary = filepath.Join(folder, "testtranslator")
		var out []byte
		if out, err = exec.Command("go", "build", "-o", binary, "./testtranslator").CombinedOutput(); err != nil {
			err = fmt.Errorf("%w\n%s", err, out)
		}
	}
	if err == nil {
		checksum, err = host.Checksum(binary)
	}
	code := 1
	if err == nil {
		code = m.Run()
	} else {
		fmt.Fprintln(os.Stderr, err)
	}
	os.RemoveAll(folder)
	os.Exit(code)
}

func listen(change func(*cdeventswebhook.Settings)) (*cdeventswebhook.Source, error) {
	s := cdeventswebhook.DefaultSettings()
	s.Listen = "127.0.0.1:0"
	s.Translators = map[string]cdeventswebhook.Translator{"test": {Path: binary, SHA256: checksum}}
	if change != nil {
		change(&s)
	}
	return cdeventswebhook.Listen(s, logger)
}

// sourceHarness is a sender that sends again what was not answered with 202 or 400.
type sourceHarness struct {
	source  *cdeventswebhook.Source
	ctx     context.Context
	cancel  context.CancelFunc
	sending sync.WaitGroup

	lock   sync.Mutex
	client context.Context // ends when the connections break
	broken context.CancelFunc
}

func newSourceHarness(context.Context) (transportconformance.SourceHarness, error) {
	source, err := listen(func(s *cdeventswebhook.Settings) { s.MaxInFlight = 512 })
	if err != nil {
		return nil, err
	}
	h := &sourceHarness{source: source}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.client, h.broken = context.WithCancel(h.ctx)
	return h, nil
}

func (h *sourceHarness) Source() transport.Source { return h.source }

func (h *sourceHarness) Traits() transportconformance.SourceTraits {
	return transportconformance.SourceTraits{Unordered: true}
}

func (h *sourceHarness) Send(_ context.Context, messages []transport.Message) error {
	for _, m := range messages {
		h.sending.Go(func() {
			for h.ctx.Err() == nil {
				h.lock.Lock()
				ctx := h.client
				h.lock.Unlock()
				request, _ := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+h.source.Addr().String()+"/translate/test", bytes.NewReader(m.Data))
				if response, err := http.DefaultClient.Do(request); err == nil {
					_, _ = io.Copy(io.Discard, response.Body)
					response.Body.Close()
					if response.StatusCode == http.StatusAccepted || response.StatusCode == http.StatusBadRequest {
						return
					}
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
	return nil
}

func (h *sourceHarness) Break() error {
	h.lock.Lock()
	defer h.lock.Unlock()
	h.broken()
	h.client, h.broken = context.WithCancel(h.ctx)
	return nil
}

func (h *sourceHarness) Close() error {
	h.cancel()
	h.sending.Wait()
	return h.source.Close()
}

func TestSourceConformance(t *testing.T) {
	transporttest.RunSource(t, newSourceHarness, transportconformance.Options{})
}

// served is a source that receives, and what it has handed over.
type served struct {
	source *cdeventswebhook.Source
	url    string

	lock     sync.Mutex
	messages []transport.Message
}

func serve(t *testing.T, change func(*cdeventswebhook.Settings), handle transport.Handler) *served {
	t.Helper()
	source, err := listen(change)
	if err != nil {
		t.Fatal(err)
	}
	s := &served{source: source, url: "http://" + source.Addr().String() + "/translate/test"}
	ctx, cancel := context.WithCancel(context.Background())
	returned := make(chan error, 1)
	go func() {
		returned <- source.Receive(ctx, func(ctx context.Context, d transport.Delivery) error {
			s.lock.Lock()
			s.messages = append(s.messages, d.Message)
			s.lock.Unlock()
			return handle(ctx, d)
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-returned; err != nil {
			t.Error(err)
		}
		if err := source.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *served) taken() []transport.Message {
	s.lock.Lock()
	defer s.lock.Unlock()
	return append([]transport.Message(nil), s.messages...)
}

func (s *served) last(t *testing.T) transport.Message {
	t.Helper()
	taken := s.taken()
	if len(taken) == 0 {
		t.Fatal("nothing was delivered")
	}
	return taken[len(taken)-1]
}

func settleWith(settlement transport.Settlement) transport.Handler {
	return func(_ context.Context, d transport.Delivery) error {
		go d.Settle(settlement)
		return nil
	}
}

var accepted = settleWith(transport.Settlement{Outcome: transport.Accepted})

type answer struct {
	status     int
	retryAfter string
	allow      string
	body       string
}

func send(t *testing.T, method, url, body string, header ...string) answer {
	t.Helper()
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Add(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if len(text) > 0 && !json.Valid(text) {
		t.Errorf("the answer is not JSON: %s", text)
	}
	return answer{response.StatusCode, response.Header.Get("Retry-After"), response.Header.Get("Allow"), string(text)}
}

func (s *served) post(t *testing.T, do, body string, header ...string) answer {
	t.Helper()
	if do != "" {
		header = append([]string{"X-Do", do}, header...)
	}
	return send(t, http.MethodPost, s.url, body, header...)
}

// The adapter gives the values of a header to every header after it.
func TestHeaders(t *testing.T) {
	s := serve(t, nil, accepted)
	if got := s.post(t, "headers", "{}", "X-GitHub-Event", "push", "X-Many", "one", "X-Many", "two, three", "X-Old", "caf\xe9", "X-Empty", ""); got.status != 202 {
		t.Fatal(got)
	}
	var got map[string][]string
	if err := json.Unmarshal(s.last(t).Data, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{
		"X-Do": {"headers"}, "X-Github-Event": {"push"}, "X-Many": {"one", "two, three"}, "X-Old": {"café"}, "X-Empty": {""},
		"Accept-Encoding": {"gzip"}, "Content-Length": {"2"}, "User-Agent": {"Go-http-client/1.1"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("\n got %v\nwant %v", got, want)
	}
}

// What a translator sees of the environment is what it is given, and what the handshake needs.
func TestEnvironment(t *testing.T) {
	t.Setenv("AMQP_URL", "amqp://user:secret@broker/")
	s := serve(t, func(s *cdeventswebhook.Settings) {
		one := s.Translators["test"]
		one.Env = map[string]secret.Secret{"TEAM": "shop"}
		s.Translators["test"] = one
	}, accepted)
	if got := s.post(t, "environment", "{}"); got.status != 202 {
		t.Fatal(got)
	}
	text := string(s.last(t).Data)
	if !strings.Contains(text, `"TEAM=shop"`) || strings.Contains(text, "secret") || strings.Contains(text, "HOME=") {
		t.Error(text)
	}
}

func TestMessage(t *testing.T) {
	s := serve(t, nil, accepted)
	if got := s.post(t, "call", "{}"); got != (answer{status: 202}) {
		t.Fatal(got)
	}
	m := s.last(t)
	id := m.ID
	m.Data, m.ID = nil, ""
	want := transport.Message{Protocol: transport.CDEvents, Source: "/hooks", Type: "dev.cdevents.repository.created.0.3.0", Subject: "shop"}
	if !strings.HasSuffix(id, "-1") || !reflect.DeepEqual(m, want) {
		t.Errorf("%s %+v", id, m)
	}
	if got := s.post(t, "", "no JSON"); got.status != 202 { // the relay is to say so
		t.Error(got)
	}
	if m := s.last(t); m.Type != "" || string(m.Data) != "no JSON" {
		t.Errorf("%+v", m)
	}
}

func TestAnswers(t *testing.T) {
	s := serve(t, func(s *cdeventswebhook.Settings) {
		s.MaxBody, s.TranslateTimeout = 1000, time.Second
		s.Translators["dies"] = cdeventswebhook.Translator{Path: "false", Dev: true}
	}, accepted)
	base := strings.TrimSuffix(s.url, "/translate/test")
	for name, c := range map[string]struct {
		method, path, do, body string
		want                   answer // body: part of it
	}{
		"plain error":  {do: "plain error", want: answer{status: 422, body: `"error":"translator test: unsupported event"`}},
		"coded error":  {do: "coded error", want: answer{status: 422, body: `translator test: no such hook`}},
		"nothing":      {do: "nothing", want: answer{status: 422, body: `it made no CDEvent`}},
		"crash":        {do: "crash", want: answer{503, "1", "", `translator test: it died over the request`}},
		"hang":         {do: "hang", want: answer{503, "1", "", `translator test: no answer within 1s`}},
		"does not run": {path: "/translate/dies", want: answer{503, "1", "", "translator dies: plugin dies does not run"}},
		"unknown":      {path: "/translate/nobody", want: answer{status: 404, body: "requests are taken at /translate/dies, /translate/test"}},
		"root":         {path: "/", want: answer{status: 404, body: "/translate/test"}},
		"prefix only":  {path: "/translate/", want: answer{status: 404, body: "/translate/test"}},
		"GET":          {method: "GET", want: answer{status: 405, allow: "POST", body: "POST"}},
		"OPTIONS":      {method: "OPTIONS", want: answer{status: 405, allow: "POST", body: "POST"}},
		"not UTF-8":    {body: "\xff", want: answer{status: 400, body: "the body is not UTF-8"}},
		"too large":    {body: strings.Repeat("x", 1001), want: answer{status: 413, body: "larger than 1000 bytes"}},
	} {
		t.Run(name, func(t *testing.T) {
			if c.method == "" {
				c.method = http.MethodPost
			}
			if c.path == "" {
				c.path = "/translate/test"
			}
			header := []string{"X-Do", c.do}
			if c.do == "" {
				header = nil
			}
			got := send(t, c.method, base+c.path, c.body, header...)
			body := got.body
			got.body = c.want.body
			if got != c.want || !strings.Contains(body, c.want.body) {
				t.Errorf("%+v %s", got, body)
			}
		})
	}
	if taken := s.taken(); len(taken) > 0 {
		t.Errorf("%d deliveries were made: %+v", len(taken), taken)
	}
	// What one request did to the translator is over.
	if got := s.post(t, "call", "{}"); got.status != 202 {
		t.Error(got)
	}
	if err := s.source.Health(); err == nil || !strings.Contains(err.Error(), "plugin dies") || strings.Contains(err.Error(), "plugin test") {
		t.Error(err)
	}
}

func TestSettlements(t *testing.T) {
	for name, c := range map[string]struct {
		handle transport.Handler
		want   answer
	}{
		"rejected": {settleWith(transport.Settlement{Outcome: transport.Rejected, Err: errors.New("no mapping")}), answer{status: 400, body: `{"error":"no mapping","id":"`}},
		"retried":  {settleWith(transport.Settlement{Outcome: transport.Retried, Err: errors.New("sink down"), RetryAfter: 1500 * time.Millisecond}), answer{503, "2", "", "sink down"}},
		"busy": {func(context.Context, transport.Delivery) error {
			return &transport.BusyError{RetryAfter: 7 * time.Second}
		},
			answer{429, "7", "", "too many deliveries"}},
		"no room": {func(ctx context.Context, _ transport.Delivery) error { <-ctx.Done(); return ctx.Err() }, answer{503, "1", "", "no room within 50ms"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, func(s *cdeventswebhook.Settings) { s.BusyTimeout = 50 * time.Millisecond }, c.handle)
			got := s.post(t, "call", "{}")
			body := got.body
			got.body = c.want.body
			if got != c.want || !strings.Contains(body, c.want.body) {
				t.Errorf("%+v %s", got, body)
			}
		})
	}
}

// A sender that repeats a request gets the CDEvent of the first time, whatever became of that.
func TestRepeats(t *testing.T) {
	calls := 0
	s := serve(t, nil, func(_ context.Context, d transport.Delivery) error {
		calls++
		if calls == 1 {
			d.Settle(transport.Settlement{Outcome: transport.Retried})
		} else {
			d.Settle(transport.Settlement{Outcome: transport.Accepted})
		}
		return nil
	})
	for i, c := range []struct {
		body   string
		header []string
		status int
		same   int // the first request that this one is equal to
	}{
		{"{}", []string{"X-GitHub-Delivery", "1"}, 503, 0},
		{"{}", []string{"X-GitHub-Delivery", "1", "X-Request-Id", "other"}, 202, 0},
		{"{}", []string{"X-GitHub-Delivery", "2"}, 202, 2},
		{"{ }", []string{"X-GitHub-Delivery", "1"}, 202, 3},
		{"{}", []string{"X-GitHub-Delivery", "1", "Traceparent", "x"}, 202, 0},
		{"{}", []string{"X-GitHub-Delivery", "12"}, 202, 5},
		{"{}", []string{"X-GitHub-Delivery", "1", "X-Github-Delivery", "2"}, 202, 6},
	} {
		if got := s.post(t, "call", c.body, c.header...); got.status != c.status {
			t.Fatal(got)
		}
		taken := s.taken()
		for j := range i {
			if same := taken[j].ID == taken[i].ID; same && j < c.same || (j == c.same && !same) {
				t.Errorf("requests %d and %d are %s and %s", j, i, taken[j].ID, taken[i].ID)
			}
		}
		if string(taken[i].Data) != string(taken[c.same].Data) {
			t.Errorf("request %d: %s", i, taken[i].Data)
		}
	}

	s = serve(t, func(s *cdeventswebhook.Settings) { s.Repeats = 0 }, accepted)
	for range 2 {
		s.post(t, "call", "{}")
	}
	if taken := s.taken(); len(taken) != 2 || taken[0].ID == taken[1].ID {
		t.Errorf("%+v", taken)
	}
}

// A translator that no start can make run is known at once.
func TestUnfit(t *testing.T) {
	for name, c := range map[string]struct {
		translator cdeventswebhook.Translator
		want       []string
	}{
		"changed": {cdeventswebhook.Translator{Path: binary, SHA256: strings.Repeat("0", 64)}, []string{strings.Repeat("0", 64), checksum}},
		"missing": {cdeventswebhook.Translator{Path: binary + "x", Dev: true}, []string{binary + "x"}},
		"echo":    {cdeventswebhook.Translator{Path: "echo", Args: []string{"hello"}, Dev: true}, []string{`"hello"`}},
	} {
		source, err := listen(func(s *cdeventswebhook.Settings) { s.Translators["odd"] = c.translator })
		if err == nil {
			source.Close()
			t.Errorf("%s is taken", name)
			continue
		}
		for _, want := range append(c.want, "translators.odd: ") {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// A translator that is killed is there again for the next request; one that dies over a request is asked once more.
func TestKilled(t *testing.T) {
	s := serve(t, nil, accepted)
	last := 0
	for i := range 5 {
		if got := s.post(t, "call", strconv.Itoa(i)); got.status != 202 {
			t.Fatal(got)
		}
		pid, err := strconv.Atoi(strings.Split(s.last(t).ID, "-")[0])
		if err != nil || pid == last {
			t.Fatal(pid, err)
		}
		last = pid
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.post(t, "die once", "{}", "X-File", filepath.Join(t.TempDir(), "file")); got.status != 202 {
		t.Error(got)
	}
}

// A translator's own log has payloads in it, which ours must not have above level debug.
func TestLogs(t *testing.T) {
	var lock sync.Mutex
	var logged bytes.Buffer
	before := logger
	logger = slog.New(slog.NewTextHandler(writer(func(b []byte) (int, error) {
		lock.Lock()
		defer lock.Unlock()
		return logged.Write(b)
	}), nil))
	t.Cleanup(func() { logger = before })
	s := serve(t, nil, accepted)
	if got := s.post(t, "log", `{"secret":1}`); got.status != 202 {
		t.Error(got)
	}
	text := ""
	for deadline := time.Now().Add(10 * time.Second); !strings.Contains(text, "level=WARN msg=odd plugin=test"); time.Sleep(time.Millisecond) {
		lock.Lock()
		text = logged.String()
		lock.Unlock()
		if time.Now().After(deadline) {
			t.Fatal(text)
		}
	}
	if strings.Contains(text, "secret") {
		t.Error(text)
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }

// No process is left when the source is closed.
func TestClose(t *testing.T) {
	s := serve(t, nil, accepted)
	s.post(t, "call", "{}")
	pid, _ := strconv.Atoi(strings.Split(s.last(t).ID, "-")[0])
	if err := s.source.Close(); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d: %v", pid, err)
	}
}

// A translator knows no lease, and goes with its host all the same.
func TestHostIsKilled(t *testing.T) {
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(executable)
	cmd.Env = append(os.Environ(), hostVariable+"="+binary)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }()
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	got := send(t, http.MethodPost, "http://"+strings.TrimSpace(address)+"/translate/test", "{}", "X-Do", "call")
	var rejected struct{ ID string }
	if err := json.Unmarshal([]byte(got.body), &rejected); err != nil || got.status != 400 {
		t.Fatal(got, err)
	}
	pid, err := strconv.Atoi(strings.Split(rejected.ID, "-")[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	for deadline := time.Now().Add(5 * time.Second); runs(pid); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("process %d runs without its host", pid)
		}
	}
}

// runs tells whether a process runs: one that is dead and that nobody has asked about does not.
func runs(pid int) bool {
	if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil {
		_, state, _ := strings.Cut(string(stat), ") ")
		return !strings.HasPrefix(state, "Z")
	}
	return syscall.Kill(pid, 0) == nil
}

func TestValidate(t *testing.T) {
	for want, change := range map[string]func(*cdeventswebhook.Settings){
		"":                            func(*cdeventswebhook.Settings) {},
		"listen: ":                    func(s *cdeventswebhook.Settings) { s.Listen = "8080" },
		"translators: there are none": func(s *cdeventswebhook.Settings) { s.Translators = nil },
		`translators: "a/b" cannot`: func(s *cdeventswebhook.Settings) {
			s.Translators = map[string]cdeventswebhook.Translator{"a/b": s.Translators["test"]}
		},
		"translators.x: plugin x: sha256 is missing": func(s *cdeventswebhook.Settings) {
			s.Translators = map[string]cdeventswebhook.Translator{"x": {Path: binary}}
		},
		"translators.x: plugin x: path is missing": func(s *cdeventswebhook.Settings) {
			s.Translators = map[string]cdeventswebhook.Translator{"x": {Dev: true}}
		},
		"max_body: ":          func(s *cdeventswebhook.Settings) { s.MaxBody = 64 << 20 },
		"max_in_flight: ":     func(s *cdeventswebhook.Settings) { s.MaxInFlight = 0 },
		"translate_timeout: ": func(s *cdeventswebhook.Settings) { s.TranslateTimeout = 0 },
		"repeats: ":           func(s *cdeventswebhook.Settings) { s.Repeats = -1 },
	} {
		s := cdeventswebhook.DefaultSettings()
		s.Translators = maps.Clone(map[string]cdeventswebhook.Translator{"test": {Path: binary, SHA256: checksum}})
		change(&s)
		if err := s.Validate(); (err == nil) != (want == "") || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
}
