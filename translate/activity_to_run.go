package translate

import (
	"slices"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/mappings"

	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// activitySubject is the run that an activity triggers: its id is the event's.
func (t *toCDEvents) activitySubject() {
	t.title = t.in.doc.Root().At("data", "name").Str()
	t.subject = t.marked(ledger.SubjectKey{Kind: t.runKind(), Source: t.in.Source, ID: t.in.ID})
}

// runKind says what kind of run an activity is: what its categories or its name say, else a task run where it stands in the
// CONTEXT of another activity, else a pipeline run.
func (t *toCDEvents) runKind() string {
	kind, entry, err := t.g.activityKind(t.in)
	if err != nil {
		t.failure = t.in.fail(CodeMapping, "", err.Error())
	}
	if kind != "" {
		if entry.Exists() {
			t.move(entry, "/context/type", "activities: "+kind, Translated)
		}
		return kind
	}
	context := target(t.links, linkContext)
	if context == "" {
		return ledger.KindPipelineRun
	}
	return t.choose("kind", ledger.KindPipelineRun, func() string {
		known := t.eiffelEvent(context)
		switch {
		case known == nil:
			t.miss(ledger.AboutEvent(context), "type", "the CONTEXT %s of the activity", context)
		case known.Type == typeActT:
			return ledger.KindTaskRun
		}
		return ledger.KindPipelineRun
	})
}

// activityKind says what kind of run an ActivityTriggered is by itself, and the category that says so; "" if it does not.
func (g *Engine) activityKind(in *Event) (kind string, category jsondoc.Value, err error) {
	data := in.doc.Root().Get("data")
	for i := range g.settings.Catalogue.Activities {
		a := &g.settings.Catalogue.Activities[i]
		for c := range data.Get("categories").Children() {
			if slices.ContainsFunc(a.Categories, func(want string) bool { return strings.EqualFold(want, c.Str()) }) {
				return a.Kind, c, nil
			}
		}
		if name := data.Get("name").Str(); slices.ContainsFunc(a.Names, func(pattern string) bool { return fits(pattern, name) }) {
			return a.Kind, jsondoc.Value{}, nil
		}
		if a.When == nil {
			continue
		}
		holds, err := a.When.Holds(mappings.Input{Event: in.doc.Root(), Subject: mappings.Subject{Source: in.Source, ID: in.ID}})
		if err != nil {
			return "", jsondoc.Value{}, err
		}
		if holds {
			return a.Kind, jsondoc.Value{}, nil
		}
	}
	return "", jsondoc.Value{}, nil
}

// category is the one that is written for runs of a kind, "" if there is none.
func (g *Engine) category(kind string) string {
	for _, a := range g.settings.Catalogue.Activities {
		if a.Kind == kind && len(a.Categories) > 0 {
			return a.Categories[0]
		}
	}
	return ""
}

// fits tells whether a text fits a pattern, in which * stands for any text.
func fits(pattern, text string) bool {
	first, rest, any := strings.Cut(pattern, "*")
	if !any {
		return pattern == text
	}
	text, ok := strings.CutPrefix(text, first)
	if !ok {
		return false
	}
	for {
		part, more, any := strings.Cut(rest, "*")
		if !any {
			return strings.HasSuffix(text, part)
		}
		at := strings.Index(text, part)
		if at < 0 {
			return false
		}
		text, rest = text[at+len(part):], more
	}
}

// activityPhase is the CDEvent of the run's kind that the activity's event stands for; none for a task run that is
// triggered, since CDEvents has no queued task runs, and the custom event where the row has none for the kind.
func (t *toCDEvents) activityPhase() string {
	phase := "finished"
	switch t.in.Type {
	case typeActT:
		phase = "queued"
	case typeActS:
		phase = "started"
	}
	name := t.subject.Kind + "." + phase
	switch {
	case slices.Contains(t.row.CDEvent, name):
		return name
	case t.subject.Kind == ledger.KindTaskRun:
		return ""
	}
	return customName(t.in.Type)
}

// outcome is how a run or a test ended. Of a test the verdict decides, and only where that is inconclusive the conclusion.
func (t *toCDEvents) outcome(at *place) value {
	allowed := at.Enum()
	if t.in.Type == typeActC || t.name == "testcaserun.finished" && t.in.Type != typeTCF {
		return textValue("cancel")
	}
	outcome := t.in.doc.Root().At("data", "outcome")
	conclusion, verdict := outcome.Get("conclusion"), outcome.Get("verdict")
	if t.in.Type == typeActF {
		word, _ := t.g.vocabularies["conclusion"].cdevents(conclusion.Str(), allowed)
		t.move(conclusion, at.at, "vocabulary conclusion", Translated)
		return textValue(word)
	}
	if verdict.Str() == "PASSED" || verdict.Str() == "FAILED" {
		word, _ := t.g.vocabularies["verdict"].cdevents(verdict.Str(), allowed)
		t.move(verdict, at.at, "vocabulary verdict", Translated)
		return textValue(word)
	}
	word := "error"
	if conclusion.Str() == "ABORTED" {
		word = "cancel"
	}
	if !verdict.Exists() && word == "error" {
		t.diagnose(DiagnosticFilledIn, "the event has no verdict; it was taken for an error")
	}
	if verdict.Exists() {
		t.move(verdict, at.at, at.rule, Translated)
	}
	if conclusion.Exists() {
		t.move(conclusion, at.at, at.rule, Translated)
	}
	return textValue(word)
}

// errors is the description of the outcome, and which outcome it was where CDEvents has no word for it; of a canceled
// activity the reason.
func (t *toCDEvents) errors(at *place) value {
	data := t.in.doc.Root().Get("data")
	description := data.At("outcome", "description")
	if t.in.Type == typeActC {
		description = data.Get("reason")
	}
	conclusion := data.At("outcome", "conclusion")
	verdict := data.At("outcome", "verdict").Str()
	unsaid := conclusion.Str() == "TIMED_OUT" || conclusion.Str() == "INCONCLUSIVE"
	switch {
	case unsaid && verdict != "PASSED" && verdict != "FAILED" && description.Str() == "":
		return inputValue(conclusion)
	case unsaid && verdict != "PASSED" && verdict != "FAILED":
		t.move(description, at.at, at.rule, OneWay)
		return textValue(conclusion.Str() + ": " + description.Str())
	case description.Str() != "":
		t.move(description, at.at, at.rule, Exact)
		return inputValue(description)
	}
	return none
}
