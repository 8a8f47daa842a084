package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/eiffelbridge/eiffelbridge/cmd/eiffelbridge/internal/jsondiff"
	"github.com/eiffelbridge/eiffelbridge/daemon/ledger"
	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/translate"
	records "github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// outcome is what an event became: events, or an error.
type outcome struct {
	events []written
	err    *translate.EventError
}

// written is an event that came out.
type written struct {
	id, eventType string
	root          jsondoc.Value
}

func readWritten(text []byte) (written, error) {
	doc, err := jsondoc.Parse(text)
	if err != nil {
		return written{}, err
	}
	w := written{root: doc.Root()}
	for _, head := range []string{"meta", "context"} {
		if v := w.root.Get(head); v.Exists() {
			w.id, w.eventType = v.Get("id").Str(), v.Get("type").Str()
		}
	}
	return w, nil
}

// outcomeOf keeps what a translation gave; an error that is not the event's own is handed back.
func outcomeOf(result *translate.Result, err error) (outcome, error) {
	var out outcome
	if err != nil && !errors.As(err, &out.err) {
		return out, err
	}
	for i := range result.Events {
		w, err := readWritten(result.Events[i].JSON)
		if err != nil {
			return out, err // cannot be: it was validated
		}
		out.events = append(out.events, w)
	}
	return out, nil
}

// message is the error's text, empty if there is none.
func (o outcome) message() string {
	if o.err == nil {
		return ""
	}
	return o.err.Error() + " [" + o.err.Code + "]"
}

// outputChange is an output that differs.
type outputChange struct {
	Change  string            `json:"change"` // added, removed or changed
	ID      string            `json:"id"`
	Type    string            `json:"type"`
	Changes []jsondiff.Change `json:"changes,omitempty"`

	before, after []byte
}

// compareOutputs pairs events that have the same id, then those of the same type, and gives those that differ: the old ones
// in their order, then what was added.
func compareOutputs(before, after []written) []outputChange {
	pair := make([]int, len(before)) // index in after, -1: none
	taken := make([]bool, len(after))
	for i := range pair {
		pair[i] = -1
	}
	for _, same := range []func(a, b *written) bool{
		func(a, b *written) bool { return a.id == b.id && a.eventType == b.eventType },
		func(a, b *written) bool { return a.id == b.id },
		func(a, b *written) bool { return a.eventType == b.eventType },
	} {
		for i := range before {
			for j := range after {
				if pair[i] < 0 && !taken[j] && same(&before[i], &after[j]) {
					pair[i], taken[j] = j, true
				}
			}
		}
	}
	var out []outputChange
	for i := range before {
		b := &before[i]
		if pair[i] < 0 {
			out = append(out, outputChange{Change: "removed", ID: b.id, Type: b.eventType, before: b.root.Raw()})
			continue
		}
		a := &after[pair[i]]
		if changes := jsondiff.Compare(b.root, a.root); len(changes) > 0 {
			out = append(out, outputChange{Change: "changed", ID: a.id, Type: a.eventType, Changes: changes, before: b.root.Raw(), after: a.root.Raw()})
		}
	}
	for j := range after {
		if !taken[j] {
			out = append(out, outputChange{Change: "added", ID: after[j].id, Type: after[j].eventType, after: after[j].root.Raw()})
		}
	}
	return out
}

// comparison is what is written about an event that comes out differently.
type comparison struct {
	File    string         `json:"file"`
	Index   int            `json:"index"`
	ID      string         `json:"id"`
	Type    string         `json:"type"`
	Outputs []outputChange `json:"outputs"`
	Error   *errorChange   `json:"error,omitempty"` // if the event fails under one of the two, or fails differently
}

type errorChange struct {
	Old string `json:"old,omitempty"`
	New string `json:"new,omitempty"`
}

// compare translates events by two catalogues and shows what differs.
func (c *command) compare(ctx context.Context, flags *translation, old []string, machine bool, files []string) (err error) {
	if err := c.existing(files); err != nil {
		return err
	}
	if slices.Contains(old, "none") || slices.Contains(old, "") {
		if len(old) > 1 {
			return usagef("--compare none stands alone: it is the program's own mappings")
		}
		old = nil
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
	var sessions [2]*translate.Session
	for i, overlays := range [][]string{old, flags.mappings} {
		engine, err := flags.engine(c, overlays, false)
		if err != nil {
			return err
		}
		sessions[i] = translate.NewSession(engine, newCollector(under, nil))
		sessions[i].Unresolved = translate.Unresolved(*flags.unresolved)
	}
	all, different, unread := 0, 0, 0
	counts := map[string]int{}
	err = c.eachEvent(ctx, files, func(in *input) error {
		if !in.isFile() {
			all++
		}
		if in.Err != nil {
			unread++
			c.reportError(in, in.Err)
			return nil
		}
		if flags.check(&in.Event) != nil {
			return nil // it fails the same under both
		}
		var outcomes [2]outcome
		for i, s := range sessions {
			result, problem := s.TranslateEvent(ctx, in.Event)
			if outcomes[i], problem = outcomeOf(&result, problem); problem != nil {
				return fmt.Errorf("%s: %w", in.where(), problem)
			}
		}
		line := comparison{File: in.File, Index: in.Index, ID: in.Event.ID, Type: in.Event.Type,
			Outputs: compareOutputs(outcomes[0].events, outcomes[1].events)}
		if before, after := outcomes[0].message(), outcomes[1].message(); before != after {
			line.Error = &errorChange{before, after}
		}
		if len(line.Outputs) == 0 && line.Error == nil {
			return nil
		}
		different++
		for _, o := range line.Outputs {
			counts[o.Change]++
		}
		return c.writeComparison(in, &line, machine)
	})
	if err != nil && !isBrokenPipe(err) {
		return err
	}
	fmt.Fprintf(c.err, "%d of %s come out differently: outputs added %d, removed %d, changed %d\n", different, count(all, "event"),
		counts["added"], counts["removed"], counts["changed"])
	if different > 0 || unread > 0 {
		return errFailed
	}
	return nil
}

func (c *command) writeComparison(in *input, line *comparison, machine bool) error {
	if machine {
		encoder := json.NewEncoder(c.out)
		encoder.SetEscapeHTML(false)
		return encoder.Encode(line)
	}
	p := &painter{w: c.out}
	p.line(oneLine(fmt.Sprintf("%s: %s (%s)", in.where(), line.ID, line.Type)))
	if line.Error != nil {
		switch {
		case line.Error.Old == "":
			p.line("  fails now: " + oneLine(line.Error.New))
		case line.Error.New == "":
			p.line("  fails no longer: " + oneLine(line.Error.Old))
		default:
			p.line("  fails otherwise: " + oneLine(line.Error.New))
			p.line("  before:          " + oneLine(line.Error.Old))
		}
	}
	for i := range line.Outputs {
		p.outputChange("  ", &line.Outputs[i])
	}
	return p.err
}

// outputChange writes what differs in an output: a sign, its type and its id, and for one that changed its members.
func (p *painter) outputChange(indent string, o *outputChange) {
	sign := map[string]string{"added": "+", "removed": "-", "changed": "~"}[o.Change]
	p.line(oneLine(fmt.Sprintf("%s%s %s %s", indent, sign, o.Type, o.ID)))
	for _, c := range o.Changes {
		pointer := c.Pointer
		if pointer == "" {
			pointer = "the event"
		}
		switch {
		case c.Old == nil:
			p.line(oneLine(fmt.Sprintf("%s    + %s: %s", indent, pointer, short(c.New))))
		case c.New == nil:
			p.line(oneLine(fmt.Sprintf("%s    - %s: %s", indent, pointer, short(c.Old))))
		default:
			p.line(oneLine(fmt.Sprintf("%s    ~ %s: %s -> %s", indent, pointer, short(c.Old), short(c.New))))
		}
	}
}

// short is JSON on a line, cut where it becomes long.
func short(text []byte) string {
	runes := []rune(string(text))
	if len(runes) <= 120 {
		return string(runes)
	}
	return string(runes[:119]) + "…"
}
