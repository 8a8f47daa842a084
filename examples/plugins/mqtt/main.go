// Command mqtt is a transport plugin for Eiffel Bridge: it receives events from a topic of an MQTT 5 broker, and publishes them to one.
package main

import (
	"fmt"
	"os"

	"github.com/eiffelbridge/eiffelbridge/plugins/sdk"
)

func main() {
	err := sdk.ServeTransport(sdk.TransportOptions{Name: "mqtt", Version: "1.0.0", Source: newSource, Sink: newSink})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
