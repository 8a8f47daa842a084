package translate

import (
	"strconv"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// changeSubject finds the change: a submission's is that of its CHANGE link; else it is named by the tracker's id for it,
// else by the commit or the revision (mapping.md, "Subjects of Eiffel events").
func (t *toCDEvents) changeSubject() {
	data := t.in.doc.Root().Get("data")
	k := ledger.SubjectKey{Kind: ledger.KindChange, Source: t.in.Source, ID: urnUUID + t.in.ID}
	switch id, commit, revision, hg := data.At("change", "id"), data.At("gitIdentifier", "commitId"), data.At("svnIdentifier", "revision"), data.At("hgIdentifier", "commitId"); {
	case id.Str() != "":
		k.ID = id.Str()
		t.moveSubject(id, Exact)
		if t.markID != "" {
			t.moveAny(data.At("change", "tracker"), "/subject/source", "judgement change", Exact)
		}
	case commit.Str() != "":
		k.ID = commit.Str()
		t.moveSubject(commit, OneWay)
	case revision.Exists():
		k.ID = string(revision.Raw())
		if n, ok := revision.Int(); ok {
			k.ID = strconv.FormatInt(n, 10)
		}
		t.moveSubject(revision, OneWay)
	case hg.Str() != "":
		k.ID = hg.Str()
		t.moveSubject(hg, OneWay)
	}
	t.identifies(data.At("change", "id"), data.At("gitIdentifier", "commitId"), data.At("hgIdentifier", "commitId"))
	if t.in.Type == typeSCS {
		if change := target(t.links, linkChange); change != "" {
			t.subject = t.subjectOfTarget(change, k, "/subject/id", typeSCC)
			return
		}
	}
	t.subject = t.marked(k)
}

// moveSubject notes which value became the subject's id.
func (t *toCDEvents) moveSubject(v jsondoc.Value, fidelity Fidelity) {
	t.move(v, "/subject/id", "judgement "+t.row.Subject, fidelity)
}
