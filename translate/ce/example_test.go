package ce_test

import (
	"context"
	"fmt"
	"log"
	"net"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/eiffelbridge/eiffelbridge/translate"
	"github.com/eiffelbridge/eiffelbridge/translate/ce"
)

const deployed = `{
	"context": {
		"specversion": "0.5.1", "id": "6a1f0a3e-7d1c-4a52-9a43-0d4a6f0e1b01", "source": "https://cd.example.com",
		"type": "dev.cdevents.service.deployed.0.3.0", "timestamp": "2026-03-20T08:40:00Z"
	},
	"subject": {"id": "shop", "content": {"environment": {"id": "prod"}, "artifactId": "pkg:oci/shop@1.0.0"}}
}`

// receiver listens on a free port of this machine and hands what comes to f.
func receiver(ctx context.Context, f any) (target string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	client, err := cloudevents.NewClientHTTP(cloudevents.WithListener(listener))
	if err != nil {
		log.Fatal(err)
	}
	go client.StartReceiver(ctx, f)
	return "http://" + listener.Addr().String()
}

// A bridge between two HTTP endpoints in one function: it answers that an event is taken only when all that it became is sent and the
// ledger has learned from it.
func ExampleBegin() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	sink := receiver(ctx, func(in cloudevents.Event) {
		fmt.Println(in.Type(), in.Source(), in.Extensions()["traceparent"])
	})

	session, err := translate.Open(translate.Settings{}) // an engine and a ledger in memory
	if err != nil {
		log.Fatal(err)
	}
	client, err := cloudevents.NewClientHTTP(cloudevents.WithTarget(sink))
	if err != nil {
		log.Fatal(err)
	}
	bridge := receiver(ctx, func(ctx context.Context, in cloudevents.Event) error {
		t, err := ce.Begin(ctx, session, in)
		if err != nil {
			return err // a *translate.EventError: never; any other: later
		}
		defer t.Rollback()
		for _, out := range t.Events {
			if result := client.Send(ctx, out); cloudevents.IsUndelivered(result) {
				return result
			}
		}
		return t.Commit(ctx) // learned only now
	})

	in := cloudevents.NewEvent()
	in.SetID("1")
	in.SetSource("https://cd.example.com")
	in.SetType("dev.cdevents.service.deployed.0.3.0")
	in.SetExtension("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	if err := in.SetData(cloudevents.ApplicationJSON, []byte(deployed)); err != nil {
		log.Fatal(err)
	}
	sender, err := cloudevents.NewClientHTTP(cloudevents.WithTarget(bridge))
	if err != nil {
		log.Fatal(err)
	}
	if result := sender.Send(ctx, in); !cloudevents.IsACK(result) {
		log.Fatal(result)
	}
	// Output:
	// io.github.eiffel-community.EiffelArtifactCreatedEvent urn:eiffel 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
	// io.github.eiffel-community.EiffelEnvironmentDefinedEvent https://cd.example.com 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
	// io.github.eiffel-community.EiffelArtifactDeployedEvent https://cd.example.com 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
}

func ExampleTranslate() {
	session, err := translate.Open(translate.Settings{})
	if err != nil {
		log.Fatal(err)
	}
	in := cloudevents.NewEvent()
	if err := in.SetData(cloudevents.ApplicationJSON, []byte(deployed)); err != nil {
		log.Fatal(err)
	}
	events, err := ce.Translate(context.Background(), session, in)
	if err != nil {
		log.Fatal(err)
	}
	for _, out := range events {
		fmt.Println(out.Type(), out.Time())
	}
	// Output:
	// io.github.eiffel-community.EiffelArtifactCreatedEvent 2026-03-20 08:40:00 +0000 UTC
	// io.github.eiffel-community.EiffelEnvironmentDefinedEvent 2026-03-20 08:40:00 +0000 UTC
	// io.github.eiffel-community.EiffelArtifactDeployedEvent 2026-03-20 08:40:00 +0000 UTC
}

func ExampleFromEvent() {
	event, err := translate.Decode([]byte(deployed))
	if err != nil {
		log.Fatal(err)
	}
	out, err := ce.FromEvent(event)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(out.Type(), out.Subject(), out.DataContentType())
	back, err := ce.ToEvent(out)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(back.Protocol, back.ID)
	// Output:
	// dev.cdevents.service.deployed.0.3.0 shop application/json
	// cdevents 6a1f0a3e-7d1c-4a52-9a43-0d4a6f0e1b01
}
