package host_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/eiffelbridge/eiffelbridge/plugins/host"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// Starts a plugin that is pinned by its checksum.
func ExampleStart() {
	path, err := os.Executable() // the binary of a plugin; this program happens to be one
	if err != nil {
		fmt.Println(err)
		return
	}
	s := host.DefaultSettings()
	s.Name, s.Path, s.Args = "tool", path, []string{"mapping"}
	if s.SHA256, err = host.Checksum(path); err != nil {
		fmt.Println(err)
		return
	}
	process, err := host.Start(s)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer process.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	running, err := process.Wait(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(running.Description.GetName(), running.Description.GetVersion())
	// Output: test 1.2.3
}

// Asks a mapping plugin first, and the bridge where the plugin has no mapping.
func ExampleNewChain() {
	path, err := os.Executable()
	if err != nil {
		fmt.Println(err)
		return
	}
	s := host.DefaultSettings()
	s.Name, s.Path, s.Args, s.Dev = "tool", path, []string{"mapping"}, true
	process, err := host.Start(s)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer process.Close()
	mapping := host.NewMapping(process, false, host.MappingSettings{})
	defer mapping.Close()

	bridge, err := translate.New(translate.DefaultSettings())
	if err != nil {
		fmt.Println(err)
		return
	}
	// The second translator says what the bridge has no mapping for, which ModeOverride does not ask.
	chain := host.NewChain(bridge, bridge, []host.Link{{Plugin: mapping, Mode: host.ModeOverride}})
	session := translate.NewSession(chain, translate.NewMemoryLedger())
	result, err := session.Translate(context.Background(), []byte(`{
		"context": {"specversion": "0.5.1", "id": "7a51", "source": "https://tool.example.com", "type": "dev.cdeventsx.tool-thing.happened.0.1.0", "timestamp": "2026-03-02T08:00:00Z"},
		"subject": {"id": "thing", "content": {}}
	}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range result.Events {
		fmt.Println(e.Type)
	}
	// Output: EiffelCompositionDefinedEvent
}
