package translate

import (
	"slices"
	"strconv"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/internal/schema"
)

// mergeLinks adds the CDEvent's own links to those of the row (section 4): RELATION first, then PATH.
func (t *toEiffel) mergeLinks() {
	links := t.in.doc.Root().At("context", "links")
	i := 0
	for l := range links.Children() {
		if l.Get("linkType").Str() == "RELATION" {
			t.mergeRelation(l, i)
		}
		i++
	}
	i = 0
	for l := range links.Children() {
		switch l.Get("linkType").Str() {
		case "PATH":
			t.mergePath(l, i)
		case "END":
			t.lose(l, "end_link")
		}
		i++
	}
}

// mergeRelation makes a RELATION an Eiffel link: TRIGGER is CAUSE, any other kind is the link type of that name.
func (t *toEiffel) mergeRelation(l jsondoc.Value, index int) {
	contextID := l.At("target", "contextId")
	if contextID.Str() == "" {
		t.lose(l, "link_without_target")
		return
	}
	linkType := l.Get("linkKind").Str()
	if linkType == "TRIGGER" {
		linkType = linkCause
	}
	domain := l.At("tags", "domainId")
	domainID := ""
	if domain.Kind() == jsondoc.String && t.schema.Has("/links/0/domainId") {
		domainID = domain.Str()
	}
	target, reason := t.linkTarget("relation/"+strconv.Itoa(index), linkType, contextID.Str(), false)
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
	t.links = append(t.links, EiffelLink{Type: linkType, Target: target, DomainID: domainID})
}

// mergePath makes a PATH a CAUSE, unless something says already how the event came about.
func (t *toEiffel) mergePath(l jsondoc.Value, index int) {
	contextID := l.At("from", "contextId")
	if contextID.Str() == "" {
		t.lose(l, "link_without_target")
		return
	}
	if slices.ContainsFunc(t.links, func(have EiffelLink) bool { return have.Type == linkContext }) {
		t.lose(l, "has_context")
		return
	}
	target, reason := t.linkTarget("path/"+strconv.Itoa(index), linkCause, contextID.Str(), true)
	if reason != "" {
		t.lose(l, reason)
		return
	}
	t.move(contextID, t.linkPointer("/target"), "PATH", OneWay)
	t.move(l.Get("linkType"), t.linkPointer("/type"), "PATH", OneWay)
	t.links = append(t.links, EiffelLink{Type: linkCause, Target: target})
}

// linkTarget finds the Eiffel event that a context id stands for and whether a link to it is legal; if not, the reason
// for leaving it out. Nothing waits for the target of an optional link.
func (t *toEiffel) linkTarget(name, linkType, contextID string, path bool) (target, reason string) {
	if contextID == t.in.ID {
		return "", "link_to_itself"
	}
	standard := "-unknown_target"
	if schema.IsEiffelID(contextID) {
		standard = contextID
	}
	if s := t.illegal(linkType, standard, "", path); s != "" {
		standard = "-" + s
	}
	choice := t.choose(name, standard, func() string {
		target, targetType := t.eiffelOf(contextID)
		if target == "" {
			if !schema.IsEiffelID(contextID) {
				return "-unknown_target"
			}
			if s := t.illegal(linkType, contextID, "", path); s != "" {
				return "-" + s
			}
			t.diagnose("unknown_target", "no event with the context id %q is known; the %s link points to that id itself", contextID, linkType)
			return contextID
		}
		if s := t.illegal(linkType, target, targetType, path); s != "" {
			return "-" + s
		}
		return target
	})
	if left, ok := strings.CutPrefix(choice, "-"); ok {
		if left == "unknown_target" {
			t.diagnose("unknown_target", "no event with the context id %q is known, and Eiffel does not accept it as an id: no link", shorten(contextID, 120))
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
	contexts := t.contexts(contextID)
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
		return "link_to_itself"
	}
	var rule *schema.LinkRule
	rules := t.schema.LinkRules()
	for i := range rules {
		if rules[i].Type == linkType {
			rule = &rules[i]
		}
	}
	if rule == nil {
		return "illegal_link_type"
	}
	if targetType != "" && rule.Targets != nil && !slices.Contains(rule.Targets, targetType) {
		return "illegal_link_target"
	}
	for _, have := range t.links {
		switch {
		case have.Target == target && (have.Type == linkType || path):
			return "duplicate_link"
		case have.Type == linkType && !rule.Multiple:
			return "single_link"
		}
	}
	return ""
}

// makeLinks writes an Eiffel event's links as RELATIONs (section 4), then those that an overlay's row adds.
func (t *toCDEvents) makeLinks() ([]byte, error) {
	links := t.in.doc.Root().Get("links")
	if !t.schemaHas("/context/links") {
		for l := range links.Children() {
			t.lose(l, "not_in_spec")
		}
		return nil, nil
	}
	b := []byte{'['}
	n := 0
	relation := func(kind, contextID string) {
		if n > 0 {
			b = append(b, ',')
		}
		n++
		b = append(b, `{"linkType":"RELATION","linkKind":`...)
		b = jsondoc.AppendString(b, kind)
		b = append(b, `,"target":{"contextId":`...)
		b = jsondoc.AppendString(b, contextID)
		b = append(b, '}')
	}
	for l := range links.Children() {
		kind := l.Get("type").Str()
		if kind == linkCause {
			kind = "TRIGGER"
		}
		id := l.Get("target").Str()
		switch {
		case id == t.in.ID:
			t.lose(l, "link_to_itself")
			continue
		case id == "": // in an event of a version that takes any text for a target
			t.lose(l, "link_without_target")
			continue
		case kind == "": // in an event without link rules, or of a newer version
			t.lose(l, "link_without_type")
			continue
		}
		to, rule := "/context/links/"+strconv.Itoa(n), "RELATION of kind "+kind
		relation(kind, t.choose("context/"+strconv.Itoa(n), id, func() string { return t.contextIDOf(id) }))
		t.move(l.Get("type"), to+"/linkKind", rule, Exact)
		t.move(l.Get("target"), to+"/target/contextId", rule, Exact)
		if domain := l.Get("domainId"); domain.Str() != "" {
			t.move(domain, to+"/tags/domainId", rule, Exact)
			b = append(b, `,"tags":{"domainId":`...)
			b = append(b, domain.Raw()...)
			b = append(b, '}')
		}
		b = append(b, '}')
	}
	for _, r := range t.row.Links {
		id, err := t.evaluateText(r.Value, t.subject, "/context/links/"+strconv.Itoa(n)+"/target/contextId", t.row.rule)
		if err != nil {
			return nil, err
		}
		if id != "" {
			relation(r.Kind, id)
			b = append(b, '}')
		}
	}
	if n == 0 {
		t.use(links)
		return nil, nil
	}
	return append(b, ']'), nil
}

// contextIDOf is the id of the CDEvent that an Eiffel event became or came from.
func (t *toCDEvents) contextIDOf(id string) string {
	if known := t.eiffelEvent(id); known != nil && known.ContextID != "" {
		return known.ContextID
	}
	return id
}

// chainID is the chain of the event's line of CONTEXT, else of its first CAUSE: the known parent's chain, else the
// parent's id; a root begins a chain of its own (section 4). What was started, finished or canceled is no root but
// belongs to what was triggered.
func (t *toCDEvents) chainID() string {
	parents := targets(t.linksIn(), linkContext, linkCause, linkActivity, linkTestCase, linkTestSuite)
	if len(parents) == 0 || parents[0] == t.in.ID {
		return t.in.ID
	}
	parent := parents[0]
	return t.choose("chain", parent, func() string {
		if known := t.eiffelEvent(parent); known != nil {
			if known.Chain != "" {
				return known.Chain
			}
			if known.ContextID != "" {
				return known.ContextID
			}
		}
		return parent
	})
}
