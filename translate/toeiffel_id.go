package translate

import (
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/mappings"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// chooseID gives the Eiffel event its id (mapping.md, "Ids").
func (t *toEiffel) chooseID() {
	if t.markID != "" && !t.refersTo(t.in.ID) {
		// The event came from the Eiffel event of its own id.
		t.id = t.in.ID
		anchor := t.subjectRecord(t.subject).Anchor(t.row.Eiffel)
		t.first = anchor == nil || anchor.First == t.id
		return
	}
	if t.row.ID == mappings.IDAnchor {
		first := anchorID(t.row.Eiffel, t.subject)
		t.id = t.choose("id", first, func() string {
			if id := t.findTwin(); id != "" {
				return id
			}
			anchor := t.subjectRecord(t.subject).Anchor(t.row.Eiffel)
			if anchor == nil {
				return first
			}
			return versionID(t.row.Eiffel, t.subject, t.in)
		})
		t.first = t.id == first
		return
	}
	standard := t.in.ID
	if !schema.IsEiffelID(t.in.ID) || t.refersTo(t.in.ID) {
		standard = eventID(t.in)
	}
	t.id = t.choose("id", standard, func() string {
		if id := t.findTwin(); id != "" {
			return id
		}
		if standard == t.in.ID && t.ownEvent() != nil {
			return eventID(t.in)
		}
		return standard
	})
}

// refersTo tells whether a required link would lead to that Eiffel id: the event cannot bear it then.
func (t *toEiffel) refersTo(id string) bool {
	for i := range t.row.links {
		l := &t.row.links[i]
		if !l.Required {
			continue
		}
		v := t.in.doc.Root().Follow(l.reference)
		if v.Kind() == jsondoc.Object {
			v = v.Get("id")
		}
		if named, ok := strings.CutPrefix(v.Str(), urnUUID); ok && named == id {
			return true
		}
	}
	return false
}

// findTwin looks for the Eiffel event that the CDEvent became elsewhere: another bridge's, which came round. The same
// event gets the same id and the same links of its row. It gives the id, "" if there is none.
func (t *toEiffel) findTwin() string {
	same := t.contextsOf(t.in.ID).Find(t.in.Source, t.in.Type)
	if same == nil {
		return ""
	}
	id := sameID(same, t.in.ID)
	t.twin = t.eiffelEvent(id)
	return id
}

// twinTarget is the target that the twin's link of a type has; false if there is no twin whose links are known.
func (t *toEiffel) twinTarget(linkType string) (string, bool) {
	if t.twin == nil || len(t.twin.Links) == 0 {
		return "", false
	}
	return target(t.twin.Links, linkType), true
}

// sameID is the Eiffel id of an event that the ledger has met before, by another way than translating it here.
func sameID(c *ledger.Context, id string) string {
	if c.Eiffel != "" {
		return c.Eiffel
	}
	return id
}

func (t *toEiffel) stamp() ledger.Stamp { return ledger.Stamp{Time: t.in.Time, ID: t.id} }
