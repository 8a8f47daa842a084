// Package pluginv1 is the generated code of the plugin protocol, version 1; plugin.proto says what it is.
package pluginv1
