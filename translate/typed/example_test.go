package typed_test

import (
	"context"
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
		fmt.Println(out.Struct.GetType(), out.Struct.GetSubjectId())
	}
	// Output: dev.cdevents.environment.created.0.3.0 prod
}

// In steps: the ledger learns only when everything is published.
func ExampleFromCDEvent() {
	ctx := context.Background()
	session, err := translate.Open(translate.Settings{})
	if err != nil {
		log.Fatal(err)
	}
	event, err := typed.FromCDEvent(deployed())
	if err != nil {
		log.Fatal(err)
	}
	t, err := session.BeginEvent(ctx, event)
	if err != nil {
		log.Fatal(err)
	}
	defer t.Rollback()
	for _, out := range t.Events {
		e, err := typed.AsEiffel(out)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(e.Type())
	}
	if err := t.Commit(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// EiffelArtifactCreatedEvent
	// EiffelEnvironmentDefinedEvent
	// EiffelArtifactDeployedEvent
}
