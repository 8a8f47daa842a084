package daemon_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/eiffelbridge/eiffelbridge/daemon"
	"github.com/eiffelbridge/eiffelbridge/daemon/deadletters"
	"github.com/eiffelbridge/eiffelbridge/daemon/ledger"
	"github.com/eiffelbridge/eiffelbridge/daemon/transports/file"
	"github.com/eiffelbridge/eiffelbridge/daemon/transports/stdio"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// created is a CDEvent as a structured CloudEvent.
const created = `{
	"specversion": "1.0", "id": "7a51", "source": "https://k8s.example.com", "type": "dev.cdevents.environment.created.0.3.0", "datacontenttype": "application/json",
	"data": {
		"context": {"specversion": "0.5.1", "id": "7a51", "source": "https://k8s.example.com", "type": "dev.cdevents.environment.created.0.3.0", "timestamp": "2026-03-02T08:00:00Z"},
		"subject": {"id": "prod", "content": {}}
	}
}`

// types lists the types of Eiffel events, one a line.
func types(lines string) {
	for line := range strings.Lines(lines) {
		var event struct{ Meta struct{ Type string } }
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			fmt.Println(err)
		}
		fmt.Println(event.Meta.Type)
	}
}

// Runs a relay by a configuration: CloudEvents over HTTP in, lines of Eiffel events out.
func ExampleReadConfig() {
	folder, err := os.MkdirTemp("", "relay")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(folder)
	environment := map[string]string{"STATE": folder} // a program passes os.LookupEnv
	lookup := func(name string) (string, bool) { value, ok := environment[name]; return value, ok }

	config := daemon.ReadConfig([]byte(`
version: 1
ledger: {type: memory}
admin: {listen: "off"}
dead_letters: {type: file, path: "${STATE}/deadletters.jsonl"}
transports:
  web: {type: cloudevents_http, listen: "127.0.0.1:0"}
  out: {type: stdio}
relays:
  - {name: deployments, from: web, to: out, translate: eiffel}
`), lookup)
	var written bytes.Buffer
	settings, err := config.Settings(daemon.BuildOptions{Stdout: &written})
	if err != nil {
		fmt.Println(err) // the problems of the configuration, by line
		return
	}
	d, err := daemon.New(settings)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := d.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}

	response, err := http.Post("http://"+d.Addresses()["web"].String(), "application/cloudevents+json", strings.NewReader(created))
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = response.Body.Close()
	fmt.Println(response.Status)

	if err := d.Shutdown(ctx); err != nil {
		fmt.Println(err)
		return
	}
	types(written.String())
	// Output:
	// 202 Accepted
	// EiffelEnvironmentDefinedEvent
}

// Says what is wrong with a configuration.
func ExampleCheck() {
	config := daemon.ReadConfig([]byte(`
version: 1
transports:
  web: {type: cloudevents_http, listen: "127.0.0.1:0"}
relays:
  - {name: deployments, from: web, to: bus, translate: eiffel}
`), os.LookupEnv)
	for _, p := range daemon.Check(config) {
		fmt.Println(p.Line, p.Key)
	}
	// Output: 6 relays[0].to
}

// Runs a relay that is made in code, until its source has come to its end.
func ExampleNew() {
	folder, err := os.MkdirTemp("", "relay")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(folder)
	log := slog.New(slog.DiscardHandler)

	source, err := stdio.NewSource(strings.NewReader(strings.ReplaceAll(created, "\n", "")), stdio.DefaultSourceSettings(), log)
	if err != nil {
		fmt.Println(err)
		return
	}
	sink, err := file.Create(file.DefaultSinkSettings(folder+"/out.jsonl"), log)
	if err != nil {
		fmt.Println(err)
		return
	}
	letters, err := deadletters.Open(folder+"/deadletters.jsonl", deadletters.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	relay := daemon.DefaultRelay()
	relay.Name, relay.From, relay.To, relay.Translate = "deployments", "in", "out", translate.Eiffel
	if relay.Translator, err = translate.New(translate.DefaultSettings()); err != nil {
		fmt.Println(err)
		return
	}
	d, err := daemon.New(daemon.Settings{
		Sources: map[string]transport.Source{"in": source},
		Sinks:   map[string]transport.Sink{"out": sink},
		Relays:  []daemon.RelaySettings{relay},
		Ledger:  ledger.NewMemory(),
		Letters: letters,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := d.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(d.Wait())
	fmt.Println(d.Shutdown(ctx))

	text, err := os.ReadFile(folder + "/out.jsonl")
	if err != nil {
		fmt.Println(err)
		return
	}
	types(string(text))
	// Output:
	// <nil>
	// <nil>
	// EiffelEnvironmentDefinedEvent
}
