package translate

import (
	"slices"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/internal/schema"

	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// testedTarget is the item under test (mapping.md, "Item under test"): what a RELATION of kind IUT says; else an artifact, composition or
// change that the event's links name; else what the ledger says runs in the event's environment; else a composition without elements that
// stands in for it.
//
// The choice is the target's id, or "+" and the elements of a composition to be made up.
func (t *toEiffel) testedTarget(linkType string) (to rowTarget) {
	rules := t.testCaseRules()
	const none = "+"
	named := t.testedByLinks(rules, linkType)
	choice := t.choose("tested", none, func() string {
		if target, ok := t.twinTarget(linkType); ok && target != "" {
			return target
		}
		if named != "" {
			return named
		}
		if running := t.testedByEnvironment(rules, linkType); running != "" {
			return running
		}
		return none
	})
	if choice == none && t.g.settings.Synthesize == SynthesizeNever && t.environment.ID != "" {
		t.miss(ledger.AboutRuns(t.environment), linkType, "a deployment in environment %q", t.environment.ID)
	}
	if environment := t.in.doc.Root().At("subject", "content", "environment"); choice != named && environment.Get("id").Str() != "" {
		to.rule, to.fidelity = "the item under test is what runs in the environment", OneWay
		to.says(environment.Get("id"), environment.Get("source"))
	}
	list, made := strings.CutPrefix(choice, "+")
	if !made {
		to.id = choice
		return to
	}
	to.id = synthesizedID(linkType, t.in.Source, t.in.ID, t.in.Type)
	name := t.testedName()
	switch {
	case t.g.settings.Synthesize == SynthesizeNever:
		t.diagnose(DiagnosticPlaceholder, "the %s link leads to composition %s, which is not made up, since synthesize says never", linkType, to.id)
		return to
	case list == "":
		t.diagnose(DiagnosticNoItemUnderTest, "nothing is known of what is tested; composition %s, named %q, stands in for it", to.id, shorten(name.Str(), 120))
	}
	t.move(name, "/data/name", "name of the synthesized "+typeCD, OneWay)
	t.moveOf(len(t.events))
	t.synthesizeComposition(to.id, linkType, name.Str(), strings.Fields(list))
	return to
}

// testCaseRules are the link rules of the event that has the item under test, in the output edition.
func (t *toEiffel) testCaseRules() []schema.LinkRule {
	return t.g.linkRules(typeTCT)
}

// testedByLinks is the event that a RELATION of the link's own kind names, known or not, else the first event that the
// CDEvent's links name and that can be tested.
func (t *toEiffel) testedByLinks(rules []schema.LinkRule, linkType string) string {
	for l := range t.in.doc.Root().At("context", "links").Children() {
		contextID := l.At("target", "contextId").Str()
		if l.Get("linkType").Str() != "RELATION" || l.Get("linkKind").Str() != linkType || contextID == "" || contextID == t.in.ID {
			continue
		}
		id, eiffelType := t.eiffelOf(contextID)
		switch {
		case id == "" && schema.IsEiffelID(contextID):
			return contextID
		case id != "" && (eiffelType == "" || mayTarget(rules, linkType, eiffelType)):
			return id
		case eiffelType == typeArtD:
			// Before Orizaba what is deployed can be tested, but not the deployment.
			if known := t.eiffelEvent(id); known != nil && target(known.Links, linkArtifact) != "" {
				return target(known.Links, linkArtifact)
			}
		}
	}
	for l := range t.in.doc.Root().At("context", "links").Children() {
		contextID := l.At("target", "contextId").Str()
		if l.Get("linkType").Str() == "PATH" {
			contextID = l.At("from", "contextId").Str()
		}
		if contextID == "" {
			continue
		}
		id, eiffelType := t.eiffelOf(contextID)
		switch {
		case id == "" || id == t.id || !mayBeTested(eiffelType):
		case mayTarget(rules, linkType, eiffelType):
			return id
		case t.mayBeElement(eiffelType):
			return "+" + id // a composition around a change
		}
	}
	return ""
}

// mayBeTested tells whether an event of a type that a link of any kind names is what is tested: an artifact, a composition
// or a change, but not a deployment, which may be one into another environment.
func mayBeTested(eiffelType string) bool {
	return slices.Contains([]string{typeArtC, typeCD, typeSCC, typeSCS}, eiffelType)
}

func (t *toEiffel) mayBeElement(eiffelType string) bool {
	return mayTarget(t.g.linkRules(typeCD), linkElement, eiffelType)
}

// testedByEnvironment is what runs in the event's environment: the only deployment, or a composition of the artifacts.
func (t *toEiffel) testedByEnvironment(rules []schema.LinkRule, linkType string) string {
	t.readEnvironment()
	if t.environment.ID == "" {
		return ""
	}
	services := t.set(ledger.AboutRuns(t.environment))
	if len(services) >= ledger.SetSize(ledger.RunsFact) {
		t.diagnose(DiagnosticManyServices, "too many services are known in environment %q to say what is tested", t.environment.ID)
		return ""
	}
	environment := t.subjectRecord(t.environment)
	deployments := 0
	var deployment string
	var artifacts []string
	for _, text := range services {
		parts, ok := ledger.ParseKey(text)
		if !ok || len(parts) != 2 {
			continue
		}
		e, running := t.line(ledger.SubjectKey{Kind: ledger.KindService, Source: parts[0], ID: parts[1]}, t.environment).RunningAt(environment, t.stamp())
		if !running {
			continue
		}
		deployments++
		deployment = e.ID
		a, _ := parseArtifact(e.Artifact, t.g.settings.AllQualifiers)
		if anchor := t.subjectRecord(a.subject()).Anchor(typeArtC); anchor != nil && !slices.Contains(artifacts, anchor.Last) {
			artifacts = append(artifacts, anchor.Last)
		}
	}
	switch {
	case deployments == 1 && mayTarget(rules, linkType, typeArtD):
		return deployment
	case deployments == 1 && len(artifacts) == 1:
		return artifacts[0]
	case len(artifacts) > 0:
		slices.Sort(artifacts)
		return "+" + strings.Join(artifacts, " ")
	}
	return ""
}

// testedName names the composition that stands in for the item under test: after the environment, the test suite run,
// the test case or the subject, whichever is there first.
func (t *toEiffel) testedName() jsondoc.Value {
	subject := t.in.doc.Root().Get("subject")
	content := subject.Get("content")
	for _, v := range []jsondoc.Value{content.At("environment", "id"), content.At("testSuiteRun", "id"), content.At("testCase", "id")} {
		if v.Str() != "" {
			return v
		}
	}
	return subject.Get("id")
}
