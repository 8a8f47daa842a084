package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/plugins/sdk"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
	"github.com/eiffelbridge/eiffelbridge/translate"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// plugins are what the test binary is when it is started by these names.
var plugins = map[string]func() error{
	"mapping": func() error {
		return sdk.ServeMapping(sdk.MappingOptions{Name: "mapping", Version: "1.2.3", Types: []string{"dev.cdeventsx.tool-thing.happened"},
			Configure: func(config []byte) (translate.Translator, error) {
				t := named{Name: "nameless"}
				if err := sdk.DecodeConfig(config, &t); err != nil {
					return nil, err
				}
				if t.Name == "" {
					return nil, errors.New("name is empty")
				}
				return t, nil
			}})
	},
	"decorator": func() error {
		return sdk.ServeDecorator(sdk.DecoratorOptions{Name: "decorator", Version: "2.0.0",
			Decorate: func(_ translate.Event, made translate.Result, _ *ledger.Facts) (translate.Result, error) {
				edited := made
				edited.Events = nil
				for _, e := range made.Events {
					out, err := translate.Decode([]byte(strings.Replace(string(e.JSON), `"meta":{`, `"meta":{"tags":["decorated"],`, 1)))
					if err != nil {
						return made, err
					}
					edited.Events = append(edited.Events, out)
				}
				return edited, nil
			}})
	},
	"sink": func() error {
		return sdk.ServeTransport(sdk.TransportOptions{Name: "sink", Version: "3.0.0", Sink: func([]byte) (transport.Sink, error) {
			return nil, errors.New("nobody may open this")
		}})
	},
	"broken": func() error { return errors.New("I have no licence") },
}

// TestMain lets the test binary be the plugins of the transcripts.
func TestMain(m *testing.M) {
	serve := plugins[filepath.Base(os.Args[0])]
	if serve == nil {
		os.Exit(m.Run())
	}
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// named makes a composition of a custom event.
type named struct {
	Name string `json:"name"`
}

func (n named) Translate(in translate.Event, _ *ledger.Facts) (translate.Result, error) {
	name, err := json.Marshal(n.Name + " " + in.Subject)
	if err != nil {
		return translate.Result{}, err
	}
	out, err := translate.Decode(fmt.Appendf(nil, `{"meta":{"id":%q,"type":"EiffelCompositionDefinedEvent","version":"3.3.0","time":%d},"data":{"name":%s},"links":[]}`,
		in.DerivedID(), in.Time, name))
	return translate.Result{Events: []translate.Event{out}, Losses: []translate.Loss{{Pointer: "/subject/content/note", Reason: "no_counterpart"}}}, err
}

// Explain implements [sdk.Explainer].
func (n named) Explain(in translate.Event, facts *ledger.Facts) (translate.Result, error) {
	result, err := n.Translate(in, facts)
	if n.Name == "taciturn" {
		return result, err
	}
	result.Moves = []translate.Move{{From: "/context/timestamp", To: "/meta/time", Rule: "in milliseconds"}, {From: "/subject/id", To: "/data/name", Rule: "behind the name", Fidelity: translate.OneWay}}
	return result, err
}

var _ sdk.Explainer = named{}

// installPlugins puts the plugins into a folder.
func installPlugins(t *testing.T, dir string) {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name := range plugins {
		if err := os.Symlink(binary, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}
