package translate

import (
	"sort"

	"github.com/eiffelbridge/eiffelbridge/translate/version"
)

// ran tells whether a kept entry of the line deployed an artifact of that package.
func (l *Line) ran(pkg string) bool {
	before := "" // the same artifact mostly stands in several entries
	for i := len(l.Entries) - 1; i >= 0; i-- {
		e := &l.Entries[i]
		if e.Removed || e.Artifact == before {
			continue
		}
		before = e.Artifact
		if a, _ := parseArtifact(e.Artifact, false); a.pkg == pkg {
			return true
		}
	}
	return false
}

// History is the line with the removals that the closing of its environment brought: environment may be nil. The result
// is ordered by time, then by id, and must not be changed.
func (l *Line) History(environment *Subject) []Entry {
	if environment == nil || len(environment.Closures) == 0 {
		return l.Entries
	}
	all := make([]Entry, 0, len(l.Entries)+len(environment.Closures))
	all = append(all, l.Entries...)
	for _, c := range environment.Closures {
		all = append(all, Entry{Stamp: c, Removed: true})
	}
	sort.SliceStable(all, func(i, j int) bool { return all[i].Before(all[j].Stamp) })
	return all
}

// lastBefore is the last entry strictly before a stamp, nil if there is none.
func lastBefore(history []Entry, s Stamp) *Entry {
	i := sort.Search(len(history), func(i int) bool { return !history[i].Before(s) })
	if i == 0 {
		return nil
	}
	return &history[i-1]
}

// runningAt is the deployment that ran at a stamp, or, if the line begins only later (clocks differ), the one that runs
// now; nil if none does.
func runningAt(history []Entry, s Stamp) *Entry {
	last := lastBefore(history, s)
	if last == nil && len(history) > 0 {
		last = &history[len(history)-1]
	}
	if last == nil || last.Removed {
		return nil
	}
	return last
}

// firstRun says when an artifact first ran in the line; false if not before the stamp.
func (l *Line) firstRun(key string, before Stamp) (Stamp, bool) {
	for _, r := range l.FirstRuns {
		if r.Artifact == key && r.Before(before) {
			return r.Stamp, true
		}
	}
	return Stamp{}, false
}

// The predicates of a service that an incarnation can have.
const (
	deployed   = "deployed"
	upgraded   = "upgraded"
	rolledback = "rolledback"
)

// incarnation judges a deployment by the line's history strictly before it (section 5, The predicate).
func incarnation(l *Line, history []Entry, at Stamp, a *artifact, config string, allQualifiers bool) string {
	last := lastBefore(history, at)
	// 1. Nothing ran here.
	if last == nil || last.Removed {
		return deployed
	}
	// 2. The same artifact: another configuration is an upgrade, the same one a rollout that advances.
	if last.ArtifactKey() == a.key {
		if last.Config != config {
			return upgraded
		}
		return deployed
	}
	// 3. Another version of the same package, where the package's scheme orders the two.
	before, _ := parseArtifact(last.Artifact, allQualifiers)
	if before.typ == a.typ && before.name == a.name {
		if order, ok := compareVersions(a, &before); ok && order != 0 {
			if order < 0 {
				return rolledback
			}
			return upgraded
		}
	}
	// 4. What ran here first is older.
	first, ran := l.firstRun(a.key, at)
	lastFirst, known := l.firstRun(last.ArtifactKey(), at)
	if ran && known && first.Before(lastFirst) {
		return rolledback
	}
	return upgraded
}

// compareVersions orders two artifacts of one package by its scheme; a digest is ordered by its tag.
func compareVersions(a, b *artifact) (order int, ok bool) {
	va, vb := a.version, b.version
	if a.digest {
		va = a.tag
	}
	if b.digest {
		vb = b.tag
	}
	if va == "" || vb == "" {
		return 0, false
	}
	return version.Compare(a.typ, va, vb)
}
