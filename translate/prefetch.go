package translate

import (
	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/mappings"

	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// What a translation will ask follows nearly all from the event and its row. It is asked in one go before the translation
// begins; a question that comes up later is asked then. To expect too much or too little costs time and changes nothing.

// expectReferences asks what the event's row will look at.
func (t *toEiffel) expectReferences() {
	if t.store == nil {
		return
	}
	g, in := t.g, t.in
	t.expect(ledger.AboutContext(in.ID))
	if madeID(in.ID) {
		t.expect(ledger.AboutEvent(in.ID))
	}
	root := in.doc.Root()
	for l := root.Get("context").Get("links").FirstChild(); l.Exists(); l = l.NextSibling() {
		end := l.Get("target")
		if !end.Exists() {
			end = l.Get("from")
		}
		if id := end.Get("contextId").Str(); id != "" {
			t.expect(ledger.AboutContext(id))
			if schema.IsEiffelID(id) {
				t.expect(ledger.AboutEvent(id))
			}
		}
	}
	rows := g.rowsOfCDEvent(t.name)
	row := rows[len(rows)-1]
	subject := g.subjectOf(in)
	if row.ID == mappings.IDAnchor || len(rows) > 1 || row.Learns == mappings.LearnRemoval {
		t.expect(ledger.AboutSubject(subject))
	}
	var environment ledger.SubjectKey
	for i := range row.links {
		l := &row.links[i]
		v := root.Follow(l.reference)
		if !v.Exists() {
			continue
		}
		k := ledger.SubjectKey{Kind: l.Subject, Source: subject.Source, ID: v.Get("id").Str()}
		switch {
		case l.own:
			t.expect(ledger.AboutSubject(subject))
			continue
		case l.Subject == ledger.KindArtifact:
			if len(v.Str()) > maxID {
				continue // the event is refused
			}
			k = t.parse(v.Str()).subject()
		default:
			if source := v.Get("source").Str(); source != "" {
				k.Source = source
			}
			t.expect(ledger.AboutAlias(k))
		}
		t.expect(ledger.AboutSubject(k))
		if l.Subject == ledger.KindEnvironment {
			environment = k
		}
	}
	if row.Learns == mappings.LearnIncarnation && environment.ID != "" {
		t.expect(ledger.AboutLine(subject, environment))
		if t.parsed != nil {
			t.expect(ledger.AboutPackage(environment, t.parsed.pkg))
		}
	}
	t.fetch()
}

// expectTargets asks what is known of the events that the event links to.
func (t *toCDEvents) expectTargets() {
	if t.store == nil {
		return
	}
	t.expect(ledger.AboutContext(t.in.ID))
	if madeID(t.in.ID) {
		t.expect(ledger.AboutEvent(t.in.ID))
	}
	for i := range t.links {
		t.expect(ledger.AboutEvent(t.links[i].Target))
	}
	t.fetch()
}

// expectIncarnation asks what decides about a deployment whose artifact and environment are t.
func (t *toCDEvents) expectIncarnation() {
	if t.store == nil {
		return
	}
	t.expect(ledger.AboutPackage(t.environment, t.artifact.pkg))
	t.expect(ledger.AboutService(t.environment, t.subject.ID))
	t.expect(ledger.AboutSubject(t.environment))
	t.expect(ledger.AboutLine(t.subject, t.environment))
	t.fetch()
}
