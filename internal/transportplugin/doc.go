// Package transportplugin has the two ends of the plugin protocol for transports in its folders: server, which serves a driver; client,
// which makes a source and a sink of what is served; wire, which both have in common; and plugintest for the tests of drivers.
package transportplugin
