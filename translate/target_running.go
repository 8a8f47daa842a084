package translate

import (
	"slices"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/internal/schema"

	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// runningTarget is the deployment that runs the service that a row's link refers to. Where a link needs one and none is
// known, a composition without elements, named after the service, stands in for it (mapping.md, "CDEvents to Eiffel").
func (t *toEiffel) runningTarget(l *rowLink) (to rowTarget) {
	service, from, ok := t.serviceOf(l)
	if !ok {
		return to
	}
	if id, ok := uuidOfURN(service.ID); ok && t.namesEvent(l, id) {
		to.id, to.rule, to.fidelity, to.aliased = id, "the Eiffel event that the service's id names", Translated, true
		to.says(from...)
		return to
	}
	environment, environmentFrom, missing := t.environmentOfService(service)
	aliased := len(environmentFrom) > 1 && environmentFrom[1].Str() != environment.Source
	choice := t.choose(l.running, "", func() string {
		if target, ok := t.twinTarget(l.Type); ok {
			return target
		}
		if environment.ID == "" {
			return ""
		}
		e, running := t.line(service, environment).RunningAt(t.subjectRecord(environment), t.stamp())
		if !running {
			if missing == (ledger.Question{}) {
				missing = ledger.AboutLine(service, environment)
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
	if choice != "" {
		to.id, to.aliased = choice, aliased
		to.says(from...)
		to.says(environmentFrom...)
		if t.explain {
			to.rule = "link to the deployment that runs service " + shorten(service.ID, 80)
		}
		if !t.mayTarget(l.Type, typeArtD) {
			to.fidelity = OneWay
		}
		return to
	}
	if !l.Required {
		return to
	}
	if missing != (ledger.Question{}) {
		t.miss(missing, l.Type, "a deployment of service %q", service.ID)
	}
	to.id, to.rule, to.fidelity = synthesizedID(l.Type, t.in.Source, t.in.ID, t.in.Type), "name of the composition that stands in", OneWay
	to.says(from...)
	t.diagnose(DiagnosticNoDeployment, "no deployment of service %q is known to run; composition %s stands in for it", service.ID, to.id)
	if t.g.settings.Synthesize != SynthesizeNever {
		t.synthesizeComposition(to.id, l.Type, service.ID, nil)
	}
	return to
}

// serviceOf is the service that a row's link refers to, and the values that say so; false if the event names none.
func (t *toEiffel) serviceOf(l *rowLink) (ledger.SubjectKey, []jsondoc.Value, bool) {
	v := t.in.doc.Root().Follow(l.reference)
	if l.own {
		return t.subject, []jsondoc.Value{v.Get("id")}, true
	}
	if !v.Exists() {
		return ledger.SubjectKey{}, nil, false
	}
	k := t.readReference(ledger.KindService, v)
	if _, ok := uuidOfURN(k.ID); !ok {
		k = t.resolve(sourceOfService, k)
	}
	return k, []jsondoc.Value{v.Get("id"), v.Get("source")}, true
}

// mayTarget tells whether the event's links of a type may point to events of another type.
func (t *toEiffel) mayTarget(linkType, eiffelType string) bool {
	return mayTarget(t.row.schema.LinkRules(), linkType, eiffelType)
}

func mayTarget(rules []schema.LinkRule, linkType, eiffelType string) bool {
	return slices.ContainsFunc(rules, func(r schema.LinkRule) bool {
		return r.Type == linkType && (r.Targets == nil || slices.Contains(r.Targets, eiffelType))
	})
}

// environmentOfService is the environment that the event names, and the values that say so, else the only one in which
// the service runs. The question says what to wait for where there is none yet; where there are several, nothing that comes
// could decide.
func (t *toEiffel) environmentOfService(service ledger.SubjectKey) (ledger.SubjectKey, []jsondoc.Value, ledger.Question) {
	v := t.in.doc.Root().At("subject", "content", "environment")
	if !v.Exists() {
		k, missing := t.onlyEnvironment(service)
		return k, nil, missing
	}
	from := []jsondoc.Value{v.Get("id"), v.Get("source")}
	k := t.readReference(ledger.KindEnvironment, v)
	if id, ok := uuidOfURN(k.ID); ok {
		if known := t.eiffelEvent(id); known != nil && known.Subject.Kind == ledger.KindEnvironment {
			return known.Subject, from, ledger.Question{}
		}
		return k, from, ledger.AboutEvent(id)
	}
	return t.resolve(sourceOfEnvironment, k), from, ledger.Question{}
}

// onlyEnvironment is the only environment in which a service runs.
func (t *toEiffel) onlyEnvironment(service ledger.SubjectKey) (ledger.SubjectKey, ledger.Question) {
	several := false
	choice := t.choose("only_environment", "", func() string {
		found := ""
		for _, k := range t.subjectRecord(service).Environments {
			if _, running := t.line(service, k).RunningAt(t.subjectRecord(k), t.stamp()); !running {
				continue
			}
			if found != "" {
				several = true
				return ""
			}
			found = k.Key()
		}
		return found
	})
	if parts, ok := ledger.ParseKey(choice); ok && len(parts) == 2 {
		return ledger.SubjectKey{Kind: ledger.KindEnvironment, Source: parts[0], ID: parts[1]}, ledger.Question{}
	}
	if several {
		t.diagnose(DiagnosticSeveralEnvironments, "service %q runs in several environments and the event names none", service.ID)
		return ledger.SubjectKey{}, ledger.Question{}
	}
	return ledger.SubjectKey{}, ledger.AboutSubject(service)
}
