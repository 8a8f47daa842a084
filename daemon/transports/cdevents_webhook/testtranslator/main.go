// Command testtranslator is a translator of the CDEvents webhook adapter for tests: it gives a body back as it came, or does what
// the header X-Do says.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/eiffelbridge/eiffelbridge/plugins/webhookv1"
)

type translator struct {
	webhookv1.UnimplementedEventTranslatorServer
	plugin.NetRPCUnsupportedPlugin
	calls atomic.Int64
}

//nolint:unparam // the interface has the error
func (t *translator) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	webhookv1.RegisterEventTranslatorServer(s, t)
	return nil
}

func (t *translator) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("no host")
}

func (t *translator) TranslateEvent(_ context.Context, r *webhookv1.TranslateEventRequest) (*webhookv1.TranslateEventResponse, error) {
	headers := map[string][]string{}
	for _, entry := range r.GetHeaders() {
		if _, twice := headers[entry.GetKey()]; twice {
			return nil, fmt.Errorf("header %s came twice", entry.GetKey())
		}
		values := []string{}
		for _, value := range entry.GetValues() {
			values = append(values, value.GetValue())
		}
		headers[entry.GetKey()] = values
	}
	do := ""
	if values := headers["X-Do"]; len(values) > 0 {
		do = values[0]
	}
	number := t.calls.Add(1)
	switch do {
	case "":
		return &webhookv1.TranslateEventResponse{Event: r.GetEvent()}, nil
	case "headers":
		return reply(headers)
	case "environment":
		return reply(os.Environ())
	case "call": // a CDEvent with an id of its own every time
		return &webhookv1.TranslateEventResponse{Event: fmt.Sprintf(`{"context":{"specversion":"0.5.1","id":"%d-%d","source":"/hooks",`+
			`"type":"dev.cdevents.repository.created.0.3.0","timestamp":"2026-01-02T03:04:05Z"},`+
			`"subject":{"id":"shop","source":"/hooks","content":{"name":"shop","uri":"https://git.example.com/shop"}}}`, os.Getpid(), number)}, nil
	case "log": // as the translators in the field do, through zap, on standard error
		fmt.Fprintf(os.Stderr, "{\"level\":\"info\",\"msg\":%q}\n%s\n{\"level\":\"warn\",\"msg\":\"odd\"}\n", r.GetEvent(), r.GetEvent())
		return &webhookv1.TranslateEventResponse{Event: r.GetEvent()}, nil
	case "nothing":
		return &webhookv1.TranslateEventResponse{}, nil
	case "plain error": // as the translators in the field make them: their code is UNKNOWN
		return nil, errors.New("unsupported event")
	case "coded error":
		return nil, status.Error(codes.NotFound, "no such hook")
	case "crash":
		os.Exit(3)
	case "hang":
		time.Sleep(time.Hour)
	case "die once": // and leave a file, by which the next one knows
		file := headers["X-File"][0]
		if _, err := os.Stat(file); err == nil {
			return &webhookv1.TranslateEventResponse{Event: r.GetEvent()}, nil
		}
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			return nil, err
		}
		os.Exit(3)
	}
	return nil, fmt.Errorf("what is %q?", do)
}

func reply(v any) (*webhookv1.TranslateEventResponse, error) {
	var b strings.Builder
	err := json.NewEncoder(&b).Encode(v)
	return &webhookv1.TranslateEventResponse{Event: b.String()}, err
}

func main() {
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: plugin.HandshakeConfig{ProtocolVersion: webhookv1.Version, MagicCookieKey: webhookv1.CookieKey, MagicCookieValue: webhookv1.CookieValue},
		Plugins:         plugin.PluginSet{webhookv1.PluginName: &translator{}},
		GRPCServer: func(options []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(options, grpc.MaxRecvMsgSize(64<<20))...)
		},
		Logger: hclog.NewNullLogger(),
	})
}
