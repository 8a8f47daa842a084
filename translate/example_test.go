package translate_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"slices"

	"github.com/eiffelbridge/eiffelbridge/translate"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// A CDEvent: version 1.0.0 of the service shop has been deployed.
var deployedShop = []byte(`{
	"context": {
		"specversion": "0.5.1", "id": "6a1f0a3e-7d1c-4a52-9a43-0d4a6f0e1b01", "source": "https://cd.example.com",
		"type": "dev.cdevents.service.deployed.0.3.0", "timestamp": "2026-03-20T08:40:00Z"
	},
	"subject": {"id": "shop", "content": {"environment": {"id": "prod"}, "artifactId": "pkg:oci/shop@1.0.0"}}
}`)

// The same service, upgraded to version 1.1.0.
var upgradedShop = []byte(`{
	"context": {
		"specversion": "0.5.1", "id": "6a1f0a3e-7d1c-4a52-9a43-0d4a6f0e1b02", "source": "https://cd.example.com",
		"type": "dev.cdevents.service.upgraded.0.3.0", "timestamp": "2026-03-21T08:40:00Z"
	},
	"subject": {"id": "shop", "content": {"environment": {"id": "prod"}, "artifactId": "pkg:oci/shop@1.1.0"}}
}`)

// An Eiffel event: an environment has been defined.
var definedProd = []byte(`{
	"meta": {
		"id": "11111111-1111-4111-8111-111111111111", "type": "EiffelEnvironmentDefinedEvent", "version": "3.3.0",
		"time": 1774000000000, "source": {"uri": "https://k8s.example.com"}
	},
	"data": {"name": "prod"}, "links": []
}`)

func ExampleOpen() {
	session, err := translate.Open(translate.Settings{})
	if err != nil {
		log.Fatal(err)
	}
	result, err := session.Translate(context.Background(), deployedShop)
	if err != nil {
		log.Fatal(err)
	}
	for _, event := range result.Events {
		fmt.Println(event.Type) // event.JSON is what to publish
	}
	// Output:
	// EiffelArtifactCreatedEvent
	// EiffelEnvironmentDefinedEvent
	// EiffelArtifactDeployedEvent
}

func ExampleNew() {
	engine, err := translate.New(translate.Settings{Edition: "Paris", Carry: translate.CarryNone})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(engine.Settings().Edition, engine.Settings().Spec)

	_, err = translate.New(translate.Settings{Carry: "all"})
	fmt.Println(err)
	// Output:
	// Paris 0.5
	// carry: "all" is unknown; the values are: original, none
}

func ExampleNewSession() {
	engine, err := translate.New(translate.DefaultSettings())
	if err != nil {
		log.Fatal(err)
	}
	store := ledger.NewMemory() // or any other ledger.Ledger
	session := translate.NewSession(engine, store)
	if _, err := session.Translate(context.Background(), deployedShop); err != nil {
		log.Fatal(err)
	}
	// Another session on that ledger knows the deployment.
	result, err := translate.NewSession(engine, store).Translate(context.Background(), upgradedShop)
	if err != nil {
		log.Fatal(err)
	}
	for _, event := range result.Events {
		fmt.Println(event.Type)
	}
	// Output:
	// EiffelArtifactCreatedEvent
	// EiffelArtifactDeployedEvent
}

func ExampleNewMemoryLedger() {
	store := translate.NewMemoryLedger()
	engine, err := translate.New(translate.Settings{})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := translate.NewSession(engine, store).Translate(context.Background(), definedProd); err != nil {
		log.Fatal(err)
	}
	records, err := store.Read(context.Background(), []ledger.Query{ledger.EventQuery("11111111-1111-4111-8111-111111111111")})
	if err != nil {
		log.Fatal(err)
	}
	known, err := ledger.DecodeEiffelEvent(records[0].Bytes)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(known.Type)
	// Output: EiffelEnvironmentDefinedEvent
}

func ExampleDefaultSettings() {
	settings := translate.DefaultSettings()
	fmt.Println(settings.Edition, settings.Spec, settings.Carry, settings.Synthesize, settings.NoMapping)
	// Output: Orizaba 0.5 original missing announce
}

func ExampleSettings() {
	// A relay, which learns from what comes round and passes nothing on, and carries no originals.
	session, err := translate.Open(translate.Settings{Returning: translate.ReturningDrop, Carry: translate.CarryNone})
	if err != nil {
		log.Fatal(err)
	}
	result, err := session.Translate(context.Background(), definedProd)
	if err != nil {
		log.Fatal(err)
	}
	main, _ := result.Main()
	again, err := session.TranslateEvent(context.Background(), main)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(again.Events), again.Returning)
	// Output: 0 drop
}

func ExampleCarry_UnmarshalText() {
	var carry translate.Carry
	fmt.Println(carry.UnmarshalText([]byte("none")), carry)
	fmt.Println(carry.UnmarshalText([]byte("some")))
	// Output:
	// <nil> none
	// "some" is unknown; the values are: original, none
}

func ExampleSession_Begin() {
	ctx := context.Background()
	session, err := translate.Open(translate.Settings{})
	if err != nil {
		log.Fatal(err)
	}
	publish := func(event translate.Event) error {
		fmt.Println(event.Type)
		return nil
	}
	bridge := func(text []byte) error {
		t, err := session.Begin(ctx, text)
		if err != nil {
			return err
		}
		defer t.Rollback() // of no effect after Commit
		for _, event := range t.Events {
			if err := publish(event); err != nil {
				return err // nothing is learned; the event can come again
			}
		}
		return t.Commit(ctx)
	}
	if err := bridge(deployedShop); err != nil {
		log.Fatal(err)
	}
	// Output:
	// EiffelArtifactCreatedEvent
	// EiffelEnvironmentDefinedEvent
	// EiffelArtifactDeployedEvent
}

func ExampleTransaction_Commit() {
	ctx := context.Background()
	engine, err := translate.New(translate.Settings{})
	if err != nil {
		log.Fatal(err)
	}
	store := translate.NewMemoryLedger()
	here, there := translate.NewSession(engine, store), translate.NewSession(engine, store)

	t, err := here.Begin(ctx, upgradedShop)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := there.Translate(ctx, deployedShop); err != nil { // another writer, meanwhile
		log.Fatal(err)
	}
	fmt.Println(errors.Is(t.Commit(ctx), ledger.ErrConflict))
	// Output: true
}

func ExampleSession_Translate() {
	session, err := translate.Open(translate.Settings{})
	if err != nil {
		log.Fatal(err)
	}
	_, err = session.Translate(context.Background(), []byte(`{"meta":{"type":"EiffelNoSuchEvent","version":"1.0.0","time":"noon"}}`))
	var refused *translate.EventError
	if errors.As(err, &refused) { // else it is the ledger's, and a retry may help
		fmt.Println(refused.Code, refused.Pointer)
	}
	// Output: invalid /meta/id
}

func ExampleSession_TranslateBatch() {
	session, err := translate.Open(translate.Settings{})
	if err != nil {
		log.Fatal(err)
	}
	outcomes, err := session.TranslateBatch(context.Background(), [][]byte{deployedShop, []byte("{}"), upgradedShop})
	if err != nil {
		log.Fatal(err)
	}
	for _, outcome := range outcomes {
		fmt.Println(len(outcome.Events), outcome.Err != nil)
	}
	// Output:
	// 3 false
	// 0 true
	// 2 false
}

func ExampleSession_TranslateAll() {
	session, err := translate.Open(translate.Settings{})
	if err != nil {
		log.Fatal(err)
	}
	for result, err := range session.TranslateAll(context.Background(), slices.Values([][]byte{definedProd, deployedShop})) {
		if err != nil {
			log.Fatal(err)
		}
		main, _ := result.Main()
		fmt.Println(main.Type)
	}
	// Output:
	// dev.cdevents.environment.created.0.3.0
	// EiffelArtifactDeployedEvent
}

func ExampleDecode() {
	event, err := translate.Decode(deployedShop)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(event.Protocol, event.Type, event.Subject)
	// Output: cdevents dev.cdevents.service.deployed.0.3.0 shop
}

func ExampleAsk() {
	engine, err := translate.New(translate.Settings{})
	if err != nil {
		log.Fatal(err)
	}
	event, err := translate.Decode(definedProd)
	if err != nil {
		log.Fatal(err)
	}
	store := ledger.NewMemory()
	result, err := translate.Ask(context.Background(), engine, store, event) // what would it become?
	if err != nil {
		log.Fatal(err)
	}
	main, _ := result.Main()
	fmt.Println(main.Type, len(result.Learned) > 0, store.Applied())
	// Output: dev.cdevents.environment.created.0.3.0 true 0
}

func ExampleEvent_Validate() {
	event, err := translate.Decode([]byte(`{"meta":{"id":"1","type":"EiffelEnvironmentDefinedEvent","version":"3.3.0","time":1774000000000},"data":{"name":"prod"},"links":[]}`))
	if err != nil {
		log.Fatal(err)
	}
	for _, finding := range event.Validate() {
		fmt.Println(finding.Pointer, finding.Message)
	}
	// Output: /meta/id "1" is not a lower-case UUID of version 1 to 5 (pattern)
}

func ExampleResult_Main() {
	session, err := translate.Open(translate.Settings{})
	if err != nil {
		log.Fatal(err)
	}
	result, err := session.Translate(context.Background(), deployedShop)
	if err != nil {
		log.Fatal(err)
	}
	main, ok := result.Main()
	fmt.Println(main.Type, main.ID, ok, len(result.Events))
	// Output: EiffelArtifactDeployedEvent 6a1f0a3e-7d1c-4a52-9a43-0d4a6f0e1b01 true 3
}
