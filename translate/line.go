package translate

import (
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
	"github.com/eiffelbridge/eiffelbridge/translate/version"
)

// The predicates of a service that an incarnation can have.
const (
	deployed   = "deployed"
	upgraded   = "upgraded"
	rolledback = "rolledback"
)

// incarnation judges a deployment by the line strictly before it (mapping.md, "The predicate").
func incarnation(l *ledger.History, environment *ledger.Subject, at ledger.Stamp, a *artifact, config string, allQualifiers bool) string {
	last, found := l.LastBefore(environment, at)
	// 1. Nothing ran here.
	if !found || last.Removed {
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
	first, ran := l.FirstRun(a.key, at)
	lastFirst, known := l.FirstRun(last.ArtifactKey(), at)
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
