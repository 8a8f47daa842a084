package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/eiffelbridge/eiffelbridge/daemon/ledger"
	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/mappings"
	"github.com/eiffelbridge/eiffelbridge/translate"
	records "github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

func (c *command) explainVerb() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain [FILE...]",
		Short: "Show where each field of an event goes, and why",
		Long: `Show for people what becomes of each event: where each of its fields goes and which rule sends it
there, what is synthesized, carried along or filled in, what has no counterpart, and the events
that come out.

With --ledger, events are explained as they would be translated with what that ledger knows. The
ledger is only read. Events of the same input know the ones before them, as with translate.

` + inputHelp,
		Example: `  eiffelbridge explain deployed.json
  eiffelbridge explain --ledger ledger deployed.json
  eiffelbridge explain --color always life.jsonl | less -R`,
		Args: cobra.ArbitraryArgs,
	}
	completeFiles(cmd)
	flags := addTranslation(cmd)
	colour := addColour(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx, stop := c.watch(cmd.Context())
		defer stop()
		return c.explain(ctx, flags, *colour, args)
	}
	return cmd
}

func (c *command) explain(ctx context.Context, flags *translation, colour string, files []string) (err error) {
	if err := c.existing(files); err != nil {
		return err
	}
	engine, err := flags.engine(c, flags.mappings, true)
	if err != nil {
		return err
	}
	var under records.Source = translate.NewMemoryLedger()
	if flags.ledger != "" {
		store, err := openLedger(flags.ledger, ledger.Options{ReadOnly: true})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, store.Close()) }()
		under = store
	}
	// What earlier events of the input teach is known to later ones and written nowhere.
	translator, closePlugins, err := flags.withPlugins(ctx, c, engine)
	if err != nil {
		return err
	}
	defer closePlugins()
	session := translate.NewSession(translator, newCollector(under, nil))
	session.Unresolved = translate.Unresolved(*flags.unresolved)
	p := c.painter(colour)
	failed, done := 0, 0
	err = c.eachEvent(ctx, files, func(in *input) error {
		if done > 0 {
			p.line("")
		}
		done++
		var result translate.Result
		problem := in.Err
		if problem == nil {
			problem = flags.check(&in.Event)
		}
		if problem == nil {
			result, problem = session.TranslateEvent(ctx, in.Event)
		}
		e := explanation{painter: p, in: in, result: &result, catalogue: engine.Settings().Catalogue, settings: engine.Settings()}
		var bad *translate.EventError
		if problem != nil && !errors.As(problem, &bad) {
			return fmt.Errorf("%s: %w", in.where(), problem)
		}
		e.head()
		if bad != nil {
			failed++
			e.failure(bad)
		} else {
			e.body()
		}
		return p.err
	})
	if err != nil && !isBrokenPipe(err) {
		return err
	}
	if failed > 0 {
		return errFailed
	}
	return nil
}

// explanation is what is written about one event.
type explanation struct {
	*painter
	in        *input
	result    *translate.Result
	settings  translate.Settings
	catalogue *mappings.Catalogue

	doc    *jsondoc.Document
	out    *jsondoc.Document // the event that the input became, behind the anchors; nil if there is none
	number int               // of out, from 1
}

func (e *explanation) section(title string) {
	e.line("")
	e.line("  " + e.paint(bold, title))
}

func (e *explanation) head() {
	e.line(e.paint(dim, oneLine(e.in.where())))
	if e.in.Event.Type == "" {
		return
	}
	ev := &e.in.Event
	e.line(e.paint(bold, oneLine(ev.Type)) + versionSuffix(ev))
	rows := [][]cell{{{"id", dim}, {oneLine(ev.ID), plain}}, {{"source", dim}, {oneLine(ev.Source), plain}},
		{{"time", dim}, {time.UnixMilli(ev.Time).UTC().Format("2006-01-02T15:04:05.000Z"), plain}}}
	if ev.Subject != "" {
		rows = append(rows, []cell{{"subject", dim}, {oneLine(ev.Subject), plain}})
	}
	e.table("  ", 40, rows)
}

func versionSuffix(e *translate.Event) string {
	if e.Protocol == translate.Eiffel && e.Version != "" {
		return " " + oneLine(e.Version)
	}
	return ""
}

func (e *explanation) failure(problem *translate.EventError) {
	findings := []*translate.EventError{problem}
	if problem.Code == translate.CodeInvalid {
		findings = e.in.Event.Validate()
	}
	e.section("cannot be translated")
	whole := "the event"
	if e.in.isFile() {
		whole = "the file"
	}
	var rows [][]cell
	for _, f := range findings {
		pointer := f.Pointer
		if pointer == "" {
			pointer = whole
		}
		rows = append(rows, []cell{{oneLine(pointer), plain}, {oneLine(f.Message), red}})
	}
	e.table("    ", 40, rows)
}

func (e *explanation) body() {
	doc, err := jsondoc.Parse(e.in.Event.JSON)
	if err != nil {
		e.err = err // cannot be: it was decoded
		return
	}
	e.doc = doc
	e.becomes()
	if e.out != nil && e.result.Returning == "" {
		switch plugin := strings.HasPrefix(e.result.Row, "plugin "); {
		case !plugin && len(e.result.Moves) > 0:
			e.moves("where each field goes")
			e.filled()
			e.losses()
		case plugin && len(e.result.Moves) > 0:
			e.moves("where each field goes, as the plugin tells")
		case plugin && len(e.result.Losses) > 0:
			e.moves("what goes nowhere, as the plugin tells")
		}
	}
	e.notes()
	e.outputs()
}

// becomes lists the events that come out.
func (e *explanation) becomes() {
	events := e.result.Events
	var title string
	switch {
	case e.result.Returning == translate.ReturningRestore:
		title = "is a translation; becomes the original that it carries"
	case e.result.Returning == translate.ReturningDrop:
		title = "was synthesized by a translation; nothing stands for it on the other side"
	case len(events) == 0:
		title = "becomes no event"
	case len(events) == 1:
		title = "becomes one event"
	default:
		title = fmt.Sprintf("becomes %d events", len(events))
	}
	e.section(title)
	var rows [][]cell
	for i := range events {
		out := &events[i]
		note := ""
		if out.Synthesized {
			note = "synthesized"
		}
		rows = append(rows, []cell{{strconv.Itoa(i + 1), cyan}, {out.Type + versionSuffix(out), green}, {out.ID, plain}, {note, yellow}})
	}
	if len(rows) > 0 {
		e.table("    ", 60, rows)
		e.number = len(events)
		if doc, err := jsondoc.Parse(events[len(events)-1].JSON); err == nil {
			e.out = doc
		}
	}
	if e.result.Row != "" {
		e.table("    ", 40, [][]cell{{{"row " + e.result.Row, dim}, {e.result.About, dim}}})
	}
}

// entry is a line of the table of fields.
type entry struct{ from, to, rule string }

// moves shows every field of the input: where it went, or that it did not.
func (e *explanation) moves(title string) {
	var entries []entry
	e.walk(e.doc.Root(), &entries)
	e.section(title)
	var rows [][]cell
	for _, m := range entries {
		arrow, to := cell{"->", dim}, cell{m.to, green}
		if m.to == "" {
			arrow, to = cell{"", dim}, cell{"-", dim}
		}
		rows = append(rows, []cell{{oneLine(m.from), plain}, arrow, {oneLine(to.text), to.style}, {oneLine(m.rule), dim}})
	}
	e.table("    ", 38, rows)
}

// walk visits the input in its order.
func (e *explanation) walk(v jsondoc.Value, entries *[]entry) {
	pointer := v.Pointer()
	found := false
	for _, m := range e.result.Moves {
		if m.From == pointer && pointer != "" {
			*entries = append(*entries, entry{pointer, e.place(m.To), m.Rule})
			found = true
		}
	}
	for _, l := range e.result.Losses {
		if l.Pointer == pointer {
			*entries = append(*entries, entry{pointer, "", e.lossText(l)})
			// A time whose last digits are lost still goes where times go.
			found = found || l.Reason != translate.LossPrecision
		}
	}
	if found {
		for _, m := range e.result.Moves {
			if strings.HasPrefix(m.From, pointer+"/") {
				for child := range v.Children() {
					e.walk(child, entries)
				}
				break
			}
		}
		return
	}
	if v.Kind() == jsondoc.Object || v.Kind() == jsondoc.Array {
		for child := range v.Children() {
			e.walk(child, entries)
		}
		return
	}
}

// place names a place in the output; which event's is said only where there are several.
func (e *explanation) place(pointer string) string {
	if pointer == "" || len(e.result.Events) < 2 {
		return pointer
	}
	return strconv.Itoa(e.number) + " " + pointer
}

func (e *explanation) lossText(l translate.Loss) string {
	reason := strings.ReplaceAll(l.Reason, "_", " ")
	for _, code := range e.catalogue.Codes.Losses {
		if code.Code == l.Reason {
			reason = code.Says
		}
	}
	if l.Carried {
		return reason + "; carried in the original"
	}
	return reason + "; LOST"
}

// filled shows what of the output came from no field of the input.
func (e *explanation) filled() {
	var rows [][]cell
	add := func(pointer, rule string) {
		rows = append(rows, []cell{{e.place(pointer), green}, {oneLine(rule), dim}})
	}
	reached := func(pointer string) bool {
		for _, m := range e.result.Moves {
			if m.From != "" && m.To != "" && (m.To == pointer || strings.HasPrefix(pointer, m.To+"/")) {
				return true
			}
		}
		return false
	}
	var visit func(v jsondoc.Value)
	visit = func(v jsondoc.Value) {
		pointer := v.Pointer()
		switch {
		case reached(pointer):
			return
		case pointer == "/data/customData" || pointer == "/customData":
			add(pointer, e.carried())
			return
		case e.made(pointer) != "":
			add(pointer, e.made(pointer))
			return
		case v.Kind() != jsondoc.Object && v.Kind() != jsondoc.Array:
			if rule := e.fillRule(pointer); rule != "" {
				add(pointer, rule)
			}
			return
		}
		for child := range v.Children() {
			visit(child)
		}
	}
	visit(e.out.Root())
	if len(rows) > 0 {
		e.section("what was filled in")
		e.table("    ", 38, rows)
	}
}

// carried tells what of the original goes along.
func (e *explanation) carried() string {
	if e.settings.Carry == translate.CarryOriginal {
		return fmt.Sprintf("carries the original, %s, so that translating back gives it again", count(len(e.in.Event.JSON), "byte"))
	}
	return "the mark of the translation, with the original's id"
}

// made is the rule that made the value at a pointer of the output from no field of the input; "" if none says so.
func (e *explanation) made(pointer string) string {
	for _, m := range e.result.Moves {
		if m.From == "" && m.To == pointer {
			return m.Rule
		}
	}
	return ""
}

// fillRule tells why the output has a value that no move leads to; empty for what goes without saying.
func (e *explanation) fillRule(pointer string) string {
	switch pointer {
	case "/meta/version":
		return "of the type, in edition " + e.settings.Edition
	case "/meta/source/serializer":
		return "this program"
	case "/context/specversion", "/context/version":
		return "CDEvents " + e.settings.Spec
	case "/context/chainId":
		return "the chain of the event that it follows; a first event begins one"
	case "/subject/id", "/subject/source", "/subject/type":
		return "the subject that the row finds"
	case "/context/links/0/linkType", "/customDataContentType":
		return ""
	}
	if strings.HasPrefix(pointer, "/context/links/") || strings.HasPrefix(pointer, "/links/") || strings.HasPrefix(pointer, "/meta/") || strings.HasPrefix(pointer, "/context/") {
		return ""
	}
	return "row " + e.result.Row
}

// losses sums up what the other protocol has no place for.
func (e *explanation) losses() {
	lost := 0
	for _, l := range e.result.Losses {
		if !l.Carried && l.Reason != "envelope" {
			lost++
		}
	}
	if lost > 0 {
		e.section(e.paint(yellow, count(lost, "field")+" lost"))
		e.line("    --carry original would carry what has no counterpart along.")
	}
}

func (e *explanation) notes() {
	var rows [][]cell
	for _, d := range diagnostics(e.result) {
		if d.Code != "returning" {
			rows = append(rows, []cell{{d.Code, yellow}, {oneLine(d.Message), plain}})
		}
	}
	if len(rows) > 0 {
		e.section("worth knowing")
		e.table("    ", 38, rows)
	}
}

// outputs writes the events as people read JSON; a carried original is not written again.
func (e *explanation) outputs() {
	for i := range e.result.Events {
		out := &e.result.Events[i]
		e.section(fmt.Sprintf("event %d", i+1))
		text, err := shown(out.JSON, e.result.Returning == "")
		if err != nil {
			e.err = err
			return
		}
		for _, line := range strings.Split(text, "\n") {
			e.line("    " + line)
		}
	}
}

// elided stands for a carried original.
const elided = `"(the original, as it came)"`

// shown is an event, indented, with the same members in the same order.
func shown(text []byte, elide bool) (string, error) {
	doc, err := jsondoc.Parse(text)
	if err != nil {
		return "", err
	}
	if elide {
		root := doc.Root()
		original := root.At("customData", "eiffel", "event")
		for entry := range root.At("data", "customData").Children() {
			if v := entry.At("value", "event"); entry.Get("key").Str() == "cdevents" && v.Kind() == jsondoc.Object {
				original = v
			}
		}
		if original.Kind() == jsondoc.Object {
			text = jsondoc.AppendReplaced(nil, doc, original, []byte(elided))
		}
	}
	out, err := json.MarshalIndent(json.RawMessage(text), "", "  ")
	return string(out), err
}
