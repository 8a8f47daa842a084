package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/eiffelbridge/eiffelbridge/plugins/host"
	"github.com/eiffelbridge/eiffelbridge/plugins/pluginv1"
	"github.com/eiffelbridge/eiffelbridge/plugins/sdk"
	"github.com/eiffelbridge/eiffelbridge/translate"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// countingTranslator counts what it is asked.
type countingTranslator struct {
	customTranslator
	asked *sdk.Counter
	last  *sdk.Gauge
}

func (t countingTranslator) Translate(in translate.Event, facts *ledger.Facts) (translate.Result, error) {
	t.asked.Inc(in.Subject)
	t.last.Set(float64(in.Time))
	return t.customTranslator.Translate(in, facts)
}

func serveCounting() error {
	metrics := sdk.NewMetrics()
	return sdk.ServeMapping(sdk.MappingOptions{Name: "counting", Metrics: metrics, Translator: countingTranslator{
		asked: metrics.Counter("asked_total", "Events.", "subject"), last: metrics.Gauge("last_time", "Of the last event."),
	}})
}

// odd is a plugin that is not made with the SDK, and tells of itself what no plugin should.
type odd struct {
	goplugin.NetRPCUnsupportedPlugin
	pluginv1.UnimplementedPluginServiceServer
	pluginv1.UnimplementedMappingServiceServer
	what string
}

func serveOdd(what string) error {
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig:  goplugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: host.CookieName, MagicCookieValue: host.CookieValue},
		VersionedPlugins: map[int]goplugin.PluginSet{1: {"plugin": &odd{what: what}}},
		GRPCServer:       goplugin.DefaultGRPCServer,
	})
	return nil
}

func (o *odd) GRPCServer(_ *goplugin.GRPCBroker, s *grpc.Server) error {
	pluginv1.RegisterPluginServiceServer(s, o)
	pluginv1.RegisterMappingServiceServer(s, o)
	return nil
}

func (o *odd) GRPCClient(context.Context, *goplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("this is a plugin")
}

func (o *odd) Describe(context.Context, *pluginv1.DescribeRequest) (*pluginv1.DescribeResponse, error) {
	return &pluginv1.DescribeResponse{Name: o.what, Kind: pluginv1.Kind_KIND_MAPPING, Types: []string{"dev.cdeventsx.odd-thing.happened"}}, nil
}

func (o *odd) Configure(context.Context, *pluginv1.ConfigureRequest) (*pluginv1.ConfigureResponse, error) {
	return &pluginv1.ConfigureResponse{}, nil
}

func (o *odd) Lease(_ *pluginv1.LeaseRequest, s grpc.ServerStreamingServer[pluginv1.LeaseResponse]) error {
	if err := s.Send(&pluginv1.LeaseResponse{Ready: true}); err != nil {
		return err
	}
	<-s.Context().Done()
	time.AfterFunc(100*time.Millisecond, func() { os.Exit(0) })
	return nil
}

func (o *odd) Metrics(ctx context.Context, _ *pluginv1.MetricsRequest) (*pluginv1.MetricsResponse, error) {
	switch o.what {
	case "hanging":
		select {}
	case "huge":
		return &pluginv1.MetricsResponse{Families: []*pluginv1.MetricFamily{{Name: "huge", Help: strings.Repeat("x", 5<<20), Kind: pluginv1.MetricKind_METRIC_KIND_GAUGE}}}, nil
	case "none":
		return o.UnimplementedPluginServiceServer.Metrics(ctx, nil)
	}
	const counter, gauge = pluginv1.MetricKind_METRIC_KIND_COUNTER, pluginv1.MetricKind_METRIC_KIND_GAUGE
	one := func(v float64, values ...string) []*pluginv1.MetricSeries {
		return []*pluginv1.MetricSeries{{Values: values, Value: v}}
	}
	var many []*pluginv1.MetricSeries
	for i := range 1000 {
		many = append(many, one(1, fmt.Sprint(i))...)
	}
	return &pluginv1.MetricsResponse{Families: []*pluginv1.MetricFamily{
		{Name: "sound", Help: "It is in order.", Kind: gauge, Labels: []string{"text"}, Series: one(7, "a\"b\n\\c")},
		{Name: "no name", Kind: gauge, Series: one(1)},
		{Name: "", Kind: gauge, Series: one(1)},
		{Name: "kindless", Series: one(1)},
		{Name: "counts", Kind: counter, Series: one(1)},
		{Name: "measures_total", Kind: gauge, Series: one(1)},
		{Name: "less_total", Kind: counter, Series: one(-1)},
		{Name: "nan", Kind: gauge, Series: one(math.NaN())},
		{Name: "inf", Kind: gauge, Series: one(math.Inf(1))},
		{Name: "taken", Kind: gauge, Labels: []string{"plugin"}, Series: one(1, "another")},
		{Name: "twice_labelled", Kind: gauge, Labels: []string{"a", "a"}, Series: one(1, "x", "y")},
		{Name: "unlabelled", Kind: gauge, Labels: []string{"a"}, Series: one(1)},
		{Name: "long", Kind: gauge, Labels: []string{"a"}, Series: one(1, strings.Repeat("x", 1000))},
		{Name: "repeats", Kind: gauge, Series: append(one(1), one(2)...)},
		{Name: "sound", Help: "Once more.", Kind: gauge, Series: one(8)},
		{Name: "asked", Help: "A gauge here and a counter elsewhere.", Kind: gauge, Series: one(9)}, // the other plugin comes first
		{Name: "last_time", Help: "Another text.", Kind: gauge, Labels: []string{"more"}, Series: one(10, "labels")},
		{Name: "many", Kind: gauge, Labels: []string{"n"}, Series: many},
		{Name: "never_reached", Kind: gauge, Series: one(1)},
	}}, nil
}

// sharedText is text that several write.
type sharedText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *sharedText) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *sharedText) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// TestMetricsOfPlugins reads /metrics of a relay with an honest plugin beside one that lies, one that hangs, one that tells too
// much, one that has none and one that does not start: the honest one's and the relay's own are there.
func TestMetricsOfPlugins(t *testing.T) {
	dir := t.TempDir()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "in.jsonl"), []byte(customEvent("1", "x")+customEvent("2", "y")+customEvent("3", "y")), 0o600); err != nil {
		t.Fatal(err)
	}
	var uses, defined strings.Builder
	uses.WriteString("{name: nothing, mode: fallback}") // of these plugins, counting is the only one that is asked
	defined.WriteString("  nothing: {path: " + binary + ", args: [nothing], dev: true}\n")
	for _, name := range []string{"counting", "hanging", "huge", "lying", "none"} {
		fmt.Fprintf(&uses, ", {name: %s, mode: override}", name)
		fmt.Fprintf(&defined, "  %s: {path: %s, args: [%s], dev: true}\n", name, binary, name)
	}
	var logs sharedText
	config := ReadConfig(fmt.Appendf(nil, `
version: 1
ledger: {type: memory}
admin: {listen: "127.0.0.1:0"}
dead_letters: {type: file, path: %[1]s/dead.jsonl}
transports:
  in: {type: file, path: %[1]s/in.jsonl}
  out: {type: file, path: %[1]s/out.jsonl}
relays:
  - {name: r, from: in, to: out, translate: eiffel, plugins: [%[2]s]}
plugins:
%[3]s`, dir, uses.String(), defined.String()), nil)
	settings, err := config.Settings(BuildOptions{Logger: slog.New(slog.NewTextHandler(&logs, nil))})
	if err != nil {
		t.Fatal(err)
	}
	d, err := New(settings)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.Shutdown(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	if err := d.Wait(); err != nil {
		t.Fatal(err)
	}
	var text string
	for range 2 { // the second finds out that nothing is logged twice
		response, err := http.Get("http://" + d.Addresses()["admin"].String() + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("%d %v: %s", response.StatusCode, err, body)
		}
		text = string(body)
	}
	for _, want := range []string{
		"# HELP eiffelbridge_plugin_custom_asked_total Events.\n# TYPE eiffelbridge_plugin_custom_asked_total counter\n",
		`eiffelbridge_plugin_custom_asked_total{plugin="counting",subject="x"} 1`,
		`eiffelbridge_plugin_custom_asked_total{plugin="counting",subject="y"} 2`,
		`eiffelbridge_plugin_custom_last_time{plugin="counting"} 1.7`,
		`eiffelbridge_plugin_custom_last_time{more="labels",plugin="lying"} 10`,
		`eiffelbridge_plugin_custom_sound{plugin="lying",text="a\"b\n\\c"} 7`,
		`eiffelbridge_plugin_custom_repeats{plugin="lying"} 1`,
		`eiffelbridge_plugin_up{plugin="hanging"} 1`,
		`eiffelbridge_settled_total{outcome="delivered",relay="r"} 3`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	for _, prefix := range []string{"no name", "kindless", "counts", "measures_total", "less_total", "nan", "inf", "taken", "twice_labelled", "unlabelled", "long", "asked{",
		"never_reached", "huge"} {
		if strings.Contains(text, "eiffelbridge_plugin_custom_"+prefix) {
			t.Errorf("/metrics has %s", prefix)
		}
	}
	if n := strings.Count(text, "eiffelbridge_plugin_custom_many{"); n < 400 || n > 500 {
		t.Errorf("%d series of one metric", n)
	}
	for what, want := range map[string]int{"cannot be shown": 1, "does not tell its metrics\" plugin=hanging": 1, "does not tell its metrics\" plugin=huge": 1, "does not tell": 2} {
		if n := strings.Count(logs.String(), what); n != want {
			t.Errorf("%q was logged %d times, not %d:\n%s", what, n, want, logs.String())
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}
