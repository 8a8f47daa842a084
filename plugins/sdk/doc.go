// Package sdk is all that the author of a plugin imports. A plugin is a program whose main hands something to a Serve
// function: a translator to [ServeMapping], an edit of another translator's results to [ServeDecorator],
// the drivers of a transport to [ServeTransport].
//
//	func main() {
//		err := sdk.ServeMapping(sdk.MappingOptions{Name: "deploytool", Version: "1.0.0", Translator: deploytool{}})
//		if err != nil {
//			fmt.Fprintln(os.Stderr, err)
//			os.Exit(1)
//		}
//	}
//
// While it serves, os.Stdout is the standard error, since what stands on standard output belongs to the handshake; what
// is logged through package log/slog goes to the host, with its level and attributes. The Serve functions return when the
// host is gone or has no more use for the plugin, and after SIGTERM.
package sdk
