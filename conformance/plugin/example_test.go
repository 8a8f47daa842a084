package plugin_test

import (
	"context"
	"fmt"
	"os"

	"github.com/eiffelbridge/eiffelbridge/conformance/plugin"
)

// Tests a plugin binary.
func ExampleTest() {
	path, err := os.Executable() // yours is "./deploytool"; this program happens to be a plugin, too
	if err != nil {
		fmt.Println(err)
		return
	}
	report, err := plugin.Test(context.Background(), plugin.Options{
		Path:   path,
		Env:    map[string]string{"TEST_PLUGIN": "nameless"},
		Events: [][]byte{event}, // that the plugin translates
	})
	if err != nil {
		fmt.Println(err) // there was no test
		return
	}
	fmt.Println("failed:", report.Failed())
	fmt.Println(report.Err())
	// Output:
	// failed: 1
	// start: Describe: it has no name
}

// Lists what every plugin does.
func ExampleChecks() {
	for _, check := range plugin.Checks()[:3] {
		fmt.Printf("%s: %s\n", check.Name, check.About)
	}
	// Output:
	// start: it starts, says what it is, takes its configuration and its lease
	// cookie: started by anything but a host, it says so and exits with a status
	// version: it does not claim a version of the protocol that it does not have
}
