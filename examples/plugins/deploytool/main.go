// The plugin deploytool translates what a company's own deploy tool says of a rollout,
//
//	dev.cdeventsx.deploytool-rollout.completed.1.0.0
//
// into what the deployment of a service becomes in Eiffel: an EiffelArtifactDeployedEvent with its links, in the line of the
// service. It says the same as a service.deployed or service.upgraded, which the bridge's own translator knows what to do
// with.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/eiffelbridge/eiffelbridge/plugins/sdk"
	"github.com/eiffelbridge/eiffelbridge/translate"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

func main() {
	metrics := sdk.NewMetrics()
	rollouts := metrics.Counter("rollouts_total", "Rollouts by what became of them.", "outcome")
	err := sdk.ServeMapping(sdk.MappingOptions{
		Name: "deploytool", Version: "1.0.0",
		Types:     []string{"dev.cdeventsx.deploytool-rollout.completed"},
		Configure: func(text []byte) (translate.Translator, error) { return configure(text, rollouts) },
		Metrics:   metrics,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// config is the section config of the plugin's configuration.
type config struct {
	Registry string `json:"registry"` // where images are that name none
}

func configure(text []byte, rollouts *sdk.Counter) (translate.Translator, error) {
	c := config{Registry: "registry.example.com"}
	if len(text) > 0 {
		if err := json.Unmarshal(text, &c); err != nil {
			return nil, err
		}
	}
	// The original would be the event that is made here and not the one that came, so that none is carried.
	engine, err := translate.New(translate.Settings{Carry: translate.CarryNone})
	return deploytool{c, engine, rollouts}, err
}

type deploytool struct {
	config   config
	engine   *translate.Engine
	rollouts *sdk.Counter
}

// rollout is the event of the deploy tool.
type rollout struct {
	Context struct {
		ID        string `json:"id"`
		Source    string `json:"source"`
		Timestamp string `json:"timestamp"`
	} `json:"context"`
	Subject struct {
		ID      string `json:"id"` // the service
		Content struct {
			Cluster string `json:"cluster"`
			Image   string `json:"image"`
			Tag     string `json:"tag"`
			By      string `json:"by"`
		} `json:"content"`
	} `json:"subject"`
}

// Translate implements [translate.Translator].
func (d deploytool) Translate(in translate.Event, facts *ledger.Facts) (translate.Result, error) {
	result, err := d.translate(in, facts)
	switch {
	case err != nil:
		d.rollouts.Inc("refused")
	case len(result.Need) == 0: // else the event comes again, with what it needs
		d.rollouts.Inc("translated")
	}
	return result, err
}

func (d deploytool) translate(in translate.Event, facts *ledger.Facts) (translate.Result, error) {
	var r rollout
	if err := json.Unmarshal(in.JSON, &r); err != nil {
		return translate.Result{}, &translate.EventError{Code: translate.CodeInvalid, Message: err.Error()}
	}
	content := r.Subject.Content
	for _, member := range []struct{ name, value string }{{"cluster", content.Cluster}, {"image", content.Image}, {"tag", content.Tag}} {
		if member.value == "" {
			return translate.Result{}, &translate.EventError{Code: translate.CodeInvalid, Pointer: "/subject/content/" + member.name, Message: "is missing"}
		}
	}
	text, err := json.Marshal(map[string]any{
		"context": map[string]any{"specversion": "0.5.1", "id": r.Context.ID, "source": r.Context.Source,
			"type": "dev.cdevents.service.deployed.0.3.0", "timestamp": r.Context.Timestamp},
		"subject": map[string]any{"id": r.Subject.ID, "source": r.Context.Source, "content": map[string]any{
			"environment": map[string]any{"id": content.Cluster, "source": r.Context.Source},
			"artifactId":  fmt.Sprintf("pkg:oci/%s@%s?repository_url=%s", content.Image, content.Tag, d.config.Registry)}},
		"customData":            map[string]any{"deployedBy": content.By},
		"customDataContentType": "application/json",
	})
	if err != nil {
		return translate.Result{}, err
	}
	deployed, err := translate.Decode(text)
	if err != nil {
		return translate.Result{}, err
	}
	return d.engine.Translate(deployed, facts)
}
