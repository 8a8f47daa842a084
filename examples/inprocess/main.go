// The example inprocess translates inside a Go program, without a relay: a CDEvent made with the CDEvents SDK into
// structs of the Eiffel SDK, and a stream of Eiffel events, as bytes, into CDEvents.
package main

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	cdevents "github.com/cdevents/sdk-go/pkg/api"
	"github.com/cdevents/sdk-go/pkg/api/v05"
	eiffelevents "github.com/eiffel-community/eiffelevents-sdk-go"

	"github.com/eiffelbridge/eiffelbridge/translate"
	"github.com/eiffelbridge/eiffelbridge/translate/typed"
)

// deployments is what an Eiffel bus might say about one environment: two artifacts, and three deployments of them.
//
//go:embed deployments.jsonl
var deployments []byte

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, out io.Writer) error {
	// A session knows what its events have told, in a ledger in memory. A program that runs for long or in several copies
	// gives one of its own instead, with translate.New and translate.NewSession.
	there, err := translate.Open(translate.Settings{})
	if err != nil {
		return err
	}
	back, err := translate.Open(translate.Settings{})
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "A CDEvent as Eiffel events:")
	if err := toEiffel(ctx, there, out); err != nil {
		return err
	}
	fmt.Fprintln(out, "\nEiffel events as CDEvents:")
	return toCDEvents(ctx, back, out)
}

// toEiffel uses the typed entry points.
func toEiffel(ctx context.Context, session *translate.Session, out io.Writer) error {
	deployed, err := v05.NewServiceDeployedEvent()
	if err != nil {
		return err
	}
	// An id and a time of your choice make the output reproducible: the same event always gives the same bytes.
	deployed.SetId("6a1f0a3e-7d1c-4a52-9a43-0d4a6f0e1b01")
	deployed.SetTimestamp(time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC))
	deployed.SetSource("https://ci.example.com/deploy")
	deployed.SetSubjectId("shop")
	deployed.SetSubjectArtifactId("pkg:oci/shop@1.0.0?repository_url=ghcr.io/acme")
	deployed.SetSubjectEnvironment(&cdevents.Reference{Id: "prod", Source: "https://k8s.example.com/eu-1"})

	// Eiffel demands that a deployment links to its artifact and its environment. Nobody has told of these, so they are
	// made up and come first.
	outputs, _, err := typed.New(session).ToEiffel(ctx, deployed)
	if err != nil {
		return err
	}
	for _, output := range outputs {
		switch e := output.Struct.(type) {
		case nil: // the SDK has no struct that holds all of the event, which is there all the same
			fmt.Fprintf(out, "%s (%v)\n", output.Event.JSON, output.Err)
		case *eiffelevents.ArtifactCreatedV3:
			fmt.Fprintf(out, "ArtC %s identity %s\n", e.ID(), e.Data.Identity)
		case *eiffelevents.EnvironmentDefinedV3:
			fmt.Fprintf(out, "ED   %s name %s\n", e.ID(), e.Data.Name)
		case *eiffelevents.ArtifactDeployedV0_1_0:
			fmt.Fprintf(out, "ArtD %s artifact %s environment %s\n", e.ID(), e.Links.FindFirst("ARTIFACT"), e.Links.FindFirst("ENVIRONMENT"))
		default:
			fmt.Fprintf(out, "%s %s\n", e.Type(), e.ID())
		}
	}
	return nil
}

// toCDEvents uses bytes, as a program does that has its events from a broker. It needs neither SDK.
func toCDEvents(ctx context.Context, session *translate.Session, out io.Writer) error {
	lines := bufio.NewScanner(bytes.NewReader(deployments))
	for lines.Scan() {
		result, err := session.Translate(ctx, lines.Bytes())
		if err != nil {
			return err
		}
		for _, e := range result.Events {
			var event struct {
				Subject struct {
					ID      string `json:"id"`
					Content struct {
						ArtifactID string `json:"artifactId"`
					} `json:"content"`
				} `json:"subject"`
			}
			if err := json.Unmarshal(e.JSON, &event); err != nil {
				return err
			}
			// The ledger remembers what ran before, so the same kind of Eiffel event is told apart as deployed,
			// upgraded and rolledback.
			fmt.Fprintf(out, "%s subject %s", e.Type, event.Subject.ID)
			if id := event.Subject.Content.ArtifactID; id != "" {
				fmt.Fprintf(out, " artifact %s", id)
			}
			fmt.Fprintln(out)
		}
	}
	return lines.Err()
}
