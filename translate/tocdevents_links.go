package translate

import (
	"strconv"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
)

// relation is a link of the CDEvent.
type relation struct {
	kind, contextID string
	domain          jsondoc.Value
}

// makeLinks makes an Eiffel event's links RELATIONs (mapping.md, "To CDEvents"), then those that an overlay's row adds.
func (t *toCDEvents) makeLinks() ([]relation, error) {
	links := t.in.doc.Root().Get("links")
	if !t.out.links {
		for l := range links.Children() {
			t.lose(l, LossNotInSpec)
		}
		return nil, nil
	}
	relations := t.room.relations[:0]
	for l := links.FirstChild(); l.Exists(); l = l.NextSibling() {
		kind := l.Get("type").Str()
		if kind == linkCause {
			kind = "TRIGGER"
		}
		id := l.Get("target").Str()
		reason := ""
		switch {
		case id == t.in.ID:
			reason = LossLinkToItself
		case id == "": // in an event of a version that takes any text for a target
			reason = LossLinkWithoutTarget
		case kind == "": // in an event without link rules, or of a newer version
			reason = LossLinkWithoutType
		}
		if reason != "" {
			t.lose(l, reason)
			continue
		}
		n := len(relations)
		r := relation{kind: kind, contextID: t.chooseAt("context", n, id, func() string { return t.contextIDOf(id) })}
		if domain := l.Get("domainId"); domain.Str() != "" {
			r.domain = domain
		}
		t.moveLink(l, r, n)
		relations = append(relations, r)
	}
	for _, r := range t.row.Links {
		id, err := t.evaluateText(r.Value, t.subject, "/context/links/"+strconv.Itoa(len(relations))+"/target/contextId", t.row.rule)
		if err != nil {
			return nil, err
		}
		if id != "" {
			relations = append(relations, relation{kind: r.Kind, contextID: id})
		}
	}
	if len(relations) == 0 {
		t.use(links)
	}
	return relations, nil
}

func (t *toCDEvents) moveLink(l jsondoc.Value, r relation, index int) {
	to, rule := "", ""
	if t.explain {
		to, rule = "/context/links/"+strconv.Itoa(index), "RELATION of kind "+r.kind
	}
	t.move(l.Get("type"), to+"/linkKind", rule, Exact)
	t.move(l.Get("target"), to+"/target/contextId", rule, Exact)
	t.moveAny(r.domain, to+"/tags/domainId", rule, Exact)
}

// writeLinks writes the links as a member of the context, if there are any.
func writeLinks(w *jsondoc.Writer, relations []relation) {
	if len(relations) == 0 {
		return
	}
	w.Name("links")
	w.Array()
	for _, r := range relations {
		w.Object()
		w.Member("linkType", "RELATION")
		w.Member("linkKind", r.kind)
		w.Name("target")
		w.Object()
		w.Member("contextId", r.contextID)
		w.Close()
		if r.domain.Exists() {
			w.Name("tags")
			w.Object()
			w.Name("domainId")
			w.Splice(r.domain)
			w.Close()
		}
		w.Close()
	}
	w.Close()
}

// contextIDOf is the id of the CDEvent that an Eiffel event became or came from.
func (t *toCDEvents) contextIDOf(id string) string {
	if known := t.eiffelEvent(id); known != nil && known.ContextID != "" {
		return known.ContextID
	}
	return id
}

// chainID is the chain of the event's line of CONTEXT, else of its first CAUSE: the known parent's chain, else the
// parent's id; a root begins a chain of its own (mapping.md, "Chains"). What was started, finished or canceled is no root but
// belongs to what was triggered.
func (t *toCDEvents) chainID() string {
	parent := ""
	for _, linkType := range [...]string{linkContext, linkCause, linkActivity, linkTestCase, linkTestSuite} {
		if parent = target(t.links, linkType); parent != "" {
			break
		}
	}
	if parent == "" || parent == t.in.ID {
		return t.in.ID
	}
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
