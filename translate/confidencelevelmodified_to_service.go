package translate

import (
	"slices"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/mappings"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// noLevel is the choice that a confidence level has no CDEvent of its own.
const noLevel = ""

// level finds, from a place in the engine's list on, a confidence level that has the event's name and value, stands for a CDEvent that the
// event can become, and may be on an event of the type, which is empty if it is not known; nil if there is none. One with a mark has
// the name that the row of the CDEvent writes, since it was this bridge that wrote it.
func (t *toCDEvents) level(from int, eiffelType string) (*mappings.Level, int) {
	data := t.in.doc.Root().Get("data")
	name, value := data.Get("name").Str(), data.Get("value").Str()
	for i := from; i < len(t.g.levels); i++ {
		l := &t.g.levels[i]
		if l.Value == value && (slices.Contains(l.Names, name) || t.markID != "" && l.Name == name) &&
			(eiffelType == "" || slices.Contains(l.Types, eiffelType)) && t.saysAll(l.CDEvent) {
			return l, i
		}
	}
	return nil, -1
}

// saysAll tells whether the event's custom data has what the CDEvent of that name must say and nothing else can: a signature.
func (t *toCDEvents) saysAll(name string) bool {
	out := t.g.output(t.row, name)
	for i := range t.row.content {
		f := &t.row.content[i]
		if out.schema == nil || f.Fill != "" || !out.content[i].Required() {
			continue
		}
		for _, o := range f.from {
			if o.custom == "" {
				continue
			}
			if v := t.customEntry(o.custom).Get("value"); v.Kind() != jsondoc.String || v.Str() == "" {
				return false
			}
		}
	}
	return true
}

// levelSubject finds what a confidence level is about, if it stands for a CDEvent: the first of its subjects that is of a type
// which a level of that name asks for.
func (t *toCDEvents) levelSubject() {
	first, _ := t.level(0, "")
	if first == nil {
		return
	}
	l := first
	choice := t.choose("deployment", noLevel, func() string {
		unknown := ""
		for _, link := range t.links {
			if link.Type != linkSubject {
				continue
			}
			known := t.eiffelEvent(link.Target)
			if known == nil {
				fill(&unknown, link.Target)
				continue
			}
			if of, _ := t.level(0, known.Type); of != nil {
				l = of
				return link.Target
			}
		}
		if unknown != "" && t.markID == "" {
			t.miss(ledger.AboutEvent(unknown), "type", "the subject %s of the confidence level", unknown)
		}
		return noLevel
	})
	if choice == noLevel {
		if t.markID == "" {
			return // with a mark, it was this bridge that wrote the level, for the CDEvent of that kind
		}
		l = t.levelOfMark(first)
	}
	of := t.choose("level", first.CDEvent, func() string { return l.CDEvent })
	for at := 0; l.CDEvent != of; at++ {
		next := (*mappings.Level)(nil)
		if next, at = t.level(at, ""); next == nil {
			break // the catalogue has changed since
		}
		l = next
	}
	data := t.in.doc.Root().Get("data")
	t.move(data.Get("name"), "/context/type", "judgement level", Translated)
	t.move(data.Get("value"), "/context/type", "judgement level", Translated)
	t.name = l.CDEvent
	switch l.Kind {
	case ledger.KindService:
		t.subject = t.marked(ledger.SubjectKey{Kind: ledger.KindService, Source: t.in.Source, ID: urnUUID + choice})
		if choice == noLevel {
			return
		}
		if known := t.eiffelEvent(choice); known != nil && known.Subject.Kind == ledger.KindService { // else the ledger has forgotten it since the event first came
			t.subject, t.environment = t.marked(known.Subject), known.Environment
		}
	case ledger.KindArtifact:
		t.findArtifact(choice, "/subject/id")
	default:
		t.subject = t.subjectOfTarget(choice, ledger.SubjectKey{Kind: l.Kind, Source: t.in.Source, ID: urnUUID + choice}, "/subject/id", l.Types[0])
	}
}

// levelOfMark is the level of the CDEvent of whose type and id the event's id is made, else the first.
func (t *toCDEvents) levelOfMark(first *mappings.Level) *mappings.Level {
	for l, at := t.level(0, ""); l != nil; l, at = t.level(at+1, "") {
		for _, eventType := range schema.CDEventTypes() {
			if nameOfType(eventType) == l.CDEvent && t.in.ID == eventID(&Event{Source: t.in.Source, ID: t.markID, Type: eventType}) {
				return l
			}
		}
	}
	return first
}

// levelName is the CDEvent that the level stands for, else the custom event.
func (t *toCDEvents) levelName() string {
	if t.name != "" && slices.Contains(t.row.CDEvent, t.name) {
		return t.name
	}
	return customName(t.in.Type)
}
