package main

import (
	"fmt"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/mappingtext"
	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

// index is the page that leads to all others, with what they share.
func (b *book) index() string {
	var w strings.Builder
	fmt.Fprintf(&w, `# What maps to what

%s The catalogue that the translation carries out is [mappings/catalogue.yaml](../../mappings/catalogue.yaml).

Every event type of either protocol has a page here: what it becomes and when, its links and fields, what is carried only, what survives without
carrying, its versions, and an example with what comes out. How CDEvents services and Eiffel deployments are told
apart and brought together has a page of its own: [services](../services.md).

- [CDEvents to Eiffel](#cdevents-to-eiffel), [Eiffel to CDEvents](#eiffel-to-cdevents): every type, its versions and its counterpart
- [For all events](#for-all-events): what every event has, [links](#links), [custom data](#custom-data), [custom events](#custom-events)
- What the rows use: %s
- [The whole catalogue](#the-whole-catalogue), a row a line

`, made, strings.Join(b.tables(), ", "))
	w.WriteString(b.counts())
	b.cdeventsMatrix(&w)
	b.eiffelMatrix(&w)
	w.WriteString(forAllEvents)
	b.activities(&w)
	b.allVocabularies(&w)
	b.judgements(&w)
	w.WriteString("## The whole catalogue\n\nAs `eiffelbridge mappings --format markdown` prints it.\n\n")
	w.WriteString(mappingtext.Markdown(b.catalogue))
	return w.String()
}

// tables lead to what the catalogue has beside its rows.
func (b *book) tables() []string {
	var out []string
	if len(b.catalogue.Activities) > 0 {
		out = append(out, "[activities](#activities)")
	}
	if len(b.catalogue.Vocabularies) > 0 {
		out = append(out, "[vocabularies](#vocabularies)")
	}
	return append(out, "[judgements](#judgements)")
}

// counts says how much there is of everything.
func (b *book) counts() string {
	var events, eiffel [4]int // native, announcement, custom
	for _, t := range b.types {
		i := 2
		for _, c := range t.counterparts() {
			switch {
			case c == native:
				i = 0
			case c == announcement && i == 2:
				i = 1
			}
		}
		if t.protocol == translate.CDEvents {
			events[i]++
			events[3]++
		} else {
			eiffel[i]++
			eiffel[3]++
		}
	}
	return fmt.Sprintf("Of %d CDEvents, custom ones counted as one, %d have a native counterpart in Eiffel and %d are announced. Of %d Eiffel events, %d have a native counterpart in "+
		"CDEvents and %d become custom events. The catalogue has %d rows to Eiffel and %d to CDEvents, and uses %s and %s.\n\n",
		events[3], events[0], events[1], eiffel[3], eiffel[0], eiffel[2],
		len(b.catalogue.ToEiffel), len(b.catalogue.ToCDEvents), count(len(mappingtext.Judgements(b.catalogue)), "judgement", "judgements"),
		count(len(b.catalogue.Vocabularies), "vocabulary", "vocabularies"))
}

func count(n int, one, many string) string {
	switch n {
	case 0:
		return "no " + many
	case 1:
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func (b *book) cdeventsMatrix(w *strings.Builder) {
	w.WriteString("## CDEvents to Eiffel\n\nThe versions of each type are those that are read. An *announcement* says in words what Eiffel has no event for. The last column is the first Eiffel edition that can " +
		"be written for the type; Orizaba is the default.\n\n")
	specs := schema.OutputSpecs()
	fmt.Fprintf(w, "| CDEvent | %s | Counterpart | Becomes | From edition |\n|---|%s---|---|---|\n", strings.Join(specs, " | "), strings.Repeat("---|", len(specs)))
	for _, t := range b.types {
		if t.protocol != translate.CDEvents {
			continue
		}
		subject, predicate, _ := strings.Cut(t.name, ".")
		var versions []string
		for _, spec := range specs {
			full, ok := schema.CDEventType(spec, subject, predicate)
			version := strings.TrimPrefix(full, "dev.cdevents."+t.name+".")
			switch {
			case t.name == custom && spec != "0.3":
				version = "own"
			case !ok:
				version = "–"
			}
			versions = append(versions, version)
		}
		since := "–"
		for _, edition := range schema.OutputEditions() {
			if out := t.outputs[edition]; out != nil && out.problem == nil {
				since = edition
				break
			}
		}
		name := "`" + t.name + "`"
		if t.name == custom {
			name = "custom events"
		}
		fmt.Fprintf(w, "| [%s](%s) | %s | %s | %s | %s |\n", name, t.file(), strings.Join(versions, " | "), t.counterpartText(), b.becomesText(t), since)
	}
	w.WriteString("\n")
}

func (b *book) eiffelMatrix(w *strings.Builder) {
	editions := schema.Editions()
	w.WriteString("## Eiffel to CDEvents\n\nThe columns of editions have the version of the type in that edition; every version is read, those between editions too. A *custom event* carries `data` as its content. The " +
		"last column is the first version of CDEvents that can be written for the type; 0.5 is the default.\n\n")
	fmt.Fprintf(w, "| Eiffel event | %s | Counterpart | Becomes | From spec |\n|---|%s---|---|---|\n", strings.Join(editions, " | "), strings.Repeat("---|", len(editions)))
	for _, t := range b.types {
		if t.protocol != translate.Eiffel {
			continue
		}
		var versions []string
		for _, edition := range editions {
			version, ok := schema.EditionVersion(edition, t.row)
			if !ok {
				version = "–"
			}
			versions = append(versions, version)
		}
		since := "–"
		for _, spec := range schema.OutputSpecs() {
			if out := t.outputs[spec]; out != nil && out.problem == nil {
				since = spec
				break
			}
		}
		fmt.Fprintf(w, "| [`%s`](%s) | %s | %s | %s | %s |\n", t.name, t.file(), strings.Join(versions, " | "), t.counterpartText(), b.becomesText(t), since)
	}
	w.WriteString("\n")
}

func (t *eventType) counterpartText() string {
	var out []string
	for _, c := range t.counterparts() {
		out = append(out, string(c))
	}
	return join(out, "or")
}

// becomesText names the types that a type may become, with links to their pages.
func (b *book) becomesText(t *eventType) string {
	var out []string
	for _, name := range t.targets() {
		other := b.find(t.protocol.Other(), name)
		switch {
		case other != nil:
			out = append(out, fmt.Sprintf("[`%s`](%s)", other.name, other.file()))
		case name == "":
			out = append(out, "a [custom event](#custom-events)")
		default:
			out = append(out, "`"+strings.TrimPrefix(name, "eiffel-")+"`")
		}
	}
	return strings.Join(out, "<br>")
}

func (b *book) activities(w *strings.Builder) {
	if len(b.catalogue.Activities) == 0 {
		return
	}
	w.WriteString("## Activities\n\nAn Eiffel activity may be any of several kinds of CDEvents run. What it is stands in its EiffelActivityTriggeredEvent; the first line that fits counts. " +
		"Categories are compared as whole words, in any case; the first is the one that is written. An activity that fits none is a task run where it stands in the CONTEXT of another activity, else a pipeline run.\n\n| Kind of run | Categories | Names |\n|---|---|---|\n")
	words := func(list []string) string {
		if len(list) == 0 {
			return "–"
		}
		return "`" + strings.Join(list, "`, `") + "`"
	}
	for _, a := range b.catalogue.Activities {
		names := words(a.Names)
		if a.When != nil {
			names += "<br>or " + mappingtext.Code(a.When.String())
		}
		fmt.Fprintf(w, "| `%s` | %s | %s |\n", a.Kind, words(a.Categories), names)
	}
	w.WriteString("\n")
}

func (b *book) allVocabularies(w *strings.Builder) {
	if len(b.catalogue.Vocabularies) == 0 {
		return
	}
	w.WriteString("## Vocabularies\n\nThe words of enumerations, paired.\n\n")
	for i := range b.catalogue.Vocabularies {
		v := &b.catalogue.Vocabularies[i]
		fmt.Fprintf(w, "### Vocabulary `%s`\n\n%s\n", v.Name, vocabularyTable(v))
	}
}

// judgements explains every judgement that the catalogue names.
func (b *book) judgements(w *strings.Builder) {
	w.WriteString("## Judgements\n\nWhere one field does not decide, a judgement does: a rule that looks at several fields, or at what the ledger knows.\n")
	titles := map[string]string{
		mappingtext.If:      "Which row of a CDEvent counts",
		mappingtext.Data:    "Members of Eiffel's `data`",
		mappingtext.Choose:  "Which CDEvent an Eiffel event becomes",
		mappingtext.Subject: "What an Eiffel event is about",
		mappingtext.Content: "Members of `subject.content`",
	}
	for _, place := range []string{mappingtext.If, mappingtext.Data, mappingtext.Choose, mappingtext.Subject, mappingtext.Content} {
		var lines []string
		for _, j := range mappingtext.Judgements(b.catalogue) {
			if j.Place == place {
				// The explanations have links for the pages, which lie a folder deeper.
				text := strings.ReplaceAll(mappingtext.Explain(j.Place, j.Name), "](../", "](")
				lines = append(lines, fmt.Sprintf("| `%s` | %s |\n", j.Name, mappingtext.Cell(sentence(text))))
			}
		}
		if len(lines) > 0 {
			fmt.Fprintf(w, "\n**%s**\n\n| Judgement | Says |\n|---|---|\n%s", titles[place], strings.Join(lines, ""))
		}
	}
	w.WriteString("\n")
}

// forAllEvents is what the engine does with every event, whatever its row says.
const forAllEvents = `## For all events

| CDEvents | Eiffel | |
|---|---|---|
| ` + "`context.id`" + ` | ` + "`meta.id`" + ` | To Eiffel: kept where Eiffel accepts it (a lower-case UUID of versions 1 to 5) and the event stands for no subject; else a UUIDv5 made from the event or its subject. To CDEvents: kept. |
| ` + "`context.source`" + ` | ` + "`meta.source.uri`" + ` | To CDEvents: else ` + "`urn:eiffel:domain:<domainId>`, else `urn:eiffel:host:<host>`, else `urn:eiffel`" + `. What is no URI is percent-encoded. |
| ` + "`context.timestamp`" + ` | ` + "`meta.time`" + ` | RFC 3339 and milliseconds: rounded down; in UTC with three digits on the way back. |
| ` + "`context.type`, `context.specversion`" + ` | ` + "`meta.type`, `meta.version`" + ` | By the row; in the version that ` + "`spec` or `edition`" + ` asks for. |
| ` + "`context.chainId`" + ` | – | To CDEvents: the chain of the event's CONTEXT, else of its first CAUSE, else of the activity, test case or test suite that it started or ended; any other event begins a chain. |
| ` + "`context.links`" + ` | ` + "`links`" + ` | See [links](#links). |
| ` + "`subject.id`, `subject.source`" + ` | – | What the event is about: the ledger finds its Eiffel event by it. |
| – | ` + "`meta.source.serializer`" + ` | The bridge writes itself. |
| – | ` + "`meta.security`" + ` | Carried; a translation cannot keep a signature, and says so. |
| ` + "`context.schemaUri`" + ` | ` + "`meta.tags`, `meta.schemaUri`, `meta.source.host`, `meta.source.name`" + ` | Carried. |

### Links

| Eiffel | CDEvents | |
|---|---|---|
| ` + "`CAUSE`" + ` | ` + "`RELATION`, `linkKind: TRIGGER`" + ` | both ways |
| any other type ` + "`T`" + ` | ` + "`RELATION`, `linkKind: T`" + ` | both ways |
| ` + "`domainId`" + ` of a link | ` + "`tags.domainId`" + ` | both ways; Eiffel has it from edition Lyon on |
| ` + "`CAUSE`" + ` | ` + "`PATH`" + ` | to Eiffel only, and not where the event has a CONTEXT or another link to that event |
| – | ` + "`END`" + ` | carried |

The links of the row come first, then RELATION, then PATH. A link that Eiffel's rules do not allow for the event, or that is there already, is left out and
reported as a loss. CDEvents 0.3 has no links.

### The item under test

Eiffel's test case needs an item under test. It is the first artifact, composition, deployment or change that the event's own links name; else what the ledger
says runs in the event's environment: the one deployment, or a synthesized composition of the artifacts of all; else a synthesized composition
without elements, with a diagnostic.

### Custom data

The original of every event travels along: in Eiffel as the entry ` + "`cdevents`" + ` of ` + "`data.customData`" + `, in CDEvents as ` + "`customData.eiffel`" + `. Translating such an event back
gives the original. With ` + "`carry: none`" + ` only a mark with the original's id is left, and the event's own custom data becomes custom data: a member of
` + "`customData`" + ` is an entry of ` + "`data.customData`" + ` with the same key. In Eiffel the entry ` + "`subject`" + `
follows the mark, with the id of the CDEvent's subject and, where that is not the event's, its source: few Eiffel events name it. A deployment has the
entry ` + "`serviceId`" + ` besides. A synthesized event has a mark too, and nothing comes back of it.

### Custom events

An Eiffel event without a counterpart becomes the custom CDEvent ` + "`dev.cdeventsx.eiffel-<subject>.<predicate>.0.1.0`" + `, named after its type: ArtifactReused is
` + "`eiffel-artifact.reused`" + `. Its content is ` + "`data`" + ` as it is, its subject the event itself. CDEvents 0.3 has no custom events. Custom events of other tools are
announced in Eiffel, with the original carried: [custom events](cdevents/custom.md).

`
