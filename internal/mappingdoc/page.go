package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/internal/mappingtext"
	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/mappings"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

const made = "Made by `go generate ./internal/mappingdoc`; do not edit."

// page is the page of a type.
func (b *book) page(t *eventType) (string, error) {
	var w strings.Builder
	fmt.Fprintf(&w, "# %s\n\n%s [All event types](../README.md).", t.title(), made)
	if t.told != nil {
		fmt.Fprintf(&w, " [The example](../../../examples/events/%s).", t.told.example.File)
	}
	if list := b.sources(t); len(list) > 0 {
		var links []string
		for _, s := range list {
			links = append(links, t.link(s, "`"+s.name+"`"))
		}
		fmt.Fprintf(&w, " The other way, %s may become it.", join(links, "and"))
	}
	w.WriteString("\n\n## What it becomes\n\n")
	if t.protocol == translate.CDEvents {
		b.toEiffel(&w, t)
	} else {
		b.toCDEvents(&w, t)
	}
	b.memberTable(&w, t)
	b.withoutCarrying(&w, t)
	b.versions(&w, t)
	if err := b.example(&w, t); err != nil {
		return "", err
	}
	return strings.TrimRight(w.String(), "\n") + "\n", nil
}

func (t *eventType) title() string {
	if t.name == custom {
		return "Custom CDEvents"
	}
	return t.row
}

// link leads from a page to another.
func (t *eventType) link(to *eventType, text string) string {
	if to.protocol == t.protocol {
		return fmt.Sprintf("[%s](%s.md)", text, to.name)
	}
	return fmt.Sprintf("[%s](../%s)", text, to.file())
}

// named links to the page of a type of the other side, if it has one.
func (b *book) named(t *eventType, name string) string {
	switch {
	case name == "":
		return "a [custom event](" + "../README.md#custom-events) named after it"
	case mappingtext.IsCustom(name):
		return "the [custom event](../README.md#custom-events) `dev.cdeventsx." + name + "`"
	}
	if other := b.find(t.protocol.Other(), name); other != nil {
		return t.link(other, "`"+name+"`")
	}
	return "`" + name + "`"
}

// toEiffel tells the rows of a CDEvent.
func (b *book) toEiffel(w *strings.Builder, t *eventType) {
	for i, r := range t.toEiffel {
		if len(t.toEiffel) > 1 {
			fmt.Fprintf(w, "%d. %s%s.", i+1, condition(r.If, r.When, i), b.named(t, r.Eiffel))
		} else {
			fmt.Fprintf(w, "An %s.", b.named(t, r.Eiffel))
		}
		fmt.Fprintf(w, " %s\n", sentence(r.About))
	}
	several := len(t.toEiffel) > 1
	if several {
		w.WriteString("\n")
	}
	for _, r := range t.toEiffel {
		if several {
			fmt.Fprintf(w, "### %s\n", t.heading(r.If, r.When, r.Eiffel))
		}
		w.WriteString("\n- **Id:** " + idText(r.ID) + "\n")
		w.WriteString("- **The ledger learns:** " + learnsText(r.Learns) + "\n")
		if made := synthesizedBy(r.Links); len(made) > 0 {
			fmt.Fprintf(w, "- **Synthesized** where nobody knows it, as `synthesize` says: %s.\n", join(made, "and"))
		}
		w.WriteString("\n")
		b.linkTable(w, r.Links)
		b.fieldTable(w, "`data`", append(fields("data", r.Data), fields("data.customData, entry", r.Custom)...), mappingtext.Data)
		b.vocabularies(w, append(slices.Clone(r.Data), r.Custom...))
	}
}

// toCDEvents tells the rows of an Eiffel event.
func (b *book) toCDEvents(w *strings.Builder, t *eventType) {
	for i, r := range t.toCDEvents {
		var list []string
		for _, name := range r.CDEvent {
			list = append(list, b.named(t, name))
		}
		if len(list) == 0 {
			list = []string{b.named(t, "")}
		}
		becomes := join(list, "or")
		if len(t.toCDEvents) > 1 {
			fmt.Fprintf(w, "%d. %s%s.", i+1, condition("", r.When, i), becomes)
		} else {
			fmt.Fprintf(w, "%s.", upper(becomes))
		}
		fmt.Fprintf(w, " %s\n", sentence(r.About))
	}
	several := len(t.toCDEvents) > 1
	if several {
		w.WriteString("\n")
	}
	for _, r := range t.toCDEvents {
		if several {
			fmt.Fprintf(w, "### %s\n", t.heading("", r.When, strings.Join(r.CDEvent, ", ")))
		}
		w.WriteString("\n")
		if r.Choose != "" {
			fmt.Fprintf(w, "- **Which of them:** %s\n", sentence(mappingtext.Explain(mappingtext.Choose, r.Choose)))
		}
		switch {
		case r.SubjectID != nil:
			fmt.Fprintf(w, "- **Subject:** the id is what %s gives.\n", mappingtext.Code(r.SubjectID.String()))
		case r.Subject != "":
			fmt.Fprintf(w, "- **Subject:** %s\n", sentence(mappingtext.Explain(mappingtext.Subject, r.Subject)))
		default:
			w.WriteString("- **Subject:** the event itself: `meta.id`.\n")
		}
		fmt.Fprintf(w, "- **The ledger learns:** %s\n\n", learnsText(r.Learns))
		b.fieldTable(w, "`subject.content`", fields("", r.Content), mappingtext.Content)
		switch {
		case r.Content == nil:
			w.WriteString("`subject.content` is `data`, as it is.\n\n")
		case slices.ContainsFunc(r.CDEvent, mappingtext.IsCustom):
			w.WriteString("As a custom event, `subject.content` is `data`, as it is, and the subject is the event itself.\n\n")
		}
		b.vocabularies(w, r.Content)
	}
}

// condition begins the item of a row among several.
func condition(judgement string, when mappings.Expression, index int) string {
	switch {
	case judgement != "":
		return "If " + lower(strings.TrimSuffix(mappingtext.Explain(mappingtext.If, judgement), ".")) + ": "
	case when != nil:
		return "If " + mappingtext.Code(when.String()) + ": "
	case index > 0:
		return "Otherwise: "
	}
	return ""
}

func (t *eventType) heading(judgement string, when mappings.Expression, becomes string) string {
	text := "As " + becomes
	if becomes == "" {
		text = "As a custom event"
	}
	switch {
	case judgement != "":
		text += ", if `" + judgement + "`"
	case when != nil:
		text += ", if " + mappingtext.Code(when.String())
	}
	return text
}

func idText(id string) string {
	if id == mappings.IDAnchor {
		return "made from the subject alone, so that whoever speaks of the subject can link to it. A later event of the same subject is a new version and gets an id of its own."
	}
	return "`context.id` where Eiffel accepts it as an id, else made from `context.source`, `context.id` and `context.type`."
}

func learnsText(learns string) string {
	return map[string]string{
		mappings.LearnAnchor:      "that the event stands for its subject; later events link to it.",
		mappings.LearnMilestone:   "that the subject has got this far.",
		mappings.LearnIncarnation: "that the service runs this artifact in this environment.",
		mappings.LearnRemoval:     "that the service no longer runs in this environment.",
		mappings.LearnClosure:     "that the subject is gone, or has come to its end.",
		mappings.LearnEvent:       "which event became which, for links that refer to it.",
	}[learns]
}

// synthesizedBy are the events that the links of a row may have made up.
func synthesizedBy(links []mappings.Link) []string {
	var out []string
	for _, l := range links {
		text := ""
		switch {
		case !l.Required:
			continue
		case l.Target == mappings.TargetAnchor:
			text = fmt.Sprintf("the `%s` of the %s", l.Anchor, l.Subject)
		case l.Target == mappings.TargetRunning || l.Target == mappings.TargetTested:
			text = "an `EiffelCompositionDefinedEvent` for the target of " + l.Type
		}
		for _, made := range append([]string{text}, synthesizedBy(l.With)...) {
			if made != "" && !slices.Contains(out, made) {
				out = append(out, made)
			}
		}
	}
	return out
}

func (b *book) linkTable(w *strings.Builder, links []mappings.Link) {
	if len(links) == 0 {
		w.WriteString("The row has no links; those of the event itself [follow](../README.md#links).\n\n")
		return
	}
	w.WriteString("| Link | Leads to | Where nobody knows that |\n|---|---|---|\n")
	for _, l := range links {
		unknown := "no link"
		switch {
		case l.Required && (l.Target == mappings.TargetRunning || l.Target == mappings.TargetTested):
			unknown = "a synthesized composition stands in, with a diagnostic"
		case l.Required:
			unknown = "it is synthesized"
			var with []string
			for _, w := range l.With {
				with = append(with, "`"+w.Type+"` to "+targetText(w))
			}
			if len(with) > 0 {
				unknown += ", with " + join(with, "and")
			}
		}
		fmt.Fprintf(w, "| `%s` | %s | %s |\n", l.Type, targetText(l), unknown)
	}
	w.WriteString("\nThen come the links of the event itself, as far as Eiffel allows them: [links](../README.md#links).\n\n")
}

func targetText(l mappings.Link) string {
	switch l.Target {
	case mappings.TargetPrevious:
		return "the last version of the same subject's event"
	case mappings.TargetRunning:
		return "the deployment that runs the service in the environment"
	case mappings.TargetTested:
		return "the [item under test](../README.md#the-item-under-test)"
	case mappings.TargetValue:
		return "what " + mappingtext.Code(l.Value.String()) + " gives"
	}
	whose := "the event's own " + l.Subject
	if l.Reference != "/subject" {
		whose = "the " + l.Subject + " in `" + mappingtext.Dotted(l.Reference) + "`"
	}
	text := "the `" + l.Anchor + "` of " + whose
	if l.Or != "" {
		text = "the `" + l.Or + "` of " + whose + ", else its `" + l.Anchor + "`"
	}
	return text
}

// field is a field of a row with the place it goes to.
type field struct {
	mappings.Field
	place string
}

func fields(base string, list []mappings.Field) []field {
	var out []field
	for _, f := range list {
		place := mappingtext.Dotted(f.To)
		if strings.Contains(base, "customData") {
			place = base + " " + place
		}
		out = append(out, field{f, place})
	}
	return out
}

func (b *book) fieldTable(w *strings.Builder, of string, list []field, place string) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(w, "| Member of %s | From |\n|---|---|\n", of)
	for _, f := range list {
		to := "`" + f.place + "`"
		if f.Was != "" {
			to += " (`" + mappingtext.Dotted(f.Was) + "` in CDEvents 0.4 and 0.3)"
		}
		fmt.Fprintf(w, "| %s | %s |\n", to, mappingtext.Cell(fieldText(f.Field, place)))
	}
	w.WriteString("\n")
}

// fieldText says where a member comes from, in sentences.
func fieldText(f mappings.Field, place string) string {
	var text string
	for i, p := range f.From {
		if i > 0 {
			text += ", else "
		}
		text += "`" + mappingtext.Dotted(p) + "`"
	}
	if f.Vocabulary != "" {
		text += fmt.Sprintf(", in the words of [`%s`](#vocabulary-%s)", f.Vocabulary, strings.ToLower(f.Vocabulary))
	}
	switch f.Format {
	case "uri":
		text += ", where that is a URI"
	case "uri-reference":
		text += ", where that is a URI or a relative reference"
	}
	add := func(s string) {
		if text != "" {
			text += ", else: "
			s = lower(s)
		}
		text += s
	}
	if f.By != "" {
		add(strings.TrimSuffix(mappingtext.Explain(place, f.By), "."))
	}
	if f.Value != nil {
		add("What " + mappingtext.Code(f.Value.String()) + " gives")
	}
	if f.Const != nil {
		if text == "" {
			text = "Always `" + mappingtext.Constant(f.Const) + "`"
		} else {
			text += ", else `" + mappingtext.Constant(f.Const) + "`"
		}
	}
	switch f.Fill {
	case "":
	case mappings.FillSelf:
		text += ". Where it is required and missing: `urn:uuid:` and the event's own id"
	default:
		text += ". Where it is required and missing: `urn:uuid:` and the target of the link " + f.Fill + ", else the event's own id"
	}
	return sentence(text)
}

func (b *book) vocabularies(w *strings.Builder, list []mappings.Field) {
	var seen []string
	for _, f := range list {
		if v := b.catalogue.Vocabulary(f.Vocabulary); v != nil && !slices.Contains(seen, v.Name) {
			seen = append(seen, v.Name)
			fmt.Fprintf(w, "#### Vocabulary `%s`\n\n%s\n", v.Name, vocabularyTable(v))
		}
	}
}

func vocabularyTable(v *mappings.Vocabulary) string {
	var w strings.Builder
	w.WriteString("| CDEvents | Eiffel |\n|---|---|\n")
	words := func(list []string) string {
		if len(list) == 0 {
			return "(none)"
		}
		return "`" + strings.Join(list, "`, `") + "`"
	}
	for _, pair := range v.Words {
		fmt.Fprintf(&w, "| %s | %s |\n", words(pair.CDEvents), words(pair.Eiffel))
	}
	w.WriteString("\nThe first word of a cell that the output's schema allows is written; all are read, those of CDEvents in any case.")
	other := func(word, side string) {
		if word == "" {
			fmt.Fprintf(&w, " Any other %s word, and none, leaves the member out.", side)
		} else {
			fmt.Fprintf(&w, " Any other %s word, and none, becomes `%s`.", side, word)
		}
	}
	other(v.Otherwise.Eiffel, "CDEvents")
	other(v.Otherwise.CDEvents, "Eiffel")
	w.WriteString("\n")
	return w.String()
}

// memberTable tells what becomes of each member that the newest version of the type has.
func (b *book) memberTable(w *strings.Builder, t *eventType) {
	members, base := t.members(b.words)
	w.WriteString("## Where its members go\n\n")
	switch {
	case t.name == custom:
		fmt.Fprintf(w, "`%s` of a custom event is free; it is carried.\n\n", mappingtext.Dotted(base))
	case len(members) == 0:
		fmt.Fprintf(w, "`%s` has no members of its own in version %s.\n\n", mappingtext.Dotted(base), t.schema.Version())
	case t.allCustom():
		fmt.Fprintf(w, "All of `%s` becomes `subject.content`, as it is.\n\n", mappingtext.Dotted(base))
	default:
		fmt.Fprintf(w, "All that `%s` may have in version %s, and where it goes by the rules above and in the example below. What is carried only has no place of its own in the output, but is in the original that it carries.\n\n"+
			"| Member | Goes to |\n|---|---|\n", mappingtext.Dotted(base), t.schema.Version())
		for _, m := range members {
			fmt.Fprintf(w, "| `%s` | %s |\n", strings.TrimPrefix(mappingtext.Dotted(m), mappingtext.Dotted(base)+"."), mappingtext.Cell(b.fate(t, m)))
		}
		w.WriteString("\n")
	}
	w.WriteString("What every event has, custom data and links: [for all events](../README.md#for-all-events).\n\n")
}

// allCustom tells whether a type only becomes custom events.
func (t *eventType) allCustom() bool {
	return slices.Equal(t.counterparts(), []counterpart{customEvent})
}

// members are those that only events of this type have.
func (t *eventType) members(words dictionary) (list []string, base string) {
	base = "/data"
	if t.protocol == translate.CDEvents {
		base = "/subject/content"
	}
	for _, m := range words.members(t.schema, base) {
		if m != "/data/customData" {
			list = append(list, m)
		}
	}
	return list, base
}

// carriedOnly is the fate of what no rule sends anywhere.
const carriedOnly = "carried only"

// fate tells where a member goes: by the rows, else as the translation of the example tells.
func (b *book) fate(t *eventType, member string) string {
	var places []string
	add := func(place string) {
		if !slices.Contains(places, place) {
			places = append(places, place)
		}
	}
	ofRow := func(from []string, to string) {
		for _, p := range from {
			if within(member, p) || within(p, member) {
				add(to + t.fidelity(member))
			}
		}
	}
	for _, r := range t.toEiffel {
		for _, l := range r.Links {
			if l.Reference != "/subject" { // the event's own subject, not a member of its content
				ofRow([]string{l.Reference}, "the link `"+l.Type+"`")
			}
		}
		for _, f := range r.Data {
			ofRow(f.From, "`data."+mappingtext.Dotted(f.To)+"`")
		}
		for _, f := range r.Custom {
			ofRow(f.From, "`data.customData`, entry `"+mappingtext.Dotted(f.To)+"`")
		}
	}
	for _, r := range t.toCDEvents {
		for _, f := range r.Content {
			ofRow(f.From, "`subject.content."+mappingtext.Dotted(f.To)+"`")
		}
	}
	if t.told == nil || t.told.problem != nil {
		return orCarried(places)
	}
	for _, m := range t.told.result.Moves {
		if m.From == "" || !within(member, m.From) && !within(m.From, member) {
			continue
		}
		if m.To == "/subject/content" && t.protocol == translate.Eiffel {
			add("`subject.content`, as it is")
		} else if len(places) == 0 {
			add(t.told.placeText(m) + t.fidelity(member))
		}
	}
	if len(places) > 0 {
		return orCarried(places)
	}
	doc, err := jsondoc.Parse(t.told.event.JSON)
	if err != nil || !doc.Root().Pointed(member).Exists() {
		return carriedOnly
	}
	for _, l := range t.told.result.Losses {
		if within(member, l.Pointer) || within(l.Pointer, member) {
			if l.Reason == "no_counterpart" {
				return carriedOnly
			}
			return carriedOnly + ": " + reasonText(l.Reason)
		}
	}
	return "read by the rule, written nowhere"
}

// fidelity says what of a member's value can be had back without the carried original, where that is not all.
func (t *eventType) fidelity(member string) string {
	if t.told == nil {
		return ""
	}
	for _, m := range t.told.result.Moves {
		if m.From != member {
			continue
		}
		switch m.Fidelity {
		case translate.Translated:
			return " (in a word of the same meaning)"
		case translate.OneWay:
			return " (one way)"
		}
	}
	return ""
}

func orCarried(places []string) string {
	if len(places) == 0 {
		return carriedOnly
	}
	return join(places, "and")
}

// placeText names the place in the output that a value went to; a link by its type.
func (t *told) placeText(m translate.Move) string {
	switch {
	case m.To == "":
		return "what the ledger knows"
	case m.Out < len(t.result.Events) && strings.HasPrefix(m.To, "/links/"):
		place, _, _ := strings.Cut(strings.TrimPrefix(m.To, "/links/"), "/")
		if out, err := jsondoc.Parse(t.result.Events[m.Out].JSON); err == nil {
			if l := out.Root().At("links").Pointed("/" + place); l.Exists() {
				place = l.Get("type").Str()
			}
		}
		return "the link `" + place + "`"
	}
	return "`" + mappingtext.Dotted(m.To) + "`"
}

// within tells whether a JSON pointer is another or leads into it.
func within(pointer, outer string) bool {
	return outer != "" && (pointer == outer || strings.HasPrefix(pointer, outer+"/"))
}

func reasonText(reason string) string {
	text := map[string]string{
		"no_counterpart":      "no counterpart",
		"precision":           "more precise than milliseconds",
		"not_a_uri":           "no URI, which the other protocol wants",
		"signature":           "a signature does not survive a translation",
		"envelope":            "the bridge's own mark",
		"end_link":            "Eiffel has no link that ends a chain",
		"has_context":         "a CONTEXT link says it already",
		"duplicate_link":      "another link says it already",
		"single_link":         "the event may have only one link of that type",
		"illegal_link_type":   "no link type of this Eiffel event",
		"illegal_link_target": "the link may not lead to an event of that type",
		"link_to_itself":      "the link would lead to the event itself",
		"unknown_target":      "nobody knows the target",
		"not_in_spec":         "this version of CDEvents does not have it",
		"link_without_target": "the link names no target",
		"link_without_type":   "the link has no type",
		"too_deep":            "nested too deeply for the place where it would stand",
	}[reason]
	if text == "" {
		text = strings.ReplaceAll(reason, "_", " ")
	}
	return text
}

// withoutCarrying tells what of the example is lost where no original is carried.
func (b *book) withoutCarrying(w *strings.Builder, t *eventType) {
	if t.bare == nil {
		return
	}
	w.WriteString("## With `carry: none`\n\nOnly what has a place of its own survives then. ")
	bare := t.bare
	back := bare.back()
	switch {
	case bare.problem != nil:
		fmt.Fprintf(w, "The example is refused: %s.\n\n", bare.problem.Message)
		return
	case len(bare.result.Events) == 0:
		w.WriteString("The example becomes no event.\n\n")
		return
	case back == nil:
		w.WriteString("Translated there and back, nothing comes back of the example.\n\n")
		return
	case back.Type != bare.event.Type:
		fmt.Fprintf(w, "The translation is one way: back again, the example is %s `%s`, which has what the output says, and nothing else.\n\n", article(back.Type), back.Type)
		return
	}
	before, err := jsondoc.Parse(bare.event.JSON)
	if err != nil {
		return
	}
	after, err := jsondoc.Parse(back.JSON)
	if err != nil {
		return
	}
	var gone, other []string
	for _, d := range differences(before.Root(), after.Root()) {
		if d.gone {
			gone = append(gone, differenceText(d))
		} else {
			other = append(other, differenceText(d))
		}
	}
	w.WriteString("Translated there, and back with another ledger, in the order of the story, ")
	if len(gone)+len(other) == 0 {
		w.WriteString("the example is the same again.\n\n")
		return
	}
	w.WriteString("the example differs:\n\n")
	if len(gone) > 0 {
		fmt.Fprintf(w, "- lost: %s\n", strings.Join(gone, ", "))
	}
	if len(other) > 0 {
		fmt.Fprintf(w, "- of another value: %s\n", strings.Join(other, ", "))
	}
	w.WriteString("\n")
}

// differenceText names a value that did not come back as it was; an element of an array by its name, if it has one.
func differenceText(d difference) string {
	if parent := d.value.Parent(); parent.Kind() == jsondoc.Array && nameOf(d.value) != "" {
		return "`" + mappingtext.Dotted(parent.Pointer()) + "` (" + nameOf(d.value) + ")"
	}
	return "`" + mappingtext.Dotted(d.value.Pointer()) + "`"
}

// back is what the example came back as.
func (t *told) back() *translate.Event {
	if len(t.returned) == 0 {
		return nil
	}
	return &t.returned[len(t.returned)-1]
}

// versions tells which versions of the type are read and written, and which of the output.
func (b *book) versions(w *strings.Builder, t *eventType) {
	written := "read"
	if len(b.sources(t)) > 0 {
		written = "read and written"
	}
	w.WriteString("## Versions\n\n")
	switch {
	case t.name == custom:
		w.WriteString("Custom events are read in CDEvents 0.4 and 0.5; 0.3 has none. Their versions are their own.\n\n")
	case t.protocol == translate.CDEvents:
		var head, row []string
		subject, predicate, _ := strings.Cut(t.name, ".")
		for _, spec := range schema.OutputSpecs() {
			head = append(head, "CDEvents "+spec)
			full, ok := schema.CDEventType(spec, subject, predicate)
			version := strings.TrimPrefix(full, "dev.cdevents."+t.name+".")
			if !ok {
				version = "–"
			}
			row = append(row, version)
		}
		versionTable(w, "`"+t.name+"`, "+written, head, row)
	default:
		var head, row []string
		var listed []string
		for _, edition := range schema.Editions() {
			version, ok := schema.EditionVersion(edition, t.row)
			if !ok {
				version = "–"
			}
			head, row, listed = append(head, edition), append(row, version), append(listed, version)
		}
		versionTable(w, "`"+t.name+"`, "+written, head, row)
		var more []string
		for _, v := range schema.EiffelVersions(t.row) {
			if !slices.Contains(listed, v) {
				more = append(more, v)
			}
		}
		if len(more) > 0 {
			fmt.Fprintf(w, "Also read: %s.\n", join(more, "and"))
		}
	}
	if t.name != custom {
		if t.protocol == translate.Eiffel && written != "read" {
			fmt.Fprintf(w, "Editions before %s are read and not written.\n", schema.OutputEditions()[0])
		}
		w.WriteString("Newer minor and patch versions are read as the newest that is known.\n\n")
	}
	b.outputVersions(w, t)
}

func versionTable(w *strings.Builder, name string, head, row []string) {
	fmt.Fprintf(w, "| | %s |\n|---|%s\n| %s | %s |\n\n", strings.Join(head, " | "), strings.Repeat("---|", len(head)), name, strings.Join(row, " | "))
}

// outputVersions tells what the example becomes in every version of the other protocol.
func (b *book) outputVersions(w *strings.Builder, t *eventType) {
	if t.told == nil {
		return
	}
	versions, what := schema.OutputEditions(), "edition"
	if t.protocol == translate.Eiffel {
		versions, what = schema.OutputSpecs(), "spec"
	}
	var head, row []string
	for _, v := range versions {
		head = append(head, v)
		out := t.outputs[v]
		switch {
		case out.problem != nil:
			row = append(row, "`"+out.problem.Code+"`")
		case out.main() == nil:
			row = append(row, "no event")
		case t.protocol == translate.CDEvents:
			row = append(row, out.main().Version)
		default:
			row = append(row, "`"+strings.TrimPrefix(strings.TrimPrefix(out.main().Type, "dev.cdevents."), "dev.cdeventsx.")+"`")
		}
	}
	name := "no event"
	if t.told.main() != nil {
		name = "the example"
		if t.protocol == translate.CDEvents {
			name = "`" + mappingtext.ShortEiffel(t.told.main().Type) + "`"
		}
	}
	fmt.Fprintf(w, "What comes out, by `%s`:\n\n", what)
	versionTable(w, name, head, row)
	codes := map[string]string{
		"`" + translate.CodeNotInEdition + "`": "this edition of Eiffel has no such event, and the event is refused.",
		"`" + translate.CodeNotInSpec + "`":    "this version of CDEvents has no such event, and the event is refused.",
	}
	for _, code := range []string{"`" + translate.CodeNotInEdition + "`", "`" + translate.CodeNotInSpec + "`"} {
		if slices.Contains(row, code) {
			fmt.Fprintf(w, "%s: %s\n\n", code, codes[code])
		}
	}
}

// example shows the example and what it becomes.
func (b *book) example(w *strings.Builder, t *eventType) error {
	if t.told == nil {
		return nil
	}
	e := t.told
	fmt.Fprintf(w, "## Example\n\nFrom [the stories](../../../examples/events/README.md), with what the ledger knows by then. %s\n\n```json\n%s\n```\n\n",
		e.example.About, strings.TrimSpace(string(e.example.JSON)))
	if e.problem != nil {
		fmt.Fprintf(w, "It is refused: %s\n\n", e.problem.Message)
		return nil
	}
	if len(e.result.Events) == 0 {
		w.WriteString("It becomes no event.\n\n")
	}
	for i := range e.result.Events {
		out := &e.result.Events[i]
		switch {
		case out.Synthesized:
			w.WriteString("Synthesized, since nobody knows it:\n\n")
		default:
			w.WriteString("It becomes:\n\n")
		}
		text, err := shown(out.JSON)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "```json\n%s\n```\n\n", text)
	}
	var losses []string
	for _, l := range e.result.Losses {
		losses = append(losses, fmt.Sprintf("- `%s`: %s\n", mappingtext.Dotted(l.Pointer), reasonText(l.Reason)))
	}
	if len(losses) > 0 {
		fmt.Fprintf(w, "In the carried original only:\n\n%s\n", strings.Join(losses, ""))
	}
	if len(e.result.Diagnostics) > 0 {
		w.WriteString("Diagnostics:\n\n")
		for _, d := range e.result.Diagnostics {
			fmt.Fprintf(w, "- `%s`: %s\n", d.Code, d.Message)
		}
		w.WriteString("\n")
	}
	return nil
}

// join writes a list as people do: a, b and c.
func join(list []string, word string) string {
	if len(list) < 2 {
		return strings.Join(list, "")
	}
	return strings.Join(list[:len(list)-1], ", ") + " " + word + " " + list[len(list)-1]
}

func sentence(text string) string {
	text = strings.TrimSpace(text)
	if text == "" {
		return ""
	}
	if !strings.HasSuffix(text, ".") {
		text += "."
	}
	return upper(text)
}

func upper(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// lower begins a text with a small letter, but for abbreviations.
func lower(text string) string {
	if len(text) < 2 || text[1] >= 'A' && text[1] <= 'Z' {
		return text
	}
	return strings.ToLower(text[:1]) + text[1:]
}

func article(noun string) string {
	if noun != "" && strings.IndexByte("aeiouAEIO", noun[0]) >= 0 {
		return "an"
	}
	return "a"
}
