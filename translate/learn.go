package translate

import (
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/mappings"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// pair is a CDEvent and the Eiffel event that it became or came from, as far as the ledger remembers them.
type pair struct {
	context     *Event // the CDEvent's head
	eiffel      string // meta.id
	eiffelType  string
	time        int64
	chain       string
	links       []ledger.EiffelLink
	subject     ledger.SubjectKey
	environment ledger.SubjectKey // if the pair names one
	artifact    *artifact         // if the pair names one
	identity    string            // the artifact's identity as the Eiffel event writes it
	config      string            // target of CONFIGURATION
	learns      string
	name        string // subject.predicate of the CDEvent
	title       string // data.name of an activity
	cdevent     bool   // the CDEvent is ours
	emitted     bool   // the Eiffel event is ours, or we gave it back
	again       bool   // the ledger learned of the Eiffel event before, so that it is not the newest
}

// pairOf is the pair of a CDEvent and its believed original.
func pairOf(in *Event, e *envelope) *pair {
	p := &pair{context: in, eiffel: e.id, time: in.Time, chain: in.doc.Root().At("context", "chainId").Str()}
	if e.mark == markOriginal {
		p.eiffelType = e.original.Type
		p.links = linksOf(&e.original)
	}
	return p
}

func linksOf(e *Event) []ledger.EiffelLink { return appendLinks(nil, e) }

func appendLinks(links []ledger.EiffelLink, e *Event) []ledger.EiffelLink {
	for l := e.root().Get("links").FirstChild(); l.Exists(); l = l.NextSibling() {
		links = append(links, ledger.EiffelLink{Type: l.Get("type").Str(), Target: l.Get("target").Str(), DomainID: l.Get("domainId").Str()})
	}
	return links
}

func target(links []ledger.EiffelLink, linkType string) string {
	for _, l := range links {
		if l.Type == linkType {
			return l.Target
		}
	}
	return ""
}

// knows tells whether the ledger knows already what an Eiffel event is about: the event came before, by this way or
// another, and is not the newest of its subject.
func (r *run) knows(eiffelID string) bool {
	known := r.eiffelEvent(eiffelID)
	return known != nil && known.Subject.Kind != ""
}

// learnAll teaches what a translation to Eiffel made.
func (t *toEiffel) learnAll() {
	chain := t.in.doc.Root().At("context", "chainId").Str()
	t.learnPair(&pair{
		context: t.in, eiffel: t.id, eiffelType: t.row.Eiffel, time: t.in.Time, chain: chain, emitted: true, again: t.twin != nil,
	})
}

// learnPair fills in what the CDEvent says and teaches the pair.
func (t *toEiffel) learnPair(p *pair) {
	p.subject, p.environment, p.artifact, p.learns = t.subject, t.environment, t.artifact, t.row.Learns
	p.name = t.name
	if t.row.Eiffel == typeActT {
		p.title = t.in.doc.Root().At("subject", "content", "pipelineName").Str()
	}
	if p.artifact != nil {
		p.identity = p.artifact.text
	}
	fill(&p.eiffelType, t.row.Eiffel)
	links := p.links
	if links == nil {
		links = t.links
	}
	p.config = target(links, linkConfiguration)
	t.learnFacts(p)
}

// readReferences reads the subjects that the content names, as far as making the links has not.
func (t *toEiffel) readReferences() {
	t.readEnvironment()
	content := t.in.doc.Root().At("subject", "content")
	if v := content.Get("artifactId"); v.Kind() == jsondoc.String && t.row.Learns == mappings.LearnIncarnation && t.artifact == nil {
		if id, ok := uuidOfURN(v.Str()); ok {
			t.artifact = t.artifactOfEvent(id)
		} else {
			t.identifies(v)
			t.artifact = t.readArtifact(v.Str())
		}
	}
	if t.row.Learns == mappings.LearnRemoval && t.environment.ID == "" {
		t.environment, _ = t.onlyEnvironment(t.subject)
	}
}

// readEnvironment reads the environment that the content names.
func (t *toEiffel) readEnvironment() {
	v := t.in.doc.Root().At("subject", "content", "environment")
	if v.Kind() != jsondoc.Object || t.environment.ID != "" {
		return
	}
	t.environment = t.readReference(ledger.KindEnvironment, v)
	if id, ok := uuidOfURN(t.environment.ID); ok {
		if known := t.eiffelEvent(id); known != nil && known.Subject.Kind == ledger.KindEnvironment {
			t.environment = known.Subject
		}
		return
	}
	t.environment = t.resolve(sourceOfEnvironment, t.environment)
}

// learnFacts teaches the ledger a pair of events.
func (r *run) learnFacts(p *pair) {
	stamp := ledger.Stamp{Time: p.time, ID: p.eiffel}
	context := ledger.Context{Source: p.context.Source, Type: p.context.Type, Emitted: p.cdevent}
	if p.eiffel != p.context.ID {
		context.Eiffel = p.eiffel
	}
	contexts := [...]ledger.Context{context}
	r.learn(ledger.AboutContext(p.context.ID), ledger.Contexts(contexts[:]).AppendTo(r.recordRoom()))

	event := ledger.EiffelEvent{
		Type: p.eiffelType, Time: p.time, Subject: p.subject, Environment: p.environment, Links: rememberedLinks(p.links), Name: p.title, Emitted: p.emitted,
	}
	if p.chain != p.eiffel {
		event.Chain = p.chain
	}
	if p.context.ID != p.eiffel {
		event.ContextID = p.context.ID
	}
	if p.artifact != nil {
		event.Artifact = p.identity
	}
	r.learnEvent(p.eiffel, &event)

	switch p.learns {
	case mappings.LearnAnchor:
		if p.again {
			break
		}
		s := p.milestone()
		s.Opened = stamp
		if p.artifact != nil {
			s.Text = p.identity
		} else if ledger.ReferredTo(p.subject.Kind) {
			r.learnMember(ledger.AboutName(p.subject.Kind, p.subject.ID), p.subject.Source)
		}
		r.learnSubject(p.subject, &s)
	case mappings.LearnMilestone:
		s := p.milestone()
		r.learnSubject(p.subject, &s)
	case mappings.LearnClosure:
		s := ledger.Subject{}
		if p.eiffelType != typeAnnP {
			s = p.milestone()
		}
		s.Closures = []ledger.Stamp{stamp}
		r.learnSubject(p.subject, &s)
	case mappings.LearnIncarnation:
		e := ledger.Entry{Stamp: stamp, Config: p.config}
		if _, predicate, _ := strings.Cut(p.name, "."); predicate != deployed {
			e.Predicate = predicate
		}
		r.learnEntry(p, e)
	case mappings.LearnRemoval:
		r.learnEntry(p, ledger.Entry{Stamp: stamp, Removed: true})
	}
}

// maxLinks is how many links of an event the ledger remembers: whoever links to the event reads them all, and hardly follows
// as many.
const maxLinks = 100

func rememberedLinks(links []ledger.EiffelLink) []ledger.EiffelLink {
	return links[:min(len(links), maxLinks)]
}

// milestone is what the pair adds to its subject: its Eiffel event, and the environment that a test ran in.
func (p *pair) milestone() ledger.Subject {
	s := ledger.Subject{Anchors: []ledger.Anchor{{Type: p.eiffelType, First: p.eiffel, Last: p.eiffel, From: p.context.ID}}}
	if _, unknown := uuidOfURN(p.environment.ID); p.environment.ID != "" && !unknown && p.subject.Kind != ledger.KindEnvironment {
		s.Environments = []ledger.SubjectKey{p.environment}
	}
	return s
}

// readEntry asks for what learnEntry will look at, so that it need not begin another round of questions.
func (r *run) readEntry(service, environment ledger.SubjectKey, a *artifact) {
	r.line(service, environment)
	if a != nil {
		r.record(ledger.AboutPackage(environment, a.pkg))
	}
}

// learnEntry adds an entry to the line of a service, and makes the line findable when it opens.
func (r *run) learnEntry(p *pair, e ledger.Entry) {
	_, unknown := uuidOfURN(p.environment.ID)
	if p.environment.ID == "" || unknown || !e.Removed && p.artifact == nil {
		return // which line it is stays unknown
	}
	known := r.line(p.subject, p.environment)
	if !e.Removed {
		e.Artifact = p.artifact.purl
		if p.artifact.key != p.artifact.purl {
			e.Key = p.artifact.key
		}
	}
	r.learned = known.Append(r.learned, e)
	if known.Empty() {
		r.learnMember(ledger.AboutRuns(p.environment), p.subject.Key())
		service := ledger.Subject{Environments: []ledger.SubjectKey{p.environment}}
		r.learnSubject(p.subject, &service)
		r.learnMember(ledger.AboutName(p.subject.Kind, p.subject.ID), p.subject.Source)
		r.learnMember(ledger.AboutService(p.environment, p.subject.ID), p.subject.Source)
	}
	if !e.Removed {
		q := ledger.AboutPackage(p.environment, p.artifact.pkg)
		key := r.texts.Keep(p.subject.AppendKey(r.texts.Room(usualKey)))
		if has, size, err := ledger.SetHas(r.record(q), key); err == nil && !has && size < ledger.SetSize(q.Kind) {
			r.learnMember(q, key)
		}
	}
}
