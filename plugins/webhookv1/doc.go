// Package webhookv1 is the generated code of the protocol between the CDEvents webhook adapter and its translators;
// webhook.proto says what it is.
package webhookv1

// The handshake of the protocol, and the name that its host asks for a translator by.
const (
	CookieKey   = "BASIC_PLUGIN"
	CookieValue = "hello"
	Version     = 1
	PluginName  = "translator_grpc"
)
