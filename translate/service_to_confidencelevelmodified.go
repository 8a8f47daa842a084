package translate

import (
	"slices"

	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/mappings"
)

// runningTarget is the deployment that runs the event's service. Where a link needs one and none is known, a
// composition without elements, named after the service, stands in for it (section 5).
func (t *toEiffel) runningTarget(l *mappings.Link) string {
	environment, missing := t.environmentOfService(l.Type)
	choice := t.choose("running/"+l.Type, "", func() string {
		if target, ok := t.twinTarget(l.Type); ok {
			return target
		}
		if environment.ID == "" {
			return ""
		}
		e, running := t.line(t.subject, environment).runningAt(t.subjectRecord(environment), t.stamp())
		if !running {
			if missing == (Query{}) {
				missing = lineQuery(t.subject, environment)
			}
			return ""
		}
		if t.mayTarget(l.Type, typeArtD) {
			return e.ID
		}
		// Before Orizaba a confidence level cannot speak of a deployment: the artifact that runs is the nearest.
		a, _ := parseArtifact(e.Artifact, t.g.settings.AllQualifiers)
		if anchor := t.subjectRecord(a.subject()).Anchor(typeArtC); anchor != nil {
			return anchor.Last
		}
		return ""
	})
	t.environment = environment
	if choice != "" || !l.Required {
		return choice
	}
	if missing != (Query{}) {
		t.miss(missing, l.Type, "a deployment of service %q", t.subject.ID)
	}
	id := synthesizedID(l.Type, t.in.Source, t.in.ID, t.in.Type)
	t.diagnose("no_running_deployment", "no deployment of service %q is known to run; composition %s stands in for it", t.subject.ID, id)
	if t.g.settings.Synthesize == SynthesizeNever {
		return id
	}
	t.synthesize(typeCD, id, t.in.Source, []member{stringMember("/name", t.subject.ID)})
	if !t.replaying {
		record := EiffelEvent{Type: typeCD, Time: t.in.Time, Emitted: true, Synthesized: true}
		t.learn(eventQuery(id), record.Encode())
	}
	return id
}

// mayTarget tells whether the event's links of a type may point to events of another type.
func (t *toEiffel) mayTarget(linkType, eiffelType string) bool {
	return slices.ContainsFunc(t.schema.LinkRules(), func(r schema.LinkRule) bool {
		return r.Type == linkType && (r.Targets == nil || slices.Contains(r.Targets, eiffelType))
	})
}

// environmentOfService is the environment that the event names, else the only one in which its service runs. The query
// says what to wait for where there is none yet; where there are several, nothing that comes could decide.
func (t *toEiffel) environmentOfService(linkType string) (SubjectKey, Query) {
	v := t.in.doc.Root().At("subject", "content", "environment")
	if !v.Exists() {
		return t.onlyEnvironment()
	}
	k := t.readReference("environment", v, "/links/"+linkType, "link to the deployment that runs in the environment")
	if id, ok := uuidOfURN(k.ID); ok {
		if known := t.eiffelEvent(id); known != nil && known.Subject.Kind == "environment" {
			return known.Subject, Query{}
		}
		return k, eventQuery(id)
	}
	return t.resolve("environment", k), Query{}
}

// onlyEnvironment is the only environment in which the event's service runs.
func (t *toEiffel) onlyEnvironment() (SubjectKey, Query) {
	several := false
	choice := t.choose("only_environment", "", func() string {
		found := ""
		for _, k := range t.subjectRecord(t.subject).Environments {
			if _, running := t.line(t.subject, k).runningAt(t.subjectRecord(k), t.stamp()); !running {
				continue
			}
			if found != "" {
				several = true
				return ""
			}
			found = string(appendKey(nil, k.Source, k.ID))
		}
		return found
	})
	if parts, ok := ParseKey(choice); ok && len(parts) == 2 {
		return SubjectKey{"environment", parts[0], parts[1]}, Query{}
	}
	if several {
		t.diagnose("several_environments", "service %q runs in several environments and the event names none", t.subject.ID)
		return SubjectKey{}, Query{}
	}
	return SubjectKey{}, subjectQuery(t.subject)
}
