package host_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/eiffelbridge/eiffelbridge/plugins/host"
	"github.com/eiffelbridge/eiffelbridge/plugins/webhookv1"
)

// nothing is a plugin of go-plugin without a service.
type nothing struct {
	goplugin.NetRPCUnsupportedPlugin
}

func (nothing) GRPCServer(*goplugin.GRPCBroker, *grpc.Server) error { return nil }

func (nothing) GRPCClient(context.Context, *goplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("this is a plugin")
}

// foreignPlugin is a plugin that knows nothing of this project.
func foreignPlugin(what string) error {
	version := uint(webhookv1.Version)
	switch what {
	case "foreign newer":
		version = 2
	case "foreign exits":
		return errors.New("no licence at all")
	case "foreign chats":
		fmt.Println("Welcome to the translator!")
	}
	fmt.Fprintln(os.Stderr, "an event and all that is in it")
	fmt.Fprintln(os.Stderr, `{"@level":"warn","@message":"something is amiss"}`)
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig: goplugin.HandshakeConfig{ProtocolVersion: version, MagicCookieKey: webhookv1.CookieKey, MagicCookieValue: webhookv1.CookieValue},
		Plugins:         goplugin.PluginSet{webhookv1.PluginName: nothing{}},
		GRPCServer:      goplugin.DefaultGRPCServer,
	})
	return nil
}

func foreign(s *host.Settings) {
	s.Handshake = host.Handshake{Cookie: webhookv1.CookieKey, Value: webhookv1.CookieValue, Versions: []int{webhookv1.Version}, Foreign: true}
	s.MaxFailures = 2
}

// TestForeign: a plugin with another handshake is started without a call of ours, started anew when it dies, and ended as go-plugin
// ends its plugins.
func TestForeign(t *testing.T) {
	p, logs := start(t, "foreign", foreign)
	i := wait(t, p)
	if i.Description != nil || i.Version != webhookv1.Version || p.Health() != nil {
		t.Errorf("%+v, version %d, health %v", i.Description, i.Version, p.Health())
	}
	answer, err := grpc_health_v1.NewHealthClient(i.Conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: "plugin"})
	if err != nil || answer.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Errorf("%v, %v", answer, err)
	}
	if metrics, err := p.Metrics(t.Context()); metrics != nil || err != nil {
		t.Errorf("it is asked for metrics: %v, %v", metrics, err)
	}
	process, err := os.FindProcess(i.PID)
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-i.Done()
	again := wait(t, p)
	if again.Number != 2 || again.PID == i.PID {
		t.Errorf("incarnation %d, process %d", again.Number, again.PID)
	}
	if err := p.Close(); err != nil || again.Killed() {
		t.Errorf("%v, killed: %v", err, again.Killed())
	}
	// It does not know that payloads belong to level debug.
	for _, want := range []string{`level=DEBUG msg="an event and all that is in it"`, `level=WARN msg="something is amiss"`} {
		if !strings.Contains(logs.String(), want) {
			t.Errorf("the log lacks %s", want)
		}
	}
}

// TestForeignRefused has foreign plugins that cannot be started.
func TestForeignRefused(t *testing.T) {
	for _, c := range []struct {
		name, what string
		change     func(*host.Settings)
		want       []string
		unfit      bool
	}{
		{"cookie", "foreign", func(s *host.Settings) { s.Handshake.Value = "bonjour" }, []string{"exit status 1", "before it wrote its handshake", "the cookie is BASIC_PLUGIN"}, false},
		{"version", "foreign newer", nil, []string{"speaks version 2 of the plugin protocol, this program version 1"}, true},
		{"older version", "foreign", func(s *host.Settings) { s.Handshake.Versions = []int{3, 4} }, []string{"speaks version 1 of the plugin protocol, this program version 3 and 4"}, true},
		{"exits", "foreign exits", nil, []string{"exit status 1", "no licence at all"}, false},
		{"chats", "foreign chats", nil, []string{`wrote "Welcome to the translator!"`, "standard error"}, true},
		{"one of ours", "mapping", nil, []string{"exit status 1", "is a plugin of Eiffel Bridge"}, false},
		{"silent", "silent", func(s *host.Settings) { s.StartTimeout = 200 * time.Millisecond }, []string{"did not finish its handshake within 200ms"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, _ := start(t, c.what, foreign, func(s *host.Settings) {
				if c.change != nil {
					c.change(s)
				}
			})
			_, err := p.Wait(t.Context())
			var gone *host.UnavailableError
			if !errors.As(err, &gone) || gone.Unfit != c.unfit {
				t.Fatalf("%v", err)
			}
			for _, want := range append(c.want, "plugin tool") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
		})
	}
}
