package sdk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"

	"google.golang.org/grpc"

	"github.com/eiffelbridge/eiffelbridge/internal/pluginwire"
	"github.com/eiffelbridge/eiffelbridge/plugins/pluginv1"
	"github.com/eiffelbridge/eiffelbridge/translate"
	"github.com/eiffelbridge/eiffelbridge/translate/compose"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// MappingOptions describe a mapping plugin.
type MappingOptions struct {
	Name, Version string // of the plugin, for people

	// Types are the event types that the plugin translates: "subject.predicate" or "dev.cdeventsx..." up to its version for
	// CDEvents, "Eiffel...Event" for Eiffel. It is not asked about others. Empty: it is asked about every event.
	Types []string

	// Translator does the work; see [translate.Translator] for what it must keep. An error of code
	// [translate.CodeNoMapping] says that the plugin has no mapping for an event.
	Translator translate.Translator

	// Configure, if not nil, makes the translator of the section `config` of the plugin's configuration (as JSON; empty if
	// there is none), in place of Translator. It is called once. An error is shown to the user.
	Configure func(config []byte) (translate.Translator, error)

	Metrics *Metrics // the plugin's own; nil: none
}

// Explainer is a translator that can tell [translate.Result.Moves] as well. A mapping plugin whose translator is one is asked by
// Explain, in place of Translate, when somebody wants to see them, as eiffelbridge explain does; the result is the same otherwise. A
// translator that always fills the moves need not be one.
type Explainer interface {
	translate.Translator
	Explain(in translate.Event, facts *ledger.Facts) (translate.Result, error)
}

// ServeMapping serves a mapping plugin until its host is gone or has no more use for it. It is all that the main of a plugin
// does.
func ServeMapping(o MappingOptions) error {
	if (o.Translator == nil) == (o.Configure == nil) {
		return errors.New("a mapping plugin needs either a Translator or Configure")
	}
	m := &mappingServer{translator: o.Translator}
	return serve(served{
		description: &pluginv1.DescribeResponse{Name: o.Name, Version: o.Version, Kind: pluginv1.Kind_KIND_MAPPING, Types: o.Types},
		configure:   configured(o.Configure, func(t translate.Translator) { m.translator = t }),
		register:    func(s *grpc.Server) { pluginv1.RegisterMappingServiceServer(s, m) },
		metrics:     o.Metrics,
	})
}

// configured adapts the Configure of the options; nil stays nil.
func configured[T any](make func([]byte) (T, error), keep func(T)) func(context.Context, *pluginv1.ConfigureRequest) error {
	if make == nil {
		return nil
	}
	return func(_ context.Context, in *pluginv1.ConfigureRequest) error {
		made, err := make(in.GetConfig())
		if err != nil {
			return err
		}
		keep(made)
		return nil
	}
}

type mappingServer struct {
	pluginv1.UnimplementedMappingServiceServer
	translator translate.Translator // set before the first call, by Configure
}

// Translate implements the service.
func (m *mappingServer) Translate(stream grpc.BidiStreamingServer[pluginv1.TranslateRequest, pluginv1.TranslateResponse]) error {
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		response := &pluginv1.TranslateResponse{Results: make([]*pluginv1.TranslateResult, 0, len(request.GetItems()))}
		for _, item := range request.GetItems() {
			response.Results = append(response.Results, one(item, func(in translate.Event, facts *ledger.Facts) (translate.Result, error) {
				if explainer, ok := m.translator.(Explainer); ok && item.GetExplain() {
					return explainer.Explain(in, facts)
				}
				return m.translator.Translate(in, facts)
			}))
		}
		if err := stream.Send(response); err != nil {
			return err
		}
	}
}

// one translates one item. What goes wrong is the item's: the others are translated.
func one(item *pluginv1.TranslateItem, do func(translate.Event, *ledger.Facts) (translate.Result, error)) (result *pluginv1.TranslateResult) {
	in, err := translate.Decode(item.GetEvent())
	if err != nil {
		return pluginwire.FromResult(translate.Result{}, err)
	}
	defer func() {
		if p := recover(); p != nil {
			slog.Error("panic in the plugin", "event", in.ID, "type", in.Type, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			result = pluginwire.FromResult(translate.Result{}, &translate.EventError{Code: translate.CodeMapping, Message: fmt.Sprintf("the plugin panicked: %v", p)})
		}
	}()
	made, err := do(in, pluginwire.ToFacts(item.GetFacts()))
	if !item.GetExplain() {
		made.Moves = nil // nobody reads them
	}
	return pluginwire.FromResult(made, err)
}

// DecoratorOptions describe a decorator plugin.
type DecoratorOptions struct {
	Name, Version string

	// Types are the types of the events whose results are edited, as in [MappingOptions]. Empty: all.
	Types []string

	// Decorate edits what another translator made of an event. Like a translator it is deterministic and does not change its
	// arguments: it gives a new result, or the old one. It may set Need: it is then called again with the answers in facts.
	Decorate compose.Decorator

	// Configure makes the decorator of the plugin's configuration, in place of Decorate, as in [MappingOptions].
	Configure func(config []byte) (compose.Decorator, error)

	Metrics *Metrics // the plugin's own; nil: none
}

// ServeDecorator serves a decorator plugin until its host is gone or has no more use for it.
func ServeDecorator(o DecoratorOptions) error {
	if (o.Decorate == nil) == (o.Configure == nil) {
		return errors.New("a decorator plugin needs either Decorate or Configure")
	}
	d := &decoratorServer{decorate: o.Decorate}
	return serve(served{
		description: &pluginv1.DescribeResponse{Name: o.Name, Version: o.Version, Kind: pluginv1.Kind_KIND_DECORATOR, Types: o.Types},
		configure:   configured(o.Configure, func(f compose.Decorator) { d.decorate = f }),
		register:    func(s *grpc.Server) { pluginv1.RegisterDecoratorServiceServer(s, d) },
		metrics:     o.Metrics,
	})
}

type decoratorServer struct {
	pluginv1.UnimplementedDecoratorServiceServer
	decorate compose.Decorator
}

// Decorate implements the service.
func (d *decoratorServer) Decorate(stream grpc.BidiStreamingServer[pluginv1.DecorateRequest, pluginv1.DecorateResponse]) error {
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		response := &pluginv1.DecorateResponse{Results: make([]*pluginv1.TranslateResult, 0, len(request.GetItems()))}
		for _, item := range request.GetItems() {
			response.Results = append(response.Results, one(item.GetItem(), func(in translate.Event, facts *ledger.Facts) (translate.Result, error) {
				made, err := pluginwire.ToResult(in, item.GetResult())
				if err != nil {
					return translate.Result{}, err
				}
				return d.decorate(in, made, facts)
			}))
		}
		if err := stream.Send(response); err != nil {
			return err
		}
	}
}
