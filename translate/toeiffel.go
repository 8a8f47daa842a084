package translate

import (
	"fmt"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/mappings"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// toEiffel is the translation of one CDEvent.
type toEiffel struct {
	run
	row     *rowToEiffel
	name    string // subject.predicate
	subject ledger.SubjectKey
	id      string              // of the Eiffel event
	first   bool                // the event is the first of its anchor
	linked  bool                // the event came from an Eiffel event, all of whose links it has
	twin    *ledger.EiffelEvent // what the ledger knows of the very event, if another bridge made it before
	links   []ledger.EiffelLink
	have    linkIndex // of links

	environment ledger.SubjectKey // that the content names, if any
	artifact    *artifact         // that the event is about or deploys, if any
}

func (g *Engine) translateToEiffel(in Event, s *schema.Schema, from source) (Result, error) {
	room := g.enter()
	defer g.leave(room, &in)
	t := &room.forth
	t.name, t.links = nameOf(&in, s), room.links[:0]
	t.what = t.name
	t.prepare(g, room, in, from)
	t.expectReferences()
	t.recallChoices()
	if returning, done := t.giveBack(); done {
		return t.result(nil, returning, t.failure)
	}
	t.readSubject()
	t.linked = t.markID != "" && (s == nil || s.Has("/context/links"))
	row, err := t.translate()
	return t.result(row, "", err)
}

// translate carries out the row of an event that did not come round. It gives the row's text, nil if none was carried out.
func (t *toEiffel) translate() (*rowText, error) {
	if err := t.chooseRow(); err != nil {
		return nil, err
	}
	if t.row.CDEvent == mappings.Any {
		if done, err := t.unmapped(); done {
			return nil, err
		}
	}
	t.chooseID()
	if err := t.makeLinks(); err != nil {
		return nil, err
	}
	if !t.replaying {
		t.readReferences() // learning will look at them
		if t.row.Learns == mappings.LearnIncarnation {
			t.readEntry(t.subject, t.environment, t.artifact)
		}
	}
	if t.row.If == rowAnchorExists && t.row.anchorType != typeAnnP {
		t.diagnose(DiagnosticAnchorExists, "%s %q has an %s already, and those have no later versions; the event is announced", t.subject.Kind, shorten(t.subject.ID, 120), t.row.anchorType)
	}
	t.readHead()
	data, custom, err := t.makeData()
	if err != nil || t.undecided() {
		return nil, err
	}
	event, err := t.write(data, custom)
	if err != nil {
		return nil, err
	}
	t.deliver(event)
	t.loseRest()
	if !t.replaying {
		t.learnAll()
		t.learnChoices()
	}
	return &t.row.rowText, nil
}

// nameOf is subject.predicate of a CDEvent.
func nameOf(in *Event, s *schema.Schema) string {
	if s != nil {
		return s.Name()
	}
	return nameOfType(in.Type)
}

// readSubject reads what the event is about.
func (t *toEiffel) readSubject() {
	t.subject = ledger.SubjectKey{Kind: kindOf(t.name), Source: t.in.Source, ID: t.in.Subject}
	t.subject.Source = t.ownSource()
	if t.subject.Kind == ledger.KindArtifact {
		t.readOwnArtifact()
	}
}

// readOwnArtifact reads which artifact the event is about; an Eiffel id stands for the artifact of that event.
func (t *toEiffel) readOwnArtifact() {
	if id, ok := uuidOfURN(t.in.Subject); ok {
		if t.artifact = t.artifactOfEvent(id); t.artifact != nil {
			t.subject = t.artifact.subject()
			return
		}
	}
	if _, unknown := uuidOfURN(t.in.Subject); unknown {
		a, _ := parseArtifact(t.in.Subject, t.g.settings.AllQualifiers)
		t.artifact = &a // it is linked to, and written nowhere
	} else {
		t.artifact = t.readArtifact(t.in.Subject)
	}
	t.subject = t.artifact.subject()
}

// chooseRow takes the first row of the event's type whose condition holds.
func (t *toEiffel) chooseRow() error {
	rows := t.g.rowsOfCDEvent(t.name)
	if len(rows) == 1 && rows[0].When == nil {
		t.row = rows[0]
		return t.useRow()
	}
	var room [8]bool
	holds := append(room[:0], make([]bool, len(rows))...)
	for i, row := range rows {
		var err error
		if holds[i], err = t.holds(row.When, t.subject); err != nil {
			return err
		}
	}
	// Only the judgements depend on the ledger.
	judgement := t.choose("row", "", func() string {
		if row := t.rowOfTwin(rows); row != nil {
			return row.If
		}
		for i, row := range rows {
			if holds[i] && (row.condition == nil || row.condition(t)) {
				return row.If
			}
		}
		return ""
	})
	for i, row := range rows {
		if holds[i] && row.If == judgement {
			t.row = row
			return t.useRow()
		}
	}
	// The catalogue has changed since the choice was made.
	t.row = rows[len(rows)-1]
	return t.useRow()
}

// useRow tells whether the output edition has what the row writes.
func (t *toEiffel) useRow() error {
	t.oneWay = t.row.Eiffel == typeAnnP
	if t.row.schema == nil {
		return t.in.fail(CodeNotInEdition, "/context/type", fmt.Sprintf("%s becomes an %s, which edition %s of Eiffel does not have; Orizaba has it",
			article(t.name), t.row.Eiffel, t.g.settings.Edition))
	}
	return nil
}

// rowOfTwin is the row by which another bridge translated the very event, which came round; nil if there is none.
func (t *toEiffel) rowOfTwin(rows []*rowToEiffel) *rowToEiffel {
	same := t.contextsOf(t.in.ID).Find(t.in.Source, t.in.Type)
	if same == nil {
		return nil
	}
	id := sameID(same, t.in.ID)
	if twin := t.eiffelEvent(id); twin != nil {
		return rowTo(rows, twin.Type, id, t.subject)
	}
	return nil
}

// rowTo is the row by which a CDEvent of that subject becomes the Eiffel event of that type and id; nil if none does.
func rowTo(rows []*rowToEiffel, eiffelType, id string, subject ledger.SubjectKey) *rowToEiffel {
	var found *rowToEiffel
	for _, row := range rows {
		if row.Eiffel != eiffelType {
			continue
		}
		if row.ID == mappings.IDAnchor && id == anchorID(eiffelType, subject) {
			return row
		}
		if found == nil {
			found = row
		}
	}
	return found
}

// anchorExists tells whether the anchor that the event would make is there already, by another event than this one.
func (t *toEiffel) anchorExists() bool {
	anchor := t.subjectRecord(t.subject).Anchor(t.g.rowsOfCDEvent(t.name)[0].anchorType)
	return anchor != nil && !(t.markID != "" && (anchor.First == t.in.ID || anchor.Last == t.in.ID))
}

// rowAnchorExists is the judgement on which a row depends that says again what an anchor says already.
const rowAnchorExists = "anchor_exists"

// rowJudgements say whether a row of a CDEvents type counts, where that depends on what the ledger knows. With an empty
// ledger none of them holds.
var rowJudgements = map[string]func(*toEiffel) bool{
	rowAnchorExists:         (*toEiffel).anchorExists,
	"canceled_before_start": (*toEiffel).canceledBeforeStart,
}

// readHead says where the members went that every CDEvent has.
func (t *toEiffel) readHead() {
	root := t.in.doc.Root()
	context, subject := root.Get("context"), root.Get("subject")
	switch {
	case t.id == t.in.ID:
		t.move(context.Get("id"), "/meta/id", t.g.rules[ruleIDAccepted], Exact)
	case t.row.ID == mappings.IDAnchor:
		t.move(context.Get("id"), "/data/customData/0", t.g.rules[ruleIDAnchor], OneWay)
	default:
		t.move(context.Get("id"), "/data/customData/0", t.g.rules[ruleIDMade], OneWay)
	}
	t.move(context.Get("source"), "/meta/source/uri", t.g.rules[ruleSourceKept], Exact)
	kind := Translated
	if t.row.If != "" {
		kind = OneWay // the ledger of the other side may judge otherwise
	}
	t.move(context.Get("type"), "/meta/type", t.row.rule, kind)
	if t.row.Eiffel == typeActC {
		t.moveAny(root.At("subject", "content", "outcome"), "/meta/type", t.row.rule, OneWay)
	}
	t.moveAny(context.Get("specversion"), "", t.g.rules[ruleTypeSchema], OneWay)
	t.moveAny(context.Get("version"), "", t.g.rules[ruleTypeSchema], OneWay)
	t.moveAny(subject.Get("type"), "", t.g.rules[ruleTypeSubject], OneWay)
	if source := subject.Get("source"); source.Str() == t.in.Source {
		t.moveAny(source, "/meta/source/uri", t.g.rules[ruleSourceKept], Exact)
	}
	t.readTimestamp(context.Get("timestamp"))
}

func (t *toEiffel) readTimestamp(timestamp jsondoc.Value) {
	fidelity := Translated
	precise := !wholeMillis(timestamp.Str())
	switch {
	case precise:
		fidelity = OneWay
	case t.explain:
		if exact, err := timestampFromMillis(t.in.Time); err == nil && exact == timestamp.Str() {
			fidelity = Exact
		}
	}
	t.move(timestamp, "/meta/time", t.g.rules[ruleTimeMillis], fidelity)
	if precise {
		t.lose(timestamp, LossPrecision)
	}
}

// wholeMillis tells whether a timestamp says no more than its milliseconds: nothing but zeros follows the third digit.
func wholeMillis(timestamp string) bool {
	if len(timestamp) > 19 && timestamp[17:19] == "60" {
		return false // a leap second becomes the end of the one before
	}
	_, fraction, _ := strings.Cut(timestamp, ".")
	for i := 0; i < len(fraction) && fraction[i] >= '0' && fraction[i] <= '9'; i++ {
		if i >= 3 && fraction[i] != '0' {
			return false
		}
	}
	return true
}

// nameOfType gives subject.predicate of a CDEvents type.
func nameOfType(eventType string) string {
	name := strings.TrimSuffix(eventType, "."+versionOf(eventType))
	if rest, ok := strings.CutPrefix(name, "dev.cdevents."); ok {
		return rest
	}
	if rest, ok := strings.CutPrefix(name, "dev.cdeventsx."); ok && strings.Contains(rest, "-") {
		return rest
	}
	return foreign + eventType
}

// foreign begins the name of a type that is not of CDEvents' making, so that it is not taken for one of theirs.
const foreign = "="
