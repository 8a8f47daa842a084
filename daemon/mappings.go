package daemon

import (
	"errors"
	"fmt"
	"path/filepath"

	mappingsoverlay "github.com/eiffelbridge/eiffelbridge/mappings/overlay"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// loadMappings puts a relay's mappings over the bridge's. Problems stand at the key that names their file, with the place in
// it.
func (c *Config) loadMappings(key string, r *RelayConfig) {
	if len(r.Mappings) == 0 {
		return
	}
	paths := make([]string, len(r.Mappings))
	keys := map[string]string{}
	for i, path := range r.Mappings {
		at := fmt.Sprintf("%s[%d]", key, i)
		if path == "" {
			c.doc.Report(at, "is empty; it is the path of a file")
			return
		}
		if !filepath.IsAbs(path) {
			path = filepath.Join(c.folder, path)
		}
		paths[i] = path
		keys[filepath.ToSlash(path)] = at
	}
	catalogue, err := mappingsoverlay.Load(nil, paths...)
	var wrong *mappingsoverlay.Error
	switch {
	case errors.As(err, &wrong):
		for _, p := range wrong.Problems {
			c.doc.Report(keys[p.File], "%s", p)
		}
		return
	case err != nil:
		c.doc.Report(key, "%v", err)
		return
	}
	// What the engine alone knows, it says now, and not when the relay is started.
	if _, err := translate.New(translate.Settings{Catalogue: catalogue}); err != nil {
		c.doc.Report(key, "%v", err)
		return
	}
	r.catalogue = catalogue
}
