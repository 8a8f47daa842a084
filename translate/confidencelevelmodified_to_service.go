package translate

import (
	"slices"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/mappings"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// noLevel is the choice that a confidence level has no CDEvent of its own.
const noLevel = ""

// level is the confidence level that stands for a CDEvent, as the event has it; nil if it has none. One with a mark has the name that
// the row of the CDEvent writes, since it was this bridge that wrote it.
func (t *toCDEvents) level() *mappings.Level {
	data := t.in.doc.Root().Get("data")
	name, value := data.Get("name").Str(), data.Get("value").Str()
	for i := range t.g.levels {
		l := &t.g.levels[i]
		if l.Value == value && (slices.Contains(l.Names, name) || t.markID != "" && l.Name == name) && t.saysAll(l.CDEvent) {
			return l
		}
	}
	return nil
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
// which the level asks for.
func (t *toCDEvents) levelSubject() {
	l := t.level()
	if l == nil {
		return
	}
	choice := t.choose("deployment", noLevel, func() string {
		unknown := ""
		for _, link := range t.links {
			if link.Type != linkSubject {
				continue
			}
			known := t.eiffelEvent(link.Target)
			switch {
			case known == nil && unknown == "":
				unknown = link.Target
			case known != nil && slices.Contains(l.Types, known.Type):
				return link.Target
			}
		}
		if unknown != "" && t.markID == "" {
			t.miss(ledger.AboutEvent(unknown), "type", "the subject %s of the confidence level", unknown)
		}
		return noLevel
	})
	if choice == noLevel && t.markID == "" {
		return // with a mark, it was this bridge that wrote the level, for the CDEvent of that kind
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

// levelName is the CDEvent that the level stands for, else the custom event.
func (t *toCDEvents) levelName() string {
	if t.name != "" && slices.Contains(t.row.CDEvent, t.name) {
		return t.name
	}
	return customName(t.in.Type)
}
