package translate

import (
	"slices"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
)

// serviceSubject finds out which service a deployment is about: environment + artifact = service (section 5).
func (t *toCDEvents) serviceSubject() {
	links := t.linksIn()
	artC, env := target(links, linkArtifact), target(links, linkEnvironment)
	t.config = target(links, linkConfiguration)

	// Whether a target was known when the event first came is a choice; what is known of it never changes.
	const no, yes = "", "1"
	known := func(name, id, want, typ string) *EiffelEvent {
		if t.choose(name, no, func() string {
			if e := t.eiffelEvent(id); e != nil && e.Type == typ {
				return yes
			}
			t.miss(eventQuery(id), want, "%s %s", typ, id)
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
		a, _ := parseArtifact(t.identity, t.g.settings.AllQualifiers)
		t.artifact = &a
	} else {
		t.identity = urnUUID + artC
	}
	if environmentEvent != nil {
		t.environment = environmentEvent.Subject
	} else {
		t.environment = SubjectKey{Kind: kindEnvironment, Source: t.in.Source, ID: urnUUID + env}
	}
	t.unresolved = artifactEvent == nil || environmentEvent == nil

	t.subject = t.marked(SubjectKey{Kind: kindService, Source: t.in.Source})
	named := t.subject.ID != ""
	if !named {
		t.subject.ID = urnUUID + artC
		if !t.unresolved {
			t.subject.ID = t.artifact.pkg
		}
		if id := t.serviceID(); id != "" {
			t.subject.ID, named = id, true
		}
	}
	if t.unresolved {
		t.diagnose("unresolved_deployment", "the artifact or the environment of deployment %s is unknown; it opens no incarnation", t.in.ID)
		return
	}
	own := t.subject.Key()
	choice := t.choose("subject", own, func() string {
		if t.markID != "" {
			return own
		}
		if !named {
			if services := t.set(packageQuery(t.environment, t.artifact.pkg)); len(services) == 1 {
				return services[0]
			}
		}
		if sources := t.set(serviceQuery(t.environment, t.subject.ID)); len(sources) == 1 {
			return SubjectKey{Source: sources[0], ID: t.subject.ID}.Key()
		}
		return own
	})
	if k, ok := subjectOfKey(kindService, choice); ok {
		t.subject = k
	}
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
	t.move(v, "/subject/id", "custom data "+t.g.settings.ServiceIDKey, Exact)
	t.move(entry.Get("key"), "/subject/id", "custom data "+t.g.settings.ServiceIDKey, OneWay)
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
			return incarnation(t.line(t.subject, t.environment), t.subjectRecord(t.environment), Stamp{Time: t.in.Time, ID: t.in.ID}, t.artifact, t.config, t.g.settings.AllQualifiers)
		})
	}
	name := "service." + predicate
	if slices.Contains(t.row.CDEvent, name) {
		return name
	}
	return t.row.CDEvent[0]
}

// environmentReference writes the environment that a service lives in.
func (t *toCDEvents) environmentReference() []byte {
	if t.environment.ID == "" {
		return nil
	}
	return appendReference(t.environment)
}

// artifactID is the purl of what was deployed, as its ArtC writes it.
func (t *toCDEvents) artifactID() []byte {
	return jsondoc.AppendString(nil, t.identity)
}
