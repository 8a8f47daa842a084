package translate

import (
	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/mappings"
)

// What a translation will ask follows nearly all from the event and its row. It is asked in one go before the translation
// begins; a question that comes up later is asked then. To expect too much or too little costs time and changes nothing.

// expectReferences asks what the event's row will look at.
func (t *toEiffel) expectReferences() {
	if t.store == nil {
		return
	}
	g, in := t.g, t.in
	t.expect(t.contextQuery(in.ID))
	if madeID(in.ID) {
		t.expect(t.eventQuery(in.ID))
	}
	root := in.doc.Root()
	for l := root.Get("context").Get("links").FirstChild(); l.Exists(); l = l.NextSibling() {
		end := l.Get("target")
		if !end.Exists() {
			end = l.Get("from")
		}
		if id := end.Get("contextId").Str(); id != "" {
			t.expect(t.contextQuery(id))
			if schema.IsEiffelID(id) {
				t.expect(t.eventQuery(id))
			}
		}
	}
	rows := g.rowsOfCDEvent(t.name)
	row := rows[len(rows)-1]
	subject := g.subjectOf(in)
	if row.ID == mappings.IDAnchor || len(rows) > 1 || row.Learns == mappings.LearnRemoval {
		t.expect(t.subjectQuery(subject))
	}
	var environment SubjectKey
	for i := range row.links {
		l := &row.links[i]
		v := root.Follow(l.reference)
		if !v.Exists() {
			continue
		}
		k := SubjectKey{Kind: l.Subject, Source: subject.Source, ID: v.Get("id").Str()}
		switch {
		case l.own:
			t.expect(t.subjectQuery(subject))
			continue
		case l.Subject == kindArtifact:
			if len(v.Str()) > maxID {
				continue // the event is refused
			}
			k = t.parse(v.Str()).subject()
		default:
			if source := v.Get("source").Str(); source != "" {
				k.Source = source
			}
			t.expect(t.aliasQuery(k))
		}
		t.expect(t.subjectQuery(k))
		if l.Subject == kindEnvironment {
			environment = k
		}
	}
	if row.Learns == mappings.LearnIncarnation && environment.ID != "" {
		t.expect(t.lineQuery(subject, environment))
		if t.parsed != nil {
			t.expect(t.packageQuery(environment, t.parsed.pkg))
		}
	}
	t.fetch()
}

// expectTargets asks what is known of the events that the event links to.
func (t *toCDEvents) expectTargets() {
	if t.store == nil {
		return
	}
	t.expect(t.contextQuery(t.in.ID))
	if madeID(t.in.ID) {
		t.expect(t.eventQuery(t.in.ID))
	}
	for i := range t.links {
		t.expect(t.eventQuery(t.links[i].Target))
	}
	t.fetch()
}

// expectIncarnation asks what decides about a deployment whose artifact and environment are t.
func (t *toCDEvents) expectIncarnation() {
	if t.store == nil {
		return
	}
	t.expect(t.packageQuery(t.environment, t.artifact.pkg))
	t.expect(t.serviceQuery(t.environment, t.subject.ID))
	t.expect(t.subjectQuery(t.environment))
	t.expect(t.lineQuery(t.subject, t.environment))
	t.fetch()
}
