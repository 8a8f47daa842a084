package ce_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"sync/atomic"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

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

// bridge gives a function that translates what comes and sends it on. It takes an event only when all that it became is sent and the
// ledger has learned from it.
func bridge(session *translate.Session, client cloudevents.Client) func(context.Context, cloudevents.Event) error {
	return func(ctx context.Context, in cloudevents.Event) error {
		t, err := ce.Begin(ctx, session, in)
		if err != nil {
			return cehttp.NewResult(ce.Status(err), "%w", err) // 400: never; 503: later
		}
		defer t.Rollback() // of no effect after Commit
		for _, out := range t.Events {
			if result := client.Send(ctx, out); !cloudevents.IsACK(result) {
				return cehttp.NewResult(http.StatusServiceUnavailable, "%w", result) // nothing is learned; the sender tries again
			}
		}
		if err := t.Commit(ctx); err != nil { // learned only now
			return cehttp.NewResult(ce.Status(err), "%w", err)
		}
		return nil
	}
}

// clientFor sends to a target.
func clientFor(target string) cloudevents.Client {
	client, err := cloudevents.NewClientHTTP(cloudevents.WithTarget(target))
	if err != nil {
		log.Fatal(err)
	}
	return client
}

// A bridge between two HTTP endpoints. The sink fails once: the sender is told to try again, and the second try gives the same
// events. What can never be translated is answered with 400.
func ExampleBegin() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var failed atomic.Bool
	sink := receiver(ctx, func(in cloudevents.Event) error {
		if failed.CompareAndSwap(false, true) {
			return cehttp.NewResult(http.StatusInternalServerError, "the disk is full")
		}
		fmt.Println(in.Type(), in.Source(), in.Extensions()["traceparent"])
		return nil
	})
	session, err := translate.Open(translate.Settings{}) // an engine and a ledger in memory
	if err != nil {
		log.Fatal(err)
	}
	sender := clientFor(receiver(ctx, bridge(session, clientFor(sink))))

	in := cloudevents.NewEvent()
	in.SetID("1")
	in.SetSource("https://cd.example.com")
	in.SetType("dev.cdevents.service.deployed.0.3.0")
	in.SetExtension("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	for _, data := range []string{deployed, deployed, "{}"} {
		if err := in.SetData(cloudevents.ApplicationJSON, []byte(data)); err != nil {
			log.Fatal(err)
		}
		result := sender.Send(ctx, in)
		var answer *cehttp.Result
		if !cloudevents.ResultAs(result, &answer) {
			log.Fatal(result)
		}
		fmt.Println(answer.StatusCode, cloudevents.IsACK(result))
	}
	// Output:
	// 503 false
	// io.github.eiffel-community.EiffelArtifactCreatedEvent urn:eiffel 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
	// io.github.eiffel-community.EiffelEnvironmentDefinedEvent https://cd.example.com 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
	// io.github.eiffel-community.EiffelArtifactDeployedEvent https://cd.example.com 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
	// 200 true
	// 400 false
}

func ExampleStatus() {
	session, err := translate.Open(translate.Settings{})
	if err != nil {
		log.Fatal(err)
	}
	in := cloudevents.NewEvent()
	if err := in.SetData(cloudevents.ApplicationJSON, []byte("{}")); err != nil {
		log.Fatal(err)
	}
	_, never := ce.Translate(context.Background(), session, in)
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	fmt.Println(ce.Status(nil), ce.Status(never), ce.Status(gone.Err()))
	// Output: 202 400 503
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
	// Output: dev.cdevents.service.deployed.0.3.0 shop application/json
}

// The attributes may be any: the event is in the data.
func ExampleToEvent() {
	in := cloudevents.NewEvent()
	in.SetType("com.example.whatever")
	if err := in.SetData(cloudevents.ApplicationJSON, []byte(deployed)); err != nil {
		log.Fatal(err)
	}
	event, err := ce.ToEvent(in)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(event.Protocol, event.ID, event.Subject)
	// Output: cdevents 6a1f0a3e-7d1c-4a52-9a43-0d4a6f0e1b01 shop
}
