package translate

import (
	"slices"

	"github.com/package-url/packageurl-go"

	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// artifactSubject is the artifact that was created; its id is its purl, as the event writes it. Before version 2.0.0 the
// event has Maven coordinates instead, which are a purl of type maven.
func (t *toCDEvents) artifactSubject() {
	data := t.in.doc.Root().Get("data")
	if identity := data.Get("identity"); identity.Exists() {
		t.identifies(identity)
		t.identity = identity.Str()
		fidelity := Exact
		if a, purl := parseArtifact(t.identity, true); !purl || a.text != t.identity {
			fidelity = Translated
		}
		t.moveSubject(identity, fidelity)
	} else {
		gav := data.Get("gav")
		t.moveSubject(gav, OneWay)
		t.identity = urnUUID + t.in.ID
		if name := gav.Get("artifactId").Str(); name != "" {
			t.identity = packageurl.NewPackageURL("maven", gav.Get("groupId").Str(), name, gav.Get("version").Str(), nil, "").ToString()
		}
	}
	t.artifact = t.readArtifact(t.identity)
	if _, made := uuidOfURN(t.identity); !made {
		t.identity = t.artifact.text
	}
	t.subject = t.artifact.subject()
	t.text = t.marked(ledger.SubjectKey{ID: t.identity}).ID
}

// changeReference is the change that the artifact was made from: what its composition, its cause or the activity that
// built it leads to (mapping.md, "Required CDEvents fields").
func (t *toCDEvents) changeReference(at *place) value {
	choice := t.choose("change", "", func() string {
		f := t.follow(targets(t.links, linkComposition, linkCause, linkContext),
			func(e *ledger.EiffelEvent) bool { return e.Type == typeSCC || e.Type == typeSCS },
			func(e *ledger.EiffelEvent) []string {
				if e.Type == typeCD {
					return targets(e.Links, linkElement)
				}
				return targets(e.Links, linkComposition, linkCause, linkContext)
			})
		if t.markID != "" && len(f.ids) > 1 {
			f.ids = f.ids[:1] // the row's own link comes first
		}
		var changes []string
		for _, eiffelType := range []string{typeSCC, typeSCS} {
			for _, id := range f.ids {
				if e := t.eiffelEvent(id); e != nil && e.Type == eiffelType && !slices.Contains(changes, e.Subject.Key()) {
					changes = append(changes, e.Subject.Key())
				}
			}
		}
		if len(changes) > 0 {
			if len(changes) > 1 {
				t.diagnose(DiagnosticSeveral, "the artifact was made from %d changes; the first is named", len(changes))
			}
			return changes[0]
		}
		if f.unknown != "" {
			t.miss(ledger.AboutEvent(f.unknown), at.at, "the event %s, which may lead to the change", f.unknown)
		}
		return f.unknown
	})
	k, known := ledger.ParseSubjectKey(ledger.KindChange, choice)
	switch {
	case known:
		return t.referenceTo(at, k)
	case choice != "":
		return t.placeholder(at, choice)
	}
	return none
}
