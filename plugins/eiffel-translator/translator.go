package main

import (
	"context"
	"errors"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/plugins/webhookv1"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// translator serves the adapter's protocol with a session. The headers of a request say nothing that an Eiffel event does not.
type translator struct {
	webhookv1.UnimplementedEventTranslatorServer
	session *translate.Session
	log     hclog.Logger
	close   func() error
}

var _ webhookv1.EventTranslatorServer = (*translator)(nil)

// TranslateEvent fails with INVALID_ARGUMENT if the event can never be translated, with FAILED_PRECONDITION if it becomes none
// or several, which the protocol cannot carry, and with UNAVAILABLE if the ledger is at fault.
func (t *translator) TranslateEvent(ctx context.Context, request *webhookv1.TranslateEventRequest) (*webhookv1.TranslateEventResponse, error) {
	response, err := t.translate(ctx, request)
	if err != nil {
		t.log.Warn("an event is not translated", "reason", status.Convert(err).Message())
	}
	return response, err
}

func (t *translator) translate(ctx context.Context, request *webhookv1.TranslateEventRequest) (*webhookv1.TranslateEventResponse, error) {
	event, err := translate.Decode([]byte(request.GetEvent()))
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	if event.Protocol != translate.Eiffel {
		return nil, status.Errorf(codes.InvalidArgument, "event %.80s (%.80s) is a CDEvent already; Eiffel events are taken", event.ID, event.Type)
	}
	result, err := t.session.TranslateEvent(ctx, event)
	var wrong *translate.EventError
	switch {
	case errors.As(err, &wrong):
		return nil, status.Error(codes.InvalidArgument, err.Error())
	case err != nil:
		return nil, status.Error(codes.Unavailable, err.Error())
	case len(result.Events) != 1:
		return nil, status.Errorf(codes.FailedPrecondition, "event %.80s (%.80s) becomes %d CDEvents, and the webhook adapter takes one", event.ID, event.Type, len(result.Events))
	}
	return &webhookv1.TranslateEventResponse{Event: string(withTags(result.Events[0].JSON))}, nil
}

// withTags gives each link its tags, if only none. The adapter passes an event on through the CDEvents SDK, which writes absent
// tags as null and then finds them invalid.
func withTags(event []byte) []byte {
	doc, err := jsondoc.Parse(event)
	if err != nil {
		return event // not of our making
	}
	links := doc.Root().At("context", "links")
	var out []byte
	for link := range links.Children() {
		out = append(out, ',')
		out = append(out, link.Raw()...)
		if link.Kind() == jsondoc.Object && !link.Get("tags").Exists() {
			out = append(out[:len(out)-1], `,"tags":{}}`...)
		}
	}
	if len(out) == 0 {
		return event
	}
	out[0] = '['
	return jsondoc.AppendReplaced(nil, doc, links, append(out, ']'))
}

// served is the translator as go-plugin wants it.
type served struct {
	plugin.NetRPCUnsupportedPlugin
	translator *translator
}

var _ plugin.GRPCPlugin = (*served)(nil)

// GRPCServer registers the service.
func (s *served) GRPCServer(_ *plugin.GRPCBroker, server *grpc.Server) error {
	webhookv1.RegisterEventTranslatorServer(server, s.translator)
	return nil
}

// GRPCClient is for hosts, which this is not.
func (s *served) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("eiffel-translator is no host")
}
