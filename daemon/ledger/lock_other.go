//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package ledger

import (
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// acquire locks a file by the engine's means, which know exclusive locks only and do not tell a held lock from a
// failure to take it.
func acquire(path string, shared bool) (io.Closer, error) {
	l, err := vfs.Default.Lock(path)
	if err != nil {
		return nil, &heldError{}
	}
	return l, nil
}
