// Package secret has text that no log, error or dump shows.
package secret

import (
	"log/slog"
	"strconv"
)

// Secret is text that no log, error or dump shows.
type Secret string

const hidden = "[hidden]"

// String shows nothing.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// GoString shows nothing.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// LogValue shows nothing.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText shows nothing.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
