package nodemapping

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/eiffelbridge/eiffelbridge/conformance/plugin"
	"github.com/eiffelbridge/eiffelbridge/conformance/plugin/plugintest"
	"github.com/eiffelbridge/eiffelbridge/conformance/translator"
	"github.com/eiffelbridge/eiffelbridge/conformance/translator/translatortest"
	"github.com/eiffelbridge/eiffelbridge/plugins/host"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// TestConformance holds the plugin, before the bridge's own translation, to what every translator promises.
func TestConformance(t *testing.T) {
	s := settings(t)
	s.Config = []byte(`{"returning":"restore"}`)
	p, _ := start(t, s)
	plugin := host.NewMapping(p, false, host.MappingSettings{})
	t.Cleanup(plugin.Close)
	constructor := func(settings translate.Settings) (translate.Translator, error) {
		if settings.Edition != "" && settings.Edition != translate.DefaultSettings().Edition {
			return nil, errors.New("the plugin writes one edition")
		}
		base, err := translate.New(settings)
		if err != nil {
			return nil, err
		}
		settings.NoMapping = translate.NoMappingRefuse
		refusing, err := translate.New(settings)
		if err != nil {
			return nil, err
		}
		return host.NewChain(base, refusing, []host.Link{{Plugin: plugin, Mode: host.ModeOverride}}), nil
	}
	cases := []translator.Case{
		{Name: "sign-offs", Events: [][]byte{
			[]byte(signoff("fc3a0611-66b1-46a6-ac1c-51f6f144ac87", granted, "")),
			[]byte(signoff("no UUID", `{"artifact":"`+artifact+`","approved":false}`, `,"customData":{"n":0.10}`)),
		}},
	}
	translatortest.Run(t, constructor, translator.Options{
		Cases: cases,
		// Semantics is about events that are carried by nobody, which this plugin does not write.
		Laws:          []string{"output", "links", "order", "determinism", "input", "idempotence", "round_trip", "accounting"},
		KnownFailures: map[string]string{"accounting": "this plugin tells losses and no moves, and it carries the original in custom data of its own"},
	})
}

// TestPluginConformance is the kit that plugins in Go pass as well.
func TestPluginConformance(t *testing.T) {
	s := settings(t)
	plugintest.Run(t, plugin.Options{
		Path: s.Path, Args: []string{filepath.Join(s.Dir, "plugin.js")}, Config: []byte(`{"returning":"restore"}`),
		Events: [][]byte{
			[]byte(signoff("fc3a0611-66b1-46a6-ac1c-51f6f144ac87", granted, "")),
			[]byte(signoff("no UUID", `{"artifact":"`+artifact+`","approved":false}`, `,"customData":{"n":0.10}`)),
		},
	})
}
