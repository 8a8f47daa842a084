package typed_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	cdevents "github.com/cdevents/sdk-go/pkg/api"
	"github.com/cdevents/sdk-go/pkg/api/v05"
	eiffelevents "github.com/eiffel-community/eiffelevents-sdk-go"

	"github.com/eiffelbridge/eiffelbridge/translate"
	"github.com/eiffelbridge/eiffelbridge/translate/typed"
)

func deployed() cdevents.CDEvent {
	event, err := v05.NewServiceDeployedEvent()
	if err != nil {
		log.Fatal(err)
	}
	event.SetId("6a1f0a3e-7d1c-4a52-9a43-0d4a6f0e1b01")
	event.SetTimestamp(time.Date(2026, 3, 20, 8, 40, 0, 0, time.UTC))
	event.SetSource("https://cd.example.com")
	event.SetSubjectId("shop")
	event.SetSubjectArtifactId("pkg:oci/shop@1.0.0")
	event.SetSubjectEnvironment(&cdevents.Reference{Id: "prod"})
	return event
}

func ExampleTranslator_ToEiffel() {
	session, err := translate.Open(translate.Settings{})
	if err != nil {
		log.Fatal(err)
	}
	outputs, _, err := typed.New(session).ToEiffel(context.Background(), deployed())
	if err != nil {
		log.Fatal(err)
	}
	for _, out := range outputs {
		switch e := out.Struct.(type) {
		case *eiffelevents.ArtifactDeployedV0_1_0:
			fmt.Println("deployed", e.ID())
		case *eiffelevents.ArtifactCreatedV3:
			fmt.Println("artifact", e.Data.Identity)
		case nil: // out.Err says what the struct cannot hold; out.Event is whole
			fmt.Println(string(out.Event.JSON))
		default:
			fmt.Println(e.Type())
		}
	}
	// Output:
	// artifact pkg:oci/shop@1.0.0
	// EiffelEnvironmentDefinedEvent
	// deployed 6a1f0a3e-7d1c-4a52-9a43-0d4a6f0e1b01
}

func ExampleTranslator_ToCDEvents() {
	session, err := translate.Open(translate.Settings{})
	if err != nil {
		log.Fatal(err)
	}
	environment, err := eiffelevents.NewEnvironmentDefinedV3()
	if err != nil {
		log.Fatal(err)
	}
	environment.Data.Name = "prod"
	outputs, _, err := typed.New(session).ToCDEvents(context.Background(), environment)
	if err != nil {
		log.Fatal(err)
	}
	for _, out := range outputs {
		if out.Err != nil { // there is no struct; out.Event is whole
			fmt.Println(string(out.Event.JSON))
			continue
		}
		fmt.Println(out.Struct.GetType(), out.Struct.GetSubjectId())
	}
	// Output: dev.cdevents.environment.created.0.3.0 prod
}

// The ledger learns only when everything is published.
func ExampleTranslator_BeginToEiffel() {
	ctx := context.Background()
	session, err := translate.Open(translate.Settings{})
	if err != nil {
		log.Fatal(err)
	}
	translator := typed.New(session)
	bridge := func(event cdevents.CDEventReader, publish func(translate.Event) error) error {
		t, err := translator.BeginToEiffel(ctx, event)
		if err != nil {
			return err
		}
		defer t.Rollback() // of no effect after Commit
		for _, out := range t.Outputs {
			if err := publish(out.Event); err != nil {
				return err // nothing is learned, so that the event can come again
			}
		}
		return t.Commit(ctx)
	}
	fmt.Println(bridge(deployed(), func(translate.Event) error { return errors.New("the broker is away") }))
	fmt.Println(bridge(deployed(), func(event translate.Event) error {
		fmt.Println(event.Type)
		return nil
	}))
	// Output:
	// the broker is away
	// EiffelArtifactCreatedEvent
	// EiffelEnvironmentDefinedEvent
	// EiffelArtifactDeployedEvent
	// <nil>
}

func ExampleTranslator_BeginToCDEvents() {
	ctx := context.Background()
	session, err := translate.Open(translate.Settings{})
	if err != nil {
		log.Fatal(err)
	}
	environment, err := eiffelevents.NewEnvironmentDefinedV3()
	if err != nil {
		log.Fatal(err)
	}
	environment.Data.Name = "prod"
	t, err := typed.New(session).BeginToCDEvents(ctx, environment)
	if err != nil {
		log.Fatal(err)
	}
	defer t.Rollback()
	for _, out := range t.Outputs {
		fmt.Println(out.Event.Type, out.Event.Subject) // publish it
	}
	fmt.Println(t.Commit(ctx))
	// Output:
	// dev.cdevents.environment.created.0.3.0 prod
	// <nil>
}

func ExampleFromCDEvent() {
	event, err := typed.FromCDEvent(deployed())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(event.Type, event.ID)
	// Output: dev.cdevents.service.deployed.0.3.0 6a1f0a3e-7d1c-4a52-9a43-0d4a6f0e1b01
}

func ExampleAsCDEvent() {
	event, err := typed.FromCDEvent(deployed())
	if err != nil {
		log.Fatal(err)
	}
	out, err := typed.AsCDEvent(event)
	if err != nil {
		log.Fatal(err) // an *UnsupportedError, a *LossError or that the event is invalid
	}
	if e, ok := out.(*cdevents.ServiceDeployedEventV0_3_0); ok {
		fmt.Println(e.Subject.Content.ArtifactId)
	}
	// Output: pkg:oci/shop@1.0.0
}

func ExampleFromEiffel() {
	environment, err := eiffelevents.NewEnvironmentDefinedV3()
	if err != nil {
		log.Fatal(err)
	}
	environment.Data.Name = "prod"
	event, err := typed.FromEiffel(environment)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(event.Type, event.ID == environment.ID())
	// Output: EiffelEnvironmentDefinedEvent true
}

func ExampleAsEiffel() {
	event, err := translate.Decode([]byte(`{
		"meta": {"id": "11111111-1111-4111-8111-111111111111", "type": "EiffelEnvironmentDefinedEvent", "version": "3.3.0", "time": 1774000000000},
		"data": {"name": "prod"}, "links": []
	}`))
	if err != nil {
		log.Fatal(err)
	}
	out, err := typed.AsEiffel(event)
	if err != nil {
		log.Fatal(err) // an *UnsupportedError, a *LossError or that the event is invalid
	}
	if e, ok := out.(*eiffelevents.EnvironmentDefinedV3); ok {
		fmt.Println(e.Data.Name)
	}
	// Output: prod
}
