package plugin_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/eiffelbridge/eiffelbridge/conformance/plugin"
	"github.com/eiffelbridge/eiffelbridge/internal/pluginwire"
	"github.com/eiffelbridge/eiffelbridge/plugins/host"
	"github.com/eiffelbridge/eiffelbridge/plugins/pluginv1"
	"github.com/eiffelbridge/eiffelbridge/plugins/sdk"
	"github.com/eiffelbridge/eiffelbridge/translate"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// TestMain lets the test binary be the plugins of the tests.
func TestMain(m *testing.M) {
	what := os.Getenv("TEST_PLUGIN")
	if what == "" {
		os.Exit(m.Run())
	}
	if err := serve(what); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

var event = []byte(`{"context":{"specversion":"0.5.1","id":"1","source":"s","type":"dev.cdeventsx.tool-thing.happened.0.1.0","timestamp":"2026-03-01T09:30:00Z"},"subject":{"id":"x","content":{}}}`)

// faults are the checks that each bad plugin must fail, and no others.
var faults = map[string][]string{
	"good":        nil,
	"go-plugin":   nil, // served by go-plugin's own server
	"cookie":      {"cookie"},
	"version":     {"version"},
	"locks":       {"killed"},
	"orphan":      {"host_gone", "ends"},
	"noise":       {"stdout"},
	"small":       {"large"},
	"random ids":  {"batches", "malformed", "laws", "killed"},
	"invalid":     {"results", "laws"},
	"miscounts":   {"batches", "malformed", "large", "results", "laws", "killed"},
	"explains":    nil,
	"mismoves":    {"moves"},
	"mismeasures": {"metrics"},
	"dies":        {"malformed"},
	"hangs":       {"large"},
	"exits":       {"start"},
	"speaks 7":    {"start"},
	"nameless":    {"start"},
}

func serve(what string) error {
	options := sdk.MappingOptions{Name: "test", Version: "1", Translator: mapping{what}}
	switch what {
	case "cookie":
		_ = os.Setenv(host.CookieName, host.CookieValue)
	case "version":
		if os.Getenv("PLUGIN_PROTOCOL_VERSIONS") == "4711" {
			fmt.Println("1|4711|tcp|127.0.0.1:1|grpc|")
			time.Sleep(time.Minute)
		}
	case "locks":
		if os.Getenv(host.CookieName) != "" {
			lock, err := os.OpenFile(os.Getenv("LOCK"), os.O_CREATE|os.O_EXCL, 0o600)
			if err != nil {
				return err
			}
			_ = lock.Close()
			defer func() { _ = os.Remove(lock.Name()) }()
		}
	case "exits":
		return errors.New("I do not want to")
	case "speaks 7":
		if os.Getenv(host.CookieName) == "" {
			return errors.New("there is no cookie")
		}
		fmt.Println("1|7|tcp|127.0.0.1:1|grpc|")
		time.Sleep(time.Minute)
	case "nameless":
		options.Name = ""
	case "good":
		options.Metrics = sdk.NewMetrics()
		options.Metrics.Gauge("quality", "How good it is.").Set(1)
	case "orphan", "small", "go-plugin", "miscounts", "mismeasures", "dies":
		limit := 64 << 20
		if what == "small" {
			limit = 4 << 20
		}
		service := &own{what: what}
		goplugin.Serve(&goplugin.ServeConfig{
			HandshakeConfig:  goplugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: host.CookieName, MagicCookieValue: host.CookieValue},
			VersionedPlugins: map[int]goplugin.PluginSet{1: {"plugin": service}},
			GRPCServer: func(o []grpc.ServerOption) *grpc.Server {
				return grpc.NewServer(append(o, grpc.MaxRecvMsgSize(limit), grpc.MaxSendMsgSize(64<<20))...)
			},
		})
		if what == "orphan" {
			select {}
		}
		return nil
	}
	return sdk.ServeMapping(options)
}

type mapping struct{ what string }

var calls atomic.Int64

// Translate implements [translate.Translator].
func (m mapping) Translate(in translate.Event, _ *ledger.Facts) (translate.Result, error) {
	if in.Protocol != translate.CDEvents {
		return translate.Result{}, &translate.EventError{Code: translate.CodeNoMapping, Message: "not mine"}
	}
	id := in.DerivedID()
	switch m.what {
	case "noise":
		_, _ = os.NewFile(1, "stdout").WriteString("noise\n")
	case "random ids":
		id = in.DerivedID(fmt.Sprint(time.Now().UnixNano(), calls.Add(1)))
	case "invalid":
		id = "none"
	case "hangs":
		if len(in.JSON) > 1<<20 {
			select {}
		}
	}
	out, err := translate.Decode(fmt.Appendf(nil, `{"meta":{"id":%q,"type":"EiffelCompositionDefinedEvent","version":"3.3.0","time":%d},"data":{"name":%q},"links":[]}`, id, in.Time, in.Subject))
	result := translate.Result{Events: []translate.Event{out}}
	if m.what == "explains" || m.what == "mismoves" {
		result.Losses = []translate.Loss{{Pointer: "/context/specversion", Reason: "no_counterpart"}, {Pointer: "/context/source", Reason: "no_counterpart"}}
		result.Moves = []translate.Move{
			{From: "/context/id", To: "/meta/id", Fidelity: translate.OneWay}, {From: "/context/type", To: "/meta/type", Fidelity: translate.OneWay},
			{From: "/context/timestamp", To: "/meta/time", Fidelity: translate.OneWay}, {From: "/subject/id", To: "/data/name"},
		}
		if m.what == "mismoves" {
			result.Moves = result.Moves[1:]
		}
	}
	return result, err
}

// own is a plugin that is not made with the SDK.
type own struct {
	goplugin.NetRPCUnsupportedPlugin
	pluginv1.UnimplementedPluginServiceServer
	pluginv1.UnimplementedMappingServiceServer
	what string
}

func (o *own) GRPCServer(_ *goplugin.GRPCBroker, s *grpc.Server) error {
	pluginv1.RegisterPluginServiceServer(s, o)
	pluginv1.RegisterMappingServiceServer(s, o)
	return nil
}

func (o *own) GRPCClient(context.Context, *goplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("this is a plugin")
}

func (o *own) Describe(context.Context, *pluginv1.DescribeRequest) (*pluginv1.DescribeResponse, error) {
	return &pluginv1.DescribeResponse{Name: "own", Kind: pluginv1.Kind_KIND_MAPPING}, nil
}

func (o *own) Configure(context.Context, *pluginv1.ConfigureRequest) (*pluginv1.ConfigureResponse, error) {
	return &pluginv1.ConfigureResponse{}, nil
}

func (o *own) Metrics(ctx context.Context, in *pluginv1.MetricsRequest) (*pluginv1.MetricsResponse, error) {
	if o.what != "mismeasures" {
		return o.UnimplementedPluginServiceServer.Metrics(ctx, in)
	}
	return &pluginv1.MetricsResponse{Families: []*pluginv1.MetricFamily{{Name: "no name", Kind: pluginv1.MetricKind_METRIC_KIND_GAUGE}}}, nil
}

func (o *own) Lease(_ *pluginv1.LeaseRequest, s grpc.ServerStreamingServer[pluginv1.LeaseResponse]) error {
	if err := s.Send(&pluginv1.LeaseResponse{Ready: true}); err != nil {
		return err
	}
	<-s.Context().Done()
	if o.what != "orphan" {
		time.AfterFunc(100*time.Millisecond, func() { os.Exit(0) })
	}
	return nil
}

func (o *own) Translate(s grpc.BidiStreamingServer[pluginv1.TranslateRequest, pluginv1.TranslateResponse]) error {
	for {
		request, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		response := &pluginv1.TranslateResponse{}
		for _, item := range request.GetItems() {
			in, err := translate.Decode(item.GetEvent())
			if err != nil && o.what == "dies" {
				os.Exit(9)
			}
			var result translate.Result
			if err == nil {
				result, err = mapping{}.Translate(in, nil)
			}
			response.Results = append(response.Results, pluginwire.FromResult(result, err))
		}
		if o.what == "miscounts" && len(response.Results) > 0 {
			response.Results = response.Results[1:]
		}
		if err := s.Send(response); err != nil {
			return err
		}
	}
}

// TestFaults has a plugin with each fault fail the checks for it and pass the others.
func TestFaults(t *testing.T) {
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			patience := 15 * time.Second // of which only those need all that fail
			if name == "hangs" {
				patience = 5 * time.Second
			}
			report, err := plugin.Test(t.Context(), plugin.Options{
				Path: path, Env: map[string]string{"TEST_PLUGIN": name, "LOCK": filepath.Join(t.TempDir(), "lock")}, Events: [][]byte{event}, Patience: patience,
			})
			if err != nil {
				t.Fatal(err)
			}
			var got, text []string
			for _, r := range report.Results {
				if r.Err != nil {
					got = append(got, r.Check)
					text = append(text, fmt.Sprintf("%s: %v", r.Check, r.Err))
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("failed %v, want %v\n%s", got, want, strings.Join(text, "\n"))
			}
			joined := ""
			if err := report.Err(); err != nil {
				joined = err.Error()
			}
			if joined != strings.Join(text, "\n") {
				t.Errorf("Err is\n%s\nwant\n%s", joined, strings.Join(text, "\n"))
			}
		})
	}
}

// TestHostKilled kills a host and looks for its plugin.
func TestHostKilled(t *testing.T) {
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("there is no /proc to look for the process in")
	}
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"good", "orphan"} { // the latter knows no lease
		cmd := exec.Command(path)
		cmd.Env = append(os.Environ(), "TEST_PLUGIN=", "TEST_HOST="+what, "TMPDIR="+t.TempDir()) // what a killed host leaves
		cmd.Args = append(cmd.Args, "-test.run=TestBeHost")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var pid int
		if _, err := fmt.Fscanf(out, "plugin %d\n", &pid); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		gone := false
		for range 100 {
			if gone = !runs(pid); gone {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		if !gone {
			t.Errorf("%s: the plugin still runs five seconds after its host was killed", what)
		}
	}
}

// runs tells whether a process is there; one that nobody has reaped is not.
func runs(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	return !strings.HasPrefix(rest, "Z")
}

// TestBeHost is the host of TestHostKilled.
func TestBeHost(t *testing.T) {
	what := os.Getenv("TEST_HOST")
	if what == "" {
		return // nobody is there to be a host for
	}
	s := host.DefaultSettings()
	s.Name, s.Dev, s.Env = "x", true, map[string]string{"TEST_PLUGIN": what}
	s.Path, _ = os.Executable()
	p, err := host.Start(s)
	if err != nil {
		t.Fatal(err)
	}
	i, err := p.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("plugin %d\n", i.PID)
	time.Sleep(time.Minute)
}
