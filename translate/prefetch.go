package translate

import (
	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/mappings"
)

// What a translation will ask follows nearly all from the event and its row. It is asked in one go before the translation
// begins; a question that comes up later is asked then. To expect too much or too little costs time and changes nothing.

// expect asks what the event's row will look at.
func (t *toEiffel) expect(g *Engine, in *Event, known *recall) {
	if known.store == nil {
		return
	}
	known.expect(known.contextQuery(in.ID))
	root := in.doc.Root()
	for l := root.Get("context").Get("links").First(); l.Exists(); l = l.Next() {
		end := l.Get("target")
		if !end.Exists() {
			end = l.Get("from")
		}
		if id := end.Get("contextId").Str(); id != "" {
			known.expect(known.contextQuery(id))
			if schema.IsEiffelID(id) {
				known.expect(known.eventQuery(id))
			}
		}
	}
	rows := g.rowsOfCDEvent(t.name)
	row := rows[len(rows)-1]
	subject := g.subjectOf(in)
	if row.ID == mappings.IDAnchor || len(rows) > 1 || row.Learns == mappings.LearnRemoval {
		known.expect(known.subjectQuery(subject))
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
			known.expect(known.subjectQuery(subject))
			continue
		case l.Subject == kindArtifact:
			if len(v.Str()) > maxID {
				continue // the event is refused
			}
			a, _ := parseArtifact(v.Str(), g.settings.AllQualifiers)
			k = a.subject()
		default:
			if source := v.Get("source").Str(); source != "" {
				k.Source = source
			}
			known.expect(known.aliasQuery(k))
		}
		known.expect(known.subjectQuery(k))
		if l.Subject == kindEnvironment {
			environment = k
		}
	}
	if row.Learns == mappings.LearnIncarnation && environment.ID != "" {
		known.expect(known.lineQuery(subject, environment))
	}
	known.fetch()
}

// expect asks what is known of the events that the event names.
func (t *toCDEvents) expect(in *Event, links []EiffelLink, known *recall) {
	if known.store == nil {
		return
	}
	known.expect(known.contextQuery(in.ID))
	if madeID(in.ID) {
		known.expect(known.eventQuery(in.ID))
	}
	for i := range links {
		known.expect(known.eventQuery(links[i].Target))
	}
	known.fetch()
}

// expectIncarnation asks what decides about a deployment whose artifact and environment are known.
func (t *toCDEvents) expectIncarnation(named bool) {
	if t.store == nil {
		return
	}
	if !named {
		t.recall.expect(t.packageQuery(t.environment, t.artifact.pkg))
	}
	t.recall.expect(t.serviceQuery(t.environment, t.subject.ID))
	t.recall.expect(t.subjectQuery(t.environment))
	t.recall.expect(t.lineQuery(t.subject, t.environment))
	t.fetch()
}
