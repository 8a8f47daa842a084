package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cdevents "github.com/cdevents/sdk-go/pkg/api"
	cdevents04 "github.com/cdevents/sdk-go/pkg/api/v04"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/plugins/webhookv1"
)

const eiffelExamples = "../../examples/events/eiffel"

var binary string

func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "eiffel-translator")
	if err == nil {
		binary = filepath.Join(folder, "eiffel")
		var out []byte
		if out, err = exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
			err = fmt.Errorf("%w\n%s", err, out)
		}
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

// client is the adapter's side of the protocol.
type client struct{ plugin.NetRPCUnsupportedPlugin }

func (client) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error { return nil }

func (client) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return webhookv1.NewEventTranslatorClient(conn), nil
}

// start runs the binary as the adapter does: through a shell, in its own environment, without TLS and with the limits that gRPC
// has by default.
func start(t *testing.T, env ...string) webhookv1.EventTranslatorClient {
	t.Helper()
	cmd := exec.Command("sh", "-c", binary)
	cmd.Env = append(os.Environ(), env...)
	c := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "BASIC_PLUGIN", MagicCookieValue: "hello"},
		Plugins:          plugin.PluginSet{"translator_grpc": client{}},
		Cmd:              cmd,
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolNetRPC, plugin.ProtocolGRPC},
		Logger:           hclog.NewNullLogger(),
	})
	t.Cleanup(c.Kill)
	protocol, err := c.Client()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := protocol.Dispense("translator_grpc")
	if err != nil {
		t.Fatal(err)
	}
	return raw.(webhookv1.EventTranslatorClient)
}

func translateOne(t *testing.T, c webhookv1.EventTranslatorClient, event string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	response, err := c.TranslateEvent(ctx, &webhookv1.TranslateEventRequest{
		Event:   event,
		Headers: []*webhookv1.HeaderEntry{{Key: "Content-Type", Values: []*webhookv1.HeaderValue{{Value: "application/json"}}}},
	})
	return response.GetEvent(), err
}

func example(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(eiffelExamples, name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestExamples does with each CDEvent what the adapter does.
func TestExamples(t *testing.T) {
	c := start(t)
	files, err := filepath.Glob(eiffelExamples + "/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		text, err := translateOne(t, c, example(t, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		event, err := cdevents04.NewFromJsonString(text)
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, text)
			continue
		}
		message, err := cdevents.AsCloudEvent(event)
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, text)
		} else if message.ID() == "" || !strings.HasPrefix(message.Type(), "dev.cdevents") {
			t.Errorf("%s: %v", name, message)
		}
	}
}

func TestErrors(t *testing.T) {
	c := start(t)
	deployed := example(t, "ArtifactDeployed")
	for name, test := range map[string]struct {
		event string
		code  codes.Code
		text  string
	}{
		"broken":     {`{"meta":`, codes.InvalidArgument, "not valid JSON at byte"},
		"no event":   {`{"a":1}`, codes.InvalidArgument, "neither"},
		"a CDEvent":  {`{"context":{"id":"i","source":"/s","type":"dev.cdevents.service.deployed.0.2.0"}}`, codes.InvalidArgument, "event i (dev.cdevents.service.deployed.0.2.0) is a CDEvent already"},
		"wrong data": {strings.Replace(deployed, `"links"`, `"lynx"`, 1), codes.InvalidArgument, "event 147d647d-e639-4c71-8bc4-bc81a0ff9b11 (EiffelArtifactDeployedEvent)"},
		"wrong id":   {strings.ReplaceAll(deployed, "147d647d-e639-4c71-8bc4-bc81a0ff9b11", "one"), codes.InvalidArgument, "event one (EiffelArtifactDeployedEvent) at /meta/id"},
	} {
		text, err := translateOne(t, c, test.event)
		if status.Code(err) != test.code || !strings.Contains(err.Error(), test.text) || text != "" {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	// None of them harms what follows.
	if _, err := translateOne(t, c, deployed); err != nil {
		t.Error(err)
	}
}

// An event is larger than what gRPC takes by default; the CDEvent without its original is small enough for the adapter.
func TestLargeEvent(t *testing.T) {
	c := start(t, "EIFFEL_TRANSLATOR_CARRY=none")
	text, err := translateOne(t, c, strings.Replace(example(t, "ArtifactDeployed"), `"webshop 2.1.0 to production"`, `"`+strings.Repeat("x", 15<<20)+`"`, 1))
	if err != nil || len(text) > 1<<20 {
		t.Errorf("%d bytes, %v", len(text), err)
	}
}

// Each event has a process of its own, as under the adapter; the ledger is what they share. Two processes at once wait for each
// other.
func TestLedger(t *testing.T) {
	ledger := "EIFFEL_TRANSLATOR_LEDGER=" + filepath.Join(t.TempDir(), "ledger")
	content := func(env ...string) string {
		t.Run("", func(t *testing.T) {
			for _, name := range []string{"ArtifactCreated", "EnvironmentDefined"} {
				t.Run(name, func(t *testing.T) { // its process ends with it
					if _, err := translateOne(t, start(t, env...), example(t, name)); err != nil {
						t.Error(err)
					}
				})
			}
		})
		var out string
		t.Run("", func(t *testing.T) {
			text, err := translateOne(t, start(t, env...), example(t, "ArtifactDeployed"))
			if err != nil {
				t.Fatal(err)
			}
			doc, err := jsondoc.Parse([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			out = doc.Root().At("subject", "content", "artifactId").Str()
		})
		return out
	}
	if id := content(); id != "urn:uuid:8ec826ca-6311-43ad-a522-e094be52845c" {
		t.Errorf("without a ledger the artifact is %s", id)
	}
	if id := content(ledger); !strings.HasPrefix(id, "pkg:") {
		t.Errorf("with a ledger the artifact is %s", id)
	}

	first := start(t, ledger)
	second := make(chan error, 1)
	go func() {
		c := exec.Command(binary, "-ledger-wait", "100ms")
		c.Env = append(os.Environ(), ledger, "BASIC_PLUGIN=hello")
		out, err := c.CombinedOutput()
		if err == nil || !bytes.Contains(out, []byte("open ledger")) || !bytes.Contains(out, []byte("busy")) {
			second <- fmt.Errorf("%w: %s", err, out)
		}
		close(second)
	}()
	if err := <-second; err != nil {
		t.Error(err)
	}
	if _, err := translateOne(t, first, example(t, "ArtifactDeployed")); err != nil {
		t.Error(err)
	}
}

func TestStart(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		env  map[string]string
		code int
		text string
	}{
		"by hand":    {nil, nil, 2, "started by hand"},
		"help":       {[]string{"-h"}, nil, 0, "EIFFEL_TRANSLATOR_LEDGER"},
		"arguments":  {[]string{"x"}, nil, 2, `only flags: ["x"]`},
		"bad carry":  {nil, map[string]string{"EIFFEL_TRANSLATOR_CARRY": "some"}, 2, `carry: "some" is unknown`},
		"bad spec":   {[]string{"-spec", "0.9"}, map[string]string{"BASIC_PLUGIN": "hello"}, 1, `spec: "0.9" is not`},
		"bad ledger": {[]string{"-ledger", "main_test.go"}, map[string]string{"BASIC_PLUGIN": "hello"}, 1, "main_test.go"},
	} {
		var out bytes.Buffer
		code := run(test.args, func(key string) (string, bool) { v, ok := test.env[key]; return v, ok }, &out)
		if code != test.code || !strings.Contains(out.String(), test.text) {
			t.Errorf("%s: %d, %s", name, code, out.String())
		}
	}
}

// The protocol has no lease: the translator goes when whoever started it is gone.
func TestOrphan(t *testing.T) {
	// The shell in between is the host that dies; what it started is told by the handshake's reader, whose pipe ends.
	cmd := exec.Command("sh", "-c", "BASIC_PLUGIN=hello "+binary+" & sleep 0.3; kill -9 $$")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		var text bytes.Buffer
		_, _ = text.ReadFrom(out) // until the last process that has the pipe ends
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Error("the translator outlived who started it")
	}
	_ = cmd.Wait()
}
