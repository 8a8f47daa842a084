// Package plugin certifies plugin binaries: that a plugin starts, answers, is told apart from other programs, and ends as the
// plugin protocol (package pluginv1) says, and that what a mapping makes obeys the laws of translators.
//
// [Test] runs the binary and gives a [Report]. In a test, package plugintest does so and makes each check a subtest.
package plugin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/eiffelbridge/eiffelbridge/conformance/translator"
	"github.com/eiffelbridge/eiffelbridge/internal/pluginwire"
	"github.com/eiffelbridge/eiffelbridge/plugins/host"
	"github.com/eiffelbridge/eiffelbridge/plugins/pluginv1"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// Options say what to test.
type Options struct {
	Path   string // of the binary; a name without a slash is looked up in PATH
	Args   []string
	Env    map[string]string // the plugin's whole environment
	Config json.RawMessage   // handed to the plugin

	// Events are events that the plugin translates or whose translation it decorates, besides those that the kit writes of the
	// types that the plugin names and that the protocols know.
	Events [][]byte

	Patience time.Duration // how long the kit waits for what must happen; 0 is 10 seconds
	Logger   *slog.Logger  // what the plugin logs goes there; nil: nowhere
}

// Check is something that every plugin does.
type Check struct {
	Name  string // a word for programs
	About string // for people
	run   func(context.Context, *trial) error
}

// Checks are the checks in the order in which they are made.
func Checks() []Check {
	return []Check{
		{"start", "it starts, says what it is, takes its configuration and its lease", checkStart},
		{"cookie", "started by anything but a host, it says so and exits with a status", checkCookie},
		{"version", "it does not claim a version of the protocol that it does not have", checkVersion},
		{"batches", "as many results as events, in their order, the same alone, together and on two streams", checkBatches},
		{"malformed", "what is no event gets an error of its own, and the others their results", checkMalformed},
		{"large", "events of 5 and 16 MiB are answered", checkLarge},
		{"results", "what it makes is valid, of the other protocol, and claims nothing that is not so", checkResults},
		{"laws", "the laws of translators hold for what it makes: output, links, order, determinism, input, idempotence", checkLaws},
		{"moves", "asked for it, it accounts for every value of the event, in a move or a loss", checkMoves},
		{"metrics", "what it counts and measures itself, if anything, can be shown", checkMetrics},
		{"stdout", "it writes nothing to standard output but the handshake", checkStdout},
		{"killed", "killed, it starts again and answers the same", checkKilled},
		{"host_gone", "it exits within five seconds when its host is gone", checkHostGone},
		{"ends", "it exits by itself when its host has no more use for it", checkEnds},
	}
}

// Result is what came of a check.
type Result struct {
	Check   string `json:"check"`
	Err     error  `json:"-"`
	Message string `json:"message,omitempty"` // the error's text
	Skipped string `json:"skipped,omitempty"` // why the check was not made
}

// Report is what a run found.
type Report struct {
	Description *pluginv1.DescribeResponse `json:"-"`
	Start       time.Duration              `json:"-"` // what the first start took
	Results     []Result                   `json:"results"`
}

// Failed counts the checks that failed.
func (r *Report) Failed() int {
	n := 0
	for _, result := range r.Results {
		if result.Err != nil {
			n++
		}
	}
	return n
}

// Err joins what failed, an error for each check; nil if nothing did.
func (r *Report) Err() error {
	var errs []error
	for _, result := range r.Results {
		if result.Err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", result.Check, result.Err))
		}
	}
	return errors.Join(errs...)
}

// skipError says why a check is not made.
type skipError string

func (e skipError) Error() string { return string(e) }

// Test tests a plugin. The error says that there was no test: the binary is not there, or ctx has ended.
func Test(ctx context.Context, o Options) (*Report, error) {
	if _, err := host.Find(o.Path); err != nil {
		return nil, err
	}
	if o.Patience <= 0 {
		o.Patience = 10 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	tr := &trial{options: o}
	defer tr.close()
	report := &Report{}
	down := "" // why the rest cannot be checked
	for _, c := range Checks() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		r := Result{Check: c.Name}
		if down != "" && c.Name != "cookie" {
			r.Skipped = down
		} else if err := c.run(ctx, tr); err != nil {
			var skip skipError
			if errors.As(err, &skip) {
				r.Skipped = string(skip)
			} else {
				r.Err, r.Message = err, err.Error()
				if c.Name == "start" || c.Name == "killed" && tr.gone {
					down = "the plugin does not start"
				}
			}
		}
		report.Results = append(report.Results, r)
	}
	report.Description, report.Start = tr.description, tr.start
	return report, nil
}

// trial is one plugin under test.
type trial struct {
	options     Options
	process     *host.Process
	description *pluginv1.DescribeResponse
	start       time.Duration
	mu          sync.Mutex
	noise       int  // guarded by mu
	gone        bool // it did not start again
	events      [][]byte
}

func (t *trial) close() {
	if t.process != nil {
		_ = t.process.Close()
	}
}

// present is the plugin as it runs now.
func (t *trial) present(ctx context.Context) (*host.Incarnation, error) {
	ctx, cancel := context.WithTimeout(ctx, t.options.Patience)
	defer cancel()
	i, err := t.process.Wait(ctx)
	if err == nil {
		t.mu.Lock()
		t.noise = max(t.noise, i.Noise())
		t.mu.Unlock()
	}
	return i, err
}

func checkStart(ctx context.Context, t *trial) error {
	s := host.DefaultSettings()
	s.Name, s.Path, s.Args, s.Env, s.Config, s.Dev = "under test", t.options.Path, t.options.Args, t.options.Env, t.options.Config, true
	s.StartTimeout, s.MaxFailures, s.Logger, s.BreakerPause = t.options.Patience, 3, t.options.Logger, time.Hour
	s.HostVersion = "conformance"
	var err error
	if t.process, err = host.Start(s); err != nil {
		return err
	}
	if _, err = t.process.Wait(ctx); err != nil {
		return err
	}
	// It can start. What is done to it from now on kills it more often than the breaker would bear.
	if err := t.process.Close(); err != nil {
		return err
	}
	s.MaxFailures, s.MaxBackoff = 1000, 100*time.Millisecond
	if t.process, err = host.Start(s); err != nil {
		return err
	}
	i, err := t.process.Wait(ctx)
	if err != nil {
		return err
	}
	t.description, t.start = i.Description, i.Started
	d := i.Description
	switch d.GetKind() {
	case pluginv1.Kind_KIND_MAPPING, pluginv1.Kind_KIND_DECORATOR:
	case pluginv1.Kind_KIND_TRANSPORT:
		if !d.GetSource() && !d.GetSink() {
			return errors.New("Describe: a transport that is neither a source nor a sink")
		}
	default:
		return fmt.Errorf("Describe: the kind %d is not known", d.GetKind())
	}
	if d.GetName() == "" {
		return errors.New("Describe: it has no name")
	}
	return t.findEvents()
}

// findEvents gathers what the plugin is asked about.
func (t *trial) findEvents() error {
	t.events = t.options.Events
	known := translator.TypeNames()
	var types []string
	for _, name := range t.description.GetTypes() {
		if slices.Contains(known, name) {
			types = append(types, name)
		}
	}
	if len(types) == 0 && len(t.events) == 0 {
		types = []string{"service.deployed", "EiffelArtifactDeployedEvent"} // something, at least
	}
	if len(types) > 0 {
		cases, err := translator.Generate(translator.Selection{Types: types, Random: 2, Seed: 1})
		if err != nil {
			return err
		}
		for _, c := range cases {
			t.events = append(t.events, c.Events...)
		}
	}
	if len(t.events) > 200 {
		t.events = t.events[:200]
	}
	return nil
}

// checkCookie starts the binary by hand.
func checkCookie(ctx context.Context, t *trial) error {
	path, err := host.Find(t.options.Path)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, t.options.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, t.options.Args...)
	cmd.Env = []string{}
	for name, value := range t.options.Env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.WaitDelay = time.Second
	var stdout strings.Builder
	cmd.Stdout = &stdout
	err = cmd.Run()
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("without the cookie %s it runs on; it should say that it is a plugin, and exit", host.CookieName)
	case err == nil:
		return fmt.Errorf("without the cookie %s it exits with status 0", host.CookieName)
	case strings.Contains(stdout.String(), "|grpc|"):
		return fmt.Errorf("without the cookie %s it serves all the same: %s", host.CookieName, strings.TrimSpace(stdout.String()))
	}
	return nil
}

// bare is a plugin that is started without the host's machinery.
type bare struct {
	cmd   *exec.Cmd
	stdin io.Closer
	line  string
	done  chan struct{}
}

func (t *trial) bare(ctx context.Context, versions string) (*bare, error) {
	path, err := host.Find(t.options.Path)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path, t.options.Args...)
	cmd.Env = []string{host.CookieName + "=" + host.CookieValue, "PLUGIN_PROTOCOL_VERSIONS=" + versions, "PLUGIN_MIN_PORT=10000", "PLUGIN_MAX_PORT=25000"}
	for name, value := range t.options.Env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	b := &bare{cmd: cmd, done: make(chan struct{})}
	if b.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	lines := make(chan string, 1)
	go func() {
		buffer := make([]byte, 64<<10)
		n := 0
		for n < len(buffer) && !strings.Contains(string(buffer[:n]), "\n") {
			m, err := stdout.Read(buffer[n:])
			n += m
			if err != nil {
				break
			}
		}
		line, _, _ := strings.Cut(string(buffer[:n]), "\n")
		lines <- line
		_, _ = io.Copy(io.Discard, stdout)
		_ = cmd.Wait()
		close(b.done)
	}()
	select {
	case b.line = <-lines:
		return b, nil
	case <-time.After(t.options.Patience):
	case <-ctx.Done():
	}
	b.kill()
	return nil, fmt.Errorf("it wrote no handshake within %s", t.options.Patience)
}

func (b *bare) kill() {
	_ = b.cmd.Process.Kill()
	<-b.done
}

// checkVersion offers a version that nobody has.
func checkVersion(ctx context.Context, t *trial) error {
	b, err := t.bare(ctx, "4711")
	if err != nil {
		return nil // it may refuse to start as well
	}
	defer b.kill()
	if parts := strings.Split(b.line, "|"); len(parts) > 1 && parts[1] == "4711" {
		return errors.New("its handshake claims version 4711 of the protocol, since the host did")
	}
	return nil
}

func (t *trial) translates() error {
	switch t.description.GetKind() {
	case pluginv1.Kind_KIND_MAPPING, pluginv1.Kind_KIND_DECORATOR:
		return nil
	}
	return skipError("it is no mapping and no decorator")
}

// ask sends batches on one stream and gives all results.
func (t *trial) ask(ctx context.Context, batches [][][]byte) ([]*pluginv1.TranslateResult, error) {
	return t.askWithin(ctx, t.options.Patience, batches)
}

func (t *trial) askWithin(ctx context.Context, patience time.Duration, batches [][][]byte) ([]*pluginv1.TranslateResult, error) {
	i, err := t.present(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var send func([][]byte) error
	var receive func() ([]*pluginv1.TranslateResult, error)
	var closeSend func() error
	if t.description.GetKind() == pluginv1.Kind_KIND_DECORATOR {
		s, err := pluginv1.NewDecoratorServiceClient(i.Conn).Decorate(ctx)
		if err != nil {
			return nil, err
		}
		send = func(batch [][]byte) error {
			request := &pluginv1.DecorateRequest{}
			for _, e := range batch {
				request.Items = append(request.Items, &pluginv1.DecorateItem{Item: &pluginv1.TranslateItem{Event: e}, Result: &pluginv1.TranslateResult{}})
			}
			return s.Send(request)
		}
		receive = func() ([]*pluginv1.TranslateResult, error) { r, err := s.Recv(); return r.GetResults(), err }
		closeSend = s.CloseSend
	} else {
		s, err := pluginv1.NewMappingServiceClient(i.Conn).Translate(ctx)
		if err != nil {
			return nil, err
		}
		send = func(batch [][]byte) error {
			request := &pluginv1.TranslateRequest{}
			for _, e := range batch {
				request.Items = append(request.Items, &pluginv1.TranslateItem{Event: e})
			}
			return s.Send(request)
		}
		receive = func() ([]*pluginv1.TranslateResult, error) { r, err := s.Recv(); return r.GetResults(), err }
		closeSend = s.CloseSend
	}
	var sending sync.WaitGroup
	defer sending.Wait()
	sending.Go(func() {
		for _, batch := range batches {
			if send(batch) != nil {
				return // receiving tells why
			}
		}
		_ = closeSend()
	})
	var all []*pluginv1.TranslateResult
	for n, batch := range batches {
		results, err := receive()
		if err != nil {
			if ctx.Err() != nil {
				err = fmt.Errorf("no answer within %s", patience)
			}
			return nil, fmt.Errorf("batch %d: %w", n, err)
		}
		if len(results) != len(batch) {
			return nil, fmt.Errorf("batch %d: %d results for %d events", n, len(results), len(batch))
		}
		all = append(all, results...)
	}
	if extra, err := receive(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("the stream does not end after the last answer: %d more results, %v", len(extra), err)
	}
	return all, nil
}

func checkBatches(ctx context.Context, t *trial) error {
	if err := t.translates(); err != nil {
		return err
	}
	alone := make([][][]byte, len(t.events))
	for i, e := range t.events {
		alone[i] = [][]byte{e}
	}
	first, err := t.ask(ctx, alone)
	if err != nil {
		return fmt.Errorf("one by one: %w", err)
	}
	var wait sync.WaitGroup
	var together [2][]*pluginv1.TranslateResult
	var errs [2]error
	for n := range together {
		wait.Go(func() { together[n], errs[n] = t.ask(ctx, [][][]byte{t.events, nil}) })
	}
	wait.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		return fmt.Errorf("together: %w", err)
	}
	for i := range first {
		for n := range together {
			if !proto.Equal(first[i], together[n][i]) {
				return fmt.Errorf("event %d has another result in a batch than alone: %.300s", i, t.events[i])
			}
		}
	}
	return nil
}

func checkMalformed(ctx context.Context, t *trial) error {
	if err := t.translates(); err != nil {
		return err
	}
	good := t.events[0]
	bad := []string{"", "{", "null", "[]", `{"context":1}`, `{"meta":{"type":7}}`, "\xff\xfe", strings.Repeat("[", 100000)}
	var batch [][]byte
	for _, b := range bad {
		batch = append(batch, []byte(b))
	}
	batch = append(batch, good)
	results, err := t.ask(ctx, [][][]byte{batch, {good}})
	if err != nil {
		return err
	}
	for i, b := range bad {
		if results[i].GetError().GetCode() == "" {
			return fmt.Errorf("%.40q has no error with a code", b)
		}
		if len(results[i].GetEvents()) > 0 {
			return fmt.Errorf("%.40q has an error and events at once", b)
		}
	}
	if !proto.Equal(results[len(bad)], results[len(bad)+1]) {
		return errors.New("an event has another result among malformed ones than alone")
	}
	return nil
}

func checkLarge(ctx context.Context, t *trial) error {
	if err := t.translates(); err != nil {
		return err
	}
	for _, size := range []int{5 << 20, 16 << 20} {
		large := enlarge(t.events[0], size)
		if _, err := t.askWithin(ctx, 4*t.options.Patience, [][][]byte{{large}}); err != nil {
			return fmt.Errorf("an event of %d MiB: %w", size>>20, err)
		}
	}
	return nil
}

// enlarge adds custom data to an event.
func enlarge(event []byte, size int) []byte {
	pad := strings.Repeat("x", max(1, size-len(event)-200))
	var e map[string]json.RawMessage
	if json.Unmarshal(event, &e) != nil {
		return event
	}
	if data, ok := e["data"]; ok {
		var d map[string]json.RawMessage
		if json.Unmarshal(data, &d) != nil {
			return event
		}
		d["customData"] = json.RawMessage(`[{"key":"pad","value":"` + pad + `"}]`)
		e["data"], _ = json.Marshal(d)
	} else {
		e["customData"] = json.RawMessage(`{"pad":"` + pad + `"}`)
		e["customDataContentType"] = json.RawMessage(`"application/json"`)
	}
	out, err := json.Marshal(e)
	if err != nil {
		return event
	}
	return out
}

// chain puts the plugin to its use, over the bridge's own translator.
func (t *trial) chain(explain bool) (*host.Chain, func(), error) {
	engine, err := translate.New(translate.Settings{Explain: explain})
	if err != nil {
		return nil, nil, err
	}
	refusing, err := translate.New(translate.Settings{NoMapping: translate.NoMappingRefuse, Explain: explain})
	if err != nil {
		return nil, nil, err
	}
	decorator := t.description.GetKind() == pluginv1.Kind_KIND_DECORATOR
	m := host.NewMapping(t.process, decorator, host.MappingSettings{Timeout: t.options.Patience, Attempts: 1})
	mode := host.ModeOverride
	if decorator {
		mode = host.ModeDecorate
	}
	chain := host.NewChain(engine, refusing, []host.Link{{Plugin: m, Mode: mode}})
	if explain {
		chain = chain.Explaining()
	}
	return chain, m.Close, nil
}

func checkResults(ctx context.Context, t *trial) error {
	if err := t.translates(); err != nil {
		return err
	}
	chain, done, err := t.chain(false)
	if err != nil {
		return err
	}
	defer done()
	ledger := translate.NewMemoryLedger()
	var errs []error
	for i, text := range t.events {
		in, err := translate.Decode(text)
		if err != nil {
			return skipError(fmt.Sprintf("event %d is none: %v", i, err))
		}
		_, err = translate.Ask(ctx, chain.Consult().Ask(ctx), ledger, in)
		var e *translate.EventError
		switch {
		case errors.As(err, &e) && slices.Contains([]string{translate.CodeInvalidOutput, host.CodePluginFailed, host.CodePluginUnavailable}, e.Code):
			errs = append(errs, err)
		case err != nil && e == nil:
			errs = append(errs, err)
		}
		if len(errs) == 3 {
			break
		}
	}
	return errors.Join(errs...)
}

func checkLaws(ctx context.Context, t *trial) error {
	if err := t.translates(); err != nil {
		return err
	}
	if t.description.GetKind() == pluginv1.Kind_KIND_DECORATOR {
		return skipError("a decorator is no translator of its own")
	}
	chain, done, err := t.chain(false)
	if err != nil {
		return err
	}
	defer done()
	return t.obeys(ctx, chain, "output", "links", "order", "determinism", "input", "idempotence")
}

// obeys holds a chain to laws of translators.
func (t *trial) obeys(ctx context.Context, chain *host.Chain, laws ...string) error {
	var cases []translator.Case
	for i, e := range t.events {
		in, err := translate.Decode(e)
		if err != nil || len(in.Validate()) > 0 {
			continue
		}
		cases = append(cases, translator.Case{Name: fmt.Sprintf("event %d", i), Events: [][]byte{e}})
	}
	if len(cases) == 0 {
		return skipError("there is no valid event to try")
	}
	standard := translate.DefaultSettings()
	report, err := translator.Test(ctx, func(s translate.Settings) (translate.Translator, error) {
		if s.Edition != "" && s.Edition != standard.Edition || s.Spec != "" && s.Spec != standard.Spec || s.Carry != "" && s.Carry != standard.Carry {
			return nil, errors.New("a plugin has no settings")
		}
		return chain, nil
	}, translator.Options{Cases: cases, Laws: laws, MaxFindings: 3})
	if err != nil {
		return err
	}
	return report.Err()
}

// checkMoves is for plugins that tell moves at all.
func checkMoves(ctx context.Context, t *trial) error {
	if err := t.translates(); err != nil {
		return err
	}
	if t.description.GetKind() == pluginv1.Kind_KIND_DECORATOR {
		return skipError("a decorator tells no moves")
	}
	explaining, done, err := t.chain(true)
	if err != nil {
		return err
	}
	defer done()
	silent, done, err := t.chain(false)
	if err != nil {
		return err
	}
	defer done()
	told := false
	for n, text := range t.events {
		in, err := translate.Decode(text)
		if err != nil {
			continue
		}
		without, err := translate.Ask(ctx, silent.Consult().Ask(ctx), translate.NewMemoryLedger(), in)
		if err != nil {
			continue // another check's business
		}
		with, err := translate.Ask(ctx, explaining.Consult().Ask(ctx), translate.NewMemoryLedger(), in)
		if err != nil {
			return fmt.Errorf("event %d: asked for moves: %w", n, err)
		}
		if !strings.HasPrefix(with.Row, "plugin ") || len(with.Moves) == 0 {
			continue
		}
		told = true
		if !slices.EqualFunc(with.Events, without.Events, func(a, b translate.Event) bool { return bytes.Equal(a.JSON, b.JSON) }) {
			return fmt.Errorf("event %d becomes something else when moves are asked for: %.300s", n, text)
		}
	}
	if told {
		return t.obeys(ctx, explaining, "accounting")
	}
	return skipError("it tells no moves")
}

// checkMetrics comes after the plugin has worked.
func checkMetrics(ctx context.Context, t *trial) error {
	i, err := t.present(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, t.options.Patience)
	defer cancel()
	response, err := pluginv1.NewPluginServiceClient(i.Conn).Metrics(ctx, &pluginv1.MetricsRequest{})
	switch {
	case status.Code(err) == codes.Unimplemented:
		return skipError("it has no metrics of its own")
	case err != nil:
		return fmt.Errorf("ask for its metrics: %w", err)
	}
	_, wrong := pluginwire.SoundMetrics(response.GetFamilies())
	return errors.Join(wrong...)
}

func checkStdout(ctx context.Context, t *trial) error {
	if _, err := t.present(ctx); err != nil {
		return err
	}
	if t.noise > 0 {
		return fmt.Errorf("it wrote %d lines to standard output after the handshake; standard error is for logs", t.noise)
	}
	return nil
}

func checkKilled(ctx context.Context, t *trial) error {
	i, err := t.present(ctx)
	if err != nil {
		return err
	}
	i.Worked()
	translates := t.translates() == nil
	var before []*pluginv1.TranslateResult
	if translates {
		if before, err = t.ask(ctx, [][][]byte{t.events}); err != nil {
			return err
		}
	}
	process, err := os.FindProcess(i.PID)
	if err != nil {
		return err
	}
	if err := process.Kill(); err != nil {
		return err
	}
	<-i.Done()
	if _, err := t.present(ctx); err != nil {
		t.gone = true
		return fmt.Errorf("after it was killed: %w", err)
	}
	if !translates {
		return nil
	}
	after, err := t.ask(ctx, [][][]byte{t.events})
	if err != nil {
		return fmt.Errorf("after it was killed: %w", err)
	}
	for n := range before {
		if !proto.Equal(before[n], after[n]) {
			return fmt.Errorf("event %d has another result after a restart: %.300s", n, t.events[n])
		}
	}
	return nil
}

// checkHostGone ends the lease and the connection, as when the host was killed, and leaves standard input open: not every
// host has one to give.
func checkHostGone(ctx context.Context, t *trial) error {
	b, err := t.bare(ctx, "1")
	if err != nil {
		return err
	}
	defer b.kill()
	parts := strings.Split(b.line, "|")
	if len(parts) < 5 {
		return fmt.Errorf("its handshake is %q", b.line)
	}
	target := parts[3]
	if parts[2] == "unix" {
		target = "unix://" + target
	}
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	started, cancel := context.WithTimeout(ctx, t.options.Patience)
	defer cancel()
	service := pluginv1.NewPluginServiceClient(conn)
	lease, err := service.Lease(started, &pluginv1.LeaseRequest{})
	if err == nil {
		_, err = service.Configure(started, &pluginv1.ConfigureRequest{Config: t.options.Config, Name: "under test", AsSource: t.description.GetSource(), AsSink: t.description.GetSink()})
	}
	if err == nil {
		_, err = lease.Recv()
	}
	if err != nil {
		return fmt.Errorf("take the lease: %w", err)
	}
	cancel()
	_ = conn.Close()
	select {
	case <-b.done:
		return nil
	case <-time.After(5 * time.Second):
		return errors.New("its lease ended five seconds ago, and it still runs")
	}
}

func checkEnds(ctx context.Context, t *trial) error {
	i, err := t.present(ctx)
	if err != nil {
		return err
	}
	if err := t.process.Close(); err != nil {
		return err
	}
	if i.Killed() {
		return errors.New("it had to be killed: its lease had ended, and GRPCController.Shutdown was called")
	}
	return nil
}
