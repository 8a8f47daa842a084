package sdk_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/daemon/transports/file"
	"github.com/eiffelbridge/eiffelbridge/plugins/sdk"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
	"github.com/eiffelbridge/eiffelbridge/translate"
	"github.com/eiffelbridge/eiffelbridge/translate/compose"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// beacon is a mapping: it makes an environment.created of a company's own event and leaves that to the bridge.
type beacon struct{ bridge translate.Translator }

func (b beacon) Translate(in translate.Event, facts *ledger.Facts) (translate.Result, error) {
	if !strings.HasPrefix(in.Type, "dev.cdeventsx.acme-beacon.lit.") {
		return translate.Result{}, &translate.EventError{Code: translate.CodeNoMapping, ID: in.ID, Type: in.Type, Message: "not a beacon"}
	}
	var lit struct {
		Context struct{ ID, Source, Timestamp string }
		Subject struct{ ID string }
	}
	if err := json.Unmarshal(in.JSON, &lit); err != nil {
		return translate.Result{}, &translate.EventError{Code: translate.CodeInvalid, ID: in.ID, Type: in.Type, Message: err.Error()}
	}
	text, err := json.Marshal(map[string]any{
		"context": map[string]any{
			"specversion": "0.5.1", "type": "dev.cdevents.environment.created.0.3.0",
			"id": lit.Context.ID, "source": lit.Context.Source, "timestamp": lit.Context.Timestamp,
		},
		"subject": map[string]any{"id": lit.Subject.ID, "content": map[string]any{}},
	})
	if err != nil {
		return translate.Result{}, err
	}
	created, err := translate.Decode(text)
	if err != nil {
		return translate.Result{}, err
	}
	return b.bridge.Translate(created, facts)
}

// The main of a mapping plugin.
func ExampleServeMapping() {
	bridge, err := translate.New(translate.DefaultSettings())
	if err == nil {
		err = sdk.ServeMapping(sdk.MappingOptions{
			Name: "beacon", Version: "1.0.0",
			Types:      []string{"dev.cdeventsx.acme-beacon.lit"},
			Translator: beacon{bridge},
		})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// A mapping is a translator, which a test calls by itself.
func ExampleMappingOptions() {
	bridge, err := translate.New(translate.DefaultSettings())
	if err != nil {
		fmt.Println(err)
		return
	}
	session := translate.NewSession(beacon{bridge}, translate.NewMemoryLedger())
	result, err := session.Translate(context.Background(), []byte(`{
		"context": {"specversion": "0.5.1", "id": "b3", "source": "https://harbour.example.com", "type": "dev.cdeventsx.acme-beacon.lit.1.0.0", "timestamp": "2026-03-02T08:00:00Z"},
		"subject": {"id": "north-pier", "content": {}}
	}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range result.Events {
		fmt.Println(e.Type)
	}
	// Output: EiffelEnvironmentDefinedEvent
}

// tag adds a tag to every Eiffel event that the bridge writes.
func tag(_ translate.Event, made translate.Result, _ *ledger.Facts) (translate.Result, error) {
	edited := made
	edited.Events = make([]translate.Event, len(made.Events))
	for i, e := range made.Events {
		var err error
		if edited.Events[i], err = tagged(e); err != nil {
			return made, err
		}
	}
	return edited, nil
}

func tagged(e translate.Event) (translate.Event, error) {
	if e.Protocol != translate.Eiffel {
		return e, nil
	}
	var event, meta map[string]json.RawMessage // raw, so that every other member stays as it is
	if err := json.Unmarshal(e.JSON, &event); err != nil {
		return e, err
	}
	if err := json.Unmarshal(event["meta"], &meta); err != nil {
		return e, err
	}
	meta["tags"] = json.RawMessage(`["bridged"]`)
	var err error
	if event["meta"], err = json.Marshal(meta); err != nil {
		return e, err
	}
	text, err := json.Marshal(event)
	if err != nil {
		return e, err
	}
	return translate.Decode(text)
}

// The main of a decorator plugin.
func ExampleServeDecorator() {
	if err := sdk.ServeDecorator(sdk.DecoratorOptions{Name: "tagger", Version: "1.0.0", Decorate: tag}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// A decorator is a function, which a test joins to the bridge's own translation.
func ExampleDecoratorOptions() {
	bridge, err := translate.New(translate.DefaultSettings())
	if err != nil {
		fmt.Println(err)
		return
	}
	session := translate.NewSession(compose.Decorate(bridge, tag), translate.NewMemoryLedger())
	result, err := session.Translate(context.Background(), []byte(`{
		"context": {"specversion": "0.5.1", "id": "7a51", "source": "https://k8s.example.com", "type": "dev.cdevents.environment.created.0.3.0", "timestamp": "2026-03-02T08:00:00Z"},
		"subject": {"id": "prod", "content": {}}
	}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range result.Events {
		var event struct{ Meta struct{ Tags []string } }
		if err := json.Unmarshal(e.JSON, &event); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(e.Type, event.Meta.Tags)
	}
	// Output: EiffelEnvironmentDefinedEvent [bridged]
}

// settings are what a user writes under config.
type settings struct {
	Folder string `json:"folder"`
}

func newSource(config []byte) (transport.Source, error) {
	s := settings{Folder: "/var/spool/events"}
	if err := sdk.DecodeConfig(config, &s); err != nil {
		return nil, err
	}
	return file.Open(file.DefaultSourceSettings(s.Folder+"/in.jsonl"), slog.Default())
}

func newSink(config []byte) (transport.Sink, error) {
	s := settings{Folder: "/var/spool/events"}
	if err := sdk.DecodeConfig(config, &s); err != nil {
		return nil, err
	}
	return file.Create(file.DefaultSinkSettings(s.Folder+"/out.jsonl"), slog.Default())
}

// The main of a transport plugin that is a source and a sink. What it logs by package slog goes to the bridge.
func ExampleServeTransport() {
	err := sdk.ServeTransport(sdk.TransportOptions{Name: "spool", Version: "1.0.0", Source: newSource, Sink: newSink, Ordered: true})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// A sink is made of a configuration, and a test publishes to it.
func ExampleTransportOptions_sink() {
	folder, err := os.MkdirTemp("", "spool")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(folder)
	config, err := json.Marshal(settings{Folder: folder})
	if err != nil {
		fmt.Println(err)
		return
	}
	sink, err := newSink(config)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	sink.Publish(ctx, []transport.Message{{ID: "1", Data: []byte(`{"n":1}`)}}, func(i int, err error) { fmt.Println("message", i, err) })
	if err := sink.Close(ctx); err != nil {
		fmt.Println(err)
		return
	}
	text, err := os.ReadFile(folder + "/out.jsonl")
	fmt.Print(string(text), err)
	// Output:
	// message 0 <nil>
	// {"n":1}
	// <nil>
}

// A source is made of a configuration, and a test takes and settles what it delivers.
func ExampleTransportOptions_source() {
	folder, err := os.MkdirTemp("", "spool")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(folder)
	if err := os.WriteFile(folder+"/in.jsonl", []byte("{\"n\":1}\n{\"n\":2}\n"), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	config, err := json.Marshal(settings{Folder: folder})
	if err != nil {
		fmt.Println(err)
		return
	}
	source, err := newSource(config)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer source.Close()
	err = source.Receive(context.Background(), func(_ context.Context, d transport.Delivery) error {
		fmt.Println(string(d.Message.Data))
		d.Settle(transport.Settlement{Outcome: transport.Accepted})
		return nil
	})
	fmt.Println(err)
	// Output:
	// {"n":1}
	// {"n":2}
	// <nil>
}

func ExampleDecodeConfig() {
	s := settings{Folder: "/var/spool/events"} // the default
	fmt.Println(sdk.DecodeConfig(nil, &s), s.Folder)
	fmt.Println(sdk.DecodeConfig([]byte(`{"folder": "/srv"}`), &s), s.Folder)
	fmt.Println(sdk.DecodeConfig([]byte(`{"folders": "/srv"}`), &s))
	// Output:
	// <nil> /var/spool/events
	// <nil> /srv
	// config: json: unknown field "folders"
}

// Counts beacons by their colour. The host shows the figures on its /metrics.
func ExampleNewMetrics() {
	metrics := sdk.NewMetrics()
	lit := metrics.Counter("lit_total", "Beacons that were lit.", "colour")
	waiting := metrics.Gauge("waiting", "Beacons that wait for a keeper.")

	lit.Inc("red")
	lit.Add(2, "green")
	waiting.Set(4)

	_ = sdk.MappingOptions{Name: "beacon", Version: "1.0.0", Metrics: metrics}
	// Output:
}
