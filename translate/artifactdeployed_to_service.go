package translate

import (
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"

	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// serviceSubject finds out which service a deployment is about: environment + artifact = service (mapping.md, "The service").
func (t *toCDEvents) serviceSubject() {
	links := t.links
	artC, env := target(links, linkArtifact), target(links, linkEnvironment)
	t.config = target(links, linkConfiguration)

	// Whether a target was known when the event first came is a choice; what is known of it never changes.
	const no, yes = "", "1"
	known := func(name, id, want, typ string) *ledger.EiffelEvent {
		if t.choose(name, no, func() string {
			if e := t.eiffelEvent(id); e != nil && e.Type == typ {
				return yes
			}
			t.miss(ledger.AboutEvent(id), want, "%s %s", typ, id)
			return no
		}) == no {
			return nil
		}
		return t.eiffelEvent(id)
	}
	artifactEvent := known("artifact", artC, linkArtifact, typeArtC)
	environmentEvent := known("environment", env, linkEnvironment, typeED)
	if artifactEvent != nil {
		t.identity = artifactEvent.Artifact
		t.artifact = t.parse(t.identity)
	} else {
		t.identity = urnUUID + artC
	}
	if environmentEvent != nil {
		t.environment = environmentEvent.Subject
	} else {
		t.environment = ledger.SubjectKey{Kind: ledger.KindEnvironment, Source: t.in.Source, ID: urnUUID + env}
	}
	t.unresolved = artifactEvent == nil || environmentEvent == nil

	t.subject = t.marked(ledger.SubjectKey{Kind: ledger.KindService, Source: t.in.Source})
	named := t.subject.ID != ""
	if !named {
		if t.unresolved {
			t.subject.ID = urnUUID + artC
		} else {
			t.subject.ID = t.artifact.pkg
		}
		if id := t.serviceID(); id != "" {
			t.subject.ID, named = id, true
		}
	}
	if t.unresolved {
		t.diagnose(DiagnosticUnresolved, "the artifact or the environment of deployment %s is unknown; it opens no incarnation", t.in.ID)
		return
	}
	t.expectIncarnation()
	own := t.subject
	t.subject = t.chooseSubject("subject", own, func() ledger.SubjectKey {
		if t.markID != "" {
			return own
		}
		if !named {
			if services := t.set(ledger.AboutPackage(t.environment, t.artifact.pkg)); len(services) == 1 {
				if k, ok := ledger.ParseSubjectKey(ledger.KindService, services[0]); ok {
					return k
				}
			}
		}
		if sources := t.set(ledger.AboutService(t.environment, own.ID)); len(sources) == 1 {
			return ledger.SubjectKey{Kind: ledger.KindService, Source: sources[0], ID: own.ID}
		}
		return own
	})
}

// serviceID names the service as the overlay says, if it is known what is deployed, else as the custom data does; "" if
// neither.
func (t *toCDEvents) serviceID() string {
	if e := t.g.settings.Catalogue.ServiceID; e != nil && !t.unresolved {
		id, err := t.evaluateText(e, t.subject, "/subject/id", "service_id")
		if err != nil {
			t.failure = err
		}
		if id != "" {
			return id
		}
	}
	entry := t.customEntry(t.g.settings.ServiceIDKey)
	v := entry.Get("value")
	if v.Kind() != jsondoc.String || v.Str() == "" {
		return ""
	}
	t.identifies(v)
	rule := ""
	if t.explain {
		rule = "custom data " + t.g.settings.ServiceIDKey
	}
	t.move(v, "/subject/id", rule, Exact)
	t.move(entry.Get("key"), "/subject/id", rule, OneWay)
	return v.Str()
}

// incarnationName judges the deployment by the history of its line.
func (t *toCDEvents) incarnationName() string {
	predicate := deployed
	if !t.unresolved {
		if !t.replaying {
			t.readEntry(t.subject, t.environment, t.artifact)
		}
		predicate = t.choose("predicate", deployed, func() string {
			return incarnation(t.line(t.subject, t.environment), t.subjectRecord(t.environment), ledger.Stamp{Time: t.in.Time, ID: t.in.ID}, t.artifact, t.config, t.g.settings.AllQualifiers)
		})
	}
	for _, name := range t.row.CDEvent {
		if strings.TrimPrefix(name, "service.") == predicate {
			return name
		}
	}
	return t.row.CDEvent[0]
}

// environmentReference writes the environment that a service lives in.
func (t *toCDEvents) environmentReference(at *place) value {
	if t.environment.ID == "" {
		return none
	}
	return t.referenceTo(at, t.environment)
}

// artifactID is the purl of what was deployed, as its ArtC writes it.
func (t *toCDEvents) artifactID(*place) value {
	return textValue(t.identity)
}
