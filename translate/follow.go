package translate

import (
	"slices"

	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// followDepth and followWidth bound how far links are followed for a field that CDEvents requires: each level is a
// round of questions to the ledger, and what lies further away than that is hardly what is meant.
const (
	followDepth = 6
	followWidth = 64
)

// found is what following links came to.
type found struct {
	ids     []string // the events that were looked for, of the nearest level that has any, in the order in which they were met
	unknown string   // the first event on the way that the ledger does not know; empty if it knows all
}

// follow goes along links from event to event, breadth first and in array order, until a level has what is looked for
// (mapping.md, "Required CDEvents fields"). next gives the ids to go on to from an event.
func (r *run) follow(from []string, want func(*ledger.EiffelEvent) bool, next func(*ledger.EiffelEvent) []string) (f found) {
	var seen []string
	level := from
	for range followDepth {
		var deeper []string
		for _, id := range level {
			if len(seen) >= followWidth || slices.Contains(seen, id) {
				continue
			}
			seen = append(seen, id)
			known := r.eiffelEvent(id)
			switch {
			case known == nil:
				if f.unknown == "" {
					f.unknown = id
				}
			case want(known):
				f.ids = append(f.ids, id)
			default:
				deeper = append(deeper, next(known)...)
			}
		}
		if len(f.ids) > 0 || len(deeper) == 0 {
			return f
		}
		level = deeper
	}
	return f
}

// targets are the targets of links of those types, type by type, in array order within each.
func targets(links []ledger.EiffelLink, types ...string) []string {
	var out []string
	for _, t := range types {
		for _, l := range links {
			if l.Type == t {
				out = append(out, l.Target)
			}
		}
	}
	return out
}
