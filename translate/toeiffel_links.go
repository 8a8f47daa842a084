package translate

import (
	"slices"
	"strconv"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/internal/smallmap"
	"github.com/eiffelbridge/eiffelbridge/mappings"

	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// makeLinks makes the row's own links, then those of the CDEvent. One that came from an Eiffel event says itself which
// links that one had, but for versions of CDEvents without links: only what Eiffel requires is made by the row then, if it is
// missing.
func (t *toEiffel) makeLinks() error {
	if t.linked {
		t.mergeLinks()
	}
	for i := range t.row.links {
		l := &t.row.links[i]
		if t.linked && (!l.Required || target(t.links, l.Type) != "") {
			continue
		}
		if err := t.makeRowLink(l); err != nil {
			return err
		}
	}
	if !t.linked {
		t.mergeLinks()
	}
	return nil
}

// makeRowLink makes one of the row's links, if its target is known.
func (t *toEiffel) makeRowLink(l *rowLink) error {
	var to rowTarget
	switch l.Target {
	case mappings.TargetAnchor:
		to = t.anchorTarget(l)
	case mappings.TargetPrevious:
		to.id = t.previousTarget(l.Type)
	case mappings.TargetRunning:
		to = t.runningTarget(l)
	case mappings.TargetTested:
		to = t.testedTarget(l.Type)
	case mappings.TargetValue:
		text, err := t.evaluateText(l.Value, t.subject, t.linkPointer("/target"), t.row.rule)
		if err != nil {
			return err
		}
		if text != "" {
			to.id, _ = t.linkTarget(l.value, -1, l.Type, text, false)
		}
	}
	if to.id == "" || to.id == t.id {
		return nil
	}
	pointer := t.linkPointer("/target")
	if to.count == 0 && t.explain {
		t.move(jsondoc.Value{}, pointer, "the "+l.Target+" of "+t.row.rule, OneWay)
	}
	for _, v := range to.from[:to.count] {
		if v.Str() == "" {
			continue // a source that is empty says nothing
		}
		fidelity := to.fidelity
		if to.aliased && v.Key() == "source" {
			fidelity = OneWay
		}
		t.moveAny(v, pointer, to.rule, fidelity)
	}
	t.links = append(t.links, ledger.EiffelLink{Type: l.Type, Target: to.id})
	return nil
}

// linkPointer points into the link that is made next; it is only needed for moves.
func (t *toEiffel) linkPointer(member string) string {
	if !t.explain {
		return ""
	}
	return "/links/" + strconv.Itoa(len(t.links)) + member
}

// rowTarget is the target of a row's link, and the values of the CDEvent that say so.
type rowTarget struct {
	id       string
	from     [4]jsondoc.Value
	count    int // of from
	rule     string
	fidelity Fidelity
	aliased  bool // the reference means a subject of another source than it says
}

// says adds values of the CDEvent that say so; a missing one keeps its place.
func (to *rowTarget) says(values ...jsondoc.Value) {
	to.count += copy(to.from[to.count:], values)
}

// previousTarget is the last version of the event's own anchor; none for the first, and none if the environment was gone.
func (t *toEiffel) previousTarget(linkType string) string {
	return t.choose("previous", "", func() string {
		if target, ok := t.twinTarget(linkType); ok && linkType == linkPrevious { // a CAUSE may be another
			return target
		}
		s := t.subjectRecord(t.subject)
		anchor := s.Anchor(t.row.Eiffel)
		if t.first || anchor == nil || t.subject.Kind == ledger.KindEnvironment && s.Closed() {
			return ""
		}
		return anchor.Last
	})
}

// anchorTarget is the Eiffel event that stands for the subject that a row's link refers to. A required one that nobody
// knows is synthesized; the choice then begins with "+".
func (t *toEiffel) anchorTarget(l *rowLink) (to rowTarget) {
	v := t.in.doc.Root().Follow(l.reference)
	if !v.Exists() {
		return to
	}
	if t.explain {
		to.rule = "link to the " + l.Subject + "'s " + l.Anchor
	}
	var k ledger.SubjectKey
	art := t.artifact // for an artifact that is to be synthesized
	id := ""          // of the Eiffel event that the reference names itself
	switch {
	case l.own:
		k = t.subject
		to.says(v.Get("id"), v.Get("source"))
		id, _ = uuidOfURN(t.in.Subject)
	case l.Subject == ledger.KindArtifact:
		to.says(v)
		t.identifies(v)
		if id, _ = uuidOfURN(v.Str()); id != "" {
			t.artifact = t.artifactOfEvent(id)
			break
		}
		t.artifact = t.readArtifact(v.Str())
		if t.artifact.purl != v.Str() {
			to.fidelity = Translated
		}
		art, k = t.artifact, t.artifact.subject()
	default:
		k = t.readReference(l.Subject, v)
		to.says(v.Get("id"), v.Get("source"))
		if id, _ = uuidOfURN(k.ID); id != "" {
			to.fidelity, to.aliased = Translated, true
			known := t.eiffelEvent(id)
			if known == nil && !l.Required {
				to.fidelity = OneWay
			}
			if known != nil && known.Subject.Kind == l.Subject {
				k = known.Subject
			}
		} else {
			source := k.Source
			k = t.resolve(l.source, k)
			to.aliased = k.Source != source
		}
		if l.Subject == ledger.KindEnvironment {
			t.environment = k
		}
	}
	if id != "" {
		if t.namesEvent(l, id) {
			to.id = id
			return to
		}
		if !l.Required {
			return to
		}
		if l.Subject == ledger.KindArtifact {
			a := t.readArtifact(urnUUID + id)
			t.artifact, art, k = a, a, a.subject()
		}
	}
	choice := t.chooseAnchor(l, k)
	target, synthesized := strings.CutPrefix(choice, "+")
	if synthesized {
		t.synthesizeAnchor(l, target, k, art)
	}
	to.id = target
	return to
}

// chooseAnchor chooses the target of a link to a subject's anchor: its id, behind "+" if it is to be synthesized.
func (t *toEiffel) chooseAnchor(l *rowLink, k ledger.SubjectKey) string {
	if !l.Required {
		return t.choose(l.choice, "", func() string { return t.knownAnchor(l, k) })
	}
	if !t.replaying {
		if known := t.knownAnchor(l, k); known != "" && known[0] != '+' && t.g.settings.Synthesize != SynthesizeNever {
			t.choices = append(t.choices, ledger.Choice{Name: l.choice, Value: known}) // whatever the standard is, it begins with "+"
			return known
		}
	}
	standard := anchorID(l.Anchor, k)
	if t.g.settings.Synthesize != SynthesizeNever {
		standard = "+" + standard
	}
	return t.choose(l.choice, standard, func() string {
		known := t.knownAnchor(l, k)
		if known != "" {
			return known
		}
		if t.g.settings.Synthesize == SynthesizeNever {
			t.miss(ledger.AboutSubject(k), l.Type, "%s %q", k.Kind, k.ID)
		}
		return standard
	})
}

// knownAnchor is the anchor that the ledger has for a subject, behind "+" if it is to be synthesized once more; "" for none.
func (t *toEiffel) knownAnchor(l *rowLink, k ledger.SubjectKey) string {
	if target, ok := t.twinTarget(l.Type); ok && target != "" {
		return target
	}
	s := t.subjectRecord(k)
	if a := s.Anchor(l.Or); a != nil {
		return a.Last
	}
	a := s.Anchor(l.Anchor)
	switch {
	case a == nil:
		return ""
	case l.Required && a.Synthesized && a.Last == a.First && t.g.settings.Synthesize == SynthesizeAlways:
		return "+" + a.First
	}
	return a.Last
}

// namesEvent tells whether a reference that names an Eiffel event itself becomes a link to it: unless that is known to be
// of another type than the link may point to. A required link is then made as for any other reference.
func (t *toEiffel) namesEvent(l *rowLink, id string) bool {
	const yes, no = "1", ""
	names := t.choose(l.names, yes, func() string {
		known := t.eiffelEvent(id)
		if known == nil || known.Type == "" || t.mayTarget(l.Type, known.Type) {
			return yes
		}
		return no
	}) == yes
	if !names {
		t.diagnose(DiagnosticWrongType, "the reference %s%s names an event that a link of type %s may not lead to", urnUUID, id, l.Type)
	}
	return names
}

// readReference reads {id, source} of another subject; the source is the event's subject's where it has none.
func (t *toEiffel) readReference(kind string, v jsondoc.Value) ledger.SubjectKey {
	t.identifies(v.Get("id"), v.Get("source"))
	k := ledger.SubjectKey{Kind: kind, Source: t.subject.Source, ID: v.Get("id").Str()}
	if kindOf(t.name) == ledger.KindArtifact {
		k.Source = t.ownSource() // an artifact's key has none
	}
	if source := v.Get("source"); source.Str() != "" {
		k.Source = source.Str()
	}
	return k
}

// ownSource is the source of the event's subject as the event has it.
func (t *toEiffel) ownSource() string {
	if source := t.in.doc.Root().At("subject", "source"); source.Str() != "" {
		return source.Str()
	}
	return t.in.Source
}

// artifactOfEvent is the artifact of a known ArtC, nil if the ledger does not know it.
func (t *toEiffel) artifactOfEvent(id string) *artifact {
	if known := t.eiffelEvent(id); known != nil && known.Artifact != "" {
		a, _ := parseArtifact(known.Artifact, t.g.settings.AllQualifiers)
		return &a
	}
	return nil
}

// mergeLinks adds the CDEvent's own links to those of the row (mapping.md, "Merging into Eiffel"): RELATION first, then PATH.
func (t *toEiffel) mergeLinks() {
	links := t.in.doc.Root().At("context", "links")
	i := 0
	for l := range links.Children() {
		if l.Get("linkType").Str() == "RELATION" {
			t.mergeRelation(l, i)
		}
		i++
	}
	inContext := slices.ContainsFunc(t.links, func(have ledger.EiffelLink) bool { return have.Type == linkContext })
	i = 0
	for l := range links.Children() {
		switch l.Get("linkType").Str() {
		case "PATH":
			t.mergePath(l, i, inContext)
		case "END":
			t.lose(l, LossEndLink)
		}
		i++
	}
}

// mergeRelation makes a RELATION an Eiffel link: TRIGGER is CAUSE, any other kind is the link type of that name.
func (t *toEiffel) mergeRelation(l jsondoc.Value, index int) {
	contextID := l.At("target", "contextId")
	if contextID.Str() == "" {
		t.lose(l, LossLinkWithoutTarget)
		return
	}
	linkType := l.Get("linkKind").Str()
	if linkType == "TRIGGER" {
		linkType = linkCause
	}
	domain := l.At("tags", "domainId")
	domainID := ""
	if domain.Kind() == jsondoc.String && t.row.domainIDs {
		domainID = domain.Str()
	}
	target, reason := t.linkTarget("relation", index, linkType, contextID.Str(), false)
	if reason != "" {
		t.lose(l, reason)
		return
	}
	const rule = "RELATION"
	t.move(contextID, t.linkPointer("/target"), rule, Exact)
	t.move(l.Get("linkType"), t.linkPointer("/type"), rule, Exact)
	fidelity := Exact
	if l.Get("linkKind").Str() == linkCause {
		fidelity = Translated // it comes back as TRIGGER
	}
	t.move(l.Get("linkKind"), t.linkPointer("/type"), rule, fidelity)
	if domainID != "" {
		t.move(domain, t.linkPointer("/domainId"), rule, Exact)
	}
	t.links = append(t.links, ledger.EiffelLink{Type: linkType, Target: target, DomainID: domainID})
}

// mergePath makes a PATH a CAUSE, unless something says already how the event came about.
func (t *toEiffel) mergePath(l jsondoc.Value, index int, inContext bool) {
	contextID := l.At("from", "contextId")
	if contextID.Str() == "" {
		t.lose(l, LossLinkWithoutTarget)
		return
	}
	if inContext {
		t.lose(l, LossHasContext)
		return
	}
	target, reason := t.linkTarget("path", index, linkCause, contextID.Str(), true)
	if reason != "" {
		t.lose(l, reason)
		return
	}
	t.move(contextID, t.linkPointer("/target"), "PATH", OneWay)
	t.move(l.Get("linkType"), t.linkPointer("/type"), "PATH", OneWay)
	t.links = append(t.links, ledger.EiffelLink{Type: linkCause, Target: target})
}

// linkTarget finds the Eiffel event that a context id stands for and whether a link to it is legal; if not, the reason
// for leaving it out. Nothing waits for the target of an optional link.
func (t *toEiffel) linkTarget(name string, number int, linkType, contextID string, path bool) (target, reason string) {
	if contextID == t.in.ID {
		return "", LossLinkToItself
	}
	standard := "-" + LossUnknownTarget
	if schema.IsEiffelID(contextID) {
		standard = contextID
	}
	if s := t.illegal(linkType, standard, "", path); s != "" {
		standard = "-" + s
	}
	choice := t.chooseAt(name, number, standard, func() string {
		target, targetType := t.eiffelOf(contextID)
		if target == "" {
			if !schema.IsEiffelID(contextID) {
				return "-" + LossUnknownTarget
			}
			if s := t.illegal(linkType, contextID, "", path); s != "" {
				return "-" + s
			}
			text := append(t.kept.Room(usualText), "no event with the context id "...)
			text = append(strconv.AppendQuote(text, contextID), " is known; the "...)
			t.note(DiagnosticUnknownTarget, t.kept.Keep(append(append(text, linkType...), " link points to that id itself"...)))
			return contextID
		}
		if s := t.illegal(linkType, target, targetType, path); s != "" {
			return "-" + s
		}
		return target
	})
	if left, ok := strings.CutPrefix(choice, "-"); ok {
		if left == LossUnknownTarget {
			t.diagnose(DiagnosticUnknownTarget, "no event with the context id %q is known, and Eiffel does not accept it as an id: no link", shorten(contextID, 120))
		}
		return "", left
	}
	if t.replaying {
		// The choice was made for the event as it came first, which may have had another link in this place.
		if s := t.illegal(linkType, choice, "", path); s != "" {
			return "", s
		}
	}
	return choice, ""
}

// eiffelOf is the Eiffel event that a context id became or came from, and its type as far as known.
func (t *toEiffel) eiffelOf(contextID string) (id, eiffelType string) {
	contexts := t.contextsOf(contextID)
	if len(contexts) > 0 {
		c := contexts[0]
		for _, other := range contexts {
			if other.Source == t.in.Source {
				c = other
				break
			}
		}
		id = sameID(&c, contextID)
	} else if schema.IsEiffelID(contextID) {
		id = contextID
	}
	if id == "" {
		return "", ""
	}
	known := t.eiffelEvent(id)
	if known != nil {
		return id, known.Type
	}
	if len(contexts) == 0 {
		return "", ""
	}
	return id, ""
}

// illegal says why the event may not have a link of that type to that target; empty if it may.
func (t *toEiffel) illegal(linkType, target, targetType string, path bool) string {
	if target == t.id {
		return LossLinkToItself
	}
	var rule *schema.LinkRule
	rules := t.row.schema.LinkRules()
	for i := range rules {
		if rules[i].Type == linkType {
			rule = &rules[i]
		}
	}
	if rule == nil {
		return LossIllegalLinkType
	}
	if targetType != "" && rule.Targets != nil && !slices.Contains(rule.Targets, targetType) {
		return LossIllegalLinkTarget
	}
	same, single := t.have.find(t.links, ledger.EiffelLink{Type: linkType, Target: target}, path)
	switch {
	case same >= 0 && (single < 0 || same <= single || rule.Multiple):
		return LossDuplicateLink
	case single >= 0 && !rule.Multiple:
		return LossSingleLink
	}
	return ""
}

// linkIndex finds the links that an event has; a list that is long is searched by maps.
type linkIndex struct {
	indexed          int // how many of the links are in the maps
	byType, byTarget map[string]int
	byTypeAndTarget  map[ledger.EiffelLink]int
}

// find gives the first link that is the same as the wanted one, or for a PATH any link to the same target, and the first one of
// the same type; -1 for none.
func (x *linkIndex) find(links []ledger.EiffelLink, want ledger.EiffelLink, path bool) (same, sameType int) {
	same, sameType = -1, -1
	if len(links) <= smallmap.Few {
		for i, have := range links {
			if same < 0 && have.Target == want.Target && (have.Type == want.Type || path) {
				same = i
			}
			if sameType < 0 && have.Type == want.Type {
				sameType = i
			}
		}
		return same, sameType
	}
	if x.byType == nil {
		x.byType, x.byTarget, x.byTypeAndTarget = map[string]int{}, map[string]int{}, map[ledger.EiffelLink]int{}
	}
	for ; x.indexed < len(links); x.indexed++ {
		l := links[x.indexed]
		setFirst(x.byType, l.Type, x.indexed)
		setFirst(x.byTarget, l.Target, x.indexed)
		setFirst(x.byTypeAndTarget, ledger.EiffelLink{Type: l.Type, Target: l.Target}, x.indexed)
	}
	if at, ok := x.byType[want.Type]; ok {
		sameType = at
	}
	if at, ok := x.byTypeAndTarget[want]; ok {
		same = at
	}
	if at, ok := x.byTarget[want.Target]; ok && path {
		same = at
	}
	return same, sameType
}

func setFirst[K comparable](m map[K]int, key K, at int) {
	if _, ok := m[key]; !ok {
		m[key] = at
	}
}
