//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package host

import (
	"log/slog"
	"os"
)

// folder is a folder for one start.
type folder struct{ path string }

func newFolder() (*folder, error) {
	path, err := os.MkdirTemp("", folderPrefix)
	return &folder{path}, err
}

func (f *folder) remove() { _ = os.RemoveAll(f.path) }

// sweep does nothing: there are no locks here that tell whose host is gone.
func sweep(*slog.Logger) {}
