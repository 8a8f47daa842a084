// Command torture-plugin is the bridge's own translation as a plugin, so that what comes out of a relay with it is known.
package main

import (
	"fmt"
	"os"

	"github.com/eiffelbridge/eiffelbridge/plugins/sdk"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

func main() {
	engine, err := translate.New(translate.Settings{Version: "1.0.0", Returning: translate.ReturningDrop})
	if err == nil {
		err = sdk.ServeMapping(sdk.MappingOptions{Name: "engine", Version: "1.0.0", Translator: engine})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
