package translate

import (
	"slices"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"

	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// custom is the choice that a confidence level has no CDEvent of its own.
const custom = ""

// The confidence levels that stand for CDEvents (section 6), and the key of the custom data that has the signature.
const (
	levelSigned   = "artifactSigned"
	levelReviewed = "changeReviewed"
	signatureKey  = "signature"
)

// confidenceLevelSubject finds what a confidence level is about, if it stands for a CDEvent: the first of its subjects that
// is of the type which the level's name asks for.
func (t *toCDEvents) confidenceLevelSubject() {
	data := t.in.doc.Root().Get("data")
	name, value := data.Get("name"), data.Get("value")
	var types []string
	switch {
	case value.Str() != "SUCCESS":
		return
	case slices.Contains(t.g.settings.PublishedLevels, name.Str()):
		types = []string{typeArtD}
	case name.Str() == levelSigned && t.signatureEntry().Exists():
		types = []string{typeArtC}
	case name.Str() == levelReviewed:
		types = []string{typeSCC, typeSCS}
	default:
		return
	}
	choice := t.choose("deployment", custom, func() string {
		unknown := ""
		for _, l := range t.links {
			if l.Type != linkSubject {
				continue
			}
			known := t.eiffelEvent(l.Target)
			switch {
			case known == nil && unknown == "":
				unknown = l.Target
			case known != nil && slices.Contains(types, known.Type):
				return l.Target
			}
		}
		if unknown != "" && t.markID == "" {
			t.miss(ledger.AboutEvent(unknown), "type", "the subject %s of the confidence level", unknown)
		}
		return custom
	})
	if choice == custom && t.markID == "" {
		return // with a mark, it was this bridge that wrote the level, for the CDEvent of that kind
	}
	t.move(name, "/context/type", "judgement confidenceLevel", Translated)
	t.move(value, "/context/type", "judgement confidenceLevel", Translated)
	switch types[0] {
	case typeArtD:
		t.name = "service.published"
		t.subject = t.marked(ledger.SubjectKey{Kind: ledger.KindService, Source: t.in.Source, ID: urnUUID + choice})
		if choice == custom {
			return
		}
		if known := t.eiffelEvent(choice); known != nil && known.Subject.Kind == ledger.KindService { // else the ledger has forgotten it since the event first came
			t.subject, t.environment = t.marked(known.Subject), known.Environment
		}
	case typeArtC:
		t.name = "artifact.signed"
		t.findArtifact(choice, "/subject/id")
	default:
		t.name = "change.reviewed"
		t.subject = t.subjectOfTarget(choice, ledger.SubjectKey{Kind: ledger.KindChange, Source: t.in.Source, ID: urnUUID + choice}, "/subject/id", typeSCC)
	}
}

// confidenceLevelName is the CDEvent that the level stands for, else the custom event.
func (t *toCDEvents) confidenceLevelName() string {
	if t.name != "" && slices.Contains(t.row.CDEvent, t.name) {
		return t.name
	}
	return customName(t.in.Type)
}

// signatureEntry is the signature in the custom data.
func (t *toCDEvents) signatureEntry() jsondoc.Value {
	if v := t.customEntry(signatureKey).Get("value"); v.Kind() == jsondoc.String && v.Str() != "" {
		return v
	}
	return jsondoc.Value{}
}

// signature is that of a signed artifact.
func (t *toCDEvents) signature(at *place) value {
	v := t.signatureEntry()
	if v.Exists() {
		t.move(v, at.at, "custom data "+signatureKey, Exact)
	}
	return inputValue(v)
}
